"""Copy MathJax beside the book's pages, so that their mathematics displays without a network.

Quarto runs this file after it has rendered (`post-render` in `_quarto.yml`). The package sphinx-mathjax-offline holds
MathJax 3 with every TeX extension in one file, drawing in SVG, which needs no font files.
"""

import os
import shutil
from importlib.metadata import distribution
from pathlib import Path


def copy_mathjax(book: Path) -> None:
    """Copy MathJax into the book built in the folder ``book``, to where its pages look for it."""
    source = next(file for file in distribution("sphinx-mathjax-offline").files or [] if file.name == "tex-svg-full.js")
    (book / "site_libs/mathjax").mkdir(parents=True, exist_ok=True)
    shutil.copy(str(source.locate()), book / "site_libs/mathjax")


if __name__ == "__main__":
    output = Path(os.environ["QUARTO_PROJECT_OUTPUT_DIR"])
    if (output / "index.html").exists():  # there are no pages where only the PDF was built
        copy_mathjax(output)
