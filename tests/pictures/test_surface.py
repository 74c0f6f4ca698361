"""Contours and surfaces are the cost on a grid; planes hold the walk."""

import numpy as np
import pytest
from drawn import QUARTIC, ROSENBROCK, Bowl, gd, saved

from descender.costs.formula import Formula
from descender.descent import descend
from descender.errors import OptionError, ShapeError
from descender.pictures import style, surface
from descender.walk import Stop


def test_a_contour_is_the_cost_on_its_grid(valley, tmp_path):
    data = surface.describe_contour(ROSENBROCK, valley.record, resolution=31)
    i, j = 4, 17
    assert data.z[i, j] == pytest.approx(ROSENBROCK.value(np.array([data.x[j], data.y[i]])))
    assert data.path == pytest.approx(valley.record.path)
    assert data.path_cost == pytest.approx(valley.record["cost"])
    assert data.lowest == pytest.approx((1.0, 1.0, 0.0), abs=1e-6)
    assert data.log
    assert (np.diff(data.levels) > 0).all()
    saved(surface.draw_contour(data), tmp_path)
    saved(surface.draw_surface(data), tmp_path)


def test_where_the_cost_is_not_finite_there_is_nothing(tmp_path):
    cost = Formula("x - log(x) + y**2")
    data = surface.describe_contour(cost, [[0.1, 1.0], [1.0, 0.0]], limits=[(-1, 2), (-1, 1)], resolution=25)
    assert np.isnan(data.z[:, data.x < 0]).all()
    assert np.isfinite(data.z[:, data.x > 0]).all()
    assert "not a finite number" in data.notes[0]
    saved(surface.draw_contour(data), tmp_path)
    saved(surface.draw_surface(data), tmp_path)


def test_of_a_walk_that_diverges_the_beginning_is_shown(tmp_path):
    walk = descend(ROSENBROCK, np.array([-1.2, 1.0]), gd(0.01))
    assert np.abs(walk.x).max() > 1e10
    data = surface.describe_contour(ROSENBROCK, walk, resolution=25)
    assert np.abs([*data.x, *data.y]).max() < 10.0
    saved(surface.draw_contour(data), tmp_path)
    saved(surface.draw_surface(data), tmp_path)


def test_many_parameters_are_seen_in_the_plane_of_the_walk(tmp_path):
    walk = descend(Bowl(), np.ones(5), gd(0.05), Stop(max_steps=400))
    data = surface.describe_contour(Bowl(), walk, resolution=25)
    plane = data.plane
    assert plane.directions @ plane.directions.T == pytest.approx(np.eye(2), abs=1e-12)
    moved = walk.record.path - walk.x
    explained = np.sum((moved @ plane.directions.T) ** 2) / np.sum(moved**2)
    assert 0.9 < plane.explained <= 1.0
    assert plane.explained == pytest.approx(explained)
    assert f"{explained:.1%}" in data.notes[0]
    w = plane.origin + data.x[3] * plane.directions[0] + data.y[7] * plane.directions[1]
    assert data.z[7, 3] == pytest.approx(Bowl().value(w))
    saved(surface.draw_contour(data), tmp_path)
    named = surface.describe_contour(Bowl(), walk, parameters=["c", "a"], resolution=5)
    assert named.names == ("c", "a")
    assert named.path[0] == pytest.approx([1.0, 1.0])
    at = np.array([named.y[1], walk.x[1], named.x[2], walk.x[3], walk.x[4]])
    assert named.z[1, 2] == pytest.approx(Bowl().value(at))


def test_a_walk_along_a_line_and_one_of_a_single_point_have_a_plane():
    line = np.linspace(1, 0, 9)[:, None] * np.ones(5)
    for points, explained in ((line, 1.0), (np.ones((1, 5)), 1.0)):
        data = surface.describe_contour(Bowl(), points, resolution=5)
        assert data.plane.explained == pytest.approx(explained)
        assert data.plane.directions @ data.plane.directions.T == pytest.approx(np.eye(2), abs=1e-12)


def test_contours_refuse_what_they_cannot_show():
    with pytest.raises(ShapeError, match="a slice shows it"):
        surface.describe_contour(QUARTIC, [0.0])
    with pytest.raises(OptionError, match="known: a, b"):
        surface.describe_contour(Bowl(), np.ones((2, 5)), parameters=["a", "z"])
    with pytest.raises(OptionError, match="resolution"):
        surface.describe_contour(ROSENBROCK, [[0.0, 0.0]], resolution=1)
    with pytest.raises(OptionError, match="not finite anywhere"):
        surface.describe_contour(Formula("x - log(x) + y**2"), [[0.1, 1.0]], limits=[(-3, -2), (0, 1)], resolution=5)
    flat = style.axes()
    with pytest.raises(OptionError, match="3-D"):
        surface.draw_surface(surface.describe_contour(ROSENBROCK, [[0.0, 0.0]], resolution=9), flat)


@pytest.mark.parametrize(
    "cost",
    ["1e300*(x**2 + y**2)", "1e-300*(x**2 + y**2)", "x**2 - 1e299*y**4", "5 + 0*x*y", "1e15 + x**2/100 + y**2"],
)
def test_heights_of_any_size_are_drawn(cost, tmp_path):
    data = surface.describe_contour(Formula(cost), [[1.0, 1.0], [0.5, 0.5], [0.0, 0.1]], resolution=15)
    assert (np.diff(data.levels) > 0).all()
    saved(surface.draw_contour(data), tmp_path)
    saved(surface.draw_surface(data), tmp_path)


def test_a_surface_has_a_hole_where_the_cost_is_not_finite(tmp_path):
    def faces(cost):
        data = surface.describe_contour(Formula(cost), [[0.1, 1.0], [1.0, 0.0]], limits=[(-1, 2), (-1, 1)])
        ax = surface.draw_surface(data)
        style.save(ax, tmp_path / "surface.png")
        return len(ax.collections[0].get_paths())

    assert faces("x - log(x) + y**2") < 0.75 * faces("x + y**2")


def test_a_single_step_among_many_parameters_has_a_plane_as_wide_as_the_valley():
    data = surface.describe_contour(Bowl(), [[1.0, 1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 0.4, 0.3, 0.2]], resolution=5)
    assert np.ptp(data.y) > 0.1 * np.ptp(data.x)


def test_one_other_parameter_is_one():
    walk = [[2.0, 1.0, 3.0], [1.0, 0.5, 1.0]]
    data = surface.describe_contour(Formula("a**2 + b**2 + c**2"), walk, parameters=["a", "b"], resolution=5)
    assert data.notes == ("the other parameter as at the lowest point",)
