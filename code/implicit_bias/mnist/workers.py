"""Where groups of networks are trained: in this process, in several of this machine, or on a cluster.

Several processes and a cluster are both Dask's. It starts a group again whose worker died, and brings back results and
errors; the data travel to the workers with the first group.
"""

from __future__ import annotations

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
    """Where the groups are computed.

    Attributes
    ----------
    device : str
        The torch device of each worker.
    group_size : int, optional
        Members a group, at least 1. Default: the members spread evenly over the workers, but no more than fit into
        the trainer's memory.
    jobs : int
        Processes of this machine, from 1 (this one, without Dask) to 256; not used with an address.
    address : str, optional
        Address of a Dask scheduler, such as ``"tcp://host:8786"``. Each of its workers trains one group at a time.
    threads : int, optional
        Threads of each worker, from 1 to 256. Default: torch's choice.
    progress : bool
        Draw progress bars, if stderr is a terminal.

    Raises
    ------
    ValueError
        If a value is out of its range.
    """

    device: str = "cpu"
    group_size: int | None = None
    jobs: int = 1
    address: str | None = None
    threads: int | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        for name in ("group_size", "jobs", "threads"):
            if (value := getattr(self, name)) is not None:
                checks.whole(1, **{name: value})
        for name in ("jobs", "threads"):
            checks.within(f"[1, {_MOST}]", **{name: getattr(self, name) or 1})
        if self.address is not None:
            address = re.fullmatch(r"(?:tcp|tls)://[^\s/:]+:(\d{1,5})", self.address)
            if not address or not 0 < int(address[1]) < 1 << 16:
                raise ValueError(
                    f"address = {self.address!r}: such as tcp://host:8786 is needed, with a port below 65536"
                )
        try:
            torch.device(self.device)
            if self.address is None:
                torch.zeros(1, device=self.device).cpu()
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            known = (
                "not available on this machine" if "Expected one of" not in str(error) else "torch knows no such device"
            )
            raise ValueError(f"device = {self.device!r}: {known}; try cpu, cuda or cuda:1") from None

    def groups(self, members: Sequence[Member], slots: int, fit: int) -> list[Sequence[Member]]:
        """Cut the members into groups: spread over ``slots`` workers, none larger than ``fit``."""
        size = self.group_size or min(math.ceil(len(members) / slots), fit)
        return [members[start : start + size] for start in range(0, len(members), size)]


def compute(
    work: Callable[..., Recording], data: MNIST, members: Sequence[Member], fit: int, workers: Workers
) -> Iterator[Recording]:
    """Yield ``work(data, group)`` for each group of the members, as they finish.

    Parameters
    ----------
    work : callable
        Also called with ``progress``, a function of the step, where this process does the work.
    data : MNIST
    members : sequence of Member
    fit : int
        Members that fit into memory together.
    workers : Workers

    Raises
    ------
    SweepError
        If a group's workers die `ATTEMPTS` times, or the cluster cannot be reached or is lost.
    Exception
        Whatever ``work`` raises, wherever it runs.
    """
    quiet = None if workers.progress else True  # None: quiet unless stderr is a terminal
    if not members:
        return
    if workers.jobs == 1 and workers.address is None:
        groups = workers.groups(members, 1, fit)
        with tqdm(unit="step", disable=quiet) as bar:
            for group in groups:
                yield work(data, group, progress=lambda step: bar.update())
        return
    with _cluster(workers, len(members)) as client:
        groups = workers.groups(members, len(client.scheduler_info(n_workers=-1)["workers"]), fit)
        yield from tqdm(_results(client, work, data, groups), total=len(groups), unit="group", disable=quiet)


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
    limit = f"{_CONNECTION_SECONDS}s"
    settings = {
        "distributed.scheduler.allowed-failures": ATTEMPTS - 1,
        "distributed.comm.timeouts.connect": limit,
        "distributed.admin.large-graph-warning-threshold": "1GiB",  # the data are in the graph on purpose
    }
    with dask.config.set(settings), _silent(logging.getLogger("distributed")), ExitStack() as stack:
        where = f"the Dask cluster at {workers.address}"
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
                client = distributed.Client(cluster, set_as_default=False)
            else:
                asyncio.run(_greet(workers.address))
                client = distributed.Client(workers.address, timeout=limit, set_as_default=False)
            stack.enter_context(client)
        except Exception as error:  # as many kinds as there are things that answer at a port
            why = " ".join(str(error).split()) or type(error).__name__
            raise SweepError(
                f"{where if workers.address else 'Dask on this machine'} cannot be reached ({why})"
            ) from error
        try:
            client.wait_for_workers(1, timeout=_CONNECTION_SECONDS)
        except TimeoutError as error:
            raise SweepError(f"{where} has no workers") from error
        yield client


async def _greet(address: str) -> None:
    """Raise an error unless a scheduler answers in time. Dask's client alone would wait for ever for its greeting."""
    distributed = _distributed()

    async def ask() -> str:
        async with distributed.rpc(
            address, connection_args=distributed.Security().get_connection_args("client")
        ) as scheduler:
            return str((await scheduler.identity())["type"])

    kind = await asyncio.wait_for(ask(), _CONNECTION_SECONDS)
    if kind != "Scheduler":
        raise OSError(f"a {kind} answers there, not a scheduler")


@contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    """Keep a logger quiet: what matters is raised."""
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _deaf() -> Iterator[None]:
    """Put Ctrl-C off until a cluster has started. Its processes, which inherit this, leave Ctrl-C to this one."""
    resource_tracker.ensure_running()  # multiprocessing starts it by itself too, but then ends the deafness
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
