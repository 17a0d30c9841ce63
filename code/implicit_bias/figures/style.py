"""One look for every figure of the book.

Colours are Okabe and Ito's colour-blind-safe palette; every curve also has its own line style and marker,
so a figure reads in black and white. Sizes are in inches at the width of the printed text, so that the
figures' text comes out as large as the caption's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

TEXT_WIDTH = 6.3
"""Width of the printed text, in inches."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00")
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_RC: dict[Any, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    **dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize"), 11),
    **dict.fromkeys(("legend.fontsize", "xtick.labelsize", "ytick.labelsize"), 10),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "legend.frameon": False,
    "figure.facecolor": "white",
}

# Read when a figure is saved, which is after its style's context: the same file for the same figure, fonts as outlines.
mpl.rcParams.update(
    {"savefig.facecolor": "white", "svg.hashsalt": "implicit-bias", "svg.fonttype": "path", "pdf.fonttype": 42}
)


def curve(k: int) -> dict[str, Any]:
    """Return the colour, line style and marker of a figure's ``k``-th curve, as keyword arguments of ``plot``.

    Raises
    ------
    ValueError
        Unless ``0 <= k <= 6``: a figure with more than seven curves should be split.

    >>> curve(1)
    {'color': '#D55E00', 'linestyle': '--', 'marker': 's'}
    """
    if not 0 <= k < len(COLORS):
        raise ValueError(f"curve index {k}: a figure has at most {len(COLORS)} distinct curves")
    return {"color": COLORS[k], "linestyle": LINE_STYLES[k], "marker": MARKERS[k]}


def band(axes: Axes, x: ArrayLike, low: ArrayLike, middle: ArrayLike, high: ArrayLike, k: int, **options: Any) -> None:
    """Plot the ``k``-th curve through ``middle``, with ``options`` of ``plot``, and shade from ``low`` to ``high``."""
    axes.fill_between(np.asarray(x), np.asarray(low), np.asarray(high), color=COLORS[k], alpha=0.2, linewidth=0)
    axes.plot(np.asarray(x), np.asarray(middle), **curve(k), **options)


@contextmanager
def figure(
    rows: int = 1, columns: int = 1, height: float = 3.2, **subplots: Any
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Open a figure as wide as the text and yield it with its axes in reading order.

    The book's style holds inside the ``with`` block only. The figure belongs to no window manager, so it is
    shown only where it is the value of a notebook cell.

    Parameters
    ----------
    rows, columns : int
        Panels.
    height : float
        Height in inches.
    **subplots
        Passed to `matplotlib.figure.Figure.subplots`.
    """
    with mpl.rc_context(_RC):
        fig = Figure(figsize=(TEXT_WIDTH, height), layout="constrained")
        axes = fig.subplots(rows, columns, squeeze=False, **subplots)
        yield fig, list(axes.flat)
        fig.draw_without_rendering()  # ticks are made when first drawn: make them in this style


def legend_below(fig: Figure) -> None:
    """Draw one legend, that of the first panel, below all panels."""
    fig.legend(*fig.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
