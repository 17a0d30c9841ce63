"""The two-layer leaky ReLU network of Problem 1, its losses, their gradients, and gradient descent.

For rows ``w_j`` of ``W`` and fixed second-layer weights ``a_j = ±1/√m``,

    f(x; W) = Σ_j a_j φ(⟨w_j, x⟩),   φ(t) = max(t, γt),   γ ∈ (0, 1].

Everything is float64 NumPy; PyTorch tensors are accepted wherever an array is. The derivative ``φ'(0)`` is a
parameter, ``at_zero``, which may be any number in ``[γ, 1]``: every theorem of the book holds for each choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

Array = NDArray[np.float64]


def _array(value: ArrayLike, name: str, ndim: int) -> Array:
    """Return ``value`` as a finite, non-empty float64 array with ``ndim`` axes."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != ndim or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: a non-empty array with {ndim} axes is needed")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has entries that are not finite: finite numbers are needed")
    return array


def _slope(gamma: float) -> float:
    if not 0 < gamma <= 1:
        raise ValueError(f"gamma = {gamma}: the slope must lie in (0, 1]")
    return float(gamma)


def _slope_at_zero(at_zero: float, gamma: float) -> float:
    if not gamma <= at_zero <= 1:
        raise ValueError(f"at_zero = {at_zero}: the derivative at 0 must lie in [gamma, 1] = [{gamma}, 1]")
    return float(at_zero)


def _inputs(X: ArrayLike, W: ArrayLike, a: ArrayLike) -> tuple[Array, Array, Array]:
    X, W, a = _array(X, "X", 2), _array(W, "W", 2), _array(a, "a", 1)
    if X.shape[1] != W.shape[1]:
        raise ValueError(f"X has shape {X.shape} and W {W.shape}: both need the same number of columns d")
    if a.shape[0] != W.shape[0]:
        raise ValueError(f"a has {a.shape[0]} entries and W {W.shape[0]} rows: one entry a row is needed")
    if not np.allclose(np.abs(a) * np.sqrt(a.size), 1, rtol=0, atol=1e-6):
        raise ValueError(f"a = {a}: every entry must be ±1/√m, here ±{a.size**-0.5:.6g}")
    return X, W, a


def _labels(y: ArrayLike, n: int) -> Array:
    y = _array(y, "y", 1)
    if y.shape[0] != n:
        raise ValueError(f"y has {y.shape[0]} entries and X {n} rows: one label a row is needed")
    if not (np.abs(y) == 1).all():
        raise ValueError(f"y has the values {np.unique(y)}: labels must be +1 or -1")
    return y


def output_weights(signs: ArrayLike) -> Array:
    """Return the second-layer weights ``a_j = signs_j/√m``.

    Parameters
    ----------
    signs : array_like, shape (m,)
        Each +1 or -1.

    Raises
    ------
    ValueError
        If a sign is neither +1 nor -1.
    """
    signs = _array(signs, "signs", 1)
    if not (np.abs(signs) == 1).all():
        raise ValueError(f"signs has the values {np.unique(signs)}: each must be +1 or -1")
    return signs / np.sqrt(signs.size)


def leaky_relu(t: ArrayLike, gamma: float) -> Array:
    """Return ``φ(t) = max(t, γt)``, entry by entry.

    Parameters
    ----------
    t : array_like, any shape
    gamma : float
        Slope of the negative side, in (0, 1].
    """
    t = np.asarray(t, dtype=np.float64)
    return np.maximum(t, _slope(gamma) * t)


def leaky_relu_derivative(t: ArrayLike, gamma: float, at_zero: float = 1.0) -> Array:
    """Return ``φ'(t)``: 1 where ``t > 0``, γ where ``t < 0``, and ``at_zero`` where ``t = 0``.

    Parameters
    ----------
    t : array_like, any shape
    gamma : float
        Slope of the negative side, in (0, 1].
    at_zero : float
        The number used for ``φ'(0)``, in [γ, 1].
    """
    t = np.asarray(t, dtype=np.float64)
    gamma = _slope(gamma)
    at_zero = _slope_at_zero(at_zero, gamma)
    return np.where(t > 0, 1.0, np.where(t < 0, gamma, at_zero))


def network(X: ArrayLike, W: ArrayLike, a: ArrayLike, gamma: float) -> Array:
    """Return the outputs ``f(x_i; W) = Σ_j a_j φ(⟨w_j, x_i⟩)``.

    Parameters
    ----------
    X : array_like, shape (n, d)
        One sample a row.
    W : array_like, shape (m, d)
        First-layer weights, one neuron a row.
    a : array_like, shape (m,)
        Second-layer weights, each ``±1/√m``.
    gamma : float
        Slope, in (0, 1].

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, ``|a_j| ≠ 1/√m``, or γ is outside (0, 1].
    """
    X, W, a = _inputs(X, W, a)
    return leaky_relu(X @ W.T, gamma) @ a


def network_gradient(x: ArrayLike, W: ArrayLike, a: ArrayLike, gamma: float, at_zero: float = 1.0) -> Array:
    """Return ``∇f(x; W)``, whose row ``j`` is ``a_j φ'(⟨w_j, x⟩) x``.

    Since ``t φ'(t) = φ(t)``, also at the kink, ``⟨∇f(x; W), W⟩ = f(x; W)``; and ``‖∇f(x; W)‖_F ≤ ‖x‖``.

    Parameters
    ----------
    x : array_like, shape (d,)
        One sample.
    W, a, gamma
        As in `network`.
    at_zero : float
        ``φ'(0)``, in [γ, 1].

    Returns
    -------
    ndarray, shape (m, d)
    """
    x = _array(x, "x", 1)
    X, W, a = _inputs(x[None, :], W, a)
    return np.outer(a * leaky_relu_derivative(W @ x, gamma, at_zero), x)


def margins(X: ArrayLike, y: ArrayLike, W: ArrayLike, a: ArrayLike, gamma: float) -> Array:
    """Return ``z_i = y_i f(x_i; W)``.

    Parameters
    ----------
    X, W, a, gamma
        As in `network`.
    y : array_like, shape (n,)
        Labels, each +1 or -1.

    Returns
    -------
    ndarray, shape (n,)
    """
    outputs = network(X, W, a, gamma)
    return _labels(y, outputs.size) * outputs


def logistic_loss(z: ArrayLike) -> Array:
    """Return ``ℓ(z) = log(1 + e^{-z})`` without overflow or cancellation."""
    return np.logaddexp(0.0, -np.asarray(z, dtype=np.float64))


def g(z: ArrayLike) -> Array:
    """Return ``g(z) = -ℓ'(z) = 1/(1 + e^z)``, in (0, 1), without overflow."""
    return expit(-np.asarray(z, dtype=np.float64))


def logistic_derivative(z: ArrayLike) -> Array:
    """Return ``ℓ'(z) = -1/(1 + e^z) = -g(z)``."""
    return -g(z)


def empirical_loss(X: ArrayLike, y: ArrayLike, W: ArrayLike, a: ArrayLike, gamma: float) -> float:
    """Return ``L̂(W) = (1/n) Σ_i ℓ(z_i)``; the arguments are those of `margins`."""
    return float(logistic_loss(margins(X, y, W, a, gamma)).mean())


def empirical_g(X: ArrayLike, y: ArrayLike, W: ArrayLike, a: ArrayLike, gamma: float) -> float:
    """Return ``Ĝ(W) = (1/n) Σ_i g(z_i)``, in (0, 1); the arguments are those of `margins`."""
    return float(g(margins(X, y, W, a, gamma)).mean())


def _loss_gradient(X: Array, y: Array, W: Array, a: Array, gamma: float, at_zero: float) -> tuple[Array, Array]:
    """Return the margins and ``∇L̂(W)``, for arguments already checked."""
    pre = X @ W.T
    positive = pre > 0
    z = y * (np.where(positive, pre, gamma * pre) @ a)
    slopes = np.where(positive, 1.0, gamma)
    slopes[pre == 0] = at_zero
    weights = slopes * (-(expit(-z) * y) / y.size)[:, None]
    return z, a[:, None] * (weights.T @ X)


def loss_gradient(X: ArrayLike, y: ArrayLike, W: ArrayLike, a: ArrayLike, gamma: float, at_zero: float = 1.0) -> Array:
    """Return ``∇L̂(W) = -(1/n) Σ_i g(z_i) y_i ∇f(x_i; W)``.

    Parameters
    ----------
    X, y, W, a, gamma
        As in `margins`.
    at_zero : float
        ``φ'(0)``, in [γ, 1].

    Returns
    -------
    ndarray, shape (m, d)
    """
    X, W, a = _inputs(X, W, a)
    gamma = _slope(gamma)
    return _loss_gradient(X, _labels(y, len(X)), W, a, gamma, _slope_at_zero(at_zero, gamma))[1]


@dataclass(frozen=True)
class Trajectory:
    """A run of gradient descent; entry ``t`` of each array belongs to ``W^{(t)}``, and ``T`` is the last step.

    Attributes
    ----------
    alpha : ndarray, shape (T,)
        Step sizes used: ``alpha[t]`` leads from ``W^{(t)}`` to ``W^{(t+1)}``.
    H : ndarray, shape (T+1,), or None
        ``⟨W^{(t)}, V⟩``; None where no ``V`` was given.
    F : ndarray, shape (T+1,)
        ``‖W^{(t)}‖_F``.
    G : ndarray, shape (T+1,)
        ``Ĝ(W^{(t)})``.
    L : ndarray, shape (T+1,)
        ``L̂(W^{(t)})``.
    rank, rank_of_change : ndarray, shape (T+1,), or None
        Stable ranks of ``W^{(t)}`` and of ``W^{(t)} - W^{(0)}``; NaN for a zero matrix (so always at ``t = 0``
        for the change), None where ranks were not recorded.
    W0, W : ndarray, shape (m, d)
        First and last weights.
    """

    alpha: Array
    H: Array | None
    F: Array
    G: Array
    L: Array
    rank: Array | None
    rank_of_change: Array | None
    W0: Array
    W: Array

    @property
    def steps(self) -> int:
        """Number of steps taken, ``T``."""
        return self.alpha.size


def _stable_rank_or_nan(W: Array) -> float:
    singular = np.linalg.svd(W, compute_uv=False)
    return float(((singular / singular[0]) ** 2).sum()) if singular[0] > 0 else float("nan")


def gradient_descent(
    X: ArrayLike,
    y: ArrayLike,
    W0: ArrayLike,
    a: ArrayLike,
    gamma: float,
    alpha: float | Sequence[float],
    steps: int,
    *,
    V: ArrayLike | None = None,
    at_zero: float = 1.0,
    record_rank: bool = False,
    stop_at: float | None = None,
) -> Trajectory:
    """Run ``W^{(t+1)} = W^{(t)} - α_t ∇L̂(W^{(t)})`` and record it.

    Parameters
    ----------
    X : array_like, shape (n, d)
    y : array_like, shape (n,)
        Labels, each +1 or -1.
    W0 : array_like, shape (m, d)
        First weights ``W^{(0)}``; left unchanged.
    a : array_like, shape (m,)
        Second-layer weights, each ``±1/√m``.
    gamma : float
        Slope, in (0, 1].
    alpha : float or sequence of ``steps`` floats
        Step size, or one a step; each positive.
    steps : int
        Number of steps, at least 0.
    V : array_like, shape (m, d), optional
        Direction whose inner product with the weights is recorded as ``H``.
    at_zero : float
        ``φ'(0)``, in [γ, 1].
    record_rank : bool
        Whether to record stable ranks (two singular value decompositions a step).
    stop_at : float, optional
        Stop at the first ``t`` with ``Ĝ(W^{(t)}) ≤ stop_at``.

    Returns
    -------
    Trajectory

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, a label, γ, ``at_zero`` or a step size is out of its range.
    """
    X, W, a = _inputs(X, W0, a)
    y = _labels(y, len(X))
    gamma = _slope(gamma)
    at_zero = _slope_at_zero(at_zero, gamma)
    if steps != int(steps) or steps < 0:
        raise ValueError(f"steps = {steps}: a whole number, at least 0, is needed")
    sizes = np.atleast_1d(np.asarray(alpha, dtype=np.float64))
    if sizes.ndim != 1 or (np.ndim(alpha) and sizes.size != steps):
        raise ValueError(f"alpha has shape {sizes.shape}: one number, or {steps} of them, is needed")
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError(f"alpha = {alpha}: step sizes must be finite and positive")
    sizes = np.broadcast_to(sizes, (int(steps),)) if not np.ndim(alpha) else sizes
    if V is not None:
        V = _array(V, "V", 2)
        if V.shape != W.shape:
            raise ValueError(f"V has shape {V.shape} and W0 {W.shape}: the same shape is needed")

    start = W = W.copy()
    H, F, G, L, rank, change = [], [], [], [], [], []
    for t in range(int(steps) + 1):
        z, gradient = _loss_gradient(X, y, W, a, gamma, at_zero)
        F.append(np.linalg.norm(W))
        G.append(expit(-z).mean())
        L.append(np.logaddexp(0.0, -z).mean())
        if V is not None:
            H.append((W * V).sum())
        if record_rank:
            rank.append(_stable_rank_or_nan(W))
            change.append(_stable_rank_or_nan(W - start))
        if t == steps or (stop_at is not None and G[-1] <= stop_at):
            break
        W = W - sizes[t] * gradient
    return Trajectory(
        alpha=np.array(sizes[:t]),
        H=np.array(H) if V is not None else None,
        F=np.array(F),
        G=np.array(G),
        L=np.array(L),
        rank=np.array(rank) if record_rank else None,
        rank_of_change=np.array(change) if record_rank else None,
        W0=start,
        W=W.copy(),
    )
