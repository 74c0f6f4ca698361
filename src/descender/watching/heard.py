"""What a watch has heard of a training, and what that tells."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from descender.doctor.finding import Finding, root_first, without
from descender.doctor.loops.case import Layer
from descender.doctor.loops.layers import DEAD, EXPLODED, FEW, FLAT, VANISHED
from descender.watching.lost import LOWER


@dataclass
class Look:
    """What a deep look saw, layer by layer."""

    update: int
    gradients: dict[str, float]
    weights: dict[str, float]
    layers: list[Layer] = field(default_factory=list)


class Heard:
    """The record of a watch: counts, looks, and the findings that follow."""

    def __init__(self, module: Any, optimizer: Any, ignore: Iterable[str] | str):
        self.module, self.optimizer, self.ignore = module, optimizer, ignore
        self.update, self.training, self.evaluating = 0, 0, 0
        self.beginnings, self.left_over = 0, 0
        """Looks at which a gradient began, and those at which the one of the step before was still there."""
        self.looks: deque[Look] = deque(maxlen=64)
        self.names = dict(module.named_parameters())
        self.given = {id(p) for group in optimizer.param_groups for p in group["params"]}
        self.got: set[str] = set()
        self.matter: bool | None = None
        """Whether the module answers otherwise in evaluation mode, once that was tried."""
        self.fault: Finding | None = None
        self.error: BaseException | None = None

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
        if self.beginnings < 3 or self.left_over < 0.5 * self.beginnings:
            return None
        evidence = f"at {self.left_over} of {self.beginnings} looks the gradient of the step before was still there"
        return Finding("gradients-not-reset", "critical", evidence, "optimizer.zero_grad()  # before loss.backward()")

    def _evaluation(self) -> Finding | None:
        passes = self.training + self.evaluating
        if self.update < 3 or self.evaluating < 0.5 * passes or not self.matter:
            return None
        evidence = f"{self.evaluating:,} of {passes:,} forward passes with gradients were in evaluation mode"
        return Finding(
            "eval-mode", "warning", evidence, "module.train()  # before each step, and after each validation"
        )

    def _outside(self) -> Finding | None:
        out = [name for name, p in self.names.items() if name in self.got and id(p) not in self.given]
        current = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        out = [name for name in out if id(self.names[name]) not in current]
        if not out or self.update < 3:
            return None
        evidence = (
            f"{', '.join(out[:4])} {'get' if len(out) > 1 else 'gets'} a gradient and the optimizer does not have it"
        )
        remedy = "optimizer = type(optimizer)(module.parameters(), lr=lr)"
        return Finding("not-in-optimizer", "warning", evidence, remedy, {"layer": out[0].rpartition(".")[0]})

    def _without_gradient(self) -> Finding | None:
        cut = [n for n, p in self.names.items() if p.requires_grad and id(p) in self.given and n not in self.got]
        if not cut or not self.got or self.update < 3:
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
        ways = [[(n, g) for n, g in look.gradients.items() if self.names[n].ndim > 1] for look in list(self.looks)[:5]]
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
