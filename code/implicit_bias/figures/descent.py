"""Figures of Problem 1: the kink, a run against both rates, and first hitting times."""

from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .. import bounds, network
from ..checks import Array
from ..margin import max_margin
from .style import curve, figure, shared_legend

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
    deltas = np.logspace(-6, 0, 13)
    with figure(height=3.4) as (fig, (axes,)):
        for k, gamma in enumerate((0.05, 0.5, 0.9, 1.0)):
            axes.loglog(deltas, [kink_quotient(gamma, t) for t in deltas], label=rf"$\gamma={gamma}$", **curve(k))
        axes.axhline(bounds.smoothness_constant(), label=r"$1/4$", **curve(4) | {"marker": ""})
        axes.set_xlabel(r"distance $\delta$ of $W^{+}$ and $W^{-}$ to the kink")
        axes.set_ylabel(r"$\|\nabla\hat L(W^{+})-\nabla\hat L(W^{-})\|_F\,/\,\|W^{+}-W^{-}\|_F$")
        axes.legend()
    return fig


def run() -> Figure:
    """Draw the mean of ``Ĝ`` over the first T iterates on `example`, a panel a step size, with its two bounds."""
    e, steps = example(), 10_000
    counts, sparse = (np.unique(np.logspace(0, np.log10(steps), k).astype(int)) for k in (200, 9))
    with figure(columns=2, height=3.4, sharex=True, sharey=True) as (fig, panels):
        for axes, alpha in zip(panels, (1.0, 100.0)):
            path = network.gradient_descent(e.X, e.y, e.W0, e.a, e.gamma, alpha, steps - 1)
            mean = np.cumsum(path.G)[counts - 1] / counts
            axes.loglog(counts, mean, label=r"mean of $\hat G$, measured", markevery=25, **curve(0))
            for k, (rate, label) in enumerate(((bounds.fast_rate, "fast rate"), (bounds.rate_homework, "homework"))):
                bound = [min(1.0, rate(T, alpha, e.c, path.F[0])) for T in sparse]
                axes.loglog(sparse, bound, label=label, **curve(k + 1))
            axes.set(title=rf"$\alpha={alpha:g}$", xlabel="number of iterates $T$")
        shared_legend(fig)
    return fig


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
    """Draw the first hitting time of ``Ĝ ≤ ε`` against ε for six step sizes, with both bounds."""
    e = example()
    norm0 = float(np.linalg.norm(e.W0))
    with figure(2, 3, height=4.6, sharex=True, sharey=True) as (fig, panels):
        for axes, alpha in zip(panels, STEP_SIZES):
            eps, times = first_times(alpha)
            axes.loglog(eps, times, label="measured", **curve(0))
            fast = [bounds.steps_fast_rate(target, alpha, e.c, norm0) for target in eps]
            axes.loglog(eps, fast, label="fast rate", **curve(1))
            homework = [bounds.steps_homework(target, alpha, e.c, norm0) for target in eps]
            axes.loglog(eps, homework, label="homework", **curve(2))
            axes.set(title=rf"$\alpha={alpha:g}$", xlabel=r"target $\varepsilon$", ylabel=r"steps $T$")
            axes.label_outer()
        shared_legend(fig)
    return fig
