"""Gradient truth: planted faults are caught by hand and during a walk, and right gradients are left in peace."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from descender import check_gradient, minimize
from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.errors import InputError, OptionError

pytestmark = pytest.mark.usefixtures("uncompiled")

D = 1000
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(50, D)), RNG.normal(size=50)
SINGLE = A.astype(np.float32), B.astype(np.float32)


def cost(w):
    return float(np.logaddexp(0, A @ w + B).mean() + 0.01 * w @ w)


def slope(w):
    return A.T @ (1 / (1 + np.exp(-(A @ w + B)))) / 50 + 0.02 * w


def cost_in_single_precision(w):
    """Which returns a Python float, so that no type tells."""
    w = w.astype(np.float32)
    return float(np.logaddexp(np.float32(0), SINGLE[0] @ w + SINGLE[1]).mean() + np.float32(0.01) * (w @ w))


def wrong_at(j, factor):
    def gradient(w):
        g = slope(w)
        g[j] *= factor
        return g

    return gradient


FAULTS = {
    "one sign": wrong_at(17, -1),
    "one twice": wrong_at(998, 2),
    "one 1 %": wrong_at(3, 1.01),
    "one zero": wrong_at(0, 0),
    "all signs": lambda w: -slope(w),
    "all twice": lambda w: 2 * slope(w),
    "reversed": lambda w: slope(w)[::-1],
}
POINTS = [np.random.default_rng(k).normal(size=D) * 10.0 ** (k % 5 - 2) for k in range(8)]


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught_by_few_evaluations(name):
    for k, w in enumerate(POINTS):
        check = check_gradient(cost, w, FAULTS[name], seed=k)
        assert not check.ok
        assert check.evaluations < 200
    full = check_gradient(lambda w: cost(np.pad(w, (0, D - 20))), POINTS[2][:20], FAULTS_OF_20[name], full=True)
    assert not full.ok
    if name.startswith("one"):
        assert full.worst == "w3"
        assert abs(full.measured - slope(np.pad(POINTS[2][:20], (0, D - 20)))[3]) <= 2 * full.error + 1e-9


def shortened(fault):
    return lambda w: fault(np.pad(w, (0, D - 20)))[:20]


FAULTS_OF_20 = {name: shortened(fault) for name, fault in FAULTS.items()} | {
    f"one {name}": shortened(wrong_at(3, f)) for name, f in {"sign": -1, "twice": 2, "1 %": 1.01, "zero": 0}.items()
}


def test_right_gradients_pass():
    for k, w in enumerate(POINTS):
        check = check_gradient(cost, w, slope, seed=k)
        assert check.ok, check
        assert check.evaluations < 40
        assert abs(check.given - check.measured) <= check.error + 1e-6 * abs(check.given)


def test_noise_of_single_precision_is_not_called_wrong_but_a_wrong_sign_is():
    for k, w in enumerate(POINTS):
        assert check_gradient(cost_in_single_precision, w, lambda w: slope(w).astype(np.float32), seed=k).ok
        assert not check_gradient(cost_in_single_precision, w, lambda w: -slope(w), seed=k).ok
        assert not check_gradient(cost_in_single_precision, w, lambda w: 2 * slope(w), seed=k).ok
    few = check_gradient(lambda w: cost_in_single_precision(np.pad(w, (0, D - 9))), np.ones(9), shortened9, full=True)
    assert few.ok, few


def shortened9(w):
    return slope(np.pad(w, (0, D - 9)))[:9]


def test_formulas_and_risks_are_checked_by_their_own_gradients():
    assert check_gradient("log(cosh(x)) + x*y**2", "x=0.3 y=2", full=True).ok
    columns = {"x": [0.0, 1.0, 2.0], "y": [1.0, 3.0, 4.0]}
    assert check_gradient("mean((y - (m*x + c))**2)", {"m": 1, "c": 0}, data=columns).ok
    risk = Risk(A[:, :5], (B > 0).astype(float), "log_loss", l2=0.1)
    assert check_gradient(risk, np.ones(6), full=True).ok

    class Wrong(Formula):
        def value_and_gradient(self, w, rows=None):
            value, gradient = super().value_and_gradient(w, rows)
            return value, gradient * [1, 2]

    check = check_gradient(Wrong("x**2 + y**2"), [1.0, 1.0], full=True)
    assert (check.ok, check.worst, check.given) == (False, "y", 4.0)
    assert check.measured == pytest.approx(2.0)
    assert "given 4, measured 2 +- " in str(check)
    assert str(check).startswith("the gradient is wrong: by y it is 4, difference quotients say 2\n")


def test_kinks_are_told_and_not_taken_for_faults():
    check = check_gradient(lambda w: np.abs(w).sum(), [0.0, 1.0], np.sign, full=True)
    assert check.ok
    assert check.doubtful == ("w0",)
    assert not check_gradient(lambda w: np.abs(w).sum(), [3.0, 1.0], lambda w: -np.sign(w)).ok


def test_what_has_no_gradient_of_its_own_is_not_compared_with_itself():
    with pytest.raises(OptionError, match="which one is to be checked"):
        check_gradient(rosen, [0.0, 0.0])
    with pytest.raises(OptionError, match="there is none to be checked"):
        minimize(rosen, [0.0, 0.0], check_gradient=True)
    with pytest.raises(OptionError, match="check_gradient=-1"):
        minimize(rosen, [0.0, 0.0], gradient=rosen_der, check_gradient=-1)
    with pytest.raises(InputError, match="is not finite"):
        check_gradient(rosen, [0.0, 0.0], lambda w: w * np.nan)


# --- during a walk -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"method": "gd", "learning_rate": 1e-3, "max_steps": 300}])
@pytest.mark.parametrize("often", [True, 1, 7])
def test_a_right_gradient_walks_on_as_without_checks(options, often):
    walk = minimize(rosen, [-1.2, 1.0], gradient=rosen_der, check_gradient=often, **options)
    plain = minimize(rosen, [-1.2, 1.0], gradient=rosen_der, **options)
    assert (walk.x == plain.x).all()
    assert (walk.nit, walk.status, walk.message) == (plain.nit, plain.status, plain.message)
    assert walk.nfev > plain.nfev
    assert not walk.findings


def test_a_gradient_wrong_from_the_start_is_told_before_the_first_step():
    walk = minimize(rosen, [-1.2, 1.0], gradient=lambda w: rosen_der(w) * [1, -1], check_gradient=True)
    assert (walk.nit, walk.status, walk.success) == (0, "wrong_gradient", False)
    assert walk.message.startswith(
        "the gradient is wrong: by w1 it is 88, difference quotients say -88, at step 0, w = "
    )
    (finding,) = walk.findings
    assert (finding.code, finding.severity) == ("D210", "critical")
    assert "w1" in finding.remedy


@pytest.mark.parametrize("often", [True, 5])
def test_a_gradient_that_becomes_wrong_later_is_told_where(often):
    def later(w):
        return rosen_der(w) * (np.array([1, 1.5]) if w[0] > -0.9 else 1)

    options = {"method": "gd", "learning_rate": 5e-4, "max_steps": 400}
    walk = minimize(rosen, [-1.2, 1.0], gradient=later, check_gradient=often, **options)
    assert walk.status == "wrong_gradient"
    assert walk.x[0] > -0.9
    right = minimize(rosen, [-1.2, 1.0], gradient=rosen_der, **options).record.path
    first = int(np.argmax(right[:, 0] > -0.9))
    assert first <= walk.nit <= (first + 5 if often == 5 else min(2 * first, 400))
    assert f"at step {walk.nit:,}, w = [" in walk.message


def test_a_wrong_gradient_is_told_where_the_walk_stands_still():
    for wrong in (lambda w: -rosen_der(w), lambda w: rosen_der(w) * [1.0, 1.0, -1.0, 1.0, 1.0]):
        walk = minimize(rosen, [1.3, 0.7, 0.8, 1.9, 1.2], gradient=wrong)
        assert walk.status == "wrong_gradient"
        assert not walk.success
        assert walk.nfev < 1000
        assert [finding.code for finding in walk.findings] == ["D210"]
    kinked = minimize(lambda w: abs(w[0]) + abs(w[1] - 1.0), [3.0, 3.0], gradient=lambda w: np.sign(w - [0.0, 1.0]))
    assert kinked.status != "wrong_gradient"


def test_compiled_walks_are_checked_too():
    class Later(Formula):
        def value_and_gradient(self, w, rows=None):
            value, gradient = super().value_and_gradient(w, rows)
            return value, gradient * (1 + (w[0] < 0.5))

        def value(self, w, rows=None):
            return super().value_and_gradient(w, rows)[0]

    walk = minimize(Later("x**2"), [1.0], "gd", learning_rate=1e-3, max_steps=5000, check_gradient=100)
    assert walk.status == "wrong_gradient"
    assert 0.4 < walk.x[0] < 0.5
