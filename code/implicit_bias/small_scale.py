r"""The limit of small initial weights, when both layers and the biases are trained on the cross-entropy.

Scale all initial weights by :math:`\sigma` and let :math:`\sigma \to 0`. For a fixed number of steps the weights
divided by :math:`\sigma` converge to a recursion in which :math:`\sigma` does not occur (the book's
@thm-small-scale): the logits are of order :math:`\sigma^2`, so the softmax sees the output bias alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from .activation import leaky_relu, leaky_relu_derivative


@dataclass(frozen=True)
class SmallScaleState:
    r"""The limit of the weights over sigma, and of the output bias, after some steps.

    Attributes
    ----------
    U : ndarray, shape (m, d + 1)
        Limit of ``(W, b) / sigma``; the last column belongs to the bias.
    A : ndarray, shape (k, m)
        Limit of ``V / sigma``.
    c : ndarray, shape (k,)
        Limit of the output bias itself, which is of order one.
    """

    U: np.ndarray
    A: np.ndarray
    c: np.ndarray


def small_scale_limit(
    U: np.ndarray, A: np.ndarray, X: np.ndarray, labels: np.ndarray, alpha: float, gamma: float, steps: int
) -> list[SmallScaleState]:
    r"""Run the limit recursion from ``(U, A, 0)``.

    With :math:`\tilde x_i = (x_i, 1)`, :math:`\delta_i = \mathrm{softmax}(c) - e_{y_i}` and means over the n samples,

    .. math:: U' = U - \alpha \,\overline{(A^\top \delta_i \circ \varphi'(U \tilde x_i))\, \tilde x_i^\top},\quad
              A' = A - \alpha \,\overline{\delta_i\, \varphi(U \tilde x_i)^\top},\quad
              c' = c - \alpha \,\overline{\delta_i}.

    Parameters
    ----------
    U : ndarray, shape (m, d + 1)
    A : ndarray, shape (k, m)
    X : ndarray, shape (n, d)
    labels : ndarray of int, shape (n,)
        From 0 to k - 1.
    alpha : float
        Step size, positive.
    gamma : float
        Slope of the leaky ReLU, in (0, 1]; also taken as its derivative at 0.
    steps : int
        Number of steps, at least 0.

    Returns
    -------
    list of SmallScaleState, at 0, 1, ..., ``steps``

    Raises
    ------
    ValueError
        If the shapes do not fit together, a label is out of range or ``alpha`` is not positive.

    Notes
    -----
    Source: the book's @thm-small-scale.
    """
    U, A, X = (np.asarray(array, dtype=float) for array in (U, A, X))
    labels = np.asarray(labels)
    n, d = X.shape
    if U.shape[1] != d + 1 or A.shape[1] != U.shape[0] or labels.shape != (n,):
        raise ValueError(
            f"shapes U {U.shape}, A {A.shape}, X {X.shape}, labels {labels.shape}: "
            "need (m, d + 1), (k, m), (n, d), (n,)"
        )
    if labels.min() < 0 or labels.max() >= len(A):
        raise ValueError(f"labels from {labels.min()} to {labels.max()}: need 0 to {len(A) - 1}")
    if not alpha > 0:
        raise ValueError(f"alpha = {alpha}: the step size must be positive")
    inputs = np.column_stack((X, np.ones(n)))
    states = [SmallScaleState(U, A, np.zeros(len(A)))]
    for _ in range(steps):
        now = states[-1]
        delta = softmax(now.c) - np.eye(len(A))[labels]
        hidden = inputs @ now.U.T
        back = (delta @ now.A) * leaky_relu_derivative(hidden, gamma, at_zero=gamma)
        states.append(
            SmallScaleState(
                now.U - alpha / n * back.T @ inputs,
                now.A - alpha / n * delta.T @ leaky_relu(hidden, gamma),
                now.c - alpha * delta.mean(0),
            )
        )
    return states
