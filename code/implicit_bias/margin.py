"""Max-margin classifier, minimum-norm interpolator and p-orthogonality (Problem 2).

Data are `X` of shape (n, d) and labels `y` of shape (n,), each +1 or -1, as NumPy arrays or torch tensors;
results are float64 NumPy arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]

_ACCEPTED_RESIDUAL = 1e-6
"""A solution whose relative residual is larger than this is not called a solution."""


@dataclass(frozen=True)
class LinearClassifier:
    """A linear classifier that lies in the span of the data.

    Attributes
    ----------
    w : ndarray, shape (d,)
        The weights.
    dual : ndarray, shape (n,)
        The dual weights s with w = sum_i s_i y_i x_i.
    residual : float
        How far the optimality conditions are from holding, relative: see the function that made it.
    """

    w: Array
    dual: Array
    residual: float


def as_array(values: Any, name: str, ndim: int) -> Array:
    """Return an array or a torch tensor as a float64 NumPy array with ``ndim`` axes.

    Raises
    ------
    ValueError
        If the number of axes differs, an axis is empty, or an entry is not finite.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim:
        raise ValueError(f"{name} has shape {array.shape}: {ndim} axes are needed")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: it must not be empty")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has {np.count_nonzero(~np.isfinite(array))} entries that are not finite")
    return array


def as_samples(X: Any) -> Array:
    """Return samples as a float64 array of shape (n, d), none of them zero.

    Raises
    ------
    ValueError
        As `as_array`, and if a sample is zero (the book assumes R_min > 0).
    """
    X = as_array(X, "X", 2)
    zero = np.flatnonzero(~X.any(axis=1))
    if len(zero):
        raise ValueError(f"sample {zero[0]} of X is zero: every x_i must be nonzero")
    return X


def as_data(X: Any, y: Any) -> tuple[Array, Array]:
    """Return samples and labels as float64 arrays of shapes (n, d) and (n,).

    Raises
    ------
    ValueError
        As `as_samples`, and if the labels are not n numbers +1 or -1.
    """
    X, y = as_samples(X), as_array(y, "y", 1)
    if len(y) != len(X):
        raise ValueError(f"y has {len(y)} labels for the {len(X)} samples of X: one label a sample is needed")
    wrong = y[np.abs(y) != 1]
    if len(wrong):
        raise ValueError(f"y contains {wrong[0]:g}: every label must be +1 or -1")
    return X, y


def p_orthogonality(X: Any) -> float:
    """Return the largest p for which the samples are p-orthogonal.

    p(S) = R_min^2 / (R^2 n M) with M = max_{i != j} |<x_i, x_j>| and R = R_max / R_min; it is infinite if
    M = 0 or n = 1 (Definition `def-p-orthogonal` of the book).

    Parameters
    ----------
    X : array, shape (n, d)

    Returns
    -------
    float
        In (0, inf].

    Raises
    ------
    ValueError
        If X is not a matrix of finite numbers with nonzero rows.
    """
    X = as_samples(X)
    return float(p_orthogonality_of_gram((X @ X.T)[None])[0])


def p_orthogonality_of_gram(gram: Array) -> Array:
    """Return `p_orthogonality` of each Gram matrix of a stack.

    Parameters
    ----------
    gram : ndarray, shape (k, n, n)

    Returns
    -------
    ndarray, shape (k,)
    """
    n = gram.shape[-1]
    squares = np.diagonal(gram, axis1=1, axis2=2)
    M = np.abs(np.where(np.eye(n, dtype=bool), 0.0, gram)).max(axis=(1, 2))
    low, high = squares.min(axis=1), squares.max(axis=1)
    with np.errstate(divide="ignore"):
        return low / (high / low * n * M)


def max_margin(X: Any, y: Any) -> LinearClassifier:
    """Return the l2 max-margin classifier: least ||w|| with y_i <w, x_i> >= 1 for every i.

    The problem is a least-distance problem, which Lawson and Hanson (1974) reduce to nonnegative least
    squares: with E the matrix of columns (y_i x_i, 1), the residual of min ||E u - e_{d+1}|| over u >= 0 is
    proportional to (w, -1), and u to the dual weights. `scipy.optimize.nnls` finds the set of active
    constraints; the equations on that set are then solved afresh, so that the answer does not carry the
    cancellation in the residual. Samples are normalised first, which keeps the constraints comparable.

    Parameters
    ----------
    X : array, shape (n, d)
    y : array, shape (n,)

    Returns
    -------
    LinearClassifier
        ``dual`` is nonnegative. ``residual`` is the largest violation of the KKT conditions: of
        y_i <w, x_i> >= 1; of w = sum_i s_i y_i x_i, relative to ||w||; and of
        sum_i s_i (y_i <w, x_i> - 1) = 0, relative to sum_i s_i.

    Raises
    ------
    ValueError
        If the data are not linearly separable through the origin, or so nearly not that double precision
        cannot tell; or if X, y are not data (`as_data`).
    """
    X, y = as_data(X, y)
    norms = np.linalg.norm(X, axis=1)
    h = norms.min() / norms
    # The columns of B have the inner products of the normalised y_i x_i, in at most n dimensions.
    Q, B = np.linalg.qr(((y / norms)[:, None] * X).T)

    u = _least_distance(B, h)
    w, s, residual = _solve_active(B, h, u > 0)
    if not residual <= _ACCEPTED_RESIDUAL:
        distance = np.linalg.norm(B @ u) / u.sum()
        raise ValueError(
            f"the data are not linearly separable: the convex hull of the y_i x_i / ||x_i|| comes within "
            f"{distance:.2g} of the origin, and a max-margin classifier needs it to stay away from it"
        )
    w, dual = Q @ w / norms.min(), s / (norms.min() * norms)
    return LinearClassifier(w, dual, max(residual, _kkt_residual(w, dual, y[:, None] * X)))


def _kkt_residual(w: Array, s: Array, A: Array) -> float:
    """Return the largest violation of the KKT conditions of min ||w|| with A w >= 1, as in `max_margin`."""
    slack = A @ w - 1
    stationarity = np.linalg.norm(w - s @ A) / np.linalg.norm(w)
    return float(max(0.0, -slack.min(), abs(s @ slack) / s.sum(), stationarity))


def _least_distance(B: Array, h: Array) -> Array:
    """Return u >= 0 proportional to the dual solution of min ||w|| with B^T w >= h.

    The right-hand side is scaled by tau until the solution has norm about 1: the last entry of the residual
    is 1 / (1 + tau^2 ||w||^2), which cancellation would spoil where the margin is small.
    """
    target = np.zeros(len(B) + 1)
    target[-1] = 1.0
    tau = 1.0
    while True:
        u, _ = nnls(np.vstack([B, tau * h]), target, maxiter=100 * (len(h) + 10))
        if 1 - tau * (h @ u) > 0.05 or tau < 1e-12:
            return u
        # Where the margin is small, ||B u|| is close to the margin over tau.
        tau *= min(0.1, max(np.linalg.norm(B @ u), 1e-3))


def _solve_active(B: Array, h: Array, active: NDArray[np.bool_]) -> tuple[Array, Array, float]:
    """Solve the equations of the active constraints, mending the active set until the KKT conditions hold.

    Returns
    -------
    w, s : ndarray
        The best met w and nonnegative dual weights with w = B s.
    residual : float
        `_kkt_residual` of them, with the constraints divided by h; infinite if nothing was met.
    """
    best = (np.zeros(len(B)), np.zeros_like(h), np.inf)
    for _ in range(2 * len(h) + 10):
        if not active.any():
            break
        s = np.zeros_like(h)
        w = np.linalg.lstsq(B[:, active].T, h[active], rcond=None)[0]
        s[active] = np.linalg.lstsq(B[:, active], w, rcond=None)[0]
        negative = int(s.argmin())
        if s[negative] < 0:
            active[negative] = False
            continue
        if w.any():
            residual = _kkt_residual(w, s * h, (B / h).T)
            if residual < best[2]:
                best = (w, s, residual)
        margins = (B.T @ w) / h
        worst = int(margins.argmin())
        if margins[worst] >= 1 - 1e-12 or active[worst]:
            break
        active[worst] = True
    return best


def min_norm_interpolator(X: Any, y: Any) -> LinearClassifier:
    """Return the minimum-norm interpolator: least ||w|| with <w, x_i> = y_i for every i.

    w = X^T (X X^T)^+ y, from the singular values of the samples divided by their norms. Where the samples
    are dependent and an interpolator exists all the same, the dual weights are not unique; one choice is
    returned.

    Parameters
    ----------
    X : array, shape (n, d)
    y : array, shape (n,)

    Returns
    -------
    LinearClassifier
        ``dual`` may have either sign. ``residual`` is max_i |<w, x_i> - y_i|.

    Raises
    ------
    ValueError
        If no interpolator exists, or none that double precision can find; or if X, y are not data
        (`as_data`).
    """
    X, y = as_data(X, y)
    norms = np.linalg.norm(X, axis=1)
    U, values, V = np.linalg.svd(X / norms[:, None], full_matrices=False)
    kept = values > np.finfo(float).eps * max(X.shape) * values[0]
    U, values, V = U[:, kept], values[kept], V[kept]

    w, dual = np.zeros(X.shape[1]), np.zeros_like(y)
    for _ in range(3):  # the first pass solves, the others refine
        step = U.T @ ((y - X @ w) / norms) / values
        w = w + step @ V
        dual = dual + y / norms * (U @ (step / values))
    residual = float(np.abs(X @ w - y).max())
    if not residual <= _ACCEPTED_RESIDUAL:
        raise ValueError(
            f"no w satisfies <w, x_i> = y_i for all i: the {len(X)} samples have rank {len(values)} and the "
            f"nearest w found misses a label by {residual:.2g}; linearly independent samples are enough"
        )
    return LinearClassifier(w, dual, residual)


def sharp_gram(n: int, p: float, R: float = 1.0) -> Array:
    """Return the Gram matrix of the family on which the theorems of Problem 2 are sharp.

    With mu = 1 / (p R^2 n): ||x_1|| = R, ||x_j|| = 1, <x_1, x_j> = mu and <x_i, x_j> = -mu for i != j >= 2.
    It is positive definite exactly when (1 - (n-2) mu) R^2 > (n-1) mu^2, and always when p R^2 > 1 - 1/n
    (Proposition `prp-sharp-family`).

    Parameters
    ----------
    n : int
        Number of samples, at least 2.
    p : float
        The family's p_orthogonality, positive and finite.
    R : float
        Ratio of the largest norm to the smallest, at least 1.

    Returns
    -------
    ndarray, shape (n, n)

    Raises
    ------
    ValueError
        If an argument is out of its range, or no data have this Gram matrix with independent samples.
    """
    if n < 2:
        raise ValueError(f"n = {n}: the family needs at least 2 samples")
    if not (0 < p < np.inf):
        raise ValueError(f"p = {p}: it must be positive and finite")
    if not (1 <= R < np.inf):
        raise ValueError(f"R = {R}: the ratio of the norms must be at least 1 and finite")
    mu = 1 / (p * R**2 * n)
    if (1 - (n - 2) * mu) * R**2 <= (n - 1) * mu**2:
        raise ValueError(f"n = {n}, p = {p}, R = {R}: not positive definite; p R^2 > 1 - 1/n is enough")
    gram = np.full((n, n), -mu)
    gram[0, :] = gram[:, 0] = mu
    np.fill_diagonal(gram, 1.0)
    gram[0, 0] = R**2
    return gram


def sharp_family(n: int, p: float, R: float = 1.0) -> tuple[Array, Array]:
    """Return data with the Gram matrix `sharp_gram`: X of shape (n, n), and labels that are all 1.

    Raises
    ------
    ValueError
        As `sharp_gram`.
    """
    return np.linalg.cholesky(sharp_gram(n, p, R)), np.ones(n)


def sharp_weights(n: int, p: float, R: float = 1.0) -> tuple[float, float]:
    """Return the interpolator's dual weights on the sharp family, in closed form: s_1, and s_j for j >= 2.

    With mu = 1/(p R^2 n) and D = 1 - (n-2) mu - (n-1) mu^2 / R^2:
    s_1 = (1 - (2n-3) mu) / (R^2 D) and s_j = (1 - mu / R^2) / D (Proposition `prp-sharp-family`).

    Raises
    ------
    ValueError
        If n < 2, R < 1, or p R^2 <= 1 - 1/n.
    """
    if n < 2 or not R >= 1 or not p * R**2 > 1 - 1 / n:
        raise ValueError(f"n = {n}, p = {p}, R = {R}: n >= 2, R >= 1 and p R^2 > 1 - 1/n are needed")
    mu = 1 / (p * R**2 * n)
    D = 1 - (n - 2) * mu - (n - 1) * mu**2 / R**2
    return (1 - (2 * n - 3) * mu) / (R**2 * D), (1 - mu / R**2) / D


def plane_example() -> tuple[Array, Array]:
    """Return two samples of the plane on which the two classifiers differ (Example `exm-plane`).

    x_1 = (1, 0) and x_2 = (2, 1), both labelled 1: w_MM = (1, 0) and w_MNI = (1, -1).
    """
    return np.array([[1.0, 0.0], [2.0, 1.0]]), np.ones(2)


def gaussian_grams(n: int, d: int, draws: int, rng: np.random.Generator) -> Array:
    """Draw Gram matrices of n samples from N(0, I_d), without drawing the samples.

    X X^T = L L^T with L lower triangular, its entries independent: standard normal below the diagonal, and
    L_ii^2 chi-square with d - i + 1 degrees of freedom (Bartlett's decomposition). Exact in distribution.

    Parameters
    ----------
    n, d : int
        Samples and dimension, 1 <= n <= d.
    draws : int
        Number of matrices.
    rng : numpy Generator

    Returns
    -------
    ndarray, shape (draws, n, n)

    Raises
    ------
    ValueError
        If n is not between 1 and d.
    """
    if not 1 <= n <= d:
        raise ValueError(f"n = {n}, d = {d}: the decomposition needs 1 <= n <= d")
    L = np.tril(rng.standard_normal((draws, n, n)), -1)
    diagonal = np.arange(n)
    L[:, diagonal, diagonal] = np.sqrt(rng.chisquare(d - diagonal, (draws, n)))
    return L @ L.swapaxes(1, 2)
