"""How a gradient is read: epochs are permutations, and the batches' gradients average to the full one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods.estimates import full_batch, mini_batches
from descender.methods.rates import Constant
from descender.methods.rules import GradientDescent
from descender.methods.textbook import Textbook
from descender.walk import Stop

sizes = st.integers(1, 50)


def take(n, batch_size, seed, epochs, shuffle=True):
    stream = mini_batches(n, batch_size, np.random.default_rng(seed), shuffle)
    return [next(stream) for _ in range(epochs)]


def assert_epoch_is_whole(n, batch_size, batches):
    parts = [batches.order[a:b] for a, b in zip(batches.starts, batches.stops, strict=True)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    assert all(len(part) == batch_size for part in parts[:-1])
    assert 1 <= len(parts[-1]) <= batch_size
    assert len(parts) == -(-n // batch_size)
    assert batches.epoch_ends


@given(sizes, st.integers(1, 60), st.integers(0, 2**32))
def test_each_epoch_reads_every_sample_once(n, batch_size, seed):
    for batches in take(n, batch_size, seed, 3):
        assert_epoch_is_whole(n, batch_size, batches)


def test_a_planted_fault_in_an_epoch_is_seen():
    batches = take(10, 3, 0, 1)[0]
    for wrong in (
        batches._replace(order=np.random.default_rng(0).integers(0, 10, 10)),  # with replacement
        batches._replace(starts=batches.starts[:-1], stops=batches.stops[:-1]),  # the last batch is forgotten
    ):
        with pytest.raises(AssertionError):
            assert_epoch_is_whole(10, 3, wrong)


def test_same_seed_same_order_and_another_order_in_each_epoch():
    first, again, other = take(40, 7, 1, 3), take(40, 7, 1, 3), take(40, 7, 2, 3)
    for a, b, c in zip(first, again, other, strict=True):
        assert (a.order == b.order).all()
        assert (a.order != c.order).any()
    assert (first[0].order != first[1].order).any()


def test_without_shuffling_the_order_is_that_of_the_rows():
    for batches in take(11, 4, 0, 2, shuffle=False):
        assert batches.order.tolist() == list(range(11))


@given(sizes, st.integers(1, 20), st.lists(st.integers(1, 9), min_size=60, max_size=60))
def test_pieces_of_an_epoch_make_the_epoch(n, batch_size, counts):
    batches = take(n, batch_size, 0, 1)[0]
    first, starts, ends = 0, [], []
    while first < len(batches.starts):
        piece = batches.take(first, counts[first])
        starts += piece.starts.tolist()
        ends.append(piece.epoch_ends)
        first += len(piece.starts)
    assert starts == batches.starts.tolist()
    assert ends == [False] * (len(ends) - 1) + [True]


@given(st.integers(0, 30), st.integers(1, 20))
def test_a_full_batch_has_all_samples_at_each_step(n, steps):
    batches = full_batch(n, steps)
    assert len(batches.starts) == steps
    for a, b in zip(batches.starts, batches.stops, strict=True):
        assert batches.order[a:b].tolist() == list(range(n))


# --- the law of the mean -------------------------------------------------------------------------------------------


def risk_of(loss, kind, weighted, reduction, n=29, d=3):
    rng = np.random.default_rng(7)
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.7)
    y = rng.integers(0, 3, n) if loss == "softmax" else rng.integers(0, 2, n)
    y[:3] = [0, 1, 2] if loss == "softmax" else [0, 1, 1]
    s = rng.uniform(0.0, 3.0, n) if weighted else None
    X = sparse.csr_array(X) if kind == "sparse" else X
    return Risk(X, y, loss, l2=0.3, l1=0.02, sample_weight=s, reduction=reduction)


def mean_of_batches(risk, w, batch_size, seed=0):
    """Costs and gradients of an epoch's batches, each with its share of the samples; sums add up as they are."""
    batches = take(risk.n_samples, batch_size, seed, 1)[0]
    value, gradient = 0.0, np.zeros_like(w)
    sums = risk.reduction == "sum"
    for a, b in zip(batches.starts, batches.stops, strict=True):
        rows = batches.order[a:b]
        v, g = risk.value_and_gradient(w, rows)
        share = 1.0 if sums else len(rows) / risk.n_samples
        value, gradient = value + share * v, gradient + share * g
    return value, gradient


CASES = [
    (loss, kind, weighted, reduction)
    for loss in ("squared_error", "log_loss", "softmax")
    for kind in ("dense", "sparse")
    for weighted in (False, True)
    for reduction in ("mean", "sum")
]


@pytest.mark.parametrize(("loss", "kind", "weighted", "reduction"), CASES)
@pytest.mark.parametrize("batch_size", [1, 5, 29])
def test_the_batches_average_to_the_full_gradient(loss, kind, weighted, reduction, batch_size):
    risk = risk_of(loss, kind, weighted, reduction)
    w = np.random.default_rng(1).normal(size=risk.n_parameters)
    value, gradient = risk.value_and_gradient(w)
    mean_value, mean_gradient = mean_of_batches(risk, w, batch_size)
    assert mean_value == pytest.approx(value, rel=1e-12)
    assert mean_gradient == pytest.approx(gradient, rel=1e-11, abs=1e-13)
    assert risk.value(w, np.arange(5)) == pytest.approx(risk.value_and_gradient(w, np.arange(5))[0], rel=1e-14)


def test_the_law_of_the_mean_sees_a_biased_estimate(monkeypatch):
    """Each batch divided by its own weight: a common mistake, and biased."""
    risk = risk_of("log_loss", "dense", True, "mean")
    w = np.ones(risk.n_parameters)
    s = risk.sample_weight
    monkeypatch.setattr(Risk, "share", lambda self, rows: 1.0 / float(s[rows].sum()))
    biased = mean_of_batches(risk, w, 5)[1]
    monkeypatch.undo()
    assert np.abs(biased - risk.gradient(w)).max() > 1e-4


# --- a walk on batches ---------------------------------------------------------------------------------------------


def stochastic(batch_size, rate=0.05, **options):
    return Textbook("gd", GradientDescent(), Constant(rate), batch_size=batch_size, **options)


def test_a_walk_counts_the_samples_that_it_read():
    risk = risk_of("log_loss", "dense", False, "mean")
    record = descend(risk, np.zeros(4), stochastic(10), Stop(max_steps=9)).record
    steps = np.isnan(record["full_cost"])
    assert record["rows_seen"][steps].tolist() == [0, 10, 20, 29, 39, 49, 58, 68, 78]
    epochs = ~steps
    assert record["rows_seen"][epochs][:4].tolist() == [0, 29, 58, 87]
    assert record["step"][epochs][:4].tolist() == [0, 3, 6, 9]
    path = record.path[epochs]
    assert record["full_cost"][epochs] == pytest.approx([risk.value(w) for w in path], rel=1e-12)


def test_a_walk_follows_the_order_of_its_seed():
    risk = risk_of("log_loss", "dense", True, "mean")
    record = descend(risk, np.zeros(4), stochastic(4), Stop(max_steps=20), seed=11).record
    path = record.path[np.isnan(record["full_cost"])]
    w, expected = np.zeros(4), []
    for batches in take(29, 4, 11, 3):
        for a, b in zip(batches.starts, batches.stops, strict=True):
            expected.append(w)
            w = w - 0.05 * risk.gradient(w, batches.order[a:b])
    assert path == pytest.approx(np.array(expected[:20]), rel=1e-12, abs=1e-14)
    same = descend(risk, np.zeros(4), stochastic(4), Stop(max_steps=20), seed=11)
    other = descend(risk, np.zeros(4), stochastic(4), Stop(max_steps=20), seed=12)
    assert (same.record.path == record.path).all()
    assert (other.x != same.x).any()


def test_a_batch_with_gradient_zero_does_not_end_the_walk():
    """A sample that happens to fit says nothing about the others."""
    risk = Risk([[1.0], [2.0]], [0.0, 3.0], intercept=False)
    for seed in range(4):
        walk = descend(risk, np.zeros(1), stochastic(1, 0.1), Stop(max_steps=200), seed=seed)
        assert walk.nit == 200
        assert 0.8 < walk.x[0] < 1.6


def test_a_sample_of_weight_zero_does_not_end_the_walk():
    risk = Risk([[1.0], [2.0], [1.0]], [1.0, 3.0, 5.0], sample_weight=[1.0, 1.0, 0.0])
    walk = descend(risk, np.zeros(2), stochastic(1, 0.1), Stop(max_steps=200))
    assert walk.nit == 200
    assert walk.status == "budget"
