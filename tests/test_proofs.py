"""The theorems that Rocq checks: their labels are the book's, and their constants those of `bounds`."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from implicit_bias import bounds, proofs

ROOT = Path(__file__).parents[1]
BOOK = "\n".join(file.read_text("utf-8") for file in sorted(ROOT.glob("report/*.qmd")))
CHECKED = proofs.checked()


def test_every_checked_theorem_is_a_statement_of_the_book():
    assert len(CHECKED) >= 30
    assert [label for label in CHECKED if f"{{#{label}}}" not in BOOK] == []


def test_every_theorem_with_a_label_is_found_whole():
    """By another way than `proofs.checked`: each line of code that begins one, and what it ends with."""
    begun = [
        match[1].replace("_", "-")
        for file in sorted(proofs.FOLDER.glob("*.v"))
        for line in file.read_text("utf-8").splitlines()
        if (match := re.match(r"(?:Theorem|Lemma|Proposition|Corollary) ((?:thm|lem|prp|cor|eq)_\w+)\b", line))
    ]
    assert begun == list(CHECKED)
    assert all(theorem.text.endswith(".") and "Proof" not in theorem.text for theorem in CHECKED.values())


def test_place_and_difference_are_those_of_the_file(tmp_path):
    (tmp_path / "A.v").write_text(
        "(* nothing *)\n(** Differs from the page: only\n    here. *)\n"
        "Theorem thm_a x :\n  x = x.\nProof. by []. Qed.\n"
        "Lemma lem_b_c : 1 = 1. Proof. by []. Qed.\n"
        "Lemma other : 1 = 1.\nProof. by []. Qed.\n"
    )
    a, b = proofs.checked(tmp_path).values()
    assert a == ("thm-a", "A.v", 4, "Theorem thm_a x :\n  x = x.", "only here.")
    assert b == ("lem-b-c", "A.v", 7, "Lemma lem_b_c : 1 = 1.", "")


@pytest.mark.parametrize("code", ["Lemma a : 1 < 2 & 3. (* x *)", "∑_(i < n) ⟨u, v⟩"])
def test_highlighting_keeps_the_text(code):
    plain = re.sub(r"<[^>]*>", "", proofs.highlighted(code))
    assert plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == code


# The constants, evaluated from the text of the statements

FUNCTIONS = {
    "sqrt": math.sqrt,
    "ln": math.log,
    "exp": math.exp,
    "Rmin": lambda a: lambda b: min(a, b),
    "logplus": lambda a: max(0.0, math.log(a)),
}


def evaluate(text: str, **values: float) -> float:
    """Evaluate a formula in Rocq's syntax: ``f x y`` is an application, and ``/ x`` is one over x."""
    tokens = re.findall(r"[A-Za-z_][\w']*|[\d.]+|[-+*/^()]", text)
    known = FUNCTIONS | values

    def many(one, signs, combine):
        value = one()
        while tokens and tokens[0] in signs:
            value = combine[tokens.pop(0)](value, one())
        return value

    def total():
        return many(product, "+-", {"+": lambda a, b: a + b, "-": lambda a, b: a - b})

    def product():
        return many(signed, "*/", {"*": lambda a, b: a * b, "/": lambda a, b: a / b})

    def signed():
        if tokens[0] in "/-":
            return 1 / signed() if tokens.pop(0) == "/" else -signed()
        return many(applied, "^", {"^": lambda a, b: a**b})

    def applied():
        value = atom()
        while callable(value):
            value = value(atom())
        return value

    def atom():
        token = tokens.pop(0)
        if token == "(":
            value = total()
            assert tokens.pop(0) == ")"
            return value
        return float(token) if token[0].isdigit() else known[token]

    value = total()
    assert not tokens
    return value


def formula(label: str, before: str, after: str) -> str:
    """Return what stands between two pieces of a statement, of which the first occurs once."""
    _, tail = CHECKED[label].text.split(before)
    return tail.split(after)[0]


POSITIVE, RATIO = st.floats(0.01, 10), st.floats(0.01, 0.99)


@given(alpha=POSITIVE, c=RATIO, eps=RATIO, norm=POSITIVE)
def test_counts_of_steps_are_those_of_the_statements(alpha, c, eps, norm):
    for label, after, count in (
        ("thm-small-gradient", " ->", bounds.steps_homework),
        ("thm-fast-rate", " ->", bounds.steps_fast_rate),
        ("prp-loss-free-of-n", " ->", bounds.steps_to_loss_free_of_n),
    ):
        needed = evaluate(formula(label, "T >= ", after), alpha=alpha, c=c, eps=eps, F=lambda t: norm)
        assert count(eps, alpha, c, norm) == pytest.approx(needed, rel=1e-9, abs=1)
    text = "(1 / eps" + formula("prp-lower-bound", "t < (1 / eps", " ->")
    most = evaluate(text, alpha=alpha, c=c, eps=eps)
    assert bounds.steps_lower_bound(eps, alpha, c) == pytest.approx(most, rel=1e-9)


@given(c=RATIO, kinks=RATIO, step=RATIO, steps=st.integers(1, 100))
def test_bounds_on_the_last_loss_are_those_of_the_statements(c, kinks, step, steps):
    for label, chi in (("prp-mild-kinks", kinks * c), ("prp-last-iterate", 0.0)):
        alpha = 8 * step * (1 - chi / c)
        text = formula(label, "Lhat (W t) <= ", ".")
        value = evaluate(text, alpha=alpha, chi=chi, c=c, s=3.0, t=3.0 + steps)
        assert bounds.last_iterate_loss(steps, alpha, c, chi) == pytest.approx(value, rel=1e-9)


@given(alpha=POSITIVE, c=st.floats(0.01, 0.3), n0=st.integers(6, 1000))
def test_counts_where_the_logarithms_are_needed_are_those_of_the_statement(alpha, c, n0):
    h = evaluate(formula("prp-log-needed", "(h := ", ") :"), n0=n0)
    texts = CHECKED["prp-log-needed"].text.split("t < ")[1:]
    counts = [evaluate(text.split(" ->")[0], alpha=alpha, c=c, n0=n0, h=h) for text in texts]
    assert [bounds.steps_log_needed(n0, alpha, c), bounds.steps_log_squared_needed(n0, alpha, c)] == pytest.approx(
        counts, rel=1e-9
    )


@given(p=st.floats(3, 100), R=st.floats(1, 10), n=st.integers(1, 50), m=st.integers(1, 50), alpha=POSITIVE)
def test_constants_of_problems_2_and_3_are_those_of_the_statements(p, R, n, m, alpha):
    text = formula("lem-dual-weights", "- 1) <= ", ".")
    assert bounds.dual_weight_deviation(p, R) == pytest.approx(evaluate(text, p=p, ratio=R), rel=1e-12)
    general, simple = CHECKED["thm-near-uniform"].text.split("s i / s j <= ")[1:]
    value = evaluate(general.split(" /\\")[0][:-1], p=p, ratio=R)
    assert bounds.weight_ratio(p, R) == pytest.approx(value, rel=1e-12)
    assert bounds.weight_ratio_simple(p, R) == pytest.approx(evaluate(simple[:-2], p=p, ratio=R), rel=1e-12)
    values = {"m": m, "d": 2 * m, "n": n, "R_max": 3 * R, "R_min": 3.0, "alpha_min": alpha}
    sigma = evaluate(formula("thm-one-step", "sigma_max := ", ") :"), **values)
    assert bounds.one_step_sigma(m, 2 * m, n, 3.0, 3 * R, alpha) == pytest.approx(sigma, rel=1e-12)
    assert formula("thm-one-step", "W 1) <= ", ".") == f"{bounds.ONE_STEP_CONSTANT:.0f}"


@given(theta=st.floats(0, 0.99), gamma=RATIO, rank=st.floats(1, 50), eta=RATIO)
def test_bounds_on_the_stable_rank_are_those_of_the_statements(theta, gamma, rank, eta):
    value = evaluate(formula("thm-trajectory", "Gamma := ", ") :"), theta=theta, gamma=gamma)
    assert bounds.trajectory_rank_bound(theta, gamma) == pytest.approx(value, rel=1e-12)
    value = evaluate(formula("thm-gradient-rank", "SR (grad_L W) <= ", " <="), theta=theta, kappa_max=rank)
    assert bounds.gradient_rank_bound(theta, rank) == pytest.approx(value, rel=1e-12)
    text = formula("lem-perturbation", "SR (madd W D) <= ", " <=").replace("SR D", "rank")
    assert bounds.one_step_rank_bound(rank, eta) == pytest.approx(evaluate(text, rank=rank, eta=eta), rel=1e-12)
    text = formula("lem-spread", "  spread u <= ", " /\\")
    assert bounds.spread_bound(gamma) == pytest.approx(evaluate(text, gamma=gamma), rel=1e-12)
