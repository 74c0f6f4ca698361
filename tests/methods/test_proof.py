"""What one reading proves by moving the rows of the sample: never less than the truth, and not much more near it."""

import numpy as np
import pytest

import descender.methods.proof as module
from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods.auto import choose
from descender.methods.centred import Centred
from descender.methods.metrics import Dense
from descender.methods.proof import Proof, SparseProof
from descender.methods.sampling import draw
from descender.methods.walker import Walker

LOSSES = ["log_loss", "squared_error", "huber 0.5", "poisson", "squared_hinge"]


def problem_of(loss, n=900, d=4, dtype=np.float64, l2=1e-3, seed=0, **options):
    """A risk with noise, its copy in float64, and the bottom of that."""
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)))).astype(dtype)
    y = (rng.random(n) < 1 / (1 + np.exp(-X @ rng.normal(size=d) / np.sqrt(d)))).astype(float)
    s = rng.uniform(0.5, 2.0, n)
    risk, double = (Risk(way, y, loss, l2=l2, sample_weight=s, **options) for way in (X, X.astype(np.float64)))
    return risk, double, descend(double, np.zeros(risk.n_parameters), choose(double, 1e-12)[0])


def proof_of(risk, w, share, enough=1e-3, exact=True, fault=lambda reading: reading):
    """What is proved at w by about a share of the rows."""
    problem, columns = Centred.of(risk)
    part, rows = draw(problem, columns, int(share * problem.n), np.random.default_rng(0)).part(problem, 1.0)
    reading = fault(problem.read(problem.enter(w), exact))
    H = part.hessian(reading.scores[rows])
    if risk.l1 > 0:
        walker = Walker(part, problem.enter(w), risk.l1)
        walker.learn(H, part.jitter)
        return SparseProof(problem, part, rows, risk.l1).gap(problem.enter(w), reading, walker, enough), reading
    return Proof(problem, part, rows).gap(problem.enter(w), reading, Dense(H, part.jitter), enough), reading


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("dtype", "l2"), [(np.float32, 1e-3), (np.float64, 1e-6), (np.float64, 0.0)])
def test_the_gap_is_a_bound_and_near_the_minimum_a_good_one(loss, intercept, dtype, l2):
    risk, double, best = problem_of(loss, dtype=dtype, l2=l2, intercept=intercept)
    for far in (1.0, 1e-2, 1e-4):
        w = best.x + far * np.random.default_rng(2).normal(size=len(best.x))
        true = double.value(w) - best.fun
        for share in (0.25, 1.0):
            gap, reading = proof_of(risk, w, share, 10.0 / share * true)
            assert reading.value == pytest.approx(double.value(w), rel=1e-12)
            assert gap >= true
            if far == 1e-4:
                assert gap <= 12.0 / share * true + 1e-14


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("intercept", [True, False])
def test_a_reading_in_float32_proves_what_is_above_its_rounding(loss, intercept):
    risk, double, best = problem_of(loss, dtype=np.float32, intercept=intercept)
    for far in (1e-1, 1e-2):
        w = best.x + far * np.random.default_rng(2).normal(size=len(best.x))
        true = double.value(w) - best.fun
        for share in (0.25, 1.0):
            gap, reading = proof_of(risk, w, share, 10.0 / share * true, exact=False)
            assert not reading.exact
            assert reading.noise > 0.0
            assert true <= gap <= 2.0 * proof_of(risk, w, share, 10.0 / share * true)[0] + 1e-6


def test_what_rounding_may_have_lost_of_a_gradient_is_charged():
    """The planted fault: a gradient whose rounding hides all of it, and is not owned up to, proves what is not true."""
    risk, double, best = problem_of("log_loss", dtype=np.float32)
    w = best.x + 0.1
    true = double.value(w) - best.fun

    def hidden(reading):
        return reading._replace(gradient=0.0 * reading.gradient, noise=float(np.linalg.norm(reading.gradient)))

    assert proof_of(risk, w, 0.25, exact=False, fault=hidden)[0] >= true
    silent = proof_of(risk, w, 0.25, exact=False, fault=lambda reading: hidden(reading)._replace(noise=0.0))[0]
    assert silent < true


@pytest.mark.parametrize("rows", ["few that are repeated", "one far away in thousands", "in the order of a column"])
def test_the_rounding_of_a_reading_in_float32_is_bounded(rows):
    """Equal terms are rounded the same way each time: sums of whole blocks were off by a hundred roundings of one."""
    rng, n = np.random.default_rng(0), 40_000
    for d in (1, 2, 5, 20):
        X = rng.uniform(0.1, 1.0, (n, d)).astype(np.float32)
        if rows == "few that are repeated":
            X = X[:1] * np.sort(rng.integers(0, 2, n))[:, None].astype(np.float32)
        elif rows == "one far away in thousands":
            X[17::9_999] *= 1e4
        else:
            X = X[np.argsort(X[:, 0])]
        problem, _ = Centred.of(Risk(X, (rng.random(n) < 0.3).astype(float), "log_loss", l2=1e-3))
        v = 0.3 * rng.normal(size=problem.size)
        quick, exact = problem.read(v), problem.read(v, exact=True)
        size = np.sqrt(np.sum(X.astype(np.float64) ** 2) * problem.sigma[0])
        assert problem.far or size <= problem.length <= 1.02 * size
        ones, single = np.ones(n), np.dtype(np.float32)
        off = problem.spread(ones) - problem.spread(ones, single)
        assert np.linalg.norm(off) <= problem.noise(ones, single) / problem.sigma[0]
        assert np.linalg.norm(quick.gradient - exact.gradient) <= quick.noise


def test_which_readings_tell():
    """Those in float32 do not where the penalty is weak or columns are far away, nor of less than their rounding."""
    for dtype, l2, asked, shift, tells in (
        (np.float64, 1e-9, 1e-12, 0.0, True),
        (np.float32, 1e-3, 1e-3, 0.0, True),
        (np.float32, 1e-3, 1e-8, 0.0, False),
        (np.float32, 1e-12, 1e-3, 0.0, False),
        (np.float32, 0.0, 1e-3, 0.0, False),
        (np.float32, 1e-3, 1e-3, 1e4, False),
    ):
        risk, _, best = problem_of("log_loss", dtype=dtype, l2=1e-3)
        problem, _ = Centred.of(Risk(risk.X + dtype(shift), risk.y, "log_loss", l2=l2))
        assert Proof(problem, problem, None).tells(problem.read(best.x), asked) == tells


@pytest.mark.parametrize("loss", LOSSES)
def test_a_strong_penalty_needs_few_rows(loss):
    """There the natural point is good, and no row has to move far."""
    risk, double, best = problem_of(loss, l2=10.0)
    w = best.x + 1e-3
    assert double.value(w) - best.fun <= proof_of(risk, w, 0.1, 1e-6)[0] <= 3.0 * (double.value(w) - best.fun)


def test_conditions_that_are_not_met_are_charged(monkeypatch):
    """The planted fault: far from the minimum no theta has the room that is asked for, and what is missed counts."""
    risk, double, best = problem_of("huber 0.05")
    w = best.x + 3.0
    true = double.value(w) - best.fun
    assert proof_of(risk, w, 0.25)[0] >= true
    monkeypatch.setattr(Proof, "_missed", lambda self, *given: 0.0)
    assert proof_of(risk, w, 0.25)[0] < true


def test_sums_that_are_not_zero_prove_nothing(monkeypatch):
    """A free intercept asks for a sum of zero; a rare one is left as it is."""
    risk, _, best = problem_of("log_loss")
    w = best.x + 1e-3
    assert np.isfinite(proof_of(risk, w, 0.5)[0])
    monkeypatch.setattr(module, "FREE", -1.0)
    assert np.isinf(proof_of(risk, w, 0.5)[0])


def test_columns_far_from_zero_and_columns_that_are_constant():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 5)) + np.array([1e6, -1e5, 0, 0, 0])
    X[:, 2] = 7.0
    y = (X[:, 3] + rng.normal(size=800) > 0).astype(float)
    risk = Risk(X, y, "log_loss", l2=1e-3)
    best = descend(risk, np.zeros(6), choose(risk, 1e-12)[0])
    problem, _ = Centred.of(risk)
    v = problem.enter(best.x) + np.array([1e-4, 1e-4, 0.0, 1e-4, -1e-4, 1e-4])
    gap, reading = proof_of(risk, problem.leave(v), 0.5)
    assert 0.5 * (reading.value - best.fun) <= gap <= 20.0 * (reading.value - best.fun)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("l1", "l2"), [(0.01, 0.0), (0.05, 1e-2)])
@pytest.mark.parametrize("intercept", [True, False])
def test_with_l1_the_gap_is_a_bound_and_near_the_minimum_a_good_one(loss, l1, l2, intercept):
    risk, double, best = problem_of(loss, d=8, dtype=np.float32, l1=l1, l2=l2, intercept=intercept)
    for far in (1.0, 1e-2, 1e-4):
        w = best.x + far * np.random.default_rng(2).normal(size=len(best.x)) * (best.x != 0)
        true = double.value(w) - best.fun
        for share in (0.25, 1.0):
            gap, _ = proof_of(risk, w, share, 10.0 / share * true)
            assert gap >= true
            if far == 1e-4:
                assert gap <= 12.0 / share * true + 1e-12


def test_with_l1_columns_that_should_join_are_charged(monkeypatch):
    """The planted fault: where all weights are 0, no u is small enough, and a theta that is left as it is proves more
    than is true."""
    risk, double, best = problem_of("log_loss", d=8, l1=0.01, l2=0.0)
    w = np.zeros(9)
    true = double.value(w) - best.fun
    assert proof_of(risk, w, 0.25)[0] >= true

    def unscaled(self, v, reading, u, moved, theta):
        return moved + self.l1 * float(np.abs(v[:8]).sum()) - float(u[:8] @ v[:8])

    monkeypatch.setattr(SparseProof, "_whole", unscaled)
    assert proof_of(risk, w, 0.25, np.inf)[0] < true
