"""MNIST is read right or refused with one clear message, and nothing half-written stays behind.

Most tests run on synthetic images in MNIST's file format, which stand in for the real files.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import os
import shutil
import socket
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision.datasets
from implicit_bias.mnist import data as module
from implicit_bias.mnist.data import MNISTError, load_mnist, synthetic_mnist

NAMES = sorted(module.MD5)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def downloads(monkeypatch, action):
    """Replace torchvision's download of one archive by ``action(folder, file name)``."""

    def download(url, folder, filename, md5):
        assert url.endswith(filename) and filename.endswith(".gz")
        action(Path(folder), filename.removesuffix(".gz"))

    monkeypatch.setattr(torchvision.datasets.utils, "download_and_extract_archive", download)


def no_network(folder, name):
    raise URLError("no network")


def test_real_files_are_the_published_ones(mnist):
    assert mnist.source == "mnist" and mnist.checksum == module.MD5
    assert mnist.train_images.shape == (60_000, 784) and mnist.test_images.shape == (10_000, 784)
    assert mnist.train_images.dtype == np.uint8 and mnist.train_labels.dtype == np.int64
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # of each digit, as published
    assert np.bincount(mnist.train_labels).tolist() == counts


def test_files_are_read_as_written(stand_in):
    data, written = load_mnist(stand_in), synthetic_mnist(300)
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(data, name), getattr(written, name))


def test_environment_variable_names_the_root(stand_in, monkeypatch):
    monkeypatch.setenv("MNIST_ROOT", str(stand_in))
    assert len(load_mnist().train_labels) == 300
    monkeypatch.setenv("MNIST_ROOT", "")
    assert module.default_root() == module.PROJECT / "data"


def test_nothing_but_the_four_checked_files_is_read(stand_in):
    """Where torchvision finds files that it once processed, it reads, and unpickles, those instead."""
    processed = stand_in / "MNIST" / "processed"
    processed.mkdir()
    for name in ("training.pt", "test.pt"):
        torch.save((torch.zeros(50, 28, 28, dtype=torch.uint8), torch.zeros(50, dtype=torch.int64)), processed / name)
    np.testing.assert_array_equal(load_mnist(stand_in).train_images, synthetic_mnist(300).train_images)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:-1], id="truncated"),
        pytest.param(lambda content: content[:-1] + bytes([content[-1] ^ 1]), id="one bit wrong"),
        pytest.param(lambda content: b"", id="empty"),
    ],
)
def test_damaged_file_is_refused_and_named(stand_in, name, damage):
    file = stand_in / "MNIST" / "raw" / name
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(MNISTError, match=rf"{name}: wrong or truncated.*delete it") as caught:
        load_mnist(stand_in)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_refused(stand_in, make):
    file = stand_in / "MNIST" / "raw" / NAMES[0]
    file.unlink()
    make(file)
    with pytest.raises(MNISTError, match=rf"{NAMES[0]}: not a file"):
        load_mnist(stand_in)


def test_missing_file_without_network_is_named_and_nothing_is_made(tmp_path, monkeypatch):
    downloads(monkeypatch, no_network)
    with pytest.raises(MNISTError, match=r"train-images-idx3-ubyte: missing, .*no network.*copy the four") as caught:
        load_mnist(tmp_path / "new" / "root")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("interruption", [URLError("connection lost"), TimeoutError("timed out"), KeyboardInterrupt()])
def test_interrupted_download_leaves_no_file(stand_in, monkeypatch, interruption):
    missing = stand_in / "MNIST" / "raw" / NAMES[1]
    missing.unlink()
    before = files_in(stand_in)

    def half(folder, name):
        (folder / name).write_bytes(b"half")
        if name == NAMES[1]:
            raise interruption

    downloads(monkeypatch, half)
    with pytest.raises(KeyboardInterrupt if isinstance(interruption, KeyboardInterrupt) else MNISTError):
        load_mnist(stand_in)
    assert files_in(stand_in) == before


def test_wrong_download_is_refused(tmp_path, monkeypatch):
    def wrong(folder, name):
        (folder / name).write_bytes(b"an error page")

    downloads(monkeypatch, wrong)
    with pytest.raises(MNISTError, match="wrong or truncated"):
        load_mnist(tmp_path)
    assert files_in(tmp_path) == []


def test_download_adds_what_is_missing_and_leaves_the_rest_alone(stand_in, tmp_path, monkeypatch):
    raw, server = stand_in / "MNIST" / "raw", tmp_path / "server"
    shutil.copytree(raw, server)
    for name in NAMES[:2]:
        (raw / name).unlink()
    kept = {name: (raw / name).stat().st_mtime_ns for name in NAMES[2:]}

    def copy(folder, name):
        shutil.copy(server / name, folder / name)

    downloads(monkeypatch, copy)
    assert len(load_mnist(stand_in).train_labels) == 300
    assert files_in(stand_in) == NAMES
    assert {name: (raw / name).stat().st_mtime_ns for name in kept} == kept


def test_download_through_http_is_unpacked_into_place(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    site, root, archives = tmp_path / "site", tmp_path / "root", []
    site.mkdir()
    for name in NAMES:
        content = gzip.compress((stand_in / "MNIST" / "raw" / name).read_bytes())
        (site / f"{name}.gz").write_bytes(content)
        archives.append((f"{name}.gz", hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", archives)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [address + "absent/", address])
        assert len(load_mnist(root).train_labels) == 300
        server.shutdown()
    assert files_in(root) == NAMES


def test_root_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    downloads(monkeypatch, no_network)
    file = tmp_path / "file"
    file.write_text("not a folder")
    with pytest.raises(MNISTError, match="train-images-idx3-ubyte: missing"):
        load_mnist(file / "root")
    assert file.read_text() == "not a folder"


def test_silent_server_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(module, "_NETWORK_TIMEOUT", 0.2)
    errors = []

    def load():
        with pytest.raises(MNISTError, match="timed out") as caught:
            load_mnist(tmp_path)
        errors.append(caught.value)

    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts connections and says nothing
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [address])
        thread = threading.Thread(target=load)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()  # and if it is: the server closes now, and with it the connection
    thread.join(20)
    assert errors and socket.getdefaulttimeout() is None
    assert files_in(tmp_path) == []


def test_synthetic_images_have_mnists_density_and_border():
    data = synthetic_mnist(1000, 3)
    images = data.train_images.reshape(-1, 28, 28)
    assert data.source == "synthetic"
    assert abs((images > 0).mean() - 0.19) < 0.01
    border = np.ones((28, 28), dtype=bool)
    border[4:-4, 4:-4] = False
    assert not images[:, border].any()
    assert set(data.train_labels) == set(data.test_labels) == set(range(10))


def test_synthetic_images_depend_on_the_seed_alone():
    assert synthetic_mnist(50, 1).checksum == synthetic_mnist(50, 1).checksum
    assert synthetic_mnist(50, 1).checksum["train_images"] != synthetic_mnist(50, 2).checksum["train_images"]


@pytest.mark.parametrize("sizes", [dict(n=9), dict(n=100, n_test=9)])
def test_too_few_synthetic_images_are_refused(sizes):
    with pytest.raises(ValueError, match="at least 10"):
        synthetic_mnist(**sizes)
