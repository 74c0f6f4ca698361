"""A problem: data by a function that makes them, and what is minimised on them."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .objective import Objective

CACHE = Path(os.environ.get("DESCENDER_BENCH_CACHE", Path(__file__).parent / "cache"))
"""Where data and bottoms are kept between runs; git ignores it."""


class Data(NamedTuple):
    """Rows (n, d), dense in C order or CSR, float32 or float64; targets (n,) in float64, classes as 0, 1, 2 ..."""

    X: Any
    y: NDArray[np.float64]

    @property
    def dense(self) -> bool:
        """Whether the rows are an array."""
        return isinstance(self.X, np.ndarray)

    def head(self) -> Data:
        """A few rows with every class among them, to load and compile on."""
        first = np.concatenate([np.flatnonzero(self.y == k)[:3] for k in np.unique(self.y)[:200]])
        rows = np.union1d(first, np.arange(min(400, len(self.y))))
        return Data(self.X[rows], self.y[rows])


@dataclass(frozen=True)
class Problem:
    """`make` returns the rows and targets; `regime` is one of regimes.py; `real` tells data from numbers drawn."""

    name: str
    regime: str
    make: Callable[[], tuple[Any, Any]]
    objective: Objective
    real: bool = True
    quick: bool = False
    """Whether it is small enough for the selection that runs in a minute or two."""

    @cached_property
    def data(self) -> Data:
        """The rows and targets, from the cache where they are in it."""
        folder = CACHE / "data" / f"{self.make.__name__.strip('_')}-{self._key}"
        if not (folder / "y.npy").exists():
            save(folder, tidy(*self.make()))
        return load(folder)

    @cached_property
    def _key(self) -> str:
        """Changes with the file that makes the data."""
        text = inspect.getsource(inspect.getmodule(self.make))  # type: ignore[arg-type]
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def stem(self) -> str:
        """A file name that changes with the data and the objective."""
        text = json.dumps([self._key, self.make.__name__, repr(self.objective)])
        return f"{self.name.replace(' ', '-')}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    @property
    def classes(self) -> int:
        """K of softmax, 1 of all else."""
        return int(self.data.y.max()) + 1 if self.objective.loss == "softmax" else 1


def tidy(X: Any, y: Any) -> Data:
    """Rows in the one form in which they are kept."""
    if sparse.issparse(X):
        X = sparse.csr_matrix(X)
        X.sum_duplicates()
    else:
        X = np.ascontiguousarray(X)
    return Data(X, np.asarray(y, dtype=np.float64))


def save(folder: Path, data: Data) -> None:
    """Write them as plain arrays; y comes last, and its presence says that all is there."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"X": data.X} if data.dense else {name: getattr(data.X, name) for name in ("data", "indices", "indptr")}
    if not data.dense:
        np.save(folder / "shape.npy", np.array(data.X.shape))
    for name, part in parts.items():
        np.save(folder / f"{name}.npy", part)
    np.save(folder / "part.npy", data.y)
    (folder / "part.npy").rename(folder / "y.npy")


def load(folder: Path) -> Data:
    """Read what `save` wrote."""
    y = np.load(folder / "y.npy")
    if (folder / "X.npy").exists():
        return Data(np.load(folder / "X.npy"), y)
    parts = tuple(np.load(folder / f"{name}.npy") for name in ("data", "indices", "indptr"))
    X = sparse.csr_matrix(parts, shape=tuple(np.load(folder / "shape.npy")))
    X.has_canonical_format = True
    return Data(X, y)
