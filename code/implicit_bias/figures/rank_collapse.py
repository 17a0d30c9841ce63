"""The figures of Problem 3: stable rank at initialisation, after one step, and along a whole run."""

import numpy as np
from matplotlib.figure import Figure

from .. import bounds, network, rank
from ..checks import Array
from .style import COLORS, INK, MEASURED, PROVED, band, curve, ends, figure, name, ticks

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
    with figure() as (fig, axes):
        for k, t in enumerate((0, 1, 100)):
            W = network.gradient_descent(X, y, W0, a, GAMMA, 1.0, t).W
            singular = np.linalg.svd(W, compute_uv=False)
            relative = singular / singular[0]
            axes.plot(np.arange(1, m + 1), relative, markevery=[n - 1, n], **curve(k))
            name(axes, f"$t={t}$, stable\nrank {rank.stable_rank(W):.1f}", (m, relative[-1]), COLORS[k])
            if t == 1:
                name(axes, f"$k=n={n}$", (n, relative[n - 1]), xytext=(5, -4))
        axes.set(xscale="log", yscale="log", xlabel="index $k$", ylabel="singular value $s_k/s_1$")
        axes.set(xlim=(0.9, 5000), ylim=(1e-6, 1.5))
        ticks(axes, "x", (1, 10, 100))
        ticks(axes, "y", (1, 1e-2, 1e-4, 1e-6))
    return fig


def initial_rank() -> Figure:
    """Stable rank of Gaussian weights over a grid of ``(m, d)``, against ``md/(√m+√d)²`` and the proved floor."""
    rng, dims, fine = (
        np.random.default_rng(1),
        (10, 30, 100, 300, 900),
        np.unique(np.geomspace(10, 900, 60).astype(int)),
    )
    with figure(2.9) as (fig, axes):
        axes.set(
            xscale="log", yscale="log", xlabel="$d$", ylabel=r"StableRank$(W^{(0)})$", xlim=(8, 10**4), ylim=(0.5, 250)
        )
        last = []
        for k, m in enumerate((25, 100, 400)):
            measured = np.array([[rank.stable_rank(rng.standard_normal((m, d))) for _ in DRAWS] for d in dims]).T
            middle = band(axes, dims, measured, k, linestyle="none")
            axes.plot(fine, [rank.expected_stable_rank(m, v) for v in fine.tolist()], color=INK, linewidth=0.8)
            axes.plot(fine, np.minimum(m, fine) / 18, color=PROVED, linewidth=1.2)
            axes.plot(dims[-1], m / 18, **curve(k), markerfacecolor="white")
            last += [(f"$m={m}$", middle[-1], COLORS[k]), (f"floor, $m={m}$", m / 18, COLORS[k])]
        ends(axes, dims[-1], last)
        name(axes, "black lines: predicted", (9, 150))
        name(axes, "proved floors", (14, 0.7), PROVED)
        ticks(axes, "x", (10, 100, 1000))
        ticks(axes, "y", (1, 10, 100))
    return fig


def one_step() -> Figure:
    """Stable rank before and after one step (α = 1) against σ, with the bound of `thm-one-step-fine`.

    The bound at a given σ is that of the smallest η that σ allows, and is drawn where one exists.
    """
    n, sigmas, gradient_rank = 8, np.geomspace(1e-6, 1.0, 25), bounds.gaussian_gradient_rank_bound(THETA, GAMMA)
    with figure(3.1) as (fig, axes):
        for k, (m, d) in enumerate(((50, 100), (100, 300), (200, 600))):
            rng = np.random.default_rng(k)
            before, after = [], []
            for _ in DRAWS:
                X, y, Z, a = _draw(n, m, d, rng)
                before.append(rank.stable_rank(Z))
                after.append([rank.stable_rank(v * Z - network.loss_gradient(X, y, v * Z, a, GAMMA)) for v in sigmas])
            middle = band(axes, sigmas, after, k, markevery=3)
            name(axes, f"$({m},{d})$", (sigmas[-1], float(np.median(before))), COLORS[k])
            limit = bounds.small_sigma(m, d, n, THETA, 0.25, 1.0, 1.0, 1.0, 1 - 1e-9)
            x = np.geomspace(sigmas[0], 0.6 * limit, 80)
            bound = [bounds.one_step_rank_bound(gradient_rank, v / limit) for v in x]
            axes.plot(x, bound, color=PROVED, linestyle=curve(k)["linestyle"])
            if not k:
                level, risen = 15.0, int(np.argmax(middle > 15.0)) + 1
                rises = (bound, x), (middle[risen - 2 : risen], sigmas[risen - 2 : risen])
                tips = [np.exp(np.interp(np.log(level), np.log(y), np.log(sigma))) for y, sigma in rises]
                axes.annotate(
                    "", (tips[1], level), (tips[0], level), arrowprops={"arrowstyle": "<->", "shrinkA": 0, "shrinkB": 0}
                )
                text = rf"$\times{float(f'{tips[1] / tips[0]:.1e}'):.0f}$"
                name(axes, text, (4.6 * tips[0], level), place="above")
        name(axes, "proved, $m=200,\\ 100,\\ 50$", (sigmas[0], 125), PROVED)
        name(axes, "measured", (1e-5, 1.7), MEASURED, "above")
        name(axes, "$(m,d)=$", (sigmas[-1], 135), MEASURED)
        axes.set(
            xscale="log",
            yscale="log",
            xlabel=r"$\sigma$",
            ylabel=r"StableRank$(W^{(1)})$",
            xlim=(1e-6, 60),
            ylim=(1, 170),
        )
        ticks(axes, "x", (1e-6, 1e-4, 1e-2, 1))
        ticks(axes, "y", (1, 10, 100))
    return fig


def trajectory() -> Figure:
    """Largest ``StableRank(W⁽ᵗ⁾ - W⁽⁰⁾)`` along runs, against ``γ``, and the bound of `thm-trajectory`.

    Gaussian starts and data with ``θ = 1/3``; and for ``θ = 0`` the starts of `prp-sharp-adversarial`.
    """
    steps, alphas, slopes = 50, (0.1, 10.0, 1000.0), (0.02, 0.05, 0.1, 0.2, 0.5)

    def largest(X: Array, y: Array, W0: Array, a: Array, gamma: float) -> float:
        runs = (network.gradient_descent(X, y, W0, a, gamma, v, steps, record_rank=True) for v in alphas)
        return float(max(max(run.rank_of_change[1:]) for run in runs))

    fine = np.geomspace(0.02, 1, 100)
    with figure(2.9) as (fig, axes):
        draws = [_draw(10, 40, 80, np.random.default_rng(s)) for s in DRAWS]
        band(axes, slopes, [[largest(*draw, v) for v in slopes] for draw in draws], 1)
        for theta, style in ((THETA, "-"), (0.0, "--")):
            axes.plot(fine, [bounds.trajectory_rank_bound(theta, v) for v in fine], color=PROVED, linestyle=style)
        worst = {1 / (k - 1): largest(*rank.extremal_network(1, k), 1 / (k - 1)) for k in (2, 3, 6, 12, 40)}
        axes.plot(list(worst), list(worst.values()), "D", color=COLORS[3])
        name(axes, r"bound, $\theta=1/3$", (0.05, bounds.trajectory_rank_bound(THETA, 0.05)), PROVED)
        name(axes, r"bound, $\theta=0$", (0.055, 4.9), PROVED, "left")
        name(axes, "worst start,\n" r"$\theta=0$", (1 / 11, worst[1 / 11]), COLORS[3], "left", xytext=(-11, -5))
        name(axes, r"Gaussian start, $\theta=1/3$", (0.0125, 1.25), MEASURED)
        axes.set(xlim=(0.011, 1.1), xscale="log", yscale="log", xlabel=r"slope $\gamma$")
        axes.set_ylabel("StableRank$(W^{(t)}-W^{(0)})$,\nlargest over $t$ and $\\alpha$")
        ticks(axes, "x", (0.02, 0.05, 0.1, 0.2, 0.5, 1))
        ticks(axes, "y", (1, 2, 5, 10, 20))
    return fig


def _gradient_rank(y: Array, m: int, rng: np.random.Generator) -> float:
    """Return the gradient's stable rank for orthonormal samples and small Gaussian weights of width ``m``."""
    W = 1e-6 * rng.standard_normal((m, len(y)))
    a = network.output_weights(rng.choice([-1.0, 1.0], m))
    return rank.stable_rank(network.loss_gradient(np.eye(len(y)), y, W, a, GAMMA))


def gaussian_limit() -> Figure:
    """The gradient's stable rank for orthogonal data and Gaussian weights, against the width (`prp-sharp-gaussian`)."""
    rng, widths = np.random.default_rng(3), np.geomspace(10, 10_000, 9).astype(int)
    with figure() as (fig, axes):
        axes.set(
            xscale="log", xlabel="width $m$", ylabel="stable rank of the gradient", xlim=(10, 1e5), ylim=(1.3, 1.9)
        )
        last = [(r"$\kappa_\infty$", rank.gaussian_spread(GAMMA), INK)]
        for k, n in enumerate((4, 16, 64)):
            y = rng.choice([-1.0, 1.0], n)
            band(axes, widths, np.transpose([[_gradient_rank(y, m, rng) for _ in DRAWS] for m in widths]), k)
            limit = rank.gaussian_gradient_rank(np.ones(n), GAMMA)
            axes.plot(widths[[0, -1]], [limit, limit], color=INK, linewidth=0.8)
            last.append((f"$n={n}$", limit, COLORS[k]))
        axes.plot(widths[[0, -1]], [rank.gaussian_spread(GAMMA)] * 2, color=INK, linewidth=1.6)
        ends(axes, widths[-1], last)
        name(axes, r"limits, $m\to\infty$", (1500, 1.52), place="above")
        ticks(axes, "x", (10, 100, 1000, 10_000))
    return fig


def adversarial_limit() -> Figure:
    """The gradient's largest stable rank for orthogonal data, against ``γ`` (`prp-sharp-adversarial`)."""
    slopes = np.geomspace(0.02, 1, 100)
    with figure() as (fig, axes):
        axes.plot(slopes, [bounds.spread_bound(v) for v in slopes], color=PROVED)
        axes.plot(slopes, [rank.gaussian_spread(v) for v in slopes], color=INK, linestyle="--")
        worst = {1 / (n - 1): rank.extremal_network(1, n) for n in (2, 3, 4, 6, 10, 20, 40)}
        exact = [rank.stable_rank(network.loss_gradient(*case, v)) for v, case in worst.items()]
        axes.plot(list(worst), exact, **curve(1) | {"linestyle": "none"})
        name(axes, "bound", (0.035, bounds.spread_bound(0.035)), PROVED, xytext=(6, 4))
        name(axes, "worst weights", (1 / 9, exact[4]), MEASURED, xytext=(8, 4))
        name(axes, r"Gaussian weights: $\kappa_\infty$", (0.02, 1.35))
        axes.set(xscale="log", yscale="log", xlabel=r"slope $\gamma$", ylabel="stable rank of the gradient")
        ticks(axes, "x", (0.02, 0.05, 0.1, 0.2, 0.5, 1))
        ticks(axes, "y", (1, 2, 5, 10))
    return fig
