"""fit: the textbook methods, and the program of the fifth tutorial."""

import numpy as np
import pytest
from scipy.special import expit

from descender import fit
from descender.data.source import open_source
from descender.data.split import hashed

pytestmark = pytest.mark.usefixtures("uncompiled")


@pytest.mark.parametrize(
    ("options", "near"),
    [
        ({"method": "sgd", "epochs": 30}, 0.25),
        ({"method": "minibatch", "epochs": 200, "learning_rate": 0.1}, 0.1),
        ({"method": "adam", "epochs": 100, "batch_size": 20}, 0.1),
        ({"method": "momentum", "learning_rate": 0.1, "max_steps": 2000}, 0.01),
        ({"method": "lbfgs"}, 1e-6),
    ],
)
def test_textbook_methods_come_near(options, near):
    best = fit("example:breast_cancer", tol=1e-9, l2="1/n")
    result = fit("example:breast_cancer", **options)
    assert best.walk.fun <= result.walk.fun * (1 + 1e-8)
    assert result.walk.fun <= (1 + near) * best.walk.fun
    assert result.metrics["holdout"]["accuracy"] > 0.95
    assert options["method"] in result.walk.why or "L-BFGS" in result.walk.why
    assert result.walk.record.facts["metrics"] == result.metrics


def test_epochs_are_readings_of_all_training_rows():
    result = fit("example:breast_cancer", method="minibatch", batch_size=50, epochs=3, learning_rate=0.1)
    n = result.model.facts["n_rows"]
    assert result.walk.nit == 3 * -(-n // 50)
    record = result.walk.record
    ends = ~np.isnan(record["full_cost"])
    assert record["rows_seen"][ends][:4].tolist() == [0, n, 2 * n, 3 * n]
    # the held-out cost is the plain loss of held-out rows, without penalty
    assert record["holdout_cost"][ends][-1] == pytest.approx(result.metrics["holdout"]["log_loss"])
    assert not result.walk.success
    assert result.walk.status == "budget"


def test_the_sigmoid_preset_is_the_tutorials_recursion():
    table = open_source("example:blobs").table
    A = np.column_stack([table["x1"], table["x2"], np.ones(1000)])
    y = table["label"].to_numpy()
    for seed in (0, 1, 2):
        start = np.random.default_rng(100 + seed).standard_normal(3)
        result = fit("example:blobs", preset="sigmoid", start=start, seed=seed)
        train = np.sort(np.argsort(hashed(np.arange(1000), seed), kind="stable")[500:])
        W, losses = start.copy(), []
        for _ in range(100):
            p = expit(A[train] @ W)
            e = p - y[train]
            losses.append(e @ e)
            W -= 0.01 * A[train].T @ (e * p * (1 - p))
        record = result.walk.record
        np.testing.assert_allclose(2 * record["cost"][:100], losses, rtol=1e-10)
        np.testing.assert_allclose(result.walk.x, W, rtol=1e-10)
        assert result.walk.nit == 100
        assert len(result.holdout_y) == 500
        assert result.certificate is None
        assert not np.allclose(result.walk.record["cost"][:100], losses)  # a planted fault: without the factor 2


def test_the_sigmoid_preset_has_a_seeded_start_and_can_be_overridden():
    result = fit("example:blobs", preset="sigmoid", seed=4, epochs=7, learning_rate=0.1)
    assert result.walk.nit == 7
    assert result.walk.record["learning_rate"][0] == 0.1
    assert result.walk.record.facts["start"] == np.random.default_rng(4).standard_normal(3).tolist()
    assert result.model.loss == "sigmoid_squared_error"
    assert result.metrics["holdout"]["squared_error"] <= 1
    feature = result.model.encoder.details[0]
    assert (feature.mean, feature.scale) == (0.0, 1.0)  # raw columns


def test_the_held_out_cost_is_in_the_units_of_the_cost():
    result = fit("example:blobs", preset="sigmoid", seed=1)
    p, y = expit(result.holdout_scores), result.holdout_y
    assert result.walk.record["holdout_cost"][-1] == pytest.approx(0.5 * np.sum((p - y) ** 2))


def test_ties_go_to_the_first_class():
    result = fit("example:blobs", preset="sigmoid", start=np.zeros(3), epochs=0)
    assert set(result.model.predict("example:blobs")) == {0}


def test_squared_error_on_two_classes_predicts_the_nearer_one():
    result = fit("example:breast_cancer", loss="squared_error")
    z, y = result.holdout_scores, result.holdout_y
    assert result.metrics["holdout"]["accuracy"] == pytest.approx(np.mean((z > 0.5) == y))
    predicted = result.model.predict("example:breast_cancer")
    truth = np.array(open_source("example:breast_cancer").table["diagnosis"].to_pylist())
    assert np.mean(predicted == truth) > 0.9
    p = result.model.predict_proba("example:breast_cancer")
    assert p.min() >= 0


@pytest.mark.parametrize("options", [{"epochs": 0}, {"max_steps": 0}])
def test_a_budget_of_nothing_gives_the_start(options):
    result = fit("example:heights", **options)
    assert result.walk.x.tolist() == [0.0, 0.0]
    assert not result.walk.success
