"""Figures of Problem 1: the kink, a run against both rates, and first hitting times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from implicit_bias import bounds, network
from implicit_bias.figures import style
from implicit_bias.margin import max_margin

Array = NDArray[np.float64]

STEP_SIZES = (0.1, 1.0, 10.0, 100.0, 300.0, 1000.0)
"""Step sizes of `hitting_times`."""


def targets(alpha: float) -> Array:
    """Return the targets ε of `hitting_times`, from 0.1 down to ``10^{-2.5}/max{1, α}``.

    Larger steps go further down in the same number of steps: `prp-lower-bound` suggests ``T ~ 1/(αε)``.
    """
    return np.logspace(-1, -2.5 - max(0.0, np.log10(alpha)), 11)


@dataclass(frozen=True)
class Example:
    """A data set and a network on which gradient descent is run in the figures.

    Attributes
    ----------
    X : ndarray, shape (n, d)
        Samples in the unit ball.
    y : ndarray, shape (n,)
        Labels.
    a : ndarray, shape (m,)
        Second-layer weights.
    W0 : ndarray, shape (m, d)
        First weights.
    gamma : float
        Slope.
    c : float
        ``γ/‖w_MM‖``, see `bounds.margin_constant`.
    """

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
    """Return ``‖∇L̂(W⁺) - ∇L̂(W⁻)‖ / ‖W⁺ - W⁻‖`` for ``W^± = ±δ`` and one sample ``x = y = 1``, ``m = 1``.

    Parameters
    ----------
    gamma : float
        Slope, in (0, 1].
    delta : float
        Distance of either weight from the kink, positive.
    """
    gradients = [network.loss_gradient([[1.0]], [1.0], [[w]], [1.0], gamma)[0, 0] for w in (delta, -delta)]
    return abs(gradients[0] - gradients[1]) / (2 * delta)


def kink() -> Figure:
    """Draw the gradient's difference quotient across the kink against the distance to it."""
    deltas = np.logspace(-6, 0, 13)
    with style.figure(height=3.4) as (fig, (ax,)):
        for k, gamma in enumerate((0.05, 0.5, 0.9, 1.0)):
            ax.loglog(deltas, [kink_quotient(gamma, t) for t in deltas], label=rf"$\gamma={gamma}$", **style.curve(k))
        ax.axhline(bounds.smoothness_constant(), label=r"$1/4$", **style.curve(4) | {"marker": ""})
        ax.set_xlabel(r"distance $\delta$ of $W^{+}$ and $W^{-}$ to the kink")
        ax.set_ylabel(r"$\|\nabla\hat L(W^{+})-\nabla\hat L(W^{-})\|_F\,/\,\|W^{+}-W^{-}\|_F$")
        ax.legend()
    return fig


def run(alphas: tuple[float, float] = (1.0, 100.0), steps: int = 10000) -> Figure:
    """Draw ``Ĝ`` and ``L̂`` along two runs on `example`, with both rates.

    Parameters
    ----------
    alphas : (float, float)
        Step size of each panel.
    steps : int
        Number of steps.
    """
    e = example()
    counts = np.unique(np.logspace(0, np.log10(steps), 200).astype(int))
    sparse = np.unique(np.logspace(0, np.log10(steps), 9).astype(int))
    with style.figure(columns=2, height=3.9, sharex=True, sharey=True) as (fig, axes):
        for ax, alpha in zip(axes, alphas):
            path = network.gradient_descent(e.X, e.y, e.W0, e.a, e.gamma, alpha, steps - 1)
            norm0 = path.F[0]
            every = {"markevery": 25, "markersize": 4}
            ax.loglog(counts, path.G[counts - 1], label=r"$\hat G(W^{(t)})$", **style.curve(0), **every)
            ax.loglog(counts, path.L[counts - 1], label=r"$\hat L(W^{(t)})$", **style.curve(1), **every)
            mean = np.cumsum(path.G)[counts - 1] / counts
            ax.loglog(counts, mean, label=r"mean of $\hat G$", **style.curve(2), **every)
            first = [bounds.first_rate(int(t), alpha, e.c, norm0) for t in sparse]
            fast = [bounds.fast_rate(int(t), alpha, e.c, norm0) for t in sparse]
            ax.loglog(sparse, np.minimum(first, 1), label="first rate", **style.curve(3))
            ax.loglog(sparse, fast, label="fast rate", **style.curve(4))
            ax.set_title(rf"$\alpha={alpha:g}$")
            ax.set_xlabel(r"number of iterates $T=t+1$")
        axes[0].set_ylim(1e-6, 3)
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


@cache
def first_times(alpha: float) -> Array:
    """Return, for each of `targets`, the first ``t`` with ``Ĝ(W^{(t)}) ≤ ε`` on `example`.

    Parameters
    ----------
    alpha : float
        Step size.
    """
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
    with style.figure(2, 3, height=4.6, sharex=True, sharey=True) as (fig, axes):
        for k, (ax, alpha) in enumerate(zip(axes, STEP_SIZES)):
            eps = targets(alpha)
            ax.loglog(eps, first_times(alpha) + 1, label="measured", **style.curve(0))
            for j, (bound, name) in enumerate(
                ((bounds.steps_fast_rate, "fast rate"), (bounds.steps_first_rate, "first rate")), start=1
            ):
                ax.loglog(eps, [bound(target, alpha, e.c, norm0) for target in eps], label=name, **style.curve(j))
            ax.set_title(rf"$\alpha={alpha:g}$")
            if k >= 3:
                ax.set_xlabel(r"target $\varepsilon$")
            if k % 3 == 0:
                ax.set_ylabel(r"steps $T$")
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig
