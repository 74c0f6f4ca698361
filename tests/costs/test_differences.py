"""Difference quotients: their limits, and errors that can be believed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize

from descender.costs.callables import real_number
from descender.costs.differences import (
    central_gradient,
    derivative,
    difference_quotients,
    finite_difference_gradient,
    finite_difference_hessian,
)
from descender.errors import CostError, InputError, ShapeError

KNOWN = {  # name: function, derivative, points
    "exp": (np.exp, np.exp, [0, 1, -5, 20]),
    "sin": (np.sin, np.cos, [0, 1, math.pi / 2, 1e3]),
    "cube": (lambda x: x**3, lambda x: 3 * x**2, [0, 1, -1e4, 1e-5]),
    "log": (math.log, lambda x: 1 / x, [1, 0.01, 1e-6, 1e6]),
    "sqrt": (math.sqrt, lambda x: 0.5 / math.sqrt(x), [1e-8, 0.1, 1]),
    "reciprocal": (lambda x: 1 / x, lambda x: -1 / x**2, [1e-3, 0.1, -10]),
    "tanh": (np.tanh, lambda x: np.cosh(x) ** -2, [0, 0.5, 5, 15]),
    "arctan": (np.arctan, lambda x: 1 / (1 + x * x), [0, 1, 100]),
    "log cosh": (lambda x: np.logaddexp(x, -x) - np.log(2), np.tanh, [1e-3, 0.1, 10, 700]),
    "log gamma": (math.lgamma, lambda x: -np.euler_gamma + (x == 2), [1, 2]),
    "fast and huge": (lambda x: 1e12 * np.cos(1e6 * x), lambda x: -1e18 * np.sin(1e6 * x), [1e-6, 3e-7]),
    "slow and tiny": (lambda x: 1e-12 * (x / 1e6 - 1) ** 4, lambda x: 4e-18 * (x / 1e6 - 1) ** 3, [0, 1e6, 2e6]),
    "bump": (lambda x: np.exp(-1e12 * x * x), lambda x: -2e12 * x * np.exp(-1e12 * x * x), [0, 1e-6]),
    "nearly a kink": (lambda x: np.sqrt(x * x + 1e-12), lambda x: x / np.sqrt(x * x + 1e-12), [0, 1e-6]),
    "beside a kink": (abs, np.sign, [0.01, -1e-5, 1e-9]),
    "endless curvature": (lambda x: abs(x) ** 1.5, lambda x: 1.5 * abs(x) ** 0.5, [0, 1e-3]),
    "on a hill": (lambda x: 1e12 + x, lambda x: 1.0, [0, 1]),
    "constant": (lambda x: 3, lambda x: 0.0, [0, 1e5]),
}


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize("name", KNOWN)
def test_the_estimated_error_bounds_the_actual_error(name, careful):
    f, slope, points = KNOWN[name]
    for x in points:
        estimate = derivative(f, x, careful=careful)
        assert abs(estimate.value - slope(x)) <= estimate.error, f"at {x}: {estimate}"
        assert not estimate.kink


@pytest.mark.parametrize("name", ["exp", "sin", "log", "sqrt", "reciprocal", "arctan", "log cosh", "log gamma", "bump"])
def test_careful_derivatives_have_ten_digits_and_say_so(name):
    f, slope, points = KNOWN[name]
    for x in points:
        estimate = derivative(f, x)
        assert estimate.value == pytest.approx(slope(x), rel=1e-10, abs=1e-10)
        assert estimate.error <= 1e-8 * max(abs(slope(x)), 1)


def test_random_functions_at_every_scale():
    rng = np.random.default_rng(0)
    for _ in range(300):
        a, b, c, e = rng.normal(size=4)
        unit, size = 10 ** rng.uniform(-6, 6), 10 ** rng.uniform(-12, 12)
        x = unit * rng.normal()

        def f(x, a=a, b=b, c=c, e=e, unit=unit, size=size):
            z = x / unit
            return size * (a * np.sin(z) + b * np.exp(-z * z) + c * z**3 + e)

        z = x / unit
        slope = size / unit * (a * np.cos(z) - 2 * z * b * np.exp(-z * z) + 3 * c * z * z)
        careful = derivative(f, x, scale=unit)
        assert abs(careful.value - slope) <= careful.error <= 1e-8 * size / unit * (1 + abs(z)) ** 3
        cheap = derivative(f, x, scale=unit, careful=False)
        assert abs(cheap.value - slope) <= 2 * cheap.error


@pytest.mark.parametrize(
    ("f", "gap"),
    [
        (abs, 2),
        (lambda x: max(x, 0), 1),
        (lambda x: x * x + 0.01 * abs(x), 0.02),
        (lambda x: np.exp(x) + 1e-3 * abs(x), 2e-3),
    ],
)
def test_a_kink_is_recognised_and_its_error_reaches_both_sides(f, gap):
    estimate = derivative(f, 0.0)
    assert estimate.kink
    assert estimate.error == pytest.approx(gap / 2, rel=0.01)


def test_a_stop_passes_through():
    def stop(w):
        raise StopIteration

    for call in (derivative, difference_quotients):
        with pytest.raises(StopIteration):
            call(stop, 1.0)
    for call in (finite_difference_gradient, central_gradient, finite_difference_hessian):
        with pytest.raises(StopIteration):
            call(stop, [1.0])


def test_scipy_agrees():
    rng = np.random.default_rng(1)
    for x in (np.array([-1.2, 1.0]), rng.normal(size=6)):
        exact = optimize.rosen_der(x)
        forward = optimize.approx_fprime(x, optimize.rosen)
        cheap, careful = (finite_difference_gradient(optimize.rosen, x, careful=c) for c in (False, True))
        assert np.abs(forward - cheap.value).max() < 1e-4
        assert np.abs(cheap.value - exact).max() <= 1e-7
        assert (np.abs(careful.value - exact) <= careful.error).all()
        assert np.abs(careful.value - exact).max() <= 1e-9
        scipys = optimize.approx_fprime(x, optimize.rosen, np.full(len(x), 1e-6))
        assert np.abs(cheap.value - exact).max() < np.abs(scipys - exact).max()
        assert finite_difference_hessian(optimize.rosen_der, x) == pytest.approx(optimize.rosen_hess(x), abs=1e-5)


numbers = st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 3))


@settings(max_examples=50, deadline=None)
@given(arrays(float, (3, 3), elements=numbers), arrays(float, 3, elements=numbers), arrays(float, 3, elements=numbers))
def test_quadratics_are_exact_up_to_rounding(A, b, w):
    A = A + A.T

    def f(w):
        return w @ A @ w / 2 + b @ w

    exact = A @ w + b
    size = 1 + (np.abs(A).max() + np.abs(b).max()) * max(1, np.abs(w).max())  # of the terms, which may cancel
    for careful, digits in ((False, 1e-8), (True, 1e-11)):
        estimate = finite_difference_gradient(f, w, careful=careful)
        assert np.abs(estimate.value - exact).max() <= digits * size * max(1, np.abs(w).max())
    H = finite_difference_hessian(lambda w: A @ w + b, w)
    assert np.abs(H - A).max() <= 1e-8 * size
    assert (H == H.T).all()


@settings(max_examples=50, deadline=None)
@given(arrays(float, 4, elements=numbers), st.floats(0.1, 10))
def test_the_gradient_is_linear_in_the_function(w, factor):
    plain, scaled = (
        finite_difference_gradient(lambda w, c=c: c * np.cos(w).sum(), w, careful=True) for c in (1, factor)
    )
    assert (np.abs(factor * plain.value - scaled.value) <= factor * plain.error + scaled.error + 1e-12).all()


def test_evaluations_are_counted_and_points_are_copies():
    seen = []

    def f(w):
        seen.append(w.copy())
        w[:] = np.nan
        return float(np.exp(seen[-1]).sum())

    w = np.array([0.5, 1.0])
    cheap = finite_difference_gradient(f, w)
    assert cheap.evaluations == len(seen) == 9
    careful = finite_difference_gradient(f, w, careful=True)
    assert careful.evaluations == len(seen) - 9 < 60
    assert central_gradient(f, w) == pytest.approx(np.exp(w), rel=1e-9)
    assert len(seen) - 9 - careful.evaluations == 4
    assert (w == [0.5, 1.0]).all()


def test_single_precision_is_noticed():
    for f, x in ((lambda w: np.sin(w), 1.0), (lambda w: np.sin(np.float32(w)), 1.0), (np.sin, np.float32(1))):
        estimate = derivative(f, x)
        assert abs(estimate.value - math.cos(1)) <= estimate.error < 1e-3
    hidden = derivative(lambda x: float(np.sin(np.float32(x))), 1.0)
    assert abs(hidden.value - math.cos(1)) <= 1e-5
    told = derivative(lambda x: float(np.sin(np.float32(x))), 1.0, precision=2**-23)
    assert abs(told.value - math.cos(1)) <= told.error
    assert finite_difference_gradient(lambda w: w @ w, np.ones(2, np.float32)).value == pytest.approx([2, 2], rel=1e-4)


def test_a_domain_is_not_left():
    def f(w):
        return math.log(w[0]) + math.sqrt(2 - w[1])  # raises outside

    w = np.array([1e-7, 2 - 1e-7])
    exact = np.array([1e7, -0.5 / math.sqrt(2 - w[1])])
    assert finite_difference_gradient(f, w).value == pytest.approx(exact, rel=1e-8)
    assert central_gradient(f, w) == pytest.approx(exact, rel=1e-8)
    with pytest.raises(CostError, match=r"not finite on both sides of parameter 1 at w = \[3., 0.\].*by w\[1\] = 0"):
        finite_difference_gradient(lambda w: w[0] + math.sqrt(w[1]), [3.0, 0.0])
    with pytest.raises(CostError, match=r"not finite on both sides of parameter 0"):
        central_gradient(lambda w: np.sqrt(w[0]), [0.0])
    with pytest.raises(CostError, match=r"is nan at w = \[-1.\]: it has no derivative there"):
        derivative(np.log, -1.0)
    with pytest.raises(CostError, match="gradient is not finite on both sides of parameter 0"):
        finite_difference_hessian(lambda w: 0.5 / np.sqrt(w), [0.0])


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.5, 2.0 - 1e-7, 2.0])
def test_a_box_is_not_left_and_the_quotients_agree_with_the_slope(x):
    asked = []

    def f(w):
        asked.append(w.copy())
        return np.exp(w[0]) + w[1] ** 3

    box = np.array([0.0, -1.0]), np.array([2.0, 1.0])
    gradient = central_gradient(f, [x, -1.0], box=box)
    np.testing.assert_allclose(gradient, [np.exp(x), 3.0], rtol=1e-8)
    H = finite_difference_hessian(lambda w: [np.exp(w[0]), 3 * (f(w) - np.exp(w[0])) / w[1]], [x, -1.0], box=box)
    np.testing.assert_allclose(H, [[np.exp(x), 0], [0, -6]], atol=1e-6)
    assert all(np.all(w >= box[0]) and np.all(w <= box[1]) for w in asked)


def test_a_parameter_without_room_has_no_slope():
    assert central_gradient(lambda w: w @ w, [1.0, 3.0], box=(np.array([1.0, 0]), np.array([1.0, 9]))).round(6)[0] == 0


def test_the_table_shows_the_limit_and_then_the_rounding():
    table = difference_quotients(np.exp, 0.0)
    assert table.h[[0, -1]] == pytest.approx([1, 1e-15])
    error = np.abs(table.central - 1)
    assert error.argmin() in (5, 6)
    assert error[2] == pytest.approx(1e-4 / 6, rel=1e-3)
    assert error[15] > 1e-3
    assert (table.forward[:7] > 1).all()
    assert (table.backward[:7] < 1).all()
    assert table.central == pytest.approx((table.forward + table.backward) / 2)
    assert len(str(table).splitlines()) == 17


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: difference_quotients(np.exp, 0.0, [0.1, 0]), InputError, "expected positive numbers"),
        (lambda: derivative(np.exp, 0.0, scale=0), InputError, "scale = 0: expected a positive number"),
        (lambda: finite_difference_gradient(np.sum, [1, 2], scale=[1, 2, 3]), InputError, "each of the 2 parameters"),
        (lambda: finite_difference_gradient(np.sum, np.ones((2, 2))), ShapeError, r"w has shape \(2, 2\)"),
        (lambda: finite_difference_gradient(lambda w: w, [1, 2]), CostError, r"array of shape \(2,\) and type float64"),
        (lambda: finite_difference_hessian(lambda w: w[:1], [1, 2]), ShapeError, r"shape \(1,\): expected \(2,\)"),
        (lambda: finite_difference_gradient(np.sum, ["a"]), InputError, "w is .*: expected real numbers"),
        (lambda: real_number("7"), CostError, r"returned '7' \(str\); expected one real number"),
    ],
)
def test_wrong_inputs_say_what_is_wrong(call, error, text):
    with pytest.raises(error, match=text):
        call()
