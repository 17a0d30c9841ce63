"""Searches for violations of the inequalities of Problem 3.

A stable rank and a spread are at least 1, with equality on both sides of several theorems in trivial cases (n = 1, or
one neuron). So some quotients compare the excesses over 1: the same inequalities, without the trivial ties.
"""

import numpy as np

from .. import bounds, network, rank
from .registry import Array, Generator, Instance, search


def _problem(rng: Generator) -> tuple[Array, Array, Array, float, float]:
    """Return nearly orthogonal ``X``, labels, ``a``, ``γ`` and the exact ``θ``, small enough for a search."""
    n = int(rng.integers(2, 5))
    theta = float(rng.choice([0.0, rng.uniform(0.01, 0.9)]))
    X = rank.nearly_orthogonal_samples(n, n + int(rng.integers(0, 2)), theta, rng)
    a = network.output_weights(rng.choice([-1.0, 1.0], int(rng.integers(2, 5))))
    return X, rng.choice([-1.0, 1.0], n), a, float(rng.uniform(0.05, 0.9)), theta


@search("thm-initial-rank", starts=150)
def initial_rank(rng: Generator) -> float:
    """Draw a shape and Gaussian weights whose stable rank might be below ``min(m, d)/18``."""
    m, d = (int(v) for v in np.exp(rng.uniform(0, np.log(120), 2)))
    return bounds.initial_rank_floor(m, d) / rank.stable_rank(rng.standard_normal((m, d)))


@search("thm-gradient-rank", starts=30, rounds=100)
def gradient_rank(rng: Generator) -> Instance:
    """Search, with some rows of W zero, for ``StableRank(∇L̂(W)) - 1 > (1+θ)/(1-θ) (max_i κ_i - 1)``."""
    X, y, a, gamma, theta = _problem(rng)
    alive = (rng.random((a.size, 1)) < 0.8).astype(float)
    at_zero = rng.uniform(gamma, 1)

    def quotient(p: Array) -> float:
        W = alive * p.reshape(a.size, -1)
        spread = max(1.0, rank.activation_spread(X, W, gamma, at_zero).kappa.max())
        excess = bounds.gradient_rank_bound(theta, spread) - 1
        gradient = network.loss_gradient(X, y, W, a, gamma, at_zero)
        return (rank.stable_rank(gradient) - 1) / excess if excess > 1e-5 else float("nan")

    return quotient, a.size * X.shape[1]


@search("cor-gradient-rank-gaussian", starts=300)
def gradient_rank_gaussian(rng: Generator) -> float:
    """Draw weights with every ``q_i > 1/4`` whose gradient might be above the bound that is free of γ."""
    n, m, theta = int(rng.integers(2, 30)), int(rng.integers(2, 60)), rng.uniform(0, 0.9)
    X, gamma = rank.nearly_orthogonal_samples(n, n, theta, rng), 10 ** rng.uniform(-6, -1)
    W, a = rng.standard_normal((m, n)), network.output_weights(rng.choice([-1.0, 1.0], m))
    if rank.activation_spread(X, W, gamma).active.min() <= 0.25:
        return float("nan")
    gradient = network.loss_gradient(X, rng.choice([-1.0, 1.0], n), W, a, gamma)
    return (rank.stable_rank(gradient) - 1) / (bounds.gaussian_gradient_rank_bound(theta, gamma) - 1)


@search("thm-one-step-fine", starts=15, rounds=100)
def one_step(rng: Generator) -> Instance:
    """Search over weights of the largest norm allowed for ``StableRank(W⁽¹⁾)`` above the bound."""
    X, y, a, gamma, theta = _problem(rng)
    eta, alpha = rng.uniform(0.05, 0.9), 10 ** rng.uniform(-3, 3)
    norm = min(1.0, eta * alpha * bounds.gradient_norm_floor(y.size, theta, gamma, 1.0))

    def quotient(p: Array) -> float:
        W = p.reshape(a.size, -1) * (norm / np.linalg.norm(p))
        gradient = network.loss_gradient(X, y, W, a, gamma)
        return rank.stable_rank(W - alpha * gradient) / bounds.one_step_rank_bound(rank.stable_rank(gradient), eta)

    return quotient, a.size * X.shape[1]


@search("thm-one-step", starts=60)
def one_step_universal(rng: Generator) -> float:
    """Draw data and weights with the σ that the theorem allows, where ``StableRank(W⁽¹⁾)`` might exceed 10."""
    n, m = int(rng.integers(1, 20)), int(rng.integers(60, 100))
    d, alpha, gamma = n + int(rng.integers(0, 100)), 10 ** rng.uniform(-3, 3), 10 ** rng.uniform(-4, 0)
    X = rank.nearly_orthogonal_samples(n, d, 1 / 3, rng)
    sigma = bounds.one_step_sigma(m, d, n, 1.0, 1.0, alpha)
    a, W = network.output_weights(rng.choice([-1.0, 1.0], m)), sigma * rng.standard_normal((m, d))
    step = alpha * network.loss_gradient(X, rng.choice([-1.0, 1.0], n), W, a, gamma)
    return rank.stable_rank(W - step) / bounds.ONE_STEP_CONSTANT


@search("thm-trajectory", starts=10, rounds=60)
def trajectory(rng: Generator) -> Instance:
    """Search over ``W⁽⁰⁾`` and step sizes for ``StableRank(W⁽ᵗ⁾ - W⁽⁰⁾)`` above the bound at some ``t ≤ 6``."""
    X, y, a, gamma, theta = _problem(rng)
    if rng.random() < 0.4:  # the slope and the width at which equality is possible
        n = int(rng.integers(2, 5))
        X, y, a, gamma, theta = np.eye(n), np.ones(n), np.full(n, n**-0.5), 1 / (n - 1), 0.0
        gamma = gamma if n > 2 else 0.9
    excess = bounds.trajectory_rank_bound(theta, gamma) - 1

    def quotient(p: Array) -> float:
        alphas = (10.0 ** np.clip(p[:6], -3, 3)).tolist()
        run = network.gradient_descent(X, y, p[6:].reshape(a.size, -1), a, gamma, alphas, 6, record_rank=True)
        return float((np.nanmax(run.rank_of_change[1:]) - 1) / excess)

    return quotient, 6 + a.size * X.shape[1]


@search("cor-trajectory", starts=10, rounds=50)
def trajectory_small_weights(rng: Generator) -> Instance:
    """Search over weights of the largest norm allowed for ``StableRank(W⁽ᵗ⁾)`` above the bound at some ``t``."""
    X, y, a, gamma, theta = _problem(rng)
    eta, alpha = rng.uniform(0.05, 0.9), 10 ** rng.uniform(-3, 3)
    norm = min(1.0, eta * alpha * bounds.gradient_norm_floor(y.size, theta, gamma, 1.0))
    bound = bounds.one_step_rank_bound(bounds.trajectory_rank_bound(theta, gamma), eta)

    def quotient(p: Array) -> float:
        alphas, W = [alpha, *(10.0 ** np.clip(p[:5], -3, 3))], p[5:].reshape(a.size, -1)
        W = W * (norm / np.linalg.norm(W))
        run = network.gradient_descent(X, y, W, a, gamma, alphas, 6, record_rank=True)
        return float(run.rank[1:].max() / bound)

    return quotient, 5 + a.size * X.shape[1]
