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
from ..mnist.data import CLASSES, MNIST
from ..mnist.experiment import STUDIES
from ..mnist.recording import Recording, RecordingError, load, save
from .grid import first_images, kept_steps, provenance
from .inner_products import rounded

IMAGES = 1_000
SEEDS = range(3)
STEPS = 10 * EXPERIMENT.steps
SIGMA = EXPERIMENT.sigmas[0]
ALPHAS = (EXPERIMENT.alpha, EXPERIMENT.alpha / 10)
"""The step size of 3.3, and one with which no recorded step raises the loss."""
KEPT = 12
"""Singular values that are kept."""
LEVEL = 0.3
"""A direction has arrived when its singular value is at least this."""


def description() -> dict[str, Any]:
    """Return what determines the recording."""
    return {
        "sigma": SIGMA,
        "seeds": list(SEEDS),
        "alphas": list(ALPHAS),
        "gamma": EXPERIMENT.gamma,
        "width": EXPERIMENT.width,
        "steps": STEPS,
        "singular_values": KEPT,
        "level": LEVEL,
        "dtype": "float32",
    }


def run(data: MNIST, alpha: float, seed: int, steps: int = STEPS) -> dict[str, Any]:
    """Train one network by `mnist.plain` and return its row.

    At the `kept_steps` of `STEPS`: ``loss``; ``class_error``, the fraction of each class's training images that is
    misclassified; ``stable_rank``; the largest ``singular_values``. Of right singular vectors, the k-th at the first of
    these steps at which the k-th singular value is at least `LEVEL`, ``arrived``, or each after the last, ``final``:
    ``…_class_means``, the inner products of each with each class's mean image, less their mean, and, of the first seed
    and step size, ``…_directions``, the vectors.
    """
    model = plain.network(plain.initial_weights(SIGMA, seed, EXPERIMENT.width), EXPERIMENT.gamma, torch.float32)
    images, labels, *_ = plain.images_and_labels(data, torch.float32)
    W, kept, series = model.get_parameter("0.weight").detach(), kept_steps(STEPS), list[tuple[Any, ...]]()
    members, arrived = torch.nn.functional.one_hot(labels, CLASSES).float(), list[torch.Tensor]()
    for step, (loss, logits) in zip(range(steps + 1), plain.descend(model, images, labels, alpha)):
        if step in kept:
            _, s, V = torch.linalg.svd(W.double(), full_matrices=False)
            wrong = (logits.argmax(1) != labels).float() @ members / members.sum(0)
            rank = s.square().sum() / s[0] ** 2
            series.append((loss, wrong.tolist(), float(rank), s[:KEPT].tolist()))
            arrived += V[len(arrived) : int((s[:KEPT] >= LEVEL).sum())]
    names = ("loss", "class_error", "stable_rank", "singular_values")
    row: dict[str, Any] = {"step": [step for step in kept if step <= steps]} | dict(zip(names, zip(*series)))
    for name, vectors in (("arrived", arrived), ("final", V[:KEPT])):
        means = [members.T @ (images @ vector.float()) / members.sum(0) for vector in vectors]
        row[f"{name}_class_means"] = [along - along.mean() for along in means]
        row[f"{name}_directions"] = [np.round(one, 3) for one in vectors] if (alpha, seed) == (ALPHAS[0], 0) else []
    return {"alpha": alpha, "seed": seed} | {
        name: _short(value) if name != "step" else value for name, value in row.items()
    }


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
        cases = [(alpha, seed) for alpha in ALPHAS for seed in SEEDS]
        rows = [run(images, *case) for case in tqdm(cases, desc="directions", disable=None)]
        found = Recording("directions", description(), rows, time.perf_counter() - start, images.provenance())
        save(found, folder / "directions.json")


def recorded(folder: Path = STUDIES) -> Recording:
    """Read the recording; `RecordingError` if it is absent, damaged, or of another configuration or other data."""
    return load(folder / "directions.json", "directions", description(), provenance(IMAGES))


def table(found: Recording, name: str, alpha: float = ALPHAS[0]) -> Array:
    """Return what was recorded with a step size: at each kept step, of shape (seeds, steps, ...), or by direction."""
    return np.array([row[name] for row in found.runs if row["alpha"] == alpha])


def arrivals(found: Recording, k: int, alpha: float = ALPHAS[0]) -> Array:
    """Return the first recorded step at which the k-th singular value, from 1, is at least `LEVEL`, for each seed."""
    steps = np.array(found.runs[0]["step"])
    return np.asarray(steps[np.argmax(table(found, "singular_values", alpha)[:, :, k - 1] >= LEVEL, axis=1)])


def slowest(found: Recording) -> Array:
    """Return, for each seed, the least exponent ``q`` with which its loss falls, as ``t^-q``, between recorded steps.

    It is that of the smaller step size, after the arrival of the second direction; 0 would be a plateau.
    """
    steps, losses = np.array(found.runs[0]["step"][1:]), table(found, "loss", ALPHAS[1])[:, 1:]
    exponents = -np.diff(np.log(losses), axis=1) / np.diff(np.log(steps))
    late = steps[:-1] >= arrivals(found, 2, ALPHAS[1])[:, None]
    return np.asarray(np.where(late, exponents, np.inf).min(axis=1))


def rises(found: Recording, alpha: float = ALPHAS[0]) -> list[Array]:
    """Return, for each seed, the factors by which its loss grows from one recorded step to the next, where it does."""
    return [factors[factors > 1] for factors in (row[1:] / row[:-1] for row in table(found, "loss", alpha))]


def extremes(found: Recording, k: int, when: str) -> set[tuple[int, int]]:
    """Return the pairs of digits, smaller first, whose mean images differ most along the k-th direction, over seeds.

    It is the direction ``"arrived"`` or ``"final"``, with the step size of 3.3.
    """
    means = table(found, f"{when}_class_means")[:, k - 1]
    low, high = np.sort([means.argmin(axis=1), means.argmax(axis=1)], axis=0)
    return set(zip(low.tolist(), high.tolist()))


def likeness(found: Recording, when: str) -> Array:
    """Return, for each direction, the least cosine, up to sign, of its class means in two seeds."""
    means = table(found, f"{when}_class_means")
    unit = means / np.linalg.norm(means, axis=2, keepdims=True)
    return np.asarray(np.abs(np.einsum("akc,bkc->kab", unit, unit)).min(axis=(1, 2)))


def reordered(found: Recording) -> Array:
    """Return the cosines, up to sign, for each seed, of the class means along v_1, v_2 and v_3 in the end and along
    v_4, v_1 and v_2 on arrival, of shape (seeds, 3)."""
    final, arrived = table(found, "final_class_means")[:, :3], table(found, "arrived_class_means")[:, [3, 0, 1]]
    lengths = np.linalg.norm(arrived, axis=2) * np.linalg.norm(final, axis=2)
    return np.asarray(np.abs((arrived * final).sum(axis=2) / lengths))
