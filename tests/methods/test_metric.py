"""Descent in a learnt metric against scikit-learn at tight tolerance, on kind data and on hard."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, Ridge

from descender.costs.certificate import certificate
from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods.auto import choose
from descender.methods.centred import Centred
from descender.methods.metric import LearntMetric
from descender.methods.newton import Newton
from descender.methods.sampling import draw, sample_size
from descender.methods.standard import Standard
from descender.walk import Stop

TOL = 1e-9
CLOSE = 1e-8


def data(n=300, d=5, seed=0, classes=True):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)))
    score = X @ rng.normal(size=d) / np.sqrt(d) + 0.5
    y = (rng.random(n) < 1 / (1 + np.exp(-2 * score))).astype(float) if classes else score + rng.normal(size=n)
    return X, y


def fit(risk, tol=TOL, seed=0, start=None):
    start = np.zeros(risk.n_parameters) if start is None else start
    method = choose(risk, tol)[0]
    walk = descend(risk, start, method, seed=seed)
    if isinstance(method, Newton):  # small: both ways lead to the bottom
        learnt = descend(risk, start, LearntMetric(tol), seed=seed)
        one, other = walk.certificate, learnt.certificate
        assert abs(one.value - other.value) <= one.gap + other.gap
    assert np.isfinite(walk.x).all()
    # float32 rows are read in float64 where it ends, by `double`; the cost itself carries their rounding
    assert walk.fun == pytest.approx(risk.value(walk.x), rel=1e-12 if risk.X.dtype == np.float64 else 1e-7)
    return walk


def double(risk):
    """The same risk with its rows in float64."""
    return Risk(risk.X.astype(np.float64), risk.y, risk.loss.name, l2=risk.l2, l1=risk.l1, intercept=risk.intercept,
                sample_weight=risk.sample_weight)  # fmt: skip


def parameters(model, intercept=True):
    w = np.ravel(model.coef_).astype(float)
    return np.append(w, float(np.ravel(model.intercept_)[0])) if intercept else w


def peer(risk, scale=1.0):
    """scikit-learn on the same cost: mean loss + l2 |w|^2 / 2 + l1 |w|."""
    s = risk.sample_weight
    n, l2, l1 = risk.total_weight, risk.l2, risk.l1
    X, y = risk.X, risk.y
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it cannot always reach what is asked, and says so
        if risk.loss.name == "log_loss":
            solver = "newton-cholesky" if X.shape[1] <= 500 else "lbfgs"
            C = 1 / (l2 * n) if l2 > 0 else np.inf
            model = LogisticRegression(C=C, tol=1e-12, solver=solver, max_iter=10_000, fit_intercept=risk.intercept)
        elif l1 == 0:
            model = Ridge(l2 * n, tol=1e-14, solver="svd" if not sparse.issparse(X) else "auto",
                          fit_intercept=risk.intercept, max_iter=100_000)  # fmt: skip
        elif l2 == 0:
            model = Lasso(l1, tol=1e-13, max_iter=100_000, fit_intercept=risk.intercept)
        else:
            model = ElasticNet(
                l1 + l2, l1_ratio=l1 / (l1 + l2), tol=1e-13, max_iter=100_000, fit_intercept=risk.intercept
            )
        return parameters(model.fit(X, y, sample_weight=s), risk.intercept)


def as_low_as(walk, risk, w, both=True):
    """The relative difference of the costs is at most `CLOSE`; ours may be lower where the peer did not arrive."""
    ours, theirs = double(risk).value(walk.x), double(risk).value(w)
    unit = max(abs(theirs), 1e-300)
    assert (ours - theirs) / unit <= CLOSE
    if both:
        assert (theirs - ours) / unit <= CLOSE
    assert walk.success
    assert walk.status == "converged"
    assert walk.certificate.relative <= TOL
    if walk.certificate.rigorous:
        assert walk.certificate.gap >= ours - theirs - 1e-14 * unit


# --- kind data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("l2", [1e-6, 1e-2, 10.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
def test_l2_equals_scikit_learn(loss, l2, weighted, intercept):
    X, y = data(classes=loss == "log_loss")
    s = np.random.default_rng(1).uniform(0.0, 3.0, len(y)) if weighted else None
    risk = Risk(X, y, loss, l2=l2, intercept=intercept, sample_weight=s)
    walk = fit(risk)
    as_low_as(walk, risk, peer(risk))
    assert walk.certificate.rigorous


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_without_a_penalty(loss):
    X, y = data(classes=loss == "log_loss")
    risk = Risk(X, y, loss)
    as_low_as(fit(risk), risk, peer(risk))


@pytest.mark.parametrize(("l1", "l2"), [(0.05, 0.0), (0.3, 0.0), (0.05, 0.1), (0.001, 0.01)])
@pytest.mark.parametrize("weighted", [False, True])
def test_elastic_net_equals_scikit_learn(l1, l2, weighted):
    X, y = data(classes=False)
    s = np.random.default_rng(1).uniform(0.5, 3.0, len(y)) if weighted else None
    risk = Risk(X, y, l1=l1, l2=l2, sample_weight=s)
    walk, w = fit(risk), peer(risk)
    as_low_as(walk, risk, w)
    assert (walk.x == 0).tolist() == (np.abs(w) < 1e-12).tolist()


@pytest.mark.parametrize(("l1", "l2"), [(0.02, 0.0), (0.02, 0.01), (0.2, 0.0)])
def test_logistic_with_l1_equals_scipy(l1, l2):
    X, y = data(200, 6)
    risk, smooth = Risk(X, y, "log_loss", l1=l1, l2=l2), Risk(X, y, "log_loss", l2=l2)

    def split(v):
        value, g = smooth.value_and_gradient(np.append(v[:6] - v[7:], v[6]))
        return value + l1 * (v[:6].sum() + v[7:].sum()), np.concatenate([g[:6] + l1, g[6:], l1 - g[:6]])

    limits = [(0, None)] * 6 + [(None, None)] + [(0, None)] * 6
    options = {"ftol": 1e-16, "gtol": 1e-12, "maxiter": 5000, "maxfun": 20_000}
    v = minimize(split, np.zeros(13), jac=True, method="L-BFGS-B", bounds=limits, options=options).x
    as_low_as(fit(risk), risk, np.append(v[:6] - v[7:], v[6]))


def test_another_objective_is_seen():
    """With C = 1 / l2 instead of 1 / (l2 n) the comparison fails: it can."""
    X, y = data()
    risk, other = Risk(X, y, "log_loss", l2=0.1), Risk(X, y, "log_loss", l2=0.1 / len(y))
    with pytest.raises(AssertionError):
        as_low_as(fit(risk), risk, peer(other))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_sum_and_a_mean_have_the_same_bottom(reduction):
    X, y = data()
    n = len(y) if reduction == "sum" else 1
    walk = fit(Risk(X, y, "log_loss", l2=0.01 * n, reduction=reduction))
    assert walk.x == pytest.approx(peer(Risk(X, y, "log_loss", l2=0.01)), abs=1e-5)
    assert walk.status == "converged"


def test_any_start_leads_to_the_same_bottom():
    X, y = data()
    risk = Risk(X, y, "log_loss", l2=0.01)
    w = peer(risk)
    for start in (w, 50 * np.random.default_rng(3).normal(size=6), np.full(6, -300.0)):
        as_low_as(fit(risk, start=start), risk, w)


# --- hard data -----------------------------------------------------------------------------------------------------

both = pytest.mark.parametrize("loss", ["log_loss", "squared_error"])


@both
@pytest.mark.parametrize("l2", [0.0, 1e-3])
def test_columns_of_all_sizes(loss, l2):
    X, y = data(400, 7, classes=loss == "log_loss")
    risk = Risk(X * 10.0 ** np.arange(-6.0, 7.0, 2.0), y, loss, l2=l2)
    as_low_as(fit(risk), risk, peer(risk), both=False)


@both
def test_columns_of_all_sizes_with_a_penalty_below_rounding(loss):
    """|gradient|^2 / (2 l2) cannot be small here; the point is right all the same, and no more is claimed."""
    X, y = data(400, 7, classes=loss == "log_loss")
    risk = Risk(X * 10.0 ** np.arange(-6.0, 7.0, 2.0), y, loss, l2=1e-14)
    walk, best = fit(risk), risk.value(peer(risk))
    assert walk.fun <= best * (1 + CLOSE)
    assert walk.status in ("converged", "floor")
    assert walk.certificate.gap >= walk.fun - best


@both
@pytest.mark.parametrize("l2", [0.0, 1e-3])
def test_columns_far_from_zero(loss, l2):
    """Centring costs scores their last digits, |shift| |w| eps: the cost knows no more than that."""
    X, y = data(400, 4, classes=loss == "log_loss")
    X = np.round(X * 1024) / 1024
    risk, centred = Risk(X + 1e6, y, loss, l2=l2), Risk(X, y, loss, l2=l2)
    walk, w = fit(risk), peer(centred)
    b = walk.x[4] + 1e6 * walk.x[:4].sum()
    assert centred.value(np.append(walk.x[:4], b)) <= centred.value(w) * (1 + CLOSE)
    assert walk.status == "converged"
    assert walk.certificate.relative <= TOL


@both
@pytest.mark.parametrize("l2", [0.0, 1e-3])
def test_duplicated_and_constant_columns(loss, l2):
    X, y = data(classes=loss == "log_loss")
    X = np.column_stack([X, X[:, :2], np.full(len(y), 3.0), np.zeros(len(y))])
    risk = Risk(X, y, loss, l2=l2)
    as_low_as(fit(risk), risk, peer(risk), both=False)


@both
@pytest.mark.parametrize("weighted", [False, True])
def test_rare_binary_columns(loss, weighted):
    rng = np.random.default_rng(5)
    n = 6000
    X = np.column_stack([rng.normal(size=(n, 3))] + [(rng.random(n) < q) for q in (1e-3, 2e-3, 0.3)])
    X[17, 3] = 1.0
    score = X @ [1.0, -0.5, 0.0, 3.0, -3.0, 0.5]
    y = score + rng.normal(size=n) > 0 if loss == "log_loss" else score + rng.normal(size=n)
    s = rng.uniform(0.1, 10.0, n) if weighted else None
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    risk = Risk(X, y, loss, l2=1e-6, sample_weight=s)
    as_low_as(fit(risk), risk, peer(risk))


@both
def test_enough_rows_to_learn_from_a_sample(loss):
    X, y = data(30_000, 4, classes=loss == "log_loss")
    assert sample_size(*X.shape) < 30_000
    risk = Risk(X, y, loss, l2=1e-4)
    walk = fit(risk)
    as_low_as(walk, risk, peer(risk))
    assert walk.record["rows_seen"][-1] <= 25 * 30_000


def test_a_sample_with_one_row_of_another_scale():
    X, y = data(30_000, 4)
    X[123] *= 1e4
    risk = Risk(X, y, "log_loss", l2=1e-6)
    as_low_as(fit(risk), risk, peer(risk), both=False)


@both
@pytest.mark.parametrize("l2", [1e-6, 0.1])
def test_fewer_rows_than_columns(loss, l2):
    X, y = data(30, 80, classes=loss == "log_loss")
    risk = Risk(X, y, loss, l2=l2)
    as_low_as(fit(risk), risk, peer(risk), both=False)


@pytest.mark.parametrize("l1", [0.05, 0.01])
def test_fewer_rows_than_columns_with_l1(l1):
    X, y = data(40, 100, classes=False)
    risk = Risk(X, y, l1=l1)
    as_low_as(fit(risk), risk, peer(risk), both=False)


@both
@pytest.mark.parametrize("d", [20, 2500])
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_rows(loss, d, weighted):
    rng = np.random.default_rng(6)
    X = sparse.random_array((300, d), density=10 / d, rng=rng, format="csr")
    X.data[:] = rng.uniform(0.5, 2.0, X.nnz)
    score = X @ rng.normal(size=d) + 0.3
    y = score + rng.normal(size=300) > 0 if loss == "log_loss" else score + 0.5 * rng.normal(size=300)
    s = rng.uniform(0.5, 2.0, 300) if weighted else None
    risk = Risk(X, y, loss, l2=1e-2, sample_weight=s)
    as_low_as(fit(risk), risk, peer(risk), both=False)


def test_sparse_rows_equal_dense_rows():
    X, y = data(200, 6)
    X = X * (np.abs(X) > 0.7)
    dense, csr = Risk(X, y, "log_loss", l2=1e-3), Risk(sparse.csr_array(X), y, "log_loss", l2=1e-3)
    assert fit(csr).x == pytest.approx(fit(dense).x, abs=1e-4)
    assert fit(csr).fun == pytest.approx(fit(dense).fun, rel=1e-9)


def test_sparse_rows_with_l1_and_many_columns():
    rng = np.random.default_rng(6)
    X = sparse.random_array((200, 2500), density=0.004, rng=rng, format="csr")
    risk = Risk(X, X @ (rng.normal(size=2500) * (rng.random(2500) < 0.02)), l1=1e-3)
    walk = fit(risk, 1e-6)
    assert walk.fun <= risk.value(peer(risk)) * (1 + 2e-6)


def test_many_dense_columns():
    X, y = data(30, 4100)
    risk = Risk(X / 60, y, "log_loss", l2=0.01)
    as_low_as(fit(risk), risk, peer(risk), both=False)


@both
@pytest.mark.parametrize("l2", [1e-4, 0.1])
def test_float32_reaches_its_floor(loss, l2):
    """Rows in float32: scores carry 6e-8, and the cost 1e-7 of itself; 1e-6 is asked and kept in float64."""
    X, y = data(2000, 10, classes=loss == "log_loss")
    single = Risk(X.astype(np.float32), y, loss, l2=l2)
    walk, exact = fit(single, 1e-6), double(single)
    best = exact.value(peer(exact))
    assert walk.status == "converged"
    assert exact.value(walk.x) - best <= 1e-6 * best
    assert walk.certificate.gap >= exact.value(walk.x) - best - 1e-14
    assert walk.certificate.relative <= 1e-6


def test_float32_says_where_its_floor_is():
    """What cannot be reached in float32 ends soon, with a true certificate or the word floor."""
    X, y = data(2000, 10)
    single = Risk(X.astype(np.float32), y, "log_loss", l2=1e-4)
    walk, exact = fit(single, 1e-14), double(single)
    best = exact.value(peer(exact))
    assert walk.status in ("floor", "converged")
    assert walk.nit < 200
    assert walk.certificate.relative < 1e-6
    assert walk.certificate.gap >= exact.value(walk.x) - best - 1e-15
    assert walk.success == (walk.certificate.relative <= 1e-14)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("intercept", [True, False])
def test_separable_without_a_penalty_ends(kind, intercept):
    """No bottom, only an infimum of zero: it ends finite, near it, and says how near."""
    X = np.array([[-2.0, 0.0], [-1.0, 1.0], [1.0, -1.0], [2.0, 0.5]])
    risk = Risk(sparse.csr_array(X) if kind == "sparse" else X, [0.0, 0.0, 1.0, 1.0], "log_loss", intercept=intercept)
    walk = descend(risk, np.zeros(risk.n_parameters), LearntMetric(1e-6), Stop(max_steps=500))
    assert np.isfinite(walk.x).all()
    assert walk.nit < 300
    assert walk.fun < 1e-4
    assert walk.status in ("converged", "floor")


@both
def test_one_row_one_column_one_class(loss):
    for X, y in (([[2.0]], [1.0]), ([[1.0], [2.0], [4.0]], [1.0, 1.0, 1.0]), ([[0.0], [0.0]], [0.0, 1.0])):
        for l2 in (0.0, 0.1):
            walk = fit(Risk(X, y, loss, l2=l2), 1e-6)
            assert walk.certificate.gap < 1e-6 or walk.certificate.relative <= 1e-6
            assert walk.success


# --- laws ----------------------------------------------------------------------------------------------------------


def test_same_seed_same_bits():
    X, y = data(60_000, 4)
    X[:, 0] = np.random.default_rng(1).random(60_000) < 1e-3
    risk = Risk(X, y, "log_loss", l2=1e-5)
    first, again, copy = (
        fit(risk, seed=1),
        fit(risk, seed=1),
        fit(Risk(np.asfortranarray(X), y, "log_loss", l2=1e-5), seed=1),
    )
    assert (first.x == again.x).all()
    assert (first.x == copy.x).all()
    assert first.fun == again.fun
    assert first.nfev == again.nfev
    other = fit(risk, seed=2)
    assert (other.x != first.x).any()
    assert other.fun == pytest.approx(first.fun, rel=2e-9)


def test_each_recorded_cost_is_that_of_its_point_and_they_fall():
    X, y = data(400, 5)
    risk = Risk(X, y, "log_loss", l2=1e-3)
    record = fit(risk, start=np.full(6, 3.0)).record
    costs = [risk.value(w) for w in record.path]
    assert record["cost"] == pytest.approx(costs, rel=1e-12)
    assert (np.diff(record["cost"]) <= 1e-12).all()
    assert record["gradient_norm"][-1] == pytest.approx(np.linalg.norm(risk.gradient(record.path[-1])), abs=1e-14)


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-8])
def test_the_certificate_is_that_of_the_point_and_within_what_was_asked(tol):
    X, y = data(400, 5)
    risk = Risk(X, y, "log_loss", l2=1e-3)
    walk = fit(risk, tol)
    found = certificate(risk, walk.x)
    assert walk.certificate.kind == found.kind
    assert walk.certificate.rigorous
    assert walk.certificate.value == pytest.approx(found.value, rel=1e-14)
    assert walk.certificate.gap == pytest.approx(found.gap, rel=0.01)  # another intercept makes theta feasible
    assert walk.certificate.relative <= tol
    assert walk.fun - risk.value(peer(risk)) <= walk.certificate.gap


@pytest.mark.parametrize(("seen", "factor"), [(Centred, 50.0), (Standard, 4.0)])
def test_a_metric_that_is_wrong_by_a_factor_does_not_lead_to_a_wrong_answer(monkeypatch, seen, factor):
    """The certificate decides when to end, so a bad metric costs reads and no truth."""
    X, y = data(400, 5)
    risk = Risk(X, y, "log_loss", l2=1e-3)
    method = LearntMetric(TOL) if seen is Centred else choose(risk, TOL)[0]
    reads = descend(risk, np.zeros(6), method).nfev
    honest = seen.hessian
    monkeypatch.setattr(seen, "hessian", lambda self, *given: factor * honest(self, *given) + np.eye(6))
    walk = descend(risk, np.zeros(6), method)
    assert walk.nfev > reads
    as_low_as(walk, risk, peer(risk))


def test_a_gradient_with_a_fault_is_seen(monkeypatch):
    """A walk on a wrong gradient cannot end with a good certificate: that one reads the rows itself."""
    X, y = data(400, 5)
    risk = Risk(X, y, "log_loss", l2=1e-3)
    look = Standard.look

    def wrong(self, *given):
        found = look(self, *given)
        return found._replace(G=found.G + 1e-3)

    monkeypatch.setattr(Standard, "look", wrong)
    walk = descend(risk, np.zeros(6), choose(risk, TOL)[0])
    assert not walk.success
    assert walk.certificate.relative > TOL


def test_quick_readings_with_a_fault_prove_nothing(monkeypatch):
    """What the walk in float32 got wrong the reading in float64 shows."""
    X, y = data(400, 5)
    risk = Risk(X.astype(np.float32), y, "log_loss", l2=1e-3)
    double = Risk(risk.X.astype(np.float64), y, "log_loss", l2=1e-3)
    read = Centred.read

    def wrong(self, *given):
        found = read(self, *given)
        return found if found.exact else found._replace(gradient=found.gradient + 1e-2)

    monkeypatch.setattr(Centred, "read", wrong)
    walk = descend(risk, np.zeros(6), LearntMetric(TOL))
    assert double.value(walk.x) - double.value(peer(double)) <= walk.certificate.gap


def test_the_sample_is_unbiased_and_holds_the_rare_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 3))
    X[:, 2] = rng.random(20_000) < 5e-4
    problem, columns = Centred.of(Risk(X, rng.integers(0, 2, 20_000), "log_loss"))
    totals, sizes = [], []
    for seed in range(20):
        sample = draw(problem, columns, 1000, np.random.default_rng(seed))
        for share in (0.5, 1.0):
            part, rows = sample.part(problem, share)
            totals.append(part.sigma.sum())
            sizes.append(len(rows) / share)
            assert X[rows, 2].sum() >= 2
    assert np.mean(totals) == pytest.approx(1.0, abs=0.02)
    assert 700 < np.mean(sizes) < 1100
