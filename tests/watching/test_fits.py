"""watch() as a callback of estimators, scikit-learn's and ours: it hears what goes wrong and changes nothing."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import FitCallback
from sklearn.datasets import load_breast_cancer
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, SGDRegressor
from sklearn.preprocessing import StandardScaler

import descender
from descender.watching import fits


@pytest.fixture(scope="module")
def samples():
    return load_breast_cancer(return_X_y=True)


def causes(watched):
    return [finding.cause for finding in watched.findings if finding.severity != "info"]


def test_it_is_what_scikit_learn_expects_of_a_callback():
    assert isinstance(descender.watch(), FitCallback)


@pytest.mark.parametrize("model", [LogisticRegression(C=1.0), descender.LinearClassifier(l2=1e-2)])
def test_a_watched_fit_is_the_same_to_the_bit_and_nothing_is_found(model, samples):
    X, y = samples
    X = StandardScaler().fit_transform(X)
    told = []
    plain, watched = clone(model).fit(X, y), descender.watch(tell=told.append)
    heard = clone(model).set_callbacks(watched).fit(X, y)
    np.testing.assert_array_equal(heard.coef_, plain.coef_)
    np.testing.assert_array_equal(heard.intercept_, plain.intercept_)
    assert causes(watched) == []
    assert told == []
    fit = watched.fits[0]
    assert fit.number >= 2
    assert fit.losses[-1] < fit.losses[0]
    pickle.dumps(watched)


def test_columns_of_several_scales_are_named(samples):
    watched = descender.watch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        LogisticRegression(max_iter=20).set_callbacks(watched).fit(*samples)
    assert causes(watched)[0] == "unscaled-columns"
    assert causes(descender.watch(ignore="D011")) == []


def test_a_fit_that_raises_is_not_swallowed_and_all_is_let_go():
    watched = descender.watch()
    with pytest.raises(ValueError, match="NaN"):
        LogisticRegression().set_callbacks(watched).fit([[np.nan], [1.0]], [0, 1])
    assert watched.findings == []
    watched.close()
    assert watched.fits == []


def test_a_partial_fit_that_runs_off_is_heard_by_hand():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    y = X @ np.arange(5.0) + 0.1 * rng.normal(size=300)
    for rate, expected in ((0.01, []), (0.9, ["learning-rate-too-high"])):
        model = SGDRegressor(learning_rate="constant", eta0=rate, random_state=0)
        with descender.watch() as watched:
            for start in range(0, 300, 15):
                model.partial_fit(X[start : start + 15], y[start : start + 15])
                watched.look(model, X, y)
            assert causes(watched)[:1] == expected


def test_targets_that_are_all_alike():
    watched = descender.watch()
    watched.look(descender.LinearRegressor(l2=1.0).fit(np.eye(4), np.ones(4)), np.eye(4), np.ones(4))
    assert causes(watched) == ["constant-labels"]


def test_a_fit_of_many_steps_is_kept_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(fits, "MOST", 20)
    X, y = np.ones((3, 1)), np.ones(3)
    fit = fits.Fitting(DummyRegressor().fit(X, y))
    for _ in range(100):
        fit.note(fit.estimator, X, y)
    assert len(fit.losses) <= 20
    assert fit.steps[-1] > 80
    assert np.ptp(np.diff(fit.steps)) == 0
