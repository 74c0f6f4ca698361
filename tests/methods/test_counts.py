"""Counts: which rows tell how the cost of many bends, where a walk on some of them begins, and what that saves."""

import numpy as np
import pytest

from descender.costs.losses import Poisson
from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods.auto import choose
from descender.methods.centred import Centred
from descender.methods.sampling import draw
from descender.methods.working_response import working_start


@pytest.fixture(scope="module")
def counts():
    """Half of what curves the cost lies on one row in fifty."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30_000, 20)).astype(np.float32)
    return Risk(X, rng.poisson(np.exp(0.5 * X.sum(axis=1))).astype(float), "poisson", l2=1e-4)


@pytest.mark.parametrize("y", [np.array([0.0, 1.0, 2.0, 900.0]), np.array([0.0, 1.0, 0.0, 0.0]), np.full(4, 7.5)])
@pytest.mark.parametrize("weights", [np.ones(4), np.array([1e-3, 2.0, 0.0, 1.0])])
def test_the_working_response_is_a_step_of_newton_from_the_working_weights(y, weights):
    h = Poisson.working_weights(y, weights)
    assert (h > 0.0).all()
    assert (np.diff(h[np.argsort(y)]) >= 0.0).all()
    z = np.log(h)
    np.testing.assert_allclose(Poisson.curvature(z, y), h, rtol=1e-14)
    step = z - Poisson.slope(z, y) / Poisson.curvature(z, y)
    np.testing.assert_allclose(Poisson.working_response(y, h), step, rtol=1e-12, atol=1e-12)


def test_counts_that_spread_no_more_than_their_mean_say_nothing_of_their_rows():
    rng = np.random.default_rng(0)
    alike = rng.poisson(0.01, 50_000).astype(float)
    assert np.ptp(Poisson.working_weights(alike, np.ones(50_000))) < 0.02
    apart = rng.poisson(rng.gamma(0.5, 20.0, 50_000)).astype(float)
    assert np.ptp(Poisson.working_weights(apart, np.ones(50_000))) == pytest.approx(0.5 * np.ptp(apart))


@pytest.mark.parametrize("dear", [False, True])
def test_the_start_is_the_least_squares_of_the_working_response(counts, dear):
    problem, columns = Centred.of(counts)
    part, rows = draw(problem, columns, 2000, np.random.default_rng(0)).part(problem, 1.0)
    A = np.column_stack([counts.X[rows] - problem.mean, np.ones(len(rows))])
    h = Poisson.working_weights(part.y, part.sigma)
    H = (A * (part.sigma * h)[:, None]).T @ A + np.diag(np.append(np.full(20, counts.l2), 0.0))
    expected = np.linalg.solve(H, A.T @ (part.sigma * h * Poisson.working_response(part.y, h)))
    found = working_start(part, dear)
    off = found - expected
    assert off @ H @ off < (1e-2 if dear else 1e-10) * (expected @ H @ expected)
    assert part.read(found).value < 0.5 * part.read(np.zeros(21)).value


def test_rows_are_drawn_by_what_they_add_to_the_curvature(counts):
    """The Hessian of the sample is nearer to that of all rows than that of as many even ones."""
    problem, columns = Centred.of(counts)
    v = problem.enter(np.append(np.full(20, 0.5), 0.0))
    H = problem.hessian(problem.read(v).scores)
    R = np.linalg.inv(np.linalg.cholesky(H))

    def error(seed):
        part, _ = draw(problem, columns, 1500, np.random.default_rng(seed)).part(problem, 1.0)
        return np.linalg.norm(R @ part.hessian(part.read(v).scores) @ R.T - np.eye(21), 2)

    drawn = np.mean([error(seed) for seed in range(5)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Poisson, "working_weights", None)
        assert drawn < 0.6 * np.mean([error(seed) for seed in range(5)])


def test_few_readings_are_left(counts):
    """Without the weights and the start the same walk reads the rows at least three times more."""

    def readings():
        return descend(counts, np.zeros(21), choose(counts, 1e-2)[0])

    walk = readings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Poisson, "working_weights", None)
        plain = readings()
    assert walk.certificate.relative <= 1e-2
    assert walk.fun == pytest.approx(plain.fun, rel=1e-2)
    assert walk.nfev <= plain.nfev - 3
