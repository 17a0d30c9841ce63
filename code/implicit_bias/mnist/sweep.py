"""The computation of a sweep or a search: many networks in groups, resumable, recorded.

The members are split into groups that train together (see `trainer`). Each finished group is written to a part file
beside the recording at once, so a run that was interrupted, even killed, goes on from the finished groups. When all
are there they are merged into the recording and the parts are removed; an older recording stays whole until then.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from tqdm import tqdm

from . import recording, trainer
from .configuration import Configuration, Member, Search, plotted_steps
from .data import MNIST
from .recording import DIGITS, Recording, RecordingError, significant
from .trainer import ENGINE_VERSION, Run
from .workers import Workers, compute

_PART = "sweep-part"
_ONE_GROUP = threading.Lock()  # torch's number of threads belongs to the process


@dataclass(frozen=True)
class Job:
    """What is done to each member of a group: the arguments of `trainer.train` that change the result."""

    steps: int
    gamma: float
    width: int
    spectra_at: tuple[int, ...]
    stop_below: float | None
    tf32: bool

    def description(self) -> dict[str, Any]:
        """Return everything that determines a member's result but sigma, seed and alpha."""
        return asdict(self) | {
            "initialisation": "W, b, V, c i.i.d. N(0, sigma^2)",
            "loss": "cross-entropy, mean over the training set",
            "algorithm": "full-batch gradient descent on W, b, V, c",
            "pixels": "divided by 255",
            "dtype": "float32",
            "significant_digits": DIGITS,
            "engine": ENGINE_VERSION,
        }


def job(configuration: Configuration | Search, tf32: bool = False) -> Job:
    """Return what every group of a sweep or a search does."""
    c = configuration
    if isinstance(c, Search):
        return Job(c.steps, c.gamma, c.width, spectra_at=(), stop_below=c.target, tf32=tf32)
    at = tuple(sorted({0, *plotted_steps(c.steps)}))
    return Job(c.steps, c.gamma, c.width, spectra_at=at, stop_below=None, tf32=tf32)


def description(configuration: Configuration | Search, tf32: bool = False) -> dict[str, Any]:
    """Return the configuration as it is recorded."""
    return asdict(configuration) | job(configuration, tf32).description()


def kind(configuration: Configuration | Search) -> str:
    """Return the kind of its recording."""
    return "step-size-search" if isinstance(configuration, Search) else "sweep"


def record(
    configuration: Configuration | Search,
    data: MNIST,
    out: str | Path,
    workers: Workers | None = None,
    tf32: bool = False,
) -> Recording:
    """Train every member that has no part yet, and record what was measured.

    Parameters
    ----------
    configuration : Configuration or Search
        The recording is of kind ``"sweep"`` or ``"step-size-search"``; see `sweep_row` and `search_row` for its rows.
    data : MNIST
    out : path
        The recording to write. Parts are kept in the folder ``<out>.parts`` until all are there. Parts that are not of
        this configuration or of these data are named on stderr and left alone.
    workers : Workers, optional
        Default: this process.
    tf32 : bool
        Allow TensorFloat-32 on CUDA.

    Returns
    -------
    Recording
        As read back from ``out``.

    Raises
    ------
    RecordingError
        If ``out`` cannot be written, or another process is computing it.
    SweepError
        If the workers die `workers.ATTEMPTS` times, or the cluster cannot be reached.
    """
    out, workers = Path(out), workers or Workers()
    recording.check_writable(out)
    folder = out.with_name(out.name + ".parts")
    members, what = configuration.members(), job(configuration, tf32)
    row = functools.partial(search_row, target=configuration.target) if isinstance(configuration, Search) else sweep_row
    with _alone(folder, out):
        usable = dict(_usable_parts(folder, what.description(), data.provenance(), set(members)))
        parts: list[Recording] = []
        done: dict[Member, dict[str, Any]] = {}
        for part in usable.values():
            if done.keys().isdisjoint(_members(part)):
                parts.append(part)
                done |= zip(_members(part), part.runs)
        waiting = [member for member in members if member not in done]
        if parts:
            _say(f"{out}: {len(done)} of {len(members)} runs were finished before; going on")
        work = functools.partial(train_group, job=what, row=row, device=workers.device, threads=workers.threads)
        fit = trainer.members_that_fit(width=what.width, threads=workers.threads)
        for part in compute(work, data, waiting, fit, workers):
            file = folder / f"{_name(part)}.json"
            recording.save(part, file)
            usable[file] = part
            parts.append(part)
            done |= zip(_members(part), part.runs)
        whole = Recording(
            kind=kind(configuration),
            configuration=description(configuration, tf32),
            runs=[done[member] for member in members],
            seconds=sum(part.seconds for part in parts),
            data=data.provenance(),
            groups=[
                {
                    "members": [asdict(member) for member in _members(part)],
                    "seconds": part.seconds,
                    "environment": part.environment,
                }
                for part in parts
            ],
            environment=parts[0].environment,
        )
        recording.save(whole, out)
        for file in usable:
            file.unlink(missing_ok=True)
    return recording.load(out, whole.kind)


def train_group(
    data: MNIST,
    group: Sequence[Member],
    *,
    job: Job,
    row: Callable[[Run], dict[str, Any]],
    device: str = "cpu",
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Recording:
    """Train one group in this process, one at a time, and return its part: its runs as rows, and how they were made."""
    with _ONE_GROUP:
        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        try:
            start = time.perf_counter()
            runs = trainer.train(group, data, **asdict(job), device=device, progress=progress)
            seconds, environment = time.perf_counter() - start, recording.environment(device)
        finally:
            torch.set_num_threads(before)
    return Recording(
        _PART, job.description(), [row(run) for run in runs], seconds, data.provenance(), environment=environment
    )


def sweep_row(run: Run) -> dict[str, Any]:
    """Return a run as a sweep records it: the fields of `trainer.Run`, rounded."""
    return asdict(run.member) | {
        "diverged_at": run.diverged_at,
        "test_error": significant(run.test_error),
        "step": run.step,
        "loss": significant(run.loss),
        "train_error": significant(run.train_error),
        "stable_rank": significant(run.stable_rank),
        "norm": significant(run.norm),
        "spectral_norm": significant(run.spectral_norm),
        "change": significant(run.change),
        "rank_of_change": significant(run.rank_of_change),
        "singular_values": {step: significant(values) for step, values in run.singular_values.items()},
    }


def search_row(run: Run, target: float) -> dict[str, Any]:
    """Return a run as a search records it.

    Returns
    -------
    dict
        ``sigma``, ``seed``, ``alpha``, ``diverged_at``; ``first_step_below``, the first step after which the training
        error is below ``target``; ``minimum_error`` and ``minimum_error_at``, the first step that has it;
        ``last_step``, ``last_loss``; ``loss_rises``, the number of steps that raised the loss, and ``largest_rise``,
        the most that one raised it, in nats. What does not exist is None: all but the first four where the run
        diverged at once.
    """
    row = asdict(run.member) | {"diverged_at": run.diverged_at}
    measured = ("first_step_below", "minimum_error", "minimum_error_at", "last_step", "last_loss", "loss_rises")
    if len(run.step) == 0:
        return row | dict.fromkeys((*measured, "largest_rise"))
    below, best, rises = np.flatnonzero(run.train_error < target), np.argmin(run.train_error), np.diff(run.loss)
    return row | {
        "first_step_below": run.step[below[0]] if len(below) else None,
        "minimum_error": significant(run.train_error[best]),
        "minimum_error_at": run.step[best],
        "last_step": run.step[-1],
        "last_loss": significant(run.loss[-1]),
        "loss_rises": np.count_nonzero(rises > 0),
        "largest_rise": significant(rises.max(initial=0.0)),
    }


def _usable_parts(
    folder: Path, configuration: dict[str, Any], data: dict[str, Any], members: set[Member]
) -> Iterator[tuple[Path, Recording]]:
    """Yield the finished groups that were computed as wanted and hold only members; say on stderr which do not."""
    for file in sorted(folder.glob("*.json")):
        try:
            part = recording.load(file, _PART)
        except RecordingError as error:
            _say(f"{error}; its runs are computed again")
            continue
        differences = recording.differences(part.configuration, configuration)
        differences += recording.differences({"data": part.data}, {"data": data})
        if not members.issuperset(_members(part)):
            differences.append("it has runs that are not asked for")
        if differences:
            _say(f"{file}: not used ({'; '.join(differences)})")
        else:
            yield file, part


def _members(part: Recording) -> list[Member]:
    return [Member(run["sigma"], run["seed"], run["alpha"]) for run in part.runs]


def _name(part: Recording) -> str:
    """Return a file name of a part's own."""
    return hashlib.sha256(repr((_members(part), part.configuration, part.data)).encode()).hexdigest()[:16]


@contextmanager
def _alone(folder: Path, out: Path) -> Iterator[None]:
    """Hold the folder, which is made and, if it is empty, removed again; no other process can meanwhile."""
    lock = folder / "lock"
    try:
        while (stream := _locked(lock)) is None:
            pass
    except BlockingIOError as error:
        raise RecordingError(f"{out}: another process is computing it; wait for it or name another file") from error
    except OSError as error:
        raise RecordingError(f"{folder}: cannot be made a folder and locked ({error.strerror})") from error
    with stream:
        try:
            for leftover in folder.glob(".*.json.*.tmp"):  # of a process that was killed while it wrote a part
                leftover.unlink()
            yield
        finally:
            lock.unlink(missing_ok=True)
            with suppress(OSError):  # not empty
                folder.rmdir()


def _locked(lock: Path) -> BinaryIO | None:
    """Open and lock a file, until it is closed or this process ends; None if another process was just removing it."""
    import fcntl  # absent on Windows, where recordings can still be read

    lock.parent.mkdir(exist_ok=True)
    try:
        stream = open(lock, "wb")  # noqa: SIM115 (who asks for it closes it)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(stream.fileno()), lock.stat()):
                return stream
        except BaseException:
            stream.close()
            raise
        stream.close()
    except FileNotFoundError:
        pass
    return None


def _say(message: str) -> None:
    """Say on stderr what the user should know, without breaking a progress bar."""
    tqdm.write(message, file=sys.stderr)
