"""Study 4: which directions the first layer learns, one after another, from very small weights, for 10 T steps."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ..checks import Array
from ..mnist import plain
from ..mnist.configuration import EXPERIMENT
from ..mnist.data import CLASSES, MD5, MNIST
from ..mnist.experiment import STUDIES
from ..mnist.recording import Recording, RecordingError, load, save
from .grid import first_images, kept_steps
from .inner_products import rounded

IMAGES = 1_000
SEEDS = range(3)
STEPS = 10 * EXPERIMENT.steps
SIGMA = EXPERIMENT.sigmas[0]
KEPT = 12
"""Singular values that are kept."""


def description() -> dict[str, Any]:
    """Return what determines the recording."""
    return {
        "sigma": SIGMA,
        "seeds": list(SEEDS),
        "alpha": EXPERIMENT.alpha,
        "gamma": EXPERIMENT.gamma,
        "width": EXPERIMENT.width,
        "steps": STEPS,
        "singular_values": KEPT,
        "dtype": "float32",
    }


def run(data: MNIST, seed: int, steps: int = STEPS) -> dict[str, Any]:
    """Train one network by `mnist.plain` and return its row.

    At the `kept_steps` of `STEPS`: ``loss``; ``class_error``, the fraction of each class's training images that is
    misclassified; ``stable_rank``; the largest ``singular_values``. At the end: ``directions``, the right singular
    vectors, and ``class_means``, for each of them the inner products with each class's mean image, less their mean.
    """
    model = plain.network(plain.initial_weights(SIGMA, seed, EXPERIMENT.width), EXPERIMENT.gamma, torch.float32)
    images, labels, *_ = plain.images_and_labels(data, torch.float32)
    W, kept, series = model.get_parameter("0.weight").detach(), kept_steps(STEPS), list[tuple[Any, ...]]()
    members = torch.nn.functional.one_hot(labels, CLASSES).float()
    for step, (loss, logits) in zip(range(steps + 1), plain.descend(model, images, labels, EXPERIMENT.alpha)):
        if step in kept:
            s = torch.linalg.svdvals(W.double())
            wrong = (logits.argmax(1) != labels).float() @ members / members.sum(0)
            rank = s.square().sum() / s[0] ** 2
            series.append((loss, wrong.tolist(), float(rank), s[:KEPT].tolist()))
    V = torch.linalg.svd(W.double(), full_matrices=False)[2][:KEPT]
    means = V.float() @ (members / members.sum(0)).T.mm(images).T
    last = {
        "directions": np.round(V.numpy(), 3) if seed == 0 else [],
        "class_means": means - means.mean(1, keepdim=True),
    }
    names = ("loss", "class_error", "stable_rank", "singular_values")
    row = {"seed": seed, "step": [step for step in kept if step <= steps]} | dict(zip(names, zip(*series))) | last
    return {name: _short(value) if name not in ("seed", "step") else value for name, value in row.items()}


def _short(value: Any) -> Any:
    """Round numbers, in lists and arrays of any depth, to five significant digits."""
    return [_short(one) for one in value] if np.ndim(value) else rounded(value)


def record(folder: Path, data: Callable[[], MNIST], *_: object) -> None:
    """Record every seed, unless they are there; one thread does it."""
    torch.set_num_threads(1)
    try:
        recorded(folder)
    except RecordingError:
        images, start = first_images(data(), IMAGES), time.perf_counter()
        rows = [run(images, seed) for seed in tqdm(SEEDS, desc="directions", disable=None)]
        found = Recording("directions", description(), rows, time.perf_counter() - start, images.provenance())
        save(found, folder / "directions.json")


def recorded(folder: Path = STUDIES) -> Recording:
    """Read the recording; `RecordingError` if it is absent, damaged, or of another configuration or other data."""
    data = {"source": f"mnist, the first {IMAGES} training images", "checksum": MD5}
    return load(folder / "directions.json", "directions", description(), data)


def table(found: Recording, name: str) -> Array:
    """Return what was recorded at each kept step, of shape (seeds, steps, ...)."""
    return np.array([row[name] for row in found.runs])


def arrivals(found: Recording, k: int, level: float = 0.3) -> Array:
    """Return the first recorded step at which the k-th singular value, from 1, is at least ``level``, for each seed."""
    steps = np.array(found.runs[0]["step"])
    return np.asarray(steps[np.argmax(table(found, "singular_values")[:, :, k - 1] >= level, axis=1)])


def extremes(found: Recording, k: int) -> set[tuple[int, int]]:
    """Return the pairs of digits, smaller first, whose mean images differ most along the k-th direction, over seeds."""
    means = table(found, "class_means")[:, k - 1]
    low, high = np.sort([means.argmin(axis=1), means.argmax(axis=1)], axis=0)
    return set(zip(low.tolist(), high.tolist()))


def likeness(found: Recording, directions: int) -> float:
    """Return the least cosine, up to sign, of the class means along one direction between two seeds."""
    means = table(found, "class_means")[:, :directions]
    unit = means / np.linalg.norm(means, axis=2, keepdims=True)
    return float(np.abs(np.einsum("akc,bkc->kab", unit, unit)).min())
