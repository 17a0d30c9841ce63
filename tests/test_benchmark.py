"""The benchmark compares computations that agree, its ratios are what they are called, and reading computes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from implicit_bias.mnist import benchmark, yardsticks
from implicit_bias.mnist.configuration import EXPERIMENT
from implicit_bias.mnist.data import MD5, PROJECT, synthetic_mnist
from implicit_bias.mnist.recording import Recording, RecordingError, load, save

BENCHMARK = PROJECT / "data" / "results" / "benchmark.json"


@pytest.fixture(autouse=True)
def one_thread():
    """On a busy machine several wait for each other in every operation."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def images():
    """Random images that stand in for MNIST."""
    return synthetic_mnist(60, 0)


@pytest.fixture
def no_work(images, monkeypatch):
    """A benchmark without the hours of work."""
    rows = [{"name": "a", "members": 5, "seconds": [1.0], "median": 1.0, "against": None, "ratio": None}]
    monkeypatch.setattr(benchmark, "load_mnist", lambda root: images)
    monkeypatch.setattr(benchmark, "measure", lambda data, repetitions: rows)
    monkeypatch.setattr(benchmark, "peak_memory", lambda count, root: 1000 * count)
    monkeypatch.setattr(benchmark, "time_to_plot", lambda root: 9.0)


def test_ratios_are_medians_of_ratios_of_interleaved_repetitions(images, monkeypatch):
    """The machine's clock drifts tenfold here: the ratio of the medians would be another."""
    order, times = [], {"fast": iter([1.0, 10.0, 3.0]), "slow": iter([2.0, 30.0, 12.0])}

    def job(name):
        return lambda: order.append(name) or next(times[name])

    jobs = {"fast": (5, None, job("fast")), "slow": (1, "fast", job("slow"))}
    monkeypatch.setattr(benchmark, "comparisons", lambda data: jobs)
    fast, slow = benchmark.measure(images, 3)
    assert order == ["fast", "slow"] * 3
    assert fast == {"name": "fast", "members": 5, "seconds": [1, 10, 3], "median": 3, "against": None, "ratio": None}
    assert slow == {"name": "slow", "members": 1, "seconds": [2, 30, 12], "median": 12, "against": "fast", "ratio": 3}


def test_the_benchmark_stops_if_the_loops_disagree(images, monkeypatch):
    honest = yardsticks.plain_losses
    monkeypatch.setattr(yardsticks, "plain_losses", lambda *which: (1.001 * loss for loss in honest(*which)))
    with pytest.raises(RuntimeError, match="disagree"):
        benchmark.measure(images, 1)


@pytest.mark.slow
def test_every_comparison_gives_a_time(images):
    """And the rows are those that the book's recording has, compared with the same others."""
    jobs = benchmark.comparisons(images)
    recorded = [row for row in load(BENCHMARK).runs if "median" in row]
    assert [(row["name"], row["members"], row["against"]) for row in recorded] == [
        (name, members, against) for name, (members, against, _) in jobs.items()
    ]
    assert all(0 < work() < 60 for _, _, work in jobs.values())


def test_seconds_a_step_leave_out_the_first_step(images, monkeypatch):
    clock = iter(np.cumsum([100.0, 1.0, 2.0, 3.0, 1000.0]))
    monkeypatch.setattr(yardsticks.time, "perf_counter", lambda: next(clock))
    assert yardsticks.stacked(images, benchmark.members(1)) == 2.0


def test_five_members_are_the_five_scales():
    members = benchmark.members(25)
    assert {(member.sigma, member.seed) for member in members} == {
        (sigma, seed) for sigma in EXPERIMENT.sigmas for seed in range(5)
    }
    assert [member.sigma for member in members[:5]] == list(EXPERIMENT.sigmas)


def test_run_records_what_it_measured(no_work, tmp_path, capsys):
    out = tmp_path / "benchmark.json"
    made = benchmark.run(out=out, repetitions=3)
    assert load(out, "benchmark").runs == made.runs
    assert made.configuration == benchmark.configuration(3)
    assert benchmark.extras(made) == {"memory": {1: 1000, 5: 5000, 25: 25000}, "seconds_to_plot": 9.0}
    assert "| a | 5 | 1.000 |  |  |" in capsys.readouterr().out
    benchmark.run(out=out)  # a recording is replaced
    assert load(out).configuration["repetitions"] == benchmark.REPETITIONS


def test_nothing_is_measured_if_it_cannot_be_recorded(tmp_path, monkeypatch):
    def load_mnist(root):
        pytest.fail("the work began")

    monkeypatch.setattr(benchmark, "load_mnist", load_mnist)
    foreign = tmp_path / "thesis.json"
    foreign.write_text("{}")
    with pytest.raises(RecordingError, match=r"thesis.json: not a recording"):
        benchmark.run(out=foreign)
    assert foreign.read_text() == "{}"
    with pytest.raises(RecordingError, match="nowhere"):
        benchmark.run(out=tmp_path / "nowhere" / "benchmark.json")
    for bad in (0, -1):
        with pytest.raises(ValueError, match=f"repetitions = {bad}"):
            benchmark.run(repetitions=bad)


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"alpha": 0.1}, "alpha: recorded 0.1, wanted 0.5"),
        ({"repetitions": 2}, "repetitions: recorded 2, wanted 7"),
        ({"plot_steps": None}, "plot_steps: recorded null, wanted 420"),
    ],
    ids=str,
)
def test_reading_names_what_differs_and_computes_nothing(changed, words, tmp_path):
    path = tmp_path / "benchmark.json"
    data = {"source": "mnist", "checksum": MD5}
    save(Recording("benchmark", benchmark.configuration() | changed, [], 1.0, data), path)
    with pytest.raises(RecordingError, match=rf"{words}\); run `make bench`$"):
        benchmark.recorded(path)
    save(Recording("benchmark", benchmark.configuration(), [], 1.0, data | {"source": "synthetic"}), path)
    with pytest.raises(RecordingError, match="synthetic"):
        benchmark.recorded(path)


def test_recorded_benchmark_reaches_its_goals():
    """The recording in the book: cost against its own products and against plain PyTorch, growth and memory."""
    recorded = benchmark.recorded(BENCHMARK)
    ratio, extra = benchmark.ratios(recorded), benchmark.extras(recorded)
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
    ]
    recording = Recording("benchmark", {}, rows, 1.0)
    lines = benchmark.table(recording).splitlines()
    assert lines[2:] == ["| a | 5 | 1.000 |  |  |", "| b | 5 | 3.000 | 3.00 | a |"]
    assert benchmark.ratios(recording) == {"b": 3.0}
