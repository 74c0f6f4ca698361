"""Squared errors with l1: the lasso on moments, its path from kink to kink, and the small fits that they make."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet

from descender import LinearRegressor, minimize
from descender.costs.risk import Risk
from descender.data.split import crossed
from descender.methods import lasso as guesses
from descender.methods.homotopy import Homotopy
from descender.methods.lasso import lasso
from descender.methods.squares import squares_path
from descender.verbs.path import choose_penalty


def moments(seed, n, d, alike):
    """Second moments of columns that share a part, and their products with a target."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + alike * rng.normal(size=(n, 1))
    y = X @ (rng.normal(size=d) * (rng.random(d) < 0.3)) + rng.normal(size=n)
    return X.T @ X / n, X.T @ y / n


def is_lowest(G, c, w, l1):
    """Whether no weight wants to move."""
    slope = G @ w - c
    on = w != 0
    return bool(np.all(np.abs(slope[on] + l1 * np.sign(w[on])) < 1e-9) and np.all(np.abs(slope[~on]) < l1 + 1e-9))


@given(st.integers(0, 10**6), st.sampled_from([(30, 60), (100, 40), (200, 5)]), st.sampled_from([0.0, 1.0, 20.0]))
def test_exchanges_alone_find_the_minimum_from_anywhere(seed, shape, alike):
    G, c = moments(seed, *shape, alike)
    l1 = np.full(len(c), 0.05 * np.abs(c).max())
    H = G + 1e-13 * np.diag(G).max() * np.eye(len(c))
    start = np.random.default_rng(seed).normal(size=len(c))
    for w in (np.zeros(len(c)), start):
        assert is_lowest(G, c, guesses._exchanges(H, c, w, l1), l1[0])


@given(st.integers(0, 10**6))
def test_no_exchange_raises_the_cost(seed):
    G, c = moments(seed, 100, 30, 3.0)
    l1, costs = np.full(30, 0.02 * np.abs(c).max()), []

    def noted(A, b, strengths, here, signs, lowest=guesses._lowest):
        there, whole = lowest(A, b, strengths, here, signs)
        costs.append([0.5 * w @ A @ w - b @ w + strengths @ np.abs(w) for w in (here, there)])
        return there, whole

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guesses, "_lowest", noted)
        guesses._exchanges(G, c, np.zeros(30), l1)
    before, after = np.array(costs).T
    assert len(costs) > 1
    assert np.all(after <= before + 1e-12 * np.abs(before))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "d"), [(300, 40), (40, 90), (12, 1)])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_small_lasso_is_that_of_scikit_learn_and_certified(dtype, n, d, share):
    rng = np.random.default_rng(n)
    X = (rng.normal(size=(n, d)) * 3.0 + 2.0).astype(dtype)
    y = X @ (rng.normal(size=d) * (rng.random(d) < 0.4)) + rng.normal(size=n)
    s = rng.integers(1, 4, size=n).astype(float)
    l1 = 0.05 * np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / n
    model = LinearRegressor(l1=l1, l2=share * l1).fit(X, y, sample_weight=s)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = ElasticNet(alpha=l1 * (1 + share), l1_ratio=1 / (1 + share), tol=1e-14, max_iter=100_000)
        peer.fit(X.astype(np.float64), y, sample_weight=s)
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=0, atol=3e-7 if dtype == np.float32 else 1e-8)
    assert model.certificate_.rigorous
    assert model.certificate_.relative < 1e-6
    risk = Risk(X, y, l1=l1, l2=share * l1, sample_weight=s)
    lowest = risk.value(np.append(peer.coef_, peer.intercept_))
    assert model.certificate_.value - lowest <= model.certificate_.gap + 1e-6 * abs(lowest) * (dtype == np.float32)


def test_columns_of_any_scale_have_the_same_small_lasso():
    rng = np.random.default_rng(1)
    X, scale = rng.normal(size=(80, 6)), 10.0 ** np.array([-6, -3, 0, 2, 4, 6])
    y = X[:, 0] - 2 * X[:, 5] + 0.1 * rng.normal(size=80)
    walk = minimize(Risk(X * scale, y, l1=1e-7), tol=1e-9)
    assert walk.success
    assert walk.certificate.relative < 1e-9


@given(st.integers(0, 10**6), st.sampled_from([1e-3, 0.1, 1.0]), st.sampled_from([0.0, 0.1]))
def test_lasso_is_at_the_minimum_also_of_columns_that_are_equal(seed, l1, l2):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(3, 30)), int(rng.integers(1, 12))
    X = rng.normal(size=(n, d))
    X[:, rng.integers(d)] = X[:, rng.integers(d)]
    G, c = X.T @ X / n, X.T @ (X @ rng.normal(size=d) + rng.normal(size=n)) / n
    w = lasso(G, c, rng.normal(size=d) * rng.integers(0, 2, d), l1, l2)
    slope = G @ w - c + l2 * w
    unit = 1e-6 * max(1.0, float(np.abs(c).max()))
    assert (np.abs(slope) <= l1 + unit).all()
    assert np.abs((slope + l1 * np.sign(w))[w != 0]).max(initial=0.0) <= unit


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.1]))
def test_homotopies_side_by_side_are_lowest_at_every_strength_until_they_are_lost(seed, l2):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(3, 60)), int(rng.integers(1, 40))
    X = rng.normal(size=(n, d)) + rng.normal(size=(n, 1))
    if seed % 3 == 0:
        X[:, rng.integers(d)] = X[:, rng.integers(d)]
    y = X @ rng.normal(size=d) + rng.normal(size=n)
    parts = [np.arange(n) % 3 != k for k in range(3)]
    H = np.array([X[part].T @ X[part] / n for part in parts]) + l2 * np.eye(d)
    c = np.array([X[part].T @ y[part] / n for part in parts])
    strengths, path = np.abs(c).max() * np.geomspace(1.2, 1e-3, 14), Homotopy(H, c)
    W = np.concatenate([path.fall(strengths[:5]), path.fall(strengths[5:6]), path.fall(strengths[6:])], axis=2)
    slopes, unit = H @ W - c[:, :, None], 1e-7 * np.abs(c).max()
    off = np.where(W != 0, np.abs(slopes + strengths * np.sign(W)), np.abs(slopes) - strengths).max(axis=1)
    regular = np.linalg.cond(H) < 1e6
    assert (path.level[regular] <= strengths[-1] + unit).all()
    assert (off[regular] <= unit).all()
    assert (off[:, 0] <= unit).all()  # all weights are zero


@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize(("n", "d", "alike"), [(90, 12, 1.0), (30, 45, 0.0), (60, 8, 30.0)])
def test_paths_of_l1_are_lowest_whatever_the_columns(n, d, alike, l2):
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, d)) + alike * rng.normal(size=(n, 1))
    X[:, -1] = X[:, 0]
    y, folds = X @ rng.normal(size=d) + rng.normal(size=n), crossed(n, 3)
    strengths = np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / n * np.geomspace(1.2, 1e-3, 25)
    for point in squares_path(Risk(X, y, l2=l2), "l1", strengths, folds):
        assert point.proved
        assert point.gap < 1e-8
        whole = Risk(X, y, l2=l2, l1=point.strength)
        assert minimize(whole, point.w, tol=1e-9).fun >= whole.value(point.w) * (1 - 1e-8) - 1e-12


def test_lasso_notices_a_planted_fault():
    w = lasso(np.eye(3), np.array([3.0, -0.5, -2.0]), np.zeros(3), 1.0)
    off = w + np.array([1e-3, 0.0, 0.0])
    assert abs(off[0] - 3.0 + 1.0) > 1e-6 > abs(w[0] - 3.0 + 1.0)


@pytest.mark.parametrize("kind", ["l1", "l2"])
def test_gaps_of_a_path_in_float32_count_what_its_moments_lost(kind):
    rng = np.random.default_rng(3)
    X = (rng.normal(size=(400, 8)) + 50.0).astype(np.float32)
    y = X @ rng.normal(size=8) + rng.normal(size=400)
    strengths = np.geomspace(1.0, 1e-4, 5)
    told = choose_penalty(Risk(X, y), kind, strengths=strengths, folds=crossed(400, 4))
    assert told.certified.all()
    assert told.gaps.max() < 1e-5
    points = squares_path(Risk(X, y), kind, strengths, crossed(400, 4))
    exact = squares_path(Risk(X.astype(np.float64), y), kind, strengths, crossed(400, 4))
    for rough, fine in zip(points, exact, strict=True):
        risk = Risk(X.astype(np.float64), y, **{kind: rough.strength})
        lowest = risk.value(fine.w)
        assert not rough.proved
        assert fine.gap < 1e-9
        assert fine.proved
        assert risk.value(rough.w) - lowest <= 1e-9 * lowest
