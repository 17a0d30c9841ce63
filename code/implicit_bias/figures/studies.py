"""The figures of the studies, drawn from what was recorded."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import bounds
from ..mnist.configuration import EXPERIMENT
from ..mnist.data import CLASSES
from ..mnist.recording import Recording
from ..searches.problem_1 import one_sample_hitting_time, rare_sample_hitting_times
from ..studies import directions, features, mixture, open_questions, optimizers
from ..studies import grid as studied
from ..studies.mixture import BY_DIMENSION, BY_SCALE, CHOICES, STEPS, Setting
from .style import COLORS, HALF, INK, LINE_STYLES, PROVED, band, curve, ends, figure, name, ticks

_STEPS_SHOWN = (1, 10, 100, 1000)
_CHOICES = {"m": "$m$", "gamma": r"$\gamma$", "flipped": "wrong"}


def _mixture_curves(
    axes: Axes, found: Recording, settings: Sequence[Setting], labels: Sequence[str], quantity: str = "rank"
) -> None:
    """Draw a curve for each setting, the relative stable rank or the change's, and name those that start apart."""
    starts = []
    axes.set(xscale="log", xlabel="step $t$")
    ticks(axes, "x", _STEPS_SHOWN)
    if quantity == "rank":
        axes.set(yscale="log", ylim=(1e-3, 1.5), ylabel="relative stable rank")
        ticks(axes, "y", (1e-3, 0.01, 0.1, 1))
    else:
        axes.set(ylim=(1, 2), ylabel="stable rank of the change")
        ticks(axes, "y", (1, 1.5, 2))
    for k, (setting, label) in enumerate(zip(settings, labels)):
        rows = np.array([row[quantity][1:] for row in mixture.rows(found, setting)], dtype=float)
        if quantity == "rank":
            rows /= [row["rank"][:1] for row in mixture.rows(found, setting)]
        start = band(axes, STEPS[1:], rows, k, label=label, markevery=(2 * k, 10))[0]
        starts.append((label, start, COLORS[k]))
    if len(settings) <= 5:
        ends(axes, 1, starts, "left")
        axes.set_xlim(left=0.03)


def mixture_figure(found: Recording) -> list[Figure]:
    """Draw the source paper's Figure 1, by dimension with the bound and by scale; the choices left open; the change."""
    powers = [f"$d=10^{{{round(np.log10(setting.d))}}}$" for setting in BY_DIMENSION]
    with figure(2.9, HALF) as (first, axes):
        _mixture_curves(axes, found, BY_DIMENSION, powers)
        for k in (3, 4):
            bounds = [mixture.bound(row) / row["rank"][0] for row in mixture.rows(found, BY_DIMENSION[k])]
            highest = np.max(bounds, axis=0)[1:]
            axes.plot(STEPS[1:], highest, color=PROVED, linestyle=LINE_STYLES[k])
            name(axes, f"bound for\n{powers[k]}", (STEPS[-1], highest[-1]), PROVED)
        axes.set_xlim(0.01, 2e5)
    with figure(2.9, HALF) as (second, axes):
        _mixture_curves(axes, found, BY_SCALE, [rf"${setting.scale:g}\,\sigma_G$" for setting in BY_SCALE])
    usual: Any = BY_DIMENSION[1]
    with figure(2.9, HALF) as (third, axes):
        labels = ["usual, as in (a)"]
        for setting in CHOICES:
            ((field, value),) = ((key, value) for key, value in vars(setting).items() if value != getattr(usual, key))
            labels.append(f"{_CHOICES[field]}: {getattr(usual, field):g} → {value:g}")
        swapped = [1, 0, *range(2, len(labels))]  # so the usual one looks as in (a)
        _mixture_curves(axes, found, [(usual, *CHOICES)[k] for k in swapped], [labels[k] for k in swapped])
        axes.legend(handles=[axes.lines[k] for k in swapped], loc="upper right", handlelength=1.5)
        axes.set_ylim(top=4)
    with figure(2.9, HALF) as (fourth, axes):
        _mixture_curves(axes, found, BY_DIMENSION, powers, "rank_of_change")
    return [first, second, third, fourth]


def features_figure(found: Recording) -> list[Figure]:
    """Draw the relative stable rank after one step against sigma, and how far the hypothesis is, by representation."""
    curves = (
        (0, "raw", 784, "fixed", "raw"),
        (2, "centred", 784, "fixed", "centred"),
        (6, "relu", 10**5, "fixed", "ReLU"),
        (3, "cosine", 10**6, "fixed", "cosines"),
        (4, "raw", 784, "trained", "raw, as in 3.3"),
    )
    with figure(2.9, HALF) as (left, axes):
        for k, kind, d, second, label in curves:
            band(axes, features.SCALES, features.ratios(found, kind, d, second).T, k, label=label)
        axes.set(xscale="log", yscale="log", xlabel=r"$\sigma$", ylabel="relative stable rank, $t=1$", xlim=(1e-6, 300))
        ticks(axes, "x", (1e-5, 1e-3, 0.1))
        ticks(axes, "y", (0.02, 0.05, 0.1, 0.2, 0.5, 1))
        axes.legend(loc="lower right")
    with figure(2.9, HALF) as (right, axes):
        for k, kind, *_, label in curves[:4]:
            dimensions = [d for shown, d in features.REPRESENTATIONS if shown == kind]
            middle = band(
                axes, dimensions, np.transpose([features.thetas(found, kind, d) for d in dimensions]), k, label=label
            )
            side = "left" if kind in ("raw", "centred") else "right"
            name(axes, label, (dimensions[-1], middle[-1]), COLORS[k], side)
        axes.axhline(1, color=PROVED)
        name(axes, "needed: below", (25, 1), PROVED, xytext=(0, -9))
        axes.set(xscale="log", yscale="log", xlabel="dimension $d$", ylabel=r"$\theta=nM/R_{\min}^2$")
        axes.set(xlim=(15, 5e7), ylim=(0.2, 2000))
        ticks(axes, "x", (100, 1e4, 1e6))
        ticks(axes, "y", (1, 10, 100, 1000))
    return [left, right]


def other_data_figure(found: Sequence[Recording]) -> list[Figure]:
    """Draw, for each data set, relative stable rank and training error against sigma at T, with the prediction."""
    figures: list[Figure] = []
    for grid in found:
        sigmas = grid.configuration["sigmas"]
        with figure(2.5, HALF) as (fig, axes):
            band(axes, sigmas, studied.relative_ranks(grid).T, 1)
            errors = band(axes, sigmas, studied.values(grid, "train_error")[:, :, -1].T, 3)
            fine = np.geomspace(sigmas[0], sigmas[-1], 200)
            predicted = studied.prediction(grid, fine)
            axes.plot(fine, predicted, color=INK, linewidth=1)
            name(axes, "predicted", (fine[predicted.argmax()], predicted.max()), place="above")
            name(axes, "measured", (studied.transition(grid)[0], 0.5), COLORS[1], xytext=(10, 0))
            name(axes, "training\nerror", (sigmas[-2], errors[-2]), COLORS[3], "above")
            axes.set(xscale="log", xlabel=r"$\sigma$", ylabel="relative stable rank", ylim=(-0.02, 1.4))
            ticks(axes, "x", (1e-3, 0.01, 0.1, 1))
            ticks(axes, "y", (0, 0.5, 1))
        figures.append(fig)
    return figures


def optimizers_figure(found: Recording) -> list[Figure]:
    """Draw the relative stable rank of each optimizer against sigma, and as predicted, at equal error and late."""
    curves: dict[str, dict[str, Any]] = {
        optimizers.REFERENCE: {"k": 0, "label": "gradient descent"},
        optimizers.BATCHES: {"k": 1, "label": "mini-batches"},
        optimizers.SMALLER: {"k": 2, "label": "momentum, small steps"},
        optimizers.MOMENTUM: {"k": 3, "label": "momentum"},
    }
    figures: list[Figure] = []
    hollow: dict[str, Any] = {"linestyle": "none", "marker": "o", "markerfacecolor": "none", "clip_on": False}
    for point, shown in ((optimizers.EQUAL, curves), (optimizers.LATE, (optimizers.BATCHES, optimizers.MOMENTUM))):
        with figure(3.1, HALF) as (fig, axes):
            for optimizer in shown:
                sigmas = optimizers.OPTIMIZERS[optimizer].sigmas
                rows = np.full((len(optimizers.SEEDS), len(EXPERIMENT.sigmas)), np.nan)  # a gap where none was run
                rows[:, np.isin(EXPERIMENT.sigmas, sigmas)] = optimizers.ratios(found, optimizer, point).T
                band(axes, EXPERIMENT.sigmas, rows, **curves[optimizer])
                predicted = optimizers.prediction(found, optimizer, point)
                look = curves[optimizer]["k"]
                axes.plot(sigmas, predicted, color=COLORS[look], markersize=7 + 2 * look, **hollow)
            axes.plot([], [], color=INK, markersize=8, label="predicted, same colour", **hollow | {"clip_on": True})
            name(axes, "momentum,\npredicted", (sigmas[-2], predicted[-2]), COLORS[look], "left", xytext=(-10, 0))
            axes.set(xscale="log", yscale="log", xlabel=r"$\sigma$", ylabel="relative stable rank", ylim=(0.0012, 2))
            ticks(axes, "x", (1e-3, 0.01, 0.1, 1))
            ticks(axes, "y", (0.01, 0.1, 1))
            axes.legend(loc="lower left", handlelength=1.3)
        figures.append(fig)
    return figures


def directions_figure(found: Recording) -> list[Figure]:
    """Draw the largest singular values, the loss of each seed, and one seed's errors by class, as a map."""
    steps, tenth = found.runs[0]["step"][1:], found.configuration["steps"] / 10

    def finish(axes: Axes) -> None:
        axes.axvline(tenth, color=INK, linewidth=0.8)
        name(axes, "$T$", (tenth, 1), place="above", xycoords=axes.get_xaxis_transform())
        axes.set(xscale="log", xlabel="step $t$")
        ticks(axes, "x", _STEPS_SHOWN)

    with figure(2.9, HALF) as (first, axes):
        values = directions.table(found, "singular_values")[:, 1:]
        for look, k in enumerate((1, 2, 4, 7)):
            band(axes, steps, values[:, :, k - 1], look, label=f"$s_{k}$", markevery=(3 * look, 12))
        axes.set(yscale="log", ylabel=r"singular values of $W^{(t)}$")
        ticks(axes, "y", (0.01, 0.1, 1, 10))
        axes.legend(loc="center left", borderaxespad=0.7)
        finish(axes)
    with figure(2.9, HALF) as (second, axes):
        for k, alpha in zip((1, 3), directions.ALPHAS):
            for seed, losses in enumerate(directions.table(found, "loss", alpha)[:, 1:]):
                style = curve(k) | {"linestyle": ("-", "--", ":")[seed], "marker": ""}
                axes.plot(steps, losses, **style, label=rf"$\alpha={alpha:g}$" if seed == 0 else None)
        axes.set(yscale="log", ylabel="training loss")
        ticks(axes, "y", (1e-3, 0.01, 0.1, 1))
        axes.legend(loc="lower left")
        finish(axes)
    with figure(2.9, HALF) as (third, axes):
        errors = directions.table(found, "class_error")[0, 1:]
        mesh = axes.pcolormesh(steps, range(CLASSES), errors.T, cmap="Blues", shading="nearest")
        mesh.set(edgecolor="face", linewidth=0.4)  # or there are seams
        bar = third.colorbar(mesh, ax=axes, location="top", label="fraction misclassified")
        bar.set_ticks([0, 0.5, 1], labels=["0", "0.5", "1"])
        axes.set(ylabel="digit", yticks=range(CLASSES))
        axes.grid(False)
        finish(axes)
    return [first, second, third]


def vectors_figure(found: Recording) -> Figure:
    """Draw the first four right singular vectors of the first layer, on arrival and, below, at the end, as images.

    Over each are the digits whose mean images are furthest to its negative and to its positive side. A vector at the
    end has the sign with which its class means are like those on arrival.
    """
    side, gap, row, shown = 28, 9, found.runs[0], 4
    images = np.array([row[f"{when}_directions"][:shown] for when in ("arrived", "final")])
    means = np.array([row[f"{when}_class_means"][:shown] for when in ("arrived", "final")])
    signs = np.where((means[0] * means[1]).sum(axis=1) < 0, -1, 1)[:, None]
    images[1], means[1] = signs * images[1], signs * means[1]
    limit = np.abs(images).max()
    with figure(2.7) as (fig, axes):
        for k, (image, along) in enumerate(zip(images.reshape(-1, side, side), means.reshape(-1, CLASSES))):
            left, top = (k % shown) * (side + 2), k // shown * (side + gap)
            box = (left, left + side, top + side, top)
            drawn = axes.imshow(image, cmap="RdBu", vmin=-limit, vmax=limit, extent=box)
            text = f"$v_{k % shown + 1}$: {along.argmin()}$\\,|\\,${along.argmax()}"
            name(axes, text, (left + side / 2, top), place="above", xytext=(0, 2))
        for middle, when in ((side / 2, "on arrival"), (1.5 * side + gap, r"at $10\,T$")):
            axes.text(-3, middle, when, rotation=90, ha="right", va="center")
        bar = fig.colorbar(
            drawn, ax=axes, location="bottom", shrink=0.6, aspect=25, ticks=(-0.1, 0, 0.1), label="entry of $v_k$"
        )
        bar.set_ticklabels(["−0.1", "0", "0.1"])
        axes.set(xlim=(0, shown * side + 6), ylim=(2 * side + gap, -gap + 1), aspect="equal")
        axes.set_axis_off()
    return fig


def open_figure() -> list[Figure]:
    """Draw the steps to a small gradient on the data of both lower bounds, and the excess of the steps to escape."""
    c, sizes = 0.1**0.5, [4**k for k in range(2, 8)]
    eps = 1 / (2 * np.array(sizes))
    with figure(2.9, HALF) as (left, axes):
        families = {
            "one among many": [rare_sample_hitting_times(n, 1.0, 1.0, c, 1.0)[1] for n in sizes],
            "one sample": [one_sample_hitting_time(e, 1.0, c) for e in eps],
            "proved for one among many": [bounds.steps_log_needed(n, 1.0, c) for n in sizes],
        }
        for k, (label, counts) in enumerate(families.items()):
            scaled, color = np.array(counts) * eps * c**2, COLORS[k] if k < 2 else PROVED
            axes.plot(eps, scaled, **curve(k) if k < 2 else {"color": PROVED})
            name(axes, label, (eps[3], scaled[3]), color, "below" if k == 2 else "above", xytext=(0, (16, 6, -22)[k]))
        axes.set(xscale="log", xlabel=r"$\varepsilon$", ylabel=r"steps $\times\;\alpha c^2\varepsilon$")
        axes.set(xlim=(0.05, 2e-5), ylim=(0, 2.5))
        ticks(axes, "x", (0.01, 1e-3, 1e-4))
    with figure(2.9, HALF) as (right, axes):
        sigmas = np.array(open_questions.SIGMAS)
        axes.set(xscale="log", xlabel=r"$\sigma$", xlim=(1e-1, 1e-60), ylim=(-4, 10))
        last = []
        for k, gamma in enumerate(open_questions.SLOPES):
            excess = open_questions.escapes(gamma) * open_questions.rate(gamma)[:, None] - np.log(1 / sigmas)
            last.append((rf"$\gamma={gamma:g}$", band(axes, sigmas, excess, k)[-1], COLORS[k]))
        ends(axes, sigmas[-1], last)
        axes.set_ylabel(r"steps $\times\;\log\lambda\;-\;\log(1/\sigma)$")
        ticks(axes, "x", (1e-3, 1e-20, 1e-40))
    return [left, right]
