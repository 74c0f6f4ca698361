"""The PyTorch half of the corpus: one line a program."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from corpus import Program
from corpus.recipe import Program as Loop
from corpus.recipe import Recipe
from corpus.rows import constant, far_target, large, leaked, missing, outlier, scaled, shuffled

# what is done to models


def biased(module: nn.Module, shift: float) -> None:
    """Biases so low that nodes never fire."""
    with torch.no_grad():
        for layer in module[:-1]:
            if isinstance(layer, nn.Linear):
                layer.bias -= shift


def weights(module: nn.Module, value: Callable[[torch.Tensor], Any]) -> None:
    """All matrices set by a function."""
    with torch.no_grad():
        for p in module.parameters():
            if p.dim() > 1:
                value(p)


def frozen(module: nn.Module, part: slice) -> None:
    """Some layers want no gradient."""
    for p in module[part].parameters():
        p.requires_grad_(False)


class Detached(nn.Module):
    """The first layers are cut off by a detach()."""

    def __init__(self, module: nn.Sequential, at: int):
        super().__init__()
        self.first, self.rest = module[:at], module[at:]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs."""
        return self.rest(self.first(x).detach())


class WithSoftmax(nn.Module):
    """Probabilities where scores are expected."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The probabilities."""
        return torch.softmax(self.module(x), dim=1)


class Root(nn.Module):
    """Takes the root of something that comes to be negative."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs."""
        return self.module(x) + 0.1 * torch.sqrt(0.5 - x[:, :1])


class Tied(nn.Module):
    """An autoencoder whose decoder is its encoder's transpose."""

    def __init__(self, module: nn.Sequential):
        super().__init__()
        self.first = nn.Linear(module[0].in_features, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What is left of x."""
        return torch.sigmoid(torch.tanh(self.first(x)) @ self.first.weight)


# losses


def broadcast(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(n, 1) against (n,): the mean of all pairs."""
    return ((z - y) ** 2).mean()


def summed(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """A sum where a mean is meant."""
    return nn.functional.cross_entropy(z, y, reduction="sum") if z.shape[1] > 1 else ((z[:, 0] - y) ** 2).sum()


def ascending(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The wrong sign."""
    return -((z[:, 0] - y) ** 2).mean()


def by_hand(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Cross-entropy by hand: the logarithm of a probability that becomes 0."""
    return -torch.log(torch.softmax(z * 400, dim=1)[torch.arange(len(y)), y]).mean()


def codes(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Squared error of class numbers, all scores against them."""
    return ((z - y[:, None].float()) ** 2).mean()


def likelihood(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Minus a log-likelihood of a narrow density: negative when it is well."""
    return (((z[:, 0] - y) / 0.3) ** 2 / 2 + np.log(0.3)).mean()


def huber(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Huber's."""
    return nn.functional.huber_loss(z[:, 0], y, delta=0.5)


def focal(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Cross-entropy that counts rows the less the surer they are told (Lin et al., 2017)."""
    told = nn.functional.cross_entropy(z, y, reduction="none")
    return ((1 - torch.exp(-told)) ** 2 * told).mean()


def restored(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The distance of an image from what is left of it; the images come as targets."""
    return ((z - y) ** 2).mean()


class _Wrong(torch.autograd.Function):
    """tanh with a derivative that is not its own."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        """tanh."""
        out = torch.tanh(x)
        context.save_for_backward(out)
        return out

    @staticmethod
    def backward(context: Any, slope: torch.Tensor) -> torch.Tensor:
        """A forgotten square, and a sign."""
        (out,) = context.saved_tensors
        return -slope * (1 - out)


class WrongTanh(nn.Module):
    """An activation written by hand, whose backward pass is wrong."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """tanh."""
        return _Wrong.apply(x)


def over_the_batch(module: nn.Module) -> nn.Module:
    """Logarithms of probabilities, over the rows instead of the classes."""
    return nn.Sequential(module, nn.LogSoftmax(dim=0))


def with_wrong_tanh(module: nn.Sequential) -> nn.Module:
    """The first activation is the one whose backward pass is wrong."""
    module[1] = WrongTanh()
    return module


def square(module: nn.Module, strength: float) -> torch.Tensor:
    """A penalty on all weights."""
    return strength * sum(p.pow(2).sum() for p in module.parameters())


def images(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Images are their own targets."""
    return X, X


R, P = Recipe, partial
DEEP = (32,) * 10

HELD_OUT = "held-out"
DESIGN = "design"

# name, fault, split, recipe, also
FAULTY: list[tuple[str, str, str, Recipe, tuple[str, ...]]] = [
    ("digits sgd rate 3", "learning-rate-too-high", DESIGN, R(optimizer="sgd", learning_rate=3.0), ("exploding-gradient",)),
    ("friedman sgd rate 0.5", "learning-rate-too-high", DESIGN, R("friedman", optimizer="sgd", learning_rate=0.5), ()),
    ("cancer adam rate 1", "learning-rate-too-high", HELD_OUT, R("cancer", learning_rate=1.0), ()),
    ("diabetes sgd rate 0.3", "learning-rate-too-high", HELD_OUT, R("diabetes", optimizer="sgd", learning_rate=0.3), ()),
    ("digits adam rate 1e-6", "learning-rate-too-low", DESIGN, R(learning_rate=1e-6), ()),
    ("friedman sgd rate 1e-6", "learning-rate-too-low", HELD_OUT, R("friedman", optimizer="sgd", learning_rate=1e-6), ()),
    ("wine sgd rate 1e-5", "learning-rate-too-low", DESIGN, R("wine", optimizer="sgd", learning_rate=1e-5), ()),
    ("deep relu gain 4", "exploding-gradient", DESIGN, R("friedman", hidden=DEEP, gain=4.0, optimizer="sgd", learning_rate=1e-2), ("bad-initialisation", "learning-rate-too-high")),
    ("recurrent gain 3", "exploding-gradient", HELD_OUT, R("wave", kind="rnn", activation="relu", hidden=(32,), model=P(weights, value=lambda p: p.mul_(4.0)), optimizer="sgd", learning_rate=1e-2), ("bad-initialisation", "learning-rate-too-high")),
    ("deep sigmoid", "vanishing-gradient", DESIGN, R(hidden=DEEP, activation="sigmoid", optimizer="sgd", learning_rate=0.05), ()),
    ("deep tanh small weights", "vanishing-gradient", HELD_OUT, R("blobs", hidden=DEEP, activation="tanh", gain=0.3, optimizer="sgd", learning_rate=0.05), ("bad-initialisation",)),
    ("dead relu", "dead-units", DESIGN, R(model=P(biased, shift=6.0)), ()),
    ("dead relu, blobs", "dead-units", HELD_OUT, R("blobs", hidden=(48, 48), model=P(biased, shift=8.0)), ()),
    ("tanh of large columns", "saturation", DESIGN, R("cancer", activation="tanh", prepare=P(large, factor=300.0), optimizer="sgd", learning_rate=0.01), ("unscaled-columns", "bad-initialisation")),
    ("sigmoid weights of 30", "saturation", HELD_OUT, R("moons", activation="sigmoid", hidden=(32, 32), gain=60.0, optimizer="sgd", learning_rate=0.01), ("bad-initialisation",)),
    ("wine unscaled", "unscaled-columns", DESIGN, R("wine", prepare=P(scaled, largest=1e4), optimizer="sgd", learning_rate=1e-3), ("learning-rate-too-high",)),
    ("friedman unscaled", "unscaled-columns", HELD_OUT, R("friedman", prepare=P(scaled, largest=1e3), optimizer="sgd", learning_rate=1e-3), ("learning-rate-too-high",)),
    ("one far row", "outlier-rows", DESIGN, R("diabetes", prepare=P(outlier, factor=3e3), optimizer="sgd", learning_rate=1e-3), ()),
    ("one far target", "outlier-rows", HELD_OUT, R("friedman", prepare=P(far_target, value=1e4), learning_rate=5e-3), ()),
    ("a missing entry", "nan-input", DESIGN, R("diabetes", prepare=P(missing, row=40)), ()),
    ("a missing pixel", "nan-input", HELD_OUT, R(prepare=P(missing, row=333)), ()),
    ("root of a negative", "nan-operation", DESIGN, R("moons", model=Root), ()),
    ("logarithm of zero", "nan-operation", HELD_OUT, R(loss=by_hand, learning_rate=2e-2), ("learning-rate-too-high",)),
    ("targets of other rows", "labels-shuffled", DESIGN, R(prepare=P(shuffled, share=1.0)), ()),
    ("targets of other rows, cancer", "labels-shuffled", HELD_OUT, R("cancer", prepare=P(shuffled, share=1.0)), ()),
    ("half of the labels wrong", "label-noise", DESIGN, R("blobs", prepare=P(shuffled, share=0.5)), ()),
    ("a third of the labels wrong", "label-noise", HELD_OUT, R("wine", prepare=P(shuffled, share=0.4)), ()),
    ("all targets alike", "constant-labels", DESIGN, R(prepare=constant), ()),
    ("all targets alike, friedman", "constant-labels", HELD_OUT, R("friedman", prepare=constant), ()),
    ("a column is the target", "leaked-label", DESIGN, R("cancer", prepare=leaked), ()),
    ("a column is the target, friedman", "leaked-label", HELD_OUT, R("friedman", prepare=leaked), ()),
    ("gradients add up", "gradients-not-reset", DESIGN, R(reset=False, optimizer="sgd", learning_rate=0.02), ("learning-rate-too-high",)),
    ("gradients add up, friedman", "gradients-not-reset", HELD_OUT, R("friedman", reset=False), ()),
    ("loss summed", "loss-summed", DESIGN, R(loss=summed, optimizer="sgd", learning_rate=0.05, batch_size=128), ("learning-rate-too-high",)),
    ("loss summed, diabetes", "loss-summed", HELD_OUT, R("diabetes", loss=summed, optimizer="sgd", learning_rate=0.02, batch_size=64), ("learning-rate-too-high",)),
    ("dropout in evaluation mode", "eval-mode", DESIGN, R(dropout=0.3, evaluating=True), ()),
    ("batch norm in evaluation mode", "eval-mode", HELD_OUT, R("blobs", normalisation="batch", evaluating=True), ()),
    ("a new optimizer each step", "optimizer-recreated", DESIGN, R(renew=1), ()),
    ("a new optimizer each epoch", "optimizer-recreated", HELD_OUT, R("friedman", renew=20), ()),
    ("schedule ends early", "schedule-ends-early", DESIGN, R(schedule="to zero"), ()),
    ("schedule stepped per batch", "schedule-ends-early", HELD_OUT, R("friedman", schedule="too soon", optimizer="sgd", learning_rate=0.02), ()),
    ("softmax twice", "softmax-twice", DESIGN, R(model=WithSoftmax), ()),
    ("softmax twice, blobs", "softmax-twice", HELD_OUT, R("blobs", model=WithSoftmax), ()),
    ("regression on codes", "output-mismatch", DESIGN, R(loss=codes), ()),
    ("(n, 1) against (n,)", "broadcasting", DESIGN, R("friedman", loss=broadcast), ()),
    ("(n, 1) against (n,), diabetes", "broadcasting", HELD_OUT, R("diabetes", loss=broadcast), ()),
    ("a detached part", "detached-part", DESIGN, R(model=P(Detached, at=4)), ()),
    ("a detached part, friedman", "detached-part", HELD_OUT, R("friedman", model=P(Detached, at=2)), ()),
    ("a part without optimizer", "not-in-optimizer", DESIGN, R(trains=lambda m: m[2:].parameters()), ()),
    ("a part without optimizer, blobs", "not-in-optimizer", HELD_OUT, R("blobs", trains=lambda m: m[-1].parameters()), ()),
    ("batch norm of pairs", "tiny-batches", DESIGN, R(normalisation="batch", batch_size=2), ()),
    ("batch norm of pairs, blobs", "tiny-batches", HELD_OUT, R("blobs", normalisation="batch", batch_size=2), ()),
    ("half precision", "half-precision-overflow", DESIGN, R("friedman", prepare=P(large, factor=3e4), halve=True, optimizer="sgd", learning_rate=1e-3), ("unscaled-columns",)),
    ("penalty of the wrong sign", "penalty-sign", DESIGN, R(penalty=P(square, strength=-1e-2)), ()),
    ("penalty of the wrong sign, friedman", "penalty-sign", HELD_OUT, R("friedman", penalty=P(square, strength=-3e-2)), ()),
    ("loss of the wrong sign", "wrong-sign", HELD_OUT, R("diabetes", loss=ascending), ()),
    ("decay far too strong", "penalty-too-strong", DESIGN, R(weight_decay=1.0), ()),
    ("decay far too strong, blobs", "penalty-too-strong", HELD_OUT, R("blobs", weight_decay=2.0, optimizer="sgd", learning_rate=0.02), ()),
    ("sorted by class", "data-order", DESIGN, R(sort=True, shuffle=False, optimizer="sgd", learning_rate=0.02), ()),
    ("sorted by class, blobs", "data-order", HELD_OUT, R("blobs", sort=True, shuffle=False, optimizer="sgd", learning_rate=0.02), ()),
    ("clipped to nothing", "clipping-too-low", DESIGN, R(clip_norm=1e-4, optimizer="sgd", learning_rate=0.05), ("learning-rate-too-low",)),
    ("clipped to nothing, friedman", "clipping-too-low", HELD_OUT, R("friedman", clip_norm=1e-4, optimizer="sgd", learning_rate=0.05), ("learning-rate-too-low",)),
    ("momentum 0.999", "momentum-too-high", DESIGN, R("friedman", optimizer="sgd", learning_rate=0.02, momentum=0.999), ("learning-rate-too-high",)),
    ("momentum 0.9995", "momentum-too-high", HELD_OUT, R("blobs", optimizer="sgd", learning_rate=0.05, momentum=0.9995), ("learning-rate-too-high",)),
    ("forty rows by heart", "overfitting", DESIGN, R("diabetes", rows=40, hidden=(256, 256), steps=600), ()),
    ("thirty rows by heart", "overfitting", HELD_OUT, R("friedman", rows=30, hidden=(256,), steps=600), ()),
    ("weights all alike", "bad-initialisation", DESIGN, R(model=P(weights, value=lambda p: p.fill_(0.05))), ()),
    ("weights all zero", "bad-initialisation", HELD_OUT, R("blobs", model=P(weights, value=lambda p: p.zero_())), ()),
    ("no activation", "no-activation", DESIGN, R("moons", activation="identity", learning_rate=1e-2), ()),
    ("dropout of 0.98", "dropout-too-strong", DESIGN, R(hidden=(48,), dropout=0.98), ()),
    ("softmax over the batch", "mixed-rows", DESIGN, R("blobs", model=over_the_batch, loss=nn.NLLLoss()), ()),
    ("scores for logarithms", "output-mismatch", DESIGN, R("wine", loss=nn.NLLLoss()), ()),
    ("validation in training mode", "validation-mode", DESIGN, R(dropout=0.4, forgets=True), ()),
    ("validation on training rows", "validation-leak", DESIGN, R("cancer", leaks=True), ()),
    ("one batch again and again", "few-rows-seen", DESIGN, R("friedman", shuffle=False, repeats=True), ()),
    ("data that grow in place", "inputs-changed", DESIGN, R("diabetes", inflates=1.01), ()),
    ("a wrong backward pass", "wrong-gradient", DESIGN, R("moons", activation="tanh", hidden=(32,), model=with_wrong_tanh), ()),
    ("a wrong backward pass, friedman", "wrong-gradient", HELD_OUT, R("friedman", activation="tanh", hidden=(48,), model=with_wrong_tanh), ()),
]  # fmt: skip

HEALTHY: list[tuple[str, str, Recipe]] = [
    ("digits", DESIGN, R()),
    ("digits by sgd", DESIGN, R(optimizer="sgd", learning_rate=0.1, momentum=0.0)),
    ("digits, convolutions", DESIGN, R(kind="cnn")),
    ("digits, high rate, cosine", DESIGN, R(learning_rate=1e-2, schedule="cosine")),
    ("digits, half of it dropped", DESIGN, R(dropout=0.5)),
    ("cancer", DESIGN, R("cancer", hidden=(16,))),
    ("noisy numbers", DESIGN, R("noise", hidden=(16,), learning_rate=1e-3)),
    ("wave by lstm", DESIGN, R("wave", kind="lstm", hidden=(24,), learning_rate=5e-3)),
    ("first layer frozen on purpose", DESIGN, R(model=P(frozen, part=slice(0, 1)), trains=lambda m: [p for p in m.parameters() if p.requires_grad])),
    ("gradients of four batches", DESIGN, R(accumulate=4, batch_size=8)),
    ("labels smoothed", DESIGN, R(smoothing=0.2)),
    ("random features", DESIGN, R("moons", hidden=(128,), model=P(frozen, part=slice(0, 1)), learning_rate=1e-2)),
    ("rows that are hard count more", DESIGN, R("blobs", loss=focal)),
    ("a negative loss", DESIGN, R("friedman", loss=likelihood)),
    ("moons, wide tanh", HELD_OUT, R("moons", activation="tanh", hidden=(128,), learning_rate=1e-2)),
    ("blobs, shallow sigmoid", HELD_OUT, R("blobs", activation="sigmoid", hidden=(32,), learning_rate=1e-2)),
    ("words counted", HELD_OUT, R("counts", hidden=(32,), learning_rate=5e-3)),
    ("friedman, layer norm, gelu", HELD_OUT, R("friedman", activation="gelu", normalisation="layer")),
    ("friedman, batch norm, warm-up", HELD_OUT, R("friedman", normalisation="batch", schedule="warm-up", learning_rate=1e-2)),
    ("friedman, clipped always", HELD_OUT, R("friedman", clip_norm=0.5, optimizer="sgd", learning_rate=0.1)),
    ("diabetes, huber", HELD_OUT, R("diabetes", loss=huber, hidden=(16,), learning_rate=1e-3, steps=250)),
    ("wave by recurrent tanh", HELD_OUT, R("wave", kind="rnn", activation="tanh", hidden=(24,), clip_norm=1.0, learning_rate=3e-3)),
    ("memory by gru", HELD_OUT, R("memory", kind="gru", hidden=(16,), learning_rate=1e-2)),
    ("wine, full batches", HELD_OUT, R("wine", batch_size=128, hidden=(16,), learning_rate=1e-2)),
    ("rare class", HELD_OUT, R("rare", hidden=(24,))),
    ("digits, rmsprop, restarts", HELD_OUT, R(optimizer="rmsprop", learning_rate=1e-3, schedule="restarts")),
    ("blobs, not shuffled", HELD_OUT, R("blobs", shuffle=False)),
    ("cancer, attention", HELD_OUT, R("cancer", kind="attention", hidden=(8,), steps=150, learning_rate=3e-3)),
    ("digits, adagrad", HELD_OUT, R(optimizer="adagrad", learning_rate=2e-2)),
    ("images restored", HELD_OUT, R(model=Tied, prepare=images, loss=restored)),
    ("digits, decay", HELD_OUT, R(optimizer="adamw", weight_decay=0.05, schedule="step", learning_rate=5e-3)),
    ("deep relu with batch norm", HELD_OUT, R(hidden=(32,) * 6, normalisation="batch")),
]  # fmt: skip

PROGRAMS = [
    Program(f"torch: {name}", fault, split, P(Loop, recipe), also) for name, fault, split, recipe, also in FAULTY
]
PROGRAMS += [Program(f"torch: {name}", None, split, P(Loop, recipe)) for name, split, recipe in HEALTHY]
