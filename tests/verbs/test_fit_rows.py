"""fit: which rows teach and which judge, and what the model may know of them."""

import datetime as dt
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from shop import shop

from descender import fit
from descender.data.encode import Encoder
from descender.data.source import add_target, open_source
from descender.data.split import holdout, latest, some_groups
from descender.errors import (
    DataError,
    TargetError,
)
from descender.verbs.verify import verify


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


def test_beside_the_data_a_fit_needs_little_more_than_the_design_matrix():
    n, d = 80_000, 60
    rng = np.random.default_rng(0)
    columns = {f"x{j}": rng.standard_normal(n) for j in range(d)}
    data = pa.table(columns | {"y": columns["x0"] + rng.standard_normal(n) > 0})
    fit(data.slice(0, 200), "y", l2=1e-3)  # what is imported and compiled once
    del columns
    tracemalloc.start()
    result = fit(data, "y", l2=1e-4)
    peak = tracemalloc.get_traced_memory()[1] / (8 * n * d)
    tracemalloc.stop()
    assert 1.0 < peak < 1.3  # both sides of the matrix are there, and no second copy of either
    assert result.walk.success
