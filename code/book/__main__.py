"""Build the book where there is no Quarto: ``python code/book [--to html|pdf|all] [--output-dir _book]``.

Run it in the folder of ``_quarto.yml``. The new book replaces the old one only when it is whole; after an error,
which names the file and the line, the old one is as it was and the exit status is 1.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

from chunks import chapter_markdown
from configuration import Book, BookError, read_book
from render import number, parse, write_html, write_pdf
from sources import Source, read_sources

KERNELS = 2
"""Chapters run at a time."""


def build(book: Book, formats: tuple[str, ...], output: Path) -> None:
    """Build ``formats`` into the folder ``output``, which keeps what it has of other formats."""
    sources = read_sources(book)
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder)

        def run(source: Source) -> dict:
            return parse(book, *chapter_markdown(book, source, figures))

        with ThreadPoolExecutor(KERNELS) as pool:
            runs = [pool.submit(run, source) for source in sources]
            try:
                for done in tqdm(as_completed(runs), total=len(runs), desc="chapters", unit="chapter"):
                    done.result()
            except BookError:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        chapters = [done.result() for done in runs]
        if "html" in formats:
            tree, _ = number(book, chapters, "html")
            write_html(book, tree, figures, output, book.offers_pdf and ("pdf" in formats or (output / book.pdf_name).exists()))
        if "pdf" in formats:
            tree, _ = number(book, chapters, "latex")
            write_pdf(book, tree, figures, output)


def replace(old: Path, new: Path) -> None:
    """Put the folder ``new`` in the place of ``old``."""
    aside = new.with_name(new.name + ".old")
    if old.exists():
        old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python code/book", description="Build the book without Quarto.")
    parser.add_argument("--to", choices=("html", "pdf", "all"), default="all")
    parser.add_argument("--output-dir", help="default: the one of _quarto.yml, or _book")
    options = parser.parse_args()
    formats = ("html", "pdf") if options.to == "all" else (options.to,)
    try:
        book = read_book(Path.cwd())
        output = book.root / (options.output_dir or book.output_dir)
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as folder:
            new = Path(folder) / output.name
            if len(formats) == 1 and output.is_dir():
                shutil.copytree(output, new)
            else:
                new.mkdir()
            build(book, formats, new)
            replace(output, new)
    except BookError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"built {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
