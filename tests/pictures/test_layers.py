"""Pictures of what comes back to the layers of a network."""

import numpy as np
import pytest

from descender.costs.network.build import perceptron, recurrent
from descender.costs.network.network import ErrorVector, Network
from descender.errors import OptionError, ShapeError
from descender.pictures.layers import describe_layers, describe_profile, draw_layers, draw_profile
from descender.pictures.style import save


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
