"""The losses: slope, curvature and dual belong to the value; stable, convex where they say so."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from descender.costs.losses import (
    DEFAULT,
    LOSSES,
    Hinge,
    Huber,
    LogLoss,
    OneVsRest,
    Poisson,
    Quantile,
    SigmoidSquaredError,
    Softmax,
    SquaredError,
    SquaredHinge,
    check_targets,
    parameters,
    read_loss,
)
from descender.data.target import TASKS
from descender.errors import OptionError, TargetError
from descender.kernels.texts import text_of

ONE_SCORE = [loss for loss in LOSSES.values() if loss is not Softmax] + [Huber(0.3), Quantile(0.9)]
SMOOTH = [loss for loss in ONE_SCORE if loss.differentiable]
CONVEX = [loss for loss in ONE_SCORE if loss.convex]
by_name = {"ids": lambda loss: loss.name}
Z = np.array([-30.0, -3.0, -1.0, -1e-3, 0.0, 1e-3, 0.5, 1.0, 3.0, 30.0])
KS = np.array([2, 3, 5])


def some_targets(loss):
    """Targets that the loss is made for, the ends of its range among them."""
    some = np.array([-2.0, 0.0, 0.3, 1.0, 7.5])
    return some[loss.suits(some)]


def grid(loss, z=Z):
    z, y = (a.ravel() for a in np.meshgrid(z, some_targets(loss)))
    return z, y


def classes_first(k, n=7, seed=0):
    """Scores of n samples with ties, and a class for each."""
    rng = np.random.default_rng(seed)
    z = np.round(rng.normal(size=(k, n)) * 3)
    z[:, 0] = 0.0
    return z, rng.integers(0, k, n).astype(float)


# --- slope == autodiff(value) --------------------------------------------------------------------------------------


def autodiff(value, z, y):
    """The derivative by z of the sum of a formula, by JAX; the formula's own text, with JAX's functions."""
    with jax.enable_x64(True):
        return np.asarray(jax.grad(lambda score: value(score, jnp.asarray(y)).sum())(jnp.asarray(z)))


def translated(loss, name="value"):
    """The text of a formula with JAX's functions in the place of NumPy's."""
    scope = {"np": jnp}
    exec(text_of(getattr(loss, name), name), scope)
    return scope[name] if "self" not in scope[name].__code__.co_varnames else lambda z, y: scope[name](loss, z, y)


@pytest.mark.parametrize("loss", ONE_SCORE, **by_name)
def test_slope_is_what_automatic_differentiation_of_the_value_gives(loss):
    """At kinks, too: the scores hold each target, plus and minus the parameters, and the margins of hinge."""
    edges = [
        y + shift for y in some_targets(loss) for shift in (0.0, *parameters(loss), *(-p for p in parameters(loss)))
    ]
    z, y = grid(loss, np.concatenate([Z, -Z, edges]))
    assert autodiff(translated(loss), z, y) == pytest.approx(loss.slope(z, y), rel=1e-10, abs=1e-15)


@pytest.mark.parametrize("k", KS)
def test_softmax_slope_is_what_automatic_differentiation_of_the_value_gives(k):
    z, y = classes_first(k)
    assert autodiff(translated(Softmax), z, y) == pytest.approx(Softmax.slope(z, y), rel=1e-12, abs=1e-15)


def test_a_formula_with_where_at_its_kink_is_seen():
    """The trap of log_loss: the right value, and a wrong derivative by automatic differentiation at 0."""

    def trap(z, y):
        right = z + jnp.log1p(jnp.exp(-z))
        return jnp.where(z > 0, right, jax.lax.stop_gradient(jnp.log1p(jnp.exp(z)))) - y * z

    z, y = np.array([0.0]), np.array([1.0])
    assert abs(autodiff(trap, z, y) - LogLoss.slope(z, y)) > 0.1


@pytest.mark.parametrize("loss", ONE_SCORE, **by_name)
def test_slope_and_curvature_equal_difference_quotients(loss):
    """Away from kinks, where the difference of a derivative to both sides is seen."""
    z, y = grid(loss, Z + 1e-2 * np.sqrt(2.0))
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
    for y in some_targets(loss)[:, None] * np.ones(len(z)):  # float64, as a risk keeps them
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


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_convex_losses_bend_up(a, b):
    for loss in CONVEX:
        assert bends_up(loss.value, a, b, some_targets(loss))


def test_softmax_bends_up():
    rng = np.random.default_rng(2)
    for k in KS:
        a, b, y = rng.normal(size=(k, 200)) * 5, rng.normal(size=(k, 200)) * 5, rng.integers(0, k, 200)
        assert bends_up(Softmax.value, a, b, y)


def test_the_convexity_check_sees_what_bends_down():
    assert not bends_up(SigmoidSquaredError.value, np.array(-8.0), np.array(-2.0), 1.0)
    assert not SigmoidSquaredError.convex


@pytest.mark.parametrize("loss", [loss for loss in SMOOTH if loss is not Poisson], **by_name)
def test_curvature_stays_below_its_bound_and_reaches_it(loss):
    z = np.linspace(-20, 20, 40_001)
    highest = max(loss.curvature(z, y).max() for y in some_targets(loss))
    assert highest <= loss.curvature_bound
    assert highest >= 0.99 * loss.curvature_bound
    if loss.convex:
        assert min(loss.curvature(z, y).min() for y in some_targets(loss)) >= 0


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


@given(st.floats(-40, 40), shares, st.integers(0, 4))
def test_every_dual_bounds_its_loss_and_meets_it_at_the_natural_point(z, share, which):
    for loss in CONVEX:
        y = some_targets(loss)
        y = y[[which % len(y)]]
        low, high = (np.clip(end, -50.0, 50.0) for end in loss.dual_range(y))
        size = 1e-15 * (loss.value(np.array([z]), y) + 50.0 * (abs(z) + np.abs(y) + 50.0))
        assert (fenchel_young(loss, z, low + share * (high - low), y) >= -4 * size).all()
        natural = -loss.slope(np.array([z]), y)
        assert (np.abs(fenchel_young(loss, z, natural, y)) <= 16 * size + 1e-15 * np.abs(natural * z)).all()
        assert (low <= 0).all()
        assert (high >= 0).all()
        assert (natural >= loss.dual_range(y)[0]).all()
        assert (natural <= loss.dual_range(y)[1]).all()


@pytest.mark.parametrize("loss", CONVEX, **by_name)
def test_nothing_is_lower_than_the_lowest_loss(loss):
    z, y = grid(loss, np.linspace(-60, 60, 4001))
    assert (loss.value(z, y) >= loss.lowest(y) - 1e-12).all()
    for target in some_targets(loss):
        reached = loss.value(np.append(np.linspace(-60, 60, 120_001), target), target).min()
        assert reached == pytest.approx(loss.lowest(np.array([target]))[0], abs=1e-7)


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
@given(st.integers(0, 10_000))
def test_trivial_is_the_best_constant_score(loss, seed):
    """Weighted, exact: no score that a search finds is better."""
    rng = np.random.default_rng(seed)
    y = rng.choice(some_targets(loss), 9) + 0.0
    weights = rng.integers(0, 4, 9) + rng.choice([0.0, 0.01])
    weights[0] += 1.0

    def mean(z):
        return float(weights @ loss.value(z + 0.0 * y, y))

    best = minimize_scalar(mean, bounds=(-40, 40), method="bounded", options={"xatol": 1e-9})
    found = loss.trivial(y, weights)
    assert mean(found) <= best.fun + 1e-7 * (1.0 + best.fun)
    assert np.isfinite(found)


@pytest.mark.parametrize("loss", [LogLoss, SigmoidSquaredError, Poisson], **by_name)
def test_trivial_of_sure_targets_is_finite(loss):
    for y in (np.zeros(3), np.ones(3)):
        z = loss.trivial(y, np.ones(3))
        assert np.isfinite(z)
        assert loss.value(z + 0.0 * y, y) == pytest.approx([0.0, 0.0, 0.0], abs=1e-15)


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
        ("huber", [-1e300, 0.0, 2.5]),
        ("quantile 0.1", [-1e300, 0.0, 2.5]),
        ("poisson", [0.0, 0.5, 1e300]),
        ("hinge", [0.0, 1.0]),
        ("squared_hinge", [0.0, 1.0]),
    ],
)
def test_targets_that_suit(loss, good):
    assert check_targets(read_loss(loss), np.array(good)) is None


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
        ("huber 2", np.nan, "nan"),
        ("poisson", -1e-9, "-1e-09"),
        ("poisson", np.inf, "inf"),
        ("hinge", 0.5, "0.5"),
        ("squared_hinge", -1.0, "-1"),
    ],
)
def test_targets_that_do_not_suit_are_named_by_row(loss, bad, said):
    y = np.array([0.0, 1.0, bad, bad])
    with pytest.raises(TargetError, match=f"the target of row 2 is {said}; {loss} needs"):
        check_targets(read_loss(loss), y)


def test_duals_end_where_they_say():
    """Beyond its interval a theta bounds nothing: the conjugate is infinite there."""
    z = np.linspace(-1e6, 1e6, 11)
    for loss in (Huber(0.3), Quantile(0.9), Hinge, LogLoss, Poisson, SquaredHinge):
        y = some_targets(loss)[-1:]
        low, high = loss.dual_range(y)
        for end, beyond in ((low, low - 0.1), (high, high + 0.1)):
            if np.isfinite(end).all():
                assert (loss.value(np.clip(z, -590, 590) if loss is Poisson else z, y) + beyond * z).min() < -1e3


@pytest.mark.parametrize("k", KS)
def test_one_against_the_rest_is_the_sum_over_classes(k):
    z, y = classes_first(k)
    for base in (Hinge, SquaredHinge):
        loss = OneVsRest(base)
        assert loss.value(z, y) == pytest.approx(sum(base.value(z[j], 1.0 * (y == j)) for j in range(k)))
        assert loss.slope(z, y)[1] == pytest.approx(base.slope(z[1], 1.0 * (y == 1)))
        assert loss.predict(z).sum(axis=0).tolist() == [1.0] * z.shape[1]
        assert loss.name == base.name


def test_predictions_of_scores():
    assert Poisson.predict(np.array([0.0, np.log(3.0), 1e4])) == pytest.approx([1.0, 3.0, np.exp(600.0)])
    assert Hinge.predict(np.array([-0.1, 0.0, 0.1])).tolist() == [0.0, 0.0, 1.0]
    assert Huber().predict(2.5) == Quantile().predict(2.5) == 2.5


def test_poisson_of_no_events_in_float32_asks_for_no_logarithm_of_0():
    none = np.zeros(2, dtype=np.float32)
    np.testing.assert_allclose(Poisson.value(np.float32([0.0, 1.0]), none), [1.0, np.e], rtol=1e-6)


def test_poisson_is_half_the_deviance():
    from sklearn.metrics import mean_poisson_deviance

    rng = np.random.default_rng(0)
    z, y = rng.normal(size=50), rng.poisson(3.0, 50).astype(float)
    assert 2.0 * Poisson.value(z, y).mean() == pytest.approx(mean_poisson_deviance(y, np.exp(z)), rel=1e-13)


# --- names -----------------------------------------------------------------------------------------------------------


@given(st.floats(1e-300, 1e300), st.floats(1e-12, 1.0, exclude_max=True))
def test_a_loss_is_read_back_from_its_name(delta, level):
    for loss in (Huber(delta), Quantile(level), *LOSSES.values()):
        assert read_loss(loss.name) == loss
        assert read_loss(loss) == loss


@pytest.mark.parametrize(
    "loss", [loss for loss in LOSSES.values() if loss.fuse is not None], ids=lambda loss: loss.name
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_fused_is_the_formula(loss, dtype):
    z = np.linspace(-12.0, 12.0, 301).astype(dtype)
    exact = z.astype(np.float64)
    for target in (0.0, 1.0) if loss is LogLoss else (0.0, 1.0, 3.0, 250.0):
        y = np.full(len(z), target, dtype)
        value, slope = np.empty_like(z), np.empty_like(z)
        loss.fuse(z, loss.sides(y), value, slope)
        other = loss.fused(z, y)
        size = 1.0 + np.exp(np.maximum(exact, 0.0)) + target * (1.0 + np.abs(exact))
        near = 40.0 * np.finfo(dtype).eps * size
        for found, told, wanted in zip((value, slope), other, (loss.value, loss.slope), strict=True):
            np.testing.assert_array_equal(found, told)
            assert np.all(np.abs(found - wanted(exact, y.astype(np.float64))) <= near)


def test_losses_with_parameters_differ():
    assert Huber(0.5) != Quantile(0.5)
    assert [Huber().name, Huber(2).name, Quantile(0.5).name, Quantile(0.25).name] == [
        "huber", "huber 2", "quantile", "quantile 0.25",
    ]  # fmt: skip
    assert set(DEFAULT) == set(TASKS)
    assert all(task in LOSSES[DEFAULT[task]].tasks for task in TASKS)


def test_huber_finds_the_delta_that_suits():
    rng = np.random.default_rng(0)
    y = rng.normal(size=20_000) * 7.0
    y[:100] = 1e9
    assert Huber.suited(y).delta == pytest.approx(1.345 * 7.0, rel=0.05)
    assert Huber.suited(np.zeros(5)).delta > 0
    assert Huber.suited(np.array([0.0, 0.0, 0.0, 0.0, 3.0])).delta > 0
    assert read_loss(Huber.suited(y).name) == Huber.suited(y)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ("hubr", "did you mean huber"),
        ("huber x", "after 'huber' comes the number delta"),
        ("huber 1 2", "after 'huber' comes the number delta"),
        ("huber -1", "delta=-1 must be a positive finite number"),
        ("huber inf", "delta=inf must be a positive"),
        ("quantile 1", "level=1 must lie strictly between 0 and 1"),
        ("quantile 90", "level=90 must lie strictly"),
        ("log_loss 3", "'log_loss' has no parameters"),
        ("", "known: "),
        (3, "give a name, such as 'log_loss'"),
        (dict, "give a name, such as 'log_loss'"),
        (Huber, "give a name, such as 'log_loss'"),
    ],
)
def test_what_is_no_loss_is_refused(given_, said):
    with pytest.raises(OptionError, match=said):
        read_loss(given_)
