"""The figures of Problem 3: stable rank at initialisation, after one step, and along a whole run."""

import numpy as np
from matplotlib.figure import Figure

from .. import bounds, network, rank
from ..checks import Array
from .style import COLORS, band, curve, figure

DRAWS = range(5)  # of data and weights, behind each band
THETA = 1 / 3  # the θ(S) of the data where they are not orthogonal
GAMMA = 0.05  # the slope, except along whole runs


def _draw(n: int, m: int, d: int, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Return nearly orthogonal samples, labels, standard Gaussian first-layer and random second-layer weights."""
    X, y = rank.nearly_orthogonal_samples(n, d, THETA, rng), rng.choice([-1.0, 1.0], n)
    a = network.output_weights(rng.choice([-1.0, 1.0], m))
    return X, y, rng.standard_normal((m, d)), a


def spectra() -> Figure:
    """Singular values of ``W⁽ᵗ⁾`` over the largest, before and after the first steps of gradient descent.

    The data are nearly orthogonal and the initialisation is small, as in `thm-one-step`.
    """
    n, m, d = 12, 150, 300
    X, y, W0, a = _draw(n, m, d, np.random.default_rng(0))
    W0 = bounds.one_step_sigma(m, d, n, 1.0, 1.0, 1.0) * W0
    with figure() as (fig, (axes,)):
        for k, t in enumerate((0, 1, 100)):
            W = network.gradient_descent(X, y, W0, a, GAMMA, 1.0, t).W
            singular = np.linalg.svd(W, compute_uv=False)
            label = f"$t={t}$: stable rank {rank.stable_rank(W):.2f}"
            axes.plot(np.arange(1, m + 1), singular / singular[0], label=label, markevery=15, **curve(k))
        axes.set(yscale="log", xlabel="index $k$", ylabel=r"$s_k(W^{(t)})\,/\,s_1(W^{(t)})$")
        axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.68))
    return fig


def initial_rank() -> Figure:
    """Stable rank of Gaussian weights over a grid of ``(m, d)``, against ``md/(√m+√d)²`` and the proved floor."""
    rng, dims, fine = np.random.default_rng(1), (10, 30, 100, 300, 900), np.geomspace(10, 900, 60)
    with figure(columns=2) as (fig, (left, right)):
        for k, m in enumerate((25, 100, 400)):
            measured = np.array([[rank.stable_rank(rng.standard_normal((m, d))) for _ in DRAWS] for d in dims]).T
            band(left, dims, measured, k, label=f"$m={m}$")
            left.plot(fine, m * fine / (np.sqrt(m) + np.sqrt(fine)) ** 2, color="black", linewidth=0.7)
            left.plot(fine, np.minimum(m, fine) / 18, color=COLORS[k], linewidth=0.8, linestyle=":")
            band(right, dims, measured / [rank.expected_stable_rank(m, d) for d in dims], k)
        left.set(xscale="log", yscale="log", xlabel="$d$", ylabel=r"$\mathrm{StableRank}(W^{(0)})$")
        left.legend(loc="upper left")
        right.axhline(1, color="black", linewidth=0.7)
        right.set(xscale="log", xlabel="$d$", ylabel=r"measured over $md/(\sqrt{m}+\sqrt{d})^2$")
    return fig


def one_step() -> Figure:
    """Stable rank before and after one step (α = 1) against σ, with the bound of `thm-one-step`.

    The bound at a given σ is that of the smallest η that σ allows, and is drawn where one exists.
    """
    n, sigmas, gradient_rank = 8, np.geomspace(1e-6, 1.0, 25), bounds.gaussian_gradient_rank_bound(THETA, GAMMA)
    with figure(height=3.6) as (fig, (axes,)):
        for k, (m, d) in enumerate(((50, 100), (100, 300), (200, 600))):
            rng = np.random.default_rng(k)
            before, after = [], []
            for _ in DRAWS:
                X, y, Z, a = _draw(n, m, d, rng)
                before.append(rank.stable_rank(Z))
                after.append([rank.stable_rank(v * Z - network.loss_gradient(X, y, v * Z, a, GAMMA)) for v in sigmas])
            band(axes, sigmas, after, k, label=f"$m={m},\\ d={d}$", markevery=3)
            axes.axhline(float(np.median(before)), color=COLORS[k], linewidth=0.8, linestyle=":")
            limit = bounds.small_sigma(m, d, n, THETA, 0.25, 1.0, 1.0, 1.0, 1 - 1e-9)
            x = np.geomspace(sigmas[0], 0.6 * limit, 80)
            bound = [bounds.one_step_rank_bound(gradient_rank, v / limit) for v in x]
            axes.plot(x, bound, color=COLORS[k], linewidth=2.2, alpha=0.6, label="" if k else "bound")
        C = bounds.ONE_STEP_CONSTANT
        axes.axhline(C, color="black", linewidth=0.8, label=f"$C = {C:.0f}$")
        axes.set(xscale="log", yscale="log", xlabel=r"$\sigma$", ylabel=r"$\mathrm{StableRank}(W^{(1)})$")
        axes.legend(loc="lower right")
    return fig


def trajectory() -> Figure:
    """``StableRank(W⁽ᵗ⁾ - W⁽⁰⁾)`` along runs with several step sizes, against the bound of `thm-trajectory`."""
    gamma, steps = 0.2, 300

    def ranks(X: Array, y: Array, W0: Array, a: Array, alpha: float) -> Array:
        run = network.gradient_descent(X, y, W0, a, gamma, alpha, steps, record_rank=True)
        return np.asarray(run.rank_of_change)[1:]

    t = np.arange(1, steps + 1)
    marks = (np.unique(np.geomspace(1, steps, 10).astype(int)) - 1).tolist()
    with figure(columns=2, height=3.4, sharey=True) as (fig, (left, right)):
        for k, alpha in enumerate((0.1, 10.0, 1000.0)):
            look = {"label": rf"$\alpha={alpha:g}$", "markevery": marks}
            rows = [ranks(*_draw(10, 40, 80, np.random.default_rng(s)), alpha) for s in DRAWS]
            band(left, t, rows, k, **look)
            right.plot(t, ranks(*rank.extremal_network(2, 12), alpha), **look, **curve(k))
        titles = (r"$\theta=1/3$, Gaussian start", r"$\theta=0$, worst start")
        for axes, theta, title in zip((left, right), (THETA, 0.0), titles):
            axes.axhline(bounds.trajectory_rank_bound(theta, gamma), color="black", linewidth=0.9, label="bound")
            axes.set(xscale="log", xlabel="$t$", title=title)
        left.set_ylabel(r"$\mathrm{StableRank}(W^{(t)}-W^{(0)})$")
        right.legend(loc="lower left", labelspacing=0.2)
    return fig


def sharp_limits() -> Figure:
    """The two limits of the gradient's stable rank for orthogonal data: Gaussian and adversarial weights."""
    rng, widths = np.random.default_rng(3), np.geomspace(10, 10_000, 9).astype(int)

    def gradient_rank(y: Array, m: int) -> float:
        W = 1e-6 * rng.standard_normal((m, len(y)))
        a = network.output_weights(rng.choice([-1.0, 1.0], m))
        return rank.stable_rank(network.loss_gradient(np.eye(len(y)), y, W, a, GAMMA))

    with figure(columns=2, height=3.4) as (fig, (left, right)):
        for k, n in enumerate((1, 4, 16, 64)):
            y = rng.choice([-1.0, 1.0], n)
            ranks = [[gradient_rank(y, m) for _ in DRAWS] for m in widths]
            band(left, widths, np.transpose(ranks), k, label=f"$n={n}$")
            left.axhline(rank.gaussian_gradient_rank(np.ones(n), GAMMA), color=COLORS[k], linewidth=0.8, linestyle=":")
        left.axhline(rank.gaussian_spread(GAMMA), color="black", linewidth=0.9)
        left.set(xscale="log", xlabel="$m$", ylabel=r"$\mathrm{StableRank}(\nabla\widehat{L})$")
        left.set_title("Gaussian weights")
        left.legend(loc="center right", bbox_to_anchor=(1.0, 0.27), ncols=2)
        slopes = np.geomspace(0.02, 1, 100)
        largest, gaussian = [bounds.spread_bound(v) for v in slopes], [rank.gaussian_spread(v) for v in slopes]
        right.plot(slopes, largest, color="black", linewidth=1.2, label=r"$(1+\gamma)^2/4\gamma$")
        right.plot(slopes, gaussian, color=COLORS[1], linestyle="--", label=r"$\kappa_\infty$")
        worst = {1 / (n - 1): rank.extremal_network(1, n) for n in (2, 3, 4, 6, 10, 20, 40)}
        exact = [rank.stable_rank(network.loss_gradient(*case, v)) for v, case in worst.items()]
        right.plot(list(worst), exact, linestyle="none", marker="o", color=COLORS[0], label="worst weights")
        right.set(xscale="log", yscale="log", xlabel=r"$\gamma$", title="Adversarial weights")
        right.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
        right.legend(loc="upper right")
    return fig
