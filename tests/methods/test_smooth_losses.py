"""Huber, Poisson and squared hinge by the methods of all smooth losses: the bottom that others find; hard data."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from sklearn.linear_model import HuberRegressor, PoissonRegressor
from sklearn.svm import LinearSVC

import descender
from descender.costs.certificate import cost_scale
from descender.costs.risk import Risk
from descender.descent import descend
from descender.errors import TargetError
from descender.methods.auto import choose

TOL, CLOSE = 1e-9, 1e-8
LOSSES = ["huber 0.7", "poisson", "squared_hinge"]
EACH = pytest.mark.parametrize("loss", LOSSES)
KINDS = pytest.mark.parametrize("kind", ["dense", "sparse"])


def data(loss, n=300, d=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)))
    return X, targets(loss, X @ rng.normal(size=d) / np.sqrt(d) + 0.5, rng)


def targets(loss, score, rng):
    if loss == "poisson":
        return rng.poisson(np.exp(np.clip(score, -20, 6))).astype(float)
    noisy = score + rng.standard_t(2, len(score))
    return (noisy > 0).astype(float) if loss == "squared_hinge" else noisy


def fit(risk, tol=TOL, start=None):
    start = np.zeros(risk.n_parameters) if start is None else start
    walk = descend(risk, start, choose(risk, tol)[0])
    assert np.isfinite(walk.x).all()
    assert walk.success, walk.message
    assert walk.certificate.rigorous
    assert walk.certificate.relative <= tol
    assert walk.fun == pytest.approx(risk.value(walk.x), rel=1e-12 if risk.X.dtype == np.float64 else 1e-7)
    return walk


def peer(risk, units=1.0):
    """SciPy's trust region Newton method with our cost, its derivatives by differences checked elsewhere."""
    scale = np.append(np.broadcast_to(1.0 / np.asarray(units), risk.n_features), np.ones(int(risk.intercept)))

    def cost(v):
        value, g = risk.value_and_gradient(v * scale)
        return value, g * scale

    w = np.zeros(risk.n_parameters)
    w[-1] = risk.loss.trivial(risk.y, np.ones(len(risk.y))) if risk.intercept else 0.0
    hessian = {"hess": lambda v: risk.hessian(v * scale) * scale * scale[:, None]}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = minimize(cost, w, jac=True, method="trust-exact", options={"gtol": 1e-12, "maxiter": 500}, **hessian)
        again = minimize(cost, found.x, jac=True, method="BFGS", options={"gtol": 1e-13})
    return min(found.x, again.x, key=lambda v: risk.value(v * scale)) * scale


def as_low_as(walk, risk, w, both=True):
    ours, theirs = risk.value(walk.x), risk.value(w)
    unit = max(theirs, cost_scale(risk) / 1000)
    assert ours - theirs <= CLOSE * unit
    assert not both or theirs - ours <= CLOSE * unit
    assert walk.certificate.gap >= ours - theirs - 1e-14 * unit


# --- against others --------------------------------------------------------------------------------------------------


@EACH
@KINDS
@pytest.mark.parametrize("l2", [0.0, 1e-4, 0.1, 10.0])
@pytest.mark.parametrize("intercept", [True, False])
def test_equals_scipy(loss, kind, l2, intercept):
    X, y = data(loss)
    s = np.random.default_rng(1).uniform(0.0, 3.0, len(y))
    X = sparse.csr_array(X) if kind == "sparse" else X
    risk = Risk(X, y, loss, l2=l2, intercept=intercept, sample_weight=s)
    as_low_as(fit(risk), risk, peer(risk))


@KINDS
@pytest.mark.parametrize("l2", [1e-3, 1.0])
def test_poisson_equals_scikit_learn(kind, l2):
    X, y = data("poisson")
    X = sparse.csr_array(X) if kind == "sparse" else X
    model = PoissonRegressor(alpha=l2, tol=1e-12, solver="newton-cholesky" if kind == "dense" else "lbfgs",
                             max_iter=10_000).fit(X, y)  # fmt: skip
    risk = Risk(X, y, "poisson", l2=l2)
    as_low_as(fit(risk), risk, np.append(model.coef_, model.intercept_))


@pytest.mark.parametrize("alpha", [1e-4, 10.0])
def test_huber_equals_scikit_learn_at_its_scale(alpha):
    X, y = data("huber")
    model = HuberRegressor(alpha=alpha, tol=1e-10, max_iter=10_000).fit(X, y)
    risk = Risk(X, y, f"huber {float(1.35 * model.scale_)!r}", l2=alpha * model.scale_ / len(y))
    walk, theirs = fit(risk), risk.value(np.append(model.coef_, model.intercept_))
    assert -1e-12 <= theirs - walk.fun <= 1e-7 * walk.fun
    assert walk.x == pytest.approx(np.append(model.coef_, model.intercept_), abs=1e-3)


@KINDS
@pytest.mark.parametrize("l2", [1e-2, 1.0])
def test_squared_hinge_equals_liblinear(kind, l2):
    X, y = data("squared_hinge")
    X = sparse.csr_array(X) if kind == "sparse" else X
    model = LinearSVC(C=1 / (l2 * 300), tol=1e-10, max_iter=100_000, fit_intercept=False, dual=True).fit(X, y)
    risk = Risk(X, y, "squared_hinge", l2=l2, intercept=False)
    as_low_as(fit(risk), risk, model.coef_.ravel())


@EACH
@KINDS
@pytest.mark.parametrize("l2", [0.0, 0.05])
def test_l1_is_as_low_as_scipy_finds(loss, kind, l2):
    """Each weight as a difference of two that are not negative, for a method with bounds."""
    X, y = data(loss)
    X = sparse.csr_array(X) if kind == "sparse" else X
    risk, smooth = Risk(X, y, loss, l2=l2, l1=0.05), Risk(X, y, loss, l2=l2)

    def split(v):
        value, g = smooth.value_and_gradient(np.append(v[:5] - v[6:], v[5]))
        return value + 0.05 * (v[:5].sum() + v[6:].sum()), np.concatenate([g[:5] + 0.05, g[5:], 0.05 - g[:5]])

    limits = [(0, None)] * 5 + [(None, None)] + [(0, None)] * 5
    exact = {"ftol": 1e-16, "gtol": 1e-12, "maxiter": 5000, "maxfun": 20_000}
    v = minimize(split, np.zeros(11), jac=True, method="L-BFGS-B", bounds=limits, options=exact).x
    as_low_as(fit(risk), risk, np.append(v[:5] - v[6:], v[5]))


# --- hard data -------------------------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize(("l2", "l1"), [(0.0, 0.0), (0.0, 0.02)])
def test_the_units_of_columns(loss, l2, l1):
    X, y = data(loss)
    units = np.array([1e-6, 1e-3, 1.0, 1e3, 1e6])
    risk = Risk(X * units, y, loss, l2=l2, l1=l1)
    walk = fit(risk, 1e-8)
    if l1 == 0:
        as_low_as(walk, risk, peer(risk, units))


@EACH
@pytest.mark.parametrize("l2", [0.0, 1e-3])
def test_duplicated_constant_and_far_columns(loss, l2):
    X, y = data(loss)
    more = np.column_stack([X, X[:, :2], np.full(len(y), 3.0), np.zeros(len(y))])
    walk = fit(Risk(more, y, loss, l2=l2))
    if l2 == 0:
        assert walk.fun == pytest.approx(fit(Risk(X, y, loss)).fun, rel=CLOSE)
    X = np.round(X * 1024) / 1024
    assert fit(Risk(X + 1e5, y, loss, l2=l2)).fun == pytest.approx(fit(Risk(X, y, loss, l2=l2)).fun, rel=1e-7)


@EACH
def test_heavy_tails_and_rare_columns(loss):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(800, 4))
    X[:, 0] = rng.standard_cauchy(800)
    X[:, 1] = np.arange(800) < 3
    y = targets(loss, np.clip(0.3 * X[:, 2] + 0.01 * X[:, 0], -3, 3), rng)
    for l2 in (1e-6, 1e-2):
        risk = Risk(X, y, loss, l2=l2)
        as_low_as(fit(risk), risk, peer(risk, np.sqrt((X**2).mean(axis=0))), both=False)


@EACH
@pytest.mark.parametrize("l2", [1e-4, 0.1])
def test_fewer_rows_than_columns(loss, l2):
    X, y = data(loss, 30, 80)
    risk = Risk(X, y, loss, l2=l2)
    as_low_as(fit(risk), risk, peer(risk), both=False)


@EACH
def test_many_columns(loss):
    rng = np.random.default_rng(6)
    X = sparse.random_array((300, 2500), density=0.004, rng=rng, format="csr")
    risk = Risk(X, targets(loss, X @ rng.normal(size=2500) + 0.3, rng), loss, l2=1e-2)
    fit(risk, 1e-8)
    fit(Risk(X, risk.y, loss, l1=1e-2), 1e-6)


@EACH
def test_enough_rows_to_learn_from_a_sample(loss):
    X, y = data(loss, 30_000, 4)
    risk = Risk(X, y, loss, l2=1e-4)
    walk = fit(risk)
    as_low_as(walk, risk, peer(risk))
    assert walk.record["rows_seen"][-1] <= 40 * 30_000


@EACH
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_targets(loss, value):
    X, _ = data(loss, 20, 3)
    for l2, l1 in ((0.0, 0.0), (0.1, 0.0), (0.0, 0.1)):
        assert fit(Risk(X, np.full(20, value), loss, l2=l2, l1=l1), 1e-6).fun < 1e-5


@EACH
def test_rows_of_weight_zero_are_not_there(loss):
    X, y = data(loss)
    s = np.ones(len(y))
    s[::3] = 0.0
    X[::3] *= 1e2
    some, every = fit(Risk(X[s > 0], y[s > 0], loss, l2=0.01)), fit(Risk(X, y, loss, l2=0.01, sample_weight=s))
    assert every.fun == pytest.approx(some.fun, rel=CLOSE)


@EACH
def test_float32(loss):
    X, y = data(loss, 2000, 8)
    single = Risk(X.astype(np.float32), y, loss, l2=1e-3)
    walk = fit(single, 1e-6)
    exact = Risk(single.X.astype(np.float64), y, loss, l2=1e-3)
    assert exact.value(walk.x) - exact.value(peer(exact)) <= walk.certificate.gap


@pytest.mark.parametrize("start", [0.0, 5.0, -30.0, 80.0, 500.0])
def test_poisson_from_anywhere(start):
    """Where the exponential is huge, or so small that no curvature is left."""
    X, y = data("poisson")
    risk = Risk(X, y, "poisson", l2=1e-3)
    best = fit(risk).fun
    assert fit(risk, start=np.append(np.full(5, 0.01 * start), start)).fun == pytest.approx(best, rel=CLOSE)


@pytest.mark.parametrize("mean", [1e-4, 1e4, 1e9])
def test_poisson_counts_of_all_sizes(mean):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    y = rng.poisson(mean * np.exp(0.3 * X[:, 0])).astype(float)
    if y.any():
        risk = Risk(X, y, "poisson", l2=1e-6)
        tol = 1e-7 if mean == 1e9 else TOL  # the gradient is a difference of such counts
        as_low_as(fit(risk, tol), risk, peer(risk), both=False)


# --- from a table ----------------------------------------------------------------------------------------------------


def table(n=400):
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    return {"x": x, "g": rng.choice(["a", "b"], n), "count": rng.poisson(np.exp(1 + 0.5 * x)) * 1.0,
            "price": 3 * x + rng.standard_t(1.5, n) + 0.01}  # fmt: skip


def test_fit_chooses_the_delta_of_huber_and_tells():
    result = descender.fit(table(), "price", loss="huber", exclude="count")
    word, *parameters = result.model.loss.split()
    assert (word, len(parameters)) == ("huber", 1)
    assert ("loss", f"{result.model.loss}: beyond {float(parameters[0]):g} an error counts by its size, not its square",
            None) in result.lines  # fmt: skip
    assert abs(result.model.coefficients[result.model.features.index("x")] - 3.0) < 0.3
    given = descender.fit(table(), "price", loss="huber 2.5", exclude="count")
    assert given.model.loss == "huber 2.5"
    assert next(iter(given.metrics["holdout"])) == "huber"


def test_fit_counts_and_quantiles(tmp_path):
    result = descender.fit(table(), "count", loss="poisson", task="regression", exclude="price")
    assert result.metrics["holdout"]["poisson"] < result.metrics["baseline"]["poisson"]
    assert (result.model.predict(table()) > 0).all()
    assert result.model.predict(table()).mean() == pytest.approx(table()["count"].mean(), rel=0.05)
    high = descender.fit(table(), "price", loss="quantile 0.9", exclude="count")
    assert np.mean(high.model.predict(table()) > table()["price"]) == pytest.approx(0.9, abs=0.04)
    again = descender.Model.load(high.save(tmp_path)["model"])
    assert again.loss == "quantile 0.9"
    assert (again.predict(table()) == high.model.predict(table())).all()


def test_a_negative_count_is_refused():
    with pytest.raises(TargetError, match=r"the target price in row \d+ is -.*; poisson needs numbers of at least 0"):
        descender.fit(table(), "price", loss="poisson")
