"""Gradients that explode or vanish on their way back through the layers of a network, known by their symptoms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from descender.costs.network.network import ErrorVector
from descender.doctor.finding import Finding
from descender.record import Record

TENFOLD, OFTEN, CONSTANTLY = 10.0, 1 / 3, 0.9
"""Batches of one sample multiply a squared error by ten in a fifth of the steps without anything being wrong."""
VANISHED = 1e-3
"""The share of the largest error vector below which that of a layer has vanished."""


def symptoms_of_explosion(record: Record, layers: Sequence[Sequence[ErrorVector]]) -> dict[str, str]:
    """The symptoms that a training shows, by name, each with its evidence.

    `layers` holds what :meth:`~descender.costs.network.network.Network.error_vectors` told at some of the steps.

    the output is NaN
        a cost of the record is not finite
    very large changes
        in a third of the steps the next cost is more than ten times as high, or not finite
    error gradients above 1.0
        in nine of ten looks at a layer, the gradient by the weights of a node has a (root mean square) norm above 1
    """
    found = {}
    measured = ~np.isnan(record["full_cost"])
    costs = np.where(measured & np.isnan(record["cost"]), record["full_cost"], record["cost"])
    lost = np.flatnonzero(~np.isfinite(costs))
    if lost.size:
        found["the output is NaN"] = f"the cost is not finite from step {record['step'][lost[0]]} on"
    seen = record["cost"][~measured | ~np.isnan(record["cost"])]
    sound = np.isfinite(seen[:-1])
    risen = sound & ~(seen[1:] <= TENFOLD * np.abs(seen[:-1]))
    if risen.sum() > OFTEN * max(sound.sum(), 1):
        found["very large changes"] = f"{risen.sum()} of {sound.sum()} steps raised the cost more than tenfold"
    nodes = np.array([row.node for vectors in layers for row in vectors if np.isfinite(row.node)])
    above = int((nodes > 1.0).sum())
    if nodes.size and above >= CONSTANTLY * nodes.size:
        found["error gradients above 1.0"] = f"per node, in {above} of {nodes.size} looks at a layer"
    return found


def exploding_gradient(record: Record, layers: Sequence[Sequence[ErrorVector]]) -> Finding | None:
    """D201: at least two of the three symptoms; with the norms of the weights, which make errors grow."""
    symptoms = symptoms_of_explosion(record, layers)
    if len(symptoms) < 2:
        return None
    norms = [norm for row in layers[0] for norm in row.spectral.values()] if layers else []
    told = [f"{name} ({evidence})" for name, evidence in symptoms.items()]
    if norms:
        told.append(f"spectral norms of the weights {min(norms):.2g} to {max(norms):.2g}")
    return Finding("exploding-gradient", "critical", "; ".join(told), "clip_norm=5")


def vanishing_gradient(vectors: Sequence[ErrorVector]) -> Finding | None:
    """D202: error vectors, of layers or of the states of a recurrent one, that shrink to nothing on their way back."""
    ways = [("layer", [row.error for row in vectors])]
    ways += [("state", list(row.through_time)) for row in vectors if row.through_time]
    for place, sizes in ways:
        largest = max(sizes, default=0.0)
        if not (np.isfinite(largest) and largest > 0 and sizes[0] < VANISHED * largest):
            continue
        lost = sum(size < VANISHED * largest for size in sizes)
        evidence = (
            f"of {len(sizes)} error vectors, {lost} are below a thousandth of the largest; at the first {place} "
            f"{sizes[0]:.2g}, at the last {sizes[-1]:.2g}"
        )
        remedy = "relu or tanh with their own initialisation, normalisation='batch' or residual=True; not clipping"
        return Finding("vanishing-gradient", "warning", evidence, remedy)
    return None
