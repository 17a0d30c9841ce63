"""The two-layer leaky ReLU network of Problem 1, its losses, their gradients, and gradient descent.

For rows ``w_j`` of ``W`` and fixed second-layer weights ``a_j = ±1/√m``,

    f(x; W) = Σ_j a_j φ(⟨w_j, x⟩),   φ(t) = max(t, γt),   γ ∈ (0, 1].

Everything is float64 NumPy; PyTorch tensors and lists are accepted wherever an array is. The arguments are, in every
function, and a ``ValueError`` names the one that is not so:

- ``X``, of shape (n, d): one sample ``x_i`` a row;
- ``y``, of shape (n,): labels, each +1 or -1;
- ``W``, of shape (m, d): first-layer weights, one neuron a row;
- ``a``, of shape (m,): second-layer weights, each ``±1/√m`` (`output_weights`);
- ``gamma``: the slope γ, in (0, 1];
- ``at_zero``: the number used for ``φ'(0)``, in [γ, 1]; every theorem of the book holds for each choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike
from scipy.special import expit

from . import checks
from .activation import check_slopes, leaky_relu, leaky_relu_derivative
from .checks import Array, OutputWeights, PerSample, Samples, Weights
from .rank import stable_rank

Steps = Float64[np.ndarray, "T"]
Iterates = Float64[np.ndarray, "T+1"]


def _output_weights(a: Array) -> Array:
    if not np.allclose(np.abs(a) * np.sqrt(a.size), 1, rtol=0, atol=1e-6):
        raise ValueError(f"a = {a}: every entry must be ±1/√m, here ±{a.size**-0.5:.6g}")
    return a


def output_weights(signs: ArrayLike) -> OutputWeights:
    """Return the second-layer weights ``a_j = signs_j/√m``, for ``m`` signs +1 or -1.

    >>> output_weights([1, -1, 1, 1]).tolist()
    [0.5, -0.5, 0.5, 0.5]
    """
    checked = checks.signs("signs", checks.array("signs", signs, "m"))
    return np.asarray(checked / np.sqrt(checked.size))


def network(X: ArrayLike, W: ArrayLike, a: ArrayLike, gamma: float) -> PerSample:
    """Return the outputs ``f(x_i; W) = Σ_j a_j φ(⟨w_j, x_i⟩)``.

    >>> network([[1.0, 0.0], [0.0, -1.0]], W=[[2.0, 4.0]], a=[1.0], gamma=0.5).tolist()
    [2.0, -2.0]
    """
    X, W, a = checks.arrays(X=(X, "n d"), W=(W, "m d"), a=(a, "m"))
    return leaky_relu(X @ W.T, gamma) @ _output_weights(a)


def network_gradient(x: ArrayLike, W: ArrayLike, a: ArrayLike, gamma: float, at_zero: float = 1.0) -> Weights:
    """Return ``∇f(x; W)`` at one sample of shape (d,): row ``j`` is ``a_j φ'(⟨w_j, x⟩) x``.

    Since ``t φ'(t) = φ(t)``, also at the kink, ``⟨∇f(x; W), W⟩ = f(x; W)``; and ``‖∇f(x; W)‖_F ≤ ‖x‖``.

    >>> network_gradient([2.0, 1.0], W=[[-1.0, 0.0]], a=[1.0], gamma=0.5).tolist()
    [[1.0, 0.5]]
    """
    x, W, a = checks.arrays(x=(x, "d"), W=(W, "m d"), a=(a, "m"))
    return np.outer(_output_weights(a) * leaky_relu_derivative(W @ x, gamma, at_zero), x)


def margins(X: ArrayLike, y: ArrayLike, W: ArrayLike, a: ArrayLike, gamma: float) -> PerSample:
    """Return ``z_i = y_i f(x_i; W)``.

    >>> margins([[1.0, 0.0], [0.0, -1.0]], y=[1, -1], W=[[2.0, 4.0]], a=[1.0], gamma=0.5).tolist()
    [2.0, 2.0]
    """
    outputs = network(X, W, a, gamma)
    _, y = checks.arrays(X=(X, "n d"), y=(y, "n"))
    return np.asarray(checks.signs("y", y) * outputs)


def logistic_loss(z: ArrayLike) -> Array:
    """Return ``ℓ(z) = log(1 + e^{-z})``, entry by entry, without overflow or cancellation.

    >>> logistic_loss([-1000.0, 1000.0]).tolist()
    [1000.0, 0.0]
    """
    return np.asarray(np.logaddexp(0.0, -checks.array("z", z, "...")))


def g(z: ArrayLike) -> Array:
    """Return ``g(z) = -ℓ'(z) = 1/(1 + e^z)``, entry by entry, without overflow; in [0, 1].

    >>> g([-1000.0, 0.0]).tolist()
    [1.0, 0.5]
    """
    return np.asarray(expit(-checks.array("z", z, "...")))


def empirical_loss(X: ArrayLike, y: ArrayLike, W: ArrayLike, a: ArrayLike, gamma: float) -> float:
    """Return ``L̂(W) = (1/n) Σ_i ℓ(z_i)``, with the `margins` ``z_i``.

    >>> round(empirical_loss([[1.0]], y=[1], W=[[0.0]], a=[1.0], gamma=0.5), 9)
    0.693147181
    """
    return float(logistic_loss(margins(X, y, W, a, gamma)).mean())


def empirical_g(X: ArrayLike, y: ArrayLike, W: ArrayLike, a: ArrayLike, gamma: float) -> float:
    """Return ``Ĝ(W) = (1/n) Σ_i g(z_i)``, with the `margins` ``z_i``; in [0, 1].

    >>> empirical_g([[1.0]], y=[1], W=[[0.0]], a=[1.0], gamma=0.5)
    0.5
    """
    return float(g(margins(X, y, W, a, gamma)).mean())


def _loss_gradient(
    X: Samples, y: PerSample, W: Weights, a: OutputWeights, gamma: float, at_zero: float
) -> tuple[PerSample, Weights]:
    """Return the margins and ``∇L̂(W)``, for arguments already checked."""
    pre = X @ W.T
    positive = pre > 0
    z = y * (np.where(positive, pre, gamma * pre) @ a)
    slopes = np.where(positive, 1.0, gamma)
    slopes[pre == 0] = at_zero
    weights = slopes * (-(expit(-z) * y) / y.size)[:, None]
    return z, a[:, None] * (weights.T @ X)


def loss_gradient(
    X: ArrayLike, y: ArrayLike, W: ArrayLike, a: ArrayLike, gamma: float, at_zero: float = 1.0
) -> Weights:
    """Return ``∇L̂(W) = -(1/n) Σ_i g(z_i) y_i ∇f(x_i; W)``.

    >>> loss_gradient([[1.0]], y=[1], W=[[0.0]], a=[1.0], gamma=0.5).tolist()
    [[-0.5]]
    """
    X, y, W, a = checks.arrays(X=(X, "n d"), y=(y, "n"), W=(W, "m d"), a=(a, "m"))
    check_slopes(gamma, at_zero)
    return _loss_gradient(X, checks.signs("y", y), W, _output_weights(a), gamma, at_zero)[1]


@dataclass(frozen=True)
class Trajectory:
    """A run of gradient descent; entry ``t`` of each array belongs to ``W^{(t)}``, and ``T`` is the last step.

    The step size ``alpha[t]`` leads from ``W^{(t)}`` to ``W^{(t+1)}``; ``W0`` and ``W`` are the first and the last
    weights. Recorded are ``H = ⟨W^{(t)}, V⟩``, ``F = ‖W^{(t)}‖_F``, ``G = Ĝ(W^{(t)})``, ``L = L̂(W^{(t)})``, and the
    stable ranks of ``W^{(t)}`` and ``W^{(t)} - W^{(0)}``, NaN for a zero matrix. What was not asked for is NaN.
    """

    alpha: Steps
    W0: Weights
    W: Weights
    H: Iterates
    F: Iterates
    G: Iterates
    L: Iterates
    rank: Iterates
    rank_of_change: Iterates

    @property
    def steps(self) -> int:
        """Number of steps taken, ``T``."""
        return self.alpha.size


def gradient_descent(
    X: ArrayLike,
    y: ArrayLike,
    W0: ArrayLike,
    a: ArrayLike,
    gamma: float,
    alpha: float | Sequence[float],
    steps: int,
    *,
    V: ArrayLike | None = None,
    at_zero: float = 1.0,
    record_rank: bool = False,
    stop_at: float | None = None,
) -> Trajectory:
    """Run ``W^{(t+1)} = W^{(t)} - α_t ∇L̂(W^{(t)})`` from ``W^{(0)} = W0`` and record it.

    There are ``steps`` ≥ 0 steps, or fewer: the last ``t`` is the first with ``Ĝ(W^{(t)}) ≤ stop_at``. ``alpha`` is the
    step size, or one a step, each positive and small enough for the weights not to overflow. ``V``, of the shape of
    the weights, asks for ``H``, and ``record_rank`` for stable ranks (two singular value decompositions a step).

    >>> run = gradient_descent([[1.0]], y=[1], W0=[[0.0]], a=[1.0], gamma=0.5, alpha=2.0, steps=1)
    >>> run.W.tolist(), run.steps
    ([[1.0]], 1)
    """
    directions = {} if V is None else {"V": (V, "m d")}
    X, y, start, a, *rest = checks.arrays(X=(X, "n d"), y=(y, "n"), W0=(W0, "m d"), a=(a, "m"), **directions)
    y, a = checks.signs("y", y), _output_weights(a)
    check_slopes(gamma, at_zero)
    checks.whole(0, steps=steps)
    sizes = checks.numbers_within("(0, inf)", "alpha", alpha)
    if sizes.ndim and sizes.shape != (steps,):
        raise ValueError(f"alpha has shape {sizes.shape}: one number, or {steps} of them, is needed")
    sizes = np.broadcast_to(sizes, (int(steps),))
    W, records = start.copy(), []
    for t in range(int(steps) + 1):
        z, gradient = _loss_gradient(X, y, W, a, gamma, at_zero)
        H = (W * rest[0]).sum() if rest else np.nan
        ranks = [stable_rank(M) if record_rank and M.any() else np.nan for M in (W, W - start)]
        records.append([H, np.linalg.norm(W), expit(-z).mean(), np.logaddexp(0.0, -z).mean(), *ranks])
        if t == steps or (stop_at is not None and records[-1][2] <= stop_at):
            break
        W = W - sizes[t] * gradient
        if not np.abs(W).max() < 1e150:
            raise ValueError(f"alpha = {sizes[t]}: the weights overflow in step {t + 1}")
    return Trajectory(np.array(sizes[:t]), start.copy(), W, *np.array(np.transpose(records), order="C"))
