(** * Problem 1.1: the gradient of the book is the true one off the kinks, and it is not Lipschitz *)
Require Export Book.Problem1.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(* finitely many conditions that hold near 0 hold near 0 together *)
Lemma near_all m d n (Q : 'I_n -> mat m d -> Prop) :
  (forall i, exists delta, 0 < delta /\ forall E, normF E < delta -> Q i E) ->
  exists delta, 0 < delta /\ forall E, normF E < delta -> forall i, Q i E.
Proof.
move=> h; suff key k : exists delta, 0 < delta /\ forall E, normF E < delta -> forall i : 'I_n, (i < k)%N -> Q i E.
  by have [e [e0 he]] := key n; exists e; split=> // E /he hE i; apply: hE.
elim: k => [|k [e [e0 he]]]; first by exists 1; split; [lra | ].
case: (ltnP k n) => [kn | nk]; last first.
  by exists e; split=> // E /he hE i _; apply: hE; apply: leq_trans nk.
have [e' [e'0 he']] := h (Ordinal kn).
exists (Rmin e e'); split=> [|E lt i]; first exact: Rmin_glb_lt.
rewrite ltnS leq_eqVlt => /orP [/eqP ik | ik]; last by apply: he => //; apply: Rlt_le_trans lt (Rmin_l _ _).
by have -> : i = Ordinal kn; [apply: val_inj | apply: he'; apply: Rlt_le_trans lt (Rmin_r _ _)].
Qed.

Section Kinks.
Context {N : network}.
Lemma phi_local t h : Rabs h < Rabs t -> phi (t + h) - phi t = phi' t * h.
Proof.
have gr := the gamma_range; move=> lt; have [? ?] := le_abs (Rle_refl (Rabs h)); have a0 := Rabs_pos h.
case: (Rtotal_order t 0) => [tn | [t0 | tp]].
- by rewrite phi'_neg // /phi !Rmax_right; move: lt; rewrite (Rabs_left t) //; nra.
- by move: lt; rewrite t0 Rabs_R0; lra.
- by rewrite phi'_pos // /phi !Rmax_left; move: lt; rewrite (Rabs_right t); nra.
Qed.
Lemma row_le m d (E : mat m d) j (z : vec d) : Rabs ⟨E j, z⟩ <= normF E * norm z.
Proof.
apply: Rle_trans (CS_abs _ _) _; apply: Rmult_le_compat_r; first exact: norm_ge0.
by apply: sqrt_le_1_alt; apply: (sum_ge_term (P := fun j => ⟨E j, E j⟩)) => i; apply: dot_ge0.
Qed.
(* near X the network is linear in the weights *)
Lemma f_local d (X : mat m d) z : (forall j, ⟨X j, z⟩ <> 0) ->
  exists delta, 0 < delta /\ forall E, normF E < delta -> f (madd X E) z - f X z = ⟪grad_f X z, E⟫.
Proof.
move=> h; have [|e [e0 he]] := @near_all m d m (fun j E => Rabs ⟨E j, z⟩ < Rabs ⟨X j, z⟩).
  move=> j; have t0 := Rabs_pos_lt _ (h j); have z0 := norm_ge0 z.
  exists (Rabs ⟨X j, z⟩ / (norm z + 1)); split=> [|E lt]; first by pos.
  apply: Rle_lt_trans (row_le E j z) _; have E0 := normF_ge0 E.
  have : normF E * (norm z + 1) < Rabs ⟨X j, z⟩ / (norm z + 1) * (norm z + 1) by apply: Rmult_lt_compat_r; lra.
  by rewrite /Rdiv Rmult_assoc Rinv_l; nra.
exists e; split=> // E /he hE; rewrite mdot_grad_f -sum_minus; apply: sum_ext => j.
have -> : ⟨madd X E j, z⟩ = ⟨X j, z⟩ + ⟨E j, z⟩.
  by rewrite /dot -sum_plus; apply: sum_ext => k; rewrite /madd; ring.
by rewrite -Rmult_minus_distr_l (phi_local (hE j)) (dotC z); ring.
Qed.
Lemma f_gradient d (X : mat m d) z : (forall j, ⟨X j, z⟩ <> 0) -> is_gradient (fun Y => f Y z) X (grad_f X z).
Proof.
move=> /f_local [delta [d0 h]] eps e0; exists delta; split=> // E /h ->.
by rewrite Rminus_diag_eq // Rabs_R0; have := normF_ge0 E; nra.
Qed.
End Kinks.

Section Loss.
Context {D : data} {N : network}.
Lemma L_gradient (X : mat m d) :
  (forall i, exists delta, 0 < delta /\ forall E, normF E < delta -> f (madd X E) (x i) - f X (x i) = ⟪grad_f X (x i), E⟫) ->
  is_gradient Lhat X (grad_L X).
Proof.
move=> h eps eps0; have n0 := the n_gt0; have [e [e0 he]] := near_all h.
(* second-order terms: loss_taylor, and the Lipschitz constants ‖x_i‖ *)
pose B := the (/ n * ∑_(i < n) ⟨x i, x i⟩).
have B0 : 0 <= B by apply: Rmult_le_pos; [pos | apply: sum_ge0 => i; apply: dot_ge0].
exists (Rmin e (eps / (B + 1))); split=> [|E lt]; first by apply: Rmin_glb_lt => //; pos.
have {}he := he E (Rlt_le_trans _ _ _ lt (Rmin_l _ _)); have {}lt := Rlt_le_trans _ _ _ lt (Rmin_r _ _).
pose q (i : 'I_n) := the (y i * ⟪grad_f X (x i), E⟫); have E0 := normF_ge0 E.
have qle i : q i ^ 2 <= normF E ^ 2 * ⟨x i, x i⟩.
  rewrite -norm_sq -Rpow_mult_distr -pow2_abs /q y_abs; apply: pow_incr; split; first exact: Rabs_pos.
  apply: Rle_trans (mCS_abs _ _) _; rewrite Rmult_comm; apply: Rmult_le_compat_l => //.
  by have [_] := eq_two_facts X (x i).
have -> : Lhat (madd X E) - Lhat X - ⟪grad_L X, E⟫
  = / n * ∑_(i < n) (loss (margin X i + q i) - (loss (margin X i) - g (margin X i) * q i)).
  have -> : ⟪grad_L X, E⟫ = - (/ n * ∑_(i < n) g (margin X i) * q i) by rewrite -mdot_grad_L; ring.
  rewrite !sum_minus /Lhat.
  rewrite (sum_ext (P := fun i => loss (margin (madd X E) i)) (Q := fun i => loss (margin X i + q i))); first ring.
  by move=> i; congr loss; rewrite /q -(he i) /margin; ring.
apply: (Rle_trans _ (/ n * ∑_(i < n) normF E ^ 2 * ⟨x i, x i⟩)).
  rewrite Rabs_mult Rabs_right; last by apply: Rle_ge; pos.
  apply: Rmult_le_compat_l; first pos.
  apply: Rle_trans (sum_abs _) _; apply: sum_le => i; have [? ?] := loss_taylor (margin X i) (q i).
  by rewrite Rabs_right; have := qle i; have := pow2_ge_0 (q i); lra.
rewrite sum_mull; have -> : / n * (normF E ^ 2 * ∑_(i < n) ⟨x i, x i⟩) = normF E * (normF E * B) by rewrite /B; ring.
have : normF E * (B + 1) <= eps / (B + 1) * (B + 1) by apply: Rmult_le_compat_r; lra.
by rewrite /Rdiv Rmult_assoc Rinv_l; nra.
Qed.
End Loss.

Theorem eq_gradient (D : data) (N : network) (X : mat m d) :
  (forall z, (forall j, ⟨X j, z⟩ <> 0) -> is_gradient (fun Y => f Y z) X (grad_f X z)) /\
  ((forall i j, ⟨X j, x i⟩ <> 0) -> is_gradient Lhat X (grad_L X)).
Proof. by split=> [z | h]; [apply: f_gradient | apply: L_gradient => i; apply: f_local (h i)]. Qed.

(** ** 1.1: n copies of one unit vector, and weights on both sides of the kink *)
Section Copies.
Variables (n0 d0 : nat) (n0_pos : (0 < n0)%N) (d0_pos : (0 < d0)%N).
Let e : vec d0 := fun k => if k == Ordinal d0_pos then 1 else 0.
Lemma e_unit : ⟨e, e⟩ = 1.
Proof.
rewrite /dot (sum_one (i := Ordinal d0_pos)) /e ?eqxx => [|k /negbTE ->]; ring.
Qed.
Definition copies : data := @Data n0 n0_pos d0 (fun _ => e) (fun _ => 1) (fun _ => or_introl erefl).
Lemma copies_norm : forall i, norm (x (data := copies) i) <= 1.
Proof. by move=> i; rewrite /norm e_unit sqrt_1; lra. Qed.
Lemma copies_margin : forall i, y (data := copies) i * ⟨e, x (data := copies) i⟩ >= 1.
Proof. by move=> i; rewrite e_unit /=; lra. Qed.
Definition copies_separable : separable copies := Separable copies_norm copies_margin.

Context {N : network}.
Let B : mat m d0 := fun j k => a j * e k.
Let X delta : mat m d0 := fun j k => delta * e k.
Lemma B_norm : normF B = 1.
Proof.
rewrite /normF -sqrt_1; congr sqrt; rewrite -a_norm; apply: sum_ext => j.
by rewrite /B dot_scal dot_scalr e_unit; ring.
Qed.
Lemma X_dot delta j : ⟨X delta j, e⟩ = delta. Proof. by rewrite /X dot_scal e_unit; ring. Qed.
Lemma X_grad delta (G := g (phi delta * ∑_(j < m) a j) * phi' delta) :
  grad_L (D := copies) (X delta) = fun j k => - G * B j k.
Proof.
have fX : f (X delta) e = phi delta * ∑_(j < m) a j.
  by rewrite -sum_mull; apply: sum_ext => j; rewrite X_dot; ring.
have term j k (i : 'I_n0) : g (margin (D := copies) (X delta) i) * y (data := copies) i * grad_f (X delta) e j k = G * B j k.
  by rewrite /margin /= Rmult_1_l fX /grad_f X_dot /G /B; ring.
by apply: mat_ext => j k; rewrite /grad_L (sum_ext (term j k)) (mean_const _ n0_pos); ring.
Qed.
End Copies.

Theorem thm_not_smooth (N : network) (n0 d0 : nat) : gamma < 1 -> (0 < n0)%N -> (0 < d0)%N ->
  exists (D : data) (S : separable D), n = n0 /\ d = d0 /\ forall beta, 0 < beta -> exists X Y : mat m d,
  is_gradient Lhat X (grad_L X) /\ is_gradient Lhat Y (grad_L Y) /\
  normF (msub (grad_L X) (grad_L Y)) > beta * normF (msub X Y).
Proof.
move=> g1 n0_pos d0_pos; have [g0 _] := the gamma_range.
exists (copies n0_pos d0_pos), (copies_separable n0_pos d0_pos); do 2![split=> //]; move=> beta beta0.
set D := copies _ _; pose e := x (data := D) (Ordinal n0_pos).
pose A := the (∑_(j < m) a j); pose K := Rabs A; have K0 : 0 <= K := Rabs_pos A.
pose E : mat (@m N) d := fun _ k => e k; have E0 := normF_ge0 E.
pose s := (1 - @gamma N) / (4 * (K + beta * normF E + 1)).
have den : 0 < 4 * (K + beta * normF E + 1) by have : 0 <= beta * normF E by [pos]; lra.
have s0 : 0 < s by rewrite /s; pos.
have es : 4 * s * K + 4 * s * beta * normF E + 4 * s = 1 - gamma by rewrite /s; field; lra.
pose X t : mat (@m N) d := fun j k => t * e k.
have smooth t : t <> 0 -> is_gradient Lhat (X t) (grad_L (X t)).
  by move=> t0; apply: L_gradient => i; apply: f_local => j; rewrite X_dot.
exists (X s), (X (- s)); do 2![split; first by apply: smooth; lra].
have grad t : grad_L (X t) = fun j k => - (g (phi t * A) * phi' t) * (a j * e k) by apply: X_grad.
have -> : msub (X s) (X (- s)) = fun j k => (2 * s) * E j k by apply: mat_ext => j k; rewrite /msub /X /E; ring.
rewrite !grad normF_scal (Rabs_right (2 * s)); last lra.
have -> : phi s = s by rewrite /phi Rmax_left; nra.
have -> : phi (- s) = - (gamma * s) by rewrite /phi Rmax_right; nra.
rewrite phi'_pos // phi'_neg; last lra.
set p := g (s * A); set q := g (- (gamma * s) * A).
have -> : msub (fun j k => - (p * 1) * (a j * e k)) (fun j k => - (q * gamma) * (a j * e k))
  = fun j k => (q * gamma - p) * (a j * e k) by apply: mat_ext => j k; rewrite /msub; ring.
rewrite (normF_scal (fun j k => a j * e k)) B_norm Rmult_1_r.
have g00 : g 0 = / 2 by rewrite /g exp_0; congr Rinv; ring.
have [? ?] : - (s * K) <= p - / 2 <= s * K.
  apply: le_abs; rewrite -g00; apply: Rle_trans (g_lip_abs _ _) _.
  by rewrite Rminus_0_r Rabs_mult (Rabs_right s) -/K; nra.
have [? ?] : - (s * K) <= q - / 2 <= s * K.
  apply: le_abs; rewrite -g00; apply: Rle_trans (g_lip_abs _ _) _.
  by rewrite Rminus_0_r Rabs_mult Rabs_Ropp (Rabs_right (gamma * s)) -/K; have : 0 <= s * K by [pos]; nra.
have := le_abs (Rle_refl (Rabs (q * gamma - p))) => -[? ?].
by nra.
Qed.

(** ** For γ = 1 the network is linear in the weights *)
(** Differs from the page: part 1 only, without its claim that 1/4 is the best constant. *)
Theorem thm_smoothness (D : data) (N : network) (S : separable D) (X Y : mat m d) : gamma = 1 ->
  is_gradient Lhat X (grad_L X) /\ normF (msub (grad_L X) (grad_L Y)) <= / 4 * normF (msub X Y).
Proof.
move=> g1; have n0 := the n_gt0; have gr := the phi'0_range.
have slope t : phi' t = 1 by have := the (phi'_range t); lra.
have same (X1 Y1 : mat (@m N) d) z : grad_f X1 z = grad_f Y1 z by apply: mat_ext => j k; rewrite /grad_f !slope.
have linear (X1 : mat (@m N) d) i : margin X1 i = y i * ⟪grad_f X (x i), X1⟫.
  by have [e _] := eq_two_facts X1 (x i); rewrite /margin -e (same X X1).
split.
  apply: L_gradient => i; exists 1; split=> [|E _]; first lra.
  have [e1 _] := eq_two_facts (madd X E) (x i); have [e2 _] := eq_two_facts X (x i).
  rewrite -e1 -e2 (same (madd X E) X) !(mdotC (grad_f X (x i))).
  have -> : madd X E = fun j k => 1 * X j k + 1 * E j k by apply: mat_ext => j k; rewrite /madd; ring.
  by rewrite mdot_lin; ring.
set G := msub (grad_L X) (grad_L Y); have G0 := normF_ge0 G; have E0 := normF_ge0 (msub X Y).
have sub A B (C : mat (@m N) d) : ⟪msub A B, C⟫ = ⟪A, C⟫ - ⟪B, C⟫.
  have -> : msub A B = fun j k => 1 * A j k + (-1) * B j k by apply: mat_ext => j k; rewrite /msub; ring.
  by rewrite mdot_lin; ring.
suff : normF G ^ 2 <= / 4 * normF (msub X Y) * normF G by nra.
have -> : normF G ^ 2 = - ⟪grad_L Y, G⟫ - - ⟪grad_L X, G⟫ by rewrite normF_sq {1}/G sub; ring.
rewrite !mdot_grad_L -Rmult_minus_distr_l -sum_minus -[X in _ <= X](@mean_const n _ n_pos).
apply: mean_le => [|i]; first exact: n_pos.
rewrite (same Y X) -Rmult_minus_distr_r; set q := y i * _; apply: Rle_trans (Rle_abs _) _.
rewrite Rabs_mult; apply: Rmult_le_compat; [exact: Rabs_pos | exact: Rabs_pos | | exact: slope_le].
apply: Rle_trans (g_lip_abs _ _) _; rewrite !linear -Rmult_minus_distr_l.
have -> : ⟪grad_f X (x i), Y⟫ - ⟪grad_f X (x i), X⟫ = - ⟪grad_f X (x i), msub X Y⟫ by rewrite !(mdotC (grad_f X (x i))) sub; ring.
by have := the (slope_le X i (msub X Y)); rewrite -Ropp_mult_distr_r Rabs_Ropp; lra.
Qed.
