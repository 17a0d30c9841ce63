"""What the trainer's speed is, and what each of its tricks is worth: read from a recording, or measured.

It is compared with its two matrix products alone, plain PyTorch, `torch.func.vmap` and autograd. Everything is measured
in one run with interleaved repetitions, because machines are shared and their clocks drift: the medians' ratios mean
something, the seconds alone less.
"""

import gc
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from tqdm import tqdm

from .configuration import EXPERIMENT
from .data import MD5, MNIST, load_mnist
from .engine import padded
from .recording import Recording, RecordingError, differences, environment, load, save
from .variants import MEMBERS, STEPS, comparisons, plain_losses, train

REPETITIONS = 7
"""Interleaved repetitions of the book's recording."""


def configuration(repetitions: int = REPETITIONS) -> dict[str, Any]:
    """Return what determines a benchmark, as it is recorded."""
    return {
        "sigmas": EXPERIMENT.sigmas,
        "alpha": EXPERIMENT.alpha,
        "width": EXPERIMENT.width,
        "gamma": EXPERIMENT.gamma,
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


def table(*recordings: Recording) -> str:
    """Return benchmarks as a Markdown table: of each, seconds a step, and the ratio to the row it is compared with.

    In brackets the smallest and the largest ratio of a repetition. The first has all rows; what
    another lacks is empty there.
    """
    columns = [{row["name"]: row for row in recording.runs if "median" in row} for recording in recordings]
    processors = ["CPU" if recording.environment["device"] == "cpu" else "GPU" for recording in recordings]
    lines = [
        f"| what | nets | {''.join(f'{kind}, s | ratio | ' for kind in processors)}against |",
        f"|:-------------------|---:|{'------:|----------------:|' * len(columns)}:-------------|",
    ]
    for name, row in columns[0].items():
        cells = " | ".join(_cells(column, name) for column in columns)
        lines.append(f"| {name} | {row['members']} | {cells} | {row['against'] or ''} |")
    return "\n".join(lines)


def _cells(column: dict[str, dict[str, Any]], name: str) -> str:
    """Return the cells for seconds and ratio."""
    row = column.get(name)
    if row is None:
        return " | "
    if row["against"] is None:
        return f"{row['median']:#.3g} | "
    each = np.divide(row["seconds"], column[row["against"]]["seconds"])
    return f"{row['median']:#.3g} | {row['ratio']:.2f} ({each.min():.2f}–{each.max():.2f})"


def disagreement(first: Recording, second: Recording, steps: Collection[int]) -> float:
    """Return the largest relative difference of two sweeps' stable ranks at the steps, over all runs of both."""
    ranks = [
        {(run["sigma"], run["seed"]): dict(zip(run["step"], run["stable_rank"])) for run in sweep.runs}
        for sweep in (first, second)
    ]
    return float(max(abs(ranks[1][which][t] / run[t] - 1) for which, run in ranks[0].items() for t in steps))


def run(root: Path | None, repetitions: int, device: str, out: Path) -> None:
    """Measure everything on the MNIST below ``root`` (by default `data.default_root`), record it and print it.

    The peak memory is that of the CPU and is not measured on another device.
    """
    start = time.perf_counter()
    data, on_cpu = load_mnist(root), torch.device(device).type == "cpu"
    rows = [
        *measure(data, repetitions, device),
        *({"name": "peak memory", "members": k, "bytes": peak_memory(k, root)} for k in (1, 5, 25) if on_cpu),
        {
            "name": "time to the plot",
            "members": 5,
            "steps": EXPERIMENT.steps,
            "seconds_in_all": time_to_plot(root, device),
        },
    ]
    seconds, machine = time.perf_counter() - start, environment(device)
    made = Recording("benchmark", configuration(repetitions), rows, seconds, data.provenance(), environment=machine)
    save(made, out)
    print(table(made), *(f"{name}: {value}" for name, value in extras(made).items()), sep="\n")


def measure(data: MNIST, repetitions: int, device: str) -> list[dict[str, Any]]:
    """Run every comparison in interleaved repetitions and return the table's rows.

    A row holds ``name``, ``members``, ``seconds`` (the repetitions' seconds a step), their ``median``, and
    ``against`` and ``ratio``: the median over the repetitions of the row's seconds over those of the row named.

    `RuntimeError` if the trainer's losses differ from the plain loop's by more than 1e-4 relative: a ratio of two
    computations that do not agree would say nothing.
    """
    for fast in train(MEMBERS[:5], data, STEPS - 1, device=device):
        losses = list(islice(plain_losses(data, fast.member, device), STEPS))
        if not np.allclose(fast.loss, losses, rtol=1e-4):
            raise RuntimeError(f"{fast.member}: the trainer and the plain loop disagree: {fast.loss} and {losses}")
    jobs = comparisons(len(data.train_labels), device)
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


def time_to_plot(root: Path | None, device: str) -> float:
    """Return the seconds from nothing to the required plot for five scales and one seed, in fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        out, where = f"{folder}/sweep.json", ["--mnist-root", str(root)] if root else []
        start = time.perf_counter()
        sweep, figures = (
            ["sweep", "--seeds", "1", "--device", device, "--out", out, *where],
            ["figures", "--recording", out, "--out", folder],
        )
        for command in (sweep, figures):
            subprocess.run([sys.executable, "-m", "implicit_bias", *command], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start
