"""A module and its optimizer, watched while somebody's own loop trains them."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import isfinite
from typing import Any

from descender.doctor.finding import Finding, without
from descender.doctor.loops.case import Layer
from descender.errors import CapabilityError
from descender.watching.graph import tensors_of
from descender.watching.heard import Heard, Look
from descender.watching.lost import Pass, bare, dense, first_not_finite, sound
from descender.watching.network import Activations, Names, modes_matter
from descender.watching.torch_ import torch

LOOKS = (0, 1, 3, 10, 30, 100, 300)
EVERY = 1000
"""Deep looks: at these updates, and every so many."""
SHORT = 256
"""A gradient of so many numbers is read as a list, which asks no kernel; a longer one by one sum."""
LINEAR = 3
"""A loss whose derivative has no more values than these, at a look, may be linear in the outputs, or hinged."""
HELD, ATTACHED = 4, 2
"""So many forward passes since the last update are held: their inputs, by reference; of so many the graph, too."""
LOG = logging.getLogger("descender")


class Nobody:
    """What is left of a watch in a module that was saved while it was watched: hooks that do nothing."""

    def _before_forward(self, *_: Any) -> None:
        return

    _after_forward = _before_update = _before_forward


class Watch(Heard):
    """What :func:`descender.watch` returns: ``findings`` at any time, ``close()``, and a context that closes itself."""

    def __init__(self, module: Any, optimizer: Any, tell: Callable[[Finding], Any] | None, ignore: Iterable[str] | str):
        if not isinstance(module, torch.nn.Module):
            raise CapabilityError(f"watch got a {type(module).__name__}: expected a torch.nn.Module and its optimizer")
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise CapabilityError(f"watch got a {type(optimizer).__name__}: expected a torch.optim.Optimizer")
        super().__init__(module, optimizer, ignore)
        self.tell = tell if tell is not None else _log
        self._passes: deque[Pass] = deque(maxlen=HELD)
        self._unread: list[Layer] = []
        self._begun = False
        self._order: list[str] = []
        """The layers, in the order of their use, once that was seen."""
        self._ends = [(p, False) for p in _ends(list(self.names.values()))]
        self._random = False
        """Whether a forward pass was seen to draw random numbers: else their state need not be kept."""
        self._handles = [
            module.register_forward_hook(self._after_forward, with_kwargs=True),
            optimizer.register_step_pre_hook(self._before_update),
        ]
        small = [p for p in self.names.values() if p.ndim < 2] or list(self.names.values())
        self._witness = next((p for p in small if p.requires_grad and id(p) in self.given), None)
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
        self.beginnings += 1
        self.left_over += self.update > 0 and left is not None and bool((left != 0).any())

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
            for p, short in self._ends:  # in line: with cold caches every call costs microseconds
                g = p.grad
                if g is not None and not (isfinite(sum(g.tolist())) if short else sound(p)):
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
                if self.matter is None and held.args:
                    self.matter = modes_matter(twin, held.args[0])
            except Exception:
                self._unread = []

    def _look(self) -> bool:
        """Measure gradients and weights, part by part; whether something is not finite that the ends do not tell."""
        named = [(name, p) for name, p in self.names.items() if p.grad is not None]
        self.got |= {name for name, _ in named}
        if not named:
            return False
        outs = [(out, slope) for held in self._passes for out, slope in zip(held.outs, held.slopes, strict=True)]
        self._tells_loss = any(not out.ndim for out, _ in outs)
        linear = not outs or any(slope is None or _values(slope) <= LINEAR for _, slope in outs)
        place = {layer: k for k, layer in enumerate(self._order)}
        ends = _ends([p for _, p in sorted(named, key=lambda own: place.get(own[0].rpartition(".")[0], -1))])
        self._ends = [(p, _is_short(p.grad)) for p in (ends if linear else ends[:1])]
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


def _is_short(gradient: Any) -> bool:
    return gradient.ndim == 1 and len(gradient) <= SHORT and gradient.is_floating_point() and not gradient.is_sparse


def _values(slope: Any) -> int:
    """How many values it has, of a thousand that are looked at."""
    flat = slope.reshape(-1)
    return len(set(flat[:: max(len(flat) // 1000, 1)].tolist()))


def _norms(tensors: list[Any]) -> list[Any]:
    """The norm of each."""
    return [float(norm) for norm in torch.stack(torch._foreach_norm(tensors)).tolist()]
