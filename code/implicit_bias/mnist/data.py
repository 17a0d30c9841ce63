"""MNIST: the four original files, checked bit for bit, and random images that stand in for them in tests."""

import gzip
import hashlib
import os
import stat
import zlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np

from .. import checks
from .recording import RecordingError, replacing

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
    """Images, rows of 784 gray values in uint8, and labels, digits in int64, of the training and the test set.

    The ``checksum`` is the MD5 sum of each file, or of each array of made-up data; the ``source`` is ``"mnist"``, or
    ``"synthetic"`` for `synthetic_mnist`.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    checksum: dict[str, str]
    source: str

    def provenance(self) -> dict[str, Any]:
        """Return source and checksum, as recordings keep them."""
        return {"source": self.source, "checksum": self.checksum}


def default_root() -> Path:
    """Return the folder that holds ``MNIST/raw/``: that named by ``MNIST_ROOT``, or the project's ``data``."""
    return Path(os.environ.get("MNIST_ROOT") or PROJECT / "data")


def load_mnist(root: str | Path | None = None) -> MNIST:
    """Read the four original files in ``MNIST/raw/`` of ``root`` or of `default_root`, downloading those missing.

    What is used are the very bytes whose MD5 sum was found right, and nothing else that may lie in the folder. A file
    moves into place only when it is whole and right, so an interrupted download leaves nothing half-written.
    `MNISTError` if a file is wrong, unreadable, or missing and cannot be downloaded to ``root``.
    """
    raw = (default_root() if root is None else Path(root)) / "MNIST" / "raw"
    for file in (raw / name for name in MD5):
        if not os.path.lexists(file):
            _download(file)
    train_images, train_labels, test_images, test_labels = (_array(name, _checked(raw / name)) for name in MD5)
    return MNIST(train_images, train_labels, test_images, test_labels, checksum=dict(MD5), source="mnist")


def synthetic_mnist(n: int, seed: int = 0, n_test: int | None = None) -> MNIST:
    """Make random images of MNIST's density that a small network can learn, to stand in where MNIST is absent.

    Each class has a blurred blob pattern of its own; an image is its class's pattern with random strokes on and
    off. About 19 % of the pixels are not zero, and the border of four pixels always is, as in MNIST.

    There are ``n`` training images and ``n_test`` test images (default: ``n // 5``, at least 10); a `ValueError` if
    either number is below 10.

    >>> synthetic_mnist(100).train_images.shape
    (100, 784)
    """
    n_test = max(n // 5, CLASSES) if n_test is None else n_test
    checks.whole(CLASSES, n=n, n_test=n_test)
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
    arrays: dict[str, np.ndarray] = {
        "train_images": images[:n][order],
        "train_labels": labels[:n][order],
        "test_images": images[n:],
        "test_labels": labels[n:],
    }
    checksum = {name: hashlib.md5(array.tobytes()).hexdigest() for name, array in arrays.items()}
    return MNIST(**arrays, checksum=checksum, source="synthetic")


def _checked(file: Path) -> bytes:
    """Return what ``file`` holds; raise `MNISTError` unless it is bit for bit the published one."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise MNISTError(f"{file}: not a file (but a folder, pipe or device); put the original there")
        content = file.read_bytes()
    except OSError as error:
        raise MNISTError(f"{file}: cannot be read ({error.strerror}); make it readable or delete it") from error
    found = hashlib.md5(content).hexdigest()
    if found != MD5[file.name]:
        raise MNISTError(
            f"{file}: wrong or truncated (MD5 {found}, published {MD5[file.name]}); "
            "delete it and run again to download it, or copy the original there"
        )
    return content


def _array(name: str, content: bytes) -> np.ndarray:
    """Return the array that a file of the IDX format holds: a row of 784 gray values an image, or the labels."""
    if "images" in name:  # magic number, images, rows and columns, as four numbers of four bytes
        return np.frombuffer(content, np.uint8, offset=16).reshape(-1, PIXELS).copy()
    return np.frombuffer(content, np.uint8, offset=8).astype(np.int64)


def _download(file: Path) -> None:
    """Make a file of MNIST, from the first of torchvision's mirrors that has it, whole or not at all."""
    from torchvision.datasets import MNIST as Files  # type: ignore[import-untyped] # torchvision has no types

    why = "torchvision names no mirror"
    for mirror in Files.mirrors:
        try:
            with urlopen(f"{mirror}{file.name}.gz", timeout=_NETWORK_TIMEOUT) as response:
                content = gzip.decompress(response.read())
            if hashlib.md5(content).hexdigest() != MD5[file.name]:
                raise OSError(f"what {mirror} has is wrong")
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file) as stream:
                stream.write(content)
            return
        except (OSError, EOFError, zlib.error, HTTPException, RecordingError) as error:
            why = repr(error)
            if isinstance(error, HTTPError):
                error.close()  # it holds the connection
    raise MNISTError(
        f"{file}: missing, and the download failed ({why}); connect to the network, or copy the four original files to "
        f"{file.parent}, or name another folder that has MNIST/raw/ (--mnist-root, MNIST_ROOT)"
    )
