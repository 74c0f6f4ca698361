"""What a module does with a sample of rows: activations, gradients layer by layer, and whether these are right."""

from __future__ import annotations

import copy
import math
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from descender.doctor.loops.case import Layer
from descender.watching.graph import custom_nodes
from descender.watching.loop import called, plain, sample
from descender.watching.torch_ import torch

FAR = 5.0
"""Beyond this input a sigmoid or tanh is flat."""
ZEROING, FLAT = ("aten::relu", "aten::relu_", "aten::threshold"), ("aten::sigmoid", "aten::tanh")
GATED = (torch.nn.LSTM, torch.nn.GRU, torch.nn.LSTMCell, torch.nn.GRUCell)
"""Layers whose gates are meant to be open or closed."""


class Names:
    """Which layer is at work: a stack kept by hooks."""

    def __init__(self, module: Any):
        self.module, self.stack, self.last = module, [("", module)], ""
        self.order: dict[str, None] = {}
        """The names of the layers that were called, the first first."""
        self.handles: list[Any] = []

    def __enter__(self) -> Names:
        for name, part in self.module.named_modules():
            self.handles.append(part.register_forward_pre_hook(self._push(name)))
            self.handles.append(part.register_forward_hook(self._pop))
        return self

    def __exit__(self, *_: Any) -> None:
        for handle in self.handles:
            handle.remove()

    def _push(self, name: str) -> Any:
        def hook(part: Any, args: Any) -> None:
            self.stack.append((name, part))
            self.order.setdefault(name)

        return hook

    def _pop(self, part: Any, args: Any, out: Any) -> None:
        if len(self.stack) > 1:
            self.last = self.stack.pop()[0]

    @property
    def layer(self) -> str:
        """The innermost layer at work, with its kind."""
        name, part = self.stack[-1]
        if len(self.stack) < 2:
            return ""
        return f"{name} ({type(part).__name__})" if name else f"forward() of {type(part).__name__}"

    @property
    def place(self) -> str:
        """The layer at work; of a call in forward() also the layer before it, by which several calls are told apart."""
        called = len(self.stack) > 1 and bool(self.last) and next(self.stack[-1][1].children(), None) is not None
        return f"{self.layer}, after {self.last}" if called else self.layer


class Activations(TorchDispatchMode):
    """Reads the activations as they are computed, whether they are layers or calls."""

    def __init__(self, names: Names):
        super().__init__()
        self.names = names
        self.dead: dict[str, list[tuple[int, float]]] = {}
        self.saturated: dict[str, list[tuple[int, float]]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry the operation out, and look."""
        name = func.name().split(".")[0]
        entry = args[0].detach() if name in FLAT and isinstance(args[0], torch.Tensor) else None
        out = func(*args, **(kwargs or {}))
        if name in ZEROING and out.ndim > 1:
            axis = 1 if out.ndim in (2, 4) else out.ndim - 1
            zero = (out <= 0).movedim(axis, 0).flatten(1).all(dim=1)
            self.dead.setdefault(self.names.place, []).append((len(zero), float(zero.float().mean())))
        elif entry is not None and entry.ndim > 1 and not isinstance(self.names.stack[-1][1], GATED):
            far = float((entry.abs() > FAR).float().mean())
            self.saturated.setdefault(self.names.place, []).append((entry.shape[-1], far))
        return out

    def told(self) -> list[Layer]:
        """One entry for each layer with an activation."""
        found = [
            Layer(name, "relu", seen[0][0], min(share for _, share in seen), 0.0) for name, seen in self.dead.items()
        ]
        return found + [
            Layer(name, "flat", seen[0][0], 0.0, min(share for _, share in seen))
            for name, seen in self.saturated.items()
        ]


def examine_layers(module: Any, X: Any) -> list[Layer]:
    """The activations of a module on a sample."""
    try:
        twin = copy.deepcopy(module)
        with torch.random.fork_rng(devices=[]), torch.no_grad(), Names(twin) as names, Activations(names) as seen:
            twin(X)
        last = names_of_last(twin)
        return [layer for layer in seen.told() if not last or not layer.name.startswith(f"{last} (")]
    except Exception:
        return []


def names_of_last(module: Any) -> str:
    """The name of a module's last layer, if that is an activation: its outputs are answers, not units."""
    if not isinstance(module, torch.nn.Sequential) or not len(module):
        return ""
    return str(len(module) - 1) if not list(module[-1].parameters()) else ""


def back_and_forth(loop: Any) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Of each layer with a matrix, in the order of use: the gradient's root mean square, and its outputs' spread."""
    twin = copy.deepcopy(loop.module)
    forth: list[tuple[str, float]] = []
    order: list[str] = []

    def heard(name: str) -> Any:
        def hook(part: Any, args: Any, out: Any) -> None:
            if any(p.ndim > 1 for p in part.parameters(recurse=False)):
                order.append(name)
                if isinstance(out, torch.Tensor) and len(out) > 1:
                    forth.append((name, float(out.detach().float().std())))

        return hook

    handles = [part.register_forward_hook(heard(name)) for name, part in twin.named_modules()]
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            X, y = sample(loop, 256)
            value = loop.loss_fn(called(twin, X), y)
            (value.mean() if value.ndim else value).backward()
    except Exception:
        return [], forth
    finally:
        for handle in handles:
            handle.remove()
    back = []
    for name in dict.fromkeys(order):
        own = [p for p in twin.get_submodule(name).parameters(recurse=False) if p.ndim > 1 and p.grad is not None]
        if own:
            p = max(own, key=lambda p: p.numel())
            back.append((name, float(plain(p.grad).double().square().mean().sqrt())))
    return back, forth


def alike(module: Any, nearly: float = 0.0) -> dict[str, float]:
    """Matrices and kernels of layers whose units all have the same weights, or nearly: name and first weight."""
    found = {}
    for name, p in module.named_parameters():
        if p.ndim > 1 and len(p) > 1 and bool(((p - p[:1]).abs() <= nearly * p.abs().max()).all()):
            found[name] = float(p.detach().reshape(-1)[0])
    return found


def check_backward(loop: Any) -> dict[str, Any] | None:
    """Compare the gradient with differences in double precision, each parameter along its own gradient.

    None where there is no derivative that was written by hand, or where it cannot be told.
    """
    try:
        X, y = sample(loop, 64)
        with torch.enable_grad():
            functions = custom_nodes(loop.loss_fn(called(loop.module, X), y))
        if not functions:
            return None
        twin = copy.deepcopy(loop.module).double()
        X = X.double() if X.is_floating_point() else X
        y = y.double() if y.is_floating_point() else y

        def value() -> Any:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return loop.loss_fn(called(twin, X), y)

        parameters = [(name, p) for name, p in twin.named_parameters() if p.requires_grad]
        with torch.enable_grad():
            here = value()
            gradients = torch.autograd.grad(here, [p for _, p in parameters], allow_unused=True)
        if float(value().detach()) != float(here.detach()):
            return None
        worst: dict[str, Any] = {"error": 0.0, "functions": functions}
        for (name, p), g in zip(parameters, gradients, strict=True):
            size = 0.0 if g is None else float(g.norm())
            if g is None or not size > 1e-12 or not math.isfinite(size):
                continue
            error, slope = min((_slope_error(value, p, g / size, size, h) for h in (1e-4, 1e-6)), key=lambda e: e[0])
            if error > worst["error"] and abs(slope) > 1e-3 * size:  # a function in steps has no slope to compare
                worst |= {"error": error, "name": name, "slope": slope, "given": size}
        return worst
    except Exception:
        return None


def _slope_error(value: Any, p: Any, direction: Any, size: float, h: float) -> tuple[float, float]:
    """The relative error of a gradient along a direction, and the slope by differences."""
    h = h * max(float(p.detach().norm()), 1.0)
    with torch.no_grad():
        p += h * direction
        up = float(value())
        p -= 2 * h * direction
        down = float(value())
        p += h * direction
    slope = (up - down) / (2 * h)
    return abs(slope - size) / max(abs(slope), size), slope


def modes_matter(module: Any, X: Any) -> bool:
    """Whether a module answers otherwise in training than in evaluation."""
    try:
        twin = copy.deepcopy(module)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            evaluated = called(twin.eval(), X)
            torch.manual_seed(0)
            trained = called(twin.train(), X)
        return bool((evaluated - trained).abs().max() > 1e-5 * (1.0 + evaluated.abs().max()))
    except Exception:
        return False


def overfits(loop: Any, rows: int = 16, steps: int = 250) -> float:
    """The share of the loss of a few rows that is left after Adam's own training on them; NaN where it fails."""
    try:
        with torch.enable_grad():
            X, y = (part[:: max(len(part) // rows, 1)][:rows] for part in sample(loop))
            parameters = [p for p in loop.module.parameters() if p.requires_grad]
            method = torch.optim.Adam(parameters, lr=1e-2)
            values = []
            for _ in range(steps):
                method.zero_grad()
                value = loop.loss_fn(called(loop.module, X), y)
                value.backward()
                method.step()
                values.append(float(value.detach()))
        return values[-1]
    except Exception:
        return math.nan


def mixes_rows(module: Any, X: Any, rows: int = 4) -> float:
    """By how much the answer for a row changes when it is alone, relative to how answers differ; in evaluation mode.

    0 where it cannot be told: answers that are random, or of another shape.
    """
    try:
        twin = copy.deepcopy(module).eval()
        norms = [part for part in twin.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
        if not all(part.track_running_stats for part in norms):  # meant to normalise by the batch
            return 0.0
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            together, again = (called(twin, X[: 4 * rows]) for _ in range(2))
            alone = torch.cat([called(twin, X[i : i + 1]) for i in range(rows)])
        if together.shape != (min(4 * rows, len(X)), *alone.shape[1:]) or not torch.equal(together, again):
            return 0.0
        together = together.double()
        spread = float((together - together.mean(dim=0)).abs().max()) + 1e-3 * float(together.abs().max())
        return float((together[:rows] - alone.double()).abs().max()) / max(spread, 1e-30)
    except Exception:
        return 0.0


def is_affine(module: Any, X: Any) -> bool:
    """Whether answers halfway between two rows are halfway between theirs, though several layers are at work."""
    try:
        if not X.is_floating_point() or len(X) < 4:
            return False
        matrices = [p for p in module.parameters() if p.ndim > 1]
        twin = copy.deepcopy(module).double().eval()
        half = len(X) // 2
        a, b = X[:half].double(), X[half : 2 * half].double()
        with torch.no_grad():
            ends, middle = called(twin, a) + called(twin, b), called(twin, (a + b) / 2)
        scale = float((ends / 2 - middle.mean(dim=0)).abs().max())
        return len(matrices) > 1 and scale > 0 and float((ends / 2 - middle).abs().max()) < 1e-6 * scale
    except Exception:
        return False
