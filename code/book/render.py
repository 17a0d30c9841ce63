"""Turn the chapters' Markdown into the site and the PDF, with Pandoc and the filter crossref.lua."""

from __future__ import annotations

import copy
import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pypandoc

from configuration import Book, BookError, Chapter
from offline_mathjax import copy_mathjax

HERE = Path(__file__).parent
READER = "markdown-implicit_figures"
FIRST_APPENDIX = r"\cleardoublepage\phantomsection\addcontentsline{toc}{part}{Appendices}\appendix"

Place = tuple[str, int]


def _pandoc(arguments: list[str], text: str, cwd: Path) -> tuple[str, str]:
    """Run Pandoc and return what it wrote and what it warned of."""
    done = subprocess.run(
        [pypandoc.get_pandoc_path(), *arguments], input=text, capture_output=True, text=True, encoding="utf-8", cwd=cwd
    )
    if done.returncode:
        raise BookError(done.stderr.strip())
    return done.stdout, done.stderr.strip()


def parse(book: Book, markdown: str, places: list[Place]) -> dict[str, Any]:
    """Parse one chapter; a warning of Pandoc's is an error at its place in the sources."""
    output, warnings = _pandoc(["-f", READER, "-t", "json"], markdown, book.root)
    if warnings:
        def place(match: re.Match) -> str:
            file, line = places[min(int(match[1]), len(places)) - 1]
            return f"at {file}:{line}"

        raise BookError(re.sub(r"at line (\d+)(?: column \d+)?", place, f"{places[0][0]}: {warnings}"))
    return json.loads(output)


def number(book: Book, chapters: list[dict[str, Any]], target: str) -> tuple[dict[str, Any], dict[str, dict]]:
    """Number the parsed chapters together and resolve what they refer to, for ``target`` html or latex.

    Returns the whole book's syntax tree, one div a chapter (or, for LaTeX, all blocks in a row), and the map from
    each label to its ``number``, ``word`` (Theorem, Figure, …) and ``page``.
    """
    blocks = []
    for chapter, tree in zip(book.chapters, chapters):
        before = r"\part{" + chapter.part + "}" if chapter.part else ""
        if chapter.appendix and not any("appendix" in dict(div["c"][0][2]) for div in blocks):
            before += FIRST_APPENDIX
        attributes = {"file": chapter.path.as_posix(), "page": chapter.page, "root": chapter.root}
        attributes |= {"appendix": "true"} if chapter.appendix else {}
        attributes |= {"before": before} if before else {}
        blocks.append({"t": "Div", "c": [["", ["chapter"], list(attributes.items())], copy.deepcopy(tree["blocks"])]})
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "labels.json"
        meta = {"target": target, "labels": str(labels), "lang": "en"}
        tree = {
            "pandoc-api-version": chapters[0]["pandoc-api-version"],
            "meta": {key: {"t": "MetaString", "c": value} for key, value in meta.items()}
            | {
                "link-citations": {"t": "MetaBool", "c": True},
                "bibliography": {"t": "MetaList", "c": [{"t": "MetaString", "c": name} for name in book.bibliography]},
            },
            "blocks": blocks,
        }
        output, warnings = _pandoc(
            ["-f", "json", "-t", "json", "--lua-filter", str(HERE / "crossref.lua")], json.dumps(tree), book.root
        )
        if warnings:
            raise BookError(warnings)
        found = json.loads(labels.read_text(encoding="utf-8"))
    return json.loads(output), found or {}


def _contents(book: Book, titles: dict[Chapter, tuple[str, str]], current: Chapter) -> str:
    items, appendix = [], False
    for chapter in book.chapters:
        if chapter.part:
            items.append(f'<li class="part">{html.escape(chapter.part)}</li>')
        if chapter.appendix and not appendix:
            appendix = True
            items.append('<li class="part">Appendices</li>')
        number, title = titles[chapter]
        shown = f'<span class="chapter-number">{number}</span> {title}' if number else title
        here = ' aria-current="page"' if chapter == current else ""
        items.append(f'<li><a href="{current.root}{chapter.page}"{here}>{shown}</a></li>')
    return "<ul>\n" + "\n".join(items) + "\n</ul>"


def write_html(book: Book, tree: dict[str, Any], figures: Path, output: Path, with_pdf: bool) -> None:
    """Write one page a chapter, with the style sheet, the figures and the typesetter for mathematics."""
    heads = {}
    titles = {}
    for chapter, div in zip(book.chapters, tree["blocks"]):
        head = div["c"][1].pop(0)
        title = {**tree, "blocks": [{"t": "Plain", "c": head["c"][2]}]}
        rendered, _ = _pandoc(["-f", "json", "-t", "html5", "--mathjax"], json.dumps(title), book.root)
        heads[chapter] = head["c"][1][0]
        titles[chapter] = (dict(div["c"][0][2]).get("number", ""), rendered.strip())
    for position, (chapter, div) in enumerate(zip(book.chapters, tree["blocks"])):
        label, title = titles[chapter]
        variables = {
            "booktitle": html.escape(book.title), "subtitle": html.escape(book.subtitle), "author": html.escape(book.author),
            "date": book.date, "root": chapter.root, "pagetitle": re.sub(r"<[^>]*>", "", title), "heading": title,
            "headingid": heads[chapter], "contents": _contents(book, titles, chapter), "cover": position == 0,
            "number": f"Appendix {label} —" if chapter.appendix and label else label,
            "pdf": book.pdf_name if with_pdf else "",
        }
        for name, other in (("previous", position - 1), ("next", position + 1)):
            if 0 <= other < len(book.chapters):
                neighbour = book.chapters[other]
                shown = " ".join(filter(None, titles[neighbour]))
                variables[name] = {"page": neighbour.page, "title": shown}
        page = output / chapter.page
        page.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as defaults:
            json.dump({"variables": variables}, defaults)
            defaults.flush()
            _pandoc(
                ["-f", "json", "-t", "html5", "--mathjax", "--toc", "--section-divs", "--standalone", "--wrap=preserve",
                 "--template", str(HERE / "page.html"), "-d", defaults.name, "-M", "pagetitle=-", "-o", str(page),
                 *(word for name in book.headers["html"] for word in ("-H", name))],
                json.dumps({**tree, "blocks": div["c"][1]}), book.root,
            )  # fmt: skip
    shutil.copytree(figures, output, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pdf"))
    copy_mathjax(output)
    shutil.copy(HERE / "book.css", output / "site_libs")


def write_pdf(book: Book, tree: dict[str, Any], figures: Path, output: Path) -> None:
    """Write the PDF through LaTeX; an undefined reference or a character without a glyph is an error."""
    variables = {"documentclass": "scrreprt", "papersize": "letter", "classoption": ["DIV=11", "numbers=noendperiod"],
                 "colorlinks": True, "toc-title": "Table of contents", "geometry": ["textwidth=6.3in"]}  # fmt: skip
    variables |= {key: value for key, value in book.pdf.items() if key != "pdf-engine"}
    meta = {"title": book.title, "subtitle": book.subtitle, "author": book.author, "date": book.day}
    tree["meta"] |= {key: {"t": "MetaString", "c": value} for key, value in meta.items() if value}
    headers = [str(HERE / "header.tex"), *(str(book.root / name) for name in book.headers["pdf"])]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as defaults:
        json.dump({"variables": variables}, defaults)
        defaults.flush()
        _, warnings = _pandoc(
            ["-f", "json", "-t", "latex", "--standalone", "-d", defaults.name, "--number-sections", "--toc", "--toc-depth=3",
             "--top-level-division=chapter", "--pdf-engine", book.pdf["pdf-engine"], "--resource-path", str(figures),
             *(word for header in headers for word in ("-H", header)), "-o", str(output / book.pdf_name)],
            json.dumps(tree), figures,
        )  # fmt: skip
    if warnings:
        raise BookError(f"{book.pdf_name}: {warnings}")
