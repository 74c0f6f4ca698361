"""Lines through points have NumPy's squared errors."""

import numpy as np
import pytest
from drawn import gd, saved

from descender.costs.formula import Formula
from descender.descent import descend
from descender.errors import DataError, OptionError, ShapeError
from descender.pictures import fits
from descender.walk import Stop


def test_squared_errors_are_those_of_numpy(tmp_path):
    rng = np.random.default_rng(2)
    x = rng.uniform(150, 190, 30)
    y = 0.9 * x - 90 + rng.normal(0, 4, 30)
    m, c = np.polyfit(x, y, 1)
    data = fits.describe_lines(x, y, [(1, -100, "guess"), (m, c, "best")])
    assert data.sums[0] == pytest.approx(np.sum((y - (x - 100)) ** 2))
    assert data.sums[1] == pytest.approx(np.linalg.lstsq(np.column_stack([x, np.ones(30)]), y)[1][0])
    assert data.best == 1
    assert data.errors.shape == (2, 30)
    saved(fits.draw_lines(data, errors_of=1, squares=True), tmp_path)


def test_the_squares_of_errors_are_square_on_the_page():
    data = fits.describe_lines([0.0, 1.0, 2.0], [0.0, 3.0, 2.0], [(1, 0, "line")])
    ax = fits.draw_lines(data, squares=True)
    ax.figure.draw_without_rendering()
    square = max(ax.patches, key=lambda p: p.get_height())
    on_page = ax.transData.transform([square.get_xy(), (square.get_x() + square.get_width(), 3.0)])
    wide, tall = np.abs(np.diff(on_page, axis=0))[0]
    assert square.get_height() == pytest.approx(2.0)
    assert wide == pytest.approx(tall, rel=0.02)


def test_the_line_of_a_walk_after_chosen_steps(tmp_path):
    x, y = np.array([-1.0, 0.0, 1.0]), np.array([1.0, 3.0, 5.0])
    walk = descend(Formula("mean((y-(m*x+c))**2)", data={"x": x, "y": y}), np.zeros(2), gd(0.1), Stop(max_steps=50))
    data = fits.describe_line_steps(x, y, walk, steps=[0, 50])
    assert data.slopes == pytest.approx(walk.record.path[[0, 50], 0])
    assert data.labels == ("step 0", "step 50")
    assert data.ordered
    by_name = fits.describe_line_steps(x, y, walk, slope="c")
    assert by_name.slopes[-1] == pytest.approx(walk["c"])
    assert len(by_name.labels) <= 6
    saved(fits.draw_lines(by_name), tmp_path)
    with pytest.raises(OptionError, match="no point after step 51"):
        fits.describe_line_steps(x, y, walk, steps=[51])
    with pytest.raises(OptionError, match="no parameter"):
        fits.describe_line_steps(x, y, walk, slope="k")


def test_lines_refuse_what_cannot_be_drawn():
    with pytest.raises(ShapeError):
        fits.describe_lines([1, 2], [1], [(1, 0, "")])
    with pytest.raises(DataError):
        fits.describe_lines([1, np.nan], [1, 2], [(1, 0, "")])
    with pytest.raises(OptionError, match="at least one"):
        fits.describe_lines([1], [1], [])
    with pytest.raises(OptionError, match="not finite"):
        fits.describe_lines([1], [1], [(np.inf, 0, "")])
    with pytest.raises(OptionError, match="errors_of=4"):
        fits.draw_lines(fits.describe_lines([1], [1], [(1, 0, "")]), errors_of=4)
