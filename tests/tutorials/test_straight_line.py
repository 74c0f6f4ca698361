"""Tutorial 2, the straight line."""

import numpy as np
import pytest
from plain_descent import descend

from descender.data.examples import HEIGHTS_CM, WEIGHTS_KG

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
