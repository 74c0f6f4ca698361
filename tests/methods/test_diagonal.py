"""L-BFGS in a diagonal metric on sparse rows, what it is made of, and what is summed over sparse rows."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from descender.costs.risk import Risk
from descender.descent import descend
from descender.kernels import sparse_columns, sparse_reads
from descender.kernels.sparse_columns import sparse_gram, sparse_squares
from descender.methods.auto import choose
from descender.methods.centred import Centred
from descender.methods.compact import CompactPairs
from descender.methods.diagonal import DiagonalLBFGS
from descender.methods.lbfgs import Pairs
from descender.methods.metric import LearntMetric
from descender.methods.sparse_rows import SparseRows


def rows(n=400, d=2500, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = sparse.random_array((n, d), density=0.01, rng=rng, format="csr")
    X.data[:] = rng.uniform(0.2, 2.0, X.nnz)
    return X.astype(dtype)


def classes(X, seed=0):
    rng = np.random.default_rng(seed)
    return (X @ rng.normal(size=X.shape[1]) + rng.logistic(size=X.shape[0]) > 0.3).astype(float)


def untidy(X):
    """The same matrix with every entry in two halves, and columns in descending order."""
    data, columns = np.repeat(X.data / 2, 2), np.repeat(X.indices, 2)
    starts = 2 * X.indptr
    for first, last in pairwise(starts):
        data[first:last], columns[first:last] = data[first:last][::-1].copy(), columns[first:last][::-1].copy()
    return sparse.csr_array((data, columns, starts), shape=X.shape)


# --- parts -----------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(seed=st.integers(0, 100), steps=st.integers(0, 12), memory=st.integers(1, 6), scale=st.floats(1e-6, 1e6))
def test_compact_pairs_are_the_two_loop_recursion(seed, steps, memory, scale):
    """In single precision, and the newest pairs only; whatever the units, and after the diagonal has changed."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(30, 30))
    H = A @ A.T / 30 + 0.3 * np.eye(30)
    compact, loop = CompactPairs(memory, 30), Pairs(memory)
    for k in range(steps):
        s = rng.normal(size=30) * scale
        assert compact.add(s, H @ s) == loop.add(s, H @ s)
        if k == steps // 2:
            compact.scale(1.0 / np.diag(H))
    diagonal = rng.uniform(0.1, 10.0, 30)
    compact.scale(diagonal)
    g = rng.normal(size=30)
    expected = loop.solve(g, lambda q: diagonal * q)
    assert compact.solve(g) == pytest.approx(expected, abs=2e-4 * np.abs(expected).max())
    assert not compact.add(g, -g)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_rows_read_what_the_risk_says(fast, dtype, monkeypatch):
    monkeypatch.setattr(sparse_reads, "WORTH_COMPILING", 0 if fast else 10**9)
    X = rows(dtype=dtype)
    s = np.random.default_rng(1).integers(0, 3, 400).astype(float)
    risk = Risk(X, classes(X), "log_loss", l2=0.1, sample_weight=s)
    problem = SparseRows(risk)
    v = np.random.default_rng(2).normal(size=2501)
    value, gradient = risk.value_and_gradient(v)
    z = problem.scores(v)
    g = problem.spread(problem.sigma * risk.loss.slope(z, risk.y))
    g[:2500] += 0.1 * v[:2500]
    close = 1e-5 if dtype == np.float32 else 1e-12
    assert problem.value_at(z, v) == pytest.approx(value, rel=close)
    assert g == pytest.approx(gradient, abs=close)
    h = problem.sigma * risk.loss.curvature(z, risk.y)
    wanted = np.append(X.toarray().astype(np.float64).T ** 2 @ h + 0.1, h.sum())
    assert problem.curvatures(z) == pytest.approx(wanted, rel=1e-4 if dtype == np.float32 else 1e-10)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("kind", ["tidy", "untidy", "64-bit"])
def test_sums_over_columns_and_pairs_of_columns(fast, kind, monkeypatch):
    monkeypatch.setattr(sparse_columns, "WORTH_COMPILING", 0 if fast else 10**9)
    monkeypatch.setattr(sparse_reads, "WORTH_COMPILING", 0 if fast else 10**9)
    X = rows(200, 60)
    plain = X.toarray()
    if kind == "untidy":
        X = untidy(X)
    elif kind == "64-bit":
        X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    assert X.toarray() == pytest.approx(plain)
    h = np.random.default_rng(0).random(200)
    for dense in (1.0, 1e9):
        monkeypatch.setattr(sparse_columns, "PAIRS_AT_ONCE", dense)
        assert sparse_gram(X, h) == pytest.approx(plain.T @ (plain * h[:, None]), abs=1e-12)
    if kind != "untidy":
        sums, largest = sparse_squares(X, h)
        assert sums == pytest.approx((plain**2).T @ h)
        assert (largest == (plain**2).max(axis=0)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_problem_reads_sparse_rows_by_blocks_as_the_risk_does(dtype, monkeypatch):
    monkeypatch.setattr(sparse_reads, "WORTH_COMPILING", 0)
    monkeypatch.setattr(sparse_reads, "PIECE", 30)
    X = rows(200, 60, dtype=dtype)
    X.data[: X.indptr[60]] = 0.0
    X.eliminate_zeros()
    risk = Risk(X, classes(X), "log_loss", l2=0.1, sample_weight=np.arange(200) % 3)
    problem, columns = Centred.of(risk)
    assert problem.quick.height < 200
    v = np.random.default_rng(2).normal(size=61)
    precise = Risk(X.astype(np.float64), risk.y, "log_loss", l2=0.1, sample_weight=risk.sample_weight)
    value, gradient = precise.value_and_gradient(v)
    for exact, close in ((True, 1e-13), (False, 1e-5 if dtype == np.float32 else 1e-13)):
        reading = problem.read(v, exact)
        assert reading.value == pytest.approx(value, rel=close)
        assert reading.gradient == pytest.approx(gradient, abs=close)
        assert reading.scores.dtype == (np.float64 if exact else dtype)
    plain = X.toarray().astype(np.float64)
    h = problem.sigma * risk.loss.curvature(reading.scores, risk.y)
    assert problem.curvatures(reading.scores)[:60] == pytest.approx((plain**2).T @ h + 0.1, rel=1e-5)
    assert problem.sizes(h)[:60] == pytest.approx(np.abs(plain).T @ h)
    assert columns.largest == pytest.approx((plain**2).max(axis=0))


# --- walks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("l2", [1e-1, 1e-4])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_equals_scikit_learn(dtype, l2):
    X = rows(dtype=dtype)
    risk = Risk(X, classes(X), "log_loss", l2=l2)
    walk = descend(risk, np.zeros(2501), DiagonalLBFGS(1e-7))
    assert walk.success
    assert walk.certificate.rigorous
    model = LogisticRegression(C=1 / (l2 * 400), tol=1e-10, max_iter=2000).fit(X.astype(np.float64), risk.y)
    exact = Risk(X.astype(np.float64), risk.y, "log_loss", l2=l2)
    theirs = exact.value(np.append(model.coef_, model.intercept_))
    assert exact.value(walk.x) <= theirs * (1 + 2e-7)
    assert walk.certificate.gap >= exact.value(walk.x) - theirs - 1e-14


@pytest.mark.parametrize("loss", ["poisson", "huber 0.5", "squared_error", "squared_hinge"])
def test_other_losses_meet_the_learnt_metric(loss):
    X = rows(300, 150)
    y = classes(X) if loss == "squared_hinge" else np.random.default_rng(0).poisson(1.0 + classes(X)).astype(float)
    risk = Risk(X, y, loss, l2=0.01)
    walk = descend(risk, np.zeros(151), DiagonalLBFGS(1e-8))
    other = descend(risk, np.zeros(151), LearntMetric(1e-8))
    assert walk.success
    assert walk.fun == pytest.approx(other.fun, rel=2e-8)


def test_few_columns_are_the_same_compiled_or_not(monkeypatch):
    X = rows(3000, 40)
    risk = Risk(X, classes(X), "log_loss", l2=1e-3)
    assert isinstance(choose(risk, 1e-8)[0], LearntMetric)
    slow = descend(risk, np.zeros(41), LearntMetric(1e-8))
    monkeypatch.setattr(sparse_columns, "WORTH_COMPILING", 0)
    fast = descend(risk, np.zeros(41), LearntMetric(1e-8))
    assert fast.success
    assert fast.x == pytest.approx(slow.x, abs=1e-6)


# --- planted faults --------------------------------------------------------------------------------------------------


def test_directions_that_lead_uphill_are_noticed(monkeypatch):
    """The pairs are forgotten where they are wrong, and the walk arrives by the diagonal alone."""
    solve = CompactPairs.solve
    monkeypatch.setattr(CompactPairs, "solve", lambda self, g: (-1.0 if self.count else 1.0) * solve(self, g))
    X = rows()
    risk = Risk(X, classes(X), "log_loss", l2=0.1)
    walk = descend(risk, np.zeros(2501), DiagonalLBFGS(1e-4))
    assert walk.success


def test_a_gradient_that_is_wrong_is_not_certified(monkeypatch):
    spread = SparseRows.spread
    monkeypatch.setattr(SparseRows, "spread", lambda self, r: 1.3 * spread(self, r))
    X = rows()
    risk = Risk(X, classes(X), "log_loss", l2=0.01)
    walk = descend(risk, np.zeros(2501), DiagonalLBFGS(1e-6))
    assert not walk.success
    monkeypatch.undo()
    assert walk.certificate.gap >= walk.fun - descend(risk, np.zeros(2501), DiagonalLBFGS(1e-6)).fun
