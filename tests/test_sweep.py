"""A sweep computes every (sigma, seed) once, wherever it runs and however often it is interrupted.

The data are synthetic images that stand in for MNIST: nothing claimed here depends on the images.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from distributed import LocalCluster
from implicit_bias.mnist import recording, sweep, trainer, workers
from implicit_bias.mnist.configuration import EXPERIMENT, SEARCH, Member, plotted_steps
from implicit_bias.mnist.data import synthetic_mnist
from implicit_bias.mnist.recording import RecordingError
from implicit_bias.mnist.sweep import record
from implicit_bias.mnist.workers import ATTEMPTS, SweepError, Workers, compute

CONFIGURATION = replace(EXPERIMENT, sigmas=(0.02, 2.0), seeds=(0, 1), steps=12, width=9)
ONE_BY_ONE = Workers(group_size=1)
EXACT = ("sigma", "seed", "alpha", "step", "diverged_at")
MEASURED = ("loss", "train_error", "stable_rank", "test_error")
DEADLINE = 60  # seconds that anything here may take


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
def out(tmp_path) -> Path:
    return tmp_path / "sweep.json"


@pytest.fixture
def parts(out) -> Path:
    return out.with_name("sweep.json.parts")


@pytest.fixture
def trained(monkeypatch):
    """The members that this process trains, in order."""
    members = []

    def count(group, *arguments, **options):
        members.extend(group)
        return original(group, *arguments, **options)

    original = trainer.train
    monkeypatch.setattr(trainer, "train", count)
    return members


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two worker processes; its address, and the workers' process numbers."""
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address="localhost:0") as two:
        yield two


def assert_same_runs(found, wanted):
    """The same runs in the same order, to what rounding to 7 digits and other group sizes change."""
    for name in EXACT:
        assert [run[name] for run in found.runs] == [run[name] for run in wanted.runs]
    for left, right in zip(found.runs, wanted.runs):
        for name in MEASURED:
            np.testing.assert_allclose(left[name], right[name], rtol=2e-5, err_msg=name)
        assert left["singular_values"].keys() == right["singular_values"].keys()
        for step in left["singular_values"]:
            np.testing.assert_allclose(left["singular_values"][step], right["singular_values"][step], rtol=2e-5)


def assert_each_member_in_one_group(found, configuration):
    """Nobody is lost, repeated or foreign, in the runs or in the groups, whose seconds add up."""
    members = [vars(member) for member in configuration.members()]
    assert [{name: run[name] for name in ("sigma", "seed", "alpha")} for run in found.runs] == members
    grouped = [member for group in found.groups for member in group["members"]]
    assert sorted(grouped, key=str) == sorted(members, key=str)
    assert found.seconds == pytest.approx(sum(group["seconds"] for group in found.groups))


def assert_clean(out):
    """Nothing but the recording is left."""
    assert [path.name for path in out.parent.iterdir()] == [out.name]


# The configuration


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(sigmas=(0.02, 0.0)), "sigma = 0"),
        (dict(sigmas=(float("nan"),)), "sigma = nan"),
        (dict(sigmas=(1e60,)), r"sigma = 1e\+60: a number in \[1e-30, 1e9\]"),
        (dict(sigmas=()), "at least one"),
        (dict(sigmas=(0.2, 0.2)), "0.2 is given twice"),
        (dict(seeds=(1, 1)), "1 is given twice"),
        (dict(seeds=(-1,)), "seed = -1"),
        (dict(alpha=0.0), "alpha = 0"),
        (dict(alpha=float("inf")), "alpha = inf"),
        (dict(steps=9), "steps = 9"),
        (dict(gamma=1.01), "gamma = 1.01"),
        (dict(width=0), "width = 0"),
    ],
)
def test_configuration_out_of_range_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(EXPERIMENT, **wrong)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(alphas=(0.5, -1.0)), "alpha = -1"),
        (dict(alphas=(1.0, 1.0)), "given twice"),
        (dict(sigma=0.0), "sigma = 0"),
        (dict(target=0.0), "target = 0"),
        (dict(target=1.0), "target = 1"),
        (dict(steps=9), "steps = 9"),
    ],
)
def test_search_out_of_range_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(SEARCH, **wrong)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(device="abacus"), "'abacus': torch knows no such device"),
        (dict(device="meta"), "'meta': not available"),
        (dict(jobs=0), "jobs = 0"),
        (dict(jobs=100_000), "jobs = 100000"),
        (dict(threads=100_000), "threads = 100000"),
        (dict(group_size=0), "group_size = 0"),
        *((dict(address=word), re.escape(f"{word!r}: such as tcp://host:8786 is needed")) for word in (
            "here", "tcp://there", "tcp://there:door", "tcp://there:99999", "inproc://1/2/3", "ucx://there:8786")),
    ],
)  # fmt: skip
def test_workers_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Workers(**wrong)


def test_plotted_steps_are_rounded_up():
    assert plotted_steps(500) == (1, 50, 100, 250, 500)
    assert plotted_steps(11) == (1, 2, 3, 6, 11)


# One machine


def test_recording_has_what_the_trainer_measured(images, expected):
    direct = trainer.train(CONFIGURATION.members(), images, 12, gamma=0.05, width=9, spectra_at=(12,))
    assert_each_member_in_one_group(expected, CONFIGURATION)
    for run, trajectory in zip(expected.runs, direct):
        assert run["step"] == list(range(13))
        assert set(run["singular_values"]) == {"0", "1", "2", "3", "6", "12"}
        for name in MEASURED:
            np.testing.assert_allclose(run[name], getattr(trajectory, name), rtol=1e-6)
        np.testing.assert_allclose(run["singular_values"]["12"], trajectory.singular_values[12], rtol=1e-6)


def test_recording_has_its_provenance(images, expected):
    stated = dict(sigmas=[0.02, 2.0], seeds=[0, 1], alpha=0.5, steps=12, gamma=0.05, width=9, dtype="float32")
    assert expected.kind == "sweep" and stated.items() <= expected.configuration.items()
    assert expected.data == {"source": "synthetic", "checksum": images.checksum}
    assert expected.environment["device"] == "cpu" and expected.environment["threads"] == 1


@pytest.mark.parametrize("size", [1, 3])
def test_group_size_changes_nothing(images, expected, out, trained, size):
    found = record(CONFIGURATION, images, out, Workers(group_size=size))
    assert_same_runs(found, expected)
    assert_each_member_in_one_group(found, CONFIGURATION)
    assert trained == CONFIGURATION.members()
    assert_clean(out)


def test_more_members_than_fit_are_split(images, out, expected, monkeypatch):
    monkeypatch.setattr(trainer, "members_that_fit", lambda **options: 3)
    found = record(CONFIGURATION, images, out)
    assert [len(group["members"]) for group in found.groups] == [3, 1]
    assert_same_runs(found, expected)


def test_divergence_is_recorded_and_not_dropped(images, out):
    found = record(replace(CONFIGURATION, alpha=1e30), images, out)
    assert_each_member_in_one_group(found, replace(CONFIGURATION, alpha=1e30))
    for run in found.runs:
        assert run["diverged_at"] is not None and run["test_error"] is None
        assert len(run["loss"]) == len(run["step"]) == run["diverged_at"]


def test_threads_are_set_for_the_run_only(images, out):
    assert record(CONFIGURATION, images, out, Workers(threads=2)).environment["threads"] == 2
    assert torch.get_num_threads() == 1


def test_missing_folder_is_named_before_anything_is_computed(images, tmp_path, trained):
    with pytest.raises(RecordingError, match="absent does not exist"):
        record(CONFIGURATION, images, tmp_path / "absent" / "sweep.json")
    assert trained == []


# Interrupted


def waited(condition) -> bool:
    deadline = time.monotonic() + DEADLINE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@pytest.fixture
def stuck(out):
    """A process that finished the runs with sigma = 0.02, one by one, and hangs in the next."""
    program = """if True:
        import sys, time
        from dataclasses import replace
        from implicit_bias.mnist import configuration, data, sweep, trainer, workers

        def slow(group, *arguments, **options):
            if group[0].sigma == 2.0:
                time.sleep(600)
            return original(group, *arguments, **options)

        original, trainer.train = trainer.train, slow
        what = replace(configuration.EXPERIMENT, sigmas=(0.02, 2.0), seeds=(0, 1), steps=12, width=9)
        sweep.record(what, data.synthetic_mnist(200), sys.argv[1], workers.Workers(group_size=1, threads=1))
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program, str(out)], env=environment) as running:
        yield running
        running.kill()


def test_killed_run_goes_on_from_the_finished_groups(images, expected, out, parts, stuck, trained):
    out.write_text("an older result")
    assert waited(lambda: len(list(parts.glob("*.json"))) == 2)
    with pytest.raises(RecordingError, match=r"sweep.json: another process is computing it"):
        record(CONFIGURATION, images, out)
    assert trained == []
    stuck.kill()
    assert stuck.wait(DEADLINE) == -signal.SIGKILL
    assert out.read_text() == "an older result"
    (parts / f".0123456789abcdef.json.{'0' * 32}.tmp").touch()  # as a process killed while it writes leaves it

    found = record(CONFIGURATION, images, out, ONE_BY_ONE)
    assert_same_runs(found, expected)
    assert_each_member_in_one_group(found, CONFIGURATION)
    assert [(member.sigma, member.seed) for member in trained] == [(2.0, 0), (2.0, 1)]
    assert_clean(out)


def test_one_of_two_simultaneous_sweeps_is_refused(images, out):
    """Or comes after the other; in any case a whole recording is left, and nothing else."""
    failures = []

    def run():
        try:
            record(CONFIGURATION, images, out, ONE_BY_ONE)
        except RecordingError as error:
            failures.append(str(error))

    for _ in range(3):
        pair = [threading.Thread(target=run) for _ in range(2)]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join(DEADLINE)
        assert_each_member_in_one_group(recording.load(out), CONFIGURATION)
        assert_clean(out)
    assert all("another process is computing it" in failure for failure in failures)


@pytest.fixture
def interrupted(images, out, parts, monkeypatch):
    """A sweep of which the first (sigma, seed) is finished; the part's file."""

    def stop(group, *arguments, **options):
        if group[0] != CONFIGURATION.members()[0]:
            raise KeyboardInterrupt
        return original(group, *arguments, **options)

    original = trainer.train
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "train", stop)
        with pytest.raises(KeyboardInterrupt):
            record(CONFIGURATION, images, out, ONE_BY_ONE)
    (part,) = parts.iterdir()
    return part


def test_interrupted_run_keeps_what_is_finished(images, expected, out, interrupted, trained, capsys):
    found = record(CONFIGURATION, images, out)
    assert_same_runs(found, expected)
    assert_each_member_in_one_group(found, CONFIGURATION)
    assert trained == CONFIGURATION.members()[1:]
    assert "1 of 4 runs were finished before" in capsys.readouterr().err
    assert_clean(out)


def test_damaged_part_is_computed_again(images, expected, out, interrupted, trained, capsys):
    interrupted.write_text(interrupted.read_text().replace('"seed":0', '"seed":1'))
    assert_same_runs(record(CONFIGURATION, images, out), expected)
    assert trained == CONFIGURATION.members()
    assert "does not match its checksum" in capsys.readouterr().err


@pytest.mark.parametrize(
    "other, seed, reason",
    [
        (replace(CONFIGURATION, steps=14), 0, "spectra_at: recorded"),
        (replace(CONFIGURATION, alpha=0.25), 0, "it has runs that are not asked for"),
        (replace(CONFIGURATION, sigmas=(2.0,)), 0, "it has runs that are not asked for"),
        (CONFIGURATION, 1, "data: recorded"),
    ],
)
def test_foreign_part_is_named_and_left_alone(images, out, interrupted, trained, capsys, other, seed, reason):
    """It stays out of the runs, the groups and the seconds, and its own sweep goes on from it later."""
    before = interrupted.read_bytes()
    found = record(other, synthetic_mnist(200, seed=seed), out)
    assert_each_member_in_one_group(found, other)
    assert trained == other.members() and {run["alpha"] for run in found.runs} == {other.alpha}
    assert f"{interrupted}: not used ({reason}" in capsys.readouterr().err
    assert interrupted.read_bytes() == before

    trained.clear()
    record(CONFIGURATION, images, out)
    assert trained == CONFIGURATION.members()[1:]
    assert_clean(out)


def test_part_of_another_engine_is_not_used(images, out, interrupted, trained, monkeypatch):
    monkeypatch.setattr(sweep, "ENGINE_VERSION", sweep.ENGINE_VERSION + 1)
    record(CONFIGURATION, images, out)
    assert trained == CONFIGURATION.members()


def test_overlapping_parts_are_not_counted_twice(images, expected, out, interrupted):
    part = sweep.train_group(images, CONFIGURATION.members()[:2], job=sweep.job(CONFIGURATION), row=sweep.sweep_row)
    recording.save(part, interrupted.with_name("other.json"))
    found = record(CONFIGURATION, images, out)
    assert_same_runs(found, expected)
    assert_each_member_in_one_group(found, CONFIGURATION)
    assert_clean(out)


def test_parts_stay_until_the_recording_is_saved(images, out, parts, trained, monkeypatch):
    def refuse(what, path):
        if path == out:
            raise RecordingError("no space")
        original(what, path)

    original = recording.save
    with monkeypatch.context() as patch:
        patch.setattr(recording, "save", refuse)
        with pytest.raises(RecordingError, match="no space"):
            record(CONFIGURATION, images, out, ONE_BY_ONE)
    assert len(list(parts.glob("*.json"))) == 4
    trained.clear()
    assert_each_member_in_one_group(record(CONFIGURATION, images, out), CONFIGURATION)
    assert trained == []
    assert_clean(out)


def test_foreign_files_among_the_parts_stay(images, out, parts):
    parts.mkdir()
    (parts / "notes.txt").write_text("precious")
    record(CONFIGURATION, images, out)
    assert [path.name for path in parts.iterdir()] == ["notes.txt"]


def test_file_in_place_of_the_parts_is_named(images, out, parts):
    parts.write_text("precious")
    with pytest.raises(RecordingError, match=r"sweep.json.parts: cannot be made a folder"):
        record(CONFIGURATION, images, out)
    assert parts.read_text() == "precious"


# Several processes, clusters, and workers that die


@pytest.mark.slow
def test_two_processes_give_the_same(images, expected, out, trained):
    found = record(CONFIGURATION, images, out, Workers(jobs=2))
    assert len(found.groups) == 2 and trained == []  # in this process
    assert_same_runs(found, expected)
    assert_clean(out)


@pytest.mark.slow
def test_cluster_gives_the_same(images, expected, out, cluster, trained):
    found = record(CONFIGURATION, images, out, Workers(address=cluster.scheduler_address))
    assert len(found.groups) == 2 and trained == []
    assert_same_runs(found, expected)
    assert_clean(out)


@pytest.mark.slow
def test_killed_worker_loses_and_repeats_nothing(images, out, parts, cluster):
    long = replace(CONFIGURATION, seeds=(0, 1, 2), steps=200)
    victim = next(iter(cluster.workers.values())).pid
    killed = threading.Event()

    def kill_one():
        if waited(lambda: list(parts.glob("*.json"))):
            os.kill(victim, signal.SIGKILL)
            killed.set()

    killer = threading.Thread(target=kill_one)
    killer.start()
    found = record(long, images, out, Workers(address=cluster.scheduler_address, group_size=1))
    killer.join(DEADLINE)
    assert killed.is_set()
    assert_each_member_in_one_group(found, long)
    assert_clean(out)


@pytest.fixture
def work(tmp_path):
    """A piece of work that kills its process or fails, and the attempts at it, each a letter in a file."""

    def work(data, group):
        with open(tmp_path / "attempts", "a") as stream:
            stream.write("x")
        if group[0].sigma == 2.0:
            os.kill(os.getpid(), signal.SIGKILL)
        raise ZeroDivisionError("the mathematics is wrong")

    return work


@pytest.mark.slow
def test_worker_that_always_dies_is_given_up(images, tmp_path, work):
    with pytest.raises(SweepError, match=r"1 of 1 groups are unfinished .*with its worker"):
        list(compute(work, images, [Member(2.0, 0, 0.5)], 1, Workers(jobs=2)))
    assert (tmp_path / "attempts").read_text() == ATTEMPTS * "x"


@pytest.mark.slow
def test_error_of_the_computation_is_raised_at_once(images, tmp_path, work, cluster):
    with pytest.raises(ZeroDivisionError, match="the mathematics is wrong"):
        list(compute(work, images, [Member(0.02, 0, 0.5)], 1, Workers(address=cluster.scheduler_address)))
    assert (tmp_path / "attempts").read_text() == "x"


@pytest.mark.parametrize("says", ["nothing", "silence", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.0 400 Bad Request\r\n\r\n"])
def test_port_that_is_no_scheduler_is_named_in_time(images, out, monkeypatch, says):
    monkeypatch.setattr(workers, "_CONNECTION_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"

        def answer():
            server.settimeout(DEADLINE)
            with server.accept()[0] as connection:
                connection.settimeout(DEADLINE)
                connection.sendall(says.encode())
                while connection.recv(1000):  # until the other side gives up
                    pass

        thread = threading.Thread(target=answer)
        if says == "nothing":
            server.close()
        elif says != "silence":
            thread.start()
        start = time.monotonic()
        with pytest.raises(SweepError, match=f"Dask cluster at {address} cannot be reached"):
            record(CONFIGURATION, images, out, Workers(address=address))
        assert time.monotonic() - start < 20
        if thread.ident:
            thread.join(DEADLINE)


def test_cluster_without_workers_is_named(images, out, monkeypatch):
    monkeypatch.setattr(workers, "_CONNECTION_SECONDS", 0.5)
    with (
        LocalCluster(n_workers=0, dashboard_address="localhost:0") as empty,
        pytest.raises(SweepError, match="has no workers"),
    ):
        record(CONFIGURATION, images, out, Workers(address=empty.scheduler_address))


# The search for a step size


def test_search_records_the_first_step_below_the_target(images, out):
    search = replace(SEARCH, alphas=(0.001, 0.5, 1e30), seeds=(0, 1), target=0.2, steps=40, width=9)
    found = record(search, images, out)
    assert found.kind == "step-size-search"
    assert found.configuration["alphas"] == [0.001, 0.5, 1e30] and found.configuration["target"] == 0.2
    assert_each_member_in_one_group(found, search)
    for run in found.runs:
        (direct,) = trainer.train([Member(0.02, run["seed"], run["alpha"])], images, 40, gamma=0.05, width=9)
        below = np.flatnonzero(direct.train_error < 0.2)
        assert run["first_step_below"] == (below[0] if len(below) else None)
        assert run["diverged_at"] == direct.diverged_at
        last = run["last_step"]
        assert last == (below[0] if len(below) else direct.step[-1])
        assert run["minimum_error"] == pytest.approx(direct.train_error[: last + 1].min())
    fates = [(run["first_step_below"] is None, run["diverged_at"] is None) for run in found.runs]
    assert fates[::2] == [(True, True), (False, True), (True, False)]


def run_of(loss, train_error):
    return trainer.Run(
        Member(0.02, 0, 0.5), np.arange(len(loss)), np.array(loss), np.array(train_error), np.array(loss), {}, 0.1, None
    )


def test_row_of_a_search():
    found = sweep.search_row(run_of([2.0, 0.5, 1.0, 1.25, 0.25], [0.9, 0.3, 0.1, 0.1, 0.2]), target=0.2)
    assert found == {
        "sigma": 0.02,
        "seed": 0,
        "alpha": 0.5,
        "diverged_at": None,
        "first_step_below": 2,
        "minimum_error": 0.1,
        "minimum_error_at": 2,
        "last_step": 4,
        "last_loss": 0.25,
        "loss_rises": 2,
        "largest_rise": 0.5,
    }
    falling = sweep.search_row(run_of([2.0, 1.0], [0.9, 0.2]), target=0.2)
    assert falling["first_step_below"] is None and (falling["loss_rises"], falling["largest_rise"]) == (0, 0.0)


def test_row_of_a_search_that_diverged_at_once():
    row = sweep.search_row(run_of([], []), target=0.2)
    assert row["largest_rise"] is row["minimum_error"] is row["first_step_below"] is None
