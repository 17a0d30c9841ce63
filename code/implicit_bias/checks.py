"""The checks of arguments: each raises a ``ValueError`` that names the argument, its value and what is needed."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence


def within(interval: str, **values: float) -> None:
    """Raise ``ValueError`` unless every value is a finite number in the interval.

    Parameters
    ----------
    interval : str
        In mathematical notation, such as ``"(0, 1]"`` or ``"[1, inf)"``.
    **values : float
        The numbers, under their arguments' names.

    Examples
    --------
    >>> within("(0, 1]", gamma=1.5)
    Traceback (most recent call last):
    ValueError: gamma = 1.5: a number in (0, 1] is needed
    """
    low, high = (float(end) for end in interval[1:-1].split(","))
    for name, value in values.items():
        inside = isinstance(value, numbers.Real) and math.isfinite(value) and low <= value <= high
        if not inside or (value == low and interval[0] == "(") or (value == high and interval[-1] == ")"):
            raise ValueError(f"{name} = {value}: a number in {interval} is needed")


def whole(least: int, **values: float) -> None:
    """Raise ``ValueError`` unless every value is a whole number of at least ``least``.

    Examples
    --------
    >>> whole(1, n=0)
    Traceback (most recent call last):
    ValueError: n = 0: a whole number of at least 1 is needed
    """
    for name, value in values.items():
        if not (isinstance(value, numbers.Real) and math.isfinite(value) and value == int(value) and value >= least):
            raise ValueError(f"{name} = {value}: a whole number of at least {least} is needed")


def distinct(name: str, values: Sequence[float]) -> None:
    """Raise ``ValueError`` if there are no values or one comes twice.

    Examples
    --------
    >>> distinct("seeds", (0, 1, 1))
    Traceback (most recent call last):
    ValueError: seeds: 1 is given twice
    """
    if len(values) == 0:
        raise ValueError(f"{name}: at least one is needed")
    seen: set[float] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{name}: {value} is given twice")
        seen.add(value)
