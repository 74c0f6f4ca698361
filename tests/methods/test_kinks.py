"""Losses whose slope jumps, hinge and quantile: against scikit-learn, HiGHS and each other; kind data and hard."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import QuantileRegressor
from sklearn.svm import LinearSVC

import descender
from descender.costs.risk import Risk
from descender.descent import descend
from descender.errors import CapabilityError
from descender.methods.auto import choose
from descender.methods.dual import DualAscent
from descender.methods.interior import InteriorPoint
from descender.methods.one_vs_rest import ClassByClass

TOL = 1e-8
BOTH = pytest.mark.parametrize("loss", ["hinge", "quantile 0.8"])


def data(loss, n=200, d=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)))
    score = X @ rng.normal(size=d) / np.sqrt(d) + 0.5
    return X, (score + 0.7 * rng.normal(size=n) > 0).astype(float) if loss == "hinge" else score + rng.standard_t(2, n)


def fit(risk, tol=TOL, method=None, seed=0):
    walk = descend(risk, np.zeros(risk.n_parameters), method or choose(risk, tol)[0], seed=seed)
    assert np.isfinite(walk.x).all()
    assert walk.fun == pytest.approx(risk.value(walk.x), rel=1e-12)
    assert walk.success, walk.message
    assert walk.certificate.rigorous
    assert walk.certificate.relative <= tol
    return walk


# --- against others --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("l1", [0.0, 0.03])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_quantile_equals_scikit_learn(level, l1, intercept, kind):
    """QuantileRegressor is HiGHS; its cost is the mean loss plus alpha |w|_1."""
    X, y = data("quantile")
    s = np.random.default_rng(1).uniform(0.1, 3.0, len(y))
    rows = sparse.csr_array(X) if kind == "sparse" else X
    risk = Risk(rows, y, f"quantile {level}", l1=l1, intercept=intercept, sample_weight=s)
    peer = QuantileRegressor(quantile=level, alpha=l1, fit_intercept=intercept)
    peer.fit(X, y, sample_weight=s)
    theirs = risk.value(np.append(peer.coef_, peer.intercept_)[: risk.n_parameters])
    walk = fit(risk)
    assert walk.fun == pytest.approx(theirs, rel=2e-8)
    assert walk.certificate.gap >= walk.fun - theirs - 1e-14


@pytest.mark.parametrize("l2", [0.02, 0.5])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("method", [InteriorPoint(TOL), DualAscent(TOL)])
def test_hinge_equals_scikit_learn(l2, kind, method):
    X, y = data("hinge")
    s = np.random.default_rng(1).uniform(0.1, 3.0, len(y))
    rows = sparse.csr_array(X) if kind == "sparse" else X
    risk = Risk(rows, y, "hinge", l2=l2, intercept=False, sample_weight=s)
    peer = LinearSVC(loss="hinge", C=1 / (l2 * s.sum()), tol=1e-10, max_iter=500_000, fit_intercept=False)
    theirs = risk.value(peer.fit(X, y, sample_weight=s).coef_.ravel())
    walk = fit(risk, method=method)
    assert walk.fun == pytest.approx(theirs, rel=1e-8)
    assert walk.certificate.gap >= walk.fun - theirs - 1e-14


@BOTH
@pytest.mark.parametrize("l2", [1e-2, 1.0])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_two_methods_meet(loss, l2, intercept, reduction):
    X, y = data(loss)
    s = np.random.default_rng(2).integers(0, 3, len(y)).astype(float)
    strength = l2 * (s.sum() if reduction == "sum" else 1.0)
    risk = Risk(X, y, loss, l2=strength, intercept=intercept, sample_weight=s, reduction=reduction)
    inner, ascent = fit(risk, method=InteriorPoint(1e-10)), fit(risk, 1e-6, DualAscent(1e-6))
    assert ascent.fun == pytest.approx(inner.fun, rel=1e-6)
    assert ascent.fun >= inner.fun - 1e-9 * inner.fun
    assert ascent.x == pytest.approx(inner.x, abs=0.02)


# --- every penalty, hard data ----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(("l2", "l1"), [(0.0, 0.0), (0.0, 0.05), (0.01, 0.05), (0.01, 0.0)])
@pytest.mark.parametrize("kind", ["dense", "sparse", "float32"])
def test_every_penalty_is_certified(loss, l2, l1, kind):
    X, y = data(loss)
    X = sparse.csr_array(X) if kind == "sparse" else X.astype(np.float32) if kind == "float32" else X
    tol = 1e-6 if kind == "float32" else TOL
    assert fit(Risk(X, y, loss, l2=l2, l1=l1), tol).certificate.relative <= tol


@BOTH
@pytest.mark.parametrize("l1", [0.0, 0.02])
def test_the_units_of_columns_do_not_matter(loss, l1):
    X, y = data(loss)
    units = np.array([1e-6, 1e-3, 1.0, 1e3, 1e6])
    plain, scaled = fit(Risk(X, y, loss)), fit(Risk(X * units, y, loss))
    assert scaled.fun == pytest.approx(plain.fun, rel=1e-8)
    fit(Risk(X * units, y, loss, l2=1e-6, l1=l1))


@BOTH
def test_duplicated_and_constant_columns_and_far_ones(loss):
    X, y = data(loss)
    more = np.column_stack([X, X[:, :2], np.full(len(y), 3.0), np.zeros(len(y))])
    best = fit(Risk(X, y, loss)).fun
    assert fit(Risk(more, y, loss)).fun == pytest.approx(best, rel=1e-7)
    assert fit(Risk(np.round(X * 1024) / 1024 + 1e6, y, loss), 1e-6).fun == pytest.approx(best, rel=1e-3)


@BOTH
def test_heavy_tails_and_rare_columns(loss):
    rng = np.random.default_rng(4)
    X, y = data(loss, 600)
    X[:, 0] = rng.standard_cauchy(600)
    X[:, 1] = np.arange(600) < 2
    for l2, l1 in ((0.0, 0.0), (1e-6, 0.0), (0.0, 1e-3)):
        assert fit(Risk(X, y, loss, l2=l2, l1=l1), 1e-6).certificate.relative <= 1e-6


@BOTH
@pytest.mark.parametrize("l2", [0.02, 0.1])
def test_fewer_rows_than_columns(loss, l2):
    X, y = data(loss, 30, 80)
    inner = fit(Risk(X, y, loss, l2=l2))
    assert fit(Risk(X, y, loss, l2=l2), 1e-6, DualAscent(1e-6)).fun == pytest.approx(inner.fun, rel=1e-6)


@BOTH
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_targets_and_single_rows(loss, value):
    X, _ = data(loss, 20, 3)
    for l2, l1 in ((0.0, 0.0), (0.1, 0.0), (0.0, 0.1)):
        walk = fit(Risk(X, np.full(20, value), loss, l2=l2, l1=l1), 1e-6)
        assert walk.fun < 1e-6
    assert fit(Risk([[2.0]], [value], loss, l2=0.1), 1e-6).fun < 1e-6
    assert fit(Risk([[2.0], [3.0]], [0.0, 1.0], loss, l2=0.1, intercept=False), 1e-6).fun > 0


@BOTH
def test_rows_of_weight_zero_are_not_there(loss):
    X, y = data(loss)
    s = np.ones(len(y))
    s[::3] = 0.0
    X[::3] *= 1e3
    some, all_ = fit(Risk(X[s > 0], y[s > 0], loss, l2=0.01)), fit(Risk(X, y, loss, l2=0.01, sample_weight=s))
    assert all_.fun == pytest.approx(some.fun, rel=1e-8)
    assert all_.x == pytest.approx(some.x, abs=1e-4)


def test_separable_classes_have_no_hinge_left():
    X, y = data("hinge")
    X[:, 0] = 2.0 * y - 1.0
    walk = fit(Risk(X, y, "hinge"))
    assert walk.fun < 1e-6


@BOTH
def test_many_columns_by_dual_ascent(loss):
    rng = np.random.default_rng(0)
    X = sparse.random_array((400, 3000), density=0.004, rng=rng, format="csr")
    score = X @ rng.normal(size=3000) * 4 + 0.3
    y = score + 0.3 * rng.normal(size=400)
    risk = Risk(X, y > 0 if loss == "hinge" else y, loss, l2=1.0 / 400)
    method, why = choose(risk)
    assert isinstance(method, DualAscent)
    assert "too many columns" in why
    walk = fit(risk, 1e-6)
    again = fit(risk, 1e-6)
    assert (again.x == walk.x).all()
    assert (np.diff(walk.record["cost"][1:]) < 0.1 * walk.fun).all()
    for penalty in ({}, {"l1": 0.1}):
        with pytest.raises(CapabilityError, match=r"has no method here: give l2 and no l1.*squared_hinge or huber"):
            choose(Risk(X, risk.y, loss, **penalty))


# --- one against the rest --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_one_against_the_rest_equals_scikit_learn(loss, kind):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(150, 4))
    y = np.argmax(X[:, :3] + 0.5 * rng.normal(size=(150, 3)), axis=1).astype(float)
    l2 = 0.02
    risk = Risk(sparse.csr_array(X) if kind == "sparse" else X, y, loss, l2=l2, intercept=False)
    walk = fit(risk)
    assert isinstance(choose(risk)[0], ClassByClass)
    peer = LinearSVC(loss=loss, C=1 / (l2 * 150), tol=1e-10, max_iter=500_000, fit_intercept=False, dual=True)
    theirs = risk.value(peer.fit(X, y).coef_.ravel())
    assert walk.fun == pytest.approx(theirs, rel=1e-8)
    costs = [risk.value(w) for w in walk.record.path]
    assert walk.record["cost"] == pytest.approx(costs, rel=1e-9)


def test_a_class_of_one_row_and_a_class_of_none():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(60, 3)), rng.integers(0, 2, 60).astype(float)
    y[0] = 2.0
    for loss in ("hinge", "squared_hinge"):
        risk = Risk(X, y, loss, l2=0.1, n_classes=4)
        walk = fit(risk, 1e-6)
        assert risk.split(walk.x)[0].shape == (4, 3)
        assert risk.against_rest(3).value(risk.part_of(walk.x, 3)) < 1e-6


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("target", ["species", "iris"])
def test_fit_with_hinge(loss, target):
    """From a table to a model: two classes and three, saved and read back."""
    if target == "species":
        result = descender.fit("example:iris", "species", loss=loss)
        assert result.model.weights.shape[0] == 3
    else:
        result = descender.fit("example:breast_cancer", loss=loss)
        assert result.metrics["holdout"]["auc"] > 0.97
    assert result.walk.success
    assert result.metrics["holdout"]["accuracy"] > 0.85
    assert loss in result.metrics["baseline"]
    with pytest.raises(CapabilityError, match="no probabilities"):
        result.model.predict_proba("example:iris" if target == "species" else "example:breast_cancer")


# --- planted faults --------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("method", [InteriorPoint(1e-6), DualAscent(1e-6)])
def test_a_wrong_direction_cannot_end_with_a_good_certificate(loss, method, monkeypatch):
    from descender.methods import dual, interior

    X, y = data(loss)
    risk = Risk(X, y, loss, l2=0.01)
    spread, epoch = interior.Rows.spread, dual.Ascent.epoch

    def wrong(self, rows, slack):
        self.w *= 1.1
        return epoch(self, rows, slack)

    monkeypatch.setattr(interior.Rows, "spread", lambda self, r: 1.1 * spread(self, r))
    monkeypatch.setattr(dual.Ascent, "epoch", wrong)
    monkeypatch.setattr(dual, "PATIENCE", 3)
    walk = descend(risk, np.zeros(6), method)
    assert not walk.success
    assert walk.certificate.relative > 1e-6
