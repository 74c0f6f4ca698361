"""Methods raced: what is counted, who is called the winner, what is told of those that fail, and bad input."""

import json

import numpy as np
import pytest

from descender import compare, minimize
from descender.costs.formula import Formula
from descender.costs.function import Function
from descender.costs.risk import Risk
from descender.descent import descend
from descender.errors import CapabilityError, OptionError, StartError, TargetError
from descender.methods.auto import textbook
from descender.pictures.race import HIGHEST, describe_gaps, draw_gaps
from descender.record import Record
from descender.verbs import compare as module
from descender.verbs.compare import Comparison, Racer
from descender.verbs.racing import Curve, read_entry, work_of
from descender.verbs.ranking import LEVELS, answer, level_text
from descender.walk import Stop, Walk

ROSENBROCK, START = "(1-x)**2 + 100*(y-x**2)**2", "x=-1.2 y=1"


def small_risk(n=120, d=4, seed=0, **options):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    y = (X @ rng.normal(size=d) + rng.logistic(size=n) > 0).astype(float)
    return Risk(X, y, "log_loss", **{"l2": 0.02, **options})


LINE = "mean((y - (m*x + c))**2)"


def line(n=60):
    x = np.random.default_rng(1).normal(size=n)
    return Formula(LINE, {"x": x, "y": 2 * x + 1 + 0.1 * np.random.default_rng(2).normal(size=n)})


# --- what is counted -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sgd", "minibatch", "saga", "svrg"])
@pytest.mark.parametrize("steps", [1, 59, 120, 500])
@pytest.mark.parametrize("make", [small_risk, line])
def test_work_is_the_rows_that_the_record_counts(name, steps, make):
    cost = make()
    method = textbook(cost, name, 1e-3, tol=1e-300)
    walk = descend(cost, np.zeros(cost.n_parameters), method, Stop(max_steps=steps))
    assert work_of(cost, method, steps) == walk.record["rows_seen"][-1]


def test_work_of_whole_readings_is_evaluations_times_rows():
    risk = small_risk()
    race = compare(risk, methods=["auto", "gd", "nesterov"], max_epochs=200)
    for racer in race.racers:
        assert (np.diff(racer.work) >= 0).all()
        assert racer.work[0] == 0
        assert racer.gap[0] == pytest.approx(1.0)
    gd = race["gd"]
    assert (np.diff(gd.work) % risk.n_samples == 0).all()
    assert (np.diff(gd.work) >= risk.n_samples).all()
    assert gd.work[-1] <= 200 * risk.n_samples


def test_evaluations_are_those_that_the_function_saw():
    seen = []

    def fun(w):
        seen.append(w)
        return float((w[0] - 1) ** 4 + (w[0] - w[1]) ** 2)

    race = compare(fun, [3.0, -1.0], ["gd"], to=1e-4, gradient=lambda w: minimum_slope(w))
    racer = race["gd"]
    assert race.unit == "evaluations"
    assert racer.reached
    assert racer.work[-1] <= len(seen)


def minimum_slope(w):
    return np.array([4 * (w[0] - 1) ** 3 + 2 * (w[0] - w[1]), -2 * (w[0] - w[1])])


def test_prices_are_where_the_curve_first_comes_so_low():
    race = compare(small_risk(), methods=["sgd", "saga"], max_epochs=60)
    for racer in race.racers:
        for level in LEVELS:
            low = np.flatnonzero(racer.gap <= level)
            assert racer.prices[level] == (racer.work[low[0]] if len(low) else None)
        assert racer.reached == (racer.prices[1e-6] is not None)
        known = [price for price in racer.prices.values() if price is not None]
        assert known == sorted(known)


def test_the_gap_is_measured_from_the_certified_bottom():
    risk = small_risk()
    race = compare(risk, methods=["saga"], max_epochs=100)
    lowest = minimize(risk, tol=1e-13).fun
    assert race.lowest == pytest.approx(lowest, rel=1e-12)
    assert race.reference.certificate.rigorous
    assert race.first == risk.value(np.zeros(5))
    assert race["saga"].final_gap <= 1e-6
    walk = race["saga"].walk
    assert (risk.value(walk.x) - lowest) / (race.first - lowest) == pytest.approx(race["saga"].final_gap, rel=1e-6)


def test_the_budget_is_kept_and_more_of_it_helps():
    risk = small_risk()
    short, long = (compare(risk, methods=["gd", "sgd", "svrg"], max_epochs=e) for e in (3, 12))
    for a, b in zip(short.racers, long.racers, strict=True):
        assert a.work[-1] <= 3 * risk.n_samples
        assert b.work[-1] <= 12 * risk.n_samples
        assert a.name == "sgd" or b.left_after(b.work[-1]) <= a.left_after(a.work[-1])


def test_the_same_seed_gives_the_same_race():
    first, again, other = (compare(small_risk(), methods=["sgd"], max_epochs=5, seed=s)["sgd"].gap for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


# --- what is raced -------------------------------------------------------------------------------------------------


def test_a_formula_of_two_variables():
    race = compare(ROSENBROCK, START)
    assert race.reached
    assert race["auto"].reached
    assert race["auto"].work[-1] < 100
    assert race.unit == "evaluations"
    assert len(race.racers) == 7
    assert race.summary.endswith(("; no other reached it", "times as much"))
    assert "auto (L-BFGS)" in race.summary


def test_a_formula_over_rows_and_a_function_over_rows():
    race = compare(line(), "m=0 c=0", max_epochs=20)
    assert {racer.name for racer in race.racers} >= {"auto", "gd", "sgd", "saga", "svrg"}
    assert race["saga"].prices[1e-2] < race["gd"].prices[1e-2]
    x = np.linspace(-1, 1, 40)

    def fun(w, rows):
        r = 2 * x[rows] - w[0] * x[rows] - w[1]
        return float(np.mean(r**2)), np.array([-2 * np.mean(r * x[rows]), -2 * np.mean(r)])

    called = compare(fun, [0.0, 1.0], ["sgd", "svrg"], gradient=True, n_samples=40, max_epochs=10)
    assert called["svrg"].prices[1e-1] is not None


def test_a_table_is_the_cost_that_fit_descends():
    from descender import fit

    race = compare("example:breast_cancer", methods=["auto"], max_epochs=20)
    assert race.lowest == pytest.approx(fit("example:breast_cancer", l2="1/n", tol=1e-10).walk.fun, rel=1e-9)
    own = compare({"a": [0.0, 1.0, 2.0, 4.0], "b": [1.0, 3.0, 5.0, 9.5]}, target="b", methods=["gd"], max_epochs=5)
    assert own.n_samples == 4


def test_specifications_set_rates_and_options():
    race = compare(line(), "m=0 c=0", ["momentum learning_rate=0.01 beta=0.5", "gd learning_rate=0.01"], max_epochs=30)
    slow, slower = race.racers
    assert slow.walk.record["learning_rate"][0] == 0.01
    assert slow.final_gap < slower.final_gap
    sized = compare(small_risk(), methods=["saga batch_size=4 learning_rate=0.05"], max_epochs=2).racers[0]
    assert np.diff(sized.walk.record["rows_seen"]).max() % 4 == 0


# --- what goes wrong -----------------------------------------------------------------------------------------------


def test_a_method_that_diverges_is_told():
    race = compare(ROSENBROCK, START, ["auto", "gd learning_rate=0.01"])
    wild = race["gd learning_rate=0.01"]
    assert not wild.reached
    assert wild.finding.code == "D101"
    assert "diverged" in wild.trouble
    assert "learning rate too high" in wild.trouble
    assert any("gd learning_rate=0.01" in line for line in race.answers if line.startswith("not to"))
    drawn = draw_gaps(describe_gaps([(r.name, r.work, r.gap, r.reached) for r in race.racers]))
    assert any("left the picture" in text.get_text() for text in drawn.texts)


def test_noise_that_does_not_fade_is_called_a_stall():
    race = compare(small_risk(), methods=["sgd learning_rate=0.3", "saga"], max_epochs=100)
    assert race["sgd learning_rate=0.3"].trouble.startswith("stalls")
    assert race["saga"].trouble == ""
    assert race["saga"].reached


def test_a_lower_minimum_is_noted():
    race = compare("x**4 - 2*x**2 + 0.3*x", "x=1.5", ["auto", "gd learning_rate=0.2"])
    assert race["gd learning_rate=0.2"].walk.fun < race.reference.fun
    assert any("ended lower than auto" in note for note in race.notes)
    assert race["gd learning_rate=0.2"].final_gap == pytest.approx(0.0, abs=1e-6)
    assert race["auto"].final_gap > 0.05


def test_what_does_not_suit_is_left_out_of_a_default_race_and_refused_by_name(monkeypatch):
    from descender.methods import variance_reduced

    monkeypatch.setattr(variance_reduced, "TABLE_NUMBERS", 10)
    race = compare(line(), "m=0 c=0", max_epochs=3)
    assert "saga" not in [racer.name for racer in race.racers]
    assert any(line.startswith("saga:") and "svrg" in line for line in race.left_out)
    with pytest.raises(CapabilityError, match="svrg"):
        compare(line(), "m=0 c=0", ["saga"], max_epochs=3)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: compare(ROSENBROCK, START, ["lbfg"]), OptionError, "did you mean lbfgs"),
        (lambda: compare(ROSENBROCK, START, ["gd rate"]), OptionError, "NAME=VALUE"),
        (lambda: compare(ROSENBROCK, START, ["gd learning_rate=fast"]), OptionError, "neither a number nor"),
        (lambda: compare(ROSENBROCK, START, ["momentum beta=high"]), OptionError, "is no number"),
        (lambda: compare(ROSENBROCK, START, ["gd beta=0.9"]), OptionError, "no option 'beta'"),
        (lambda: compare(ROSENBROCK, START, ["gd", "gd"]), OptionError, "given twice"),
        (lambda: compare(ROSENBROCK, START, []), OptionError, "none to race"),
        (lambda: compare(ROSENBROCK, START, ["auto beta=0.9"]), OptionError, "auto chooses for itself"),
        (lambda: compare(ROSENBROCK, START, ["sgd"]), CapabilityError, "this cost has none"),
        (lambda: compare(ROSENBROCK, START, to=2.0), OptionError, "to=2"),
        (lambda: compare(ROSENBROCK, START, to_cost=1e9), OptionError, "not below the cost at the start"),
        (lambda: compare(ROSENBROCK, START, to_cost="low"), OptionError, "finite number"),
        (lambda: compare(ROSENBROCK, START, max_epochs=3), OptionError, "max_evaluations"),
        (lambda: compare(ROSENBROCK, START, max_evaluations=0), OptionError, "positive"),
        (lambda: compare(small_risk(), max_evaluations=3), OptionError, "max_epochs"),
        (lambda: compare(small_risk(), max_epochs=float("nan")), OptionError, "positive"),
        (lambda: compare(ROSENBROCK, "x=1 y=1"), StartError, "as low as the bottom"),
        (lambda: compare("x - 3*y", "x=0 y=0"), StartError, "no bottom to race to"),
        (lambda: compare("log(x)", "x=-1"), StartError, "at the start"),
        (lambda: compare(ROSENBROCK, START, l2=1.0), OptionError, "l2 goes with a table"),
        (lambda: compare("example:heights", target="weight", data={"x": [1]}), OptionError, "data goes with a formula"),
        (lambda: compare({"a": [1.0, 2.0]}), TargetError, "no target"),
        (lambda: compare(ROSENBROCK, START, seed=-1), OptionError, "seed"),
    ],
)
def test_wrong_input_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_entries_are_read():
    assert read_entry("  sgd   batch_size=5 ").options == {"batch_size": 5}
    assert read_entry("sgd batch_size=5").options["batch_size"].__class__ is int
    assert read_entry("gd learning_rate=backtracking").options == {"learning_rate": "backtracking"}


# --- the answer ----------------------------------------------------------------------------------------------------


def race_of(curves, budget=100.0, to=1e-6, n=10):
    """A comparison with these curves of (work in epochs, gap)."""
    walk = Walk(np.zeros(1), 0.0, np.zeros(1), 0, 0, 0, True, "converged", "", ("x",), Record({}), "gd")
    racers = []
    for name, (work, gap) in curves.items():
        gap = np.array(gap)
        prices = {level: next((n * w for w, g in zip(work, gap, strict=True) if g <= level), None) for level in LEVELS}
        racers.append(
            Racer(name, name, n * np.array(work, float), gap, bool(gap[-1] <= to), prices, 0.0, "", None, walk)
        )
    return Comparison("J", "rows", n, 1.0, 0.0, to, to, budget * n, walk, racers)


def test_the_answer_depends_on_the_time_that_one_has():
    race = race_of({"quick": ([0, 1, 50], [1, 1e-2, 1e-3]), "sure": ([0, 2, 8], [1, 0.5, 1e-7])})
    text = "\n".join(answer(race))
    assert "within 1 epoch: quick, 0.01 of the gap left" in text
    assert "within 3 epochs: quick, 0.01 of the gap left; next sure, 0.5" in text
    assert "within 10 epochs" not in text  # the goal is reached by then
    assert "to 0.01: quick, 1 epoch; next sure, 8 epochs, 8 times as much" in text
    assert "to 1e-6: sure, 8 epochs; no other reached it" in text
    assert "not to 1e-6 within 100 epochs: quick (0.001 left)" in text
    assert race.summary == "within 1 epoch: quick; to 1e-6: sure, 8 epochs; no other reached it"


def test_a_lucky_moment_before_the_deadline_does_not_count():
    race = race_of({"noisy": ([0, 0.5, 1.0], [1, 1e-5, 0.3]), "steady": ([0, 1.0, 2.0], [1, 0.1, 0.01])}, budget=2.0)
    assert "within 1 epoch: steady, 0.1 of the gap left; next noisy, 0.3" in answer(race)


def test_what_is_about_the_same_is_not_ranked():
    race = race_of({"a": ([0, 4.0], [1, 1e-7]), "b": ([0, 4.2], [1, 1e-7]), "c": ([0, 9.0], [1, 1e-7])})
    assert "to 1e-6: a and b alike, 4 epochs; next c, 9 epochs, 2.2 times as much" in answer(race)


def test_nobody_reached_it():
    race = race_of({"a": ([0, 100.0], [1, 0.5]), "b": ([0, 100.0], [1, 3.0])})
    assert not race.reached
    assert race.summary.endswith("to 1e-6: none within 100 epochs")
    assert answer(race)[-1] == "not to 1e-6 within 100 epochs: a (0.5 left), b (3 left)"


def test_seconds_decide_nothing(monkeypatch):
    risk = small_risk()
    race = compare(risk, methods=["sgd", "saga"], max_epochs=20)
    clock = iter(range(10**9))
    monkeypatch.setattr("time.perf_counter", lambda: 1e3 * next(clock))
    slow = compare(risk, methods=["sgd", "saga"], max_epochs=20)
    assert slow.answers == race.answers
    assert [r.prices for r in slow.racers] == [r.prices for r in race.racers]


def test_json_is_plain_and_complete():
    from descender.cli.output import plain

    race = compare(small_risk(), methods=["sgd", "saga"], max_epochs=5)
    told = json.loads(json.dumps(plain(race.as_json()), allow_nan=False))
    assert [method["name"] for method in told["methods"]] == ["sgd", "saga"]
    assert told["unit"] == "rows"
    assert told["methods"][0]["work"]["0.1"] == race["sgd"].prices[1e-1]
    assert told["answers"] == race.answers
    assert len(told["methods"][0]["curve"]["work"]) == len(told["methods"][0]["curve"]["gap"])


def test_a_curve_ends_at_the_budget_and_at_the_goal():
    curve = Curve(np.array([0.0, 1, 2, 3, 4]), np.array([9.0, 5, 1, 0.5, 7]), np.arange(5.0))
    assert curve.until(10, 1.0).work.tolist() == [0, 1, 2]
    assert curve.until(1, 1.0).work.tolist() == [0, 1]
    assert curve.until(10, 0.1).work.tolist() == [0, 1, 2, 3, 4]


def test_a_long_reading_lowers_the_default_budget_and_says_so(monkeypatch):
    monkeypatch.setattr(module, "COMPILED_NUMBERS", 4e3)
    race = compare(small_risk(), methods=["sgd"])
    assert race.budget == 6 * 120
    assert any("each method has 6 epochs" in note for note in race.notes)


def test_levels_are_short():
    assert [level_text(level) for level in LEVELS] == ["0.1", "0.01", "0.0001", "1e-6"]


# --- the picture ---------------------------------------------------------------------------------------------------


def test_the_picture_shows_every_method_in_its_own_way():
    lines = [(f"m{k}", np.arange(50.0), np.exp(-0.1 * k * np.arange(50.0)), k > 3) for k in range(9)]
    data = describe_gaps(lines, "epochs", "J", 1e-6)
    assert all((line.work > 0).all() and (line.gap >= data.y_limits[0]).all() for line in data.lines)
    ax = draw_gaps(data)
    drawn = [line for line in ax.lines if line.get_label().startswith("m")]
    assert [line.get_label() for line in drawn] == [f"m{k}" for k in range(9)]
    looks = {(line.get_color(), str(line.get_linestyle()), line.get_markerfacecolor()) for line in drawn}
    assert len(looks) == 9
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_a_walk_that_leaves_the_picture_is_cut_there():
    data = describe_gaps([("wild", [0, 1, 2, 3], [1.0, 10.0, 1e9, np.nan], False), ("good", [0, 1], [1, 0], True)])
    wild, good = data.lines
    assert wild.left
    assert wild.gap[-1] == HIGHEST
    assert len(wild.gap) == 3
    assert not good.left
    assert good.gap[-1] == data.y_limits[0]
    with pytest.raises(OptionError, match="no method to draw"):
        describe_gaps([])


def test_a_function_object_is_raced_too():
    cost = Function(lambda w: float(np.sum((w - 1) ** 2)), 3)
    race = compare(cost, [0.0, 0.0, 0.0], ["auto", "gd"])
    assert race["auto"].reached
    assert race["gd"].reached
