(** * The sharp family: nearly orthogonal data on which one weight is as small as it can be *)
Require Import Book.Prelude Book.Duality Book.Problem2.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

(** ** The sharp family: x_1 = R e_1 and x_j = (μ/R) e_1 + √(1+μ) e_j + h (e_2 + ... + e_n), in explicit coordinates *)
Lemma bigmax_eq (I : finType) (P : pred I) F v : 0 <= v -> (forall i, P i -> F i <= v) -> (exists2 i, P i & F i = v) ->
  \big[Rmax/0]_(i | P i) F i = v.
Proof.
move=> v0 le [i Pi Fi]; apply: Rle_antisym; last by rewrite -{1}Fi; apply: bigmax_ge.
by elim/big_ind: _ => [|u t|j]; [ | exact: Rmax_lub | exact: le].
Qed.
Lemma sum_below n0 d0 : (n0 <= d0)%N -> ∑_(k < d0) (if (k < n0)%N then 1 else 0) = n0.
Proof.
elim: d0 => [|d0 IH]; first by rewrite leqn0 => /eqP ->; rewrite sum0.
rewrite (sumS d0 (fun k => if (k < n0)%N then 1 else 0)) leq_eqVlt => /orP [/eqP e|lt].
  rewrite (sum_ext (Q := fun _ => 1)) => [|k]; first by rewrite e leqnn sum_const S_INR; ring.
  by rewrite e (ltn_trans (ltn_ord k) (leqnn _)).
by rewrite IH // ltnNge -ltnS lt /=; ring.
Qed.
Section Family.
Variables (n0 d0 : nat) (r mu0 : R).
Hypothesis n2 : (2 <= n0)%N.
Hypothesis nd : (n0 <= d0)%N.
Hypothesis r1 : r >= 1.
Hypothesis mu_range : 0 <= mu0 /\ (n0 - 1) * mu0 < 1.
Definition det := 1 - (n0 - 2) * mu0 - (n0 - 1) * mu0 ^ 2 / r ^ 2.
Definition unit_vec (l : nat) : vec d0 := fun k => if (k : nat) == l then 1 else 0.
Definition tail : vec d0 := fun k => if (0 < k < n0)%N then 1 else 0.
Definition h := (sqrt det - sqrt (1 + mu0)) / (n0 - 1).
Definition sharp_x (i : 'I_n0) : vec d0 := if (i : nat) == 0%N then fun k => r * unit_vec 0%N k + 0 * tail k
  else fun k => 1 * (mu0 / r * unit_vec 0%N k + sqrt (1 + mu0) * unit_vec i k) + h * tail k.
Definition sharp : data := @Data n0 (ltnW n2) d0 sharp_x (fun _ => 1) (fun _ => or_introl erefl).
Let N2 : 2 <= n0. Proof. by apply: (le_INR 2); apply/leP. Qed.
Lemma det_pos : 0 < det.
Proof.
have [m0 m1] := mu_range; have q : 0 < / r ^ 2 <= 1.
  by split; [apply: Rinv_0_lt_compat; nra | rewrite -Rinv_1; apply: inv_le; nra].
have : 0 < (1 + mu0) * (1 - (n0 - 1) * mu0) by apply: Rmult_lt_0_compat; lra.
have : (n0 - 1) * mu0 ^ 2 * / r ^ 2 <= (n0 - 1) * mu0 ^ 2 * 1 by apply: Rmult_le_compat_l; [nra | lra].
by rewrite /det /Rdiv; lra.
Qed.
Lemma dot_unit l (w : vec d0) (ld : (l < d0)%N) : ⟨unit_vec l, w⟩ = w (Ordinal ld).
Proof.
rewrite /dot (@sum_one _ _ (Ordinal ld)) /unit_vec ?eqxx => [|k]; first by ring.
by rewrite -val_eqE /= => /negbTE ->; ring.
Qed.
Lemma dot_units l l' : (l < d0)%N -> ⟨unit_vec l, unit_vec l'⟩ = if l == l' then 1 else 0.
Proof. by move=> ld; rewrite (dot_unit _ ld). Qed.
Lemma dot_unit_tail l : (l < d0)%N -> ⟨unit_vec l, tail⟩ = if (0 < l < n0)%N then 1 else 0.
Proof. by move=> ld; rewrite (dot_unit _ ld). Qed.
Lemma dot_tail : ⟨tail, tail⟩ = n0 - 1.
Proof.
have d1 : (0 < d0)%N by apply: leq_trans nd; apply: ltnW.
rewrite /dot (sum_ext (Q := fun k => (if (k < n0)%N then 1 else 0) - (if k == Ordinal d1 then 1 else 0))) => [|k].
  by rewrite sum_minus sum_pick sum_below.
rewrite /tail -val_eqE /=; case: (val k) => [|l] /=; first by rewrite (ltnW n2); ring.
by case: ltnP => _; ring.
Qed.
Lemma gram_sharp i j : ⟨sharp_x i, sharp_x j⟩ =
  if (i : nat) == 0%N then (if (j : nat) == 0%N then r ^ 2 else mu0)
  else if (j : nat) == 0%N then mu0 else if i == j then 1 else - mu0.
Proof.
have d1 : (0 < d0)%N by apply: leq_trans nd; apply: ltnW.
have dp := det_pos; have [m0 m1] := mu_range.
have id : (i < d0)%N := leq_trans (ltn_ord i) nd; have jd : (j < d0)%N := leq_trans (ltn_ord j) nd.
have s1 := sqrt_sqrt (1 + mu0) ltac:(lra); have s2 := sqrt_sqrt det (Rlt_le _ _ dp).
have hh : 2 * sqrt (1 + mu0) * h + h * h * (n0 - 1) = - mu0 - mu0 ^ 2 / r ^ 2.
  have -> : 2 * sqrt (1 + mu0) * h + h * h * (n0 - 1) = (sqrt det * sqrt det - sqrt (1 + mu0) * sqrt (1 + mu0)) / (n0 - 1).
    by rewrite /h; field; lra.
  by rewrite s1 s2 /det; field; lra.
have i_lt := ltn_ord i; have j_lt := ltn_ord j; have q : mu0 / r * (mu0 / r) = mu0 ^ 2 / r ^ 2 by field; lra.
rewrite /sharp_x; case: (posnP i) => i0; case: (posnP j) => j0;
  rewrite !dot_lin !dot_linr ?(dotC tail) !dot_unit_tail // !dot_units // dot_tail ?i0 ?j0 /=
    ?(gtn_eqF i0) ?(gtn_eqF j0) ?(ltn_eqF j0) ?i_lt ?j_lt; [ring | field; lra | field; lra | ].
by rewrite -val_eqE /=; case: eqP => _; lra.
Qed.

Let D := sharp.
Let top : 'I_(@n D) := Ordinal (ltnW n2).
Let second : 'I_(@n D) := Ordinal n2.
Lemma norm_sharp i : norm (x (data := D) i) = if (i : nat) == 0%N then r else 1.
Proof. by rewrite /norm gram_sharp eqxx; case: ((i : nat) == 0%N); [rewrite sqrt_pow2; lra | exact: sqrt_1]. Qed.
Lemma nonzero_sharp : nonzero D.
Proof.
move=> i xi; have := norm_sharp i; rewrite xi /norm /dot sum_zero ?sqrt_0 => [|k]; last by ring.
by case: ifP => _; lra.
Qed.
Lemma R_max_sharp : @R_max D = r.
Proof.
apply: bigmax_eq => [|i _|]; first lra; last by exists top => //; rewrite norm_sharp.
by rewrite norm_sharp; case: ifP => _; lra.
Qed.
Lemma R_min_sharp : @R_min D = 1.
Proof.
apply: Rle_antisym; first by apply: Rle_trans (R_min_le second) _; rewrite norm_sharp; right.
rewrite /R_min R_max_sharp; elim/big_ind: _ => [|u t|i _]; [lra | exact: Rmin_glb | rewrite norm_sharp; case: ifP => _; lra].
Qed.
Lemma M_sharp : @M D = mu0.
Proof.
have [m0 _] := mu_range; have other i j : i != j -> Rabs ⟨x (data := D) i, x j⟩ = mu0.
  move=> ij; rewrite gram_sharp (negbTE ij).
  case: ifP => i0; case: ifP => j0; rewrite ?Rabs_Ropp ?(Rabs_right mu0) //; try lra.
  by case/negP: ij; rewrite -val_eqE /= (eqP i0) (eqP j0).
apply: bigmax_eq => [//|i _|].
  by elim/big_ind: _ => [//|u t|j /other ->]; [exact: Rmax_lub | lra].
exists top => //; apply: bigmax_eq => [//|j /other -> |]; first lra.
by exists second => //; apply: other.
Qed.
Lemma mu_sharp : @mu D = mu0. Proof. by rewrite /mu M_sharp R_min_sharp; field. Qed.
Lemma ratio_sharp : @ratio D = r. Proof. by rewrite /ratio R_max_sharp R_min_sharp; field. Qed.
Lemma independent_sharp : @independent D.
Proof. by apply: (near_independent (Z := nonzero_sharp)); rewrite mu_sharp; have [_] := mu_range. Qed.
Definition sharp_s (i : 'I_n0) := if (i : nat) == 0%N then (1 - (2 * n0 - 3) * mu0) / (r ^ 2 * det) else (1 - mu0 / r ^ 2) / det.
Lemma dual_sharp : @dual_weights D sharp_s.
Proof.
have dp := det_pos; set s1 := (1 - (2 * n0 - 3) * mu0) / (r ^ 2 * det); set s2 := (1 - mu0 / r ^ 2) / det.
have one q : q = det -> q / det = 1 by move=> ->; field; lra.
have e1 : r ^ 2 * s1 + (n0 - 1) * (mu0 * s2) = 1.
  rewrite -[RHS](one (1 - (2 * n0 - 3) * mu0 + (n0 - 1) * mu0 * (1 - mu0 / r ^ 2))); last by rewrite /det; field; lra.
  by rewrite /s1 /s2; field; lra.
have e2 : mu0 * s1 + (1 - (n0 - 2) * mu0) * s2 = 1.
  rewrite -[RHS](one (mu0 * (1 - (2 * n0 - 3) * mu0) / r ^ 2 + (1 - (n0 - 2) * mu0) * (1 - mu0 / r ^ 2))); last by rewrite /det; field; lra.
  by rewrite /s1 /s2; field; lra.
have nE : INR (@n D) = n0 by [].
move=> i; case: (posnP i) => i0.
  rewrite (sum_ext (Q := fun j => mu0 * s2 + if j == top then r ^ 2 * s1 - mu0 * s2 else 0)) => [|j].
    by rewrite sum_plus sum_const sum_pick nE; lra.
  rewrite /K /sharp_s gram_sharp i0 -/s1 -/s2 /= -val_eqE /=; case: eqP => _; ring.
rewrite (sum_ext (Q := fun j => - mu0 * s2 + (if j == top then mu0 * s1 + mu0 * s2 else 0) + if j == i then s2 + mu0 * s2 else 0)) => [|j].
  by rewrite !sum_plus sum_const !sum_pick nE; lra.
rewrite /K /sharp_s gram_sharp (gtn_eqF i0) -/s1 -/s2 /= -!val_eqE /= (eq_sym (val i)).
by case: (posnP j) => [->|_]; rewrite ?(ltn_eqF i0) /=; [ | case: eqP => _]; ring.
Qed.
End Family.

(** [first] is the index of x_1; all labels are 1, so s are the dual weights of the page; "p(S) = p" is the last line but one. *)
Theorem prp_sharp_family (n0 d0 : nat) r p (mu0 := 1 / (p * r ^ 2 * n0)) (Det := 1 - (n0 - 2) * mu0 - (n0 - 1) * mu0 ^ 2 / r ^ 2) :
  (2 <= n0)%N -> (n0 <= d0)%N -> r >= 1 -> p * r ^ 2 > 1 - 1 / n0 ->
  exists (D : data) (first : 'I_n) (s : 'I_n -> R),
  n = n0 /\ d = d0 /\ nonzero D /\ independent /\ (forall i, y i = 1) /\ ratio = r /\ mu = mu0 /\
  (norm (x first) = r /\ forall j, j <> first -> norm (x j) = 1 /\ ⟨x first, x j⟩ = mu0) /\
  (forall i j, i <> first -> j <> first -> i <> j -> ⟨x i, x j⟩ = - mu0) /\
  Det > 0 /\ dual_weights s /\ s first = (1 - (2 * n0 - 3) * mu0) / (r ^ 2 * Det) /\
  (forall j, j <> first -> s j = (1 - mu0 / r ^ 2) / Det) /\
  (forall q, 0 < q -> p_orthogonal q <-> q <= p) /\
  (s first < 0 <-> p * r ^ 2 < 2 - 3 / n0).
Proof.
move=> n2 nd r1 big; have N2 : 2 <= n0 by apply: (le_INR 2); apply/leP.
have i1 : 1 / n0 <= / 2 by rewrite /Rdiv Rmult_1_l; apply: inv_le; lra.
have P0 : 0 < p * r ^ 2 by lra.
have p0 : 0 < p by nra.
have m0 : 0 < mu0 by rewrite /mu0; pos.
have Pm : p * r ^ 2 * (n0 * mu0) = 1 by rewrite /mu0; field; lra.
have nP : n0 * (p * r ^ 2) > n0 - 1.
  have : n0 * (p * r ^ 2) > n0 * (1 - 1 / n0) by apply: Rmult_gt_compat_l; lra.
  by have -> : n0 * (1 - 1 / n0) = n0 - 1 by field; lra.
have mr : 0 <= mu0 /\ (n0 - 1) * mu0 < 1 by split; nra.
pose D := sharp d0 r mu0 n2; have Z := nonzero_sharp (n2 := n2) nd r1 mr.
have dp := det_pos n2 r1 mr; have first_P (j : 'I_n0) : j <> Ordinal (ltnW n2) -> ((j : nat) == 0%N) = false.
  by move=> ne; apply/eqP => j0; apply: ne; apply: val_inj.
exists D, (Ordinal (ltnW n2)), (sharp_s r mu0); have rE := ratio_sharp n2 nd r1 mr; have mE := mu_sharp n2 nd r1 mr.
do 3 split=> //; split; first exact: independent_sharp.
do 3 split=> //; split.
  split; first by rewrite norm_sharp.
  by move=> j /first_P j0; rewrite norm_sharp // gram_sharp //= j0.
split; first by move=> i j /first_P i0 /first_P j0 /eqP /negbTE ij; rewrite gram_sharp //= i0 j0 ij.
do 2 split=> //; first exact: dual_sharp.
do 2 split=> //; first by move=> j /first_P j0; rewrite /sharp_s j0.
split.
  move=> q q0; rewrite (coherence (Z := Z) q0) rE mE; have -> : INR (@n D) = n0 by [].
  have q2 : 0 < q * r ^ 2 by pos.
  split=> [le | le].
    have := Rmult_le_compat_r _ _ _ (Rlt_le _ _ q2) le; have -> : 1 / (q * r ^ 2) * (q * r ^ 2) = 1 by field; lra.
    rewrite -Pm => le2; apply: (Rmult_le_reg_r (r ^ 2 * (n0 * mu0))); [pos | lra].
  apply: le_div => //; rewrite -Pm Rmult_comm; apply: Rmult_le_compat_r; [pos | nra].
have e3 : n0 * (2 - 3 / n0) = 2 * n0 - 3 by field; lra.
have dq : 0 < / (r ^ 2 * det n0 r mu0) by pos.
have -> : sharp_s r mu0 (Ordinal (ltnW n2)) = (1 - (2 * n0 - 3) * mu0) / (r ^ 2 * det n0 r mu0) by [].
rewrite {1}/Rdiv; set P := p * r ^ 2 in Pm nP *; split=> lt.
  have : 1 - (2 * n0 - 3) * mu0 < 0 by case: (Rlt_le_dec (1 - (2 * n0 - 3) * mu0) 0) => // ge; have := Rmult_le_pos _ _ ge (Rlt_le _ _ dq); lra.
  move=> lt2; apply: (Rmult_lt_reg_l n0); first lra; rewrite e3; apply: (Rmult_lt_reg_r mu0) => //; lra.
have : n0 * P * mu0 < (2 * n0 - 3) * mu0.
  by apply: Rmult_lt_compat_r => //; rewrite -e3; apply: Rmult_lt_compat_l; [lra | exact: lt].
by move=> lt2; have : 0 < ((2 * n0 - 3) * mu0 - 1) * / (r ^ 2 * det n0 r mu0) by [apply: Rmult_lt_0_compat; lra]; lra.
Qed.

