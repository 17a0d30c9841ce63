"""The leaky ReLU ``φ(t) = max(t, γt)``, γ in (0, 1], and its derivative, entry by entry.

The derivative ``φ'(0)`` is a parameter, ``at_zero``, which may be any number in [γ, 1]: every theorem of the book
holds for each choice.
"""

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .checks import Array


def check_slopes(gamma: float, at_zero: float = 1.0) -> None:
    """Raise ``ValueError`` unless ``gamma`` is in (0, 1] and ``at_zero`` in [γ, 1].

    >>> check_slopes(0.5, at_zero=0.2)
    Traceback (most recent call last):
    ValueError: at_zero = 0.2: a number in [0.5, 1] is needed
    """
    checks.within("(0, 1]", gamma=gamma)
    checks.within(f"[{float(gamma)}, 1]", at_zero=at_zero)


def leaky_relu(t: ArrayLike, gamma: float) -> Array:
    """Return ``φ(t) = max(t, γt)``, of the shape of ``t``.

    >>> leaky_relu([-2.0, 3.0], 0.5).tolist()
    [-1.0, 3.0]
    """
    check_slopes(gamma)
    t = checks.array("t", t, "...")
    return np.maximum(t, gamma * t)


def leaky_relu_derivative(t: ArrayLike, gamma: float, at_zero: float = 1.0) -> Array:
    """Return ``φ'(t)``: 1 where ``t > 0``, γ where ``t < 0``, and ``at_zero`` where ``t = 0``.

    >>> leaky_relu_derivative([-1.0, 0.0, 2.0], 0.2, at_zero=0.7).tolist()
    [0.2, 0.7, 1.0]
    """
    check_slopes(gamma, at_zero)
    t = checks.array("t", t, "...")
    return np.where(t > 0, 1.0, np.where(t < 0, gamma, at_zero))
