r"""Study 5: mini-batches and momentum, stopped where gradient descent has arrived, and after 20 epochs.

Optimizers are compared at equal :math:`\tau=\alpha t/(1-\beta)`, the step sizes added up, where :math:`\beta` is the
momentum: 20 epochs of mini-batches of 100, at :math:`\alpha=0.5`, are :math:`\tau=1000`; so are 200 full batches with
momentum 0.9, in place of its 20 epochs, which would be 20 steps. Gradient descent at T has :math:`\tau=210`.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from ..checks import Array
from ..mnist import plain, trainer
from ..mnist.configuration import EXPERIMENT, GRID_IMAGES, Member
from ..mnist.data import MNIST, PIXELS
from ..mnist.experiment import STUDIES
from ..mnist.recording import Recording, RecordingError, load, save
from ..rank import learned_plus_noise
from .grid import KEPT, first_images, provenance
from .inner_products import rounded

SEEDS = (0, 1, 2)
"""Of the initial weights, and of the order of the images."""
START, EARLY, EQUAL, LATE = "start", "early", "equal error", "late"
"""The points of a run at which it is measured."""
PREFIX = 10
"""The step of the early point, which the tests run again."""


@dataclass(frozen=True)
class Optimizer:
    """Images a step, momentum, step size and scales."""

    batch: int
    momentum: float
    alpha: float
    sigmas: tuple[float, ...] = EXPERIMENT.sigmas

    def steps(self, tau: float) -> int:
        """Return the number of steps whose sizes add up to ``tau``."""
        return round(tau * (1 - self.momentum) / self.alpha)


REFERENCE, BATCHES, MOMENTUM, SMALLER = "gradient descent", "mini-batches", "momentum", "smaller steps"
OPTIMIZERS = {
    REFERENCE: Optimizer(GRID_IMAGES, 0.0, EXPERIMENT.alpha),
    BATCHES: Optimizer(100, 0.0, EXPERIMENT.alpha),
    MOMENTUM: Optimizer(GRID_IMAGES, 0.9, EXPERIMENT.alpha),
    SMALLER: Optimizer(GRID_IMAGES, 0.9, EXPERIMENT.alpha / 10, EXPERIMENT.sigmas[::2]),
}
"""The last, momentum with the step size times 1 - 0.9, says whether that choice matters."""

END, CHECK = 1000.0, 10.0
"""The ``τ`` of the late point, and of the time between two looks at the training error."""

EXPECTED = {"learned": 0.2, "ratio": 0.2, "prediction": 0.2, "choice": 0.1}
"""Written down before any run. At equal error: the learned part's two norms at the smallest scale differ from gradient
descent's by less than ``learned``, the relative stable rank at every scale by less than ``ratio``; `prediction`, from
what the optimizer itself learned at its smallest scale, misses no median at sigma <= 0.2 by more than ``prediction``,
then and late; the step size of momentum changes no relative stable rank by more than ``choice``. Late, the learned part
has grown, so the ratio at sigma <= 0.02 is larger at the smallest scale, where further directions were learned, and
smaller at 0.02, where the floor fell; sigma = 0.2 keeps its stable rank throughout."""


def description() -> dict[str, Any]:
    """Return what determines the recording, besides the data."""
    optimizers = {name: asdict(optimizer) for name, optimizer in OPTIMIZERS.items()}
    sizes = {"seeds": SEEDS, "gamma": EXPERIMENT.gamma, "width": EXPERIMENT.width}
    times = {"steps": EXPERIMENT.steps, "end": END, "check": CHECK, "prefix": PREFIX}
    return sizes | times | {"optimizers": optimizers, "dtype": "float32"}


def reference(data: MNIST, sigma: float, seed: int, steps: int = EXPERIMENT.steps) -> dict[str, Any]:
    """Train by gradient descent, with `mnist.trainer`, and return the row; its point of equal error is its end."""
    members, gamma, width = [Member(sigma, seed, EXPERIMENT.alpha)], EXPERIMENT.gamma, EXPERIMENT.width
    (found,) = trainer.train(members, data, steps, spectra_at=(steps,), gamma=gamma, width=width)
    row: dict[str, Any] = {"optimizer": REFERENCE, "sigma": sigma, "seed": seed}
    for point, t in ((START, 0), (EARLY, PREFIX), (EQUAL, steps)):
        row[point] = {"step": t} | {name: rounded(getattr(found, name)[t]) for name in KEPT}
    row[EQUAL]["test_error"] = rounded(found.test_error)
    return row


def _batches(n: int, size: int, seed: int) -> Iterator[Tensor | slice]:
    """Yield which images are in each batch, all or some, in a new random order every epoch."""
    order = torch.Generator().manual_seed(seed)
    while True:
        yield from [slice(None)] if size == n else torch.split(torch.randperm(n, generator=order), size)


@torch.no_grad()
def _error(model: nn.Module, X: Tensor, labels: Tensor) -> float:
    return float((model(X).argmax(1) != labels).double().mean())


@torch.no_grad()
def _measured(model: nn.Module, first: Tensor, X: Tensor, labels: Tensor) -> dict[str, float | None]:
    W = model.get_parameter("0.weight")
    s = torch.linalg.svdvals(W.double())
    loss, change = float(cross_entropy(model(X), labels)), float((W - first).norm())
    values = loss, _error(model, X, labels), float((s / s[0]).square().sum()), float(s.norm()), float(s[0]), change
    return dict(zip(KEPT, map(rounded, values)))


def run(data: MNIST, name: str, sigma: float, seed: int, target: float, end: float = END) -> dict[str, Any]:
    """Train by `torch.optim.SGD` and return the row: step, fields of a thinned sweep and ``test_error`` at each point.

    The point of equal error is the first look at which the training error is at most the ``target``, absent if there is
    none until ``τ = end``; the late point is at ``end``. With `SMALLER` steps the run stops at equal error.
    """
    how, row = OPTIMIZERS[name], dict[str, Any](optimizer=name, sigma=sigma, seed=seed)
    model = plain.network(plain.initial_weights(sigma, seed, EXPERIMENT.width), EXPERIMENT.gamma, torch.float32)
    optimizer = torch.optim.SGD(model.parameters(), lr=how.alpha, momentum=how.momentum)
    X, labels, X_test, test_labels = plain.images_and_labels(data, torch.float32)
    first, last = model.get_parameter("0.weight").detach().clone(), how.steps(end)
    for step, batch in zip(range(last + 1), _batches(len(X), how.batch, seed)):
        due = [point for point, at in ((START, 0), (EARLY, PREFIX), (LATE, last)) if step == at]
        if EQUAL not in row and step % how.steps(CHECK) == 0 and _error(model, X, labels) <= target:
            due.append(EQUAL)
        if due:
            now = {"step": step, "test_error": rounded(_error(model, X_test, test_labels))}
            row |= dict.fromkeys(due, now | _measured(model, first, X, labels))
        if name == SMALLER and EQUAL in row:
            break
        optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(model(X[batch]), labels[batch]))
        optimizer.step()
    return row


def record(folder: Path, data: Callable[[], MNIST], *_: object) -> None:
    """Record every run, unless they are there; one thread does it. Interrupted, it goes on with the run it was at."""
    torch.set_num_threads(1)
    try:
        recorded(folder)
    except RecordingError:
        images, out = first_images(data(), GRID_IMAGES), folder / "optimizers.json"
        part = out.with_name(out.name + ".part")
        try:
            found = load(part, "optimizers", description(), images.provenance())
        except RecordingError:
            found = Recording("optimizers", description(), [], 0.0, images.provenance())
        cases = [(name, s, k) for name, how in OPTIMIZERS.items() for s in how.sigmas for k in SEEDS]
        done = len(found.runs)
        for name, sigma, seed in tqdm(cases[done:], desc="optimizers", initial=done, total=len(cases), disable=None):
            start = time.perf_counter()
            if name == REFERENCE:
                row = reference(images, sigma, seed)
            else:
                target = _row(found, REFERENCE, sigma, seed)[EQUAL]["train_error"]
                row = run(images, name, sigma, seed, target)
            found = replace(found, runs=[*found.runs, row], seconds=found.seconds + time.perf_counter() - start)
            save(found, part)
        part.replace(out)


def recorded(folder: Path = STUDIES) -> Recording:
    """Read the recording; `RecordingError` if it is absent, damaged, or of another configuration or other data."""
    return load(folder / "optimizers.json", "optimizers", description(), provenance(GRID_IMAGES))


def _row(found: Recording, *case: Any) -> dict[str, Any]:
    (row,) = (row for row in found.runs if (row["optimizer"], row["sigma"], row["seed"]) == case)
    return row


def table(found: Recording, name: str, point: str, quantity: str = "stable_rank") -> Array:
    """Return a quantity at a point, of shape (sigmas, seeds)."""
    return np.array([[_row(found, name, s, k)[point][quantity] for k in SEEDS] for s in OPTIMIZERS[name].sigmas])


def ratios(found: Recording, name: str, point: str) -> Array:
    """Return the relative stable rank at a point, of shape (sigmas, seeds)."""
    return np.asarray(table(found, name, point) / table(found, name, START))


def learned(found: Recording, name: str, point: str) -> Array:
    """Return ``‖W‖_F² - ‖W⁽⁰⁾‖_F²`` and ``‖W‖_2`` at the smallest scale, medians over the seeds."""
    gain = table(found, name, point, "norm")[0] ** 2 - table(found, name, START, "norm")[0] ** 2
    return np.array([np.median(gain), np.median(table(found, name, point, "spectral_norm")[0])])


def learned_over_reference(found: Recording, name: str) -> Array:
    """Return what `learned` returns at equal error, over that of gradient descent."""
    return np.asarray(learned(found, name, EQUAL) / learned(found, REFERENCE, EQUAL))


def prediction(found: Recording, name: str, point: str) -> Array:
    """Return `rank.learned_plus_noise`, with what the optimizer itself had learned at the point, at its scales."""
    gain, largest = learned(found, name, point)
    return learned_plus_noise(gain, largest, OPTIMIZERS[name].sigmas, EXPERIMENT.width, PIXELS)


def over_reference(found: Recording, name: str) -> Array:
    """Return the stable rank at equal error over that of gradient descent from the same weights, (sigmas, seeds)."""
    kept = [EXPERIMENT.sigmas.index(sigma) for sigma in OPTIMIZERS[name].sigmas]
    return np.asarray(table(found, name, EQUAL) / table(found, REFERENCE, EQUAL)[kept])


def overshoot(found: Recording) -> float:
    """Return the least training error at equal error over that of gradient descent, of all other runs."""
    errors = [(row[EQUAL], _row(found, REFERENCE, row["sigma"], row["seed"])[EQUAL]) for row in found.runs]
    return float(min(one["train_error"] / target["train_error"] for one, target in errors))


def growth(found: Recording) -> Array:
    """Return ``‖W‖_2`` of momentum at equal error over that at the start, at its two largest scales."""
    end, start = (table(found, MOMENTUM, point, "spectral_norm")[3:] for point in (EQUAL, START))
    return np.asarray(end / start)


def over_prediction(found: Recording, name: str, point: str) -> Array:
    """Return the measured over the predicted ratio at a point, of shape (sigmas, seeds)."""
    return np.asarray(ratios(found, name, point) / prediction(found, name, point)[:, None])
