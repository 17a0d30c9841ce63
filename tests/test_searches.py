"""No search refutes a theorem, sharp theorems are nearly attained, and a search runs once for one state of the code."""

import math
import re
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
from implicit_bias import searches
from implicit_bias.searches import cache, registry

ROOT = Path(__file__).resolve().parents[1]

FLOORS = {
    "thm-fast-rate": 0.9,
    "prp-lower-bound": 0.95,
    "prp-last-iterate": 0.3,
    "prp-mild-kinks": 0.3,
    "prp-log-needed": 0.35,
    "thm-gaussian-sharp": 0.7,
    "thm-initial-rank": 0.1,
    "cor-gradient-rank-gaussian": 0.2,
    "thm-one-step-fine": 0.6,
    "thm-one-step": 0.2,
    "cor-trajectory": 0.5,
}
"""What a search must come to where its theorem is not sharp, or attained only far out, to show that it climbs."""

SHARP = 0.996
"""What all the others must come to."""


@pytest.mark.slow
@pytest.mark.parametrize("label", searches.SEARCHES)
def test_no_search_refutes_a_theorem(label, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # hundreds of thousands of calls with small arrays
    assert FLOORS.get(label, SHARP) <= searches.quotient(label) <= 1 + searches.ROUNDING


def test_every_search_is_for_a_theorem_of_the_book():
    chapters = "".join(path.read_text() for path in (ROOT / "report").glob("*.qmd"))
    for label in searches.SEARCHES:
        assert re.search(rf"\{{#{label.partition(':')[0]}[ }}]", chapters), label


@pytest.mark.parametrize("start", [math.nan, -math.inf, 0.5])
def test_a_search_climbs_to_a_violation(start):
    """From where the objective has no value, or a low one, to a maximum of 1.01, which would refute a theorem."""

    def objective(p):
        distance = float(np.linalg.norm(p - 5))
        return start if distance > 6 else 1.01 - 1e-3 * distance**2

    found = registry.Search(lambda rng: (objective, 2), starts=5, rounds=300).largest(np.random.default_rng(0))
    assert 1.009 < found <= 1.01


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
def test_a_search_without_a_value_finds_nothing(value):
    assert registry.Search(lambda rng: value, starts=3, rounds=0).largest(np.random.default_rng(0)) == 0


def test_labels_are_checked():
    with pytest.raises(ValueError, match="label = thm-none: no such search"):
        searches.quotient("thm-none")
    with pytest.raises(ValueError, match="label = thm-loss: this search is there already"):
        registry.search("thm-loss")


# --- the files of what they found ---------------------------------------------------------------


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    """The file of what is kept for ``thm-a:b``."""
    monkeypatch.setattr(cache, "FOLDER", tmp_path / ".cache" / "searches")
    return cache.FOLDER / "thm-a-b"


def fail() -> float:
    raise AssertionError("this search has run before")


def test_a_search_runs_once_for_one_state_of_the_code(file, monkeypatch):
    assert cache.kept("thm-a:b", lambda: 1 / 3) == cache.kept("thm-a:b", fail) == 1 / 3
    assert cache.kept("thm-a", lambda: 0.5) == cache.kept("thm-a", fail) == 0.5
    monkeypatch.setattr(cache, "KEY", "another")
    assert cache.kept("thm-a:b", lambda: 0.75) == cache.kept("thm-a:b", fail) == 0.75
    assert file.read_text() == "0.75 another\n"


@pytest.mark.parametrize("content", [b"", b"0.2", b"0.25 KE", b"\xff", b"KEY", b"0.25 KEY KEY", b"x KEY"])
def test_a_damaged_or_unfinished_file_is_not_used(file, content):
    file.parent.mkdir(parents=True)
    file.write_bytes(content.replace(b"KEY", cache.KEY.encode()))
    assert cache.kept("thm-a:b", lambda: 0.5) == cache.kept("thm-a:b", fail) == 0.5


def test_a_file_that_cannot_be_written_does_no_harm(file, capsys):
    file.mkdir(parents=True)
    assert cache.kept("thm-a:b", lambda: 0.5) == 0.5
    assert f"{file} cannot be written" in capsys.readouterr().err


def test_the_key_depends_on_the_sources_of_a_quotient_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "PACKAGE", tmp_path)
    keys = []
    for name in ("a.py", "a.py", "searches/b.py", "figures/c.py", "mnist/d.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"version {len(keys)}")
        keys.append(cache._key())
    assert len(set(keys[:3])) == 3 and keys[2] == keys[3] == keys[4]
    monkeypatch.setattr(np, "__version__", "another")
    assert cache._key() != keys[4]
