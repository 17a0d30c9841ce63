"""The front table points to theorems, functions and tests that exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from implicit_bias import searches
from implicit_bias.summary import RESULTS, summary_table

ROOT = Path(__file__).resolve().parents[1]
PARTS = {"1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "2.1", "2.2", "2.4", "3.1", "3.2", "3.3"}


@pytest.mark.parametrize("row", RESULTS, ids=lambda row: row.label)
def test_row_points_to_what_exists(row):
    assert any(f"{{#{row.label}}}" in path.read_text() for path in (ROOT / "report").glob("*.qmd"))
    module, function = row.code.split(".")
    assert callable(getattr(importlib.import_module(f"implicit_bias.{module}"), function))
    file, test = row.test.split("::")
    assert re.search(rf"^def {test}\(", (ROOT / "tests" / f"{file}.py").read_text(), re.MULTILINE)
    assert row.search in searches.SEARCHES or row.label == "thm-small-scale"


def test_every_part_of_the_homework_with_a_bound_is_there():
    assert {row.part for row in RESULTS} == PARTS


def test_table_has_a_row_for_each_result(monkeypatch):
    monkeypatch.setattr(searches, "quotient", lambda label: 0.98765)
    lines = summary_table().splitlines()
    assert len(lines) == len(RESULTS) + 2
    assert all(line.count("|") == 6 for line in lines)
    assert [line.split("|")[5].strip() for line in lines[2:]] == ["0.988"] * (len(RESULTS) - 1) + ["—"]
    assert lines[2].endswith(
        "| Thm. [-@thm-smoothness] | `smoothness_constant`; loss is not smooth for two neurons even on antipodal data "
        "| 0.988 |"
    )
