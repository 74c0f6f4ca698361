"""Compiled walks are those in plain Python: each rule, rate and switch of the loop, on arrays and on single numbers.

A loop takes a second to compile around six weights or a formula, and three around a risk: so only what differs there
walks on one, and the quick suite compiles each rule once, on arrays or on numbers.
"""

import numpy as np
import pytest

from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.methods.advance import Options
from descender.methods.auto import textbook
from descender.methods.bounds import Bounds
from descender.methods.rates import Backtracking, Constant, Exponential, InverseTime
from descender.methods.rules import RULES, GradientDescent
from descender.methods.textbook import Textbook
from walks import START, Slide, both_ways

ROSENBROCK = Formula("(1-x)**2 + 100*(y-x**2)**2")


def small_risk():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(23, 3))
    y = (X[:, 0] + rng.normal(size=23) > 0).astype(float)
    return Risk(X, y, "log_loss", l2=0.1, l1=0.01, sample_weight=rng.uniform(0.5, 2.0, 23))


def assert_agree(plain, compiled):
    assert plain.nit == compiled.nit
    assert compiled.x == pytest.approx(plain.x, rel=1e-12, abs=1e-13)
    assert compiled.record.path == pytest.approx(plain.record.path, rel=1e-12, abs=1e-13)
    # the first and the last point are asked for twice, which a cost in Python remembers and a compiled one does not
    assert (np.abs(compiled.record["evaluations"] - plain.record["evaluations"]) <= 2).all()
    for column in ("cost", "learning_rate", "clipped", "rows_seen"):
        assert compiled.record[column] == pytest.approx(plain.record[column], rel=1e-12, nan_ok=True)
    for column in ("gradient_norm", "step_norm"):
        assert compiled.record[column] == pytest.approx(plain.record[column], rel=1e-11, abs=1e-13, nan_ok=True)


ON_ARRAYS = {
    **{name: Textbook(name, RULES[name](), Constant(0.002)) for name in RULES},
    "clipped": Textbook("gd", GradientDescent(), Constant(0.5), options=Options(clip_norm=0.05, clip_value=0.03)),
    "coordinates": Textbook("gd", GradientDescent(), Constant(0.05), options=Options(coordinates=True)),
    "exponential": Textbook("gd", GradientDescent(), Exponential(1.0, 0.9)),
}
ON_A_RISK = {
    "gd": Textbook("gd", GradientDescent(), Constant(0.002)),
    "batches": Textbook("gd", GradientDescent(), InverseTime(1.0, 0.1), batch_size=4),
    "backtracking": Textbook("gd", GradientDescent(), Backtracking(8.0)),
}


QUICK_ON_ARRAYS = {
    "gd", "adam", "adadelta", "averaging", "fista", "nesterov", "prodigy", "schedule-free", "clipped", "coordinates"
}  # fmt: skip


def cases(names, quick):
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", cases(ON_ARRAYS, QUICK_ON_ARRAYS))
def test_plain_and_compiled_walks_agree(name):
    assert_agree(*both_ways(ON_ARRAYS[name], Slide()))


@pytest.mark.parametrize("name", ON_A_RISK)
def test_plain_and_compiled_walks_agree_on_a_risk(name):
    steps = 15 if name == "backtracking" else 200  # at the bottom rounding decides how far it steps back
    assert_agree(*both_ways(ON_A_RISK[name], small_risk(), steps=steps))


def test_a_planted_fault_in_the_compiled_loop_is_seen(monkeypatch):
    cost = Slide()
    kernel = cost.kernel()
    wrong = kernel._replace(source=kernel.source.replace("1.0 + off * off", "1.0 + 1.0001 * off * off"))
    assert wrong != kernel
    monkeypatch.setattr(cost, "kernel", lambda: wrong)
    with pytest.raises(AssertionError):
        assert_agree(*both_ways(ON_ARRAYS["gd"], cost, steps=20))


def test_compiled_walk_stops_where_the_plain_one_does():
    method = Textbook("gd", GradientDescent(), Constant(0.5), options=Options(gradient_tol=1e-3))
    risk = Risk(small_risk().X, small_risk().y, "log_loss", l2=0.1)
    plain, compiled = both_ways(method, risk, steps=1000)
    assert plain.status == compiled.status == "small_gradient"
    assert plain.nit == compiled.nit
    assert float(np.linalg.norm(compiled.jac)) <= 1e-3


@pytest.mark.parametrize("scale", [1e-200, 1e180], ids=["underflow", "overflow"])
def test_norms_whose_squares_are_no_numbers(scale):
    method = Textbook("gd", GradientDescent(), Constant(0.1 / scale), options=Options(gradient_tol=1e-10 * scale))
    plain, compiled = both_ways(method, Formula(f"{scale} * (x**2 + y**2)"), steps=400)
    assert plain.status == compiled.status == "small_gradient"
    assert plain.nit == compiled.nit
    gradients = 2.0 * scale * np.hypot(*plain.record.path.T)
    for walk in (plain, compiled):
        assert walk.record["gradient_norm"][:100] == pytest.approx(gradients[:100], rel=1e-14)


def test_compiled_walk_takes_back_what_the_plain_one_does():
    method = Textbook("gd", GradientDescent(), Constant(30.0), recover=True)
    plain, compiled = both_ways(method, Formula("(x-1)**2 + 3*(y-2)**2"), steps=2000)
    for walk in (plain, compiled):
        assert np.isfinite(walk.x).all()
        assert walk.x == pytest.approx([1.0, 2.0], rel=1e-6)
        assert any("rate / 3" in note for note in walk.notes)
    assert len(plain.notes) == len(compiled.notes)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_plain_and_compiled_searches_forget_at_the_same_steps(name):
    plain, compiled = both_ways(Textbook(name, RULES[name](), Backtracking()), ROSENBROCK, steps=40)
    assert plain.nit == compiled.nit == 40
    assert compiled.record.path == pytest.approx(plain.record.path, rel=1e-9)
    assert compiled.record["learning_rate"] == pytest.approx(plain.record["learning_rate"], rel=1e-12, nan_ok=True)


ON_NUMBERS = {name: (name, 1e-3, {}) for name in RULES} | {
    words: ("gd", words, {})
    for words in (
        "step 1e-3 9", "one-cycle 1e-3 100", "warm-up 9 cosine 1e-3 90", "plateau 1e-3 0.5 2", "barzilai-borwein",
        "barzilai-borwein-short", "polyak 0", "polyak-estimated", "adaptive", "dog",
    )
}  # fmt: skip
ON_NUMBERS["bounds"] = ("adam", 0.05, {"bounds": Bounds(np.array([-1.0, -np.inf]), np.array([0.5, 0.9]))})
ON_NUMBERS["searched bounds"] = ("gd", "backtracking", ON_NUMBERS["bounds"][2])


@pytest.mark.parametrize("case", cases(ON_NUMBERS, ON_NUMBERS.keys() - QUICK_ON_ARRAYS))
def test_plain_and_compiled_formulas_agree_to_the_last_bit(case):
    name, rate, options = ON_NUMBERS[case]
    plain, compiled = both_ways(textbook(ROSENBROCK, name, rate, **options), ROSENBROCK, START, steps=60, seed=5)
    assert plain.nit == compiled.nit > 9
    assert (plain.record.path == compiled.record.path).all()
    assert (plain.x == compiled.x).all()
    assert plain.record["learning_rate"][:-1] == pytest.approx(compiled.record["learning_rate"][:-1], rel=1e-15)
    assert plain.record["gradient_norm"] == pytest.approx(compiled.record["gradient_norm"], rel=1e-14, abs=1e-300)
