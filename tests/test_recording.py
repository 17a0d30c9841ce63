"""A recording is whole, says how it was made, and is refused once it was touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

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
    assert load(saved, "sweep") == small


def test_recording_says_how_it_was_made(saved):
    content = json.loads(saved.read_text())
    assert {"schema", "kind", "configuration", "data", "created", "seconds", "runs", "sha256"} <= content.keys()
    assert {"implicit_bias", "python", "torch", "numpy", "platform", "processor", "cores", "threads", "device"} <= (
        content["environment"].keys()
    )
    assert content["created"].endswith("+00:00")


def test_each_run_is_one_line(saved):
    assert [line.count("seed") for line in saved.read_text().splitlines() if "seed" in line] == [1, 1]


def test_arrays_are_lists_and_what_is_not_finite_is_null(tmp_path):
    values = np.array([1.0, np.nan, np.inf, -np.inf])
    save(
        Recording(
            "sweep",
            {},
            [{"loss": values, "test_error": float("nan"), "step": np.int64(3), "singular_values": {0: np.ones(2)}}],
            0.0,
        ),
        tmp_path / "x.json",
    )
    text = (tmp_path / "x.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert load(tmp_path / "x.json").runs == [
        {"loss": [1.0, None, None, None], "test_error": None, "step": 3, "singular_values": {"0": [1.0, 1.0]}}
    ]


def test_what_json_cannot_hold_is_refused(tmp_path):
    with pytest.raises(TypeError, match="not set"):
        save(Recording("sweep", {"x": {1, 2}}, [], 0.0), tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "old, new",
    [
        ("2.302585", "2.302586"),
        ('"seed":1', '"seed":2'),
        ('"alpha":0.5', '"alpha":0.6'),
        ("null", "7"),
        ('"sha256": "', '"sha256": "0'),
        ('"kind": "sweep"', '"kind": "benchmark"'),
    ],
)
def test_edited_recording_is_refused(saved, old, new):
    text = saved.read_text()
    assert old in text
    saved.write_text(text.replace(old, new, 1))
    with pytest.raises(RecordingError, match=rf"{saved.name}.*does not match its checksum.*restore it"):
        load(saved)


def test_recording_without_checksum_is_refused(saved):
    content = json.loads(saved.read_text())
    del content["sha256"]
    saved.write_text(json.dumps(content))
    with pytest.raises(RecordingError, match="checksum"):
        load(saved)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda text: text[: len(text) // 2], id="truncated"),
        pytest.param(lambda text: "", id="empty"),
        pytest.param(lambda text: text.replace("1.25", "NaN"), id="NaN"),
        pytest.param(lambda text: "\x00" * len(text), id="zeros"),
        pytest.param(lambda text: text.replace("1.25", "1e999"), id="infinite"),
        pytest.param(lambda text: text.replace("1.25", '1.25, "seconds": 1.25'), id="repeated name"),
        pytest.param(lambda text: "[" * 100_000, id="nested"),
    ],
)
def test_damaged_recording_is_refused(saved, damage):
    saved.write_text(damage(saved.read_text()))
    with pytest.raises(RecordingError, match=rf"{saved.name}: damaged"):
        load(saved)


@pytest.mark.parametrize("depth", range(900, 1000, 4))
def test_nesting_at_the_limit_of_python_is_refused(saved, depth):
    """Whether it can be read, or be read but not summed."""
    saved.write_text(saved.read_text().replace("1.25", "[" * depth + "]" * depth))
    with pytest.raises(RecordingError, match=saved.name):
        load(saved)


def test_bytes_that_are_not_text_are_refused(saved):
    saved.write_bytes(b"\xff\xfe\x80")
    with pytest.raises(RecordingError, match="damaged"):
        load(saved)


def test_other_json_is_refused(saved):
    saved.write_text("[1, 2]")
    with pytest.raises(RecordingError, match="not a recording"):
        load(saved)


def test_other_fields_are_refused(saved):
    content = json.loads(saved.read_text()) | {"author": "me"}
    content["sha256"] = module._checksum({name: value for name, value in content.items() if name != "sha256"})
    saved.write_text(json.dumps(content))
    with pytest.raises(RecordingError, match=rf"{saved.name}: its fields are not those of a recording"):
        load(saved)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_neither_read_nor_written(tmp_path, make):
    make(tmp_path / "x.json")
    with pytest.raises(RecordingError, match=r"x.json: not a file"):
        load(tmp_path / "x.json")
    with pytest.raises(RecordingError, match=r"x.json: is a folder, pipe or device"):
        check_writable(tmp_path / "x.json")


def test_other_schema_is_refused(saved):
    saved.write_text(saved.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(RecordingError, match="schema version 2, but this program reads version 1"):
        load(saved)


def test_other_kind_is_refused(saved):
    with pytest.raises(RecordingError, match="'sweep', but 'benchmark' is needed"):
        load(saved, "benchmark")


def test_missing_recording_is_named(tmp_path):
    with pytest.raises(RecordingError, match=r"absent.json: there is no such recording"):
        load(tmp_path / "absent.json")


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
        from implicit_bias.mnist import recording
        os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)  # the new content is written, not in place
        old = recording.load(sys.argv[1])
        recording.save(recording.Recording("sweep", {}, [], 9.0), sys.argv[1])
    """
    killed = subprocess.run(
        [sys.executable, "-c", program, str(saved)], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert killed.returncode == -signal.SIGKILL
    assert saved.read_bytes() == before
    load(saved)


def test_differences_name_each_field():
    recorded = {"alpha": 0.5, "seeds": [0, 1], "steps": 500, "old": 1}
    wanted = {"alpha": 0.1, "seeds": (0, 1), "steps": 500, "new": True}
    assert differences(recorded, wanted) == [
        "alpha: recorded 0.5, wanted 0.1",
        "new: recorded nothing, wanted true",
        "old: recorded 1, wanted nothing",
    ]
    assert differences(recorded, recorded) == []


def test_rounding_keeps_the_digits_stated():
    assert significant(1234.56789) == 1234.568
    assert significant(np.array([1 / 3, 2e-9 / 3])) == [0.3333333, 6.666667e-10]


def test_rounded_error_still_tells_the_number_of_images():
    counts = np.random.default_rng(0).integers(60_001, size=2000)
    np.testing.assert_array_equal(np.rint(np.array(significant(counts / 60_000)) * 60_000), counts)


def test_writability_is_checked_without_a_trace(tmp_path):
    check_writable(tmp_path / "new.json")
    assert list(tmp_path.iterdir()) == []


def test_unwritable_places_are_named(tmp_path, monkeypatch):
    with pytest.raises(RecordingError, match=r"the folder .*none does not exist"):
        check_writable(tmp_path / "none" / "x.json")
    with pytest.raises(RecordingError, match="File name too long"):
        check_writable(tmp_path / f"{'x' * 300}.json")

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.Path, "touch", refuse)  # the tests may run as root, who may write anywhere
    with pytest.raises(RecordingError, match=r"cannot be written .Permission denied"):
        check_writable(tmp_path / "x.json")
