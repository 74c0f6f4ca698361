"""What each layer of a network gets of the gradient, looked at now and then while it is trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from descender.costs.cost import Vector
from descender.costs.network.network import Network

ROWS = 128
"""Rows of which the gradient is taken, spread over all."""
LOOKS = 80
"""Looks that are kept at most; of more every other one is dropped, and half as many are made from there on."""
APART = 128
"""Steps to the next look, at least, once so many were taken: a look costs as much as two or three of them."""


class LayerLook:
    """Notes the gradient norm of each layer along a walk; it never ends one.

    It looks where the walk stops for others anyway, such as between two epochs.

    >>> from descender.costs.network.build import perceptron
    >>> look = LayerLook(Network(perceptron(2, [3], 1), np.eye(2), [0.0, 1.0]))
    >>> look.at(0, look.network.start())
    >>> look.facts["steps"], look.facts["names"]
    ([0], ['layer0 (dense)', 'layer2 (dense)'])
    """

    every = 1 << 30

    def __init__(self, network: Network):
        self.network = network
        self.rows = np.unique(np.linspace(0, network.n_samples - 1, ROWS).astype(np.intp))
        self.seen: dict[int, list[float]] = {}
        self.names: list[str] = []
        self.due, self.apart = 0, 1

    def at(self, steps: int, w: Vector, last: bool = False) -> None:
        """Look at the point after so many steps, if that is due."""
        if steps < self.due and not last:
            return
        sizes = self.network.layer_gradients(w, self.rows)
        self.names, self.seen[steps] = list(sizes), list(sizes.values())
        self.due = steps + max(self.apart, min(steps, APART))
        if len(self.seen) > LOOKS:
            self.seen = dict(list(self.seen.items())[::2])
            self.apart = max(2 * self.apart, steps // LOOKS)

    @property
    def facts(self) -> dict[str, Any]:
        """What a record keeps: the norm of each layer (a row) at each step; None where it is not finite."""
        norms = np.array(list(self.seen.values())).T
        kept = [[v if np.isfinite(v) else None for v in row] for row in norms.tolist()]
        return {"names": self.names, "steps": list(self.seen), "gradient": kept, "rows": len(self.rows)}


def look_at_layers(cost: Any) -> LayerLook | None:
    """Looks at the layers of a network with more than one; at nothing else."""
    many = isinstance(cost, Network) and sum(bool(layer.shapes) for layer in cost.layers) > 1
    return LayerLook(cost) if many else None
