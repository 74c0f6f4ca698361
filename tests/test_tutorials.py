"""The tutorials reach their figures: each is run as a learner runs it, and checked against something else."""

import importlib
import itertools
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from scipy.optimize import minimize as scipy_minimize
from sklearn.linear_model import LogisticRegression

from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.data.examples import HEIGHTS_CM, WEIGHTS_KG
from docs_pages import check_shown, commands

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PICTURES = {
    "1_sweep": ["1-sweep", "1-sweep-2d"],
    "2_straight_line": ["2-candidates", "2-surface", "2-steps"],
    "3_tanh": ["3-rates", "3-plateau", "3-clipping", "3-batches"],
    "3_backpropagation": ["3-backpropagation"],
    "3_explosion": ["3-explosion", "3-layers", "3-through-time"],
    "3_vanishing": ["3-vanishing"],
    "4_cost": ["4-holdout"],
    "4_family": ["4-family"],
    "4_minima": ["4-basins"],
    "4_stream": ["4-stream"],
    "5_sigmoid": ["5-loss", "5-boundary"],
    "5_starts": ["5-ends"],
    "5_digits": ["5-three", "5-digits"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tutorials")


@pytest.fixture(scope="module")
def run(folder):
    """Run a tutorial once, however many tests look at what it returned."""
    done = {}
    sys.path.insert(0, str(EXAMPLES))

    def once(name, what="figures"):
        if name not in done:
            printed = StringIO()
            with redirect_stdout(printed):
                figures = importlib.import_module(f"tutorial_{name}").main(folder)
            done[name] = {"figures": figures, "printed": printed.getvalue()}
        return done[name][what]

    yield once
    sys.path.remove(str(EXAMPLES))


def descend(gradient, w, rate, steps):
    """Gradient descent as a textbook prints it: the points before each step, and the last one."""
    path = [np.array(w, dtype=float)]
    for _ in range(steps):
        path.append(path[-1] - rate * np.asarray(gradient(path[-1])))
    return np.array(path)


def every_picture():
    return [(name, picture) for name, pictures in PICTURES.items() for picture in pictures]


# --- 1: the sweep -------------------------------------------------------------------------------------------------

X1, Y1 = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([2.3, 3.8, 6.4, 7.7, 10.4])
BEST1 = X1 @ Y1 / (X1 @ X1)


def test_the_sweep_finds_the_grid_point_nearest_to_the_bottom(run):
    one = run("1_sweep")["one"]
    assert one.nfev == 101
    assert one.x[0] == pytest.approx(np.linspace(-1, 5, 101)[np.abs(np.linspace(-1, 5, 101) - BEST1).argmin()])
    assert one.fun == pytest.approx(np.mean((Y1 - one.x[0] * X1) ** 2))


def test_the_descent_reaches_the_bottom_itself_with_fewer_evaluations(run):
    walk = run("1_sweep")["one"].walk
    assert walk["w"] == pytest.approx(BEST1, rel=1e-9)
    assert walk.nit <= walk.nfev < 101
    expected = descend(lambda w: np.mean(-2 * X1 * (Y1 - w * X1)), walk.record.path[0], 0.02, walk.nit)
    np.testing.assert_allclose(walk.record.path, expected, rtol=1e-12)


def test_two_weights_need_10201_evaluations_or_a_few(run):
    two = run("1_sweep")["two"]
    m, c = np.polyfit(X1, Y1, 1)
    best = np.mean((Y1 - m * X1 - c) ** 2)
    grid = itertools.product(np.linspace(0, 4, 101), np.linspace(-2, 2, 101))
    assert two.nfev == 10_201
    assert two.fun == pytest.approx(min(np.mean((Y1 - a * X1 - b) ** 2) for a, b in grid))
    assert two.walk.fun == pytest.approx(best, rel=1e-12)
    assert two.walk.nfev < 50


def test_the_descent_grows_mildly_with_the_number_of_weights(run):
    descents = run("1_sweep")["descents"]
    assert max(descents.values()) == descents[100] < 200


def test_a_maximum_and_a_saddle_are_recognised_said_and_left(run):
    left = run("1_sweep")["left"]
    for model, kind in (("w**2*x", "a maximum"), ("u*v*x", "a saddle")):
        assert kind in left[model].notes[0]
        assert "left by a step" in left[model].notes[0]
        assert left[model].fun == pytest.approx(np.mean((Y1 - BEST1 * X1) ** 2), rel=1e-10)
    assert left["w**2*x"]["w"] ** 2 == pytest.approx(BEST1, rel=1e-8)
    assert left["u*v*x"]["u"] * left["u*v*x"]["v"] == pytest.approx(BEST1, rel=1e-8)


# --- 2: the straight line -----------------------------------------------------------------------------------------

CM, KG = np.array(HEIGHTS_CM, dtype=float), np.array(WEIGHTS_KG)
DM = (CM - 170) / 10


def slope_of_line(w):
    error = KG - (w[0] * DM + w[1])
    return -2 * np.mean(error * DM), -2 * np.mean(error)


def test_candidate_lines_have_their_squared_errors(run):
    sums = run("2_straight_line")["sums"]
    expected = [
        sum((kg - m * h - c) ** 2 for h, kg in zip(DM, KG, strict=True)) for m, c in ((0, 67), (5, 67), (9, 66.6))
    ]
    np.testing.assert_allclose(sums, expected)


def test_the_line_agrees_with_the_closed_form(run):
    walk = run("2_straight_line")["walk"]
    closed = np.linalg.lstsq(np.column_stack([DM, np.ones(30)]), KG)[0]
    np.testing.assert_allclose(walk.x, closed, rtol=1e-10)
    assert walk.success
    assert walk.status == "small_step"


def test_the_worked_table_is_the_textbooks_recursion(run):
    figures = run("2_straight_line")
    table = np.array(figures["table"])
    path = descend(slope_of_line, [1, 0], 0.1, figures["walk"].nit)
    np.testing.assert_allclose(table[:, 1:3], path, rtol=1e-12)
    np.testing.assert_allclose(table[:, 3:5], [slope_of_line(w) for w in path], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(table[:-1, 1:3] + table[:-1, 5:7], path[1:], rtol=1e-12)
    np.testing.assert_allclose(table[:, 7], [np.mean((KG - m * DM - c) ** 2) for m, c in path])
    assert np.linalg.norm(table[-2, 5:7]) <= 1e-12


def test_in_centimetres_only_the_default_method_arrives(run):
    figures = run("2_straight_line")
    closed = np.polyfit(CM, KG, 1)
    np.testing.assert_allclose(figures["raw"].x, closed, rtol=1e-9)
    assert figures["raw"].fun == pytest.approx(figures["walk"].fun, rel=1e-12)
    assert figures["crawl"].fun > 2 * figures["raw"].fun


def test_a_cost_without_squares_is_asked_about(run):
    slip = run("2_straight_line")["slip"]
    assert slip.message.startswith("unbounded below along")
    assert slip.findings[0].remedy.startswith("did you mean to square the errors?")


# --- 3: tanh ------------------------------------------------------------------------------------------------------


def test_the_headline_within_ten_thousand_steps(run):
    walk = run("3_tanh")["walks"][0.0021]
    assert abs(walk["x"]) <= 8.407e-06
    assert walk.nit == 10_000


@pytest.mark.parametrize("rate", [0.001, 0.0021, 0.1])
def test_the_rates_follow_the_plain_recursion(run, rate):
    walk = run("3_tanh")["walks"][rate]
    expected = descend(np.tanh, [10.0], rate, walk.nit)
    assert walk["x"] == pytest.approx(expected[-1, 0], rel=1e-9)


def test_the_default_method_is_there_within_fifty_evaluations(run):
    default = run("3_tanh")["default"]
    assert abs(default["x"]) < 1e-8
    assert default.nfev <= 50
    assert default.success


def test_a_vanishing_gradient_holds_plain_descent_and_not_the_default(run):
    plateau, left = run("3_tanh")["plateau"], run("3_tanh")["left"]
    expected = descend(lambda x: 2 * np.tanh(x) / np.cosh(x) ** 2, [10.0], 0.1, 10_000)
    assert plateau["x"] == pytest.approx(expected[-1, 0], rel=1e-9)
    assert plateau["x"] > 9.99
    assert not plateau.success
    assert abs(left["x"]) < 1e-6


def steep_gradient(w):
    x, y = w
    bowl = 4 * (x * x + y * y - 1)
    return np.array([bowl * x + 400 * x**3, bowl * y])


def test_without_clipping_the_loss_is_nan_and_with_it_the_walk_arrives(run):
    figures = run("3_tanh")
    assert np.isnan(figures["exploded"].fun)
    with np.errstate(all="ignore"):
        expected = descend(steep_gradient, [3, -2], 0.01, 500)
    assert np.isnan(expected[-1]).all()
    np.testing.assert_allclose(figures["exploded"].record.path[:4], expected[:4], rtol=1e-12)

    def clipped(w):
        g = steep_gradient(w)
        return g * min(1, 5 / np.linalg.norm(g))

    by_norm = descend(clipped, [3, -2], 0.01, 500)
    by_value = descend(lambda w: np.clip(steep_gradient(w), -5, 5), [3, -2], 0.01, 500)
    np.testing.assert_allclose(figures["clipped"].x, by_norm[-1], rtol=1e-9)
    np.testing.assert_allclose(figures["by_value"].x, by_value[-1], rtol=1e-9)
    assert max(figures["clipped"].fun, figures["by_value"].fun) < 1e-4


def test_batch_mini_batch_and_stochastic_descent_find_the_line(run):
    learnt, line = run("3_tanh")["learnt"], run("3_tanh")["line"]
    bottom = scipy_minimize(line.value, [0, 0], jac=line.gradient, tol=1e-12)
    for name, within in (("batch", 1e-12), ("mini-batch of 20", 1e-3), ("stochastic", 5e-3)):
        assert bottom.fun <= learnt[name].fun + 1e-14 <= bottom.fun + within
    np.testing.assert_allclose(bottom.x, [1.5, -0.5], atol=0.1)


# --- 3: backpropagation -------------------------------------------------------------------------------------------


def test_the_forward_pass_and_the_step_have_the_published_figures(run):
    """M. Mazur, *A step by step backpropagation example*, 2015, which prints nine digits of each."""
    figures = run("3_backpropagation")
    network, w = figures["network"], figures["w"]
    np.testing.assert_allclose(figures["hidden"][0], [0.593269992, 0.596884378], atol=5e-10)
    np.testing.assert_allclose(figures["outputs"][0], [0.75136507, 0.772928465], atol=5e-9)
    assert 2 * network.value(w) == pytest.approx(0.298371109, abs=5e-10)
    assert 2 * network.dense(figures["gradient"])[1]["weight"][0, 0] == pytest.approx(0.082167041, abs=5e-10)
    first, last = (part["weight"] for part in network.dense(figures["moved"].x))
    np.testing.assert_allclose(first.T.ravel(), [0.149780716, 0.19956143, 0.24975114, 0.29950229], atol=5e-9)
    np.testing.assert_allclose(last.T.ravel(), [0.35891648, 0.408666186, 0.511301270, 0.561370121], atol=5e-9)
    assert figures["learnt"].fun < 3.51085e-05 / 2  # his, without moving the biases


def test_the_error_vectors_are_derivatives(run):
    figures = run("3_backpropagation")
    assert (np.abs(figures["gradient"] - figures["quotients"].value) <= figures["quotients"].error).all()
    network, w = figures["network"], figures["w"]
    (first, last), x = network.dense(w), network.X

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def cost(x, shift):
        a = sigmoid(x @ first["weight"] + first["bias"]) + shift
        return np.mean((sigmoid(a @ last["weight"] + last["bias"]) - network.y) ** 2) / 2

    for error, step in ((2, lambda d: cost(x, d)), (4, lambda d: cost(x + d, 0))):
        slopes = [(step(d) - step(-d)) / 2e-5 for d in 1e-5 * np.eye(2)]
        np.testing.assert_allclose(figures["errors"][error][0], slopes, rtol=1e-7)


def test_backpropagation_is_what_jax_differentiates(run):
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    figures = run("3_backpropagation")
    network, w = figures["network"], figures["w"]

    def cost(parts):
        a = network.X
        for part in parts:
            a = jax.nn.sigmoid(a @ part["weight"] + part["bias"])
        return jax.numpy.mean((a - network.y) ** 2) / 2

    with jax.enable_x64(True):
        expected = jax.grad(cost)(network.dense(w))
    for ours, theirs in zip(network.dense(figures["gradient"]), expected, strict=True):
        for name, values in theirs.items():
            np.testing.assert_allclose(ours[name], values, rtol=1e-12)


def test_a_network_is_learnt_by_batch_mini_batch_and_single_samples(run):
    figures = run("3_backpropagation")
    walks, wave = figures["walks"], figures["wave"]
    assert [walks[k].nit for k in ("batch", "mini-batch of 10", "stochastic")] == [60, 1_200, 12_000]
    start = wave.value(wave.start())
    assert max(walk.fun for walk in walks.values()) < 0.02 * start
    assert walks["stochastic"].fun < walks["mini-batch of 10"].fun < walks["batch"].fun
    assert figures["done"].nit < 50_000
    assert np.linalg.norm(wave.gradient(figures["done"].x)) < 2e-3


# --- 3: explosion and vanishing -----------------------------------------------------------------------------------

SYMPTOMS = ("the output is NaN", "very large changes", "error gradients above 1.0")


def check_explosion(figures, cost):
    assert np.isnan(figures["exploded"].fun)
    assert not np.isfinite(figures["exploded"].x).all()
    assert figures["clipped"].fun < cost
    assert figures["finding"].code == "D201"
    assert all(symptom in figures["finding"].evidence for symptom in SYMPTOMS)
    assert max(max(row.spectral.values()) for row in figures["start"]) > 1


def test_deep_and_recurrent_networks_explode_and_learn_once_clipped(run):
    figures = run("3_explosion")
    for name, share in (("deep", 0.25), ("recurrent", 1e-3)):
        network = figures[name]["network"]
        check_explosion(figures[name], share * network.y.var() / 2)
        steps = figures[name]["clipped"].record
        taken = steps["clipped"] == 1
        np.testing.assert_allclose(steps["step_norm"][taken], 0.05, rtol=1e-6)
        assert taken.sum() > 10
    for row in figures["deep"]["start"]:
        assert all(norm > 1 for norm in row.spectral.values())
    assert figures["recurrent"]["start"][0].spectral["recurrent"] == pytest.approx(1.3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_they_explode_from_other_starts_too(run, folder, seed):
    run("3_explosion")
    with redirect_stdout(StringIO()):
        figures = sys.modules["tutorial_3_explosion"].main(folder, seed)
    check_explosion(figures["deep"], 0.25 * figures["deep"]["network"].y.var() / 2)
    check_explosion(figures["recurrent"], 1e-3)


def test_the_error_of_a_state_is_multiplied_by_the_norm_at_each_step_back(run):
    through = run("3_explosion")["through"]
    for gain in (0.6, 1.0, 1.3):
        sizes = np.array(through[gain][0].through_time)
        np.testing.assert_allclose(sizes[:-1] / sizes[1:], gain, rtol=1e-9)
        assert through[gain][0].spectral["recurrent"] == pytest.approx(gain)


def check_vanishing(figures):
    walks, told, guess = figures["walks"], figures["told"], figures["y"].var() / 2
    vanished = {name for name, finding in figures["findings"].items() if finding is not None}
    assert vanished == {"sigmoid", "sigmoid, clipped", "relu, weights too small", "sigmoid, layer normalisation"}
    assert all(walks[name].fun > 0.98 * guess for name in vanished)
    assert all(walks[name].fun < 0.05 * guess for name in ("relu", "tanh", "sigmoid, batch normalisation"))
    assert walks["sigmoid, residual"].fun < 0.6 * guess
    errors = [row.error for row in told["sigmoid"]]
    assert errors == sorted(errors)


def test_a_gradient_vanishes_layer_by_layer_clipping_leaves_it_so_and_others_cure_it(run):
    figures = run("3_vanishing")
    check_vanishing(figures)
    walks = figures["walks"]
    assert not (walks["sigmoid, clipped"].record["clipped"] == 1).any()
    np.testing.assert_array_equal(walks["sigmoid, clipped"].x, walks["sigmoid"].x)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_vanishes_from_other_starts_too(run, folder, seed):
    run("3_vanishing")
    with redirect_stdout(StringIO()):
        check_vanishing(sys.modules["tutorial_3_vanishing"].main(folder, seed))


# --- 4: the family ------------------------------------------------------------------------------------------------


def test_difference_quotients_are_as_exact_as_they_say(run):
    figures = run("4_cost")
    exact = 2 * np.tanh(1) / np.cosh(1) ** 2
    assert figures["exact"] == pytest.approx(exact, rel=1e-14)
    assert abs(figures["scalar"].value - exact) <= figures["scalar"].error < 1e-10
    x, y = -1.2, 1.0
    gradient = np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])
    assert (np.abs(figures["vector"].value - gradient) <= figures["vector"].error).all()
    assert figures["vector"].error.max() < 1e-8


def test_held_out_loss_turns_while_training_loss_falls(run):
    figures = run("4_cost")
    walk, unseen = figures["walk"], figures["unseen"]
    held = walk.record["holdout_cost"]
    error = unseen.y - (unseen.X @ walk.x[:-1] + walk.x[-1])
    assert held[-1] == pytest.approx(np.mean(error**2) / 2)
    assert held[-1] > 1.2 * held[figures["turn"]]
    assert walk.fun < walk.record["full_cost"][figures["turn"]]


def test_the_family_comes_near_the_bottom(run):
    figures = run("4_family")
    x, y = figures["data"]
    design = np.column_stack([x, np.ones(1000)])
    bottom = np.linalg.lstsq(design, y)[1][0] / 1000
    assert figures["bottom"] == pytest.approx(bottom, rel=1e-12)
    for name, walk in figures["walks"].items():
        assert bottom <= walk.fun < 1.1 * bottom, name

    def gradient(w):
        return 2 * design.T @ (design @ w - y) / 1000

    batch = descend(gradient, [-3, 4], 0.3, 20)
    np.testing.assert_allclose(figures["walks"]["batch"].record.path, batch, rtol=1e-10)
    w = np.array([-3.0, 4.0])
    for step in range(20):
        w = w - 0.25 * gradient(w) * (np.arange(2) == step % 2)
    np.testing.assert_allclose(figures["walks"]["one coordinate at a time"].x, w, rtol=1e-10)


def test_stochastic_descent_reads_fewer_samples_than_batch(run):
    read = run("4_family")["read"]
    assert read["stochastic"] < read["mini-batches of 10"] < read["mini-batches of 20"] < read["batch"]
    assert 10 * read["stochastic"] < read["batch"]


def test_steps_are_long_far_away_and_short_near(run):
    figures = run("4_family")
    steps = figures["walks"]["batch"].record["step_norm"][:-1]
    assert (np.diff(steps[1:]) < 0).all()
    assert np.corrcoef(np.log(steps), np.log(figures["distance"][:-1]))[0, 1] > 0.99


def test_algebra_solves_what_it_can_and_says_what_it_cannot(run):
    exact = run("4_minima")["exact"]
    quartic, waves, tilted = exact.values()
    roots = np.sort(np.roots([4, 0, -4, 0.5]).real)
    np.testing.assert_allclose(np.sort(np.ravel([p.x for p in quartic])), roots, rtol=1e-10)
    assert [p.kind for p in quartic] == ["minimum", "minimum", "maximum"]
    assert waves.failure.startswith("no method of algebra")
    assert [p.kind for p in tilted].count("minimum") == 4
    assert len(tilted) == 9


def test_starts_and_algebra_agree_on_the_minima(run):
    figures = run("4_minima")
    algebra = list(figures["exact"].values())[-1].minima
    np.testing.assert_allclose([m.x for m in figures["walk"].minima], [p.x for p in algebra], atol=1e-6)


def test_many_starts_find_all_four_minima(run):
    basins = run("4_minima")["basins"]
    tilted = Formula(importlib.import_module("tutorial_4_minima").TILTED)
    corners = itertools.product((3, -3), (2, -3))
    ends = [scipy_minimize(tilted.value, w, jac=tilted.gradient, tol=1e-12) for w in corners]
    ends.sort(key=lambda end: end.fun)
    np.testing.assert_allclose(basins.minima, [end.x for end in ends], atol=1e-5)
    np.testing.assert_allclose(basins.costs, [end.fun for end in ends], rtol=1e-9)
    assert basins.counts.sum() == 200
    assert (basins.labels >= 0).all()


def test_a_stream_is_learnt_in_constant_memory(run):
    figures = run("4_stream")
    stream = importlib.import_module("tutorial_4_stream")
    pairs = list(itertools.islice(stream.endless(), 10_000))
    design = np.array([[*x, 1.0] for x, _ in pairs])
    best, squares, *_ = np.linalg.lstsq(design, np.array([y for _, y in pairs]))
    np.testing.assert_allclose(figures["weights"], best, atol=0.1)
    assert figures["seen"][-1][1] < 1.2 * squares[0] / 10_000 / 2
    assert max(figures["memory"]) - figures["memory"][0] < 128 * 1024 < design.nbytes


# --- 5: the sigmoid -----------------------------------------------------------------------------------------------


def tutorial_5():
    return importlib.import_module("tutorial_5_sigmoid").halves()


def program(X, y, W, epochs=100, alpha=0.01):
    """The tutorial's recursion in plain NumPy, from one start (d,) or many (d, k): losses and the last weights."""
    losses = []
    y = y.reshape(-1, *[1] * (W.ndim - 1))
    for _ in range(epochs):
        p = 1 / (1 + np.exp(-(X @ W)))
        e = p - y
        losses.append(np.sum(e**2, axis=0))
        W = W - alpha * X.T @ (e * p * (1 - p))
    return np.array(losses), W


def test_the_losses_are_those_of_the_plain_program(run):
    figures = run("5_sigmoid")
    X, test, y, y_test = tutorial_5()
    assert X.shape == test.shape == (500, 3)
    losses, W = program(X, y, figures["start"])
    assert len(figures["losses"]) == 100
    np.testing.assert_allclose(figures["losses"], losses, rtol=1e-10)
    np.testing.assert_allclose(figures["walk"].x, W, rtol=1e-10)
    predicted = (1 / (1 + np.exp(-(test @ W))) > 0.5).astype(int)
    np.testing.assert_array_equal(figures["predicted"], predicted)
    assert np.mean(predicted == y_test) > 0.99


def test_losses_are_printed_at_epoch_1_and_every_5th(run):
    printed = [line for line in run("5_sigmoid", "printed").splitlines() if line.startswith("epoch")]
    assert [int(line.split(",")[0][5:]) for line in printed] == [1, *range(5, 101, 5)]


def test_two_hundred_starts_end_as_those_of_the_plain_program(run):
    figures = run("5_starts")
    X, test, y, y_test = tutorial_5()
    losses, W = program(X, y, figures["starts"].T)
    np.testing.assert_allclose(figures["sums"], losses[-1], rtol=1e-8)
    good = np.mean((losses[-1] >= 0.17) & (losses[-1] <= 0.34))
    assert 0.34 < good < 0.44
    stuck = np.flatnonzero(losses[-1] > 100)
    np.testing.assert_array_equal(figures["stuck"], stuck)
    assert 1 <= len(stuck) <= 5
    np.testing.assert_allclose(losses[-1, stuck], 250, atol=1)
    np.testing.assert_allclose(np.mean((test @ W[:, stuck] > 0) == y_test[:, None], axis=0), 0.5, atol=0.01)
    # why: they began on the wrong side, and where they are wrong the sigmoid is flat
    assert (np.mean((X @ figures["starts"][stuck].T > 0) == y[:, None], axis=0) < 0.05).all()
    p = 1 / (1 + np.exp(-(X @ W[:, stuck])))
    for k in range(len(stuck)):
        assert np.median((p * (1 - p))[np.abs(p[:, k] - y) > 0.5, k]) < 1e-4


def test_log_loss_and_the_default_method_are_not_stuck(run):
    figures = run("5_starts")
    X, test, y, y_test = tutorial_5()
    for walk in figures["logs"]:
        assert np.mean((test @ walk.x > 0) == y_test) > 0.99
    check_log_loss(figures["best"], X, y, intercept=False)
    assert np.mean((test @ figures["best"].x > 0) == y_test) > 0.99


def check_log_loss(walk, X, y, intercept):
    """The bottom as scikit-learn finds it: C = 1/(n l2) is our mean loss with l2."""
    l2 = 0.001
    other = LogisticRegression(C=1 / (len(X) * l2), fit_intercept=intercept, tol=1e-10, max_iter=10_000).fit(X, y)
    risk = Risk(X, y, "log_loss", l2=l2, intercept=intercept)
    theirs = risk.value(np.append(other.coef_, other.intercept_) if intercept else other.coef_[0])
    assert walk.fun <= theirs * (1 + 2e-6)
    assert walk.success


def test_digits_at_the_tutorials_rate_saturate_and_at_a_smaller_one_are_learnt(run):
    figures = run("5_digits")
    train, test, digit, digit_test = figures["data"]
    X, y = np.hstack([train, np.ones((len(train), 1))]), (digit == 3).astype(float)
    for rate, walk in figures["walks"].items():
        losses, W = program(X, y, np.zeros(65), alpha=rate)
        np.testing.assert_allclose(2 * walk.record["cost"][:100], losses, rtol=1e-8)
        right = (test @ W[:64] + W[64] > 0) == (digit_test == 3)
        assert figures["accuracy"][rate] == right.mean()
    assert figures["accuracy"][0.01] == np.mean(digit_test != 3)  # "no" to every image
    assert figures["accuracy"][0.01] < figures["accuracy"][0.003] < figures["accuracy"]["log_loss"]
    check_log_loss(figures["best"], train, y, intercept=True)


def test_ten_digits_are_told_apart_as_scikit_learn_does(run):
    figures = run("5_digits")
    train, test, digit, digit_test = figures["data"]
    other = LogisticRegression(C=1 / (len(train) * 0.001), tol=1e-8, max_iter=10_000).fit(train, digit)
    assert np.mean(other.predict(test) == figures["predicted"]) > 0.995
    assert np.mean(figures["predicted"] == digit_test) > 0.95


# --- pictures and commands ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "picture"), every_picture())
def test_the_picture_is_there_and_not_blank(run, folder, name, picture):
    run(name)
    image = imread(folder / f"{picture}.png")[:, :, :3]
    assert min(image.shape[:2]) > 200
    assert 0.01 < np.mean(image.min(axis=2) < 0.97) < 0.9
    assert len(np.unique((100 * image).astype(int) @ [1, 101, 101**2])) > 10


@pytest.mark.parametrize("name", PICTURES)
def test_what_the_pages_show_of_a_tutorial_is_what_it_prints(run, name):
    calls = [call for page in (ROOT / "docs" / "tutorials").glob(f"{name[0]}-*.md") for call in commands(page)]
    shown = [lines for command, lines in calls if command == f"python examples/tutorial_{name}.py"]
    for lines in shown:
        check_shown(lines, run(name, "printed"))


def test_every_example_is_looked_at():
    assert {path.stem.removeprefix("tutorial_") for path in EXAMPLES.glob("tutorial_*.py")} == set(PICTURES)


def test_a_tutorial_runs_from_the_command_line(tmp_path):
    command = [sys.executable, "-W", "error", EXAMPLES / "tutorial_4_cost.py", tmp_path / "new" / "folder"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert (tmp_path / "new" / "folder" / "4-holdout.png").is_file()
