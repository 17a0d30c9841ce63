r"""What the book finds in the recorded sweep: a learned part, a floor, and a prediction from both.

In every function ``sweep`` is the recorded sweep, ``sigma`` one of its scales and ``step`` a step. What is returned for
each seed is an array in the order of the seeds, nan where the run had diverged.
"""

from collections.abc import Callable

import numpy as np

from ..checks import Array
from ..figures.runs import at, over_seeds, prediction, relative_rank, scales
from ..rank import expected_spectral_norm
from .data import PIXELS
from .recording import Recording
from .tables import between, final, first_step


def small(sweep: Recording, value: Callable[[Recording, float, int], Array], step: int | None = None) -> Array:
    """Return ``value(sweep, sigma, step)`` of every seed at every ``sigma`` up to 0.02; by default at the last step."""
    last = sweep.configuration["steps"] if step is None else step
    return np.concatenate([value(sweep, sigma, last) for sigma in scales(sweep) if sigma <= 0.02])


def norm(sweep: Recording, sigma: float, step: int) -> Array:
    """Return ``‖W^{(t)}‖_F`` for each seed."""
    return at(sweep, sigma, step, "norm")


def spectral_norm(sweep: Recording, sigma: float, step: int) -> Array:
    """Return ``s_1 = ‖W^{(t)}‖_2`` for each seed."""
    return at(sweep, sigma, step, "spectral_norm")


def learned_part(sweep: Recording, sigma: float, step: int) -> Array:
    """Return ``(‖W^{(t)}‖_F² - ‖W^{(0)}‖_F²)/s_1²`` for each seed; with `floor` it adds up to the stable rank."""
    gain = norm(sweep, sigma, step) ** 2 - norm(sweep, sigma, 0) ** 2
    return np.asarray(gain / spectral_norm(sweep, sigma, step) ** 2)


def floor(sweep: Recording, sigma: float, step: int) -> Array:
    """Return ``‖W^{(0)}‖_F²/s_1²``, with ``s_1`` at the step, for each seed."""
    return np.asarray((norm(sweep, sigma, 0) / spectral_norm(sweep, sigma, step)) ** 2)


def miss(sweep: Recording, sigma: float) -> Array:
    """Return the measured ratio at T over its `prediction`, less 1, for each seed."""
    measured = relative_rank(sweep, sigma, sweep.configuration["steps"])
    return np.asarray(measured / prediction(sweep, [sigma]) - 1)


def change(sweep: Recording, sigma: float, step: int) -> Array:
    """Return ``‖W^{(t)} - W^{(0)}‖_F`` for each seed."""
    return at(sweep, sigma, step, "change")


def relative_change(sweep: Recording, sigma: float, step: int) -> Array:
    """Return ``‖W^{(t)} - W^{(0)}‖_F/‖W^{(0)}‖_F`` for each seed."""
    return np.asarray(change(sweep, sigma, step) / norm(sweep, sigma, 0))


def rank_of_change(sweep: Recording, sigma: float, step: int) -> Array:
    """Return ``StableRank(W^{(t)} - W^{(0)})`` for each seed, ``t ≥ 1``."""
    return at(sweep, sigma, step, "rank_of_change")


def transition(sweep: Recording) -> Array:
    """Return, for each seed, the sigma whose noise is as large as what was learned: ``σ(√m + √d) = ‖W^{(T)}‖_2``.

    ``W^{(T)}`` is that of the smallest scale.
    """
    learned = spectral_norm(sweep, scales(sweep)[0], sweep.configuration["steps"])
    return np.asarray(learned / expected_spectral_norm(sweep.configuration["width"], PIXELS))


def threshold(sweep: Recording) -> float:
    """Return ``(md)^{1/4}/(√m + √d)``: a low-rank change below this share of the spectral norm of independent Gaussian
    weights leaves their largest singular value where it is, as m and d grow in proportion (Benaych-Georges and
    Nadakuditi 2012)."""
    m = sweep.configuration["width"]
    return float((m * PIXELS) ** 0.25 / expected_spectral_norm(m, PIXELS))


def spectral_change(sweep: Recording, sigma: float, step: int) -> Array:
    """Return ``‖W^{(t)} - W^{(0)}‖_2/‖W^{(0)}‖_2`` for each seed, ``t ≥ 1``."""
    norm_of_change = change(sweep, sigma, step) / np.sqrt(rank_of_change(sweep, sigma, step))
    return np.asarray(norm_of_change / spectral_norm(sweep, sigma, 0))


def halving(sweep: Recording, sigma: float) -> Array:
    """Return, for each seed, the first step that has less than half the first stable rank; nan if none has."""

    def first(run: dict[str, list[float]]) -> int:
        ranks = np.array(run["stable_rank"])
        return int(np.flatnonzero(ranks < ranks[0] / 2)[0])

    return over_seeds(sweep, sigma, first)


def fastest_growth(sweep: Recording, sigma: float) -> Array:
    """Return the largest ``‖W^{(t+1)}‖_2/‖W^{(t)}‖_2`` for each seed."""

    def largest(run: dict[str, list[float]]) -> float:
        norms = np.array(run["spectral_norm"])
        return float((norms[1:] / norms[:-1]).max())

    return over_seeds(sweep, sigma, largest)


def delay(sweep: Recording, sigma: float, smaller: float) -> Array:
    """Return, for each seed, how many steps later the loss is first below 2.2 from the smaller scale."""
    later, sooner = (first_step(sweep, scale, "loss", 2.2) for scale in (smaller, sigma))
    return np.asarray(later - sooner)


def runs_table(sweep: Recording) -> str:
    """Return the sweep at T as a Markdown table: a column for each sigma, the range over the seeds of each number."""
    sigmas, last = scales(sweep), sweep.configuration["steps"]

    def row(name: str, value: Callable[[float], Array], form: str) -> str:
        return f"| {name} | " + " | ".join(between(value(sigma), form) for sigma in sigmas) + " |"

    return "\n".join(
        [
            r"| $\sigma$ | " + " | ".join(f"${sigma:g}$" for sigma in sigmas) + " |",
            "|:" + "-" * 19 + "|" + ("-" * 15 + ":|") * len(sigmas),
            row("training error, %", lambda sigma: 100 * final(sweep, sigma, "train_error"), ".2f"),
            row("test error, %", lambda sigma: 100 * final(sweep, sigma, "test_error"), ".2f"),
            row("loss", lambda sigma: final(sweep, sigma, "loss"), ".2f"),
            row("stable rank", lambda sigma: final(sweep, sigma, "stable_rank"), ".1f"),
            row("ratio to start", lambda sigma: relative_rank(sweep, sigma, last), ".3f"),
            row("ratio predicted", lambda sigma: prediction(sweep, [sigma]), ".3f"),
            row("learned part", lambda sigma: learned_part(sweep, sigma, last), ".1f"),
            row("floor", lambda sigma: floor(sweep, sigma, last).round(4), ".2g"),
            row("change", lambda sigma: change(sweep, sigma, last), ".2f"),
        ]
    )
