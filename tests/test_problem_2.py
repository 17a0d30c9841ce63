"""Problem 2: every inequality on random and adversarial data, every sharp constant reached within 1 %.

Data are given by their signed Gram matrix ``K_ij = y_i y_j <x_i, x_j>``. ``ROUNDING`` allows for the error of solving
``K s = 1`` in double precision: the condition number of K is at most (R^2 + n mu)/(1 - (n-1) mu), which the strategy
keeps below 1e6, and 1e6 times the unit roundoff 1.1e-16, times a factor that grows with n <= 12, stays below 1e-8.
"""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from implicit_bias import bounds
from implicit_bias.figures import classifiers as figures
from implicit_bias.margin import max_margin, min_norm_interpolator
from implicit_bias.orthogonality import gaussian_grams, p_orthogonality, plane_example, sharp_family, sharp_weights
from implicit_bias.orthogonality import p_orthogonality_of_gram as p_of_grams
from scipy import stats

ROUNDING = 1e-8
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def cases(draw, largest=lambda n: 1 / (n - 1)):
    """Draw K at random, with all signs equal, or with the sharp family's signs; mu up to ``largest(n)``.

    Return it with samples ``X`` that have it, for labels ``y`` of 1, and their ``s``, ``mu``, ``p`` and ``R``.
    """
    n, rng = draw(st.integers(2, 12)), np.random.default_rng(draw(SEEDS))
    R = draw(st.sampled_from([1.0, 1.01, 2.0, 100.0]))
    sharp = -np.ones((n, n))
    sharp[:, 0] = 1
    kinds = [rng.uniform(-1, 1, (n, n)), rng.choice([-1.0, 1.0], (n, n)), np.ones((n, n)), -np.ones((n, n)), sharp]
    off = np.tril(draw(st.sampled_from(kinds)), -1)
    squares = np.where(rng.random(n) < 0.5, rng.uniform(1, R**2, n), rng.choice([1.0, R**2], n))
    squares[0], squares[-1] = (R**2, 1) if draw(st.booleans()) else (1, R**2)
    mu = min(largest(n), 0.999) * draw(st.sampled_from([1e-6, 0.1, 0.5, 0.9, 0.99, 0.9999]))
    K, y = np.diag(squares) + mu * (off + off.T) / np.abs(off).max(), np.ones(n)
    X, s, p = np.linalg.cholesky(K), np.linalg.solve(K, y), float(p_of_grams(K[None])[0])
    return SimpleNamespace(K=K, X=X, y=y, s=s, mu=mu, p=p, R=R)


def classifiers(X, y):
    """Return max margin, minimum norm, and the distance of the two, relative to the second."""
    margin, interpolator = max_margin(X, y), min_norm_interpolator(X, y)
    return margin, interpolator, np.linalg.norm(margin.w - interpolator.w) / np.linalg.norm(interpolator.w)


# 2.1

NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)


def deviations(d, h):
    """Return those of `lem-chi-square`: of χ² above and below its mean d, and of the inner product above 0."""
    return 2 * np.sqrt(d * h) + 2 * h, 2 * np.sqrt(d * h), np.sqrt(2 * d * h) + h


def test_chi_square_tails_hold_for_the_exact_distribution():
    h, d = np.concatenate([[0.0], np.geomspace(1e-3, 600, 80)]), 10.0 ** np.arange(11)[:, None]
    above, below, _ = deviations(d, h)
    # scipy's logarithms of these tails are good to about 1e-9.
    assert (stats.chi2.logsf(d + above, d) <= -h + 1e-6).all()
    assert (stats.chi2.logcdf(d - below, d) <= -h + 1e-6).all()


def inner_product_survival(t: float, d: int) -> float:
    """Return ``P(⟨x_1, x_2⟩ ≥ t)`` for two independent samples of N(0, I_d), by quadrature over ``‖x_1‖``."""
    low, high = max(0.0, math.sqrt(d) - 12), math.sqrt(d) + 12
    lengths = low + (high - low) * (NODES + 1) / 2
    density = stats.chi.pdf(lengths, d) * WEIGHTS * (high - low) / 2
    return float(density @ stats.norm.sf(t / lengths))


def test_inner_product_tail_holds_for_the_exact_distribution():
    assert inner_product_survival(1.0, 2) == pytest.approx(math.exp(-1) / 2, rel=1e-5)  # in the plane it is Laplace's
    for d in (1, 2, 3, 10, 100, 1000):
        for h in np.linspace(0, 12, 25):
            assert inner_product_survival(deviations(d, h)[2], d) <= math.exp(-h) * (1 + 1e-9)
    d, h = 10**8, 600.0  # only d this large and h this large come within 1 % of equality
    assert inner_product_survival(deviations(d, h)[2], d) <= math.exp(-h)


def test_the_three_deviations_are_sharp_for_large_d():
    """A deviation smaller by 1 % is exceeded with probability more than e^{-h}: d is large, and d/h larger."""
    d, h = 10**8, 600.0
    above, below, product = deviations(d, h)
    assert stats.chi2.logsf(d + 0.99 * above, d) > -h
    assert stats.chi2.logcdf(d - 0.99 * below, d) > -h
    assert inner_product_survival(0.99 * product, d) > math.exp(-h)


@pytest.mark.parametrize("n, p", [(2, 0.05), (2, 20.0), (8, 1.0), (30, 0.05), (30, 20.0)])
def test_gaussian_data_in_the_proved_dimension_are_p_orthogonal(n, p):
    delta, draws = 0.3, 300
    for dimension in (bounds.gaussian_dimension(n, p, delta), bounds.gaussian_dimension_sharp(n, p, delta)):
        grams = gaussian_grams(n, math.ceil(dimension), draws, np.random.default_rng(0))
        failures = int((p_of_grams(grams) < p).sum())
        assert stats.binomtest(failures, draws, delta, alternative="greater").pvalue > 1e-4


def p_orthogonal(product: float, u: float, gap: float) -> bool:
    """Return whether ``pn M ≤ R_min²/R²`` follows from the proof's bounds on the norms and inner products over d."""
    squares_ratio = (1 - math.sqrt(2) * u) / (1 + math.sqrt(2) * u + u**2)
    return product * gap <= (1 - math.sqrt(2) * u) * squares_ratio


def test_every_step_of_the_gaussian_proof_holds_at_the_least_dimension():
    """With u = sqrt(2L/d) the events' bounds imply p-orthogonality: also between the draws, for all pn > 0."""
    n, delta = 8, 0.1
    for product in np.geomspace(1e-3, 1e6, 2000):
        level = 2 * math.log(2 * n**2 / delta)
        u = math.sqrt(level / bounds.gaussian_dimension_sharp(n, product / n, delta))
        simple = math.sqrt(level / bounds.gaussian_dimension(n, product / n, delta))
        assert p_orthogonal(product, u, u + u**2 / 2)
        assert p_orthogonal(product, simple, math.sqrt(2) * simple + simple**2 / 2)
        if product > 1e4:  # to first order the proofs need 3 sqrt(2) + 1/2 = 4.743 < 19/4, and 3 + 1/4 = 13/4
            assert not p_orthogonal(product + 0.01 * 4.75, u, u + u**2 / 2)
            assert not p_orthogonal(product + 0.01 * 3.25, simple, math.sqrt(2) * simple + simple**2 / 2)


def test_the_proved_dimension_tends_to_the_threshold():
    sizes = (10**10, 10**20, 10**30)  # log log n against log n: slow
    ratios = [
        bounds.gaussian_dimension_sharp(n, 1.0, 1 / math.log(n)) / bounds.gaussian_threshold(n, 1.0) for n in sizes
    ]
    assert ratios[0] > ratios[1] > ratios[2]
    assert 1 < ratios[2] < 1.04


@pytest.mark.parametrize("n", [4, 16, 48])
def test_the_ceiling_holds_and_falls_below_the_threshold(n):
    draws, p = 300, 2.0
    for fraction in (0.3, 0.5, 0.7, 0.9):
        d = round(fraction * bounds.gaussian_threshold(n, p))
        hits = int((p_of_grams(gaussian_grams(n, d, draws, np.random.default_rng(1))) >= p).sum())
        assert stats.binomtest(hits, draws, bounds.gaussian_ceiling(n, d, p), alternative="greater").pvalue > 1e-4


def test_the_ceiling_vanishes_below_the_threshold_as_n_grows():
    dimensions = {n: round(0.8 * bounds.gaussian_threshold(n, 1.0)) for n in (10**4, 10**6, 10**8)}
    ceilings = [bounds.gaussian_ceiling(n, d, 1.0) for n, d in dimensions.items()]
    assert ceilings[0] > 2 * ceilings[1] > 4 * ceilings[2]


# 2.2


@given(st.one_of(cases(), cases(largest=lambda n: 1 / (2 * n))))
def test_the_classifiers_are_equal_exactly_when_no_weight_is_negative(case):
    margin, interpolator, gap = classifiers(case.X, case.y)
    least = interpolator.dual.min() / np.abs(interpolator.dual).max()
    if case.p * case.R**2 >= 2:  # X has condition number at most R sqrt(3): gap loses no more than four digits
        assert gap <= 1e-6 and (margin.dual > 0).all()
    elif least >= 0:
        assert gap <= 1e-5
    elif least < -1e-3:
        assert gap > 1e-5


@given(cases())
def test_weights_are_near_one(case):
    share = (len(case.y) - 1) * case.mu
    deviation = np.abs(case.s * np.diag(case.K) - 1).max() * (1 - ROUNDING) - ROUNDING
    assert deviation <= share / (1 - share)
    if case.p * case.R**2 > 1:
        assert deviation <= bounds.dual_weight_deviation(case.p, case.R)


def test_the_deviation_of_the_weights_is_reached_on_both_sides():
    for p, R in ((1.5, 1.0), (10.0, 1.0), (0.6, 2.0)):
        s_1, s_j = sharp_weights(10**6, p, R)
        bound = bounds.dual_weight_deviation(p, R)
        assert 0.99 * bound <= 1 - s_1 * R**2 <= bound
        assert 0.99 * bound <= s_j - 1 <= bound


@pytest.mark.parametrize("n", [3, 4, 200])
@pytest.mark.parametrize("R", [1.0, 1.7, 10.0])
def test_the_exact_threshold_separates_equal_from_different(n, R):
    """One per cent below the threshold the classifiers of the family differ, at and above it they do not."""
    for factor, equal in ((0.99, False), (1.0, True), (1.01, True)):
        _, interpolator, gap = classifiers(*sharp_family(n, factor * bounds.equality_threshold(n) / R**2, R))
        assert (gap < 1e-7) == (interpolator.dual[0] > -1e-9) == equal
        assert (abs(interpolator.dual[0]) < 1e-9) == (factor == 1)


@given(seed=SEEDS, n=st.integers(1, 6), extra=st.integers(0, 6), fraction=st.floats(0.02, 0.98))
def test_least_squares_contracts_to_the_minimum_norm_interpolator(seed, n, extra, fraction):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, n + extra)), rng.choice([-1.0, 1.0], n)
    values, vectors = np.linalg.eigh(X @ X.T)
    target, alpha = min_norm_interpolator(X, y).w, fraction * 2 * n / values[-1]
    shrinking = np.abs(1 - alpha / n * values)
    factor, r = shrinking.max(), vectors[:, shrinking.argmax()]
    assert np.linalg.norm(r - alpha / n * X @ (X.T @ r)) == pytest.approx(factor, rel=1e-9, abs=1e-12) and factor < 1
    w = start = X.T @ rng.standard_normal(n)
    for t in range(1, 30):
        w = w - alpha / n * X.T @ (X @ w - y)
        rounding = 1e-9 * (np.linalg.norm(start) + np.linalg.norm(target))
        assert np.linalg.norm(w - target) <= factor**t * np.linalg.norm(start - target) + rounding
        assert np.linalg.norm(X @ w - y) <= factor**t * np.linalg.norm(X @ start - y) + rounding * np.linalg.norm(X, 2)


# 2.3


def test_the_plane_example_is_as_computed_by_hand():
    margin, interpolator, _ = classifiers(*plane_example())
    assert np.allclose(margin.w, [1, 0], atol=1e-12) and np.allclose(margin.dual, [1, 0], atol=1e-12)
    assert np.allclose(interpolator.w, [1, -1]) and np.allclose(interpolator.dual, [3, -1])


def test_four_unit_vectors_that_are_one_orthogonal_suffice():
    X, y = sharp_family(4, 1.0)
    margin, interpolator, _ = classifiers(X, y)
    assert p_orthogonality(X) == pytest.approx(1)
    assert np.allclose(interpolator.dual, [-0.8, 2.4, 2.4, 2.4]) and margin.dual[0] == 0


@given(cosine=st.floats(-0.999, 0.999), R=st.floats(1, 3), label=st.sampled_from([-1.0, 1.0]))
def test_two_samples_differ_only_if_their_inner_product_reaches_the_smaller_square(cosine, R, label):
    X = np.array([[1.0, 0], [R * cosine, R * math.sqrt(1 - cosine**2)]])
    least = min_norm_interpolator(X, np.array([1.0, label])).dual.min()
    if abs(abs(R * cosine) - 1) > 1e-6:
        assert (least < 0) == (R * cosine * label > 1)


# 2.4


@given(cases(largest=lambda n: 1 / (2 * n - 3)))
def test_the_ratio_of_the_weights_is_bounded(case):
    n, p, R = len(case.y), case.p, case.R
    assert case.s.min() > 0
    # The smallest weight is about 1 - (2n-3) mu >= 1e-4 of the largest: it has four digits fewer.
    assert case.s.max() / case.s.min() <= bounds.weight_ratio_exact(n, p, R) * (1 + 1e4 * ROUNDING)
    if p * R**2 > 2:
        assert bounds.weight_ratio_exact(n, p, R) <= bounds.weight_ratio(p, R) * (1 + ROUNDING)
    if p * R**2 >= 3:
        assert bounds.weight_ratio(p, R) <= bounds.weight_ratio_simple(p, R) * (1 + ROUNDING)


@pytest.mark.parametrize("R", [1.0, 1.7, 10.0])
@pytest.mark.parametrize("pR2", [2.05, 3.0, 30.0])
def test_the_exact_ratio_is_attained(R, pR2):
    for n in (2, 3, 20):
        s = max_margin(*sharp_family(n, pR2 / R**2, R)).dual
        assert s.max() / s.min() == pytest.approx(bounds.weight_ratio_exact(n, pR2 / R**2, R), rel=1e-7)


@pytest.mark.parametrize("R", [1.0, 3.0])
def test_the_simple_ratio_is_reached_within_one_per_cent_as_n_grows(R):
    for pR2 in (2.1, 3.0, 30.0):
        s_1, s_j = sharp_weights(10**5, pR2 / R**2, R)
        bound = bounds.weight_ratio(pR2 / R**2, R)
        assert 0.99 * bound <= s_j / s_1 <= bound
    assert bounds.weight_ratio_simple(3 / R**2, R) == pytest.approx(bounds.weight_ratio(3 / R**2, R), rel=1e-12)


@given(cases(largest=lambda n: 1 / (2 * n)))
def test_the_angle_to_the_sum_is_bounded(case):
    w, total = max_margin(case.X, case.y).w, case.y @ case.X
    cosine = w @ total / np.linalg.norm(w) / np.linalg.norm(total) * (1 + 1e-6)
    assert cosine == pytest.approx(len(case.y) / math.sqrt(case.s.sum() * case.K.sum()), rel=2e-6)
    assert cosine >= bounds.angle_cosine(case.p, case.R)


@pytest.mark.parametrize("R", [1.0, 2.0, 10.0])
def test_the_angle_bound_is_attained_by_orthogonal_samples(R):
    w, total = max_margin(np.diag([1.0, R]), np.ones(2)).w, np.array([1.0, R])
    cosine = w @ total / np.linalg.norm(w) / np.linalg.norm(total)
    assert cosine == pytest.approx(bounds.angle_cosine(np.inf, R), rel=1e-12)


# The figures


def test_tables_report_what_the_chapter_says():
    rows = [line.replace("−", "-").split("|")[1:-1] for line in figures.equality_table(draws=5).splitlines()[2:]]
    for p, _, differ, least, deviation, bound in rows:
        assert (int(differ) > 0) == (float(least) < -0.01) == (float(p) < bounds.equality_threshold(20))
        assert float(deviation) <= float(bound)
    *_, sharp, last = [line.split("|") for line in figures.near_uniform_table().splitlines()]
    assert last[5:9] == [" 4.0000 "] * 2 + [" 0.8000 "] * 2
    assert sharp[5] == sharp[6] and float(sharp[7]) > float(sharp[8])


def test_two_losses_end_at_their_own_classifier():
    data, near = plane_example(), sharp_family(6, 3.0)
    assert figures.descent_angles(*data, 0.3, [5000], logistic=False)[0] == pytest.approx(math.pi / 4, rel=1e-6)
    assert figures.descent_angles(*data, 1.0, [5000], logistic=True)[0] < 0.1
    assert figures.descent_angles(*near, 1.0, [5000], logistic=False)[0] < 1e-12


@pytest.mark.parametrize(
    "name, arguments, words",
    [
        ("gaussian_dimension", (1, 3.0, 0.1), "n = 1"),
        ("gaussian_dimension_sharp", (5, 3.0, 1.0), "delta = 1.0"),
        ("dual_weight_deviation", (1.0,), "p = 1.0, R = 1.0"),
        ("equality_threshold", (2,), "n = 2"),
        ("weight_ratio", (2.0,), "p R^2 = 2.0"),
        ("weight_ratio", (3.0, 0.9), "R = 0.9"),
        ("weight_ratio_simple", (2.9,), "p R^2 = 2.9"),
        ("weight_ratio_exact", (4, 1.25), "p R^2 = 1.25"),
        ("angle_cosine", (1.9,), "p R^2 = 1.9"),
    ],
)
def test_bad_arguments_are_named(name, arguments, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        getattr(bounds, name)(*arguments)
