"""Figures of Problem 1: the kink, a run against both rates, and first hitting times."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .. import bounds, network
from ..margin import max_margin
from .style import Array, curve, figure, legend_below

STEP_SIZES = (0.1, 1.0, 10.0, 100.0, 300.0, 1000.0)
"""Step sizes of `hitting_times`."""


class Example(NamedTuple):
    """Data in the unit ball, a network, and ``c = γ/‖w_MM‖`` (`bounds.margin_constant`)."""

    X: Array
    y: Array
    a: Array
    W0: Array
    gamma: float
    c: float


@cache
def example() -> Example:
    """Return 40 samples in dimension 5 with a narrow margin, and a network of 8 neurons."""
    rng = np.random.default_rng(2)
    n, d, m, gamma = 40, 5, 8, 0.5
    u = np.eye(d)[0]
    X = rng.standard_normal((n, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y = np.where(X @ u >= 0, 1.0, -1.0)
    X += 0.02 * np.outer(y, u)
    X /= np.linalg.norm(X, axis=1).max()
    a = network.output_weights(rng.permutation([1.0] * (m // 2) + [-1.0] * (m // 2)))
    c = bounds.margin_constant(gamma, max_margin(X, y).w)
    return Example(X, y, a, rng.standard_normal((m, d)) / np.sqrt(d), gamma, c)


def kink_quotient(gamma: float, delta: float) -> float:
    """Return ``‖∇L̂(W⁺) - ∇L̂(W⁻)‖ / ‖W⁺ - W⁻‖`` for ``W^± = ±δ`` and one sample ``x = y = 1``, ``m = 1``."""
    gradients = [network.loss_gradient([[1.0]], [1.0], [[w]], [1.0], gamma)[0, 0] for w in (delta, -delta)]
    return abs(float(gradients[0] - gradients[1])) / (2 * delta)


def kink() -> Figure:
    """Draw the gradient's difference quotient across the kink against the distance to it."""
    deltas = np.logspace(-6, 0, 13)
    with figure(height=3.4) as (fig, (ax,)):
        for k, gamma in enumerate((0.05, 0.5, 0.9, 1.0)):
            ax.loglog(deltas, [kink_quotient(gamma, t) for t in deltas], label=rf"$\gamma={gamma}$", **curve(k))
        ax.axhline(bounds.smoothness_constant(), label=r"$1/4$", **curve(4) | {"marker": ""})
        ax.set_xlabel(r"distance $\delta$ of $W^{+}$ and $W^{-}$ to the kink")
        ax.set_ylabel(r"$\|\nabla\hat L(W^{+})-\nabla\hat L(W^{-})\|_F\,/\,\|W^{+}-W^{-}\|_F$")
        ax.legend()
    return fig


def run(alphas: tuple[float, float] = (1.0, 100.0), steps: int = 10000) -> Figure:
    """Draw ``Ĝ`` and ``L̂`` along two runs on `example`, a panel for each step size, with both rates."""
    e = example()
    counts = np.unique(np.logspace(0, np.log10(steps), 200).astype(int))
    sparse = np.unique(np.logspace(0, np.log10(steps), 9).astype(int))
    with figure(columns=2, height=3.9, sharex=True, sharey=True) as (fig, axes):
        for ax, alpha in zip(axes, alphas):
            path = network.gradient_descent(e.X, e.y, e.W0, e.a, e.gamma, alpha, steps - 1)
            measured = {
                r"$\hat G(W^{(t)})$": path.G[counts - 1],
                r"$\hat L(W^{(t)})$": path.L[counts - 1],
                r"mean of $\hat G$": np.cumsum(path.G)[counts - 1] / counts,
            }
            for k, (label, values) in enumerate(measured.items()):
                ax.loglog(counts, values, label=label, markevery=25, markersize=4, **curve(k))
            first, fast = (
                np.array([rate(int(t), alpha, e.c, path.F[0]) for t in sparse])
                for rate in (bounds.first_rate, bounds.fast_rate)
            )
            ax.loglog(sparse, np.minimum(first, 1), label="first rate", **curve(3))
            ax.loglog(sparse, fast, label="fast rate", **curve(4))
            ax.set(title=rf"$\alpha={alpha:g}$", xlabel=r"number of iterates $T=t+1$")
        axes[0].set_ylim(1e-6, 3)
        legend_below(fig)
    return fig


def targets(alpha: float) -> Array:
    """Return the targets ε of `hitting_times`, from 0.1 down to ``10^{-2.5}/max{1, α}``.

    Larger steps go further down in the same number of steps: `prp-lower-bound` suggests ``T ~ 1/(αε)``.
    """
    return np.logspace(-1, -2.5 - max(0.0, np.log10(alpha)), 11)


@cache
def first_times(alpha: float) -> NDArray[np.int64]:
    """Return, for each of `targets`, the first ``t`` with ``Ĝ(W^{(t)}) ≤ ε`` on `example`."""
    e, eps = example(), targets(alpha)
    limit = bounds.steps_fast_rate(eps[-1], alpha, e.c, float(np.linalg.norm(e.W0)))
    path = network.gradient_descent(e.X, e.y, e.W0, e.a, e.gamma, alpha, limit, stop_at=eps[-1])
    return np.array([np.argmax(target >= path.G) for target in eps])


def hitting_slope(alpha: float) -> float:
    """Return the slope of ``log T`` against ``log ε``, least squares over the smallest decade of `targets`."""
    eps = targets(alpha)
    late = eps <= 10.001 * eps[-1]
    return float(np.polyfit(np.log(eps[late]), np.log(first_times(alpha)[late] + 1), 1)[0])


def hitting_times() -> Figure:
    """Draw the first hitting time of ``Ĝ ≤ ε`` against ε for six step sizes, with both bounds."""
    e = example()
    norm0 = float(np.linalg.norm(e.W0))
    with figure(2, 3, height=4.6, sharex=True, sharey=True) as (fig, axes):
        for ax, alpha in zip(axes, STEP_SIZES):
            eps = targets(alpha)
            fast, first = (
                [count(target, alpha, e.c, norm0) for target in eps]
                for count in (bounds.steps_fast_rate, bounds.steps_first_rate)
            )
            curves = {"measured": first_times(alpha) + 1, "fast rate": fast, "first rate": first}
            for k, (label, steps) in enumerate(curves.items()):
                ax.loglog(eps, steps, label=label, **curve(k))
            ax.set_title(rf"$\alpha={alpha:g}$")
        for ax in axes[3:]:
            ax.set_xlabel(r"target $\varepsilon$")
        for ax in axes[::3]:
            ax.set_ylabel(r"steps $T$")
        legend_below(fig)
    return fig
