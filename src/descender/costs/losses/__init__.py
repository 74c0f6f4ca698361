r"""Losses: what one sample costs, as a formula of its score z and its target y.

A loss is a class of formulas, elementwise in `z` and `y`, written with NumPy functions and without ``if``, so that the
same text runs on arrays, in compiled loops and under tracing.  It tells everything about itself:

``value(z, y)``
    the loss, never negative; stable for scores of ±1e4; with ``maximum(z, -z)`` for ``abs``, whose derivative at 0
    libraries see differently;
``slope(z, y)``
    its derivative by z (at a kink, the one that automatic differentiation of `value` gives);
``curvature(z, y)``
    its second derivative by z, where it has one;
``dual(theta, y)``
    :math:`-\ell^*(-\theta)`, the sample's share of the dual objective, for a `theta` within ``dual_range(y)``,
    an interval that holds 0;
``trivial(y, weights)``
    the constant score with the lowest mean loss; ``lowest(y)``: the lowest loss that any score has;
``predict(z)``
    from score to prediction, which is a ``probability`` or not.

``tasks`` names the targets that it is made for, ``suits(y)`` tells which values it accepts and ``targets`` says so in
words.  With two classes, a score above ``threshold`` speaks for the second.  ``scores_per_class`` losses have one score
for each class, classes first.

A loss with parameters is spelled with them: ``"huber 1.5"``, ``"quantile 0.9"``.  To add a loss, write its class
with its family and name it in `LOSSES`; nothing else knows it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from descender.costs.losses.base import BaseLoss, parameters
from descender.costs.losses.classes import Hinge, LogLoss, OneVsRest, SigmoidSquaredError, Softmax, SquaredHinge
from descender.costs.losses.regression import Huber, Poisson, Quantile, SquaredError
from descender.errors import OptionError, TargetError, suggest

__all__ = [
    "DEFAULT",
    "LOSSES",
    "Hinge",
    "Huber",
    "LogLoss",
    "Loss",
    "OneVsRest",
    "Poisson",
    "Quantile",
    "SigmoidSquaredError",
    "Softmax",
    "SquaredError",
    "SquaredHinge",
    "check_targets",
    "parameters",
    "read_loss",
]
Loss = Any
LOSSES: dict[str, Loss] = {
    "squared_error": SquaredError,
    "huber": Huber(),
    "quantile": Quantile(),
    "poisson": Poisson,
    "log_loss": LogLoss,
    "softmax": Softmax,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "sigmoid_squared_error": SigmoidSquaredError,
}
DEFAULT = {"binary": "log_loss", "multiclass": "softmax", "regression": "squared_error"}
"""The loss of each task where none is named."""


def read_loss(given: Any) -> Loss:
    """A loss from its name, with its parameters after it, or the loss itself.

    Raises :class:`~descender.errors.OptionError` for a name that is not known and for parameters that do not fit.

    >>> read_loss("huber 1.5"), read_loss("huber").name, read_loss(Quantile(0.9)).name
    (Huber(delta=1.5), 'huber', 'quantile 0.9')
    """
    if isinstance(given, str) and given in LOSSES:
        return LOSSES[given]
    if not isinstance(given, str):
        known = given in LOSSES.values() if isinstance(given, type) else isinstance(given, BaseLoss)
        if known:
            return given
        raise OptionError(f"loss={given!r}: give a name, such as 'log_loss' or 'huber 1.5'; {suggest('', LOSSES)}")
    name, *numbers = given.replace(",", " ").split() or [""]
    if name not in LOSSES:
        raise OptionError(f"loss={given!r}; {suggest(name, LOSSES)}")
    loss = LOSSES[name]
    if not numbers:
        return loss
    fields = [field.name for field in dataclasses.fields(loss)] if dataclasses.is_dataclass(loss) else []
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        values = []
    if len(values) != len(fields):
        after = f"after {name!r} comes the number {' '.join(fields)}" if fields else f"{name!r} has no parameters"
        raise OptionError(f"loss={given!r}: {after}")
    return type(loss)(*values)


def check_targets(loss: Loss, y: np.ndarray) -> None:
    """Refuse targets that the loss is not made for."""
    good = loss.suits(y) & np.isfinite(y)
    if np.count_nonzero(good) < good.size:
        row = int(np.flatnonzero(~good)[0])
        raise TargetError(f"the target of row {row} is {y[row]:g}; {loss.name} needs {loss.targets}")
