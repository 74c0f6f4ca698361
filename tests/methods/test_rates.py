"""Learning rates against PyTorch, optax and their papers' recursions in NumPy; answers; bounds."""

import math

import numpy as np
import pytest

from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.descent import descend
from descender.errors import OptionError
from descender.methods.advance import Options
from descender.methods.auto import textbook
from descender.methods.bounds import Bounds
from descender.methods.rates import RATES, first_rate, read_rate
from descender.methods.rates.schedules import half_wave
from descender.methods.rules import RULES, ScheduleFree
from descender.verbs.minimize import minimize
from descender.walk import Stop

pytestmark = pytest.mark.usefixtures("uncompiled")
ROSENBROCK = Formula("(1-x)**2 + 100*(y-x**2)**2")
BOWL = Formula("0.5*(3*(x-1)**2 + 2*(x-1)*(y+2) + 2*(y+2)**2)")
START = np.array([-1.2, 1.0])


def walked(cost, method="gd", rate=0.1, steps=1000, start=START, **options):
    """The points of a walk, each once, and its rates."""
    record = descend(cost, start, textbook(cost, method, rate, **options), Stop(max_steps=steps)).record
    first = np.unique(record["step"], return_index=True)[1]
    return record.path[first], record["learning_rate"][first][:-1]


def off(ours, theirs):
    size = np.maximum.accumulate(np.abs(theirs).max(axis=1))
    return float(np.max(np.abs(ours - theirs).max(axis=1) / size))


# --- schedules -----------------------------------------------------------------------------------------------------


def torch_rates(make, steps, costs=None):
    """The rates of a scheduler of PyTorch that starts from 0.5."""
    torch = pytest.importorskip("torch", reason="PyTorch is the reference")
    w = torch.zeros(1, requires_grad=True)
    walk = torch.optim.SGD([w], lr=0.5)
    scheduler, rates = make(torch.optim.lr_scheduler, walk), []
    for t in range(steps):
        if costs is not None:
            scheduler.step(costs[t])  # which looks at the cost before the step
        rates.append(walk.param_groups[0]["lr"])
        walk.step()
        if costs is None and t < steps - 1:
            scheduler.step()
    return np.array(rates)


SCHEDULES = {
    "step 0.5 70 0.3": lambda s, walk: s.StepLR(walk, 70, 0.3),
    "cosine 0.5 1000": lambda s, walk: s.CosineAnnealingLR(walk, 1000),
    "cosine 0.5 1000 0.01": lambda s, walk: s.CosineAnnealingLR(walk, 1000, 0.01),
    "one-cycle 0.5 1000": lambda s, walk: s.OneCycleLR(walk, 0.5, 1000, cycle_momentum=False),
    "one-cycle 0.5 1000 0.1 5 100": lambda s, walk: s.OneCycleLR(
        walk, 0.5, 1000, pct_start=0.1, div_factor=5.0, final_div_factor=100.0, cycle_momentum=False
    ),
    "warm-up 50 0.5": lambda s, walk: s.LinearLR(walk, 1 / 50, 1.0, 49),
    "warm-up 50 exponential 0.5 0.99": lambda s, walk: s.SequentialLR(
        walk, [s.LinearLR(walk, 1 / 50, 1.0, 49), s.ExponentialLR(walk, 0.99)], [50]
    ),
}


@pytest.mark.parametrize("words", SCHEDULES)
@pytest.mark.filterwarnings("ignore:.*epoch parameter")
def test_schedules_are_those_of_pytorch(words):
    rate = read_rate(words)
    ours = np.array([rate.formula(rate, t) for t in range(1000)])
    assert ours == pytest.approx(torch_rates(SCHEDULES[words], 1000), rel=1e-12, abs=1e-14)


def test_the_half_wave_is_that_of_the_sine_over_its_whole_range():
    x = np.append(np.linspace(0.0, 1.0, 5001), np.geomspace(1e-300, 1.0, 500))
    assert half_wave(x) == pytest.approx(np.sin(np.pi / 2 * x) ** 2, rel=2e-15, abs=0.0)
    assert (half_wave(0.0), half_wave(1.0), half_wave(x).max()) == (0.0, 1.0, 1.0)
    assert (np.diff(half_wave(x[:5001])) > 0).all()
    assert half_wave(x * (1 + 1e-12)) != pytest.approx(np.sin(np.pi / 2 * x) ** 2, rel=2e-15, abs=0.0)


def test_a_warmed_up_schedule_begins_at_its_own_beginning():
    warm, plain = read_rate("warm-up 4 cosine 0.1 10"), read_rate("cosine 0.1 10")
    assert [warm.formula(warm, t) for t in range(4)] == pytest.approx([0.025, 0.05, 0.075, 0.1], rel=1e-15)
    assert [warm.formula(warm, 4 + t) for t in range(12)] == [plain.formula(plain, t) for t in range(12)]


@pytest.mark.parametrize("numbers", ["0.5 0.5 3", "0.5 0.1 0 0.05 2", "0.5 0.3 5 0.001 0 0.01"])
def test_the_plateau_is_that_of_pytorch(numbers):
    rng = np.random.default_rng(1)
    costs = np.exp(-np.linspace(0, 4, 300)) + 0.05 * rng.normal(size=300) ** 2
    factor, patience, *more = map(float, numbers.split()[1:])
    names = ("threshold", "cooldown", "min_lr")
    options = dict(zip(names, more, strict=False)) | {"factor": factor, "patience": int(patience), "eps": 0.0}
    theirs = torch_rates(lambda s, walk: s.ReduceLROnPlateau(walk, **options), 300, costs.tolist())
    rate, m, ours = read_rate(f"plateau {numbers}"), (0.0,) * 7, []
    for cost in costs:
        now, m = rate.formula(rate, float(cost), m)
        ours.append(now)
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert len(set(ours)) > 3


def test_a_plateau_of_batches_looks_once_an_epoch():
    X = np.random.default_rng(0).normal(size=(40, 2))
    risk = Risk(X, (X[:, 0] > 0).astype(float), "log_loss")
    method = textbook(risk, "gd", "plateau 0.1", batch_size=7)
    assert method.rate.every == 6
    assert textbook(risk, "gd", "plateau 0.1").rate.every == 1


# --- rates that read the walk --------------------------------------------------------------------------------------


def searched_barzilai_borwein(cost, steps, short):
    """Barzilai and Borwein's rate under Zhang and Hager's rule, after the papers."""
    w, C, Q, rate, path = START, 0.0, 0.0, 0.0, [START]
    J, g = cost.value_and_gradient(w)
    last = None
    for _ in range(steps):
        trial = 1.0
        if last is not None:
            s, y = w - last[0], g - last[1]
            sy = float(s @ y)
            trial = (sy / float(y @ y) if short else float(s @ s) / sy) if sy > 0 else 2 * rate
        Q, C = 0.85 * Q + 1, (0.85 * Q * C + J) / (0.85 * Q + 1)
        while cost.value(w - trial * g) > C - 1e-4 * trial * float(g @ g):
            trial /= 2
        last, rate = (w, g), trial
        w = w - rate * g
        J, g = cost.value_and_gradient(w)
        path.append(w)
    return np.array(path)


def polyak(cost, steps, minimum=0.0):
    w, path = START, [START]
    for _ in range(steps):
        J, g = cost.value_and_gradient(w)
        w = w - (J - minimum) / (g @ g) * g
        path.append(w)
    return np.array(path)


def polyak_level(cost, steps):
    w, path, best, level = START, [START], None, None
    for _ in range(steps):
        J, g = cost.value_and_gradient(w)
        if best is None:
            best, level = J, abs(J)
        else:
            level *= 2 if best - J >= level / 2 else 0.5
            best = min(best, J)
        w = w - (J - best + level) / (g @ g) * g
        path.append(w)
    return np.array(path)


def malitsky_mishchenko(cost, steps):
    g = cost.gradient(START)
    rate, theta = 1e-6 * (1 + np.linalg.norm(START)) / np.linalg.norm(g), math.inf
    path = [START, START - rate * g]
    for _ in range(steps - 1):
        new = cost.gradient(path[-1])
        bent = np.linalg.norm(path[-1] - path[-2]) / (2 * np.linalg.norm(new - g))
        following = min(math.sqrt(1 + theta) * rate, bent)
        theta, rate, g = following / rate, following, new
        path.append(path[-1] - rate * g)
    return np.array(path)


def dog(cost, steps):
    w, farthest, total, path = START, 1e-6 * (1 + np.linalg.norm(START)), 0.0, [START]
    for _ in range(steps):
        g = cost.gradient(w)
        farthest, total = max(farthest, np.linalg.norm(w - START)), total + g @ g
        w = w - farthest / math.sqrt(total + 1e-8) * g
        path.append(w)
    return np.array(path)


PAPERS = {
    "barzilai-borwein": (lambda cost, n: searched_barzilai_borwein(cost, n, False), 12),
    "barzilai-borwein-short": (lambda cost, n: searched_barzilai_borwein(cost, n, True), 12),
    "polyak 0": (polyak, 40),
    "polyak-estimated": (polyak_level, 40),
    "adaptive": (malitsky_mishchenko, 1000),
    "dog": (dog, 1000),
}
"""The recursion, and how many steps its two roundings agree: those near the bottom feed on their own digits."""


@pytest.mark.parametrize("words", PAPERS)
def test_rates_are_those_of_their_papers(words):
    recursion, steps = PAPERS[words]
    path, rates = walked(BOWL, rate=words, steps=steps)
    assert off(path, recursion(BOWL, len(path) - 1)) <= 1e-12
    assert (rates > 0).all()
    assert len(path) > min(steps, 8)


def test_dog_is_that_of_optax():
    optax = pytest.importorskip("optax", reason="optax is the reference")
    import jax

    path, _ = walked(ROSENBROCK, rate="dog", steps=300)
    with jax.enable_x64(True):
        walk = optax.contrib.dog(1.0)
        w = jax.numpy.asarray(START)
        state, theirs = walk.init(w), [START]
        update = jax.jit(walk.update)
        for point in path[:-1]:
            change, state = update(jax.numpy.asarray(ROSENBROCK.gradient(point)), state, w)
            w = w + change
            theirs.append(np.asarray(w))
    assert off(path, np.array(theirs)) <= 1e-12


APART = ("unsearched", "answer")
SEARCHED = [name for name, rule in RULES.items() if rule.slots and not any(hasattr(rule, word) for word in APART)]


@pytest.mark.parametrize("name", SEARCHED)
def test_a_velocity_that_leads_uphill_is_forgotten(name):
    tilted = Formula("(x - 1)**2 + 3*(y + 2)**2 + x*y")
    options = Options(step_tol=1e-12)
    walk = descend(tilted, np.array([2.0, 1.0]), textbook(tilted, name, options=options), Stop(max_steps=10_000))
    assert walk.fun == pytest.approx(-37 / 11, abs=1e-9)


ARRIVE = ["backtracking", "barzilai-borwein", "barzilai-borwein-short", "polyak 0", "adaptive"]


@pytest.mark.parametrize("words", ARRIVE)
def test_rates_without_a_number_arrive(words):
    walk = descend(BOWL, START, textbook(BOWL, "gd", words), Stop(max_steps=300))
    assert walk.x == pytest.approx([1.0, -2.0], abs=1e-6)
    far = Formula("1e6*(x - 3)**2 + 1e-3*y**2")  # scales that differ by a thousand million
    walk = descend(far, np.array([-5.0, 0.0]), textbook(far, "gd", words), Stop(max_steps=2000))
    assert walk.x[0] == pytest.approx(3.0, abs=1e-4)


def test_barzilai_and_borwein_beat_a_constant_rate():
    walk = descend(ROSENBROCK, START, textbook(ROSENBROCK, "gd", "barzilai-borwein"), Stop(max_steps=300))
    assert walk.fun < 1e-12


def test_the_estimated_level_comes_near_and_dog_needs_no_rate():
    for words in ("polyak-estimated", "dog"):
        walk = descend(BOWL, START, textbook(BOWL, "gd", words), Stop(max_steps=3000))
        assert walk.x == pytest.approx([1.0, -2.0], abs=1e-2)


@pytest.mark.parametrize("batch_size", [1, 10, 20, 47])
@pytest.mark.parametrize("name", ["adamw", "noise", "schedule-free"])
def test_batches_of_any_size_follow_the_recursion(name, batch_size):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(47, 3))
    risk = Risk(X, X @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=47))
    method = textbook(risk, name, 0.01, batch_size=batch_size)
    record = descend(risk, np.zeros(4), method, Stop(max_steps=120), seed=9).record
    path = record.path[np.isnan(record["full_cost"])]
    rng = np.random.default_rng(9)
    xi, rule, rows = rng.spawn(1)[0].standard_normal((120, 4)), RULES[name](), []
    while len(rows) < 120:
        order = rng.permutation(47)
        rows += [order[i : i + batch_size] for i in range(0, 47, batch_size)]
    w, state, m, expected = np.zeros(4), [np.zeros(4) for _ in rule.slots], (0.0, 0.0, 0.0), []  # all begin at 0
    for t in range(120):
        expected.append(w)
        g = risk.gradient(w, rows[t])
        more = (0.01, t, rule.deviation(rule, t) * xi[t]) if name == "noise" else ()
        if name == "schedule-free":
            m = rule.remember(m, 0.01)
            more = (0.01, t)
        if name == "adamw":
            m = rule.remember(rule, m)
            more = (0.01, m)
        w, state = rule.formula(rule, w, g, state, *more)
        if name == "schedule-free":
            w, state = rule.settle(rule, w, state, m)
    assert path == pytest.approx(np.array(expected), rel=1e-12, abs=1e-14)


# --- answers -------------------------------------------------------------------------------------------------------


def test_the_mean_of_the_points_is_the_answer():
    path, _ = walked(BOWL, "polyak-ruppert", 0.1, 50)
    walk = descend(BOWL, START, textbook(BOWL, "polyak-ruppert", 0.1), Stop(max_steps=50))
    plain, _ = walked(BOWL, "gd", 0.1, 50)
    assert (path[:-1] == plain[:-1]).all()
    assert walk.x == pytest.approx(plain[1:].mean(axis=0), rel=1e-12)
    assert walk.fun == BOWL.value(walk.x)
    assert (walk.record.path[-1] == walk.x).all()
    skipped = descend(BOWL, START, textbook(BOWL, "polyak-ruppert", 0.1, skip=30), Stop(max_steps=50))
    assert skipped.x == pytest.approx(plain[31:].mean(axis=0), rel=1e-12)


@pytest.mark.parametrize("name", ["polyak-ruppert", "schedule-free"])
def test_an_early_end_reports_the_answer_of_its_step(name):
    """A callback or a small change ends a walk within a block."""
    cost = Formula("1 + (x-1)**2 + 2*(y+2)**2")
    method = textbook(cost, name, 0.1)
    answers = [descend(cost, START, method, Stop(max_steps=k)).x for k in range(60)]
    walk = descend(cost, START, method, Stop(max_steps=400), callback=lambda step: step.number == 17)
    assert (walk.x == answers[17]).all()
    walk = descend(cost, START, method, Stop(max_steps=400, cost_tol=0.05))
    assert walk.status == "small_change"
    assert (walk.x == answers[walk.nit]).all()


def test_schedule_free_is_optax_at_its_answer():
    optax = pytest.importorskip("optax", reason="optax is the reference")
    import jax

    walk = descend(BOWL, START, textbook(BOWL, "schedule-free", 0.05), Stop(max_steps=200))
    with jax.enable_x64(True):
        theirs = optax.contrib.schedule_free_sgd(0.05)
        w = jax.numpy.asarray(START)
        state = theirs.init(w)
        for _ in range(200):
            change, state = theirs.update(jax.numpy.asarray(BOWL.gradient(np.asarray(w))), state, w)
            w = w + change
        answer = np.asarray(optax.contrib.schedule_free_eval_params(state, w))
    assert walk.x == pytest.approx(answer, rel=1e-12)


@pytest.mark.parametrize("name", ["polyak-ruppert", "schedule-free"])
def test_a_recovery_begins_the_mean_anew(name):
    cost = Formula("x**4 + y**2")
    method = textbook(cost, name, 0.3, on_divergence="recover")
    walk = descend(cost, np.array([9.0, 1.0]), method, Stop(max_steps=800))
    assert any("taken back" in note for note in walk.notes)
    assert np.isfinite(walk.record.path).all()
    assert np.isfinite(walk.fun)


def test_a_planted_fault_in_an_answer_is_seen(monkeypatch):
    monkeypatch.setattr(ScheduleFree, "answer", staticmethod(lambda w: w))
    walk = descend(BOWL, START, textbook(BOWL, "schedule-free", 0.05), Stop(max_steps=200))
    monkeypatch.undo()
    right = descend(BOWL, START, textbook(BOWL, "schedule-free", 0.05), Stop(max_steps=200))
    assert np.abs(walk.x - right.x).max() > 1e-6


# --- bounds --------------------------------------------------------------------------------------------------------

BOX = Bounds(np.array([-np.inf, -1.0]), np.array([0.5, 3.0]))


@pytest.mark.parametrize("name", RULES)
def test_no_rule_leaves_the_box(name):
    rate = {"prodigy": 1.0, "adadelta": 50.0}.get(name, 0.05)
    method = textbook(BOWL, name, rate, bounds=BOX)
    walk = descend(BOWL, np.array([-2.0, 2.5]), method, Stop(max_steps=3000))
    assert (walk.record.path[:, 0] <= 0.5).all()
    assert (walk.record.path[:, 1] >= -1.0).all()
    near = 1.0 if name in ("sign", "lion", "noise", "rmsprop", "adagrad", "adadelta") else 0.05
    assert walk.x == pytest.approx([0.5, -1.0], abs=near)


@pytest.mark.parametrize("rate", [0.1, "backtracking", "barzilai-borwein", "polyak-estimated", "adaptive"])
def test_the_projected_gradient_ends_the_walk(rate):
    for start in ([0.4, 2.0], [4.0, -9.0]):
        method = textbook(BOWL, "gd", rate, options=Options(gradient_tol=1e-8), bounds=BOX)
        walk = descend(BOWL, np.array(start), method, Stop(max_steps=500))
        assert walk.x == pytest.approx([0.5, -1.0], abs=1e-7)
        assert walk.status in ("small_gradient", "small_step")
        assert np.linalg.norm(walk.jac) > 0.1


# --- what does not go together -------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [name for name, kind in RATES.items() if getattr(kind, "along_gradient", False)])
def test_lengths_along_the_gradient_need_such_a_rule(words):
    words = "polyak 0" if words == "polyak" else words
    with pytest.raises(OptionError, match="along the gradient"):
        textbook(BOWL, "adam", words)
    for name in ("gd", "noise", "polyak-ruppert"):
        textbook(BOWL, name, words)


@pytest.mark.parametrize("words", [name for name, kind in RATES.items() if getattr(kind, "exact", False)])
def test_exact_rates_refuse_estimates(words):
    X = np.random.default_rng(0).normal(size=(9, 2))
    risk = Risk(X, X @ [1.0, 2.0])
    with pytest.raises(OptionError, match="needs exact costs"):
        textbook(risk, "gd", words, batch_size=3)
    if words != "backtracking":
        with pytest.raises(OptionError, match="clipped gradients"):
            textbook(risk, "gd", words, options=Options(clip_norm=1.0))
        with pytest.raises(OptionError, match="one coordinate"):
            textbook(risk, "coordinate", words)


@pytest.mark.parametrize("name", ["schedule-free", "prodigy"])
def test_what_cannot_be_searched_is_not(name):
    with pytest.raises(OptionError, match="cannot be searched"):
        textbook(BOWL, name, "backtracking")
    if name == "schedule-free":
        with pytest.raises(OptionError, match="give a number"):
            textbook(BOWL, name)
        X = np.random.default_rng(0).normal(size=(9, 2))
        risk = Risk(X, X @ [1.0, 2.0])
        walk = descend(risk, np.zeros(3), textbook(risk, name), Stop(max_steps=300))
        assert walk.fun < 0.01 * risk.value(np.zeros(3))
    else:
        assert first_rate(textbook(BOWL, name).rate) == 1.0


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("adam", "beta1", 1.0), ("adam", "epsilon", -1.0), ("adam", "beta2", math.nan), ("noise", "eta", -0.1),
        ("noise", "gamma", 1.5), ("polyak-ruppert", "skip", -1), ("adamw", "decay", math.inf),
        ("prodigy", "first", 0.0), ("momentum", "beta", True), ("momentum", "beta", "0.9"),
    ],
)  # fmt: skip
def test_each_rule_knows_its_ranges(name, key, value):
    with pytest.raises(OptionError, match=f"{key}=.*expected a number of at least"):
        textbook(BOWL, name, 0.1, **{key: value})


@pytest.mark.parametrize("method", ["gd", "momentum", "adam", "averaging"])
def test_a_search_ends_where_the_cost_has_no_digits_left(method):
    walk = minimize("x**2/2 + 10*y**2 + 3", "x=-4, y=1", method)
    assert (walk.success, walk.status) == (True, "small_change")
    assert "a minimum" in walk.message
    assert walk.nit < 1000
    assert np.abs(walk.x).max() < 1e-6
    further = minimize("x**2/2 + 10*y**2 + 3", "x=-4, y=1", method, gradient_tol=1e-12, max_steps=5000)
    assert further.status in ("small_gradient", "small_step", "budget")


def test_a_rate_that_is_searched_tells_a_fall_without_end():
    walk = minimize("log(x) + (y-1)**2", "x=1, y=3", "gd")
    assert (walk.success, walk.status) == (False, "unbounded")
    assert "not defined" in walk.message
