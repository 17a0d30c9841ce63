"""One look for every figure of the book.

A colour means the same thing in the whole book: blue is what was measured, red what is proved, black what is a
limit, a prediction or a label; a family of measured curves is a family of blues, each with its own line style and
marker, and each curve carries its name. Sizes are in inches. A figure is as narrow as a phone, and none of its text
is smaller than its caption; figures that belong side by side are narrow enough for the printed page and stand below
each other on a phone.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from ..checks import Array

MEASURED, PROVED, OTHER, INK = "#0B5A94", "#B84700", "#007A5A", "#000000"
"""Blue, vermilion, green and black after Okabe and Ito, dark enough for text."""
COLORS = ("#0077CC", MEASURED, "#06365C", OTHER, "#8F3F7F", "#001A33", "#7A5C00")
"""Of the curves of a family: three blues; green and purple for what behaves differently; two more."""
LINE_STYLES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)), (0, (1, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
WIDTH, HALF = 3.55, 3.0

_RC: dict[Any, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 11,
    **dict.fromkeys(("axes.labelsize", "axes.titlesize", "legend.fontsize", "xtick.labelsize", "ytick.labelsize"), 11),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    "legend.labelspacing": 0.15,
    "legend.handlelength": 1.8,
    **dict.fromkeys(("legend.borderpad", "legend.borderaxespad"), 0.2),
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "figure.facecolor": "white",
}

# Read when a figure is saved, which is after its style's context: the same file for the same figure, fonts as outlines.
mpl.rcParams.update(
    {"savefig.facecolor": "white", "svg.hashsalt": "implicit-bias", "svg.fonttype": "path", "pdf.fonttype": 42}
)


@contextmanager
def figure(height: float = 2.6, width: float = WIDTH) -> Iterator[tuple[Figure, Axes]]:
    """Open a figure of a height and a width in inches and yield it with its axes.

    The book's style holds inside the ``with`` block only. The figure belongs to no window manager, so it is shown
    only where it is displayed by a notebook cell.
    """
    with mpl.rc_context(_RC):
        fig = Figure(figsize=(width, height), layout="constrained")
        yield fig, fig.subplots()
        fig.draw_without_rendering()  # ticks are made when first drawn: make them in this style


def curve(k: int) -> dict[str, Any]:
    """Return the colour, line style and marker of the ``k``-th measured curve, as keyword arguments of ``plot``.

    >>> curve(1)
    {'color': '#0B5A94', 'linestyle': '--', 'marker': 's'}
    """
    if not 0 <= k < len(COLORS):
        raise ValueError(f"curve index {k}: a figure has at most {len(COLORS)} distinct curves")
    return {"color": COLORS[k], "linestyle": LINE_STYLES[k], "marker": MARKERS[k]}


def band(axes: Axes, x: ArrayLike, rows: ArrayLike, k: int, **options: Any) -> Array:
    """Draw and return the median over the rows, as the ``k``-th curve with ``options`` of ``plot``; shade their range.

    Entries that are nan are left out; where a column has no other the curve has a gap.
    """
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of such columns
        low, middle, high = np.nanquantile(np.asarray(rows), (0.0, 0.5, 1.0), axis=0)
    axes.fill_between(np.asarray(x), low, high, color=COLORS[k], alpha=0.2, linewidth=0)
    axes.plot(np.asarray(x), middle, **curve(k) | options)
    return np.asarray(middle)


def name(
    axes: Axes, text: str, at: tuple[float, float], color: str = INK, place: str = "right", **options: Any
) -> None:
    """Write ``text`` beside the point ``at`` of the axes' data, if finite; a white edge keeps it clear of lines."""
    shift, ha, va = {
        "right": ((5, 0), "left", "center"),
        "left": ((-5, 0), "right", "center"),
        "above": ((0, 4), "center", "bottom"),
        "below": ((0, -4), "center", "top"),
    }[place]
    look: dict[str, Any] = {
        "xytext": shift,
        "textcoords": "offset points",
        "ha": ha,
        "va": va,
        "color": color,
        "linespacing": 0.9,
        "zorder": 5,
    }
    if np.isfinite(at).all():
        axes.annotate(
            text,
            at,
            path_effects=[withStroke(linewidth=3, foreground="white")],
            annotation_clip=False,
            **look | options,
        )


def ends(axes: Axes, x: float, curves: Iterable[tuple[str, float, str]], place: str = "right") -> None:
    """Name curves where they end or start, each text, height and colour, at least a line of text apart.

    The scales and limits of the axes must have been set. The texts move as little as the order of the heights allows.
    """
    shown = sorted((curve for curve in curves if np.isfinite(curve[1])), key=lambda curve: curve[1])
    if not shown:
        return
    points = np.array([axes.transData.transform((x, y))[1] for _, y, _ in shown]) * 72 / axes.figure.dpi
    lines = 11.5 * np.arange(len(shown))
    for (text, y, color), shift in zip(shown, isotonic_regression(points - lines).x + lines - points):
        name(axes, text, (x, y), color, place, xytext=(-5 if place == "left" else 5, shift))


def ticks(axes: Axes, axis: str, values: Sequence[float], percent: bool = False) -> None:
    """Label the axis ``"x"`` or ``"y"`` at ``values`` alone, in full if all are from 0.01 to 1000.

    Else those but 1 that are powers of ten are written so.
    """
    wide = any(value and not 0.01 <= abs(value) <= 1000 for value in values)

    def written(value: float) -> str:
        if percent:
            return f"{100 * value:g}\u00a0%".replace("-", "−")
        exponent = np.log10(value) if wide and value > 0 else 0.0
        power = exponent and np.isclose(exponent, round(exponent))
        return f"$10^{{{exponent:.0f}}}$" if power else f"{value:g}".replace("-", "−")

    getattr(axes, f"set_{axis}ticks")(values, [written(value) for value in values])
    axes.minorticks_off()


def slope(axes: Axes, corner: tuple[float, float], exponent: int, decades: float = 1.0) -> None:
    """Draw a triangle whose longest side falls as ``x`` to the power ``exponent``, on logarithmic axes, and name it."""
    (x, y), right = corner, 10.0**decades
    axes.plot([x, x * right, x, x], [y, y * right**exponent, y * right**exponent, y], color=INK, linewidth=0.8)
    name(axes, f"slope −{-exponent}", (x * right**0.5, y * right**exponent), place="below")
