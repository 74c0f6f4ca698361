"""The losses: slope, curvature and dual belong to the value; stable, convex where they say so."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from descender.costs.losses import LOSSES, LogLoss, SigmoidSquaredError, Softmax, SquaredError, check_targets
from descender.errors import TargetError
from descender.kernels.assemble import text_of

ONE_SCORE = [loss for loss in LOSSES.values() if loss is not Softmax]
by_name = {"ids": lambda loss: loss.name}
Z = np.array([-30.0, -3.0, -1.0, -1e-3, 0.0, 1e-3, 0.5, 1.0, 3.0, 30.0])
Y = {loss.name: np.array([0.0, 1.0, 0.3]) for loss in ONE_SCORE} | {"squared_error": np.array([-2.0, 0.0, 1.0, 7.5])}
KS = np.array([2, 3, 5])


def classes_first(k, n=7, seed=0):
    """Scores of n samples with ties, and a class for each."""
    rng = np.random.default_rng(seed)
    z = np.round(rng.normal(size=(k, n)) * 3)
    z[:, 0] = 0.0
    return z, rng.integers(0, k, n).astype(float)


# --- slope == autodiff(value) --------------------------------------------------------------------------------------


def translated(loss, name="value"):
    """The text of a formula with PyTorch's functions in the place of NumPy's."""
    torch = pytest.importorskip("torch", reason="PyTorch differentiates the formulas")

    def tensor(x):
        return torch.as_tensor(x, dtype=torch.float64)

    table = SimpleNamespace(
        maximum=lambda a, b: torch.maximum(tensor(a), tensor(b)),
        minimum=lambda a, b: torch.minimum(tensor(a), tensor(b)),
        where=lambda c, a, b: torch.where(c, tensor(a), tensor(b)),
        **{f: getattr(torch, f) for f in ("exp", "log", "log1p", "expm1", "abs", "sqrt", "sign", "tanh", "empty_like")},
    )
    scope = {"np": table}
    exec(text_of(getattr(loss, name), name), scope)
    return scope[name]


def autodiff(loss, z, y, formula=None):
    import torch

    score = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    (formula or translated(loss))(score, torch.tensor(y, dtype=torch.float64)).sum().backward()
    return score.grad.numpy()


@pytest.mark.parametrize("loss", ONE_SCORE, **by_name)
def test_slope_is_what_automatic_differentiation_of_the_value_gives(loss):
    z, y = (a.ravel() for a in np.meshgrid(np.append(Z, Y[loss.name]), Y[loss.name]))
    formula = translated(loss)
    assert autodiff(loss, z, y, formula) == pytest.approx(loss.slope(z, y), rel=1e-10, abs=1e-15)


@pytest.mark.parametrize("k", KS)
def test_softmax_slope_is_what_automatic_differentiation_of_the_value_gives(k):
    z, y = classes_first(k)
    assert autodiff(Softmax, z, y) == pytest.approx(Softmax.slope(z, y), rel=1e-12, abs=1e-15)


def test_a_formula_with_where_at_its_kink_is_seen():
    """The trap of ALGORITHMS.md: the right value, and a wrong derivative by automatic differentiation at 0."""
    import torch

    def trap(z, y):
        return torch.where(z > 0, z + torch.log1p(torch.exp(-z)), torch.log1p(torch.exp(z)).detach()) - y * z

    z, y = np.array([0.0]), np.array([1.0])
    assert abs(autodiff(None, z, y, trap) - LogLoss.slope(z, y)) > 0.1


@pytest.mark.parametrize("loss", ONE_SCORE, **by_name)
def test_slope_and_curvature_equal_difference_quotients(loss):
    z, y = (a.ravel() for a in np.meshgrid(Z, Y[loss.name]))
    h = 1e-5 * np.maximum(np.abs(z), 1.0)
    for formula, derivative in ((loss.value, loss.slope), (loss.slope, loss.curvature)):
        quotient = (formula(z + h, y) - formula(z - h, y)) / (2 * h)
        assert derivative(z, y) == pytest.approx(quotient, rel=2e-6, abs=2e-9)


def test_a_planted_fault_in_a_curvature_is_seen():
    z, h = Z, 1e-5
    quotient = (LogLoss.slope(z + h, 0.0) - LogLoss.slope(z - h, 0.0)) / (2 * h)
    assert 1.001 * LogLoss.curvature(z, 0.0) != pytest.approx(quotient, rel=2e-6, abs=2e-9)


# --- stability -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ONE_SCORE, **by_name)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_finite_at_large_scores(loss, dtype):
    z = np.array([-1e4, -800.0, -90.0, 90.0, 800.0, 1e4], dtype=dtype)
    for y in (0.0, 0.5, 1.0):
        for formula in (loss.value, loss.slope, loss.curvature):
            assert np.isfinite(formula(z, y)).all()
        assert (loss.value(z, y) >= 0).all()
        assert np.isfinite(loss.predict(z)).all()


def test_exact_at_large_scores():
    assert LogLoss.value(np.array([1e4, -1e4, 1e4, -1e4]), np.array([0, 0, 1, 1])).tolist() == [1e4, 0, 0, 1e4]
    assert LogLoss.slope(np.array([1e4, -1e4, 1e4, -1e4]), np.array([0, 0, 1, 1])).tolist() == [1, 0, 0, -1]
    assert LogLoss.value(-50.0, 0.0) == pytest.approx(np.exp(-50), rel=1e-14)
    assert LogLoss.curvature(-700.0, 0.0) == pytest.approx(np.exp(-700.0), rel=1e-12)
    z = np.array([[1e4, -1e4], [-1e4, 1e4], [0.0, 0.0]])
    assert Softmax.value(z, np.array([1, 1])).tolist() == [2e4, 0]
    assert Softmax.slope(z, np.array([1, 1])).tolist() == [[1, 0], [-1, 0], [0, 0]]
    assert Softmax.predict(z).sum(axis=0).tolist() == [1, 1]


def test_log_loss_keeps_its_digits_for_both_classes_alike():
    """What a sure and right score still costs is a small number, not the difference of two large ones."""
    z = np.array([5.0, 30.0, 36.0, 100.0, 700.0])
    assert LogLoss.value(-z, 0.0) == pytest.approx(np.log1p(np.exp(-z)), rel=1e-13, abs=0)
    assert LogLoss.value(z, 1.0) == pytest.approx(np.log1p(np.exp(-z)), rel=1e-13, abs=0)


def test_the_naive_formula_is_seen_to_overflow():
    with pytest.raises(RuntimeWarning, match="overflow"):
        np.log1p(np.exp(np.array([1e4])))


# --- convexity -----------------------------------------------------------------------------------------------------


def bends_up(formula, a, b, y):
    middle, chord = formula(0.5 * (a + b), y), 0.5 * (formula(a, y) + formula(b, y))
    return bool((middle <= chord + 1e-14 * (1 + np.abs(chord))).all())


@given(st.floats(-50, 50), st.floats(-50, 50), st.sampled_from([0.0, 0.25, 1.0]))
def test_convex_losses_bend_up(a, b, y):
    for loss in ONE_SCORE:
        if loss.convex:
            assert bends_up(loss.value, a, b, y)


def test_softmax_bends_up():
    rng = np.random.default_rng(2)
    for k in KS:
        a, b, y = rng.normal(size=(k, 200)) * 5, rng.normal(size=(k, 200)) * 5, rng.integers(0, k, 200)
        assert bends_up(Softmax.value, a, b, y)


def test_the_convexity_check_sees_what_bends_down():
    assert not bends_up(SigmoidSquaredError.value, np.array(-8.0), np.array(-2.0), 1.0)
    assert not SigmoidSquaredError.convex


@pytest.mark.parametrize("loss", ONE_SCORE, **by_name)
def test_curvature_stays_below_its_bound_and_reaches_it(loss):
    z = np.linspace(-20, 20, 40_001)
    highest = max(loss.curvature(z, y).max() for y in (0.0, 0.5, 1.0))
    assert highest <= loss.curvature_bound
    assert highest >= 0.99 * loss.curvature_bound
    if loss.convex:
        assert min(loss.curvature(z, y).min() for y in (0.0, 0.5, 1.0)) >= 0


def test_softmax_curvature_stays_below_its_bound():
    rng = np.random.default_rng(3)
    p = [Softmax.predict(rng.normal(size=(k, 1)) * 4)[:, 0] for k in KS for _ in range(50)] + [np.array([0.5, 0.5, 0])]
    highest = max(np.linalg.eigvalsh(np.diag(q) - np.outer(q, q))[-1] for q in p)
    assert 0.499 < highest <= Softmax.curvature_bound + 1e-15


# --- duals: Fenchel and Young --------------------------------------------------------------------------------------

shares = st.floats(0.0, 1.0)
scores = st.floats(-40, 40)


def fenchel_young(loss, z, theta, y):
    """l(z) + l*(-theta) + theta z, never negative, and zero for theta = -l'(z)."""
    inner = (theta * z).sum(axis=0) if loss is Softmax else theta * z
    return loss.value(z, y) - loss.dual(theta, y) + inner


@given(st.floats(-100, 100), st.floats(-100, 100), st.floats(-100, 100))
def test_dual_of_squared_error(z, theta, y):
    size = 1e-15 * (z * z + y * y + theta * theta + 1)
    assert fenchel_young(SquaredError, z, theta, y) >= -4 * size
    assert abs(fenchel_young(SquaredError, z, -SquaredError.slope(z, y), y)) <= 16 * size


@given(scores, shares, shares)
def test_dual_of_log_loss(z, p, y):
    size = 1e-15 * (abs(z) + 1)
    assert fenchel_young(LogLoss, z, y - p, y) >= -4 * size
    assert abs(fenchel_young(LogLoss, z, -LogLoss.slope(z, y), y)) <= 16 * size


@given(st.integers(2, 5), st.integers(0, 2**32), st.floats(0, 10))
def test_dual_of_softmax(k, seed, spread):
    rng = np.random.default_rng(seed)
    z, y = rng.normal(size=(k, 9)) * spread, rng.integers(0, k, 9)
    q = rng.dirichlet(np.full(k, 0.3), 9).T
    target = np.arange(k)[:, None] == y
    size = 1e-15 * (np.abs(z).sum(axis=0) + k)
    assert (fenchel_young(Softmax, z, target - q, y) >= -4 * size).all()
    assert (np.abs(fenchel_young(Softmax, z, -Softmax.slope(z, y), y)) <= 16 * size).all()


def test_a_planted_fault_in_a_dual_is_seen():
    """Twice the entropy is no bound; half of it is one that is not tight."""
    z, y = 0.3, 1.0
    theta = -LogLoss.slope(z, y)
    inner = LogLoss.value(z, y) + theta * z
    assert inner - 2 * LogLoss.dual(theta, y) < -1e-3
    assert inner - 0.5 * LogLoss.dual(theta, y) > 1e-3


def test_softmax_of_two_classes_is_log_loss():
    z = np.concatenate([Z, [-1e4, 1e4]])
    for y in (0, 1):
        pair, target = np.stack([np.zeros_like(z), z]), np.full(len(z), y)
        assert Softmax.value(pair, target) == pytest.approx(LogLoss.value(z, y), rel=1e-12, abs=1e-14)
        assert Softmax.slope(pair, target)[1] == pytest.approx(LogLoss.slope(z, y), rel=1e-9, abs=1e-15)
        assert Softmax.predict(pair)[1] == pytest.approx(LogLoss.predict(z), rel=1e-12)
    p = np.linspace(0, 1, 11)
    theta = np.stack([p, -p])  # class 0 with the probability 1 - p
    assert Softmax.dual(theta, np.zeros(11)) == pytest.approx(LogLoss.dual(-p, 0.0), abs=1e-15)


# --- the trivial score, prediction, targets ------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ONE_SCORE, **by_name)
def test_trivial_is_the_best_constant_score(loss):
    y = np.array([0.0, 0.0, 1.0, 0.4, 1.0, 1.0])
    best = minimize_scalar(lambda z: loss.value(z, y).mean(), bounds=(-5, 5), method="bounded", options={"xatol": 1e-9})
    assert loss.trivial(y.mean()) == pytest.approx(best.x, abs=1e-5)


def test_trivial_of_sure_targets_is_finite():
    for loss in (LogLoss, SigmoidSquaredError):
        z = loss.trivial(np.array([0.0, 1.0]))
        assert np.isfinite(z).all()
        assert loss.value(z, np.array([0.0, 1.0])) == pytest.approx([0.0, 0.0], abs=1e-15)


def test_prediction_is_the_mean_that_the_slope_compares_with():
    for y in (0.0, 1.0):
        assert LogLoss.predict(Z) - y == pytest.approx(LogLoss.slope(Z, y), rel=1e-14, abs=1e-16)
        assert SquaredError.predict(Z) - y == pytest.approx(SquaredError.slope(Z, y))
    assert LogLoss.predict(-800.0) < 1e-300
    assert SigmoidSquaredError.predict is LogLoss.predict


@pytest.mark.parametrize(
    ("loss", "good"),
    [
        ("squared_error", [-1e300, 0.0, 2.5]),
        ("log_loss", [0.0, 0.5, 1.0]),
        ("sigmoid_squared_error", [0.0, 0.5, 1.0]),
        ("softmax", [0.0, 1.0, 17.0]),
    ],
)
def test_targets_that_suit(loss, good):
    assert check_targets(LOSSES[loss], np.array(good)) is None


@pytest.mark.parametrize(
    ("loss", "bad", "said"),
    [
        ("squared_error", np.nan, "nan"),
        ("squared_error", np.inf, "inf"),
        ("log_loss", -1.0, "-1"),
        ("log_loss", 1.0001, "1.0001"),
        ("log_loss", np.nan, "nan"),
        ("sigmoid_squared_error", 2.0, "2"),
        ("softmax", -1.0, "-1"),
        ("softmax", 0.5, "0.5"),
        ("softmax", -np.inf, "-inf"),
    ],
)
def test_targets_that_do_not_suit_are_named_by_row(loss, bad, said):
    y = np.array([0.0, 1.0, bad, bad])
    with pytest.raises(TargetError, match=f"the target of row 2 is {said}; {loss} needs"):
        check_targets(LOSSES[loss], y)
