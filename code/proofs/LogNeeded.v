(** * Sharp rates: one sample among many, for which the logarithms are needed *)
Require Import Book.LowerBound Book.Problem2 Book.Loss.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** k samples ξ = (1/√2, 0) with label 1, one sample -ξ' = (1/√2, -δ) with label -1, and one neuron with a_1 = -1 *)
Definition last_of k (i : 'I_k.+1) := i == k :> nat.
Lemma rare_labels k (i : 'I_k.+1) : (if last_of i then -1 else 1) = 1 \/ (if last_of i then -1 else 1) = -1.
Proof. by case: last_of; [right | left]. Qed.
Definition rare k delta : data :=
  @Data k.+1 isT 2 (fun i => vec2 (/ sqrt 2) (if last_of i then - delta else 0)) (fun i => if last_of i then -1 else 1) (@rare_labels k).
Lemma root2 : / sqrt 2 * / sqrt 2 = / 2 /\ 0 < sqrt 2.
Proof.
have s0 : 0 < sqrt 2 by apply: sqrt_lt_R0; lra.
by split=> //; rewrite -Rinv_mult sqrt_sqrt; lra.
Qed.
Lemma sum_rare k P0 P1 : ∑_(i < k.+1) (if last_of i then P1 else P0) = k * P0 + P1.
Proof.
rewrite sum_last {2}/last_of eqxx -sum_const; congr (_ + _); apply: sum_ext => i.
by rewrite /last_of /= (ltn_eqF (ltn_ord i)).
Qed.
Lemma dot2 (u w : vec 2) : ⟨u, w⟩ = u ord0 * w ord0 + u ord_max * w ord_max.
Proof. by rewrite /dot !sum_last sum0 Rplus_0_l; congr (u _ * w _ + _); apply: val_inj. Qed.

Section Data.
Variables (k : nat) (delta : R) (hk : (0 < k)%N) (hd : 0 < delta) (hd2 : delta ^ 2 <= / 2).
Let D := rare k delta.
Lemma rare_dot (i j : 'I_(@n D)) : ⟨x i, x j⟩ = / 2 + if last_of i && last_of j then delta ^ 2 else 0.
Proof. by rewrite /= dot2 /vec2 /=; have [-> _] := root2; case: (last_of i); case: (last_of j) => /=; ring. Qed.
Lemma rare_norm (i : 'I_(@n D)) : norm (x i) <= 1.
Proof.
apply: sq_le; first lra; rewrite norm_sq rare_dot andbb; case: last_of; lra.
Qed.
Definition rare_v : vec 2 := vec2 (sqrt 2) (2 / delta).
Lemma rare_margin (i : 'I_(@n D)) : y i * ⟨rare_v, x i⟩ >= 1.
Proof.
have [_ s0] := root2; rewrite /= dot2 /rare_v /vec2 /=.
by case: last_of; right; field; lra.
Qed.
Definition rare_separable : separable D := Separable rare_norm rare_margin.
Lemma rare_max_margin : max_margin (D := D) rare_v.
Proof.
have [ss s0] := root2; split; first exact: rare_margin.
move=> u hu; have := hu ord0; have := hu ord_max; rewrite /= !dot2 /vec2 /last_of /= eqxx (ltn_eqF hk) => h1 h0.
apply: sq_le; first exact: norm_ge0; rewrite !norm_sq !dot2 /rare_v /vec2 /=.
have e : sqrt 2 * / sqrt 2 = 1 by field; lra.
have s2 : sqrt 2 * sqrt 2 = 2 by apply: sqrt_sqrt; lra.
have u0 : sqrt 2 <= u ord0 by nra.
have u1 : 2 / delta <= u ord_max by apply: div_le; lra.
have d0 : 0 < 2 / delta by pos.
by apply: Rplus_le_compat; apply: Rmult_le_compat; lra.
Qed.
End Data.

Section Dynamics.
Variables (k : nat) (delta gam slope al : R) (hs : -1 = 1 \/ -1 = -1) (hg : 0 < gam <= 1) (hp : gam <= slope <= 1).
Hypotheses (k5 : 5 <= k) (d2 : 0 < delta ^ 2 <= / 2) (a0 : 0 < al).
Let D := rare k delta.
Let Q := neuron hs hg hp.
Let n0 := k + 1.
Let W t := GD (D := D) (N := Q) (fun _ => al) (fun _ _ => 0) t.
(* with -u for the weights: p = ⟨u, ξ⟩ and q = ⟨u, ξ'⟩ *)
Let p t := - ⟨W t ord0, x (data := D) ord0⟩.
Let q t := ⟨W t ord0, x (data := D) ord_max⟩.
Let zp t := - phi (N := Q) (- p t).
Let zq t := phi (N := Q) (q t).
Let gp t := g (zp t) * phi' (N := Q) (- p t).
Let gq t := g (zq t) * phi' (N := Q) (q t).
Let k0 : (0 < k)%N. Proof. by apply: gt0_nat; lra. Qed.
Let first0 : last_of (k := k) ord0 = false. Proof. by rewrite /last_of /= (ltn_eqF k0). Qed.
Let lastm : last_of (k := k) ord_max = true. Proof. by rewrite /last_of /= eqxx. Qed.

Lemma row_dot t (i : 'I_k.+1) : ⟨W t ord0, x (data := D) i⟩ = if last_of i then q t else - p t.
Proof. by rewrite /p /q Ropp_involutive /= first0 lastm; case: last_of. Qed.
Lemma rare_margins t i : margin (D := D) (N := Q) (W t) i = if last_of i then zq t else zp t.
Proof. by rewrite /margin /f sum1 row_dot /zp /zq /=; case: last_of; ring. Qed.
Lemma rare_step t z : ⟨W t.+1 ord0, z⟩ = ⟨W t ord0, z⟩
  + al / n0 * (gq t * ⟨x (data := D) ord_max, z⟩ - k * gp t * ⟨x (data := D) ord0, z⟩).
Proof.
pose E : mat 1 2 := fun _ => z; have e X : ⟨X ord0, z⟩ = ⟪X, E⟫ by rewrite /mdot sum1.
rewrite (e (W t.+1)) (mdot_GD (D := D) (N := Q) (fun _ => al) _ t E) -/(W t) -e mdot_grad_L /Rdiv Rmult_assoc; congr (_ + _ * _).
rewrite (sum_ext (Q := fun i : 'I_k.+1 => if last_of i then gq t * ⟨x (data := D) ord_max, z⟩ else - gp t * ⟨x (data := D) ord0, z⟩)).
  by rewrite sum_rare [@n D]/= S_INR /Rdiv /n0; ring.
move=> i; rewrite rare_margins mdot_grad_f sum1 row_dot /E /= first0 lastm /gp /gq.
by case: last_of; ring.
Qed.
Lemma p_step t : p t.+1 = p t + al / n0 * (k * gp t - gq t) / 2.
Proof. by rewrite /p rare_step !rare_dot first0 lastm /=; field; rewrite /n0; lra. Qed.
Lemma q_step t : q t.+1 = q t + al / n0 * (gq t * (1 + 2 * delta ^ 2) - k * gp t) / 2.
Proof. by rewrite /q rare_step !rare_dot first0 lastm /=; field; rewrite /n0; lra. Qed.
Lemma start : p 0 = 0 /\ q 0 = 0.
Proof. by rewrite /p /q /W /= !dot2; split; ring. Qed.
Lemma rare_mean (P : R -> R) t : / @n D * ∑_(i < @n D) P (margin (D := D) (N := Q) (W t) i) = (k * P (zp t) + P (zq t)) / n0.
Proof.
rewrite (sum_ext (Q := fun i : 'I_k.+1 => if last_of i then P (zq t) else P (zp t))) => [|i]; last by rewrite rare_margins; case: last_of.
by rewrite sum_rare [@n D]/= S_INR /Rdiv /n0; ring.
Qed.

Variable c : R.
Hypothesis hc : gam ^ 2 * delta ^ 2 <= 5 * c ^ 2.
Let h := ln ((n0 - 3) / 2).
Let N0 : 0 < al / n0. Proof. by rewrite /n0; pos. Qed.
Lemma g_half z : z < 0 -> / 2 < g z.
Proof. by move=> z0; have := g_mul z; have := exp_increasing _ _ z0; have := g_gt0 z; rewrite exp_0; nra. Qed.
Lemma rare_start : p 1 + q 1 = al / n0 * (slope * delta ^ 2 / 2) /\ q 1 < 0.
Proof.
have [pz qz] := start; have s0 : 0 < slope by lra.
have g0 : g 0 = / 2 by rewrite /g exp_0; congr Rinv; ring.
have f0 : phi (N := Q) 0 = 0 by rewrite /phi Rmult_0_r Rmax_left; lra.
have [gpe gqe] : gp 0 = slope / 2 /\ gq 0 = slope / 2.
  by rewrite /gp /gq /zp /zq pz qz Ropp_0 f0 Ropp_0 g0 phi'_0 /=; split; field.
rewrite p_step q_step pz qz gpe gqe; split; first field; first by rewrite /n0; lra.
have : 0 < al / n0 * slope by [pos]; nra.
Qed.
(* while q < 0 < p + q, the slopes are γ *)
Lemma slopes t : q t < 0 -> 0 < p t + q t ->
  zp t = gam * p t /\ zq t = gam * q t /\ gp t = g (zp t) * gam /\ gq t = g (zq t) * gam /\ / 2 < g (zq t).
Proof.
move=> q0 pq0; have zpe : zp t = gam * p t by rewrite /zp /phi /= Rmax_right; nra.
have zqe : zq t = gam * q t by rewrite /zq /phi /= Rmax_right; nra.
split=> //; split=> //; rewrite /gp /gq !phi'_neg //=; last lra.
by do 2![split=> //]; apply: g_half; rewrite zqe; nra.
Qed.
(* so p + q creeps up *)
Lemma creep T : (forall s, (s < T)%N -> q s.+1 < 0) ->
  0 < p T.+1 + q T.+1 /\ gam * (p T.+1 + q T.+1) <= al / n0 * (/ 4 + T * (5 * c ^ 2)).
Proof.
elim: T => [_ | T IH neg].
  have [-> _] := rare_start; split; first by have : 0 < slope by [lra] => ?; repeat pos; lra.
  rewrite /= Rmult_0_l Rplus_0_r -Rmult_assoc (Rmult_comm gam) Rmult_assoc; apply: Rmult_le_compat_l; nra.
have [pq le] := IH (fun s sT => neg s (ltnW sT)).
have [_ [_ [_ [gqe half]]]] := slopes (neg T (leqnn _)) pq; have g1 := g_lt1 (zq T.+1).
have -> : p T.+2 + q T.+2 = p T.+1 + q T.+1 + al / n0 * (g (zq T.+1) * (gam * delta ^ 2)).
  by rewrite p_step q_step gqe; field; rewrite /n0; lra.
have gd : 0 < gam * delta ^ 2 by apply: Rmult_lt_0_compat; lra.
have : 0 < al / n0 * (g (zq T.+1) * (gam * delta ^ 2)) by repeat pos.
split; first lra.
rewrite S_INR Rmult_plus_distr_l.
have : al / n0 * (g (zq T.+1) * (gam ^ 2 * delta ^ 2)) <= al / n0 * (1 * (5 * c ^ 2)).
  apply: Rmult_le_compat_l; first lra; apply: Rmult_le_compat; try lra; nra.
lra.
Qed.
(* q turns positive only where ξ is fitted to a margin of h *)
Lemma crossing T : (forall s, (s < T)%N -> q s.+1 < 0) \/ h - al / n0 < al / n0 * (T * (5 * c ^ 2)).
Proof.
have c0 := pow2_ge_0 c; elim: T => [|T [neg | lt]]; first by left.
  case: (Rlt_le_dec (q T.+1) 0) => qT.
    by left=> s; rewrite ltnS leq_eqVlt => /orP [/eqP -> // | /neg].
  right; case: T neg qT => [_ | T neg qT]; first by have [_ ?] := rare_start; lra.
  have [pq _] := creep (fun s sT => neg s (ltnW sT)); have [_ up] := creep neg.
  have [zpe [zqe [gpe [gqe half]]]] := slopes (neg T (leqnn _)) pq.
  move: up qT (neg T (leqnn _)); rewrite p_step q_step gpe gqe -[INR T.+2]/(INR T.+1 + 1) => up qT qn.
  have rise : 0 < al / n0 * ((g (zq T.+1) * (1 + 2 * delta ^ 2) - k * g (zp T.+1)) * gam) / 2 by lra.
  have : 0 < g (zq T.+1) * (1 + 2 * delta ^ 2) - k * g (zp T.+1).
    apply: (Rmult_lt_reg_l (al / n0 * gam / 2)); last lra.
    by apply: Rmult_lt_0_compat; last lra; apply: Rmult_lt_0_compat; lra.
  have g1 := g_lt1 (zq T.+1) => rise'; have kg : k * g (zp T.+1) < 2 by nra.
  have : h < zp T.+1.
    rewrite -(ln_exp (zp T.+1)); apply: ln_increasing; first by rewrite /n0; lra.
    by have := g_mul (zp T.+1); have := g_gt0 (zp T.+1); rewrite /n0; nra.
  have : al / n0 * (gam * (g (zq T.+1) * gam)) <= al / n0 * 1 by apply: Rmult_le_compat_l; [lra | nra].
  have : 0 < al / n0 * (gam * (k * (g (zp T.+1) * gam))) by have := g_gt0 (zp T.+1) => ?; repeat pos.
  have : 0 <= al / n0 * (5 * c ^ 2) by pos.
  nra.
right; apply: Rlt_le_trans lt _; apply: Rmult_le_compat_l; first lra.
by apply: Rmult_le_compat_r; [lra | rewrite S_INR; lra].
Qed.
Lemma rare_G T : Ghat (D := D) (N := Q) (W T) <= 1 / (2 * n0) -> h - al / n0 < al / n0 * (T * (5 * c ^ 2)).
Proof.
have nn : 0 < n0 by rewrite /n0; lra.
case: (crossing T) => // neg; rewrite /Ghat rare_mean => /(Rmult_le_compat_r n0 _ _ (Rlt_le _ _ nn)).
have -> : (k * g (zp T) + g (zq T)) / n0 * n0 = k * g (zp T) + g (zq T) by field; lra.
have -> : 1 / (2 * n0) * n0 = / 2 by field; lra.
have := g_gt0 (zp T); case: T neg => [_ | T neg] gp0 le; exfalso.
  have [pz qz] := start; move: le gp0; rewrite /zp /zq pz qz Ropp_0 /phi Rmult_0_r Rmax_left ?Ropp_0; last lra.
  by have := g_mul 0; rewrite exp_0; nra.
have [pq _] := creep (fun s sT => neg s (ltnW sT)).
by have [_ [_ [_ [_ half]]]] := slopes (neg T (leqnn _)) pq; nra.
Qed.
Lemma rare_L T : Lhat (D := D) (N := Q) (W T) <= h / (4 * n0) -> h / 2 - al / n0 < al / n0 * (T * (5 * c ^ 2)).
Proof.
have nn : 0 < n0 by rewrite /n0; lra.
have h0 : 0 < h by rewrite -ln_1; apply: ln_increasing; rewrite /n0; lra.
have hk : h <= (k - 4) / 2 by have := @ln_le_sub1 ((n0 - 3) / 2); rewrite -/h /n0; lra.
case: (crossing T) => [neg | lt _]; last lra.
rewrite /Lhat rare_mean => /(Rmult_le_compat_r n0 _ _ (Rlt_le _ _ nn)).
have -> : (k * loss (zp T) + loss (zq T)) / n0 * n0 = k * loss (zp T) + loss (zq T) by field; lra.
have -> : h / (4 * n0) * n0 = h / 4 by field; lra.
have lp := loss_ge0 (zp T); have lq := loss_ge0 (zq T); have klp : 0 <= k * loss (zp T) by pos.
case: T neg lp lq klp => [_ | T neg] lp lq klp le.
  have [pz qz] := start; exfalso; move: le; rewrite /zp /zq pz qz Ropp_0 /phi Rmult_0_r Rmax_left ?Ropp_0; last lra.
  rewrite /loss Ropp_0 exp_0; have := @ln_le_sub1 (/ (1 + 1)) ltac:(lra); rewrite ln_Rinv; last lra.
  by move=> l2; have : k * / 2 <= k * ln (1 + 1) by [apply: Rmult_le_compat_l; lra]; lra.
have [pq _] := creep (fun s sT => neg s (ltnW sT)); have [zpe [zqe _]] := slopes (neg T (leqnn _)) pq.
have low : - zq T.+1 <= h / 4.
  apply: (Rle_trans _ (loss (zq T.+1))); last lra.
  by rewrite -[X in X <= _]ln_exp; apply: ln_le; [exact: exp_pos | lra].
(* the many are fitted: e^{z_1} >= 4 k / h - 1 > 4 e^h / h >= e^{3 h / 4 + 1} *)
have high : 3 / 4 * h + 1 < zp T.+1.
  have gl : g (zp T.+1) <= loss (zp T.+1).
    by rewrite loss_g; have := @ln_le_sub1 (1 - g (zp T.+1)); have := g_lt1 (zp T.+1); lra.
  have g0 := g_gt0 (zp T.+1); have gm := g_mul (zp T.+1); have e0 := exp_pos (zp T.+1).
  have kg : 4 * k * g (zp T.+1) <= h by have : k * g (zp T.+1) <= k * loss (zp T.+1) by [apply: Rmult_le_compat_l; lra]; lra.
  have big : 4 * k <= h * (1 + exp (zp T.+1)).
    have -> : 4 * k = 4 * k * g (zp T.+1) * (1 + exp (zp T.+1)) by rewrite Rmult_assoc gm; ring.
    by apply: Rmult_le_compat_r; lra.
  have eh : exp h = (k - 2) / 2 by rewrite exp_ln /n0; lra.
  have tangent4 : h <= 4 * exp (h / 4 - 1) by have := exp_ge_1 (h / 4 - 1); lra.
  have split4 : exp (3 / 4 * h + 1) * exp (h / 4 - 1) = exp h by rewrite -exp_plus; congr exp; field.
  apply: exp_lt_inv; apply: (Rmult_lt_reg_l h) => //.
  have : h * exp (3 / 4 * h + 1) <= 4 * exp h.
    rewrite -split4 (Rmult_comm (exp _)) -Rmult_assoc; apply: Rmult_le_compat_r tangent4; exact: Rlt_le (exp_pos _).
  lra.
have [_ up] := creep (fun s sT => neg s (ltnW sT)).
have : 0 <= al / n0 * (5 * c ^ 2) by have := pow2_ge_0 c => ?; pos.
rewrite S_INR; nra.
Qed.
End Dynamics.

(** Differs from the page: c* is spelt out as γ / ‖w‖ for a max-margin vector w. *)
Proposition prp_log_needed (c gam alpha : R) (n0 : nat) (h := ln ((n0 - 3) / 2)) :
  0 < c <= gam / sqrt 10 -> gam <= 1 -> 0 < alpha -> (6 <= n0)%N ->
  exists (D : data) (S : separable D) w sign,
  n = n0 /\ d = 2%N /\ max_margin w /\ gam / norm w = c /\
  forall slope, gam <= slope <= 1 -> exists N : network,
  let W t := GD (fun _ => alpha) (fun _ _ => 0) t in
  m = 1%N /\ gamma = gam /\ phi'0 = slope /\ (forall j, a j = sign) /\
  (forall t : nat, t < n0 / (5 * alpha * c ^ 2) * (h - alpha / n0) ->
   Ghat (W t) > 1 / (2 * n0)) /\
  forall t : nat, t < n0 / (5 * alpha * c ^ 2) * (h / 2 - alpha / n0) ->
  Lhat (W t) > h / (4 * n0).
Proof.
move=> [c0 hc] g1 a0; rewrite /h {h}; case: n0 => // k k6.
have s10 : 0 < sqrt 10 by apply: sqrt_lt_R0; lra.
have hc10 : c * sqrt 10 <= gam.
  have -> : gam = gam / sqrt 10 * sqrt 10 by field; lra.
  by apply: Rmult_le_compat_r; lra.
have cg : 10 * c ^ 2 <= gam ^ 2.
  have -> : 10 * c ^ 2 = (c * sqrt 10) ^ 2 by rewrite Rpow_mult_distr pow2_sqrt; lra.
  by apply: pow_incr; split; [apply: Rlt_le; pos | ].
have g0 : 0 < gam by have : 0 < c * sqrt 10 by [pos]; lra.
have c2 : 0 < c ^ 2 by pos.
(* δ = 2 / sqrt (γ² / c² - 2) *)
have rest : 8 <= (gam / c) ^ 2 - 2.
  have -> : (gam / c) ^ 2 = gam ^ 2 / c ^ 2 by field; lra.
  by have : 10 <= gam ^ 2 / c ^ 2 by [apply: le_div; lra]; lra.
pose delta := 2 / sqrt ((gam / c) ^ 2 - 2); have rt0 : 0 < sqrt ((gam / c) ^ 2 - 2) by apply: sqrt_lt_R0; lra.
have d0 : 0 < delta by rewrite /delta; pos.
have de : delta ^ 2 * ((gam / c) ^ 2 - 2) = 4.
  by rewrite /delta -[X in _ * X]pow2_sqrt; [field; lra | lra].
have d2 : 0 < delta ^ 2 <= / 2 by split; [pos | have := pow2_ge_0 delta; nra].
have hc5 : gam ^ 2 * delta ^ 2 <= 5 * c ^ 2.
  have -> : gam ^ 2 * delta ^ 2 = c ^ 2 * (delta ^ 2 * ((gam / c) ^ 2 - 2) + 2 * delta ^ 2) by field; lra.
  by rewrite de; nra.
have k5 : 5 <= k by have := le_INR 5 k ltac:(exact/leP); rewrite /=; lra.
have kn : (0 < k)%N by apply: gt0_nat; lra.
exists (rare k delta), (rare_separable k d0 (proj2 d2)), (rare_v delta), (-1); do 2![split=> //].
split; first exact: rare_max_margin.
split.
  have -> : norm (rare_v delta) = gam / c; last by field; lra.
  rewrite /norm dot2 /rare_v /vec2 /= sqrt_sqrt; last lra.
  have -> : 2 + 2 / delta * (2 / delta) = (gam / c) ^ 2.
    have -> : 2 / delta * (2 / delta) = 4 / delta ^ 2 by field; lra.
    by rewrite -de; field; lra.
  by rewrite sqrt_pow2 //; apply: Rlt_le; pos.
move=> slope hp; have hg : 0 < gam <= 1 by lra.
exists (neuron (or_intror erefl : -1 = 1 \/ -1 = -1) hg hp); do 4![split=> //].
have nk : INR k.+1 = k + 1 := S_INR k; have ac : 0 < alpha * (5 * c ^ 2) by repeat pos.
have count (t : nat) r : t < k.+1 / (5 * alpha * c ^ 2) * r -> alpha / (k + 1) * (t * (5 * c ^ 2)) <= r.
  rewrite nk => lt; apply: (Rmult_le_reg_l ((k + 1) / (5 * alpha * c ^ 2))); first by pos.
  by apply: Rlt_le; apply: Rle_lt_trans lt; right; field; lra.
split=> t /count le; apply: Rnot_le_gt; rewrite nk => small.
  have := rare_G k5 d2 a0 hc5 small; rewrite nk in le; lra.
have := rare_L k5 d2 a0 hc5 small; rewrite nk in le; lra.
Qed.
