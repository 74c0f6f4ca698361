"""Findings: each check where its fault was planted, silent where all is well, its remedy tried."""

import re
import runpy
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from descender import MLPRegressor, diagnose, fit, minimize
from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.data.encode import Encoder
from descender.doctor.causes import BY_SLUG, CAUSES, cause_of
from descender.doctor.columns import explained_alone, leaking_column
from descender.doctor.descent import largest_curvature
from descender.doctor.finding import Finding, root_first, without
from descender.errors import OptionError

pytestmark = pytest.mark.usefixtures("uncompiled")

DOCS = Path(__file__).parent.parent / "docs"
START = {"x": -1.2, "y": 1.0}
ROSENBROCK = "(1-x)**2 + 100*(y-x**2)**2"


def codes(walk):
    return [finding.code for finding in walk.findings]


def bowl(curvatures):
    """A quadratic with these second derivatives along its axes."""
    return " + ".join(f"{c / 2!r}*{name}**2" for c, name in zip(curvatures, "xyzuv", strict=False))


def promised(finding):
    """The numbers in a D101: the curvature, the stable rate, the rate to try."""
    text = f"{finding.evidence} {finding.remedy}".replace(",", "")
    pattern = r"curvature \D*([\d.e+-]+) so .* below ([\d.e+-]+) try --learning-rate ([\d.e+-]+)"
    return tuple(float(number) for number in re.search(pattern, text).groups())


# --- D104


def test_d104_a_plateau_is_said():
    walk = minimize("tanh(x)**2", "x=10", "gd", learning_rate=0.1, max_steps=500)
    assert codes(walk) == ["D104"]
    assert "500 steps lowered J by" in walk.findings[0].evidence
    assert codes(minimize("tanh(x)**2", "x=1", "gd", learning_rate=0.1, max_steps=500)) == []


@pytest.mark.parametrize(
    ("cost", "rate", "steps", "said"),
    [
        ("x**2", 1e-9, 200, ["D104"]),
        ("x**2", 1e-9, 50, []),  # too few steps to tell
        ("x**2", 1e-5, 200, []),  # a hundredth was gained
        ("1e8 + x**2", 5e-3, 200, []),  # the gradient falls
    ],
)
def test_d104_is_of_many_steps_that_gained_next_to_nothing_on_the_same_slope(cost, rate, steps, said):
    assert codes(minimize(cost, "x=1", "gd", learning_rate=rate, max_steps=steps)) == said


@pytest.mark.parametrize(("cost", "start"), [("1 - exp(-(x-1)**2)", "x=9"), ("-exp(-(x**2 + y**2) / 2)", "x=8 y=5")])
def test_d104_a_tail_so_flat_that_its_curvature_is_rounding_is_no_saddle(cost, start):
    walk = minimize(cost, start, "gd", learning_rate=0.1)
    assert walk.status == "stuck"
    assert codes(walk) == ["D104"]
    assert "steps from beside it would not leave" in walk.findings[0].evidence


def test_d102_is_not_said_of_a_bottom_below_zero_on_the_way():
    walk = minimize("x**2 - 10", "x=3", "gd", learning_rate=1e-3, max_steps=300)
    assert walk.fun < -6
    assert codes(walk) == []


# --- D101


@pytest.mark.parametrize(
    ("curvatures", "start", "rate"),
    [
        ([10.0], [1.0], 0.3),
        ([10.0], [-1e3], 5.0),
        ([1.0, 100.0], [1.0, 1.0], 0.03),
        ([1.0, 100.0], [1.0, 1.0], 0.0202),
        ([1e-3, 2e4], [5.0, 1.0], 1.0),
        ([3.0, 3.0, 3.0], [1.0, -2.0, 4.0], 1.0),
    ],
)
def test_d101_measures_the_curvature_and_its_rate_works(curvatures, start, rate):
    walk = minimize(bowl(curvatures), start, "gd", learning_rate=rate)
    assert not walk.success
    assert codes(walk) == ["D101"]
    curvature, stable, advised = promised(walk.findings[0])
    assert curvature == pytest.approx(max(curvatures), rel=0.06)  # two digits are shown
    assert stable == pytest.approx(2 / max(curvatures), rel=0.06)
    again = minimize(bowl(curvatures), start, "gd", learning_rate=advised, max_steps=3000)
    assert codes(again) == []
    assert again.fun < walk.record["cost"][0]
    assert again.success or again.fun < 0.9 * walk.record["cost"][0]


def test_the_rate_that_is_called_stable_divides_those_that_are_from_those_that_are_not():
    walk = minimize(bowl([7.0]), [1.0], "gd", learning_rate=1.0)
    _, stable, _ = promised(walk.findings[0])
    assert minimize(bowl([7.0]), [1.0], "gd", learning_rate=0.95 * stable).success
    assert codes(minimize(bowl([7.0]), [1.0], "gd", learning_rate=1.05 * stable)) == ["D101"]


@pytest.mark.parametrize("rate", [0.03, 1.0])
def test_d101_finds_a_curvature_that_the_first_step_hardly_sees(rate):
    walk = minimize(bowl([1.0, 100.0]), [10.0, 1e-3], "gd", learning_rate=rate)
    assert codes(walk) == ["D101"]
    *_, advised = promised(walk.findings[0])
    again = minimize(bowl([1.0, 100.0]), [10.0, 1e-3], "gd", learning_rate=advised)
    assert codes(again) == []
    assert again.success


def test_the_rate_that_d101_advises_works_on_a_table():
    result = fit("example:diabetes", method="gd", learning_rate=100.0)
    *_, advised = promised(result.findings[0])
    again = fit("example:diabetes", method="gd", learning_rate=advised)
    assert again.walk.fun < 0.5 * result.walk.record["cost"][0]


def scattered_line():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    y = 2 * x + 1 + rng.normal(size=200)
    y[:10] += 20
    return Formula("mean((m*x + c - y)**2)", {"x": x, "y": y})


@pytest.mark.parametrize("steps", [37, 200, 450])
@pytest.mark.parametrize("seed", range(4))
def test_d101_is_not_said_of_batches_that_differ(steps, seed):
    """The last batch may cost a hundred times the first while the cost of all samples falls."""
    options = {"learning_rate": 0.005, "max_steps": steps, "seed": seed}
    walk = minimize(scattered_line(), "m=0, c=0", "sgd", **options)
    assert walk.fun < walk.record.full_costs()[0]
    assert codes(walk) == []


@pytest.mark.parametrize("steps", [37, 450])
@pytest.mark.parametrize("rate", [0.7, 5.0, 100.0])
def test_d101_is_said_of_batches_at_a_rate_too_high(steps, rate):
    options = {"max_steps": steps, "on_divergence": "stop"}
    walk = minimize(scattered_line(), "m=0, c=0", "sgd", learning_rate=rate, **options)
    assert codes(walk) == ["D101"]
    advised = promised(walk.findings[0])[-1]
    assert "which was tried" in walk.findings[0].remedy
    again = minimize(scattered_line(), "m=0, c=0", "sgd", learning_rate=advised, **options)
    assert codes(again) == []
    assert again.fun < again.record.full_costs()[0]


def test_a_walk_that_diverges_warns_of_nothing_and_records_no_infinity():
    walk = minimize(bowl([10.0]), [1.0], "gd", learning_rate=0.3)
    assert np.isfinite(walk.record["gradient_norm"]).all()


def test_d101_on_the_valley_of_rosenbrock():
    walk = minimize(ROSENBROCK, START, "gd", learning_rate=0.01)
    assert codes(walk) == ["D101"]
    curvature, stable, advised = promised(walk.findings[0])
    H = np.array([[1330.0, 480.0], [480.0, 200.0]])
    assert curvature == pytest.approx(np.linalg.eigvalsh(H)[-1], rel=0.06)
    assert advised < stable < 0.01
    again = minimize(ROSENBROCK, START, "gd", learning_rate=advised, max_steps=5000)
    assert codes(again) == []
    assert again.fun < 0.1


def test_the_curvature_is_that_of_the_second_derivatives():
    for curvatures in ([10.0], [1.0, 100.0], [1e-6, 1e6]):
        w = np.ones(len(curvatures))
        found = largest_curvature(Formula(bowl(curvatures)), w)
        assert found == pytest.approx(max(curvatures), rel=1e-6)
    assert largest_curvature(Formula("x**2"), np.zeros(1)) == pytest.approx(2.0)
    assert largest_curvature(Formula("x + 3"), np.zeros(1)) == pytest.approx(0.0, abs=1e-9)


HEALTHY = {
    "a bowl": (bowl([1.0, 100.0]), [1.0, 1.0], "gd", {"learning_rate": 0.01}),
    "at the edge": (bowl([1.0, 100.0]), [1.0, 1.0], "gd", {"learning_rate": 0.0199}),
    "the valley": (ROSENBROCK, START, "gd", {"learning_rate": 1e-3, "max_steps": 2000}),
    "backtracking": (ROSENBROCK, START, "gd", {"max_steps": 500}),
    "auto": (ROSENBROCK, START, "auto", {}),
    "momentum": (bowl([1.0, 100.0]), [1.0, 1.0], "momentum", {"learning_rate": 0.005}),
    "adam": (bowl([1.0, 100.0]), [1.0, 1.0], "adam", {"learning_rate": 0.1, "max_steps": 3000}),
    "log cosh": ("log(cosh(x))", "x=10", "gd", {"learning_rate": 0.0021}),
    "from the bottom": ("x**2", "x=0", "gd", {"learning_rate": 0.1}),
}


@pytest.mark.parametrize("case", HEALTHY)
def test_healthy_walks_have_no_finding(case):
    cost, start, method, options = HEALTHY[case]
    assert codes(minimize(cost, start, method, **options)) == []


def test_healthy_walks_over_rows_have_no_finding():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = X @ [1.0, -2.0, 0.5] + rng.normal(size=200)
    for options in (
        {},
        {"method": "gd", "learning_rate": 0.1},
        {"method": "sgd", "learning_rate": 0.01, "max_epochs": 5},
        {"method": "adam", "learning_rate": 0.01, "batch_size": 20, "max_epochs": 5},
    ):
        assert codes(minimize(Risk(X, y, l2=0.01), **options)) == []


def test_a_walk_that_rises_for_another_reason_is_no_d101():
    # a rate far below what is stable: a cost that leaps at a wall far from the start
    walk = minimize("x**2/2 + exp(50*(2-x)) * 0", "x=1", "gd", learning_rate=0.1)
    assert codes(walk) == []


# --- D102

DATA = {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 7.0]}


@pytest.mark.parametrize(
    ("cost", "cause"),
    [("-x**2", "unbounded below"), ("x", "unbounded below"), ("x**3", "unbounded below"), ("exp(-x)", "no minimum")],
)
def test_d102_a_cost_without_a_bottom(cost, cause):
    walk = minimize(cost, "x=1")
    assert not walk.success
    assert codes(walk) == ["D102"]
    assert walk.findings[0].title.startswith(cause)
    assert walk.findings[0].severity == "critical"
    assert walk.findings[0].remedy == "check the sign of the cost, or bound it"
    assert np.isfinite(walk.x).all()
    assert codes(minimize("x**4 - x", "x=1")) == []


def test_d102_errors_that_were_not_squared():
    walk = minimize("mean(y - (m*x + c))", "m=0, c=0", data=DATA)
    assert codes(walk) == ["D102"]
    assert walk.findings[0].remedy == "did you mean to square the errors? mean((...)**2)"
    squared = minimize("mean((y - (m*x + c))**2)", "m=0, c=0", data=DATA)
    assert codes(squared) == []
    assert squared.success
    # no rows, or curved: another remedy
    for cost, data in [("3 - m", None), ("mean(-(y - m*x)**2)", DATA)]:
        assert "square" not in minimize(cost, "m=0", data=data).findings[0].remedy


@pytest.mark.parametrize(
    ("cost", "start", "data"), [("mean(y - (m*x + c))", "m=0, c=0", DATA), ("-x**2", "x=1", None), ("-x", "x=1", None)]
)
def test_d102_with_a_rate_of_ones_own(cost, start, data):
    assert codes(minimize(cost, start, "gd", learning_rate=0.1, data=data)) == ["D102"]


def test_d102_is_not_said_of_a_bottom_far_away_nor_of_a_cost_that_rose():
    assert "D102" not in codes(minimize("1000 + sqrt(1 + x**2)", "x=1e4", "gd", learning_rate=0.01, max_steps=200))
    X = np.linspace(-1, 1, 40)[:, None]
    with warnings.catch_warnings(action="ignore"):
        thrown = MLPRegressor((20,), solver="sgd", learning_rate_init=3.0, max_iter=40).fit(X, X[:, 0] ** 2)
    found = [finding.code for finding in diagnose(thrown)]
    assert found[0] == "D101"
    assert "D102" not in found


# --- D103


@pytest.mark.parametrize("cost", ["x**2 - y**2", "x**2 + y**4 - y**2", "x**2 - y**4 - y**2"])
def test_d103_an_end_that_is_no_minimum(cost):
    walk = minimize(cost, "x=1, y=0", "gd", learning_rate=0.1)
    assert not walk.success
    assert codes(walk) == ["D103"]
    assert "saddle" in walk.findings[0].evidence
    assert "auto" in walk.findings[0].remedy


def test_d103_is_silent_at_a_minimum_and_its_remedy_works():
    cost = "x**2 + y**4 - y**2"
    assert codes(minimize(cost, "x=1, y=0.1", "gd", learning_rate=0.1)) == []  # started elsewhere
    walk = minimize(cost, "x=1, y=0.1")
    assert walk.success
    assert abs(walk["y"]) == pytest.approx(0.5**0.5, rel=1e-6)


# --- D031


def table(n=400, seed=0):
    """Four columns, three of which tell something of y, none of them everything."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    one, two = y + rng.normal(0, 1.5, n), y + rng.normal(0, 1.5, n)
    group = np.array(["a", "b", "c", "d"])[np.clip(2 * y + rng.integers(-1, 3, n), 0, 3)]
    return {"one": one, "two": two, "group": group, "noise": rng.normal(size=n)}, y, rng


LEAKS = {
    "a number": lambda y, rng: y * 3.0 + 0.01 * rng.normal(size=len(y)),
    "three levels": lambda y, rng: np.where(y == 1, "paid", np.where(rng.random(len(y)) < 0.5, "open", "late")),
    "five levels": lambda y, rng: np.char.add("k", (5 * y + rng.integers(0, 3, len(y))).astype(str)),
    "dates": lambda y, rng: (
        np.datetime64("2020-03-01") + y * rng.integers(31, 90, len(y)) + rng.integers(0, 28, len(y))
    ),
}
HIDDEN = {
    "two months": lambda y, rng: np.datetime64("2020-03-01") + 31 * y + rng.integers(0, 28, len(y)),
    "two levels": lambda y, rng: np.where(y == 1, "paid", "open"),
    "a truth value": lambda y, rng: y == 1,
    "missing cells": lambda y, rng: np.where(y == 1, rng.normal(size=len(y)), np.nan),
}


@pytest.mark.parametrize("leak", [*LEAKS, *HIDDEN])
def test_d031_a_column_that_gives_the_answer_away(leak):
    columns, y, rng = table()
    result = fit(columns | {"receipt": (LEAKS | HIDDEN)[leak](y, rng), "y": y}, "y")
    assert [finding.code for finding in result.findings] == ["D031"]
    assert result.findings[0].title.startswith("receipt alone explains")
    assert result.findings[0].remedy == "is it known when you predict? if not, --exclude receipt"
    again = fit(columns | {"receipt": (LEAKS | HIDDEN)[leak](y, rng), "y": y}, "y", exclude="receipt")
    assert again.findings == []


def test_d031_in_a_regression():
    columns, _, rng = table()
    price = columns["one"] + columns["two"] + rng.normal(size=400)
    data = columns | {"price": price}
    assert fit(data, "price").findings == []
    found = fit(data | {"with_tax": price * 1.08 + 0.01 * rng.normal(size=400)}, "price").findings
    assert [finding.code for finding in found] == ["D031"]
    assert found[0].title.startswith("with_tax alone explains")


@pytest.mark.parametrize("name", ["breast_cancer", "diabetes", "iris", "heights", "blobs", "wine"])
def test_d031_is_silent_on_healthy_tables(name):
    assert fit(f"example:{name}").findings == []


def test_what_a_column_explains_alone_is_its_r2():
    columns, y, _ = table()
    encoder = Encoder.learn(pa.table(columns))
    X = encoder.transform(pa.table(columns))
    shares = explained_alone(encoder, X, y.astype(float))
    for name in columns:
        features = [j for j, feature in enumerate(encoder.details) if feature.column == name]
        A = np.column_stack([X[:, features], np.ones(len(y))])
        left = y - A @ np.linalg.lstsq(A, y, rcond=None)[0]
        assert shares[name] == pytest.approx(1 - left.var() / y.var(), abs=1e-9)


def test_d031_knows_its_limits():
    columns, y, rng = table()
    kept = columns | {"leak": y + 0.01 * rng.normal(size=400)}
    encoder = Encoder.learn(pa.table(kept))
    X = encoder.transform(pa.table(kept))
    target = y.astype(float)
    assert leaking_column(encoder, X, target, 1.0).code == "D031"
    assert leaking_column(encoder, X, target, 0.01) is None  # the model explains nothing to speak of
    assert explained_alone(encoder, X, np.ones(400)) == {}
    alone = Encoder.learn(pa.table({"leak": kept["leak"]}))
    assert leaking_column(alone, alone.transform(pa.table(kept)), target, 1.0) is None  # it is all there is


def test_d031_counts_what_the_parts_of_a_moment_share_once():
    rng, n = np.random.default_rng(0), 400
    days = np.arange(n) * 0.9
    trend, noise = (days - days.mean()) / days.std(), rng.normal(size=n)
    data = {"when": np.datetime64("2023-01-01") + days.astype("timedelta64[D]"), "x": noise, "y": trend + noise}
    encoder = Encoder.learn(pa.table(data), exclude="y")
    X = encoder.transform(pa.table(data))
    assert explained_alone(encoder, X, data["y"])["when"] > 0.9  # the days and the months tell the same
    assert fit(pa.table(data), "y").findings == []
    found = fit(pa.table(data | {"y": trend + 0.1 * noise}), "y").findings
    assert [finding.title.split(" alone")[0] for finding in found] == ["when"]


def test_a_finding_is_plain_data():
    finding = Finding("learning-rate-too-high", "critical", "evidence", "remedy", {"step": 3})
    assert finding.as_dict() == {
        "code": "D101", "severity": "critical", "cause": "learning-rate-too-high", "title": "learning rate too high",
        "evidence": "evidence", "where": {"step": 3}, "remedy": "remedy", "page": "docs/findings/d101.md",
    }  # fmt: skip
    assert str(finding) == "D101 learning rate too high: evidence\n     remedy"


def test_the_causes_are_one_list():
    assert len({cause.code for cause in CAUSES}) == len({cause.slug for cause in CAUSES}) == len(CAUSES)
    assert [cause.code for cause in CAUSES] == sorted(cause.code for cause in CAUSES)
    words = [word for cause in CAUSES for word in (cause.slug, *cause.aliases)]
    assert len(words) == len(set(words))
    for cause in CAUSES:
        assert {cause_of(name) for name in (cause.code, cause.slug.replace("-", " "), *cause.aliases)} == {cause}
        assert set(cause.above) <= set(BY_SLUG)
        assert cause.slug not in cause.above
    with pytest.raises(OptionError, match="D999"):
        cause_of("D999")


def test_no_cause_is_above_its_own_root():
    for cause in CAUSES:
        assert not any(cause.slug in BY_SLUG[below].above for below in cause.above), cause.slug


def test_the_root_is_named_before_its_symptom():
    found = [Finding(slug, severity, "", "") for slug, severity in (
        ("exploding-gradient", "critical"), ("constant-columns", "info"), ("learning-rate-too-high", "warning"),
        ("unscaled-columns", "warning"), ("exploding-gradient", "warning"),
    )]  # fmt: skip
    ordered = [finding.cause for finding in root_first(found)]
    assert ordered == ["unscaled-columns", "learning-rate-too-high", "exploding-gradient", "constant-columns"]
    assert [finding.code for finding in without(found, ["D201", "feature scaling"])] == ["D013", "D101"]


def test_every_cause_has_its_page_made_from_the_list():
    pages = runpy.run_path(str(DOCS / "make_findings.py"))["pages"]()
    for name, text in pages.items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, "run: python docs/make_findings.py"
    there = {path.relative_to(DOCS).as_posix() for path in (DOCS / "findings").glob("*")} | {"findings.md"}
    assert there == set(pages)
    for cause in CAUSES:
        text = (DOCS.parent / cause.page).read_text(encoding="utf-8")
        assert text.startswith(f"# {cause.code}: {cause.title}")
