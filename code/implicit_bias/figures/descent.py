"""Figures of Problem 1: the kink, a run against both rates, and first hitting times."""

from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .. import bounds, network
from ..checks import Array
from ..margin import max_margin
from .style import COLORS, HALF, MEASURED, PROVED, curve, ends, figure, name, slope, ticks

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
    X = rng.standard_normal((n, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y = np.where(X[:, 0] >= 0, 1.0, -1.0)
    X[:, 0] += 0.02 * y
    X /= np.linalg.norm(X, axis=1).max()
    a = network.output_weights(rng.permutation(np.repeat([1.0, -1.0], m // 2)))
    c = bounds.margin_constant(gamma, max_margin(X, y).w)
    return Example(X, y, a, rng.standard_normal((m, d)) / np.sqrt(d), gamma, c)


def kink_quotient(gamma: float, delta: float) -> float:
    """Return ``‖∇L̂(W⁺) - ∇L̂(W⁻)‖ / ‖W⁺ - W⁻‖`` for ``W^± = ±δ`` and one sample ``x = y = 1``, one neuron ``a = 1``."""
    plus, minus = (network.loss_gradient([[1.0]], [1.0], [[w]], [1.0], gamma) for w in (delta, -delta))
    return float(np.linalg.norm(plus - minus)) / (2 * delta)


def kink() -> Figure:
    """Draw `kink_quotient` against ``δ``."""
    deltas = np.logspace(-6, -2, 9)
    with figure() as (fig, axes):
        axes.set(xlim=(6e-7, 2e-1), ylim=(5e-3, 1e6))
        last = []
        for k, gamma in enumerate((0.05, 0.5, 0.9, 1.0)):
            quotients = [kink_quotient(gamma, t) for t in deltas]
            axes.loglog(deltas, quotients, **curve(k))
            last.append((rf"$\gamma={gamma:g}$", quotients[-1], COLORS[k]))
        ends(axes, deltas[-1], last)
        axes.plot(deltas[[0, -1]], [bounds.smoothness_constant()] * 2, color=PROVED)
        name(axes, r"bound 1/4, if $\gamma=1$", (1e-4, bounds.smoothness_constant()), PROVED, "below")
        slope(axes, (3e-6, 1e3), -1)
        ticks(axes, "x", (1e-6, 1e-4, 1e-2))
        ticks(axes, "y", (1e-2, 1, 1e2, 1e4, 1e6))
        axes.set_xlabel(r"distance $\delta$ of both weights to the kink")
        axes.set_ylabel("difference quotient\nof the gradient")
    return fig


def run() -> list[Figure]:
    """Draw the mean of ``Ĝ`` over the first T iterates on `example`, for two step sizes, with its two bounds."""
    e, steps = example(), 10_000
    counts, further = (np.unique(np.geomspace(1, last, 100).astype(int)) for last in (steps, 1_000_000))
    figures = []
    for alpha in (1.0, 100.0):
        with figure(width=HALF) as (fig, axes):
            path = network.gradient_descent(e.X, e.y, e.W0, e.a, e.gamma, alpha, steps - 1)
            mean = np.cumsum(path.G)[counts - 1] / counts
            axes.loglog(counts, mean, color=MEASURED)
            name(axes, "measured", (counts[-1], mean[-1]), MEASURED, "left", xytext=(-5, -6))
            for rate, style, text in (
                (bounds.rate_homework, "--", "homework's\nbound"),
                (bounds.fast_rate, "-", "fast rate's\nbound"),
            ):
                bound = [min(1.0, rate(T, alpha, e.c, path.F[0])) for T in further]
                axes.loglog(further, bound, color=PROVED, linestyle=style)
                name(axes, text, (further[-1], bound[-1]), PROVED, "right")
            axes.set(xlabel="number of iterates $T$", ylabel=r"mean of $\hat G$", xlim=(1, 3e8), ylim=(5e-5, 2))
            ticks(axes, "x", (1, 1e2, 1e4, 1e6))
            ticks(axes, "y", (1e-4, 0.01, 1))
        figures.append(fig)
    return figures


@cache
def first_times(alpha: float) -> tuple[Array, NDArray[np.int64]]:
    """Return targets ε, from 0.1 down to ``10^{-2.5}/max{1, α}``, and after how many iterates ``Ĝ ≤ ε`` on `example`.

    Larger steps go further down in the same number of steps: `prp-lower-bound` suggests ``T ~ 1/(αε)``.
    """
    e, eps = example(), np.logspace(-1, -2.5 - max(0.0, np.log10(alpha)), 11)
    limit = bounds.steps_fast_rate(eps[-1], alpha, e.c, float(np.linalg.norm(e.W0)))
    path = network.gradient_descent(e.X, e.y, e.W0, e.a, e.gamma, alpha, limit, stop_at=eps[-1])
    return eps, np.array([np.argmax(target >= path.G) + 1 for target in eps])


def hitting_slope(alpha: float) -> float:
    """Return the slope of ``log T`` against ``log ε``, least squares over the smallest decade of ε."""
    eps, times = first_times(alpha)
    late = eps <= 10.001 * eps[-1]
    return float(np.polyfit(np.log(eps[late]), np.log(times[late]), 1)[0])


def hitting_times() -> Figure:
    """Draw the first hitting time of ``Ĝ ≤ ε`` against ε for ``α = 100``, with both bounds."""
    e, alpha = example(), 100.0
    norm0, (eps, times) = float(np.linalg.norm(e.W0)), first_times(alpha)
    with figure() as (fig, axes):
        axes.loglog(eps, times, **curve(0))
        name(axes, "measured", (eps[5], times[5]), MEASURED, xytext=(8, -6))
        for count, style, text in (
            (bounds.steps_homework, "--", r"homework: $1/\varepsilon^2$"),
            (bounds.steps_fast_rate, "-", r"fast rate: $1/\varepsilon$"),
        ):
            enough = [count(target, alpha, e.c, norm0) for target in eps]
            axes.loglog(eps, enough, color=PROVED, linestyle=style)
            name(axes, text, (eps[5], enough[5]), PROVED, xytext=(8, -6))
        axes.set(
            xlabel=r"$\varepsilon$", ylabel=r"steps until $\hat G\leq\varepsilon$", xlim=(0.15, 2e-5), ylim=(1, 1e12)
        )
        ticks(axes, "x", (0.1, 0.01, 1e-3, 1e-4))
        ticks(axes, "y", (1, 1e4, 1e8, 1e12))
    return fig
