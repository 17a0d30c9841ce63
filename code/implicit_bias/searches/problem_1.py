"""Searches for violations of the inequalities of Problem 1."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .. import bounds, network
from .climb import best


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

    return best(instance, rng, starts=12, rounds=300)


def slack_thm_margin_direction(rng: np.random.Generator) -> float:
    """Search for a ``W`` and an ``i`` with ``y_i ⟨∇f(x_i; W), V⟩ < c*``, ``V`` built from the max margin."""
    from ..margin import max_margin

    def instance():
        X, y, _, a, gamma = _small_problem(rng)
        w = max_margin(X, y).w
        V = np.outer(a, w / np.linalg.norm(w))

        def quotient(p):
            W = p.reshape(V.shape)
            lowest = min(s * (network.network_gradient(x, W, a, gamma) * V).sum() for x, s in zip(X, y))
            return bounds.margin_constant(gamma, w) / lowest

        return quotient, V.size

    return best(instance, rng, starts=20, rounds=60)


def slack_thm_margin_direction_optimal(rng: np.random.Generator) -> float:
    """Search for a ``V`` of norm 1 that beats ``c*`` against the adversary of the proof (``w_j = -x_i``)."""
    from ..margin import max_margin

    def instance():
        X, y, _, a, gamma = _small_problem(rng)
        best = bounds.margin_constant(gamma, max_margin(X, y).w)

        def quotient(p):
            V = p.reshape(a.size, X.shape[1])
            worst = [
                s * (network.network_gradient(x, np.tile(-x, (a.size, 1)), a, gamma) * V).sum() for x, s in zip(X, y)
            ]
            return min(worst) / (best * np.linalg.norm(V))

        return quotient, a.size * X.shape[1]

    return best(instance, rng, starts=12, rounds=200)


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

    return best(instance, rng, starts=15, rounds=300)


def slack_thm_progress(rng: np.random.Generator) -> float:
    """Search for ``H_{t+1} - H_t < cα Ĝ(W^{(t)})``."""

    def quotient(run, alpha, c):
        gain = run.H[1] - run.H[0]  # a difference: trust it only where rounding of H cannot matter
        return alpha * c * run.G[0] / gain if gain > 1e-5 * run.F[0] else float("-inf")

    return _one_step(rng, quotient)


def slack_thm_norm_growth(rng: np.random.Generator) -> float:
    """Search for ``F_{t+1}² - F_t² > 2ακ + α² Ĝ²``."""
    return _one_step(
        rng, lambda run, alpha, c: (run.F[1] ** 2 - run.F[0] ** 2) / bounds.norm_growth(0.0, alpha, run.G[0])
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

    return best(instance, rng, starts=14, rounds=25)


def slack_thm_first_rate(rng: np.random.Generator) -> float:
    """Search for a run whose mean ``Ĝ`` exceeds `bounds.first_rate`."""
    return _run_search(rng, lambda run, alpha, c, steps: run.G.mean() / bounds.first_rate(steps, alpha, c, run.F[0]))


def slack_thm_fast_rate(rng: np.random.Generator) -> float:
    """Search for a run whose mean ``G`` has ``αc²TG > 2 log⁺((1-G)/G) + α + 2c‖W^{(0)}‖_F``."""

    def quotient(run, alpha, c, steps):
        mean = run.G.mean()
        odds = max(0.0, np.log1p(-mean) - np.log(mean))
        return alpha * c**2 * steps * mean / (2 * odds + alpha + 2 * c * run.F[0])

    return _run_search(rng, quotient)


def slack_lem_tangent(rng: np.random.Generator) -> float:
    """Search for ``g(z)(z - s) > ω(s)``."""
    return best(
        lambda: (lambda p: float(network.g(p[0]) * (p[0] - p[1])) / bounds.tangent_height(p[1]), 2),
        rng, starts=10, rounds=300,
    )  # fmt: skip


def slack_lem_tangent_exponential(rng: np.random.Generator) -> float:
    """Search for ``g(z)(z - s) > e^{-1-s}``."""
    return best(
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
    if eps >= 0.5:
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

    return best(lambda: (quotient, 4), rng, starts=3, rounds=30)


def slack_prp_loss_free_of_n(rng: np.random.Generator) -> float:
    """Search for a run whose mean loss exceeds `bounds.mean_loss`."""
    return _run_search(rng, lambda run, alpha, c, steps: run.L.mean() / bounds.mean_loss(steps, alpha, c, run.F[0]))


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
            start = int(np.argmax(np.log(2) / len(y) >= run.L))
            after = [loss / bounds.last_iterate_loss(k, alpha, c) for k, loss in enumerate(run.L[start:]) if k > 0]
            return max(after, default=float("nan")) if run.L[start] <= np.log(2) / len(y) else float("nan")

        return quotient, a.size * X.shape[1] + 1

    return best(instance, rng, starts=10, rounds=60)


def slack_thm_loss(rng: np.random.Generator) -> float:
    """Search for margins with ``Ĝ < 1/n`` and ``L̂ > -(1/n) log(1 - nĜ)``."""

    def instance():
        n = int(rng.integers(1, 6))

        def quotient(z):
            mean = network.g(z).mean()
            return network.logistic_loss(z).mean() / bounds.loss_bound(mean, n) if n * mean < 0.999 else float("nan")

        return quotient, n

    return best(instance, rng, starts=12, rounds=300)


def slack_cor_loss_simple(rng: np.random.Generator) -> float:
    """Search for margins with ``Ĝ ≤ 1/(2n)`` and ``L̂ > 2 log 2 · Ĝ``."""

    def instance():
        n = int(rng.integers(1, 6))

        def quotient(z):
            mean = network.g(z).mean()
            return network.logistic_loss(z).mean() / (2 * np.log(2) * mean) if 2 * n * mean <= 1 else float("nan")

        return quotient, n

    return best(instance, rng, starts=12, rounds=300)
