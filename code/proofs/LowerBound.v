(** * Sharp rates: two runs with one sample, one neuron and one dimension that are no faster *)
Require Export Book.Problem1.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** One sample x1 in (0, 1] with label 1, and one neuron with a_1 = s *)
Lemma unit_sign s : s = 1 \/ s = -1 -> forall j : 'I_1, s = / sqrt 1%N \/ s = - / sqrt 1%N.
Proof. by move=> h _; rewrite /= sqrt_1 Rinv_1. Qed.
Definition point x1 : data := @Data 1 isT 1 (fun _ _ => x1) (fun _ => 1) (fun _ => or_introl erefl).
Definition neuron s gam slope (hs : s = 1 \/ s = -1) hg hp : network := @Network 1 isT gam hg slope hp (fun _ => s) (unit_sign hs).

Lemma norm1 (u : vec 1) : norm u = Rabs (u ord0).
Proof. by rewrite /norm /dot sum1 -/(Rsqr (u ord0)) sqrt_Rsqr_abs. Qed.
Lemma point_norm x1 : 0 < x1 <= 1 -> forall i, norm (x (data := point x1) i) <= 1.
Proof. by move=> x01 i; rewrite norm1 /= Rabs_right; lra. Qed.
Lemma point_margin x1 : 0 < x1 <= 1 -> forall i, y (data := point x1) i * ⟨fun _ => / x1, x (data := point x1) i⟩ >= 1.
Proof. by move=> x01 i; rewrite /dot sum1 /= Rinv_l; lra. Qed.
Definition point_separable x1 (h : 0 < x1 <= 1) : separable (point x1) := Separable (point_norm h) (point_margin h).
Lemma point_max_margin x1 : 0 < x1 <= 1 -> max_margin (D := point x1) (fun _ => / x1).
Proof.
move=> x01; split; first exact: point_margin.
move=> u /(_ ord0); rewrite /dot sum1 /= Rmult_1_l !norm1 Rabs_right => [h|]; last by apply: Rle_ge; pos.
apply: Rle_trans (Rle_abs _); have := @inv_le x1 1 ltac:(lra) ltac:(lra); have e : / x1 * x1 = 1 by field; lra.
by nra.
Qed.

Section Scalar.
Variables (x1 s gam slope al w0 : R) (hs : s = 1 \/ s = -1) (hg : 0 < gam <= 1) (hp : gam <= slope <= 1).
Let P := point x1.
Let Q := neuron hs hg hp.
(* the one weight, and the margin there *)
Definition z1 w := s * phi (N := Q) (w * x1).
Fixpoint w1 t : R := if t is t'.+1 then w1 t' + al * (g (z1 (w1 t')) * s * phi' (N := Q) (w1 t' * x1) * x1) else w0.
Lemma margin1 w : margin (D := P) (N := Q) (fun _ _ => w) ord0 = z1 w.
Proof. by rewrite /margin /f /dot !sum1 /= Rmult_1_l. Qed.
Lemma Ghat1 w : Ghat (D := P) (N := Q) (fun _ _ => w) = g (z1 w).
Proof. by rewrite /Ghat sum1 margin1 /= Rinv_1 Rmult_1_l. Qed.
Lemma GD1 t : GD (D := P) (N := Q) (fun _ => al) (fun _ _ => w0) t = fun _ _ => w1 t.
Proof.
elim: t => // t IH; apply: mat_ext => j k; rewrite /= IH /grad_L sum1 margin1 /grad_f /dot sum1 /= Rinv_1; ring.
Qed.
(* on the side of the small slope *)
Lemma z1_neg w : w * x1 < 0 -> z1 w = s * gam * x1 * w.
Proof. by move=> h; rewrite /z1 /phi Rmax_right /=; [ring | nra]. Qed.
Lemma w1_neg t : w1 t * x1 < 0 -> w1 t.+1 = w1 t + al * s * gam * x1 * g (z1 (w1 t)).
Proof. by move=> h; rewrite [LHS]/= phi'_neg //=; ring. Qed.
End Scalar.

Lemma exp_le_line u : 0 <= u -> exp u <= 1 + u * exp u.
Proof. by move=> u0; have := exp_ge_1 (- u); have := exp_inv u; have := exp_pos u; nra. Qed.

(* From w = 0 the margin creeps up like log t, on the side of the small slope. *)
Lemma slow_start c gam slope al (hs : -1 = 1 \/ -1 = -1) (hg : 0 < gam <= 1) (hp : gam <= slope <= 1) (w := w1 (c / gam) al 0 hs hg hp) :
  0 < c <= gam -> 0 < al -> forall t, w t.+1 < 0 /\
  exp (- c * w t.+1) <= exp (al * c / 2) + al * c ^ 2 * exp (al * c ^ 2 / 2) * t.
Proof.
move=> hc a0; have x01 : 0 < c / gam <= 1 by split; [pos | apply: div_le; lra].
have gx : gam * (c / gam) = c by field; lra.
elim=> [|t [wt IH]].
  have -> : w 1%N = - (al / 2 * (slope * (c / gam))).
    rewrite /w /= /z1 Rmult_0_l /phi Rmult_0_r Rmax_left ?Rmult_0_r; last lra.
    by rewrite phi'_0 /g exp_0 /=; field; lra.
  have sx : 0 < slope * (c / gam) <= 1 by split; [pos | nra].
  split; first by have : 0 < al / 2 * (slope * (c / gam)) by [pos]; lra.
  rewrite Rmult_0_r Rplus_0_r; apply: exp_le.
  by have : 0 < al * c by [pos]; nra.
set A := al * c ^ 2 in IH *; have A0 : 0 < A by rewrite /A; repeat pos.
pose z := - c * w t.+1; have z0 : 0 < z by rewrite /z; nra.
have neg : w t.+1 * (c / gam) < 0 by nra.
have zz : z1 (c / gam) hs hg hp (w t.+1) = z by rewrite z1_neg // /z; field; lra.
have step : w t.+2 = w t.+1 - al * c * g z by rewrite [w t.+2]w1_neg // -/w zz; field; lra.
have g0 := g_gt0 z; have gm := g_mul z; have ez := exp_ge_1 z.
have acg : 0 < al * c * g z by repeat pos.
split; first lra.
have -> : - c * w t.+2 = z + A * g z by rewrite step /z /A; ring.
have Ag : 0 <= A * g z <= A / 2 by split; [pos | nra].
have e1 := exp_le_line (proj1 Ag); have e2 := exp_le (proj2 Ag); have Ez := exp_pos z; have q0 := exp_pos (A / 2).
rewrite exp_plus S_INR; move: (exp (A * g z)) (exp (A / 2)) e1 e2 q0 IH; rewrite -/z => p q e1 e2 q0 IH.
have le : p <= 1 + A * g z * q by have : A * g z * p <= A * g z * q by [apply: Rmult_le_compat_l; lra]; lra.
have : exp z * p <= exp z * (1 + A * g z * q) by apply: Rmult_le_compat_l; lra.
have : A * q * (g z * exp z) <= A * q * 1 by apply: Rmult_le_compat_l; [pos | lra].
by lra.
Qed.

(* While w < 0, a step raises it by less than α γ. *)
Lemma slow_negative gam slope al r (hs : 1 = 1 \/ 1 = -1) (hg : 0 < gam <= 1) (hp : gam <= slope <= 1) (w := w1 1 al (- r) hs hg hp) :
  0 < al -> forall t : nat, t < r / (al * gam) -> w t <= - r + al * gam * t.
Proof.
move=> a0; have ag : 0 < al * gam by pos.
elim=> [|t IH]; first by rewrite /=; lra.
rewrite S_INR => lt; have {}lt : al * gam * (t + 1) < r.
  have : (t + 1) * (al * gam) < r / (al * gam) * (al * gam) by apply: Rmult_lt_compat_r.
  by rewrite /Rdiv Rmult_assoc Rinv_l; lra.
have {}IH : w t <= - r + al * gam * t by apply: IH; apply: (Rmult_lt_reg_r (al * gam)) => //; rewrite /Rdiv Rmult_assoc Rinv_l; nra.
have neg : w t * 1 < 0 by nra.
by rewrite [w t.+1]w1_neg // -/w; have := g_lt1 (z1 1 hs hg hp (w t)); nra.
Qed.

(** Differs from the page: c* is spelt out as γ / ‖w‖ for a max-margin vector w. *)
Proposition prp_lower_bound (gam alpha : R) : 0 < gam <= 1 -> 0 < alpha ->
  (forall c eps, 0 < c <= gam -> 0 < eps < 1 ->
   exists (D : data) (S : separable D) w sign, n = 1%N /\ d = 1%N /\ max_margin w /\ gam / norm w = c /\
   forall slope, gam <= slope <= 1 -> exists N : network,
   m = 1%N /\ gamma = gam /\ phi'0 = slope /\ (forall j, a j = sign) /\
   forall t : nat, t < (1 / eps - 1 - exp (alpha * c / 2)) / (alpha * c ^ 2 * exp (alpha * c ^ 2 / 2)) ->
   Ghat (GD (fun _ => alpha) (fun _ _ => 0) t) > eps) /\
  (forall r, 0 <= r ->
   exists (D : data) (S : separable D) w sign w0, n = 1%N /\ d = 1%N /\ max_margin w /\ gam / norm w = gam /\
   forall slope, gam <= slope <= 1 -> exists N : network, let W0 : mat m d := fun _ _ => w0 in
   m = 1%N /\ gamma = gam /\ phi'0 = slope /\ (forall j, a j = sign) /\ normF W0 = r /\
   forall t : nat, t < r / (alpha * gam) -> Ghat (GD (fun _ => alpha) W0 t) > / 2).
Proof.
move=> hg a0; split.
  move=> c eps hc e01; have x01 : 0 < c / gam <= 1 by split; [pos | apply: div_le; lra].
  exists (point (c / gam)), (point_separable x01), (fun _ => / (c / gam)), (-1); do 2![split=> //].
  split; first exact: point_max_margin.
  split; first by rewrite norm1 Rabs_right; [field; lra | apply: Rle_ge; pos].
  move=> slope hp; exists (neuron (or_intror erefl : -1 = 1 \/ -1 = -1) hg hp); do 4![split=> //].
  move=> t; rewrite GD1 Ghat1; set hs := or_intror _.
  set B := alpha * c ^ 2 * _ => lt; have B0 : 0 < B by rewrite /B; repeat pos.
  have {}lt : exp (alpha * c / 2) + B * t < / eps - 1.
    have : t * B < (1 / eps - 1 - exp (alpha * c / 2)) / B * B by apply: Rmult_lt_compat_r.
    by rewrite /Rdiv Rmult_assoc Rinv_l; lra.
  suff : exp (z1 (c / gam) hs hg hp (w1 (c / gam) alpha 0 hs hg hp t)) <= exp (alpha * c / 2) + B * t.
    move: (z1 _ _ _ _ _) => z le; have gm := g_mul z; have g0 := g_gt0 z.
    have : (1 + exp z) * eps < / eps * eps by apply: Rmult_lt_compat_r; lra.
    by rewrite Rinv_l; nra.
  case: t {lt} => [|t].
    have -> : z1 (c / gam) hs hg hp (w1 (c / gam) alpha 0 hs hg hp 0) = 0.
      by rewrite /z1 /= Rmult_0_l /phi Rmult_0_r Rmax_left; lra.
    by rewrite /= Rmult_0_r Rplus_0_r; apply: exp_le; apply: Rlt_le; repeat pos.
  have [wt le] := slow_start hs hg hp hc a0 t; move: (w1 _ _ _ _ _ _ _) wt le => w wt le.
  have -> : z1 (c / gam) hs hg hp w = - c * w.
    by rewrite z1_neg; [field; lra | nra].
  by apply: Rle_trans le _; rewrite S_INR -/B; lra.
move=> r r0; have x01 : 0 < 1 <= 1 by lra.
exists (point 1), (point_separable x01), (fun _ => / 1), 1, (- r); do 2![split=> //].
split; first exact: point_max_margin.
split; first by rewrite norm1 Rinv_1 Rabs_R1; field.
move=> slope hp; exists (neuron (or_introl erefl : 1 = 1 \/ 1 = -1) hg hp) => W0; do 4![split=> //].
split; first by rewrite /W0 /normF /mdot /dot !sum1 -/(Rsqr (- r)) sqrt_Rsqr_abs Rabs_Ropp Rabs_right; lra.
move=> t lt; rewrite /W0 GD1 Ghat1; set hs := or_introl _; set w := w1 _ _ _ _ _ _ _.
have neg : w < 0.
  apply: Rle_lt_trans (slow_negative hs hg hp a0 lt) _.
  have : t * (alpha * gam) < r / (alpha * gam) * (alpha * gam) by apply: Rmult_lt_compat_r => //; pos.
  by rewrite /Rdiv Rmult_assoc Rinv_l; nra.
have z0 : z1 1 hs hg hp w < 0 by rewrite z1_neg; nra.
have := g_mul (z1 1 hs hg hp w); have := exp_increasing _ _ z0; rewrite exp_0; have := g_gt0 (z1 1 hs hg hp w); nra.
Qed.
