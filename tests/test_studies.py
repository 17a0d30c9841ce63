"""The studies: what a fresh run gives, and what the chapter says of all seeds."""

import numpy as np
import pytest
import torch
from implicit_bias import network
from implicit_bias.figures.runs import at
from implicit_bias.mnist.configuration import GRIDS, TRANSITION, Member
from implicit_bias.mnist.experiment import recorded
from implicit_bias.mnist.recording import Recording
from implicit_bias.mnist.tables import final
from implicit_bias.mnist.trainer import train
from implicit_bias.rank import expected_stable_rank, gaussian_spread, learned_plus_noise, stable_rank
from implicit_bias.studies import directions, features, grid, mixture, optimizers, other_data
from implicit_bias.studies.inner_products import theta


@pytest.fixture(scope="module")
def mixtures():
    return mixture.recorded()


# Study 1


@pytest.mark.parametrize("setting", [mixture.BY_DIMENSION[0], mixture.BY_SCALE[2], mixture.CHOICES[0]])
def test_fresh_mixture_gives_the_recorded_first_steps(mixtures, monkeypatch, setting):
    monkeypatch.setattr(mixture, "STEPS", mixture.STEPS[:4])
    fresh, old = mixture.run(setting, 3), mixture.rows(mixtures, setting)[3]
    for name in ("rank", "rank_of_change", "start", "error", "margin"):
        np.testing.assert_allclose(np.array(fresh[name], float), np.array(old[name][:4], float), rtol=1e-3)
    assert fresh["p"] == pytest.approx(old["p"], rel=1e-4)


def test_inner_products_alone_give_gradient_descent(monkeypatch):
    """The same ranks as `network.gradient_descent`, which has the vectors."""
    rng, setting = np.random.default_rng(5), mixture.Setting(d=150, scale=0.3, alpha=0.5, m=20)
    X, W0 = rng.standard_normal((mixture.N, 150)), setting.sigma * rng.standard_normal((20, 150))
    y = rng.choice([-1.0, 1.0], mixture.N)
    monkeypatch.setattr(mixture, "draw", lambda *_: (X @ X.T, X @ W0.T, W0 @ W0.T, y))
    monkeypatch.setattr(mixture, "STEPS", (0, 1, 2, 3, 4))
    row, a = mixture.run(setting, 0), network.output_weights(np.resize([1.0, -1.0], 20))
    run = network.gradient_descent(X, y, W0, a, setting.gamma, setting.alpha, 4, record_rank=True)
    assert row["rank"] == pytest.approx(run.rank, rel=1e-4)
    assert row["rank_of_change"][1:] == pytest.approx(run.rank_of_change[1:], rel=1e-4)


def test_inner_products_have_the_distribution_of_the_vectors():
    setting = mixture.Setting(d=2000, scale=1.0, alpha=1.0, m=40)
    K, H, G, _ = mixture.draw(setting, 0)
    half = mixture.N // 2
    assert (K[:half, :half].sum() - np.trace(K[:half, :half])) / (half * (half - 1)) == pytest.approx(
        2000**0.52, rel=0.2
    )
    assert K[:half, half:].mean() == pytest.approx(-(2000**0.52), rel=0.2)
    assert np.diagonal(K).mean() == pytest.approx(2000 + 2000**0.52, rel=0.01)
    assert np.diagonal(G).mean() == pytest.approx(2000 * setting.sigma**2, rel=0.05)
    assert (H**2).mean() == pytest.approx(setting.sigma**2 * np.diagonal(K).mean(), rel=0.1)


def test_what_is_said_of_every_mixture(mixtures):
    after = [[mixture.ratios(mixtures, s, k) for s in mixture.BY_DIMENSION] for k in range(len(mixture.STEPS))]
    ordered = [bool((np.diff(ratios, axis=0) < 0).all()) for ratios in after]
    assert ordered[1:] == [step <= 8 for step in mixture.STEPS[1:]] and mixture.ordered_until(mixtures) == 8
    assert (after[-1][2] > after[-1][1]).all()
    assert all((theta(run) < 1) == (run["d"] >= 10**6) for run in mixtures.runs)
    assert all((run["p"] >= 3) == (run["d"] == 10**7) for run in mixtures.runs)
    assert mixture.slack(mixtures).min() >= 1 and min(map(mixture.excess, mixtures.runs)) > 1
    collapsed = mixture.collapsed(mixtures)
    assert all((run in collapsed) == (run["d"] >= 10**6 or run["scale"] <= 0.01) for run in mixtures.runs)
    assert min(run["rank"][1] for run in mixtures.runs if run not in collapsed) > 20
    changes = [[run["rank_of_change"][1:] for run in mixture.rows(mixtures, s)] for s in mixture.BY_DIMENSION]
    assert (
        np.max(changes[:3]) < np.min(changes[3:])
        and np.abs(np.array(changes[3:]) / gaussian_spread(0.1) - 1).max() < 0.06
    )
    for setting in mixture.BY_DIMENSION[3:]:  # the bound exists from the first step on
        assert all(np.isfinite(mixture.bound(row)[1:]).all() for row in mixture.rows(mixtures, setting))
        assert mixture.margins(mixtures, setting).min() > 15
        assert np.abs(mixture.later_fall(mixtures, setting) - 1).max() < 1e-3
    assert mixture.margins(mixtures, mixture.BY_DIMENSION[2]).max() < 2
    assert mixture.later_fall(mixtures, mixture.BY_DIMENSION[2]).min() > 6.5


# Study 2


@pytest.fixture(scope="module")
def grids():
    return {name: grid.recorded(name) for name in GRIDS}


@pytest.mark.slow
@pytest.mark.parametrize("name", GRIDS)
def test_fresh_grid_gives_the_recorded_first_steps(mnist, grids, name):
    images, how = mnist if name == "grid-all-images" else grid.first_images(mnist, 10_000), GRIDS[name]
    members = [Member(sigma, 1, how.alpha) for sigma in how.sigmas[::8]]
    for run in train(members, images, 2, gamma=how.gamma, width=how.width, spectra_at=(0,)):
        (old,) = (row for row in grids[name].runs if (row["sigma"], row["seed"]) == (run.member.sigma, 1))
        for field in ("loss", "stable_rank", "norm", "spectral_norm", "change"):
            np.testing.assert_allclose(getattr(run, field), old[field][:3], rtol=1e-3, atol=1e-9)


def test_what_is_said_of_every_grid(grids):
    fine = grids["grid"]
    over_time = np.array([grid.transition(fine, step)[1:] for step in grid.kept_steps(420)[1:]])
    assert all((np.diff(lies[np.isfinite(lies)]) > 0).all() for lies in over_time.T)
    at_end = {name: grid.transition(found) for name, found in grids.items()}
    assert all(lies[0] > TRANSITION[name, 420] for name, lies in at_end.items())
    for name in ("grid-half-alpha", "grid-width-300"):
        assert at_end[name].max() < at_end["grid"].min() and TRANSITION[name, 420] < TRANSITION["grid", 420]
    assert at_end["grid-width-50"][1:].min() < at_end["grid"].min() < at_end["grid"].max() < at_end["grid-width-50"][0]
    assert at_end["grid-all-images"].max() < at_end["grid"].min()
    assert TRANSITION["grid-all-images", 420] == TRANSITION["grid", 420]
    assert at_end["grid-half-alpha"][0] == pytest.approx(grid.transition(fine, 210)[0], rel=0.05)
    assert (grid.best(fine, "test_error") > at_end["grid"][1:]).all() and grid.best(fine, "test_error").max() < 0.15
    errors = [grid.final(fine, name) for name in ("train_error", "test_error")]
    assert all((rows[-1] > rows[12]).all() for rows in errors)
    assert np.abs(grid.late_misses(fine)).max() < 0.025
    assert (np.argmin(np.diff(np.log(errors[0]), axis=0), axis=0) >= 9).all()  # steepest beyond the transition
    sweep = recorded().sweep  # where the errors on all images differ
    assert final(sweep, 2.0, "train_error").min() > 2 * errors[0][-1].max()
    assert (errors[1][12] > errors[1][8]).all()
    assert np.median(final(sweep, 0.2, "test_error")) < np.median(final(sweep, 0.02, "test_error"))
    assert np.argmin(grid.quotients(fine)) == 10 and grid.quotients(fine, refined=True).min() > 0.97


def test_refined_norm_is_that_of_rank_one_plus_noise():
    rng, sigmas, m, d = np.random.default_rng(3), np.geomspace(0.005, 0.3, 9), 150, 784
    L = np.outer(rng.standard_normal(m), rng.standard_normal(d))
    L *= 3 / np.linalg.norm(L)
    found = [stable_rank(L + sigma * rng.standard_normal((m, d))) for sigma in sigmas]
    expected = learned_plus_noise(9.0, 3.0, sigmas, m, d, refined=True) * expected_stable_rank(m, d)
    np.testing.assert_allclose(found, expected, rtol=0.06)
    for sigma in sigmas[:6]:  # of the others one hides more, two all
        norm = np.linalg.norm(L + sigma * rng.standard_normal((m, d)), 2)
        assert grid.without_noise(norm, sigma, m, d) == pytest.approx(3, rel=0.04)
    assert norm > 1.05 * 3
    assert grid.without_noise(0.0, 0.3, m, d) == pytest.approx(0.3 * (m * d) ** 0.25)
    assert np.abs(learned_plus_noise(9.0, 3.0, sigmas, m, d) * expected_stable_rank(m, d) / found - 1).max() > 0.3


def test_the_transition_was_stated_from_the_sweep():
    """@eq-prediction at 1/2, with what was learned at the smallest scale after as much training."""
    sweep = recorded().sweep
    for (name, step), stated in TRANSITION.items():
        how = GRIDS[name]
        then = round(step * how.alpha / sweep.configuration["alpha"])
        start, end, largest = (
            np.median(at(sweep, 0.0002, t, what) ** 2)
            for t, what in ((0, "norm"), (then, "norm"), (then, "spectral_norm"))
        )
        noise = (np.sqrt(how.width) + np.sqrt(784)) ** 2
        assert np.sqrt(largest / 2 / noise - (end - start) / how.width / 784) == pytest.approx(stated, rel=2e-3)


def test_thinned_sweep_keeps_what_it_says():
    row = {"step": list(range(31)), "sigma": 1.0, "seed": 0, "alpha": 1.0, "diverged_at": None, "test_error": 0.5}
    row |= {name: [t / 3 for t in range(31)] for name in grid.KEPT}
    (run,) = grid.thinned(Recording("sweep", {}, [row], 0.0, environment={})).runs
    assert run["step"] == grid.kept_steps(30) and run["step"][-1] == 30 and run["sigma"] == 1.0
    assert run["loss"] == pytest.approx([t / 3 for t in run["step"]], rel=1e-4)


def test_crossing_needs_a_rise_through_the_level():
    assert grid.crossing([1, 2, 4], [0.4, 0.4, 0.4]) != grid.crossing([1, 2, 4], [0.4, 0.4, 0.4])  # nan
    assert grid.crossing([1, 2, 4, 8], [0.6, 0.4, 0.5, 0.9]) == pytest.approx(4)


# Study 3


@pytest.fixture(scope="module")
def feature_runs():
    return features.recorded()


@pytest.mark.slow
@pytest.mark.parametrize("kind, d", [("raw", 784), ("centred", 784), ("relu", 1000), ("cosine", 1000)])
def test_fresh_features_give_the_recorded_first_steps(mnist, feature_runs, monkeypatch, kind, d):
    monkeypatch.setattr(features, "STEPS", features.STEPS[:3])
    for fresh in features.run(mnist, kind, d, 1):
        rows = features.rows(feature_runs, kind, d, fresh["second"])
        (old,) = (row for row in rows if (row["sigma"], row["seed"]) == (fresh["sigma"], 1))
        np.testing.assert_allclose(fresh["rank"], old["rank"][:3], rtol=1e-3)
        np.testing.assert_allclose(fresh["rank_of_change"][1:], old["rank_of_change"][1:3], rtol=1e-3)


def test_weights_from_inner_products_have_the_distribution_of_weights():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 400))
    H, G = features.weights(X @ X.T, 400, 60, rng)
    assert np.diagonal(G).mean() == pytest.approx(400, rel=0.03)
    assert (H**2).mean(1) == pytest.approx((X**2).sum(1), rel=0.8) and (H**2).mean() == pytest.approx(400, rel=0.1)


def test_training_the_second_layer_is_gradient_descent_on_both():
    rng, gamma, alpha = np.random.default_rng(1), 0.2, 0.3
    X, W, a, y = (
        rng.standard_normal((12, 9)),
        rng.standard_normal((5, 9)),
        rng.standard_normal(5),
        np.resize([1, -1], 12),
    )
    found = features.descend((X @ X.T, X @ W.T, W @ W.T), y, a, gamma, alpha, (0, 1, 2, 3), train_second=True)
    V, b = (torch.tensor(part, requires_grad=True) for part in (W, a))
    for t in range(4):
        s = torch.linalg.svdvals(V.detach())
        assert found["rank"][t] == pytest.approx(float((s / s[0]).square().sum()), rel=1e-4)
        z = torch.from_numpy(y) * (torch.nn.functional.leaky_relu(torch.from_numpy(X) @ V.T, gamma) @ b)
        for part, slope in zip((V, b), torch.autograd.grad(torch.nn.functional.softplus(-z).mean(), (V, b))):
            part.data -= alpha * slope


def test_what_is_said_of_every_image(feature_runs):
    sigmas, one_step = np.array(features.SCALES), features.ratios
    for kind, d in features.REPRESENTATIONS:
        assert features.largest_change(feature_runs, kind, d) < 2.5
        for second in ("small", "trained"):  # a second layer of size sigma: the step does nothing
            assert np.abs(one_step(feature_runs, kind, d, second) - 1).max() < 0.003
        fixed = one_step(feature_runs, kind, d)
        assert fixed[sigmas >= 0.02].min() > 0.99 and fixed[sigmas <= 2e-6].max() < 0.05
    for kind in ("raw", "centred"):
        assert one_step(feature_runs, kind, 784)[sigmas <= 0.002].max() < 0.2
    for kind, powers in (("relu", (3, 4, 5)), ("cosine", (3, 4, 5, 6))):  # a higher dimension takes a smaller sigma
        reached = [features.largest_collapsed(feature_runs, kind, 10**k) for k in powers]
        assert (np.diff(reached) < 0).all()
    for d in (10**3, 10**4, 10**5):
        assert features.thetas(feature_runs, "relu", d).min() > features.N / np.pi
    assert (
        features.thetas(feature_runs, "cosine", 10**6).max() < 1 < features.thetas(feature_runs, "cosine", 10**5).min()
    )
    assert max(row["p"] for row in feature_runs.runs) < 3


def test_relu_features_tend_to_their_limit():
    """The formula of the chapter, and its third at a right angle."""
    rng = np.random.default_rng(0)
    X = np.array([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [1.0, 1.0, 0.0]])
    features_of = np.maximum(X @ rng.standard_normal((3, 400_000)), 0)
    norms = np.linalg.norm(X, axis=1)
    angle = np.arccos(np.clip(X @ X.T / np.outer(norms, norms), -1, 1))
    limit = np.outer(norms, norms) * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    np.testing.assert_allclose(features_of @ features_of.T / 400_000, limit, rtol=0.02)
    assert limit[0, 1] == pytest.approx(np.sqrt(limit[0, 0] * limit[1, 1]) / np.pi)


# Study 4


@pytest.mark.slow
@pytest.mark.parametrize("alpha", directions.ALPHAS)
def test_fresh_directions_are_the_recorded_first_steps(mnist, alpha):
    fresh = directions.run(grid.first_images(mnist, directions.IMAGES), alpha, 1, steps=3)
    for name in ("loss", "stable_rank", "singular_values", "class_error"):
        old = directions.table(directions.recorded(), name, alpha)[1]
        np.testing.assert_allclose(fresh[name], old[:4], rtol=1e-3, atol=2e-3)


def test_what_is_said_of_the_directions():
    found = directions.recorded()
    errors, ranks = directions.table(found, "class_error"), directions.table(found, "stable_rank")
    after = np.array(found.runs[0]["step"]) >= 420
    assert (errors[:, after] == 0).all() and (np.diff(ranks[:, after], axis=1) > 0).all()
    for alpha in directions.ALPHAS:
        first, fourth = (directions.arrivals(found, k, alpha) for k in (1, 4))
        assert (fourth - first).max() < first.min()
    assert (directions.arrivals(found, 3) == directions.arrivals(found, 4)).all()
    assert [directions.extremes(found, k, "arrived") for k in (1, 2, 5)] == [{(0, 1)}, {(1, 4)}, {(3, 7)}]
    assert [directions.extremes(found, k, "final") for k in (1, 2, 3)] == [{(6, 7)}, {(0, 4)}, {(0, 1)}]
    arrived = directions.likeness(found, "arrived")[:8]
    assert arrived.argmin() == 2 and np.delete(arrived, 2).min() > 0.85 > 0.5 > arrived[2]
    # the larger step overshoots, the smaller one does not, and there is no plateau
    assert {len(factors) for factors in directions.rises(found)} == {1, 2}
    assert all(len(factors) == 0 for factors in directions.rises(found, directions.ALPHAS[1]))
    assert directions.slowest(found).min() > 1
    losses = directions.table(found, "loss")
    for row, wrong in zip(losses, errors):
        raised = np.flatnonzero(row[1:] > row[:-1])
        assert max(wrong[k + 1][wrong[k] <= 0.25].max() for k in raised) > 0.6


# Study 5


@pytest.fixture(scope="module")
def optimized():
    return optimizers.recorded()


@pytest.mark.slow
@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_fresh_optimizers_give_the_recorded_first_steps(mnist, optimized, name):
    data, how = grid.first_images(mnist, optimizers.GRID_IMAGES), optimizers.OPTIMIZERS[name]
    if name == optimizers.REFERENCE:
        fresh = optimizers.reference(data, 0.02, 1, optimizers.PREFIX)
    else:
        fresh = optimizers.run(data, name, 0.02, 1, -1, end=optimizers.PREFIX * how.alpha / (1 - how.momentum))
    for point in (optimizers.START, optimizers.EARLY):
        for field, value in fresh[point].items():
            recorded = optimizers.table(optimized, name, point, field)[how.sigmas.index(0.02), 1]
            assert value == pytest.approx(recorded, rel=1e-3, abs=2e-4), (point, field)


def test_what_is_said_of_the_optimizers(optimized):
    def of(name, point, quantity):
        return optimizers.table(optimized, name, point, quantity)

    gd, batches, momentum, smaller = optimizers.OPTIMIZERS
    equal, late, expected = optimizers.EQUAL, optimizers.LATE, optimizers.EXPECTED
    target = of(gd, equal, "train_error")
    fine = grid.recorded("grid")  # the same runs
    kept = np.isin(fine.configuration["sigmas"], optimizers.EXPERIMENT.sigmas)
    np.testing.assert_allclose(of(gd, equal, "stable_rank"), grid.values(fine, "stable_rank")[kept, :, -1], rtol=1e-2)
    for name in (batches, momentum, smaller):
        assert (of(name, equal, "train_error") <= (target[::2] if name == smaller else target)).all()
    for name in (batches, smaller):  # they meet the expectation
        assert np.abs(optimizers.over_reference(optimized, name) - 1).max() < expected["ratio"]
        assert np.abs(optimizers.over_prediction(optimized, name, equal) - 1).max() < expected["prediction"]
    assert np.abs(optimizers.over_prediction(optimized, batches, late) - 1).max() < expected["prediction"]
    # what failed
    assert optimizers.learned_over_reference(optimized, batches)[0] - 1 > expected["learned"]
    assert (optimizers.learned_over_reference(optimized, momentum) - 1 > expected["learned"]).all()
    assert (optimizers.over_reference(optimized, momentum) < 1).all()
    assert (optimizers.ratios(optimized, momentum, equal)[3:] < 0.2).all()
    assert (optimizers.ratios(optimized, gd, equal)[3:] > 0.9).all()
    assert (optimizers.ratios(optimized, batches, equal)[3:] > 0.85).all()
    assert (
        optimizers.over_reference(optimized, smaller) / optimizers.over_reference(optimized, momentum)[::2]
    ).min() > 1.1
    assert (optimizers.ratios(optimized, batches, late) > optimizers.ratios(optimized, batches, equal))[:3].all()
    # errors and norms
    assert of(momentum, equal, "test_error")[4].max() < of(gd, equal, "test_error")[4].min()
    for name, row in ((batches, 4), (smaller, 2)):  # these gain less, and keep the rank
        assert of(name, equal, "test_error")[row].max() < of(gd, equal, "test_error")[4].min()
        assert of(name, equal, "test_error")[row].min() > of(momentum, equal, "test_error")[4].max()
    assert optimizers.overshoot(optimized) == pytest.approx(0.848, abs=0.001)
    assert (
        optimizers.growth(optimized)
        > 1.5 * (of(momentum, "early", "spectral_norm") / of(momentum, "start", "spectral_norm"))[3:]
    ).all()
    assert not (of(momentum, equal, "test_error") < of(gd, equal, "test_error"))[3].all()
    assert (of(momentum, equal, "spectral_norm")[0] > 1.5 * of(gd, equal, "spectral_norm")[0].max()).all()
    assert (
        of(momentum, optimizers.EARLY, "spectral_norm") > 1.5 * of(momentum, optimizers.START, "spectral_norm")
    ).all()


# Study 6


def test_fresh_runs_on_other_data_give_the_recorded_first_steps():
    for name, found in zip(other_data.NAMES, other_data.recorded()):
        data = other_data.read(name)
        assert data.provenance() == found.data and (data.X.shape[1], data.classes) == other_data.NAMES[name]
        old = found.runs[25]
        fresh = other_data.run(data, old["sigma"], old["seed"], 10)
        for field in grid.KEPT:
            np.testing.assert_allclose(fresh[field][:6], old[field][:6], rtol=1e-3, atol=1e-9)


def test_what_is_said_of_the_other_data():
    misses, refined = [], []
    for found in other_data.recorded():
        errors, sigmas = grid.final(found, "train_error"), found.configuration["sigmas"]
        assert np.median(errors[-1]) < np.median(errors[0])
        quotients = grid.relative_ranks(found) / grid.prediction(found, sigmas)[:, None]
        assert quotients[:9].min() > 0.8 and quotients[:9].max() < 1.2
        assert np.argmin(quotients.min(axis=1)) in (12, 13) and sigmas[8] == 0.02
        misses.append(grid.predicted_transition(found) / grid.transition(found)[0] - 1)
        refined.append(grid.predicted_transition(found, refined=True) / grid.transition(found)[0] - 1)
    assert np.median(errors[0]) * 178 == pytest.approx(1, rel=0.01) and np.median(errors[-1]) == 0  # of the wines
    assert 1 / (1 + misses[1]) == pytest.approx(1.35, abs=0.05) and 1 / (1 + misses[2]) == pytest.approx(1.35, abs=0.05)
    assert np.sign(np.abs(refined) - np.abs(misses)).tolist() == [1, -1, -1]
    rises = [other_data.rise(found) for found in other_data.recorded()]
    assert max(map(abs, rises[1:])) < 0.1 < rises[0]
    fine, sweep = grid.recorded("grid"), recorded().sweep  # on MNIST the errors at the largest scale are larger
    assert np.median(grid.final(fine, "train_error")[-1]) > np.median(grid.final(fine, "train_error")[0])
    assert final(sweep, 2.0, "train_error").min() > final(sweep, 0.0002, "train_error").max()


# The table of what failed


def test_the_table_of_what_failed(mixtures, feature_runs):
    """Where it is more definite than the sections: until when dimensions are in order; what the fixed layer does."""
    ordered = [
        (np.diff([mixture.ratios(mixtures, setting, k) for setting in mixture.BY_DIMENSION], axis=0) < 0).all()
        for k in range(1, len(mixture.STEPS))
    ]
    assert ordered.index(False) == mixture.STEPS[1:].index(8) + 1
    first = dict(zip(features.SCALES, features.ratios(feature_runs, "raw", 784)))
    assert all(row.max() < 0.25 for sigma, row in first.items() if sigma <= 0.002)
    assert all(row.min() > 0.99 for sigma, row in first.items() if sigma >= 0.02)
