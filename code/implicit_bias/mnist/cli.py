"""The command line: ``python -m implicit_bias`` or ``implicit-bias``.

Exit status: 0 done; 1 the data, a recording or a cluster cannot be used; 2 a value on the command line cannot;
130 interrupted, by Ctrl-C or SIGTERM. Errors are one line on stderr.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__, checks
from ..figures import runs as draw
from . import benchmark, experiment
from .benchmark import REPETITIONS
from .configuration import EXPERIMENT, SEARCH, Configuration, Search
from .data import PROJECT, MNISTError, load_mnist
from .recording import Recording, RecordingError, check_writable, load, replacing
from .sweep import record
from .workers import SweepError, Workers

_MOST_SEEDS = 10_000


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after the program's name. Default: those of this process.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help()
        return 0
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: workers are ended in order
    try:
        chosen.run(chosen)
    except ValueError as error:
        return _failed(chosen, error, 2)
    except (MNISTError, RecordingError, SweepError) as error:
        return _failed(chosen, error, 1)
    except KeyboardInterrupt:
        return _failed(chosen, "interrupted; the same command goes on from what is finished", 130)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _failed(chosen: argparse.Namespace, error: Exception | str, status: int) -> int:
    print(f"implicit-bias {chosen.command}: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def _parser() -> _Parser:
    parser = _Parser(
        prog="implicit-bias",
        description="The MNIST experiment: two-layer leaky ReLU networks trained by full-batch gradient descent "
        "from initial weights of several scales.",
    )
    parser.add_argument("--version", action="version", version=f"implicit-bias {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, run: Callable[[argparse.Namespace], None], short: str, long: str) -> Callable[..., None]:
        """Add a command; return a function that adds one of its options, with its default in the help."""
        parser = commands.add_parser(name, help=short, description=long)
        parser.set_defaults(run=run)

        def option(flag: str, meaning: str, default: Any = None, shown: str | None = None, **how: Any) -> None:
            shown = shown or (_words(default) if isinstance(default, tuple) else str(default))
            parser.add_argument(flag, default=default, help=f"{meaning} (default: {shown})", **how)

        return option

    sweep = command(
        "sweep",
        _sweep,
        "train every (sigma, seed) and record loss, error and stable rank at every step",
        "Train every (sigma, seed) with the same step size for the same number of steps and record loss, training "
        "error and stable rank after every step, and the singular values of W after 0, 1, T/10, T/5, T/2 and T steps "
        "(rounded up to whole steps). Interrupted, the same command goes on from the finished groups.",
    )
    sigma = "of the initial weights, > 0"
    positive = _number("(0, inf)")
    sweep("--sigmas", f"standard deviations {sigma}", EXPERIMENT.sigmas, type=positive, nargs="+", metavar="SIGMA")
    sweep("--alpha", "step size, > 0", EXPERIMENT.alpha, type=positive, metavar="ALPHA")
    search = command(
        "search-step-size",
        _search,
        "record for each step size when the training error falls below the target",
        "Train one network for each step size and seed, and record the first step after which the training error is "
        "below the target, or that it never was, or that the run diverged.",
    )
    search("--sigma", f"standard deviation {sigma}", SEARCH.sigma, type=positive, metavar="SIGMA")
    search("--alphas", "step sizes to try, > 0", SEARCH.alphas, type=positive, nargs="+", metavar="ALPHA")
    search("--target", "training error to fall below", SEARCH.target, type=_number("(0, 1)"), metavar="ERROR")
    for option, out, book, steps in (
        (sweep, Path("sweep.json"), EXPERIMENT, "number T of gradient descent steps"),
        (search, Path("step-size.json"), SEARCH, "limit on the number of gradient descent steps"),
    ):
        seeds = "number of seeds of the initial weights: 0 to N-1"
        option("--seeds", seeds, len(book.seeds), type=_whole(1, _MOST_SEEDS), metavar="N")
        option("--steps", f"{steps}, >= 10", book.steps, type=_whole(10), metavar="T")
        option("--out", "recording to write, JSON; an older one is replaced", out, type=Path, metavar="FILE")
        tf32 = "on CUDA, multiply in TensorFloat-32: faster, ten bits of mantissa"
        option("--tf32", tf32, False, "off", action="store_true")
        group = "networks trained together", "spread evenly over the workers, as many as fit into 1.2 GB"
        option("--group-size", group[0], None, group[1], type=_whole(1), metavar="N")

    figures = command(
        "figures",
        _figures,
        "draw the MNIST figures from a recording, as PDF and SVG",
        "Draw the stable rank against sigma, the training curves and the singular values from a recorded sweep, each "
        "as PDF and SVG.",
    )
    recorded = experiment.RESULTS / "sweep.json"
    figures("--recording", "recorded sweep", recorded, os.path.relpath(recorded, PROJECT), type=Path, metavar="FILE")
    figures("--out", "folder for the figures, made if it is missing", Path("figures"), type=Path, metavar="DIR")

    again = command(
        "experiment",
        _experiment,
        "run the book's whole experiment again and replace its recordings",
        "Run the sweep and the searches of the book again, and put the recordings in place once all are there. "
        "Interrupted, the same command goes on from the finished groups.",
    )
    results = os.path.relpath(experiment.RESULTS, PROJECT)
    again("--results", "folder of the recordings", experiment.RESULTS, results, type=Path, metavar="DIR")

    bench = command(
        "benchmark",
        _benchmark,
        "measure the trainer's speed and record it",
        "Measure the trainer against its own matrix products and against plain PyTorch, and what each of its tricks is "
        "worth.",
    )
    measured = experiment.RESULTS / "benchmark.json"
    bench("--repetitions", "how often each variant is measured, >= 1", REPETITIONS, type=_whole(1, 1000), metavar="N")
    bench("--out", "recording to write", measured, os.path.relpath(measured, PROJECT), type=Path, metavar="FILE")

    for option in (sweep, search, again, bench):
        root = "folder that holds MNIST/raw/; missing files are downloaded to it"
        default = "the environment variable MNIST_ROOT, or data/ in the project"
        option("--mnist-root", root, None, default, type=Path, metavar="DIR")
    for option in (sweep, search, again):
        option("--device", "torch device, such as cpu, cuda or cuda:1", "cpu", metavar="DEVICE")
        option("--threads", "threads of each worker", None, "torch's choice", type=_whole(1), metavar="N")
        option("--jobs", "processes of this machine, each with a group at a time", 1, type=_whole(1), metavar="N")
        address = "Dask scheduler whose workers do the work, such as tcp://host:8786"
        option("--address", address, None, "this machine does", metavar="ADDRESS")
    return parser


def _workers(chosen: argparse.Namespace) -> Workers:
    return Workers(
        device=chosen.device,
        group_size=getattr(chosen, "group_size", None),
        jobs=chosen.jobs,
        address=chosen.address,
        threads=chosen.threads,
    )


def _sweep(chosen: argparse.Namespace) -> None:
    seeds = tuple(range(chosen.seeds))
    configuration = Configuration(
        tuple(chosen.sigmas), seeds, chosen.alpha, chosen.steps, EXPERIMENT.gamma, EXPERIMENT.width
    )
    recorded = _recorded(chosen, configuration)
    diverged = sum(run["diverged_at"] is not None for run in recorded.runs)
    runs = f"{len(recorded.runs)} runs of {chosen.steps} steps, {diverged} diverged"
    print(f"{chosen.out}: {runs}, {recorded.seconds:.0f} s")


def _search(chosen: argparse.Namespace) -> None:
    alphas, seeds = tuple(chosen.alphas), tuple(range(chosen.seeds))
    search = Search(chosen.sigma, alphas, seeds, chosen.target, chosen.steps, SEARCH.gamma, SEARCH.width)
    recorded = _recorded(chosen, search)
    for run in recorded.runs:
        if run["first_step_below"] is not None:
            fate = f"below {chosen.target:g} after {run['first_step_below']} steps"
        elif run["diverged_at"] is not None:
            fate = f"diverged at step {run['diverged_at']}"
        else:
            fate = f"never below {chosen.target:g}, least error {run['minimum_error']:.4f}"
        print(f"alpha {run['alpha']:g}, seed {run['seed']}: {fate}")
    print(f"{chosen.out}: {recorded.seconds:.0f} s")


def _recorded(chosen: argparse.Namespace, configuration: Configuration | Search) -> Recording:
    """Compute what was asked for, after a look at the place for it."""
    workers = _workers(chosen)
    _usable(chosen.out)
    return record(configuration, load_mnist(chosen.mnist_root), chosen.out, workers, chosen.tf32)


def _figures(chosen: argparse.Namespace) -> None:
    recorded = load(chosen.recording, "sweep")
    for run in recorded.runs:
        if run["diverged_at"] == 0:
            raise RecordingError(
                f"{chosen.recording}: no figures, since the run with sigma = {run['sigma']:g} and seed {run['seed']} "
                "diverged before its first step"
            )
    try:
        chosen.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"argument --out: {chosen.out} cannot be made a folder ({error.strerror})") from error
    for function in (draw.stable_rank_figure, draw.training_figure, draw.singular_value_figure):
        figure = function(recorded)
        for suffix, undated in (("pdf", {"CreationDate": None}), ("svg", {"Date": None})):
            path = chosen.out / f"{function.__name__.removesuffix('_figure').replace('_', '-')}.{suffix}"
            with replacing(path) as stream:
                figure.savefig(stream, format=suffix, metadata=undated)
            print(path)


def _experiment(chosen: argparse.Namespace) -> None:
    workers = _workers(chosen)
    if not chosen.results.is_dir():
        raise ValueError(f"argument --results: {chosen.results} is not a folder")
    experiment.run_again(load_mnist(chosen.mnist_root), chosen.results, workers=workers)
    print(f"{chosen.results}: all recordings are new")


def _benchmark(chosen: argparse.Namespace) -> None:
    _usable(chosen.out)
    benchmark.run(chosen.mnist_root, chosen.repetitions, chosen.out)


def _usable(out: Path) -> None:
    """Raise ValueError unless a recording can be written at ``out``, or replace the one that is there."""
    try:
        check_writable(out)
        if out.exists():
            load(out)  # only a recording is replaced
    except RecordingError as error:
        raise ValueError(f"argument --out: {error}") from error


def _number(interval: str) -> Callable[[str], float]:
    def convert(word: str) -> float:
        try:
            value = float(word)
            checks.within(interval, value=value)
        except ValueError:
            need = f"is not a number in {interval} (separate several by spaces)"
            raise argparse.ArgumentTypeError(f"{word!r} {need}") from None
        return value

    return convert


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    def convert(word: str) -> int:
        try:
            value = int(word)
            checks.within(f"[{least}, {most or 'inf'}]", value=value)
        except (ValueError, OverflowError):
            need = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{word!r} is not a whole number {need}") from None
        return value

    return convert


def _words(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
