"""What the Plotly figures of all pictures share: plain dicts ``{"data": [...], "layout": {...}}``, ready for JSON.

Each picture's own is beside its ``draw_...``.  Plotly itself is not imported: a page carries its script, and lends the
colours of text, paper and grid, so that a figure is read by day and by night.
"""

from __future__ import annotations

from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.pictures.style import GREY

Spec = dict[str, Any]
LINE = 48
"""Characters of a note's line, which the narrowest page holds."""
DASHED = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot", "solid")
DEPTHS = {
    "Blues": [[0.0, "#08306B"], [0.25, "#2171B5"], [0.5, "#6BAED6"], [0.75, "#C6DBEF"], [1.0, "#F7FBFF"]],
    "Greys": [[0.0, "#404040"], [0.25, "#737373"], [0.5, "#A6A6A6"], [0.75, "#D9D9D9"], [1.0, "#FAFAFA"]],
}
"""Scales for a cost, dark where it is low, as on paper."""
SIGNED = [[0.0, "#542788"], [0.25, "#B2ABD2"], [0.5, "#F7F7F7"], [0.75, "#FDB863"], [1.0, "#B35806"]]
"""From below zero to above it, as on paper."""
SHADES = [[0.0, "#FFFFFF"], [1.0, "#6BAED6"]]
"""From none to many: told apart in grey, and dark letters are read on all of them."""


def plain(values: NDArray) -> list[Any]:
    """An array as nested lists in which what is not finite is None, as JSON needs it.

    >>> plain(np.array([1.0, np.nan]))
    [1.0, None]
    """
    if values.dtype.kind in "biuf" and np.isfinite(values).all():
        return values.tolist()
    if values.ndim > 1:
        return [plain(row) for row in values]
    return [v if v is None or np.isfinite(v) else None for v in values.tolist()]


def rounded(values: NDArray, digits: int = 5) -> list[Any]:
    """The same to a few significant digits: what a picture needs of a grid, in a third of the text.

    >>> rounded(np.array([1 / 3, np.inf]))
    [0.33333, None]
    """
    if values.ndim > 1:
        return [rounded(row, digits) for row in values]
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in values.tolist()]


def escaped(text: object) -> str:
    """A name as it stands: Plotly reads some HTML in texts."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def figure(data: list[Spec], title: str, x: Spec, y: Spec, notes: tuple[str, ...] = (), **more: Any) -> Spec:
    """Traces with their axes, in the one look of a page."""
    axis = {"zeroline": False, "ticks": "outside", "automargin": True}
    small = [line for note in notes for line in wrap(note, LINE)]
    heads = [escaped(title)] * bool(title) + [
        f"<span style='font-size:12px;color:{GREY}'>{escaped(n)}</span>" for n in small
    ]
    below = 34 * more.setdefault("showlegend", len(data) > 1)
    layout: Spec = {
        "title": {"text": "<br>".join(heads), "x": 0, "xref": "paper", "font": {"size": 15}},
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "margin": {"l": 60, "r": 20, "t": 14 + 30 * bool(title) + 18 * len(small), "b": 50 + below},
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        "xaxis": axis | x,
        "yaxis": axis | y,
        "hoverlabel": {"namelength": -1},
    }
    return {"data": data, "layout": layout | more}


def titled(text: str, **more: Any) -> Spec:
    """An axis with its name."""
    return {"title": {"text": escaped(text), "font": {"size": 12}}, **more}


def logarithmic(values: NDArray) -> Spec:
    """An axis of powers of ten, at most eight of them marked; as plain numbers where there are few.

    >>> logarithmic(np.array([1e-9, 1.0]))["dtick"]
    2
    """
    decades = float(np.log10(values.max() / values.min()))
    few = {"dtick": 1, "tickformat": ",~g"} if values.min() > 1e-4 and values.max() < 1e6 else {}
    powers = {"exponentformat": "power", "dtick": max(int(np.ceil(decades / 8)), 1), "tickfont": {"size": 11}}
    return {"type": "log"} | (few if few and decades >= 1.0 else powers if decades >= 1.0 else {})


def cut(name: str, most: int) -> str:
    """A name in at most so many signs."""
    return name if len(name) <= most else name[: most - 2] + "…"


def diagonal(low: float, high: float, name: str) -> Spec:
    """The line on which both sides are equal."""
    line = {"color": GREY, "width": 1, "dash": "dash"}
    return {"type": "scatter", "mode": "lines", "x": [low, high], "y": [low, high], "name": name, "line": line}
