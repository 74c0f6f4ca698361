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
MORE = 8192
"""And where a class is rare among these."""
FEW = 10
"""Classes of which none may be rarer than so many rows."""
LOWER = 0.1
"""The share of a loss that must be gained elsewhere where it has no slope."""


def examine_loss(asked: Callable[[Any, Any], Any], out: Any, y: Any) -> LossFacts:
    """Facts about a loss, from outputs of the right shape and their targets."""
    found = LossFacts()
    out = out.detach().float()
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
    if _differ(y):
        found.permuted = abs(_value(loss_fn, like, y[order]) - alike) / (abs(alike) + 1e-12)
    if out.ndim == 2 and out.shape[1] > 1:
        found.shifted = abs(value(noise + 3.0 * noise[:, :1].sign()) - here) / scale
        first = torch.eye(out.shape[1])[0]
        found.columns = abs(value(noise + 3.0 * first) - here) / scale
        found.mirrored = abs(value(noise * (1.0 - 2.0 * first)) - here) / scale
    found.quadratic, found.linear = _along(value, noise)
    found.trivial = _best(loss_fn, y, torch.zeros(1, *out.shape[1:]), len(y))
    found.floor = _best(loss_fn, y, torch.zeros(out.shape), len(y))
    others = [value(c * noise) for c in (0.0, 0.3, 3.0)]
    if all(abs(other - here) <= 1e-9 * scale for other in others):
        found.always = here
    found.flat = _flat(asked, out, y)
    found.unheard = _unheard(asked, noise, y)
    found.endless = _endless(value, out, y)
    found.outwards = _outwards(lambda z: _value(asked, z, y), out, y)
    return found


def rows_to_ask(y: Any) -> int:
    """On how many rows the loss is asked: on more where one of a few classes is rare."""
    kinds, counts = torch.unique(y, return_counts=True)
    rare = 1 < len(kinds) <= FEW and int(counts.min()) * ROWS < FEW * len(y)
    return MORE if rare else ROWS


def _differ(y: Any) -> bool:
    """Whether not all targets are alike."""
    return bool((y != y[:1]).any())


def _flat(loss_fn: Callable[[Any, Any], Any], out: Any, y: Any) -> float:
    """The share of answers at which a loss has no slope, though they are not where it is lowest."""
    still = _still(loss_fn, out, y)
    if still is None or not bool(still.any()):
        return 0.0
    here, rows = _value(loss_fn, out, y), still.reshape(-1, *[1] * (out.ndim - 1))
    others = [_value(loss_fn, torch.where(rows, torch.full_like(out, c), out), y) for c in (0.1, 0.5, 0.9)]
    lowest = min((other for other in others if math.isfinite(other)), default=here)
    return float(still.float().mean()) if lowest < here - LOWER * abs(here) else 0.0


def _still(loss_fn: Callable[[Any, Any], Any], out: Any, y: Any) -> Any:
    """The rows at whose answers a loss has no slope; None where that cannot be told."""
    z = out.clone().requires_grad_()
    try:
        with torch.enable_grad():
            told = loss_fn(z, y)
            (slope,) = torch.autograd.grad(told.mean() if told.ndim else told, z)
    except Exception:
        return None
    return (slope == 0).reshape(len(z), -1).all(dim=1)


def _unheard(loss_fn: Callable[[Any, Any], Any], noise: Any, y: Any) -> float | None:
    """One of two classes whose rows have no slope at any answer, while those of the other have one."""
    kinds = torch.unique(y)
    if len(kinds) != 2 or noise.numel() != len(y):
        return None
    looks = [_still(loss_fn, c * noise, y) for c in (0.3, -0.3, 3.0, -3.0)]
    if any(look is None for look in looks):
        return None
    still = torch.stack(looks).all(dim=0)
    silent = [float(kind) for kind in kinds if bool(still[y.reshape(len(still)) == kind].all())]
    return silent[0] if len(silent) == 1 else None


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


def _right(out: Any, y: Any) -> Any:
    """Ones at the scores of the right classes; None where targets are no classes of these scores."""
    if y.is_floating_point() or out.ndim != 2 or y.ndim != 1 or not 0 <= int(y.min()) <= int(y.max()) < out.shape[1]:
        return None
    return torch.nn.functional.one_hot(y.long(), out.shape[1]).float()


def _endless(value: Callable[[Any], float], out: Any, y: Any) -> bool:
    """Whether a loss falls without end as the right scores grow, ten times as far on ten times the way."""
    right = _right(out, y)
    if right is None:
        return False
    near, far, farther = (value(c * right) for c in (10.0, 100.0, 1000.0))
    return farther < 0 and near - far > 0 and far - farther > 5.0 * (near - far)


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
    elif (right := _right(out, y)) is not None:
        ways = [[value(-c * right) for c in (0.0, 1.0, 3.0, 10.0)]]
    else:
        return False
    return all(all(b < a for a, b in itertools.pairwise(way)) for way in ways)
