"""Stable rank: of a matrix, of Gaussian weights, and what the gradient's stable rank depends on.

The stable rank ``‖W‖_F² / ‖W‖₂²`` is at least 1, at most the rank, and continuous. Problem 3 of the book
shows that it is large for Gaussian weights (`@thm-initial-rank`) and small for the gradient of the loss on nearly
orthogonal data (`@thm-gradient-rank`); the second fact rests on one number per sample, the spread ``κ_i`` of
the neurons' slopes, which `activation_spread` computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _matrix(A: Any, name: str) -> Array:
    """Return ``A`` (NumPy, torch or nested lists) as a finite, non-empty float64 matrix, or raise ``ValueError``."""
    if hasattr(A, "detach"):
        A = A.detach().cpu().numpy()
    A = np.asarray(A)
    if A.dtype.kind not in "biuf":
        raise ValueError(f"{name} has entries of type {A.dtype}: need real numbers")
    A = A.astype(np.float64)
    if A.ndim != 2 or A.size == 0:
        raise ValueError(f"{name} has shape {A.shape}: need a matrix with at least one row and one column")
    if not np.isfinite(A).all():
        raise ValueError(f"{name} has entries that are not finite: need finite numbers")
    return A


def _slope(gamma: float, at_zero: float) -> tuple[float, float]:
    gamma, at_zero = float(gamma), float(at_zero)
    if not 0 < gamma <= 1:
        raise ValueError(f"gamma = {gamma}: need 0 < gamma <= 1")
    if not gamma <= at_zero <= 1:
        raise ValueError(f"at_zero = {at_zero}: need gamma <= at_zero <= 1, with gamma = {gamma}")
    return gamma, at_zero


def _positive_size(**sizes: int) -> None:
    for name, value in sizes.items():
        if value != int(value) or value < 1:
            raise ValueError(f"{name} = {value}: need a positive whole number")


def stable_rank(W: Any) -> float:
    """Return ``‖W‖_F² / ‖W‖₂²``, the stable rank of a nonzero matrix.

    The matrix is first divided by its largest entry in absolute value, so that no square overflows or underflows:
    the result has a relative error of a few units of float64 rounding for entries of any size.

    Parameters
    ----------
    W : array or tensor, shape (m, d)
        Real and finite, not all zero.

    Returns
    -------
    float
        In ``[1, min(m, d)]``.

    Raises
    ------
    ValueError
        If ``W`` is not a finite real matrix, or is zero (its stable rank is not defined).
    """
    W = _matrix(W, "W")
    largest = np.abs(W).max()
    if largest == 0:
        raise ValueError("W is zero: need a nonzero matrix, the stable rank of zero is not defined")
    singular = np.linalg.svd(W / largest, compute_uv=False)
    return float(np.sum((singular / singular[0]) ** 2))


def expected_stable_rank(m: int, d: int) -> float:
    """Return ``m d / (√m + √d)²``, what the stable rank of an ``m × d`` Gaussian matrix is close to.

    The numerator is the mean of ``‖W‖_F²/σ²`` and ``√m + √d`` the value around which ``‖W‖₂/σ`` concentrates for
    large ``m`` and ``d`` (`@prp-initial-rank-fine` proves the lower half of "close to").

    Raises
    ------
    ValueError
        If ``m`` or ``d`` is not a positive whole number.
    """
    _positive_size(m=m, d=d)
    return float(m * d / (np.sqrt(m) + np.sqrt(d)) ** 2)


def coefficient_spread(C: Any) -> Array:
    """Return, for every column of ``C``, the mean of its squares over the square of its mean.

    For the matrix with rows ``a_j Σ_i y_i C_{ji} x_i`` these are the numbers ``κ_i`` of `@lem-coefficients`.

    Parameters
    ----------
    C : array or tensor, shape (m, n)
        Nonnegative coefficients, one row a neuron, one column a sample, no column zero.

    Returns
    -------
    array, shape (n,)
        ``κ_i ∈ [1, m]``.

    Raises
    ------
    ValueError
        If ``C`` is not a finite matrix, has a negative entry, or a column of zeros.
    """
    C = _matrix(C, "C")
    if C.min() < 0:
        raise ValueError(f"C has the entry {C.min()}: need nonnegative coefficients")
    largest = C.max(axis=0)
    if largest.min() == 0:
        raise ValueError(f"column {int(largest.argmin())} of C is zero: need a positive entry in every column")
    C = C / largest
    return (C**2).mean(axis=0) / C.mean(axis=0) ** 2


@dataclass(frozen=True)
class ActivationSpread:
    """How unevenly the neurons respond to each sample.

    Attributes
    ----------
    kappa : array, shape (n,)
        ``κ_i = mean_j φ'(⟨w_j, x_i⟩)² / (mean_j φ'(⟨w_j, x_i⟩))²``, in ``[1, (1+γ)²/(4γ)]``.
    active : array, shape (n,)
        ``q_i``, the fraction of neurons with ``⟨w_j, x_i⟩ > 0``; ``κ_i ≤ 1/q_i``.
    mean_slope : array, shape (n,)
        ``mean_j φ'(⟨w_j, x_i⟩)``, in ``[γ, 1]``.
    """

    kappa: Array
    active: Array
    mean_slope: Array


def activation_spread(X: Any, W: Any, gamma: float, at_zero: float = 1.0) -> ActivationSpread:
    """Return the spread ``κ_i``, the active fraction ``q_i`` and the mean slope at every sample.

    Parameters
    ----------
    X : array or tensor, shape (n, d)
        Samples.
    W : array or tensor, shape (m, d)
        First-layer weights, one neuron a row.
    gamma : float
        Slope of the leaky ReLU, in ``(0, 1]``.
    at_zero : float
        The value used for ``φ'(0)``, in ``[γ, 1]``.

    Raises
    ------
    ValueError
        If an array is not a finite matrix, the dimensions differ, or a slope is out of range.

    Notes
    -----
    These are the quantities of `@thm-gradient-rank`: the gradient's stable rank is at most
    ``1 + (1+θ)/(1-θ) (max_i κ_i - 1)``.
    """
    X, W = _matrix(X, "X"), _matrix(W, "W")
    gamma, at_zero = _slope(gamma, at_zero)
    if X.shape[1] != W.shape[1]:
        raise ValueError(f"X has shape {X.shape} and W has shape {W.shape}: need the same number of columns")
    Z = W @ X.T
    slopes = np.where(Z > 0, 1.0, np.where(Z < 0, gamma, at_zero))
    return ActivationSpread(coefficient_spread(slopes), (Z > 0).mean(axis=0), slopes.mean(axis=0))


def gaussian_spread(gamma: float) -> float:
    """Return ``2(1+γ²)/(1+γ)²``, the limit of every ``κ_i`` at a Gaussian initialisation as ``m → ∞``.

    The ``κ_∞`` of `@prp-sharp-gaussian`; in ``[1, 2)``, and 1 only at ``γ = 1``.

    Raises
    ------
    ValueError
        If not ``0 < gamma <= 1``.
    """
    gamma, _ = _slope(gamma, 1.0)
    return 2 * (1 + gamma**2) / (1 + gamma) ** 2


def gaussian_gradient_rank(weights: Any, gamma: float) -> float:
    """Return the limit of the gradient's stable rank for orthogonal data, Gaussian weights and ``m → ∞``.

    With ``h_i = g_i ‖x_i‖``, ``μ = (1+γ)/2`` and ``s = (1-γ)/2`` it is
    ``(μ² + s²) Σ h_i² / λ_max(μ² h hᵀ + s² diag(h²))`` (`@prp-sharp-gaussian`); for equal ``h_i`` this is
    ``n(μ²+s²)/(nμ²+s²)``, which tends to `gaussian_spread` as ``n → ∞``.

    Parameters
    ----------
    weights : array or tensor, shape (n,)
        The positive numbers ``h_i``.
    gamma : float
        Slope, in ``(0, 1]``.

    Raises
    ------
    ValueError
        If a weight is not positive and finite, or ``gamma`` is out of range.
    """
    gamma, _ = _slope(gamma, 1.0)
    h = _matrix(np.atleast_2d(weights), "weights").ravel()
    if h.min() <= 0:
        raise ValueError(f"weights contain {h.min()}: need positive numbers")
    h = h / h.max()
    mean, spread = (1 + gamma) / 2, (1 - gamma) / 2
    top = np.linalg.eigvalsh(mean**2 * np.outer(h, h) + spread**2 * np.diag(h**2))[-1]
    return float((mean**2 + spread**2) * np.sum(h**2) / top)


def extremal_network(r: int, s: int, scale: float = 1.0) -> tuple[Array, Array, Array, Array]:
    """Return ``X, y, W, a`` for which the gradient's stable rank is exactly ``(1+γ)²/(4γ)``, with ``γ = r/s``.

    There are ``r + s`` samples, the unit vectors, all labelled 1, and ``r + s`` neurons; neuron ``j`` is active on the
    ``r`` samples ``j, …, j+r-1`` (cyclically), so that each neuron and each sample meet the active fraction
    ``γ/(1+γ)`` exactly (`@prp-sharp-adversarial`).

    Parameters
    ----------
    r, s : int
        Positive, ``r <= s``.
    scale : float
        Size of every weight, positive.

    Returns
    -------
    X : array, shape (r+s, r+s)
        The identity.
    y : array, shape (r+s,)
        All ones.
    W : array, shape (r+s, r+s)
        Entries ``±scale``.
    a : array, shape (r+s,)
        All ``1/√(r+s)``.

    Raises
    ------
    ValueError
        If ``r`` and ``s`` are not positive whole numbers with ``r <= s``, or ``scale`` is not positive.
    """
    _positive_size(r=r, s=s)
    if r > s:
        raise ValueError(f"r = {r} and s = {s}: need r <= s, so that gamma = r/s is at most 1")
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale = {scale}: need a positive number")
    n = r + s
    lag = (np.arange(n)[None, :] - np.arange(n)[:, None]) % n
    W = np.where(lag < r, float(scale), -float(scale))
    return np.eye(n), np.ones(n), W, np.full(n, 1 / np.sqrt(n))
