"""Make plain Markdown of a chapter: put in what it includes, run its code, put in what the code shows."""

from __future__ import annotations

import ast
import asyncio
import base64
import re
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from project import Book, BookError, read_text, read_yaml

TIME_LIMIT = 600
"""Seconds that a chunk may run."""

INCLUDE = re.compile(r"^[ \t]*\{\{< *include +(\S+) *>\}\}[ \t]*$", re.M)
# A block of code, inline code to run, or a longer code span: what stands inside one of them is nothing else.
CODE = re.compile(
    r"^(?P<fence>[ \t]*(?P<mark>`{3,}|~{3,}))[ \t]*(?P<info>[^\n`]*)\n(?P<body>.*?)^[ \t]*(?P=mark)[`~]*[ \t]*$"
    r"|(?<!`)(?P<ticks>``+)(?!`).+?(?<!`)(?P=ticks)(?!`)"
    r"|(?<!`)`\{(?P<language>\w+)\}\s+(?P<expression>[^`]+)`",
    re.M | re.S,
)
OPTIONS = {"label", "fig-cap", "fig-alt", "tbl-cap", "echo", "include", "warning"}
BOTH_FORMATS = "from matplotlib_inline import backend_inline as _b; _b.set_matplotlib_formats('svg', 'pdf'); del _b"


class _ThisPython(KernelSpecManager):
    """The kernel is the interpreter that builds the book, whatever kernels are installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
        return KernelSpec(argv=command, display_name="Python", language="python")


class Kernel:
    """A fresh interpreter for one chapter, started when the first code asks for it."""

    def __init__(self, root: Path) -> None:
        self.manager = AsyncKernelManager(kernel_spec_manager=_ThisPython())
        notebook = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call] # nbformat has no types
        place = {"metadata": {"path": str(root)}}
        self.client = NotebookClient(notebook, km=self.manager, timeout=TIME_LIMIT, resources=place)

    async def run(self, code: str, name: str) -> list[Any]:
        """Run ``code`` and return its outputs; ``name`` says in an error which code it was."""
        if self.client.kc is None:  # not by setup_kernel(), whose signal handlers would swallow Ctrl-C
            await self.client.async_start_new_kernel()
            await self.client.async_start_new_kernel_client()
            await self.run(BOTH_FORMATS, name)
        cell = nbformat.v4.new_code_cell(code)  # type: ignore[no-untyped-call] # the same
        self.client.nb.cells.append(cell)
        try:
            await self.client.async_execute_cell(cell, len(self.client.nb.cells) - 1)
        except CellTimeoutError:
            raise BookError(f"{name} took more than {TIME_LIMIT} seconds") from None
        except (CellExecutionError, DeadKernelError) as error:
            task = asyncio.current_task()
            if task and task.cancelling():  # which nbclient takes for the kernel's death
                raise asyncio.CancelledError from None
            trace = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
            raise BookError(f"{name} failed\n{trace}") from None
        return list(cell.outputs)

    async def stop(self) -> None:
        """End the interpreter, if it was started."""
        if self.client.kc is not None:
            self.client.kc.stop_channels()
            await self.manager.shutdown_kernel(now=True)


class Run:
    """Makes chapters plain Markdown, with their figures, in the folder ``to``.

    If it is not ``live``, no code runs, and stand-ins take the place of what it would show.
    """

    def __init__(self, book: Book, to: Path, live: bool) -> None:
        self.book, self.to, self.live = book, to, live
        self.labels: set[str] = set()

    async def chapter(self, file: str) -> None:
        """Write a chapter as plain Markdown; code that fails, or shows what a book cannot, is an error."""
        folder, root, pieces, end = PurePosixPath(file).parent, self.book.root, [], 0
        # an address that begins with / begins in the project's root
        text = INCLUDE.sub(lambda at: read_text(root, str(folder / at[1]).lstrip("/"), by=file), read_text(root, file))
        if shortcode := re.search(r"\{\{<.{0,60}", text):
            raise BookError(f"{file}: the shortcode {shortcode[0]} is not supported")
        kernel = Kernel(root)
        try:
            for found in CODE.finditer(text):
                pieces.append(text[end : found.start()])
                end = found.end()
                code = re.sub(r"^#\|.*\n", "", found["expression"] or found["body"] or "", flags=re.M).strip()
                name = f"{file}: the code “{code.splitlines()[0][:60] if code else ''}”"
                if found["language"] == "python":
                    pieces.append(_value(await kernel.run(code, name), name) if self.live else "0")
                elif found["language"] or re.match(r"\{(?!python\}|[.#=])", found["info"] or ""):
                    raise BookError(f"{name} is of a kind that is not supported")
                elif (found["info"] or "").strip() != "{python}":
                    pieces.append(found[0])
                elif found["fence"] != found["mark"]:
                    raise BookError(f"{name} is an indented chunk")
                else:
                    header = "\n".join(re.findall(r"^#\|(.*)", found["body"], re.M))
                    pieces.append(await self._chunk(file, code, name, read_yaml(header, name), kernel))
        finally:
            await kernel.stop()
        if never := re.search(r"^ *(```|~~~).*", text[end:], re.M):
            raise BookError(f"{file}: the block {never[0]} is never closed")
        (self.to / file).parent.mkdir(parents=True, exist_ok=True)
        (self.to / file).write_text("".join([*pieces, text[end:]]), encoding="utf-8")

    async def _chunk(self, file: str, code: str, name: str, given: dict[str, Any], kernel: Kernel) -> str:
        label = str(given.get("label", ""))
        name = f"{file}: the chunk {label}" if label else name
        for key in set(given) - OPTIONS:
            raise BookError(f"{name}: the option {key} is not supported")
        if label in self.labels:
            raise BookError(f"{name}: this label is already defined")
        for kind in ("fig", "tbl"):
            if (f"{kind}-cap" in given) != label.startswith(f"{kind}-"):
                raise BookError(f"{name}: a {kind}-cap needs a label {kind}-… and the label a {kind}-cap")
        self.labels |= {label} - {""}
        given["stem"] = f"{PurePosixPath(file).stem}_files/{label}"
        options = {"echo": True, "include": True, "warning": True} | self.book.groups["execute"] | given
        fold = {True: ' fold="yes"', "show": ' fold="show"'}.get(self.book.get("html", "code-fold", False), "")
        blocks = [_block(code, f".python{fold}")] if options["echo"] else []
        if self.live:
            folder = (self.to / file).parent
            blocks += [_shown(options, output, folder, name) for output in await kernel.run(code, name)]
            made = sum(f"{{#{label}" in block for block in blocks)
            if made != label.startswith(("fig-", "tbl-")):
                raise BookError(f"{name} shows {made} figures or tables of that label instead of one")
        elif label.startswith(("fig-", "tbl-")):
            blocks.append(_figure(options) if "fig-cap" in options else _table(options, "| a |\n|---|\n| b |"))
        return "\n\n".join(["", *blocks, ""]) if options["include"] else ""


def _block(text: str, attributes: str) -> str:
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{fence} {{{attributes}}}\n{text.rstrip()}\n{fence}"


def _figure(options: dict[str, Any]) -> str:
    alt = re.sub(r'(["\\])', r"\\\1", " ".join(str(options.get("fig-alt", "")).split()))
    return f'![{" ".join(str(options["fig-cap"]).split())}]({options["stem"]}){{#{options["label"]} fig-alt="{alt}"}}'


def _table(options: dict[str, Any], markdown: str) -> str:
    caption = " ".join(str(options.get("tbl-cap", "")).split())
    return f"{markdown.strip()}\n\n: {caption} {{#{options['label']}}}" if caption else markdown


def _shown(options: dict[str, Any], output: Any, folder: Path, name: str) -> str:
    """Return one output as Markdown; a figure is saved as SVG and as PDF, one for each format."""
    data = output.get("data", {})
    if output.output_type == "stream":
        hidden = output.name == "stderr" and not options["warning"]
        return "" if hidden else _block(output.text, f".cell-output-{output.name}")
    if "image/svg+xml" in data and "fig-cap" in options:
        stem = folder / options["stem"]
        stem.parent.mkdir(parents=True, exist_ok=True)
        stem.with_name(f"{stem.name}.svg").write_text(data["image/svg+xml"], encoding="utf-8")
        stem.with_name(f"{stem.name}.pdf").write_bytes(base64.b64decode(data["application/pdf"]))
        return _figure(options)
    if "text/markdown" in data:
        return _table(options, data["text/markdown"])
    if set(data) != {"text/plain"}:
        raise BookError(f"{name}: an output of type {', '.join(sorted(data))} is not supported")
    return _block(data["text/plain"], ".cell-output-display")


def _value(outputs: list[Any], name: str) -> str:
    data = outputs[-1].get("data", {}) if outputs else {}
    if "text/markdown" in data:
        return str(data["text/markdown"])
    if set(data) != {"text/plain"}:
        raise BookError(f"{name} has no text as its value")
    text = str(data["text/plain"])
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", ast.literal_eval(text)) if text[0] in "'\"" else text
