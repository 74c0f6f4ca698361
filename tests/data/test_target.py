"""Which task a target suits, and its classes."""

import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descender.data.target import TargetCoding, code_target
from descender.errors import OptionError, RecordError, TargetError

DECIDED = {
    "truth": ([True, False, True], None, "binary", (False, True), [1, 0, 1]),
    "text": (["no", "yes", "no"], None, "binary", ("no", "yes"), [0, 1, 0]),
    "signs": ([-1, 1, 1], None, "binary", (-1, 1), [0, 1, 1]),
    "floats": ([0.0, 1.0, 0.0], None, "binary", (0.0, 1.0), [0, 1, 0]),
    "species": (["a", "c", "b"] * 2, None, "multiclass", ("a", "b", "c"), [0, 2, 1] * 2),
    "digits": ([3, 1, 2] * 5, None, "multiclass", (1, 2, 3), [2, 0, 1] * 5),
    "few whole numbers": ([2, 4, 6], None, "regression", (), [2, 4, 6]),
    "many whole numbers": (list(range(21)) * 9, None, "regression", (), list(range(21)) * 9),
    "real": ([0.5, 1.5, 2.5], None, "regression", (), [0.5, 1.5, 2.5]),
    "decimal": (
        [decimal.Decimal("1.5"), decimal.Decimal("2"), decimal.Decimal("3")],
        None,
        "regression",
        (),
        [1.5, 2, 3],
    ),
    "two classes on purpose": (["a", "b"], "multiclass", "multiclass", ("a", "b"), [0, 1]),
    "numbers on purpose": ([1, 2] * 5, "regression", "regression", (), [1, 2] * 5),
    "truth as numbers": ([True, False], "regression", "regression", (), [1, 0]),
    "classes on purpose": ([2, 4, 6], "multiclass", "multiclass", (2, 4, 6), [0, 1, 2]),
}


@pytest.mark.parametrize("case", DECIDED)
def test_the_task_is_decided_by_the_values(case):
    values, task, expected, classes, y = DECIDED[case]
    for column in (values, pa.array(values), pa.chunked_array([values[:1], values[1:]])):
        coding, coded = code_target(column, task)
        assert (coding.task, coding.classes) == (expected, classes)
        assert coded.tolist() == y
        assert coded.dtype == (np.intp if expected == "multiclass" else np.float64)
        assert [type(c) for c in coding.classes] == [type(c) for c in classes]


def test_dictionaries_and_numpy_are_columns_too():
    assert code_target(pa.array(["a", "b", "a"]).dictionary_encode())[1].tolist() == [0, 1, 0]
    assert code_target(np.array([1.5, 2.5, 4.0], dtype=np.float32))[1].tolist() == [1.5, 2.5, 4.0]


@given(st.lists(st.sampled_from(["a", "b", "c", "ü", " "]), min_size=10, max_size=40))
def test_decoding_undoes_coding_and_plain_values_keep_it(values):
    values = values + ["a", "b"] * 5
    coding, y = code_target(values)
    assert coding.decode(y).tolist() == values
    assert TargetCoding.from_json(coding.to_json()) == coding
    assert coding.encode(values[::-1]).tolist() == y[::-1].tolist()


@pytest.mark.parametrize(
    ("values", "task", "text"),
    [
        (["a"] * 3, None, 'the target late is "a" in every row: there is nothing to learn'),
        ([1.5] * 3, "regression", 'is "1.5" in every row'),
        ([None, None], None, "has no value in any of the 2 rows"),
        ([1.0, None, 2.0], None, "the target late in row 2 is missing"),
        ([1.0, 2.0, float("nan")], None, "the target late in row 3 is missing"),
        ([1.0, 2.0, float("-inf")], None, "in row 3 is infinite: expected finite numbers"),
        ([1.0, 2.0, 1e301], None, r"in row 3 is 1e\+301"),
        ([f"name {k}" for k in range(30)], None, "has 30 distinct values in 30 rows: too many to be classes"),
        ([str(k) for k in range(1001)] * 3, None, "has 1,001 distinct values"),
        (["a", "b", "c"], "binary", 'has 3 distinct values: task="binary" expects two'),
        (["a", "b"] * 3, "regression", 'in row 1 is "a": expected finite numbers'),
        ([dt.date(2020, 1, 1), dt.date(2020, 1, 2)], None, r'holds date32\[day\].*as in "seconds = epoch\(late\)"'),
        ([1, "x"], None, "mixes kinds of cells"),
        ([[1], [2]], None, "holds list"),
    ],
)
def test_targets_that_suit_no_task(values, task, text):
    with pytest.raises(TargetError, match=text):
        code_target(values, task, name="late")


def test_errors_give_the_row_its_number_in_the_file():
    with pytest.raises(TargetError, match="in row 70 is infinite"):
        code_target([1.0, 2.0, np.inf], row_numbers=np.array([50, 60, 70]))


def test_an_unknown_class_is_named():
    coding, _ = code_target(["a", "b", "c"] * 4, name="species")
    with pytest.raises(TargetError, match='the target species in row 2 is "d": expected one of the classes a, b, c'):
        coding.encode(["a", "d"])
    numbers, _ = code_target([1, 2, 3] * 5)
    with pytest.raises(TargetError, match="has none of the classes 1, 2, 3"):
        numbers.encode(["a", "d"])
    assert numbers.encode([3.0, 1.0]).tolist() == [2, 0]


def test_an_unknown_task_and_a_damaged_coding():
    with pytest.raises(OptionError, match='task="regresion": did you mean regression'):
        code_target([1, 2], "regresion")
    with pytest.raises(RecordError, match="target is damaged"):
        TargetCoding.from_json({"name": "y"})
