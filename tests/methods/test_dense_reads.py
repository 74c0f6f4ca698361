"""Dense rows: what one reading tells, how few of them a walk takes, and that the sample sees the same problem."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descender import LinearClassifier
from descender.costs.losses import Huber, LogLoss, Poisson, SquaredHinge
from descender.costs.risk import Risk, column_extremes
from descender.descent import descend
from descender.errors import DataError
from descender.estimators.base import two_classes
from descender.methods.auto import choose
from descender.methods.centred import Centred
from descender.methods.metric import LearntMetric, Others, descend_sample
from descender.methods.row_curvatures import heavy
from descender.methods.sampling import draw


def rows(n, d, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)))
    y = (rng.random(n) < 1 / (1 + np.exp(-X @ rng.normal(size=d) / np.sqrt(d)))).astype(float)
    return X.astype(dtype), y


@given(st.integers(1, 9000), st.integers(1, 7), st.sampled_from([np.float32, np.float64]))
def test_the_extremes_of_columns(n, d, dtype):
    X = np.random.default_rng(n).normal(size=(n, d)).astype(dtype)
    low, high = column_extremes(X)
    assert (low == X.min(axis=0)).all()
    assert (high == X.max(axis=0)).all()
    X[n // 2, d - 1] = np.nan
    assert np.isnan(column_extremes(X)[0][d - 1])


@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 3e-7), (np.float64, 1e-15)])
def test_value_and_slope_by_one_exponential_are_the_formulas(dtype, close):
    z = np.linspace(-80, 80, 20_001).astype(dtype)
    for y in (np.zeros_like(z), np.ones_like(z)):
        value, slope = LogLoss.fused(z, y)
        assert value.dtype == slope.dtype == dtype
        exact = z.astype(np.float64), y.astype(np.float64)
        np.testing.assert_allclose(value, LogLoss.value(*exact), rtol=close, atol=close)
        np.testing.assert_allclose(slope, LogLoss.slope(*exact), rtol=10 * close, atol=close)


@pytest.mark.parametrize("loss", [Huber(0.7), SquaredHinge, Poisson])
@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 3e-6), (np.float64, 1e-13)])
def test_value_and_slope_at_once_are_the_formulas(loss, dtype, close):
    z = np.linspace(-8, 8, 2001).astype(dtype)
    for y in (np.zeros_like(z), np.ones_like(z)) + (() if loss is SquaredHinge else (np.full_like(z, 5.0),)):
        value, slope = loss.fused(z, y)
        assert value.dtype == slope.dtype == dtype
        exact = z.astype(np.float64), y.astype(np.float64)
        np.testing.assert_allclose(value, loss.value(*exact), rtol=close, atol=5 * close)
        np.testing.assert_allclose(slope, loss.slope(*exact), rtol=close, atol=5 * close)


@given(st.integers(1, 3000), st.integers(0, 6), st.integers(0, 99))
def test_few_heavy_rows_stand_for_all(n, steepness, seed):
    """The sums of weights, and of what they weigh, stay what they are; no row becomes lighter than it was."""
    h = np.random.default_rng(seed).random(n) ** (2 * steepness)
    kept, rows = heavy(h)
    assert rows is None or (len(kept) == len(rows) < 0.8 * n + 1)
    rows = np.arange(n) if rows is None else rows
    assert kept.sum() == pytest.approx(h.sum(), abs=2 * h.mean())
    assert (kept >= h[rows] * (1 - 1e-12)).all()


def test_targets_far_from_zero_keep_their_digits():
    """In float32 they lose less than their spread does, or they are not kept in it."""
    X, y = rows(500, 3, np.float32)
    for shift, dtype in ((0.0, np.float32), (1e6, np.float64)):
        numbers = y + np.random.default_rng(0).normal(size=500) + shift
        problem, _ = Centred.of(Risk(X, numbers, "huber 1", l2=0.1))
        assert problem.targets.dtype == dtype
        v = np.append(np.zeros(3), shift)
        exact = problem.read(v, exact=True)
        assert problem.read(v).value == pytest.approx(exact.value, rel=1e-5)


def test_scores_beyond_the_exponential_fall_back_to_the_formula():
    X = np.array([[1.0], [-1.0], [2.0]], dtype=np.float32)
    risk = Risk(X, [0.0, 1.0, 1.0], "log_loss")
    reading = Centred.of(risk)[0].read(np.array([3e4, 0.0]))
    assert reading.value == pytest.approx(risk.value(Centred.of(risk)[0].leave(np.array([3e4, 0.0]))), rel=1e-6)
    assert np.isfinite(reading.gradient).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_whole_standardised_sample_is_the_problem(dtype):
    X, y = rows(900, 5, dtype)
    X = X * np.array([1e-4, 1.0, 1e4, 1.0, 1.0], dtype=dtype) + np.array([0, 3, 0, -2, 0], dtype=dtype)
    problem, columns = Centred.of(Risk(X, y, "log_loss", l2=0.01))
    part, numbers = draw(problem, columns, 900, np.random.default_rng(0)).part(problem, 1.0)
    assert part.X.dtype == np.float32
    assert (numbers == np.arange(900)).all()
    v = np.array([100.0, 0.5, -1e-4, 0.2, 0.1, 0.3])
    whole, some = problem.read(v), part.read(v)
    assert some.value == pytest.approx(whole.value, rel=1e-6)
    size = np.append(columns.squares, 1.0) ** 0.5
    np.testing.assert_allclose(some.gradient / size, whole.gradient / size, atol=1e-6)
    H, G = problem.hessian(whole.scores), part.hessian(some.scores)
    np.testing.assert_allclose(G / size / size[:, None], H / size / size[:, None], atol=1e-6)


@pytest.mark.parametrize("kind", ["plain", "scales", "far", "rare", "duplicated"])
def test_few_readings_whatever_the_columns_look_like(kind):
    """Work, not time: a reading is counted for each pass over all rows, those for the certificate among them."""
    X, y = rows(20_000, 20)
    if kind == "scales":
        X = X * 10.0 ** np.linspace(-6, 6, 20)
    if kind == "far":
        X = X + 1e6
    if kind == "rare":
        X[:, 3] = np.random.default_rng(1).random(len(X)) < 1e-3
    if kind == "duplicated":
        X[:, 4] = X[:, 5]
    l2 = 1e-14 if kind == "scales" else 1.0 / len(y)
    risk = Risk(X, y, "log_loss", l2=l2)
    walk = descend(risk, np.zeros(21), choose(risk, 1e-6)[0])
    assert walk.success, walk.message
    assert walk.certificate.relative <= 1e-6
    assert walk.nfev <= (20 if kind == "scales" else 12)


def test_a_sample_is_not_learnt_by_heart(monkeypatch):
    """Labels with little noise: where its descent ends is nearer to the bottom of all rows than its own bottom is."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8000, 150)).astype(np.float32)
    y = (2 * X.sum(axis=1) + rng.logistic(size=8000) > 0).astype(float)
    risk = Risk(X, y, "log_loss", l2=1e-5)
    problem, columns = Centred.of(risk)

    def reached():
        sample = draw(problem, columns, 2000, np.random.default_rng(0))
        part, _ = sample.part(problem, 1.0)
        v, read, _ = descend_sample(problem, sample, part, np.zeros(problem.size), 2000, 0.0)
        return problem.read(v).value, read

    value, read = reached()
    monkeypatch.setattr(Others, "worse", lambda *_: False)
    by_heart, more = reached()
    lowest = descend(risk, np.zeros(problem.size), choose(risk, 1e-2)[0]).fun
    assert value - lowest < 0.5 * (by_heart - lowest)
    assert read < more


@pytest.mark.parametrize(("n", "d"), [(3000, 100), (9000, 40)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_walk_sees_what_is_not_a_number_in_any_row(n, d, dtype):
    """Nobody looks before it: in the sample or beside it, where the loss is 0 there, and with weights of the rows."""
    X, y = rows(n, 40, dtype)
    order = np.argsort(X[:, 3])
    for wrong, row, s in (
        (np.nan, 5, None),
        (np.inf, order[-1], None),
        (-np.inf, order[0], np.ones(n)),
        (np.nan, 0, None),
    ):
        some = X.copy()
        some[row, 3] = wrong
        with pytest.raises(DataError, match=f"X at row {row}, column 3 is not a finite number"):
            LinearClassifier(tol=1e-2).fit(some, y, sample_weight=s)
    some = X.copy()
    some[7, 0] = 0.1 * np.finfo(dtype).max  # a number, whose products are none
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(LinearClassifier(tol=1e-2).fit(some, y).coef_).all()


@pytest.mark.parametrize("kind", ["plain", "rare", "heavy", "constant"])
def test_extremes_are_asked_for_where_some_rows_do_not_tell(kind):
    """Rare and heavy columns are seen in the sample or before; the minimum is that of who looked at all rows."""
    X, y = rows(12_000, 40)
    if kind == "rare":
        X[:, 3] = 0.0
        X[::1500, 3] = 1.0
    if kind == "heavy":
        X[:, 5] = np.random.default_rng(1).standard_t(1.0, size=len(X))
    if kind == "constant":
        X[:, 7] = 1e5
    fresh, looked = (Risk(X, y, "log_loss", l2=1e-4, check_finite=known) for known in (False, True))
    one, other = (descend(risk, np.zeros(41), LearntMetric(1e-6)) for risk in (fresh, looked))
    assert fresh.looked == (kind != "plain")
    assert one.success
    assert other.success
    assert abs(one.fun - other.fun) <= one.certificate.gap + other.certificate.gap
    assert one.record["evaluations"].sum() <= other.record["evaluations"].sum() + 2


def test_columns_that_lie_one_after_the_other_give_the_same_bits():
    X, y = rows(3000, 30, np.float32)
    one, other = (LinearClassifier(tol=1e-4).fit(way, y) for way in (X, np.asfortranarray(X)))
    assert (one.coef_ == other.coef_).all()


def test_two_whole_numbers_are_two_classes():
    classes, codes = two_classes(np.array([3, 1, 3]))
    assert (classes.tolist(), codes.tolist()) == ([1, 3], [1, 0, 1])
    assert two_classes(np.array([0.0, 1.0, 1.0]))[0].tolist() == [0.0, 1.0]
    for y in ([0.5, 1.0], [1, 1], [0, 1, 2], ["a", "b"], [[0, 1], [1, 0]]):
        assert two_classes(np.array(y)) is None


@pytest.mark.parametrize("loss", ["log_loss", "poisson"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_far_from_zero_without_an_intercept(loss, dtype):
    """Their level is a weighted mean that no coordinate has: a few readings, where a thousand did not do."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(25_000, 10))
    z = 0.3 * Z @ rng.normal(size=10)
    X = (Z + 1e5 * rng.uniform(0.5, 1.0, 10)).astype(dtype)
    y = rng.poisson(np.exp(z)) if loss == "poisson" else z + rng.logistic(size=25_000) > 0
    risk = Risk(X, np.asarray(y, dtype=float), loss, l2=1e-4, intercept=False)
    walk = descend(risk, np.zeros(10), choose(risk, 1e-5)[0])
    assert walk.certificate.relative <= 1e-5
    assert walk.nfev <= 10
    A, w = X.astype(float), walk.x
    for _ in range(4):
        h = risk.loss.curvature(A @ w, risk.y) / len(A)
        H = (A.T * h) @ A + 1e-4 * np.eye(10)
        w = w - np.linalg.solve(H, A.T @ risk.loss.slope(A @ w, risk.y) / len(A) + 1e-4 * w)
    best = risk.loss.value(A @ w, risk.y).mean() + 0.5e-4 * w @ w
    there = risk.loss.value(A @ walk.x, risk.y).mean() + 0.5e-4 * walk.x @ walk.x
    assert there - best <= walk.certificate.gap
    assert there == pytest.approx(walk.fun, rel=1e-6)


@pytest.mark.parametrize("unit", [False, True])
def test_a_tied_level_changes_no_derivative(unit):
    """Reading, curvatures and products of rows that were centred are those of the rows as they are."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4)) + np.array([3e2, -1e3, 0.0, 50.0])
    risk = Risk(X, (rng.random(400) > 0.5).astype(float), "log_loss", l2=1e-3, intercept=False)
    problem, columns = Centred.of(risk, tie=True)
    assert problem.tied
    some = draw(problem, columns, 400, rng).part(problem, 1.0)[0] if unit else problem
    v, p = 1e-3 * rng.normal(size=4), rng.normal(size=4)
    scores = X @ v
    reading = some.read(v)
    close = {"rtol": 1e-4 if unit else 1e-9}
    np.testing.assert_allclose(reading.scores, scores, atol=1e-5 if unit else 1e-12)
    np.testing.assert_allclose(reading.gradient, risk.gradient(v), **close)
    h = some.sigma * risk.loss.curvature(scores, risk.y)
    H = (X.T * h) @ X
    np.testing.assert_allclose(some.moment(h), H, **close)
    np.testing.assert_allclose(some.diagonal(h), np.diag(H), rtol=1e-2)
    np.testing.assert_allclose(some.product(h, p), H @ p, **close)
    np.testing.assert_allclose(some.spread(h), X.T @ h, **close)
