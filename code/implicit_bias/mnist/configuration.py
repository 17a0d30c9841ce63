"""What the MNIST experiment is: the one place where its numbers stand."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from .. import checks

_CHECKS = {
    "sigma": partial(checks.within, "[1e-30, 1e9]"),  # outside, weights or first logits are no numbers of float32
    "seed": partial(checks.whole, 0),
    "alpha": partial(checks.within, "(0, inf)"),
    "target": partial(checks.within, "(0, 1)"),
    "steps": partial(checks.whole, 10),
    "gamma": partial(checks.within, "(0, 1]"),
    "width": partial(checks.whole, 1),
}


@dataclass(frozen=True)
class Member:
    """One network of a sweep: its initial scale, the seed of its weights and its step size."""

    sigma: float
    seed: int
    alpha: float


class _Checked:
    """A configuration; a tuple has the name of its values and an s."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, tuple):
                checks.distinct(name, value)
                for one in value:
                    _CHECKS[name[:-1]](**{name[:-1]: one})
            else:
                _CHECKS[name](**{name: value})


@dataclass(frozen=True)
class Configuration(_Checked):
    """What determines a sweep's result: every sigma is run with every seed. Out of range is a `ValueError`.

    ``sigmas``, standard deviations of the initial weights, each in [1e-30, 1e9]; ``seeds`` of the initial weights; the
    step size ``alpha``, positive; the number T of ``steps``, at least 10; the slope ``gamma`` of the leaky ReLU, in
    (0, 1]; the ``width`` m, the number of hidden neurons.

    >>> Configuration(sigmas=(0.02, 2.0), seeds=(0,), alpha=0.5, steps=10, gamma=0.05, width=150).members()
    [Member(sigma=0.02, seed=0, alpha=0.5), Member(sigma=2.0, seed=0, alpha=0.5)]
    """

    sigmas: tuple[float, ...]
    seeds: tuple[int, ...]
    alpha: float
    steps: int
    gamma: float
    width: int

    kind: ClassVar = "sweep"

    def members(self) -> list[Member]:
        """Return the networks of the sweep, sigma by sigma."""
        return [Member(sigma, seed, self.alpha) for sigma in self.sigmas for seed in self.seeds]


@dataclass(frozen=True)
class Search(_Checked):
    """What determines the result of a search for a step size at one sigma: every one is run with every seed.

    As for `Configuration`, but for the ``alphas``, step sizes to try; the ``target``, a fraction in (0, 1) of training
    images misclassified, below which a run stops; and ``steps``, the limit on their number.
    """

    sigma: float
    alphas: tuple[float, ...]
    seeds: tuple[int, ...]
    target: float
    steps: int
    gamma: float
    width: int

    kind: ClassVar = "step-size-search"

    def members(self) -> list[Member]:
        """Return the networks of the search, step size by step size."""
        return [Member(self.sigma, seed, alpha) for alpha in self.alphas for seed in self.seeds]


def plotted_steps(steps: int) -> tuple[int, ...]:
    """Return the times t of the required plot: 1, T/10, T/5, T/2 and T, each rounded up to a whole step.

    >>> plotted_steps(25)
    (1, 3, 5, 13, 25)
    """
    return (1, -(-steps // 10), -(-steps // 5), -(-steps // 2), steps)


EXPERIMENT = Configuration(
    sigmas=(0.0002, 0.002, 0.02, 0.2, 2.0), seeds=(0, 1, 2, 3, 4), alpha=0.5, steps=420, gamma=0.05, width=150
)
"""The book's experiment. ``alpha`` is the largest step size tried with which no step raised the loss at sigma = 0.02
by a nat or more; ``steps`` is the first step at which every seed at sigma = 0.02 has been below 5 % training error,
rounded up to a multiple of ten.
The recorded searches and the sweep bear both out, and the tests check that they do."""

SEARCH = Search(
    sigma=0.02,
    alphas=(0.05, 0.1, 0.2, 0.5, 1.0, 2.0),
    seeds=(0,),
    target=0.05,
    steps=600,
    gamma=EXPERIMENT.gamma,
    width=EXPERIMENT.width,
)
"""The book's search for a step size and for T, at the homework's scale."""

SEARCHES = tuple(
    SEARCH if sigma == SEARCH.sigma else replace(SEARCH, sigma=sigma, alphas=(0.5, 1.0, 2.0))
    for sigma in EXPERIMENT.sigmas
)
"""It, and a search among the three largest step sizes at every other sigma."""

_FINE = tuple(float(f"{2e-4 * 10 ** (k / 4):.3g}") for k in range(17))

_AROUND = (_FINE[4], *_FINE[7:12])

GRIDS = {
    "grid": replace(EXPERIMENT, sigmas=_FINE, seeds=(0, 1, 2)),
    "grid-width-50": replace(EXPERIMENT, sigmas=_AROUND, seeds=(0, 1, 2), width=50),
    "grid-half-alpha": replace(EXPERIMENT, sigmas=_AROUND, seeds=(0, 1, 2), alpha=EXPERIMENT.alpha / 2),
    "grid-all-images": replace(EXPERIMENT, sigmas=_FINE[9:11], seeds=(0, 1, 2)),
    "grid-width-300": replace(EXPERIMENT, sigmas=_AROUND, seeds=(0, 1, 2), width=300),
}
"""The fine grid, four scales a factor of ten, and smaller ones around the transition. ``"grid-all-images"`` trains on
all images, at two scales in the gap that the sweep leaves; the others on the first `GRID_IMAGES`, a sixth of them."""

GRID_IMAGES = 10_000

TRANSITION = {
    ("grid", 42): 0.0249,
    ("grid", 84): 0.0382,
    ("grid", 210): 0.0435,
    ("grid", 420): 0.0466,
    ("grid-all-images", 420): 0.0466,
    ("grid-half-alpha", 420): 0.0435,
    ("grid-width-50", 420): 0.0473,
    ("grid-width-300", 420): 0.0427,
}
"""Where the transition should lie, by grid and step: the sigma at which the median relative stable rank is 1/2.

Written down before any grid was run, from the sweep alone: with the learned part ``L`` that was measured there at
sigma = 0.0002, after so many steps on all images, the prediction is 1/2 at

    sigma^2 = ||L||_2^2 / (2 (sqrt(m) + sqrt(d))^2) - ||L||_F^2 / (m d).

It is assumed that ``L`` is the same for a sixth of the images and for every width ``m``, and that it depends on the
step size ``alpha`` and the step ``t`` through ``alpha t`` alone: half the step size at T is the sweep at T/2."""
