(** * What a reader must trust

    The definitions of the book, with its names. Whatever the theorems of the other files say, they say of these.
    [a ^ 2] is a square, [/ a] is [1 / a], [INR] (not written: a coercion) turns a whole number into a real one,
    ['I_n] is the set of the [n] indices [0, ..., n - 1], and [t.+1] is [t + 1]. *)
From Coq Require Export Reals.
From mathcomp Require Export ssreflect ssrfun ssrbool eqtype ssrnat seq choice fintype bigop.
From Coquelicot Require Rbar Lub.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Open Scope R_scope. Coercion INR : nat >-> R.

(** ** Sums, vectors, matrices, norms *)
Definition sum n (F : 'I_n -> R) : R := \big[Rplus/0]_(i < n) F i.
Notation "∑_( i < n ) F" := (@sum n (fun i => F))
  (at level 39, i at level 50, n at level 50, F at level 40, format "∑_( i  <  n )  F") : R_scope.

Definition vec d := 'I_d -> R.
Definition vec2 u t : vec 2 := fun k => if k == ord0 then u else t. (* the vector (u, t) *)
Definition mat m d := 'I_m -> vec d. (* the rows *)
Definition dot d (u v : vec d) := ∑_(k < d) u k * v k.
Notation "⟨ u , v ⟩" := (dot u v) (at level 0, u at level 99, v at level 99, format "⟨ u ,  v ⟩") : R_scope.
Definition norm d (u : vec d) := sqrt ⟨u, u⟩.
Definition mdot m d (A B : mat m d) := ∑_(j < m) ⟨A j, B j⟩. (* Frobenius *)
Notation "⟪ A , B ⟫" := (mdot A B) (at level 0, A at level 99, B at level 99, format "⟪ A ,  B ⟫") : R_scope.
Definition normF m d (A : mat m d) := sqrt ⟪A, A⟫.
Definition madd m d (A B : mat m d) : mat m d := fun j k => A j k + B j k.
Definition msub m d (A B : mat m d) : mat m d := fun j k => A j k - B j k.
(* the spectral norm: the supremum of ‖A u‖ over the unit ball *)
Definition norm2 m d (A : mat m d) : R :=
  Rbar.real (Lub.Lub_Rbar (fun r => exists u : vec d, norm u <= 1 /\ r = norm (fun j => ⟨A j, u⟩))).

(** ** The data and the network

    [(D : data)] in front of a theorem says: for all such samples and labels; from then on [n], [x], [y] are those of [D]. *)
Class data := Data {
  n : nat;  n_pos : (0 < n)%N;  d : nat;
  x : 'I_n -> vec d;
  y : 'I_n -> R;  y_values : forall i, y i = 1 \/ y i = -1 }.

Class network := Network {
  m : nat;  m_pos : (0 < m)%N;
  gamma : R;  gamma_range : 0 < gamma <= 1;
  phi'0 : R;  phi'0_range : gamma <= phi'0 <= 1; (* φ'(0), any number in [γ, 1] *)
  a : 'I_m -> R;  a_values : forall j, a j = / sqrt m \/ a j = - / sqrt m }.

(* eq-data, which Problem 1 assumes *)
Class separable (D : data) := Separable {
  x_norm : forall i, norm (x i) <= 1;
  v : vec d;  v_margin : forall i, y i * ⟨v, x i⟩ >= 1 }.

(* φ(t) = max(t, γ t), and its derivative with the chosen value at 0 *)
Definition phi {N : network} t := Rmax t (gamma * t).
Definition phi' {N : network} t := if Rlt_dec 0 t then 1 else if Rlt_dec t 0 then gamma else phi'0.
(* f(z; W) = ∑_j a_j φ(⟨w_j, z⟩); its gradient has the rows a_j φ'(⟨w_j, z⟩) z *)
Definition f {N : network} d (W : mat m d) (z : vec d) := ∑_(j < m) a j * phi ⟨W j, z⟩.
Definition grad_f {N : network} d (W : mat m d) (z : vec d) : mat m d := fun j k => a j * phi' ⟨W j, z⟩ * z k.

(** ** The loss, its gradient, gradient descent *)
Definition loss z := ln (1 + exp (- z)).
Definition g z := / (1 + exp z). (* - loss' *)
Section Loss.
Context {D : data} {N : network}.
Definition margin (W : mat m d) i := y i * f W (x i).
Definition Lhat W := / n * ∑_(i < n) loss (margin W i).
Definition Ghat W := / n * ∑_(i < n) g (margin W i).
(* eq-gradient: ∇L(W) = - 1/n ∑_i g_i y_i ∇f(x_i; W) *)
Definition grad_L (W : mat m d) : mat m d :=
  fun j k => - (/ n * ∑_(i < n) g (margin W i) * y i * grad_f W (x i) j k).
(* W(t+1) = W(t) - α_t ∇L(W(t)); Problem 1 has α_t = α *)
Fixpoint GD (alpha : nat -> R) (W0 : mat m d) t : mat m d :=
  if t is t'.+1 then fun j k => GD alpha W0 t' j k - alpha t' * grad_L (GD alpha W0 t') j k else W0.
End Loss.

(* G is the true (Fréchet) gradient of L at W *)
Definition is_gradient m d (L : mat m d -> R) (W G : mat m d) :=
  forall eps, 0 < eps -> exists delta, 0 < delta /\
  forall E, normF E < delta -> Rabs (L (madd W E) - L W - ⟪G, E⟫) <= eps * normF E.

(** ** Problem 1: a run of gradient descent, and the letters of the chapter *)
Class run (D : data) (N : network) := Run { alpha : R;  alpha_pos : 0 < alpha;  W0 : mat m d }.
Definition W {D : data} {N : network} {r : run D N} t := GD (fun _ => alpha) W0 t.
Definition F {D : data} {N : network} {r : run D N} t := normF (W t).
(* V has the rows a_j v / ‖v‖; c = γ / ‖v‖; H_t = ⟨W(t), V⟩ *)
Definition V {D : data} {N : network} {S : separable D} : mat m d := fun j k => a j * (v k / norm v).
Definition c {D : data} {N : network} {S : separable D} := gamma / norm v.
Definition H {D : data} {N : network} {S : separable D} {r : run D N} t := ⟪W t, V⟫.
(* the mean of Ĝ, or of L̂, over the first T iterates *)
Definition mean T (Q : nat -> R) := / INR T * ∑_(t < T) Q t.
Definition logplus u := Rmax 0 (ln u).
Definition psi q := q * ln ((1 - q) / q).
Definition is_kappa k := 0 < k /\ k * exp k = exp (-1).

(** ** Problem 2: max margin, minimum norm, near orthogonality *)
Definition shortest d (P : vec d -> Prop) (w : vec d) := P w /\ forall u, P u -> norm w <= norm u.
Definition max_margin {D : data} := shortest (fun w => forall i, y i * ⟨w, x i⟩ >= 1).
Definition min_norm {D : data} := shortest (fun w => forall i, ⟨w, x i⟩ = y i).
Class nonzero (D : data) := x_nonzero : forall i, x i <> fun _ => 0.
Section Samples. Context {D : data}.
Definition independent := forall b : 'I_n -> R, (forall k, ∑_(i < n) b i * x i k = 0) -> forall i, b i = 0.
Definition K i j := y i * y j * ⟨x i, x j⟩.
Definition e i j := y i * y j * ⟨x i, x j⟩ / norm (x j) ^ 2. (* the couplings of lem-two-rows *)
Definition dual_weights (s : 'I_n -> R) := forall i, ∑_(j < n) K i j * s j = 1. (* s = K^-1 1 *)
Definition weighted (s : 'I_n -> R) : vec d := fun k => ∑_(i < n) s i * y i * x i k.
(* the largest and the smallest ‖x_i‖, R = R_max / R_min; M = max |⟨x_i, x_j⟩| over i ≠ j, 0 if n = 1; μ *)
Definition R_max := \big[Rmax/0]_(i < n) norm (x i).
Definition R_min := \big[Rmin/R_max]_(i < n) norm (x i).
Definition ratio := R_max / R_min.
Definition M := \big[Rmax/0]_(i < n) \big[Rmax/0]_(j < n | i != j) Rabs ⟨x i, x j⟩.
Definition mu := M / R_min ^ 2.
Definition p_orthogonal p := R_min ^ 2 >= p * ratio ^ 2 * n * M.
End Samples.

(** ** Problem 3: the stable rank; q_i, the share of neurons active at x_i; κ_i, the spread of the slopes there *)
Definition SR m d (A : mat m d) := normF A ^ 2 / norm2 A ^ 2.
Definition active {D : data} {N : network} (W : mat m d) i := / m * ∑_(j < m) if Rlt_dec 0 ⟨W j, x i⟩ then 1 else 0.
Definition spread m (u : 'I_m -> R) := (/ m * ∑_(j < m) u j ^ 2) / (/ m * ∑_(j < m) u j) ^ 2.
Definition kappa {D : data} {N : network} (W : mat m d) i := spread (fun j => phi' ⟨W j, x i⟩).
(* the matrix with the rows a_j ∑_i y_i C_ji x_i, such as - ∇L; the mean of column i of C *)
Definition rows {D : data} {N : network} (C : 'I_m -> 'I_n -> R) : mat m d := fun j k => a j * weighted (C j) k.
Definition avg {D : data} {N : network} (C : 'I_m -> 'I_n -> R) i := / m * ∑_(j < m) C j i.
