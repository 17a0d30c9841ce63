"""Max margin, minimum norm and p-orthogonality: against independent solvers, at the limits, and on bad input."""

import math
import time
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from implicit_bias import margin
from implicit_bias.margin import max_margin, min_norm_interpolator
from implicit_bias.orthogonality import (
    gaussian_grams,
    gram_extremes,
    p_orthogonality,
    p_orthogonality_of_gram,
    plane_example,
    sharp_family,
    sharp_gram,
    sharp_weights,
)
from scipy.optimize import linprog
from scipy.stats import kstest

SEEDS = st.integers(0, 2**32 - 1)

RESIDUAL = 1e-6
"""What the solvers promise: they raise an error rather than return a larger residual."""


def separable(seed: int, n: int, d: int, spread: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return data separated by some w, with norms spread over about ``spread`` orders of magnitude."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * 10 ** rng.uniform(-spread / 2, spread / 2, (n, 1))
    y = np.sign(X @ rng.standard_normal(d))
    return X, np.where(y == 0, 1.0, y)


def by_enumeration(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the shortest feasible point among those that solve the equations of some set of constraints.

    The max-margin classifier is one of them: it has minimum norm among the solutions of its active equations.
    """
    A, best = y[:, None] * X, None
    for k in range(1, len(y) + 1):
        for chosen in combinations(range(len(y)), k):
            w = np.linalg.lstsq(A[list(chosen)], np.ones(k), rcond=None)[0]
            if (A @ w).min() >= 1 - 1e-7 and (best is None or w @ w < best @ best):
                best = w
    assert best is not None
    return best


def closest_margin(unit: np.ndarray, y: np.ndarray) -> float:
    """Return a lower bound on the best margin of unit vectors: that of a w in the cube, over √d."""
    n, d = unit.shape
    program = linprog(
        np.r_[np.zeros(d), -1], A_ub=np.c_[-y[:, None] * unit, np.ones(n)], b_ub=np.zeros(n),
        bounds=[(-1, 1)] * d + [(None, 1)],
    )  # fmt: skip
    return program.x[-1] / math.sqrt(d)


@given(seed=SEEDS, n=st.integers(1, 7), d=st.integers(1, 7), spread=st.sampled_from([0.0, 2.0, 5.0]))
def test_max_margin_is_the_shortest_point_found_by_enumerating_active_sets(seed, n, d, spread):
    X, y = separable(seed, n, d, spread)
    got, want = max_margin(X, y), by_enumeration(X, y)
    # Enumeration allows constraints to be missed by 1e-7, so it may be shorter by that factor.
    assert np.linalg.norm(got.w) == pytest.approx(np.linalg.norm(want), rel=1e-6)
    assert np.linalg.norm(got.w - want) <= 1e-3 * np.linalg.norm(want)  # norms agree to 1e-6: points to its root


@given(seed=SEEDS, n=st.integers(1, 60), d=st.integers(1, 60), spread=st.sampled_from([0.0, 3.0, 6.0]))
def test_max_margin_satisfies_the_kkt_conditions(seed, n, d, spread):
    X, y = separable(seed, n, d, spread)
    solution = max_margin(X, y)
    margins, scale = y * (X @ solution.w), np.linalg.norm(solution.w)
    assert (solution.dual >= 0).all()
    assert margins.min() >= 1 - RESIDUAL
    assert np.linalg.norm((solution.dual * y) @ X - solution.w) <= RESIDUAL * scale
    assert abs(solution.dual @ (margins - 1)) <= RESIDUAL * solution.dual.sum()
    assert 0 <= solution.residual <= RESIDUAL
    assert np.count_nonzero(solution.dual) <= min(n, d)


@given(seed=SEEDS, n=st.integers(1, 12), d=st.integers(1, 5))
def test_max_margin_raises_exactly_when_the_data_are_not_separable(seed, n, d):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, d)), rng.choice([-1.0, 1.0], n)
    if closest_margin(X / np.linalg.norm(X, axis=1, keepdims=True), y) > 1e-6:
        assert max_margin(X, y).residual <= RESIDUAL
    else:
        with pytest.raises(ValueError, match="not linearly separable"):
            max_margin(X, y)


@pytest.mark.parametrize("height", 10.0 ** -np.arange(0, 9))
def test_max_margin_finds_margins_down_to_rounding(height):
    solution = max_margin([[1.0, height], [-1.0, height]], [1.0, 1.0])
    assert np.allclose(solution.w * height, [0, 1], atol=1e-9)
    assert np.allclose(solution.dual * height**2, 0.5, rtol=1e-6)


def test_max_margin_of_repeated_and_proportional_samples():
    solution = max_margin([[1.0, 0], [1, 0], [3, 0], [1, 1]], [1, 1, 1, 1])
    assert np.allclose(solution.w, [1, 0])
    assert solution.dual.sum() == pytest.approx(1)


def test_one_sample_gives_its_multiple_of_margin_one():
    for solve in (max_margin, min_norm_interpolator):
        solution = solve([[3.0, 4.0]], [-1])
        assert np.allclose(solution.w, [-3 / 25, -4 / 25])
        assert np.allclose(solution.dual, 1 / 25)


@given(seed=SEEDS, n=st.integers(1, 25), extra=st.integers(0, 25), spread=st.sampled_from([0.0, 3.0, 6.0]))
def test_interpolator_has_unit_margins_least_norm_and_its_dual_weights(seed, n, extra, spread):
    rng = np.random.default_rng(seed)
    X, y = separable(seed, n, n + extra, spread)
    solution = min_norm_interpolator(X, y)
    scale = np.linalg.norm(solution.w)
    assert np.abs(y * (X @ solution.w) - 1).max() <= RESIDUAL
    assert solution.residual <= RESIDUAL
    assert np.linalg.norm((solution.dual * y) @ X - solution.w) <= RESIDUAL * scale
    # Any other interpolator differs from w by a vector orthogonal to the samples, and w by none.
    other = rng.standard_normal(n + extra)
    other -= np.linalg.lstsq(X, X @ other, rcond=None)[0]
    assert abs(other @ solution.w) <= RESIDUAL * scale * max(1.0, np.linalg.norm(other))


def test_interpolator_of_nearly_dependent_samples():
    for height in 10.0 ** -np.arange(1, 12):
        solution = min_norm_interpolator([[1.0, height], [1.0, 0.0]], [1, -1])
        assert np.allclose(solution.w, [-1, 2 / height], rtol=1e-4)


def test_interpolator_of_dependent_samples_exists_only_where_the_labels_fit():
    assert np.allclose(min_norm_interpolator([[2.0, 0], [-2, 0]], [1, -1]).w, [0.5, 0])
    with pytest.raises(ValueError, match=r"the 2 samples have rank 1 .* misses a label by"):
        min_norm_interpolator([[2.0, 0], [1.0, 0]], [1, 1])
    with pytest.raises(ValueError, match="the 30 samples have rank 5"):
        min_norm_interpolator(*separable(0, 30, 5))


def exact_residual(X: np.ndarray, y: np.ndarray, w: np.ndarray, equations: bool) -> float:
    """Return how far the margins miss 1, in rational arithmetic, beyond what rounding w to float64 may change."""
    worst = 0.0
    for x, label in zip(X, y):
        terms = [Fraction(float(label * a)) * Fraction(float(b)) for a, b in zip(x, w)]
        miss = float(1 - sum(terms))
        worst = max(worst, (abs(miss) if equations else miss) - 2e-15 * float(sum(map(abs, terms))))
    return worst


@given(
    seed=SEEDS, n=st.integers(1, 7), extra=st.integers(-6, 4), spread=st.sampled_from([0.0, 9.0, 12.0]),
    power=st.sampled_from([-142, 0, 142]), repeated=st.booleans(),
)  # fmt: skip
def test_norms_of_any_size_and_ratio_give_right_answers(seed, n, extra, spread, power, repeated):
    X, y = separable(seed, n, max(1, n + extra), spread)
    if repeated:
        X, y = np.concatenate([X, 3 * X]), np.concatenate([y, y])
    X = X * 10.0**power
    unit = X / np.abs(X).max(axis=1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    assume(closest_margin(unit, y) > 1e-3)
    assert exact_residual(X, y, max_margin(X, y).w, equations=False) <= RESIDUAL
    if not repeated and extra >= 0 and np.linalg.svd(unit)[1][-1] > 1e-3:
        assert exact_residual(X, y, min_norm_interpolator(X, y).w, equations=True) <= RESIDUAL


@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1.0, 1e100, 1e150])
def test_classifiers_and_p_orthogonality_are_exact_at_extreme_scales(scale):
    X, y = scale * np.array([[3.0, 0.0], [0.0, 4.0]]), [1, -1]
    for solve in (max_margin, min_norm_interpolator):
        solution = solve(X, y)
        assert np.allclose(solution.w * scale, [1 / 3, -1 / 4], rtol=1e-12)
        assert np.allclose(solution.dual * scale * scale, [1 / 9, 1 / 16], rtol=1e-12)
    assert p_orthogonality(scale * np.array([[2.0, 0.0], [1.0, 1.0]])) == pytest.approx(4 / (4 * 2 * 2), rel=1e-12)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_what_float64_cannot_hold_is_refused(size):
    for solve in (max_margin, min_norm_interpolator):
        with pytest.raises(ValueError, match="float64 cannot hold"):
            solve([[size, 0.0]], [1])
    assert p_orthogonality([[size, 0.0], [size, size]]) == pytest.approx(1 / (2 * 2))
    with pytest.raises(ValueError, match="too extreme"):
        p_orthogonality([[1e-160, 0.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match="too extreme"):
        gram_extremes([[size]])


def test_large_samples_beside_small_ones_are_separated():
    X = np.array([[1.0, 1.0], [-1e9, 1e9], [1e12, 1e11]])
    assert np.allclose(max_margin(X, [1, 1, 1]).w, [0.5, 0.5], atol=1e-9)
    w = min_norm_interpolator(X[:2], [1, 1]).w
    assert np.allclose(w, [0.5, 0.5], atol=1e-9) and w[1] > w[0]


def test_data_that_are_not_separable_are_refused_in_little_time():
    rng = np.random.default_rng(0)
    start = time.process_time()
    with pytest.raises(ValueError, match="not linearly separable"):
        max_margin(rng.standard_normal((400, 150)), rng.choice([-1.0, 1.0], 400))
    assert time.process_time() - start < 5


@pytest.mark.parametrize("residual", [1e-5, 1e-3])
def test_no_residual_above_the_promise_is_accepted(residual, monkeypatch):
    solve = margin._least_norm
    monkeypatch.setattr(margin, "_least_norm", lambda B, h: solve(B, h * (1 - residual)))
    for classifier in (max_margin, min_norm_interpolator):
        with pytest.raises(ValueError, match=r"separable|misses"):
            classifier(*plane_example())


@pytest.mark.parametrize("seed, n", [(5, 5), (45, 6), (54, 4), (78, 5), (102, 4)])
def test_interpolator_is_refined(seed, n):
    # Small integers times powers of ten: after a single pass a label is missed by more than rounding w explains.
    rng = np.random.default_rng(seed)
    assert rng.integers(3, 7) == n
    X = rng.integers(-2, 3, (n, n)) * 10.0 ** rng.integers(0, 13, (n, 1))
    assert exact_residual(X, np.ones(n), min_norm_interpolator(X, np.ones(n)).w, equations=True) <= RESIDUAL


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_gram_extremes_in_blocks_are_those_of_the_gram_matrix(rows):
    X = np.random.default_rng(2).integers(-255, 256, (50, 30))
    gram = X @ X.T
    off = np.abs(gram - np.diag(np.diag(gram)))
    seen = []
    found = gram_extremes(X, rows, progress=lambda blocks: (seen.append(start) or start for start in blocks))
    assert [found.R_min_squared, found.R_max_squared] == [gram.diagonal().min(), gram.diagonal().max()]
    assert off[found.i, found.j] == off.max() == found.M and seen == list(range(0, 50, rows))
    assert p_orthogonality_of_gram(gram[None].astype(float)) == pytest.approx([found.p], rel=1e-12)
    assert found.p == pytest.approx(found.R_min_squared**2 / (found.R_max_squared * 50 * found.M), rel=1e-15)


def test_p_orthogonality_by_hand():
    assert p_orthogonality([[2.0, 0, 0], [0, 1, 0], [0.1, 0, 1]]) == pytest.approx(1 / (4 * 3 * 0.2))
    assert p_orthogonality(plane_example()[0]) == pytest.approx(1 / (5 * 2 * 2))


def test_p_orthogonality_is_infinite_for_one_sample_and_for_orthogonal_samples():
    assert p_orthogonality([[0.3, 4.0]]) == np.inf
    assert p_orthogonality(np.diag([1.0, 5.0, 9.0])) == np.inf


@given(seed=SEEDS, n=st.integers(1, 8), scale=st.floats(1e-100, 1e100))
def test_p_orthogonality_does_not_depend_on_scale_order_or_rotation(seed, n, scale):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 9))
    rotation = np.linalg.qr(rng.standard_normal((9, 9)))[0]
    assert p_orthogonality(scale * X[rng.permutation(n)] @ rotation) == pytest.approx(p_orthogonality(X), rel=1e-9)


@given(n=st.integers(2, 60), excess=st.floats(0.01, 20), R=st.floats(1, 5))
def test_sharp_family_has_its_gram_matrix_orthogonality_and_weights(n, excess, R):
    p = (1 - 1 / n + excess) / R**2
    X, y = sharp_family(n, p, R)
    assert np.allclose(X @ X.T, sharp_gram(n, p, R), atol=1e-12 * R**2)
    assert p_orthogonality(X) == pytest.approx(p, rel=1e-9)
    s_1, s_j = sharp_weights(n, p, R)
    # The condition number is at most (R^2 + 1/(n mu)) / (1 - (n-1) mu), below 1e6 here.
    assert np.allclose(min_norm_interpolator(X, y).dual, [s_1] + [s_j] * (n - 1), rtol=1e-7, atol=1e-7 * s_j)


def test_bartlett_s_gram_matrices_have_the_law_of_gaussian_samples():
    rng = np.random.default_rng(3)
    n, d = 4, 6
    direct = rng.standard_normal((4000, n, d))
    direct = direct @ direct.swapaxes(1, 2)
    drawn = gaussian_grams(n, d, 4000, rng)
    for i, j in ((0, 0), (n - 1, n - 1), (1, 0), (3, 2)):
        assert kstest(drawn[:, i, j], direct[:, i, j]).pvalue > 1e-4
    assert kstest(p_orthogonality_of_gram(drawn), p_orthogonality_of_gram(direct)).pvalue > 1e-4
    assert kstest(np.linalg.det(drawn), np.linalg.det(direct)).pvalue > 1e-4


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_torch_tensors_give_what_numpy_gives(dtype):
    X, y = separable(1, 6, 9)
    X = X.astype(np.float32)
    tensors = torch.tensor(X, dtype=dtype, requires_grad=True), torch.tensor(y).to(torch.int64)
    for solve in (max_margin, min_norm_interpolator):
        assert np.array_equal(solve(*tensors).w, solve(X, y).w)
    assert p_orthogonality(tensors[0]) == p_orthogonality(X)


@pytest.mark.parametrize("solve", [max_margin, min_norm_interpolator])
@pytest.mark.parametrize(
    "X, y, message",
    [
        ([[1.0, 0], [0, 0]], [1, 1], "sample 1 of X is zero"),
        ([[1.0, np.nan]], [1], "X has 1 entries that are not finite"),
        ([[1.0, 2]], [0], r"y has the entry 0: each must be \+1 or -1"),
        ([[1.0, 2]], [1, 1], "with n = 1 as in X"),
    ],
)
def test_bad_data_are_named(solve, X, y, message):
    with pytest.raises(ValueError, match=message):
        solve(X, y)


@pytest.mark.parametrize(
    "function, arguments, message",
    [
        (max_margin, ([[1.0, 1], [-1, -1], [1, -1]], [1, 1, 1]), r"convex hull .* within \S+ of the origin"),
        (sharp_family, (1, 2.0), "n = 1"),
        (sharp_family, (5, -1.0), "p = -1.0"),
        (sharp_family, (5, 2.0, 0.5), "R = 0.5"),
        (sharp_family, (10, 0.5), "not positive definite"),
        (sharp_weights, (5, 0.1), r"p R\^2 > 1 - 1/n"),
        (gaussian_grams, (5, 4, 1, None), "n = 5, d = 4"),
    ],
)
def test_bad_input_is_named(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
