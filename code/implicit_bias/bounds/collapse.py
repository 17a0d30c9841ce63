"""The constants of Problem 3: the stable rank at the start, after a step and along the trajectory."""

from __future__ import annotations

import math

VERSHYNIN_C = 0.5
"""The ``c`` in ``P(‖W⁽⁰⁾‖₂ ≥ σ(√m + √d + ξ)) ≤ 2 exp(-c ξ²)``; ½ is allowed (Vershynin 2012, Corollary 5.35)."""


def _check_in(
    name: str, value: float, low: float, high: float, *, closed_low: bool = True, closed_high: bool = False
) -> None:
    """Raise ``ValueError`` unless ``value`` lies in the interval from ``low`` to ``high``."""
    above = value >= low if closed_low else value > low
    below = value <= high if closed_high else value < high
    if not (above and below):
        interval = f"{'[' if closed_low else '('}{low}, {high}{']' if closed_high else ')'}"
        raise ValueError(f"{name} = {value}: need a number in {interval}")


def initial_rank_floor(m: int, d: int) -> float:
    """Return ``min(m, d)/18``, the floor of the stable rank at initialisation (`thm-initial-rank`)."""
    _check_in("min(m, d)", min(m, d), 1, math.inf)
    return min(m, d) / 18


def initial_rank_failure(m: int, d: int, c: float = VERSHYNIN_C) -> float:
    """Return ``exp(-md/16) + 2 exp(-c max(m, d))``, how often that floor may fail (`thm-initial-rank`)."""
    return math.exp(-m * d / 16) + 2 * math.exp(-c * max(m, d))


def initial_rank_fine_floor(m: int, d: int, eps: float, xi: float) -> float:
    """Return ``(1-ε) m d / (√m + √d + ξ)²``, for ``ε`` in (0, 1) and ``ξ >= 0`` (`prp-initial-rank-fine`)."""
    _check_in("eps", eps, 0, 1, closed_low=False)
    _check_in("xi", xi, 0, math.inf)
    return (1 - eps) * m * d / (math.sqrt(m) + math.sqrt(d) + xi) ** 2


def initial_rank_fine_failure(m: int, d: int, eps: float, xi: float, c: float = VERSHYNIN_C) -> float:
    """Return ``exp(-ε² md/4) + 2 exp(-c ξ²)``, how often the finer floor may fail (`prp-initial-rank-fine`)."""
    _check_in("eps", eps, 0, 1, closed_low=False)
    _check_in("xi", xi, 0, math.inf)
    return math.exp(-(eps**2) * m * d / 4) + 2 * math.exp(-c * xi**2)


def spread_bound(gamma: float) -> float:
    """Return ``(1+γ)²/(4γ)``, the largest value that any ``κ_i`` can have (`lem-spread`)."""
    _check_in("gamma", gamma, 0, 1, closed_low=False, closed_high=True)
    return (1 + gamma) ** 2 / (4 * gamma)


def activation_failure(n: int, m: int) -> float:
    """Return ``n exp(-m/8)``, how often a sample activates at most a quarter of the neurons (`lem-active`)."""
    return n * math.exp(-m / 8)


def gradient_rank_bound(theta: float, kappa: float) -> float:
    """Return ``1 + (1+θ)/(1-θ) (κ-1)``, the bound on the gradient's stable rank (`thm-gradient-rank`).

    ``theta`` is in [0, 1) and ``kappa`` is ``max_i κ_i``, at least 1.
    """
    _check_in("theta", theta, 0, 1)
    _check_in("kappa", kappa, 1, math.inf)
    return 1 + (1 + theta) / (1 - theta) * (kappa - 1)


def gaussian_gradient_rank_bound(theta: float, gamma: float) -> float:
    """Return ``1 + (1+θ)/(1-θ) (min{4, (1+γ)²/(4γ)} - 1)``: Gaussian weights (`cor-gradient-rank-gaussian`)."""
    return gradient_rank_bound(theta, min(4.0, spread_bound(gamma)))


def weight_norm_failure(m: int, d: int) -> float:
    """Return ``exp(-md/8)``, how often ``‖W⁽⁰⁾‖_F² ≤ 2mdσ²`` may fail (`thm-one-step`)."""
    return math.exp(-m * d / 8)


def gradient_norm_floor(n: int, theta: float, slope: float, R_min: float) -> float:
    """Return ``√(1-θ) slope R_min/((1+e)√n)``: at most ``‖∇L̂(W)‖₂`` if ``‖W‖₂ R_max <= 1`` (`lem-gradient-norm`).

    ``slope`` is a lower bound on every mean slope: γ always, ``max{γ, 1/4}`` if ``q_i >= 1/4`` for every ``i``.
    """
    _check_in("theta", theta, 0, 1)
    _check_in("slope", slope, 0, 1, closed_low=False, closed_high=True)
    return math.sqrt(1 - theta) * slope * R_min / ((1 + math.e) * math.sqrt(n))


def one_step_sigma(
    m: int, d: int, n: int, theta: float, slope: float, R_min: float, R_max: float, alpha: float, eta: float
) -> float:
    """Return ``σ̄ = min{1/R_max, η α √(1-θ) slope R_min/((1+e)√n)} / √(2md)`` (`thm-one-step`).

    ``alpha`` is the smallest first step size in use and ``eta`` is in (0, 1); ``slope`` as in `gradient_norm_floor`.
    """
    _check_in("eta", eta, 0, 1, closed_low=False)
    _check_in("alpha", alpha, 0, math.inf, closed_low=False)
    _check_in("R_min", R_min, 0, R_max, closed_low=False, closed_high=True)
    norm = min(1 / R_max, eta * alpha * gradient_norm_floor(n, theta, slope, R_min))
    return norm / math.sqrt(2 * m * d)


def one_step_rank_bound(rank: float, eta: float) -> float:
    """Return ``((√rank + η)/(1-η))²``: the stable rank of ``W⁽⁰⁾ + D`` if ``‖W⁽⁰⁾‖_F ≤ η ‖D‖₂`` (`lem-perturbation`).

    With ``D = -α ∇L̂(W⁽⁰⁾)`` it is the bound of `thm-one-step`, with ``D = W⁽ᵗ⁾ - W⁽⁰⁾`` that of `cor-trajectory`.
    ``rank`` is the stable rank of ``D``, or a bound on it; ``eta`` is in [0, 1).
    """
    _check_in("rank", rank, 1, math.inf)
    _check_in("eta", eta, 0, 1)
    return ((math.sqrt(rank) + eta) / (1 - eta)) ** 2


ONE_STEP_ETA = 1 / 12
"""The ``η`` of `cor-one-step`."""

ONE_STEP_CONSTANT = 9.0
"""The universal ``C`` of `cor-one-step`, for p-orthogonal data with ``p ≥ 3`` and any γ, m, d, n."""


def trajectory_rank_bound(theta: float, gamma: float) -> float:
    """Return ``1 + (1+θ)/(1-θ) (1-γ)²/(4γ)``, for ``W⁽ᵗ⁾ - W⁽⁰⁾`` at every ``t ≥ 1`` (`thm-trajectory`)."""
    return gradient_rank_bound(theta, spread_bound(gamma))
