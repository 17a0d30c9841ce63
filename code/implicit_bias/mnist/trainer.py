"""Full-batch gradient descent on many small networks at once, measured at every step.

`plain` says what is computed for each, `engine` how a step is computed fast. A *member* is one network, named by its
initial scale ``sigma``, its ``seed`` and its step size ``alpha``.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import checks
from .configuration import Member
from .data import MNIST, PIXELS
from .engine import CACHE_LINE, Engine, FullBatch, Images, Stack, Threads, pixel_order
from .plain import MEASURED, Run, initial_weights

__all__ = ["ENGINE_VERSION", "Run", "initial_weights", "members_that_fit", "train"]

ENGINE_VERSION = 1
"""Raised whenever a change to the engine or to this module may change a run by more than rounding."""


def members_that_fit(width: int, threads: int | None = None) -> int:
    """Return how many members train together in 1.2 GB above the data, at least 1.

    Per member: the weights of the first layer in float32, and once more in float64 while the stable rank is
    measured, the Gram matrices in float64, three numbers for each of MNIST's 60,000 images, and for each thread
    (by default, as many as torch uses) the gradient and the activations of the smallest chunk.

    >>> members_that_fit(width=150, threads=2) >= 25
    True
    """
    parameters = width * (PIXELS + CACHE_LINE)
    per_thread = 4 * parameters + 4 * 384 * width
    per_member = parameters * (4 + 8 + 8) + 4 * 8 * width**2 + 3 * 4 * 60_000
    return max(1, 1_200_000_000 // (per_member + (threads or torch.get_num_threads()) * per_thread))


def train(
    members: Sequence[Member],
    data: MNIST,
    steps: int,
    *,
    gamma: float,
    width: int,
    spectra_at: Collection[int] = (),
    stop_below: float | None = None,
    progress: Callable[[int], None] | None = None,
    **switches: Any,
) -> list[Run]:
    """Train every member, of ``width`` hidden neurons, and measure it at every step; return the members' runs.

    There are ``steps`` ≥ 1 updates, but a member stops at the first step at which its training error is below the
    fraction ``stop_below``. The slope ``gamma`` of the leaky ReLU, in (0, 1], is its derivative at 0 too. All singular
    values of W are kept at the steps ``spectra_at``; if there are any, the change of W is measured at every step.
    ``progress`` is called with the step after each one, and the ``switches`` are `Engine`'s.

    `ValueError` if there are no members, or a number is out of its range.
    """
    if not members:
        raise ValueError("no members to train")
    checks.whole(1, steps=steps, width=width)
    checks.within("(0, 1]", gamma=gamma)
    checks.numbers_within("(0, inf)", "alpha", [member.alpha for member in members])
    torch.backends.cuda.matmul.allow_tf32 = False  # a GPU too multiplies in full single precision
    engine, pixels = Engine(**switches), pixel_order(data.train_images)
    training = Images(data.train_images, data.train_labels, pixels, engine)
    test = Images(data.test_images, data.test_labels, pixels, engine)
    stack = Stack(members, width, gamma, pixels, engine)
    log = Log(members, steps, spectra_at, stop_below)

    with torch.no_grad(), Threads(engine) as threads:

        def test_errors() -> Tensor:
            batch = FullBatch(stack, test, threads)
            batch.start(backward=False)
            return batch.result()[1]

        batch, step = FullBatch(stack, training, threads), 0
        while stack:
            batch.start(backward=step < steps)
            spectra = stack.spectra(threads)
            changes = stack.spectra(threads, of_change=True) if spectra_at else torch.full_like(spectra, np.nan)
            loss, error = batch.result()
            going = log.append(step, loss, error, spectra, changes, test_errors)
            if progress is not None:
                progress(step)
            if step < steps:
                batch.descend()
            stack.keep(going)
            step += 1
    return [log.runs[k] for k in range(len(members))]


class Log:
    """What is measured of the members while they train; ``active`` holds those that are in the stack, row by row.

    ``runs`` has the run of each member that has ended, by its place among the members.
    """

    def __init__(
        self, members: Sequence[Member], steps: int, spectra_at: Collection[int], stop_below: float | None
    ) -> None:
        self.members, self.steps, self.spectra_at = members, steps, spectra_at
        self.stop_below = -np.inf if stop_below is None else stop_below
        self.active = np.arange(len(members))
        self.measured = np.empty((len(members), len(MEASURED), steps + 1))
        self.singular_values: list[dict[int, np.ndarray]] = [{} for _ in members]
        self.runs: dict[int, Run] = {}

    def append(
        self,
        step: int,
        losses: Tensor,
        errors: Tensor,
        spectra: Tensor,
        changes: Tensor,
        test_errors: Callable[[], Tensor],
    ) -> list[int]:
        """Note what was measured at a step; return the stack's rows of those that go on."""
        ranks, change_ranks = ((s / s[:, :1]).square().sum(1) for s in (spectra, changes))
        norms, change_norms = spectra.norm(dim=1), changes.norm(dim=1)
        columns = losses, errors, ranks, norms, spectra[:, 0], change_norms, change_ranks
        measured = torch.stack(columns, 1).numpy()
        finite = np.isfinite(measured[:, :3]).all(1)
        done = finite & ((step == self.steps) | (measured[:, 1] < self.stop_below))
        self.measured[self.active, :, step] = measured
        if step in self.spectra_at:
            for k, values in zip(self.active[finite], spectra.numpy()[finite]):
                self.singular_values[k][step] = values
        tested = test_errors().tolist() if done.any() else []
        for row in np.flatnonzero(done | ~finite):
            k, end = self.active[row], step + int(done[row])
            self.runs[k] = Run(
                member=self.members[k],
                step=np.arange(end),
                **dict(zip(MEASURED, self.measured[k, :, :end])),
                singular_values=self.singular_values[k],
                test_error=tested[row] if done[row] else np.nan,
                diverged_at=None if done[row] else step,
            )
        going = np.flatnonzero(finite & ~done)
        self.active = self.active[going]
        return going.tolist()
