"""Learning rates in words and numbers: what is read, what is refused, and the rates that schedules then give."""

import itertools
import math

import numpy as np
import pytest

from descender.descent import descend
from descender.errors import OptionError
from descender.methods.rates import (
    RATES,
    Backtracking,
    Constant,
    Exponential,
    InverseScaling,
    InverseTime,
    first_rate,
    read_rate,
    with_rate,
)  # fmt: skip
from descender.methods.rules import GradientDescent
from descender.methods.textbook import Textbook
from descender.walk import Stop
from walks import COSTS, START


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        (0.1, Constant(0.1)),
        (np.float32(0.5), Constant(0.5)),
        (1, Constant(1.0)),
        ("0.25", Constant(0.25)),
        ("1e-3", Constant(1e-3)),
        ("constant 0.1", Constant(0.1)),
        ("inverse-time 0.1", InverseTime(0.1, 0.01)),
        ("inverse-time 0.1, 0.5", InverseTime(0.1, 0.5)),
        ("exponential 1 0.9", Exponential(1.0, 0.9)),
        ("backtracking", Backtracking()),
        ("backtracking 2 0.3 0.01", Backtracking(2.0, 0.3, 0.01)),
        (InverseTime(1.0, 0.0), InverseTime(1.0, 0.0)),
    ],
)
def test_read_rate(given, rate):
    assert read_rate(given) == rate
    assert type(read_rate(given)) is type(rate)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (0, "rate=0"),
        (-0.1, "rate=-0.1"),
        (math.nan, "rate=nan"),
        (math.inf, "rate=inf"),
        ("inf", "rate=inf"),
        ("1e999", "rate=inf"),
        (True, "number"),
        (None, "number"),
        ([0.1], "number"),
        ("", "neither a number nor a schedule"),
        ("fast", "neither a number nor a schedule"),
        ("0.1 0.2", "neither a number nor a schedule"),
        ("exponentail 1", "did you mean exponential"),
        ("constant", "come the numbers rate"),
        ("constant 1 2", "come the numbers rate"),
        ("inverse-time x", "come the numbers rate [decay=0.01]"),
        ("inverse-time 1 -0.5", "decay=-0.5"),
        ("backtracking 1 1", "strictly between 0 and 1"),
        ("backtracking 1 0.5 0", "strictly between 0 and 1"),
        (Constant(-1.0), "rate=-1"),
        (Backtracking(1.0, 0.0), "strictly between 0 and 1"),
    ],
)
def test_read_rate_refuses(given, words):
    with pytest.raises(OptionError, match="learning_rate") as caught:
        read_rate(given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (Constant(0.1), lambda t: 0.1),
        (InverseTime(0.2, 0.5), lambda t: 0.2 / (1 + 0.5 * t)),
        (InverseScaling(0.2, 3.0, 10.0, 0.7), lambda t: 0.2 / (1 + 10 * (t // 3)) ** 0.7),
        (Exponential(0.2, 0.9), lambda t: 0.2 * 0.9**t),
    ],
)
def test_schedules(rate, expected):
    record = descend(COSTS["quadratic"], START, Textbook("gd", GradientDescent(), rate), Stop(max_steps=30)).record
    rates = np.array([expected(t) for t in range(30)])
    assert record["learning_rate"][:30] == pytest.approx(rates, rel=1e-14)
    assert record["step_norm"][:30] == pytest.approx(rates * record["gradient_norm"][:30], rel=1e-12)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("step 0.1", "after 'step' come the numbers rate every"),
        ("step 0.1 0.5", "every=0.5; expected at least 1"),
        ("one-cycle 0.1 100 1.5", "share=1.5; expected from 0 to below 1"),
        ("warm-up 10", "a schedule"),
        ("warm-up 10 dog", "'dog' finds its own rates"),
        ("warm-up 10 warm-up 5 0.1", "before a schedule"),
        ("warm-up 10 cosine 0.1", "after 'cosine' come"),
        ("polyak", "after 'polyak' come the numbers minimum"),
        ("plateau 0.1 1", "factor=1"),
        ("cosin 0.1 10", "did you mean cosine"),
    ],
)
def test_wrong_words_are_told(words, said):
    with pytest.raises(OptionError, match="learning_rate") as caught:
        read_rate(words)
    assert said in str(caught.value)


def test_every_rate_has_a_number_that_a_recovery_divides():
    for words in ["0.1", "polyak -3", "warm-up 3 step 0.1 5", *(set(RATES) & {"dog", "adaptive", "backtracking"})]:
        rate = read_rate(words)
        assert first_rate(with_rate(rate, first_rate(rate) / 3)) == first_rate(rate) / 3
    assert list(itertools.islice(RATES, 1)) == ["constant"]
