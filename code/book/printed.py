"""What is wrong with the PDF as a printed thing, by poppler's programs: metadata, fonts, contents, white pages."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

FIELDS = ("Title", "Author", "Subject", "Keywords")
ENTRY = re.compile(r"^ *(\S.*?)((?: \.)*) +(\d+)$", re.M)
"""A line of the contents: a title, dots unless it opens a part or a chapter, and a page."""
NUMBERED = re.compile(r"[\dA-Z][.\d]* +\S+")
INK = 200
"""Pixels darker than this are not white."""
WHITE = 0.3
"""Share of a page's text block that may be left white where no chapter ends."""


def output(*command: str | Path) -> bytes:
    """Return what a command writes to standard output."""
    return subprocess.run(command, capture_output=True, check=True).stdout


def contents(pages: list[str]) -> list[tuple[str, str, int]]:
    """Return the entries of the table of contents: title, dots, page. It stands between the title and a chapter."""
    entries: list[tuple[str, str, int]] = []
    for number, page in enumerate(pages[1:], 2):
        if entries and number >= min(page for *_, page in entries):
            break
        entries += [(title, dots, int(to)) for title, dots, to in ENTRY.findall(page)]
    return entries


def drawn(pdf: Path) -> Iterator[list[bytes]]:
    """Yield each page as an image, grey, 20 pixels an inch: its rows."""
    images = output("pdftoppm", "-r", "20", "-gray", pdf)
    while header := re.match(rb"P5\s(\d+) (\d+)\s255\s", images):
        width, height = int(header[1]), int(header[2])
        pixels, images = images[header.end() :][: width * height], images[header.end() + width * height :]
        yield [pixels[row * width : (row + 1) * width] for row in range(height)]


def white_share(rows: list[bytes]) -> float:
    """Return the share, between a tenth and nine tenths of a page's height, that lies below the last ink."""
    first, last = len(rows) // 10, len(rows) * 9 // 10
    inked = [row for row in range(first, last) if min(rows[row]) < INK]
    return (last - 1 - max(inked, default=first - 1)) / (last - first)


def runs_off(rows: list[bytes]) -> bool:
    """Return whether there is ink in the last twentieth of a page's width."""
    margin = len(rows[0]) // 20
    return any(min(row[-margin:]) < INK for row in rows)


def problems(pdf: Path) -> Iterator[str]:
    """Yield what is wrong with the PDF's metadata, fonts and contents, and which pages are too white."""
    info, fonts = output("pdfinfo", pdf).decode(), output("pdffonts", pdf).decode().splitlines()[2:]
    yield from (f"no {field} in the metadata" for field in FIELDS if not re.search(rf"^{field}: +\S", info, re.M))
    yield from (f"a font is not embedded: {line.split()[0]}" for line in fonts if line.split()[-5] != "yes")
    pages = output("pdftotext", "-layout", pdf, "-").decode().split("\f")
    entries = contents(pages)
    for title, _, page in entries:
        start = NUMBERED.match(title)
        if start and " ".join(start[0].split()) not in " ".join(pages[page - 1].split()):
            yield f"the contents say that “{title}” is on page {page}"
    if not entries:
        yield "there is no table of contents"
    opening = {len(pages), *(page for _, dots, page in entries if not dots)}  # the text ends in a form feed
    for page, rows in enumerate(drawn(pdf), 1):
        if (share := white_share(rows)) > WHITE and page > min(opening) and page + 1 not in opening:
            yield f"page {page} is {share:.0%} white"
        if runs_off(rows):
            yield f"something runs off page {page}"
