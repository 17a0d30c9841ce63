"""What the MNIST experiment computes, without tricks; `trainer` computes the same for many networks at once, fast.

The network is ``x ↦ V φ(W x + b) + c``, with ``W`` of shape (m, 784), ``V`` of shape (10, m) and the leaky ReLU
``φ(t) = max(t, γt)``. Gradient descent on the cross-entropy averaged over the whole training set moves all parameters
with one constant step size. Tests and benchmark compare the trainer with this.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .. import checks
from .configuration import Member
from .data import CLASSES, MNIST, PIXELS

MEASURED = ("loss", "train_error", "stable_rank", "norm", "spectral_norm", "change", "rank_of_change")
"""The fields of `Run` with a number a step."""


@dataclass(frozen=True)
class Run:
    """What was measured along one member's run, at the steps 0, 1, ..., the last one.

    Entry ``t`` of every array is measured at the weights *after* ``t`` updates: ``loss``, the cross-entropy averaged
    over the training set, in nats; ``train_error``, the fraction of training images for which another class has a
    larger logit than the label's; of ``W``, all 784 columns without the bias, ``stable_rank``, the squared ``norm``
    ``||W||_F`` over the squared ``spectral_norm`` ``||W||_2``; of ``W - W^(0)``, where asked for and otherwise nan, the
    norm ``change`` and the stable rank ``rank_of_change``, nan at the start. ``singular_values`` has those of ``W``,
    shape (m,), largest first, at the steps asked for; ``test_error`` is the fraction of test images misclassified after
    the last step.

    If the loss or the stable rank was not finite at a step, the arrays end just before this first one, which is
    ``diverged_at``, otherwise None; then ``test_error`` is nan.
    """

    member: Member
    step: np.ndarray
    loss: np.ndarray
    train_error: np.ndarray
    stable_rank: np.ndarray
    norm: np.ndarray
    spectral_norm: np.ndarray
    change: np.ndarray
    rank_of_change: np.ndarray
    singular_values: dict[int, np.ndarray]
    test_error: float
    diverged_at: int | None


def initial_weights(sigma: float, seed: int, width: int) -> tuple[np.ndarray, ...]:
    """Draw ``W, b, V, c`` with i.i.d. N(0, sigma^2) entries, in float32.

    The standard normal numbers depend on the seed alone, so runs with one seed and several ``sigma`` start from
    multiples of the same weights. `ValueError` unless ``sigma`` is positive and finite.

    >>> [array.shape for array in initial_weights(0.02, seed=0, width=150)]
    [(150, 784), (150,), (10, 150), (10,)]
    """
    checks.within("(0, inf)", sigma=sigma)
    normal = np.random.default_rng(seed).standard_normal
    shapes = ((width, PIXELS), (width,), (CLASSES, width), (CLASSES,))
    return tuple((sigma * normal(shape)).astype(np.float32) for shape in shapes)


def network(weights: Sequence[np.ndarray], gamma: float, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """Return the network with the weights ``W, b, V, c``."""
    W, _, V, _ = weights
    model = nn.Sequential(nn.Linear(W.shape[1], len(W)), nn.LeakyReLU(gamma), nn.Linear(len(W), len(V))).to(dtype)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), weights):
            parameter.copy_(torch.from_numpy(value))
    return model


def images_and_labels(data: MNIST, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return training images, with pixels in [0, 1], training labels, test images and test labels."""
    train, test = (torch.from_numpy(images).to(dtype) / 255 for images in (data.train_images, data.test_images))
    return train, torch.from_numpy(data.train_labels), test, torch.from_numpy(data.test_labels)


def descend(model: nn.Module, images: Tensor, labels: Tensor, alpha: float) -> Iterator[tuple[float, Tensor]]:
    """Yield loss and logits at step 0, 1, 2, ..., with one step of gradient descent from each to the next."""
    optimizer = torch.optim.SGD(model.parameters(), lr=alpha)
    while True:
        logits = model(images)
        loss = cross_entropy(logits, labels)
        yield loss.item(), logits.detach()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()


def train(member: Member, data: MNIST, steps: int, *, gamma: float, width: int) -> Run:
    """Train one network in float64 and measure it at every step, as `trainer.train` does. Nothing is checked."""
    model = network(initial_weights(member.sigma, member.seed, width), gamma)
    images, labels, test_images, test_labels = images_and_labels(data)
    W = model.get_parameter("0.weight").detach()
    start, spectra, measured = W.clone(), {}, np.empty((len(MEASURED), steps + 1))
    for step, (loss, logits) in zip(range(steps + 1), descend(model, images, labels, member.alpha)):
        error = float((logits.argmax(1) != labels).double().mean())
        spectra[step], changes = (torch.linalg.svdvals(matrix).numpy() for matrix in (W, W - start))
        rank, change_rank = (np.square(s / (s[0] or np.nan)).sum() for s in (spectra[step], changes))
        norm, change = (np.linalg.norm(s) for s in (spectra[step], changes))
        measured[:, step] = loss, error, rank, norm, spectra[step][0], change, change_rank
    test_error = float((model(test_images).argmax(1) != test_labels).double().mean())
    return Run(
        member=member,
        step=np.arange(steps + 1),
        **dict(zip(MEASURED, measured)),
        singular_values=spectra,
        test_error=test_error,
        diverged_at=None,
    )
