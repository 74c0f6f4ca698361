"""The call of scipy.optimize.minimize, word for word: the same script runs against both libraries."""

from collections import deque

import numpy as np
import pytest
from scipy import optimize
from scipy.optimize import rosen, rosen_der, rosen_hess

import descender
from descender.costs.risk import Risk
from descender.errors import CapabilityError, OptionError
from descender.verbs.scipy_words import OTHERS, WITHOUT_EFFECT, callback_of, in_our_words
from descender.walk import Step

BOTH = pytest.mark.parametrize("minimize", [optimize.minimize, descender.minimize], ids=["SciPy", "descender"])
X0 = [-1.2, 1.0, 0.5]


def shifted(x, by, factor):
    return factor * rosen(np.asarray(x) - by)


def shifted_gradient(x, by, factor):
    return factor * rosen_der(np.asarray(x) - by)


CALLS = {
    "by position": lambda minimize: minimize(rosen, X0),
    "by name": lambda minimize: minimize(fun=rosen, x0=X0),
    "args by position": lambda minimize: minimize(shifted, X0, (0.0, 2.0)),
    "all by position": lambda minimize: minimize(
        shifted, X0, (0.0, 2.0), "BFGS", shifted_gradient, None, None, None, (), 1e-6, None, {"maxiter": 500}
    ),
    "args by name": lambda minimize: minimize(shifted, X0, args=(0.0, 2.0), jac=shifted_gradient),
    "one arg": lambda minimize: minimize(lambda x, by: rosen(x - by), X0, args=np.zeros(len(X0))),
    "BFGS": lambda minimize: minimize(rosen, X0, method="BFGS", jac=rosen_der),
    "bfgs": lambda minimize: minimize(rosen, X0, method="bfgs"),
    "L-BFGS-B": lambda minimize: minimize(rosen, x0=X0, method="L-BFGS-B", jac=rosen_der, options={"maxiter": 300}),
    "no method": lambda minimize: minimize(rosen, X0, method=None, jac=None),
    "jac=True": lambda minimize: minimize(lambda x: (rosen(x), rosen_der(x)), X0, jac=True),
    "jac=False": lambda minimize: minimize(rosen, X0, jac=False),
    "2-point": lambda minimize: minimize(rosen, X0, jac="2-point"),
    "tol": lambda minimize: minimize(rosen, X0, tol=1e-8, jac=rosen_der),
    "gtol": lambda minimize: minimize(rosen, X0, method="BFGS", jac=rosen_der, options={"gtol": 1e-7, "disp": False}),
    "maxfun": lambda minimize: minimize(rosen, X0, method="L-BFGS-B", options={"maxfun": 10_000, "maxcor": 20}),
    "no constraints": lambda minimize: minimize(rosen, X0, constraints=(), bounds=None, hess=None, callback=None),
    "a number": lambda minimize: minimize(lambda x: rosen(np.append(x, [1.0, 1.0])), 0.3),
}


@BOTH
@pytest.mark.parametrize("name", CALLS)
def test_the_same_call_finds_the_same_minimum(name, minimize):
    res = CALLS[name](minimize)
    assert res.x == pytest.approx(np.ones(len(res.x)), abs=1e-3)
    assert res.fun == pytest.approx(0, abs=1e-6)
    assert res.jac == pytest.approx(np.zeros(len(res.x)), abs=1e-2)
    assert res.success
    assert isinstance(res.message, str)
    assert res.nit > 0
    assert min(res.nfev, res.njev) > 0
    assert res["x"] is res.x
    assert res["fun"] == res.fun
    assert "nfev" in res


@BOTH
def test_a_budget_is_no_success(minimize):
    res = minimize(rosen, X0, method="BFGS", jac=rosen_der, options={"maxiter": 3})
    assert not res.success
    assert res.nit == 3


@BOTH
def test_nfev_is_the_number_of_calls(minimize):
    calls = []

    def fun(x):
        calls.append(1)
        return rosen(x)

    slopes = []

    def jac(x):
        slopes.append(1)
        return rosen_der(x)

    res = minimize(fun, X0, method="BFGS", jac=jac)
    assert (res.nfev, res.njev) == (len(calls), len(slopes))


@BOTH
def test_a_callback_of_the_point(minimize):
    seen = []
    res = minimize(rosen, X0, method="BFGS", jac=rosen_der, callback=lambda xk: seen.append(np.copy(xk)))
    assert len(seen) == res.nit
    assert all(type(x) is np.ndarray for x in seen)
    assert np.array(seen).shape[1] == 3
    assert seen[-1] == pytest.approx(res.x)
    assert seen[-2][0] != seen[-1][0]


@BOTH
def test_a_callback_of_the_intermediate_result(minimize):
    seen = []

    def callback(*, intermediate_result):
        seen.append((intermediate_result.x.copy(), intermediate_result.fun))
        assert intermediate_result["fun"] == intermediate_result.fun

    res = minimize(rosen, X0, method="BFGS", jac=rosen_der, callback=callback)
    assert len(seen) == res.nit
    assert seen[-1][0] == pytest.approx(res.x)
    assert seen[-1][1] == pytest.approx(res.fun)
    assert [fun for _, fun in seen] == [pytest.approx(rosen(x)) for x, _ in seen]


@BOTH
@pytest.mark.parametrize("form", ["xk", "intermediate_result"])
def test_stop_iteration_stops(minimize, form):
    def point(xk):
        if rosen(xk) < 5:
            raise StopIteration

    def whole(intermediate_result):
        if intermediate_result.fun < 5:
            raise StopIteration

    res = minimize(rosen, X0, method="BFGS", jac=rosen_der, callback=point if form == "xk" else whole)
    assert not res.success
    assert 0 < res.nit < 15
    assert res.fun < 5
    assert res.fun == rosen(res.x)


@BOTH
def test_an_error_of_the_callback_is_not_swallowed(minimize):
    def callback(xk):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        minimize(rosen, X0, callback=callback)


def test_our_own_callback_gets_a_step_that_is_the_point():
    seen = []
    walk = descender.minimize(rosen, X0, callback=seen.append)
    assert all(type(step) is Step for step in seen)
    assert [step.number for step in seen] == list(range(1, walk.nit + 1))
    assert seen[0].fun == rosen(seen[0].x) < rosen(X0)
    step = seen[2]
    assert type(step.x) is type(step + 1) is type(np.array(step)) is np.ndarray
    assert float(step.sum()) == step.x.sum()
    assert (step.copy().number, step[1:].fun) == (3, step.fun)
    stopped = descender.minimize(rosen, X0, callback=lambda step: step.fun < 5)
    assert stopped.status == "callback"


def test_a_callback_without_a_signature_is_called_with_the_step():
    seen = deque()
    step = Step(1, X0, 0.0, 0.0, 0.0, 0)
    callback_of(seen.append)(step)
    assert seen.pop() is step
    assert callback_of(3) == 3


REFUSED = {
    "cost twice": (lambda m: m(rosen, X0, fun=rosen), OptionError, "cost is given twice, once as fun"),
    "start twice": (lambda m: m(rosen, X0, x0=X0), OptionError, "start is given twice, once as x0"),
    "gradient twice": (lambda m: m(rosen, X0, jac=rosen_der, gradient=rosen_der), OptionError, "gradient .*jac"),
    "steps twice": (lambda m: m(rosen, X0, max_steps=3, options={"maxiter": 3}), OptionError, "options maxiter"),
    "method twice": (lambda m: m(rosen, X0, "gd", method="gd"), OptionError, "method is given twice"),
    "constraints": (lambda m: m(rosen, X0, constraints={"type": "eq"}), CapabilityError, "only bounds"),
    "constraint": (lambda m: m(rosen, X0, constraints=[{"type": "eq"}]), CapabilityError, "only bounds"),
    "an unknown option": (lambda m: m(rosen, X0, options={"maxiters": 3}), OptionError, "did you mean maxiter"),
    "a callable method": (lambda m: m(rosen, X0, method=rosen), OptionError, "expected a name"),
    "an unknown method": (lambda m: m(rosen, X0, method="lbfg"), OptionError, "did you mean lbfgs"),
    "too many": (lambda m: m(*range(13)), OptionError, "at most 12 are read"),
    "a callback": (lambda m: m(rosen, X0, callback=3), OptionError, "callback=3 cannot be called"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_with_advice(name):
    call, error, text = REFUSED[name]
    with pytest.raises(error, match=text):
        call(descender.minimize)


@pytest.mark.parametrize("method", [m for m in OTHERS if m != "cg"])
def test_a_method_of_scipy_that_is_not_here_says_what_is(method):
    with pytest.raises(OptionError, match=f"method='{method.upper()}' is one of SciPy's .* leave method out, or use"):
        descender.minimize(rosen, X0, method=method.upper())


def test_options_without_effect_are_told():
    walk = descender.minimize(rosen, X0, hess=rosen_hess, constraints={}, options={"disp": True, "eps": 1e-8})
    assert walk.notes[-1] == "without effect here: hess, options disp, options eps"
    assert in_our_words({"options": dict.fromkeys(WITHOUT_EFFECT, 1)})[0] == {}


def test_a_variable_comes_before_a_field():
    walk = descender.minimize("(x - 3)**2 + (fun + 1)**2", "x=0 fun=0")
    assert walk["x"] == pytest.approx(3)
    assert walk["fun"] == pytest.approx(-1)
    assert walk.fun == pytest.approx(0)
    assert walk["nit"] == walk.nit


def test_tol_is_the_gradient_that_is_small_enough():
    loose, tight = (descender.minimize(rosen, X0, tol=tol, jac=rosen_der) for tol in (1e-3, 1e-12))
    assert loose.success
    assert loose.status == "small_gradient"
    assert 1e-12 < np.linalg.norm(loose.jac) <= 1e-3
    assert tight.status == "converged"
    assert loose.nit < tight.nit
    far = descender.minimize(rosen, [-1.2, 1.0], tol=1.0, jac=rosen_der)
    assert (far.success, far.status) == (False, "not_there")
    assert "the gradient is as small as asked: " in far.message
    assert " further on" in far.message


# --- bounds --------------------------------------------------------------------------------------------------------

BOXES = {
    "pairs": [(-2, 0.5), (None, None), (0, 2)],
    "Bounds": optimize.Bounds([-2, -np.inf, 0], [0.5, np.inf, 2]),
    "one for all": optimize.Bounds(-0.5, 0.5),
    "held": [(0.3, 0.3), (-1, 1), (-1, 1)],
    "inactive": [(-5, 5)] * 3,
}


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("jac", [rosen_der, None, True])
def test_bounds_in_every_form_of_scipy(name, jac):
    fun = (lambda x: (rosen(x), rosen_der(x))) if jac is True else rosen
    ours, scipys = (
        minimize(fun, X0, jac=jac, method="L-BFGS-B", bounds=BOXES[name], options={"maxiter": 2000})
        for minimize in (descender.minimize, optimize.minimize)
    )
    assert ours.success
    assert ours.fun <= scipys.fun + 1e-7
    if ours.fun > scipys.fun - 1e-3:  # else SciPy fell into another, higher minimum
        assert ours.x == pytest.approx(scipys.x, abs=2e-3)
    box = descender.minimize(fun, X0, jac=jac, bounds=BOXES[name])
    assert box.x == pytest.approx(ours.x, abs=1e-6)
    polished = optimize.minimize(rosen, ours.x, jac=rosen_der, method="L-BFGS-B", bounds=BOXES[name])
    assert ours.fun == pytest.approx(polished.fun, abs=1e-7)
    low, high = np.full(3, -np.inf), np.full(3, np.inf)
    for j, pair in enumerate(BOXES[name] if isinstance(BOXES[name], list) else []):
        low[j], high[j] = (-np.inf if pair[0] is None else pair[0]), (np.inf if pair[1] is None else pair[1])
    assert (low <= ours.x).all()
    assert (ours.x <= high).all()


def test_bounds_with_textbook_methods_risks_and_starts():
    walk = descender.minimize("(x - 3)**2 + (y + 1)**2", "x=0 y=5", "gd", learning_rate=0.1, bounds="x=..1 y=0..")
    assert walk.success
    assert walk.variables == {"x": 1.0, "y": 0.0}
    assert "2 of the bounds hold" in walk.message
    assert "within x=..1, y=0.." in walk.why
    many = descender.minimize("x**4 - 2*x**2 + x/2", starts="sobol 8", bounds="x=0..3")
    assert many["x"] == pytest.approx(0.930403, abs=1e-6)
    assert (many.minima.ends >= 0).all()
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    risk = Risk(X, y, "squared_error", l2=0.1)
    bounded = descender.minimize(risk, bounds={"x0": (0.2, 0.3)} if "x0" in risk.names else [(0.2, 0.3)] + [None] * 2)
    free = optimize.minimize(
        risk.value, np.zeros(3), jac=risk.gradient, bounds=[(0.2, 0.3), (None, None), (None, None)]
    )
    assert bounded.fun == pytest.approx(free.fun, rel=1e-9)
    assert bounded.certificate is None


def test_a_start_outside_and_methods_without_bounds():
    walk = descender.minimize(rosen, [9.0, 9.0], bounds=[(0, 2), (0, 2)])
    assert walk.x == pytest.approx([1, 1], abs=1e-5)
    assert "outside of the bounds" in walk.notes[0]
    with pytest.raises(OptionError, match="bounds for 1 parameters"):
        descender.minimize(rosen, [9.0, 9.0], bounds=[(0, 2)])
