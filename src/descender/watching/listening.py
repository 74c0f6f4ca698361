"""A module and its optimizer, watched while somebody's own loop trains them."""

from __future__ import annotations

import copy
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from descender.doctor.finding import Finding, root_first, without
from descender.doctor.loops.case import Layer, Origin
from descender.doctor.loops.layers import DEAD, EXPLODED, FEW, FLAT, VANISHED
from descender.doctor.loops.numbers import MODERATE, bounded
from descender.errors import CapabilityError
from descender.watching.network import Activations, Names, modes_matter
from descender.watching.origin import traced
from descender.watching.torch_ import torch

LOOKS = (0, 1, 3, 10, 30, 100, 300)
EVERY = 1000
"""Deep looks: at these updates, and every so many."""
HELD, ATTACHED = 4, 2
"""So many forward passes since the last update are held: their inputs, by reference; of so many the graph, too."""
LOG = logging.getLogger("descender")


@dataclass(slots=True)
class Pass:
    """A forward pass that is held until the optimizer has stepped."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    rng: Any
    out: Any
    kept: Any = None

    @property
    def slope(self) -> Any:
        """The derivative of the loss by the outputs, once that is known."""
        return self.out.grad if self.out is not None and self.out.retains_grad else self.kept

    def settle(self) -> None:
        """Let go of the graph."""
        self.kept, self.out = self.slope, None if self.out is None else self.out.detach()


@dataclass
class Look:
    """What a deep look saw, layer by layer."""

    update: int
    gradients: dict[str, float]
    weights: dict[str, float]
    layers: list[Layer] = field(default_factory=list)


class Nobody:
    """What is left of a watch in a module that was saved while it was watched: hooks that do nothing."""

    def _before_forward(self, *_: Any) -> None:
        return

    _after_forward = _before_update = _after_update = _before_forward


class Watch:
    """What :func:`descender.watch` returns: ``findings`` at any time, ``close()``, and a context that closes itself."""

    def __init__(self, module: Any, optimizer: Any, tell: Callable[[Finding], Any] | None, ignore: Iterable[str] | str):
        if not isinstance(module, torch.nn.Module):
            raise CapabilityError(f"watch got a {type(module).__name__}: expected a torch.nn.Module and its optimizer")
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise CapabilityError(f"watch got a {type(optimizer).__name__}: expected a torch.optim.Optimizer")
        self.module, self.optimizer, self.ignore = module, optimizer, ignore
        self.tell = tell if tell is not None else _log
        self.update, self.training, self.evaluating = 0, 0, 0
        self.looks: deque[Look] = deque(maxlen=64)
        self.fault: Finding | None = None
        self.error: BaseException | None = None
        self._passes: deque[Pass] = deque(maxlen=HELD)
        self._got: set[str] = set()
        self._unread: list[Layer] = []
        self._left_over, self._beginnings, self._begun = 0, 0, False
        self._names = dict(module.named_parameters())
        self._given = {id(p) for group in optimizer.param_groups for p in group["params"]}
        self._small = [p for p in self._names.values() if p.ndim < 2] or list(self._names.values())
        self._ends = self._small[:1] + self._small[-1:]
        """On its way back what is not finite reaches the first biases; the last ones have it where the loss made it."""
        self._matter: bool | None = None
        self._random = False
        """Whether a forward pass was seen to draw random numbers: else their state need not be kept."""
        self._handles = [
            module.register_forward_hook(self._after_forward, with_kwargs=True),
            optimizer.register_step_pre_hook(self._before_update),
            optimizer.register_step_post_hook(self._after_update),
        ]
        self._witness = next((p for p in self._small if p.requires_grad and id(p) in self._given), None)
        self._heard: list[Any] = []
        self._looking = False
        self._rng: Any = None
        self._hear()

    def close(self) -> None:
        """Take all hooks off; what was found stays."""
        if self.fault is None and self._handles and self._passes:
            last = self._passes[-1].out
            if last is not None and not bool(torch.isfinite(last).all()):
                self._trace()
        for handle in (*self._handles, *self._heard):
            handle.remove()
        self._handles, self._heard = [], []
        self._passes.clear()

    def __enter__(self) -> Watch:
        return self

    def __deepcopy__(self, memo: Any) -> Watch:
        """A copy of the module, as one makes for an average of its weights, carries the hooks: they ignore it."""
        return self

    def __reduce__(self) -> Any:
        """Saved with its module, it is nobody."""
        return (Nobody, ())

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.error = error if isinstance(error, Exception) else None
        self.close()

    def confirm(self, make: Callable[[int], Any], seed: int = 0) -> list[Any]:
        """Run the loop that `make(seed)` returns, as :func:`descender.diagnose` does, and try what is recommended."""
        from descender.watching.diagnosing import diagnose_loop

        return diagnose_loop(make, seed, self.ignore).confirm()

    # hooks

    def _before_forward(self, module: Any, args: Any) -> None:
        """Only where a look is due, or where the pass draws random numbers, which may have to be drawn again."""
        if torch.is_grad_enabled() and module is self.module:
            self._rng = torch.get_rng_state()

    def _after_forward(self, module: Any, args: Any, kwargs: Any, out: Any) -> None:
        if not torch.is_grad_enabled() or module is not self.module:
            return
        if module.training:
            self.training += 1
        else:
            self.evaluating += 1
        held = Pass(args, kwargs, self._rng, out if isinstance(out, torch.Tensor) else None)
        if held.out is not None and out.requires_grad:
            out.retain_grad()  # a hook of Python's own would cost as much as all else here
        self._passes.append(held)
        if len(self._passes) > ATTACHED:
            self._passes[-1 - ATTACHED].settle()
        if self._rng is not None:
            self._random = self._random or not torch.equal(self._rng, torch.get_rng_state())
            self._rng = None
            if self._looking:
                self._observe()

    def _hear(self) -> None:
        """Listen to forward passes and to the gradient of one parameter where a look is due.

        A hook that is not there costs nothing.
        """
        for handle in self._heard:
            handle.remove()
        self._heard, self._looking = [], self._due()
        if self._looking or self._random:
            self._heard.append(self.module.register_forward_pre_hook(self._before_forward))
        if self._looking and self._witness is not None:
            self._heard.append(self._witness.register_hook(self._slope_comes))

    def _slope_comes(self, slope: Any) -> None:
        if self._begun:
            return
        self._begun = True
        left = self._witness.grad  # type: ignore[union-attr]
        self._beginnings += 1
        self._left_over += self.update > 0 and left is not None and bool((left != 0).any())

    def _before_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self.fault is None:
            seen = [held.out.detach() for held in self._passes if held.out is not None]
            seen += [p.grad for p in self._ends if p.grad is not None]
            if not all(math.isfinite(t.sum().item()) or bool(torch.isfinite(t).all()) for t in seen):
                self._trace()
        if self._looking:
            self._look()

    def _after_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self.update += 1
        self._begun = False
        self._passes.clear()
        if self._looking or self._due():
            self._hear()

    # looking

    def _due(self) -> bool:
        return self.update in LOOKS or self.update % EVERY == 0

    def _observe(self) -> None:
        """Look at activations on a copy, so that nothing the module remembers is touched."""
        if self.update % EVERY:
            return
        held = self._passes[-1]
        with torch.random.fork_rng(devices=[]):
            try:
                twin = _bare(self.module)
                with torch.no_grad(), Names(twin) as names, Activations(names) as seen:
                    twin(*held.args, **held.kwargs)
                self._unread = seen.told()
                if self._matter is None and held.args:
                    self._matter = modes_matter(twin, held.args[0])
            except Exception:
                self._unread = []

    def _look(self) -> None:
        named = [(name, p) for name, p in self._names.items() if p.grad is not None]
        self._got |= {name for name, _ in named}
        moved = [p for p in self._small if p.grad is not None]
        self._ends = moved[:1] + moved[-1:] or self._ends
        if not named:
            return
        gradients, weights = _norms([p.grad for _, p in named]), _norms([p.detach() for _, p in named])
        sizes = [math.sqrt(p.numel()) for _, p in named]
        self.looks.append(Look(
            self.update,
            {name: float(g) / s for (name, _), g, s in zip(named, gradients, sizes, strict=True)},
            {name: float(w) / s for (name, _), w, s in zip(named, weights, sizes, strict=True)},
            self._unread,
        ))  # fmt: skip
        self._unread = []

    def _trace(self) -> None:
        """Find what was not finite first, by doing the held passes again on a copy, and tell it at once."""
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            try:
                self.fault = self._traced()
            except Exception as error:
                self.fault = Finding(
                    "nan-operation", "critical", f"a gradient is not finite at step {self.update}; doing it again "
                    f"raised {type(error).__name__}", "descender.diagnose(make)", {"step": self.update},
                )  # fmt: skip
        if without([self.fault], self.ignore):
            self.tell(self.fault)

    def _traced(self) -> Finding:
        at = {"step": self.update}
        for name, p in self._names.items():
            if not bool(torch.isfinite(p).all()):
                before = f"{name} was no longer finite when step {self.update} began: an update made it so"
                return Finding("exploding-gradient", "critical", before, _LOWER, at | {"layer": name})
        for held in self._passes:
            tensors = [a for a in (*held.args, *held.kwargs.values()) if isinstance(a, torch.Tensor)]
            for x in tensors:
                if x.is_floating_point() and not bool(torch.isfinite(x).all()):
                    return self._input(x)
            twin = _bare(self.module)
            rows = len(tensors[0]) if tensors and tensors[0].ndim else 0
            if held.rng is not None:
                torch.set_rng_state(held.rng)
            with traced(twin, rows, self.update) as tracer:
                out = twin(*held.args, **held.kwargs)
                if tracer.found is None and held.slope is not None and isinstance(out, torch.Tensor):
                    if not bool(torch.isfinite(held.slope).all()):
                        return self._beyond(held)
                    out.backward(held.slope)
            if tracer.found is not None:
                return self._made(tracer.found)
        return Finding(
            "nan-operation", "critical", f"a gradient is not finite at step {self.update}, made outside of the module",
            "torch.autograd.set_detect_anomaly(True)", at,
        )  # fmt: skip

    def _input(self, x: Any) -> Finding:
        index = [int(i) for i in (~torch.isfinite(x)).nonzero()[0]]
        where = {"step": self.update, "row": index[0], "column": index[-1]}
        evidence = (
            f"row {index[0]} of the batch of step {self.update} is {float(x[tuple(index)])} in column {index[-1]}"
        )
        return Finding("nan-input", "critical", evidence, "X = X[torch.isfinite(X).flatten(1).all(1)]", where)

    def _beyond(self, held: Pass) -> Finding:
        """The module is well: what comes after it is not."""
        slope, out = held.slope, held.out
        index = [int(i) for i in (~torch.isfinite(slope)).nonzero()[0]]
        value = float(out.detach()[tuple(index)]) if out is not None and out.shape == slope.shape else math.nan
        where = {"step": self.update, "row": index[0], "layer": "the loss"}
        evidence = f"at step {self.update} the derivative of the loss by output {tuple(index)} is not finite; the output is {value:.6g}"  # noqa: E501
        return Finding("nan-operation", "critical", evidence, "# an equivalent loss that is stable, on scores", where)

    def _made(self, origin: Origin) -> Finding:
        where = {**origin.where, "step": origin.step, "layer": origin.layer}
        row = f", row {where['row']} of the batch" if "row" in where else ""
        feature = f", feature {where['feature']}" if "feature" in where else ""
        place = f"at step {origin.step}, {origin.operation} in {origin.layer}{row}{feature}"
        if origin.half:
            evidence = f"{place} overflows: its inputs reach {origin.largest:.4g}"
            return Finding(
                "half-precision-overflow", "critical", evidence, "torch.amp.GradScaler(), or bfloat16", where
            )
        if origin.domain and origin.largest <= MODERATE:
            evidence = f"{place} is not finite for {origin.value:.6g}; nothing was before it"
            return Finding("nan-operation", "critical", evidence, bounded(origin.operation), where)
        evidence = f"{place} overflows: its inputs reach {origin.largest:.3g}"
        return Finding("exploding-gradient", "critical", evidence, _LOWER, where)

    # telling

    @property
    def findings(self) -> list[Finding]:
        """What was found so far, the root before its symptoms."""
        found = [self.fault, self._raised(), *(check() for check in (
            self._not_reset, self._evaluation, self._outside, self._without_gradient, self._dead, self._through_layers,
        ))]  # fmt: skip
        return without(root_first(finding for finding in found if finding is not None), self.ignore)

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or f"nothing found in {self.update:,} steps"

    def _raised(self) -> Finding | None:
        if self.error is None:
            return None
        evidence = f"after {self.update:,} steps: {type(self.error).__name__}: {self.error}"
        return Finding("loop-raises", "critical", evidence, "# see the exception", {"step": self.update})

    def _not_reset(self) -> Finding | None:
        if self._beginnings < 3 or self._left_over < 0.5 * self._beginnings:
            return None
        evidence = f"at {self._left_over} of {self._beginnings} looks the gradient of the step before was still there"
        return Finding("gradients-not-reset", "critical", evidence, "optimizer.zero_grad()  # before loss.backward()")

    def _evaluation(self) -> Finding | None:
        passes = self.training + self.evaluating
        if self.update < 3 or self.evaluating < 0.5 * passes or not self._matter:
            return None
        evidence = f"{self.evaluating:,} of {passes:,} forward passes with gradients were in evaluation mode"
        return Finding(
            "eval-mode", "warning", evidence, "module.train()  # before each step, and after each validation"
        )

    def _outside(self) -> Finding | None:
        out = [name for name, p in self._names.items() if name in self._got and id(p) not in self._given]
        current = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        out = [name for name in out if id(self._names[name]) not in current]
        if not out or self.update < 3:
            return None
        evidence = (
            f"{', '.join(out[:4])} {'get' if len(out) > 1 else 'gets'} a gradient and the optimizer does not have it"
        )
        remedy = "optimizer = type(optimizer)(module.parameters(), lr=lr)"
        return Finding("not-in-optimizer", "warning", evidence, remedy, {"layer": out[0].rpartition(".")[0]})

    def _without_gradient(self) -> Finding | None:
        cut = [n for n, p in self._names.items() if p.requires_grad and id(p) in self._given and n not in self._got]
        if not cut or not self._got or self.update < 3:
            return None
        evidence = f"{', '.join(cut[:4])}: no gradient in {len(self.looks)} looks"
        remedy = "# remove .detach(), .data and torch.no_grad() from forward(), or leave unused layers out"
        return Finding("detached-part", "warning", evidence, remedy, {"layer": cut[0].rpartition(".")[0]})

    def _dead(self) -> Finding | None:
        seen = [look for look in self.looks if look.layers]
        if not seen:
            return None
        for layer in seen[-1].layers:
            if layer.units >= FEW and layer.dead >= max(DEAD, 0.9):
                evidence = f"{layer.dead:.0%} of the {layer.units} units of {layer.name} are 0 for all rows of the batch at step {seen[-1].update}"  # noqa: E501
                return Finding(
                    "dead-units", "warning", evidence, "nn.LeakyReLU(0.1) instead of nn.ReLU()", {"layer": layer.name}
                )
            if layer.units >= FEW and layer.saturated >= max(FLAT, 0.8):
                evidence = f"{layer.saturated:.0%} of the inputs of {layer.name} are beyond 5 at step {seen[-1].update}"
                return Finding(
                    "saturation", "warning", evidence, "nn.init.xavier_uniform_(weight)", {"layer": layer.name}
                )
        return None

    def _through_layers(self) -> Finding | None:
        """Gradients that grow or shrink through the layers, in all early looks."""
        ways = [[(n, g) for n, g in look.gradients.items() if self._names[n].ndim > 1] for look in list(self.looks)[:5]]
        ways = [way for way in ways if len(way) > 2]
        if len(ways) < 3:
            return None
        with np.errstate(all="ignore"):
            ratios = [way[0][1] / way[-1][1] if way[-1][1] > 0 else math.nan for way in ways]
        first, last = ways[0][0][0], ways[0][-1][0]
        if all(0 < ratio < VANISHED / 10 for ratio in ratios):
            evidence = f"the gradient of {first} is {np.median(ratios):.1e} of that of {last} at {len(ratios)} looks"
            return Finding(
                "vanishing-gradient",
                "warning",
                evidence,
                "nn.ReLU() and nn.init.kaiming_normal_(weight)",
                {"layer": first},
            )
        if all(ratio > 10 * EXPLODED for ratio in ratios):
            evidence = f"the gradient of {first} is {np.median(ratios):.3g} times that of {last} at {len(ratios)} looks"
            return Finding("exploding-gradient", "warning", evidence, _LOWER, {"layer": first})
        return None


_LOWER = "for group in optimizer.param_groups:\n    group['lr'] /= 3"


def _log(finding: Finding) -> None:
    LOG.warning("%s", finding)


def _norms(tensors: list[Any]) -> list[Any]:
    """The norm of each."""
    return torch.stack(torch._foreach_norm(tensors)).tolist()


def _bare(module: Any) -> Any:
    """A copy without hooks."""
    twin = copy.deepcopy(module)
    for part in twin.modules():
        for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
            getattr(part, kind).clear()
        for kind in ("_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs"):
            getattr(part, kind).clear()
    return twin
