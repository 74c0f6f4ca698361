"""One step written out: its numbers are those of the walk."""

import re

import numpy as np
import pytest
from scipy.sparse import csr_array

from descender.costs.formula import Formula
from descender.costs.losses import LOSSES
from descender.costs.risk import Risk
from descender.errors import CapabilityError, OptionError
from descender.explain import explain_row, explain_step, squared_difference, with_numbers
from descender.methods.auto import READINGS
from descender.methods.rules import RULES
from descender.verbs.minimize import minimize

LINE = "mean((y - (m*x + c))**2)"
DATA = {"x": np.array([0.5, 2.3, 2.9]), "y": np.array([1.4, 1.9, 3.2])}


def last_numbers(lines, word):
    """The number that ends each equation that begins with a word."""
    found, inside = {}, None
    for line in lines:
        head = re.match(rf" *{word} ?(\S*) = ", line)
        inside = head[1] if head else inside if re.match(r" +=", line) else None
        if inside is not None:
            number = line.rsplit("= ", 1)[1]
            if re.fullmatch(r"-?[\d.e+-]+", number):
                found[inside] = float(number)
    return found


@pytest.mark.parametrize("method", [*RULES, "coordinate", "auto"])
def test_the_new_values_are_those_of_the_walk(method):
    cost = Formula("(1-x)**2 + 100*(y-x**2)**2")
    rate = {} if method == "auto" else {"learning_rate": 1e-4}
    walk = minimize(cost, "x=-1.2, y=1", method, max_steps=3, **rate)
    new = last_numbers(explain_step(cost, walk), "new")
    assert [new["x"], new["y"]] == pytest.approx(walk.record.path[1], rel=1e-5)


@pytest.mark.parametrize("method", ["gd", "momentum", "adam", "auto"])
def test_later_steps_are_written_out_too(method):
    cost = Formula("(1-x)**2 + 100*(y-x**2)**2")
    rate = {} if method == "auto" else {"learning_rate": 1e-4}
    walk = minimize(cost, "x=-1.2, y=1", method, max_steps=20, **rate)
    for step in (2, 11, 20):
        lines = explain_step(cost, walk, step=step)
        assert lines[0] == f"step {step}, written out"
        new = last_numbers(lines, "new")
        assert [new["x"], new["y"]] == pytest.approx(walk.record.path[step], rel=1e-5)


def test_a_step_that_was_not_taken_is_refused():
    cost = Formula("(x - 3)**2")
    walk = minimize(cost, "x=0", "gd", learning_rate=0.1, max_steps=5)
    for step in (0, 6):
        with pytest.raises(OptionError, match="steps 1 to 5"):
            explain_step(cost, walk, step=step)


def test_a_record_that_keeps_some_steps_of_many_says_so():
    cost = Formula("log(cosh(x))")
    walk = minimize(cost, "x=10", "gd", learning_rate=0.001, max_steps=30_000)
    gone = int(np.setdiff1d(np.arange(30_000), walk.record["step"])[0])
    assert "does not hold step" in explain_step(cost, walk, step=gone + 1)[0]


@pytest.mark.parametrize("option", [{"clip_norm": 5.0}, {"clip_value": 3.0}])
def test_clipping_is_told(option):
    cost = Formula("(1-x)**2 + 100*(y-x**2)**2")
    walk = minimize(cost, "x=-1.2, y=1", "gd", learning_rate=1e-4, max_steps=3, **option)
    lines = explain_step(cost, walk)
    assert any("the gradient is clipped: its norm 232.868 becomes" in line for line in lines)
    assert last_numbers(lines, "new")["x"] == pytest.approx(walk.record.path[1, 0], rel=1e-5)


def test_a_row_has_its_prediction_error_and_share():
    cost = Formula(LINE, data=DATA)
    lines = explain_step(cost, minimize(cost, "m=1, c=0", learning_rate=0.1, max_steps=2), DATA)
    text = "\n".join(lines)
    assert "row 1 alone: y = 1.4, x = 0.5" in text or "row 1 alone: x = 0.5, y = 1.4" in text
    assert "prediction = m x + c\n               = 1 × 0.5 + 0\n               = 0.5" in text
    assert "= 1.4 - 0.5\n          = 0.9" in text
    assert last_numbers(lines, "its") == pytest.approx({"dJ/dm": -0.9, "dJ/dc": -1.8})
    assert "the mean of such numbers over 3 rows" in text


@pytest.mark.parametrize("method", READINGS)
def test_the_rows_of_a_batch_are_those_that_were_read(method):
    data = {name: np.tile(column, 20) for name, column in DATA.items()}
    cost = Formula(LINE, data=data)
    walk = minimize(cost, "m=1, c=0", method, learning_rate=0.01, max_steps=3, seed=4)
    lines = explain_step(cost, walk, data)
    value = float(walk.record["cost"][0])
    assert any(line.endswith(f"= {value:.6g}") for line in lines[:6])


@pytest.mark.parametrize("method", ["sgd", "minibatch", "saga"])
def test_the_rows_of_a_later_batch_are_those_that_were_read(method):
    data = {name: np.tile(column, 15) for name, column in DATA.items()}
    cost = Formula(LINE, data=data)
    walk = minimize(cost, "m=1, c=0", method, learning_rate=0.01, max_steps=100, seed=4)
    stepped = np.isfinite(walk.record["cost"])
    costs = dict(zip(walk.record["step"][stepped].tolist(), walk.record["cost"][stepped].tolist(), strict=True))
    for step in (2, 46, 97):
        lines = explain_step(cost, walk, data, step=step)
        assert any(line.endswith(f"= {costs[step - 1]:.6g}") for line in lines[:6])


def test_no_step_has_nothing_to_explain():
    cost = Formula("(x - 3)**2")
    assert "no step was taken" in explain_step(cost, minimize(cost, "x=3"))[0]


def test_numbers_are_put_in_for_names_only():
    assert with_numbers("exp(x)*x + xx", {"x": -2.0}) == "exp((-2)) × (-2) + xx"
    assert with_numbers("3*a^2-b", {"a": 2.0, "b": 1.0}) == "3 × 2^2 - 1"


def test_squared_differences_are_recognised():
    assert squared_difference("sum((m*x - y)^2)", {"x", "y"}) == ("y", "m * x")
    assert squared_difference("mean(abs(y - m*x))", {"x", "y"}) is None


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "softmax"])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_one_step_on_a_row_is_the_gradient_step(loss, sparse, l2):
    random = np.random.default_rng(0)
    X, w = random.normal(size=(4, 3)), random.normal(size=4)
    risk = Risk(csr_array(X) if sparse else X, np.array([0.0, 1, 1, 0]), loss, l2=l2, features=["a", "b", "c"])
    lines = explain_row(risk, w, 2, 0.1)
    ends = [float(line.rsplit("= ", 1)[1]) for line in lines if re.match(r" {8}= [-\d.e]+$", line)]
    expected = w - 0.1 * risk.gradient(w, np.array([2]))
    assert ends == pytest.approx([risk.scores(w, X[[2]])[0], *expected], rel=1e-5)


def test_many_columns_show_the_largest():
    risk = Risk(np.arange(40.0).reshape(2, 20), np.array([0.0, 1.0]))
    lines = explain_row(risk, np.ones(21), 1, 0.01)
    assert "+ 14 more columns + intercept" in lines[1]
    assert sum("new weight" in line for line in lines) == 6


def test_what_cannot_be_explained():
    with pytest.raises(CapabilityError, match="softmax"):
        explain_row(Risk([[1.0], [2.0]], [0, 1], "softmax"), np.zeros(4), 0, 0.1)
    with pytest.raises(OptionError, match="row=2: expected 0 to 1"):
        explain_row(Risk([[1.0], [2.0]], [0, 1]), np.zeros(2), 2, 0.1)
