"""Newton's method on small problems: its curvatures against differences, its ends against scikit-learn."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

from descender.costs.certificate import certificate
from descender.costs.losses import Poisson
from descender.costs.risk import Risk
from descender.descent import descend
from descender.kernels.coordinates import minimise_quadratic
from descender.methods.auto import POLISHED, choose
from descender.methods.metric import LearntMetric
from descender.methods.newton import FEW_PARAMETERS, LARGEST, Newton
from descender.methods.newton_walk import Factor
from descender.methods.normal_equations import NormalEquations
from descender.methods.proximal_newton import ProximalNewton
from descender.methods.standard import TURNED, Standard, turned
from descender.walk import Stop

LOSSES = ("log_loss", "squared_error", "poisson", "huber 1.5", "squared_hinge", "softmax")
EACH = pytest.mark.parametrize("loss", LOSSES)


def risk_of(loss, n=80, d=3, seed=0, **more):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * [1e-3, 1.0, 1e3] + [0.0, 5.0, -2e3]
    score = X @ [300.0, 0.5, 2e-4] + rng.normal(size=n)
    y = {"log_loss": score > 2, "squared_hinge": score > 2, "poisson": np.round(np.exp(0.3 * score)),
         "softmax": np.digitize(score, [1.5, 3.0])}.get(loss, score)  # fmt: skip
    return Risk(X, np.asarray(y, dtype=float), loss, **{"l2": 1e-3} | more)


def walked(risk, tol=POLISHED, **options):
    method = choose(risk, tol)[0]
    assert isinstance(method, Newton)
    return descend(risk, np.zeros(risk.n_parameters), method, **options)


@EACH
@pytest.mark.parametrize("intercept", [True, False])
def test_gradient_and_curvatures_are_derivatives(loss, intercept):
    risk = risk_of(loss, intercept=intercept)
    problem, rng = Standard(risk), np.random.default_rng(1)
    at = problem.look(problem.enter(np.zeros(risk.n_parameters)))
    V = 0.3 * rng.normal(size=at.V.shape)
    here = problem.look(V)
    H, G = problem.hessian(here, 0.0, False), here.G.ravel()
    np.testing.assert_allclose(problem.hessian(here, 0.0, False, rough=True), H, rtol=1e-5, atol=1e-6)
    direction, h = rng.normal(size=V.shape), 1e-6
    direction -= direction.mean(axis=0) if problem.several else 0.0  # along the mean it holds more than the cost
    up, down = problem.look(V + h * direction), problem.look(V - h * direction)
    assert (up.value - down.value) / (2 * h) == pytest.approx(G @ direction.ravel(), rel=1e-6)
    by_differences = (up.G - down.G).ravel() / (2 * h)
    np.testing.assert_allclose(H @ direction.ravel(), by_differences, rtol=1e-5, atol=1e-6)


@EACH
def test_what_it_sees_is_what_the_risk_says(loss):
    risk = risk_of(loss)
    problem, w = Standard(risk), np.random.default_rng(2).normal(size=risk.n_parameters) * 1e-2
    value, gradient = risk.value_and_gradient(w)
    at = problem.look(problem.enter(w))
    np.testing.assert_allclose(problem.leave(at.V), w, rtol=1e-12, atol=1e-12)
    assert at.value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(problem.gradient(at), gradient, rtol=1e-9, atol=1e-9 * np.abs(gradient).max())


@EACH
@pytest.mark.parametrize("form", ["dense", "sparse", "weighted"])
def test_it_ends_at_rounding_with_a_proof(loss, form):
    risk = risk_of(loss)
    if form == "sparse":
        risk = Risk(sparse.csr_array(risk.X), risk.y, loss, l2=1e-3)
    if form == "weighted":
        s = np.random.default_rng(3).integers(1, 4, len(risk.y)).astype(float)
        risk = Risk(risk.X, risk.y, loss, l2=1e-3, sample_weight=s)
    walk = walked(risk)
    assert walk.success
    assert walk.certificate.relative < 1e-13
    found = certificate(risk, walk.x)
    assert abs(found.value - walk.certificate.value) <= 1e-13 * abs(found.value)
    assert found.relative < 1e-10
    costs = walk.record["cost"]
    assert np.all(np.diff(costs) <= 1e-14 * np.abs(costs[:-1]))


def test_softmax_is_that_of_scikit_learn():
    X, y = load_wine(return_X_y=True)
    risk = Risk(X, y, "softmax", l2=1.0 / len(y))
    walk = walked(risk)
    peer = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(X, y)
    W, b = risk.split(walk.x)
    np.testing.assert_allclose(W, peer.coef_, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(W.sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(b - b.mean(), peer.intercept_ - peer.intercept_.mean(), rtol=1e-5, atol=1e-6)


def test_budgets_callbacks_and_what_is_noted():
    risk, seen = risk_of("log_loss"), []
    few = walked(risk, stop=Stop(max_steps=3))
    assert (few.status, few.nit) == ("budget", 3)
    np.testing.assert_allclose(few.record["cost"], [risk.value(w) for w in few.record.path], rtol=1e-12)
    walk = walked(risk, callback=seen.append)
    assert [step.number for step in seen] == list(range(walk.nit + 1))
    stopped = walked(risk, callback=lambda step: step.number == 2)
    assert (stopped.status, stopped.nit, stopped.certificate) == ("callback", 2, None)
    np.testing.assert_allclose(stopped.x, walk.record.path[2], rtol=1e-9)


def test_a_start_far_off_and_labels_that_a_line_parts():
    risk = risk_of("poisson")
    far = descend(risk, np.array([1e3, 3.0, 1e-2, -4.0]), Newton(POLISHED))
    assert far.fun == pytest.approx(walked(risk).fun, rel=1e-12)
    X = np.linspace(-1.0, 1.0, 40)[:, None]
    parted = Risk(X, (X[:, 0] > 0).astype(float), "log_loss")
    walk = walked(parted, 1e-6)
    assert walk.success
    assert walk.fun < 1e-8


@pytest.mark.parametrize("y", [[0.0, 1.0, 3.0, 1e6], [5.0, 0.0, 2.5, 1e-3]])
def test_the_value_and_slope_of_counts_by_one_exponential(y):
    y, z = np.array(y)[:, None], np.linspace(-3.0, 15.0, 50)
    value, slope = Poisson.fused(z, y)
    size = np.exp(z) + y * (1.0 + np.abs(z))
    assert np.all(np.abs(value - Poisson.value(z, y)) <= 1e-14 * size)
    assert np.all(np.abs(slope - Poisson.slope(z, y)) <= 1e-14 * size)
    near = Poisson.fused(np.log(1e12) + 1e-5, np.float64(1e12))[0]
    assert near == pytest.approx(0.5e12 * 1e-10, rel=1e-4)  # the digits that a difference of exponentials would lose


def test_an_l1_model_on_columns_that_are_nearly_the_same():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1)) + 0.03 * rng.normal(size=(200, 30))
    H, g = X.T @ X / 200, -X.T @ (X[:, 0] - X[:, 1] + rng.normal(size=200)) / 200
    for l1 in (1e-3, 1e-2, 0.1):
        p = minimise_quadratic(H, g, np.zeros(30), np.full(30, l1), sweeps=2000)
        slopes = g + H @ p
        assert np.all(np.abs(slopes) <= l1 * (1 + 1e-6))
        np.testing.assert_allclose(slopes[p != 0], -l1 * np.sign(p[p != 0]), rtol=1e-6)


def test_which_problems_are_its_own():
    X, y = np.zeros((LARGEST // 10 + 1, 10)), np.zeros(LARGEST // 10 + 1)
    assert isinstance(choose(Risk(X, y, "log_loss"), 1e-6)[0], LearntMetric)
    assert isinstance(choose(Risk(X[1:], y[1:]), 1e-6)[0], Newton)
    assert isinstance(choose(Risk(X[1:], y[1:], "log_loss", l1=0.1), 1e-6)[0], LearntMetric)
    assert isinstance(choose(Risk(X[:60], y[:60], "log_loss", l1=0.1), 1e-6)[0], ProximalNewton)
    assert isinstance(choose(Risk(X[1:], y[1:], l1=0.1), 1e-6)[0], NormalEquations)
    many = Risk(X[:50], np.arange(50.0), "softmax", l2=1.0)
    assert many.n_parameters > FEW_PARAMETERS
    assert not isinstance(choose(many, 1e-6)[0], Newton)


@pytest.mark.parametrize("scale", [1e4, 1e8])
def test_huber_where_hardly_a_row_is_on_its_curve(scale):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((100, 3))
    risk = Risk(X, (X.sum(axis=1) + rng.standard_t(2, 100)) * scale, "huber 1.0", l2=1e-3)
    for tol in (1e-2, 1e-6):
        walk = descend(risk, risk.default_start(), Newton(tol))
        assert walk.success
        assert walk.certificate.relative <= tol
        assert walk.nit < 20


@pytest.mark.parametrize("seed", [1, 378])
def test_counts_that_are_met_to_rounding(seed):
    """The cost is then told to fewer digits than the gradient, which leads on to the end."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(3, 4)) * 10.0 ** rng.integers(-3, 5, 4) + 10.0 ** rng.integers(0, 4, 4)
    walk = walked(Risk(X, np.array([4.0, 0.0, 2.0]), "poisson", l2=1e-6))
    assert walk.nit < 40
    assert walk.certificate.relative < 1e-12


def test_a_step_goes_on_where_the_slope_has_hardly_fallen():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    risk = Risk(X, (X[:, 0] + 0.1 * rng.normal(size=300) > 0).astype(float), "log_loss", l2=1e-4)
    walk = walked(risk)
    assert walk.record["learning_rate"][0] > 1.2  # a logistic loss flattens: the whole step is too short
    assert np.all(np.diff(walk.record["cost"]) <= 0)


@pytest.mark.parametrize("spread", [1.0, 1e8])
def test_a_factor_needs_no_scaled_columns(spread):
    rng = np.random.default_rng(1)
    size = spread ** rng.uniform(-1.0, 1.0, 6)
    X = rng.normal(size=(40, 6))
    g, H = rng.normal(size=6), X.T @ X
    found = Factor.of(H * np.outer(size, size), 1e-14)
    np.testing.assert_allclose(found.solve(g * size) * size, np.linalg.solve(H, g), rtol=1e-11)
    assert Factor.of(np.zeros((2, 2)), 1e-14) is None  # then the diagonal is raised


def test_a_walk_to_rounding_ends_with_the_step_that_leads_there():
    """A step beyond it moves none of the first eleven digits of the weights."""
    risk = risk_of("log_loss")
    walk = walked(risk)
    step = walk.record["step_norm"][walk.nit - 1]
    assert step > 1e-11 * np.linalg.norm(walk.x)


@pytest.mark.parametrize("d", [1, 40])
def test_rows_become_columns_some_at_a_time(d):
    X = np.random.default_rng(0).normal(size=(TURNED // d + 3, d)).astype(np.float32)
    np.testing.assert_array_equal(turned(X, np.empty(X.T.shape)), X.T)
