"""D0xx: rows and columns."""

from __future__ import annotations

import numpy as np

from descender.doctor.loops.case import Case, Check, Remedy, Run, Suspect
from descender.doctor.loops.rates import higher, lower

SPREAD, FARTHEST = 100.0, 300.0
"""How many times the spread of one column is the median one, or the smallest, before scaling is tried."""
FAR, PULL = 30.0, 100.0
"""An outlier is so many times farther from the median than 99 of 100 rows, and pulls so many times as hard."""
ALMOST, OTHERS = 0.995, 0.9
"""A column that tells the target: what it explains, and what the next best one may."""

MUCH_LESS = 1e-2
"""Or the share of what the next best one leaves unexplained that it may leave."""
LARGE, NEARLY = 100.0, 0.1
"""The size of targets from which on their scale is tried; what another rate may explain less and still do as well."""

STANDARDISE = Remedy(
    "standardised columns", "X = (X - X.mean(0)) / X.std(0)  # and the same two for what is predicted",
    ("standardise", None),
)  # fmt: skip


def nan_input(case: Case) -> Suspect | None:
    """D014."""
    for name, values in (("X", case.X), ("y", case.y)):
        if values is None:
            continue
        bad = ~np.isfinite(values)
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            kind = "NaN" if np.isnan(values[row, column]) else "infinite"
            rows = int(bad.any(axis=1).sum())
            evidence = f"{name}[{row}, {column}] is {kind}; {rows:,} of {len(values):,} rows have such entries"
            if case.base.broken is not None:
                evidence += f", and at step {case.base.broken} the loss was no longer finite"
            keep = "keep = torch.isfinite(X).flatten(1).all(1) & torch.isfinite(y.float()).view(len(y), -1).all(1)\n"
            return Suspect(
                "nan-input", "critical", evidence,
                [Remedy("without these rows", keep + "X, y = X[keep], y[keep]", ("without rows", None))],
                {"row": row, "column": column, "of": name},
            )  # fmt: skip
    return None


def outlier_rows(case: Case) -> Suspect | None:
    """D012: far away from the others, in a column or the target."""
    if case.X is None or case.n < 20:
        return None
    found = far_rows(case)
    if found is None:
        return None
    of, row, column, times, rows = found
    pull = case.facts.get("pull", {}).get(row)
    if pull is not None and pull < PULL:
        return None
    value = (case.X if of == "X" else case.y)[row, column]  # type: ignore[index]
    what = f"X[{row}, {column}]" if of == "X" else f"y[{row}]"
    evidence = f"{what} = {value:.4g} is {times:,.0f} times as far from the median as 99 of 100 rows"
    if pull is not None:
        evidence += f", and its gradient is {pull:,.0f} times the median row's"
    remedies = [
        Remedy("without the row" if len(rows) == 1 else f"without {len(rows)} rows",
               f"keep = torch.ones(len(X), dtype=torch.bool); keep[{rows}] = False\nX, y = X[keep], y[keep]",
               ("without rows", rows)),
        Remedy("gradients clipped", "torch.nn.utils.clip_grad_norm_(module.parameters(), 2 * median_norm)",
               ("clip", 2.0 * float(np.nanmedian(case.base.raw)) if len(case.base.raw) else 1.0)),
    ]  # fmt: skip
    return Suspect("outlier-rows", "warning", evidence, remedies, {"row": row, "column": column, "of": of})


def far_rows(case: Case) -> tuple[str, int, int, float, list[int]] | None:
    """The value that is farthest out: of X or y, its row and column, by how much; and all rows that are so."""
    tables = [("X", case.X)] if case.tabular else []
    tables += [("y", case.y)] if case.targets != "classes" and not case.facts["restores"] else []
    for of, values in tables:
        found = farthest(values) if values is not None and len(values) >= 20 else None
        if found is not None:
            return (of, *found)
    return None


def farthest(values: np.ndarray) -> tuple[int, int, float, list[int]] | None:
    """The entry that is farthest out: its row, column and how far; and all rows that are so.  None where none is."""
    finite = np.where(np.isfinite(values), values, np.nan)
    with np.errstate(all="ignore"):
        away = np.abs(finite - np.nanmedian(finite, axis=0))
        usual = np.nanquantile(away, 0.99, axis=0)
    distinct = np.array([len(np.unique(column[:200])) > 10 for column in finite.T])
    times = np.nan_to_num(away / np.where((usual > 0) & distinct, usual, np.inf))
    rows = np.flatnonzero((times > FAR).any(axis=1))
    if not 0 < len(rows) <= max(1, len(values) // 100):
        return None
    row, column = np.unravel_index(int(times.argmax()), times.shape)
    return int(row), int(column), float(times[row, column]), rows.tolist()


def constant_columns(case: Case) -> Suspect | None:
    """D013: only told where every column is dense; pictures have corners that are always empty."""
    if case.X is None or not case.tabular or case.n < 20:
        return None
    X = case.X
    still = np.flatnonzero(np.ptp(X, axis=0) == 0) if np.isfinite(X).all() else np.array([], int)
    if not len(still):
        return None
    column = int(still[0])
    evidence = f"column {column} is {X[0, column]:.4g} in all rows" + (
        f", and {len(still) - 1} more are constant" if len(still) > 1 else ""
    )
    remedy, severity = Remedy("without it", "X = X[:, X.std(0) > 0]", ("without column", column)), "info"
    deviation = X.std(axis=0)
    if case.failed() and abs(X[0, column]) >= SPREAD * (
        np.median(deviation[deviation > 0]) if deviation.any() else 1.0
    ):
        run = case.rerun(remedy)
        if _revived(case, run):
            severity = "critical"
            evidence += f"; without it the training ends at {case.outcome(run)} instead of {case.outcome(case.base)}"
    return Suspect("constant-columns", severity, evidence, [remedy], {"column": column})


def _revived(case: Case, run: Run) -> bool:
    """Whether a run is repaired, or at least alive where numbers were lost."""
    alive = not case.base.finite and run.finite and run.end < run.start - 0.02 * abs(run.start)
    return case.repaired(run) or alive


def leaked_label(case: Case) -> Suspect | None:
    """D031: one column tells the target almost perfectly, and no other comes near."""
    if case.X is None or case.y is None or not case.tabular or case.X.shape[1] < 3 or case.y.shape[1] != 1:
        return None
    X, y = case.X, case.y[:, 0]
    rows = np.isfinite(X).all(axis=1) & np.isfinite(y)
    X, y = X[rows], y[rows]
    if len(y) < 30 or np.ptp(y) == 0:
        return None
    found = telling(X, y, case.targets == "classes")
    if found is None:
        return None
    best, told, second = found
    evidence = f"column {best} alone explains {min(told, 1.0):.1%} of the target, the next best {second:.0%}"
    return Suspect(
        "leaked-label", "info" if case.facts.get("whole columns") else "warning", evidence,
        [Remedy("without the column", f"X = X[:, [j for j in range(X.shape[1]) if j != {best}]]",
                ("without column", best))],
        {"column": best},
    )  # fmt: skip


def telling(X: np.ndarray, y: np.ndarray, classes: bool) -> tuple[int, float, float] | None:
    """The column that alone tells the target almost perfectly, what it and the next best explain; None if none does."""
    if classes:
        means = np.stack([X[y == k].mean(axis=0) for k in np.unique(y)])
        counts = np.array([(y == k).sum() for k in np.unique(y)])
        between = (counts[:, None] * (means - X.mean(axis=0)) ** 2).sum(axis=0) / len(y)
    else:
        centred = y - y.mean()
        between = (centred @ (X - X.mean(axis=0)) / len(y)) ** 2 / y.var()
    spread = X.var(axis=0)
    told = np.where(spread > 0, between / np.where(spread > 0, spread, 1.0), 0.0)
    order = np.argsort(told)
    best, second = int(order[-1]), int(order[-2])
    apart = told[second] <= OTHERS or 1.0 - told[best] < MUCH_LESS * (1.0 - told[second])
    if told[best] < ALMOST or not apart:
        return None
    return best, float(told[best]), float(told[second])


def unscaled_columns(case: Case) -> Suspect | None:
    """D011: columns that differ by orders of magnitude, and a training that standardised columns repair."""
    if case.X is None or not case.tabular or case.n < 10 or case.X.shape[1] < 1:
        return None
    X = case.X[np.isfinite(case.X).all(axis=1)]
    if not len(X):
        return None
    if not on_several_scales(X):
        return None
    run = case.rerun(STANDARDISE)
    if not _revived(case, run):
        return None
    deviation = X.std(axis=0)
    large, small = int(deviation.argmax()), int(np.where(deviation > 0, deviation, np.inf).argmin())
    evidence = (
        f"column {large} varies by {deviation[large]:.3g}, column {small} by {deviation[small]:.3g}; on standardised "
        f"columns the same training ends at {case.outcome(run)} instead of {case.outcome(case.base)}"
    )
    return Suspect("unscaled-columns", "critical", evidence, [STANDARDISE], {"column": large})


def unscaled_targets(case: Case) -> Suspect | None:
    """D016: targets far larger than what a module answers at first, and a training that standardised ones repair."""
    y = case.y
    if y is None or case.targets != "numbers" or y.shape[1] != 1 or not np.isfinite(y).all():
        return None
    deviation, middle = float(y.std()), float(y.mean())
    if not max(deviation, abs(middle)) >= LARGE or not deviation > 0:
        return None
    code = "y = (y - y.mean()) / y.std()  # and answers times the deviation, plus the mean"
    remedy = Remedy("standardised targets", code, ("loss", "standardised targets"))
    run = case.rerun(remedy)
    if not case.repaired(run):
        return None
    others = [case.rerun(rate(factor)) for factor in (10, 100) for rate in (higher, lower)]
    if any(other.finite and other.explained > run.explained - NEARLY for other in others):
        return None
    how = f"explains {run.explained:.0%} of the way to the lowest loss instead of {case.base.explained:.0%}"
    if not case.base.finite:
        how = f"ends at {case.outcome(run)} of their variance instead of {case.outcome(case.base)}"
    evidence = (
        f"the targets are {middle:.3g} in the mean and vary by {deviation:.3g}; with standardised targets the same "
        f"training {how}, and no other rate does as well"
    )
    return Suspect("unscaled-targets", "critical", evidence, [remedy])


def on_several_scales(X: np.ndarray) -> bool:
    """Whether a column varies far more than the others, all of them far from 1, or a mean is far from 0."""
    spread, size = X.std(axis=0), np.abs(X).max(axis=0)
    varies = spread > 0
    offset, spread = np.abs(X.mean(axis=0))[varies], spread[varies]
    if not len(spread):
        return False
    ratio, largest = float(spread.max() / np.median(spread)), float(size.max())
    ratio = max(ratio, float(np.median(spread) / spread.min()) if largest > 10 else 0.0)
    apart = largest > 10 and spread.max() >= FARTHEST * spread.min()
    away = offset.max() >= SPREAD * np.median(spread)
    return bool(ratio >= SPREAD or apart or away or np.median(spread) >= SPREAD)


CHECKS: dict[str, Check] = {
    "nan-input": nan_input,
    "outlier-rows": outlier_rows,
    "constant-columns": constant_columns,
    "unscaled-columns": unscaled_columns,
    "leaked-label": leaked_label,
    "unscaled-targets": unscaled_targets,
}
