r"""The figures of the MNIST experiment, drawn from a recorded sweep.

A sweep holds several seeds for each initial scale :math:`\sigma`. Curves are medians over the seeds; a band
reaches from the smallest to the largest seed. A run that diverged has no value from its divergence on; a
point of which a seed diverged is crossed out, and the caption of the chapter counts them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..mnist.configuration import plotted_steps
from ..mnist.recording import Recording
from .style import Array, band, figure, legend_below

_RATIOS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

Run = dict[str, Any]
"""A row of a recorded sweep."""


def milestones(steps: int) -> dict[str, int]:
    """Return the times of the required plot, label to step: 1, T/10, T/5, T/2 and T, rounded up to whole steps."""
    return dict(zip(("1", "T/10", "T/5", "T/2", "T"), plotted_steps(steps)))


def scales(recording: Recording) -> list[float]:
    """Return the initial scales of a sweep in increasing order."""
    return sorted({run["sigma"] for run in recording.runs})


def _seeds(recording: Recording, sigma: float) -> list[Run]:
    return sorted((run for run in recording.runs if run["sigma"] == sigma), key=lambda run: run["seed"])


def over_seeds(recording: Recording, sigma: float, value: Callable[[Run], float]) -> Array:
    """Return ``value(run)`` for each seed of one ``sigma``, in the order of the seeds.

    A run on which ``value`` raises `IndexError` or `KeyError`, because it diverged earlier, gives nan.
    """
    values: list[float | None] = []
    for run in _seeds(recording, sigma):
        try:
            values.append(value(run))
        except (IndexError, KeyError):
            values.append(None)
    return np.array(values, dtype=float)  # None, also what a recording has for not finite, becomes nan


def relative_rank(recording: Recording, sigma: float, step: int) -> Array:
    r"""Return :math:`\mathrm{StableRank}(W^{(t)})/\mathrm{StableRank}(W^{(0)})` for each seed, nan if it diverged."""
    return over_seeds(recording, sigma, lambda run: run["stable_rank"][step] / run["stable_rank"][0])


def _median_and_range(axes: Axes, x: Array, values: Array, k: int, label: str, marks: Any = None) -> None:
    """Draw the median over the rows of ``values``, and the band from their smallest to their largest.

    Where ``marks`` is None every point has a marker, and those of which a row is missing are crossed out.
    """
    some = ~np.isnan(values).all(0)
    low, middle, high = (np.full(len(x), np.nan) for _ in range(3))
    low[some], high[some] = np.nanmin(values[:, some], 0), np.nanmax(values[:, some], 0)
    middle[some] = np.nanmedian(values[:, some], 0)
    band(axes, x, low, middle, high, k, label=label, markevery=marks)
    lost = some & np.isnan(values).any(0)
    if marks is None and lost.any():
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
            _median_and_range(axes, sigmas, values, k, f"$t = {label}$" + (f" $= {step}$" if label != "1" else ""))
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


def _marks(k: int, points: int) -> slice:
    return slice(2 * k, None, max(1, points // 6))


def training_figure(recording: Recording) -> Figure:
    """Draw training error, loss and relative stable rank against the step, a curve for each sigma.

    Source: the book's @fig-mnist-training.
    """
    steps = recording.configuration["steps"]
    panels = {"train_error": "training error", "loss": "loss", "stable_rank": "relative stable rank"}
    with figure(1, 3, height=3.3) as (fig, axes):
        for ax, (name, title) in zip(axes, panels.items()):
            for k, sigma in enumerate(scales(recording)):
                runs = _seeds(recording, sigma)
                values = np.full((len(runs), steps), np.nan)
                for row, run in zip(values, runs):
                    kept = np.array(run[name][1:], dtype=float) / (run[name][:1] if name == "stable_rank" else 1.0)
                    row[: len(kept)] = kept
                _median_and_range(ax, np.arange(1.0, steps + 1), values, k, rf"$\sigma = {sigma:g}$", _marks(k, steps))
            ax.set(xlim=(0.9, 1.1 * steps), xscale="log", xlabel="step $t$", title=title)
        error, loss, rank = axes
        _log_scale(error)
        error.axhline(0.05, color="black", linewidth=0.8)
        _log_scale(loss)
        rank.set_ylim(0, None)
        legend_below(fig)
    return fig


def singular_value_figure(recording: Recording) -> Figure:
    """Draw the singular values of W, over the largest, at 0 and T, a panel for each sigma (median over seeds).

    Source: the book's @fig-mnist-singular-values.
    """
    steps, sigmas = recording.configuration["steps"], scales(recording)
    with figure(1, len(sigmas), height=2.7, sharey=True) as (fig, panels):
        for axes, sigma in zip(panels, sigmas):
            for k, (step, label) in enumerate(((0, "$t = 0$"), (steps, f"$t = T = {steps}$"))):
                spectra = [run["singular_values"].get(str(step)) for run in _seeds(recording, sigma)]
                values = np.array([s for s in spectra if s is not None])
                if len(values):
                    index = np.arange(1.0, values.shape[1] + 1)
                    _median_and_range(axes, index, values / values[:, :1], k, label, _marks(k, len(index)))
            _log_scale(axes)
            axes.set_xscale("log")
            axes.set_title(rf"$\sigma = {sigma:g}$")
        panels[0].set_ylabel(r"$s_k / s_1$")
        fig.supxlabel("index $k$ of the singular value", fontsize=11)
        handles, labels = panels[0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside upper center", ncols=2)
    return fig
