"""diagnose(make): faults that neither the module's parameters, the batches, nor the curve show; and their twins."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is an extra")
from torch import nn  # noqa: E402
from torch_loops import Loop, line, made, perceptron, spiral  # noqa: E402

import descender  # noqa: E402


def causes(found):
    return [finding.cause for finding in found if finding.severity != "info"]


class Listed(nn.Module):
    """Layers in a Python list, which no module knows; the last one is its own."""

    def __init__(self, keep=list):
        super().__init__()
        self.layers, self.last = keep([nn.Linear(2, 24), nn.Linear(24, 24)]), nn.Linear(24, 3)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.last(x)


class Deaf(Loop):
    """A loop whose step keeps to the first batch that it was given."""

    def step(self, batch):
        self.kept = getattr(self, "kept", batch)
        return super().step(self.kept)


def signs(seed):
    X, _ = spiral(seed=seed)
    return X, torch.where(X[:, 0] + X[:, 1] > 0, 1, -1)


def logistic(z, y):
    return nn.functional.binary_cross_entropy_with_logits(z[:, 0], y.float())


def successors(seed):
    X = torch.randint(0, 6, (160, 5), generator=torch.Generator().manual_seed(seed))
    return X, (X + 1) % 6


def flat(loss):
    return lambda z, y: loss(z.flatten(0, 1), y.flatten())


def tokens():
    return nn.Sequential(nn.Embedding(6, 8), nn.Linear(8, 6))


def copied(seed):
    X, _ = successors(seed)
    return X, X[:, 0].clone()


def recalling():
    return nn.Sequential(nn.Embedding(6, 8), nn.Flatten(), nn.Linear(40, 6))


class Noisy(nn.Module):
    """Two answers, the second drawn at random: a loss without a known lowest value."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 1)

    def forward(self, x):
        return self.first(x)[:, 0], 0.1 * torch.randn(len(x))


def both(out, y):
    mean, noise = out
    return (mean + noise - y).square().mean()


def alike():
    module = nn.Sequential(nn.Unflatten(1, (1, 2)), nn.Conv1d(1, 8, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    nn.init.constant_(module[1].weight, 0.3)
    nn.init.constant_(module[1].bias, 0.0)
    return module


TOLD = {
    "layers in a list": (made(model=Listed), "not-in-optimizer", "24 x 24"),
    "another batch": (lambda seed: Deaf(seed), "few-rows-seen", "about 32 of them"),
    "labels of -1 and 1": (
        made(data=signs, model=lambda: perceptron(2, 1), loss=logistic), "output-mismatch", "-1 and 1"),
    "scores as logarithms, a place at a time": (
        made(data=successors, model=tokens, loss=flat(nn.NLLLoss())), "output-mismatch", "straight in the scores"),
    "kernels that begin alike": (made(model=alike, steps=120), "bad-initialisation", "all units of 1.weight"),
    "two answers": (
        made(data=line, model=Noisy, loss=both, optimizer=lambda p: torch.optim.SGD(p, 1e-5)),
        "learning-rate-too-low", "lowered the loss by"),
}  # fmt: skip
WELL = {
    "layers of the module": made(model=lambda: Listed(nn.ModuleList)),
    "a place at a time": made(data=successors, model=tokens, loss=flat(nn.CrossEntropyLoss())),
    "the first word is asked for": made(data=copied, model=recalling),
    "two answers": made(data=line, model=Noisy, loss=both),
}


@pytest.mark.parametrize("name", TOLD)
def test_it_is_named_first_and_what_can_be_tried_repairs(name):
    make, cause, words = TOLD[name]
    found = descender.diagnose(make)
    assert causes(found)[0] == cause, str(found)
    assert words in found[0].evidence
    trials = found.confirm()
    assert [trial.repaired for trial in trials][-1:] == ([] if name == "another batch" else [True]), trials


@pytest.mark.parametrize("name", WELL)
def test_its_twin_is_left_alone(name):
    assert causes(descender.diagnose(WELL[name])) == []
