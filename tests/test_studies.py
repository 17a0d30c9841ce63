"""The studies: what a fresh run gives, and what the chapter says of all seeds."""

import numpy as np
import pytest
from implicit_bias import network
from implicit_bias.studies import mixture
from implicit_bias.studies.inner_products import theta


@pytest.fixture(scope="module")
def mixtures():
    return mixture.recorded()


# Study 1


@pytest.mark.parametrize("setting", [mixture.BY_DIMENSION[0], mixture.BY_SCALE[2], mixture.CHOICES[0]])
def test_fresh_mixture_gives_the_recorded_first_steps(mixtures, monkeypatch, setting):
    monkeypatch.setattr(mixture, "STEPS", mixture.STEPS[:4])
    fresh, old = mixture.run(setting, 3), mixture.rows(mixtures, setting)[3]
    for name in ("rank", "rank_of_change", "start", "error"):
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
    first = [mixture.ratios(mixtures, setting, 1) for setting in mixture.BY_DIMENSION]
    last = [mixture.ratios(mixtures, setting, -1) for setting in mixture.BY_DIMENSION]
    assert (np.diff(first, axis=0) < 0).all() and (last[2] > last[1]).all()
    assert all((theta(run) < 1) == (run["d"] >= 10**6) for run in mixtures.runs)
    assert all((run["p"] >= 3) == (run["d"] == 10**7) for run in mixtures.runs)
    assert mixture.slack(mixtures).min() >= 1 and min(map(mixture.excess, mixtures.runs)) > 1
    for setting in mixture.BY_DIMENSION[3:]:  # the bound exists from the first step on
        assert all(np.isfinite(mixture.bound(row)[1:]).all() for row in mixture.rows(mixtures, setting))
