"""Check a built book, whichever builder made it: ``python code/book/check.py _book``.

Run it in the folder of ``_quarto.yml``. It looks for what a reader would trip over: a missing page, a reference
or a formula left as it was typed, a broken link, a request to another site, a figure without a description, a
theorem that the PDF lacks. With ``--browser chromium`` it also displays every page and looks for formulas that
MathJax could not set. The last line counts the checks, and the exit status is 1 if one failed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from configuration import BookError, read_book

WORDS = {
    "thm": "Theorem", "lem": "Lemma", "prp": "Proposition", "cor": "Corollary", "def": "Definition",
    "exm": "Example", "rem": "Remark", "fig": "Figure", "tbl": "Table",
}  # fmt: skip
LABEL = re.compile(rf"(?!.*-caption-[0-9a-f-]{{36}}$)(?:{'|'.join(WORDS)}|eq|sec)-[\w-]+")
VOID = set("area base br col embed hr img input link meta source track wbr".split())
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"}
REMOTE = re.compile(r"\s*(?:https?:)?//")


class Page(HTMLParser):
    """What the checks need of a page: its anchors, links, loaded files, images, prose, formulas and labels."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.prose = ""
        self.formulas = ""
        self.formula_count = 0
        self.texts: dict[str, str] = {}
        self.numbers: dict[str, str] = {}
        self._open: list[tuple[str, str, str]] = []
        self.feed(path.read_text(encoding="utf-8"))
        self._find_numbers()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        label, classes = values.get("id") or "", (values.get("class") or "").split()
        self.anchors |= {label, values.get("name") or ""}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if values.get(LOADED.get(tag, "")):
            self.loaded.append(values[LOADED[tag]])
        if tag == "link" and not {"canonical", "next", "prev"} & set((values.get("rel") or "").split()):
            self.loaded.append(values.get("href") or "")
        if tag == "img":
            self.images.append(values)
        self.loaded += re.findall(r"url\(['\"]?([^'\")]+)", values.get("style") or "")
        if LABEL.fullmatch(label):
            self.texts[label] = ""
            if values.get("data-number"):
                self.numbers[label] = values["data-number"]
        kind = "math" if "math" in classes else "code" if tag in ("code", "pre", "script", "style") else ""
        self.formula_count += kind == "math"
        if tag not in VOID:
            self._open.append((tag, label, kind or (self._open[-1][2] if self._open else "")))

    def handle_endtag(self, tag: str) -> None:
        if any(tag == opened for opened, _, _ in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, text: str) -> None:
        kind = self._open[-1][2] if self._open else ""
        if kind == "math":
            self.formulas += text + "\n"
        elif kind == "":
            self.prose += text
        for _, label, _ in self._open:
            if label in self.texts:
                self.texts[label] += text

    def _find_numbers(self) -> None:
        for label, text in self.texts.items():
            prefix = label.split("-")[0]
            if prefix == "eq":
                found = re.search(r"\\tag\{([^}]*)\}", text)
            elif prefix == "sec":
                found = re.match(r"\s*(?:Appendix\s+)?(\d+|[A-Z])(?=\s)", text)
            else:
                found = re.search(rf"\b{WORDS[prefix]}\s+((?:[A-Z]|\d+)\.\d+|\d+)", text)
            if found:
                self.numbers.setdefault(label, found[1])


def label_numbers(book: Path) -> dict[str, str]:
    """Return the number that each label has on the pages of the book built in the folder ``book``."""
    return {
        label: number
        for path in sorted(book.rglob("*.html"))
        if "site_libs" not in path.parts
        for label, number in Page(path).numbers.items()
    }


class Report:
    """Prints what fails and counts."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def check(self, what: str, wrong: list[str]) -> None:
        if wrong:
            self.failed += 1
            print(f"FAILED {what}: {'; '.join(dict.fromkeys(wrong))}")
        else:
            self.passed += 1


def _broken(page: Page, pages: dict[Path, Page]) -> list[str]:
    wrong = []
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path.resolve()
        anchor = unquote(parts.fragment)
        if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
            wrong.append(link)
    return wrong


def _unset(browser: str, page: Page) -> list[str]:
    """Display a page and return what MathJax did not set."""
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--virtual-time-budget=60000"]
        dump = subprocess.run(
            [browser, *options, f"--user-data-dir={profile}", "--dump-dom", page.path.resolve().as_uri()],
            capture_output=True, text=True, timeout=300,
        ).stdout  # fmt: skip
    wrong = re.findall(r'data-mjx-error="([^"]*)"', dump)
    shown = dump.count("<mjx-container")
    return wrong + ([f"{shown} of {page.formula_count} formulas set"] if shown < page.formula_count else [])


def check(folder: Path, minimum: int, browser: str | None) -> Report:
    """Check the book in ``folder`` against the configuration in the working directory."""
    report, book = Report(), read_book(Path.cwd())
    files = [folder / chapter.page for chapter in book.chapters]
    report.check("every chapter has its page", [str(path) for path in files if not path.is_file()])
    pages = {path.resolve(): Page(path) for path in files if path.is_file()}
    macros = [
        name
        for path in book.root.glob("report/_macros.qmd")
        for name in re.findall(r"^\\providecommand\{?\\([A-Za-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    for page in pages.values():
        name = page.path.relative_to(folder)
        unresolved = re.findall(r"\?@\S*|\?\?", page.prose)
        typed = re.findall(r"\\[(\[].{0,20}|\$\$.{0,20}|np\.float64\(.{0,12}|:::.{0,20}", page.prose)
        report.check(f"{name}: every reference is resolved", unresolved)
        report.check(f"{name}: nothing is left as it was typed", typed)
        report.check(f"{name}: every macro is expanded", [m for m in macros if re.search(rf"\\{m}(?![A-Za-z])", page.formulas)])
        report.check(f"{name}: no broken link", _broken(page, pages))
        report.check(f"{name}: no request to another site", [url for url in page.loaded if REMOTE.match(url)])
        report.check(
            f"{name}: every loaded file exists",
            [url for url in page.loaded if url and not urlsplit(url).scheme and not REMOTE.match(url)
             and not (page.path.parent / unquote(urlsplit(url).path)).exists()],
        )  # fmt: skip
        report.check(f"{name}: every figure has a description", [str(i["src"]) for i in page.images if not i.get("alt")])
        report.check(f"{name}: every label has a number", [x for x in page.texts if x not in page.numbers])
        if browser:
            report.check(f"{name}: MathJax sets every formula", _unset(browser, page))
    for style in folder.rglob("*.css"):
        text = style.read_text(encoding="utf-8", errors="replace")
        urls = re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", text)
        remote = [url for pair in urls for url in pair if REMOTE.match(url)]
        report.check(f"{style.relative_to(folder)}: no request to another site", remote)
    pdf = folder / book.pdf_name
    if not pdf.is_file():
        report.check("the PDF is there", [str(pdf)])
        return report
    info = subprocess.run(["pdfinfo", str(pdf)], capture_output=True, text=True, check=True).stdout
    count = int(re.search(r"^Pages:\s+(\d+)", info, re.MULTILINE)[1])
    text = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True).stdout
    text = re.sub(r"\s+", " ", text)
    report.check(f"the PDF has at least {minimum} pages", [f"{count} pages"] if count < minimum else [])
    report.check("the PDF: every reference is resolved", re.findall(r"\?\?|\?@\S*", text))
    for label, number in label_numbers(folder).items():
        prefix = label.split("-")[0]
        if prefix != "sec":
            shown = f"({number})" if prefix == "eq" else f"{WORDS[prefix]} {number}"
            # A tall formula in a heading's line parts its word from its number in the extracted text.
            here = shown in text if prefix == "eq" else re.search(rf"\s{re.escape(number)}(?:[.:]| \()", text)
            report.check(f"the PDF has {label}", [] if here else [shown])
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="check.py", description="Check a built book.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("_book"))
    parser.add_argument("--min-pages", type=int, default=10)
    parser.add_argument("--browser", help="a Chromium that displays the pages")
    options = parser.parse_args()
    try:
        report = check(options.folder, options.min_pages, options.browser)
    except BookError as error:
        print(error, file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print(f"{error.filename}: not found (pdftotext and pdfinfo are in poppler-utils)", file=sys.stderr)
        return 1
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
