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

On a processor each thread takes its share of the chunks and computes alone, with buffers of its own: threads that
share every operation instead wait for each other twenty times a chunk, and the small operations are too small to share.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .configuration import Member
from .data import CLASSES, MNIST

ENGINE_VERSION = 1
"""Raised whenever a change to this module may change a trajectory by more than rounding."""

_LOWEST_LOGIT = -69.0
"""Logits this far below the largest are raised to it: e^-69 is about 1e-30, far below what float32 can add
to 1, and far above the denormal numbers that would slow every later product."""

_ACTIVATION_BYTES = 2_400_000
"""The activations of one chunk, of all members together: about what the caches near a core hold."""

_CACHE_LINE = 16
"""Numbers in float32."""


@dataclass(frozen=True)
class Run:
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


def members_that_fit(
    budget: int = 1_200_000_000, width: int = 150, inputs: int = 784, threads: int | None = None
) -> int:
    """Return how many members train together within ``budget`` bytes above the data.

    Per member: the weights of the first layer in float32, and once more in float64 while the stable rank is
    measured, the Gram matrices in float64, three numbers for each of MNIST's 60,000 images, and for each thread
    (default: as many as torch uses) the gradient and the activations of the smallest chunk.
    """
    parameters = width * (inputs + _CACHE_LINE)
    per_thread = 4 * parameters + 4 * 384 * width
    per_member = parameters * (4 + 8 + 8) + 4 * 8 * width**2 + 3 * 4 * 60_000
    return max(1, budget // (per_member + (threads or torch.get_num_threads()) * per_thread))


def chunk_size(members: int, width: int, device: torch.device) -> int:
    """Return the number of images a chunk holds so that its activations stay near the core that computes them."""
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
        inputs[:, 1 : 1 + len(columns)] = torch.from_numpy(pixels[order])
        inputs[:, 1:] /= 255
        return cls(inputs.to(device), torch.from_numpy(labels[order]).to(device), reach[order].tolist())

    def chunks(self, size: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield the rows of each chunk and its inputs, without the last columns, zero in all of its images."""
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            yield rows, self.inputs[rows, : _padded(self.reach[rows.stop - 1])]

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

    def trajectory(self, test_error: float, diverged_at: int | None) -> Run:
        return Run(
            self.member,
            np.arange(len(self.loss)),
            np.array(self.loss),
            np.array(self.train_error),
            np.array(self.stable_rank),
            self.singular_values,
            test_error,
            diverged_at,
        )


def _first_layer(W: Tensor, b: Tensor) -> Tensor:
    """Return ``W`` (K, m, d) and ``b`` (K, m) in one tensor whose columns fit those of `_Images`."""
    K, m, d = W.shape
    return torch.cat((b[:, :, None], W, W.new_zeros(K, m, _padded(1 + d) - d - 1)), dim=2)


class _Stack:
    """The parameters of the members in training."""

    def __init__(
        self, members: Sequence[Member], live: np.ndarray, dead: np.ndarray, width: int, device: torch.device
    ) -> None:
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
        whole.first = _first_layer(
            torch.cat((self.first[:, :, 1 : 1 + self.live], self.dead), dim=2), self.first[:, :, 0]
        )
        return whole

    @torch.no_grad()
    def singular_values(self, which: slice) -> Tensor:
        """Return the singular values of some members' W in float64, largest first, shape (k, m)."""
        W = self.first[which, :, 1 : 1 + self.live].double()
        gram = W @ W.mT + self.dead_gram[which]
        gram[~gram.isfinite().all(2).all(1)] = 0.0  # no eigenvalues to be had: a stable rank of 0 / 0
        return torch.linalg.eigvalsh(gram).clamp_(min=0).sqrt_().flip(1)


@dataclass(frozen=True)
class _Team:
    """The threads that share a pass."""

    pool: ThreadPoolExecutor
    size: int

    def start(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Queue ``work`` for each of the items; the iterator waits for what it gives, in the order of the items."""
        return self.pool.map(work, items)

    def slices(self, count: int) -> list[slice]:
        """Cut ``range(count)`` into pieces that are done one at a time: all of it for one thread, single numbers for more."""
        size = count if self.size == 1 else 1
        return [slice(start, start + size) for start in range(0, count, size)]


@contextmanager
def _team(device: torch.device) -> Iterator[_Team]:
    """Start as many threads as torch uses, each of which computes alone; for a GPU, one."""
    threads = torch.get_num_threads()
    size = threads if device.type == "cpu" else 1
    try:
        with ThreadPoolExecutor(size, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield _Team(pool, size)
    finally:
        torch.set_num_threads(threads)  # MKL's number is the process's, not the thread's


@dataclass
class _Chunk:
    """What a thread reads and writes for one chunk of n images: views of the images, the weights and its buffers.

    After a pass with the gradient, ``hidden`` and ``logits`` hold the gradient with respect to what they held.

    They are made once, since making them in each step would take Python's lock from the other threads.
    """

    inputs: Tensor  # (n, r): the leading columns that hold all that is not zero
    label: Tensor  # (K, 1, n)
    first: Tensor  # (Km, r)
    first_gradient: Tensor  # (Km, r)
    hidden: Tensor  # (Km, n)
    back: Tensor  # (m, n), for one member at a time
    logits: Tensor  # (K, 10, n)
    own: Tensor  # (K, 1, n): the label's logit minus the largest
    total: Tensor  # (K, 1, n): the sum of the exponentials of the logits minus the largest

    def __post_init__(self) -> None:
        self.inputs_T = self.inputs.T
        self.hidden_by_member = self.hidden.unflatten(0, (len(self.label), -1))  # (K, m, n)
        self.hidden_by_member_T = self.hidden_by_member.mT
        self.members = list(zip(self.hidden_by_member, self.logits))


class _Share:
    """One thread's share of a pass: some of the chunks, and the sum of their gradients."""

    def __init__(
        self,
        stack: _Stack,
        images: _Images,
        gamma: float,
        chunks: list[tuple[slice, Tensor]],
        own: Tensor,
        total: Tensor,
    ) -> None:
        self.V, self.V_T, self.c, self.gamma = stack.V, list(stack.V.mT), stack.c[:, :, None], gamma
        K, m, _ = stack.first.shape
        self.gradient = tuple(torch.empty_like(parameter) for parameter in (stack.first, stack.V, stack.c))
        largest = max((len(x) for _, x in chunks), default=0)
        hidden, back, logits = (stack.first.new_empty(rows * largest) for rows in (K * m, m, K * CLASSES))
        first, first_gradient = (layer.view(K * m, -1) for layer in (stack.first, self.gradient[0]))
        self.indicator = stack.first.new_full((1, 1, 1), -1.0).expand(K, 1, largest)
        self.chunks = [
            _Chunk(
                x,
                images.labels[rows].expand(K, 1, -1),
                first[:, : x.shape[1]],
                first_gradient[:, : x.shape[1]],
                hidden[: K * m * len(x)].view(K * m, -1),
                back[: m * len(x)].view(m, -1),
                logits[: K * CLASSES * len(x)].view(K, CLASSES, -1),
                own[:, :, rows],
                total[:, :, rows],
            )
            for rows, x in chunks
        ]

    @torch.no_grad()
    def run(self, gradient: bool) -> None:
        """Write ``own`` and ``total`` of the share's images and, if asked for, leave the sum of their gradients."""
        first_gradient, V_gradient, c_gradient = self.gradient
        if gradient:
            for buffer in self.gradient:
                buffer.zero_()
        for chunk in self.chunks:
            logits = chunk.logits
            torch.mm(chunk.first, chunk.inputs_T, out=chunk.hidden)
            torch.nn.functional.leaky_relu_(chunk.hidden, self.gamma)
            torch.baddbmm(self.c, self.V, chunk.hidden_by_member, out=logits)

            logits -= logits.amax(1, keepdim=True)
            torch.gather(logits, 1, chunk.label, out=chunk.own)
            likelihood = logits.clamp_(min=_LOWEST_LOGIT).exp_()
            torch.sum(likelihood, 1, keepdim=True, out=chunk.total)
            if not gradient:
                continue

            delta = likelihood.div_(chunk.total)  # softmax minus indicator: the loss's gradient in the logits
            delta.scatter_add_(1, chunk.label, self.indicator)
            V_gradient.baddbmm_(delta, chunk.hidden_by_member_T)
            c_gradient += delta.sum(2)
            for V_T, (hidden, delta_k) in zip(self.V_T, chunk.members):  # the gradient takes the activations' place
                torch.mm(V_T, delta_k, out=chunk.back)
                torch.ops.aten.leaky_relu_backward.grad_input(chunk.back, hidden, self.gamma, True, grad_input=hidden)
            chunk.first_gradient.addmm_(chunk.hidden, chunk.inputs)


class _Pass:
    """One pass over the images: loss and error of every member and, if asked for, the gradient.

    All buffers are allocated here, once for as long as the stack keeps its members.
    """

    def __init__(self, stack: _Stack, images: _Images, gamma: float, chunk: int, team: _Team) -> None:
        self.stack, self.team = stack, team
        self.own, self.total = (stack.first.new_empty(len(stack.first), 1, len(images)) for _ in range(2))
        chunks = list(images.chunks(chunk))
        self.shares = [
            _Share(stack, images, gamma, chunks[k :: team.size], self.own, self.total) for k in range(team.size)
        ]
        self.running: Iterator[None] = iter(())

    def start(self, gradient: bool) -> None:
        """Let the threads begin, with the gradient or without."""
        self.running = self.team.start(lambda share: share.run(gradient), self.shares)

    def result(self) -> tuple[Tensor, Tensor]:
        """Wait for the threads; return mean loss (float64) and error of each member."""
        for _ in self.running:
            pass
        # The label's logit minus the largest: negative where another class's is larger.
        return (self.total.log() - self.own).mean((1, 2), dtype=torch.float64), (self.own < 0).double().mean((1, 2))

    def gradients(self) -> tuple[Tensor, Tensor, Tensor]:
        """Add up the shares' gradients, in the first one's buffers: n times those of the first layer, V and c.

        To be called once after each pass.
        """
        first, *others = (share.gradient for share in self.shares)
        for other in others:
            for total, part in zip(first, other):
                total += part
        return first

    def descend(self) -> None:
        """Take one step of gradient descent with the gradient of the last pass."""
        stack = self.stack
        for parameter, gradient in zip((stack.first, stack.V, stack.c), self.gradients()):
            rate = (stack.alpha / self.own.shape[2]).view(-1, *(1,) * (gradient.dim() - 1))
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
    chunk : int, optional
        Images a chunk; by default as many as stay in the processor's cache. The trajectory depends on it
        through rounding only.
    tf32 : bool
        Allow TensorFloat-32 products on CUDA (ten bits of mantissa).
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
    finished: dict[int, Run] = {}
    active = list(range(len(members)))

    with _team(where) as team:

        def new_pass(stack: _Stack, images: _Images) -> _Pass:
            return _Pass(stack, images, gamma, chunk or chunk_size(len(active), width, where), team)

        sweep = new_pass(stack, training)
        for step in range(steps + 1):
            sweep.start(gradient=step < steps)
            # Behind the shares in the threads' queue, so that whoever is done first takes it.
            singular = torch.cat(list(team.start(stack.singular_values, team.slices(len(active)))))
            loss, error = sweep.result()
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
            done = [row for row in going if step == steps or (stop_below is not None and table[row, 1] < stop_below)]
            if done:
                last = new_pass(stack.with_dead_columns(), test)
                last.start(gradient=False)
                _, test_error = last.result()
                for row in done:
                    finished[active[row]] = logs[active[row]].trajectory(float(test_error[row]), None)
            if progress is not None:
                progress(step)
            if step < steps:
                sweep.descend()
            going = [row for row in going if row not in done]
            if not going:
                break
            if len(going) < len(active):
                stack.keep(going)
                active = [active[row] for row in going]
                sweep = new_pass(stack, training)
    return [finished[k] for k in range(len(members))]
