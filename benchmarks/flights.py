"""From a file to a model that can be trusted: descender and pandas + ColumnTransformer + LogisticRegression(lbfgs).

Both start as a fresh process from the same CSV file with the flights that left New York in 2013 (336,776 rows), hold
out a fifth, encode numbers, categories and the date, and fit log loss with the same l2 strength.  descender also judges
its model and writes the report.  scikit-learn gets the largest `tol` with which it comes within a relative 1e-6 of the
minimum of its own cost, which is checked against our certified one.  The least of two turns, taken in rotation.

Then the memory of a dense fit: how far the process grows beyond the data, in sizes of the design matrix.

    python benchmarks/flights.py
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

L2, TURNS, WANTED = 1e-5, 2, 1e-6
MEASURED = (("300000", "100"), ("60000", "40"))
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7)
NUMBERS = [
    "month", "day", "dep_time", "sched_dep_time", "dep_delay", "sched_arr_time", "flight", "air_time", "distance",
    "hour", "minute",
]  # fmt: skip
CATEGORIES = ["carrier", "tailnum", "origin", "dest"]
TARGET, EXCLUDED = "late = arr_delay > 15", "arr_delay,arr_time"


def write_flights(path: Path) -> None:
    """The flights as a CSV file."""
    import pyarrow.csv

    from descender.data.source import open_source

    pyarrow.csv.write_csv(open_source("example:flights").table, path)


def peer(path: str, tol: float | None) -> dict[str, Any]:
    """Read, encode and fit with pandas and scikit-learn; without a `tol` also find the largest that is near enough."""
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = pd.read_csv(path, parse_dates=["time_hour"]).dropna(subset=["arr_delay"])
    y = (table["arr_delay"] > 15).to_numpy(dtype=float)
    times = table["time_hour"].dt
    parts = {"weekday": times.weekday.astype(str), "of_month": times.month.astype(str), "at": times.hour.astype(str)}
    table = table.assign(**parts)
    rows = len(y)
    encode = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), NUMBERS),
            ("categories", OneHotEncoder(min_frequency=262, handle_unknown="infrequent_if_exist"),
             [*CATEGORIES, *parts]),
        ]
    )  # fmt: skip
    train, held, y_train, y_held = train_test_split(table, y, test_size=0.2, random_state=0)
    X, X_held = encode.fit_transform(train), encode.transform(held)
    model = LogisticRegression(C=1.0 / (L2 * len(y_train)), max_iter=100_000)
    found: dict[str, Any] = {"rows": rows}
    if tol is not None:
        model.set_params(tol=tol).fit(X, y_train)
    else:
        found |= near_enough(model, X, y_train)
    return found | {"log_loss": log_loss(y_held, model.predict_proba(X_held)[:, 1])}


def near_enough(model: Any, X: Any, y: Any) -> dict[str, float]:
    """Fit with smaller and smaller `tol`, until the cost is near enough to the certified minimum."""
    from descender import minimize
    from descender.costs.risk import Risk

    risk = Risk(X, y, "log_loss", l2=L2)
    best = minimize(risk, tol=1e-8)
    assert best.certificate is not None
    for tol in TOLERANCES:
        model.set_params(tol=tol).fit(X, y)
        here = risk.value(np.append(model.coef_[0], model.intercept_))
        if (relative := (here - best.fun) / best.fun) <= WANTED:
            break
    return {"tol": tol, "relative": relative}


def timed(command: list[str]) -> tuple[tuple[float, float], str]:
    """The seconds that a process takes, by the clock and of the processor, and what it prints."""
    began, used = time.perf_counter(), _processor()
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    return (time.perf_counter() - began, _processor() - used), ran.stdout


def _processor() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def race(folder: Path) -> None:
    """File to report, in processes of their own."""
    path = folder / "flights.csv"
    write_flights(path)
    me = [sys.executable, __file__]
    told = json.loads(timed([*me, "peer", str(path)])[1])
    mine = [sys.executable, "-m", "descender", "fit", str(path), "--target", TARGET, "--exclude", EXCLUDED,
            "--l2", str(L2), "--no-compare", "--out", str(folder), "--json"]  # fmt: skip
    times: list[list[tuple[float, float]]] = [[], []]
    for _ in range(TURNS):
        seconds, text = timed(mine)
        times[0].append(seconds)
        times[1].append(timed([*me, "peer", str(path), str(told["tol"])])[0])
    ours = json.loads(text)
    assert ours["certificate"]["relative"] <= WANTED
    (a, a_cpu), (b, b_cpu) = (tuple(map(min, zip(*spent, strict=True))) for spent in times)
    print(f"flights, {told['rows']:,} rows, file to model, l2 = {L2}; seconds by the clock, and of the processor")
    gap, loss = ours["certificate"]["relative"], ours["metrics"]["holdout"]["log_loss"]
    print(f"  descender, report and all {a:7.2f} {a_cpu:7.2f}   within {gap:.0e}, held-out log loss {loss:.4f}")
    gap, loss = told["relative"], told["log_loss"]
    print(f"  pandas and scikit-learn   {b:7.2f} {b_cpu:7.2f}   within {gap:.0e}, held-out log loss {loss:.4f}")
    print(f"  the latter takes {b / a:.1f} times as long by the clock, {b_cpu / a_cpu:.1f} times on the processor")


def memory(n: int = 300_000, d: int = 100) -> None:
    """How far a dense fit grows beyond the table that is its data, in sizes of the design matrix."""
    import pyarrow as pa

    from descender import fit

    rng = np.random.default_rng(0)
    columns = {f"x{j}": pa.array(rng.normal(size=n)) for j in range(d)}
    late = columns["x0"].to_numpy() + rng.logistic(size=n) > 0
    data = pa.table(columns | {"late": pa.array(late)})
    fit(data.slice(0, 2000), "late", l2=L2)  # what is loaded, is loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    fit(data, "late", l2=L2)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / (8 * n * d)
    print(f"a dense fit of {n:,} x {d} grows by {grown:.2f} sizes of the design matrix beyond its data")


def main() -> None:
    """The race and the memory, or one of its contenders."""
    if sys.argv[1:2] == ["peer"]:
        print(json.dumps(peer(sys.argv[2], float(sys.argv[3]) if sys.argv[3:] else None)))
    elif sys.argv[1:2] == ["memory"]:
        memory(*map(int, sys.argv[2:]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            race(Path(folder))
        for shape in MEASURED:
            print(timed([sys.executable, __file__, "memory", *shape])[1].strip())


if __name__ == "__main__":
    main()
