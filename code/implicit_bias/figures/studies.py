"""The figures of the studies, drawn from what was recorded."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..mnist.configuration import TRANSITION
from ..mnist.data import CLASSES
from ..mnist.recording import Recording
from ..studies import directions, features, mixture
from ..studies import grid as studied
from ..studies.grid import kept_steps
from ..studies.mixture import BY_DIMENSION, BY_SCALE, CHOICES, STEPS, Setting
from .runs import relative_rank, scales
from .style import COLORS, band, figure, shared_legend


def _mixture_curves(
    axes: Axes, found: Recording, settings: Sequence[Setting], labels: Sequence[str], name: str = "rank"
) -> None:
    """Draw a curve and a band for each setting: the relative stable rank, or the stable rank of the change."""
    for k, (setting, label) in enumerate(zip(settings, labels)):
        rows = np.array([row[name][1:] for row in mixture.rows(found, setting)], dtype=float)
        if name == "rank":
            rows /= [row["rank"][:1] for row in mixture.rows(found, setting)]
        band(axes, STEPS[1:], rows, k, label=label, markevery=(2 * k, 10))


def mixture_figure(found: Recording) -> Figure:
    """The source paper's Figure 1, made again, with the bound; the choices it leaves open; and the change of W."""
    with figure(2, 2, height=6.0, sharex=True) as (fig, (left, right, choices, change)):
        powers = [f"$d=10^{{{round(np.log10(setting.d))}}}$" for setting in BY_DIMENSION]
        _mixture_curves(left, found, BY_DIMENSION, powers)
        for k, setting in enumerate(BY_DIMENSION):
            bounds = [mixture.bound(row) / row["rank"][0] for row in mixture.rows(found, setting)]
            left.plot(STEPS[1:], np.max(bounds, axis=0)[1:], color=COLORS[k], linewidth=3, alpha=0.5)
        _mixture_curves(right, found, BY_SCALE, [f"{setting.scale:g}" for setting in BY_SCALE])
        names = {"m": "m", "gamma": r"\gamma", "flipped": r"\mathrm{wrong}"}
        varied = [_varied(setting, names) for setting in CHOICES]
        _mixture_curves(choices, found, (*CHOICES, BY_DIMENSION[1]), [*varied, "as above"])
        _mixture_curves(change, found, BY_DIMENSION, powers, "rank_of_change")
        for axes, title in (
            (left, r"by dimension, $\sigma=\sigma_{\mathrm{Glorot}}/50$, $\alpha=0.01$"),
            (right, r"by $\sigma/\sigma_{\mathrm{Glorot}}$, $d=10^4$, $\alpha=0.16$"),
            (choices, r"other choices, $d=10^4$, $\alpha=0.01$"),
            (change, r"$\mathrm{StableRank}(W^{(t)}-W^{(0)})$"),
        ):
            axes.set(xscale="log", title=title)
            axes.legend(
                loc="upper left" if axes is change else "lower left", ncols=2, columnspacing=1, labelspacing=0.2
            )
        for axes in (left, right, choices):
            axes.set(yscale="log", ylim=(1e-4, 1.5), ylabel="relative stable rank")
        change.set(ylim=(1, 2.2))
        for axes in (choices, change):
            axes.set_xlabel("step $t$")
    return fig


def _varied(setting: Setting, names: dict[str, str]) -> str:
    """Return in which field a setting differs from the usual one, and how."""
    usual: Any = BY_DIMENSION[1]
    (name,) = (name for name in names if getattr(setting, name) != getattr(usual, name))
    return f"${names[name]}={getattr(setting, name):g}$"


def features_figure(found: Recording) -> Figure:
    """Relative stable rank after one step against sigma, and how far each representation is from the hypothesis."""
    curves: tuple[tuple[str, int, bool, str], ...] = (
        ("raw", 784, False, "raw"),
        ("centred", 784, False, "centred"),
        ("relu", 10**5, False, "ReLU, $D=10^5$"),
        ("cosine", 10**6, False, "cosines, $D=10^6$"),
        ("raw", 784, True, "raw, second layer trained"),
    )
    with figure(1, 2, height=3.4) as (fig, (left, right)):
        for k, (kind, D, trained, label) in enumerate(curves):
            band(left, features.SCALES, features.ratios(found, kind, D, trained, 1).T, k, label=label)
        left.set(xscale="log", yscale="log", xlabel=r"$\sigma$", title="relative stable rank at $t=1$")
        left.legend(loc="lower right", labelspacing=0.2)
        for k, kind in enumerate(("raw", "centred", "relu", "cosine")):
            dimensions = [D for name, D in features.REPRESENTATIONS if name == kind]
            rows = np.transpose([features.thetas(found, kind, D) for D in dimensions])
            band(right, dimensions, rows, k, label=kind.replace("relu", "ReLU").replace("cosine", "cosines"))
        right.axhline(1, color="black", linewidth=0.8)
        right.set(xscale="log", yscale="log", xlabel="dimension $D$", title=r"$\theta=nM/R_{\min}^2$")
        right.legend(loc=(0.5, 0.45))
    return fig


def map_figure(grid: Recording, sweep: Recording) -> Figure:
    """The relative stable rank over sigma and t as a map, with the transition; and at T, with the prediction."""
    sigmas, steps = grid.configuration["sigmas"], kept_steps(grid.configuration["steps"])[1:]
    with figure(1, 2, height=3.6) as (fig, (left, right)):
        ratios = [np.median(studied.relative_ranks(grid, step), axis=1) for step in steps]
        mesh = left.pcolormesh(sigmas, steps, ratios, cmap="cividis", vmin=0, vmax=1, shading="nearest")
        fig.colorbar(mesh, ax=left, location="top", label="relative stable rank")
        measured = np.array([studied.transition(grid, step)[0] for step in steps])
        left.plot(measured, steps, color="white", linewidth=2, label="measured: 1/2")
        predicted = [studied.predicted_transition(grid, step) for step in steps]
        left.plot(predicted, steps, color="white", linestyle=":", linewidth=2, label="from what was learned")
        before = {step: sigma for (name, step), sigma in TRANSITION.items() if name == "grid"}
        left.plot(list(before.values()), list(before), "o", color="#D55E00", label="stated before")
        left.set(xscale="log", yscale="log", xlabel=r"$\sigma$", ylabel="step $t$", xlim=(sigmas[0], sigmas[-1]))
        left.legend(loc="lower left", frameon=True, facecolor="#888888", labelcolor="white", framealpha=0.8)
        left.grid(False)
        _against_sigma(right, grid, "10,000 images")
        rows = np.transpose([relative_rank(sweep, sigma, sweep.configuration["steps"]) for sigma in scales(sweep)])
        band(right, scales(sweep), rows, 1, label="all images", linewidth=0)
        right.set(xlabel=r"$\sigma$", title="relative stable rank at $T$")
        right.legend(loc="upper left")
    return fig


def _against_sigma(axes: Axes, grid: Recording, label: str) -> None:
    """Draw the relative stable rank at the last step against sigma, and the prediction in black."""
    sigmas = grid.configuration["sigmas"]
    band(axes, sigmas, studied.relative_ranks(grid).T, 0, label=label)
    fine = np.geomspace(sigmas[0], sigmas[-1], 200)
    axes.plot(fine, studied.prediction(grid, fine), color="black", linewidth=0.9, label="predicted")
    axes.set(xscale="log")


def other_data_figure(found: Sequence[Recording], titles: Sequence[str]) -> Figure:
    """The relative stable rank against sigma at T on other data sets, with the prediction; and the training error."""
    with figure(1, 3, height=3.0, sharey=True) as (fig, panels):
        for axes, grid, title in zip(panels, found, titles):
            _against_sigma(axes, grid, "relative stable rank")
            errors = studied.values(grid, "train_error")[:, :, -1]
            band(axes, grid.configuration["sigmas"], errors.T, 1, label="training error")
            axes.set(title=title, xlabel=r"$\sigma$", xticks=[1e-3, 1e-2, 1e-1, 1])
        shared_legend(fig)
    return fig


def directions_figure(found: Recording) -> Figure:
    """The largest singular values against the step, and the fraction of each class that is misclassified, as a map."""
    steps = found.runs[0]["step"][1:]
    values, errors = (directions.table(found, name)[:, 1:] for name in ("singular_values", "class_error"))
    with figure(1, 2, height=3.2) as (fig, (left, right)):
        for k in range(7):
            band(left, steps, values[:, :, k], k, label=f"$s_{k + 1}$", markevery=(k, 12))
        left.set(xscale="log", yscale="log", xlabel="step $t$", title=r"singular values of $W^{(t)}$")
        left.legend(loc="lower right", ncols=2, columnspacing=1, labelspacing=0.2)
        mesh = right.pcolormesh(steps, range(CLASSES), np.median(errors, axis=0).T, cmap="cividis", shading="nearest")
        fig.colorbar(mesh, ax=right)
        right.set(
            xscale="log", xlabel="step $t$", ylabel="digit", yticks=range(CLASSES), title="fraction misclassified"
        )
        right.grid(False)
        for axes in (left, right):
            axes.axvline(found.configuration["steps"] / 10, color="#888888", linewidth=0.9)
    return fig


def vectors_figure(found: Recording) -> Figure:
    """The first right singular vectors of ``W`` at the end, as images."""
    with figure(1, 8, height=1.3) as (fig, panels):
        for k, (axes, image) in enumerate(zip(panels, np.array(found.runs[0]["directions"]).reshape(-1, 28, 28))):
            limit = np.abs(image).max()
            axes.imshow(image, cmap="RdBu", vmin=-limit, vmax=limit)
            axes.set(xticks=[], yticks=[], title=f"$v_{k + 1}$")
            axes.grid(False)
    return fig
