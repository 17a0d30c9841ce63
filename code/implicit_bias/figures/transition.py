"""The figures of study 2: where the transition lies, still and with a slider over the step."""

import json
from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..mnist.configuration import TRANSITION
from ..mnist.recording import Recording
from ..studies import grid as studied
from .runs import relative_rank, scales
from .style import COLORS, HALF, INK, MEASURED, OTHER, band, figure, name, ticks


def transition_figure(grids: Mapping[str, Recording], sweep: Recording) -> list[Figure]:
    """Draw the relative stable rank over sigma and t; then at T: it with predictions, errors, and the other grids."""
    fine = grids["grid"]
    sigmas, steps = fine.configuration["sigmas"], studied.kept_steps(fine.configuration["steps"])[1:]
    between = np.geomspace(sigmas[0], sigmas[-1], 200)
    pale = ListedColormap(colormaps["Blues"](np.linspace(0, 0.55, 256)))  # lines and names stand out on it
    with figure(3.2, HALF) as (first, axes):
        ratios = [np.median(studied.relative_ranks(fine, step), axis=1) for step in steps]
        mesh = axes.pcolormesh(sigmas, steps, ratios, cmap=pale, vmin=0, vmax=1, shading="nearest")
        mesh.set(edgecolor="face", linewidth=0.4)  # or there are seams
        bar = first.colorbar(mesh, ax=axes, location="top", label="relative stable rank")
        bar.set_ticks([0, 0.5, 1], labels=["0", "0.5", "1"])
        measured = [studied.transition(fine, step)[0] for step in steps]
        axes.plot(measured, steps, color=OTHER, linewidth=2.5)
        name(axes, "measured", (measured[-14], steps[-14]), OTHER)
        expected = [studied.predicted_transition(fine, step) for step in steps]
        axes.plot(expected, steps, color=INK)
        refined = [studied.predicted_transition(fine, step, True, sigmas.index(0.02)) for step in steps]
        axes.plot(np.where(np.isnan(measured), np.nan, refined), steps, color=INK, linestyle=":")
        name(axes, "predicted", (expected[11], steps[11]), place="above", xytext=(-8, 6))
        name(axes, "refined", (np.array(refined)[~np.isnan(measured)][0], 8.5), place="below")
        before = {step: sigma for (grid, step), sigma in TRANSITION.items() if grid == "grid"}
        axes.plot(
            list(before.values()), list(before), "o", color=INK, markerfacecolor="none", markersize=8, clip_on=False
        )
        name(axes, "predicted before\nthe runs", (before[210], 210), place="left", xytext=(-9, 0))
        axes.set(yscale="log", ylabel="step $t$")
        axes.grid(False)
        ticks(axes, "y", (1, 10, 100))
    with figure(3.2, HALF) as (second, axes):
        band(axes, sigmas, studied.relative_ranks(fine).T, 1, label="10,000 images")
        low, middle, high = np.quantile(
            [relative_rank(sweep, sigma, -1) for sigma in scales(sweep)], (0, 0.5, 1), axis=1
        )
        axes.errorbar(scales(sweep), middle, (middle - low, high - middle), color=OTHER, fmt="D", label="all images")
        predicted, dotted = (studied.prediction(fine, between, refined=which) for which in (False, True))
        axes.plot(between, predicted, color=INK, linewidth=1)
        axes.plot(between, dotted, color=INK, linestyle=":")
        name(axes, "predicted", (between[predicted.argmax()], predicted.max()), place="above")
        below = np.flatnonzero(dotted < 0.6)[-1]
        name(axes, "refined", (between[below], dotted[below]))
        axes.set(ylabel="relative stable rank at $T$", ylim=(0, 1.45))
        ticks(axes, "y", (0, 0.5, 1))
        axes.legend(loc="upper left")
    with figure(2.9, HALF) as (third, axes):
        for k, label, error in ((3, "training", "train_error"), (4, "test", "test_error")):
            middle = band(axes, sigmas, studied.final(fine, error).T, k)
            name(axes, label, (sigmas[4], middle[4]), COLORS[k], "above")
        axes.axvline(studied.transition(fine)[0], color=MEASURED, linewidth=1)
        name(axes, "transition", (studied.transition(fine)[0], 0.15), MEASURED, "left")
        axes.set(ylabel="error at $T$", yscale="log")
        ticks(axes, "y", (0.02, 0.05, 0.1, 0.2), percent=True)
    with figure(2.9, HALF) as (fourth, axes):
        for k, (grid, found) in enumerate(grids.items()):
            band(axes, found.configuration["sigmas"], studied.relative_ranks(found).T, k, label=studied.TITLES[grid])
        axes.set(ylabel="relative stable rank at $T$", ylim=(0, 1.45))
        ticks(axes, "y", (0, 0.5, 1))
        axes.legend(loc="upper left")
    for panel in (first, second, third, fourth):
        panel.axes[0].set(xscale="log", xlabel=r"$\sigma$")
        ticks(panel.axes[0], "x", (1e-3, 0.01, 0.1, 1))
    fourth.axes[0].set_xlim(1.5e-3, 0.3)
    return [first, second, third, fourth]


def slider_data(fine: Recording) -> str:
    """Return as raw HTML what the slider shows: for each step, smallest, median and largest of the seeds, and more."""
    sigmas, steps = fine.configuration["sigmas"], studied.kept_steps(fine.configuration["steps"])[1:]
    between = np.geomspace(sigmas[0], sigmas[-1], 49)
    ranks, errors = (studied.values(fine, name) for name in ("stable_rank", "train_error"))
    ranks = ranks / ranks[:, :, :1]
    lies = [studied.transition(fine, step)[0] for step in steps]
    data = {"steps": steps, "sigmas": sigmas, "between": _rounded(between), "transition": _rounded(lies)} | {
        name: [_rounded(np.quantile(rows[:, :, k], (0, 0.5, 1), axis=1)) for k in range(1, len(steps) + 1)]
        for name, rows in (("rank", ranks), ("error", errors))
    }
    for what, refined in (("predicted", False), ("refined", True)):
        data[what] = [_rounded(studied.prediction(fine, between, step, refined)) for step in steps]
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return f'```{{=html}}\n<script type="application/json" id="slider-data">{text}</script>\n```'


def _rounded(values: ArrayLike) -> list[object]:
    """Return the numbers, in lists, to three digits; nan is 0."""
    rounded: list[object] = np.vectorize(lambda value: float(f"{value:.3g}"))(np.nan_to_num(values)).tolist()
    return rounded
