"""A saved model and its data: does its certificate hold?"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.risk import Risk
from descender.errors import CapabilityError, DataError, OptionError
from descender.model import Model
from descender.model.linear import LinearModel
from descender.model.network import NetworkModel
from descender.verbs.certify import TOL, Verdict, judge
from descender.verbs.fit_network import network_cost
from descender.verbs.objectives import Objective
from descender.verbs.table import Progress, Roles, Teller, class_weights, hold_out, read_table

SAME, SAME_NETWORK = 1e-9, 1e-5
"""The relative difference of the cost above which the data are others than those of the fit; a network has float32."""
PICKLES = (".pkl", ".pickle", ".joblib")


@dataclass
class Verified:
    """What :func:`verify` found: the verdict, whether the data are those of the fit, and what is to be said."""

    path: str
    verdict: Verdict
    same_data: bool
    stored: dict[str, Any] | None
    told: list[str] = field(default_factory=list)
    network: bool = False

    @property
    def ok(self) -> bool:
        """Whether the model is within the tolerance of the minimum of its cost on these data.

        The cost of a network is not convex, and nobody knows its minimum: a network is ok if its cost on these data is
        what it was when it was fitted.
        """
        return self.same_data if self.network else self.verdict.ok

    def __str__(self) -> str:
        if not self.network:
            return str(self.verdict)
        head = "as it was fitted" if self.ok else "not as it was fitted, or not on its data"
        lines = [f"the network is {head}; a certificate it has none, as its cost is not convex"]
        return "\n".join(
            [*lines, f"  its objective   {self.verdict.objective}", f"  its cost        {self.verdict.value:.9g}"]
        )

    def as_json(self) -> dict[str, Any]:
        """Plain data: the schema of ``descender verify --json``."""
        found = {"model": self.path, "same_data": self.same_data, "stored": self.stored, "told": self.told}
        return self.verdict.as_json() | found | {"ok": self.ok}


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
    network = isinstance(loaded, NetworkModel)
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
    X, y, weight = _rows(loaded, recipe, table, held)
    if len(y) != loaded.facts["n_rows"]:
        told.append(f"{len(y):,} training rows, where the fit had {loaded.facts['n_rows']:,}")
    if isinstance(loaded, NetworkModel):
        verdict, then = _network_verdict(loaded, X, y, weight, tol), loaded.facts["cost"]
    else:
        assert isinstance(loaded, LinearModel)
        verdict = _linear_verdict(loaded, recipe, X, y, weight, tol)
        then = loaded.certificate.value if loaded.certificate is not None else None
    same = SAME_NETWORK if network else SAME
    if then is not None and abs(verdict.value - then) > same * max(abs(then), verdict.unit):
        told.append(f"its cost here is {verdict.value:.9g}, and it was {then:.9g} when it was fitted")
    if told:
        told.append("so these are not the data that it was fitted to, or not as they were")
    stored = loaded.certificate._asdict() if loaded.certificate is not None else None
    return Verified(os.fspath(model), verdict, not told, stored, told, network)


def _rows(model: Model, recipe: dict[str, Any], table: Any, held: Any) -> tuple[Any, NDArray, NDArray | None]:
    """The training rows of a table as the model encodes them, their targets, and what each counts."""
    import pyarrow as pa

    model.encoder.check(table.inputs.column_names)
    X = model.encoder.transform(table.inputs.filter(pa.array(~held)), row_numbers=table.numbers(~held))
    y = table.y[~held].astype(np.float64)
    weight = None if table.weight is None else table.weight[~held]
    by_class = class_weights(recipe["class_weight"], table.coding, y, weight)
    if by_class is not None:
        weight = (1.0 if weight is None else weight) * by_class[y.astype(np.intp)]
    return X, y, weight


def _linear_verdict(
    model: LinearModel, recipe: dict[str, Any], X: Any, y: NDArray, weight: NDArray | None, tol: float
) -> Verdict:
    """The cost that the model was fitted to, and how far above its minimum the model is."""
    risk = Risk(
        X, y, model.loss, l2=model.facts["l2"], l1=model.facts["l1"], reduction=recipe["reduction"],
        sample_weight=weight, features=model.features, n_classes=len(model.coding.classes) or None,
    )  # fmt: skip
    point = risk.join(model.weights, model.intercept)
    shape = model.weights.shape, model.intercept.shape
    return judge(Objective("model", [risk], [point], lambda W, b: (W.reshape(shape[0]), b.reshape(shape[1]))), tol)


def _network_verdict(model: NetworkModel, X: Any, y: NDArray, weight: NDArray | None, tol: float) -> Verdict:
    """The cost that the network was trained on; of its minimum nothing is known but that no loss is below 0."""
    value = network_cost(model, X, y, weight).value(model.w)
    return Verdict(
        "network", f"the mean {model.loss} of {model.described}, plus {model.facts['l2']:.3g} |W|²/2", value,
        np.nan, 0.0, np.nan, np.nan, "no loss is below 0", False, value, tol, [], [],
    )  # fmt: skip
