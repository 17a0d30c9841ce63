r"""Study 2: where the transition in :math:`\sigma` lies on MNIST, and what moves it.

The grids, and where the transition was expected before they were run, stand in `mnist.configuration`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array
from ..figures.runs import relative_rank
from ..mnist import sweep
from ..mnist.configuration import GRID_IMAGES, GRIDS, TRANSITION, Configuration, plotted_steps
from ..mnist.data import MD5, MNIST, PIXELS
from ..mnist.experiment import STUDIES
from ..mnist.recording import Recording, RecordingError, load, save
from ..mnist.tables import between
from ..mnist.workers import Workers
from ..rank import learned_plus_noise
from .inner_products import rounded

TITLES = {
    "grid": "fine grid",
    "grid-all-images": "all images",
    "grid-half-alpha": "half the step size",
    "grid-width-50": "width 50",
    "grid-width-300": "width 300",
}
KEPT = ("loss", "train_error", "stable_rank", "norm", "spectral_norm", "change")


def first_images(data: MNIST, n: int) -> MNIST:
    """Return the data with the first ``n`` training images only; the source says so."""
    source = f"{data.source}, the first {n} training images"
    return replace(data, train_images=data.train_images[:n], train_labels=data.train_labels[:n], source=source)


def provenance(n: int) -> dict[str, Any]:
    """Return the provenance of MNIST's `first_images`, as recordings keep it."""
    return {"source": f"mnist, the first {n} training images", "checksum": MD5}


def kept_steps(steps: int) -> list[int]:
    """Return the steps that are kept: 0, 16 a factor of ten from 1 on, as whole numbers, and those of the plot.

    >>> kept_steps(12)
    [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 12]
    """
    grid = np.round(10 ** (np.arange(16 * np.log10(steps)) / 16)).astype(int)
    return sorted({0, *grid.tolist(), *plotted_steps(steps)})


def thinned(whole: Recording) -> Recording:
    """Return a sweep with the `kept_steps` and the `KEPT` fields only, to `rounded` numbers; its kind says so."""
    runs = [
        {name: run[name] for name in ("sigma", "seed", "alpha", "diverged_at", "test_error")} | _thin(run)
        for run in whole.runs
    ]
    return replace(whole, kind="thinned-sweep", runs=runs)


def _thin(run: dict[str, Any]) -> dict[str, Any]:
    steps = [step for step in kept_steps(len(run["step"]) - 1) if step < len(run["step"])]
    return {"step": steps} | {name: [rounded(run[name][t]) for t in steps] for name in KEPT}


def record(folder: Path, data: Callable[[], MNIST], workers: Workers) -> None:
    """Record every grid that is not there yet, thinned; the seeds of one sigma train together."""
    mnist = data()
    for name, configuration in GRIDS.items():
        images = mnist if name == "grid-all-images" else first_images(mnist, GRID_IMAGES)
        record_grid(configuration, images, folder / f"{name}.json", workers)


def record_grid(configuration: Configuration, images: MNIST, out: Path, workers: Workers) -> None:
    """Record one grid, thinned, unless it is there."""
    how, where = sweep.description(configuration), images.provenance()
    try:
        whole = load(out, None, how, where)
    except RecordingError:
        out.unlink(missing_ok=True)
        whole = sweep.record(configuration, images, out, replace(workers, group_size=len(configuration.seeds)))
    if whole.kind == "sweep":
        save(thinned(whole), out)


def values(grid: Recording, name: str) -> Array:
    """Return what a thinned sweep recorded under ``name``, of shape (sigmas, seeds, kept steps).

    The order is that of the configuration and of `kept_steps`; after a divergence there is nan.
    """
    how = grid.configuration
    kept = kept_steps(how["steps"])
    rows = {(run["sigma"], run["seed"]): run[name] for run in grid.runs}
    table = np.full((len(how["sigmas"]), len(how["seeds"]), len(kept)), np.nan)
    for i, sigma in enumerate(how["sigmas"]):
        for j, seed in enumerate(how["seeds"]):
            table[i, j, : len(rows[sigma, seed])] = rows[sigma, seed]
    return table


def relative_ranks(grid: Recording, step: int | None = None) -> Array:
    """Return the relative stable ranks, of shape (sigmas, seeds), at a kept step, by default the last."""
    ranks = values(grid, "stable_rank")
    return np.asarray(ranks[:, :, column(grid, step)] / ranks[:, :, 0])


def column(grid: Recording, step: int | None) -> int:
    """Return the place of a kept step, by default of the last one."""
    return -1 if step is None else kept_steps(grid.configuration["steps"]).index(step)


def without_noise(largest: float, sigma: float, m: int, d: int) -> float:
    """Return the ``‖L‖₂`` that the refined `rank.learned_plus_noise` takes to the norm ``largest``.

    Where there is none, it is the largest that has no effect.
    """
    edge = 2 * sigma**2 * np.sqrt(m * d)
    rest = max(largest**2 - sigma**2 * (m + d), edge)
    return float(np.sqrt((rest + np.sqrt((rest - edge) * (rest + edge))) / 2))


def prediction(
    grid: Recording, sigmas: ArrayLike, step: int | None = None, refined: bool = False, learned_at: int = 0
) -> Array:
    """Return `rank.learned_plus_noise` at a kept step, with what was learned at one scale of the grid, the smallest.

    If ``refined``, the noise of that scale is taken out of the learned part's spectral norm, too.
    """
    norms, largest = (values(grid, name)[learned_at] for name in ("norm", "spectral_norm"))
    k, how = column(grid, step), grid.configuration
    learned, top = np.median(norms[:, k] ** 2 - norms[:, 0] ** 2), float(np.median(largest[:, k]))
    m, d = how["width"], how.get("inputs", PIXELS)
    if refined:
        top = without_noise(top, how["sigmas"][learned_at], m, d)
    return learned_plus_noise(float(learned), top, sigmas, m, d, refined)


def crossing(sigmas: ArrayLike, ratios: ArrayLike) -> float:
    """Return the smallest scale at which the ratio rises through 1/2, both on logarithmic axes; nan if none does.

    >>> round(crossing([0.01, 0.1, 1.0], [0.05, 0.5 / 10**0.5, 0.5 * 10**0.5]), 6)
    0.316228
    """
    x, y = np.log(np.asarray(sigmas)), np.log(2 * np.asarray(ratios))
    for k in np.flatnonzero((y[:-1] < 0) & (y[1:] >= 0)):
        return float(np.exp(x[k] - y[k] * (x[k + 1] - x[k]) / (y[k + 1] - y[k])))
    return float("nan")


def transition(grid: Recording, step: int | None = None) -> Array:
    """Return where the transition lies: that of the median over the seeds, then that of each seed."""
    ratios = relative_ranks(grid, step)
    return np.array([crossing(grid.configuration["sigmas"], row) for row in (np.median(ratios, axis=1), *ratios.T)])


def predicted_transition(grid: Recording, step: int | None = None, refined: bool = False, learned_at: int = 0) -> float:
    """Return the smallest scale at which `prediction` rises through 1/2; nan if none does."""
    sigmas = grid.configuration["sigmas"]
    fine = np.geomspace(sigmas[0], sigmas[-1], 2000)
    return crossing(fine, prediction(grid, fine, step, refined, learned_at))


def recorded(name: str, folder: Path = STUDIES) -> Recording:
    """Read one of the `GRIDS`; `RecordingError` if it is absent, damaged, or of another configuration or other data."""
    data = {"source": "mnist", "checksum": MD5} if name == "grid-all-images" else provenance(GRID_IMAGES)
    return load(folder / f"{name}.json", "thinned-sweep", sweep.description(GRIDS[name]), data)


def transition_table(found: Mapping[str, Recording]) -> str:
    """Return, as a Markdown table, where the transition was expected before the grids were run, and where it lies."""
    lines = ["| grid | step | stated before | measured | measured over stated |", "|:---|--:|--:|--:|--:|"]
    for (name, step), stated in TRANSITION.items():
        where = transition(found[name], step)
        cells = f"{stated:.4f} | {where[0]:.4f} ({between(where[1:], '.4f')}) | {where[0] / stated:.2f}"
        lines.append(f"| {TITLES[name]} | {step} | {cells} |")
    return "\n".join(lines)


def gap(fine: Recording, sweep: Recording) -> float:
    """Return the largest relative difference to the sweep of 3.3, of medians over the same seeds, at T."""
    seeds, sigmas = fine.configuration["seeds"], fine.configuration["sigmas"]
    found = np.median(relative_ranks(fine), axis=1)
    return float(
        max(
            abs(found[sigmas.index(sigma)] / np.median(relative_rank(sweep, sigma, -1)[: len(seeds)]) - 1)
            for sigma in sweep.configuration["sigmas"]
        )
    )


def best(fine: Recording, name: str) -> Array:
    """Return, for each seed, the scale with the least ``train_error`` or ``test_error`` at the end."""
    rows = final(fine, name)
    return np.asarray(np.array(fine.configuration["sigmas"])[np.argmin(rows, axis=0)])


def fall(fine: Recording, name: str, start: float, end: float) -> Array:
    """Return, for each seed, by which part of itself an error at the end falls between two scales."""
    rows, sigmas = final(fine, name), fine.configuration["sigmas"]
    return np.asarray(1 - rows[sigmas.index(end)] / rows[sigmas.index(start)])


def quotients(fine: Recording, step: int | None = None, refined: bool = False) -> Array:
    """Return, for each scale, the median relative stable rank at a kept step over its `prediction`."""
    predicted = prediction(fine, fine.configuration["sigmas"], step, refined)
    return np.asarray(np.median(relative_ranks(fine, step), axis=1) / predicted)


def late_misses(fine: Recording) -> Array:
    """Return the refined transition with what was learned at 0.02 over the measured one, less 1, from T/10 on."""
    how = fine.configuration
    steps = [step for step in kept_steps(how["steps"]) if 10 * step >= how["steps"]]
    found = [predicted_transition(fine, t, True, how["sigmas"].index(0.02)) / transition(fine, t)[0] for t in steps]
    return np.array(found) - 1


def final(fine: Recording, name: str) -> Array:
    """Return the ``train_error``, the ``test_error`` or another number at the end, of shape (sigmas, seeds)."""
    how = fine.configuration
    rows = {(run["sigma"], run["seed"]): np.ravel(run[name])[-1] for run in fine.runs}
    return np.array([[rows[sigma, seed] for seed in how["seeds"]] for sigma in how["sigmas"]], dtype=float)
