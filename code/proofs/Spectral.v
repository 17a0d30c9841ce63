(** * The spectral norm and the stable rank *)
From Coquelicot Require Import Rbar Lub.
Require Import Book.Prelude Book.Duality.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Section Spectral.
Variables m d : nat.
Implicit Types A B : mat m d.
Definition apply A (u : vec d) : vec m := fun j => ⟨A j, u⟩.
Lemma apply_le A u : norm u <= 1 -> norm (apply A u) <= normF A.
Proof.
move=> u1; apply: sqrt_le_1_alt; apply: sum_le => j; have := CS (A j) u; have := dot_ge0 (A j).
by have := pow_incr _ _ 2 (conj (norm_ge0 u) u1); rewrite norm_sq pow1 /apply; nra.
Qed.
Lemma norm2_ge A u : norm u <= 1 -> norm (apply A u) <= norm2 A.
Proof.
move=> u1; rewrite /norm2; set E := fun r => _; have [ub lub] := Lub_Rbar_correct E.
have h1 : Rbar_le (norm (apply A u)) (Lub_Rbar E) by apply: ub; exists u.
have h2 : Rbar_le (Lub_Rbar E) (normF A) by apply: lub => r [w [w1 ->]]; apply: apply_le.
by move: h1 h2; case: (Lub_Rbar E).
Qed.
Lemma norm2_le A r : (forall u, norm u <= 1 -> norm (apply A u) <= r) -> norm2 A <= r.
Proof.
move=> h; rewrite /norm2; set E := fun r => _; have [ub lub] := Lub_Rbar_correct E.
have h1 : Rbar_le (norm (apply A (fun _ => 0))) (Lub_Rbar E).
  by apply: ub; exists (fun _ => 0); split=> //; rewrite /norm /dot sum_zero ?sqrt_0 => [|k]; lra.
have h2 : Rbar_le (Lub_Rbar E) r by apply: lub => q [w [w1 ->]]; apply: h.
by move: h1 h2; case: (Lub_Rbar E).
Qed.
Lemma norm2_ge0 A : 0 <= norm2 A.
Proof.
apply: Rle_trans (norm_ge0 (apply A (fun _ => 0))) (norm2_ge A _).
by rewrite /norm /dot sum_zero ?sqrt_0 => [|k]; lra.
Qed.
Lemma norm2_le_F A : norm2 A <= normF A.
Proof. by apply: norm2_le => u; apply: apply_le. Qed.
(* ‖A^T b‖ <= ‖A‖_2 for a unit vector b *)
Lemma norm2_trans A (b : vec m) : ⟨b, b⟩ = 1 ->
  let r : vec d := fun k => ∑_(j < m) b j * A j k in norm r <= norm2 A.
Proof.
move=> b1 r; case: (norm_ge0 r) => [r0 | <-]; last exact: norm2_ge0.
pose u : vec d := fun k => / norm r * r k.
have u1 : norm u <= 1.
  right; rewrite /norm -sqrt_1; congr sqrt; rewrite /u dot_scal dot_scalr -norm_sq; field; lra.
have -> : norm r = ⟨b, apply A u⟩.
  transitivity ⟨r, u⟩; first by rewrite /u dot_scalr -norm_sq; field; lra.
  by rewrite /r (dot_sum (fun j k => b j * A j k)); apply: sum_ext => j; rewrite dot_scal.
apply: Rle_trans (CS_le _ _) _; rewrite {1}/norm b1 sqrt_1 Rmult_1_l; exact: norm2_ge.
Qed.
End Spectral.

Lemma norm_add d (u w : vec d) : norm (fun k => u k + w k) <= norm u + norm w.
Proof.
have n0 := norm_ge0 u; have n1 := norm_ge0 w; apply: sq_le; first lra.
have -> : (fun k => u k + w k) = fun k => 1 * u k + 1 * w k by apply: vec_ext => k; ring.
rewrite norm_sq dot_lin !dot_linr (dotC w u) -!norm_sq; have := CS_le u w; lra.
Qed.
Lemma normF_add m d (A B : mat m d) : normF (madd A B) <= normF A + normF B.
Proof.
have n0 := normF_ge0 A; have n1 := normF_ge0 B; apply: sq_le; first lra.
have -> : madd A B = fun j k => 1 * A j k + 1 * B j k by apply: mat_ext => j k; rewrite /madd; ring.
rewrite normF_sq mdot_lin !mdot_linr (mdotC B A) -!normF_sq; have := mdot_le A B; lra.
Qed.

Lemma norm2_add m d (A B : mat m d) : norm2 (madd A B) <= norm2 A + norm2 B.
Proof.
apply: norm2_le => u u1; have -> : apply (madd A B) u = fun j => apply A u j + apply B u j.
  by apply: vec_ext => j; rewrite /apply /madd /dot -sum_plus; apply: sum_ext => k; ring.
by apply: Rle_trans (norm_add _ _) _; have := norm2_ge A u1; have := norm2_ge B u1; lra.
Qed.
Lemma apply_scal m d (A : mat m d) r u : norm (apply (fun j k => r * A j k) u) = Rabs r * norm (apply A u).
Proof.
rewrite /norm; have -> : apply (fun j k => r * A j k) u = fun j => r * apply A u j by apply: vec_ext => j; rewrite /apply dot_scal.
rewrite dot_scal dot_scalr -Rmult_assoc sqrt_mult ?sqrt_Rsqr_abs //; [exact: Rle_0_sqr | exact: dot_ge0].
Qed.
Lemma norm2_scal m d (A : mat m d) r : r <> 0 -> norm2 (fun j k => r * A j k) = Rabs r * norm2 A.
Proof.
move=> /Rabs_pos_lt r0; set s := Rabs r in r0 *; apply: Rle_antisym.
  by apply: norm2_le => u u1; rewrite apply_scal -/s; apply: Rmult_le_compat_l; [lra | exact: norm2_ge].
have -> : norm2 (fun j k => r * A j k) = s * (/ s * norm2 (fun j k => r * A j k)) by field; lra.
apply: Rmult_le_compat_l; first lra; apply: norm2_le => u u1; apply: (Rmult_le_reg_l s) => //.
have := norm2_ge (fun j k => r * A j k) u1; rewrite apply_scal -/s; set t := norm2 (fun j k => r * A j k).
by have -> : s * (/ s * t) = t by field; lra.
Qed.
Lemma SR_scal m d (A : mat m d) r : r <> 0 -> 0 < norm2 A -> SR (fun j k => r * A j k) = SR A.
Proof.
move=> r0 A0; rewrite /SR normF_scal norm2_scal //; have := Rabs_pos_lt _ r0 => s0; field; lra.
Qed.
Lemma norm2_pos m d (A : mat m d) : A <> (fun _ _ => 0) -> 0 < norm2 A.
Proof.
move=> A0; case: (norm2_ge0 A) => // z; case: A0; apply: mat_ext => j.
pose b i := if i == j then 1 else 0 : R; have b1 : ⟨b, b⟩ = 1.
  by rewrite -[RHS](sum_pick j 1); apply: sum_ext => i; rewrite /b; case: eqP => _; ring.
apply: dot_eq0; rewrite -norm_sq; have := norm2_trans A b1 => /=.
have -> : (fun k => ∑_(i < m) b i * A i k) = A j.
  apply: vec_ext => k; rewrite -[RHS](sum_pick j (A j k)).
  by apply: sum_ext => i; rewrite /b; case: eqP => [->|_]; ring.
by have := norm_ge0 (A j); nra.
Qed.
Lemma norm2_zero m d (A : mat m d) : 0 < norm2 A -> A <> (fun _ _ => 0).
Proof.
move=> p e; have := norm2_le_F A; rewrite {2}e /normF /mdot /dot sum_zero ?sqrt_0 => [|j]; first lra.
by rewrite sum_zero // => k; ring.
Qed.
Lemma sqrt_SR m d (A : mat m d) : 0 < norm2 A -> sqrt (SR A) = normF A / norm2 A.
Proof.
move=> p; have f0 := normF_ge0 A; rewrite /SR; have -> : normF A ^ 2 / norm2 A ^ 2 = (normF A / norm2 A) ^ 2 by field; lra.
by rewrite sqrt_pow2 //; pos.
Qed.

Theorem lem_perturbation m d (W D : mat m d) eta : D <> (fun _ _ => 0) -> 0 <= eta < 1 -> normF W <= eta * norm2 D ->
  madd W D <> (fun _ _ => 0) /\
  SR (madd W D) <= ((sqrt (SR D) + eta) / (1 - eta)) ^ 2 <= ((1 + eta) / (1 - eta)) ^ 2 * SR D.
Proof.
move=> /norm2_pos p e01 small; have f1 := norm2_le_F D; have f0 := normF_ge0 D; have w0 := normF_ge0 W.
have up := normF_add W D; have F0 := normF_ge0 (madd W D).
have low : (1 - eta) * norm2 D <= norm2 (madd W D).
  have := norm2_add (madd W D) (fun j k => -1 * W j k); have -> : madd (madd W D) (fun j k => -1 * W j k) = D.
    by apply: mat_ext => j k; rewrite /madd; ring.
  have := norm2_le_F (fun j k => -1 * W j k); rewrite normF_scal Rabs_Ropp Rabs_R1; lra.
have n0 : 0 < norm2 (madd W D) by have : 0 < (1 - eta) * norm2 D by [pos]; lra.
split; first exact: norm2_zero.
rewrite sqrt_SR //; set s := normF D / norm2 D.
have s1 : 1 <= s by apply: le_div; lra.
have fs : normF D = s * norm2 D by rewrite /s; field; lra.
have -> : SR (madd W D) = (normF (madd W D) / norm2 (madd W D)) ^ 2 by rewrite /SR; field; lra.
have -> : ((1 + eta) / (1 - eta)) ^ 2 * SR D = ((1 + eta) * s / (1 - eta)) ^ 2.
  by have -> : SR D = s ^ 2 by [rewrite /SR /s; field; lra]; field; lra.
split; apply: pow_incr; split; try pos.
  apply: div_le => //; apply: (Rle_trans _ ((s + eta) / (1 - eta) * ((1 - eta) * norm2 D))).
    have -> : (s + eta) / (1 - eta) * ((1 - eta) * norm2 D) = s * norm2 D + eta * norm2 D by field; lra.
    by lra.
  by apply: Rmult_le_compat_l low; pos.
by apply: Rmult_le_compat_r; [pos | nra].
Qed.

