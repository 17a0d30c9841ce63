"""Read ``_quarto.yml``: what the book is made of. Keys that would change the content unnoticed are errors."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

KNOWN = {
    "": "project book bibliography execute format lang link-citations editor jupyter",
    "project": "type output-dir execute-dir render pre-render post-render resources",
    "book": "title subtitle author date chapters appendices downloads search output-file description "
    "favicon site-url repo-url repo-branch repo-actions sidebar page-navigation page-footer",
    "execute": "echo eval output warning include freeze cache daemon",
}
"""Keys read here, or that change nothing but the pages' looks or how Quarto itself works."""

PDF_ONLY_QUARTO = {"latex-auto-install", "include-in-header", "pdf-engine", "toc", "toc-depth", "code-fold", "keep-tex"}


class BookError(Exception):
    """What is wrong with the book, one ``file:line: message`` a line."""


@dataclass(frozen=True)
class Chapter:
    """One source file, its place in the book, and the title of the part that it opens."""

    path: Path
    appendix: bool = False
    part: str | None = None

    @property
    def page(self) -> str:
        return self.path.with_suffix(".html").as_posix()

    @property
    def root(self) -> str:
        """The way from the chapter's page to the site's root."""
        return "../" * (len(self.path.parts) - 1)


@dataclass(frozen=True)
class Book:
    """The book's configuration.

    ``pdf`` holds the variables that go to LaTeX as they are; ``day`` is the date as configured, which the PDF
    shows, and ``date`` the same in words; ``headers`` the files that each format puts into its header.
    """

    root: Path
    title: str
    subtitle: str
    author: str
    day: str
    date: str
    chapters: tuple[Chapter, ...]
    bibliography: tuple[str, ...]
    output_dir: str
    pdf_name: str
    offers_pdf: bool
    execute: dict[str, Any]
    code_fold: bool | str
    pdf: dict[str, Any]
    headers: dict[str, tuple[str, ...]]


def _list(value: Any) -> list:
    return value if isinstance(value, list) else [] if value is None else [value]


def read_book(root: Path) -> Book:
    """Read ``root/_quarto.yml``.

    Raises
    ------
    BookError
        If the file is missing, malformed, or has a key that this builder does not know; the message names it.
    """
    path = root / "_quarto.yml"
    try:
        text = path.read_text(encoding="utf-8")
        settings = yaml.safe_load(text) or {}
    except (OSError, yaml.YAMLError) as error:
        raise BookError(f"_quarto.yml: {error}") from error

    def fail(key: str, message: str) -> None:
        found = re.search(rf"^\s*(- )?{re.escape(key)}\s*:", text, re.MULTILINE)
        line = text[: found.start(0)].count("\n") + 1 + found[0].count("\n") if found else 1
        raise BookError(f"_quarto.yml:{line}: {message}")

    for group, names in KNOWN.items():
        for key in (settings.get(group) or {}) if group else settings:
            if key not in names.split():
                fail(key, f"the key {group + '.' if group else ''}{key} is not supported without Quarto")
    book, execute = settings.get("book") or {}, settings.get("execute") or {}
    project, formats = settings.get("project") or {}, settings.get("format") or {}
    if project.get("execute-dir", "project") != "project":
        fail("execute-dir", "chunks run with the project's root as working directory")
    for key in ("title", "chapters"):
        if not book.get(key):
            fail("book", f"the book has no {key}")

    def chapters(key: str) -> list[Chapter]:
        found = []
        for item in _list(book.get(key)):
            if isinstance(item, dict):
                unknown = set(item) - {"part", "chapters"}
                if unknown or not item.get("chapters") or str(item.get("part")).endswith(".qmd"):
                    fail(key, f"{item}: a part is a title and its chapters")
                paths = item["chapters"]
            else:
                item, paths = {}, [item]
            for position, name in enumerate(paths):
                if not isinstance(name, str) or not (root / name).is_file():
                    fail(key, f"the chapter {name} does not exist")
                found.append(Chapter(Path(name), key == "appendices", None if position else item.get("part")))
        return found

    html, pdf = ({} if formats.get(name) in (None, "default") else formats[name] for name in ("html", "pdf"))
    title = str(book["title"])
    day = date = str(book.get("date", ""))
    if re.fullmatch(r"\d{4}-\d\d-\d\d", day):
        parsed = datetime.date.fromisoformat(day)
        date = f"{parsed:%B} {parsed.day}, {parsed.year}"
    elif day in ("today", "now", "last-modified"):
        fail("date", f"the date {date} is not supported: write it out")
    authors = _list(book.get("author"))
    if not all(isinstance(author, str) for author in authors):
        fail("author", "an author is a name")
    return Book(
        root=root,
        title=title,
        subtitle=str(book.get("subtitle", "")),
        author=", ".join(authors),
        day=day,
        date=date,
        chapters=tuple(chapters("chapters") + chapters("appendices")),
        bibliography=tuple(_list(settings.get("bibliography"))),
        output_dir=str(project.get("output-dir", "_book")),
        pdf_name=re.sub(r"[ <>()|:&;#?*'\\/]", "-", str(book.get("output-file", title))) + ".pdf",
        offers_pdf="pdf" in _list(book.get("downloads")),
        execute={"echo": True, "eval": True, "output": True, "warning": True, "include": True} | execute,
        code_fold=html.get("code-fold", False),
        pdf={key: value for key, value in pdf.items() if key not in PDF_ONLY_QUARTO}
        | {"pdf-engine": pdf.get("pdf-engine", "xelatex")},
        headers={"html": tuple(_list(html.get("include-in-header"))), "pdf": tuple(_list(pdf.get("include-in-header")))},
    )
