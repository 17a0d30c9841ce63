"""The index of the pages' search: each section and statement of the book, with its address, title and words."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from bs4 import BeautifulSoup, Tag

TALL = "math:has(msup, msubsup, mfrac, msqrt, mover, mtable)"  # in one line it would say something else
LEFT_OUT = "annotation, aside, nav, pre, summary, .foot, .permalink"


def _words(of: Tag) -> str:
    return " ".join(of.get_text().split())


def write_index(folder: Path, pages: Iterable[str]) -> None:
    """Write the index of these pages as a script, which a page that was opened as a file can load, too."""
    index: list[list[str]] = []
    for name in pages:
        found: list[list[str]] = []
        page = BeautifulSoup((folder / name).read_text(encoding="utf-8"), "html.parser")
        for part in page.select(LEFT_OUT):
            part.decompose()
        for formula in page.select(TALL):
            formula.replace_with("…")
        for place in reversed(page.select("main section[id], main .theorem[id]")):  # the inner ones before the outer
            title = place.select_one("h1, h2, h3, h4, .theorem-title")
            if title:
                found.insert(0, [f"{name}#{place['id']}", _words(title.extract()), _words(place)])
                place.extract()
        index += found
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    (folder / "site_libs/search.js").write_text(f"const searchIndex={text};", encoding="utf-8")


def mend_index(file: Path) -> None:
    """Take the formulas in TeX out of the index that Quarto wrote; those that are plain text stay."""

    def shown(formula: re.Match[str]) -> str:
        return formula[1] if re.fullmatch(r"[\w\s+=<>,-]+", formula[1]) else "…"

    sections = json.loads(file.read_text(encoding="utf-8"))
    for section in sections:
        section["text"] = re.sub(r"(?s)\\[(\[](.*?)\\[)\]]", shown, section["text"])
    file.write_text(json.dumps(sections, ensure_ascii=False), encoding="utf-8")
