(** * The whole trajectory: the gradient at every W, and the change of the weights *)
Require Import Book.Prelude Book.Problem1 Book.Duality Book.Problem2 Book.Spectral Book.Problem3.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** The spread of finitely many numbers *)
Section Spread.
Variable m : nat.
Hypothesis m_pos : (0 < m)%N.
Implicit Type u : 'I_m -> R.
Let m0 : 0 < m := nat_gt0 m_pos.
Lemma variance u : let b := / m * ∑_(j < m) u j in
  / m * (∑_(j < m) (u j - b) ^ 2) = / m * (∑_(j < m) u j ^ 2) - b ^ 2.
Proof.
move=> b; have -> : ∑_(j < m) (u j - b) ^ 2 = ∑_(j < m) u j ^ 2 - 2 * b * (∑_(j < m) u j) + m * b ^ 2.
  by rewrite -sum_mull -sum_const -sum_minus -sum_plus; apply: sum_ext => j; ring.
have -> : ∑_(j < m) u j = m * b by rewrite /b; field; lra.
by field; lra.
Qed.
Lemma spread_ge1 u : 0 < / m * ∑_(j < m) u j -> 1 <= spread u.
Proof.
move=> b0; have v := variance u; rewrite /spread; set b := / m * ∑_(j < m) u j in b0 v *.
apply: le_div; first pos; suff : 0 <= / m * ∑_(j < m) (u j - b) ^ 2 by lra.
by apply: Rmult_le_pos; [pos | apply: sum_ge0 => j; apply: pow2_ge_0].
Qed.
End Spread.

Theorem lem_spread m gamma (u : 'I_m -> R) top (at_top := / m * ∑_(j < m) if Req_EM_T (u j) top then 1 else 0) :
  (0 < m)%N -> 0 < gamma <= 1 -> 0 < top -> (forall j, gamma * top <= u j <= top) ->
  spread u <= (1 + gamma) ^ 2 / (4 * gamma) /\ spread u - 1 <= (1 - gamma) ^ 2 / (4 * gamma) /\
  (spread u = (1 + gamma) ^ 2 / (4 * gamma) <->
     gamma = 1 \/ at_top = gamma / (1 + gamma) /\ forall j, u j = top \/ u j = gamma * top) /\
  (forall q, 0 < q <= at_top -> spread u <= 1 / q).
Proof.
move=> mp gr t0 hu; have m0 := nat_gt0 mp; set b := / m * ∑_(j < m) u j.
have mm P Q : (forall j : 'I_m, P j = Q j) -> / m * ∑_(j < m) P j = / m * ∑_(j < m) Q j by move=> /sum_ext ->.
have b0 : gamma * top <= b <= top.
  by split; [rewrite -(mean_const (gamma * top) mp) | rewrite -(mean_const top mp)]; apply: mean_le mp _ => j; have := hu j; lra.
have gt : 0 < gamma * top by pos.
(* the two squares of the proof: their sum is the gap *)
pose v := / m * ∑_(j < m) (u j - gamma * top) * (top - u j).
have v0 j : 0 <= (u j - gamma * top) * (top - u j) by have := hu j => ?; apply: Rmult_le_pos; lra.
have vge : 0 <= v by apply: Rmult_le_pos; [pos | exact: sum_ge0].
have ve : / m * (∑_(j < m) u j ^ 2) = (1 + gamma) * top * b - gamma * top ^ 2 - v.
  have -> : / m * (∑_(j < m) u j ^ 2) = / m * ∑_(j < m) ((1 + gamma) * top * u j - gamma * top ^ 2 - (u j - gamma * top) * (top - u j)).
    by apply: mm => j; ring.
  by rewrite !sum_minus sum_mull sum_const /v /b; field; lra.
have gap : (1 + gamma) ^ 2 / (4 * gamma) - spread u = (((1 + gamma) * b - 2 * gamma * top) ^ 2 / (4 * gamma) + v) / b ^ 2.
  by rewrite /spread ve -/b; field; lra.
have b2 : 0 < b ^ 2 by pos.
have sq : 0 <= ((1 + gamma) * b - 2 * gamma * top) ^ 2 / (4 * gamma) by apply: Rmult_le_pos; [exact: pow2_ge_0 | pos].
have e1 : (1 + gamma) ^ 2 / (4 * gamma) - 1 = (1 - gamma) ^ 2 / (4 * gamma) by field; lra.
have le : spread u <= (1 + gamma) ^ 2 / (4 * gamma).
  suff : 0 <= (((1 + gamma) * b - 2 * gamma * top) ^ 2 / (4 * gamma) + v) / b ^ 2 by lra.
  by apply: Rmult_le_pos; [lra | pos].
(* the mean of numbers that are top or γ top *)
have two : (forall j, u j = top \/ u j = gamma * top) -> gamma <> 1 -> b = top * (gamma + at_top * (1 - gamma)).
  move=> h g1; rewrite /b (mm _ (fun j => top * gamma + top * (1 - gamma) * (if Req_EM_T (u j) top then 1 else 0))).
    by rewrite sum_plus sum_const sum_mull /at_top; field; lra.
  move=> j; case: Req_EM_T => [ej|ne] /=; first by rewrite ej; ring.
  by case: (h j) => // ->; ring.
split=> //; split; first lra; split; last first.
  move=> q [q0 qa]; have qb : q * top <= b.
    apply: (Rle_trans _ (at_top * top)); first by apply: Rmult_le_compat_r; lra.
    rewrite /at_top Rmult_assoc -sum_mulr; apply: mean_le mp _ => j.
    by case: Req_EM_T => [ej|_] /=; have := hu j; lra.
  rewrite /spread -/b; apply: div_le => //.
  have le2 : / m * (∑_(j < m) u j ^ 2) <= top * b.
    apply: (Rle_trans _ (/ m * ∑_(j < m) top * u j)); last by rewrite sum_mull /b; right; ring.
    by apply: mean_le mp _ => j; have := hu j; nra.
  apply: Rle_trans le2 _; have -> : 1 / q * b ^ 2 = b / q * b by field; lra.
  by apply: Rmult_le_compat_r; [lra | apply: le_div; lra].
have one : gamma = 1 -> spread u = (1 + gamma) ^ 2 / (4 * gamma).
  move=> g1; have uj j : u j = top by have := hu j; rewrite g1; lra.
  rewrite /spread -/b; have -> : b = top by rewrite g1 in b0; lra.
  by rewrite (mm _ (fun _ => top ^ 2)) ?mean_const // => [|j]; [rewrite g1; field; lra | rewrite uj].
split=> [e | [g1 | [atq h]]].
- case: (Req_dec gamma 1) => [|g1]; first by left.
  right; have z : ((1 + gamma) * b - 2 * gamma * top) ^ 2 / (4 * gamma) + v = 0.
    move: gap; rewrite e Rminus_diag_eq // => /esym /Rmult_integral [// | inv].
    by have : 0 < / b ^ 2 by [pos]; lra.
  have vz : v = 0 by lra.
  have h j : u j = top \/ u j = gamma * top.
    have : ∑_(j < m) (u j - gamma * top) * (top - u j) = 0 by case: (Rmult_integral _ _ vz) => // inv; have : 0 < / m by [pos]; lra.
    by move=> /(sum_eq0 v0) /(_ j) /Rmult_integral [] ?; [right | left]; lra.
  split=> //; have bz : (1 + gamma) * b - 2 * gamma * top = 0.
    have : ((1 + gamma) * b - 2 * gamma * top) ^ 2 / (4 * gamma) = 0 by lra.
    move=> /Rmult_integral [|inv]; first by move=> s2; nra.
    by have : 0 < / (4 * gamma) by [pos]; lra.
  rewrite (two h g1) in bz; apply: (Rmult_eq_reg_r ((1 + gamma) * (1 - gamma) * top)).
    by have -> : gamma / (1 + gamma) * ((1 + gamma) * (1 - gamma) * top) = gamma * (1 - gamma) * top by [field; lra]; lra.
  by apply: Rmult_integral_contrapositive; split; [apply: Rmult_integral_contrapositive; split; lra | lra].
- exact: one.
case: (Req_dec gamma 1) => [|g1]; first exact: one.
have bz : (1 + gamma) * b - 2 * gamma * top = 0 by rewrite (two h g1) atq; field; lra.
have vz : v = 0.
  by rewrite /v (mm _ (fun _ => 0)) ?mean_const // => j; case: (h j) => ->; ring.
by move: gap; rewrite bz vz => gap; have : (0 ^ 2 / (4 * gamma) + 0) / b ^ 2 = 0 by [field; lra]; lra.
Qed.

(** ** Rank from coefficients *)
(** Differs from the page: the maximum is spelt out as any upper bound B. *)
Theorem lem_coefficients (D : data) (Z : nonzero D) (N : network) theta (C : 'I_m -> 'I_n -> R) B :
  0 <= theta < 1 -> n * M <= theta * R_min ^ 2 ->
  (forall j i, 0 <= C j i) -> (exists j i, 0 < C j i) ->
  (forall i, 0 < avg C i -> spread (fun j => C j i) - 1 <= B) ->
  (1 - theta) * (∑_(i < n) avg C i ^ 2 * norm (x i) ^ 2) <= norm2 (rows C) ^ 2 /\
  0 < (1 - theta) * (∑_(i < n) avg C i ^ 2 * norm (x i) ^ 2) /\
  SR (rows C) <= 1 + (1 + theta) / (1 - theta) * B.
Proof.
move=> t01 near C0 [j1 [i1 C1]] hB; have m0 := the m_gt0.
have avg0 i : 0 <= avg C i by apply: Rmult_le_pos; [pos | apply: sum_ge0].
have avg1 : 0 < avg C i1.
  apply: Rmult_lt_0_compat; first pos.
  by apply: Rlt_le_trans (sum_ge_term (P := fun j => C j i1) j1 _).
have B0 : 0 <= B by have := hB _ avg1; have := spread_ge1 m_pos avg1; lra.
pose S := ∑_(i < n) avg C i ^ 2 * norm (x i) ^ 2.
have S0 : 0 < S.
  apply: Rlt_le_trans (sum_ge_term (P := fun i => avg C i ^ 2 * norm (x i) ^ 2) i1 _).
    by have := the (x_pos i1) => ?; pos.
  by move=> i; apply: Rmult_le_pos; apply: pow2_ge_0.
have [low _] := the (gram_rows (avg C) (proj1 t01) near); rewrite -/S in low.
have up := pow_incr _ _ 2 (conj (norm_ge0 _) (the (rows_2 C))).
have low0 : 0 < (1 - theta) * S by apply: Rmult_lt_0_compat; lra.
split; first exact: Rle_trans low up.
split=> //.
(* normF^2 is the squared norm of the mean row plus the variance of the rows *)
have split_F : normF (rows C) ^ 2 = norm (weighted (avg C)) ^ 2 + / m * ∑_(j < m) norm (weighted (fun i => C j i - avg C i)) ^ 2.
  rewrite rows_F norm_sq.
  under [in RHS]sum_ext => j do rewrite norm_sq.
  under [in LHS]sum_ext => j do rewrite norm_sq.
  rewrite /dot sum_exch [in RHS]sum_exch -!sum_mull -sum_plus; apply: sum_ext => k.
  have := variance m_pos (fun j => weighted (C j) k); cbv beta zeta; rewrite mean_rows => v.
  have -> : / m * (∑_(j < m) weighted (C j) k * weighted (C j) k) = / m * ∑_(j < m) weighted (C j) k ^ 2.
    by congr (_ * _); apply: sum_ext => j; ring.
  have -> : / m * ∑_(j < m) weighted (fun i => C j i - avg C i) k * weighted (fun i => C j i - avg C i) k
      = / m * ∑_(j < m) (weighted (C j) k - weighted (avg C) k) ^ 2; last by lra.
  congr (_ * _); apply: sum_ext => j; have -> : weighted (fun i => C j i - avg C i) k = weighted (C j) k - weighted (avg C) k; last ring.
  by rewrite /weighted -sum_minus; apply: sum_ext => i; ring.
have rest : / m * (∑_(j < m) norm (weighted (fun i => C j i - avg C i)) ^ 2) <= (1 + theta) * (B * S).
  apply: (Rle_trans _ (/ m * ∑_(j < m) (1 + theta) * ∑_(i < n) (C j i - avg C i) ^ 2 * norm (x i) ^ 2)).
    by apply: mean_le m_pos _ => j; have [_] := the (gram_rows (fun i => C j i - avg C i) (proj1 t01) near).
  rewrite sum_mull sum_exch /S -!sum_mull; apply: sum_le => i; rewrite sum_mulr.
  have v := variance m_pos (fun j => C j i); cbv beta zeta in v; rewrite -/(avg C i) in v.
  have vB : / m * (∑_(j < m) (C j i - avg C i) ^ 2) <= B * avg C i ^ 2.
    rewrite v; case: (avg0 i) => [pos_i | z].
      have := hB i pos_i; rewrite /spread -/(avg C i); set A := / m * _ => le.
      have a2 : 0 < avg C i ^ 2 by pos.
      have -> : A - avg C i ^ 2 = (A / avg C i ^ 2 - 1) * avg C i ^ 2 by field; lra.
      by apply: Rmult_le_compat_r; lra.
    have Cz j : C j i = 0.
      apply: (sum_eq0 (P := fun j => C j i)) => //; move: z; rewrite /avg => /esym /Rmult_integral [inv|//].
      by have : 0 < / m by [pos]; lra.
    rewrite -z sum_zero => [|j]; last by rewrite Cz; ring.
    lra.
  have -> : / m * ((1 + theta) * ((∑_(j < m) (C j i - avg C i) ^ 2) * norm (x i) ^ 2))
    = (1 + theta) * (/ m * (∑_(j < m) (C j i - avg C i) ^ 2) * norm (x i) ^ 2) by ring.
  apply: Rmult_le_compat_l; first lra; rewrite -Rmult_assoc; apply: Rmult_le_compat_r => //; exact: pow2_ge_0.
apply: div_le; first lra; rewrite split_F.
set q := (1 + theta) / (1 - theta); have q0 : 0 <= q by rewrite /q; pos.
have qS : (1 + theta) * (B * S) = q * B * ((1 - theta) * S) by rewrite /q; field; lra.
have qB : 0 <= q * B by pos.
have l1 := Rmult_le_compat_l _ _ _ qB low.
have qB1 : 0 <= 1 + q * B by lra.
have := Rmult_le_compat_l _ _ _ qB1 up; lra.
Qed.

(** ** The gradient at every W *)
Theorem thm_gradient_rank (D : data) (Z : nonzero D) (N : network) theta (W : mat m d)
    (kappa_max := \big[Rmax/0]_(i < n) kappa W i) : 0 <= theta < 1 -> n * M <= theta * R_min ^ 2 ->
  grad_L W <> (fun _ _ => 0) /\
  SR (grad_L W) <= 1 + (1 + theta) / (1 - theta) * (kappa_max - 1) <= (1 + theta) / (1 - theta) * kappa_max /\
  forall i, kappa W i <= (1 + gamma) ^ 2 / (4 * gamma) /\ (active W i > 0 -> kappa W i <= 1 / active W i).
Proof.
move=> t01 near; have m0 := the m_gt0; have n0 := the n_gt0; have gr := the gamma_range.
have ph j i := the (phi'_range ⟨W j, x i⟩).
pose w i := the (g (margin W i) / n); have w0 i : 0 < w i by rewrite /w; have := g_gt0 (margin W i) => ?; pos.
pose C := the (fun j i => w i * phi' ⟨W j, x i⟩).
have C0 j i : 0 < C j i by have := ph j i => ?; have := w0 i => ?; rewrite /C; apply: Rmult_lt_0_compat; lra.
have sp i : spread (fun j => C j i) = kappa W i.
  rewrite /kappa /spread /C; under sum_ext => j do rewrite Rpow_mult_distr.
  have s0 : 0 < / m * ∑_(j < m) phi' ⟨W j, x i⟩.
    by apply: Rmult_lt_0_compat; [pos | apply: sum_gt0 m_pos _ => j; have := ph j i; lra].
  by rewrite !sum_mull; have := w0 i => ?; field; split; [ | split]; nra.
have kle i : kappa W i <= kappa_max by apply: (@bigmax_ge _ xpredT (fun i => kappa W i)).
have [|||low [pos_low sr]] := @lem_coefficients D Z N theta C (kappa_max - 1) t01 near.
- by move=> j i; apply: Rlt_le.
- by exists (Ordinal m_pos), (Ordinal n_pos).
- by move=> i _; rewrite sp; have := kle i; lra.
have GC : (fun j k => - grad_L W j k) = rows C by rewrite neg_grad.
have N0 : 0 < norm2 (rows C) by have := norm2_ge0 (rows C) => -[|z] //; rewrite -z in low; nra.
have e : grad_L W = fun j k => -1 * rows C j k by apply: mat_ext => j k; rewrite -GC; ring.
have SRe : SR (grad_L W) = SR (rows C) by rewrite e SR_scal //; lra.
split; first by apply: norm2_zero; rewrite e norm2_scal ?Rabs_Ropp ?Rabs_R1; lra.
split.
  rewrite SRe; split=> //; have : 1 <= (1 + theta) / (1 - theta) by apply: le_div; lra.
  by have := the (kle (Ordinal n_pos)); nra.
move=> i; have [le [_ [_ q]]] := @lem_spread m gamma (fun j => phi' ⟨W j, x i⟩) 1 m_pos gr Rlt_0_1 ltac:(move=> j; have := ph j i; lra).
split=> // act; apply: q; split=> //; apply: mean_le m_pos _ => j.
case: Rlt_dec => [h|_] /=; first by rewrite (phi'_pos h); case: Req_EM_T => //= ?; lra.
by case: Req_EM_T => /= _; lra.
Qed.

(** ** All steps *)
Theorem thm_trajectory (D : data) (Z : nonzero D) (N : network) theta alpha (W0 : mat m d) t
    (Gamma := 1 + (1 + theta) / (1 - theta) * ((1 - gamma) ^ 2 / (4 * gamma))) :
  0 <= theta < 1 -> n * M <= theta * R_min ^ 2 -> (forall s, 0 < alpha s) -> (1 <= t)%N ->
  GD alpha W0 t <> W0 /\ SR (msub (GD alpha W0 t) W0) <= Gamma <= (1 + theta) / (1 - theta) * ((1 + gamma) ^ 2 / (4 * gamma)).
Proof.
move=> t01 near al t1; have m0 := the m_gt0; have n0 := the n_gt0; have gr := the gamma_range.
(* the sums of α g_i / n, with and without the slopes *)
pose w s i := the (alpha s * (g (margin (GD alpha W0 s) i) / n)).
have w0 s i : 0 < w s i by rewrite /w; have := g_gt0 (margin (GD alpha W0 s) i) => ?; have := al s => ?; pos.
pose A T i := ∑_(s < T) w s i; pose C T j i := the (∑_(s < T) w s i * phi' ⟨GD alpha W0 s j, x i⟩).
have rowsC T : msub (GD alpha W0 T) W0 = rows (C T).
  apply: mat_ext => j k; elim: T => [|T IH].
    by rewrite /msub /rows /weighted /C sum_zero => [|i]; rewrite ?sum0 /=; ring.
  have -> : msub (GD alpha W0 T.+1) W0 j k = msub (GD alpha W0 T) W0 j k + alpha T * - grad_L (GD alpha W0 T) j k.
    by rewrite /msub /=; ring.
  have ng := congr1 (fun B => B j k) (neg_grad (GD alpha W0 T)); cbv beta in ng.
  rewrite IH ng /rows /weighted -!sum_mull -sum_plus; apply: sum_ext => i.
  have -> : C T.+1 j i = C T j i + w T i * phi' ⟨GD alpha W0 T j, x i⟩.
    exact: (sumS T (fun s => w s i * phi' ⟨GD alpha W0 s j, x i⟩)).
  by rewrite /w; ring.
have A0 i : 0 < A t i by apply: sum_gt0.
have CA j i : gamma * A t i <= C t j i <= A t i.
  rewrite /A -sum_mull; split; apply: sum_le => s; have := w0 s i;
  by have := the (phi'_range ⟨GD alpha W0 s j, x i⟩); nra.
have C0 j i : 0 < C t j i by have := CA j i; have := A0 i; nra.
have K0 : 0 <= (1 - gamma) ^ 2 / (4 * gamma) by apply: Rmult_le_pos; [exact: pow2_ge_0 | pos].
have [|||low [pos_low sr]] := @lem_coefficients D Z N theta (C t) ((1 - gamma) ^ 2 / (4 * gamma)) t01 near.
- by move=> j i; apply: Rlt_le.
- by exists (Ordinal m_pos), (Ordinal n_pos).
- by move=> i _; have [_ []] := lem_spread m_pos gr (A0 i) (fun j => CA j i).
have N0 : 0 < norm2 (rows (C t)) by have := norm2_ge0 (rows (C t)) => -[|z] //; rewrite -z in low; nra.
split.
  move=> e; have := norm2_zero N0; rewrite -rowsC e; case.
  by apply: mat_ext => j k; rewrite /msub; ring.
rewrite rowsC; split=> //; rewrite /Gamma.
have -> : (1 + gamma) ^ 2 / (4 * gamma) = 1 + (1 - gamma) ^ 2 / (4 * gamma) by field; lra.
have : 1 <= (1 + theta) / (1 - theta) by apply: le_div; lra.
lra.
Qed.
