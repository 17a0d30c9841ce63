"""A sweep computes every (sigma, seed) once, wherever it runs and however often it is interrupted.

The data are synthetic images that stand in for MNIST: nothing claimed here depends on the images.
"""

import fcntl
import re
from dataclasses import asdict, replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from implicit_bias.mnist import recording, sweep, trainer
from implicit_bias.mnist.configuration import EXPERIMENT, SEARCH, Member, plotted_steps
from implicit_bias.mnist.data import synthetic_mnist
from implicit_bias.mnist.recording import Recording, RecordingError
from implicit_bias.mnist.sweep import record
from implicit_bias.mnist.workers import Workers

CONFIGURATION = replace(EXPERIMENT, sigmas=(0.02, 2.0), seeds=(0, 1), steps=12, width=9)
MEMBERS = CONFIGURATION.members()
ONE_BY_ONE = Workers(group_size=1)
MEASURED = ("loss", "train_error", "stable_rank", "test_error")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def images():
    return synthetic_mnist(200)


@pytest.fixture(scope="module")
def expected(images, tmp_path_factory):
    """The sweep, run without interruption in this process."""
    return record(CONFIGURATION, images, tmp_path_factory.mktemp("expected") / "sweep.json")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "sweep.json"


@pytest.fixture
def parts(out):
    return out.with_name("sweep.json.parts")


@pytest.fixture
def trained(monkeypatch):
    """The members that this process trains, in order."""
    members, train = [], trainer.train
    monkeypatch.setattr(
        trainer, "train", lambda group, *rest, **more: members.extend(group) or train(group, *rest, **more)
    )
    return members


def assert_complete(found, configuration):
    """Nobody is lost, repeated or foreign, in the runs or in the groups, whose seconds add up."""
    members = [vars(member) for member in configuration.members()]
    assert [{name: run[name] for name in ("sigma", "seed", "alpha")} for run in found.runs] == members
    grouped = [member for group in found.groups for member in group["members"]]
    assert sorted(grouped, key=str) == sorted(members, key=str)
    assert found.seconds == pytest.approx(sum(group["seconds"] for group in found.groups))


def assert_as_expected(found, expected, out):
    """Complete, the same runs to what rounding to 7 digits and other groups change, and nothing else is left."""
    assert_complete(found, CONFIGURATION)
    for left, right in zip(found.runs, expected.runs):
        assert (left["step"], left["diverged_at"]) == (right["step"], right["diverged_at"])
        for name in MEASURED:
            np.testing.assert_allclose(left[name], right[name], rtol=2e-5, err_msg=name)
        assert left["singular_values"].keys() == right["singular_values"].keys()
        for step in left["singular_values"]:
            np.testing.assert_allclose(left["singular_values"][step], right["singular_values"][step], rtol=2e-5)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


# What is refused


@pytest.mark.parametrize(
    "book, wrong, message",
    [
        (EXPERIMENT, dict(sigmas=(0.02, 0.0)), "sigma = 0"),
        (EXPERIMENT, dict(sigmas=(1e60,)), r"sigma = 1e\+60: a number in \[1e-30, 1e9\]"),
        (EXPERIMENT, dict(sigmas=()), "at least one"),
        (EXPERIMENT, dict(sigmas=(0.2, 0.2)), "0.2 is given twice"),
        (EXPERIMENT, dict(seeds=(-1,)), "seed = -1"),
        (EXPERIMENT, dict(alpha=0.0), "alpha = 0"),
        (EXPERIMENT, dict(steps=9), "steps = 9"),
        (EXPERIMENT, dict(gamma=1.01), "gamma = 1.01"),
        (EXPERIMENT, dict(width=0), "width = 0"),
        (SEARCH, dict(alphas=(0.5, -1.0)), "alpha = -1"),
        (SEARCH, dict(sigma=0.0), "sigma = 0"),
        (SEARCH, dict(target=0.0), "target = 0"),
        (SEARCH, dict(target=1.0), "target = 1"),
    ],
)
def test_out_of_range_is_refused(book, wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(book, **wrong)


def test_plotted_steps_are_rounded_up():
    assert plotted_steps(500) == (1, 50, 100, 250, 500)
    assert plotted_steps(11) == (1, 2, 3, 6, 11)


# One machine


def test_recording_has_what_the_trainer_measured_and_its_provenance(images, expected):
    direct = trainer.train(MEMBERS, images, 12, gamma=0.05, width=9, spectra_at=(12,))
    assert_complete(expected, CONFIGURATION)
    for run, trajectory in zip(expected.runs, direct):
        assert run["step"] == list(range(13))
        assert set(run["singular_values"]) == {"0", "1", "2", "3", "6", "12"}
        for name in MEASURED:
            np.testing.assert_allclose(run[name], getattr(trajectory, name), rtol=1e-6)
        np.testing.assert_allclose(run["singular_values"]["12"], trajectory.singular_values[12], rtol=1e-6)
    stated = dict(sigmas=[0.02, 2.0], seeds=[0, 1], alpha=0.5, steps=12, gamma=0.05, width=9, dtype="float32")
    assert expected.kind == "sweep" and stated.items() <= expected.configuration.items()
    assert expected.data == {"source": "synthetic", "checksum": images.checksum}
    assert expected.environment["device"] == "cpu" and expected.environment["threads"] == 1


@pytest.mark.parametrize("size, sizes", [(1, [1, 1, 1, 1]), (3, [3, 1]), (None, [2, 2])])
def test_group_size_changes_nothing(images, expected, out, trained, monkeypatch, size, sizes):
    monkeypatch.setattr(trainer, "members_that_fit", lambda **options: 2)
    found = record(CONFIGURATION, images, out, Workers(group_size=size))
    assert [len(group["members"]) for group in found.groups] == sizes and trained == MEMBERS
    assert_as_expected(found, expected, out)


def test_divergence_is_recorded_and_not_dropped(images, out):
    found = record(replace(CONFIGURATION, alpha=1e30), images, out, Workers(threads=2))
    assert_complete(found, replace(CONFIGURATION, alpha=1e30))
    for run in found.runs:
        assert run["diverged_at"] is not None and run["test_error"] is None
        assert len(run["loss"]) == len(run["step"]) == run["diverged_at"]
    assert found.environment["threads"] == 2 and torch.get_num_threads() == 1


def test_place_that_cannot_be_written_is_named_before_anything_is_computed(images, tmp_path, out, parts, trained):
    parts.write_text("precious")
    for path, message in ((tmp_path / "absent" / "x", "absent/x: cannot be written"), (out, "cannot be made a folder")):
        with pytest.raises(RecordingError, match=message):
            record(CONFIGURATION, images, path)
    assert trained == [] and parts.read_text() == "precious"


# Interrupted


def test_second_sweep_at_the_same_time_is_refused(images, expected, out, parts, in_time, monkeypatch):
    def train(*rest, **more):
        with pytest.raises(RecordingError, match=r"sweep.json: another process is computing it"):
            in_time(lambda: record(CONFIGURATION, images, out))
        return original(*rest, **more)

    original = trainer.train
    monkeypatch.setattr(trainer, "train", train)
    assert_as_expected(record(CONFIGURATION, images, out), expected, out)
    monkeypatch.setattr(fcntl, "flock", lambda *rest: (parts / "lock").unlink())  # the first one ends just now
    with pytest.raises(RecordingError, match="another process is computing it"):
        record(CONFIGURATION, images, out)


@pytest.fixture
def interrupted(images, out, parts, monkeypatch):
    """A sweep, to replace an older result, of which the first (sigma, seed) is finished; the part's file."""
    recording.save(Recording("sweep", {}, [], 0.0), out)
    (first,) = trainer.train(MEMBERS[:1], images, 12, gamma=0.05, width=9, spectra_at=(0, *plotted_steps(12)))
    train = Mock(side_effect=[[first], KeyboardInterrupt])
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "train", train)
        with pytest.raises(KeyboardInterrupt):
            record(CONFIGURATION, images, out, ONE_BY_ONE)
    (part,) = parts.iterdir()
    return part


def test_interrupted_run_keeps_what_is_finished(images, expected, out, parts, interrupted, trained, capsys):
    assert recording.load(out).runs == []  # the older result
    (parts / "lock").touch()  # as a killed process leaves it, and what it was writing
    (parts / f".0123456789.json.{'0' * 32}.tmp").touch()
    assert_as_expected(record(CONFIGURATION, images, out), expected, out)
    assert trained == MEMBERS[1:]
    assert "1 of 4 runs were finished before" in capsys.readouterr().err


@pytest.mark.parametrize(
    "other, seed, reason",
    [
        (replace(CONFIGURATION, alpha=0.25), 0, "alpha: recorded 0.5, wanted 0.25"),
        (replace(CONFIGURATION, sigmas=(2.0,)), 0, "sigmas: recorded"),
        (CONFIGURATION, 1, "data: recorded"),
    ],
)
def test_foreign_part_is_named_and_left_alone(images, out, interrupted, trained, capsys, other, seed, reason):
    """It stays out of the runs, the groups and the seconds, and its own sweep goes on from it later."""
    before, notes = interrupted.read_bytes(), interrupted.with_name("notes.txt")
    notes.touch()
    found = record(other, synthetic_mnist(200, seed=seed), out)
    assert_complete(found, other)
    assert trained == other.members() and {run["alpha"] for run in found.runs} == {other.alpha}
    assert re.search(rf"{interrupted}: {reason}.*; not used", capsys.readouterr().err)
    assert interrupted.read_bytes() == before

    trained.clear()
    record(CONFIGURATION, images, out)
    assert trained == MEMBERS[1:] and list(notes.parent.iterdir()) == [notes]


def test_part_that_cannot_be_trusted_is_computed_again(images, out, interrupted, trained, capsys, monkeypatch):
    interrupted.with_name("damaged.json").write_text(interrupted.read_text().replace('"seed":0', '"seed":1'))
    monkeypatch.setattr(sweep, "ENGINE_VERSION", sweep.ENGINE_VERSION + 1)
    assert_complete(record(CONFIGURATION, images, out), CONFIGURATION)
    said = capsys.readouterr().err
    assert trained == MEMBERS and "does not match its checksum" in said and "engine: recorded 1, wanted 2" in said


def test_overlapping_parts_are_not_counted_twice(images, out, interrupted, trained, capsys):
    other = interrupted.with_name("other.json")
    recording.save(sweep.train_group(CONFIGURATION, images, MEMBERS[:2]), other)
    trained.clear()
    assert_complete(record(CONFIGURATION, images, out), CONFIGURATION)
    assert trained == MEMBERS[1:] and list(interrupted.parent.iterdir()) == [other]
    assert "another part has its runs; not used" in capsys.readouterr().err


def test_parts_stay_until_the_recording_is_saved(images, expected, out, parts, trained, monkeypatch):
    def refuse(what, path):
        if path == out:
            raise RecordingError("no space")
        save(what, path)

    save = recording.save
    with monkeypatch.context() as patch:
        patch.setattr(recording, "save", refuse)
        with pytest.raises(RecordingError, match="no space"):
            record(CONFIGURATION, images, out, ONE_BY_ONE)
    assert len(list(parts.glob("*.json"))) == 4
    trained.clear()
    assert_as_expected(record(CONFIGURATION, images, out), expected, out)
    assert trained == []


# The search for a step size


def test_search_records_the_first_step_below_the_target(images, out):
    search = replace(SEARCH, alphas=(0.001, 0.5, 1e30), seeds=(0, 1), target=0.2, steps=40, width=9)
    found = record(search, images, out)
    assert found.kind == "step-size-search"
    assert found.configuration["alphas"] == [0.001, 0.5, 1e30] and found.configuration["target"] == 0.2
    assert_complete(found, search)
    for run, direct in zip(found.runs, trainer.train(search.members(), images, 40, gamma=0.05, width=9)):
        below = np.flatnonzero(direct.train_error < 0.2)
        assert run["first_step_below"] == (below[0] if len(below) else None)
        assert run["diverged_at"] == direct.diverged_at
        assert run["last_step"] == (below[0] if len(below) else direct.step[-1])
        assert run["minimum_error"] == pytest.approx(direct.train_error[: run["last_step"] + 1].min())
    fates = [(run["first_step_below"] is None, run["diverged_at"] is None) for run in found.runs]
    assert fates[::2] == [(True, True), (False, True), (True, False)]


def search_row(loss, train_error):
    loss, train_error = np.array(loss), np.array(train_error)
    measured = loss, train_error, *[loss] * 5
    run = trainer.Run(Member(0.02, 0, 0.5), np.arange(len(loss)), *measured, {}, 0.1, None)
    return sweep.search_row(run, target=0.2)


def test_row_of_a_search():
    assert search_row([2.0, 0.5, 1.0, 1.25, 0.25], [0.9, 0.3, 0.1, 0.1, 0.2]) == asdict(Member(0.02, 0, 0.5)) | {
        "diverged_at": None,
        "first_step_below": 2,
        "minimum_error": 0.1,
        "minimum_error_at": 2,
        "last_step": 4,
        "last_loss": 0.25,
        "loss_rises": 2,
        "largest_rise": 0.5,
    }
    falling, diverged_at_once = search_row([2.0, 1.0], [0.9, 0.2]), search_row([], [])
    assert falling["first_step_below"] is None and (falling["loss_rises"], falling["largest_rise"]) == (0, 0.0)
    assert diverged_at_once["largest_rise"] is diverged_at_once["minimum_error"] is None
