"""The tables and the numbers of the book's MNIST chapter, from what was recorded."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..figures.runs import at, over_seeds, relative_rank, scales
from .recording import Recording


def searched(searches: Mapping[float, Recording], sigma: float, alpha: float) -> dict[str, Any]:
    """Return the row of the searches, by sigma, for one sigma and one step size; `KeyError` if there is none."""
    for row in searches[sigma].runs:
        if row["alpha"] == alpha:
            return row
    raise KeyError(f"sigma = {sigma}, alpha = {alpha}: not searched")


def step_size_table(searches: Mapping[float, Recording]) -> str:
    """Return the searches, by sigma, as a Markdown table: a row for each sigma and step size."""
    (target,) = {search.configuration["target"] for search in searches.values()}
    lines = [f"| σ | α | below {target:.0%} | lowest error | rises | largest rise |", "|--:|--:|--:|--:|--:|--:|"]
    for sigma, search in sorted(searches.items()):
        for run in search.runs:
            first = "never" if run["first_step_below"] is None else run["first_step_below"]
            if run["diverged_at"] is not None:
                first = f"diverged at {run['diverged_at']}"
            digits, _, power = f"{run['largest_rise']:.2g}".partition("e")
            rise = rf"${digits}\cdot10^{{{int(power)}}}$" if power else digits
            numbers = f"{run['minimum_error']:.3%} | {run['loss_rises']}"
            lines.append(f"| {sigma:g} | {run['alpha']:g} | {first} | {numbers} | {rise} |")
    return "\n".join(lines).replace("%", " %")


def between(values: ArrayLike, form: str) -> str:
    """Return "smallest–largest", or the one value if both read the same; say how many are nan, of diverged runs."""
    values = np.ravel(np.asarray(values, dtype=float))
    kept = values[~np.isnan(values)]
    if not len(kept):
        return "diverged"
    low, high = (f"{value:{form}}" for value in (kept.min(), kept.max()))
    join = " to " if low.startswith("-") else "–"
    shown = (low if low == high else f"{low.rstrip('%')}{join}{high}").replace("%", " %").replace("-", "−")
    return shown if len(kept) == len(values) else f"{shown}, {len(values) - len(kept)} diverged"


def final(sweep: Recording, sigma: float, name: str) -> np.ndarray:
    """Return what `at` does for the last step, or the ``test_error``, for each seed; nan if it diverged."""
    if name == "test_error":
        return over_seeds(sweep, sigma, lambda run: run[name])
    return at(sweep, sigma, sweep.configuration["steps"], name)


def all_scales(sweep: Recording, step: int) -> np.ndarray:
    """Return the stable rank relative to its start at a step, for every sigma and seed."""
    return np.concatenate([relative_rank(sweep, sigma, step) for sigma in scales(sweep)])


def first_step(sweep: Recording, sigma: float, name: str, below: float) -> np.ndarray:
    """Return, for each seed, the first step at which ``name`` is below a value; nan if it never was."""
    return over_seeds(sweep, sigma, lambda run: np.flatnonzero(np.array(run[name]) < below)[0])


def lowest(sweep: Recording, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each seed, the least stable rank of W along the run and the step that has it."""
    return (
        over_seeds(sweep, sigma, lambda run: min(run["stable_rank"])),
        over_seeds(sweep, sigma, lambda run: int(np.argmin(run["stable_rank"]))),
    )


def agreement(sweep: Recording, sigma: float, other: float, tolerance: float = 0.01) -> int:
    """Return for how many steps the relative stable ranks of two scales agree, for every seed, relatively."""
    last: int = sweep.configuration["steps"]
    for step in range(1, last + 1):
        quotient = relative_rank(sweep, sigma, step) / relative_rank(sweep, other, step)
        if not (np.abs(quotient - 1) <= tolerance).all():
            return step - 1
    return last


def seconds(sweep: Recording, sigma: float) -> float:
    """Return the wall-clock seconds of the group that trained the runs of one scale, these alone, or `ValueError`."""
    groups = [group for group in sweep.groups if sigma in {member["sigma"] for member in group["members"]}]
    if len(groups) != 1 or {member["sigma"] for member in groups[0]["members"]} != {sigma}:
        raise ValueError(f"sigma = {sigma}: its runs are not one group of their own")
    return float(groups[0]["seconds"])
