"""Typed formulas: exact derivatives as they are computed and shown, and three evaluations that agree."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import erf, expit

from descender.costs.formula import Formula, pretty

X = np.array([-1.0, 0.5, 2.0, 3.0])
Y = np.array([0.3, 1.0, -0.7, 2.5])
DATA = {"x": X, "y": Y}

# text, the same with NumPy, a point
PLAIN = [
    ("(1-x)**2 + 100*(y-x^2)^2", lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2, [-1.2, 1.0]),
    ("-x^2", lambda x: -(x**2), [3.0]),
    ("2^-x^2", lambda x: 2 ** -(x**2), [0.7]),
    ("x^3 - x^4/3 + x**7 + x**-2", lambda x: x**3 - x**4 / 3 + x**7 + x**-2.0, [-1.3]),
    ("x**0.5 + x**1.5 + x**(1/3) + x**-0.5", lambda x: x**0.5 + x**1.5 + x ** (1 / 3) + x**-0.5, [1.7]),
    ("x**y + pow(y, x)", lambda x, y: x**y + y**x, [1.3, 0.8]),
    ("sin(x)*cos(y) + tan(x*y)", lambda x, y: np.sin(x) * np.cos(y) + np.tan(x * y), [0.4, -0.9]),
    ("asin(x) + acos(x/2) + atan(3*x)", lambda x: np.arcsin(x) + np.arccos(x / 2) + np.arctan(3 * x), [0.3]),
    ("np.arctan2(y, x) + math.sinh(x)", lambda y, x: np.arctan2(y, x) + np.sinh(x), [0.4, -0.9]),
    ("cosh(x) + tanh(x)**2 + asinh(x)", lambda x: np.cosh(x) + np.tanh(x) ** 2 + np.arcsinh(x), [0.6]),
    ("exp(-x**2) + ln(x) + log2(x)*log10(x)", lambda x: np.exp(-(x**2)) + np.log(x) + np.log2(x) * np.log10(x), [1.9]),
    ("log1p(x) + expm1(x) + cbrt(x)", lambda x: np.log1p(x) + np.expm1(x) + np.cbrt(x), [-0.4]),
    ("abs(x - y) + sqrt(x**2)", lambda x, y: abs(x - y) + abs(x), [-0.4, 1.0]),
    ("max(x, y, 2*x) - min(0, y) + relu(-x)", lambda x, y: max(x, y, 2 * x) - min(0, y) + max(-x, 0), [-0.4, -1.0]),
    ("max(x, y) + min(x*y, 3)*sign(x)", lambda x, y: max(x, y) + min(x * y, 3) * np.sign(x), [0.4, 1.0]),
    ("erf(x/2)", lambda x: erf(x / 2), [0.4]),
    ("sigmoid(x)*softplus(y)", lambda x, y: expit(x) * np.logaddexp(0, y), [0.4, -1.0]),
    ("1/(1+exp(-x*y))**2", lambda x, y: expit(x * y) ** 2, [0.4, -1.0]),
    ("exp(x)/(1+exp(x)) * 3", lambda x: 3 * expit(x), [0.4]),
    ("log(cosh(x - 1))", lambda x: np.log(np.cosh(x - 1)), [0.4]),
    ("log(1 - sigmoid(x)) + log(sigmoid(y))", lambda x, y: np.log(1 - expit(x)) + np.log(expit(y)), [0.4, 2.0]),
    ("log(exp(a) + exp(b - a) + 1)", lambda a, b: np.log(np.exp(a) + np.exp(b - a) + 1), [0.4, 2.0]),
    ("pi*x + e**x + np.pi", lambda x: math.pi * x + np.exp(x) + math.pi, [0.4]),
    ("0.1*θ**2/7 - 1e-3/θ", lambda t: 0.1 * t**2 / 7 - 1e-3 / t, [0.4]),
    ("(x+1)**1000 * 1e-200", lambda x: (x + 1) ** 1000 * 1e-200, [0.5]),
    ("x/y/x*(y*x)", lambda x, y: x, [0.5, 2.0]),
]

# text, the same with NumPy (given the columns), names, a point
WITH_DATA = [
    ("mean((y - (m*x + c))**2)", lambda x, y, m, c: np.mean((y - m * x - c) ** 2), [0.3, -0.2]),
    ("sum((y - c - m*x)^2)/2 + 0.1*m^2", lambda x, y, c, m: np.sum((y - c - m * x) ** 2) / 2 + 0.1 * m**2, [1.1, 0.2]),
    (
        "sqrt(mean((y - m*x)**2)) + sum(m*x + c)*mean(y - c)**2",
        lambda x, y, m, c: np.sqrt(np.mean((y - m * x) ** 2)) + np.sum(m * x + c) * np.mean(y - c) ** 2,
        [0.3, 0.6],
    ),
    ("mean(log(1 + exp(-y*(m*x + c))))", lambda x, y, m, c: np.mean(np.logaddexp(0, -y * (m * x + c))), [0.3, 0.6]),
    ("mean(max(0, 1 - y*m*x)) + abs(m)", lambda x, y, m: np.mean(np.maximum(0, 1 - y * m * x)) + abs(m), [0.3]),
    ("mean((y - sigmoid(m*x))**2)", lambda x, y, m: np.mean((y - expit(m * x)) ** 2), [0.3]),
    ("sum(abs(y - exp(m)*x))/mean(x**2)", lambda x, y, m: np.sum(abs(y - np.exp(m) * x)) / np.mean(x**2), [0.3]),
]


def slopes(function, w, h=1e-4):
    """Central differences, extrapolated: the error is of order h**4."""
    w = np.asarray(w, dtype=float)

    def central(h):
        return np.array([(function(w + h * step) - function(w - h * step)) / (2 * h) for step in np.eye(len(w))])

    return (4 * central(h) - central(2 * h)) / 3


def assert_exact(formula, reference, w):
    """The value is the reference's, the gradient its differences, the Hessian the gradient's differences."""
    value, gradient = formula.value_and_gradient(w)
    assert_allclose(value, reference(*w), rtol=1e-12)
    scale = max(1.0, abs(value))
    assert_allclose(gradient, slopes(lambda v: reference(*v), w), rtol=1e-6, atol=1e-7 * scale)
    curvature = slopes(lambda v: formula.gradient(v), w)
    assert_allclose(formula.hessian(w), curvature, rtol=1e-6, atol=1e-7 * max(scale, abs(curvature).max()))


def compiled(kernel, numba_too=False):
    scope = {"np": np, "math": math}
    exec(kernel.source, scope)
    return numba.njit(error_model="numpy")(scope["evaluate"]) if numba_too else scope["evaluate"]


def all_rows(formula):
    return np.arange(formula.n_samples or 0, dtype=np.intp)


def assert_kernel(formula, w, numba_too=False):
    kernel = formula.kernel()
    w = np.asarray(w, dtype=float)
    value, gradient = compiled(kernel, numba_too)(w, kernel.data, all_rows(formula))
    expected, slope = formula.value_and_gradient(w)
    assert_allclose(value, expected, rtol=1e-13, equal_nan=True)
    assert_allclose(gradient, slope, rtol=1e-12, atol=1e-14, equal_nan=True)


@pytest.mark.parametrize(("text", "reference", "w"), PLAIN, ids=[row[0] for row in PLAIN])
def test_value_gradient_and_hessian_are_exact(text, reference, w):
    formula = Formula(text)
    assert formula.n_parameters == len(w)
    assert_exact(formula, reference, w)
    assert_kernel(formula, w)


@pytest.mark.parametrize(("text", "reference", "w"), WITH_DATA, ids=[row[0] for row in WITH_DATA])
def test_formulas_of_data_are_exact(text, reference, w):
    formula = Formula(text, DATA)
    assert formula.n_samples == 4
    assert_exact(formula, lambda *v: reference(X, Y, *v), w)
    assert_kernel(formula, w)


def test_a_wrong_derivative_is_caught():
    formula = Formula("x**2*y")
    right = formula.value_and_gradient

    def wrong(w, rows=None):
        value, gradient = right(w)
        return value, gradient * (1 + 1e-5)

    formula.value_and_gradient = wrong
    with pytest.raises(AssertionError):
        assert_exact(formula, lambda x, y: x**2 * y, [1.0, 2.0])
    with pytest.raises(AssertionError):
        assert_kernel(formula, [1.0, 2.0])


# every function in one formula each, so that the compiler runs twice only
EVERYTHING = (
    "sin(x)+cos(x)+tan(x)+asin(x/9)+acos(x/9)+atan(x)+sinh(x)+cosh(x)+tanh(x)+asinh(x)+acosh(2+x)+atanh(x/9)+exp(x)"
    "+log(x)+erf(x)+sqrt(x)+log2(x)+log10(x)+log1p(x)+expm1(x)+cbrt(x)+atan2(x,y)+abs(x)+sign(x)*y+max(x,y)+min(x,y)"
    "+sigmoid(x)+relu(x)+softplus(x)+log(cosh(x))+x**y+x**3+x**4+x**5+x**-1+x**1.5+step(x)*x"
)


def test_compiled_kernel_equals_the_python_form():
    assert_kernel(Formula(EVERYTHING), [0.7, 0.4], numba_too=True)


def test_compiled_kernel_with_rows_and_constants():
    formula = Formula("mean(log(1+exp(-y*(m*x+c)))) + k*m**2 + sum(abs(y-c))/mean(x**2)", DATA, {"k": 0.1})
    assert_kernel(formula, [0.7, 0.4], numba_too=True)
    rows = np.array([2, 0, 2])
    kernel = formula.kernel()
    value, gradient = compiled(kernel)(np.array([0.7, 0.4]), kernel.data, rows)
    some = formula.value_and_gradient([0.7, 0.4], rows)
    assert_allclose(value, some[0], rtol=1e-14)
    assert_allclose(gradient, some[1], rtol=1e-13)


def test_compiled_kernel_answers_nan_and_infinity_outside_the_domain():
    formula = Formula("log(x) + 1/y + z**0.3")
    kernel = formula.kernel()
    evaluate = compiled(kernel, numba_too=True)
    for w in ([-1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, -1.0], [0.0, 1.0, 0.0]):
        value, gradient = evaluate(np.array(w), kernel.data, all_rows(formula))
        expected, slope = formula.value_and_gradient(w)
        assert not math.isfinite(value) or not np.isfinite(gradient).all()
        assert_allclose(value, expected)
        assert_allclose(gradient, slope)


@pytest.mark.parametrize(
    ("text", "w", "expected"),
    [
        ("log(x)", -1.0, math.nan), ("log(x)", 0.0, -math.inf), ("1/x", 0.0, math.inf), ("exp(x)", 1e4, math.inf),
        ("x**0.5", -1.0, math.nan), ("x**(1/3)", -8.0, math.nan), ("x**2.5", -1.0, math.nan),
        ("x**9", 1e200, math.inf), ("x**4", 1e200, math.inf), ("sin(x)", math.inf, math.nan),
        ("asin(x)", 2.0, math.nan), ("x*2", math.nan, math.nan), ("cosh(x)", 1e4, math.inf),
        ("mean(q*log(x))", -1.0, math.nan), ("mean(q/x)", 0.0, math.inf),
    ],
)  # fmt: skip
def test_outside_the_domain_nothing_raises(text, w, expected):
    formula = Formula(text, {"q": [1.0, 2.0]} if "q" in text else None)
    value, gradient = formula.value_and_gradient([w])
    assert_allclose(value, expected)
    assert gradient.shape == (1,)
    assert formula.hessian([w]).shape == (1, 1)


@pytest.mark.parametrize("u", [-1e4, -750.0, -40.0, -1e-5, 0.0, 1e-5, 40.0, 750.0, 1e4])
def test_no_overflow_for_large_scores(u):
    cases = [
        ("log(cosh(x))", abs(u) + math.log1p(math.exp(-2 * abs(u))) - math.log(2), math.tanh(u)),
        ("log(1 + exp(x))", np.logaddexp(0, u), expit(u)),
        ("log(exp(-x) + 1)", np.logaddexp(0, -u), -expit(-u)),
        ("log1p(exp(x))", np.logaddexp(0, u), expit(u)),
        ("1/(1 + exp(-x))", expit(u), expit(u) * expit(-u)),
        ("1/(1 + e**x)", expit(-u), -expit(u) * expit(-u)),
        ("exp(x)/(1 + exp(x))", expit(u), expit(u) * expit(-u)),
        ("-log(1/(1 + exp(-x)))", np.logaddexp(0, -u), -expit(-u)),
        ("log(1 - sigmoid(x))", -np.logaddexp(0, u), -expit(u)),
        ("log(exp(x) + exp(-x))", np.logaddexp(u, -u), math.tanh(u)),
    ]
    for text, value, slope in cases:
        formula = Formula(text)
        assert_allclose(formula.value([u]), value, rtol=1e-13, atol=3e-16, err_msg=text)
        assert_allclose(formula.gradient([u]), [slope], rtol=1e-12, atol=3e-16, err_msg=text)
        assert formula.text == text


def test_logcosh_keeps_its_digits_near_the_minimum():
    assert_allclose(Formula("log(cosh(x))").value([1e-5]), 5e-11, rtol=1e-9)


def test_a_constant_cancels_before_it_is_computed():
    assert Formula("x + 0.1 + 0.2 - 0.3").value([0.0]) == 0.0


# --- the shown derivatives ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(1-x)**2 + 100*(y-x**2)**2", {"x": "-400*x*(y - x**2) - 2*(1 - x)", "y": "200*(y - x**2)"}),
        ("mean((b - (m*a + c))**2)", {"m": "mean(-2*a*(b - (m*a + c)))", "c": "mean(-2*(b - (m*a + c)))"}),
        ("mean((b - m*a)**2)/2", {"m": "mean(-a*(b - m*a))"}),
        ("sum(b - c**2)", {"c": "-8*c"}),
        ("log(cosh(x))", {"x": "tanh(x)"}),
        ("x**4 - 3*x**2 + 0.1*x", {"x": "4*x**3 - 6*x + 0.1"}),
        ("tanh(x)**2", {"x": "2*tanh(x)*(1 - tanh(x)**2)"}),
        ("1/(1+exp(-x))", {"x": "sigmoid(x)*(1 - sigmoid(x))"}),
        ("(x-1)**2*(x+1)", {"x": "(3*x + 1)*(x - 1)"}),
        ("x**y", {"x": "y*x**(y - 1)", "y": "log(x)*x**y"}),
        ("x/y", {"x": "1/y", "y": "-x/y**2"}),
        ("2/3*x", {"x": "2/3"}),
    ],
)
def test_derivatives_read_well(text, expected):
    derivatives = Formula(text, {"a": X, "b": Y} if "b" in text else None).derivatives
    assert {name: derivatives[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "w", "data"),
    [
        *((text, w, None) for text, _, w in PLAIN),
        *((text, w, DATA) for text, _, w in WITH_DATA),
        (EVERYTHING, [0.7, 0.4], None),
    ],
)
def test_shown_derivatives_read_back_are_the_gradient(text, w, data):
    formula = Formula(text, data)
    shown = [Formula(slope, data, variables=formula.names).value(w) for slope in formula.derivatives.values()]
    assert_allclose(shown, formula.gradient(w), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200*(y - x**2)", "200 (y - x^2)"),
        ("x^2*y", "x^2 y"),
        ("a/b*c", "(a/b) c"),
        ("a*b/c", "a b/c"),
        ("a/(b*c)", "a/(b c)"),
        ("a/b/c", "a/b/c"),
        ("a/b/c*d*e1", "(a/b/c) d e1"),
        ("2*3*x", "2 * 3 x"),
        ("-2*x - (-x)**2", "-2 x - (-x)^2"),
        ("a - (b - c) + -d", "a - (b - c) + (-d)"),
        ("(-a)*b*(-c)", "-a b (-c)"),
        ("-(a + b)*c", "-(a + b) c"),
        ("(a + b)**(1 - c)", "(a + b)^(1 - c)"),
        ("x**y**z", "x^(y^z)"),
        ("np.sin(2*x)**2", "sin(2 x)^2"),
    ],
)
def test_pretty(text, expected):
    assert pretty(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "sum((y - m*x)**2) + 3*m**2 + 1", "2*(sum((y - m*x)**2) + abs(m)) + m**4", "sum((y - m*x)**2 + m) + m",
        "sum(y*m) + mean((x - m)**2)", "sum((y - m*x)**2)/2",
    ],
)  # fmt: skip
def test_the_batches_of_a_sum_add_up_to_the_cost(text):
    """So that their steps go to its bottom: with a whole penalty in each batch they would go to another's."""
    total, w = Formula(text, DATA), np.array([0.7])
    kernel = total.kernel()
    all_of_one_size = np.arange(total.n_samples)[:, None]
    batches = all_of_one_size if "mean" in text else np.split(np.arange(total.n_samples), [1, 3])
    parts = [total.value_and_gradient(w, rows) for rows in batches]
    assert_allclose(sum(value for value, _ in parts), total.value(w), rtol=1e-13)
    assert_allclose(sum(gradient for _, gradient in parts), total.gradient(w), rtol=1e-13)
    for rows, (value, gradient) in zip(batches, parts, strict=True):
        told = compiled(kernel, False)(w, kernel.data, rows)
        assert_allclose(told[0], value, rtol=1e-13)
        assert_allclose(told[1], gradient, rtol=1e-13)
        estimate = total.as_mean().value(w, rows) * len(rows) / total.n_samples
        assert_allclose(value, estimate, rtol=1e-13)


# --- the law: one text, three evaluations ---------------------------------------------------------------------------

ATOMS = st.sampled_from([("x", "x"), ("y", "y"), ("3", "3.0"), ("0.5", "0.5")])


def grow(inner):
    one = st.sampled_from([
        ("sin({})", "np.sin({})"), ("tanh({})", "np.tanh({})"), ("exp(-({})^2)", "np.exp(-({})**2)"),
        ("sqrt(1 + ({})^2)", "np.sqrt(1 + ({})**2)"), ("1/(1+exp(-({})))", "expit({})"),
        ("log(1 + exp({}))", "np.logaddexp(0, {})"), ("-({})", "-({})"), ("abs({})", "abs({})"),
    ])  # fmt: skip
    two = st.sampled_from([
        ("({}) + ({})",) * 2, ("({}) - ({})",) * 2, ("({})*({})",) * 2, ("({})/(2 + sin({}))", "({})/(2 + np.sin({}))"),
        ("max({}, {})", "np.maximum({}, {})"), ("atan2({}, 2 + ({})^2)", "np.arctan2({}, 2 + ({})**2)"),
    ])  # fmt: skip
    unary = st.tuples(one, inner).map(lambda t: tuple(form.format(a) for form, a in zip(*t, strict=True)))
    binary = st.tuples(two, inner, inner).map(lambda t: tuple(f.format(a, b) for f, a, b in zip(*t, strict=True)))
    return unary | binary


FORMULAS = st.recursive(ATOMS, grow, max_leaves=8)
NUMBERS = st.floats(-3, 3).map(lambda v: round(v, 3))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(FORMULAS, NUMBERS, NUMBERS)
def test_kernel_python_and_numpy_agree(formula_text, x, y):
    text, reference = formula_text
    formula = Formula(text, variables=["x", "y"])
    value, gradient = formula.value_and_gradient([x, y])
    scope = {"np": np, "expit": expit}
    assert_allclose(value, eval(reference, scope | {"x": x, "y": y}), rtol=1e-10, atol=1e-12)
    kernel = formula.kernel()
    compiled_value, compiled_gradient = compiled(kernel)(np.array([x, y]), kernel.data, all_rows(formula))
    assert_allclose(compiled_value, value, rtol=1e-12, atol=1e-14)
    assert_allclose(compiled_gradient, gradient, rtol=1e-10, atol=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(FORMULAS, NUMBERS)
def test_kernel_python_and_numpy_agree_over_rows(formula_text, y):
    text, reference = formula_text
    formula = Formula(f"mean(({text}) + x) - sum(x)*y", {"x": X}, variables=["y"])
    value, gradient = formula.value_and_gradient([y])
    scope = {"np": np, "expit": expit, "x": X, "y": y}
    assert_allclose(value, np.mean(eval(reference, scope) + X) - X.sum() * y, rtol=1e-10, atol=1e-12)
    kernel = formula.kernel()
    compiled_value, compiled_gradient = compiled(kernel)(np.array([y]), kernel.data, all_rows(formula))
    assert_allclose(compiled_value, value, rtol=1e-12, atol=1e-13)
    assert_allclose(compiled_gradient, gradient, rtol=1e-10, atol=1e-12)


def test_kernel_text_does_not_depend_on_hashing_or_names():
    source = (
        "from descender.costs.formula import Formula\n"
        "f = Formula('mean(log(1+exp(-y*(m*x+c)))) + abs(m)*exp(c*m) + k*m', {'x': [1, 2], 'y': [2, 1]}, {'k': 2})\n"
        "print(f.kernel().source, f.derivatives)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", source], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert Formula("a*b + sin(a)").kernel().source == Formula("u*v + sin(u)").kernel().source


def test_importing_the_module_does_not_import_sympy():
    code = "import sys, descender.costs.formula; print('sympy' in sys.modules, 'scipy' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["False", "False"]
