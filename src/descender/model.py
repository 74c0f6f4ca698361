"""A fitted linear model: predict, coefficients in raw units, one file to keep it in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import Certificate
from descender.costs.losses import LOSSES, Softmax
from descender.data.encode import Encoder
from descender.data.source import open_source
from descender.data.target import TargetCoding
from descender.errors import CapabilityError, RecordError
from descender.record import write_beside

FORMAT = "descender model 1"
PREDICT_ROWS = 65_536
"""Rows that are encoded and scored at a time; the grid depends on the row's index alone."""


@dataclass
class Model:
    """A linear model with everything it needs to read new rows.

    ``weights`` are (features,) for one score a row, (classes, features) for softmax, in the encoder's units;
    :attr:`coefficients` are in the units of the data.

    >>> import descender
    >>> model = descender.fit("example:iris", "species").model
    >>> model.predict("example:iris")[:2].tolist()
    ['setosa', 'setosa']
    """

    encoder: Encoder
    coding: TargetCoding
    loss: str
    weights: NDArray[np.float64]
    intercept: NDArray[np.float64]
    certificate: Certificate | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features."""
        return self.encoder.features

    @property
    def coefficients(self) -> NDArray[np.float64]:
        """The change of the score per unit of each number and per level of the others: (features,) or (features, K)."""
        return self.encoder.raw(self.weights.T, self.intercept)[0]

    @property
    def raw_intercept(self) -> NDArray[np.float64]:
        """The score where every number is 0 and every level is the left-out one."""
        return self.encoder.raw(self.weights.T, self.intercept)[1]

    def scores(self, X: NDArray) -> NDArray[np.float64]:
        """The scores of encoded rows: (n,) or (n, K)."""
        return X @ self.weights.T + self.intercept

    def _blocks(self, data: Any) -> Iterator[NDArray]:
        table = data if hasattr(data, "column_names") and hasattr(data, "slice") else None
        table = table if table is not None else open_source(data, least_rows=1).table
        for start in range(0, table.num_rows, PREDICT_ROWS):
            part = table.slice(start, PREDICT_ROWS)
            numbers = np.arange(start + 1, start + part.num_rows + 1)
            yield self.scores(self.encoder.transform(part, row_numbers=numbers))

    def decision_function(self, data: Any) -> NDArray[np.float64]:
        """The scores of the rows of `data`, anything that ``open_source`` reads; columns are found by name."""
        return np.concatenate(list(self._blocks(data)))

    def predict_proba(self, data: Any) -> NDArray[np.float64]:
        """The probability of each class, (n, classes).  Raises :class:`CapabilityError` for a regression."""
        if not self.coding.classes:
            raise CapabilityError("a regression has no probabilities; use predict")
        z = self.decision_function(data)
        if z.ndim == 2:
            return Softmax.predict(z.T).T
        p = LOSSES[self.loss].predict(z)
        return np.column_stack([1.0 - p, p])

    def predict(self, data: Any) -> NDArray:
        """The predicted numbers, or the most probable classes (the first of equals)."""
        if not self.coding.classes:
            return LOSSES[self.loss].predict(self.decision_function(data))
        z = self.decision_function(data)
        return self.coding.decode(z.argmax(axis=1) if z.ndim == 2 else z > 0)

    def save(self, path: str | os.PathLike) -> Path:
        """Write one safetensors file; loading it runs no code.  Written beside and renamed."""
        from safetensors.numpy import save

        path = Path(path)
        facts = {
            "format": FORMAT,
            "encoder": self.encoder.to_json(),
            "target": self.coding.to_json(),
            "loss": self.loss,
            "certificate": self.certificate._asdict() if self.certificate else None,
            "facts": self.facts,
        }
        arrays = {"weights": np.ascontiguousarray(self.weights), "intercept": np.atleast_1d(self.intercept)}
        blob = save(arrays, metadata={"descender": json.dumps(facts)})
        write_beside(path, lambda file: file.write(blob))
        return path

    @classmethod
    def load(cls, path: str | os.PathLike) -> Model:
        """Read what :meth:`save` wrote.  Raises :class:`RecordError` for a file that is damaged or not ours."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(os.fspath(path), framework="numpy") as file:
                facts = json.loads((file.metadata() or {}).get("descender", "{}"))
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        except FileNotFoundError:
            raise RecordError(f"no model at {path}") from None
        except (SafetensorError, OSError, ValueError) as error:
            raise RecordError(f"{path} cannot be read as a model: {error}") from None
        if facts.get("format") != FORMAT:
            raise RecordError(f"{path} is not a model of descender (or of a version that this one does not know)")
        try:
            weights, intercept = arrays["weights"], arrays["intercept"]
            if weights.ndim == 1:
                intercept = intercept[0]
            certificate = Certificate(**facts["certificate"]) if facts["certificate"] else None
            encoder, coding = Encoder.from_json(facts["encoder"]), TargetCoding.from_json(facts["target"])
            if weights.shape[-1] != len(encoder.features):
                raise RecordError(f"{path}: {weights.shape[-1]} weights for {len(encoder.features)} features")
            return cls(encoder, coding, facts["loss"], weights, intercept, certificate, facts["facts"])
        except (KeyError, TypeError) as error:
            raise RecordError(f"{path} is a damaged model: {error!r}; fit it again") from None
