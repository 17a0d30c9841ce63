"""Searches for violations of the inequalities of Problem 2."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .. import bounds, margin
from .climb import best


def inner_product_survival(t: float, d: int) -> float:
    """Return ``P(⟨x_1, x_2⟩ ≥ t)`` for two independent samples of N(0, I_d), by quadrature over ``‖x_1‖``."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    low, high = max(0.0, math.sqrt(d) - 12), math.sqrt(d) + 12
    lengths = low + (high - low) * (nodes + 1) / 2
    density = stats.chi.pdf(lengths, d) * weights * (high - low) / 2
    return float(density @ stats.norm.sf(t / lengths))


def slack_lem_chi_square(rng: np.random.Generator) -> float:
    """Search over ``(d, x)`` for a tail of χ²_d, or of ``⟨x_1, x_2⟩``, that is more likely than ``e^{-x}``."""

    def quotient(p):
        d, x = 1 + int(min(abs(p[0]) * 20, 1e4)), min(abs(p[1]), 12.0)
        tails = (
            stats.chi2.sf(d + bounds.chi_square_upper(d, x), d),
            stats.chi2.cdf(d - bounds.chi_square_lower(d, x), d),
            inner_product_survival(float(bounds.inner_product_tail(d, x)), d),
        )
        return max(tails) * math.exp(x)

    return best(lambda: (quotient, 2), rng, starts=4, rounds=80)


def slack_thm_gaussian_orthogonal(rng: np.random.Generator) -> float:
    """Compare the ``p`` that the theorem grants at ``(n, d, δ)`` with the δ-quantile of ``p(S)`` over draws."""
    found, delta = 0.0, 0.1
    for n, p in ((2, 1.0), (8, 3.0), (32, 30.0), (64, 100.0)):
        d = math.ceil(bounds.gaussian_dimension(n, p, delta))
        found = max(
            found, p / np.quantile(margin.p_orthogonality_of_gram(margin.gaussian_grams(n, d, 300, rng)), delta)
        )
    return float(found)


def slack_prp_gaussian_necessary(rng: np.random.Generator) -> float:
    """Compare the frequency of p-orthogonality with the ceiling on its probability, below the threshold."""
    found = 0.0
    for n in (8, 16, 32, 64):
        for fraction in (0.4, 0.6, 0.8, 1.0):
            p = 2.0
            d = round(fraction * bounds.gaussian_threshold(n, p))
            frequency = (margin.p_orthogonality_of_gram(margin.gaussian_grams(n, d, 300, rng)) >= p).mean()
            found = max(found, frequency / bounds.gaussian_ceiling(n, d, p))
    return float(found)


def signed_gram(pattern: NDArray[np.float64], n: int, R: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return squared norms, of least 1 and largest R², and a matrix of zero diagonal and largest entry 1.

    The Gram matrix ``⟨y_i x_i, y_j x_j⟩`` of data with coherence ``μ`` is the squared norms' diagonal matrix
    plus ``μ`` times the second.

    Parameters
    ----------
    pattern : ndarray, shape (n(n+1)/2,)
        Any numbers: the squared norms and the entries, clipped to their range.
    """
    squares = 1 + (R**2 - 1) * np.clip((pattern[:n] + 1) / 2, 0, 1)
    order = np.argsort(pattern[:n])
    squares[order[0]], squares[order[-1]] = 1.0, R**2
    off = np.zeros((n, n))
    off[np.tril_indices(n, -1)] = np.clip(pattern[n:], -1, 1)
    off += off.T
    return squares, off / np.abs(off).max()


def _search_gram(
    rng: np.random.Generator, quotient_of: Callable[..., float], largest: Callable[[int], float], least_n: int = 2
) -> float:
    """Search over Gram matrices for the largest ``quotient_of(squares, off, mu, R)``, ``μ < largest(n)``."""

    def instance():
        n, R = int(rng.integers(least_n, 7)), float(rng.choice([1.0, 1.5, 4.0]))
        mu = largest(n) * rng.choice([1e-3, 0.3, 0.9, 0.999])
        return lambda p: quotient_of(*signed_gram(p, n, R), mu, R), n * (n + 1) // 2

    return best(instance, rng, starts=40, rounds=250)


def _weights(squares: NDArray[np.float64], off: NDArray[np.float64], mu: float) -> NDArray[np.float64]:
    return np.linalg.solve(np.diag(squares) + mu * off, np.ones(len(squares)))


def slack_lem_dual_weights(rng: np.random.Generator) -> float:
    """Search for data with ``|s_i ‖x_i‖² - 1| > (n-1)μ/(1 - (n-1)μ)``."""

    def quotient(squares, off, mu, R):
        share = (len(squares) - 1) * mu
        return np.abs(_weights(squares, off, mu) * squares - 1).max() * (1 - share) / share

    return _search_gram(rng, quotient, lambda n: 1 / (n - 1))


def slack_thm_exact_threshold(rng: np.random.Generator) -> float:
    """Search for data with a negative dual weight although ``(2n-3)μ ≤ 1``: the smallest ``μ`` that has one."""

    def quotient(squares, off, mu, R):
        n = len(squares)
        low, high = 0.0, 0.999 / (n - 1)
        for _ in range(3):  # each pass divides the interval of the first negative weight by 24
            trials = np.linspace(low, high, 25)
            grams = np.diag(squares) + trials[:, None, None] * off
            least = np.linalg.solve(grams, np.ones((n, 1)))[:, :, 0].min(axis=1)
            if not (least < 0).any():
                return -least.min()
            first = int((least < 0).argmax())
            low, high = trials[first - 1], trials[first]
        return 1 / ((2 * n - 3) * high)

    return _search_gram(rng, quotient, lambda n: 1 / (n - 1), least_n=3)


def slack_thm_near_uniform(rng: np.random.Generator) -> float:
    """Search for data with ``max s_i/s_j > (R² - μ)/(1 - (2n-3)μ)``."""

    def quotient(squares, off, mu, R):
        s = _weights(squares, off, mu)
        return s.max() / s.min() / bounds.weight_ratio_exact(len(s), 1 / (R**2 * len(s) * mu), R)

    return _search_gram(rng, quotient, lambda n: min(1 / (2 * n - 3), 0.999))


def slack_cor_angle(rng: np.random.Generator) -> float:
    """Search for data whose ``cos∠(w_MM, Σ y_i x_i)`` is below one of its two bounds."""

    def quotient(squares, off, mu, R):
        n = len(squares)
        s, p = _weights(squares, off, mu), 1 / (R**2 * n * mu)
        cosine = n / math.sqrt(s.sum() * (squares.sum() + mu * off.sum()))
        return max(bounds.angle_cosine(p, R), bounds.angle_cosine_from_ratio(p, R, s.max() / s.min())) / cosine

    return _search_gram(rng, quotient, lambda n: 1 / (2 * n))


def slack_lem_kantorovich(rng: np.random.Generator) -> float:
    """Search for ``K`` with spectrum in ``[λ, Λ]`` and ``v`` with ``(vᵀKv)(vᵀK⁻¹v) > (λ+Λ)²/(4λΛ) ‖v‖⁴``."""

    def instance():
        k, top = int(rng.integers(2, 6)), 10 ** rng.uniform(0, 3)

        def quotient(p):
            values, v2 = 1 + (top - 1) * np.clip(p[:k], 0, 1), p[k:] ** 2
            return (v2 @ values) * (v2 @ (1 / values)) / v2.sum() ** 2 * 4 * top / (1 + top) ** 2

        return quotient, 2 * k

    return best(instance, rng, starts=15, rounds=300)


def slack_prp_least_squares(rng: np.random.Generator) -> float:
    """Search for a step on the squared loss that shrinks ``‖Xw - y‖`` less than the contraction factor says."""

    def instance():
        X = rng.standard_normal((3, 4)) * 10 ** rng.uniform(-1, 1, (3, 1))
        alpha = rng.uniform(0.05, 1.9) * 3 / np.linalg.norm(X, 2) ** 2
        factor = bounds.least_squares_contraction(X, alpha)

        def quotient(r):
            moved = r - alpha / 3 * (X @ (X.T @ r))
            return np.linalg.norm(moved) / (factor * np.linalg.norm(r))

        return quotient, 3

    return best(instance, rng, starts=15, rounds=300)
