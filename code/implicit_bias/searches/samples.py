"""Data on which the bounds of Problem 1 are tried: random separable samples, and the lower bound's single one."""

from __future__ import annotations

import math

import numpy as np

from .registry import Array, Generator


def separable_data(n: int, d: int, rng: Generator, margin: float = 0.1) -> tuple[Array, Array, Array]:
    """Return ``X`` of shape (n, d) in the unit ball, labels ``y`` and a ``v`` with ``min_i y_i ⟨v, x_i⟩ = 1``.

    Every sample is at least ``margin``, in (0, 1], from the plane orthogonal to ``v`` before all are scaled into the
    ball.

    >>> X, y, v = separable_data(5, 3, np.random.default_rng(0))
    >>> round(float((y * (X @ v)).min()), 12)
    1.0
    """
    u = rng.standard_normal(d)
    u /= np.linalg.norm(u)
    y = rng.choice([-1.0, 1.0], n)
    X = rng.standard_normal((n, d))
    X *= (rng.random((n, 1)) ** 0.25) / np.linalg.norm(X, axis=1, keepdims=True)
    along = np.clip(np.abs(X @ u), margin, 1.0)
    across = X - np.outer(X @ u, u)
    room = np.sqrt(1 - along**2) / np.maximum(np.linalg.norm(across, axis=1), 1e-300)
    X = (y * along)[:, None] * u + np.minimum(room, 1.0)[:, None] * across
    X /= max(1.0, np.linalg.norm(X, axis=1).max())
    return X, y, u / (y * (X @ u)).min()


def one_sample_hitting_time(eps: float, alpha: float, c: float = 1.0, z1: float | None = None) -> int:
    """Return the first ``t`` with ``Ĝ(W^{(t)}) ≤ ε`` on the data of `prp-lower-bound`, from ``W^{(0)} = 0``.

    There ``Ĝ = g(z_t)``, and the margin follows ``z_{t+1} = z_t + αc² g(z_t)`` from ``z_1 = αcφ'(0)x_1/2``, which is
    in ``[αc²/2, αc/2]``; by default the smallest, that of ``φ'(0) = γ``.

    >>> one_sample_hitting_time(eps=0.1, alpha=1.0)
    10
    """
    if eps >= 0.5:
        return 0
    z, t = alpha * c**2 / 2 if z1 is None else z1, 1
    while (slope := 1 / (1 + math.exp(z))) > eps:
        z, t = z + alpha * c**2 * slope, t + 1
    return t
