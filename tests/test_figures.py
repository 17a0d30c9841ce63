"""The figures of runs of which some diverged, and the limits of the book's style."""

import numpy as np
import pytest
from implicit_bias.figures import runs, style
from implicit_bias.mnist.recording import Recording
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

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
    assert np.isfinite(predicted.get_ydata()).all()
    curves = [line for line in lines if line.get_marker() != "x"]
    crosses = [line for line in lines if line.get_marker() == "x"]
    assert all(np.isnan(line.get_ydata()).tolist() == [False, True, False] for line in curves) and len(curves) == 5
    assert [line.get_xdata().tolist() for line in crosses] == [[10.0]] * 2  # at T/2 and T
    panels = [figure.axes[0] for figure in runs.training_figure(found)]
    assert [len(axes.lines) for axes in panels] == [6, 3]  # the error also as its smallest so far
    assert [axes.get_yscale() for axes in panels] == ["log", "linear"]
    assert len(runs.singular_value_figure(found).axes[0].lines) == 4  # at 0 and T, of the two that have a value there


@pytest.mark.parametrize("draw", [runs.stable_rank_figure, runs.training_figure, runs.singular_value_figure])
def test_a_sweep_that_diverged_at_once_is_drawn_empty_and_in_the_book_s_style(draw, tmp_path):
    drawn = draw(recording({1e60: (0, 0)}))
    for panel in drawn if isinstance(drawn, list) else [drawn]:
        panel.savefig(tmp_path / "figure.svg")
        assert (tmp_path / "figure.svg").stat().st_size > 0
        assert {(text.get_fontsize(), text.get_fontname()) for text in panel.findobj(Text)} == {(11, "STIXGeneral")}
        assert panel.get_figwidth() * 96 <= 358  # pixels: a phone's page; it is never shrunk there


def test_a_figure_has_seven_curves_at_most():
    assert len({tuple(style.curve(k).items()) for k in range(7)}) == 7
    for k in (-1, 7):
        with pytest.raises(ValueError, match=f"curve index {k}"):
            style.curve(k)


def test_names_of_curves_that_end_together_stand_in_their_order_a_line_of_text_apart():
    with style.figure() as (fig, axes):
        axes.set(xlim=(0, 2), ylim=(0, 1))
        style.ends(axes, 1, [("high", 0.502, "k"), ("none", np.nan, "k"), ("middle", 0.501, "k"), ("low", 0.5, "k")])
    heights = {text.get_text(): text.get_window_extent().y0 * 72 / fig.dpi for text in axes.texts}
    assert list(heights) == ["low", "middle", "high"] and (np.diff(list(heights.values())) > 10).all()


def test_ticks_are_written_with_a_minus_sign_and_no_break_before_a_percent_sign():
    with style.figure() as (_, axes):
        axes.set_xscale("log")
        style.ticks(axes, "x", [1e-5, 0.01, 0.05, 1])
        style.ticks(axes, "y", [-2, 0, 0.5], percent=True)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["$10^{-5}$", "$10^{-2}$", "0.05", "1"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["−200\u00a0%", "0\u00a0%", "50\u00a0%"]


def test_all_colours_are_dark_enough_for_text_on_white():
    for color in {*style.COLORS, style.PROVED, style.INK}:
        channels = np.array(to_rgb(color))
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 4.5, color  # the contrast of WCAG
