"""How a penalty was chosen: the held-out loss with its standard error, and the coefficients, along the strengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descender.errors import ShapeError
from descender.pictures.plotly import DASHED, Spec, cut, escaped, figure, plain, titled
from descender.pictures.style import BLUE, COLOURS, DASHES, GREY, SKY, VERMILLION, head, legend, short, styled, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 6
"""Coefficients that are named: the largest at the chosen strength."""
DRAWN = 60
"""Coefficients that are drawn, the largest along the path."""
TRACED = 10
"""Coefficients that a page follows, each with its name."""


@dataclass(frozen=True)
class Penalty:
    """A path of strengths, ready to be drawn.

    ``low`` and ``high`` are the score less and plus its standard error; ``lines`` are (features, strengths), largest
    first, with their ``names``; there were ``total``.  ``nonzeros`` counts the coefficients that are not 0.
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
    nonzeros: NDArray[np.int64]
    total: int
    notes: tuple[str, ...] = ()


def describe_penalty(path: Any, features: Sequence[str] | None = None) -> Penalty:
    """A :class:`~descender.verbs.path.PenaltyPath` ready to be drawn; `features` name its coefficients.

    >>> from descender import fit
    >>> found = fit("example:diabetes")
    >>> picture = describe_penalty(found.path, found.model.features)
    >>> picture.kind, picture.lines.shape[0], len(picture.names)
    ('l2', 10, 10)
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
        names=tuple(names[j] for j in order),
        nonzeros=np.asarray(path.nonzeros),
        total=W.shape[1],
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
        named = place < NAMED
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


def plotly_penalty(data: Penalty) -> Spec:
    """The held-out loss of each strength with its standard error; the best and the chosen one are marked."""
    curve = {
        "type": "scatter", "mode": "lines+markers", "name": "held-out loss", "x": plain(data.strengths),
        "y": plain(data.scores), "line": {"color": BLUE, "width": 1.5},
        "error_y": {"array": plain(data.high - data.scores), "width": 2, "color": SKY},
        "customdata": data.nonzeros.tolist(),
        "hovertemplate": "%{x:.3g}: %{y:.6g}, %{customdata} weights are not 0<extra></extra>",
    }  # fmt: skip
    marked = []
    for name, k, colour, symbol in (
        ("lowest", data.best, GREY, "circle-open"), ("chosen", data.chosen, VERMILLION, "diamond")
    ):  # fmt: skip
        at = float(data.strengths[k])
        marker = {"color": colour, "size": 13, "symbol": symbol, "line": {"width": 2}}
        marked.append(
            {
                "type": "scatter", "mode": "markers", "name": f"{name}: {short(at, 3)}", "x": [at],
                "y": [float(data.scores[k])], "marker": marker,
            }
        )  # fmt: skip
    horizontal = titled(f"{data.kind}, from weak to heavy shrinkage") | _strengths(data.strengths)
    return figure([curve, *marked], "", horizontal, titled("mean loss"))


def plotly_coefficients(data: Penalty) -> Spec:
    """How the largest coefficients grow as the penalty falls."""
    x, chosen = data.strengths, float(data.strengths[data.chosen])
    lines = [
        {
            "type": "scatter", "mode": "lines", "name": escaped(cut(name, 24)), "x": plain(x), "y": plain(line),
            "line": {"color": COLOURS[k % 7], "width": 1.8, "dash": DASHED[k % 7]},
        }
        for k, (name, line) in enumerate(zip(data.names[:TRACED], data.lines, strict=False))
    ]  # fmt: skip
    notes = (f"the {len(lines)} largest of {data.total:,}",) if data.total > len(lines) else ()
    mark = {
        "type": "line", "x0": chosen, "x1": chosen, "yref": "paper", "y0": 0, "y1": 1,
        "line": {"color": GREY, "width": 1, "dash": "dot"},
    }  # fmt: skip
    spec = figure(lines, "", titled(data.kind) | _strengths(x), titled("per deviation"), notes, showlegend=False)
    return {"data": spec["data"], "layout": spec["layout"] | {"shapes": [mark]}}


def _strengths(x: NDArray) -> Spec:
    """An axis of strengths, marked by powers of ten; a logarithmic one has no place for 0."""
    if not (x > 0).all():
        return {}
    decades = float(np.log10(x.max() / x.min()))
    return {"type": "log", "exponentformat": "power", "dtick": max(round(decades / 5), 1)}
