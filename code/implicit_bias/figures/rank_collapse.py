"""The figures of Problem 3: stable rank at initialisation, after one step, and along a whole run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

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
from .style import COLORS, curve, figure


def _band(axes, x, samples, k: int, label: str, every: int = 1) -> None:
    """Plot the median over the last axis of ``samples``, with the range over the seeds shaded."""
    axes.fill_between(x, samples.min(axis=-1), samples.max(axis=-1), color=COLORS[k], alpha=0.2, linewidth=0)
    axes.plot(x, np.median(samples, axis=-1), label=label, markevery=every, **curve(k))


def _signs(size: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice([-1.0, 1.0], size)


def spectra(m: int = 150, d: int = 300, n: int = 12, gamma: float = 0.05, seed: int = 0) -> Figure:
    """Singular values of ``W⁽ᵗ⁾`` over the largest, before and after the first steps of gradient descent.

    The data are nearly orthogonal with ``θ = 1/3`` and the initialisation is small, as in `cor-one-step`.
    """
    rng = np.random.default_rng(seed)
    X, y = nearly_orthogonal_samples(n, d, 1 / 3, rng), _signs(n, rng)
    a, alpha = output_weights(_signs(m, rng)), 1.0
    sigma = bounds.one_step_sigma(m, d, n, 1 / 3, 0.25, 1.0, 1.0, alpha, bounds.ONE_STEP_ETA)
    W0 = sigma * rng.standard_normal((m, d))
    with figure(height=3.2) as (fig, (axes,)):
        for k, (t, every) in enumerate([(0, 15), (1, 15), (100, 15)]):
            W = gradient_descent(X, y, W0, a, gamma, alpha, t).W
            singular = np.linalg.svd(W, compute_uv=False)
            label = f"$t={t}$: stable rank {stable_rank(W):.2f}"
            axes.plot(np.arange(1, m + 1), singular / singular[0], label=label, markevery=every, **curve(k))
        axes.set(yscale="log", xlabel="index $k$", ylabel=r"$s_k(W^{(t)})\,/\,s_1(W^{(t)})$")
        axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.68))
    return fig


def initial_rank(
    widths: Sequence[int] = (25, 100, 400), dims: Sequence[int] = (10, 30, 100, 300, 900), seeds: int = 5
) -> Figure:
    """Stable rank of Gaussian weights over a grid of ``(m, d)``, against ``md/(√m+√d)²`` and the proved floor."""
    rng = np.random.default_rng(1)
    fine = np.geomspace(dims[0], dims[-1], 60)
    with figure(1, 2, height=3.2) as (fig, (left, right)):
        for k, m in enumerate(widths):
            measured = np.array([[stable_rank(rng.standard_normal((m, d))) for _ in range(seeds)] for d in dims])
            predicted = np.array([expected_stable_rank(m, d) for d in dims])
            _band(left, dims, measured, k, f"$m={m}$")
            left.plot(fine, m * fine / (np.sqrt(m) + np.sqrt(fine)) ** 2, color="black", linewidth=0.7)
            left.plot(fine, np.minimum(m, fine) / 18, color=COLORS[k], linewidth=0.8, linestyle=":")
            _band(right, dims, measured / predicted[:, None], k, f"$m={m}$")
        left.set(xscale="log", yscale="log", xlabel="$d$", ylabel=r"$\mathrm{StableRank}(W^{(0)})$")
        left.legend(loc="upper left")
        right.axhline(1, color="black", linewidth=0.7)
        right.set(xscale="log", xlabel="$d$", ylabel=r"measured over $md/(\sqrt{m}+\sqrt{d})^2$")
    return fig


def one_step(
    shapes: Sequence[tuple[int, int]] = ((50, 100), (100, 300), (200, 600)),
    n: int = 8,
    theta: float = 1 / 3,
    gamma: float = 0.05,
    alpha: float = 1.0,
    seeds: int = 5,
) -> Figure:
    """Stable rank before and after one step against σ, with the bound of `thm-one-step`.

    The bound at a given σ is that of the smallest η that σ allows, and is drawn where one exists.
    """
    sigmas = np.geomspace(1e-6, 1.0, 25)
    rank = bounds.gaussian_gradient_rank_bound(theta, gamma)
    with figure(height=3.6) as (fig, (axes,)):
        for k, (m, d) in enumerate(shapes):
            rng = np.random.default_rng(k)
            after, before = np.empty((sigmas.size, seeds)), np.empty(seeds)
            for s in range(seeds):
                X, y, a = nearly_orthogonal_samples(n, d, theta, rng), _signs(n, rng), output_weights(_signs(m, rng))
                Z = rng.standard_normal((m, d))
                before[s] = stable_rank(Z)
                for i, sigma in enumerate(sigmas):
                    after[i, s] = stable_rank(sigma * Z - alpha * loss_gradient(X, y, sigma * Z, a, gamma))
            _band(axes, sigmas, after, k, f"$m={m},\\ d={d}$", every=3)
            axes.axhline(np.median(before), color=COLORS[k], linewidth=0.8, linestyle=":")
            limit = bounds.one_step_sigma(m, d, n, theta, 0.25, 1.0, 1.0, alpha, 1 - 1e-9)
            x = np.geomspace(sigmas[0], 0.6 * limit, 80)
            bound = [bounds.one_step_rank_bound(rank, v / limit) for v in x]
            axes.plot(x, bound, color=COLORS[k], linewidth=2.2, alpha=0.6, label="bound" if k == 0 else None)
        axes.axhline(
            bounds.ONE_STEP_CONSTANT, color="black", linewidth=0.8, label=f"$C = {bounds.ONE_STEP_CONSTANT:.0f}$"
        )
        axes.set(xscale="log", yscale="log", xlabel=r"$\sigma$", ylabel=r"$\mathrm{StableRank}(W^{(1)})$")
        axes.legend(loc="lower right")
    return fig


def trajectory(
    alphas: Sequence[float] = (0.1, 10.0, 1000.0),
    m: int = 40,
    d: int = 80,
    n: int = 10,
    theta: float = 1 / 3,
    gamma: float = 0.2,
    steps: int = 300,
    seeds: int = 5,
) -> Figure:
    """``StableRank(W⁽ᵗ⁾ - W⁽⁰⁾)`` along runs with several step sizes, against the bound of `thm-trajectory`."""
    t = np.arange(1, steps + 1)
    marks = [int(v) for v in np.unique(np.geomspace(1, steps, 10).astype(int)) - 1]
    with figure(1, 2, height=3.4, sharey=True) as (fig, (left, right)):
        for k, alpha in enumerate(alphas):
            samples = np.empty((steps, seeds))
            for s in range(seeds):
                rng = np.random.default_rng(s)
                X, y, a = nearly_orthogonal_samples(n, d, theta, rng), _signs(n, rng), output_weights(_signs(m, rng))
                W0 = rng.standard_normal((m, d))
                run = gradient_descent(X, y, W0, a, gamma, alpha, steps, record_rank=True)
                samples[:, s] = run.rank_of_change[1:]
            _band(left, t, samples, k, rf"$\alpha={alpha:g}$", every=marks)
            X, y, W0, a = extremal_network(2, 12)
            run = gradient_descent(X, y, W0, a, gamma, alpha, steps, record_rank=True)
            right.plot(t, run.rank_of_change[1:], label=rf"$\alpha={alpha:g}$", markevery=marks, **curve(k))
        for axes, value, title in [
            (left, theta, r"$\theta=1/3$, Gaussian start"),
            (right, 0, r"$\theta=0$, worst start"),
        ]:
            axes.axhline(bounds.trajectory_rank_bound(value, gamma), color="black", linewidth=0.9, label="bound")
            axes.set(xscale="log", xlabel="$t$", title=title)
        left.set_ylabel(r"$\mathrm{StableRank}(W^{(t)}-W^{(0)})$")
        right.legend(loc="lower left", labelspacing=0.2)
    return fig


def sharp_limits(gamma: float = 0.05, counts: Sequence[int] = (1, 4, 16, 64), seeds: int = 5) -> Figure:
    """The two limits of the gradient's stable rank for orthogonal data: Gaussian and adversarial weights."""
    widths = np.unique(np.geomspace(10, 10_000, 9).astype(int))
    rng = np.random.default_rng(3)
    with figure(1, 2, height=3.4) as (fig, (left, right)):
        for k, n in enumerate(counts):
            X, y = np.eye(n), _signs(n, rng)
            ranks = np.empty((widths.size, seeds))
            for i, m in enumerate(widths):
                for s in range(seeds):
                    W = 1e-6 * rng.standard_normal((m, n))
                    ranks[i, s] = stable_rank(loss_gradient(X, y, W, output_weights(_signs(m, rng)), gamma))
            _band(left, widths, ranks, k, f"$n={n}$")
            left.axhline(gaussian_gradient_rank(np.ones(n), gamma), color=COLORS[k], linewidth=0.8, linestyle=":")
        left.axhline(gaussian_spread(gamma), color="black", linewidth=0.9)
        left.set(
            xscale="log", xlabel="$m$", ylabel=r"$\mathrm{StableRank}(\nabla\widehat{L})$", title="Gaussian weights"
        )
        left.legend(loc="center right", bbox_to_anchor=(1.0, 0.27), ncols=2)
        slopes = np.geomspace(0.02, 1, 100)
        right.plot(
            slopes,
            [bounds.spread_bound(v) for v in slopes],
            color="black",
            linewidth=1.2,
            label=r"$(1+\gamma)^2/4\gamma$",
        )
        right.plot(
            slopes, [gaussian_spread(v) for v in slopes], color=COLORS[1], linestyle="--", label=r"$\kappa_\infty$"
        )
        worst = {1 / (n - 1): extremal_network(1, n) for n in (2, 3, 4, 6, 10, 20, 40)}
        exact = [stable_rank(loss_gradient(X, y, W, a, v)) for v, (X, y, W, a) in worst.items()]
        right.plot(list(worst), exact, linestyle="none", marker="o", color=COLORS[0], label="worst weights")
        right.set(
            xscale="log",
            yscale="log",
            yticks=[1, 2, 5, 10],
            yticklabels=["1", "2", "5", "10"],
            xlabel=r"$\gamma$",
            title="Adversarial weights",
        )
        right.legend(loc="upper right")
    return fig
