"""A trained network as a model of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.network.body import Body
from descender.costs.network.build import Architecture, read_hidden
from descender.costs.network.layers import Mode
from descender.data.columns import Odd
from descender.kernels.threads import one_blas_thread
from descender.model import Model

ROWS = 128
"""Rows that go through the layers at a time, always as many: a shorter block is filled up."""


@dataclass
class NetworkModel(Model):
    """A network with everything it needs to read new rows.

    `w` are its parameters, float32, as :class:`~descender.costs.network.body.Body` lays them out; a score is `centre`
    plus `scale` times the output.  `statistics` are those of batch normalisation.
    """

    architecture: Architecture
    w: NDArray[np.float32]
    centre: float = 0.0
    scale: float = 1.0
    statistics: list[tuple[NDArray, NDArray]] = field(default_factory=list)

    format = "descender network 1"

    def __post_init__(self) -> None:
        inputs, outputs = len(self.features), len(self.coding.classes) if self.outputs else 1
        self.body = Body(self.architecture.layers(inputs, outputs))
        self.body.width(inputs)
        self.body.statistics = self.statistics

    @property
    def described(self) -> str:
        """Its layers in a line."""
        return self.architecture.text(len(self.features), len(self.coding.classes) if self.outputs else 1)

    def scores(self, X: Any) -> NDArray[np.float64]:
        """The scores of encoded rows, dense or CSR: (n,) or (n, K).

        A row's bits depend on that row only, not on its place: that takes float64, as BLAS adds up float32 in another
        order in the last rows of a tile.
        """
        n, w = X.shape[0], self.w.astype(np.float64)
        out = np.empty((n, *self.outputs) if self.outputs else (n, 1))
        with one_blas_thread():
            for start in range(0, n, ROWS):
                part = X[start : start + ROWS]
                block = np.zeros((ROWS, X.shape[1]), dtype=w.dtype)
                block[: part.shape[0]] = part if isinstance(part, np.ndarray) else part.toarray()
                with np.errstate(over="ignore", invalid="ignore"):
                    out[start : start + ROWS] = self.body.forward(w, block, Mode(frozen=True))[0][: part.shape[0]]
        out = self.centre + self.scale * out
        return out if self.outputs else out[:, 0]

    def table_scores(self, table: Any, numbers: NDArray, odd: dict[str, Odd] | None = None) -> NDArray[np.float64]:
        """The table's rows are encoded and go through the layers in blocks."""
        return self.scores(self.encoder.transform(table, row_numbers=numbers, odd=odd))

    def parts(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Each layer's parameters by their names, such as ``layer0.weight``, and the architecture."""
        arrays = {
            f"layer{k}.{name}": np.ascontiguousarray(part)
            for k, layer in enumerate(self.body.layout.views(self.w))
            for name, part in layer.items()
        }
        arrays |= {"target": np.array([self.centre, self.scale])}
        for k, (mean, variance) in enumerate(self.statistics):
            arrays |= {f"statistics{k}.mean": mean, f"statistics{k}.variance": variance}
        return arrays, {"architecture": self.architecture._asdict()}

    @classmethod
    def of_parts(
        cls, common: Mapping[str, Any], arrays: Mapping[str, NDArray], facts: Mapping[str, Any]
    ) -> NetworkModel:
        """Parameters of the shapes that the architecture calls for."""
        told = dict(facts["architecture"])
        architecture = Architecture(**told | {"hidden": read_hidden(told["hidden"])})
        known = [k for k in range(len(arrays)) if f"statistics{k}.mean" in arrays]
        statistics = [(arrays[f"statistics{k}.mean"], arrays[f"statistics{k}.variance"]) for k in known]
        centre, scale = arrays["target"].tolist()
        empty = np.empty(0, dtype=np.float32)
        model = cls(**common, architecture=architecture, w=empty, centre=centre, scale=scale, statistics=statistics)
        parts = []
        for k, layer in enumerate(model.body.layout.places):
            for name, (_, shape) in layer.items():
                part = arrays[f"layer{k}.{name}"]
                if part.shape != shape or part.dtype != np.float32:
                    raise ValueError(
                        f"layer{k}.{name} has shape {part.shape} and type {part.dtype} for {shape}, float32"
                    )
                parts.append(part.ravel())
        model.w = np.concatenate(parts)
        return model
