"""The constants of Problem 2: max margin and minimum norm on nearly orthogonal data."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < np.inf:
            raise ValueError(f"{name} = {value}: a finite positive number is needed")


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
