"""Exploding and vanishing gradients are known by their symptoms, and healthy trainings are left alone."""

import numpy as np
import pytest

from descender import minimize
from descender.costs.network.build import perceptron, recurrent
from descender.costs.network.network import ErrorVector, Network
from descender.doctor.layers import exploding_gradient, symptoms_of_explosion, vanishing_gradient
from descender.record import Record


def record(costs, full=None):
    costs = np.array(costs, dtype=float)
    full = np.full(len(costs), np.nan) if full is None else np.array(full, dtype=float)
    return Record({"step": np.arange(len(costs)), "cost": costs, "full_cost": full})


def vectors(*nodes):
    return [ErrorVector(f"layer{k} (dense)", 1.0, node, node, node, {"weight": 1.5}) for k, node in enumerate(nodes)]


def test_each_symptom_is_seen_alone():
    calm = [vectors(0.5, 0.1)]
    assert symptoms_of_explosion(record([3.0, 2.0, 1.0]), calm) == {}
    assert list(symptoms_of_explosion(record([3, 2, 1, 1, np.nan]), calm)) == ["the output is NaN"]
    assert list(symptoms_of_explosion(record([1, 20, 500, 2]), calm)) == ["very large changes"]
    assert list(symptoms_of_explosion(record([3, 2, 1]), [vectors(1.1, 4.0)])) == ["error gradients above 1.0"]
    assert exploding_gradient(record([3, 2, 1, 1, np.nan]), calm) is None


def test_nearly_every_look_at_a_layer_must_be_above_one():
    name = "error gradients above 1.0"
    assert list(symptoms_of_explosion(record([3, 2]), [vectors(5.0, 5.0)] * 9 + [vectors(5.0, 0.9)])) == [name]
    assert symptoms_of_explosion(record([3, 2]), [vectors(5.0, 0.9)]) == {}
    assert symptoms_of_explosion(record([3, 2]), [vectors(5.0, 5.0), vectors(5.0, 0.9)]) == {}
    assert symptoms_of_explosion(record([3, 2]), []) == {}
    assert symptoms_of_explosion(record([3, 2]), [vectors(np.nan, np.inf)]) == {}


def test_costs_of_all_rows_between_batches_are_no_nan_of_the_output():
    healthy = record([3, np.nan, 2, 1], [np.nan, 2.5, np.nan, np.nan])
    assert symptoms_of_explosion(healthy, []) == {}
    lost = symptoms_of_explosion(record([3, np.nan, 2], [np.nan, np.inf, np.nan]), [])
    assert lost["the output is NaN"] == "the cost is not finite from step 1 on"


@pytest.mark.parametrize("batch_size", [1, 20, "full"])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", ["deep", "recurrent", "far from the bottom"])
def test_healthy_trainings_have_neither(kind, seed, batch_size):
    rng = np.random.default_rng(seed)
    if kind == "recurrent":
        X = rng.normal(size=(60, 8, 1))
        network = Network(recurrent(1, 8, 1), X, X.sum(axis=(1, 2)), seed=seed)
    else:
        X = rng.normal(size=(60, 4))
        y = np.sin(X[:, 0]) + (10 if kind == "far from the bottom" else 0)
        network = Network(perceptron(4, [16] * 4, 1), X, y, seed=seed)
    told = [network.error_vectors(network.default_start())]
    walk = minimize(network, None, "gd", learning_rate=0.002, batch_size=batch_size, max_epochs=5, seed=seed,
                    callback=lambda step: told.append(network.error_vectors(np.asarray(step))))  # fmt: skip
    assert exploding_gradient(walk.record, told) is None
    assert vanishing_gradient(told[0]) is None
    assert "the output is NaN" not in symptoms_of_explosion(walk.record, told)


def test_vanishing_is_seen_along_layers_and_along_states():
    assert vanishing_gradient(vectors(2e-3, 0.1, 1.0)) is None
    finding = vanishing_gradient(vectors(1e-5, 5e-4, 1.0))
    assert finding.code == "D202"
    assert "of 3 error vectors, 2 are below" in finding.evidence
    X = np.ones((3, 12, 1))
    for gain, expected in ((0.3, "D202"), (1.0, None)):
        network = Network(recurrent(1, 4, 1, "identity", gain=gain), X, [1.0, 2.0, 3.0])
        found = vanishing_gradient(network.error_vectors(network.start(0)))
        assert (found and found.code) == expected


def test_nothing_is_said_of_errors_that_are_zero_or_not_finite():
    assert vanishing_gradient(vectors(0.0, 0.0)) is None
    assert vanishing_gradient(vectors(1.0, np.nan)) is None
    assert vanishing_gradient([]) is None
