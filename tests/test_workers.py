"""Groups are trained in several processes or on a cluster; a worker that dies and what is no scheduler are named."""

import functools
import os
import re
import signal
import socket
import threading
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import psutil
import pytest
from distributed import LocalCluster
from implicit_bias.mnist import sweep, workers
from implicit_bias.mnist.configuration import EXPERIMENT
from implicit_bias.mnist.data import synthetic_mnist
from implicit_bias.mnist.workers import ATTEMPTS, SweepError, Workers, compute

CONFIGURATION = replace(EXPERIMENT, sigmas=(0.02, 2.0), seeds=(0, 1), steps=12, width=9)
MEMBERS = CONFIGURATION.members()
work = functools.partial(sweep.train_group, CONFIGURATION, threads=1)


@pytest.fixture(scope="module")
def images():
    return synthetic_mnist(200)


def assert_all_trained(parts, images):
    """Every member is in one part, with the loss that it has in a group of all."""
    found = {(run["sigma"], run["seed"]): run["loss"] for part in parts for run in part.runs}
    assert len(found) == sum(len(part.runs) for part in parts)
    expected = {(run["sigma"], run["seed"]): run["loss"] for run in work(images, MEMBERS).runs}
    assert found.keys() == expected.keys()
    for which, loss in expected.items():
        np.testing.assert_allclose(found[which], loss, rtol=2e-5)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(device="abacus"), "'abacus': not available"),
        (dict(device="meta"), "'meta': not available"),
        (dict(jobs=0), "jobs = 0"),
        (dict(jobs=100_000), "jobs = 100000"),
        (dict(threads=100_000), "threads = 100000"),
        (dict(group_size=0), "group_size = 0"),
    ],
)
def test_workers_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Workers(**wrong)


@pytest.mark.parametrize("word", ["here", "tcp://a", "tcp://a:door", "tcp://a:99999", "inproc://1/2/3", "ucx://a:8786"])
def test_address_of_no_scheduler_is_refused(word):
    with pytest.raises(ValueError, match=re.escape(f"{word!r}: such as tcp://host:8786 is needed")):
        Workers(address=word)


@pytest.fixture(scope="module")
def cluster():
    """The address of a Dask cluster of two workers, which are threads of this process."""
    options = dict(n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://")
    with LocalCluster(dashboard_address="localhost:0", **options) as two:
        yield two.scheduler_address


def test_cluster_gives_the_same(images, cluster):
    parts = list(compute(work, images, MEMBERS, 25, Workers(address=cluster)))
    assert [len(part.runs) for part in parts] == [2, 2]
    assert_all_trained(parts, images)


def test_error_of_the_computation_is_raised(images, cluster):
    def fail(data, group):
        raise ZeroDivisionError("the mathematics is wrong")

    with pytest.raises(ZeroDivisionError, match="the mathematics is wrong"):
        list(compute(fail, images, MEMBERS[:1], 1, Workers(address=cluster)))


@pytest.mark.slow
def test_killed_worker_loses_and_repeats_nothing(images, in_time):
    """Of two processes one is killed once the first group is finished."""

    def run():
        for part in compute(work, images, MEMBERS, 25, Workers(jobs=2, group_size=1)):
            if not parts:
                children = psutil.Process().children(recursive=True)
                next(child for child in children if "spawn_main" in " ".join(child.cmdline())).kill()
            parts.append(part)

    parts = []
    in_time(run)
    assert_all_trained(parts, images)


@pytest.mark.slow
def test_worker_that_always_dies_is_given_up(images, tmp_path, in_time):
    def die(data, group):
        with open(tmp_path / "attempts", "a") as stream:
            stream.write("x")
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(SweepError, match=r"1 of 1 groups are unfinished .*with its worker"):
        in_time(lambda: list(compute(die, images, MEMBERS[:1], 1, Workers(jobs=2))))
    assert (tmp_path / "attempts").read_text() == ATTEMPTS * "x"


@pytest.mark.parametrize("says", ["nothing", "silence", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.0 400 Bad Request\r\n\r\n"])
def test_port_that_is_no_scheduler_is_named_in_time(images, in_time, monkeypatch, says):
    monkeypatch.setattr(workers, "_CONNECTION_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"

        def answer():
            with server.accept()[0] as connection:
                connection.sendall(says.encode())
                while connection.recv(1000):  # until the other side gives up
                    pass

        if says == "nothing":
            server.close()
        elif says != "silence":
            threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(SweepError, match=f"Dask cluster at {address} cannot be reached"):
            in_time(lambda: list(compute(Mock(), images, MEMBERS, 1, Workers(address=address))))


def test_cluster_without_workers_is_named(images, monkeypatch):
    monkeypatch.setattr(workers, "_CONNECTION_SECONDS", 0.5)
    with (
        LocalCluster(n_workers=0, dashboard_address="localhost:0") as empty,
        pytest.raises(SweepError, match="0/1 workers"),
    ):
        list(compute(Mock(), images, MEMBERS, 1, Workers(address=empty.scheduler_address)))
