"""Dual points mixed from the readings of a walk, and the walk whose scores are known: bounds, lines, who goes on."""

import numpy as np
import pytest

from descender import LinearClassifier
from descender.costs.certificate import certificate
from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods.auto import choose
from descender.methods.centred import Centred
from descender.methods.metric import LearntMetric, _Descent
from descender.methods.score_walk import ScoreWalk, suits


def few_rows(n=700, d=100, dtype=np.float64, l2=1e-3, seed=0, **options):
    """Fewer rows than forty a column, correlated columns, and classes that are nearly separable."""
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)))).astype(dtype)
    y = (X @ rng.normal(size=d) + rng.logistic(size=n) > 0).astype(float)
    return Risk(X, y, "log_loss", l2=l2, **options)


def walk_of(risk, steps):
    problem, columns = Centred.of(risk, whole=False)
    walk = ScoreWalk(problem, columns, np.zeros(problem.size))
    for _ in range(steps):
        assert walk.move()
    return walk


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("dtype", "weighted"), [(np.float32, False), (np.float32, True), (np.float64, True)])
def test_a_mixture_bounds_the_distance_and_is_better_than_the_last_point(dtype, weighted, intercept):
    s = np.random.default_rng(1).uniform(0.5, 2.0, 700) if weighted else None
    risk = few_rows(dtype=dtype, intercept=intercept, sample_weight=s)
    double = Risk(risk.X.astype(np.float64), risk.y, "log_loss", l2=1e-3, intercept=intercept, sample_weight=s)
    best = descend(double, np.zeros(risk.n_parameters), choose(double, 1e-12)[0]).fun
    better = []
    for steps in (0, 1, 4, 12):
        walk = walk_of(risk, steps)
        w = walk.problem.leave(walk.v)
        known = certificate(double, w)
        assert walk.reading.value == pytest.approx(known.value, rel=1e-5)
        for travelled in (0.0, walk.travelled if dtype == np.float32 else 0.0):
            gaps = [walk.mixture.proved(walk.v, walk.problem.scores(walk.v), 1e9, travelled)]
            for _ in range(len(walk.mixture.past) - 1):
                walk.mixture.past.popleft()
            gaps.append(walk.mixture.proved(walk.v, walk.problem.scores(walk.v), 1e9, travelled))
            assert min(gaps) >= known.value - best
            better.append(gaps[1] / gaps[0])
    assert max(better) > 1.3


def test_what_rounding_did_to_the_readings_is_charged():
    """The planted fault: products that miss nothing, as rounding hid it, and are not owned up to, prove what is not."""
    risk = few_rows(dtype=np.float32)
    double = Risk(risk.X.astype(np.float64), risk.y, "log_loss", l2=1e-3)
    walk = walk_of(risk, 3)
    true = double.value(walk.problem.leave(walk.v)) - descend(double, np.zeros(101), choose(double, 1e-12)[0]).fun
    d, last = risk.n_features, walk.mixture.past[-1]
    wanted = np.append(1e-3 * walk.v[:d], last.products[d:])
    for noise, proves in ((float(np.linalg.norm(last.products - wanted)), False), (0.0, True)):
        walk.mixture.past.clear()
        walk.mixture.past.append(last._replace(products=wanted, noise=noise))
        assert (walk.mixture.proved(walk.v, walk.problem.scores(walk.v), np.inf) < true) == proves


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_step_ends_where_its_line_is_flat(dtype):
    walk = walk_of(few_rows(dtype=dtype), 1)
    for _ in range(6):
        before, gradient, value = walk.v, walk.reading.gradient, walk.reading.value
        assert walk.move()
        step, exact = walk.v - before, walk.problem.read(walk.v, exact=True)
        assert abs(exact.gradient @ step) <= 0.101 * abs(gradient @ step)
        assert walk.reading.value < value
        close = 1e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(walk.reading.gradient, exact.gradient, rtol=close, atol=close)
        np.testing.assert_allclose(walk.scores, exact.scores, rtol=close, atol=10 * close)


def test_who_goes_on_and_where(monkeypatch):
    """What the readings prove ends the fit; where a matrix is worth it or no penalty is, the metric is learnt."""
    begun = []
    once = _Descent.__init__

    def begin(self, *given):
        begun.append(given[8])
        once(self, *given)

    monkeypatch.setattr(_Descent, "__init__", begin)
    strong, weak = few_rows(l2=0.5), few_rows(l2=1e-7)
    for risk, tol, other in ((strong, 1e-2, 0), (weak, 1e-6, 1), (few_rows(l2=0.0), 1e-2, 1)):
        begun.clear()
        walk = descend(risk, np.zeros(101), LearntMetric(tol))
        assert len(begun) == other
        assert walk.certificate.rigorous
        assert walk.certificate.relative <= tol
        exact = certificate(risk, walk.x)
        assert walk.fun == pytest.approx(exact.value, rel=1e-9)
        if begun and begun[0]:
            assert begun[0].exact
            assert len(begun[0].pairs.pairs) > 1
    problem, _ = Centred.of(few_rows(sample_weight=np.arange(700) > 0))
    assert not suits(problem, 0.0)
    assert not suits(Centred.of(strong)[0], 1e-3)


def test_scores_that_are_not_finite_are_refused_as_ever():
    risk = few_rows(d=120)
    X, y = risk.X.copy(), risk.y
    X[-2, 7] = np.nan
    with pytest.raises(ValueError, match=r"x7|row"):
        LinearClassifier("log_loss", l2=1e-3, tol=1e-2).fit(X, y)
