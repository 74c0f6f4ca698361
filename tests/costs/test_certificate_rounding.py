"""What rounding hides of a gap is in the certificate: costs far smaller than the numbers that scores are made of."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descender.costs import certificate as module
from descender.costs.certificate import certificate
from descender.costs.dual_rows import exact_dot, exact_scores, score_sizes
from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods import standard
from descender.methods.auto import choose

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)


def exact(numbers):
    """As fractions, which no operation rounds."""
    return [Fraction(float(number)) for number in numbers]


@given(st.lists(st.tuples(numbers, numbers), max_size=6), numbers)
def test_a_product_is_rounded_once(pairs, more):
    a, b = np.array(pairs).reshape(-1, 2).T
    true = sum((x * y for x, y in zip(exact(a), exact(b), strict=True)), Fraction(more))
    assert abs(Fraction(exact_dot(a, b, more)) - true) <= abs(true) * Fraction(2) ** -52 + Fraction(1, 10**300)


def test_a_product_beyond_the_range_of_its_halves():
    assert exact_dot(np.array([1e300, 1.0]), np.array([1e-300, 3.0]), 1.0) == pytest.approx(5.0)


def two_rows(seed):
    """Two rows of columns that are far from zero, of all scales; half of them hardly differ."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 4))
    X = rng.normal(size=(2, d)) * 10.0 ** rng.integers(-3, 4, d)
    X[:, 0] = rng.choice([1e6, 1e3, 1.0]) + rng.normal(size=2) * rng.choice([1.0, 1e-3, 1e3])
    y = rng.normal(size=2) * 10.0 ** rng.integers(-2, 3)
    return Risk(X, y, f"quantile {rng.choice([0.1, 0.5, 0.9])}", l2=10.0 ** -rng.integers(0, 9))


def true_gap(risk, w):
    """Of a quantile of two rows: its dual has one number, which is where a parabola is highest in an interval."""
    level, l2 = Fraction(risk.loss.level), Fraction(risk.l2)
    w, y = exact(w), exact(risk.y)
    X = [exact(row) for row in risk.X]
    cost = l2 * sum(c * c for c in w[:-1]) / 2
    for row, target in zip(X, y, strict=True):
        r = target - sum(x * c for x, c in zip(row, w[:-1], strict=True)) - w[-1]
        cost += max(level * r, (level - 1) * r) / 2
    square = sum((p - q) ** 2 for p, q in zip(*X, strict=True)) / (4 * l2)
    slope, most = (y[0] - y[1]) / 2, min(level, 1 - level)
    t = max(-most, min(most, slope / square))
    return cost - (t * slope - t * t * square / 2)


def two_row_gaps():
    for seed in range(40):
        risk = two_rows(seed)
        walk = descend(risk, np.zeros(risk.n_parameters), choose(risk, 1e-6)[0])
        yield walk.certificate.gap, true_gap(risk, walk.x)


def test_a_quantile_of_two_rows_far_from_zero():
    for shown, true in two_row_gaps():
        assert Fraction(shown) >= true


def test_a_certificate_that_forgets_rounding_is_caught(monkeypatch):
    monkeypatch.setattr(module, "rounded", lambda risk, scores, sizes, value, gap, *_: gap)
    assert any(Fraction(shown) < true for shown, true in two_row_gaps())


def counts_met(n, d, count, dtype):
    """Counts that are all the same, which weights of nothing meet: the minimum is 0, whatever l2 is."""
    X = np.random.default_rng(n).normal(size=(n, d)) * 10.0 ** np.arange(d)
    return Risk(X.astype(dtype), np.full(n, count), "poisson", l2=1e-6)


def cost_of_counts(risk, w):
    with mpmath.workdps(50):
        rows = mpmath.matrix(risk.X.astype(float).tolist()) * mpmath.matrix(w[:-1].tolist())
        y, l2 = mpmath.mpf(float(risk.y[0])), mpmath.mpf(risk.l2)
        above = [z + mpmath.mpf(float(w[-1])) - mpmath.log(y) for z in rows]
        return (
            y * sum(mpmath.expm1(a) - a for a in above) / len(above)
            + l2 * sum(mpmath.mpf(float(c)) ** 2 for c in w[:-1]) / 2
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [3.0, 7.5, 1e4])
def test_counts_that_are_met_to_rounding(count, dtype, monkeypatch):
    risks = [counts_met(n, d, count, dtype) for n in (2, 9) for d in (1, 3)]
    walks = [descend(risk, np.zeros(risk.n_parameters), choose(risk, 1e-9)[0]) for risk in risks]
    for risk, walk in zip(risks, walks, strict=True):
        assert walk.success
        assert walk.certificate.gap >= cost_of_counts(risk, walk.x)
    monkeypatch.setattr(standard, "rounded", lambda risk, scores, sizes, value, gap, *_: gap)
    forgetful = [descend(risk, np.zeros(risk.n_parameters), choose(risk, 1e-9)[0]) for risk in risks]
    gaps = zip(risks, forgetful, strict=True)
    assert count == 1e4 or any(walk.certificate.gap < cost_of_counts(risk, walk.x) for risk, walk in gaps)


def test_scores_are_known_to_what_their_sizes_say():
    """Against fractions: rows from their centre, and as they are."""
    rng = np.random.default_rng(0)
    for shift, intercept in ((0.0, False), (1e6, True), (1e6, False)):
        risk = Risk(rng.normal(size=(20, 5)) + shift, np.zeros(20), "huber", l2=0.1, intercept=intercept)
        w = rng.normal(size=risk.n_parameters)
        scores, (errors, lengths) = exact_scores(risk, w), score_sizes(risk, w)
        for x, score, error, length in zip(risk.X, scores, errors, lengths, strict=True):
            true = sum((p * q for p, q in zip(exact(x), exact(w[:5]), strict=True)), Fraction(0))
            true += Fraction(w[5]) if intercept else 0
            assert abs(Fraction(float(score)) - true) <= Fraction(float(error))
            assert length > np.linalg.norm(x) if shift == 0.0 else length > 0.0


def test_what_is_added_is_rounding_alone():
    """A millionth of a millionth of the cost, where the cost is not small."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 30))
    for loss, y in (
        ("log_loss", rng.random(200) > 0.5),
        ("poisson", rng.poisson(2.0, 200)),
        ("huber", rng.normal(size=200)),
    ):
        risk = Risk(X, np.asarray(y, dtype=float), loss, l2=1e-3)
        walk = descend(risk, np.zeros(31), choose(risk, 1e-15)[0])
        assert walk.success
        assert certificate(risk, walk.x).relative < 1e-12
