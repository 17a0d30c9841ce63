"""Hypothesis's profiles, and the fixtures that several test files share."""

import hashlib
import os
import shutil
import signal
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from implicit_bias.mnist import data as mnist_module
from implicit_bias.mnist.data import MNIST, load_mnist, synthetic_mnist

if TYPE_CHECKING:  # needed for these tests alone
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# The same examples in every run, unless HYPOTHESIS_PROFILE or --hypothesis-profile asks for "fuzz": new ones, and many.
settings.register_profile(
    "default", derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "fuzz", settings.get_profile("default"), derandomize=False, max_examples=1000, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background job starts with Ctrl-C ignored


@pytest.fixture(scope="session")
def mnist() -> MNIST:
    """The real MNIST, from MNIST_ROOT or data/. Without it the test is skipped, or, if MNIST_ROOT is set, fails."""
    root = mnist_module.default_root()
    absent = [name for name in mnist_module.MD5 if not (root / "MNIST" / "raw" / name).exists()]
    if absent and "MNIST_ROOT" not in os.environ:
        pytest.skip(f"real MNIST is absent ({root}/MNIST/raw/{absent[0]}): set MNIST_ROOT")
    return load_mnist(root)


def write_idx(folder: Path, data: MNIST) -> dict[str, str]:
    """Write a data set as MNIST's four files and return their MD5 sums."""
    folder.mkdir(parents=True)
    sums = {}
    for prefix, images, labels in (
        ("train", data.train_images, data.train_labels),
        ("t10k", data.test_images, data.test_labels),
    ):
        n = len(labels)
        contents = {
            f"{prefix}-images-idx3-ubyte": struct.pack(">4i", 2051, n, 28, 28) + images.tobytes(),
            f"{prefix}-labels-idx1-ubyte": struct.pack(">2i", 2049, n) + labels.astype(np.uint8).tobytes(),
        }
        for name, content in contents.items():
            (folder / name).write_bytes(content)
            sums[name] = hashlib.md5(content).hexdigest()
    return sums


@pytest.fixture
def stand_in(tmp_path, monkeypatch) -> Path:
    """A root folder with synthetic images in MNIST's file format, whose MD5 sums pass for the published ones.

    So the program's own way from the files to the result can be run where MNIST is absent, in this process.
    """
    root = tmp_path / "stand-in"
    monkeypatch.setattr(mnist_module, "MD5", write_idx(root / "MNIST" / "raw", synthetic_mnist(300)))
    return root


@pytest.fixture(scope="session")
def book() -> Path:
    """The built book: ``_book``, or what BOOK names. Without one the test is skipped, or, if BOOK is set, fails."""
    folder = Path(os.environ.get("BOOK", Path(__file__).parent.parent / "_book")).resolve()
    if not (folder / "index.html").is_file() and "BOOK" not in os.environ:
        pytest.skip(f"no book in {folder}: `make report` builds it")
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def address(book: Path) -> Iterator[str]:
    """Where the book is served."""
    with ThreadingHTTPServer(("localhost", 0), partial(_Quiet, directory=str(book))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")  # while it runs, so does an event loop, which other tests cannot have
def browser() -> "Iterator[Browser]":
    """Chromium, without a window. Without one the test is skipped, or, if BOOK is set, fails."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM and "BOOK" not in os.environ:
        pytest.skip("no Chromium on the PATH")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]) as started,
    ):
        yield started


@pytest.fixture(scope="session")
def in_time():
    """A function that returns or raises what a call does, made in another thread, or fails after a minute."""

    def run(call):
        outcome = Future()

        def work():
            try:
                outcome.set_result(call())
            except Exception as error:  # whatever the call raises is raised again where it was asked for
                outcome.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return outcome.result(timeout=60)

    return run
