"""Softmax by L-BFGS in a Kronecker metric: products, metric, proof and walk against independent formulas."""

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from descender import minimize
from descender.costs.certificate import certificate, cost_scale
from descender.costs.risk import Risk
from descender.kernels import class_rows
from descender.methods import kronecker, newton_cg
from descender.methods.class_blocks import ClassBlocks
from descender.methods.class_moves import Moves, worth_moving
from descender.methods.class_proof import prove
from descender.methods.classes import Classes, fits_single
from descender.methods.kronecker import LEVELS, Kronecker, Moments, Shifted, product_metric


def drawn(n=700, d=12, K=5, seed=0, noise=1.0, shares=0.0):
    """Rows, and classes whose scores are linear in them, some rarer than others."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    X[:, 1:] = 0.6 * X[:, :-1] + 0.8 * X[:, 1:]
    Z = X @ rng.standard_normal((d, K)) - shares * np.arange(K)
    return X, np.argmax(Z + noise * rng.gumbel(size=(n, K)), axis=1).astype(float)


def straight(risk, V):
    """The smooth cost over rows (x, 1) in double precision, by SciPy's own softmax."""
    X = risk.X.toarray() if risk.sparse else risk.X
    s = np.ones(len(risk.y)) if risk.sample_weight is None else risk.sample_weight
    Z = X.astype(np.float64) @ V[:, :-1].T + V[:, -1]
    losses = -log_softmax(Z, axis=1)[np.arange(len(Z)), risk.y.astype(int)]
    return s @ losses / s.sum() + 0.5 * risk.l2 * np.sum(V[:, :-1] ** 2), softmax(Z, axis=1)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", ["dense", "sparse", "far"])
def test_readings_are_derivatives(form, weighted, single):
    X, y = drawn()
    X = sparse.csr_matrix(np.where(np.abs(X) > 0.8, X, 0.0)) if form == "sparse" else X + 100.0 * (form == "far")
    s = np.random.default_rng(1).integers(0, 4, len(y)).astype(float) if weighted else None
    risk = Risk(X, y, "softmax", l2=1e-2, sample_weight=s)
    problem, rng = Classes(risk, np.float32 if single else np.float64), np.random.default_rng(2)
    w, step = 0.1 * rng.standard_normal((2, risk.n_parameters))
    tight = {"rtol": 2e-4, "atol": 1e-5} if single else {"rtol": 1e-6, "atol": 1e-8}

    def at(t):
        W, b = risk.split(w + t * step)
        return straight(risk, np.column_stack([W, b]))[0]

    V, D = problem.enter(w), problem.enter(step)
    Z = problem.scores(V)
    value, P = problem.look(Z, V)
    G, H = problem.gradient(P, V), problem.curve(P, D)
    h = 1e-3
    assert value == pytest.approx(at(0.0), rel=1e-6 if single else 1e-13)
    assert np.allclose(P.T, straight(risk, np.column_stack([risk.split(w)[0], risk.split(w)[1]]))[1], atol=1e-4)
    assert np.allclose(np.vdot(G, D), (at(h) - at(-h)) / (2 * h), **tight)
    bend = (at(h) - 2 * at(0.0) + at(-h)) / h**2
    assert np.vdot(D, H) == pytest.approx(bend, rel=1e-3)
    slope, curvature = problem.along(P, problem.scores(D), V, D)
    assert slope == pytest.approx(np.vdot(G, D), rel=1e-4)
    assert curvature == pytest.approx(bend, rel=1e-3)


@pytest.mark.parametrize("scales", [0.0, 3.0])
def test_the_metric_is_the_inverse_of_the_product(scales):
    rng = np.random.default_rng(3)
    unit = 10.0 ** np.linspace(-scales, scales, 6)
    M = rng.standard_normal((30, 6)) * unit
    S, p = M.T @ M / 30, np.array([0.5, 0.3, 0.2])
    A, ridge = np.diag(p) - np.outer(p, p), 0.1 * np.diag(S) if scales else np.full(6, 0.1)
    metric, G = Kronecker(Moments(A, S, ridge)), rng.standard_normal((3, 6)) * unit
    whole = np.kron(A, S) + np.kron(np.eye(3), np.diag(ridge))
    assert np.allclose((whole @ metric.solve(G).ravel()).reshape(G.shape) / unit, G / unit, rtol=1e-7, atol=1e-7)
    metric.turn(2.0 * A)
    whole += np.kron(A, S)
    if not scales:
        assert np.allclose(whole @ metric.solve(G).ravel(), G.ravel(), rtol=1e-7, atol=1e-7)


def test_shifted_inverses_are_near_the_inverse_of_the_product(monkeypatch):
    rng = np.random.default_rng(4)
    unit = 10.0 ** np.linspace(-3, 3, 8)
    M, p = rng.standard_normal((40, 8)) * unit, np.array([0.6, 0.3, 0.09, 0.01])
    S, A, ridge = M.T @ M / 40, np.diag(p) - np.outer(p, p), 0.01 * unit**2
    monkeypatch.setattr(kronecker, "PRECISE", 0)
    metric = product_metric(Moments(A, S, ridge))
    G = rng.standard_normal((4, 8)) * unit
    G -= G.mean(axis=0)
    assert isinstance(metric, Shifted)
    assert 2 <= len(metric.known) <= LEVELS
    for factor in (1.0, 2.0, 4.0):
        metric.turn(factor * A)
        whole = np.kron(factor * A, S) + np.kron(np.eye(4), np.diag(ridge))
        found, exact = metric.solve(G), np.linalg.solve(whole, G.ravel()).reshape(G.shape)
        ratio = np.vdot(G, found) / np.vdot(G, exact)
        assert 0.5 < ratio < 2.0
        assert np.linalg.norm((found - exact) * unit) < 0.5 * np.linalg.norm(exact * unit)
    even = Moments(np.eye(4) - 0.25, S, np.zeros(8))  # one shift, and no ridge: exact to rounding
    found, exact = product_metric(even).solve(G), np.linalg.solve(S, G.T).T
    assert np.allclose(found * unit, exact * unit, rtol=1e-3, atol=1e-3)
    S[0, 1] = S[1, 0] = 10.0 * np.sqrt(S[0, 0] * S[1, 1])  # no metric: the diagonal alone
    assert np.allclose(product_metric(Moments(even.A, S, even.ridge)).solve(G), G / np.diag(S), rtol=1e-5)


def test_steps_are_about_as_long_as_lowers_the_cost_most():
    risk = Risk(*drawn(n=400, d=6, K=5), "softmax", l2=1e-4)
    walk = newton_cg.Descent(risk, np.zeros(risk.n_parameters))
    for _ in range(6):
        walk.arrived(1e-12)
        before, step = walk.V, walk.step
        slope = np.vdot(walk.G, step)
        walk.move(1e-12, 1e-12)
        assert np.linalg.norm(walk.V - before) > 0.0
        assert abs(np.vdot(walk.G, step)) <= 0.35 * abs(slope)


def test_single_precision_ends_where_nothing_gets_less():
    X, y = drawn(n=200, d=6)
    risk = Risk(X.astype(np.float32), y, "softmax", l2=1e-3)
    walk = newton_cg.Descent(risk, np.zeros(risk.n_parameters))
    walk.best = 0.0  # no gap is less
    kinds = [walk.problem.kind]
    for _ in range(newton_cg.STANDS + 1):
        walk.move(1e-20, 1e-20)
        kinds.append(walk.problem.kind)
    assert kinds[newton_cg.STALLED] == np.float32
    assert kinds[-1] == np.float64


def test_heavy_columns_beside_a_diagonal():
    rng = np.random.default_rng(5)
    M, heavy = rng.standard_normal((40, 7)), np.array([1, 4, 6])
    block = M[:, heavy].T @ M[:, heavy] / 40
    S, p, ridge = np.mean(M**2, axis=0), np.array([0.5, 0.3, 0.2]), np.full(7, 0.1)
    A, G = np.diag(p) - np.outer(p, p), rng.standard_normal((3, 7))
    whole = np.diag(S)
    whole[np.ix_(heavy, heavy)] = block
    metric = Kronecker(Moments(A, S, ridge, heavy, block))
    assert np.allclose(metric.solve(G), Kronecker(Moments(A, whole, ridge)).solve(G), rtol=1e-6, atol=1e-6)


def test_heavy_columns_save_steps(monkeypatch):
    rng, frequency = np.random.default_rng(0), 1.0 / np.arange(1, 2502) ** 1.3
    words = rng.permutation(2501)[rng.choice(2501, p=frequency / frequency.sum(), size=(2000, 25))]
    X = sparse.csr_matrix((np.ones(words.size), words.ravel(), np.arange(0, words.size + 1, 25)), shape=(2000, 2501))
    scores = X @ rng.standard_normal((2501, 4))
    risk = Risk(X, np.argmax(scores + rng.gumbel(size=scores.shape), axis=1).astype(float), "softmax", l2=2e-3)
    problem = Classes(risk)
    V = problem.enter(risk.default_start())
    P = problem.look(problem.scores(V), V)[1]
    moments, (same, own) = problem.moments(P), problem.own_moments(P)
    assert set(np.argsort(-np.bincount(words.ravel()))[:9]) <= set(moments.heavy)
    assert np.allclose(np.diag(moments.block), moments.S[moments.heavy], rtol=0.2, atol=1e-3)
    assert np.allclose(same.S, moments.S, rtol=1e-6)
    assert np.allclose(own[2, :-1], X.multiply(X).T @ (problem.sigma * P[2] * (1 - P[2])), rtol=1e-6)
    walk = minimize(risk, tol=1e-6)
    monkeypatch.setattr(Classes, "_heavy", lambda *_: ())
    assert walk.success
    assert walk.nit < 0.7 * minimize(risk, tol=1e-6).nit


@pytest.mark.parametrize("intercept", [True, False])
def test_classes_bend_by_themselves(intercept):
    X, y = drawn(n=300, d=4, K=3)
    risk = Risk(X, y, "softmax", l2=1e-2, intercept=intercept, sample_weight=np.arange(300.0) % 3 + 0.1)
    problem, rng = Classes(risk), np.random.default_rng(0)
    V = 0.3 * rng.standard_normal((3, 5))
    P = problem.look(problem.scores(V), V)[1]
    moments, own = problem.own_moments(P)
    rows = np.column_stack([X - problem.mean, np.full(300, float(intercept))])
    wanted = np.einsum("ki,ij,il->kjl", problem.sigma * P * (1 - P), rows, rows)
    if not intercept:
        wanted[:, 4, 4] = 1.0
    assert np.allclose(own, wanted, rtol=0.1, atol=1e-3)  # light rows are left out
    assert np.allclose(moments.S, problem.moments(P).S, rtol=0.1, atol=2e-2)
    metric, G = ClassBlocks(moments, own), rng.standard_normal((3, 5))
    G -= G.mean(axis=0)
    alone = np.stack([np.linalg.solve(B + np.diag(moments.ridge), g) for B, g in zip(own, G, strict=True)])
    both = 0.5 * (Kronecker(moments).solve(G) + alone - alone.mean(axis=0))
    assert np.allclose(metric.solve(G), both, rtol=1e-7, atol=1e-7)
    own[:, 0, 1] = own[:, 1, 0] = 10.0  # no metric
    assert np.array_equal(ClassBlocks(moments, own).solve(G), Kronecker(moments).solve(G))


def test_what_classes_bend_by_themselves_saves_steps(monkeypatch):
    X, y = drawn(n=2500, d=30, K=12, noise=0.02)
    risk = Risk(X, y, "softmax", l2=1e-4)
    steps = minimize(risk, tol=1e-6).nit
    monkeypatch.setattr(newton_cg, "AFFORDED", -1.0)
    assert steps < 0.7 * minimize(risk, tol=1e-6).nit


def test_compiled_probabilities(monkeypatch):
    monkeypatch.setattr(class_rows, "WORTH_COMPILING", 0)
    rng = np.random.default_rng(0)
    Z, chosen = rng.normal(scale=9.0, size=(7, 600)).astype(np.float32), rng.integers(0, 7, 600)
    P, lost = class_rows.look(Z, chosen)
    exact, sigma = softmax(Z.astype(np.float64), axis=0), rng.random(600)
    assert np.allclose(P, exact, rtol=1e-5, atol=1e-30)
    assert np.allclose(lost, -log_softmax(Z.astype(np.float64), axis=0)[chosen, np.arange(600)], rtol=1e-5, atol=1e-5)
    spread = (exact * Z**2).sum(axis=0) - (exact * Z).sum(axis=0) ** 2
    mean = (exact * Z).sum(axis=0) - Z[chosen, np.arange(600)]
    assert class_rows.along(P, Z, chosen, sigma) == pytest.approx((sigma @ mean, sigma @ spread), rel=1e-4)
    Z[2, 5], Z[1, 300], Z[:, 4] = np.nan, np.inf, -np.inf
    assert np.isnan(class_rows.look(Z, chosen)[1][[5, 300, 4]]).all()  # what is no number is never hidden
    risk = Risk(*drawn(n=900), "softmax", l2=1e-3)
    compiled = minimize(risk, tol=1e-6)
    monkeypatch.setattr(class_rows, "WORTH_COMPILING", np.inf)
    assert compiled.fun == pytest.approx(minimize(risk, tol=1e-6).fun, rel=2e-6)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("form", ["dense", "sparse", "float32", "far"])
def test_the_proof_is_the_certificate(form, intercept):
    X, y = drawn(shares=0.5)
    X = {"sparse": sparse.csr_matrix, "float32": np.float32}.get(form, np.asarray)(X + 1e4 * (form == "far"))
    risk = Risk(X, y, "softmax", l2=1e-2, intercept=intercept)
    w = minimize(risk, tol=1e-3).x
    found, general = prove(risk, w, cost_scale(risk)), certificate(risk, w)
    assert found.found.rigorous
    assert found.found.value <= general.value * (1 + 1e-12)
    bottom = minimize(risk, tol=1e-10)
    assert found.found.value - found.found.gap <= bottom.fun * (1 + 1e-12)
    assert found.found.gap <= 1.05 * general.gap + 1e-12
    value, gradient = risk.value_and_gradient(found.point)
    digits = 1e-5 if form == "float32" else 1e-9
    assert found.final[0] == pytest.approx(value, rel=digits)
    assert np.allclose(found.final[1], gradient, atol=digits * max(1.0, np.abs(X).max()))


@pytest.mark.parametrize("form", ["dense", "sparse", "far", "weighted", "origin"])
def test_rows_that_are_moved_prove_more_than_the_gradient(form):
    X, y = drawn(n=1500, d=6, K=4, shares=0.5)
    rng = np.random.default_rng(0)
    X = sparse.csr_matrix(X * (rng.random(X.shape) < 0.5)) if form == "sparse" else X + 1e4 * (form == "far")
    s = rng.random(len(y)) if form == "weighted" else None
    risk = Risk(X, y, "softmax", l2=1e-4, intercept=form != "origin", sample_weight=s)
    assert worth_moving(risk)
    lowest, w = minimize(risk, tol=1e-11).fun, minimize(risk, tol=1e-1).x
    problem = Classes(risk)
    V = problem.enter(w)
    metric = Kronecker(problem.moments(problem.look(problem.scores(V), V)[1]))
    moved, natural = (prove(risk, w, cost_scale(risk), *more).found for more in ((metric, 0.0), ()))
    assert moved.rigorous
    assert moved.value - moved.gap <= lowest * (1 + 1e-12)
    assert moved.gap < 8.0 * (moved.value - lowest)
    assert moved.gap < 0.5 * natural.gap


def test_rows_that_are_moved_wrongly_prove_nothing(monkeypatch):
    X, y = drawn(n=1500, d=6, K=4, shares=0.5)
    risk = Risk(X, y, "softmax", l2=1e-4)
    w, lowest = minimize(risk, tol=1e-1).x, minimize(risk, tol=1e-11).fun
    problem = Classes(risk)
    V = problem.enter(w)
    metric = Kronecker(problem.moments(problem.look(problem.scores(V), V)[1]))
    good = prove(risk, w, cost_scale(risk), metric).found.gap
    solved = Moves._solved
    for factor in (-1.0, 3.0, 1e6, np.nan):
        monkeypatch.setattr(Moves, "_solved", lambda self, *given, by=factor: by * solved(self, *given))
        found = prove(risk, w, cost_scale(risk), metric).found
        assert found.gap > 1.5 * good
        assert not found.gap < found.value - lowest
    empty = Risk(X, y, "softmax", l2=1e-4, n_classes=5)
    assert prove(empty, np.zeros(5 * 7), cost_scale(empty), metric).found.gap == np.inf


def test_a_wrong_gradient_would_be_noticed():
    X, y = drawn()
    risk = Risk(X, y, "softmax", l2=1e-2)
    w = minimize(risk, tol=1e-6).x
    good = prove(risk, w, cost_scale(risk)).found.relative
    assert prove(risk, 1.01 * w, cost_scale(risk)).found.relative > 100 * good


def test_digits_end_where_scikit_learn_ends():
    X, y = load_digits(return_X_y=True)
    X = X[:600, X.std(axis=0) > 1.0]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    y = y[:600]
    walk = minimize(Risk(X, y.astype(float), "softmax", l2=1e-2), tol=1e-9)
    peer = LogisticRegression(C=1.0 / (len(y) * 1e-2), tol=1e-10, max_iter=5000).fit(X, y)
    assert walk.success
    assert np.allclose(walk.x[: peer.coef_.size].reshape(peer.coef_.shape), peer.coef_, atol=2e-5)


@pytest.mark.parametrize("tol", [1e-2, 1e-6, 1e-11])
def test_a_tolerance_beyond_single_precision_is_reached(tol):
    X, y = drawn(n=2500, d=30, K=12, shares=0.4)
    walk = minimize(Risk(X, y, "softmax", l2=1e-4), tol=tol)
    assert walk.success
    assert walk.certificate.rigorous
    assert walk.certificate.relative <= tol


@pytest.mark.parametrize("units", ["even", "wild", "shifted", "duplicated"])
def test_units_and_copies_of_columns_do_not_matter(units):
    X, y = drawn(n=2500, d=30, K=12)
    if units == "wild":
        X = X * 10.0 ** np.random.default_rng(0).uniform(-6, 6, X.shape[1])
    elif units == "shifted":
        X = X + 1e6
    elif units == "duplicated":
        X = np.column_stack([X, X, X[:, :3] + 1e-9])
    walk = minimize(Risk(X, y, "softmax", l2=1e-8 if units == "wild" else 1e-4), tol=1e-5)
    assert walk.success
    assert walk.certificate.relative <= 1e-5
    assert len(walk.record) < 120


@pytest.mark.parametrize("l2", [1e-7, 0.0])
def test_nearly_separable_classes(l2):
    X, y = drawn(n=2500, d=40, K=8, noise=0.02)
    walk = minimize(Risk(X.astype(np.float32), y, "softmax", l2=l2), tol=1e-4)
    assert np.isfinite(walk.x).all()
    assert walk.success or l2 == 0.0
    assert walk.fun < 0.05


def test_a_class_without_rows_and_one_with_a_single_row():
    X, y = drawn(n=2500, d=30, K=12)
    y[y == 3] = 4.0
    y[y == 7] = 8.0
    y[5] = 7.0
    walk = minimize(Risk(X, y, "softmax", l2=1e-3), tol=1e-5)
    assert walk.success
    assert np.isfinite(walk.x).all()


def test_numbers_beyond_single_precision_are_walked_on_in_double():
    X, y = drawn(n=2500, d=30, K=12)
    risk = Risk(X * 1e20, y, "softmax", l2=1e36)
    assert not fits_single(risk)
    assert minimize(risk, tol=1e-5).success


@pytest.mark.parametrize("rows", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_with_l1_a_row_that_weighs_more_is_one_that_is_repeated(rows):
    """The planted fault: a number added to all intercepts costs nothing, and conjugate gradients went along it."""
    rng = np.random.default_rng(1)
    X, y, s = rng.random((15, 30)), rng.integers(0, 3, 15), rng.integers(0, 5, 15)
    weighted = minimize(Risk(rows(X), y, "softmax", l1=0.01, l2=1e-4, sample_weight=s), tol=1e-20)
    repeated = minimize(Risk(rows(X.repeat(s, axis=0)), y.repeat(s), "softmax", l1=0.01, l2=1e-4), tol=1e-20)
    assert weighted.x == pytest.approx(repeated.x, abs=1e-6)
    for walk in (weighted, repeated):
        assert abs(walk.x[-3:].sum()) < 1e-9
        assert walk.certificate.relative < 1e-13
