"""Check a built book, whichever builder made it: ``python code/book/check.py _book``, in the folder of ``_quarto.yml``.

It looks for what a reader would trip over: a missing page, a reference or a formula left as it was typed, a broken
link, a request to another site, a figure without a description, a label without a number, a theorem that the PDF
lacks. Each problem is a line, and the exit status is 1 if there is one.
"""

import copy
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import printed
from bs4 import BeautifulSoup
from project import BookError, page_of, read_book

KINDS = "thm Theorem lem Lemma prp Proposition cor Corollary def Definition exm Example rem Remark fig Figure tbl Table"
WORDS = dict(zip(KINDS.split()[::2], KINDS.split()[1::2], strict=True))
LABEL = re.compile(rf"^(?!.*-caption-[0-9a-f-]{{36}}$|fig-.*-\d$)(?:{'|'.join(WORDS)}|eq|sec)-[\w-]+$")
REMOTE_STYLE = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")]+)")


def label_numbers(page: BeautifulSoup) -> dict[str, str]:
    """Return the number that the page shows at each of its labels, empty where it shows none."""
    numbers = {}
    for place in page.find_all(id=LABEL):
        label, text = str(place["id"]), str(place.get("data-number", place.get_text()))
        kind = label.split("-")[0]
        shown = rf"\b{WORDS.get(kind)}\s+((?:[A-Z]|\d+)\.\d+|\d+)"
        pattern = {
            "eq": r"(?:\\tag\{|\()([^(){}]*)[)}][\\\]\s]*$",
            "sec": r"^\s*(?:Appendix\s+)?([A-Z\d][.\d]*)(?=\s|$)",
        }.get(kind, shown)
        found = re.search(pattern, text)
        numbers[label] = found[1] if found else ""
    return numbers


def read_pages(folder: Path) -> dict[Path, BeautifulSoup]:
    """Return the pages of the book built in ``folder``, each by its resolved path."""
    files = (path for path in sorted(folder.rglob("*.html")) if "site_libs" not in path.parts)
    return {path.resolve(): BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in files}


def anchors(pages: dict[Path, BeautifulSoup]) -> dict[Path, set[str]]:
    """Return of each page the places that a link can name."""
    return {path: {str(place["id"]) for place in page.find_all(id=True)} for path, page in pages.items()}


def page_problems(
    path: Path, page: BeautifulSoup, places: dict[Path, set[str]], numbers: dict[str, str]
) -> Iterator[str]:
    """Yield what is wrong with a page, given the `anchors` of all and its own `label_numbers`."""
    for place in page.select("[href]:not([rel~=canonical]), [src], object[data]"):
        url = str(place.get("href") or place.get("src") or place.get("data") or "")
        parts = urlsplit(url)
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        anchor = unquote(parts.fragment) if place.name == "a" and target in places else ""
        if parts.scheme or parts.netloc:
            if place.name != "a" and parts.scheme != "data":
                yield f"a request to another site: {url}"
        elif not target.exists() or (anchor and anchor not in places[target]):
            yield f"a broken link: {url}"
    prose = copy.copy(page)
    for part in prose.select(".math, code, pre, script, style"):
        part.decompose()
    typed = r"\?@\S*|\?\?|\\[(\[].{0,20}|\$\$.{0,20}|np\.float64\(.{0,12}|:::.{0,20}|\\x[0-9a-f]{2}"
    yield from (f"left as it was typed: {text}" for text in re.findall(typed, prose.get_text()))
    yield from (f"a figure without a description: {img.get('src')}" for img in page.select("img") if not img.get("alt"))
    yield from (f"a label without a number: {label}" for label, number in numbers.items() if not number)


def pdf_problems(pdf: Path, chapters: int, numbers: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong with the PDF: its length, its references, and the labels whose numbers it lacks."""
    text = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True).stdout
    if text.count("\f") < chapters:
        yield "there are fewer pages than chapters"
    text = re.sub(r"\s+", " ", text)
    yield from (f"an unresolved reference: {found}" for found in re.findall(r"\?\?|\?@\S*", text))
    for label, number in numbers.items():
        # A tall formula in a heading's line parts its word from its number in the extracted text.
        pattern = rf"\({re.escape(number)}\)" if label.startswith("eq-") else rf"\s{re.escape(number)}(?:[.:]| \()"
        if not label.startswith("sec-") and not re.search(pattern, text):
            yield f"no {label}, {number}"


def check(root: Path, folder: Path) -> Iterator[str]:
    """Yield what is wrong with the book of the project ``root`` built in ``folder``."""
    book, pages = read_book(root), read_pages(folder)
    places, numbers = anchors(pages), dict[str, str]()
    for name in map(page_of, book.files):
        if not (folder / name).is_file():
            yield f"{name}: there is no such page"
    for path, page in pages.items():
        here, shown = path.relative_to(folder.resolve()), label_numbers(page)
        yield from (f"{here}: {problem}" for problem in page_problems(path, page, places, shown))
        numbers |= shown
    for file in [*folder.rglob("*.css"), *pages]:
        for url in REMOTE_STYLE.findall(file.read_text(encoding="utf-8", errors="replace")):
            yield f"{file}: a request to another site: {url}"
    yield from (f"{book.pdf}: {it}" for it in pdf_problems(folder / book.pdf, len(book.files), numbers))
    yield from (f"{book.pdf}: {it}" for it in printed.problems(folder / book.pdf))
    print(f"checked {len(pages)} pages and {len(numbers)} labels")


if __name__ == "__main__":
    try:
        problems = list(check(Path.cwd(), Path(sys.argv[1] if sys.argv[1:] else "_book")))
    except (BookError, FileNotFoundError) as error:
        sys.exit(f"{error} (pdftotext is in poppler-utils)")
    sys.exit("\n".join(dict.fromkeys(problems)) or 0)
