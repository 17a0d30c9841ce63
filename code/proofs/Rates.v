(** * Sharp rates: the best direction, growth of the norm, the fast rate *)
Require Export Book.Problem1.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** The best direction *)
(* u = ∑_j a_j U_j is no longer than U, by Cauchy-Schwarz *)
Lemma readout_le (N : network) d (U : mat m d) : normF U = 1 -> norm (fun k => ∑_(j < m) a j * U j k) <= 1.
Proof.
move=> U1; set u := fun k => _; have u0 := norm_ge0 u.
pose B : mat (@m N) d := fun j k => a j * u k.
have e1 : ⟪U, B⟫ = norm u ^ 2.
  rewrite norm_sq {2}/u (dot_sum (fun j k => a j * U j k)); apply: sum_ext => j.
  by rewrite dot_scalr dot_scal.
have e2 : normF B ^ 2 = norm u ^ 2.
  rewrite normF_sq norm_sq -[RHS]Rmult_1_l -a_norm -sum_mulr; apply: sum_ext => j.
  by rewrite dot_scalr dot_scal; ring.
have B0 := normF_ge0 B; have := mdot_le U B; rewrite e1 U1 Rmult_1_l => h.
by have B1 : normF B <= 1 by [nra]; nra.
Qed.

Section BestDirection.
Context {D : data} {N : network} {S : separable D}.
Lemma max_margin_pos w : max_margin w -> 0 < norm w.
Proof.
move=> [fw _]; case: (norm_ge0 w) => // e; exfalso.
have := fw (Ordinal n_pos); have := CS_abs w (x (Ordinal n_pos)); rewrite -e Rmult_0_l => /le_abs [? ?].
by have -> : ⟨w, x (Ordinal n_pos)⟩ = 0 by [lra]; lra.
Qed.
Lemma feasible_scaled w u r : max_margin w -> 0 < r -> (forall i, r <= y i * ⟨u, x i⟩) -> r * norm w <= norm u.
Proof.
move=> [_ shortest_w] r0 hu; have := shortest_w (fun k => / r * u k).
have -> : norm (fun k => / r * u k) = norm u / r.
  rewrite /norm dot_scal dot_scalr -Rmult_assoc sqrt_mult; [ | by have := @Rinv_0_lt_compat r r0; nra | exact: dot_ge0].
  by rewrite sqrt_square; [field; lra | pos].
move=> h; have {}h : norm w <= norm u / r.
  apply: h => i; apply: Rle_ge; rewrite dot_scal.
  have -> : y i * (/ r * ⟨u, x i⟩) = y i * ⟨u, x i⟩ / r by field; lra.
  by apply: le_div => //; rewrite Rmult_1_l.
have -> : norm u = r * (norm u / r) by field; lra.
by apply: Rmult_le_compat_l; lra.
Qed.
End BestDirection.

(** Differs from the page: the maximum over V and the infimum over W are spelt out; that there is a max-margin vector w is assumed. *)
Theorem thm_optimal_direction (D : data) (N : network) (S : separable D) w : max_margin w ->
  (exists U : mat m d, normF U = 1 /\ forall (X : mat m d) i, y i * ⟪grad_f X (x i), U⟫ >= gamma / norm w) /\
  forall U : mat m d, normF U = 1 -> exists (X : mat m d) i, y i * ⟪grad_f X (x i), U⟫ <= gamma / norm w.
Proof.
move=> mw; have gr := the gamma_range; have w0 := max_margin_pos mw; split.
  pose Sw := Separable (@x_norm D S) (proj1 mw); exists (@V D N Sw); split; first exact: V_norm.
  by move=> X i; apply: (@V_margin D N Sw).
(* the adversary turns every neuron off at the sample where u has its smallest margin *)
move=> U U1; pose u : vec d := fun k => ∑_(j < @m N) a j * U j k.
have [i mi] := argmin (fun i => y i * ⟨u, x i⟩) n_pos.
have low : y i * ⟨u, x i⟩ <= / norm w.
  case: (Rle_lt_dec (y i * ⟨u, x i⟩) (/ norm w)) => // lt; exfalso.
  have i0 : 0 < / norm w by pos.
  have := feasible_scaled mw (Rlt_trans _ _ _ i0 lt) mi; have := readout_le U1; rewrite -/u => u1.
  by have := Rmult_lt_compat_r _ _ _ w0 lt; rewrite Rinv_l; lra.
exists (fun _ k => -1 * x i k), i; rewrite mdot_grad_f.
have neg : ⟨fun k => -1 * x i k, x i⟩ < 0.
  rewrite dot_scal; have := the (v_margin i); have := CS (@v D S) (x i); case: (dot_ge0 (x i)) => [|<-]; first lra.
  by rewrite Rmult_0_r => h1 h2; have e : ⟨v, x i⟩ = 0 by [nra]; rewrite e in h2; lra.
have -> : ∑_(j < m) a j * phi' ⟨fun k => -1 * x i k, x i⟩ * ⟨x i, U j⟩ = gamma * ⟨u, x i⟩.
  rewrite (phi'_neg neg) /u (dot_sum (fun j k => a j * U j k)) -sum_mull; apply: sum_ext => j.
  by rewrite dot_scal dotC; ring.
have -> : y i * (gamma * ⟨u, x i⟩) = gamma * (y i * ⟨u, x i⟩) by ring.
by apply: Rmult_le_compat_l; lra.
Qed.

Theorem eq_gradient_size (D : data) (N : network) (S : separable D) (X : mat m d) :
  c * Ghat X <= normF (grad_L X) <= Ghat X.
Proof.
split; last exact: grad_L_le.
have := le_abs (mCS_abs (grad_L X) (@V D N S)); rewrite V_norm Rmult_1_r => -[low _].
apply: (Rle_trans _ (- ⟪grad_L X, V⟫)); last lra.
rewrite mdot_grad_L /Ghat -Rmult_assoc (Rmult_comm c) Rmult_assoc -sum_mull; apply: mean_le => [|i]; first exact: n_pos.
by have := the (V_margin X i); have := g_gt0 (margin X i); nra.
Qed.

(** ** Growth of the norm *)
Section Norm.
Context {D : data} {N : network} {S : separable D} {r : run D N}.
(* a line s g + w above all z g(z) bounds the growth of the norm *)
Lemma norm_line s w t (G := Ghat (W t)) : (forall z, z * g z <= s * g z + w) ->
  F t.+1 ^ 2 <= F t ^ 2 + 2 * alpha * (s * G + w) + alpha ^ 2 * G ^ 2.
Proof.
move=> line; rewrite square_step; have a0 := the alpha_pos.
have cross : / n * (∑_(i < n) g (margin (W t) i) * margin (W t) i) <= s * G + w.
  have -> : s * G + w = / n * ∑_(i < n) (s * g (margin (W t) i) + w).
    by rewrite sum_plus Rmult_plus_distr_l (@mean_const n w n_pos) sum_mull /G /Ghat; ring.
  by apply: mean_le => [|i]; [exact: n_pos | have := line (the (margin (W t) i)); lra].
have grad : normF (grad_L (W t)) ^ 2 <= G ^ 2.
  by apply: pow_incr; split; [exact: normF_ge0 | exact: grad_L_le].
by have : 0 <= alpha ^ 2 by [pos]; nra.
Qed.
(* the same, summed over the first T steps *)
Lemma norm_lines s w T : (forall z, z * g z <= s * g z + w) ->
  F T ^ 2 <= F 0 ^ 2 + 2 * alpha * (s * (∑_(t < T) Ghat (W t)) + T * w) + alpha ^ 2 * ∑_(t < T) Ghat (W t).
Proof.
move=> line; elim: T => [|T IH]; first by rewrite sum0 /=; lra.
rewrite (sumS T (fun t => Ghat (W t))) S_INR.
have := norm_line T line; have := the (Ghat_gt0 (W T)); have := the (Ghat_lt1 (W T)) => G1 G0.
have : alpha ^ 2 * Ghat (W T) ^ 2 <= alpha ^ 2 * Ghat (W T) by apply: Rmult_le_compat_l; [pos | nra].
lra.
Qed.
Lemma mean_G T (G := mean T (fun t => Ghat (W t))) : (1 <= T)%N -> 0 < G < 1.
Proof.
move=> T0; have N0 := nat_gt0 T0; split; first by apply: Rmult_lt_0_compat; [pos | apply: sum_gt0 => // t; apply: Ghat_gt0].
have : 0 < / T * ∑_(t < T) (1 - Ghat (W t)).
  by apply: Rmult_lt_0_compat; [pos | apply: sum_gt0 => // t; have := the (Ghat_lt1 (W t)); lra].
by rewrite sum_minus Rmult_minus_distr_l mean_const // /G /mean; lra.
Qed.
End Norm.

Theorem thm_sharp_norm_growth (D : data) (N : network) (S : separable D) (r : run D N) t kappa (G := Ghat (W t)) :
  is_kappa kappa ->
  F t.+1 ^ 2 <= F t ^ 2 + 2 * alpha * psi G + alpha ^ 2 * G ^ 2 <= F t ^ 2 + 2 * kappa * alpha + alpha ^ 2 * G ^ 2.
Proof.
move=> kk; have a0 := the alpha_pos; have G01 : 0 < G < 1 by split; [exact: Ghat_gt0 | exact: Ghat_lt1].
split; first by have [s [w [line <-]]] := psi_line G01; apply: norm_line.
by have := psi_kappa kk G01; nra.
Qed.

(** ** The fast rate *)
Lemma logplus_decr p q : 0 < p <= q -> q < 1 -> logplus ((1 - q) / q) <= logplus ((1 - p) / p).
Proof.
move=> pq q1; apply: Rle_max_compat_l; apply: ln_le; first by apply: Rdiv_lt_0_compat; lra.
have e s : 0 < s -> (1 - s) / s = / s - 1 by move=> s0; field; lra.
by rewrite !e; [have := @inv_le p q ltac:(lra) ltac:(lra); lra | lra | lra].
Qed.

Theorem thm_fast_rate (D : data) (N : network) (S : separable D) (r : run D N) (T : nat)
    (G := mean T (fun t => Ghat (W t))) : (1 <= T)%N ->
  alpha * c ^ 2 * T * G <= 2 * logplus ((1 - G) / G) + alpha + 2 * c * F 0 /\
  forall eps, 0 < eps < 1 -> T >= (2 * logplus ((1 - eps) / eps) + alpha + 2 * c * F 0) / (alpha * c ^ 2 * eps) ->
  G <= eps /\ exists t, (t < T)%N /\ Ghat (W t) <= eps.
Proof.
move=> T1; have T0 := nat_gt0 T1; have a0 := the alpha_pos; have cr := the c_range; have F0 := the (F_ge0 0).
have ac : 0 < alpha * c ^ 2 by repeat pos.
have G01 : 0 < G < 1 by apply: mean_G.
have main : alpha * c ^ 2 * T * G <= 2 * logplus ((1 - G) / G) + alpha + 2 * c * F 0.
  have [s [w [line e]]] := psi_line G01.
  have := the (norm_lines T line); have := the (H_low T); set Sg := ∑_(t < T) _.
  have SG : Sg = T * G by rewrite /G /mean -/Sg; field; lra.
  (* eq-lower and eq-upper *)
  have -> : s * Sg + T * w = T * psi G by rewrite SG -e; ring.
  have -> : T * psi G = Sg * ln ((1 - G) / G) by rewrite SG /psi; ring.
  have -> : alpha * c ^ 2 * T * G = alpha * c ^ 2 * Sg by rewrite SG; ring.
  have S0 : 0 < Sg by rewrite SG; pos.
  set L := ln _; set Lp := logplus _; have L1 : L <= Lp := Rmax_r _ _; have L0 : 0 <= Lp := Rmax_l _ _.
  have [_ HF] := the (le_abs (H_le_F T)) => low up.
  case: (Rle_lt_dec (F 0) (c * alpha * Sg)) => cas; last first.
    by have : 0 <= c * F 0 by [pos]; have := Rmult_lt_compat_l c _ _ (proj1 cr) cas; nra.
  have sq : (c * alpha * Sg - F 0) ^ 2 <= F T ^ 2 by apply: pow_incr; lra.
  apply: (Rmult_le_reg_l (alpha * Sg)); first pos.
  by have : alpha * Sg * L <= alpha * Sg * Lp by [apply: Rmult_le_compat_l => //; pos]; nra.
split=> // eps e01 hT; suff Ge : G <= eps by split=> //; apply: small_term T1 Ge.
case: (Rle_lt_dec G eps) => // lt; exfalso.
have decr := @logplus_decr eps G ltac:(lra) ltac:(lra).
have de : 0 < alpha * c ^ 2 * eps by apply: Rmult_lt_0_compat; lra.
have aT : 0 < alpha * c ^ 2 * T by apply: Rmult_lt_0_compat; lra.
by have := ge_div de hT; have := Rmult_lt_compat_l _ _ _ aT lt; lra.
Qed.
