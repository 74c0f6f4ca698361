"""fit: a table and a target to the model of scikit-learn, to the last digits; a whole year of flights."""

import datetime as dt
import json

import numpy as np
import pytest
from shop import CASES, cost, reference, shop, training_rows
from sklearn.linear_model import Lasso

from descender import fit
from descender.data.source import open_source
from descender.model import Model


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
