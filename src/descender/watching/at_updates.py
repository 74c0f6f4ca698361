"""Changes of a loop that are done around the updates of its optimizer: rates, momentum, gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from descender.watching.graph import strays
from descender.watching.loop import called, pair, plain
from descender.watching.torch_ import torch

Applier = Callable[[Any, Any, Any], AbstractContextManager]
"""Takes the loop, its ear and a value."""


@contextmanager
def _around_updates(before: Callable[[Any], None], after: Callable[[Any], None] | None = None) -> Iterator[None]:
    handles = [register_optimizer_step_pre_hook(lambda optimizer, *_: before(optimizer))]
    if after is not None:
        handles.append(register_optimizer_step_post_hook(lambda optimizer, *_: after(optimizer)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def setting(key: str, new: Callable[[Any, Any], Any]) -> Applier:
    """A setting of all groups, changed for each update and put back."""

    @contextmanager
    def applied(loop: Any, ear: Any, value: Any) -> Iterator[None]:
        kept: list[tuple[Any, Any]] = []

        def before(optimizer: Any) -> None:
            for group in optimizer.param_groups:
                if key in group:
                    kept.append((group, group[key]))
                    group[key] = new(group[key], value)

        def after(optimizer: Any) -> None:
            for group, old in kept:
                group[key] = old
            kept.clear()

        with _around_updates(before, after):
            yield

    return applied


@contextmanager
def momentum(loop: Any, ear: Any, value: float) -> Iterator[None]:
    """A momentum of at most so much."""

    def before(optimizer: Any) -> None:
        for group in optimizer.param_groups:
            if group.get("momentum"):
                group["momentum"] = min(group["momentum"], value)
            if "betas" in group:
                group["betas"] = (min(group["betas"][0], value), *group["betas"][1:])

    with _around_updates(before):
        yield


def _mine(loop: Any, optimizer: Any) -> list[Any]:
    return [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


@contextmanager
def _gradients(change: Callable[[Any], None]) -> Iterator[None]:
    def before(optimizer: Any) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        with torch.no_grad():
            change(gradients)

    with _around_updates(before):
        yield


def times(loop: Any, ear: Any, factor: float) -> AbstractContextManager:
    """Gradients, times a factor."""

    def scale(gradients: Any) -> None:
        for g in gradients:
            g.mul_(factor)

    return _gradients(scale)


def clipped(loop: Any, ear: Any, most: float) -> AbstractContextManager:
    """Gradients of at most so long a norm; one that is not finite is 0."""

    def clip(gradients: Any) -> None:
        size = math.sqrt(sum(float(plain(g).double().square().sum()) for g in gradients))
        for g in gradients:
            if not math.isfinite(size):
                g.zero_()
            elif size > most:
                g.mul_(most / size)

    return _gradients(clip)


@contextmanager
def unclipped(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """Gradients as backward() made them."""

    def before(optimizer: Any) -> None:
        for group in optimizer.param_groups:
            for p in group["params"]:
                name = ear.owned.get(id(p))
                if name in ear.incoming:
                    p.grad = ear.incoming[name].clone()

    with _around_updates(before):
        yield


@contextmanager
def stepped(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """The optimizer steps before the next forward pass, where it has not done so after the last one."""

    def before(module: Any, args: Any) -> None:
        if not (ear.incoming and torch.is_grad_enabled() and module.training):
            return
        for name, p in ear.parameters.items():
            p.grad = ear.incoming.get(name)
        loop.optimizer.step()
        loop.optimizer.zero_grad()

    handle = loop.module.register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def loss_alone(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """The gradient of ``loss_fn`` on the batch, whatever a step adds to it."""

    def before(optimizer: Any) -> None:
        rows = pair(ear.batch)
        mine = _mine(loop, optimizer)
        if rows is None or not mine:
            return
        with torch.enable_grad():
            gradients = torch.autograd.grad(
                loop.loss_fn(called(loop.module, rows[0]), rows[1]), mine, allow_unused=True
            )
        for p, g in zip(mine, gradients, strict=True):
            p.grad = torch.zeros_like(p) if g is None else g

    with _around_updates(before):
        yield


@contextmanager
def less_weights(loop: Any, ear: Any, multiple: float) -> Iterator[None]:
    """Take a multiple of the weights off their gradient."""

    def before(optimizer: Any) -> None:
        with torch.no_grad():
            for p in _mine(loop, optimizer):
                p.grad.sub_(p, alpha=multiple)

    with _around_updates(before):
        yield


@contextmanager
def one_optimizer(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """Hand the memory of an optimizer on to the next one."""
    memory: dict[int, Any] = {}

    def before(optimizer: Any) -> None:
        for group in optimizer.param_groups:
            for p in group["params"]:
                if id(p) in memory and p not in optimizer.state:
                    optimizer.state[p] = memory[id(p)]

    def after(optimizer: Any) -> None:
        for p, state in optimizer.state.items():
            memory[id(p)] = state

    with _around_updates(before, after):
        yield


@contextmanager
def reset(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """Gradients reset after each update."""

    def after(optimizer: Any) -> None:
        optimizer.zero_grad()

    with _around_updates(lambda optimizer: None, after):
        yield


@contextmanager
def all_given(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """All parameters that want a gradient are given to the optimizer, strays included; with "thaw", all."""
    astray = strays(loop)
    if value == "thaw":
        for p in loop.module.parameters():
            p.requires_grad_(True)

    def before(optimizer: Any) -> None:
        have = {id(p) for group in optimizer.param_groups for p in group["params"]}
        more = [p for p in (*loop.module.parameters(), *astray) if p.requires_grad and id(p) not in have]
        if more:
            optimizer.add_param_group({"params": more})

    def after(optimizer: Any) -> None:
        loop.module.zero_grad()
        for p in astray:
            p.grad = None

    with _around_updates(before, after):
        yield
