"""What the MNIST experiment is: the one place where its numbers stand."""

from __future__ import annotations

from dataclasses import dataclass

from .. import checks


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
        Standard deviations of the initial weights; each positive.
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
    """

    sigmas: tuple[float, ...]
    seeds: tuple[int, ...]
    alpha: float
    steps: int
    gamma: float
    width: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigmas", tuple(self.sigmas))
        object.__setattr__(self, "seeds", tuple(self.seeds))
        checks.distinct("sigmas", self.sigmas)
        checks.distinct("seeds", self.seeds)
        for sigma in self.sigmas:
            checks.within("(0, inf)", sigma=sigma)
        for seed in self.seeds:
            checks.whole(0, seed=seed)
        checks.within("(0, inf)", alpha=self.alpha)
        checks.whole(10, steps=self.steps)
        checks.whole(1, width=self.width)
        checks.within("(0, 1]", gamma=self.gamma)

    def members(self) -> list[Member]:
        """Return the networks of the sweep, sigma by sigma."""
        return [Member(sigma, seed, self.alpha) for sigma in self.sigmas for seed in self.seeds]


def plotted_steps(steps: int) -> tuple[int, ...]:
    """Return the times t of the required plot: 1, T/10, T/5, T/2 and T, each rounded up to a whole step."""
    return (1, -(-steps // 10), -(-steps // 5), -(-steps // 2), steps)


EXPERIMENT = Configuration(
    sigmas=(0.0002, 0.002, 0.02, 0.2, 2.0), seeds=(0, 1, 2, 3, 4), alpha=0.5, steps=420, gamma=0.05, width=150
)
"""The book's experiment. ``alpha`` is the largest step size tried that does not throw the loss up again and again at any
sigma; ``steps`` is the first step at which every seed at sigma = 0.02 is below 5 % training error, rounded up to a
multiple of ten. The recorded searches and the sweep bear both out, and the tests check that they do."""
