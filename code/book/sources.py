"""Read a chapter's source: expand its includes, cut it into text and chunks, and refuse what is not supported.

Whatever of Quarto a source uses beyond the constants below is reported with its file and line, because a builder
that skips what it does not know shows the reader something else than Quarto does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator

import yaml

from configuration import Book, BookError, Chapter

BOOLEANS = {"echo", "eval", "include", "output", "warning", "code-fold"}
OPTIONS = BOOLEANS | {"label", "fig-cap", "fig-alt", "fig-width", "fig-height", "tbl-cap"}
LABEL = r"(?:thm|lem|prp|cor|def|exm|rem)-[\w-]+"
DIVS = re.compile(rf":{{3,}}\s*\{{\s*(?:#{LABEL}|\.proof|\.callout-(?:note|tip|warning)|#refs)\s*\}}\s*$")
CITED = re.compile(r"(?<![\w.@\\])@([A-Za-z0-9_](?:\w|[:.#$%&+?<>~/-](?=\w))*)")
INLINE = re.compile(r"(?<!`)`\{(\w+)\}([^`]*)`")
EQUATION = re.compile(r"\$\$ *\{#(eq-[\w-]+)\}(?=\s|$)")
REFUSED = (
    (re.compile(r"\{\{<"), "this shortcode"),
    (re.compile(r"<(?!https?://|mailto:)[A-Za-z/!?]"), "raw HTML"),
    (re.compile(r"\{="), "a raw block or span"),
    (re.compile(r"!\["), "an image that no chunk makes"),
    (re.compile(r"\]\{"), "a span or link with attributes"),
    (re.compile(r"\\[A-Za-z]+|\\[(\[]"), "LaTeX outside $…$"),
    (re.compile(r"\{[#.]"), "an attribute here"),
)


@dataclass
class Text:
    """Lines of Markdown and where they come from."""

    lines: list[str] = field(default_factory=list)
    places: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Chunk:
    """A code chunk with its options; ``place`` is the file and line where it opens."""

    place: tuple[str, int]
    code: str
    options: dict[str, Any]


@dataclass
class Source:
    """A chapter as read: its parts in order, the labels it defines and those it refers to, with their places."""

    chapter: Chapter
    parts: list[Text | Chunk] = field(default_factory=list)
    labels: list[tuple[str, tuple[str, int]]] = field(default_factory=list)
    references: list[tuple[str, tuple[str, int]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def refuse(self, place: tuple[str, int], message: str) -> None:
        self.problems.append(f"{place[0]}:{place[1]}: {message}")


def _lines(book: Book, source: Source) -> Iterator[tuple[str, tuple[str, int]]]:
    name = source.chapter.path.as_posix()
    for number, line in enumerate((book.root / name).read_text(encoding="utf-8").splitlines(), 1):
        include = re.fullmatch(r"\s*\{\{<\s*include\s+(\S+)\s*>\}\}\s*", line)
        if include is None:
            yield line, (name, number)
            continue
        wanted = include[1]
        path = book.root / wanted.lstrip("/") if wanted.startswith("/") else (book.root / name).parent / wanted
        if not path.is_file():
            source.refuse((name, number), f"the included file {wanted} does not exist")
            continue
        shown = path.resolve().relative_to(book.root.resolve()).as_posix()
        for inner, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield text, (shown, inner)


def _chunk(source: Source, place: tuple[str, int], body: list[str]) -> Chunk:
    header = [line for line in body if line.startswith("#|")]
    try:
        options = yaml.safe_load("\n".join(line[2:] for line in header)) or {}
        if not isinstance(options, dict):
            raise yaml.YAMLError("options are `key: value`")
    except yaml.YAMLError as error:
        source.refuse(place, f"chunk options: {' '.join(str(error).split())}")
        options = {}
    for key, value in options.items():
        special = {"output": ["asis"], "code-fold": ["show"]}.get(key, [])
        if key not in OPTIONS:
            source.refuse(place, f"the chunk option {key} is not supported")
        elif key in BOOLEANS and not isinstance(value, bool) and value not in special:
            source.refuse(place, f"the chunk option {key}: {value} is not supported")
    label = str(options.get("label", ""))
    for prefix, caption in (("fig-", "fig-cap"), ("tbl-", "tbl-cap")):
        if (caption in options) != label.startswith(prefix):
            source.refuse(place, f"a {caption} needs a label {prefix}… and the label a {caption}")
    if label:
        source.labels.append((label, place))
    for text in (options.get("fig-cap"), options.get("tbl-cap")):
        source.references.extend((key, place) for key in CITED.findall(_masked(str(text))))
    return Chunk(place, "\n".join(line for line in body if not line.startswith("#|")).strip("\n"), options)


def _masked(text: str) -> str:
    """Blank out code spans and mathematics, keeping every line break."""
    def blank(match: re.Match) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    text = re.sub(r"(?<!`)(`+)(?!`)(?:(?!\n\n).)+?(?<!`)\1(?!`)", blank, text, flags=re.DOTALL)
    text = re.sub(r"(?<!\\)\$\$.+?\$\$", blank, text, flags=re.DOTALL)
    return re.sub(r"(?<!\\)\$(?=\S)(?:(?!\n\n).)+?(?<=\S)(?<!\\)\$(?!\d)", blank, text, flags=re.DOTALL)


def _check_text(source: Source, part: Text, fences: list[tuple[str, int]], first: bool) -> None:
    text = "\n".join(part.lines)
    for match in INLINE.finditer(text):
        if match[1] != "python" or not match[2].strip():
            source.refuse(part.places[text[: match.start()].count("\n")], f"inline code {match[0]} is not supported")
    for match in EQUATION.finditer(text):
        source.labels.append((match[1], part.places[text[: match.start()].count("\n")]))
    for line, place in zip(_masked(EQUATION.sub("$$", text)).split("\n"), part.places):
        line = re.sub(r"^\\providecommand\b.*", "", line)
        if line.startswith("---") and first and not line.strip("- "):
            source.refuse(place, "a chapter opens with `# Title`, without YAML")
        first = first and not line.strip()
        heading = re.match(r"(#{1,6})\s+\S", line)
        defined: list[str] = []
        if line.lstrip().startswith(":::"):
            if re.fullmatch(r"\s*:{3,}\s*", line):
                if fences:
                    fences.pop()
                else:
                    source.refuse(place, "this ::: closes nothing")
            else:
                fences.append(place)
                if not DIVS.fullmatch(line):
                    source.refuse(place, f"the block {line.strip()} is not supported")
                defined = re.findall(rf"#({LABEL})", line)
                line = ""
        elif heading:
            attributes = re.search(r"\{([^}]*)\}\s*$", line)
            if attributes:
                for word in attributes[1].split():
                    if word.startswith("#sec-"):
                        defined.append(word[1:])
                    elif word not in (".unnumbered", "-"):
                        source.refuse(place, f"the heading's attribute {word} is not supported")
                line = line[: attributes.start()]
        elif line.startswith((":", "Table:")):
            label = re.search(r"\{#(tbl-[\w-]+)\}\s*$", line)
            if label:
                defined, line = [label[1]], line[: label.start()]
        source.labels.extend((label, place) for label in defined)
        for pattern, what in REFUSED:
            if pattern.search(line):
                source.refuse(place, f"{what} is not supported: {line.strip()[:60]}")
                break
        source.references.extend((key, place) for key in CITED.findall(line))


def read_source(book: Book, chapter: Chapter) -> Source:
    """Read one chapter; what is wrong with it is collected in ``problems``."""
    source = Source(chapter, [Text()])
    opened: tuple[str, re.Match, list[str], tuple[str, int]] | None = None
    for line, place in _lines(book, source):
        fence = re.match(r"^( *)(`{3,}|~{3,})\s*(.*?)\s*$", line)
        if opened is not None:
            mark, start, body, where = opened
            if not (fence and fence[2].startswith(mark) and not fence[3]):
                body.append(line)
                continue
            opened = None
            if start[3] == "{python}":
                source.parts += [_chunk(source, where, body), Text()]
            else:
                block = Text([start[0], *body, line], [(where[0], where[1] + i) for i in range(len(body) + 2)])
                source.parts += [block, Text()]
        elif fence:
            opened = (fence[2], fence, [], place)
            if fence[3] == "{python}" and fence[1]:
                source.refuse(place, "an indented chunk is not supported")
            elif fence[3] != "{python}" and not re.fullmatch(r"\w*|\{\.\w+\}", fence[3]):
                source.refuse(place, f"a code block {fence[3]} is not supported")
        else:
            source.parts[-1].lines.append(line)
            source.parts[-1].places.append(place)
    if opened is not None:
        source.refuse(opened[3], "this code block is never closed")
    fences: list[tuple[str, int]] = []
    first, titles = True, 0
    for part in source.parts:
        if isinstance(part, Text) and not (part.lines and part.lines[0].lstrip().startswith(("```", "~~~"))):
            _check_text(source, part, fences, first)
            for line, place in zip(part.lines, part.places):
                if line.startswith("# "):
                    titles += 1
                    if titles > 1:
                        source.refuse(place, "a second # heading: a chapter has one")
                elif line.strip() and not titles:
                    source.refuse(place, "a chapter opens with `# Title`")
                    titles = 1
        first = first and isinstance(part, Text) and not "".join(part.lines).strip()
    for place in fences:
        source.refuse(place, "this block is never closed")
    return source


def read_sources(book: Book) -> list[Source]:
    """Read every chapter.

    Raises
    ------
    BookError
        If a source is not supported, a label is defined twice, or a reference or citation has no target.
    """
    sources = [read_source(book, chapter) for chapter in book.chapters]
    problems = [problem for source in sources for problem in source.problems]
    known: dict[str, tuple[str, int]] = {}
    for label, place in (item for source in sources for item in source.labels):
        if label in known:
            problems.append(f"{place[0]}:{place[1]}: the label {label} is already defined at {known[label][0]}:{known[label][1]}")
        known[label] = place
    entries: set[str] = set()
    for name in book.bibliography:
        try:
            entries |= set(re.findall(r"^\s*@\w+\s*\{\s*([^,\s]+)", (book.root / name).read_text(encoding="utf-8"), re.M))
        except OSError as error:
            problems.append(f"_quarto.yml:1: the bibliography {name}: {error.strerror}")
    for key, place in (item for source in sources for item in source.references):
        crossref = re.match(rf"{LABEL}|(?:fig|tbl|eq|sec)-", key)
        if crossref and key not in known:
            problems.append(f"{place[0]}:{place[1]}: unresolved reference @{key}")
        elif not crossref and key not in entries:
            problems.append(f"{place[0]}:{place[1]}: no entry @{key} in the bibliography")
    if problems:
        raise BookError("\n".join(problems))
    return sources
