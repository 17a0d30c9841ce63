"""Run a chapter's chunks and inline expressions in one fresh kernel and return the chapter as Markdown."""

from __future__ import annotations

import base64
import contextlib
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from configuration import Book, BookError
from sources import INLINE, Chunk, Source

FIGURES_IN_BOTH_FORMATS = """\
import matplotlib_inline.backend_inline
matplotlib_inline.backend_inline.set_matplotlib_formats("svg", "pdf")
"""

Place = tuple[str, int]


class _ThisInterpreter(KernelSpecManager):
    """The kernel is the interpreter that builds the book, whatever kernels are installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
        return KernelSpec(argv=command, display_name="Python", language="python")


class _Kernel:
    """Runs code, and turns a failure into an error at the place of that code."""

    def __init__(self, root: Path) -> None:
        notebook = nbformat.v4.new_notebook()
        manager = AsyncKernelManager(kernel_spec_manager=_ThisInterpreter())
        self.client = NotebookClient(notebook, km=manager, timeout=None, resources={"metadata": {"path": str(root)}})

    def run(self, code: str, place: Place) -> list[Any]:
        cell = nbformat.v4.new_code_cell(code)
        self.client.nb.cells.append(cell)
        try:
            self.client.execute_cell(cell, len(self.client.nb.cells) - 1)
        except (CellExecutionError, DeadKernelError) as error:
            trace = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
            raise BookError(f"{place[0]}:{place[1]}: this code failed\n{trace}") from None
        return cell.outputs


def _block(text: str, attributes: str) -> str:
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{fence} {{{attributes}}}\n{text}\n{fence}"


def _inline(kernel: _Kernel, expression: str, place: Place) -> str:
    outputs = kernel.run(expression.strip(), place)
    data = outputs[-1].get("data", {}) if outputs else {}
    if "text/markdown" in data:
        return data["text/markdown"]
    text = data.get("text/plain")
    if text is None or set(data) - {"text/plain"}:
        raise BookError(f"{place[0]}:{place[1]}: the inline expression {expression.strip()} has no text as value")
    if text[0] == text[-1] and text[0] in "'\"":
        return re.sub(r"([\\`*_{}\[\]()>#+\-.!])", r"\\\1", text[1:-1])
    return text


def _save_figure(data: dict[str, str], stem: Path) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_name(stem.name + ".svg").write_text(data["image/svg+xml"], encoding="utf-8")
    stem.with_name(stem.name + ".pdf").write_bytes(base64.b64decode(data["application/pdf"]))


def _float(label: str, content: str, caption: str) -> str:
    # after the word, whatever a caption begins with is read as text, never as a list or a heading
    words = " ".join(caption.split())
    return f"::: {{#{label} .float}}\n{content}\n\n::: {{.caption}}\nCaption: {words}\n:::\n:::"


def _shown(options: dict[str, Any], outputs: list[Any], folder: Path, stem: str) -> list[str]:
    """Return a chunk's outputs as Markdown blocks, its figure saved under ``folder / stem``.

    Raises
    ------
    ValueError
        If there is an output that the book cannot show.
    """
    label, shown, floats = str(options.get("label", "")), [], 0
    for output in outputs:
        data = output.get("data", {})
        if output.output_type == "stream" and output.name == "stderr":
            if options["warning"]:
                shown.append(_block(output.text.rstrip("\n"), ".cell-output-stderr"))
        elif output.output_type == "stream":
            text = output.text.rstrip("\n")
            shown.append(text if options["output"] == "asis" else _block(text, ".cell-output-stdout"))
        elif "image/svg+xml" in data:
            if not label.startswith("fig-"):
                raise ValueError("a figure needs a label fig-… and a fig-cap")
            floats += 1
            _save_figure(data, folder / stem)
            alt = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(str(options.get("fig-alt", "")).split()))
            shown.append(_float(label, f"![{alt}]({stem})", options["fig-cap"]))
        elif "text/markdown" in data:
            floats += label.startswith("tbl-")
            table = data["text/markdown"]
            shown.append(_float(label, table, options["tbl-cap"]) if label.startswith("tbl-") else table)
        elif set(data) == {"text/plain"}:
            shown.append(_block(data["text/plain"], ".cell-output-display"))
        else:
            raise ValueError(f"an output of type {', '.join(sorted(set(data) - {'text/plain'}))} is not supported")
    if label.startswith(("fig-", "tbl-")) and floats != 1:
        raise ValueError(f"the chunk {label} shows {floats} figures or tables instead of one")
    return shown


def _cell(book: Book, chunk: Chunk, outputs: list[Any] | None, folder: Path, stem: str) -> str:
    """Return a chunk as Markdown: its code, if it is echoed, and what it showed (a stand-in if it was not run)."""
    options = book.execute | {"code-fold": book.code_fold} | chunk.options
    if not options["include"]:
        return ""
    fold = {True: ' code-fold="hide"', "show": ' code-fold="show"'}.get(options["code-fold"], "")
    blocks = []
    if options["echo"]:
        blocks.append(f"::: {{.cell{fold}}}\n{_block(chunk.code, '.python')}\n:::")
    if options["output"] and options["eval"]:
        if outputs is None:
            label = str(options.get("label", ""))
            if label.startswith("fig-"):
                blocks.append(_float(label, "![](none)", options["fig-cap"]))
            elif label.startswith("tbl-"):
                blocks.append(_float(label, "| a |\n|---|\n| b |", options["tbl-cap"]))
        else:
            blocks += _shown(options, outputs, folder, stem)
    return "\n\n" + "\n\n".join(blocks) + "\n\n"


def chapter_markdown(book: Book, source: Source, folder: Path, run: bool = True) -> tuple[str, list[Place]]:
    """Return a chapter as plain Pandoc Markdown, and the place in the sources that each of its lines comes from.

    Figures go to ``folder``, each as SVG and as PDF, so that one run serves both formats. Without ``run`` no
    code is run and stand-ins take the place of what it would show. ``fig-width`` and ``fig-height`` are accepted
    and change nothing, as in Quarto's Jupyter engine: the size of a figure is its own.

    Raises
    ------
    BookError
        If code fails (with its traceback) or shows something that is not supported.
    """
    kernel = _Kernel(book.root) if run else None
    with contextlib.ExitStack() as stack:
        if kernel and any(isinstance(part, Chunk) or INLINE.search("\n".join(part.lines)) for part in source.parts):
            stack.enter_context(kernel.client.setup_kernel(cleanup_kc=True))
            kernel.run(FIGURES_IN_BOTH_FORMATS, (source.chapter.path.as_posix(), 1))
        pieces: list[str] = []
        places: list[Place] = []
        for count, part in enumerate(source.parts):
            if isinstance(part, Chunk):
                evaluate = part.options.get("eval", book.execute["eval"])
                outputs = [] if kernel else None
                if kernel and evaluate:
                    outputs = kernel.run(part.code, part.place)
                name = part.options.get("label", f"cell-{count}")
                stem = f"{source.chapter.path.with_suffix('').as_posix()}_files/{name}"
                try:
                    piece = _cell(book, part, outputs, folder, stem)
                except ValueError as error:
                    raise BookError(f"{part.place[0]}:{part.place[1]}: {error}") from None
                places += [part.place] * (piece.count("\n") + 1)
                pieces.append(piece)
            elif part.lines:
                text, kept, broken = "\n".join(part.lines), list(part.places), []

                def value(match: re.Match) -> str:
                    line = text[: match.start()].count("\n")
                    broken.append((line + 1, line + 1 + match[0].count("\n")))
                    return _inline(kernel, match[2], part.places[line]).replace("\n", " ") if kernel else "0"

                pieces.append(INLINE.sub(value, text))
                for start, stop in reversed(broken):  # an expression may be broken over lines, its value is not
                    del kept[start:stop]
                places += kept
    return "\n".join(pieces), places
