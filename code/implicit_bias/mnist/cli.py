"""The command line: ``python -m implicit_bias`` or ``implicit-bias``.

Exit status: 0 done; 1 the data, a recording or a cluster cannot be used; 2 a value on the command line cannot;
130 interrupted, by Ctrl-C or SIGTERM. Errors are one line on stderr.
"""

import argparse
import inspect
import io
import itertools
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__, checks
from ..figures import runs as draw
from ..studies import STUDIES
from . import benchmark, experiment
from .benchmark import REPETITIONS
from .configuration import EXPERIMENT, SEARCH, Configuration, Search
from .data import MNISTError, load_mnist
from .recording import Recording, RecordingError, check_writable, load, replacing
from .sweep import record
from .workers import SweepError, Workers

_MOST_SEEDS = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, given by the words after the program's name, and return its exit status."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help()
        return 0
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: workers are ended in order
    try:
        _COMMANDS[chosen.command][0](chosen)
        return 0
    except (ValueError, OverflowError, MemoryError) as error:
        status, said = 2, str(error)
    except (MNISTError, RecordingError, SweepError) as error:
        status, said = 1, str(error)
    except KeyboardInterrupt:
        status, said = 130, "interrupted; the same command goes on from what is finished"
    finally:
        signal.signal(signal.SIGTERM, before)
    print(f"implicit-bias {chosen.command}: {' '.join(said.split())}", file=sys.stderr)
    return status


def _sweep(chosen: argparse.Namespace) -> None:
    """Train every (sigma, seed) and record loss, error and stable rank at every step.

    All with the same step size and for the same number of steps; the singular values of W are recorded after 0, 1,
    T/10, T/5, T/2 and T steps, rounded up to whole steps. Interrupted, the same command goes on from the finished
    groups.
    """
    recorded = _recorded(chosen, EXPERIMENT)
    diverged = sum(run["diverged_at"] is not None for run in recorded.runs)
    runs = f"{len(recorded.runs)} runs of {chosen.steps} steps, {diverged} diverged"
    print(f"{chosen.out}: {runs}, {recorded.seconds:.0f} s")


def _search(chosen: argparse.Namespace) -> None:
    """Record for each step size when the training error falls below the target.

    One network is trained for each step size and seed; recorded is the first step after which the training error is
    below the target, or that it never was, or that the run diverged.
    """
    recorded = _recorded(chosen, SEARCH)
    for run in recorded.runs:
        if run["first_step_below"] is not None:
            fate = f"below {chosen.target:g} after {run['first_step_below']} steps"
        elif run["diverged_at"] is not None:
            fate = f"diverged at step {run['diverged_at']}"
        else:
            fate = f"never below {chosen.target:g}, least error {run['minimum_error']:.4f}"
        print(f"alpha {run['alpha']:g}, seed {run['seed']}: {fate}")
    print(f"{chosen.out}: {recorded.seconds:.0f} s")


def _figures(chosen: argparse.Namespace) -> None:
    """Draw the MNIST figures from a recording, as PDF and SVG.

    The stable rank against sigma, the training curves and the singular values.
    """
    recorded = load(chosen.recording, "sweep")
    try:
        chosen.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"argument --out: {chosen.out} cannot be made a folder ({error.strerror})") from error
    for function in (draw.stable_rank_figure, draw.training_figure, draw.singular_value_figure):
        drawn, name = function(recorded), function.__name__.removesuffix("_figure").replace("_", "-")
        panels = {f"{name}-{k}": one for k, one in enumerate(drawn, 1)} if isinstance(drawn, list) else {name: drawn}
        for (name, figure), suffix in itertools.product(panels.items(), ("pdf", "svg")):
            written, undated = io.BytesIO(), {"CreationDate" if suffix == "pdf" else "Date": None}
            figure.savefig(written, format=suffix, metadata=undated)  # not to a file, whose error zlib would hide
            with replacing(chosen.out / f"{name}.{suffix}") as stream:
                stream.write(written.getvalue())
            print(chosen.out / f"{name}.{suffix}")


def _experiment(chosen: argparse.Namespace) -> None:
    """Run the homework's experiment again, then the studies that are not recorded; or one study.

    The experiment's recordings are put in place once all are there. A study's are made where they are not there yet, or
    are of another configuration: delete one to have it made again. Interrupted, the same command goes on from what is
    finished.
    """
    workers = Workers(**_given(chosen, Workers))
    if not chosen.results.is_dir():
        raise ValueError(f"argument --results: {chosen.results} is not a folder")
    if chosen.study not in (None, *STUDIES):
        raise ValueError(f"argument --study: {chosen.study!r} is none of {', '.join(STUDIES)}")
    if chosen.study is None:
        experiment.run_again(load_mnist(chosen.mnist_root), chosen.results, workers=workers)
        print(f"{chosen.results}: all recordings of the homework's experiment are new")
    folder = chosen.results / "studies"
    folder.mkdir(exist_ok=True)
    for name in [chosen.study] if chosen.study else STUDIES:
        STUDIES[name](folder, partial(load_mnist, chosen.mnist_root), workers)
        print(f"{folder}: {name} is recorded")


def _benchmark(chosen: argparse.Namespace) -> None:
    """Measure the trainer's speed and record it.

    It is measured against its own matrix products and against plain PyTorch, and what each of its tricks is worth.
    """
    checks.whole(1, repetitions=chosen.repetitions)
    _check_place(chosen.out)
    benchmark.run(chosen.mnist_root, chosen.repetitions, Workers(chosen.device).device, chosen.out)


def _recorded(chosen: argparse.Namespace, book: Configuration | Search) -> Recording:
    """Compute what was asked for, as the book does but for what is given, after a look at the place for it."""
    checks.within(f"[1, {_MOST_SEEDS}]", seeds=chosen.seeds)
    given = _given(chosen, type(book)) | {"seeds": tuple(range(chosen.seeds))}
    configuration, workers = replace(book, **given), Workers(**_given(chosen, Workers))
    _check_place(chosen.out)
    return record(configuration, load_mnist(chosen.mnist_root), chosen.out, workers)


def _given(chosen: argparse.Namespace, kind: type[Configuration | Search | Workers]) -> dict[str, Any]:
    """Return the options that are fields of a dataclass."""
    options = {field.name: getattr(chosen, field.name) for field in fields(kind) if hasattr(chosen, field.name)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


def _check_place(out: Path) -> None:
    try:
        check_writable(out)
    except RecordingError as error:
        raise ValueError(f"argument --out: {error}") from error


_OPTIONS: dict[str, tuple[Any, str]] = {
    "sigmas": (float, "standard deviations of the initial weights"),
    "sigma": (float, "standard deviation of the initial weights"),
    "alpha": (float, "step size"),
    "alphas": (float, "step sizes to try"),
    "target": (float, "training error to fall below"),
    "seeds": (int, "number of seeds of the initial weights: 0, 1, ..."),
    "steps": (int, "number of gradient descent steps, of a search the limit on it; at least 10"),
    "recording": (Path, "recorded sweep"),
    "results": (Path, "folder of the recordings"),
    "study": (str, "study to record (default: the homework's experiment and all studies)"),
    "repetitions": (int, "how often each variant is measured"),
    "out": (Path, "recording to write, in place of an older one; or folder for the figures"),
    "mnist_root": (Path, "folder of MNIST/raw/, for missing files too (default: MNIST_ROOT, or data/ of the project)"),
    "device": (str, "torch device, such as cpu, cuda or cuda:1"),
    "group_size": (int, "networks trained together (default: as many as fit, evenly over the workers)"),
    "jobs": (int, "processes of this machine, each with a group at a time"),
    "address": (str, "Dask scheduler whose workers are used, such as tcp://host:8786 (default: this machine's are)"),
    "threads": (int, "threads of each worker (default: torch's choice)"),
}
_DATA: dict[str, Any] = {"mnist_root": None}
_WORKERS = {field.name: field.default for field in fields(Workers) if field.name != "group_size"} | _DATA


def _as_in(book: Configuration | Search, out: str) -> dict[str, Any]:
    """Return the options of a sweep or a search, with what the book does by default."""
    own = {name: value for name, value in vars(book).items() if name in _OPTIONS} | {"seeds": len(book.seeds)}
    return own | {"out": Path(out), "group_size": None} | _WORKERS


_COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], None], dict[str, Any]]] = {  # with the options' defaults
    "sweep": (_sweep, _as_in(EXPERIMENT, "sweep.json")),
    "search-step-size": (_search, _as_in(SEARCH, "step-size.json")),
    "figures": (_figures, {"recording": experiment.RESULTS / "sweep.json", "out": Path("figures")}),
    "experiment": (_experiment, {"study": None, "results": experiment.RESULTS} | _WORKERS),
    "benchmark": (
        _benchmark,
        {"repetitions": REPETITIONS, "device": "cpu", "out": experiment.RESULTS / "benchmark.json"} | _DATA,
    ),
}


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def _parser() -> _Parser:
    about = "The MNIST experiment: two-layer leaky ReLU networks, trained by full-batch gradient descent."
    parser = _Parser(prog="implicit-bias", description=about)
    parser.add_argument("--version", action="version", version=f"implicit-bias {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (work, defaults) in _COMMANDS.items():
        about = inspect.getdoc(work) or ""
        command = commands.add_parser(name, help=about.partition("\n")[0], description=about)
        for option, default in defaults.items():
            kind, meaning = _OPTIONS[option]
            several = isinstance(default, tuple)
            if default is not None:
                meaning += f" (default: {' '.join(map(str, default)) if several else default})"
            flag, nargs = f"--{option.replace('_', '-')}", "+" if several else None
            command.add_argument(flag, type=kind, nargs=nargs, default=default, help=meaning)
    return parser
