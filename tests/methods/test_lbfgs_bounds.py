"""L-BFGS within a box, beside SciPy's L-BFGS-B: the same minima, and no point outside."""

from functools import partial

import numpy as np
import pytest
import scipy.optimize
from bottoms import booth, booth_der, powell, powell_der
from scipy.optimize import rosen, rosen_der

from descender.costs.cost import Cost
from descender.costs.function import Function
from descender.descent import descend
from descender.methods.auto import quasi_newton
from descender.methods.bounds import Bounds, read_bounds
from descender.methods.conjugate_gradient import ConjugateGradient
from descender.methods.lbfgs import LBFGS
from descender.verbs.minimize import minimize
from descender.walk import Stop


class Fenced(Cost):
    """A cost that cannot be evaluated outside its box."""

    def __init__(self, fun, slope, box):
        self.fun, self.slope, self.box = fun, slope, box
        self.names = tuple(f"w{j}" for j in range(len(box.lower)))

    def value_and_gradient(self, w, rows=None):
        assert self.box.contains(w), "evaluated outside the box"
        return float(self.fun(w)), np.asarray(self.slope(w), dtype=float)


FUNCTIONS = {
    "rosenbrock 2": (rosen, rosen_der, [-1.2, 1.0]),
    "rosenbrock 8": (rosen, rosen_der, [-1.2, 1.0] * 4),
    "booth": (booth, booth_der, [-5.0, 8.0]),
    "powell": (powell, powell_der, [3.0, -1.0, 0.0, 1.0]),
    "cosh": (lambda w: np.sum(np.cosh(w - 1)), lambda w: np.sinh(w - 1), [3.0, -2.0, 0.5]),
}


METHODS = {"L-BFGS": LBFGS, "thrifty": partial(LBFGS, thrifty=True), "conjugate gradient": ConjugateGradient}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("method", METHODS)
def test_the_minima_are_those_of_scipy_and_no_point_is_outside(name, seed, method):
    fun, slope, start = FUNCTIONS[name]
    start, random = np.array(start), np.random.default_rng(seed)
    below, above = random.uniform(0, 1.5, (2, len(start)))
    box = Bounds(start - below, start + above)
    ours = descend(Fenced(fun, slope, box), start, METHODS[method](bounds=box), Stop(max_steps=3000))
    theirs = scipy.optimize.minimize(
        fun, start, jac=slope, method="L-BFGS-B", bounds=[*zip(*box, strict=True)],
        options={"ftol": 1e-16, "gtol": 1e-11, "maxiter": 3000},
    )  # fmt: skip
    assert ours.success, ours.message
    assert ours.fun <= theirs.fun + 1e-8 * max(1.0, abs(theirs.fun))
    assert np.abs(box.projected(ours.x, ours.jac)).max() <= 1e-4 * max(1.0, np.abs(ours.jac).max())


def test_the_message_speaks_of_the_projected_gradient():
    box = read_bounds("x=2..5", ("x", "y"))
    cost = Fenced(lambda w: float(w @ w), lambda w: 2 * w, box)
    result = descend(cost, np.array([4.0, 3.0]), LBFGS(bounds=box))
    assert result.x == pytest.approx([2.0, 0.0], abs=1e-8)
    assert "1 of which holds: the projected gradient is zero" in result.message
    corner = descend(cost, np.array([4.0, 3.0]), LBFGS(bounds=read_bounds([(2, 5), (1, 4)], ("x", "y"))))
    assert corner.x.tolist() == [2.0, 1.0]
    assert "every parameter is at a bound" in corner.message


def test_a_start_outside_is_brought_in_and_what_is_held_fast_stays():
    box = read_bounds([(0.5, 0.5), (-1, 0)], ("x", "y"))
    result = descend(Function(booth, 2, gradient=booth_der), np.array([9.0, 9.0]), LBFGS(bounds=box))
    assert result.x[0] == 0.5
    assert result.x[1] == 0.0
    assert result.success


def test_bounds_far_away_change_nothing():
    box = read_bounds([(-1e9, 1e9)] * 2, ("x", "y"))
    cost = Function(rosen, 2, gradient=rosen_der)
    bounded, free = (descend(cost, np.array([-1.2, 1.0]), LBFGS(bounds=b)) for b in (box, None))
    assert bounded.x == pytest.approx(free.x, abs=1e-7)
    assert bounded.nfev <= free.nfev + 3


def test_auto_hands_the_bounds_on():
    box = read_bounds([(0, 1)], ("x",))
    assert quasi_newton(Function(lambda w: w[0], 1), box).bounds is box


# --- the edges of where a cost is defined --------------------------------------------------------------------------


@pytest.mark.parametrize("start", [1.0, 20.0, 1e-3])
def test_a_logarithm_falls_without_end_towards_its_edge(start):
    with np.errstate(all="ignore"):
        result = descend(Function(lambda w: np.log(w[0]), 1, gradient=lambda w: 1 / w), np.array([start]), LBFGS())
    assert result.status == "unbounded"
    assert "unbounded below" in result.message
    assert "not defined" in result.message
    assert np.isfinite(result.fun)


@pytest.mark.parametrize("method", ["auto", "gd", "adam", "momentum", "polyak-ruppert"])
@pytest.mark.parametrize("start", [[0.0, 0.0], [1.0, 2.0], [2.0, 0.5]], ids=["corner", "edge", "other edge"])
def test_a_function_that_is_measured_is_not_asked_outside_of_its_box(method, start):
    box = read_bounds([(0, 2), (0, 2)], ("x", "y"))

    def only_within(w):
        if not box.contains(w):
            raise RuntimeError("asked outside")
        return (w[0] - 1.5) ** 2 + (w[1] - 3.0) ** 2

    walk = minimize(only_within, start, method, bounds=box, max_steps=300)
    np.testing.assert_allclose(walk.x, [1.5, 2.0], atol=0.01 if method == "polyak-ruppert" else 1e-6)


def test_a_maximum_at_the_start_is_left_within_the_box():
    box = read_bounds([(-1, 1), (-1, 1)], ("x", "y"))

    def dome(w):
        assert box.contains(w), "asked outside"
        return -float(w @ w)

    assert np.abs(minimize(dome, [0.0, 0.0], bounds=box).x).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("method", ["momentum", "nesterov", "averaging", "adam", "nadam", "rmsprop"])
@pytest.mark.parametrize("more", [{}, {"learning_rate": "inverse-time 0.1 0.02"}], ids=["auto", "given"])
def test_a_wall_stops_a_velocity_and_not_the_descent(method, more):
    walk = minimize("(x-1.5)**2 + (y-3)**2", [0.0, 0.0], method, bounds=[(0, 2), (0, 2)], max_steps=250, **more)
    np.testing.assert_allclose(walk.x, [1.5, 2.0], atol=1e-2)


def test_a_finished_walk_is_examined_where_its_function_is_defined():
    def square_roots(w):
        return float(np.sqrt(w[0]) + 0 * np.float64(1.0 / (w[0] > 0))) if w[0] > 0 else int("outside")

    walk = minimize(square_roots, [3.0], "gd", learning_rate=0.1, max_steps=3)
    assert walk.status == "budget"
    assert not walk.findings
