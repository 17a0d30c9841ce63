"""Make plain Markdown of a chapter: put in what it includes, run its code, put in what the code shows."""

import ast
import base64
import json
import os
import re
import sys
import time
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode, from_dict
from project import Book, BookError, as_list, read_text, read_yaml

TIME_LIMIT = 600
"""Seconds that a chunk may run."""

INCLUDE = re.compile(r"^[ \t]*\{\{< *include +(\S+) *>\}\}[ \t]*$", re.M)
EQUATION = re.compile(r"(\$\$(?:(?!\$\$).)+\$\$) *(\{#eq-[\w-]+\})", re.S)
# A block of code, inline code to run, or a longer code span: what stands inside one of them is nothing else.
CODE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})[ \t]*(?:\{(?P<chunk>\w[^}\n]*)\}|[^\n`]*)\n"
    r"(?P<body>.*?)^[ \t]*(?P=mark)[`~]*[ \t]*$"
    r"|(?<!`)(?P<ticks>``+)(?!`).+?(?<!`)(?P=ticks)(?!`)"
    r"|(?<!`)`\{(?P<inline>\w+)\}\s+(?P<expression>[^`]+)`",
    re.M | re.S,
)
OPTIONS = "label fig-cap fig-alt fig-subcap layout-ncol tbl-cap echo warning output"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # for each kernel: two of them run at a time
BOTH_FORMATS = "import matplotlib_inline.backend_inline as _b; _b.set_matplotlib_formats('svg', 'pdf'); del _b"


def _node(**fields: object) -> NotebookNode:
    return from_dict(fields)  # type: ignore[no-untyped-call,no-any-return] # nbformat has no types


class Chapter:
    """A chapter: the pieces of its text, and a notebook whose cells are its chunks and inline expressions."""

    def __init__(self, book: Book, file: str) -> None:
        self.book, self.file = book, file
        self.notebook = _node(cells=[], metadata={})
        folder, text = PurePosixPath(file).parent, read_text(book.root, file)
        # an address that begins with / begins in the project's root
        text = INCLUDE.sub(lambda at: read_text(book.root, str(folder / at[1]).lstrip("/"), by=file), text)
        if shortcode := re.search(r"\{\{<.{0,60}", text):
            raise BookError(f"{file}: the shortcode {shortcode[0]} is not supported")
        if not text.startswith("# "):
            raise BookError(f"{file}: a chapter opens with `# Title`, without YAML")
        self.pieces, end = [], 0
        for found in CODE.finditer(text):
            self.pieces += [EQUATION.sub(r"[\1]\2", text[end : found.start()]), self._read(found)]
            end = found.end()
        self.pieces.append(EQUATION.sub(r"[\1]\2", text[end:]))
        if never := re.search(r"^ *(```|~~~).*", text[end:], re.M):
            raise BookError(f"{file}: the block {never[0]} is never closed")

    def _read(self, found: re.Match[str]) -> str | NotebookNode:
        """Return code to run as a cell, which until then shows a stand-in, and other code as it is."""
        if not (language := found["chunk"] or found["inline"]):
            return found[0]
        code = re.sub(r"^#\|.*\n", "", found["expression"] or found["body"], flags=re.M).strip()
        name = f"{self.file}: the code “{code[:60].splitlines()[0] if code else ''}”"
        if language != "python" or found["indent"]:
            raise BookError(f"{name} is indented, or of a kind that is not supported")
        options = read_yaml(OPTIONS, "\n".join(re.findall(r"^#\|(.*)", found["body"] or "", re.M)), name)
        shows = {"text/markdown": "| a |\n|---|\n"} if "tbl-cap" in options else {"text/plain": "0"}
        shows = {"image/svg+xml": "", "application/pdf": ""} if "fig-cap" in options else shows
        panels = len(as_list(options.get("fig-subcap"))) or 1
        name = f"{self.file}: the chunk {options['label']}" if "label" in options else name
        options = {"label": "", "echo": True, "warning": True, "name": name} | self.book.groups["execute"] | options
        outputs = [{"output_type": "display_data", "data": shows}] * panels
        options["inline"] = bool(found["inline"])
        cell = _node(cell_type="code", source=code, outputs=outputs, metadata=options)
        self.notebook.cells.append(cell)
        return cell

    def run(self) -> None:
        """Run the code in a fresh kernel; code that fails, or takes too long, is an error."""
        if not self.notebook.cells:
            return
        begun, start = [self.file], time.monotonic()
        client = NotebookClient(
            self.notebook,
            # with no folder of kernels to look into, the kernel is this interpreter
            km=AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[])),
            extra_arguments=["--log-level=ERROR", f"--IPKernelApp.code_to_run={BOTH_FORMATS}"],
            timeout=TIME_LIMIT,
            coalesce_streams=True,
            shutdown_kernel="immediate",
            resources={"metadata": {"path": str(self.book.root)}},
            on_cell_start=lambda cell, cell_index: begun.append(cell.metadata.name),
        )
        try:
            client.execute(cleanup_kc=True, env=ONE_THREAD | os.environ)
        except CellTimeoutError:
            raise BookError(f"{begun[-1]} took more than {TIME_LIMIT} seconds") from None
        except (CellExecutionError, RuntimeError) as error:
            trace = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
            raise BookError(f"{begun[-1]} failed\n{trace}") from None
        print(f"ran {self.file} in {time.monotonic() - start:.0f} s", file=sys.stderr)

    def write(self, to: Path) -> None:
        """Write the chapter as Markdown, and its figures, to the folder ``to``."""
        file = to / self.file
        file.parent.mkdir(parents=True, exist_ok=True)
        part = json.dumps(self.book.parts.get(self.file, ""), ensure_ascii=False)
        shown = [piece if isinstance(piece, str) else _shown(piece, file.parent) for piece in self.pieces]
        file.write_text(
            "".join([f'::: {{.chapter file="{self.file}" part={part}}}\n:::\n\n', *shown]), encoding="utf-8"
        )


def _shown(cell: NotebookNode, folder: Path) -> str:
    """Return as Markdown what a cell shows; its figures are saved in ``folder``."""
    options, label, made, images = cell.metadata, cell.metadata.label, 0, []
    if options.inline:
        text = cell.outputs[-1].get("data", {}).get("text/plain", "") if cell.outputs else ""
        if not text:
            raise BookError(f"{options.name} has no text as its value")
        return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", ast.literal_eval(text)) if text[0] in "'\"" else text
    blocks = [_block(cell.source, ".python .cell-code")] if options.echo else []
    for output in cell.outputs:
        data = output.get("data", {})
        if output.output_type == "stream":
            if output.name == "stdout" or options.warning:
                blocks.append(_block(output.text, f".cell-output-{output.name}"))
        elif "fig-cap" in options and "image/svg+xml" in data:
            images.append(data)
        elif "text/markdown" in data:
            caption = f"\n\n: {options['tbl-cap']} {{#{label}}}" if "tbl-cap" in options else ""
            blocks.append(data["text/markdown"].strip() + caption)
            made += bool(caption)
        elif set(data) == {"text/plain"}:
            blocks.append(_block(data["text/plain"], ".cell-output-display"))
        else:
            raise BookError(f"{options.name}: an output of type {', '.join(sorted(data))} is not supported")
    if images:
        blocks.append(_figure(options, images, folder))
        made += 1
    if made != label.startswith(("fig-", "tbl-")):
        raise BookError(f"{options.name}: {made} figures or tables with a caption, for the label “{label}”")
    return "\n\n".join(["", *blocks, ""])


def _figure(options: NotebookNode, images: list[Any], folder: Path) -> str:
    """Return a figure, of one image or of panels with captions of their own; each is saved as SVG and as PDF."""
    label, panels, alts = options.label, as_list(options.get("fig-subcap")), as_list(options.get("fig-alt"))
    captions = panels or [options["fig-cap"]]
    if not len(images) == len(captions) == len(alts):
        raise BookError(f"{options.name}: {len(images)} images, {len(captions)} captions of them, {len(alts)} fig-alt")
    parts = []
    for k, (data, caption, alt) in enumerate(zip(images, captions, alts), 1):
        name, mark = (f"{label}-{k}", "") if panels else (label, f"#{label} ")
        (folder / f"{name}.svg").write_text(data["image/svg+xml"], encoding="utf-8")
        (folder / f"{name}.pdf").write_bytes(base64.b64decode(data["application/pdf"]))
        parts.append(f"![{caption}]({name}){{{mark}fig-alt={json.dumps(alt, ensure_ascii=False)}}}")
    return "\n\n".join([f"::: {{#{label} .panels}}", *parts, options["fig-cap"], ":::"] if panels else parts)


def _block(text: str, attributes: str) -> str:
    """Return a fenced block, whose fence is longer than those in it."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{fence} {{{attributes}}}\n{text.rstrip()}\n{fence}"
