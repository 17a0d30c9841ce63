"""The constants of Problem 3: the stable rank at the start, after a step and along the trajectory.

In every function, and a ``ValueError`` names the one that is not so:

- ``m``, ``d``, ``n``: neurons, dimension, samples, at least 1; ``eta``: in (0, 1);
- ``gamma``: slope γ, in (0, 1]; ``R_min``, ``R_max``: the least and the largest ``‖x_i‖``, positive;
- ``theta``: the defect ``θ(S) = n M/R_min²`` or a bound on it, in [0, 1) (`rank.orthogonality_defect`);
- ``kappa``: ``max_i κ_i`` or a bound on it, at least 1 (`rank.activation_spread`);
- ``slope``: a lower bound on every mean slope, in (0, 1]: γ always, ``max{γ, 1/4}`` if ``q_i >= 1/4`` for every ``i``.
"""

import math

from .. import checks

VERSHYNIN_C = 0.5
"""The ``c`` in ``P(‖W⁽⁰⁾‖₂ ≥ σ(√m + √d + ξ)) ≤ 2 exp(-c ξ²)``; ½ is allowed (Vershynin 2012, Corollary 5.35)."""

ONE_STEP_CONSTANT = 10.0
"""The universal ``C`` of `thm-one-step`, for p-orthogonal data with ``p ≥ 3`` and any γ, m, d, n."""


def initial_rank_floor(m: int, d: int) -> float:
    """Return ``min(m, d)/18``, the floor of the stable rank at initialisation (`thm-initial-rank`).

    >>> initial_rank_floor(180, 784)
    10.0
    """
    checks.whole(1, m=m, d=d)
    return min(m, d) / 18


def initial_rank_failure(m: int, d: int) -> float:
    """Return ``exp(-md/16) + 2 exp(-c max(m, d))``, c = ½: how often that floor may fail (`thm-initial-rank`).

    >>> round(initial_rank_failure(4, 8), 6)
    0.171967
    """
    checks.whole(1, m=m, d=d)
    return math.exp(-m * d / 16) + 2 * math.exp(-VERSHYNIN_C * max(m, d))


def spread_bound(gamma: float) -> float:
    """Return ``(1+γ)²/(4γ)``, the largest value that any ``κ_i`` can have (`lem-spread`).

    >>> spread_bound(1.0)
    1.0
    """
    checks.within("(0, 1]", gamma=gamma)
    return (1 + gamma) ** 2 / (4 * gamma)


def gradient_rank_bound(theta: float, kappa: float) -> float:
    """Return ``1 + (1+θ)/(1-θ) (κ-1)``, the bound on the gradient's stable rank (`thm-gradient-rank`).

    >>> gradient_rank_bound(theta=0.5, kappa=2.0)
    4.0
    """
    checks.within("[0, 1)", theta=theta)
    checks.within("[1, inf)", kappa=kappa)
    return 1 + (1 + theta) / (1 - theta) * (kappa - 1)


def gaussian_gradient_rank_bound(theta: float, gamma: float) -> float:
    """Return ``1 + (1+θ)/(1-θ) (min{4, (1+γ)²/(4γ)} - 1)``: Gaussian weights (`cor-gradient-rank-gaussian`).

    >>> gaussian_gradient_rank_bound(theta=0.5, gamma=0.01)
    10.0
    """
    return gradient_rank_bound(theta, min(4.0, spread_bound(gamma)))


def trajectory_rank_bound(theta: float, gamma: float) -> float:
    """Return ``1 + (1+θ)/(1-θ) (1-γ)²/(4γ)``, for ``W⁽ᵗ⁾ - W⁽⁰⁾`` at every ``t ≥ 1`` (`thm-trajectory`).

    >>> trajectory_rank_bound(theta=0.5, gamma=1.0)
    1.0
    """
    return gradient_rank_bound(theta, spread_bound(gamma))


def gradient_norm_floor(n: int, theta: float, slope: float, R_min: float) -> float:
    """Return ``√(1-θ) slope R_min/((1+e)√n)``: at most ``‖∇L̂(W)‖₂`` if ``‖W‖₂ R_max <= 1`` (`lem-gradient-norm`).

    >>> round(gradient_norm_floor(n=4, theta=0.0, slope=0.5, R_min=2.0), 6)
    0.134471
    """
    checks.whole(1, n=n)
    checks.within("[0, 1)", theta=theta)
    checks.within("(0, 1]", slope=slope)
    checks.within("(0, inf)", R_min=R_min)
    return math.sqrt(1 - theta) * slope * R_min / ((1 + math.e) * math.sqrt(n))


def one_step_sigma(m: int, d: int, n: int, R_min: float, R_max: float, alpha: float) -> float:
    """Return ``σ̄ = min{1/(20 R_max), α R_min/(312 √n)}/√(2md)``, with α a smallest step (`thm-one-step`).

    >>> one_step_sigma(4, 2, n=1, R_min=1.0, R_max=1.0, alpha=100.0)
    0.0125
    """
    checks.whole(1, m=m, d=d, n=n)
    checks.within("(0, inf)", alpha=alpha, R_max=R_max)
    checks.within(f"(0, {float(R_max)}]", R_min=R_min)
    return min(1 / (20 * R_max), alpha * R_min / (312 * math.sqrt(n))) / math.sqrt(2 * m * d)


def small_sigma(
    m: int, d: int, n: int, theta: float, slope: float, R_min: float, R_max: float, alpha: float, eta: float
) -> float:
    """Return ``min{1/R_max, η α √(1-θ) slope R_min/((1+e)√n)}/√(2md)``, the largest σ of `thm-one-step-fine`.

    >>> small_sigma(4, 2, n=1, theta=0.0, slope=1.0, R_min=1.0, R_max=1.0, alpha=100.0, eta=0.5)
    0.25
    """
    checks.whole(1, m=m, d=d)
    checks.within("(0, 1)", eta=eta)
    checks.within("(0, inf)", alpha=alpha, R_max=R_max)
    checks.within(f"(0, {float(R_max)}]", R_min=R_min)
    norm = min(1 / R_max, eta * alpha * gradient_norm_floor(n, theta, slope, R_min))
    return norm / math.sqrt(2 * m * d)


def one_step_rank_bound(rank: float, eta: float) -> float:
    """Return ``((√rank + η)/(1-η))²``: the stable rank of ``W⁽⁰⁾ + D`` if ``‖W⁽⁰⁾‖_F ≤ η ‖D‖₂`` (`lem-perturbation`).
    With ``D = -α ∇L̂(W⁽⁰⁾)`` it is the bound of `thm-one-step-fine`, with ``D = W⁽ᵗ⁾ - W⁽⁰⁾`` that of `cor-trajectory`.
    ``rank`` is the stable rank of ``D``, or a bound on it, at least 1; ``eta`` may be 0.

    >>> one_step_rank_bound(4.0, eta=0.5)
    25.0
    """
    checks.within("[1, inf)", rank=rank)
    checks.within("[0, 1)", eta=eta)
    return float(((math.sqrt(rank) + eta) / (1 - eta)) ** 2)
