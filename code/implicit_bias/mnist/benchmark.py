"""What the trainer's speed is, and what each of its tricks is worth: read from a recording, or measured.

It is compared with its two matrix products alone, plain PyTorch, `torch.func.vmap` and autograd. Everything is measured
in one run with interleaved repetitions, because machines are shared and their clocks drift: the medians' ratios mean
something, the seconds alone less.
"""

import gc
import math
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, leaky_relu
from tqdm import tqdm

from . import plain, trainer
from .configuration import EXPERIMENT, Member
from .data import MD5, MNIST, load_mnist
from .engine import Engine, FullBatch, Images, Stack, Threads, Worker, padded, pixel_order
from .recording import Recording, RecordingError, differences, load, save

GAMMA, WIDTH = EXPERIMENT.gamma, EXPERIMENT.width
train = partial(trainer.train, gamma=GAMMA, width=WIDTH)

STEPS = 4
"""Steps of one measurement."""

REPETITIONS = 7
"""Interleaved repetitions of the book's recording."""

MEMBERS = sorted(EXPERIMENT.members(), key=lambda member: member.seed)
"""The 25 networks of the experiment: the five scales for seed 0, then for seed 1, and so on."""


def configuration(repetitions: int = REPETITIONS) -> dict[str, Any]:
    """Return what determines a benchmark, as it is recorded."""
    return {
        "sigmas": EXPERIMENT.sigmas,
        "alpha": EXPERIMENT.alpha,
        "width": WIDTH,
        "gamma": GAMMA,
        "repetitions": repetitions,
        "steps": STEPS,
        "plot_steps": EXPERIMENT.steps,
    }


def recorded(path: str | Path) -> Recording:
    """Read a recorded benchmark; nothing is computed.

    `RecordingError` if it cannot be trusted, or is not the one that `configuration` asks for, on MNIST.
    """
    found = load(path, "benchmark")
    wanted = configuration() | {"data": {"source": "mnist", "checksum": MD5}}
    if phrases := differences(found.configuration | {"data": found.data}, wanted):
        raise RecordingError(f"{path}: another benchmark ({'; '.join(phrases)}); run `make bench`")
    return found


def ratios(recording: Recording) -> dict[str, float]:
    """Return a benchmark's ratios by the names of their rows; see `measure`."""
    return {row["name"]: row["ratio"] for row in recording.runs if row.get("ratio") is not None}


def extras(recording: Recording) -> dict[str, Any]:
    """Return the peak memory in bytes by number of members, and the seconds to the plot."""
    return {
        "memory": {row["members"]: row["bytes"] for row in recording.runs if "bytes" in row},
        "seconds_to_plot": next(row["seconds_in_all"] for row in recording.runs if "seconds_in_all" in row),
    }


def table(recording: Recording) -> str:
    """Return a benchmark as a Markdown table: seconds a step, and the ratio to the row it is compared with."""
    lines = [
        "| what | members | seconds a step | ratio | against |",
        "|:---------------------|------:|----------:|-----:|:---------------------|",
    ]
    for row in recording.runs:
        if "median" in row:
            ratio = f"{row['ratio']:.2f}" if row["against"] else ""
            lines.append(
                f"| {row['name']} | {row['members']} | {row['median']:.3f} | {ratio} | {row['against'] or ''} |"
            )
    return "\n".join(lines)


def run(root: Path | None, repetitions: int, out: Path) -> None:
    """Measure everything on the MNIST below ``root`` (by default `data.default_root`), record it and print it."""
    start = time.perf_counter()
    data = load_mnist(root)
    rows = [
        *measure(data, repetitions),
        *({"name": "peak memory", "members": count, "bytes": peak_memory(count, root)} for count in (1, 5, 25)),
        {"name": "time to the plot", "members": 5, "steps": EXPERIMENT.steps, "seconds_in_all": time_to_plot(root)},
    ]
    made = Recording("benchmark", configuration(repetitions), rows, time.perf_counter() - start, data.provenance())
    save(made, out)
    print(table(made), *(f"{name}: {value}" for name, value in extras(made).items()), sep="\n")


def comparisons(images: int) -> dict[str, tuple[list[Member], str | None, Callable[[MNIST, list[Member]], float]]]:
    """Return for each row of the table the members, the row it is compared with, and how it is measured.

    ``images`` is the number of training images.
    """
    five, threads = MEMBERS[:5], torch.get_num_threads()
    largest_sigma = 5 * five[-1:]
    shared_chunk = threads * Engine().chunk_size(5, WIDTH)  # as many images as the threads have in theirs together
    base, products, sigma_2 = "stacked trainer", "bare matrix products", "sigma = 2 alone"
    return {
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
        "without closed-form gradients": (five, base, partial(passes, worker=Autograd)),
        "without chunks": (five, base, partial(stacked, chunk=math.ceil(images / threads))),
        "products without buffers": (five, products, partial(passes, worker=ProductsWithoutBuffers)),
        "without sorting": (five, base, partial(stacked, sort=False)),
        "with the dead columns": (five, "without sorting", partial(stacked, skip_dead=False)),
        sigma_2: (largest_sigma, None, stacked),
        "sigma = 2 with denormals": (largest_sigma, sigma_2, partial(stacked, logit_floor=-math.inf)),
        "without the stable rank": (five, base, partial(passes, worker=Worker)),
    }


def measure(data: MNIST, repetitions: int) -> list[dict[str, Any]]:
    """Run every comparison in interleaved repetitions and return the table's rows.

    A row holds ``name``, ``members``, ``seconds`` (the repetitions' seconds a step), their ``median``, and
    ``against`` and ``ratio``: the median over the repetitions of the row's seconds over those of the row named.

    `RuntimeError` if the trainer's losses differ from the plain loop's by more than 1e-4 relative: a ratio of two
    computations that do not agree would say nothing.
    """
    for fast in train(MEMBERS[:5], data, STEPS - 1):
        losses = list(islice(plain_losses(data, fast.member), STEPS))
        if not np.allclose(fast.loss, losses, rtol=1e-4):
            raise RuntimeError(f"{fast.member}: the trainer and the plain loop disagree: {fast.loss} and {losses}")
    jobs = comparisons(len(data.train_labels))
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for name, (who, _, work) in tqdm([*jobs.items()] * repetitions, unit="run", disable=None):
        gc.collect()
        seconds[name].append(work(data, who))
    return [
        {
            "name": name,
            "members": len(who),
            "seconds": seconds[name],
            "median": float(np.median(seconds[name])),
            "against": against,
            "ratio": float(np.median(np.divide(seconds[name], seconds[against]))) if against else None,
        }
        for name, (who, against, _) in jobs.items()
    ]


def peak_memory(count: int, root: Path | None) -> int:
    """Return the most bytes that training ``count`` members holds above its images, in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(_peak_memory, count, root).result()


def _peak_memory(count: int, root: Path | None) -> int:
    data, process = load_mnist(root), psutil.Process()
    train(MEMBERS[:1], data, steps=1, chunk=1024)  # what libraries allocate once
    sizes = [process.memory_info().rss]

    def watch() -> None:
        while True:
            sizes.append(process.memory_info().rss)
            time.sleep(0.002)

    threading.Thread(target=watch, daemon=True).start()
    train(MEMBERS[:count], data, steps=2)
    live, pixels = int(data.train_images.any(axis=0).sum()), data.test_images.shape[1]
    images = 4 * (len(data.train_labels) * padded(1 + live) + len(data.test_labels) * padded(1 + pixels))
    return max(sizes) - sizes[0] - images


def time_to_plot(root: Path | None) -> float:
    """Return the seconds from nothing to the required plot for five scales and one seed, in fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        out, where = f"{folder}/sweep.json", ["--mnist-root", str(root)] if root else []
        start = time.perf_counter()
        sweep, figures = (
            ["sweep", "--seeds", "1", "--out", out, *where],
            ["figures", "--recording", out, "--out", folder],
        )
        for command in (sweep, figures):
            subprocess.run([sys.executable, "-m", "implicit_bias", *command], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


# --- what is measured: each function computes STEPS steps and returns the seconds a step, the first left out ---


def _seconds(step: Callable[[], object]) -> float:
    ticks = []
    for _ in range(STEPS):
        step()
        ticks.append(time.perf_counter())
    return (ticks[-1] - ticks[0]) / (STEPS - 1)


def stacked(data: MNIST, members: list[Member], **switches: Any) -> float:
    """Train all together with `trainer.train`. Measuring counts; setting up and the test set do not."""
    ticks: list[float] = []
    train(members, data, STEPS, progress=lambda step: ticks.append(time.perf_counter()), **switches)
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
            if worker in (Worker, Autograd):  # they have the gradients
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
