"""The constants and step counts of Problem 1: convergence of gradient descent."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import wrightomega


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < np.inf:
            raise ValueError(f"{name} = {value}: a finite positive number is needed")


def _check_rate(alpha: float, c: float, norm0: float) -> None:
    _positive(alpha=alpha)
    if not 0 < c <= 1:
        raise ValueError(f"c = {c}: a margin constant in (0, 1] is needed")
    if not 0 <= norm0 < np.inf:
        raise ValueError(f"norm0 = {norm0}: the norm of W0 must be finite and at least 0")


def _check_target(eps: float) -> None:
    if not 0 < eps < 1:
        raise ValueError(f"eps = {eps}: a target in (0, 1) is needed")


def smoothness_constant() -> float:
    """Return the smoothness ``β = 1/4`` of ``L̂`` in the cases where it is smooth (`thm-smoothness`)."""
    return 0.25


def margin_constant(gamma: float, v: ArrayLike) -> float:
    """Return ``c = γ/‖v‖``, below which no ``y_i ⟨∇f(x_i; W), V⟩`` can fall (`thm-margin-direction`).

    Parameters
    ----------
    gamma : float
        Slope, in (0, 1].
    v : array_like, shape (d,)
        Any vector with ``y_i ⟨v, x_i⟩ ≥ 1`` for all ``i``. The max-margin vector gives the largest constant,
        which no other ``V`` of norm 1 improves.

    Raises
    ------
    ValueError
        If γ is outside (0, 1], or ``‖v‖ < 1``, which data in the unit ball forbid.
    """
    if not 0 < gamma <= 1:
        raise ValueError(f"gamma = {gamma}: the slope must lie in (0, 1]")
    norm = float(np.linalg.norm(np.asarray(v, dtype=np.float64)))
    if not 1 - 1e-9 <= norm < np.inf:
        raise ValueError(f"‖v‖ = {norm}: a separator of data in the unit ball has norm at least 1")
    return gamma / max(norm, 1.0)


def tangent_height(shift: float) -> float:
    """Return ``ω(s) = max_z g(z)(z - s) = W₀(e^{-1-s})``, attained at ``z = s + 1 + ω(s)`` (`lem-tangent`).

    Parameters
    ----------
    shift : float
        Any real ``s``.
    """
    return float(np.real(wrightomega(-1.0 - shift)))


def kappa() -> float:
    """Return ``κ = max_z z/(1 + e^z) = W₀(1/e) ≈ 0.278``, the constant of `thm-norm-growth`."""
    return tangent_height(0.0)


def margin_gain(g_value: ArrayLike) -> NDArray[np.float64]:
    """Return ``ψ(g) = g log((1-g)/g)``, which is ``g(z) z`` written through ``g = g(z)`` (`lem-tangent`).

    Parameters
    ----------
    g_value : array_like
        Numbers in (0, 1).
    """
    value = np.asarray(g_value, dtype=np.float64)
    return value * (np.log1p(-value) - np.log(value))


def norm_growth(norm: float, alpha: float, g_hat: float) -> float:
    """Return ``F² + 2ακ + α² Ĝ²``, which ``F_{t+1}²`` cannot exceed (`thm-norm-growth`, second bound).

    Parameters
    ----------
    norm : float
        ``F_t = ‖W^{(t)}‖_F``.
    alpha : float
        Step size, positive.
    g_hat : float
        ``Ĝ(W^{(t)})``, in (0, 1).
    """
    return norm**2 + 2 * alpha * kappa() + (alpha * g_hat) ** 2


def norm_growth_sharp(norm: float, alpha: float, g_hat: float) -> float:
    """Return ``F² + 2α ψ(Ĝ) + α² Ĝ²``, which ``F_{t+1}²`` cannot exceed (`thm-norm-growth`, first bound)."""
    return norm**2 + 2 * alpha * float(margin_gain(g_hat)) + (alpha * g_hat) ** 2


def norm_growth_homework(norm: float, alpha: float) -> float:
    """Return ``F² + 2α + α²``, the homework's bound on ``F_{t+1}²`` (`thm-norm-growth`, third bound)."""
    return norm**2 + 2 * alpha + alpha**2


def _whole_steps(value: float) -> int:
    return max(1, math.ceil(value))


def steps_first_rate(eps: float, alpha: float, c: float, norm0: float = 0.0) -> int:
    """Return the least whole ``T ≥ 2κ/(αc²ε²) + 1/(c²ε) + 2‖W^{(0)}‖_F/(αcε)`` (`thm-first-rate`).

    Then the mean of ``Ĝ(W^{(t)})`` over ``t = 0, …, T-1`` is at most ε.

    Parameters
    ----------
    eps : float
        Target ε, in (0, 1).
    alpha : float
        Step size, positive.
    c : float
        Margin constant, in (0, 1]; see `margin_constant`.
    norm0 : float
        ``‖W^{(0)}‖_F``.
    """
    _check_target(eps)
    _check_rate(alpha, c, norm0)
    return _whole_steps(2 * kappa() / (alpha * c**2 * eps**2) + 1 / (c**2 * eps) + 2 * norm0 / (alpha * c * eps))


def steps_homework(eps: float, alpha: float, c: float, norm0: float = 0.0) -> int:
    """Return the least whole ``T ≥ (2+α)/(αc²ε²) + 2‖W^{(0)}‖_F/(αcε)`` (after `thm-first-rate`).

    This is what the homework's own norm bound gives; the arguments are those of `steps_first_rate`.
    """
    _check_target(eps)
    _check_rate(alpha, c, norm0)
    return _whole_steps((2 + alpha) / (alpha * c**2 * eps**2) + 2 * norm0 / (alpha * c * eps))


def steps_fast_rate(eps: float, alpha: float, c: float, norm0: float = 0.0) -> int:
    """Return the least whole ``T ≥ (2 log⁺((1-ε)/ε) + α + 2c‖W^{(0)}‖_F)/(αc²ε)`` (`thm-fast-rate`).

    Then the mean of ``Ĝ(W^{(t)})`` over ``t = 0, …, T-1`` is at most ε. The arguments are those of
    `steps_first_rate`.
    """
    _check_target(eps)
    _check_rate(alpha, c, norm0)
    logarithm = max(0.0, math.log1p(-eps) - math.log(eps))
    return _whole_steps((2 * logarithm + alpha + 2 * c * norm0) / (alpha * c**2 * eps))


def first_rate(steps: int, alpha: float, c: float, norm0: float = 0.0) -> float:
    """Return the bound of `thm-first-rate` on the mean of ``Ĝ`` over the first ``steps`` iterates.

    It is ``(Q + √(Q² + 2αc²κT))/(αc²T)`` with ``Q = α/2 + c‖W^{(0)}‖_F`` and ``T = steps ≥ 1``.
    """
    _positive(steps=steps)
    _check_rate(alpha, c, norm0)
    q = alpha / 2 + c * norm0
    return (q + math.sqrt(q**2 + 2 * alpha * c**2 * kappa() * steps)) / (alpha * c**2 * steps)


def fast_rate(steps: int, alpha: float, c: float, norm0: float = 0.0) -> float:
    """Return the bound of `thm-fast-rate` on the mean of ``Ĝ`` over the first ``steps`` iterates.

    It is the only solution ``G`` of ``αc²TG = 2 log⁺((1-G)/G) + α + 2c‖W^{(0)}‖_F``, with ``T = steps ≥ 1``;
    1 where that solution exceeds 1.
    """
    _positive(steps=steps)
    _check_rate(alpha, c, norm0)

    def excess(value: float) -> float:
        logarithm = max(0.0, math.log1p(-value) - math.log(value)) if value < 1 else 0.0
        return alpha * c**2 * steps * value - 2 * logarithm - alpha - 2 * c * norm0

    return 1.0 if excess(1.0) <= 0 else float(brentq(excess, 1e-300, 1.0, xtol=1e-300, rtol=1e-14))


def steps_lower_bound(eps: float, alpha: float, c: float = 1.0) -> float:
    """Return ``(1/ε - 1 - e^{αc/2})/(αc²e^{αc²/2})``: no earlier ``t`` has ``Ĝ ≤ ε`` on the data of `prp-lower-bound`.

    Parameters
    ----------
    eps : float
        Target ε, in (0, 1).
    alpha : float
        Step size, positive.
    c : float
        Margin constant of the single sample, in (0, 1].
    """
    _check_target(eps)
    _check_rate(alpha, c, 0.0)
    return (1 / eps - 1 - math.exp(alpha * c / 2)) / (alpha * c**2 * math.exp(alpha * c**2 / 2))


def loss_bound(g_hat: float, n: int) -> float:
    """Return ``-(1/n) log(1 - nĜ)``, which ``L̂`` cannot exceed where ``Ĝ < 1/n`` (`thm-loss`); else infinity.

    Parameters
    ----------
    g_hat : float
        ``Ĝ(W)``, in (0, 1).
    n : int
        Number of samples.
    """
    return -math.log1p(-n * g_hat) / n if n * g_hat < 1 else math.inf


def loss_target(eps: float, n: int) -> float:
    """Return ``ε' = (1 - e^{-nε})/n``: where ``Ĝ ≤ ε'``, ``L̂ ≤ ε`` (`thm-loss`).

    Parameters
    ----------
    eps : float
        Target of the loss, positive.
    n : int
        Number of samples, positive.
    """
    _positive(eps=eps, n=n)
    return -math.expm1(-n * eps) / n


def loss_target_simple(eps: float, n: int) -> float:
    """Return ``min{ε/(2 log 2), 1/(2n)}``, never more than `loss_target` (`cor-loss-simple`)."""
    _positive(eps=eps, n=n)
    return min(eps / (2 * math.log(2)), 1 / (2 * n))


def steps_to_loss(eps: float, n: int, alpha: float, c: float, norm0: float = 0.0) -> int:
    """Return a ``T`` with ``L̂(W^{(t)}) ≤ ε`` for some ``t < T``: `steps_fast_rate` at `loss_target`.

    The theorem is `thm-loss-steps`; the arguments are those of `loss_target` and `steps_fast_rate`.
    """
    return steps_fast_rate(loss_target(eps, n), alpha, c, norm0)


def steps_to_loss_free_of_n(eps: float, alpha: float, c: float, norm0: float = 0.0) -> int:
    """Return the least whole ``T ≥ (c‖W^{(0)}‖_F + log(2/ε) + α/2)²/(αc²ε)`` (`prp-loss-free-of-n`).

    Then the mean of ``L̂(W^{(t)})`` over ``t = 0, …, T-1`` is at most ε, whatever the number of samples.

    Parameters
    ----------
    eps : float
        Target of the loss, in (0, 2].
    alpha, c, norm0 : float
        As in `steps_first_rate`.
    """
    _check_rate(alpha, c, norm0)
    if not 0 < eps <= 2:
        raise ValueError(f"eps = {eps}: a target in (0, 2] is needed")
    return _whole_steps((c * norm0 + math.log(2 / eps) + alpha / 2) ** 2 / (alpha * c**2 * eps))


def mean_loss(steps: int, alpha: float, c: float, norm0: float = 0.0) -> float:
    """Return the bound of `prp-loss-free-of-n` on the mean of ``L̂`` over the first ``steps`` iterates.

    It is the least value, over ``λ ≥ -α/2``, of the convex ``ℓ(λ) + (c‖W^{(0)}‖_F + λ + α/2)²/(2αc²T)`` with
    ``T = steps ≥ 1``. For α < 8, and at γ = 1 or if all ``y_i a_j > 0``, it bounds the last of these losses as
    well (`prp-last-iterate`).
    """
    _positive(steps=steps)
    _check_rate(alpha, c, norm0)
    weight = alpha * c**2 * steps

    def slope(shift: float) -> float:
        return (c * norm0 + shift + alpha / 2) / weight - math.exp(-np.logaddexp(0.0, shift))

    least = -alpha / 2
    best = least if slope(least) >= 0 else brentq(slope, least, max(weight, least + 1.0))
    return float(np.logaddexp(0.0, -best)) + (c * norm0 + best + alpha / 2) ** 2 / (2 * weight)


def last_iterate_loss(steps: int, alpha: float, c: float) -> float:
    """Return ``(2 log 2)²/(α(1 - α/8)c²T)`` with ``T = steps ≥ 1`` (`prp-last-iterate`).

    At γ = 1, or if all ``y_i a_j > 0``, it bounds the loss ``T`` steps after it was at most ``(log 2)/n``.

    Raises
    ------
    ValueError
        If α is outside (0, 8), or another argument out of its range.
    """
    _positive(steps=steps)
    _check_rate(alpha, c, 0.0)
    if not alpha < 8:
        raise ValueError(f"alpha = {alpha}: a step size below 8 is needed")
    return (2 * math.log(2)) ** 2 / (alpha * (1 - alpha / 8) * c**2 * steps)
