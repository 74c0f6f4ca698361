"""Hold-out membership depends on the row's index and the seed, and on nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descender.data.split import hashed, held_out, holdout
from descender.errors import OptionError

MASK = 2**64 - 1


def splitmix64(state):
    """The reference, one number at a time, in Python's integers."""
    z = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


@given(st.lists(st.integers(0, 2**62), max_size=20), st.integers(-(2**70), 2**70))
def test_the_hash_is_splitmix64(indices, seed):
    key = splitmix64(seed & MASK)
    assert hashed(np.array(indices, dtype=np.int64), seed).tolist() == [splitmix64(i ^ key) for i in indices]


def test_the_reference_is_the_published_one():
    assert splitmix64(0) == 0xE220A8397B1DCDAF


@given(st.integers(0, 3000), st.integers(0, 3000), st.floats(0, 0.99), st.integers(0, 9))
def test_a_block_is_split_as_the_whole(start, length, fraction, seed):
    whole = held_out(np.arange(6000), fraction, seed)
    block = held_out(np.arange(start, start + length), fraction, seed)
    assert np.array_equal(block, whole[start : start + length])


def test_shares_seeds_and_growth():
    n = 200_000
    for fraction in (0.01, 0.2, 0.9):
        share = holdout(n, fraction).mean()
        assert abs(share - fraction) < 4 * np.sqrt(fraction * (1 - fraction) / n)
    a, b = holdout(n, 0.2, seed=0), holdout(n, 0.2, seed=1)
    assert abs((a & b).mean() - 0.04) < 0.003
    assert not (a & ~holdout(n, 0.3, seed=0)).any()
    assert np.array_equal(a, holdout(n, 0.2, seed=0))
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.01


def test_both_sides_have_rows_and_small_tables_are_not_split():
    for seed in range(300):
        mask = holdout(20, 0.05, seed)
        assert mask.any()
        assert not mask.all()
        assert not holdout(20, 0.999, seed).all()
        assert not holdout(19, 0.5, seed).any()
    assert not holdout(100, 0.0).any()
    assert len(holdout(0)) == 0


@pytest.mark.parametrize("fraction", [-0.1, 1, 20, float("nan")])
def test_a_fraction_is_below_one(fraction):
    with pytest.raises(OptionError, match="expected 0 <= fraction < 1"):
        holdout(100, fraction)


def test_a_seed_is_an_integer():
    with pytest.raises(OptionError, match=r"seed=0\.5: expected an integer"):
        holdout(100, seed=0.5)
