"""The command line: ``python -m implicit_bias`` or ``implicit-bias``.

Exit status: 0 done; 1 the data, a recording or a cluster cannot be used; 2 a value on the command line cannot;
130 interrupted. Errors are one line on stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import __version__
from ..figures import runs as draw
from .configuration import EXPERIMENT
from .data import PROJECT, MNISTError
from .recording import RecordingError, check_writable, load
from .sweep import ALPHAS, BACKENDS, Configuration, SweepError, run_sweep, search_step_size

SWEEP = PROJECT / "data" / "results" / "sweep.json"

_DEFAULT = EXPERIMENT


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> None:
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
    try:
        chosen.run(chosen)
    except ValueError as error:
        return _failed(chosen, error, 2)
    except (MNISTError, RecordingError, SweepError) as error:
        return _failed(chosen, error, 1)
    except KeyboardInterrupt:
        return _failed(chosen, "interrupted; the same command goes on from what is finished", 130)
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
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    sweep = commands.add_parser(
        "sweep",
        help="train every (sigma, seed) and record loss, error and stable rank at every step",
        description="Train every (sigma, seed) with the same step size for the same number of steps and record "
        "loss, training error and stable rank after every step, and the singular values of W after 0, 1, T/10, "
        "T/5, T/2 and T steps (rounded up to whole steps). Interrupted, the same command goes on from the finished "
        "groups.",
    )
    sweep.add_argument(
        "--sigmas",
        type=_positive,
        nargs="+",
        default=_DEFAULT.sigmas,
        metavar="SIGMA",
        help=f"standard deviations of the initial weights, > 0 (default: {_words(_DEFAULT.sigmas)})",
    )
    sweep.add_argument(
        "--alpha",
        type=_positive,
        default=_DEFAULT.alpha,
        metavar="ALPHA",
        help=f"step size, > 0 (default: {_DEFAULT.alpha:g})",
    )
    sweep.set_defaults(run=_sweep)

    search = commands.add_parser(
        "search-step-size",
        help="record for each step size when the training error falls below the target",
        description="Train one network for each step size and seed, and record the first step after which the "
        "training error is below the target, or that it never was, or that the run diverged.",
    )
    search.add_argument(
        "--sigma",
        type=_positive,
        default=0.02,
        metavar="SIGMA",
        help="standard deviation of the initial weights, > 0 (default: 0.02)",
    )
    search.add_argument(
        "--alphas",
        type=_positive,
        nargs="+",
        default=ALPHAS,
        metavar="ALPHA",
        help=f"step sizes to try, > 0 (default: {_words(ALPHAS)})",
    )
    search.add_argument(
        "--target",
        type=_fraction,
        default=0.05,
        metavar="ERROR",
        help="training error to fall below, a fraction in (0, 1) (default: 0.05)",
    )
    search.set_defaults(run=_search)

    for command, out, seeds, steps, meaning in (
        (sweep, "sweep.json", len(_DEFAULT.seeds), _DEFAULT.steps, "number T of gradient descent steps"),
        (search, "step-size.json", 1, 2000, "limit on the number of gradient descent steps"),
    ):
        command.add_argument(
            "--seeds",
            type=_whole(1),
            default=seeds,
            metavar="N",
            help=f"number of seeds of the initial weights: 0 to N-1 (default: {seeds})",
        )
        command.add_argument(
            "--steps", type=_whole(10), default=steps, metavar="T", help=f"{meaning}, >= 10 (default: {steps})"
        )
        command.add_argument(
            "--out",
            type=Path,
            default=Path(out),
            metavar="FILE",
            help=f"recording to write, JSON; an older recording there is replaced (default: {out})",
        )
        _add_workers(command)

    figures = commands.add_parser(
        "figures",
        help="draw the MNIST figures from a recording, as PDF and SVG",
        description="Draw the stable rank against sigma, the training curves and the singular values from a "
        "recorded sweep, each as PDF and SVG.",
    )
    figures.add_argument(
        "--recording", type=Path, default=SWEEP, metavar="FILE", help=f"recorded sweep (default: {_shown(SWEEP)})"
    )
    figures.add_argument(
        "--out",
        type=Path,
        default=Path("figures"),
        metavar="DIR",
        help="folder for the figures, made if it is missing (default: figures)",
    )
    figures.set_defaults(run=_figures)
    return parser


def _add_workers(command: argparse.ArgumentParser) -> None:
    """Add the options that say where the data are and where the work is done."""
    command.add_argument(
        "--mnist-root",
        type=Path,
        metavar="DIR",
        help="folder that holds MNIST/raw/; missing files are downloaded to it (default: the "
        "environment variable MNIST_ROOT, or data/ in the project)",
    )
    command.add_argument(
        "--device", default="cpu", metavar="DEVICE", help="torch device, such as cpu, cuda or cuda:1 (default: cpu)"
    )
    command.add_argument(
        "--tf32",
        action="store_true",
        help="on CUDA, multiply in TensorFloat-32: faster, ten bits of mantissa (default: off)",
    )
    command.add_argument(
        "--threads", type=_whole(1), metavar="N", help="processor threads of each worker (default: torch's choice)"
    )
    command.add_argument(
        "--group-size",
        type=_whole(1),
        metavar="N",
        help="networks trained together (default: spread evenly over the workers, as many as fit into 1.2 GB)",
    )
    command.add_argument(
        "--jobs", type=_whole(1), default=1, metavar="N", help="groups at a time on this machine (default: 1)"
    )
    command.add_argument(
        "--backend",
        choices=BACKENDS,
        help="what runs the groups: processes (loky), a Dask or a Ray cluster (default: this "
        "process, or loky for several jobs)",
    )
    command.add_argument(
        "--address",
        metavar="ADDRESS",
        help="address of the cluster, such as tcp://host:8786 for Dask (default: a cluster of --jobs "
        "workers on this machine)",
    )


def _workers(chosen: argparse.Namespace) -> dict:
    """Return the keyword arguments of `run_sweep` and `search_step_size` that say where and how."""
    return {
        name: getattr(chosen, name)
        for name in ("device", "tf32", "threads", "group_size", "jobs", "backend", "address")
    }


def _sweep(chosen: argparse.Namespace) -> None:
    configuration = Configuration(
        tuple(chosen.sigmas), tuple(range(chosen.seeds)), chosen.alpha, chosen.steps, EXPERIMENT.gamma, EXPERIMENT.width
    )
    _usable(chosen.out)
    recorded = run_sweep(configuration, chosen.mnist_root, chosen.out, **_workers(chosen))
    diverged = sum(run["diverged_at"] is not None for run in recorded.runs)
    print(
        f"{chosen.out}: {len(recorded.runs)} runs of {chosen.steps} steps, {diverged} diverged, "
        f"{recorded.seconds:.0f} s"
    )


def _search(chosen: argparse.Namespace) -> None:
    _usable(chosen.out)
    recorded = search_step_size(
        chosen.sigma,
        chosen.alphas,
        range(chosen.seeds),
        chosen.steps,
        chosen.mnist_root,
        chosen.out,
        target=chosen.target,
        **_workers(chosen),
    )
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
    recorded = load(chosen.recording, "sweep")
    try:
        chosen.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"argument --out: {chosen.out} cannot be made a folder ({error.strerror})") from error
    for function in (draw.stable_rank_figure, draw.training_figure, draw.singular_value_figure):
        figure = function(recorded)
        for suffix, undated in (("pdf", {"CreationDate": None}), ("svg", {"Date": None})):
            path = chosen.out / f"{function.__name__.removesuffix('_figure').replace('_', '-')}.{suffix}"
            check_writable(path)
            figure.savefig(path, metadata=undated)
            print(path)


def _usable(out: Path) -> None:
    """Raise ValueError unless a recording can be written at ``out``, or replace the one that is there."""
    try:
        check_writable(out)
        if out.exists():
            load(out)  # only a recording is replaced
    except RecordingError as error:
        raise ValueError(f"argument --out: {error}") from error


def _positive(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{word!r} is not a positive, finite number (separate several by spaces)")
    return value


def _fraction(word: str) -> float:
    value = _positive(word)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"{word!r} is not between 0 and 1")
    return value


def _whole(least: int) -> Callable[[str], int]:
    def convert(word: str) -> int:
        try:
            value = int(word)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{word!r} is not a whole number of at least {least}")
        return value

    return convert


def _words(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


def _shown(path: Path) -> str:
    return os.path.relpath(path, PROJECT)
