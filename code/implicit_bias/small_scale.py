"""The limit of small initial weights, when both layers and the biases are trained on the cross-entropy.

Scale all initial weights by σ and let σ → 0. For a fixed number of steps the weights divided by σ converge to a
recursion in which σ does not occur (`thm-small-scale`): the logits are of order σ², so the softmax sees the output
bias alone.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike
from scipy.special import softmax

from . import checks
from .activation import leaky_relu, leaky_relu_derivative


@dataclass(frozen=True)
class SmallScaleState:
    """The limits of ``U = (W, b)/σ``, of ``A = V/σ``, and of the output bias ``c`` itself, which is of order one."""

    U: Float64[np.ndarray, "m inputs"]
    A: Float64[np.ndarray, "k m"]
    c: Float64[np.ndarray, " k"]


def small_scale_limit(
    U: ArrayLike, A: ArrayLike, X: ArrayLike, labels: ArrayLike, alpha: float, gamma: float, steps: int
) -> list[SmallScaleState]:
    """Run the limit recursion from ``(U, A, 0)``; return its states at 0, 1, ..., ``steps``.

    With ``x̃_i = (x_i, 1)``, ``δ_i = softmax(c) - e_{y_i}`` and means over the n samples,

        U' = U - α mean_i (Aᵀδ_i ∘ φ'(U x̃_i)) x̃_iᵀ,   A' = A - α mean_i δ_i φ(U x̃_i)ᵀ,   c' = c - α mean_i δ_i.

    ``U`` has shape (m, d+1), ``A`` (k, m), ``X`` (n, d), and the n labels are from 0 to k - 1; the step size ``alpha``
    is positive, and ``gamma`` is also taken as the derivative of the leaky ReLU at 0 (`thm-small-scale`).

    >>> small_scale_limit([[1, 0]], [[0], [1]], X=[[2]], labels=[0], alpha=1.0, gamma=0.5, steps=1)[-1].A.tolist()
    [[1.0], [0.0]]
    """
    X, U, A, labels = checks.arrays(X=(X, "n d"), U=(U, "m d+1"), A=(A, "k m"), labels=(labels, "n"))
    if not np.isin(labels, range(len(A))).all():
        raise ValueError(f"labels from {labels.min():g} to {labels.max():g}: need 0 to {len(A) - 1}")
    checks.within("(0, inf)", alpha=alpha)
    checks.whole(0, steps=steps)
    n = len(X)
    inputs, targets = np.column_stack((X, np.ones(n))), np.eye(len(A))[labels.astype(int)]
    states = [SmallScaleState(U, A, np.zeros(len(A)))]
    for _ in range(int(steps)):
        now = states[-1]
        delta, hidden = softmax(now.c) - targets, inputs @ now.U.T
        back = (delta @ now.A) * leaky_relu_derivative(hidden, gamma, at_zero=gamma)
        new_U = now.U - alpha / n * back.T @ inputs
        new_A = now.A - alpha / n * delta.T @ leaky_relu(hidden, gamma)
        states.append(SmallScaleState(new_U, new_A, now.c - alpha * delta.mean(0)))
    return states
