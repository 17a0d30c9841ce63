"""Max-margin classifier, minimum-norm interpolator and p-orthogonality (Problem 2).

Data are samples ``X`` of shape (n, d), none zero, and labels ``y`` of shape (n,), each +1 or -1, as NumPy arrays,
lists or torch tensors. A ``ValueError`` names what is not so. Norms may be of any size and differ by factors up to
1e12: the samples are first multiplied by powers of two, which is exact. What is returned satisfies its conditions to
`ACCEPTED` or is not returned: a ``ValueError`` says why.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike
from scipy.optimize import nnls

from . import checks
from .checks import PerSample, Samples
from .orthogonality import as_samples, p_orthogonality, plane_example, sharp_family

__all__ = ["max_margin", "min_norm_interpolator", "p_orthogonality", "plane_example", "sharp_family"]

Vector = Float64[np.ndarray, "d"]

ACCEPTED = 1e-6
"""The largest residual of a solution."""

ROUNDING = 8 * float(np.finfo(float).eps)
"""Rounding ``w`` to float64 changes ``⟨w, x_i⟩`` by up to this times ``Σ_k |w_k x_ik|``, and rounding sums as much."""


@dataclass(frozen=True)
class LinearClassifier:
    """A classifier ``w = Σ_i s_i y_i x_i``, its dual weights ``s``, and how far its conditions are from holding.

    What rounding the exact answer to float64 can change (`ROUNDING`) does not count in ``residual``.
    """

    w: Vector
    dual: PerSample
    residual: float


@dataclass(frozen=True)
class _Scaled:
    """Data ``y_i x_i`` as ``2^exponent A``, the shortest row of ``A`` of norm about 1, and ``A_i = B_i/h_i``.

    The rows of ``B`` have norm 1. The conditions ``⟨w, y_i x_i⟩ ≥ 1`` read ``B w ≥ h`` for ``2^exponent w``.
    """

    A: Samples
    B: Samples
    h: PerSample
    exponent: int

    @classmethod
    def of(cls, X: ArrayLike, y: ArrayLike) -> Self:
        X, y = checks.arrays(X=(X, "n d"), y=(y, "n"))
        X, y = as_samples(X), checks.signs("y", y)
        exponents = np.frexp(np.abs(X).max(axis=1))[1]
        B = y[:, None] * np.ldexp(X, -exponents[:, None])
        norms = np.linalg.norm(B, axis=1)
        least = int(exponents[int((exponents + np.log2(norms)).argmin())])
        with np.errstate(over="ignore"):
            A = np.ldexp(y[:, None] * X, -least)
            lengths = np.ldexp(norms, exponents - least)
        if not (np.isfinite(A).all() and np.isfinite(lengths).all()):
            raise ValueError("the norms of the samples of X differ by more than float64 can hold")
        return cls(A, B / norms[:, None], 1 / lengths, least)

    def residual(self, w: Vector, s: PerSample, equations: bool) -> float:
        """Return how far the conditions for ``w`` and its dual weights are from holding, beyond rounding.

        These are ``A w = 1``, or the KKT conditions of ``min ‖w‖`` with ``A w ≥ 1``; infinite if rounding hides them.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            slack, sway = self.A @ w - 1, ROUNDING * (np.abs(self.A) @ np.abs(w))
            size = np.linalg.norm(w)
            off = np.linalg.norm(w - s @ self.A) / size
            off_sway = ROUNDING * np.linalg.norm(np.abs(s) @ np.abs(self.A)) / size
            if not (sway.max() < 0.1 and off_sway < 0.1):
                return math.inf
            found = [off - off_sway, (np.abs(slack) - sway).max()]
            if not equations:
                found[1:] = [(-slack - sway).max(), (abs(s @ slack) - s @ sway) / s.sum()]
        return math.nan if np.isnan(found).any() else max(0.0, *map(float, found))

    def solution(self, w: Vector, s: PerSample, equations: bool) -> LinearClassifier:
        """Return the classifier of the data from that of ``A``; a ``ValueError`` says that float64 cannot hold it."""
        with np.errstate(over="ignore", under="ignore"):
            w, s = np.ldexp(w, -self.exponent), np.ldexp(s, -2 * self.exponent)
            residual = self.residual(np.ldexp(w, self.exponent), np.ldexp(s, 2 * self.exponent), equations)
        if not (residual <= ACCEPTED and np.isfinite(w).all() and np.isfinite(s).all()):
            raise ValueError(f"norms near 2^{self.exponent}: float64 cannot hold the classifier and its dual weights")
        return LinearClassifier(w, s, residual)


def _least_norm(B: Samples, target: PerSample) -> tuple[Vector, PerSample, int]:
    """Return the shortest ``w`` nearest to ``B w = target``, a ``c`` with ``w = Bᵀc``, and the rank of ``B``.

    The first pass solves by the singular values of ``B``, the others refine.
    """
    U, values, V = np.linalg.svd(B, full_matrices=False)
    kept = values > np.finfo(float).eps * max(B.shape) * values[0]
    U, values, V = U[:, kept], values[kept], V[kept]
    w, c = np.zeros(B.shape[1]), np.zeros(len(B))
    for _ in range(3):
        w = w + (U.T @ (target - B @ w) / values) @ V
    for _ in range(3):
        c = c + U @ (V @ (w - c @ B) / values)
    return w, c, len(values)


def max_margin(X: ArrayLike, y: ArrayLike) -> LinearClassifier:
    """Return the ℓ₂ max-margin classifier: least ``‖w‖`` with ``y_i ⟨w, x_i⟩ ≥ 1`` for every ``i``.

    ``dual`` is nonnegative. ``residual`` is the largest violation of the KKT conditions: of ``y_i ⟨w, x_i⟩ ≥ 1``; of
    ``w = Σ_i s_i y_i x_i``, relative to ``‖w‖``; and of ``Σ_i s_i (y_i ⟨w, x_i⟩ - 1) = 0``, relative to ``Σ_i s_i``.
    A ``ValueError`` says that the data are not linearly separable through the origin, or so nearly not that double
    precision cannot tell; or that float64 cannot hold the answer.

    >>> max_margin([[2.0, 0.0], [0.0, -1.0]], [1, -1]).w.round(12).tolist()
    [0.5, 1.0]
    """
    data = _Scaled.of(X, y)
    # The triangular factor's columns have the inner products of the rows of B. The nonnegative least squares find the
    # active constraints; their equations are then solved afresh, free of the cancellation in the residual.
    u = _least_distance(np.linalg.qr(data.B.T)[1], data.h)
    w, s = np.zeros(data.A.shape[1]), np.zeros_like(u)
    active = u > 0
    if active.any():
        w, c, _ = _least_norm(data.B[active], data.h[active])
        s[active] = np.maximum(c, 0) * data.h[active]
    if not (w.any() and data.residual(w, s, equations=False) <= ACCEPTED):
        distance = np.linalg.norm(u @ data.B) / max(u.sum(), np.finfo(float).tiny)
        raise ValueError(
            f"the data are not linearly separable, or too nearly not to tell: the convex hull of the y_i x_i / ||x_i|| "
            f"comes within {distance:.2g} of the origin, and a max-margin classifier needs it to stay away from it"
        )
    return data.solution(w, s, equations=False)


def _least_distance(B: Float64[np.ndarray, "k n"], h: PerSample) -> PerSample:
    """Return ``u ≥ 0`` proportional to the dual solution of ``min ‖w‖`` with ``Bᵀw ≥ h``.

    Lawson and Hanson (1974): with ``E`` the matrix of columns ``(B_i, h_i)``, the residual of ``min ‖E u - e‖``, ``e``
    the last unit vector, over ``u ≥ 0`` is proportional to ``(w, -1)``. With ``τh`` for ``h`` its last entry is
    ``1/(1 + τ²‖w‖²)``; cancellation would spoil it where the margin is small, were ``τ`` not such that ``τ‖w‖ ≈ 1``.
    """
    target = np.append(np.zeros(len(B)), 1.0)
    tau = 1.0
    while True:
        try:
            u, _ = nnls(np.vstack([B, tau * h]), target, maxiter=100 * (len(h) + 10))
        except RuntimeError:
            raise ValueError("the max-margin problem was not solved: its conditions are too nearly dependent") from None
        distance = float(np.linalg.norm(B @ u))
        if 1 - tau * (h @ u) > 0.05 or tau < 1e-12 or distance <= 1e-15 * u.sum():
            return u
        # Where the margin is small, ‖B u‖ is close to the margin over τ.
        tau *= min(0.1, max(distance, 1e-3))


def min_norm_interpolator(X: ArrayLike, y: ArrayLike) -> LinearClassifier:
    """Return the minimum-norm interpolator: least ``‖w‖`` with ``⟨w, x_i⟩ = y_i`` for every ``i``.

    ``w = Xᵀ(X Xᵀ)⁺y``, from the singular values of the samples divided by their norms. Where the samples are
    dependent and an interpolator exists all the same, the dual weights are not unique; one choice is returned.

    ``dual`` may have either sign. ``residual`` is the largest of the ``|⟨w, x_i⟩ - y_i|``, and of
    ``‖w - Σ_i s_i y_i x_i‖/‖w‖``. A ``ValueError`` says that no interpolator exists, or none that double precision can
    find; or that float64 cannot hold the answer.

    >>> min_norm_interpolator([[2.0, 0.0], [0.0, -1.0]], [1, -1]).w.tolist()
    [0.5, 1.0]
    """
    data = _Scaled.of(X, y)
    w, c, rank = _least_norm(data.B, data.h)
    s = c * data.h
    if not data.residual(w, s, equations=True) <= ACCEPTED:
        raise ValueError(
            f"no w satisfies <w, x_i> = y_i for all i: the {len(s)} samples have rank {rank} and the nearest w found "
            f"misses a label by {np.abs(data.A @ w - 1).max():.2g}; linearly independent samples are enough"
        )
    return data.solution(w, s, equations=True)
