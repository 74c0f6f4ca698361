"""The first number that is not finite: which operation made it, in which layer, of which row and feature."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from descender.doctor.loops.case import Origin
from descender.watching.network import Names
from descender.watching.torch_ import torch

ON_PURPOSE = (
    "empty",
    "new_empty",
    "full",
    "fill",
    "masked_fill",
    "where",
    "scalar_tensor",
    "copy",
    "clone",
    "_to_copy",
)
"""Operations that make what they are told to, infinite or not."""
PARTIAL = (
    "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "div", "reciprocal", "pow", "acos", "asin", "atanh", "acosh",
    "logit", "lgamma", "digamma", "exp", "expm1", "cosh", "sinh", "linalg", "norm", "std", "var", "_log_softmax",
)  # fmt: skip
"""Operations that are not defined everywhere, or overflow for moderate numbers."""


class Tracer(TorchDispatchMode):
    """Looks at each operation until the first whose inputs are finite and whose result is not."""

    def __init__(self, names: Names, rows: int, step: int):
        super().__init__()
        self.names, self.rows, self.step = names, rows, step
        self.found: Origin | None = None
        self.backwards: list[str] = []
        self.made_in: dict[int, str] = {}
        """The layers in which nodes of the graph were made, by the nodes' numbers."""
        self.updating = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry the operation out, and look."""
        name = func.name().removeprefix("aten::").split(".")[0]
        if torch._C._current_autograd_node() is None:  # a node is made just before its operation is carried out
            self.made_in.setdefault(torch.autograd._get_sequence_nr() - 1, self.names.layer)
        watched = self.found is None and name.rstrip("_") not in ON_PURPOSE and "empty" not in name
        before = [t.detach().clone() if name.endswith("_") else t.detach() for t in _floats(args)] if watched else []
        out = func(*args, **(kwargs or {}))
        if watched and before and all(bool(torch.isfinite(t).all()) for t in before):
            for result in _floats(out if isinstance(out, tuple | list) else (out,)):
                if not bool(torch.isfinite(result).all()):
                    self.found = self._origin(func, name, before, args, kwargs, result)
                    break
        return out

    def _origin(self, func: Any, name: str, before: list, args: Any, kwargs: Any, result: Any) -> Origin:
        bad = (~torch.isfinite(result)).nonzero()
        index = [int(i) for i in bad[0]] if len(bad) else []
        where: dict[str, Any] = {}
        if index and result.ndim >= 1 and result.shape[0] == self.rows and self.rows > 1:
            where["row"] = index[0]
            if len(index) > 1:
                where["feature"] = index[1] if len(index) == 2 else tuple(index[1:])
        same = next((t for t in reversed(before) if t.shape == result.shape and index), None)
        largest = max((float(t.abs().max()) for t in before if t.numel()), default=0.0)
        value = float(same[tuple(index)]) if same is not None else largest
        node = torch._C._current_autograd_node()
        layer = self.names.layer or "the loss or the loop"
        if node is not None:
            layer = self.made_in.get(node._sequence_nr()) or (self.backwards[-1] if self.backwards else layer)
        half = any(t.dtype in (torch.float16, torch.bfloat16) for t in (*before, result)) and _finite_in_double(
            func, args, kwargs
        )
        updating = self.updating and node is None and not torch.is_grad_enabled()  # a closure is asked within a step
        operation = f"the derivative of {_plain(node.name())}" if node is not None else name.strip("_")
        domain = any(part in _plain(node.name()) or part == name.strip("_") for part in PARTIAL) if node else any(
            name.strip("_") == part or name.startswith("linalg") for part in PARTIAL
        )  # fmt: skip
        return Origin(
            self.step, operation, "the optimizer" if updating else layer, where, value, largest,
            node is not None, half, domain and not updating, self.step == 0,
        )  # fmt: skip


def _plain(node: str) -> str:
    """SqrtBackward0 -> sqrt."""
    return node.split("Backward")[0].lower()


def _floats(values: Any) -> list[Any]:
    """The floating tensors among some arguments."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            found.append(value)
        elif isinstance(value, tuple | list):
            found += _floats(value)
    return found


def _finite_in_double(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether an operation has a finite result in double precision."""

    def widened(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return value.detach().double()
        return type(value)(widened(v) for v in value) if isinstance(value, tuple | list) else value

    try:
        out = func(*widened(tuple(args)), **{k: widened(v) for k, v in (kwargs or {}).items()})
        return all(bool(torch.isfinite(t).all()) for t in _floats(out if isinstance(out, tuple | list) else (out,)))
    except Exception:
        return False


@contextmanager
def traced(module: Any, rows: int, step: int) -> Iterator[Tracer]:
    """Within this, the first operation that makes a number that is not finite is found."""
    with Names(module) as names:
        tracer = Tracer(names, rows, step)
        handles = [
            register_optimizer_step_pre_hook(lambda *_: setattr(tracer, "updating", True)),
            register_optimizer_step_post_hook(lambda *_: setattr(tracer, "updating", False)),
        ]
        for name, part in module.named_modules():
            if name and not list(part.children()):
                handles.append(part.register_full_backward_pre_hook(_pushed(tracer, f"{name} ({type(part).__name__})")))
        try:
            with warnings.catch_warnings(), tracer:
                warnings.filterwarnings("ignore", message="Full backward hook is firing")
                yield tracer
        finally:
            for handle in handles:
                handle.remove()


def _pushed(tracer: Tracer, name: str) -> Any:
    """A hook that notes the layer whose derivative is under way."""
    return lambda part, gradient: tracer.backwards.append(name)
