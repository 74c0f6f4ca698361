"""fit: the same model from every form of the same data; targets that are made of columns."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from descender import fit
from descender.data.source import open_source
from descender.errors import (
    CapabilityError,
)
from descender.verbs.verify import verify


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
