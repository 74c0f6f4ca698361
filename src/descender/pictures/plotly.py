"""The same descriptions as Plotly figures: plain dicts ``{"data": [...], "layout": {...}}``, ready for JSON.

Plotly itself is not imported: a page carries its script.
"""

from __future__ import annotations

from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.pictures.curves import Curve
from descender.pictures.evaluation import Bars, Calibration, Confusion, Predicted, Roc
from descender.pictures.style import BLACK, BLUE, COLOURS, GREY, SKY, VERMILLION, short
from descender.pictures.surface import Contour, walked

Spec = dict[str, Any]
LINE = 48
"""Characters of a note's line, which the narrowest page holds."""
DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot", "solid")


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


def words(text: str) -> str:
    """A name as it stands: Plotly reads some HTML in texts."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def figure(data: list[Spec], title: str, x: Spec, y: Spec, notes: tuple[str, ...] = (), **more: Any) -> Spec:
    """Traces with their axes, in the one look of a page."""
    axis = {"gridcolor": "#DDDDDD", "zeroline": False, "linecolor": "#444444", "ticks": "outside", "automargin": True}
    small = [line for note in notes for line in wrap(note, LINE)]
    heads = [words(title)] * bool(title) + [
        f"<span style='font-size:12px;color:{GREY}'>{words(n)}</span>" for n in small
    ]
    below = 34 * more.setdefault("showlegend", len(data) > 1)
    layout: Spec = {
        "title": {"text": "<br>".join(heads), "x": 0, "xref": "paper", "font": {"size": 15}},
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "margin": {"l": 60, "r": 20, "t": 14 + 30 * bool(title) + 18 * len(small), "b": 50 + below},
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        "xaxis": axis | x,
        "yaxis": axis | y,
        "hoverlabel": {"namelength": -1},
    }
    return {"data": data, "layout": layout | more}


def titled(text: str, **more: Any) -> Spec:
    """An axis with its name."""
    return {"title": {"text": words(text), "font": {"size": 12}}, **more}


def plotly_curve(data: Curve) -> Spec:
    """A curve as :func:`descender.pictures.curves.draw_curve` draws it."""
    traces: list[Spec] = []
    for k, s in enumerate(data.series):
        if s.kind == "batch":
            line: Spec = {"color": SKY, "width": 1}
        else:
            j = {"full": 0, "holdout": 1}.get(s.kind, k) % 7
            line = {"color": COLOURS[j], "width": 2, "dash": DASHES[j]}
        mode = "lines+markers" if len(s.x) <= 40 and s.kind != "batch" else "lines"
        traces.append(
            {"type": "scatter", "mode": mode, "name": words(s.label), "x": plain(s.x), "y": plain(s.y), "line": line}
        )
    y = titled(data.y_label) | ({"type": "log", "exponentformat": "power"} if data.log else {})
    x = titled(data.x_label) | ({"type": "log"} if data.log_x else {})
    if data.x_label == "step" and max(s.x.max() for s in data.series) <= 8:
        x["dtick"] = 1  # there is no half a step
    if data.band is not None:
        traces += _band(data)
    return figure(traces, data.title, x, y, data.notes, showlegend=len(traces) > 1)


def _band(data: Curve) -> list[Spec]:
    """The stretch that holds the minimum, between two lines without width."""
    assert data.band is not None
    low, high = data.band
    values = np.concatenate([s.y for s in data.series])
    bottom = max(low, float(values.min())) if data.log else low
    ends = [float(min(s.x.min() for s in data.series)), float(max(s.x.max() for s in data.series))]
    line = {"type": "scatter", "mode": "lines", "x": ends, "line": {"width": 0}, "hoverinfo": "skip"}
    upper = {
        "y": [high, high],
        "fill": "tonexty",
        "fillcolor": "rgba(111,111,111,0.25)",
        "name": words(data.band_label),
    }
    return [line | {"y": [bottom, bottom], "showlegend": False}, line | upper]


def plotly_bars(data: Bars) -> Spec:
    """Horizontal bars, the largest on top."""
    colours = [BLUE if v >= 0 else VERMILLION for v in data.values]
    place = list(range(len(data.names)))
    bar = {"type": "bar", "orientation": "h", "x": plain(data.values), "y": place, "marker": {"color": colours}}
    bar |= {"customdata": [words(n) for n in data.names], "hovertemplate": "%{customdata}: %{x:.4g}<extra></extra>"}
    ticks = [words(cut(n, 32)) for n in data.names]
    y = {"tickvals": place, "ticktext": ticks, "autorange": "reversed", "ticks": ""}
    notes = (f"and {data.left_out:,} smaller",) if data.left_out else ()
    return figure([bar], "", titled(cut(data.label, 28), zeroline=True), y, notes, height=76 + 24 * len(place))


def cut(name: str, most: int) -> str:
    """A name in at most so many signs."""
    return name if len(name) <= most else name[: most - 2] + "…"


def _diagonal(low: float, high: float, name: str) -> Spec:
    line = {"color": GREY, "width": 1, "dash": "dash"}
    return {"type": "scatter", "mode": "lines", "x": [low, high], "y": [low, high], "name": name, "line": line}


def plotly_roc(data: Roc) -> Spec:
    """The ROC curve above the line of guessing."""
    curve = {
        "type": "scatter", "mode": "lines", "name": f"area {short(data.area)}", "line": {"color": BLUE, "width": 2},
        "x": plain(data.false_positive), "y": plain(data.true_positive),
    }  # fmt: skip
    x, y = titled("share of negatives called positive"), titled("share of positives found")
    return figure([curve, _diagonal(0, 1, "guessing")], "", x, y)


def plotly_calibration(data: Calibration) -> Spec:
    """What happened against what was predicted, with two standard errors."""
    below, above = (plain(part) for part in data.reach)
    bars = {"symmetric": False, "arrayminus": below, "array": above, "width": 2}
    bins = {
        "type": "scatter", "mode": "lines+markers", "name": "bins", "line": {"color": BLUE, "width": 1.5},
        "x": plain(data.predicted), "y": plain(data.observed), "error_y": bars,
        "customdata": data.counts.tolist(),
        "hovertemplate": "predicted %{x:.3f}, observed %{y:.3f}, %{customdata} rows<extra></extra>",
    }  # fmt: skip
    x, y = titled("probability predicted"), titled("share that was positive")
    return figure([bins, _diagonal(0, 1, "perfect")], "", x, y)


def plotly_confusion(data: Confusion) -> Spec:
    """How many rows of each class were taken for each, counts written in up to 30 x 30 cells."""
    names = [words(name) for name in data.names]
    heat: Spec = {"type": "heatmap", "z": data.counts.tolist(), "x": names, "y": names, "showscale": False}
    heat |= {"colorscale": SHADES, "zmin": 0, "xgap": 1, "ygap": 1}
    heat |= {"text": data.counts.tolist(), "texttemplate": "%{text}"} if len(names) <= 30 else {}
    heat["hovertemplate"] = "%{y} taken for %{x}: %{z} rows<extra></extra>"
    ticks: Spec = {"type": "category", "tickvals": names, "ticktext": [words(cut(name, 16)) for name in data.names]}
    ticks |= {"ticks": "", "showgrid": False}
    if len(names) > 30:
        ticks |= {"tickvals": names[:: len(names) // 20], "ticktext": ticks["ticktext"][:: len(names) // 20]}
    x, y = (
        {"title": {"text": text, "standoff": 14, "font": {"size": 12}}, **ticks} for text in ("predicted", "actual")
    )
    return figure([heat], "", x, y | {"autorange": "reversed"})


def plotly_predicted(data: Predicted) -> Spec:
    """Predictions against what was: points, or counts in cells on a logarithmic scale of colour."""
    if data.cells.size:
        middle = 0.5 * (data.edges[1:] + data.edges[:-1])
        counts = data.cells.astype(np.float64)
        with np.errstate(divide="ignore"):
            shade = np.log10(counts)
        top = int(np.ceil(shade.max()))
        bar = {
            "title": {"text": "rows"},
            "tickvals": list(range(top + 1)),
            "ticktext": [f"{10**k:,}" for k in range(top + 1)],
        }
        trace: Spec = {"type": "heatmap", "x": plain(middle), "y": plain(middle), "z": plain(shade), "colorbar": bar}
        trace |= {"colorscale": "Blues", "reversescale": False, "zmin": -0.3, "customdata": data.cells.tolist()}
        trace["hovertemplate"] = "actual %{x:.4g}, predicted %{y:.4g}: %{customdata} rows<extra></extra>"
    else:
        marker = {"color": BLUE, "size": 6, "opacity": 0.6}
        trace = {"type": "scatter", "mode": "markers", "marker": marker, "name": "rows"}
        trace |= {"x": plain(data.actual), "y": plain(data.predicted)}
    traces = [trace, _diagonal(float(data.edges[0]), float(data.edges[-1]), "perfect")]
    title = "" if np.isnan(data.r2) else f"R² = {short(data.r2)}"
    return figure(traces, title, titled("actual"), titled("predicted"), data.notes, showlegend=False)


def _shades(data: Contour) -> tuple[NDArray, Spec]:
    """Heights as colours: above the lowest level on a logarithmic scale where the levels are."""
    if not data.log:
        return data.z, {"title": {"text": "J"}}
    low, high = data.levels[1] - data.levels[0], data.levels[-1] - data.levels[0]
    shade = np.log10(np.clip(data.z - data.levels[0], low, high))
    ticks = np.log10(np.clip(data.levels[1::3] - data.levels[0], low, high))
    return shade, {
        "title": {"text": "J"},
        "tickvals": plain(ticks),
        "ticktext": [short(v, 3) for v in data.levels[1::3]],
    }


def plotly_contour(data: Contour) -> Spec:
    """The cost from above with the walk on it."""
    shade, bar = _shades(data)
    ground = {
        "type": "contour", "x": plain(data.x), "y": plain(data.y), "z": plain(shade), "customdata": plain(data.z),
        "colorscale": "Blues", "reversescale": True, "ncontours": 16, "line": {"width": 0.5}, "colorbar": bar,
        "hovertemplate": "J = %{customdata:.5g}<extra></extra>",
    }  # fmt: skip
    steps = {
        "type": "scatter", "mode": "lines+markers", "x": plain(data.path[:, 0]), "y": plain(data.path[:, 1]),
        "line": {"color": VERMILLION, "width": 2}, "marker": {"size": 5}, "text": _hover(data), "hoverinfo": "text",
    }  # fmt: skip
    x = titled(data.names[0], range=[float(data.x[0]), float(data.x[-1])])
    y = titled(data.names[1], range=[float(data.y[0]), float(data.y[-1])])
    return figure([ground, steps], walked(data), x, y, data.notes, showlegend=False)


def plotly_surface(data: Contour) -> Spec:
    """The cost as a surface that can be turned, with the walk on it."""
    shade, bar = _shades(data)
    top = float(data.levels[-1])
    ground = {
        "type": "surface", "x": plain(data.x), "y": plain(data.y), "z": plain(np.minimum(data.z, top)),
        "surfacecolor": plain(shade), "colorscale": "Blues", "reversescale": True, "colorbar": bar, "opacity": 0.9,
    }  # fmt: skip
    (x, y), heights = data.path.T, data.path_cost
    with np.errstate(invalid="ignore"):
        seen = (x >= data.x[0]) & (x <= data.x[-1]) & (y >= data.y[0]) & (y <= data.y[-1]) & (heights <= top)
    steps = {
        "type": "scatter3d", "mode": "lines+markers", "text": _hover(data), "hoverinfo": "text",
        "x": plain(np.where(seen, x, np.nan)), "y": plain(np.where(seen, y, np.nan)),
        "z": plain(np.where(seen, heights, np.nan)),
        "line": {"color": VERMILLION, "width": 5}, "marker": {"size": 2.5, "color": BLACK},
    }  # fmt: skip
    scene = {"xaxis": titled(data.names[0]), "yaxis": titled(data.names[1]), "zaxis": titled("J")}
    spec = figure([ground, steps], walked(data), {}, {}, data.notes, showlegend=False, scene=scene)
    return {"data": spec["data"], "layout": {k: v for k, v in spec["layout"].items() if k not in ("xaxis", "yaxis")}}


def _hover(data: Contour) -> list[str]:
    return [f"step {s:,}: J = {short(v, 6)}" for s, v in zip(data.path_step, data.path_cost, strict=True)]
