"""Changes of a loop that are done to its module: its inputs, answers, activations, weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

from torch.overrides import TorchFunctionMode

from descender.watching.at_updates import Applier
from descender.watching.loop import evaluating, sample
from descender.watching.torch_ import torch


@contextmanager
def _hooked(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _in_forward(module: Any, mode: Callable[[], AbstractContextManager]) -> Iterator[None]:
    """A context for each forward pass, which is left if the pass raises, too."""
    entered: list[AbstractContextManager] = []

    def before(module: Any, args: Any) -> None:
        entered.append(mode())
        entered[-1].__enter__()

    def after(module: Any, args: Any, out: Any) -> None:
        entered.pop().__exit__(None, None, None)

    first = _hooked(module.register_forward_pre_hook(before))
    with first, _hooked(module.register_forward_hook(after, always_call=True)):
        yield


def standardised(loop: Any, ear: Any, value: Any) -> AbstractContextManager:
    """Columns with mean 0 and deviation 1, by the loop's own data."""
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


def without_column(loop: Any, ear: Any, column: int) -> AbstractContextManager:
    """A column of the inputs at 0."""
    columns = loop.X.shape[-1]

    def before(module: Any, args: Any) -> Any:
        if args[0].shape[-1] != columns:
            return None
        x = args[0].clone()
        x[..., column] = 0
        return (x, *args[1:])

    return _hooked(loop.module.register_forward_pre_hook(before))


def answers(new: Callable[[Any], Any]) -> Applier:
    """What the module answers, changed by a function."""
    return lambda loop, ear, value: _hooked(loop.module.register_forward_hook(lambda module, args, out: new(out)))


def training_mode(loop: Any, ear: Any, value: Any) -> AbstractContextManager:
    """Training mode in each forward pass with gradients."""

    def before(module: Any, args: Any) -> None:
        if torch.is_grad_enabled():
            module.train()

    return _hooked(loop.module.register_forward_pre_hook(before))


@contextmanager
def activation(loop: Any, ear: Any, value: str) -> Iterator[None]:
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


class _Linear(TorchFunctionMode):
    """Counts the calls of activations, and passes over one of them, by its number."""

    def __init__(self, spared: int = 0):
        super().__init__()
        self.spared, self.calls = spared, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry the call out."""
        activation = getattr(func, "__name__", "").rstrip("_") in CALLS
        self.calls += activation
        return args[0] if activation and self.calls == self.spared else func(*args, **(kwargs or {}))


CALLS = ("relu", "relu6", "hardtanh", "sigmoid", "tanh", "softplus")


@contextmanager
def linear_end(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """The module without the activation that makes its answers, a layer or a call."""
    with evaluating(loop.module), torch.no_grad(), torch.random.fork_rng(devices=[]), _Linear() as counter:
        loop.module(sample(loop, 8)[0])
    with _in_forward(loop.module, lambda: _Linear(counter.calls)):
        yield


@contextmanager
def initialised(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """Every layer as PyTorch makes it, or by He."""
    for part in loop.module.modules():
        if value == "default" and hasattr(part, "reset_parameters"):
            part.reset_parameters()
    if value == "he":
        _initialise(loop.module)
    yield


@contextmanager
def single_precision(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """Weights and inputs in float32."""
    loop.module.float()

    def before(module: Any, args: Any) -> Any:
        return tuple(a.float() if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in args)

    with _hooked(loop.module.register_forward_pre_hook(before)):
        yield


@contextmanager
def loss(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """Another ``loss_fn``."""
    loop.loss_fn = value
    yield


class _Undetached(TorchFunctionMode):
    """detach() and .data are passed over."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry the call out."""
        cut = func is torch.Tensor.detach or func is torch.detach or func == torch.Tensor.data.__get__
        return args[0] if cut else func(*args, **(kwargs or {}))


@contextmanager
def attached(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """detach() in forward() is passed over."""
    with _in_forward(loop.module, lambda: _Undetached() if torch.is_grad_enabled() else nullcontext()):
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
def bounded(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """Logarithms, roots and quotients stay away from where they are not defined."""
    with _Bounded():
        yield


@contextmanager
def between(loop: Any, ear: Any, value: Any) -> Iterator[None]:
    """A ReLU after each layer but the last."""
    layers = [part for part in loop.module.modules() if isinstance(part, LAYERS)]
    with ExitStack() as stack:
        for part in layers[:-1]:
            stack.enter_context(_hooked(part.register_forward_hook(lambda part, args, out: torch.relu(out))))
        yield


@contextmanager
def dropped(loop: Any, ear: Any, factor: float) -> Iterator[None]:
    """Layers of dropout drop a multiple of what they did."""
    for part in loop.module.modules():
        if isinstance(part, torch.nn.modules.dropout._DropoutNd):
            part.p *= factor
    yield


def validation_mode(loop: Any, ear: Any, value: Any) -> AbstractContextManager:
    """Evaluation mode in each forward pass of a validation."""

    def before(module: Any, args: Any) -> None:
        if ear.validating:
            module.eval()

    return _hooked(loop.module.register_forward_pre_hook(before))


LAYERS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
