"""What the homework leaves open, measured: one module a study, each recorded in ``data/results/studies``."""

from collections.abc import Callable
from pathlib import Path

from ..mnist.data import MNIST
from ..mnist.workers import Workers
from . import directions, features, grid, mixture, optimizers, other_data

STUDIES: dict[str, Callable[[Path, Callable[[], MNIST], Workers], None]] = {
    "mixture": mixture.record,
    "grid": grid.record,
    "features": features.record,
    "directions": directions.record,
    "optimizers": optimizers.record,
    "other-data": other_data.record,
}
"""Each is called with the folder, a function that reads MNIST, and the workers; it records what is not there yet."""
