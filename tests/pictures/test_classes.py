"""ROC and calibration are what they are by definition."""

import numpy as np
import pytest
from drawn import saved

from descender.errors import OptionError
from descender.pictures import classes


def test_the_area_of_the_roc_curve_is_the_share_of_pairs_in_order(tmp_path):
    rng = np.random.default_rng(7)
    y = rng.integers(0, 2, 400)
    score = y + rng.normal(size=400)
    data = classes.describe_roc(y, score)
    pairs = score[y == 1][:, None] > score[y == 0]
    assert data.area == pytest.approx(pairs.mean())
    assert (data.false_positive[0], data.true_positive[-1]) == (0.0, 1.0)
    saved(classes.draw_roc(data), tmp_path)
    with pytest.raises(OptionError, match="0 and 1"):
        classes.describe_roc([1, 1], [0.1, 0.2])


def test_calibration_counts_every_row_once(tmp_path):
    rng = np.random.default_rng(8)
    p = rng.uniform(size=2_000)
    y = (rng.uniform(size=2_000) < p).astype(float)
    data = classes.describe_calibration(y, p)
    assert data.counts.tolist() == [200] * 10
    assert data.predicted @ data.counts == pytest.approx(p.sum())
    assert data.observed @ data.counts == pytest.approx(y.sum())
    assert (np.abs(data.observed - data.predicted) < 4 * data.error).all()
    saved(classes.draw_calibration(data), tmp_path)
    same = classes.describe_calibration([0, 1, 1], [0.5, 0.5, 0.5])
    assert same.counts.tolist() == [3]
    with pytest.raises(OptionError, match="from 0 to 1"):
        classes.describe_calibration([0, 1], [0.5, 1.5])
