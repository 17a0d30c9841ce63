"""The constants of Problem 2: max margin and minimum norm on nearly orthogonal data.

In every function, and a ``ValueError`` names the one that is not so:

- ``n``: samples, at least 2 unless something else is said (one sample is p-orthogonal for every p);
- ``d``: dimension, at least 1; ``delta``: probability δ, in (0, 1);
- ``p``: of p-orthogonality, positive (`margin.p_orthogonality`); infinite for orthogonal samples, which the bounds on
  the weights and on the angle allow;
- ``R``: ratio ``R_max/R_min`` of the largest norm to the smallest, at least 1.
"""

import math

from scipy.special import betaincc

from .. import checks


def _pR2(p: float, R: float, interval: str) -> float:
    """Return pR², or complain if it is not in the interval, or p or R out of range."""
    checks.within("[1, 1e100)", R=R)
    if p == math.inf:
        return p
    checks.within("(0, 1e100)", p=p)
    product = p * R**2
    rounded_up = math.nextafter(product, math.inf) if interval[0] == "[" else product
    checks.within(interval, **{f"p = {p}, R = {R}: p R^2": rounded_up})
    return product


def _check(n: int, p: float = 1.0, delta: float = 0.5) -> None:
    checks.whole(2, n=n)
    checks.within("[2, 1e50)", n=n)
    checks.within("(0, 1e100)", p=p)
    checks.within("(0, 1)", delta=delta)


def gaussian_dimension(n: int, p: float, delta: float) -> float:
    """Return ``4 (pn + 13/4)² log(2n²/δ)``, a dimension for p-orthogonal Gaussian data (`thm-gaussian-orthogonal`).
    From this d on, n samples from N(0, I_d) are p-orthogonal with probability at least 1 - δ.

    >>> math.ceil(gaussian_dimension(10, 3.0, 0.1))
    33614
    """
    _check(n, p, delta)
    return float(4 * (p * n + 3.25) ** 2 * math.log(2 * n**2 / delta))


def gaussian_dimension_sharp(n: int, p: float, delta: float) -> float:
    """Return ``2 (pn + 19/4)² log(2n²/δ)``, which is enough as well (`thm-gaussian-sharp`).

    >>> math.ceil(gaussian_dimension_sharp(10, 3.0, 0.1))
    18358
    """
    _check(n, p, delta)
    return float(2 * (p * n + 4.75) ** 2 * math.log(2 * n**2 / delta))


def gaussian_threshold(n: int, p: float) -> float:
    """Return ``4 p²n² log n``, where Gaussian data become p-orthogonal as n grows (`cor-gaussian-threshold`).

    >>> math.ceil(gaussian_threshold(10, 3.0))
    8290
    """
    _check(n, p)
    return float(4 * (p * n) ** 2 * math.log(n))


def gaussian_ceiling(n: int, d: int, p: float) -> float:
    """Return ``2/(n(n-1)q)``, at most 1: how often n Gaussian samples can be p-orthogonal (`prp-gaussian-necessary`).
    Here ``q`` is the probability that the cosine of two samples' angle exceeds ``1/(pn)`` in absolute value; its square
    is Beta(1/2, (d-1)/2), or 1 if d = 1.

    >>> gaussian_ceiling(10, 1, 3.0) == 2 / 90
    True
    """
    _check(n, p)
    checks.whole(1, d=d)
    if p * n <= 1:
        return 1.0
    q = float(betaincc(0.5, (d - 1) / 2, 1 / (p * n) ** 2))
    return min(1.0, 2 / (n * (n - 1) * q)) if q > 0 else 1.0


def dual_weight_deviation(p: float, R: float = 1.0) -> float:
    """Return ``1/(pR² - 1)``, the most that ``s_i ‖x_i‖²`` differs from 1, for pR² > 1 (`lem-dual-weights`).

    >>> dual_weight_deviation(3.0)
    0.5
    """
    return 1 / (_pR2(p, R, "(1, inf)") - 1)


def equality_threshold(n: int) -> float:
    """Return ``2 - 3/n``: from this pR² on, and not below, max margin is minimum norm (`thm-exact-threshold`).
    For n ≥ 3; for two samples, ``M < R_min²`` is what is needed.

    >>> equality_threshold(6)
    1.5
    """
    checks.whole(3, n=n)
    return 2 - 3 / n


def weight_ratio(p: float, R: float = 1.0) -> float:
    """Return ``R²(1 + 2/(pR² - 2))``, which bounds ``max s_i/s_j`` for every n and pR² > 2 (`thm-near-uniform`).

    >>> weight_ratio(3.0)
    3.0
    """
    return (1 + 2 / (_pR2(p, R, "(2, inf)") - 2)) * R**2


def weight_ratio_simple(p: float, R: float = 1.0) -> float:
    """Return ``R²(1 + 6/(pR²))``, which bounds ``max s_i/s_j`` where pR² ≥ 3 (`thm-near-uniform`).

    >>> weight_ratio_simple(6.0, R=2.0)
    5.0
    """
    return (1 + 6 / _pR2(p, R, "[3, inf)")) * R**2


def weight_ratio_exact(n: int, p: float, R: float = 1.0) -> float:
    """Return ``(R² - μ)/(1 - (2n-3)μ)``, ``μ = 1/(pR²n)``: the largest ``max s_i/s_j`` (`thm-exact-ratio`).
    For pR² > 2 - 3/n.

    >>> round(weight_ratio_exact(3, 3.0), 6)
    1.333333
    """
    _check(n)
    mu = 1 / (n * _pR2(p, R, f"({2 - 3 / n}, inf)"))
    return (R**2 - mu) / (1 - (2 * n - 3) * mu)


def angle_cosine(p: float, R: float = 1.0) -> float:
    """Return ``2√((R²+θ)(1-θ))/(1+R²)``, ``θ = 1/(pR²)``: at most ``cos∠(w_MM, Σ y_i x_i)`` if pR² ≥ 2 (`cor-angle`).

    >>> round(angle_cosine(2.0), 6)
    0.866025
    """
    theta = 1 / _pR2(p, R, "[2, inf)")
    return 2 * math.sqrt((R**2 + theta) * (1 - theta)) / (1 + R**2)
