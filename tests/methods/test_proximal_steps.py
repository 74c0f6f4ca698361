"""Proximal steps of the textbook loop: the papers' recursions, plain and compiled, and the sparse minimum."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import Lasso, LogisticRegression

from descender import minimize
from descender.costs.risk import Risk
from descender.descent import descend
from descender.export import without_loading
from descender.export_fit import fit_script
from descender.kernels import loops
from descender.methods import advance, textbook
from descender.methods.auto import textbook as named
from descender.methods.estimates import mini_batches, random_batches
from descender.methods.rules import RULES
from descender.methods.variance_reduced import REDUCTIONS, sample_curvature
from descender.walk import Stop

pytestmark = pytest.mark.usefixtures("uncompiled")
SEED, STEPS = 5, 300
TRUE = np.array([2.0, -1.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0])
plain_and_compiled = pytest.mark.parametrize("plain_steps", [10**9, 0], ids=["plain", "compiled"])


def rows_of(loss, n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 8)) * rng.uniform(0.5, 2.0, 8)
    scores = X @ TRUE + 0.3
    if loss == "squared_error":
        return X, scores + 0.3 * rng.normal(size=n)
    return X, (scores + rng.logistic(size=n) > 0).astype(float)


def risk_of(loss, **options):
    return Risk(*rows_of(loss), loss, **{"l1": 0.2 if loss == "squared_error" else 0.05} | options)


def soft(w, thresholds):
    """The proximal operator of l1 by its definition, case by case."""
    return np.array([v - r if v > r else v + r if v < -r else 0.0 for v, r in zip(w, thresholds, strict=True)])


def slopes(risk):
    """The gradient of each row's loss, without any penalty, written without the package."""
    X = risk.X.toarray() if risk.sparse else risk.X
    ones = np.column_stack([X, np.ones(len(risk.y))])

    def sample(w, i):
        z = ones[i] @ w
        return ((z if risk.loss.name == "squared_error" else 1 / (1 + np.exp(-z))) - risk.y[i]) * ones[i]

    return sample


def expected(name, risk, w, rate, size, strength):
    """The points of a method with the penalty's step as its paper has it, of `strength` times the rate."""
    n, sample, seed = len(risk.y), slopes(risk), np.random.default_rng(SEED)
    weights = np.arange(len(w)) < risk.n_features
    stream = mini_batches(n, size, seed, True) if name in ("gd", "sgd", "minibatch") else random_batches(n, size, seed)
    table, known, points = np.zeros((n, len(w))), set(), [w]
    batches = (epoch.order[a:b] for epoch in stream for a, b in zip(epoch.starts, epoch.stops, strict=True))
    for t, rows in zip(range(STEPS), batches, strict=False):
        rows = np.arange(n) if name == "gd" else rows
        if name == "svrg" and t % (2 * n // size) == 0:
            anchor, whole = w, np.mean([sample(w, i) for i in range(n)], axis=0)
        fresh = np.array([sample(w, i) for i in rows])
        if name == "svrg":
            g = (fresh - np.array([sample(anchor, i) for i in rows])).mean(axis=0) + whole
        elif name == "saga":  # Defazio, Bach, Lacoste-Julien 2014, equations (1) and (2)
            g = (fresh - table[rows]).mean(axis=0) + table.mean(axis=0)
        elif name == "sag":
            known |= {*rows.tolist()}
            table[rows] = fresh
            g = table.sum(axis=0) / len(known)
        else:
            g = fresh.mean(axis=0)
        table[rows] = fresh
        w = soft(w - rate * (g + risk.l2 * w * weights), strength(rate) * risk.l1 * weights)
        points.append(w)
    return np.array(points)


def path_of(risk, name, rate, size):
    method = named(risk, name, rate, size, tol=1e-300)
    walk = descend(risk, np.full(risk.n_parameters, 0.2), method, Stop(max_steps=STEPS), seed=SEED)
    return walk.record.path[np.unique(walk.record["step"], return_index=True)[1]]


@pytest.mark.parametrize(
    ("name", "size", "kind"),
    [
        ("gd", "full", "log"),
        ("sgd", 1, "log"),
        ("minibatch", 7, "log"),
        ("saga", 1, "squared"),
        ("saga", 5, "squared"),
        ("sag", 1, "squared"),
        ("svrg", 1, "squared"),
        pytest.param("minibatch", 7, "sparse log", marks=pytest.mark.slow),
        pytest.param("saga", 1, "sparse log", marks=pytest.mark.slow),
        pytest.param("sag", 5, "log", marks=pytest.mark.slow),
    ],
)
@plain_and_compiled
def test_steps_are_those_of_the_paper(name, size, kind, plain_steps, monkeypatch):
    monkeypatch.setattr(textbook, "PLAIN_STEPS", plain_steps)
    loss = "squared_error" if kind == "squared" else "log_loss"
    X, y = rows_of(loss, 30)
    given = sparse.csr_array(np.where(np.abs(X) > 0.7, X, 0.0)) if "sparse" in kind else X
    risk = Risk(given, y, loss, l1=0.05, l2=0.02)
    rate = 0.3 / sample_curvature(risk, np.zeros(risk.n_parameters))
    ours = path_of(risk, name, rate, size)
    start = np.full(risk.n_parameters, 0.2)
    theirs = expected(name, risk, start, rate, 1 if size == "full" else size, lambda rate: rate)
    assert len(ours) == STEPS + 1
    assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-12)
    assert ((ours == 0) == (theirs == 0)).all()
    if name == "saga":  # planted: the threshold without the rate
        wrong = expected(name, risk, start, rate, size, lambda rate: 1.0)
        assert np.abs(ours - wrong).max() > 0.1


@pytest.mark.parametrize(
    ("name", "size", "l1", "plain_steps"),
    [("sgd", 1, 0.0, 10**9), ("minibatch", 20, 0.05, 10**9), ("minibatch", 20, 0.05, 0), ("momentum", 20, 0.05, 0),
     ("saga", 1, 0.05, 10**9), ("sag", 7, 0.05, 10**9), ("svrg", 5, 0.05, 10**9)],
)  # fmt: skip
def test_batches_of_a_sum_walk_as_those_of_the_mean(name, size, l1, plain_steps, monkeypatch):
    """The sum with n times the penalties is n times the mean, a batch of it as many times as it has rows."""
    monkeypatch.setattr(textbook, "PLAIN_STEPS", plain_steps)
    mean = risk_of("log_loss", l1=l1, l2=0.02)
    total = risk_of("log_loss", l1=60 * l1, l2=60 * 0.02, reduction="sum")
    times = 60 if name in REDUCTIONS else size
    ours, theirs = path_of(total, name, 0.05 / times, size), path_of(mean, name, 0.05, size)
    assert len(ours) == STEPS + 1
    assert ours == pytest.approx(theirs, rel=1e-10, abs=1e-11)
    if l1 and name != "momentum":
        assert ((ours == 0) == (theirs == 0)).all()
        assert (ours[50:] == 0).any()


def accelerated(risk, w, rate, beta=None, restart=True):
    """Beck and Teboulle 2009, (4.1) to (4.3), with the gradient scheme of O'Donoghue and Candes 2015, section 3.2."""
    sample, weights = slopes(risk), np.arange(len(w)) < risk.n_features
    x, y, theta, read, restarts = w, w, 1.0, [w], 0
    for _ in range(STEPS):
        g = np.mean([sample(y, i) for i in range(len(risk.y))], axis=0) + risk.l2 * y * weights
        new = soft(y - rate * g, rate * risk.l1 * weights)
        larger = (1 + np.sqrt(1 + 4 * theta**2)) / 2
        momentum = (theta - 1) / larger if beta is None else beta
        if restart and (y - new) @ (new - x) > 0:
            larger, momentum, restarts = 1.0, 0.0, restarts + 1
        x, y, theta = new, new + momentum * (new - x), larger
        read.append(y)
    return np.array(read), x, restarts


@pytest.mark.parametrize(("name", "restart"), [("fista", True), ("fista", False), ("nesterov", False)])
@plain_and_compiled
def test_accelerated_steps_are_those_of_the_paper(name, restart, plain_steps, monkeypatch):
    monkeypatch.setattr(textbook, "PLAIN_STEPS", plain_steps)
    risk, start = risk_of("log_loss", l2=0.01), np.full(9, 0.2)
    options = {"restart": float(restart)} if name == "fista" else {"beta": 0.8}
    method = named(risk, name, 0.5, **options)
    walk = descend(risk, start, method, Stop(max_steps=STEPS))
    read, point, restarts = accelerated(risk, start, 0.5, options.get("beta"), restart)
    ours = walk.record.path[np.unique(walk.record["step"], return_index=True)[1]]
    assert walk.nit > 100
    assert (restarts > 0) == restart
    assert ours[:-1] == pytest.approx(read[: walk.nit], rel=1e-12, abs=1e-12)  # the record's last row is the answer
    assert walk.x == pytest.approx(point, rel=1e-12, abs=1e-12)
    assert (walk.x == 0).any()
    assert ((walk.x == 0) == (point == 0)).all()


def test_restarts_and_momentum_pay_where_curvatures_differ():
    """Columns that go together: what plain steps take a thousand evaluations for."""
    rng = np.random.default_rng(2)
    X = np.cumsum(rng.normal(size=(60, 30)), axis=1)
    risk = Risk(X, X[:, :3] @ [2.0, -3.0, 1.0] + 0.1 * rng.normal(size=60), l1=0.5)
    bottom = minimize(risk, tol=1e-12)
    spent = {}
    for name, options in (("fista", {}), ("slow", {"restart": 0.0}), ("gd", {}), ("nesterov", {})):
        walk = minimize(risk, None, "fista" if name == "slow" else name, max_steps=1500, **options)
        near = walk.record["cost"] <= bottom.fun * (1 + 1e-9)
        spent[name] = walk.record["evaluations"][near.argmax()] if near.any() else np.inf
        if name == "fista":
            assert walk.success
            assert ((walk.x == 0) == (bottom.x == 0)).all()
            assert walk.fun == pytest.approx(bottom.fun, rel=1e-12)
    assert 2 * spent["fista"] < min(spent["slow"], spent["gd"]), spent
    assert spent["nesterov"] < spent["gd"], spent


@pytest.mark.parametrize(
    ("name", "rate"), [("gd", "auto"), ("gd", "barzilai-borwein"), ("gd", 0.1), ("fista", "auto"), ("nesterov", 0.05)]
)
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_descent_reaches_the_certified_minimum_with_its_zeros(loss, name, rate):
    risk = risk_of(loss)
    bottom = minimize(risk, tol=1e-12)
    walk = minimize(risk, None, name, learning_rate=rate)
    assert bottom.certificate.relative <= 1e-9
    assert walk.success
    assert abs(walk.fun - bottom.fun) <= 1e-9 * bottom.fun
    assert 3 <= (bottom.x == 0).sum() <= 6
    assert ((walk.x == 0) == (bottom.x == 0)).all()
    assert walk.why.endswith("; proximal steps for l1")
    # the record's last row, too, has the proximal gradient, which is 0 at the minimum: a slope of l1 at 0 would not be
    assert (walk.record["gradient_norm"][-3:] < 1e-6).all()
    assert np.linalg.norm(walk.jac) > 0.01


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("name", ["saga", "sag"])
def test_the_minimum_is_that_of_scikit_learn(name, loss):
    risk = risk_of(loss)
    walk = minimize(risk, None, name, tol=1e-10, max_epochs=400, seed=1)
    peer = (
        Lasso(alpha=risk.l1, tol=1e-14, max_iter=10**6)
        if loss == "squared_error"
        else LogisticRegression(l1_ratio=1.0, C=1 / (60 * risk.l1), solver="saga", tol=1e-9, max_iter=10**5)
    ).fit(risk.X, risk.y)
    assert walk.status == "converged"
    assert (walk.x[:8] == 0).tolist() == (np.ravel(peer.coef_) == 0).tolist()
    assert walk.x == pytest.approx(np.append(peer.coef_, peer.intercept_), abs=2e-4)
    assert walk.fun <= risk.value(np.append(peer.coef_, peer.intercept_)) * (1 + 1e-8)


def test_an_intercept_is_never_shrunk():
    X, y = rows_of("squared_error")
    walk = minimize(Risk(X, y + 5.0, l1=100.0), None, "gd")
    assert walk.x.tolist()[:8] == [0.0] * 8
    assert walk.x[8] == pytest.approx((y + 5.0).mean(), rel=1e-9)
    classes = Risk(X, np.arange(60.0) % 5 % 3, "softmax", l1=100.0)
    assert classes.thresholds.tolist() == [100.0] * 24 + [0.0] * 3
    assert (minimize(classes, None, "saga", max_epochs=2).x != 0).tolist() == [False] * 24 + [True] * 3
    assert Risk(X, y, l1=1.0, intercept=False).thresholds.tolist() == [1.0] * 8


def test_the_cost_reported_is_whole_and_only_its_slope_leaves_the_penalty_out():
    risk, w = risk_of("log_loss", l2=0.1), np.linspace(-1.0, 1.0, 9)
    smooth = risk_of("log_loss", l2=0.1, l1=0.0)
    apart = risk.without_pull()
    assert apart.value_and_gradient(w)[0] == risk.value(w)
    assert (apart.gradient(w) == smooth.gradient(w)).all()
    assert risk.gradient(w) == pytest.approx(smooth.gradient(w) + risk.thresholds * np.sign(w), rel=1e-15)
    assert risk.pulls


def test_a_walk_can_end_on_the_proximal_gradient(monkeypatch):
    walks = []
    for plain_steps in (10**9, 0):
        monkeypatch.setattr(textbook, "PLAIN_STEPS", plain_steps)
        walks.append(minimize(risk_of("log_loss"), None, "gd", learning_rate=0.3, gradient_tol=1e-6))
    plain, compiled = walks
    assert plain.status == compiled.status == "small_gradient"
    assert plain.nit == compiled.nit
    assert (plain.x == compiled.x).all() or compiled.x == pytest.approx(plain.x, rel=1e-13)
    assert plain.record["gradient_norm"] == pytest.approx(compiled.record["gradient_norm"], rel=1e-9)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("adam", {}), ("momentum", {}), ("polyak-ruppert", {}), ("coordinate", {}),
        ("gd", {"clip_value": 0.01}), ("gd", {"learning_rate": "polyak 0.1"}), ("gd", {"bounds": [(-9, 9)] * 9}),
    ],
)  # fmt: skip
def test_other_walks_take_a_subgradient_and_say_so(method, options):
    walk = minimize(risk_of("log_loss"), None, method, max_steps=3, **options)
    assert not walk.by.proximal
    assert "of l1 a subgradient, so that no weight becomes exactly 0" in walk.why
    assert "l1" not in minimize(risk_of("log_loss", l1=0.0), None, method, max_steps=3, **options).why


@pytest.mark.parametrize(("method", "rate", "reduction"), [
    ("gd", "auto", "mean"), ("sgd", 0.1, "mean"), ("minibatch", 0.02, "sum"), ("gd", 0.002, "sum"),
    ("fista", "auto", "mean"), ("nesterov", 0.1, "mean"),
])  # fmt: skip
def test_scripts_replay_proximal_steps(method, rate, reduction):
    risk = risk_of("log_loss", l1=0.05 if reduction == "mean" else 3.0, reduction=reduction)
    walk = minimize(risk, None, method, learning_rate=rate, max_steps=25, seed=3)
    script = fit_script(risk, walk, {"learning_rate": rate})
    assert (script.replays, script.why) == (True, "")
    assert "new - np.clip(new, -rate * " in script.text
    assert "np.sign" not in script.text
    broken = script.text.replace("new - np.clip(new, -rate * ", "new - np.clip(new, -9.0 * rate * ")
    names = {"DATA": script.arrays}
    exec(without_loading(broken), names)
    assert np.abs(names["w"] - walk.x).max() > 1e-3


def test_noise_is_shrunk_with_the_step():
    assert named(risk_of("log_loss"), "noise", 0.1).proximal
    kinds = [name for name in RULES if named(risk_of("log_loss"), name, 0.1).proximal]
    assert kinds == ["gd", "noise", "nesterov", "fista"]
    walk = minimize(risk_of("log_loss", l1=50.0), None, "noise", learning_rate=0.05, max_steps=4)
    assert (walk.x[:8] == 0).all()


vectors = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5).map(np.array)


@given(vectors, st.floats(1e-6, 1e3), st.floats(0.0, 1e3))
def test_both_texts_are_the_proximal_operator(w, rate, strength):
    thresholds = np.full(len(w), strength)
    thresholds[-1] = 0.0
    theirs = soft(w, rate * thresholds)
    for module in (advance, loops):
        ours = w.copy()
        module.shrink(ours, rate, thresholds)
        assert (ours == theirs).all()
        assert ours[-1] == w[-1]
        # the proximal gradient, by its definition
        g = np.roll(w, 1) / 3.0
        assert module.shrunk_length(g, w, rate, thresholds) == pytest.approx(
            np.linalg.norm(w - soft(w - g, rate * thresholds)), rel=1e-9, abs=1e-9 * (1 + np.abs(w).max())
        )
        assert module.penalty_rise(ours, w, thresholds) == pytest.approx(
            thresholds @ np.abs(ours) - thresholds @ np.abs(w), rel=1e-9, abs=1e-6 * (1 + np.abs(w).max() * strength)
        )


def test_a_method_keeps_what_it_is():
    risk = risk_of("log_loss")
    assert dataclasses.replace(named(risk, "gd", 0.1), tol=1.0).switches.shrinks
    assert not named(risk_of("log_loss", l1=0.0), "gd", 0.1).switches.shrinks
