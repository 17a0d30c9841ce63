"""Full-batch gradient descent on many small networks at once, measured at every step.

`plain` says what is computed for each, `engine` how a step is computed fast. A *member* is one network, named by its
initial scale ``sigma``, its ``seed`` and its step size ``alpha``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from .. import checks
from .configuration import Member
from .data import MNIST, PIXELS
from .engine import CACHE_LINE, Engine, FullBatch, Images, Stack, Threads, pixel_order
from .plain import Run, initial_weights

__all__ = ["ENGINE_VERSION", "Engine", "Run", "initial_weights", "members_that_fit", "train"]

ENGINE_VERSION = 1
"""Raised whenever a change to the engine or to this module may change a run by more than rounding."""

MOST_THREADS = 1024
"""With many more, torch ends the process without a word."""


FAST = Engine()
"""All tricks on."""


def members_that_fit(width: int, threads: int | None = None, budget: int = 1_200_000_000) -> int:
    """Return how many members train together within ``budget`` bytes above the data, at least 1.

    Per member: the weights of the first layer in float32, and once more in float64 while the stable rank is
    measured, the Gram matrices in float64, three numbers for each of MNIST's 60,000 images, and for each thread
    (default: as many as torch uses) the gradient and the activations of the smallest chunk.

    >>> members_that_fit(width=150, threads=2) >= 25
    True
    """
    threads = torch.get_num_threads() if threads is None else threads
    checks.within(f"[1, {MOST_THREADS}]", threads=threads)
    parameters = width * (PIXELS + CACHE_LINE)
    per_thread = 4 * parameters + 4 * 384 * width
    per_member = parameters * (4 + 8 + 8) + 4 * 8 * width**2 + 3 * 4 * 60_000
    return max(1, budget // (per_member + threads * per_thread))


def train(
    members: Sequence[Member],
    data: MNIST,
    steps: int,
    *,
    gamma: float,
    width: int,
    spectra_at: Collection[int] = (0,),
    stop_below: float | None = None,
    device: str = "cpu",
    tf32: bool = False,
    engine: Engine = FAST,
    progress: Callable[[int], None] | None = None,
) -> list[Run]:
    """Train every member by full-batch gradient descent and measure it at every step.

    Parameters
    ----------
    members : sequence of Member
    data : MNIST
    steps : int
        Number of updates, at least 1.
    gamma : float
        Slope of the leaky ReLU, in (0, 1]. Its derivative at 0 is taken as ``gamma``.
    width : int
        Number of hidden neurons m.
    spectra_at : collection of int
        Steps at which all singular values of W are kept.
    stop_below : float, optional
        A member stops at the first step at which its training error is below this fraction.
    device : str
        A `torch.device`.
    tf32 : bool
        Allow TensorFloat-32 products on CUDA (ten bits of mantissa).
    engine : Engine
        How the steps are computed.
    progress : callable, optional
        Called with the step after each one.

    Returns
    -------
    list of Run, in the order of ``members``

    Raises
    ------
    ValueError
        If there are no members, or a number is out of its range.
    """
    if not members:
        raise ValueError("no members to train")
    checks.whole(1, steps=steps, width=width)
    checks.within("(0, 1]", gamma=gamma)
    checks.within(f"[1, {MOST_THREADS}]", threads=torch.get_num_threads())
    for member in members:
        checks.within("(0, inf)", alpha=member.alpha)
    where = torch.device(device)
    torch.backends.cuda.matmul.allow_tf32 = tf32
    pixels = pixel_order(data.train_images)
    training = Images(data.train_images, data.train_labels, pixels, engine, where)
    test = Images(data.test_images, data.test_labels, pixels, engine, where)
    stack = Stack(members, width, pixels, engine, where)
    log = Log(members, steps, spectra_at, stop_below)

    with torch.no_grad(), Threads(own=engine.own_threads and where.type == "cpu") as threads:

        def test_errors() -> Tensor:
            batch = FullBatch(stack, test, gamma, engine, threads)
            batch.start(backward=False)
            return batch.result()[1]

        batch, step = FullBatch(stack, training, gamma, engine, threads), 0
        while stack:
            batch.start(backward=step < steps)
            spectra = stack.spectra(threads) if engine.measure else None
            loss, error = batch.result()
            going = log.append(step, loss, error, spectra, test_errors)
            if progress is not None:
                progress(step)
            if step < steps:
                batch.descend()
            stack.keep(going)
            step += 1
    return log.runs()


class Log:
    """What is measured of the members while they train; ``active`` holds those that are in the stack, row by row."""

    def __init__(
        self, members: Sequence[Member], steps: int, spectra_at: Collection[int], stop_below: float | None
    ) -> None:
        self.members, self.steps, self.spectra_at = members, steps, spectra_at
        self.stop_below = -np.inf if stop_below is None else stop_below
        self.active = np.arange(len(members))
        self.measured = np.empty((len(members), 3, steps + 1))
        self.length = np.zeros(len(members), int)
        self.diverged = np.zeros(len(members), bool)
        self.singular_values: list[dict[int, np.ndarray]] = [{} for _ in members]
        self.test_error = np.full(len(members), np.nan)

    def append(
        self, step: int, loss: Tensor, error: Tensor, spectra: Tensor | None, test_errors: Callable[[], Tensor]
    ) -> list[int]:
        """Note what was measured at a step; return the stack's rows of those that go on."""
        rank = torch.full_like(loss, np.nan) if spectra is None else (spectra / spectra[:, :1]).square().sum(1)
        measured = torch.stack((loss, error, rank), 1).cpu().numpy()
        finite = np.isfinite(measured[:, :2] if spectra is None else measured).all(1)
        done = finite & ((step == self.steps) | (measured[:, 1] < self.stop_below))
        self.measured[self.active, :, step] = measured
        self.length[self.active] += finite
        self.diverged[self.active] = ~finite
        if spectra is not None and step in self.spectra_at:
            for member, values in zip(self.active[finite], spectra.cpu().numpy()[finite]):
                self.singular_values[member][step] = values
        if done.any():
            self.test_error[self.active[done]] = test_errors().cpu().numpy()[done]
        going = np.flatnonzero(finite & ~done)
        self.active = self.active[going]
        return going.tolist()

    def runs(self) -> list[Run]:
        """Return what was measured, in the order of the members."""
        runs = []
        for k, (member, length) in enumerate(zip(self.members, self.length.tolist())):
            step, end = np.arange(length), length if self.diverged[k] else None
            loss, error, rank = self.measured[k, :, :length]
            runs.append(Run(member, step, loss, error, rank, self.singular_values[k], float(self.test_error[k]), end))
        return runs
