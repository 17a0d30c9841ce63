"""The book's MNIST experiment: what was recorded, and how it is recorded again."""

import functools
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..figures.runs import stable_rank_figure
from ..orthogonality import gram_extremes
from .configuration import EXPERIMENT, SEARCH, SEARCHES, Configuration, Search
from .data import MD5, MNIST, PROJECT
from .recording import Recording, RecordingError, load, replacing, save
from .sweep import description, record
from .workers import Workers

RESULTS = PROJECT / "data" / "results"
STUDIES = RESULTS / "studies"

_IN_PLACE = "in-place"  # marks a folder of new recordings that were put in place
_ORTHOGONALITY = {"rows": "training images", "pixels": "0 to 255"}


@dataclass(frozen=True)
class Experiment:
    """The recordings that the chapter reads: of every sigma with every seed, of the search for a step size at each
    sigma, and what `orthogonality` returns."""

    sweep: Recording
    searches: dict[float, Recording]
    orthogonality: dict[str, Any]


def recorded(
    results: Path = RESULTS,
    configuration: Configuration = EXPERIMENT,
    searches: Sequence[Search] = SEARCHES,
    data: dict[str, Any] | None = None,
) -> Experiment:
    """Read the recorded experiment from a folder. Nothing is computed.

    `RecordingError` if a recording is absent, damaged, of another configuration or of data of another provenance (by
    default, the original files of MNIST are wanted); the message names the file and what differs.
    """
    data = data or {"source": "mnist", "checksum": MD5}
    try:
        return Experiment(
            sweep=load(results / "sweep.json", "sweep", description(configuration), data),
            searches={s.sigma: load(results / _name(s), s.kind, description(s), data) for s in searches},
            orthogonality=load(results / "orthogonality.json", "orthogonality", _ORTHOGONALITY, data).runs[0],
        )
    except RecordingError as error:
        raise RecordingError(f"{error}; to record it again, run: make experiment") from None


def _name(search: Search) -> str:
    return "step-size.json" if search.sigma == SEARCH.sigma else f"stability-{search.sigma:g}.json"


def orthogonality(data: MNIST) -> dict[str, Any]:
    """Return how far the training images are from orthogonal: ``p(S) = R_min²/(R² n M)`` and its parts.

    ``n``, ``p``, ``R_min_squared``, ``R_max_squared`` and ``M`` (pixels in [0, 255], so that all are exact), and the
    indices ``i`` and ``j`` of a pair with inner product ``M``; see `orthogonality.gram_extremes`.
    """
    found = gram_extremes(data.train_images, progress=functools.partial(tqdm, desc="inner products", disable=None))
    return {"n": found.n, "p": found.p} | asdict(found)


def run_again(
    data: MNIST,
    results: Path = RESULTS,
    configuration: Configuration = EXPERIMENT,
    searches: Sequence[Search] = SEARCHES,
    workers: Workers | None = None,
) -> None:
    """Make all recordings, and the README's picture, again and put them in place once all are there.

    They are made in the folder ``<results>.new``, which survives an interruption: the next call goes on from there. The
    seeds of one sigma train together. `RecordingError` and `SweepError` as of `sweep.record`.
    """
    workers = replace(workers or Workers(), group_size=len(configuration.seeds))
    wanted: dict[str, Configuration | Search] = {"sweep.json": configuration} | {_name(s): s for s in searches}
    names = (*wanted, "orthogonality.json", "stable-rank.svg")
    fresh = results.with_name(results.name + ".new")
    if not (fresh / _IN_PLACE).exists():
        fresh.mkdir(exist_ok=True)
        for name, what in wanted.items():
            if not _made(fresh / name, description(what), data):
                (fresh / name).unlink(missing_ok=True)
                record(what, data, fresh / name, workers)
        if not _made(fresh / "orthogonality.json", _ORTHOGONALITY, data):
            start = time.perf_counter()
            rows = [orthogonality(data)]
            seconds = time.perf_counter() - start
            found = Recording("orthogonality", _ORTHOGONALITY, rows, seconds, data.provenance())
            save(found, fresh / "orthogonality.json")
        with replacing(fresh / "stable-rank.svg") as stream:
            stable_rank_figure(load(fresh / "sweep.json")).savefig(stream, format="svg", metadata={"Date": None})
        for name in names:
            with replacing(results / name) as stream:
                stream.write((fresh / name).read_bytes())
        (fresh / _IN_PLACE).touch()
    for leftover in (*(fresh / name for name in names), *fresh.glob(".*.tmp"), fresh / _IN_PLACE):
        leftover.unlink(missing_ok=True)
    with suppress(OSError):  # other files are in it
        fresh.rmdir()


def _made(path: Path, wanted: dict[str, Any], data: MNIST) -> bool:
    """Return whether an interrupted call made the recording at ``path``, and made it as wanted."""
    try:
        load(path, None, wanted, data.provenance())
    except RecordingError:
        return False
    return True
