"""The book's MNIST experiment: its configuration, its recordings, and the tables of the chapter.

`ALPHA` and `STEPS` state the choice of the step size and of T; the recorded searches and the sweep itself bear it out, and the
tests check that they do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..figures.runs import over_seeds, scales, stable_rank_figure
from ..figures.runs import relative_rank as ratio
from .configuration import EXPERIMENT
from .data import MNIST, PROJECT, MNISTError, load_mnist
from .recording import Recording, RecordingError, save
from .recording import load as load_recording
from .sweep import SIGMAS, SweepError, load_or_run, load_or_search

RESULTS = PROJECT / "data" / "results"

TARGET = 0.05
"""Training error to be reached, as a fraction."""

ALPHA = EXPERIMENT.alpha
"""Step size: the largest of those tried that does not throw the loss up again and again at any sigma (see the searches)."""

STEPS = EXPERIMENT.steps
"""T: the first step at which every seed at sigma = 0.02 is below `TARGET`, rounded up to a multiple of ten."""

SEARCHED_ALPHAS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
STABILITY_ALPHAS = (0.5, 1.0, 2.0)
SEARCH_LIMIT = 600
"""Steps after which a search gives up."""

CONFIGURATION = EXPERIMENT


@dataclass(frozen=True)
class Experiment:
    """The recordings that the chapter reads.

    Attributes
    ----------
    sweep : Recording
        Five sigma with five seeds each, at `ALPHA` for `STEPS` steps.
    search : Recording
        All `SEARCHED_ALPHAS` at sigma = 0.02, one seed.
    stability : dict of float to Recording
        `STABILITY_ALPHAS` at each other sigma, one seed.
    orthogonality : dict
        See `orthogonality`.
    """

    sweep: Recording
    search: Recording
    stability: dict[float, Recording]
    orthogonality: dict[str, float]


def load(results: Path = RESULTS, group_size: int | None = None) -> Experiment:
    """Load the recorded experiment; a recording of another configuration is named on stderr and made again.

    Parameters
    ----------
    results : Path
        The folder of the recordings.
    group_size : int, optional
        Members that train together in what has to be made again; see `sweep.Workers`.

    Raises
    ------
    RecordingError
        If a recording is damaged.
    MNISTError
        If something has to be made again and there are no data.
    """

    def search(name: str, sigma: float, alphas: tuple[float, ...]) -> Recording:
        return load_or_search(sigma, alphas, (0,), SEARCH_LIMIT, results / name, target=TARGET, group_size=group_size)

    return Experiment(
        sweep=load_or_run(CONFIGURATION, results / "sweep.json", group_size=group_size),
        search=search("step-size.json", 0.02, SEARCHED_ALPHAS),
        stability={
            sigma: search(f"stability-{sigma:g}.json", sigma, STABILITY_ALPHAS) for sigma in SIGMAS if sigma != 0.02
        },
        orthogonality=load_recording(results / "orthogonality.json", "orthogonality").runs[0],
    )


def orthogonality(data: MNIST, rows: int = 2000) -> dict[str, float]:
    r"""Return how far the training images are from orthogonal: :math:`p(S) = R_{\min}^2/(R^2 n M)` and its parts.

    `margin.p_orthogonality` for 60,000 samples, whose Gram matrix would take 28 GB: it is formed ``rows`` rows at
    a time, in float64, in which the integers involved are exact.

    Returns
    -------
    dict
        ``n``, ``p``, ``R_min_squared``, ``R_max_squared`` and ``M`` (pixels in [0, 255]), and the indices ``i`` and
        ``j`` of a pair with inner product ``M``.
    """
    X = data.train_images.astype(float)
    squares = np.einsum("ij,ij->i", X, X)
    largest, pair = -1.0, (0, 0)
    for start in tqdm(range(0, len(X), rows), desc="inner products", disable=None):
        block = X[start : start + rows] @ X[start:].T
        np.fill_diagonal(block, -1.0)
        if block.max() > largest:
            largest = float(block.max())
            i, j = np.unravel_index(block.argmax(), block.shape)
            pair = (start + int(i), start + int(j))
    low, high = float(squares.min()), float(squares.max())
    return {
        "n": len(X),
        "p": low**2 / (high * len(X) * largest),
        "R_min_squared": low,
        "R_max_squared": high,
        "M": largest,
        "i": pair[0],
        "j": pair[1],
    }


def searched(found: Experiment, sigma: float, alpha: float) -> dict:
    """Return the row of the searches for one sigma and one step size.

    Raises
    ------
    KeyError
        If that pair was not searched.
    """
    rows = (found.search if sigma == 0.02 else found.stability[sigma]).runs
    return {row["alpha"]: row for row in rows}[alpha]


def step_size_table(found: Experiment) -> str:
    """Return the searches as a Markdown table: a row for each sigma and step size."""
    lines = ["| σ | α | below 5 % | lowest error | rises | largest rise |", "|--:|--:|--:|--:|--:|--:|"]
    for sigma, search in sorted((found.stability | {0.02: found.search}).items()):
        for run in search.runs:
            first = run["first_step_below"] or "never"
            if run["diverged_at"] is not None:
                first = f"diverged at {run['diverged_at']}"
            lines.append(
                f"| {sigma:g} | {run['alpha']:g} | {first} | {run['minimum_error']:.3%} "
                f"| {run['loss_rises']} | {run['largest_rise']:.2g} |"
            )
    return "\n".join(lines).replace("%", " %")


def spread(values: np.ndarray, form: str) -> str:
    """Return the median and, in brackets, the smallest and the largest value; say how many are missing."""
    kept = values[~np.isnan(values)]
    if not len(kept):
        return "diverged"
    text = f"{np.median(kept):{form}} ({kept.min():{form}}–{kept.max():{form}})"
    return text if len(kept) == len(values) else f"{text}, {len(values) - len(kept)} diverged"


def runs_table(sweep: Recording) -> str:
    """Return the sweep at T as a Markdown table: a row for each sigma."""
    last = sweep.configuration["steps"]
    lines = [
        "| σ | training error | test error | loss | stable rank | relative |",
        "|---:|------------:|------------:|------------:|------------:|------------:|",
    ]
    for sigma in scales(sweep):
        cells = [
            spread(100 * final(sweep, sigma, "train_error"), ".2f"),
            spread(100 * final(sweep, sigma, "test_error"), ".2f"),
            spread(final(sweep, sigma, "loss"), ".3f"),
            spread(final(sweep, sigma, "stable_rank"), ".1f"),
            spread(ratio(sweep, sigma, last), ".3f"),
        ]
        lines.append(f"| {sigma:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def between(values: np.ndarray, form: str) -> str:
    """Return "smallest to largest" of the values that are not nan, or the one value if both read the same."""
    kept = np.asarray(values)[~np.isnan(values)]
    low, high = (f"{value:{form}}".replace("%", " %") for value in (kept.min(), kept.max()))
    return low if low == high else f"{low} to {high}"


def at(sweep: Recording, sigma: float, step: int, name: str = "stable_rank") -> np.ndarray:
    """Return a run's ``stable_rank``, ``loss`` or ``train_error`` at a step, for each seed; nan where it had diverged."""
    return over_seeds(sweep, sigma, lambda run: run[name][step])


def all_scales(sweep: Recording, step: int) -> np.ndarray:
    """Return the stable rank relative to its start at a step, for every sigma and seed."""
    return np.concatenate([ratio(sweep, sigma, step) for sigma in scales(sweep)])


def loss_fallen(sweep: Recording, sigma: float, step: int) -> float:
    """Return the largest share of its initial loss, over the seeds, that a run has lost after some steps."""
    return float(np.nanmax(1 - at(sweep, sigma, step, "loss") / at(sweep, sigma, 0, "loss")))


def final(sweep: Recording, sigma: float, name: str) -> np.ndarray:
    """Return a run's last ``loss``, ``train_error`` or ``stable_rank``, or its ``test_error``, for each seed; nan if it diverged."""
    last = sweep.configuration["steps"]
    return over_seeds(sweep, sigma, lambda run: run[name] if name == "test_error" else run[name][last])


def first_step(sweep: Recording, sigma: float, name: str, below: float) -> np.ndarray:
    """Return, for each seed, the first step at which ``name`` is below a value; nan if it never was."""

    def first(run: dict) -> float:
        hits = np.flatnonzero(np.array(run[name]) < below)
        return hits[0] if len(hits) else np.nan

    return over_seeds(sweep, sigma, first)


def lowest(sweep: Recording, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each seed, the least stable rank of W along the run and the step that has it."""
    return (
        over_seeds(sweep, sigma, lambda run: np.min(run["stable_rank"])),
        over_seeds(sweep, sigma, lambda run: np.argmin(run["stable_rank"])),
    )


def agreement(sweep: Recording, sigma: float, other: float, tolerance: float = 0.01) -> int:
    """Return the number of steps for which the relative stable ranks of two scales agree to a relative tolerance, for every seed."""
    for step in range(1, sweep.configuration["steps"] + 1):
        one, two = ratio(sweep, sigma, step), ratio(sweep, other, step)
        if not (np.abs(one / two - 1) <= tolerance).all():
            return step - 1
    return sweep.configuration["steps"]


def seconds(sweep: Recording, sigma: float) -> float:
    """Return the wall-clock seconds of the group that trained the runs of one scale.

    Raises
    ------
    ValueError
        If they were trained in several groups, or together with other scales.
    """
    groups = [group for group in sweep.groups if sigma in {member["sigma"] for member in group["members"]}]
    if len(groups) != 1 or {member["sigma"] for member in groups[0]["members"]} != {sigma}:
        raise ValueError(f"sigma = {sigma}: its runs are not one group of their own")
    return groups[0]["seconds"]


def run_again(results: Path = RESULTS) -> None:
    """Make all recordings, and the README's picture, again and move them into place once all are there.

    They are made in the folder ``<results>.new``, which survives an interruption: the next call goes on from there.

    Raises
    ------
    MNISTError
        If there are no data.
    RecordingError
        If a recording cannot be written.
    """
    fresh = results.with_name(results.name + ".new")
    fresh.mkdir(exist_ok=True)
    if not (fresh / "orthogonality.json").exists():
        start = time.perf_counter()
        data = load_mnist()
        found = orthogonality(data)
        save(
            Recording(
                "orthogonality",
                {"rows": "training images", "pixels": "0 to 255"},
                [found],
                time.perf_counter() - start,
                {"source": data.source, "checksum": data.checksum},
            ),
            fresh / "orthogonality.json",
        )
    made = load(fresh, group_size=len(CONFIGURATION.seeds))
    picture = fresh / "stable-rank.svg"
    stable_rank_figure(made.sweep).savefig(picture, metadata={"Date": None})
    for path in (*sorted(fresh.glob("*.json")), picture):
        path.replace(results / path.name)
    fresh.rmdir()


if __name__ == "__main__":
    try:
        run_again()
    except (MNISTError, RecordingError, SweepError) as error:
        raise SystemExit(f"implicit-bias: {error}") from None
