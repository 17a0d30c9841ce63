"""The book's page of the public functions, made from their docstrings, and what stands at the foot of each statement.

Run as a script, it writes what stands at the foot of each statement to ``FEET``, for ``report/statements.lua``.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

from implicit_bias import proofs

FEET = Path(".cache/feet.json")
"""For the pages and for paper, by the label of a statement: what stands at its foot, in Markdown."""

PAGE = "report/api.qmd"
LABEL = re.compile(r"(?:thm|lem|prp|cor|def)-[\w-]+")
NAMED = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")  # in single backticks stand labels and names
MAKE_THE_BOOK = {"api", "figures", "proofs", "summary"}  # and are not on its page

Thing = Any
"""What Griffe found: a module, class, function or constant. Fields that are optional in its types are always there."""

PACKAGE: Thing = griffe.load("implicit_bias", search_paths=[Path(__file__).parents[1]], resolve_aliases=True)


def modules(package: Thing = PACKAGE) -> Iterator[Thing]:
    """Yield the modules with public entries, those of the package before those of its folders."""
    inside = [member for _, member in sorted(package.members.items()) if not member.is_alias and member.is_module]
    inside = [module for module in inside if module.name not in MAKE_THE_BOOK]
    yield from filter(entries, inside)
    for module in inside:
        yield from modules(module)


def entries(of: Thing) -> list[Thing]:
    """Return what is public and documented of what a module or a class defines."""
    found = (member for member in of.members.values() if not member.is_alias and not member.is_module)
    return [member for member in found if member.is_public and member.docstring]


def name(of: Thing) -> str:
    """Return the name to import: ``bounds.kappa`` for what ``bounds`` gathers from its file ``convergence``."""
    path: str = min([of.path, *of.aliases], key=lambda path: path.count("."))
    return path.removeprefix(f"{PACKAGE.name}.")


ENTRIES = {name(entry): entry for module in modules() for entry in entries(module)}
SHAPES = {
    attribute.name: str(attribute.value).replace("'", '"')
    for module in modules()
    for attribute in module.attributes.values()
    if str(attribute.value).startswith("Float64[")
}


def anchor(known: str) -> str:
    """Return where on its page a name is explained."""
    return "api-" + known.replace(".", "-")


def named(entry: Thing) -> list[str]:
    """Return the labels of the statements that a docstring names."""
    return list(dict.fromkeys(filter(LABEL.fullmatch, NAMED.findall(entry.docstring.value))))


def searched(entry: Thing) -> list[str]:
    """Return the labels of the statements that a search tries to violate."""
    calls = [str(decorator.value) for decorator in getattr(entry, "decorators", [])]
    return [found[1] for call in calls if (found := re.match(r"search\(.([\w-]+)", call))]


def text(of: Thing) -> str:
    """Return a docstring in Markdown: labels and names become links, and examples blocks of code."""
    scopes, known = name(of).split("."), {*ENTRIES, *map(name, modules())}

    def linked(found: re.Match[str]) -> str:
        if LABEL.fullmatch(found[1]):
            return f"@{found[1]}"
        possible = (".".join([*scopes[:upto], found[1]]) for upto in range(len(scopes), -1, -1))
        return next((f"[{found[0]}](#{anchor(one)})" for one in possible if one in known), found[0])

    return "\n\n".join(
        f"```python\n{paragraph}\n```" if paragraph.startswith(">>>") else NAMED.sub(linked, paragraph)
        for paragraph in re.sub(":math:`(.*?)`", r"$\1$", of.docstring.value, flags=re.S).split("\n\n")
    )


def source(entry: Thing) -> tuple[str, str]:
    """Return a definition without its docstring: what a user sees of it, with the shapes of arrays, and all of it.

    A user sees the head of a function, the head and the fields of a class, and all of a constant.
    """
    start, end = entry.docstring.lineno - entry.lineno, entry.docstring.endlineno + 1 - entry.lineno
    head, body = entry.lines[:start], entry.lines[end:]
    methods = (member for member in entry.members.values() if member.is_function or "property" in member.labels)
    below = [method.lineno for method in methods if method.lineno > entry.lineno + start]  # a dataclass has some above
    fields = body[: min([*below, entry.endlineno + 1]) - entry.lineno - end] if entry.is_class else []
    lines = [line for line in [*head, *fields] if line and not line.startswith("    @")]  # what decorates a method
    seen = re.sub(r"\w+", lambda word: SHAPES.get(word[0], word[0]), "\n".join(lines))
    return seen, "\n".join([*head, *body]).strip()


def section(module: Thing) -> Iterator[str]:
    """Yield the blocks of a module's section, in Markdown."""
    yield f"## `{name(module)}` {{#{anchor(name(module))}}}\n\n{text(module)}"
    for entry in entries(module):
        seen, whole = source(entry)
        yield f"### `{entry.name}` {{#{anchor(name(entry))} .unnumbered .unlisted}}"
        yield f"```python\n{seen}\n```\n\n{text(entry)}"
        yield from (f"**`{member.name}`.** {text(member)}" for member in entries(entry))
        if not entry.is_attribute:
            yield f"<details><summary>Source</summary>\n\n```python\n{whole}\n```\n\n</details>"


def page() -> str:
    """Return the page in Markdown: what serves a statement, and then, on the screen alone, a section a module."""
    index = []
    for module in modules():
        serve = {entry: ", ".join(f"@{label}" for label in named(entry)) for entry in entries(module)}
        found = [f"[`{one.name}`](#{anchor(name(one))}) ({labels})" for one, labels in serve.items() if labels]
        if found:
            index.append(f"- `{name(module)}`: {', '.join(found)}")
    sections = (block for module in modules() for block in section(module))
    return "\n\n".join(["::: {.ragged}\n" + "\n".join(index) + "\n:::", "::: {.html-only}", *sections, ":::"])


def feet() -> dict[str, dict[str, str]]:
    """Return what is in `FEET`: who computes it, who searches for a counterexample, and what Rocq has checked."""
    served: dict[tuple[str, str], list[str]] = {}
    for known, entry in ENTRIES.items():
        for words, labels in ("Computed by", named(entry)), ("Searched for a counterexample by", searched(entry)):
            for label in labels:
                served.setdefault((label, words), []).append(f"[`{known}`]({Path(PAGE).name}#{anchor(known)})")
    found: dict[str, str] = {}
    for (label, words), links in served.items():
        found[label] = found.get(label, "") + f"[{words} {', '.join(links)}.]{{.foot}} "
    checked = {label: theorem for label, theorem in proofs.checked().items() if LABEL.fullmatch(label)}
    pages = {label: f"{found.get(label, '')}\n\n{proofs.foot(checked[label])}" for label in checked}
    return {"pages": found | pages, "paper": {label: theorem.mark for label, theorem in checked.items()}}


if __name__ == "__main__":
    FEET.parent.mkdir(exist_ok=True)
    FEET.write_text(json.dumps(feet(), indent=1, ensure_ascii=False), encoding="utf-8")
