"""Which curvatures a walk learns its metric from: the same minimum by each, and the choice between them."""

import numpy as np
import pytest

from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods import curvature
from descender.methods.centred import Centred
from descender.methods.curvature import ALL, DIAGONAL, PART, Curvature
from descender.methods.metric import LearntMetric, _Descent
from descender.methods.metrics import Products
from descender.methods.newton import Newton
from descender.methods.proof import Proof
from descender.methods.sampling import draw
from descender.methods.walker import Walker


def crossed(n=3000, d=130, seed=0, scale=1.0, dtype=np.float64):
    """Columns of which a third are rare marks, and some the products of others: a sample knows them badly."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X[:, ::3] = rng.random((n, len(range(0, d, 3)))) < 0.01
    X[:, 1::9] = X[:, ::9][:, : X[:, 1::9].shape[1]] * (X[:, 2::9][:, : X[:, 1::9].shape[1]] > 0)
    z = X @ rng.normal(size=d)
    y = (2 * z / z.std() + rng.logistic(size=n) > 0).astype(float)
    return (X * scale).astype(dtype), y


@pytest.fixture(scope="module")
def risk():
    return Risk(*crossed(), "log_loss", l2=1e-4)


@pytest.fixture(scope="module")
def sample(risk):
    """All rows, standardised in float32, as a problem of their own."""
    problem, columns = Centred.of(risk)
    part, rows = draw(problem, columns, problem.n, np.random.default_rng(0)).part(problem, 1.0)
    return problem, part, rows


def test_a_walk_begins_without_a_matrix_where_that_is_dear(risk, sample):
    problem, part, _ = sample
    assert Curvature(Walker(problem, np.zeros(problem.size), 0.0), part, None).kind == DIAGONAL
    few = problem.part(np.arange(problem.n))  # float64 rows, as sparse ones are
    assert Curvature(Walker(problem, np.zeros(problem.size), 0.0), few, None).kind == PART
    assert Curvature(Walker(problem, np.zeros(problem.size), 0.1), part, None).kind == PART


@pytest.mark.parametrize(("pace", "steps", "expected"), [(0.1, 9, DIAGONAL), (0.95, 5, DIAGONAL), (0.95, 6, PART)])
def test_a_matrix_is_learnt_where_the_pace_is_slow(sample, pace, steps, expected):
    problem, part, _ = sample
    found = Curvature(Walker(problem, np.zeros(problem.size), 0.0), part, None)
    for k in range(steps):
        found.improve(pace**k, 1e-9)
    assert found.kind == expected
    if expected == PART:  # and where even that is slow, one of all rows
        found.improve(0.1, 1e-9)
        found.improve(0.099, 1e-9)
        assert found.kind == ALL


def test_each_kind_of_metric_leads_to_the_same_minimum(risk, monkeypatch):
    best = descend(risk, np.zeros(risk.n_parameters), Newton(1e-12)).fun
    for dear in (0.0, 1e9):  # never, and always, a matrix at first
        monkeypatch.setattr(curvature, "DEAR", dear)
        walk = descend(risk, np.zeros(risk.n_parameters), LearntMetric(1e-9))
        assert walk.success
        assert 0 <= walk.fun - best + 1e-14 <= walk.certificate.gap + 1e-14
        assert walk.certificate.relative <= 1e-9


def test_products_with_a_sample_are_a_metric(monkeypatch):
    """Of a sample too dear for its matrix: the same minimum, with no Hessian; where they are cut short there is one."""
    risk = Risk(*crossed(4000, 60, dtype=np.float32), "log_loss", l2=1e-4)
    best = descend(risk, np.zeros(risk.n_parameters), Newton(1e-12)).fun
    learnt, hessian = [], Centred.hessian

    def counted(self, *given, **more):
        learnt.append(self.n)
        return hessian(self, *given, **more)

    monkeypatch.setattr(Centred, "hessian", counted)
    monkeypatch.setattr(curvature, "DEAR", 0.0)
    monkeypatch.setattr(curvature, "LEAST", 100.0)
    for most, tol in ((30, 1e-3), (30, 1e-6), (1, 1e-6)):
        assert not learnt
        monkeypatch.setattr(curvature, "MOST_PRODUCTS", most)
        walk = descend(risk, np.zeros(risk.n_parameters), LearntMetric(tol))
        assert walk.success
        assert walk.fun - best <= walk.certificate.gap <= 2.0 * tol * best
    assert learnt


def test_equations_are_solved_as_well_as_products_allow():
    rng = np.random.default_rng(0)
    H = np.cov(rng.normal(size=(6, 40))) + 0.1 * np.eye(6)
    g = rng.normal(size=6)
    exact = np.linalg.solve(H, g)
    whole, rough, none = (Products(H.dot, lambda r: r, most, left) for most, left in ((9, 1e-20), (9, 0.1), (0, 0.1)))
    assert whole.solve(g) == pytest.approx(exact, rel=1e-8)
    assert 0.0 < g @ rough.solve(g) <= g @ exact
    assert rough.count < whole.count <= 7
    assert not rough.short
    assert none.solve(g) == pytest.approx(g)
    assert none.short


def test_the_units_of_the_columns_do_not_matter():
    """Reads of the rows, not seconds, at units from 1e-6 to 1e6."""
    X, y = crossed()
    units = 10.0 ** np.random.default_rng(1).uniform(-6, 6, X.shape[1])
    walks = [
        descend(Risk(rows, y, "log_loss"), np.zeros(X.shape[1] + 1), LearntMetric(1e-6)) for rows in (X, X * units)
    ]
    assert all(walk.success for walk in walks)
    assert walks[1].record["evaluations"].sum() <= 1.2 * walks[0].record["evaluations"].sum() + 2


def test_a_whole_hessian_of_rows_that_are_not_standardised(sample):
    problem, part, _ = sample
    scores = np.linspace(-2.0, 2.0, problem.n)
    exact = problem.hessian(scores)
    size = np.sqrt(np.diag(exact))
    rough = problem.hessian(scores, unit=part.unit, whole=True)
    assert np.abs((rough - exact) / size / size[:, None]).max() < 1e-5
    assert np.abs((part.hessian(scores, whole=True) - exact) / size / size[:, None]).max() < 1e-5


def test_the_diagonal_is_that_of_the_hessian(sample):
    problem, part, _ = sample
    scores = np.linspace(-2.0, 2.0, problem.n)
    assert part.curvatures(scores) == pytest.approx(np.diag(problem.hessian(scores)), rel=1e-4)
    assert problem.curvatures(scores) == pytest.approx(np.diag(problem.hessian(scores)), rel=1e-12)


def test_few_rows_are_all_in_a_hessian():
    """Rows with hardly any weight are left out where others stand for them, which on few rows is never so."""
    for n, whole in ((100, True), (3000, False)):
        X, y = crossed(n, 60, dtype=np.float32)
        problem, columns = Centred.of(Risk(X, y, "log_loss", l2=1e-3))
        part, _ = draw(problem, columns, n, np.random.default_rng(0)).part(problem, 1.0)
        assert (part.worth(np.random.default_rng(0).normal(scale=8.0, size=n)) == n) is whole


def test_a_proof_in_a_diagonal_metric_is_a_bound(risk, sample):
    problem, part, _ = sample
    best = descend(risk, np.zeros(risk.n_parameters), Newton(1e-12)).fun
    descent = _Descent(risk, problem, part, None, np.zeros(problem.size), 1e-3, 1000)
    assert not descent.curvature.exact
    for _ in range(12):
        descent._look()
        descent.walker.move()
    descent.walker.prove()
    gap = Proof(problem, part, None).gap(descent.walker.v, descent.walker.reading, descent.walker, 0.0, 40)
    distance = descent.walker.value - best
    assert distance <= gap < 1e3 * distance


def test_a_proof_that_cannot_be_is_given_up_early(risk, sample, monkeypatch):
    problem, part, _ = sample
    walker = Walker(problem, np.zeros(problem.size), 0.0)
    Curvature(walker, part, None).learn()
    walker.prove()
    asked = []
    monkeypatch.setattr(part, "product", lambda h, p: asked.append(p) or Centred.product(part, h, p))
    distance = walker.value - descend(risk, np.zeros(problem.size), Newton(1e-9)).fun
    assert Proof(problem, part, None).gap(walker.v, walker.reading, walker, 1e-3 * distance, 40) >= distance
    assert len(asked) < 5
