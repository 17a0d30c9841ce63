"""The constants of the theorems, and Problem 1's scalar lemmas, with interval arithmetic where a grid is not enough."""

import inspect
import math
from collections.abc import Callable

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import assume, given
from hypothesis import strategies as st
from implicit_bias import bounds, network

ctx.prec = 128
FINE_GRID = np.linspace(-50, 50, 200001)


def ball(lo: float, hi: float) -> arb:
    """Return a ball that holds [lo, hi]."""
    return arb(lo).union(arb(hi))


def certify_positive(f: Callable[[arb], arb], lo: float, hi: float, depth: int = 40) -> bool:
    """Return whether interval arithmetic proves ``f > 0`` on all of [lo, hi], by bisection."""
    pending = [(lo, hi, depth)]
    while pending:
        left, right, level = pending.pop()
        if f(ball(left, right)) > 0:
            continue
        if level == 0:
            return False
        middle = (left + right) / 2
        pending += [(left, middle, level - 1), (middle, right, level - 1)]
    return True


def g(z: arb) -> arb:
    return 1 / (1 + z.exp())


def test_certificate_fails_where_the_claim_is_false():
    assert certify_positive(lambda z: 2 + z.sin(), 0.0, 6.0)
    assert not certify_positive(lambda z: arb(0.99) + z.sin(), 0.0, 6.0, depth=20)


@given(st.floats(-700, 700))
def test_tangent_lemma_is_the_inequality_of_the_exponential(z):
    kappa = bounds.kappa()
    assert z * float(network.g(z)) <= kappa * (1 + 1e-12)
    assert math.exp(-1 - kappa) == pytest.approx(kappa, rel=1e-14)


def test_kappa_is_attained_and_no_smaller_number_serves():
    kappa = bounds.kappa()
    assert (1 + kappa) * float(network.g(1 + kappa)) == pytest.approx(kappa, rel=1e-14)


def test_kappa_is_lamberts_function_at_one_over_e():
    assert bounds.kappa() == pytest.approx(0.2784645427610738, abs=1e-15)
    assert bounds.kappa() * math.exp(bounds.kappa()) == pytest.approx(math.exp(-1), rel=1e-14)


def test_loss_is_at_most_two_log_two_times_its_slope_between_the_grid_points():
    two_log_two = 2 * arb(2).log()
    # h = 2 log 2 g - l has h(0) = 0, and h' = g (1 - 2 log 2 (1 - g)) > 0 near 0.
    assert certify_positive(lambda z: g(z) * (1 - two_log_two * (1 - g(z))), 0.0, 0.5)
    assert certify_positive(lambda z: two_log_two * g(z) - (1 + (-z).exp()).log(), 0.5, 40.0)
    # Tail z >= 40: l <= e^{-z}, and g >= e^{-z}/(1 + e^{-40}).
    assert two_log_two / (1 + (-arb(40)).exp()) > 1
    grid = FINE_GRID[FINE_GRID >= 0]
    quotient = network.logistic_loss(grid) / (2 * math.log(2) * network.g(grid))
    assert quotient.max() <= 1 + 1e-12 and quotient[0] >= 1 - 1e-12


@given(st.lists(st.floats(-40, 40), min_size=1, max_size=8))
def test_mean_of_z_g_is_at_most_psi_of_the_mean(z):
    slopes = network.g(z)
    # psi has slope at most about 1/(1-g) + |log| here, so rounding of the mean stays below 1e-10 near g = 1
    assume(slopes.mean() < 1 - 1e-5)
    assert (np.array(z) * slopes).mean() <= bounds.margin_gain(slopes.mean()) + 1e-10
    assert bounds.margin_gain(slopes.mean()) <= bounds.kappa() * (1 + 1e-12)


def test_psi_is_z_g_written_through_g():
    z = np.linspace(-20, 40, 601)
    np.testing.assert_allclose(bounds.margin_gain(network.g(z)), z * network.g(z), rtol=1e-7, atol=1e-12)


RATES = dict(
    eps=st.floats(1e-6, 0.999), alpha=st.floats(-3, 3).map(lambda u: 10**u),
    c=st.floats(1e-3, 1), norm0=st.one_of(st.just(0.0), st.floats(1e-3, 1e3)),
)  # fmt: skip


@given(**RATES)
def test_fast_count_is_never_above_the_homeworks(eps, alpha, c, norm0):
    assert 1 <= bounds.steps_fast_rate(eps, alpha, c, norm0) <= bounds.steps_homework(eps, alpha, c, norm0) + 1


@given(**RATES)
def test_rates_are_the_inverse_of_the_counts(eps, alpha, c, norm0):
    for count, rate in ((bounds.steps_homework, bounds.rate_homework), (bounds.steps_fast_rate, bounds.fast_rate)):
        steps = count(eps, alpha, c, norm0)
        assert rate(steps, alpha, c, norm0) <= eps * (1 + 1e-9)
        if steps > 1:
            assert rate(steps - 1, alpha, c, norm0) >= eps * (1 - 1e-9)


@given(st.floats(1e-6, 10), st.integers(1, 1000))
def test_loss_target_is_the_largest_and_never_below_the_simple_one(eps, n):
    target = bounds.loss_target(eps, n)
    if n * eps < 25:
        assert bounds.loss_bound(target, n) == pytest.approx(eps, rel=1e-4)
    assert target >= bounds.loss_target_simple(eps, n) * (1 - 1e-12)


def test_simple_loss_target_is_the_sharp_one_at_one_point():
    assert bounds.loss_target(math.log(2) / 7, 7) == pytest.approx(bounds.loss_target_simple(math.log(2) / 7, 7))


@pytest.mark.parametrize(
    "value, by_hand",
    [
        # each with its terms in another order than the code, and numbers at which every constant counts
        (bounds.last_iterate_loss(10, 4.0, 0.5), 16 * math.log(2) ** 2 / ((8 - 4) * 4 * 10 * 0.5) * 4),
        (bounds.last_iterate_loss(10, 2.0, 0.5, 0.125), math.log(4) ** 2 * 4 / (2 * 10 * 0.5)),
        (bounds.steps_log_needed(23, 2.0, 0.1), (23 * math.log(10) - 2) * 10),
        (bounds.steps_log_squared_needed(23, 2.0, 0.1), (23 * math.log(10) - 4) * 5),
        (bounds.steps_lower_bound(0.01, 2.0, 0.5), 2 * (99 * math.exp(-0.25) - math.exp(0.25))),
        (bounds.gaussian_dimension(4, 0.5, 0.25), (4 * 2 + 13) ** 2 * math.log(128) / 4),
        (bounds.gaussian_dimension_sharp(4, 0.5, 0.25), (4 * 2 + 19) ** 2 * math.log(128) / 8),
        (bounds.rate_homework(510, 0.5, 1.0, 0.25), 0.1),
        (bounds.gaussian_threshold(4, 0.5), 32 * math.log(2)),
        (bounds.steps_homework(0.1, 0.5, 1.0, 0.25), 500 + 10),
        (bounds.initial_rank_floor(36, 50), 2.0),
        (bounds.initial_rank_failure(4, 8), math.exp(-2) + 2 * math.exp(-4)),
        (bounds.weight_ratio_simple(6.0, 2.0), 4 + 1),
        (bounds.one_step_rank_bound(4.0, 0.5), 25.0),
        (bounds.dual_weight_deviation(2.0, 2.0), 1 / 7),
    ],
)
def test_constants_are_the_theorems(value, by_hand):
    assert value == pytest.approx(by_hand, rel=1e-12)


GOOD = dict(
    eps=0.1, alpha=1.0, c=0.5, norm0=1.0, norm=1.0, g_hat=0.1, g_value=0.2, n=6, steps=3, shift=1.0, gamma=0.5, v=[2.0],
    m=4, d=6, x=1.0, p=4.0, R=1.5, delta=0.1, X=[[1.0, 0.0]], ratio=2.0, eta=0.1, xi=1.0, theta=0.2, kappa=2.0,
    slope=0.5, R_min=1.0, R_max=2.0, rank=2.0, chi=0.1,
)  # fmt: skip
FUNCTIONS = [f for _, f in inspect.getmembers(bounds, inspect.isfunction) if f.__module__.startswith(bounds.__name__)]
ARGUMENTS = [(f, name) for f in FUNCTIONS for name in inspect.signature(f).parameters]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -1.0, 1e308, 1e-320])
def test_no_bound_is_nan_or_raises_anything_but_a_value_error(bad):
    for function, name in ARGUMENTS:
        good = {key: GOOD[key] for key in inspect.signature(function).parameters}
        assert np.isfinite(function(**good)).all()
        try:
            value = function(**(good | {name: bad}))
        except ValueError:
            continue
        assert (math.isfinite(bad) or name == "p") and not np.isnan(value).any(), (function, name)


@pytest.mark.parametrize(
    "name, arguments, words",
    [
        ("margin_constant", (0.5, [0.5]), "norm at least 1"),
        ("steps_fast_rate", (1.0, 1.0, 0.5), "eps = 1.0"),
        ("steps_homework", (0.1, 1.0, 1.5), "c = 1.5"),
        ("steps_homework", (1e-200, 1.0, 0.5), "more than float64 can count"),
        ("steps_homework", (0.1, 1.0, 0.5, -1.0), "norm0 = -1.0"),
        ("loss_bound", (0.1, 0), "n = 0"),
        ("steps_to_loss_free_of_n", (2.5, 1.0, 0.5), "eps = 2.5"),
        ("last_iterate_loss", (5, 8.0, 0.5), "alpha = 8.0"),
        ("margin_gain", (1.0,), "g_value has the entry 1.0"),
        ("gaussian_ceiling", (5, 0, 3.0), "d = 0"),
    ],
)
def test_bad_input_is_named(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        getattr(bounds, name)(*arguments)
