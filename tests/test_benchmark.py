"""The benchmark compares computations that agree, its ratios are what they are called, and reading computes nothing."""

import numpy as np
import pytest
from implicit_bias.mnist import benchmark, variants
from implicit_bias.mnist.configuration import EXPERIMENT, plotted_steps
from implicit_bias.mnist.data import MD5, PROJECT, synthetic_mnist
from implicit_bias.mnist.experiment import recorded
from implicit_bias.mnist.recording import Recording, RecordingError, load, save

BENCHMARK = PROJECT / "data" / "results" / "benchmark.json"
FAST = {"name": "fast", "members": 5, "seconds": [1.0, 10.0, 3.0], "median": 3.0, "against": None, "ratio": None}
SLOW = {"name": "slow", "members": 1, "seconds": [2.0, 30.0, 12.0], "median": 12.0, "against": "fast", "ratio": 3.0}


@pytest.fixture
def images():
    """Random images that stand in for MNIST."""
    return synthetic_mnist(60, 0)


def test_ratios_are_medians_of_ratios_of_interleaved_repetitions(images, monkeypatch):
    """The machine's clock drifts tenfold here: the ratio of the medians would be another."""
    order = []

    def job(row):
        times = iter(row["seconds"])
        return benchmark.MEMBERS[: row["members"]], row["against"], lambda *_: order.append(row["name"]) or next(times)

    monkeypatch.setattr(
        benchmark, "comparisons", lambda images, device: {row["name"]: job(row) for row in (FAST, SLOW)}
    )
    assert benchmark.measure(images, 3, "cpu") == [FAST, SLOW]
    assert order == ["fast", "slow"] * 3


def test_the_benchmark_stops_if_the_loops_disagree(images, monkeypatch):
    honest = benchmark.plain_losses
    monkeypatch.setattr(benchmark, "plain_losses", lambda *which: (1.001 * loss for loss in honest(*which)))
    with pytest.raises(RuntimeError, match="disagree"):
        benchmark.measure(images, 1, "cpu")


@pytest.mark.slow
def test_every_comparison_gives_a_time(images):
    """And the rows are those that the book's recording has, compared with the same others."""
    jobs = benchmark.comparisons(len(images.train_labels), "cpu")
    recorded = [(row["name"], row["members"], row["against"]) for row in load(BENCHMARK).runs if "median" in row]
    assert [member.sigma for member in jobs["stacked trainer"][0]] == list(EXPERIMENT.sigmas)
    assert recorded == [(name, len(members), against) for name, (members, against, _) in jobs.items()]
    assert all(0 < work(images, members) < 60 for members, _, work in jobs.values())


def test_seconds_a_step_leave_out_the_first_step(images, monkeypatch):
    clock = iter(np.cumsum([100.0, 1.0, 2.0, 3.0, 1000.0]))
    monkeypatch.setattr(variants.time, "perf_counter", lambda: next(clock))
    assert variants.stacked(images, benchmark.MEMBERS[:1]) == 2.0


def test_run_records_and_prints_what_it_measured(images, tmp_path, monkeypatch, capsys):
    """A benchmark without the hours of work."""
    monkeypatch.setattr(benchmark, "load_mnist", lambda root: images)
    monkeypatch.setattr(benchmark, "measure", lambda data, repetitions, device: [FAST, SLOW])
    monkeypatch.setattr(benchmark, "peak_memory", lambda count, root: 1000 * count)
    monkeypatch.setattr(benchmark, "time_to_plot", lambda root, device: 9.0)
    out = tmp_path / "benchmark.json"
    benchmark.run(None, 3, "cpu", out)
    found = load(out, "benchmark")
    assert found.data == images.provenance()
    assert found.configuration["repetitions"] == 3
    assert benchmark.ratios(found) == {"slow": 3.0}
    assert benchmark.extras(found) == {"memory": {1: 1000, 5: 5000, 25: 25000}, "seconds_to_plot": 9.0}
    lines = benchmark.table(found).splitlines()
    assert lines[2:] == ["| fast | 5 | 3.00 |  |  |", "| slow | 1 | 12.0 | 3.00 (2.00–4.00) | fast |"]
    assert capsys.readouterr().out.splitlines()[: len(lines)] == lines


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"alpha": 0.1}, "alpha: recorded 0.1, wanted 0.5"),
        ({"repetitions": 2}, "repetitions: recorded 2, wanted 7"),
        ({"plot_steps": None}, "plot_steps: recorded null, wanted 420"),
        ({}, 'data: recorded .*"synthetic"'),
    ],
    ids=str,
)
def test_reading_names_what_differs_and_computes_nothing(changed, words, tmp_path):
    path = tmp_path / "benchmark.json"
    data = {"source": "mnist" if changed else "synthetic", "checksum": MD5}
    save(Recording("benchmark", benchmark.configuration() | changed, [], 1.0, data), path)
    with pytest.raises(RecordingError, match=rf"another benchmark \({words}.*\); run `make bench`$"):
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


def test_recorded_sweep_of_a_gpu_is_that_of_the_cpu():
    """All 25 runs; up to rounding before the first burst of the loss, and to 1.5 % at the steps of the plot."""
    results = BENCHMARK.parent
    sweep, gpu = recorded().sweep, load(results / "sweep-h100.json", "thinned-sweep")
    assert "H100" in gpu.environment["device"] and sweep.environment["device"] == "cpu"
    assert gpu.configuration == sweep.configuration and gpu.data == sweep.data and gpu.seconds < 30
    assert benchmark.disagreement(sweep, gpu, [step for step in gpu.runs[0]["step"] if step <= 24]) < 5e-5
    assert benchmark.disagreement(sweep, gpu, plotted_steps(EXPERIMENT.steps)) < 0.015
    assert benchmark.ratios(benchmark.recorded(results / "benchmark-h100.json"))["plain PyTorch loop"] > 1
