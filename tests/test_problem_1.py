"""The inequalities of Problem 1 on random and adversarial runs, and their sharp constants reached.

Tolerance: the quantities compared are sums of at most a few thousand float64 terms, each of relative accuracy
1e-16, so ``TOL`` relative to the largest term in the inequality leaves a margin of several orders of magnitude.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from implicit_bias import bounds, network
from implicit_bias.margin import max_margin
from implicit_bias.searches.problem_1 import one_sample_hitting_time, separable_data

TOL = 1e-10


@dataclass(frozen=True)
class Problem:
    X: np.ndarray
    y: np.ndarray
    v: np.ndarray
    W0: np.ndarray
    a: np.ndarray
    gamma: float
    at_zero: float
    alpha: float

    @property
    def V(self) -> np.ndarray:
        return np.outer(self.a, self.v / np.linalg.norm(self.v))

    @property
    def c(self) -> float:
        return bounds.margin_constant(self.gamma, self.v)

    def run(self, steps: int) -> network.Trajectory:
        where = self.X, self.y, self.W0, self.a, self.gamma, self.alpha
        return network.gradient_descent(*where, steps, V=self.V, at_zero=self.at_zero)


@st.composite
def problems(draw) -> Problem:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, d, m = (draw(st.integers(1, 6)) for _ in range(3))
    X, y, v = separable_data(n, d, rng, margin=10 ** draw(st.floats(-3, 0)))
    layout = draw(st.sampled_from(["plain", "nearly equal", "antipodal"]))
    if layout == "nearly equal":
        X = X[:1] + 1e-9 * rng.standard_normal(X.shape) * np.linalg.norm(X[0])
        y = np.full(n, y[0])
    elif layout == "antipodal":
        X, y = np.vstack([X, -X]), np.concatenate([y, -y])
    X = X / max(1.0, np.linalg.norm(X, axis=1).max())
    v = v / (y * (X @ v)).min()
    a = network.output_weights(rng.choice([-1.0, 1.0], m))
    gamma = draw(st.sampled_from([1e-4, 0.05, 0.5, 0.99, 1.0]))
    start = draw(st.sampled_from(["zero", "gaussian", "at the kink", "near the kink"]))
    W0 = rng.standard_normal((m, d)) * (start != "zero") * 10 ** draw(st.floats(-4, 3))
    if start.endswith("the kink"):
        W0 -= np.outer(W0 @ X[0], X[0]) / (X[0] @ X[0])
        W0 += 1e-12 * (start == "near the kink") * rng.standard_normal((m, d))
    at_zero = min(1.0, gamma + draw(st.sampled_from([0.0, 0.5, 1.0])) * (1 - gamma))
    return Problem(X, y, v, W0, a, gamma, at_zero, 10 ** draw(st.floats(-3, 3)))


# --- 1.1 ----------------------------------------------------------------------------------------


def one_sample(w: float, gamma: float, alpha: float, steps: int, **options) -> network.Trajectory:
    """Run gradient descent for ``n = m = d = 1`` and ``x = y = a = 1`` from the weight ``w``."""
    return network.gradient_descent([[1.0]], [1.0], [[w]], [1.0], gamma, alpha, steps, **options)


def gradient_change(X, y, W, other, a, gamma):
    return network.loss_gradient(X, y, W, a, gamma) - network.loss_gradient(X, y, other, a, gamma)


def crossing(X, y, a, gamma, rest, delta):
    """Return the quotient of `thm-smoothness` across the kink of neuron 1 at x, the first sample, and its limit.

    ``rest`` holds the rows 2, …, m; the first row is orthogonal to x, plus or minus δx.
    """
    x, free = X[0], np.random.default_rng(0).standard_normal(X.shape[1])
    centre = np.vstack([free - (free @ x) / (x @ x) * x if x.size > 1 else 0 * x, rest])
    shift = np.zeros_like(centre)
    shift[0] = delta * x
    change = gradient_change(X, y, centre + shift, centre - shift, a, gamma)
    coefficients = X @ x / (x @ x)
    on_line = np.linalg.norm(X - np.outer(coefficients, x), axis=1) < 1e-12
    slopes = network.g(network.margins(X, y, centre, a, gamma))
    jump = (1 - gamma) * abs((coefficients * slopes)[on_line].sum()) * np.linalg.norm(x) / (np.sqrt(a.size) * len(y))
    return np.linalg.norm(change) / (2 * delta * np.linalg.norm(x)), jump / (2 * delta * np.linalg.norm(x))


@given(problems(), st.floats(0.05, 0.95))
def test_gradient_jumps_by_the_amount_of_the_proof(problem, gamma):
    rest = problem.W0[1:] / max(1.0, np.linalg.norm(problem.W0))
    rest = rest + 0.1 * np.random.default_rng(0).standard_normal(rest.shape)  # off every kink, as in the proof
    quotient, limit = crossing(problem.X, problem.y, problem.a, gamma, rest, 1e-7)
    assert quotient >= limit * (1 - 1e-5) - 1


ANTIPODAL = (np.array([[0.6, 0.8], [-0.6, -0.8]]), np.array([1.0, -1.0]))
BALANCED = (np.array([[0.9], [-0.5], [-0.4]]), np.array([1.0, -1.0, -1.0]))


@pytest.mark.parametrize("X, y", [ANTIPODAL, BALANCED, (np.array([[1.0]]), np.array([-1.0]))])
@pytest.mark.parametrize("gamma", [0.01, 0.5, 0.98])
def test_loss_is_not_smooth_for_two_neurons_even_on_antipodal_data(X, y, gamma):
    a = network.output_weights([1, -1])
    near, nearer = (
        max(crossing(X, y, a, gamma, s * X[:1], delta)[0] for s in (-2.0, -0.7, 0.7, 2.0)) for delta in (1e-7, 1e-9)
    )
    assert nearer > 1e3
    assert nearer == pytest.approx(1e2 * near, rel=1e-2)


@pytest.mark.parametrize("gamma", [0.01, 0.5])
def test_loss_of_one_neuron_is_not_smooth_where_a_line_does_not_add_up_to_zero(gamma):
    X, y = np.array([[0.9], [-0.5], [-0.3]]), np.array([1.0, -1.0, -1.0])
    assert crossing(X, y, np.array([1.0]), gamma, np.zeros((0, 1)), 1e-8)[0] > 1e4


@given(st.integers(0, 2**32 - 1), st.sampled_from([ANTIPODAL, BALANCED]), st.sampled_from([0.01, 0.5, 1.0]))
def test_loss_of_one_neuron_is_a_quarter_smooth_where_every_line_adds_up_to_zero(seed, data, gamma):
    rng = np.random.default_rng(seed)
    (X, y), a = data, np.array([rng.choice([-1.0, 1.0])])
    W = rng.standard_normal((2, 1, X.shape[1])) * 10 ** rng.uniform(-4, 1)
    change = np.linalg.norm(gradient_change(X, y, *W, a, gamma))
    assert change <= bounds.smoothness_constant() * np.linalg.norm(W[0] - W[1]) * (1 + 1e-9)


@given(problems(), st.integers(0, 2**32 - 1), st.floats(-5, 2))
def test_linear_network_has_a_quarter_smooth_loss(problem, seed, size):
    D = np.random.default_rng(seed).standard_normal(problem.W0.shape) * 10**size
    change = np.linalg.norm(gradient_change(problem.X, problem.y, problem.W0, problem.W0 + D, problem.a, 1.0))
    assert change <= bounds.smoothness_constant() * np.linalg.norm(D) + 1e-14 * (1 + np.linalg.norm(problem.W0))


def test_one_quarter_is_reached():
    X, y, a = np.array([[0.6, 0.8]]), np.array([1.0]), network.output_weights([1, -1, 1])
    W = 1e-4 * np.outer(a, X[0])
    quotient = np.linalg.norm(gradient_change(X, y, W, -W, a, 1.0)) / np.linalg.norm(2 * W)
    assert quotient == pytest.approx(bounds.smoothness_constant(), rel=1e-6)


# --- 1.2 and 1.3 --------------------------------------------------------------------------------


@given(problems())
def test_every_gradient_agrees_with_the_margin_direction(problem):
    for x, label in zip(problem.X, problem.y):
        gradient = network.network_gradient(x, problem.W0, problem.a, problem.gamma, problem.at_zero)
        assert problem.c * (1 - TOL) <= label * (gradient * problem.V).sum() <= 1 + TOL


@given(problems(), st.sampled_from([0.0, 1e-3, 10.0]))
def test_no_direction_beats_the_max_margin_against_the_adversary(problem, noise):
    X, y, a, w = problem.X, problem.y, problem.a, max_margin(problem.X, problem.y).w
    best = bounds.margin_constant(problem.gamma, w)
    V = np.outer(a, w / np.linalg.norm(w)) + noise * np.random.default_rng(0).standard_normal(problem.W0.shape)
    off = [network.network_gradient(x, np.tile(-x, (a.size, 1)), a, problem.gamma) for x in X]
    least = min(label * (gradient * V).sum() for gradient, label in zip(off, y)) / np.linalg.norm(V)
    assert (0.99 * best if noise == 0 else -1) <= least <= best * (1 + 1e-6)


@given(problems())
def test_progress_lies_between_its_bounds(problem):
    run = problem.run(20)
    gains, rounding = np.diff(run.H), 1e-14 * (1 + run.F[1:] + run.F[:-1])
    assert (gains >= problem.alpha * problem.c * run.G[:-1] * (1 - TOL) - rounding).all()
    assert (gains <= problem.alpha * run.G[:-1] * (1 + TOL) + rounding).all()


@pytest.mark.parametrize("gamma", [0.01, 0.5, 1.0])
def test_progress_is_reached_with_every_neuron_off(gamma):
    x, a = np.array([0.3, 0.4]), network.output_weights([1, -1])
    problem = Problem(x[None], np.array([-1.0]), -x / (x @ x), np.tile(-x, (2, 1)), a, gamma, 1.0, alpha=0.1)
    run = problem.run(1)
    assert run.H[1] - run.H[0] == pytest.approx(0.1 * problem.c * run.G[0], rel=1e-9)


# --- 1.4 ----------------------------------------------------------------------------------------


@given(problems())
def test_norm_grows_no_faster_than_each_of_the_three_bounds(problem):
    run, alpha = problem.run(6), problem.alpha
    for norm, after, g_hat in zip(run.F, run.F[1:], run.G):
        rounding = TOL * (norm**2 + alpha**2 + 1e-300)
        if 0 < g_hat < 1 - 1e-6:
            assert after**2 <= bounds.norm_growth_sharp(norm, alpha, g_hat) + rounding
        assert after**2 <= bounds.norm_growth(norm, alpha, g_hat) + rounding
        assert bounds.norm_growth(norm, alpha, g_hat) <= norm**2 + 2 * alpha + alpha**2


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("gamma", [0.1, 1.0])
def test_norm_growth_is_reached_by_one_sample(alpha, gamma):
    for z in (0.1, 5.0, 1 + bounds.kappa()):
        run = one_sample(z, gamma, alpha, 1)
        growth = run.F[1] ** 2 - run.F[0] ** 2
        assert growth == pytest.approx(bounds.norm_growth_sharp(0, alpha, run.G[0]), rel=1e-9)
    assert growth == pytest.approx(bounds.norm_growth(0, alpha, run.G[0]), rel=1e-4)


# --- 1.5 ----------------------------------------------------------------------------------------


@given(problems(), st.sampled_from([1, 2, 5, 20, 80]))
def test_means_along_the_run_obey_their_bounds(problem, steps):
    run = problem.run(steps - 1)
    for values, bound in ((run.G, bounds.rate_homework), (run.G, bounds.fast_rate), (run.L, bounds.mean_loss)):
        assert values.mean() <= bound(steps, problem.alpha, problem.c, run.F[0]) * (1 + TOL)


def test_fast_rate_is_reached_by_one_huge_step():
    run = one_sample(-300.0, 1.0, 1e6, 0)
    assert run.G.mean() == pytest.approx(bounds.fast_rate(1, 1e6, 1.0, run.F[0]), rel=1e-3)


def test_fast_rate_is_reached_by_many_tiny_steps():
    alpha, steps = 1e-5, 2000
    mean = one_sample(0.0, 1.0, alpha, steps - 1).G.mean()
    assert 0.99 <= alpha * steps * mean / (2 * np.log((1 - mean) / mean) + alpha) <= 1
    assert mean <= bounds.fast_rate(steps, alpha, 1.0) <= 1.01 * mean


@pytest.mark.parametrize("c, gamma", [(1.0, 1.0), (0.3, 0.3), (0.1, 0.4), (0.1, 0.1)])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_no_run_on_the_single_sample_beats_the_lower_bound(c, gamma, share):
    at_zero = gamma + share * (1 - gamma)
    for alpha in (0.1, 1.0, 5.0):
        first = [one_sample_hitting_time(eps, alpha, c, alpha * c * at_zero * c / gamma / 2) for eps in (0.3, 0.03)]
        for eps, steps in zip((0.3, 0.03), first):
            assert bounds.steps_lower_bound(eps, alpha, c) <= steps <= bounds.steps_fast_rate(eps, alpha, c)
    data = [[c / gamma]], [1.0], [[0.0]], [-1.0]  # the last of the step sizes, by gradient descent itself
    run = network.gradient_descent(*data, gamma, alpha, first[0] + 1, at_zero=at_zero, stop_at=0.3)
    assert run.steps == pytest.approx(first[0], abs=1)


def test_lower_bound_is_nearly_reached():
    first = one_sample_hitting_time(1e-4, 0.01)
    assert 0.99 * first <= bounds.steps_lower_bound(1e-4, 0.01) <= first


@pytest.mark.parametrize("norm0", [0.5, 20.0])
def test_a_bad_start_costs_its_norm_over_alpha_c(norm0):
    gamma, alpha = 0.2, 0.1
    run = one_sample(-norm0, gamma, alpha, 10**5, stop_at=0.5)
    assert run.steps >= norm0 / (alpha * gamma)


# --- 1.6 ----------------------------------------------------------------------------------------


@given(st.lists(st.floats(-10, 60), min_size=1, max_size=8))
def test_small_g_bounds_the_loss(z):
    g_hat, loss, n = network.g(z).mean(), network.logistic_loss(z).mean(), len(z)
    assert g_hat <= loss * (1 + TOL)
    if n * g_hat < 1 - 1e-4:
        assert loss <= bounds.loss_bound(g_hat, n) * (1 + 1e-9)
    if n * g_hat <= 0.5:
        assert loss <= 2 * np.log(2) * g_hat * (1 + TOL)


@pytest.mark.parametrize("n", [1, 2, 10])
@pytest.mark.parametrize("bad", [-5.0, 0.0, 3.0])
def test_loss_bound_is_reached_with_one_bad_sample(n, bad):
    z = np.array([bad] + (n - 1) * [60.0])
    assert network.logistic_loss(z).mean() >= 0.9999 * bounds.loss_bound(network.g(z).mean(), n)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0, 1000.0])
@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_loss_target_is_met_before_the_counted_step_for_every_step_size(alpha, gamma):
    rng = np.random.default_rng(7)
    X, y, _ = separable_data(6, 3, rng, margin=0.5)
    a, W0 = network.output_weights([1, -1, 1, -1]), 0.3 * rng.standard_normal((4, 3))
    c = bounds.margin_constant(gamma, max_margin(X, y).w)
    steps = bounds.steps_to_loss(0.2, 6, alpha, c, np.linalg.norm(W0))
    run = network.gradient_descent(X, y, W0, a, gamma, alpha, steps - 1, stop_at=bounds.loss_target(0.2, 6))
    assert run.L.min() <= 0.2 and run.steps < steps


def test_mean_loss_bound_is_reached_by_one_step():
    run = one_sample(-500.0, 1.0, 1000.0, 0)
    assert run.L.mean() == pytest.approx(bounds.mean_loss(1, 1000.0, 1.0, run.F[0]), rel=0.01)


@given(st.floats(1e-6, 2), st.floats(-3, 3), st.floats(1e-3, 1), st.floats(0, 1e3), st.floats(0, 50))
def test_mean_loss_bound_is_the_least_over_the_shift_and_below_the_target_at_the_count(eps, exponent, c, norm0, above):
    alpha = 10.0**exponent
    steps = bounds.steps_to_loss_free_of_n(eps, alpha, c, norm0)
    found = bounds.mean_loss(steps, alpha, c, norm0)
    assert found <= eps * (1 + 1e-9)
    shift = above - alpha / 2
    other = np.logaddexp(0.0, -shift) + (c * norm0 + shift + alpha / 2) ** 2 / (2 * alpha * c**2 * steps)
    assert found <= other * (1 + 1e-9)


@pytest.mark.parametrize("gamma, at_zero", [(1.0, 1.0), (0.5, 0.5), (0.5, 1.0), (0.1, 0.3)])
@pytest.mark.parametrize("alpha", [10.0, 1e4])
def test_a_step_can_raise_the_loss_to_the_order_of_its_size(gamma, at_zero, alpha):
    X = np.array([[1.0, 0.0], [1.0, 0.0], [-0.75, np.sqrt(1 - 0.75**2)]])
    run = network.gradient_descent(X, np.ones(3), np.zeros((1, 2)), [1.0], gamma, alpha, 1, at_zero=at_zero)
    assert run.L[1] >= gamma**2 * alpha / 36 * (1 - TOL)


@pytest.mark.parametrize("alpha", [0.5, 4.0, 7.9])
@pytest.mark.parametrize("gamma, at_zero", [(1.0, 1.0), (0.3, 0.3), (0.05, 0.6)])
def test_last_iterate_where_no_kink_bends_the_wrong_way(alpha, gamma, at_zero):
    rng = np.random.default_rng(0)
    X, y, _ = separable_data(5, 3, rng, margin=0.5)
    a, W0 = network.output_weights([1, -1, 1]), rng.standard_normal((3, 3)) * [[0.0], [1.0], [1.0]]  # one on the kink
    if gamma < 1:
        X, y, a = X * y[:, None], np.ones(5), np.abs(a)
    c = bounds.margin_constant(gamma, max_margin(X, y).w)
    run = network.gradient_descent(X, y, W0, a, gamma, alpha, 500, at_zero=at_zero)
    assert (np.diff(run.L) < 0).all()
    for steps in (1, 10, 501):
        assert run.L[steps - 1] <= bounds.mean_loss(steps, alpha, c, run.F[0]) * (1 + TOL)
    start = np.flatnonzero(np.log(2) / 5 >= run.L)[0]
    for steps in (1, 10, 500 - start):
        assert run.L[start + steps] <= bounds.last_iterate_loss(steps, alpha, c)
