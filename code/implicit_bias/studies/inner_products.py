r"""Gradient descent on a two-layer network with two classes, from inner products alone.

As :math:`W^{(t)} = W^{(0)} + C^\top X`, the inner products of the samples, ``K = X Xᵀ``, of samples and first weights,
``H = X W⁽⁰⁾ᵀ``, and of the latter, ``G = W⁽⁰⁾ W⁽⁰⁾ᵀ``, say all; the dimension of the samples does not matter.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from ..checks import Array
from ..orthogonality import p_orthogonality_of_gram

DIGITS = 5


def rounded(value: float | None) -> float | None:
    """Return a number to `DIGITS` significant digits."""
    return None if value is None else float(f"{value:.{DIGITS}g}")


def data_of(K: Array) -> dict[str, Any]:
    """Return ``R_min``, ``R_max`` and ``p`` of the samples with the inner products ``K``."""
    norms, p = np.sqrt(np.diagonal(K)), p_orthogonality_of_gram(K[None])[0]
    return {"R_min": rounded(norms.min()), "R_max": rounded(norms.max()), "p": rounded(p)}


def square_root(K: Array) -> Array:
    """Return a matrix ``B`` with ``K = B Bᵀ``, for a ``K`` that may be singular."""
    values, vectors = np.linalg.eigh(K)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def theta(row: dict[str, Any]) -> float:
    """Return ``n M/R_min² = R_min²/(p R_max²)``; the whole-trajectory theorem needs it below 1."""
    return float(row["R_min"] ** 2 / (row["p"] * row["R_max"] ** 2))


def descend(
    grams: tuple[Array, Array, Array],
    y: Array,
    a: Array,
    gamma: float,
    alpha: float,
    steps: Sequence[int],
    train_second: bool = False,
) -> dict[str, list[Any]]:
    """Run gradient descent on the logistic loss from ``K, H, G`` and return what is measured after each of the steps.

    The stable ranks ``rank`` of ``W⁽ᵗ⁾`` and ``rank_of_change`` of ``W⁽ᵗ⁾ - W⁽⁰⁾``; ``start``, the quotient
    ``‖W⁽⁰⁾‖_F/‖W⁽ᵗ⁾ - W⁽⁰⁾‖₂`` (the last two are None at 0); ``error``, the fraction of wrong signs; ``margin``, the
    smallest ``yᵢ f(xᵢ)``. The second layer starts at ``a`` and, with ``train_second``, moves too.
    """
    K, H, G = grams
    n, root, C, rows = len(K), square_root(K), np.zeros_like(H), []
    for t in range(max(steps) + 1):
        pre = H + K @ C
        slopes = np.where(pre > 0, 1.0, gamma)
        z = y * ((pre * slopes) @ a)
        if t in steps:
            change = np.linalg.svd(root.T @ C, compute_uv=False)
            cross = H.T @ C
            squares = np.linalg.eigvalsh(G + cross + cross.T + C.T @ K @ C)
            moved = (change @ change / change[0] ** 2, np.sqrt(np.trace(G)) / change[0]) if t else (None, None)
            rows.append((squares.sum() / squares[-1], *moved, (z <= 0).mean(), z.min()))
        rate = alpha / n * expit(-z) * y
        C += rate[:, None] * slopes * a
        if train_second:
            a = a + rate @ (pre * slopes)
    names = ("rank", "rank_of_change", "start", "error", "margin")
    return {name: list(map(rounded, column)) for name, column in zip(names, zip(*rows))}
