"""partial_fit: row by row, in any pieces, on columns of any scale, and on from a fit."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

from descender import LinearClassifier, LinearRegressor
from descender.errors import CapabilityError, DescenderError, ShapeError, TargetError


def shuffled(X, y, seed=0):
    order = np.random.default_rng(seed).permutation(len(y))
    return X[order], y[order]


def cancer():
    return shuffled(*load_breast_cancer(return_X_y=True))


def digits():
    return shuffled(*load_digits(return_X_y=True))


def learnt(model, X, y, size=50, passes=1, **first):
    for _ in range(passes):
        for start in range(0, len(y), size):
            model.partial_fit(X[start : start + size], y[start : start + size], **first)
            first = {}
    return model


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge", "hinge", "squared_error"])
def test_raw_columns_are_learnt_like_standardised_ones(loss):
    X, y = cancer()
    raw = learnt(LinearClassifier(loss), X, y, passes=2, classes=[0, 1])
    standard = learnt(LinearClassifier(loss), StandardScaler().fit_transform(X), y, passes=2, classes=[0, 1])
    assert raw.score(X, y) > (0.92 if loss == "squared_error" else 0.95)
    assert raw.score(X, y) == pytest.approx(standard.score(StandardScaler().fit_transform(X), y), abs=0.012)
    theirs = learnt(SGDClassifier("log_loss", random_state=0), X, y, passes=2, classes=[0, 1])
    assert raw.score(X, y) > theirs.score(X, y)


def test_the_units_of_the_columns_do_not_matter_at_all():
    X, y = cancer()
    unit = 2.0 ** np.arange(-15, 15)
    one = learnt(LinearClassifier(), X, y, classes=[0, 1])
    other = learnt(LinearClassifier(), X * unit, y, classes=[0, 1])
    np.testing.assert_allclose(other.decision_function(X * unit), one.decision_function(X), rtol=1e-9)
    np.testing.assert_allclose(other.coef_ * unit, one.coef_, rtol=1e-9)


@pytest.mark.parametrize("size", [1, 7, 300])
@pytest.mark.parametrize("kind", ["two", "softmax", "each against the rest", "sparse", "weighted"])
def test_any_pieces_are_one_stream(kind, size):
    X, y = digits()
    X, y = X[: 100 * min(size + 1, 6)], y[: 100 * min(size + 1, 6)]
    y = y % 2 if kind in ("two", "weighted") else y % 3
    X = sparse.csr_array(X) if kind == "sparse" else X
    door = LinearClassifier("squared_error" if kind == "each against the rest" else "log_loss")
    s = np.random.default_rng(0).uniform(0.5, 2.0, len(y)) if kind == "weighted" else np.ones(len(y))
    whole, pieces = clone(door).partial_fit(X, y, classes=np.unique(y), sample_weight=s), clone(door)
    for start in range(0, len(y), size):
        part = slice(start, start + size)
        pieces.partial_fit(X[part], y[part], classes=np.unique(y), sample_weight=s[part])
    np.testing.assert_array_equal(pieces.coef_, whole.coef_)
    np.testing.assert_array_equal(pieces.intercept_, whole.intercept_)


def test_softmax_of_ten_digits():
    X, y = digits()
    model = learnt(LinearClassifier(), X[:1200], y[:1200], classes=range(10))
    assert model.coef_.shape == (10, 64)
    assert model.score(X[1200:], y[1200:]) > 0.88
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    assert len(model.loss_curve_) == 24
    assert model.loss_curve_[-1] < 0.2 * model.loss_curve_[0]
    assert model.certificate_ is None


def test_sparse_rows_stay_sparse_and_are_learnt():
    X, y = digits()
    thin = sparse.csr_array(X)
    thin = sparse.hstack([thin, sparse.csr_array((len(y), 1000))], format="csr")
    model = learnt(LinearClassifier(), thin[:1200], y[:1200], classes=range(10))
    assert model.score(thin[1200:], y[1200:]) > 0.85
    assert model.score(thin[1200:].toarray(), y[1200:]) == model.score(thin[1200:], y[1200:])
    again = (
        clone(model)
        .partial_fit(thin[:300], y[:300], classes=range(10))
        .partial_fit(thin[300:600].toarray(), y[300:600])
    )
    once = clone(model).partial_fit(thin[:600], y[:600], classes=range(10))
    np.testing.assert_allclose(again.coef_, once.coef_, atol=1e-12)


def test_a_stream_of_numbers_with_several_outputs():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 3)) * [1.0, 100.0, 0.01] + [0.0, 1000.0, 5.0]
    Y = np.column_stack([X @ [1.0, 0.02, 50.0], X @ [0.0, -0.01, 10.0]]) + 0.1 * rng.standard_normal((2000, 2))
    model = learnt(LinearRegressor(), X, Y, passes=3)
    assert model.score(X, Y) > 0.99
    one = learnt(LinearRegressor(), X, Y[:, 0], passes=3)
    np.testing.assert_array_equal(one.coef_, model.coef_[0])
    with pytest.raises(ShapeError, match="outputs of before"):
        model.partial_fit(X, Y[:, 0])
    counts = rng.poisson(np.exp(0.5 * X[:, 0]))
    assert learnt(LinearRegressor("poisson"), X, counts, passes=2).score(X, counts) > 0.15


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("loss", ["squared_error", "quantile 0.5"])
def test_the_unit_and_the_zero_of_the_targets_do_not_matter(loss):
    X, y = load_diabetes(return_X_y=True)
    one = learnt(LinearRegressor(loss), X, y, passes=4)
    other = learnt(LinearRegressor(loss), X, 2.0**12 * y + 2.0**20, passes=4)
    np.testing.assert_allclose(other.coef_, 2.0**12 * one.coef_, rtol=1e-6)
    assert one.score(X, y) > (0.4 if loss == "squared_error" else 0.2)


def test_it_goes_on_from_where_a_fit_ended():
    X, y = cancer()
    model = LinearClassifier().fit(X[:400], y[:400])
    before = model.decision_function(X)
    low = model.certificate_.value
    model.partial_fit(X[:50], y[:50])
    moved = np.abs(model.decision_function(X) - before).max() / np.abs(before).max()
    assert 0 < moved < 0.1
    assert model.score(X, y) > 0.95
    fresh = clone(model).partial_fit(X[:50], y[:50], classes=[0, 1])
    assert fresh.score(X, y) < model.score(X, y)
    assert model.fit(X[:400], y[:400]).certificate_.value == pytest.approx(low)
    ten = LinearClassifier().fit(*digits())
    assert ten.partial_fit(*digits()).score(*digits()) > 0.95
    thin, labels = sparse.csr_array(digits()[0]), digits()[1]
    assert LinearClassifier().fit(thin, labels).partial_fit(thin, labels).score(thin, labels) > 0.95


def test_a_learner_is_pickled_in_the_middle_of_its_stream():
    X, y = digits()
    model = learnt(LinearClassifier(), X[:600], y[:600], classes=range(10))
    again = pickle.loads(pickle.dumps(model)).partial_fit(X[600:700], y[600:700])
    np.testing.assert_array_equal(again.coef_, model.partial_fit(X[600:700], y[600:700]).coef_)


def test_rows_of_weight_zero_are_not_there():
    X, y = cancer()
    s = (np.arange(len(y)) % 3 > 0).astype(float)
    one = LinearClassifier().partial_fit(X, y, classes=[0, 1], sample_weight=s)
    other = LinearClassifier().partial_fit(X[s > 0], y[s > 0], classes=[0, 1])
    np.testing.assert_array_equal(one.coef_, other.coef_)
    heavy = LinearClassifier(class_weight={0: 1.0, 1: 10.0}).partial_fit(X, y, classes=[0, 1])
    assert heavy.predict(X).mean() > one.predict(X).mean()


def test_an_explicit_rate_takes_the_columns_as_they_are():
    X, y = load_iris(return_X_y=True)
    X, y = shuffled(X[:100], y[:100])
    model = LinearClassifier(learning_rate=0.1, l2=0.0).partial_fit(X, y, classes=[0, 1])
    w = np.zeros(5)
    for x, target in zip(np.column_stack([X, np.ones(100)]), y, strict=True):
        w -= 0.1 * (1 / (1 + np.exp(-w @ x)) - target) * x
    np.testing.assert_allclose(np.append(model.coef_, model.intercept_), w, rtol=1e-9)


@pytest.mark.parametrize(
    ("door", "says"),
    [
        (LinearClassifier(method="lbfgs"), "lbfgs"),
    ],
)
def test_what_a_stream_cannot_have_is_refused(door, says):
    X, y = cancer()
    with pytest.raises(DescenderError, match=says):
        door.partial_fit(X, y, classes=[0, 1])
    assert issubclass(CapabilityError, ValueError)


@pytest.mark.parametrize("options", [{"l1": 0.1}, {"batch_size": 10}])
def test_there_is_no_stream_with_what_needs_more_than_a_row(options):
    for door in (LinearClassifier(**options), LinearRegressor(**options)):
        assert not hasattr(door, "partial_fit")
        with pytest.raises(AttributeError, match="partial_fit"):
            door.partial_fit  # noqa: B018 - the access is what is tested
    assert not hasattr(LinearClassifier(class_weight="balanced"), "partial_fit")


def test_classes_are_told_first_and_others_are_refused():
    X, y = cancer()
    with pytest.raises(ValueError, match="classes must be passed"):
        LinearClassifier().partial_fit(X, y)
    model = LinearClassifier().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(TargetError, match="the model knows the classes"):
        model.partial_fit(X, y + 1)
