"""Plotly figures of ``quality`` and of the path of penalties: plain dicts, as in :mod:`descender.pictures.plotly`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from descender.pictures.plotly import DASHES, Spec, cut, figure, plain, titled, words
from descender.pictures.quality import Histogram, PrecisionRecall, Residuals
from descender.pictures.style import BLUE, COLOURS, GREY, SKY, VERMILLION, short

TRACED = 10
"""Features whose coefficients are followed along a path."""


def plotly_precision_recall(data: PrecisionRecall) -> Spec:
    """Precision against recall, above the line of guessing."""
    curve = {
        "type": "scatter", "mode": "lines", "name": f"average {short(data.average)}",
        "line": {"color": BLUE, "width": 2}, "x": plain(data.recall), "y": plain(data.precision),
    }  # fmt: skip
    guess = {
        "type": "scatter", "mode": "lines", "name": "guessing", "x": [0, 1], "y": [data.share, data.share],
        "line": {"color": GREY, "width": 1, "dash": "dash"},
    }  # fmt: skip
    y = titled("share of those called positive that are", range=[0, 1.02])
    return figure([curve, guess], "", titled("share of positives found"), y)


def plotly_histogram(data: Histogram) -> Spec:
    """Counts as bars, groups in front of one another; two groups on a logarithmic scale, as one may be rare."""
    middle = 0.5 * (data.edges[1:] + data.edges[:-1])
    bars = []
    for counts, name, colour in zip(data.counts, data.names, (SKY, VERMILLION), strict=False):
        bars.append(
            {
                "type": "bar", "x": plain(middle), "y": counts.tolist(), "name": words(cut(name, 24)),
                "marker": {"color": colour if len(data.names) > 1 else BLUE}, "opacity": 0.7,
                "width": float(data.edges[1] - data.edges[0]),
                "hovertemplate": "%{x:.4g}: %{y} rows<extra>" + words(cut(name, 24)) + "</extra>",
            }
        )  # fmt: skip
    notes = (f"{data.outside:,} rows lie further out",) if data.outside else ()
    y = titled("rows") | ({"type": "log", "exponentformat": "power", "dtick": 1} if len(bars) > 1 else {})
    return figure(bars, "", titled(data.label), y, notes, barmode="overlay", bargap=0)


def plotly_residuals(data: Residuals) -> Spec:
    """Residuals against predictions, with the line of none."""
    if data.cells.size:
        x, y = (0.5 * (edges[1:] + edges[:-1]) for edges in (data.x_edges, data.y_edges))
        with np.errstate(divide="ignore"):
            shade = np.log10(data.cells.astype(np.float64))
        trace: Spec = {"type": "heatmap", "x": plain(x), "y": plain(y), "z": plain(shade), "showscale": False}
        trace |= {"colorscale": "Blues", "reversescale": False, "zmin": -0.3, "customdata": data.cells.tolist()}
        trace["hovertemplate"] = "predicted %{x:.4g}, residual %{y:.4g}: %{customdata} rows<extra></extra>"
    else:
        trace = {"type": "scatter", "mode": "markers", "marker": {"color": BLUE, "size": 6, "opacity": 0.6}}
        trace |= {"x": plain(data.predicted), "y": plain(data.residual), "name": "rows"}
    ends = [float(data.x_edges[0]), float(data.x_edges[-1])]
    line = {"type": "scatter", "mode": "lines", "x": ends, "y": [0, 0], "line": {"color": GREY, "dash": "dash"}}
    return figure([trace, line], "", titled("predicted"), titled("actual - predicted"), showlegend=False)


def plotly_penalties(path: Any) -> Spec:
    """The held-out loss of each strength with its standard error; the best and the chosen one are marked."""
    x = np.asarray(path.strengths, dtype=np.float64)
    curve = {
        "type": "scatter", "mode": "lines+markers", "name": "held-out loss", "x": plain(x),
        "y": plain(np.asarray(path.scores, dtype=np.float64)), "line": {"color": BLUE, "width": 1.5},
        "error_y": {"array": plain(np.asarray(path.errors, dtype=np.float64)), "width": 2, "color": SKY},
        "customdata": np.asarray(path.nonzeros).tolist(),
        "hovertemplate": "%{x:.3g}: %{y:.6g}, %{customdata} weights are not 0<extra></extra>",
    }  # fmt: skip
    marked = []
    for name, k, colour, symbol in (
        ("lowest", path.best, GREY, "circle-open"), ("chosen", path.chosen, VERMILLION, "diamond")
    ):  # fmt: skip
        marked.append(
            {
                "type": "scatter", "mode": "markers", "name": f"{name}: {short(float(x[k]), 3)}",
                "x": [float(x[k])], "y": [float(path.scores[k])],
                "marker": {"color": colour, "size": 13, "symbol": symbol, "line": {"width": 2}},
            }
        )  # fmt: skip
    horizontal = titled(f"{path.kind}, from weak to heavy shrinkage") | _strengths(x)
    return figure([curve, *marked], "", horizontal, titled("mean loss"))


def plotly_coefficient_path(path: Any, names: Sequence[str]) -> Spec:
    """How the largest coefficients grow as the penalty falls."""
    W = np.asarray(path.coefficients, dtype=np.float64)
    x, size = np.asarray(path.strengths, dtype=np.float64), np.abs(W[path.chosen])
    shown = np.argsort(-size, kind="stable")[:TRACED]
    lines = [
        {
            "type": "scatter", "mode": "lines", "name": words(cut(names[j], 24)), "x": plain(x), "y": plain(W[:, j]),
            "line": {"color": COLOURS[k % 7], "width": 1.8, "dash": DASHES[k % 7]},
        }
        for k, j in enumerate(shown)
    ]  # fmt: skip
    notes = (f"the {len(shown)} largest of {W.shape[1]:,}",) if W.shape[1] > len(shown) else ()
    chosen = {
        "type": "line", "x0": float(x[path.chosen]), "x1": float(x[path.chosen]), "yref": "paper", "y0": 0, "y1": 1,
        "line": {"color": GREY, "width": 1, "dash": "dot"},
    }  # fmt: skip
    spec = figure(lines, "", titled(path.kind) | _strengths(x), titled("per deviation"), notes, showlegend=False)
    return {"data": spec["data"], "layout": spec["layout"] | {"shapes": [chosen]}}


def _strengths(x: np.ndarray) -> Spec:
    """An axis of strengths, marked by powers of ten; a logarithmic one has no place for 0."""
    if not (x > 0).all():
        return {}
    decades = float(np.log10(x.max() / x.min()))
    return {"type": "log", "exponentformat": "power", "dtick": max(round(decades / 5), 1)}
