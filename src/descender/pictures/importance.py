"""What moves a linear model: how much each column does, with its features beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.errors import ShapeError

EXCLUSIVE = ("level", "month", "weekday", "hour", "boolean", "missing")
"""Kinds of features of which a row has at most one of the same column."""


@dataclass(frozen=True)
class ColumnEffect:
    """A column: how much it moves the score, the standard deviation of what it adds, and which features are its own."""

    name: str
    spread: float
    members: tuple[int, ...]


def describe_importance(details: Sequence[Any], weights: ArrayLike) -> list[ColumnEffect]:
    r"""The columns of a model, those that move it most first, from its features and weights alone.

    What a column adds to the score varies over the training rows by :math:`\sqrt{v}`: of a standardised number
    :math:`v = w^2`; of levels, of which a row has one, with shares p, :math:`v = \sum p w^2 - (\sum p w)^2`; of words
    :math:`v = \sum p (1 - p) w^2`, as if they were independent.  Parts of one column and several outputs are added up.

    >>> from descender.data.columns import Feature
    >>> two = [Feature("c = a", "c", "level", 0.5, 1.0), Feature("x", "x", "number", 7.0, 2.0)]
    >>> [(effect.name, effect.spread) for effect in describe_importance(two, [4.0, 3.0])]
    [('x', 3.0), ('c', 2.0)]
    """
    W = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    if W.shape[1] != len(details):
        raise ShapeError(f"weights of shape {W.shape} for {len(details)} features")
    groups: dict[str, dict[str, list[int]]] = {}
    for j, feature in enumerate(details):
        name = feature.name if feature.kind == "entry" else feature.column
        groups.setdefault(name, {}).setdefault(feature.kind, []).append(j)
    effects = []
    for name, kinds in groups.items():
        variance = sum(_variance(details, kind, members, W) for kind, members in kinds.items())
        members = tuple(j for part in kinds.values() for j in part)
        effects.append(ColumnEffect(name, float(np.sqrt(variance)), members))
    return sorted(effects, key=lambda effect: -effect.spread)


def _variance(details: Sequence[Any], kind: str, members: list[int], W: NDArray) -> float:
    w = W[:, members]
    if kind in ("number", "entry"):
        return float((w**2).sum())
    p = np.array([details[j].mean for j in members])
    if kind in EXCLUSIVE:
        return max(float((w**2 @ p).sum() - ((w @ p) ** 2).sum()), 0.0)
    return float((w**2 @ (p * (1.0 - p))).sum())
