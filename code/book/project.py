"""The project: what ``_quarto.yml`` says of it, and the pages and the PDF that Pandoc makes of its chapters."""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pypandoc  # type: ignore[import-untyped] # it has no types
import yaml
from offline_mathjax import copy_mathjax

HERE = Path(__file__).parent
# The keys that are read, or that change nothing but looks or how Quarto itself works; in a format, all are known.
KNOWN = {
    "": "project book bibliography execute format link-citations",
    "project": "type output-dir execute-dir post-render",
    "book": "title subtitle author date chapters appendices downloads search output-file",
    "execute": "echo warning include freeze cache daemon",
    "format": "html pdf",
}
LATEX = {"documentclass": "scrreprt", "classoption": ["DIV=11", "numbers=noendperiod"], "colorlinks": True}
ADDRESS = re.compile(r'(?<=\s)((?:href|src)=")([^"#:?]+)')


class BookError(Exception):
    """What is wrong with the book, one problem a line."""


@dataclass(frozen=True)
class Book:
    """What ``_quarto.yml`` says, group by group, the chapters' files, and the headings that stand before some."""

    root: Path
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)

    def get(self, group: str, key: str, default: object = None) -> Any:
        """Return what stands under ``key`` in ``group``."""
        return self.groups[group].get(key, default)

    @property
    def pdf_name(self) -> str:
        """The PDF's file name, as Quarto has it."""
        name = str(self.get("book", "output-file", self.get("book", "title")))
        return re.sub(r"[ <>()|:&;#?*'\\/]", "-", name) + ".pdf"


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
    file, book = "_quarto.yml", Book(root)
    whole = read_yaml(read_text(root, file), file)
    for name, keys in KNOWN.items():
        group = book.groups[name] = whole.get(name) or {} if name else whole
        if not isinstance(group, dict):
            raise BookError(f"{file}: {name} is not made of `key: value`")
        for key in set(group) - set(keys.split()):
            raise BookError(f"{file}: the key {key} {f'of {name} ' if name else ''}is not supported without Quarto")
    for name in ("html", "pdf"):
        group = book.get("format", name)
        book.groups[name] = group if isinstance(group, dict) else {}
    appendices = as_list(book.get("book", "appendices"))
    for item in [*as_list(book.get("book", "chapters")), {"part": "Appendices", "chapters": appendices}]:
        part = item if isinstance(item, dict) else {"chapters": [item]}
        names = [str(name) for name in as_list(part.get("chapters"))]
        book.parts.update({name: str(part["part"]) for name in names[:1] if "part" in part})
        book.files.extend(names)
    if not book.get("book", "title") or book.files[:1] != ["index.qmd"]:
        raise BookError(f"{file}: a book has a title, and its first chapter is index.qmd")
    if book.get("project", "execute-dir") != "project":
        raise BookError(f"{file}: code runs in the project's root: `execute-dir: project`")
    return book


def write(book: Book, sources: Path, to: str, *options: str) -> str:
    """Number the chapters in the folder ``sources`` as one book, and have Pandoc write it in the format ``to``."""
    group = "pdf" if to == "latex" else "html"
    metadata = LATEX | {"toc-title": "Table of contents"} | book.groups[group] | book.groups["book"]
    metadata["bibliography"] = [str(book.root / name) for name in as_list(book.get("", "bibliography"))]
    metadata["link-citations"] = book.get("", "link-citations", False)
    metadata["parts"] = book.parts
    metadata["appendices"] = dict.fromkeys(as_list(book.get("book", "appendices")), True)
    if group == "html":
        metadata["booktitle"] = metadata.pop("title")  # each page has its own
        with contextlib.suppress(ValueError):
            metadata["date"] = f"{datetime.date.fromisoformat(str(metadata.get('date'))):%B %-d, %Y}"
    (sources / "metadata.json").write_text(json.dumps(metadata, default=str), encoding="utf-8")
    lua = str(HERE / "book.lua")
    command = [pypandoc.get_pandoc_path(), "--fail-if-warnings", "--from", lua, "--lua-filter", lua, "--citeproc"]
    command += ["--metadata-file=metadata.json", "--standalone", "--wrap=preserve", f"--resource-path=.:{book.root}"]
    headers = [f"--include-in-header={book.root / name}" for name in as_list(book.get(group, "include-in-header"))]
    command += [f"--to={to}", *options, *headers, *book.files]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, encoding="utf-8")
    if not done.returncode:
        return done.stdout

    def first_words(place: re.Match[str]) -> str:  # a chapter with its includes has other lines than its source
        lines = (sources / place[1]).read_text(encoding="utf-8").splitlines()[int(place[2]) - 1 :]
        return f"{place[1]}: “{lines[0][:60] if lines else 'its end'}”"

    raise BookError(re.sub(r"(\S+\.qmd) line (\d+) column \d+", first_words, done.stderr.strip()))


def number(book: Book, sources: Path) -> dict[str, str]:
    """Return the number of each label; what is wrong with the text is an error."""
    numbers = json.loads(write(book, sources, "json"))["meta"]["numbers"]["c"]
    return {label: value["c"] for label, value in numbers.items()}


def write_html(book: Book, sources: Path, output: Path) -> None:
    """Write one page a chapter, where Quarto puts it, and all that the pages load."""
    styles = as_list(book.get("html", "css"))
    options = ["--split-level=1", "--chunk-template=%n.html", "--section-divs", "--mathjax", f"--output={output}"]
    options += [f"--template={HERE / 'page.html'}", *(f"--css={style}" for style in styles)]
    if "pdf" in as_list(book.get("book", "downloads")):
        options.append(f"--variable=pdf:{book.pdf_name}")
    write(book, sources, "chunkedhtml", *options)
    (output / "sitemap.json").unlink()
    copy_mathjax(output)
    shutil.copy(HERE / "book.css", output / "site_libs")
    for style in styles:
        (output / style).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(book.root / style, output / style)
    # Pandoc's pages lie beside each other; their addresses become Quarto's, which are those of the sources.
    pages = {f"{i:03}.html": page_of(file) for i, file in enumerate(book.files, 1)}
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
    options = ["--number-sections", "--toc", "--toc-depth=3", "--top-level-division=chapter"]
    options += [f"--include-in-header={HERE / 'header.tex'}", f"--output={output / book.pdf_name}"]
    write(book, sources, "latex", f"--pdf-engine={book.get('pdf', 'pdf-engine', 'xelatex')}", *options)
