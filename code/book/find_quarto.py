"""Print the path of the ``quarto`` that builds the book, or nothing where there is none.

In this order: the environment variable ``QUARTO``, the ``PATH``, the environment's own ``quarto``, and, once for each
environment, ``pip install quarto-cli``, which downloads Quarto itself and so fails on a closed network.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = "quarto-cli==1.7.34"


def find_quarto(environment: Path) -> str | None:
    """Return the path of a ``quarto``, trying once to install one into ``environment`` if none is found."""
    own, tried = str(environment / "bin"), environment / ".quarto-tried"
    if asked := os.environ.get("QUARTO"):
        return shutil.which(asked) or sys.exit(f"QUARTO={asked}: no such program; unset it, or name the quarto to use")
    found = shutil.which("quarto") or shutil.which("quarto", path=own)
    if found or tried.exists():
        return found
    tried.touch()
    warning = (
        f"no quarto found: trying, once, pip install {PACKAGE}, which runs code that requirements.txt does not pin"
    )
    print(f"{warning} (`touch {tried}` avoids it; code/book builds the same book)", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]
    with contextlib.suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
        subprocess.run(command, timeout=300, check=True, capture_output=True)
    return shutil.which("quarto", path=own)


if __name__ == "__main__":
    print(find_quarto(Path(sys.prefix)) or "")
