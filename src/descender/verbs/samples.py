"""Samples of a stream as numbers: pairs, mappings, rows; the first one that is wrong is named."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.errors import DataError, DescenderError, InputError, ShapeError, suggest


def numbers_of(X: Any, y: Any, first: int) -> tuple[NDArray, NDArray, DescenderError | None]:
    """Samples as numbers, up to the first one that is none or has another width, and what is wrong with that one."""
    try:
        return np.array(X, dtype=np.float64, ndmin=2), np.atleast_1d(np.asarray(y, dtype=np.float64)), None
    except (TypeError, ValueError, OverflowError):
        pass
    rows: list[NDArray] = []
    targets: list[float] = []
    wrong: DescenderError | None = None
    many = isinstance(X, Iterable)
    for number, (x, target) in enumerate(zip(X if many else [X], y if many else [y], strict=False), first + 1):
        try:
            row, value = np.atleast_1d(np.asarray(x, dtype=np.float64)), float(target)
        except (TypeError, ValueError, OverflowError):
            wrong = DataError(f"sample {number} is {x!r} with the target {target!r}: expected numbers")
            break
        if rows and row.shape != rows[0].shape:
            wrong = ShapeError(f"sample {number} has {row.size} columns; the first had {rows[0].size}")
            break
        rows.append(row)
        targets.append(value)
    return np.array(rows), np.array(targets), wrong


def take(samples: Iterator[Any], most: int) -> tuple[list[Any], InputError | None]:
    """Up to `most` samples, and what is wrong with the next one."""
    taken = []
    try:
        for sample in itertools.islice(samples, most):
            taken.append(sample)
    except InputError as error:
        return taken, error
    return taken, None


def pairs_of(rows: Iterable[Any], target: str | None) -> Iterator[tuple[Sequence[float], float]]:
    """(x, y) of pairs, or of mappings whose columns are those of the first."""
    names: list[str] | None = None
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            try:
                x, y = row
                yield np.atleast_1d(np.asarray(x, dtype=np.float64)).tolist(), float(y)
            except (TypeError, ValueError, OverflowError):
                raise DataError(f"sample {number} is {row!r}: expected a pair of numbers x and a number y") from None
            continue
        if target is None or target not in row:
            raise DataError(f"sample {number} has no {target!r}; {suggest(str(target), row)}")
        names = names or [name for name in row if name != target]
        try:
            yield [float(row[name]) for name in names], float(row[target])
        except KeyError as error:
            raise DataError(f"sample {number} has no {error.args[0]!r}, which the first one had") from None
        except (TypeError, ValueError, OverflowError):
            bad = next(n for n in [*names, target] if not _is_number(row[n]))
            raise DataError(f"sample {number}: {bad} is {row[bad]!r}, not a number") from None


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
