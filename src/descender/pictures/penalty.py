"""How a penalty was chosen: the held-out loss with its standard error, and the coefficients, along the strengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descender.errors import ShapeError
from descender.pictures.style import BLUE, COLOURS, DASHES, GREY, SKY, VERMILLION, head, legend, short, styled, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 6
"""Coefficients that are named: the largest at the chosen strength."""
DRAWN = 60
"""Coefficients that are drawn, the largest along the path."""


@dataclass(frozen=True)
class Penalty:
    """A path of strengths, ready to be drawn.

    ``low`` and ``high`` are the score less and plus its standard error; ``lines`` are (features, strengths), largest
    first, of which the first few have ``names``.
    """

    title: str
    kind: str
    strengths: NDArray[np.float64]
    scores: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    best: int
    chosen: int
    lines: NDArray[np.float64]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def describe_penalty(path: Any, features: Sequence[str] | None = None) -> Penalty:
    """A :class:`~descender.verbs.path.PenaltyPath` ready to be drawn; `features` name its coefficients.

    >>> from descender import fit
    >>> found = fit("example:diabetes")
    >>> picture = describe_penalty(found.path, found.model.features)
    >>> picture.kind, picture.lines.shape[0], len(picture.names)
    ('l2', 10, 6)
    """
    strengths, W = np.asarray(path.strengths, dtype=np.float64), np.asarray(path.coefficients, dtype=np.float64)
    names = tuple(features) if features is not None else tuple(f"x{j}" for j in range(W.shape[1]))
    if len(names) != W.shape[1]:
        raise ShapeError(f"{len(names)} features for {W.shape[1]} coefficients")
    # the largest at the chosen strength first, of equals those that are ever largest
    order = np.lexsort((-np.abs(W).max(axis=0), -np.abs(W[path.chosen])))[:DRAWN]
    notes = [f"by {path.how}"]
    if len(order) < W.shape[1]:
        notes.append(f"the {len(order)} largest of {W.shape[1]:,} coefficients")
    return Penalty(
        title=f"{path.kind} = {short(float(strengths[path.chosen]), 3)}",
        kind=path.kind,
        strengths=strengths,
        scores=np.asarray(path.scores),
        low=np.asarray(path.scores) - path.errors,
        high=np.asarray(path.scores) + path.errors,
        best=int(path.best),
        chosen=int(path.chosen),
        lines=W.T[order],
        names=tuple(names[j] for j in order[:NAMED]),
        notes=tuple(notes),
    )


@styled
def draw_penalty(data: Penalty, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Draw the held-out loss above and the coefficients below, weak penalties to the right; returns both axes."""
    if axes is None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 6.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = list(figure.subplots(2, 1, sharex=True))
    above, below = axes
    x = data.strengths
    above.fill_between(x, data.low, data.high, color=SKY, alpha=0.3, lw=0, label="± one standard error")
    above.plot(x, data.scores, color=BLUE, label="held-out loss")
    if data.best != data.chosen:
        above.plot(x[data.best], data.scores[data.best], "s", mfc="none", color=BLUE, label="lowest")
    above.plot(x[data.chosen], data.scores[data.chosen], "o", color=VERMILLION, label="chosen", zorder=5)
    above.set_ylabel("mean loss of rows not learnt from")
    head(above, data.title, data.notes)
    legend(above)
    for k, line in enumerate(data.lines[::-1]):
        place = len(data.lines) - 1 - k
        named = place < len(data.names)
        look = {"color": COLOURS[place % len(COLOURS)], "ls": DASHES[place % len(DASHES)]} if named else {"color": GREY}
        label = words(data.names[place]) if named else None
        below.plot(x, line, lw=1.6 if named else 0.7, alpha=1.0 if named else 0.5, label=label, **look)
    below.axhline(0.0, color=GREY, lw=0.8)
    for ax in axes:
        ax.axvline(x[data.chosen], color=VERMILLION, lw=0.9, ls=":")
        ax.set_xscale("log")
    if len(x) > 1:
        above.set_xlim(float(x.max()), float(x.min()))
    below.set_xlabel(f"strength of the {data.kind} penalty")
    below.set_ylabel("coefficient per deviation")
    handles, labels = below.get_legend_handles_labels()
    if handles:
        below.legend(handles[::-1], labels[::-1], loc="best", fontsize=8.5)
    return axes
