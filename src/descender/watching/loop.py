"""A training loop as it is handed over, and batches of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from descender.errors import CapabilityError, OptionError
from descender.watching.torch_ import torch

NEEDED = ("module", "optimizer", "batches", "loss_fn", "step", "steps", "X", "y")
SAMPLE = 1024
"""Rows that are looked at outside of training."""


def made(make: Callable[[int], Any], seed: int) -> Any:
    """A loop, fresh from `make`, if it has all that a loop needs."""
    loop = make(seed)
    missing = [name for name in NEEDED if not hasattr(loop, name)]
    if missing:
        raise OptionError(
            f"make({seed}) returned a {type(loop).__name__} without {', '.join(missing)}: expected an object with "
            f"{', '.join(NEEDED)}, and optionally validate"
        )
    if not isinstance(loop.module, torch.nn.Module):
        raise CapabilityError(f"module is a {type(loop.module).__name__}: a torch.nn.Module can be diagnosed")
    if not isinstance(loop.steps, int) or loop.steps < 1:
        raise OptionError(f"steps={loop.steps!r}: expected how many times step is to be called, 1 or more")
    return loop


def endless(batches: Any) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            raise OptionError("batches: there is none; expected an iterable that can be read once an epoch")


def per_epoch(loop: Any) -> int:
    """How many batches an epoch has; 0 where that is not known."""
    try:
        return len(loop.batches)
    except TypeError:
        return 0


def pair(batch: Any) -> tuple[Any, Any] | None:
    """Inputs and targets of a batch, where it is a pair of tensors with a row each, or a mapping of two."""
    parts = tuple(batch.values()) if isinstance(batch, Mapping) else batch
    if not (isinstance(parts, tuple | list) and len(parts) == 2):
        return None
    X, y = parts
    tensors = isinstance(X, torch.Tensor) and isinstance(y, torch.Tensor)
    return (X, y) if tensors and X.ndim and y.ndim and len(X) == len(y) else None


def like(batch: Any, X: Any, y: Any) -> Any:
    """Other inputs and targets, packed as those of a batch."""
    return dict(zip(batch, (X, y), strict=True)) if isinstance(batch, Mapping) else (X, y)


def sample(loop: Any, most: int = SAMPLE) -> tuple[Any, Any]:
    """At most so many rows of the loop's own data, evenly spaced, as tensors that the module takes."""
    X, y = torch.as_tensor(loop.X), torch.as_tensor(loop.y)
    if len(X) > most:
        rows = torch.linspace(0, len(X) - 1, most).long()
        X, y = X[rows], y[rows]
    p = next(loop.module.parameters(), None)
    if p is not None:
        X = X.to(p.device, p.dtype) if X.is_floating_point() and X.dtype != p.dtype else X.to(p.device)
        y = y.to(p.device)
    return X, y


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Evaluation mode, and afterwards that of each part as it was."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def called(module: Any, X: Any) -> Any:
    """The first tensor among what a module returns."""
    return first_tensor(module(X))


def first_tensor(out: Any) -> Any:
    """The first tensor among answers."""
    if isinstance(out, torch.Tensor):
        return out
    values = out.values() if isinstance(out, dict) else out
    return next(part for part in values if isinstance(part, torch.Tensor))


def plain(gradient: Any) -> Any:
    """A gradient, apart from its graph; one that is kept sparse in full."""
    gradient = gradient.detach()
    return gradient.to_dense() if gradient.is_sparse else gradient


def numbers(tensor: Any) -> np.ndarray:
    """A tensor as float64, rows flat."""
    array = torch.as_tensor(tensor).detach().cpu()
    return array.to(torch.float64).numpy().reshape(len(array), -1) if array.ndim else array.numpy().reshape(1, 1)


def cost(loop: Any, rows: tuple[Any, Any] | None = None) -> float:
    """The loss of a sample of the loop's data, in evaluation mode; NaN where it cannot be told so."""
    try:
        with evaluating(loop.module), torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # a module that draws in evaluation, too, is asked about the same draws each time
            X, y = rows or sample(loop)
            value = _loss_of(loop, X, y)
            return float(value.float().mean()) if value.ndim else float(value)
    except Exception:
        return float("nan")


def _loss_of(loop: Any, X: Any, y: Any) -> Any:
    """The loss of all that the module answers, or of the first tensor of it."""
    out = loop.module(X)
    if isinstance(out, torch.Tensor):
        return loop.loss_fn(out, y)
    try:
        return loop.loss_fn(out, y)
    except Exception:
        return loop.loss_fn(first_tensor(out), y)


def reshuffled(loop: Any, seed: int, size: int) -> Iterator[Any]:
    """Batches of the loop's own rows in a new order each epoch."""
    generator = torch.Generator().manual_seed(seed)
    X, y = torch.as_tensor(loop.X), torch.as_tensor(loop.y)
    pattern = first(loop.batches, 1)[0]
    while True:
        order = torch.randperm(len(X), generator=generator)
        for start in range(0, max(len(X) - size + 1, 1), size):
            rows = order[start : start + size]
            yield like(pattern, X[rows], y[rows])


def joined(batches: Iterator[Any], least: int) -> Iterator[Any]:
    """Batches put together until they have so many rows."""
    while True:
        pattern = next(batches)
        parts = [pair(pattern) or pattern]
        while sum(len(part[0]) for part in parts) < least:
            batch = next(batches)
            parts.append(pair(batch) or batch)
        yield like(pattern, *(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def first(batches: Any, count: int) -> list[Any]:
    """The first batches of an epoch."""
    return list(itertools.islice(iter(batches), count))
