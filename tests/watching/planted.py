"""Loops with one fault planted, by its cause, and sound ones: of those of torch_loops."""

import math

import torch
from torch import nn
from torch_loops import line, perceptron, spiral, squared

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


class Idle(torch.optim.SGD):
    """An optimizer that has lost its gradients when it steps."""

    def __init__(self, parameters):
        super().__init__(parameters, 0.1)

    def step(self, closure=None):
        self.zero_grad()
        return super().step(closure)


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
    "unbounded": {"loss": lambda z, y: nn.functional.cross_entropy(z, y) * 1.5 - 0.1 * z.square().mean().sqrt()},
    "never-stepped": {"model": lambda: perceptron(), "optimizer": Idle},
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
    "unscaled-targets": REGRESSION | {
        "data": changed(lambda X, y: (X, 3e4 + 2e4 * y)), "optimizer": sgd(1e-2, momentum=0.9)},
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
    "probabilities for their loss": {"model": lambda: perceptron(last=(nn.LogSoftmax(1),)), "loss": nn.NLLLoss()},
    "dropout": {"model": lambda: perceptron(last=(nn.Dropout(0.1),))},
    "a right backward pass": {"model": lambda: perceptron(act=RightTanh, deep=1)},
    "a penalty": {"penalty": 1e-5},
    "the loss scaled": {"scale": 2.0**14},
    "clipped always": {"clip": 0.3, "optimizer": sgd(0.5)},
    "two optimizers": {"renew": 30},
    "a frozen layer, left out": {"trains": lambda m: (m[:1].requires_grad_(False), m[2:].parameters())[1]},
    "group normalisation of pairs": {"model": lambda: normed(nn.GroupNorm(2, 24)), "batch": 2},
}  # fmt: skip
