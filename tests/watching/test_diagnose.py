"""diagnose(make): each check where its fault was planted, silent on the twin without it, its remedy tried."""

import inspect

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is an extra")
from planted import CERTAIN, HEALTHY, REGRESSION, TRIED, causes, changed, normed, sgd, weights  # noqa: E402
from torch import nn  # noqa: E402
from torch_loops import CROSS, Loop, made, perceptron, spiral, squared  # noqa: E402

import descender  # noqa: E402
from descender.doctor.causes import BY_SLUG  # noqa: E402
from descender.doctor.loops import FAMILIES  # noqa: E402
from descender.errors import CapabilityError, OptionError  # noqa: E402
from descender.watching.network import examine_layers  # noqa: E402


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


def test_diagnose_is_documented():
    assert "make(seed)" in inspect.getdoc(descender.diagnose)
    assert CROSS is not None
