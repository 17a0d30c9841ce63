"""The type checker that `--jaxtyping-packages` of pyproject.toml names: the shapes of arrays are checked in the tests.

Only annotations that are shapes are: what a wrong number or a wrong shape from outside raises is tested by itself.
"""

from collections.abc import Callable
from typing import Any

from beartype import beartype


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    hints = function.__annotations__
    function.__annotations__ = {name: hint for name, hint in hints.items() if "jaxtyping." in repr(hint)}
    return beartype(function)
