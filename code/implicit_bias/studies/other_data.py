"""Study 6: the same network, step size, number of steps and scales on three data sets that scikit-learn ships.

They are small: 1,797 digits of 8 × 8 pixels, 569 tumours with 30 measurements, 178 wines with 13. Every feature is
divided by its largest value. All samples are for training.
"""

import hashlib
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ..checks import Array
from ..mnist import plain
from ..mnist.configuration import GRIDS
from ..mnist.experiment import STUDIES
from ..mnist.recording import Recording, RecordingError, load, save
from .grid import KEPT, kept_steps, prediction, relative_ranks
from .inner_products import rounded

NAMES = {"digits": (64, 10), "breast_cancer": (30, 2), "wine": (13, 3)}
"""The data sets, by their name in scikit-learn, with their numbers of features and of classes."""

GRID = GRIDS["grid"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples, one a row, features in [0, 1] or of size at most 1, and their classes 0, 1, ..."""

    name: str
    X: Array
    labels: NDArray[np.int64]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.labels.max()) + 1

    def provenance(self) -> dict[str, Any]:
        """Return source and checksum, as recordings keep them."""
        sums = {name: hashlib.md5(getattr(self, name).tobytes()).hexdigest() for name in ("X", "labels")}
        return {"source": f"scikit-learn's {self.name}", "checksum": sums}


def read(name: str) -> Samples:
    """Read one of the data sets from the package."""
    from sklearn import datasets  # type: ignore[import-untyped] # slow, and needed only to record

    X, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    largest = np.abs(X).max(axis=0)
    return Samples(name, np.ascontiguousarray(X / np.where(largest > 0, largest, 1)), labels.astype(np.int64))


def run(data: Samples, sigma: float, seed: int, steps: int) -> dict[str, Any]:
    """Train one network by `mnist.plain` and return its row, with the fields of a thinned sweep but the test error."""
    m, (_, d), k = GRID.width, data.X.shape, data.classes
    normal = np.random.default_rng(seed).standard_normal
    model = plain.network([sigma * normal(shape) for shape in ((m, d), (m,), (k, m), (k,))], GRID.gamma)
    W = model.get_parameter("0.weight").detach()
    start, kept, rows = W.clone(), kept_steps(steps), []
    X, labels = torch.from_numpy(data.X), torch.from_numpy(data.labels)
    for step, (loss, logits) in zip(range(steps + 1), plain.descend(model, X, labels, GRID.alpha)):
        if step in kept:
            s = torch.linalg.svdvals(W)
            error = (logits.argmax(1) != labels).double().mean()
            rows.append((loss, error, s.square().sum() / s[0] ** 2, s.norm(), s[0], (W - start).norm()))
    series = {name: [rounded(float(value)) for value in column] for name, column in zip(KEPT, zip(*rows))}
    return {"sigma": sigma, "seed": seed, "step": kept} | series


def description(inputs: int, classes: int) -> dict[str, Any]:
    """Return what determines a recording, besides the data."""
    return asdict(GRID) | {"inputs": inputs, "classes": classes, "dtype": "float64"}


def record(folder: Path, *_: object) -> None:
    """Record every data set that is not there yet, in one thread."""
    torch.set_num_threads(1)
    for name, shape in NAMES.items():
        data, out, what = read(name), folder / f"{name.replace('_', '-')}.json", description(*shape)
        try:
            load(out, "thinned-sweep", what, data.provenance())
        except RecordingError:
            start, pairs = time.perf_counter(), [(sigma, seed) for sigma in GRID.sigmas for seed in GRID.seeds]
            rows = [run(data, *pair, GRID.steps) for pair in tqdm(pairs, desc=name, disable=None)]
            save(Recording("thinned-sweep", what, rows, time.perf_counter() - start, data.provenance()), out)


def recorded(folder: Path = STUDIES) -> list[Recording]:
    """Read the recordings, in the order of `NAMES`; `RecordingError` if one is absent, damaged or of other steps."""
    found = []
    for name, (inputs, classes) in NAMES.items():
        what = description(inputs, classes)
        found.append(load(folder / f"{name.replace('_', '-')}.json", "thinned-sweep", what))
    return found


def rise(found: Recording) -> float:
    """Return by how much the median relative stable rank rises from the smallest scale to 0.02."""
    middle = np.median(relative_ranks(found), axis=1)
    return float(middle[GRID.sigmas.index(0.02)] / middle[0] - 1)


def quotients(found: list[Recording], largest: float) -> Array:
    """Return measured over predicted ratio at the last step, of every seed at every scale up to the largest."""
    sigmas = np.array(GRID.sigmas)[np.array(GRID.sigmas) <= largest]
    return np.concatenate(
        [(relative_ranks(one)[: len(sigmas)] / prediction(one, sigmas)[:, None]).ravel() for one in found]
    )
