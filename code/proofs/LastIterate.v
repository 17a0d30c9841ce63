(** * Sharp rates: the mean loss without the sample size, and the last iterate *)
Require Export Book.Loss.
Require Import Book.Problem2.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Section MeanLoss.
Context {D : data} {N : network} {S : separable D} {r : run D N}.
(* ‖W(t) - ρ V‖²; one step changes it by at most 2 α (ℓ(λ) - L̂(W(t))) when ρ c = λ + α/2 *)
Let dist rho t := F t ^ 2 - 2 * rho * H t + rho ^ 2.
Lemma dist_step rho lambda t : 0 <= rho -> rho * c = lambda + alpha / 2 ->
  dist rho t.+1 <= dist rho t + 2 * alpha * (loss lambda - Lhat (W t)).
Proof.
move=> rho0 e; rewrite /dist square_step; have a0 := the alpha_pos; have pr := thm_progress S r t.
have G0 := the (Ghat_gt0 (W t)); have G1 := the (Ghat_lt1 (W t)).
set Z := / n * _; have convex : Z - lambda * Ghat (W t) <= loss lambda - Lhat (W t).
  have -> : Z - lambda * Ghat (W t) = / n * ∑_(i < n) (g (margin (W t) i) * margin (W t) i - lambda * g (margin (W t) i)).
    by rewrite sum_minus sum_mull /Z /Ghat; ring.
  rewrite -[loss lambda](@mean_const n _ n_pos) /Lhat -Rmult_minus_distr_l -sum_minus.
  by apply: mean_le => [|i]; [exact: n_pos | have := loss_convex (the (margin (W t) i)) lambda; lra].
have grad : alpha ^ 2 * normF (grad_L (W t)) ^ 2 <= alpha ^ 2 * Ghat (W t).
  apply: Rmult_le_compat_l; first pos.
  by have := the (grad_L_le (W t)); have := normF_ge0 (the (grad_L (W t))); nra.
have : rho * (c * alpha * Ghat (W t)) <= rho * (H t.+1 - H t) by apply: Rmult_le_compat_l; lra.
have -> : rho * (c * alpha * Ghat (W t)) = (lambda + alpha / 2) * alpha * Ghat (W t) by rewrite -e; ring.
by nra.
Qed.
Lemma mean_loss (T : nat) lambda : (1 <= T)%N -> lambda >= - alpha / 2 ->
  mean T (fun t => Lhat (W t)) <= loss lambda + (c * F 0 + lambda + alpha / 2) ^ 2 / (2 * alpha * c ^ 2 * T).
Proof.
move=> T1 hl; have T0 := nat_gt0 T1; have a0 := the alpha_pos; have cr := the c_range.
pose rho := the ((lambda + alpha / 2) / c); have rho0 : 0 <= rho by apply: le_div; lra.
have e : rho * c = lambda + alpha / 2 by rewrite /rho; field; lra.
have sum_steps k : dist rho k <= dist rho 0 + 2 * alpha * (k * loss lambda - ∑_(t < k) Lhat (W t)).
  elim: k => [|k IH]; first by rewrite sum0 /=; lra.
  by rewrite (sumS k (fun t => Lhat (W t))) S_INR; have := dist_step k rho0 e; lra.
have last : 0 <= dist rho T.
  have [_ h] := the (le_abs (H_le_F T)); have FT := the (F_ge0 T).
  by have : 0 <= (F T - rho) ^ 2 by [pos]; rewrite /dist; nra.
have first : dist rho 0 <= (F 0 + rho) ^ 2 by have [h _] := the (le_abs (H_le_F 0)); rewrite /dist; nra.
have -> : (c * F 0 + lambda + alpha / 2) ^ 2 / (2 * alpha * c ^ 2 * T) = (F 0 + rho) ^ 2 / (2 * alpha * T).
  by rewrite /rho; field; lra.
have aT : 0 < 2 * alpha * T by repeat pos.
apply: (Rmult_le_reg_l (2 * alpha * T)) => //.
have -> : 2 * alpha * T * mean T (fun t => Lhat (W t)) = 2 * alpha * ∑_(t < T) Lhat (W t) by rewrite /mean; field; lra.
have -> : 2 * alpha * T * (loss lambda + (F 0 + rho) ^ 2 / (2 * alpha * T)) = 2 * alpha * (T * loss lambda) + (F 0 + rho) ^ 2 by field; lra.
by have := sum_steps T; lra.
Qed.
End MeanLoss.

Proposition prp_loss_free_of_n (D : data) (N : network) (S : separable D) (r : run D N) (T : nat)
    (L := mean T (fun t => Lhat (W t))) : (1 <= T)%N ->
  (forall lambda, lambda >= - alpha / 2 ->
   L <= loss lambda + (c * F 0 + lambda + alpha / 2) ^ 2 / (2 * alpha * c ^ 2 * T)) /\
  forall eps, 0 < eps <= 2 -> T >= (c * F 0 + ln (2 / eps) + alpha / 2) ^ 2 / (alpha * c ^ 2 * eps) ->
  L <= eps /\ exists t, (t < T)%N /\ Lhat (W t) <= eps.
Proof.
move=> T1; split=> [lambda | eps e02 hT]; first exact: mean_loss.
have T0 := nat_gt0 T1; have a0 := the alpha_pos; have cr := the c_range.
suff Le : L <= eps by split=> //; apply: small_term T1 Le.
have l0 : 0 <= ln (2 / eps) by rewrite -ln_1; apply: ln_le; [lra | apply: le_div; lra].
apply: Rle_trans (mean_loss (lambda := ln (2 / eps)) T1 _) _; first lra.
have half : loss (ln (2 / eps)) <= eps / 2.
  rewrite /loss -ln_Rinv ?exp_ln; [ | pos | pos].
  by have -> : / (2 / eps) = eps / 2 by [field; lra]; have := @ln_le_sub1 (1 + eps / 2) ltac:(lra); lra.
have ac : 0 < alpha * c ^ 2 by repeat pos.
have den : 0 < alpha * c ^ 2 * eps by apply: Rmult_lt_0_compat; lra.
have := ge_div den hT; set Q := (_ + _) ^ 2 => hQ.
have : Q / (2 * alpha * c ^ 2 * T) <= eps / 2.
  by apply: div_le; [have : 0 < alpha * c ^ 2 * T by [pos]; lra | lra].
by lra.
Qed.

(** ** The last iterate, where the kinks are mild: they cost a margin at most chi times the length of a step *)
Section Mild.
Context {D : data} {N : network} {S : separable D}.
Implicit Types X E : mat m d.

(* a chord of φ is no steeper than 1; it is above the tangent, by at most 1 - γ times its length *)
Lemma phi_chord t u : Rabs (phi (t + u) - phi t) <= Rabs u /\ 0 <= phi (t + u) - (phi t + phi' t * u) <= (1 - gamma) * Rabs u.
Proof.
have gr := the gamma_range; have := the (phi'_range t); have := the (phi_hom t); move: (phi' t) => s pt [s0 s1].
have [tl tg] : t <= t * s /\ gamma * t <= t * s by rewrite pt; split; [exact: Rmax_l | exact: Rmax_r].
have ul := Rle_abs u; have ug := Rle_abs (- u); rewrite Rabs_Ropp in ug; rewrite -pt.
have up : (1 - s) * u <= (1 - s) * Rabs u by apply: Rmult_le_compat_l; lra.
have dn : (s - gamma) * - u <= (s - gamma) * Rabs u by apply: Rmult_le_compat_l; lra.
have su : s * - u <= s * Rabs u by apply: Rmult_le_compat_l; lra.
have gu : gamma * u <= gamma * Rabs u by apply: Rmult_le_compat_l; lra.
have [u0 [? ?]] : 0 <= Rabs u /\ (1 - s) * Rabs u <= (1 - gamma) * Rabs u /\ (s - gamma) * Rabs u <= (1 - gamma) * Rabs u.
  by split; first exact: Rabs_pos; split; apply: Rmult_le_compat_r; lra || exact: Rabs_pos.
have [? ?] : s * Rabs u <= Rabs u /\ gamma * Rabs u <= Rabs u by split; nra.
case: (Rle_lt_dec 0 (t + u)) => h.
  have -> : phi (t + u) = t + u by rewrite /phi Rmax_left //; nra.
  have : 0 <= (1 - s) * (t + u) by [pos]; split; last lra.
  by apply: abs_le; lra.
have -> : phi (t + u) = gamma * (t + u) by rewrite /phi Rmax_right //; nra.
have : 0 <= (s - gamma) * - (t + u) by [pos]; split; last lra.
by apply: abs_le; lra.
Qed.

(* the numbers |⟨E_j, x_i⟩|, and their weighted sums *)
Let moves E i : vec m := fun j => Rabs ⟨E j, x i⟩.
Lemma moves_le E i w : ⟨w, moves E i⟩ <= norm w * normF E.
Proof.
apply: Rle_trans (CS_le _ _) _; apply: Rmult_le_compat_l; first exact: norm_ge0.
apply: sqrt_le_1_alt; apply: sum_le => j; rewrite /moves -Rabs_mult Rabs_right; last by apply: Rle_ge; apply: Rle_0_sqr.
have := CS (E j) (x i); have := dot_ge0 (E j); have : ⟨x i, x i⟩ <= 1.
  by rewrite -norm_sq; have := the (x_norm i); have := norm_ge0 (x i); nra.
by move=> ? ?; nra.
Qed.
Lemma dot_madd X E j i : ⟨madd X E j, x i⟩ = ⟨X j, x i⟩ + ⟨E j, x i⟩.
Proof. by rewrite /dot -sum_plus; apply: sum_ext => k; rewrite /madd; ring. Qed.
Lemma margin_lip X E i : Rabs (margin (madd X E) i - margin X i) <= normF E.
Proof.
rewrite /margin -Rmult_minus_distr_l y_abs /f -sum_minus; apply: Rle_trans (sum_abs _) _.
have a1 : norm (fun j => Rabs (a j)) = 1.
  rewrite /norm -sqrt_1 -a_norm; congr sqrt; apply: sum_ext => j.
  by rewrite -Rabs_mult Rabs_right // a_sq; apply: Rle_ge; have := the m_gt0 => ?; pos.
rewrite -[X in _ <= X]Rmult_1_l -a1; apply: Rle_trans (moves_le _ i _); apply: sum_le => j.
rewrite -Rmult_minus_distr_l Rabs_mult dot_madd; apply: Rmult_le_compat_l; first exact: Rabs_pos.
by have [] := phi_chord ⟨X j, x i⟩ ⟨E j, x i⟩.
Qed.

(* the largest share of neurons on the wrong side *)
Let wrong i := / m * ∑_(j < m) if Rlt_dec (y i * a j) 0 then 1 else 0.
Let chi := (1 - gamma) * sqrt (\big[Rmax/0]_(i < n) wrong i).
Lemma chi_ge0 : 0 <= chi.
Proof. by have := the gamma_range; have := sqrt_pos (\big[Rmax/0]_(i < n) wrong i); rewrite /chi; nra. Qed.
Lemma margin_mild X E i : margin X i + y i * ⟪grad_f X (x i), E⟫ - chi * normF E <= margin (madd X E) i.
Proof.
have gr := the gamma_range; pose w j := the (if Rlt_dec (y i * a j) 0 then Rabs (a j) else 0).
have nw : norm w <= sqrt (\big[Rmax/0]_(i < n) wrong i).
  apply: sqrt_le_1_alt; apply: Rle_trans _ (@bigmax_ge _ xpredT wrong 0 i erefl).
  right; rewrite /wrong -sum_mull; apply: sum_ext => j; rewrite /w; case: Rlt_dec => h /=; last ring.
  by rewrite -Rabs_mult Rabs_right a_sq; [ring | apply: Rle_ge; have := the m_gt0 => ?; pos].
have cost : (1 - @gamma N) * ⟨w, moves E i⟩ <= chi * normF E.
  rewrite /chi Rmult_assoc; apply: Rmult_le_compat_l; first lra.
  apply: Rle_trans (moves_le _ _ _) _; apply: Rmult_le_compat_r => //; exact: normF_ge0.
suff : margin X i + y i * ⟪grad_f X (x i), E⟫ - (1 - @gamma N) * ⟨w, moves E i⟩ <= margin (madd X E) i by lra.
rewrite /margin mdot_grad_f /f -!sum_mull -sum_plus -sum_minus; apply: sum_le => j.
rewrite dot_madd (dotC (x i)) /moves /w; have [_] := phi_chord ⟨X j, x i⟩ ⟨E j, x i⟩.
set u := ⟨E j, x i⟩; move: (phi' _) (phi (_ + u)) => s p; move: (phi _) => q -[low up].
have ya : Rabs (y i * a j) = Rabs (a j) by exact: y_abs.
case: Rlt_dec => h /=; first by rewrite -ya (Rabs_left (y i * a j)) //; nra.
by nra.
Qed.
(* so the loss has an upper bound like that of a smooth function *)
Lemma L_upper X E : Lhat (madd X E) <= Lhat X + ⟪grad_L X, E⟫ + chi * Ghat X * normF E + normF E ^ 2 / 8.
Proof.
pose q i := the (g (margin X i) * (y i * ⟪grad_f X (x i), E⟫)); have E0 := normF_ge0 E.
have -> : Lhat X + ⟪grad_L X, E⟫ + chi * Ghat X * normF E + normF E ^ 2 / 8
  = / n * ∑_(i < n) (loss (margin X i) - q i + chi * normF E * g (margin X i) + normF E ^ 2 / 8).
  have e : ⟪grad_L X, E⟫ = - (/ n * ∑_(i < n) q i) by rewrite -mdot_grad_L; ring.
  by rewrite !sum_plus sum_opp sum_mull Rmult_plus_distr_l (@mean_const n _ n_pos) e /Lhat /Ghat; ring.
apply: mean_le => [|i]; first exact: n_pos.
have [_ up] := loss_taylor (margin X i) (margin (madd X E) i - margin X i); rewrite Rplus_minus in up.
have sq : (margin (madd X E) i - margin X i) ^ 2 <= normF E ^ 2.
  by rewrite -pow2_abs; apply: pow_incr; split; [exact: Rabs_pos | exact: margin_lip].
have := Rmult_le_compat_l _ _ _ (Rlt_le _ _ (g_gt0 (margin X i))) (margin_mild X E i); rewrite /q; lra.
Qed.
Lemma descent (r : run D N) t :
  Lhat (W t.+1) <= Lhat (W t) - alpha * (1 - chi / c - alpha / 8) * normF (grad_L (W t)) ^ 2.
Proof.
pose E := the (fun j k => - alpha * grad_L (W t) j k); have a0 := the alpha_pos; have cr := the c_range.
have -> : W t.+1 = madd (W t) E by apply: mat_ext => j k; rewrite /madd /E /W /=; ring.
apply: Rle_trans (L_upper _ _) _; set G := normF (grad_L (W t)); have G0 : 0 <= G := normF_ge0 _.
have -> : normF E = alpha * G by rewrite normF_scal Rabs_Ropp Rabs_right //; lra.
have -> : ⟪grad_L (W t), E⟫ = - alpha * G ^ 2 by rewrite /E mdotC mdot_scal -normF_sq.
have [size _] := eq_gradient_size S (W t); rewrite -/G in size; have chi0 := chi_ge0.
have : chi * alpha * G * Ghat (W t) <= chi * alpha * G * (G / c).
  by apply: Rmult_le_compat_l; [pos | apply: le_div; lra].
rewrite /Rdiv; lra.
Qed.
(* while the loss is at most log 2 / n, all margins are positive and L̂ <= 2 log 2 Ĝ *)
Lemma L_chord X : Lhat X <= ln 2 / n -> Lhat X <= 2 * ln 2 * Ghat X.
Proof.
move=> h; have n0 := the n_gt0; have nL : n * Lhat X <= ln 2.
  have -> : ln 2 = n * (ln 2 / n) by field; lra.
  by apply: Rmult_le_compat_l; lra.
rewrite /Ghat -Rmult_assoc (Rmult_comm (2 * ln 2)) Rmult_assoc -sum_mull; apply: mean_le => [|i]; first exact: n_pos.
apply: loss_chord; have : loss (margin X i) <= ln 2.
  apply: Rle_trans nL; have -> : n * Lhat X = ∑_(i < n) loss (margin X i) by rewrite /Lhat; field; lra.
  by apply: (sum_ge_term (P := fun i => loss (margin X i))) => k; apply: loss_ge0.
rewrite loss_g => le; have g1 := g_lt1 (margin X i).
by have := exp_le (ltac:(lra) : - ln 2 <= ln (1 - g (margin X i))); rewrite exp_Ropp !exp_ln; lra.
Qed.
End Mild.

Proposition prp_mild_kinks (D : data) (N : network) (S : separable D) (r : run D N)
    (beta := \big[Rmax/0]_(i < n) (/ m * ∑_(j < m) if Rlt_dec (y i * a j) 0 then 1 else 0))
    (chi := (1 - gamma) * sqrt beta) : chi < c -> alpha < 8 * (1 - chi / c) ->
  (forall t, Lhat (W t.+1) < Lhat (W t)) /\
  (forall T lambda, (1 <= T)%N -> lambda >= - alpha / 2 ->
   Lhat (W T.-1) <= loss lambda + (c * F 0 + lambda + alpha / 2) ^ 2 / (2 * alpha * c ^ 2 * T)) /\
  forall s t : nat, Lhat (W s) <= ln 2 / n -> (s < t)%N ->
  Lhat (W t) <= (2 * ln 2) ^ 2 / (alpha * (1 - chi / c - alpha / 8) * c ^ 2 * (t - s)).
Proof.
move=> mild small; have a0 := the alpha_pos; have cr := the c_range.
have rate : 0 < 1 - chi / c - alpha / 8 by lra.
have grad t : c * Ghat (W t) <= normF (grad_L (W t)) by have [] := eq_gradient_size S (W t).
have cG t : 0 < c * Ghat (W t) by have := the (Ghat_gt0 (W t)) => ?; apply: Rmult_lt_0_compat; lra.
have drop t : Lhat (W t.+1) <= Lhat (W t) - alpha * (1 - chi / c - alpha / 8) * (c * Ghat (W t)) ^ 2.
  apply: Rle_trans (descent r t) _; rewrite -/beta -/chi.
  have : (c * Ghat (W t)) ^ 2 <= normF (grad_L (W t)) ^ 2 by apply: pow_incr; split; [have := cG t; lra | ].
  by have := Rmult_lt_0_compat _ _ a0 rate; nra.
move: (1 - chi / c - alpha / 8) rate drop => rho rate drop.
have decr t : Lhat (W t.+1) < Lhat (W t).
  by have := drop t; have := Rmult_lt_0_compat _ _ (Rmult_lt_0_compat _ _ a0 rate) (pow_lt _ 2 (cG t)); lra.
have mono s k : Lhat (W (k + s)%N) <= Lhat (W s).
  by elim: k => [|k IH]; [rewrite add0n; lra | have := decr (k + s)%N; rewrite addSn; lra].
split=> //; split=> [T lambda T1 hl | s t hs st].
  apply: Rle_trans (mean_loss T1 hl); rewrite -[X in X <= _](@mean_const T _ T1); apply: mean_le => // k.
  by have := mono k (T.-1 - k)%N; rewrite subnK // -ltnS prednK.
(* 1/L grows by at least K at each step *)
have l2 : 0 < ln 2 by rewrite -ln_1; apply: ln_increasing; lra.
pose K := the (alpha * rho * c ^ 2 / (2 * ln 2) ^ 2).
have K0 : 0 < K by rewrite /K; repeat pos.
have L0 k : 0 < Lhat (W k) by have := the (G_le_L (W k)); have := the (Ghat_gt0 (W k)); lra.
have quad k : Lhat (W (k + s).+1) <= Lhat (W (k + s)%N) - K * Lhat (W (k + s)%N) ^ 2.
  apply: Rle_trans (drop _) _; have chord := the (L_chord (Rle_trans _ _ _ (mono s k) hs)).
  have : Lhat (W (k + s)%N) ^ 2 <= (2 * ln 2 * Ghat (W (k + s)%N)) ^ 2 by apply: pow_incr; split; [exact: Rlt_le | ].
  move=> h; have := Rmult_le_compat_l _ _ _ (Rlt_le _ _ K0) h.
  have -> : K * (2 * ln 2 * Ghat (W (k + s)%N)) ^ 2 = alpha * rho * (c * Ghat (W (k + s)%N)) ^ 2 by rewrite /K; field; lra.
  lra.
have inv (k : nat) : K * k * Lhat (W (k + s)%N) <= 1.
  elim: k => [|k IH]; first by rewrite /=; lra.
  move: (L0 (k + s)%N) (L0 (k + s).+1) (quad k) IH; rewrite addSn S_INR; have k0 := pos_INR k.
  move: (Lhat (W (k + s)%N)) (Lhat (W (k + s).+1)) => L L' L_0 L'_0 q IH.
  apply: (Rmult_le_reg_r (1 + K * L)); first by nra.
  have : K * (k + 1) * (L' * (1 + K * L)) <= K * (k + 1) * L.
    by apply: Rmult_le_compat_l; [nra | have : 0 < K * L ^ 2 * (K * L) by [repeat pos]; nra].
  nra.
have ts : 0 < INR t - INR s by have := lt_INR s t (ltP st); lra.
have -> : (2 * ln 2) ^ 2 / (alpha * rho * c ^ 2 * (t - s)) = 1 / (K * (t - s)).
  by rewrite /K; field; repeat split; lra.
apply: le_div; first by pos.
by have := inv (t - s)%N; rewrite subnK ?(ltnW st) // minus_INR; [lra | apply/leP; apply: ltnW].
Qed.

Proposition prp_last_iterate (D : data) (N : network) (S : separable D) (r : run D N) :
  (gamma = 1 \/ forall i j, y i * a j > 0) -> alpha < 8 ->
  (forall t, Lhat (W t.+1) < Lhat (W t)) /\
  (forall T lambda, (1 <= T)%N -> lambda >= - alpha / 2 ->
   Lhat (W T.-1) <= loss lambda + (c * F 0 + lambda + alpha / 2) ^ 2 / (2 * alpha * c ^ 2 * T)) /\
  forall s t : nat, Lhat (W s) <= ln 2 / n -> (s < t)%N ->
  Lhat (W t) <= (2 * ln 2) ^ 2 / (alpha * (1 - alpha / 8) * c ^ 2 * (t - s)).
Proof.
move=> convex a8; have := (@prp_mild_kinks D N S r); cbv zeta; set chi := (1 - gamma) * _.
have chi0 : chi = 0.
  rewrite /chi; set beta := \big[Rmax/0]_(i < n) _; case: convex => [-> | right_side]; first ring.
  suff -> : beta = 0 by rewrite sqrt_0; ring.
  rewrite /beta; elim/big_ind: _ => // [u t -> -> | i _]; first by rewrite Rmax_left //; right.
  by rewrite sum_zero => [|j]; [ring | case: Rlt_dec => // h; have := right_side i j; lra].
have -> : 1 - chi / c = 1 by rewrite chi0 /Rdiv; ring.
by rewrite chi0; have cr := the c_range; apply; lra.
Qed.
