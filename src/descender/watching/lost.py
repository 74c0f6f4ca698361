"""What was not finite first: the forward and backward passes since the last update, done again on a copy."""

from __future__ import annotations

import cmath
import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from descender.doctor.finding import Finding
from descender.doctor.loops.case import Origin
from descender.doctor.loops.numbers import MODERATE, bounded
from descender.watching.graph import tensors_of
from descender.watching.origin import traced
from descender.watching.torch_ import torch

LOWER = "for group in optimizer.param_groups:\n    group['lr'] /= 3"


@dataclass(slots=True)
class Pass:
    """A forward pass that is held until the optimizer has stepped."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    rng: Any
    outs: list[Any]
    """The outputs that have a gradient."""
    kept: list[Any] | None = None

    @property
    def slopes(self) -> list[Any]:
        """The derivatives of the loss by the outputs, once they are known."""
        return [out.grad for out in self.outs] if self.kept is None else self.kept

    def settle(self) -> None:
        """Let go of the graph."""
        if self.kept is None:
            self.kept, self.outs = self.slopes, [out.detach() for out in self.outs]


def first_not_finite(module: Any, passes: Iterable[Pass], step: int) -> Finding | None:
    """The finding about the first number of a step that is not finite; None where nothing is lost."""
    at = {"step": step}
    for name, p in module.named_parameters():
        if not bool(torch.isfinite(p).all()):
            before = f"{name} was no longer finite when step {step} began: an update made it so"
            return Finding("exploding-gradient", "critical", before, LOWER, at | {"layer": name})
    for held in passes:
        tensors = [a for a in (*held.args, *held.kwargs.values()) if isinstance(a, torch.Tensor)]
        for x in tensors:
            if x.is_floating_point() and not bool(torch.isfinite(x).all()):
                return _input(x, step)
        twin = bare(module)
        rows = len(tensors[0]) if tensors and tensors[0].ndim else 0
        if held.rng is not None:
            torch.set_rng_state(held.rng)
        with traced(twin, rows, step) as tracer:
            outs = tensors_of(twin(*held.args, **held.kwargs))
            pairs = [(out, s) for out, s in zip(outs, held.slopes, strict=False) if s is not None]
            if tracer.found is None and pairs:
                for made, slope in zip(held.outs, held.slopes, strict=True):
                    if slope is not None and not bool(torch.isfinite(slope).all()):
                        return _beyond(made.detach(), slope, step)
                torch.autograd.backward([out for out, _ in pairs], [slope for _, slope in pairs])
        if tracer.found is not None:
            return _made(tracer.found)
    if all(map(sound, module.parameters())):
        return None  # infinite outputs that were meant, such as scores that are masked
    return Finding(
        "nan-operation", "critical", f"a gradient is not finite at step {step}, made outside of the module",
        "torch.autograd.set_detect_anomaly(True)", at,
    )  # fmt: skip


def _input(x: Any, step: int) -> Finding:
    index = [int(i) for i in (~torch.isfinite(x)).nonzero()[0]]
    where = {"step": step, "row": index[0], "column": index[-1]}
    evidence = f"row {index[0]} of the batch of step {step} is {float(x[tuple(index)])} in column {index[-1]}"
    return Finding("nan-input", "critical", evidence, "X = X[torch.isfinite(X).flatten(1).all(1)]", where)


def _beyond(out: Any, slope: Any, step: int) -> Finding:
    """The module is well: what comes after it is not."""
    index = [int(i) for i in (~torch.isfinite(slope)).nonzero()[0]]
    value = float(out[tuple(index)])
    where = {"step": step, "row": index[0] if index else 0, "layer": "the loss"}
    of = f"the derivative of the loss by output {tuple(index)}"
    evidence = f"at step {step} {of} is not finite; the output is {value:.6g}"
    return Finding("nan-operation", "critical", evidence, "# an equivalent loss that is stable, on scores", where)


def _made(origin: Origin) -> Finding:
    where = {**origin.where, "step": origin.step, "layer": origin.layer}
    row = f", row {where['row']} of the batch" if "row" in where else ""
    feature = f", feature {where['feature']}" if "feature" in where else ""
    place = f"at step {origin.step}, {origin.operation} in {origin.layer}{row}{feature}"
    if origin.half:
        evidence = f"{place} overflows: its inputs reach {origin.largest:.4g}"
        return Finding("half-precision-overflow", "critical", evidence, "torch.amp.GradScaler(), or bfloat16", where)
    if origin.domain and origin.largest <= MODERATE:
        evidence = f"{place} is not finite for {origin.value:.6g}; nothing was before it"
        return Finding("nan-operation", "critical", evidence, bounded(origin.operation), where)
    evidence = f"{place} overflows: its inputs reach {origin.largest:.3g}"
    return Finding("exploding-gradient", "critical", evidence, LOWER, where)


def sound(p: Any) -> bool:
    """Whether a gradient is finite, by one number where that tells it."""
    if p.grad is None:
        return True
    g = dense(p.grad)
    told = g.dot(g) if g.ndim == 1 else g.sum()
    return cmath.isfinite(told.item()) or bool(torch.isfinite(g).all())


def dense(gradient: Any) -> Any:
    """The entries of a gradient that may be sparse."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def bare(module: Any) -> Any:
    """A copy without hooks."""
    twin = copy.deepcopy(module)
    for part in twin.modules():
        for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
            getattr(part, kind).clear()
        for kind in ("_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs"):
            getattr(part, kind).clear()
    return twin
