"""The automatic rate of walks by batches on formulas and functions: one over the curvature of a row, measured."""

import numpy as np
import pytest

from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.data.examples import example
from descender.export import agrees, python_text
from descender.methods.auto import textbook
from descender.verbs.minimize import minimize

pytestmark = pytest.mark.usefixtures("uncompiled")

HEIGHTS = {name: example("heights").table()[name].to_numpy() for name in ("height", "weight")}
ERRORS = "(m*height + c - weight)**2"
STEEPEST = 2.0 * float((HEIGHTS["height"] ** 2 + 1.0).max())
METHODS = ["sgd", "minibatch", "momentum", "nesterov"]


def line(rows):
    return lambda w, i: float(np.mean((w[0] * rows["height"][i] + w[1] - rows["weight"][i]) ** 2))


def slope(rows):
    def gradient(w, i):
        errors = w[0] * rows["height"][i] + w[1] - rows["weight"][i]
        return np.array([np.mean(2 * errors * rows["height"][i]), np.mean(2 * errors)])

    return gradient


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["mean", "sum", "function"])
def test_a_line_through_raw_columns_is_not_walked_off(method, kind):
    """Heights in centimetres curve the cost 57,000-fold: no rate for all costs would do."""
    options = {"batch_size": 4} if method in ("momentum", "nesterov") else {}
    if kind == "function":
        options |= {"gradient": slope(HEIGHTS), "n_samples": 30}
    cost = line(HEIGHTS) if kind == "function" else Formula(f"{kind}({ERRORS})", HEIGHTS)
    walk = minimize(cost, [0.0, 0.0] if kind == "function" else "m=0, c=0", method, max_epochs=40, **options)
    full = walk.record["full_cost"]
    full = full[np.isfinite(full)]
    assert full.max() <= full[0]
    assert full[-1] < 0.05 * full[0]
    assert not walk.notes
    assert not walk.findings


@pytest.mark.parametrize(("method", "share"), [("sgd", 1.0), ("momentum", 0.1), ("nesterov", 0.1)])
@pytest.mark.parametrize("size", [1, 7])
def test_the_rate_is_that_of_the_same_risk(method, share, size):
    X, y = HEIGHTS["height"][:, None], HEIGHTS["weight"]
    mean = textbook(Formula(f"mean(0.5*{ERRORS})", HEIGHTS), method, batch_size=size).rate.rate
    assert mean == pytest.approx(share * 2.0 / STEEPEST, rel=1e-5)
    assert mean == pytest.approx(textbook(Risk(X, y), method, batch_size=size).rate.rate, rel=1e-5)
    of_sum = textbook(Formula(f"sum(0.5*{ERRORS})", HEIGHTS), method, batch_size=size).rate.rate
    assert of_sum == pytest.approx(mean / size, rel=1e-5)
    assert of_sum == pytest.approx(textbook(Risk(X, y, reduction="sum"), method, batch_size=size).rate.rate, rel=1e-5)


def test_a_plateau_does_not_make_it_endless():
    """Where every sigmoid is flat there is next to no curvature, and its inverse would leap over the minimum."""
    x = np.linspace(-2.0, 2.0, 40)
    cost = Formula("mean(tanh(w*x - 1)**2)", {"x": x[x > 0.9]})
    start = np.array([12.0])
    rate = textbook(cost, "sgd", start=start).rate.rate
    value, gradient = cost.value_and_gradient(start)
    assert np.isfinite(rate)
    assert cost.value(start - rate * gradient) <= value


@pytest.mark.parametrize("text", ["mean(w*x)", "mean(log(w) + x)"])
def test_no_curvature_to_measure_leaves_the_rate_that_one_begins_with(text):
    assert textbook(Formula(text, {"x": np.arange(5.0)}), "sgd").rate.rate == 0.01


@pytest.mark.parametrize("method", ["sgd", "minibatch"])
def test_a_script_takes_the_rate_that_was_measured(method):
    cost = Formula(f"mean({ERRORS})", HEIGHTS)
    walk = minimize(cost, "m=0.2, c=1", method, max_steps=90)
    text = python_text(cost, walk, data=HEIGHTS)
    assert f"rate = {float(walk.record['learning_rate'][0])!r}" in text
    assert agrees(text, walk, HEIGHTS)


def test_a_rate_of_its_own_is_found_at_every_start():
    cost = Formula("mean((w**2 - x)**2)", {"x": np.arange(1.0, 6.0)})
    near, far = (textbook(cost, "sgd", start=np.array([w])).rate.rate for w in (1.0, 30.0))
    assert far < 0.01 * near
    walk = minimize(cost, "w=30", "sgd", max_epochs=60)
    assert walk.fun < 1e-3 * cost.value(np.array([30.0]))
    text = python_text(cost, walk, data={"x": np.arange(1.0, 6.0)})
    assert f"rate = {float(walk.record['learning_rate'][0])!r}" in text
    assert walk.record["learning_rate"][0] == far
