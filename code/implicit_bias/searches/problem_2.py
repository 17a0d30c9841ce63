"""Searches for violations of the inequalities of Problem 2."""

import math
from collections.abc import Callable

import numpy as np

from .. import bounds, orthogonality
from .registry import Array, Generator, Instance, search


@search("thm-gaussian-sharp")
def gaussian_orthogonal(rng: Generator) -> float:
    """Compare the ``p`` that the theorem grants at ``(n, d, δ)`` with the δ-quantile of ``p(S)`` over draws."""
    found, delta = 0.0, 0.1
    for n, p in ((2, 1.0), (8, 3.0), (32, 30.0), (64, 100.0)):
        d = math.ceil(bounds.gaussian_dimension_sharp(n, p, delta))
        grams = orthogonality.gaussian_grams(n, d, 300, rng)
        found = max(found, float(p / np.quantile(orthogonality.p_orthogonality_of_gram(grams), delta)))
    return found


def _gram(
    rng: Generator, quotient_of: Callable[..., float], largest: Callable[[int], float], least_n: int = 2
) -> Instance:
    """Return ``quotient_of(squares, off, mu, R)`` as a function of the Gram matrix, at one ``μ < largest(n)``.

    The Gram matrix ``⟨y_i x_i, y_j x_j⟩`` is the diagonal matrix of the squared norms ``squares``, of least 1 and
    largest R², plus ``μ`` times ``off``, of zero diagonal and largest entry 1.
    """
    n, R = int(rng.integers(least_n, 7)), float(rng.choice([1.0, 1.5, 4.0]))
    mu, lower = largest(n) * rng.choice([1e-3, 0.3, 0.9, 0.999]), np.tril_indices(n, -1)

    def quotient(p: Array) -> float:
        squares = 1 + (R**2 - 1) * np.clip((p[:n] + 1) / 2, 0, 1)
        squares[p[:n].argmin()], squares[p[:n].argmax()] = 1.0, R**2
        off = np.zeros((n, n))
        off[lower] = np.clip(p[n:], -1, 1)
        off += off.T
        return quotient_of(squares, off / np.abs(off).max(), mu, R)

    return quotient, n * (n + 1) // 2


def _weights(squares: Array, off: Array, mu: float) -> Array:
    s = np.linalg.solve(np.diag(squares) + mu * off, np.ones(len(squares)))
    return np.asarray(s, dtype=np.float64)


@search("lem-dual-weights", starts=40, rounds=250)
def dual_weights(rng: Generator) -> Instance:
    """Search for data with ``|s_i ‖x_i‖² - 1| > (n-1)μ/(1 - (n-1)μ)``."""

    def quotient(squares: Array, off: Array, mu: float, R: float) -> float:
        share = (len(squares) - 1) * mu
        return float(np.abs(_weights(squares, off, mu) * squares - 1).max() * (1 - share) / share)

    return _gram(rng, quotient, lambda n: 1 / (n - 1))


@search("thm-exact-threshold", starts=40, rounds=250)
def exact_threshold(rng: Generator) -> Instance:
    """Search for data with a negative dual weight although ``(2n-3)μ ≤ 1``: the smallest ``μ`` that has one."""

    def quotient(squares: Array, off: Array, mu: float, R: float) -> float:
        n = len(squares)
        low, high = 0.0, 0.999 / (n - 1)
        for _ in range(3):  # each pass divides the interval of the first negative weight by 24
            trials = np.linspace(low, high, 25)
            grams = np.diag(squares) + trials[:, None, None] * off
            least = np.linalg.solve(grams, np.ones((n, 1)))[:, :, 0].min(axis=1)
            if not (least < 0).any():
                return -float(least.min())
            first = int((least < 0).argmax())
            low, high = trials[first - 1], trials[first]
        return 1 / ((2 * n - 3) * high)

    return _gram(rng, quotient, lambda n: 1 / (n - 1), least_n=3)


@search("thm-exact-ratio", starts=40, rounds=250)
def near_uniform(rng: Generator) -> Instance:
    """Search for data with ``max s_i/s_j > (R² - μ)/(1 - (2n-3)μ)``."""

    def quotient(squares: Array, off: Array, mu: float, R: float) -> float:
        s = _weights(squares, off, mu)
        return float(s.max() / s.min() / bounds.weight_ratio_exact(len(s), 1 / (R**2 * len(s) * mu), R))

    return _gram(rng, quotient, lambda n: min(1 / (2 * n - 3), 0.999))


@search("cor-angle", starts=40, rounds=250)
def angle(rng: Generator) -> Instance:
    """Search for data whose ``cos∠(w_MM, Σ y_i x_i)`` is below its bound."""

    def quotient(squares: Array, off: Array, mu: float, R: float) -> float:
        n = len(squares)
        s, p = _weights(squares, off, mu), 1 / (R**2 * n * mu)
        cosine = n / math.sqrt(s.sum() * (squares.sum() + mu * off.sum()))
        return bounds.angle_cosine(p, R) / cosine

    return _gram(rng, quotient, lambda n: 1 / (2 * n))
