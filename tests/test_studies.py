"""The studies but 1 and 3: what a fresh run gives, and what the chapter says of all seeds."""

import numpy as np
import pytest
from implicit_bias.figures.runs import at
from implicit_bias.mnist.configuration import GRIDS, TRANSITION, Member
from implicit_bias.mnist.experiment import recorded
from implicit_bias.mnist.recording import Recording
from implicit_bias.mnist.tables import final
from implicit_bias.mnist.trainer import train
from implicit_bias.rank import expected_stable_rank, learned_plus_noise, stable_rank
from implicit_bias.studies import directions, grid, optimizers, other_data

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
    assert sum(at_end["grid-width-50"][1:] > at_end["grid"].max()) == 2
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
    assert directions.reordered(found).min() > 0.8
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
    squared, largest = optimizers.learned_over_reference(optimized, batches)
    assert squared**0.5 - 1 > expected["learned"] > largest - 1
    assert (optimizers.learned_over_reference(optimized, momentum) - 1 > expected["learned"]).all()
    assert (optimizers.over_reference(optimized, momentum) < 1).all()
    assert (optimizers.ratios(optimized, momentum, equal)[3:] < 0.2).all()
    assert (optimizers.ratios(optimized, gd, equal)[3:] > 0.9).all()
    assert (optimizers.ratios(optimized, batches, equal)[3:] > 0.85).all()
    assert (
        optimizers.over_reference(optimized, smaller) / optimizers.over_reference(optimized, momentum)[::2]
    ).min() > 1.1
    assert (optimizers.learned_over_reference(optimized, smaller) - 1 < expected["learned"]).all()
    assert np.abs(np.median(optimizers.over_prediction(optimized, momentum, late), axis=1)[3] - 1) > 0.9
    for name in (batches, momentum):
        assert (optimizers.ratios(optimized, name, late) > optimizers.ratios(optimized, name, equal))[:3].all()
    assert (optimizers.ratios(optimized, batches, late)[3] > 0.95).all()
    assert (optimizers.ratios(optimized, momentum, late)[3] < 0.2).all()
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
