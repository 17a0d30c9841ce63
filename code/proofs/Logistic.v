(** * The logistic loss ℓ, its slope g, and the lemma on ψ and κ: functions of one real variable *)
Require Export Book.Prelude.
From Coquelicot Require Import Coquelicot.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** Values and inequalities *)
Lemma g_gt0 z : 0 < g z.
Proof. by rewrite /g; have := exp_pos z => ?; pos. Qed.
Lemma g_mul z : g z * (1 + exp z) = 1.
Proof. by rewrite /g Rinv_l //; move: (exp_pos z); lra. Qed.
Lemma g_lt1 z : g z < 1.
Proof. by have := g_mul z; have := g_gt0 z; have := exp_pos z; nra. Qed.
(* z g(z) < 1, as 1 + e^z > z *)
Lemma zg_lt1 z : g z * z < 1.
Proof. by have := g_mul z; have := g_gt0 z; have := exp_pos z; have := exp_ge_1 z; nra. Qed.
Lemma loss_g z : loss z = - ln (1 - g z).
Proof.
have e0 := exp_pos z; have e1 := exp_pos (- z).
have -> : 1 - g z = / (1 + exp (- z)).
  by rewrite /g exp_Ropp; field; split; [ | have : 0 < / exp z by [pos]]; lra.
by rewrite ln_Rinv /loss ?Ropp_involutive //; lra.
Qed.
Lemma loss_ge0 z : 0 <= loss z.
Proof. by rewrite /loss -ln_1; apply: ln_le; have := exp_pos (- z); lra. Qed.
(* the exponential function lies below its chords *)
Lemma exp_chord u b : 0 <= u <= 1 -> exp (u * b) <= 1 - u + u * exp b.
Proof.
move=> u01; have E0 := exp_pos (u * b).
have h1 := exp_ge_1 (- (u * b)); have h2 := exp_ge_1 (b - u * b).
have e1 := exp_inv (u * b); have e2 : exp (u * b) * exp (b - u * b) = exp b by rewrite -exp_plus; congr exp; ring.
have : (1 - u) * (1 + - (u * b)) <= (1 - u) * exp (- (u * b)) by apply: Rmult_le_compat_l; lra.
have : u * (1 + (b - u * b)) <= u * exp (b - u * b) by apply: Rmult_le_compat_l; lra.
rewrite -e2; nra.
Qed.
(* where g <= 1/2, ℓ = - log(1 - g) lies below the chord 2 log 2 g *)
Lemma loss_chord z : g z <= / 2 -> loss z <= 2 * ln 2 * g z.
Proof.
move=> h; have g0 := g_gt0 z; rewrite loss_g.
have := @exp_chord (2 * g z) (- ln 2) ltac:(lra); rewrite exp_Ropp exp_ln; last lra.
move=> le; have : ln (exp (2 * g z * - ln 2)) <= ln (1 - g z) by apply: ln_le; [pos | lra].
by rewrite ln_exp; lra.
Qed.

(** ** Derivatives *)
Lemma mvt (q q' : R -> R) b e : (forall t, is_derive q t (q' t)) ->
  exists t, Rmin b e <= t <= Rmax b e /\ q e - q b = q' t * (e - b).
Proof.
move=> h; apply: MVT_gen => t _; first exact: h.
by apply: derivable_continuous_pt; exists (q' t); apply/is_derive_Reals.
Qed.
Lemma g_derive z : is_derive g z (- (g z * (1 - g z))).
Proof. by have e0 := exp_pos z; rewrite /g; auto_derive; [lra | field; lra]. Qed.
Lemma loss_derive z : is_derive loss z (- g z).
Proof.
have e0 := exp_pos (- z); rewrite /loss; auto_derive; first lra.
have -> : g z = / (1 + / exp (- z)) by rewrite -exp_Ropp Ropp_involutive.
by field; lra.
Qed.
(* g decreases, by at most a quarter of the distance: g' = - g (1 - g) *)
Lemma g_lip u w : u <= w -> 0 <= g u - g w <= (w - u) / 4.
Proof.
move=> uw; have [t [_ e]] := mvt u w g_derive.
have : 0 <= g t * (1 - g t) <= / 4.
  by have := g_gt0 t; have := g_lt1 t; have : 0 <= (g t - / 2) ^ 2 by [pos]; split; nra.
by move: (g t * (1 - g t)) e => p e p01; split; nra.
Qed.
Lemma g_lip_abs u w : Rabs (g u - g w) <= Rabs (u - w) / 4.
Proof.
case: (Rle_lt_dec u w) => h.
  by have l := g_lip h; rewrite (Rabs_left1 (u - w)) ?(Rabs_right (g u - g w)); lra.
by have l := @g_lip w u ltac:(lra); rewrite (Rabs_right (u - w)) ?(Rabs_left1 (g u - g w)); lra.
Qed.
(* ℓ is convex, and ℓ'' <= 1/4 *)
Lemma loss_taylor z h : 0 <= loss (z + h) - (loss z - g z * h) <= h ^ 2 / 8.
Proof.
have Dl k s : is_derive (fun s => loss (z + s) + g z * s + k * s ^ 2) s (g z - g (z + s) + 2 * k * s).
  have := loss_derive (z + s) => l; auto_derive; first by exists (- g (z + s)).
  by rewrite (is_derive_unique _ _ _ l); ring.
have between s : Rmin 0 h <= s <= Rmax 0 h -> 0 <= s <= h \/ h <= s <= 0.
  by rewrite /Rmin /Rmax; case: Rle_dec => ? ?; [left | right].
split.
  have [s [/between sb]] := mvt 0 h (Dl 0); rewrite Rplus_0_r => e.
  suff : 0 <= (g z - g (z + s)) * h by nra.
  case: sb => sh; first by have [? ?] := @g_lip z (z + s) ltac:(lra); nra.
  by have [? ?] := @g_lip (z + s) z ltac:(lra); nra.
have [s [/between sb]] := mvt 0 h (Dl (- / 8)); rewrite Rplus_0_r => e.
suff : (g z - g (z + s) + 2 * - / 8 * s) * h <= 0 by nra.
case: sb => sh; first by have [? ?] := @g_lip z (z + s) ltac:(lra); nra.
by have [? ?] := @g_lip (z + s) z ltac:(lra); nra.
Qed.
Lemma loss_convex z l : g z * (z - l) <= loss l - loss z.
Proof. by have [+ _] := loss_taylor z (l - z); rewrite Rplus_minus; lra. Qed.
Lemma loss_decr u w : u <= w -> loss w <= loss u.
Proof. by move=> uw; have := loss_convex w u; have := g_gt0 w; nra. Qed.

(** ** ψ and κ *)
Lemma psi_g z : psi (g z) = z * g z.
Proof.
suff e : ln ((1 - g z) / g z) = z by rewrite /psi e; ring.
have e0 := exp_pos z; rewrite -[RHS]ln_exp; congr ln; rewrite /g; field; lra.
Qed.
Lemma g_onto q : 0 < q < 1 -> exists z, g z = q.
Proof.
move=> q01; exists (ln ((1 - q) / q)); rewrite /g exp_ln; first by field; lra.
by apply: Rdiv_lt_0_compat; lra.
Qed.
(* The tangent of ψ at g(b), for b real: multiply 1 + (z - b) <= e^(z - b) by g(z). No derivative is needed. *)
Lemma tangent z b : z * g z <= (b - 1 - exp (- b)) * g z + exp (- b).
Proof.
have h := exp_ge_1 (z - b); have e : exp (z - b) = exp z * exp (- b) by rewrite -exp_plus.
have gm := g_mul z; have g0 := g_gt0 z; have e0 := exp_pos (- b).
have : g z * (1 + (z - b)) <= g z * (exp z * exp (- b)) by apply: Rmult_le_compat_l; lra.
have : exp (- b) = exp (- b) * (g z * (1 + exp z)) by rewrite gm; ring.
by nra.
Qed.
Lemma psi_line q : 0 < q < 1 ->
  exists s w, (forall z, z * g z <= s * g z + w) /\ s * q + w = psi q.
Proof.
move=> /g_onto [b <-]; exists (b - 1 - exp (- b)), (exp (- b)); split=> [z|]; first exact: tangent.
have gm := g_mul b; have e := exp_inv b; have : g b = exp (- b) * (1 - g b); last by rewrite psi_g; nra.
by have -> : 1 - g b = g b * exp b by [lra]; transitivity (exp b * exp (- b) * g b); [rewrite e | ]; ring.
Qed.
(* κ = e^{-b} at b = 1 + κ, where the tangent is horizontal *)
Lemma kappa_exp k : is_kappa k -> exp (- (1 + k)) = k.
Proof.
move=> [k0 ek]; have -> : - (1 + k) = -1 + - k by ring.
by rewrite exp_plus -ek Rmult_assoc exp_inv; ring.
Qed.
Lemma zg_kappa k z : is_kappa k -> z * g z <= k.
Proof. by move=> /kappa_exp e; have := tangent z (1 + k); rewrite e; lra. Qed.
Lemma psi_kappa k q : is_kappa k -> 0 < q < 1 -> psi q <= k.
Proof. by move=> kk /g_onto [z <-]; rewrite psi_g; apply: zg_kappa. Qed.
Lemma kappa_lt1 k : is_kappa k -> k < 1.
Proof. by move=> kk; rewrite -(kappa_exp kk) -[X in _ < X]exp_0; apply: exp_increasing; case: kk; lra. Qed.
Lemma kappa_exists : exists! k, is_kappa k.
Proof.
have cF : continuity (fun w => w * exp w - exp (-1)) by reg.
have E0 := exp_pos (-1); have E1 := exp_ge_1 (exp (-1) + 1).
have [||| k [k01 ek]] := IVT _ 0 (exp (-1) + 1) cF; [lra | lra | nra | exists k].
have ? : k <> 0 by move=> k0; move: ek; rewrite k0; lra.
split=> [|k' [k'0 ek']]; first by split; lra.
case: (Rtotal_order k k') => [lt | [// | gt]].
  by have := exp_increasing _ _ lt; have := exp_pos k; nra.
by have := exp_increasing _ _ gt; have := exp_pos k'; nra.
Qed.

Theorem lem_tangent : (exists! kappa, is_kappa kappa) /\ forall kappa, is_kappa kappa ->
  (forall z, z * g z = psi (g z) /\ z * g z <= kappa /\ (z * g z = kappa <-> z = 1 + kappa)) /\
  forall K (p z : 'I_K -> R) (gbar := ∑_(k < K) p k * g (z k)), (forall k, p k >= 0) -> ∑_(k < K) p k = 1 ->
  ∑_(k < K) p k * (z k * g (z k)) <= psi gbar <= kappa.
Proof.
split=> [|kappa kk]; first exact: kappa_exists.
split=> [z | K p z gbar p0 p1].
  rewrite psi_g; split=> //; split; first exact: zg_kappa.
  have gm := g_mul z; have g0 := g_gt0 z; have k0 := proj1 kk.
  have e : exp (z - (1 + kappa)) = exp z * kappa by rewrite -[in RHS](kappa_exp kk) -exp_plus.
  split=> [h | ze]; last by move: e gm; rewrite ze Rminus_diag_eq // exp_0 -ze; nra.
  case: (Req_dec z (1 + kappa)) => // ne; exfalso.
  have : 1 + (z - (1 + kappa)) < exp (z - (1 + kappa)) by apply: exp_gt_1; lra.
  by rewrite e => lt; have : g z * (z - kappa) < g z * (exp z * kappa) by [apply: Rmult_lt_compat_l; lra]; nra.
have gb : 0 < gbar < 1.
  have pos_sum (q : 'I_K -> R) : (forall k, 0 < q k) -> 0 < ∑_(k < K) p k * q k.
    move=> q0; have term k : 0 <= p k * q k by have := q0 k; have := p0 k; nra.
    case: (sum_ge0 term) => // /esym /(sum_eq0 term) z0; exfalso.
    have : ∑_(k < K) p k = 0; last lra.
    by apply: sum_zero => k; have := z0 k; have := q0 k; nra.
  split; first by apply: pos_sum => k; apply: g_gt0.
  have := pos_sum (fun k => 1 - g (z k)) (fun k => ltac:(have := g_lt1 (z k); lra)).
  rewrite (sum_ext (Q := fun k => p k - p k * g (z k))) => [|k]; last ring.
  by rewrite sum_minus p1 -/gbar; lra.
split; last exact: psi_kappa.
have [s [w [line <-]]] := psi_line gb.
have -> : s * gbar + w = ∑_(k < K) p k * (s * g (z k) + w).
  by rewrite -[w in LHS]Rmult_1_r -p1 -!sum_mull -sum_plus; apply: sum_ext => k; ring.
by apply: sum_le => k; have := line (z k); have := p0 k; nra.
Qed.
