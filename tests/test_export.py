"""A script of plain NumPy ends where the walk did."""

import runpy
import subprocess
import sys

import numpy as np
import pytest

from descender.costs.formula import Formula
from descender.costs.function import Function
from descender.errors import CapabilityError
from descender.export import agrees, python_text, write_python
from descender.methods.rules import RULES
from descender.verbs.minimize import minimize

pytestmark = pytest.mark.usefixtures("uncompiled")

ROSENBROCK, START = "(1-x)**2 + 100*(y-x**2)**2", "x=-1.2, y=1"
LINE = "mean((y - (m*x + c))**2)"
random = np.random.default_rng(0)
FEW = {"x": np.array([0.5, 2.3, 2.9]), "y": np.array([1.4, 1.9, 3.2])}
MANY = {"x": random.normal(size=500), "y": random.normal(size=500)}
EXPORTED = ("learning_rate", "batch_size", "clip_norm", "clip_value", "beta")


def ends(folder, formula, start, data=None, constants=None, method="auto", **options):
    """The walk, and what the script that was written for it prints."""
    cost = Formula(formula, data=data, constants=constants)
    walk = minimize(cost, start, method, **options)
    kept = {name: value for name, value in options.items() if name in EXPORTED}
    write_python(cost, walk, folder / "walk.py", data=data, constants=constants, **kept)
    command = [sys.executable, "-W", "error", str(folder / "walk.py")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr
    *point, cost_line = result.stdout.splitlines()
    assert [line.split(" = ")[0] for line in point] == list(cost.names)
    return walk, np.array([float(line.split(" = ")[1]) for line in point]), float(cost_line.split(" = ")[1])


SOME = ("gd", "nesterov", "adagrad", "adam", "coordinate")


@pytest.mark.parametrize("method", SOME)
@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 5e-4},
        {"learning_rate": "inverse-time 5e-4 0.01", "clip_norm": 5.0},
        {"learning_rate": "exponential 5e-4 0.99", "clip_value": 3.0},
        {},
    ],
    ids=["constant", "inverse-time", "exponential", "backtracking"],
)
def test_textbook_methods(tmp_path, method, options):
    walk, x, value = ends(tmp_path, ROSENBROCK, START, method=method, max_steps=200, **options)
    assert x == pytest.approx(walk.x, rel=1e-9)
    assert value == pytest.approx(walk.fun, rel=1e-6)


RATES = {
    "step 1e-3 50", "cosine 1e-3 200 1e-5", "warm-up 20 one-cycle 1e-3 200", "plateau 1e-3 0.5 3", "backtracking",
    "inverse-scaling 1e-3 50 9",
    "barzilai-borwein", "barzilai-borwein-short", "polyak 0", "polyak-estimated", "adaptive", "dog",
}  # fmt: skip
BATCHED = {name: {"data": MANY, "batch_size": 20, "seed": 2} for name in ("noise", "schedule-free", "lion")}
CASES = [(name, 5e-4, {}) for name in RULES] + [("gd", rate, {}) for rate in sorted(RATES)]
CASES += [(name, 0.01, options) for name, options in BATCHED.items()] + [("polyak-ruppert", "backtracking", {})]
CASES += [("gd", "plateau 0.1 0.5 1", BATCHED["lion"]), ("nadam", "backtracking", {})]
CASES += [(name, "backtracking", {}) for name in ("momentum", "adam", "lion")]  # which lead uphill now and then


@pytest.mark.parametrize(("method", "rate", "options"), CASES)
def test_every_rule_and_rate_is_replayed(method, rate, options):
    """The script is run before it is handed out, and refused where it does not agree."""
    data = options.get("data")
    cost = Formula(LINE if data else ROSENBROCK, data=data)
    walk = minimize(cost, "m=1, c=0" if data else START, method, learning_rate=rate, max_steps=60, **{
        key: value for key, value in options.items() if key != "data"
    })  # fmt: skip
    text = python_text(cost, walk, learning_rate=rate, data=data, batch_size=options.get("batch_size"))
    assert agrees(text, walk, data or {})
    assert walk.nit > 5
    assert len(text.splitlines()) <= 65


@pytest.mark.parametrize(
    ("formula", "start"),
    [
        (ROSENBROCK, START),
        ("x**4 - 2*x**2 + y**2", "x=0, y=1"),
        ("log(cosh(x))", "x=1000"),
        ("log(1 + exp(x)) - 0.3*x", "x=-800"),
        ("sigmoid(x)*x + relu(y - 1)**2 + max(x, y)**2", "x=3, y=4"),
        ("2^(-x) + x^2", "x=1"),
        ("exp(x)", "x=0"),
        ("-x**2", "x=1"),
        ("abs(x) + 3*x**2 + pi*cos(x)", "x=3"),
    ],
)
def test_lbfgs_replays_its_step_lengths(tmp_path, formula, start):
    walk, x, value = ends(tmp_path, formula, start)
    assert walk.method == "L-BFGS"
    assert x == pytest.approx(walk.x, rel=1e-9, abs=1e-9)
    assert value == pytest.approx(walk.fun, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("data", [FEW, MANY], ids=["embedded", "beside"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"method": "sgd", "learning_rate": 0.01},
        {"method": "minibatch", "learning_rate": "inverse-time 0.1 0.1", "batch_size": 7, "seed": 3},
        {"method": "momentum", "learning_rate": 0.02, "beta": 0.5, "max_steps": 50},
    ],
    ids=["auto", "sgd", "minibatch", "momentum"],
)
def test_formulas_over_data(tmp_path, data, options):
    walk, x, value = ends(tmp_path, LINE, "m=1, c=0", data=data, **options)
    assert x == pytest.approx(walk.x, rel=1e-9)
    assert value == pytest.approx(walk.fun, rel=1e-9)
    assert (tmp_path / "walk.npz").exists() == (data is MANY)


def test_constants_and_the_nan_of_the_tutorial(tmp_path):
    walk, x, _ = ends(tmp_path, "k*x**2 + a*x", "x=1", constants={"k": -2.0, "a": -0.5}, learning_rate=0.1, max_steps=9)
    assert x == pytest.approx(walk.x, rel=1e-9)
    walk, x, _ = ends(tmp_path, "x**2", "x=1", learning_rate=10.0, max_steps=2000, on_divergence="continue")
    assert np.isnan(walk.x).all()
    assert np.isnan(x).all()


def test_a_diverging_walk_ends_at_its_last_point(tmp_path):
    walk, x, _ = ends(tmp_path, ROSENBROCK, START, method="gd", learning_rate=0.01)
    assert walk.status == "not_finite"
    assert x == pytest.approx(walk.x, rel=1e-9)


def test_the_script_is_short_and_says_whose_it_is():
    cost = Formula(ROSENBROCK)
    walk = minimize(cost, START, "momentum", learning_rate=1e-3, max_steps=20)
    text = python_text(cost, walk, learning_rate=1e-3)
    assert text.startswith('"""Written by descender: 20 steps of momentum on (1-x)**2 + 100*(y-x**2)**2."""')
    assert len(text.splitlines()) <= 30
    assert "v = 0.9 * velocity + g" in text


def test_a_wrong_script_is_caught():
    cost = Formula(ROSENBROCK)
    walk = minimize(cost, START, "gd", learning_rate=1e-3, max_steps=20)
    text = python_text(cost, walk, learning_rate=1e-3)
    assert agrees(text, walk, {})
    assert not agrees(text.replace("0.001", "0.0010001"), walk, {})
    assert not agrees(text.replace("g = gradient(w)", "g = nonsense(w)"), walk, {})


def test_what_cannot_be_exported():
    function = Function(lambda w: float(w @ w), np.array([1.0]))
    walk = minimize(function, [1.0])
    with pytest.raises(CapabilityError, match="a typed formula"):
        python_text(function, walk)
    cost = Formula(LINE, data=FEW)
    with pytest.raises(CapabilityError, match="needs the columns"):
        python_text(cost, minimize(cost, "m=1, c=0"))
    cost = Formula("x**2")
    with pytest.raises(CapabilityError, match="cannot be replayed"):
        python_text(cost, minimize(cost, "x=1", "gd", learning_rate=0.1, max_steps=9), learning_rate=0.2)


def test_a_script_leaves_no_file_open(tmp_path, monkeypatch):
    ends(tmp_path, LINE, "m=1, c=0", MANY, method="gd", learning_rate=0.01, max_steps=3)
    opened, load = [], np.load
    monkeypatch.setattr(np, "load", lambda path: opened.append(load(path)) or opened[-1])
    runpy.run_path(str(tmp_path / "walk.py"))
    assert [file.fid for file in opened] == [None]
