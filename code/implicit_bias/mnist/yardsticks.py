"""What the trainer's speed is compared with: its two matrix products alone, plain PyTorch, `torch.func.vmap`, autograd.

Each function computes `STEPS` steps and returns the seconds a step, the first left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, leaky_relu

from . import plain, trainer
from .configuration import EXPERIMENT, Member
from .data import MNIST
from .engine import Engine, FullBatch, Images, Stack, Threads, Worker, pixel_order

STEPS = 4
"""Steps of one measurement."""

GAMMA, WIDTH = EXPERIMENT.gamma, EXPERIMENT.width


def _seconds(step: Callable[[], object]) -> float:
    ticks = []
    for _ in range(STEPS):
        step()
        ticks.append(time.perf_counter())
    return (ticks[-1] - ticks[0]) / (STEPS - 1)


def stacked(data: MNIST, members: list[Member], **switches: Any) -> float:
    """Train all together with `trainer.train`. Measuring counts; setting up and the test set do not."""
    ticks: list[float] = []
    tick = lambda step: ticks.append(time.perf_counter())  # noqa: E731
    trainer.train(members, data, STEPS, gamma=GAMMA, width=WIDTH, progress=tick, **switches)
    return (ticks[-2] - ticks[0]) / (STEPS - 1)  # without the last step, in which the test set is passed


def one_by_one(data: MNIST, members: list[Member]) -> float:
    """Train one after another with `trainer.train`; here and below a step is one of all of them."""
    return sum(stacked(data, [member]) for member in members)


def plain_loop(data: MNIST, members: list[Member]) -> float:
    """Train one after another with `plain`, in float32."""
    return sum(_seconds(partial(next, plain_losses(data, member))) for member in members)


def plain_losses(data: MNIST, member: Member) -> Iterator[float]:
    """Yield the loss at step 0, 1, 2, ... of one network that `plain` trains in float32."""
    images, labels, _, _ = plain.images_and_labels(data, torch.float32)
    for loss, _ in plain.descend(_network(member), images, labels, member.alpha):
        yield loss


def _network(member: Member) -> torch.nn.Sequential:
    return plain.network(plain.initial_weights(member.sigma, member.seed, WIDTH), GAMMA, torch.float32)


def vmap(data: MNIST, members: list[Member]) -> float:
    """Train all together with `torch.func.vmap` over stacked parameters."""
    images, labels, _, _ = plain.images_and_labels(data, torch.float32)
    networks = [_network(member) for member in members]
    parameters = {name: value.detach() for name, value in torch.func.stack_module_state(networks)[0].items()}
    alpha = torch.tensor([member.alpha for member in members])

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return cross_entropy(torch.func.functional_call(networks[0], weights, (images,)), labels)

    gradient = torch.func.vmap(torch.func.grad(loss))

    def step() -> None:
        for name, slope in gradient(parameters).items():
            parameters[name] = parameters[name] - alpha.view(-1, *(1,) * (slope.dim() - 1)) * slope

    return _seconds(step)


def passes(data: MNIST, members: list[Member], worker: type[Worker], **switches: Any) -> float:
    """Let workers of another kind take the trainer's steps, in its shapes, chunks and threads; nothing is measured."""
    engine, pixels = Engine(**switches), pixel_order(data.train_images)
    images = Images(data.train_images, data.train_labels, pixels, engine)
    with Threads(engine) as threads:
        batch = FullBatch(Stack(members, WIDTH, GAMMA, pixels, engine), images, threads, worker)

        def step() -> None:
            batch.start(backward=True)
            list(batch.running)
            if worker in (Worker, Autograd):
                batch.descend()

        return _seconds(step)


class Products(Worker):
    """Computes the two large products of the trainer's step into its buffers, and nothing else."""

    def run(self, backward: bool) -> None:
        first, gradient = self.batch.stack.first.flatten(0, 1), self.gradients[0].flatten(0, 1)
        for _, x in self.chunks:
            W = first[:, : x.shape[1]]
            hidden = self.hidden[: len(W) * len(x)].view(len(W), len(x))
            torch.mm(torch.mm(W, x.T, out=hidden), x, out=gradient[:, : x.shape[1]])


class ProductsWithoutBuffers(Worker):
    """Computes the same products into new memory each time."""

    def run(self, backward: bool) -> None:
        first = self.batch.stack.first.flatten(0, 1)
        for _, x in self.chunks:
            torch.mm(torch.mm(first[:, : x.shape[1]], x.T), x)


class Autograd(Worker):
    """Computes the trainer's gradients with PyTorch's."""

    def run(self, backward: bool) -> None:
        stack = self.batch.stack
        first, V, c = parameters = [parameter.detach().requires_grad_() for parameter in stack.parameters()]
        for total in self.gradients:
            total.zero_()
        for rows, x in self.chunks:
            hidden = leaky_relu(first.flatten(0, 1)[:, : x.shape[1]] @ x.T, stack.gamma)
            logits = torch.baddbmm(c[:, :, None], V, hidden.view(*first.shape[:2], len(x)))
            labels = self.batch.images.labels[rows].expand(len(stack), -1)
            loss = cross_entropy(logits, labels, reduction="sum")
            for total, part in zip(self.gradients, torch.autograd.grad(loss, parameters)):
                total += part
