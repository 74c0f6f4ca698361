"""A loop that is run and listened to: what its parameters, gradients, layers and optimizers do."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from descender.doctor.loops.case import Anatomy, Part, Run
from descender.errors import DescenderError
from descender.watching.loop import called, cost, endless, pair, per_epoch, plain
from descender.watching.rows import Readings
from descender.watching.torch_ import torch

TAKEN_APART = (0, 1, 3, 10, 30, 100, 300, 1000, 3000)
"""The steps that are taken apart."""
VALIDATIONS = 20
EXACT = 0.05
"""The share of a gradient that may be left where it is said to be that of the loss and of a penalty."""
PATIENCE = 3
"""How many steps a training goes on after its first number that is not finite."""


class Ear:
    """Listens to a loop by hooks; the loop does what it does without."""

    def __init__(self, loop: Any, turns: bool = False):
        self.loop, self.number = loop, 0
        self.parameters = dict(loop.module.named_parameters())
        self.owned = {id(p): name for name, p in self.parameters.items()}
        self.first = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.hooked: set[str] = set()
        self.batch: Any = None
        """The batch of the step."""
        self.incoming: dict[str, Any] = {}
        """The gradients that were made since the optimizer stepped last."""
        self.fresh: dict[str, Any] = {}
        """Those that were made in this step."""
        self.got: dict[str, list[int]] = {name: [0, 0] for name in self.parameters}
        self.wanted: dict[str, int] = dict.fromkeys(self.parameters, 0)
        self.given: set[str] = set()
        self.layers_called: set[str] = set()
        self.left_over, self.beginnings, self.optimizers, self.updates = 0, 0, 0, 0
        self.within = False
        self.training_forwards = self.evaluating_forwards = 0
        self.settings: dict[str, Any] = {}
        self.rate = self.applied = math.nan
        self.gradients: dict[str, Any] | None = None
        self.rng: Any = None
        self.modes: list[bool] | None = None
        self.normed: dict[str, int] = {}
        self.validating = False
        self.validated = [0, 0]
        """Forward passes of validations in evaluation mode, and in training mode."""
        self.asked: Any = None
        """What the first of them was about."""
        self.before: dict[str, Any] = {}
        self.turning: list[float] = []
        """The cosine of the gradients of a step and of the one before, where it is listened for."""
        self.turns = turns
        self.stack = ExitStack()

    def __enter__(self) -> Ear:
        for handle in (
            register_optimizer_step_pre_hook(self._before_update),
            register_optimizer_step_post_hook(self._after_update),
            self.loop.module.register_forward_pre_hook(self._before_forward),
        ):
            self.stack.callback(handle.remove)
        for name, part in self.loop.module.named_modules():
            self.stack.callback(part.register_forward_hook(self._heard(name)).remove)
        return self

    def __exit__(self, *_: Any) -> None:
        self.stack.close()

    def _before_forward(self, module: Any, args: Any) -> None:
        if self.validating:
            self.within = False
            self.validated[module.training] += 1
            if self.asked is None and args and isinstance(args[0], torch.Tensor):
                self.asked = args[0].detach().clone()
            return
        self.within = torch.is_grad_enabled()
        if not self.within:
            return
        self.training_forwards += module.training
        self.evaluating_forwards += not module.training
        if self.rng is None:
            self.rng = torch.get_rng_state()
            self.modes = [part.training for part in module.modules()]

    def _heard(self, name: str) -> Callable[..., None]:
        def hook(module: Any, args: Any, out: Any) -> None:
            if not self.within:  # of a forward pass with gradients, whatever is switched off inside of it
                return
            self.layers_called.add(name)
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and module.training and len(args):
                count = args[0].numel() // max(args[0].shape[1], 1)
                self.normed[name] = max(self.normed.get(name, 0), count)

        return hook

    def _made(self, name: str, p: Any) -> Callable[[Any], None]:
        def hook(gradient: Any) -> None:
            g = plain(gradient)
            if name not in self.incoming:
                self.beginnings += 1
                self.left_over += p.grad is not None and bool((plain(p.grad) != 0).any())
                self.incoming[name] = g.clone()
            else:
                self.incoming[name] = self.incoming[name] + g
            self.fresh[name] = self.fresh[name] + g if name in self.fresh else g.clone()

        return hook

    def begin(self) -> None:
        """Before a step."""
        self.fresh, self.rng = {}, None
        self.rate = self.applied = math.nan
        for name, p in self.parameters.items():
            if p.requires_grad:
                self.wanted[name] += 1
                if name not in self.hooked:
                    self.hooked.add(name)
                    self.stack.callback(p.register_hook(self._made(name, p)).remove)

    def end(self) -> float:
        """After a step: the norm of the gradient that it made."""
        for name, g in self.fresh.items():
            self.got[name][0] += 1
            self.got[name][1] += not bool((g != 0).any())
        self.number += 1
        size = norm(self.fresh.values()) if self.fresh else math.nan
        if self.turns and size > 0:
            product = sum(float((g * self.before[n]).sum()) for n, g in self.fresh.items() if n in self.before)
            self.turning.append(product / max(size * norm(self.before.values()), 1e-300) if self.before else 0.0)
            self.before = self.fresh
        return size

    def _before_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        mine = [p for p in _parameters(optimizer) if id(p) in self.owned]
        if not mine:
            return
        self.given |= {self.owned[id(p)] for p in mine}
        if not getattr(optimizer, "_descender_heard", False):
            optimizer._descender_heard = True
            self.optimizers += 1
            group = optimizer.param_groups[0]
            self.settings = {
                "optimizer": type(optimizer).__name__, "rate": float(group.get("lr", math.nan)),
                "momentum": float(group.get("momentum", (group.get("betas") or (0.0,))[0]) or 0.0),
                "decay": max(float(g.get("weight_decay", 0.0) or 0.0) for g in optimizer.param_groups),
                "maximize": bool(group.get("maximize", False)),
                "remembers": bool(group.get("momentum")) or "betas" in group or "alpha" in group or "rho" in group,
                "names": {self.owned[id(p)] for p in mine},
                "before": self.settings.get("names"),
            }  # fmt: skip
        self.rate = max(float(group.get("lr", math.nan)) for group in optimizer.param_groups)
        self._given_to(optimizer)

    def _given_to(self, optimizer: Any) -> None:
        """The gradients that an optimizer has."""
        gradients = [p.grad for p in _parameters(optimizer) if id(p) in self.owned and p.grad is not None]
        self.applied = norm(gradients) if gradients else math.nan

    def _after_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if len(args) > 1 or kwargs.get("closure") is not None:  # it asked for gradients itself
            self._given_to(optimizer)
        self.incoming = {}
        self.updates += 1

    def parts(self) -> list[Part]:
        """What became of each parameter."""
        steps = max(self.number, 1)
        told = []
        for name, p in self.parameters.items():
            layer = name.rpartition(".")[0]
            got, zero = self.got[name]
            told.append(Part(
                name, layer, p.numel(), self.wanted[name] >= steps, layer in self.layers_called, got / steps,
                zero / max(got, 1), name in self.given, not torch.equal(p.detach(), self.first[name]),
            ))  # fmt: skip
        return told


def _parameters(optimizer: Any) -> list[Any]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def norm(tensors: Any) -> float:
    """The Euclidean norm of all of them together."""
    return math.sqrt(sum(float(plain(t).double().square().sum()) for t in tensors))


class Dissector:
    """Takes steps apart: on a copy of the module, as it was when the step began."""

    def __init__(self, loop: Any):
        self.loop = loop
        self.found: list[Anatomy] = []
        try:
            self.copy = copy.deepcopy(loop.module)
        except Exception:
            self.copy = None

    def before(self) -> None:
        """Remember the weights."""
        if self.copy is not None:
            self.copy.load_state_dict(copy.deepcopy(self.loop.module.state_dict()))

    def after(self, ear: Ear, batch: Any, told: float, step: int) -> None:
        """Compare the gradient that was made with that of the loss."""
        rows = pair(batch)
        if self.copy is None or rows is None or ear.rng is None or not ear.fresh:
            return
        names = [name for name in ear.fresh if bool(torch.isfinite(ear.fresh[name]).all())]
        mine = dict(self.copy.named_parameters())
        for name, p in ear.parameters.items():
            mine[name].requires_grad_(p.requires_grad)
        for part, mode in zip(self.copy.modules(), ear.modes or (), strict=False):
            part.training = mode
        try:
            with torch.random.fork_rng(devices=[]):
                torch.set_rng_state(ear.rng)
                value = self.loop.loss_fn(called(self.copy, rows[0]), rows[1])
                gradients = torch.autograd.grad(value, [mine[name] for name in names], allow_unused=True)
        except Exception:
            return
        pairs = [
            (ear.fresh[n], plain(g), mine[n].detach()) for n, g in zip(names, gradients, strict=True) if g is not None
        ]
        if not pairs:
            return
        made, own, w = (torch.cat([p[i].reshape(-1).double() for p in pairs]) for i in range(3))
        if not bool(torch.isfinite(torch.stack([made, own, w])).all()):
            return
        size, length = max(float(made.norm()), 1e-150), max(float(own.norm()), 1e-150)
        (along, weights), left = _split(made, [own, w])
        signs = 0.0
        if left > EXACT * size:
            (more, shrunk, signs), least = _split(made, [own, w, w.sign()])
            along, weights, signs, left = (
                (more, shrunk, signs, least) if least < 0.5 * left else (along, weights, 0.0, left)
            )
        beyond = float((weights * w + signs * w.sign()).norm())
        share, own_loss = beyond / max(abs(along) * length, 1e-150), float(value.detach())
        self.found.append(Anatomy(step, along, weights, share, left / size, told, own_loss, signs))


def _split(made: Any, parts: list[Any]) -> tuple[list[float], float]:
    """The multiples of some vectors that together come nearest to one, and the norm of what is left."""
    columns = torch.stack(parts, dim=1)
    scale = columns.norm(dim=0).clamp_min(1e-150)
    scaled = columns / scale
    solution = torch.linalg.lstsq(scaled.T @ scaled, scaled.T @ made).solution
    return (solution / scale).tolist(), float((made - scaled @ solution).norm())


@contextmanager
def quiet_global_rng(seed: int) -> Any:
    """What is drawn here is not missed outside."""
    state = np.random.get_state()  # noqa: NPY002 - loops of others draw from it
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


def run(
    loop: Any,
    seed: int,
    change: Any = None,
    apart: bool = False,
    until: int | None = None,
    at_last: Callable[[int, Any], Any] | None = None,
    reference: Callable[[float], float] | None = None,
    rows: tuple[Any, Any] | None = None,
) -> Run:
    """Train a fresh loop to its end, or `until` a step, with a change applied, and tell what happened.

    With `apart` some steps are taken apart.  ``at_last`` gives the context in which the last step is done.
    """
    steps = loop.steps if until is None else min(until, loop.steps)
    losses: list[float] = []
    rates, raw, applied = (np.full(steps, math.nan) for _ in range(3))
    validation: list[tuple[int, float]] = []
    dissector, readings = (Dissector(loop), Readings(loop)) if apart else (None, None)
    before = cost(loop, rows)
    every = max(per_epoch(loop), -(-steps // VALIDATIONS)) or 1
    error, broken = None, None
    with ExitStack() as stack:
        ear = stack.enter_context(Ear(loop, turns=apart))
        if readings is not None:
            stack.callback(loop.module.register_forward_pre_hook(readings.forward).remove)
        if change is not None:
            stack.enter_context(change.applied(loop, ear))
        batches = endless(loop.batches)
        if change is not None:
            batches = change.batches(loop, batches, seed)
        for step in range(steps):
            try:
                batch = next(batches)
                ear.batch = batch
                ear.begin()
                if readings is not None:
                    readings.batch(batch)
                    readings.within = True
                look = dissector is not None and step in TAKEN_APART
                if look and dissector is not None:
                    dissector.before()
                with at_last(step, batch) if at_last is not None and step == steps - 1 else nullcontext():
                    told = float(loop.step(batch))
            except DescenderError:
                raise
            except Exception as raised:
                error = raised
                break
            if readings is not None:
                readings.within = False
            losses.append(told)
            raw[step], rates[step], applied[step] = ear.end(), ear.rate, ear.applied
            if look and dissector is not None:
                dissector.after(ear, batch, told, step)
            stepped = not math.isnan(ear.rate)
            if broken is None and not (math.isfinite(told) and (math.isfinite(applied[step]) or not stepped)):
                broken = step
            if broken is not None and step >= broken + PATIENCE:
                break
            if (step + 1) % every == 0 or step == steps - 1:
                ear.validating = True
                _validate(loop, step, validation)
                ear.validating = False
        parts = ear.parts()
        after = cost(loop, rows)
    if broken is not None and math.isfinite(losses[-1]) and math.isfinite(after):
        broken = None  # a gradient that was not finite moved nothing: scaling of the loss at work
    n = len(losses)
    told_run = Run(
        np.array(losses), rates[:n], raw[:n], applied[:n], validation, before, after, math.nan, error, broken
    )
    if reference is not None:
        end = after if math.isfinite(after) or not n else float(np.mean(losses[-20:]))
        told_run.explained = reference(end) if told_run.finite else math.nan
    told_run.facts = {
        "parts": parts, "anatomy": dissector.found if dissector else [], "settings": ear.settings,
        "optimizers": ear.optimizers, "left_over": ear.left_over / max(ear.beginnings, 1), "updates": ear.updates,
        "training": ear.training_forwards, "evaluating": ear.evaluating_forwards, "normed": ear.normed,
        "asked": steps, "turning": ear.turning, "validated": ear.validated, "asked at validation": ear.asked,
    }  # fmt: skip
    if readings is not None:
        told_run.facts |= {"read": readings.read, "different": len(readings.different), "first X": readings.first,
                           "rows asked": readings.asked, "rows used": len(readings.used),
                           "changed": readings.changed()}  # fmt: skip
    return told_run


def _validate(loop: Any, step: int, validation: list[tuple[int, float]]) -> None:
    """One validation, where the loop has one; one that fails is none."""
    if callable(getattr(loop, "validate", None)):
        try:
            validation.append((step, float(loop.validate())))
        except Exception:
            validation.append((step, math.nan))
