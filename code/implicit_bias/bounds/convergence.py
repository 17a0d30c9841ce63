"""The constants and step counts of Problem 1: convergence of gradient descent.

In every function, and a ``ValueError`` names the one that is not so:

- ``eps``: target ε, in (0, 1) unless something else is said; ``alpha``: step size α, positive;
- ``c``: margin constant, in (0, 1] (`margin_constant`); ``n``, ``steps``: samples and steps ``T``, at least 1;
- ``norm0``, ``norm``: ``F_0`` and ``F_t``, where ``F_t = ‖W^{(t)}‖_F``, at least 0;
- ``g_hat``: ``Ĝ(W^{(t)})``, in [0, 1]; less than 1 for `norm_growth_sharp`.

Mean ``Ĝ`` and mean ``L̂`` are the means of ``Ĝ(W^{(t)})`` and ``L̂(W^{(t)})`` over ``t = 0, …, T-1``.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import wrightomega

from .. import checks
from ..checks import Array


def _check(alpha: float, c: float = 1.0, *, eps: float = 0.5, steps: int = 1, **norms: float) -> None:
    checks.within("(0, 1)", eps=eps)
    checks.whole(1, steps=steps)
    checks.within("(0, 1e100)", alpha=alpha)
    checks.within("(0, 1]", c=c)
    checks.within("[0, 1e100)", **norms)
    if not alpha * c**2 > 1e-290:
        raise ValueError(f"alpha = {alpha}, c = {c}: alpha c^2 is too small for float64")


def _whole_steps(*terms: tuple[float, float]) -> int:
    """Return the least whole number of at least 1 and of at least the sum of the quotients."""
    if not all(below > 0 and above / below < 1e300 for above, below in terms):
        counted = " + ".join(f"{above:g}/{below:g}" for above, below in terms)
        raise ValueError(f"{counted} steps are more than float64 can count")
    return max(1, math.ceil(sum(above / below for above, below in terms)))


def smoothness_constant() -> float:
    """Return the smoothness ``β = 1/4`` of ``L̂`` in the cases where it is smooth (`thm-smoothness`).

    >>> smoothness_constant()
    0.25
    """
    return 0.25


def margin_constant(gamma: float, v: ArrayLike) -> float:
    """Return ``c = γ/‖v‖``, below which no ``y_i ⟨∇f(x_i; W), V⟩`` can fall (`thm-margin-direction`), γ in (0, 1].
    ``v``, of shape (d,), is any with ``y_i ⟨v, x_i⟩ ≥ 1`` for all ``i``, so ``‖v‖ ≥ 1`` for data in the unit ball.
    The max-margin vector gives the largest constant, which no other ``V`` of norm 1 improves (`thm-optimal-direction`).

    >>> margin_constant(0.5, [2.0, 0.0])
    0.25
    """
    checks.within("(0, 1]", gamma=gamma)
    norm = float(np.linalg.norm(checks.array("v", v, "d")))
    if not 1 - 1e-9 <= norm < np.inf:
        raise ValueError(f"‖v‖ = {norm}: a separator of data in the unit ball has norm at least 1")
    return gamma / max(norm, 1.0)


def kappa() -> float:
    """Return ``κ = max_z z g(z) = W₀(1/e) ≈ 0.278``, attained at ``z = 1 + κ`` (`lem-tangent`).

    >>> round(kappa(), 6)
    0.278465
    """
    return float(np.real(wrightomega(-1.0)))


def margin_gain(g_value: ArrayLike) -> Array:
    """Return ``ψ(g) = g log((1-g)/g)``, which is ``g(z) z`` written through ``g = g(z)`` in [0, 1) (`lem-tangent`).

    >>> margin_gain([0.5]).tolist()
    [0.0]
    """
    value = checks.numbers_within("[0, 1)", "g_value", g_value)
    logarithm = np.log(np.where(value > 0, value, 1.0))  # g log g is 0 at 0
    return np.asarray(value * (np.log1p(-value) - logarithm))


def norm_growth(norm: float, alpha: float, g_hat: float) -> float:
    """Return ``F² + 2ακ + α²Ĝ²``, which ``F_{t+1}²`` cannot exceed (`thm-sharp-norm-growth`, second bound).

    >>> round(norm_growth(1.0, alpha=2.0, g_hat=0.5), 6)
    3.113858
    """
    _check(alpha, norm=norm)
    checks.within("[0, 1]", g_hat=g_hat)
    return norm**2 + 2 * alpha * kappa() + (alpha * g_hat) ** 2


def norm_growth_sharp(norm: float, alpha: float, g_hat: float) -> float:
    """Return ``F² + 2αψ(Ĝ) + α²Ĝ²``, which ``F_{t+1}²`` cannot exceed (`thm-sharp-norm-growth`, first bound).

    >>> norm_growth_sharp(1.0, alpha=2.0, g_hat=0.5)
    2.0
    """
    _check(alpha, norm=norm)
    return norm**2 + 2 * alpha * float(margin_gain(g_hat)) + (alpha * g_hat) ** 2


def steps_homework(eps: float, alpha: float, c: float, norm0: float = 0.0) -> int:
    """Return the least whole ``T ≥ (2+α)/(αc²ε²) + 2F_0/(αcε)``: then mean ``Ĝ ≤ ε`` (`thm-small-gradient`).

    >>> steps_homework(eps=0.1, alpha=1.0, c=0.5)
    1200
    """
    _check(alpha, c, eps=eps, norm0=norm0)
    return _whole_steps((2 + alpha, alpha * c**2 * eps**2), (2 * norm0, alpha * c * eps))


def steps_fast_rate(eps: float, alpha: float, c: float, norm0: float = 0.0) -> int:
    """Return the least whole ``T ≥ (2 log⁺((1-ε)/ε) + α + 2cF_0)/(αc²ε)``: then mean ``Ĝ ≤ ε`` (`thm-fast-rate`).

    >>> steps_fast_rate(eps=0.1, alpha=1.0, c=0.5)
    216
    """
    _check(alpha, c, eps=eps, norm0=norm0)
    return _whole_steps((2 * _log_odds(eps) + alpha + 2 * c * norm0, alpha * c**2 * eps))


def _log_odds(value: float) -> float:
    """Return ``log⁺((1-G)/G)``, for G in (0, 1]."""
    return max(0.0, math.log1p(-value) - math.log(value)) if value < 1 else 0.0


def rate_homework(steps: int, alpha: float, c: float, norm0: float = 0.0) -> float:
    """Return the ``G`` with ``T = (2+α)/(αc²G²) + 2F_0/(αcG)``: it bounds mean ``Ĝ`` (`thm-small-gradient`).

    >>> rate_homework(1200, alpha=1.0, c=0.5)
    0.1
    """
    _check(alpha, c, steps=steps, norm0=norm0)
    start = c * norm0
    return (start + math.sqrt(start**2 + alpha * c**2 * steps * (2 + alpha))) / (alpha * c**2 * steps)


def fast_rate(steps: int, alpha: float, c: float, norm0: float = 0.0) -> float:
    """Return the ``G`` with ``αc²TG = 2 log⁺((1-G)/G) + α + 2cF_0``, at most 1: bounds mean ``Ĝ`` (`thm-fast-rate`).

    >>> fast_rate(216, alpha=1.0, c=0.5) <= 0.1 <= fast_rate(215, alpha=1.0, c=0.5)
    True
    """
    _check(alpha, c, steps=steps, norm0=norm0)

    def excess(value: float) -> float:
        return alpha * c**2 * steps * value - 2 * _log_odds(value) - alpha - 2 * c * norm0

    return 1.0 if excess(1.0) <= 0 else float(brentq(excess, 1e-300, 1.0, xtol=1e-300, rtol=1e-14, maxiter=5000))


def steps_lower_bound(eps: float, alpha: float, c: float = 1.0) -> float:
    """Return ``(1/ε - 1 - e^{αc/2})/(αc²e^{αc²/2})``: no earlier ``t`` has ``Ĝ ≤ ε`` on the data of `prp-lower-bound`.
    Its single sample has the margin constant ``c``; ``αc`` is at most 1,000.

    >>> round(steps_lower_bound(eps=0.01, alpha=1.0), 4)
    59.0465
    """
    _check(alpha, c, eps=eps)
    if alpha * c > 1000:
        raise ValueError(f"alpha = {alpha}, c = {c}: alpha c of at most 1000 is needed")
    return (1 / eps - 1 - math.exp(alpha * c / 2)) / (alpha * c**2 * math.exp(alpha * c**2 / 2))


def loss_bound(g_hat: float, n: int) -> float:
    """Return ``-(1/n) log(1 - nĜ)``, which ``L̂`` cannot exceed where ``Ĝ < 1/n`` (`thm-loss`); else infinity.

    >>> round(loss_bound(0.75, n=1), 6), loss_bound(0.5, n=2)
    (1.386294, inf)
    """
    checks.within("[0, 1]", g_hat=g_hat)
    checks.whole(1, n=n)
    return -math.log1p(-n * g_hat) / n if n * g_hat < 1 else math.inf


def loss_target(eps: float, n: int) -> float:
    """Return ``ε' = (1 - e^{-nε})/n``, for positive ε: where ``Ĝ ≤ ε'``, ``L̂ ≤ ε`` (`thm-loss`).

    >>> round(loss_target(eps=0.1, n=10), 6)
    0.063212
    """
    checks.within("(0, inf)", eps=eps)
    checks.whole(1, n=n)
    return -math.expm1(-n * eps) / n


def loss_target_simple(eps: float, n: int) -> float:
    """Return ``min{ε/(2 log 2), 1/(2n)}``, for positive ε; never more than `loss_target` (`thm-small-loss`).

    >>> loss_target_simple(eps=1.0, n=5)
    0.1
    """
    checks.within("(0, inf)", eps=eps)
    checks.whole(1, n=n)
    return min(eps / (2 * math.log(2)), 1 / (2 * n))


def steps_to_loss(eps: float, n: int, alpha: float, c: float, norm0: float = 0.0) -> int:
    """Return a ``T`` with ``L̂(W^{(t)}) ≤ ε`` for a ``t < T``: `steps_fast_rate` at `loss_target` (`thm-loss-steps`).

    >>> steps_to_loss(eps=0.1, n=10, alpha=1.0, c=0.5)
    405
    """
    return steps_fast_rate(loss_target(eps, n), alpha, c, norm0)


def steps_to_loss_free_of_n(eps: float, alpha: float, c: float, norm0: float = 0.0) -> int:
    """Return the least whole ``T ≥ (cF_0 + log(2/ε) + α/2)²/(αc²ε)``, ε ≤ 2: mean ``L̂ ≤ ε`` (`prp-loss-free-of-n`).

    >>> steps_to_loss_free_of_n(eps=0.1, alpha=1.0, c=0.5)
    489
    """
    checks.within("(0, 2]", eps=eps)
    _check(alpha, c, norm0=norm0)
    return _whole_steps(((c * norm0 + math.log(2 / eps) + alpha / 2) ** 2, alpha * c**2 * eps))


def mean_loss(steps: int, alpha: float, c: float, norm0: float = 0.0) -> float:
    """Return the least ``ℓ(λ) + (cF_0 + λ + α/2)²/(2αc²T)`` over λ ≥ -α/2: it bounds mean ``L̂`` (`prp-loss-free-of-n`).
    For α < 8, and at γ = 1 or if all ``y_i a_j > 0``, it bounds the last of these losses as well (`prp-last-iterate`).

    >>> round(mean_loss(steps=100, alpha=1.0, c=0.5), 6)
    0.250624
    """
    _check(alpha, c, steps=steps, norm0=norm0)
    weight = alpha * c**2 * steps

    def slope(shift: float) -> float:
        return (c * norm0 + shift + alpha / 2) / weight - math.exp(-np.logaddexp(0.0, shift))

    least = -alpha / 2
    best = least if slope(least) >= 0 else brentq(slope, least, max(weight, least + 1.0), maxiter=5000)
    return float(np.logaddexp(0.0, -best)) + (c * norm0 + best + alpha / 2) ** 2 / (2 * weight)


def last_iterate_loss(steps: int, alpha: float, c: float, chi: float = 0.0) -> float:
    """Return ``(2 log 2)²/(α(1 - χ/c - α/8)c²T)``, for χ in [0, c) and α in (0, 8(1 - χ/c)) (`prp-mild-kinks`).
    It bounds the loss ``T`` steps after it was at most ``(log 2)/n``, where ``χ = (1 - γ)√β`` and ``β`` is the largest
    share of neurons with ``y_i a_j < 0``. At γ = 1, or if all ``y_i a_j > 0``, ``χ = 0`` (`prp-last-iterate`).

    >>> round(last_iterate_loss(steps=10, alpha=4.0, c=1.0), 6)
    0.096091
    """
    checks.within("(0, 8)", alpha=alpha)
    _check(alpha, c, steps=steps, chi=chi)
    if not (rest := 1 - chi / c - alpha / 8) > 0:
        raise ValueError(f"chi = {chi}, c = {c}, alpha = {alpha}: chi < c and alpha < 8(1 - chi/c) are needed")
    return (2 * math.log(2)) ** 2 / (alpha * rest * c**2 * steps)


def steps_log_needed(n: int, alpha: float, c: float) -> float:
    """Return ``n(h - α/n)/(5αc²)`` with ``h = log((n-3)/2)``, for ``n ≥ 6``: no earlier ``t`` has ``Ĝ ≤ 1/(2n)`` on the
    data of `prp-log-needed`.

    >>> round(steps_log_needed(103, alpha=1.0, c=0.25), 4)
    1286.2028
    """
    return _steps_log_needed(n, alpha, c, 1.0)


def steps_log_squared_needed(n: int, alpha: float, c: float) -> float:
    """Return ``n(h/2 - α/n)/(5αc²)`` with ``h = log((n-3)/2)``, for ``n ≥ 6``: no earlier ``t`` has ``L̂ ≤ h/(4n)`` on
    the data of `prp-log-needed`.

    >>> round(steps_log_squared_needed(103, alpha=1.0, c=0.25), 4)
    641.5014
    """
    return _steps_log_needed(n, alpha, c, 0.5)


def _steps_log_needed(n: int, alpha: float, c: float, share: float) -> float:
    checks.whole(6, n=n)
    _check(alpha, c)
    return n / (5 * alpha * c**2) * (share * math.log((n - 3) / 2) - alpha / n)
