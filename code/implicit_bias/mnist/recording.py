"""Recorded results: small JSON files that say how they were made and refuse to be edited.

A recording is one JSON object; ``data/README.md`` documents its fields. The last one, ``sha256``, is the SHA-256
sum of all others in canonical form, so a damaged or hand-edited file is refused. Files are written atomically:
a reader sees the old content or the new, never a part. Numbers are read back as numbers, nothing is executed.
"""

import hashlib
import json
import math
import os
import platform
import re
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .. import __version__

SCHEMA = 1
"""Version of the format. A file of another version is refused."""

DIGITS = 7
"""Significant decimal digits that measured numbers keep, see `significant`."""


class RecordingError(Exception):
    """A recording cannot be written, or read, or trusted; the message names the file."""


def environment(device: str = "cpu") -> dict[str, Any]:
    """Describe the machine and the software of this process, and the torch device that does the work."""
    import torch

    if torch.device(device).type == "cuda":
        device = f"{device} ({torch.cuda.get_device_name(device)})"
    return {
        "implicit_bias": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device,
    }


def _processor() -> str:
    """Return the processor's model name, as the system gives it."""
    try:
        model = re.search(r"^model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        model = None
    return model[1].strip() if model else platform.processor() or platform.machine()


@dataclass(frozen=True)
class Recording:
    """A result and how it was made.

    Its ``kind`` (``"sweep"``, ``"step-size-search"``, ``"benchmark"``, ...); the ``configuration``, everything that
    determines the result; the rows of the result, ``runs``; the wall-clock ``seconds`` of the computation; ``source``
    and ``checksum`` of the ``data``; where runs were computed in ``groups``, the ``members``, ``seconds`` and
    ``environment`` of each; the ``environment``, of the first group where there are several; when it was ``created``.
    """

    kind: str
    configuration: dict[str, Any]
    runs: list[dict[str, Any]]
    seconds: float
    data: dict[str, Any] | None = None
    groups: list[dict[str, Any]] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=environment)
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def significant(values: Any) -> Any:
    """Round a number or an array to `DIGITS` significant digits, as floats in lists; what is not finite is None.

    A fraction k/n keeps enough of them to tell k as long as n is below 10^7 / 2.

    >>> significant([2 / 3, 1234.56789, float("nan")])
    [0.6666667, 1234.568, None]
    """
    if np.ndim(values):
        return [significant(value) for value in values]
    return float(f"{float(values):.{DIGITS}g}") if math.isfinite(values) else None


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield a new name beside ``path``, at which nothing is left; `RecordingError` if it cannot be written."""
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        try:
            yield scratch
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written ({error.strerror})") from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of ``path`` when the block ends well, and is gone when it does not.

    It is a temporary file beside ``path``, flushed to disk before it moves into place. If it cannot be written, that is
    a `RecordingError`, and what was there before is untouched.
    """
    with _beside(path) as scratch:
        with open(scratch, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(scratch, path)


def check_writable(path: Path) -> None:
    """Raise `RecordingError` unless a recording can be written at ``path``, where nothing but a recording may be."""
    with _beside(path) as scratch:
        scratch.touch()
    if path.exists():
        load(path)


def save(recording: Recording, path: Path) -> None:
    """Write a recording, whole or not at all; see `replacing`. Arrays become lists, dictionary keys strings."""
    content = _plain({"schema": SCHEMA} | asdict(recording))
    text = _text(content | {"sha256": _checksum(content)})
    with replacing(path) as stream:
        stream.write(text.encode())


def load(
    path: str | Path,
    kind: str | None = None,
    configuration: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Recording:
    """Read a recording and verify it.

    `RecordingError` if it is missing, damaged, edited by hand, of another schema version or, where they are given, of
    another kind, configuration or data; then it says what differs.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise RecordingError(f"{path}: not a file (but a folder, pipe or device)")
        content = json.loads(path.read_text("utf-8"), object_pairs_hook=_without_repetition)
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise RecordingError(f"{path}: not a recording of schema version {SCHEMA}")
        stated, found = content.pop("sha256", None), _checksum(content)
        del content["schema"]
        if stated != found:
            raise RecordingError(
                f"{path}: its content does not match its checksum, so it was edited or damaged; "
                "restore it from version control, or delete it and make it again"
            )
        recording = Recording(**content)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise RecordingError(f"{path}: damaged, not a JSON recording ({error})") from error
    if kind not in (None, recording.kind):
        raise RecordingError(f"{path}: a recording of kind {recording.kind!r}, but {kind!r} is needed")
    phrases = [] if configuration is None else differences(recording.configuration, configuration)
    phrases += [] if data is None else differences({"data": recording.data}, {"data": data})
    if phrases:
        raise RecordingError(f"{path}: {'; '.join(phrases)}")
    return recording


def differences(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Say in which fields two configurations differ: one phrase a field.

    >>> differences({"alpha": 0.5, "steps": 420}, {"alpha": 0.1, "steps": 420})
    ['alpha: recorded 0.5, wanted 0.1']
    """
    recorded, wanted = _plain(recorded), _plain(wanted)
    absent, phrases = object(), []
    for name in sorted(recorded.keys() | wanted.keys()):
        left, right = recorded.get(name, absent), wanted.get(name, absent)
        if left != right:
            shown = ["nothing" if side is absent else json.dumps(side) for side in (left, right)]
            phrases.append(f"{name}: recorded {shown[0]}, wanted {shown[1]}")
    return phrases


def _plain(value: Any) -> Any:
    """Return the value as JSON gives it back. What is not finite, or neither JSON's nor numpy's, is an error."""
    return json.loads(json.dumps(value, default=lambda array: array.tolist(), allow_nan=False))


def _compact(value: Any, sort_keys: bool = False) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, sort_keys=sort_keys)


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(_compact(content, sort_keys=True).encode()).hexdigest()


def _text(content: dict[str, Any]) -> str:
    """Lay the content out with one field a line, and one run or group a line."""
    fields = []
    for name, value in content.items():
        rows = ",\n  ".join(map(_compact, value)) if isinstance(value, list) else ""
        fields.append(f' "{name}": ' + (f"[\n  {rows}\n ]" if rows else _compact(value)))
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name comes twice in one object")
    return content
