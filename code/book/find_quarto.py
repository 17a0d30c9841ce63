"""Print the path of the ``quarto`` that builds the book, or nothing where there is none.

In this order: the environment variable ``QUARTO``, the ``PATH``, the environment's own ``quarto``, and, once
for each environment, ``pip install quarto-cli``, which downloads Quarto itself and so fails on a closed network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = "quarto-cli==1.7.34"
PATIENCE = 300
"""Seconds that the installation may take."""


def find_quarto(environment: Path) -> str | None:
    """Return the path of a ``quarto``, trying to install one into ``environment`` if none is found.

    Raises
    ------
    SystemExit
        If the variable ``QUARTO`` names something that cannot be run.
    """
    asked = os.environ.get("QUARTO")
    if asked:
        found = shutil.which(asked)
        if found is None:
            raise SystemExit(f"QUARTO={asked}: no such program; unset it, or name the quarto to use")
        return found
    found = shutil.which("quarto") or shutil.which("quarto", path=str(environment / "bin"))
    tried = environment / ".quarto-tried"
    if found or tried.exists():
        return found
    print(f"no quarto found: trying pip install {PACKAGE}, once", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]
    try:
        subprocess.run(command, timeout=PATIENCE, check=True, capture_output=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        tried.touch()
        print(f"that failed, which is no harm: code/book builds the same book; delete {tried} to try again", file=sys.stderr)
        return None
    return shutil.which("quarto", path=str(environment / "bin"))


if __name__ == "__main__":
    print(find_quarto(Path(sys.prefix)) or "")
