"""The page of the functions: it has all that is public, and statements and functions point to each other."""

import json
import re
import runpy
from pathlib import Path

import pytest
from implicit_bias import api
from implicit_bias.summary import ANSWERS

ROOT = Path(__file__).resolve().parents[1]
LABELS = set(re.findall(r"^::: \{#([\w-]+)", "".join(path.read_text() for path in ROOT.glob("report/*.qmd")), re.M))


@pytest.fixture(scope="module")
def page() -> str:
    return api.page()


def test_each_anchor_stands_once_and_each_link_has_its_anchor(page):
    anchors = re.findall(r"\{#([\w-]+)", page)
    assert len(anchors) == len(set(anchors)) > 200
    links = re.findall(r"\(#([\w-]+)\)", page)
    links += [anchor for foot in api.feet()["pages"].values() for anchor in re.findall(r"\(api\.qmd#([\w-]+)\)", foot)]
    assert links and set(links) <= set(anchors)
    assert {api.anchor(row.code) for row in ANSWERS} <= set(anchors)


def test_docstrings_name_statements_of_the_book(page):
    assert set(re.findall(r"(?<!`)@([\w-]+)", re.sub(r"```.*?```", "", page, flags=re.S))) <= LABELS
    assert {row.search for row in ANSWERS} - {"-"} <= set(api.feet()["pages"]) <= LABELS


def test_the_foot_names_who_computes_and_who_searches():
    foot = re.sub(r"\(.*?\)", "", api.feet()["pages"]["thm-fast-rate"].split("\n")[0])
    assert foot == (
        "[Computed by [`bounds.steps_fast_rate`], [`bounds.fast_rate`].]{.foot} "
        "[Searched for a counterexample by [`searches.problem_1.fast_rate`].]{.foot} "
    )


def test_definitions_show_shapes_and_fields_and_their_source_has_no_docstring():
    seen, whole = api.source(api.ENTRIES["orthogonality.scaled"])
    assert seen == 'def scaled(X: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:'
    assert whole.splitlines()[1:] == ["    return np.asarray(np.ldexp(X, -np.frexp(np.abs(X).max())[1]))"]
    seen, whole = api.source(api.ENTRIES["network.Trajectory"])
    assert seen.startswith('@dataclass(frozen=True)\nclass Trajectory:\n    alpha: Float64[np.ndarray, "T"]')
    assert "rank_of_change" in seen and "property" not in seen and "def steps" in whole and '"""Number' in whole
    assert api.source(api.ENTRIES["searches.ROUNDING"])[0] == "ROUNDING = 1e-9"


def test_the_script_writes_the_feet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "code/implicit_bias/api.py"), run_name="__main__")
    assert json.loads((tmp_path / api.FEET).read_text()) == api.feet()
