"""Many starts: all distinct minima, each once, with the starts that fell into it; what is no minimum is told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import Bounds

from descender import minimize
from descender.costs.minima import distinct
from descender.errors import CostError, OptionError, StartError
from descender.verbs.starts import read_starts

HIMMELBLAU = "(x**2 + y - 11)**2 + (x + y**2 - 7)**2"
FOUR = np.array([[3, 2], [-2.805118, 3.131312], [-3.779310, -3.283186], [3.584428, -1.848126]])


def himmelblau(w):
    x, y = w
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def sorted_rows(points):
    return points[np.lexsort(np.round(points, 3).T)]


@pytest.mark.parametrize(
    "starts", ["grid 5x5 -5..5", "sobol 32 -5..5", np.random.default_rng(0).uniform(-5, 5, (40, 2))]
)
def test_all_four_minima_of_himmelblau(starts):
    named = isinstance(starts, str) and starts.replace("-5..5", "w0=-5..5 w1=-5..5")
    for cost in (HIMMELBLAU, himmelblau):
        walk = minimize(cost, starts=named if named and cost is himmelblau else starts)
        minima = walk.minima
        assert len(minima) == 4
        assert sorted_rows(np.array([m.x for m in minima])) == pytest.approx(sorted_rows(FOUR), abs=1e-5)
        assert walk.success
        assert walk.x is minima[0].walk.x
        assert walk.fun == min(m.fun for m in minima)
        assert sum(len(m.starts) for m in minima) == len(minima.starts)
        assert sum(m.share for m in minima) == pytest.approx(1)
        for k, m in enumerate(minima):
            assert (minima.labels[m.starts] == k).all()
            assert np.abs(minima.ends[m.starts] - m.x).max() < (1e-6 if cost is HIMMELBLAU else 1e-4)
        assert not minima.lost
        assert f"{len(minima.starts)} starts: 4 minima, this the lowest seen" in walk.notes[0]


def test_the_lowest_is_the_answer_and_the_table_tells_the_others():
    walk = minimize("x**4 - 2*x**2 + x/2", starts="grid 9 -2..2")
    assert walk["x"] == pytest.approx(-1.0574539)
    first, second = walk.minima
    assert (first.fun, second.fun) == pytest.approx((-1.514754, -0.516749), abs=1e-6)
    assert second.walk["x"] == pytest.approx(0.930403, abs=1e-6)
    table = str(walk.minima).splitlines()
    assert table[0].split() == ["x", "J", "starts", "share"]
    assert table[1].split() == ["-1.05745", "-1.51475", str(len(first.starts)), f"{first.share:.0%}"]
    assert len(table) == 3
    assert walk.minima.as_json()[1]["x"]["x"] == second.x[0]


def test_counts_are_of_all_walks():
    calls = []
    walk = minimize(lambda w: calls.append(1) or himmelblau(w), starts="grid 2x2 -4..4")
    inner = sum(m.walk.nfev for m in walk.minima[1:])
    assert 0 < inner < walk.nfev <= len(calls)
    assert len(calls) - walk.nfev < 200  # what telling the minima apart took


def test_a_start_besides_comes_first():
    walk = minimize(HIMMELBLAU, [0.0, 0.0], starts=[[3.1, 2.1]])
    assert walk.minima.starts.tolist() == [[0, 0], [3.1, 2.1]]
    one = minimize(lambda w: (w[0] - 1) ** 2, [0.0], starts=[3.0, -3.0])
    assert one.minima.starts.tolist() == [[0], [3], [-3]]
    assert len(one.minima) == 1
    assert "one minimum" in one.notes[0]


def test_fine_ripples_are_not_merged_and_sloppy_ends_are():
    def ripples(w):
        return float(np.cos(1000 * w[0]) / 1000 + w[0] ** 2 / 100)

    near = (np.arange(-5, 6) * 2 + 1) * np.pi / 1000
    ends = near[:, None] * (1 - 2 / 100 / 1000)  # one step of Newton's from the valleys of the cosine
    labels, which = distinct(ripples, ends, np.array([ripples(end) for end in ends]), np.array([10.0]), 1.0)
    assert len(which) == len(set(labels)) == 11
    sloppy = minimize(HIMMELBLAU, None, "gd", learning_rate=0.005, step_tol=1e-4, starts="grid 6x6 -5..5")
    assert len(sloppy.minima) == 4


def test_equal_minima_in_step_are_told_apart():
    walk = minimize("cos(pi*x)", starts=np.arange(-16.7, 17, 2))
    assert len(walk.minima) == 17
    assert {round(m.fun, 9) for m in walk.minima} == {-1.0}


def test_a_level_valley_is_one_minimum():
    walk = minimize("(x - y)**2", starts="grid 4x4 -3..3")
    assert len(walk.minima) == 1
    assert walk.minima[0].share == 1
    assert any("level valley" in note for note in walk.notes)


@given(st.integers(0, 10**6), st.sampled_from([1e-6, 1.0, 1e6]), st.sampled_from([1e-9, 1.0, 1e9]))
def test_telling_apart_does_not_depend_on_scale(seed, stretch, height):
    rng = np.random.default_rng(seed)
    centres = np.array([-2.0, 0.5, 3.0])

    def cost(w):
        return height * float(np.prod((w[0] / stretch - centres) ** 2) + 0.1 * w[0] / stretch)

    bottoms = [-2.0042, 0.4964, 2.9992]
    ends = (rng.choice(bottoms, 20) + rng.normal(size=20) * 1e-9)[:, None] * stretch
    costs = np.array([cost(end) for end in ends])
    labels, which = distinct(cost, ends, costs, np.array([6 * stretch]))
    found = np.round(ends[:, 0] / stretch, 2)
    assert len(which) == len(set(found))
    for k in range(len(which)):
        assert len(set(found[labels == k])) == 1
    assert (np.diff(costs[which]) >= 0).all()


def test_what_is_no_minimum_is_told():
    walk = minimize("x**3 - 3*x", starts=[0.5, 2.0, -1.5, -3.0])
    assert walk["x"] == pytest.approx(1)
    assert walk.minima.labels.tolist() == [0, 0, -1, -1]
    assert list(walk.minima.lost) == ["unbounded"]
    assert any(note.startswith("2 fell into none: unbounded") for note in walk.notes)
    assert "2 fell into none: unbounded" in str(walk.minima)
    outside = minimize("x - log(x)", starts=[-1.0, 2.0])
    assert outside.minima.statuses == ("start", "converged")
    assert "J is nan at the start" in outside.minima.messages[0]
    budget = minimize(HIMMELBLAU, starts="grid 2x2 -4..4", max_steps=2)
    assert not budget.success
    assert len(budget.minima) == 0
    assert "no walk ended in a minimum" in budget.notes[0]
    assert set(budget.minima.lost) == {"budget"}
    with pytest.raises(StartError, match="J is nan at the start"):
        minimize("log(x)", starts=[-1.0, -2.0])


def test_a_function_that_fails_somewhere_loses_that_start_only():
    def fun(w):
        if w[0] > 10:
            raise RuntimeError("far out")
        return (w[0] - 1) ** 2

    walk = minimize(fun, starts=[11.0, 0.0])
    assert walk.x == pytest.approx([1], abs=1e-6)
    assert "far out" in walk.minima.messages[0]
    with pytest.raises(CostError, match="far out"):
        minimize(fun, starts=[11.0, 12.0])


def test_seconds_are_of_all_walks():
    import time

    began = time.perf_counter()
    walk = minimize(lambda w: time.sleep(0.01) or himmelblau(w), starts="grid 10x10 -5..5", max_seconds=0.5)
    assert time.perf_counter() - began < 5
    assert "no time was left for" in walk.notes[0]


def test_grids_and_sobol_points():
    assert read_starts("grid 3 0..2", ("x", "y")).shape == (9, 2)
    assert read_starts("grid 1x3 x=0..2 y=-1..1", ("x", "y")).tolist() == [[1, -1], [1, 0], [1, 1]]
    points = read_starts("sobol 100 x=0..1 y=-5..-4", ("x", "y"), seed=3)
    assert points.shape == (100, 2)
    assert (points.min(axis=0) >= [0, -5]).all()
    assert (points.max(axis=0) <= [1, -4]).all()
    assert (read_starts("sobol 100 x=0..1 y=-5..-4", ("x", "y"), seed=3) == points).all()
    assert (read_starts("sobol 100 x=0..1 y=-5..-4", ("x", "y"), seed=4) != points).any()
    assert len(np.unique(points, axis=0)) == 100


REFUSED = {
    "another kind": (lambda: minimize(HIMMELBLAU, starts="random 5 -5..5"), 'expected "grid 5x5'),
    "no count": (lambda: minimize(HIMMELBLAU, starts="grid"), 'expected "grid 5x5'),
    "no box": (lambda: minimize(HIMMELBLAU, starts="sobol 8"), "within which box"),
    "half a box": (lambda: minimize(HIMMELBLAU, starts="sobol 8 x=0..1"), "within which box"),
    "an open box": (lambda: minimize(HIMMELBLAU, starts="sobol 8 x=0..1 y=0.."), "within which box"),
    "no range": (lambda: minimize(HIMMELBLAU, starts="sobol 8 five"), "is not NAME=LOW..HIGH"),
    "counts": (lambda: minimize(HIMMELBLAU, starts="grid 2x2x2 0..1"), "3 counts for 2 variables, x, y"),
    "sobol by grid": (lambda: minimize(HIMMELBLAU, starts="sobol 4x4 0..1"), "such as sobol 16"),
    "too many": (lambda: minimize(HIMMELBLAU, starts="grid 1000x1000 0..1"), "1,000,000 starts"),
    "none": (lambda: minimize(HIMMELBLAU, starts="sobol 0 0..1"), "0 starts"),
    "shape": (lambda: minimize(HIMMELBLAU, starts=[1.0, 2.0]), r"shape \(2,\); expected \(n, 2\)"),
    "not finite": (lambda: minimize(HIMMELBLAU, starts=[[1.0, np.nan]]), "row 0 is not finite"),
    "ragged": (lambda: minimize(lambda w: w @ w, starts=[[1.0, 2.0], [3.0]]), "equal length"),
    "no numbers": (lambda: minimize(HIMMELBLAU, starts=[["a", "b"]]), "expected"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_starts_that_are_none(name):
    call, text = REFUSED[name]
    with pytest.raises(OptionError, match=text):
        call()


def test_of_a_function_the_number_of_parameters_must_be_known():
    with pytest.raises(StartError, match="of how many parameters"):
        minimize(himmelblau, starts="sobol 8 -5..5")
    assert len(minimize(himmelblau, [0.0, 0.0], starts="sobol 8 -5..5").minima.starts) == 9


def test_rows_and_gradients_are_of_each_walk():
    x = np.linspace(-1, 1, 20)

    def cost(w, rows):
        return float(np.mean((w[0] ** 2 - 1 - 0.1 * x[rows]) ** 2))

    def gradient(w, rows):
        return [4 * w[0] * np.mean(w[0] ** 2 - 1 - 0.1 * x[rows])]

    walk = minimize(cost, None, gradient=gradient, n_samples=20, starts=[-2.0, -0.5, 0.5, 2.0])
    assert sorted(round(m.x[0], 6) for m in walk.minima) == [-1, 1]


def test_the_picture_shows_the_same_basins(tmp_path):
    from descender.pictures.style import save

    walk = minimize(HIMMELBLAU, starts="grid 5x5 -5..5")
    basins = walk.minima.basins()
    assert (basins.labels == walk.minima.labels).all()
    assert basins.counts.tolist() == [len(m.starts) for m in walk.minima]
    save(walk.minima.plot(), tmp_path / "basins.png")
    assert (tmp_path / "basins.png").stat().st_size > 10_000


_ = Bounds
