"""PyTorch training programs by their choices.  The defaults are sound; a fault is a choice that is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from corpus.tasks import TASKS

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,     "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "leaky_relu": nn.LeakyReLU,
}  # fmt: skip
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p, r: torch.optim.SGD(p, lr=r.learning_rate, momentum=r.momentum, weight_decay=r.weight_decay),
    "adam": lambda p, r: torch.optim.Adam(p, lr=r.learning_rate, weight_decay=r.weight_decay),
    "adamw": lambda p, r: torch.optim.AdamW(p, lr=r.learning_rate, weight_decay=r.weight_decay),
    "rmsprop": lambda p, r: torch.optim.RMSprop(p, lr=r.learning_rate),
    "adagrad": lambda p, r: torch.optim.Adagrad(p, lr=r.learning_rate),
}


@dataclass(frozen=True)
class Recipe:
    """A program.  Fields with a default of None, 0, 1 or False change nothing."""

    task: str = "digits"
    kind: str = "mlp"
    hidden: tuple[int, ...] = (64, 32)
    activation: str = "relu"
    normalisation: str | None = None
    dropout: float = 0.0
    gain: float = 1.0
    optimizer: str = "adam"
    learning_rate: float = 2e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch_size: int = 32
    steps: int = 400
    rows: int = 0
    schedule: str | None = None
    clip_norm: float = 0.0
    accumulate: int = 1
    smoothing: float = 0.0
    prepare: Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]] | None = None
    """What is done to the data before training."""
    model: Callable[[nn.Module], Any] | None = None
    """What is done to the model before training; it may return another."""
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None
    trains: Callable[[nn.Module], Any] | None = None
    """The parameters that the optimizer is given."""
    penalty: Callable[[nn.Module], torch.Tensor] | None = None
    reset: bool = True
    shuffle: bool = True
    sort: bool = False
    evaluating: bool = False
    renew: int = 0
    """The optimizer is made anew each so many steps."""
    halve: bool = False
    """Half precision, without scaling of the loss."""
    forgets: bool = False
    """Validation in training mode."""
    leaks: bool = False
    """Validation on rows that are trained on."""
    repeats: bool = False
    """One batch, again and again."""
    inflates: float = 1.0
    """By what the data are multiplied in place at each step."""


class Program:
    """A training loop as people write it, in the form that the doctor takes."""

    def __init__(self, recipe: Recipe, seed: int):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        X, y = TASKS[recipe.task](seed)
        if recipe.rows:
            X, y = X[: recipe.rows + 200], y[: recipe.rows + 200]
        held = 200 if len(X) > 400 or recipe.rows else len(X) // 4
        if recipe.sort:
            order = np.argsort(y[:-held], kind="stable")
            X, y = np.concatenate([X[:-held][order], X[-held:]]), np.concatenate([y[:-held][order], y[-held:]])
        self.classes = int(y.max()) + 1 if y.dtype.kind in "iu" else 0
        if recipe.prepare is not None:
            X, y = recipe.prepare(X.copy(), y.copy(), rng)
        self.recipe, self.steps, self.number = recipe, recipe.steps, 0
        X, y = torch.tensor(X), torch.tensor(y)
        self.X, self.y, self.held = X[:-held], y[:-held], (X[-held:], y[-held:])
        if recipe.leaks:
            self.held = (self.X[:held], self.y[:held])
        self.module = build(recipe, X.shape, self.classes)
        if recipe.model is not None:
            self.module = recipe.model(self.module) or self.module
        if recipe.halve:
            self.module, self.X = self.module.half(), self.X.half()
            self.held = (self.held[0].half(), self.held[1])
        self.loss_fn = recipe.loss or default_loss(self.classes, recipe.smoothing)
        self.renew()
        self.batches = Batches(self.X, self.y, recipe, seed)

    def renew(self) -> None:
        """A new optimizer, and its schedule."""
        parameters = self.recipe.trains(self.module) if self.recipe.trains else self.module.parameters()
        self.optimizer = OPTIMIZERS[self.recipe.optimizer](parameters, self.recipe)
        self.schedule = SCHEDULES[self.recipe.schedule](self.optimizer, self.steps) if self.recipe.schedule else None

    def step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> float:
        """One step of training; the loss of its batch."""
        recipe = self.recipe
        self.module.train(not recipe.evaluating)
        if recipe.renew and self.number and self.number % recipe.renew == 0:
            self.renew()
        if recipe.reset and self.number % recipe.accumulate == 0:
            self.optimizer.zero_grad()
        X, y = batch
        if recipe.inflates != 1.0:
            self.X *= recipe.inflates
        loss = self.loss_fn(self.module(X), y)
        if recipe.penalty is not None:
            loss = loss + recipe.penalty(self.module)
        (loss / recipe.accumulate).backward()
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.module.parameters(), recipe.clip_norm)
        if (self.number + 1) % recipe.accumulate == 0:
            self.optimizer.step()
            if self.schedule is not None:
                self.schedule.step()
        self.number += 1
        return float(loss.detach())

    def validate(self) -> float:
        """The loss of the held-out samples."""
        self.module.train(self.recipe.forgets)
        with torch.no_grad():
            outputs, y = self.module(self.held[0]).float(), self.held[1]
            if y.ndim > 1:
                return float(nn.functional.mse_loss(outputs, y))
            return float(default_loss(self.classes, 0.0)(outputs, y))


class Batches:
    """The batches of one epoch; each reading of it is another order."""

    def __init__(self, X: torch.Tensor, y: torch.Tensor, recipe: Recipe, seed: int):
        self.X, self.y, self.recipe = X, y, recipe
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return max(len(self.X) // self.recipe.batch_size, 1)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = (
            torch.randperm(len(self.X), generator=self.generator) if self.recipe.shuffle else torch.arange(len(self.X))
        )
        for i in range(len(self)):
            i = 0 if self.recipe.repeats else i
            rows = order[i * self.recipe.batch_size : (i + 1) * self.recipe.batch_size]
            yield self.X[rows], self.y[rows]


class Recurrent(nn.Module):
    """A recurrent layer and linear outputs of its last state."""

    def __init__(self, kind: str, inputs: int, width: int, outputs: int, activation: str):
        super().__init__()
        self.recurrent = (
            nn.RNN(inputs, width, batch_first=True, nonlinearity="relu" if activation == "relu" else "tanh")
            if kind == "rnn"
            else {"gru": nn.GRU, "lstm": nn.LSTM}[kind](inputs, width, batch_first=True)
        )
        self.out = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs for sequences (samples, steps, inputs)."""
        return self.out(self.recurrent(x)[0][:, -1])


class Attention(nn.Module):
    """One block of a transformer over the entries of a row."""

    def __init__(self, inputs: int, width: int, outputs: int):
        super().__init__()
        self.embed = nn.Linear(1, width)
        self.place = nn.Parameter(0.1 * torch.randn(inputs, width))
        self.block = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True)
        self.out = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs for rows."""
        return self.out(self.block(self.embed(x[:, :, None]) + self.place).mean(dim=1))


def build(recipe: Recipe, shape: torch.Size, classes: int) -> nn.Module:
    """The model of a recipe."""
    outputs = classes or 1
    if recipe.kind in ("rnn", "gru", "lstm"):
        return Recurrent(recipe.kind, shape[2], recipe.hidden[0], outputs, recipe.activation)
    if recipe.kind == "attention":
        return Attention(shape[1], recipe.hidden[0], outputs)
    if recipe.kind == "cnn":
        return nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, outputs),
        )  # fmt: skip
    layers: list[nn.Module] = []
    before = shape[1]
    for width in recipe.hidden:
        layers.append(nn.Linear(before, width))
        if recipe.normalisation:
            layers.append({"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}[recipe.normalisation](width))
        layers.append(ACTIVATIONS[recipe.activation]())
        if recipe.dropout:
            layers.append(nn.Dropout(recipe.dropout))
        before = width
    layers.append(nn.Linear(before, outputs))
    module = nn.Sequential(*layers)
    if recipe.gain != 1.0:
        with torch.no_grad():
            for layer in layers[:-1]:
                if isinstance(layer, nn.Linear):
                    layer.weight *= recipe.gain
    return module


def default_loss(classes: int, smoothing: float) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Cross-entropy of scores, or the mean squared error."""
    if classes:
        return nn.CrossEntropyLoss(label_smoothing=smoothing)
    return lambda z, y: nn.functional.mse_loss(z[:, 0], y)


def _factor(factor: Callable[[int, int], float]) -> Callable[[torch.optim.Optimizer, int], Any]:
    return lambda optimizer, steps: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: factor(t, steps))


SCHEDULES = {
    "cosine": _factor(lambda t, steps: 0.5 * (1 + np.cos(np.pi * min(t / steps, 1)))),
    "warm-up": _factor(lambda t, steps: min(1.0, (t + 1) / (0.2 * steps))),
    "restarts": _factor(lambda t, steps: 0.5 * (1 + np.cos(np.pi * ((4 * t / steps) % 1)))),
    "step": _factor(lambda t, steps: 0.3 ** int(3 * t / steps)),
    "too soon": _factor(lambda t, steps: 0.9**t),
    "to zero": _factor(lambda t, steps: max(0.0, 1 - t / (0.04 * steps))),
}
