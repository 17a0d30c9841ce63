"""The project: what ``_quarto.yml`` says of it, and the pages and the PDF that Pandoc makes of its chapters."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypandoc  # type: ignore[import-untyped] # it has no types
import yaml
from finish import finish
from search import write_index

HERE = Path(__file__).parent
OPTIONS = [
    "--from=markdown-native_divs-native_spans-yaml_metadata_block",  # raw HTML stays as it is
    f"--lua-filter={HERE / 'book.lua'}",
    *["--citeproc", "--fail-if-warnings", "--standalone", "--wrap=preserve", "--number-sections", "--mathjax"],
]
LATEX = {"documentclass": "scrreprt", "classoption": ["DIV=11", "numbers=noendperiod"], "colorlinks": True}
ADDRESS = re.compile(r'\s(?:href|src)="(?=[^"#:/][^"#:]*["#])')  # of a file of the book

# The keys that are read, or that change nothing but looks or how Quarto itself works; in a format, all are known.
KNOWN = {
    "project": "type output-dir execute-dir pre-render post-render",
    "book": "title subtitle author date chapters appendices downloads search output-file",
    "execute": "echo warning freeze cache daemon",
    "format": "html pdf",
}


class BookError(Exception):
    """What is wrong with the book, one problem a line."""


@dataclass(frozen=True)
class Book:
    """What ``_quarto.yml`` says in each group, the chapters' files, the parts that some open, and the PDF's name."""

    root: Path
    groups: dict[str, dict[str, Any]]
    files: list[str]
    parts: dict[str, str]
    pdf: str


def as_list(value: object) -> list[Any]:
    """Return as a list what in the configuration may be one thing, a list or nothing."""
    return value if isinstance(value, list) else [] if value is None else [value]


def page_of(file: str) -> str:
    """Return where Quarto puts a chapter's page."""
    return file.removesuffix(".qmd") + ".html"


def read_text(root: Path, name: str, by: str = "") -> str:
    """Read a file of the project, which the file ``by`` names; one outside it, or not UTF-8, is an error."""
    try:
        if (root / name).resolve().is_relative_to(root.resolve()):
            return (root / name).read_text(encoding="utf-8")
        problem = "outside the project"
    except (OSError, UnicodeDecodeError) as error:
        problem = str(getattr(error, "strerror", None) or "not UTF-8")
    raise BookError(f"{by or name}: {name} cannot be read: {problem}")


def only(known: str, found: Any, where: str) -> dict[str, Any]:
    """Return ``found``, a mapping or nothing; another thing, or a key that is not ``known``, if any is, is an error."""
    if not isinstance(found or {}, dict):
        raise BookError(f"{where}: not made of `key: value`")
    for key in known and set(found or {}) - set(known.split()):
        raise BookError(f"{where}: {key} is not supported without Quarto")
    return found or {}


def read_yaml(known: str, text: str, where: str) -> dict[str, Any]:
    """Return the mapping that ``text`` is, of known keys; ``where`` says in an error what that was."""
    try:
        return only(known, yaml.safe_load(text), where)
    except yaml.YAMLError as error:
        raise BookError(f"{where}: {' '.join(str(error).split())}") from None


def read_book(root: Path) -> Book:
    """Read ``root/_quarto.yml``."""
    name, files, parts = "_quarto.yml", [], {}
    groups = read_yaml("project book execute format filters bibliography link-citations", read_text(root, name), name)
    for group, known in KNOWN.items():
        groups[group] = only(known, groups.get(group), f"{name}: {group}")
    for group, found in groups["format"].items():
        groups[group] = only("", found, f"{name}: {group}")
    book = groups["book"]
    appendices = {"part": "Appendices", "chapters": book.get("appendices")}
    for item in [*as_list(book.get("chapters")), appendices]:
        part = item if isinstance(item, dict) else {"chapters": item}
        chapters = [str(file) for file in as_list(part.get("chapters"))]
        parts.update({file: str(part["part"]) for file in chapters[:1] if "part" in part})
        files += chapters
    if not {"title", "output-file"} <= set(book) or files[:1] != ["index.qmd"]:
        raise BookError(f"{name}: a book has a title and an output-file, and its first chapter is index.qmd")
    if groups["project"].get("execute-dir") != "project":
        raise BookError(f"{name}: code runs in the project's root: `execute-dir: project`")
    return Book(root, groups, files, parts, f"{book['output-file']}.pdf")


def prepare(book: Book) -> None:
    """Run what is to run before the chapters."""
    for script in as_list(book.groups["project"].get("pre-render")):
        done = subprocess.run([sys.executable, script], cwd=book.root, capture_output=True, text=True)
        if done.returncode:
            raise BookError(f"{script} failed\n{done.stderr.strip()}")


def write(book: Book, sources: Path, to: str, *options: str) -> None:
    """Have Pandoc write the chapters in the folder ``sources`` in the format ``to``; what is wrong is an error."""
    group = "pdf" if to == "latex" else "html"
    metadata = LATEX | book.groups | book.groups[group] | book.groups["book"] | {"toc-title": "Table of contents"}
    if group == "html":
        metadata["booktitle"] = metadata.pop("title")  # each page has its own
    (sources / "metadata.json").write_text(json.dumps(metadata, default=str), encoding="utf-8")
    filters = [f"--lua-filter={book.root / one['path']}" for one in as_list(metadata.get("filters"))]
    headers = [f"--include-in-header={book.root / name}" for name in as_list(metadata.get("include-in-header"))]
    command = [pypandoc.get_pandoc_path(), *filters, *OPTIONS, "--metadata-file=metadata.json", f"--to={to}"]
    command += [f"--resource-path=.:{book.root}", *options, *headers, *book.files]
    environment = os.environ | {"QUARTO_PROJECT_DIR": str(book.root)}
    done = subprocess.run(command, cwd=sources, env=environment, capture_output=True)

    def first_words(place: re.Match[str]) -> str:  # a chapter with its includes has other lines than its source
        lines = (sources / place[1]).read_text(encoding="utf-8").splitlines()
        return f"{place[1]}: “{''.join(lines[int(place[2]) - 1 :][:1])[:60]}”"

    if done.returncode:
        raise BookError(re.sub(r"(\S+\.qmd) line (\d+) column \d+", first_words, done.stderr.decode().strip()))


def write_html(book: Book, sources: Path, output: Path) -> None:
    """Write one page a chapter, where Quarto puts it, and all that the pages load."""
    options = ["--split-level=1", "--chunk-template=%n.html", "--section-divs", f"--template={HERE / 'page.html'}"]
    write(book, sources, "chunkedhtml", *options, f"--variable=pdf:{book.pdf}", f"--output={output}")
    (output / "sitemap.json").unlink()
    for name in as_list(book.groups["html"].get("css")):
        (output / name).parent.mkdir(exist_ok=True)
        shutil.copy(book.root / name, output / name)
    # Pandoc's pages lie beside each other; their addresses become Quarto's, which are those of the sources.
    pages = {f"{i:03}.html": page_of(file) for i, file in enumerate(book.files, 1)}
    for name, page in pages.items():
        up = "../" * page.count("/")
        text = (output / name).read_text(encoding="utf-8").replace(f'"{name}#', '"#')
        text = text.replace(f'<li><a href="{name}"', f'<li><a aria-current="page" href="{name}"')
        text = ADDRESS.sub(rf"\g<0>{up}", text)
        for old, new in pages.items():
            text = text.replace(f'"{up}{old}', f'"{up}{new}')
        (output / name).unlink()
        (output / page).parent.mkdir(parents=True, exist_ok=True)
        (output / page).write_text(text, encoding="utf-8")
    finish(output)
    write_index(output, pages.values())
    for name in ("book.css", "book.js"):
        shutil.copy(HERE / name, output / "site_libs")


def write_pdf(book: Book, sources: Path, output: Path) -> None:
    """Write the PDF through LaTeX; a character without a glyph is an error, too."""
    output.mkdir(exist_ok=True)
    options = [f"--pdf-engine={book.groups['pdf'].get('pdf-engine', 'xelatex')}", "--toc", "--toc-depth=3"]
    options += ["--top-level-division=chapter", f"--include-in-header={HERE / 'header.tex'}"]
    write(book, sources, "latex", *options, f"--output={output / book.pdf}")
