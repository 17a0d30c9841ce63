"""Finish a book's pages, whichever builder wrote them: formulas typeset, tables that can scroll, ways for the keyboard.

Quarto runs this file after it has rendered (`post-render` in `_quarto.yml`). The font is STIX Two Math, from the
package ziamath, cut down to the characters of the book's formulas. It stands in ``site_libs/mathematics.css``, which
the book's style sheet imports, so that no formula is ever shown in another font.
"""

import base64
import html
import os
import re
from collections.abc import Callable
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path

from fontTools import subset  # type: ignore[import-untyped] # it has no types
from fontTools.ttLib import TTFont  # type: ignore[import-untyped] # it has no types
from mathematics import typeset
from search import mend_index

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

LAST = "</mrow></mrow></math>"

SKIP = '<nav aria-label="Skip"><a class="skip" href="#quarto-document-content">Skip to the text</a></nav>'


def _folded(place: re.Match[str]) -> str:
    contents = re.sub(' (?:id|class|data-scroll-target)="[^"]*"', "", place["contents"])
    return f"""{place[0]}<details class="d-md-none"><summary>On this page</summary>
<nav aria-label="Sections">{contents}</nav></details>"""


MENDED: dict[str, str | Callable[[re.Match[str]], str]] = {
    "(?s)<table.*?</table>": r'<div class="scroll">\g<0></div>',
    "<body[^>]*>": rf"\g<0>\n{SKIP}",
    # what Quarto's pages lack: names of their landmarks, one first heading, the page's contents on a narrow screen
    '<nav id="quarto-sidebar"': r'\g<0> aria-label="Contents"',
    '<nav class="quarto-secondary-nav"': r'\g<0> aria-label="This page"',
    '<nav id="TOC"': r'\g<0> aria-label="On this page"',
    '<nav class="page-navigation"': r'\g<0> aria-label="Chapters"',
    '(<a class="sidebar-item-[^>]*) role="navigation"': r'\1 role="button"',
    '(<div class="callout-header [^>]*data-bs-toggle="collapse")': r'\1 role="button" tabindex="0"',
    '(?s)<h1 class="title">(.*?)</h1>(?=.*<h1)': r'<p class="title h1">\1</p>',
    '(?s)<nav id="TOC".*?(?P<contents><ul>.*?)</nav>.*id="title-block-header".*?</header>': _folded,
}


def finish(book: Path) -> None:
    """Finish the pages in the folder ``book``; those that are finished stay as they are."""
    pages = {page: page.read_text(encoding="utf-8") for page in book.rglob("*.html") if "site_libs" not in page.parts}
    found = [place for text in pages.values() for place in FORMULA.finditer(text)]
    characters = {ord("√")}  # which no text of a formula has
    formulas = iter(typeset([(html.unescape(place["tex"]), place["kind"] == "display") for place in found]))

    def shown(place: re.Match[str]) -> str:
        if place["kind"] == "inline":
            formula, tail = next(formulas), place["tail"]
            if re.fullmatch("[.,;:]", tail):  # a point stays at the end of a formula that breaks
                formula, tail = formula.replace(LAST, f"<mtext>{tail}</mtext>{LAST}"), ""
            return f'<span class="together">{place["head"]}<span class="math inline">{formula}</span>{tail}</span>'
        number = f'<span class="number">({place["number"]})</span>' if place["number"] else ""
        formula = f'<span class="math display"><span class="scroll">{next(formulas)}</span>{number}</span>'
        return place["head"] + formula + place["tail"]

    for page, text in pages.items():
        if SKIP not in text:
            text = FORMULA.sub(shown, text)
            for pattern, new in MENDED.items():
                text = re.sub(pattern, new, text)
            page.write_text(text, encoding="utf-8")
        characters |= {ord(c) for math in re.findall("(?s)<math.*?</math>", text) for c in html.unescape(math)}
    write_font(book, characters)


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
        mend_index(output / "search.json")
