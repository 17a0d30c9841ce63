"""The figures of runs of which some diverged, and the limits of the book's style."""

import numpy as np
import pytest
from implicit_bias.figures import runs, style
from implicit_bias.mnist.recording import Recording
from matplotlib.figure import Figure

STEPS = 10


def recording(lengths: dict[float, tuple[int, int]]) -> Recording:
    """Return a sweep, sigma to how many steps of its two seeds' runs are finite; with none a run diverged at once."""
    rows = []
    for sigma, pair in lengths.items():
        for seed, length in enumerate(pair):
            values = list(np.linspace(1.0, 0.5, STEPS + 1)[:length])
            spectra = {str(t): [2.0, 1.0] for t in (0, STEPS) if t < length}
            series = dict.fromkeys(("train_error", "loss", "stable_rank", "norm", "spectral_norm"), values)
            rows.append({"sigma": sigma, "seed": seed, "singular_values": spectra, **series})
    return Recording("sweep", {"steps": STEPS, "width": 2}, rows, 0.0, environment={})  # its own would import torch


def test_a_diverged_seed_is_crossed_out_and_a_diverged_sigma_leaves_a_gap(monkeypatch):
    monkeypatch.setattr(Figure, "draw_without_rendering", lambda self: None)  # drawing takes seconds
    found = recording({0.1: (STEPS + 1, STEPS + 1), 1.0: (0, 0), 10.0: (STEPS + 1, 5)})
    *lines, predicted = runs.stable_rank_figure(found).axes[0].lines
    assert predicted.get_label() == "$T$, predicted" and np.isfinite(predicted.get_ydata()).all()
    curves = [line for line in lines if line.get_marker() != "x"]
    crosses = [line for line in lines if line.get_marker() == "x"]
    assert all(np.isnan(line.get_ydata()).tolist() == [False, True, False] for line in curves) and len(curves) == 5
    assert [line.get_xdata().tolist() for line in crosses] == [[10.0]] * 2  # at T/2 and T
    panels = runs.training_figure(found).axes
    assert len(panels[0].lines) == 4  # three sigmas and the level of 5 %
    assert [axes.get_yscale() for axes in panels] == ["log", "log", "linear"]
    assert [len(axes.lines) for axes in runs.singular_value_figure(found).axes] == [2, 0, 2]


@pytest.mark.parametrize("draw", [runs.stable_rank_figure, runs.training_figure, runs.singular_value_figure])
def test_a_sweep_that_diverged_at_once_is_drawn_empty(draw, tmp_path):
    draw(recording({1e60: (0, 0)})).savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size > 0


def test_a_figure_has_seven_curves_at_most():
    assert len({tuple(style.curve(k).items()) for k in range(7)}) == 7
    for k in (-1, 7):
        with pytest.raises(ValueError, match=f"curve index {k}"):
            style.curve(k)
