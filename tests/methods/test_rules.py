"""The update rules against PyTorch and plain recursions; clipping, schedules, backtracking; plain == compiled."""

import inspect
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descender.costs.cost import Cost
from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.descent import descend
from descender.errors import OptionError
from descender.kernels import loops
from descender.methods import advance, textbook
from descender.methods.advance import Options
from descender.methods.rates import Backtracking, Constant, Exponential, InverseTime, read_rate
from descender.methods.rules import RULES, Adam, GradientDescent, Momentum
from descender.methods.textbook import Textbook
from descender.walk import Stop

STEPS = 1000


class Plain(Cost):
    """A cost of two lines, without a kernel."""

    def __init__(self, fun, gradient, d=2):
        self.fun, self.slope, self.names = fun, gradient, tuple(f"w{j}" for j in range(d))

    def value_and_gradient(self, w, rows=None):
        return float(self.fun(w)), np.asarray(self.slope(w), dtype=float)


A, AT = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, -2.0])
COSTS = {
    "quadratic": Plain(lambda w: 0.5 * (w - AT) @ A @ (w - AT), lambda w: A @ (w - AT)),
    "nonlinear": Plain(
        lambda w: np.sum(np.logaddexp(w, -w)) + 0.1 * np.sum(np.cos(w[0] * w[1])) + 0.5 * w[0],
        lambda w: np.tanh(w) - 0.1 * np.sin(w[0] * w[1]) * w[::-1] + [0.5, 0.0],
    ),
}
START = np.array([-1.2, 1.0])
THEIRS = {
    "gd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adagrad": ("Adagrad", {}),
    "rmsprop": ("RMSprop", {}),
    "adam": ("Adam", {}),
    "adadelta": ("Adadelta", {}),
    "adamax": ("Adamax", {}),
    "amsgrad": ("Adam", {"amsgrad": True}),
    "nadam": ("NAdam", {}),
    "adamw": ("AdamW", {}),
}
OPTAX = {
    "sign": lambda optax, rate: optax.sign_sgd(rate),
    "lion": lambda optax, rate: optax.lion(rate, weight_decay=0.0),
    "schedule-free": lambda optax, rate: optax.contrib.schedule_free_sgd(rate),
    "prodigy": lambda optax, rate: optax.contrib.prodigy(rate),
}


def our_path(name, cost, rate, steps=STEPS, start=START, **options):
    """The points of a walk, each once: the record repeats the last where the next one was not finite."""
    method = Textbook(name, RULES[name](), Constant(rate), options=Options(**options))
    record = descend(cost, start, method, Stop(max_steps=steps)).record
    path = record.path[np.unique(record["step"], return_index=True)[1]]
    return path[:-1] if hasattr(RULES[name], "answer") else path  # the last point of a record is the answer


def plain_averaging(gradient_at, rate, count, beta=0.9):
    """The averaging method written plainly: the newest of n gradients has weight (1 - beta) beta^0."""
    w, average, path = START.copy(), np.zeros(2), [START]
    for k in range(count - 1):
        average = beta * average + (1 - beta) * gradient_at(k, w)
        w = w - rate * average
        path.append(w)
    return np.array(path)


def plain_fista(gradient_at, rate, count):
    """Beck and Teboulle 2009, (4.1) to (4.3), restarted as in O'Donoghue and Candes 2015: where gradients are read."""
    x, y, theta, path = START, START, 1.0, [START]
    for k in range(count - 1):
        new = y - rate * gradient_at(k, y)
        uphill = (y - new) @ (new - x) > 0
        larger = 1.0 if uphill else (1 + math.sqrt(1 + 4 * theta**2)) / 2
        x, y, theta = new, new + (0.0 if uphill else (theta - 1) / larger) * (new - x), larger
        path.append(y)
    return np.array(path)


def plain_noise(gradient_at, rate, count, eta=0.01, gamma=0.55, seed=0):
    """Neelakantan's noise of variance eta / (1 + t)^gamma, from the stream that a walk with this seed draws from."""
    w, path = START.copy(), [START]
    xi = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,))).standard_normal((count, 2))
    for k in range(count - 1):
        w = w - rate * (gradient_at(k, w) + math.sqrt(eta / (1 + k) ** gamma) * xi[k])
        path.append(w)
    return np.array(path)


def optax_path(transformation, gradient_at, count):
    """The points of a walk of optax, in float64."""
    import jax
    import optax

    with jax.enable_x64(True):
        walk = transformation(optax)
        w = jax.numpy.asarray(START)
        state, update = walk.init(w), jax.jit(walk.update)
        path = [START]
        for k in range(count - 1):
            change, state = update(jax.numpy.asarray(gradient_at(k, np.asarray(w))), state, w)
            w = w + change
            path.append(np.asarray(w))
    return np.array(path)


def reference_path(name, gradient_at, rate, count):
    if name == "averaging":
        return plain_averaging(gradient_at, rate, count)
    if name in ("noise", "fista"):
        return (plain_noise if name == "noise" else plain_fista)(gradient_at, rate, count)
    if name == "polyak-ruppert":  # gradients are read where gradient descent reads them
        return reference_path("gd", gradient_at, rate, count)
    if name in OPTAX:
        pytest.importorskip("optax", reason="optax is the reference")
        return optax_path(lambda optax: OPTAX[name](optax, rate), gradient_at, count)
    torch = pytest.importorskip("torch", reason="PyTorch is the reference")
    optimiser, options = THEIRS[name]
    w = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    walk = getattr(torch.optim, optimiser)([w], lr=rate, foreach=False, **options)
    path = [START]
    torch.set_default_dtype(torch.float64)  # in which NAdam keeps its product of weights
    for k in range(count - 1):
        w.grad = torch.tensor(gradient_at(k, w.detach().numpy()), dtype=torch.float64)
        walk.step()
        path.append(w.detach().numpy().copy())
    torch.set_default_dtype(torch.float32)
    return np.array(path)


def off(ours, theirs):
    """The largest difference, in units of the largest coordinate that the walk has met so far."""
    size = np.maximum.accumulate(np.abs(theirs).max(axis=1))
    return float(np.max(np.abs(ours - theirs).max(axis=1) / size))


@pytest.mark.parametrize("rate", [0.001, pytest.param(10.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("name", RULES)
def test_rule_equals_its_reference_on_the_same_gradients(name, cost, rate):
    """Both sides get the gradients along our walk, so that a chaotic walk cannot blow rounding up."""
    path = our_path(name, COSTS[cost], rate)
    assert np.isfinite(path).all()
    assert len(path) > 75  # at rate 10 some overflow, and AdaGrad arrives
    gradients = [COSTS[cost].gradient(w) for w in path]
    theirs = reference_path(name, lambda k, _: gradients[k], rate, len(path))
    assert off(path, theirs) <= 1e-12


CALM = [(name, cost, 0.001) for name in RULES for cost in COSTS] + [
    (name, "quadratic", 10.0) for name in ("gd", "momentum", "nesterov", "averaging", "adagrad")
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "cost", "rate"), CALM)
def test_rule_equals_its_reference_on_a_walk_of_its_own(name, cost, rate):
    path = our_path(name, COSTS[cost], rate)
    theirs = reference_path(name, lambda _, w: COSTS[cost].gradient(w), rate, len(path))
    assert off(path, theirs) <= 1e-12


def test_a_walk_at_a_rate_of_ten_stands_until_it_overflows():
    with np.errstate(all="ignore"):
        path = our_path("gd", COSTS["quadratic"], 10.0)
        assert len(path) < STEPS
        assert np.isfinite(path).all()
        assert COSTS["quadratic"].value(path[-1]) < np.inf
        following = path[-1] - 10.0 * COSTS["quadratic"].gradient(path[-1])
        assert not np.isfinite(COSTS["quadratic"].value(following))


def test_a_planted_fault_in_a_rule_is_seen(monkeypatch):
    """An Adam that forgets to correct its first average for the start at zero."""

    class Forgetful(Adam):
        @staticmethod
        def formula(p, w, g, s, rate, t):
            m = p.beta1 * s[0] + (1.0 - p.beta1) * g
            v = p.beta2 * s[1] + (1.0 - p.beta2) * g * g
            return w - rate * m / (np.sqrt(v / (1.0 - p.beta2 ** (t + 1.0))) + p.epsilon), (m, v)

    cost = COSTS["quadratic"]
    monkeypatch.setitem(RULES, "adam", Forgetful)
    path = our_path("adam", cost, 0.001)
    theirs = reference_path("adam", lambda _, w: cost.gradient(w), 0.001, len(path))
    assert off(path, theirs) > 1e-6


ELEMENTWISE = [name for name, rule in RULES.items() if "m" not in inspect.signature(rule.formula).parameters]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_formula_on_arrays_equals_formula_by_coordinate(name):
    rule, rng = RULES[name](), np.random.default_rng(1)
    w, state = rng.normal(size=5), tuple(np.zeros(5) for _ in RULES[name].slots)
    single, states = w.copy(), [tuple(0.0 for _ in rule.slots) for _ in w]
    for t in range(20):
        g = rng.normal(size=5) * 10.0 ** rng.integers(-8, 8)
        xi = [rng.normal(size=5)] if name == "noise" else []
        w, state = rule.formula(rule, w, g, state, 0.1, t, *xi)
        for j in range(5):
            single[j], states[j] = rule.formula(rule, single[j], g[j], states[j], 0.1, t, *(x[j] for x in xi))
        assert w == pytest.approx(single, rel=1e-15, abs=0)
        for k in range(len(rule.slots)):
            assert state[k] == pytest.approx([s[k] for s in states], rel=1e-15, abs=0)


# --- plain == compiled ---------------------------------------------------------------------------------------------


def small_risk():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(23, 3))
    y = (X[:, 0] + rng.normal(size=23) > 0).astype(float)
    return Risk(X, y, "log_loss", l2=0.1, l1=0.01, sample_weight=rng.uniform(0.5, 2.0, 23))


def both_ways(monkeypatch, method, steps=200, cost=None):
    cost = cost or small_risk()
    walks = []
    for plain_steps in (10**9, 0):
        monkeypatch.setattr(textbook, "PLAIN_STEPS", plain_steps)
        asked = []
        monkeypatch.setattr(textbook, "compiled_walk", lambda *a, asked=asked: asked.append(1) or compiled_walk(*a))
        walks.append(descend(cost, np.full(cost.n_parameters, 0.5), method, Stop(max_steps=steps), seed=3))
        assert len(asked) == (plain_steps == 0)
    return walks


compiled_walk = textbook.compiled_walk
METHODS = {
    **{name: Textbook(name, RULES[name](), Constant(0.002)) for name in RULES},
    "batches": Textbook("gd", GradientDescent(), Constant(0.05), batch_size=4),
    "clipped": Textbook("gd", GradientDescent(), Constant(0.5), options=Options(clip_norm=0.05, clip_value=0.03)),
    "coordinates": Textbook("gd", GradientDescent(), Constant(0.5), options=Options(coordinates=True)),
    "inverse-time": Textbook("gd", GradientDescent(), InverseTime(1.0, 0.1), batch_size=4),
    "exponential": Textbook("gd", GradientDescent(), Exponential(1.0, 0.9)),
    "backtracking": Textbook("gd", GradientDescent(), Backtracking(8.0)),
}


@pytest.mark.parametrize("name", METHODS)
def test_plain_and_compiled_walks_agree(name, monkeypatch):
    steps = 15 if name == "backtracking" else 200  # at the bottom rounding decides how far it steps back
    plain, compiled = both_ways(monkeypatch, METHODS[name], steps)
    assert plain.nit == compiled.nit
    assert compiled.x == pytest.approx(plain.x, rel=1e-12, abs=1e-13)
    assert compiled.record.path == pytest.approx(plain.record.path, rel=1e-12, abs=1e-13)
    # the first and the last point are asked for twice, which a cost in Python remembers and a compiled one does not
    assert (np.abs(compiled.record["evaluations"] - plain.record["evaluations"]) <= 2).all()
    for column in ("cost", "learning_rate", "clipped", "rows_seen"):
        assert compiled.record[column] == pytest.approx(plain.record[column], rel=1e-12, nan_ok=True)
    for column in ("gradient_norm", "step_norm"):
        assert compiled.record[column] == pytest.approx(plain.record[column], rel=1e-11, abs=1e-13, nan_ok=True)


def test_a_planted_fault_in_the_compiled_loop_is_seen(monkeypatch):
    monkeypatch.setattr(loops, "penalise", None, raising=False)
    cost = small_risk()
    kernel = cost.kernel()
    wrong = kernel._replace(source=kernel.source.replace("0.5 * l2", "0.25 * l2"))
    assert wrong != kernel
    monkeypatch.setattr(cost, "kernel", lambda: wrong)
    plain, compiled = both_ways(monkeypatch, METHODS["gd"], 20, cost)
    assert compiled.record["cost"][:20] != pytest.approx(plain.record["cost"][:20], rel=1e-6)


def test_compiled_walk_stops_where_the_plain_one_does(monkeypatch):
    method = Textbook("gd", GradientDescent(), Constant(0.5), options=Options(gradient_tol=1e-3))
    risk = Risk(small_risk().X, small_risk().y, "log_loss", l2=0.1)
    plain, compiled = both_ways(monkeypatch, method, 1000, risk)
    assert plain.status == compiled.status == "small_gradient"
    assert plain.nit == compiled.nit
    assert float(np.linalg.norm(compiled.jac)) <= 1e-3


def test_compiled_walk_takes_back_what_the_plain_one_does(monkeypatch):
    X = np.random.default_rng(2).normal(size=(30, 2))
    risk = Risk(X, X @ [1.0, 2.0], intercept=False)
    method = Textbook("gd", GradientDescent(), Constant(30.0), recover=True)
    plain, compiled = both_ways(monkeypatch, method, 2000, risk)
    for walk in (plain, compiled):
        assert np.isfinite(walk.x).all()
        assert walk.x == pytest.approx([1.0, 2.0], rel=1e-6)
        assert any("rate / 3" in note for note in walk.notes)
    assert len(plain.notes) == len(compiled.notes)


# --- clipping ------------------------------------------------------------------------------------------------------

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


def clipping_holds(clip, g, most, highest):
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
        clipping_holds(by_hand(clip), g, most, highest)
    plain, looped = by_hand(advance.clip)(g, most, highest), by_hand(loops.clip)(g, most, highest)
    assert plain[1] == looped[1]
    assert plain[0] == pytest.approx(looped[0], rel=1e-14, abs=0)


def test_a_clip_that_loses_the_direction_is_seen():
    def each_to_the_bound(g, most, highest):
        return np.clip(g, -most, most), 1.0

    with pytest.raises(AssertionError):
        clipping_holds(each_to_the_bound, np.array([3.0, 4.0]), 1.0, math.inf)


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
    path = our_path("gd", COSTS["quadratic"], 0.1, 60, start=np.array([100.0, -50.0]), clip_norm=3.0)
    method = Textbook("gd", GradientDescent(), Constant(0.1), options=Options(clip_norm=3.0))
    record = descend(COSTS["quadratic"], np.array([100.0, -50.0]), method, Stop(max_steps=400)).record
    steps = np.linalg.norm(np.diff(record.path, axis=0), axis=1)
    assert (record["clipped"][:-1] == (record["gradient_norm"][:-1] > 3.0)).all()
    assert 0 < record["clipped"][:-1].sum() < 400
    assert steps[record["clipped"][:-1] == 1.0] == pytest.approx(0.3, rel=1e-12)
    assert path[1] == pytest.approx(record.path[1])


# --- coordinates, schedules, backtracking --------------------------------------------------------------------------


def test_coordinate_descent_moves_one_coordinate_a_step():
    d = 3
    cost = Plain(lambda w: np.sum((w - 1) ** 2) + w[0] * w[1], lambda w: 2 * (w - 1) + [w[1], w[0], 0.0], d)
    path = our_path("gd", cost, 0.3, 90, start=np.zeros(d), coordinates=True)
    moved = np.diff(path, axis=0) != 0
    for t in range(30):
        assert moved[t].tolist() == [j == t % d for j in range(d)]
    assert cost.gradient(path[-1]) == pytest.approx(np.zeros(d), abs=1e-4)


def test_a_coordinate_at_rest_does_not_end_the_walk():
    cost = Plain(lambda w: (w[0] - 1) ** 2 + w[1] ** 2, lambda w: [2 * (w[0] - 1), 2 * w[1]])
    path = our_path("gd", cost, 0.25, 60, start=np.array([0.0, 0.0]), coordinates=True)
    assert path[-1] == pytest.approx([1.0, 0.0], abs=1e-6)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (Constant(0.1), lambda t: 0.1),
        (InverseTime(0.2, 0.5), lambda t: 0.2 / (1 + 0.5 * t)),
        (Exponential(0.2, 0.9), lambda t: 0.2 * 0.9**t),
    ],
)
def test_schedules(rate, expected):
    record = descend(COSTS["quadratic"], START, Textbook("gd", GradientDescent(), rate), Stop(max_steps=30)).record
    rates = np.array([expected(t) for t in range(30)])
    assert record["learning_rate"][:30] == pytest.approx(rates, rel=1e-14)
    assert record["step_norm"][:30] == pytest.approx(rates * record["gradient_norm"][:30], rel=1e-12)


def rosenbrock():
    return Plain(
        lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2,
        lambda w: [-2 * (1 - w[0]) - 400 * w[0] * (w[1] - w[0] ** 2), 200 * (w[1] - w[0] ** 2)],
    )


def armijo_holds(record, cost, share):
    path = record.path
    for w, new in itertools.pairwise(path):
        value, g = cost.value_and_gradient(w)
        assert cost.value(new) <= value + share * g @ (new - w) + 1e-15 * abs(value)
        assert cost.value(new) <= value


@pytest.mark.parametrize("first", [1e-6, 1.0, 1e6])
def test_backtracking_satisfies_armijo_at_every_step(first):
    rate = Backtracking(first, 0.5, 0.1)
    record = descend(rosenbrock(), START, Textbook("gd", GradientDescent(), rate), Stop(max_steps=300)).record
    assert len(record) == 301
    armijo_holds(record, rosenbrock(), 0.1)
    assert record["cost"][-1] < 0.1 * record["cost"][0]
    assert record["evaluations"][-1] >= 301


SEARCHED = [name for name, rule in RULES.items() if not (hasattr(rule, "unsearched") or hasattr(rule, "answer"))]


@pytest.mark.parametrize("name", SEARCHED)
def test_backtracking_never_stands_still_on_a_slope(name):
    """A velocity that leads uphill is forgotten: no rate would make it a descent."""
    method = Textbook(name, RULES[name](), Backtracking())
    record = descend(rosenbrock(), START, method, Stop(max_steps=150)).record
    armijo_holds(record, rosenbrock(), 1e-4)
    assert len(record) == 151
    assert (np.diff(record["cost"])[:150] < 0.0).all()
    assert record["cost"][-1] < 0.2 * record["cost"][0]


@pytest.mark.parametrize("name", ["momentum", "nesterov", "adam", "lion"])
def test_plain_and_compiled_searches_forget_at_the_same_steps(name, monkeypatch):
    method = Textbook(name, RULES[name](), Backtracking())
    cost = Formula("(1-x)**2 + 100*(y-x**2)**2")
    plain, compiled = both_ways(monkeypatch, method, 40, cost)
    assert plain.nit == compiled.nit == 40
    assert compiled.record.path == pytest.approx(plain.record.path, rel=1e-9)
    assert compiled.record["learning_rate"] == pytest.approx(plain.record["learning_rate"], rel=1e-12, nan_ok=True)


def test_what_a_rule_remembers_is_forgotten_where_it_leads_uphill():
    """The step is then that of the first step from there."""
    cost, method = rosenbrock(), Textbook("momentum", Momentum(), Backtracking())
    path = descend(cost, START, method, Stop(max_steps=60)).record.path
    turns, velocity = 0, np.zeros(2)
    for w, new in itertools.pairwise(path):
        g = cost.gradient(w)
        velocity = 0.9 * velocity + g
        if g @ velocity < 0:
            turns, velocity = turns + 1, g
        step = new - w
        assert step / np.linalg.norm(step) == pytest.approx(-velocity / np.linalg.norm(velocity), abs=1e-7)
    assert turns > 3


def test_armijo_checker_sees_a_step_that_is_too_long():
    method = Textbook("gd", GradientDescent(), Constant(0.003))
    record = descend(rosenbrock(), START, method, Stop(max_steps=20)).record
    with pytest.raises(AssertionError):
        armijo_holds(record, rosenbrock(), 0.1)


def test_backtracking_comes_back_from_a_step_that_is_not_finite():
    cost = Plain(lambda w: np.exp(w[0] ** 2), lambda w: [2 * w[0] * np.exp(w[0] ** 2)], 1)
    with np.errstate(all="ignore"):
        method = Textbook("gd", GradientDescent(), Backtracking(1e3))
        walk = descend(cost, np.array([2.0]), method, Stop(max_steps=200))
    assert walk.x == pytest.approx([0.0], abs=1e-6)


# --- read_rate -----------------------------------------------------------------------------------------------------


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


def test_momentum_without_memory_is_gradient_descent():
    method = Textbook("momentum", Momentum(0.0), Constant(0.1))
    path = descend(COSTS["quadratic"], START, method, Stop(max_steps=50)).record.path
    assert (path == our_path("gd", COSTS["quadratic"], 0.1, 50)).all()
