"""The described numbers are right, drawings come out, wrong input is refused.  No pixels are compared."""

import json
import warnings

import numpy as np
import pytest

from descender.costs.cost import Cost
from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.descent import Stop, descend
from descender.errors import DataError, OptionError, OutputError, ShapeError
from descender.methods.lbfgs import LBFGS
from descender.methods.rates import Constant
from descender.methods.rules.plain import GradientDescent
from descender.methods.textbook import Textbook
from descender.pictures import (
    basins,
    boundary,
    curves,
    evaluation,
    fits,
    paths,
    plotly,
    slices,
    style,
    surface,
    weights,
)
from descender.record import Record

ROSENBROCK = Formula("(1-x)**2 + 100*(y-x**2)**2")
QUARTIC = Formula("x**4 - 3*x**2 + x")


def gd(rate: float, batch_size: int | str = "full") -> Textbook:
    return Textbook("gd", GradientDescent(), Constant(rate), batch_size)


@pytest.fixture(scope="module")
def valley():
    return descend(ROSENBROCK, np.array([-1.2, 1.0]), LBFGS())


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 2))
    risk = Risk(X, (X @ [1.0, -2.0] + 0.3 * rng.normal(size=60) > 0).astype(float), "log_loss", l2=0.01)
    walk = descend(risk, np.zeros(3), gd(0.1, 10), Stop(max_steps=120), holdout=lambda w: 1.0 + risk.value(w))
    return risk, walk


def saved(ax, tmp_path, name="picture.png"):
    path = style.save(ax, tmp_path / name)
    assert path.stat().st_size > 2_000
    return path


# paths ------------------------------------------------------------------------------------------------------------


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


# curves -----------------------------------------------------------------------------------------------------------


def test_a_full_batch_curve_is_the_recorded_cost(valley, tmp_path):
    data = curves.describe_curve(valley.record)
    (line,) = data.series
    assert line.y == pytest.approx(valley.record["cost"])
    assert line.x.tolist() == list(range(valley.nit + 1))
    assert data.log
    assert (data.x_label, data.y_label) == ("step", "cost J")
    assert data.title.startswith(f"L-BFGS, {valley.nit} steps")
    saved(valley.plot(), tmp_path)


def test_batches_all_rows_and_held_out_rows_are_three_lines(batches, tmp_path):
    _, walk = batches
    batch, full, held = curves.describe_curve(walk.record).series
    assert [s.kind for s in (batch, full, held)] == ["batch", "full", "holdout"]
    assert len(batch.x) == 120
    assert full.x.tolist() == [0, *range(6, 121, 6), 120]
    assert held.y == pytest.approx(full.y + 1.0)
    saved(walk.plot(), tmp_path)
    norms = curves.describe_curve(walk.record, "rows_seen", "gradient_norm").series
    assert [s.kind for s in norms] == ["batch"]


def test_long_curves_are_thinned_and_it_is_said(tmp_path):
    y = np.sin(np.arange(50_000) / 100.0) + 2.0
    y[31_234] = 90.0
    data = curves.describe_curve(Record({"step": np.arange(50_000), "cost": y}))
    assert len(data.series[0].x) <= paths.DRAWN
    assert data.series[0].y.max() == 90.0
    assert not data.log
    assert "of 50,000 points drawn" in data.notes[0]
    saved(curves.draw_curve(data), tmp_path)


@pytest.mark.parametrize(
    ("cost", "log"),
    [([3.0, 2.0, 1.0], False), ([3.0, 1e-2, 1e-5], True), ([3e4, 1.0, -1.0], False), ([1e4, 1.0, 0.0], True)],
)
def test_the_data_choose_the_axis(cost, log):
    data = curves.describe_curve(Record({"step": np.arange(3), "cost": np.array(cost)}))
    assert data.log is log
    assert bool(data.notes) is (log and 0.0 in cost)


def test_the_excess_counts_from_the_lowest_cost_of_all_rows():
    record = Record({"step": np.arange(3), "cost": np.array([1005.0, 6.0, 5.0])})
    data = curves.describe_curve(record, excess=True)
    assert data.series[0].y == pytest.approx([1000.0, 1.0])
    assert data.y_label == "cost above the lowest"


def test_the_certificate_is_a_band_below_the_lowest_cost(tmp_path):
    record = Record({"step": np.arange(2), "cost": np.array([3.0, 2.0])}, facts={"certificate": {"gap": 0.25}})
    data = curves.describe_curve(record)
    assert data.band == (1.75, 2.0)
    assert data.band_label == "certified: the minimum is at most 0.25 lower"
    saved(curves.draw_curve(data), tmp_path)
    record.facts["certificate"] = {"gap": 0.25, "rigorous": False}
    assert curves.describe_curve(record).band_label.startswith("estimated")


def test_values_that_are_not_finite_are_left_out_and_counted(tmp_path):
    record = Record({"step": np.arange(4), "cost": np.array([1.0, 1e100, 1e299, np.inf])})
    data = curves.describe_curve(record)
    assert data.series[0].y.tolist() == [1.0, 1e100]
    assert data.notes[0].startswith("2 values are left out")
    saved(curves.draw_curve(data), tmp_path)
    with pytest.raises(OptionError, match="nothing to draw"):
        curves.describe_curve(Record({"step": np.arange(1), "cost": np.array([np.nan])}))


def test_a_race_counts_from_the_lowest_of_all(valley, tmp_path):
    slow = descend(ROSENBROCK, np.array([-1.2, 1.0]), gd(0.001), Stop(max_steps=1000))
    data = curves.describe_race({"gd": slow.record, "L-BFGS": valley.record}, "step")
    assert [s.label for s in data.series] == ["gd", "L-BFGS"]
    assert data.series[0].y[-1] == pytest.approx(slow.fun - valley.fun)
    assert data.log_x == 1.0
    saved(curves.draw_curve(data), tmp_path)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"against": "steps"}, "did you mean step"),
        ({"what": "loss"}, "known: cost"),
        ({"what": "step_norm"}, "no column"),
    ],
)
def test_a_column_that_is_not_there_is_refused(options, text):
    with pytest.raises(OptionError, match=text):
        curves.describe_curve(Record({"step": np.arange(2), "cost": np.ones(2)}), **options)


# slices -----------------------------------------------------------------------------------------------------------


def test_tangents_have_the_slope_of_the_curve_and_touch_it(tmp_path):
    walk = descend(QUARTIC, np.array([0.3]), gd(0.05), Stop(max_steps=60))
    data = slices.describe_slice(QUARTIC, walk)
    t = data.tangents
    assert t.slope == pytest.approx(4 * t.at**3 - 6 * t.at + 1)
    assert t.value == pytest.approx(t.at**4 - 3 * t.at**2 + t.at)
    assert t.at == pytest.approx(walk.record.path[t.step, 0])
    assert (t.step[0], t.step[-1]) == (0, walk.nit)
    assert data.value == pytest.approx(data.w**4 - 3 * data.w**2 + data.w)
    assert data.lowest == pytest.approx((walk.x[0], walk.fun))
    saved(slices.draw_slice(data), tmp_path)
    chosen = slices.describe_slice(QUARTIC, walk, steps=[3], limits=(-2, 2))
    assert chosen.tangents.step.tolist() == [3]
    assert (chosen.w[0], chosen.w[-1]) == (-2.0, 2.0)


def test_a_slice_is_of_one_weight_and_of_steps_that_were_taken():
    with pytest.raises(ShapeError, match="describe_contour"):
        slices.describe_slice(ROSENBROCK, [[1.0, 1.0]])
    with pytest.raises(OptionError, match="no point after step 9"):
        slices.describe_slice(QUARTIC, [0.0, 0.1], steps=[9])


def test_a_sweep_stands_beside_the_descent_with_both_counts(tmp_path):
    grid = np.linspace(-2, 2, 41)
    costs = [QUARTIC.value(np.array([w])) for w in grid]
    walk = descend(QUARTIC, np.array([-1.9]), gd(0.02), Stop(max_steps=30))
    data = slices.describe_sweep(grid, costs, walk.record)
    assert (data.best, data.evaluations) == (int(np.argmin(costs)), 41)
    assert data.descent_evaluations == walk.nfev
    assert data.path[-1] == pytest.approx(walk.x)
    ax = slices.draw_sweep(data)
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert "41 evaluations" in texts[0]
    assert f"{walk.nfev} evaluations" in texts[1]
    saved(ax, tmp_path)
    flat = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    wide = slices.describe_sweep(flat, [ROSENBROCK.value(w) for w in flat])
    assert wide.weights[wide.best] == pytest.approx([1.0, 1.0])
    saved(slices.draw_sweep(wide), tmp_path)
    with pytest.raises(ShapeError):
        slices.describe_sweep(grid, costs[1:])


# surface ----------------------------------------------------------------------------------------------------------


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


class Bowl(Cost):
    """Steep along the first of five parameters, which a descent goes down first."""

    names = tuple("abcde")
    scale = np.array([10.0, 1.0, 0.1, 0.01, 0.001])

    def value_and_gradient(self, w, rows=None):
        return 0.5 * float(self.scale @ w**2), self.scale * w


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
    with pytest.raises(ShapeError, match="describe_slice"):
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


# basins -----------------------------------------------------------------------------------------------------------


def test_each_start_has_the_minimum_that_it_fell_into(tmp_path):
    starts = np.linspace(-2, 2, 21)[:, None]
    ends = np.array([descend(QUARTIC, s, gd(0.02), Stop(max_steps=400)).x for s in starts])
    data = basins.describe_basins(QUARTIC, starts, ends)
    top = np.roots([4, 0, -6, 1])  # the derivative: two minima and the maximum between them
    maximum = np.sort(top.real)[1]
    assert data.labels.tolist() == (starts[:, 0] > maximum).astype(int).tolist()
    assert data.counts.tolist() == np.bincount(data.labels).tolist()
    assert data.costs[0] < data.costs[1]
    assert data.one_is_lowest
    saved(basins.draw_basins(data), tmp_path)


def test_regions_are_of_the_nearest_start_and_lost_walks_have_none(tmp_path):
    cost = Formula("(x**2 - 1)**2 + y**2")
    starts = np.array([[-1.5, 0.5], [-0.5, -0.5], [0.5, 0.5], [1.5, -0.5], [0.0, 2.0]])
    ends = np.array([[-1.0, 0.0], [-1.0, 1e-5], [1.0, 0.0], [1.0, 0.0], [np.nan, 0.0]])
    data = basins.describe_basins(cost, starts, ends, limits=[(-2, 2), (-1, 2.5)], resolution=41)
    assert data.labels[4] == -1
    assert data.labels[0] == data.labels[1] != data.labels[2] == data.labels[3]
    assert data.counts.tolist() == [2, 2]
    assert data.region[np.argmin(np.abs(data.y - 0.5)), np.argmin(np.abs(data.x + 1.5))] == data.labels[0]
    assert data.region[-1, 20] == -1
    assert not data.one_is_lowest
    saved(basins.draw_basins(data), tmp_path)


def test_many_variables_and_many_minima_become_bars(tmp_path):
    rng = np.random.default_rng(1)
    ends = rng.normal(size=(40, 5))
    data = basins.describe_basins(Bowl(), ends, ends)
    assert len(data.minima) == 40
    assert (np.diff(data.costs) >= 0).all()
    saved(basins.draw_basins(data), tmp_path)
    flat = basins.describe_basins(ROSENBROCK, ends[:, :2], ends[:, :2], resolution=11)
    saved(basins.draw_basins(flat), tmp_path)
    with pytest.raises(ShapeError):
        basins.describe_basins(ROSENBROCK, ends, ends)


def test_end_costs_are_sorted_and_their_shares_counted(tmp_path):
    data = basins.describe_ends([250.0, 0.2, 0.3, np.inf], marks=[0.34])
    assert data.costs.tolist() == [0.2, 0.3, 250.0]
    assert data.share.tolist() == [0.25, 0.5, 0.75]
    assert (data.not_finite, data.marks[0][2], data.log) == (1, 0.5, True)
    saved(basins.draw_ends(data), tmp_path)
    with pytest.raises(OptionError):
        basins.describe_ends([np.nan])


# fits -------------------------------------------------------------------------------------------------------------


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


# boundary ---------------------------------------------------------------------------------------------------------


def test_the_boundary_is_where_the_probability_says(tmp_path):
    X = np.array([[-1.0, 0.0], [-2.0, 1.0], [1.0, 0.5], [2.0, -1.0], [-0.5, 3.0]])
    y = ["left", "left", "right", "right", "right"]
    data = boundary.describe_boundary(lambda p: 1 / (1 + np.exp(-p[:, 0])), X, y, resolution=21)
    assert data.scatter.classes == ("left", "right")
    assert data.scatter.counts.tolist() == [2, 3]
    assert data.accuracy == pytest.approx(0.8)
    assert (data.winner == (data.x > 0)).all()
    assert data.probability.sum(axis=-1) == pytest.approx(np.ones((21, 21)))
    saved(boundary.draw_boundary(data), tmp_path)


def test_a_tie_goes_to_the_first_class():
    data = boundary.describe_boundary(lambda p: np.full(len(p), 0.5), [[0, 0], [1, 1]], [0, 1], resolution=3)
    assert (data.winner == 0).all()
    assert data.accuracy == 0.5


def test_three_classes_have_a_boundary(tmp_path):
    X = np.random.default_rng(3).normal(size=(90, 2))

    def probability(p):
        z = np.exp(p @ np.array([[2.0, 0, -2], [0, 2.0, 0]]))
        return z / z.sum(axis=1, keepdims=True)

    data = boundary.describe_boundary(probability, X, probability(X).argmax(axis=1), classes=[0, 1, 2], resolution=30)
    assert data.accuracy == 1.0
    saved(boundary.draw_boundary(data), tmp_path)


def test_scatters_are_thinned_and_refuse_strangers(tmp_path):
    X = np.random.default_rng(4).normal(size=(12_000, 2))
    data = boundary.describe_scatter(X, X[:, 0] > 0)
    assert len(data.X) == boundary.DRAWN
    assert data.counts.sum() == 12_000
    assert data.notes == ("5,000 of 12,000 points drawn",)
    saved(boundary.draw_scatter(data), tmp_path)
    saved(boundary.draw_scatter(boundary.describe_scatter(X[:9])), tmp_path)
    with pytest.raises(OptionError, match="none of the classes"):
        boundary.describe_scatter(X[:3], [0, 1, 2], classes=[0, 1])
    with pytest.raises(ShapeError, match="two features"):
        boundary.describe_scatter(X[:, :1])
    with pytest.raises(OptionError, match="not scores"):
        boundary.describe_boundary(lambda p: p[:, 0] * 9, X[:5], [0, 1, 0, 1, 0])
    with pytest.raises(ShapeError, match="probability gave"):
        boundary.describe_boundary(lambda p: np.ones(3), X[:5], [0, 1, 0, 1, 0])


# weights ----------------------------------------------------------------------------------------------------------


def test_weights_become_images_centred_at_zero(tmp_path):
    W = np.random.default_rng(6).normal(size=(10, 64))
    data = weights.describe_weights(W)
    assert data.images[3, 1, 2] == W[3, 10]
    assert data.limit == np.abs(W).max()
    assert data.titles == tuple("0123456789")
    ax = weights.draw_weights(data)
    assert {image.get_clim() for image in ax.images} == {(-data.limit, data.limit)}
    saved(ax, tmp_path)
    saved(weights.draw_weights(weights.describe_weights(np.zeros(6), ["zero"], (2, 3))), tmp_path)


def test_weights_that_fill_no_image_are_refused():
    with pytest.raises(ShapeError, match="give shape"):
        weights.describe_weights(np.ones(63))
    with pytest.raises(ShapeError, match="holds 6"):
        weights.describe_weights(np.ones(5), shape=(2, 3))
    with pytest.raises(ShapeError, match="1 titles for 2"):
        weights.describe_weights(np.ones((2, 4)), ["one"])
    with pytest.raises(DataError, match="diverged"):
        weights.describe_weights([np.nan] * 4)


# evaluation -------------------------------------------------------------------------------------------------------


def test_bars_are_the_largest_by_size(tmp_path):
    data = evaluation.describe_bars(["a", "_b", "c$"], [1.0, -3.0, 2.0], most=2)
    assert data.names == ("_b", "c$")
    assert data.left_out == 1
    saved(evaluation.draw_bars(data), tmp_path)
    with pytest.raises(ShapeError):
        evaluation.describe_bars(["a"], [1.0, 2.0])


def test_the_area_of_the_roc_curve_is_the_share_of_pairs_in_order(tmp_path):
    rng = np.random.default_rng(7)
    y = rng.integers(0, 2, 400)
    score = y + rng.normal(size=400)
    data = evaluation.describe_roc(y, score)
    pairs = score[y == 1][:, None] > score[y == 0]
    assert data.area == pytest.approx(pairs.mean())
    assert (data.false_positive[0], data.true_positive[-1]) == (0.0, 1.0)
    saved(evaluation.draw_roc(data), tmp_path)
    with pytest.raises(OptionError, match="0 and 1"):
        evaluation.describe_roc([1, 1], [0.1, 0.2])


def test_calibration_counts_every_row_once(tmp_path):
    rng = np.random.default_rng(8)
    p = rng.uniform(size=2_000)
    y = (rng.uniform(size=2_000) < p).astype(float)
    data = evaluation.describe_calibration(y, p)
    assert data.counts.tolist() == [200] * 10
    assert data.predicted @ data.counts == pytest.approx(p.sum())
    assert data.observed @ data.counts == pytest.approx(y.sum())
    assert (np.abs(data.observed - data.predicted) < 4 * data.error).all()
    saved(evaluation.draw_calibration(data), tmp_path)
    same = evaluation.describe_calibration([0, 1, 1], [0.5, 0.5, 0.5])
    assert same.counts.tolist() == [3]
    with pytest.raises(OptionError, match="from 0 to 1"):
        evaluation.describe_calibration([0, 1], [0.5, 1.5])


def test_predicted_against_actual_are_points_or_counts(tmp_path):
    y = np.random.default_rng(9).normal(size=5_000)
    few = evaluation.describe_predicted(y[:100], y[:100])
    assert few.r2 == 1.0
    assert not few.cells.size
    many = evaluation.describe_predicted(y, 0.5 * y)
    assert many.cells.sum() == 5_000
    assert many.r2 == pytest.approx(1 - np.sum((0.5 * y) ** 2) / np.sum((y - y.mean()) ** 2))
    saved(evaluation.draw_predicted(few), tmp_path)
    saved(evaluation.draw_predicted(many), tmp_path)
    with pytest.raises(DataError):
        evaluation.describe_predicted([1.0], [np.nan])


# plotly -----------------------------------------------------------------------------------------------------------


def test_plotly_figures_are_plain_valid_and_hold_the_described_numbers(valley, batches):
    figure = pytest.importorskip("plotly.graph_objects").Figure
    y = np.random.default_rng(10).normal(size=3_000)
    banded = Record({"step": np.arange(2), "cost": np.array([3e3, 2.0])}, facts={"certificate": {"gap": 0.25}})
    contour = surface.describe_contour(ROSENBROCK, valley.record, resolution=15)
    bowl = surface.describe_contour(Bowl(), np.linspace(1, 0, 9)[:, None] * np.ones(5), resolution=9)
    curve = curves.describe_curve(valley.record)
    specs = [
        plotly.plotly_curve(curve),
        plotly.plotly_curve(curves.describe_curve(batches[1].record)),
        plotly.plotly_curve(curves.describe_curve(banded)),
        plotly.plotly_bars(evaluation.describe_bars(["a", "<b>"], [1.0, -2.0], most=1)),
        plotly.plotly_roc(evaluation.describe_roc(y > 0, y)),
        plotly.plotly_calibration(evaluation.describe_calibration(y > 0, 1 / (1 + np.exp(-y)))),
        plotly.plotly_predicted(evaluation.describe_predicted(y, y)),
        plotly.plotly_predicted(evaluation.describe_predicted(y[:50], y[:50])),
        plotly.plotly_contour(contour),
        plotly.plotly_contour(bowl),
        plotly.plotly_surface(contour),
    ]
    for spec in specs:
        figure(json.loads(json.dumps(spec, allow_nan=False)))
    assert specs[0]["data"][0]["y"] == curve.series[0].y.tolist()
    assert specs[0]["layout"]["yaxis"]["type"] == "log"
    assert specs[3]["data"][0]["customdata"] == ["&lt;b&gt;"]


# style ------------------------------------------------------------------------------------------------------------


def test_pictures_are_saved_by_the_end_of_their_name(tmp_path):
    ax = weights.draw_weights(weights.describe_weights(np.arange(4.0)))
    assert saved(ax, tmp_path, "a.png").read_bytes().startswith(b"\x89PNG")
    assert saved(ax.figure, tmp_path, "a.pdf").read_bytes().startswith(b"%PDF")
    assert saved(ax, tmp_path, "a.svg").read_bytes().startswith(b"<?xml")
    once, twice = (saved(ax, tmp_path, name).read_bytes() for name in ("b.svg", "c.svg"))
    assert once == twice
    with pytest.raises(OptionError, match=r"\.png, \.svg or \.pdf"):
        style.save(ax, tmp_path / "a.gif")
    with pytest.raises(OptionError, match="no picture"):
        style.save("ax", tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        style.save(ax, tmp_path / "file" / "a.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg", "b.svg", "c.svg", "file"]


def test_drawing_leaves_the_settings_of_the_user_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    weights.draw_weights(weights.describe_weights(np.arange(4.0)))
    assert dict(matplotlib.rcParams) == before


def test_names_are_taken_literally_and_missing_characters_are_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(style, "families", lambda: ["DejaVu Sans"])
    ax = boundary.draw_scatter(boundary.describe_scatter([[0, 1], [1, 0]], ["_a", "$b$"], names=["price_$", "身高"]))
    assert [t.get_text().strip() for t in ax.get_legend().get_texts()] == [r"\$b\$ (1)", "_a (1)"]
    with pytest.warns(UserWarning, match="no installed font") as told:
        saved(ax, tmp_path)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax.set_ylabel("height")
        saved(ax, tmp_path)
