"""The pictures of a fit: the boundary of two classes, the fitted line, the cost over the epochs, weights as images."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.losses import read_loss
from descender.methods.auto import READINGS
from descender.methods.rules import RULES
from descender.methods.variance_reduced import REDUCTIONS
from descender.model.linear import LinearModel
from descender.pictures.boundary import Boundary, describe_boundary, draw_boundary, plotly_boundary
from descender.pictures.curves import Curve, describe_curve, draw_curve, plotly_curve
from descender.pictures.fits import Lines, describe_lines, draw_lines, plotly_lines
from descender.pictures.layers import describe_layer_steps, draw_layers, plotly_layers
from descender.pictures.paths import spread_steps
from descender.pictures.plotly import Spec
from descender.pictures.weights import Weights, describe_weights, draw_weights, plotly_weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from descender.verbs.fit import Fit

PIXEL = re.compile(r"pixel_(\d+)_(\d+)")
"""Columns of images: the row and the column of each pixel."""


class Picture(NamedTuple):
    """A picture of a fit: its description, and how that is drawn on paper and on a page."""

    describe: Callable[[], Any]
    draw: Callable[..., Axes]
    plotly: Callable[[Any], Spec]
    title: str


def fit_pictures(fit: Fit) -> dict[str, Picture]:
    """What can be drawn of a fit, by kind.

    ``boundary``: held-out points, of two number features and two classes; ``line``: rows of one number and a target
    that is a number, with the line at chosen steps; ``loss``: the cost over the epochs of a textbook method;
    ``layers``: the gradient norm of each layer of a network; ``weights``: an image for each class, of columns called
    pixel_R_C.

    >>> from descender import fit
    >>> list(fit_pictures(fit("example:blobs", epochs=2, method="gd")))
    ['boundary', 'loss']
    """
    pictures = {}
    if len(fit.points):
        pictures["boundary"] = Picture(
            lambda: _boundary(fit), draw_boundary, plotly_boundary, "Where the model draws the line"
        )
    if _is_line(fit):
        pictures["line"] = Picture(lambda: _line(fit), draw_lines, plotly_lines, "The line through the training rows")
    if fit.walk.method in (*RULES, *READINGS, *REDUCTIONS):
        pictures["loss"] = Picture(lambda: _epochs(fit), draw_curve, plotly_curve, "Cost over the epochs")
    if fit.walk.record.facts.get("layers"):
        pictures["layers"] = Picture(
            lambda: describe_layer_steps(fit.walk), draw_layers, plotly_layers, "What each layer gets of the gradient"
        )
    if isinstance(fit.model, LinearModel) and all(PIXEL.fullmatch(name) for name in fit.model.features):
        pictures["weights"] = Picture(
            lambda: _weights(fit.model), draw_weights, plotly_weights, "What speaks for each class, pixel by pixel"
        )
    return pictures


def _weights(model: Any) -> Weights:
    images = weight_images(model)
    return describe_weights(images.reshape(len(images), -1), _titles(model), images.shape[1:])


def _is_line(fit: Fit) -> bool:
    """Whether the model is a straight line through points whose rows are at hand."""
    kinds = [column.kind for column in fit.model.encoder.details]
    known = fit.risk is not None and isinstance(fit.risk.X, np.ndarray) and fit.risk.intercept
    return known and fit.task == "regression" and kinds == ["number"] and fit.model.loss != "poisson"


def _line(fit: Fit) -> Lines:
    """The line after chosen steps, in the units of the data; the last one alone where no steps were taken."""
    (column,), risk = fit.model.encoder.details, fit.risk
    assert risk is not None
    path = fit.walk.record.path
    points = fit.walk.x[None, :] if path is None else path
    chosen = spread_steps(points, 5) if len(points) > 1 else [0]
    steps = fit.walk.record["step"]
    lines = []
    for k in chosen:
        slope = points[k, 0] / column.scale
        label = f"step {int(steps[k]):,}" if len(chosen) > 1 else "fitted"
        lines.append((slope, points[k, 1] - slope * column.mean, label))
    x = risk.X[:, 0].astype(np.float64) * column.scale + column.mean
    return describe_lines(x, risk.y, lines, column.name, fit.name, ordered=len(chosen) > 1)


def _boundary(fit: Fit) -> Boundary:
    model = fit.model
    columns = model.encoder.details
    mean, scale = np.array([c.mean for c in columns]), np.array([c.scale for c in columns])

    def probability(points: NDArray) -> NDArray:
        return np.clip(read_loss(model.loss).predict(model.scores((points - mean) / scale)), 0.0, 1.0)

    classes = model.coding.classes
    labels = np.asarray(classes, dtype=object)[fit.holdout_y.astype(np.intp)]
    described = describe_boundary(probability, fit.points, labels, [c.name for c in columns], classes)
    which = "held-out rows" if "holdout" in fit.metrics else "training rows, as none were held out"
    notes = (*described.scatter.notes, f"{len(fit.points):,} {which}")
    return dataclasses.replace(described, scatter=dataclasses.replace(described.scatter, notes=notes))


def _epochs(fit: Fit) -> Curve:
    """The costs of a walk against the readings of all rows; the fifth tutorial's as it has them, without our 1/2."""
    record = fit.walk.record
    curve = describe_curve(record, "rows_seen")
    rows, factor = float(fit.model.facts["n_rows"]), 1.0
    if fit.options.get("preset") == "sigmoid" and fit.model.loss == "sigmoid_squared_error":
        factor = 2.0
        curve = dataclasses.replace(curve, y_label="sum of squared errors")
    series = tuple(dataclasses.replace(s, x=s.x / rows, y=s.y * factor) for s in curve.series)
    epochs = float(record["rows_seen"].max()) / rows
    title = f"{fit.walk.method}, {epochs:,.4g} epoch{'s' * (epochs != 1)}"
    return dataclasses.replace(curve, title=title, x_label="epoch", series=series, log_x=curve.log_x / rows)


def weight_images(model: LinearModel) -> NDArray[np.float64]:
    """The weights of pixels in their places, (classes, height, width); 0 where a pixel was left out as constant.

    They are per deviation of a pixel where it was standardised, so that one that is rarely lit does not outshine all.
    """
    names = [*model.features, *(name for name, _ in model.encoder.dropped if PIXEL.fullmatch(name))]
    places = np.array([[int(number) for number in PIXEL.fullmatch(name).groups()] for name in names])  # type: ignore
    places -= places.min(axis=0)
    weights = np.atleast_2d(model.weights)
    images = np.zeros((len(weights), *(places.max(axis=0) + 1)))
    rows, columns = places[: len(model.features)].T
    images[:, rows, columns] = weights
    return images


def _titles(model: LinearModel) -> list[Any]:
    classes = model.coding.classes
    return list(classes) if model.weights.ndim == 2 else [classes[1] if classes else model.coding.name]
