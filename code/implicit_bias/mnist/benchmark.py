"""What the trainer's speed is, and what each of its tricks is worth.

Everything is measured in one run with interleaved repetitions, because machines are shared and their clocks
drift: the medians' ratios mean something, the seconds alone less. `yardsticks` has what is measured.
"""

from __future__ import annotations

import gc
import math
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from tqdm import tqdm

from .. import checks
from . import trainer, yardsticks
from .configuration import EXPERIMENT, Member
from .data import MD5, MNIST, load_mnist
from .engine import padded
from .recording import Recording, RecordingError, check_writable, differences, load, save
from .trainer import FAST, Engine
from .yardsticks import CPU, GAMMA, STEPS, WIDTH

REPETITIONS = 7
"""Interleaved repetitions of the book's recording."""


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

    Raises
    ------
    RecordingError
        If it cannot be trusted, or is not the one that `configuration` asks for, on MNIST.
    """
    found = load(path, "benchmark")
    phrases = differences(found.configuration, configuration())
    phrases += differences({"data": found.data}, {"data": {"source": "mnist", "checksum": MD5}})
    if phrases:
        raise RecordingError(f"{path}: another benchmark ({'; '.join(phrases)}); run `make bench`")
    return found


def run(root: Path | None = None, repetitions: int = REPETITIONS, out: Path | None = None) -> Recording:
    """Measure everything, print it and, if ``out`` is given, record it there.

    Parameters
    ----------
    root : path, optional
        Folder that holds ``MNIST/raw/``. Default: `data.default_root`.
    repetitions : int
        At least 1.
    out : path, optional
        The recording to write. Only a recording is replaced.

    Raises
    ------
    ValueError
        If ``repetitions`` is out of its range.
    RecordingError
        If ``out`` cannot be written, or another file is there.
    MNISTError
        If the data cannot be had.
    """
    checks.whole(1, repetitions=repetitions)
    if out is not None:
        check_writable(out)
        if out.exists():
            load(out)  # or it is no recording
    start = time.perf_counter()
    data = load_mnist(root)
    rows = [
        *measure(data, repetitions),
        *({"name": "peak memory", "members": count, "bytes": peak_memory(count, root)} for count in (1, 5, 25)),
        {"name": "time to the plot", "members": 5, "steps": EXPERIMENT.steps, "seconds_in_all": time_to_plot(root)},
    ]
    provenance = {"source": data.source, "checksum": data.checksum}
    made = Recording("benchmark", configuration(repetitions), rows, time.perf_counter() - start, provenance)
    if out is not None:
        save(made, out)
    print(table(made), *(f"{name}: {value}" for name, value in extras(made).items()), sep="\n")
    return made


def members(count: int) -> list[Member]:
    """Return ``count`` members: the five scales for seed 0, then for seed 1, and so on.

    >>> [member.seed for member in members(6)]
    [0, 0, 0, 0, 0, 1]
    """
    sigmas = EXPERIMENT.sigmas
    return [Member(sigmas[k % len(sigmas)], k // len(sigmas), EXPERIMENT.alpha) for k in range(count)]


def comparisons(data: MNIST) -> dict[str, tuple[int, str | None, Callable[[], float]]]:
    """Return for each row of the table the number of members, the row it is compared with, and how it is measured."""
    five, threads = members(5), torch.get_num_threads()
    largest_sigma = 5 * [max(five, key=lambda member: member.sigma)]

    def stacked(who: list[Member] = five, **switches: Any) -> Callable[[], float]:
        return partial(yardsticks.stacked, data, who, Engine(**switches))

    def products(buffers: bool = True, **switches: Any) -> Callable[[], float]:
        return partial(yardsticks.products, data, five, Engine(**switches), buffers)

    def one_by_one() -> float:
        return sum(yardsticks.stacked(data, [member]) for member in five)

    shared_chunk = threads * FAST.chunk_size(5, WIDTH, CPU)  # as many images as the threads have in theirs together
    thread_chunk = math.ceil(len(data.train_labels) / threads)
    base = "stacked trainer"
    return {
        base: (5, None, stacked()),
        "bare matrix products": (5, base, products()),
        "products, threads sharing each": (5, base, products(own_threads=False)),
        "products of all live columns": (5, base, products(sort=False)),
        "plain PyTorch loop": (5, base, partial(yardsticks.plain_loop, data, five)),
        "torch.func.vmap": (5, base, partial(yardsticks.vmap, data, five)),
        "one member": (1, base, stacked(five[:1])),
        "25 members": (25, base, stacked(members(25))),
        "without stacking": (5, base, one_by_one),
        "threads sharing each operation": (5, base, stacked(own_threads=False, chunk=shared_chunk)),
        "without closed-form gradients": (5, base, partial(yardsticks.autograd, data, five)),
        "without chunks": (5, base, stacked(chunk=thread_chunk)),
        "products without buffers": (5, "bare matrix products", products(buffers=False)),
        "without sorting": (5, base, stacked(sort=False)),
        "with the dead columns": (5, "without sorting", stacked(skip_dead=False)),
        "sigma = 2 alone": (5, None, stacked(largest_sigma)),
        "sigma = 2 with denormals": (5, "sigma = 2 alone", stacked(largest_sigma, logit_floor=-math.inf)),
        "without the stable rank": (5, base, stacked(measure=False)),
    }


def measure(data: MNIST, repetitions: int) -> list[dict[str, Any]]:
    """Run every comparison in interleaved repetitions and return the table's rows.

    A row holds ``name``, ``members``, ``seconds`` (the repetitions' seconds a step), their ``median``, and
    ``against`` and ``ratio``: the median over the repetitions of the row's seconds over those of the row named.

    Raises
    ------
    RuntimeError
        If the trainer's losses differ from the plain loop's by more than 1e-4 relative: a ratio of two
        computations that do not agree would say nothing.
    """
    for fast in trainer.train(members(5), data, STEPS - 1, gamma=GAMMA, width=WIDTH):
        plain = list(islice(yardsticks.plain_losses(data, fast.member), STEPS))
        if not np.allclose(fast.loss, plain, rtol=1e-4):
            raise RuntimeError(f"{fast.member}: the trainer and the plain loop disagree: {fast.loss} and {plain}")
    jobs = comparisons(data)
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    with tqdm(total=repetitions * len(jobs), unit="run", disable=None) as bar:
        for _ in range(repetitions):
            for name, (_, _, work) in jobs.items():
                bar.set_description(name)
                gc.collect()
                seconds[name].append(work())
                bar.update()
    return [
        {
            "name": name,
            "members": count,
            "seconds": seconds[name],
            "median": float(np.median(seconds[name])),
            "against": against,
            "ratio": float(np.median(np.divide(seconds[name], seconds[against]))) if against else None,
        }
        for name, (count, against, _) in jobs.items()
    ]


def peak_memory(count: int, root: Path | None) -> int:
    """Return the most bytes that training ``count`` members holds above its images, in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(_peak_memory, count, root).result()


def _peak_memory(count: int, root: Path | None) -> int:
    data = load_mnist(root)
    process, done = psutil.Process(), threading.Event()
    train = partial(trainer.train, data=data, gamma=GAMMA, width=WIDTH)
    train(members(1), steps=1, engine=Engine(chunk=1024))  # what libraries allocate once
    live = int(data.train_images.any(axis=0).sum())
    images = 4 * (
        len(data.train_labels) * padded(1 + live) + len(data.test_labels) * padded(1 + data.test_images.shape[1])
    )
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        train(members(count), steps=2)
    finally:
        done.set()
        watcher.join()
    return peak - before - images


def time_to_plot(root: Path | None) -> float:
    """Return the seconds from nothing to the required plot for five scales and one seed, in fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "sweep.json")
        where = ["--mnist-root", str(root)] if root else []
        start = time.perf_counter()
        for command in (
            ["sweep", "--seeds", "1", "--out", out, *where],
            ["figures", "--recording", out, "--out", folder],
        ):
            subprocess.run([sys.executable, "-m", "implicit_bias", *command], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


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
