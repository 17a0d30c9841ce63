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
from .style import band, figure, shared_legend


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
    with figure(height=3.9) as (fig, (axes,)):
        axes.set(xscale="log", yscale="log", xlabel=r"initial standard deviation $\sigma$")
        for k, (name, step) in enumerate(milestones(recording.configuration["steps"]).items()):
            ranks = np.transpose([relative_rank(recording, sigma, step) for sigma in sigmas])
            label = f"$t = {name}$" + (f" $= {step}$" if name != "1" else "")
            middle = band(axes, sigmas, ranks, k, label=label)
            lost = np.isnan(ranks).any(0) & ~np.isnan(middle)
            if lost.any():
                axes.plot(sigmas[lost], middle[lost], "x", color="black", markersize=9)
        predicted = prediction(recording, sigmas)
        axes.plot(sigmas, predicted, "o", color="black", markerfacecolor="none", markersize=8, label="$T$, predicted")
        axes.set_xlim(sigmas[0] / 1.5, 1.5 * sigmas[-1])
        axes.set_ylabel(r"StableRank$(W^{(t)})$ / StableRank$(W^{(0)})$")
        axes.set_xticks(sigmas, [f"{sigma:g}" for sigma in sigmas])
        ratios = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
        axes.set_yticks(ratios, [f"{ratio:g}" for ratio in ratios])
        axes.minorticks_off()
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def training_figure(recording: Recording) -> Figure:
    """Draw training error, loss and relative stable rank against the step, a curve a sigma (@fig-mnist-training)."""
    steps = recording.configuration["steps"]
    t, every = np.arange(1, steps + 1), max(1, steps // 6)
    with figure(1, 3, height=3.3) as (fig, panels):
        titles = {"train_error": "training error", "loss": "loss", "stable_rank": "relative stable rank"}
        for axes, (name, title) in zip(panels, titles.items()):
            axes.set(xscale="log", yscale="linear" if name == "stable_rank" else "log", xlabel="step $t$", title=title)
            for k, sigma in enumerate(scales(recording)):
                rows = np.transpose([at(recording, sigma, step, name) for step in t])
                if name == "stable_rank":
                    rows = rows / at(recording, sigma, 0)[:, None]
                band(axes, t, rows, k, label=rf"$\sigma = {sigma:g}$", markevery=(2 * k, every))
            axes.set_xlim(0.9, 1.1 * steps)
        panels[0].axhline(0.05, color="black", linewidth=0.8)
        panels[2].set_ylim(0, None)
        shared_legend(fig)
    return fig


def singular_value_figure(recording: Recording) -> Figure:
    """Draw the singular values of W over the largest, at 0 and T, a panel a sigma (@fig-mnist-singular-values)."""
    steps, sigmas = recording.configuration["steps"], scales(recording)
    with figure(1, len(sigmas), height=2.7, sharey=True) as (fig, panels):
        for axes, sigma in zip(panels, sigmas):
            axes.set(xscale="log", yscale="log", title=rf"$\sigma = {sigma:g}$")
            runs = [run["singular_values"] for run in recording.runs if run["sigma"] == sigma]
            for k, (step, label) in enumerate(((0, "$t = 0$"), (steps, f"$t = T = {steps}$"))):
                values = np.array([spectra[str(step)] for spectra in runs if str(step) in spectra])
                if len(values):
                    m = values.shape[1]
                    look = {"label": label, "markevery": (2 * k, max(1, m // 6))}
                    band(axes, np.arange(1, m + 1), values / values[:, :1], k, **look)
        panels[0].set_ylabel(r"$s_k / s_1$")
        fig.supxlabel("index $k$ of the singular value", fontsize=11)
        shared_legend(fig, "outside upper center")
    return fig
