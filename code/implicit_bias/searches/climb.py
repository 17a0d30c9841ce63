"""Random local ascent, by which a search looks for a violation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Generator = np.random.Generator
Instance = tuple[Callable[[Array], float], int]
"""A quotient to be made large, as a function of a vector, and the vector's length."""


def climb(instance: Instance, rng: Generator, rounds: int) -> float:
    """Return the largest value of an objective that a random local ascent finds, from a random first point.

    A move changes about half of the coordinates and is kept when it does not lower the value. Moves shrink by a tenth
    after each rejected one and double after an accepted one.

    Parameters
    ----------
    instance : (callable, int)
        The objective, from a vector to a number, and the vector's length; NaN counts as no value.
    rng : numpy.random.Generator
    rounds : int
        Moves tried.

    >>> round(climb((lambda p: 1 - abs(p[0]), 1), np.random.default_rng(0), rounds=100), 2)
    1.0
    """
    objective, size = instance
    point = rng.standard_normal(size) * 10 ** rng.uniform(-1, 1)
    highest, scale = objective(point), 1.0
    for _ in range(rounds):
        moved = point + scale * rng.standard_normal(size) * (rng.random(size) < 0.5)
        value = objective(moved)
        if value >= highest or np.isnan(highest):
            point, highest, scale = moved, value, min(2 * scale, 10.0)
        else:
            scale = max(0.9 * scale, 1e-4)
    return float(highest)
