"""SAG, SAGA and SVRG: the papers' recursions, plain and compiled; where they arrive, how fast, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from descender import fit, minimize
from descender.costs.formula import Formula
from descender.costs.function import Function
from descender.costs.risk import Risk
from descender.descent import descend
from descender.errors import CapabilityError, OptionError
from descender.methods import textbook, variance_reduced
from descender.methods.auto import textbook as named
from descender.methods.estimates import random_batches
from descender.methods.variance_reduced import REDUCTIONS, sample_curvature
from descender.walk import Stop

STEPS, SEED = 300, 5
plain_and_compiled = pytest.mark.parametrize("plain_steps", [10**9, 0], ids=["plain", "compiled"])
each = pytest.mark.parametrize("name", REDUCTIONS)


def rows_of(n, d, loss, seed=0, classes=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.uniform(0.5, 2.0, d)
    scores = X @ rng.normal(size=d) + 0.3
    y = {
        "squared_error": scores + rng.normal(size=n),
        "log_loss": (scores + rng.logistic(size=n) > 0).astype(float),
        "softmax": rng.integers(0, classes, n).astype(float),
    }[loss]
    return X, y


def make(kind):
    """A cost by name, and the gradient of each of its samples with the penalty apart, written without the package."""
    loss = "squared_error" if "squared" in kind else "softmax" if "softmax" in kind else "log_loss"
    X, y = rows_of(30, 4, loss)
    s = np.random.default_rng(9).uniform(0.2, 3.0, 30) if "weighted" in kind else np.ones(30)
    total = s.sum() if "summed" not in kind else 30.0
    factor = 30.0 if "summed" in kind else 1.0
    given = sparse.csr_array(np.where(np.abs(X) > 0.7, X, 0.0)) if "sparse" in kind else X
    X = given.toarray() if "sparse" in kind else X
    intercept = "through zero" not in kind
    risk = Risk(
        given, y, loss, l2=0.1, intercept=intercept, sample_weight=s if "weighted" in kind else None,
        reduction="sum" if "summed" in kind else "mean",
    )  # fmt: skip
    ones = np.column_stack([X, np.ones(30)]) if intercept else X
    share = 30.0 * factor * s / total

    def sample(w, i):
        if loss == "softmax":
            Z = np.concatenate([w[:12].reshape(3, 4), w[12:, None]], axis=1) @ ones[i]
            p = np.exp(Z) / np.exp(Z).sum() - (np.arange(3) == y[i])
            return share[i] * np.concatenate([np.outer(p, X[i]).ravel(), p])
        z = ones[i] @ w
        return share[i] * (z - y[i] if loss == "squared_error" else 1 / (1 + np.exp(-z)) - y[i]) * ones[i]

    weights = 12 if loss == "softmax" else 4
    return risk, sample, lambda w: 0.1 * w * (np.arange(len(w)) < weights)


def batches_of(n, size, steps):
    stream, taken = random_batches(n, size, np.random.default_rng(SEED)), []
    while len(taken) < steps:
        epoch = next(stream)
        taken += [epoch.order[a:b] for a, b in zip(epoch.starts, epoch.stops, strict=True)]
    return taken[:steps]


def sag(sample, penalty, w, n, rate, batches):
    """Schmidt, Le Roux, Bach 2017, algorithm 1, with the sum over the samples seen so far."""
    memory, points = {}, [w]
    for rows in batches:
        memory |= {int(i): sample(w, i) for i in rows}
        w = w - rate * (sum(memory.values()) / len(memory) + penalty(w))
        points.append(w)
    return np.array(points)


def saga(sample, penalty, w, n, rate, batches):
    """Defazio, Bach, Lacoste-Julien 2014, equation (1), its table zero at the start."""
    table, points = np.zeros((n, len(w))), [w]
    for rows in batches:
        fresh = np.array([sample(w, i) for i in rows])
        w = w - rate * ((fresh - table[rows]).mean(axis=0) + table.mean(axis=0) + penalty(w))
        table[rows] = fresh
        points.append(w)
    return np.array(points)


def svrg(sample, penalty, w, n, rate, batches):
    """Johnson, Zhang 2013, figure 1: option I, a snapshot every second epoch."""
    points = [w]
    for k, rows in enumerate(batches):
        if k % (2 * n // len(rows)) == 0:
            anchor, whole = w, np.mean([sample(w, i) for i in range(n)], axis=0)
        noise = np.mean([sample(w, i) - sample(anchor, i) for i in rows], axis=0)
        w = w - rate * (noise + whole + penalty(w))
        points.append(w)
    return np.array(points)


RECURSIONS = {"sag": sag, "saga": saga, "svrg": svrg}


def path_of(cost, name, rate, size, start, steps=STEPS):
    walk = descend(cost, start, named(cost, name, rate, size, tol=1e-300), Stop(max_steps=steps), seed=SEED)
    return walk.record.path[np.unique(walk.record["step"], return_index=True)[1]]


QUICK = [("squared through zero", 5), ("softmax", 1), ("sparse log weighted", 1)]
KINDS = ["log", "squared through zero", "softmax", "sparse log weighted", "squared summed weighted"]
LONG = [(kind, size, 1000) for kind in KINDS for size in (1, 5)]


@pytest.mark.parametrize(
    ("kind", "size", "steps"),
    [*((*kind, STEPS) for kind in QUICK), *(pytest.param(*case, marks=pytest.mark.slow) for case in LONG)],
)
@each
@plain_and_compiled
def test_steps_are_those_of_the_paper(name, size, kind, steps, plain_steps, monkeypatch):
    monkeypatch.setattr(textbook, "PLAIN_STEPS", plain_steps)
    risk, sample, penalty = make(kind)
    rate = 0.3 / sample_curvature(risk, np.zeros(risk.n_parameters))
    start = np.full(risk.n_parameters, 0.2)
    ours = path_of(risk, name, rate, size, start, steps)
    theirs = RECURSIONS[name](sample, penalty, start, 30, rate, batches_of(30, size, steps))
    assert len(ours) == steps + 1
    assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-12)


@each
def test_a_loss_with_a_number_of_its_own_takes_the_same_steps_plain_and_compiled(name, monkeypatch):
    X, y = rows_of(30, 3, "squared_error")
    paths = []
    for plain_steps in (10**9, 0):
        monkeypatch.setattr(textbook, "PLAIN_STEPS", plain_steps)
        paths.append(path_of(Risk(X, y, "huber 0.7", l2=0.1), name, 0.05, 3, np.full(4, 0.2), 100))
    assert paths[0] == pytest.approx(paths[1], rel=1e-12, abs=1e-12)


LINE = "mean((y - (m*x + c))**2) + 0.1*m**2"


@pytest.mark.parametrize("size", [1, 5])
@each
@plain_and_compiled
def test_a_formula_over_rows_takes_the_same_steps(name, size, plain_steps, monkeypatch):
    monkeypatch.setattr(textbook, "PLAIN_STEPS", plain_steps)
    X, y = rows_of(25, 1, "squared_error")
    x = X[:, 0].copy()
    for text in (LINE, "sum((y - (m*x + c))**2) + 2.5*m**2") if size == 1 else (LINE,):
        cost = Formula(text, {"x": x, "y": y})
        factor = 25.0 if "sum" in text else 1.0

        def sample(w, i, factor=factor):
            r = y[i] - (w[0] * x[i] + w[1])
            return factor * np.array([-2 * r * x[i] + 0.2 * w[0], -2 * r])

        rate, start = 0.02 / factor, np.array([0.5, -0.5])
        ours = path_of(cost, name, rate, size, start)
        theirs = RECURSIONS[name](sample, lambda w: 0.0 * w, start, 25, rate, batches_of(25, size, STEPS))
        assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-12)


@each
def test_a_function_over_rows_takes_the_steps_of_the_formula(name):
    X, y = rows_of(25, 1, "squared_error")
    x = X[:, 0].copy()

    def both(w, rows):
        r = y[rows] - (w[0] * x[rows] + w[1])
        g = np.array([np.mean(-2 * r * x[rows]) + 0.2 * w[0], np.mean(-2 * r)])
        return np.mean(r**2) + 0.1 * w[0] ** 2, g

    start = np.array([0.5, -0.5])
    walks = [
        path_of(cost, name, 0.02, 5, start, 300)
        for cost in (Function(both, 2, True, n_samples=25), Formula(LINE, {"x": x, "y": y}))
    ]
    assert walks[0] == pytest.approx(walks[1], rel=1e-12, abs=1e-12)


def test_a_planted_fault_is_seen():
    risk, sample, penalty = make("log")
    start = np.full(5, 0.2)
    ours = path_of(risk, "saga", 0.1, 1, start, 100)
    for wrong in (
        saga(lambda w, i: 1.01 * sample(w, i), penalty, start, 30, 0.1, batches_of(30, 1, 100)),
        sag(sample, penalty, start, 30, 0.1, batches_of(30, 1, 100)),
    ):
        assert ours != pytest.approx(wrong, rel=1e-6, abs=1e-6)


@given(st.integers(1, 40), st.integers(1, 45), st.integers(0, 2**32))
def test_rows_of_a_random_batch_differ_and_come_from_everywhere(n, size, seed):
    batches = next(random_batches(n, size, np.random.default_rng(seed)))
    for a, b in zip(batches.starts, batches.stops, strict=True):
        assert len(set(batches.order[a:b].tolist())) == b - a == min(n, size)
        assert batches.order[a:b].min() >= 0
        assert batches.order[a:b].max() < n
    assert len(batches.starts) == -(-n // min(n, size))


def test_random_batches_are_uniform():
    stream = random_batches(10, 4, np.random.default_rng(0))
    counts = np.bincount(np.concatenate([next(stream).order for _ in range(2000)]), minlength=10)
    assert counts == pytest.approx(2400, rel=0.1)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@each
def test_the_gap_falls_geometrically_where_that_of_sgd_stalls(name, loss):
    X, y = rows_of(200, 5, loss, seed=3)
    risk = Risk(X, y, loss, l2=0.05)
    lowest = minimize(risk, tol=1e-14).fun
    method = named(risk, name, tol=1e-300)
    gaps = {}
    for each_method in (method, named(risk, "sgd", method.rate.rate)):
        record = descend(risk, np.zeros(6), each_method, Stop(max_steps=200 * 120)).record
        gaps[each_method.name] = record["full_cost"][np.isfinite(record["full_cost"])] - lowest
    ours, sgd = gaps[name], gaps["sgd"]
    assert ours[30] < 1e-3 * ours[0]
    assert ours[60] < max(3e-2 * ours[30], 1e-12)
    assert ours[-1] < 1e-10 * ours[0]
    assert np.median(sgd[60:]) > 0.2 * np.median(sgd[20:60])
    assert sgd[60:].min() > 1e3 * ours[-1]


@pytest.mark.parametrize("solver", ["saga", "sag"])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_the_optimum_is_that_of_scikit_learn(solver, is_sparse):
    from sklearn.linear_model import LogisticRegression

    X, y = rows_of(150, 4, "log_loss", seed=1)
    s = np.random.default_rng(2).uniform(0.5, 2.0, 150)
    given = sparse.csr_array(X) if is_sparse else X
    l2 = 0.02
    theirs = LogisticRegression(C=1 / (l2 * s.sum()), solver=solver, tol=1e-12, max_iter=20_000, random_state=0)
    if is_sparse:  # of sparse rows scikit-learn slows the intercept down: leave it out on both sides
        theirs.set_params(fit_intercept=False)
    theirs.fit(given, y, sample_weight=s)
    risk = Risk(given, y, "log_loss", l2=l2, sample_weight=s, intercept=not is_sparse)
    ours = minimize(risk, None, solver, tol=1e-13, max_epochs=3000)
    assert ours.success
    expected = np.append(theirs.coef_[0], theirs.intercept_ if not is_sparse else [])
    assert ours.x == pytest.approx(expected, rel=1e-6, abs=1e-7)


@each
def test_a_convex_risk_ends_on_its_certificate(name):
    X, y = rows_of(300, 3, "log_loss")
    walk = minimize(Risk(X, y, "log_loss", l2=0.1), None, name, tol=1e-8)
    assert walk.success
    assert walk.status == "converged"
    assert walk.certificate.rigorous
    assert walk.certificate.relative <= 1e-8
    assert "certified" in walk.message


def test_another_cost_ends_on_the_gradient_of_all_rows():
    X, y = rows_of(50, 1, "squared_error")
    walk = minimize(LINE, "m=0 c=0", "saga", data={"x": X[:, 0].copy(), "y": y}, gradient_tol=1e-9)
    assert walk.success
    assert walk.status == "small_gradient"
    assert float(np.linalg.norm(walk.jac)) <= 1e-9


@each
def test_what_was_read_is_counted(name):
    n = 40
    X, y = rows_of(n, 2, "log_loss")
    steps = 4 * n
    snapshots = 2 * n if name == "svrg" else 0
    risk = descend(
        Risk(X, y, "log_loss"), np.zeros(3), named(Risk(X, y, "log_loss"), name, 1e-3), Stop(max_steps=steps)
    )
    assert risk.record["rows_seen"][-1] == steps + snapshots
    cost = Formula(LINE, {"x": X[:, 0].copy(), "y": y})
    walk = descend(cost, np.zeros(2), named(cost, name, 1e-3), Stop(max_steps=steps))
    assert walk.record["rows_seen"][-1] == steps * (2 if name == "svrg" else 1) + snapshots


@plain_and_compiled
@each
def test_a_walk_that_leaves_the_numbers_starts_its_memory_anew(name, plain_steps, monkeypatch):
    monkeypatch.setattr(textbook, "PLAIN_STEPS", plain_steps)
    X, y = rows_of(30, 3, "squared_error")
    risk = Risk(X, y, l2=0.1)
    lowest = minimize(risk, tol=1e-13).fun
    walk = minimize(risk, None, name, learning_rate=1.0, on_divergence="recover", max_epochs=150, tol=1e-9)
    assert any("higher than at the start: back to the start, rate / 3" in note for note in walk.notes)
    assert walk.fun == pytest.approx(lowest, rel=1e-6)
    wild = minimize(risk, None, name, learning_rate=1e9, on_divergence="recover", max_epochs=150, tol=1e-9)
    assert any("not finite: back to the start, rate / 3" in note for note in wild.notes)
    assert wild.fun == pytest.approx(lowest, rel=1e-6)
    stopped = minimize(risk, None, name, learning_rate=1e9)
    assert stopped.status == "not_finite"
    assert np.isfinite(stopped.x).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_the_curvature_bounds_that_of_every_sample(weighted):
    X, y = rows_of(40, 3, "squared_error")
    s = np.random.default_rng(0).uniform(0.0, 4.0, 40) if weighted else None
    for reduction in ("mean", "sum"):
        risk = Risk(X, y, l2=0.3, sample_weight=s, reduction=reduction)
        share = 40 * (np.ones(40) if s is None else s) / risk.denominator
        largest = max(a * (x @ x + 1) for a, x in zip(share, X, strict=True)) + 0.3
        assert sample_curvature(risk, np.zeros(4)) == pytest.approx(largest, rel=1e-12)


def test_the_curvature_of_a_formula_is_measured():
    cost = Formula("mean((y - m*x)**2)", {"x": [1.0, 2.0, 5.0], "y": [0.0, 1.0, 2.0]})
    assert sample_curvature(cost, np.array([0.3])) == pytest.approx(50.0, rel=1e-6)
    total = Formula("sum((y - m*x)**2)", {"x": [1.0, 2.0, 5.0], "y": [0.0, 1.0, 2.0]})
    assert sample_curvature(total, np.array([0.3])) == pytest.approx(150.0, rel=1e-6)


def test_a_fit_by_name():
    result = fit("example:breast_cancer", method="saga", l2=0.05)
    assert result.walk.method == "saga"
    assert result.walk.success
    assert result.metrics["holdout"]["accuracy"] > 0.95
    assert "loss" in result.pictures()


def test_what_cannot_be_is_refused(monkeypatch):
    X, y = rows_of(20, 2, "log_loss")
    with pytest.raises(OptionError, match=r"batch_size.*method='gd'"):
        minimize(Risk(X, y, "log_loss"), None, "saga", batch_size="full")
    with pytest.raises(CapabilityError, match="this cost has none"):
        minimize("(x - 1)**2", "x=0", "svrg")
    with pytest.raises(OptionError, match="needs exact costs"):
        minimize(Risk(X, y, "log_loss"), None, "sag", learning_rate="backtracking")
    monkeypatch.setattr(variance_reduced, "TABLE_NUMBERS", 30)
    cost = Formula("mean((y - (m*x + c))**2)", {"x": X[:, 0].copy(), "y": y})
    with pytest.raises(CapabilityError, match=r"20 samples and 2 parameters.*use method='svrg'"):
        minimize(cost, "m=0 c=0", "saga")
    assert minimize(cost, "m=0 c=0", "svrg", max_steps=3).nit == 3
    assert minimize(Risk(X, y, "log_loss"), None, "saga", max_steps=3).nit == 3
