"""Clipping: the laws of both texts, the norm that does not overflow, and what a clipped walk notes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descender.descent import descend
from descender.kernels import loops
from descender.methods import advance
from descender.methods.advance import Options
from descender.methods.rates import Constant
from descender.methods.rules import GradientDescent
from descender.methods.textbook import Textbook
from descender.walk import Stop
from walks import COSTS

numbers = st.floats(-1e300, 1e300, allow_nan=False, allow_subnormal=False)
vectors = st.lists(numbers, min_size=1, max_size=6).map(np.array)
bounds = st.one_of(st.just(math.inf), st.floats(1e-100, 1e100))


def by_hand(clip):
    """Clipping in place as a function of the gradient, which it leaves alone."""

    def clip_copy(g, most, highest):
        after = g.copy()
        with np.errstate(over="ignore"):  # squares that overflow are measured once more, scaled
            clipped = clip(after, most, highest)
        return after, clipped

    return clip_copy


def assert_clipping_holds(clip, g, most, highest):
    after, clipped = clip(g, most, highest)
    assert advance.length(after) <= most * (1 + 1e-14)
    assert np.abs(after).max() <= highest
    assert (np.sign(after) * np.sign(g) >= 0).all()  # no component turns round
    if advance.length(g) <= most and np.abs(g).max() <= highest:
        assert clipped == 0.0
        assert (after == g).all()
    else:
        assert clipped == 1.0 or after == pytest.approx(g, rel=1e-14)
    if highest == math.inf and advance.length(g) > most:
        assert after / most == pytest.approx(g / advance.length(g), rel=1e-12, abs=1e-15)
    return after, clipped


@given(vectors, bounds, bounds)
def test_clipping_laws(g, most, highest):
    for clip in (advance.clip, loops.clip):
        assert_clipping_holds(by_hand(clip), g, most, highest)
    plain, looped = by_hand(advance.clip)(g, most, highest), by_hand(loops.clip)(g, most, highest)
    assert plain[1] == looped[1]
    assert plain[0] == pytest.approx(looped[0], rel=1e-14, abs=0)


def test_a_clip_that_loses_the_direction_is_seen():
    def each_to_the_bound(g, most, highest):
        return np.clip(g, -most, most), 1.0

    with pytest.raises(AssertionError):
        assert_clipping_holds(each_to_the_bound, np.array([3.0, 4.0]), 1.0, math.inf)


@given(vectors)
def test_length_does_not_overflow(v):
    exact = math.hypot(*v)
    assert advance.length(v) == pytest.approx(exact, rel=1e-14)
    with np.errstate(over="ignore"):
        assert loops.length(v) == pytest.approx(exact, rel=1e-14)


def test_length_of_what_is_not_finite():
    for length in (advance.length, np.errstate(invalid="ignore")(loops.length)):
        assert math.isnan(length(np.array([1.0, math.nan, math.inf])))
        assert length(np.array([1.0, -math.inf])) == math.inf
        assert length(np.array([])) == 0.0


def test_clipped_walk_notes_where_it_clipped():
    start, method = np.array([100.0, -50.0]), Textbook("gd", GradientDescent(), Constant(0.1), options=Options(3.0))
    record = descend(COSTS["quadratic"], start, method, Stop(max_steps=400)).record
    steps = np.linalg.norm(np.diff(record.path, axis=0), axis=1)
    assert (record["clipped"][:-1] == (record["gradient_norm"][:-1] > 3.0)).all()
    assert 0 < record["clipped"][:-1].sum() < 400
    assert steps[record["clipped"][:-1] == 1.0] == pytest.approx(0.3, rel=1e-12)
    g = COSTS["quadratic"].gradient(start)
    assert record.path[1] == pytest.approx(start - 0.3 * g / np.linalg.norm(g), rel=1e-14)
