"""Bounds in every form in which they are given, and what is wrong with the others; projection by its laws."""

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import rosen, rosen_der

from descender import minimize
from descender.errors import OptionError
from descender.methods.bounds import Bounds, read_bounds

NAMES = ("x", "y", "z")
INF = np.inf
EXPECTED = Bounds(np.array([0.0, -INF, -2.5]), np.array([1.0, 5.0, INF]))


@pytest.mark.parametrize(
    "bounds",
    [
        "x=0..1, y=..5, z=-2.5..",
        "x=0..1 y=-inf..5 z=-25e-1..inf",
        {"z": (-2.5, None), "x": (0, 1), "y": (None, 5)},
        [(0, 1), (None, 5), (-2.5, None)],
        ((0, 1), (-INF, 5), [-2.5, INF]),
        np.array([[0, 1], [-INF, 5], [-2.5, INF]]),
        scipy.optimize.Bounds([0, -INF, -2.5], [1, 5, INF]),
        EXPECTED,
    ],
    ids=lambda bounds: type(bounds).__name__,
)
def test_every_form_is_read_alike(bounds):
    found = read_bounds(bounds, NAMES)
    assert (found.lower == EXPECTED.lower).all()
    assert (found.upper == EXPECTED.upper).all()
    assert found.lower.dtype == found.upper.dtype == np.float64


def test_one_number_for_all_as_scipy_has_it():
    found = read_bounds(scipy.optimize.Bounds(0, [1, 2, 3]), NAMES)
    assert found.lower.tolist() == [0, 0, 0]
    assert found.upper.tolist() == [1, 2, 3]


@pytest.mark.parametrize("nothing", [None, "", {}, [(None, None)] * 3, [None] * 3, scipy.optimize.Bounds()])
def test_no_bounds_are_none(nothing):
    assert read_bounds(nothing, NAMES) is None


def test_a_point_before_a_digit_belongs_to_the_number():
    assert read_bounds("x=0...5", ("x",)).upper.tolist() == [0.5]
    assert read_bounds("x=-.5..0.25", ("x",)) == ([-0.5], [0.25])


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([(1, 0), None, None], "bounds of x: from 1 to 0 is no interval"),
        ([(0, 1)], "for 1 parameters were given; expected 3"),
        ([(0, 1), (np.nan, 1), (0, 1)], "bounds of y: NaN is no bound"),
        ([(0, 1), (INF, INF), (0, 1)], "bounds of y: no finite number is between inf and inf"),
        ([(0, 1), 3, (0, 1)], r"bounds of y: 3 is not \(low, high\)"),
        ([(0, 1), (1, 2, 3), (0, 1)], "bounds of y: .* is not"),
        ([(0, 1), ("a", "b"), (0, 1)], "bounds of y: .* is not"),
        ({"q": (0, 1)}, "bounds name 'q', which is no parameter here; known: x, y, z"),
        ("q=0..1", "bounds name 'q'"),
        ("x=0", "'x=0' is not NAME=LOW..HIGH"),
        ("x", "'x' is not NAME=LOW..HIGH"),
        ("x=a..b", "'x=a..b' is not NAME=LOW..HIGH"),
        ("=0..1", "is not NAME=LOW..HIGH"),
        ("x=0..1 x=1..2", "x is given twice"),
        ("x=1..0", "from 1 to 0 is no interval"),
        (7, "bounds=7: expected"),
        (scipy.optimize.Bounds([0, 0], [1, 1]), "bounds of 2 numbers were given; expected 3"),
    ],
)
def test_what_is_wrong_is_said(bounds, message):
    with pytest.raises(OptionError, match=message):
        read_bounds(bounds, NAMES)


NUMBERS = st.floats(-1e6, 1e6)
VECTORS = arrays(float, 4, elements=NUMBERS)


@st.composite
def boxes(draw):
    ends = np.sort(draw(arrays(float, (2, 4), elements=st.floats(-100, 100) | st.just(INF) | st.just(-INF))), axis=0)
    lower, upper = np.where(ends[0] == INF, 0.0, ends[0]), np.where(ends[1] == -INF, 0.0, ends[1])
    return Bounds(np.minimum(lower, upper), np.maximum(lower, upper))


@given(boxes(), VECTORS, VECTORS)
def test_projection_is_the_nearest_point(box, w, v):
    inside = box.project(w)
    assert box.contains(inside)
    assert (box.project(inside) == inside).all()
    other = box.project(v)
    assert np.linalg.norm(w - inside) <= np.linalg.norm(w - other) * (1 + 1e-12)
    assert np.linalg.norm(inside - other) <= np.linalg.norm(w - v) * (1 + 1e-12)


@given(boxes(), VECTORS, VECTORS)
def test_the_projected_gradient_is_the_way_to_the_projected_step(box, w, g):
    w = box.project(w)
    expected = w - box.project(w - g)
    found = box.projected(w, g)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    held = box.held(w, g)
    assert (found[held] == 0).all()
    assert (found[~held & (g != 0)] != 0).all()


@given(boxes())
def test_the_text_is_read_back(box):
    rounded = Bounds(np.round(box.lower), np.round(box.upper))
    names = ("a", "b", "c", "d")
    again = read_bounds(rounded.text(names), names)
    if again is None:
        assert not np.isfinite(rounded).any()
    else:
        assert (again.lower == rounded.lower).all()
        assert (again.upper == rounded.upper).all()


def test_of_many_bounds_six_are_named():
    names = tuple("abcdefgh")
    assert read_bounds([(0, None)] * 8, names).text(names) == "a=0.., b=0.., c=0.., d=0.., e=0.., f=0.. and 2 more"
    walk = minimize(lambda w: ((w - 1) ** 2).sum(), np.zeros(8), bounds=[(None, None)] * 6 + [(0, 0.5)] * 2)
    assert walk.x == pytest.approx([1] * 6 + [0.5] * 2, abs=1e-6)
    assert walk.why.endswith("within w6=0..0.5, w7=0..0.5")


@pytest.mark.parametrize("method", ["auto", "lbfgs"])
@pytest.mark.parametrize("bounds", [None, [(0, None), (None, None)]])
def test_who_asks_for_a_small_gradient_is_taken_further_down(method, bounds):
    asked, unasked = (
        minimize(rosen, [0.5, 0.5], method, gradient=rosen_der, bounds=bounds, gradient_tol=tol) for tol in (1e-9, None)
    )
    assert np.abs(asked.jac).max() < 0.1 * np.abs(unasked.jac).max()


@pytest.mark.parametrize("options", [{}, {"learning_rate": 0.05}], ids=["searched", "fixed"])
def test_a_mean_of_points_is_that_of_the_points_within(options):
    """At a corner a searched rate grows with every step: what the step would be without bounds must not count."""
    start, box = {"x": 0.5, "y": 0.2}, [(0, 1), (-0.5, 0.5)]
    J = "(x-3)**2 + 10*(y+1)**2 + x*y"
    walk = minimize(J, start, "polyak-ruppert", bounds=box, max_steps=240, **options)
    assert walk.status == "budget"
    assert walk.x == pytest.approx(np.append(walk.record.path[1:240], [[1.0, -0.5]], axis=0).mean(axis=0), rel=1e-12)
    assert minimize(J, start, "schedule-free", learning_rate=0.05, bounds=box, max_steps=240).x == pytest.approx(
        [1.0, -0.5], abs=0.05
    )


def test_accelerated_steps_end_at_the_corner():
    walk = minimize("(x-3)**2 + 10*(y+1)**2 + x*y", "x=0.5, y=0.2", "fista", bounds=[(0, 1), (-0.5, 0.5)])
    assert (walk.x.tolist(), walk.success) == ([1.0, -0.5], True)
    assert (walk.record.path >= [0.0, -0.5]).all()
    assert (walk.record.path <= [1.0, 0.5]).all()
