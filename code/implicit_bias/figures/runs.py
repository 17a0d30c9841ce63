r"""The figures of the MNIST experiment, drawn from a recorded sweep.

A sweep holds several seeds for each initial scale :math:`\sigma`. Curves are medians over the seeds; a band
reaches from the smallest to the largest seed. A run that diverged has no value from its divergence on; a
point of which a seed diverged is crossed out, and the caption of the chapter counts them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..mnist.recording import Recording
from ..mnist.sweep import plotted_steps
from .style import curve, figure

_RATIOS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def milestones(steps: int) -> dict[str, int]:
    """Return the times of the required plot, label to step: 1, T/10, T/5, T/2 and T, rounded up to whole steps."""
    return dict(zip(("1", "T/10", "T/5", "T/2", "T"), plotted_steps(steps)))


def scales(recording: Recording) -> list[float]:
    """Return the initial scales of a sweep in increasing order."""
    return sorted({run["sigma"] for run in recording.runs})


def over_seeds(recording: Recording, sigma: float, value: Callable[[dict], float]) -> np.ndarray:
    """Return ``value(run)`` for each seed of one ``sigma``, in the order of the seeds.

    A run on which ``value`` raises `IndexError` or `KeyError`, because it diverged earlier, gives nan.
    """
    values = []
    for run in sorted((run for run in recording.runs if run["sigma"] == sigma), key=lambda run: run["seed"]):
        try:
            values.append(value(run))
        except (IndexError, KeyError):
            values.append(np.nan)
    return np.array(values, dtype=float)  # null, what a recording has for not finite, becomes nan


def relative_rank(recording: Recording, sigma: float, step: int) -> np.ndarray:
    r"""Return :math:`\mathrm{StableRank}(W^{(t)})/\mathrm{StableRank}(W^{(0)})` for each seed, nan where it diverged."""
    return over_seeds(recording, sigma, lambda run: run["stable_rank"][step] / run["stable_rank"][0])


def _band(axes: Axes, x: np.ndarray, values: np.ndarray, k: int, label: str, marked: bool = True) -> None:
    """Draw the median over the rows of ``values`` and the band from their smallest to their largest."""
    style = curve(k)
    if not marked:
        style["markevery"] = slice(2 * k, None, max(1, len(x) // 6))
    complete = ~np.isnan(values).any(0)
    some = ~np.isnan(values).all(0)
    middle = np.full(len(x), np.nan)
    middle[some] = np.nanmedian(values[:, some], axis=0)
    axes.plot(x, middle, label=label, **style)
    axes.fill_between(
        x[some],
        np.nanmin(values[:, some], 0),
        np.nanmax(values[:, some], 0),
        color=style["color"],
        alpha=0.2,
        linewidth=0,
    )
    lost = some & ~complete
    if marked and lost.any():
        axes.plot(x[lost], middle[lost], "x", color="black", markersize=9)


def _log_scale(axes: Axes) -> None:
    """Make the vertical axis logarithmic, unless every run diverged at once and there is nothing to scale."""
    if any(np.isfinite(line.get_ydata()).any() for line in axes.get_lines()):
        axes.set_yscale("log")


def stable_rank_figure(recording: Recording) -> Figure:
    """Draw the plot that Problem 3.3 asks for: relative stable rank against sigma, a curve for each time.

    Source: the book's @fig-mnist-rank.
    """
    sigmas = np.array(scales(recording))
    with figure(height=3.9) as (fig, (axes,)):
        for k, (label, step) in enumerate(milestones(recording.configuration["steps"]).items()):
            values = np.stack([relative_rank(recording, sigma, step) for sigma in sigmas], axis=1)
            _band(axes, sigmas, values, k, f"$t = {label}$" + (f" $= {step}$" if label != "1" else ""))
        axes.set_xlim(sigmas[0] / 1.5, 1.5 * sigmas[-1])
        axes.set_xscale("log")
        axes.set_xticks(sigmas, [f"{sigma:g}" for sigma in sigmas])
        _log_scale(axes)
        axes.set_yticks(_RATIOS, [f"{ratio:g}" for ratio in _RATIOS])
        axes.minorticks_off()
        axes.set_xlabel(r"initial standard deviation $\sigma$")
        axes.set_ylabel(r"StableRank$(W^{(t)})$ / StableRank$(W^{(0)})$")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def _curves(axes: Axes, recording: Recording, name: str, scale: Callable[[dict], float] = lambda run: 1.0) -> None:
    """Draw one measurement against t on a logarithmic axis, a curve for each sigma."""
    steps = recording.configuration["steps"]
    t = np.arange(1, steps + 1)
    for k, sigma in enumerate(scales(recording)):
        rows = [run for run in recording.runs if run["sigma"] == sigma]
        values = np.full((len(rows), steps), np.nan)
        for row, run in zip(values, rows):
            kept = np.array(run[name][1:]) / scale(run)
            row[: len(kept)] = kept
        _band(axes, t, values, k, rf"$\sigma = {sigma:g}$", marked=False)
    axes.set_xlim(0.9, 1.1 * steps)
    axes.set_xscale("log")
    axes.set_xlabel("step $t$")


def training_figure(recording: Recording) -> Figure:
    """Draw training error, loss and relative stable rank against the step, a curve for each sigma.

    Source: the book's @fig-mnist-training.
    """
    with figure(1, 3, height=3.3) as (fig, (error, loss, rank)):
        _curves(error, recording, "train_error")
        _log_scale(error)
        error.axhline(0.05, color="black", linewidth=0.8)
        error.set_title("training error")
        _curves(loss, recording, "loss")
        _log_scale(loss)
        loss.set_title(r"loss")
        _curves(rank, recording, "stable_rank", scale=lambda run: run["stable_rank"][0])
        rank.set_ylim(0, None)
        rank.set_title("relative stable rank")
        handles, labels = error.get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=3)
    return fig


def singular_value_figure(recording: Recording) -> Figure:
    """Draw the singular values of W, over the largest, at 0 and T, a panel for each sigma (median over seeds).

    Source: the book's @fig-mnist-singular-values.
    """
    steps = recording.configuration["steps"]
    sigmas = scales(recording)
    with figure(1, len(sigmas), height=2.7, sharey=True) as (fig, panels):
        for axes, sigma in zip(panels, sigmas):
            for k, (step, label) in enumerate(((0, "$t = 0$"), (steps, f"$t = T = {steps}$"))):
                rows = [
                    run["singular_values"][str(step)]
                    for run in recording.runs
                    if run["sigma"] == sigma and str(step) in run["singular_values"]
                ]
                if not rows:
                    continue
                values = np.array(rows) / np.array(rows)[:, :1]
                index = np.arange(1, values.shape[1] + 1)
                _band(axes, index, values, k, label, marked=False)
            _log_scale(axes)
            axes.set_xscale("log")
            axes.set_title(rf"$\sigma = {sigma:g}$")
        panels[0].set_ylabel(r"$s_k / s_1$")
        fig.supxlabel("index $k$ of the singular value", fontsize=11)
        handles, labels = panels[0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside upper center", ncols=2)
    return fig
