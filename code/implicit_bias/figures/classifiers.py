"""The figures of Problem 2: Gaussian data, the plane example, the sharp family, and two losses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import beta

from .. import bounds
from ..margin import max_margin, min_norm_interpolator
from ..network import g
from ..orthogonality import gaussian_grams, p_orthogonality, p_orthogonality_of_gram, plane_example, sharp_family
from .style import COLORS, Array, band, curve, figure


def dual_weights(sizes: Sequence[int] = (5, 20, 100), points: int = 60) -> Figure:
    """Dual weights of the minimum-norm interpolator on the sharp family with ``R = 1``, against ``p``.

    Left: the smallest weight, with the lower bound ``1 - 1/(p-1)`` of `lem-dual-weights`. Right: the largest
    ratio of two weights, where all are positive, with the bound ``1 + 2/(p-2)`` of `thm-near-uniform`.
    """
    p = np.linspace(1.02, 6, points)
    with figure(columns=2, height=3.1) as (fig, (left, right)):
        for k, n in enumerate(sizes):
            s = np.array([min_norm_interpolator(*sharp_family(n, q)).dual for q in p])
            least = s.min(axis=1)
            every = (3 * k, points // 6)
            left.plot(p, least, markevery=every, label=f"$n={n}$", **curve(k))
            right.plot(p[least > 0], (s.max(axis=1) / least)[least > 0], markevery=every, **curve(k))
        fine = np.linspace(2.001, 6, 400)
        for axes, bound in (
            (left, [1 - bounds.dual_weight_deviation(q) for q in fine]),
            (right, [bounds.weight_ratio(q) for q in fine]),
        ):
            axes.plot(fine, bound, label="bound", color=COLORS[4], linestyle=(0, (1, 1)), linewidth=2)
        left.axhline(0, color="black", linewidth=0.8)
        left.set(ylim=(-2, 1), xlabel="$p$", ylabel=r"$\min_i\, s_i$")
        right.set(ylim=(1, 60), yscale="log", xlabel="$p$", ylabel=r"$\max_{i,j}\, s_i/s_j$", xlim=left.get_xlim())
        right.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
        right.minorticks_off()
        left.legend(loc="lower right")
    return fig


def gaussian_orthogonality(
    sizes: Sequence[int] = (8, 16, 32, 64), p: float = 3.0, delta: float = 0.05, draws: int = 400
) -> Figure:
    """Frequency with which Gaussian data are p-orthogonal, against ``d/(p²n² log n)``.

    Bands are 95 % Clopper-Pearson intervals. Vertical marks above the curves: the dimension that
    `thm-gaussian-orthogonal` asks for with the given ``delta``.
    """
    rng = np.random.default_rng(0)
    scaled = np.concatenate([np.linspace(1, 6, 16), np.geomspace(6.5, 12, 6)])
    with figure(height=3.3) as (fig, (axes,)):
        for k, n in enumerate(sizes):
            unit = (p * n) ** 2 * np.log(n)
            hits = np.array(
                [(p_orthogonality_of_gram(gaussian_grams(n, round(c * unit), draws, rng)) >= p).sum() for c in scaled]
            )
            low = np.nan_to_num(beta.ppf(0.025, hits, draws - hits + 1), nan=0.0)
            high = np.nan_to_num(beta.ppf(0.975, hits + 1, draws - hits), nan=1.0)
            band(axes, scaled, low, hits / draws, high, k, label=f"$n={n}$", markevery=(k, 4))
            enough = bounds.gaussian_dimension(n, p, delta) / unit
            axes.plot([enough, enough], [1.03, 1.12], color=COLORS[k], clip_on=False)
            axes.plot([enough], [1.12], marker=curve(k)["marker"], color=COLORS[k], clip_on=False)
        axes.axvline(4, color="black", linewidth=1, linestyle=(0, (1, 1)))
        axes.text(4.1, 0.04, "threshold", rotation=90, va="bottom")
        axes.text(scaled[-1], 1.17, "proved sufficient", ha="right", va="bottom")
        axes.set(xlabel=r"$d\,/\,(p^2 n^2\, \log\, n)$", ylabel="frequency of $p$-orthogonality", ylim=(0, 1.25))
        axes.set_yticks(np.linspace(0, 1, 6))
        axes.legend(loc="center right")
    return fig


def plane() -> Figure:
    """The two samples of `thm-plane` with both classifiers, their boundaries, and the lines ``⟨w, x⟩ = 1``."""
    X, y = plane_example()
    solutions = ((max_margin(X, y).w, r"$w_{\mathrm{MM}}$"), (min_norm_interpolator(X, y).w, r"$w_{\mathrm{MNI}}$"))
    with figure(columns=2, height=3.1, sharex=True, sharey=True) as (fig, panels):
        for k, (axes, (w, name)) in enumerate(zip(panels, solutions)):
            along = np.array([-w[1], w[0]]) / np.linalg.norm(w)
            for level, style in ((0.0, "-"), (1.0, "--")):
                ends = level * w / (w @ w) + np.outer([-6, 6], along)
                axes.plot(*ends.T, color=COLORS[k], linestyle=style)
            arrow = {"arrowstyle": "-|>", "color": COLORS[k], "lw": 2.2}
            axes.annotate("", xy=(w[0], w[1]), xytext=(0, 0), arrowprops=arrow, zorder=3)
            axes.text((0.25, 0.1)[k], (-0.4, -0.95)[k], name, color=COLORS[k])
            axes.plot(*X.T, "o", color="black", markersize=7, zorder=4)
            for label, x in (("$x_1$", X[0]), ("$x_2$", X[1])):
                axes.text(x[0] + 0.1, x[1] + 0.1, label)
            axes.set(aspect="equal", xlim=(-1.4, 2.8), ylim=(-1.5, 1.8), xlabel="first coordinate")
            axes.set_title(f"{name}, norm {np.linalg.norm(w):.3f}")
        panels[0].set_ylabel("second coordinate")
    return fig


def _samples(gram: Array) -> Array:
    """Return samples with this Gram matrix, in as many dimensions."""
    return np.asarray(np.linalg.cholesky(gram), dtype=np.float64)


def _angle(v: Array, w: Array) -> float:
    """Return the angle between two vectors in radians, accurate for small angles as well."""
    v, w = v / np.linalg.norm(v), w / np.linalg.norm(w)
    return 2 * float(np.arctan2(np.linalg.norm(v - w), np.linalg.norm(v + w)))


def descent_angles(X: Array, y: Array, alpha: float, times: NDArray[np.int64], logistic: bool) -> Array:
    """Return the angles to ``w_MM``, in radians, of gradient descent from 0 on the mean logistic or squared loss.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    y : ndarray, shape (n,)
    alpha : float
        Step size.
    times : ndarray of int
        Increasing step numbers, at least 1: one angle each.
    logistic : bool
        The logistic loss ``(1/n) Σ ℓ(y_i ⟨w, x_i⟩)``; else the squared loss ``‖Xw - y‖²/(2n)``.
    """
    target, A = max_margin(X, y).w, y[:, None] * X
    w, angles = np.zeros(X.shape[1]), []
    for steps in np.diff(times, prepend=0):
        for _ in range(steps):
            margins = A @ w
            w = w + alpha / len(y) * ((g(margins) if logistic else 1 - margins) @ A)
        angles.append(_angle(w, target))
    return np.array(angles)


def two_losses(steps: int = 20_000) -> Figure:
    """Angle between the iterates of gradient descent and ``w_MM``, for the logistic and the squared loss.

    Left: Gaussian samples with ``pR² > 2``, their norms spread over a factor of 1.2. Right: `thm-plane`.
    """
    rng = np.random.default_rng(0)
    n, d = 8, 4000
    X, y = rng.standard_normal((n, d)) * np.linspace(1, 1.2, n)[:, None], rng.choice([-1.0, 1.0], n)
    # Gradient descent sees the samples only through their inner products: n coordinates are enough.
    nearly_orthogonal = _samples(X @ X.T / d), y
    times = np.unique(np.geomspace(1, steps, 24).round().astype(int))
    with figure(columns=2, height=3.0, sharey=True) as (fig, panels):
        titles = ("$pR^2>2$", "two samples in the plane")
        for axes, (samples, labels), title in zip(panels, (nearly_orthogonal, plane_example()), titles):
            alpha = len(labels) / float(np.linalg.norm(samples, 2)) ** 2
            for k, logistic in enumerate((True, False)):
                angles = descent_angles(samples, labels, 4 * alpha if logistic else alpha, times, logistic)
                label = "logistic loss" if logistic else "squared loss"
                axes.loglog(times, np.maximum(angles, 1e-17), label=label, markevery=3, **curve(k))
            axes.set(title=title, xlabel="step $t$", ylim=(1e-17, 3))
        panels[0].set_ylabel(r"angle to $w_{\mathrm{MM}}$ (radians)")
        panels[1].legend(loc="center right")
    return fig


def _random_signs(n: int, pR2: float, R: float, rng: np.random.Generator) -> Array:
    """Return samples with ``p(S) R² = pR2``: all inner products ``±1/(n pR2)``, with random signs."""
    signs = np.tril(rng.choice([-1.0, 1.0], (n, n)), -1)
    squares = rng.uniform(1, R**2, n)
    squares[:2] = 1, R**2
    return _samples(np.diag(squares) + (signs + signs.T) / (n * pR2))


def equality_table(
    values: Sequence[float] = (1.2, 1.6, 1.85, 1.9, 2.1, 3.0, 10.0), n: int = 20, draws: int = 60
) -> str:
    """Return a table, against ``pR²``, of how often the two classifiers differ, and of the weights.

    The weights are ``β_i = s_i ‖x_i‖²`` of the interpolator. Of the data sets, ``draws`` have inner products of random
    sign and one is the sharp family, for each of ``R = 1, 1.5, 3``.
    """
    rng = np.random.default_rng(0)
    lines = [
        "| $pR^2$ | data sets | where $\\wMM\\ne\\wMNI$ | $\\min_i \\beta_i$ "
        "| $\\max_i\\abs{\\beta_i-1}$ | $1/(pR^2-1)$ |",
        "|:--|--:|--:|--:|--:|--:|",
    ]
    for pR2 in values:
        differ, weights = 0, []
        for R in (1.0, 1.5, 3.0):
            data = [_random_signs(n, pR2, R, rng) for _ in range(draws)]
            for X in [*data, sharp_family(n, pR2 / R**2, R)[0]]:
                interpolator, margin = min_norm_interpolator(X, np.ones(n)), max_margin(X, np.ones(n))
                differ += _angle(interpolator.w, margin.w) > 1e-6
                weights.append(interpolator.dual * (X**2).sum(axis=1))
        off, bound = np.abs(np.array(weights) - 1).max(), bounds.dual_weight_deviation(pR2)
        least = np.round(np.min(weights), 3) + 0.0  # no -0.000
        lines.append(f"| {pR2:g} | {len(weights)} | {differ} | {least:.3f} | {off:.3f} | {bound:.3f} |")
    return "\n".join(lines)


def _one_long_sample(n: int = 10, mu: float = 0.04, R: float = 10.0) -> tuple[Array, Array]:
    """Return the data after `cor-angle` on which its bound by ``τ`` is the larger one; all labels are 1.

    Norms ``R, 1, ..., 1``, with ``⟨x_1, x_j⟩ = -μ`` and ``⟨x_i, x_j⟩ = μ`` for ``i ≠ j ≥ 2``.
    """
    gram = np.full((n, n), mu)
    gram[0, :] = gram[:, 0] = -mu
    np.fill_diagonal(gram, 1.0)
    gram[0, 0] = R**2
    return _samples(gram), np.ones(n)


def near_uniform_table() -> str:
    """Return a table of measured weight ratios and angles to the sum of the samples, with their bounds."""
    rng = np.random.default_rng(0)
    gaussian = _samples(gaussian_grams(10, 100_000, 1, rng)[0])
    stretched = gaussian * np.where(np.arange(10) < 5, 1.0, 2.0)[:, None]
    cases = {
        "Gaussian": (gaussian, rng.choice([-1.0, 1.0], 10)),
        "Gaussian, half of it doubled": (stretched, rng.choice([-1.0, 1.0], 10)),
        "sharp family, $R=1$": sharp_family(200, 3.0),
        "sharp family, $R=2$": sharp_family(200, 0.75, 2.0),
        "one long sample": _one_long_sample(),
        "orthogonal, half of it doubled": (np.diag(np.repeat([1.0, 2.0], 5)), np.ones(10)),
    }
    lines = [
        "| data | $n$ | $R$ | $pR^2$ | $\\tau$ | bound | cosine | bound by $\\tau$ | bound by $R$ |",
        "|:" + "-" * 21 + "|----:|------:|------:|---------:|---------:|--------:|--------:|--------:|",
    ]
    for name, (X, y) in cases.items():
        solution, lengths, n = max_margin(X, y), np.linalg.norm(X, axis=1), len(y)
        R, p = lengths.max() / lengths.min(), p_orthogonality(X)
        ratio = solution.dual.max() / solution.dual.min()
        cosine = np.cos(_angle(solution.w, y @ X))
        pR2 = "$\\infty$" if np.isinf(p) else f"{p * R**2:.2f}"
        by_ratio, by_norms = bounds.angle_cosine_from_ratio(p, R, ratio), bounds.angle_cosine(p, R)
        numbers = (ratio, bounds.weight_ratio_exact(n, p, R), cosine, by_ratio, by_norms)
        lines.append(f"| {name} | {n} | {R:.2f} | {pR2} | " + " | ".join(f"{value:.4f}" for value in numbers) + " |")
    return "\n".join(lines)
