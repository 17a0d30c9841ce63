"""Copy MathJax beside the book's pages, so that their mathematics displays without a network.

Quarto runs this file after it has rendered (``post-render`` in ``_quarto.yml``), and names the output folder in
``QUARTO_PROJECT_OUTPUT_DIR``. The package sphinx-mathjax-offline holds MathJax 3 with every TeX extension in one
file, drawing in SVG, which needs no font files.
"""

from __future__ import annotations

import os
import shutil
from importlib.metadata import distribution
from pathlib import Path

SCRIPT = "site_libs/mathjax/tex-svg-full.js"
"""Where the pages look for MathJax, relative to the output folder; the same path stands in ``_quarto.yml``."""


def copy_mathjax(book: Path) -> None:
    """Copy MathJax into the book built in the folder ``book``."""
    found = distribution("sphinx-mathjax-offline").files or []
    source = next(file for file in found if file.name == Path(SCRIPT).name)
    (book / SCRIPT).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(str(source.locate()), book / SCRIPT)


if __name__ == "__main__":
    output = Path(os.environ.get("QUARTO_PROJECT_OUTPUT_DIR", "_book"))
    if (output / "index.html").exists():  # there are no pages where only the PDF was built
        copy_mathjax(output)
