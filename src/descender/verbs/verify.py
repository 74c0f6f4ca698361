"""A saved model and its data: does its certificate hold?"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from descender.costs.risk import Risk
from descender.errors import CapabilityError, DataError, OptionError
from descender.model import Model
from descender.verbs.certify import TOL, Verdict, judge
from descender.verbs.objectives import Objective
from descender.verbs.table import Progress, Roles, Teller, class_weights, hold_out, read_table

SAME = 1e-9
"""The relative difference of the cost above which the data are others than those of the fit."""
PICKLES = (".pkl", ".pickle", ".joblib")


@dataclass
class Verified:
    """What :func:`verify` found: the verdict, whether the data are those of the fit, and what is to be said."""

    path: str
    verdict: Verdict
    same_data: bool
    stored: dict[str, Any] | None
    told: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the model is within the tolerance of the minimum of its cost on these data."""
        return self.verdict.ok

    def as_json(self) -> dict[str, Any]:
        """Plain data: the schema of ``descender verify --json``."""
        found = {"model": self.path, "same_data": self.same_data, "stored": self.stored, "told": self.told}
        return self.verdict.as_json() | found


def verify(
    model: str | os.PathLike, data: Any, sql: str | None = None, *, tol: float = TOL, progress: Progress | None = None
) -> Verified:
    """Compute the certificate of a saved model again, on the data that it was fitted to, from nothing but its weights.

    The model file knows its target, its penalties, its seed and which rows were held out; which rows those are follows
    from their index and the seed.  The cost of the training rows is evaluated, descender walks to its bottom, and both
    are compared with what the file says.  Other data are told by another cost, another number of rows, or columns that
    are not there.

    Raises :class:`~descender.errors.RecordError` for a file that is no model of descender,
    :class:`~descender.errors.CapabilityError` for a pickle - loading one runs code - and for a model that was not
    fitted to a table, and :class:`~descender.errors.DataError` and its kinds for data that cannot be read.

    >>> import descender, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = descender.fit("example:iris", "species").model.save(folder + "/iris.descender")
    ...     found = verify(path, "example:iris")
    >>> found.ok, found.same_data, found.verdict.rigorous
    (True, True, True)
    """
    if isinstance(tol, bool) or not isinstance(tol, int | float | np.number) or not tol > 0:
        raise OptionError(f"tol={tol!r}: expected a positive relative gap")
    if Path(model).suffix in PICKLES:
        raise CapabilityError(
            f"{model} is a pickle, and loading one runs the code in it: load it yourself if you trust it, and call "
            "descender.certify(model, X, y) in Python"
        )
    loaded = Model.load(model)
    recipe = loaded.facts.get("recipe")
    if recipe is None:
        raise CapabilityError(
            f"{model} does not say how it was fitted: it learnt from a stream, or is of an older version; "
            "fit writes models that can be verified"
        )
    say = Teller(progress)
    roles = Roles(*(recipe[role] for role in Roles._fields))
    table = read_table(
        data, recipe["target"], recipe["excluded"], sql or recipe["sql"], recipe["task"], roles, say, loaded.loss
    )
    told: list[str] = []
    if tuple(table.coding.classes) != tuple(loaded.coding.classes):
        known, given = list(loaded.coding.classes), list(table.coding.classes)
        raise DataError(f"the classes of {table.name} are {given}; the model knows {known}")
    held = hold_out(table, recipe["holdout"], loaded.facts["seed"])
    risk = _risk(loaded, recipe, table, held)
    if len(risk.y) != loaded.facts["n_rows"]:
        told.append(f"{len(risk.y):,} training rows, where the fit had {loaded.facts['n_rows']:,}")
    point = risk.join(loaded.weights, loaded.intercept)
    shape = loaded.weights.shape, loaded.intercept.shape
    verdict = judge(Objective("model", [risk], [point], lambda W, b: (W.reshape(shape[0]), b.reshape(shape[1]))), tol)
    then = loaded.certificate.value if loaded.certificate is not None else None
    if then is not None and abs(verdict.value - then) > SAME * max(abs(then), verdict.unit):
        told.append(f"its cost here is {verdict.value:.9g}, and it was {then:.9g} when it was fitted")
    if told:
        told.append("so these are not the data that it was fitted to, or not as they were")
    stored = loaded.certificate._asdict() if loaded.certificate is not None else None
    return Verified(os.fspath(model), verdict, not told, stored, told)


def _risk(model: Model, recipe: dict[str, Any], table: Any, held: Any) -> Risk:
    """The cost that the model was fitted to, on the training rows of a table."""
    import pyarrow as pa

    model.encoder.check(table.inputs.column_names)
    X = model.encoder.transform(table.inputs.filter(pa.array(~held)), row_numbers=table.numbers(~held))
    y = table.y[~held].astype(np.float64)
    weight = None if table.weight is None else table.weight[~held]
    by_class = class_weights(recipe["class_weight"], table.coding, y, weight)
    if by_class is not None:
        weight = (1.0 if weight is None else weight) * by_class[y.astype(np.intp)]
    return Risk(
        X, y, model.loss, l2=model.facts["l2"], l1=model.facts["l1"], reduction=recipe["reduction"],
        sample_weight=weight, features=model.features, n_classes=len(model.coding.classes) or None,
    )  # fmt: skip
