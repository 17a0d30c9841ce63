(** * Problem 1: gradient descent converges though the loss is not smooth (1.2 to 1.6; 1.1 is in Gradient.v) *)
Require Export Book.Logistic.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** eq-two-facts *)
Theorem eq_two_facts (N : network) d (X : mat m d) z : ⟪grad_f X z, X⟫ = f X z /\ normF (grad_f X z) <= norm z.
Proof.
split; rewrite ?mdot_grad_f; first by apply: sum_ext => j; rewrite -phi_hom dotC; ring.
apply: sqrt_le_1_alt; rewrite mdot_grad_f -[X in _ <= X]Rmult_1_l -a_norm -sum_mulr.
apply: sum_le => j; rewrite dot_scalr.
have [g0 _] := the gamma_range; have sr := the (phi'_range ⟨X j, z⟩); move: (phi' _) sr => s sr.
have -> : a j * s * (a j * s * ⟨z, z⟩) = a j * a j * ⟨z, z⟩ * (s * s) by ring.
have aa : 0 <= a j * a j * ⟨z, z⟩ by apply: Rmult_le_pos (dot_ge0 z); nra.
by have : s * s <= 1 by [nra]; nra.
Qed.

Section MeanOfG.
Context {D : data} {N : network}.
Implicit Types X E : mat m d.
Lemma Ghat_gt0 X : 0 < Ghat X.
Proof. by have := the n_gt0 => ?; apply: Rmult_lt_0_compat; [pos | apply: sum_gt0 => [|i]; [exact: n_pos | exact: g_gt0]]. Qed.
Lemma Ghat_lt1 X : Ghat X < 1.
Proof.
have n0 := the n_gt0; have : 0 < / n * ∑_(i < n) (1 - g (margin X i)).
  by apply: Rmult_lt_0_compat; [pos | apply: sum_gt0 => [|i]; [exact: n_pos | have := g_lt1 (margin X i); lra]].
by rewrite sum_minus Rmult_minus_distr_l (@mean_const n 1 n_pos) -/(Ghat X); lra.
Qed.
Lemma Ghat_loss X eps : 0 < eps -> Ghat X <= Rmin (eps / (2 * ln 2)) (1 / (2 * n)) -> Lhat X <= eps.
Proof.
move=> e0 h; have n0 := the n_gt0; have l0 : 0 < ln 2 by rewrite -ln_1; apply: ln_increasing; lra.
have h1 := Rle_trans _ _ _ h (Rmin_l _ _); have h2 := Rle_trans _ _ _ h (Rmin_r _ _).
have nG : n * Ghat X <= / 2.
  have -> : / 2 = n * (1 / (2 * n)) by field; lra.
  by apply: Rmult_le_compat_l; lra.
have gi i : g (margin X i) <= / 2.
  apply: Rle_trans nG; have -> : n * Ghat X = ∑_(i < n) g (margin X i) by rewrite /Ghat; field; lra.
  by apply: (sum_ge_term (P := fun i => g (margin X i))) => k; apply: Rlt_le; apply: g_gt0.
apply: (Rle_trans _ (2 * ln 2 * Ghat X)).
  rewrite /Ghat -Rmult_assoc (Rmult_comm (2 * ln 2)) Rmult_assoc -sum_mull.
  by apply: mean_le => [|i]; [exact: n_pos | exact: loss_chord].
have -> : eps = 2 * ln 2 * (eps / (2 * ln 2)) by field; lra.
by apply: Rmult_le_compat_l; lra.
Qed.

(* eq-square, with the cross term written through the margins *)
Lemma square_step (r : run D N) t : F t.+1 ^ 2 =
  F t ^ 2 + 2 * alpha * (/ n * ∑_(i < n) g (margin (W t) i) * margin (W t) i) + alpha ^ 2 * normF (grad_L (W t)) ^ 2.
Proof.
rewrite /F !normF_sq /W mdot_GD (mdotC _ (GD _ _ t.+1)) (mdotC _ (GD _ _ t.+1)) !mdot_GD -/(W t).
rewrite -(mdotC (grad_L (W t)) (W t)).
have -> : ∑_(i < n) g (margin (W t) i) * margin (W t) i
   = ∑_(i < n) g (margin (W t) i) * (y i * ⟪grad_f (W t) (x i), W t⟫).
  by apply: sum_ext => i; have [-> _] := eq_two_facts (W t) (x i).
by rewrite -mdot_grad_L; ring.
Qed.
End MeanOfG.

Section Separable.
Context {D : data} {N : network} {S : separable D}.
Implicit Types X E : mat m d.

Lemma v_ge1 : 1 <= norm v.
Proof.
pose i := Ordinal (@n_pos D); have h := the (v_margin i); have xi := the (x_norm i).
have : y i * ⟨v, x i⟩ <= norm v * norm (x i).
  by apply: Rle_trans (Rle_abs _) _; rewrite y_abs; apply: CS_abs.
have := norm_ge0 (@v D S); have := norm_ge0 (x i); nra.
Qed.
Lemma c_range : 0 < c <= gamma.
Proof.
have v1 := v_ge1; have gr := the gamma_range; split; first by rewrite /c; pos.
by apply: div_le; nra.
Qed.
Lemma V_norm : normF V = 1.
Proof.
have v1 := v_ge1; rewrite -sqrt_1 /normF; congr sqrt; rewrite -a_norm /mdot; apply: sum_ext => j.
have e : V j = fun k => (a j / norm v) * v k by apply: vec_ext => k; rewrite /V; field; lra.
by rewrite !e dot_scal dot_scalr -norm_sq; field; lra.
Qed.
Lemma V_margin X i : y i * ⟪grad_f X (x i), V⟫ >= c.
Proof.
apply: Rle_ge; have v1 := v_ge1; have gr := the gamma_range; have vm := the (v_margin i).
rewrite mdot_grad_f -sum_mull -[X in X <= _]Rmult_1_l -a_norm -sum_mulr; apply: sum_le => j.
have -> : ⟨x i, V j⟩ = a j / norm v * ⟨v, x i⟩.
  rewrite dotC -dot_scal; congr dot; apply: vec_ext => k; rewrite /V; field; lra.
have sr := the (phi'_range ⟨X j, x i⟩); move: (phi' _) sr => s sr.
have -> : y i * (a j * s * (a j / norm v * ⟨v, x i⟩)) = a j * a j * (s * (y i * ⟨v, x i⟩) / norm v) by field; lra.
apply: Rmult_le_compat_l; first by nra.
by apply: Rmult_le_compat_r; [pos | nra].
Qed.

(* y_i <∇f(x_i; X), E> is at most the norm of E, as ‖x_i‖ <= 1 *)
Lemma slope_le X i E : Rabs (y i * ⟪grad_f X (x i), E⟫) <= normF E.
Proof.
rewrite y_abs; apply: Rle_trans (mCS_abs _ _) _; have [_ h] := eq_two_facts X (x i).
by have := the (x_norm i); have := normF_ge0 E; have := normF_ge0 (grad_f X (x i)); nra.
Qed.
Lemma grad_L_le X : normF (grad_L X) <= Ghat X.
Proof.
have G0 := normF_ge0 (grad_L X); have Gh := Ghat_gt0 X; have n0 := the n_gt0.
pose E : mat m d := fun j k => -1 * grad_L X j k.
have nE : normF E = normF (grad_L X) by rewrite normF_scal Rabs_Ropp Rabs_R1 Rmult_1_l.
have : normF (grad_L X) ^ 2 <= Ghat X * normF (grad_L X).
  have -> : normF (grad_L X) ^ 2 = - ⟪grad_L X, E⟫ by rewrite normF_sq mdotC mdot_scal; ring.
  rewrite mdot_grad_L -nE /Ghat Rmult_assoc -sum_mulr; apply: mean_le => [|i]; first exact: n_pos.
  by apply: Rmult_le_compat_l; [have := g_gt0 (margin X i); lra | have [] := le_abs (slope_le X i E)].
by nra.
Qed.
End Separable.

Theorem thm_margin_direction (D : data) (N : network) (S : separable D) :
  normF V = 1 /\ 0 < c <= 1 /\ forall i (X : mat m d), y i * ⟪grad_f X (x i), V⟫ >= c.
Proof.
have cr := the c_range; have gr := the gamma_range; split; first exact: V_norm.
by split; [lra | move=> i X; apply: V_margin].
Qed.

Theorem thm_progress (D : data) (N : network) (S : separable D) (r : run D N) t :
  H t.+1 - H t >= c * alpha * Ghat (W t).
Proof.
have a0 := the alpha_pos; rewrite /H /W mdot_GD -/(W t) mdot_grad_L.
have : c * Ghat (W t) <= / n * ∑_(i < n) g (margin (W t) i) * (y i * ⟪grad_f (W t) (x i), V⟫).
  rewrite /Ghat -Rmult_assoc (Rmult_comm c) Rmult_assoc -sum_mull; apply: mean_le => [|i]; first exact: n_pos.
  by have := the (V_margin (W t) i); have := the (g_gt0 (margin (W t) i)); nra.
by nra.
Qed.

Theorem thm_norm_growth (D : data) (N : network) (S : separable D) (r : run D N) t :
  F t.+1 ^ 2 <= F t ^ 2 + 2 * alpha + alpha ^ 2.
Proof.
have a0 := the alpha_pos; rewrite square_step.
have cross : / n * (∑_(i < n) g (margin (W t) i) * margin (W t) i) <= 1.
  by rewrite -[X in _ <= X](@mean_const n 1 n_pos); apply: mean_le => [|i]; [exact: n_pos | have := the (zg_lt1 (margin (W t) i)); lra].
have last : normF (grad_L (W t)) ^ 2 <= 1.
  by have := the (grad_L_le (W t)); have := the (Ghat_lt1 (W t)); have := normF_ge0 (the (grad_L (W t))); nra.
by have : 0 <= alpha ^ 2 by [pos]; nra.
Qed.

(** ** The first T steps together *)
Section Run.
Context {D : data} {N : network} {S : separable D} {r : run D N}.
Lemma H_le_F t : Rabs (H t) <= F t.
Proof. by have := the (mCS_abs (W t) V); rewrite V_norm Rmult_1_r. Qed.
Lemma H_low T : c * alpha * (∑_(t < T) Ghat (W t)) - F 0 <= H T.
Proof.
elim: T => [|T IH]; first by rewrite sum0; have := the (le_abs (H_le_F 0)); lra.
by rewrite (sumS T (fun t => Ghat (W t))); have := thm_progress S r T; lra.
Qed.
Lemma F_up T : F T ^ 2 <= F 0 ^ 2 + alpha * (2 + alpha) * T.
Proof.
elim: T => [|T IH]; first by rewrite /=; lra.
by rewrite S_INR; have := thm_norm_growth S r T; lra.
Qed.
Lemma F_ge0 t : 0 <= F t. Proof. exact: normF_ge0. Qed.
End Run.

Theorem thm_small_gradient (D : data) (N : network) (S : separable D) (r : run D N) (T : nat) eps :
  0 < eps -> T >= (2 + alpha) / (alpha * c ^ 2 * eps ^ 2) + 2 * F 0 / (alpha * c * eps) ->
  mean T (fun t => Ghat (W t)) <= eps /\ exists t, (t < T)%N /\ Ghat (W t) <= eps.
Proof.
move=> e0 hT; have a0 := the alpha_pos; have cr := the c_range; have F0 := the (F_ge0 0).
pose k := the (alpha * c * eps); have k0 : 0 < k by rewrite /k; repeat pos.
have {}hT : alpha * (2 + alpha) + 2 * F 0 * k <= k ^ 2 * T.
  have e : k ^ 2 * ((2 + alpha) / (alpha * c ^ 2 * eps ^ 2) + 2 * F 0 / (alpha * c * eps)) = alpha * (2 + alpha) + 2 * F 0 * k.
    by rewrite /k; field; lra.
  by rewrite -e; apply: Rmult_le_compat_l; [pos | lra].
have T0 : 0 < T by have : 0 < k ^ 2 by [pos]; have : 0 <= F 0 * k by [pos]; have := pos_INR T; nra.
set G := mean T _; suff main : G <= eps by split=> //; apply: small_term (gt0_nat T0) main.
case: (Rle_lt_dec G eps) => // lt; exfalso.
(* the norm from below, through H, and from above *)
have low : k * T - F 0 < F T.
  have := the (H_low T); have := the (le_abs (H_le_F T)).
  have -> : ∑_(t < T) Ghat (W t) = T * G by rewrite /G /mean; field; lra.
  have : c * alpha * T * eps < c * alpha * T * G by apply: Rmult_lt_compat_l; repeat pos.
  by rewrite /k; lra.
have up := the (F_up T).
(* a negative left side may not be squared *)
case: (Rle_lt_dec (F 0) (k * T)) => cas; last by nra.
have sq : (k * T - F 0) ^ 2 < F T ^ 2 by nra.
nra.
Qed.

Theorem thm_small_loss (D : data) (N : network) (S : separable D) (r : run D N) eps
    (eps' := Rmin (eps / (2 * ln 2)) (1 / (2 * n))) : 0 < eps ->
  (forall X : mat m d, Ghat X <= eps' -> Lhat X <= eps) /\
  forall T : nat, T >= (2 + alpha) / (alpha * c ^ 2 * eps' ^ 2) + 2 * F 0 / (alpha * c * eps') ->
  exists t, (t < T)%N /\ Lhat (W t) <= eps.
Proof.
move=> e0; have n0 := the n_gt0; have l0 : 0 < ln 2 by rewrite -ln_1; apply: ln_increasing; lra.
have h X : Ghat X <= eps' -> Lhat X <= eps by apply: Ghat_loss.
split=> // T hT; have e'0 : 0 < eps' by apply: Rmin_glb_lt; pos.
by have [_ [t [tT /h ht]]] := thm_small_gradient e'0 hT; exists t.
Qed.
