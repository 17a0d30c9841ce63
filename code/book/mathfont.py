"""Ship the formulas' font with a book's pages: ``site_libs/mathematics.css``, which the book's style sheet imports.

Quarto runs this file after it has rendered (`post-render` in `_quarto.yml`). The font is STIX Two Math, from the
package ziamath, cut down to the characters of the book's formulas. It stands in the style sheet itself, so that no
formula is ever shown in another font.
"""

import base64
import os
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path

from bs4 import BeautifulSoup
from fontTools import subset  # type: ignore[import-untyped] # it has no types
from fontTools.ttLib import TTFont  # type: ignore[import-untyped] # it has no types

ITALIC = dict(
    zip(map(ord, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), range(0x1D434, 0x1D468), strict=True)
)
ITALIC |= {ord("h"): 0x210E} | dict(zip(range(0x3B1, 0x3CA), range(0x1D6FC, 0x1D715), strict=True))
ITALIC |= {ord("ϕ"): 0x1D719, ord("ϵ"): 0x1D716}
"""What browsers draw for a variable of one letter."""


def write_font(book: Path) -> None:
    """Write the font for the formulas of the book built in the folder ``book``."""
    files = (file for file in book.rglob("*.html") if "site_libs" not in file.parts)
    pages = [BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser") for file in files]
    characters = {ord(c) for page in pages for math in page.select("math") for c in math.get_text()}
    options = subset.Options(layout_features=["ssty", "ss04"], flavor="woff")  # sizes in indices, and primes
    font = TTFont(str(distribution("ziamath").locate_file("ziamath/fonts/STIXTwoMath-Regular.ttf")))
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters | {ITALIC[c] for c in characters & ITALIC.keys()})
    subsetter.subset(font)
    font["MATH"].table.MathConstants.SubscriptBaselineDropMin.Value = 0  # as low below a y as below an x
    subset.save_font(font, file := BytesIO(), options)
    source = base64.b64encode(file.getvalue()).decode()
    style = (
        f'@font-face {{ font-family: "STIX Two Math"; src: url("data:font/woff;base64,{source}") format("woff"); }}\n'
    )
    (book / "site_libs").mkdir(exist_ok=True)
    (book / "site_libs/mathematics.css").write_text(style, encoding="utf-8")


if __name__ == "__main__":
    output = Path(os.environ["QUARTO_PROJECT_OUTPUT_DIR"])
    if (output / "index.html").exists():  # there are no pages where only the PDF was built
        write_font(output)
