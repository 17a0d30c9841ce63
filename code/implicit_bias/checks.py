"""The checks of arguments: each raises a ``ValueError`` that names the argument, its value and what is needed.

The types of arrays that several modules share stand here too: n samples ``X`` of dimension d, m neurons.
"""

import math
import numbers
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Samples = Float64[np.ndarray, "n d"]
PerSample = Float64[np.ndarray, "n"]
Weights = Float64[np.ndarray, "m d"]
OutputWeights = Float64[np.ndarray, "m"]
Number = float | int  # some checkers of types take no int for a float


def within(interval: str, **values: Number) -> None:
    """Raise ``ValueError`` unless every value is a finite number in the interval, such as ``"[1, inf)"``.

    >>> within("(0, 1]", gamma=1.5)
    Traceback (most recent call last):
    ValueError: gamma = 1.5: a number in (0, 1] is needed
    """
    for name, value in values.items():
        if not (isinstance(value, numbers.Real) and math.isfinite(value) and _inside(interval, value)):
            raise ValueError(f"{name} = {value}: a number in {interval} is needed")


def _inside(interval: str, value: Number) -> bool:
    low, high = (float(end) for end in interval[1:-1].split(","))
    return bool(low < value < high or (value == low and interval[0] == "[") or (value == high and interval[-1] == "]"))


def whole(least: int, **values: Number) -> None:
    """Raise ``ValueError`` unless every value is a whole number of at least ``least``.

    >>> whole(1, n=0)
    Traceback (most recent call last):
    ValueError: n = 0: a whole number of at least 1 is needed
    """
    for name, value in values.items():
        if not (isinstance(value, numbers.Real) and math.isfinite(value) and value == int(value) and value >= least):
            raise ValueError(f"{name} = {value}: a whole number of at least {least} is needed")


def distinct(name: str, values: Sequence[Number]) -> None:
    """Raise ``ValueError`` if there are no values or one comes twice.

    >>> distinct("seeds", (0, 1, 1))
    Traceback (most recent call last):
    ValueError: seeds: 1 is given twice
    """
    if not values:
        raise ValueError(f"{name}: at least one is needed")
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"{name}: {value} is given twice")


def arrays(**given: tuple[ArrayLike, str]) -> tuple[Array, ...]:
    """Return arrays, nested lists or torch tensors as finite float64 arrays of the shapes asked for.

    Each argument is given by its value, real and not empty, and its shape: one word an axis, such as ``"n d"`` or
    ``"m d+1"``. A letter stands for the same size wherever it occurs; ``"..."`` is any shape.

    >>> X, y = arrays(X=([[1, 2], [3, 4]], "n d"), y=([1, -1], "n"))
    >>> arrays(X=(X, "n d"), w=([1, 2, 3], "d"))
    Traceback (most recent call last):
    ValueError: w has shape (3,): (d,) is needed, with d = 2 as in X
    """
    sizes: dict[str, tuple[int, str]] = {}
    return tuple(_shaped(name, _real(name, value), shape, sizes) for name, (value, shape) in given.items())


def array(name: str, value: ArrayLike, shape: str) -> Array:
    """Return one array, checked as by `arrays`.

    >>> array("W", [1.0, 2.0], "m d")
    Traceback (most recent call last):
    ValueError: W has shape (2,): (m, d) is needed
    """
    return arrays(**{name: (value, shape)})[0]


def _real(name: str, value: ArrayLike) -> Array:
    """Return a value as a finite float64 array; what is complex, text or ragged is refused, not converted."""
    try:
        if hasattr(value, "detach"):
            tensor = value.detach().cpu()
            value = tensor.double() if tensor.is_floating_point() else tensor
        given = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} is no array of numbers: {error}") from None
    if given.size and given.dtype.kind not in "biuf":
        raise ValueError(f"{name} has entries of type {given.dtype}: real numbers are needed")
    result = given.astype(np.float64, copy=False)
    if not np.isfinite(result).all():
        raise ValueError(f"{name} has {np.count_nonzero(~np.isfinite(result))} entries that are not finite")
    return result


def _shaped(name: str, value: Array, shape: str, sizes: dict[str, tuple[int, str]]) -> Array:
    """Return the value if its shape fits; ``sizes`` holds each letter's size and the argument that set it."""
    if shape == "...":
        return value
    axes = shape.split()
    problem = f"{name} has shape {value.shape}: ({', '.join(axes)}{',' * (len(axes) == 1)}) is needed"
    if value.ndim != len(axes):
        raise ValueError(problem)
    if value.size == 0:
        raise ValueError(f"{problem}, and not empty")
    for axis, size in zip(axes, value.shape):
        letter, _, more = axis.partition("+")
        needed, source = sizes.setdefault(letter, (size - int(more or 0), name))
        if size != needed + int(more or 0):
            raise ValueError(f"{problem}, with {letter} = {needed} as in {source}")
    return value


def numbers_within(interval: str, name: str, value: ArrayLike, shape: str = "...") -> Array:
    """Return an array, checked as by `arrays`, every entry of which is in the interval.

    >>> numbers_within("[0, inf)", "x", [1.0, -2.0])
    Traceback (most recent call last):
    ValueError: x has the entry -2.0: numbers in [0, inf) are needed
    """
    entries = array(name, value, shape)
    for extreme in (entries.min(), entries.max()) if entries.size else ():
        if not _inside(interval, extreme):
            raise ValueError(f"{name} has the entry {extreme}: numbers in {interval} are needed")
    return entries


def signs(name: str, values: Array) -> Array:
    """Return the values if each is +1 or -1.

    >>> signs("y", np.array([1.0, 0.0]))
    Traceback (most recent call last):
    ValueError: y has the entry 0: each must be +1 or -1
    """
    wrong = values[np.abs(values) != 1]
    if len(wrong):
        raise ValueError(f"{name} has the entry {wrong[0]:g}: each must be +1 or -1")
    return values
