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

from implicit_bias import bounds, margin, network, rank

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
        if run.G[0] > 0.5:  # the right side need not be positive
            return float("-inf")
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


def one_sample_hitting_time(eps: float, alpha: float, c: float = 1.0, z1: float | None = None) -> int:
    """Return the first ``t`` with ``Ĝ(W^{(t)}) ≤ ε`` on the data of `prp-lower-bound`, from ``W^{(0)} = 0``.

    There ``Ĝ = g(z_t)``, and the margin follows ``z_{t+1} = z_t + αc² g(z_t)`` from ``z_1 = αcφ'(0)x_1/2``.

    Parameters
    ----------
    eps, alpha, c : float
        As in `bounds.steps_lower_bound`.
    z1 : float, optional
        The margin after the first step, in ``[αc²/2, αc/2]``. Default: the smallest, that of ``φ'(0) = γ``.
    """
    if 0.5 <= eps:
        return 0
    z, t = alpha * c**2 / 2 if z1 is None else z1, 1
    while (slope := 1 / (1 + math.exp(z))) > eps:
        z, t = z + alpha * c**2 * slope, t + 1
    return t


def slack_prp_lower_bound(rng: np.random.Generator) -> float:
    """Search for a run on one sample that reaches ``Ĝ ≤ ε`` in fewer steps than `bounds.steps_lower_bound`."""

    def quotient(p):
        alpha, eps = 10.0 ** np.clip(p[0], -1, 1), 10.0 ** np.clip(-abs(p[1]), -2.5, -0.4)
        c = 10.0 ** -min(abs(p[2]), 0.3)
        z1 = alpha * c * (c + (1 - c) / (1 + np.exp(-p[3]))) / 2  # φ'(0)x_1 lies in [c, 1]
        return bounds.steps_lower_bound(eps, alpha, c) / one_sample_hitting_time(eps, alpha, c, z1)

    return _best(lambda: (quotient, 4), rng, starts=3, rounds=30)


def slack_prp_loss_free_of_n(rng: np.random.Generator) -> float:
    """Search for a run whose mean loss exceeds `bounds.mean_loss`."""
    return _run_search(
        rng, lambda run, alpha, c, steps: run.L.mean() / bounds.mean_loss(steps, alpha, c, run.F[0])
    )


def slack_prp_last_iterate(rng: np.random.Generator) -> float:
    """Search for a run whose loss exceeds `bounds.last_iterate_loss` after it was at most (log 2)/n.

    Half of the runs are at ``γ = 1``, the others have one class and all ``a_j`` on its side.
    """

    def instance():
        X, y, v, a, gamma = _small_problem(rng)
        if rng.random() < 0.5:
            gamma = 1.0
        else:
            X, y, a = X * y[:, None], np.ones_like(y), np.abs(a)
        c = bounds.margin_constant(gamma, v)

        def quotient(p):
            alpha = 8.0 / (1 + np.exp(-p[0]))
            run = network.gradient_descent(X, y, p[1:].reshape(a.size, -1), a, gamma, alpha, 60)
            start = int(np.argmax(run.L <= np.log(2) / len(y)))
            after = [loss / bounds.last_iterate_loss(k, alpha, c) for k, loss in enumerate(run.L[start:]) if k > 0]
            return max(after, default=float("nan")) if run.L[start] <= np.log(2) / len(y) else float("nan")

        return quotient, a.size * X.shape[1] + 1

    return _best(instance, rng, starts=10, rounds=60)


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


# --- Problem 3 ----------------------------------------------------------------------------------
#
# A stable rank and a spread are at least 1, with equality on both sides of several theorems in trivial cases (n = 1,
# or one neuron). So the quotients below compare the excesses over 1: the same inequalities, without the trivial ties.


def _rank_problem(rng: np.random.Generator):
    """Return nearly orthogonal ``X`` (its θ exact), labels, ``a`` and ``γ``, small enough for a search."""
    n = int(rng.integers(2, 5))
    theta = float(rng.choice([0.0, rng.uniform(0.01, 0.9)]))
    X = rank.nearly_orthogonal_samples(n, n + int(rng.integers(0, 2)), theta, rng)
    a = network.output_weights(rng.choice([-1.0, 1.0], int(rng.integers(2, 5))))
    return X, rng.choice([-1.0, 1.0], n), a, float(rng.uniform(0.05, 0.9)), theta


def slack_thm_initial_rank(rng: np.random.Generator) -> float:
    """Search, over shapes and draws, for Gaussian weights whose stable rank is below ``min(m, d)/18``."""
    found = 0.0
    for _ in range(150):
        m, d = (int(v) for v in np.exp(rng.uniform(0, np.log(120), 2)))
        found = max(found, bounds.initial_rank_floor(m, d) / rank.stable_rank(rng.standard_normal((m, d))))
    return found


def slack_prp_initial_rank_fine(rng: np.random.Generator) -> float:
    """Search for Gaussian weights below the finer floor, with ``ε`` and ``ξ`` at which it may fail once in 10⁶."""
    found = 0.0
    for _ in range(150):
        m, d = (int(v) for v in np.exp(rng.uniform(np.log(10), np.log(150), 2)))
        eps, xi = np.sqrt(4 * np.log(2e6) / (m * d)), np.sqrt(np.log(4e6) / bounds.VERSHYNIN_C)
        if eps < 1:
            floor = bounds.initial_rank_fine_floor(m, d, eps, xi)
            found = max(found, floor / rank.stable_rank(rng.standard_normal((m, d))))
    return found


def slack_lem_gram(rng: np.random.Generator) -> float:
    """Search for ``b`` with ``‖Σ b_i x_i‖²`` outside ``(1 ± θ) Σ b_i² ‖x_i‖²``; close to equality for large ``n``."""

    def instance():
        n, theta = int(rng.integers(2, 40)), rng.uniform(0.01, 0.99)
        X = rank.nearly_orthogonal_samples(n, n, theta, rng)
        if rng.random() < 0.5:  # all inner products alike and negative
            X = np.linalg.cholesky((1 + theta / n) * np.eye(n) - theta / n)
        theta = rank.orthogonality_defect(X)
        squares = (X**2).sum(axis=1)

        def quotient(b):
            single, joint = (b**2) @ squares, np.sum((b @ X) ** 2)
            return max(joint / ((1 + theta) * single), (1 - theta) * single / joint)

        return quotient, n

    return _best(instance, rng, starts=20, rounds=200)


def slack_lem_coefficients(rng: np.random.Generator) -> float:
    """Search for coefficients ``C ≥ 0`` whose matrix has a stable rank above the bound."""

    def instance():
        X, y, a, _, theta = _rank_problem(rng)

        def quotient(p):
            C = np.maximum(p.reshape(a.size, y.size), 0)
            C = C[:, C.max(axis=0) > 0]
            if C.size == 0 or (excess := rank.coefficient_spread(C).max() - 1) < 1e-5:
                return float("nan")
            D = a[:, None] * ((np.maximum(p.reshape(a.size, y.size), 0) * y) @ X)
            return (rank.stable_rank(D) - 1) / (bounds.gradient_rank_bound(theta, 1 + excess) - 1)

        return quotient, a.size * y.size

    return _best(instance, rng, starts=12, rounds=200)


def slack_lem_spread(rng: np.random.Generator) -> float:
    """Search for numbers in ``[γ, 1]`` with ``κ - 1 > (1-γ)²/(4γ)``, or ``κ > 1/q`` with a share ``q`` of ones."""

    def instance():
        m, gamma = int(rng.integers(2, 12)), rng.uniform(0.02, 0.9)

        def quotient(p):
            u = np.clip(p, gamma, 1.0)
            kappa = rank.coefficient_spread(u[:, None])[0]
            return max((kappa - 1) / (bounds.spread_bound(gamma) - 1), kappa * (u == 1.0).mean())

        return quotient, m

    return _best(instance, rng, starts=20, rounds=150)


def _gradient_search(rng: np.random.Generator, bound_of: Callable[..., float]) -> float:
    """Search over ``W``, some of its rows zero, for the largest ``(StableRank(∇L̂) - 1)/(bound - 1)``."""

    def instance():
        X, y, a, gamma, theta = _rank_problem(rng)
        alive = (rng.random((a.size, 1)) < 0.8).astype(float)
        at_zero = rng.uniform(gamma, 1)

        def quotient(p):
            W = alive * p.reshape(a.size, X.shape[1])
            excess = bound_of(X, W, gamma, at_zero, theta) - 1
            gradient = network.loss_gradient(X, y, W, a, gamma, at_zero)
            return (rank.stable_rank(gradient) - 1) / excess if excess > 1e-5 else float("nan")

        return quotient, a.size * X.shape[1]

    return _best(instance, rng, starts=30, rounds=100)


def slack_thm_gradient_rank(rng: np.random.Generator) -> float:
    """Search for ``StableRank(∇L̂(W)) > 1 + (1+θ)/(1-θ) (max_i κ_i - 1)``."""
    return _gradient_search(
        rng,
        lambda X, W, gamma, at_zero, theta: bounds.gradient_rank_bound(
            theta, max(1.0, rank.activation_spread(X, W, gamma, at_zero).kappa.max())
        ),
    )


def slack_lem_active(rng: np.random.Generator) -> float:
    """Measure how often Gaussian weights leave at most a quarter of the neurons active, over ``n exp(-m/8)``."""
    found = 0.0
    for m in range(4, 40, 4):
        few = rng.binomial(m, 0.5, 20_000) <= m / 4
        found = max(found, few.mean() / bounds.activation_failure(1, m))
    return found


def slack_cor_gradient_rank_gaussian(rng: np.random.Generator) -> float:
    """Search, over draws with every ``q_i > 1/4``, for a gradient above the bound that is free of γ."""
    found = 0.0
    for _ in range(300):
        n, m, theta = int(rng.integers(2, 30)), int(rng.integers(2, 60)), rng.uniform(0, 0.9)
        X, gamma = rank.nearly_orthogonal_samples(n, n, theta, rng), 10 ** rng.uniform(-6, -1)
        W, a = rng.standard_normal((m, n)), network.output_weights(rng.choice([-1.0, 1.0], m))
        if rank.activation_spread(X, W, gamma).active.min() > 0.25:
            gradient = network.loss_gradient(X, rng.choice([-1.0, 1.0], n), W, a, gamma)
            excess = bounds.gaussian_gradient_rank_bound(theta, gamma) - 1
            found = max(found, (rank.stable_rank(gradient) - 1) / excess)
    return found


def slack_lem_gradient_norm(rng: np.random.Generator) -> float:
    """Search, among ``‖W‖₂ R_max ≤ 1``, for a gradient with a spectral norm below the floor."""

    def instance():
        X, y, a, gamma, theta = _rank_problem(rng)
        X = X * 10 ** rng.uniform(-3, 3)
        norms = np.linalg.norm(X, axis=1)

        def quotient(p):
            W = p.reshape(a.size, X.shape[1])
            W = W / (np.linalg.norm(W, 2) * norms.max())
            slope = rank.activation_spread(X, W, gamma).mean_slope.min()
            floor = bounds.gradient_norm_floor(y.size, theta, slope, norms.min())
            return floor / np.linalg.norm(network.loss_gradient(X, y, W, a, gamma), 2)

        return quotient, a.size * X.shape[1]

    return _best(instance, rng, starts=15, rounds=100)


def slack_lem_perturbation(rng: np.random.Generator) -> float:
    """Search for ``W, D`` with ``‖W‖_F = η ‖D‖₂`` and ``StableRank(W + D)`` above the bound."""

    def instance():
        m, d = (int(v) for v in rng.integers(1, 5, 2))
        eta = rng.uniform(0.01, 0.9)

        def quotient(p):
            W, D = p.reshape(2, m, d)
            W = W * (eta * np.linalg.norm(D, 2) / np.linalg.norm(W))
            return rank.stable_rank(W + D) / bounds.one_step_rank_bound(rank.stable_rank(D), eta)

        return quotient, 2 * m * d

    return _best(instance, rng, starts=15, rounds=200)


def slack_thm_one_step(rng: np.random.Generator) -> float:
    """Search over weights of the largest norm allowed for ``StableRank(W⁽¹⁾)`` above the bound."""

    def instance():
        X, y, a, gamma, theta = _rank_problem(rng)
        eta, alpha = rng.uniform(0.05, 0.9), 10 ** rng.uniform(-3, 3)
        norm = min(1.0, eta * alpha * bounds.gradient_norm_floor(y.size, theta, gamma, 1.0))

        def quotient(p):
            W = p.reshape(a.size, X.shape[1])
            W = W * (norm / np.linalg.norm(W))
            gradient = network.loss_gradient(X, y, W, a, gamma)
            return rank.stable_rank(W - alpha * gradient) / bounds.one_step_rank_bound(rank.stable_rank(gradient), eta)

        return quotient, a.size * X.shape[1]

    return _best(instance, rng, starts=15, rounds=100)


def slack_cor_one_step(rng: np.random.Generator) -> float:
    """Search, over draws with the σ that the corollary allows, for ``StableRank(W⁽¹⁾) > 9``."""
    found = 0.0
    for _ in range(60):
        n, m = int(rng.integers(1, 20)), int(rng.integers(60, 100))
        d, alpha, gamma = n + int(rng.integers(0, 100)), 10 ** rng.uniform(-3, 3), 10 ** rng.uniform(-4, 0)
        X = rank.nearly_orthogonal_samples(n, d, 1 / 3, rng)
        sigma = bounds.one_step_sigma(m, d, n, 1 / 3, max(gamma, 0.25), 1.0, 1.0, alpha, bounds.ONE_STEP_ETA)
        a, W = network.output_weights(rng.choice([-1.0, 1.0], m)), sigma * rng.standard_normal((m, d))
        step = alpha * network.loss_gradient(X, rng.choice([-1.0, 1.0], n), W, a, gamma)
        found = max(found, rank.stable_rank(W - step) / bounds.ONE_STEP_CONSTANT)
    return found


def slack_thm_trajectory(rng: np.random.Generator) -> float:
    """Search over ``W⁽⁰⁾`` and step sizes for ``StableRank(W⁽ᵗ⁾ - W⁽⁰⁾)`` above the bound at some ``t ≤ 6``."""

    def instance():
        X, y, a, gamma, theta = _rank_problem(rng)
        if rng.random() < 0.4:  # the slope and the width at which equality is possible
            n = int(rng.integers(2, 5))
            X, y, a, gamma, theta = np.eye(n), np.ones(n), np.full(n, n**-0.5), 1 / (n - 1), 0.0
            gamma = gamma if n > 2 else 0.9
        excess = bounds.trajectory_rank_bound(theta, gamma) - 1

        def quotient(p):
            alphas = 10.0 ** np.clip(p[:6], -3, 3)
            run = network.gradient_descent(X, y, p[6:].reshape(a.size, -1), a, gamma, alphas, 6, record_rank=True)
            return (np.nanmax(run.rank_of_change[1:]) - 1) / excess

        return quotient, 6 + a.size * X.shape[1]

    return _best(instance, rng, starts=10, rounds=60)


def slack_cor_trajectory(rng: np.random.Generator) -> float:
    """Search over weights of the largest norm allowed for ``StableRank(W⁽ᵗ⁾)`` above the bound at some ``t``."""

    def instance():
        X, y, a, gamma, theta = _rank_problem(rng)
        eta, alpha = rng.uniform(0.05, 0.9), 10 ** rng.uniform(-3, 3)
        norm = min(1.0, eta * alpha * bounds.gradient_norm_floor(y.size, theta, gamma, 1.0))
        bound = bounds.one_step_rank_bound(bounds.trajectory_rank_bound(theta, gamma), eta)

        def quotient(p):
            alphas = np.append(alpha, 10.0 ** np.clip(p[:5], -3, 3))
            W = p[5:].reshape(a.size, -1)
            W = W * (norm / np.linalg.norm(W))
            return network.gradient_descent(X, y, W, a, gamma, alphas, 6, record_rank=True).rank[1:].max() / bound

        return quotient, 5 + a.size * X.shape[1]

    return _best(instance, rng, starts=10, rounds=50)
