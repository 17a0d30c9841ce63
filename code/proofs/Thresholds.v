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

