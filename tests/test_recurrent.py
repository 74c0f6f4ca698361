"""The scikit-learn doors of recurrent networks."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score

from descender import RecurrentClassifier, RecurrentRegressor, diagnose
from descender.costs.network.build import pad, recurrent
from descender.costs.network.network import Network
from descender.errors import DataError, OptionError, ShapeError, TargetError


def parity(n, longest, seed, dtype=np.float64):
    """Sequences of -1 and 1 of different lengths, and whether the number of -1 is odd."""
    rng = np.random.default_rng(seed)
    X = [rng.choice([-1.0, 1.0], size=(rng.integers(1, longest + 1), 1)).astype(dtype) for _ in range(n)]
    return X, np.array(["odd" if np.prod(x) < 0 else "even" for x in X])


def adding(n, steps, seed):
    """The adding problem: the sum of two numbers of many, which a second input marks."""
    rng = np.random.default_rng(seed)
    X = np.stack([rng.random((n, steps)), np.zeros((n, steps))], axis=2)
    for row in X:
        row[rng.choice(steps, 2, replace=False), 1] = 1.0
    return X, (X[:, :, 0] * X[:, :, 1]).sum(axis=1)


@pytest.fixture(scope="module")
def fitted():
    X, y = parity(300, 5, seed=0)
    return RecurrentClassifier(16, max_iter=100).fit(X, y)


def test_parity_of_sequences_of_any_length_is_learnt(fitted):
    X, y = parity(200, 5, seed=1)
    assert fitted.score(X, y) > 0.98
    assert fitted.classes_.tolist() == ["even", "odd"]
    assert fitted.loss_curve_[-1] < 0.2 * fitted.loss_curve_[0]
    assert fitted.n_features_in_ == 1
    proba = fitted.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_array_equal(fitted.classes_[proba.argmax(axis=1)], fitted.predict(X))


def test_it_is_cloned_pickled_and_answers_alike(fitted):
    X, y = parity(20, 5, seed=2)
    assert clone(fitted).get_params() == fitted.get_params()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), fitted.predict_proba(X))
    whole = fitted.decision_function(X)
    np.testing.assert_allclose([fitted.decision_function([x])[0] for x in X], whole, rtol=1e-9)
    assert len(cross_val_score(RecurrentClassifier(2, max_iter=1), X, y, cv=2)) == 2


def test_lists_padded_arrays_and_sequences_of_one_input_are_the_same(fitted):
    X, _ = parity(20, 5, seed=3)
    told = fitted.decision_function(X)
    np.testing.assert_array_equal(fitted.decision_function(pad(X)), told)
    np.testing.assert_array_equal(fitted.decision_function([x[:, 0].tolist() for x in X]), told)
    np.testing.assert_array_equal(fitted.decision_function(pad(X)[:, :, 0]), told)


def test_the_weights_are_those_of_the_inputs_as_passed_in():
    rng = np.random.default_rng(0)
    X = [rng.normal([5.0, 0.0], [0.1, 30.0], size=(rng.integers(1, 5), 2)) for _ in range(40)]
    y = np.array([[x[:, 0].sum(), x[-1, 1]] for x in X])
    model = RecurrentRegressor(4, max_iter=3).fit(X, y)
    W, U, V = model.coefs_
    b, c = model.intercepts_
    for x, told in zip(X, model.predict(X), strict=True):
        h = np.zeros(4)
        for step in x:
            h = np.tanh(step @ W + h @ U + b)
        np.testing.assert_allclose(h @ V + c, told, rtol=1e-7)


def test_float32_stays_float32_and_weights_are_repetitions():
    X, y = parity(40, 4, seed=0, dtype=np.float32)
    model = RecurrentClassifier(4, max_iter=2).fit(X, y)
    assert model.coefs_[1].dtype == model.decision_function(X).dtype == np.float32
    X, y = adding(30, 3, seed=0)
    twice = np.repeat(np.arange(30), 1 + np.arange(30) % 2)
    options = {"solver": "lbfgs", "max_iter": 5}
    one = RecurrentRegressor(3, **options).fit(X[twice], y[twice])
    other = RecurrentRegressor(3, **options).fit(X, y, sample_weight=1 + np.arange(30) % 2)
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-5)


@pytest.mark.slow
def test_the_adding_problem_is_learnt():
    X, y = adding(1500, 12, seed=0)
    model = RecurrentRegressor().fit(X[:1200], y[:1200])
    assert model.score(X[1200:], y[1200:]) > 0.95


def test_an_exploding_gradient_is_named_and_clipping_repairs_it():
    X, y = adding(100, 30, seed=0)
    options = {"activation": "relu", "gain": 1.5, "solver": "sgd", "learning_rate_init": 0.1, "max_iter": 4}
    with pytest.warns(ConvergenceWarning, match="not finite"):
        wild = RecurrentRegressor(16, clip_norm=None, **options).fit(X, y)
    tame = RecurrentRegressor(16, clip_norm=0.1, **options).fit(X, y)
    assert any(finding.cause == "exploding-gradient" for finding in wild.findings_), wild.findings_
    assert np.isfinite(wild.predict(X)).all()
    assert not any(finding.cause == "exploding-gradient" for finding in tame.findings_), tame.findings_
    assert tame.loss_ < wild.loss_


def test_steps_after_the_longest_sequence_of_a_batch_cost_nothing_and_change_nothing():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5, 9, 2)), rng.normal(size=5)
    X[:, 4:] = np.nan
    whole, short = Network(recurrent(2, 3, 1), X, y), Network(recurrent(2, 3, 1), X[:, :4], y)
    w = whole.start(seed=1)
    value, gradient = whole.value_and_gradient(w)
    assert len(whole.forward(w, X)[1][0][0]) == 4
    assert value == short.value(w)
    np.testing.assert_array_equal(gradient, short.value_and_gradient(w)[1])


X, Y = [np.ones((3, 2)), np.ones((1, 2))] * 6, np.arange(12.0)


@pytest.mark.parametrize(
    ("given", "targets", "error", "says"),
    [
        ([], [], DataError, "no sequences"),
        ([*X[:-1], np.empty((0, 2))], Y, DataError, "sequence 11 has shape"),
        ([*X[:-1], np.ones((2, 3))], Y, ShapeError, "sequence 11 has 3 inputs"),
        ([*X[:-1], [[1.0, np.nan]]], Y, DataError, "sequence 11 is not finite at step 0"),
        ([*X[:-1], [["a", "b"]]], Y, DataError, "sequence 11 must hold numbers"),
        (np.ones((2, 2, 2, 2)), Y[:2], ShapeError, "shape"),
        (np.full((12, 2, 1), np.inf), Y, DataError, "infinite"),
        (np.full((12, 2, 1), np.nan), Y, DataError, "no steps"),
        ("text", Y, DataError, "a list of arrays"),
        (X, Y[:-1], ShapeError, "12 sequences and 11 targets"),
        (X, np.full(12, np.nan), TargetError, "NaN"),
    ],
)
def test_what_does_not_fit_is_said(given, targets, error, says):
    with pytest.raises(error, match=says):
        RecurrentRegressor(2, max_iter=1).fit(given, targets)


def test_new_sequences_and_options_that_do_not_fit_are_refused(fitted):
    with pytest.raises(ShapeError, match="2 features a step"):
        fitted.predict(X)
    with pytest.raises(DataError, match="sequence 1 has shape"):
        fitted.predict([[1.0], []])
    with pytest.raises(ShapeError, match="outputs=0"):
        RecurrentRegressor(0).fit(X, Y)
    with pytest.raises(OptionError, match="did you mean tanh"):
        RecurrentRegressor(activation="tan").fit(X, Y)
    with pytest.raises(TargetError, match="one class"):
        RecurrentClassifier(2).fit(X, np.ones(12))


def test_a_remedy_of_a_fitted_network_of_sequences_is_tried():
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], (60, 5, 1))
    model = RecurrentRegressor(8, gain=1.5, clip_norm=None, solver="sgd", learning_rate_init=1.0, max_iter=40)
    model.fit(X, X.sum(axis=(1, 2)))
    assert np.isfinite(model.predict(X)).all()
    assert any(trial.repaired for trial in diagnose(model).confirm())
