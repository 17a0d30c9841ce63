"""MNIST is read right or refused with one clear message, and nothing half-written stays behind.

Most tests run on synthetic images in MNIST's file format, which stand in for the real files.
"""

import functools
import gzip
import os
import socket
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import torchvision.datasets
from implicit_bias.mnist import data as module
from implicit_bias.mnist.data import MNISTError, load_mnist, synthetic_mnist

NAMES = sorted(module.MD5)


def files_in(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def raw(stand_in):
    return stand_in / "MNIST" / "raw"


@pytest.fixture
def mirrors(monkeypatch):
    """Torchvision's list of mirrors, which names an address where nobody answers."""
    monkeypatch.setenv("no_proxy", "*")
    addresses = ["http://127.0.0.1:1/"]
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", addresses)
    return addresses


@pytest.fixture
def site(raw, tmp_path, mirrors):
    """The folder of another mirror, a server that has the four files."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.gz").write_bytes(gzip.compress((raw / name).read_bytes()))
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        mirrors += [f"http://127.0.0.1:{server.server_port}/absent/", f"http://127.0.0.1:{server.server_port}/"]
        yield folder
        server.shutdown()


def test_real_files_are_the_published_ones(mnist):
    assert mnist.source == "mnist" and mnist.checksum == module.MD5
    assert mnist.train_images.shape == (60_000, 784) and mnist.test_images.shape == (10_000, 784)
    assert mnist.train_images.dtype == np.uint8 and mnist.train_labels.dtype == np.int64
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # of each digit, as published
    assert np.bincount(mnist.train_labels).tolist() == counts


def test_nothing_but_the_four_checked_files_is_read(stand_in):
    """Where torchvision finds files that it once processed, it reads, and unpickles, those instead."""
    processed = stand_in / "MNIST" / "processed"
    processed.mkdir()
    for name in ("training.pt", "test.pt"):
        torch.save((torch.zeros(50, 28, 28, dtype=torch.uint8), torch.zeros(50, dtype=torch.int64)), processed / name)
    data, written = load_mnist(stand_in), synthetic_mnist(300)
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(data, name), getattr(written, name))


def test_environment_variable_names_the_root(stand_in, monkeypatch):
    monkeypatch.setenv("MNIST_ROOT", str(stand_in))
    assert len(load_mnist().train_labels) == 300
    monkeypatch.setenv("MNIST_ROOT", "")
    assert module.default_root() == module.PROJECT / "data"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:-1], id="truncated"),
        pytest.param(lambda content: content[:-1] + bytes([content[-1] ^ 1]), id="one bit wrong"),
        pytest.param(lambda content: b"", id="empty"),
    ],
)
def test_damaged_file_is_refused_and_named(raw, name, damage):
    (raw / name).write_bytes(damage((raw / name).read_bytes()))
    with pytest.raises(MNISTError, match=rf"{name}: wrong or truncated.*delete it") as caught:
        load_mnist(raw.parents[1])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_refused(raw, make):
    (raw / NAMES[0]).unlink()
    make(raw / NAMES[0])
    with pytest.raises(MNISTError, match=rf"{NAMES[0]}: not a file"):
        load_mnist(raw.parents[1])


@pytest.mark.parametrize("root", ["new/root", "file/root"])
def test_missing_file_without_network_is_named_and_nothing_is_made(tmp_path, mirrors, root):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(MNISTError, match=r"train-images-idx3-ubyte: missing, .*refused.*copy the four") as caught:
        load_mnist(tmp_path / root)
    assert "\n" not in str(caught.value)
    assert files_in(tmp_path).keys() == {"file"} and not (tmp_path / "new").exists()


def test_root_that_cannot_be_written_is_named(site, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(MNISTError, match=r"train-images-idx3-ubyte: missing, .*Not a directory"):
        load_mnist(tmp_path / "file" / "root")


def test_download_adds_what_is_missing_and_leaves_the_rest_alone(raw, site):
    kept = {name: files_in(raw)[name] for name in NAMES[2:]}
    for name in NAMES[:2]:
        (raw / name).unlink()
    assert len(load_mnist(raw.parents[1]).train_labels) == 300
    assert sorted(files_in(raw)) == NAMES and kept.items() <= files_in(raw).items()


@pytest.mark.parametrize("content", [gzip.compress(b"another file", mtime=0), b"an error page", None])
def test_wrong_or_truncated_download_is_refused(raw, site, content):
    (raw / NAMES[1]).unlink()
    before, archive = files_in(raw), site / f"{NAMES[1]}.gz"
    archive.write_bytes(content or archive.read_bytes()[:-9])
    with pytest.raises(MNISTError, match=f"{NAMES[1]}: missing, and the download failed"):
        load_mnist(raw.parents[1])
    assert files_in(raw) == before


@pytest.mark.parametrize("failure, raised", [(KeyboardInterrupt, KeyboardInterrupt), (OSError(28, "full"), MNISTError)])
def test_interrupted_download_leaves_no_file(raw, site, monkeypatch, failure, raised):
    (raw / NAMES[1]).unlink()
    before = files_in(raw)
    monkeypatch.setattr(os, "fsync", Mock(side_effect=failure))  # the content is written, not in place
    with pytest.raises(raised):
        load_mnist(raw.parents[1])
    assert files_in(raw) == before


def test_silent_server_is_given_up(tmp_path, mirrors, in_time, monkeypatch):
    monkeypatch.setattr(module, "_NETWORK_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts connections and says nothing
        mirrors.append(f"http://127.0.0.1:{server.getsockname()[1]}/")
        with pytest.raises(MNISTError, match="timed out"):
            in_time(lambda: load_mnist(tmp_path))
    assert files_in(tmp_path) == {}


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
