"""Certificates tell the truth: no rigorous gap is below the true one, and it closes at the bottom."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog, minimize

from descender.costs import certificate as module
from descender.costs.certificate import Certificate, certificate, cost_scale, proved, relative_gap, total_certificate
from descender.costs.losses import Softmax
from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods.auto import choose

LOSSES = ("squared_error", "log_loss", "softmax")
OTHERS = ("huber 0.3", "poisson", "squared_hinge", "quantile 0.8", "hinge")


def make(loss, seed, l2, l1, intercept=True, weighted=False, kind="dense", n=20, d=3, scale=1.0, shift=0.0):
    """A small risk; sometimes with rows of weight zero, a constant column, one class only in the weights."""
    rng = np.random.default_rng(seed)
    X = scale * (rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.8) + shift)
    if rng.random() < 0.2:
        X[:, 0] = 1.0
    if loss == "softmax":
        y = rng.integers(0, 3, n)
        y[:3] = [0, 1, 2]
    elif loss == "squared_error" or loss.startswith(("huber", "quantile")):
        y = rng.normal(size=n) * 10.0 ** rng.integers(-2, 3)
    elif loss == "poisson":
        y = rng.poisson(np.exp(np.clip(X @ rng.normal(size=d), -20, 3)))
    elif loss.endswith("hinge"):
        y = X @ rng.normal(size=d) + rng.normal(size=n) > 0
    else:
        y = (X @ rng.normal(size=d) + rng.normal(size=n) > 0) if rng.random() < 0.8 else rng.random(n)
    s = rng.integers(0, 4, n).astype(float) + 0.01 if weighted else None
    X = sparse.csr_array(X) if kind == "sparse" else X
    return Risk(X, y, loss, l2=l2, l1=l1, intercept=intercept, sample_weight=s)


def lowest(risk, *starts):
    """The best point that SciPy finds, from several starts; with l1 each weight is a difference of two bounded ones."""
    k, size = risk.n_classes * risk.n_features, risk.n_parameters
    smooth = risk if risk.l1 == 0 else rebuilt(risk, l1=0.0)
    best = min((np.asarray(w, dtype=float) for w in starts), key=risk.value)
    exact = {"maxiter": 3000, "maxfun": 10_000, "ftol": 1e-16, "gtol": 1e-13, "maxcor": 30, "maxls": 50}
    for start in (*starts, np.zeros(size)):
        start = np.asarray(start, dtype=float)
        if risk.l1 == 0:
            w = minimize(risk.value_and_gradient, start, jac=True, method="L-BFGS-B", options=exact).x
        else:

            def split(v):
                value, g = smooth.value_and_gradient(np.concatenate([v[:k] - v[size:], v[k:size]]))
                both = np.concatenate([g[:k] + risk.l1, g[k:], risk.l1 - g[:k]])
                return value + risk.l1 * (v[:k].sum() + v[size:].sum()), both

            v = np.concatenate([np.maximum(start[:k], 0), start[k:], np.maximum(-start[:k], 0)])
            limits = [(0, None)] * k + [(None, None)] * (size - k) + [(0, None)] * k
            v = minimize(split, v, jac=True, method="L-BFGS-B", bounds=limits, options=exact).x
            w = np.concatenate([v[:k] - v[size:], v[k:size]])
        best = min(best, w, key=risk.value)
    return best


def rebuilt(risk, **changes):
    options = {"l2": risk.l2, "l1": risk.l1, "intercept": risk.intercept, "sample_weight": risk.sample_weight}
    options["reduction"] = risk.reduction
    return Risk(risk.X, risk.y, risk.loss.name, **options | changes)


def newton(risk, w, steps=60):
    """The bottom of a smooth strictly convex risk with one score, to rounding."""
    for _ in range(steps):
        value, g = risk.value_and_gradient(w)
        p, t = np.linalg.lstsq(risk.hessian(w), -g, rcond=1e-14)[0], 1.0
        while risk.value(w + t * p) > value and t > 1e-10:
            t /= 2
        w = w + t * p if t > 1e-10 else w
    return w


def polyhedral(risk):
    """The bottom of a risk whose loss is piecewise linear: by HiGHS without l2, by sequential least squares with it."""
    n, d = risk.X.shape
    free, k = int(risk.intercept), 2 * d + int(risk.intercept)
    sigma = (np.ones(n) if risk.sample_weight is None else risk.sample_weight) / risk.denominator
    low, high = risk.loss.dual_range(risk.y)
    t = risk.loss.dual(np.ones(n), risk.y)
    X = risk.X.toarray() if sparse.issparse(risk.X) else risk.X
    # each loss is the least e with e >= high (t - x w - b) and e >= low (t - x w - b); w = up - down, both >= 0
    rows = np.hstack([X, -X, np.ones((n, free))])
    A = np.vstack([np.hstack([-high[:, None] * rows, -np.eye(n)]), np.hstack([-low[:, None] * rows, -np.eye(n)])])
    rhs = np.concatenate([-high * t, -low * t])
    price = np.concatenate([np.full(2 * d, risk.l1), np.zeros(free), sigma])
    limits = [(0, None)] * (2 * d) + [(None, None)] * (free + n)

    def weights(x):
        return np.concatenate([x[:d] - x[d : 2 * d], x[2 * d : k]])

    if risk.l2 == 0:
        exact = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
        found = linprog(price, A_ub=A, b_ub=rhs, bounds=limits, method="highs-ds", options=exact)
        assert found.success
        return weights(found.x)

    def cost(x):
        w = x[:d] - x[d : 2 * d]
        return price @ x + 0.5 * risk.l2 * w @ w, price + risk.l2 * np.concatenate([w, -w, np.zeros(free + n)])

    start = np.concatenate([np.zeros(k), np.maximum(high * t, low * t)])
    held = {"type": "ineq", "fun": lambda x: rhs - A @ x, "jac": lambda x: -A}
    found = minimize(cost, start, jac=True, method="SLSQP", bounds=limits, constraints=held,
                     options={"ftol": 1e-14, "maxiter": 300})  # fmt: skip
    return weights(found.x)


def assert_honest(found: Certificate, risk, w, best):
    """The true gap, at least that to a point that somebody found, is within the certified one."""
    rounding = 1e-14 * max(abs(risk.value(w)), cost_scale(risk))
    slack = 1.0 - 1e-6 if found.kind == "exact gap of a quadratic" else 1.0  # exact to six digits is good enough
    assert found.gap >= slack * (risk.value(w) - risk.value(best)) - rounding
    assert found.gap >= 0
    assert found.relative >= 0
    assert found.value == pytest.approx(risk.value(w), rel=1e-12)


strengths = st.sampled_from([0.0, 1e-4, 0.1, 10.0])


@settings(max_examples=50)
@given(
    st.sampled_from(LOSSES), st.integers(0, 10_000), strengths, strengths, st.booleans(), st.booleans(),
    st.sampled_from(["dense", "sparse"]), st.sampled_from([0.0, 1e-6, 1e-2, 1.0, 30.0]),
)  # fmt: skip
@example("log_loss", 1, 0.0, 0.1, True, True, "sparse", 0.0)
@example("softmax", 1, 0.1, 0.1, True, True, "dense", 1e-6)
def test_no_rigorous_gap_is_below_the_true_one(loss, seed, l2, l1, intercept, weighted, kind, away):
    risk = make(loss, seed, l2, l1, intercept, weighted, kind)
    rng = np.random.default_rng(seed + 1)
    best = lowest(risk, rng.normal(size=risk.n_parameters))
    w = best + away * rng.normal(size=risk.n_parameters)
    found = certificate(risk, w)
    if l2 > 0 or l1 > 0:
        assert found.rigorous
        assert found.kind == "duality gap" or (found.kind == module.FEASIBLE and l1 == 0)  # where the penalty is slight
    if found.rigorous:
        assert_honest(found, risk, w, lowest(risk, w, best))


@settings(max_examples=50)
@given(
    st.sampled_from(OTHERS), st.integers(0, 10_000), strengths, strengths, st.booleans(), st.booleans(),
    st.sampled_from(["dense", "sparse"]), st.sampled_from([0.0, 1e-6, 1e-2, 1.0, 30.0]),
    st.sampled_from(["mean", "sum"]),
)  # fmt: skip
@example("quantile 0.8", 1, 0.0, 0.0, True, True, "sparse", 0.0, "sum")
@example("hinge", 1, 0.0, 0.0, True, True, "dense", 1e-6, "mean")
@example("poisson", 1, 0.0, 0.0, True, True, "dense", 1e-6, "sum")
def test_no_gap_of_another_loss_is_below_the_true_one(loss, seed, l2, l1, intercept, weighted, kind, away, reduction):
    """At points near and far, and with a theta from elsewhere, which may be anything."""
    base = make(loss, seed, l2, l1, intercept, weighted, kind)
    risk = rebuilt(base, reduction=reduction)
    rng = np.random.default_rng(seed + 1)
    best = lowest(risk, np.zeros(risk.n_parameters)) if risk.loss.differentiable else polyhedral(risk)
    w = best + away * rng.normal(size=risk.n_parameters)
    if risk.loss.differentiable:
        best = lowest(risk, w, best)
    for theta in (None, 3.0 * rng.normal(size=20)):
        found = certificate(risk, w, theta)
        assert found.rigorous
        assert_honest(found, risk, w, best)


@pytest.mark.parametrize("loss", LOSSES + OTHERS)
@pytest.mark.parametrize("intercept", [True, False])
def test_honest_where_a_class_is_absent_or_alone(loss, intercept):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 2))
    far = 2.0 if loss in ("softmax", "squared_error") or loss.startswith(("huber", "quantile")) else 1.0
    for y in (np.zeros(12), np.ones(12), np.r_[np.zeros(11), far]):
        for l2, l1 in ((0.1, 0.0), (0.0, 0.1), (0.0, 0.0)):
            risk = Risk(X, y, loss, l2=l2, l1=l1, intercept=intercept)
            w = rng.normal(size=risk.n_parameters)
            found = certificate(risk, w)
            assert found.rigorous or l2 == l1 == 0
            if found.rigorous:
                assert_honest(found, risk, w, lowest(risk, w) if risk.loss.differentiable else polyhedral(risk))


# --- tight at the bottom -------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    st.sampled_from(["squared_error", "log_loss", "poisson"]),
    st.integers(0, 10_000),
    st.sampled_from([1e-3, 0.1, 10.0]),
    st.booleans(),
    st.booleans(),
)
def test_the_gap_closes_at_the_bottom(loss, seed, l2, intercept, weighted):
    risk = make(loss, seed, l2, 0.0, intercept, weighted)
    w = newton(risk, np.zeros(risk.n_parameters))
    found = certificate(risk, w)
    assert found.rigorous
    assert found.relative <= 1e-11


@pytest.mark.parametrize("loss", [*LOSSES, *OTHERS[:3]])
@pytest.mark.parametrize(("l2", "l1"), [(0.1, 0.0), (0.1, 0.05), (0.0, 0.05)])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_gap_is_small_near_the_bottom_for_every_penalty(loss, l2, l1, intercept):
    risk = make(loss, 3, l2, l1, intercept)
    w = lowest(risk, np.zeros(risk.n_parameters))
    assert certificate(risk, w).relative <= 1e-4
    far = certificate(risk, w + 1.0)
    assert far.relative > 100 * certificate(risk, w).relative


def test_for_l2_alone_the_gap_is_the_squared_gradient():
    risk = make("log_loss", 5, 0.1, 0.0, intercept=False)
    w = np.random.default_rng(0).normal(size=3) * 0.1
    g = risk.gradient(w)
    assert certificate(risk, w).gap == pytest.approx(float(g @ g) / 0.2, rel=1e-10)


@pytest.mark.parametrize("intercept", [True, False])
def test_without_a_penalty_the_gap_of_a_quadratic_is_exact(intercept):
    risk = make("squared_error", 2, 0.0, 0.0, intercept)
    rows = np.c_[risk.X, np.ones(20)] if intercept else risk.X
    best = np.linalg.lstsq(rows, risk.y)[0]
    w = np.random.default_rng(1).normal(size=risk.n_parameters)
    found = certificate(risk, w)
    assert found.rigorous
    assert found.gap == pytest.approx(risk.value(w) - risk.value(best), rel=1e-9)
    assert certificate(risk, best).relative < 1e-12


def test_without_a_penalty_the_gap_of_a_smooth_loss_closes_at_the_bottom():
    risk = make("log_loss", 2, 0.0, 0.0)
    w = newton(risk, np.zeros(4))
    found = certificate(risk, w)
    assert found.kind == "duality gap, of a dual point that is feasible to rounding"
    assert found.relative < 1e-13
    near = w + 1e-4
    assert_honest(certificate(risk, near), risk, near, w)
    assert certificate(risk, near).gap < 2 * (risk.value(near) - risk.value(w))


def test_what_a_certificate_says():
    risk = make("log_loss", 2, 0.1, 0.0)
    assert str(certificate(risk, lowest(risk, np.zeros(4)))).startswith("certified within")
    assert str(certificate(risk, np.zeros(4))).startswith("not near the minimum, as far as is proved")
    assert str(Certificate("a guess", False, 1e-7, 1e-7, 1.0)) == "estimated within 1.0e-07 of the minimum (a guess)"


@pytest.mark.parametrize("loss", ["log_loss", "softmax"])
def test_separable_without_a_penalty_the_gap_is_not_far_below_the_cost(loss):
    """The infimum is zero, so the cost is the true gap."""
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    risk = Risk(X, [0.0, 0.0, 1.0, 1.0], loss, intercept=False)
    w = np.array([30.0]) if loss == "log_loss" else np.array([-15.0, 15.0])
    found = certificate(risk, w)
    assert found.rigorous
    assert found.gap >= risk.value(w)


@pytest.mark.parametrize("loss", ["log_loss", "huber 0.3", "poisson", "squared_hinge", "squared_error"])
@pytest.mark.parametrize(("l2", "l1"), [(0.0, 0.02), (0.0, 0.0), (1e-7, 0.02)])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_without_l2_the_gap_is_of_second_order(loss, l2, l1, kind):
    """Theta moves as a Newton step would move it: a hundredth of the distance, a thousandth of the gap at most."""
    risk = make(loss, 3, l2, l1, kind=kind, n=60)
    best = lowest(risk, np.zeros(risk.n_parameters))
    support = best != 0
    gaps = [certificate(risk, best + size * support * np.array([1.0, -1.0, 0.5, 1.0])).gap for size in (1e-2, 1e-4)]
    assert gaps[1] < 1e-3 * gaps[0] or gaps[1] < 1e-9 * risk.value(best)


def test_a_sum_is_as_rigorous_as_its_least_part():
    risk = make("log_loss", 3, 0.1, 0.0, True)
    one = certificate(risk, np.zeros(risk.n_parameters))
    assert total_certificate(risk, [one, one]).rigorous
    assert not total_certificate(risk, [one, one._replace(rigorous=False)]).rigorous


def test_a_gap_is_never_below_the_rounding_of_the_cost():
    for value in (3.0, -3.0):
        assert proved(value, -1e-3, 1.0).gap >= 3.0 * np.finfo(float).eps


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_certificates_of_classes_add(loss):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.integers(0, 3, 40).astype(float)
    risk = Risk(X, y, loss, l2=0.1)
    w = rng.normal(size=risk.n_parameters)
    parts = [certificate(risk.against_rest(k), risk.part_of(w, k)) for k in range(3)]
    found = certificate(risk, w)
    assert found.value == pytest.approx(risk.value(w), rel=1e-12)
    assert found.gap == pytest.approx(sum(part.gap for part in parts))
    best = np.zeros_like(w)
    for k in range(3):
        one = risk.against_rest(k)
        risk.set_part(best, k, polyhedral(one) if loss == "hinge" else lowest(one, np.zeros(4)))
    assert_honest(found, risk, w, best)
    assert cost_scale(risk) == pytest.approx(sum(cost_scale(risk.against_rest(k)) for k in range(3)))


# --- where arithmetic is hard --------------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [1e-4, 1e-6, 1e-7, 1e-8])
def test_honest_where_columns_are_nearly_equal(apart):
    """The target lies along the difference of two columns: a curvature that is small, but not zero."""
    rng = np.random.default_rng(0)
    x, u = rng.normal(size=(2, 60))
    risk = Risk(np.c_[x, x + apart * u], u, intercept=False)
    best = np.array([-1.0, 1.0]) / apart
    assert risk.value(best) < 1e-12
    w = np.zeros(2)
    found = certificate(risk, w)
    if found.rigorous:
        assert_honest(found, risk, w, best)


@pytest.mark.parametrize("shift", [1e3, 1e6, 1e7, 1e8])
@pytest.mark.parametrize("l2", [0.0, 1e-3])
def test_honest_where_columns_are_far_from_zero(shift, l2):
    rng = np.random.default_rng(1)
    x = np.round(rng.normal(size=(60, 1)) * 1024) / 1024  # shifts of it are exact
    risk = Risk(x + shift, 3.0 * x[:, 0] + rng.normal(size=60), l2=l2)
    centred = Risk(x, risk.y, l2=l2)
    b = newton(centred, np.zeros(2), 3)
    best = np.array([b[0], b[1] - shift * b[0]])
    w = np.zeros(2)
    assert risk.value(w) - risk.value(best) > 1.0
    found = certificate(risk, w)
    if found.rigorous:
        assert_honest(found, risk, w, best)


@pytest.mark.parametrize("loss", [*LOSSES, *OTHERS[:3]])
@pytest.mark.parametrize(("l2", "l1"), [(1e-12, 0.0), (0.0, 0.0), (0.0, 1e-3)])
def test_honest_for_columns_of_all_sizes(loss, l2, l1):
    risk = make(loss, 8, 0.01, 0.0)
    scaled = Risk(risk.X * [1e-6, 1.0, 1e6], risk.y, loss, l2=l2, l1=l1)
    rng = np.random.default_rng(2)
    for size in (0.0, 1e-9, 1e-3):
        w = size * rng.normal(size=scaled.n_parameters)
        assert_honest(certificate(scaled, w), scaled, w, lowest(scaled, w))


def test_float32_rows_are_certified_in_float64():
    risk = make("log_loss", 4, 0.1, 0.0)
    single = Risk(risk.X.astype(np.float32), risk.y, "log_loss", l2=0.1)
    double = Risk(single.X.astype(np.float64), risk.y, "log_loss", l2=0.1)
    w = newton(double, np.zeros(4))
    assert certificate(single, w) == pytest.approx(certificate(double, w))
    assert certificate(single, w).relative < 1e-12
    assert certificate(single, w).gap >= 0


def test_no_certificate_for_what_is_not_convex():
    assert certificate(Risk([[1.0]], [1.0], "sigmoid_squared_error"), np.zeros(2)) is None


def test_cost_scale_is_what_the_trivial_model_costs():
    y = np.array([0.0, 1.0, 1.0, 1.0])
    X = np.zeros((4, 1))
    p = 0.75
    assert cost_scale(Risk(X, y, "log_loss")) == pytest.approx(-(p * np.log(p) + (1 - p) * np.log(1 - p)))
    assert cost_scale(Risk(X, y, "log_loss", intercept=False)) == pytest.approx(np.log(2))
    assert cost_scale(Risk(X, y)) == pytest.approx(0.5 * y.var())
    assert cost_scale(Risk(X, y, "softmax")) == pytest.approx(cost_scale(Risk(X, y, "log_loss")))
    assert cost_scale(Risk(X, y, reduction="sum")) == pytest.approx(2 * y.var())
    assert cost_scale(Risk(X, np.ones(4), "log_loss")) == pytest.approx(1e-6 * np.log(2))
    assert (relative_gap(0.0, 0.0, 0.0), relative_gap(1.0, 0.0, 0.0)) == (0.0, np.inf)
    assert relative_gap(1.0, 0.0, 1000.0) == 1.0


@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "hinge", "squared_hinge"])
def test_of_two_classes_the_counts_tell_the_scale_as_all_rows_do(loss):
    rng = np.random.default_rng(0)
    y, s = (rng.random(50) < 0.3).astype(float), rng.integers(1, 5, 50).astype(float)
    for intercept in (True, False):
        risk = Risk(rng.normal(size=(50, 2)), y, loss, sample_weight=s, intercept=intercept)
        z = risk.loss.trivial(y, s) if intercept else 0.0
        assert cost_scale(risk) == pytest.approx(s @ risk.loss.value(z, y) / s.sum(), rel=1e-12)


# --- planted faults: wrong certificates are caught by the same checker ---------------------------------------------


def assert_caught(risk, w, best):
    with pytest.raises(AssertionError):
        assert_honest(certificate(risk, w), risk, w, best)


def test_a_halved_gap_is_caught():
    """Where the penalty is all the curvature, the gap is the true one: half of it is a lie."""
    risk = Risk([[1e-3], [-1e-3], [2e-3]], [1.0, 0.0, 3.0], l2=5.0, intercept=False)
    best = newton(risk, np.zeros(1), 5)
    w = np.ones(1)
    found = certificate(risk, w)
    assert_honest(found, risk, w, best)
    with pytest.raises(AssertionError):
        assert_honest(found._replace(gap=0.5 * found.gap), risk, w, best)


@pytest.mark.parametrize("loss", ["huber 0.3", "poisson", "squared_hinge", "quantile 0.8", "hinge"])
def test_a_wrong_range_of_theta_is_caught(loss, monkeypatch):
    """A dual point outside of its interval proves too much."""
    risk = make(loss, 11, 0.1, 0.0, n=60)
    best = lowest(risk, np.zeros(4)) if risk.loss.differentiable else polyhedral(risk)
    assert_honest(certificate(risk, best), risk, best, best)
    w = best + 0.3
    everything = np.full(60, -np.inf), np.full(60, np.inf)
    loss_of = type(risk.loss) if not isinstance(risk.loss, type) else risk.loss
    monkeypatch.setattr(loss_of, "dual_range", staticmethod(lambda y: everything))
    monkeypatch.setattr(loss_of, "dual", staticmethod(lambda theta, y: 10.0 * np.abs(theta)))
    assert_caught(risk, w, best)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_dual_point_that_forgets_the_intercept_is_caught(loss, monkeypatch):
    risk = make(loss, 6, 0.5, 0.0, intercept=True)
    if loss == "squared_error":
        risk = Risk(risk.X, risk.y + 5.0, l2=0.5)
    elif loss == "log_loss":
        risk = Risk(risk.X, np.arange(20) < 17, loss, l2=0.5)
    else:
        risk = Risk(risk.X, np.r_[0.0, np.ones(4), np.full(15, 2.0)], loss, l2=0.5)
    free = rebuilt(risk, intercept=False)
    w = np.concatenate([lowest(free, np.zeros(free.n_parameters)), np.zeros(risk.n_classes)])
    best = lowest(risk, w)
    assert risk.value(w) - risk.value(best) > 1e-3
    assert_honest(certificate(risk, w), risk, w, best)
    monkeypatch.setattr(module, "_balance", lambda risk, z: z)
    monkeypatch.setattr(module, "feasible", lambda risk, theta: theta)
    assert_caught(risk, w, best)


def test_a_conjugate_that_forgets_l1_is_caught(monkeypatch):
    X = make("squared_error", 3, 0.0, 0.0).X
    risk = Risk(X, X @ [1.0, -2.0, 0.5], l1=0.01, intercept=False)
    w = np.zeros(3)
    best = lowest(risk, w)
    assert_honest(certificate(risk, w), risk, w, best)
    monkeypatch.setattr(module, "spread", lambda risk, weighted, centre=None: np.zeros((1, 3)))
    assert certificate(risk, w).kind == "duality gap"
    assert_caught(risk, w, best)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([0.01, 1.0, 10.0]))
def test_the_dual_point_is_feasible(seed, weighted, away):
    """Weighted sums of zero, in the domain of the dual: what makes the bound a bound."""
    for loss in LOSSES:
        risk = make(loss, seed, 0.1, 0.0, weighted=weighted)
        w = away * np.random.default_rng(seed).normal(size=risk.n_parameters)
        z = risk.scores(w, risk.X)
        sigma = np.ones(20) / 20 if not weighted else risk.sample_weight / risk.sample_weight.sum()
        for score in (z, module._balance(risk, z)):
            theta = module.feasible(risk, -np.atleast_2d(risk.loss.slope(score, risk.y)))
            assert theta @ sigma == pytest.approx(np.zeros(risk.n_classes), abs=1e-13 * max(1, np.abs(theta).max()))
            if risk.loss is Softmax:
                q = (np.arange(3)[:, None] == risk.y) - theta
                assert q.sum(axis=0) == pytest.approx(np.ones(20), abs=1e-14)
                assert q.min() >= -1e-15
            elif loss == "log_loss":
                p = risk.y - theta[0]
                assert p.min() >= -1e-15
                assert p.max() <= 1 + 1e-15


@pytest.mark.parametrize("loss", ["log_loss", "huber 1.35", "squared_error", "poisson"])
def test_a_penalty_below_rounding_is_left_out_of_the_dual(loss):
    """Columns of 1e6 and l2 of 1e-17: what rounding leaves of sums over rows would be more than the cost, over l2."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    z = X @ rng.normal(size=4)
    y = rng.poisson(np.exp(0.3 * z)) if loss == "poisson" else z + rng.logistic(size=300)
    y = (y > 0).astype(float) if loss == "log_loss" else y
    risk = Risk(1e6 * X, y, loss, l2=1e-17)
    walk = descend(risk, np.zeros(5), choose(risk, 1e-6)[0])
    assert walk.success
    assert walk.certificate.relative <= 1e-6
    for far in (1e-1, 1e-3):
        w = walk.x + far * rng.normal(size=5) * np.array([1e-6, 1e-6, 1e-6, 1e-6, 1.0])
        found, true = certificate(risk, w), risk.value(w) - walk.fun
        assert true <= found.gap <= 10.0 * true + 1e-12
