"""What the trainer's speed is, and what each of its tricks is worth.

Everything is measured in one run with interleaved repetitions, because machines are shared and their clocks
drift: the medians' ratios mean something, the seconds alone less. ``python -m implicit_bias.mnist.benchmark`` prints
the table and, with ``--out``, records it.

The yardsticks are the trainer's own two matrix products (the same shapes, chunks and threads, nothing else), the loop
a PyTorch user would write, and `torch.func.vmap` over stacked parameters.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from . import trainer
from .configuration import Member
from .data import CLASSES, MNIST, MNISTError, load_mnist, synthetic_mnist
from .recording import Recording, check_writable, save
from .sweep import SIGMAS
from .trainer import initial_weights

WIDTH, GAMMA = 150, 0.05
STEPS = 4
"""Steps of one repetition; the first is left out of the timing."""

_CPU = torch.device("cpu")


def members(count: int, alpha: float) -> list[Member]:
    """Return ``count`` members: the five scales for seed 0, then for seed 1, and so on."""
    return [Member(SIGMAS[k % len(SIGMAS)], k // len(SIGMAS), alpha) for k in range(count)]


def seconds_a_step(data: MNIST, who: list[Member], **options) -> float:
    """Return the trainer's seconds a step, measurements included, setting up and the test set left out."""
    ticks: list[float] = []
    trainer.train(
        who, data, STEPS, gamma=GAMMA, width=WIDTH, progress=lambda _: ticks.append(time.perf_counter()), **options
    )
    return (ticks[-2] - ticks[0]) / (len(ticks) - 2)


def bare_products(data: MNIST, count: int, preallocated: bool = True, all_columns: bool = False) -> float:
    """Return the seconds of the two matrix products of one step of ``count`` members, and nothing else.

    They are the trainer's own, in its shapes; with ``all_columns``, those of a trainer that only leaves out the
    columns that are zero in every image.
    """
    live, _ = trainer.column_order(data.train_images)
    images = trainer._Images.load(data.train_images, data.train_labels, live, _CPU)
    if all_columns:
        images.reach = [images.inputs.shape[1]] * len(images)
    first = 0.02 * torch.randn(count * WIDTH, images.inputs.shape[1], generator=torch.Generator().manual_seed(0))
    chunks = list(images.chunks(trainer.chunk_size(count, WIDTH, _CPU)))

    def share(mine: list[tuple[slice, torch.Tensor]]) -> Callable[[], None]:
        buffer, gradient = first.new_empty(count * WIDTH * len(chunks[0][1])), torch.empty_like(first)

        def products() -> None:
            for _, x in mine:
                if preallocated:
                    hidden = buffer[: count * WIDTH * len(x)].view(count * WIDTH, len(x))
                    torch.mm(first[:, : x.shape[1]], x.T, out=hidden)
                    torch.mm(hidden, x, out=gradient[:, : x.shape[1]])
                else:
                    torch.mm(torch.mm(first[:, : x.shape[1]], x.T), x)

        return products

    seconds = []
    with trainer._team(_CPU) as team:
        shares = [share(chunks[k :: team.size]) for k in range(team.size)]
        for _ in range(STEPS - 1):
            start = time.perf_counter()
            list(team.start(lambda work: work(), shares))
            seconds.append(time.perf_counter() - start)
    return float(np.mean(seconds))


def _dense(data: MNIST) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(data.train_images).float() / 255, torch.from_numpy(data.train_labels)


def sequential(member: Member) -> nn.Sequential:
    """Return a member's network as a PyTorch user writes it, with the trainer's initial weights."""
    model = nn.Sequential(nn.Linear(784, WIDTH), nn.LeakyReLU(GAMMA), nn.Linear(WIDTH, CLASSES))
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), initial_weights(member.sigma, member.seed, WIDTH, 784)):
            parameter.copy_(torch.from_numpy(value))
    return model


def plain_loop(data: MNIST, who: list[Member], losses: dict[Member, list[float]]) -> float:
    """Train one network after another with `torch.optim.SGD`; return the seconds a step of all of them.

    The loss at each step is appended to ``losses``, to be compared with the trainer's.
    """
    x, label = _dense(data)
    seconds = 0.0
    for member in who:
        model = sequential(member)
        optimizer = torch.optim.SGD(model.parameters(), lr=member.alpha)
        losses[member] = []
        for step in range(STEPS):
            start = time.perf_counter()
            optimizer.zero_grad()
            loss = cross_entropy(model(x), label)
            loss.backward()
            optimizer.step()
            losses[member].append(loss.item())
            seconds += (time.perf_counter() - start) if step else 0.0
    return seconds / (STEPS - 1)


def vmap_loop(data: MNIST, who: list[Member]) -> float:
    """Train with `torch.func.vmap` over stacked parameters, full batch; return the seconds a step."""
    x, label = _dense(data)
    model = sequential(who[0])
    parameters, _ = torch.func.stack_module_state([sequential(member) for member in who])
    parameters = {name: value.detach() for name, value in parameters.items()}
    rate = torch.tensor([member.alpha for member in who])

    def loss(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        return cross_entropy(torch.func.functional_call(model, weights, (x,)), label)

    gradient = torch.func.vmap(torch.func.grad(loss))
    seconds = []
    for _ in range(STEPS):
        start = time.perf_counter()
        for name, value in gradient(parameters).items():
            parameters[name] = parameters[name] - rate.view(-1, *(1,) * (value.dim() - 1)) * value
        seconds.append(time.perf_counter() - start)
    return float(np.mean(seconds[1:]))


def autograd_stack(data: MNIST, who: list[Member]) -> float:
    """Train the stack in the trainer's chunks and threads but with PyTorch's autograd; return the seconds a step."""
    live, dead = trainer.column_order(data.train_images)
    images = trainer._Images.load(data.train_images, data.train_labels, live, _CPU)
    stack = trainer._Stack(who, live, dead, WIDTH, _CPU)
    parameters = [value.requires_grad_() for value in (stack.first, stack.V, stack.c)]
    chunks = list(images.chunks(trainer.chunk_size(len(who), WIDTH, _CPU)))
    rate = stack.alpha / len(images)

    def gradient(mine: list[tuple[slice, torch.Tensor]]) -> list[torch.Tensor]:
        total = [torch.zeros_like(value) for value in parameters]
        for rows, x in mine:
            hidden = nn.functional.leaky_relu(stack.first.view(len(who) * WIDTH, -1)[:, : x.shape[1]] @ x.T, GAMMA)
            logits = torch.baddbmm(stack.c[:, :, None], stack.V, hidden.view(len(who), WIDTH, len(x)))
            loss = cross_entropy(logits, images.labels[rows].expand(len(who), -1), reduction="sum")
            for sum_, part in zip(total, torch.autograd.grad(loss, parameters)):
                sum_ += part
        return total

    seconds = []
    with trainer._team(_CPU) as team:
        for _ in range(STEPS):
            start = time.perf_counter()
            parts = list(team.start(gradient, [chunks[k :: team.size] for k in range(team.size)]))
            with torch.no_grad():
                for value, *of_threads in zip(parameters, *parts):
                    value -= rate.view(-1, *(1,) * (value.dim() - 1)) * sum(of_threads)
            seconds.append(time.perf_counter() - start)
    return float(np.mean(seconds[1:]))


def without_dead_columns_left_out(data: MNIST) -> MNIST:
    """Return the data with one faint pixel in each column that is zero in every image, so that none is left out."""
    images = data.train_images.copy()
    images[0, ~images.any(axis=0)] = 1
    return replace(data, train_images=images)


@contextmanager
def images_unsorted() -> Iterator[None]:
    """Let every chunk read all columns that are lit in some image, as if the images were in no order."""

    def chunks(images: trainer._Images, size: int) -> Iterator[tuple[slice, torch.Tensor]]:
        for start in range(0, len(images), size):
            rows = slice(start, min(start + size, len(images)))
            yield rows, images.inputs[rows]

    with mock.patch.object(trainer._Images, "chunks", chunks):
        yield


@contextmanager
def threads_share_operations() -> Iterator[None]:
    """Let all threads work on each operation together, as PyTorch does, instead of each on its own chunks."""

    @contextmanager
    def team(device: torch.device) -> Iterator[trainer._Team]:
        threads = (torch.get_num_threads(),)
        with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=threads) as pool:
            yield trainer._Team(pool, 1)

    with mock.patch.object(trainer, "_team", team):
        yield


def shared_chunk(count: int) -> int:
    """Return a chunk for threads that share it: as many images as they have in their own chunks together."""
    return torch.get_num_threads() * trainer.chunk_size(count, WIDTH, _CPU)


@contextmanager
def denormals_let_through() -> Iterator[None]:
    """Let the softmax underflow to denormal numbers, as a plain softmax does."""
    with mock.patch.object(trainer, "_LOWEST_LOGIT", -1e30):
        yield


@contextmanager
def no_measurements() -> Iterator[None]:
    """Leave out the singular values at every step."""

    def ones(stack: trainer._Stack, which: slice) -> torch.Tensor:
        return torch.ones(stack.first[which].shape[:2], dtype=torch.float64)

    with mock.patch.object(trainer._Stack, "singular_values", ones):
        yield


def _peak_memory(count: int, alpha: float, root: str | None, send) -> None:
    """Send the most bytes that training ``count`` members holds above its images, sampled every 2 ms in a fresh process."""
    data = _data(root)
    process, peak, done = psutil.Process(), [0], threading.Event()
    trainer.train(members(1, alpha), data, 1, gamma=GAMMA, width=WIDTH, chunk=1024)  # what libraries allocate once
    live = int(data.train_images.any(axis=0).sum())
    images = 4 * (len(data.train_labels) * trainer._padded(live) + len(data.test_labels) * trainer._padded(784))
    before = process.memory_info().rss

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    trainer.train(members(count, alpha), data, 2, gamma=GAMMA, width=WIDTH)
    done.set()
    watcher.join()
    send.send(peak[0] - before - images)


def peak_memory(count: int, alpha: float, root: str | None) -> int:
    """Return the peak memory, in bytes above the data, of training ``count`` members in a fresh process."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_peak_memory, args=(count, alpha, root, send))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"the process that measured the memory of {count} members exited with {process.exitcode}")
    return receive.recv()


def _data(root: str | None) -> MNIST:
    try:
        return load_mnist(root)
    except MNISTError as error:
        print(f"no MNIST ({error}): random images of the same density instead", file=sys.stderr)
        return synthetic_mnist(60_000, 0)


def time_to_plot(alpha: float, steps: int, root: str | None) -> float:
    """Return the seconds from nothing to the required plot for five scales and one seed, in fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "sweep.json"
        where = ["--mnist-root", root] if root else []
        start = time.perf_counter()
        for command in (
            ["sweep", "--seeds", "1", "--alpha", str(alpha), "--steps", str(steps), "--out", str(out), *where],
            ["figures", "--recording", str(out), "--out", folder],
        ):
            subprocess.run([sys.executable, "-m", "implicit_bias", *command], check=True, capture_output=True)
        return time.perf_counter() - start


def measure(data: MNIST, alpha: float, repetitions: int, root: str | None, plot_steps: int | None) -> list[dict]:
    """Run every comparison in interleaved repetitions and return the table's rows.

    A row holds ``name``, ``members``, ``seconds`` (the repetitions' seconds a step), their ``median``, and
    ``against`` and ``ratio``: the median over the repetitions of the row's seconds over those of the row named.

    Raises
    ------
    RuntimeError
        If the trainer's losses differ from the plain loop's by more than 1e-4 relative: a ratio of two
        computations that do not agree would say nothing.
    """
    five = members(5, alpha)
    large = [member for member in five if member.sigma == 2.0] * 5
    lit = without_dead_columns_left_out(data)
    losses: dict[Member, list[float]] = {}

    def with_(context: Callable, work: Callable[[], float]) -> Callable[[], float]:
        def patched() -> float:
            with context():
                return work()

        return patched

    jobs: dict[str, tuple[int, str | None, Callable[[], float]]] = {
        "stacked trainer": (5, None, lambda: seconds_a_step(data, five)),
        "bare matrix products": (5, "stacked trainer", lambda: bare_products(data, 5)),
        "products, threads sharing each": (
            5,
            "stacked trainer",
            with_(threads_share_operations, lambda: bare_products(data, 5)),
        ),
        "products of all live columns": (5, "stacked trainer", lambda: bare_products(data, 5, all_columns=True)),
        "plain PyTorch loop": (5, "stacked trainer", lambda: plain_loop(data, five, losses)),
        "torch.func.vmap": (5, "stacked trainer", lambda: vmap_loop(data, five)),
        "one member": (1, "stacked trainer", lambda: seconds_a_step(data, five[:1])),
        "25 members": (25, "stacked trainer", lambda: seconds_a_step(data, members(25, alpha))),
        "without stacking": (5, "stacked trainer", lambda: sum(seconds_a_step(data, [member]) for member in five)),
        "threads sharing each operation": (
            5,
            "stacked trainer",
            with_(threads_share_operations, lambda: seconds_a_step(data, five, chunk=shared_chunk(5))),
        ),
        "without closed-form gradients": (5, "stacked trainer", lambda: autograd_stack(data, five)),
        "without chunks": (
            5,
            "stacked trainer",
            lambda: seconds_a_step(data, five, chunk=-(-len(data.train_labels) // torch.get_num_threads())),
        ),
        "products without buffers": (5, "bare matrix products", lambda: bare_products(data, 5, preallocated=False)),
        "without sorting": (5, "stacked trainer", with_(images_unsorted, lambda: seconds_a_step(data, five))),
        "with the dead columns": (5, "without sorting", with_(images_unsorted, lambda: seconds_a_step(lit, five))),
        "sigma = 2 alone": (5, None, lambda: seconds_a_step(data, large)),
        "sigma = 2 with denormals": (
            5,
            "sigma = 2 alone",
            with_(denormals_let_through, lambda: seconds_a_step(data, large)),
        ),
        "without the stable rank": (5, "stacked trainer", with_(no_measurements, lambda: seconds_a_step(data, five))),
    }
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    with tqdm(total=repetitions * len(jobs), unit="run") as bar:
        for _ in range(repetitions):
            for name, (_, _, work) in jobs.items():
                bar.set_description(name)
                gc.collect()
                seconds[name].append(work())
                bar.update()
    for trajectory in trainer.train(five, data, STEPS - 1, gamma=GAMMA, width=WIDTH):
        if not np.allclose(trajectory.loss, losses[trajectory.member], rtol=1e-4):
            raise RuntimeError(
                f"{trajectory.member}: the trainer and the plain loop disagree: "
                f"{trajectory.loss} and {losses[trajectory.member]}"
            )
    rows = [
        {
            "name": name,
            "members": count,
            "seconds": seconds[name],
            "median": float(np.median(seconds[name])),
            "against": against,
            "ratio": None
            if against is None
            else float(np.median(np.array(seconds[name]) / np.array(seconds[against]))),
        }
        for name, (count, against, _) in jobs.items()
    ]
    rows += [
        {"name": "peak memory", "members": count, "bytes": peak_memory(count, alpha, root)} for count in (1, 5, 25)
    ]
    if plot_steps is not None:
        rows.append(
            {
                "name": "time to the plot",
                "members": 5,
                "steps": plot_steps,
                "seconds_in_all": time_to_plot(alpha, plot_steps, root),
            }
        )
    return rows


def ratios(recording: Recording) -> dict[str, float]:
    """Return a benchmark's ratios by the names of their rows; see `measure`."""
    return {row["name"]: row["ratio"] for row in recording.runs if row.get("ratio") is not None}


def extras(recording: Recording) -> dict[str, Any]:
    """Return the peak memory in bytes by number of members, and the seconds to the plot."""
    return {
        "memory": {row["members"]: row["bytes"] for row in recording.runs if row["name"] == "peak memory"},
        "seconds_to_plot": next(row["seconds_in_all"] for row in recording.runs if row["name"] == "time to the plot"),
    }


def table(recording: Recording) -> str:
    """Return a benchmark as a Markdown table: seconds a step, and the ratio to the row it is compared with."""
    lines = [
        "| what | members | seconds a step | ratio | against |",
        "|:---------------------|------:|----------:|-----:|:---------------------|",
    ]
    for row in recording.runs:
        if "median" in row:
            ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
            lines.append(
                f"| {row['name']} | {row['members']} | {row['median']:.3f} | {ratio} | {row['against'] or ''} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table and, if asked to, record it."""
    parser = argparse.ArgumentParser(
        prog="python -m implicit_bias.mnist.benchmark", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--out", type=Path, help="file that the recording is written to (default: only print)")
    parser.add_argument("--mnist-root", help="folder of the MNIST files (default: $MNIST_ROOT, then data/)")
    parser.add_argument("--alpha", type=float, default=0.5, help="step size (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="interleaved repetitions (default: %(default)s)")
    parser.add_argument(
        "--plot-steps", type=int, help="also time the whole way to the required plot with this T (default: left out)"
    )
    options = parser.parse_args()
    if options.out is not None:
        check_writable(options.out)
    start = time.perf_counter()
    data = _data(options.mnist_root)
    rows = measure(data, options.alpha, options.repetitions, options.mnist_root, options.plot_steps)
    configuration = {
        "sigmas": SIGMAS,
        "alpha": options.alpha,
        "width": WIDTH,
        "gamma": GAMMA,
        "repetitions": options.repetitions,
        "steps": STEPS,
        "plot_steps": options.plot_steps,
    }
    recording = Recording(
        "benchmark",
        configuration,
        rows,
        time.perf_counter() - start,
        {"source": data.source, "checksum": data.checksum},
    )
    print(table(recording))
    for row in rows:
        if "bytes" in row:
            print(f"peak memory above the data, {row['members']} members: {row['bytes'] / 1e6:.0f} MB")
        if "seconds_in_all" in row:
            print(f"from nothing to the plot, T = {row['steps']}: {row['seconds_in_all']:.0f} s")
    if options.out is not None:
        save(recording, options.out)


if __name__ == "__main__":
    main()
