"""Recorded results: small JSON files that say how they were made and refuse to be edited.

A recording is one JSON object; ``data/README.md`` documents its fields. The last one, ``sha256``, is the SHA-256
sum of all others in canonical form, so a damaged or hand-edited file is refused. Files are written atomically:
a reader sees the old content or the new, never a part. Numbers are read back as numbers, nothing is executed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
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
    """Describe the machine and the software of this process.

    Parameters
    ----------
    device : str
        Name of the torch device that does the work.
    """
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


def now() -> str:
    """Return the current time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Recording:
    """A result and how it was made.

    Attributes
    ----------
    kind : str
        What it is: ``"sweep"``, ``"step-size-search"``, ``"benchmark"``, ...
    configuration : dict
        Everything that determines the result, under plain names.
    runs : list of dict
        The rows of the result, under plain names.
    seconds : float
        Wall-clock time of the computation.
    data : dict, optional
        ``source`` and ``checksum`` of the data used.
    groups : list of dict
        Where the runs were computed in groups: each group's ``members``, ``seconds`` and ``environment``.
    environment : dict
        Machine and software, see `environment`; that of the first group where there are several.
    created : str
        Date and time in UTC.
    """

    kind: str
    configuration: dict[str, Any]
    runs: list[dict[str, Any]]
    seconds: float
    data: dict[str, Any] | None = None
    groups: list[dict[str, Any]] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=environment)
    created: str = field(default_factory=now)


def significant(values: Any, digits: int = DIGITS) -> Any:
    """Round a number or an array to ``digits`` significant decimal digits, as a float or a list of floats.

    A fraction k/n keeps enough of them to tell k as long as n is below 10^digits / 2.

    >>> significant([2 / 3, 1234.56789])
    [0.6666667, 1234.568]
    """
    if np.ndim(values):
        return [significant(value, digits) for value in values]
    return float(f"{float(values):.{digits}g}")


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of ``path`` when the block ends well, and is gone when it does not.

    It is a temporary file beside ``path``, flushed to disk before it moves into place.

    Raises
    ------
    RecordingError
        If it cannot be written. What was there before is untouched.
    """
    path = Path(path)
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        try:
            with open(scratch, "xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(scratch, path)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written ({error.strerror})") from error


def save(recording: Recording, path: str | Path) -> None:
    """Write a recording, whole or not at all; see `replacing`.

    NaN and infinities become ``null``, arrays lists, dictionary keys strings.

    Raises
    ------
    RecordingError
        If the file cannot be written. What was there before is untouched.
    """
    content = {"schema": SCHEMA} | _plain(asdict(recording))
    text = _text(content | {"sha256": _checksum(content)})
    with replacing(path) as stream:
        stream.write(text.encode())


def load(path: str | Path, kind: str | None = None) -> Recording:
    """Read a recording and verify it.

    Parameters
    ----------
    path : path
        The file.
    kind : str, optional
        The kind that is needed.

    Raises
    ------
    RecordingError
        If the file is missing, damaged, edited by hand, of another schema version or of another kind.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise RecordingError(f"{path}: not a file (but a folder, pipe or device)")
        content = json.loads(
            path.read_text(encoding="utf-8"),
            parse_constant=_finite,
            parse_float=_finite,
            object_pairs_hook=_without_repetition,
        )
        if not isinstance(content, dict):
            raise RecordingError(f"{path}: not a recording (but another JSON value)")
        found = _checksum({name: value for name, value in content.items() if name != "sha256"})
    except FileNotFoundError as error:
        raise RecordingError(f"{path}: there is no such recording") from error
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"{path}: damaged, not a JSON recording ({error})") from error
    if "schema" not in content:
        raise RecordingError(f"{path}: not a recording (it has no schema version)")
    if content["schema"] != SCHEMA:
        raise RecordingError(f"{path}: schema version {content['schema']!r}, but this program reads version {SCHEMA}")
    if content.get("sha256") != found:
        raise RecordingError(
            f"{path}: its content does not match its checksum, so it was edited or damaged; "
            "restore it from version control, or delete it and make it again"
        )
    if kind is not None and content.get("kind") != kind:
        raise RecordingError(f"{path}: a recording of kind {content.get('kind')!r}, but {kind!r} is needed")
    try:
        return Recording(**{name: value for name, value in content.items() if name not in ("schema", "sha256")})
    except TypeError as error:
        raise RecordingError(f"{path}: its fields are not those of a recording ({error})") from error


def differences(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Say precisely in which fields two configurations differ.

    Parameters
    ----------
    recorded, wanted : mapping
        For instance a recording's ``configuration`` and the one asked for.

    Returns
    -------
    list of str
        One phrase a field; empty if they agree.

    >>> differences({"alpha": 0.5, "steps": 420}, {"alpha": 0.1, "steps": 420})
    ['alpha: recorded 0.5, wanted 0.1']
    """
    recorded, wanted = _plain(recorded), _plain(wanted)
    absent = object()
    phrases = []
    for name in sorted(recorded.keys() | wanted.keys()):
        left, right = recorded.get(name, absent), wanted.get(name, absent)
        if left != right:
            shown = ["nothing" if side is absent else json.dumps(side) for side in (left, right)]
            phrases.append(f"{name}: recorded {shown[0]}, wanted {shown[1]}")
    return phrases


def check_writable(path: str | Path) -> None:
    """Raise `RecordingError` unless a file can be written at ``path``; nothing is left there."""
    path = Path(path)
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        if path.exists() and not path.is_file():
            raise RecordingError(f"{path}: is a folder, pipe or device, but a file is to be written")
        if not path.parent.is_dir():
            raise RecordingError(f"{path}: the folder {path.parent} does not exist")
        scratch.touch(exist_ok=False)
        scratch.unlink()
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written ({error.strerror})") from error


def _plain(value: Any) -> Any:
    """Turn arrays, tuples and numpy numbers into JSON's types, and numbers that are not finite into None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    raise TypeError(f"a recording holds numbers, strings, lists and dictionaries, not {type(value).__name__}")


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _text(content: dict[str, Any]) -> str:
    """Lay the content out with one field a line, and one run or group a line."""
    fields = []
    for name, value in content.items():
        if isinstance(value, list) and value:
            rows = ",\n  ".join(_compact(row) for row in value)
            fields.append(f' "{name}": [\n  {rows}\n ]')
        else:
            fields.append(f' "{name}": {_compact(value)}')
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _checksum(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits} is not a finite number")
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name comes twice in one object")
    return content


def _processor() -> str:
    """Return the processor's model name, as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()
