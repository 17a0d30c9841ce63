"""MNIST: the four original files, checked bit for bit, and random images that stand in for them in tests."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parents[3]
"""The project's root folder."""

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""Published MD5 sums of the uncompressed files."""

CLASSES = 10
PIXELS = 28 * 28

_NETWORK_TIMEOUT = 30.0  # seconds without a byte before a download is given up


class MNISTError(Exception):
    """The data cannot be had; the message names the file and says what to do."""


@dataclass(frozen=True, eq=False)
class MNIST:
    """Images and labels of the training and the test set.

    Attributes
    ----------
    train_images, test_images : numpy.ndarray, shape (n, 784), uint8
        Gray values from 0 to 255, one image a row. Shared between callers: copy before changing.
    train_labels, test_labels : numpy.ndarray, shape (n,), int64
        Digits from 0 to 9.
    checksum : dict of str to str
        MD5 sum of each file, or of each array of made-up data.
    source : str
        ``"mnist"``, or ``"synthetic"`` for `synthetic_mnist`.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    checksum: dict[str, str]
    source: str


def default_root() -> Path:
    """Return the folder that holds ``MNIST/raw/``: the environment variable ``MNIST_ROOT``, or the project's ``data``."""
    return Path(os.environ.get("MNIST_ROOT") or PROJECT / "data")


def load_mnist(root: str | Path | None = None) -> MNIST:
    """Read MNIST with `torchvision.datasets.MNIST`, downloading the files that are missing.

    Every file's MD5 sum is checked before it is read. A download goes to a temporary folder and each file moves
    into place only when it is whole and right, so an interruption leaves no half-written file.

    Parameters
    ----------
    root : path, optional
        Folder that holds ``MNIST/raw/``. Default: `default_root`.

    Raises
    ------
    MNISTError
        If a file is wrong, unreadable, or missing and cannot be downloaded to ``root``.
    """
    from torchvision.datasets import MNIST as Files

    root = default_root() if root is None else Path(root)
    raw = root / "MNIST" / "raw"
    missing = [name for name in MD5 if not (raw / name).exists()]
    if missing:
        _download(raw, missing)
    for name in MD5:
        _check(raw / name)
    try:
        train, test = Files(str(root), train=True), Files(str(root), train=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise MNISTError(f"{raw}: torchvision cannot read MNIST there ({_line(error)})") from error
    return MNIST(
        train_images=train.data.numpy().reshape(-1, PIXELS),
        train_labels=train.targets.numpy(),
        test_images=test.data.numpy().reshape(-1, PIXELS),
        test_labels=test.targets.numpy(),
        checksum=dict(MD5),
        source="mnist",
    )


def synthetic_mnist(n: int, seed: int = 0, n_test: int | None = None) -> MNIST:
    """Make random images of MNIST's density that a small network can learn, to stand in where MNIST is absent.

    Each class has a blurred blob pattern of its own; an image is its class's pattern with random strokes on and
    off. About 19 % of the pixels are not zero, and the border of four pixels always is, as in MNIST.

    Parameters
    ----------
    n : int
        Training images, at least 10.
    seed : int
        Seed of the generator.
    n_test : int, optional
        Test images. Default: ``n // 5``, at least 10.

    Raises
    ------
    ValueError
        If there are fewer than 10 images in either set.
    """
    n_test = max(n // 5, CLASSES) if n_test is None else n_test
    if n < CLASSES or n_test < CLASSES:
        raise ValueError(f"synthetic_mnist makes at least {CLASSES} images a set, given n={n} and n_test={n_test}")
    rng = np.random.default_rng(seed)
    inner = 20  # side of the square inside the border
    pattern = rng.standard_normal((CLASSES, inner, inner))
    for axis in (1, 2):  # a blur makes blobs of it
        pattern = pattern + np.roll(pattern, 1, axis) + np.roll(pattern, -1, axis)
    labels = np.concatenate([np.arange(n) % CLASSES, np.arange(n_test) % CLASSES]).astype(np.int64)
    field = pattern[labels] / pattern.std() + 0.7 * rng.standard_normal((n + n_test, inner, inner))
    inked = field > np.quantile(field, 1 - 0.19 * PIXELS / inner**2)
    gray = np.where(inked, rng.integers(30, 256, field.shape), 0).astype(np.uint8)
    images = np.pad(gray, ((0, 0), (4, 4), (4, 4))).reshape(n + n_test, PIXELS)
    order = rng.permutation(n)
    arrays = {
        "train_images": images[:n][order],
        "train_labels": labels[:n][order],
        "test_images": images[n:],
        "test_labels": labels[n:],
    }
    checksum = {name: hashlib.md5(array.tobytes()).hexdigest() for name, array in arrays.items()}
    return MNIST(**arrays, checksum=checksum, source="synthetic")


def _check(file: Path) -> None:
    """Raise `MNISTError` unless ``file`` is bit for bit the published one."""
    try:
        with open(file, "rb") as stream:
            found = hashlib.file_digest(stream, "md5").hexdigest()
    except OSError as error:
        raise MNISTError(f"{file}: cannot be read ({error.strerror}); make it readable or delete it") from error
    if found != MD5[file.name]:
        raise MNISTError(
            f"{file}: wrong or truncated (MD5 {found}, published {MD5[file.name]}); "
            "delete it and run again to download it, or copy the original there"
        )


def _download(raw: Path, missing: list[str]) -> None:
    """Download the ``missing`` files of MNIST into the folder ``raw``, each whole or not at all."""
    existing = next(folder for folder in (raw, *raw.parents) if folder.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=".mnist-download-", dir=existing) as scratch:
            for name in missing:
                _fetch(name, Path(scratch))
                _check(Path(scratch, name))
            raw.mkdir(parents=True, exist_ok=True)
            for name in missing:
                os.replace(Path(scratch, name), raw / name)
    except (OSError, RuntimeError, EOFError, http.client.HTTPException) as error:
        raise MNISTError(
            f"{raw / missing[0]}: missing, and the download failed ({_line(error)}); connect to the network, "
            f"or copy the four original files to {raw}, or name another folder that has MNIST/raw/ (--mnist-root, MNIST_ROOT)"
        ) from error


def _fetch(name: str, folder: Path) -> None:
    """Download and unpack one file from the first of torchvision's mirrors that has it."""
    from torchvision.datasets import MNIST as Files
    from torchvision.datasets.utils import download_and_extract_archive

    archive, md5 = next(resource for resource in Files.resources if resource[0] == f"{name}.gz")
    with _network_timeout(_NETWORK_TIMEOUT):
        for mirror in Files.mirrors:
            try:
                return download_and_extract_archive(mirror + archive, str(folder), filename=archive, md5=md5)
            except (OSError, RuntimeError, EOFError, http.client.HTTPException) as error:
                failure = error
    raise failure


@contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    """Give up on sockets that stay silent for ``seconds``; torchvision sets no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _line(error: BaseException) -> str:
    """Return the error's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__
