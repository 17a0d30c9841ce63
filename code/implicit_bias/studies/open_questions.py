"""Study 7: three questions on gradient descent that were open, and small examples of what became of them."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from .. import network
from ..activation import leaky_relu, leaky_relu_derivative
from ..checks import Array

RHO, GAMMA = 0.9, 0.05
SLOPES, DRAWS = (1.0, 0.5, 0.05), 5
H, SIGMAS = 0.1, tuple(10.0**-k for k in (3, 6, 9, 12, 20, 30, 40))


def resting() -> network.Trajectory:
    """Run 3,000 steps on two samples at the angle arccos 0.9, of opposite labels, with nine neurons against one.

    From ``W^{(0)} = 0`` the nine stay equal, and soon rest on their kink at the second sample: each step crosses it.
    """
    X, a = [[1.0, 0.0], [RHO, (1 - RHO**2) ** 0.5]], network.output_weights(np.repeat([1.0, -1.0], (9, 1)))
    return network.gradient_descent(X, [1.0, -1.0], np.zeros((10, 2)), a, GAMMA, 1.0, 3000)


@dataclass(frozen=True)
class Start:
    """Inputs with a one for the bias, (n, d+1), labels, and the start ``U_0``, (m, d+1), and ``A_0``, (k, m)."""

    inputs: Array
    labels: NDArray[np.int64]
    U: Array
    A: Array


def start(draw: int) -> Start:
    """Draw twelve Gaussian samples in three classes of four, the same in each draw, and eight neurons."""
    X, weights = np.random.default_rng(0).standard_normal((12, 6)) / 2, np.random.default_rng([1, draw])
    inputs = np.column_stack((X, np.ones(12)))
    return Start(
        inputs, np.arange(12, dtype=np.int64) % 3, weights.standard_normal((8, 7)), weights.standard_normal((3, 8))
    )


def growth(at: Start, patterns: Array, alpha: float = 1.0) -> Array:
    """Return ``λ_j = 1 + α‖B(D^j)‖₂`` of each neuron, from the slopes ``D^j``, one column each (`thm-escape`)."""
    delta = 1 / len(at.A) - np.eye(len(at.A))[at.labels]
    return np.array([1 + alpha * np.linalg.norm((at.inputs.T * D) @ delta, 2) / len(delta) for D in patterns.T])


def patterns(at: Start, gamma: float, steps: int, alpha: float = 1.0) -> Array:
    """Return ``φ'(U_t x̃_i)`` along the limit recursion with ``c_t = 0``, of shape (steps, n, m), for equal classes.

    The weights are scaled after each step, which changes no pattern, so that ``steps`` may be large.
    """
    U, A, found = at.U, at.A, []
    delta = 1 / len(A) - np.eye(len(A))[at.labels]
    for _ in range(steps):
        hidden = at.inputs @ U.T
        found.append(leaky_relu_derivative(hidden, gamma, gamma))
        U, A = (
            U - alpha / len(delta) * ((delta @ A) * found[-1]).T @ at.inputs,
            A - alpha / len(delta) * delta.T @ leaky_relu(hidden, gamma),
        )
        scale = np.sqrt((U**2).sum(1) + (A**2).sum(0))  # each neuron evolves on its own
        U, A = U / scale[:, None], A / scale
    return np.array(found)


def escape(at: Start, gamma: float, sigma: float, h: float, alpha: float = 1.0) -> tuple[int, Array]:
    """Train from ``σU_0``, ``σA_0`` and no output bias; return the first step with a logit vector of length ``h``, and
    the first layer's weights there, biases included."""
    W, V, c, t = sigma * at.U, sigma * at.A, np.zeros(len(at.A)), 0
    targets = np.eye(len(c))[at.labels]
    while True:
        hidden = at.inputs @ W.T
        outputs = leaky_relu(hidden, gamma)
        logits = outputs @ V.T + c
        if np.linalg.norm(logits, axis=1).max() >= h:
            return t, W
        delta = (softmax(logits, axis=1) - targets) * (alpha / len(targets))
        back = (delta @ V) * leaky_relu_derivative(hidden, gamma, gamma)
        W, V, c, t = W - back.T @ at.inputs, V - delta.T @ outputs, c - delta.sum(0), t + 1


@cache
def escapes(gamma: float) -> Array:
    """Return the first step with logits of length ``H``, of shape (draws, `SIGMAS`)."""
    return np.array([[escape(start(draw), gamma, sigma, H)[0] for sigma in SIGMAS] for draw in range(DRAWS)])


@cache
def limit(gamma: float) -> Array:
    """Return the `patterns` in the first 2,000 steps, of shape (draws, steps, n, m), with the neurons of all as one."""
    all_draws = [start(draw) for draw in range(DRAWS)]
    together = replace(all_draws[0], U=np.vstack([at.U for at in all_draws]), A=np.hstack([at.A for at in all_draws]))
    return np.stack(np.split(patterns(together, gamma, 2000), DRAWS, axis=2))


def rate(gamma: float) -> Array:
    """Return ``log λ`` of the last patterns of `limit`, for each draw."""
    return np.log([growth(start(draw), found[-1]).max() for draw, found in enumerate(limit(gamma))])


def settled(gamma: float) -> Array:
    """Return, for each draw, the step of `limit` from which on the patterns do not change."""
    changes = [(found != found[-1]).any(axis=(1, 2)) for found in limit(gamma)]
    return np.array([np.flatnonzero([True, *changed])[-1] for changed in changes])


def slowness(gamma: float) -> Array:
    """Return, for each draw, the steps for a factor of ``e`` in σ between its smallest two, over ``1/log λ``."""
    return np.asarray(np.diff(escapes(gamma))[:, -1] / np.log(SIGMAS[-2] / SIGMAS[-1]) * rate(gamma))
