"""What a verb is given, read: the cost, the start, NAME=NUMBER words, whatever form they come in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from descender.costs.cost import Cost, Vector
from descender.costs.formula import Formula
from descender.costs.function import Function
from descender.costs.risk import Risk
from descender.errors import InputError, OptionError, StartError, suggest

if TYPE_CHECKING:
    import pyarrow as pa


def read_cost(
    cost: Any,
    start: Any,
    gradient: Any = None,
    data: Any = None,
    constants: Any = None,
    args: tuple = (),
    n_samples: int | None = None,
) -> tuple[Cost, Vector]:
    """The cost object and the start as an array, whatever form they were given in."""
    if n_samples is not None and (isinstance(cost, str | Cost) or not callable(cost)):
        raise OptionError("n_samples goes with a function of (w, rows): formulas and costs know their rows")
    if isinstance(cost, str):
        if gradient is not None:
            raise OptionError("gradient does not go with a formula: its derivatives are exact")
        target = Formula(cost, data=data, constants=constants)
        return target, read_start(target.names, start, target.column_names)
    if data is not None or constants is not None:
        raise OptionError("data and constants go with a typed formula; a function closes over its own")
    if isinstance(cost, Cost):
        known = cost.default_start() if start is None else None
        if known is not None:
            return cost, known
        return cost, read_start(cost.names, start, getattr(cost, "column_names", ())).astype(cost.dtype, copy=False)
    if not callable(cost):
        raise OptionError(f"cost={cost!r}: expected a formula, a function or a Cost")
    if start is None or isinstance(start, str | Mapping):
        raise StartError("a function needs its start as numbers, such as start=[0.0, 1.0]")
    w = numbers_of(start, "start=[0.0, 1.0]")
    if w.ndim != 1:
        raise StartError(f"start has shape {w.shape}; expected a vector")
    return Function(cost, w, gradient=gradient, args=args, n_samples=n_samples), w


def numbers_of(start: Any, example: str) -> Vector:
    """The start as a new array of float64: numbers, arrays, tensors of any library."""
    try:
        tensor = hasattr(start, "detach")  # of PyTorch, which may carry a gradient
        numbers = start.detach().cpu().numpy() if tensor else start
        if np.iscomplexobj(numbers):
            raise TypeError
        return np.array(numbers, dtype=np.float64, ndmin=1)
    except (TypeError, ValueError):
        raise StartError(f"start={start!r}: expected real numbers, such as {example}") from None


def read_start(names: tuple[str, ...], start: Any, columns: Iterable[str] = ()) -> Vector:
    """The start in the order of the variables; `columns` of the data tell a misspelt column from a variable.

    >>> read_start(("x", "y"), "y=1, x=-1.2")
    array([-1.2,  1. ])
    """
    example, columns = " ".join(f"{name}=1" for name in names[:3]), tuple(columns)
    if start is None:
        raise StartError(
            f"no start was given; give one number for each of {', '.join(names)}, such as {example}"
            + misspelt(names, columns)
        )
    if isinstance(start, str):
        start = read_assignments(start)
    if isinstance(start, Mapping):
        unknown = [name for name in start if name not in names]
        if unknown:
            hint = misspelt([name for name in names if name not in start], columns)
            if unknown[0] in columns:
                raise StartError(f"start names {unknown[0]!r}, which is a column of the data and no variable{hint}")
            raise StartError(
                f"start names {unknown[0]!r}, which is no variable here; {suggest(unknown[0], names)}{hint}"
            )
        missing = [name for name in names if name not in start]
        if missing:
            raise StartError(
                f"start has no value for {', '.join(missing)}; give one, such as {missing[0]}=1"
                + misspelt(missing, columns)
            )
        start = [start[name] for name in names]
    w = numbers_of(start, example)
    if w.shape != (len(names),):
        raise StartError(
            f"start has shape {w.shape}; expected {len(names)} numbers, one each for {', '.join(names[:9])}"
            + misspelt(names, columns)
        )
    return w


def misspelt(names: Iterable[str], columns: Sequence[str]) -> str:
    """Which variables are nearly called as a column of the data: that makes a variable of a misspelt column.

    >>> misspelt(["weigth", "m"], ["height", "weight"])
    '; weigth: did you mean the column weight?'
    """
    told = [(name, suggest(name, columns)) for name in names if columns]
    near = [(name, hint.replace("you mean", "you mean the column")) for name, hint in told if hint.endswith("?")]
    return "".join(f"; {name}: {hint}" for name, hint in near)


def read_assignments(text: str, what: str = "start", error: type[InputError] = StartError) -> dict[str, float]:
    """NAME=VALUE words, separated by blanks or commas.

    >>> read_assignments("x=-1.2,y=1")
    {'x': -1.2, 'y': 1.0}
    """
    values: dict[str, float] = {}
    for word in text.replace(",", " ").split():
        name, equals, number = word.partition("=")
        try:
            value = float(number)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise error(f"{what}: {word!r} is not NAME=NUMBER, such as {name or 'x'}=-1.2")
        if name in values:
            raise error(f"{what}: {name} is given twice")
        values[name] = value
    return values


def describe(cost: Cost) -> str:
    """What the record calls the cost."""
    if isinstance(cost, Formula):
        return cost.text
    if isinstance(cost, Risk):
        return f"{cost.reduction} {cost.loss.name} over {cost.n_samples:,} rows"
    return type(cost).__name__


class Columns(Mapping):
    """The columns of a table as arrays, each made when the formula asks for it."""

    def __init__(self, table: pa.Table):
        self.table = table

    def __getitem__(self, name: str) -> Any:
        return self.table.column(name).to_numpy()

    def __iter__(self) -> Iterator[str]:
        return iter(self.table.column_names)

    def __len__(self) -> int:
        return self.table.num_columns
