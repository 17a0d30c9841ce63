"""Build the book where there is no Quarto: ``python code/book [--to html|pdf] [--output-dir _book]``.

Run it in the folder of ``_quarto.yml``. The new book replaces the old one only when it is whole; after an error,
which names the file and the label or the first words, the old one is as it was and the exit status is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chunks import Run
from project import Book, BookError, number, read_book, write_html, write_pdf

KERNELS = 2  # chapters run at a time
MARK = ".built-by-code-book"  # stands in each folder that a build made


def _git(root: Path, *arguments: str) -> bool:
    """Return whether git is there and says yes."""
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True).returncode == 0
    except OSError:
        return False


def refuse(book: Book, output: Path) -> None:
    """Refuse an output folder that may hold something else than a built book: it must be absent, empty or marked.

    Quarto leaves no mark. What it built is known by its files in the folder that ``_quarto.yml`` names, where git
    ignores that folder: there, nobody keeps anything. Without git, such a folder is refused.
    """
    root = book.root.resolve()
    if output == root or output in root.parents:
        raise BookError(f"{output}: the book would replace the project")
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not output.is_dir() or _git(root, "ls-files", "--error-unmatch", "--", str(output)):
        raise BookError(f"{output}: it is a file, or git tracks what is in it; name another folder")
    built = any((output / name).is_file() for name in ("index.html", book.pdf_name))
    named = output == (root / book.get("project", "output-dir", "_book")).resolve()
    if not (output / MARK).is_file() and not (built and named and _git(root, "check-ignore", "-q", str(output))):
        raise BookError(f"{output}: this builder did not make it; delete it, or name another folder")


@contextmanager
def replacing(book: Book, output: Path, formats: list[str]) -> Iterator[Path]:
    """Yield a folder to build in; what is then in its folder ``new`` takes the place of ``output``.

    What the old book has of a format that is not in ``formats`` is kept. Another build waits for the end of this one.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    work = output.with_name(f".{output.name}-building")
    new, old = work / "new", work / "old"

    def clean() -> None:
        if (work / MARK).is_file():
            if old.exists() and not output.exists():
                old.rename(output)
            shutil.rmtree(work)

    lock = os.open(output.parent, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # which ends with this process, however that ends
    try:
        clean()  # after a build that was killed
        work.mkdir()
        (work / MARK).touch()
        yield work
        refuse(book, output)
        (new / MARK).touch()
        if formats == ["html"] and (output / book.pdf_name).is_file():
            shutil.copy2(output / book.pdf_name, new)
        if formats == ["pdf"] and output.is_dir():
            shutil.copytree(output, new, dirs_exist_ok=True, ignore=shutil.ignore_patterns(book.pdf_name))
        if output.exists():
            output.rename(old)
        new.rename(output)
    finally:
        clean()
        os.close(lock)


async def run_all(book: Book, to: Path, live: bool) -> None:
    """Write the chapters as plain Markdown to the folder ``to``; code runs if this is ``live``."""
    run, free = Run(book, to, live), asyncio.Semaphore(KERNELS)

    async def one(file: str) -> None:
        async with free:
            await run.chapter(file)
        if live:
            print(f"ran {file}", file=sys.stderr)

    await asyncio.gather(*(one(file) for file in book.files))


def build(root: Path, formats: list[str], folder: str | None) -> Path:
    """Build ``formats`` of the book in ``root`` and return the output folder."""
    book = read_book(root)
    output = (root / (folder or book.get("project", "output-dir", "_book"))).resolve()
    refuse(book, output)
    with replacing(book, output, formats) as work:
        asyncio.run(run_all(book, work / "dry", live=False))
        number(book, work / "dry")  # what is wrong with the text shows before minutes of code
        asyncio.run(run_all(book, work / "live", live=True))
        if "html" in formats:
            write_html(book, work / "live", work / "new")
        if "pdf" in formats:
            write_pdf(book, work / "live", work / "new")
    return output


def main() -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="python code/book", description="Build the book without Quarto.")
    parser.add_argument("--to", choices=("html", "pdf"), help="default: both")
    parser.add_argument("--output-dir", help="default: the one of _quarto.yml, or _book")
    options = parser.parse_args()
    try:
        print(f"built {build(Path.cwd(), [options.to] if options.to else ['html', 'pdf'], options.output_dir)}")
    except (BookError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the book is as it was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
