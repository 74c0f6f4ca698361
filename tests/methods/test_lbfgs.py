"""L-BFGS on functions whose bottoms are known, and on those that have none; the Wolfe conditions at each step."""

import pickle

import numpy as np
import pytest
from bottoms import TABLE, Plain, booth, booth_der, quotient, saddle, saddle_der, walk
from scipy.optimize import LbfgsInvHessProduct, rosen, rosen_der, rosen_hess

from descender import minimize
from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods.critical import Critical
from descender.methods.lbfgs import LBFGS, Pairs, changed
from descender.methods.linesearch import CURVATURE, FAR, SUFFICIENT, search
from descender.walk import Stop


def found(result, least, where, near):
    """Whether a walk ended at a known minimum and says so."""
    assert result.status == "converged"
    assert result.success
    assert result.fun <= least + 1e-9
    assert min(np.abs(result.x - point).max() for point in np.array(where, dtype=float)) <= near


@pytest.mark.parametrize("name", TABLE)
def test_known_minima(name):
    fun, gradient, start, least, where, near = TABLE[name]
    elsewhere = np.array(start) + 0.1
    expected = quotient(fun, elsewhere)
    assert gradient(elsewhere) == pytest.approx(expected, rel=1e-4, abs=1e-8 + 1e-6 * np.abs(expected).max())
    result = walk(fun, gradient, start)
    found(result, least, where, near)
    assert result.nit < (800 if name == "narrow valley" else 300)  # SciPy: 721 steps
    assert result.cost.asked < 2 * result.nit + 60


def test_a_walk_that_ends_early_is_not_taken_for_a_minimum():
    _, _, _, least, where, near = TABLE["rosenbrock 2"]
    result = walk(rosen, rosen_der, [-1.2, 1.0], Stop(max_steps=5))
    assert result.nit == 5
    assert result.status == "budget"
    with pytest.raises(AssertionError):
        found(result, least, where, near)


def test_a_wrong_gradient_is_not_taken_for_a_minimum():
    result = walk(booth, lambda w: [-g for g in booth_der(w)], [4.0, 4.0])
    assert not result.success
    assert result.status == "stuck"
    assert "gradient" in result.message


@pytest.mark.parametrize("name", ["rosenbrock 2", "booth"])
@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e30, 1e155, 1e200])
def test_the_size_of_the_cost_does_not_matter(name, size):
    fun, gradient, start, _, where, near = TABLE[name]
    result = walk(lambda w: size * fun(w), lambda w: size * np.asarray(gradient(w), dtype=float), start)
    assert result.status == "converged"
    assert min(np.abs(result.x - point).max() for point in np.array(where, dtype=float)) <= max(near, 1e-6)


@pytest.mark.parametrize("size", [1e-50, 1e-12, 1e12, 1e100])
def test_the_unit_of_the_parameters_does_not_matter_much(size):
    result = walk(lambda w: booth(w / size), lambda w: np.array(booth_der(w / size)) / size, [-10.0 * size, 8.0 * size])
    assert result.x / size == pytest.approx([1.0, 3.0], rel=1e-6)
    assert result.status == "converged"


# --- outcomes ------------------------------------------------------------------------------------------------------


def test_unbounded_below_is_told_apart():
    result = walk(lambda w: w[0] + w[1], lambda w: [1.0, 1.0], [3.0, 0.0])
    assert result.status == "unbounded"
    assert not result.success
    assert "unbounded below" in result.message
    assert np.isfinite(result.x).all()
    assert np.isfinite(result.fun)


@pytest.mark.parametrize("start", [0.0, 5.0, 30.0])
def test_an_infimum_that_is_not_reached_is_no_minimum(start):
    with np.errstate(all="ignore"):
        result = walk(lambda w: np.exp(-w[0]), lambda w: [-np.exp(-w[0])], [start])
    assert result.status == "no_minimum"
    assert not result.success
    assert result.message.startswith("no minimum")
    assert "fall" in result.message
    assert np.isfinite(result.x).all()


@pytest.mark.parametrize(
    ("fun", "start"),
    [
        (lambda w: np.tanh(w[0]) + w[1] ** 2, [2.0, 1.0]),
        (lambda w: 1 / (1 + np.exp(-w[0])), [1.0]),
        (lambda w: 1 / (1 + np.exp(-w[0])) + (w[1] - 2) ** 2, [1.0, 0.0]),
        (lambda w: np.arctan(w[0]) + w[1] ** 2, [1.0, 3.0]),
        (lambda w: np.tanh(w[0]) + 0.1 * w[1] ** 4, [1.0, 1.0]),
        (lambda w: np.tanh(w[0]) + 0.1 * w[1] ** 4, [0.5, 2.0]),
        (lambda w: np.exp(-w[0]) + (w[1] - 2) ** 4, [1.0, 1.0]),
    ],
    ids=["tanh", "sigmoid", "sigmoid beside a valley", "arctan", "beside a flat one", "from elsewhere", "to zero"],
)
def test_an_infimum_that_is_not_attained_is_no_minimum(fun, start):
    assert minimize(fun, start).status == "no_minimum"
    bottom = minimize(lambda w: fun(w) + 1e-3 * w[0] ** 2, start)
    assert bottom.success, bottom.message


@pytest.mark.parametrize("power", [2, 4])
def test_a_bottom_that_is_level_on_one_side_is_a_minimum(power):
    walk = minimize(lambda w: max(w[0], 0.0) ** power + (w[1] - 1) ** 4, [3.0, 2.0])
    assert walk.success, walk.message
    assert walk.fun < 1e-8


@pytest.mark.parametrize("start", [[1.0, 1.0], [-3.0, 0.5], [30.0, -2.0]])
def test_a_tail_beside_a_valley_is_no_flat_minimum(start):
    """1/(1+x^2) + y^2: the bottom of the valley falls for ever, along x."""
    result = walk(
        lambda w: 1 / (1 + w[0] ** 2) + w[1] ** 2,
        lambda w: [-2 * w[0] / (1 + w[0] ** 2) ** 2, 2 * w[1]],
        start,
    )
    assert result.status == "no_minimum"
    assert not result.success


@pytest.mark.parametrize("d", [1, 2, 5])
def test_separable_classes_give_a_bounded_loss_no_minimum(d):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, d))
    y = (X[:, 0] + 0.3 * X[:, -1] > 0).astype(float)
    result = minimize(Risk(X, y, "sigmoid_squared_error"))
    assert (result.success, result.status) == (False, "no_minimum")
    assert "J keeps falling along" in result.message
    assert minimize(Risk(X, y, "sigmoid_squared_error", l2=1e-3)).success


@pytest.mark.parametrize(
    "formula", ["x**4", "(x-2)**4", "1 + x**6", "tanh(x)**2", "x**4 + y**4 + (x-y)**6", "(x*y - 1)**2", "x**4 + 0*y"]
)
@pytest.mark.parametrize("start", [1.5, -0.7])
def test_a_flat_minimum_is_still_a_minimum(formula, start):
    result = minimize(formula, dict.fromkeys("xy" if "y" in formula else "x", start))
    assert (result.success, result.status) == (True, "converged")


@pytest.mark.parametrize("start", [2.0, 0.5, -0.001])
def test_an_inflection_is_not_a_minimum(start):
    """x^3 falls without end on the left; a walk that comes from the right may not call 0 its bottom."""
    result = walk(lambda w: w[0] ** 3, lambda w: [3 * w[0] ** 2], [start])
    assert result.status in ("unbounded", "no_minimum", "stuck")
    assert not result.success
    assert np.isfinite(result.x).all()
    assert np.isfinite(result.fun)


def test_starting_at_an_inflection():
    result = walk(lambda w: w[0] ** 3, lambda w: [3 * w[0] ** 2], [0.0])
    assert not result.success
    assert np.isfinite(result.fun)


def test_a_minimum_is_described_by_its_curvatures():
    assert "minimum" in walk(booth, booth_der, [0.0, 0.0]).message
    assert walk(booth, booth_der, [0.0, 0.0], convex=True).message == "the minimum of a convex cost"
    flat = walk(lambda w: w[0] ** 2, lambda w: [2 * w[0], 0.0], [3.0, 7.0])
    assert flat.status == "converged"
    assert "zero" in flat.message
    assert flat.x == pytest.approx([0.0, 7.0], abs=1e-8)


def test_a_constant_is_a_plateau():
    result = walk(lambda w: 3.0, lambda w: [0.0, 0.0], [1.0, 2.0])
    assert (result.success, result.status, result.nit) == (False, "plateau", 0)


def test_a_level_bottom_within_walls_is_a_minimum():
    basin = "relu(x - 1)**2 + relu(-x - 1)**2"
    assert minimize(basin, {"x": 0.25}).success
    assert minimize(basin, {"x": 0.25}, "gd", learning_rate=0.1).success


@pytest.mark.parametrize("n", [6, 8, 10])
def test_a_flat_minimum_far_above_zero_is_reached_as_far_as_digits_tell(n):
    result = minimize(f"1 + x**{n}", {"x": 2.0})
    assert result.success
    assert result.fun == 1.0


def test_a_saddle_is_left_and_noted():
    result = walk(saddle, saddle_der, [0.0, 0.0])
    assert any("saddle" in note for note in result.notes)
    assert result.fun == pytest.approx(-1.0, abs=1e-9)
    stays = walk(saddle, saddle_der, [0.0, 0.0], escapes=0)
    assert stays.status == "stuck"
    assert "saddle" in stays.message


def test_points_that_are_not_finite_are_too_far():
    """log x - x: the first steps lead to where it is not defined."""
    with np.errstate(all="ignore"):
        result = walk(lambda w: 1e3 * w[0] - np.log(w[0]), lambda w: [1e3 - 1 / w[0]], [1.0])
    assert result.x == pytest.approx([1e-3], rel=1e-6)
    assert result.status == "converged"
    assert np.isfinite(result.record["cost"]).all()


def test_a_risk_is_a_cost_like_others():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4)) * [1e-3, 1.0, 10.0, 1e3]
    risk = Risk(X, X @ [1.0, 2.0, 3.0, 0.1] + rng.normal(size=80), l2=1e-8)
    result = descend(risk, np.zeros(5), LBFGS())
    rows = np.c_[X, np.ones(80)]
    best = np.linalg.solve(rows.T @ rows / 80 + np.diag([1e-8] * 4 + [0.0]), rows.T @ risk.y / 80)
    assert result.success
    assert result.fun <= risk.value(best) * (1 + 1e-12)
    assert result.record["rows_seen"][-1] == 80 * result.nfev


def test_same_walk_twice():
    first, again = (walk(rosen, rosen_der, [-1.2, 1.0] * 3) for _ in range(2))
    assert (first.record.path == again.record.path).all()
    assert first.nfev == again.nfev


def test_evaluations_are_those_that_the_cost_saw():
    result = walk(rosen, rosen_der, [-1.2, 1.0], convex=True)
    assert result.nfev == result.cost.asked


def test_budgets_are_kept():
    assert walk(rosen, rosen_der, [-1.2, 1.0], Stop(max_steps=7)).nit == 7
    few = walk(rosen, rosen_der, [-1.2, 1.0], Stop(max_evaluations=10))
    assert few.status == "budget"
    assert few.nfev <= 10 + 40  # the line search of one step


# --- the strong Wolfe conditions -----------------------------------------------------------------------------------


def wolfe_holds(record, cost):
    """Sufficient decrease, within rounding, and a slope that has become smaller in size."""
    path, steps = record.path, record["step_norm"]
    checked = 0
    for k in range(len(path) - 1):
        s = path[k + 1] - path[k]
        if not np.isclose(np.linalg.norm(s), steps[k], rtol=1e-6, atol=0):
            continue  # a step from a saddle, or by Newton's method: no line was searched
        f0, g0 = cost.value_and_gradient(path[k])
        f1, g1 = cost.value_and_gradient(path[k + 1])
        before, after = float(g0 @ s), float(g1 @ s)
        assert before < 0
        rounding = 4e-15 * abs(f0)
        exact = f1 <= f0 + SUFFICIENT * before + 1e-15 * abs(f0)
        assert exact or (f1 <= f0 + rounding and after <= (2 * SUFFICIENT - 1) * before)
        assert abs(after) <= CURVATURE * abs(before) * (1 + 1e-9)
        checked += 1
    return checked


@pytest.mark.parametrize("name", [name for name in TABLE if name not in ("at the bottom",)])
def test_strong_wolfe_conditions_hold_at_every_step(name):
    fun, gradient, start = TABLE[name][:3]
    result = walk(fun, gradient, start)
    assert wolfe_holds(result.record, result.cost) >= min(result.nit, 1)
    assert (np.diff(result.record["cost"]) <= 4e-15 * (1 + np.abs(result.record["cost"][:-1]))).all()


def test_the_wolfe_checker_sees_steps_that_are_too_short():
    cost = Plain(booth, booth_der, 2)
    w = np.array([-10.0, 8.0])
    g = cost.gradient(w)
    short = descend(cost, w, LBFGS(), Stop(max_steps=1)).record
    short.path[1] = w - 1e-9 * g
    short.columns["step_norm"][0] = np.linalg.norm(1e-9 * g)
    with pytest.raises(AssertionError):
        wolfe_holds(short, cost)


@pytest.mark.parametrize("first", [1e-8, 1.0, 1e8])
def test_search_from_any_first_step(first):
    for fun, gradient, start, *_ in TABLE.values():
        w = np.array(start, dtype=float)
        cost = Plain(fun, gradient, len(w))
        value, g = cost.value_and_gradient(w)
        if not g.any():
            continue
        direction = -g / np.linalg.norm(g)
        with np.errstate(all="ignore"):
            t, _, endless, _ = search(cost, w, direction, value, g, first)
        if endless:
            assert t.step > FAR * first
            continue
        assert t.value <= value + SUFFICIENT * t.step * (g @ direction) + 1e-15 * abs(value)
        assert abs(t.slope) <= CURVATURE * abs(g @ direction)


def test_search_against_the_gradient_finds_nothing():
    cost = Plain(booth, booth_der, 2)
    w = np.array([4.0, 4.0])
    value, g = cost.value_and_gradient(w)
    trial = search(cost, w, g, value, -g).trial  # a gradient of the wrong sign
    assert trial is None or trial.value >= value


# --- the memory ----------------------------------------------------------------------------------------------------


def test_pairs_make_the_inverse_hessian_of_a_quadratic():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(5, 5))
    H = A @ A.T + np.eye(5)
    _, V = np.linalg.eigh(H)
    pairs = Pairs(5)
    for v in V.T:
        assert pairs.add(v, H @ v)
    g = rng.normal(size=5)
    assert pairs.solve(g) == pytest.approx(np.linalg.solve(H, g), rel=1e-10)
    assert Pairs(3).solve(g) == pytest.approx(g)
    assert Pairs(3).solve(g, lambda v: 2 * v) == pytest.approx(2 * g)


def test_pairs_satisfy_the_secant_equation_and_forget_the_oldest():
    rng = np.random.default_rng(1)
    pairs = Pairs(4)
    for _ in range(7):
        s = rng.normal(size=6)
        y = s * rng.uniform(0.5, 2.0, 6)
        pairs.add(s, y)
    assert len(pairs.pairs) == 4
    assert pairs.solve(y) == pytest.approx(s, rel=1e-12)


def test_pairs_without_positive_curvature_are_left_out():
    pairs = Pairs(4)
    assert not pairs.add(np.ones(2), -np.ones(2))
    assert not pairs.add(np.ones(2), np.zeros(2))
    assert not pairs.add(np.ones(2), np.array([1.0, -1.0]))
    assert not pairs.add(np.ones(2), np.array([np.nan, 1.0]))
    assert len(pairs.pairs) == 0


@pytest.mark.parametrize("start", [[40.0], [40.0, 3.0], [40.0] * 5])
@pytest.mark.parametrize("method", ["auto", "lbfgs", "gd", "momentum"])
def test_a_start_on_a_plateau_is_no_minimum(start, method):
    bump = {"cost": lambda w: -np.exp(-w @ w), "gradient": lambda w: 2 * w * np.exp(-w @ w)}
    result = minimize(**bump, start=start, method=method)
    assert (result.success, result.status) == (False, "plateau")
    assert "a plateau" in result.message
    assert method not in ("auto", "lbfgs") or minimize(**bump, start=[0.5] * len(start), method=method).success


@pytest.mark.parametrize("formula", ["1 + x**8", "x**4", "x**4 + 0*y", "x**10 + y**8"])
@pytest.mark.parametrize("method", ["auto", "gd"])
def test_a_start_at_a_flat_minimum_is_no_plateau(formula, method):
    result = minimize(formula, dict.fromkeys("xy" if "y" in formula else "x", 0.0), method)
    assert (result.success, result.x.any()) == (True, False)


@pytest.mark.parametrize("scale", [1.0, 1e200])
def test_the_inverse_hessian_that_was_learnt(scale):
    """SciPy's operator, about as good as the array of its BFGS; the cost's own scale and a pickle do not matter."""
    result = minimize(lambda w: scale * rosen(w), [1.3, 0.7, 0.8], jac=lambda w: scale * rosen_der(w))
    H = pickle.loads(pickle.dumps(result)).hess_inv
    assert isinstance(H, LbfgsInvHessProduct)
    exact = np.linalg.inv(rosen_hess(result.x))
    np.testing.assert_allclose(np.diag(H) * scale, np.diag(exact), rtol=0.1)
    np.testing.assert_allclose(H @ np.ones(3), np.asarray(H).sum(axis=1))
    assert H[0, 1] == H.todense()[1, 0]
    assert dict(result)["hess_inv"].shape == (3, 3)
    assert "hess_inv" not in minimize(rosen, [1.3, 0.7, 0.8], "cg", jac=rosen_der)


@pytest.mark.parametrize(
    ("cost", "start", "lowest"),
    [
        (lambda w: float(np.exp(100 * w[0] ** 2)) + (w[1] - 1) ** 2, [2.6, 10.0], 1.0),
        (lambda w: 1e307 * (w[0] ** 4 / 4 - w[0] ** 2 / 2 + (w[1] + 1) ** 2), [0.0, 0.5], -2.5e306),
        (lambda w: 1e-320 * ((w[0] - 3) ** 2 + 10 * (w[1] + 1) ** 2), [1.5, 0.5], None),
    ],
    ids=["steep", "huge", "subnormal"],
)
def test_costs_at_the_ends_of_the_numbers(cost, start, lowest):
    walk = minimize(cost, start)
    assert np.isfinite(walk.fun)
    assert walk.fun <= cost(np.array(start))
    if lowest is not None:
        assert walk.fun == pytest.approx(lowest, rel=1e-3)


def test_a_promise_beyond_the_numbers_is_one():
    point = Critical("minimum", "", np.array([1e-5, 1e290]), np.eye(2))
    step, promise = point.newton(np.array([1e200, 1e299]))
    assert (step.tolist(), promise) == ([0.0, pytest.approx(-1e9)], pytest.approx(5e307))
    assert point.newton(np.array([0.0, 1e303]))[1] == np.inf


def test_many_parameters_need_no_matrix():
    """A matrix of 100,000 x 100,000 would take 80 GB."""
    curvature = np.linspace(1.0, 10.0, 100_000)
    found = minimize(lambda w: (float(0.5 * w @ (curvature * w)), curvature * w), np.ones(100_000), gradient=True)
    assert found.success, found.message
    assert found.fun < 1e-5


def test_the_change_of_the_gradient_is_that_of_the_end_in_all_units():
    """Of a cubic along the step the curvature at its end is met, and y is lengthened only, in any units."""
    rng = np.random.default_rng(4)
    A, b, unit = np.diag([2.0, 3.0, 5.0]), rng.normal(size=3), np.array([1e-3, 1.0, 1e4])

    def cubic(w):
        return 0.5 * w @ A @ w + (b @ w) ** 3 / 60, A @ w + (b @ w) ** 2 / 20 * b

    w, s = np.ones(3), np.array([0.1, -0.2, 0.3])
    (f, g), (after, slope) = cubic(w), cubic(w + s)
    end = s @ (A @ s) + (b @ (w + s)) * (b @ s) ** 2 / 10
    plain, longer = changed(s, f, g, after, slope), changed(s, f, g, after, slope, lengthen=True)
    assert s @ plain == pytest.approx(end, rel=1e-10)
    assert s @ longer == pytest.approx(end, rel=1e-10)
    in_units = changed(s / unit, f, g * unit, after, slope * unit, lengthen=True)
    np.testing.assert_allclose(in_units / unit, longer, rtol=1e-10)
    assert not np.allclose(changed(s / unit, f, g * unit, after, slope * unit) / unit, plain, rtol=1e-2)


def test_noise_is_not_called_a_saddle_without_a_doubt():
    found = minimize(lambda w: (w[0] - 1) ** 2 + 10 * (w[1] + 2) ** 2 + 1e-8 * np.sin(1e9 * w[0]), [5.0, 5.0])
    np.testing.assert_allclose(found.x, [1.0, -2.0], atol=1e-3)
    assert found.success or "noisy" in found.message or "smooth" in found.message
