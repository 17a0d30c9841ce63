"""The figures of Problem 2: Gaussian data, the plane example, the sharp family, and two losses."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from .. import bounds
from ..checks import Array
from ..margin import max_margin, min_norm_interpolator
from ..network import g
from ..orthogonality import gaussian_grams, p_orthogonality, p_orthogonality_of_gram, plane_example, sharp_family
from .style import COLORS, HALF, INK, MEASURED, OTHER, PROVED, band, curve, figure, name, ticks


def dual_weights() -> list[Figure]:
    """Dual weights of the minimum-norm interpolator on the sharp family with ``R = 1``, against ``p``.

    First the smallest weight, with the lower bound ``1 - 1/(p-1)`` of `lem-dual-weights`. Then the largest
    ratio of two weights, where all are positive, with the bound ``1 + 2/(p-2)`` of `thm-near-uniform`.
    """
    p, fine = np.linspace(1.02, 6, 250), np.linspace(2.001, 6, 400)
    with figure(width=HALF) as (left, least), figure(width=HALF) as (right, ratio):
        for k, n in enumerate((5, 20, 100)):
            s = np.array([min_norm_interpolator(*sharp_family(n, q)).dual for q in p])
            low = s.min(axis=1)
            look = {**curve(k), "label": f"$n={n}$", "markevery": (10 * k, 50)}
            least.plot(p, low, **look)
            ratio.plot(p[low > 0], (s.max(axis=1) / low)[low > 0], **look)
            zero = float(np.interp(0, low, p))
            least.plot([zero], [0], "o", color=COLORS[k], markerfacecolor="white", zorder=4)
            name(least, f"$n={n}$: $p<{zero:.3g}$", (2.5, -0.8 - 0.4 * k), COLORS[k])
        least.plot(fine, [1 - bounds.dual_weight_deviation(q) for q in fine], color=PROVED, linewidth=2)
        ratio.plot(fine, [bounds.weight_ratio(q) for q in fine], color=PROVED, linewidth=2)
        name(least, "lower bound", (3.5, 0.42), PROVED)
        name(ratio, "upper bound", (2.3, 9), PROVED)
        ratio.legend(loc="upper right")
        least.axhspan(-2, 0, color="#eeeeee", zorder=0)
        name(least, r"$w_{\mathrm{MM}}\neq w_{\mathrm{MNI}}$ if", (2.5, -0.35))
        least.set(xlim=(1, 6), ylim=(-2, 1), xlabel="orthogonality $p$", ylabel=r"smallest dual weight $s_i$")
        ratio.set(xlim=(1, 6), ylim=(1, 60), yscale="log", xlabel="orthogonality $p$")
        ratio.set_ylabel(r"largest ratio $s_i/s_j$ of weights")
        ticks(least, "y", (-2, -1, 0, 1))
        ticks(ratio, "y", (1, 2, 5, 10, 20, 50))
    return [left, right]


def gaussian_orthogonality() -> Figure:
    """Frequency with which Gaussian data are 3-orthogonal, against ``d/(p²n² log n)``.

    Bands are 95 % Clopper-Pearson intervals. Marks above the curves: the dimension that
    `thm-gaussian-sharp` asks for with ``δ = 0.05``.
    """
    p, draws, rng = 3.0, 400, np.random.default_rng(0)
    scaled = np.concatenate([np.linspace(1.5, 6, 16), np.geomspace(6.5, 12, 4)])
    with figure(2.9) as (fig, axes):
        for k, n in enumerate((8, 16, 64)):
            unit = (p * n) ** 2 * np.log(n)
            stacks = (gaussian_grams(n, round(c * unit), draws, rng) for c in scaled)
            hits = np.array([(p_orthogonality_of_gram(grams) >= p).sum() for grams in stacks])
            low, high = np.transpose([binomtest(count, draws).proportion_ci() for count in hits])
            band(axes, scaled, [low, hits / draws, high], k, label=f"$n={n}$", markevery=(k, 4))
            enough = bounds.gaussian_dimension_sharp(n, p, 0.05) / unit
            axes.plot([enough], [0.95], color=PROVED, marker=curve(k)["marker"])
        axes.plot([4, 4], [0, 1], color=INK, linewidth=1)
        name(axes, r"limit, $n\to\infty$", (4, 0.07))
        axes.legend(loc="center right")
        name(axes, "proved: 0.95", (12, 0.86), PROVED, "left")
        axes.set(xlabel=r"$d\,/\,(p^2 n^2\, \log\, n)$ for $p=3$", ylabel="share of 3-orthogonal draws", ylim=(0, 1.05))
        axes.set(xscale="log", xlim=(1.5, 12))
        ticks(axes, "x", (2, 3, 4, 6, 8, 12))
        ticks(axes, "y", (0, 0.5, 1))
    return fig


def plane() -> list[Figure]:
    """The two samples of `thm-plane` with both classifiers, their boundaries, and the lines ``⟨w, x⟩ = 1``."""
    X, y = plane_example()
    drawn = (
        (max_margin(X, y).w, r"$w_{\mathrm{MM}}$", MEASURED),
        (min_norm_interpolator(X, y).w, r"$w_{\mathrm{MNI}}$", OTHER),
    )
    figures: list[Figure] = []
    for w, title, color in drawn:
        with figure(2.5, HALF) as (fig, axes):
            along = np.array([-w[1], w[0]]) / np.linalg.norm(w)
            for level, style in ((0.0, "-"), (1.0, "--")):
                ends = level * w / (w @ w) + np.outer([-6, 6], along)
                axes.plot(*ends.T, color=color, linestyle=style)
            arrow = {"arrowstyle": "-|>", "color": color, "lw": 2.2}
            axes.annotate("", xy=(w[0], w[1]), xytext=(0, 0), arrowprops=arrow, zorder=3)
            name(axes, f"{title}, norm {np.linalg.norm(w):.3f}", (1.0, -1.25), color)
            axes.plot(*X.T, "o", color=INK, markersize=7, zorder=4)
            for label, x in zip(("$x_1$", "$x_2$"), X):
                name(axes, label, (x[0], x[1]), xytext=(6, -8))
            axes.set(aspect="equal", xlim=(-1.2, 3.2), ylim=(-1.6, 1.8), xlabel="first coordinate")
            axes.set_ylabel("second coordinate")
            ticks(axes, "x", (-1, 0, 1, 2, 3))
            ticks(axes, "y", (-1, 0, 1))
        figures.append(fig)
    return figures


def _angle(v: Array, w: Array) -> float:
    """Return the angle between two vectors in radians, accurate for small angles as well."""
    v, w = v / np.linalg.norm(v), w / np.linalg.norm(w)
    return 2 * float(np.arctan2(np.linalg.norm(v - w), np.linalg.norm(v + w)))


def descent_angles(X: Array, y: Array, alpha: float, times: ArrayLike, logistic: bool) -> Array:
    """Return the angles to ``w_MM``, in radians, of gradient descent from 0 at increasing ``times``, at least 1.

    The loss of the n samples is the logistic ``(1/n) Σ ℓ(y_i ⟨w, x_i⟩)``, or else the squared ``‖Xw - y‖²/(2n)``.
    """
    target, A = max_margin(X, y).w, y[:, None] * X
    w, angles = np.zeros(X.shape[1]), []
    for steps in np.diff(times, prepend=0):
        for _ in range(steps):
            margins = A @ w
            w = w + alpha / len(y) * ((g(margins) if logistic else 1 - margins) @ A)
        angles.append(_angle(w, target))
    return np.array(angles)


def two_losses() -> list[Figure]:
    """Angle between the iterates of gradient descent and ``w_MM``, for the logistic and the squared loss.

    First Gaussian samples with ``pR² > 2``, their norms spread over a factor of 1.2; then `thm-plane`.
    """
    rng = np.random.default_rng(0)
    n, d = 8, 4000
    X, y = rng.standard_normal((n, d)) * np.linspace(1, 1.2, n)[:, None], rng.choice([-1.0, 1.0], n)
    # Gradient descent sees the samples only through their inner products: n coordinates are enough.
    nearly_orthogonal = np.asarray(np.linalg.cholesky(X @ X.T / d), dtype=np.float64), y
    times = np.unique(np.geomspace(1, 20_000, 24).round().astype(int))
    figures: list[Figure] = []
    for X, y in (nearly_orthogonal, plane_example()):
        alpha = len(y) / float(np.linalg.norm(X, 2)) ** 2
        with figure(2.2, HALF) as (fig, axes):
            for text, factor, color in (("logistic", 4, MEASURED), ("squared", 1, OTHER)):
                angles = np.degrees(descent_angles(X, y, factor * alpha, times, text == "logistic"))
                axes.semilogx(times, np.maximum(angles, 1e-16), color=color)
                name(axes, text, (times[12], angles[12]), color, "above")
            axes.set(xlabel="step $t$", ylabel=r"angle to $w_{\mathrm{MM}}$, degrees")
            ticks(axes, "x", (1, 10, 100, 1000, 10_000))
            if figures:
                axes.set_ylim(0, 50)
            else:
                axes.set(yscale="log", ylim=(1e-18, 1e2))
                name(axes, "rounding error", (times[12], angles[-1]), place="below")
                ticks(axes, "y", (1, 1e-5, 1e-10, 1e-15))
        figures.append(fig)
    return figures


def _data(n: int, pR2: float, draws: int, rng: np.random.Generator) -> Iterator[Array]:
    """Yield n samples with ``p(S) R² = pR2`` for ``R = 1, 1.5, 3``.

    For each, ``draws`` whose inner products are all ``±1/(n pR2)``, with random signs, and the sharp family.
    """
    for R in (1.0, 1.5, 3.0):
        for _ in range(draws):
            signs = np.tril(rng.choice([-1.0, 1.0], (n, n)), -1)
            squares = rng.uniform(1, R**2, n)
            squares[:2] = 1, R**2
            yield np.asarray(np.linalg.cholesky(np.diag(squares) + (signs + signs.T) / (n * pR2)))
        yield sharp_family(n, pR2 / R**2, R)[0]


def equality_table(draws: int = 60) -> str:
    """Return a table, against ``pR²``, of how often the two classifiers differ, and of ``β_i = s_i ‖x_i‖²``."""
    n, rng = 20, np.random.default_rng(0)
    lines = [
        r"| $pR^2$ | data sets | where $\wMM\ne\wMNI$ | $\min_i \beta_i$ | $\max_i\abs{\beta_i-1}$ | $1/(pR^2-1)$ |",
        "|:--|--:|--:|--:|--:|--:|",
    ]
    for pR2 in (1.2, 1.6, 1.85, 1.9, 2.1, 3.0, 10.0):
        differ, weights = 0, []
        for X in _data(n, pR2, draws, rng):
            interpolator, margin = min_norm_interpolator(X, np.ones(n)), max_margin(X, np.ones(n))
            differ += _angle(interpolator.w, margin.w) > 1e-6
            weights.append(interpolator.dual * (X**2).sum(axis=1))
        off, bound = np.abs(np.array(weights) - 1).max(), bounds.dual_weight_deviation(pR2)
        least = f"{np.min(weights):z.3f}".replace("-", "−")  # "z": zero has no minus sign
        lines.append(f"| {pR2:g} | {len(weights)} | {differ} | {least} | {off:.3f} | {bound:.3f} |")
    return "\n".join(lines)


def near_uniform_table() -> str:
    """Return a table of measured weight ratios and angles to the sum of the samples, with their bounds."""
    rng = np.random.default_rng(0)
    gaussian, halves = np.linalg.cholesky(gaussian_grams(10, 100_000, 1, rng)[0]), np.repeat([1.0, 2.0], 5)
    cases = {
        "Gaussian": (gaussian, rng.choice([-1.0, 1.0], 10)),
        "Gaussian, half of it doubled": (gaussian * halves[:, None], rng.choice([-1.0, 1.0], 10)),
        "sharp family, $R=1$": sharp_family(200, 3.0),
        "sharp family, $R=2$": sharp_family(200, 0.75, 2.0),
        "orthogonal, half of it doubled": (np.diag(halves), np.ones(10)),
    }
    lines = [
        "| data | $n$ | $R$ | $pR^2$ | ratio | bound | cosine | bound |",
        "|:" + "-" * 21 + "|----:|------:|------:|---------:|---------:|--------:|--------:|",
    ]
    for case, (X, y) in cases.items():
        solution, lengths, n = max_margin(X, y), np.linalg.norm(X, axis=1), len(y)
        R, p = lengths.max() / lengths.min(), p_orthogonality(X)
        ratio = solution.dual.max() / solution.dual.min()
        cosine = np.cos(_angle(solution.w, y @ X))
        pR2 = "$\\infty$" if np.isinf(p) else f"{p * R**2:.2f}"
        numbers = (ratio, bounds.weight_ratio_exact(n, p, R), cosine, bounds.angle_cosine(p, R))
        lines.append(f"| {case} | {n} | {R:.2f} | {pR2} | " + " | ".join(f"{value:.4f}" for value in numbers) + " |")
    return "\n".join(lines)
