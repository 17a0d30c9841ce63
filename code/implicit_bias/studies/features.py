r"""Study 3: what one step does to images, with the second layer of 3.2, with that of 3.3, and with one in between.

The classes are even and odd digits. The images are taken raw, centred (their mean is subtracted), or through random
features of growing dimension: of a ReLU, :math:`\max(0, \langle u, x\rangle)`, and cosines
:math:`\cos(\langle u, x\rangle/\ell + b)`, with Gaussian :math:`u` and uniform :math:`b`. All are scaled to a mean
squared norm of 100, about that of the images.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..bounds import trajectory_rank_bound
from ..checks import Array
from ..mnist.configuration import EXPERIMENT
from ..mnist.data import MD5, MNIST, PIXELS
from ..mnist.experiment import STUDIES
from ..mnist.recording import Recording, RecordingError, load, save
from ..network import output_weights
from ..orthogonality import gaussian_grams
from .inner_products import data_of, descend, square_root, theta

N = 100
SEEDS = range(3)
STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128)
SCALES = tuple(float(f"{2e-4 * 10 ** (k / 2):.2g}") for k in range(-4, 9))
SECOND = {"fixed": "±1/√m, fixed, as in 3.2", "small": "±σ, fixed", "trained": "Gaussian of size σ, trained, as in 3.3"}
"""The kinds of second layer."""
REPRESENTATIONS = (
    ("raw", PIXELS),
    ("centred", PIXELS),
    *(("relu", 10**k) for k in (3, 4, 5)),
    *(("cosine", 10**k) for k in (3, 4, 5, 6)),
)
LENGTH = 0.5
"""The ``ℓ`` of the cosines, below the distance of two images: the larger d is, the closer they are to orthogonal."""


def description() -> dict[str, Any]:
    """Return what determines the recording."""
    return {
        "n": N,
        "seeds": list(SEEDS),
        "steps": list(STEPS),
        "sigmas": list(SCALES),
        "representations": [list(representation) for representation in REPRESENTATIONS],
        "length": LENGTH,
        "alpha": EXPERIMENT.alpha,
        "gamma": EXPERIMENT.gamma,
        "width": EXPERIMENT.width,
        "second_layers": SECOND,
        "classes": "even, odd",
    }


def gram(images: Array, kind: str, d: int, rng: np.random.Generator) -> Array:
    """Return the inner products of the features of some images, pixels in [0, 1], one a row."""
    if kind in ("raw", "centred"):
        X = images - images.mean(axis=0) if kind == "centred" else images
        K = X @ X.T
    else:
        K = np.zeros((len(images), len(images)))
        for start in range(0, d, 1000):  # a thousand features at a time
            U = rng.standard_normal((PIXELS, min(1000, d - start)))
            if kind == "relu":
                features = np.maximum(images @ U, 0)
            else:
                features = np.cos(images @ U / LENGTH + rng.uniform(0, 2 * np.pi, U.shape[1]))
            K += features @ features.T
    return np.asarray(K * (100 * len(K) / np.trace(K)))


def weights(K: Array, d: int, m: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return ``X W⁽⁰⁾ᵀ`` and ``W⁽⁰⁾ W⁽⁰⁾ᵀ`` of standard Gaussian weights, exactly in distribution, from ``K = X Xᵀ``.

    In the span of the n samples the rows have coordinates ``Z``; outside it, in d - n dimensions, only lengths and
    inner products count.
    """
    Z = rng.standard_normal((len(K), m))
    return square_root(K) @ Z, Z.T @ Z + gaussian_grams(m, d - len(K), 1, rng)[0]


def sample(data: MNIST, seed: int) -> tuple[Array, Array]:
    """Return ``N`` training images, pixels in [0, 1], and their labels: 1 for even digits and -1 for odd ones."""
    chosen = np.random.default_rng(seed).choice(len(data.train_labels), N, replace=False)
    return data.train_images[chosen] / 255, np.where(data.train_labels[chosen] % 2, -1.0, 1.0)


def run(data: MNIST, kind: str, d: int, seed: int) -> list[dict[str, Any]]:
    """Train on one representation with one seed, at every scale and with each `SECOND` layer; return the rows."""
    rng, (images, y), m = np.random.default_rng(1000 + seed), sample(data, seed), EXPERIMENT.width
    K = gram(images, kind, d, rng)
    H, G = weights(K, d, m, rng)
    signs, normal = np.resize([1.0, -1.0], m), rng.standard_normal(m)
    once = {"kind": kind, "d": d, "seed": seed} | data_of(K)
    rows = []
    for sigma in SCALES:
        layers = {"fixed": output_weights(signs), "small": sigma * signs, "trained": sigma * normal}
        for second, a in layers.items():
            how = (EXPERIMENT.gamma, EXPERIMENT.alpha, STEPS)
            series = descend((K, sigma * H, sigma**2 * G), y, a, *how, train_second=second == "trained")
            rows.append(once | {"sigma": sigma, "second": second} | series)
    return rows


def record(folder: Path, data: Callable[[], MNIST], *_: object) -> None:
    """Record every representation with every seed, unless they are there; one thread does it."""
    try:
        recorded(folder)
    except RecordingError:
        mnist, start = data(), time.perf_counter()
        cases = [(*representation, seed) for representation in REPRESENTATIONS for seed in SEEDS]
        rows = [row for case in tqdm(cases, desc="features", disable=None) for row in run(mnist, *case)]
        out = folder / "features.json"
        save(Recording("features", description(), rows, time.perf_counter() - start, mnist.provenance()), out)


def recorded(folder: Path = STUDIES) -> Recording:
    """Read the recording; `RecordingError` if it is absent, damaged, or of another configuration or other data."""
    return load(folder / "features.json", "features", description(), {"source": "mnist", "checksum": MD5})


def rows(found: Recording, kind: str, d: int, second: str = "fixed") -> list[dict[str, Any]]:
    """Return the rows of one representation, scale by scale and for each the seeds in order."""
    chosen = [row for row in found.runs if (row["kind"], row["d"], row["second"]) == (kind, d, second)]
    return sorted(chosen, key=lambda row: (row["sigma"], row["seed"]))


def ratios(found: Recording, kind: str, d: int, second: str = "fixed") -> Array:
    """Return the relative stable rank after one step, of shape (scales, seeds)."""
    values = [row["rank"][1] / row["rank"][0] for row in rows(found, kind, d, second)]
    return np.reshape(values, (len(SCALES), len(SEEDS)))


def largest_collapsed(found: Recording, kind: str, d: int) -> float:
    """Return the largest of the `SCALES` up to which one step leaves every seed a stable rank of at most 10.

    This is the conclusion of `thm-one-step`; the second layer is its own.
    """
    ranks = np.reshape([row["rank"][1] for row in rows(found, kind, d)], (len(SCALES), len(SEEDS)))
    return SCALES[int((ranks.max(axis=1) > 10).argmax()) - 1]


def thetas(found: Recording, kind: str, d: int) -> Array:
    """Return ``n M/R_min²`` for each seed."""
    return np.array([theta(row) for row in rows(found, kind, d)[: len(SEEDS)]])


def largest_change(found: Recording, kind: str | None = None, d: int | None = None) -> float:
    """Return the largest stable rank of a change with a fixed second layer, by default on every representation."""
    chosen = [
        row for row in found.runs if row["second"] == "fixed" and (kind is None or (row["kind"], row["d"]) == (kind, d))
    ]
    return float(max(max(row["rank_of_change"][1:]) for row in chosen))


def bounds_of_change(found: Recording, kind: str, d: int) -> Array:
    """Return the bound of `thm-trajectory` on the stable rank of the change, for each seed; all need θ < 1."""
    return np.array([trajectory_rank_bound(value, EXPERIMENT.gamma) for value in thetas(found, kind, d)])
