(** * Sharp rates: the loss, with and without the sample size, and its last iterate *)
Require Export Book.Rates.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** From Ĝ to L̂ *)
(* products of numbers 1 - q_i are at least 1 minus the sum of the q_i *)
Lemma sum_log k (q : 'I_k -> R) : (forall i, 0 < q i < 1) -> ∑_(i < k) q i < 1 ->
  ∑_(i < k) - ln (1 - q i) <= - ln (1 - ∑_(i < k) q i).
Proof.
elim: k q => [|k IH] q h; first by rewrite !sum0 Rminus_0_r ln_1; lra.
rewrite !sum_last; set A := ∑_(i < k) _; set p := q ord_max => lt.
have p01 : 0 < p < 1 := h ord_max.
have A0 : 0 <= A by apply: sum_ge0 => i; move: (h (widen_ord (leqnSn k) i)); lra.
have := IH (fun i => q (widen_ord (leqnSn k) i)) (fun i => h _) ltac:(rewrite -/A; lra).
rewrite -/A => {}IH; have : ln (1 - (A + p)) <= ln ((1 - A) * (1 - p)) by apply: ln_le; nra.
by rewrite ln_mult; lra.
Qed.

Section FromGtoL.
Context {D : data} {N : network}.
Implicit Types X : mat m d.
Lemma G_le_L X : Ghat X <= Lhat X.
Proof.
apply: mean_le => [|i]; first exact: n_pos.
by rewrite loss_g; have := g_lt1 (margin X i) => g1; have := @ln_le_sub1 (1 - g (margin X i)) ltac:(lra); lra.
Qed.
Lemma L_le_log X : Ghat X < / n -> Lhat X <= - / n * ln (1 - n * Ghat X).
Proof.
have n0 := the n_gt0; have e : n * Ghat X = ∑_(i < n) g (margin X i) by rewrite /Ghat; field; lra.
move=> h; have lt : n * Ghat X < 1 by have := Rmult_lt_compat_l _ _ _ n0 h; rewrite Rinv_r; lra.
rewrite e in lt *; have := sum_log (fun i => conj (g_gt0 (margin X i)) (g_lt1 _)) lt.
rewrite -(sum_ext (fun i => loss_g (margin X i))) => le.
by rewrite /Lhat -Ropp_mult_distr_l Ropp_mult_distr_r; apply: Rmult_le_compat_l le; pos.
Qed.
Lemma L_target X eps : 0 < eps -> Ghat X <= (1 - exp (- (n * eps))) / n -> Lhat X <= eps.
Proof.
move=> e0 h; have n0 := the n_gt0; have E0 := the (exp_pos (- (n * eps))).
have le : n * Ghat X <= 1 - exp (- (n * eps)).
  have -> : 1 - exp (- (n * eps)) = n * ((1 - exp (- (n * eps))) / n) by field; lra.
  by apply: Rmult_le_compat_l; lra.
have lt : Ghat X < / n by apply: (Rmult_lt_reg_l (@n D)) => //; rewrite Rinv_r; lra.
apply: Rle_trans (L_le_log lt) _.
have h3 : - (n * eps) <= ln (1 - n * Ghat X) by rewrite -[X in X <= _]ln_exp; apply: ln_le; lra.
have -> : - / n * ln (1 - n * Ghat X) = - ln (1 - n * Ghat X) / n by rewrite /Rdiv; ring.
by apply: div_le; lra.
Qed.
End FromGtoL.

(* n unit vectors and one neuron: any numbers are margins *)
Section AnyMargins.
Variables (k : nat) (k_pos : (0 < k)%N) (gam : R) (hg : 0 < gam <= 1).
Let unit (i : 'I_k) : vec k := fun j => if j == i then 1 else 0.
Lemma dot_unit u i : ⟨u, unit i⟩ = u i.
Proof.
rewrite /dot (sum_one (i := i)) /unit ?eqxx => [|j /negbTE ->]; ring.
Qed.
Definition units : data := @Data k k_pos k unit (fun _ => 1) (fun _ => or_introl erefl).
Lemma units_norm : forall i, norm (x (data := units) i) <= 1.
Proof. by move=> i; rewrite /norm /= dot_unit /unit eqxx sqrt_1; lra. Qed.
Lemma units_margin : forall i, y (data := units) i * ⟨fun _ => 1, x (data := units) i⟩ >= 1.
Proof. by move=> i; rewrite /= dot_unit; lra. Qed.
Definition units_separable : separable units := Separable units_norm units_margin.
Lemma one_sign : forall j : 'I_1, 1 = / sqrt 1%N \/ 1 = - / sqrt 1%N.
Proof. by move=> _; left; rewrite /= sqrt_1 Rinv_1. Qed.
Definition one_neuron : network := @Network 1 isT gam hg 1 (conj (proj2 hg) (Rle_refl 1)) (fun _ => 1) one_sign.
Lemma any_margins (z : 'I_k -> R) : exists X : mat 1 k, forall i, margin (D := units) (N := one_neuron) X i = z i.
Proof.
exists (fun _ i => if Rle_lt_dec 0 (z i) then z i else z i / gam) => i.
rewrite /margin /f sum1 /= dot_unit /phi /= !Rmult_1_l; case: Rle_lt_dec => h /=; first by rewrite Rmax_left; nra.
have e : gam * (z i / gam) = z i by field; lra.
by rewrite Rmax_right e //; have : z i / gam <= z i by [apply: div_le; nra]; lra.
Qed.
End AnyMargins.

Theorem thm_loss :
  (forall (D : data) (N : network) (X : mat m d), Ghat X <= Lhat X /\
   (Ghat X < / n -> Lhat X <= - / n * ln (1 - n * Ghat X)) /\
   forall eps, 0 < eps -> Ghat X <= (1 - exp (- (n * eps))) / n -> Lhat X <= eps) /\
  forall (n0 : nat) gam eps G', (0 < n0)%N -> 0 < gam <= 1 -> 0 < eps -> G' > (1 - exp (- (n0 * eps))) / n0 ->
  exists (D : data) (S : separable D) (N : network) (X : mat m d),
  n = n0 /\ gamma = gam /\ Ghat X <= G' /\ Lhat X > eps.
Proof.
split=> [D N X | k gam eps G' k_pos hg e0 hG].
  by split; [exact: G_le_L | split; [exact: L_le_log | move=> eps; exact: L_target]].
have k0 := nat_gt0 k_pos; set E := exp _ in hG; have E0 : 0 < E := exp_pos _.
have E1 : E < 1 by rewrite -exp_0; apply: exp_increasing; nra.
have {}hG : 1 - E < k * G'.
  have -> : 1 - E = k * ((1 - E) / k) by field; lra.
  by apply: Rmult_lt_compat_l; lra.
(* one sample with g = q just above 1 - E, all others with g = s, tiny *)
pose q := (1 - E + Rmin 1 (k * G')) / 2; have q1 : q < 1 by rewrite /q; have := Rmin_l 1 (k * G'); lra.
have qG : q < k * G' by rewrite /q; have := Rmin_r 1 (k * G'); lra.
have qE : 1 - E < q by have : 1 - E < Rmin 1 (k * G') by [apply: Rmin_glb_lt; lra]; rewrite /q; lra.
pose s := Rmin (/ 2) ((k * G' - q) / k).
have s0 : 0 < s by apply: Rmin_glb_lt; pos.
have s1 : s < 1 by have := Rmin_l (/ 2) ((k * G' - q) / k); rewrite -/s; lra.
have ks : k * s <= k * G' - q.
  have -> : k * G' - q = k * ((k * G' - q) / k) by field; lra.
  by apply: Rmult_le_compat_l; [lra | exact: Rmin_r].
have [z gz] := g_onto (conj (Rlt_trans _ _ _ (ltac:(lra) : 0 < 1 - E) qE) q1); have [z' gz'] := g_onto (conj s0 s1).
pose i0 := Ordinal k_pos; pose zi i := if i == i0 then z else z'.
have [X hX] := any_margins k_pos hg zi.
exists (units k_pos), (units_separable k_pos), (one_neuron hg), X; do 2![split=> //].
have sum_zi (F : R -> R) : ∑_(i < k) F (zi i) = F z + (k * F z' - F z').
  have [r e _] := sum_split (fun i => F (zi i)) i0; rewrite e {1}/zi eqxx; congr (_ + _).
  have : ∑_(i < k) (F (zi i) - F z') = F z - F z'.
    by rewrite (sum_one (i := i0)) /zi ?eqxx // => i /negbTE ->; ring.
  by rewrite sum_minus sum_const e {1}/zi eqxx; lra.
have i0' : 0 < / k by pos.
rewrite /Ghat /Lhat (sum_ext (fun i => congr1 g (hX i))) (sum_ext (fun i => congr1 loss (hX i))) !sum_zi gz gz' -[@n _]/k; split.
  have -> : G' = / k * (k * G') by field; lra.
  by apply: Rmult_le_compat_l; lra.
have l' := loss_ge0 z'; have k1 : 1 <= k by apply: (le_INR 1); apply/leP.
have lz : k * eps < loss z.
  have := ln_increasing _ _ (ltac:(lra) : 0 < 1 - q) (ltac:(lra) : 1 - q < E).
  by rewrite ln_exp loss_g gz; lra.
have -> : eps = / k * (k * eps) by field; lra.
by apply: Rmult_gt_compat_l => //; nra.
Qed.

(** ** The loss becomes arbitrarily small *)
Lemma restart (D : data) (N : network) (r : run D N) s t : GD (fun _ => alpha) (W s) t = W (t + s)%N.
Proof. by elim: t => // t IH; apply: mat_ext => j k; rewrite /= IH. Qed.

Section LossSteps.
Context {D : data} {N : network} {S : separable D}.
Lemma target_range eps (eps' := (1 - exp (- (n * eps))) / n) : 0 < eps -> 0 < eps' < 1.
Proof.
move=> e0; have n0 := the n_gt0; have n1 : 1 <= n by apply: (le_INR 1); apply/leP; apply: n_pos.
have E0 := the (exp_pos (- (n * eps))); have E1 : exp (- (n * eps)) < 1 by rewrite -exp_0; apply: exp_increasing; nra.
split; first by rewrite /eps'; pos.
by apply: (Rmult_lt_reg_r (@n D)) => //; rewrite /eps' /Rdiv Rmult_assoc Rinv_l; lra.
Qed.
Lemma loss_steps (r : run D N) eps (eps' := (1 - exp (- (n * eps))) / n) (T : nat) : 0 < eps ->
  T >= (2 * logplus ((1 - eps') / eps') + alpha + 2 * c * F 0) / (alpha * c ^ 2 * eps') ->
  exists t, (t < T)%N /\ Lhat (W t) <= eps.
Proof.
move=> e0 hT; have e01 := target_range e0.
have T0 : (0 < T)%N.
  apply: gt0_nat; apply: Rlt_le_trans (Rge_le _ _ hT).
  have a0 := the alpha_pos; have cr := the c_range; have F0 := the (F_ge0 0); rewrite -/eps' in e01.
  have : 0 <= logplus ((1 - eps') / eps') := Rmax_l _ _; have : 0 <= 2 * c * F 0 by pos.
  by move=> ? ?; apply: Rdiv_lt_0_compat; [lra | repeat pos].
have [_ fast] := thm_fast_rate S r T0; have [_ [t [tT ht]]] := fast _ e01 hT.
by exists t; split=> //; apply: L_target.
Qed.
End LossSteps.

(** Differs from the page: that the lower limit of the loss is zero is spelt out. *)
Theorem thm_loss_steps (D : data) (N : network) (S : separable D) (r : run D N) eps
    (eps' := (1 - exp (- (n * eps))) / n) : 0 < eps ->
  (forall T : nat, T >= (2 * logplus ((1 - eps') / eps') + alpha + 2 * c * F 0) / (alpha * c ^ 2 * eps') ->
   exists t, (t < T)%N /\ Lhat (W t) <= eps) /\
  (forall t, 0 <= Lhat (W t)) /\ forall s, exists t, (s <= t)%N /\ Lhat (W t) <= eps.
Proof.
move=> e0; split=> [T | ]; first exact: loss_steps.
split=> [t | s]; first by apply: Rmult_le_pos; [have := the n_gt0 => ?; pos | apply: sum_ge0 => i; exact: loss_ge0].
pose r' := @Run D N alpha (@alpha_pos D N r) (@W D N r s).
have [T hT] := big_nat (the ((2 * logplus ((1 - eps') / eps') + alpha + 2 * c * @F D N r' 0) / (alpha * c ^ 2 * eps'))).
have [t [_ ht]] := loss_steps (r := r') e0 (Rle_ge _ _ hT); exists (t + s)%N; split; first exact: leq_addl.
by rewrite -restart.
Qed.
