"""The studies from inner products alone, 1 and 3: what a fresh run gives, and what the chapter says of all seeds."""

import numpy as np
import pytest
import torch
from implicit_bias import network
from implicit_bias.rank import gaussian_spread
from implicit_bias.studies import features, mixture
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
    """In the section and in the table of what failed."""
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
    """In the section and in the table of what failed."""
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
