(** * Exact thresholds: where the two classifiers part, and how unequal the weights can be *)
Require Import Book.Prelude Book.Duality Book.Problem2 Book.SharpFamily.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** β_i = s_i ‖x_i‖^2, ν = (n - 2) μ, and [e i j] is e_ij = y_i y_j ⟨x_i, x_j⟩ / ‖x_j‖^2. *)
Theorem lem_two_rows (D : data) (Z : nonzero D) (nu := (n - 2) * mu) : (2 <= n)%N -> (n - 1) * mu < 1 ->
  independent /\ forall s k (beta := fun i => s i * norm (x i) ^ 2), dual_weights s ->
  (forall i, Rabs (beta i) <= Rabs (beta k)) ->
  0 < beta k /\ forall l, l != k -> (1 - 2 * nu - e l k) * beta k <= (1 - e k l) * beta l.
Proof.
move=> n2 small; split=> [|s k beta h hk]; first exact: near_independent.
have m0 := the mu_ge0.
have rw i : 1 = beta i + ∑_(j < n) if j == i then 0 else e i j * beta j.
  by rewrite -(h i); apply: (row i (fun _ => erefl)).
have b0 : 0 < beta k.
  have := the (coupling (S := fun j => j == k) (eqxx k) hk); rewrite others.
  have := rw k; set S := ∑_(_ < _) _ => r /le_abs [_ le].
  case: (Rlt_le_dec 0 (beta k)) => // neg; rewrite Rabs_left1 // in le.
  by have : 0 <= (1 - (n - 1) * mu) * - beta k by [apply: Rmult_le_pos; lra]; lra.
rewrite Rabs_right in hk; last lra.
split=> // l lk; have kl : (k == l) = false by rewrite eq_sym (negbTE lk).
(* the terms other than k and l *)
pose S j := (j == k) || (j == l); pose rest i := ∑_(j < n) if S j then 0 else e i j * beta j.
have two (P : 'I_n -> R) i j : (i, j) = (k, l) \/ (i, j) = (l, k) ->
    (∑_(t < n) if t == i then 0 else P t) = P j + ∑_(t < n) if S t then 0 else P t.
  move=> ij; rewrite -(sum_pick j (P j)) -sum_plus; apply: sum_ext => t; rewrite /S.
  by case: ij => -[-> ->]; case: (eqVneq t k) => [->|_]; rewrite ?kl /=; try case: eqP => [->|_] /=; ring.
have count : (∑_(j < n) if S j then 0 else 1) = n - 2.
  by have := two (fun _ => 1) k l (or_introl erefl); rewrite others; lra.
have bound i : S i -> - (nu * beta k) <= rest i <= nu * beta k.
  by move=> Si; have := le_abs (the (coupling Si hk)); rewrite count -/(rest i) /nu; lra.
have := rw k; have := rw l; rewrite (two _ k l (or_introl erefl)) (two _ l k (or_intror erefl)) -/(rest k) -/(rest l).
by have := bound k ltac:(by rewrite /S eqxx); have := bound l ltac:(by rewrite /S eqxx orbT); lra.
Qed.

(* (2n - 3) μ <= 1 is enough; < for positive weights. *)
Lemma threshold (D : data) (Z : nonzero D) : (2 <= n)%N -> (n - 1) * mu < 1 -> (2 * n - 3) * mu <= 1 ->
  independent /\ exists s, dual_weights s /\ (forall w, max_margin w <-> w = weighted s) /\
  (forall w, min_norm w <-> w = weighted s) /\ ((2 * n - 3) * mu < 1 -> forall i, s i > 0).
Proof.
move=> n2 small thr; have m0 := the mu_ge0; have N2 : 2 <= n by apply: (le_INR 2); apply/leP.
have ind := the (near_independent small); split=> //.
have [s h] := pos_def_solve (gram_pos_def ind) (fun _ => 1); exists s.
pose b i := s i * norm (x i) ^ 2; have [k hk] := argmax (fun i => Rabs (b i)) n_pos.
have [_ /(_ s k h hk) [bk two]] := lem_two_rows Z n2 small; have {}bk : 0 < b k := bk.
have all l : 0 <= s l /\ ((2 * n - 3) * mu < 1 -> 0 < s l).
  have x0 := the (x_pos l); have x2 : 0 < norm (x l) ^ 2 by pos.
  suff [p1 p2] : 0 <= b l /\ ((2 * @n D - 3) * @mu D < 1 -> 0 < b l).
    by have -> : s l = b l / norm (x l) ^ 2 by [rewrite /b; field; lra]; split=> [|/p2 ?]; pos.
  case: (eqVneq l k) => [->|lk]; first by split; lra.
  have := two l lk; have := le_abs (the (e_le lk)); rewrite eq_sym in lk; have := le_abs (the (e_le lk)).
  rewrite -/(b k) -/(b l) => e1 e2 le.
  have mu1 : mu < 1 by nra.
  have c1 : (1 - (2 * n - 3) * mu) * b k <= (1 - 2 * ((n - 2) * mu) - e l k) * b k by apply: Rmult_le_compat_r; lra.
  have e3 : 0 < 1 - e k l by lra.
  move: le c1 e3; set E := the (1 - e k l); set q := the ((1 - (2 * n - 3) * mu) * b k) => le c1 e3.
  split=> [|lt]; [have q0 : 0 <= q by apply: Rmult_le_pos; lra | have q0 : 0 < q by apply: Rmult_lt_0_compat; lra].
    by apply: (Rmult_le_reg_l E); lra.
  by apply: (Rmult_lt_reg_l E); lra.
do 2?split=> //; first by apply: max_margin_weighted => // i; have := all i; lra.
split; first exact: min_norm_weighted.
by move=> lt i; have [_] := all i; exact.
Qed.

Lemma ge3 (k : nat) : (3 <= k)%N -> 3 <= k.
Proof. by move=> /leP /le_INR; rewrite /=; lra. Qed.
(** w_MM = w_MNI is said as: one vector w is the only max-margin vector and the only minimum-norm interpolator. *)
Theorem thm_exact_threshold :
  (forall (D : data) (Z : nonzero D) p, (3 <= n)%N -> p_orthogonal p -> p * ratio ^ 2 >= 2 - 3 / n ->
     independent /\ exists s w, dual_weights s /\ unique max_margin w /\ unique min_norm w /\
     (p * ratio ^ 2 > 2 - 3 / n -> forall i, s i > 0)) /\
  (forall (n0 d0 : nat) r p, (3 <= n0 <= d0)%N -> r >= 1 -> 0 < p -> p * r ^ 2 < 2 - 3 / n0 ->
     exists D : data, n = n0 /\ d = d0 /\ nonzero D /\ ratio = r /\ p_orthogonal p /\
     exists w w', w <> w' /\ unique max_margin w /\ unique min_norm w') /\
  (forall (D : data) (Z : nonzero D), n = 2%N -> M < R_min ^ 2 ->
     independent /\ exists s w, dual_weights s /\ unique max_margin w /\ unique min_norm w /\ forall i, s i > 0).
Proof.
have uniq (d : nat) (P : vec d -> Prop) w : (forall u, P u <-> u = w) -> unique P w.
  by move=> h; split=> [|u /h //]; apply/h.
split; [|split].
- move=> D Z p n3 po thr; have N3 := the (ge3 n3).
  have i1 : 3 / n <= 1 by apply: div_le; lra.
  have big : p * ratio ^ 2 > / 2 by lra.
  have [p0] := coherent (q := / 2) ltac:(lra) po big; set P := p * ratio ^ 2 in thr big * => le.
  have m0 := the mu_ge0; have e3 : n * (2 - 3 / n) = 2 * n - 3 by field; lra.
  have thr2 : (2 * n - 3) * mu <= n * P * mu.
    by apply: Rmult_le_compat_r => //; rewrite -e3; apply: Rmult_le_compat_l; lra.
  have small : (n - 1) * mu < 1 by nra.
  have [|ind [s [h [mm [mn s0]]]]] := threshold Z (ltnW n3) small; first by lra.
  split=> //; exists s, (weighted s); do 3 (split; [by [] || exact: uniq |]); move=> lt i; apply: s0.
  case: m0 => [m0|<-]; last lra.
  apply: Rlt_le_trans le; have -> : n * mu * P = n * P * mu by ring.
  by apply: Rmult_lt_compat_r => //; rewrite -e3; apply: Rmult_lt_compat_l; lra.
- move=> n0 d0 r p /andP [n3 nd] r1 p0 lt; have N3 := ge3 n3.
  have i1 : 0 < 1 / n0 < / 2 by split; [pos | apply: (Rmult_lt_reg_r n0); [lra | have -> : 1 / n0 * n0 = 1 by [field; lra]; lra]].
  have e3 : 3 / n0 = 3 * (1 / n0) by field; lra.
  pose P := Rmax (p * r ^ 2) (3 / 2 - 2 * (1 / n0)); have r2 : 0 < r ^ 2 by nra.
  have Pp : P / r ^ 2 * r ^ 2 = P by field; lra.
  have P1 : p * r ^ 2 <= P := Rmax_l _ _; have P2 : 3 / 2 - 2 * (1 / n0) <= P := Rmax_r _ _.
  have P3 : P < 2 - 3 / n0 by apply: Rmax_lub_lt; lra.
  have [|D [first [s]]] := @prp_sharp_family n0 d0 r (P / r ^ 2) (ltnW n3) nd r1; first by rewrite Pp; lra.
  rewrite Pp => -[nE [dE [Z [ind [_ [rE [_ [_ [_ [_ [h [_ [_ [po neg]]]]]]]]]]]]]].
  exists D; do 4 split=> //; split.
    by apply/(po p p0); apply: le_div; lra.
  have [s' [_ [/(_ s) [/(_ h) <- _] [mn [[w mm] eq]]]]] := lem_signs ind.
  exists w, (weighted s); split; last by split=> //; apply: uniq.
  move=> e; have : forall i, 0 <= s i by apply/eq; exists w; split; [case: mm | apply/mn].
  by move=> /(_ first); have := proj2 neg P3; lra.
move=> D Z n2 lt; have N2 : INR n = 2 by rewrite n2.
have mu1 : mu < 1.
  by have r2 : 0 < R_min ^ 2 by [have := the R_min_pos => ?; pos]; rewrite /mu; apply: (Rmult_lt_reg_r (R_min ^ 2)) => //; rewrite /Rdiv Rmult_assoc Rinv_l; lra.
have [|ind [s [h [mm [mn s0]]]]] := threshold Z (eq_leq (esym n2)) ltac:(rewrite N2; lra); first by rewrite N2; lra.
split=> //; exists s, (weighted s); do 3 (split; [by [] || exact: uniq |]); apply: s0; rewrite N2; lra.
Qed.

(** The bound on the ratio of two weights, from lem-two-rows: e_kl and e_lk have one sign, and neither is smaller than 1/R^2 times the other. *)
Lemma two_rows_ratio w m q u t : 0 <= m -> 0 < w - m -> w <= 1 -> 0 < q <= 1 ->
  - m <= u <= m -> - m <= t <= m -> 0 <= u * t -> q * Rabs t <= Rabs u -> q * Rabs u <= Rabs t ->
  (1 - u) * (w - m) <= (1 - m * q) * (w - t).
Proof.
move=> m0 wm w1 q1 um tm same ut tu.
have qw : q * w <= 1 by apply: (Rle_trans _ (q * 1)); [apply: Rmult_le_compat_l; lra | lra].
have mqw : 0 <= m * (1 - q * w) by apply: Rmult_le_pos; lra.
case: (Rle_lt_dec 0 t) => t0.
  have u0 : 0 <= u.
    case: (Rle_lt_dec 0 u) => // neg; rewrite (Rabs_left u) // (Rabs_right t) in tu; last lra.
    have : 0 < q * - u by apply: Rmult_lt_0_compat; lra.
    by move=> qu; have : 0 < t * - u by [apply: Rmult_lt_0_compat; lra]; lra.
  rewrite !Rabs_right in ut tu; try lra.
  have : (1 - u) * (w - m) <= (1 - q * t) * (w - m) by apply: Rmult_le_compat_r; lra.
  have : 0 <= (m - t) * (1 - q * w) by apply: Rmult_le_pos; lra.
  by lra.
have u0 : u <= 0 by nra.
rewrite !Rabs_left1 in ut tu; try lra.
pose f := - u; have fm : 0 <= f <= m by rewrite /f; lra.
have h1 : (1 - m * q) * (w + q * f) <= (1 - m * q) * (w - t) by apply: Rmult_le_compat_l; [nra | rewrite /f; lra].
have h2 : 0 <= m * (1 - q * w) - f * (w - q).
  case: (Rle_lt_dec 0 (w - q)) => wq; last by have : 0 <= f * (q - w) by [apply: Rmult_le_pos; lra]; lra.
  have : f * (w - q) <= m * (w - q) by apply: Rmult_le_compat_r; lra.
  by have : 0 <= m * ((1 + q) * (1 - w)) by [apply: Rmult_le_pos => //; apply: Rmult_le_pos; lra]; lra.
have h3 : 0 <= m * f * (1 - q * q) by apply: Rmult_le_pos; [apply: Rmult_le_pos; lra | nra].
by have -> : u = - f by [rewrite /f; ring]; lra.
Qed.

Lemma e_ratio (D : data) (Z : nonzero D) k l : / ratio ^ 2 * Rabs (e l k) <= Rabs (e k l).
Proof.
have x1 := the (x_pos k); have x2 := the (x_pos l); have r1 := the ratio_ge1; have r0 := the R_min_pos.
have le : norm (x l) ^ 2 <= ratio ^ 2 * norm (x k) ^ 2.
  rewrite -Rpow_mult_distr; apply: pow_incr; split; first lra; apply: Rle_trans (R_max_ge l) _.
  have -> : @R_max D = ratio * R_min by rewrite /ratio; field; lra.
  by apply: Rmult_le_compat_l; [lra | exact: R_min_le].
have a2 : 0 < norm (x k) ^ 2 by pos.
have b2 : 0 < norm (x l) ^ 2 by pos.
have c2 : 0 < ratio ^ 2 by pos.
rewrite /e /Rdiv !(Rabs_mult _ (/ _)) !(Rabs_right (/ _)); try by apply: Rle_ge; pos.
rewrite !Rmult_assoc !y_abs (dotC (x l)); have -> : / ratio ^ 2 * (Rabs ⟨x k, x l⟩ * / norm (x k) ^ 2)
  = Rabs ⟨x k, x l⟩ * / (ratio ^ 2 * norm (x k) ^ 2) by field; lra.
by apply: Rmult_le_compat_l; [exact: Rabs_pos | exact: inv_le].
Qed.
Lemma weights_ratio (D : data) (Z : nonzero D) s : (2 <= n)%N -> (2 * n - 3) * mu < 1 -> dual_weights s -> (forall i, s i > 0) ->
  forall i j, s i / s j <= (ratio ^ 2 - mu) / (1 - (2 * n - 3) * mu).
Proof.
move=> n2 lt h s0 i j; have N2 : 2 <= n by apply: (le_INR 2); apply/leP.
have m0 := the mu_ge0; have r1 := the ratio_ge1; have r2 : 0 < ratio ^ 2 by pos.
have nu0 : 0 <= (@n D - 2) * @mu D by apply: Rmult_le_pos; lra.
have small : (@n D - 1) * @mu D < 1 by lra.
pose q := the (/ ratio ^ 2); pose w := the (1 - 2 * ((n - 2) * mu)); pose B := the ((1 - mu * q) / (w - mu)).
have q1 : 0 < q <= 1 by split; [rewrite /q; pos | rewrite /q -Rinv_1; apply: inv_le; [lra | nra]].
have wm : 0 < w - @mu D by rewrite /w; lra.
have mq : @mu D * q <= @mu D * 1 by apply: Rmult_le_compat_l; lra.
have B1 : 1 <= B by apply: le_div => //; rewrite /w; lra.
pose b i := s i * norm (x i) ^ 2; have b0 t : 0 < b t by have := s0 t; have := the (x_pos t) => ? ?; rewrite /b; pos.
have [k hk] := argmax b n_pos; have [l hl] := argmin b n_pos.
have -> : (ratio ^ 2 - @mu D) / (1 - (2 * @n D - 3) * @mu D) = ratio ^ 2 * B by rewrite /B /q /w; field; split; rewrite /w in wm; nra.
apply: (ratio_weights Z) => //; last lra.
suff kl : b k <= B * b l.
  apply: Rle_trans (hk i) _; apply: Rle_trans kl _; apply: Rmult_le_compat_l; [lra | exact: hl].
case: (eqVneq l k) => [->|lk]; first by have := b0 k; nra.
have hk' t : Rabs (b t) <= Rabs (b k) by rewrite !Rabs_right; [exact: hk | have := b0 k; lra | have := b0 t; lra].
have [_ /(_ s k h hk') [_ /(_ l lk)]] := lem_two_rows Z n2 small; rewrite -/(b k) -/(b l) -/w => two.
have kl' : k != l by rewrite eq_sym.
have ekl := le_abs (the (e_le kl')); have elk := le_abs (the (e_le lk)).
have same : 0 <= e k l * e l k.
  rewrite /e (dotC (x l)); have x1 := the (x_pos k); have x2 := the (x_pos l); set c := ⟨x k, x l⟩.
  have -> : y k * y l * c / norm (x l) ^ 2 * (y l * y k * c / norm (x k) ^ 2) = (y k * y l * c / norm (x l) / norm (x k)) ^ 2 by field; lra.
  exact: pow2_ge_0.
have w1 : w <= 1 by rewrite /w; lra.
have ineq := two_rows_ratio m0 wm w1 q1 ekl elk same (e_ratio Z k l) (e_ratio Z l k).
move: two ineq ekl elk; set u := e k l; set t := e l k => two ineq ekl elk.
have wt : 0 < w - t by lra.
rewrite /B; have -> : (1 - @mu D * q) / (w - @mu D) * b l = (1 - @mu D * q) * b l / (w - @mu D) by field; lra.
apply: le_div => //; apply: (Rmult_le_reg_l (w - t)) => //.
have := Rmult_le_compat_l _ _ _ (Rlt_le _ _ wm) two; have := Rmult_le_compat_r _ _ _ (Rlt_le _ _ (b0 l)) ineq; lra.
Qed.

(** Differs from the page: that p(S)R^2 = 1/(nμ) > 2 - 3/n for the samples of the second part is said as: they are p-orthogonal for
    some p with pR^2 > 2 - 3/n. *)
Theorem thm_exact_ratio :
  (forall (D : data) (Z : nonzero D) p, (2 <= n)%N -> p_orthogonal p -> p * ratio ^ 2 > 2 - 3 / n ->
     exists s, unique max_margin (weighted s) /\ unique min_norm (weighted s) /\ (forall i, s i > 0) /\
     forall i j, s i / s j <= (ratio ^ 2 - mu) / (1 - (2 * n - 3) * mu)) /\
  (forall (n0 d0 : nat) r mu0, (2 <= n0 <= d0)%N -> r >= 1 -> 0 <= mu0 < 1 / (2 * n0 - 3) ->
     exists (D : data) p, n = n0 /\ d = d0 /\ nonzero D /\ ratio = r /\ mu = mu0 /\
     p_orthogonal p /\ p * ratio ^ 2 > 2 - 3 / n /\ exists s, unique max_margin (weighted s) /\
     exists i j, s i / s j = (ratio ^ 2 - mu) / (1 - (2 * n - 3) * mu)).
Proof.
have uniq (d : nat) (P : vec d -> Prop) w : (forall u, P u <-> u = w) -> unique P w.
  by move=> h; split=> [|u /h //]; apply/h.
split.
- move=> D Z p n2 po big; have N2 : 2 <= n by apply: (le_INR 2); apply/leP.
  have m0 := the mu_ge0; have e3 : n * (2 - 3 / n) = 2 * n - 3 by field; lra.
  have i1 : 3 / n <= 3 / 2 by apply: div_le; lra.
  have big0 : p * ratio ^ 2 > / 3 by lra.
  have [p0 le] := coherent (q := / 3) ltac:(lra) po big0.
  have lt : (2 * @n D - 3) * @mu D < 1.
    case: m0 => [m0|<-]; last lra.
    apply: Rlt_le_trans le; have -> : n * mu * (p * ratio ^ 2) = n * (p * ratio ^ 2) * mu by ring.
    by apply: Rmult_lt_compat_r => //; rewrite -e3; apply: Rmult_lt_compat_l; lra.
  have small : (@n D - 1) * @mu D < 1 by have : 0 <= (@n D - 2) * @mu D by [apply: Rmult_le_pos; lra]; lra.
  have [|ind [s [h [mm [mn s0]]]]] := threshold Z n2 small; first by lra.
  have {}s0 := s0 lt; exists s; do 2 (split; first exact: uniq); split=> //.
  exact: weights_ratio.
move=> n0 d0 r mu0 /andP [n2 nd] r1 [m0 m1]; have N2 : 2 <= n0 by apply: (le_INR 2); apply/leP.
have a0 : 0 < 2 * n0 - 3 by lra.
have lt : (2 * n0 - 3) * mu0 < 1.
  by have := Rmult_lt_compat_l _ _ _ a0 m1; have -> : (2 * n0 - 3) * (1 / (2 * n0 - 3)) = 1 by field; lra.
have nu0 : 0 <= (n0 - 2) * mu0 by apply: Rmult_le_pos; lra.
have mr : 0 <= mu0 /\ (n0 - 1) * mu0 < 1 by lra.
have rE := ratio_sharp n2 nd r1 mr; have mE := mu_sharp n2 nd r1 mr.
have Z := nonzero_sharp (n2 := n2) nd r1 mr; have dp := det_pos n2 r1 mr; have r2 : 0 < r ^ 2 by nra.
have nE : INR (@n (sharp d0 r mu0 n2)) = n0 by [].
pose mu1 := (mu0 + 1 / (2 * n0 - 3)) / 2; have mu1_0 : 0 < mu1 by have : 0 < 1 / (2 * n0 - 3) by [pos]; rewrite /mu1; lra.
have Pr : 1 / (n0 * mu1) / r ^ 2 * r ^ 2 = 1 / (n0 * mu1) by field; lra.
exists (sharp d0 r mu0 n2), (1 / (n0 * mu1) / r ^ 2); do 5 (split=> //); split.
  rewrite coherence ?rE ?mE ?nE ?Pr; last by pos.
  have -> : 1 / (1 / (n0 * mu1)) = n0 * mu1 by field; lra.
  by apply: Rmult_le_compat_l; [lra | rewrite /mu1; lra].
split.
  rewrite rE Pr nE; apply: (Rmult_gt_reg_l n0); first lra.
  have -> : n0 * (1 / (n0 * mu1)) = / mu1 by field; lra.
  have -> : n0 * (2 - 3 / n0) = / (1 / (2 * n0 - 3)) by field; lra.
  by apply: Rinv_lt_contravar; [apply: Rmult_lt_0_compat; pos | rewrite /mu1; lra].
exists (sharp_s r mu0); have mur : mu0 / r ^ 2 < 1.
  by apply: (Rmult_lt_reg_r (r ^ 2)) => //; have -> : mu0 / r ^ 2 * r ^ 2 = mu0 by [field; lra]; nra.
split.
  apply: uniq; apply: max_margin_weighted; first exact: dual_sharp.
  have s1 : 0 < (1 - (2 * n0 - 3) * mu0) / (r ^ 2 * det n0 r mu0) by pos.
  have s2 : 0 < (1 - mu0 / r ^ 2) / det n0 r mu0 by pos.
  by move=> i; rewrite /sharp_s; case: ifP => _; apply: Rlt_le; [exact: s1 | exact: s2].
exists (Ordinal n2), (Ordinal (ltnW n2)); rewrite rE mE.
change ((1 - mu0 / r ^ 2) / det n0 r mu0 / ((1 - (2 * n0 - 3) * mu0) / (r ^ 2 * det n0 r mu0)) = (r ^ 2 - mu0) / (1 - (2 * n0 - 3) * mu0)).
by field; repeat split; lra.
Qed.
