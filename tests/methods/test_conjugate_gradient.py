"""Conjugate gradient on quadratics and valleys, and the line search on Moré and Thuente's own test functions."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

import descender
from descender.costs.function import Function
from descender.descent import descend
from descender.errors import OptionError
from descender.methods.conjugate_gradient import ConjugateGradient
from descender.methods.linesearch import search
from descender.walk import Stop


def walk(fun, gradient, start, **options):
    start = np.array(start, dtype=float)
    return descend(Function(fun, len(start), gradient=gradient), start, ConjugateGradient(**options), Stop(3000))


def test_a_quadratic_takes_about_as_many_steps_as_it_has_distinct_curvatures():
    curvatures = np.repeat([1.0, 10.0, 100.0, 1000.0], 25)
    result = walk(lambda w: 0.5 * float(curvatures @ w**2), lambda w: curvatures * w, np.ones(100))
    assert result.success
    assert result.fun < 1e-12
    assert result.nit <= 12


@pytest.mark.parametrize("d", [2, 10])
def test_rosenbrock(d):
    result = walk(rosen, rosen_der, [-1.2, 1.0] * (d // 2))
    assert result.success
    assert result.x == pytest.approx(np.ones(d), abs=1e-5)


def test_every_direction_is_one_of_descent_and_every_step_keeps_the_wolfe_conditions():
    record = walk(rosen, rosen_der, [-1.2, 1.0]).record
    checked = 0
    for before, after, length in zip(record.path[:-1], record.path[1:], record["step_norm"], strict=False):
        s = after - before
        if not np.isclose(np.linalg.norm(s), length, rtol=1e-6) or rosen(before) < 1e-12:
            continue
        slope = rosen_der(before) @ s
        assert slope < 0
        assert rosen(after) <= rosen(before) + 1e-4 * slope
        assert abs(rosen_der(after) @ s) <= 0.1 * abs(slope) * (1 + 1e-6)
        checked += 1
    assert checked >= 10


@pytest.mark.parametrize("d", [2, 10])
def test_the_directions_are_those_of_the_paper(d):
    """Hager and Zhang's formula, in which only the line of the last direction counts, from point to point."""
    path = walk(rosen, rosen_der, [-1.2, 1.0] * (d // 2)).record.path
    gradients = [rosen_der(w) for w in path]
    compared = 0
    for k in range(1, len(path) - 1):
        last, step = path[k] - path[k - 1], path[k + 1] - path[k]
        y = gradients[k] - gradients[k - 1]
        along = last @ y
        beta = (y - 2 * last * (y @ y) / along) @ gradients[k] / along
        expected = -gradients[k] + max(beta, 0.4 * (last @ gradients[k - 1]) / (last @ last)) * last
        if np.linalg.norm(gradients[k]) < 1e-3:  # from here on the digits of the steps themselves decide
            break
        np.testing.assert_allclose(step / np.linalg.norm(step), expected / np.linalg.norm(expected), atol=1e-9)
        compared += 1
    assert compared >= 10


def test_by_name_and_what_does_not_go_with_it():
    result = descender.minimize("(1-x)**2 + 100*(y-x**2)**2", "x=-1.2, y=1", "cg")
    assert result.success
    assert result.method == "conjugate gradient"
    assert result["x"] == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(OptionError, match="learning_rate does not go with method='cg'"):
        descender.minimize("x**2", "x=1", "cg", learning_rate=0.1)


def test_what_has_no_bottom():
    assert walk(lambda w: w[0], lambda w: np.array([1.0]), [0.0]).status == "unbounded"
    assert walk(lambda w: 3.0, lambda w: np.array([0.0]), [1.0]).status == "plateau"


def yanai(b1, b2):
    """Functions 4 to 6 of Moré and Thuente: flat but for their ends."""
    c1, c2 = np.sqrt(1 + b1**2) - b1, np.sqrt(1 + b2**2) - b2

    def value(a):
        return c1 * np.hypot(1 - a, b2) + c2 * np.hypot(a, b1)

    def slope(a):
        return -c1 * (1 - a) / np.hypot(1 - a, b2) + c2 * a / np.hypot(a, b1)

    return value, slope


def kink(b, l):  # noqa: E741 - the paper's letter
    """Function 3: a rounded kink with waves on it, at 1."""

    def value(a):
        inner = 1 - a if a <= 1 - b else a - 1 if a >= 1 + b else (a - 1) ** 2 / (2 * b) + b / 2
        return inner + 2 * (1 - b) / (l * np.pi) * np.sin(l * np.pi / 2 * a)

    def slope(a):
        inner = -1.0 if a <= 1 - b else 1.0 if a >= 1 + b else (a - 1) / b
        return inner + (1 - b) * np.cos(l * np.pi / 2 * a)

    return value, slope


# J. Moré, D. Thuente, *Line search algorithms with guaranteed sufficient decrease*, 1994, section 5: the functions with
# the conditions under which the paper's tables try them
MORE_THUENTE = {
    1: (lambda a: -a / (a**2 + 2), lambda a: (a**2 - 2) / (a**2 + 2) ** 2, 1e-3, 1e-1),
    2: (
        lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4,
        lambda a: 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3,
        1e-1,
        1e-1,
    ),
    3: (*kink(0.01, 39), 1e-1, 1e-1),
    4: (*yanai(0.001, 0.001), 1e-3, 1e-3),
    5: (*yanai(0.01, 0.001), 1e-3, 1e-3),
    6: (*yanai(0.001, 0.01), 1e-3, 1e-3),
}


@pytest.mark.parametrize("first", [1e-3, 1e-1, 1e1, 1e3])
@pytest.mark.parametrize("number", MORE_THUENTE)
def test_strong_wolfe_on_more_and_thuentes_functions(number, first):
    value, slope, sufficient, curvature = MORE_THUENTE[number]
    cost = Function(lambda w: value(w[0]), 1, gradient=lambda w: np.array([slope(w[0])]))
    w, one = np.zeros(1), np.ones(1)
    begin, g = cost.value_and_gradient(w)
    assert g[0] < 0
    found = search(cost, w, one, begin, g, first, sufficient=sufficient, curvature=curvature)
    t = found.trial
    assert t.value <= begin + sufficient * t.step * g[0]
    assert abs(t.slope) <= curvature * abs(g[0])
    assert found.evaluations <= 40
