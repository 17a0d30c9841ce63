"""The stacked trainer: its gradient, its equality with plain PyTorch, its independence of how it is run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from implicit_bias.mnist import trainer as training
from implicit_bias.mnist.benchmark import sequential
from implicit_bias.mnist.data import synthetic_mnist
from implicit_bias.mnist.trainer import Member, initial_weights, train
from implicit_bias.rank import stable_rank
from implicit_bias.small_scale import small_scale_limit
from torch import nn
from torch.nn.functional import cross_entropy

GAMMA = 0.05
SIGMAS = (0.0002, 0.002, 0.02, 0.2, 2.0)


@pytest.fixture(scope="module")
def images():
    """Random images that stand in for MNIST: the claims here do not depend on the data."""
    return synthetic_mnist(500, 0)


def one_pass(data, member, width, dtype=torch.float64):
    """Return the parameters of a member and the engine's loss and gradient at them."""
    live, dead = training.column_order(data.train_images)
    device = torch.device("cpu")
    loaded = training._Images.load(data.train_images, data.train_labels, live, device)
    loaded.inputs = loaded.inputs.to(dtype)
    stack = training._Stack([member], live, dead, width, device)
    for name in ("first", "V", "c"):
        setattr(stack, name, getattr(stack, name).to(dtype))
    with training._team(device) as team:
        run = training._Pass(stack, loaded, GAMMA, 128, team)
        run.start(gradient=True)
        loss, _ = run.result()
    gradients = [gradient[0] / len(loaded) for gradient in run.gradients()]
    return stack, loaded, float(loss[0]), gradients


def plain_loss(first, V, c, inputs, labels):
    hidden = nn.functional.leaky_relu(inputs @ first.T, GAMMA)
    return cross_entropy(hidden @ V.T + c, labels)


def test_chunks_leave_out_nothing_but_zeros(images):
    live, dead = training.column_order(images.train_images)
    assert sorted([*live, *dead]) == list(range(784))
    loaded = training._Images.load(images.train_images, images.train_labels, live, torch.device("cpu"))
    seen = 0
    for rows, x in loaded.chunks(64):
        assert not loaded.inputs[rows, x.shape[1] :].any()
        torch.testing.assert_close(x[:, 0], torch.ones(len(x)))
        seen += len(x)
    assert seen == len(loaded) == len(images.train_labels)
    assert float(loaded.inputs[:, 1:].double().sum()) == pytest.approx(images.train_images.sum() / 255, rel=1e-6)


def test_black_images_are_no_exception(images):
    train_images = images.train_images.copy()
    train_images[:70] = 0
    data = replace(images, train_images=train_images)
    (trajectory,) = train([Member(0.02, 0, 0.2)], data, 4, spectra_at=(4,), chunk=32)
    assert_follows_plain_run(data, trajectory.member, trajectory, 4)


@pytest.mark.parametrize("sigma", [0.02, 0.5])
def test_gradient_is_autograds(images, sigma):
    stack, loaded, loss, gradients = one_pass(images, Member(sigma, 3, 0.1), 7)
    parameters = [value[0].clone().requires_grad_() for value in (stack.first, stack.V, stack.c)]
    expected = plain_loss(*parameters, loaded.inputs, loaded.labels)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    for gradient, parameter in zip(gradients, parameters):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-9, atol=1e-14)


def test_gradient_is_that_of_finite_differences(images):
    stack, loaded, _, gradients = one_pass(images, Member(0.1, 1, 0.1), 5)
    parameters = [value[0].clone() for value in (stack.first, stack.V, stack.c)]
    rng = np.random.default_rng(0)
    h = 1e-6
    for parameter, gradient in zip(parameters, gradients):
        direction = torch.from_numpy(rng.standard_normal(parameter.shape))
        ends = []
        for sign in (1, -1):
            parameter += sign * h * direction
            ends.append(plain_loss(*parameters, loaded.inputs, loaded.labels).item())
            parameter -= sign * h * direction
        slope = (ends[0] - ends[1]) / (2 * h)
        # Central differences err by O(h^2) and by rounding eps / h, about 1e-10; kinks within h are rare.
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-8)


def plain_run(data, member, steps, dtype=torch.float32):
    """Train with nn.Sequential and SGD; return losses, errors and stable ranks at 0..steps, and the model."""
    model = sequential(member).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=member.alpha)
    x, y = torch.from_numpy(data.train_images).to(dtype) / 255, torch.from_numpy(data.train_labels)
    losses, errors, ranks = [], [], []
    for _ in range(steps + 1):
        optimizer.zero_grad()
        logits = model(x)
        loss = cross_entropy(logits, y)
        losses.append(loss.item())
        errors.append((logits.argmax(1) != y).float().mean().item())
        ranks.append(stable_rank(model[0].weight.detach()))
        loss.backward()
        if len(losses) <= steps:
            optimizer.step()
    return np.array(losses), np.array(errors), np.array(ranks), model


def assert_follows_plain_run(data, member, trajectory, steps):
    """A plain run in float64 is the truth; the trainer's float32 may err as a plain float32 run does, times ten.

    At sigma = 2 a step multiplies rounding errors, by how much depends on the machine; so what is tolerated is
    measured. The bound on it keeps the comparison from becoming empty.
    """
    losses, errors, ranks, model = plain_run(data, member, steps, torch.float64)
    rounded_losses, _, rounded_ranks, _ = plain_run(data, member, steps)
    for found, rounded, true in (
        (trajectory.loss, rounded_losses, losses),
        (trajectory.stable_rank, rounded_ranks, ranks),
    ):
        allowed = 1e-5 + 10 * np.maximum.accumulate(np.abs(rounded / true - 1))
        assert allowed.max() < 1e-2
        assert (np.abs(found / true - 1) <= allowed).all()
    np.testing.assert_allclose(trajectory.train_error, errors, atol=2.5 / len(data.train_labels))
    spectrum = np.linalg.svd(model[0].weight.detach().numpy(), compute_uv=False)
    np.testing.assert_allclose(trajectory.singular_values[steps], spectrum, rtol=1e-3, atol=1e-5 * spectrum[0])


def test_follows_nn_sequential_with_sgd(images):
    members = [Member(sigma, 0, 0.2) for sigma in SIGMAS]
    for trajectory in train(members, images, 8, spectra_at=(8,)):
        assert_follows_plain_run(images, trajectory.member, trajectory, 8)


def test_follows_nn_sequential_with_sgd_on_mnist(mnist):
    members = [Member(sigma, 1, 0.5) for sigma in SIGMAS]
    for trajectory in train(members, mnist, 3, spectra_at=(3,)):
        assert_follows_plain_run(mnist, trajectory.member, trajectory, 3)


def test_a_member_does_not_depend_on_the_others(images):
    members = [Member(sigma, seed, alpha) for sigma in SIGMAS for seed, alpha in ((0, 0.1), (4, 0.3))]
    together = train(members, images, 6)
    for member, trajectory in zip(members, together):
        (alone,) = train([member], images, 6)
        # float32 products of other shapes round otherwise: 1e-5 is a hundred roundings.
        np.testing.assert_allclose(trajectory.loss, alone.loss, rtol=1e-5)
        np.testing.assert_allclose(trajectory.stable_rank, alone.stable_rank, rtol=1e-5)
        assert trajectory.member == member


@pytest.mark.parametrize("chunk", [1, 7, 100, 499, 500, 4096])
def test_does_not_depend_on_the_chunk(images, chunk):
    members = [Member(0.02, 0, 0.5), Member(2.0, 0, 0.5)]
    for one, other in zip(train(members, images, 5), train(members, images, 5, chunk=chunk)):
        np.testing.assert_allclose(one.loss, other.loss, rtol=1e-5)
        np.testing.assert_allclose(one.stable_rank, other.stable_rank, rtol=1e-5)


def test_does_not_depend_on_the_number_of_threads(images):
    members = [Member(0.02, 0, 0.5), Member(2.0, 0, 0.5)]
    threads = torch.get_num_threads()
    runs = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            runs.append(train(members, images, 5))
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(*runs):
        np.testing.assert_allclose(one.loss, other.loss, rtol=1e-5)
        np.testing.assert_allclose(one.stable_rank, other.stable_rank, rtol=1e-5)


def test_a_run_is_repeated_to_the_bit(images):
    runs = [train([Member(0.02, 0, 0.5), Member(2.0, 0, 0.5)], images, 5, chunk=64) for _ in range(2)]
    for one, other in zip(*runs):
        np.testing.assert_array_equal(one.loss, other.loss)
        np.testing.assert_array_equal(one.stable_rank, other.stable_rank)


def test_dead_pixels_count_in_the_stable_rank_and_in_the_test_error(images):
    """Pixels that are zero in training but not in the test images meet their initial weights there."""
    dead = np.flatnonzero(~images.train_images.any(axis=0))
    assert len(dead) > 0
    test_images = images.test_images.copy()
    test_images[:, dead] = 255
    data = replace(images, test_images=test_images)
    member = Member(0.5, 0, 0.2)
    (trajectory,) = train([member], data, 3)
    *_, model = plain_run(data, member, 3)
    x = torch.from_numpy(test_images).float() / 255
    error = (model(x).argmax(1) != torch.from_numpy(data.test_labels)).double().mean().item()
    assert trajectory.test_error == pytest.approx(error, abs=1.5 / len(x))
    plain = (
        (model(torch.from_numpy(images.test_images).float() / 255).argmax(1) != torch.from_numpy(data.test_labels))
        .double()
        .mean()
        .item()
    )
    assert error != plain  # the lit pixels matter, so the comparison above says something


def test_initial_weights_of_one_seed_are_multiples_of_each_other():
    small, large = (initial_weights(sigma, 7, 5, 9) for sigma in (0.5, 2.0))
    for a, b in zip(small, large):
        np.testing.assert_array_equal(4 * a, b)
    W, *_ = initial_weights(2.0, 0, 150, 784)
    assert W.std() == pytest.approx(2.0, rel=0.01)


def test_divergence_is_recorded_and_the_others_go_on(images):
    explodes, learns = train([Member(2.0, 0, 1e30), Member(0.02, 0, 0.1)], images, 6)
    assert explodes.diverged_at is not None
    assert len(explodes.loss) == explodes.diverged_at
    assert np.isfinite(explodes.loss).all()
    assert np.isnan(explodes.test_error)
    assert learns.diverged_at is None and len(learns.loss) == 7
    (alone,) = train([learns.member], images, 6)
    np.testing.assert_allclose(learns.loss, alone.loss, rtol=1e-5)


def test_stops_below_the_target(images):
    data = images
    slow, fast = train([Member(0.1, 0, 1e-6), Member(0.1, 0, 0.2)], data, 60, stop_below=0.5)
    assert slow.step[-1] == 60
    assert 0 < fast.step[-1] < 60
    assert fast.train_error[-1] < 0.5 <= fast.train_error[:-1].min()


def test_probabilities_never_become_denormal():
    """At sigma = 2 the softmax would underflow; the smallest number that reaches a product stays normal."""
    assert np.float32(np.exp(training._LOWEST_LOGIT)) > 1e-30 / 2
    assert np.float32(np.exp(training._LOWEST_LOGIT)) * GAMMA * 1e-3 > np.finfo(np.float32).tiny


def test_memory_estimate_covers_25_members():
    assert training.members_that_fit() >= 25


@pytest.mark.parametrize(
    "bad, words",
    [
        ({"members": []}, "no members"),
        ({"steps": 0}, "steps = 0"),
        ({"gamma": 0.0}, "gamma = 0.0"),
        ({"gamma": 1.5}, "gamma = 1.5"),
        ({"width": 0}, "width = 0"),
        ({"chunk": 0}, "chunk = 0"),
        ({"members": [Member(0.1, 0, -1.0)]}, "alpha = -1.0"),
        ({"members": [Member(0.1, 0, float("inf"))]}, "alpha = inf"),
        ({"members": [Member(0.0, 0, 0.1)]}, "sigma = 0.0"),
        ({"members": [Member(float("nan"), 0, 0.1)]}, "sigma = nan"),
    ],
)
def test_bad_values_are_named(images, bad, words):
    arguments = {"members": [Member(0.1, 0, 0.1)], "data": images, "steps": 2} | bad
    with pytest.raises(ValueError, match=words):
        train(**arguments)


def test_small_scale_limit_is_the_limit(images):
    """thm-small-scale: halving sigma four times brings the weights over sigma to the limit recursion, at rate sigma^2."""
    X = images.train_images[:60] / 255
    labels = images.train_labels[:60]
    m, steps, alpha = 6, 5, 0.4
    rng = np.random.default_rng(5)
    U, A, c = rng.standard_normal((m, 785)), rng.standard_normal((10, m)), rng.standard_normal(10)
    limit = small_scale_limit(U, A, X, labels, alpha, GAMMA, steps)[-1]
    distances = []
    for sigma in (1e-2, 1e-3, 1e-4):
        parameters = [torch.from_numpy(sigma * value).requires_grad_() for value in (U, A, c)]
        inputs = torch.from_numpy(np.column_stack((X, np.ones(60))))
        for _ in range(steps):
            loss = plain_loss(*parameters, inputs, torch.from_numpy(labels))
            with torch.no_grad():
                for parameter, slope in zip(parameters, torch.autograd.grad(loss, parameters)):
                    parameter -= alpha * slope
        distances.append(
            [
                np.abs(parameters[0].detach().numpy() / sigma - limit.U).max(),
                np.abs(parameters[1].detach().numpy() / sigma - limit.A).max(),
                np.abs(parameters[2].detach().numpy() - limit.c).max(),
            ]
        )
    for before, after in zip(distances, distances[1:]):
        assert all(b < a / 5 for a, b in zip(before, after))  # c's start sigma * zeta is felt at rate sigma
    assert max(distances[-1]) < 1e-2


def test_small_scale_limit_is_homogeneous_but_not_linear(images):
    X, labels = images.train_images[:40] / 255, images.train_labels[:40]
    rng = np.random.default_rng(1)
    U, A = rng.standard_normal((2, 4, 785)), rng.standard_normal((2, 10, 4))

    def last(u, a):
        return small_scale_limit(u, a, X, labels, 0.5, GAMMA, 3)[-1].U

    np.testing.assert_allclose(last(3 * U[0], 3 * A[0]), 3 * last(U[0], A[0]), rtol=1e-10, atol=1e-12)
    gap = last(U[0] + U[1], A[0] + A[1]) - last(U[0], A[0]) - last(U[1], A[1])
    assert np.abs(gap).max() > 1e-3


def test_small_scale_limit_names_bad_values():
    U, A, X, labels = np.ones((2, 4)), np.ones((10, 2)), np.ones((5, 3)), np.zeros(5, int)
    with pytest.raises(ValueError, match="shapes"):
        small_scale_limit(U[:, :3], A, X, labels, 0.1, 0.5, 1)
    with pytest.raises(ValueError, match="labels from 0 to 12"):
        small_scale_limit(U, A, X, labels + 3 * np.arange(5), 0.1, 0.5, 1)
    with pytest.raises(ValueError, match="alpha = -1"):
        small_scale_limit(U, A, X, labels, -1, 0.5, 1)
