"""Study 7: the theorems that answer its questions hold along runs, and what the chapter says of its examples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from implicit_bias import bounds, network
from implicit_bias.margin import max_margin
from implicit_bias.rank import stable_rank
from implicit_bias.searches.problem_1 import rare_sample, rare_sample_hitting_times, separable_data
from implicit_bias.small_scale import small_scale_limit
from implicit_bias.studies import open_questions

# The logarithm


@pytest.mark.parametrize("gamma", [1.0, 0.3])
@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("n, alpha", [(6, 0.5), (20, 3.0), (20, 40.0)])
def test_one_sample_among_many_costs_the_logarithm(gamma, share, n, alpha):
    c = share * gamma / 10**0.5
    X, y = rare_sample(n, gamma, c)
    assert np.linalg.norm(X, axis=1).max() <= 1 + 1e-12
    assert bounds.margin_constant(gamma, max_margin(X, y).w) == pytest.approx(c, rel=1e-6)
    for slope in (gamma, 1.0):
        low, first = rare_sample_hitting_times(n, alpha, gamma, c, slope)
        assert bounds.steps_log_needed(n, alpha, c) <= first <= bounds.steps_fast_rate(0.5 / n, alpha, c)
        assert bounds.steps_log_squared_needed(n, alpha, c) <= low
        if max(low, first) < 2000:
            run = network.gradient_descent(X, y, np.zeros((1, 2)), [-1.0], gamma, alpha, max(low, first), at_zero=slope)
            assert np.flatnonzero(0.5 / n >= run.G)[0] == first
            assert np.flatnonzero(np.log((n - 3) / 2) / (4 * n) >= run.L)[0] == low


def test_the_logarithm_has_the_constant_of_the_proof():
    """Per factor of e in n, the steps over n grow by 1/(5αc²), neither more nor less, where c is largest."""
    c, (few, many) = 0.1**0.5, (1000, 16000)
    counts = [rare_sample_hitting_times(n, 1.0, 1.0, c, 1.0)[1] / n for n in (few, many)]
    assert counts[1] - counts[0] == pytest.approx(np.log(many / few) / (5 * c**2), rel=0.005)
    bound = [bounds.steps_log_needed(n, 1.0, c) / n for n in (few, many)]
    assert bound[1] - bound[0] == pytest.approx(np.log(many / few) / (5 * c**2), rel=0.005)


# The last iterate


def network_of(seed: int, gamma: float):
    """Return data of both labels, weights of order one, a second layer of both signs, and ``c``."""
    rng = np.random.default_rng(seed)
    X, y, _ = separable_data(6, 3, rng, margin=0.4)
    a = network.output_weights(np.resize([1.0, -1.0, 1.0], 7))
    return X, y, rng.standard_normal((7, 3)), a, bounds.margin_constant(gamma, max_margin(X, y).w)


@pytest.mark.parametrize("alpha", [0.5, 30.0, 500.0])
@pytest.mark.parametrize("gamma", [0.05, 0.5, 1.0])
def test_the_last_iterate_has_the_rate_for_every_step_size(alpha, gamma):
    X, y, W0, a, c = network_of(3, gamma)
    run = network.gradient_descent(X, y, W0, a, gamma, alpha, 4000)
    t = np.arange(2000, 4001)
    assert (alpha * c**2 * t * run.L[2000:] <= 1).all()


@pytest.mark.parametrize("c, gamma", [(1.0, 1.0), (0.5, 0.5)])
def test_the_rate_of_the_last_iterate_is_reached_by_one_sample(c, gamma):
    alpha, steps = 2 / c**2, 4000
    run = network.gradient_descent([[c / gamma]], [1.0], [[0.0]], [-1.0], gamma, alpha, steps)
    assert alpha * c**2 * steps * run.L[-1] == pytest.approx(1, rel=0.005)


@given(st.integers(0, 200), st.sampled_from([0.1, 0.6, 1.0]), st.floats(-2, 3))
def test_one_step_raises_the_loss_by_its_square_at_most(seed, gamma, exponent):
    X, y, W0, a, _ = network_of(seed, gamma)
    run = network.gradient_descent(X, y, W0, a, gamma, 10**exponent, 20)
    assert (1 / run.L[1:] >= 1 / run.L[:-1] - 10**exponent - 1e-9 / run.L[1:]).all()


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_mild_kinks_leave_the_loss_decreasing(part, seed):
    X, y, W0, a, _ = network_of(seed, 1.0)
    v = np.linalg.norm(max_margin(X, y).w)
    share = max((label * a < 0).mean() for label in y)
    gamma = 1 - 0.9 / (1 + v * share**0.5)  # then χ < c
    c, chi = gamma / v, (1 - gamma) * share**0.5
    alpha = part * 8 * (1 - chi / c)
    run = network.gradient_descent(X, y, W0, a, gamma, alpha, 1000)
    assert 0 < chi < c and (np.diff(run.L) < 0).all()
    start = np.flatnonzero(np.log(2) / len(y) >= run.L)[0]
    for steps in (1, 10, 1000 - start):
        assert run.L[start + steps] <= bounds.last_iterate_loss(steps, alpha, c, chi)


def test_the_loss_rises_again_and_again_where_neurons_rest_on_a_kink():
    run = open_questions.resting()
    late = np.flatnonzero(np.diff(run.L) > 0)
    assert late.size > 500 and late[-1] > run.steps - 10 and np.diff(run.L)[-500:].max() < 1e-5
    assert (run.W[:9] == run.W[0]).all()
    X = np.array([[1.0, 0.0], [open_questions.RHO, (1 - open_questions.RHO**2) ** 0.5]])
    assert abs(run.W[0] @ X[1]) < 1e-3 * (run.W[0] @ X[0])


def test_bad_values_of_the_last_iterate_are_named():
    with pytest.raises(ValueError, match=r"chi = 0.5, c = 0.5, alpha = 0.1: chi < c"):
        bounds.last_iterate_loss(1, 0.1, 0.5, 0.5)
    with pytest.raises(ValueError, match="n = 3"):
        bounds.steps_log_needed(3, 1.0, 0.5)


# The escape


def test_patterns_are_those_of_the_limit_recursion():
    at = open_questions.start(1)
    found = open_questions.patterns(at, 0.5, 40)
    assert (open_questions.limit(0.5)[1, :40] == found).all()  # each neuron evolves on its own
    states = small_scale_limit(at.U, at.A, at.inputs[:, :-1], at.labels, 1.0, 0.5, 39)
    expected = [np.where(at.inputs @ state.U.T > 0, 1.0, 0.5) for state in states]
    assert (found == expected).all() and max(np.abs(state.c).max() for state in states) < 1e-12


@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_small_weights_escape_at_the_rate_where_patterns_settle(gamma):
    steps, rate = open_questions.escapes(gamma), open_questions.rate(gamma)
    assert steps.shape == (open_questions.DRAWS, len(open_questions.SIGMAS))
    assert open_questions.slowness(gamma) == pytest.approx(1, abs=0.005)
    excess = steps * rate[:, None] + np.log(open_questions.SIGMAS)
    assert (np.ptp(excess[:, -2:], axis=1) < rate).all()  # a whole step is all that the last digits of σ change
    assert (open_questions.settled(gamma) < 100).all()


@pytest.mark.parametrize("draw", [0, 3])
@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_before_the_escape_one_direction_is_left(gamma, draw):
    at, sigma = open_questions.start(draw), 1e-100
    t, W = open_questions.escape(at, gamma, sigma, 1e-10)  # there σλ^t is about 1e-5
    last = open_questions.limit(gamma)[draw, -1]
    factors = open_questions.growth(at, last)
    top = np.flatnonzero(factors > factors.max() - 1e-12)
    delta = 1 / 3 - np.eye(3)[at.labels]
    p = np.linalg.svd((at.inputs.T * last[:, top[0]]) @ delta)[0][:, 0]
    assert (last[:, top] == last[:, top[:1]]).all() and np.abs(at.inputs @ p).min() > 1e-3
    assert t > 300 and stable_rank(W[:, :-1]) == pytest.approx(1, abs=1e-6)
    assert np.abs(W[top] @ p) == pytest.approx(np.linalg.norm(W[top], axis=1), rel=1e-6)


def test_neurons_that_rest_on_a_kink_are_slower():
    assert (open_questions.settled(0.05) == 1999).all() and open_questions.slowness(0.05).min() > 1.05


def test_settled_is_the_last_change():
    for found, k in zip(open_questions.limit(0.5), open_questions.settled(0.5)):
        assert (found[k:] == found[k]).all() and (found[k - 1] != found[k]).any()
