"""Typeset formulas as MathML, which browsers show by themselves: no script, no waiting, and screen readers read it.

Pandoc's MathML is mended where browsers take it otherwise than TeX does, and cut into pieces, between which a formula
that is wider than its column may break (`report/styles.css`).
"""

import json
import re
import subprocess
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pypandoc  # type: ignore[import-untyped] # it has no types

SCRIPTS = {"msub", "msup", "msubsup", "munder", "mover", "munderover"}
SIGNS = set("=<>≤≥≠≈∼≡→⇔↦∈∉+−±⋅×") | {":="}
THIN = "0.167em"


def typeset(formulas: list[tuple[str, bool]]) -> list[str]:
    """Return the MathML of formulas in TeX, each with whether it is a display; one Pandoc cannot read is an error."""
    kinds = ({"t": "DisplayMath" if display else "InlineMath"} for _, display in formulas)
    blocks = [
        {"t": "Plain", "c": [{"t": "Math", "c": [kind, tex]}]} for kind, (tex, _) in zip(kinds, formulas, strict=True)
    ]
    command = [
        pypandoc.get_pandoc_path(),
        "--from=json",
        "--to=html",
        "--mathml",
        "--wrap=preserve",
        "--fail-if-warnings",
    ]
    document = json.dumps({"pandoc-api-version": [1, 23], "meta": {}, "blocks": blocks})
    html = subprocess.run(command, input=document, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [_mended(xml) for xml in re.findall("<math.*?</math>", html.replace(" xmlns=", " ns="), re.S)]


def _mended(xml: str) -> str:
    math = ElementTree.fromstring(xml)
    body = math[0][0]  # its sibling is the TeX
    _space_operators(body, [])
    for element in body.iter():
        _join_brackets(element)
        if element.tag == "mover":
            element.set("accent", "true")
        if element.text == "‖" and "minsize" not in element.attrib:
            element.set("stretchy", "false")  # the height of TeX's norms
        if element.text == "\u0303":
            element.attrib, element.text = {"stretchy": "false"}, "˜"  # fonts place this tilde well
    outer = Element("math", {"display": math.attrib["display"]})
    outer.extend(_pieces(list(body) if body.tag == "mrow" else [body]))
    last = outer[-1][-1]
    if len(outer[-1]) > 1 and last[-1].text in SIGNS:  # the right side is text, after a space
        last[-1].set("rspace", "0")
        ElementTree.SubElement(last, "mi")  # beside which the sign has its space
    return ElementTree.tostring(outer, encoding="unicode")


def _space_operators(parent: Element, around: list[Element | None]) -> None:
    """Give sums and named operators TeX's spaces; ``around`` are the neighbours of a base with scripts."""
    for i, child in enumerate(parent):
        base = parent.tag in SCRIPTS and i == 0
        before, after = around if base and around else (parent[i - 1] if i else None, [*parent[i + 1 :], None][0])
        if parent.tag in SCRIPTS and i:
            before = after = None
        named = child[0] if len(child) == 2 and child[1].text == "\u2061" else child
        if named is not child or (base and child.tag == "mi" and len(child.text or "") > 1):
            name = re.sub("^lim(?=inf|sup)", "lim\u2009", named.text or "")
            child.attrib.pop("mathvariant", None)
            child.tag, child.text = "mo", name
            child[:] = []
        elif child.text not in set("∑∏∫"):
            _space_operators(child, [before, after])
            continue
        left = before is not None and (before.tag != "mo" or before.get("form") == "postfix")
        right = after is not None and after.get("form") != "prefix"
        child.attrib |= {"lspace": THIN if left else "0", "rspace": THIN if right else "0"}


def _join_brackets(row: Element) -> None:
    """Put the scripts of a large closing bracket on all that it closes: on the bracket alone, it would stay small."""
    opening = []
    for child in list(row):
        bracket = child[0] if child.tag in SCRIPTS else child
        if bracket.get("minsize") and bracket.get("form") == "prefix":
            opening.append(child)
        elif bracket.get("minsize") and bracket.get("form") == "postfix" and opening:
            inside = list(row)[list(row).index(opening.pop()) : list(row).index(child)]
            if bracket is not child:
                child[0] = Element("mrow")
                child[0].extend([*inside, bracket])
                for one in inside:
                    row.remove(one)


def _pieces(row: list[Element]) -> list[Element]:
    """Return a row's phrases, between wide spaces, made of groups; a sign outside all brackets begins a group."""
    out = [_phrase()]
    depth = 0
    for element in row:
        wide = element.tag == "mspace" and float(element.attrib["width"].removesuffix("em")) >= 1
        if depth == 0 and wide:
            out += [element, _phrase()]
            continue
        group = out[-1][-1]
        sign = element.tag == "mo" and element.text in SIGNS
        if depth == 0 and len(group) and (sign or group[-1].tag == "mtext"):
            group = ElementTree.SubElement(out[-1], "mrow")
        if sign:
            element.set("form", "infix")  # also where it begins a group
        group.append(element)
        forms = [it.get("form") for it in element.iter("mo")]
        depth += forms.count("prefix") - forms.count("postfix")
    return out


def _phrase() -> Element:
    phrase = Element("mrow")
    ElementTree.SubElement(phrase, "mrow")
    return phrase
