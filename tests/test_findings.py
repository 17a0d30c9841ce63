"""What the book finds in the sweep: on made-up recordings, where the answers are known, and on the recorded one."""

import numpy as np
import pytest
from implicit_bias.figures.runs import prediction
from implicit_bias.mnist import findings
from implicit_bias.mnist.experiment import recorded
from implicit_bias.mnist.recording import Recording
from implicit_bias.rank import expected_stable_rank, stable_rank


@pytest.fixture(scope="module")
def sweep() -> Recording:
    return recorded().sweep


def made_up(**series: list[float]) -> Recording:
    """Return a sweep of one run at sigma = 0.01 with these numbers at each step."""
    steps = max(len(values) for values in series.values()) - 1
    return Recording(
        "sweep", {"steps": steps, "width": 150}, [{"sigma": 0.01, "seed": 0, **series}], 0.0, environment={}
    )


def test_prediction_is_the_stable_rank_of_a_spike_and_noise():
    """A matrix of rank one and norm 3 plus Gaussian noise, where one of the two has by far the larger norm."""
    rng = np.random.default_rng(0)
    u, v, noise = rng.standard_normal(150), rng.standard_normal(784), rng.standard_normal((150, 784))
    spike = 3 * np.outer(u / np.linalg.norm(u), v / np.linalg.norm(v))
    found = made_up(norm=[0.0, 3.0], spectral_norm=[0.0, 3.0])
    for sigma in (1e-3, 0.01, 0.02, 0.5, 5.0):
        measured = stable_rank(spike + sigma * noise) / expected_stable_rank(150, 784)
        assert float(prediction(found, sigma)) == pytest.approx(measured, rel=0.05)


def test_learned_part_and_floor_add_up_to_the_stable_rank(sweep):
    last = sweep.configuration["steps"]
    for sigma in sweep.configuration["sigmas"]:
        whole = findings.learned_part(sweep, sigma, last) + findings.floor(sweep, sigma, last)
        ranks = [run["stable_rank"][last] for run in sweep.runs if run["sigma"] == sigma]
        assert whole == pytest.approx(ranks, rel=1e-5)


def test_changes_are_those_of_the_recorded_norms(sweep):
    for sigma in sweep.configuration["sigmas"]:
        change = findings.relative_change(sweep, sigma, 10)
        growth = findings.norm(sweep, sigma, 10) / findings.norm(sweep, sigma, 0)
        assert (np.abs(growth - 1) <= change * (1 + 1e-6)).all() and (change > 0).all()
        assert (findings.rank_of_change(sweep, sigma, 10) >= 1).all()
    assert len(findings.small(sweep, findings.relative_change, 1)) == 3 * len(sweep.configuration["seeds"])


def test_fastest_growth_by_hand():
    assert findings.fastest_growth(made_up(spectral_norm=[1.0, 1.5, 3.0, 3.0, 2.0, 3.0]), 0.01) == [2.0]


def test_a_smaller_start_is_delayed_by_a_little_more_than_its_growth_allows(sweep):
    needed = np.log(10) / np.log(findings.fastest_growth(sweep, 0.0002))
    for sigma, smaller in ((0.02, 0.002), (0.002, 0.0002)):
        delay = findings.delay(sweep, sigma, smaller)
        assert (needed < delay).all() and (delay < 1.2 * needed).all()


def test_the_prediction_holds_but_at_the_largest_scale(sweep):
    assert max(np.abs(findings.miss(sweep, sigma)).max() for sigma in (0.0002, 0.002, 0.02, 0.2)) < 0.1


def test_table_has_each_number_in_its_row():
    ends = {"train_error": 0.03, "loss": 0.25, "stable_rank": 6.0, "norm": 5.0, "spectral_norm": 2.0, "change": 4.5}
    found = made_up(**{name: [3.0, end] for name, end in ends.items()})
    found.runs[0]["test_error"] = 0.05
    expected = float(prediction(found, 0.01))
    numbers = ["3.00", "5.00", "0.25", "6.0", "2.000", f"{expected:.3f}", "4.0", "2.2", "4.50"]
    assert [line.split(" | ")[1].rstrip(" |") for line in findings.runs_table(found).splitlines()[2:]] == numbers
    del found.runs[0]["test_error"]
    assert "| test error, % | diverged |" in findings.runs_table(found)


def test_every_run_ends_at_its_lowest_loss(sweep):
    assert all(run["loss"][-1] == min(run["loss"]) for run in sweep.runs)


def test_the_change_in_both_norms(sweep):
    for sigma in sweep.configuration["sigmas"]:
        ratio = findings.relative_change(sweep, sigma, 5) / findings.spectral_change(sweep, sigma, 5)
        ranks = findings.rank_of_change(sweep, sigma, 5) / [
            run["stable_rank"][0] for run in sweep.runs if run["sigma"] == sigma
        ]
        assert ratio**2 == pytest.approx(ranks, rel=1e-5)


def test_halving_by_hand():
    assert findings.halving(made_up(stable_rank=[8.0, 4.0, 3.9, 2.0]), 0.01) == [2]


def test_the_first_step_is_below_the_threshold_of_low_rank_changes(sweep):
    rng = np.random.default_rng(0)
    noise, direction = rng.standard_normal((150, 784)), np.outer(rng.standard_normal(150), rng.standard_normal(784))
    size = findings.threshold(sweep) * np.linalg.norm(noise, 2) / np.linalg.norm(direction)
    grown = [np.linalg.norm(noise + share * size * direction, 2) / np.linalg.norm(noise, 2) for share in (0.8, 1.8)]
    assert grown[0] < 1.01 and grown[1] > 1.05
    for sigma in sweep.configuration["sigmas"]:
        assert findings.spectral_change(sweep, sigma, 1).max() < 0.9 * findings.threshold(sweep)


def test_the_prediction_is_flat_from_the_transition_on(sweep):
    edge = np.median(findings.transition(sweep))
    noise_alone = float(prediction(sweep, 1e3))
    assert float(prediction(sweep, edge)) == pytest.approx(noise_alone, rel=0.2)
    for factor, larger in ((2, 1.05), (4, 1.02)):
        assert noise_alone < float(prediction(sweep, factor * edge)) < larger * noise_alone
