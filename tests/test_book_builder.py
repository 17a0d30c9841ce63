"""The builder used where there is no Quarto: what it makes of a small book, what it refuses, and what it never deletes."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).parent.parent
BUILDER = ROOT / "code" / "book"
sys.path.insert(0, str(BUILDER))

import check  # noqa: E402
import chunks  # noqa: E402
from project import Book, BookError, number, read_book  # noqa: E402

_spec = importlib.util.spec_from_file_location("code_book_main", BUILDER / "__main__.py")
main = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(main)

TEX = shutil.which("xelatex") and shutil.which("pdftotext")
QUARTO = os.environ.get("QUARTO") or shutil.which("quarto")

CONFIGURATION = """\
project: {type: book, output-dir: _book, execute-dir: project}
book:
  title: A small book
  author: [First Author]
  date: "2026-11-23"
  downloads: [pdf]
  output-file: small
  chapters: [index.qmd, {part: The first part, chapters: [CHAPTERS]}, report/references.qmd]
  appendices: [report/appendix.qmd]
bibliography: report/references.bib
execute: {warning: false}
format: {html: {code-fold: true, css: report/more.css, include-in-header: report/head.html}, pdf: {papersize: a4}}
"""
INDEX = "# How to read {.unnumbered}\n\nSee @thm-title, @fig-curve, @tbl-made and [there](report/text.qmd#sec-b){.button}.\n"
TEXT = r"""# Text {#sec-text}

{{< include _macros.qmd >}}

## One {#sec-a}

### Deep {#sec-deep}

### Deeper {#sec-deeper}

## Two {#sec-b}

### Anew {#sec-anew}

::: {#thm-title}
## Of $\set{x}$
Thm body, see [-@thm-title], [@lem-a; @sec-deep], @eq-one and @sec-appendix.
:::

::: {.proof}
It holds, by @doe2020.
:::

::: {#lem-a}
Lem body.
:::

$$ a < b $$ {#eq-one}

::: {.callout-note collapse="true"}
## Of note
Folded.
:::

<div class="raw">Raw `{python}`</div>

Term
:   Its definition.[^1]

[^1]: A footnote.
"""
CODE = """# Code

```{python}
#| label: fig-curve
#| fig-cap: "@thm-title. A curve of $x$."
#| fig-alt: 'It rises [from 0] to "2".'
import os, sys
from matplotlib.figure import Figure
figure = Figure(figsize=(2, 1))
figure.subplots().plot([0, 1])
figure
```

```{python}
#| label: tbl-made
#| tbl-cap: "Made of $x$."
#| echo: false
from IPython.display import Markdown
Markdown("| a | b |\\n|---|---|\\n| c | $d$ |")
```

```{python}
print("in the root:", os.path.exists("_quarto.yml"))
print("warned", file=sys.stderr)
```

Inline `{python} f"{1 / 3:.3f}"`, `{python} "u_n*" + 'x'`, ``as `{python} typed` ``.
"""
APPENDIX = "# More {#sec-appendix}\n\n::: {#def-last}\nLast.\n:::\n\n## In it {#sec-in}\n"
NUMBERS = {
    "sec-text": "1", "sec-a": "1.1", "sec-deep": "1.1.1", "sec-deeper": "1.1.2", "sec-b": "1.2", "sec-anew": "1.2.1",
    "thm-title": "1.1", "lem-a": "1.1", "eq-one": "1.1", "fig-curve": "2.1", "tbl-made": "2.1", "sec-appendix": "A",
    "def-last": "A.1", "sec-in": "A.1",
}  # fmt: skip


def write_book(folder: Path, **chapters: str) -> Path:
    """Write a book of these chapters into ``folder``."""
    (folder / "report").mkdir(parents=True)
    files = {
        "_quarto.yml": CONFIGURATION.replace("CHAPTERS", ", ".join(f"report/{name}.qmd" for name in chapters)),
        "index.qmd": INDEX if len(chapters) > 1 else "# Index {-}\n",
        "report/references.qmd": "# References {.unnumbered}\n\n::: {#refs}\n:::\n",
        "report/appendix.qmd": APPENDIX,
        "report/references.bib": "@book{doe2020, author = {Doe, Jane}, title = {Things}, year = {2020}}\n",
        "report/_macros.qmd": "\\providecommand{\\set}[1]{\\{ #1 \\}}\n",
        "report/head.html": '<meta name="shared" content="header">\n',
        "report/more.css": ".button { color: red; }\n",
    }
    for name, text in (files | {f"report/{name}.qmd": text for name, text in chapters.items()}).items():
        (folder / name).write_text(text)
    return folder


def dry(root: Path, to: Path) -> dict[str, str]:
    book = read_book(root)
    asyncio.run(main.run_all(book, to, live=False))
    return number(book, to)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_book(tmp_path_factory.mktemp("small") / "book", text=TEXT, code=CODE)
    command = [sys.executable, str(BUILDER), *([] if TEX else ["--to", "html"])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def pages(small: Path) -> dict[str, str]:
    soups = check.read_pages(small / "_book")
    return {path.stem: " ".join(soup.main.get_text().split()) for path, soup in soups.items()}


@pytest.mark.slow
def test_pages_show_each_construct(small: Path, pages: dict[str, str]) -> None:
    for expected in [r"Theorem 1.1 (Of \(\{ x \}\)) Thm body, see 1.1, Lemma 1.1, Section 1.1.1, Equation 1.1 and Appendix A.",
                     "Proof. It holds, by Doe (2020).", "Raw", "Term Its definition.", "On this page 1.1 One"]:  # fmt: skip
        assert expected in pages["text"]
    for expected in ["Figure 2.1: Theorem 1.1. A curve of", "Table 2.1: Made of", "in the root: True",
                     "Inline 0.333, u_n*x, as `{python} typed`."]:  # fmt: skip
        assert expected in pages["code"]
    assert "warned" not in pages["code"].split("sys.stderr)")[1]
    assert "A small book First Author, November 23, 2026" in pages["index"]
    assert "Appendix A — More" in pages["appendix"]
    text = (small / "_book/report/text.html").read_text()
    assert '<details class="callout callout-note"><summary>' in text and '<meta name="shared"' in text
    assert '<div class="raw">' in text and "report/more.css" in text and "<dt>Term</dt>" in text
    index = BeautifulSoup((small / "_book/index.html").read_text(), "html.parser")
    assert [a["href"] for a in index.select("main section a")] == [
        "report/text.html#thm-title", "report/code.html#fig-curve", "report/code.html#tbl-made", "report/text.html#sec-b",
    ]  # fmt: skip
    assert index.select_one("nav.sidebar .part").text == "The first part"
    code = BeautifulSoup((small / "_book/report/code.html").read_text(), "html.parser")
    assert code.img["alt"] == 'It rises [from 0] to "2".' and len(code.select("details.code-fold")) == 2


@pytest.mark.slow
@pytest.mark.skipif(not TEX, reason="no xelatex or pdftotext on the PATH")
def test_the_pdf_shows_each_construct_and_the_book_passes_every_check(small: Path) -> None:
    pdf = str(small / "_book/small.pdf")
    text = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout
    text = re.sub(r"\s+", " ", text)
    for expected in ["Theorem 1.1 (Of {𝑥}). Thm body, see 1.1, Lemma 1.1, Section 1.1.1, Equation 1.1 and Appendix A.",
                     "Proof. It holds, by Doe (2020).", "Figure 2.1: Theorem 1.1. A curve", "Table 2.1: Made", "Folded.",
                     "in the root: True", "Definition A.1. Last.", "Doe, Jane. 2020.", "Part I The first part"]:  # fmt: skip
        assert expected in text, text
    results = check.check(small, small / "_book", minimum=8)
    assert len(results) > 50 and not {what: wrong for what, wrong in results.items() if wrong}


@pytest.mark.slow
def test_labels_have_their_numbers_with_and_without_the_code(small: Path, tmp_path: Path) -> None:
    numbers: dict[str, str] = {}
    for soup in check.read_pages(small / "_book").values():
        numbers |= check.label_numbers(soup)
    assert numbers == NUMBERS == dry(small, tmp_path)


DAMAGE = {
    "every reference is resolved": ("<p>", "<p>See <strong>?@thm-none</strong> "),
    "nothing is left as it was typed": ("<p>", r"<p>See \(x\) "),
    "every macro is expanded": ("<p>", r'<p><span class="math">\(\set{x}\)</span> '),
    "no broken link": ("#lem-a", "#lem-none"),
    "no request to another site": ("</head>", '<script src="https://cdn.example.org/x.js"></script></head>'),
    "every loaded file exists": ("site_libs/book.css", "site_libs/none.css"),
    "every figure has a description": ("<p>", '<p><img src="../site_libs/book.css"> '),
    "every label has a number": ("<p>", '<p><span id="thm-none"></span> '),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_page_fails_its_check(small: Path, what: str) -> None:
    found = check.read_pages(small / "_book")
    path = next(path for path in found if path.stem == "text")
    found[path] = BeautifulSoup(path.read_text().replace(*DAMAGE[what]), "html.parser")
    assert [name for name, wrong in check.page_problems(path, found, ["set"]).items() if wrong] == [what]


WRONG = r"""# A {#sec-one}

::: {#thm-a}
a
:::

::: {#thm-a}
b
:::

See @thm-none and [@none2020].

::: {.panel-tabset}
In a tab.
:::

| a |
|---|
| b |

: No label

# B

\newpage

[a](none.qmd), [@thm-a, end].

::: {.proof}
## Title
a
:::

A word. {#eq-nothing}

Last of A.

:::

# C {.unnumbered #sec-c}

@sec-c
"""


def test_what_is_wrong_with_the_text_is_said_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(BookError) as error:
        dry(write_book(tmp_path / "book", a=WRONG), tmp_path / "to")
    for expected in ["the label thm-a is already defined", "unresolved reference @thm-none", "no entry @none2020",
                     "panel-tabset} is not supported: “In a tab.”", "a table with a caption needs a label", "second #",
                     r"LaTeX outside a formula, which the pages would lose: \newpage", "a link to none.qmd", "words after",
                     "a proof with a title", "{#eq-nothing} is left as it was typed", "::: is left as it", "no number: @sec-c",
                     ]:  # fmt: skip
        assert any(line.startswith("report/a.qmd: ") and expected in line for line in str(error.value).splitlines()), (
            expected
        )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("```{python}\n#| fig-align: left\n1\n```\n", "the code “1”: the option fig-align is not supported"),
        ("```{python}\n#| fig-cap: 'a\n1\n```\n", "the code “1”: while scanning"),
        ("```{python}\n#| fig-cap: a\n1\n```\n", "the code “1”: a fig-cap needs a label"),
        ("```{python}\n#| label: b\n1\n```\n```{python}\n#| label: b\n1\n```\n", "the chunk b: this label is already"),
        ("```{r}\n1\n```\n", "the code “1” is of a kind that is not supported"),
        ("`{r} 1`\n", "the code “1” is of a kind"),
        ("{{< video x.mp4 >}}\n", "the shortcode {{< video x.mp4 >}} is not supported"),
        ("{{< include none.qmd >}}\n", "report/none.qmd cannot be read: No such file"),
        ("{{< include ../../none.qmd >}}\n", "cannot be read: outside the project"),
        ("::: {.proof}\nNever closed\n", "unclosed"),
        ("---\ntitle: A\n---\n", "a chapter opens with `# Title`"),
        ("```{python}\n1\n", "never closed"),
    ],
)
def test_what_is_not_supported_names_the_file_and_the_words(tmp_path: Path, source: str, expected: str) -> None:
    with pytest.raises(BookError) as error:
        dry(
            write_book(tmp_path / "book", a=source if source.startswith("---") else f"# A\n\n{source}"), tmp_path / "to"
        )
    assert "report/a.qmd" in str(error.value) and expected in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("project: [1]", "project is not made of"), ("[1]", "not made of"), ("book: [", "_quarto.yml: while parsing"),
     ("filters: [a.lua]", "the key filters is not"), ("book: {title: A, chapters: [a.qmd]}", "is index.qmd"),
     ("title: \xff", "not UTF-8")],
)  # fmt: skip
def test_a_configuration_that_is_not_understood_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "_quarto.yml").write_bytes(text.encode("latin-1"))
    with pytest.raises(BookError, match=re.escape(expected)) as error:
        read_book(tmp_path)
    assert "\n" not in str(error.value)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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


def old_book(folder: Path, mark: str = main.MARK, index: str = "index.html") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / index).write_text("old")
    (folder / mark).touch()
    return folder


@pytest.mark.parametrize("folder", [".", "..", "report", "_quarto.yml", "data", ".git", "out", "sub/_book"])
def test_what_no_build_made_is_never_replaced(words: Path, folder: str) -> None:
    old_book(words / "data", mark="notes.txt", index="data.csv")
    old_book(words / "out", mark="a-site")
    old_book(words / "sub/_book", mark="a-site")
    before = sorted(words.parent.rglob("*"))
    with pytest.raises(BookError, match="would replace the project|git tracks|did not make it"):
        main.build(words, ["html"], folder)
    assert sorted(words.parent.rglob("*")) == before


def test_quartos_book_is_replaced_where_git_ignores_it(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old_book(words / "_book", mark="search.json")
    with monkeypatch.context() as context:
        context.setenv("PATH", str(words))  # no git
        with pytest.raises(BookError, match="did not make it"):
            main.build(words, ["html"], None)
    main.build(words, ["html"], None)
    assert {path.name for path in (words / "_book").iterdir()} == {"index.html", main.MARK}


def test_the_old_book_stays_whole_until_the_new_one_is(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old_book(words / "_book", mark="page.html")

    def fail(book: Book, sources: Path, output: Path) -> None:
        assert (words / "_book/index.html").read_text() == "old" and (words / "_book/page.html").exists()
        raise BookError("so")

    with monkeypatch.context() as context:
        context.setattr(main, "write_pdf", fail)
        with pytest.raises(BookError, match="so"):
            main.build(words, ["html", "pdf"], None)
    assert (words / "_book/index.html").read_text() == "old" and not list(words.glob("._book*"))
    left = words / "._book-building"
    old_book(left).joinpath("old").mkdir()  # by a build that was killed while it put the new book in place
    (words / "_book").rename(left / "old")
    main.build(words, ["pdf"], None)
    assert (words / "_book/page.html").exists() and (words / "_book/small.pdf").read_text() == "new"
    main.build(words, ["html"], None)
    assert {path.name for path in (words / "_book").iterdir()} == {"index.html", "small.pdf", main.MARK}
    umask = os.umask(0)
    os.umask(umask)
    assert (words / "_book").stat().st_mode & 0o777 == 0o777 & ~umask and not list(words.glob("._book*"))


def test_two_builds_at_once_lose_nothing(words: Path) -> None:
    builds = [threading.Thread(target=main.build, args=(words, [to], None)) for to in ("html", "pdf")]
    for thread in builds:
        thread.start()
    for thread in builds:
        thread.join()
    assert {path.name for path in (words / "_book").iterdir()} == {"index.html", "small.pdf", main.MARK}


@pytest.mark.slow
def test_a_chunk_that_fails_or_takes_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "TIME_LIMIT", 1)
    code = "```{python}\n#| label: slow\nimport time; time.sleep(30)\n```\n"
    root = write_book(tmp_path / "book", a=f"# A\n\n{code}", b="# B\n\nFails: `{python} none`.\n")
    for file, expected in (
        ("a", "the chunk slow took more than 1 seconds"),
        ("b", "the code “none” failed.*NameError"),
    ):
        with pytest.raises(BookError, match=f"(?s)report/{file}.qmd: {expected}"):
            asyncio.run(chunks.Run(read_book(root), tmp_path, live=True).chapter(f"report/{file}.qmd"))


@pytest.mark.slow
def test_ctrl_c_ends_a_build_with_one_line(tmp_path: Path) -> None:
    code = "```{python}\nimport pathlib, time\npathlib.Path('runs').touch()\ntime.sleep(60)\n```\n"
    root = write_book(tmp_path / "book", a=f"# A\n\n{code}")
    old_book(root / "_book")
    command = [sys.executable, str(BUILDER), "--to", "html"]
    with subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) as build:
        while build.poll() is None and not (root / "runs").exists():
            time.sleep(0.1)
        build.send_signal(signal.SIGINT)
        error = build.communicate(timeout=30)[1]
    assert build.returncode == 130 and error.splitlines()[-1] == "interrupted; the book is as it was"
    assert all(line.startswith("ran ") for line in error.splitlines()[:-1])
    assert (root / "_book/index.html").read_text() == "old" and not list(root.glob("._book*"))


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """This book's sources as the builder gives them to Pandoc, with stand-ins for what code shows, and their numbers."""
    folder = tmp_path_factory.mktemp("own")
    return folder, dry(ROOT, folder)


@pytest.mark.slow
def test_this_books_labels_are_numbered_in_reading_order(own: tuple[Path, dict[str, str]]) -> None:
    found = [
        label
        for file in read_book(ROOT).files
        for label in re.findall(r"#((?:thm|lem|eq|fig)-[\w-]+)", (own[0] / file).read_text())
    ]
    assert len(found) > 50
    last: dict[tuple[str, str], int] = {}
    for label in found:
        chapter, _, place = own[1][label].rpartition(".")
        series = (label.split("-")[0], chapter)
        last[series] = last.get(series, 0) + 1
        assert int(place) == last[series], label


@pytest.mark.slow
@pytest.mark.skipif(not QUARTO, reason="no quarto on the PATH or in $QUARTO to compare with")
def test_quarto_gives_every_label_the_same_number(own: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    for name in ("_quarto.yml", "report", "code/book"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, tmp_path / name)
    for file in read_book(ROOT).files:
        shutil.copy(own[0] / file, tmp_path / file)
    environment = os.environ | {"QUARTO_PYTHON": sys.executable}
    command = [str(QUARTO), "render", "--to", "html"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    numbers: dict[str, str] = {}
    for soup in check.read_pages(tmp_path / "_book").values():
        numbers |= check.label_numbers(soup)
    assert numbers == own[1]
