"""What a column becomes by what it holds, and the three readers of its pieces, which must agree."""

import datetime as dt
import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from descender import fit
from descender.data import design, encode
from descender.data.encode import Encoder
from descender.data.kinds import learn_column
from descender.data.source import open_source
from descender.data.spelling import spelt_numbers
from descender.errors import DataError

REVIEWS = ["Late again, very late", "good service", "Very good", "again no seat", "seat was good", "no service"]


@st.composite
def mixed_tables(draw):
    """Numbers, categories, moments and text, with holes."""
    n = draw(st.integers(30, 90))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    hole = rng.random((5, n)) < draw(st.sampled_from([0.0, 0.3]))
    texts = [f"{REVIEWS[k]} {k * 7919 + i}" for i, k in enumerate(rng.integers(0, 6, n))]
    hours = rng.integers(0, 9_000, n)
    return pa.table(
        {
            "x": pa.array(rng.standard_normal(n), mask=hole[0]),
            "c": pa.array(rng.choice(list("abcdefgh"), n), mask=hole[1]),
            "review": pa.array(texts, mask=hole[2]),
            "t": pa.array([dt.datetime(2024, 1, 1) + dt.timedelta(hours=int(h)) for h in hours], mask=hole[3]),
            "b": pa.array(rng.random(n) < 0.5, mask=hole[4]),
        }
    )


@given(mixed_tables(), st.integers(1, 3), st.sampled_from([3, 64]))
def test_dense_sparse_and_scores_are_the_same_numbers(table, outputs, block):
    encoder = Encoder.learn(table)
    X = encoder.transform(table, sparse=False)
    whole, encode.BLOCK = encode.BLOCK, block
    try:
        S = encoder.transform(table, sparse=True)
    finally:
        encode.BLOCK = whole
    assert sparse.issparse(S)
    assert np.array_equal(S.toarray(), X)
    assert S.has_sorted_indices
    rng = np.random.default_rng(0)
    W, b = rng.standard_normal((outputs, X.shape[1])), rng.standard_normal(outputs)
    z = encoder.scores(table, W, b)
    np.testing.assert_allclose(z, X @ W.T + b, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(encoder.scores(table, W[0], b[0]), z[:, 0], rtol=1e-12, atol=1e-12)


@given(mixed_tables(), st.lists(st.integers(1, 40), max_size=6))
def test_scores_of_a_row_have_the_same_bits_whatever_stands_around_it(table, heights):
    encoder = Encoder.learn(table)
    w = np.random.default_rng(1).standard_normal(len(encoder.features))
    whole, at, parts = encoder.scores(table, w, 0.5), 0, []
    for height in [*heights, table.num_rows]:
        parts.append(encoder.scores(table.slice(at, height), w, 0.5))
        at += height
    assert np.array_equal(np.concatenate(parts)[: len(whole)], whole)


def test_a_planted_fault_in_one_reader_is_seen(monkeypatch):
    table = pa.table({"x": [1.0, 2.0, 4.0], "c": ["a", "b", "c"] * 1})
    encoder = Encoder.learn(pa.concat_tables([table] * 3))
    X = encoder.transform(table)
    monkeypatch.setattr(design.Marks, "slots", property(lambda self: self[2] - 1))
    assert not np.array_equal(encoder.transform(table, sparse=True).toarray(), X)


@given(mixed_tables())
def test_mixed_encoders_survive_json(table):
    encoder = Encoder.learn(table)
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False)))
    assert again == encoder
    assert np.array_equal(again.transform(table), encoder.transform(table))


def test_many_levels_make_a_sparse_matrix_and_the_same_model():
    rng = np.random.default_rng(0)
    n = 4_000
    level = rng.integers(0, 150, n)
    data = {"shop": [f"s{k}" for k in level], "x": rng.normal(size=n)}
    y = 0.5 * data["x"] + np.sin(level) + 0.1 * rng.normal(size=n)
    encoder = Encoder.learn(pa.table(data))
    assert encoder.sparse
    assert sparse.issparse(encoder.transform(pa.table(data)))
    one = fit(data | {"y": y}, "y", l2=1e-3, tol=1e-10)
    X = encoder.transform(pa.table(data), sparse=False)
    assert np.allclose(
        one.model.predict(data), one.model.scores(one.model.encoder.transform(pa.table(data))), atol=1e-9
    )
    assert one.certificate.relative <= 1e-9
    assert X.shape[1] == len(encoder.features)
    # the same rows without the rule: dense
    limit, encode.SPARSE_FEATURES = encode.SPARSE_FEATURES, 10**9
    try:
        other = fit(data | {"y": y}, "y", l2=1e-3, tol=1e-10)
    finally:
        encode.SPARSE_FEATURES = limit
    assert np.allclose(one.model.coefficients, other.model.coefficients, atol=1e-5)


# --- text


def test_words_are_those_of_count_vectorizer():
    rng = np.random.default_rng(0)
    cells = [f"{REVIEWS[k]} #{i}" for i, k in enumerate(rng.integers(0, 6, 300))]
    column = learn_column("review", pa.chunked_array([cells]))
    theirs = CountVectorizer(binary=True, min_df=2, token_pattern=r"(?u)\w+").fit(cells)
    names = theirs.get_feature_names_out()
    assert column.words == tuple(names)
    X = Encoder((column,)).transform(pa.table({"review": cells}))
    assert np.array_equal(X, theirs.transform(cells).toarray())
    assert column.features[0].name == 'review has "again"'
    assert column.told == f"review is text: {len(names)} words of {len(names) + 300 - 2 * 0} are features of their own"


def test_text_without_spaces_is_cut_into_its_signs():
    cells = [f"{'好' if i % 2 else '坏'}东西 {i}" for i in range(100)]
    column = learn_column("评论", pa.chunked_array([cells]))
    assert set(column.words) == {"好", "坏"}  # 东 and 西 stand in every row


def test_names_of_few_words_stay_categories():
    cells = pa.chunked_array([["New York", "Los Angeles", "San Francisco"] * 20])
    assert learn_column("city", cells).levels == ("Los Angeles", "New York", "San Francisco")


@pytest.mark.parametrize("n", [200, 3_000])
def test_codes_that_differ_in_every_row_are_no_text(n):
    codes = pa.chunked_array([[f"{k:08x}-{k * 7 % 9973:04x}" for k in range(n)]])
    assert learn_column("code", codes).dropped == "identifier"


# --- numbers in disguise, identifiers, moments


def test_identifiers_are_left_out_and_told():
    rng = np.random.default_rng(0)
    n = 400
    table = pa.table(
        {
            "PassengerId": rng.permutation(n),
            "Unnamed: 0": np.arange(n),
            "index": np.arange(n) + 5,
            "price_index": rng.integers(90, 130, n),
            "shop_id": rng.integers(1, 5, n),
            "amount": rng.permutation(n),
            "paid": rng.integers(0, 90, n),
        }
    )
    encoder = Encoder.learn(table)
    assert dict(encoder.dropped) == dict.fromkeys(["PassengerId", "Unnamed: 0", "index"], "identifier")
    assert {f.column: f.kind for f in encoder.details} == {
        "price_index": "number", "shop_id": "level", "amount": "number", "paid": "number",
    }  # fmt: skip
    assert "PassengerId has a different value in nearly every row, as an identifier has: left out" in encoder.told
    assert "shop_id is called an identifier: read as categories" in encoder.told
    floats = pa.table({"shop_id": [1.0, None, 4.0], "amount": [1, 2, 3], "paid": [1, 2, 3], "price_index": [1, 2, 3]})
    assert encoder.transform(floats)[0].sum() != 0  # 1.0 is the shop "1"
    assert encoder.features.index("shop_id = 1") in np.flatnonzero(encoder.transform(floats)[0])


def test_strays_among_numbers_are_missing():
    rng = np.random.default_rng(0)
    x = [f"{v:.3f}" for v in rng.normal(size=500)]
    x[7], x[99] = "unknown", "-"
    column = learn_column("x", pa.chunked_array([x]))
    assert column.told == "x is text that spells numbers; 2 of its 500 values are no number: taken as missing"
    assert column.missing == pytest.approx(2 / 500)
    X = Encoder((column,)).transform(pa.table({"x": ["1.5", "never seen", None]}))
    assert X[1:].tolist() == [[0, 1], [0, 1]]
    assert learn_column("zip", pa.chunked_array([[f"0{k}" for k in range(100)] * 20])).levels[0] == "00"


@pytest.mark.parametrize(
    ("cells", "comma", "expected"),
    [
        (["1,234", "12,345,678.5", "7", "-1,000"], False, [1234, 12345678.5, 7, -1000]),
        (["1.234,5", "12.345.678", "-0,5", "3"], True, [1234.5, 12345678, -0.5, 3]),
        (["1 234,5", "1\u202f000", "2\u00a0000,25"], True, [1234.5, 1000, 2000.25]),
        (["$1,200.50", "-€3", "£ 4", "5 %", "6€", "-12%"], False, [1200.5, -3, 4, 5, 6, -12]),
        (["1e5", "-2.5E-3", "inf", "+7", ".5", "3."], False, [1e5, -2.5e-3, np.inf, 7, 0.5, 3]),
        (["1,23", "12,34,567", "a", "1 2", "", "--1", "0x10", "1_000"], False, [None] * 8),
    ],
)
def test_spellings_of_numbers(cells, comma, expected):
    assert spelt_numbers(pa.chunked_array([cells]), comma).to_pylist() == expected


def test_dates_that_came_as_text_are_moments():
    cells = [f"2024-{1 + k % 12:02}-{1 + k % 28:02}T{k % 24:02}:00:00Z" for k in range(200)]
    column = learn_column("when", pa.chunked_array([cells]))
    assert {f.kind for f in column.features} == {"number", "month", "weekday", "hour"}
    stamps = pd.to_datetime(pd.Series(cells)).dt.tz_localize(None)
    assert column.elapsed.mean == pytest.approx((stamps - pd.Timestamp(0)).dt.total_seconds().mean() / 86400)
    assert learn_column("version", pa.chunked_array([["2024-01-99", "2024-02-01"] * 20])).levels


def test_times_of_the_day_are_seconds_as_text_too():
    cells = [dt.time(k % 24, 7 * k % 60, k % 60) for k in range(200)]
    typed = learn_column("t", pa.chunked_array([cells]))
    spelt = learn_column("t", pa.chunked_array([[str(cell) for cell in cells]]))
    assert (spelt.mean, spelt.scale) == (typed.mean, typed.scale)
    X = Encoder((typed,)).transform(pa.table({"t": ["07:30", None, "23:59:59.5"]}))
    assert X[:, 0] * typed.scale + typed.mean == pytest.approx([27_000, typed.mean, 86_399.5])
    with pytest.raises(DataError, match='column t, row 2 is "24:30": expected a number'):
        Encoder((typed,)).transform(pa.table({"t": ["07:30", "24:30"]}))


def test_one_number_far_from_all_others_is_told():
    x = np.random.default_rng(0).normal(size=400)
    x[7] = 1e6
    column = learn_column("x", pa.chunked_array([x]))
    assert re.fullmatch(r"x is 1e\+06 in one row and from -\S+ to \S+ in all others: is that right\?", column.told)
    flags = np.zeros(400)
    flags[7] = 1.0  # all others are the same: a flag that is seldom set
    for cells in (flags, np.where(np.arange(400) == 7, 40.0, x), np.random.default_rng(0).lognormal(0, 3, 400)):
        assert learn_column("x", pa.chunked_array([cells])).told is None


@pytest.mark.parametrize(
    ("stray", "cells"),
    [
        ("yesterday", [f"2024-03-{1 + k % 28:02}" for k in range(60)]),
        ("0000-00-00", [f"2024-03-{1 + k % 28:02} 1{k % 10}:30:00.1234567+02:00" for k in range(60)]),
        ("2023-02-31", [f"2024-03-{1 + k % 28:02}" for k in range(60)]),
        ("31.12.", [f"{1 + k % 28}.3.2024" for k in range(60)]),
        ("13/32/2024", [f"{1 + k % 28}/{1 + k % 12}/2024" for k in range(60)]),
    ],
)
def test_strays_among_dates_are_missing(stray, cells):
    column = learn_column("day", pa.chunked_array([[*cells[:40], stray, *cells[40:]]]))
    assert f'1 of its values is no date, such as "{stray}": taken as missing' in column.told
    assert column.missing == pytest.approx(1 / 61)
    encoder = Encoder.from_json(Encoder((column,)).to_json())
    X = encoder.transform(pa.table({"day": [cells[3], "soon", None]}))
    assert X[1].tolist() == X[2].tolist() == [0] * (X.shape[1] - 1) + [1]
    plain = learn_column("day", pa.chunked_array([cells]))
    assert plain.elapsed.scale == pytest.approx(column.elapsed.scale)
    with pytest.raises(DataError, match='column day, row 2 is "soon": expected dates or times'):
        Encoder((plain,)).transform(pa.table({"day": [cells[3], "soon"]}))


def test_text_of_which_a_fifth_is_no_date_is_no_column_of_dates():
    cells = [*[f"2024-03-{1 + k % 28:02}" for k in range(60)], *["soon", "later"] * 8]
    assert learn_column("day", pa.chunked_array([cells])).levels


# --- a sparse matrix


def test_a_sparse_matrix_is_learnt_from_as_it_is():
    rng = np.random.default_rng(0)
    X = sparse.random_array((600, 300), density=0.05, rng=rng, format="csr") * 3.0
    y = X @ rng.normal(size=300) + 0.01 * rng.normal(size=600)
    table = open_source(X).table
    assert (table.num_rows, table.column_names) == (600, ["x"])
    encoder = Encoder.learn(table)
    Z = encoder.transform(table)
    assert sparse.issparse(Z)
    deviation = X.toarray().std(axis=0)
    np.testing.assert_allclose(Z.toarray(), X.toarray() / np.where(deviation > 0, deviation, 1), rtol=1e-12)
    for kind in (X, sparse.csc_matrix(X), sparse.coo_array(X)):
        result = fit(kind, y, l2=1e-6, seed=1)
        assert result.metrics["holdout"]["r2"] > 0.9
        assert result.model.features[:2] == ("x0", "x1")
    dense = fit(X.toarray(), y, l2=1e-6, seed=1).model
    np.testing.assert_allclose(result.model.predict(X), dense.predict(X.toarray()), atol=0.05)
    z = X @ result.model.coefficients + result.model.raw_intercept
    np.testing.assert_allclose(z, result.model.predict(X), atol=1e-9)


def test_sparse_matrices_that_are_refused():
    X = sparse.csr_matrix(np.eye(4))
    X.data[2] = np.inf
    with pytest.raises(DataError, match="column x, row 3 has inf in place 2: expected finite numbers in 4 places"):
        Encoder.learn(open_source(X).table)
    encoder = Encoder.learn(open_source(sparse.csr_matrix(np.eye(4))).table)
    with pytest.raises(DataError, match="expected the rows of a sparse matrix"):
        encoder.transform(pa.table({"x": [1.0, 2.0]}))
    with pytest.raises(DataError, match="row 1 has 1 in place 4"):
        encoder.transform(open_source(sparse.csr_matrix(([1.0], ([0], [4])), shape=(2, 9))).table)
    with pytest.raises(DataError, match="expected two dimensions and numbers"):
        open_source(sparse.csr_matrix(np.eye(2)) * 1j)


def test_infinite_cells_are_no_times_and_infinite_times_are_missing(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "".join(f"{'inf' if i % 2 else ''},{i % 7}\n" for i in range(60)))
    with pytest.raises(DataError, match=r"column a, row \d+ is infinite"):
        fit(path, "y")
    times = "CASE WHEN i % 9 = 0 THEN 'infinity'::TIMESTAMP ELSE TIMESTAMP '2020-01-01' + INTERVAL (i) DAY END"
    days = "CASE WHEN i % 5 = 0 THEN '-infinity'::DATE ELSE DATE '2020-01-01' + i::INTEGER END"
    big = "9223372036854775807 - i % 3"
    sql = f"SELECT {times} AS t, {days} AS d, {big} AS big, 0.5 * i AS y FROM range(90) AS r(i)"
    result = fit(None, "y", sql=sql, compare=True)
    for name in "td":
        assert any(re.match(rf"{name}: \d+ of its values are infinite: taken as missing", note) for note in result.told)
    assert result.comparison is not None
    assert np.isfinite(result.model.predict(open_source(None, sql=sql).table)).all()


def test_one_word_for_no_number_is_missing_however_often_it_stands():
    cells = ["-" if i % 3 == 0 else f"{1.5 * i}" for i in range(90)]
    column = learn_column("x", pa.chunked_array([cells]))
    assert column.told == 'x is text that spells numbers; 30 of its 90 values are "-": taken as missing'
    assert column.missing == pytest.approx(1 / 3)
    assert column.mean == pytest.approx(np.mean([1.5 * i for i in range(90) if i % 3]))
    two = ["-" if i % 3 == 0 else "n" if i % 3 == 1 else f"{1.5 * i}" for i in range(90)]
    assert learn_column("x", pa.chunked_array([two])).told != column.told
