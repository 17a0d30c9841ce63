"""A recording is whole, says how it was made, and is refused once it was touched."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from implicit_bias.mnist import recording as module
from implicit_bias.mnist.recording import (
    Recording,
    RecordingError,
    check_writable,
    differences,
    load,
    save,
    significant,
)


@pytest.fixture
def small() -> Recording:
    runs = [{"sigma": 0.02, "seed": seed, "loss": [2.302585, 0.5], "diverged_at": None} for seed in (0, 1)]
    return Recording("sweep", {"sigmas": [0.02], "alpha": 0.5}, runs, 1.25, {"source": "synthetic", "checksum": {}})


@pytest.fixture
def saved(small, tmp_path):
    save(small, tmp_path / "small.json")
    return tmp_path / "small.json"


def test_what_is_read_back_is_what_was_saved(small, saved):
    assert load(saved, "sweep", small.configuration, small.data) == small


def test_recording_says_how_it_was_made_and_each_run_is_one_line(saved):
    content = json.loads(saved.read_text())
    assert {"schema", "kind", "configuration", "data", "created", "seconds", "runs", "sha256"} <= content.keys()
    assert {"implicit_bias", "python", "torch", "numpy", "platform", "processor", "cores", "threads", "device"} <= (
        content["environment"].keys()
    )
    assert content["created"].endswith("+00:00")
    assert [line.count("seed") for line in saved.read_text().splitlines() if "seed" in line] == [1, 1]


def test_arrays_are_lists_and_what_is_not_finite_is_null(small, saved):
    values = significant(np.array([1.0, np.nan, np.inf, -np.inf]))
    save(replace(small, runs=[{"loss": values, "step": np.int64(3), "singular_values": {0: np.ones(2)}}]), saved)
    assert load(saved).runs == [{"loss": [1.0, None, None, None], "step": 3, "singular_values": {"0": [1.0, 1.0]}}]


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), np.array([np.inf])])
def test_what_json_cannot_hold_is_an_error(small, saved, value):
    before = saved.read_bytes()
    with pytest.raises((AttributeError, ValueError)):
        save(replace(small, runs=[{"x": value}]), saved)
    assert saved.read_bytes() == before and list(saved.parent.iterdir()) == [saved]


EDITED = r"does not match its checksum.*restore it"


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("2.302585", "2.302586", EDITED),
        ('"seed":1', '"seed":2', EDITED),
        ('"alpha":0.5', '"alpha":0.6', EDITED),
        ("null", "7", EDITED),
        ('"sha256": "', '"sha256": "0', EDITED),
        ('"sha256"', '"sha512"', EDITED),
        ('"kind": "sweep"', '"kind": "benchmark"', EDITED),
        ('"schema": 1', '"schema": 2', "not a recording of schema version 1"),
        ('"schema"', '"scheme"', "not a recording of schema version 1"),
        ("1.25", "NaN", "damaged"),
        ("1.25", "1e999", "damaged"),
        ("1.25", '1.25, "seconds": 1.25', "damaged.*twice"),
        ("}", "", "damaged"),
        ("{", "\x00", "damaged"),
    ],
)
def test_edited_recording_is_refused(saved, old, new, message):
    text = saved.read_text()
    assert old in text
    saved.write_text(text.replace(old, new, 1))
    with pytest.raises(RecordingError, match=rf"{saved.name}: .*{message}"):
        load(saved)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x80", b"[1, 2]", b"7", b"[" * 100_000])
def test_what_is_no_recording_is_refused(saved, content):
    saved.write_bytes(content)
    with pytest.raises(RecordingError, match=rf"{saved.name}: (damaged|not a recording)"):
        load(saved)
    with pytest.raises(RecordingError, match=saved.name):
        check_writable(saved)
    assert saved.read_bytes() == content


@pytest.mark.parametrize("depth", range(900, 1000, 4))
def test_nesting_at_the_limit_of_python_is_refused(saved, depth):
    """Whether it can be read, or be read but not summed."""
    saved.write_text(saved.read_text().replace("1.25", "[" * depth + "]" * depth))
    with pytest.raises(RecordingError, match=saved.name):
        load(saved)


def test_other_fields_are_refused(saved):
    content = json.loads(saved.read_text()) | {"author": "me"}
    del content["sha256"]
    saved.write_text(json.dumps(content | {"sha256": module._checksum(content)}))
    with pytest.raises(RecordingError, match=rf"{saved.name}: .*author"):
        load(saved)


def test_recording_of_something_else_is_refused(small, saved):
    with pytest.raises(RecordingError, match="'sweep', but 'benchmark' is needed"):
        load(saved, "benchmark")
    with pytest.raises(RecordingError, match=r"small.json: alpha: recorded 0.5, wanted 0.1; data: recorded .*wanted"):
        load(saved, "sweep", small.configuration | {"alpha": 0.1}, {"source": "mnist"})


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_neither_read_nor_written(tmp_path, make):
    make(tmp_path / "x.json")
    for use in (load, check_writable):
        with pytest.raises(RecordingError, match=r"x.json: not a file"):
            use(tmp_path / "x.json")


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_failed_write_keeps_the_old_content(small, saved, monkeypatch, broken):
    before = saved.read_bytes()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, broken, fail)
    with pytest.raises(RecordingError, match=r"small.json: cannot be written .No space left"):
        save(small, saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_process_killed_while_writing_keeps_the_old_content(saved):
    before = saved.read_bytes()
    program = """if True:
        import os, signal, sys
        from pathlib import Path
        from implicit_bias.mnist.recording import Recording, save
        os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)  # the new content is written, not in place
        save(Recording("sweep", {}, [], 9.0, environment={}), Path(sys.argv[1]))
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", program, saved], env=environment, timeout=60)
    assert killed.returncode == -signal.SIGKILL and len(list(saved.parent.iterdir())) == 2
    assert saved.read_bytes() == before


def test_differences_name_each_field():
    recorded = {"alpha": 0.5, "seeds": [0, 1], "steps": 500, "old": 1}
    wanted = {"alpha": 0.1, "seeds": (0, 1), "steps": 500, "new": True}
    assert differences(recorded, wanted) == [
        "alpha: recorded 0.5, wanted 0.1",
        "new: recorded nothing, wanted true",
        "old: recorded 1, wanted nothing",
    ]
    assert differences(recorded, recorded) == []


def test_rounding_keeps_the_digits_stated_and_tells_the_number_of_images():
    assert significant(1234.56789) == 1234.568
    assert significant(np.array([1 / 3, 2e-9 / 3])) == [0.3333333, 6.666667e-10]
    counts = np.random.default_rng(0).integers(60_001, size=2000)
    np.testing.assert_array_equal(np.rint(np.array(significant(counts / 60_000)) * 60_000), counts)


def test_writability_is_checked_without_a_trace(tmp_path, monkeypatch):
    check_writable(tmp_path / "new.json")
    assert list(tmp_path.iterdir()) == []
    for name, message in (("none/x.json", "none/x.json: .*No such file"), ("x" * 300, "File name too long")):
        with pytest.raises(RecordingError, match=message):
            check_writable(tmp_path / name)

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.Path, "touch", refuse)  # the tests may run as root, who may write anywhere
    with pytest.raises(RecordingError, match=r"cannot be written .Permission denied"):
        check_writable(tmp_path / "x.json")
