"""Methods raced: how near each one is to the bottom, against the work that it has done, both logarithmic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descender.errors import OptionError
from descender.pictures.paths import thin
from descender.pictures.plotly import DASHED, Spec, escaped, figure, logarithmic, plain, titled
from descender.pictures.style import COLOURS, DASHES, GREY, MARKERS, axes, head, legend, short, styled, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HIGHEST = 1e2
"""Shares of the first gap above this are drawn at the upper edge: a diverging walk must not flatten the others."""
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "pentagon", "cross")
"""Those of Plotly, in the order of the markers on paper."""
MARKS = 9
"""Markers along a line, for readers who see no colours."""


@dataclass(frozen=True)
class Line:
    """One method: the share ``gap`` of the first gap after ``work``; whether it ``reached`` the goal, or ``left``."""

    label: str
    work: NDArray[np.float64]
    gap: NDArray[np.float64]
    reached: bool
    left: bool


@dataclass(frozen=True)
class Gaps:
    """Lines, the goal, and the range of both axes."""

    title: str
    x_label: str
    goal: float
    lines: tuple[Line, ...]
    x_limits: tuple[float, float]
    y_limits: tuple[float, float]
    notes: tuple[str, ...] = ()


def describe_gaps(
    lines: Sequence[tuple[str, Any, Any, bool]], x_label: str = "work", title: str = "", goal: float = 1e-6
) -> Gaps:
    """Curves of (label, work, gap, reached), made ready for logarithmic axes.

    The start, where no work was done, stands at the left edge; what is at or below a third of the goal, at the lower
    edge; a gap that is above 100 or no number is where a walk left the picture.

    >>> picture = describe_gaps([("gd", [0, 10, 20], [1.0, 0.1, 0.0], True), ("sgd", [0, 5], [1.0, np.inf], False)])
    >>> bool(picture.lines[0].gap.min() > 0), picture.lines[1].left
    (True, True)
    """
    if not lines:
        raise OptionError("there is no method to draw: a race needs at least one")
    arrays = [(name, np.asarray(x, float), np.asarray(y, float), ok) for name, x, y, ok in lines]
    positive = np.concatenate([x[x > 0] for _, x, _, _ in arrays])
    low = float(positive.min()) if positive.size else 1.0
    high = float(positive.max()) if positive.size else 10.0
    left_edge = low / 1.5
    floor = max(goal, 1e-15) / 3.0
    described = []
    for name, x, y, reached in arrays:
        gone = ~np.isfinite(y) | (y > HIGHEST)
        stop = int(np.argmax(gone)) + 1 if gone.any() else len(y)
        work = np.maximum(x[:stop], left_edge)
        gap = np.clip(np.nan_to_num(y[:stop], nan=HIGHEST, posinf=HIGHEST), floor, HIGHEST)
        kept = thin(np.log(gap))
        described.append(Line(name, work[kept], gap[kept], bool(reached), bool(gone.any())))
    notes = []
    if any(line.left for line in described):
        names = ", ".join(line.label for line in described if line.left)
        notes.append(f"left the picture (x): {names}")
    top = max(2.0, min(HIGHEST, 1.5 * max(float(line.gap.max()) for line in described)))
    return Gaps(
        title, x_label, goal, tuple(described), (left_edge, max(high, left_edge) * 1.3), (floor, top), tuple(notes)
    )


@styled
def draw_gaps(data: Gaps, ax: Any = None) -> Axes:
    """Draw a described race; methods differ in colour, dashes and markers, and an x tells where one left."""
    ax = axes(ax, size=(7.6, 4.4))
    count = len(data.lines)
    for k, line in enumerate(data.lines):
        colour, dash, mark = COLOURS[k % 7], DASHES[k % 7], MARKERS[k % 7]
        spots = _spots(line.work, k / max(count, 1))
        shift = k // 7  # with more lines than colours, the markers of the later ones are hollow
        ax.plot(
            line.work, line.gap, color=colour, ls=dash, marker=mark, markevery=spots, ms=5.5,
            mfc="white" if shift else colour, label=words(line.label), zorder=2.5,
        )  # fmt: skip
        if line.left:
            ax.plot(line.work[-1:], line.gap[-1:], "x", color=colour, ms=9, mew=2.2, zorder=4, clip_on=False)
    if data.goal > 0:
        ax.axhline(data.goal, color=GREY, lw=0.9, zorder=1)
        ax.annotate(
            f"goal {data.goal:.2g}".replace("e-0", "e-"), (1.0, data.goal), xycoords=("axes fraction", "data"),
            xytext=(-3, 3), textcoords="offset points", ha="right", va="bottom", fontsize=8.5, color=GREY,
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(data.x_limits)
    ax.set_ylim(data.y_limits)
    ax.xaxis.set_major_formatter(_plain)
    ax.grid(True, which="major")
    ax.set_xlabel(data.x_label)
    ax.set_ylabel("share of the first gap that is left")
    head(ax, data.title, data.notes)
    legend(ax, beside=True)
    return ax


def plotly_gaps(data: Gaps) -> Spec:
    """The race as it is drawn on paper; a line is named where it is touched."""
    traces: list[Spec] = []
    for k, line in enumerate(data.lines):
        colour, label = COLOURS[k % 7], escaped(line.label)
        spots = _spots(line.work, k / len(data.lines))
        marks = {"size": 7, "color": colour, "symbol": SYMBOLS[k % 7] + ("-open" if k >= 7 else "")}
        shared = {"type": "scatter", "name": label, "legendgroup": label}
        traces.append(
            shared
            | {"mode": "lines", "x": plain(line.work), "y": plain(line.gap), "showlegend": False}
            | {"line": {"color": colour, "width": 2, "dash": DASHED[k % 7]}}
        )
        traces.append(
            shared
            | {"mode": "lines+markers", "x": plain(line.work[spots]), "y": plain(line.gap[spots]), "marker": marks}
            | {"line": {"color": colour, "width": 0, "dash": DASHED[k % 7]}, "hoverinfo": "skip"}
        )
        if line.left:
            cross = {"symbol": "x", "size": 11, "color": colour}
            traces.append(
                shared
                | {"mode": "markers", "x": plain(line.work[-1:]), "y": plain(line.gap[-1:]), "marker": cross}
                | {"showlegend": False}
            )
    x, y = (_log_axis(limits, name) for limits, name in (
        (data.x_limits, data.x_label), (data.y_limits, "share of the first gap that is left"),
    ))  # fmt: skip
    shapes = []
    if data.goal > 0:
        level = {"y0": data.goal, "y1": data.goal, "x0": 0, "x1": 1, "xref": "paper"}
        shapes.append({"type": "line", "line": {"color": GREY, "width": 1}, **level})
    return figure(traces, data.title, x, y, data.notes, shapes=shapes, height=460, showlegend=True)


def _log_axis(limits: tuple[float, float], name: str) -> Spec:
    return titled(name, range=[float(np.log10(edge)) for edge in limits]) | logarithmic(np.array(limits))


def _plain(value: float, _: Any = None) -> str:
    return short(value, 3)


def _spots(work: NDArray, phase: float) -> list[int]:
    """Points for markers, spread evenly over the logarithmic axis, each line with another phase."""
    if len(work) <= MARKS:
        return list(range(len(work)))
    log = np.log(work)
    at = log[0] + (np.arange(MARKS) + phase) / MARKS * (log[-1] - log[0])
    return sorted({*np.searchsorted(log, at).clip(0, len(work) - 1).tolist(), len(work) - 1})
