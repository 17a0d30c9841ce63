"""The prose, with each formula, number and reference as one word: its style, and the length of its sentences."""

import json
import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "index.qmd", *sorted(ROOT.glob("report/[!_]*.qmd"))]
WORD = r"^\$\$.*?^\$\$.*?$|`\{python\}[^`]*`|\$[^$]+\$|@[\w-]+|\[@[^\]]*\]|`[^`]+`"  # what a reader sees as one word
BREAK = r"^```.*?^```$|^:::.*?$|^#+ .*?$|^\|.*?$|^: .*?$|^- |\((?:[a-z]|\d)\) "  # code, blocks, headings, tables, items


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a chapter or page."""
    names = ("X" + "".join(letters) for letters in product("abcdefghij", repeat=3))  # words, and no two the same
    text = re.sub(BREAK, "\n\n", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(WORD, lambda _: next(names), text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)|[*]", r"\1", text)  # links and emphasis
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def sentences(text: str) -> list[str]:
    """Return the sentences of a chapter or page."""
    return [s for part in paragraphs(text) for s in re.split(r"(?<=[.?!:])[)\s]+(?=[A-Z(])", part)]


def test_sentences_are_found():
    text = "One $a.\nB$ two, `x. Y` @thm-a. **Then**\n$$\nc\n$$ {#eq-c}\nends [here](there.html). (So.)\n\n"
    text += "```\ncode. Code\n```\n- Item"
    assert sentences(text) == ["One Xaaa two, Xaab Xaac.", "Then\nXaad\nends here.", "(So.)", "Item"]


@pytest.mark.parametrize("chapter", ["problem-1", "problem-2", "problem-3"])
def test_no_sentence_of_the_first_part_is_longer_than_forty_words(chapter):
    found = sentences((ROOT / f"report/{chapter}.qmd").read_text("utf-8"))
    assert [s for s in found if len(s.split()) > 40] == []


def test_style(tmp_path):
    """What proselint says, but for typewriter's quotes, which both builders turn into the reader's."""
    (tmp_path / "settings.json").write_text(json.dumps({"checks": {"typography": False}}))
    for file in TEXTS:
        (tmp_path / file.name).write_text("\n\n".join(paragraphs(file.read_text("utf-8"))), "utf-8")
    command = [sys.executable, "-m", "proselint", "check", "--config", "settings.json", *(file.name for file in TEXTS)]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
