"""The table at the front of the book: the answers, their sharper forms, and how close these get to equality."""

from typing import NamedTuple

from . import api, proofs, searches


class Answer(NamedTuple):
    """One row: a part of the homework, and its answer in Markdown.

    ``label`` is that of the answer, ``sharper`` that of the sharper statement or of a chapter; ``code``, as
    ``module.function``, computes its constant; ``search`` is the label of the search that tries to violate it. A dash
    stands for none.
    """

    part: str
    label: str
    sharper: str
    code: str
    search: str
    answer: str

    @property
    def place(self) -> str:
        """Where the answer stands, from the book's root."""
        problem, part = self.part.split(".")
        return f"report/problem-{problem}.qmd#problem-{problem}-{part}"


_ROWS = r"""
1.1 thm-not-smooth thm-smoothness bounds.smoothness_constant thm-smoothness $n$ copies of one unit vector, rows $\pm\delta x^\top$
1.2 thm-margin-direction thm-optimal-direction bounds.margin_constant thm-optimal-direction $V=av^\top/\norm v$, $c=\gamma/\norm v$
1.3 thm-progress - bounds.margin_constant thm-progress $c'=c$
1.4 thm-norm-growth thm-sharp-norm-growth bounds.norm_growth_sharp thm-sharp-norm-growth $z\,g(z)<1$ in the square of the step
1.5 thm-small-gradient thm-fast-rate bounds.steps_fast_rate thm-fast-rate $T\ge\frac{2+\alpha}{\alpha c^2\varepsilon^2}+\frac{2F_0}{\alpha c\varepsilon}$
1.6 thm-small-loss prp-loss-free-of-n bounds.steps_to_loss_free_of_n prp-loss-free-of-n $\Ghat\le\min\{\frac\varepsilon{2\log2},\frac1{2n}\}$ is enough; no condition on $\alpha$
2.1 thm-gaussian-orthogonal thm-gaussian-sharp bounds.gaussian_dimension_sharp thm-gaussian-sharp $d\ge4(pn+\frac{13}4)^2\log(2n^2/\delta)$
2.2 thm-equal-solutions thm-exact-threshold bounds.equality_threshold thm-exact-threshold equal if $pR^2>2$: all dual weights are positive
2.3 thm-plane prp-sharp-family orthogonality.sharp_family - $(1,0)$ and $(2,1)$, both labelled $1$
2.4 thm-near-uniform thm-exact-ratio bounds.weight_ratio_exact thm-exact-ratio $s_i/s_j\le R^2(1+\frac2{pR^2-2})$
3.1 thm-initial-rank prp-initial-rank-fine bounds.initial_rank_floor thm-initial-rank with high probability at least $\min(m,d)/18$
3.2 thm-one-step thm-trajectory bounds.trajectory_rank_bound thm-trajectory with high probability at most $10$, for all $\alpha\ge\underline\alpha$ and $\sigma\le\bar\sigma$
3.3 - sec-small-weights small_scale.small_scale_limit - $\alpha=0.5$, $T=420$, and @fig-front
"""  # noqa: E501 (a row of the table is a line)

ANSWERS = tuple(Answer(*row.split(maxsplit=5)) for row in _ROWS.strip().splitlines())


def summary_table() -> str:
    """Return the table in Markdown."""
    lines = [
        "| part | answer | sharper | computed by | checked | equality |",
        "|:" + "|:".join("-" * k for k in (4, 29, 17, 33, 8)) + "|--------:|",
    ]
    checked = proofs.checked()
    for row in ANSWERS:
        sharper = "attained" if row.sharper == "-" else f"@{row.sharper}"
        close = "—" if row.search == "-" else f"{searches.quotient(row.search):.3f}"
        function = f"[`{row.code.split('.')[1]}`]({api.PAGE}#{api.anchor(row.code)})"
        theorem = checked.get(row.label)
        mark = f"[{'in part' if theorem.differs else 'yes'}]({proofs.PAGE}#sec-checked)" if theorem else "—"
        lines.append(f"| [{row.part}]({row.place}) | {row.answer} | {sharper} | {function} | {mark} | {close} |")
    return "\n".join(lines)
