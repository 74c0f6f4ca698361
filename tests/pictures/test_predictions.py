"""Predictions against what was."""

import numpy as np
import pytest
from drawn import saved

from descender.errors import DataError
from descender.pictures import predictions


def test_predicted_against_actual_are_points_or_counts(tmp_path):
    y = np.random.default_rng(9).normal(size=5_000)
    few = predictions.describe_predicted(y[:100], y[:100])
    assert few.r2 == 1.0
    assert not few.cells.size
    many = predictions.describe_predicted(y, 0.5 * y)
    assert many.cells.sum() == 5_000
    assert many.r2 == pytest.approx(1 - np.sum((0.5 * y) ** 2) / np.sum((y - y.mean()) ** 2))
    saved(predictions.draw_predicted(few), tmp_path)
    saved(predictions.draw_predicted(many), tmp_path)
    with pytest.raises(DataError):
        predictions.describe_predicted([1.0], [np.nan])
