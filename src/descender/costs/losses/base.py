"""What all losses share: the facts as most have them, and how a loss with parameters is spelled."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

INFINITY = float("inf")


class BaseLoss:
    """The facts of a loss, as most have them."""

    name = ""
    tasks: tuple[str, ...] = ("regression",)
    targets = "finite numbers"
    conjugate = ""  # of `dual`, as it is written; none where the loss is not convex
    convex = True
    differentiable = True
    curvature_bound = 1.0
    dual_curvature: float | None = None  # c, where the dual is a parabola theta t - c theta^2 / 2 on its interval
    boundless = False  # whether every theta is in the domain of the dual
    largest_move = INFINITY  # of a score in one step, beyond which a quadratic model says nothing
    scores_per_class = False
    probability = False
    threshold = 0.0

    @staticmethod
    def suits(y):
        """Which targets it accepts."""
        return np.isfinite(y)

    fused: Any = None
    """Value and slope at once, where there is such a formula; `fuses` tells for which targets."""

    fuse: Any = None
    """``fuse(z, sides, value, slope)``: the same into arrays that are there, for the ``sides`` of the targets."""

    sides: Any = None
    """What `fuse` knows of targets (n,), made once for all scores: an array (n,), or several (k, n)."""

    bend: Any = None
    """The second derivative by the slope alone, where `fused` holds and the slope is a difference of probabilities."""

    working_weights: Any = None
    """``working_weights(y, weights)``: the curvature of each row about where its target alone would have its score,
    where that tells the rows apart; ``working_response(y, h)`` is where the parabolas with these have their bottoms."""

    working_response: Any = None

    @staticmethod
    def fuses(y):
        """Whether `fused` holds for these targets."""
        return True

    @staticmethod
    def lowest(y):
        """The lowest loss that any score has."""
        return 0.0 * y

    @staticmethod
    def predict(z):
        """From score to prediction."""
        return z


def parameters(loss: Any) -> tuple[float, ...]:
    """The parameters of a loss; most have none.

    >>> from descender.costs.losses import Huber, LogLoss
    >>> parameters(Huber(1.5)), parameters(LogLoss)
    ((1.5,), ())
    """
    return (
        tuple(getattr(loss, field.name) for field in dataclasses.fields(loss)) if dataclasses.is_dataclass(loss) else ()
    )


def spelled(loss: Any, word: str) -> str:
    """How a loss with parameters is written: its word alone for the default ones."""
    given = parameters(loss)
    short = [f"{number:g}" if float(f"{number:g}") == number else repr(number) for number in given]
    return word if given == parameters(type(loss)()) else " ".join([word, *short])
