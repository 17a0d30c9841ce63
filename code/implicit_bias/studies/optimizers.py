r"""Study 5: mini-batches and momentum, stopped where gradient descent has arrived, and after 20 epochs.

Optimizers are compared at equal :math:`\tau=\alpha t/(1-\beta)`, the step sizes added up, where :math:`\beta` is the
momentum: 20 epochs of mini-batches of 100, at :math:`\alpha=0.5`, are :math:`\tau=1000`; so are 200 full batches with
momentum 0.9, in place of its 20 epochs, which would be 20 steps. Gradient descent at T has :math:`\tau=210`.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from ..checks import Array
from ..mnist import plain, trainer
from ..mnist.configuration import EXPERIMENT, GRID_IMAGES, Member
from ..mnist.data import MD5, MNIST, PIXELS
from ..mnist.experiment import STUDIES
from ..mnist.recording import Recording, RecordingError, load, save
from ..rank import learned_plus_noise
from .grid import first_images
from .inner_products import rounded

SEEDS = (0, 1, 2)
EARLY, EQUAL, LATE = "early", "equal error", "late"
PREFIX = 10
"""The step of the early point, for the tests."""


@dataclass(frozen=True)
class Optimizer:
    """Images a step, momentum, step size and seeds (of the initial weights and of the order of the images)."""

    batch: int
    momentum: float
    alpha: float
    seeds: tuple[int, ...] = SEEDS

    def steps(self, tau: float) -> int:
        """Return the number of steps whose sizes add up to ``tau``."""
        return round(tau * (1 - self.momentum) / self.alpha)


OPTIMIZERS = {
    "gradient descent": Optimizer(GRID_IMAGES, 0.0, EXPERIMENT.alpha),
    "mini-batches": Optimizer(100, 0.0, EXPERIMENT.alpha),
    "momentum": Optimizer(GRID_IMAGES, 0.9, EXPERIMENT.alpha),
    "smaller steps": Optimizer(GRID_IMAGES, 0.9, EXPERIMENT.alpha / 10, seeds=(0,)),
}
"""The first is the reference. The last, momentum with a step size times 1 - 0.9, says whether that choice matters; it
is stopped at equal error only."""

END, CHECK = 1000.0, 5.0
"""The ``τ`` of the late point, and of the time between two looks at the training error."""

EXPECTED = {"learned": 0.2, "ratio": 0.2, "prediction": 0.2, "choice": 0.1}
"""Written down before any run. At equal error: the learned part's two norms at the smallest scale differ from gradient
descent's by less than ``learned``, the relative stable rank at every scale by less than ``ratio``; `prediction`, from
what the optimizer itself learned at its smallest scale, misses no median at sigma <= 0.2 by more than ``prediction``,
then and late; the step size of momentum changes no relative stable rank by more than ``choice``. Late, the learned part
has grown, so the ratio at sigma <= 0.02 is larger at the smallest scale, where further directions were learned, and
smaller at 0.02, where the floor fell; sigma = 0.2 keeps its stable rank throughout."""
