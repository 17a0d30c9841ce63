"""What the MNIST experiment is: the one place where its numbers stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .. import checks

_SIGMA = "[1e-30, 1e9]"  # outside, the weights or the first logits are no numbers of single precision


@dataclass(frozen=True)
class Member:
    """One network of a sweep: its initial scale, the seed of its weights and its step size."""

    sigma: float
    seed: int
    alpha: float


@dataclass(frozen=True)
class Configuration:
    """What determines a sweep's result.

    Attributes
    ----------
    sigmas : tuple of float
        Standard deviations of the initial weights; each in [1e-30, 1e9].
    seeds : tuple of int
        Seeds of the initial weights; every sigma is run with every seed.
    alpha : float
        Step size, positive.
    steps : int
        Number T of gradient descent steps, at least 10.
    gamma : float
        Slope of the leaky ReLU, in (0, 1].
    width : int
        Number m of hidden neurons.

    Raises
    ------
    ValueError
        If a value is out of its range or a sigma or a seed comes twice.

    >>> Configuration(sigmas=(0.02, 2.0), seeds=(0,), alpha=0.5, steps=10, gamma=0.05, width=150).members()
    [Member(sigma=0.02, seed=0, alpha=0.5), Member(sigma=2.0, seed=0, alpha=0.5)]
    """

    sigmas: tuple[float, ...]
    seeds: tuple[int, ...]
    alpha: float
    steps: int
    gamma: float
    width: int

    def __post_init__(self) -> None:
        _check(self.sigmas, self.seeds, (self.alpha,), self.steps, self.gamma, self.width)

    def members(self) -> list[Member]:
        """Return the networks of the sweep, sigma by sigma."""
        return [Member(sigma, seed, self.alpha) for sigma in self.sigmas for seed in self.seeds]


@dataclass(frozen=True)
class Search:
    """What determines the result of a search for a step size, at one sigma.

    Attributes
    ----------
    sigma, seeds, gamma, width
        As for `Configuration`.
    alphas : tuple of float
        Step sizes to try, positive; each is run with every seed.
    target : float
        Fraction of training images misclassified that a run is to fall below, in (0, 1); there it stops.
    steps : int
        Limit on the number of steps, at least 10.

    Raises
    ------
    ValueError
        If a value is out of its range or a step size or a seed comes twice.
    """

    sigma: float
    alphas: tuple[float, ...]
    seeds: tuple[int, ...]
    target: float
    steps: int
    gamma: float
    width: int

    def __post_init__(self) -> None:
        checks.within("(0, 1)", target=self.target)
        _check((self.sigma,), self.seeds, self.alphas, self.steps, self.gamma, self.width)

    def members(self) -> list[Member]:
        """Return the networks of the search, step size by step size."""
        return [Member(self.sigma, seed, alpha) for alpha in self.alphas for seed in self.seeds]


def _check(
    sigmas: Sequence[float], seeds: Sequence[int], alphas: Sequence[float], steps: int, gamma: float, width: int
) -> None:
    """Raise `ValueError` if a value is out of its range or comes twice."""
    for name, values in (("sigmas", sigmas), ("seeds", seeds), ("alphas", alphas)):
        checks.distinct(name, values)
    for sigma in sigmas:
        checks.within(_SIGMA, sigma=sigma)
    for seed in seeds:
        checks.whole(0, seed=seed)
    for alpha in alphas:
        checks.within("(0, inf)", alpha=alpha)
    checks.whole(10, steps=steps)
    checks.whole(1, width=width)
    checks.within("(0, 1]", gamma=gamma)


def plotted_steps(steps: int) -> tuple[int, ...]:
    """Return the times t of the required plot: 1, T/10, T/5, T/2 and T, each rounded up to a whole step.

    >>> plotted_steps(25)
    (1, 3, 5, 13, 25)
    """
    return (1, -(-steps // 10), -(-steps // 5), -(-steps // 2), steps)


EXPERIMENT = Configuration(
    sigmas=(0.0002, 0.002, 0.02, 0.2, 2.0), seeds=(0, 1, 2, 3, 4), alpha=0.5, steps=420, gamma=0.05, width=150
)
"""The book's experiment. ``alpha`` is the largest step size tried that does not throw the loss up again and again at
any sigma; ``steps`` is the first step at which every seed at sigma = 0.02 is below 5 % training error, rounded up to
a multiple of ten. The recorded searches and the sweep bear both out, and the tests check that they do."""

SIGMA = 0.02
"""The homework's scale, at which the step size and T are found."""

SEARCHES = tuple(
    Search(
        sigma=sigma,
        alphas=(0.05, 0.1, 0.2, 0.5, 1.0, 2.0) if sigma == SIGMA else (0.5, 1.0, 2.0),
        seeds=(0,),
        target=0.05,
        steps=600,
        gamma=EXPERIMENT.gamma,
        width=EXPERIMENT.width,
    )
    for sigma in EXPERIMENT.sigmas
)
"""The book's searches for a step size: six step sizes at `SIGMA`, the three largest at every other sigma."""

SEARCH = next(search for search in SEARCHES if search.sigma == SIGMA)
"""The one at `SIGMA`."""
