"""The risk: value, gradient and curvature, whatever the rows are kept in, and the laws of sample weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from scipy import sparse, special
from sklearn.metrics import log_loss, mean_squared_error

from descender.costs import risk as module
from descender.costs.losses import LOSSES
from descender.costs.risk import Risk, block_height
from descender.errors import DataError, DescenderError, OptionError, ShapeError, TargetError
from descender.kernels import cached
from descender.kernels import rows as row_loops


def data(loss, n=31, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.8)
    if loss == "softmax":
        y = rng.integers(0, 3, n)
        y[:3] = [0, 1, 2]
    else:
        y = rng.normal(size=n) if loss in ("squared_error", "huber", "quantile") else rng.integers(0, 2, n)
    return X, y.astype(float), rng.uniform(0.1, 3.0, n)


def point(risk, seed=1):
    return np.random.default_rng(seed).normal(size=risk.n_parameters)


CASES = [
    {"l2": 0.3, "l1": 0.05},
    {"l2": 0.3, "intercept": False},
    {"reduction": "sum", "l1": 0.5},
    {"weighted": True, "l2": 0.1},
    {"weighted": True, "reduction": "sum", "intercept": False, "l2": 1.0},
]
cases = pytest.mark.parametrize("case", CASES, ids=lambda c: " ".join(c))
losses = pytest.mark.parametrize("loss", LOSSES)


def build(loss, case, kind="dense", dtype=np.float64, **changes):
    X, y, s = data(loss)
    options = {k: v for k, v in case.items() if k != "weighted"} | changes
    X = sparse.csr_array(X.astype(dtype)) if kind == "sparse" else X.astype(dtype)
    return Risk(X, y, loss, sample_weight=s if case.get("weighted") else None, **options)


def quotients(f, w, h=1e-6):
    return np.array([(f(w + h * e) - f(w - h * e)) / (2 * h) for e in np.eye(len(w))])


# --- value, gradient, curvature ------------------------------------------------------------------------------------


@cases
@losses
def test_gradient_equals_difference_quotients(loss, case):
    risk = build(loss, case)
    w = point(risk)
    value, gradient = risk.value_and_gradient(w)
    assert risk.value(w) == pytest.approx(value, rel=1e-14)
    assert (risk.gradient(w) == gradient).all()
    assert gradient == pytest.approx(quotients(risk.value, w), rel=1e-6, abs=1e-7)


@cases
@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("loss", [name for name in LOSSES if name != "softmax"])
def test_hessian_equals_difference_quotients(loss, kind, case):
    risk = build(loss, case, kind)
    w = point(risk)
    H = risk.hessian(w)
    assert pytest.approx(H.T, rel=1e-13) == H
    assert pytest.approx(quotients(risk.gradient, w), rel=1e-6, abs=1e-7) == H


def test_a_planted_fault_in_a_gradient_is_seen(monkeypatch):
    risk = build("log_loss", CASES[0])
    w = point(risk)
    monkeypatch.setattr(risk, "l2", 0.31)
    wrong = risk.gradient(w)
    monkeypatch.undo()
    assert wrong != pytest.approx(quotients(risk.value, w), rel=1e-6, abs=1e-7)


def test_no_hessian_where_it_would_be_large_or_has_classes():
    assert build("softmax", {}).hessian(np.zeros(15)) is None
    assert Risk(np.zeros((1, 2001)), [0.0]).hessian(np.zeros(2002)) is None


def test_values_are_those_of_other_libraries():
    X, y, s = data("squared_error")
    risk = Risk(X, y, sample_weight=s)
    w = point(risk)
    assert risk.value(w) == pytest.approx(0.5 * mean_squared_error(y, X @ w[:4] + w[4], sample_weight=s), rel=1e-13)
    X, y, s = data("log_loss")
    risk = Risk(X, y, "log_loss", sample_weight=s)
    p = special.expit(X @ w[:4] + w[4])
    assert risk.value(w) == pytest.approx(log_loss(y, p, sample_weight=s), rel=1e-12)
    assert risk.gradient(w)[:4] == pytest.approx(X.T @ (s * (p - y)) / s.sum(), rel=1e-12)
    X, y, s = data("softmax")
    risk = Risk(X, y, "softmax", sample_weight=s)
    w = point(risk)
    Z = X @ w[:12].reshape(3, 4).T + w[12:]
    P = special.softmax(Z, axis=1)
    assert risk.value(w) == pytest.approx(log_loss(y, P, sample_weight=s), rel=1e-12)
    assert risk.gradient(w)[12:] == pytest.approx(s @ (P - np.eye(3)[y.astype(int)]) / s.sum(), rel=1e-12)


def test_penalties_are_as_written_and_leave_the_intercept_free():
    X, y, _ = data("squared_error")
    w = np.array([1.0, -2.0, 0.0, 3.0, 100.0])
    plain, both = Risk(X, y), Risk(X, y, l2=0.5, l1=0.25)
    assert both.value(w) - plain.value(w) == pytest.approx(0.25 * 14 + 0.25 * 6, rel=1e-9)
    assert both.gradient(w) - plain.gradient(w) == pytest.approx([0.75, -1.25, 0.0, 1.75, 0.0], abs=1e-12)
    assert both.penalty(w) == 5.0
    assert not both.smooth
    assert plain.smooth


# --- one risk, however its rows are kept ---------------------------------------------------------------------------


@cases
@losses
def test_sparse_equals_dense(loss, case):
    dense, csr = build(loss, case), build(loss, case, "sparse")
    w, rows = point(dense), np.array([3, 0, 7, 7])
    assert csr.sparse
    assert not dense.sparse
    for chosen in (None, rows):
        value, gradient = dense.value_and_gradient(w, chosen)
        again, other = csr.value_and_gradient(w, chosen)
        assert again == pytest.approx(value, rel=1e-13)
        assert other == pytest.approx(gradient, rel=1e-12, abs=1e-14)
    assert csr.names == dense.names


@pytest.mark.parametrize("make", [sparse.csc_array, sparse.coo_array, sparse.csr_matrix, sparse.lil_array])
def test_every_sparse_format_is_read(make):
    X, y, _ = data("log_loss")
    risk, dense = Risk(make(X), y, "log_loss", l2=0.1), Risk(X, y, "log_loss", l2=0.1)
    w = point(dense)
    assert risk.gradient(w) == pytest.approx(dense.gradient(w), rel=1e-12)
    assert risk.hessian(w) == pytest.approx(dense.hessian(w), rel=1e-12)


def test_repeated_entries_of_a_sparse_matrix_add_up():
    parts = sparse.csr_array((np.array([1.0, 2.0, 4.0]), np.array([0, 0, 1]), np.array([0, 2, 3])), shape=(2, 2))
    risk, dense = Risk(parts, [1.0, 2.0]), Risk([[3.0, 0.0], [0.0, 4.0]], [1.0, 2.0])
    w = np.array([0.5, -1.0, 2.0])
    assert risk.gradient(w) == pytest.approx(dense.gradient(w), rel=1e-14)
    assert risk.hessian(w) == pytest.approx(dense.hessian(w), rel=1e-14)


@losses
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_float32_is_near_float64_and_computed_in_float32(loss, kind):
    case = {"l2": 0.1, "weighted": True}
    single, double = build(loss, case, kind, np.float32), build(loss, case, kind)
    w = point(double)
    assert single.X.dtype == np.float32
    value, gradient = single.value_and_gradient(w)
    assert type(value) is float
    assert gradient.dtype == np.float64
    assert value == pytest.approx(double.value(w), rel=2e-6)
    assert gradient == pytest.approx(double.gradient(w), rel=1e-5, abs=1e-6)
    assert value != double.value(w)


def test_float32_costs_accumulate_in_float64():
    n = 200_000
    X = np.full((n, 1), 0.1, dtype=np.float32)
    risk = Risk(X, np.zeros(n), intercept=False)
    each = 0.5 * float(np.float32(0.1)) ** 2
    assert risk.value(np.ones(1)) == pytest.approx(each, rel=1e-9)
    assert risk.gradient(np.ones(1))[0] == pytest.approx(2 * each, rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [1, 3, 10])
def test_bits_do_not_depend_on_how_the_rows_arrived(dtype, d):
    rng = np.random.default_rng(4)
    n = 3 * block_height(np.empty((1, d), dtype)) // 2 + 5
    X = rng.normal(size=(n, d)).astype(dtype)
    y = rng.integers(0, 2, n).astype(float)
    w = rng.normal(size=d + 1)
    wide = np.zeros((n, d + 3), dtype)
    wide[:, 1:-2] = X
    longer = np.concatenate([X, X])
    ways = [X.copy(), np.asfortranarray(X), wide[:, 1:-2], longer[:n], X[::-1].copy()[::-1], X.astype(">f8")]
    ways = ways if dtype == np.float64 else ways[:-1]
    value, gradient = Risk(X, y, "log_loss").value_and_gradient(w)
    assert len(list(Risk(X, y).blocks())) == 2
    for way in ways:
        again, other = Risk(way, y, "log_loss").value_and_gradient(w)
        assert again == value
        assert (other == gradient).all()


def test_another_grid_is_seen_in_the_bits(monkeypatch):
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(5000, 3)), rng.normal(size=5000)
    w = rng.normal(size=4)
    gradient = Risk(X, y).gradient(w)
    monkeypatch.setattr(module, "BLOCK_BYTES", 24 * 333)
    assert (Risk(X, y).gradient(w) != gradient).any()
    assert Risk(X, y).gradient(w) == pytest.approx(gradient, rel=1e-12)


@given(st.integers(1, 3000), st.integers(1, 40), st.sampled_from([np.float32, np.float64]))
def test_the_grid_covers_every_row_once_and_depends_on_the_row_alone(n, d, dtype):
    risk = Risk(np.zeros((n, d), dtype), np.arange(n, dtype=float))
    sizes = [len(y) for _, y, _ in risk.blocks()]
    assert np.concatenate([y for _, y, _ in risk.blocks()]).tolist() == list(range(n))
    assert len(set(sizes[:-1])) <= 1
    assert sizes[-1] <= sizes[0]


def test_whole_numbers_and_truth_values_are_numbers():
    w = np.array([0.5, -1.0, 0.25])
    X = np.array([[1, 0], [0, 1], [1, 1]])
    expected = Risk(X.astype(float), [0, 1, 1], "log_loss").value(w)
    for way in (X, X.astype(bool), X.tolist(), X.astype(np.int8), X.astype(object), sparse.csr_array(X)):
        assert Risk(way, np.array([False, True, True]), "log_loss").value(w) == expected


# --- the kernel is the same risk -----------------------------------------------------------------------------------


def as_python(kernel):
    """The kernel's text, run as it stands."""
    scope = {"np": np, "math": __import__("math")}
    exec(kernel.source, scope)
    return scope["evaluate"]


@cases
@losses
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_kernel_text_equals_value_and_gradient(loss, kind, case):
    risk = build(loss, case, kind)
    kernel, w = risk.kernel(), point(risk)
    evaluate = as_python(kernel)
    for rows in (None, np.array([5, 2, 9]), np.array([4])):
        value, gradient = risk.value_and_gradient(w, rows)
        again, other = evaluate(w, kernel.data, np.arange(31) if rows is None else rows)
        assert again == pytest.approx(value, rel=1e-12)
        assert other == pytest.approx(gradient, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize(("loss", "kind"), [("log_loss", "sparse"), ("softmax", "dense")])
def test_compiled_kernel_equals_value_and_gradient(loss, kind):
    risk = build(loss, {"l2": 0.2, "weighted": True}, kind)
    kernel, w = risk.kernel(), point(risk)
    text = cached.HEADER + "".join(f"\n\n{cached.JIT}def {part}" for part in f"\n\n{kernel.source}".split("\ndef ")[1:])
    head, tail = text.rsplit(cached.JIT, 1)
    evaluate = cached.load(head + cached.JIT_ENTRY + tail).evaluate
    value, gradient = evaluate(w, kernel.data, np.arange(31))
    assert value == pytest.approx(risk.value(w), rel=1e-13)
    assert gradient == pytest.approx(risk.gradient(w), rel=1e-12, abs=1e-14)
    assert isinstance(evaluate, type(njit(lambda: 0)))


def test_a_planted_fault_in_a_kernel_is_seen(monkeypatch):
    def penalise(w, gradient, n_weights, l2, l1, pull):
        total = 0.0
        for j in range(w.shape[0]):  # the intercept too
            total += 0.5 * l2 * w[j] * w[j]
            gradient[j] += l2 * w[j]
        return total

    monkeypatch.setattr(row_loops, "penalise", penalise)
    risk = build("log_loss", {"l2": 0.2})
    kernel, w = risk.kernel(), point(risk)
    value, _ = as_python(kernel)(w, kernel.data, np.arange(31))
    assert value != pytest.approx(risk.value(w), rel=1e-6)


# --- sample weights ------------------------------------------------------------------------------------------------


@losses
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_weight_two_is_a_row_repeated_and_weight_zero_a_row_absent(loss, reduction, kind):
    X, y, _ = data(loss)
    s = np.random.default_rng(9).integers(0, 4, len(y)).astype(float)
    s[:3] = 1.0  # keep every class
    rows = np.repeat(np.arange(len(y)), s.astype(int))
    form = sparse.csr_array if kind == "sparse" else np.asarray
    options = {"l2": 0.2, "l1": 0.1, "reduction": reduction}
    weighted = Risk(form(X), y, loss, sample_weight=s, **options)
    repeated = Risk(form(X[rows]), y[rows], loss, **options)
    w = point(weighted)
    value, gradient = repeated.value_and_gradient(w)
    assert weighted.value(w) == pytest.approx(value, rel=1e-13)
    assert weighted.gradient(w) == pytest.approx(gradient, rel=1e-12, abs=1e-14)
    if loss != "softmax":
        assert weighted.hessian(w) == pytest.approx(repeated.hessian(w), rel=1e-12, abs=1e-14)


def test_the_law_of_weights_sees_a_mean_over_rows():
    """A mean that divides by the number of rows, not by the sum of their weights, breaks the law."""
    X, y, _ = data("log_loss")
    s = np.ones(len(y))
    s[4] = 2.0
    weighted = Risk(X, y, "log_loss", sample_weight=s)
    weighted.denominator = float(len(y))
    repeated = Risk(np.vstack([X, X[4]]), np.append(y, y[4]), "log_loss")
    w = point(weighted)
    assert weighted.value(w) != pytest.approx(repeated.value(w), rel=1e-6)


def test_a_sum_is_the_mean_times_the_weight():
    X, y, s = data("log_loss")
    mean, total = Risk(X, y, "log_loss", sample_weight=s), Risk(X, y, "log_loss", sample_weight=s, reduction="sum")
    w = point(mean)
    assert total.value(w) == pytest.approx(s.sum() * mean.value(w), rel=1e-13)
    assert total.gradient(w) == pytest.approx(s.sum() * mean.gradient(w), rel=1e-12)
    scaled = Risk(X, y, "log_loss", sample_weight=1000 * s)
    assert scaled.value(w) == pytest.approx(mean.value(w), rel=1e-13)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("loss", ["log_loss", "softmax"])
def test_the_batches_of_a_sum_add_up_to_it(loss, kind):
    """So that their steps descend on the cost itself: with the whole penalty in each of them it would be another."""
    X, y, s = data(loss)
    form = sparse.csr_array if kind == "sparse" else np.asarray
    risk = Risk(form(X), y, loss, sample_weight=s, l2=0.7, l1=0.3, reduction="sum")
    w = point(risk)
    value, gradient = risk.value_and_gradient(w)
    batches = np.array_split(np.random.default_rng(0).permutation(len(y)), [10, 20, 30])
    parts = [risk.value_and_gradient(w, rows) for rows in batches]
    assert sum(part[0] for part in parts) == pytest.approx(value, rel=1e-13)
    assert sum(part[1] for part in parts) == pytest.approx(gradient, rel=1e-12, abs=1e-13)
    assert [risk.value(w, rows) for rows in batches] == pytest.approx([part[0] for part in parts], rel=1e-14)


# --- parameters and names ------------------------------------------------------------------------------------------


def test_parameters_are_split_joined_and_named():
    X, y, _ = data("softmax")
    risk = Risk(X, y, "softmax", features=["a", "b", "c", "d"])
    w = np.arange(15.0)
    W, b = risk.split(w)
    assert W.tolist() == np.arange(12.0).reshape(3, 4).tolist()
    assert b.tolist() == [12, 13, 14]
    assert (risk.join(W, b) == w).all()
    assert risk.names[:5] == ("a (0)", "b (0)", "c (0)", "d (0)", "a (1)")
    assert risk.names[12:] == ("intercept (0)", "intercept (1)", "intercept (2)")
    W[0, 0] = 99.0
    assert w[0] == 99.0  # a view
    one = Risk(X, y % 2, "log_loss", intercept=False)
    assert one.names == ("x0", "x1", "x2", "x3")
    assert one.split(np.arange(4.0))[1] == 0.0


# --- errors --------------------------------------------------------------------------------------------------------

X2 = [[1.0, 2.0], [3.0, 4.0]]
NAN = np.array([[1.0, 2.0], [3.0, np.nan]])


@pytest.mark.parametrize(
    ("X", "y", "options", "error", "words"),
    [
        ([1.0, 2.0], [1.0, 2.0], {}, ShapeError, "shape (2,)"),
        (np.zeros((2, 2, 2)), [1.0, 2.0], {}, ShapeError, "expected (rows, columns)"),
        (X2, [1.0], {}, ShapeError, "2 rows"),
        (X2, [[1.0], [2.0]], {}, ShapeError, "(2, 1)"),
        (X2, 1.0, {}, ShapeError, "one target a row"),
        (np.empty((0, 2)), [], {}, DataError, "no rows"),
        ([["a", "b"]], [1.0], {}, DataError, "numbers"),
        ([[1.0, 2.0], [3.0]], [1.0, 2.0], {}, DescenderError, "X"),
        (NAN, [0.0, 1.0], {}, DataError, "row 1, column 1"),
        (NAN.astype(np.float32), [0.0, 1.0], {}, DataError, "row 1, column 1"),
        (sparse.csr_array(NAN), [0.0, 1.0], {}, DataError, "row 1, column 1"),
        ([[1.0, -np.inf], [3.0, 4.0]], [0.0, 1.0], {}, DataError, "row 0, column 1"),
        ([[1.0, -np.inf], [np.inf, 4.0]], [0.0, 1.0], {}, DataError, "row 0, column 1"),
        (X2, [0.0, np.nan], {}, TargetError, "row 1"),
        (X2, ["yes", "no"], {}, DescenderError, "target"),
        (X2, [0.0, 2.0], {"loss": "log_loss"}, TargetError, "row 1 is 2"),
        (X2, [0.0, 0.5], {"loss": "softmax"}, TargetError, "class indices"),
        (X2, [0.0, 1.0], {"loss": "logloss"}, OptionError, "did you mean log_loss?"),
        (X2, [0.0, 1.0], {"loss": "zzz"}, OptionError, "known: squared_error"),
        (X2, [0.0, 1.0], {"loss": None}, OptionError, "loss=None"),
        (X2, [0.0, 1.0], {"l2": -1.0}, OptionError, "l2=-1.0"),
        (X2, [0.0, 1.0], {"l1": -1e-9}, OptionError, "l1=-1e-09"),
        (X2, [0.0, 1.0], {"l2": np.nan}, OptionError, "l2=nan"),
        (X2, [0.0, 1.0], {"l1": np.inf}, OptionError, "l1=inf"),
        (X2, [0.0, 1.0], {"reduction": "max"}, OptionError, "known: mean, sum"),
        (X2, [0.0, 1.0], {"sample_weight": [1.0]}, ShapeError, "sample_weight has shape (1,)"),
        (X2, [0.0, 1.0], {"sample_weight": [1.0, -1.0]}, DataError, "at least 0"),
        (X2, [0.0, 1.0], {"sample_weight": [1.0, np.nan]}, DataError, "finite"),
        (X2, [0.0, 1.0], {"sample_weight": [0.0, 0.0]}, DataError, "not all 0"),
    ],
)
def test_wrong_input_is_refused(X, y, options, error, words):
    with pytest.raises(error) as caught:
        Risk(X, y, **options)
    assert words in str(caught.value)


def test_numbers_whose_sum_overflows_are_not_refused():
    risk = Risk([[1e308], [1e308]], [0.0, 1.0])
    assert risk.value(np.zeros(2)) == 0.25


@pytest.mark.parametrize("w", [np.zeros(2), np.zeros(4), np.zeros((3, 1))])
def test_a_point_of_the_wrong_length_is_refused(w):
    risk = Risk(X2, [0.0, 1.0])
    for call in (risk.value, risk.gradient, risk.value_and_gradient):
        with pytest.raises(ShapeError, match="3 parameters"):
            call(w)
