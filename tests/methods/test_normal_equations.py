"""The normal equations of a squared error against NumPy and scikit-learn, and their certificate against the truth."""

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, Lasso, Ridge

from descender import LinearRegressor
from descender.costs.certificate import certificate, cost_scale, rounded
from descender.costs.dual_rows import exact_scores, score_sizes
from descender.costs.risk import Risk
from descender.descent import descend
from descender.errors import DataError
from descender.methods import moments as module
from descender.methods.auto import choose
from descender.methods.moments import Moments
from descender.methods.normal_equations import Equations, NormalEquations, Point

N, D = 5000, 13
PENALTIES = {"none": (0.0, 0.0), "l2": (1e-3, 0.0), "weak l2": (1e-9, 0.0), "l1": (0.0, 0.02), "both": (1e-2, 0.02)}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)) @ (np.eye(D) + 0.3 * rng.normal(size=(D, D))) + rng.normal(size=D)
    return X, X @ np.where(np.arange(D) % 2, rng.normal(size=D), 0.0) + 3.0 + rng.normal(size=N)


def fit(risk, tol=1e-10):
    walk = descend(risk, np.zeros(risk.n_parameters), NormalEquations(tol))
    assert walk.success, walk.message
    assert walk.certificate.rigorous
    # where descent took over, the cost itself carries the rounding of float32 rows
    assert walk.certificate.value == pytest.approx(walk.fun, rel=1e-9 if risk.X.dtype == np.float64 else 1e-7)
    return walk


def peer(X, y, l2, l1, intercept=True, weights=None):
    """scikit-learn, or least squares, on the same cost."""
    if l1 == 0 and l2 == 0:
        s = np.sqrt(np.ones(len(y)) if weights is None else weights)
        A = np.column_stack([X, np.ones(len(y))]) if intercept else X
        return np.linalg.lstsq(A * s[:, None], y * s, rcond=None)[0]
    if l1 == 0:
        total = len(y) if weights is None else weights.sum()
        model = Ridge(l2 * total, fit_intercept=intercept, solver="cholesky")
    elif l2 == 0:
        model = Lasso(l1, fit_intercept=intercept, tol=1e-14, max_iter=100_000)
    else:
        model = ElasticNet(l1 + l2, l1_ratio=l1 / (l1 + l2), fit_intercept=intercept, tol=1e-14, max_iter=100_000)
    model.fit(X, y, sample_weight=weights)
    return np.append(model.coef_, model.intercept_) if intercept else model.coef_


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_minimum_is_that_of_others(rows, penalty, weighted, intercept):
    X, y = rows
    l2, l1 = PENALTIES[penalty]
    weights = np.random.default_rng(1).integers(1, 5, N).astype(float) if weighted else None
    walk = fit(Risk(X, y, l2=l2, l1=l1, intercept=intercept, sample_weight=weights))
    np.testing.assert_allclose(walk.x, peer(X, y, l2, l1, intercept, weights), atol=1e-9)


def test_a_sum_has_the_minimum_of_the_mean_with_its_share_of_the_penalty(rows):
    X, y = rows
    one, other = Risk(X, y, l2=0.5 * N, l1=0.02 * N, reduction="sum"), Risk(X, y, l2=0.5, l1=0.02)
    a, b = fit(one), fit(other)
    np.testing.assert_allclose(a.x, b.x, atol=1e-12)
    assert a.fun == pytest.approx(N * b.fun, rel=1e-12)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_float32_rows_are_fitted_as_well_as_the_same_rows_in_float64(rows, penalty):
    X, y = rows
    (l2, l1), X = PENALTIES[penalty], X.astype(np.float32)
    walk, double = fit(Risk(X, y, l2=l2, l1=l1)), Risk(X.astype(np.float64), y, l2=l2, l1=l1)
    np.testing.assert_allclose(walk.x, peer(double.X, y, l2, l1), atol=1e-6)
    assert walk.fun == pytest.approx(double.value(walk.x), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_certificate_is_an_upper_bound_wherever_the_point_is(rows, penalty, dtype):
    X, y = rows
    l2, l1 = PENALTIES[penalty]
    risk = Risk(X.astype(dtype), y, l2=l2, l1=l1)
    equations, double = Equations(risk), Risk(X.astype(dtype).astype(np.float64), y, l2=l2, l1=l1)
    best, rng = fit(risk, 1e-10), np.random.default_rng(2)
    v = equations.problem.enter(best.x)
    for far in (0.0, 1e-6, 1e-3, 1.0):
        there = v + far * rng.normal(size=len(v))
        for point in (equations.told(there), equations.read(there), equations.refined(equations.read(there))):
            w = equations.problem.leave(point.v)
            gap, value = equations.certificate(point, 1.0).gap, double.value(w)
            assert gap >= value - best.fun - 1e-10 * best.fun
            assert abs(equations.value(point) - value) <= point.lost + 1e-12 * value


def test_a_start_at_the_minimum_is_proved_and_one_beside_it_is_not_taken(rows, monkeypatch):
    risk = Risk(*rows, l1=0.02)
    best = fit(risk).x
    assert not (descend(risk, best + 0.1, NormalEquations(1e-9)).x == best + 0.1).any()
    monkeypatch.setattr(NormalEquations.blocks.__globals__["Equations"], "__init__", None)  # no moments are needed
    again = descend(risk, best, NormalEquations(1e-9))
    assert again.success
    np.testing.assert_array_equal(again.x, best)


def test_what_is_certified_is_what_the_certificate_of_the_point_says(rows):
    X, y = rows
    for l2, l1 in PENALTIES.values():
        walk = fit(risk := Risk(X, y, l2=l2, l1=l1))
        value, scores = walk.certificate.value, exact_scores(risk, walk.x)
        hidden = rounded(risk, scores, score_sizes(risk, walk.x), value, 0.0) / value  # of the scores, 6e-14
        assert certificate(risk, walk.x).relative <= walk.certificate.relative + 1e-14 + hidden


def test_columns_of_all_scales_and_far_from_zero(rows):
    X, y = rows
    sizes = 10.0 ** np.linspace(-6, 6, D)
    best = peer(X, y, 0.0, 0.0)
    scaled = fit(Risk(X * sizes, y))
    np.testing.assert_allclose(scaled.x[:D] * sizes, best[:D], atol=1e-9)
    moved = fit(Risk(X + 1e6, y), 1e-8)
    np.testing.assert_allclose(moved.x[:D], best[:D], atol=1e-7)
    assert moved.fun == pytest.approx(scaled.fun, rel=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_repeated_and_constant_columns(rows, penalty, dtype):
    X, y = rows
    (l2, l1), few = PENALTIES[penalty], X[:, :4].astype(dtype)
    X = np.column_stack([few, few[:, :3], np.full(N, 7.0, dtype), np.zeros(N, dtype)])
    walk = fit(Risk(X, y, l2=l2, l1=l1), 1e-7)
    once = fit(Risk(few, y, l2=l2, l1=l1), 1e-10)
    assert not walk.x[7:9].any()
    assert np.abs(walk.x).max() < 1e4
    if penalty in ("none", "l1"):  # a copy of a column changes no fit
        assert walk.fun == pytest.approx(once.fun, rel=1e-7)
    else:
        w = peer(X.astype(np.float64), y, l2, l1)
        assert walk.fun <= Risk(X.astype(np.float64), y, l2=l2, l1=l1).value(w) * (1 + 1e-7)


def test_what_the_moments_lost_is_found_out_by_the_reading_of_the_rows(rows, monkeypatch):
    X, y = rows
    risk, add = Risk(X.astype(np.float32), y, l2=1e-3), Moments._add

    def wrong(self, *given):
        add(self, *given)
        self.gram *= 1.001

    best = fit(risk)
    monkeypatch.setattr(module.Moments, "_add", wrong)
    walk = descend(risk, np.zeros(D + 1), NormalEquations(1e-10))
    assert walk.certificate.gap >= walk.fun - best.fun - 1e-12


def test_a_point_that_nothing_is_lost_of_is_at_no_distance():
    point = Point(np.zeros(1), 1.0, np.zeros(1), 0.0, np.zeros(1))
    rng = np.random.default_rng(3)
    equations = Equations(Risk(rng.normal(size=(50, 1)), rng.normal(size=50), intercept=False))
    assert equations.certificate(point, 1.0).gap <= 1e-14


def test_a_fit_without_noise_is_read_again_as_moments_do_not_know_its_cost(rows):
    X, _ = rows
    w = np.arange(1.0, D + 1)
    walk = fit(Risk(X, X @ w + 1.0), 1e-6)
    np.testing.assert_allclose(walk.x, np.append(w, 1.0), atol=1e-9)
    assert walk.fun < 1e-18


def test_numbers_whose_squares_overflow_are_left_to_descent(rows):
    X, y = rows
    risk = Risk((X * 1e22).astype(np.float32), y, l2=0.0)
    assert not Equations(risk).known
    walk = descend(risk, np.zeros(D + 1), NormalEquations(1e-6))
    assert np.isfinite(walk.x).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_not_finite_is_found_by_the_method_that_nobody_looks_for(dtype, wrong):
    X = np.ones((21_000, 10), dtype)
    X[::2] = np.arange(10)
    X[7_001, 3] = wrong
    with pytest.raises(DataError, match="X at row 7001, column 3 is not a finite number"):
        LinearRegressor(l2=1.0).fit(X, np.arange(21_000.0))


def test_a_fit_in_float32_reads_the_rows_once_and_is_proved(monkeypatch):
    rng = np.random.default_rng(6)
    X = rng.normal(size=(20_000, 12)).astype(np.float32)
    y = X @ rng.normal(size=12) + rng.normal(size=len(X))
    best = fit(Risk(X.astype(np.float64), y, l2=1e-4), 1e-13)
    monkeypatch.setattr(Equations, "read", None)
    walk = descend(Risk(X, y, l2=1e-4), np.zeros(13), NormalEquations(1e-6))
    double = Risk(X.astype(np.float64), y, l2=1e-4).value(walk.x)
    assert walk.success
    assert walk.certificate.rigorous
    assert walk.fun == pytest.approx(double, rel=1e-6)
    assert 0.0 <= double - best.fun <= walk.certificate.gap <= 1e-6 * walk.fun


def test_auto_takes_the_equations_for_dense_squares_of_many_rows_alone(rows):
    X, y = rows
    method, why = choose(Risk(X, y, l1=0.1))
    assert isinstance(method, NormalEquations)
    assert why == "normal equations, because the moments of 5,000 x 13 tell all about a squared error"
    wide = np.random.default_rng(4).normal(size=(60, 2000))
    for other in (Risk(X, y, "huber 1"), Risk(wide, y[:60], l2=1.0), Risk(X[:100], y[:100])):
        assert not isinstance(choose(other)[0], NormalEquations)


def test_moments_of_cells_add_up_to_those_of_all_rows(rows):
    X, y = rows
    weights = np.random.default_rng(5).random(N)
    risk = Risk(X + 50.0, y, sample_weight=weights)
    cells = Moments(risk, np.arange(N) % 3, 3).about(np.arange(3))
    whole = Moments(risk).about(np.array([0]))
    centred = X - weights @ X / weights.sum()
    np.testing.assert_allclose(whole.G, (centred * weights[:, None]).T @ centred / weights.sum(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(cells.G, whole.G, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(cells.c, whole.c, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("intercept", [True, False])
def test_the_unit_of_tol_is_that_of_every_method(rows, intercept):
    X, y = rows
    for reduction in ("mean", "sum"):
        for target in (y, y + 1e6, np.full(N, 7.0)):
            risk = Risk(X, target, intercept=intercept, reduction=reduction, sample_weight=1.0 + np.arange(N) % 3)
            assert Equations(risk).scale() == pytest.approx(cost_scale(risk), rel=1e-9)


def test_moments_in_few_digits_are_as_near_as_they_promise(monkeypatch):
    rng = np.random.default_rng(0)
    X = np.tile(rng.random(7).astype(np.float32) + 0.5, (20_000, 1))  # equal rows: half an ulp is lost the same way
    X[::3] *= 1.7
    y = rng.random(len(X))
    double = X.astype(np.float64)
    for guess in (None, rng.standard_normal(7).astype(np.float32).astype(np.float64)):
        moments = Moments(Risk(X, y, intercept=False), guess=guess)
        left = y if guess is None else y - double @ guess
        G, c = double.T @ double, double.T @ left
        sizes = np.sqrt(np.diag(G))
        lost = np.abs(moments.gram[0] - G) / np.outer(sizes, sizes)
        assert moments.noise / 50.0 < lost.max() <= moments.noise
        astray = 0.0 if guess is None else 9 * 2.0**-24 * float(sizes @ np.abs(guess))
        assert np.all(np.abs(moments.cross[0] - c) <= sizes * (moments.noise * np.sqrt(left @ left) + astray))
        assert moments.spread[0] == pytest.approx(float(y @ y), rel=1e-12)


def test_what_a_guess_leaves_is_told_with_more_digits():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((9000, 40)).astype(np.float32) + 1.0
    y = X @ rng.standard_normal(40) + 3.0 + rng.standard_normal(len(X))
    for l1 in (0.0, 1e-3):
        risk = Risk(X, y, l2=1e-4, l1=l1)
        near, rough = Equations(risk, 1e-6), Equations(risk, 1e-2)
        assert near.guess.any()
        assert not rough.guess.any()
        start = near.told(np.zeros(41))
        point = near.told(start.v + near.step(start))
        assert point.v == pytest.approx(rough.told(point.v).v)
        assert point.slack.max() < 0.5 * rough.told(point.v).slack.max()
        assert near.scale() == pytest.approx(rough.scale(), rel=1e-9)
        there = near.compared(point)
        assert near.trusted
        assert there.value == pytest.approx(point.value, abs=point.lost)
        assert near.certificate(point, near.scale()).gap < rough.certificate(rough.told(point.v), rough.scale()).gap
