"""The builder used where there is no Quarto: what it makes of a small book, what it refuses, what it never deletes."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).parent.parent
BUILDER = ROOT / "code" / "book"
SMALL = ROOT / "tests" / "small_book"
sys.path.insert(0, str(BUILDER))

import check  # noqa: E402
import chunks  # noqa: E402
from project import Book, BookError, number, read_book  # noqa: E402

_spec = importlib.util.spec_from_file_location("code_book_main", BUILDER / "__main__.py")
main = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(main)

TEX = shutil.which("xelatex") and shutil.which("pdftotext")
QUARTO = os.environ.get("QUARTO") or shutil.which("quarto")

NUMBERS = {
    "sec-text": "1", "sec-a": "1.1", "sec-deep": "1.1.1", "sec-deeper": "1.1.2", "sec-b": "1.2", "sec-anew": "1.2.1",
    "thm-title": "1.1", "lem-a": "1.1", "eq-one": "1.1", "fig-curve": "2.1", "tbl-made": "2.1", "sec-appendix": "A",
    "def-last": "A.1", "sec-in": "A.1",
}  # fmt: skip


def write_book(folder: Path, **chapters: str) -> Path:
    """Copy the small book into ``folder``, or another one, of an index and these chapters."""
    shutil.copytree(SMALL, folder)
    if chapters:
        names = ", ".join(f"report/{name}.qmd" for name in chapters)
        settings = (folder / "_quarto.yml").read_text().replace("report/text.qmd, report/code.qmd", names)
        texts = {"_quarto.yml": settings, "index.qmd": "# Index {-}\n"}
        for name, text in (texts | {f"report/{name}.qmd": text for name, text in chapters.items()}).items():
            (folder / name).write_text(text)
    return folder


def dry(root: Path, to: Path) -> dict[str, str]:
    """Read and number the book in ``root`` without running its code."""
    book = read_book(root)
    asyncio.run(main.run_all(book, to, live=False))
    return number(book, to)


def shown_numbers(book: Path) -> dict[str, str]:
    return {label: x for soup in check.read_pages(book).values() for label, x in check.label_numbers(soup).items()}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {main.MARK}


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_book(tmp_path_factory.mktemp("small") / "book")
    command = [sys.executable, str(BUILDER), *([] if TEX else ["--to", "html"])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_pages_show_each_construct(small: Path) -> None:
    soups = {path.stem: soup for path, soup in check.read_pages(small / "_book").items()}
    texts = {name: " ".join(soup.main.get_text().split()) for name, soup in soups.items()}
    for name, expected in [
        ("text", r"Theorem 1.1 (Of \(\{ x \}\)) Thm body, see 1.1, Lemma 1.1, Section 1.1.1, Equation 1.1 and"),
        ("text", "Proof. It holds, by Doe (2020)."), ("text", "Raw {python}"), ("text", "On this page 1.1 One"),
        ("code", "Figure 2.1: Theorem 1.1. A curve of"), ("code", "Table 2.1: Made of"), ("code", "in the root: True"),
        ("code", "Inline 0.333, u_n*x, as `{python} typed`."), ("appendix", "Appendix A — More"),
        ("index", "A small book First Author, November 23, 2026"),
    ]:  # fmt: skip
        assert expected in texts[name], texts[name]
    assert "warned" not in texts["code"].split("sys.stderr)")[1]
    for selector in (
        "details.callout-note > summary",
        "meta[name=shared]",
        "div.raw",
        "link[href$='more.css']",
        "dt",
        "col",
    ):
        assert soups["text"].select(selector), selector
    links = ["text.html#thm-title", "code.html#fig-curve", "code.html#tbl-made", "text.html#sec-b"]
    assert [a["href"] for a in soups["index"].select("main section a")] == [f"report/{link}" for link in links]
    assert soups["index"].select_one("nav.sidebar .part").text == "The first part"
    assert soups["code"].img["alt"] == 'It rises [from 0] to "2".'
    assert len(soups["code"].select("details.code-fold")) == 2
    os.umask(umask := os.umask(0))
    assert (small / "_book").stat().st_mode & 0o777 == 0o777 & ~umask


@pytest.mark.slow
@pytest.mark.skipif(not TEX, reason="no xelatex or pdftotext on the PATH")
def test_the_pdf_shows_each_construct_and_the_book_passes_every_check(small: Path) -> None:
    command = ["pdftotext", "-layout", str(small / "_book/small.pdf"), "-"]
    text = " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    for expected in [
        "Theorem 1.1 (Of {𝑥}). Thm body, see 1.1, Lemma 1.1, Section 1.1.1, Equation 1.1 and Appendix A.",
        "Proof. It holds, by Doe (2020).", "Figure 2.1: Theorem 1.1. A curve", "Table 2.1: Made", "Folded.",
        "in the root: True", "Definition A.1. Last.", "Doe, Jane. 2020.", "Part I The first part",
    ]:  # fmt: skip
        assert expected in text, text
    results = check.check(small, small / "_book", minimum=8)
    assert len(results) > 50 and not {what: wrong for what, wrong in results.items() if wrong}


@pytest.mark.slow
def test_pages_show_the_numbers(small: Path) -> None:
    assert shown_numbers(small / "_book") == NUMBERS


def test_labels_have_their_numbers_without_the_code(tmp_path: Path) -> None:
    assert dry(SMALL, tmp_path) == NUMBERS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "before", "after"),
    [
        ("every reference is resolved", "<p>", "<p>See <strong>?@thm-none</strong> "),
        ("nothing is left as it was typed", "<p>", r"<p>See \(x\) "),
        ("every macro is expanded", "<p>", r'<p><span class="math">\(\set{x}\)</span> '),
        ("no broken link", "#lem-a", "#lem-none"),
        ("no request to another site", "</head>", '<script src="https://cdn.example.org/x.js"></script></head>'),
        ("every loaded file exists", "site_libs/book.css", "site_libs/none.css"),
        ("every figure has a description", "<p>", '<p><img src="../site_libs/book.css"> '),
        ("every label has a number", "<p>", '<p><span id="thm-none"></span> '),
    ],
)
def test_a_damaged_page_fails_its_check(small: Path, what: str, before: str, after: str) -> None:
    found = check.read_pages(small / "_book")
    path = next(path for path in found if path.stem == "text")
    found[path] = BeautifulSoup(path.read_text().replace(before, after), "html.parser")
    assert [name for name, wrong in check.page_problems(path, found, ["set"]).items() if wrong] == [what]


def test_what_is_wrong_with_the_text_is_said_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(BookError) as error:
        dry(write_book(tmp_path / "book", a=(SMALL / "report/wrong.qmd").read_text()), tmp_path / "to")
    said = [line.removeprefix("report/a.qmd: ") for line in str(error.value).splitlines()]
    for expected in [
        "the label thm-a is already defined", "unresolved reference @thm-none", "no entry @none2020", "a second #",
        "the block {# .panel-tabset} is not supported: “In a tab.”", "a table with a caption", "words after @thm-a",
        "LaTeX outside a formula", "a link to none.qmd", "a proof with a title", "{#eq-nothing} is left as it was",
        "::: is left as it was typed", "the section has no number: @sec-c",
    ]:  # fmt: skip
        assert any(line.startswith(expected) for line in said), expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("```{python}\n#| fig-align: left\n1\n```\n", "the code “1”: the option fig-align is not supported"),
        ("```{python}\n#| fig-cap: 'a\n1\n```\n", "the code “1”: while scanning"),
        ("```{python}\n#| fig-cap: a\n1\n```\n", "the code “1”: a fig-cap needs a label"),
        ("```{python}\n#| label: b\n1\n```\n```{python}\n#| label: b\n1\n```\n", "the chunk b: this label is already"),
        ("```{r}\n1\n```\n", "the code “1” is of a kind that is not supported"),
        ("`{r} 1`\n", "the code “1” is of a kind that is not supported"),
        ("{{< video x.mp4 >}}\n", "the shortcode {{< video x.mp4 >}} is not supported"),
        ("{{< include none.qmd >}}\n", "report/none.qmd cannot be read: No such file"),
        ("{{< include ../../none.qmd >}}\n", "cannot be read: outside the project"),
        ("```{python}\n1\n", "the block ```{python} is never closed"),
        ("::: {.proof}\nNever closed\n", "unclosed"),
        ("---\ntitle: A\n---\n", "a chapter opens with `# Title`"),
    ],
)
def test_what_is_not_supported_names_the_file_and_the_words(tmp_path: Path, source: str, expected: str) -> None:
    with pytest.raises(BookError) as error:
        dry(write_book(tmp_path / "book", a="# A\n\n" * (source[0] != "-") + source), tmp_path / "to")
    assert "report/a.qmd" in str(error.value) and expected in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("project: [1]", "project is not made of"), ("[1]", "not made of"), ("book: [", "_quarto.yml: while parsing"),
        ("filters: [a]", "the key filters is not"), ("book: {title: A}", "is index.qmd"), ("title: \xff", "not UTF-8"),
    ],
)  # fmt: skip
def test_a_configuration_that_is_not_understood_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "_quarto.yml").write_bytes(text.encode("latin-1"))
    with pytest.raises(BookError, match=rf"^[^\n]*{re.escape(expected)}[^\n]*$"):
        read_book(tmp_path)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A book without code, in a git repository; its pages and its PDF are made at once and hold "new"."""
    for name, file in (("write_html", "index.html"), ("write_pdf", "small.pdf")):

        def fake(book: Book, sources: Path, output: Path, file: str = file) -> None:
            output.mkdir(exist_ok=True)
            time.sleep(0.1)
            (output / file).write_text("new")

        monkeypatch.setattr(main, name, fake)
    monkeypatch.setattr(main, "number", lambda book, sources: {})
    folder = write_book(tmp_path / "above" / "book", a="# A\n")
    (folder / ".gitignore").write_text("/_book/\n")
    subprocess.run("git init -q && git add .", shell=True, cwd=folder, check=True)
    return folder


def old(folder: Path, *files: str) -> Path:
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).write_text("old")
    return folder


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (".", "replace the project"), ("..", "replace the project"), ("report", "git tracks"), ("_quarto.yml", "file"),
        ("data", "not make it"), (".git", "not make it"), ("site", "not make it"), ("sub/_book", "not make it"),
    ],
)  # fmt: skip
def test_what_no_build_made_is_never_replaced(project: Path, folder: str, expected: str) -> None:
    for name, file in (("data", "data.csv"), ("site", "index.html"), ("sub/_book", "index.html")):
        old(project / name, file)
    for marked in (".", "..", "report"):
        (project / marked / main.MARK).touch()
    before = sorted(project.parent.rglob("*"))
    with pytest.raises(BookError, match=expected):
        main.build(project, ["html"], folder)
    assert sorted(project.parent.rglob("*")) == before


def test_quartos_book_is_replaced_where_git_ignores_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old(project / "_book", "index.html", "search.json")
    with monkeypatch.context() as context:
        context.setenv("PATH", str(project))  # no git
        with pytest.raises(BookError, match="did not make it"):
            main.build(project, ["html"], None)
    main.build(project, ["html"], None)
    assert names(project / "_book") == {"index.html"}


def test_the_old_book_stays_whole_until_the_new_one_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old(project / "_book", "index.html", "page.html")

    def fail(book: Book, sources: Path, output: Path) -> None:
        assert names(project / "_book") == {"index.html", "page.html"}
        raise BookError("so")

    with monkeypatch.context() as context:
        context.setattr(main, "write_pdf", fail)
        with pytest.raises(BookError, match="so"):
            main.build(project, ["html", "pdf"], None)
    assert (project / "_book/index.html").read_text() == "old" and not (project / "._book-building").exists()
    killed = old(project / "._book-building", main.MARK)  # while it put the new book in the place of the old
    (project / "_book").rename(killed / "old")
    main.build(project, ["pdf"], None)
    assert names(project / "_book") == {"index.html", "page.html", "small.pdf"}
    main.build(project, ["html"], None)
    assert names(project / "_book") == {"index.html", "small.pdf"} and not killed.exists()


def test_two_builds_at_once_lose_nothing(project: Path) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda to: main.build(project, [to], None), ["html", "pdf"]))
    assert names(project / "_book") == {"index.html", "small.pdf"}


@pytest.mark.slow
def test_a_chunk_that_fails_or_takes_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "```{python}\n#| label: slow\nimport time; time.sleep(30)\n```\n"
    none = "```{python}\n#| label: fig-none\n#| fig-cap: None\n1\n```\n"
    root = write_book(tmp_path / "book", a=f"# A\n\n{code}", b="# B\n\nFails: `{python} none`.\n", c=f"# C\n\n{none}")
    failed = [("b", "the code “none” failed.*NameError"), ("c", "the chunk fig-none shows 0 figures")]
    for file, expected in (*failed, ("a", "the chunk slow took more than 1 s")):
        if file == "a":
            monkeypatch.setattr(chunks, "TIME_LIMIT", 1)
        with pytest.raises(BookError, match=f"(?s)report/{file}.qmd: {expected}"):
            asyncio.run(chunks.Run(read_book(root), tmp_path, live=True).chapter(f"report/{file}.qmd"))


@pytest.mark.slow
def test_ctrl_c_ends_a_build_with_one_line(tmp_path: Path) -> None:
    code = "```{python}\nimport pathlib, time\npathlib.Path('runs').touch()\ntime.sleep(60)\n```\n"
    root = write_book(tmp_path / "book", a=f"# A\n\n{code}")
    old(root / "_book", main.MARK, "index.html")
    command = [sys.executable, str(BUILDER), "--to", "html"]
    with subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) as build:
        while build.poll() is None and not (root / "runs").exists():
            time.sleep(0.1)
        build.send_signal(signal.SIGINT)
        said = [line for line in build.communicate(timeout=30)[1].splitlines() if not line.startswith("ran ")]
    assert build.returncode == 130 and said == ["interrupted; the book is as it was"]
    assert names(root / "_book") == {"index.html"} and not (root / "._book-building").exists()


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """This book's sources with stand-ins for what its code shows, and the numbers of its labels."""
    folder = tmp_path_factory.mktemp("own")
    return folder, dry(ROOT, folder)


@pytest.mark.slow
def test_this_books_labels_are_numbered_in_reading_order(own: tuple[Path, dict[str, str]]) -> None:
    text = "".join((own[0] / file).read_text() for file in read_book(ROOT).files)
    counts: dict[str, int] = {}
    for label in re.findall(r"#((?:thm|lem|prp|cor|def|exm|rem|eq|fig|tbl)-[\w-]+)", text):
        chapter, _, place = own[1][label].rpartition(".")
        series = f"{label.split('-')[0]} {chapter}"
        counts[series] = counts.get(series, 0) + 1
        assert int(place) == counts[series], label
    assert sum(counts.values()) > 90


@pytest.mark.slow
@pytest.mark.skipif(not QUARTO, reason="no quarto on the PATH or in $QUARTO to compare with")
def test_quarto_gives_every_label_the_same_number(own: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    for name in ("report", "code/book"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for file in ["_quarto.yml", *read_book(ROOT).files]:
        shutil.copy((ROOT if file == "_quarto.yml" else own[0]) / file, tmp_path / file)
    environment = os.environ | {"QUARTO_PYTHON": sys.executable}
    command = [str(QUARTO), "render", "--to", "html"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert shown_numbers(tmp_path / "_book") == own[1]
