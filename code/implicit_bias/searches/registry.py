"""The register of the searches: ``@search(label)`` enters one, ``quotient(label)`` says what it finds."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import cache

Array = NDArray[np.float64]
Generator = np.random.Generator
Instance = tuple[Callable[[Array], float], int]
"""A quotient to be made large, as a function of a vector, and the vector's length."""
Draw = Callable[[Generator], Instance | float]
"""From a random generator to a quotient, or to an instance."""

ROUNDING = 1e-9
"""Excess over 1 that float64 rounding can explain in every quotient."""


def climb(instance: Instance, rng: Generator, rounds: int) -> float:
    """Return the largest value of an objective that a local ascent of ``rounds`` moves finds, from a random point.

    A move changes about half of the coordinates and is kept when it does not lower the value; NaN counts as no value.
    Moves shrink by a tenth after each rejected one and double after an accepted one.

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


@dataclass(frozen=True)
class Search:
    """A search for a violation of one theorem: ``draw`` is called ``starts`` times, and each instance is climbed.

    The ascent makes ``rounds`` moves.
    """

    draw: Draw
    starts: int
    rounds: int

    def largest(self, rng: Generator) -> float:
        """Return the largest finite quotient found, 0 if there is none."""
        found = 0.0
        for _ in range(self.starts):
            drawn = self.draw(rng)
            value = climb(drawn, rng, self.rounds) if isinstance(drawn, tuple) else float(drawn)
            found = max(found, value if math.isfinite(value) else 0.0)
        return found


SEARCHES: dict[str, Search] = {}
"""Every search under its theorem's label in the book; the second search for one theorem has a suffix after a colon."""


def search(label: str, starts: int = 1, rounds: int = 0) -> Callable[[Draw], Draw]:
    """Enter a function into `SEARCHES` as the search for violations of the theorem ``label``; see `Search`."""
    if label in SEARCHES:
        raise ValueError(f"label = {label}: this search is there already; give the second one a suffix, '{label}:…'")

    def enter(draw: Draw) -> Draw:
        SEARCHES[label] = Search(draw, starts, rounds)
        return draw

    return enter


def quotient(label: str) -> float:
    """Return the largest quotient that a search finds, with a fixed seed; it runs once and is kept (`cache`).

    `ValueError` if there is no such search.

    >>> 0.99 < quotient("thm-loss") <= 1 + ROUNDING
    True
    """
    if label not in SEARCHES:
        raise ValueError(f"label = {label}: no such search; there are {', '.join(SEARCHES)}")
    return cache.kept(label, lambda: SEARCHES[label].largest(np.random.default_rng(1)))
