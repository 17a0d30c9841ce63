"""The benchmark compares computations that agree, and its table says what was measured. No speed is asserted."""

from __future__ import annotations

import numpy as np
import pytest
from implicit_bias.mnist import benchmark
from implicit_bias.mnist.data import synthetic_mnist
from implicit_bias.mnist.experiment import RESULTS
from implicit_bias.mnist.recording import Recording, load
from implicit_bias.mnist.trainer import train


@pytest.fixture(scope="module")
def images():
    """Random images that stand in for MNIST."""
    return synthetic_mnist(300, 0)


def test_the_plain_loop_gives_the_trainers_losses(images):
    losses = {}
    benchmark.plain_loop(images, benchmark.members(5, 0.5), losses)
    for trajectory in train(benchmark.members(5, 0.5), images, benchmark.STEPS - 1):
        np.testing.assert_allclose(trajectory.loss, losses[trajectory.member], rtol=1e-4)


def test_the_benchmark_stops_if_the_loops_disagree(images, monkeypatch):
    def wrong(data, who, losses):
        losses.update({member: [1.0] * benchmark.STEPS for member in who})
        return 1.0

    monkeypatch.setattr(benchmark, "plain_loop", wrong)
    with pytest.raises(RuntimeError, match="disagree"):
        benchmark.measure(images, 0.5, 1, None, None)


def test_no_column_is_left_out_of_the_lit_images(images):
    assert not images.train_images.any(axis=0).all()
    lit = benchmark.without_dead_columns_left_out(images)
    assert lit.train_images.any(axis=0).all()
    assert (lit.train_images != images.train_images).sum() == (~images.train_images.any(axis=0)).sum()


def test_every_comparison_gives_a_time(images):
    five = benchmark.members(5, 0.5)
    with benchmark.denormals_let_through():
        assert benchmark.seconds_a_step(images, five) > 0
    with benchmark.no_measurements():
        assert benchmark.seconds_a_step(images, five) > 0
    for seconds in (
        benchmark.bare_products(images, 5),
        benchmark.bare_products(images, 5, preallocated=False),
        benchmark.vmap_loop(images, five),
        benchmark.autograd_stack(images, five),
    ):
        assert seconds > 0


def test_recorded_benchmark_reaches_its_goals():
    """The recording in the book: cost against its own products and against plain PyTorch, growth and memory."""
    recorded = load(RESULTS / "benchmark.json", "benchmark")
    ratio, extra = benchmark.ratios(recorded), benchmark.extras(recorded)
    assert recorded.data["source"] == "mnist"
    assert recorded.configuration["repetitions"] >= 5
    assert 1 / ratio["bare matrix products"] <= 1.15
    assert 1 / ratio["products, threads sharing each"] <= 1.15
    assert ratio["plain PyTorch loop"] >= 2.2
    assert ratio["25 members"] <= 5 * 1.1
    assert extra["memory"][25] < 1.5e9


def test_table_has_a_line_for_each_time():
    rows = [
        {"name": "a", "members": 5, "seconds": [1.0], "median": 1.0, "against": None, "ratio": None},
        {"name": "b", "members": 5, "seconds": [3.0], "median": 3.0, "against": "a", "ratio": 3.0},
        {"name": "peak memory", "members": 1, "bytes": 7},
        {"name": "time to the plot", "members": 5, "steps": 10, "seconds_in_all": 9.0},
    ]
    recording = Recording("benchmark", {}, rows, 1.0)
    lines = benchmark.table(recording).splitlines()
    assert lines[2:] == ["| a | 5 | 1.000 |  |  |", "| b | 5 | 3.000 | 3.00 | a |"]
    assert benchmark.ratios(recording) == {"b": 3.0}
    assert benchmark.extras(recording) == {"memory": {1: 7}, "seconds_to_plot": 9.0}
