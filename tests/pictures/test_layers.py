"""Pictures of what comes back to the layers of a network."""

import json

import numpy as np
import pytest

from descender import minimize
from descender.costs.network.build import perceptron, recurrent
from descender.costs.network.network import ErrorVector, Network
from descender.errors import CapabilityError, OptionError, ShapeError
from descender.pictures import kinds
from descender.pictures.layers import (
    describe_layer_steps,
    describe_layers,
    describe_profile,
    draw_layers,
    draw_profile,
    plotly_layers,
)
from descender.pictures.style import save
from descender.record import Record
from descender.verbs.layers import LOOKS, LayerLook


def told(**options):
    X = np.random.default_rng(0).normal(size=(30, 3))
    network = Network(perceptron(3, [6] * 3, 1, "tanh", **options), X, X[:, 0])
    return network.error_vectors(network.start(0))


def row(size, name="layer0 (dense)"):
    return ErrorVector(name, size, size, size, size, {"weight": 1.0})


def test_a_map_holds_each_layer_at_each_step_in_order(tmp_path):
    vectors = told()
    data = describe_layers({20: [row(5.0, one.layer) for one in vectors], 0: vectors}, "error")
    assert data.steps.tolist() == [0, 20]
    np.testing.assert_array_equal(data.sizes[:, 0], [one.error for one in vectors])
    assert data.layers == tuple(one.layer for one in vectors)
    ax = draw_layers(data)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(data.layers)
    assert save(ax, tmp_path / "map.png").stat().st_size > 2_000


def test_what_is_not_finite_is_left_grey_and_said():
    data = describe_layers({0: [row(1.0)], 5: [row(np.nan)], 6: [row(np.inf)]})
    assert np.isnan(data.sizes[0]).tolist() == [False, True, True]
    assert data.notes == ("grey: zero or not finite, first at step 5",)
    draw_layers(data)


def test_a_profile_has_a_line_for_each_network_without_layers_of_normalisation(tmp_path):
    plain, normal = told(), told(normalisation="layer")
    data = describe_profile({"plain": plain, "normal": normal})
    assert [len(sizes) for _, sizes in data.lines] == [4, 4]
    np.testing.assert_array_equal(data.lines[0][1], [one.error for one in plain])
    ax = draw_profile(data)
    assert ax.get_yscale() == "log"
    assert [line.get_label() for line in ax.get_lines()] == ["plain", "normal"]
    assert save(ax, tmp_path / "profile.png").stat().st_size > 2_000


def test_a_profile_goes_through_time():
    X = np.random.default_rng(0).normal(size=(5, 7, 1))
    network = Network(recurrent(1, 4, 1), X, np.ones(5))
    vectors = network.error_vectors(network.start(0))
    data = describe_profile({"one": vectors}, "through_time")
    np.testing.assert_array_equal(data.lines[0][1], vectors[0].through_time)
    assert len(data.lines[0][1]) == 7
    assert data.x_label.startswith("step of the sequence")


@pytest.fixture(scope="module")
def trained():
    X = np.random.default_rng(1).normal(size=(300, 4))
    network = Network(perceptron(4, [8, 8], 1, "tanh", normalisation="batch"), X, np.sin(X[:, 0]))
    return network, minimize(network, network.start(0), "adam", batch_size=50, max_epochs=12, learning_rate=0.01)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_saved_record_of_a_network_still_has_its_layers(trained, suffix, tmp_path):
    network, walk = trained
    record = Record.load(walk.record.save(tmp_path / f"walk.{suffix}"))
    data = kinds.describe(record, "layers")
    assert data.layers == tuple(row.layer for row in network.error_vectors(walk.x))
    assert data.steps[[0, -1]].tolist() == [0, walk.nit]
    look = LayerLook(network)
    look.at(walk.nit, walk.x)
    np.testing.assert_allclose(data.sizes[:, -1], np.ravel(look.facts["gradient"]), rtol=1e-12)
    assert data.notes == ("of 128 of the rows, spread over all",)
    assert json.dumps(plotly_layers(data), allow_nan=False)
    assert save(record.plot("layers"), tmp_path / "layers.png").stat().st_size > 2_000


def test_a_look_tells_the_gradient_of_its_rows_and_changes_nothing(trained):
    network, walk = trained
    before, readings = np.concatenate(network.statistics, axis=None), network.readings
    sizes = network.layer_gradients(walk.x, np.arange(network.n_samples))
    vectors = network.error_vectors(walk.x)
    assert list(sizes.values()) == pytest.approx([row.gradient for row in vectors])
    network.layer_gradients(walk.x, np.arange(40))
    np.testing.assert_array_equal(np.concatenate(network.statistics, axis=None), before)
    assert network.readings == readings


def test_looks_stay_few_on_a_long_walk():
    network = Network(perceptron(1, [2], 1), [[1.0], [2.0]], [0.0, 1.0])
    look = LayerLook(network)
    for step in range(0, 5_000, 7):
        look.at(step, network.start())
    look.at(5_000, network.start(), last=True)
    steps = look.facts["steps"]
    assert LOOKS // 4 < len(steps) <= LOOKS + 1
    assert (steps[0], steps[-1]) == (0, 5_000)
    look.at(5_001, np.full(network.n_parameters, np.nan), last=True)
    assert look.facts["gradient"][0][-1] is None


def test_layers_of_a_walk_without_any_are_refused():
    walk = minimize("x**2", "x=1")
    with pytest.raises(CapabilityError, match="no layers"):
        describe_layer_steps(walk)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: describe_layers({}), OptionError, "no step"),
        (lambda: describe_layers({0: []}), OptionError, "no step"),
        (lambda: describe_layers({0: [row(1.0)]}, "errors"), OptionError, "did you mean error"),
        (lambda: describe_layers({0: [row(1.0)]}, "through_time"), OptionError, "known"),
        (lambda: describe_layers({0: [row(1.0)], 1: [row(1.0)] * 2}), ShapeError, "one network"),
        (lambda: describe_layers({0: [row(1.0)], 1: [row(1.0, "other")]}), ShapeError, "one network"),
        (lambda: describe_layers({0: [row(np.nan)]}), OptionError, "nothing to draw"),
        (lambda: describe_profile({}), OptionError, "nothing to draw"),
        (lambda: describe_profile({"a": [row(1.0)]}, "through_time"), OptionError, "a: no error vector"),
    ],
)
def test_what_cannot_be_drawn_is_said(make, error, says):
    with pytest.raises(error, match=says):
        make()
