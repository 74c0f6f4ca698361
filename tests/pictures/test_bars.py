"""Bars are the largest values."""

import pytest
from drawn import saved

from descender.errors import ShapeError
from descender.pictures import bars


def test_bars_are_the_largest_by_size(tmp_path):
    data = bars.describe_bars(["a", "_b", "c$"], [1.0, -3.0, 2.0], most=2)
    assert data.names == ("_b", "c$")
    assert data.left_out == 1
    saved(bars.draw_bars(data), tmp_path)
    with pytest.raises(ShapeError):
        bars.describe_bars(["a"], [1.0, 2.0])
