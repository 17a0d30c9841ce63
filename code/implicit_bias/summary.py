"""The table at the front of the book: the answers, their sharper forms, and how close these get to equality."""

from __future__ import annotations

from typing import NamedTuple

from . import searches


class Answer(NamedTuple):
    """One row: a part of the homework, its answer in Markdown, and what is sharper.

    ``sharper`` is the label of the sharper statement, empty if there is none; ``code``, as ``module.function``, has
    its constant; ``search`` is the label of the search that tries to violate it, empty if there is none.
    """

    part: str
    answer: str
    sharper: str
    code: str
    search: str

    @property
    def place(self) -> str:
        """Where the answer stands, from the book's root."""
        problem, part = self.part.split(".")
        return f"report/problem-{problem}.qmd#problem-{problem}-{part}"


ANSWERS = (
    Answer(
        "1.1",
        r"$n$ copies of one unit vector, all rows of $W^\pm$ equal to $\pm\delta x^\top$",
        "thm-smoothness",
        "bounds.smoothness_constant",
        "thm-smoothness",
    ),
    Answer(
        "1.2",
        r"rows $a_jv^\top/\lVert v\rVert$, and $c=\gamma/\lVert v\rVert$",
        "thm-optimal-direction",
        "bounds.margin_constant",
        "thm-optimal-direction",
    ),
    Answer("1.3", "$c'=c$", "", "bounds.margin_constant", "thm-progress"),
    Answer(
        "1.4",
        r"$z\,g(z)<1$ in the square of the step",
        "thm-sharp-norm-growth",
        "bounds.norm_growth_sharp",
        "thm-sharp-norm-growth",
    ),
    Answer(
        "1.5",
        r"$T\ge\frac{2+\alpha}{\alpha c^2\varepsilon^2}+\frac{2F_0}{\alpha c\varepsilon}$",
        "thm-fast-rate",
        "bounds.steps_fast_rate",
        "thm-fast-rate",
    ),
    Answer(
        "1.6",
        r"no condition on $\alpha$: $\widehat G\le\min\{\frac\varepsilon{2\log2},\frac1{2n}\}$ is enough",
        "prp-loss-free-of-n",
        "bounds.steps_to_loss_free_of_n",
        "prp-loss-free-of-n",
    ),
    Answer(
        "2.1",
        r"$d\ge2(pn+\frac{19}4)^2\log(2n^2/\delta)$",
        "cor-gaussian-threshold",
        "bounds.gaussian_dimension",
        "thm-gaussian-orthogonal",
    ),
    Answer(
        "2.2",
        r"equal if $pR^2>2$: all dual weights are positive",
        "thm-exact-threshold",
        "bounds.equality_threshold",
        "thm-exact-threshold",
    ),
    Answer("2.3", "$(1,0)$ and $(2,1)$, both labelled $1$", "prp-sharp-family", "orthogonality.sharp_family", ""),
    Answer(
        "2.4", r"$s_i/s_j\le R^2(1+\frac2{pR^2-2})$", "thm-exact-ratio", "bounds.weight_ratio_exact", "thm-exact-ratio"
    ),
    Answer("3.1", r"at least $\min(m,d)/18$", "prp-initial-rank-fine", "bounds.initial_rank_floor", "thm-initial-rank"),
    Answer(
        "3.2",
        r"at most $9$ for all $\alpha\ge\underline\alpha$, $\sigma\le\bar\sigma(\underline\alpha)$",
        "thm-trajectory",
        "bounds.trajectory_rank_bound",
        "thm-trajectory",
    ),
    Answer("3.3", r"$\alpha=0.5$, $T=420$; the plot above", "thm-small-scale", "small_scale.small_scale_limit", ""),
)


def summary_table() -> str:
    """Return the table in Markdown."""
    lines = ["| part | answer | sharper | computed by | equality |", "|:--|:----------------------|:---|:--------|--:|"]
    for row in ANSWERS:
        sharper, function = f"@{row.sharper}" if row.sharper else "attained", row.code.split(".")[1]
        close = f"{searches.quotient(row.search):.3f}" if row.search else "—"
        lines.append(f"| [{row.part}]({row.place}) | {row.answer} | {sharper} | `{function}` | {close} |")
    return "\n".join(lines)
