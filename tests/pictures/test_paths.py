"""Points are thinned, bounded and cut as they say."""

import numpy as np
import pytest

from descender.costs.formula import Formula
from descender.errors import OptionError, ShapeError
from descender.pictures import paths
from descender.record import Record


def test_thinning_keeps_the_ends_and_every_extreme():
    rng = np.random.default_rng(0)
    y = rng.normal(size=100_000)
    y[[777, 50_000]] = 40.0, -40.0
    kept = paths.thin(y)
    assert len(kept) <= paths.DRAWN
    assert {0, 777, 50_000, len(y) - 1} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()
    both = paths.thin(np.column_stack([y, -y[::-1]]), 100)
    assert len(both) <= 100
    assert {777, 50_000} <= set(both.tolist())
    assert paths.thin(y[:50]).tolist() == list(range(50))


def test_a_box_holds_the_walk_and_shows_the_valley_where_the_walk_hardly_moves():
    bowl = Formula("a**2 + 100*b**2")
    points = np.array([[4.0, 1e-9], [1.0, 0.0], [0.0, 0.0]])
    box = paths.box_around(points, np.array([16.0, 1.0, 0.0]), bowl.value)
    assert (box.low < points.min(axis=0)).all()
    assert (box.high > points.max(axis=0)).all()
    assert 0.2 < box.high[1] < 1.0  # J rises by half of 16 at b = 0.28
    still = paths.box_around(points[2:], np.array([0.0]), bowl.value)
    assert (still.high > still.low).all()


def test_a_line_that_leaves_is_cut_along_its_own_direction():
    box = paths.Box(np.array([-1.0, -1.0]), np.array([1.0, 1.0]))
    shown = paths.drawable(np.array([[0.0, 0.0], [1e200, 2e200], [np.inf, 0.0]]), box)
    assert shown[1] == pytest.approx([2.0, 4.0])
    assert np.isnan(shown[2]).all()


def test_a_path_that_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"\(3, 3\)"):
        paths.trail_of(np.zeros((3, 3)), 2)
    with pytest.raises(OptionError, match="holds no points"):
        paths.trail_of(Record({"step": np.arange(2)}), 2)
    with pytest.raises(ShapeError, match="finite"):
        paths.trail_of([[np.nan, 0.0]], 2)
    with pytest.raises(OptionError, match="low < high"):
        paths.read_limits([(0, 1), (2, 2)], ["a", "b"])


@pytest.mark.parametrize("text", ["sqrt(x) + log(y)", "abs(x)*sin(y)/x", "max(x, y) + min(x, 0)", "x**y", "x*0 + 3"])
def test_the_heights_of_a_formula_are_its_values(text):
    cost = Formula(text)
    points = np.vstack([np.zeros(cost.n_parameters), np.random.default_rng(0).normal(size=(20, cost.n_parameters))])
    with np.errstate(all="ignore"):
        one_by_one = np.array([cost.value(w) for w in points])
    one_by_one[~np.isfinite(one_by_one)] = np.nan
    np.testing.assert_allclose(paths.values_at(cost, points), one_by_one, rtol=1e-14)
    assert np.isnan(paths.values_at(cost, np.full_like(points, np.inf))).all()
