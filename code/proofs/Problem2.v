(** * Problem 2: max margin is minimum norm on nearly orthogonal data *)
Require Import Book.Prelude Book.Duality.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** The largest and the smallest of finitely many numbers *)
Lemma bigmax_ge (I : finType) (P : pred I) F b i : P i -> F i <= \big[Rmax/b]_(j | P j) F j.
Proof.
move=> Pi; rewrite -big_filter; have : i \in [seq j <- index_enum I | P j] by rewrite mem_filter Pi mem_index_enum.
elim: [seq _ <- _ | _] => // j r IH; rewrite in_cons big_cons => /orP [/eqP <- | /IH h]; first exact: Rmax_l.
by apply: Rle_trans h (Rmax_r _ _).
Qed.
Lemma bigmin_le (I : finType) (P : pred I) F b i : P i -> \big[Rmin/b]_(j | P j) F j <= F i.
Proof.
move=> Pi; rewrite -big_filter; have : i \in [seq j <- index_enum I | P j] by rewrite mem_filter Pi mem_index_enum.
elim: [seq _ <- _ | _] => // j r IH; rewrite in_cons big_cons => /orP [/eqP <- | /IH h]; first exact: Rmin_l.
by apply: Rle_trans (Rmin_r _ _) h.
Qed.
Lemma argmax n (F : 'I_n -> R) : (0 < n)%N -> exists i, forall j, F j <= F i.
Proof. by move=> n0; have [i h] := argmin (fun i => - F i) n0; exists i => j; have := h j; lra. Qed.

(** ** Nearly orthogonal samples *)
Section Near.
Context {D : data} {Z : nonzero D}.
Lemma x_pos i : 0 < norm (x i).
Proof.
case: (norm_ge0 (x i)) => // e; case: (x_nonzero (i := i)); apply: vec_ext => k.
by apply: dot_eq0; rewrite -norm_sq -e; ring.
Qed.
Lemma R_max_ge i : norm (x i) <= R_max. Proof. exact: (@bigmax_ge _ xpredT (fun i => norm (x i))). Qed.
Lemma R_min_le i : R_min <= norm (x i). Proof. exact: (@bigmin_le _ xpredT (fun i => norm (x i))). Qed.
Lemma M_ge i j : i != j -> Rabs ⟨x i, x j⟩ <= M.
Proof.
move=> ij; apply: Rle_trans (bigmax_ge _ _ (i := i) _) => //.
exact: (@bigmax_ge _ (fun j => i != j) (fun j => Rabs ⟨x i, x j⟩)).
Qed.
Lemma M_ge0 : 0 <= M.
Proof.
rewrite /M; elim/big_ind: _ => [|u v u0 v0|i _]; [lra | exact: Rle_trans u0 (Rmax_l _ _) | ].
elim/big_ind: _ => [|u v u0 v0|j _]; [lra | exact: Rle_trans u0 (Rmax_l _ _) | exact: Rabs_pos].
Qed.
Lemma R_min_pos : 0 < R_min.
Proof.
rewrite /R_min; elim/big_ind: _ => [|u v|i _]; [ | exact: Rmin_glb_lt | exact: x_pos].
exact: Rlt_le_trans (x_pos (Ordinal n_pos)) (R_max_ge _).
Qed.
Lemma ratio_ge1 : 1 <= ratio.
Proof.
have r0 := R_min_pos; have := R_min_le (Ordinal n_pos); have := R_max_ge (Ordinal n_pos) => ? ?.
by apply: le_div; lra.
Qed.
Lemma mu_ge0 : 0 <= mu.
Proof. by have := M_ge0; have := R_min_pos => ? ?; rewrite /mu; pos. Qed.
Lemma M_mu : M = mu * R_min ^ 2.
Proof. by have := R_min_pos => ?; rewrite /mu; field; lra. Qed.
(* eq-coherence *)
Lemma coherence p : 0 < p -> p_orthogonal p <-> n * mu <= 1 / (p * ratio ^ 2).
Proof.
move=> p0; have r1 := ratio_ge1; have r0 := R_min_pos; have r2 : 0 < R_min ^ 2 by pos.
have q0 : 0 < p * ratio ^ 2 by pos.
rewrite /p_orthogonal M_mu; split=> h.
  by apply: le_div => //; nra.
have := Rmult_le_compat_r _ _ _ (Rlt_le _ _ q0) h; rewrite /Rdiv Rmult_1_l Rinv_l; last lra.
by move=> le; nra.
Qed.

(* The couplings e_ij, and one row of the system. *)
Lemma row s b i : (forall j, b j = s j * norm (x j) ^ 2) ->
  ∑_(j < n) K i j * s j = b i + ∑_(j < n) if j == i then 0 else e i j * b j.
Proof.
move=> hb; rewrite -(sum_pick i (b i)) -sum_plus; apply: sum_ext => j; have x0 := x_pos j.
by case: eqP => [->|_]; rewrite ?hb /K /e ?y_sq ?norm_sq; [ring | field; rewrite -norm_sq; nra].
Qed.
Lemma e_le i j : i != j -> Rabs (e i j) <= mu.
Proof.
move=> ij; have r0 := R_min_pos; have rj := R_min_le j; have x0 := x_pos j.
rewrite /e /Rdiv Rabs_mult Rmult_assoc y_abs y_abs (Rabs_right (/ _)); last by apply: Rle_ge; pos.
have s2 : R_min ^ 2 <= norm (x j) ^ 2 by apply: pow_incr; lra.
apply: Rmult_le_compat (M_ge ij) _; [exact: Rabs_pos | pos | apply: inv_le => //; pos].
Qed.
Lemma coupling (S : pred 'I_n) i (b : 'I_n -> R) B : S i -> (forall j, Rabs (b j) <= B) ->
  Rabs (∑_(j < n) if S j then 0 else e i j * b j) <= (∑_(j < n) if S j then 0 else 1) * (mu * B).
Proof.
move=> Si hb; apply: Rle_trans (sum_abs _) _; rewrite -sum_mulr; apply: sum_le => j.
case Sj : (S j); first by rewrite Rabs_R0; lra.
rewrite Rmult_1_l Rabs_mult; apply: Rmult_le_compat; try exact: Rabs_pos; last exact: hb.
by apply: e_le; apply/eqP => ij; rewrite -ij Si in Sj.
Qed.
Lemma others i : ∑_(j < n) (if j == i then 0 else 1) = n - 1.
Proof.
rewrite (sum_ext (Q := fun j => 1 - if j == i then 1 else 0)) => [|j]; last by case: eqP => _; ring.
by rewrite sum_minus sum_const sum_pick; ring.
Qed.
(* The first part of the proof of lem-dual-weights. *)
Lemma near_independent : (n - 1) * mu < 1 -> independent.
Proof.
move=> small c c0 i; pose s j := c j * y j; pose b j := s j * norm (x j) ^ 2.
have z l : ∑_(j < n) K l j * s j = 0.
  rewrite -margin_weighted; have -> : weighted s = fun _ => 0.
    by apply: vec_ext => k; rewrite -[RHS](c0 k); apply: sum_ext => j; rewrite /s -[RHS]Rmult_1_l -(y_sq j); ring.
  by rewrite /dot sum_zero; [ring | move=> k; ring].
have [k hk] := argmax (fun j => Rabs (b j)) n_pos.
have r := row (s := s) (b := b) k (fun _ => erefl); rewrite z in r.
have := coupling (S := fun j => j == k) (eqxx k) hk; rewrite others => le.
have bS : ∑_(j < n) (if j == k then 0 else e k j * b j) = - b k by lra.
rewrite bS Rabs_Ropp in le; have b0 := Rabs_pos (b k).
have bk : Rabs (b k) = 0 by nra.
have bi : b i = 0 by have := hk i; rewrite bk => /le_abs; lra.
case: (Rmult_integral _ _ bi) => [h | h]; last by have := x_pos i; nra.
by move: h; rewrite /s; case: (y_values i) => ->; lra.
Qed.
Lemma n_ge1 : 1 <= n. Proof. by apply: (le_INR 1); apply/leP; exact: n_pos. Qed.
(* p-orthogonality, in the form in which it is used: with P = p R^2, n mu P <= 1 *)
Lemma coherent p q : 0 <= q -> p_orthogonal p -> p * ratio ^ 2 > q -> 0 < p /\ n * mu * (p * ratio ^ 2) <= 1.
Proof.
move=> q0 po big; have p0 : 0 < p by have := ratio_ge1; nra.
split=> //; have := proj1 (coherence p0) po => le.
have := Rmult_le_compat_r _ _ _ (Rlt_le _ _ (Rle_lt_trans _ _ _ q0 big)) le.
by rewrite /Rdiv Rmult_1_l Rinv_l; lra.
Qed.
End Near.

(** ** The answers *)
Theorem lem_dual_weights (D : data) (Z : nonzero D) p : p_orthogonal p -> p * ratio ^ 2 > 1 ->
  independent /\ forall s, dual_weights s -> forall i, Rabs (s i * norm (x i) ^ 2 - 1) <= 1 / (p * ratio ^ 2 - 1).
Proof.
move=> po big; have [p0] := coherent (Rlt_le _ _ Rlt_0_1) po big; set P := p * ratio ^ 2 in big * => le.
have n1 := @n_ge1 D; have m0 := @mu_ge0 D Z; have nm : 0 <= n * mu by pos.
have lt1 : n * mu < 1 by nra.
split=> [|s h i]; first by apply: near_independent; lra.
pose b j := s j * norm (x j) ^ 2; have [k hk] := argmax (fun j => Rabs (b j - 1)) n_pos.
apply: Rle_trans (hk i) _; set eta := Rabs (b k - 1); have eta0 : 0 <= eta := Rabs_pos _.
have b1 j : Rabs (b j) <= 1 + eta by have := le_abs (hk j); rewrite -/eta => ?; apply: abs_le; lra.
have r := @row D Z s b k (fun _ => erefl); rewrite h in r.
have := @coupling D Z (fun j => j == k) k b _ (eqxx k) b1; rewrite others.
have -> : ∑_(j < n) (if j == k then 0 else e k j * b j) = - (b k - 1) by lra.
rewrite Rabs_Ropp -/eta => le1; apply: le_div; first lra.
have : eta <= n * mu * (1 + eta) by nra.
by nra.
Qed.

Theorem thm_equal_solutions (D : data) (Z : nonzero D) p : p_orthogonal p -> p * ratio ^ 2 > 2 \/ p >= 3 ->
  independent /\ exists s, (forall i, s i > 0) /\ dual_weights s /\
    (forall w, max_margin w <-> w = weighted s) /\ (forall w, min_norm w <-> w = weighted s).
Proof.
move=> po h; have {h} big : p * ratio ^ 2 > 2 by case: h => // p3; have := @ratio_ge1 D Z; nra.
have [|ind near] := lem_dual_weights Z po; first lra; split=> //.
have [s h] := pos_def_solve (gram_pos_def ind) (fun _ => 1); exists s.
have s0 i : s i > 0.
  have lt1 : 1 / (p * ratio ^ 2 - 1) < 1 by apply: (Rmult_lt_reg_r (p * ratio ^ 2 - 1)); rewrite /Rdiv ?Rmult_assoc ?Rinv_l; lra.
  move: (le_abs (near s h i)); have := @x_pos D Z i => x0 [lo _].
  have : 0 < s i * norm (x i) ^ 2 by lra.
  by have : 0 < norm (x i) ^ 2 by [pos]; nra.
split=> //; split=> //; split; first by move=> w; apply: max_margin_weighted => // i; have := s0 i; lra.
exact: min_norm_weighted.
Qed.

(* The ratio of two weights, from the ratio of s_i |x_i|^2 *)
Lemma ratio_weights (D : data) (Z : nonzero D) s B i j : s j > 0 ->
  s i * norm (x i) ^ 2 <= B * (s j * norm (x j) ^ 2) -> 0 <= B -> s i / s j <= ratio ^ 2 * B.
Proof.
move=> sj h B0; have xi := @x_pos D Z i; have r0 := @R_min_pos D Z; have r1 := @R_min_le D i; have r2 := @R_max_ge D j.
apply: div_le => //; have x2 : 0 < norm (x i) ^ 2 by pos.
apply: (Rmult_le_reg_r (norm (x i) ^ 2)) => //; apply: Rle_trans h _.
have : norm (x j) <= ratio * norm (x i).
  apply: Rle_trans r2 _; have -> : R_max = ratio * R_min by rewrite /ratio; field; lra.
  by apply: Rmult_le_compat_l => //; have := @ratio_ge1 D Z; lra.
move=> /(conj (norm_ge0 (x j))) le; have := pow_incr _ _ 2 le => le2.
by have : 0 <= B * s j by [pos]; nra.
Qed.

Theorem thm_near_uniform (D : data) (Z : nonzero D) p : p_orthogonal p -> p * ratio ^ 2 > 2 ->
  exists s, dual_weights s /\ (forall w, max_margin w <-> w = weighted s) /\ (forall i, s i > 0) /\
    (forall i j, s i / s j <= ratio ^ 2 * (1 + 2 / (p * ratio ^ 2 - 2))) /\
    (p >= 3 -> forall i j, s i / s j <= ratio ^ 2 * (1 + 6 / (p * ratio ^ 2))).
Proof.
move=> po big; have [_ [s [s0 [h [mm _]]]]] := thm_equal_solutions Z po (or_introl big).
have [|_ near] := lem_dual_weights Z po; first lra; set P := p * ratio ^ 2 in big near *.
have main i j : s i / s j <= ratio ^ 2 * (1 + 2 / (P - 2)).
  have e0 : 0 < 2 / (P - 2) by pos.
  apply: (ratio_weights Z) => //; last lra.
  have := le_abs (near s h i); have := le_abs (near s h j) => - [lo _] [_ up].
  have -> : 1 + 2 / (P - 2) = P / (P - 2) by field; lra.
  have d1 : 1 - 1 / (P - 1) = (P - 2) / (P - 1) by field; lra.
  have d2 : 1 + 1 / (P - 1) = P / (P - 1) by field; lra.
  apply: (Rle_trans _ (P / (P - 1))); first lra.
  have -> : P / (P - 1) = P / (P - 2) * ((P - 2) / (P - 1)) by field; lra.
  by apply: Rmult_le_compat_l; [pos | lra].
exists s; do 3 split=> //; split=> // p3 i j; apply: Rle_trans (main i j) _.
apply: Rmult_le_compat_l; first exact: pow2_ge_0.
have P3 : P >= 3 by rewrite /P; have := @ratio_ge1 D Z; nra.
suff : 2 / (P - 2) <= 6 / P by lra.
apply: div_le; first lra.
have -> : 6 / P * (P - 2) = 6 - 12 / P by field; lra.
by have : 12 / P <= 4 by [apply: div_le; lra]; lra.
Qed.

Lemma dot_vec2 (w : vec 2) u t : ⟨w, vec2 u t⟩ = w ord0 * u + w ord_max * t.
Proof. by rewrite /dot !sum_last sum0 Rplus_0_l /vec2; congr (w _ * _ + _); apply: val_inj. Qed.
Lemma ord2 (P : 'I_2 -> Prop) : P ord0 -> P ord_max -> forall i, P i.
Proof.
move=> p0 p1 i; case: (ordP i) => [-> // | [j ->]]; have -> // : up j = ord_max.
by apply: val_inj; rewrite (ord1 j).
Qed.

Theorem thm_plane (D := {| n := 2; n_pos := isT; d := 2; x i := if i == ord0 then vec2 1 0 else vec2 2 1;
    y _ := 1; y_values _ := or_introl erefl |}) :
  (forall w, max_margin (D := D) w <-> w = vec2 1 0) /\ (forall w, min_norm (D := D) w <-> w = vec2 1 (-1)).
Proof.
have dd (w : vec 2) : ⟨w, w⟩ = w ord0 ^ 2 + w ord_max ^ 2.
  by rewrite /dot !sum_last sum0 Rplus_0_l /=; have -> : widen_ord (leqnSn 1) ord_max = ord0 by [apply: val_inj]; ring.
split; apply: (shortest_unique (D := D)).
- by apply: ord2; rewrite /= dot_vec2 /vec2 /=; lra.
- move=> w hw; have := hw ord0; rewrite /= dot_vec2 !dd /gap /vec2 /=; nra.
- by apply: ord2; rewrite /= dot_vec2 /vec2 /=; lra.
move=> w hw; have := hw ord0; have := hw ord_max; rewrite /= !dot_vec2 !dd /gap /vec2 /= => h1 h2.
have -> : w ord0 = 1 by lra.
by have -> : w ord_max = -1 by [lra]; lra.
Qed.
