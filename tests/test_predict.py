"""Predictions of a saved model: the same bits from every source, in constant memory, and nothing lost."""

import errno
import gzip
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import descender.data.blocks
import descender.record
from descender import Model, fit
from descender.cli import app
from descender.data.blocks import open_blocks
from descender.errors import ColumnError, DataError, OptionError, OutputError, RecordError
from descender.verbs.predict import predict

RNG = np.random.default_rng(0)
N = 700
WORDS = ("late again", "very good", "good seat", "late and bad")
FRAME = pd.DataFrame(
    {
        "x": np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(3, 2, N).round(6)),
        "count": RNG.integers(0, 50, N),
        "colour": RNG.choice(["red", "green", "blue"], N),
        "code": RNG.choice(["01", "02", "10"], N),
        "open": RNG.random(N) < 0.5,
        "day": (np.datetime64("2020-01-01", "D") + RNG.integers(0, 700, N)).astype("datetime64[s]"),
        "note": [f"{WORDS[k]} {i}" for i, k in enumerate(RNG.integers(0, 4, N))],
    }
)  # fmt: skip
Z = np.nan_to_num(FRAME.x.to_numpy()) + (FRAME.colour == "red") + FRAME.note.str.contains("late")
TARGETS = {
    "binary": np.where(Z + RNG.normal(size=N) > 3.5, "yes", "no"),
    "multiclass": np.digitize(Z + RNG.normal(size=N), [2, 4]) * 10,
    "regression": 2 * Z + RNG.normal(size=N),
}


@pytest.fixture(scope="module")
def models():
    return {task: fit(FRAME.assign(y=y), "y").model for task, y in TARGETS.items()}


@pytest.fixture
def folder(tmp_path, monkeypatch, models):
    """A folder to work in, with the models and the data in every form."""
    monkeypatch.chdir(tmp_path)
    for task, model in models.items():
        model.save(f"{task}.descender")
    FRAME.to_csv("d.csv", index=False)
    FRAME.to_csv("tabs.tsv", index=False, sep="\t")
    FRAME[FRAME.columns[::-1]].assign(extra=1, more="a").to_csv("turned.csv", index=False)
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress((tmp_path / "d.csv").read_bytes()))
    FRAME.to_parquet("d.parquet", index=False, row_group_size=100)
    lines = [
        json.dumps({k: None if v != v else v for k, v in row.items()}, default=str) for row in FRAME.to_dict("records")
    ]
    (tmp_path / "d.jsonl").write_text("\n".join(lines))
    return tmp_path


def run(*words, stdin=None):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False, input=stdin)


SOURCES = ("d.csv", "tabs.tsv", "turned.csv", "d.csv.gz", "d.parquet", "d.jsonl")


@pytest.mark.parametrize("task", TARGETS)
def test_every_source_has_the_same_bits_however_it_is_cut(folder, models, task, monkeypatch):
    model = models[task]
    assert {column.name for column in model.encoder.columns} == set(FRAME.columns)
    expected = model.decision_function(FRAME)
    tables = [pa.Table.from_pandas(FRAME), pl.from_pandas(FRAME), *SOURCES]
    for rows in (65_536, 64, 7):
        monkeypatch.setattr(descender.data.blocks, "ROWS", rows)
        for data in tables if rows != 7 else tables[-2:]:
            assert np.array_equal(model.decision_function(data), expected), (rows, data)
    X = model.encoder.transform(pa.Table.from_pandas(FRAME))
    np.testing.assert_allclose(model.scores(X), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_file_holds_what_the_model_predicts(folder, models, task, ending):
    model = models[task]
    done = predict(f"{task}.descender", "d.csv", f"out.{ending}", keep="code")
    table = pa.csv.read_csv("out.csv", convert_options=pa.csv.ConvertOptions(column_types={"code": pa.string()})) \
        if ending == "csv" else pq.read_table("out.parquet")  # fmt: skip
    assert tuple(table.column_names) == done.columns
    assert table["code"].to_pylist() == FRAME.code.tolist()
    assert table["predicted"].to_pylist() == model.predict(FRAME).tolist()
    if task != "regression":
        for k, label in enumerate(model.coding.classes):
            assert np.array_equal(table[f"p({label})"].to_numpy(), model.predict_proba(FRAME)[:, k])
        assert done.predicted == {str(c): int((model.predict(FRAME) == c).sum()) for c in model.coding.classes}
    assert done.rows == N
    assert done.missing == {"x": int(FRAME.x.isna().sum())}
    assert done.rare == {}


def test_standard_input_to_standard_output(folder, models):
    text = (folder / "d.csv").read_text()
    result = run("predict", "binary.descender", "-", "--keep", "*", stdin=text)
    assert result.exit_code == 0
    rows = pd.read_csv(io.StringIO(result.stdout), dtype={"code": str})
    assert rows.columns.tolist() == [*FRAME.columns, "predicted", "p(no)", "p(yes)"]
    assert rows.predicted.tolist() == models["binary"].predict(FRAME).tolist()
    assert rows.code.tolist() == FRAME.code.tolist()
    assert f"x: {FRAME.x.isna().sum()} cells without a value" in result.stderr


def test_what_is_odd_is_counted_and_told(folder):
    odd = FRAME.assign(colour=["mauve"] * 3 + [None] * 2 + ["red"] * (N - 5), y="?", extra=1)
    odd.to_csv("odd.csv", index=False)
    result = run("predict", "binary.descender", "odd.csv", "--out", "p.csv", "--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert said["rare"] == {"colour": 3}
    assert said["missing"] == {"colour": 2, "x": int(FRAME.x.isna().sum())}
    assert said["ignored"] == ["extra"]  # and not y, the target
    assert said["rows"] == N
    assert sum(said["predicted"].values()) == N
    told = run("predict", "binary.descender", "odd.csv", "--out", "p.csv").stdout
    assert "colour: 3 cells of a category rare or unseen in training" in told
    assert "not read, as the model does not know them: extra" in told


def with_x(value):
    """The data with one other cell, in row 501."""
    return lambda frame: frame.assign(x=[value if i == 500 else v for i, v in enumerate(frame.x)])


REFUSED = {
    "no column": (lambda f: f.drop(columns="x"), r"lack 1 column that the model reads: x"),
    "text": (with_x("soon"), 'row 501 is "soon": expected a number'),
    "infinite": (with_x(np.inf), "column x, row 501 is infinite"),
    "huge": (with_x(1e308), r"column x, row 501 is 1e\+308"),
    "no date": (lambda f: f.assign(day=["soon"] * N), 'column day, row 1 is "soon": expected dates'),
    "twice": (lambda f: f.rename(columns={"count": "x"}), 'names column "x" 2 times'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_data_are_refused_and_nothing_is_lost(folder, case):
    change, text = REFUSED[case]
    change(FRAME).to_csv("wrong.csv", index=False)
    assert run("predict", "binary.descender", "d.csv", "--out", "p.csv").exit_code == 0
    before = (folder / "p.csv").read_bytes()
    names = set(os.listdir())
    result = run("predict", "binary.descender", "wrong.csv", "--out", "p.csv")
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert re.search(text, " ".join(result.stderr.split()))
    assert (folder / "p.csv").read_bytes() == before
    assert set(os.listdir()) == names


def test_a_wrong_cell_far_down_is_named_by_its_row(folder, monkeypatch):
    monkeypatch.setattr(descender.data.blocks, "ROWS", 64)
    wrong = FRAME.assign(count=["many" if i == 600 else v for i, v in enumerate(FRAME["count"])])
    wrong.to_parquet("wrong.parquet", index=False) if False else wrong.astype({"count": str}).to_parquet(
        "wrong.parquet"
    )
    with pytest.raises(DataError, match='column count, row 601 is "many": expected a number'):
        predict("binary.descender", "wrong.parquet", "p.csv")
    long = pd.concat([FRAME] * 60).assign(count=["many" if i == 40_000 else 1 for i in range(60 * N)])
    long.to_csv("long.csv", index=False)
    with pytest.raises(DataError, match=r'(line 40,002|row 40,001).*"many"'):
        predict("binary.descender", "long.csv", "p.csv")
    ragged = (folder / "d.csv").read_text() + "1,2\n"
    (folder / "ragged.csv").write_text(ragged)
    with pytest.raises(DataError, match=r'line 702 \("1,2"\) has 2 cells where the first line has 7'):
        predict("binary.descender", "ragged.csv", "p.csv")
    assert not (folder / "p.csv").exists()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_full_disk_loses_nothing(folder, monkeypatch, ending):
    out = f"p.{ending}"
    predict("regression.descender", "d.csv", out)
    before, names = (folder / out).read_bytes(), set(os.listdir())
    real = os.fdopen

    class Full(io.RawIOBase):
        def __init__(self, file):
            self.file, self.room = file, 2_000

        def writable(self):
            return True

        def write(self, data):
            self.room -= len(data)
            if self.room < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self.file.write(data)

        def close(self):
            self.file.close()
            super().close()

    monkeypatch.setattr(descender.record.os, "fdopen", lambda handle, mode: Full(real(handle, mode)))
    with pytest.raises(OutputError, match="cannot be written: No space left on device; nothing was replaced"):
        predict("regression.descender", "d.csv", out)
    monkeypatch.undo()
    os.chdir(folder)
    assert (folder / out).read_bytes() == before
    assert set(os.listdir()) == names


def test_options_that_are_refused(folder):
    for words, text in [
        (["d.csv", "--out", "p.txt"], "ends in .csv or .parquet"),
        (["d.csv", "--out", "d.csv", "--force"], "is the data themselves"),
        (["d.csv", "--out", "turned.csv"], "was not written by descender"),
        (["d.csv", "--keep", "colr", "--out", "p.csv"], "'colr' is no column of d.csv; did you mean colour?"),
        (["d.csv", "--json"], "--out"),
        ([], "no data were given"),
        (["nothing.csv"], "no such file"),
    ]:
        result = run("predict", "binary.descender", *words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert text in " ".join(result.stderr.split())
    assert run("predict", "nothing.descender", "d.csv").exit_code == 2
    (folder / "cut.descender").write_bytes((folder / "binary.descender").read_bytes()[:-9])
    assert "cannot be read as a model" in run("predict", "cut.descender", "d.csv").stderr
    with pytest.raises(RecordError):
        predict("cut.descender", "d.csv", "p.csv")
    FRAME.assign(predicted=1).to_csv("again.csv", index=False)
    with pytest.raises(ColumnError, match="has the name of a prediction"):
        predict("binary.descender", "again.csv", "p.csv", keep="*")
    with pytest.raises(OptionError):
        predict("binary.descender", "d.csv", "p")


def test_a_query_may_choose_the_rows(folder, models):
    done = run(
        "predict", "regression.descender", "d.parquet", "--sql", "SELECT * FROM data WHERE open", "--out", "p.parquet"
    )
    assert done.exit_code == 0
    found = pq.read_table("p.parquet")["predicted"].to_numpy()
    assert np.array_equal(found, models["regression"].predict(FRAME[FRAME.open]))
    assert run("predict", "regression.descender", "d.csv", "--sql", "SELECT nonsense FROM data").exit_code == 2
    empty = run(
        "predict", "regression.descender", "d.csv", "--sql", "SELECT * FROM data WHERE x > 1e9", "--out", "q.csv"
    )
    assert empty.exit_code == 2
    assert "has no rows: nothing to predict" in empty.stderr


def test_an_array_is_predicted_from_its_file(folder):
    X = RNG.normal(size=(300, 3))
    model = fit(X, X @ [1.0, 2.0, 3.0]).model
    np.save("x.npy", X)
    assert np.array_equal(model.predict("x.npy"), model.predict(X))
    with open_blocks("x.npy", {"x1": "number"}) as blocks:
        assert [table.column_names for table in blocks] == [["x1"]]


def test_scores_without_probabilities_are_called_scores(folder):
    model = fit(FRAME.assign(y=TARGETS["binary"]), "y", loss="squared_hinge", l2=0.01).model
    done = predict(model, FRAME, "p.csv")
    assert done.columns == ("predicted", "score")
    assert Model.load(model.save("h.descender")).predict(FRAME).tolist() == pd.read_csv("p.csv").predicted.tolist()


def test_a_reader_who_leaves_early_is_no_error(folder):
    pd.concat([FRAME] * 100).to_csv("many.csv", index=False)
    command = f"{sys.executable} -m descender.cli predict binary.descender many.csv | head -n 2"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=200)
    assert done.stdout.startswith('"predicted"')
    assert "Traceback" not in done.stderr
