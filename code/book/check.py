"""Check a built book, whichever builder made it: ``python code/book/check.py _book``, in the folder of ``_quarto.yml``.

It looks for what a reader would trip over: a missing page, a reference or a formula left as it was typed, a broken
link, a request to another site, a figure without a description, a theorem that the PDF lacks. With ``--browser
chromium`` it also displays each page and asks MathJax what it could not set. The last line counts the checks, and the
exit status is 1 if one failed.
"""

from __future__ import annotations

import argparse
import copy
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup
from project import BookError, page_of, read_book

KINDS = "thm Theorem lem Lemma prp Proposition cor Corollary def Definition exm Example rem Remark fig Figure tbl Table"
WORDS = dict(zip(KINDS.split()[::2], KINDS.split()[1::2], strict=True))
LABEL = re.compile(rf"^(?!.*-caption-[0-9a-f-]{{36}}$)(?:{'|'.join(WORDS)}|eq|sec)-[\w-]+$")
REMOTE = re.compile(r"\s*(?:https?:)?//")
LOADED = "script[src], img[src], iframe[src], source[src], video[src], object[data], link:not([rel~=canonical])[href]"


def label_numbers(page: BeautifulSoup) -> dict[str, str]:
    """Return the number that the page shows at each of its labels, empty where it shows none."""
    numbers = {}
    for place in page.find_all(id=LABEL):
        label, text = str(place["id"]), place.get_text()
        kind = label.split("-")[0]
        shown = rf"\b{WORDS.get(kind)}\s+((?:[A-Z]|\d+)\.\d+|\d+)"
        pattern = {"eq": r"\\tag\{([^}]*)\}", "sec": r"^\s*(?:Appendix\s+)?(\d+|[A-Z])(?=\s)"}.get(kind, shown)
        found = re.search(pattern, text)
        numbers[label] = str(place.get("data-number") or (found[1] if found else ""))
    return numbers


def read_pages(folder: Path) -> dict[Path, BeautifulSoup]:
    """Return the pages of the book built in ``folder``, each by its resolved path."""
    files = (path for path in sorted(folder.rglob("*.html")) if "site_libs" not in path.parts)
    return {path.resolve(): BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in files}


def _broken(path: Path, pages: dict[Path, BeautifulSoup]) -> list[str]:
    wrong = []
    for link in {str(a["href"]) for a in pages[path].select("a[href]")}:
        parts = urlsplit(link)
        target, anchor = (path.parent / unquote(parts.path)).resolve() if parts.path else path, unquote(parts.fragment)
        lost = target in pages and anchor and not pages[target].find(id=anchor)
        if not (parts.scheme or parts.netloc) and (lost or not target.exists()):
            wrong.append(link)
    return wrong


def _unset(browser: str, path: Path, formulas: int) -> list[str]:
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--dump-dom"]
        command = [browser, *options, f"--user-data-dir={profile}", path.as_uri()]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
    count = shown.count("<mjx-container")
    return re.findall(r'data-mjx-error="([^"]*)"', shown) + [f"{count} of {formulas} set"] * (count < formulas)


def page_problems(path: Path, pages: dict[Path, BeautifulSoup], macros: list[str]) -> dict[str, list[str]]:
    """Return, for each thing that is checked on a page, what is wrong with it."""
    page = pages[path]
    loaded = [str(x.get("src") or x.get("data") or x.get("href")) for x in page.select(LOADED)]
    loaded += re.findall(r"url\(['\"]?([^'\")]+)", " ".join(str(x["style"]) for x in page.select("[style]")))
    local = [url for url in loaded if not urlsplit(url).scheme and not REMOTE.match(url)]
    formulas = "\n".join(x.get_text() for x in page.select(".math"))
    prose = copy.copy(page)
    for part in prose.select(".math, code, pre, script, style"):
        part.decompose()
    text = prose.get_text()
    typed = r"\\[(\[].{0,20}|\$\$.{0,20}|np\.float64\(.{0,12}|:::.{0,20}"
    return {
        "every reference is resolved": re.findall(r"\?@\S*|\?\?", text),
        "nothing is left as it was typed": re.findall(typed, text),
        "every macro is expanded": [name for name in macros if re.search(rf"\\{name}(?![A-Za-z])", formulas)],
        "no broken link": _broken(path, pages),
        "no request to another site": [url for url in loaded if REMOTE.match(url)],
        "every loaded file exists": [u for u in local if not (path.parent / unquote(urlsplit(u).path)).exists()],
        "every figure has a description": [str(img.get("src")) for img in page.select("img") if not img.get("alt")],
        "every label has a number": [label for label, number in label_numbers(page).items() if not number],
    }


def pdf_problems(pdf: Path, minimum: int, numbers: dict[str, str]) -> dict[str, list[str]]:
    """Return what is wrong with the PDF: its length, its references, and the labels whose numbers it lacks."""
    if not pdf.is_file():
        return {"it is there": [str(pdf)]}
    text = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True).stdout
    count, text = text.count("\f"), re.sub(r"\s+", " ", text)
    wanted = {}
    for label, number in numbers.items():
        # A tall formula in a heading's line parts its word from its number in the extracted text.
        pattern = rf"\({re.escape(number)}\)" if label.startswith("eq-") else rf"\s{re.escape(number)}(?:[.:]| \()"
        wanted[f"it has {label}"] = [] if label.startswith("sec-") or re.search(pattern, text) else [number]
    long = [] if count >= minimum else [f"{count} pages"]
    return {f"at least {minimum} pages": long, "every reference is resolved": re.findall(r"\?\?|\?@\S*", text)} | wanted


def check(root: Path, folder: Path, minimum: int = 10, browser: str | None = None) -> dict[str, list[str]]:
    """Check the book of the project ``root`` built in ``folder``: each check and what it found wrong."""
    book = read_book(root)
    pages = read_pages(folder)
    missing = [page_of(name) for name in book.files if (folder / page_of(name)).resolve() not in pages]
    results = {"every chapter has its page": missing}
    texts = [path.read_text(encoding="utf-8") for path in root.glob("report/_*.qmd")]
    macros = re.findall(r"^\\providecommand\{?\\([A-Za-z]+)", "\n".join(texts), re.M)
    numbers: dict[str, str] = {}
    for path, page in pages.items():
        name = path.relative_to(folder.resolve())
        results |= {f"{name}: {what}": wrong for what, wrong in page_problems(path, pages, macros).items()}
        if browser:
            results[f"{name}: MathJax sets every formula"] = _unset(browser, path, len(page.select(".math")))
        numbers |= label_numbers(page)
    for style in folder.rglob("*.css"):
        text = style.read_text(encoding="utf-8", errors="replace")
        urls = [a or b for a, b in re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", text)]
        results[f"{style.relative_to(folder)}: no request to another site"] = [u for u in urls if REMOTE.match(u)]
    pdf = pdf_problems(folder / book.pdf_name, minimum, numbers)
    return results | {f"{book.pdf_name}: {what}": wrong for what, wrong in pdf.items()}


def main() -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="check.py", description="Check a built book.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("_book"))
    parser.add_argument("--min-pages", type=int, default=10)
    parser.add_argument("--browser", help="a Chromium that displays the pages")
    options = parser.parse_args()
    try:
        results = check(Path.cwd(), options.folder, options.min_pages, options.browser)
    except (BookError, FileNotFoundError) as error:
        print(f"{error} (pdftotext is in poppler-utils)", file=sys.stderr)
        return 1
    failed = {what: wrong for what, wrong in results.items() if wrong}
    for what, wrong in failed.items():
        print(f"FAILED {what}: {'; '.join(dict.fromkeys(wrong))}")
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
