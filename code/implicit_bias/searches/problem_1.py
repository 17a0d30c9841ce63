"""Searches for violations of the inequalities of Problem 1, and data for them."""

import math
from collections.abc import Callable

import numpy as np

from .. import bounds, network
from ..margin import max_margin
from .registry import Array, Generator, Instance, search

QuotientOf = Callable[[network.Trajectory, float, float], float]


def separable_data(n: int, d: int, rng: Generator, margin: float = 0.1) -> tuple[Array, Array, Array]:
    """Return ``X`` of shape (n, d) in the unit ball, labels ``y`` and a ``v`` with ``min_i y_i ⟨v, x_i⟩ = 1``.

    Every sample is at least ``margin``, in (0, 1], from the plane orthogonal to ``v`` before all are scaled into the
    ball.

    >>> X, y, v = separable_data(5, 3, np.random.default_rng(0))
    >>> round(float((y * (X @ v)).min()), 12)
    1.0
    """
    u = rng.standard_normal(d)
    u /= np.linalg.norm(u)
    y = rng.choice([-1.0, 1.0], n)
    X = rng.standard_normal((n, d))
    X *= (rng.random((n, 1)) ** 0.25) / np.linalg.norm(X, axis=1, keepdims=True)
    along = np.clip(np.abs(X @ u), margin, 1.0)
    across = X - np.outer(X @ u, u)
    room = np.sqrt(1 - along**2) / np.maximum(np.linalg.norm(across, axis=1), 1e-300)
    X = (y * along)[:, None] * u + np.minimum(room, 1.0)[:, None] * across
    X /= max(1.0, np.linalg.norm(X, axis=1).max())
    return X, y, u / (y * (X @ u)).min()


def one_sample_hitting_time(eps: float, alpha: float, c: float = 1.0, z1: float | None = None) -> int:
    """Return the first ``t`` with ``Ĝ(W^{(t)}) ≤ ε`` on the data of `prp-lower-bound`, from ``W^{(0)} = 0``.

    There ``Ĝ = g(z_t)``, and the margin follows ``z_{t+1} = z_t + αc² g(z_t)`` from ``z_1 = αcφ'(0)x_1/2``, which is
    in ``[αc²/2, αc/2]``; by default the smallest, that of ``φ'(0) = γ``.

    >>> one_sample_hitting_time(eps=0.1, alpha=1.0)
    10
    """
    if eps >= 0.5:
        return 0
    z, t = alpha * c**2 / 2 if z1 is None else z1, 1
    while (slope := 1 / (1 + math.exp(z))) > eps:
        z, t = z + alpha * c**2 * slope, t + 1
    return t


def rare_sample(n: int, gamma: float, c: float) -> tuple[Array, Array]:
    """Return ``X`` and ``y`` of `prp-log-needed`, for one neuron with ``a = -1`` and ``c ≤ γ/√10``.

    >>> rare_sample(4, gamma=1.0, c=0.1)[1].tolist()
    [1.0, 1.0, 1.0, -1.0]
    """
    side, y = 0.5**0.5, np.ones(n)
    X = np.tile([side, 0.0], (n, 1))
    X[-1, 1], y[-1] = -2 / math.sqrt((gamma / c) ** 2 - 2), -1.0
    return X, y


def rare_sample_hitting_times(n: int, alpha: float, gamma: float, c: float, slope: float) -> tuple[int, int]:
    """Return the first ``t`` with ``L̂ ≤ h/(4n)`` and the first with ``Ĝ ≤ 1/(2n)``, ``h = log((n-3)/2) > 0``, on the
    data of `rare_sample` from ``W^{(0)} = 0``, with ``φ'(0) = slope``.

    >>> rare_sample_hitting_times(40, 1.0, gamma=1.0, c=0.1**0.5, slope=1.0)
    (739, 977)
    """
    rare, target = 4 / ((gamma / c) ** 2 - 2), math.log((n - 3) / 2) / (4 * n)
    p = total = 0.0  # ⟨-w, x_1⟩, and its sum with ⟨w, -x_n⟩
    t = low = first = 0
    while not (low and first):
        q = total - p
        z = (p if p < 0 else gamma * p), (q if q > 0 else gamma * q)
        many, last = (1 / (1 + math.exp(min(value, 700.0))) for value in z)
        losses = [max(0.0, -value) + math.log1p(math.exp(-abs(value))) for value in z]
        if not low and (1 - 1 / n) * losses[0] + losses[1] / n <= target:
            low = t
        if not first and (1 - 1 / n) * many + last / n <= 0.5 / n:
            first = t
        many *= slope if p == 0 else gamma if p > 0 else 1.0
        last *= slope if q == 0 else gamma if q < 0 else 1.0
        p, total, t = p + alpha / 2 * ((1 - 1 / n) * many - last / n), total + alpha * rare * last / n, t + 1
    return low, first


def _problem(rng: Generator) -> tuple[Array, Array, Array, Array, float]:
    """Return ``X, y, v, a, γ``, of at most three samples, dimensions and neurons."""
    n, d, m = (int(k) for k in rng.integers(1, 4, 3))
    X, y, v = separable_data(n, d, rng, margin=10 ** rng.uniform(-1, 0))
    gamma = float(rng.choice([1.0, rng.uniform(0.01, 1)]))
    return X, y, v, network.output_weights(rng.choice([-1.0, 1.0], m)), gamma


def _lowest(X: Array, y: Array, weights_at: Callable[[Array], Array], a: Array, gamma: float, V: Array) -> float:
    """Return the least ``y_i ⟨∇f(x_i; W), V⟩``, with the weights ``W`` that belong to the sample."""
    return float(min(s * (network.network_gradient(x, weights_at(x), a, gamma) * V).sum() for x, s in zip(X, y)))


@search("thm-smoothness", starts=12, rounds=300)
def smoothness(rng: Generator) -> Instance:
    """Search for ``‖∇L̂(W) - ∇L̂(W')‖_F > ¼ ‖W - W'‖_F`` at ``γ = 1``."""
    X, y, _, a, _ = _problem(rng)
    X = X / np.linalg.norm(X, axis=1, keepdims=True)

    def quotient(p: Array) -> float:
        W, step = p.reshape(2, a.size, -1)
        change = network.loss_gradient(X, y, W + step, a, 1.0) - network.loss_gradient(X, y, W - step, a, 1.0)
        return float(np.linalg.norm(change) / (bounds.smoothness_constant() * 2 * np.linalg.norm(step)))

    return quotient, 2 * a.size * X.shape[1]


@search("thm-margin-direction", starts=20, rounds=60)
def margin_direction(rng: Generator) -> Instance:
    """Search for a ``W`` and an ``i`` with ``y_i ⟨∇f(x_i; W), V⟩ < c*``, ``V`` built from the max margin."""
    X, y, _, a, gamma = _problem(rng)
    w = max_margin(X, y).w
    V, c = np.outer(a, w / np.linalg.norm(w)), bounds.margin_constant(gamma, w)
    return lambda p: c / _lowest(X, y, lambda x: p.reshape(V.shape), a, gamma, V), V.size


@search("thm-optimal-direction", starts=12, rounds=200)
def margin_direction_optimal(rng: Generator) -> Instance:
    """Search for a ``V`` of norm 1 that beats ``c*`` against the adversary of the proof (``w_j = -x_i``)."""
    X, y, _, a, gamma = _problem(rng)
    c = bounds.margin_constant(gamma, max_margin(X, y).w)

    def quotient(p: Array) -> float:
        V = p.reshape(a.size, -1)
        return float(_lowest(X, y, lambda x: np.tile(-x, (a.size, 1)), a, gamma, V) / (c * np.linalg.norm(V)))

    return quotient, a.size * X.shape[1]


def _one_step(rng: Generator, quotient_of: QuotientOf) -> Instance:
    """Return ``quotient_of(run, alpha, c)`` along one step, as a function of ``(log α, W)``."""
    X, y, v, a, gamma = _problem(rng)
    V, c = np.outer(a, v / np.linalg.norm(v)), bounds.margin_constant(gamma, v)

    def quotient(p: Array) -> float:
        alpha = 10.0 ** np.clip(p[0], -2, 3)
        return quotient_of(network.gradient_descent(X, y, p[1:].reshape(V.shape), a, gamma, alpha, 1, V=V), alpha, c)

    return quotient, V.size + 1


@search("thm-progress", starts=15, rounds=300)
def progress(rng: Generator) -> Instance:
    """Search for ``H_{t+1} - H_t < cα Ĝ(W^{(t)})``."""

    def quotient(run: network.Trajectory, alpha: float, c: float) -> float:
        gain = run.H[1] - run.H[0]  # a difference: trust it only where rounding of H cannot matter
        return alpha * c * run.G[0] / gain if gain > 1e-5 * run.F[0] else -np.inf

    return _one_step(rng, quotient)


@search("thm-sharp-norm-growth:kappa", starts=15, rounds=300)
def norm_growth(rng: Generator) -> Instance:
    """Search for ``F_{t+1}² - F_t² > 2ακ + α² Ĝ²``."""
    return _one_step(rng, lambda run, alpha, c: np.diff(run.F**2)[0] / bounds.norm_growth(0.0, alpha, run.G[0]))


@search("thm-sharp-norm-growth", starts=15, rounds=300)
def norm_growth_sharp(rng: Generator) -> Instance:
    """Search for ``F_{t+1}² - F_t² > 2α ψ(Ĝ) + α² Ĝ²``, among weights where the right side is positive."""

    def quotient(run: network.Trajectory, alpha: float, c: float) -> float:
        growth = bounds.norm_growth_sharp(0.0, alpha, run.G[0]) if run.G[0] <= 0.5 else 0.0  # need not be positive
        return np.diff(run.F**2)[0] / growth if growth > 1e-3 * run.F[0] ** 2 else -np.inf

    return _one_step(rng, quotient)


def _run(rng: Generator, quotient_of: QuotientOf) -> Instance:
    """Return ``quotient_of(run, alpha, c)`` along a whole run, as a function of ``(log α, W^{(0)})``."""
    X, y, v, a, gamma = _problem(rng)
    c, steps = bounds.margin_constant(gamma, v), int(10 ** rng.uniform(0, 2.5))
    scale = 0 if rng.random() < 0.5 else 1

    def quotient(p: Array) -> float:
        alpha, W0 = 10.0 ** np.clip(p[0], -3, 3), scale * p[1:].reshape(a.size, -1)
        return quotient_of(network.gradient_descent(X, y, W0, a, gamma, alpha, steps - 1), alpha, c)

    return quotient, a.size * X.shape[1] + 1


@search("thm-fast-rate", starts=14, rounds=25)
def fast_rate(rng: Generator) -> Instance:
    """Search for a run whose mean ``G`` has ``αc²TG > 2 log⁺((1-G)/G) + α + 2c‖W^{(0)}‖_F``."""

    def quotient(run: network.Trajectory, alpha: float, c: float) -> float:
        mean = float(run.G.mean())
        odds = max(0.0, float(np.log1p(-mean) - np.log(mean)))
        return alpha * c**2 * run.G.size * mean / (2 * odds + alpha + 2 * c * float(run.F[0]))

    return _run(rng, quotient)


@search("prp-lower-bound", starts=3, rounds=30)
def lower_bound(rng: Generator) -> Instance:
    """Search for a run on one sample that reaches ``Ĝ ≤ ε`` in fewer steps than `bounds.steps_lower_bound`."""

    def quotient(p: Array) -> float:
        alpha, eps = 10.0 ** np.clip(p[0], -1, 1), 10.0 ** np.clip(-abs(p[1]), -2.5, -0.4)
        c = 10.0 ** -min(abs(p[2]), 0.3)
        z1 = alpha * c * (c + (1 - c) / (1 + np.exp(-p[3]))) / 2  # φ'(0)x_1 lies in [c, 1]
        return float(bounds.steps_lower_bound(eps, alpha, c)) / one_sample_hitting_time(eps, alpha, c, z1)

    return quotient, 4


def _margins(rng: Generator, bound_of: Callable[[float, int], float], most: float) -> Instance:
    """Return the mean loss over ``bound_of(Ĝ, n)``, as a function of the margins, where ``nĜ ≤ most``."""
    n = int(rng.integers(1, 6))

    def quotient(z: Array) -> float:
        mean = float(network.g(z).mean())
        return float(network.logistic_loss(z).mean()) / bound_of(mean, n) if n * mean <= most else np.nan

    return quotient, n


@search("thm-loss", starts=12, rounds=300)
def loss(rng: Generator) -> Instance:
    """Search for margins with ``Ĝ < 1/n`` and ``L̂ > -(1/n) log(1 - nĜ)``."""
    return _margins(rng, bounds.loss_bound, most=0.999)


@search("thm-small-loss", starts=12, rounds=300)
def loss_simple(rng: Generator) -> Instance:
    """Search for margins with ``Ĝ ≤ 1/(2n)`` and ``L̂ > 2 log 2 · Ĝ``."""
    return _margins(rng, lambda mean, n: 2 * np.log(2) * mean, most=0.5)


@search("prp-loss-free-of-n", starts=14, rounds=25)
def loss_free_of_n(rng: Generator) -> Instance:
    """Search for a run whose mean loss exceeds `bounds.mean_loss`."""
    return _run(rng, lambda run, alpha, c: run.L.mean() / bounds.mean_loss(run.L.size, alpha, c, run.F[0]))


@search("prp-log-needed", starts=5, rounds=10)
def log_needed(rng: Generator) -> Instance:
    """Search for a run on the data of `rare_sample` that is faster than `bounds.steps_log_needed`, either count."""
    n = int(10 ** rng.uniform(1, 2.5))

    def quotient(p: Array) -> float:
        alpha, gamma = 4.0 / (1 + np.exp(-p[0])) + 0.3, 0.5 + 0.5 / (1 + np.exp(-p[1]))
        c, slope = gamma * (0.1**0.5 - 0.1 / (1 + np.exp(-p[2]))), gamma + (1 - gamma) / (1 + np.exp(-p[3]))
        times = rare_sample_hitting_times(n, alpha, gamma, c, slope)
        counts = bounds.steps_log_squared_needed(n, alpha, c), bounds.steps_log_needed(n, alpha, c)
        return max(count / t for count, t in zip(counts, times))

    return quotient, 4


def _last_iterate(X: Array, y: Array, a: Array, gamma: float, c: float, chi: float) -> Instance:
    """Return the loss over `bounds.last_iterate_loss`, the largest after it was at most (log 2)/n."""

    def quotient(p: Array) -> float:
        alpha = 8.0 * (1 - chi / c) / (1 + np.exp(-p[0]))
        losses = network.gradient_descent(X, y, p[1:].reshape(a.size, -1), a, gamma, alpha, 60).L
        small = np.flatnonzero(losses <= np.log(2) / len(y))
        if small.size == 0 or small[0] == 60:
            return np.nan
        k = 1 + int(np.argmax(losses[small[0] + 1 :] * np.arange(1, 61 - small[0])))  # the bound is proportional to 1/k
        return float(losses[small[0] + k] / bounds.last_iterate_loss(k, alpha, c, chi))

    return quotient, a.size * X.shape[1] + 1


@search("prp-last-iterate", starts=10, rounds=60)
def last_iterate(rng: Generator) -> Instance:
    """Search for a run whose loss exceeds `bounds.last_iterate_loss` with χ = 0.

    Half of the runs are at ``γ = 1``, the others have one class and all ``a_j`` on its side.
    """
    X, y, v, a, gamma = _problem(rng)
    if rng.random() < 0.5:
        gamma = 1.0
    else:
        X, y, a = X * y[:, None], np.ones_like(y), np.abs(a)
    return _last_iterate(X, y, a, gamma, bounds.margin_constant(gamma, v), 0.0)


@search("prp-mild-kinks", starts=10, rounds=60)
def mild_kinks(rng: Generator) -> Instance:
    """Search for a run with ``0 < χ < c`` whose loss exceeds `bounds.last_iterate_loss`."""
    X, y, v, a, _ = _problem(rng)
    share = max(float((s * a < 0).mean()) for s in y)
    gamma = 1 - rng.uniform(0, 0.95) / (1 + float(np.linalg.norm(v)))  # then 1 - γ < γ/‖v‖
    return _last_iterate(X, y, a, gamma, bounds.margin_constant(gamma, v), (1 - gamma) * share**0.5)
