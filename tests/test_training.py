"""The trainer computes what plain PyTorch does, to 1e-9 in float64, however it is run. The small-scale limit."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from implicit_bias.mnist import plain
from implicit_bias.mnist.configuration import EXPERIMENT, Member
from implicit_bias.mnist.data import MNIST, synthetic_mnist
from implicit_bias.mnist.engine import Engine, FullBatch, Images, Stack, Threads, padded, pixel_order
from implicit_bias.mnist.plain import Run, initial_weights
from implicit_bias.mnist.trainer import Log, members_that_fit, train
from implicit_bias.mnist.variants import Autograd
from implicit_bias.small_scale import small_scale_limit

GAMMA, WIDTH = EXPERIMENT.gamma, 9
MEMBERS = [
    Member(sigma, seed, alpha) for seed, (sigma, alpha) in enumerate(zip(EXPERIMENT.sigmas, (0.5, 1.0, 0.3, 0.2, 0.1)))
]


@pytest.fixture(autouse=True)
def one_thread():
    """Where a test does not ask for more: on a busy machine two wait for each other in every operation."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def images() -> MNIST:
    """Random images with what is special: some are black, and test images light pixels that no training image does."""
    data = synthetic_mnist(300, 0)
    train_images, test_images = data.train_images.copy(), data.test_images.copy()
    train_images[:20] = 0
    test_images[:, ~train_images.any(axis=0)] = 255
    return replace(data, train_images=train_images, test_images=test_images)


@pytest.fixture(scope="module")
def expected(images) -> list[Run]:
    """What plain PyTorch computes in float64."""
    return [plain.train(member, images, 6, gamma=GAMMA, width=WIDTH) for member in MEMBERS]


def stacked(data, members=MEMBERS, steps=6, **options):
    return train(members, data, steps, gamma=GAMMA, width=WIDTH, **({"dtype": torch.float64, "chunk": 64} | options))


def assert_same(found: list[Run], expected: list[Run], rtol=1e-9):
    assert [run.member for run in found] == [run.member for run in expected]
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one.step, other.step)
        np.testing.assert_allclose(one.loss, other.loss, rtol=rtol)
        np.testing.assert_allclose(one.stable_rank, other.stable_rank, rtol=rtol)
        np.testing.assert_array_equal(one.train_error, other.train_error)
        assert one.test_error == other.test_error
        assert one.diverged_at is other.diverged_at is None


def test_computes_what_plain_pytorch_does(images, expected):
    """Loss, errors and stable rank; five scales, seeds and step sizes at once; several chunks, one of them smaller."""
    found = stacked(images, spectra_at=(0, 4, 6))
    assert_same(found, expected)
    for one, other in zip(found, expected):
        assert sorted(one.singular_values) == [0, 4, 6]
        for name in ("norm", "spectral_norm", "change", "rank_of_change"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-7)
        for step, values in one.singular_values.items():
            np.testing.assert_allclose(values, other.singular_values[step], rtol=1e-9)
        assert np.ptp(other.loss) > 1e-7 * other.loss[0]


def test_dead_pixels_count_in_the_test_error(images, expected):
    """What the comparison with plain PyTorch says of the test error says something: the lit pixels matter."""
    dark = replace(images, test_images=np.where(images.train_images.any(axis=0), images.test_images, 0))
    assert any(one.test_error != other.test_error for one, other in zip(stacked(dark), expected))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    "switch",
    [
        {},
        {"sort": False},
        {"skip_dead": False},
        {"own_threads": False},
        {"logit_floor": -np.inf},
        *({"chunk": chunk} for chunk in (7, 299, 4096, None)),
    ],
    ids=str,
)
def test_no_switch_and_no_number_of_threads_changes_a_run(images, expected, switch, threads):
    torch.set_num_threads(threads)
    assert_same(stacked(images, **switch), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("own", [True, False])
def test_threads_compute_alone_or_share_one_operation(own):
    """Afterwards torch, and MKL beneath it, have as many as before."""
    torch.set_num_threads(3)
    before = torch.__config__.parallel_info()
    with Threads(Engine(own_threads=own)) as threads:
        assert list(threads.map(lambda _: torch.get_num_threads(), range(2))) == ([1, 1] if own else [3, 3])
        assert threads.count == (3 if own else 1)
    assert torch.__config__.parallel_info() == before


def test_a_chunk_keeps_the_activations_near_the_core():
    assert [Engine().chunk_size(members, 150) for members in (1, 5, 25)] == [1024, 800, 384]
    assert Engine(chunk=7).chunk_size(5, 150) == 7
    assert Engine(device="cuda").chunk_size(5, 150) >= 60_000


def test_float32_errs_by_rounding_only_and_always_in_the_same_way(images, expected):
    """At sigma = 2 a step multiplies rounding errors by tens."""
    found, again = (stacked(images, dtype=torch.float32) for _ in range(2))
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one.loss, other.loss, rtol=1e-3 if one.member.sigma == 2 else 1e-5)
        np.testing.assert_allclose(one.stable_rank, other.stable_rank, rtol=1e-5)
    assert_same(found, again, rtol=0)


def test_gradients_in_closed_form_are_those_of_autograd(images):
    """As the benchmark lets autograd compute them, in the trainer's chunks."""
    engine, pixels = Engine(dtype=torch.float64, chunk=64), pixel_order(images.train_images)
    stack = Stack(MEMBERS, WIDTH, GAMMA, pixels, engine)
    loaded = Images(images.train_images, images.train_labels, pixels, engine)
    with Threads(engine) as threads:
        ours, autograd = batches = FullBatch(stack, loaded, threads), FullBatch(stack, loaded, threads, Autograd)
        for batch in batches:
            batch.start(backward=True)
            list(batch.running)
    for one, other in zip(ours.workers[0].gradients, autograd.workers[0].gradients):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_chunks_leave_out_nothing_but_zeros(images):
    """The shares have every image once, and no chunk reads more columns than its images need."""
    pixels = pixel_order(images.train_images)
    assert sorted(pixels) == list(range(784))
    loaded = Images(images.train_images, images.train_labels, pixels, Engine())
    shares = loaded.shares(64, 2)
    assert [[len(x) for _, x in share] for share in shares] == [[64, 64, 44], [64, 64]]
    rows = np.concatenate([np.arange(300)[part] for share in shares for part, _ in share])
    assert sorted(rows) == list(range(300))
    for part, x in (chunk for share in shares for chunk in share):
        assert not loaded.inputs[part, x.shape[1] :].any()
        assert (x[:, 0] == 1).all() and x[:, -16:].any()
    live = int(images.train_images.any(axis=0).sum())
    for switch, columns in (({"sort": False}, padded(1 + live)), ({"skip_dead": False}, 800)):
        loaded = Images(images.train_images, images.train_labels, pixels, Engine(**switch))
        assert {x.shape[1] for _, x in loaded.shares(64, 1)[0]} == {columns}


def test_initial_weights_of_one_seed_are_multiples_of_each_other():
    small, large = (initial_weights(sigma, 7, 5) for sigma in (0.5, 2.0))
    for a, b in zip(small, large):
        np.testing.assert_array_equal(4 * a, b)
    W, *_ = initial_weights(2.0, 0, 150)
    assert W.std() == pytest.approx(2.0, rel=0.01)


def test_who_stops_or_diverges_leaves_the_others_alone(images):
    """Members end at different steps, for different reasons; each run is the one that it would be alone."""
    members = [Member(0.1, seed, alpha) for seed, alpha in ((0, 1e300), (0, 1e-6), (0, 0.5), (0, 1e-6), (1, 1.0))]
    seen: list[int] = []
    found = stacked(images, members, 12, stop_below=0.6, spectra_at=range(99), progress=seen.append)
    exploded, slow, fast, again, other = found
    assert seen == list(range(13))
    assert exploded.diverged_at == len(exploded.loss) == len(exploded.singular_values) < 4
    assert np.isfinite(exploded.loss).all() and np.isnan(exploded.test_error)
    assert_same([slow], [plain.train(slow.member, images, 12, gamma=GAMMA, width=WIDTH)])
    assert_same([slow], [again])
    for run in (fast, other):
        assert 0 < run.step[-1] < 12
        assert run.train_error[-1] < 0.6 <= run.train_error[:-1].min()
        assert_same([run], [plain.train(run.member, images, int(run.step[-1]), gamma=GAMMA, width=WIDTH)])
    assert fast.step[-1] != other.step[-1]


def test_stops_strictly_below_the_target(images):
    member = Member(0.1, 0, 0.5)
    (free,) = stacked(images, [member], 12)
    (at,) = np.flatnonzero(np.diff(np.minimum.accumulate(free.train_error)) < 0)[1:2] + 1
    error = free.train_error[at]
    assert free.train_error[-1] < error
    (run,) = stacked(images, [member], 12, stop_below=error)
    assert run.step[-1] == np.flatnonzero(free.train_error < error)[0] > at
    (run,) = stacked(images, [member], 12, stop_below=np.nextafter(error, 1))
    assert run.step[-1] == at


@pytest.mark.parametrize("what", ["losses", "spectra"])
def test_a_loss_or_a_rank_that_is_not_finite_is_divergence(what):
    log = Log(MEMBERS[:3], 3, (), None)

    def append(step, members, broken=None, test_errors=None):
        values = {"losses": torch.ones(members), "errors": torch.ones(members), "spectra": torch.ones(members, 4)}
        values["changes"] = torch.zeros(members, 4)
        if broken is not None:
            values[what][broken] = torch.nan if what == "losses" else 0.0
        return log.append(step, **values, test_errors=test_errors)

    assert append(0, 3) == [0, 1, 2]
    assert append(1, 3, broken=0) == [1, 2]
    assert append(2, 2) == [0, 1]
    assert append(3, 2, broken=1, test_errors=lambda: torch.tensor([0.25, 0.5])) == []
    early, done, late = (log.runs[k] for k in range(3))
    assert [(run.diverged_at, len(run.loss)) for run in (early, done, late)] == [(1, 1), (None, 4), (3, 3)]
    assert done.test_error == 0.25 and np.isnan([early.test_error, late.test_error]).all()
    np.testing.assert_array_equal(done.stable_rank, 4.0)


def test_probabilities_never_become_denormal():
    """At sigma = 2 the softmax would underflow; the smallest number that reaches a product stays normal."""
    least = np.float32(np.exp(Engine().logit_floor))
    assert 1e-30 / 2 < least < np.finfo(np.float32).eps ** 2
    assert least * GAMMA * 1e-3 > np.finfo(np.float32).tiny


def test_memory_is_shared_by_members_and_threads():
    assert members_that_fit(EXPERIMENT.width, threads=4) >= 25
    assert members_that_fit(150, threads=1) > members_that_fit(150, threads=8) > members_that_fit(600, threads=8) >= 1
    assert members_that_fit(10**5, threads=1000) == 1


@pytest.mark.parametrize(
    "bad, words",
    [
        ({"members": []}, "no members"),
        ({"steps": 0}, "steps = 0"),
        ({"gamma": 1.5}, "gamma = 1.5"),
        ({"width": 0}, "width = 0"),
        ({"members": [Member(0.1, 0, -1.0)]}, "alpha has the entry -1.0"),
        ({"members": [Member(np.nan, 0, 0.1)]}, "sigma = nan"),
        ({"chunk": 0}, "chunk=0.*at least 1"),
        ({"logit_floor": np.nan}, "logit_floor=nan"),
    ],
)
def test_bad_values_are_named(images, bad, words):
    arguments = {"members": MEMBERS, "data": images, "steps": 2, "gamma": GAMMA, "width": WIDTH} | bad
    with pytest.raises(ValueError, match=words):
        train(**arguments)


def test_small_scale_limit_is_the_limit(images):
    """thm-small-scale: as sigma falls the weights over sigma come to the limit recursion, at rate sigma."""
    data = replace(images, train_images=images.train_images[60:120], train_labels=images.train_labels[60:120])
    inputs, labels, _, _ = plain.images_and_labels(data)
    m, steps, alpha = 6, 5, 0.4
    rng = np.random.default_rng(5)
    U, A, c = rng.standard_normal((m, 785)), rng.standard_normal((10, m)), rng.standard_normal(10)
    limit = small_scale_limit(U, A, inputs.numpy(), labels.numpy(), alpha, GAMMA, steps)[-1]
    distances = []
    for sigma in (1e-2, 1e-3, 1e-4):
        model = plain.network([sigma * weights for weights in (U[:, :-1], U[:, -1], A, c)], GAMMA)
        run = plain.descend(model, inputs, labels, alpha)
        for _ in range(steps + 1):
            next(run)
        W, b, V, bias = (parameter.detach().numpy() for parameter in model.parameters())
        pairs = ((np.column_stack((W, b)) / sigma, limit.U), (V / sigma, limit.A), (bias, limit.c))
        distances.append([np.abs(found - expected).max() for found, expected in pairs])
    for before, after in pairwise(distances):
        assert all(b < a / 5 for a, b in zip(before, after))  # c's start sigma * zeta is felt at rate sigma
    assert max(distances[-1]) < 1e-2


def test_small_scale_limit_is_homogeneous_but_not_linear(images):
    X, labels = images.train_images[60:100] / 255, images.train_labels[60:100]
    rng = np.random.default_rng(1)
    U, A = rng.standard_normal((2, 4, 785)), rng.standard_normal((2, 10, 4))

    def last(u, a):
        return small_scale_limit(u, a, X, labels, 0.5, GAMMA, 3)[-1].U

    np.testing.assert_allclose(last(3 * U[0], 3 * A[0]), 3 * last(U[0], A[0]), rtol=1e-10, atol=1e-12)
    gap = last(U[0] + U[1], A[0] + A[1]) - last(U[0], A[0]) - last(U[1], A[1])
    assert np.abs(gap).max() > 1e-3


def test_small_scale_limit_names_bad_values():
    U, A, X, labels = np.ones((2, 4)), np.ones((10, 2)), np.ones((5, 3)), np.zeros(5, int)
    for bad, words in (
        ((U[:, :3], A, X, labels, 0.1), r"U has shape \(2, 3\)"),
        ((U, A, X, labels + 3 * np.arange(5), 0.1), "labels from 0 to 12"),
        ((U, A, X, labels, -1.0), "alpha = -1"),
    ):
        with pytest.raises(ValueError, match=words):
            small_scale_limit(*bad, GAMMA, 1)
