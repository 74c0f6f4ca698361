"""Small training loops, sound or with one fault."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

CROSS = nn.CrossEntropyLoss()


def spiral(n=240, seed=0):
    """Three arms: classes."""
    rng = np.random.default_rng(seed)
    k = rng.integers(0, 3, n)
    t = rng.uniform(0.2, 1.0, n)
    angle = 4 * t + 2.1 * k + 0.1 * rng.normal(size=n)
    X = 2 * np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1)
    return torch.tensor(X, dtype=torch.float32), torch.tensor(k)


def line(n=240, d=4, seed=0):
    """A linear function with noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    y = X @ np.arange(1.0, d + 1) / d + 0.2 * rng.normal(size=n)
    return torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


def squared(z, y):
    return functional.mse_loss(z.squeeze(-1), y)


def perceptron(inputs=2, outputs=3, width=24, act=nn.ReLU, deep=2, last=()):
    layers = []
    for i in range(deep):
        layers += [nn.Linear(inputs if i == 0 else width, width), act()]
    return nn.Sequential(*layers, nn.Linear(width, outputs), *last)


class Loop:
    """A loop as people write it; its parts are replaced by keyword."""

    def __init__(
        self, seed, data=spiral, model=perceptron, rate=1e-2, optimizer=None, loss=CROSS, batch=32, steps=60, **how
    ):
        torch.manual_seed(seed)
        X, y = data(seed=seed)
        cut = len(X) * 3 // 4
        self.X, self.y, self.held = X[:cut], y[:cut], (X[cut:], y[cut:])
        if how.get("leaks"):
            self.held = (X[: len(X) - cut], y[: len(X) - cut])
        self.how, self.batch, self.steps, self.number, self.loss_fn = how, batch, steps, 0, loss
        self.module = model()
        self.make = optimizer or (lambda parameters: torch.optim.Adam(parameters, rate))
        self.optimizer = self.make(how.get("trains", lambda module: module.parameters())(self.module))
        self.generator = torch.Generator().manual_seed(seed)
        self.batches = self

    def __len__(self):
        return len(self.X) // self.batch

    def __iter__(self):
        order = torch.randperm(len(self.X), generator=self.generator)
        if self.how.get("sort"):
            order = self.y.argsort()
        if self.how.get("repeats"):
            order = torch.arange(self.batch).repeat(len(self))
        for i in range(len(self)):
            rows = order[i * self.batch : (i + 1) * self.batch]
            yield self.X[rows], self.y[rows]

    def step(self, batch):
        how = self.how
        self.number += 1
        self.module.train(not how.get("evaluating", False))
        if how.get("mutates"):
            self.X *= how["mutates"]
        if self.number == how.get("raises"):
            raise RuntimeError("out of luck")
        if how.get("renew") and self.number % how["renew"] == 0:
            self.optimizer = self.make(self.module.parameters())
        if how.get("reset", True):
            self.optimizer.zero_grad()
        loss = self.loss_fn(self.module(batch[0]), batch[1])
        if how.get("penalty"):
            loss = loss + how["penalty"] * sum(p.square().sum() for p in self.module.parameters())
        if how.get("absolute"):
            loss = loss + how["absolute"] * sum(p.abs().sum() for p in self.module.parameters())
        (loss * how.get("scale", 1.0)).backward()
        for p in self.module.parameters():
            if p.grad is not None:
                p.grad /= how.get("scale", 1.0)
        if how.get("clip"):
            nn.utils.clip_grad_norm_(self.module.parameters(), how["clip"])
        if how.get("rates"):
            self.optimizer.param_groups[0]["lr"] = how["rates"](self.number)
        self.optimizer.step()
        return float(loss.detach())

    def validate(self):
        self.module.train(self.how.get("forgets", False))
        with torch.no_grad():
            return float(self.loss_fn(self.module(self.held[0]), self.held[1]))


class Closed(Loop):
    """A loop whose optimizer asks for losses and gradients itself."""

    def step(self, batch):
        def closure():
            self.optimizer.zero_grad()
            loss = self.loss_fn(self.module(batch[0]), batch[1])
            loss.backward()
            return loss

        return float(self.optimizer.step(closure).detach())


def made(**choices):
    """A function that makes a loop."""
    return lambda seed: Loop(seed, **choices)
