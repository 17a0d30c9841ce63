"""Finish a book's pages, whichever builder wrote them: formulas typeset, with their font, and tables that can scroll.

Quarto runs this file after it has rendered (`post-render` in `_quarto.yml`). The font is STIX Two Math, from the
package ziamath, cut down to the characters of the book's formulas. It stands in ``site_libs/mathematics.css``, which
the book's style sheet imports, so that no formula is ever shown in another font.
"""

import base64
import html
import os
import re
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path

from fontTools import subset  # type: ignore[import-untyped] # it has no types
from fontTools.ttLib import TTFont  # type: ignore[import-untyped] # it has no types
from mathematics import typeset

# A formula as both builders leave it, with what touches it: no line ends between them.
FORMULA = re.compile(
    r'(?P<head>[(\[“]*)<span class="math (?P<kind>inline|display)">\\[(\[](?P<tex>.*?)\s*'
    r"(?:\\tag\{(?P<number>[^}]*)\})?\s*\\[)\]]</span>(?P<tail>[^\s<–—]*)",
    re.S,
)
LATIN, GREEK = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "αβγδεζηθικλμνξοπρςστυφχψω∂ϵϑϰϕϱϖ"
ITALIC = dict(zip(map(ord, LATIN + GREEK), [*range(0x1D434, 0x1D468), *range(0x1D6FC, 0x1D71C)], strict=True))
ITALIC[ord("h")] = 0x210E
"""What browsers draw for a variable of one letter."""


def finish(book: Path) -> None:
    """Finish the pages in the folder ``book``; those that are finished stay as they are."""
    pages = {page: page.read_text(encoding="utf-8") for page in book.rglob("*.html") if "site_libs" not in page.parts}
    found = [place for text in pages.values() for place in FORMULA.finditer(text)]
    formulas = iter(typeset([(html.unescape(place["tex"]), place["kind"] == "display") for place in found]))

    def shown(place: re.Match[str]) -> str:
        if place["kind"] == "inline":
            formula = f'<span class="math inline">{next(formulas)}</span>'
            return f'<span class="together">{place["head"]}{formula}{place["tail"]}</span>'
        number = f'<span class="number">({place["number"]})</span>' if place["number"] else ""
        formula = f'<span class="math display"><span class="scroll">{next(formulas)}</span>{number}</span>'
        return place["head"] + formula + place["tail"]

    for page, text in pages.items():
        pages[page] = re.sub(
            r'(?<!<div class="scroll">)(<table.*?</table>)',
            r'<div class="scroll">\1</div>',
            FORMULA.sub(shown, text),
            flags=re.S,
        )
        page.write_text(pages[page], encoding="utf-8")
    maths = re.findall("<math.*?</math>", "".join(pages.values()), re.S)
    write_font(book, set(map(ord, html.unescape(re.sub("<[^>]*>", "", "".join(maths))))))


def write_font(book: Path, characters: set[int]) -> None:
    """Write the font for formulas of these characters."""
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
        finish(output)
