"""Every kind of picture through its doors: walks, records, saved records."""

import pickle

import numpy as np
import pytest
from drawn import saved

from descender import Record, minimize
from descender.costs.network.build import perceptron
from descender.costs.network.network import Network
from descender.errors import CapabilityError, OptionError
from descender.pictures import kinds


@pytest.fixture(scope="module")
def function():
    """A walk on a Python function, which a record cannot hold."""
    return minimize(lambda w: float((w**2).sum()), [1.0, 2.0, 3.0])


def test_a_walk_knows_its_cost_and_leaves_it_behind_when_pickled(function, tmp_path):
    data = kinds.describe(function, "path", resolution=5)
    assert "principal directions among 3 parameters" in data.notes[0]
    assert function.plot("path", resolution=5).get_xlabel() == "first direction"
    again = pickle.loads(pickle.dumps(function))
    assert again.cost is None
    assert again.fun == function.fun
    with pytest.raises(CapabilityError, match="no formula"):
        again.plot("path")


def test_a_saved_record_is_drawn_on_its_formula(tmp_path):
    walk = minimize("a*(x - 3)**2", "x=0", constants={"a": 2.0})
    walk.record.facts["constants"] = {"a": 2.0}
    record = Record.load(walk.record.save(tmp_path / "walk.jsonl"))
    assert record.plot("slice").get_xlabel() == "x"
    assert kinds.describe(record, "slice").path == pytest.approx(walk.record.path[:, 0])
    record.facts["cost"] = "x**2 + 1"  # not what was recorded
    with pytest.raises(CapabilityError, match="no formula"):
        record.plot("slice")


def test_all_pictures_and_why_others_are_not_there(valley, function):
    shown, missing = kinds.all_of(valley)
    assert list(shown) == ["cost", "gradient_norm", "step_norm", "learning_rate", "overview", "path", "surface"]
    assert "never changed" in missing["clipped"]
    assert "no network" in missing["layers"]
    assert set(shown) | set(missing) == set(kinds.KINDS)


def test_an_overview_has_a_panel_for_each_column(batches, tmp_path):
    _, walk = batches
    data = kinds.describe(walk, "overview")
    assert [(c.y_label.split(" of")[0], c.x_label) for c in data.curves] == [
        ("cost J", "step"), ("cost J", "rows read"), ("cost J", "seconds"), ("gradient norm", "step"),
        ("learning rate", "step"), ("step norm", "step"),
    ]  # fmt: skip
    panels = walk.plot("overview")
    assert len(panels) == 6
    saved(panels, tmp_path)


def test_words_that_are_no_kind_and_no_option_are_refused(valley):
    with pytest.raises(OptionError, match="did you mean path"):
        valley.plot("paths")
    with pytest.raises(OptionError, match="resolutions"):
        valley.plot("path", resolutions=3)


def test_layers_are_those_of_the_network(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 3))
    network = Network(perceptron(3, [4] * 2, 1, "tanh"), X, X[:, 0])
    walk = minimize(network, network.start(0), "gd", learning_rate=0.05, max_steps=20)
    data = kinds.describe(walk, "layers", most=5)
    assert data.steps.tolist() == [0, 5, 10, 15, 20]
    told = network.error_vectors(walk.record.path[10])
    assert data.sizes[:, 2] == pytest.approx([row.gradient for row in told])
    saved(walk.plot("layers", most=5), tmp_path)
