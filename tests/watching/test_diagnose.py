"""diagnose(make): each check where its fault was planted, silent on the twin without it, its remedy tried."""

import inspect
import math
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from docs_pages import check_shown

torch = pytest.importorskip("torch", reason="PyTorch is an extra")
ROOT = Path(__file__).parents[2]
from torch import nn  # noqa: E402
from torch_loops import CROSS, Closed, Loop, line, made, perceptron, spiral, squared  # noqa: E402

import descender  # noqa: E402
from descender.doctor.causes import BY_SLUG  # noqa: E402
from descender.doctor.loops import FAMILIES  # noqa: E402
from descender.doctor.loops.learnable import learnable  # noqa: E402
from descender.doctor.loops.targets import label_noise  # noqa: E402
from descender.errors import CapabilityError, OptionError  # noqa: E402
from descender.watching.network import examine_layers  # noqa: E402

REGRESSION = {"data": line, "model": lambda: perceptron(4, 1), "loss": squared}


def sgd(rate, **more):
    return lambda parameters: torch.optim.SGD(parameters, rate, **more)


def causes(found):
    return [finding.cause for finding in found if finding.severity != "info"]


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.rest = nn.Linear(2, 24), perceptron(24)

    def forward(self, x):
        return self.rest(torch.relu(self.first(x)).detach())


class Root(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = perceptron()

    def forward(self, x):
        return self.first(x) + torch.sqrt(1.5 - x[:, 1:])


class Tanh(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x.tanh())
        return x.tanh()


class Wrong(Tanh):
    @staticmethod
    def backward(context, slope):
        return -slope * (1 - context.saved_tensors[0])


class WrongTanh(nn.Module):
    def forward(self, x):
        return Wrong.apply(x)


class Right(Tanh):
    @staticmethod
    def backward(context, slope):
        return slope * (1 - context.saved_tensors[0] ** 2)


class RightTanh(nn.Module):
    def forward(self, x):
        return Right.apply(x)


def changed(change, data=line):
    """Data with a fault."""

    def make(seed):
        X, y = data(seed=seed)
        return change(X.clone(), y.clone())

    return make


def put(X, y, row, column, value):
    X[row, column] = value
    return X, y


def weights(value, model=perceptron):
    def make():
        module = model()
        with torch.no_grad():
            for p in module.parameters():
                if p.ndim > 1:
                    value(p)
        return module

    return make


def low(module):
    with torch.no_grad():
        for part in module[:-1]:
            if isinstance(part, nn.Linear):
                part.bias -= 8.0
    return module


def codes(z, y):
    return ((z - y[:, None].float()) ** 2).mean()


def leaking(X, y):
    return torch.cat([X, 3 * y[:, None].float() + 1], dim=1), y


def normed(layer):
    return nn.Sequential(nn.Linear(2, 24), layer, nn.ReLU(), nn.Linear(24, 3))


def within():
    """Answers that begin well within -1 and 1."""
    module = perceptron(4, 1)
    with torch.no_grad():
        module[-1].weight *= 0.1
    return module


def order(n):
    return torch.randperm(n, generator=torch.Generator().manual_seed(1))


def large():
    return weights(lambda p: p.mul_(30), lambda: perceptron(4, 1))()


def dropped(share):
    return nn.Sequential(nn.Linear(2, 24), nn.ReLU(), nn.Dropout(share), nn.Linear(24, 3))


def sigmoids():
    return perceptron(4, 1, act=nn.Sigmoid, deep=8)


# those that need no other run than the loop's own
CERTAIN = {
    "nan-input": REGRESSION | {"data": changed(lambda X, y: put(X, y, 30, 2, math.nan))},
    "nan-operation": {"model": Root},
    "constant-labels": {"data": changed(lambda X, y: (X, torch.zeros_like(y)), spiral)},
    "leaked-label": {"data": changed(leaking, spiral), "model": lambda: perceptron(3)},
    "output-mismatch": {"loss": codes},
    "softmax-twice": {"model": lambda: perceptron(last=(nn.Softmax(dim=1),))},
    "broadcasting": REGRESSION | {"loss": lambda z, y: ((z - y) ** 2).mean()},
    "gradients-not-reset": {"reset": False, "optimizer": sgd(0.02)},
    "eval-mode": {"model": lambda: perceptron(last=(nn.Dropout(0.3),)), "evaluating": True},
    "optimizer-recreated": {"renew": 5},
    "detached-part": {"model": Detached},
    "not-in-optimizer": {"trains": lambda module: module[2:].parameters()},
    "tiny-batches": {"model": lambda: normed(nn.BatchNorm1d(24)), "batch": 2},
    "wrong-sign": REGRESSION | {"loss": lambda z, y: -squared(z, y), "optimizer": sgd(1e-3)},
    "penalty-sign": {"penalty": -3e-3},
    "wrong-gradient": {"model": lambda: perceptron(act=WrongTanh, deep=1)},
    "loop-raises": {"raises": 12},
    "inputs-changed": {"mutates": 1.01},
    "mixed-rows": {"model": lambda: perceptron(last=(nn.LogSoftmax(0),)), "loss": nn.NLLLoss()},
    "validation-mode": {"model": lambda: perceptron(last=(nn.Dropout(0.3),)), "forgets": True},
    "validation-leak": {"leaks": True},
}  # fmt: skip

# those that are told apart by running the loop again
TRIED = {
    "unscaled-columns": REGRESSION | {
        "data": changed(lambda X, y: (X * torch.tensor([1.0, 1e3, 10.0, 1e4]), y)), "optimizer": sgd(1e-2)},
    "outlier-rows": REGRESSION | {"data": changed(lambda X, y: put(X, y, 17, 1, 4e4)), "optimizer": sgd(1e-2)},
    "learning-rate-too-high": REGRESSION | {"optimizer": sgd(3.0)},
    "learning-rate-too-low": {"optimizer": sgd(1e-5), "steps": 100},
    "oscillation": REGRESSION | {
        "data": changed(lambda X, y: (X * torch.tensor([4.0, 4.0, 1.0, 1.0]), X[:, 0] + X[:, 1] + 0.02 * y)),
        "model": weights(lambda p: p.zero_(), lambda: nn.Linear(4, 1)), "batch": 180, "optimizer": sgd(0.066),
        "steps": 40},
    "momentum-too-high": REGRESSION | {"optimizer": sgd(0.05, momentum=0.9995), "steps": 150},
    "exploding-gradient": REGRESSION | {
        "model": weights(lambda p: p.mul_(6.0), lambda: perceptron(4, 1, deep=8)), "optimizer": sgd(1e-2)},
    "vanishing-gradient": REGRESSION | {"model": sigmoids, "optimizer": sgd(0.05)},
    "dead-units": {"model": lambda: low(perceptron()), "steps": 100},
    "saturation": {"model": weights(lambda p: p.mul_(60.0), lambda: perceptron(act=nn.Tanh)), "optimizer": sgd(0.01)},
    "bad-initialisation": {"model": weights(lambda p: p.fill_(0.05)), "steps": 100},
    "labels-shuffled": {"data": changed(lambda X, y: (X, y[order(len(y))]), spiral)},
    "loss-summed": REGRESSION | {"loss": lambda z, y: ((z[:, 0] - y) ** 2).sum(), "optimizer": sgd(0.05)},
    "schedule-ends-early": {"rates": lambda t: 0.01 * 0.5**t, "steps": 150},
    "clipping-too-low": {"clip": 1e-5, "optimizer": sgd(0.3), "steps": 150},
    "penalty-too-strong": {"optimizer": sgd(0.1, weight_decay=2.0), "steps": 150},
    "data-order": {"sort": True, "optimizer": sgd(0.1), "steps": 100},
    "overfitting": REGRESSION | {
        "data": lambda seed: (lambda X, y: (X[-80:], y[-80:] + torch.randn(80)))(*line(seed=seed)),
        "model": lambda: perceptron(4, 1, width=128), "steps": 400},
    "few-rows-seen": REGRESSION | {"repeats": True, "steps": 150},
    "no-activation": {"model": lambda: perceptron(act=nn.Identity), "steps": 100},
    "dropout-too-strong": {"model": lambda: dropped(0.97), "steps": 100},
    "half-precision-overflow": REGRESSION | {
        "data": changed(lambda X, y: (X.half() * 3e2, y)), "model": lambda: large().half(),
        "loss": lambda z, y: squared(z.float(), y.float()), "optimizer": sgd(1e-12)},
}  # fmt: skip

HEALTHY = {
    "classes": {},
    "a regression": REGRESSION,
    "dropout": {"model": lambda: perceptron(last=(nn.Dropout(0.1),))},
    "a right backward pass": {"model": lambda: perceptron(act=RightTanh, deep=1)},
    "a penalty": {"penalty": 1e-5},
    "the loss scaled": {"scale": 2.0**14},
    "clipped always": {"clip": 0.3, "optimizer": sgd(0.5)},
    "two optimizers": {"renew": 30},
    "a frozen layer, left out": {"trains": lambda m: (m[:1].requires_grad_(False), m[2:].parameters())[1]},
    "group normalisation of pairs": {"model": lambda: normed(nn.GroupNorm(2, 24)), "batch": 2},
    "probabilities for their loss": {"model": lambda: perceptron(last=(nn.LogSoftmax(1),)), "loss": nn.NLLLoss()},
}  # fmt: skip


@pytest.mark.parametrize("cause", CERTAIN)
def test_a_fault_that_is_certain_is_named_first(cause):
    found = descender.diagnose(made(**CERTAIN[cause]))
    assert causes(found)[0] == cause, str(found)


@pytest.mark.slow
@pytest.mark.parametrize("cause", TRIED)
def test_a_fault_is_told_from_its_symptoms_and_its_remedy_repairs(cause):
    found = descender.diagnose(made(**TRIED[cause]))
    assert causes(found)[0] == cause, str(found)
    trials = found.confirm()
    if found._suspected[cause].remedies[0].change is not None:
        assert trials[0].repaired, str(trials[0])


QUICK = [name if i < 3 else pytest.param(name, marks=pytest.mark.slow) for i, name in enumerate(HEALTHY)]


@pytest.mark.parametrize("name", QUICK)
def test_what_is_well_is_left_alone(name):
    found = descender.diagnose(made(**HEALTHY[name]))
    assert causes(found) == [], str(found)


def test_every_check_has_its_planted_fault():
    checks = {cause for family in FAMILIES for cause in family.CHECKS}
    elsewhere = {"constant-columns", "label-noise", "class-collapse", "frozen-part"}
    assert set(CERTAIN) | set(TRIED) | elsewhere == checks
    assert checks <= set(BY_SLUG)


@pytest.mark.slow
def test_labels_of_which_half_are_wrong():
    def noisy(X, y):
        rng = np.random.default_rng(0)
        rows = np.flatnonzero(rng.random(len(y)) < 0.5)
        y[rows] = y[rng.permutation(rows)]
        return X, y

    def apart(seed):
        rng = np.random.default_rng(seed)
        k = rng.integers(0, 3, 400)
        X = rng.normal(size=(400, 2)) + 6 * np.stack([np.cos(2.1 * k), np.sin(2.1 * k)], axis=1)
        return torch.tensor(X, dtype=torch.float32), torch.tensor(k)

    found = descender.diagnose(made(data=changed(noisy, apart), steps=100))
    assert causes(found) == ["label-noise"], str(found)
    assert causes(descender.diagnose(made(data=lambda seed: apart(seed), steps=100))) == []


@pytest.mark.slow
def test_a_frozen_layer_that_is_missed_and_one_that_is_not():
    def frozen():
        module = perceptron(width=8, deep=1)
        module[0].requires_grad_(False)
        with torch.no_grad():
            module[0].weight.mul_(0.01)
        return module

    found = descender.diagnose(made(model=frozen, steps=150, rate=3e-2))
    assert causes(found)[0] == "frozen-part", str(found)
    assert "0: the optimizer has" in found[0].evidence


@pytest.mark.parametrize(
    ("cause", "how"),
    [("leaked-label", CERTAIN["leaked-label"]), ("wrong-sign", {"loss": lambda z, y: -CROSS(z, y), "steps": 40})],
)
def test_a_remedy_after_which_the_loss_is_higher_can_repair(cause, how):
    trial = descender.diagnose(made(**how)).confirm()[0]
    assert (trial.cause, trial.repaired) == (cause, True), str(trial)


class Called(nn.Module):
    """Activations that are calls, not layers: the second has units that never fire."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(2, 24), nn.Linear(24, 24), nn.Linear(24, 3)
        nn.init.constant_(self.second.bias, -20.0)

    def forward(self, x):
        return self.third(torch.relu(self.second(torch.relu(self.first(x)))))


def test_calls_of_an_activation_are_told_apart():
    layers = {layer.name: layer.dead for layer in examine_layers(Called(), spiral()[0])}
    assert set(layers) == {"forward() of Called, after first", "forward() of Called, after second"}
    assert layers["forward() of Called, after second"] == 1.0 > layers["forward() of Called, after first"]


def over_the_batch(z, y):
    return nn.functional.nll_loss(torch.log_softmax(z, dim=0), y)


@pytest.mark.parametrize(("loss", "cause"), [(nn.NLLLoss(), "output-mismatch"), (over_the_batch, "mixed-rows")])
def test_a_loss_of_other_scores_than_it_takes(loss, cause):
    found = descender.diagnose(made(loss=loss, steps=20))
    assert causes(found)[0] == cause, str(found)


def test_a_sigmoid_twice_whatever_shape_the_loss_asks_for():
    two = changed(lambda X, y: (X, (y > 0).long()), spiral)

    def loss(z, y):
        return nn.functional.binary_cross_entropy_with_logits(z[:, 0], y.float())

    made_so = {"data": two, "loss": loss, "steps": 20}
    assert "softmax-twice" in causes(
        descender.diagnose(made(model=lambda: perceptron(2, 1, last=(nn.Sigmoid(),)), **made_so))
    )


def test_what_repeats_itself_is_no_leak_and_normalising_by_the_batch_no_mixing():
    X, y = spiral()
    twice = {"data": lambda seed: (torch.round(X), y), "steps": 20}  # a grid of few points: rows meet by chance
    assert "validation-leak" not in causes(descender.diagnose(made(**twice)))
    own = {"model": lambda: normed(nn.BatchNorm1d(24, track_running_stats=False)), "steps": 20}
    assert "mixed-rows" not in causes(descender.diagnose(made(**own)))


def test_a_column_that_never_changes_is_only_told():
    data = changed(lambda X, y: (torch.cat([X, X[:, :1] * 0], 1), y), spiral)
    loop = made(data=data, model=lambda: perceptron(3), steps=30)
    found = descender.diagnose(loop)
    assert [(finding.code, finding.severity, finding.where) for finding in found] == [("D013", "info", {"column": 2})]
    assert descender.diagnose(loop, ignore="constant-columns") == []


def test_targets_in_a_column_are_brought_to_the_shape_of_the_answers():
    column = {"data": changed(lambda X, y: (X, y[:, None])), "model": lambda: perceptron(4, 1, last=(nn.Flatten(0),))}
    found = descender.diagnose(made(**column, loss=lambda z, y: ((z - y) ** 2).mean(), steps=100))
    assert causes(found)[0] == "broadcasting"
    assert found[0].remedy == "loss_fn(outputs, y.squeeze(-1))"
    assert found.confirm()[0].repaired


def test_large_targets_are_no_broadcasting():
    def large(X, y):
        return X, 400 * y + 20_000

    class Scaled(nn.Sequential):
        def forward(self, x):
            return 400 * super().forward(x) + 20_000

    found = descender.diagnose(made(**REGRESSION | {"data": changed(large), "model": lambda: Scaled(perceptron(4, 1))}))
    assert causes(found) == []


def test_sparse_gradients_are_heard_as_they_are():
    def words(seed):
        X = torch.randint(0, 20, (240, 6), generator=torch.Generator().manual_seed(seed))
        return X, (X < 10).float().mean(dim=1)

    def bag():
        return nn.Sequential(nn.EmbeddingBag(20, 4, sparse=True), nn.Linear(4, 1))

    found = descender.diagnose(made(data=words, model=bag, loss=squared, optimizer=sgd(0.5), steps=40))
    assert causes(found) == []
    assert np.isfinite(found.base.raw).all()


def test_a_few_rows_again_and_again_are_told_by_those_that_were_held_out():
    def few(seed):
        X, y = spiral(seed=seed)
        return torch.cat([X[:6].repeat(30, 1), X[180:]]), torch.cat([y[:6].repeat(30), y[180:]])

    found = descender.diagnose(made(data=few))
    assert causes(found)[0] == "few-rows-seen"
    assert "3.3% of the 180 rows of X are different" in found[0].evidence


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "cause", "words"),
    [
        ({"absolute": 0.3}, "penalty-too-strong", "0.3 times the signs of the weights"),
        ({"model": weights(lambda p: p.zero_()), "optimizer": sgd(0.05)}, "bad-initialisation", "the same weights, 0"),
        (REGRESSION | {"loss": lambda z, y: ((z[:, 0] - y) ** 2).sum(), "optimizer": sgd(0.05), "batch": 8},
         "loss-summed", "divided by the 8 rows"),
    ],
)  # fmt: skip
def test_penalties_of_signs_zeros_everywhere_and_sums_over_small_batches(how, cause, words):
    found = descender.diagnose(made(**how, steps=100))
    assert causes(found)[0] == cause, str(found)
    assert words in found[0].evidence
    assert found.confirm()[0].repaired


def test_the_nan_is_traced_to_its_row_and_value():
    found = descender.diagnose(made(model=Root))
    X, _ = spiral(seed=0)
    where = found[0].where
    assert found[0].code == "D901"
    assert "sqrt" in found[0].evidence
    assert where["step"] == 0
    assert X[where["row"], 1] > 1.5  # row of the data, not of the batch
    assert found.confirm()[0].repaired
    assert "instead of NaN" in str(found.confirm()[0])


def test_a_nan_within_a_closure_is_no_update_that_was_too_long():
    asked = {"optimizer": lambda parameters: torch.optim.LBFGS(parameters, max_iter=3), "batch": 120, "steps": 4}
    found = descender.diagnose(
        lambda seed: Closed(
            seed, **REGRESSION | asked | {"loss": lambda z, y: (torch.log(z[:, 0] - 0.5) - y).square().mean()}
        )
    )
    assert found[0].code == "D901"
    assert found[0].evidence.startswith("at step 0, log in the loss")
    assert found.confirm()[0].repaired


def test_a_nan_that_lower_rates_only_put_off_is_named_by_its_operation():
    def loss(z, y):
        return (torch.acos(z[:, 0]) - 1 - y).square().mean()

    found = descender.diagnose(made(**REGRESSION | {"loss": loss, "model": within}))
    assert found.base.broken > 0
    assert causes(found)[0] == "nan-operation", str(found)


def test_the_missing_entry_is_named():
    found = descender.diagnose(made(**CERTAIN["nan-input"]))
    assert found[0].where == {"row": 30, "column": 2, "of": "X"}
    assert found.confirm()[0].repaired


def test_a_loop_that_raises_is_a_finding_with_its_exception():
    found = descender.diagnose(made(**CERTAIN["loop-raises"]))
    assert found[0].where == {"step": 11}
    assert isinstance(found.error, RuntimeError)
    assert len(found.base.losses) == 11


def test_the_diagnosis_leaves_the_random_numbers_alone():
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    descender.diagnose(made(steps=5))
    assert (torch.rand(1), np.random.rand()) == expected  # noqa: NPY002


def test_the_run_that_is_examined_is_the_loops_own():
    plain = Loop(3)
    losses = []
    while len(losses) < plain.steps:
        for batch in plain.batches:
            losses.append(plain.step(batch))
            if len(losses) == plain.steps:
                break
    made_losses = descender.diagnose(lambda seed: Loop(3)).base.losses
    assert made_losses.tolist() == losses


class Missing:
    module = nn.Linear(1, 1)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (3, CapabilityError, "expected a function make"),
        (lambda seed: Missing(), OptionError, "without optimizer, batches"),
        (made(steps=0), OptionError, "steps=0"),
        (made(data=lambda seed: tuple(part[:4] for part in spiral(seed=seed))), OptionError, "there is none"),
    ],
)
def test_what_is_no_loop_is_refused(source, error, message):
    with pytest.raises(error, match=message):
        descender.diagnose(source)


def test_the_example_names_the_row_and_repairs(capsys):
    findings = runpy.run_path(str(ROOT / "examples" / "doctor_nan.py"))["main"]()
    said = capsys.readouterr().out
    assert findings[0].where["row"] == 137
    check_shown((ROOT / "docs" / "doctor.md").read_text("utf-8").split("```text\n")[1].split("```")[0], said)


def test_diagnose_is_documented():
    assert "make(seed)" in inspect.getdoc(descender.diagnose)
    assert CROSS is not None


@pytest.mark.slow
def test_d302_a_crooked_border_in_many_columns_is_no_noise():
    """There half of the rows are border: those far from it tell. Where a plane is the best model, its margin does."""
    rng = np.random.default_rng(77)
    W, X, V = rng.normal(size=(8, 3)), rng.normal(size=(320, 8)), rng.normal(size=(8, 3))
    y = (X @ W + 0.7 * np.sin(2 * X) @ V).argmax(axis=1)
    wrong = rng.random(320) < 0.4
    noisy = np.where(wrong, rng.integers(0, 3, 320), y)
    base = SimpleNamespace(best_validation=np.nan)
    told = [SimpleNamespace(targets="classes", base=base, learnable=learnable(X, of, True)) for of in (y, noisy)]
    assert label_noise(told[0]) is None
    found = label_noise(told[1])
    assert found.cause == "label-noise"
    assert np.mean(noisy[found.where["rows"]] != y[found.where["rows"]]) >= 0.6
