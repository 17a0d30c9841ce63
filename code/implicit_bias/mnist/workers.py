"""Where groups of networks are trained: in this process, in several of this machine, or on a cluster.

Several processes and a cluster are both Dask's. It starts a group again whose worker died, and brings back results and
errors; the data travel to the workers with the first group.
"""

import asyncio
import importlib
import logging
import math
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

import torch
from tqdm import tqdm

from .. import checks
from .configuration import Member
from .data import MNIST
from .recording import Recording

ATTEMPTS = 3
"""How often a group is started before its worker's death is an error. A cluster with an address has its own number."""

_MOST = 256  # threads or processes: more are a slip, and bring a machine down
_CONNECTION_SECONDS = 10  # to wait for a scheduler, and for its first worker


class SweepError(Exception):
    """The computation cannot go on for a reason outside the mathematics: a dead worker, an absent cluster."""


@dataclass(frozen=True)
class Workers:
    """Where the groups are computed. Out of range is a `ValueError`.

    On the torch ``device`` of each worker, by ``threads`` of it, from 1 to 256 (default: torch's choice). The workers
    are ``jobs`` processes of this machine, from 1 (this one, without Dask) to 256, or those of the Dask scheduler at an
    ``address`` such as ``"tcp://host:8786"``, each of which trains one group at a time. A group has ``group_size``
    members (default: they are spread evenly over the workers, no more than fit into the trainer's memory).
    """

    device: str = "cpu"
    group_size: int | None = None
    jobs: int = 1
    address: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, most in (("group_size", math.inf), ("jobs", _MOST), ("threads", _MOST)):
            if (value := getattr(self, name)) is not None:
                checks.whole(1, **{name: value})
                checks.within(f"[1, {most}]", **{name: value})
        if self.address is not None:
            port = re.fullmatch(r"(?:tcp|tls)://[^\s/:]+:(\d{1,5})", self.address)
            if not port or not 0 < int(port[1]) < 1 << 16:
                raise ValueError(f"address = {self.address!r}: such as tcp://host:8786 is needed, its port below 65536")
        try:
            torch.device(self.device)
            if self.address is None:
                torch.zeros(1, device=self.device).cpu()
        except (RuntimeError, AssertionError, NotImplementedError):
            raise ValueError(f"device = {self.device!r}: not available on this machine; try cpu or cuda:0") from None

    def groups(self, members: Sequence[Member], slots: int, fit: int) -> list[Sequence[Member]]:
        """Cut the members into groups: spread over ``slots`` workers, none larger than ``fit``."""
        size = self.group_size or min(math.ceil(len(members) / slots), fit)
        return [members[start : start + size] for start in range(0, len(members), size)]


def compute(
    work: Callable[..., Recording], data: MNIST, members: Sequence[Member], fit: int, workers: Workers
) -> Iterator[Recording]:
    """Yield ``work(data, group)`` for each group of the members, as they finish; ``fit`` members fit into memory.

    In this process, ``work`` is also called with ``progress``, a function of the step. `SweepError` if a group's
    workers die `ATTEMPTS` times, or the cluster cannot be reached or is lost; whatever ``work`` raises, is raised here.
    """
    if not members:
        return
    if workers.jobs == 1 and workers.address is None:
        with tqdm(unit="step", disable=None) as bar:
            for group in workers.groups(members, 1, fit):
                yield work(data, group, progress=lambda step: bar.update())
        return
    with _cluster(workers, len(members)) as client:
        groups = workers.groups(members, len(client.scheduler_info(n_workers=-1)["workers"]), fit)
        yield from tqdm(_results(client, work, data, groups), total=len(groups), unit="group", disable=None)


def _results(
    client: Any, work: Callable[..., Recording], data: MNIST, groups: Sequence[Sequence[Member]]
) -> Iterator[Recording]:
    """Yield what ``work`` gives for each group, as they finish."""
    distributed = _distributed()
    images = client.submit(lambda: data, pure=False)  # as a task, which is done again if the workers that have it die
    futures = [client.submit(work, images, group, pure=False) for group in groups]
    finished = 0
    try:
        for future in distributed.as_completed(futures, loop=client.loop):
            part = future.result()
            finished += 1
            future.release()
            yield part
        reason = "the scheduler was lost"
    except distributed.KilledWorker:
        reason = "a group was lost again and again with its worker"
    except (distributed.CancelledError, OSError) as error:
        reason = f"the cluster was lost: {type(error).__name__}"
    if finished < len(groups):
        raise SweepError(
            f"{len(groups) - finished} of {len(groups)} groups are unfinished ({reason}); the finished ones are kept: "
            "run again, with a smaller group size if the workers ran out of memory"
        )


def _distributed() -> Any:
    """Return Dask's package, which is slow to import and has no types."""
    return importlib.import_module("distributed")


@contextmanager
def _cluster(workers: Workers, most: int) -> Iterator[Any]:
    """Yield a client of the cluster, or of one of ``jobs`` processes, but no more than ``most``, started here."""
    import dask

    distributed = _distributed()
    where = f"the Dask cluster at {workers.address}" if workers.address else "Dask on this machine"
    settings = {
        "distributed.scheduler.allowed-failures": ATTEMPTS - 1,
        "distributed.comm.timeouts.connect": f"{_CONNECTION_SECONDS}s",
        "distributed.admin.large-graph-warning-threshold": "1GiB",  # the data are in the graph on purpose
    }
    quiet = distributed.utils.silence_logging_cmgr(logging.CRITICAL + 1)  # what matters is raised
    with dask.config.set(settings), quiet, ExitStack() as stack:
        try:
            if workers.address is None:
                with _deaf():
                    cluster = distributed.LocalCluster(
                        n_workers=min(workers.jobs, most),
                        threads_per_worker=1,
                        memory_limit=None,  # a worker near its limit would be paused without a word
                        dashboard_address="localhost:0",  # whichever port is free
                        silence_logs=logging.CRITICAL,
                    )
                    stack.enter_context(cluster)
            else:
                cluster = workers.address
                asyncio.run(_greet(cluster))
            client = stack.enter_context(distributed.Client(cluster, set_as_default=False))
            client.wait_for_workers(1, timeout=_CONNECTION_SECONDS)
        except Exception as error:  # as many kinds as there are things that answer at a port
            why = " ".join(str(error).split()) or repr(error)
            raise SweepError(f"{where} cannot be reached ({why})") from error
        yield client


async def _greet(address: str) -> None:
    """Raise an error unless a scheduler answers in time. Dask's client alone would wait for ever for its greeting."""
    distributed = _distributed()
    connection = distributed.Security().get_connection_args("client")
    async with asyncio.timeout(_CONNECTION_SECONDS), distributed.rpc(address, connection_args=connection) as scheduler:
        if (kind := (await scheduler.identity())["type"]) != "Scheduler":
            raise OSError(f"a {kind} answers there, not a scheduler")


@contextmanager
def _deaf() -> Iterator[None]:
    """Put Ctrl-C off until a cluster has started. Its processes, which inherit this, leave Ctrl-C to this one."""
    resource_tracker.ensure_running()  # multiprocessing starts it by itself too, but then ends the deafness
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
