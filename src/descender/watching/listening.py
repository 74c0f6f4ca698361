"""A module and its optimizer, watched while somebody's own loop trains them."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from descender.doctor.finding import Finding, root_first, without
from descender.doctor.loops.case import Layer
from descender.doctor.loops.layers import DEAD, EXPLODED, FEW, FLAT, VANISHED
from descender.errors import CapabilityError
from descender.watching.lost import LOWER, Pass, bare, dense, first_not_finite, sound, tensors_of
from descender.watching.network import Activations, Names, modes_matter
from descender.watching.torch_ import torch

LOOKS = (0, 1, 3, 10, 30, 100, 300)
EVERY = 1000
"""Deep looks: at these updates, and every so many."""
LINEAR = 3
"""A loss whose derivative has no more values than these, at a look, may be linear in the outputs, or hinged."""
HELD, ATTACHED = 4, 2
"""So many forward passes since the last update are held: their inputs, by reference; of so many the graph, too."""
LOG = logging.getLogger("descender")


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

    _after_forward = _before_update = _before_forward


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
        self._order: list[str] = []
        """The layers, in the order of their use, once that was seen."""
        self._ends = _ends(list(self._names.values()))
        self._matter: bool | None = None
        self._random = False
        """Whether a forward pass was seen to draw random numbers: else their state need not be kept."""
        self._handles = [
            module.register_forward_hook(self._after_forward, with_kwargs=True),
            optimizer.register_step_pre_hook(self._before_update),
        ]
        small = [p for p in self._names.values() if p.ndim < 2] or list(self._names.values())
        self._witness = next((p for p in small if p.requires_grad and id(p) in self._given), None)
        self._heard: list[Any] = []
        self._looking, self._next = False, 0
        self._tells_loss = False
        self._rng: Any = None
        self._hear()

    def close(self) -> None:
        """Take all hooks off; what was found stays."""
        last = self._passes[-1].outs if self._handles and self._passes else []
        if self.fault is None and not all(bool(torch.isfinite(out).all()) for out in last):
            self._trace()  # a loop that stopped before it would have stepped
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
        if module is not self.module or not torch.is_grad_enabled():
            return
        if module.training:
            self.training += 1
        else:
            self.evaluating += 1
        if type(out) is torch.Tensor:
            outs = [out]
            if out.requires_grad:
                out.retain_grad()  # a hook of Python's own would cost as much as all else here
        else:
            outs = tensors_of(out)
            for made in outs:
                if made.requires_grad:
                    made.retain_grad()
        passes = self._passes
        passes.append(Pass(args, kwargs, self._rng, outs))
        if len(passes) > ATTACHED:
            passes[-1 - ATTACHED].settle()
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
        self._heard, self._looking = [], self.update == self._next
        if self._looking:
            self._next = next((k for k in LOOKS if k > self.update), self.update - self.update % EVERY + EVERY)
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

    def _before_update(self, optimizer: Any, args: Any, kwargs: Any) -> Any:
        closure = kwargs.get("closure") if len(args) < 2 else args[1]
        if closure is None:
            self._update_comes()
            return None
        return (args[0], self._asked(closure)), {key: kwargs[key] for key in kwargs if key != "closure"}

    def _asked(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        """A closure that an optimizer asks within its step, as often as it wants; each answer is looked at."""
        begun = False

        def heard() -> Any:
            nonlocal begun
            self._passes.clear()
            value = closure()
            if begun:
                self._check()
            else:
                begun = True
                self._update_comes()
            return value

        return heard

    def _check(self) -> None:
        """Whether a gradient, or a loss that the module tells itself, is lost; the first is traced."""
        if self.fault is None:
            for p in self._ends:  # in line: with cold caches every call costs microseconds
                g = p.grad
                if g is not None and not (g.ndim == 1 and isfinite(g.dot(g).item())) and not sound(p):
                    self._trace()
                    break
            if self._tells_loss and self.fault is None and not self._told_loss_is_finite():
                self._trace()

    def _update_comes(self) -> None:
        """The gradients of an update are there."""
        self._check()
        looked, lost = self._looking, False
        if looked:
            with suppress(Exception):  # gradients of a kind that cannot be measured: the training goes on
                lost = self._look()
        if lost and self.fault is None:
            self._trace()
        self.update += 1
        self._begun = False
        self._passes.clear()
        if looked or self.update == self._next:
            self._hear()

    def _told_loss_is_finite(self) -> bool:
        """Of a module that tells its own loss: that may be lost though every gradient is finite."""
        for held in self._passes:
            for out in held.outs:
                if not out.ndim and not math.isfinite(out.item()):
                    return False
        return True

    # looking

    def _observe(self) -> None:
        """Look at activations on a copy, so that nothing the module remembers is touched."""
        if self.update % EVERY:
            return
        held = self._passes[-1]
        with torch.random.fork_rng(devices=[]):
            try:
                twin = bare(self.module)
                with torch.no_grad(), Names(twin) as names, Activations(names) as seen:
                    twin(*held.args, **held.kwargs)
                self._unread, self._order = seen.told(), list(names.order)
                if self._matter is None and held.args:
                    self._matter = modes_matter(twin, held.args[0])
            except Exception:
                self._unread = []

    def _look(self) -> bool:
        """Measure gradients and weights, part by part; whether something is not finite that the ends do not tell."""
        named = [(name, p) for name, p in self._names.items() if p.grad is not None]
        self._got |= {name for name, _ in named}
        if not named:
            return False
        outs = [(out, slope) for held in self._passes for out, slope in zip(held.outs, held.slopes, strict=True)]
        self._tells_loss = any(not out.ndim for out, _ in outs)
        linear = not outs or any(slope is None or _values(slope) <= LINEAR for _, slope in outs)
        place = {layer: k for k, layer in enumerate(self._order)}
        self._ends = _ends([p for _, p in sorted(named, key=lambda own: place.get(own[0].rpartition(".")[0], -1))])
        self._ends = self._ends if linear else self._ends[:1]
        gradients, weights = _norms([dense(p.grad) for _, p in named]), _norms([p.detach() for _, p in named])
        sizes = [math.sqrt(p.numel()) for _, p in named]
        self.looks.append(Look(
            self.update,
            {name: float(g) / s for (name, _), g, s in zip(named, gradients, sizes, strict=True)},
            {name: float(w) / s for (name, _), w, s in zip(named, weights, sizes, strict=True)},
            self._unread,
        ))  # fmt: skip
        self._unread = []
        return (not isfinite(sum(gradients)) and not all(sound(p) for _, p in named)) or not self._told_loss_is_finite()

    def _trace(self) -> None:
        """Find what was not finite first, by doing the held passes again on a copy, and tell it at once."""
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            try:
                self.fault = first_not_finite(self.module, self._passes, self.update)
            except Exception as error:
                self.fault = Finding(
                    "nan-operation", "critical", f"a gradient is not finite at step {self.update}; doing it again "
                    f"raised {type(error).__name__}", "descender.diagnose(make)", {"step": self.update},
                )  # fmt: skip
        if self.fault is not None and without([self.fault], self.ignore):
            self.tell(self.fault)

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
            return Finding("exploding-gradient", "warning", evidence, LOWER, {"layer": first})
        return None


def _log(finding: Finding) -> None:
    LOG.warning("%s", finding)


def _ends(parameters: list[Any]) -> list[Any]:
    """The first bias and the last matrix, which tell for all: of parameters in the order of their use.

    What is not finite on its way back reaches the first bias.  Where the derivative of the loss does not depend on the
    outputs, as of their mean, one that is not finite is seen in the last matrix alone.
    """
    first = next((p for p in parameters if p.ndim < 2), None)
    last = next((p for p in reversed(parameters) if p.ndim > 1), None)
    ends = [p for p in (first, last) if p is not None]
    return ends if len(ends) > 1 else parameters[:1] + parameters[1:][-1:]


def _values(slope: Any) -> int:
    """How many values it has, of a thousand that are looked at."""
    flat = slope.reshape(-1)
    return len(set(flat[:: max(len(flat) // 1000, 1)].tolist()))


def _norms(tensors: list[Any]) -> list[Any]:
    """The norm of each."""
    return [float(norm) for norm in torch.stack(torch._foreach_norm(tensors)).tolist()]
