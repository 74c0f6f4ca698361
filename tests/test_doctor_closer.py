"""A closer look at walks: each check where its fault was planted, silent on the twin without it."""

import pickle

import numpy as np
import pytest

from descender import MLPRegressor, diagnose, fit, minimize
from descender.costs.network.build import perceptron
from descender.costs.network.network import Network
from descender.costs.risk import Risk
from descender.doctor.closer import look_closer
from descender.doctor.finding import Finding
from descender.errors import CapabilityError

pytestmark = pytest.mark.usefixtures("uncompiled")

N = 200


def rows(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 4))
    return X, X @ [1.0, -2.0, 0.5, 0.8] + 0.5 * rng.normal(size=N)


def causes(source):
    return [finding.cause for finding in diagnose(source) if finding.severity != "info"]


def gd(X, y, loss="squared_error", l2=1e-3, rate=0.1, steps=200, method="gd", **options):
    return minimize(Risk(X, y, loss, l2=l2), method=method, learning_rate=rate, max_steps=steps, **options)


def bowl(w):
    return float(0.5 * (np.array([1.0, 4.0, 10.0]) * (w - 1) ** 2).sum())


def slope(w):
    return np.array([1.0, 4.0, 10.0]) * (w - 1)


def test_a_sound_walk_has_no_finding():
    assert causes(gd(*rows())) == []
    assert causes(minimize(bowl, [3.0, 0.0, 2.0], "gd", gradient=slope, learning_rate=0.1, max_steps=200)) == []
    X, y = rows()
    assert causes(fit({"a": X[:, 0], "b": X[:, 1], "y": y}, "y")) == []


def test_a_walk_that_arrived_is_sound_however_it_went():
    """Rates that fall because the gradient does, noise that nothing explains, a wide stride over a plateau."""
    assert causes(minimize("(x-3)**2 + 4*(y+1)**2", "x=0 y=0", "adam", max_steps=2000)) == []
    rng = np.random.default_rng(4)
    X = rng.normal(size=(300, 4))
    assert causes(gd(X, 0.3 * X[:, 0] + rng.normal(size=300), rate="auto", steps=1500)) == []
    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 2))  # held-out rows hardly show it
    assert causes(fit({"a": X[:, 0], "b": X[:, 1], "t": 0.17 * X[:, 0] + rng.normal(size=300)}, "t")) == []
    assert "schedule-ends-early" not in causes(minimize("1 + tanh(x)**2", "x=12", "gd", max_steps=300))
    assert causes(minimize("1/(1 + exp(-x))", "x=25", "gd", max_steps=300)) == []


def test_d210_a_wrong_gradient_is_the_root_of_what_follows():
    walk = minimize(bowl, [3.0, 0.0, 2.0], "gd", gradient=lambda w: slope(w)[::-1] * 3, learning_rate=0.1, max_steps=99)
    found = diagnose(walk)
    assert [finding.cause for finding in found] == ["wrong-gradient"]
    assert "at the start" in found[0].evidence
    assert "difference quotients say" in found[0].evidence


@pytest.mark.parametrize("seed", [0, 1])
def test_d210_where_every_step_is_a_rise(seed):
    """A factor that was forgotten: L-BFGS then stands, and its last steps rise by as much as those before."""

    def cost(w):
        return float((100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum())

    def wrong(w):
        g = np.zeros_like(w)
        g[1:] = 200 * (w[1:] - w[:-1] ** 2)
        g[:-1] += -400 * (w[1:] - w[:-1] ** 2) - 2 * (1 - w[:-1])
        return g

    start = np.array([-1.2, 1.0, 0.5]) * np.random.default_rng(seed).uniform(0.9, 1.1, 3)
    assert causes(minimize(cost, start, "lbfgs", gradient=wrong))[0] == "wrong-gradient"


def test_d303_targets_that_are_all_alike():
    X, y = rows()
    assert causes(gd(X, np.full_like(y, 3.0))) == ["constant-labels"]


def test_d012_a_far_row_is_named_but_not_where_the_loss_bounds_its_pull():
    X, y = rows()
    y[17] = 1e4
    found = look_closer(gd(X, y))
    assert [finding.cause for finding in found] == ["outlier-rows"]
    assert found[0].where == {"row": 17, "column": 0, "of": "y"}
    assert "outlier-rows" not in causes(minimize(Risk(X, y, "huber 1", l2=1e-3)))
    X[3] *= 1e5
    assert look_closer(gd(X, y, steps=5))[0].where["row"] == 3


def test_d031_a_column_that_is_the_target_is_named():
    X, y = rows()
    X[:, 2] = (y > 0) + 0.01 * X[:, 2]
    found = look_closer(gd(X, (y > 0).astype(float), "log_loss"))
    assert (found[0].cause, found[0].where) == ("leaked-label", {"column": 2})


def test_d011_columns_of_several_scales_that_standardised_ones_repair():
    X, y = rows()
    assert causes(gd(X * [1.0, 1.0, 1e3, 1.0], y, rate=1e-7)) == ["unscaled-columns"]
    assert causes(minimize(Risk(X * [1.0, 1.0, 1e3, 1.0], y, l2=1e-3))) == []  # a method that does not mind
    several = X * np.geomspace(1.0, 1e3, 4)  # no column is a hundred times as wide as the median one
    assert [causes(gd(several, y, rate=rate))[0] for rate in (1e-7, 0.1)] == ["unscaled-columns"] * 2
    network = Network(perceptron(4, [8], 1), X * [1.0, 1.0, 1e3, 1.0], y)
    with np.errstate(over="ignore"):  # it runs off
        walk = minimize(network, network.start(0), "minibatch", learning_rate=0.01, max_epochs=4)
    assert causes(walk)[0] == "unscaled-columns"


def test_what_a_closer_look_finds_is_confirmed_and_a_log_is_not():
    X, y = rows()
    found = diagnose(gd(X * [1.0, 1e3, 1.0, 10.0], y, rate=1e-8))
    assert found[0].cause == "unscaled-columns"
    own, free = found.confirm()
    assert (own.remedy, own.repaired) == ("standardised columns", False)  # the rate was for the columns as they are
    assert (free.remedy, free.repaired) == ("standardised columns, and the rate left out", True)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    assert causes(gd(scaled, y, rate="auto")) == []
    with pytest.raises(CapabilityError, match="cannot be walked again"):
        diagnose({"loss": [1.0, 2.0, 9.0, float("nan")]}).confirm()


def test_a_fitted_network_is_looked_at_and_stays_as_it_is():
    X, y = rows()
    slow = MLPRegressor((8,), solver="adam", learning_rate_init=1e-7, max_iter=10).fit(X, y)
    assert causes(slow)[0] == "learning-rate-too-low"
    normed = MLPRegressor((8,), solver="adam", learning_rate_init=2.0, normalisation="batch", max_iter=10).fit(X, y)
    before = normed.predict(X)
    diagnose(normed)
    assert np.array_equal(normed.predict(X), before)
    loaded = pickle.loads(pickle.dumps(slow))
    assert loaded.walk.cost is None
    assert look_closer(loaded.walk) == []


def test_d033_classes_that_a_plane_divides_and_no_penalty():
    X, y = rows()
    X = X[np.abs(X[:, 0] + X[:, 1]) > 0.3]
    y = (X[:, 0] + X[:, 1] > 0).astype(float)
    assert causes(gd(X, y, "log_loss", l2=0.0, rate=1.0)) == ["separable"]
    assert "separable" not in causes(gd(X, y, "log_loss", l2=1e-2, rate=1.0))


@pytest.mark.parametrize(("activation", "gain", "expected"), [("tanh", 0.1, ["vanishing-gradient"]), ("tanh", 1.0, [])])
def test_d202_errors_that_shrink_to_nothing_where_nothing_is_learnt(activation, gain, expected):
    X, y = rows()
    network = Network(perceptron(4, [8] * 8, 1, activation, gain=gain), X, y)
    walk = minimize(network, network.start(0), "minibatch", learning_rate=0.02, max_epochs=10)
    assert [cause for cause in causes(walk) if cause == "vanishing-gradient"] == expected


def test_d301_targets_of_other_rows():
    X, y = rows()
    network = Network(perceptron(4, [8], 1), X, np.random.default_rng(1).permutation(y))
    walk = minimize(network, network.start(0), "minibatch", learning_rate=0.01, max_epochs=5)
    assert causes(walk) == ["labels-shuffled"]


def test_d109_a_memory_longer_than_the_walk():
    def walk(beta):
        return minimize(bowl, [3.0, 0.0, 2.0], "momentum", gradient=slope, beta=beta, learning_rate=0.05, max_steps=150)

    assert causes(walk(0.9995)) == ["momentum-too-high"]
    assert causes(walk(0.9)) == []


def test_d101_a_walk_that_is_thrown_about_within_bounds():
    X, y = rows()
    network = Network(perceptron(4, [8], 1), X, y)
    walk = minimize(network, network.start(0), "adam", batch_size=20, learning_rate=5.0, max_epochs=10)
    assert causes(walk)[0] == "learning-rate-too-high"


def test_d101_of_a_walk_that_learnt_something_but_far_less_than_with_a_lower_rate():
    X, y = rows()
    classes = (y > 0).astype(np.int64)
    up = diagnose(gd(X, classes, "log_loss", rate=100.0))[0]
    assert (up.cause, up.severity) == ("learning-rate-too-high", "warning")
    assert up.evidence.startswith("the cost rose from 0.693 to")
    assert causes(gd(X, classes, "log_loss", rate=10.0)) == []


def test_d110_steps_between_the_walls_of_a_valley():
    """At 1.98 over the largest curvature the walls are left by a hundredth a step: at a third of it at once."""

    def walk(rate):
        curved = np.array([1.0, 60.0])
        return minimize(lambda w: float(0.5 * (curved * w**2).sum()), [1.0, 3.0], "gd", gradient=lambda w: curved * w,
                        learning_rate=rate, max_steps=60)  # fmt: skip

    found = diagnose(walk(1.98 / 60))
    assert [(finding.cause, finding.severity) for finding in found] == [("oscillation", "warning")]
    assert "cosine of a step and the next is -" in found[0].evidence
    assert diagnose(walk(1.0 / 60)) == []


def test_d411_and_d420_a_clip_that_is_the_rate_and_one_that_never_acts():
    X, y = rows()
    tight = diagnose(gd(X, y, steps=100, clip_norm=1e-3))[0]
    assert (tight.cause, tight.severity) == ("clipping-too-low", "warning")
    assert "100% of the steps are clipped, at 0.001" in tight.evidence
    assert causes(gd(X, y, steps=100, clip_norm=float(tight.remedy.removeprefix("clip_norm=")))) == []
    idle = diagnose(gd(X, y, steps=100, clip_norm=1e6))
    assert [(finding.cause, finding.severity) for finding in idle] == [("clipping-idle", "info")]


def test_d101_where_a_walk_was_thrown_onto_a_plateau():
    """Steps so long that all units are saturated: that the slope is nothing there is a symptom."""
    X, y = rows()
    network = Network(perceptron(4, [8, 8, 8], 1, activation="sigmoid"), X, y)
    walk = minimize(network, network.start(0), "adam", learning_rate=5.0, batch_size=20, max_epochs=10)
    walk.findings.append(Finding("plateau", "warning", "the slope is 1e-12", "start elsewhere"))
    assert causes(walk)[0] == "learning-rate-too-high"


def test_d108_and_d105_too_slow_and_too_short():
    X, y = rows()
    slow = diagnose(gd(X, y, rate=1e-5))
    assert slow[0].cause == "learning-rate-too-low"
    assert "instead of" in slow[0].evidence
    assert causes(gd(X, y, rate=0.2, steps=2)) == ["steps-used-up"]


def test_a_walk_without_its_cost_is_read_as_a_record():
    walk = pickle.loads(pickle.dumps(gd(*rows(), rate=1e-5)))
    assert walk.cost is None
    assert walk.by is None
    assert look_closer(walk) == []
