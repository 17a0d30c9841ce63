"""A sweep computes every (sigma, seed) once, wherever it runs and however often it is interrupted.

The data are synthetic images that stand in for MNIST: nothing claimed here depends on the images.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster
from implicit_bias.mnist import sweep
from implicit_bias.mnist import trainer as training
from implicit_bias.mnist.data import MNISTError, synthetic_mnist
from implicit_bias.mnist.recording import RecordingError
from implicit_bias.mnist.sweep import (
    Configuration,
    SweepError,
    load_or_run,
    load_or_search,
    plotted_steps,
    run_sweep,
    search_step_size,
)

CONFIGURATION = Configuration(sigmas=(0.02, 2.0), seeds=(0, 1), alpha=0.5, steps=12, width=9)
EXACT = ("sigma", "seed", "alpha", "step", "diverged_at")
MEASURED = ("loss", "train_error", "stable_rank", "test_error")

alone = functools.partial(run_sweep, progress=False)


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
    return alone(CONFIGURATION, images, tmp_path_factory.mktemp("expected") / "sweep.json")


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "sweep.json"


@pytest.fixture
def trained(monkeypatch):
    """The members that this process trains, in order."""
    members = []

    def count(group, *arguments, **options):
        members.extend(group)
        return original(group, *arguments, **options)

    original = training.train
    monkeypatch.setattr(training, "train", count)
    return members


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two worker processes."""
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as two:
        yield two


def assert_same_runs(found, wanted):
    """The same runs in the same order, to what rounding to 7 digits and other group sizes change."""
    assert [[run[name] for name in EXACT] for run in found.runs] == [
        [run[name] for name in EXACT] for run in wanted.runs
    ]
    for left, right in zip(found.runs, wanted.runs):
        for name in MEASURED:
            np.testing.assert_allclose(left[name], right[name], rtol=2e-5, err_msg=name)
        assert left["singular_values"].keys() == right["singular_values"].keys()
        for step in left["singular_values"]:
            np.testing.assert_allclose(left["singular_values"][step], right["singular_values"][step], rtol=2e-5)


def assert_clean(out):
    """Nothing but the recording is left."""
    assert [path.name for path in out.parent.iterdir()] == [out.name]


# The configuration


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(sigmas=(0.02, 0)), "sigma = 0"),
        (dict(sigmas=(-1,)), "sigma = -1"),
        (dict(sigmas=(float("nan"),)), "sigma = nan"),
        (dict(sigmas=(float("inf"),)), "sigma = inf"),
        (dict(sigmas=()), "at least one"),
        (dict(sigmas=(0.2, 0.2)), "0.2 is given twice"),
        (dict(seeds=()), "at least one"),
        (dict(seeds=(1, 1)), "1 is given twice"),
        (dict(seeds=(-1,)), "seed = -1"),
        (dict(seeds=(0.5,)), "seed = 0.5"),
        (dict(alpha=0), "alpha = 0"),
        (dict(alpha=float("inf")), "alpha = inf"),
        (dict(steps=9), "steps = 9"),
        (dict(steps=10.5), "steps = 10.5"),
        (dict(gamma=0), "gamma = 0"),
        (dict(gamma=1.01), "gamma = 1.01"),
        (dict(width=0), "width = 0"),
    ],
)
def test_configuration_out_of_range_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Configuration(**wrong)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(device="abacus"), "abacus"),
        (dict(device="meta"), "not available"),
        (dict(jobs=0), "jobs = 0"),
        (dict(group_size=0), "group_size = 0"),
        (dict(threads=0), "threads = 0"),
        (dict(backend="mpi"), "'mpi'"),
        (dict(address="tcp://there:1"), "needs the backend"),
    ],
)
def test_workers_out_of_range_are_refused(images, out, wrong, message):
    with pytest.raises(ValueError, match=message):
        alone(CONFIGURATION, images, out, **wrong)


def test_plotted_steps_are_rounded_up():
    assert plotted_steps(500) == (1, 50, 100, 250, 500)
    assert plotted_steps(11) == (1, 2, 3, 6, 11)


# One machine


def test_every_sigma_and_seed_is_there_once_in_order(expected):
    assert [(run["sigma"], run["seed"]) for run in expected.runs] == [(0.02, 0), (0.02, 1), (2.0, 0), (2.0, 1)]
    for run in expected.runs:
        assert run["step"] == list(range(13))
        assert set(run["singular_values"]) == {"0", "1", "2", "3", "6", "12"}
        assert len(run["loss"]) == len(run["train_error"]) == len(run["stable_rank"]) == 13


def test_recording_has_what_the_trainer_measured(images, expected):
    direct = training.train(CONFIGURATION.members(), images, 12, width=9, spectra_at=(12,))
    for run, trajectory in zip(expected.runs, direct):
        for name in MEASURED:
            np.testing.assert_allclose(run[name], getattr(trajectory, name), rtol=1e-6)
        np.testing.assert_allclose(run["singular_values"]["12"], trajectory.singular_values[12], rtol=1e-6)


def test_recording_has_its_provenance(images, expected):
    assert expected.kind == "sweep"
    assert {
        "sigmas": [0.02, 2.0],
        "seeds": [0, 1],
        "alpha": 0.5,
        "steps": 12,
        "gamma": 0.05,
        "width": 9,
        "dtype": "float32",
    }.items() <= expected.configuration.items()
    assert expected.data == {"source": "synthetic", "checksum": images.checksum}
    assert expected.environment["device"] == "cpu" and expected.environment["threads"] == 1
    assert expected.seconds > 0


@pytest.mark.parametrize("size", [1, 3])
def test_group_size_changes_nothing(images, expected, out, trained, size):
    assert_same_runs(alone(CONFIGURATION, images, out, group_size=size), expected)
    assert trained == CONFIGURATION.members()
    assert_clean(out)


def test_more_members_than_fit_are_split(images, out, expected, monkeypatch):
    monkeypatch.setattr(training, "members_that_fit", lambda **options: 3)
    found = alone(CONFIGURATION, images, out)
    assert [len(group["members"]) for group in found.groups] == [3, 1]
    assert_same_runs(found, expected)


def test_divergence_is_recorded_and_not_dropped(images, out):
    found = alone(Configuration((0.02, 2.0), (0,), alpha=1e30, steps=10, width=9), images, out)
    assert len(found.runs) == 2
    for run in found.runs:
        assert run["diverged_at"] is not None and run["test_error"] is None
        assert len(run["loss"]) == len(run["step"]) == run["diverged_at"]


def test_threads_are_set_for_the_run_only(images, out):
    assert alone(CONFIGURATION, images, out, threads=2).environment["threads"] == 2
    assert torch.get_num_threads() == 1


def test_two_processes_give_the_same(images, expected, out, trained):
    found = alone(CONFIGURATION, images, out, jobs=2)
    assert len(found.groups) == 2 and trained == []  # in this process
    assert_same_runs(found, expected)
    assert_clean(out)


def test_files_are_read_from_the_root(stand_in, out):
    found = alone(CONFIGURATION, stand_in, out)
    assert found.data["source"] == "mnist"
    assert_same_runs(found, alone(CONFIGURATION, synthetic_mnist(300), out))


def test_missing_folder_is_named_before_anything_is_computed(images, tmp_path, trained):
    with pytest.raises(RecordingError, match="absent does not exist"):
        alone(CONFIGURATION, images, tmp_path / "absent" / "sweep.json")
    assert trained == []


# Interrupted


def test_killed_run_goes_on_from_the_finished_groups(images, expected, out, trained):
    out.write_text("an older result")
    program = """if True:
        import sys, time
        from implicit_bias.mnist import sweep, trainer as training
        from implicit_bias.mnist.data import synthetic_mnist

        def slow(group, *arguments, **options):
            if group[0].sigma == 2.0:
                time.sleep(600)
            return original(group, *arguments, **options)

        original, training.train = training.train, slow
        configuration = sweep.Configuration(sigmas=(0.02, 2.0), seeds=(0, 1), alpha=0.5, steps=12, width=9)
        sweep.run_sweep(configuration, synthetic_mnist(200), sys.argv[1], group_size=1, threads=1, progress=False)
    """
    running = subprocess.Popen(
        [sys.executable, "-c", program, str(out)], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    parts = out.with_name("sweep.json.parts")
    deadline = time.monotonic() + 60
    while len(list(parts.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    running.kill()
    assert running.wait() == -signal.SIGKILL
    assert out.read_text() == "an older result"

    assert_same_runs(alone(CONFIGURATION, images, out, group_size=1), expected)
    assert [(member.sigma, member.seed) for member in trained] == [(2.0, 0), (2.0, 1)]
    assert_clean(out)


@pytest.fixture
def interrupted(images, out, monkeypatch):
    """A sweep of which the first (sigma, seed) is finished; the part's file."""

    def stop(group, *arguments, **options):
        if group[0] != CONFIGURATION.members()[0]:
            raise KeyboardInterrupt
        return original(group, *arguments, **options)

    original = training.train
    with monkeypatch.context() as patch:
        patch.setattr(training, "train", stop)
        with pytest.raises(KeyboardInterrupt):
            alone(CONFIGURATION, images, out, group_size=1)
    (part,) = out.with_name("sweep.json.parts").iterdir()
    return part


def test_interrupted_run_keeps_what_is_finished(images, expected, out, interrupted, trained, capsys):
    assert_same_runs(alone(CONFIGURATION, images, out), expected)
    assert trained == CONFIGURATION.members()[1:]
    assert "1 of 4 runs were finished before" in capsys.readouterr().err


def test_damaged_part_is_computed_again(images, expected, out, interrupted, trained, capsys):
    interrupted.write_text(interrupted.read_text().replace('"seed":0', '"seed":1'))
    assert_same_runs(alone(CONFIGURATION, images, out), expected)
    assert trained == CONFIGURATION.members()
    assert "does not match its checksum" in capsys.readouterr().err


def test_part_of_another_configuration_is_not_used(images, out, interrupted, trained, capsys):
    other = Configuration(CONFIGURATION.sigmas, CONFIGURATION.seeds, CONFIGURATION.alpha, steps=14, width=9)
    alone(other, images, out)
    assert trained == other.members()
    assert "steps: recorded 12, wanted 14" in capsys.readouterr().err
    assert_clean(out)


def test_part_of_other_data_is_not_used(out, interrupted, trained, capsys):
    alone(CONFIGURATION, synthetic_mnist(200, seed=1), out)
    assert trained == CONFIGURATION.members()
    assert "data: recorded" in capsys.readouterr().err


def test_part_of_another_engine_is_not_used(images, out, interrupted, trained, monkeypatch):
    monkeypatch.setattr(sweep, "ENGINE_VERSION", sweep.ENGINE_VERSION + 1)
    alone(CONFIGURATION, images, out)
    assert trained == CONFIGURATION.members()


def test_part_of_another_step_size_is_not_used(images, out, interrupted, trained):
    other = Configuration(CONFIGURATION.sigmas, CONFIGURATION.seeds, 0.25, 12, width=9)
    found = alone(other, images, out)
    assert trained == other.members()
    assert {run["alpha"] for run in found.runs} == {0.25}


# A cluster, and workers that die


def test_dask_cluster_gives_the_same(images, expected, out, cluster, trained):
    found = alone(CONFIGURATION, images, out, backend="dask", address=cluster.scheduler_address)
    assert len(found.groups) == 2 and trained == []  # in this process
    assert_same_runs(found, expected)
    assert_clean(out)


def test_killed_dask_worker_loses_and_repeats_nothing(images, out, cluster):
    long = Configuration(CONFIGURATION.sigmas, (0, 1, 2), 0.5, steps=200, width=9)
    parts = out.with_name("sweep.json.parts")
    with Client(cluster, set_as_default=False) as client:
        workers = list(client.run(os.getpid).values())

    def kill_one():
        while not parts.exists():
            time.sleep(0.01)
        os.kill(workers[0], signal.SIGKILL)
        killed.set()

    killed = threading.Event()
    threading.Thread(target=kill_one, daemon=True).start()
    found = alone(long, images, out, backend="dask", address=cluster.scheduler_address, group_size=1)
    assert killed.is_set()
    assert [(run["sigma"], run["seed"]) for run in found.runs] == [(m.sigma, m.seed) for m in long.members()]
    assert sorted((m["sigma"], m["seed"]) for group in found.groups for m in group["members"]) == sorted(
        (m.sigma, m.seed) for m in long.members()
    )


def test_dask_worker_without_data_says_so(out, tmp_path, cluster):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(MNISTError, match="worker on .*train-images-idx3-ubyte: missing") as caught:
        alone(CONFIGURATION, tmp_path / "file" / "root", out, backend="dask", address=cluster.scheduler_address)
    assert "\n" not in str(caught.value)


def test_cluster_that_is_not_there_is_named(images, out, monkeypatch):
    monkeypatch.setattr(sweep, "_CONNECTION_SECONDS", 0.5)
    with pytest.raises(SweepError, match="dask cluster at tcp://127.0.0.1:9 cannot be reached"):
        alone(CONFIGURATION, images, out, backend="dask", address="tcp://127.0.0.1:9")


def test_cluster_without_workers_is_named(images, out, monkeypatch):
    monkeypatch.setattr(sweep, "_CONNECTION_SECONDS", 0.5)
    with LocalCluster(n_workers=0, dashboard_address=None) as empty, pytest.raises(SweepError, match="has no workers"):
        alone(CONFIGURATION, images, out, backend="dask", address=empty.scheduler_address)


def test_absent_ray_is_named(images, out, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SweepError, match="backend ray: not installed.*pip install ray"):
        alone(CONFIGURATION, images, out, backend="ray")


@pytest.fixture
def processes():
    with joblib.parallel_config(backend="loky", n_jobs=2):
        yield


@pytest.mark.parametrize("wave", [None, 2])
def test_dead_worker_is_replaced(tmp_path, processes, capsys, wave):
    def deadly(group):  # kills its process the first time that it sees group 2
        if group == 2 and not (tmp_path / "dead").exists():
            (tmp_path / "dead").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 10 * group

    assert sorted(sweep._retried(deadly, [1, 2, 3], wave)) == [10, 20, 30]
    assert "a worker was lost (TerminatedWorkerError); attempt 1 of 3" in capsys.readouterr().err


def test_worker_that_always_dies_is_given_up(tmp_path, processes):
    def deadly(group):
        with open(tmp_path / "attempts", "a") as stream:
            stream.write("x")
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(SweepError, match="1 groups were lost 3 times"):
        list(sweep._retried(deadly, [1]))
    assert (tmp_path / "attempts").read_text() == "xxx"


def test_error_of_the_computation_is_raised_at_once(tmp_path, processes):
    def wrong(group):
        with open(tmp_path / "attempts", "a") as stream:
            stream.write("x")
        raise ZeroDivisionError("the mathematics is wrong")

    with pytest.raises(ZeroDivisionError, match="the mathematics is wrong"):
        list(sweep._retried(wrong, [1]))
    assert (tmp_path / "attempts").read_text() == "x"


# Loaded or run


def test_matching_recording_is_not_run_again(images, out, trained):
    made = alone(CONFIGURATION, images, out)
    trained.clear()
    assert load_or_run(CONFIGURATION, out, images) == made
    assert trained == []


def test_recording_that_differs_is_named_and_run(images, out, capsys, trained):
    alone(CONFIGURATION, images, out)
    trained.clear()
    other = Configuration(CONFIGURATION.sigmas, CONFIGURATION.seeds, 0.25, 12, width=9)
    assert load_or_run(other, out, images, progress=False).configuration["alpha"] == 0.25
    assert "alpha: recorded 0.5, wanted 0.25" in capsys.readouterr().err
    assert trained == other.members()
    assert load_or_run(other, out, images).configuration["alpha"] == 0.25


def test_recording_of_other_data_is_named(images, out, capsys):
    alone(CONFIGURATION, images, out)
    load_or_run(CONFIGURATION, out, synthetic_mnist(200, seed=1), progress=False)
    assert "data: recorded" in capsys.readouterr().err


def test_absent_recording_is_run(images, out, capsys):
    assert len(load_or_run(CONFIGURATION, out, images, progress=False).runs) == 4
    assert "there is no recording yet" in capsys.readouterr().err


def test_damaged_recording_is_refused_and_kept(images, out, trained):
    out.write_text("{")
    with pytest.raises(RecordingError, match="damaged"):
        load_or_run(CONFIGURATION, out, images)
    assert out.read_text() == "{" and trained == []


# The search for a step size


def test_search_records_the_first_step_below_the_target(images, out):
    found = search_step_size(0.02, (0.001, 0.5, 1e30), (0, 1), 40, images, out, target=0.2, width=9, progress=False)
    assert found.kind == "step-size-search"
    assert found.configuration["alphas"] == [0.001, 0.5, 1e30] and found.configuration["target"] == 0.2
    assert [(run["alpha"], run["seed"]) for run in found.runs] == [
        (alpha, seed) for alpha in (0.001, 0.5, 1e30) for seed in (0, 1)
    ]
    for run in found.runs:
        (direct,) = training.train([training.Member(0.02, run["seed"], run["alpha"])], images, 40, width=9)
        below = np.flatnonzero(direct.train_error < 0.2)
        assert run["first_step_below"] == (below[0] if len(below) else None)
        assert run["diverged_at"] == direct.diverged_at
        last = run["last_step"]
        assert last == (below[0] if len(below) else direct.step[-1])
        assert run["minimum_error"] == pytest.approx(direct.train_error[: last + 1].min())
    fates = [(run["first_step_below"] is None, run["diverged_at"] is None) for run in found.runs]
    assert fates[::2] == [(True, True), (False, True), (True, False)]


def test_matching_search_is_not_run_again(images, out, trained):
    options = dict(target=0.2, width=9, progress=False)
    made = load_or_search(0.02, (0.1, 0.5), (0,), 10, out, images, **options)
    trained.clear()
    assert load_or_search(0.02, (0.1, 0.5), (0,), 10, out, images, **options) == made
    assert trained == []


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(alphas=(0.5, -1)), "alpha = -1"),
        (dict(alphas=()), "at least one"),
        (dict(alphas=(1, 1)), "given twice"),
        (dict(sigma=0), "sigma = 0"),
        (dict(target=0), "target = 0"),
        (dict(target=1), "target = 1"),
        (dict(steps=9), "steps = 9"),
    ],
)
def test_search_out_of_range_is_refused(images, out, wrong, message):
    with pytest.raises(ValueError, match=message):
        search_step_size(**dict(sigma=0.02, alphas=(0.5,), seeds=(0,), steps=10, data=images, out=out) | wrong)
