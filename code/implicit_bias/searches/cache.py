"""What the searches found, kept on disk, so that a build runs each of them once.

The file is ``.cache/searches.json`` beside the book's ``_quarto.yml``. It holds for one state of the program: its key
is a hash of the sources that a quotient depends on and of the versions of Python, NumPy and SciPy, and under another
key it counts as empty. Of two processes that write at once one may lose what it found, and finds it again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy

PACKAGE = Path(__file__).resolve().parents[1]


def _key() -> str:
    digest = hashlib.sha256(f"{platform.python_version()} {np.__version__} {scipy.__version__}".encode())
    for path in sorted(PACKAGE.rglob("*.py")):
        name, content = path.relative_to(PACKAGE).as_posix(), path.read_bytes()
        if not name.startswith(("figures/", "mnist/")):
            digest.update(f"\n{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


FOLDER = next((root / ".cache" for root in PACKAGE.parents if (root / "_quarto.yml").exists()), None)
KEY = _key()  # now, while the modules are imported: the sources may be edited while the program runs


def _read(file: Path) -> dict[str, float]:
    """Return the quotients kept under `KEY`, none if the file is absent, under another key or damaged."""
    try:
        content = json.loads(file.read_text())
        quotients: dict[str, float] = content["quotients"] if content["key"] == KEY else {}
        if not all(math.isfinite(value) for value in quotients.values()):
            raise ValueError("a quotient is not finite")
    except FileNotFoundError:
        return {}
    except Exception as error:  # as many kinds as there are things that a file can hold
        print(f"{file} cannot be used ({error!r}): the searches run again", file=sys.stderr)
        return {}
    return quotients


def kept(label: str, run: Callable[[], float]) -> float:
    """Return the number kept for ``label``; where there is none, run the search and keep what it finds.

    Nothing is kept where the package is installed without the book.
    """
    if FOLDER is None:
        return run()
    file = FOLDER / "searches.json"
    quotients = _read(file)
    if label not in quotients:
        found = run()
        quotients = _read(file) | {label: found}  # another process may have written meanwhile
        try:
            FOLDER.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=FOLDER, delete=False) as temporary:
                json.dump({"key": KEY, "quotients": quotients}, temporary, indent=1)
            os.replace(temporary.name, file)
        except OSError as error:
            print(f"{file} cannot be written ({error}): the searches will run again", file=sys.stderr)
    return quotients[label]
