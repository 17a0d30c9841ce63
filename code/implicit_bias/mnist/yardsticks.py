"""What the trainer's speed is compared with: its two matrix products alone, plain PyTorch, `torch.func.vmap`, autograd.

Each function computes `STEPS` steps and returns the seconds a step, the first left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, leaky_relu

from . import plain, trainer
from .configuration import EXPERIMENT, Member
from .data import MNIST
from .engine import Chunk, Engine, Images, Stack, Threads, pixel_order
from .plain import initial_weights
from .trainer import FAST

STEPS = 4
"""Steps of one measurement."""

GAMMA, WIDTH = EXPERIMENT.gamma, EXPERIMENT.width
CPU = torch.device("cpu")


def _seconds(step: Callable[[], object]) -> float:
    ticks = []
    for _ in range(STEPS):
        step()
        ticks.append(time.perf_counter())
    return (ticks[-1] - ticks[0]) / (STEPS - 1)


def stacked(data: MNIST, members: list[Member], engine: Engine = FAST) -> float:
    """Train all together with `trainer.train`. Its measurements count; setting up and the test set do not."""
    ticks: list[float] = []
    trainer.train(
        members,
        data,
        STEPS,
        gamma=GAMMA,
        width=WIDTH,
        engine=engine,
        progress=lambda step: ticks.append(time.perf_counter()),
    )
    return (ticks[-2] - ticks[0]) / (STEPS - 1)  # without the last step, in which the test set is passed


def plain_loop(data: MNIST, members: list[Member]) -> float:
    """Train one network after another with `plain`, in float32; a step is one of all of them."""
    return sum(_seconds(partial(next, plain_losses(data, member))) for member in members)


def plain_losses(data: MNIST, member: Member) -> Iterator[float]:
    """Yield the loss at step 0, 1, 2, ... of one network that `plain` trains in float32."""
    images, labels, _, _ = plain.images_and_labels(data, torch.float32)
    for loss, _ in plain.descend(_network(member), images, labels, member.alpha):
        yield loss


def _network(member: Member) -> torch.nn.Sequential:
    return plain.network(initial_weights(member.sigma, member.seed, WIDTH), GAMMA, torch.float32)


def vmap(data: MNIST, members: list[Member]) -> float:
    """Train all together with `torch.func.vmap` over stacked parameters."""
    images, labels, _, _ = plain.images_and_labels(data, torch.float32)
    networks = [_network(member) for member in members]
    stacked, _ = torch.func.stack_module_state(networks)
    parameters = {name: value.detach() for name, value in stacked.items()}
    alpha = torch.tensor([member.alpha for member in members])

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return cross_entropy(torch.func.functional_call(networks[0], weights, (images,)), labels)

    gradient = torch.func.vmap(torch.func.grad(loss))

    def step() -> None:
        for name, slope in gradient(parameters).items():
            parameters[name] = parameters[name] - alpha.view(-1, *(1,) * (slope.dim() - 1)) * slope

    return _seconds(step)


@contextmanager
def _shared_out(
    data: MNIST, members: list[Member], engine: Engine
) -> Iterator[tuple[Stack, Tensor, Threads, list[list[Chunk]]]]:
    """Yield the trainer's own stack, labels and threads, and each thread's chunks."""
    pixels = pixel_order(data.train_images)
    images = Images(data.train_images, data.train_labels, pixels, engine, CPU)
    with Threads(engine.own_threads) as threads:
        shares = images.shares(engine.chunk_size(len(members), WIDTH, CPU), threads.count)
        yield Stack(members, WIDTH, pixels, engine, CPU), images.labels, threads, shares


def products(data: MNIST, members: list[Member], engine: Engine = FAST, buffers: bool = True) -> float:
    """Compute the two large products of the trainer's step, in its shapes, chunks and threads, and nothing else."""
    with _shared_out(data, members, engine) as (stack, _, threads, shares):
        first = stack.first.flatten(0, 1)

        def work(chunks: list[Chunk]) -> Callable[[], None]:
            hidden, gradient = first.new_empty(len(first) * len(chunks[0][1])), torch.empty_like(first)

            def multiply() -> None:
                for _, x in chunks:
                    W = first[:, : x.shape[1]]
                    if buffers:
                        out = hidden[: len(W) * len(x)].view(len(W), len(x))
                        torch.mm(torch.mm(W, x.T, out=out), x, out=gradient[:, : x.shape[1]])
                    else:
                        torch.mm(torch.mm(W, x.T), x)

            return multiply

        works = [work(share) for share in shares]
        return _seconds(lambda: list(threads.map(lambda multiply: multiply(), works)))


def autograd(data: MNIST, members: list[Member]) -> float:
    """Train the trainer's stack, in its chunks and threads, but with PyTorch's gradients; nothing is measured."""
    with _shared_out(data, members, FAST) as (stack, labels, threads, shares):
        first, V, c = parameters = [parameter.requires_grad_() for parameter in stack.parameters()]
        K, rate = len(stack), stack.alpha / len(labels)

        def gradient(chunks: list[Chunk]) -> list[Tensor]:
            total = [torch.zeros_like(parameter) for parameter in parameters]
            for rows, x in chunks:
                hidden = leaky_relu(first.flatten(0, 1)[:, : x.shape[1]] @ x.T, GAMMA)
                logits = torch.baddbmm(c[:, :, None], V, hidden.view(K, WIDTH, len(x)))
                loss = cross_entropy(logits, labels[rows].expand(K, -1), reduction="sum")
                for sum_, part in zip(total, torch.autograd.grad(loss, parameters)):
                    sum_ += part
            return total

        def step() -> None:
            gradients = zip(*threads.map(gradient, shares))
            with torch.no_grad():
                for parameter, slopes in zip(parameters, gradients):
                    parameter -= rate.view(-1, *(1,) * (parameter.dim() - 1)) * sum(slopes)

        return _seconds(step)
