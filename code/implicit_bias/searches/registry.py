"""The register of the searches: ``@search(label)`` enters one, ``quotient(label)`` says what it finds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from . import cache
from .climb import Generator, Instance, climb

ROUNDING = 1e-9
"""Excess over 1 that float64 rounding can explain in every quotient."""

SEED = 1
"""Seed of every search."""


@dataclass(frozen=True)
class Search:
    """A search for a violation of one theorem.

    Attributes
    ----------
    label : str
        The theorem's label in the book; the second search for one theorem has a suffix after a colon.
    draw : callable
        From a random generator to a quotient, or to an instance whose quotient is to be made large.
    starts, rounds : int
        How often ``draw`` is called, and the moves of the ascent in each instance.
    """

    label: str
    draw: Callable[[Generator], Instance | float]
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
"""Every search under its label."""

Draw = TypeVar("Draw", bound=Callable[[Generator], Instance | float])


def search(label: str, starts: int = 1, rounds: int = 0) -> Callable[[Draw], Draw]:
    """Enter a function into `SEARCHES` as the search for violations of the theorem ``label``; see `Search`."""
    if label in SEARCHES:
        raise ValueError(f"label = {label}: this search is there already; give the second one a suffix, '{label}:…'")

    def enter(draw: Draw) -> Draw:
        SEARCHES[label] = Search(label, draw, starts, rounds)
        return draw

    return enter


def quotient(label: str) -> float:
    """Return the largest quotient that a search finds, with the fixed seed; it runs once and is kept (`cache`).

    Raises
    ------
    ValueError
        If there is no such search.

    >>> 0.99 < quotient("thm-loss") <= 1 + ROUNDING
    True
    """
    if label not in SEARCHES:
        raise ValueError(f"label = {label}: no such search; there are {', '.join(SEARCHES)}")
    return cache.kept(label, lambda: SEARCHES[label].largest(np.random.default_rng(SEED)))
