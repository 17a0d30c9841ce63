"""Problem 3: every inequality and every sharp constant of the chapter on the stable rank."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from implicit_bias import bounds
from implicit_bias.network import gradient_descent, leaky_relu_derivative, loss_gradient, network, output_weights
from implicit_bias.rank import (
    activation_spread,
    coefficient_spread,
    expected_stable_rank,
    extremal_network,
    gaussian_gradient_rank,
    gaussian_spread,
    nearly_orthogonal_samples,
    orthogonality_defect,
    stable_rank,
)
from scipy import stats

ROUNDING = 1e-9
"""Relative excess that float64 may cause. Sums of at most 60 terms and singular values of matrices of at most 60
rows have errors below 1e-13 of their size; θ is known to 1e-15·n·(R_max/R_min)² ≤ 1e-11 (the samples' norms spread
over three orders of magnitude at most), and enters through 1/(1-θ) ≤ 1/(1-0.98) = 50."""

EPS = np.finfo(float).eps
seeds = st.integers(0, 2**32 - 1)
slopes = st.one_of(st.sampled_from([1.0, 0.999, 1e-3, 1e-6]), st.floats(0.01, 1.0))


def samples(n, rng, theta, spread=0.0, scale=1.0):
    """Samples with ``θ(S) ≤ theta`` whose norms spread over ``10^spread`` around ``scale``."""
    norms = 10 ** rng.uniform(0, spread, n)
    ratio = norms.max() / norms.min()
    X = nearly_orthogonal_samples(n, n + int(rng.integers(0, 4)), theta / ratio**2, rng)
    return scale * norms[:, None] * X


def weights(kind, m, X, rng, size):
    """First-layer weights of one of five kinds, with ``‖W‖_F R_max = size`` (0 for the zero matrix)."""
    n, d = X.shape
    if kind == "zero":
        return np.zeros((m, d))
    W = rng.standard_normal((m, d))
    if kind == "dead rows":
        W *= rng.random((m, 1)) < 0.5
    if kind == "aligned":  # each neuron on or off at one sample
        W = rng.choice([-1.0, 1.0], (m, 1)) * X[rng.integers(0, n, m)]
    if kind == "kink":  # orthogonal to a sample up to rounding
        x = X[rng.integers(0, n, m)]
        W -= np.sum(W * x, axis=1, keepdims=True) / np.sum(x * x, axis=1, keepdims=True) * x
    norm = np.linalg.norm(W)
    return W * (size / norm / np.linalg.norm(X, axis=1).max()) if norm > 0 else W


SIZES = st.sampled_from([1e-6, 1e-2, 1.0, 5.0, 30.0])


@st.composite
def instances(draw, sizes=SIZES):
    """Return ``X, y, W, a, gamma, at_zero``, random or adversarial, at most 6 samples and 6 neurons."""
    rng = np.random.default_rng(draw(seeds))
    n, m = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    theta = draw(st.sampled_from([0.0, 1e-3, 0.3, 0.9, 0.98]))
    X = samples(n, rng, theta, draw(st.sampled_from([0.0, 3.0])), draw(st.sampled_from([1e-3, 1.0, 1e3])))
    kind = draw(st.sampled_from(["gaussian", "zero", "dead rows", "aligned", "kink"]))
    W = weights(kind, m, X, rng, draw(sizes))
    gamma = draw(slopes)
    at_zero = draw(st.sampled_from([gamma, 1.0, (1 + gamma) / 2]))
    return X, rng.choice([-1.0, 1.0], n), W, output_weights(rng.choice([-1.0, 1.0], m)), gamma, at_zero


# 3.1: at initialisation


@pytest.mark.parametrize("m", [1, 2, 20, 60, 150])
@pytest.mark.parametrize("d", [1, 3, 40, 200])
def test_gaussian_weights_are_above_the_floor(m, d):
    rng = np.random.default_rng(1000 * m + d)
    ranks = [stable_rank(10 ** rng.uniform(-8, 8) * rng.standard_normal((m, d))) for _ in range(5)]
    assert min(ranks) >= bounds.initial_rank_floor(m, d)


def test_floor_at_initialisation_is_a_case_of_the_finer_one():
    for m, d in [(1, 1), (7, 30), (150, 784), (900, 4)]:
        t = math.sqrt(max(m, d))
        assert bounds.initial_rank_floor(m, d) <= bounds.initial_rank_fine_floor(m, d, 0.5, t) * (1 + ROUNDING)
        assert bounds.initial_rank_failure(m, d) == pytest.approx(bounds.initial_rank_fine_failure(m, d, 0.5, t))
    assert bounds.initial_rank_floor(36, 90) == 2.0
    assert bounds.initial_rank_fine_floor(100, 100, 0.5, 10.0) == pytest.approx(100 / 18)


def test_finer_floor_holds_and_is_close_for_large_matrices():
    rng = np.random.default_rng(5)
    for m, d in [(300, 300), (150, 784), (100, 900)]:
        s, t = math.sqrt(4 * math.log(2e3) / (m * d)), math.sqrt(2 * math.log(4e3))
        floor = bounds.initial_rank_fine_floor(m, d, s, t)
        assert bounds.initial_rank_fine_failure(m, d, s, t) == pytest.approx(1e-3)
        measured = stable_rank(rng.standard_normal((m, d)))
        assert 0.75 * measured <= floor <= measured


@pytest.mark.parametrize("degrees", [1, 2, 5, 30, 200, 2000])
def test_chi_square_tails_of_the_two_proofs(degrees):
    assert stats.chi2.cdf(degrees / 2, degrees) <= math.exp(-degrees / 16)
    assert stats.chi2.sf(2 * degrees, degrees) <= bounds.weight_norm_failure(degrees, 1) == math.exp(-degrees / 8)


def test_no_constant_above_a_quarter_for_square_matrices():
    ranks = [stable_rank(np.random.default_rng(k).standard_normal((500, 500))) for k in range(2)]
    assert max(ranks) < 0.26 * 500
    assert min(ranks) > 0.25 * 500 * 0.98
    assert expected_stable_rank(500, 500) == pytest.approx(125)


# 3.2: the lemmas


@given(seed=seeds, n=st.integers(1, 30), theta=st.floats(0, 0.98), spread=st.sampled_from([0.0, 3.0]))
def test_nearly_orthogonal_samples_behave_as_orthogonal_ones(seed, n, theta, spread):
    rng = np.random.default_rng(seed)
    X = samples(n, rng, theta, spread)
    theta = orthogonality_defect(X)
    b = rng.standard_normal(n) * 10 ** rng.uniform(-4, 4, n)
    single, joint = b**2 @ np.sum(X**2, axis=1), np.sum((b @ X) ** 2)
    assert (1 - theta) * single <= joint * (1 + ROUNDING)
    assert joint <= (1 + theta) * single * (1 + ROUNDING)


@pytest.mark.parametrize("sign", [-1, 1])
def test_both_sides_of_the_gram_lemma_are_approached(sign):
    n, theta = 400, 0.5
    X = np.linalg.cholesky((1 - sign * theta / n) * np.eye(n) + sign * theta / n)
    assert orthogonality_defect(X) == pytest.approx(theta)
    assert np.sum(X.sum(axis=0) ** 2) / n == pytest.approx(1 + sign * theta, rel=0.01)


@given(
    seed=seeds,
    n=st.integers(1, 6),
    m=st.integers(1, 8),
    theta=st.sampled_from([0.0, 0.3, 0.98]),
    spread=st.sampled_from([0.0, 3.0]),
    share=st.floats(0.1, 1.0),
)
def test_rank_from_coefficients(seed, n, m, theta, spread, share):
    rng = np.random.default_rng(seed)
    X, y = samples(n, rng, theta, spread), rng.choice([-1.0, 1.0], n)
    theta, a = orthogonality_defect(X), output_weights(rng.choice([-1.0, 1.0], m))
    C = rng.exponential(size=(m, n)) ** 3 * (rng.random((m, n)) < share) * 10 ** rng.uniform(-6, 6, n)
    C[0, 0] += 1.0  # not all zero
    D = a[:, None] * ((C * y) @ X)
    used = C.max(axis=0) > 0
    bound = bounds.gradient_rank_bound(theta, max(1.0, coefficient_spread(C[:, used]).max()))
    assert stable_rank(D) <= bound * (1 + ROUNDING)
    floor = (1 - theta) * np.sum(C.mean(axis=0) ** 2 * np.sum(X**2, axis=1))
    assert np.linalg.norm(D, 2) ** 2 >= floor * (1 - ROUNDING) > 0


@given(seed=seeds, m=st.integers(1, 30), gamma=slopes, size=st.sampled_from([1e-100, 1.0, 1e100]))
def test_two_bounds_on_the_spread(seed, m, gamma, size):
    rng = np.random.default_rng(seed)
    u = np.clip(rng.uniform(gamma - 0.5, 1.5, m), gamma, 1.0)
    kappa = coefficient_spread(size * u[:, None])[0]
    assert kappa <= bounds.spread_bound(gamma) * (1 + ROUNDING)
    share = np.mean(u == 1.0)
    if share > 0:
        assert kappa <= (1 + ROUNDING) / share


@pytest.mark.parametrize("r, s", [(1, 1), (1, 2), (1, 20), (3, 7), (9, 10)])
def test_spread_is_largest_at_the_active_fraction_named(r, s):
    gamma, n = r / s, r + s
    spreads = [coefficient_spread(np.where(np.arange(n) < k, 1.0, gamma)[:, None])[0] for k in range(n + 1)]
    assert spreads[r] == pytest.approx(bounds.spread_bound(gamma), rel=1e-12)
    assert gamma == 1 or np.argmax(spreads) == r
    assert bounds.spread_bound(gamma) - 1 == pytest.approx((1 - gamma) ** 2 / (4 * gamma), abs=1e-12)


def test_one_over_the_active_fraction_is_approached_for_small_slopes():
    for q in [1, 3, 9]:
        u = np.where(np.arange(10) < q, 1.0, 1e-6)
        assert coefficient_spread(u[:, None])[0] == pytest.approx(10 / q, rel=0.01)


# 3.2: the gradient


@given(case=instances())
def test_every_gradient_has_a_small_stable_rank(case):
    X, y, W, a, gamma, at_zero = case
    theta = orthogonality_defect(X)
    spread = activation_spread(X, W, gamma, at_zero)
    measured = stable_rank(loss_gradient(X, y, W, a, gamma, at_zero))
    bound = bounds.gradient_rank_bound(theta, max(1.0, spread.kappa.max()))
    assert measured <= bound * (1 + ROUNDING)
    assert bound <= (1 + theta) / (1 - theta) * spread.kappa.max() * (1 + ROUNDING)
    assert spread.kappa.max() <= bounds.spread_bound(gamma) * (1 + ROUNDING)
    assert (spread.kappa * spread.active).max() <= 1 + ROUNDING


@pytest.mark.parametrize("r, s", [(1, 1), (1, 3), (1, 20), (2, 3), (3, 7), (9, 10)])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 3.0])
def test_adversarial_weights_reach_the_gradients_bound(r, s, scale):
    X, y, W, a = extremal_network(r, r + s, scale)
    gamma = r / s
    measured = stable_rank(loss_gradient(X, y, W, a, gamma))
    assert measured == pytest.approx(bounds.spread_bound(gamma), rel=1e-10)
    assert measured == pytest.approx(bounds.gradient_rank_bound(0.0, activation_spread(X, W, gamma).kappa.max()))


@pytest.mark.parametrize("active, n", [(1, 5), (2, 5), (4, 5), (5, 5), (3, 11)])
@pytest.mark.parametrize("gamma", [0.05, 0.4, 1.0])
def test_stable_rank_of_the_regular_patterns(active, n, gamma):
    X, y, W, a = extremal_network(active, n)
    q = active / n
    expected = (q + (1 - q) * gamma**2) / (q + (1 - q) * gamma) ** 2
    assert stable_rank(loss_gradient(X, y, W, a, gamma)) == pytest.approx(expected, rel=1e-10)


def test_irrational_slopes_are_approached():
    gamma = 1 / math.pi
    n = 200
    X, y, W, a = extremal_network(round(n * gamma / (1 + gamma)), n)
    assert stable_rank(loss_gradient(X, y, W, a, gamma)) >= 0.999 * bounds.spread_bound(gamma)


@pytest.mark.parametrize("n, equal", [(1, True), (3, True), (3, False), (12, True), (12, False)])
def test_gaussian_weights_reach_their_limit(n, equal):
    rng = np.random.default_rng(n)
    m, gamma = 60_000, 0.05
    norms = np.ones(n) if equal else 10 ** rng.uniform(-1, 1, n)
    X, y = norms[:, None] * np.linalg.qr(rng.standard_normal((n, n)))[0], rng.choice([-1.0, 1.0], n)
    W, a = 10 ** rng.uniform(-9, -6) * rng.standard_normal((m, n)), output_weights(rng.choice([-1.0, 1.0], m))
    g = 1 / (1 + np.exp(y * network(X, W, a, gamma)))
    limit = gaussian_gradient_rank(g * norms, gamma)
    assert stable_rank(loss_gradient(X, y, W, a, gamma)) == pytest.approx(limit, rel=0.01)
    assert activation_spread(X, W, gamma).kappa == pytest.approx(np.full(n, gaussian_spread(gamma)), rel=0.02)
    largest = (g * norms).max() ** 2 / np.sum((g * norms) ** 2)
    top = gaussian_spread(gamma)
    assert top / (1 + (top - 1) * largest) <= limit * (1 + ROUNDING) <= top * (1 + 2 * ROUNDING)


def test_gaussian_limit_needs_many_samples():
    ranks = [gaussian_gradient_rank(np.ones(n), 0.05) for n in (1, 2, 10, 100, 300)]
    assert ranks[0] == pytest.approx(1)
    assert np.all(np.diff(ranks) > 0)
    assert ranks[-1] == pytest.approx(gaussian_spread(0.05), rel=0.01)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 8, 40, 400, 4000])
def test_few_active_neurons_are_as_rare_as_proved(m):
    assert stats.binom.cdf(math.floor(m / 4), m, 0.5) <= bounds.activation_failure(1, m) == math.exp(-m / 8)


@pytest.mark.parametrize("gamma", [1e-9, 0.05, 1.0])
def test_gaussian_gradients_bound_is_free_of_the_slope(gamma):
    rng = np.random.default_rng(7)
    for n, m, d in [(1, 150, 3), (10, 150, 12), (30, 200, 60)]:
        X, y = nearly_orthogonal_samples(n, d, 1 / 3, rng), rng.choice([-1.0, 1.0], n)
        W, a = rng.standard_normal((m, d)), output_weights(rng.choice([-1.0, 1.0], m))
        spread = activation_spread(X, W, gamma)
        assert spread.active.min() > 0.25 and spread.kappa.max() <= 4
        measured = stable_rank(loss_gradient(X, y, W, a, gamma))
        assert measured <= bounds.gaussian_gradient_rank_bound(1 / 3, gamma) <= 7 * (1 + ROUNDING)


# 3.2: one step


@given(case=instances(sizes=st.sampled_from([1e-6, 1e-2, 0.5, 1.0])))
def test_gradient_is_not_small(case):
    X, y, W, a, gamma, at_zero = case
    norms = np.linalg.norm(X, axis=1)
    assert np.linalg.norm(W, 2) * norms.max() <= 1 + ROUNDING
    size = np.linalg.norm(loss_gradient(X, y, W, a, gamma, at_zero), 2)
    for slope in [gamma, activation_spread(X, W, gamma, at_zero).mean_slope.min()]:
        floor = bounds.gradient_norm_floor(len(X), orthogonality_defect(X), slope, norms.min())
        assert size >= floor * (1 - ROUNDING)


@pytest.mark.parametrize("gamma", [0.05, 1.0])
def test_gradients_floor_is_reached_at_the_largest_output(gamma):
    """One sample, one neuron, output 1 and label 1 (γ = 1), or output -γ and label -1 (its floor is off by g only)."""
    W = np.array([[1.0 if gamma == 1 else -1.0]])
    size = np.linalg.norm(loss_gradient([[1.0]], W[0], W, [1.0], gamma), 2)
    g = 1 / (1 + math.exp(gamma))
    assert size == pytest.approx(bounds.gradient_norm_floor(1, 0.0, gamma, 1.0) * g * (1 + math.e), rel=1e-12)


@given(seed=seeds, m=st.integers(1, 6), d=st.integers(1, 6), eta=st.floats(0, 0.95), aligned=st.booleans())
def test_small_perturbation(seed, m, d, eta, aligned):
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((m, d)) * 10 ** rng.uniform(-3, 3, (m, 1))
    W = rng.standard_normal((m, d))
    if aligned:  # take away from the top singular value
        u, _, v = np.linalg.svd(D)
        W = -np.outer(u[:, 0], v[0])
    W *= eta * np.linalg.norm(D, 2) / np.linalg.norm(W)
    before = max(1.0, stable_rank(D))
    bound = bounds.one_step_rank_bound(before, eta)
    assert stable_rank(W + D) <= bound * (1 + ROUNDING)
    assert bound <= ((1 + eta) / (1 - eta)) ** 2 * before * (1 + ROUNDING)


@given(
    case=instances(sizes=st.just(1.0)),
    eta=st.sampled_from([0.01, 1 / 12, 0.5, 0.99]),
    alpha=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_one_step_from_weights_as_large_as_allowed(case, eta, alpha):
    X, y, W, a, gamma, at_zero = case
    norms = np.linalg.norm(X, axis=1)
    theta, (m, d) = orthogonality_defect(X), W.shape
    sigma = bounds.one_step_sigma(m, d, len(X), theta, gamma, norms.min(), norms.max(), alpha, eta)
    if W.any():
        W = W * (sigma * math.sqrt(2 * m * d) / np.linalg.norm(W))
    gradient = loss_gradient(X, y, W, a, gamma, at_zero)
    assert np.linalg.norm(W) <= eta * alpha * np.linalg.norm(gradient, 2) * (1 + ROUNDING)
    bound = bounds.one_step_rank_bound(max(1.0, stable_rank(gradient)), eta)
    assert stable_rank(W - alpha * gradient) <= bound * (1 + ROUNDING)


@pytest.mark.parametrize("gamma", [1e-3, 0.05, 1.0])
@pytest.mark.parametrize("alpha", [1e-3, 1.0, 1e3])
def test_one_step_lowers_the_stable_rank_to_nine(gamma, alpha):
    rng = np.random.default_rng(11)
    for n, m, d in [(1, 200, 300), (8, 200, 300), (20, 300, 200)]:
        X, y = nearly_orthogonal_samples(n, d, 1 / 3, rng), rng.choice([-1.0, 1.0], n)
        a, slope = output_weights(rng.choice([-1.0, 1.0], m)), max(gamma, 0.25)
        sigma = bounds.one_step_sigma(m, d, n, 1 / 3, slope, 1.0, 1.0, alpha, bounds.ONE_STEP_ETA)
        W = sigma * rng.standard_normal((m, d))
        assert stable_rank(W) >= bounds.initial_rank_floor(m, d) > bounds.ONE_STEP_CONSTANT
        assert stable_rank(W - alpha * loss_gradient(X, y, W, a, gamma)) <= bounds.ONE_STEP_CONSTANT


def test_universal_constant_follows_from_the_theorem():
    assert bounds.one_step_rank_bound(4.0, 0.5) == pytest.approx(25.0, rel=1e-12)
    bound = bounds.one_step_rank_bound(bounds.gradient_rank_bound(1 / 3, 4), bounds.ONE_STEP_ETA)
    assert math.ceil(bound) == bounds.ONE_STEP_CONSTANT
    assert bounds.gaussian_gradient_rank_bound(1 / 3, 1e-3) == pytest.approx(7, rel=1e-12)


def test_one_step_sigma_is_the_formula_of_the_theorem():
    sigma = bounds.one_step_sigma(50, 80, 10, 0.19, 0.25, 2.0, 3.0, 0.7, 0.5)
    norm = min(1 / 3, 0.5 * 0.7 * 0.9 * 0.25 * 2 / ((1 + math.e) * math.sqrt(10)))
    assert sigma == pytest.approx(norm / math.sqrt(8000), rel=1e-12)
    large_step = bounds.one_step_sigma(50, 80, 10, 0.19, 0.25, 2.0, 3.0, 1e9, 0.5)
    assert large_step == pytest.approx(1 / 3 / math.sqrt(8000), rel=1e-12)


# 3.2: the whole trajectory


@given(
    case=instances(), steps=st.integers(1, 25), decades=st.sampled_from([(-3, -3), (0, 0), (3, 3), (-3, 3)]), seed=seeds
)
def test_change_of_the_weights_keeps_a_small_stable_rank(case, steps, decades, seed):
    X, y, W, a, gamma, at_zero = case
    rng, theta = np.random.default_rng(seed), orthogonality_defect(X)
    alphas = 10.0 ** rng.uniform(*decades, steps) / np.linalg.norm(X, axis=1).max() ** 2
    run = gradient_descent(X, y, W, a, gamma, alphas, steps, at_zero=at_zero, record_rank=True)
    change = run.W - W
    # each step rounds entries of the size of the weights; what that does to the rank is the lemma on perturbations
    lost = 2 * (steps + 1) * EPS * run.F.max() / np.linalg.norm(change, 2)
    bound = bounds.one_step_rank_bound(bounds.trajectory_rank_bound(theta, gamma), lost)
    assert run.rank_of_change[-1] <= bound * (1 + ROUNDING)
    assert np.isfinite(run.rank_of_change[1:]).all()


@pytest.mark.parametrize("r, s", [(1, 2), (1, 20), (3, 7)])
@pytest.mark.parametrize("alpha", [1e-3, 1.0, 1e3])
def test_trajectory_bound_is_reached(r, s, alpha):
    X, y, W, a = extremal_network(r, r + s)
    run = gradient_descent(X, y, W, a, r / s, alpha, 1, record_rank=True)
    assert run.rank_of_change[1] == pytest.approx(bounds.trajectory_rank_bound(0.0, r / s), rel=1e-9)


@pytest.mark.parametrize("r, s", [(1, 2), (1, 20), (3, 7)])
def test_trajectory_bound_is_reached_at_every_step_before_a_neuron_switches(r, s):
    n, gamma, alpha, steps = r + s, r / s, 2.0, 30
    scale = gamma * n**-1.5 * alpha * steps * 1.001
    X, y, W, a = extremal_network(r, n, scale)
    run = gradient_descent(X, y, W, a, gamma, alpha, steps, record_rank=True)
    np.testing.assert_allclose(run.rank_of_change[1:], bounds.trajectory_rank_bound(0.0, gamma), rtol=1e-9)


@given(case=instances(), steps=st.integers(2, 15), alpha=st.sampled_from([1e-2, 1.0, 1e2]))
def test_change_of_the_weights_stays_above_its_first_floor(case, steps, alpha):
    X, y, W, a, gamma, at_zero = case
    squares = np.sum(X**2, axis=1)
    alpha = alpha / squares.max()
    g = 1 / (1 + np.exp(y * network(X, W, a, gamma)))
    means = alpha / len(X) * g * activation_spread(X, W, gamma, at_zero).mean_slope
    floor = math.sqrt((1 - orthogonality_defect(X)) * np.sum(means**2 * squares))
    run = gradient_descent(X, y, W, a, gamma, alpha, steps, at_zero=at_zero)
    size = np.linalg.norm(run.W - W, 2)
    assert size >= floor * (1 - ROUNDING) - 2 * (steps + 1) * EPS * run.F.max()


@given(
    case=instances(sizes=st.just(1.0)),
    eta=st.sampled_from([0.05, 0.5, 0.9]),
    first=st.sampled_from([1e-3, 1.0, 1e3]),
    seed=seeds,
)
def test_weights_themselves_from_a_small_initialisation(case, eta, first, seed):
    X, y, W, a, gamma, at_zero = case
    norms = np.linalg.norm(X, axis=1)
    theta = orthogonality_defect(X)
    alphas = np.append(first, 10.0 ** np.random.default_rng(seed).uniform(-3, 3, 7))
    norm = min(1 / norms.max(), eta * first * bounds.gradient_norm_floor(len(X), theta, gamma, norms.min()))
    if W.any():
        W = W * (norm / np.linalg.norm(W))
    ranks = gradient_descent(X, y, W, a, gamma, alphas, 8, at_zero=at_zero, record_rank=True).rank[1:]
    bound = bounds.one_step_rank_bound(bounds.trajectory_rank_bound(theta, gamma), eta)
    assert ranks.max() <= bound * (1 + ROUNDING)


@pytest.mark.parametrize("sigma", [0.1, 3.0])
def test_stable_rank_falls_from_any_initialisation(sigma):
    rng = np.random.default_rng(2)
    n, m, d, gamma = 6, 60, 90, 0.2
    X, y = nearly_orthogonal_samples(n, d, 1 / 3, rng), rng.choice([-1.0, 1.0], n)
    W, a = sigma * rng.standard_normal((m, d)), output_weights(rng.choice([-1.0, 1.0], m))
    run = gradient_descent(X, y, W, a, gamma, 1e6, 5, record_rank=True)
    bound = bounds.trajectory_rank_bound(1 / 3, gamma)
    assert run.rank[0] > 5 * bound
    assert run.rank[-1] <= bound


@pytest.mark.parametrize("loss", ["exponential", "batches"])
def test_other_losses_and_mini_batches_keep_the_bound(loss):
    rng = np.random.default_rng(4)
    for _ in range(30):
        n, m, gamma = int(rng.integers(2, 6)), int(rng.integers(2, 6)), rng.uniform(0.02, 1)
        X, y = nearly_orthogonal_samples(n, n, rng.uniform(0, 0.9), rng), rng.choice([-1.0, 1.0], n)
        a, W = output_weights(rng.choice([-1.0, 1.0], m)), rng.standard_normal((m, n))
        start = W
        for _ in range(20):
            f = y * network(X, W, a, gamma)
            g = np.exp(-f) if loss == "exponential" else (rng.random(n) < 0.4) * rng.exponential(size=n)
            coefficients = leaky_relu_derivative(W @ X.T, gamma) * g * y
            W = W + 10 ** rng.uniform(-2, 0) * a[:, None] * (coefficients @ X)
        assert stable_rank(W - start) <= bounds.trajectory_rank_bound(orthogonality_defect(X), gamma) * (1 + ROUNDING)


# error paths


@pytest.mark.parametrize(
    "name, arguments, words",
    [
        ("initial_rank_floor", (0, 3), "= 0"),
        ("initial_rank_fine_floor", (3, 3, 1.0, 0.0), "eps = 1.0"),
        ("initial_rank_fine_floor", (3, 3, 0.5, -1.0), "xi = -1.0"),
        ("initial_rank_fine_failure", (3, 3, 0.0, 1.0), "eps = 0.0"),
        ("spread_bound", (0.0,), "gamma = 0.0"),
        ("spread_bound", (1.1,), "gamma = 1.1"),
        ("gradient_rank_bound", (1.0, 2.0), "theta = 1.0"),
        ("gradient_rank_bound", (-0.1, 2.0), "theta = -0.1"),
        ("gradient_rank_bound", (0.5, 0.9), "kappa = 0.9"),
        ("gradient_rank_bound", (math.nan, 1.0), "theta = nan"),
        ("gradient_norm_floor", (3, 1.0, 0.5, 1.0), "theta = 1.0"),
        ("gradient_norm_floor", (3, 0.1, 0.0, 1.0), "slope = 0.0"),
        ("one_step_sigma", (3, 3, 3, 0.1, 0.5, 2.0, 1.0, 1.0, 0.5), "R_min = 2.0"),
        ("one_step_sigma", (3, 3, 3, 0.1, 0.5, 1.0, 1.0, 0.0, 0.5), "alpha = 0.0"),
        ("one_step_sigma", (3, 3, 3, 0.1, 0.5, 1.0, 1.0, 1.0, 1.0), "eta = 1.0"),
        ("one_step_rank_bound", (0.5, 0.5), "rank = 0.5"),
        ("one_step_rank_bound", (2.0, 1.0), "eta = 1.0"),
    ],
)
def test_bounds_refuse_what_the_theorems_exclude(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        getattr(bounds, name)(*arguments)
