"""The figures of Problem 3: stable rank at initialisation, after one step, and along a whole run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import bounds
from ..network import gradient_descent, loss_gradient, output_weights
from ..rank import (
    expected_stable_rank,
    extremal_network,
    gaussian_gradient_rank,
    gaussian_spread,
    nearly_orthogonal_samples,
    stable_rank,
)
from .style import COLORS, Array, band, curve, figure

DRAWS = 5
"""Draws of data and weights behind each band."""

THETA = 1 / 3
"""The θ(S) of the data where they are not orthogonal."""


def _median_and_range(axes: Axes, x: ArrayLike, draws: Array, k: int, label: str, every: Any = 1) -> None:
    """Plot the median over the last axis of ``draws``, with their range shaded."""
    low, middle, high = draws.min(axis=-1), np.median(draws, axis=-1), draws.max(axis=-1)
    band(axes, x, low, middle, high, k, label=label, markevery=every)


def _signs(size: int, rng: np.random.Generator) -> Array:
    return rng.choice([-1.0, 1.0], size)


def _draw(n: int, m: int, d: int, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Return nearly orthogonal samples, labels, standard Gaussian first-layer and random second-layer weights."""
    X, y = nearly_orthogonal_samples(n, d, THETA, rng), _signs(n, rng)
    a = output_weights(_signs(m, rng))
    return X, y, rng.standard_normal((m, d)), a


def _ranks_of_change(X: Array, y: Array, W0: Array, a: Array, gamma: float, alpha: float, steps: int) -> Array:
    """Return ``StableRank(W⁽ᵗ⁾ - W⁽⁰⁾)`` for ``t = 1, …, steps``."""
    ranks = gradient_descent(X, y, W0, a, gamma, alpha, steps, record_rank=True).rank_of_change
    assert ranks is not None  # they were asked for
    return ranks[1:]


def spectra(m: int = 150, d: int = 300, n: int = 12, gamma: float = 0.05) -> Figure:
    """Singular values of ``W⁽ᵗ⁾`` over the largest, before and after the first steps of gradient descent.

    The data are nearly orthogonal and the initialisation is small, as in `cor-one-step`.
    """
    X, y, W0, a = _draw(n, m, d, np.random.default_rng(0))
    W0 = bounds.one_step_sigma(m, d, n, THETA, 0.25, 1.0, 1.0, 1.0, bounds.ONE_STEP_ETA) * W0
    with figure(height=3.2) as (fig, (axes,)):
        for k, t in enumerate((0, 1, 100)):
            W = gradient_descent(X, y, W0, a, gamma, 1.0, t).W
            singular = np.linalg.svd(W, compute_uv=False)
            label = f"$t={t}$: stable rank {stable_rank(W):.2f}"
            axes.plot(np.arange(1, m + 1), singular / singular[0], label=label, markevery=15, **curve(k))
        axes.set(yscale="log", xlabel="index $k$", ylabel=r"$s_k(W^{(t)})\,/\,s_1(W^{(t)})$")
        axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.68))
    return fig


def initial_rank(widths: Sequence[int] = (25, 100, 400), dims: Sequence[int] = (10, 30, 100, 300, 900)) -> Figure:
    """Stable rank of Gaussian weights over a grid of ``(m, d)``, against ``md/(√m+√d)²`` and the proved floor."""
    rng = np.random.default_rng(1)
    fine = np.geomspace(dims[0], dims[-1], 60)
    with figure(1, 2, height=3.2) as (fig, (left, right)):
        for k, m in enumerate(widths):
            measured = np.array([[stable_rank(rng.standard_normal((m, d))) for _ in range(DRAWS)] for d in dims])
            predicted = np.array([expected_stable_rank(m, d) for d in dims])
            _median_and_range(left, dims, measured, k, f"$m={m}$")
            left.plot(fine, m * fine / (np.sqrt(m) + np.sqrt(fine)) ** 2, color="black", linewidth=0.7)
            left.plot(fine, np.minimum(m, fine) / 18, color=COLORS[k], linewidth=0.8, linestyle=":")
            _median_and_range(right, dims, measured / predicted[:, None], k, f"$m={m}$")
        left.set(xscale="log", yscale="log", xlabel="$d$", ylabel=r"$\mathrm{StableRank}(W^{(0)})$")
        left.legend(loc="upper left")
        right.axhline(1, color="black", linewidth=0.7)
        right.set(xscale="log", xlabel="$d$", ylabel=r"measured over $md/(\sqrt{m}+\sqrt{d})^2$")
    return fig


def one_step(
    shapes: Sequence[tuple[int, int]] = ((50, 100), (100, 300), (200, 600)), n: int = 8, gamma: float = 0.05
) -> Figure:
    """Stable rank before and after one step (α = 1) against σ, with the bound of `thm-one-step`.

    The bound at a given σ is that of the smallest η that σ allows, and is drawn where one exists.
    """
    sigmas = np.geomspace(1e-6, 1.0, 25)
    rank = bounds.gaussian_gradient_rank_bound(THETA, gamma)
    with figure(height=3.6) as (fig, (axes,)):
        for k, (m, d) in enumerate(shapes):
            rng = np.random.default_rng(k)
            after, before = np.empty((sigmas.size, DRAWS)), np.empty(DRAWS)
            for s in range(DRAWS):
                X, y, Z, a = _draw(n, m, d, rng)
                before[s] = stable_rank(Z)
                after[:, s] = [stable_rank(v * Z - loss_gradient(X, y, v * Z, a, gamma)) for v in sigmas]
            _median_and_range(axes, sigmas, after, k, f"$m={m},\\ d={d}$", every=3)
            axes.axhline(float(np.median(before)), color=COLORS[k], linewidth=0.8, linestyle=":")
            limit = bounds.one_step_sigma(m, d, n, THETA, 0.25, 1.0, 1.0, 1.0, 1 - 1e-9)
            x = np.geomspace(sigmas[0], 0.6 * limit, 80)
            bound = [bounds.one_step_rank_bound(rank, v / limit) for v in x]
            axes.plot(x, bound, color=COLORS[k], linewidth=2.2, alpha=0.6, label="" if k else "bound")
        constant = bounds.ONE_STEP_CONSTANT
        axes.axhline(constant, color="black", linewidth=0.8, label=f"$C = {constant:.0f}$")
        axes.set(xscale="log", yscale="log", xlabel=r"$\sigma$", ylabel=r"$\mathrm{StableRank}(W^{(1)})$")
        axes.legend(loc="lower right")
    return fig


def trajectory(alphas: Sequence[float] = (0.1, 10.0, 1000.0), gamma: float = 0.2, steps: int = 300) -> Figure:
    """``StableRank(W⁽ᵗ⁾ - W⁽⁰⁾)`` along runs with several step sizes, against the bound of `thm-trajectory`."""
    t = np.arange(1, steps + 1)
    marks = [int(v) for v in np.unique(np.geomspace(1, steps, 10).astype(int)) - 1]
    with figure(1, 2, height=3.4, sharey=True) as (fig, (left, right)):
        for k, alpha in enumerate(alphas):
            data = [_draw(10, 40, 80, np.random.default_rng(s)) for s in range(DRAWS)]
            ranks = np.stack([_ranks_of_change(*drawn, gamma, alpha, steps) for drawn in data], axis=1)
            _median_and_range(left, t, ranks, k, rf"$\alpha={alpha:g}$", every=marks)
            worst = _ranks_of_change(*extremal_network(2, 12), gamma, alpha, steps)
            right.plot(t, worst, label=rf"$\alpha={alpha:g}$", markevery=marks, **curve(k))
        for axes, theta, title in (
            (left, THETA, r"$\theta=1/3$, Gaussian start"),
            (right, 0, r"$\theta=0$, worst start"),
        ):
            axes.axhline(bounds.trajectory_rank_bound(theta, gamma), color="black", linewidth=0.9, label="bound")
            axes.set(xscale="log", xlabel="$t$", title=title)
        left.set_ylabel(r"$\mathrm{StableRank}(W^{(t)}-W^{(0)})$")
        right.legend(loc="lower left", labelspacing=0.2)
    return fig


def sharp_limits(gamma: float = 0.05, counts: Sequence[int] = (1, 4, 16, 64)) -> Figure:
    """The two limits of the gradient's stable rank for orthogonal data: Gaussian and adversarial weights."""
    widths = np.unique(np.geomspace(10, 10_000, 9).astype(int))
    rng = np.random.default_rng(3)
    with figure(1, 2, height=3.4) as (fig, (left, right)):
        for k, n in enumerate(counts):
            X, y = np.eye(n), _signs(n, rng)
            ranks = np.empty((widths.size, DRAWS))
            for i, m in enumerate(widths):
                for s in range(DRAWS):
                    W = 1e-6 * rng.standard_normal((m, n))
                    ranks[i, s] = stable_rank(loss_gradient(X, y, W, output_weights(_signs(m, rng)), gamma))
            _median_and_range(left, widths, ranks, k, f"$n={n}$")
            left.axhline(gaussian_gradient_rank(np.ones(n), gamma), color=COLORS[k], linewidth=0.8, linestyle=":")
        left.axhline(gaussian_spread(gamma), color="black", linewidth=0.9)
        left.set(
            xscale="log", xlabel="$m$", ylabel=r"$\mathrm{StableRank}(\nabla\widehat{L})$", title="Gaussian weights"
        )
        left.legend(loc="center right", bbox_to_anchor=(1.0, 0.27), ncols=2)
        slopes = np.geomspace(0.02, 1, 100)
        largest, gaussian = [bounds.spread_bound(v) for v in slopes], [gaussian_spread(v) for v in slopes]
        right.plot(slopes, largest, color="black", linewidth=1.2, label=r"$(1+\gamma)^2/4\gamma$")
        right.plot(slopes, gaussian, color=COLORS[1], linestyle="--", label=r"$\kappa_\infty$")
        worst = {1 / (n - 1): extremal_network(1, n) for n in (2, 3, 4, 6, 10, 20, 40)}
        exact = [stable_rank(loss_gradient(*case, v)) for v, case in worst.items()]
        right.plot(list(worst), exact, linestyle="none", marker="o", color=COLORS[0], label="worst weights")
        right.set(xscale="log", yscale="log", xlabel=r"$\gamma$", title="Adversarial weights")
        right.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
        right.legend(loc="upper right")
    return fig
