"""Plotly's figures are plain, valid and hold the described numbers."""

import json

import numpy as np
import pytest
from drawn import ROSENBROCK, Bowl

from descender.pictures import bars, boundary, classes, curves, fits, predictions, surface, weights
from descender.record import Record


def test_plotly_figures_are_plain_valid_and_hold_the_described_numbers(valley, batches):
    figure = pytest.importorskip("plotly.graph_objects").Figure
    y = np.random.default_rng(10).normal(size=3_000)
    banded = Record({"step": np.arange(2), "cost": np.array([3e3, 2.0])}, facts={"certificate": {"gap": 0.25}})
    contour = surface.describe_contour(ROSENBROCK, valley.record, resolution=15)
    bowl = surface.describe_contour(Bowl(), np.linspace(1, 0, 9)[:, None] * np.ones(5), resolution=9)
    curve = curves.describe_curve(valley.record)
    specs = [
        curves.plotly_curve(curve),
        curves.plotly_curve(curves.describe_curve(batches[1].record)),
        curves.plotly_curve(curves.describe_curve(banded)),
        bars.plotly_bars(bars.describe_bars(["a", "<b>"], [1.0, -2.0], most=1)),
        classes.plotly_roc(classes.describe_roc(y > 0, y)),
        classes.plotly_calibration(classes.describe_calibration(y > 0, 1 / (1 + np.exp(-y)))),
        predictions.plotly_predicted(predictions.describe_predicted(y, y)),
        predictions.plotly_predicted(predictions.describe_predicted(y[:50], y[:50])),
        surface.plotly_contour(contour),
        surface.plotly_contour(bowl),
        surface.plotly_surface(contour),
    ]
    lines = fits.describe_lines([0.0, 1.0, 2.0], [1.0, 3.0, 6.0], [(2, 1, "<i>"), (2.5, 0.8, "b")], ordered=True)
    X, sides = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 3
    two = boundary.describe_boundary(lambda p: 1 / (1 + np.exp(-p[:, 0])), X, sides == 1, resolution=9)
    three = boundary.describe_boundary(lambda p: np.full((len(p), 3), 1 / 3), X, sides, resolution=9)
    specs += [
        fits.plotly_lines(lines),
        boundary.plotly_boundary(two),
        boundary.plotly_boundary(three),
        weights.plotly_weights(weights.describe_weights(np.arange(12.0).reshape(3, 4))),
    ]
    for spec in specs:
        figure(json.loads(json.dumps(spec, allow_nan=False)))
    assert specs[0]["data"][0]["y"] == curve.series[0].y.tolist()
    assert specs[0]["layout"]["yaxis"]["type"] == "log"
    assert specs[3]["data"][0]["customdata"] == ["&lt;b&gt;"]
    assert specs[-4]["data"][1]["name"] == "&lt;i&gt;: Σe² = 1"
    assert len(specs[-1]["data"]) == 3
