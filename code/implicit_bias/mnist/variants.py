"""The ways to take a step of gradient descent that the benchmark measures against each other.

Each function computes `STEPS` steps and returns the seconds a step, the first left out.
"""

import math
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

GAMMA, WIDTH = EXPERIMENT.gamma, EXPERIMENT.width
train = partial(trainer.train, gamma=GAMMA, width=WIDTH)

STEPS = 4
"""Steps of one measurement."""

MEMBERS = sorted(EXPERIMENT.members(), key=lambda member: member.seed)
"""The 25 networks of the experiment: the five scales for seed 0, then for seed 1, and so on."""


ON_CPU = (
    "products, threads sharing each",
    "threads sharing each operation",
    "without chunks",
    "sigma = 2 alone",
    "sigma = 2 with denormals",
)
"""Rows that make sense on the CPU only."""


def comparisons(
    images: int, device: str
) -> dict[str, tuple[list[Member], str | None, Callable[[MNIST, list[Member]], float]]]:
    """Return for each row of the table the members, the row it is compared with, and how it is measured.

    ``images`` is the number of training images. Rows about threads, chunks and denormal numbers, `ON_CPU`, are left out
    on another device, which has none of them.
    """
    five, threads = MEMBERS[:5], torch.get_num_threads()
    largest_sigma = 5 * five[-1:]
    shared_chunk = threads * Engine().chunk_size(5, WIDTH)  # as many images as the threads have in theirs together
    base, products, sigma_2 = "stacked trainer", "bare matrix products", "sigma = 2 alone"
    unmeasured = "without the stable rank"
    rows: dict[str, tuple[list[Member], str | None, Callable[..., float]]] = {
        base: (five, None, stacked),
        products: (five, base, partial(passes, worker=Products)),
        "products, threads sharing each": (five, base, partial(passes, worker=Products, own_threads=False)),
        "products of all live columns": (five, base, partial(passes, worker=Products, sort=False)),
        "plain PyTorch loop": (five, base, plain_loop),
        "torch.func.vmap": (five, base, vmap),
        "one member": (five[:1], base, stacked),
        "25 members": (MEMBERS, base, stacked),
        "without stacking": (five, base, one_by_one),
        "threads sharing each operation": (five, base, partial(stacked, own_threads=False, chunk=shared_chunk)),
        "without closed-form gradients": (five, unmeasured, partial(passes, worker=Autograd)),
        "without chunks": (five, base, partial(stacked, chunk=math.ceil(images / threads))),
        "products without buffers": (five, products, partial(passes, worker=ProductsWithoutBuffers)),
        "without sorting": (five, base, partial(stacked, sort=False)),
        "with the dead columns": (five, "without sorting", partial(stacked, skip_dead=False)),
        sigma_2: (largest_sigma, None, stacked),
        "sigma = 2 with denormals": (largest_sigma, sigma_2, partial(stacked, logit_floor=-math.inf)),
        unmeasured: (five, base, partial(passes, worker=Worker)),
    }
    shown = [name for name in rows if name not in ON_CPU or torch.device(device).type == "cpu"]
    return {name: (*rows[name][:2], partial(rows[name][2], device=device)) for name in shown}


def _seconds(step: Callable[[], object], device: str) -> float:
    ticks = []
    for _ in range(STEPS):
        step()
        if torch.device(device).type != "cpu":
            torch.accelerator.synchronize(device)
        ticks.append(time.perf_counter())
    return (ticks[-1] - ticks[0]) / (STEPS - 1)


def stacked(data: MNIST, members: list[Member], **switches: Any) -> float:
    """Train all together with `trainer.train`. Measuring counts; setting up and the test set do not."""
    ticks: list[float] = []
    train(members, data, STEPS, progress=lambda step: ticks.append(time.perf_counter()), **switches)
    return (ticks[-2] - ticks[0]) / (STEPS - 1)  # without the last step, in which the test set is passed


def one_by_one(data: MNIST, members: list[Member], device: str) -> float:
    """Train one after another with `trainer.train`; here and below a step is one of all of them."""
    return sum(stacked(data, [member], device=device) for member in members)


def plain_loop(data: MNIST, members: list[Member], device: str) -> float:
    """Train one after another with `plain`, in float32."""
    return sum(_seconds(partial(next, plain_losses(data, member, device)), device) for member in members)


def plain_losses(data: MNIST, member: Member, device: str) -> Iterator[float]:
    """Yield the loss at step 0, 1, 2, ... of one network that `plain` trains in float32."""
    images, labels = _training_set(data, device)
    for loss, _ in plain.descend(_network(member, device), images, labels, member.alpha):
        yield loss


def _training_set(data: MNIST, device: str) -> tuple[Tensor, Tensor]:
    images, labels, _, _ = plain.images_and_labels(data, torch.float32)
    return images.to(device), labels.to(device)


def _network(member: Member, device: str) -> torch.nn.Sequential:
    return plain.network(plain.initial_weights(member.sigma, member.seed, WIDTH), GAMMA, torch.float32).to(device)


def vmap(data: MNIST, members: list[Member], device: str) -> float:
    """Train all together with `torch.func.vmap` over stacked parameters."""
    images, labels = _training_set(data, device)
    networks = [_network(member, device) for member in members]
    parameters = {name: value.detach() for name, value in torch.func.stack_module_state(networks)[0].items()}
    alpha = torch.tensor([member.alpha for member in members], device=device)

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return cross_entropy(torch.func.functional_call(networks[0], weights, (images,)), labels)

    gradient = torch.func.vmap(torch.func.grad(loss))

    def step() -> None:
        for name, slope in gradient(parameters).items():
            parameters[name] = parameters[name] - alpha.view(-1, *(1,) * (slope.dim() - 1)) * slope

    return _seconds(step, device)


def passes(data: MNIST, members: list[Member], worker: type[Worker], **switches: Any) -> float:
    """Let workers of another kind take the trainer's steps, in its shapes, chunks and threads; nothing is measured."""
    engine, pixels = Engine(**switches), pixel_order(data.train_images)
    images = Images(data.train_images, data.train_labels, pixels, engine)
    with Threads(engine) as threads:
        batch = FullBatch(Stack(members, WIDTH, GAMMA, pixels, engine), images, threads, worker)

        def step() -> None:
            batch.start(backward=True)
            list(batch.running)
            if worker in (Worker, Autograd):  # they have the gradients
                batch.descend()

        return _seconds(step, engine.device)


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
