"""How close to equality the book's inequalities get: one search an inequality.

Every function ``slack_<label>`` takes a random generator, tries to violate the inequality of that label, by
random starts followed by local ascent, and returns the largest quotient ``attained/bound`` that it found,
both sides written so that the theorem says ``attained ≤ bound`` with ``bound > 0``. So 1 is equality, a value
well below 1 says that the search found no tight case, and more than ``1 + ROUNDING`` would be a violation.
"""

from __future__ import annotations

import math
from typing import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from implicit_bias import bounds, margin, network

ROUNDING = 1e-9
"""Excess over 1 that float64 rounding can explain in every quotient below."""

Objective = Callable[[NDArray[np.float64]], float]


def climb(objective: Objective, start: NDArray[np.float64], rng: np.random.Generator, rounds: int = 300) -> float:
    """Return the largest value of ``objective`` found by a random local ascent from ``start``.

    A move is kept when it does not lower the value; moves shrink by a tenth after each rejected one and grow
    back after an accepted one.

    Parameters
    ----------
    objective : callable
        From a vector to a number; NaN counts as no value.
    start : ndarray, shape (k,)
    rng : numpy.random.Generator
    rounds : int
        Moves tried.
    """
    point, best, scale = start, objective(start), 1.0
    for _ in range(rounds):
        moved = point + scale * rng.standard_normal(point.size) * (rng.random(point.size) < 0.5)
        value = objective(moved)
        if value >= best or np.isnan(best):
            point, best, scale = moved, value, min(2 * scale, 10.0)
        else:
            scale = max(0.9 * scale, 1e-4)
    return float(best)


def _best(objective_of: Callable[[], tuple[Objective, int]], rng: np.random.Generator, starts: int, rounds: int) -> float:
    """Return the largest value found from ``starts`` random instances and random first points."""
    found = 0.0
    for _ in range(starts):
        objective, size = objective_of()
        value = climb(objective, rng.standard_normal(size) * 10 ** rng.uniform(-1, 1), rng, rounds)
        found = max(found, value if np.isfinite(value) else 0.0)
    return found


# --- Problem 1 ----------------------------------------------------------------------------------


def separable_data(
    n: int, d: int, rng: np.random.Generator, margin: float = 0.1
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return ``X`` in the unit ball, labels ``y`` and a ``v`` with ``min_i y_i ⟨v, x_i⟩ = 1``.

    Parameters
    ----------
    n, d : int
        Samples and dimension.
    rng : numpy.random.Generator
    margin : float
        Every sample is at least this far from the plane orthogonal to ``v``; in (0, 1].
    """
    u = rng.standard_normal(d)
    u /= np.linalg.norm(u)
    y = rng.choice([-1.0, 1.0], n)
    X = rng.standard_normal((n, d))
    X *= (rng.random((n, 1)) ** 0.25) / np.linalg.norm(X, axis=1, keepdims=True)
    along = np.clip(np.abs(X @ u), margin, 1.0)
    across = X - np.outer(X @ u, u)
    room = np.sqrt(1 - along**2) / np.maximum(np.linalg.norm(across, axis=1), 1e-300)
    X = (y * along)[:, None] * u + np.minimum(room, 1.0)[:, None] * across
    X /= max(1.0, np.linalg.norm(X, axis=1).max())
    return X, y, u / (y * (X @ u)).min()


def _small_problem(rng: np.random.Generator):
    n, d, m = (int(k) for k in rng.integers(1, 4, 3))
    X, y, v = separable_data(n, d, rng, margin=10 ** rng.uniform(-1, 0))
    gamma = float(rng.choice([1.0, rng.uniform(0.01, 1)]))
    return X, y, v, network.output_weights(rng.choice([-1.0, 1.0], m)), gamma


def slack_thm_smoothness(rng: np.random.Generator) -> float:
    """Search for ``‖∇L̂(W) - ∇L̂(W')‖_F > ¼ ‖W - W'‖_F`` at ``γ = 1``."""

    def instance():
        X, y, _, a, _ = _small_problem(rng)
        X = X / np.linalg.norm(X, axis=1, keepdims=True)
        shape = (a.size, X.shape[1])

        def quotient(p):
            W, step = p[: p.size // 2].reshape(shape), p[p.size // 2 :].reshape(shape)
            change = network.loss_gradient(X, y, W + step, a, 1.0) - network.loss_gradient(X, y, W - step, a, 1.0)
            return np.linalg.norm(change) / (bounds.smoothness_constant() * 2 * np.linalg.norm(step))

        return quotient, 2 * a.size * X.shape[1]

    return _best(instance, rng, starts=12, rounds=300)


def slack_thm_margin_direction(rng: np.random.Generator) -> float:
    """Search for a ``W`` and an ``i`` with ``y_i ⟨∇f(x_i; W), V⟩ < c*``, ``V`` built from the max margin."""
    from implicit_bias.margin import max_margin

    def instance():
        X, y, _, a, gamma = _small_problem(rng)
        w = max_margin(X, y).w
        V = np.outer(a, w / np.linalg.norm(w))

        def quotient(p):
            W = p.reshape(V.shape)
            lowest = min(s * (network.network_gradient(x, W, a, gamma) * V).sum() for x, s in zip(X, y))
            return bounds.margin_constant(gamma, w) / lowest

        return quotient, V.size

    return _best(instance, rng, starts=20, rounds=60)


def slack_thm_margin_direction_optimal(rng: np.random.Generator) -> float:
    """Search for a ``V`` of norm 1 that beats ``c*`` against the adversary of the proof (``w_j = -x_i``)."""
    from implicit_bias.margin import max_margin

    def instance():
        X, y, _, a, gamma = _small_problem(rng)
        best = bounds.margin_constant(gamma, max_margin(X, y).w)

        def quotient(p):
            V = p.reshape(a.size, X.shape[1])
            worst = [s * (network.network_gradient(x, np.tile(-x, (a.size, 1)), a, gamma) * V).sum() for x, s in zip(X, y)]
            return min(worst) / (best * np.linalg.norm(V))

        return quotient, a.size * X.shape[1]

    return _best(instance, rng, starts=12, rounds=200)


def _one_step(rng: np.random.Generator, quotient_of: Callable[..., float]) -> float:
    """Search over ``(W, log α)`` for the largest ``quotient_of(run, alpha, c)`` along one step."""

    def instance():
        X, y, v, a, gamma = _small_problem(rng)
        V = np.outer(a, v / np.linalg.norm(v))
        c = bounds.margin_constant(gamma, v)

        def quotient(p):
            alpha = 10.0 ** np.clip(p[0], -2, 3)
            run = network.gradient_descent(X, y, p[1:].reshape(V.shape), a, gamma, alpha, 1, V=V)
            return quotient_of(run, alpha, c)

        return quotient, V.size + 1

    return _best(instance, rng, starts=15, rounds=300)


def slack_thm_progress(rng: np.random.Generator) -> float:
    """Search for ``H_{t+1} - H_t < cα Ĝ(W^{(t)})``."""

    def quotient(run, alpha, c):
        gain = run.H[1] - run.H[0]  # a difference: trust it only where rounding of H cannot matter
        return alpha * c * run.G[0] / gain if gain > 1e-5 * run.F[0] else float("-inf")

    return _one_step(rng, quotient)


def slack_thm_norm_growth(rng: np.random.Generator) -> float:
    """Search for ``F_{t+1}² - F_t² > 2ακ + α² Ĝ²``."""
    return _one_step(
        rng,
        lambda run, alpha, c: (run.F[1] ** 2 - run.F[0] ** 2) / bounds.norm_growth(0.0, alpha, run.G[0]),
    )


def slack_thm_norm_growth_sharp(rng: np.random.Generator) -> float:
    """Search for ``F_{t+1}² - F_t² > 2α ψ(Ĝ) + α² Ĝ²``, among weights where the right side is positive."""

    def quotient(run, alpha, c):
        growth = bounds.norm_growth_sharp(0.0, alpha, run.G[0])
        return (run.F[1] ** 2 - run.F[0] ** 2) / growth if growth > 1e-3 * run.F[0] ** 2 else float("-inf")

    return _one_step(rng, quotient)


def _run_search(rng: np.random.Generator, quotient_of: Callable[..., float]) -> float:
    """Search over ``(log α, ‖W^{(0)}‖, W^{(0)})`` for the largest quotient along a whole run."""

    def instance():
        X, y, v, a, gamma = _small_problem(rng)
        c = bounds.margin_constant(gamma, v)
        steps = int(10 ** rng.uniform(0, 2.5))
        zero = rng.random() < 0.5

        def quotient(p):
            alpha = 10.0 ** np.clip(p[0], -3, 3)
            W0 = np.zeros((a.size, X.shape[1])) if zero else p[1:].reshape(a.size, -1)
            run = network.gradient_descent(X, y, W0, a, gamma, alpha, steps - 1)
            return quotient_of(run, alpha, c, steps)

        return quotient, a.size * X.shape[1] + 1

    return _best(instance, rng, starts=14, rounds=25)


def slack_thm_first_rate(rng: np.random.Generator) -> float:
    """Search for a run whose mean ``Ĝ`` exceeds `bounds.first_rate`."""
    return _run_search(
        rng, lambda run, alpha, c, steps: run.G.mean() / bounds.first_rate(steps, alpha, c, run.F[0])
    )


def slack_thm_fast_rate(rng: np.random.Generator) -> float:
    """Search for a run whose mean ``G`` has ``αc²TG > 2 log⁺((1-G)/G) + α + 2c‖W^{(0)}‖_F``."""

    def quotient(run, alpha, c, steps):
        mean = run.G.mean()
        odds = max(0.0, np.log1p(-mean) - np.log(mean))
        return alpha * c**2 * steps * mean / (2 * odds + alpha + 2 * c * run.F[0])

    return _run_search(rng, quotient)


def slack_lem_tangent(rng: np.random.Generator) -> float:
    """Search for ``g(z)(z - s) > ω(s)``."""
    return _best(
        lambda: (lambda p: float(network.g(p[0]) * (p[0] - p[1])) / bounds.tangent_height(p[1]), 2),
        rng, starts=10, rounds=300,
    )  # fmt: skip


def slack_lem_tangent_exponential(rng: np.random.Generator) -> float:
    """Search for ``g(z)(z - s) > e^{-1-s}``."""
    return _best(
        lambda: (lambda p: float(network.g(p[0]) * (p[0] - p[1]) * np.exp(1 + p[1])), 2),
        rng, starts=10, rounds=300,
    )  # fmt: skip


def one_sample_hitting_time(eps: float, alpha: float, c: float = 1.0) -> int:
    """Return the first ``t`` with ``Ĝ(W^{(t)}) ≤ ε`` on the data of `prp-lower-bound`, from ``W^{(0)} = 0``.

    There the margin follows ``z_{t+1} = z_t + αc² g(z_t)`` from ``z_0 = 0``, and ``Ĝ = g(z_t)``.
    """
    z, t = 0.0, 0
    while (slope := 1 / (1 + math.exp(z))) > eps:
        z, t = z + alpha * c**2 * slope, t + 1
    return t


def slack_prp_lower_bound(rng: np.random.Generator) -> float:
    """Search for a run on one sample that reaches ``Ĝ ≤ ε`` in fewer than ``(1/ε - 2)/(αe^{α/2})`` steps."""

    def quotient(p):
        alpha, eps = 10.0 ** np.clip(p[0], -2, 1), 10.0 ** np.clip(-abs(p[1]), -3, -0.4)
        return bounds.steps_lower_bound(eps, alpha) / one_sample_hitting_time(eps, alpha)

    return _best(lambda: (quotient, 2), rng, starts=2, rounds=25)


def slack_thm_loss(rng: np.random.Generator) -> float:
    """Search for margins with ``Ĝ < 1/n`` and ``L̂ > -(1/n) log(1 - nĜ)``."""

    def instance():
        n = int(rng.integers(1, 6))

        def quotient(z):
            mean = network.g(z).mean()
            return network.logistic_loss(z).mean() / bounds.loss_bound(mean, n) if n * mean < 0.999 else float("nan")

        return quotient, n

    return _best(instance, rng, starts=12, rounds=300)


def slack_cor_loss_simple(rng: np.random.Generator) -> float:
    """Search for margins with ``Ĝ ≤ 1/(2n)`` and ``L̂ > 2 log 2 · Ĝ``."""

    def instance():
        n = int(rng.integers(1, 6))

        def quotient(z):
            mean = network.g(z).mean()
            return network.logistic_loss(z).mean() / (2 * np.log(2) * mean) if 2 * n * mean <= 1 else float("nan")

        return quotient, n

    return _best(instance, rng, starts=12, rounds=300)


# --- Problem 2 ----------------------------------------------------------------------------------


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

    return _best(lambda: (quotient, 2), rng, starts=4, rounds=80)


def slack_thm_gaussian_orthogonal(rng: np.random.Generator) -> float:
    """Compare the ``p`` that the theorem grants at ``(n, d, δ)`` with the δ-quantile of ``p(S)`` over draws."""
    found, delta = 0.0, 0.1
    for n, p in ((2, 1.0), (8, 3.0), (32, 30.0), (64, 100.0)):
        d = math.ceil(bounds.gaussian_dimension(n, p, delta))
        found = max(found, p / np.quantile(margin.p_orthogonality_of_gram(margin.gaussian_grams(n, d, 300, rng)), delta))
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

    return _best(instance, rng, starts=40, rounds=250)


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

    return _best(instance, rng, starts=15, rounds=300)


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

    return _best(instance, rng, starts=15, rounds=300)
