"""The loss of a loop as a function of outputs and targets, asked without the model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

from descender.doctor.loops.case import LossFacts
from descender.watching.torch_ import torch

ROWS = 256
"""Rows on which the loss is asked."""


def examine_loss(asked: Callable[[Any, Any], Any], out: Any, y: Any) -> LossFacts:
    """Facts about a loss, from outputs of the right shape and their targets."""
    found = LossFacts()
    rows = torch.linspace(0, len(y) - 1, min(len(y), ROWS)).long()
    out, y = out.detach()[rows].float(), y[rows]
    y = y.float() if y.is_floating_point() else y
    finite = _finite_rows(out, y)
    out, y = out[finite], y[finite]
    if len(y) < 2:
        return found

    mapped = _mapping(asked, out, y)

    def loss_fn(z: Any, y: Any) -> Any:
        return asked(mapped(z), y)

    def value(z: Any) -> float:
        return _value(loss_fn, z, y)

    noise = torch.randn(out.shape, generator=torch.Generator().manual_seed(0))
    here = value(noise)
    if not math.isfinite(here):
        return found
    scale = abs(here) + 1e-12
    twice = _value(loss_fn, torch.cat([noise, noise]), torch.cat([y, y]))
    found.doubled = twice / here if here else math.nan
    found.rows = len(y) if 1.9 < found.doubled < 2.1 else 0
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(1))
    like = noise * y.std() + y.mean() if y.is_floating_point() else noise  # beside large targets noise would be nothing
    alike = value(like)
    found.permuted = abs(_value(loss_fn, like, y[order]) - alike) / (abs(alike) + 1e-12)
    if out.ndim == 2 and out.shape[1] > 1:
        found.shifted = abs(value(noise + 3.0 * noise[:, :1].sign()) - here) / scale
        found.columns = abs(value(noise + 3.0 * torch.eye(out.shape[1])[0]) - here) / scale
    found.quadratic, found.linear = _along(value, noise)
    found.trivial = _best(loss_fn, y, torch.zeros(1, *out.shape[1:]), len(y))
    found.floor = _best(loss_fn, y, torch.zeros(out.shape), len(y))
    others = [value(c * noise) for c in (0.0, 0.3, 3.0)]
    if all(abs(other - here) <= 1e-9 * scale for other in others):
        found.always = here
    found.outwards = _outwards(lambda z: _value(asked, z, y), out, y)
    return found


def _mapping(loss_fn: Callable[[Any, Any], Any], out: Any, y: Any) -> Callable[[Any], Any]:
    """How any numbers become outputs that this loss takes: what the module's own outputs look like."""
    if out.ndim == 2 and out.shape[1] > 1:
        if bool(((out.exp().sum(dim=1) - 1).abs() < 1e-3).all()):
            return lambda z: z.log_softmax(dim=1)
        if bool((out >= 0).all()) and bool(((out.sum(dim=1) - 1).abs() < 1e-3).all()):
            noise = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
            here, there = _value(loss_fn, noise, y), _value(loss_fn, noise + 3.0, y)
            if not abs(here - there) <= 1e-4 * abs(here):
                return lambda z: z.softmax(dim=1)
    wild = torch.tensor([-2.0, 2.0]).repeat(out.numel() // 2 + 1)[: out.numel()].reshape(out.shape)
    if math.isfinite(_value(loss_fn, wild, y)):
        return lambda z: z
    return torch.sigmoid if bool(((out >= 0) & (out <= 1)).all()) else torch.nn.functional.softplus


def _finite_rows(out: Any, y: Any) -> Any:
    """The rows whose outputs and targets are numbers."""
    finite = torch.isfinite(out.reshape(len(out), -1)).all(dim=1)
    return finite & torch.isfinite(y.reshape(len(y), -1).float()).all(dim=1)


def _value(loss_fn: Callable[[Any, Any], Any], out: Any, y: Any) -> float:
    try:
        with torch.no_grad():
            told = loss_fn(out, y)
            return float(told.mean()) if getattr(told, "ndim", 0) else float(told)
    except Exception:
        return math.nan


def _best(loss_fn: Callable[[Any, Any], Any], y: Any, start: Any, n: int) -> float:
    """The lowest loss of any outputs, or of the same for all rows: by L-BFGS."""
    z = start.clone().requires_grad_()
    method = torch.optim.LBFGS([z], max_iter=60, line_search_fn="strong_wolfe")
    lowest = math.inf

    def closure() -> Any:
        nonlocal lowest
        method.zero_grad()
        told = loss_fn(z.expand(n, *z.shape[1:]), y)
        told = told.mean() if told.ndim else told
        told.backward()
        value = float(told.detach())
        lowest = min(lowest, value) if math.isfinite(value) else lowest
        return told

    try:
        with torch.enable_grad():
            method.step(closure)
    except Exception:
        return math.nan if math.isinf(lowest) else lowest
    return lowest


def _along(value: Callable[[Any], float], z: Any) -> tuple[bool, bool]:
    """Whether the loss is a square along a line, or is straight.

    Third differences of equal steps vanish, second ones do not; or these do, too.
    """
    values = [value(c * z) for c in (-10.0, -5.0, 0.0, 5.0, 10.0)]
    if not all(map(math.isfinite, values)):
        return False, False
    second = [values[i] - 2 * values[i + 1] + values[i + 2] for i in range(3)]
    way = max(values) - min(values)
    straight = way > 0 and all(abs(s) <= 1e-4 * way for s in second)
    return not straight and second[0] != 0 and all(
        abs(s - second[0]) <= 1e-3 * abs(second[0]) for s in second
    ), straight


def _outwards(value: Callable[[Any], float], out: Any, y: Any) -> bool:
    """Whether the loss falls without end as outputs leave their targets, in both directions."""
    if y.is_floating_point():
        target = y.reshape(out.shape) if y.numel() == out.numel() else None
        if target is None:
            return False
        spread = float(target.std()) + 1e-6
        aside = torch.where(torch.arange(target.numel()).reshape(target.shape) % 2 == 0, spread, -spread)
        far = [[value(target + sign * c * aside) for c in (0.0, 1.0, 10.0, 100.0)] for sign in (1.0, -1.0)]
        ways = far
    elif out.ndim == 2 and out.shape[1] > int(y.max()) and int(y.min()) >= 0 and y.ndim == 1:
        right = torch.nn.functional.one_hot(y.long(), out.shape[1]).float()
        ways = [[value(-c * right) for c in (0.0, 1.0, 3.0, 10.0)]]
    else:
        return False
    return all(all(b < a for a, b in itertools.pairwise(way)) for way in ways)
