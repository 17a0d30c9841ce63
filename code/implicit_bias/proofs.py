"""The theorems that Rocq has checked, read from ``code/proofs``: the marks, statements and sources that the book shows.

A theorem of the book's label ``thm-x`` is called ``thm_x`` there. Building the book reads the files and runs no Rocq;
``make proofs`` checks them.
"""

import html
import re
from pathlib import Path
from typing import NamedTuple

from pygments import lex
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number

FOLDER = Path(__file__).parents[1] / "proofs"
PAGE = "report/machine-checked.qmd"
DEFINITIONS = (FOLDER / "Definitions.v").read_text(encoding="utf-8")
"""What a reader of the statements must trust."""

CLASSES = {Comment: "co", Keyword: "kw", Name.Builtin: "kw", Number: "dv"}  # those of Pandoc's highlighting
STATED = re.compile(
    r"(?:^\(\*\* Differs from the page: (?P<differs>(?:(?!\*\)).)*)\*\)\n)?"
    r"^(?P<text>(?:Theorem|Lemma|Proposition|Corollary)\s+(?P<name>(?:thm|lem|prp|cor|eq)_\w+).*?\.)(?=\s+Proof\.)",
    re.MULTILINE | re.DOTALL,
)


class Checked(NamedTuple):
    """One checked theorem: its label in the book, the file and line of its statement, the statement as it stands
    there, and how this differs from the page's, in Markdown, or ""."""

    label: str
    file: str
    line: int
    text: str
    differs: str

    @property
    def anchor(self) -> str:
        """Where its proof stands on the appendix's page."""
        return f"rocq-{self.label}"

    @property
    def extent(self) -> str:
        """What is added to “machine-checked”."""
        return ", in part" if self.differs else ""

    @property
    def mark(self) -> str:
        """What stands under its statement in print, in Markdown."""
        return f"`\\checked{{{self.file}}}{{{self.line}}}{{{self.anchor}}}{{{self.extent}}}`{{=latex}}"


def checked(folder: Path = FOLDER) -> dict[str, Checked]:
    """Return the checked theorems of a folder by label, file by file in the order of the alphabet.

    >>> checked()["thm-plane"].file
    'Problem2.v'
    """
    found: dict[str, Checked] = {}
    for file in sorted(folder.glob("*.v")):
        source = file.read_text(encoding="utf-8")
        for match in STATED.finditer(source):
            label, line = match["name"].replace("_", "-"), source.count("\n", 0, match.start("text")) + 1
            words = " ".join((match["differs"] or "").split()).replace("∑", "Σ")
            differs = re.sub(r"([_^*<>~$|`\\])", r"\\\1", words)
            found[label] = Checked(label, file.name, line, match["text"], differs)
    return found


def highlighted(code: str) -> str:
    """Return Rocq's code as HTML, in the classes that the pages' style colours.

    >>> highlighted("Lemma a : 1 < 2.").startswith('<span class="kw">Lemma</span> a')
    True
    """
    spans = []
    for kind, word in lex(code, get_lexer_by_name("coq")):
        while kind.parent and kind not in CLASSES:
            kind = kind.parent
        name = CLASSES.get(kind)
        text = html.escape(word, quote=False)
        spans.append(f'<span class="{name}">{text}</span>' if name else text)
    return "".join(spans).rstrip("\n")


def on_pages(code: str, anchors: dict[int, str] | None = None) -> str:
    """Return a highlighted block for the pages, in Markdown, with an anchor in front of each of the lines named."""
    lines = highlighted(code).split("\n")
    for line, anchor in (anchors or {}).items():
        lines[line - 1] = f'<span id="{anchor}"></span>{lines[line - 1]}'
    shown = "\n".join(lines)
    return f'```{{=html}}\n<pre class="sourceCode rocq"><code>{shown}</code></pre>\n```'


def in_print(code: str) -> str:
    """Return a block in plain letters for the PDF, in Markdown; LaTeX keeps the sign ∑ for formulas."""
    code = code.strip().replace("∑", "Σ")
    return f"```{{=latex}}\n\\begin{{rocq}}\n{code}\n\\end{{rocq}}\n```"


def foot(theorem: Checked) -> str:
    """Return what stands under a checked statement on the pages, in Markdown: folded, the statement as Rocq has it."""
    place = f"[`{theorem.file}`, line {theorem.line}]({Path(PAGE).name}#{theorem.anchor})"
    return (
        f'<details class="checked"><summary>Machine-checked{theorem.extent}</summary>\n\n{on_pages(theorem.text)}\n\n'
        f"{place}. Differs from the page: {theorem.differs or 'no.'}\n\n</details>"
    )


def sources() -> str:
    """Return, in Markdown, the files with all proofs for the pages, folded, and the statements for the PDF."""
    by_file: dict[str, list[Checked]] = {}
    for theorem in checked().values():
        by_file.setdefault(theorem.file, []).append(theorem)
    blocks = []
    for file in sorted({*FOLDER.glob("*.v")} - {FOLDER / "Definitions.v"}):
        source, anchors = file.read_text(encoding="utf-8"), {t.line: t.anchor for t in by_file.get(file.name, [])}
        blocks += [
            f"```{{=html}}\n<details><summary><code>{file.name}</code></summary>\n```",
            on_pages(source, anchors),
            "```{=html}\n</details>\n```",
        ]
        for theorem in by_file.get(file.name, []):
            target = f"`\\hypertarget{{{theorem.anchor}}}{{}}`{{=latex}}"
            blocks += [target, in_print(f"(* {file.name}, line {theorem.line} *)\n{theorem.text}")]
    return "\n\n".join(blocks)


def table() -> str:
    """Return the table of the appendix in Markdown: a row for each checked theorem."""
    lines = ["| statement | file, line | differs from the page |", "|:-----|:------|:---------------|"]
    for theorem in checked().values():
        lines.append(f"| @{theorem.label} | `{theorem.file}`, {theorem.line} | {theorem.differs or 'no'} |")
    return "\n".join(lines)
