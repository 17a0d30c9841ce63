"""Stable rank: of a matrix, of Gaussian weights, and what the gradient's stable rank depends on (Problem 3).

Arrays are NumPy arrays, lists or torch tensors. In every function, and a ``ValueError`` names what is not so: ``X``
holds n samples of dimension d, one a row, ``W`` the first-layer weights of m neurons, one a row; the slope ``gamma`` is
in (0, 1], and ``at_zero``, the number used for ``φ'(0)``, in [γ, 1]; ``m``, ``n`` and ``d`` are at least 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .activation import leaky_relu_derivative
from .checks import Array, OutputWeights, PerSample, Samples, Weights
from .orthogonality import as_samples, gram_extremes, scaled


def stable_rank(W: ArrayLike) -> float:
    """Return ``‖W‖_F² / ‖W‖₂²``, in [1, min(m, d)], the stable rank of a nonzero matrix with entries of any size.

    >>> stable_rank([[3.0, 0.0], [0.0, 4.0]])
    1.5625
    """
    W = checks.array("W", W, "m d")
    largest = np.abs(W).max()  # no square of what is divided by it overflows
    if largest == 0:
        raise ValueError("W is zero: a nonzero matrix is needed, the stable rank of zero is not defined")
    singular = np.linalg.svd(W / largest, compute_uv=False)
    return float(np.sum((singular / singular[0]) ** 2))


def expected_spectral_norm(m: int, d: int) -> float:
    """Return ``√m + √d``, near which is the spectral norm of an ``m × d`` matrix of standard normal numbers.

    >>> expected_spectral_norm(100, 25)
    15.0
    """
    checks.whole(1, m=m, d=d)
    return float(np.sqrt(m) + np.sqrt(d))


def expected_stable_rank(m: int, d: int) -> float:
    """Return ``m d / (√m + √d)²``, near which is the stable rank of an ``m × d`` Gaussian matrix.

    ``m d`` is the mean of ``‖W‖_F²/σ²``, and ``‖W‖₂/σ`` concentrates around ``√m + √d`` (`prp-initial-rank-fine`).

    >>> expected_stable_rank(100, 100)
    25.0
    """
    return m * d / expected_spectral_norm(m, d) ** 2


def learned_plus_noise(
    learned: float, largest: float, sigma: ArrayLike, m: int, d: int, refined: bool = False
) -> Array:
    """Return the stable rank of a learned part plus noise, relative to `expected_stable_rank`, for each sigma.

    To an ``m × d`` Gaussian matrix of standard deviation ``sigma`` is added one of squared Frobenius norm ``learned``
    and of spectral norm ``largest``; the spectral norm of the sum is taken to be the larger of both, or, if
    ``refined``, what it tends to in high dimension if the learned part has rank one (Benaych-Georges, Nadakuditi 2012).

    >>> learned_plus_noise(0.0, 4.0, sigma=[0.1, 1.0], m=100, d=100).round(6).tolist()
    [0.25, 1.0]
    """
    sigma = np.asarray(sigma, dtype=float)
    norm = np.maximum(largest, sigma * expected_spectral_norm(m, d))
    if refined:
        one = np.sqrt((largest**2 + sigma**2 * m) * (largest**2 + sigma**2 * d)) / largest
        norm = np.where(largest**2 > sigma**2 * np.sqrt(m * d), one, norm)
    return np.asarray((learned + m * d * sigma**2) / norm**2 / expected_stable_rank(m, d))


def coefficient_spread(C: ArrayLike) -> PerSample:
    """Return, for every column of ``C``, the mean of its squares over the square of its mean; in [1, m].

    ``C`` has shape (m, n), its entries are nonnegative, and no column is zero. For the matrix with rows
    ``a_j Σ_i y_i C_{ji} x_i`` these are the numbers ``κ_i`` of `lem-coefficients`.

    >>> coefficient_spread([[1.0, 1.0], [1.0, 0.0]]).tolist()
    [1.0, 2.0]
    """
    coefficients = checks.numbers_within("[0, inf)", "C", C, "m n")
    largest = coefficients.max(axis=0)
    if largest.min() == 0:
        raise ValueError(f"column {int(largest.argmin())} of C is zero: a positive entry is needed in every column")
    shares = coefficients / largest
    return np.asarray((shares**2).mean(axis=0) / shares.mean(axis=0) ** 2)


@dataclass(frozen=True)
class ActivationSpread:
    """How unevenly the neurons respond to each sample.

    ``κ_i = mean_j φ'(⟨w_j, x_i⟩)² / (mean_j φ'(⟨w_j, x_i⟩))²``, in [1, (1+γ)²/(4γ)]; the active fraction ``q_i``, of
    neurons with ``⟨w_j, x_i⟩ > 0``, for which ``κ_i ≤ 1/q_i``; the mean slope ``mean_j φ'(⟨w_j, x_i⟩)``, in [γ, 1].
    """

    kappa: PerSample
    active: PerSample
    mean_slope: PerSample


def activation_spread(X: ArrayLike, W: ArrayLike, gamma: float, at_zero: float = 1.0) -> ActivationSpread:
    """Return the spread ``κ_i``, the active fraction ``q_i`` and the mean slope at every sample.

    With ``θ(S) ≤ θ < 1`` the gradient's stable rank is ≤ ``1 + (1+θ)/(1-θ) (max_i κ_i - 1)`` (`thm-gradient-rank`).

    >>> activation_spread(X=[[1.0, 0.0]], W=[[2.0, 0.0], [-1.0, 0.0]], gamma=0.5).active.tolist()
    [0.5]
    """
    X, W = checks.arrays(X=(X, "n d"), W=(W, "m d"))
    pre = X @ W.T  # the same product as in the network, so that both see the same signs
    slopes = leaky_relu_derivative(pre, gamma, at_zero).T
    return ActivationSpread(coefficient_spread(slopes), (pre > 0).mean(axis=1), slopes.mean(axis=0))


def gaussian_spread(gamma: float) -> float:
    """Return ``κ_∞ = 2(1+γ²)/(1+γ)²``, in [1, 2): every ``κ_i`` for Gaussian weights, ``m → ∞`` (`prp-sharp-gaussian`).

    >>> round(gaussian_spread(0.5), 6)
    1.111111
    """
    checks.within("(0, 1]", gamma=gamma)
    return 2 * (1 + gamma**2) / (1 + gamma) ** 2


def gaussian_gradient_rank(weights: ArrayLike, gamma: float) -> float:
    """Return what the gradient's stable rank is close to for orthogonal data, Gaussian weights and large ``m``.

    With positive ``weights`` ``h_i = g_i ‖x_i‖``, ``ν = (1+γ)/2`` and ``ω = (1-γ)/2`` it is the ``Λ(h)`` of
    `prp-sharp-gaussian`, ``(ν² + ω²) Σ h_i² / λ_max(ν² h hᵀ + ω² diag(h²))``; for equal ``h_i`` this is
    ``n(ν²+ω²)/(nν²+ω²)``, which tends to `gaussian_spread` as ``n → ∞``.

    >>> round(gaussian_gradient_rank([1.0] * 10, gamma=0.5), 6)
    1.098901
    """
    checks.within("(0, 1]", gamma=gamma)
    h = checks.numbers_within("(0, inf)", "weights", weights, "n")
    h = h / h.max()
    mean, spread = (1 + gamma) / 2, (1 - gamma) / 2
    top = np.linalg.eigvalsh(mean**2 * np.outer(h, h) + spread**2 * np.diag(h**2))[-1]
    return float((mean**2 + spread**2) * np.sum(h**2) / top)


def extremal_network(active: int, n: int, scale: float = 1.0) -> tuple[Samples, PerSample, Weights, OutputWeights]:
    """Return ``X, y, W, a`` at which the gradient's stable rank equals every ``κ_i``.

    There are ``n`` samples, the unit vectors, all labelled 1, and ``n`` neurons, with weights ``±scale`` and
    ``a_j = 1/√n``; neuron ``j`` is active on the samples ``j, …, j + active - 1`` (cyclically), ``1 ≤ active ≤ n``.
    With ``q = active/n`` the stable rank is ``(q + (1-q)γ²)/(q + (1-q)γ)²``, and that is ``(1+γ)²/(4γ)``, the largest
    value for orthogonal data, if ``γ = active/(n - active)``, ``active ≤ n/2`` (`prp-sharp-adversarial`).

    >>> extremal_network(active=1, n=2)[2].tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    checks.whole(1, active=active, n=n)
    if active > n:
        raise ValueError(f"active = {active} and n = {n}: active <= n is needed")
    checks.within("(0, inf)", scale=scale)
    lag = (np.arange(n)[None, :] - np.arange(n)[:, None]) % n
    W = np.where(lag < active, float(scale), -float(scale))
    return np.eye(n), np.ones(n), W, np.full(n, 1 / np.sqrt(n))


def orthogonality_defect(X: ArrayLike) -> float:
    """Return ``θ(S) = n M / R_min²``, with ``M`` the largest ``|⟨x_i, x_j⟩|``, ``i ≠ j``.

    The data, none zero, are p-orthogonal exactly when ``θ(S) ≤ 1/(p R²)``; it is 0 for ``n = 1`` (`lem-gram`).

    >>> orthogonality_defect([[2.0, 0.0], [1.0, 1.0]])
    2.0
    """
    return gram_extremes(scaled(as_samples(X))).defect


def nearly_orthogonal_samples(n: int, d: int, theta: float, rng: np.random.Generator) -> Samples:
    """Return ``n ≤ d`` unit vectors of ``R^d`` with ``θ(S) = theta``, in [0, 1), at random; 0 for ``n = 1``.

    The Gram matrix is ``I + (θ/n) S``, ``S`` symmetric with zero diagonal, its other entries uniform in ``[-1, 1]`` and
    then divided by the largest; the frame that carries it is uniform.

    >>> X = nearly_orthogonal_samples(3, d=5, theta=0.25, rng=np.random.default_rng(0))
    >>> round(orthogonality_defect(X), 12)
    0.25
    """
    checks.whole(1, n=n, d=d)
    if n > d:
        raise ValueError(f"n = {n} and d = {d}: n <= d is needed")
    checks.within("[0, 1)", theta=theta)
    S = np.triu(rng.uniform(-1, 1, (n, n)), 1)
    S = (S + S.T) / (np.abs(S).max() or 1.0)
    frame = np.linalg.qr(rng.standard_normal((d, n)))[0]
    return np.asarray(np.linalg.cholesky(np.eye(n) + theta / n * S) @ frame.T)
