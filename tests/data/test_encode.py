"""The laws of encoding: rows by themselves, training rows only, columns by name, and back to raw units."""

import datetime as dt
import json
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from descender.data import encode
from descender.data.columns import Number, mean_and_deviation
from descender.data.encode import Encoder
from descender.errors import ColumnError, DataError, RecordError, ShapeError

START = dt.datetime(2020, 1, 1)


@st.composite
def tables(draw):
    """Tables with a column of every kind, some cells missing."""
    n = draw(st.integers(4, 40))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    holes = draw(st.sampled_from([0.0, 0.2, 0.9]))
    offset, spread = draw(st.sampled_from([(0.0, 1.0), (1e9, 1e-3), (-1e200, 1e150), (1e-200, 1e-220)]))
    columns = {
        "number": pa.array(offset + spread * rng.standard_normal(n), mask=rng.random(n) < holes),
        "whole": pa.array(rng.integers(-5, 5, n).astype(np.int16), mask=rng.random(n) < holes),
        "truth": pa.array(rng.random(n) < 0.5, mask=rng.random(n) < holes),
        "colour": pa.array(rng.choice(["red", "green", "blue", "(rare)", ""], n), mask=rng.random(n) < holes),
        "level": pa.array(rng.choice(["low", "high"], n)).dictionary_encode(),
        "when": pa.array([START + dt.timedelta(hours=int(h)) for h in rng.integers(0, 20_000, n)]),
        "day": pa.array([(START + dt.timedelta(days=int(d))).date() for d in rng.integers(0, 900, n)]),
    }
    table = pa.table(columns)
    return table if draw(st.booleans()) else table.take(np.arange(n)).slice(0, n // 2 + 2)


def learnt(table, **options):
    """An encoder, or None for a table in which nothing varies."""
    try:
        return Encoder.learn(table, **options)
    except DataError:
        return None


@given(tables())
def test_a_row_is_encoded_by_itself_and_columns_are_found_by_name(table):
    encoder = learnt(table)
    if encoder is None:
        return
    X = encoder.transform(table)
    assert X.shape == (table.num_rows, len(encoder.features))
    assert X.flags.c_contiguous
    assert np.isfinite(X).all()
    assert len(set(encoder.features)) == len(encoder.features)
    shuffled = table.select(table.column_names[::-1]).append_column("more", pa.nulls(table.num_rows))
    assert np.array_equal(encoder.transform(shuffled), X)
    one_by_one = [encoder.transform(table.slice(i, 1)) for i in range(table.num_rows)]
    assert np.array_equal(np.concatenate(one_by_one), X)
    chunked = pa.concat_tables([table.slice(0, 3), table.slice(3)])
    assert np.array_equal(Encoder.learn(chunked).transform(chunked), X)
    order = np.random.default_rng(0).permutation(table.num_rows)
    assert np.array_equal(encoder.transform(table.take(order)), X[order])


@given(tables())
def test_an_encoder_survives_json(table):
    encoder = learnt(table)
    if encoder is not None:
        again = Encoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False)))
        assert again == encoder
        assert again.features == encoder.features
        assert np.array_equal(again.transform(table), encoder.transform(table))


@given(tables(), st.integers(0, 99))
def test_it_learns_from_training_rows_only(table, seed):
    rng = np.random.default_rng(seed)
    mask = rng.random(table.num_rows) < 0.6
    mask[:2] = True
    encoder = learnt(table, rows=mask)
    other = table.take(np.where(mask, np.arange(table.num_rows), rng.integers(0, table.num_rows, table.num_rows)))
    assert learnt(other, rows=mask) == encoder
    assert learnt(table, rows=np.flatnonzero(mask)) == encoder
    assert learnt(table.filter(pa.array(mask))) == encoder


def test_the_law_of_training_rows_catches_an_encoder_that_looks_at_all(monkeypatch):
    table, other = pa.table({"x": [1.0, 2.0, 3.0]}), pa.table({"x": [1.0, 2.0, 9.0]})
    mask = [True, True, False]
    assert learnt(table, rows=mask) == learnt(other, rows=mask)
    monkeypatch.setattr(encode, "_chosen", lambda rows, n: None)
    assert learnt(table, rows=mask) != learnt(other, rows=mask)


@given(tables(), st.integers(1, 3), st.integers(0, 99))
def test_raw_coefficients_predict_the_same(table, outputs, seed):
    encoder = learnt(table, exclude=["number"])
    if encoder is None:
        return
    rng = np.random.default_rng(seed)
    beta, b = rng.standard_normal((len(encoder.features), outputs)), rng.standard_normal(outputs)
    X = encoder.transform(table)
    raw, intercept = encoder.raw(beta, b)
    mean = np.array([f.mean if f.kind == "number" else 0.0 for f in encoder.details])
    scale = np.array([f.scale for f in encoder.details])
    assert np.allclose((X * scale + mean) @ raw + intercept, X @ beta + b, rtol=1e-9, atol=1e-9)
    single, alone = encoder.raw(beta[:, 0], b[0])
    assert np.allclose(single, raw[:, 0])
    assert np.allclose(alone, intercept[0])


def test_raw_coefficients_are_those_of_the_columns_as_they_were():
    rng = np.random.default_rng(0)
    x, z = rng.normal(1e6, 10, 200), rng.normal(0, 1e-4, 200)
    encoder = Encoder.learn(pa.table({"x": x, "z": z}))
    X = np.column_stack([encoder.transform(pa.table({"x": x, "z": z})), np.ones(200)])
    *beta, b = np.linalg.lstsq(X, 3 * x - 2e4 * z + 7, rcond=None)[0]
    raw, intercept = encoder.raw(beta, b)
    assert np.allclose(raw, [3, -2e4], rtol=1e-9)
    assert np.isclose(intercept, 7, rtol=1e-3)
    with pytest.raises(ShapeError, match=r"shape \(3,\): expected a row for each of 2 features"):
        encoder.raw([1, 2, 3], 0)


@given(hnp.arrays(np.float64, st.integers(2, 50), elements=st.floats(-1e300, 1e300)))
def test_mean_and_deviation_against_exact_arithmetic(x):
    from fractions import Fraction

    exact = [Fraction(v) for v in x.tolist()]
    mean = sum(exact) / len(exact)
    variance = sum((v - mean) ** 2 for v in exact) / len(exact)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours, deviation = mean_and_deviation(x)
    size = float(np.abs(x).max())
    if not deviation:  # equal values, or as good as
        assert np.ptp(x / 4) <= 1e-288
        return
    assert abs(ours - float(mean)) <= 4e-15 * size
    largest = float(max(abs(v - mean) for v in exact))
    relative = float(variance / Fraction(largest) ** 2) ** 0.5
    assert abs(deviation / largest - relative) <= 1e-12 + 4e-15 * size / largest


def test_a_large_offset_costs_no_digits():
    x = np.random.default_rng(0).standard_normal(10_000)
    number = Number.learn("x", pa.chunked_array([x + 2.0**40]))
    assert np.isclose(number.scale, x.std(), rtol=1e-4)  # x + 2**40 is itself rounded to 2e-4
    naive = np.mean((x + 2.0**40) ** 2) - np.mean(x + 2.0**40) ** 2
    assert not np.isclose(naive, x.var(), rtol=1e-2)  # the formula that would have failed


def test_numbers_are_standardised_and_say_where_they_are_missing():
    table = pa.table({"x": [1.0, None, 3.0, float("nan")], "y": [5, 6, 7, 8]})
    encoder = Encoder.learn(table)
    assert encoder.features == ("x", "x is missing", "y")
    assert encoder.transform(table)[:, :2].tolist() == [[-1, 0], [0, 1], [1, 0], [0, 1]]
    assert [(f.column, f.kind, f.mean, f.scale) for f in encoder.details[:2]] == [
        ("x", "number", 2.0, 1.0),
        ("x", "missing", 0.5, 1.0),
    ]
    whole = Encoder.learn(pa.table({"x": [1.0, 3.0]}))
    assert whole.features == ("x",)
    assert whole.transform(pa.table({"x": pa.array([None, 3.0])})).tolist() == [[0.0], [1.0]]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, 3], pa.decimal128(10, 2)),
        pa.array([1, 2, 3], pa.uint64()),
        pa.array([1, 2, 3], pa.float32()),
        pa.array([1, 2, 3], pa.float16()),
        pa.array([1, 2, 3], pa.duration("ms")),
        pa.array([1, 2, 3], pa.time32("s")),
        pa.array([1, 2, 3], pa.time64("ns")),
    ],
    ids=lambda column: str(column.type),
)
def test_every_type_of_number(column):
    X = Encoder.learn(pa.table({"x": column})).transform(pa.table({"x": column}))
    assert np.allclose(X[:, 0], np.array([-1, 0, 1]) * np.sqrt(1.5))


def test_single_precision_is_the_rounding_of_double():
    table = pa.table({"x": np.linspace(0, 1, 50), "c": ["a", "b"] * 25})
    encoder = Encoder.learn(table)
    X = encoder.transform(table, dtype=np.float32)
    assert X.dtype == np.float32
    assert np.array_equal(X, encoder.transform(table).astype(np.float32))


def test_categories_keep_frequent_levels():
    values = ["a"] * 700 + ["b"] * 280 + ["c"] * 11 + ["d"] * 9
    table = pa.table({"c": values})
    encoder = Encoder.learn(table)
    assert encoder.features == ("c = a", "c = b", "c = c", "c = (rare)")
    assert encoder.told == ("c: 1 value of fewer than 10 training rows shares (rare)",)
    assert encoder.transform(table).sum(axis=1).tolist() == [1.0] * 1000
    assert encoder.transform(pa.table({"c": ["new", None, "a"]})).tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0]]
    assert [f.mean for f in encoder.details] == [0.7, 0.28, 0.011, 0.009]


def test_unseen_levels_are_zeros_without_a_rare_level():
    encoder = Encoder.learn(pa.table({"c": ["a", "b", "c"] * 2}))
    assert encoder.transform(pa.table({"c": ["new", None, "", "c"]})).tolist() == [[0, 0, 0]] * 3 + [[0, 0, 1]]


def test_missing_cells_are_a_level_however_they_are_spelt():
    encoder = Encoder.learn(pa.table({"c": ["a", "b", None, "", "(missing)"] * 2}))
    assert encoder.features == ("c = a", "c = b", "c = (missing)")
    assert encoder.transform(pa.table({"c": [None, "", "(missing)", "a"]}))[:, 2].tolist() == [1, 1, 1, 0]


def test_of_two_levels_one_feature_is_enough():
    assert Encoder.learn(pa.table({"c": ["m", "f"] * 5})).features == ("c = m",)
    assert Encoder.learn(pa.table({"c": ["f", "f", None] * 5})).features == ("c = (missing)",)
    assert Encoder.learn(pa.table({"c": ["f"] * 8 + ["q", "r"]})).features == ("c = f",)


def test_at_most_a_thousand_levels():
    values = [f"v{k % 1000:03}" for k in range(12_000)]
    assert len(Encoder.learn(pa.table({"c": values})).features) == 1000
    encoder = Encoder.learn(pa.table({"c": [*values, "v000"]}))  # 13 of 12,001 rows are 0.1 %, 12 are not
    assert encoder.features == ("c = v000",)
    assert encoder.told == ("c: 999 values of fewer than 13 training rows share (rare)",)


def test_moments_in_parts():
    when = [dt.datetime(2020, 1, 6, 7), dt.datetime(2021, 2, 9, 7), dt.datetime(2021, 3, 9, 7), None]
    encoder = Encoder.learn(pa.table({"t": when}))
    assert encoder.features == (
        "t: days",
        "t: month = 1",
        "t: month = 2",
        "t: month = 3",
        "t: weekday = Tuesday",
        "t is missing",
    )
    assert encoder.told == ("t: the hour is constant: left out",)
    X = encoder.transform(pa.table({"t": when}))
    assert X[:, 1:].tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    text = pa.table({"t": ["2020-01-06 07:00:00", "2021-02-09T07:00", None]})
    assert np.array_equal(encoder.transform(text), X[[0, 1, 3]])
    assert {f.kind for f in encoder.details} == {"number", "month", "weekday", "missing"}
    assert {f.column for f in encoder.details} == {"t"}


def test_moments_are_taken_apart_in_the_zone_that_was_learnt():
    hours = [dt.datetime(2020, 1, 1, h, tzinfo=dt.UTC) for h in (0, 6, 12)]
    for zone, shown in (("UTC", [0, 6, 12]), ("America/New_York", [1, 7, 19])):
        here = pa.table({"t": pa.array(hours, pa.timestamp("us", zone))})
        encoder = Encoder.learn(here)
        assert [f.name for f in encoder.details if f.kind == "hour"] == [f"t: hour = {h}" for h in sorted(shown)]
        elsewhere = pa.table({"t": pa.array(hours, pa.timestamp("ms", "Asia/Tokyo"))})
        assert np.array_equal(encoder.transform(elsewhere), encoder.transform(here))


def test_columns_that_tell_nothing_are_left_out_and_told():
    n = 40
    table = pa.table(
        {
            "x": np.arange(n),
            "same": [7] * n,
            "empty": pa.nulls(n),
            "no text": pa.nulls(n, pa.string()),
            "one word": ["a"] * n,
            "true": [True] * n,
            "day": [dt.date(2020, 1, 1)] * n,
            "id": [f"row {k}" for k in range(n)],
            "list": [[1]] * n,
            "holes": [7, None] * (n // 2),
        }
    )
    encoder = Encoder.learn(table)
    assert encoder.features == ("x", "holes is missing")
    assert dict(encoder.dropped) == {
        "same": "constant",
        "empty": "no value",
        "no text": "no value",
        "one word": "constant",
        "true": "constant",
        "day": "constant",
        "id": "identifier",
        "list": "not usable",
        "holes": "constant",
    }
    assert "same is constant in the training rows: left out" in encoder.told
    assert "holes is constant in the training rows: only whether it is missing is kept" in encoder.told
    assert "id has a different value in nearly every row, as an identifier has: left out" in encoder.told
    assert encoder.summary() == (
        "10 columns as 2 features: 1 number standardised, 5 dropped (constant), 2 dropped (no value), "
        "1 dropped (identifier), 1 dropped (not usable)"
    )
    with pytest.raises(DataError, match="no column is left to learn from: same is constant"):
        Encoder.learn(table.select(["same"]))


def test_features_of_the_same_name_are_told_apart():
    table = pa.table({"x": [1.0, None, 2.0, 4.0], "x is missing": [1, 2, 3, 4]})
    assert Encoder.learn(table).features == ("x", "x is missing", "x is missing (2)")


TABLE = pa.table({"x": [1.0, 2.0, 3.0], "c": ["a", "b", "a"], "t": [True, False, True], "d": [START, None, START]})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"x": ["1", "2", "three"]}, 'column x, row 3 is "three": expected a number, as in training'),
        ({"x": [1.0, float("inf"), 2.0]}, "column x, row 2 is infinite"),
        ({"x": [1.0, 2.0, -1e301]}, r"column x, row 3 is -1e\+301: magnitudes above 1e\+300"),
        ({"x": [START] * 3}, r"column x, row 1 is a timestamp\[us\]: expected numbers"),
        ({"t": [0, 1, 2]}, "column t, row 3 is 2: expected true or false"),
        ({"t": ["yes", "no", "maybe"]}, 'column t, row 3 is "maybe": expected true or false'),
        ({"d": ["2020-01-01", "soon", None]}, 'column d, row 2 is "soon": expected dates or times'),
        ({"d": [1, 2, 3]}, "column d, row 1 is a int64: expected dates or times"),
        ({"c": [[1], [2], [3]]}, "column c cannot be encoded"),
    ],
)
def test_cells_of_another_kind_are_refused_with_their_row(change, text):
    encoder = Encoder.learn(TABLE)
    table = pa.table({name: change.get(name, TABLE[name]) for name in TABLE.column_names})
    with pytest.raises(DataError, match=text):
        encoder.transform(table)


def test_cells_that_spell_the_same_are_accepted():
    encoder = Encoder.learn(TABLE)
    spelt = pa.table({"x": ["1", " 2", "3.0"], "c": ["a", "b", "a"], "t": ["true", "false", "true"], "d": TABLE["d"]})
    assert np.array_equal(encoder.transform(spelt), encoder.transform(TABLE))
    signs = pa.table(
        dict(zip(spelt.column_names, spelt.columns, strict=True)) | {"x": ["$1", "2 %", "3.0"], "t": ["Yes", "no", "T"]}
    )
    assert np.array_equal(encoder.transform(signs), encoder.transform(TABLE))
    empty = pa.table({name: pa.nulls(2) for name in TABLE.column_names})
    assert encoder.transform(empty)[:, 0].tolist() == [0, 0]


def test_errors_give_the_row_its_number_in_the_file():
    table = pa.table({"x": [1.0, 2.0, float("inf"), 4.0]})
    with pytest.raises(DataError, match="column x, row 30 is infinite"):
        Encoder.learn(table, row_numbers=np.array([10, 20, 30, 40]))
    with pytest.raises(DataError, match="column x, row 30 is infinite"):
        Encoder.learn(table, rows=[1, 2, 3], row_numbers=np.array([10, 20, 30, 40]))
    with pytest.raises(DataError, match="column x, row 3 is infinite"):
        Encoder.learn(table, rows=[1, 2, 3])
    held_out = Encoder.learn(table, rows=[0, 1, 3])  # the infinite cell is not among the training rows
    with pytest.raises(DataError, match="column x, row 30 is infinite"):
        held_out.transform(table, row_numbers=np.array([10, 20, 30, 40]))


def test_a_standardised_value_that_overflows_is_refused():
    encoder = Encoder.learn(pa.table({"x": [1.0, 1.0 + 1e-15]}))
    with pytest.raises(DataError, match=r"row 1 is 1e\+299, too far from the training rows for float64"):
        encoder.transform(pa.table({"x": [1e299]}))
    with pytest.raises(DataError, match="too far from the training rows for float32"):
        encoder.transform(pa.table({"x": [1e30]}), dtype=np.float32)


def test_wrong_names_and_rows():
    with pytest.raises(ColumnError, match="cannot exclude carier, which is no column: did you mean carrier"):
        Encoder.learn(pa.table({"carrier": ["a", "b"]}), exclude=["carier"])
    with pytest.raises(ColumnError, match=r"lack 2 columns that the model reads: c, d"):
        Encoder.learn(TABLE).transform(TABLE.select(["x", "t"]))
    with pytest.raises(ShapeError, match=r"a mask of shape \(2,\) for 3 rows"):
        Encoder.learn(TABLE, rows=[True, False])
    with pytest.raises(ShapeError, match="indices from 0 to 2"):
        Encoder.learn(TABLE, rows=[0, 3])
    with pytest.raises(DataError, match="nothing to learn from"):
        Encoder.learn(TABLE, rows=[False] * 3)
    with pytest.raises(DataError, match="nothing to learn from"):
        Encoder.learn(TABLE.slice(0, 0))
    assert Encoder.learn(TABLE, exclude="x").features == ("c = a", "t", "d is missing")


@pytest.mark.parametrize(
    "damage", [{}, {"columns": 3}, {"columns": [{"kind": "?"}]}, {"columns": [{"kind": "number"}]}, {"dropped": [1]}]
)
def test_a_damaged_encoding_is_refused(damage):
    plain = Encoder.learn(TABLE).to_json()
    with pytest.raises(RecordError, match="encoding is damaged"):
        Encoder.from_json(damage and plain | damage)
