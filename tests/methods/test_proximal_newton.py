"""The proximal Newton method on small data: the conditions of the minimum, other methods, and what it ends with."""

import numpy as np
import pytest
from scipy import sparse

from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods.metric import LearntMetric
from descender.methods.proximal_newton import ProximalNewton
from descender.methods.standard import Standard
from descender.walk import Stop

LOSSES = ["log_loss", "squared_hinge", "huber 1.0", "poisson"]


def risk_of(loss, kind="plain", n=150, d=12, l2=0.0, **more):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(n, d)) + 0.5 * rng.normal(size=(n, 1))
    if kind == "alike":
        X[:, 1], X[:, 2] = X[:, 0], 3.0
    if kind == "scales":
        X *= 10.0 ** np.linspace(-4, 4, d)
    z = (X / X.std(axis=0).clip(1e-9)) @ (rng.normal(size=d) * (rng.random(d) < 0.5)) / 2 - 0.2
    z -= z.mean()
    y = {"huber": z + rng.standard_t(2, n), "poisson": rng.poisson(np.exp(z.clip(-3, 3)))}.get(
        loss.split()[0], rng.random(n) < 1 / (1 + np.exp(-z))
    )
    s = rng.integers(1, 4, n).astype(float)
    l1 = 0.02 if kind != "scales" else 1e-4
    return Risk(X, y.astype(float), loss, l1=l1, l2=l2, sample_weight=s, **more)


def walk_on(risk, tol=1e-12, method=ProximalNewton, **more):
    return descend(risk, risk.default_start(), method(tol), **more)


def smooth_gradient(risk, w):
    return Risk(
        risk.X, risk.y, risk.loss, l2=risk.l2, intercept=risk.intercept, sample_weight=risk.sample_weight
    ).value_and_gradient(w)[1]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("kind", "l2"), [("plain", 0.0), ("plain", 0.05), ("alike", 0.0), ("scales", 0.0)])
def test_no_weight_wants_to_move(loss, kind, l2):
    risk = risk_of(loss, kind, l2=l2)
    walk = walk_on(risk, 1e-14)
    size = np.append(np.abs(risk.X).max(axis=0), 1.0)
    g, w = smooth_gradient(risk, walk.x) / size, walk.x
    weights, bound = w[:-1], risk.l1 / size[:-1]
    assert walk.certificate.rigorous
    assert walk.certificate.relative < (1e-9 if kind == "scales" else 1e-13)  # what rounding lets be proved
    assert walk.status in ("converged", "floor")
    assert abs(g[-1]) < 1e-7
    assert np.all(np.abs(g[:-1]) <= bound + 1e-7)
    assert np.abs((g[:-1] + bound * np.sign(weights))[weights != 0]).max(initial=0.0) < 1e-7


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("l2", "intercept"), [(0.0, True), (0.05, True), (0.0, False)])
def test_no_step_makes_the_proof_claim_too_much(loss, l2, intercept):
    """It may be any step: the point of the dual that it leads to is feasible, and bounds the minimum from below."""
    risk, rng = risk_of(loss, l2=l2, intercept=intercept), np.random.default_rng(1)
    lowest = walk_on(risk, 1e-14)
    problem = Standard(risk)
    bottom = problem.enter(lowest.x)
    for far in (0.0, 1e-9, 1e-4, 1e-2, 1.0):
        at = problem.look(bottom + far * rng.normal(size=bottom.shape))
        any_way, down = rng.normal(size=bottom.shape), bottom - at.V
        for step in (0.0 * down, 1e-6 * any_way, 0.5 * any_way, -down, down, 3.0 * down, 100.0 * down):
            found = problem.proof(at, 1.0, np.inf, step)
            assert found.value - found.gap <= lowest.fun + 1e-14 * abs(lowest.fun)
    assert problem.proof(problem.look(bottom), 1.0, np.inf, np.zeros(bottom.shape)).relative < 1e-8


@pytest.mark.parametrize("loss", LOSSES)
def test_it_ends_where_descent_in_a_learnt_metric_ends(loss):
    risk = risk_of(loss, l2=0.01)
    here, there = walk_on(risk), walk_on(risk, method=LearntMetric)
    np.testing.assert_allclose(here.x, there.x, atol=1e-6)
    assert here.fun <= there.fun * (1 + 1e-11)


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_may_be_sparse_rounded_or_few_and_without_an_intercept(loss):
    risk = risk_of(loss)
    lowest = walk_on(risk).fun
    rare = Risk(sparse.csr_array(risk.X), risk.y, loss, l1=risk.l1, sample_weight=risk.sample_weight)
    assert walk_on(rare).fun == pytest.approx(lowest, rel=1e-10)
    rounded = Risk(risk.X.astype(np.float32), risk.y, loss, l1=risk.l1, sample_weight=risk.sample_weight)
    assert walk_on(rounded, 1e-6).fun == pytest.approx(lowest, rel=1e-5)
    for few in (risk_of(loss, n=10, d=40), risk_of(loss, intercept=False)):
        walk = walk_on(few, 1e-7)
        assert walk.success
        assert walk.certificate.relative <= 1e-7


def test_costs_fall_and_are_those_of_their_points():
    risk = risk_of("log_loss")
    walk = walk_on(risk)
    costs, points = walk.record["cost"], walk.record.path
    assert np.all(np.diff(costs) <= 1e-15)
    np.testing.assert_allclose([risk.value(w) for w in points], costs, rtol=1e-12)


def test_a_budget_of_steps_is_kept():
    walk = walk_on(risk_of("log_loss"), stop=Stop(max_steps=2))
    assert walk.nit == 2
    assert walk.status == "budget"


def test_a_penalty_that_leaves_nothing_leaves_the_best_constant():
    risk = risk_of("log_loss")
    risk.penalise(l1=10.0)
    walk = walk_on(risk)
    assert not walk.x[:-1].any()
    share = np.average(risk.y, weights=risk.sample_weight)
    assert walk.x[-1] == pytest.approx(np.log(share / (1 - share)), abs=1e-9)


def test_separable_rows_end_in_few_steps():
    for seed in range(8):
        X = np.random.default_rng(seed).normal(size=(20, 1))
        for l1 in (1e-2, 1e-3, 1e-4):
            walk = walk_on(Risk(X, (X[:, 0] > 0).astype(float), "log_loss", l1=l1), 4e-24)
            assert walk.nit < 60
            assert walk.certificate.relative < 1e-9
