"""The front table points to sections, statements, functions and searches that exist."""

import importlib
from pathlib import Path

import pytest
from implicit_bias import searches
from implicit_bias.summary import ANSWERS, summary_table

ROOT = Path(__file__).resolve().parents[1]
PARTS = [f"1.{k}" for k in range(1, 7)] + [f"2.{k}" for k in range(1, 5)] + [f"3.{k}" for k in range(1, 4)]


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: row.part)
def test_row_points_to_what_exists(row):
    file, anchor = row.place.split("#")
    sections = [line for line in (ROOT / file).read_text().splitlines() if line.startswith("## ")]
    numbered = [line for line in sections if ".unnumbered" not in line and "{#problem-" in line]
    assert f"{{#{anchor}}}" in numbered[int(row.part[-1]) - 1]  # the section's number is the part's
    statements = "".join(path.read_text() for path in (ROOT / "report").glob("*.qmd"))
    assert all(label == "-" or f"{{#{label}}}" in statements for label in (row.label, row.sharper))
    module, function = row.code.split(".")
    assert callable(getattr(importlib.import_module(f"implicit_bias.{module}"), function))
    assert row.search == "-" or row.search in searches.SEARCHES


def test_every_part_of_the_homework_is_there_in_order():
    assert [row.part for row in ANSWERS] == PARTS


def test_table_has_a_row_for_each_answer(monkeypatch):
    monkeypatch.setattr(searches, "quotient", lambda label: 0.98765)
    lines = summary_table().splitlines()
    assert len(lines) == len(ANSWERS) + 2 and all(line.count("|") == 7 for line in lines)
    mark = "[yes](report/machine-checked.qmd#sec-checked)"
    function = "[`margin_constant`](report/api.qmd#api-bounds-margin_constant)"
    assert lines[4] == f"| [1.3](report/problem-1.qmd#problem-1-3) | $c'=c$ | attained | {function} | {mark} | 0.988 |"
    assert [line.split("|")[6].strip() for line in lines[2:]].count("—") == 2
