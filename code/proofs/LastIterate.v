(** * Sharp rates: the mean loss without the sample size, and the last iterate *)
Require Export Book.Loss.
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

(** ** The last iterate, where margins are convex in the weights *)
Section Convex.
Context {D : data} {N : network} {S : separable D}.
Hypothesis convex : gamma = 1 \/ forall i j, y i * a j > 0.
Implicit Types X E : mat m d.

(* φ'(t) is a subgradient of φ at t *)
Lemma phi_convex t u : phi t + phi' t * u <= phi (t + u).
Proof.
rewrite -(phi_hom t); have := the (phi'_range t); move: (phi' t) => s [s0 s1].
have gr := the gamma_range; have := the (Rmax_l (t + u) (gamma * (t + u))); have := the (Rmax_r (t + u) (gamma * (t + u))).
by rewrite -/(phi (t + u)); case: (Rle_lt_dec 0 (t + u)) => h; nra.
Qed.
Lemma margin_convex X E i : margin X i + y i * ⟪grad_f X (x i), E⟫ <= margin (madd X E) i.
Proof.
rewrite /margin mdot_grad_f /f -!sum_mull -sum_plus; apply: sum_le => j.
have -> : ⟨madd X E j, x i⟩ = ⟨X j, x i⟩ + ⟨E j, x i⟩.
  by rewrite /dot -sum_plus; apply: sum_ext => k; rewrite /madd; ring.
have := the (phi_convex ⟨X j, x i⟩ ⟨E j, x i⟩); rewrite (dotC (x i)).
move: (⟨X j, x i⟩) (⟨E j, x i⟩) => t u sub; case: convex => [g1 | pos_ya].
  have gr := the phi'0_range; have lin q : phi q = q by rewrite /phi g1 Rmult_1_l Rmax_left; lra.
  have sl q : phi' q = 1 by have := the (phi'_range q); lra.
  by rewrite !lin sl; lra.
by have := pos_ya i j; nra.
Qed.
(* so the loss has the quadratic upper bound of a smooth function *)
Lemma L_upper X E : Lhat (madd X E) <= Lhat X + ⟪grad_L X, E⟫ + normF E ^ 2 / 8.
Proof.
have -> : ⟪grad_L X, E⟫ = - (/ n * ∑_(i < n) g (margin X i) * (y i * ⟪grad_f X (x i), E⟫)) by rewrite -mdot_grad_L; ring.
have -> : normF E ^ 2 / 8 = / n * ∑_(i < n) (normF E ^ 2 / 8) by rewrite (@mean_const n _ n_pos).
rewrite /Lhat; set A := ∑_(i < n) loss (margin X i); set B := ∑_(i < n) _ * _; set Q := ∑_(i < n) (normF E ^ 2 / 8).
have -> : / n * A + - (/ n * B) + / n * Q = / n * (A - B + Q) by ring.
rewrite /A /B /Q -sum_minus -sum_plus; apply: mean_le => [|i]; first exact: n_pos.
apply: Rle_trans (loss_decr (margin_convex X E i)) _.
have [_ up] := loss_taylor (margin X i) (y i * ⟪grad_f X (x i), E⟫).
have : (y i * ⟪grad_f X (x i), E⟫) ^ 2 <= normF E ^ 2.
  by rewrite -pow2_abs; apply: pow_incr; split; [exact: Rabs_pos | exact: slope_le].
lra.
Qed.
Lemma descent (r : run D N) t : Lhat (W t.+1) <= Lhat (W t) - alpha * (1 - alpha / 8) * normF (grad_L (W t)) ^ 2.
Proof.
pose E := the (fun j k => - alpha * grad_L (W t) j k).
have -> : W t.+1 = madd (W t) E by apply: mat_ext => j k; rewrite /madd /E /W /=; ring.
apply: Rle_trans (L_upper _ _) _.
rewrite /E mdotC mdot_scal -normF_sq normF_scal Rpow_mult_distr pow2_abs; lra.
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
End Convex.

Proposition prp_last_iterate (D : data) (N : network) (S : separable D) (r : run D N) :
  (gamma = 1 \/ forall i j, y i * a j > 0) -> alpha < 8 ->
  (forall t, Lhat (W t.+1) < Lhat (W t)) /\
  (forall T lambda, (1 <= T)%N -> lambda >= - alpha / 2 ->
   Lhat (W T.-1) <= loss lambda + (c * F 0 + lambda + alpha / 2) ^ 2 / (2 * alpha * c ^ 2 * T)) /\
  forall s t : nat, Lhat (W s) <= ln 2 / n -> (s < t)%N ->
  Lhat (W t) <= (2 * ln 2) ^ 2 / (alpha * (1 - alpha / 8) * c ^ 2 * (t - s)).
Proof.
move=> convex a8; have a0 := the alpha_pos; have cr := the c_range.
have rate : 0 < alpha * (1 - alpha / 8) by apply: Rmult_lt_0_compat; lra.
have grad t : c * Ghat (W t) <= normF (grad_L (W t)) by have [] := eq_gradient_size S (W t).
have cG t : 0 < c * Ghat (W t) by have := the (Ghat_gt0 (W t)) => ?; apply: Rmult_lt_0_compat; lra.
have drop t : Lhat (W t.+1) <= Lhat (W t) - alpha * (1 - alpha / 8) * (c * Ghat (W t)) ^ 2.
  apply: Rle_trans (descent convex r t) _.
  have : (c * Ghat (W t)) ^ 2 <= normF (grad_L (W t)) ^ 2 by apply: pow_incr; split; [have := cG t; lra | ].
  by nra.
have decr t : Lhat (W t.+1) < Lhat (W t).
  by have := drop t; have := Rmult_lt_0_compat _ _ rate (pow_lt _ 2 (cG t)); lra.
have mono s k : Lhat (W (k + s)%N) <= Lhat (W s).
  by elim: k => [|k IH]; [rewrite add0n; lra | have := decr (k + s)%N; rewrite addSn; lra].
split=> //; split=> [T lambda T1 hl | s t hs st].
  apply: Rle_trans (mean_loss T1 hl); rewrite -[X in X <= _](@mean_const T _ T1); apply: mean_le => // k.
  by have := mono k (T.-1 - k)%N; rewrite subnK // -ltnS prednK.
(* 1/L grows by at least K at each step *)
have l2 : 0 < ln 2 by rewrite -ln_1; apply: ln_increasing; lra.
pose K := the (alpha * (1 - alpha / 8) * c ^ 2 / (2 * ln 2) ^ 2).
have K0 : 0 < K by apply: Rdiv_lt_0_compat; [apply: Rmult_lt_0_compat => //; pos | pos].
have L0 k : 0 < Lhat (W k) by have := the (G_le_L (W k)); have := the (Ghat_gt0 (W k)); lra.
have quad k : Lhat (W (k + s).+1) <= Lhat (W (k + s)%N) - K * Lhat (W (k + s)%N) ^ 2.
  apply: Rle_trans (drop _) _; have chord := the (L_chord (Rle_trans _ _ _ (mono s k) hs)).
  have : Lhat (W (k + s)%N) ^ 2 <= (2 * ln 2 * Ghat (W (k + s)%N)) ^ 2 by apply: pow_incr; split; [exact: Rlt_le | ].
  move=> h; have := Rmult_le_compat_l _ _ _ (Rlt_le _ _ K0) h.
  have -> : K * (2 * ln 2 * Ghat (W (k + s)%N)) ^ 2 = alpha * (1 - alpha / 8) * (c * Ghat (W (k + s)%N)) ^ 2 by rewrite /K; field; lra.
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
have -> : (2 * ln 2) ^ 2 / (alpha * (1 - alpha / 8) * c ^ 2 * (t - s)) = 1 / (K * (t - s)).
  by rewrite /K; field; repeat split; lra.
apply: le_div; first by pos.
by have := inv (t - s)%N; rewrite subnK ?(ltnW st) // minus_INR; [lra | apply/leP; apply: ltnW].
Qed.
