"""The table at the front of the book: what is proved, where, by which code and test, and how tight it is."""

from __future__ import annotations

from typing import NamedTuple

from . import searches


class Result(NamedTuple):
    """One row: what is proved, in Markdown, in a part of the homework.

    ``search`` is the theorem's label in the book, with a suffix where another than its first search is meant; where
    `searches.SEARCHES` has none, nothing was searched. ``code``, as ``module.function``, computes the constant, and
    ``test``, as ``file::function``, guards it.
    """

    part: str
    search: str
    claim: str
    code: str
    test: str

    @property
    def label(self) -> str:
        """The theorem's label in the book."""
        return self.search.partition(":")[0]


# Two lines a row: part, label and claim; function and test.
_ROWS = r"""
1.1 thm-smoothness  $\tfrac14$-smooth at $\gamma=1$; for $\gamma<1$, $m\ge2$ never smooth
    bounds.smoothness_constant  test_problem_1::test_loss_is_not_smooth_for_two_neurons_even_on_antipodal_data
1.2 thm-margin-direction:optimal  $c^*=\gamma/\lVert w_{\mathrm{MM}}\rVert$, the best possible
    bounds.margin_constant  test_problem_1::test_no_direction_beats_the_max_margin_against_the_adversary
1.3 thm-progress  $H_{t+1}-H_t\ge c\,\alpha\,\widehat G$
    bounds.margin_constant  test_problem_1::test_progress_is_reached_with_every_neuron_off
1.4 thm-norm-growth:sharp  $F_{t+1}^2\le F_t^2+2\kappa\alpha+\alpha^2\widehat G^2$, $\kappa e^\kappa=1/e$
    bounds.norm_growth_sharp  test_problem_1::test_norm_growth_is_reached_by_one_sample
1.5 thm-first-rate  $O(1/(\alpha c^2\varepsilon^2))$ steps, explicit
    bounds.steps_first_rate  test_problem_1::test_means_along_the_run_obey_their_bounds
1.5 thm-fast-rate  $\tilde O(1/(c^2\varepsilon))$ steps, explicit
    bounds.steps_fast_rate  test_problem_1::test_both_rates_are_reached_by_one_huge_step
1.5 prp-lower-bound  no rate better than $1/(\alpha c^2\varepsilon)$ for $\alpha\le1$
    bounds.steps_lower_bound  test_problem_1::test_lower_bound_is_nearly_reached
1.6 thm-loss  $\widehat L\le-\frac1n\log(1-n\widehat G)$
    bounds.loss_bound  test_problem_1::test_loss_bound_is_reached_with_one_bad_sample
1.6 cor-loss-simple  $\widehat L\le2\log2\cdot\widehat G$ once $\widehat G\le\frac1{2n}$
    bounds.loss_target_simple  test_problem_1::test_small_g_bounds_the_loss
1.6 prp-loss-free-of-n  mean loss $\le\varepsilon$ within $\tilde O(1/\varepsilon)$ steps, free of $n$
    bounds.mean_loss  test_problem_1::test_mean_loss_bound_is_reached_by_one_step
1.6 prp-last-iterate  $\gamma=1$ or one class: the last loss is $O(1/(\alpha c^2t))$ in the end
    bounds.last_iterate_loss  test_problem_1::test_last_iterate_where_no_kink_bends_the_wrong_way
2.1 thm-gaussian-orthogonal  dimension enough for $p$-orthogonal Gaussian data
    bounds.gaussian_dimension  test_problem_2::test_every_step_of_the_gaussian_proof_holds_at_the_least_dimension
2.2 thm-exact-threshold  $w_{\mathrm{MM}}=w_{\mathrm{MNI}}$: the exact threshold, below $pR^2=2$
    bounds.equality_threshold  test_problem_2::test_the_exact_threshold_separates_equal_from_different
2.2 lem-dual-weights  $\lvert s_i\lVert x_i\rVert^2-1\rvert\le1/(pR^2-1)$
    bounds.dual_weight_deviation  test_problem_2::test_the_deviation_of_the_weights_is_reached_on_both_sides
2.4 thm-near-uniform  $\max s_i/s_j\le R^2(1+2/(pR^2-2))$
    bounds.weight_ratio  test_problem_2::test_the_simple_ratio_is_reached_within_one_per_cent_as_n_grows
2.4 cor-angle  the angle between $w_{\mathrm{MM}}$ and $\sum y_ix_i$
    bounds.angle_cosine  test_problem_2::test_both_angle_bounds_are_attained_by_orthogonal_samples
3.1 thm-initial-rank  $\mathrm{StableRank}(W^{(0)})\ge\min(m,d)/18$, likely
    bounds.initial_rank_floor  test_problem_3::test_gaussian_weights_are_above_the_floor
3.2 thm-gradient-rank  every gradient: $\le1+\frac{1+\theta}{1-\theta}(\max\kappa_i-1)$
    bounds.gradient_rank_bound  test_problem_3::test_adversarial_weights_reach_the_gradients_bound
3.2 cor-gradient-rank-gaussian  Gaussian weights: $\le1+3\,\frac{1+\theta}{1-\theta}$ for every $\gamma$, likely
    bounds.gaussian_gradient_rank_bound  test_problem_3::test_gaussian_gradients_bound_is_free_of_the_slope
3.2 thm-one-step  $W^{(1)}$: at most $(\frac{1+\eta}{1-\eta})^2$ times the gradient's
    bounds.one_step_rank_bound  test_problem_3::test_one_step_from_weights_as_large_as_allowed
3.2 cor-one-step  $\mathrm{StableRank}(W^{(1)})\le9$ on $3$-orthogonal data, likely
    bounds.one_step_sigma  test_problem_3::test_one_step_lowers_the_stable_rank_to_nine
3.2 thm-trajectory  $W^{(t)}-W^{(0)}$, all $t$, all $W^{(0)}$, all step sizes
    bounds.trajectory_rank_bound  test_problem_3::test_trajectory_bound_is_reached
3.2 cor-trajectory  $W^{(t)}$ for all $t\ge1$ from small weights
    bounds.one_step_rank_bound  test_problem_3::test_weights_themselves_from_a_small_initialisation
3.3 thm-small-scale  both layers trained, $\sigma\to0$: a recursion free of $\sigma$
    small_scale.small_scale_limit  test_training::test_small_scale_limit_is_the_limit
"""

_LINES = _ROWS.strip().splitlines()
RESULTS = tuple(Result(*head.split(maxsplit=2), *foot.split()) for head, foot in zip(_LINES[::2], _LINES[1::2]))


def summary_table() -> str:
    """Return the table in Markdown. A test's name is shown with its words apart."""
    kinds = {"thm": "Thm.", "lem": "Lem.", "prp": "Prop.", "cor": "Cor."}
    lines = [
        "| part | proved | in | constant computed by; guarded by the test that | quotient |",
        "|:----|:------------------|:------|:------------------------|------:|",
    ]
    for row in RESULTS:
        function, sentence = row.code.split(".")[1], row.test.split("::test_")[1].replace("_", " ")
        quotient = f"{searches.quotient(row.search):.3f}" if row.search in searches.SEARCHES else "—"
        where = f"{kinds[row.label[:3]]} [-@{row.label}]"
        lines.append(f"| {row.part} | {row.claim} | {where} | `{function}`; {sentence} | {quotient} |")
    return "\n".join(lines)
