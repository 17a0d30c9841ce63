"""What the searches found, kept on disk, so that a build runs each of them once.

There is one small file a search in ``.cache/searches/`` beside the book's ``_quarto.yml``: what it found, and the key
of the state of the program in which it did, a hash of the sources that a quotient depends on and of the versions of
Python, NumPy and SciPy. The key comes last, so that a file that was not written to its end counts for nothing.
"""

import hashlib
import platform
import sys
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


FOLDER = next((root / ".cache/searches" for root in PACKAGE.parents if (root / "_quarto.yml").exists()), None)
KEY = _key()  # now, while the modules are imported: the sources may be edited while the program runs


def kept(label: str, run: Callable[[], float]) -> float:
    """Return the number kept for ``label``; where there is none, run the search and keep what it finds.

    Nothing is kept where the package is installed without the book.
    """
    if FOLDER is None:
        return run()
    file = FOLDER / label.replace(":", "-")
    try:
        found, key = file.read_text().split()
        if key == KEY:
            return float(found)
    except (OSError, ValueError):
        pass  # absent or damaged
    quotient = run()
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{quotient!r} {KEY}\n")
    except OSError as error:
        print(f"{file} cannot be written ({error}): the search will run again", file=sys.stderr)
    return quotient
