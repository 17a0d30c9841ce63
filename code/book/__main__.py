"""Build the book where there is no Quarto: ``python code/book [--to html|pdf]``, in the folder of ``_quarto.yml``.

The new book replaces the old one only when it is whole; after an error, which names the file and the label or the
first words, the old one is as it was and the exit status is 1.
"""

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from chunks import Chapter
from project import BookError, prepare, read_book, write, write_html, write_pdf

MARK = ".built-by-code-book"  # stands in each folder that a build made


def refuse(root: Path, output: Path) -> None:
    """Refuse an output folder that may hold something else than a built book: it must be absent, empty or marked."""
    if root.resolve().is_relative_to(output):
        raise BookError(f"{output}: the book would replace the project")
    tracked = ["git", "ls-files", "--error-unmatch", "--", str(output)]
    if shutil.which("git") and subprocess.run(tracked, cwd=root, capture_output=True).returncode == 0:
        raise BookError(f"{output}: git tracks what is in it; name another folder")
    if output.exists() and not (output / MARK).is_file() and not (output.is_dir() and not any(output.iterdir())):
        raise BookError(f"{output}: this builder did not make it; delete it, or name another folder")


@contextmanager
def replacing(root: Path, output: Path) -> Iterator[Path]:
    """Yield a folder to build in; its folder ``new`` takes the place of ``output``. One build waits for another."""
    refuse(root, output)
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
        refuse(root, output)
        (new / MARK).touch()
        if output.exists():
            output.rename(old)
        new.rename(output)
    finally:
        clean()
        os.close(lock)


def build(root: Path, formats: list[str]) -> Path:
    """Build ``formats`` of the book in ``root`` and return the output folder; what it has of another format is kept."""
    book = read_book(root)
    output = root.joinpath(book.groups["project"].get("output-dir", "_book")).resolve()
    chapters = [Chapter(book, file) for file in book.files]
    with replacing(root, output) as work:
        text, new = work / "text", work / "new"
        prepare(book)
        for chapter in chapters:
            chapter.write(text)
        write(book, text, "html")  # what is wrong with the text shows before minutes of code
        pool = ThreadPoolExecutor(2)
        for done in as_completed([pool.submit(chapter.run) for chapter in chapters]):
            done.result()
        for chapter in chapters:
            chapter.write(text)
        if "html" in formats:
            write_html(book, text, new)
        elif output.exists():
            shutil.copytree(output, new)
        if "pdf" in formats:
            write_pdf(book, text, new)
        elif (output / book.pdf).is_file():
            shutil.copy2(output / book.pdf, new)
    return output


def main() -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="python code/book", description="Build the book without Quarto.")
    parser.add_argument("--to", choices=("html", "pdf"), help="default: both")
    to = parser.parse_args().to
    try:
        print(f"built {build(Path.cwd(), [to] if to else ['html', 'pdf'])}", flush=True)
    except (BookError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the book is as it was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    os._exit(main())  # without waiting for code that still runs: its kernel ends with this process
