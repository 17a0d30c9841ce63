r"""Full-batch gradient descent on many small networks at once.

The network of the MNIST experiment is

.. math:: x \mapsto V \varphi(W x + b) + c, \qquad
          W \in \mathbb{R}^{m \times 784},\ V \in \mathbb{R}^{10 \times m},

with the leaky ReLU :math:`\varphi(t) = \max(t, \gamma t)`, trained on the cross-entropy averaged over the
whole training set, all parameters moving with one constant step size. A *member* is one such network,
named by its initial scale ``sigma``, its ``seed`` and its step size ``alpha``.

All members are trained together. Their first layers are stacked into one matrix, so that a chunk of images
is read once for all of them and meets one large matrix product instead of many small ones. Gradients are
in closed form. The pixels are divided by 255 and a column of ones carries the bias ``b``.

Zeros are left out of the products, exactly. Columns that are zero in every training image have weights without
gradient, which enter the stable rank through a Gram matrix computed once. The others are ordered by how many
images light them, and the images by the last column that they light, so that a chunk needs only as many leading
columns as its last image reaches: on MNIST 58 % of them on average.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .mnist import CLASSES, MNIST

ENGINE_VERSION = 1
"""Raised whenever a change to this module may change a trajectory by more than rounding."""

_LOWEST_LOGIT = -69.0
"""Logits this far below the largest are raised to it: e^-69 is about 1e-30, far below what float32 can add
to 1, and far above the denormal numbers that would slow every later product."""

_ACTIVATION_BYTES = 2_400_000
"""The activations of one chunk, of all members together: about what two level-2 caches of 2 MB hold beside the rest."""

_CACHE_LINE = 16
"""Numbers in float32."""


@dataclass(frozen=True)
class Member:
    """One network of a sweep: its initial scale, the seed of its weights and its step size."""

    sigma: float
    seed: int
    alpha: float


@dataclass(frozen=True)
class Trajectory:
    """What was measured along one member's run.

    Attributes
    ----------
    member : Member
    step : ndarray of int, shape (k,)
        0, 1, ..., the last step. Entry ``t`` of every array is measured at the weights *after* ``t`` updates.
    loss : ndarray, shape (k,)
        Cross-entropy averaged over the training set, in nats.
    train_error : ndarray, shape (k,)
        Fraction of training images for which another class has a larger logit than the label's.
    stable_rank : ndarray, shape (k,)
        ``||W||_F^2 / ||W||_2^2`` of the first layer's weights (all 784 columns, without the bias).
    singular_values : dict of int to ndarray, shape (m,)
        Singular values of ``W``, largest first, at the steps asked for.
    test_error : float
        Fraction of test images misclassified after the last step; nan if the run diverged.
    diverged_at : int or None
        The first step whose loss or stable rank is not finite. The arrays end just before it.
    """

    member: Member
    step: np.ndarray
    loss: np.ndarray
    train_error: np.ndarray
    stable_rank: np.ndarray
    singular_values: dict[int, np.ndarray]
    test_error: float
    diverged_at: int | None


def initial_weights(sigma: float, seed: int, width: int, inputs: int) -> tuple[np.ndarray, ...]:
    """Draw ``W, b, V, c`` with i.i.d. N(0, sigma^2) entries.

    The standard normal numbers depend on the seed alone, so runs with one seed and several ``sigma`` start
    from multiples of the same weights, whichever other members they are trained with.

    Returns
    -------
    W, b, V, c : float32 ndarrays of shapes (width, inputs), (width,), (10, width), (10,)

    Raises
    ------
    ValueError
        If ``sigma`` is not positive and finite.
    """
    if not (np.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma = {sigma}: the initial standard deviation must be positive and finite")
    normal = np.random.default_rng(seed).standard_normal
    shapes = ((width, inputs), (width,), (CLASSES, width), (CLASSES,))
    return tuple((sigma * normal(shape)).astype(np.float32) for shape in shapes)


def members_that_fit(budget: int = 1_200_000_000, width: int = 150, inputs: int = 784) -> int:
    """Return how many members train together within ``budget`` bytes above the data.

    Per member: the weights and the gradient of the first layer in float32, the weights once more in float64
    while the stable rank is measured, the Gram matrices in float64, the activations of the smallest chunk, and two
    numbers for each of MNIST's 60,000 images.
    """
    parameters = width * (inputs + _CACHE_LINE)
    per_member = parameters * (4 + 4 + 8 + 8) + 4 * 8 * width**2 + 2 * 4 * 384 * width + 2 * 4 * 60_000
    return max(1, budget // per_member)


def chunk_size(members: int, width: int, device: torch.device) -> int:
    """Return the number of images a chunk holds so that its activations stay in the processor's cache."""
    if device.type != "cpu":
        return 1 << 16
    return int(min(1024, max(384, _ACTIVATION_BYTES // (4 * members * width) // 32 * 32)))


def _padded(columns: int) -> int:
    """Return a number of columns rounded up to whole cache lines, which the products like."""
    return -(-columns // _CACHE_LINE) * _CACHE_LINE


def column_order(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns lit in some image, those lit in most images first, and the columns lit in none."""
    lit = np.count_nonzero(images, axis=0)
    order = np.argsort(-lit, kind="stable")
    return order[lit[order] > 0], order[lit[order] == 0]


@dataclass
class _Images:
    """A data set as the engine reads it: a column of ones, the pixels in [0, 1] in a given order, zeros to fill up.

    The images are sorted by ``reach``, the number of leading columns that hold all that is not zero.
    """

    inputs: Tensor
    labels: Tensor
    reach: list[int]

    @classmethod
    def load(cls, images: np.ndarray, labels: np.ndarray, columns: np.ndarray, device: torch.device) -> _Images:
        pixels = images[:, columns]
        lit = pixels > 0
        reach = np.where(lit.any(axis=1), 1 + len(columns) - lit[:, ::-1].argmax(axis=1), 1)
        order = np.argsort(reach, kind="stable")
        inputs = torch.zeros(len(images), _padded(1 + len(columns)))
        inputs[:, 0] = 1
        inputs[:, 1:1 + len(columns)] = torch.from_numpy(pixels[order])
        inputs[:, 1:] /= 255
        return cls(inputs.to(device), torch.from_numpy(labels[order]).to(device), reach[order].tolist())

    def chunks(self, size: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield the rows of each chunk and its inputs, without the last columns, zero in all of its images."""
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            yield rows, self.inputs[rows, :_padded(self.reach[rows.stop - 1])]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass
class _Log:
    """A member's measurements while it trains."""

    member: Member
    loss: list[float] = field(default_factory=list)
    train_error: list[float] = field(default_factory=list)
    stable_rank: list[float] = field(default_factory=list)
    singular_values: dict[int, np.ndarray] = field(default_factory=dict)

    def trajectory(self, test_error: float, diverged_at: int | None) -> Trajectory:
        return Trajectory(
            self.member, np.arange(len(self.loss)), np.array(self.loss), np.array(self.train_error),
            np.array(self.stable_rank), self.singular_values, test_error, diverged_at,
        )


def _first_layer(W: Tensor, b: Tensor) -> Tensor:
    """Return ``W`` (K, m, d) and ``b`` (K, m) in one tensor whose columns fit those of `_Images`."""
    K, m, d = W.shape
    return torch.cat((b[:, :, None], W, W.new_zeros(K, m, _padded(1 + d) - d - 1)), dim=2)


class _Stack:
    """The parameters of the members in training, and the buffers of their gradient."""

    def __init__(self, members: Sequence[Member], live: np.ndarray, dead: np.ndarray, width: int,
                 device: torch.device) -> None:
        drawn = (initial_weights(k.sigma, k.seed, width, len(live) + len(dead)) for k in members)
        W, b, V, c = (torch.from_numpy(np.stack(part)).to(device) for part in zip(*drawn))
        self.dead = W[:, :, dead]
        self.dead_gram = self.dead.double() @ self.dead.double().mT
        self.live = len(live)
        self.first = _first_layer(W[:, :, live], b)
        self.V, self.c = V, c
        self.alpha = torch.tensor([k.alpha for k in members], device=device)

    def keep(self, which: list[int]) -> None:
        """Go on with these members only."""
        for name in ("dead", "dead_gram", "first", "V", "c", "alpha"):
            setattr(self, name, getattr(self, name)[which].clone())

    def with_dead_columns(self) -> _Stack:
        """Return the members with the columns that training leaves out put back, before the bias."""
        whole = copy(self)
        whole.live += self.dead.shape[2]
        whole.first = _first_layer(torch.cat((self.first[:, :, 1:1 + self.live], self.dead), dim=2), self.first[:, :, 0])
        return whole

    def singular_values(self) -> Tensor:
        """Return the singular values of each member's W in float64, largest first, shape (K, m)."""
        W = self.first[:, :, 1:1 + self.live].double()
        gram = W @ W.mT + self.dead_gram
        gram[~gram.isfinite().all(2).all(1)] = 0.0  # no eigenvalues to be had: a stable rank of 0 / 0
        return torch.linalg.eigvalsh(gram).clamp_(min=0).sqrt_().flip(1)


class _Pass:
    """One pass over the images: loss and error of every member and, if asked for, the gradient.

    All buffers are allocated here, once for as long as the stack keeps its members.
    """

    def __init__(self, stack: _Stack, gamma: float, chunk: int) -> None:
        self.stack, self.gamma, self.chunk = stack, gamma, chunk
        K, m, _ = stack.first.shape
        new = stack.first.new_empty
        self.hidden, self.back = new(K * m * chunk), new(K * m * chunk)
        self.logits = new(K * CLASSES * chunk)
        self.indicator = new(1, 1, 1).fill_(-1.0)
        self.first_gradient = torch.empty_like(stack.first)
        self.V_gradient, self.c_gradient = torch.empty_like(stack.V), torch.empty_like(stack.c)

    def __call__(self, images: _Images, gradient: bool) -> tuple[Tensor, Tensor]:
        """Return mean loss (float64) and error of each member; leave n times the gradient in the buffers."""
        stack = self.stack
        K, m, _ = stack.first.shape
        first = stack.first.view(K * m, -1)
        first_gradient = self.first_gradient.view(K * m, -1)
        own, total = first.new_empty(K, len(images)), first.new_empty(K, len(images))
        if gradient:
            for buffer in (self.first_gradient, self.V_gradient, self.c_gradient):
                buffer.zero_()
        for rows, x in images.chunks(self.chunk):
            label = images.labels[rows].expand(K, 1, -1)
            size, reach = x.shape
            hidden = self.hidden[:K * m * size].view(K * m, size)
            by_member = hidden.view(K, m, size)
            logits = self.logits[:K * CLASSES * size].view(K, CLASSES, size)

            torch.mm(first[:, :reach], x.T, out=hidden)
            torch.nn.functional.leaky_relu_(hidden, self.gamma)
            torch.baddbmm(stack.c[:, :, None], stack.V, by_member, out=logits)

            logits -= logits.amax(1, keepdim=True)
            own[:, rows] = logits.gather(1, label)[:, 0]
            likelihood = logits.clamp_(min=_LOWEST_LOGIT).exp_()
            normalizer = likelihood.sum(1, keepdim=True)
            total[:, rows] = normalizer[:, 0]
            if not gradient:
                continue

            delta = likelihood.div_(normalizer)  # softmax minus indicator: the loss's gradient in the logits
            delta.scatter_add_(1, label, self.indicator.expand(K, 1, size))
            back = self.back[:K * m * size].view(K, m, size)
            self.V_gradient.baddbmm_(delta, by_member.mT)
            self.c_gradient += delta.sum(2)
            torch.bmm(stack.V.mT, delta, out=back)
            torch.ops.aten.leaky_relu_backward.grad_input(back, by_member, self.gamma, True, grad_input=back)
            first_gradient[:, :reach].addmm_(back.view(K * m, size), x)
        # The label's logit minus the largest: negative where another class's is larger.
        return (total.log() - own).mean(1, dtype=torch.float64), (own < 0).double().mean(1)

    def descend(self, n: int) -> None:
        """Take one step of gradient descent with the gradient in the buffers, a sum over ``n`` images."""
        stack = self.stack
        for parameter, gradient in ((stack.first, self.first_gradient), (stack.V, self.V_gradient),
                                    (stack.c, self.c_gradient)):
            rate = (stack.alpha / n).view(-1, *(1,) * (gradient.dim() - 1))
            parameter -= gradient.mul_(rate)


@torch.no_grad()
def train(
    members: Sequence[Member],
    data: MNIST,
    steps: int,
    *,
    gamma: float = 0.05,
    width: int = 150,
    spectra_at: Collection[int] = (0,),
    stop_below: float | None = None,
    device: str = "cpu",
    chunk: int | None = None,
    tf32: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[Trajectory]:
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
    chunk : int, optional
        Images a chunk; by default as many as stay in the processor's cache. The trajectory depends on it
        through rounding only.
    tf32 : bool
        Allow TensorFloat-32 products on CUDA (ten bits of mantissa).
    progress : callable, optional
        Called with the step after each one.

    Returns
    -------
    list of Trajectory, in the order of ``members``

    Raises
    ------
    ValueError
        If there are no members, or a number is out of its range.
    """
    if not members:
        raise ValueError("no members to train")
    for name, value, good, need in (
        ("steps", steps, steps >= 1, "at least 1"),
        ("gamma", gamma, 0 < gamma <= 1, "in (0, 1]"),
        ("width", width, width >= 1, "at least 1"),
        ("chunk", chunk, chunk is None or chunk >= 1, "at least 1"),
        *(("alpha", k.alpha, np.isfinite(k.alpha) and k.alpha > 0, "positive and finite") for k in members),
    ):
        if not good:
            raise ValueError(f"{name} = {value}: must be {need}")
    where = torch.device(device)
    torch.backends.cuda.matmul.allow_tf32 = tf32
    live, dead = column_order(data.train_images)
    training = _Images.load(data.train_images, data.train_labels, live, where)
    # A pixel that is zero in every training image need not be so in the test images.
    test = _Images.load(data.test_images, data.test_labels, np.concatenate((live, dead)), where)
    stack = _Stack(members, live, dead, width, where)
    logs = [_Log(member) for member in members]
    finished: dict[int, Trajectory] = {}
    active = list(range(len(members)))
    sweep = _Pass(stack, gamma, chunk or chunk_size(len(active), width, where))

    for step in range(steps + 1):
        loss, error = sweep(training, gradient=step < steps)
        singular = stack.singular_values()
        stable_rank = (singular / singular[:, :1]).square().sum(1)
        table = torch.stack((loss, error, stable_rank), 1).cpu().numpy()
        going = []
        for row, k in enumerate(active):
            log = logs[k]
            if not np.isfinite(table[row]).all():
                finished[k] = log.trajectory(float("nan"), step)
                continue
            log.loss.append(table[row, 0])
            log.train_error.append(table[row, 1])
            log.stable_rank.append(table[row, 2])
            if step in spectra_at:
                log.singular_values[step] = singular[row].cpu().numpy()
            going.append(row)
        done = [row for row in going
                if step == steps or (stop_below is not None and table[row, 1] < stop_below)]
        if done:
            _, test_error = _Pass(stack.with_dead_columns(), gamma, sweep.chunk)(test, gradient=False)
            for row in done:
                finished[active[row]] = logs[active[row]].trajectory(float(test_error[row]), None)
        if progress is not None:
            progress(step)
        if step < steps:
            sweep.descend(len(training))
        going = [row for row in going if row not in done]
        if not going:
            break
        if len(going) < len(active):
            stack.keep(going)
            active = [active[row] for row in going]
            sweep = _Pass(stack, gamma, chunk or chunk_size(len(active), width, where))
    return [finished[k] for k in range(len(members))]
