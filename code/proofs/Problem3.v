(** * Problem 3: one step of gradient descent from small weights has a small stable rank *)
Require Import Book.Prelude Book.Problem1 Book.Duality Book.Problem2 Book.Spectral.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** Nearly orthogonal samples behave as orthogonal ones *)
Section Gram.
Context {D : data} {Z : nonzero D}.
(* lem-gram for any θ with n M <= θ R_min^2 *)
Lemma gram_bounds theta (b : 'I_n -> R) : 0 <= theta -> n * M <= theta * R_min ^ 2 ->
  (1 - theta) * (∑_(i < n) b i ^ 2 * norm (x i) ^ 2) <= norm (fun k => ∑_(i < n) b i * x i k) ^ 2
  <= (1 + theta) * (∑_(i < n) b i ^ 2 * norm (x i) ^ 2).
Proof.
move=> t0 near; set Q := ∑_(i < n) _; set s := fun k => _; have m0 := the M_ge0.
have e : norm s ^ 2 = ∑_(i < n) ∑_(j < n) b i * b j * ⟨x i, x j⟩.
  rewrite norm_sq {1}/s (dot_sum (fun i k => b i * x i k)); apply: sum_ext => i.
  rewrite dot_scal dotC /s (dot_sum (fun i k => b i * x i k)) -sum_mull; apply: sum_ext => j.
  by rewrite dot_scal dotC; ring.
pose B := ∑_(i < n) Rabs (b i); pose B2 := ∑_(i < n) b i ^ 2.
have off : Rabs (norm s ^ 2 - Q) <= M * B ^ 2.
  have -> : M * B ^ 2 = ∑_(i < n) ∑_(j < n) Rabs (b i) * Rabs (b j) * M.
    under sum_ext => i do rewrite sum_mulr sum_mull -/B.
    by rewrite sum_mulr sum_mulr -/B; ring.
  have -> : norm s ^ 2 - Q = ∑_(i < n) ∑_(j < n) if j == i then 0 else b i * b j * ⟨x i, x j⟩.
    rewrite e /Q -sum_minus; apply: sum_ext => i.
    rewrite -[b i ^ 2 * _](sum_pick i) -sum_minus; apply: sum_ext => j.
    by case: eqP => [->|_]; rewrite ?norm_sq; ring.
  apply: Rle_trans (sum_abs _) _; apply: sum_le => i; apply: Rle_trans (sum_abs _) _; apply: sum_le => j.
  have p0 : 0 <= Rabs (b i) * Rabs (b j) by apply: Rmult_le_pos; apply: Rabs_pos.
  case: eqP => [_|/eqP ne]; first by rewrite Rabs_R0; pos.
  by rewrite !Rabs_mult; apply: Rmult_le_compat_l => //; apply: M_ge; rewrite eq_sym.
have cs : B ^ 2 <= n * B2.
  have := CS (fun _ : 'I_n => 1) (fun i => Rabs (b i)); rewrite /dot sum_const Rmult_1_r Rmult_1_r.
  rewrite (sum_ext (Q := fun i => Rabs (b i))) => [|i]; last by ring.
  rewrite (sum_ext (P := fun i => Rabs (b i) * Rabs (b i)) (Q := fun i => b i ^ 2)) // => i.
  by rewrite -Rabs_mult Rabs_right; [ring | apply: Rle_ge; apply: Rle_0_sqr].
have q : R_min ^ 2 * B2 <= Q.
  rewrite -sum_mull; apply: sum_le => i; rewrite Rmult_comm; apply: Rmult_le_compat_l; first exact: pow2_ge_0.
  by apply: pow_incr; have := the (R_min_le i); have := the R_min_pos; lra.
have B0 : 0 <= B2 by apply: sum_ge0 => i; apply: pow2_ge_0.
have : M * B ^ 2 <= theta * Q.
  apply: (Rle_trans _ (M * (n * B2))); first exact: Rmult_le_compat_l.
  have := Rmult_le_compat_r _ _ _ B0 near; have := Rmult_le_compat_l _ _ _ t0 q; lra.
by have := le_abs off; lra.
Qed.
End Gram.

Theorem lem_gram (D : data) (Z : nonzero D) p (b : 'I_n -> R) (theta := 1 / (p * ratio ^ 2)) :
  0 < p -> p_orthogonal p ->
  (1 - theta) * (∑_(i < n) b i ^ 2 * norm (x i) ^ 2) <= norm (fun k => ∑_(i < n) b i * x i k) ^ 2
  <= (1 + theta) * (∑_(i < n) b i ^ 2 * norm (x i) ^ 2).
Proof.
move=> p0 po; have r1 := the ratio_ge1; have q0 : 0 < p * ratio ^ 2 by pos.
apply: gram_bounds; first by rewrite /theta; pos.
have := the (proj1 (coherence p0) po); rewrite (M_mu (D := D)) -/theta => h.
by have : 0 <= R_min ^ 2 by [exact: pow2_ge_0]; nra.
Qed.

(** ** The matrices of [rows], such as the gradient *)
Section Rows.
Context {D : data} {Z : nonzero D} {N : network}.
(* the mean slope of the neurons at x_i *)
Definition slope (W : mat m d) i := / m * ∑_(j < m) phi' ⟨W j, x i⟩.
Lemma rows_F C : normF (rows C) ^ 2 = / m * ∑_(j < m) norm (weighted (C j)) ^ 2.
Proof.
rewrite normF_sq /mdot -sum_mull; apply: sum_ext => j.
by rewrite /rows dot_scal dot_scalr -Rmult_assoc a_sq norm_sq.
Qed.
(* the mean of the rows without a_j is D^T a, and a is a unit vector *)
Lemma mean_rows C k : / m * (∑_(j < m) weighted (C j) k) = weighted (avg C) k.
Proof.
rewrite /weighted sum_exch -sum_mull; apply: sum_ext => i.
by rewrite !sum_mulr /avg; ring.
Qed.
Lemma rows_2 C : norm (weighted (avg C)) <= norm2 (rows C).
Proof.
have := norm2_trans (rows C) (a_norm (N := N)) => /=; set r := fun k => ∑_(j < m) _.
have -> // : r = weighted (avg C).
apply: vec_ext => k; rewrite -mean_rows -sum_mull; apply: sum_ext => j.
by rewrite /rows -Rmult_assoc a_sq.
Qed.
(* lem-gram, for the coefficients y_i c_i *)
Lemma gram_rows theta (c : 'I_n -> R) : 0 <= theta -> n * M <= theta * R_min ^ 2 ->
  (1 - theta) * (∑_(i < n) c i ^ 2 * norm (x i) ^ 2) <= norm (weighted c) ^ 2
  <= (1 + theta) * (∑_(i < n) c i ^ 2 * norm (x i) ^ 2).
Proof.
move=> t0 near; have := the (gram_bounds (fun i => c i * y i) t0 near).
rewrite (sum_ext (P := fun i => (c i * y i) ^ 2 * _) (Q := fun i => c i ^ 2 * norm (x i) ^ 2)) // => i.
by have := the (y_sq i) => e; rewrite Rpow_mult_distr -(Rsqr_pow2 (y i)) /Rsqr e; ring.
Qed.
Lemma neg_grad (W : mat m d) : (fun j k => - grad_L W j k) = rows (fun j i => g (margin W i) / n * phi' ⟨W j, x i⟩).
Proof.
apply: mat_ext => j k; rewrite /grad_L /rows /weighted Ropp_involutive -!sum_mull; apply: sum_ext => i.
by rewrite /grad_f /Rdiv; ring.
Qed.
(* a step of gradient descent *)
Lemma step al (W : mat m d) : GD al W 1 = madd W (fun j k => al 0%N * - grad_L W j k).
Proof. by apply: mat_ext => j k /=; rewrite /madd; ring. Qed.
Lemma output_le (W : mat m d) i : Rabs (margin W i) <= R_max * normF W.
Proof.
have [e le] := the (eq_two_facts W (x i)); rewrite /margin y_abs -e; apply: Rle_trans (mCS_abs _ _) _.
by apply: Rmult_le_compat_r; [exact: normF_ge0 | exact: Rle_trans le (R_max_ge i)].
Qed.
End Rows.

(** Differs from the page: in place of the probability stand the two events on which the proof rests,
    ‖W‖_F <= σ √(2md), and that the samples at which a neuron is active carry, on average over the neurons, more than a
    quarter of ∑‖x_i‖^2 (∑_i v_i q_i > 1/4 with the page's v_i and the share q_i of active neurons). *)
Theorem thm_one_step (D : data) (Z : nonzero D) (N : network) p alpha_min sigma (W : mat m d)
    (sigma_max := / sqrt (2 * m * d) * Rmin (1 / (20 * R_max)) (alpha_min * R_min / (312 * sqrt n))) :
  p_orthogonal p -> p >= 3 -> 0 < alpha_min -> 0 < sigma <= sigma_max ->
  normF W <= sigma * sqrt (2 * m * d) ->
  ∑_(i < n) norm (x i) ^ 2 * active W i > / 4 * ∑_(i < n) norm (x i) ^ 2 ->
  forall alpha, alpha >= alpha_min ->
  GD (fun _ => alpha) W 1 <> (fun _ _ => 0) /\ SR (GD (fun _ => alpha) W 1) <= 10.
Proof.
move=> po p3 am sig small act al al_ge.
have r1 := the ratio_ge1; have r0 := the R_min_pos; have rM := the (R_max_ge (Ordinal n_pos)).
have x0 := the (x_pos (Ordinal n_pos)); have n0 := the n_gt0; have m0 := the m_gt0.
(* W is small *)
have w0 := normF_ge0 W; have s0 : 0 < sqrt n by apply: sqrt_lt_R0.
have small2 : normF W <= Rmin (1 / (20 * R_max)) (alpha_min * R_min / (312 * sqrt n)).
  apply: Rle_trans small _; case: (sqrt_pos (2 * m * d)) => [q0|<-]; last by rewrite Rmult_0_r; apply: Rmin_glb; pos.
  have := Rmult_le_compat_r _ _ _ (Rlt_le _ _ q0) (proj2 sig); rewrite /sigma_max => h.
  by apply: Rle_trans h _; right; field; lra.
have out i : Rabs (margin W i) <= / 20.
  have RM : 0 < R_max by lra.
  apply: Rle_trans (output_le W i) _; have -> : / 20 = R_max * (1 / (20 * R_max)) by field; lra.
  by apply: Rmult_le_compat_l; [lra | exact: Rle_trans small2 (Rmin_l _ _)].
(* so the g_i are nearly equal, by 1 + t <= e^t *)
have gi i : 19 / 39 <= g (margin W i) <= 20 / 39.
  have := le_abs (out i); set t := margin W i => t20; have e1 := exp_ge_1 t; have e2 := exp_ge_1 (- t); have e3 := exp_inv t.
  have ep := exp_pos t; have up : exp t <= 20 / 19 by nra.
  by rewrite /g; split; [rewrite -(Rinv_inv (19 / 39)) | rewrite -(Rinv_inv (20 / 39))]; apply: inv_le; lra.
(* θ <= 1/3 *)
have near : n * M <= / 3 * R_min ^ 2.
  move: po; rewrite /p_orthogonal => po; have M0 : 0 <= n * M by have := the M_ge0; pos.
  have : 3 <= p * ratio ^ 2 by nra.
  by move=> p3'; have := Rmult_le_compat_r _ _ _ M0 p3'; lra.
pose S := the (∑_(i < n) norm (x i) ^ 2); pose P := the (∑_(i < n) norm (x i) ^ 2 * slope W i).
pose Q := the (∑_(i < n) norm (x i) ^ 2 * slope W i ^ 2).
have P4 : P > / 4 * S.
  apply: Rlt_le_trans act _; apply: sum_le => i; apply: Rmult_le_compat_l; first exact: pow2_ge_0.
  apply: mean_le m_pos _ => j; case: Rlt_dec => [h|_] /=; first by rewrite (phi'_pos h); lra.
  by have := the (phi'_range ⟨W j, x i⟩); have := the gamma_range; lra.
have PSQ : P ^ 2 <= S * Q.
  have := CS (fun i => norm (x i)) (fun i => norm (x i) * slope W i); rewrite /dot.
  rewrite (sum_ext (P := fun i => norm (x i) * norm (x i)) (Q := fun i => norm (x i) ^ 2)) => [|i]; last by ring.
  rewrite (sum_ext (P := fun i => norm (x i) * (norm (x i) * slope W i)) (Q := fun i => norm (x i) ^ 2 * slope W i)) => [|i]; last by ring.
  by rewrite (sum_ext (P := fun i => norm (x i) * slope W i * (norm (x i) * slope W i)) (Q := fun i => norm (x i) ^ 2 * slope W i ^ 2)) => [|i]; last by ring.
have Sge : n * R_min ^ 2 <= S.
  rewrite -sum_const; apply: sum_le => i; apply: pow_incr; have := the (R_min_le i); lra.
have Rm2 : 0 < R_min ^ 2 by pos.
have S0 : 0 < S by have : 0 < n * R_min ^ 2 by [pos]; lra.
have PQ : P <= 4 * Q by nra.
(* the gradient *)
pose G : mat m d := fun j k => - grad_L W j k; pose C := the (fun j i => g (margin W i) / n * phi' ⟨W j, x i⟩).
have GC : G = rows C := neg_grad W.
have F2 : normF G ^ 2 <= 4 / 3 * (20 / 39 / n) ^ 2 * P.
  rewrite GC rows_F; apply: (Rle_trans _ (/ m * ∑_(j < m) 4 / 3 * ∑_(i < n) C j i ^ 2 * norm (x i) ^ 2)).
    by apply: mean_le m_pos _ => j; have [_] := the (gram_rows (C j) (theta := / 3) ltac:(lra) near); lra.
  rewrite sum_mull sum_exch /P -!sum_mull; apply: sum_le => i; rewrite sum_mulr.
  have : / m * ∑_(j < m) C j i ^ 2 <= (20 / 39 / n) ^ 2 * slope W i.
    apply: (Rle_trans _ (/ m * ∑_(j < m) (20 / 39 / n) ^ 2 * phi' ⟨W j, x i⟩)); last by rewrite sum_mull /slope; right; ring.
    apply: mean_le m_pos _ => j; rewrite /C; have := the (phi'_range ⟨W j, x i⟩); have := the gamma_range.
    have g0 : 0 <= g (margin W i) / n <= 20 / 39 / n by have := gi i; have : 0 < / n by [pos]; rewrite /Rdiv; nra.
    by have := pow_incr _ _ 2 g0; rewrite Rpow_mult_distr; have := pow2_ge_0 (g (margin W i) / n); nra.
  by have := pow2_ge_0 (norm (x i)); nra.
have N2 : 2 / 3 * ((19 / 39 / n) ^ 2 * Q) <= norm2 G ^ 2.
  have avgC i : avg C i = g (margin W i) / n * slope W i by rewrite /avg /C sum_mull /slope; ring.
  have [low _] := the (gram_rows (avg C) (theta := / 3) ltac:(lra) near).
  have := pow_incr _ _ 2 (conj (norm_ge0 _) (the (rows_2 C))); rewrite -GC => up.
  apply: Rle_trans up; apply: Rle_trans low.
  have -> : 1 - / 3 = 2 / 3 by field.
  apply: Rmult_le_compat_l; first lra; rewrite /Q -sum_mull; apply: sum_le => i; rewrite avgC.
  have g0 : 0 <= 19 / 39 / n <= g (margin W i) / n by have := gi i; have : 0 < / n by [pos]; rewrite /Rdiv; nra.
  have := pow_incr _ _ 2 g0; rewrite Rpow_mult_distr; have : 0 <= norm (x i) ^ 2 * slope W i ^ 2 by apply: Rmult_le_pos; apply: pow2_ge_0.
  nra.
have k0 : 0 < (/ 39 / n) ^ 2 by pos.
have k1 t : (t / 39 / n) ^ 2 = t ^ 2 * (/ 39 / n) ^ 2 by field; lra.
rewrite !k1 in F2 N2; set k := (/ 39 / n) ^ 2 in k0 k1 F2 N2.
have D0 : R_min / (12 * sqrt n) <= norm2 G.
  apply: sq_le; first exact: norm2_ge0.
  have -> : (R_min / (12 * sqrt n)) ^ 2 = R_min ^ 2 / (144 * n).
    by rewrite -{2}(sqrt_sqrt n); [field; lra | lra].
  have kn : 1521 * n * (n * k) = 1 by rewrite /k; field; lra.
  apply: div_le; first lra; nra.
have SRG : SR G <= 9 by apply: div_le; [have : 0 < k * Q by [pos]; nra | nra].
have G0 : 0 < norm2 G by apply: Rlt_le_trans D0; pos.
have alG : 0 < al by lra.
rewrite step; pose E : mat m d := fun j k => al * G j k.
have [||| nz [le _]] := @lem_perturbation _ _ W E (/ 26).
- by apply: norm2_zero; rewrite norm2_scal ?(Rabs_right al); [pos | lra | lra].
- lra.
- rewrite norm2_scal ?(Rabs_right al); [ | lra | lra]; apply: Rle_trans small2 _; apply: Rle_trans (Rmin_r _ _) _.
  have -> : alpha_min * R_min / (312 * sqrt n) = / 26 * (alpha_min * (R_min / (12 * sqrt n))) by field; lra.
  by apply: Rmult_le_compat_l; [lra | apply: Rmult_le_compat; pos].
split=> //; apply: Rle_trans le _; rewrite SR_scal //; last lra.
have : sqrt (SR G) <= 3.
  have -> : 3 = sqrt 9 by rewrite -(sqrt_pow2 3); [congr sqrt; ring | lra].
  exact: sqrt_le_1_alt.
have := sqrt_pos (SR G) => s1 s3; have -> : 10 = sqrt 10 ^ 2 by rewrite pow2_sqrt; lra.
apply: (Rle_trans _ ((79 / 25) ^ 2)); last by rewrite pow2_sqrt; lra.
by apply: pow_incr; split; [pos | apply: div_le; lra].
Qed.
