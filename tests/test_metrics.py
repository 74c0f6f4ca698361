"""Metrics against scikit-learn's, weighted and not, and what they say of constants."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from descender.metrics import auc, baseline, measure


def case(seed, classes=2, n=40):
    rng = np.random.default_rng(seed)
    y = np.append(np.arange(classes), rng.integers(0, classes, n - classes)).astype(float)
    scores = np.round(rng.normal(size=(n, classes)), 1)  # rounded: some are equal
    return rng, y, scores, rng.uniform(0, 2, n)


@given(st.integers(0, 10**6), st.booleans())
def test_two_classes(seed, weighted):
    _, y, scores, s = case(seed)
    z, w = scores[:, 0], s if weighted else None
    p = 1 / (1 + np.exp(-z))
    found = measure("binary", "log_loss", z, y, 2, w)
    assert list(found)[:3] == ["log_loss", "accuracy", "auc"]
    expected = {
        "log_loss": theirs.log_loss(y, p, sample_weight=w),
        "accuracy": theirs.accuracy_score(y, z > 0, sample_weight=w),
        "auc": theirs.roc_auc_score(y, z, sample_weight=w),
        "balanced_accuracy": theirs.balanced_accuracy_score(y, z > 0, sample_weight=w),
        "brier": theirs.brier_score_loss(y, p, sample_weight=w),
    }
    assert found == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 10**6), st.booleans())
def test_several_classes(seed, weighted):
    _, y, scores, s = case(seed, 4)
    w = s if weighted else None
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    found = measure("multiclass", "softmax", scores, y, 4, w)
    expected = {
        "log_loss": theirs.log_loss(y, p, sample_weight=w),
        "accuracy": theirs.accuracy_score(y, scores.argmax(axis=1), sample_weight=w),
        "balanced_accuracy": theirs.balanced_accuracy_score(y, scores.argmax(axis=1), sample_weight=w),
        "brier": np.average(((p - np.eye(4)[y.astype(int)]) ** 2).sum(axis=1), weights=w),
    }
    assert found == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 10**6), st.booleans())
def test_numbers(seed, weighted):
    rng, _, scores, s = case(seed)
    y, z, w = rng.normal(size=40), scores[:, 0], s if weighted else None
    found = measure("regression", "squared_error", z, y, weight=w)
    expected = {
        "rmse": theirs.root_mean_squared_error(y, z, sample_weight=w),
        "mae": theirs.mean_absolute_error(y, z, sample_weight=w),
        "r2": theirs.r2_score(y, z, sample_weight=w),
    }
    assert found == pytest.approx(expected, rel=1e-9)
    quantile = measure("regression", "quantile 0.8", z, y, weight=w)
    assert list(quantile)[:2] == ["quantile", "coverage"]
    assert quantile["quantile"] == pytest.approx(theirs.mean_pinball_loss(y, z, sample_weight=w, alpha=0.8))
    assert quantile["coverage"] == pytest.approx(np.average(y <= z, weights=w))
    counts = rng.poisson(2.0, 40).astype(float)
    deviance = theirs.mean_poisson_deviance(counts, np.exp(z), sample_weight=w)
    assert measure("regression", "poisson", z, counts, weight=w)["poisson"] == pytest.approx(deviance / 2)


def test_an_area_needs_both_classes_and_sees_a_planted_fault():
    _, y, scores, s = case(0)
    assert auc(scores[:, 0], np.zeros(40), s) is None
    assert auc(scores[:, 0], y, s * (y == 1)) is None
    assert auc(y, y, s) == 1.0
    assert auc(-y, y, s) == 0.0
    assert auc(np.zeros(40), y, s) == 0.5
    swapped = scores[:, 0].copy()
    swapped[np.argmax(swapped)] = -9.0
    assert auc(swapped, y, s) != auc(scores[:, 0], y, s)


def test_a_sure_error_costs_what_its_score_says():
    found = measure("binary", "log_loss", np.array([5000.0, -3.0]), np.array([0.0, 0.0]))
    assert found["log_loss"] == pytest.approx(2500.0, rel=1e-3)


@pytest.mark.parametrize(("task", "loss"), [("binary", "log_loss"), ("binary", "hinge"), ("multiclass", "softmax"),
                                            ("multiclass", "hinge"), ("regression", "quantile 0.9")])  # fmt: skip
def test_the_baseline_is_the_constant_that_is_best_in_training(task, loss):
    classes = 4 if task == "multiclass" else 2
    rng, y, _, s = case(1, classes, 200)
    y = rng.normal(size=200) if task == "regression" else y
    found = baseline(task, loss, y, y, classes, s, s)
    assert "auc" not in found
    if task == "regression":
        assert found["coverage"] == pytest.approx(0.9, abs=0.02)
        return
    share = np.bincount(y.astype(int), weights=s) / s.sum()
    assert found["accuracy"] == pytest.approx(share.max())
    if loss in ("log_loss", "softmax"):
        assert found["log_loss"] == pytest.approx(-(share @ np.log(share)))
