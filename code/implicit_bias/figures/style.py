"""One look for every figure of the book.

Colours are Okabe and Ito's colour-blind-safe palette; every curve also has its own line style and marker,
so a figure reads in black and white. Sizes are in inches at the width of the printed text, so that the
figures' text comes out as large as the caption's.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..checks import Array

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00")
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_RC: dict[Any, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    **dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize"), 11),
    **dict.fromkeys(("legend.fontsize", "xtick.labelsize", "ytick.labelsize"), 10),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "figure.facecolor": "white",
}

# Read when a figure is saved, which is after its style's context: the same file for the same figure, fonts as outlines.
mpl.rcParams.update(
    {"savefig.facecolor": "white", "svg.hashsalt": "implicit-bias", "svg.fonttype": "path", "pdf.fonttype": 42}
)


@contextmanager
def figure(
    rows: int = 1, columns: int = 1, height: float = 3.2, **subplots: Any
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Open a figure as wide as the text, of a height in inches, and yield it with its axes in reading order.

    The book's style holds inside the ``with`` block only. The figure belongs to no window manager, so it is shown
    only where it is the value of a notebook cell. Further options are those of `matplotlib.figure.Figure.subplots`.
    """
    with mpl.rc_context(_RC):
        fig = Figure(figsize=(6.3, height), layout="constrained")
        axes = fig.subplots(rows, columns, squeeze=False, **subplots)
        yield fig, list(axes.flat)
        fig.draw_without_rendering()  # ticks are made when first drawn: make them in this style


def curve(k: int) -> dict[str, Any]:
    """Return the colour, line style and marker of a figure's ``k``-th curve, as keyword arguments of ``plot``.

    >>> curve(1)
    {'color': '#D55E00', 'linestyle': '--', 'marker': 's'}
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
    axes.plot(np.asarray(x), middle, **curve(k), **options)
    return np.asarray(middle)


def shared_legend(fig: Figure, loc: Any = "outside lower center") -> None:
    """Draw one legend for all panels, that of the first."""
    fig.legend(*fig.axes[0].get_legend_handles_labels(), loc=loc, ncols=3)
