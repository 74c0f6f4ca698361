"""L1 on many columns, and on the classes of softmax: against scikit-learn, their conditions, and their certificates."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from descender import minimize
from descender.costs import certificate as certificates
from descender.costs.certificate import certificate
from descender.costs.risk import Risk
from descender.kernels.coordinates import minimise_kronecker
from descender.methods import quadratic, working_set
from descender.methods.columns import DenseColumns, SparseColumns


def rows(n=400, d=2500, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = sparse.random(n, d, density=0.01, random_state=rng, format="csr", dtype=np.float64)
    w = np.zeros(d)
    w[:40] = rng.normal(size=40) * 4
    X = sparse.hstack([X[:, :40] * 3, X[:, 40:]]).tocsr()
    y = (rng.random(n) < 1 / (1 + np.exp(-(X @ w)))).astype(float)
    return X.astype(dtype), y


def slopes(risk, w):
    """The gradient of the smooth part."""
    return risk.value_and_gradient(w)[1] - risk.join(risk.l1 * np.sign(risk.split(w)[0]), 0.0 * risk.split(w)[1])


def at_the_bottom(risk, w, slack):
    """The conditions of the minimum: every slope within l1, and opposite to the weight where there is one."""
    count = risk.n_classes * risk.n_features
    g, weights = slopes(risk, w), w[:count]
    assert np.abs(g[:count]).max() <= risk.l1 * (1 + slack)
    there = weights != 0
    assert np.abs(g[:count] + risk.l1 * np.sign(weights))[there].max(initial=0.0) <= slack * risk.l1
    assert np.abs(g[count:]).max(initial=0.0) <= slack * risk.l1


@pytest.mark.parametrize("gram", [700, 5], ids=["matrix", "rows"])
@pytest.mark.parametrize("l2", [0.0, 1e-3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_conditions_of_the_minimum(monkeypatch, gram, l2, weighted):
    monkeypatch.setattr(quadratic, "GRAM", gram)
    monkeypatch.setattr(quadratic, "DEAR", 0)
    X, y = rows()
    s = np.random.default_rng(1).integers(0, 4, len(y)).astype(float) if weighted else None
    risk = Risk(X, y, "log_loss", l1=2e-3, l2=l2, sample_weight=s)
    walk = minimize(risk, tol=1e-10)
    assert walk.success
    assert walk.certificate.relative <= 1e-10
    assert 5 < np.count_nonzero(walk.x[:-1]) < 300
    at_the_bottom(risk, walk.x, 1e-4)


@pytest.mark.parametrize("direct", [3000, 0], ids=["by their matrix", "by conjugate gradients"])
def test_columns_that_are_nearly_alike_do_not_creep(monkeypatch, direct):
    monkeypatch.setattr(quadratic, "GRAM", 5)
    monkeypatch.setattr(quadratic, "DEAR", 0)
    monkeypatch.setattr(quadratic, "DIRECT", direct)
    X, y = rows(seed=2)
    twins = X.tocsc()[:, :600].tolil()
    twins[::100] *= 0.5
    risk = Risk(sparse.hstack([X, twins.tocsr()]).tocsr(), y, "log_loss", l1=1e-3)
    walk = minimize(risk, tol=1e-9)
    assert walk.success
    assert walk.nit < 20  # 30 where a step is refined only once the support stands
    at_the_bottom(risk, walk.x, 1e-4)


def test_equals_liblinear():
    X, y = rows()
    l1 = 2e-3
    options = {"l1_ratio": 1.0, "solver": "liblinear", "fit_intercept": False, "random_state": 0}
    peer = LogisticRegression(**options, C=1 / (len(y) * l1), tol=1e-8, max_iter=20_000).fit(X, y)
    risk = Risk(X, y, "log_loss", l1=l1, intercept=False)
    walk = minimize(risk, tol=1e-11)
    assert walk.fun <= risk.value(peer.coef_[0]) + 1e-11
    np.testing.assert_allclose(walk.x, peer.coef_[0], atol=2e-4)


@pytest.mark.parametrize("loss", ["squared_error", "huber 0.5", "squared_hinge", "poisson"])
def test_every_smooth_loss(loss):
    X, y = rows(n=300)
    if loss == "poisson":
        y = np.random.default_rng(2).poisson(1 + y).astype(float)
    risk = Risk(X, y, loss, l1=5e-3)
    walk = minimize(risk, tol=1e-9)
    assert walk.success
    at_the_bottom(risk, walk.x, 1e-3)


def test_dense_rows_of_many_columns_equal_sparse_ones():
    X, y = rows(n=60, d=4500)
    one, other = (minimize(Risk(part, y, "log_loss", l1=5e-3), tol=1e-11) for part in (X, X.toarray()))
    assert one.fun == pytest.approx(other.fun, rel=1e-10)
    np.testing.assert_allclose(one.x, other.x, atol=1e-4)


def test_a_sample_is_tried_first_and_does_not_change_the_answer(monkeypatch):
    X, y = rows(n=2000)
    risk = Risk(X, y, "log_loss", l1=4e-3)
    whole = minimize(risk, tol=1e-10)
    monkeypatch.setattr(working_set, "ENOUGH", 100)
    monkeypatch.setattr(working_set, "DENSE", 1)
    assert minimize(risk, tol=1e-10).fun == pytest.approx(whole.fun, rel=1e-9)


def test_float32_is_certified_to_its_floor():
    X, y = rows(dtype=np.float32)
    walk = minimize(Risk(X, y, "log_loss", l1=2e-3), tol=1e-6)
    assert walk.success
    exact = minimize(Risk(X.astype(np.float64), y, "log_loss", l1=2e-3), tol=1e-10)
    assert walk.fun == pytest.approx(exact.fun, rel=2e-6)


@pytest.mark.parametrize("l1", [1e-4, 1e-6])
def test_nearly_separable_rows_with_thousands_of_columns_end(l1):
    X, y = rows(n=300, d=3000)
    walk = minimize(Risk(X, y, "log_loss", l1=l1), tol=1e-4)
    assert walk.success
    assert walk.certificate.relative <= 1e-4


def test_a_penalty_above_all_slopes_leaves_the_constant():
    X, y = rows()
    walk = minimize(Risk(X, y, "log_loss", l1=10.0), tol=1e-9)
    assert not walk.x[:-1].any()
    assert walk.success


def test_the_same_bits_each_time():
    X, y = rows()
    one, other = (minimize(Risk(X, y, "log_loss", l1=1e-3), tol=1e-6) for _ in range(2))
    assert np.array_equal(one.x, other.x)


@pytest.mark.parametrize("l2", [0.0, 1e-3])
def test_the_proof_on_the_way_is_a_bound_and_its_gradient_is_that_of_the_rows(monkeypatch, l2):
    X, y = rows(dtype=np.float32)
    s = np.random.default_rng(9).integers(0, 4, len(y)).astype(float)
    risk = Risk(X, y, "log_loss", l1=2e-3, l2=l2, sample_weight=s)
    lowest = minimize(risk, tol=1e-9).fun

    def broken(walk):
        return walk.certificate.value - walk.certificate.gap > lowest * (1 + 1e-7)

    for tol in (1e-1, 1e-2, 1e-4):
        walk = minimize(risk, tol=tol)
        value, gradient = risk.value_and_gradient(walk.x)
        assert walk.success
        assert not broken(walk)
        assert walk.fun == pytest.approx(value, rel=1e-6)
        np.testing.assert_allclose(walk.jac, gradient, atol=1e-6)
    original = working_set.feasible  # a fault: theta is not as it was when its products were taken
    monkeypatch.setattr(working_set, "feasible", lambda risk, theta: original(risk, theta) * 0.7)
    assert not minimize(risk, tol=1e-4).success
    monkeypatch.setattr(working_set, "dual_with", lambda risk, theta, u: 0.1 + certificates.dual_with(risk, theta, u))
    monkeypatch.setattr(working_set, "feasible", original)
    assert broken(minimize(risk, tol=1e-1))


def test_any_dual_point_alone_is_a_bound():
    X, y = rows()
    risk = Risk(X, y, "log_loss", l1=2e-3)
    lowest = minimize(risk, tol=1e-11).fun
    rng = np.random.default_rng(3)
    for scale in (0.0, 1e-3, 1.0, 100.0):
        w = rng.normal(size=risk.n_parameters) * 0.01
        found = certificate(risk, w, scale * rng.normal(size=len(y)), alone=True)
        assert found.value - found.gap <= lowest * (1 + 1e-9)


def test_few_columns_have_one_matrix_for_every_set(monkeypatch):
    rng = np.random.default_rng(8)
    X = sparse.random(4000, 90, density=0.1, random_state=rng, format="csr")
    y = (rng.random(4000) < 1 / (1 + np.exp(-(X @ rng.normal(size=90)) * 4))).astype(float)
    monkeypatch.setattr(working_set, "ENOUGH", 100)
    sizes, original = [], SparseColumns.moment
    monkeypatch.setattr(SparseColumns, "moment", lambda self, h: sizes.append((self.n, self.d)) or original(self, h))
    risk = Risk(X, y, "log_loss", l1=3e-4)
    walk = minimize(risk, tol=1e-9)
    assert walk.success
    at_the_bottom(risk, walk.x, 1e-3)
    assert {d for n, d in sizes if n == 4000} == {90}
    assert sizes.count((4000, 90)) <= 4


@pytest.mark.parametrize("kind", [np.int32, pytest.param(np.int64, marks=pytest.mark.slow)])
def test_the_loops_over_columns_equal_scipy(kind):
    X, _ = rows(n=50, d=80)
    X.indices, X.indptr = X.indices.astype(kind), X.indptr.astype(kind)
    rng = np.random.default_rng(4)
    columns, h = np.sort(rng.choice(80, 30, replace=False)), rng.random(50)
    some, part = SparseColumns.of(X).some(columns), X[:, columns].toarray()
    w, r = rng.normal(size=30), rng.normal(size=50)
    np.testing.assert_allclose(some.scores(w, 0.5), part @ w + 0.5, atol=1e-14)
    np.testing.assert_allclose(some.spread(r), part.T @ r, atol=1e-14)
    H, edge = some.moment(h)
    np.testing.assert_allclose(H, part.T @ (part * h[:, None]), atol=1e-13)
    np.testing.assert_allclose(edge, part.T @ h, atol=1e-13)
    top, row, entry = some.stand_up()
    upright = sparse.csc_matrix((entry, row, top.astype(kind)), shape=part.shape)
    np.testing.assert_array_equal(upright.toarray(), part)
    lengths = np.count_nonzero(part, axis=1)
    assert some.pairs() == (lengths * (lengths + 1) // 2).sum()
    assert SparseColumns.of(X).part(np.arange(0, 50, 2)).n == 25
    dense = DenseColumns(X.toarray(), np.full(80, 0.25)).some(columns)
    np.testing.assert_allclose(dense.scores(w, 0.5), (part - 0.25) @ w + 0.5, atol=1e-13)
    np.testing.assert_allclose(dense.spread(r), (part - 0.25).T @ r, atol=1e-13)


def test_a_gather_with_a_fault_is_seen(monkeypatch):
    X, y = rows()
    original = SparseColumns.some

    def faulty(self, columns):
        part = original(self, columns)
        part.value = part.value * 1.5
        return part

    risk = Risk(X, y, "log_loss", l1=2e-3)
    monkeypatch.setattr(SparseColumns, "some", faulty)
    walk = minimize(risk, tol=1e-8)
    assert not walk.success
    assert walk.certificate.relative > 1e-8


def classes(n=240, d=12, K=4, seed=0):
    rng = np.random.default_rng(seed)
    X, W = rng.normal(size=(n, d)), rng.normal(size=(K, d))
    return X, np.argmax(X @ W.T + rng.gumbel(size=(n, K)), axis=1).astype(float)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("l2", [0.0, 1e-2])
def test_softmax_with_l1_is_at_the_bottom(intercept, l2):
    X, y = classes()
    X = X * np.logspace(-1, 1, X.shape[1])
    s = np.random.default_rng(5).integers(0, 3, len(y)).astype(float)
    risk = Risk(X, y, "softmax", l1=5e-3, l2=l2, intercept=intercept, sample_weight=s)
    walk = minimize(risk, tol=1e-7)  # slopes are known to the root of a gap
    assert walk.success
    at_the_bottom(risk, walk.x, 5e-3)


def test_softmax_with_l1_equals_scikit_learn():
    X, y = classes()
    l1 = 0.01
    peer = LogisticRegression(l1_ratio=1.0, solver="saga", C=1 / (len(y) * l1), tol=1e-9, max_iter=20_000).fit(X, y)
    risk = Risk(X, y, "softmax", l1=l1)
    walk = minimize(risk, tol=1e-10)
    assert walk.fun == pytest.approx(risk.value(risk.join(peer.coef_, peer.intercept_)), rel=1e-8)
    np.testing.assert_allclose(
        risk.loss.predict(risk.scores(walk.x, X)), peer.predict_proba(X).T, atol=1e-4
    )  # weights of even numbers of classes are not unique


@pytest.mark.parametrize(("l1", "l2"), [(2e-3, 0.0), (0.0, 1e-3)])
def test_softmax_of_many_sparse_columns(l1, l2):
    X, _ = rows(n=300)
    y = np.random.default_rng(6).integers(0, 5, 300).astype(float)
    walk = minimize(Risk(X, y, "softmax", l1=l1, l2=l2), tol=1e-6)
    assert walk.success
    assert walk.certificate.relative <= 1e-6


def test_the_kronecker_model_has_the_minimum_of_its_matrix():
    rng = np.random.default_rng(7)
    A, S = (M @ M.T for M in (rng.normal(size=(3, 4)), rng.normal(size=(5, 6))))
    G, W, l1, ridge = rng.normal(size=(3, 5)), rng.normal(size=(3, 5)), np.full(5, 0.3), np.full(5, 0.1)
    step = minimise_kronecker(A, S, ridge, G, W, l1, 2000, 0.0, 1e-12)
    slope = G + A @ step @ S + ridge * step
    there = W + step
    assert np.abs(slope + 0.3 * np.sign(there))[there != 0].max() < 1e-9
    assert np.abs(slope).max() <= 0.3 + 1e-9


@pytest.mark.parametrize("kind", ["plain", "far from zero", "float32", "alike"])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_more_dense_columns_than_rows(kind, loss):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 320))
    X += 3.0 * rng.normal(size=(60, 1)) if kind == "alike" else 0.0
    z = X[:, :8] @ rng.normal(size=8) + rng.normal(size=60)
    X = (X + 1e5) if kind == "far from zero" else X.astype(np.float32) if kind == "float32" else X
    y = z if loss == "squared_error" else (z > np.median(z)).astype(float)
    risk = Risk(X, y, loss)
    risk.penalise(l1=0.1 * float(np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max()) / 60)
    walk = minimize(risk, tol=1e-6)
    assert "working sets" in walk.why
    assert walk.success
    assert walk.certificate.rigorous
    found = certificate(risk, walk.x)  # by the rows themselves, with another dual point
    assert walk.certificate.value == pytest.approx(found.value, rel=1e-6 if kind == "float32" else 1e-10)
    assert found.relative < 1e-3
    fine = minimize(Risk(X.astype(np.float64), y, loss, l1=risk.l1), tol=1e-10)
    assert fine.fun - 1e-12 <= walk.certificate.value <= fine.fun + walk.certificate.gap + 1e-12
