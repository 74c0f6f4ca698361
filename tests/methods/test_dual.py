"""Dual coordinate ascent on sparse rows: against scikit-learn and another method, on kind matrices and on hard ones."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC

from descender.costs.certificate import certificate
from descender.costs.losses import LogLoss
from descender.costs.risk import Risk
from descender.descent import descend
from descender.kernels import dual as kernel
from descender.methods import auto, dual
from descender.methods.auto import choose
from descender.methods.diagonal import DiagonalLBFGS
from descender.methods.dual import DualAscent
from descender.methods.interior import InteriorPoint
from descender.methods.packed import Packed, bucketed, canonical
from descender.walk import Stop

TOL = 1e-8
LOSSES = ["log_loss", "hinge", "squared_hinge", "squared_error", "huber 0.7", "quantile 0.3"]
CLASSES = LOSSES[:3]
EACH = pytest.mark.parametrize("loss", LOSSES)


def rows(n=300, d=120, seed=0, dtype=np.float64, density=0.05):
    rng = np.random.default_rng(seed)
    X = sparse.random_array((n, d), density=density, rng=rng, format="csr", dtype=np.float64)
    X.data[:] = rng.uniform(-1.0, 2.0, X.nnz)
    return X.astype(dtype)


def targets(loss, X, seed=0):
    rng = np.random.default_rng(seed)
    score = X @ rng.normal(size=X.shape[1]) + 0.4
    noisy = score + rng.logistic(size=len(score))
    return (noisy > 0).astype(float) if loss in CLASSES else noisy


def problem(loss, seed=0, l2=0.02, **how):
    X = rows(seed=seed)
    return Risk(X, targets(loss, X, seed), loss, l2=l2, **how)


def fit(risk, tol=TOL, seed=0, method=None, start=None, steps=np.inf):
    start = np.zeros(risk.n_parameters) if start is None else start
    walk = descend(risk, start, method or DualAscent(tol), Stop(max_steps=steps), seed=seed)
    assert np.isfinite(walk.x).all()
    return walk


def assert_honest(walk, risk, tol=TOL):
    """The cost, the gradient and the certificate are what another reading of the rows says."""
    assert walk.success, walk.message
    assert walk.fun == pytest.approx(risk.value(walk.x), rel=1e-6 if risk.X.dtype == np.float32 else 1e-12)
    assert walk.certificate.rigorous
    assert walk.certificate.relative <= tol
    if risk.smooth:
        again = certificate(risk, walk.x)
        assert again.value == pytest.approx(walk.certificate.value, rel=1e-12)
        gradient = risk.value_and_gradient(walk.x)[1]
        assert walk.jac == pytest.approx(gradient, rel=1e-9, abs=1e-6 if risk.X.dtype == np.float32 else 1e-12)


# --- against others --------------------------------------------------------------------------------------------------


def scikit_learn(risk):
    """The same cost by scikit-learn."""
    C, s = 1.0 / (risk.l2 * risk.total_weight), risk.sample_weight
    if risk.loss.name == "log_loss":
        model = LogisticRegression(C=C, tol=1e-12, max_iter=5000, solver="newton-cg", fit_intercept=risk.intercept)
    elif risk.loss.name == "squared_error":
        alpha = risk.l2 * risk.total_weight
        model = Ridge(alpha, tol=1e-14, solver="sparse_cg", fit_intercept=risk.intercept, max_iter=50_000)
    else:
        model = LinearSVC(loss=risk.loss.name, C=C, tol=1e-10, max_iter=200_000, fit_intercept=False)
    model.fit(risk.X, risk.y, sample_weight=s)
    w = np.ravel(model.coef_)
    return risk.value(np.append(w, model.intercept_) if risk.intercept else w)


@pytest.mark.parametrize(
    ("loss", "intercept"),
    [("log_loss", True), ("log_loss", False), ("squared_error", True), ("hinge", False), ("squared_hinge", False)],
)
@pytest.mark.parametrize("l2", [0.003, 0.3])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_equals_scikit_learn(loss, intercept, l2):
    X = rows()
    s = np.random.default_rng(1).uniform(0.1, 3.0, X.shape[0])
    risk = Risk(X, targets(loss, X), loss, l2=l2, intercept=intercept, sample_weight=s)
    walk = fit(risk)
    assert_honest(walk, risk)
    assert walk.fun == pytest.approx(scikit_learn(risk), rel=3e-8)


@EACH
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_meets_another_method(loss, intercept, reduction):
    l2 = 0.02 * (300 if reduction == "sum" else 1)
    risk = problem(loss, l2=l2, intercept=intercept, reduction=reduction)
    walk = fit(risk)
    assert_honest(walk, risk)
    other = fit(risk, method=choose(risk, TOL)[0])  # 120 columns allow all curvatures
    assert "dual" not in other.method
    assert abs(walk.fun - other.fun) <= 2e-8 * abs(walk.fun)
    assert walk.certificate.gap >= walk.fun - other.fun - 1e-14


# --- hard matrices ---------------------------------------------------------------------------------------------------


def awkward(kind, X):
    """The same rows written down in another way."""
    if kind == "duplicates":
        twice = sparse.coo_array(X)
        i, j = twice.coords
        i, j, values = np.tile(i, 2), np.tile(j, 2), np.tile(twice.data / 2, 2)
        order, starts = np.argsort(i, kind="stable"), np.append(0, np.cumsum(np.bincount(i, minlength=X.shape[0])))
        return sparse.csr_array((values[order], j[order], starts), shape=X.shape)
    if kind == "explicit zeros":
        full = sparse.csr_array(np.ones(X.shape))
        full.data[:] = X.toarray().ravel()
        return full
    if kind == "unsorted":
        out = X.copy()
        for i in range(X.shape[0]):
            part = slice(out.indptr[i], out.indptr[i + 1])
            out.indices[part], out.data[part] = out.indices[part][::-1].copy(), out.data[part][::-1].copy()
        out.has_sorted_indices = out.has_canonical_format = False
        return out
    out = X.copy()
    out.indices, out.indptr = out.indices.astype(np.int64), out.indptr.astype(np.int64)
    return out


@pytest.mark.parametrize("kind", ["duplicates", "explicit zeros", "unsorted", "64-bit indices"])
@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_however_the_rows_are_written_down(kind, loss):
    plain = problem(loss)
    X = awkward(kind, plain.X)
    assert np.allclose(X.toarray(), plain.X.toarray())
    before = X.data.copy(), X.indices.copy()
    risk = Risk(X, plain.y, loss, l2=plain.l2)
    walk = fit(risk)
    assert_honest(walk, risk)
    assert walk.fun == pytest.approx(fit(plain).fun, rel=2e-8)
    assert (X.data == before[0]).all()
    assert (X.indices == before[1]).all()


@EACH
def test_empty_rows_and_columns_and_rows_without_weight(loss):
    X = sparse.vstack([rows(200), sparse.csr_array((20, 120))]).tocsr()
    X = sparse.hstack([X, sparse.csr_array((220, 30))]).tocsr()
    y, s = targets(loss, X), np.random.default_rng(2).integers(0, 3, 220).astype(float)
    risk = Risk(X, y, loss, l2=0.01, sample_weight=s)
    walk = fit(risk)
    assert_honest(walk, risk)
    assert not walk.x[120:150].any()
    repeated = np.repeat(np.arange(220), s.astype(int))
    assert walk.fun == pytest.approx(fit(Risk(X[repeated], y[repeated], loss, l2=0.01)).fun, rel=2e-8)


@pytest.mark.parametrize(("loss", "dtype"), [("log_loss", np.float32), ("squared_hinge", np.float64)])
def test_rows_of_one_value_each(loss, dtype):
    """Kept as one number a row, and the bottom is the same as of the rows written out."""
    X = rows(dtype=dtype)
    X.data[:] = np.repeat(np.random.default_rng(3).uniform(0.5, 2.0, 300), np.diff(X.indptr)).astype(dtype)
    packed = Packed(canonical(X), np.arange(300, dtype=np.uint32), dtype)
    assert packed.rows[3]
    assert len(packed.rows[2]) == 300
    w = np.random.default_rng(0).normal(size=120)
    assert packed.scores(w) == pytest.approx(X.astype(np.float64) @ w, rel=1e-14, abs=1e-14)
    assert packed.spread(packed.squares) == pytest.approx(X.astype(np.float64).T @ packed.squares, rel=1e-13)
    risk = Risk(X, targets(loss, X), loss, l2=0.02)
    walk = fit(risk, 1e-6)
    assert_honest(walk, risk, 1e-6)
    assert walk.fun == pytest.approx(fit(risk, 1e-6, method=choose(risk, 1e-6)[0]).fun, rel=2e-6)


def test_a_late_row_of_two_values_is_noticed():
    X = rows(1200, 60, density=0.1)
    X.data[:] = 1.0
    assert Packed(canonical(X), np.arange(1200, dtype=np.uint32), np.float64).rows[3]
    X.data[-1] = 2.0
    packed = Packed(canonical(X), np.arange(1200, dtype=np.uint32), np.float64)
    assert not packed.rows[3]
    w = np.random.default_rng(0).normal(size=60)
    assert packed.scores(w) == pytest.approx(X @ w, rel=1e-14, abs=1e-14)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_numbers_whose_squares_need_double_precision(scale):
    plain = problem("log_loss")
    risk = Risk(plain.X * scale, plain.y, "log_loss", l2=plain.l2 * scale**2)
    walk = fit(risk, 1e-6)
    assert_honest(walk, risk, 1e-6)
    assert walk.fun == pytest.approx(fit(plain).fun, rel=2e-6)


def test_single_precision_goes_on_in_double_where_it_must(monkeypatch):
    """A walk that stands still in float32 is put into double precision, and arrives."""
    monkeypatch.setattr(dual, "SINGLE", 0.0)
    monkeypatch.setattr(dual, "PATIENCE", 3)
    risk = problem("log_loss", l2=0.3)
    walk = fit(risk, 1e-13)
    assert_honest(walk, risk, 1e-13)


# --- laws ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_same_seed_same_bits(loss):
    risk = problem(loss)
    a, b, other = fit(risk, seed=1), fit(risk, seed=1), fit(risk, seed=2)
    assert (a.x == b.x).all()
    assert a.nit == b.nit
    assert (a.x != other.x).any()
    assert a.fun == pytest.approx(other.fun, rel=2e-8)


@EACH
def test_from_the_bottom_it_is_there_at_once(loss):
    risk = problem(loss)
    bottom = fit(risk)
    walk = fit(risk, 1e-6, start=bottom.x)
    assert_honest(walk, risk, 1e-6)
    if risk.smooth:  # thetas at a kink are not to be seen from the weights
        assert walk.nit <= fit(risk, 1e-6).nit - 2


@settings(max_examples=20)
@given(
    loss=st.sampled_from(LOSSES), seed=st.integers(0, 50), l2=st.floats(1e-4, 10.0), epochs=st.integers(1, 6),
    intercept=st.booleans(), weighted=st.booleans(),
)  # fmt: skip
def test_a_certificate_is_an_upper_bound_wherever_it_is_taken(loss, seed, l2, epochs, intercept, weighted):
    X = rows(60, 40, seed)
    s = np.random.default_rng(seed).integers(0, 4, 60) + 0.5 if weighted else None
    risk = Risk(X, targets(loss, X, seed), loss, l2=l2, intercept=intercept, sample_weight=s)
    best = descend(risk, np.zeros(risk.n_parameters), choose(risk, 1e-10)[0]).certificate
    ascent = dual.Ascent(risk, np.zeros(risk.n_parameters), np.random.default_rng(seed), True)
    for _ in range(epochs):
        met = ascent.round()
        assert met.gap >= -1e-12
        seen = ascent.look(1.0)
        assert seen.found.value == pytest.approx(risk.value(seen.point), rel=1e-12)
        assert seen.found.gap >= seen.found.value - best.value - 1e-14
    # the dual never falls: what the walk knows of the minimum from below is at most the minimum
    assert seen.found.value - seen.found.gap <= best.value + 1e-14


@settings(max_examples=100)
@given(
    z=st.floats(-50, 50), theta=st.floats(-1, 1), y=st.floats(0, 1), q=st.floats(1e-6, 1e6), known=st.floats(-40, 40)
)
def test_a_visit_finds_the_best_theta_of_a_row(z, theta, y, q, known):
    """One row of one entry, in plain Python: no theta is better than the one found; a second visit settles it."""
    low, high = y - 1.0, y
    old = min(max(theta, low), high)
    table, w = np.array([[y, low, high, q, 1.0, old, known, 0.0]]), np.array([z])
    one = (np.array([0, 1]), np.array([0]), np.array([1.0]), False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "slope", lambda p, u, y: LogLoss.slope(u, y))
        patch.setattr(kernel, "curvature", lambda p, u, y: LogLoss.curvature(u, y))
        patch.setattr(kernel, "fetch", lambda array, place: None)
        for _ in range(3):
            kernel.ascend_smooth(one, np.array([0]), table, (), 0.0, w, np.zeros(2))

    def below(t):
        return -(LogLoss.dual(t, y) - t * z - 0.5 * q * (t - old) ** 2)

    best = minimize_scalar(below, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    found = float(table[0, kernel.THETA])
    assert low <= found <= high
    assert below(found) <= best.fun + 1e-6 * (1.0 + abs(best.fun))


@given(n=st.integers(1, 700), seed=st.integers(0, 5))
def test_buckets_hold_every_row_once(n, seed):
    order = bucketed(np.arange(n, dtype=np.uint32), np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(n))


# --- planted faults --------------------------------------------------------------------------------------------------


@EACH
def test_weights_that_drift_cannot_be_certified(loss, monkeypatch):
    epoch = dual.Ascent.epoch

    def drifting(self, rows, slack):
        self.w *= 1.05
        return epoch(self, rows, slack)

    monkeypatch.setattr(dual.Ascent, "epoch", drifting)
    monkeypatch.setattr(dual, "PATIENCE", 3)
    risk = problem(loss)
    walk = fit(risk, 1e-6, method=DualAscent(1e-6, max_epochs=60))
    monkeypatch.undo()
    assert not walk.success
    assert walk.certificate.gap >= walk.fun - fit(risk).fun


def test_budgets_and_what_auto_says(monkeypatch):
    X = rows(400, 2500, density=0.03)
    X = sparse.diags_array(1 / np.sqrt(X.power(2).sum(axis=1))) @ X
    risk = Risk(X, targets("log_loss", X), "log_loss", l2=0.01)
    method, why = choose(risk, 1e-6)
    assert isinstance(method, DualAscent)
    assert "bends the dual 0.062 times" in why
    assert fit(risk, method=method, steps=2).nit == 2
    for l2, least in ((0.0, 0), (0.01, X.nnz + 1)):
        monkeypatch.setattr(auto, "WORTH_COMPILING", least)
        risk.penalise(l2=l2)
        assert isinstance(choose(risk, 1e-6)[0], DiagonalLBFGS)
    counts = Risk(X, risk.y, "poisson", l2=0.01)
    assert isinstance(choose(counts, 1e-6)[0], DiagonalLBFGS)


def test_where_epochs_gain_little_another_method_goes_on():
    risk = problem("log_loss", l2=1e-6)
    method = DualAscent(1e-6, otherwise=DiagonalLBFGS(1e-6))
    walk = fit(risk, method=method)
    assert walk.success
    assert walk.fun == pytest.approx(fit(risk, method=DiagonalLBFGS(1e-8)).fun, rel=2e-6)
    epochs = np.isnan(walk.record["gradient_norm"][:-1])
    assert 4 < epochs.sum() < len(epochs)
    assert dual.epochs_ahead([1.0, 0.5, 0.25, 0.125, 0.0625], 0.0625 / 8) == pytest.approx(3.0)
    assert dual.epochs_ahead([1.0] * 5, 0.1) == np.inf
    assert dual.epochs_ahead([1.0] * 4, 0.1) == dual.epochs_ahead([1.0] * 5, 2.0) == 0.0


def test_where_a_hinge_gains_little_an_interior_point_goes_on():
    rng = np.random.default_rng(3)
    X = sparse.csr_array(sparse.random_array((600, 2100), density=0.02, rng=rng, data_sampler=rng.standard_exponential))
    y = (X @ rng.normal(size=2100) + 3.0 * rng.normal(size=600) > 0).astype(float)
    risk = Risk(20.0 * X, y, "hinge", l2=1e-5)
    method, why = choose(risk, 1e-5)
    assert "an interior point method goes on" in why
    ended = []

    class Watched(InteriorPoint):
        def blocks(self, *given):
            ended.append(self)
            return super().blocks(*given)

    walk = fit(risk, 1e-5, method=replace(method, otherwise=Watched(1e-5)))
    assert len(ended) == 1
    assert_honest(walk, risk, 1e-5)
    wide = Risk(sparse.csr_array((4, auto.LARGEST_INTERIOR + 1)), np.array([0.0, 1.0, 0.0, 1.0]), "hinge", l2=1.0)
    assert "goes on" not in choose(wide, 1e-5)[1]
