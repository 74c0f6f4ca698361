"""Typed formulas as they are read: names, facts and rows, and the texts and data that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from descender.costs.formula import Formula
from descender.errors import DataError, FormulaError, InputError, ShapeError

X = np.array([-1.0, 0.5, 2.0, 3.0])
Y = np.array([0.3, 1.0, -0.7, 2.5])
DATA = {"x": X, "y": Y}


def test_names_in_the_order_of_the_text_or_as_given():
    assert Formula("b + a*b").names == ("b", "a")
    assert Formula("b + a*b", variables=["a", "b"]).gradient([2.0, 5.0]).tolist() == [5.0, 3.0]
    assert Formula("x", variables="x, y").gradient([1.0, 1.0]).tolist() == [1.0, 0.0]
    assert Formula("k*x + e", constants={"k": 3, "e": 1}).value([2.0]) == 7.0
    assert Formula("pi*x", variables=["pi", "x"]).value([2.0, 3.0]) == 6.0
    assert Formula("mean(e*m)", {"e": [1.0, 3.0]}).value([2.0]) == 4.0
    assert Formula("max*x + max(x, 1)", constants={"max": 2}).value([3.0]) == 9.0


def test_facts():
    assert Formula("x**2").smooth
    assert not Formula("abs(x)").smooth
    assert not Formula("mean(max(0, 1 - m*x))", DATA).smooth
    assert Formula("x**2").n_samples is None
    assert not Formula("x**2").convex


@pytest.mark.parametrize(
    ("text", "splits"),
    [
        ("mean((y - m*x)**2)", True),
        ("3*mean((y - m*x)**2) + (sum(m*y) + m**2)/2", True),
        ("m*mean(x)", True),
        ("sqrt(mean((y - m*x)**2))", False),
        ("mean(m*x)**2", False),
        ("mean(m*x)*mean(y)", False),
        ("m**2", False),
    ],
)
def test_splits(text, splits):
    assert Formula(text, DATA).splits is splits


def test_rows_are_the_mean_or_the_sum_of_those_rows():
    rows = np.array([3, 1])
    mean, total = Formula("mean((y - m*x)**2) + m**2", DATA), Formula("sum((y - m*x)**2 + m)", DATA)
    residuals = (Y - 0.4 * X)[rows]
    assert_allclose(mean.value([0.4], rows), np.mean(residuals**2) + 0.16)
    assert_allclose(total.value([0.4], rows), np.sum(residuals**2) + 0.8)
    assert_allclose(total.gradient([0.4], rows), [np.sum(-2 * X[rows] * residuals) + 2])


def test_whole_numbers_and_lists_are_columns():
    assert Formula("mean((y - m)**2)", {"y": [1, 2, 3]}).gradient([2])[0] == 0.0
    assert Formula("mean(m*y)", {"y": np.array([1, True, 2.5], dtype=object)}).value([2.0]) == 3.0


def test_names_are_compared_as_python_compares_them():
    micro, mu = "\u00b5", "\u03bc"
    assert Formula(f"{micro}**2", variables=[micro]).names == (mu,)
    assert Formula(f"{mu}*x", constants={micro: 3}).value([2.0]) == 6.0
    assert Formula(f"mean({mu}*x)", {micro: [1, 3], 5: ["not", "a name"], "": None}).value([2.0]) == 4.0


def test_w_of_the_wrong_length():
    with pytest.raises(ShapeError, match=r"w has shape \(3,\), expected \(2,\) for x, y"):
        Formula("x*y").value([1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match=r"expected \(2,\)"):
        Formula("x*y").hessian(1.0)


# --- what is refused --------------------------------------------------------------------------------------------------

REFUSED = [
    ("", "the formula is empty"), ("  \n", "the formula is empty"), ("3 + pi", "has no variable"),
    ("x +", "ends too early"), ("(x", "never closed"), ("x)", "closes nothing"), ("2x", "2*x, not 2x"),
    ("2 x", "2*x, not 2x"), ("x y", "cannot be read from here"), ("J = x**2", "right-hand side: x**2"),
    ("x == 2", "a comparison has no place"), ("0 < x < 1", "a penalty"), ("lambda*x", "lambda is a reserved word"),
    ("lambda: x", "lambda_"), ("x if x else y", "conditions"), ("[y for y in x]", "reserved word"),
    ("'x'", "unexpected"), ("x[0]", "an index"), ("(y := 2)*x", "an assignment"), ("{x}", "no place"),
    ("x, y", "a comma"), ("~x", "no place"), ("x % 2", "this operator"), ("x // 2", "this operator"),
    ("2j*x", "2j is not a real number"), ("...", "not a real"), ("sin(x, y)", "sin takes one argument, not 2"),
    ("atan2(x)", "atan2 takes two arguments, not 1"), ("max(x)", "max takes two arguments"),
    ("sin(x=2)", "plain arguments"), ("sin(*x)", "plain arguments"), ("simgoid(x)", "did you mean sigmoid?"),
    ("np.expm2(x)", "did you mean expm1?"), ("floor(x)", "slope zero"), ("x(y - 1)", "write x*(...)"),
    ("sin + x", "sin is a function"), ("x.real", "no attributes"), ("x.__class__", "no attributes"),
    ("__import__('os')", "unexpected character"), ("__import__(os)", "unknown function"),
    ("eval(x)", "unknown function eval"), ("os.system(x)", "unknown function os.system"),
    ("x # y", "unexpected character"), ("x;y", "cannot be read"), ("x\\\n", "unexpected character"),
    ("a\0b", "unexpected character"), ("x\ud800", "unexpected"), ("9**9**9*x", "exponent 3.8742e+08 is too large"),
    ("9**999 + x", "too large or too small"), ("x**1001", "too large"),
    ("(9**300*x)**1000", "too large or too small"), ("1e400*x", "too large"), ("1" * 5000 + "*x", "too many digits"),
    ("exp(exp(exp(exp(9))))*x", "too large"), ("exp(1e300*log(9)) + x", "not a finite"), ("x/0", "not a finite real"),
    ("x/(y - y)", "not a finite"), ("sqrt(-1)*x", "not a finite real"), ("log(-2) + x", "not a finite real"),
    ("sqrt(-x**2)", "not a real number"), ("(-2)**x", "only a positive number"), ("0**x", "only a positive number"),
    ("mean(x)", "no column of data inside"), ("x" * 10_001, "10,001 characters"),
    ("+".join(["x"] * 1500), "more than 2,000"), ("(" * 300 + "x" + ")" * 300, "nested too deeply"),
    ("-" * 5000 + "x", "nested too deeply"), ("sin(" * 60 + "x" + ")" * 60, "more than 50 deep"),
    ("print(x)", "unknown function"), ("x or y", "reserved word"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), REFUSED, ids=[ascii(row[0][:20]) for row in REFUSED])
def test_refused_texts_say_why(text, expected):
    with pytest.raises(FormulaError) as caught:
        Formula(text)
    message = str(caught.value)
    assert expected in message
    assert len(message) < 700
    message.encode()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from([*"xyθ012.9+-*/^()(), =<[]{}:'#@%!&|~_;\\\n", "**", "sin(", "exp(", "log(", "1e", "mean("])
    )
)
def test_any_text_is_a_formula_or_a_formula_error(pieces):
    text = "".join(pieces)
    try:
        formula = Formula(text, {"θ": [1.0, 2.0]})
    except FormulaError:
        return
    value, gradient = formula.value_and_gradient(np.full(formula.n_parameters, 0.5))
    assert isinstance(value, float)
    assert gradient.dtype == np.float64


def test_the_caret_stands_under_the_place():
    with pytest.raises(FormulaError) as caught:
        Formula("θ^2 + (y^3 - simgoid(x))^2")
    shown, carets = str(caught.value).splitlines()[1:3]
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "simgoid"
    with pytest.raises(FormulaError) as caught:
        Formula("x + " * 100 + "foo(x)")
    shown, carets = str(caught.value).splitlines()[1:3]
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "foo"


def test_mathematicians_signs_are_read():
    assert Formula("x\u00d7y \u2212 x\u00b72").value([3.0, 5.0]) == 9.0


def test_long_formulas_are_flat_not_deep():
    assert Formula("+".join(["x"] * 900)).gradient([1.0])[0] == 900.0
    assert Formula("*".join(f"x{i}" for i in range(60))).gradient(np.full(60, 2.0))[0] == 2.0**59


BAD_DATA = {
    "x": [0, 1, 2], "short": [1, 2], "words": ["a", "b", "c"], "holes": [1, float("nan"), 2], "none": [1, 2, None],
    "table": [[1], [2], [3]], "arr delay": [1, 2, 3], "nothing": [], "complex": [1, 2j, 3],
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "options", "error", "expected"),
    [
        ("(y - m*x)**2", {}, FormulaError, "x is a column of data, with many values"),
        ("m + x", {}, FormulaError, "wrap what uses x in mean(...) or sum(...)"),
        ("mean(sum(x)*m)", {}, FormulaError, "sum inside mean"),
        ("mean(m)", {}, FormulaError, "columns: x, short"),
        ("mean(m*arr delay)", {}, FormulaError, "the column 'arr delay' is not a name"),
        ("mean(m*arr_delay)", {}, FormulaError, "the column 'arr delay' is not a name"),
        ("mean(m*shart)", {"variables": ["m"]}, FormulaError, "did you mean short?"),
        ("mean(x)", {}, FormulaError, "has no variable"),
        ("mean(m*words)", {}, DataError, "the column words has a in row 0"),
        ("mean(m*holes)", {}, DataError, "the column holes has nan in row 1"),
        ("mean(m*none)", {}, DataError, "the column none has None in row 2"),
        ("mean(m*complex)", {}, DataError, "the column complex has (1+0j) in row 0"),
        ("mean(m*nothing)", {}, DataError, "the column nothing has no rows"),
        ("mean(m*table)", {}, ShapeError, "the column table has shape (3, 1)"),
        ("mean(x*m*short)", {}, ShapeError, "the column short has 2 rows, but x has 3"),
        ("mean(m*x)", {"constants": {"x": 1}}, FormulaError, "x is given as a constant and as a column"),
        ("mean(m*x)", {"variables": ["m", "x"]}, FormulaError, "x is given as a variable and as a column"),
        ("mean(m*x)", {"variables": ["m", "m"]}, FormulaError, "variables names m twice"),
        ("k*m", {"constants": {"k": float("inf")}}, FormulaError, "the constant k is inf"),
        ("k*m", {"constants": {"k": "three"}}, FormulaError, "the constant k is 'three'"),
        ("k*m", {"constants": {"a b": 1}}, FormulaError, "'a b' cannot be a name"),
    ],
)
def test_wrong_data_and_names(text, options, error, expected):
    with pytest.raises(error) as caught:
        Formula(text, BAD_DATA, **options)
    assert expected in str(caught.value)
    assert isinstance(caught.value, InputError)


def test_a_formula_is_a_text():
    with pytest.raises(FormulaError, match="expected a text"):
        Formula(3)


def test_unused_columns_may_be_anything():
    assert Formula("mean(m*x)", BAD_DATA).value([2.0]) == 2.0
