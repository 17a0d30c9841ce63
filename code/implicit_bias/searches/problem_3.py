"""Searches for violations of the inequalities of Problem 3."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import bounds, network, rank
from .climb import best

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

    return best(instance, rng, starts=20, rounds=200)


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

    return best(instance, rng, starts=12, rounds=200)


def slack_lem_spread(rng: np.random.Generator) -> float:
    """Search for numbers in ``[γ, 1]`` with ``κ - 1 > (1-γ)²/(4γ)``, or ``κ > 1/q`` with a share ``q`` of ones."""

    def instance():
        m, gamma = int(rng.integers(2, 12)), rng.uniform(0.02, 0.9)

        def quotient(p):
            u = np.clip(p, gamma, 1.0)
            kappa = rank.coefficient_spread(u[:, None])[0]
            return max((kappa - 1) / (bounds.spread_bound(gamma) - 1), kappa * (u == 1.0).mean())

        return quotient, m

    return best(instance, rng, starts=20, rounds=150)


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

    return best(instance, rng, starts=30, rounds=100)


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

    return best(instance, rng, starts=15, rounds=100)


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

    return best(instance, rng, starts=15, rounds=200)


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

    return best(instance, rng, starts=15, rounds=100)


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

    return best(instance, rng, starts=10, rounds=60)


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

    return best(instance, rng, starts=10, rounds=50)
