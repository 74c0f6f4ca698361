"""A Python callable as a cost, what callables do wrong, and the gradient check."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from descender import minimize
from descender.costs.function import Function
from descender.costs.gradient_check import check_gradient
from descender.errors import CapabilityError, CostError, InputError, OptionError, ShapeError

W = np.array([-1.2, 1.0])
rosen, rosen_der = optimize.rosen, optimize.rosen_der


@pytest.mark.parametrize(
    ("fun", "gradient", "digits"),
    [(rosen, None, 1e-9), (rosen, rosen_der, 0), (lambda w: (rosen(w), rosen_der(w)), True, 0)],
)
def test_three_ways_to_a_gradient(fun, gradient, digits):
    J = Function(fun, 2, gradient)
    value, g = J.value_and_gradient(W)
    assert value == J.value(W) == rosen(W)
    assert g == pytest.approx(rosen_der(W), rel=digits)
    assert (J.gradient(W) == g).all()
    assert type(value) is float
    assert J.n_gradients == 2
    assert J.names == ("w0", "w1")
    assert J.n_samples is None


def test_evaluations_are_counted():
    calls = []
    J = Function(lambda w: calls.append(1) or float(w @ w), 3)
    J.gradient(np.ones(3))  # chooses steps too
    before = len(calls)
    J.gradient(np.ones(3))
    assert len(calls) - before == 7
    assert J.n_evaluations == len(calls)
    assert J.n_gradients == 2
    K = Function(rosen, 2, rosen_der)
    K.gradient(W)
    assert (K.n_evaluations, K.n_gradients) == (0, 1)


def test_steps_suit_the_scale_of_the_function_and_do_not_depend_on_history():
    scale = np.array([1e-6, 1.0, 1e6])

    def f(w):
        return 1e9 * np.cos(w / scale).sum()

    start = scale * [0.3, 0.5, 0.7]
    first, second = Function(f, start), Function(f, start)
    second.gradient(start * 1.5)
    for w in (start, start * 1.1):
        exact = -1e9 * np.sin(w / scale) / scale
        assert first.gradient(w) == pytest.approx(exact, rel=1e-5)
        assert (np.abs(first.gradient(w) - exact) <= first.gradient_error(w)).all()
        assert (first.gradient(w) == second.gradient(w)).all()
    with pytest.raises(CapabilityError, match="check_gradient"):
        Function(rosen, 2, rosen_der).gradient_error(W)


def test_samples():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20))

    def fun(w, rows, weight):
        return weight * np.mean((y[rows] - w[0] * x[rows] - w[1]) ** 2)

    J = Function(fun, 2, args=(3.0,), n_samples=20)
    w, rows = np.array([0.5, -0.5]), np.array([3, 7])
    assert J.value(w) == pytest.approx(np.mean([J.value(w, np.array([i])) for i in range(20)]))
    residual = y[rows] - w[0] * x[rows] - w[1]
    exact = -6 * np.array([np.mean(residual * x[rows]), np.mean(residual)])
    assert J.gradient(w, rows) == pytest.approx(exact, rel=1e-7)
    with pytest.raises(CapabilityError, match="does not split into samples: give n_samples"):
        Function(rosen, 2).value(W, rows)


def test_user_code_may_spoil_what_it_is_handed_and_keep_what_it_returned():
    buffer = np.zeros(2)

    def gradient(w):
        buffer[:] = rosen_der(w)
        w[:] = np.nan
        return buffer

    def fun(w):
        value = rosen(w)
        w[:] = np.nan
        return value

    J, w = Function(fun, 2, gradient), W.copy()
    g = J.gradient(w)
    J.gradient(np.zeros(2))
    assert (g == rosen_der(W)).all()
    assert J.value(w) == rosen(W)
    assert (w == W).all()


@pytest.mark.parametrize(
    "returned",
    [2, 2.0, np.float32(2), np.array(2.0), np.array([[2]]), [2.0], Decimal(2), Fraction(2), np.longdouble(2)],
)
def test_one_number_in_any_wrapping(returned):
    value = Function(lambda w: returned, 1).value(np.zeros(1))
    assert value == 2
    assert type(value) is float


class Odd:
    dtype = "odd"

    def __float__(self):
        raise TypeError("cannot")


PLACE = r"evaluation 1, at w = \[-1.2,  1. \]: "
BAD_VALUES = {
    "None": (lambda w: None, "the function returned None; .* return statement missing"),
    "an array": (lambda w: w, r"an array of shape \(2,\) and type float64; expected one real number; a sum or a mean"),
    "complex": (lambda w: 1j, r"returned 1j \(complex\)"),
    "complex array": (lambda w: np.array(1j), "expected one real number"),
    "text": (lambda w: "seven", r"returned 'seven' \(str\)"),
    "a truth": (lambda w: w[0] < 3, "expected one real number"),
    "ragged": (lambda w: [1, [2]], r"returned \[1, \[2\]\] \(list\)"),
    "a pair": (lambda w: (1.0, w), "gradient=True says that it returns"),
    "empty": (lambda w: np.array([]), "expected one real number"),
    "odd": (lambda w: Odd(), "expected one real number"),
    "division": (lambda w: 1 / 0, "the function raised ZeroDivisionError: division by zero"),
    "index": (lambda w: w[2], "the function raised IndexError: index 2"),
    "name": (lambda w: undefined, "the function raised NameError"),  # noqa: F821
    "arguments": (lambda: 1.0, "the function raised TypeError"),
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_a_bad_value_says_what_where_and_when(name):
    fun, text = BAD_VALUES[name]
    with pytest.raises(CostError, match=PLACE + ".*" + text) as caught:
        Function(fun, 2).value(W)
    raised = "raised" in text
    assert isinstance(caught.value.__cause__, Exception) == raised


BAD_GRADIENTS = {
    "None": (lambda w: None, CostError, "the gradient is None; expected 2 real numbers"),
    "short": (lambda w: w[:1], ShapeError, r"shape \(1,\), that is 1 numbers; expected shape \(2,\)"),
    "long": (lambda w: np.ones(5), ShapeError, r"that is 5 numbers; .* each of the 2 parameters"),
    "column": (lambda w: w[:, None], ShapeError, r"shape \(2, 1\)"),
    "scalar": (lambda w: 1.0, ShapeError, r"shape \(\)"),
    "text": (lambda w: "up", CostError, r"'up' \(str\)"),
    "complex": (lambda w: 1j * w, CostError, "type complex128; expected 2 real numbers"),
    "a hole": (lambda w: [None, 1.0], CostError, "expected 2 real numbers"),
    "ragged": (lambda w: [1, [2, 3]], CostError, "expected 2 real numbers"),
    "raises": (lambda w: 1 / 0, CostError, "the gradient raised ZeroDivisionError"),
}


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("name", BAD_GRADIENTS)
def test_a_bad_gradient_says_what_where_and_when(name, together):
    gradient, error, text = BAD_GRADIENTS[name]
    if together and name != "raises":
        J = Function(lambda w: (1.0, gradient(w)), 2, True)
    else:
        J = Function(rosen, 2, gradient)
    with pytest.raises(error, match=r"gradient 1, at w = \[-1.2,  1. \]: .*" + text):
        J.gradient(W)


def test_a_pair_is_expected_where_one_was_promised():
    with pytest.raises(CostError, match=r"gradient=True expects \(value, gradient\); fun returned 1"):
        Function(lambda w: 1.0, 2, True).value(W)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, StopIteration])
def test_a_stop_is_no_error_of_the_cost(stop):
    def fun(w):
        raise stop

    with pytest.raises(stop):
        Function(fun, 2).value(W)
    with pytest.raises(stop):
        Function(rosen, 2, fun).gradient(W)


def test_what_is_not_finite_is_the_walks_business():
    for value in (np.nan, np.inf, -np.inf):
        J = Function(lambda w, value=value: value, 2)
        returned, g = J.value_and_gradient(W)
        assert np.array_equal(returned, value, equal_nan=True)
        assert np.isnan(g).all()
        assert J.n_evaluations == 1
    assert Function(lambda w: np.exp(w[0]), 1).value(np.array([1e4])) == np.inf  # and NumPy does not warn
    assert np.isnan(Function(rosen, 2, lambda w: w * np.nan).gradient(W)).all()
    late = Function(lambda w: np.log(w[0]), [-1.0])  # steps cannot be chosen at the start
    assert late.gradient(np.array([2.0])) == pytest.approx([0.5])


def test_float32_in_float32_out():
    w = W.astype(np.float32)
    for gradient in (None, rosen_der):
        seen = []
        J = Function(lambda w, seen=seen: seen.append(w.dtype) or rosen(w), 2, gradient)
        g = J.gradient(w)
        assert g.dtype == np.float32
        assert set(seen) <= {np.dtype(np.float32)}
        assert g == pytest.approx(rosen_der(W), rel=1e-3)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: Function(3, 2), OptionError, "fun = 3"),
        (lambda: Function(rosen, 2, gradient="2-point"), OptionError, "gradient='2-point': known: jax, torch"),
        (lambda: Function(rosen, 2, gradient=False), OptionError, "expected None, True, 'jax', 'torch' or a function"),
        (lambda: Function(rosen, 0), OptionError, "expected at least one"),
        (lambda: Function(rosen, []), OptionError, "expected at least one"),
        (lambda: Function(rosen, np.ones((2, 2))), ShapeError, r"shape \(2, 2\)"),
        (lambda: Function(rosen, 2, names=["x"]), ShapeError, "1 names for 2 parameters"),
        (lambda: Function(rosen, 2, n_samples=0), OptionError, "n_samples = 0"),
        (lambda: Function(rosen, 2).value(np.ones(3)), ShapeError, "w has 3 entries: expected 2"),
    ],
)
def test_wrong_use_is_refused_at_the_door(call, error, text):
    with pytest.raises(error, match=text):
        call()


# --- the check ----------------------------------------------------------------------------------------------------


def scaled_problem(rng):
    """A smooth function with values of size 1e-12 to 1e12, its coordinates at scales 1e-6 to 1e6."""
    d = int(rng.integers(2, 7))
    scale, size = 10 ** rng.uniform(-6, 6, d), 10 ** rng.uniform(-12, 12)
    a, A = rng.normal(size=d), rng.normal(size=(d, d))
    A = A @ A.T

    def f(w):
        z = w / scale
        return size * (a @ np.sin(z) + z @ A @ z / 2)

    def gradient(w):
        z = w / scale
        return size * (a * np.cos(z) + A @ z) / scale

    return f, gradient, scale * rng.normal(size=d)


def planted(gradient, fault, j, k):
    def wrong(w):
        g = gradient(w)
        if fault == "sign":
            g[j] *= -1
        elif fault == "twice":
            g *= 2
        elif fault == "swapped":
            g[[j, k]] = g[[k, j]]
        else:
            g[j] *= 1.01
        return g

    return wrong


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(["sign", "twice", "swapped", "1 %"]))
def test_right_gradients_pass_and_planted_faults_are_caught(seed, full, fault):
    rng = np.random.default_rng(seed)
    f, gradient, w = scaled_problem(rng)
    right = check_gradient(Function(f, len(w), gradient), w, full=full, seed=seed)
    assert right.ok, right.message
    assert right.message == "the gradient agrees with difference quotients"
    j = int(rng.integers(len(w)))
    k = (j + 1) % len(w)
    wrong = check_gradient(Function(f, len(w), planted(gradient, fault, j, k)), w, full=full, seed=seed)
    assert not wrong.ok
    assert wrong.relative_error > 1e-5
    if full and fault in ("sign", "1 %"):
        assert wrong.worst == f"w{j}"
        assert wrong.given == pytest.approx(wrong.measured * (-1 if fault == "sign" else 1.01), rel=1e-4)


def test_the_cheap_check_does_not_cost_more_with_more_parameters():
    right = Function(lambda w: np.cos(w).sum(), 1000, lambda w: -np.sin(w))
    w = np.linspace(0.1, 3, 1000)
    check = check_gradient(right, w)
    assert check.ok
    assert check.evaluations < 40
    assert check == check_gradient(right, w)
    one = np.zeros(1000)
    one[500] = 0.01
    wrong = check_gradient(Function(right.fun, 1000, lambda w: -np.sin(w) * (1 + one)), w)
    assert not wrong.ok
    assert "full=True names the parameter" in wrong.message


def test_kinks_are_named_and_not_taken_for_faults():
    def f(w):
        return w @ w / 2 + 0.01 * np.abs(w).sum()

    J = Function(f, 3, lambda w: w + 0.01 * np.sign(w), names=["x", "y", "z"])
    check = check_gradient(J, [0.0, 1.0, -2.0], full=True)
    assert check.ok
    assert check.doubtful == ("x",)
    assert "not differentiable here? forward and backward quotients disagree by x" in check.message
    assert check_gradient(J, [0.0, 1.0, -2.0]).ok
    assert "along a random direction" in check_gradient(J, [0.0, 1.0, -2.0]).message
    outside = check_gradient(Function(f, 3, lambda w: w + 0.02), [0.0, 1.0, 2.0], full=True)
    assert not outside.ok


def test_what_cannot_be_judged_is_said():
    flat = check_gradient(Function(lambda w: 1e14 + w.sum(), 2, lambda w: np.full(2, 1.01)), W, full=True)
    assert flat.doubtful == ("w0", "w1")
    assert "too noisy, to judge it by w0, w1" in flat.message
    minimum = check_gradient(Function(rosen, 2, rosen_der), [1.0, 1.0])
    assert minimum.ok
    assert minimum.doubtful
    with pytest.raises(InputError, match="is not finite"):
        check_gradient(Function(rosen, 2, lambda w: w * np.nan), W)


def test_single_precision_is_judged_by_its_own_measure():
    w = np.array([2, 3], np.float32)
    assert check_gradient(Function(lambda w: np.cos(w).sum(), 2, lambda w: -np.sin(w)), w, full=True).ok
    assert not check_gradient(Function(lambda w: np.cos(w).sum(), 2, lambda w: -1.01 * np.sin(w)), w, full=True).ok


@pytest.mark.parametrize("steep", [1e10, 1e200])
def test_a_component_of_zero_beside_a_steep_one_is_no_overflow(steep):
    J = Function(lambda w: steep * w[0], 2, gradient=lambda w: [steep, 0.0])
    assert check_gradient(J, [1.0, 1.0]).ok
    assert not check_gradient(Function(J.fun, 2, gradient=lambda w: [1.01 * steep, 0.0]), [1.0, 1.0]).ok


@pytest.mark.parametrize("full", [False, True])
def test_the_rounding_of_a_gradient_at_a_minimum_is_not_wrong(full):
    turns = Function(lambda w: float(np.sum(1 - np.cos(w))), 2, gradient=np.sin)
    assert check_gradient(turns, np.full(2, 2 * np.pi), full=full).ok
    expanded = Function(lambda w: float(w @ w - 2e4 * w.sum() + 3e8), 3, gradient=lambda w: 2 * w - 2e4)
    assert check_gradient(expanded, np.full(3, 1e4) + 1e-6, full=full).ok
    wrong = Function(lambda w: float(np.sum(1 - np.cos(w))), 2, gradient=lambda w: np.sin(w) + np.array([0, 1e-3]))
    assert not check_gradient(wrong, np.full(2, 2 * np.pi), full=full).ok


def test_a_point_where_the_function_raises_is_undefined_once_it_was_defined():
    """A search that steps out of the domain comes back: errors of math are NaN there, and any other is an error."""
    J = Function(lambda w: math.log(w[0]) if w[0] < 9.0 else {}["far"], 1)
    with pytest.raises(CostError, match="math domain error"):
        J.value(np.array([-1.0]))
    assert J.value(np.array([1.0])) == 0.0
    assert np.isnan(J.value(np.array([-1.0])))
    assert "evaluation 3, at w = [-1.]: the function raised ValueError" in J.undefined
    with pytest.raises(CostError, match="KeyError"):
        J.value(np.array([9.0]))
    assert np.isnan(J.value_and_gradient(np.array([-1.0]))[1]).all()
    root = Function(lambda w: float(w[0]) ** 0.5, 1, lambda w: [0.5 / math.sqrt(w[0])])
    assert root.value_and_gradient(np.array([4.0])) == (2.0, 0.25)
    value, gradient = root.value_and_gradient(np.array([-4.0]))  # a complex root; a gradient that raises
    assert np.isnan(value)
    assert np.isnan(gradient).all()


@pytest.mark.parametrize("method", ["auto", "cg", "gd"])
def test_walks_come_back_from_where_the_function_raises(method):
    walk = minimize(lambda w: w[0] - 5.0 * math.log(w[0]) + math.exp(w[1] ** 2), [0.01, 3.0], method, max_steps=400)
    np.testing.assert_allclose(walk.x, [5.0, 0.0], atol=2e-3)
    assert walk.fun < 5.0 - 5.0 * math.log(5.0) + 1.0 + 1e-6
