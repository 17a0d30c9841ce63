"""The builder used where there is no Quarto: what it makes of a small book, what it refuses, what it never deletes."""

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

import check  # noqa: E402 (its folder is put on the path above)
import chunks  # noqa: E402 (as above)
import printed  # noqa: E402 (as above)
from project import Book, BookError, prepare, read_book, write  # noqa: E402 (as above)

_spec = importlib.util.spec_from_file_location("code_book_main", BUILDER / "__main__.py")
main = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(main)

TEX = shutil.which("xelatex") and shutil.which("pdftotext")
QUARTO = os.environ.get("QUARTO") or shutil.which("quarto")
NUMBERS = {
    "sec-text": "1", "sec-a": "1.1", "sec-deep": "1.1.1", "sec-deeper": "1.1.2", "sec-b": "1.2", "sec-anew": "1.2.1",
    "thm-title": "1.1", "lem-a": "1.1", "eq-one": "1.1", "tbl-inside": "1.1", "fig-curve": "2.1", "fig-panels": "2.2",
    "tbl-made": "2.1", "sec-appendix": "A", "def-last": "A.1", "sec-in": "A.1",
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
    """Number the book in ``root``, with stand-ins for what its code shows, and return its labels' numbers."""
    book = read_book(root)
    prepare(book)
    for file in book.files:
        chunks.Chapter(book, file).write(to)
    write(book, to, "html", f"--output={to / 'whole.html'}")
    return check.label_numbers(BeautifulSoup((to / "whole.html").read_text(), "html.parser"))


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
        ("text", r"Theorem 1.1 (Of {x}\{ x \}) Thm body, see 1.1, Lemma 1.1, Section 1.1.1, Equation 1.1 and"),
        ("text", "Proof. It holds, by Doe (2020)."), ("text", "Raw {python}"), ("text", "On this page 1.1 One"),
        ("text", "Made in book."), ("text", "Proof (of Lemma 1.1). It follows."),
        ("code", "Figure 2.1: Theorem 1.1. A curve of"), ("code", "Table 2.1: Made of"), ("code", "in the root: True"),
        ("code", "Inline 0.333, u_n*x, as `{python} typed`."), ("appendix", "Appendix A — More"),
        ("index", "A small book First Author, 2026-11-23"),
    ]:  # fmt: skip
        assert expected in texts[name], texts[name]
    assert "warned" not in texts["code"].split("sys.stderr)")[1]
    for selector in ("details.callout-note > summary", "meta[name=shared]", "div.raw", "dt", "col", "[aria-current]"):
        assert soups["text"].select(selector), selector
    links = ["text.html#thm-title", "code.html#fig-curve", "code.html#tbl-made", "text.html#sec-b"]
    assert [a["href"] for a in soups["index"].select("main section a")] == [f"report/{link}" for link in links]
    assert soups["index"].select_one(".sidebar .part").text == "The first part"
    assert [img["alt"] for img in soups["code"].select("img")] == [
        'It rises [from 0] to "2".', "The first.", "The second."
    ]  # fmt: skip
    captions = [caption.get_text() for caption in soups["code"].select("#fig-panels figcaption")]
    assert captions == ["(a) Of xx", "(b) See Theorem\u00a01.1", "Figure\u00a02.2: Panels, see Lemma\u00a01.1."]
    assert len(soups["code"].select("details.code-fold")) == 3
    assert soups["text"].select_one("link[href='../report/more.css']") and (small / "_book/report/more.css").is_file()
    assert shown_numbers(small / "_book") == NUMBERS
    os.umask(umask := os.umask(0))
    assert (small / "_book").stat().st_mode & 0o777 == 0o777 & ~umask


@pytest.mark.slow
@pytest.mark.skipif(not TEX, reason="no xelatex or pdftotext on the PATH")
def test_the_pdf_shows_each_construct_and_the_book_passes_every_check(small: Path) -> None:
    command = ["pdftotext", "-layout", str(small / "_book/small.pdf"), "-"]
    text = " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    for expected in [
        "Theorem 1.1 (Of {𝑥}). Thm body, see 1.1, Lemma 1.1, Section 1.1.1, Equation 1.1 and Appendix A.",
        "Proof. It holds, by Doe (2020).", "Figure 2.1: Theorem 1.1. A curve", "(a) Of",
        "(b) See Theorem 1.1", "Table 2.1: Made", "Folded.",
        "in the root: True", "Definition A.1. Last.", "Doe, Jane. 2020.", "Part I The first part",
    ]:  # fmt: skip
        assert expected in text, text
    assert "print(" not in text  # the code: `echo: false`
    assert list(check.check(small, small / "_book")) == []
    assert list(check.pdf_problems(small / "_book/small.pdf", 5, {"thm-none": "7.1"})) == ["no thm-none, 7.1"]


def test_what_is_wrong_with_the_print_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five pages: a title, the contents, a chapter whose second page is white, and its last, which may be."""
    white, inked = b"P5\n1 10\n255\n" + b"\xff" * 10, b"P5\n1 10\n255\n" + b"\x00" * 10
    said = {
        "pdfinfo": b"Title:  A\nAuthor: B\nSubject:\nKeywords: c\n",
        "pdffonts": b"a head\nof two lines\nA+B Type 1C Custom yes yes yes 5 0\nC Type 3 Custom no no no 6 0\n",
        "pdftotext": b"Title\fIn\n1 One   3\n  1.1 Two . .   3\n  1.2 Three . .   5\n\f1 One\n1.1 Two\f1.2 Three\f\f",
        "pdftoppm": white + white + inked + white + white,
    }
    monkeypatch.setattr(printed, "output", lambda command, *rest: said[command])
    assert list(printed.problems(Path("a.pdf"))) == [
        "no Subject in the metadata", "a font is not embedded: C", "the contents say that “1.2 Three” is on page 5",
        "page 4 is 100% white",
    ]  # fmt: skip


def test_labels_have_their_numbers_without_the_code(tmp_path: Path) -> None:
    assert dry(SMALL, tmp_path) == NUMBERS


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("See ?@thm-none", "left as it was typed: ?@thm-none"), (r"See \(x\)", r"left as it was typed: \(x\)"),
        (r"5\xa0%", r"left as it was typed: \xa0"),
        ('<a href="#lem-b">b</a>', "a broken link: #lem-b"), ('<a href="b.html">b</a>', "a broken link: b.html"),
        ('<script src="//a.org/x.js"></script>', "a request to another site: //a.org/x.js"),
        ('<img src="a.html">', "a figure without a description: a.html"),
        ('<p id="thm-b">Theorem</p>', "a label without a number: thm-b"),
        (r'<a href="https://a.org">a</a><span class="math">\(x\)</span><a href="#lem-a"></a>', None),
    ],
)  # fmt: skip
def test_what_a_reader_would_trip_over_is_found(tmp_path: Path, text: str, problem: str | None) -> None:
    (tmp_path / "a.html").write_text(f'<p id="lem-a">Lemma 1.1</p>{text}')
    pages = check.read_pages(tmp_path)
    assert list(check.page_problems(tmp_path / "a.html", pages)) == ([problem] if problem else [])


def test_what_is_wrong_with_the_text_is_said_all_at_once(tmp_path: Path) -> None:
    wrong = {
        "::: {#thm-a}\na\n:::\n\n::: {#thm-a}\nb\n:::": "the label thm-a is already defined in report/a.qmd",
        "See @thm-none.": "unresolved reference @thm-none", "[@none2020]": "no entry @none2020 in the bibliography",
        "::: {.panel-tabset}\nIn a tab.\n:::": "the block {# .panel-tabset} is not supported: “In a tab.”",
        "::: {#thm-b width=3}\nb\n:::": "the attribute width of “b”", "![No label](a.png)": "a caption needs a label",
        "| a |\n|---|\n| b |\n\n: No label": "a caption needs a label {#tbl-…}", "# B": "a second # heading: “B”",
        "\\newpage": "LaTeX outside a formula", "[a](none.qmd)": "a link to none.qmd, which is no chapter",
        "[@thm-a, end]": "words after @thm-a", "[@thm-a; @doe2020]": "references and citations in the same brackets",
        "A. {#eq-b}": "{#eq-b} is left as it was typed: “A.",
        "Last.\n\n:::": "::: is left as it was typed", "@sec-c\n\n## C {- #sec-c}": "the section has no number: @sec-c",
    }  # fmt: skip
    with pytest.raises(BookError) as error:
        dry(write_book(tmp_path / "book", a="# A\n\n" + "\n\n".join(wrong)), tmp_path / "to")
    for expected in wrong.values():
        assert f"report/a.qmd: {expected}" in str(error.value), expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("```{python}\n#| fig-align: left\n1\n```\n", "the code “1”: fig-align is not supported"),
        ("```{python}\n#| fig-cap: 'a\n1\n```\n", "the code “1”: while scanning"),
        ("```{python}\n#| fig-cap: a\n1\n```\n", "the code “1”: 1 images, 1 captions of them, 0 fig-alt"),
        ("```{python}\n#| tbl-cap: a\n1\n```\n", "1 figures or tables with a caption, for the label “”"),
        ("```{python}\n#| label: fig-b\n1\n```\n", "the chunk fig-b: 0 figures"),
        ("```{r}\n1\n```\n", "the code “1” is indented, or of a kind that is not supported"),
        ("- a\n\n  ```{python}\n  1\n  ```\n", "the code “1” is indented"), ("`{r} 1`\n", "“1” is indented, or"),
        ("{{< video x.mp4 >}}\n", "the shortcode {{< video x.mp4 >}} is not supported"),
        ("{{< include none.qmd >}}\n", "report/none.qmd cannot be read: No such file"),
        ("{{< include ../../none.qmd >}}\n", "cannot be read: outside the project"),
        ("```{python}\n1\n", "the block ```{python} is never closed"), ("---\ntitle: A\n---\n", "opens with `# Title`"),
    ],
)  # fmt: skip
def test_what_is_not_supported_names_the_file_and_the_words(tmp_path: Path, source: str, expected: str) -> None:
    book = read_book(write_book(tmp_path / "book", a="# A\n\n" * (source[0] != "-" or source[1] == " ") + source))
    with pytest.raises(BookError, match=rf"^report/a.qmd: .*{re.escape(expected)}"):
        chunks.Chapter(book, "report/a.qmd").write(tmp_path)


def test_a_script_that_fails_before_the_chapters_is_named(tmp_path: Path) -> None:
    root = write_book(tmp_path / "book")
    settings = (root / "_quarto.yml").read_text().replace("type: book", "type: book, pre-render: before.py")
    (root / "_quarto.yml").write_text(settings)
    (root / "before.py").write_text("raise SystemExit('no')")
    with pytest.raises(BookError, match=r"^before\.py failed\nno$"):
        prepare(read_book(root))


def test_a_warning_of_pandocs_is_an_error_with_the_words_at_its_place(tmp_path: Path) -> None:
    with pytest.raises(BookError, match=r"Div at report/a.qmd: “::: {.proof}” unclosed"):
        dry(write_book(tmp_path / "book", a="# A\n\n::: {.proof}\nNever closed\n"), tmp_path / "to")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("project: [1]", "project: not made of"), ("[1]", "not made of"), ("book: [", "_quarto.yml: while parsing"),
        ("shortcodes: [a]", "shortcodes is not"), ("book: {title: A}", "is index.qmd"), ("title: \xff", "not UTF-8"),
        ("format: {html: [1]}", "html: not made of"),
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
    monkeypatch.setattr(main, "write", lambda book, sources, to: None)
    folder = write_book(tmp_path / "above" / "book", a="# A\n")
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
        (".", "replace the project"), ("..", "replace the project"), ("report", "git tracks"),
        ("_quarto.yml", "git tracks"), ("file", "not make it"), ("data", "not make it"), (".git", "not make it"),
    ],
)  # fmt: skip
def test_what_no_build_made_is_never_replaced(project: Path, folder: str, expected: str) -> None:
    settings = project / "_quarto.yml"
    settings.write_text(settings.read_text().replace("output-dir: _book", f"output-dir: {folder}"))
    old(project / "data", "index.html")
    (project / "file").touch()
    for marked in (".", "..", "report"):
        (project / marked / main.MARK).touch()
    before = sorted(project.parent.rglob("*"))
    with pytest.raises(BookError, match=expected):
        main.build(project, ["html"])
    assert sorted(project.parent.rglob("*")) == before


def test_the_old_book_stays_whole_until_the_new_one_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old(project / "_book", "index.html", "page.html", main.MARK)

    def fail(book: Book, sources: Path, output: Path) -> None:
        assert names(project / "_book") == {"index.html", "page.html"}
        raise BookError("so")

    with monkeypatch.context() as context:
        context.setattr(main, "write_pdf", fail)
        with pytest.raises(BookError, match="so"):
            main.build(project, ["html", "pdf"])
    assert (project / "_book/index.html").read_text() == "old" and not (project / "._book-building").exists()
    killed = old(project / "._book-building", main.MARK)  # while it put the new book in the place of the old
    (project / "_book").rename(killed / "old")
    main.build(project, ["pdf"])
    assert names(project / "_book") == {"index.html", "page.html", "small.pdf"}
    main.build(project, ["html"])
    assert names(project / "_book") == {"index.html", "small.pdf"} and not killed.exists()


def test_two_builds_at_once_lose_nothing(project: Path) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda to: main.build(project, [to]), ["html", "pdf"]))
    assert names(project / "_book") == {"index.html", "small.pdf"}


@pytest.mark.slow
def test_a_chunk_that_fails_or_takes_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = "```{python}\n#| label: slow\nimport time; time.sleep(30)\n```\n"
    root = write_book(tmp_path / "book", a=f"# A\n\n{slow}", b="# B\n\n`{python} 1` fails: `{python} none`.\n")
    monkeypatch.setattr(chunks, "TIME_LIMIT", 1)
    for file, expected in (("b", "the code “none” failed\n.*NameError"), ("a", "the chunk slow took more than 1 s")):
        with pytest.raises(BookError, match=f"(?s)report/{file}.qmd: {expected}"):
            chunks.Chapter(read_book(root), f"report/{file}.qmd").run()


@pytest.mark.slow
def test_ctrl_c_ends_a_build_with_one_line(tmp_path: Path) -> None:
    code = (
        "```{python}\nimport os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(60)\n```\n"
    )
    root = write_book(tmp_path / "book", a=f"# A\n\n{code}")
    old(root / "_book", main.MARK, "index.html")
    command = [sys.executable, str(BUILDER), "--to", "html"]
    with subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) as build:
        while build.poll() is None and not (root / "pid").exists():
            time.sleep(0.1)
        build.send_signal(signal.SIGINT)
        said = build.communicate(timeout=10)[1].splitlines()
    assert build.returncode == 130 and said == ["interrupted; the book is as it was"]
    assert names(root / "_book") == {"index.html"} and not (root / "._book-building").exists()
    for _ in range(100):  # the kernel looks every second whether its parent is there
        if not Path("/proc", (root / "pid").read_text()).exists():
            return
        time.sleep(0.1)
    raise AssertionError("the kernel outlives the builder")


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
    for name in ("report", "code"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("_quarto.yml", "index.qmd"):
        shutil.copy(ROOT / name, tmp_path)
    environment = os.environ | {"QUARTO_PYTHON": sys.executable}
    command = [str(QUARTO), "render", "--to", "html", "--no-execute"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert shown_numbers(tmp_path / "_book") == own[1]
