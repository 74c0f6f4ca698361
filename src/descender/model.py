"""A fitted linear model: predict, coefficients in raw units, one file to keep it in."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import Certificate
from descender.costs.losses import read_loss
from descender.data.encode import Encoder
from descender.data.source import open_source
from descender.data.target import TASKS, TargetCoding
from descender.errors import CapabilityError, OptionError, RecordError, ShapeError
from descender.record import plain, write_beside

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
        if isinstance(data, list | tuple):
            data = _matrix(data)
        table = open_source(data, least_rows=0).table
        for start in range(0, max(table.num_rows, 1), PREDICT_ROWS):
            part = table.slice(start, PREDICT_ROWS)
            numbers = np.arange(start + 1, start + part.num_rows + 1)
            yield self.scores(self.encoder.transform(part, row_numbers=numbers))

    def decision_function(self, data: Any) -> NDArray[np.float64]:
        """The scores of the rows of `data`, anything that ``open_source`` reads; columns are found by name."""
        return np.concatenate(list(self._blocks(data)))

    def predict_proba(self, data: Any) -> NDArray[np.float64]:
        """The probability of each class, (n, classes).

        Raises :class:`CapabilityError` for a regression, and for a loss whose scores have none, such as hinge.
        """
        if not self.coding.classes:
            raise CapabilityError("a regression has no probabilities; use predict")
        loss = read_loss(self.loss)
        if not loss.probability:
            raise CapabilityError(f"the scores of {self.loss} are no probabilities; use predict, or fit with log_loss")
        z = self.decision_function(data)
        if z.ndim == 2:
            return loss.predict(z.T).T
        p = np.clip(loss.predict(z), 0.0, 1.0)
        return np.column_stack([1.0 - p, p])

    def predict(self, data: Any) -> NDArray:
        """The predicted numbers, or the most probable classes (the first of equals)."""
        if not self.coding.classes:
            return read_loss(self.loss).predict(self.decision_function(data))
        z = self.decision_function(data)
        return self.coding.decode(z.argmax(axis=1) if z.ndim == 2 else z > read_loss(self.loss).threshold)

    def save(self, path: str | os.PathLike) -> Path:
        """Write one safetensors file; loading it runs no code.  Written beside and renamed."""
        from safetensors.numpy import save

        path = Path(path)
        arrays = {"weights": np.ascontiguousarray(self.weights), "intercept": np.atleast_1d(self.intercept)}
        facts = {
            "format": FORMAT,
            "sha256": _digest(arrays),
            "encoder": self.encoder.to_json(),
            "target": self.coding.to_json(),
            "loss": self.loss,
            "certificate": self.certificate._asdict() if self.certificate else None,
            "facts": self.facts,
        }
        blob = save(arrays, metadata={"descender": json.dumps(facts, default=plain)})
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
        except (SafetensorError, OSError, ValueError, RecursionError) as error:
            raise RecordError(f"{path} cannot be read as a model: {error}") from None
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            raise RecordError(f"{path} is not a model of descender (or of a version that this one does not know)")
        try:
            weights, intercept = arrays["weights"], arrays["intercept"]
            if _digest(arrays) != facts["sha256"]:
                raise ValueError("its numbers are not those that were saved")
            certificate = Certificate(**facts["certificate"]) if facts["certificate"] else None
            encoder, coding = Encoder.from_json(facts["encoder"]), TargetCoding.from_json(facts["target"])
            intercept = intercept if weights.ndim > 1 else intercept.reshape(())
            model = cls(encoder, coding, facts["loss"], weights, intercept, certificate, dict(facts["facts"]))
            _check(model)
        except (KeyError, TypeError, IndexError, AttributeError, RecursionError, ValueError) as error:
            reason = error if isinstance(error, ValueError) else repr(error)
            raise RecordError(f"{path} is a damaged model ({reason}); fit it again") from None
        return model


def _digest(arrays: Mapping[str, NDArray]) -> str:
    """What tells these arrays from others."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        found.update(arrays[name].tobytes())
    return found.hexdigest()


def _check(model: Model) -> None:
    """Refuse a model whose parts do not fit each other, with a :class:`ValueError`."""
    loss, task, classes = model.loss, model.coding.task, len(model.coding.classes)
    try:
        tasks = read_loss(loss).tasks
    except OptionError:
        tasks = ()
    if not tasks or task not in TASKS:
        raise ValueError(f"loss {loss!r} and task {task!r}, of which one is unknown")
    if task not in tasks:
        raise ValueError(f"the loss {loss} for a {task} target")
    if classes != {"binary": 2, "regression": 0}.get(task, max(classes, 2)):
        raise ValueError(f"{classes} classes for a {task} target")
    outputs = (classes,) if task == "multiclass" else ()
    expected = (*outputs, len(model.features))
    if model.weights.shape != expected or model.intercept.shape != outputs:
        raise ValueError(f"weights of shape {model.weights.shape} for {expected}")
    units = np.array([(feature.mean, feature.scale) for feature in model.encoder.details], dtype=np.float64)
    if not all(np.isfinite(part).all() for part in (model.weights, model.intercept, units)):
        raise ValueError("numbers that are not finite")


def _matrix(rows: Sequence[Any]) -> NDArray:
    """Lists of lists as an array."""
    try:
        return np.asarray(rows)
    except ValueError:
        raise ShapeError("the rows are lists of different lengths: expected one cell for each column") from None
