"""The front table points to theorems, functions and tests that exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from implicit_bias import searches as slack
from implicit_bias.summary import RESULTS, quotient, summary_table

ROOT = Path(__file__).resolve().parents[1]
SOURCES = "\n".join(path.read_text() for path in sorted((ROOT / "report").glob("*.qmd")))


@pytest.mark.parametrize("row", RESULTS, ids=lambda row: row.label)
def test_row_points_to_what_exists(row):
    assert f"{{#{row.label}}}" in SOURCES
    module, function = row.code.split(".")
    assert callable(getattr(importlib.import_module(f"implicit_bias.{module}"), function))
    file, test = row.test.split("::")
    assert re.search(rf"^def {test}\(", (ROOT / "tests" / f"{file}.py").read_text(), re.MULTILINE)
    if row.search is not None:
        assert row.search.startswith("slack_" + row.label.replace("-", "_"))


def test_every_part_of_the_homework_with_a_bound_is_there():
    assert {row.part for row in RESULTS} == {
        "1.1",
        "1.2",
        "1.3",
        "1.4",
        "1.5",
        "1.6",
        "2.1",
        "2.2",
        "2.4",
        "3.1",
        "3.2",
        "3.3",
    }


def test_no_search_refutes_a_theorem():
    for row in RESULTS:
        found = quotient(row)
        assert found is None or 0 < found <= 1 + slack.ROUNDING, row.label


def test_table_has_a_row_for_each_result(monkeypatch):
    monkeypatch.setattr("implicit_bias.summary.quotient", lambda row: 0.5)
    lines = summary_table().splitlines()
    assert len(lines) == len(RESULTS) + 2
    assert all(line.count("|") == 6 for line in lines)
