"""A walk that is taken again with one thing changed, and what it then reaches."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Vector
from descender.costs.network.network import Network
from descender.costs.risk import Risk
from descender.descent import descend
from descender.errors import DescenderError
from descender.methods.auto import choose
from descender.methods.rates import Constant
from descender.methods.textbook import Textbook
from descender.walk import Stop, Walk

SECONDS = 10.0
"""A walk that took longer is not taken again; one that is taken again may take twice as long as it did, and 1 s."""
LITTLE, HALF = 0.1, 0.5
"""Shares of a possible fall: of one that was missed, of a clear loss."""
FEW = 20
"""Rows below which nothing is said of data."""


class Closer:
    """A walk, its cost and its start, and what the same walk reaches with a change.

    ``begin`` is the cost at its start; ``end`` that at its end, or the median of its last quarter if that is higher,
    since a walk that is thrown about may end low by chance; infinite where it left the finite numbers.
    """

    def __init__(self, walk: Walk, start: Vector):
        assert walk.cost is not None
        self.walk, self.cost, self.start = walk, walk.cost, start
        self.method = walk.by if isinstance(walk.by, Textbook) else None
        costs = walk.record.full_costs()
        costs = costs if len(costs) else walk.record["cost"]
        late = costs[np.isfinite(costs)][-max(len(costs) // 4, 1) :]
        self.costs, self.begin = costs[np.isfinite(costs)], float(costs[0])
        if not self.full and not len(walk.record.full_costs()):  # the first batch is not all samples
            self.begin = float(self.cost.value(start))
        self.end = max(float(walk.fun), float(np.median(late))) if np.isfinite(walk.fun) and len(late) else np.inf
        if walk.status == "not_finite":
            self.end = np.inf
        elif walk.success and self.method is not None and self.method.batch_size in (None, "full"):
            self.end = float(walk.fun)  # a walk that came to rest is not thrown about, however late it arrived

    @property
    def full(self) -> bool:
        """Whether all samples are read at each step."""
        return self.method is None or self.method.batch_size in (None, "full")

    @property
    def lowest_cost(self) -> float:
        """The lowest cost on the way."""
        return float(self.costs.min()) if len(self.costs) else self.begin

    @property
    def falling(self) -> bool:
        """Whether the last quarter still lowered the cost by a tenth of what the walk fell, as of medians."""
        quarter = max(len(self.costs) // 4, 1)
        late, before = np.median(self.costs[-quarter:]), np.median(self.costs[-2 * quarter : -quarter])
        return bool(late < before - LITTLE * abs(self.begin - late))

    @property
    def repeatable(self) -> bool:
        """Whether the walk may be taken again: by a rule with a rate, and soon."""
        seconds = self.walk.record["seconds"]
        return self.method is not None and self.walk.nit > 0 and bool(len(seconds) and seconds[-1] < SECONDS)

    @property
    def samples(self) -> tuple[NDArray, NDArray] | None:
        """The rows and targets, where they are a table of numbers."""
        X, y = getattr(self.cost, "X", None), getattr(self.cost, "y", None)
        if not (isinstance(self.cost, Risk | Network) and isinstance(X, np.ndarray) and isinstance(y, np.ndarray)):
            return None
        return (X, y) if X.ndim == 2 and y.ndim == 1 and len(y) >= FEW else None

    @property
    def classes(self) -> bool:
        """Whether targets are classes."""
        return getattr(getattr(self.cost, "loss", None), "name", "") in (
            "log_loss",
            "softmax",
            "hinge",
            "squared_hinge",
        )

    @cached_property
    def guess(self) -> float:
        """The cost of the best constant answer; infinite where that is not known."""
        if not isinstance(self.cost, Risk | Network) or self.cost.y.ndim != 1:
            return np.inf
        y, loss = self.cost.y, self.cost.loss
        k = self.cost.n_outputs if isinstance(self.cost, Network) else self.cost.n_classes
        constant = Risk(np.zeros((len(y), 1)), y, loss, sample_weight=self.cost.sample_weight,
                        n_classes=k if loss.scores_per_class else None)  # fmt: skip
        value = float(descend(constant, np.zeros(constant.n_parameters), choose(constant)[0]).fun)
        return value * (1.0 if getattr(self.cost, "reduction", "mean") == "mean" else constant.total_weight)

    @property
    def failed(self) -> bool:
        """Whether the walk ended no better than a constant answer, or than it began."""
        level = min(self.begin, self.guess)
        return not self.end < level - LITTLE * abs(level)

    def again(self, method: Any, cost: Cost | None = None) -> float:
        """The cost, as :attr:`end`, that as many steps by another method reach; infinite where they fail."""
        cost = self.cost if cost is None else cost
        stop = Stop(max_steps=self.walk.nit, max_seconds=1.0 + 2.0 * float(self.walk.record["seconds"][-1]))
        seed = int(self.walk.record.facts.get("seed", 0))
        try:
            with np.errstate(all="ignore"):
                tried = descend(cost, self.start, method, stop, seed=seed)
        except DescenderError:
            return np.inf
        return np.inf if tried.status == "not_finite" else Closer(tried, self.start).end

    def lowest(self, changes: dict[str, Any]) -> tuple[str, float]:
        """The change that ends lowest, by its name, and where."""
        return min(self.ends(changes).items(), key=lambda told: told[1])

    def ends(self, changes: dict[str, Any]) -> dict[str, float]:
        """Where each change ends, by its name."""
        return {name: self.again(method) for name, method in changes.items()}

    def rates(self, factors: list[float]) -> dict[str, Any]:
        """The method with other rates, by these."""
        assert self.method is not None
        taken = self.walk.record["learning_rate"]
        own = float(np.nanmax(taken)) if np.isfinite(taken).any() else 0.0
        rates = [float(f"{own * factor:.2g}") for factor in factors]
        return {f"{r:g}": replace(self.method, rate=Constant(r), recover=False) for r in rates if 0 < r < np.inf}


def far_lower(fall: float, own: float, share: float = HALF) -> bool:
    """Whether a walk fell by no more than a share of what another did."""
    return bool(np.isfinite(fall) and fall > 0 and own < share * fall)


def number(value: float) -> str:
    """A cost in words."""
    return f"{value:.3g}" if np.isfinite(value) else "infinity"
