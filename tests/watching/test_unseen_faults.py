"""diagnose(make): faults that neither the module's parameters, the batches, nor the curve show; and their twins."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is an extra")
from torch import nn  # noqa: E402
from torch_loops import Loop, line, made, perceptron, spiral, squared  # noqa: E402

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


class Bare(nn.Module):
    """Weights that are a tensor, and no nn.Parameter."""

    def __init__(self):
        super().__init__()
        self.weights, self.last = torch.randn(2, 24).requires_grad_(), nn.Linear(24, 3)

    def forward(self, x):
        return self.last(torch.relu(x @ self.weights))


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


class Stepless(Loop):
    """A loop that forgets optimizer.step()."""

    def step(self, batch):
        self.optimizer.zero_grad()
        loss = self.loss_fn(self.module(batch[0]), batch[1])
        loss.backward()
        return float(loss.detach())


class Zeroed(Loop):
    """A loop whose zero_grad() stands between backward() and step()."""

    def step(self, batch):
        loss = self.loss_fn(self.module(batch[0]), batch[1])
        loss.backward()
        self.optimizer.zero_grad()
        self.optimizer.step()
        return float(loss.detach())


class Named(Loop):
    """Batches with names."""

    def __iter__(self):
        for X, y in super().__iter__():
            yield {"inputs": X, "labels": y}

    def step(self, batch):
        return super().step((batch["inputs"], batch["labels"]))


class Ended(nn.Module):
    """A module whose last activation is a call."""

    def __init__(self, act, inputs=2):
        super().__init__()
        self.body, self.act = perceptron(inputs, 1), act

    def forward(self, x):
        return self.act(self.body(x)).squeeze(-1)


def copies(parameters):
    return torch.optim.SGD([p.detach().clone().requires_grad_() for p in parameters], 0.1)


def halves(seed):
    X, y = spiral(seed=seed)
    return X, (y > 0).long()


def wide(seed):
    X, y = line(seed=seed)
    return X, 2 * y


def year(seed):
    X, y = line(seed=seed)
    return torch.cat([X, torch.full((len(X), 1), 2020.0)], dim=1), y


def missing(seed):
    X, y = spiral(seed=seed)
    X[7, 1] = torch.nan
    return X, y


def odd(seed):
    X, y = spiral(seed=seed)
    return X[:220], y[:220]  # 165 rows to train on: one is left of ten batches of 16 and a half


class Rest(Loop):
    """What is left of the rows is a batch, too."""

    def __iter__(self):
        yield from super().__iter__()
        yield self.X[-1:], self.y[-1:]


def clamped(z, y):
    p = z.clamp(1e-7, 1 - 1e-7)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def hinge(z, y):
    return torch.relu(1 - z * y).mean()


def far_and_near(z, y):
    distance, same = torch.cdist(z, z), y[:, None] == y[None]
    return torch.relu((distance * same).amax(1) - (distance + 1e3 * same).amin(1) + 1.0).mean()


def scored(z, y):
    return nn.functional.binary_cross_entropy_with_logits(z, y.float())


def plain(z, y):
    return (z - y).square().mean()


def normalised():
    return nn.Sequential(nn.Linear(2, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 3))


def answering():
    return Ended(lambda z: z)


TOLD = {
    "no step": (lambda seed: Stepless(seed), "never-stepped", "no optimizer stepped"),
    "zeroed before the step": (lambda seed: Zeroed(seed), "never-stepped", "without a gradient"),
    "the weights of a copy": (made(optimizer=copies), "not-in-optimizer", "none of the module's weights"),
    "a sigmoid that is called, twice": (
        made(data=halves, model=lambda: Ended(torch.sigmoid), loss=scored), "softmax-twice", "sigmoid again"),
    "a tanh that is called, for targets beyond 1": (
        made(data=wide, model=lambda: Ended(torch.tanh, 4), loss=plain), "output-mismatch", "come from Tanh"),
    "logarithms of scores that are cut": (
        made(data=halves, model=lambda: Ended(lambda z: 3 * z - 0.5), loss=clamped), "output-mismatch", "has no slope"),
    "a hinge of 0 and 1": (made(data=halves, model=answering, loss=hinge), "output-mismatch", "whose target is 0"),
    "a year": (
        made(data=year, model=lambda: Ended(lambda z: z, 5), loss=plain,
             optimizer=lambda p: torch.optim.SGD(p, 0.05)), "constant-columns", "without it"),
    "one row is left": (lambda seed: Rest(seed, data=odd, model=normalised), "tiny-batches", "drop_last=True"),
    "a rate that grows": (
        made(data=line, model=lambda: perceptron(4, 1), loss=squared, rates=lambda t: 0.05 * 1.3**t,
             optimizer=lambda p: torch.optim.SGD(p, 0.05)), "learning-rate-too-high", "the rate as it began"),
    "names, and a row that is NaN": (
        lambda seed: Named(seed, data=missing), "nan-input", "X[7, 1] is NaN"),
    "layers in a list": (made(model=Listed), "not-in-optimizer", "24 x 24"),
    "weights that are a tensor": (made(model=Bare), "not-in-optimizer", "2 x 24"),
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
    "batches with names": lambda seed: Named(seed),
    "rows compared with one another": made(model=lambda: perceptron(outputs=4), loss=far_and_near, rate=3e-3),
    "a hinge of -1 and 1": made(data=halves, model=answering, loss=lambda z, y: hinge(z, 2 * y - 1)),
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
    assert words in found[0].evidence + found[0].remedy
    trials = found.confirm()
    assert [trial.repaired for trial in trials][-1:] == ([] if name == "another batch" else [True]), trials


@pytest.mark.parametrize("name", WELL)
def test_its_twin_is_left_alone(name):
    assert causes(descender.diagnose(WELL[name])) == []
