"""The update rules against PyTorch, optax and plain recursions; one coordinate at a time."""

import inspect
import math

import numpy as np
import pytest

from descender.descent import descend
from descender.methods.advance import Options
from descender.methods.rates import Constant
from descender.methods.rules import RULES, Adam, Momentum
from descender.methods.textbook import Textbook
from descender.walk import Stop
from walks import COSTS, START, Plain

STEPS = 1000
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


@pytest.mark.parametrize(
    ("rate", "steps"),
    [(0.001, 250), *(pytest.param(rate, STEPS, marks=pytest.mark.slow) for rate in (0.001, 10.0))],
)
@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("name", RULES)
def test_rule_equals_its_reference_on_the_same_gradients(name, cost, rate, steps):
    """Both sides get the gradients along our walk, so that a chaotic walk cannot blow rounding up."""
    path = our_path(name, COSTS[cost], rate, steps)
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


def test_momentum_without_memory_is_gradient_descent():
    method = Textbook("momentum", Momentum(0.0), Constant(0.1))
    path = descend(COSTS["quadratic"], START, method, Stop(max_steps=50)).record.path
    assert (path == our_path("gd", COSTS["quadratic"], 0.1, 50)).all()
