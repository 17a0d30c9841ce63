"""Stable rank, the spread of the slopes, and the data and networks that Problem 3's checks are made of."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from implicit_bias.margin import p_orthogonality
from implicit_bias.network import loss_gradient
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

ROUNDING = 1e-12
"""A singular value has an error of about (m+d) units of rounding of the largest one: 1e-14 at these sizes."""

seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, m=st.integers(1, 8), d=st.integers(1, 8))
def test_stable_rank_is_its_definition(seed, m, d):
    W = np.random.default_rng(seed).standard_normal((m, d))
    assert stable_rank(W) == pytest.approx(np.sum(W**2) / np.linalg.norm(W, 2) ** 2, rel=ROUNDING)


@given(seed=seeds, m=st.integers(1, 8), d=st.integers(1, 8), rank=st.integers(1, 8))
def test_stable_rank_is_between_one_and_the_rank(seed, m, d, rank):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, d))
    assert 1 <= stable_rank(W) <= min(m, d, rank) * (1 + ROUNDING)
    assert stable_rank(W.T) == pytest.approx(stable_rank(W), rel=ROUNDING)


@pytest.mark.parametrize("d", [2, 3, 10])
@pytest.mark.parametrize("last", [0.0, 1e-3, 0.5, 1.0])
def test_stable_rank_of_a_nearly_singular_identity(d, last):
    assert stable_rank(np.diag([1.0] * (d - 1) + [last])) == pytest.approx(d - 1 + last**2, rel=ROUNDING)


@pytest.mark.parametrize("d", [1, 2, 5, 40])
def test_stable_rank_of_one_large_singular_value(d):
    W = np.diag([1.0] + [math.exp(-d)] * (d - 1))
    assert np.linalg.matrix_rank(W, tol=1e-300) == d
    assert stable_rank(W) == pytest.approx(1 + (d - 1) * math.exp(-2 * d), rel=ROUNDING)


@pytest.mark.parametrize("scale", [5e-324, 1e-200, 1e-160, 1.0, 1e160, 1e200, 1e308])
def test_stable_rank_does_not_depend_on_the_scale(scale):
    assert stable_rank(scale * np.eye(3)) == pytest.approx(3, rel=ROUNDING)
    if 1e-300 < scale < 1e300:
        assert stable_rank(scale * np.diag([3.0, 2.0, 1.0])) == pytest.approx(14 / 9, rel=ROUNDING)


@pytest.mark.parametrize("make", [torch.tensor, np.array, list])
def test_stable_rank_takes_tensors_arrays_and_lists(make):
    assert stable_rank(make([[3.0, 0.0], [0.0, 4.0]])) == pytest.approx(25 / 16, rel=1e-6)


def test_stable_rank_takes_float32_and_tensors_that_need_gradients():
    W = torch.tensor([[1e-30, 0.0], [0.0, 1e-30]], dtype=torch.float32, requires_grad=True)
    assert stable_rank(W) == pytest.approx(2, rel=ROUNDING)


def test_expected_stable_rank_of_the_mnist_layer():
    assert expected_stable_rank(150, 784) == pytest.approx(72.6, abs=0.05)
    draw = stable_rank(np.random.default_rng(0).standard_normal((150, 784)))
    assert draw == pytest.approx(expected_stable_rank(150, 784), rel=0.03)


def test_spread_of_hand_made_coefficients():
    C = [[1.0, 2.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 5e-200]]
    assert coefficient_spread(C) == pytest.approx([1.0, 3.0, 3.0], rel=ROUNDING)


def test_activation_spread_with_exact_ties():
    X = np.array([[1.0, 0.0], [0.0, 1.0]])
    W = np.array([[1.0, 0.0], [-1.0, 0.0], [2.0, 1.0], [0.0, -1.0]])
    spread = activation_spread(X, W, gamma=0.25, at_zero=0.5)
    slopes = np.array([[1, 0.25, 1, 0.5], [0.5, 0.5, 1, 0.25]])
    assert spread.active == pytest.approx([0.5, 0.25])
    assert spread.mean_slope == pytest.approx(slopes.mean(axis=1))
    assert spread.kappa == pytest.approx((slopes**2).mean(axis=1) / slopes.mean(axis=1) ** 2, rel=ROUNDING)


def test_activation_spread_takes_tensors():
    X, W = torch.eye(3, dtype=torch.float64), torch.ones((2, 3), dtype=torch.float64)
    assert activation_spread(X, W, 0.1).kappa == pytest.approx([1, 1, 1])


def test_gaussian_spread_at_the_experiments_slope():
    assert gaussian_spread(0.05) == pytest.approx(1.8186, abs=5e-5)
    assert gaussian_spread(1.0) == 1.0


@given(n=st.integers(1, 30), gamma=st.floats(0.01, 1), size=st.sampled_from([1e-200, 1.0, 1e200]))
def test_gaussian_gradient_rank_of_equal_weights(n, gamma, size):
    mean, spread = ((1 + gamma) / 2) ** 2, ((1 - gamma) / 2) ** 2
    expected = n * (mean + spread) / (n * mean + spread)
    assert gaussian_gradient_rank(np.full(n, size), gamma) == pytest.approx(expected, rel=ROUNDING)


@pytest.mark.parametrize("active, n", [(1, 1), (1, 2), (2, 7), (7, 7)])
def test_extremal_network_is_regular(active, n):
    X, y, W, a = extremal_network(active, n, 2.0)
    assert ((W > 0).sum(axis=0) == active).all() and ((W > 0).sum(axis=1) == active).all()
    assert loss_gradient(X, y, W, a, 0.3).shape == (n, n)
    assert activation_spread(X, W, 0.3).active == pytest.approx(np.full(n, active / n))


@given(seed=seeds, n=st.integers(1, 12), extra=st.integers(0, 5), theta=st.floats(0, 0.999))
def test_nearly_orthogonal_samples_have_the_defect_asked_for(seed, n, extra, theta):
    X = nearly_orthogonal_samples(n, n + extra, theta, np.random.default_rng(seed))
    assert np.linalg.norm(X, axis=1) == pytest.approx(np.ones(n), rel=ROUNDING)
    assert orthogonality_defect(X) == pytest.approx(theta if n > 1 else 0.0, abs=1e-13)


@given(seed=seeds, n=st.integers(2, 6), scale=st.sampled_from([1e-150, 1.0, 1e150]))
def test_defect_is_what_p_orthogonality_says(seed, n, scale):
    X = np.random.default_rng(seed).standard_normal((n, n + 3))
    squares = np.sum(X**2, axis=1)
    expected = 1 / (p_orthogonality(X) * squares.max() / squares.min())
    assert orthogonality_defect(scale * X) == pytest.approx(expected, rel=1e-10)


def test_defect_of_orthogonal_data_and_of_one_sample():
    assert orthogonality_defect(np.diag([1.0, 5.0])) == 0
    assert orthogonality_defect([[3.0, 4.0]]) == 0


@pytest.mark.parametrize(
    "function, arguments, message",
    [
        (stable_rank, (np.zeros((2, 3)),), "nonzero"),
        (stable_rank, (np.ones(3),), r"\(m, d\) is needed"),
        (stable_rank, ([[1.0, np.inf]],), "finite"),
        (expected_stable_rank, (1.5, 2), "m = 1.5: a whole number"),
        (coefficient_spread, ([[1.0, -1.0]],), "C has the entry -1.0"),
        (coefficient_spread, ([[1.0, 0.0]],), "column 1"),
        (activation_spread, (np.eye(2), np.eye(3), 0.5), "with d = 2 as in X"),
        (activation_spread, (np.eye(2), np.eye(2), 1.5), "gamma = 1.5"),
        (activation_spread, (np.eye(2), np.eye(2), 0.5, 0.4), "at_zero = 0.4"),
        (gaussian_spread, (math.nan,), "gamma = nan"),
        (gaussian_gradient_rank, ([1.0], 0.0), "gamma = 0.0"),
        (gaussian_gradient_rank, ([1.0, 0.0], 0.5), "weights has the entry 0.0"),
        (extremal_network, (0, 3), "active = 0"),
        (extremal_network, (4, 3), "active <= n is needed"),
        (extremal_network, (1, 3, 0.0), "scale = 0.0"),
        (orthogonality_defect, ([[1.0, 0.0], [0.0, 0.0]],), "sample 1"),
        (nearly_orthogonal_samples, (3, 2, 0.5, None), "n <= d is needed"),
        (nearly_orthogonal_samples, (2, 2, 1.0, None), "theta = 1.0"),
    ],
)
def test_bad_input_is_named(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
