r"""What is minimised, written down once for all contenders, with nothing taken from any of them.

.. math::

    F(W, b) = \frac1n \sum_i \ell(x_i W + b, y_i) + \frac{\lambda_2}{2} \lVert W \rVert^2 + \lambda_1 \lVert W \rVert_1

The intercept is free.  W is (d,) with a number b, or (d, K) with b (K,) for softmax.  Everything is float64,
whatever the dtype of the rows.

How far a point is from the bottom is relative: (F - F*) / max(|F*|, S / 1000), where S is the cost of the best constant
score above the lowest conceivable one.  The second term only counts where F* is nearly 0; it is what descender's `tol`
means, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logsumexp, softmax, xlogy

Array = NDArray[np.float64]
BLOCK = 1 << 22
"""Numbers of X that are held in float64 at once."""


class Loss(NamedTuple):
    """A loss of a score z and a target y: its value, its first and its second derivative by z."""

    value: Callable[..., Array]
    slope: Callable[..., Array]
    curvature: Callable[..., Array] | None


def _sign(y: Array) -> Array:
    return 2.0 * y - 1.0


def _short(z: Array, y: Array) -> Array:
    """How much is missing from a margin of 1."""
    return np.maximum(0.0, 1.0 - _sign(y) * z)


def _chosen(z: Array, y: Array) -> Array:
    return np.take_along_axis(z, y.astype(np.intp)[:, None], axis=1)[:, 0]


def _one_hot(y: Array, classes: int) -> Array:
    return np.eye(classes)[y.astype(np.intp)]


def _huber(z: Array, y: Array, delta: float) -> Array:
    r = np.abs(z - y)
    return np.where(r <= delta, 0.5 * r * r, delta * (r - 0.5 * delta))


LOSSES = {
    "log_loss": Loss(
        lambda z, y: np.logaddexp(0.0, z) - y * z,
        lambda z, y: expit(z) - y,
        lambda z, y: expit(z) * expit(-z),
    ),
    "squared_error": Loss(
        lambda z, y: 0.5 * (z - y) ** 2,
        lambda z, y: z - y,
        lambda z, y: np.ones_like(z),
    ),
    "poisson": Loss(
        lambda z, y: np.exp(z) - y * z + xlogy(y, y) - y,
        lambda z, y: np.exp(z) - y,
        lambda z, y: np.exp(z),
    ),
    "hinge": Loss(
        _short,
        lambda z, y: -_sign(y) * (_short(z, y) > 0),
        None,
    ),
    "squared_hinge": Loss(
        lambda z, y: _short(z, y) ** 2,
        lambda z, y: -2.0 * _sign(y) * _short(z, y),
        lambda z, y: 2.0 * (_short(z, y) > 0),
    ),
    "softmax": Loss(
        lambda z, y: logsumexp(z, axis=1) - _chosen(z, y),
        lambda z, y: softmax(z, axis=1) - _one_hot(y, z.shape[1]),
        None,  # a matrix for each row: reference.py has it
    ),
}


def read_loss(name: str) -> Loss:
    """The loss of a name, with its parameter after it: ``"huber 1.5"``."""
    word, _, parameter = name.partition(" ")
    if word != "huber":
        return LOSSES[name]
    delta = float(parameter)
    return Loss(
        partial(_huber, delta=delta),
        lambda z, y: np.clip(z - y, -delta, delta),
        lambda z, y: (np.abs(z - y) <= delta).astype(float),
    )


def blocks(X: Any) -> Iterator[tuple[slice, Any]]:
    """The rows in float64, some at a time; a sparse matrix at once."""
    if not isinstance(X, np.ndarray):
        yield slice(0, X.shape[0]), X.astype(np.float64)
        return
    height = max(1, BLOCK // X.shape[1])
    for start in range(0, len(X), height):
        part = slice(start, min(start + height, len(X)))
        yield part, X[part].astype(np.float64, copy=False)


def scores(X: Any, W: Array, b: Any) -> Array:
    """x·W + b of every row."""
    return np.concatenate([rows @ W for _, rows in blocks(X)]) + b


@dataclass(frozen=True)
class Objective:
    """A loss by its name, and the strengths of its penalty."""

    loss: str
    l2: float = 0.0
    l1: float = 0.0

    @property
    def penalty(self) -> str:
        """Which of none, l2, l1, both."""
        return {(False, False): "none", (True, False): "l2", (False, True): "l1"}.get(
            (self.l2 > 0, self.l1 > 0), "both"
        )

    @property
    def kind(self) -> str:
        """The loss without its parameter."""
        return self.loss.partition(" ")[0]

    @property
    def delta(self) -> float:
        """Where Huber's loss becomes linear."""
        return float(self.loss.partition(" ")[2])

    def value(self, X: Any, y: Array, W: Array, b: Any) -> float:
        """F."""
        W = np.asarray(W, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            return self.value_at(scores(X, W, np.asarray(b, dtype=np.float64)), y, W)

    def value_at(self, z: Array, y: Array, W: Array) -> float:
        """F of a point whose scores are known."""
        return float(np.mean(read_loss(self.loss).value(z, y)) + self.of_weights(W))

    def of_weights(self, W: Array) -> float:
        """The penalty."""
        return 0.5 * self.l2 * float(np.sum(W * W)) + self.l1 * float(np.sum(np.abs(W)))

    def trivial_excess(self, y: Array) -> float:
        """S: the cost of the best constant score, above the lowest conceivable cost."""
        loss = read_loss(self.loss)
        if self.loss == "softmax":
            share = np.bincount(y.astype(np.intp)) / len(y)
            return float(-np.sum(xlogy(share, share)))
        low, high = (float(y.min()), float(y.max())) if self.kind in ("squared_error", "huber") else (-30.0, 30.0)
        best = minimize_scalar(
            lambda c: float(np.mean(loss.value(np.full(len(y), c), y))), bounds=(low, high), method="bounded"
        )
        return float(best.fun)


def relative(value: float, lowest: float, excess: float) -> float:
    """How far a value is above the lowest one; infinite where it is no number."""
    far = (value - lowest) / max(abs(lowest), excess / 1000.0)
    return far if np.isfinite(far) else np.inf
