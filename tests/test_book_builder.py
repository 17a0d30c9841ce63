"""The builder used where there is no Quarto: each construct it reads, each error it reports, and Quarto's numbers.

One small book is built once for all tests; its chapters hold one construct each.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILDER = ROOT / "code" / "book"
sys.path.insert(0, str(BUILDER))

from check import check, label_numbers  # noqa: E402
from chunks import chapter_markdown  # noqa: E402
from configuration import BookError, read_book  # noqa: E402
from render import number, parse  # noqa: E402
from sources import INLINE, Chunk, Text, read_sources  # noqa: E402

TEX = shutil.which("xelatex") and shutil.which("pdftotext")
QUARTO = os.environ.get("QUARTO") or shutil.which("quarto")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

CONFIGURATION = """\
project:
  type: book
  output-dir: _book
book:
  title: "A small book: tests"
  subtitle: "Every construct once"
  author: [First Author, Second Author]
  date: "2026-11-23"
  downloads: [pdf]
  chapters: [CHAPTERS]
  appendices: [report/appendix.qmd]
bibliography: report/references.bib
execute:
  warning: false
format:
  html: {code-fold: true}
  pdf: {documentclass: scrreprt}
"""

INDEX = """\
# How to read this book {.unnumbered}

Begin with @thm-title, then @sec-theorems, @sec-part, @eq-labelled, @fig-curve, @tbl-made, @sec-appendix, @thm-last.
"""

BIBLIOGRAPHY = """\
@article{doe2020, author = {Doe, Jane}, title = {On things}, journal = {Journal}, year = {2020}}
@book{roe2021, author = {Roe, Richard}, title = {More things}, publisher = {Press}, year = {2021}}
"""

FIGURE = """\
from matplotlib.figure import Figure
figure = Figure(figsize=(4, 2))
figure.subplots().plot([0, 1, 2])
figure"""

# each construct: its source, what its page shows, what the PDF shows (regular expressions; tags are taken out)
CONSTRUCTS = {
    "theorems": (
        """\
# Theorems {#sec-theorems}

## A part {#sec-part}

### Deeper {#sec-deeper}

::: {#thm-title}

## The title of $x$

Thm body.
:::

::: {#lem-a}
Lem body.
:::

::: {#prp-a}
Prp body.
:::

::: {#cor-a}
Cor body.
:::

::: {#def-a}
Def body.
:::

::: {#exm-a}
Exm body.
:::

::: {#rem-a}
Rem body.
:::

::: {#thm-second}
Second body.
:::
""",
        [r"1\.1\.1 Deeper", r"Theorem 1\.1 \(The title of \\\(x\\\)\) Thm body", r"Lemma 1\.1 Lem", r"Proposition 1\.1 Prp",
         r"Corollary 1\.1 Cor", r"Definition 1\.1 Def", r"Example 1\.1 Exm", r"Remark 1\.1 Rem", r"Theorem 1\.2 Second"],
        [r"1\.1\.1 Deeper", r"Theorem 1\.1 \(The title of 𝑥\)\. Thm body", r"Lemma 1\.1\. Lem", r"Proposition 1\.1\. Prp",
         r"Corollary 1\.1\. Cor", r"Definition 1\.1\. Def", r"Example 1\.1\. Exm", r"Remark 1\.1\. Rem",
         r"Theorem 1\.2\. Second"],
    ),
    "proofs": (
        "# Proofs\n\n::: {.proof}\nIt holds.\n\nSo it ends.\n:::\n\n::: {.proof}\nBy cases:\n\n1. one\n2. two\n:::\n",
        [r"Proof\. It holds\. So it ends\. ∎", r"Proof\. By cases: one two ∎"],
        [r"Proof\. It holds\. So it ends\. ■", r"Proof\. By cases: 1\. one 2\. two ■"],
    ),
    "equations": (
        "# Equations\n\nFirst\n$$\na < b .\n$$ {#eq-labelled}\n\nand $$ c = d $$ {#eq-inside}\n\nand $$ e = f . $$\n\nBy [-@eq-inside].\n",
        [r"\\\[ a < b \. \\tag\{3\.1\}\\\]", r"c = d \\tag\{3\.2\}", r"\\\[ e = f \. \\\]", r"By 3\.2\."],
        [r"𝑎 < 𝑏\. \(3\.1\)", r"𝑐 ?= ?𝑑 \(3\.2\)", r"𝑒 = 𝑓\. By 3\.2"],
    ),
    "references-to": (
        "# References to\n\nSee @lem-a, [-@lem-a], [@lem-a; @thm-second], [Thm. @thm-title], @sec-deeper, @sec-theorems.\n",
        [r"See Lemma 1\.1, 1\.1, Lemma 1\.1, Theorem 1\.2, Thm\. 1\.1, Section 1\.1\.1, Chapter 1\."],
        [r"See Lemma 1\.1, 1\.1, Lemma 1\.1, Theorem 1\.2, Thm\. 1\.1, Section 1\.1\.1, Chapter 1\."],
    ),
    "citations": (
        "# Citations\n\nBy @doe2020 and [@roe2021, Thm 9.1; @doe2020]. A note.[^1]\n\n[^1]: Its text.\n",
        [r"By Doe \(2020\) and \(Roe 2021, Thm 9\.1; Doe 2020\)\.", r"Its text\."],
        [r"By Doe \(2020\) and \(Roe 2021, Thm 9\.1; Doe 2020\)\.", r"1 Its text\.", r"Doe, Jane\. 2020\."],
    ),
    "includes": (
        "# Includes\n\n{{< include _macros.qmd >}}\n\n{{< include /report/_shared.qmd >}}\n\nIn $\\set{x}$.\n",
        [r"Shared words\.", r"In \\\(\\\{ x \\\}\\\)\."],
        [r"Shared words\.", r"In \{𝑥\}\."],
    ),
    "callouts": (
        "# Callouts\n\n::: {.callout-note}\n## Of note\nOne.\n:::\n\n::: {.callout-tip}\nTwo.\n:::\n\n::: {.callout-warning}\nThree.\n:::\n",
        [r"Of note One\.", r"Tip Two\.", r"Warning Three\."],
        [r"Of note One\.", r"Tip Two\.", r"Warning Three\."],
    ),
    "figures": (
        f"""\
# Figures

```{{python}}
#| label: fig-curve
#| fig-cap: "@thm-title. A curve of $x$."
#| fig-alt: 'It rises [from 0] to "2".'
#| fig-width: 4
#| fig-height: 2
{FIGURE}
```
""",
        [r"Figure 8\.1: Theorem 1\.1\. A curve of \\\(x\\\)\.", r"Code from matplotlib"],
        [r"Figure 8\.1: Theorem 1\.1\. A curve of 𝑥\."],
    ),
    "tables": (
        """\
# Tables

```{python}
#| label: tbl-made
#| tbl-cap: "Made of $x$."
#| echo: false
from IPython.display import Markdown
Markdown("| a | b |\\n|---|---|\\n| c | $d$ |")
```

| e | f |
|---|---|
| g | h |

: Typed. {#tbl-typed}

| i |
|---|
| j |
""",
        [r"Table 9\.1: Made of \\\(x\\\)\.", r"Table 9\.2: Typed\.", r"i j"],
        [r"Table 9\.1: Made of 𝑥\.", r"Table 9\.2: Typed\.", r"i j"],
    ),
    "chunks": (
        """\
# Chunks

```{python}
#| label: start
#| include: false
import os, sys
unseen = "u_n*seen"
```

```{python}
#| code-fold: false
print("on stdout", os.path.exists("_quarto.yml"))
6 * 7
```

```{python}
#| output: false
print("no " + "output")
```

```{python}
#| eval: false
never_defined()
```

```{python}
#| echo: false
print("not " + "echoed")
print("warned " + "not", file=sys.stderr)
```

```{python}
#| warning: true
#| code-fold: show
print("warned " + "aloud", file=sys.stderr)
```

```{python}
#| output: asis
#| echo: false
print("*as* " + "it is")
```

Inline `{python} f"{1 / 3:.3f}"`, `{python} unseen`, `{python} max(2,
4)`.

```python
plain = {"a": 1}
```
""",
        [r"on stdout True 42", r'print\("no " \+ "output"\)', r"never_defined\(\)", r"not echoed", r"Code print\(\"warned",
         r"warned aloud", r"as it is", r"Inline 0\.333, u_n\*seen, 4\.", r'plain = \{"a": 1\}'],
        [r"on stdout True 42", r"never_defined\(\)", r"not echoed", r"warned aloud", r"as it is",
         r"Inline 0\.333, u_n\*seen, 4\.", r'plain = \{"a": 1\}'],
    ),
    "fresh-kernel": (
        '# Fresh kernel\n\nAnother chapter\'s name is here: `{python} "unseen" in globals()`.\n',
        [r"is here: False\."],
        [r"is here: False\."],
    ),
    "references": ("# References {.unnumbered}\n\n::: {#refs}\n:::\n", [r"Doe, Jane\. 2020\."], [r"Roe, Richard\. 2021\."]),
    "appendix": (
        "# Appendix {#sec-appendix}\n\n::: {#thm-last}\nLast.\n:::\n\n$$ x = y $$ {#eq-last}\n\n## In it {#sec-in}\n\nSee @sec-in.\n",
        [r"Appendix A — Appendix Theorem A\.1 Last\.", r"\\tag\{A\.1\}", r"A\.1 In it See Section A\.1\."],
        [r"A Appendix Theorem A\.1\. Last\.", r"𝑥 ?= ?𝑦 \(A\.1\)", r"A\.1 In it See Section A\.1\."],
    ),
}  # fmt: skip

NUMBERS = {
    "sec-theorems": "1", "sec-part": "1.1", "sec-deeper": "1.1.1", "thm-title": "1.1", "thm-second": "1.2", "lem-a": "1.1",
    "prp-a": "1.1", "cor-a": "1.1", "def-a": "1.1", "exm-a": "1.1", "rem-a": "1.1", "eq-labelled": "3.1",
    "eq-inside": "3.2", "fig-curve": "8.1", "tbl-made": "9.1", "tbl-typed": "9.2", "sec-appendix": "A", "thm-last": "A.1",
    "eq-last": "A.1", "sec-in": "A.1",
}  # fmt: skip


def write_book(folder: Path, chapters: dict[str, str] | None = None) -> Path:
    """Write the small book, or one of an index and ``chapters``, into ``folder``."""
    (folder / "report").mkdir(parents=True)
    sources = {name: source for name, (source, _, _) in CONSTRUCTS.items()}
    if chapters is not None:
        sources = chapters | {name: sources[name] for name in ("references", "appendix")}
    for name, source in sources.items():
        (folder / "report" / f"{name}.qmd").write_text(source)
    names = ["index.qmd", *(f"report/{name}.qmd" for name in sources if name != "appendix")]
    (folder / "_quarto.yml").write_text(CONFIGURATION.replace("CHAPTERS", ", ".join(names)))
    (folder / "index.qmd").write_text(INDEX if chapters is None else "# Index {.unnumbered}\n\nWords.\n")
    (folder / "report" / "references.bib").write_text(BIBLIOGRAPHY)
    (folder / "report" / "_macros.qmd").write_text("\\providecommand{\\set}[1]{\\{ #1 \\}}\n")
    (folder / "report" / "_shared.qmd").write_text("Shared words.\n")
    return folder


def run_builder(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(BUILDER), *arguments], cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The small book, built: both formats where there is TeX, and the pages alone elsewhere."""
    folder = write_book(tmp_path_factory.mktemp("small") / "book")
    done = run_builder(folder, "--to", "all" if TEX else "html")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pdf_text(project) -> str:
    if not TEX:
        pytest.skip("no xelatex or pdftotext on the PATH")
    pdf = project / "_book" / "A-small-book--tests.pdf"
    text = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True).stdout
    return re.sub(r"\s+", " ", re.sub(r"\n\s*\d+\n\f", "\n", text))


def page_text(path: Path) -> str:
    body = path.read_text().split("<main>")[1].split("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", "", body)).split())


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_each_construct_reaches_its_page(project, name):
    path = project / "_book" / "report" / f"{name}.html"
    text = page_text(path)
    for expected in CONSTRUCTS[name][1]:
        assert re.search(expected, text), f"{expected} not in: {text}"
    assert "no output" not in text and "warned not" not in text and "NameError" not in text


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_each_construct_reaches_the_pdf(pdf_text, name):
    for expected in CONSTRUCTS[name][2]:
        assert re.search(expected, pdf_text), f"{expected} not in: {pdf_text}"


def test_labels_have_quartos_numbers(project):
    assert label_numbers(project / "_book") == NUMBERS


def test_references_link_to_the_pages_of_other_chapters(project):
    index = (project / "_book" / "index.html").read_text()
    other = (project / "_book" / "report" / "references-to.html").read_text()
    assert 'href="report/theorems.html#thm-title"' in index
    assert 'href="../report/theorems.html#lem-a"' in other
    assert 'href="../report/references.html#ref-doe2020"' in (project / "_book" / "report" / "citations.html").read_text()


def test_figures_are_svg_with_their_description(project):
    page = (project / "_book" / "report" / "figures.html").read_text()
    assert (project / "_book" / "report" / "figures_files" / "fig-curve.svg").is_file()
    source, alt = re.search(r'<img\s+src="([^"]*)"\s+alt="([^"]*)"', page).groups()
    assert source == "../report/figures_files/fig-curve.svg"
    assert unescape(alt) == 'It rises [from 0] to “2”.' or unescape(alt) == 'It rises [from 0] to "2".'


def test_code_is_folded_on_pages_only_where_asked(project):
    page = (project / "_book" / "report" / "chunks.html").read_text()
    assert page.count('<details class="code-fold">') == 2  # output: false and eval: false
    assert page.count('<details class="code-fold" open>') == 1
    assert '<span class="bu">print</span>' in page


def test_the_title_page_names_title_authors_and_date(project, request):
    text = page_text(project / "_book" / "index.html")
    assert "A small book: tests Every construct once First Author, Second Author, November 23, 2026" in text
    assert "A small book: tests Every construct once First Author" in request.getfixturevalue("pdf_text")


def test_a_built_book_passes_every_check(project, monkeypatch, capsys):
    if not TEX:
        pytest.skip("no xelatex or pdftotext on the PATH")
    monkeypatch.chdir(project)
    report = check(project / "_book", minimum=10, browser=None)
    assert report.failed == 0, capsys.readouterr().out
    assert report.passed > 8 * len(CONSTRUCTS)


DAMAGE = {
    "every reference is resolved": ("<p>See ", "<p>See <strong>?@thm-none</strong> "),
    "nothing is left as it was typed": ("<p>See ", r"<p>See \(x\) "),
    "every macro is expanded": ("<p>See ", r'<p>See <span class="math inline">\(\set{x}\)</span> '),
    "no broken link": ("#lem-a", "#lem-none"),
    "no request to another site": ("</head>", '<script src="https://cdn.example.org/x.js"></script></head>'),
    "every loaded file exists": ("site_libs/book.css", "site_libs/none.css"),
    "every figure has a description": ("<p>See ", '<p>See <img src="../site_libs/book.css"> '),
    "every label has a number": ("<p>See ", '<p>See <span id="thm-none"></span> '),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_page_fails_its_check(project, tmp_path, monkeypatch, capsys, what):
    monkeypatch.chdir(project)
    shutil.copytree(project / "_book", tmp_path / "_book")
    page = tmp_path / "_book" / "report" / "references-to.html"
    before, after = DAMAGE[what]
    assert before in page.read_text()
    page.write_text(page.read_text().replace(before, after))
    check(tmp_path / "_book", minimum=10, browser=None)
    failures = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("FAILED the PDF")]
    assert len(failures) == 1 and failures[0].startswith(f"FAILED report/references-to.html: {what}"), failures


@pytest.mark.skipif(BROWSER is None, reason="no chromium on the PATH to display pages")
def test_a_browser_finds_formulas_that_mathjax_cannot_set(project):
    from check import Page, _unset

    page = project / "_book" / "report" / "equations.html"
    assert _unset(BROWSER, Page(page)) == []
    broken = page.with_name("broken.html")
    broken.write_text(page.read_text().replace("c = d", r"\frac{c"))
    try:
        assert _unset(BROWSER, Page(broken))
    finally:
        broken.unlink()


# each error: a chapter's source and what is said about it, with the line
ERRORS = {
    "unknown chunk option": ("# A\n\n```{python}\n#| fig-align: left\n1\n```\n", r"a\.qmd:3: the chunk option fig-align "),
    "unknown value of an option": ("# A\n\n```{python}\n#| echo: fenced\n1\n```\n", r"a\.qmd:3: the chunk option echo: fenced"),
    "options that are not YAML": ("# A\n\n```{python}\n#| fig-cap: 'a\n1\n```\n", r"a\.qmd:3: chunk options: "),
    "another language": ("# A\n\n```{r}\n1\n```\n", r"a\.qmd:3: a code block \{r\} is not supported"),
    "options in the fence": ("# A\n\n```{python, echo=F}\n1\n```\n", r"a\.qmd:3: a code block \{python, echo=F\}"),
    "open code block": ("# A\n\n```{python}\n1\n", r"a\.qmd:3: this code block is never closed"),
    "another shortcode": ("# A\n\n{{< video x.mp4 >}}\n", r"a\.qmd:3: this shortcode is not supported"),
    "missing include": ("# A\n\n{{< include none.qmd >}}\n", r"a\.qmd:3: the included file none\.qmd does not exist"),
    "another block": ("# A\n\n::: {.panel-tabset}\na\n:::\n", r"a\.qmd:3: the block ::: \{\.panel-tabset\} is not supp"),
    "another theorem": ("# A\n\n::: {#cnj-a}\na\n:::\n", r"a\.qmd:3: the block ::: \{#cnj-a\} is not supported"),
    "another callout": ("# A\n\n::: {.callout-caution}\na\n:::\n", r"a\.qmd:3: the block ::: \{\.callout-caution\}"),
    "open block": ("# A\n\n::: {.proof}\na\n", r"a\.qmd:3: this block is never closed"),
    "a closed block too many": ("# A\n\na\n\n:::\n", r"a\.qmd:5: this ::: closes nothing"),
    "raw HTML": ("# A\n\nA <b>word</b>.\n", r"a\.qmd:3: raw HTML is not supported"),
    "raw attribute": ("# A\n\n`<b>`{=html}\n", r"a\.qmd:3: a raw block or span is not supported"),
    "raw LaTeX": ("# A\n\n\\newpage\n", r"a\.qmd:3: LaTeX outside"),
    "an image": ("# A\n\n![a](b.png)\n", r"a\.qmd:3: an image that no chunk makes"),
    "a span with attributes": ("# A\n\n[a]{.smallcaps}\n", r"a\.qmd:3: a span or link with attributes"),
    "YAML in a chapter": ("---\ntitle: A\n---\n", r"a\.qmd:1: a chapter opens with `# Title`"),
    "two titles": ("# A\n\nText.\n\n# B\n", r"a\.qmd:5: a second # heading"),
    "attribute of a heading": ("# A {.appendix}\n", r"a\.qmd:1: the heading's attribute \.appendix"),
    "inline code of another language": ("# A\n\n`{r} 1`\n", r"a\.qmd:3: inline code `\{r\} 1` is not supported"),
    "label defined twice": ("# A\n\n::: {#thm-a}\na\n:::\n\n::: {#thm-a}\nb\n:::\n", r"a\.qmd:7: the label thm-a is already .*a\.qmd:3"),
    "unresolved reference": ("# A\n\nText.\nSee @thm-none.\n", r"a\.qmd:4: unresolved reference @thm-none"),
    "unresolved reference in a caption": (
        f'# A\n\n```{{python}}\n#| label: fig-a\n#| fig-cap: "See @thm-none."\n{FIGURE}\n```\n', r"a\.qmd:3: unresolved reference @thm-none"),
    "missing citation": ("# A\n\nText.\n\nSee [@none2020, p. 3].\n", r"a\.qmd:5: no entry @none2020 in the bibliography"),
    "caption without label": ('# A\n\n```{python}\n#| fig-cap: "a"\n1\n```\n', r"a\.qmd:3: a fig-cap needs a label"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_what_is_not_supported_is_an_error_with_its_line(tmp_path, name):
    source, expected = ERRORS[name]
    book = read_book(write_book(tmp_path / "book", {"a": source}))
    with pytest.raises(BookError, match=expected):
        read_sources(book)


# what shows only when code runs or Pandoc reads: the source and what is said about it
LATE_ERRORS = {
    "failing chunk": ("# A\n\n```{python}\n1 / 0\n```\n", r"a\.qmd:3: this code failed[^$]*ZeroDivisionError"),
    "failing inline code": ("# A\n\nText\n`{python} none`\n", r"a\.qmd:4: this code failed[^$]*NameError"),
    "no figure": ('# A\n\n```{python}\n#| label: fig-a\n#| fig-cap: "a"\n1\n```\n', r"a\.qmd:3: the chunk fig-a shows 0 figures"),
    "figure without label": (f"# A\n\n```{{python}}\n{FIGURE}\n```\n", r"a\.qmd:3: a figure needs a label"),
    "another output": ("# A\n\n```{python}\nfrom IPython.display import HTML\nHTML('<b>')\n```\n", r"a\.qmd:3: an output of type text/html"),
    "raw HTML made by code": (
        "# A\n\n```{python}\n#| output: asis\nprint('<b>x</b>')\n```\n", r"a\.qmd: raw html is not supported: <b>"),
    "title of a proof": ("# A\n\n::: {.proof}\n## Title\na\n:::\n", r"a\.qmd: a proof with a title"),
    "reference to what is not numbered": ("# A {#sec-a .unnumbered}\n\nSee @sec-a.\n", r"a\.qmd: @sec-a refers to a section without"),
    "theorem in a chapter without number": ("# A {.unnumbered}\n\n::: {#thm-a}\na\n:::\n", r"a\.qmd: thm-a stands in a chapter"),
    "words lost in brackets": ("# A\n\n::: {#thm-a}\na\n:::\n\nSee [@thm-a, end].\n", r"a\.qmd: words after @thm-a"),
    "table caption without label": ("# A\n\n| a |\n|---|\n| b |\n\n: Caption\n", r"a\.qmd: a table with a caption needs a label"),
}  # fmt: skip


@pytest.mark.parametrize("name", LATE_ERRORS)
def test_what_shows_late_is_an_error_too(tmp_path, name):
    source, expected = LATE_ERRORS[name]
    book = read_book(write_book(tmp_path / "book", {"a": source}))
    with pytest.raises(BookError, match=expected):
        parsed = [
            parse(book, *chapter_markdown(book, chapter, tmp_path / "figures", run=chapter.chapter.path.stem == "a"))
            for chapter in read_sources(book)
        ]
        number(book, parsed, "html")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("project:\n  type: book", r"_quarto\.yml:1: the book has no (title|chapters)"),
        ("book:\n  title: A\n  cover-image: a.png\n  chapters: [index.qmd]", r"_quarto\.yml:3: the key book\.cover-image is not"),
        ("book:\n  title: A\n  chapters: [none.qmd]", r"_quarto\.yml:3: the chapter none\.qmd does not exist"),
        ("execute:\n  error: true", r"_quarto\.yml:2: the key execute\.error is not supported"),
        ("project:\n  execute-dir: file", r"_quarto\.yml:2: chunks run with the project's root"),
        ("filters: [a.lua]", r"_quarto\.yml:1: the key filters is not supported"),
        ("book: [", r"_quarto\.yml: "),
    ],
)
def test_a_configuration_that_is_not_understood_is_an_error(tmp_path, line, expected):
    (tmp_path / "_quarto.yml").write_text(line)
    with pytest.raises(BookError, match=expected):
        read_book(tmp_path)


def test_an_error_leaves_the_last_book_and_says_so_with_status_1(tmp_path):
    folder = write_book(tmp_path / "book", {"a": "# A\n\nText.\n\n```{python}\nraise RuntimeError('so')\n```\n"})
    (folder / "_book").mkdir()
    (folder / "_book" / "index.html").write_text("the last one")
    done = run_builder(folder, "--to", "html")
    assert done.returncode == 1
    assert "report/a.qmd:5: this code failed" in done.stderr and "RuntimeError: so" in done.stderr
    assert [path.name for path in (folder / "_book").iterdir()] == ["index.html"]
    assert (folder / "_book" / "index.html").read_text() == "the last one"
    assert not [path for path in folder.iterdir() if path.name.startswith("._book")]


@pytest.mark.skipif(not TEX, reason="no xelatex or pdftotext on the PATH")
def test_a_formula_that_latex_cannot_set_leaves_no_half_of_a_book(tmp_path):
    folder = write_book(tmp_path / "book", {"a": "# A\n\nThe set $\\undefinedmacro$.\n"})
    done = run_builder(folder)
    assert done.returncode == 1 and r"\undefinedmacro" in done.stderr
    assert not (folder / "_book").exists()


def test_one_format_alone_keeps_the_other(tmp_path):
    folder = write_book(tmp_path / "book", {"a": "# A\n\nText.\n"})
    (folder / "out").mkdir()
    (folder / "out" / "A-small-book--tests.pdf").write_text("the last PDF")
    done = run_builder(folder, "--to", "html", "--output-dir", "out")
    assert done.returncode == 0, done.stderr
    assert (folder / "out" / "A-small-book--tests.pdf").read_text() == "the last PDF"
    assert "A-small-book--tests.pdf" in (folder / "out" / "report" / "a.html").read_text()


# ---- this book's own sources ----


@pytest.fixture(scope="module")
def own():
    """The book's own sources; reading them is the test that they stay in what the builder supports."""
    book = read_book(ROOT)
    return book, read_sources(book)


def own_numbers(own) -> dict[str, str]:
    book, sources = own
    parsed = [parse(book, *chapter_markdown(book, source, ROOT, run=False)) for source in sources]
    return {label: entry["number"] for label, entry in number(book, parsed, "html")[1].items()}


def test_the_books_sources_use_only_what_both_builders_read(own):
    _, sources = own
    assert all(source.labels for source in sources if source.chapter.path.stem.startswith("problem"))


def test_the_books_labels_are_numbered_in_reading_order(own):
    """The filter's numbers are those of a count over the sources, type by type in each chapter."""
    _, sources = own
    expected, chapters, appendices = {}, 0, 0
    for source in sources:
        text = "\n".join("\n".join(part.lines) for part in source.parts if isinstance(part, Text))
        prose = re.sub(r"^(`{3,}).*?^\1", "", re.sub(r"^:::+ *\{#.*\n(\s*)##", r"\1::", text, flags=re.M), flags=re.M | re.S)
        prose = re.sub(r"^:::+ *\{\.callout.*\n\s*##", "", prose, flags=re.M)
        title = prose.split("\n# ")[0].strip().splitlines()[0]
        if ".unnumbered" in title:
            chapter = ""
        elif source.chapter.appendix:
            appendices += 1
            chapter = "ABC"[appendices - 1]
        else:
            chapters += 1
            chapter = str(chapters)
        counts = [0, 0, 0, 0, 0]
        for marks, rest in re.findall(r"^(#{1,5}) +(.*)$", prose, flags=re.M):
            if len(marks) > 1:
                counts[len(marks) - 2] += 1
                counts[len(marks) - 1 :] = [0] * (6 - len(marks))
            label = re.search(r"\{#(sec-[\w-]+)", rest)
            if label:
                expected[label[1]] = ".".join([chapter, *(str(count) for count in counts[: len(marks) - 1])])
        seen: dict[str, int] = {}
        for label, _ in source.labels:
            prefix = label.split("-")[0]
            if prefix != "sec" and prefix in "thm lem prp cor def exm rem eq fig tbl".split():
                seen[prefix] = seen.get(prefix, 0) + 1
                expected[label] = f"{chapter}.{seen[prefix]}".lstrip(".")
    assert own_numbers(own) == expected


@pytest.mark.skipif(not QUARTO, reason="no quarto on the PATH or in $QUARTO to compare with")
def test_quarto_gives_every_label_the_same_number(own, tmp_path):
    """Quarto renders the book's sources with stand-ins for what the chunks show, so it takes a minute at most."""
    book, sources = own
    for name in ("_quarto.yml", "report", "code/book"):
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    for source in sources:
        lines: list[str] = []
        for part in source.parts:
            if isinstance(part, Text):
                lines.append(INLINE.sub("0", "\n".join(part.lines)))
                continue
            label = str(part.options.get("label", ""))
            if label.startswith("fig-"):
                code = f'#| label: {label}\n#| fig-cap: "A figure."\n{FIGURE}'
            elif label.startswith("tbl-"):
                code = f'#| label: {label}\n#| tbl-cap: "A table."\nfrom IPython.display import Markdown\nMarkdown("| a |\\n|---|\\n| b |")'
            else:
                code = "0"
            assert isinstance(part, Chunk)
            lines.append(f"```{{python}}\n{code}\n```")
        (tmp_path / source.chapter.path).write_text("\n\n".join(lines))
    environment = os.environ | {"QUARTO_PYTHON": sys.executable, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run([QUARTO, "render", "--to", "html"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert label_numbers(tmp_path / book.output_dir) == own_numbers(own)
