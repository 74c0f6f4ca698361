"""Learning from a stream: the laws of it - one by one as at once, constant memory, and the right place to end at."""

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from descender import minimize
from descender.costs.risk import Risk
from descender.errors import (
    CapabilityError,
    DataError,
    DescenderError,
    DivergedError,
    InputError,
    OptionError,
    ShapeError,
    TargetError,
)
from descender.verbs.online import Online
from descender.verbs.standardise import RunningColumns


def samples(n, d=3, seed=0, kind="squared_error", noise=0.1):
    """Rows and targets of a linear truth."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    z = X @ np.arange(1, d + 1) / d - 0.5
    y = z + noise * rng.normal(size=n) if kind == "squared_error" else (z + rng.logistic(size=n) > 0).astype(float)
    return X, y


SETTINGS = {
    "automatic": {},
    "sgd": {"learning_rate": 0.01},
    "l2 and clipping": {"learning_rate": 0.05, "l2": 0.01, "clip_norm": 0.5},
    "adam": {"learning_rate": 0.01, "method": "adam"},
    "schedule": {"learning_rate": "inverse-time 0.1 0.01"},
    "momentum": {"learning_rate": 0.01, "method": "momentum", "beta": 0.9},
}
CASES = [("squared_error", setting, 150 if k < 4 else 60) for k, setting in enumerate(SETTINGS)]
CASES += [("log_loss", "automatic", 150), ("log_loss", "adam", 60), ("sigmoid_squared_error", "sgd", 60)]
"""Samples after the 64th are learnt by compiled steps, however they arrive: both kinds are tried."""


@pytest.mark.parametrize(("kind", "setting", "n"), CASES)
def test_many_at_once_are_learnt_as_one_by_one(kind, setting, n):
    X, y = samples(n, 5, kind=kind)
    whole, single, pieces = (Online(kind, **SETTINGS[setting]) for _ in range(3))
    whole.learn(X, y)
    for x, target in zip(X, y, strict=True):
        single.learn(x, target)
    for start in range(0, n, 17):
        pieces.learn(X[start : start + 17], y[start : start + 17])
    for other in (single, pieces):
        assert np.array_equal(whole.w, other.w)
        assert np.array_equal(whole.mean, other.mean)
        assert np.array_equal(whole.predict(X), other.predict(X))
        assert whole.samples == other.samples == n
    # a planted fault: another order is another walk
    turned = Online(kind, **SETTINGS[setting])
    turned.learn(X[::-1], y[::-1])
    assert not np.array_equal(whole.w, turned.w)


@pytest.mark.parametrize("settings", [{}, {"learning_rate": 0.1}])
def test_a_sample_that_teaches_nothing_does_not_end_the_lesson(settings):
    X, y = [[1.0], [1.0], [2.0]], [0.0, 5.0, 7.0]
    whole, single = Online(**settings), Online(**settings)
    whole.learn(X, y)
    for x, target in zip(X, y, strict=True):
        single.learn([x], [target])
    assert len(whole.losses) == 3
    assert np.array_equal(whole.w, single.w)
    assert whole.w.all()


def test_many_columns_are_learnt_as_one_by_one_too():
    X, y = samples(300, 30)
    whole, single = Online(learning_rate=0.01), Online(learning_rate=0.01)
    whole.learn(X, y)
    for x, target in zip(X, y, strict=True):
        single.learn(x, target)
    np.testing.assert_allclose(whole.w, single.w, rtol=1e-12)
    assert np.array_equal(whole.w, single.w)


@pytest.mark.parametrize("kind", ["squared_error", "log_loss"])
def test_an_explicit_rate_is_the_plain_recursion(kind):
    X, y = samples(400, 4, kind=kind)
    model = Online(kind, learning_rate=0.05)
    model.learn(X, y)
    w, losses = np.zeros(5), []
    for x, target in zip(np.column_stack([X, np.ones(400)]), y, strict=True):
        z = x @ w
        p = z if kind == "squared_error" else 1 / (1 + np.exp(-z))
        losses.append(0.5 * (z - target) ** 2 if kind == "squared_error" else np.logaddexp(0, z) - target * z)
        w = w - 0.05 * (p - target) * x
    np.testing.assert_allclose(model.w, w, rtol=1e-12)
    np.testing.assert_allclose(model.losses, losses, rtol=1e-10)
    np.testing.assert_allclose(model.scores(X), X @ w[:-1] + w[-1], rtol=1e-12)


@pytest.mark.parametrize("kind", ["squared_error", "log_loss"])
@pytest.mark.parametrize("settings", [{}, {"learning_rate": "inverse-time 0.1 0.01"}])
def test_it_comes_near_the_optimum_of_the_batch(kind, settings):
    X, y = samples(40_000, 3, kind=kind)
    model = Online(kind, **settings)
    model.learn(X, y)
    best = minimize(Risk(X, y, kind), tol=1e-9)
    z = model.scores(X)
    value = np.mean(0.5 * (z - y) ** 2 if kind == "squared_error" else np.logaddexp(0, z) - y * z)
    trivial = np.var(y) / 2 if kind == "squared_error" else np.log(2)
    assert best.fun <= value < best.fun + 0.02 * (trivial - best.fun)
    halfway = Online(kind, **settings)
    halfway.learn(X[:100], y[:100])
    z = halfway.scores(X)
    early = np.mean(0.5 * (z - y) ** 2 if kind == "squared_error" else np.logaddexp(0, z) - y * z)
    assert early > value  # more samples are better


def test_columns_of_any_scale_are_learnt_without_a_rate():
    X, y = samples(20_000, 3)
    units, origin = np.array([1e6, 1e-6, 1.0]), np.array([1e8, 0.0, -5.0])
    model, plain = Online(), Online()
    model.learn(X * units + origin, y)
    plain.learn(X, y)
    assert model.losses[-2000:].mean() < 0.1 * model.losses[:20].mean()
    np.testing.assert_allclose(model.predict(X * units + origin), plain.predict(X), atol=1e-3)
    np.testing.assert_allclose(model.mean, (X * units + origin).mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(model.scale, (X * units).std(axis=0), rtol=1e-9)
    with pytest.raises(DivergedError):  # a planted fault: with a rate and these columns as they are
        Online(learning_rate=0.01).learn(X * units + origin, y)


def test_constant_columns_do_no_harm():
    model = Online()
    X, y = samples(500, 2)
    model.learn(np.column_stack([X, np.full(500, 7.0)]), y)
    assert np.isfinite(model.w).all()
    assert model.scale[2] == 1.0


def test_predicting_is_pure():
    model = Online()
    X, y = samples(100)
    model.learn(X, y)
    before = model.w.copy(), model.mean.copy(), model.columns.square.copy(), model.samples
    one, two = model.predict(X * 100), model.predict(X * 100)
    assert np.array_equal(one, two)
    assert model.predict(X[0]).shape == (1,)
    after = model.w, model.mean, model.columns.square, model.samples
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    probabilities = Online("log_loss")
    probabilities.learn(X, y > 0)
    assert ((probabilities.predict(X * 1e4) >= 0) & (probabilities.predict(X * 1e4) <= 1)).all()


@pytest.mark.parametrize(("settings", "every"), [({"learning_rate": 0.01}, 5000), ({}, 1000)])
def test_memory_is_constant_over_an_endless_stream(settings, every):
    X, y = samples(997, 2)
    stream = ((tuple(x), float(target)) for x, target in itertools.cycle(list(zip(X.tolist(), y, strict=True))))
    seen = Online(**settings).follow(stream, every=every)
    next(seen)  # compiled and warm
    tracemalloc.start()
    peaks = []
    for turns in (1, 5):
        tracemalloc.reset_peak()
        for _ in range(turns):
            last = next(seen)
        peaks.append(tracemalloc.get_traced_memory()[1])
    # a planted fault: a reader that keeps what it reads would be caught
    kept = list(itertools.islice(stream, 20_000))
    keeping = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert last.samples == 7 * every
    assert peaks[1] < peaks[0] + 400_000
    assert keeping > peaks[0] + 1_000_000
    assert len(kept) == 20_000


@pytest.mark.parametrize("every", [1, 7, 256, 300, 1000])
def test_following_counts(every):
    X, y = samples(1000)
    model = Online(learning_rate=0.01)
    seen = list(model.follow(zip(X, y, strict=True), every=every))
    assert [s.samples for s in seen] == [*range(every, 1001, every), *([1000] if 1000 % every else [])]
    assert np.array_equal(seen[-1].w, model.w)
    whole = Online(learning_rate=0.01)
    whole.learn(X, y)
    assert np.array_equal(whole.w, model.w)
    assert sum(
        s.loss * n for s, n in zip(seen, np.diff([0, *(s.samples for s in seen)]), strict=True)
    ) == pytest.approx(whole.losses.sum())
    assert list(model.follow([])) == []


def test_nothing_is_read_ahead_of_need():
    given = []

    def stream():
        for i in itertools.count():
            given.append(i)
            yield (float(i % 3),), float(i % 3)

    next(Online().follow(stream(), every=100))
    assert len(given) == 100


def test_rows_may_be_mappings_in_any_order():
    X, y = samples(300, 2)
    rows = [
        {"b": b, "late": t, "a": a} if i % 2 else {"a": a, "b": b, "late": t}
        for i, ((a, b), t) in enumerate(zip(X, y, strict=True))
    ]
    named, plain = Online(), Online()
    list(named.follow(rows, target="late"))
    plain.learn(X, y)
    assert np.array_equal(named.w, plain.w)
    texts, extra = Online(), Online()
    list(
        texts.follow(({k: repr(float(v)) for k, v in row.items()} for row in rows), target="late")
    )  # as csv gives them
    list(extra.follow((row | {"c": 1.0} if i else row for i, row in enumerate(rows)), target="late"))
    assert np.array_equal(texts.w, plain.w)
    assert np.array_equal(extra.w, plain.w)


def test_a_stream_that_drifts_is_followed_by_an_explicit_rate():
    X, y = samples(4000, 1, noise=0.0)
    model = Online(learning_rate=0.05)
    model.learn(X, np.concatenate([y[:2000], -y[2000:]]))
    np.testing.assert_allclose(model.predict(X), -y, atol=1e-6)


@pytest.mark.parametrize("at_once", [True, False])
def test_divergence_is_an_error_and_the_weights_stay_finite(at_once):
    X, y = samples(3000, 2)
    model = Online(learning_rate=10.0)
    model.learn(X[:1], y[:1])
    stream = model.follow(zip(X, y, strict=True), every=3000 if at_once else 1)
    with pytest.raises(DivergedError, match=r"left the finite numbers at sample \d+; give a smaller learning_rate"):
        list(stream)
    assert np.isfinite(model.w).all()
    assert np.isfinite(model.predict(X)).all()
    calm = Online(learning_rate=0.1)
    calm.learn(X, y)
    assert np.isfinite(calm.w).all()


WRONG = {
    "another width": (lambda m: m.learn([[1.0, 2.0]], [1.0]), ShapeError, "a sample has 2 columns; the first had 3"),
    "too many targets": (lambda m: m.learn([[1.0, 2.0, 3.0]], [1.0, 2.0]), ShapeError, r"y has shape \(2,\)"),
    "three dimensions": (lambda m: m.learn(np.zeros((1, 2, 3)), [1.0]), ShapeError, "columns|shape"),
    "a missing number": (lambda m: m.learn([[1.0, np.nan, 3.0]], [1.0]), DataError, "column 1 is not a finite number"),
    "an infinite target": (lambda m: m.learn([[1.0, 2.0, 3.0]], [np.inf]), TargetError, "target"),
    "no pair": (lambda m: list(m.follow([5])), DataError, "sample 1 is 5: expected a pair of numbers x and a number y"),
    "text": (lambda m: list(m.follow([((1.0, "a", 2.0), 1.0)])), DataError, "sample 1 is .*expected a pair of numbers"),
    "no target": (lambda m: list(m.follow([{"a": 1.0}])), DataError, "sample 1 has no"),
    "misspelt target": (lambda m: list(m.follow([{"price": 1.0}], "prise")), DataError, "did you mean price"),
    "every 0": (lambda m: list(m.follow([], every=0)), OptionError, "every=0: expected at least 1"),
}  # fmt: skip
SLIPS = {
    "text at once": (lambda m: m.learn([["a", "b", "c"]], [1.0]), DataError, "number"),
    "text as target": (lambda m: m.learn([[1.0, 2.0, 3.0]], ["a"]), DataError, "number"),
    "ragged samples": (lambda m: list(m.follow([((1, 2, 3), 1), ((1, 2), 1)])), ShapeError, "sample 2|2 columns"),
    "a narrow question": (lambda m: m.predict([[1.0]]), ShapeError, "3"),
    "a wide question": (lambda m: m.predict([[1.0] * 4]), ShapeError, "3"),
    "the sample is counted": (lambda m: list(m.follow([((1, 2, 3), 1), ((1, 2, np.nan), 1)])), DataError, "sample 2"),
}


@pytest.mark.parametrize("case", WRONG | SLIPS)
def test_wrong_samples_are_refused(case):
    do, kind, text = (WRONG | SLIPS)[case]
    model = Online()
    X, y = samples(10)
    model.learn(X, y)
    with pytest.raises(DescenderError, match=text) as caught:
        do(model)
    assert type(caught.value) is kind


@pytest.mark.parametrize("at", [0, 5, 70])
@pytest.mark.parametrize("wrong", [[1.0, np.nan], ["a", 1.0], [1.0, 2.0, 3.0]])
def test_the_samples_before_a_wrong_one_are_learnt(at, wrong):
    X, y = samples(100, 2)
    rows = [*X[:at].tolist(), wrong, *X[at:].tolist()]
    given, followed, expected = Online(), Online(), Online()
    with pytest.raises(InputError, match=f"sample {at + 1}\\b" if at else "sample [12]"):
        given.learn(rows, [0.0, *y])
    with pytest.raises(InputError, match=f"sample {at + 1}\\b" if at else "sample [12]"):
        list(followed.follow(zip(rows, [0.0, *y], strict=True)))
    assert given.samples == followed.samples == at or len(wrong) == 3
    if at:
        expected.learn(X[:at], [0.0, *y][:at])
        for learner in (given, followed):
            assert np.array_equal(learner.w, expected.w)
            assert np.array_equal(learner.columns.square, expected.columns.square)


def test_a_walk_that_diverges_ends_where_it_ends_one_by_one():
    X, y = samples(400, 2)
    whole, single = Online(learning_rate=10.0), Online(learning_rate=10.0)
    with pytest.raises(DivergedError) as at_once:
        whole.learn(X, y)
    with pytest.raises(DivergedError) as later:
        list(map(single.learn, X, y))
    assert str(at_once.value) == str(later.value)
    assert np.array_equal(whole.w, single.w)
    assert whole.samples == single.samples


def test_later_samples_of_mappings_are_checked():
    for rows, text in [
        ([{"a": 1, "b": 1, "y": 2}, {"a": 1, "y": 2}], "sample 2 has no 'b', which the first one had"),
        ([{"a": 1, "b": 1, "y": 2}, {"a": 1, "b": "much", "y": 2}], "sample 2: b is 'much', not a number"),
        ([{"a": 1, "y": 2}, {"a": 1, "y": None}], "sample 2: y is None, not a number"),
    ]:
        with pytest.raises(DataError, match=text):
            list(Online().follow(rows, "y"))


REFUSED = {
    "no samples": ([[1.0, np.nan, 2.0]], [1.0]),
    "no shape": ([[9.0, 9.0, 9.0]], [1.0, 2.0]),
    "no target": ([[9.0, 9.0, 9.0]], [np.nan]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_sample_leaves_no_trace(case):
    X, y = samples(20)
    model, other = Online(), Online()
    model.learn(X, y)
    other.learn(X, y)
    with pytest.raises(DescenderError):
        model.learn(*REFUSED[case])
    assert np.array_equal(model.predict(X), other.predict(X))
    model.learn(X, y)
    other.learn(X, y)
    assert np.array_equal(model.w, other.w)


def test_a_refused_first_sample_leaves_no_trace():
    model, (X, y) = Online(learning_rate=0.1), samples(20)
    with pytest.raises(DescenderError):
        model.learn([[1.0, np.nan]], [1.0])
    model.learn(X, y)
    other = Online(learning_rate=0.1)
    other.learn(X, y)
    assert np.array_equal(model.w, other.w)


def test_options_are_checked():
    for make, kind, text in [
        (lambda: Online("softmax"), OptionError, "loss='softmax'; known: squared_error, huber"),
        (lambda: Online("squarederror"), OptionError, "did you mean squared_error"),
        (lambda: Online(learning_rate=-0.1).learn([[1.0]], [1.0]), OptionError, "positive finite number"),
        (lambda: Online(learning_rate=0.1, l2=-1.0).learn([[1.0]], [1.0]), OptionError, "l2=-1.0"),
        (lambda: Online(learning_rate=0.1, method="adm").learn([[1.0]], [1.0]), OptionError, "did you mean adam"),
        (lambda: Online(learning_rate=0.1, method="adam", beta=0.5).learn([[1.0]], [1.0]), OptionError, "no option"),
        (lambda: Online(beta=0.5).learn([[1.0]], [1.0]), OptionError, "no option 'beta'"),
        (lambda: Online(learning_rate="backtracking").learn([[1.0]], [1.0]), OptionError, "needs exact costs"),
        (lambda: Online().predict([[1.0]]), CapabilityError, "nothing was learnt yet"),
        (lambda: Online("log_loss", learning_rate=0.1).learn([[1.0]], [3.0]), TargetError, "numbers from 0 to 1"),
    ]:
        with pytest.raises(kind, match=text):
            make()


@pytest.mark.parametrize("options", [{"method": "adam"}, {"learning_rate": 0.1, "clip_norm": -1.0}])
def test_options_without_effect_are_refused(options):
    with pytest.raises(OptionError):
        Online(**options).learn([[1.0]], [1.0])


def test_sparse_columns_are_over_their_root_mean_square_so_far():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(9, 4)) * (rng.random((9, 4)) < 0.6)
    rows = sparse.csr_array(X)
    columns = RunningColumns(rows[:1])
    found = sparse.vstack([columns.learn(rows[:2]), columns.learn(rows[2:])]).toarray()
    sizes = np.sqrt(np.cumsum(X**2, axis=0) / np.arange(1.0, 10.0)[:, None])
    np.testing.assert_allclose(found, X / np.where(sizes > 0, sizes, 1.0), rtol=1e-14)
    np.testing.assert_allclose(columns.scale, sizes[-1], rtol=1e-14)
    np.testing.assert_allclose(columns.standardised(rows).toarray(), X / sizes[-1], rtol=1e-14)
