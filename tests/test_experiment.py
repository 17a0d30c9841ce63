"""The recorded MNIST experiment: complete, as stated, what a fresh run gives, and what the book says of it."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from implicit_bias.figures import runs as figures
from implicit_bias.mnist import experiment, tables
from implicit_bias.mnist.configuration import EXPERIMENT, SEARCH, SEARCHES, Member
from implicit_bias.mnist.data import synthetic_mnist
from implicit_bias.mnist.recording import Recording, RecordingError, replacing
from implicit_bias.mnist.sweep import record
from implicit_bias.mnist.trainer import initial_weights, train
from implicit_bias.orthogonality import p_orthogonality
from implicit_bias.rank import stable_rank
from implicit_bias.small_scale import small_scale_limit
from matplotlib.figure import Figure

SMALL = replace(EXPERIMENT, seeds=(0, 1), steps=10, width=12)
SMALL_SEARCHES = tuple(replace(search, sigma=sigma, steps=10, width=5) for search, sigma in zip(SEARCHES, (0.02, 0.2)))


@pytest.fixture(scope="module")
def found():
    return experiment.recorded()


@pytest.fixture(scope="module")
def images():
    return synthetic_mnist(100)


@pytest.fixture(scope="module")
def small_sweep(tmp_path_factory, images):
    """A small sweep on random images that stand in for MNIST: the figures' shape does not depend on the data."""
    return record(SMALL, images, tmp_path_factory.mktemp("sweep") / "sweep.json")


# What was recorded


def test_every_member_was_recorded_and_the_steps_are_the_first_below_the_target_rounded_up_to_ten(found):
    runs = [(run["sigma"], run["seed"]) for run in found.sweep.runs]
    assert len(runs) == len(set(runs)) == len(EXPERIMENT.members()) >= 25
    first = tables.first_step(found.sweep, 0.02, "train_error", SEARCH.target)
    assert -(-first.max() // 10) * 10 == EXPERIMENT.steps
    assert all(run["train_error"][-1] < SEARCH.target for run in found.sweep.runs if run["sigma"] == 0.02)


def test_larger_step_sizes_throw_the_loss_up_and_smaller_ones_are_too_slow(found):
    def searched(sigma, alpha):
        return tables.searched(found.searches, sigma, alpha)

    for sigma in (0.0002, 0.002, 0.02):
        assert searched(sigma, EXPERIMENT.alpha)["largest_rise"] < 0.5
        assert searched(sigma, 1.0)["largest_rise"] > 1
    for sigma in EXPERIMENT.sigmas:
        assert searched(sigma, 2.0)["first_step_below"] is None
        assert searched(sigma, EXPERIMENT.alpha)["loss_rises"] < searched(sigma, 1.0)["loss_rises"]
    for alpha in (0.05, 0.1, 0.2):
        assert searched(0.02, alpha)["first_step_below"] is None


@pytest.mark.slow
def test_fresh_run_gives_the_recorded_first_steps(mnist, found):
    """The first 2 steps of one seed of each sigma, on the real images."""
    recorded = {run["sigma"]: run for run in found.sweep.runs if run["seed"] == 2}
    members = [Member(sigma, 2, EXPERIMENT.alpha) for sigma in EXPERIMENT.sigmas]
    for fresh in train(members, mnist, 2, gamma=EXPERIMENT.gamma, width=EXPERIMENT.width, spectra_at=(0, 1)):
        old = recorded[fresh.member.sigma]
        # Other machines round otherwise. At sigma = 2 the loss is large and steep, and rounding grows fastest.
        np.testing.assert_allclose(fresh.loss, old["loss"][:3], rtol=1e-3)
        np.testing.assert_allclose(fresh.stable_rank, old["stable_rank"][:3], rtol=1e-3)
        np.testing.assert_allclose(fresh.train_error, old["train_error"][:3], atol=1e-3)
        np.testing.assert_allclose(fresh.singular_values[1], old["singular_values"]["1"], rtol=1e-3)


@pytest.mark.slow
def test_first_steps_at_small_sigma_follow_the_limit_recursion(mnist, found):
    """thm-small-scale on MNIST: the recorded ratio at sigma = 0.0002 is that of the recursion, until it has halved."""
    (run,) = (run for run in found.sweep.runs if (run["sigma"], run["seed"]) == (0.0002, 0))
    W, b, V, _ = (np.asarray(part, float) for part in initial_weights(1.0, 0, 150))
    X, labels = mnist.train_images / 255, mnist.train_labels
    states = small_scale_limit(np.column_stack((W, b)), V, X, labels, EXPERIMENT.alpha, EXPERIMENT.gamma, 8)
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


def test_orthogonality_is_p_orthogonality(images):
    found = experiment.orthogonality(images)
    assert found["p"] == pytest.approx(p_orthogonality(images.train_images.astype(float)), rel=1e-12)
    assert found.keys() == experiment.recorded().orthogonality.keys()


# Read, and made again


@pytest.fixture(scope="module")
def made(tmp_path_factory, images):
    folder = tmp_path_factory.mktemp("made") / "results"
    folder.mkdir()
    experiment.run_again(images, folder, SMALL, SMALL_SEARCHES)
    return folder


@pytest.fixture
def results(tmp_path, made, monkeypatch):
    """A folder with the recordings of a small experiment, made by `run_again`; the next ones get an empty picture."""
    monkeypatch.setattr(experiment, "stable_rank_figure", lambda sweep: Figure())
    return shutil.copytree(made, tmp_path / "results")


def read(results, images, configuration=SMALL, searches=SMALL_SEARCHES):
    return experiment.recorded(results, configuration, searches, images.provenance())


def test_what_is_made_again_is_what_is_read(results, images):
    made = read(results, images)
    assert len(made.sweep.runs) == 10 and made.searches.keys() == {0.02, 0.2}
    assert tables.seconds(made.sweep, 0.02) > 0  # the seeds of one sigma are a group
    assert (results / "stable-rank.svg").read_bytes().startswith(b"<?xml")
    assert [path.name for path in results.parent.iterdir()] == ["results"]


@pytest.mark.parametrize(
    "other, message",
    [
        (dict(configuration=replace(SMALL, alpha=0.1)), "sweep.json: alpha: recorded 0.5, wanted 0.1"),
        (
            dict(searches=(SMALL_SEARCHES[0], replace(SMALL_SEARCHES[1], target=0.1))),
            "stability-0.2.json: stop_below: recorded 0.05, wanted 0.1; target: recorded 0.05, wanted 0.1",
        ),
        (dict(searches=(replace(SMALL_SEARCHES[0], sigma=3.0),)), "stability-3.json: cannot be read .No such file"),
        (dict(images=synthetic_mnist(100, 1)), "sweep.json: data: recorded"),
    ],
)
def test_reading_says_what_differs_and_computes_nothing(results, images, monkeypatch, other, message):
    for module in ("sweep", "experiment"):
        monkeypatch.setattr(f"implicit_bias.mnist.{module}.record", None)  # would fail if it were called
    with pytest.raises(RecordingError, match=rf"{message}.*; to record it again, run: make experiment") as caught:
        read(results, **dict(images=images) | other)
    assert "\n" not in str(caught.value)


def stamps(folder):
    return {
        path.name: json.loads(path.read_text())["created"] + str(path.stat().st_ino) for path in folder.glob("*.json")
    }


@pytest.mark.parametrize("step", ["third recording", "picture", "second move", "clearing"])
def test_interrupted_remaking_goes_on_where_it_was(results, images, monkeypatch, step):
    """Until all is there the old set stays whole; and nothing that is there is computed twice."""
    before, computed = stamps(results), []

    def counted(configuration, data, out, *rest):
        if step == "third recording" and len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(out.name)
        return record(configuration, data, out, *rest)

    def interrupted(path):
        if path.name == {"picture": "stable-rank.svg", "second move": "step-size.json"}.get(step):
            raise KeyboardInterrupt
        return replacing(path)

    def stopped(path, **options):
        if step == "clearing" and path.with_name("in-place").exists():
            raise KeyboardInterrupt
        unlink(path, **options)

    unlink = experiment.Path.unlink
    monkeypatch.setattr(experiment, "record", counted)
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "replacing", interrupted)
        patch.setattr(experiment.Path, "unlink", stopped)
        with pytest.raises(KeyboardInterrupt):
            experiment.run_again(images, results, SMALL, SMALL_SEARCHES)
    assert (stamps(results) == before) == (step in ("third recording", "picture"))
    (results.with_name("results.new") / f".sweep.json.{'0' * 32}.tmp").touch()  # as a killed process leaves it

    step = "none"
    experiment.run_again(images, results, SMALL, SMALL_SEARCHES)
    assert sorted(computed) == ["stability-0.2.json", "step-size.json", "sweep.json"]
    assert stamps(results).keys() == before.keys() and not stamps(results).items() & before.items()
    assert [path.name for path in results.parent.iterdir()] == ["results"]


# The tables


def test_tables_of_searches_has_each_number_in_its_column():
    def search(sigma, *runs):
        names = ("alpha", "first_step_below", "diverged_at", "minimum_error", "loss_rises", "largest_rise")
        return Recording(
            "step-size-search", {"target": 0.05}, [dict(zip(names, run), sigma=sigma) for run in runs], 0.0
        )

    found = tables.step_size_table(
        {
            0.2: search(0.2, (0.5, 363, None, 0.0499, 1, 3.59), (1.0, None, 17, 0.25, 6, 11.65)),
            0.02: search(0.02, (0.1, None, None, 0.0877, 0, 0.0), (0.5, 0, None, 0.01, 4, 0.125)),
        }
    )
    assert found.splitlines() == [
        "| σ | α | below 5 % | lowest error | rises | largest rise |",
        "|--:|--:|--:|--:|--:|--:|",
        "| 0.02 | 0.1 | never | 8.770 % | 0 | 0 |",
        "| 0.02 | 0.5 | 0 | 1.000 % | 4 | 0.12 |",
        "| 0.2 | 0.5 | 363 | 4.990 % | 1 | 3.6 |",
        "| 0.2 | 1 | diverged at 17 | 25.000 % | 6 | 12 |",
    ]


def test_ranges_name_one_value_once_and_say_what_diverged():
    assert tables.between(np.array([0.031, 0.052, np.nan]), ".1%") == "3.1–5.2 %, 1 diverged"
    assert tables.between(np.array([np.nan]), ".0f") == "diverged"
    assert tables.between(np.array([-0.42, -0.31]), ".1f") == "−0.4 to −0.3"
    assert tables.between(np.array([7.01, 6.99]), ".0f") == "7"


@pytest.fixture
def made_up():
    """Two scales with two seeds each, T = 2, the second seed of sigma = 1 diverged at step 2."""
    rows = [
        (0.5, 0, [4.0, 3.0, 1.0], [0.9, 0.5, 0.02], [10.0, 5.0, 6.0], 0.03, None),
        (0.5, 1, [4.0, 2.0, 1.5], [0.9, 0.4, 0.03], [20.0, 10.0, 2.0], 0.05, None),
        (1.0, 0, [8.0, 6.0, 5.0], [0.8, 0.7, 0.60], [10.0, 5.02, 9.0], 0.61, None),
        (1.0, 1, [8.0, 7.0], [0.8, 0.7], [20.0, 10.01], None, 2),
    ]
    names = ("sigma", "seed", "loss", "train_error", "stable_rank", "test_error", "diverged_at")
    groups = [
        {"seconds": 60.0, "members": [{"sigma": 0.5, "seed": 0}, {"sigma": 0.5, "seed": 1}]},
        {"seconds": 30.0, "members": [{"sigma": 1.0, "seed": 0}]},
        {"seconds": 30.0, "members": [{"sigma": 1.0, "seed": 1}]},
    ]
    return Recording("sweep", {"steps": 2}, [dict(zip(names, row)) for row in rows], 120.0, groups=groups)


def test_numbers_of_the_chapter(made_up):
    assert tables.at(made_up, 0.5, 1).tolist() == [5, 10] and tables.at(made_up, 0.5, 1, "loss").tolist() == [3, 2]
    assert tables.all_scales(made_up, 1).tolist() == pytest.approx([0.5, 0.5, 0.502, 0.5005])
    np.testing.assert_array_equal(tables.final(made_up, 1.0, "loss"), [5, np.nan])
    np.testing.assert_array_equal(tables.first_step(made_up, 0.5, "train_error", 0.5), [2, 1])
    np.testing.assert_array_equal(tables.first_step(made_up, 1.0, "train_error", 0.7), [2, np.nan])
    assert [values.tolist() for values in tables.lowest(made_up, 0.5)] == [[5, 2], [1, 2]]
    assert tables.agreement(made_up, 0.5, 1.0) == 1 and tables.agreement(made_up, 0.5, 1.0, 1e-4) == 0
    assert tables.seconds(made_up, 0.5) == 60
    with pytest.raises(ValueError, match=r"sigma = 1.0: its runs are not one group of their own"):
        tables.seconds(made_up, 1.0)
    with pytest.raises(KeyError, match=r"alpha = 7.0: not searched"):
        tables.searched({0.02: Recording("step-size-search", {}, [], 0.0)}, 0.02, 7.0)


# The figures


def test_required_figure_has_five_distinct_curves(small_sweep):
    (axes,) = figures.stable_rank_figure(small_sweep).axes
    *lines, predicted = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
    assert len(lines) == 5 and "predicted" in predicted.get_label() and axes.get_xscale() == "log"
    for look in ("get_color", "get_marker", "get_label", "get_linestyle"):
        assert len({str(getattr(line, look)()) for line in lines}) >= (2 if look == "get_linestyle" else 5)
    for line, t in zip(lines, (1, 1, 2, 5, 10)):
        expected = [np.median(figures.relative_rank(small_sweep, sigma, t)) for sigma in figures.scales(small_sweep)]
        np.testing.assert_allclose(line.get_ydata(), expected)


def test_other_figures_have_a_curve_for_each_sigma(small_sweep):
    for drawn, name in zip(figures.training_figure(small_sweep), ("train_error", "stable_rank")):
        (axes,) = drawn.axes
        lines = [line for line in axes.get_lines() if "sigma" in line.get_label()]
        assert len({line.get_color() for line in lines}) == 5
        for line, sigma in zip(lines, figures.scales(small_sweep)):
            rows = np.array([run[name] for run in small_sweep.runs if run["sigma"] == sigma])
            expected = np.median(rows / rows[:, :1] if name == "stable_rank" else rows, axis=0)[1:]
            np.testing.assert_allclose(line.get_ydata(), expected)
    (axes,) = figures.singular_value_figure(small_sweep).axes
    assert len([line for line in axes.get_lines() if "sigma" in line.get_label()]) == 5


def test_milestones_are_the_times_asked_for():
    assert figures.milestones(420) == {"1": 1, "T/10": 42, "T/5": 84, "T/2": 210, "T": 420}
