(** * The two classifiers and the dual weights: when they are equal (lem-signs) *)
From Coquelicot Require Import Hierarchy.
Require Import Book.Prelude.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** A positive definite system has a solution: eliminate one unknown *)
Definition up n (i : 'I_n) : 'I_n.+1 := lift ord0 i.
Definition cons n (b0 : R) (b : 'I_n -> R) (i : 'I_n.+1) := if unlift ord0 i is Some j then b j else b0.
Lemma cons0 n b0 (b : 'I_n -> R) : cons b0 b ord0 = b0. Proof. by rewrite /cons unlift_none. Qed.
Lemma cons_up n b0 (b : 'I_n -> R) j : cons b0 b (up j) = b j. Proof. by rewrite /cons liftK. Qed.
Lemma ordP n (i : 'I_n.+1) : i = ord0 \/ exists j, i = up j.
Proof. by case: (unliftP ord0 i) => [j|] ->; [right; exists j | left]. Qed.
Lemma sum_cons n b0 (b : 'I_n -> R) F : ∑_(i < n.+1) F i * cons b0 b i = F ord0 * b0 + ∑_(i < n) F (up i) * b i.
Proof. by rewrite sum_first cons0; congr (_ + _); apply: sum_ext => i; rewrite cons_up. Qed.

Definition pos_def n (K : 'I_n -> 'I_n -> R) :=
  forall b, ∑_(i < n) (∑_(j < n) K i j * b j) * b i <= 0 -> forall i, b i = 0.
Lemma pos_def_solve n K : pos_def K -> forall b, exists s : 'I_n -> R, forall i, ∑_(j < n) K i j * s j = b i.
Proof.
elim: n K => [|n IH] K pd b; first by exists b; case.
set k := K ord0 ord0; have k0 : 0 < k.
  case: (Rlt_le_dec 0 k) => // neg; have := pd (cons 1 (fun _ => 0)) _ ord0; rewrite cons0 => h.
  suff : 1 = 0 by lra.
  by apply: h; rewrite sum_cons sum_cons !sum_zero => [|i|i]; rewrite -/k; lra.
pose K' i j := K (up i) (up j) - K (up i) ord0 / k * K ord0 (up j).
have row q i t : t = - (∑_(j < n) K ord0 (up j) * q j) / k ->
    ∑_(j < n) K' i j * q j = K (up i) ord0 * t + ∑_(j < n) K (up i) (up j) * q j.
  move=> ->; rewrite (sum_ext (Q := fun j => K (up i) (up j) * q j - K (up i) ord0 / k * (K ord0 (up j) * q j))).
    by rewrite sum_minus sum_mull; field; lra.
  by move=> j; rewrite /K'; ring.
have [|s hs] := IH K' _ (fun i => b (up i) - K (up i) ord0 / k * b ord0).
  move=> q hq i; pose t := - (∑_(j < n) K ord0 (up j) * q j) / k.
  rewrite -(cons_up t q i); apply: pd; rewrite sum_cons sum_cons -/k.
  have -> : k * t + ∑_(j < n) K ord0 (up j) * q j = 0 by rewrite /t; field; lra.
  apply: Rle_trans hq; right; rewrite Rmult_0_l Rplus_0_l; apply: sum_ext => {}i.
  by rewrite sum_cons (row q i t).
pose t := ∑_(j < n) K ord0 (up j) * s j.
exists (cons (b ord0 / k - t / k) s) => i; rewrite sum_cons; case: (ordP i) => [-> | [j ->]].
  by rewrite -/t -/k; field; lra.
have := row s j _ erefl; rewrite hs -/t => e.
have -> : b (up j) = b (up j) - K (up j) ord0 / k * b ord0 + K (up j) ord0 / k * b ord0 by lra.
by rewrite e; field; lra.
Qed.

Lemma sum_pick n (i : 'I_n) r : ∑_(j < n) (if j == i then r else 0) = r.
Proof. by rewrite (@sum_one _ _ i) ?eqxx // => j /negbTE ->. Qed.

(** ** The dual weights *)
Definition gap d (v w : vec d) : vec d := fun k => 1 * v k + (-1) * w k.
Section Pairing.
Context {D : data}.
Lemma interpolates_margin w : (forall i, ⟨w, x i⟩ = y i) <-> forall i, y i * ⟨w, x i⟩ = 1.
Proof.
split=> h i; first by rewrite h y_sq.
by have := h i; case: (y_values i) => ->; lra.
Qed.
Lemma dot_weighted s v : dot (weighted s) v = ∑_(i < n) s i * (y i * ⟨v, x i⟩).
Proof.
rewrite (dot_sum (fun i k => s i * y i * x i k)); apply: sum_ext => i.
by rewrite dot_scal dotC; ring.
Qed.
Lemma margin_weighted s i : y i * ⟨weighted s, x i⟩ = ∑_(j < n) K i j * s j.
Proof. by rewrite dot_weighted -sum_mull; apply: sum_ext => j; rewrite /K; ring. Qed.

(* eq-dual-pairing *)
Lemma pairing s v : dual_weights s -> let w := weighted s in
  dot v v = dot w w + 2 * ∑_(i < n) s i * (y i * ⟨v, x i⟩ - 1) + dot (gap v w) (gap v w).
Proof.
move=> h w; rewrite dot_lin !dot_linr (dotC v w).
have -> : ∑_(i < n) s i * (y i * ⟨v, x i⟩ - 1) = dot w v - dot w w.
  by rewrite !dot_weighted -sum_minus; apply: sum_ext => i; rewrite margin_weighted h; ring.
by ring.
Qed.
Lemma shortest_unique (P : vec d -> Prop) w : P w ->
  (forall v, P v -> dot v v >= dot w w + dot (gap v w) (gap v w)) -> forall v, shortest P v <-> v = w.
Proof.
move=> Pw h v; split=> [[Pv hv] | ->].
  have := h _ Pv; have := pow_incr _ _ 2 (conj (norm_ge0 v) (hv _ Pw)); rewrite !norm_sq => h1 h2.
  have z : ⟨gap v w, gap v w⟩ = 0 by have := dot_ge0 (gap v w); lra.
  by apply: vec_ext => k; have := dot_eq0 z k; rewrite /gap; lra.
split=> // t Pt; apply: sqrt_le_1_alt; have := h _ Pt; have := dot_ge0 (gap t w); lra.
Qed.
Lemma min_norm_weighted s : dual_weights s -> forall w, min_norm w <-> w = weighted s.
Proof.
move=> h; apply: shortest_unique; first by apply/interpolates_margin => i; rewrite margin_weighted.
move=> v /interpolates_margin hv; rewrite (pairing v h) sum_zero; first by lra.
by move=> i; rewrite hv; ring.
Qed.
Lemma max_margin_weighted s : dual_weights s -> (forall i, 0 <= s i) ->
  forall w, max_margin w <-> w = weighted s.
Proof.
move=> h s0; apply: shortest_unique; first by move=> i; rewrite margin_weighted h; lra.
move=> v hv; rewrite (pairing v h).
suff : 0 <= ∑_(i < n) s i * (y i * ⟨v, x i⟩ - 1) by lra.
by apply: sum_ge0 => i; apply: Rmult_le_pos => //; move: (hv i); lra.
Qed.
Lemma negative_weight s k : pos_def K -> dual_weights s -> s k < 0 -> ~ max_margin (weighted s).
Proof.
move=> pd h neg [_ mm]; have [c hc] := pos_def_solve pd (fun i => if i == k then 1 else 0).
pose u := weighted c; set w := weighted s in mm.
have wu : ⟨w, u⟩ = s k.
  rewrite dot_weighted -[RHS](sum_pick k (s k)); apply: sum_ext => i; rewrite margin_weighted hc.
  by case: eqP => [->|_]; ring.
pose e := - s k / (⟨u, u⟩ + 1); have q0 := dot_ge0 u.
have e0 : 0 < e by apply: Rdiv_lt_0_compat; lra.
have ek : e * (⟨u, u⟩ + 1) = - s k by rewrite /e; field; lra.
have : norm w <= norm (fun k => 1 * w k + e * u k).
  apply: mm => i; rewrite dot_lin.
  have := margin_weighted s i; have := margin_weighted c i; rewrite h hc -/u -/w; case: eqP => _; nra.
move=> le; have := pow_incr _ _ 2 (conj (norm_ge0 w) le); rewrite !norm_sq dot_lin !dot_linr (dotC u w) wu; nra.
Qed.
Lemma gram_pos_def : independent -> pos_def (K).
Proof.
move=> ind q hq i; have e := hq; move: hq.
have -> : ∑_(i < n) (∑_(j < n) K i j * q j) * q i = ⟨weighted q, weighted q⟩.
  by rewrite dot_weighted; apply: sum_ext => j; rewrite margin_weighted; ring.
move=> le; suff : q i * y i = 0 by case: (y_values i) => ->; lra.
apply: (ind (fun i => q i * y i)) => k.
by apply: (dot_eq0 (u := weighted q)); have := dot_ge0 (weighted q); lra.
Qed.
End Pairing.

(** ** A closed convex set has exactly one point of least norm
    No sequence is chosen: the sets of nearly shortest vectors are a Cauchy filter, and R^d is complete. *)
Lemma shortest_exists d (P : vec d -> Prop) : (exists u, P u) ->
  (forall u v, P u -> P v -> P (fun k => / 2 * u k + / 2 * v k)) ->
  (forall w, (forall eps, 0 < eps -> exists u, P u /\ forall k, Rabs (u k - w k) < eps) -> P w) ->
  exists! w, shortest P w.
Proof.
move=> [u0 Pu0] convex closed.
have mid (u v : vec d) : ⟨gap u v, gap u v⟩ = 2 * ⟨u, u⟩ + 2 * ⟨v, v⟩
    - 4 * ⟨fun k => / 2 * u k + / 2 * v k, fun k => / 2 * u k + / 2 * v k⟩.
  by rewrite /gap !dot_lin !dot_linr (dotC v u); field.
suff [w [Pw mw]] : exists w, shortest P w.
  exists w; split=> // v [Pv mv]; apply: vec_ext => k.
  have := mid w v; have := mw _ (convex w v Pw Pv); have := mw v Pv; have := mv w Pw; set h := fun k => _.
  have s2 (u u' : vec d) : norm u <= norm u' -> ⟨u, u⟩ <= ⟨u', u'⟩.
    by move=> le; have := pow_incr _ _ 2 (conj (norm_ge0 u) le); rewrite !norm_sq.
  move=> /s2 l1 /s2 l2 /s2 l3 e; have z : ⟨gap w v, gap w v⟩ = 0 by have := dot_ge0 (gap w v); lra.
  by have := dot_eq0 z k; rewrite /gap; lra.
have [||J [ub lub]] := completeness (fun r => exists u, P u /\ r = - ⟨u, u⟩).
- by exists 0 => r [u [_ ->]]; have := dot_ge0 u; lra.
- by exists (- ⟨u0, u0⟩), u0.
have inf u : P u -> - J <= ⟨u, u⟩ by move=> Pu; have := ub (- ⟨u, u⟩); move=> /(_ (ex_intro _ u (conj Pu erefl))); lra.
have near eps : 0 < eps -> exists u, P u /\ ⟨u, u⟩ < - J + eps.
  move=> eps0; case: (Classical_Prop.classic (exists u, P u /\ ⟨u, u⟩ < - J + eps)) => // no; exfalso.
  have : J <= J - eps; last lra.
  apply: lub => r [u [Pu ->]]; case: (Rlt_le_dec ⟨u, u⟩ (- J + eps)) => h; last lra.
  by case: no; exists u.
(* nearly shortest vectors are near each other *)
have close u v eps : 0 < eps -> P u -> P v -> ⟨u, u⟩ < - J + eps ^ 2 / 4 -> ⟨v, v⟩ < - J + eps ^ 2 / 4 ->
    forall k, Rabs (u k - v k) < eps.
  move=> eps0 Pu Pv hu hv k; have := inf _ (convex u v Pu Pv).
  move=> hm; have : (u k - v k) ^ 2 <= ⟨gap u v, gap u v⟩.
    have -> : (u k - v k) ^ 2 = gap u v k * gap u v k by rewrite /gap; ring.
    by apply: (sum_ge_term (P := fun k => gap u v k * gap u v k)) => l; apply: Rle_0_sqr.
  by rewrite mid => h; apply: Rabs_def1; nra.
pose near_shortest (Q : vec d -> Prop) := exists2 eps, 0 < eps & forall u, P u -> ⟨u, u⟩ < - J + eps -> Q u.
have proper : ProperFilter near_shortest.
  split=> [Q [e e0 h] | ]; first by have [u [Pu hu]] := near e e0; exists u; apply: h.
  split=> [|Q Q' [e e0 h] [e' e'0 h'] | Q Q' imp [e e0 h]]; first by exists 1; [lra | ].
    exists (Rmin e e') => [|u Pu lt]; first exact: Rmin_glb_lt.
    by have := Rmin_l e e'; have := Rmin_r e e' => ? ?; split; [apply: h | apply: h'] => //; lra.
  by exists e => // u Pu lt; apply: imp; apply: h.
have cauchy : cauchy (T := fct_UniformSpace 'I_d R_UniformSpace) near_shortest.
  move=> [e e0]; have e4 : 0 < e ^ 2 / 4 by nra.
  have [v [Pv hv]] := near _ e4; exists v; exists (e ^ 2 / 4) => // u Pu hu k; exact: close hu hv k.
pose w : vec d := lim (T := fct_CompleteSpace (T := 'I_d) (U := R_CompleteSpace)) near_shortest.
have pick eps : 0 < eps -> exists u, P u /\ ⟨u, u⟩ < - J + eps /\ forall k, Rabs (u k - w k) < eps.
  move=> eps0; have [e e0 h] := @complete_cauchy (@fct_CompleteSpace 'I_d R_CompleteSpace) near_shortest proper cauchy (mkposreal _ eps0); have [u [Pu hu]] := near (Rmin e eps) (Rmin_glb_lt _ _ _ e0 eps0).
  have := Rmin_l e eps; have := Rmin_r e eps => ? ?; exists u; split=> //; split; first lra.
  by move=> k; apply: (h u Pu _ k); lra.
exists w; split; first by apply: closed => eps /pick [u [Pu [_ h]]]; exists u.
move=> v /inf Pv; apply: sqrt_le_1_alt; apply: Rle_trans Pv; apply: le_epsilon => eps eps0.
pose S := ∑_(k < d) Rabs (w k); have S0 : 0 <= S by apply: sum_ge0 => k; apply: Rabs_pos.
have e0 : 0 < eps / (1 + 2 * S) by apply: Rdiv_lt_0_compat; lra.
have [u [_ [hu huw]]] := pick _ e0; set e := eps / _ in e0 hu huw.
have : ⟨w, w⟩ - ⟨u, w⟩ <= e * S.
  rewrite /dot -sum_minus /S -sum_mull; apply: sum_le => k; have := Rlt_le _ _ (huw k) => /le_abs.
  by have := Rle_abs (w k); have := Rle_abs (- w k); rewrite Rabs_Ropp; nra.
have := dot_ge0 (gap u w); rewrite /gap dot_lin !dot_linr (dotC w u).
have : e * (1 + 2 * S) = eps by rewrite /e; field; lra.
lra.
Qed.
Lemma max_margin_exists (D : data) u : (forall i, y i * ⟨u, x i⟩ >= 1) -> exists! w, max_margin w.
Proof.
move=> hu; apply: shortest_exists; first by exists u.
  by move=> v w hv hw i; rewrite dot_lin; have := hv i; have := hw i; lra.
move=> w h i; pose S := ∑_(k < d) Rabs (x i k); have S0 : 0 <= S by apply: sum_ge0 => k; apply: Rabs_pos.
apply: Rle_ge; apply: le_epsilon => eps eps0.
have e0 : 0 < eps / (1 + S) by apply: Rdiv_lt_0_compat; lra.
have [v [hv near]] := h _ e0; set e := eps / _ in e0 near; have es : e * (1 + S) = eps by rewrite /e; field; lra.
have : y i * ⟨v, x i⟩ - y i * ⟨w, x i⟩ <= e * S.
  rewrite -Rmult_minus_distr_l; apply: Rle_trans (Rle_abs _) _; rewrite y_abs /dot -sum_minus -sum_mull.
  apply: Rle_trans (sum_abs _) _; apply: sum_le => k; rewrite -Rmult_minus_distr_r Rabs_mult.
  by apply: Rmult_le_compat_r; [exact: Rabs_pos | apply: Rlt_le].
by have := hv i; lra.
Qed.

(** K is positive definite; s is the only solution of K s = 1; the last two lines are parts 2 and 3 of the lemma. *)
Theorem lem_signs (D : data) : independent -> exists s,
  (forall b, b <> (fun _ => 0) -> 0 < ∑_(i < n) (∑_(j < n) K i j * b j) * b i) /\
  (forall b, dual_weights b <-> b = s) /\
  (forall w, min_norm w <-> w = weighted s) /\
  (exists! w, max_margin w) /\
  ((exists w, max_margin w /\ min_norm w) <-> forall i, 0 <= s i).
Proof.
move=> ind; have pd := gram_pos_def ind; have [s h] := pos_def_solve pd (fun _ => 1); exists s.
have mn := min_norm_weighted h.
split; [|split; [|split; [|split]]] => //.
- move=> b b0; case: (Rlt_le_dec 0 (∑_(i < n) (∑_(j < n) K i j * b j) * b i)) => // /pd z.
  by case: b0; apply: vec_ext.
- move=> b; split=> [hb | -> //]; apply: vec_ext => i.
  suff : b i - s i = 0 by lra.
  apply: (pd (fun i => b i - s i)); right; apply: sum_zero => {}i.
  rewrite (sum_ext (Q := fun j => K i j * b j - K i j * s j)); last by move=> j; ring.
  by rewrite sum_minus hb h; ring.
- by apply: (max_margin_exists (u := weighted s)) => i; rewrite margin_weighted h; lra.
split=> [[w [mm /mn e]] k | s0]; last first.
  by exists (weighted s); rewrite mn; split=> //; apply/(max_margin_weighted h s0).
by case: (Rle_lt_dec 0 (s k)) => // neg; case: (negative_weight pd h neg); rewrite -e.
Qed.

