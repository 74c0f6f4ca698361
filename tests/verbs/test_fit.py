"""fit: a table and a target to a model, against scikit-learn; what it learns from, what it writes, what it refuses."""

import datetime as dt
import gzip
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import expit, logsumexp
from sklearn.linear_model import Lasso, LogisticRegression, Ridge

from descender import fit
from descender.data.encode import Encoder
from descender.data.source import add_target, open_source
from descender.data.split import hashed, holdout, latest, some_groups
from descender.errors import (
    CapabilityError,
    ColumnError,
    DataError,
    DescenderError,
    DivergedError,
    OptionError,
    OutputError,
    ShapeError,
    StartError,
    TargetError,
)
from descender.model import Model
from descender.record import Record
from descender.verbs.verify import verify


def shop(n=600, seed=0):
    """Customers of a shop: numbers, categories, truth values and dates, some of each missing."""
    rng = np.random.default_rng(seed)
    age, income = rng.normal(45, 12, n), rng.lognormal(10.5, 0.6, n)
    city = rng.choice(["Bern", "Genf", "Basel", "Chur", "Thun"], n, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    member = rng.random(n) < 0.4
    joined = np.datetime64("2019-01-01") + rng.integers(0, 1500, n)
    z = 0.04 * (age - 45) + 1e-5 * (income - 4e4) + 0.8 * (city == "Bern") - 0.6 * member
    spent = 50 + 10 * z + rng.normal(0, 5, n)
    holes = {name: rng.random(n) < share for name, share in (("age", 0.1), ("city", 0.08), ("joined", 0.05))}
    return {
        "age": np.where(holes["age"], np.nan, age),
        "income": income,
        "city": [None if hole else str(name) for name, hole in zip(city, holes["city"], strict=True)],
        "member": member,
        "joined": np.where(holes["joined"], np.datetime64("NaT"), joined),
        "bought": np.where(z + rng.logistic(size=n) > 0, "yes", "no"),
        "plan": np.array(["free", "basic", "gold"])[
            np.argmax(rng.gumbel(size=(3, n)) + np.outer([0, 1, -1], z), axis=0)
        ],
        "spent": spent,
    }


CASES = {
    "iris": ("example:iris", "species", ()),
    "breast_cancer": ("example:breast_cancer", "diagnosis", ()),
    "diabetes": ("example:diabetes", "progression", ()),
    "heights": ("example:heights", "weight", ()),
    "shop, two classes": (shop(), "bought", ("plan", "spent")),
    "shop, three classes": (shop(), "plan", ("bought", "spent")),
    "shop, a number": (shop(), "spent", ("bought", "plan")),
}


def training_rows(result, data, target, seed=0):
    """The encoded training matrix and the coded targets, made again from the data."""
    source, name = add_target(open_source(data), target)
    kept = ~holdout(source.table.num_rows, 0.2, seed)
    table = source.table.filter(pa.array(kept))
    return result.model.encoder.transform(table), result.model.coding.encode(table[name]).astype(float)


def cost(task, X, y, W, b, l2=0.0, l1=0.0):
    """The cost as the documentation states it, in plain NumPy."""
    z = X @ W.T + b
    if task == "regression":
        loss = 0.5 * (z - y) ** 2
    elif task == "binary":
        loss = np.logaddexp(0.0, z) - y * z
    else:
        loss = logsumexp(z, axis=1) - z[np.arange(len(y)), y.astype(int)]
    return loss.mean() + 0.5 * l2 * np.sum(W**2) + l1 * np.abs(W).sum()


def reference(task, X, y, l2):
    """The weights and intercept that scikit-learn finds at its tightest."""
    if task == "regression":
        model = Ridge(alpha=len(y) * l2, tol=1e-12).fit(X, y)
        return model.coef_, model.intercept_
    model = LogisticRegression(C=1 / (len(y) * l2), solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(X, y)
    return (model.coef_[0], model.intercept_[0]) if task == "binary" else (model.coef_, model.intercept_)


@pytest.fixture(scope="module")
def fitted():
    """Every case, fitted once."""
    return {case: fit(data, target, exclude=out, tol=1e-9, l2="1/n") for case, (data, target, out) in CASES.items()}


@pytest.mark.parametrize("case", CASES)
def test_the_cost_is_that_of_scikit_learn(fitted, case):
    data, target, _ = CASES[case]
    result = fitted[case]
    X, y = training_rows(result, data, target)
    l2 = 1 / len(y)
    ours = cost(result.task, X, y, result.model.weights, result.model.intercept, l2)
    best = cost(result.task, X, y, *reference(result.task, X, y, l2), l2)
    assert abs(ours - best) <= 1e-8 * best
    assert result.walk.fun == pytest.approx(ours, rel=1e-12)
    assert result.walk.success
    assert result.certificate.rigorous
    assert ours - best <= result.certificate.gap
    assert result.certificate.relative <= 1e-9
    # a planted fault: the same comparison sees another penalty
    other = cost(result.task, X, y, *reference(result.task, X, y, 2 * l2), l2)
    assert abs(ours - other) > 1e-8 * best


@pytest.mark.parametrize("l2", [1e-3, 1.0, 100.0])
def test_other_penalties_agree_with_scikit_learn_too(l2):
    result = fit("example:breast_cancer", l2=l2, tol=1e-9)
    X, y = training_rows(result, "example:breast_cancer", "diagnosis")
    best = cost("binary", X, y, *reference("binary", X, y, l2), l2)
    assert result.walk.fun == pytest.approx(best, rel=1e-8)


def test_without_penalty_the_line_is_that_of_least_squares():
    result = fit("example:heights", l2=0.0, holdout=0.0, tol=1e-12)
    table = open_source("example:heights").table
    slope, start = np.polyfit(table["height"].to_numpy(), table["weight"].to_numpy(), 1)
    assert result.model.coefficients == pytest.approx([slope], rel=1e-9)
    assert float(result.model.raw_intercept) == pytest.approx(start, rel=1e-9)
    assert result.certificate.kind == "exact gap of a quadratic"


@pytest.mark.parametrize("l1", [1.0, 5.0, 20.0])
def test_l1_agrees_with_lasso_and_leaves_features_out(l1):
    result = fit("example:diabetes", l1=l1, l2=0.0, tol=1e-9)
    X, y = training_rows(result, "example:diabetes", "progression")
    lasso = Lasso(alpha=l1, tol=1e-12, max_iter=100_000).fit(X, y)
    best = cost("regression", X, y, lasso.coef_, lasso.intercept_, l1=l1)
    assert result.walk.fun == pytest.approx(best, rel=1e-8)
    assert np.array_equal(result.model.weights == 0, lasso.coef_ == 0)
    assert (result.model.weights == 0).any()
    assert result.certificate.rigorous


def test_l1_on_classes_leaves_features_out():
    for data in ("example:breast_cancer", "example:iris"):
        result = fit(data, l1=0.05)
        assert result.walk.success
        assert (result.model.weights == 0).mean() > 0.4
    assert (fit("example:breast_cancer").model.weights != 0).all()


@pytest.mark.parametrize("case", ["iris", "breast_cancer", "diabetes", "heights"])
def test_coefficients_predict_from_raw_columns(fitted, case):
    data, target, _ = CASES[case]
    model = fitted[case].model
    table = open_source(data).table.drop_columns([target])
    X = np.column_stack([column.to_numpy() for column in table.columns])
    by_hand = X @ model.coefficients + model.raw_intercept
    np.testing.assert_allclose(by_hand, model.decision_function(data), rtol=1e-9, atol=1e-9)
    assert not np.allclose(X @ model.weights.T + model.intercept, by_hand)  # standardised ones would not


def test_coefficients_of_levels_and_missing_values_predict_too(fitted):
    model, data = fitted["shop, two classes"].model, shop()
    worth = dict(zip(model.features, model.coefficients, strict=True))
    mean = {feature.name: feature.mean for feature in model.encoder.details if feature.kind == "number"}
    scores = model.decision_function(data)
    for i in range(60):
        z = float(model.raw_intercept)
        hole = np.isnan(data["age"][i])
        z += worth["age"] * (mean["age"] if hole else data["age"][i]) + worth["age is missing"] * hole
        z += worth["income"] * data["income"][i] + worth["member"] * data["member"][i]
        z += worth[f"city = {data['city'][i] or '(missing)'}"]
        if np.isnat(data["joined"][i]):
            z += worth["joined: days"] * mean["joined: days"] + worth["joined is missing"]
        else:
            day = data["joined"][i].astype(dt.date)
            z += worth["joined: days"] * (day - dt.date(1970, 1, 1)).days + worth[f"joined: month = {day.month}"]
            z += worth[f"joined: weekday = {day:%A}"]
        assert z == pytest.approx(scores[i], abs=1e-9)


# --- what may be learnt from


def disturbed(data, rows):
    """The same table with everything else in some rows."""
    table = {name: np.array(values, dtype=object) for name, values in data.items()}
    for i in rows:
        table["age"][i], table["income"][i], table["city"][i] = 1e6 + i, -5.0, "Atlantis"
        table["member"][i] = not data["member"][i]
        table["joined"][i] = dt.date(1999, 1, 1)
        table["bought"][i] = "no" if data["bought"][i] == "yes" else "yes"
        table["spent"][i] = 1e9
    table["joined"] = np.array(table["joined"], dtype="datetime64[D]")
    return {name: list(values) if values.dtype == object else values for name, values in table.items()}


@pytest.mark.parametrize("target", ["bought", "spent"])
def test_held_out_rows_change_nothing(target):
    data, out = shop(300), {"bought", "plan", "spent"} - {target}
    held = holdout(300, 0.2, 7)
    plain = fit(disturbed(data, ()), target, exclude=out, seed=7)
    other = fit(disturbed(data, np.flatnonzero(held)), target, exclude=out, seed=7)
    assert np.array_equal(plain.model.weights, other.model.weights)
    assert np.array_equal(plain.model.intercept, other.model.intercept)
    assert plain.model.encoder.to_json() == other.model.encoder.to_json()
    assert plain.metrics["train"] == other.metrics["train"]
    assert plain.metrics["holdout"] != other.metrics["holdout"]
    # a planted fault: one training row does change them
    third = fit(disturbed(data, np.flatnonzero(~held)[:1]), target, exclude=out, seed=7)
    assert not np.array_equal(plain.model.weights[:1], third.model.weights[:1])
    assert plain.model.encoder.to_json() != third.model.encoder.to_json()


def test_held_out_rows_are_those_of_the_hash_and_are_judged_by_the_model():
    result = fit("example:breast_cancer", seed=3, holdout=0.3)
    source, _ = add_target(open_source("example:breast_cancer"), "diagnosis")
    held = holdout(569, 0.3, 3)
    rows = source.table.filter(pa.array(held))
    assert np.array_equal(result.holdout_y, result.model.coding.encode(rows["diagnosis"]))
    # one is a product of matrices, the other is added up row by row, with bits that depend on no other row
    np.testing.assert_allclose(result.holdout_scores, result.model.decision_function(rows), rtol=1e-12, atol=1e-12)
    share = np.mean(result.model.predict(rows) == np.array(rows["diagnosis"].to_pylist()))
    assert result.metrics["holdout"]["accuracy"] == pytest.approx(share)
    z, y = result.holdout_scores, result.holdout_y
    assert result.metrics["holdout"]["log_loss"] == pytest.approx(np.mean(np.logaddexp(0, z) - y * z))


def test_small_tables_are_judged_on_their_own_rows():
    result = fit({"x": [1.0, 2.0, 3.0, 4.0], "y": [1.0, 2.1, 2.9, 4.0]}, "y")
    assert "holdout" not in result.metrics
    assert len(result.holdout_y) == 4
    assert fit("example:heights", holdout=0.0).metrics.keys() == {"train", "baseline"}


def test_a_class_whose_rows_would_all_judge_is_learnt_from_its_first(tmp_path):
    held = np.flatnonzero(holdout(60, 0.2, 0))
    y = np.where(np.arange(60) % 2, "a", "b").astype(object)
    y[held[0]] = y[held[1]] = "rare"
    y[held[2]] = "single"
    data = {"x": np.arange(60.0), "y": list(y)}
    result = fit(data, "y", l2=0.1)
    assert result.model.coding.classes == ("a", "b", "rare", "single")
    assert len(result.holdout_y) == len(held) - 2
    assert (
        "target",
        "all rows of y = rare, single were to judge: the first of each teaches instead",
        None,
    ) in result.lines
    assert verify(result.model.save(tmp_path / "m.descender"), data).same_data


@pytest.mark.parametrize("role", ["time", "group"])
def test_a_class_that_only_judges_is_refused_where_more_than_chance_divides_the_rows(role):
    when = np.arange(60) // 10
    for seed in range(3):
        held = some_groups(when, 0.2, seed) if role == "group" else latest(when, 0.2)
        data = {"x": np.arange(60.0), "when": when, "y": np.where(held, "late", np.where(np.arange(60) % 2, "a", "b"))}
        with pytest.raises(TargetError, match=f"y = late has no training row, as rows are divided by {role}"):
            fit(data, "y", l2=0.1, seed=seed, **{role: "when"})


def test_a_class_that_no_held_out_row_has_is_no_trouble():
    held = holdout(60, 0.2, 0)
    y = np.where(np.arange(60) % 2, "a", "b").astype(object)
    y[np.flatnonzero(~held)[:2]] = "z"
    result = fit({"x": np.arange(60.0), "y": list(y)}, "y")
    assert result.walk.success
    assert np.isfinite(result.metrics["holdout"]["log_loss"])


def test_the_same_seed_gives_the_same_bits():
    for options in ({}, {"method": "sgd", "epochs": 2}, {"method": "adam", "batch_size": 10, "epochs": 2}):
        one, two = (fit("example:breast_cancer", seed=5, **options) for _ in range(2))
        assert np.array_equal(one.walk.x, two.walk.x)
        assert np.array_equal(one.walk.record["cost"], two.walk.record["cost"], equal_nan=True)
        assert one.metrics == two.metrics
        three = fit("example:breast_cancer", seed=6, **options)
        assert not np.array_equal(one.walk.x, three.walk.x)


def test_the_order_of_columns_and_their_units_do_not_matter():
    data = shop()
    plain = fit(data, "bought", exclude=("plan", "spent"), tol=1e-10)
    scaled = fit(
        {name: data[name] for name in reversed(data)} | {"income": np.asarray(data["income"]) * 1e-9},
        "bought",
        exclude=("plan", "spent"),
        tol=1e-10,
    )
    np.testing.assert_allclose(scaled.walk.fun, plain.walk.fun, rtol=1e-9)
    j, k = plain.model.features.index("income"), scaled.model.features.index("income")
    np.testing.assert_allclose(scaled.model.coefficients[k], plain.model.coefficients[j] * 1e9, rtol=1e-4)


# --- the textbook methods


@pytest.mark.parametrize(
    ("options", "near"),
    [
        ({"method": "sgd", "epochs": 30}, 0.25),
        ({"method": "minibatch", "epochs": 200, "learning_rate": 0.1}, 0.1),
        ({"method": "adam", "epochs": 100, "batch_size": 20}, 0.1),
        ({"method": "momentum", "learning_rate": 0.1, "max_steps": 2000}, 0.01),
        ({"method": "lbfgs"}, 1e-6),
    ],
)
def test_textbook_methods_come_near(options, near):
    best = fit("example:breast_cancer", tol=1e-9, l2="1/n")
    result = fit("example:breast_cancer", **options)
    assert best.walk.fun <= result.walk.fun * (1 + 1e-8)
    assert result.walk.fun <= (1 + near) * best.walk.fun
    assert result.metrics["holdout"]["accuracy"] > 0.95
    assert options["method"] in result.walk.why or "L-BFGS" in result.walk.why
    assert result.walk.record.facts["metrics"] == result.metrics


def test_epochs_are_readings_of_all_training_rows():
    result = fit("example:breast_cancer", method="minibatch", batch_size=50, epochs=3, learning_rate=0.1)
    n = result.model.facts["n_rows"]
    assert result.walk.nit == 3 * -(-n // 50)
    record = result.walk.record
    ends = ~np.isnan(record["full_cost"])
    assert record["rows_seen"][ends][:4].tolist() == [0, n, 2 * n, 3 * n]
    # the held-out cost is the plain loss of held-out rows, without penalty
    assert record["holdout_cost"][ends][-1] == pytest.approx(result.metrics["holdout"]["log_loss"])
    assert not result.walk.success
    assert result.walk.status == "budget"


def test_the_sigmoid_preset_is_the_tutorials_recursion():
    table = open_source("example:blobs").table
    A = np.column_stack([table["x1"], table["x2"], np.ones(1000)])
    y = table["label"].to_numpy()
    for seed in (0, 1, 2):
        start = np.random.default_rng(100 + seed).standard_normal(3)
        result = fit("example:blobs", preset="sigmoid", start=start, seed=seed)
        train = np.sort(np.argsort(hashed(np.arange(1000), seed), kind="stable")[500:])
        W, losses = start.copy(), []
        for _ in range(100):
            p = expit(A[train] @ W)
            e = p - y[train]
            losses.append(e @ e)
            W -= 0.01 * A[train].T @ (e * p * (1 - p))
        record = result.walk.record
        np.testing.assert_allclose(2 * record["cost"][:100], losses, rtol=1e-10)
        np.testing.assert_allclose(result.walk.x, W, rtol=1e-10)
        assert result.walk.nit == 100
        assert len(result.holdout_y) == 500
        assert result.certificate is None
        assert not np.allclose(result.walk.record["cost"][:100], losses)  # a planted fault: without the factor 2


def test_the_sigmoid_preset_has_a_seeded_start_and_can_be_overridden():
    result = fit("example:blobs", preset="sigmoid", seed=4, epochs=7, learning_rate=0.1)
    assert result.walk.nit == 7
    assert result.walk.record["learning_rate"][0] == 0.1
    assert result.walk.record.facts["start"] == np.random.default_rng(4).standard_normal(3).tolist()
    assert result.model.loss == "sigmoid_squared_error"
    assert result.metrics["holdout"]["squared_error"] <= 1
    feature = result.model.encoder.details[0]
    assert (feature.mean, feature.scale) == (0.0, 1.0)  # raw columns


def test_the_held_out_cost_is_in_the_units_of_the_cost():
    result = fit("example:blobs", preset="sigmoid", seed=1)
    p, y = expit(result.holdout_scores), result.holdout_y
    assert result.walk.record["holdout_cost"][-1] == pytest.approx(0.5 * np.sum((p - y) ** 2))


def test_ties_go_to_the_first_class():
    result = fit("example:blobs", preset="sigmoid", start=np.zeros(3), epochs=0)
    assert set(result.model.predict("example:blobs")) == {0}


def test_squared_error_on_two_classes_predicts_the_nearer_one():
    result = fit("example:breast_cancer", loss="squared_error")
    z, y = result.holdout_scores, result.holdout_y
    assert result.metrics["holdout"]["accuracy"] == pytest.approx(np.mean((z > 0.5) == y))
    predicted = result.model.predict("example:breast_cancer")
    truth = np.array(open_source("example:breast_cancer").table["diagnosis"].to_pylist())
    assert np.mean(predicted == truth) > 0.9
    p = result.model.predict_proba("example:breast_cancer")
    assert p.min() >= 0


# --- forms of data


def test_arrays_frames_files_and_queries_give_the_same_model(tmp_path):
    table = open_source("example:breast_cancer").table
    plain = fit("example:breast_cancer", "diagnosis")
    pq.write_table(table, tmp_path / "t.parquet")
    frame = table.to_pandas()
    frame.to_csv(tmp_path / "t.csv.gz", index=False)
    forms = {
        "parquet": fit(tmp_path / "t.parquet", "diagnosis"),
        "csv": fit(str(tmp_path / "t.csv.gz"), "diagnosis"),
        "pandas": fit(frame, "diagnosis"),
        "categorical": fit(frame.astype({"diagnosis": "category"}), "diagnosis"),
        "arrow": fit(table, "diagnosis"),
        "dict": fit({name: frame[name] for name in frame}, "diagnosis"),
        "sql": fit(tmp_path / "t.parquet", "diagnosis", sql="SELECT * FROM t"),
        "X, y": fit(frame.drop(columns="diagnosis").to_numpy(), frame["diagnosis"]),
        "frame, y": fit(frame.drop(columns="diagnosis"), frame["diagnosis"].to_numpy()),
        "lists": fit(frame.drop(columns="diagnosis").to_numpy().tolist(), frame["diagnosis"].tolist()),
    }
    for form, result in forms.items():
        assert np.array_equal(result.model.weights, plain.model.weights), form
        assert result.metrics == plain.metrics, form


def test_pandas_missing_values_and_kinds():
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, 2, None, 4] * 10, dtype="Int64"),
            "kind": pd.Categorical(["a", "b", None, "c"] * 10),
            "flag": pd.array([True, None, False, False, True] * 8, dtype="boolean"),
            "when": pd.to_datetime(["2020-01-05", None, "2021-03-04", "2020-07-07"] * 10),
            "y": [1.0, 2.0, np.nan, 4.0] * 10,
        },
        index=range(100, 140),
    )
    result = fit(frame, "y")
    assert (result.n_rows, result.lines[0][1]) == (30, "40 rows, 5 columns; 10 rows without a target left out")
    assert {"whole", "kind = a", "kind = b", "kind = c", "flag", "flag is missing"} <= set(result.model.features)
    assert np.isfinite(result.model.predict(frame)).all()


def test_target_expressions_leave_out_what_they_read():
    result = fit("example:diabetes", "high = progression > 140")
    assert (result.name, result.task) == ("high", "binary")
    assert result.model.coding.classes == (False, True)
    assert "progression" not in result.model.features
    assert result.model.predict("example:diabetes").dtype == bool
    assert fit("example:diabetes", "twice = progression * 2").task == "regression"
    assert "progression" in fit("example:diabetes", "heavy = bmi > 30").model.features


def test_queries_choose_rows_and_columns():
    result = fit("example:iris", "species", sql="SELECT * EXCLUDE (petal_width) FROM iris WHERE species <> 'setosa'")
    assert (result.n_rows, result.task) == (100, "binary")
    assert "petal_width" not in result.model.features


@pytest.mark.parametrize("exclude", ["petal_width", ["petal_width"], ("petal_width",), {"petal_width"}])
def test_excluded_columns_are_not_learnt_from(exclude):
    assert "petal_width" not in fit("example:iris", "species", exclude=exclude).model.features


def test_excluded_columns_may_come_from_an_iterator():
    assert "petal_width" not in fit("example:iris", "species", exclude=iter(["petal_width"])).model.features


def test_the_task_can_be_chosen():
    data = {"x": np.arange(60.0), "stars": np.arange(60) % 3 + 1}
    assert fit(data, "stars").task == "multiclass"
    assert fit(data, "stars", task="regression").task == "regression"


@pytest.mark.parametrize("loss", ["poisson", "squared_error", "huber"])
def test_a_loss_of_numbers_makes_numbers_of_counts(loss, tmp_path):
    data = {"x": np.arange(60.0), "visits": np.arange(60) % 3 + 1}
    result = fit(data, "visits", loss=loss)
    assert (result.task, fit(data, "visits").task) == ("regression", "multiclass")
    assert verify(result.model.save(tmp_path / "m.descender"), data).same_data
    with pytest.raises(CapabilityError, match="does not suit"):
        fit({"x": np.arange(60.0), "kind": list("abc") * 20}, "kind", loss=loss)


# --- what it says and writes

SCHEMA = {
    "task": str, "loss": str, "n_rows": int, "n_features": int, "method": str, "why": str, "converged": bool,
    "message": str, "cost": float, "certificate": dict, "metrics": dict, "reads": int, "seconds": dict,
    "findings": list, "told": list, "penalty": dict, "comparison": type(None),
    "model": str, "record": str, "report": str, "script": type(None), "pictures": dict,
}  # fmt: skip


def test_json_follows_its_schema(fitted, tmp_path):
    for result in fitted.values():
        before = result.as_json()
        assert (before["model"], before["record"], before["report"]) == (None, None, None)
        result.save(tmp_path)
        plain = json.loads(json.dumps(result.as_json(), allow_nan=False))
        assert {name: type(value) for name, value in plain.items()} == SCHEMA
        assert plain["certificate"].keys() >= {"kind", "rigorous", "gap", "relative"}
        assert plain["metrics"].keys() == {"train", "holdout", "baseline"}
        assert plain["seconds"].keys() >= {"read", "encode", "fit", "report"}
        assert all(seconds >= 0 for seconds in plain["seconds"].values())
        assert plain["converged"] is True
        assert plain["n_features"] == len(result.model.features)
        first = next(iter(plain["metrics"]["holdout"]))
        assert set(plain["metrics"]["holdout"]) >= set(plain["metrics"]["baseline"]) >= {first}
        for name in ("model", "record", "report"):
            assert Path(plain[name]).exists()


@pytest.mark.parametrize(
    "options",
    [
        {"data": "example:diabetes", "method": "gd", "learning_rate": 100.0},
        {"data": "example:diabetes", "method": "sgd", "learning_rate": 10.0, "epochs": 1},
        {"data": "example:blobs", "preset": "sigmoid", "start": [1e3, 1e3, 1e3]},
        {"data": "example:blobs", "l2": 0.0, "loss": "log_loss"},
        {"data": {"x": np.arange(40.0) - 19.5, "y": [0] * 20 + [1] * 20}, "target": "y", "l2": 0.0},
        {"data": {"x": np.arange(40.0), "y": np.arange(40.0)}, "target": "y", "l2": 0.0},
    ],
)
def test_json_and_files_hold_no_nan_even_when_a_walk_goes_wrong(options, tmp_path):
    result = fit(**options)
    result.save(tmp_path)
    json.dumps(result.as_json(), allow_nan=False)
    assert np.isfinite(result.walk.x).all()
    assert np.isfinite(result.walk.record["cost"][:1]).all()


def test_a_diverged_fit_says_so():
    result = fit("example:diabetes", method="gd", learning_rate=100.0)
    assert not result.walk.success
    assert result.as_json()["converged"] is False
    assert [finding.code for finding in result.findings] == ["D101"]
    with pytest.raises(DivergedError, match="stopped at step"):
        fit("example:diabetes", method="gd", learning_rate=100.0, on_divergence="raise")


def test_saving_writes_model_record_and_report(tmp_path):
    result = fit("example:breast_cancer")
    paths = result.save(tmp_path / "new folder")
    assert sorted(path.name for path in (tmp_path / "new folder").iterdir()) == [
        "diagnosis.descender",
        "diagnosis.html",
        "diagnosis.record.parquet",
    ]
    model, record = Model.load(paths["model"]), Record.load(paths["record"])
    assert np.array_equal(model.weights, result.model.weights)
    assert np.array_equal(record["cost"], result.walk.record["cost"], equal_nan=True)
    assert record.facts["metrics"] == result.metrics
    assert record.facts["certificate"] == result.certificate._asdict()
    assert "<h1>diagnosis</h1>" in paths["report"].read_text()
    assert result.save(tmp_path, name="other")["model"] == tmp_path / "other.descender"


def test_files_are_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    result = fit("example:heights")
    paths = result.save(tmp_path)
    before = {path: path.read_bytes() for path in paths.values()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match=r"weight\.descender cannot be written: No space left on device"):
        result.save(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    monkeypatch.undo()
    result.save(tmp_path)  # over its own files
    assert set(tmp_path.iterdir()) == set(paths.values())


def test_a_file_that_is_not_ours_is_not_replaced(tmp_path):
    mine = tmp_path / "weight.html"
    mine.write_text("my own page")
    with pytest.raises(OutputError, match=r"weight\.html"):
        fit("example:heights").save(tmp_path)
    assert mine.read_text() == "my own page"


@pytest.mark.parametrize("name", ["km/h", "../up", "ABSOLUTE", "", "nul\0"])
def test_names_of_targets_do_not_lead_out_of_the_folder(tmp_path, name):
    folder = tmp_path / "out"
    name = f"{tmp_path}/elsewhere" if name == "ABSOLUTE" else name
    paths = fit({"x": np.arange(30.0), name: np.arange(30.0) ** 2}, name).save(folder)
    assert {path.resolve().parent for path in paths.values()} == {folder}


@pytest.mark.parametrize("options", [{"seed": np.int64(3)}, {"l2": np.float32(0.1)}, {"l1": np.int64(1)}])
def test_options_may_be_numpy_scalars(tmp_path, options):
    result = fit("example:heights", **options)
    json.dumps(result.as_json(), allow_nan=False)
    result.save(tmp_path)


COMMANDS = {
    "plain": {"data": "example:breast_cancer"},
    "textbook": {"data": "example:breast_cancer", "method": "adam", "learning_rate": 0.05, "epochs": 3, "seed": 2},
    "l1 and exclude": {"data": "example:diabetes", "l1": 2.0, "exclude": ["age"], "holdout": 0.1},
}
LOST = {
    "preset": {"data": "example:blobs", "preset": "sigmoid"},
    "task": {"data": "example:wine", "target": "cultivar", "sql": "SELECT * FROM data WHERE cultivar <> 'class_0'"},
    "batch_size": {"data": "example:breast_cancer", "method": "minibatch", "batch_size": 7, "epochs": 2},
    "tol": {"data": "example:breast_cancer", "tol": 1e-2},
    "hyperparameter": {"data": "example:diabetes", "method": "momentum", "beta": 0.5, "epochs": 5},
    "start": {"data": "example:heights", "start": [1.0, 50.0], "method": "gd", "epochs": 5},
}


@pytest.mark.parametrize("case", [*COMMANDS, *LOST])
def test_the_same_again_is_the_same(case):
    result = fit(**(COMMANDS | LOST)[case])
    space = {}
    exec(result.options["command"], space)
    assert np.array_equal(space["result"].walk.x, result.walk.x)


def test_progress_hears_every_line():
    heard = []
    result = fit("example:iris", progress=lambda *line: heard.append(line))
    assert [line[:2] for line in heard] == [line[:2] for line in result.lines]
    assert [line[0] for line in heard] == ["read", "encoded", "penalty", "method", "descended", "held out"]
    assert all(isinstance(seconds, float) for _, _, seconds in heard)


def test_a_column_that_gives_the_answer_away_is_noticed(fitted):
    data = shop()
    data["receipt"] = np.where(np.array(data["bought"]) == "yes", 17.0, 0.0) + 0.1 * np.asarray(data["member"])
    found = fit(data, "bought", exclude=("plan", "spent")).findings
    assert [finding.code for finding in found] == ["D031"]
    assert found[0].title.startswith("receipt alone explains")
    assert found[0].remedy.endswith("--exclude receipt")
    assert all(result.findings == [] for result in fitted.values())


# --- the main job


@pytest.mark.slow
def test_all_flights_of_a_year(tmp_path):
    result = fit("example:flights")
    assert result.lines[0][1] == "336,776 rows, 19 columns; 9,430 rows without a target left out"
    assert (result.name, result.task, result.n_rows) == ("late", "binary", 327_346)
    assert result.walk.success
    assert result.certificate.rigorous
    assert result.certificate.relative <= 1e-6
    assert result.metrics["holdout"]["auc"] > 0.9
    assert result.metrics["holdout"]["log_loss"] < 0.25 < result.metrics["baseline"]["log_loss"]
    read = {feature.column for feature in result.model.encoder.details}
    assert not read & {"arr_delay", "arr_time", "late"}
    assert len(result.holdout_y) == pytest.approx(0.2 * 327_346, rel=0.01)
    paths = result.save(tmp_path)
    assert json.loads(json.dumps(result.as_json(), allow_nan=False))["converged"]
    rows = open_source("example:flights").table.slice(0, 5000)
    p = Model.load(paths["model"]).predict_proba(rows)
    assert np.array_equal(p, result.model.predict_proba(rows))


# --- what is refused

OK = "x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(40))
FILES = {
    "missing": (None, DataError, r"data\.csv: no such file; in .*did you mean data\.tsv"),
    "empty": ("", DataError, r"data\.csv is empty: expected a header line"),
    "blank": ("\n\n \n", DataError, r"data\.csv holds blank lines only"),
    "header only": ("x,y\n", DataError, r"data\.csv has a header and no row below it"),
    "one row": ("x,y\n1,2\n", DataError, r"data\.csv has one row: nothing to learn from"),
    "binary": (b"\x7fELF\0\0" + bytes(range(256)), DataError, r"data\.csv is a binary file: expected CSV"),
    "ragged": (
        "x,y\n1,0\n2,1\n3\n4,1\n",
        DataError,
        r'data\.csv, line 4 \("3"\) has 1 cell where the first line has 2',
    ),
    "ragged, too long": ("x,y\n1,0\n2,1,7\n3,1\n", DataError, r"data\.csv, line 3 .* has 3 cells .*must be quoted"),
    "open quote": ('x,y\n1,0\n"2,1\n3,1\n', DataError, r"data\.csv, line \d+ .*quote"),
    "cut gzip": (gzip.compress(OK.encode() * 50)[:60], DataError, r"data\.csv is a damaged gzip file"),
    "twice the same name": ("x,x,y\n1,2,0\n3,4,1\n", ColumnError, r'header of .*data\.csv names column "x" 2 times'),
    "no such target": (OK.replace("x,y", "x,z"), ColumnError, r'data\.csv has no column "y" to learn: known: x, z'),
    "one class": ("x,y\n1,a\n2,a\n3,a\n", TargetError, r'the target y is "a" in every row'),
    "no target anywhere": ("x,y\n1,NA\n2,\n3,\n", TargetError, "the target y has no value in any of the 3 rows"),
    "one target": ("x,y\n1,\n2,5\n3,\n", TargetError, "1 row has a value of y: nothing to learn from"),
    "an infinite target": ("x,y\n1,1.5\n2,inf\n3,2.5\n", TargetError, r"y is infinite in row 2 of .*data\.csv"),
    "an infinite cell": ("x,y\n1,1.5\n2,3\ninf,2.5\n", DataError, "column x, row 3 is infinite; correct the cell"),
    "all-missing columns": ("x,y\n,1.5\n,3\n,2.5\n", DataError, "no column is left to learn from: x has no value"),
    "constant columns": ("x,y\n7,1.5\n7,3\n7,2.5\n", DataError, "no column is left to learn from: x is constant"),
    "identifiers": (
        "x,y\n" + "".join(f"n{i},{i % 2}\n" for i in range(30)),
        DataError,
        "x has a different value in nearly every row",
    ),
    "too many classes": (
        "x,y\n" + "".join(f"{i},n{i}\n" for i in range(30)),
        TargetError,
        "y has 30 distinct values in 30 rows: too many to be classes",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_cannot_be_used_are_refused(tmp_path, case):
    content, kind, text = FILES[case]
    (tmp_path / "data.tsv").write_text(OK)
    path = tmp_path / "data.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DescenderError, match=text) as caught:
        fit(path, "y")
    assert type(caught.value) is kind
    assert isinstance(caught.value, ValueError)
    assert not any(word in str(caught.value) for word in ("Traceback", "duckdb", "numpy", "pandas", "LINE 1"))


TABLE = {"price": np.arange(40.0), "size": np.arange(40.0) ** 0.5, "y": [0, 1] * 20}
OPTIONS = {
    "no target": ({"target": None}, TargetError, "no target was given: name the column to predict"),
    "misspelt target": ({"target": "prise"}, ColumnError, "did you mean price"),
    "unknown loss": ({"loss": "logloss"}, OptionError, "loss='logloss'; did you mean log_loss"),
    "unfit loss": (
        {"loss": "softmax"},
        CapabilityError,
        "does not suit y, a binary target; use squared_error, log_loss",
    ),
    "unknown preset": ({"preset": "sigmoidal"}, OptionError, "preset='sigmoidal'; did you mean sigmoid"),
    "unfit preset": ({"target": "size", "preset": "sigmoid"}, CapabilityError, "does not suit size, a regression"),
    "unknown method": ({"method": "sdg"}, OptionError, "method='sdg'; did you mean sgd"),
    "unknown task": ({"task": "classify"}, OptionError, "known: binary, multiclass, regression"),
    "unfit task": ({"target": "size", "task": "binary"}, TargetError, "size has 40 distinct values"),
    "unknown option": ({"foo": 1}, OptionError, "has no option 'foo'"),
    "negative l2": ({"l2": -1.0}, OptionError, "l2=-1.0: a penalty strength is a finite number of at least 0"),
    "infinite l2": ({"l2": np.inf}, OptionError, "l2=inf"),
    "negative l1": ({"l1": -1.0}, OptionError, "l1=-1.0"),
    "holdout 1": ({"holdout": 1.0}, OptionError, "holdout=1.0: expected a share of at least 0 and below 1"),
    "negative holdout": ({"holdout": -0.1}, OptionError, "holdout=-0.1"),
    "holdout nan": ({"holdout": np.nan}, OptionError, "holdout=nan"),
    "seed 1.5": ({"seed": 1.5}, OptionError, "seed=1.5: expected an integer"),
    "negative rate": ({"learning_rate": -1.0}, OptionError, "must be a positive finite number"),
    "negative tol": ({"tol": -1.0}, OptionError, "tol=-1.0: expected a number of at least 0"),
    "negative epochs": ({"epochs": -1}, OptionError, "epochs=-1: expected a number of at least 0"),
    "half an epoch": ({"epochs": 0.5}, OptionError, "epochs=0.5: expected a whole number"),
    "batch_size 0": ({"batch_size": 0}, OptionError, "batch_size=0: expected 'full' or a whole number"),
    "beta 2": ({"method": "momentum", "beta": 2.0}, OptionError, "beta=2: expected a number of at least 0 and below 1"),
    "rate for lbfgs": ({"method": "lbfgs", "learning_rate": 0.1}, OptionError, "does not go with method='lbfgs'"),
    "short start": ({"start": [1.0]}, StartError, "expected 3 numbers, one each for price, size, intercept"),
    "nan start": ({"start": [1.0, np.nan, 0.0]}, StartError, "the start .*size = nan.* is not finite"),
    "misspelt exclude": ({"exclude": "prise"}, OptionError, "exclude: 'prise' is no column; did you mean price"),
    "nothing left": ({"exclude": ["price", "size"]}, DataError, "no column is left to learn from"),
    "bad expression": ({"target": "z = foo(price)"}, TargetError, 'the target "z = foo.price." cannot be evaluated'),
    "column of an expression": ({"target": "z = prise > 1"}, ColumnError, "reads prise, .* did you mean price"),
    "formula without a name": ({"target": "price > 3"}, ColumnError, 'a formula needs a name: "target = price > 3"'),
    "bad query": ({"sql": "SELECT * FROM nowhere"}, DataError, "the query cannot be run: .*nowhere"),
    "query that writes": ({"sql": "COPY data TO 'x.csv'"}, DataError, "expected one SELECT, which only reads"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options_that_cannot_be_used_are_refused(case):
    options, kind, text = OPTIONS[case]
    with pytest.raises(DescenderError, match=text) as caught:
        fit(TABLE, **({"target": "y"} | options))
    assert type(caught.value) is kind


def test_tables_in_memory_that_cannot_be_used_are_refused():
    X, y = np.ones((30, 2)), np.arange(30.0)
    for args, kind, text in [
        ((X, y[:7]), ShapeError, r"the features have 30 rows and the target shape \(7,\)"),
        ((X[:, 0], y), DataError, r"expected two dimensions"),
        ((X, y[:, None]), ShapeError, r"\(30, 1\)"),
        ((pd.DataFrame({"x": y}), y[:7]), ShapeError, "30 rows"),
        ((pd.DataFrame({"y": y}), y), OptionError, "a column is called y already"),
        ((pd.DataFrame([[1, 2, 3]] * 5, columns=["a", "a", "y"]), "y"), ColumnError, 'names column "a" 2 times'),
        ((None, "y"), DataError, "NoneType is no table"),
        ((X, "y"), ColumnError, 'has no column "y"'),
    ]:
        with pytest.raises(kind, match=text):
            fit(*args)


def test_rows_of_cells_that_are_wrong_are_counted_in_the_data_as_they_came():
    held = holdout(60, 0.2, 0)
    late = int(np.flatnonzero(~held)[20])
    y = np.arange(61.0)
    y[0] = np.nan  # a row without a target is left out, but counts
    x = np.arange(61.0)
    x[late + 1] = np.inf
    with pytest.raises(DataError, match=f"column x, row {late + 2} is infinite"):
        fit({"x": x, "y": y}, "y")


BUGS = {
    "the row of a held-out cell": (
        {"data": {"x": [np.inf if i == np.flatnonzero(holdout(40))[3] else i for i in range(40)], "y": [0, 1] * 20}},
        f"column x, row {np.flatnonzero(holdout(40))[3] + 1} is infinite",
    ),
    "tol=0": ({"tol": 0}, "tol"),
    "negative seed": ({"seed": -1, "method": "sgd"}, "seed"),
    "l2 as text": ({"l2": "strong"}, "l2='strong'"),
    "l1 as text": ({"l1": "0.1"}, "l1='0.1'"),
    "holdout as text": ({"holdout": "some"}, "holdout='some'"),
    "max_epochs": ({"max_epochs": 3}, "epochs"),
    "nan shown": ({"data": "example:diabetes", "target": "progression", "method": "gd", "learning_rate": 100.0,
                   "max_steps": 3000, "on_divergence": "continue"}, "finite"),
    "an Arrow table beside y": ({"data": pa.table({"x": [1.0, 2.0]}), "target": np.ones(3)}, "different lengths|shape"),
    "a path beside y": ({"data": "data.csv", "target": np.ones(3)}, "data.csv"),
    "the target excluded": ({"exclude": "y"}, "exclude"),
    "a callback that is none": ({"callback": 5}, "callback"),
}  # fmt: skip


@pytest.mark.parametrize("case", BUGS)
def test_more_that_should_be_refused(case):
    options, text = BUGS[case]
    with pytest.raises(DescenderError, match=text):
        fit(**({"data": TABLE, "target": "y"} | options))


@pytest.mark.parametrize("options", [{"epochs": 0}, {"max_steps": 0}])
def test_a_budget_of_nothing_gives_the_start(options):
    result = fit("example:heights", **options)
    assert result.walk.x.tolist() == [0.0, 0.0]
    assert not result.walk.success


def test_the_encoder_is_the_one_of_the_training_rows(fitted):
    table = open_source(shop()).table.drop_columns(["bought", "plan", "spent"])
    learnt = Encoder.learn(table, rows=~holdout(600))
    assert fitted["shop, two classes"].model.encoder.to_json() == learnt.to_json()
    assert fitted["shop, two classes"].model.encoder.to_json() != Encoder.learn(table).to_json()


def test_a_time_must_have_an_order():
    names = np.array(["Ulm", "Bonn"])[np.arange(60) % 2]
    quarters = [f"{2000 + i // 4}-Q{1 + i % 4}" for i in range(60)]
    table = {"town": names, "quarter": quarters, "x": np.arange(60.0) % 7, "y": np.arange(60.0)}
    frame = pa.table(table)
    with pytest.raises(DataError, match=r"the time town holds text such as '(Ulm|Bonn)', which has no order in time"):
        fit(frame, "y", time="town", compare=False)
    assert fit(frame, "y", time="quarter", compare=False).metrics["holdout"]


def test_whole_numbers_that_were_taken_as_classes_are_told():
    frame = pa.table({"x": np.arange(60.0), "stars": np.arange(60) % 3})
    told = []
    fit(frame, "stars", compare=False, progress=lambda word, text, seconds: told.append((word, text)))
    expected = "stars has 3 whole numbers, taken as classes; if they are quantities: task regression"
    assert ("target", expected) in told
    told.clear()
    fitted = fit(frame, "stars", task="regression", compare=False, progress=lambda word, *_: told.append(word))
    assert "target" not in told
    assert "rmse" in fitted.metrics["train"]
