"""The experiment: many (sigma, seed) in groups, on one machine or a cluster, resumable, recorded.

The members of a sweep are split into groups that train together (see `implicit_bias.training`). Each finished
group is written to a part file beside the recording at once, so a run that was interrupted, even killed, goes on
from the finished groups. When all are there they are merged into the recording and the parts are removed; an
older recording stays whole until then.
"""

from __future__ import annotations

import functools
import hashlib
import math
import numbers
import shutil
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from tqdm import tqdm

from . import data as mnist_data
from . import recording, trainer
from .configuration import EXPERIMENT, Configuration, Member, plotted_steps
from .data import MNIST, MNISTError, load_mnist
from .recording import DIGITS, Recording, RecordingError, significant
from .trainer import ENGINE_VERSION, Run

SIGMAS = EXPERIMENT.sigmas
"""The homework's standard deviations of the initial weights."""

ALPHAS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""The step sizes that the search tries."""

BACKENDS = ("loky", "dask", "ray")
"""What can run groups in parallel: processes of this machine, a Dask cluster, a Ray cluster."""

ATTEMPTS = 3
"""How often a group is started before its worker's death is an error."""

_PART = "sweep-part"
_CONNECTION_SECONDS = 10  # to wait for a Dask scheduler, and for its first worker


class SweepError(Exception):
    """The computation cannot go on for a reason outside the mathematics: a dead worker, an absent cluster."""


@dataclass(frozen=True)
class Job:
    """What is done to each member of a group: the arguments of `trainer.train` that change the result."""

    steps: int
    gamma: float
    width: int
    spectra_at: tuple[int, ...] = ()
    stop_below: float | None = None
    tf32: bool = False

    def description(self) -> dict[str, Any]:
        """Return everything that determines a member's result but sigma, seed and alpha."""
        return asdict(self) | {
            "spectra_at": sorted(set(self.spectra_at)),
            "initialisation": "W, b, V, c i.i.d. N(0, sigma^2)",
            "loss": "cross-entropy, mean over the training set",
            "algorithm": "full-batch gradient descent on W, b, V, c",
            "pixels": "divided by 255",
            "dtype": "float32",
            "significant_digits": DIGITS,
            "engine": ENGINE_VERSION,
        }


def job(configuration: Configuration, tf32: bool = False) -> Job:
    """Return what every group of the sweep does."""
    at = (0, *plotted_steps(configuration.steps))
    return Job(configuration.steps, configuration.gamma, configuration.width, spectra_at=at, tf32=tf32)


def description(configuration: Configuration, tf32: bool = False) -> dict[str, Any]:
    """Return the configuration as it is recorded."""
    return asdict(configuration) | job(configuration, tf32).description()


@dataclass(frozen=True)
class Workers:
    """Where the groups are computed.

    Attributes
    ----------
    device : str
        The torch device of each worker.
    group_size : int, optional
        Members a group, at least 1. Default: the members spread evenly over the workers, but no more than fit into
        the engine's memory.
    jobs : int
        Groups at a time, at least 1. On a cluster that is given by its address the cluster decides.
    backend : str, optional
        One of `BACKENDS`. Default: this process alone for one job, otherwise ``"loky"``.
    address : str, optional
        Address of the Dask scheduler or of the Ray head. Without it a cluster of ``jobs`` workers is started here.
    threads : int, optional
        Threads of each worker, at least 1. Default: torch's choice.
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
    backend: str | None = None
    address: str | None = None
    threads: int | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        for name in ("group_size", "threads"):
            if getattr(self, name) is not None:
                _require_whole(name, getattr(self, name), 1)
        _require_whole("jobs", self.jobs, 1)
        if self.backend is not None and self.backend not in BACKENDS:
            raise ValueError(f"backend = {self.backend!r}: choose one of {', '.join(BACKENDS)}")
        if self.address is not None and self.backend not in ("dask", "ray"):
            raise ValueError(f"address = {self.address!r}: an address needs the backend dask or ray")
        _require_device(self.device, here=self.address is None)

    @property
    def local(self) -> bool:
        """Whether this process does all the work."""
        return self.jobs == 1 and self.backend is None


def run_sweep(
    configuration: Configuration,
    data: MNIST | str | Path | None,
    out: str | Path,
    *,
    tf32: bool = False,
    **workers: Any,
) -> Recording:
    """Train every (sigma, seed) and record what was measured.

    Parameters
    ----------
    configuration : Configuration
    data : MNIST or path or None
        A folder that holds ``MNIST/raw/`` on every worker, or None for each worker's `mnist.default_root`; or the
        data themselves, which then travel to the workers.
    out : path
        The recording to write. Parts are kept in the folder ``<out>.parts`` until all are there.
    tf32 : bool
        Allow TensorFloat-32 on CUDA.
    **workers
        The attributes of `Workers`.

    Returns
    -------
    Recording
        As read back from ``out``: kind ``"sweep"``.

    Raises
    ------
    ValueError
        If a value is out of its range.
    MNISTError
        If the data cannot be had, here or on a worker.
    RecordingError
        If ``out`` cannot be written.
    SweepError
        If the workers die `ATTEMPTS` times, or the cluster cannot be reached.
    """
    return _record(
        "sweep",
        configuration.members(),
        job(configuration, tf32),
        description(configuration, tf32),
        _sweep_row,
        data,
        Path(out),
        Workers(**workers),
    )


def search_step_size(
    sigma: float,
    alphas: Sequence[float],
    seeds: Sequence[int],
    steps: int,
    data: MNIST | str | Path | None,
    out: str | Path,
    *,
    target: float = 0.05,
    gamma: float = 0.05,
    width: int = 150,
    tf32: bool = False,
    **workers: Any,
) -> Recording:
    """Record, for each step size, when the training error first falls below a target.

    Each row of the recording (kind ``"step-size-search"``) has ``alpha``, ``sigma``, ``seed``,
    ``first_step_below`` (measured after that many steps; null if it never came), ``minimum_error``, ``minimum_error_at``,
    ``last_step``, ``last_loss``, ``loss_rises`` (the number of steps that raised the loss),
    ``largest_rise`` (the most that a step raised it, in nats) and ``diverged_at``. A run stops once it is below the target.

    Parameters
    ----------
    sigma : float
        Standard deviation of the initial weights.
    alphas : sequence of float
        Step sizes to try.
    seeds : sequence of int
        Seeds of the initial weights; every step size is run with every seed.
    steps : int
        Limit on the number of steps, at least 10.
    target : float
        Fraction of training images misclassified, in (0, 1).
    data, out, tf32, **workers
        As for `run_sweep`.

    Raises
    ------
    ValueError, MNISTError, RecordingError, SweepError
        As `run_sweep`.
    """
    members, job, description = _search(sigma, alphas, seeds, steps, target, gamma, width, tf32)
    row = functools.partial(_search_row, target=target)
    return _record("step-size-search", members, job, description, row, data, Path(out), Workers(**workers))


def load_or_run(
    configuration: Configuration, out: str | Path, data: MNIST | str | Path | None = None, **options: Any
) -> Recording:
    """Return the recorded sweep if its configuration is the one asked for; otherwise say what differs and run it.

    A damaged or edited recording is not replaced but refused.

    Parameters
    ----------
    configuration, out, data, **options
        As for `run_sweep`.

    Raises
    ------
    RecordingError
        If there is a recording that cannot be trusted.
    ValueError, MNISTError, SweepError
        As `run_sweep`, if it has to run.
    """
    path = Path(out)
    wanted = description(configuration, options.get("tf32", False))
    return _matching("sweep", path, wanted, data) or run_sweep(configuration, data, path, **options)


def load_or_search(
    sigma: float,
    alphas: Sequence[float],
    seeds: Sequence[int],
    steps: int,
    out: str | Path,
    data: MNIST | str | Path | None = None,
    *,
    target: float = 0.05,
    **options: Any,
) -> Recording:
    """Return the recorded step-size search if its configuration is the one asked for; otherwise run it.

    As `load_or_run`, for `search_step_size`.
    """
    _, _, wanted = _search(
        sigma,
        alphas,
        seeds,
        steps,
        target,
        options.get("gamma", 0.05),
        options.get("width", 150),
        options.get("tf32", False),
    )
    return _matching("step-size-search", Path(out), wanted, data) or search_step_size(
        sigma, alphas, seeds, steps, data, out, target=target, **options
    )


def _search(
    sigma: float,
    alphas: Sequence[float],
    seeds: Sequence[int],
    steps: int,
    target: float,
    gamma: float,
    width: int,
    tf32: bool,
) -> tuple[list[Member], Job, dict[str, Any]]:
    """Check a step-size search and return its members, their job and its description."""
    _require_distinct("alphas", alphas)
    for alpha in alphas:
        _require_positive("alpha", alpha)
    if not 0 < target < 1:
        raise ValueError(f"target = {target}: the error to reach must be in (0, 1)")
    checked = Configuration((sigma,), tuple(seeds), alphas[0], steps, gamma, width)
    job = Job(steps, gamma, width, stop_below=target, tf32=tf32)
    members = [Member(sigma, seed, alpha) for alpha in alphas for seed in checked.seeds]
    description = {"sigma": sigma, "alphas": list(alphas), "seeds": checked.seeds, "target": target}
    return members, job, description | job.description()


def _sweep_row(run: Run) -> dict[str, Any]:
    return asdict(run.member) | {
        "diverged_at": run.diverged_at,
        "test_error": significant(run.test_error),
        "step": run.step,
        "loss": significant(run.loss),
        "train_error": significant(run.train_error),
        "stable_rank": significant(run.stable_rank),
        "singular_values": {step: significant(values) for step, values in run.singular_values.items()},
    }


def _search_row(run: Run, target: float) -> dict[str, Any]:
    row = asdict(run.member) | {"diverged_at": run.diverged_at}
    if len(run.step) == 0:
        return row | dict.fromkeys(
            (
                "first_step_below",
                "minimum_error",
                "minimum_error_at",
                "last_step",
                "last_loss",
                "loss_rises",
                "largest_rise",
            )
        )
    below, best = np.flatnonzero(run.train_error < target), np.argmin(run.train_error)
    return row | {
        "first_step_below": run.step[below[0]] if len(below) else None,
        "minimum_error": significant(run.train_error[best]),
        "minimum_error_at": run.step[best],
        "last_step": run.step[-1],
        "last_loss": significant(run.loss[-1]),
        "loss_rises": np.count_nonzero(np.diff(run.loss) > 0),
        "largest_rise": significant(max(np.diff(run.loss).max(initial=0.0), 0.0)),
    }


def _matching(kind: str, path: Path, wanted: dict[str, Any], data: MNIST | str | Path | None) -> Recording | None:
    """Return the recording at ``path`` if it is the one wanted; otherwise say on stderr why not."""
    if not path.exists():
        _say(f"{path}: there is no recording yet; running")
        return None
    found = recording.load(path, kind)
    phrases = recording.differences(found.configuration, wanted)
    phrases += recording.differences({"data": found.data}, {"data": _provenance(data)})
    if not phrases:
        return found
    _say(f"{path}: recorded with another configuration ({'; '.join(phrases)}); running")
    return None


def _provenance(data: MNIST | str | Path | None) -> dict[str, Any]:
    """Return source and checksum of the data; files are checked against the published sums when they are read."""
    if isinstance(data, MNIST):
        return {"source": data.source, "checksum": data.checksum}
    return {"source": "mnist", "checksum": mnist_data.MD5}


def _record(
    kind: str,
    members: list[Member],
    job: Job,
    description: dict[str, Any],
    row: Callable[[Run], dict[str, Any]],
    data: MNIST | str | Path | None,
    out: Path,
    workers: Workers,
) -> Recording:
    """Compute the members that have no part yet, merge all parts into the recording at ``out`` and return it."""
    recording.check_writable(out)
    if isinstance(data, (str, Path)):
        data = Path(data).absolute()
    if workers.address is None and not isinstance(data, MNIST):
        _read(data)  # before anything is started
    folder = out.with_name(out.name + ".parts")
    wanted = Recording(_PART, job.description(), [], 0.0, _provenance(data))
    parts = list(_usable_parts(folder, wanted))
    done = {_member(run): run for part in parts for run in part.runs}
    waiting = [member for member in members if member not in done]
    if parts:
        _say(f"{out}: {len(members) - len(waiting)} of {len(members)} runs were finished before; going on")
    for part in _computed(waiting, job, row, data, workers):
        folder.mkdir(exist_ok=True)
        recording.save(part, folder / f"{_name(part)}.json")
        parts.append(part)
        done |= {_member(run): run for run in part.runs}
    whole = Recording(
        kind=kind,
        configuration=description,
        runs=[done[member] for member in members],
        seconds=sum(part.seconds for part in parts),
        data=wanted.data,
        groups=[
            {
                "members": [asdict(_member(run)) for run in part.runs],
                "seconds": part.seconds,
                "environment": part.environment,
            }
            for part in parts
        ],
        environment=parts[0].environment,
    )
    recording.save(whole, out)
    shutil.rmtree(folder, ignore_errors=True)
    return recording.load(out, kind)


def _usable_parts(folder: Path, wanted: Recording) -> Iterator[Recording]:
    """Yield the finished groups in ``folder`` that were computed as wanted; say on stderr which were not."""
    for file in sorted(folder.glob("*.json")):
        try:
            part = recording.load(file, _PART)
        except RecordingError as error:
            _say(f"{error}; its runs are computed again")
            continue
        phrases = recording.differences(part.configuration, wanted.configuration)
        phrases += recording.differences({"data": part.data}, {"data": wanted.data})
        if phrases:
            _say(f"{file}: not used, it was computed otherwise ({'; '.join(phrases)})")
        else:
            yield part


def _member(run: dict[str, Any]) -> Member:
    return Member(run["sigma"], run["seed"], run["alpha"])


def _name(part: Recording) -> str:
    """Return a file name of a part's own."""
    return hashlib.sha256(repr([_member(run) for run in part.runs]).encode()).hexdigest()[:16]


def _computed(
    members: list[Member], job: Job, row: Callable[[Run], dict[str, Any]], data: MNIST | Path | None, workers: Workers
) -> Iterator[Recording]:
    """Split the members into groups and yield each group's part when it is finished."""
    if not members:
        return
    run = functools.partial(_train_group, job=job, row=row, data=data, device=workers.device, threads=workers.threads)
    quiet = None if workers.progress else True  # None: quiet unless stderr is a terminal
    if workers.local:
        groups = _split(members, 1, job, workers)
        with tqdm(total=len(groups) * (job.steps + 1), unit="step", disable=quiet) as bar:
            for group in groups:
                yield run(group, progress=lambda step: bar.update())
        return
    with _pool(workers) as slots:
        groups = _split(members, slots, job, workers)
        with tqdm(total=len(groups), unit="group", disable=quiet) as bar:
            for part in _retried(run, groups, slots if workers.backend == "ray" else None):
                bar.update()
                yield part


def _split(members: list[Member], slots: int, job: Job, workers: Workers) -> list[list[Member]]:
    """Cut the members into groups: spread over ``slots`` workers, none larger than fits into memory."""
    fit = trainer.members_that_fit(width=job.width, threads=workers.threads)
    size = workers.group_size or min(math.ceil(len(members) / slots), fit)
    return [members[start : start + size] for start in range(0, len(members), size)]


def _retried(
    run: Callable[[list[Member]], Recording], groups: list[list[Member]], wave: int | None = None
) -> Iterator[Recording]:
    """Yield the groups' parts in the order in which they finish; start a group again if its worker died.

    An error that the computation itself raises comes back as a result, see `_guarded`, and is raised here. So
    whatever the pool raises means that a worker was lost.
    """
    waiting = dict(enumerate(groups))
    for attempt in range(1, ATTEMPTS + 1):
        results = _results(run, list(waiting.items()), wave)
        try:
            while waiting:
                k, part, error = next(results)
                if error is not None:
                    break
                if waiting.pop(k, None) is not None:
                    yield part
        except Exception as loss:  # no error of the computation, see above: the pool lost a worker
            error, lost = None, loss
        if error is not None:
            with warnings.catch_warnings(action="ignore"):  # that the other groups are given up
                results.close()
            raise error
        if not waiting:
            return
        _say(
            f"a worker was lost ({type(lost).__name__}); attempt {attempt} of {ATTEMPTS} left "
            f"{len(waiting)} of {len(groups)} groups unfinished"
        )
    raise SweepError(
        f"{len(waiting)} groups were lost {ATTEMPTS} times with their workers ({' '.join(str(lost).split())}); "
        "the finished ones are kept: run again, with a smaller group size if the workers ran out of memory"
    )


def _results(
    run: Callable[[list[Member]], Recording], numbered: list[tuple[int, list[Member]]], wave: int | None
) -> Iterator[tuple[int, Recording | None, Exception | None]]:
    """Yield what `_guarded` returns for each group, as they finish.

    A backend whose results come all at once (Ray's) is given ``wave`` groups at a time, so that what is finished
    is kept early.
    """
    tasks = [joblib.delayed(_guarded)(run, k, group) for k, group in numbered]
    if wave is None:
        yield from joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="all")(tasks)
    else:
        for start in range(0, len(tasks), wave):
            yield from joblib.Parallel(batch_size=1)(tasks[start : start + wave])


def _guarded(
    run: Callable[[list[Member]], Recording], k: int, group: list[Member]
) -> tuple[int, Recording | None, Exception | None]:
    """Compute group ``k`` on a worker; return its number and its part, or the error that it raised."""
    try:
        return k, run(group), None
    except Exception as error:  # any: the process that asked raises it
        if isinstance(error, MNISTError):
            error = MNISTError(f"worker on {socket.gethostname()}: {error}")
        else:
            error.add_note(traceback.format_exc())
        return k, None, error


def _train_group(
    group: list[Member],
    job: Job,
    row: Callable[[Run], dict[str, Any]],
    data: MNIST | Path | None,
    device: str,
    threads: int | None,
    progress: Callable[[int], None] | None = None,
) -> Recording:
    """Train one group in this process and return its part."""
    images = data if isinstance(data, MNIST) else _read(data)
    with _threads(threads) if threads else nullcontext():
        start = time.perf_counter()
        runs = trainer.train(
            group,
            images,
            job.steps,
            gamma=job.gamma,
            width=job.width,
            spectra_at=job.spectra_at,
            stop_below=job.stop_below,
            device=device,
            tf32=job.tf32,
            progress=progress,
        )
        seconds = time.perf_counter() - start
        return Recording(
            _PART,
            job.description(),
            [row(run) for run in runs],
            seconds,
            _provenance(data),
            environment=recording.environment(device),
        )


@functools.lru_cache(maxsize=1)
def _read(root: Path | None) -> MNIST:
    """Read MNIST once a process."""
    return load_mnist(root)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use ``count`` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _pool(workers: Workers) -> Iterator[int]:
    """Make joblib use the workers, and yield how many groups they compute at a time."""
    where = f"the {workers.backend} cluster at {workers.address or 'this machine'}"
    try:
        if workers.backend == "dask":
            from distributed import Client

            how = (
                {"address": workers.address, "timeout": _CONNECTION_SECONDS}
                if workers.address
                else {"n_workers": workers.jobs, "threads_per_worker": 1, "dashboard_address": None}
            )
            cluster = Client(**how)
            configured = joblib.parallel_config(
                backend="dask", n_jobs=-1, client=cluster, wait_for_workers_timeout=_CONNECTION_SECONDS
            )
        elif workers.backend == "ray":
            import ray
            from ray.util.joblib import register_ray

            register_ray()
            cluster = ray.init(workers.address, num_cpus=None if workers.address else workers.jobs)
            configured = joblib.parallel_config(backend="ray", n_jobs=-1)
        else:
            cluster, configured = nullcontext(), joblib.parallel_config(backend="loky", n_jobs=workers.jobs)
    except ImportError as error:
        raise SweepError(
            f"backend {workers.backend}: not installed ({error}); pip install {workers.backend}"
        ) from error
    except OSError as error:
        raise SweepError(f"{where} cannot be reached ({' '.join(str(error).split())})") from error
    with cluster, configured:
        try:
            slots = joblib.effective_n_jobs(workers.jobs if workers.backend in (None, "loky") else -1)
        except TimeoutError as error:
            raise SweepError(f"{where} has no workers") from error
        yield slots


def _require_positive(name: str, value: float) -> None:
    if not (isinstance(value, numbers.Real) and math.isfinite(value) and value > 0):
        raise ValueError(f"{name} = {value}: must be a positive, finite number")


def _require_whole(name: str, value: int, least: int) -> None:
    if not (isinstance(value, numbers.Integral) and value >= least):
        raise ValueError(f"{name} = {value}: must be a whole number, at least {least}")


def _require_slope(gamma: float) -> None:
    if not (isinstance(gamma, numbers.Real) and 0 < gamma <= 1):
        raise ValueError(f"gamma = {gamma}: the slope of the leaky ReLU must be in (0, 1]")


def _require_distinct(name: str, values: Sequence[float]) -> None:
    if len(values) == 0:
        raise ValueError(f"{name} = (): at least one is needed")
    for value in values:
        if list(values).count(value) > 1:
            raise ValueError(f"{name}: {value} is given twice")


def _require_device(device: str, here: bool) -> None:
    """Check that torch knows the device and, if the work is done ``here``, that this machine has it."""
    try:
        torch.device(device)
    except RuntimeError:
        raise ValueError(f"device = {device!r}: torch knows no such device; try cpu, cuda or cuda:1") from None
    if here:
        try:
            torch.zeros(1, device=device).cpu()
        except (RuntimeError, AssertionError, NotImplementedError):
            raise ValueError(f"device = {device!r}: not available on this machine") from None


def _say(message: str) -> None:
    """Say on stderr what the user should know, without breaking a progress bar."""
    tqdm.write(message, file=sys.stderr)
