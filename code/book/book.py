"""The book: what ``_quarto.yml`` says of it, and the pages and the PDF that Pandoc makes of its chapters."""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pypandoc
import yaml

from offline_mathjax import copy_mathjax

HERE = Path(__file__).parent
# The keys that are read, or that change nothing but looks or how Quarto itself works; under `format`, all are known.
KNOWN = {
    "": "project book bibliography execute format link-citations",
    "project": "type output-dir execute-dir post-render",
    "book": "title subtitle author date chapters appendices downloads search output-file",
    "execute": "echo warning include freeze cache daemon",
    "format": "html pdf",
}
LUA = str(HERE / "book.lua")
ADDRESS = re.compile(r'(?<=\s)((?:href|src)=")([^"#:?]+)')


class BookError(Exception):
    """What is wrong with the book, one problem a line."""


@dataclass(frozen=True)
class Chapter:
    """One source file, the heading that it has above it in the list of contents, and whether it is an appendix."""

    file: str
    part: str = ""
    appendix: bool = False

    @property
    def page(self) -> str:
        """Where Quarto puts the chapter's page in the output folder."""
        return str(PurePosixPath(self.file).with_suffix(".html"))


@dataclass(frozen=True)
class Book:
    """What ``_quarto.yml`` says, group by group, and the chapters."""

    root: Path
    groups: dict[str, dict[str, Any]]
    chapters: list[Chapter]

    def get(self, group: str, key: str, default: object = "") -> Any:
        """Return what the configuration says in ``group`` (empty for the file itself) of ``key``."""
        return self.groups[group].get(key, default)

    @property
    def output(self) -> str:
        """The output folder."""
        return str(self.get("project", "output-dir", "_book"))

    @property
    def offers_pdf(self) -> bool:
        """Whether the pages link to the PDF."""
        return "pdf" in as_list(self.get("book", "downloads"))

    @property
    def pdf_name(self) -> str:
        """The PDF's file name, as Quarto has it."""
        name = str(self.get("book", "output-file", self.get("book", "title")))
        return re.sub(r"[ <>()|:&;#?*'\\/]", "-", name) + ".pdf"


def as_list(value: object) -> list[Any]:
    """Return as a list what in the configuration may be one thing, a list or nothing."""
    return value if isinstance(value, list) else [] if value is None else [value]


def read_text(root: Path, name: str) -> str:
    """Read a file of the project; one outside it, or that is not UTF-8, is an error."""
    if not (root / name).resolve().is_relative_to(root.resolve()):
        raise BookError(f"{name}: outside the project")
    try:
        return (root / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BookError(f"{name}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None


def read_yaml(text: str, where: str) -> dict[str, Any]:
    """Return the mapping that ``text`` is; ``where`` says in an error what that was."""
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise BookError(f"{where}: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise BookError(f"{where}: not made of `key: value`")
    return found


def read_book(root: Path) -> Book:
    """Read ``root/_quarto.yml``; a key that this builder does not know is an error."""
    file = "_quarto.yml"
    groups = {"": read_yaml(read_text(root, file), file)}
    for name, keys in KNOWN.items():
        groups[name] = groups[""].get(name) or {} if name else groups[""]
        if not isinstance(groups[name], dict):
            raise BookError(f"{file}: {name} is not made of `key: value`")
        for key in set(groups[name]) - set(keys.split()):
            raise BookError(f"{file}: the key {key} is not supported{' in ' + name if name else ''} without Quarto")
    for name in ("html", "pdf"):
        found = groups["format"].get(name)
        groups[name] = found if isinstance(found, dict) else {}
    book = Book(root, groups, [])
    for item in as_list(book.get("book", "chapters", None)):
        part, files = (item.get("part"), item.get("chapters")) if isinstance(item, dict) else ("", [item])
        for name in as_list(files):
            book.chapters.append(Chapter(str(name), str(part)))
            part = ""
    for i, name in enumerate(as_list(book.get("book", "appendices", None))):
        book.chapters.append(Chapter(str(name), "" if i else "Appendices", appendix=True))
    if not book.get("book", "title") or not book.chapters or book.chapters[0].page != "index.html":
        raise BookError(f"{file}: a book has a title and chapters, and the first is index.qmd")
    if book.get("project", "execute-dir") != "project":
        raise BookError(f"{file}: chunks run in the project's root: `execute-dir: project`")
    return book


def write(book: Book, sources: Path, target: str, arguments: list[str]) -> str:
    """Number the chapters in the folder ``sources`` as one book, and have Pandoc write it; ``target`` is html or pdf."""
    metadata = {"documentclass": "scrreprt", "classoption": ["DIV=11", "numbers=noendperiod"], "colorlinks": True}
    metadata |= {"toc-title": "Table of contents"} | book.groups[target] | book.groups["book"]
    metadata["bibliography"] = [str(book.root / name) for name in as_list(book.get("", "bibliography", None))]
    metadata["link-citations"] = book.get("", "link-citations", False)
    metadata["parts"] = {chapter.file: chapter.part for chapter in book.chapters if chapter.part}
    metadata["appendices"] = {chapter.file: True for chapter in book.chapters if chapter.appendix}
    if target == "html":  # each page has its own title
        metadata |= {"booktitle": metadata.pop("title"), "pdf": book.pdf_name if book.offers_pdf else ""}
        with contextlib.suppress(ValueError):
            metadata["date"] = f"{datetime.date.fromisoformat(str(metadata.get('date'))):%B %-d, %Y}"
    (sources / "metadata.json").write_text(json.dumps(metadata, default=str), encoding="utf-8")
    words = [f"--include-in-header={book.root / name}" for name in as_list(book.get(target, "include-in-header", None))]
    words += ["--from", LUA, "--lua-filter", LUA, "--citeproc", "--metadata-file=metadata.json", "--standalone"]
    words += ["--wrap=preserve", f"--resource-path=.:{book.root}", "--fail-if-warnings", *arguments]
    command = [pypandoc.get_pandoc_path(), *words, *(chapter.file for chapter in book.chapters)]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise BookError(re.sub(r"(\S+\.qmd) line (\d+) column \d+", partial(_first_words, sources), done.stderr.strip()))
    return done.stdout


def _first_words(sources: Path, place: re.Match[str]) -> str:
    """Say in words which line Pandoc means, for with its includes a chapter has other lines than its source."""
    line = [*(sources / place[1]).read_text(encoding="utf-8").splitlines(), ""][int(place[2]) - 1]
    return f"{place[1]}, “{line[:60]}”"


def number(book: Book, sources: Path) -> dict[str, str]:
    """Return the number of each label; what is wrong with the text is an error."""
    tree = json.loads(write(book, sources, "html", ["--to=json"]))
    return {label: value["c"] for label, value in tree["meta"]["numbers"]["c"].items()}


def write_html(book: Book, sources: Path, output: Path) -> None:
    """Write one page a chapter, where Quarto puts it, and all that the pages load."""
    chunked = ["--to=chunkedhtml", "--split-level=1", "--chunk-template=%n.html", "--section-divs", "--mathjax"]
    write(book, sources, "html", [*chunked, f"--template={HERE / 'page.html'}", f"--output={output}"])
    (output / "sitemap.json").unlink()
    copy_mathjax(output)
    shutil.copy(HERE / "book.css", output / "site_libs")
    for style in as_list(book.get("html", "css", None)):
        (output / style).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(book.root / style, output / style)
    # Pandoc's pages lie beside each other; their addresses become Quarto's, which are those of the sources.
    pages = {f"{i:03}.html": chapter.page for i, chapter in enumerate(book.chapters, 1)}
    for name, page in pages.items():
        root = "../" * page.count("/")

        def address(found: re.Match[str], name: str = name, root: str = root) -> str:
            to = found[2]
            if to == name and found.string[found.end()] == "#":
                return found[1]
            ours = to in pages or to == book.pdf_name or (output / to).is_file()
            return found[1] + (root if ours else "") + pages.get(to, to)

        text = ADDRESS.sub(address, (output / name).read_text(encoding="utf-8"))
        (output / name).unlink()
        (output / page).parent.mkdir(parents=True, exist_ok=True)
        current = f'<li><a href="{root}{page}"'
        (output / page).write_text(text.replace(current, f'{current} aria-current="page"', 1), encoding="utf-8")


def write_pdf(book: Book, sources: Path, output: Path) -> None:
    """Write the PDF through LaTeX; a character without a glyph is an error, too."""
    output.mkdir(exist_ok=True)
    latex = ["--to=latex", "--number-sections", "--toc", "--toc-depth=3", "--top-level-division=chapter"]
    engine = f"--pdf-engine={book.get('pdf', 'pdf-engine', 'xelatex')}"
    write(book, sources, "pdf", [*latex, engine, f"--include-in-header={HERE / 'header.tex'}", f"--output={output / book.pdf_name}"])
