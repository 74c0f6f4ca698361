"""What moves a linear model: its largest coefficients, and how much each column does, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.errors import OptionError, ShapeError
from descender.pictures.plotly import Spec, cut, escaped, figure, plain, titled
from descender.pictures.style import BLACK, BLUE, VERMILLION, axes, head, styled, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes


EXCLUSIVE = ("level", "month", "weekday", "hour", "boolean", "missing")
"""Kinds of features of which a row has at most one of the same column."""


@dataclass(frozen=True)
class Bars:
    """Names with values, the largest first; ``left_out`` smaller ones are not shown."""

    names: tuple[str, ...]
    values: NDArray[np.float64]
    label: str
    left_out: int


@dataclass(frozen=True)
class ColumnEffect:
    """A column: how much it moves the score, the standard deviation of what it adds, and which features are its own."""

    name: str
    spread: float
    members: tuple[int, ...]


def describe_bars(names: Sequence[str], values: ArrayLike, label: str = "coefficient", most: int = 20) -> Bars:
    """The `most` largest values by size, with their names.

    >>> describe_bars(["a", "b", "c"], [1.0, -3.0, 0.5], most=2).names
    ('b', 'a')
    """
    V = np.asarray(values, dtype=np.float64)
    if V.ndim != 1 or len(names) != len(V) or not len(V):
        raise ShapeError(f"{len(names)} names and values of shape {V.shape}; expected one value for each name")
    if most < 1:
        raise OptionError(f"most={most}: show at least one bar")
    order = np.argsort(-np.abs(np.nan_to_num(V)), kind="stable")[:most]
    return Bars(tuple(str(names[i]) for i in order), V[order], label, len(V) - len(order))


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


@styled
def draw_bars(data: Bars, ax: Any = None) -> Axes:
    """Draw the values as bars, the largest on top."""
    ax = axes(ax, (6.4, 0.9 + 0.27 * len(data.names)))
    place = np.arange(len(data.names))
    colours = [BLUE if v >= 0 else VERMILLION for v in data.values]
    ax.barh(place, np.nan_to_num(data.values), color=colours, height=0.72)
    ax.set_yticks(place, [words(cut(n, 32)) for n in data.names])
    ax.invert_yaxis()
    ax.axvline(0, color=BLACK, lw=0.8)
    ax.tick_params(axis="y", length=0)
    ax.grid(True, axis="x")
    ax.set_xlabel(words(data.label))
    head(ax, "", (f"and {data.left_out:,} smaller",) if data.left_out else ())
    return ax


def plotly_bars(data: Bars) -> Spec:
    """Horizontal bars, the largest on top."""
    colours = [BLUE if v >= 0 else VERMILLION for v in data.values]
    place = list(range(len(data.names)))
    bar = {"type": "bar", "orientation": "h", "x": plain(data.values), "y": place, "marker": {"color": colours}}
    bar |= {"customdata": [escaped(n) for n in data.names], "hovertemplate": "%{customdata}: %{x:.4g}<extra></extra>"}
    ticks = [escaped(cut(n, 32)) for n in data.names]
    y = {"tickvals": place, "ticktext": ticks, "autorange": "reversed", "ticks": ""}
    notes = (f"and {data.left_out:,} smaller",) if data.left_out else ()
    return figure([bar], "", titled(cut(data.label, 28), zeroline=True), y, notes, height=76 + 24 * len(place))
