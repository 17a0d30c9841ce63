(** * The hypotheses can be satisfied, and the definitions mean what they should *)
Require Import Book.Prelude Book.Problem1 Book.Duality Book.Problem2 Book.SharpFamily Book.Spectral Book.Problem3 Book.Trajectory.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** The definitions *)
Example gamma_1_is_linear (N : network) d (W : mat m d) z : gamma = 1 -> f W z = ⟨fun k => ∑_(j < m) a j * W j k, z⟩.
Proof.
move=> g1; rewrite (dot_sum (fun j k => a j * W j k)); apply: sum_ext => j.
by rewrite dot_scal /phi g1 Rmult_1_l Rmax_left //; right.
Qed.

Definition diag u t : mat 2 2 := fun j => if j == ord0 then vec2 u 0 else vec2 0 t.
Example diagonal_stable_rank : SR (diag 2 1) = 5 / 4.
Proof.
have sum2 (P : 'I_2 -> R) : ∑_(i < 2) P i = P ord0 + P ord_max.
  by rewrite !sum_last sum0 Rplus_0_l; congr (P _ + _); apply: val_inj.
have F : normF (diag 2 1) ^ 2 = 5 by rewrite normF_sq /mdot sum2 /diag /= !dot_vec2 /vec2 /=; ring.
have N : norm2 (diag 2 1) = 2.
  apply: Rle_antisym.
    apply: norm2_le => u u1; have := pow_incr _ _ 2 (conj (norm_ge0 u) u1); rewrite norm_sq pow1 /dot sum2 => u2.
    by apply: sq_le; [lra | rewrite norm_sq /apply /dot !sum2 /diag /vec2 /=; nra].
  have u1 : norm (vec2 1 0) <= 1 by rewrite /norm dot_vec2 /vec2 /= Rmult_1_r Rmult_0_r Rplus_0_r sqrt_1; right.
  apply: Rle_trans (norm2_ge (diag 2 1) u1); apply: sq_le; first exact: norm_ge0.
  by rewrite norm_sq /apply /dot !sum2 /diag /vec2 /=; lra.
by rewrite /SR F N; field.
Qed.

(** One sample: both classifiers are y x / ‖x‖^2, whose margin is 1. *)
Example one_sample (D : data) (Z : nonzero D) (i : 'I_n) (w := fun k => y i / norm (x i) ^ 2 * x i k) : n = 1%N ->
  (forall u, max_margin u <-> u = w) /\ (forall u, min_norm u <-> u = w) /\ y i * ⟨w, x i⟩ = 1.
Proof.
move=> n1; have only j : j = i.
  have lt (k : 'I_n) : (val k < 1)%N by rewrite -n1; exact: ltn_ord.
  by apply: val_inj; move: (lt i) (lt j); rewrite !ltnS !leqn0 => /eqP -> /eqP ->.
have x0 := the (x_pos i); pose s := the (fun j => / norm (x j) ^ 2).
have h : dual_weights s.
  move=> j; rewrite (only j) (@sum_one _ _ i) => [|k /eqP []]; last exact: only.
  by rewrite /K /s y_sq norm_sq; field; rewrite -norm_sq; nra.
have -> : w = weighted s.
  apply: vec_ext => k; rewrite /weighted (@sum_one _ _ i) => [|j /eqP []]; last exact: only.
  by rewrite /w /s /Rdiv; ring.
split; first by apply: max_margin_weighted => // j; rewrite /s; have := the (x_pos j) => ?; apply: Rlt_le; pos.
by split; [exact: min_norm_weighted | rewrite margin_weighted h].
Qed.

(** ** The hypotheses: two orthonormal samples and one neuron; nearly orthogonal samples that are not orthogonal *)
Lemma r1 : 1 >= 1. Proof. lra. Qed.
Lemma mr : 0 <= 0 /\ (2 - 1) * 0 < 1. Proof. lra. Qed.
Definition two : data := @sharp 2 2 1 0 isT.
Lemma two_gram i j : ⟨x (data := two) i, x j⟩ = if i == j then 1 else 0.
Proof.
rewrite (@gram_sharp 2 2 1 0 isT isT r1 mr) -val_eqE /=.
by case: i => -[|[|//]] ?; case: j => -[|[|//]] ? /=; ring.
Qed.
Definition neuron : network.
Proof. by refine (@Network 1 isT (/ 2) _ 1 _ (fun _ => 1) _); [lra | lra | left; rewrite sqrt_1 Rinv_1]. Defined.
Lemma two_norm i : norm (x (data := two) i) = 1.
Proof. by rewrite /norm two_gram eqxx sqrt_1. Qed.

Lemma two_index (P : 'I_(@n two) -> Prop) : P ord0 -> P ord_max -> forall i, P i.
Proof. exact: ord2. Qed.
Definition both : vec 2 := fun k => 1 * x (data := two) ord0 k + 1 * x (data := two) ord_max k.
Lemma dot_both i : ⟨both, x (data := two) i⟩ = 1.
Proof. by move: i; apply: two_index; rewrite dot_lin !two_gram /=; ring. Qed.

(* Problem 1, from any weights with the step size 10 *)
Definition two_separable : separable two.
Proof.
by refine (@Separable two _ both _) => i; [right; exact: two_norm | rewrite dot_both /=; lra].
Defined.
Example problem_1 (W0 : mat 1 2) eps : 0 < eps -> exists t, Lhat (GD (D := two) (N := neuron) (fun _ => 10) W0 t) <= eps.
Proof.
move=> e0; have ten : 0 < 10 by lra.
have [_ h] := @thm_small_loss two neuron two_separable (@Run two neuron 10 ten W0) eps e0.
move: h; set count := _ + _ => h; have [T hT] := big_nat count.
by have [t [_ le]] := h T (Rle_ge _ _ hT); exists t.
Qed.
(* Problem 2: p = 3 with samples that are not orthogonal *)
Example problem_2 : exists D : data, nonzero D /\ p_orthogonal 3 /\ 3 * ratio ^ 2 > 2 /\ 0 < mu.
Proof.
have [|D [first [s [_ [_ [Z [_ [_ [rE [mE [_ [_ [_ [_ [_ [_ [po _]]]]]]]]]]]]]]]]] := @prp_sharp_family 3 3 1 3 isT isT r1.
  by rewrite /=; lra.
exists D; split=> //; split; first by apply/po; lra.
by rewrite rE mE /=; split; [lra | pos].
Qed.
(* 3.2: small weights, active at both samples *)
Example problem_3 alpha : alpha >= 1 -> SR (GD (D := two) (N := neuron) (fun _ => alpha) (fun _ k => / 1000 * both k) 1) <= 10.
Proof.
have Z : nonzero two := @nonzero_sharp 2 2 1 0 isT isT r1 mr.
have rM : @R_max two = 1 := @R_max_sharp 2 2 1 0 isT isT r1 mr; have rm : @R_min two = 1 := @R_min_sharp 2 2 1 0 isT isT r1 mr.
pose sg := / sqrt (2 * 1%N * 2%N) * Rmin (1 / (20 * 1)) (1 * 1 / (312 * sqrt 2%N)).
have s4 : sqrt (2 * 1%N * 2%N) = 2 by apply: sqrt_lem_1; rewrite /=; lra.
have s2 : 0 < sqrt 2%N <= 2 by split; [apply: sqrt_lt_R0; rewrite /=; lra | apply: sq_le; [lra | rewrite pow2_sqrt /=; lra]].
have mn : / 624 <= Rmin (1 / (20 * 1)) (1 * 1 / (312 * sqrt 2%N)).
  by apply: Rmin_glb; [lra | apply: le_div; lra].
have one := @thm_one_step two Z neuron 3 1 sg (fun _ k => / 1000 * both k); rewrite ?rM ?rm in one.
move=> al1; apply: (proj2 (one _ _ _ _ _ _ alpha al1)); try lra.
- by rewrite /p_orthogonal (@M_sharp 2 2 1 0 isT isT r1 mr) rm; lra.
- by rewrite -/sg; split; [rewrite /sg s4; lra | right].
- rewrite /sg; change (sqrt (2 * @m neuron * @d two)) with (sqrt (2 * 1%N * 2%N)); rewrite s4.
  apply: (Rle_trans _ (/ 624)); last by lra.
  apply: sq_le; first lra; rewrite normF_sq /mdot sum1 dot_scal dot_scalr.
  have -> : ⟨both, both⟩ = 2 by rewrite {1}/both dot_lin !(dotC _ both) !dot_both; ring.
  lra.
have act i : active (D := two) (N := neuron) (fun _ k => / 1000 * both k) i = 1.
  rewrite /active sum1 dot_scal dot_both; case: Rlt_dec => h /=; [field | lra].
rewrite (sum_ext (Q := fun _ => 1)) => [|i]; last by rewrite act two_norm; ring.
rewrite (sum_ext (P := fun i => norm _ ^ 2) (Q := fun _ => 1)) => [|i]; last by rewrite two_norm; ring.
by rewrite sum_const /=; lra.
Qed.
(* the whole trajectory: θ = 0, and θ = 1/3 with samples that are not orthogonal *)
Example trajectory : exists D : data, nonzero D /\ n * M <= / 3 * R_min ^ 2 /\ 0 < M.
Proof.
have [D [Z [po [_ m0]]]] := problem_2; exists D; split=> //.
have M0 : 0 < @M D by rewrite M_mu; have := @R_min_pos D Z => ?; pos.
split=> //; move: po; rewrite /p_orthogonal => po; have r1' := @ratio_ge1 D Z; have n1 := @n_ge1 D.
have : 1 * (@n D * @M D) <= ratio ^ 2 * (@n D * @M D) by apply: Rmult_le_compat_r; [pos | nra].
lra.
Qed.
(* the last iterate: kinks that bend the wrong way, though not much *)
Definition against : network.
Proof. by refine (@Network 1 isT (9 / 10) _ 1 _ (fun _ => -1) _); [lra | lra | right; rewrite sqrt_1 Rinv_1]. Defined.
Example mild_kinks (beta := \big[Rmax/0]_(i < @n two) (/ @m against * ∑_(j < @m against) if Rlt_dec (y i * a (network := against) j) 0 then 1 else 0))
  (chi := (1 - @gamma against) * sqrt beta) : 0 < chi < @c two against two_separable.
Proof.
have -> : chi = / 10.
  rewrite /chi (_ : beta = 1) ?sqrt_1; first by rewrite /=; field.
  have share (i : 'I_(@n two)) : / @m against * (∑_(j < @m against) if Rlt_dec (y i * a (network := against) j) 0 then 1 else 0) = 1.
    by rewrite sum1; case: Rlt_dec => h /=; [field | case: h; rewrite /=; lra].
  by apply: bigmax_eq => [|i _|]; [lra | rewrite share; lra | exists ord0].
split; first lra.
have e : norm both <= 2.
  apply: sq_le; first lra.
  by rewrite norm_sq {1}/both dot_lin !(dotC _ both) !dot_both; lra.
have e0 : 1 <= norm both := @v_ge1 two two_separable.
by rewrite /c /=; apply: (Rlt_le_trans _ (9 / 10 / 2)); [lra | apply: Rmult_le_compat_l; [lra | apply: inv_le; lra]].
Qed.
