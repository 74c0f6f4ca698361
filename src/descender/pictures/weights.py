"""Weights as images: what a linear model looks for in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.errors import DataError, ShapeError
from descender.pictures.plotly import SIGNED, Spec, escaped, rounded
from descender.pictures.style import axes, colourbar, styled, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Weights:
    """Images (K, height, width) with their titles; colours run from ``-limit`` to ``limit``."""

    images: NDArray[np.float64]
    titles: tuple[str, ...]
    limit: float


def describe_weights(
    coef: ArrayLike, titles: Sequence[Any] | None = None, shape: tuple[int, int] | None = None
) -> Weights:
    """The weights (d,) or (K, d) as images of `shape`, by default square; `titles` are the classes.

    >>> describe_weights(np.arange(128.0).reshape(2, 64)).images.shape
    (2, 8, 8)
    """
    W = np.atleast_2d(np.asarray(coef, dtype=np.float64))
    if W.ndim != 2 or not W.size:
        raise ShapeError(f"coef has shape {W.shape}; expected (d,) or (K, d)")
    k, d = W.shape
    height, width = shape if shape is not None else (isqrt(d), isqrt(d))
    if height * width != d:
        advice = "give shape=(height, width)" if shape is None else f"shape={shape} holds {height * width}"
        raise ShapeError(f"{d} weights do not fill an image: {advice}")
    if not np.isfinite(W).all():
        raise DataError("the weights are not all finite numbers: the walk that led to them diverged")
    names = tuple(map(str, titles)) if titles is not None else ("",) if k == 1 else tuple(map(str, range(k)))
    if len(names) != k:
        raise ShapeError(f"{len(names)} titles for {k} images")
    return Weights(W.reshape(k, height, width), names, float(np.abs(W).max()) or 1.0)


@styled
def draw_weights(data: Weights, ax: Any = None, columns: int | None = None) -> Axes:
    """Draw the images side by side: orange speaks for the class, purple against it, white is zero."""
    k, height, width = data.images.shape
    columns = columns or (k if k <= 5 else -(-k // 2) if k <= 12 else 6)
    rows = -(-k // columns)
    gap, top = 0.12 * width, 0.24 * height
    ax = axes(ax, (max(1.35 * columns + 0.9, 3.0), 1.55 * rows * height / width + 0.2))
    shown = None
    for j, (image, title) in enumerate(zip(data.images, data.titles, strict=True)):
        left, upper = (j % columns) * (width + gap), (j // columns) * (height + top)
        shown = ax.imshow(
            image, extent=(left, left + width, upper + height, upper), cmap="PuOr_r", vmin=-data.limit,
            vmax=data.limit, interpolation="nearest",
        )  # fmt: skip
        ax.plot(
            left + np.array([0, width, width, 0, 0]), upper + np.array([0, 0, height, height, 0]), "#999999", lw=0.5
        )
        ax.text(left + width / 2, upper - 0.03 * height, words(title), ha="center", va="bottom")
    ax.set_xlim(-0.02 * width, columns * (width + gap) - gap + 0.02 * width)
    ax.set_ylim(rows * (height + top) - top + 0.02 * height, -top)
    ax.set_aspect("equal")
    ax.set_axis_off()
    colourbar(ax, shown, "weight", shrink=0.8)
    return ax


def plotly_weights(data: Weights) -> Spec:
    """The images in a row or two, as heat maps of one scale."""
    k, height, width = data.images.shape
    columns = min(k, 5)
    traces: list[Spec] = []
    layout: Spec = {"margin": {"l": 8, "r": 8, "t": 26, "b": 8}, "annotations": []}
    rows = -(-k // columns)
    for j, (image, title) in enumerate(zip(data.images, data.titles, strict=True)):
        across, down = j % columns, j // columns
        left, top = across / columns + 0.006, 1.0 - down / rows
        name = "" if j == 0 else str(j + 1)
        traces.append(
            {
                "type": "heatmap", "z": rounded(image[::-1], 3), "zmin": -data.limit, "zmax": data.limit,
                "colorscale": SIGNED, "xaxis": f"x{name}", "yaxis": f"y{name}",
                "showscale": False, "hovertemplate": "%{z:.3g}<extra>" + escaped(title) + "</extra>",
            }
        )  # fmt: skip
        plain_axis = {"visible": False, "constrain": "domain"}
        layout[f"xaxis{name}"] = plain_axis | {"domain": [left, left + 1 / columns - 0.012], "anchor": f"y{name}"}
        layout[f"yaxis{name}"] = plain_axis | {
            "domain": [top - 0.86 / rows, top - 0.02], "anchor": f"x{name}", "scaleanchor": f"x{name}",
        }  # fmt: skip
        layout["annotations"].append({"text": escaped(title), "x": left, "y": top, "xref": "paper", "yref": "paper",
                                      "showarrow": False, "xanchor": "left", "yanchor": "middle"})  # fmt: skip
    layout["height"] = 60 + 170 * rows * height // width
    return {"data": traces, "layout": layout}
