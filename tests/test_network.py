"""The network, its gradients and gradient descent agree with independent computations and reject bad input."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from implicit_bias import network

SEEDS = st.integers(0, 2**32 - 1)
GAMMAS = st.sampled_from([1e-6, 0.05, 0.5, 0.99, 1.0])


def random_network(seed: int, gamma: float, scale: float = 1.0):
    rng = np.random.default_rng(seed)
    n, d, m = rng.integers(1, 6, 3)
    X = rng.standard_normal((n, d))
    y = rng.choice([-1.0, 1.0], n)
    W = scale * rng.standard_normal((m, d))
    return X, y, W, network.output_weights(rng.choice([-1.0, 1.0], m)), gamma


@given(SEEDS, GAMMAS, st.sampled_from([1e-3, 1.0, 1e2]))
@example(seed=1259, gamma=0.99, scale=1e2)  # a margin of -812, where e^812 overflows
def test_loss_gradient_is_that_of_torch_autograd(seed, gamma, scale):
    X, y, W, a, gamma = random_network(seed, gamma, scale)
    weights = torch.tensor(W, requires_grad=True)
    hidden = torch.nn.functional.leaky_relu(torch.tensor(X) @ weights.T, gamma)
    loss = -torch.nn.functional.logsigmoid(torch.tensor(y) * (hidden @ torch.tensor(a))).mean()
    loss.backward()
    # Sums of up to 25 products of size 10 `scale` round to about 1e-13 `scale`: so far off may a margin be.
    assert network.empirical_loss(X, y, W, a, gamma) == pytest.approx(loss.item(), rel=1e-13 * (10 + scale))
    np.testing.assert_allclose(
        network.loss_gradient(X, y, W, a, gamma), weights.grad.numpy(), rtol=1e-10, atol=1e-13 * (1 + scale)
    )


@given(SEEDS, GAMMAS)
def test_loss_gradient_is_that_of_finite_differences(seed, gamma):
    X, y, W, a, gamma = random_network(seed, gamma)
    step = 1e-6
    if np.abs(X @ W.T).min() < 10 * step * np.abs(X).max():
        return  # the difference quotient would cross a kink
    numeric = np.empty_like(W)
    for index in np.ndindex(*W.shape):
        E = np.zeros_like(W)
        E[index] = step
        losses = [network.empirical_loss(X, y, W + s * E, a, gamma) for s in (1, -1)]
        numeric[index] = (losses[0] - losses[1]) / (2 * step)
    # rounding of the losses, 1e-16/1e-6, and the third derivative times 1e-12
    np.testing.assert_allclose(network.loss_gradient(X, y, W, a, gamma), numeric, rtol=0, atol=2e-8)


@given(SEEDS, GAMMAS, st.floats(0, 1), st.booleans())
def test_gradient_is_homogeneous_and_no_longer_than_the_sample(seed, gamma, share, at_kink):
    X, _, W, a, gamma = random_network(seed, gamma)
    at_zero = min(1.0, gamma + share * (1 - gamma))
    if at_kink:
        W[0] = 0
    for x, out in zip(X, network.network(X, W, a, gamma)):
        gradient = network.network_gradient(x, W, a, gamma, at_zero)
        assert (gradient * W).sum() == pytest.approx(out, rel=1e-12, abs=1e-12)
        assert np.linalg.norm(gradient) <= np.linalg.norm(x) * (1 + 1e-12)


@given(SEEDS, GAMMAS, st.floats(0, 1))
def test_loss_gradient_is_the_weighted_sum_of_network_gradients(seed, gamma, share):
    X, y, W, a, gamma = random_network(seed, gamma)
    W[0] = 0
    at_zero = min(1.0, gamma + share * (1 - gamma))
    weights = network.g(network.margins(X, y, W, a, gamma)) * y / len(y)
    expected = -sum(w * network.network_gradient(x, W, a, gamma, at_zero) for w, x in zip(weights, X))
    np.testing.assert_allclose(network.loss_gradient(X, y, W, a, gamma, at_zero), expected, rtol=1e-12, atol=1e-14)


def test_derivative_at_the_kink_is_the_number_given():
    assert network.leaky_relu_derivative([-1.0, 0.0, 2.0], 0.2, 0.7).tolist() == [0.2, 0.7, 1.0]
    gradient = network.network_gradient([2.0], [[0.0]], [1.0], 0.2, 0.7)
    assert gradient[0, 0] == pytest.approx(1.4)


def test_logistic_functions_are_exact_in_both_tails():
    assert network.logistic_loss([-1e4, 0.0, 1e4]).tolist() == [1e4, np.log(2), 0.0]
    assert network.logistic_loss(40.0) == pytest.approx(np.exp(-40), rel=1e-12)
    assert network.g(40.0) == pytest.approx(np.exp(-40), rel=1e-12)
    assert network.g(-1e4) == 1.0


@pytest.mark.parametrize("as_sequence", [False, True])
def test_gradient_descent_records_the_iterates(as_sequence):
    X, y, W0, a, gamma = random_network(3, 0.3)
    steps, V, sizes = 7, np.ones_like(W0), np.linspace(0.1, 2, 7)
    alpha = sizes if as_sequence else 0.5
    run = network.gradient_descent(X, y, W0, a, gamma, alpha, steps, V=V, record_rank=True)
    W = W0.copy()
    for t in range(steps + 1):
        assert run.H[t] == pytest.approx((W * V).sum())
        assert run.F[t] == pytest.approx(np.linalg.norm(W))
        assert run.G[t] == pytest.approx(network.empirical_g(X, y, W, a, gamma))
        assert run.L[t] == pytest.approx(network.empirical_loss(X, y, W, a, gamma))
        assert run.rank[t] == pytest.approx(np.linalg.norm(W) ** 2 / np.linalg.norm(W, 2) ** 2)
        change = W - W0
        if t == 0:
            assert np.isnan(run.rank_of_change[0])
        else:
            assert run.rank_of_change[t] == pytest.approx(np.linalg.norm(change) ** 2 / np.linalg.norm(change, 2) ** 2)
        if t < steps:
            W = W - (sizes[t] if as_sequence else 0.5) * network.loss_gradient(X, y, W, a, gamma)
    np.testing.assert_allclose(run.W, W)
    np.testing.assert_array_equal(run.W0, W0)
    assert run.steps == steps and run.alpha.shape == (steps,)


def test_gradient_descent_stops_at_the_first_small_value():
    run = network.gradient_descent([[1.0]], [1.0], [[0.0]], [1.0], 0.5, 1.0, 1000, stop_at=0.05)
    assert run.G[-1] <= 0.05 < run.G[-2]
    assert run.steps == run.G.size - 1 < 1000


def test_gradient_descent_leaves_its_input_alone_and_accepts_torch():
    X, y, W0, a, gamma = random_network(5, 0.3)
    kept = W0.copy()
    expected = network.gradient_descent(X, y, W0, a, gamma, 1.0, 3).W
    np.testing.assert_array_equal(W0, kept)
    given = [torch.tensor(value) for value in (X, y)] + [torch.tensor(W0, requires_grad=True), torch.tensor(a)]
    np.testing.assert_array_equal(network.gradient_descent(*given, gamma, 1.0, 3).W, expected)


GOOD = dict(X=[[1.0, 0.0]], y=[1.0], W0=[[0.0, 1.0]], a=[1.0], gamma=0.5, alpha=1.0, steps=2)


@pytest.mark.parametrize(
    "bad, words",
    [
        (dict(X=[1.0, 0.0]), r"X has shape \(2,\): \(n, d\) is needed"),
        (dict(X=[[1.0, 0.0, 0.0]]), r"W0 has shape \(1, 2\): \(m, d\) is needed, with d = 3 as in X"),
        (dict(X=[[np.nan, 0.0]]), "not finite"),
        (dict(X=np.zeros((0, 2))), "not empty"),
        (dict(y=[0.5]), "y has the entry 0.5"),
        (dict(W0=[[0.0, 1.0 + 1.0j]]), "W0 has entries of type complex128"),
        (dict(X=[[1.0, 0.0], [1.0]]), "X is no array of numbers"),
        (dict(y=[1.0, 1.0]), "with n = 1 as in X"),
        (dict(a=[0.5]), "must be ±1/√m"),
        (dict(a=[1.0, 1.0]), "with m = 1 as in W0"),
        (dict(gamma=0.0), "gamma = 0.0"),
        (dict(at_zero=1.1), "at_zero = 1.1"),
        (dict(alpha=0.0), "alpha has the entry 0.0"),
        (dict(alpha=np.inf), "alpha has 1 entries that are not finite"),
        (dict(alpha=1e300), "the weights overflow in step 1"),
        (dict(alpha=[1.0, 1.0, 1.0]), "2 of them"),
        (dict(steps=-1), "steps = -1"),
        (dict(steps=1.5), "steps = 1.5"),
        (dict(V=[[1.0]]), r"V has shape \(1, 1\): \(m, d\) is needed, with d = 2 as in X"),
    ],
)
def test_bad_input_is_named(bad, words):
    with pytest.raises(ValueError, match=words):
        network.gradient_descent(**(GOOD | bad))
