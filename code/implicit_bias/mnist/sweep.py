"""The computation of a sweep or a search: many networks in groups, resumable, recorded.

The members are split into groups that train together (see `trainer`). Each finished group is written to a part file
beside the recording at once, so a run that was interrupted, even killed, goes on from the finished groups. When all
are there they are merged into the recording and the parts are removed; an older recording stays whole until then.
"""

import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from . import recording, trainer
from .configuration import Configuration, Member, Search, plotted_steps
from .data import MNIST
from .recording import DIGITS, Recording, RecordingError, significant
from .trainer import ENGINE_VERSION, Run
from .workers import Workers, compute

_ONE_GROUP = threading.Lock()  # torch's number of threads belongs to the process


def description(configuration: Configuration | Search) -> dict[str, Any]:
    """Return everything that determines the result, as it is recorded."""
    if isinstance(configuration, Search):
        measured = {"spectra_at": [], "stop_below": configuration.target}
    else:
        measured = {"spectra_at": sorted({0, *plotted_steps(configuration.steps)}), "stop_below": None}
    return (asdict(configuration) | measured) | {
        "tf32": False,
        "initialisation": "W, b, V, c i.i.d. N(0, sigma^2)",
        "loss": "cross-entropy, mean over the training set",
        "algorithm": "full-batch gradient descent on W, b, V, c",
        "pixels": "divided by 255",
        "dtype": "float32",
        "significant_digits": DIGITS,
        "engine": ENGINE_VERSION,
    }


def record(
    configuration: Configuration | Search, data: MNIST, out: str | Path, workers: Workers | None = None
) -> Recording:
    """Train every member that has no part yet, by default in this process, and record at ``out`` what was measured.

    The rows are those of `sweep_row` or `search_row`. Parts are kept in the folder ``<out>.parts`` until all are there;
    those of another configuration or of other data are named on stderr and left alone. `RecordingError` if ``out``
    cannot be written, holds what is no recording, or is being computed by another process; `SweepError` if the workers
    die or the cluster cannot be reached.
    """
    out, workers, members = Path(out), workers or Workers(), configuration.members()
    recording.check_writable(out)
    folder, rows = out.with_name(out.name + ".parts"), dict[Member, dict[str, Any]]()
    with _alone(folder, out):
        parts = _finished(folder, configuration, data)
        for part in parts.values():
            rows |= _rows(part)
        if parts:
            tqdm.write(f"{out}: {len(rows)} of {len(members)} runs were finished before; going on", file=sys.stderr)
        waiting = [member for member in members if member not in rows]
        work = functools.partial(train_group, configuration, device=workers.device, threads=workers.threads)
        fit = trainer.members_that_fit(width=configuration.width, threads=workers.threads)
        for part in compute(work, data, waiting, fit, workers):
            file = folder / f"{time.time_ns()}.json"
            recording.save(part, file)
            parts[file] = part
            rows |= _rows(part)
        groups = [
            dict[str, Any](members=list(map(asdict, _rows(part))), seconds=part.seconds, environment=part.environment)
            for part in parts.values()
        ]
        whole = Recording(
            kind=configuration.kind,
            configuration=description(configuration),
            runs=[rows[member] for member in members],
            seconds=sum(part.seconds for part in parts.values()),
            data=data.provenance(),
            groups=groups,
            environment=groups[0]["environment"],
        )
        recording.save(whole, out)
        for file in parts:
            file.unlink()
    return recording.load(out, configuration.kind)


def train_group(
    configuration: Configuration | Search,
    data: MNIST,
    group: Sequence[Member],
    *,
    device: str = "cpu",
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Recording:
    """Train one group in this process, one at a time, and return its part: its runs as rows, and how they were made."""
    how = description(configuration)
    what = {name: how[name] for name in ("steps", "gamma", "width", "spectra_at", "stop_below")}
    with _ONE_GROUP:
        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        try:
            start = time.perf_counter()
            runs = trainer.train(group, data, **what, device=device, progress=progress)
            seconds, environment = time.perf_counter() - start, recording.environment(device)
        finally:
            torch.set_num_threads(before)
    row = (
        sweep_row
        if isinstance(configuration, Configuration)
        else functools.partial(search_row, target=configuration.target)
    )
    rows = [row(run) for run in runs]
    return Recording("sweep-part", how, rows, seconds, data.provenance(), environment=environment)


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

    ``sigma``, ``seed``, ``alpha``, ``diverged_at``; ``first_step_below``, the first step after which the training
    error is below ``target``; ``minimum_error`` and ``minimum_error_at``, the first step that has it; ``last_step``,
    ``last_loss``; ``loss_rises``, the number of steps that raised the loss, and ``largest_rise``, the most that one
    raised it, in nats. What does not exist is None: all but the first four where the run diverged at once.
    """
    row = asdict(run.member) | {"diverged_at": run.diverged_at}
    if len(run.step) == 0:
        absent = ("first_step_below", "minimum_error", "minimum_error_at", "last_step", "last_loss", "loss_rises")
        return row | dict.fromkeys((*absent, "largest_rise"))
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


def _finished(folder: Path, configuration: Configuration | Search, data: MNIST) -> dict[Path, Recording]:
    """Return the parts of this configuration and of these data that have no run twice; name the others on stderr."""
    parts, seen = dict[Path, Recording](), set[Member]()
    for file in sorted(folder.glob("*.json")):
        try:
            part = recording.load(file, "sweep-part", description(configuration), data.provenance())
            if not seen.isdisjoint(_rows(part)):
                raise RecordingError(f"{file}: another part has its runs")
        except RecordingError as error:
            tqdm.write(f"{error}; not used", file=sys.stderr)
        else:
            parts[file] = part
            seen.update(_rows(part))
    return parts


def _rows(part: Recording) -> dict[Member, dict[str, Any]]:
    return {Member(run["sigma"], run["seed"], run["alpha"]): run for run in part.runs}


@contextmanager
def _alone(folder: Path, out: Path) -> Iterator[None]:
    """Hold the folder, which is made and, if it is empty, removed again; no other process can meanwhile."""
    import fcntl  # absent on Windows, where recordings can still be read

    lock = folder / "lock"
    with ExitStack() as stack:
        try:
            folder.mkdir(exist_ok=True)
            stream = stack.enter_context(open(lock, "wb"))
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until it is closed, or this process ends
            if os.fstat(stream.fileno()).st_nlink == 0:
                raise BlockingIOError  # whoever held it has just removed it
        except (BlockingIOError, FileNotFoundError) as error:
            raise RecordingError(f"{out}: another process is computing it; wait for it or name another file") from error
        except OSError as error:
            raise RecordingError(f"{folder}: cannot be made a folder and locked ({error.strerror})") from error
        try:
            for leftover in folder.glob(".*.json.*.tmp"):  # of a process that was killed while it wrote a part
                leftover.unlink()
            yield
        finally:
            lock.unlink(missing_ok=True)
            with suppress(OSError):  # not empty
                folder.rmdir()
