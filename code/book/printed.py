"""What is wrong with the PDF as a printed thing, by poppler's programs: metadata, fonts, contents, white pages."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

FIELDS = ("Title", "Author", "Subject", "Keywords")
ENTRY = re.compile(r"^ *(\S.*?)((?: \.)*) +(\d+)$", re.M)
"""A line of the contents: a title, dots unless it opens a part or a chapter, and a page."""
NUMBERED = re.compile(r"[\dA-Z][.\d]* +\S+")
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


def white_shares(pdf: Path) -> Iterator[float]:
    """Yield of each page the share, between a tenth and nine tenths of its height, that lies below the last ink."""
    images = output("pdftoppm", "-r", "20", "-gray", pdf)
    while header := re.match(rb"P5\s(\d+) (\d+)\s255\s", images):
        width, height = int(header[1]), int(header[2])
        pixels, images = images[header.end() :][: width * height], images[header.end() + width * height :]
        first, last = height // 10, height * 9 // 10
        inked = [row for row in range(first, last) if min(pixels[row * width : (row + 1) * width]) < 200]
        yield (last - 1 - max(inked, default=first - 1)) / (last - first)


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
    for page, share in enumerate(white_shares(pdf), 1):
        if share > WHITE and page > min(opening) and page + 1 not in opening:
            yield f"page {page} is {share:.0%} white"
