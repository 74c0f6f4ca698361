"""The race on generalised linear models: the objective, its bottom, and each contender's parameters on small data."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.glm import problem as problems
from benchmarks.glm import reference
from benchmarks.glm.objective import LOSSES, Objective, read_loss, relative
from benchmarks.glm.page import PAGE, PUBLISHED, draw, text, verdict
from benchmarks.glm.problem import Data, Problem, load, save
from benchmarks.glm.regimes import REGIMES, TARGETS
from benchmarks.glm.results import Run, coarse, counting, read, seconds
from benchmarks.glm.sets import PROBLEMS
from benchmarks.glm.solver import OURS, SOLVERS, load_all

from descender.costs.risk import Risk

ROOT = Path(__file__).parents[2]
load_all("sets")
load_all("solvers")
RNG = np.random.default_rng(7)


def small(loss, penalty, form):
    """Rows on which every contender is quick: mildly scaled columns, with an intercept that matters."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 6)) * np.linspace(0.5, 1.5, 6) + 0.3
    if form == "sparse":
        X[rng.random(X.shape) < 0.5] = 0.0
    z = X @ rng.normal(size=6) * 0.7 - 0.8
    kind = loss.partition(" ")[0]
    if kind == "softmax":
        y = np.argmax(X @ rng.normal(size=(6, 4)) + rng.gumbel(size=(300, 4)), axis=1)
    elif kind == "poisson":
        y = rng.poisson(np.exp(np.clip(z, -3, 2)))
    elif kind in ("squared_error", "huber"):
        y = z + rng.standard_t(3, 300)
    else:
        y = z + rng.logistic(size=300) > 0
    rows = sparse.csr_matrix(X) if form == "sparse" else X
    strengths = {"none": {}, "l2": {"l2": 0.02}, "l1": {"l1": 0.02}, "both": {"l1": 0.01, "l2": 0.02}}[penalty]
    return Problem(
        f"{loss} {penalty} {form}", "small", lambda: (rows, np.asarray(y, dtype=float)), Objective(loss, **strengths)
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Small problems with their bottoms, each computed once."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("cache")
    for module in (problems, reference):
        patch.setattr(module, "CACHE", folder)
    known = {}

    def make(loss, penalty, form):
        key = (loss, penalty, form)
        if key not in known:
            case = small(*key)
            object.__setattr__(case, "make", _named(case.make, "-".join(key).replace(" ", "-").replace(".", "_")))
            known[key] = case, reference.bottom(case)
        return known[key]

    yield make
    patch.undo()


def _named(function, name):
    function.__name__ = name
    return function


CELLS = [
    (loss, penalty, form)
    for form in ("dense", "sparse")
    for loss in ("log_loss", "softmax", "squared_error", "huber 1.2", "poisson", "hinge", "squared_hinge")
    for penalty in ("l2", "l1", "both", "none")
    if form == "dense" or (loss in ("log_loss", "softmax", "squared_error") and penalty == "l2")
]


def taking_part(name):
    """The kinds of problems that a contender says it solves, one of each loss and penalty."""
    solver = SOLVERS[name]
    return [
        cell
        for cell in CELLS
        if cell[0].partition(" ")[0] in solver.losses and cell[1] in solver.penalties and cell[2] in solver.forms
    ]


SLOW = {"skglm"}  # compiles for most of a minute, in every process
FAST_MATH = {"snapml"}  # its library switches subnormal numbers off in the whole process, so it has one of its own


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in sorted(SOLVERS)]
)
def test_a_contender_run_long_ends_at_the_bottom(name, made):
    solver = SOLVERS[name]
    if solver.missing():
        pytest.skip(solver.missing())
    if solver.package in FAST_MATH and "PYTEST_ALONE" not in os.environ:
        alone = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", f"ends_at and {name}"]
        done = subprocess.run(
            alone, env=os.environ | {"PYTEST_ALONE": "1"}, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout
        return
    cells = taking_part(name)
    assert cells
    for cell in cells:
        problem, bottom = made(*cell)
        data = solver.convert(problem.data, problem)
        ends = []
        for setting in solver.ladder[-solver.tightest :]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # some say that they were stopped by their number of iterations
                model = solver.fit(data, problem, setting)
            ends.append(bottom.relative(problem.objective.value(*problem.data, *solver.point(model, problem))))
        left = min(ends)
        assert left <= solver.ends_within, (cell, left)
        assert left >= -1e-9, (cell, left)


@pytest.mark.parametrize("loss", [*LOSSES, "huber 0.7"])
def test_the_objective_is_descenders(loss):
    if loss == "huber":
        return
    problem = small(loss, "both", "dense")
    X, y = problem.make()
    K = 4 if loss == "softmax" else 1
    W, b = RNG.normal(size=(6, K)), RNG.normal(size=K)
    if K == 1:
        W, b = W[:, 0], b[0]
    objective = Objective(loss, l2=0.3, l1=0.2)
    risk = Risk(X, y, loss, l2=0.3, l1=0.2)
    assert np.isclose(objective.value(X, y, W, b), risk.value(risk.join(W.T, b)), rtol=1e-13)
    assert np.isclose(objective.value(sparse.csr_matrix(X), y, W, b), objective.value(X, y, W, b), rtol=1e-13)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "poisson", "squared_hinge", "huber 0.7"])
def test_slopes_and_curvatures_are_those_of_the_values(loss):
    formulas, z = read_loss(loss), RNG.normal(size=50)
    y = (RNG.random(50) < 0.5).astype(float)
    h = 1e-5
    assert np.allclose((formulas.value(z + h, y) - formulas.value(z - h, y)) / (2 * h), formulas.slope(z, y), atol=1e-7)
    assert np.allclose(
        (formulas.slope(z + h, y) - formulas.slope(z - h, y)) / (2 * h), formulas.curvature(z, y), atol=1e-6
    )


def test_the_bottom_is_where_no_step_leads_down(made):
    for cell in [("log_loss", "l2", "dense"), ("softmax", "l2", "sparse"), ("log_loss", "l1", "dense")]:
        problem, bottom = made(*cell)
        assert -1e-15 < bottom.left < 1e-11, cell  # a value less its bound: never below zero but by rounding
        W, b = reference.minimiser(problem)
        assert np.isclose(problem.objective.value(*problem.data, W, b), bottom.lowest, rtol=1e-14)
        for scale in (1e-3, 1e-2):
            away = W + scale * RNG.normal(size=W.shape)
            assert problem.objective.value(*problem.data, away, b) > bottom.lowest


def test_far_from_the_bottom_is_told_as_tol_tells_it():
    assert relative(1.1, 1.0, 5.0) == pytest.approx(0.1)
    assert relative(1e-6, 0.0, 1.0) == pytest.approx(1e-3)
    assert relative(np.nan, 1.0, 1.0) == np.inf


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_data_come_back_from_the_cache_as_they_were(form, tmp_path):
    X = sparse.random(20, 9, 0.3, "csr", np.float32, 0) if form == "sparse" else RNG.normal(size=(20, 9))
    save(tmp_path / "kept", Data(X, np.arange(20.0)))
    back = load(tmp_path / "kept")
    assert (back.X != X).sum() == 0
    assert back.X.dtype == X.dtype
    assert (back.y == np.arange(20.0)).all()
    assert back.dense == (form == "dense")


def test_every_problem_stands_in_a_regime():
    assert {problem.regime for problem in PROBLEMS.values()} <= set(REGIMES)


def fit(rung, left, cpu, times=1, wall=1.0, tol=None):
    return {"rung": rung, "left": left, "cpu": cpu, "wall": wall, "times": times, "setting": {"tol": tol}}


def test_the_first_rung_that_reaches_counts():
    peer = SOLVERS["sklearn lbfgs"]
    fits = [fit(0, 0.5, 1.0), fit(1, 1e-3, 2.0), fit(2, 1e-7, 3.0), fit(1, 1e-3, 4.0), fit(1, 1e-3, 9.0)]
    assert counting(fits, peer, 1e-2) == 1
    assert seconds(fits, peer, 1e-2) == 4.0
    assert seconds(fits, peer, 1e-4) == 3.0
    assert seconds(fits[:2], peer, 1e-4) is None
    # a turn that misses the target takes the rung out of the count
    assert seconds([*fits, fit(1, 0.1, 0.1)], peer, 1e-2) == 3.0


def test_descender_counts_with_the_tolerance_that_was_asked_for():
    fits = [fit(0, 1e-9, 1.0, tol=1e-2), fit(1, 1e-3, 2.0, tol=1e-4)]
    assert seconds(fits, SOLVERS[OURS], 1e-2) == 1.0
    assert seconds(fits, SOLVERS[OURS], 1e-4) is None


def test_a_single_quick_fit_stands_only_until_better_ones_are_there():
    quick, many = fit(0, 0.0, 0.0, wall=0.002), fit(0, 0.0, 0.003, times=50, wall=0.004)
    assert coarse(quick)
    assert not coarse(many)
    assert seconds([quick], SOLVERS["sklearn lbfgs"], 1e-2) == 0.002
    assert seconds([quick, many], SOLVERS["sklearn lbfgs"], 1e-2) == 0.003


def test_a_ratio_is_the_fastest_peers_time_over_descenders():
    def row(solver, rung, left, cpu, tol=None):
        return {"event": "fit", "problem": "p", "solver": solver, **fit(rung, left, cpu, tol=tol)}

    ends = [
        {"event": "end", "problem": "p", "solver": s, "how": "reached"} for s in (OURS, "sklearn saga", "sklearn lbfgs")
    ]
    rows = [
        *ends, row(OURS, 0, 1e-3, 2.0, 1e-2), row(OURS, 1, 1e-3, 2.0, 1e-4), row("sklearn saga", 0, 1e-5, 3.0),
        row("sklearn lbfgs", 0, 1e-2, 5.0),
    ]  # fmt: skip
    run = Run(rows, SOLVERS)
    assert run.fastest("p", 1e-2) == ("sklearn saga", 3.0)
    assert run.ratio("p", 1e-2) == 1.5
    assert run.ratio("p", 1e-4) == 0.0  # missed what a peer reached
    assert run.ratio("p", 1e-6) is None


def test_verdicts():
    assert verdict(None, 3.0) == "no peer"
    assert verdict(0.0, 3.0) == "missed"
    assert verdict(0.5, None) == "0.50 lost"
    assert verdict(2.0, 3.0) == "2.00 short"
    assert verdict(3.0, 3.0) == "**3.00**"
    assert verdict(12.34, None) == "12.3"


@pytest.fixture(scope="module")
def raced(tmp_path_factory):
    """A small race from the command line, in an order to be interrupted and gone on with."""
    folder = tmp_path_factory.mktemp("race")
    out = folder / "run.jsonl"
    words = ["--solver", "sklearn newton-cholesky float64", "sklearn liblinear", "--turns", "1", "--out", str(out)]
    env = {**os.environ, "DESCENDER_BENCH_CACHE": str(folder)}
    told = ""
    for names in (["diabetes lasso"], ["wine raw", "diabetes lasso"]):
        command = [sys.executable, "-m", "benchmarks.glm", "--resume", "--set", *names, *words]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        told += done.stdout
    return out, told


@pytest.mark.slow
def test_a_race_leaves_what_was_measured(raced):
    out, told = raced
    run = Run(read(out), SOLVERS)
    assert set(run.problems) == {"wine raw", "diabetes lasso"}
    assert set(run.contenders("wine raw")) == {OURS, "sklearn newton-cholesky float64", "sklearn liblinear"}
    assert run.contenders("diabetes lasso") == [OURS]  # the others solve no lasso, and that is said
    assert {row["why"] for row in run.rows if row["event"] == "left out"} == {"no squared_error"}
    assert all(run.time("wine raw", OURS, target) > 0 for target in TARGETS)
    assert run.fastest("wine raw", 1e-6)[0] == "sklearn newton-cholesky float64"
    assert run.time("wine raw", "sklearn liblinear", 1e-6) is None  # it penalises the intercept
    peer = run.of("wine raw", "sklearn newton-cholesky float64")
    assert [row["rung"] for row in peer][:3] == [0, 1, 2]
    assert peer[0]["left"] > 1e-2 > 1e-6 > min(row["left"] for row in peer)
    assert all(np.isfinite(row["left"]) for row in run.rows if row["event"] == "fit")
    assert "wine raw: log_loss, 178 x 13 dense" in told
    assert [told.count(name) for name in ("wine raw:", "diabetes lasso:")] == [1, 1]  # what was there was kept
    assert [row["event"] for row in run.rows].count("run") == 1
    assert str(ROOT) not in out.read_text()


@pytest.mark.slow
def test_the_page_is_made_of_a_run(raced, tmp_path):
    run = Run(read(raced[0]), SOLVERS)
    page = text(run)
    assert "@" not in page
    assert "| wine raw | 178 x 13 |" in page
    assert "| diabetes lasso | 442 x 65 | no peer | no peer | no peer | - |" in page
    draw(run, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_the_published_page_is_that_of_the_published_run():
    if not PUBLISHED.exists():
        pytest.skip("no run is published yet")
    assert PAGE.read_text(encoding="utf-8") == text(Run(read(PUBLISHED), SOLVERS))


@pytest.mark.slow
def test_a_contender_that_takes_too_long_is_ended(tmp_path):
    """A process that was ended for its time leaves what it had reached, and the race goes on."""
    out = tmp_path / "run.jsonl"
    words = ["--solver", "sklearn saga", "--turns", "1", "--out", str(out), "--deadline", "0.01"]
    env = {**os.environ, "DESCENDER_BENCH_CACHE": str(tmp_path)}
    command = [sys.executable, "-m", "benchmarks.glm", "--set", "synthetic separable", *words]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    run = Run(read(out), SOLVERS)
    assert run.contenders("synthetic separable") == [OURS, "sklearn saga"]
    assert run.of("synthetic separable", "sklearn saga", "end")[0]["how"] in ("stopped", "deadline")
    assert len(run.of("synthetic separable", "sklearn saga")) < len(SOLVERS["sklearn saga"].ladder)
