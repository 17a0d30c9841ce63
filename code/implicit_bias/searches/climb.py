"""Random local ascent, by which every search looks for a violation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-9
"""Excess over 1 that float64 rounding can explain in every quotient below."""

Objective = Callable[[NDArray[np.float64]], float]


def climb(objective: Objective, start: NDArray[np.float64], rng: np.random.Generator, rounds: int = 300) -> float:
    """Return the largest value of ``objective`` found by a random local ascent from ``start``.

    A move is kept when it does not lower the value; moves shrink by a tenth after each rejected one and grow
    back after an accepted one.

    Parameters
    ----------
    objective : callable
        From a vector to a number; NaN counts as no value.
    start : ndarray, shape (k,)
    rng : numpy.random.Generator
    rounds : int
        Moves tried.
    """
    point, best, scale = start, objective(start), 1.0
    for _ in range(rounds):
        moved = point + scale * rng.standard_normal(point.size) * (rng.random(point.size) < 0.5)
        value = objective(moved)
        if value >= best or np.isnan(best):
            point, best, scale = moved, value, min(2 * scale, 10.0)
        else:
            scale = max(0.9 * scale, 1e-4)
    return float(best)


def best(
    objective_of: Callable[[], tuple[Objective, int]], rng: np.random.Generator, starts: int, rounds: int
) -> float:
    """Return the largest value found from ``starts`` random instances and random first points."""
    found = 0.0
    for _ in range(starts):
        objective, size = objective_of()
        value = climb(objective, rng.standard_normal(size) * 10 ** rng.uniform(-1, 1), rng, rounds)
        found = max(found, value if np.isfinite(value) else 0.0)
    return found
