"""Squared errors in the metric of some rows: the minimum of the normal equations, proved, in few readings."""

import numpy as np
import pytest

from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods import normal_equations, residuals
from descender.methods.auto import choose
from descender.methods.metric import LearntMetric
from descender.methods.metrics import gram_readings
from descender.methods.normal_equations import Equations, NormalEquations
from descender.methods.sampled_squares import SampledSquares, plan, strata

N, D = 6000, 40


def made(dtype=np.float64, d=D, n=N):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) @ (np.eye(d) + 0.05 * rng.normal(size=(d, d))) + rng.normal(size=d)
    return X.astype(dtype), X @ rng.normal(size=d) + 3.0 + 2.0 * rng.normal(size=n)


@pytest.fixture
def always(monkeypatch):
    """However many columns there are, only some rows make the metric."""
    monkeypatch.setattr(normal_equations, "CHEAPER", np.inf)


def lowest(risk):
    """The minimum of the same rows in float64, by the equations alone."""
    X = risk.X.astype(np.float64)
    double = Risk(X, risk.y, l2=risk.l2, intercept=risk.intercept, sample_weight=risk.sample_weight)
    equations = Equations(double)
    point = equations.told(np.zeros(equations.problem.size))
    for _ in range(3):
        point = equations.read(point.v + equations.step(point))
    return double, point.value


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("l2", [0.0, 1e-6, 1.0])
def test_the_gap_is_an_upper_bound_wherever_the_point_is(dtype, l2, monkeypatch):
    X, y = made(dtype)
    X[:, 7] = X[:, 6] if l2 > 0 else X[:, 7]
    rng = np.random.default_rng(1)
    for weights in (None, rng.integers(1, 5, N).astype(float)):
        risk = Risk(X, y, l2=l2, sample_weight=weights)
        _, best = lowest(risk)
        walk = SampledSquares(risk, 600, 1e-6, np.random.default_rng(2))
        assert walk.sound
        for far in (0.0, 1e-4, 1e-2, 1.0):
            place = walk._read(walk.v + far * rng.normal(size=D + 1), exact=True)
            left = place.value - best
            assert left <= walk.gap(place.gradient) * (1.0 + 1e-9) + 1e-12
            assert walk.gap(place.gradient) <= 100.0 * left + 1e-9
            monkeypatch.setitem(walk.__dict__, "bend", 0.5)  # by the rows as they are
            assert left <= walk.gap(place.gradient) * (1.0 + 1e-9) + 1e-12
            del walk.__dict__["bend"]
        walk.inflation = 0.5  # a planted fault: as if the rows that are left out took curvature away
        assert walk.gap(place.gradient) < left


@pytest.mark.parametrize(
    "kind", ["plain", "scales", "far", "target far", "twice", "constant", "rare", "sorted", "free"]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_minimum_is_that_of_the_equations(always, kind, dtype):
    X, y = made()
    if kind == "scales":
        X *= 10.0 ** np.linspace(-6, 6, D)
    if kind == "far":
        X += 1e6 if dtype == np.float64 else 100.0
    if kind == "target far":
        y += 1e6
    if kind == "twice":
        X[:, 20:] = X[:, :20]
    if kind == "constant":
        X[:, 3] = 7.0
    if kind == "rare":
        X[:, 3] = np.arange(N) < 3
    if kind == "sorted":
        order = np.argsort(y)
        X, y = X[order], y[order]
    risk = Risk(X.astype(dtype), y, l2=0.0 if kind == "scales" else 1e-5, intercept=kind != "free")
    double, best = lowest(risk)
    for tol in (1e-2, 1e-6):
        walk = descend(risk, np.zeros(risk.n_parameters), NormalEquations(tol))
        gap = double.value(walk.x) - best
        assert walk.success
        assert walk.certificate.rigorous
        assert gap <= tol * best + 1e-9 * best
        assert gap <= walk.certificate.gap + 1e-10 * best
        assert kind != "constant" or walk.x[3] == 0.0


@pytest.mark.parametrize("kind", ["plain", "repeated", "scales", "weights", "free", "far"])
def test_what_a_reading_in_few_digits_does_not_see_is_bounded(kind, monkeypatch):
    X, y = made(np.float32)
    if kind == "repeated":  # sums of equal terms lose the most
        X = np.repeat(X[: N // 60], 60, axis=0)
    if kind == "scales":
        X *= 10.0 ** np.linspace(-6, 6, D, dtype=np.float32)
    if kind == "far":
        y += 1e4
    weights = np.random.default_rng(1).integers(1, 5, N).astype(float) if kind == "weights" else None
    risk = Risk(X, y, l2=1e-9, intercept=kind != "free", sample_weight=weights)
    walk = SampledSquares(risk, 600, 1e-4, np.random.default_rng(2))
    single, double = walk._read(walk.v, exact=False), walk._read(walk.v, exact=True)
    rows = X.astype(np.float64) - walk.problem.mean
    rows = np.column_stack([rows, np.ones(N)])[:, : walk.problem.size]
    unit = np.sqrt(walk.problem.sigma @ rows**2)
    H = (rows / unit).T @ ((rows / unit) * walk.problem.sigma[:, None])
    off = (single.gradient - double.gradient) / unit
    hidden = np.sqrt(off @ np.linalg.solve(H, off))
    assert not single.exact
    assert 0.0 < hidden <= single.unseen < np.sqrt(1e-4 * double.value)
    monkeypatch.setattr(residuals, "HALF_ULP", 2.0**-40)  # a planted fault: as if there were more digits
    assert walk._read(walk.v, exact=False).unseen < hidden


@pytest.mark.parametrize("few", [0, 300])
def test_the_moments_of_a_sample_are_as_near_as_they_promise(few, monkeypatch):
    monkeypatch.setattr(residuals, "FEW", few)
    X, y = made(np.float32)
    X = np.repeat(X[: N // 60], 60, axis=0)
    problem, columns = residuals.Residuals.of(Risk(X, y, sample_weight=np.linspace(1.0, 2.0, N)), whole=False)
    problem.mean = problem.mean.astype(np.float32).astype(np.float64)
    rows = np.arange(0, N, 3)
    Z = np.column_stack([X[rows] - problem.mean, np.ones(len(rows))])
    sigma = 3.0 * problem.sigma[rows]
    H, sizes = Z.T @ (Z * sigma[:, None]), np.sqrt(sigma @ Z**2)
    lost = []
    for dtype in (np.float32, np.float64):
        sample = residuals.Sample(problem, rows, 3.0, columns, dtype)
        off = np.abs(sample.H - H) / np.outer(sizes, sizes)
        assert off[:D, :D].max() <= sample.lost
        gradient = (Z * sigma[:, None]).T @ (sample.level - problem.y[rows])
        assert sample.gradient[:D] == pytest.approx(gradient[:D], abs=1e-5 * float(np.abs(gradient).max()) + 1e-5)
        lost.append(sample.lost)
    assert lost[1] < 0.05 * lost[0]


def test_no_row_is_drawn_twice():
    rng = np.random.default_rng(0)
    for n, m in ((10, 10), (1000, 400), (997, 996), (50_001, 20_000)):
        rows = strata(n, m, rng)
        assert len(np.unique(rows)) == m
        assert rows.min() >= 0
        assert rows.max() < n


def test_a_few_readings_are_all_that_it_takes(always):
    X, y = made(d=120, n=12_000)
    counts = []
    for tol in (1e-2, 1e-4):
        walk = descend(Risk(X, y, l2=1e-5), np.zeros(121), NormalEquations(tol))
        assert walk.success
        assert walk.method == "normal equations"
        counts.append(walk.nfev)
    assert counts[0] <= counts[1] <= 6
    assert counts[1] < gram_readings(len(X), *X.shape)


def test_a_walk_that_is_slow_is_left_to_the_moments_and_many_columns_to_descent(always, monkeypatch):
    X, y = made()
    weights = np.exp(4.0 * np.random.default_rng(3).normal(size=N))  # few rows matter, and most of these are not drawn
    risk = Risk(X, y, l2=1e-5, sample_weight=weights)
    _, best = lowest(risk)
    walk = descend(risk, np.zeros(D + 1), NormalEquations(1e-8))
    assert walk.success
    assert walk.fun == pytest.approx(best, rel=1e-8)
    taken = []
    monkeypatch.setattr(normal_equations, "_are_few", lambda risk: False)
    monkeypatch.setattr(LearntMetric, "blocks", lambda *given: taken.append(given) or iter(()))
    monkeypatch.setattr(SampledSquares, "_end", lambda self, place, rho=None: None)
    descend(risk, np.zeros(D + 1), NormalEquations(1e-8))
    assert len(taken) == 1


def test_a_start_elsewhere_ends_at_the_same_place(always):
    X, y = made()
    risk = Risk(X, y, l2=1e-3)
    _, best = lowest(risk)
    walk = descend(risk, np.full(D + 1, 5.0), NormalEquations(1e-9))
    assert walk.record["cost"][0] == pytest.approx(risk.value(np.full(D + 1, 5.0)), rel=1e-6)
    assert best * (1 - 1e-12) <= walk.fun <= best * (1 + 1e-9)


def test_the_plan_draws_more_rows_for_more_digits_and_never_most_of_them():
    for n, d in ((10**6, 100), (50_000, 1000), (30_000, 300)):
        plans = [plan(n, d, tol, 4) for tol in (1e-2, 1e-4, 1e-6, 1e-10)]
        assert all(2 * d <= one.rows <= n / 2 for one in plans)
        costs = [one.readings for one in plans]
        assert costs == sorted(costs)
    assert plan(1000, 600, 1e-6, 8).rows == 0
    method, why = choose(Risk(np.ones((2_100, 100)), np.ones(2_100)))
    assert isinstance(method, NormalEquations)
    assert "normal equations" in why
