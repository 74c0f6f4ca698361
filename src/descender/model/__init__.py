"""Fitted models: predict, and one file to keep each in.  :class:`Model` is what a linear one and a network share."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from descender import cards
from descender.costs.certificate import Certificate
from descender.costs.losses import read_loss
from descender.data.blocks import Blocks, open_blocks
from descender.data.columns import Odd
from descender.data.encode import Encoder
from descender.data.kinds import kind_name
from descender.data.target import TASKS, TargetCoding
from descender.errors import CapabilityError, OptionError, RecordError, ShapeError
from descender.record import plain, write_beside


@dataclass
class Model:
    """What every fitted model has: how to read new rows, what to make of their scores, and a file to keep it in.

    :class:`~descender.model.linear.LinearModel` and :class:`~descender.model.network.NetworkModel` say how a row is
    scored; :meth:`load` gives the one that a file holds.

    >>> import descender
    >>> model = descender.fit("example:iris", "species").model
    >>> model.predict("example:iris")[:2].tolist()
    ['setosa', 'setosa']
    """

    encoder: Encoder
    coding: TargetCoding
    loss: str
    certificate: Certificate | None = field(default=None, kw_only=True)
    facts: dict[str, Any] = field(default_factory=dict, kw_only=True)

    format: ClassVar[str]
    """The first words of its file."""

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features."""
        return self.encoder.features

    @property
    def outputs(self) -> tuple[int, ...]:
        """The shape of the scores of a row: () for one, (K,) for one of each of K classes."""
        return (len(self.coding.classes),) if self.coding.task == "multiclass" else ()

    def _repr_html_(self) -> str:
        """What a notebook shows: what it predicts from what, and how sure it is."""
        pairs = [
            ("predicts", f"{self.coding.name} ({self.coding.task})"),
            ("loss", self.loss),
            ("features", f"{len(self.features):,}: {', '.join(self.features[:8])}" + " ..." * (len(self.features) > 8)),
            ("classes", ", ".join(map(str, self.coding.classes[:12]))),
            ("certificate", self.certificate and str(self.certificate)),
        ]
        return cards.card(type(self).__name__, cards.facts(pairs), self._card())

    def _card(self) -> str:
        """What a kind of model adds to that."""
        return ""

    def scores(self, X: Any) -> NDArray[np.float64]:
        """The scores of encoded rows: (n,) or (n, K)."""
        raise TypeError(f"{type(self).__name__} does not define scores")

    def table_scores(self, table: Any, numbers: NDArray, odd: dict[str, Odd] | None = None) -> NDArray[np.float64]:
        """The scores of the rows of a table, which errors call by `numbers`; a row's bits depend on that row only."""
        raise TypeError(f"{type(self).__name__} does not define table_scores")

    def parts(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """The arrays that its file holds, and plain facts beside them."""
        raise TypeError(f"{type(self).__name__} does not define parts")

    @classmethod
    def of_parts(cls, common: Mapping[str, Any], arrays: Mapping[str, NDArray], facts: Mapping[str, Any]) -> Model:
        """The model that :meth:`parts` told of; a :class:`ValueError` where they do not fit each other."""
        raise TypeError(f"{cls.__name__} does not define of_parts")

    def answers(self, data: Any, question: Callable[[NDArray], NDArray]) -> NDArray:
        """What `question` makes of the scores of all rows of `data`."""
        if isinstance(data, list | tuple):
            data = _matrix(data)
        with self.open(data) as (_, blocks):
            found = [question(scores) for _, scores in blocks]
        return np.concatenate(found) if found else question(np.empty((0, *self.outputs)))

    @contextlib.contextmanager
    def open(
        self, data: Any, keep: Sequence[str] = (), sql: str | None = None, odd: dict[str, Odd] | None = None
    ) -> Iterator[tuple[Blocks, Iterator[tuple[Any, NDArray[np.float64]]]]]:
        """What `data` are, and their rows with their scores, block by block, read once and in constant memory.

        The bits of a row's scores depend on that row only: not on the others, nor on the form that the data have.
        `odd` counts the cells that are missing and those of a category rare or unseen in training, by column.
        """
        kinds = {column.name: kind_name(column) for column in self.encoder.columns}
        with open_blocks(data, kinds, keep, sql) as blocks:
            self.encoder.check(blocks.names)
            yield blocks, self._scored(blocks, odd)

    def _scored(self, blocks: Blocks, odd: dict[str, Odd] | None) -> Iterator[tuple[Any, NDArray[np.float64]]]:
        first = 1
        for table in blocks:
            numbers = np.arange(first, first + table.num_rows)
            yield table, self.table_scores(table, numbers, odd)
            first += table.num_rows

    def decision_function(self, data: Any) -> NDArray[np.float64]:
        """The scores of the rows of `data`, anything that ``open_source`` reads; columns are found by name."""
        return self.answers(data, lambda z: z)

    def predict_proba(self, data: Any) -> NDArray[np.float64]:
        """The probability of each class, (n, classes).

        Raises :class:`CapabilityError` for a regression, and for a loss whose scores have none, such as hinge.
        """
        return self.answers(data, self.probabilities)

    def predict(self, data: Any) -> NDArray:
        """The predicted numbers, or the most probable classes (the first of equals)."""
        return self.answers(data, self.labels)

    @property
    def has_probabilities(self) -> bool:
        """Whether its scores are those of probabilities."""
        return bool(self.coding.classes) and read_loss(self.loss).probability

    def probabilities(self, scores: NDArray) -> NDArray[np.float64]:
        """The probability of each class, (n, classes), by the scores of rows; errors as in :meth:`predict_proba`."""
        if not self.coding.classes:
            raise CapabilityError("a regression has no probabilities; use predict")
        loss = read_loss(self.loss)
        if not loss.probability:
            raise CapabilityError(f"the scores of {self.loss} are no probabilities; use predict, or fit with log_loss")
        if scores.ndim == 2:
            return loss.predict(scores.T).T
        p = np.clip(loss.predict(scores), 0.0, 1.0)
        return np.column_stack([1.0 - p, p])

    def labels(self, scores: NDArray) -> NDArray:
        """The predicted numbers, or the most probable classes, by the scores of rows."""
        if not self.coding.classes:
            return read_loss(self.loss).predict(scores)
        return self.coding.decode(
            scores.argmax(axis=1) if scores.ndim == 2 else scores > read_loss(self.loss).threshold
        )

    def save(self, path: str | os.PathLike) -> Path:
        """Write one safetensors file; loading it runs no code.  Written beside and renamed."""
        from safetensors.numpy import save

        path = Path(path)
        arrays, own = self.parts()
        facts = own | {
            "format": self.format,
            "encoder": self.encoder.to_json(),
            "target": self.coding.to_json(),
            "loss": self.loss,
            "certificate": self.certificate._asdict() if self.certificate else None,
            "facts": self.facts,
        }
        facts = json.loads(json.dumps(facts, default=plain))
        facts["sha256"] = _digest(arrays, facts)
        blob = save(arrays, metadata={"descender": json.dumps(facts)})
        write_beside(path, lambda file: file.write(blob))
        return path

    @staticmethod
    def load(path: str | os.PathLike) -> Model:
        """Read what :meth:`save` wrote.  Raises :class:`RecordError` for a file that is damaged or not ours."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(os.fspath(path), framework="numpy") as file:
                facts = json.loads((file.metadata() or {}).get("descender", "{}"))
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        except FileNotFoundError:
            raise RecordError(f"no model at {path}") from None
        except (SafetensorError, OSError, ValueError, RecursionError) as error:
            raise RecordError(f"{path} cannot be read as a model ({error}): expected a file that a fit saved") from None
        kinds = {kind.format: kind for kind in _kinds()}
        found = str(facts.get("format")) if isinstance(facts, dict) else ""
        if found not in kinds:
            raise RecordError(f"{path} is not a model of descender{_other_version(found, kinds)}")
        kind = kinds[found]
        try:
            if _digest(arrays, facts) != facts["sha256"]:
                raise ValueError("it is not what was saved")
            common = {
                "encoder": Encoder.from_json(facts["encoder"]),
                "coding": TargetCoding.from_json(facts["target"]),
                "loss": facts["loss"],
                "certificate": Certificate(**facts["certificate"]) if facts["certificate"] else None,
                "facts": dict(facts["facts"]),
            }
            model = kind.of_parts(common, arrays, facts)
            _check(model)
        except (KeyError, TypeError, IndexError, AttributeError, RecursionError, ValueError) as error:
            reason = error if isinstance(error, ValueError) else repr(error)
            raise RecordError(f"{path} is a damaged model ({reason}); fit it again") from None
        return model


def _other_version(found: str, known: Iterable[str]) -> str:
    """A word on a format that another version has written.

    >>> _other_version("descender model 9", ["descender model 2"])
    ' that this version reads: it is "descender model 9", and known are "descender model 2"; fit it again'
    """
    if re.fullmatch(r"descender [a-z]+ \d+", found) is None:
        return ""
    names = ", ".join(f'"{name}"' for name in known)
    return f' that this version reads: it is "{found}", and known are {names}; fit it again'


def _kinds() -> tuple[type[Model], ...]:
    from descender.model.linear import LinearModel
    from descender.model.network import NetworkModel

    return LinearModel, NetworkModel


def _digest(arrays: Mapping[str, NDArray], facts: Mapping[str, Any]) -> str:
    """What tells this model from any other."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        found.update(arrays[name].tobytes())
    told = {key: value for key, value in facts.items() if key != "sha256"}
    found.update(json.dumps(told, sort_keys=True).encode())
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
    units = np.array([(feature.mean, feature.scale) for feature in model.encoder.details], dtype=np.float64)
    if not all(np.isfinite(part).all() for part in (*model.parts()[0].values(), units)):
        raise ValueError("numbers that are not finite")


def _matrix(rows: Sequence[Any]) -> NDArray:
    """Lists of lists as an array."""
    try:
        return np.asarray(rows)
    except ValueError:
        raise ShapeError("the rows are lists of different lengths: expected one cell for each column") from None
