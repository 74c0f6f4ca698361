"""fit: what is refused, and in which words."""

import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from descender import fit
from descender.data.split import holdout
from descender.errors import (
    CapabilityError,
    ColumnError,
    DataError,
    DescenderError,
    OptionError,
    ShapeError,
    StartError,
    TargetError,
)

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
