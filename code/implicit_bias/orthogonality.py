"""How nearly orthogonal samples are, and data of which it is known (Problem 2).

Samples ``X`` have shape (n, d), and none is zero: NumPy arrays, lists or torch tensors. The family on which the
theorems of Problem 2 are sharp has n ≥ 2 samples, p-orthogonality ``p`` in (0, ∞) and largest norm ``R ≥ 1``, the other
norms being 1 (`prp-sharp-family`). A ``ValueError`` names what is not so.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from . import checks
from .checks import PerSample, Samples

Gram = Float64[np.ndarray, "n n"]
Stack = Float64[np.ndarray, "k n n"]
PerMatrix = Float64[np.ndarray, "k"]


def as_samples(X: ArrayLike) -> Samples:
    """Return samples as a float64 array of shape (n, d); a zero sample is refused (the book assumes R_min > 0).

    >>> as_samples([[1, 2], [0, 0]])
    Traceback (most recent call last):
    ValueError: sample 1 of X is zero: every x_i must be nonzero
    """
    X = checks.array("X", X, "n d")
    zero = np.flatnonzero(~X.any(axis=1))
    if len(zero):
        raise ValueError(f"sample {zero[0]} of X is zero: every x_i must be nonzero")
    return X


def scaled(X: Samples) -> Samples:
    """Return the samples times the power of two that brings the largest entry into [1/2, 1).

    >>> scaled(np.array([[3.0, 8.0]])).tolist()
    [[0.1875, 0.5]]
    """
    return np.asarray(np.ldexp(X, -np.frexp(np.abs(X).max())[1]))


@dataclass(frozen=True)
class GramExtremes:
    """The extreme ``‖x_i‖²``, and ``M``, the largest ``|⟨x_i, x_j⟩|``, ``i ≠ j``, with a pair that attains it."""

    n: int
    R_min_squared: float
    R_max_squared: float
    M: float
    i: int
    j: int

    @property
    def p(self) -> float:
        """The largest p for which the samples are p-orthogonal, ``R_min⁴/(R_max² n M)``; infinite if ``M = 0``."""
        low, high = self.R_min_squared, self.R_max_squared
        return low / (high / low * self.n * self.M) if self.M else math.inf

    @property
    def defect(self) -> float:
        """``θ(S) = n M/R_min²``."""
        return self.n * self.M / self.R_min_squared


def gram_extremes(
    X: ArrayLike, rows: int = 2000, progress: Callable[[range], Iterable[int]] | None = None
) -> GramExtremes:
    """Return the extreme entries of ``X Xᵀ``, which is formed ``rows`` rows at a time; ``progress`` wraps their range.

    Sums of products of integers are exact, as long as they stay below 2⁵³. Norms whose square overflows or underflows
    are refused; `scaled` avoids that.

    >>> gram_extremes([[2, 0], [0, 1], [-1, 1]])
    GramExtremes(n=3, R_min_squared=1.0, R_max_squared=4.0, M=2.0, i=0, j=2)
    """
    X = as_samples(X)
    checks.whole(1, rows=rows)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", X, X)
        low, high = float(squares.min()), float(squares.max())
        if not (low > 1e-290 and high < 1e290):
            raise ValueError(f"samples of X have squared norms from {low:g} to {high:g}: too extreme")
        largest, pair = 0.0, (0, 0)
        blocks = range(0, len(X), int(rows))
        for start in blocks if progress is None else progress(blocks):
            block = X[start : start + rows] @ X[start:].T
            np.abs(block, out=block)
            np.fill_diagonal(block, 0.0)
            if (most := float(block.max())) > largest:
                i, j = np.unravel_index(block.argmax(), block.shape)
                largest, pair = most, (start + int(i), start + int(j))
    return GramExtremes(len(X), low, high, largest, *pair)


def p_orthogonality(X: ArrayLike) -> float:
    """Return the largest p for which the samples are p-orthogonal.

    ``p(S) = R_min²/(R² n M)`` with ``M = max_{i ≠ j} |⟨x_i, x_j⟩|`` and ``R = R_max/R_min``; infinite if ``M = 0``
    or ``n = 1`` (`def-p-orthogonal`). Norms that differ by a factor of more than 1e140 are refused.

    >>> p_orthogonality([[2.0, 0.0], [0.0, 1.0], [-1.0, 1.0]])
    0.041666666666666664
    """
    return gram_extremes(scaled(as_samples(X))).p


def p_orthogonality_of_gram(gram: Stack) -> PerMatrix:
    """Return `p_orthogonality` for each Gram matrix of a stack.

    >>> p_orthogonality_of_gram(np.array([[[4.0, 1.0], [1.0, 1.0]]])).tolist()
    [0.125]
    """
    gram = checks.array("gram", gram, "k n n")
    n = gram.shape[-1]
    squares = np.diagonal(gram, axis1=1, axis2=2)
    M = np.abs(np.where(np.eye(n, dtype=bool), 0.0, gram)).max(axis=(1, 2))
    low, high = squares.min(axis=1), squares.max(axis=1)
    if low.min() <= 0:
        raise ValueError(f"gram has {low.min()} on a diagonal: positive numbers are needed")
    with np.errstate(divide="ignore"):
        return np.asarray(low / (high / low * n * M))


def _sharp_product(n: int, p: float, R: float) -> float:
    """Return the sharp family's ``μ = 1/(pR²n)``, for arguments in their ranges."""
    checks.whole(2, n=n)
    checks.within("(0, inf)", p=p)
    checks.within("[1, inf)", R=R)
    return 1 / (p * R**2 * n)


def sharp_gram(n: int, p: float, R: float = 1.0) -> Gram:
    """Return the Gram matrix of the sharp family.

    With ``μ = 1/(pR²n)``: ``‖x_1‖ = R``, ``‖x_j‖ = 1``, ``⟨x_1, x_j⟩ = μ`` and ``⟨x_i, x_j⟩ = -μ`` for i ≠ j ≥ 2. It is
    needed that ``(1 - (n-2)μ)R² > (n-1)μ²``, for which ``pR² > 1 - 1/n`` is enough (`prp-sharp-family`).

    >>> sharp_gram(2, p=1.0, R=2.0).tolist()
    [[4.0, 0.125], [0.125, 1.0]]
    """
    mu = _sharp_product(n, p, R)
    if (1 - (n - 2) * mu) * R**2 <= (n - 1) * mu**2:
        raise ValueError(f"n = {n}, p = {p}, R = {R}: not positive definite; p R^2 > 1 - 1/n is enough")
    gram = np.full((n, n), -mu)
    gram[0, :] = gram[:, 0] = mu
    np.fill_diagonal(gram, 1.0)
    gram[0, 0] = R**2
    return gram


def sharp_family(n: int, p: float, R: float = 1.0) -> tuple[Samples, PerSample]:
    """Return n samples of dimension n with the Gram matrix `sharp_gram`, and labels that are all 1.

    >>> X, y = sharp_family(4, p=1.0)
    >>> round(p_orthogonality(X), 12), y.tolist()
    (1.0, [1.0, 1.0, 1.0, 1.0])
    """
    return np.asarray(np.linalg.cholesky(sharp_gram(n, p, R)), dtype=np.float64), np.ones(n)


def sharp_weights(n: int, p: float, R: float = 1.0) -> tuple[float, float]:
    """Return the interpolator's dual weights on the sharp family, in closed form: ``s_1``, and ``s_j`` for j ≥ 2.

    With ``μ = 1/(pR²n)`` and ``D = 1 - (n-2)μ - (n-1)μ²/R²`` they are ``s_1 = (1 - (2n-3)μ)/(R²D)`` and
    ``s_j = (1 - μ/R²)/D``, for ``pR² > 1 - 1/n`` (`prp-sharp-family`).

    >>> sharp_weights(2, p=1.0)
    (0.6666666666666666, 0.6666666666666666)
    """
    mu = _sharp_product(n, p, R)
    if not p * R**2 > 1 - 1 / n:
        raise ValueError(f"n = {n}, p = {p}, R = {R}: p R^2 > 1 - 1/n is needed")
    D = 1 - (n - 2) * mu - (n - 1) * mu**2 / R**2
    return (1 - (2 * n - 3) * mu) / (R**2 * D), (1 - mu / R**2) / D


def plane_example() -> tuple[Samples, PerSample]:
    """Return two samples, both labelled 1, with ``w_MM = (1, 0)`` and ``w_MNI = (1, -1)`` (`thm-plane`).

    >>> plane_example()[0].tolist()
    [[1.0, 0.0], [2.0, 1.0]]
    """
    return np.array([[1.0, 0.0], [2.0, 1.0]]), np.ones(2)


def gaussian_grams(n: int, d: int, draws: int, rng: np.random.Generator) -> Stack:
    """Draw Gram matrices of n ≤ d samples from N(0, I_d), without drawing the samples; exact in distribution.

    ``X Xᵀ = L Lᵀ`` with L lower triangular, its entries independent: standard normal below the diagonal, and
    ``L_ii²`` chi-square with ``d - i + 1`` degrees of freedom (Bartlett's decomposition).

    >>> gaussian_grams(2, d=3, draws=5, rng=np.random.default_rng(0)).shape
    (5, 2, 2)
    """
    checks.whole(1, n=n, d=d, draws=draws)
    if n > d:
        raise ValueError(f"n = {n}, d = {d}: the decomposition needs n <= d")
    L = np.tril(rng.standard_normal((draws, n, n)), -1)
    diagonal = np.arange(n)
    L[:, diagonal, diagonal] = np.sqrt(rng.chisquare(d - diagonal, (draws, n)))
    return L @ L.swapaxes(1, 2)
