"""The checks of a built book, on pages and on print with one thing wrong."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "code" / "book"))

import check
import printed


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
    ((path, page),) = (pages := check.read_pages(tmp_path)).items()
    found = check.page_problems(path, page, check.anchors(pages), check.label_numbers(page))
    assert list(found) == ([problem] if problem else [])


def test_what_is_wrong_with_the_print_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five pages: a title, the contents, a chapter whose second page is white, and its last, which may be."""
    white = b"P5\n20 10\n255\n" + b"\xff" * 200
    inked, wide = white[:-40] + b"\x00" * 19 + b"\xff" * 21, white[:-1] + b"\x00"
    said = {
        "pdfinfo": b"Title:  A\nAuthor: B\nSubject:\nKeywords: c\n",
        "pdffonts": b"a head\nof two lines\nA+B Type 1C Custom yes yes yes 5 0\nC Type 3 Custom no no no 6 0\n",
        "pdftotext": b"Title\fContents\n1 One   3\n  1.1 Two . .   3\n  1.2 Three . .   5\n\f"
        b"1 One\n1.1 Two\f1.2 Three\f\f",
        "pdftoppm": white + white + inked + white + wide,
    }
    monkeypatch.setattr(printed, "output", lambda command, *rest: said[command])
    assert list(printed.problems(Path("a.pdf"))) == [
        "no Subject in the metadata", "a font is not embedded: C", "the contents say that “1.2 Three” is on page 5",
        "page 4 is 100% white", "something runs off page 5",
    ]  # fmt: skip
