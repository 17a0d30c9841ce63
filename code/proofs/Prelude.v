(** * Finite sums, inner products, and the first facts on the network *)
From Coq Require Export Lra Psatz FunctionalExtensionality.
Require Export Book.Definitions.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** What depends on the version of Rocq
    Names of the standard library that later versions may change are used through these lines only. *)
Lemma exp_ge_1 u : 1 + u <= exp u. Proof. exact: exp_ineq1_le. Qed.
Lemma exp_gt_1 u : u <> 0 -> 1 + u < exp u. Proof. exact: exp_ineq1. Qed.

(* [have h := the (lemma args)] fills in the data and the network of the context; [have h := lemma args] would generalise them. *)
Notation "'the' t" := (ltac:(let u := constr:(t) in exact u)) (at level 0, t at level 9, only parsing).
(* Goals 0 < ... and 0 <= ..., factor by factor. *)
Ltac pos := first [ lra | assumption | apply: exp_pos | apply: sqrt_pos | apply: pow2_ge_0
  | apply: Rmult_lt_0_compat; pos | apply: Rdiv_lt_0_compat; pos | apply: Rinv_0_lt_compat; pos | apply: pow_lt; pos
  | apply: Rmult_le_pos; pos | apply: Rlt_le; pos ].

(** ** Real numbers *)
Lemma le_div p q r : 0 < r -> p * r <= q -> p <= q / r.
Proof. by move=> r0 h; apply: (Rmult_le_reg_r r) => //; rewrite /Rdiv Rmult_assoc Rinv_l; lra. Qed.
Lemma div_le p q r : 0 < r -> p <= q * r -> p / r <= q.
Proof. by move=> r0 h; apply: (Rmult_le_reg_r r) => //; rewrite /Rdiv Rmult_assoc Rinv_l; lra. Qed.
Lemma ge_div p q r : 0 < r -> p >= q / r -> q <= p * r.
Proof.
move=> r0 h; have -> : q = q / r * r by field; lra.
by apply: Rmult_le_compat_r; lra.
Qed.
Lemma inv_le p q : 0 < p -> p <= q -> / q <= / p.
Proof. by move=> p0 pq; apply: Rinv_le_contravar. Qed.
Lemma ln_le u w : 0 < u -> u <= w -> ln u <= ln w.
Proof. by move=> u0 [uw | <-]; [apply: Rlt_le; apply: ln_increasing | lra]. Qed.
Lemma exp_le u w : u <= w -> exp u <= exp w.
Proof. by move=> [uw | <-]; [apply: Rlt_le; apply: exp_increasing | lra]. Qed.
Lemma ln_le_sub1 u : 0 < u -> ln u <= u - 1.
Proof. by move=> u0; have := exp_ge_1 (ln u); rewrite exp_ln //; lra. Qed.
Lemma exp_inv u : exp u * exp (- u) = 1.
Proof. by rewrite -exp_plus -exp_0; congr exp; ring. Qed.
Lemma sq_le p q : 0 <= q -> p ^ 2 <= q ^ 2 -> p <= q.
Proof. by move=> q0 h; case: (Rle_lt_dec p q) => // lt; nra. Qed.
Lemma abs_le p q : - q <= p -> p <= q -> Rabs p <= q.
Proof. by move=> h1 h2; apply: Rabs_le. Qed.
Lemma le_abs p q : Rabs p <= q -> - q <= p <= q.
Proof. by move: (Rle_abs p) (Rle_abs (- p)); rewrite Rabs_Ropp; lra. Qed.
(* a whole number above any real one *)
Lemma big_nat (r : R) : exists T : nat, r <= T.
Proof.
case: (Rle_lt_dec r 0) => r0; first by exists 0%N.
have [h _] := archimed r; exists (Z.to_nat (up r)).
by rewrite INR_IZR_INZ Z2Nat.id; [lra | apply: le_IZR; lra].
Qed.
Lemma nat_gt0 T : (0 < T)%N -> 0 < T. Proof. by move=> T0; apply: lt_0_INR; apply/ltP. Qed.
Lemma gt0_nat (T : nat) : 0 < T -> (0 < T)%N. Proof. by move=> T0; apply/ltP; apply: INR_lt. Qed.

(** ** Sums
    By MathComp's lemmas on big operators that hold for any operation; those for commutative ones are declared differently
    in MathComp 1 and 2. *)
Section Sums.
Variable n : nat.
Implicit Types P Q : 'I_n -> R.

Lemma sum_ext P Q : (forall i, P i = Q i) -> ∑_(i < n) P i = ∑_(i < n) Q i.
Proof. by move=> h; apply: eq_bigr => i _. Qed.
Lemma sum_plus P Q : ∑_(i < n) (P i + Q i) = ∑_(i < n) P i + ∑_(i < n) Q i.
Proof. by rewrite /sum; elim/big_rec3: _ => [|i u w z _ ->]; ring. Qed.
Lemma sum_mull r P : ∑_(i < n) (r * P i) = r * ∑_(i < n) P i.
Proof. by rewrite /sum; elim/big_rec2: _ => [|i u w _ ->]; ring. Qed.
Lemma sum_mulr r P : ∑_(i < n) (P i * r) = (∑_(i < n) P i) * r.
Proof. by rewrite /sum; elim/big_rec2: _ => [|i u w _ ->]; ring. Qed.
Lemma sum_opp P : ∑_(i < n) (- P i) = - (∑_(i < n) P i).
Proof.
have -> : - (∑_(i < n) P i) = -1 * ∑_(i < n) P i by ring.
by rewrite -sum_mull; apply: sum_ext => i; ring.
Qed.
Lemma sum_minus P Q : ∑_(i < n) (P i - Q i) = ∑_(i < n) P i - ∑_(i < n) Q i.
Proof. by rewrite sum_plus sum_opp. Qed.
Lemma sum_le P Q : (forall i, P i <= Q i) -> ∑_(i < n) P i <= ∑_(i < n) Q i.
Proof. by rewrite /sum => h; elim/big_rec2: _ => [|i u w _ uw]; [lra | move: (h i); lra]. Qed.
Lemma sum_ge0 P : (forall i, 0 <= P i) -> 0 <= ∑_(i < n) P i.
Proof. by rewrite /sum => h; elim/big_ind: _ => [|u w|i _]; [lra | lra | exact: h]. Qed.
Lemma sum_const r : ∑_(i < n) r = n * r.
Proof.
rewrite /sum big_const_ord; elim: n => [|k IH]; first by rewrite /=; ring.
by rewrite iterS IH S_INR; ring.
Qed.
Lemma sum_zero P : (forall i, P i = 0) -> ∑_(i < n) P i = 0.
Proof. by move=> h; rewrite (sum_ext h) sum_const; ring. Qed.
Lemma sum_abs P : Rabs (∑_(i < n) P i) <= ∑_(i < n) Rabs (P i).
Proof.
rewrite /sum; elim/big_rec2: _ => [|i u w _ uw]; first by rewrite Rabs_R0; lra.
by apply: Rle_trans (Rabs_triang _ _) _; lra.
Qed.
Lemma sum_none (Q : pred 'I_n) P : (forall k, Q k -> P k = 0) -> \big[Rplus/0]_(k < n | Q k) P k = 0.
Proof. by move=> h; elim/big_rec: _ => [|k u /h -> ->]; ring. Qed.
Lemma sumD1 P i : ∑_(k < n) P k = P i + \big[Rplus/0]_(k < n | k != i) P k.
Proof.
have key (s : seq 'I_n) : uniq s -> \big[Rplus/0]_(k <- s) P k = (if i \in s then P i else 0) + \big[Rplus/0]_(k <- s | k != i) P k.
  elim: s => [_ | k s IH] /=; first by rewrite !big_nil; ring.
  move=> /andP [ks us]; rewrite !big_cons IH // in_cons; case: (eqVneq k i) => [<- | ne] /=.
    by rewrite (negbTE ks); ring.
  ring.
by rewrite /sum key ?index_enum_uniq // mem_index_enum.
Qed.
Lemma sum_split P i : exists2 r, ∑_(k < n) P k = P i + r & (forall k, 0 <= P k) -> 0 <= r.
Proof.
exists (\big[Rplus/0]_(k < n | k != i) P k); first exact: sumD1.
by move=> h; elim/big_ind: _ => [|u w|k _]; [lra | lra | exact: h].
Qed.
(* a sum with one nonzero term *)
Lemma sum_one P i : (forall k, k != i -> P k = 0) -> ∑_(k < n) P k = P i.
Proof. by move=> h; rewrite (sumD1 P i) sum_none //; ring. Qed.
Lemma sum_ge_term P i : (forall k, 0 <= P k) -> P i <= ∑_(k < n) P k.
Proof. by move=> h; case: (sum_split P i) => r -> /(_ h); lra. Qed.
Lemma sum_gt0 P : (0 < n)%N -> (forall i, 0 < P i) -> 0 < ∑_(i < n) P i.
Proof.
move=> n0 h; case: (sum_split P (Ordinal n0)) => r -> h2; move: (h (Ordinal n0)).
by have : 0 <= r by [apply: h2 => k; apply: Rlt_le]; lra.
Qed.
Lemma sum_eq0 P : (forall i, 0 <= P i) -> ∑_(i < n) P i = 0 -> forall i, P i = 0.
Proof. by move=> h h0 i; move: (sum_ge_term i h) (h i); rewrite h0; lra. Qed.
(* means *)
Lemma mean_le P Q : (0 < n)%N -> (forall i, P i <= Q i) -> / n * (∑_(i < n) P i) <= / n * ∑_(i < n) Q i.
Proof. by move=> n0 h; have := nat_gt0 n0; move=> ?; apply: Rmult_le_compat_l; [pos | apply: sum_le]. Qed.
Lemma mean_const r : (0 < n)%N -> / n * ∑_(i < n) r = r.
Proof. by move=> n0; have ? := nat_gt0 n0; rewrite sum_const; field; lra. Qed.
Lemma argmin P : (0 < n)%N -> exists i, forall j, P i <= P j.
Proof.
move=> n0; suff key k : (0 < k)%N -> exists i, forall j : 'I_n, (j < k)%N -> P i <= P j.
  by have [i hi] := key n n0; exists i => j; apply: hi.
elim: k => // -[_ _ | k /(_ isT) [i hi] _].
  by exists (Ordinal n0) => j; rewrite ltnS leqn0 => /eqP j0; right; congr P; apply: val_inj.
case: (ltnP k.+1 n) => [kn | nk]; last by exists i => j _; apply: hi; apply: leq_trans (ltn_ord j) nk.
have e (j : 'I_n) : (j < k.+2)%N -> (j < k.+1)%N \/ j = Ordinal kn.
  by rewrite ltnS leq_eqVlt => /orP [/eqP jk | ]; [right; apply: val_inj | left].
case: (Rle_lt_dec (P i) (P (Ordinal kn))) => h; [exists i | exists (Ordinal kn)] => j /e [/hi | ->] //; lra.
Qed.
End Sums.

Lemma sum0 (P : 'I_0 -> R) : ∑_(i < 0) P i = 0.
Proof. exact: big_ord0. Qed.
Lemma sum_first n (P : 'I_n.+1 -> R) : ∑_(i < n.+1) P i = P ord0 + ∑_(i < n) P (lift ord0 i).
Proof. exact: big_ord_recl. Qed.
Lemma sum_last n (P : 'I_n.+1 -> R) : ∑_(i < n.+1) P i = ∑_(i < n) P (widen_ord (leqnSn n) i) + P ord_max.
Proof.
elim: n P => [|n IH] P; first by rewrite sum_first !sum0 Rplus_comm; congr (_ + P _); apply: val_inj.
rewrite sum_first IH [in RHS]sum_first -Rplus_assoc; congr (P _ + _ + P _); try exact: val_inj.
by apply: sum_ext => i; congr P; apply: val_inj.
Qed.
Lemma sumS n (P : nat -> R) : ∑_(i < n.+1) P i = ∑_(i < n) P i + P n.
Proof. exact: sum_last. Qed.
Lemma sum_exch n k (P : 'I_n -> 'I_k -> R) : ∑_(i < n) ∑_(j < k) P i j = ∑_(j < k) ∑_(i < n) P i j.
Proof.
elim: n P => [|n IH] P; first by rewrite sum0 sum_zero // => j; exact: sum0.
by rewrite sum_first IH -sum_plus; apply: sum_ext => j; rewrite sum_first.
Qed.
Lemma sum1 (P : 'I_1 -> R) : ∑_(i < 1) P i = P ord0.
Proof. by rewrite sum_last sum0 Rplus_0_l; congr P; apply: val_inj. Qed.
(* the smallest of finitely many values is at most their mean *)
Lemma small_term T (P : nat -> R) eps : (0 < T)%N -> mean T P <= eps -> exists t, (t < T)%N /\ P t <= eps.
Proof.
move=> T0; have [t ht] := argmin (fun t : 'I_T => P t) T0 => h; exists t; split=> //.
by apply: Rle_trans h; rewrite -[X in X <= _](mean_const (P t) T0); apply: mean_le.
Qed.

(** ** Inner products *)
Lemma vec_ext d (u w : vec d) : (forall k, u k = w k) -> u = w.
Proof. exact: functional_extensionality. Qed.
Lemma mat_ext m d (A B : mat m d) : (forall j k, A j k = B j k) -> A = B.
Proof. by move=> h; apply: functional_extensionality => j; apply: vec_ext. Qed.

(* A quadratic that is never negative has a nonpositive discriminant: Cauchy-Schwarz, for vectors and for matrices. *)
Lemma discriminant p q r : 0 <= p -> (forall t, 0 <= p * t ^ 2 + 2 * r * t + q) -> r ^ 2 <= p * q.
Proof.
move=> p0 h; case: (Req_dec p 0) => [e | ne].
  case: (Req_dec r 0) => [-> | rn]; first by rewrite e; lra.
  have := h (- (q + 1) / (2 * r)); rewrite e.
  have -> : 0 * (- (q + 1) / (2 * r)) ^ 2 + 2 * r * (- (q + 1) / (2 * r)) + q = - 1 by field.
  lra.
have := h (- r / p); have -> : p * (- r / p) ^ 2 + 2 * r * (- r / p) + q = (p * q - r ^ 2) / p by field.
by move=> h1; have : 0 <= (p * q - r ^ 2) / p * p by [pos]; rewrite /Rdiv Rmult_assoc Rinv_l //; lra.
Qed.

Section Dot.
Variable d : nat.
Implicit Types u w z : vec d.
Lemma dotC u w : ⟨u, w⟩ = ⟨w, u⟩.
Proof. by apply: sum_ext => k; ring. Qed.
Lemma dot_lin u w z p q : ⟨fun k => p * u k + q * w k, z⟩ = p * ⟨u, z⟩ + q * ⟨w, z⟩.
Proof. by rewrite /dot -!sum_mull -sum_plus; apply: sum_ext => k; ring. Qed.
Lemma dot_linr u w z p q : ⟨z, fun k => p * u k + q * w k⟩ = p * ⟨z, u⟩ + q * ⟨z, w⟩.
Proof. by rewrite dotC dot_lin !(dotC z). Qed.
Lemma dot_scal u w r : ⟨fun k => r * u k, w⟩ = r * ⟨u, w⟩.
Proof. by rewrite /dot -sum_mull; apply: sum_ext => k; ring. Qed.
Lemma dot_scalr u w r : ⟨w, fun k => r * u k⟩ = r * ⟨w, u⟩.
Proof. by rewrite dotC dot_scal dotC. Qed.
Lemma dot_sum n (P : 'I_n -> vec d) w : ⟨fun k => ∑_(i < n) P i k, w⟩ = ∑_(i < n) ⟨P i, w⟩.
Proof. by rewrite /dot sum_exch; apply: sum_ext => k; rewrite -sum_mulr. Qed.
Lemma dot_ge0 u : 0 <= ⟨u, u⟩.
Proof. by apply: sum_ge0 => k; apply: Rle_0_sqr. Qed.
Lemma dot_eq0 u : ⟨u, u⟩ = 0 -> forall k, u k = 0.
Proof. by move=> h k; have := sum_eq0 (P := fun k => u k * u k) (fun k => Rle_0_sqr (u k)) h k; nra. Qed.
Lemma norm_ge0 u : 0 <= norm u. Proof. exact: sqrt_pos. Qed.
Lemma norm_sq u : norm u ^ 2 = ⟨u, u⟩.
Proof. by rewrite /norm pow2_sqrt //; apply: dot_ge0. Qed.
Lemma CS u w : ⟨u, w⟩ ^ 2 <= ⟨u, u⟩ * ⟨w, w⟩.
Proof.
apply: discriminant => [|t]; first exact: dot_ge0.
have -> : ⟨u, u⟩ * t ^ 2 + 2 * ⟨u, w⟩ * t + ⟨w, w⟩ = ⟨fun k => t * u k + 1 * w k, fun k => t * u k + 1 * w k⟩.
  by rewrite dot_lin !dot_linr (dotC w u); ring.
exact: dot_ge0.
Qed.
Lemma CS_abs u w : Rabs ⟨u, w⟩ <= norm u * norm w.
Proof.
have u0 := norm_ge0 u; have w0 := norm_ge0 w; apply: sq_le; first pos.
by rewrite pow2_abs Rpow_mult_distr !norm_sq; apply: CS.
Qed.
Lemma CS_le u w : ⟨u, w⟩ <= norm u * norm w.
Proof. by apply: Rle_trans (Rle_abs _) (CS_abs u w). Qed.
End Dot.

Section MDot.
Variables m d : nat.
Implicit Types A B E : mat m d.
Lemma mdotC A B : ⟪A, B⟫ = ⟪B, A⟫.
Proof. by apply: sum_ext => j; apply: dotC. Qed.
Lemma mdot_lin A B E p q : ⟪fun j k => p * A j k + q * B j k, E⟫ = p * ⟪A, E⟫ + q * ⟪B, E⟫.
Proof. by rewrite /mdot -!sum_mull -sum_plus; apply: sum_ext => j; rewrite dot_lin. Qed.
Lemma mdot_linr A B E p q : ⟪E, fun j k => p * A j k + q * B j k⟫ = p * ⟪E, A⟫ + q * ⟪E, B⟫.
Proof. by rewrite mdotC mdot_lin !(mdotC E). Qed.
Lemma mdot_scal A B r : ⟪fun j k => r * A j k, B⟫ = r * ⟪A, B⟫.
Proof. by rewrite /mdot -sum_mull; apply: sum_ext => j; rewrite dot_scal. Qed.
Lemma mdot_sum n (P : 'I_n -> mat m d) B : ⟪fun j k => ∑_(i < n) P i j k, B⟫ = ∑_(i < n) ⟪P i, B⟫.
Proof. by rewrite /mdot sum_exch; apply: sum_ext => j; rewrite -dot_sum. Qed.
Lemma mdot_ge0 A : 0 <= ⟪A, A⟫.
Proof. by apply: sum_ge0 => j; apply: dot_ge0. Qed.
Lemma normF_ge0 A : 0 <= normF A. Proof. exact: sqrt_pos. Qed.
Lemma normF_sq A : normF A ^ 2 = ⟪A, A⟫.
Proof. by rewrite /normF pow2_sqrt //; apply: mdot_ge0. Qed.
Lemma mCS A B : ⟪A, B⟫ ^ 2 <= ⟪A, A⟫ * ⟪B, B⟫.
Proof.
apply: discriminant => [|t]; first exact: mdot_ge0.
have -> : ⟪A, A⟫ * t ^ 2 + 2 * ⟪A, B⟫ * t + ⟪B, B⟫ = ⟪fun j k => t * A j k + 1 * B j k, fun j k => t * A j k + 1 * B j k⟫.
  by rewrite mdot_lin !mdot_linr (mdotC B A); ring.
exact: mdot_ge0.
Qed.
Lemma mCS_abs A B : Rabs ⟪A, B⟫ <= normF A * normF B.
Proof.
have A0 := normF_ge0 A; have B0 := normF_ge0 B; apply: sq_le; first pos.
by rewrite pow2_abs Rpow_mult_distr !normF_sq; apply: mCS.
Qed.
Lemma mdot_le A B : ⟪A, B⟫ <= normF A * normF B.
Proof. by apply: Rle_trans (Rle_abs _) (mCS_abs A B). Qed.
Lemma normF_scal A r : normF (fun j k => r * A j k) = Rabs r * normF A.
Proof.
rewrite /normF mdot_scal mdotC mdot_scal -Rmult_assoc sqrt_mult; [ | nra | exact: mdot_ge0].
by rewrite -/(Rsqr r) sqrt_Rsqr_abs.
Qed.
End MDot.

(** ** The network *)
Section Network.
Context {N : network}.
Lemma m_gt0 : 0 < m. Proof. exact: nat_gt0 m_pos. Qed.
Lemma phi'_range t : gamma <= phi' t <= 1.
Proof.
have h1 := @gamma_range N; have h2 := @phi'0_range N.
by rewrite /phi'; case: Rlt_dec => ? /=; last case: Rlt_dec => ? /=; lra.
Qed.
Lemma phi'_neg t : t < 0 -> phi' t = gamma.
Proof. by rewrite /phi'; case: Rlt_dec => h /=; [lra | case: Rlt_dec]. Qed.
Lemma phi'_pos t : 0 < t -> phi' t = 1.
Proof. by rewrite /phi'; case: Rlt_dec. Qed.
Lemma phi'_0 : phi' 0 = phi'0.
Proof. by rewrite /phi'; case: (Rlt_dec 0 0) => //= h; have := Rlt_irrefl 0 h. Qed.
(* φ is homogeneous, also at 0, whatever φ'(0) is *)
Lemma phi_hom t : t * phi' t = phi t.
Proof.
have gr := @gamma_range N; rewrite /phi' /phi; case: Rlt_dec => h0 /=; first by rewrite Rmax_left; nra.
case: Rlt_dec => h1 /=; first by rewrite Rmax_right; nra.
have -> : t = 0 by lra.
by rewrite !Rmult_0_r Rmax_left; lra.
Qed.
Lemma a_sq j : a j * a j = / m.
Proof.
have m0 := m_gt0; have s2 : sqrt m * sqrt m = m by apply: sqrt_sqrt; lra.
have s0 : 0 < sqrt m by apply: sqrt_lt_R0.
by case: (a_values j) => ->; rewrite -[in RHS]s2; field; lra.
Qed.
Lemma a_norm : ∑_(j < m) a j * a j = 1.
Proof. by have m0 := m_gt0; rewrite (sum_ext a_sq) sum_const Rinv_r //; lra. Qed.
Lemma mdot_grad_f d (X : mat m d) z E : ⟪grad_f X z, E⟫ = ∑_(j < m) a j * phi' ⟨X j, z⟩ * ⟨z, E j⟩.
Proof. by apply: sum_ext => j; rewrite /grad_f dot_scal. Qed.
End Network.

Section Data.
Context {D : data}.
Lemma n_gt0 : 0 < n. Proof. exact: nat_gt0 n_pos. Qed.
Lemma y_sq i : y i * y i = 1. Proof. by case: (y_values i) => ->; ring. Qed.
Lemma y_abs i t : Rabs (y i * t) = Rabs t.
Proof. by case: (y_values i) => ->; rewrite ?Rmult_1_l // -[in RHS]Rabs_Ropp; congr Rabs; ring. Qed.

Context {N : network}.
Lemma mdot_grad_L (X E : mat m d) :
  - ⟪grad_L X, E⟫ = / n * ∑_(i < n) g (margin X i) * (y i * ⟪grad_f X (x i), E⟫).
Proof.
have -> : - ⟪grad_L X, E⟫ = ⟪fun j k => ∑_(i < n) (/ n * (g (margin X i) * y i)) * grad_f X (x i) j k, E⟫.
  have e q : - q = -1 * q by ring.
  rewrite e -mdot_scal; congr mdot; apply: mat_ext => j k; rewrite /grad_L -e Ropp_involutive -sum_mull.
  by apply: sum_ext => i; ring.
rewrite (mdot_sum (fun i j k => (/ n * (g (margin X i) * y i)) * grad_f X (x i) j k)) -sum_mull.
by apply: sum_ext => i; rewrite (mdot_scal (grad_f X (x i))); ring.
Qed.
Lemma mdot_GD al X0 t (E : mat m d) : ⟪GD al X0 t.+1, E⟫ = ⟪GD al X0 t, E⟫ + al t * - ⟪grad_L (GD al X0 t), E⟫.
Proof.
have -> : GD al X0 t.+1 = fun j k => 1 * GD al X0 t j k + (- al t) * grad_L (GD al X0 t) j k.
  by apply: mat_ext => j k /=; ring.
by rewrite mdot_lin; ring.
Qed.
End Data.
