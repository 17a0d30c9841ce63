"""The constants and step counts of the book's theorems, one function each.

Every function's docstring names the theorem whose constant it computes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import betaincc, wrightomega

# --- Problem 1: convergence of gradient descent -------------------------------------------------


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


# --- Problem 2: max margin and minimum norm -----------------------------------------------------


def _check_orthogonality(p: float, R: float, least: float, above: str) -> float:
    """Return pR², or complain if it is not above ``least`` or R is below 1."""
    if not 1 <= R < np.inf:
        raise ValueError(f"R = {R}: the ratio of the largest norm to the smallest is at least 1 and finite")
    if not p * R**2 > least:
        raise ValueError(f"p = {p}, R = {R}: p R^2 {above} is needed")
    return p * R**2


def _check_gaussian(n: int, p: float, delta: float) -> None:
    if n < 2:
        raise ValueError(f"n = {n}: at least 2 samples are needed (one sample is p-orthogonal for every p)")
    _positive(p=p)
    if not 0 < delta < 1:
        raise ValueError(f"delta = {delta}: a probability in (0, 1) is needed")


def chi_square_upper(d: ArrayLike, x: ArrayLike) -> NDArray[np.float64]:
    """Return ``2√(dx) + 2x``: a χ²_d variable exceeds its mean by it with probability at most e^{-x}.

    `lem-chi-square`, from Laurent and Massart (2000).
    """
    d, x = np.asarray(d, dtype=np.float64), np.asarray(x, dtype=np.float64)
    return 2 * np.sqrt(d * x) + 2 * x


def chi_square_lower(d: ArrayLike, x: ArrayLike) -> NDArray[np.float64]:
    """Return ``2√(dx)``: a χ²_d variable falls below its mean by it with probability at most e^{-x}.

    `lem-chi-square`, from Laurent and Massart (2000).
    """
    return 2 * np.sqrt(np.asarray(d, dtype=np.float64) * np.asarray(x, dtype=np.float64))


def inner_product_tail(d: ArrayLike, x: ArrayLike) -> NDArray[np.float64]:
    """Return ``√(2dx) + x``: ``⟨x_1, x_2⟩`` of two standard Gaussians exceeds it with probability ≤ e^{-x}.

    `lem-chi-square`.
    """
    d, x = np.asarray(d, dtype=np.float64), np.asarray(x, dtype=np.float64)
    return np.sqrt(2 * d * x) + x


def gaussian_dimension(n: int, p: float, delta: float) -> float:
    """Return ``2 (pn + 19/4)² log(2n²/δ)``, a dimension that makes Gaussian data p-orthogonal.

    With that dimension or a larger one, n samples from N(0, I_d) are p-orthogonal with probability at least
    1 - δ (`thm-gaussian-orthogonal`).

    Parameters
    ----------
    n : int
        Samples, at least 2.
    p : float
        Positive and finite.
    delta : float
        In (0, 1).

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    _check_gaussian(n, p, delta)
    return 2 * (p * n + 4.75) ** 2 * math.log(2 * n**2 / delta)


def gaussian_dimension_simple(n: int, p: float, delta: float) -> float:
    """Return ``24 p²n² log(2n²/δ)``, or ``48 log(4n/δ)`` if that is larger (`cor-gaussian-simple`).

    Parameters and errors are those of `gaussian_dimension`.
    """
    _check_gaussian(n, p, delta)
    return max(48 * math.log(4 * n / delta), 24 * (p * n) ** 2 * math.log(2 * n**2 / delta))


def gaussian_threshold(n: int, p: float) -> float:
    """Return ``4 p²n² log n``, where Gaussian data become p-orthogonal as n grows (`cor-gaussian-threshold`)."""
    _check_gaussian(n, p, 0.5)
    return 4 * (p * n) ** 2 * math.log(n)


def gaussian_ceiling(n: int, d: int, p: float) -> float:
    """Return an upper bound on the probability that n Gaussian samples of dimension d are p-orthogonal.

    ``2/(n(n-1)q)``, at most 1, where ``q`` is the probability that the angle's cosine between two samples
    exceeds ``1/(pn)`` in absolute value; its square is Beta(1/2, (d-1)/2), or 1 if d = 1
    (`prp-gaussian-necessary`).

    Parameters
    ----------
    n : int
        Samples, at least 2.
    d : int
        Dimension, at least 1.
    p : float
        Positive and finite.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    _check_gaussian(n, p, 0.5)
    if d < 1:
        raise ValueError(f"d = {d}: a dimension of at least 1 is needed")
    if p * n <= 1:
        return 1.0
    q = float(betaincc(0.5, (d - 1) / 2, 1 / (p * n) ** 2))
    return min(1.0, 2 / (n * (n - 1) * q)) if q > 0 else 1.0


def least_squares_contraction(X: ArrayLike, alpha: float) -> float:
    """Return the factor by which a step of gradient descent on the squared loss shrinks the residual.

    ``max_k |1 - αλ_k/n|`` over the eigenvalues of ``X Xᵀ``, for the loss ``‖Xw - y‖²/(2n)``. It is less than 1
    exactly when X has full row rank and ``α < 2n/λ_max`` (`prp-least-squares`).

    Parameters
    ----------
    X : array_like, shape (n, d)
    alpha : float
        Step size, positive.

    Raises
    ------
    ValueError
        If the step size is not positive and finite.
    """
    _positive(alpha=alpha)
    X = np.asarray(X, dtype=np.float64)
    return float(np.abs(1 - alpha / len(X) * np.linalg.eigvalsh(X @ X.T)).max())


def dual_weight_deviation(p: float, R: float = 1.0) -> float:
    """Return ``1/(pR² - 1)``, the most that ``s_i ‖x_i‖²`` differs from 1 (`lem-dual-weights`).

    Raises
    ------
    ValueError
        If R < 1 or pR² ≤ 1.
    """
    return 1 / (_check_orthogonality(p, R, 1, "> 1") - 1)


def equality_threshold(n: int) -> float:
    """Return ``2 - 3/n``: from this pR² on, and not below, max margin is minimum norm (`thm-exact-threshold`).

    Raises
    ------
    ValueError
        If n < 3: for two samples, ``M < R_min²`` is what is needed.
    """
    if n < 3:
        raise ValueError(f"n = {n}: the threshold 2 - 3/n is that of at least 3 samples")
    return 2 - 3 / n


def weight_ratio(p: float, R: float = 1.0) -> float:
    """Return ``R²(1 + 2/(pR² - 2))``, which bounds ``max s_i/s_j`` for every n (`thm-near-uniform`).

    Raises
    ------
    ValueError
        If R < 1 or pR² ≤ 2.
    """
    return R**2 * (1 + 2 / (_check_orthogonality(p, R, 2, "> 2") - 2))


def weight_ratio_simple(p: float, R: float = 1.0) -> float:
    """Return ``R²(1 + 6/(pR²))``, which bounds ``max s_i/s_j`` where pR² ≥ 3 (`thm-near-uniform`).

    Raises
    ------
    ValueError
        If R < 1 or pR² < 3.
    """
    _check_orthogonality(p, R, np.nextafter(3, 0), ">= 3")
    return R**2 * (1 + 6 / (p * R**2))


def weight_ratio_exact(n: int, p: float, R: float = 1.0) -> float:
    """Return ``(R² - μ)/(1 - (2n-3)μ)`` with ``μ = 1/(pR²n)``: the largest ``max s_i/s_j`` (`thm-near-uniform`).

    Raises
    ------
    ValueError
        If n < 2, R < 1 or pR² ≤ 2 - 3/n.
    """
    if n < 2:
        raise ValueError(f"n = {n}: a ratio needs at least 2 samples")
    mu = 1 / (n * _check_orthogonality(p, R, 2 - 3 / n, "> 2 - 3/n"))
    return (R**2 - mu) / (1 - (2 * n - 3) * mu)


def angle_cosine_from_ratio(p: float, R: float, ratio: float) -> float:
    """Return ``√((1-θ)/(1+θ)) · 2√τ/(1+τ)``, a lower bound on ``cos∠(w_MM, Σ y_i x_i)`` (`cor-angle`).

    Here ``τ = max s_i/s_j`` is ``ratio`` and ``θ = 1/(pR²)``.

    Raises
    ------
    ValueError
        If R < 1, pR² < 2 or the ratio is below 1.
    """
    theta = 1 / _check_orthogonality(p, R, np.nextafter(2, 0), ">= 2")
    if not 1 <= ratio < np.inf:
        raise ValueError(f"ratio = {ratio}: the ratio of the largest weight to the smallest is at least 1")
    return math.sqrt((1 - theta) / (1 + theta)) * 2 * math.sqrt(ratio) / (1 + ratio)


def angle_cosine(p: float, R: float = 1.0) -> float:
    """Return ``2√((R²+θ)(1-θ))/(1+R²)``, a lower bound on ``cos∠(w_MM, Σ y_i x_i)`` (`cor-angle`).

    Raises
    ------
    ValueError
        If R < 1 or pR² < 2.
    """
    theta = 1 / _check_orthogonality(p, R, np.nextafter(2, 0), ">= 2")
    return 2 * math.sqrt((R**2 + theta) * (1 - theta)) / (1 + R**2)


# --- Problem 3: stable rank ---------------------------------------------------------------------

VERSHYNIN_C = 0.5
"""The ``c`` in ``P(‖W⁽⁰⁾‖₂ ≥ σ(√m + √d + ξ)) ≤ 2 exp(-c ξ²)``; ½ is allowed (Vershynin 2012, Corollary 5.35)."""


def _check_in(name: str, value: float, low: float, high: float, *, closed_low: bool = True, closed_high: bool = False) -> None:
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
