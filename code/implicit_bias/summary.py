"""The table at the front of the book: what is proved, where, by which code and test, and how tight it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import searches

SEED = 1
"""Seed of every search in the table."""


@dataclass(frozen=True)
class Result:
    """One row of the table.

    Attributes
    ----------
    part : str
        The homework's part.
    label : str
        The theorem's label in the book.
    claim : str
        What is proved, in Markdown.
    code : str
        The function that computes its constant, as ``module.function`` within `implicit_bias`.
    test : str
        The test that guards it, as ``file::function`` within ``tests``.
    search : str or None
        The function of `implicit_bias.searches` that tries to violate it; None where nothing was searched.
    """

    part: str
    label: str
    claim: str
    code: str
    test: str
    search: str | None


RESULTS: tuple[Result, ...] = (
    Result(
        "1.1",
        "thm-smoothness",
        r"$\tfrac14$-smooth at $\gamma=1$; for $\gamma<1$, $m\ge2$ never smooth",
        "bounds.smoothness_constant",
        "test_problem_1::test_loss_is_not_smooth_for_two_neurons_even_on_antipodal_data",
        "slack_thm_smoothness",
    ),
    Result(
        "1.2",
        "thm-margin-direction",
        r"$c^*=\gamma/\lVert w_{\mathrm{MM}}\rVert$, the best possible",
        "bounds.margin_constant",
        "test_problem_1::test_no_direction_beats_the_max_margin_against_the_adversary",
        "slack_thm_margin_direction_optimal",
    ),
    Result(
        "1.3",
        "thm-progress",
        r"$H_{t+1}-H_t\ge c\,\alpha\,\widehat G$",
        "bounds.margin_constant",
        "test_problem_1::test_progress_is_reached_with_every_neuron_off",
        "slack_thm_progress",
    ),
    Result(
        "1.4",
        "thm-norm-growth",
        r"$F_{t+1}^2\le F_t^2+2\kappa\alpha+\alpha^2\widehat G^2$, $\kappa e^\kappa=1/e$",
        "bounds.norm_growth_sharp",
        "test_problem_1::test_norm_growth_is_reached_by_one_sample",
        "slack_thm_norm_growth_sharp",
    ),
    Result(
        "1.5",
        "thm-first-rate",
        r"$O(1/(\alpha c^2\varepsilon^2))$ steps, explicit",
        "bounds.steps_first_rate",
        "test_problem_1::test_target_is_met_before_the_counted_step",
        "slack_thm_first_rate",
    ),
    Result(
        "1.5",
        "thm-fast-rate",
        r"$\tilde O(1/(c^2\varepsilon))$ steps, explicit",
        "bounds.steps_fast_rate",
        "test_problem_1::test_both_rates_are_reached_by_one_huge_step",
        "slack_thm_fast_rate",
    ),
    Result(
        "1.5",
        "prp-lower-bound",
        r"no rate better than $1/(\alpha c^2\varepsilon)$ for $\alpha\le1$",
        "bounds.steps_lower_bound",
        "test_problem_1::test_lower_bound_is_nearly_reached",
        "slack_prp_lower_bound",
    ),
    Result(
        "1.6",
        "thm-loss",
        r"$\widehat L\le-\frac1n\log(1-n\widehat G)$",
        "bounds.loss_bound",
        "test_problem_1::test_loss_bound_is_reached_with_one_bad_sample",
        "slack_thm_loss",
    ),
    Result(
        "1.6",
        "cor-loss-simple",
        r"$\widehat L\le2\log2\cdot\widehat G$ once $\widehat G\le\frac1{2n}$",
        "bounds.loss_target_simple",
        "test_problem_1::test_small_g_bounds_the_loss",
        "slack_cor_loss_simple",
    ),
    Result(
        "1.6",
        "prp-loss-free-of-n",
        r"mean loss $\le\varepsilon$ within $\tilde O(1/\varepsilon)$ steps, free of $n$",
        "bounds.mean_loss",
        "test_problem_1::test_mean_loss_bound_is_reached_by_one_step",
        "slack_prp_loss_free_of_n",
    ),
    Result(
        "1.6",
        "prp-last-iterate",
        r"$\gamma=1$ or one class: the last loss is $O(1/(\alpha c^2t))$ in the end",
        "bounds.last_iterate_loss",
        "test_problem_1::test_last_iterate_where_no_kink_bends_the_wrong_way",
        "slack_prp_last_iterate",
    ),
    Result(
        "2.1",
        "thm-gaussian-orthogonal",
        r"dimension enough for $p$-orthogonal Gaussian data",
        "bounds.gaussian_dimension",
        "test_problem_2::test_every_step_of_the_gaussian_proof_holds_at_the_least_dimension",
        "slack_thm_gaussian_orthogonal",
    ),
    Result(
        "2.2",
        "thm-exact-threshold",
        r"$w_{\mathrm{MM}}=w_{\mathrm{MNI}}$: the exact threshold, below $pR^2=2$",
        "bounds.equality_threshold",
        "test_problem_2::test_the_exact_threshold_separates_equal_from_different",
        "slack_thm_exact_threshold",
    ),
    Result(
        "2.2",
        "lem-dual-weights",
        r"$\lvert s_i\lVert x_i\rVert^2-1\rvert\le1/(pR^2-1)$",
        "bounds.dual_weight_deviation",
        "test_problem_2::test_the_deviation_of_the_weights_is_reached_on_both_sides",
        "slack_lem_dual_weights",
    ),
    Result(
        "2.4",
        "thm-near-uniform",
        r"$\max s_i/s_j\le R^2(1+2/(pR^2-2))$",
        "bounds.weight_ratio",
        "test_problem_2::test_the_simple_ratio_is_reached_within_one_per_cent_as_n_grows",
        "slack_thm_near_uniform",
    ),
    Result(
        "2.4",
        "cor-angle",
        r"the angle between $w_{\mathrm{MM}}$ and $\sum y_ix_i$",
        "bounds.angle_cosine",
        "test_problem_2::test_both_angle_bounds_are_attained_by_orthogonal_samples",
        "slack_cor_angle",
    ),
    Result(
        "3.1",
        "thm-initial-rank",
        r"$\mathrm{StableRank}(W^{(0)})\ge\min(m,d)/18$, likely",
        "bounds.initial_rank_floor",
        "test_problem_3::test_gaussian_weights_are_above_the_floor",
        "slack_thm_initial_rank",
    ),
    Result(
        "3.2",
        "thm-gradient-rank",
        r"every gradient: $\le1+\frac{1+\theta}{1-\theta}(\max\kappa_i-1)$",
        "bounds.gradient_rank_bound",
        "test_problem_3::test_adversarial_weights_reach_the_gradients_bound",
        "slack_thm_gradient_rank",
    ),
    Result(
        "3.2",
        "cor-gradient-rank-gaussian",
        r"Gaussian weights: $\le1+3\,\frac{1+\theta}{1-\theta}$ for every $\gamma$, likely",
        "bounds.gaussian_gradient_rank_bound",
        "test_problem_3::test_gaussian_gradients_bound_is_free_of_the_slope",
        "slack_cor_gradient_rank_gaussian",
    ),
    Result(
        "3.2",
        "thm-one-step",
        r"$W^{(1)}$: at most $(\frac{1+\eta}{1-\eta})^2$ times the gradient's",
        "bounds.one_step_rank_bound",
        "test_problem_3::test_one_step_from_weights_as_large_as_allowed",
        "slack_thm_one_step",
    ),
    Result(
        "3.2",
        "cor-one-step",
        r"$\mathrm{StableRank}(W^{(1)})\le9$ on $3$-orthogonal data, likely",
        "bounds.one_step_sigma",
        "test_problem_3::test_one_step_lowers_the_stable_rank_to_nine",
        "slack_cor_one_step",
    ),
    Result(
        "3.2",
        "thm-trajectory",
        r"$W^{(t)}-W^{(0)}$, all $t$, all $W^{(0)}$, all step sizes",
        "bounds.trajectory_rank_bound",
        "test_problem_3::test_trajectory_bound_is_reached",
        "slack_thm_trajectory",
    ),
    Result(
        "3.2",
        "cor-trajectory",
        r"$W^{(t)}$ for all $t\ge1$ from small weights",
        "bounds.one_step_rank_bound",
        "test_problem_3::test_weights_themselves_from_a_small_initialisation",
        "slack_cor_trajectory",
    ),
    Result(
        "3.3",
        "thm-small-scale",
        r"both layers trained, $\sigma\to0$: a recursion free of $\sigma$",
        "small_scale.small_scale_limit",
        "test_training::test_small_scale_limit_is_the_limit",
        None,
    ),
)


def quotient(result: Result) -> float | None:
    """Return the largest quotient of the smaller side over the larger that the result's search finds."""
    return None if result.search is None else getattr(searches, result.search)(np.random.default_rng(SEED))


def summary_table() -> str:
    """Return the table in Markdown, each search run on the spot. A test's name is shown with its words apart."""
    kinds = {"thm": "Thm.", "lem": "Lem.", "prp": "Prop.", "cor": "Cor."}
    lines = [
        "| part | proved | in | constant computed by; guarded by the test that | quotient |",
        "|:----|:------------------|:------|:------------------------|------:|",
    ]
    for row in RESULTS:
        found = quotient(row)
        sentence = row.test.split("::test_")[1].replace("_", " ")
        code = row.code.split(".")[1]
        lines.append(
            f"| {row.part} | {row.claim} | {kinds[row.label[:3]]} [-@{row.label}] | `{code}`; {sentence} "
            f"| {'—' if found is None else f'{found:.3f}'} |"
        )
    return "\n".join(lines)
