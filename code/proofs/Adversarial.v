(** * The case of equality: weights at which the gradient's stable rank reaches its bound *)
Require Import Book.Prelude Book.Problem1 Book.Duality Book.Problem2 Book.SharpFamily Book.Spectral Book.Problem3.
From mathcomp Require Import div.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** Sums over a row or a column of a circulant matrix *)
Lemma sum_bijection n (s t : 'I_n -> 'I_n) P : cancel s t -> cancel t s -> ∑_(j < n) P (s j) = ∑_(j < n) P j.
Proof.
move=> st ts; transitivity (∑_(j < n) ∑_(l < n) if l == s j then P l else 0).
  by apply: sum_ext => j; rewrite (@sum_one _ _ (s j)) ?eqxx // => l /negbTE ->.
rewrite sum_exch; apply: sum_ext => l; rewrite (@sum_one _ _ (t l)) ?ts ?eqxx // => j jt.
by case: eqP => // e; move: jt; rewrite e st eqxx.
Qed.
Section Shift.
Variable n0 : nat.
Hypothesis n0_pos : (0 < n0)%N.
(* i - j and l + j modulo n *)
Definition shift (i j : 'I_n0) : 'I_n0 := Ordinal (ltn_pmod (i + (n0 - j)) n0_pos).
Definition unshift (j l : 'I_n0) : 'I_n0 := Ordinal (ltn_pmod (l + j) n0_pos).
Lemma shift_unshift j : cancel (shift^~ j) (unshift j).
Proof.
move=> i; apply: val_inj => /=; rewrite modnDml -addnA subnK ?modnDr; last exact: ltnW.
exact: modn_small.
Qed.
Lemma unshift_shift j : cancel (unshift j) (shift^~ j).
Proof.
move=> l; apply: val_inj => /=; rewrite modnDml -addnA subnKC ?modnDr; last exact: ltnW.
exact: modn_small.
Qed.
Lemma shift_shift i : cancel (shift i) (shift i).
Proof.
move=> j; have e : unshift (shift i j) j = i.
  by apply: val_inj; rewrite -[in RHS](shift_unshift j i) /= addnC.
by rewrite -{1}e unshift_shift.
Qed.
Lemma count_below (h : bool -> R) k : (k <= n0)%N -> ∑_(l < n0) h (l < k)%N = k * h true + (n0 - k) * h false.
Proof.
move=> kn; rewrite (sum_ext (Q := fun l => h false + (h true - h false) * (if (l < k)%N then 1 else 0))) => [|l].
  by rewrite sum_plus sum_const sum_mull sum_below //; ring.
by case: ltnP => _; ring.
Qed.
Lemma sum_column h k j : (k <= n0)%N -> ∑_(i < n0) h (shift i j < k)%N = k * h true + (n0 - k) * h false.
Proof.
by move=> kn; rewrite (sum_bijection (fun l : 'I_n0 => h (l < k)%N) (shift_unshift j) (unshift_shift j)) count_below.
Qed.
Lemma sum_row h k i : (k <= n0)%N -> ∑_(j < n0) h (shift i j < k)%N = k * h true + (n0 - k) * h false.
Proof.
by move=> kn; rewrite (sum_bijection (fun l : 'I_n0 => h (l < k)%N) (shift_shift i) (shift_shift i)) count_below.
Qed.
End Shift.

(* Schur's test: nonnegative entries, and all rows and columns have the sum t *)
Lemma schur m d (A : mat m d) t : 0 <= t -> (forall j i, 0 <= A j i) -> (forall j, ∑_(i < d) A j i = t) ->
  (forall i, ∑_(j < m) A j i = t) -> norm2 A <= t.
Proof.
move=> t0 A0 rs cs; apply: norm2_le => u u1; apply: sq_le => //; rewrite norm_sq /apply {1}/dot.
apply: (Rle_trans _ (∑_(j < m) t * ∑_(i < d) A j i * (u i * u i))).
  apply: sum_le => j; have := CS (fun i => sqrt (A j i)) (fun i => sqrt (A j i) * u i); rewrite /dot.
  have s2 i : sqrt (A j i) * sqrt (A j i) = A j i := sqrt_sqrt _ (A0 j i).
  rewrite (sum_ext s2) rs.
  rewrite (sum_ext (P := fun i => sqrt (A j i) * (sqrt (A j i) * u i)) (Q := fun i => A j i * u i)) => [|i].
    rewrite (sum_ext (P := fun i => sqrt (A j i) * u i * (sqrt (A j i) * u i)) (Q := fun i => A j i * (u i * u i))) => [|i].
      by move=> h; apply: Rle_trans h; right; rewrite /dot; ring.
    by rewrite -[in RHS]s2; ring.
  by rewrite -Rmult_assoc s2.
rewrite sum_mull sum_exch (sum_ext (Q := fun i => t * (u i * u i))) => [|i]; last by rewrite sum_mulr cs.
rewrite sum_mull; have := pow_incr _ _ 2 (conj (norm_ge0 u) u1); rewrite norm_sq pow1 /dot => u2.
by have := Rmult_le_compat_l _ _ _ (pow2_ge_0 t) u2; lra.
Qed.

(** Differs from the page: indices count from 0; that irrational γ are approached is left out. *)
Theorem prp_sharp_adversarial n0 k gamma0 slope0 delta (pos : (0 < n0)%N) (gr : 0 < gamma0 <= 1) (pr : gamma0 <= slope0 <= 1)
  (D := {| n := n0; n_pos := pos; d := n0; x i := fun l => if l == i then 1 else 0; y _ := 1; y_values _ := or_introl erefl |})
  (N := {| m := n0; m_pos := pos; gamma := gamma0; gamma_range := gr; phi'0 := slope0; phi'0_range := pr;
           a _ := / sqrt n0; a_values _ := or_introl erefl |})
  (W : mat (@m N) (@d D) := fun j i => if ((i + (n0 - j)) %% n0 < k)%N then delta else - delta) (q := k / n0) :
  (1 <= k <= n0)%N -> 0 < delta ->
  (forall i, active W i = q) /\ (forall i, kappa W i = SR (grad_L W)) /\
  SR (grad_L W) = (q + (1 - q) * gamma0 ^ 2) / (q + (1 - q) * gamma0) ^ 2 /\
  (2 * k <= n0 -> gamma0 = k / (n0 - k) -> SR (grad_L W) = (1 + gamma0) ^ 2 / (4 * gamma0)).
Proof.
move=> /andP [k1 kn] d0; have N0 : 0 < n0 := nat_gt0 pos; have K0 : 0 < k := nat_gt0 k1.
have KN : k <= n0 by apply: le_INR; apply/leP.
pose at_ (i j : 'I_n0) := (shift pos i j < k)%N.
have WE j i : W j i = if at_ i j then delta else - delta by [].
have dotW j i : ⟨W j, x i⟩ = W j i.
  by rewrite /dot (@sum_one _ _ i) /= ?eqxx => [|l /negbTE ->]; ring.
have slopes j i : phi' (W j i) = if at_ i j then 1 else gamma0.
  by rewrite WE; case: (at_ i j); [rewrite phi'_pos | rewrite phi'_neg //; lra].
have act i : active W i = q.
  rewrite /active (sum_ext (Q := fun j => if at_ i j then 1 else 0)) => [|j].
    by rewrite (sum_row pos (fun b : bool => if b then 1 else 0) i kn) /q /=; field; lra.
  by rewrite dotW WE; case: (at_ i j); case: Rlt_dec => //= ?; lra.
pose nu := q + (1 - q) * gamma0.
have nu0 : 0 < nu.
  have q01 : 0 < q <= 1 by split; [rewrite /q; pos | apply: div_le; lra].
  by have : 0 <= (1 - q) * gamma0 by [apply: Rmult_le_pos; lra]; rewrite /nu; lra.
have kap i : kappa W i = (q + (1 - q) * gamma0 ^ 2) / nu ^ 2.
  rewrite /kappa /spread; congr (_ / _ ^ 2).
    rewrite (sum_ext (Q := fun j => if at_ i j then 1 else gamma0 ^ 2)) => [|j].
      by rewrite (sum_row pos (fun b : bool => if b then 1 else gamma0 ^ 2) i kn) /q /=; field; lra.
    by rewrite dotW slopes; case: (at_ i j); ring.
  rewrite (sum_ext (Q := fun j => if at_ i j then 1 else gamma0)) => [|j]; last by rewrite dotW slopes.
  by rewrite (sum_row pos (fun b : bool => if b then 1 else gamma0) i kn) /nu /q /=; field; lra.
(* all margins are equal, so the gradient is a multiple of the circulant matrix of the slopes *)
pose B j i := if at_ i j then 1 else gamma0.
have [v marg] : exists v, forall i, margin W i = v.
  exists (k * (/ sqrt n0 * phi delta) + (n0 - k) * (/ sqrt n0 * phi (- delta))) => i.
  rewrite -(sum_row pos (fun b : bool => / sqrt n0 * phi (if b then delta else - delta)) i kn) /margin /f Rmult_1_l.
  by apply: sum_ext => j; rewrite dotW.
have sn : 0 < sqrt n0 by apply: sqrt_lt_R0.
pose s := g v / (n0 * sqrt n0); have s0 : 0 < s by rewrite /s; have := g_gt0 v => ?; pos.
pose E : mat (@m N) (@d D) := fun j i => s * B j i; pose t := s * (n0 * nu); have t0 : 0 < t by rewrite /t; pos.
have gradE : grad_L W = fun j i => -1 * E j i.
  apply: mat_ext => j i; rewrite /grad_L (@sum_one _ _ i) => [|l]; last first.
    by rewrite /grad_f /= eq_sym => /negbTE ->; ring.
  by rewrite marg /grad_f dotW slopes /E /s /B /= eqxx; field; lra.
have B0 j i : 0 <= B j i by rewrite /B; case: (at_ i j); lra.
have rowsB : forall j, ∑_(i < n0) E j i = t.
  move=> j; rewrite sum_mull (sum_column pos (fun b : bool => if b then 1 else gamma0) j kn) /t /nu /q /=; field; lra.
have colsB : forall i, ∑_(j < n0) E j i = t.
  move=> i; rewrite sum_mull (sum_row pos (fun b : bool => if b then 1 else gamma0) i kn) /t /nu /q /=; field; lra.
have N2 : norm2 E = t.
  apply: Rle_antisym; first by apply: schur => // [|j i]; [lra | rewrite /E; apply: Rmult_le_pos; [lra | exact: B0]].
  have ss : sqrt n0 * sqrt n0 = n0 by apply: sqrt_sqrt; lra.
  have b1 : ⟨fun _ : 'I_n0 => / sqrt n0, fun _ => / sqrt n0⟩ = 1 by rewrite /dot sum_const -{1}ss; field; lra.
  apply: Rle_trans (norm2_trans E b1); apply: sq_le; first exact: norm_ge0.
  rewrite norm_sq /dot (sum_ext (Q := fun _ => t / sqrt n0 * (t / sqrt n0))) => [|i]; last by rewrite sum_mull colsB; field; lra.
  by rewrite sum_const -{1}ss; right; field; lra.
have mE : INR (@m N) = n0 by [].
have EE j i : E j i * E j i = s ^ 2 * (if at_ i j then 1 else gamma0 ^ 2) by rewrite /E /B; case: (at_ i j); ring.
have F2 : normF E ^ 2 = s ^ 2 * (n0 ^ 2 * (q + (1 - q) * gamma0 ^ 2)).
  rewrite normF_sq /mdot (sum_ext (Q := fun _ => s ^ 2 * (n0 * (q + (1 - q) * gamma0 ^ 2)))) => [|j]; first by rewrite sum_const mE; ring.
  rewrite /dot (sum_ext (Q := fun i => s ^ 2 * (if at_ i j then 1 else gamma0 ^ 2))) => [|i]; last exact: EE.
  rewrite sum_mull (sum_column pos (fun b : bool => if b then 1 else gamma0 ^ 2) j kn) /q /=; field; lra.
have SRE : SR (grad_L W) = (q + (1 - q) * gamma0 ^ 2) / nu ^ 2.
  by rewrite gradE SR_scal ?N2 //; [rewrite /SR F2 N2 /t; field; lra | lra].
split=> //; split; first by move=> i; rewrite kap SRE.
split=> // k2 gk; have -> : SR (grad_L W) = (q + (1 - q) * gamma0 ^ 2) / nu ^ 2 by [].
by rewrite /nu (_ : q = gamma0 / (1 + gamma0)); [field; lra | rewrite /q gk; field; lra].
Qed.
