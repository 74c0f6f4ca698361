"""The path of l1 on rows that are fewer than the columns: the same points as by moments, whatever the columns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descender.costs.risk import Risk
from descender.data.split import crossed, once
from descender.methods import line, squares
from descender.methods.squares import squares_path


def both_ways(risk, strengths, folds):
    """The points of a path by rows and by moments."""
    assert squares.keeps_to_rows(risk, "l1")
    by_rows = squares_path(risk, "l1", strengths, folds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(squares, "keeps_to_rows", lambda risk, kind: False)
        return by_rows, squares_path(risk, "l1", strengths, folds)


def assert_alike(by_rows, by_moments, rtol=1e-6):
    for a, b in zip(by_rows, by_moments, strict=True):
        assert a.proved
        assert a.gap < 1e-7
        np.testing.assert_allclose(a.losses, b.losses, rtol=rtol)


def problem(seed, n, d, alike, noise=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + alike * rng.normal(size=(n, 1)) + rng.normal(size=d)
    y = X @ (rng.normal(size=d) * (rng.random(d) < 0.2)) + noise * rng.normal(size=n) + 3.0
    top = float(np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / n)
    return rng, X, y, top * np.geomspace(1.2, 1e-2, 20)


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 10.0]), st.sampled_from([0.0, 0.05]), st.booleans())
def test_rows_tell_what_moments_tell(seed, alike, l2, intercept):
    rng, X, y, strengths = problem(seed, 24, 40, alike)
    s = rng.integers(0, 4, size=24).astype(float)
    risk = Risk(X, y, l2=l2, sample_weight=s, intercept=intercept)
    assert_alike(*both_ways(risk, strengths, crossed(24, 3, seed=seed)))


def test_coarse_strengths_make_columns_join_late(monkeypatch):
    _, X, y, strengths = problem(1, 30, 60, 0.5)
    backs = []
    monkeypatch.setattr(line.Line, "back", lambda self, back=line.Line.back: backs.append(1) or back(self))
    assert_alike(*both_ways(Risk(X, y), strengths[::6], crossed(30, 3)))
    assert backs


def test_a_wrong_line_is_noticed_and_left(monkeypatch):
    _, X, y, strengths = problem(2, 30, 60, 0.5)
    anew, fall = [], line.compiled()

    def wrong(H, size, slope, w, *others):
        told = fall(H, size, slope, w, *others)
        w[:size] *= 1.0 + 1e-3
        return told

    monkeypatch.setattr(line, "compiled", lambda: wrong)
    monkeypatch.setattr(line, "lasso", lambda *given, lasso=line.lasso: anew.append(1) or lasso(*given))
    assert_alike(*both_ways(Risk(X, y), strengths, crossed(30, 3)))
    assert anew


def test_columns_far_from_zero_equal_ones_float32_and_a_single_fold():
    _, X, y, strengths = problem(3, 40, 50, 0.0)
    X[:, 7] = X[:, 3]
    X[:, 9] = 2.0
    folds = once(np.arange(40) % 4 == 0, "a quarter")
    for moved in (X + 1e4, X.astype(np.float32)):
        risk = Risk(moved, y)
        by_rows, by_moments = both_ways(risk, strengths, folds)
        tight = 1e-6 if moved.dtype == np.float64 else 1e-4
        assert_alike(by_rows, by_moments, tight)
        for a, b in zip(by_rows, by_moments, strict=True):
            np.testing.assert_allclose(a.squares, b.squares, rtol=tight)
            rows = np.flatnonzero(folds.judges(0))
            loss = risk.loss.value(risk.scores(a.w, moved[rows]), y[rows])
            assert a.losses[0] == pytest.approx(loss.mean(), rel=tight)


def test_few_rows_and_weak_penalties_end_in_fits_without_a_rest():
    _, X, y, strengths = problem(4, 20, 200, 0.0, noise=0.1)
    points = squares_path(Risk(X, y), "l1", strengths[0] * np.geomspace(1.0, 1e-4, 40), crossed(20, 4))
    assert len(points) == 40
    assert all(point.proved and np.isfinite(point.losses).all() for point in points)
    assert np.count_nonzero(points[-1].w) <= 21


def test_a_path_keeps_to_rows_where_these_are_few():
    X = np.ones((10, 12))
    assert squares.keeps_to_rows(Risk(X, X[:, 0]), "l1")
    assert not squares.keeps_to_rows(Risk(X, X[:, 0]), "l2")
    assert not squares.keeps_to_rows(Risk(X[:, :3], X[:, 0]), "l1")


def test_a_target_that_is_all_the_same_needs_no_column():
    X = np.random.default_rng(5).normal(size=(40, 500))
    points = squares_path(Risk(X, np.full(40, 3.1)), "l1", 1e-16 * np.geomspace(1.0, 1e-2, 20), crossed(40, 4))
    assert all(point.proved and not point.w[:-1].any() for point in points)
