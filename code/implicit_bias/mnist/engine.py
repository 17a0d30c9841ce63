"""A step of gradient descent on many networks at once, fast: `plain` says what is computed, `trainer` has the loop.

The first layers of all networks are stacked into one matrix, so that a chunk of images is read once for all of them
and meets one large matrix product instead of many small ones. Gradients are in closed form and written into buffers
that are made once. `Engine` names the other tricks, with the reason of each, and switches them off.

Shapes: K networks, m hidden neurons, n images of a chunk, 10 classes.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu_

from .configuration import Member
from .data import CLASSES, PIXELS
from .plain import initial_weights

CACHE_LINE = 16
"""Numbers in float32."""

Chunk = tuple[slice, Tensor]
"""Some images: their rows in the set and their inputs, shape (n, leading columns)."""


@dataclass(frozen=True)
class Engine:
    """How a step is computed. No switch changes a run by more than rounding.

    - ``sort``: order the pixels by how many training images light them, and the images by the last pixel in that order
      that they light. Then a chunk needs only as many leading columns as its last image reaches; the rest are zeros.
    - ``skip_dead``: leave out at least the pixels that no training image lights, whose weights have no gradient.
      Otherwise all columns are read, sorted or not.
    - ``own_threads``: let each thread compute chunks of its own alone, with buffers of its own, and singular values,
      which is the CPU's work on a GPU too. Most operations are too small to share, and threads that share them wait for
      each other after each.
    - ``logit_floor``: raise logits to this, negative, if they are farther below the largest. e^-69 is about 1e-30, far
      below what can be added to 1, and far above the denormal numbers that would slow every later product.
    - ``chunk``: images a chunk, at least 1; by default as many as keep the activations in the cache near a core.
    - ``dtype``: of all arithmetic except the spectra's, which is in float64.
    - ``device``: the name of a `torch.device`.

    `ValueError` if ``chunk`` or ``logit_floor`` is out of its range.
    """

    sort: bool = True
    skip_dead: bool = True
    own_threads: bool = True
    logit_floor: float = -69.0
    chunk: int | None = None
    dtype: torch.dtype = torch.float32
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not (self.logit_floor < 0 and (self.chunk is None or self.chunk >= 1)):
            raise ValueError(f"{self}: a negative logit_floor and a chunk of at least 1 are needed")

    def chunk_size(self, networks: int, width: int) -> int:
        """Return the number of images a chunk.

        >>> Engine().chunk_size(networks=5, width=150)
        800
        """
        if self.chunk is not None or torch.device(self.device).type != "cpu":
            return self.chunk or 1 << 16
        near_the_core = 2_400_000  # bytes
        return min(1024, max(384, near_the_core // (4 * networks * width) // 32 * 32))


def padded(columns: int) -> int:
    """Return a number of columns rounded up to whole cache lines, which the products like."""
    return -(-columns // CACHE_LINE) * CACHE_LINE


def pixel_order(images: np.ndarray) -> np.ndarray:
    """Return the pixels, those that most images light first."""
    return np.argsort(-np.count_nonzero(images, axis=0), kind="stable")


class Images:
    """A data set as the products read it: rows [1 | pixels in [0, 1], in a given order | zeros], and labels."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, pixels: np.ndarray, engine: Engine) -> None:
        lit = images[:, pixels] > 0
        # The number of leading columns, with that of the ones, that hold all of an image that is not zero.
        reach = np.where(lit.any(axis=1), 1 + PIXELS - lit[:, ::-1].argmax(axis=1), 1)
        width = int(reach.max()) if engine.skip_dead else 1 + PIXELS
        if not (engine.sort and engine.skip_dead):
            reach[:] = width
        order = np.argsort(reach, kind="stable")
        inputs = torch.zeros(len(images), padded(width), dtype=engine.dtype)
        inputs[:, 0] = 1
        inputs[:, 1:width] = torch.from_numpy(images[order][:, pixels[: width - 1]])
        inputs[:, 1:] /= 255
        self.inputs, self.labels = inputs.to(engine.device), torch.from_numpy(labels[order]).to(engine.device)
        self.reach: list[int] = reach[order].tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def shares(self, chunk: int, threads: int) -> list[list[Chunk]]:
        """Cut into chunks, without the last columns, zero in all images of one, and deal them out to the threads."""
        rows = [slice(start, min(start + chunk, len(self))) for start in range(0, len(self), chunk)]
        chunks = [(part, self.inputs[part, : padded(self.reach[part.stop - 1])]) for part in rows]
        return [chunks[k::threads] for k in range(min(threads, len(chunks)))]


class Threads(ThreadPoolExecutor):
    """As many threads as torch uses, each of which computes alone; or one, whose operations all of torch's share."""

    def __init__(self, engine: Engine) -> None:
        self.total = torch.get_num_threads()
        self.count, each = (self.total, 1) if engine.own_threads else (1, self.total)
        super().__init__(self.count, initializer=torch.set_num_threads, initargs=(each,))

    def __exit__(self, *error: object) -> None:
        self.shutdown(cancel_futures=True)
        torch.set_num_threads(self.total)  # MKL's number is the process's, not the thread's


class Stack:
    """The networks in training, their parameters stacked, and the slope of their leaky ReLU.

    ``first``, of shape (K, m, p), has the first layers [b | W, its columns in the order of the pixels | padding], to be
    multiplied with rows of `Images`; ``V`` and ``c``, of shapes (K, 10, m) and (K, 10), the second layers; and
    ``alpha``, of shape (K,), the step sizes.
    """

    def __init__(self, members: Sequence[Member], width: int, gamma: float, pixels: np.ndarray, engine: Engine) -> None:
        self.gamma, self.engine = gamma, engine
        drawn = [initial_weights(member.sigma, member.seed, width) for member in members]
        W, b, V, c = (torch.from_numpy(np.stack(arrays)).to(engine.device, engine.dtype) for arrays in zip(*drawn))
        self.first = W.new_zeros(len(members), width, padded(1 + PIXELS))
        self.first[:, :, 0], self.first[:, :, 1 : 1 + PIXELS] = b, W[:, :, pixels]
        self.V, self.c, self.alpha = V, c, W.new_tensor([member.alpha for member in members])
        self.start = self.first.clone()

    def __len__(self) -> int:
        return len(self.first)

    def parameters(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what gradient descent moves."""
        return self.first, self.V, self.c

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these networks only."""
        if len(rows) < len(self):
            self.first, self.V, self.c, self.alpha, self.start = (
                part[rows] for part in (*self.parameters(), self.alpha, self.start)
            )

    def spectra(self, threads: Threads, of_change: bool = False) -> Tensor:
        """Return the singular values of every W, or of its change, in float64 on the CPU, largest first, shape (K, m).

        They wait in the threads' queue behind a pass that was started, so that whoever is done first takes them.
        """
        size = len(self) if threads.count == 1 else 1
        matrices = (self.first - self.start if of_change else self.first)[:, :, 1 : 1 + PIXELS]
        return torch.cat(list(threads.map(_singular_values, torch.split(matrices, size))))


@torch.no_grad()
def _singular_values(W: Tensor) -> Tensor:
    gram = (W.double() @ W.double().mT).cpu()  # of many small matrices a GPU takes longer for the eigenvalues
    gram[~gram.isfinite().all(2).all(1)] = 0.0  # no eigenvalues to be had: a stable rank of 0 / 0
    squares: Tensor = torch.linalg.eigvalsh(gram)
    return squares.clamp_(min=0).sqrt_().flip(1)


class Worker:
    """One thread's part of a pass: its chunks, its buffers, and the sum of its chunks' gradients."""

    def __init__(self, batch: "FullBatch", chunks: list[Chunk]) -> None:
        self.batch, self.chunks, first = batch, chunks, batch.stack.first
        (K, m, _), largest = first.shape, max(len(inputs) for _, inputs in chunks)
        self.gradients = [torch.empty_like(parameter) for parameter in batch.stack.parameters()]
        self.hidden, self.logits, self.back = (first.new_empty(size * largest) for size in (K * m, K * CLASSES, m))
        self.minus_one = first.new_full((1, 1, 1), -1.0)

    @torch.no_grad()
    def run(self, backward: bool) -> None:
        """Pass forward through the worker's chunks and, if asked for, backward."""
        if backward:
            for gradient in self.gradients:
                gradient.zero_()
        for rows, inputs in self.chunks:
            hidden, exponentials = self._forward(rows, inputs)
            if backward:
                self._backward(rows, inputs, hidden, exponentials)

    def _forward(self, rows: slice, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the activations (K, m, n) and e^(logit - largest logit) (K, 10, n); note what the loss needs."""
        batch, stack = self.batch, self.batch.stack
        (K, m, _), (n, columns) = stack.first.shape, inputs.shape
        hidden = self.hidden[: K * m * n].view(K, m, n)
        torch.mm(stack.first.view(K * m, -1)[:, :columns], inputs.T, out=hidden.view(K * m, n))
        leaky_relu_(hidden, stack.gamma)
        logits = self.logits[: K * CLASSES * n].view(K, CLASSES, n)
        torch.baddbmm(stack.c[:, :, None], stack.V, hidden, out=logits)
        logits -= logits.amax(1, keepdim=True)
        torch.gather(logits, 1, batch.labels[:, :, rows], out=batch.label_logit[:, :, rows])
        exponentials = logits.clamp_(min=stack.engine.logit_floor).exp_()
        torch.sum(exponentials, 1, keepdim=True, out=batch.normalizer[:, :, rows])
        return hidden, exponentials

    def _backward(self, rows: slice, inputs: Tensor, hidden: Tensor, exponentials: Tensor) -> None:
        """Add the gradients of the sum of the chunk's losses; they take the place of what they are computed from."""
        batch, stack, (K, m, n) = self.batch, self.batch.stack, hidden.shape
        first, V, c = self.gradients
        delta = exponentials.div_(batch.normalizer[:, :, rows])  # the softmax, minus the label's indicator:
        delta.scatter_add_(1, batch.labels[:, :, rows], self.minus_one.expand(K, 1, n))  # the gradient in the logits
        V.baddbmm_(delta, hidden.mT)
        c += delta.sum(2)
        back = self.back[: m * n].view(m, n)
        for V_k, hidden_k, delta_k in zip(stack.V, hidden, delta):
            torch.mm(V_k.T, delta_k, out=back)
            # An activation has the sign of what the leaky ReLU was applied to, hence True.
            torch.ops.aten.leaky_relu_backward.grad_input(back, hidden_k, stack.gamma, True, grad_input=hidden_k)
        first.view(K * m, -1)[:, : inputs.shape[1]].addmm_(hidden.view(K * m, n), inputs)


class FullBatch:
    """All images of a set on their way through all networks of a stack: losses, errors, and a step of descent."""

    def __init__(self, stack: Stack, images: Images, threads: Threads, worker: type[Worker] = Worker) -> None:
        self.stack, self.images, self.threads, self.worker = stack, images, threads, worker
        self.labels = images.labels.expand(0, 1, -1)

    def start(self, backward: bool) -> None:
        """Let the threads begin to pass forward and, if asked for, backward."""
        K, m, _ = self.stack.first.shape
        if len(self.labels) != K:  # new buffers: the first ones, or the stack has not kept all its networks
            self.label_logit, self.normalizer = self.stack.first.new_empty(2, K, 1, len(self.images))
            self.labels = self.images.labels.expand(K, 1, -1)
            shares = self.images.shares(self.stack.engine.chunk_size(K, m), self.threads.count)
            self.workers = [self.worker(self, share) for share in shares]
        self.running = self.threads.map(lambda worker: worker.run(backward), self.workers)

    def result(self) -> tuple[Tensor, Tensor]:
        """Wait for the threads; return mean loss (float64) and error of each network, on the CPU."""
        for _ in self.running:
            pass
        loss = (self.normalizer.log() - self.label_logit).mean((1, 2), dtype=torch.float64)
        error = (self.label_logit < 0).double().mean((1, 2))  # negative: another class's logit is larger
        return loss.cpu(), error.cpu()

    def descend(self) -> None:
        """Take one step with the gradient of the last pass, once."""
        for parameter, total, *others in zip(self.stack.parameters(), *(worker.gradients for worker in self.workers)):
            for gradient in others:  # in a fixed order, so that a run can be repeated to the bit
                total += gradient
            rate = self.stack.alpha / len(self.images)
            parameter -= total.mul_(rate.view(-1, *(1,) * (total.dim() - 1)))
