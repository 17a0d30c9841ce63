r"""The figures of the MNIST experiment, drawn from a recorded sweep.

A sweep holds several seeds for each initial scale :math:`\sigma`. Curves are medians over the seeds; a band
reaches from the smallest to the largest seed. A run that diverged has no value from its divergence on; a
point of which a seed diverged is crossed out, and the caption of the chapter counts them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..checks import Array
from ..mnist.configuration import plotted_steps
from ..mnist.data import PIXELS
from ..mnist.recording import Recording
from ..rank import learned_plus_noise
from .style import COLORS, HALF, INK, band, curve, ends, figure, name, ticks


def milestones(steps: int) -> dict[str, int]:
    """Return the times of the required plot, label to step: 1, T/10, T/5, T/2 and T, rounded up to whole steps."""
    return dict(zip(("1", "T/10", "T/5", "T/2", "T"), plotted_steps(steps)))


def scales(recording: Recording) -> list[float]:
    """Return the initial scales of a sweep in increasing order."""
    return sorted({run["sigma"] for run in recording.runs})


def over_seeds(recording: Recording, sigma: float, value: Callable[[dict[str, Any]], Any]) -> Array:
    """Return ``value(run)`` for each seed of one ``sigma``, in the order of the seeds.

    A run on which ``value`` raises `IndexError` or `KeyError`, because it diverged earlier, gives nan.
    """
    values = []
    for run in sorted((run for run in recording.runs if run["sigma"] == sigma), key=lambda run: run["seed"]):
        try:
            values.append(value(run))
        except (IndexError, KeyError):
            values.append(None)
    return np.array(values, dtype=float)  # None, also what a recording has for not finite, becomes nan


def at(recording: Recording, sigma: float, step: int, name: str = "stable_rank") -> Array:
    """Return a number that is recorded at every step, such as ``loss``, for each seed; nan if the run had diverged."""
    return over_seeds(recording, sigma, lambda run: run[name][step])


def relative_rank(recording: Recording, sigma: float, step: int) -> Array:
    r"""Return :math:`\mathrm{StableRank}(W^{(t)})/\mathrm{StableRank}(W^{(0)})` for each seed, nan if it diverged."""
    return at(recording, sigma, step) / at(recording, sigma, 0)


def prediction(recording: Recording, sigmas: ArrayLike) -> Array:
    r"""Return what the relative stable rank at T should be if all scales learn the same (the book's @eq-prediction).

    To Gaussian weights of standard deviation :math:`\sigma` is added what was learned at the smallest recorded scale,
    of norms :math:`\|L\|_2` and :math:`\|L\|_F`, medians over the seeds. It is nan if all diverged.
    """
    smallest, last = scales(recording)[0], recording.configuration["steps"]
    start, end = (at(recording, smallest, step, "norm") for step in (0, last))
    if np.isnan(end).all():
        return np.full(np.shape(sigmas), np.nan)
    learned, largest = np.nanmedian(end**2 - start**2), np.nanmedian(at(recording, smallest, last, "spectral_norm"))
    return learned_plus_noise(learned, largest, sigmas, recording.configuration["width"], PIXELS)


def stable_rank_figure(recording: Recording) -> Figure:
    """Draw what Problem 3.3 asks for: relative stable rank against sigma, a curve for each time (@fig-mnist-rank)."""
    sigmas = np.array(scales(recording))
    times = milestones(recording.configuration["steps"])
    with figure(3.3) as (fig, axes):
        axes.set(xscale="log", yscale="log", xlabel=r"initial standard deviation $\sigma$")
        axes.set(xlim=(sigmas[0] / 25, 1.5 * sigmas[-1]), ylim=(0.025, 1.2))
        starts = []
        for k, (text, step) in zip((4, 0, 1, 2, 5), times.items()):
            ranks = np.transpose([relative_rank(recording, sigma, step) for sigma in sigmas])
            middle = band(axes, sigmas, ranks, k, label=f"$t={text}$")
            starts.append((f"$t={text}$", middle[0], COLORS[k]))
            lost = np.isnan(ranks).any(0) & ~np.isnan(middle)
            if lost.any():
                axes.plot(sigmas[lost], middle[lost], "x", color=INK, markersize=9)
        ends(axes, sigmas[0] / 1.2, starts, "left")
        predicted = prediction(recording, sigmas)
        circles = axes.plot(sigmas, predicted, "o", color=INK, markerfacecolor="none", markersize=9)
        circles[0].set_label("predicted for $t=T$")
        axes.legend(handles=circles, loc="lower right", handletextpad=0.2)
        axes.set_ylabel("stable rank over that at $t=0$")
        axes.set_xticks(sigmas, [f"{sigma:g}" for sigma in sigmas])
        ticks(axes, "y", (0.05, 0.1, 0.2, 0.5, 1.0))
    return fig


def training_figure(recording: Recording) -> list[Figure]:
    """Draw training error and relative stable rank against the step, a curve a sigma (@fig-mnist-training)."""
    steps, figures = recording.configuration["steps"], []
    t = np.arange(1, steps + 1)
    for quantity in ("train_error", "stable_rank"):
        with figure(3.1, HALF) as (fig, axes):
            axes.set(xscale="log", xlabel="step $t$", xlim=(1, 30 * steps))
            ticks(axes, "x", (1, 10, 100))
            if quantity == "stable_rank":
                axes.set(ylabel="relative stable rank", ylim=(-0.02, 1.05))
                ticks(axes, "y", (0, 0.5, 1))
            else:
                axes.set(yscale="log", ylabel="training error", ylim=(0.03, 1))
                ticks(axes, "y", (0.05, 0.1, 0.2, 0.5, 1), percent=True)
            last = []
            for k, sigma in enumerate(scales(recording)):
                rows, text = np.transpose([at(recording, sigma, step, quantity) for step in t]), rf"$\sigma={sigma:g}$"
                if quantity == "stable_rank":
                    middle = band(axes, t, rows / at(recording, sigma, 0)[:, None], k, marker="", label=text)
                else:
                    middle = band(axes, t, rows, k, marker="", linestyle="-", linewidth=0.6, label=text)
                    axes.plot(t, np.minimum.accumulate(middle), **curve(k) | {"marker": ""})
                last.append((text, middle[-1], COLORS[k]))
            ends(axes, steps, last)
        figures.append(fig)
    return figures


def singular_value_figure(recording: Recording) -> Figure:
    """Draw the singular values of W over the largest at T, a curve a sigma, and at 0 (@fig-mnist-singular-values)."""
    steps = recording.configuration["steps"]
    with figure(2.9) as (fig, axes):
        axes.set(xscale="log", yscale="log", xlim=(1, 2000), ylim=(0.001, 2.5))
        axes.set(xlabel="index $k$", ylabel="singular value $s_k/s_1$")
        last = []
        for k, sigma in enumerate(scales(recording)):
            spectra = [run["singular_values"] for run in recording.runs if run["sigma"] == sigma]
            for step in (0, steps):
                values = np.array([spectrum[str(step)] for spectrum in spectra if str(step) in spectrum])
                if len(values):
                    relative, index = values / values[:, :1], np.arange(1, values.shape[1] + 1)
                    if step:
                        text = rf"$\sigma={sigma:g}$"
                        middle = band(axes, index, relative, k, markevery=0.15, label=text)
                        last.append((text, middle[-1], COLORS[k]))
                    else:
                        axes.plot(index, np.median(relative, axis=0), color="#cccccc", linewidth=6, zorder=0)
        ends(axes, recording.configuration["width"], last)
        name(axes, r"grey: $t=0$, every $\sigma$", (1.2, 1.8), "#666666")
        name(axes, "$t=T$:", (recording.configuration["width"], 1.8))
        ticks(axes, "x", (1, 10, 100))
        ticks(axes, "y", (0.001, 0.01, 0.1, 1))
    return fig
