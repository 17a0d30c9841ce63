"""The recorded MNIST experiment: complete, of the stated configuration, and what a fresh run gives."""

from __future__ import annotations

import numpy as np
import pytest
from implicit_bias.figures import runs as figures
from implicit_bias.margin import p_orthogonality
from implicit_bias.mnist import experiment
from implicit_bias.mnist.data import synthetic_mnist
from implicit_bias.mnist.recording import differences
from implicit_bias.mnist.sweep import Configuration, run_sweep
from implicit_bias.mnist.trainer import Member, initial_weights, train
from implicit_bias.rank import stable_rank
from implicit_bias.small_scale import small_scale_limit


@pytest.fixture(scope="module")
def found():
    return experiment.load()


@pytest.fixture(scope="module")
def small_sweep(tmp_path_factory):
    """A small sweep on random images that stand in for MNIST: the figures' shape does not depend on the data."""
    out = tmp_path_factory.mktemp("sweep") / "sweep.json"
    return run_sweep(Configuration(seeds=(0, 1), steps=10, width=12), synthetic_mnist(200, 0), out, progress=False)


def test_recorded_sweep_is_that_of_the_book(found):
    assert differences(found.sweep.configuration, experiment.CONFIGURATION.description()) == []
    runs = [(run["sigma"], run["seed"]) for run in found.sweep.runs]
    assert len(runs) == len(set(runs)) >= 25
    assert found.sweep.data["source"] == "mnist"


def test_steps_are_the_first_below_the_target_rounded_up_to_ten(found):
    first = experiment.first_step(found.sweep, 0.02, "train_error", experiment.TARGET)
    assert len(first) >= 5
    assert -(-first.max() // 10) * 10 == experiment.STEPS
    assert all(run["train_error"][-1] < experiment.TARGET for run in found.sweep.runs if run["sigma"] == 0.02)


def test_larger_step_sizes_throw_the_loss_up_and_smaller_ones_are_too_slow(found):
    for sigma in (0.0002, 0.002, 0.02):
        assert experiment.searched(found, sigma, experiment.ALPHA)["largest_rise"] < 0.5
        assert experiment.searched(found, sigma, 1.0)["largest_rise"] > 1
    for sigma in experiment.CONFIGURATION.sigmas:
        assert experiment.searched(found, sigma, 2.0)["first_step_below"] is None
        assert (
            experiment.searched(found, sigma, experiment.ALPHA)["loss_rises"]
            < experiment.searched(found, sigma, 1.0)["loss_rises"]
        )
    for alpha in (0.05, 0.1, 0.2):
        assert experiment.searched(found, 0.02, alpha)["first_step_below"] is None


def test_fresh_run_gives_the_recorded_first_steps(mnist, found):
    """The first 10 steps of one seed of each sigma, on the real images."""
    recorded = {run["sigma"]: run for run in found.sweep.runs if run["seed"] == 2}
    members = [Member(sigma, 2, experiment.ALPHA) for sigma in experiment.CONFIGURATION.sigmas]
    for fresh in train(members, mnist, 10, spectra_at=(0, 1)):
        old = recorded[fresh.member.sigma]
        # Other machines round otherwise. At sigma = 2 the loss is large and steep, and rounding grows fastest.
        np.testing.assert_allclose(fresh.loss, old["loss"][:11], rtol=1e-3)
        np.testing.assert_allclose(fresh.stable_rank, old["stable_rank"][:11], rtol=1e-3)
        np.testing.assert_allclose(fresh.train_error, old["train_error"][:11], atol=1e-3)
        np.testing.assert_allclose(fresh.singular_values[1], old["singular_values"]["1"], rtol=1e-3)


def test_first_steps_at_small_sigma_follow_the_limit_recursion(mnist, found):
    """thm-small-scale on MNIST: the recorded ratio at sigma = 0.0002 is that of the recursion without sigma."""
    (run,) = (run for run in found.sweep.runs if (run["sigma"], run["seed"]) == (0.0002, 0))
    W, b, V, _ = (np.asarray(part, float) for part in initial_weights(1.0, 0, 150, 784))
    states = small_scale_limit(
        np.column_stack((W, b)), V, mnist.train_images / 255, mnist.train_labels, experiment.ALPHA, 0.05, 3
    )
    for t, state in enumerate(states):
        limit = stable_rank(state.U[:, :-1]) / stable_rank(W)
        assert run["stable_rank"][t] / run["stable_rank"][0] == pytest.approx(limit, rel=1e-4)


def test_recorded_orthogonality(mnist, found):
    """The recorded pair attains M, and no pair of a sample of the images exceeds it."""
    kept = found.orthogonality
    X = mnist.train_images.astype(float)
    squares = (X**2).sum(1)
    assert X[kept["i"]] @ X[kept["j"]] == kept["M"]
    assert (squares.min(), squares.max(), len(X)) == (kept["R_min_squared"], kept["R_max_squared"], kept["n"])
    assert kept["p"] == pytest.approx(squares.min() ** 2 / (squares.max() * len(X) * kept["M"]), rel=1e-6)
    large = X[np.argsort(squares)[-2000:]]
    gram = large @ large.T
    np.fill_diagonal(gram, 0)
    assert gram.max() <= kept["M"]


def test_orthogonality_in_blocks_is_p_orthogonality():
    data = synthetic_mnist(300, 0)
    whole = p_orthogonality(data.train_images.astype(float))
    for rows in (7, 100, 1000):
        assert experiment.orthogonality(data, rows)["p"] == pytest.approx(whole, rel=1e-12)


def test_required_figure_has_five_distinct_curves(small_sweep):
    (axes,) = figures.stable_rank_figure(small_sweep).axes
    lines = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
    assert len(lines) == 5
    for look in ("get_color", "get_marker", "get_label"):
        assert len({getattr(line, look)() for line in lines}) == 5
    assert len({str(line._unscaled_dash_pattern) for line in lines}) == 5
    assert axes.get_xscale() == "log"
    for line, t in zip(lines, (1, 1, 2, 5, 10)):
        expected = [np.median(figures.relative_rank(small_sweep, sigma, t)) for sigma in figures.scales(small_sweep)]
        np.testing.assert_allclose(line.get_ydata(), expected)


def test_other_figures_have_a_curve_for_each_sigma(small_sweep):
    for axes in figures.training_figure(small_sweep).axes[:3]:
        assert len({line.get_color() for line in axes.get_lines() if "sigma" in line.get_label()}) == 5
    assert len(figures.singular_value_figure(small_sweep).axes) == 5


def test_diverged_runs_are_drawn_as_such_and_counted(tmp_path):
    out = tmp_path / "sweep.json"
    sweep = run_sweep(
        Configuration(sigmas=(0.02, 2.0), seeds=(0,), alpha=1e30, steps=10, width=5),
        synthetic_mnist(100, 0),
        out,
        progress=False,
    )
    assert all(run["diverged_at"] is not None for run in sweep.runs)
    assert "diverged" in experiment.runs_table(sweep)
    figures.stable_rank_figure(sweep), figures.training_figure(sweep), figures.singular_value_figure(sweep)


def test_milestones_are_the_times_asked_for():
    assert figures.milestones(420) == {"1": 1, "T/10": 42, "T/5": 84, "T/2": 210, "T": 420}
    assert list(figures.milestones(25).values()) == [1, 3, 5, 13, 25]
