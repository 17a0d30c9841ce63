r"""Study 1: Figure 1 of the source paper (arXiv 2210.07082), made again, with what the theorems say of each run.

The samples are :math:`\pm\nu` plus standard Gaussian noise in :math:`\mathbb{R}^d`, and only inner products count: of
samples, of rows of :math:`W^{(0)}`, and between both. They are drawn directly, exactly in distribution, so that
:math:`d` may be ten million; see `inner_products`.
"""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..bounds import one_step_sigma, trajectory_rank_bound
from ..checks import Array
from ..mnist.experiment import STUDIES
from ..mnist.recording import Recording, RecordingError, load, save
from ..network import output_weights
from ..orthogonality import gaussian_grams
from .inner_products import data_of, descend, theta

N = 100
SEEDS = range(5)
STEPS = (0, 1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024)


@dataclass(frozen=True)
class Setting:
    """One curve: the dimension ``d``, the initial scale over Glorot's ``√(2/(m+d))``, the step size ``alpha``, and what
    the paper's captions leave open: the width ``m``, the slope ``gamma``, the fraction ``flipped`` of wrong labels."""

    d: int
    scale: float
    alpha: float
    m: int = 512
    gamma: float = 0.1
    flipped: float = 0.0

    @property
    def sigma(self) -> float:
        """Standard deviation of the initial weights."""
        return float(self.scale * np.sqrt(2 / (self.m + self.d)))


BY_DIMENSION = tuple(Setting(d=10**k, scale=1 / 50, alpha=0.01) for k in (3, 4, 5, 6, 7))
BY_SCALE = tuple(Setting(d=10**4, scale=scale, alpha=0.16) for scale in (10.0, 1.0, 0.1, 0.01, 0.001))
_USUAL = BY_DIMENSION[1]
CHOICES = (
    replace(_USUAL, m=128),
    replace(_USUAL, m=1024),
    replace(_USUAL, gamma=0.02),
    replace(_USUAL, gamma=0.5),
    replace(_USUAL, flipped=0.15),
)
SETTINGS = (*BY_DIMENSION, *BY_SCALE, *CHOICES)


def draw(setting: Setting, seed: int) -> tuple[Array, Array, Array, Array]:
    """Return the Gram matrices ``X Xᵀ``, ``X W⁽⁰⁾ᵀ`` and ``W⁽⁰⁾ W⁽⁰⁾ᵀ``, and the labels, half of either cluster."""
    rng, m, sigma = np.random.default_rng(seed), setting.m, setting.sigma
    cluster = np.repeat([1.0, -1.0], N // 2)
    along = rng.standard_normal(N + m)  # the coordinates along ν; the others are in d - 1 dimensions
    along[:N] += cluster * setting.d**0.26
    gram = np.outer(along, along) + gaussian_grams(N + m, setting.d - 1, 1, rng)[0]
    y = np.where(rng.random(N) < setting.flipped, -cluster, cluster)
    return gram[:N, :N], sigma * gram[:N, N:], sigma**2 * gram[N:, N:], y


def run(setting: Setting, seed: int) -> dict[str, Any]:
    """Train one network and return its row: what `descend` measures, at `STEPS`, and ``R_min``, ``R_max`` and ``p``."""
    K, H, G, y = draw(setting, seed)
    a = output_weights(np.resize([1.0, -1.0], setting.m))
    series = descend((K, H, G), y, a, setting.gamma, setting.alpha, STEPS)
    return asdict(setting) | {"seed": seed} | data_of(K) | series


def excess(row: dict[str, Any]) -> float:
    """Return ``σ/σ̄``, for the ``σ̄`` of `thm-one-step`, which needs it to be at most 1, besides ``p ≥ 3``."""
    setting = Setting(**{name: row[name] for name in vars(BY_DIMENSION[0])})
    return setting.sigma / one_step_sigma(setting.m, setting.d, N, row["R_min"], row["R_max"], setting.alpha)


def bound(row: dict[str, Any]) -> Array:
    r"""Return a bound on the stable rank of ``W⁽ᵗ⁾``, at each step of `STEPS`; nan where there is none.

    With :math:`\Delta = W^{(t)} - W^{(0)}`, of stable rank at most :math:`\Gamma` (`thm-trajectory`, if θ < 1), the
    triangle inequality gives :math:`\|W\|_F \le \sqrt\Gamma \|\Delta\|_2 + \|W^{(0)}\|_F` and
    :math:`\|W\|_2 \ge \|\Delta\|_2 - \|W^{(0)}\|_2`. The norm of :math:`\Delta` is the measured one.
    """
    if theta(row) >= 1:
        return np.full(len(STEPS), np.nan)
    start = np.array(row["start"], dtype=float)
    below = 1 - start / np.sqrt(row["rank"][0])
    limit = np.sqrt(trajectory_rank_bound(theta(row), row["gamma"])) + start
    return np.where(below > 0, (limit / below) ** 2, np.nan)


def description() -> dict[str, Any]:
    """Return what determines the recording."""
    return {"n": N, "seeds": list(SEEDS), "steps": list(STEPS), "settings": [asdict(setting) for setting in SETTINGS]}


def record(folder: Path, *_: object) -> None:
    """Record every setting with every seed, unless they are there; no images are needed, and one thread does it."""
    try:
        recorded(folder)
    except RecordingError:
        start = time.perf_counter()
        rows = [run(setting, seed) for setting in tqdm(SETTINGS, desc="mixture", disable=None) for seed in SEEDS]
        save(Recording("mixture", description(), rows, time.perf_counter() - start), folder / "mixture.json")


def recorded(folder: Path = STUDIES) -> Recording:
    """Read the recording; `RecordingError` if it is absent, damaged or of another configuration."""
    return load(folder / "mixture.json", "mixture", description())


def rows(found: Recording, setting: Setting) -> list[dict[str, Any]]:
    """Return the recorded rows of one setting, seed by seed."""
    wanted = asdict(setting).items()
    return [row for row in found.runs if wanted <= row.items()]


def ratios(found: Recording, setting: Setting, place: int) -> Array:
    """Return the relative stable rank of each seed at a place of `STEPS`."""
    return np.array([row["rank"][place] / row["rank"][0] for row in rows(found, setting)])


def collapsed(found: Recording) -> list[dict[str, Any]]:
    """Return the rows in which one step leaves what `thm-one-step` concludes, a stable rank of at most 10."""
    return [row for row in found.runs if row["rank"][1] <= 10]


def ordered_until(found: Recording) -> int:
    """Return the last of the `STEPS` up to which a larger ``d`` goes with a smaller ratio, for every seed."""
    curves = np.array([[ratios(found, setting, place) for setting in BY_DIMENSION] for place in range(1, len(STEPS))])
    return STEPS[int((np.diff(curves, axis=1) < 0).all(axis=(1, 2)).argmin())]


def margins(found: Recording, setting: Setting) -> Array:
    """Return the smallest ``yᵢ f(xᵢ)`` of each seed after one step."""
    return np.array([row["margin"][1] for row in rows(found, setting)])


def later_fall(found: Recording, setting: Setting) -> Array:
    """Return by which factor the stable rank of each seed falls after the first step."""
    return np.array([row["rank"][1] / row["rank"][-1] for row in rows(found, setting)])


def slack(found: Recording) -> Array:
    """Return the quotients of `bound` and measured stable rank, wherever there is a bound."""
    quotients = np.array([bound(row) / row["rank"] for row in found.runs])
    return np.asarray(quotients[np.isfinite(quotients)])


def deviation(found: Recording, setting: Setting) -> float:
    """Return the largest factor, over the `STEPS`, between the median curve of one of the `CHOICES` and the usual."""
    curve, usual = (
        np.median([np.divide(row["rank"], row["rank"][0]) for row in rows(found, one)], axis=0)
        for one in (setting, _USUAL)
    )
    return float(np.exp(np.abs(np.log(curve / usual)).max()))
