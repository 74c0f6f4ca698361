"""Changes of a loop, by which remedies are tried: each is done to a fresh loop, from outside, while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode

from descender.errors import OptionError
from descender.watching.loop import joined, pair, reshuffled
from descender.watching.torch_ import torch

Applier = Callable[[Any, Any, Any], AbstractContextManager]


class Change:
    """A change by its name in :data:`CHANGES`, or among :data:`BATCHES`, and its value."""

    def __init__(self, name: str, value: Any = None):
        if name not in CHANGES and name not in BATCHES:
            raise OptionError(f"{name!r} is no change: expected one of {', '.join((*CHANGES, *BATCHES))}")
        self.name, self.value = name, value

    @contextmanager
    def applied(self, loop: Any, ear: Any) -> Iterator[None]:
        """The loop, changed."""
        with ExitStack() as stack:
            if self.name in CHANGES:
                stack.enter_context(CHANGES[self.name](loop, ear, self.value))
            yield

    def batches(self, loop: Any, batches: Iterator[Any], seed: int) -> Iterator[Any]:
        """The batches, changed."""
        return BATCHES[self.name](loop, batches, seed, self.value) if self.name in BATCHES else batches


# what is done around the optimizer


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


def _setting(key: str, new: Callable[[Any, Any], Any]) -> Applier:
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
def _momentum(loop: Any, ear: Any, value: float) -> Iterator[None]:
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


def _times(loop: Any, ear: Any, factor: float) -> AbstractContextManager:
    def scale(gradients: Any) -> None:
        for g in gradients:
            g.mul_(factor)

    return _gradients(scale)


def _clipped(loop: Any, ear: Any, most: float) -> AbstractContextManager:
    def clip(gradients: Any) -> None:
        size = math.sqrt(sum(float(g.double().square().sum()) for g in gradients))
        for g in gradients:
            if not math.isfinite(size):
                g.zero_()
            elif size > most:
                g.mul_(most / size)

    return _gradients(clip)


@contextmanager
def _unclipped(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    def before(optimizer: Any) -> None:
        for group in optimizer.param_groups:
            for p in group["params"]:
                name = ear.owned.get(id(p))
                if p.grad is not None and name in ear.incoming:
                    p.grad.copy_(ear.incoming[name])

    with _around_updates(before):
        yield


@contextmanager
def _less_weights(loop: Any, ear: Any, multiple: float) -> Iterator[None]:
    """Take a multiple of the weights off their gradient."""

    def before(optimizer: Any) -> None:
        with torch.no_grad():
            for p in _mine(loop, optimizer):
                p.grad.sub_(p, alpha=multiple)

    with _around_updates(before):
        yield


@contextmanager
def _one_optimizer(loop: Any, ear: Any, value: Any) -> Iterator[None]:
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
def _reset(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    def after(optimizer: Any) -> None:
        optimizer.zero_grad()

    with _around_updates(lambda optimizer: None, after):
        yield


@contextmanager
def _all_given(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """All parameters that want a gradient are given to the optimizer; with "thaw", all."""
    if value == "thaw":
        for p in loop.module.parameters():
            p.requires_grad_(True)

    def before(optimizer: Any) -> None:
        have = {id(p) for group in optimizer.param_groups for p in group["params"]}
        more = [p for p in loop.module.parameters() if p.requires_grad and id(p) not in have]
        if more:
            optimizer.add_param_group({"params": more})

    def after(optimizer: Any) -> None:
        loop.module.zero_grad()

    with _around_updates(before, after):
        yield


# what is done to the module


@contextmanager
def _hooked(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def _standardised(loop: Any, ear: Any, value: Any) -> AbstractContextManager:
    X = torch.as_tensor(loop.X)
    flat = X.reshape(-1, X.shape[-1]).double()
    mean, spread = flat.mean(dim=0), flat.std(dim=0)
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))

    def before(module: Any, args: Any) -> Any:
        x = args[0]
        if x.shape[-1] != len(mean):
            return None
        return (((x.double() - mean.to(x.device)) / spread.to(x.device)).to(x.dtype), *args[1:])

    return _hooked(loop.module.register_forward_pre_hook(before))


def _answers(new: Callable[[Any], Any]) -> Applier:
    return lambda loop, ear, value: _hooked(loop.module.register_forward_hook(lambda module, args, out: new(out)))


def _training_mode(loop: Any, ear: Any, value: Any) -> AbstractContextManager:
    def before(module: Any, args: Any) -> None:
        if torch.is_grad_enabled():
            module.train()

    return _hooked(loop.module.register_forward_pre_hook(before))


@contextmanager
def _activation(loop: Any, ear: Any, value: str) -> Iterator[None]:
    """Layers that are activations, replaced; with "relu" the matrices before them by He's initialisation."""
    old = (torch.nn.ReLU,) if value == "leaky_relu" else (torch.nn.Sigmoid, torch.nn.Tanh)
    for part in list(loop.module.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, old):
                setattr(part, name, torch.nn.LeakyReLU(0.1) if value == "leaky_relu" else torch.nn.ReLU())
    if value == "relu":
        _initialise(loop.module)
    yield


def _initialise(module: Any) -> None:
    for p in module.parameters():
        with torch.no_grad():
            if p.ndim > 1:
                torch.nn.init.kaiming_normal_(p)
    for part in module.modules():
        bias = getattr(part, "bias", None)
        if isinstance(part, torch.nn.Linear | torch.nn.Conv1d | torch.nn.Conv2d) and bias is not None:
            with torch.no_grad():
                bias.zero_()


@contextmanager
def _initialised(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """Every layer as PyTorch makes it, or by He."""
    for part in loop.module.modules():
        if value == "default" and hasattr(part, "reset_parameters"):
            part.reset_parameters()
    if value == "he":
        _initialise(loop.module)
    yield


@contextmanager
def _single_precision(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    loop.module.float()

    def before(module: Any, args: Any) -> Any:
        return tuple(a.float() if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in args)

    with _hooked(loop.module.register_forward_pre_hook(before)):
        yield


@contextmanager
def _loss(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    loop.loss_fn = value
    yield


class _Undetached(TorchFunctionMode):
    """detach() is passed over."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry the call out."""
        return args[0] if func is torch.Tensor.detach or func is torch.detach else func(*args, **(kwargs or {}))


@contextmanager
def _attached(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    mode: list[Any] = []

    def before(module: Any, args: Any) -> None:
        if torch.is_grad_enabled():
            mode.append(_Undetached())
            mode[-1].__enter__()

    def after(module: Any, args: Any, out: Any) -> None:
        if mode:
            mode.pop().__exit__(None, None, None)

    with _hooked(loop.module.register_forward_pre_hook(before)), _hooked(loop.module.register_forward_hook(after)):
        yield


class _Bounded(TorchFunctionMode):
    """Logarithms, roots and quotients of numbers that stay away from where they are not defined."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry the call out on bounded numbers."""
        name = getattr(func, "__name__", "")
        if args and isinstance(args[0], torch.Tensor) and args[0].is_floating_point():
            tiny = 1e-6
            if name in ("log", "log2", "log10", "sqrt", "rsqrt", "reciprocal"):
                args = (args[0].clamp_min(tiny), *args[1:])
            elif name in ("div", "true_divide", "__truediv__") and isinstance(args[1], torch.Tensor):
                b = args[1]
                args = (args[0], torch.where(b.abs() < tiny, torch.full_like(b, tiny), b), *args[2:])
            elif name in ("exp", "expm1"):
                args = (args[0].clamp_max(30.0), *args[1:])
            elif name in ("acos", "asin", "atanh"):
                args = (args[0].clamp(-1 + tiny, 1 - tiny), *args[1:])
            elif name in ("pow", "__pow__"):
                whole = isinstance(args[1], int) or (isinstance(args[1], float) and args[1].is_integer())
                args = args if whole and args[1] >= 0 else (args[0].clamp_min(tiny), *args[1:])
        return func(*args, **(kwargs or {}))


@contextmanager
def _bounded(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    with _Bounded():
        yield


CHANGES: dict[str, Applier] = {
    "rate": _setting("lr", lambda old, factor: old * factor),
    "constant rate": _setting("lr", lambda old, rate: rate),
    "decay": _setting("weight_decay", lambda old, factor: old * factor),
    "maximize": _setting("maximize", lambda old, value: value),
    "momentum": _momentum,
    "gradients": _times,
    "clip": _clipped,
    "no clipping": _unclipped,
    "less weights": _less_weights,
    "one optimizer": _one_optimizer,
    "reset": _reset,
    "all parameters": _all_given,
    "standardise": _standardised,
    "logarithm of the answers": _answers(lambda out: out.clamp_min(1e-30).log()),
    "logit of the answers": _answers(lambda out: out.clamp(1e-7, 1 - 1e-7).logit()),
    "flat answers": _answers(lambda out: out.squeeze(-1)),
    "training mode": _training_mode,
    "activation": _activation,
    "initialise": _initialised,
    "float32": _single_precision,
    "loss": _loss,
    "attached": _attached,
    "bounded": _bounded,
}


# what is done to batches


def _without_rows(loop: Any, batches: Iterator[Any], seed: int, rows: Any) -> Iterator[Any]:
    """Batches without some rows of the data, known by their values; ``None`` leaves out those that are not finite."""
    bad = [0] if rows is None else rows
    outcasts, labels = (torch.as_tensor(part)[bad].reshape(len(bad), -1) for part in (loop.X, loop.y))
    for batch in batches:
        both = pair(batch)
        if both is None:
            yield batch
            continue
        X, y = both
        flat, target = X.reshape(len(X), -1), y.reshape(len(y), -1)
        if rows is None:
            keep = torch.isfinite(flat).all(dim=1) & torch.isfinite(target.float()).all(dim=1)
        else:
            same = (flat[:, None] == outcasts[None]).all(dim=2) & (target[:, None] == labels[None]).all(dim=2)
            keep = ~same.any(dim=1)
        if bool(keep.any()):
            yield X[keep], y[keep]


def _without_column(loop: Any, batches: Iterator[Any], seed: int, column: int) -> Iterator[Any]:
    for batch in batches:
        both = pair(batch)
        if both is None:
            yield batch
            continue
        X = both[0].clone()
        X[:, column] = 0
        yield X, both[1]


BATCHES: dict[str, Callable[[Any, Iterator[Any], int, Any], Iterator[Any]]] = {
    "shuffle": lambda loop, batches, seed, size: reshuffled(loop, seed, size),
    "join": lambda loop, batches, seed, least: joined(batches, least),
    "without rows": _without_rows,
    "without column": _without_column,
}
