"""The target as numbers: which task its values suit, and its classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descender.data.columns import EXACT, BadCellError, as_text, is_number, is_text, numbers
from descender.data.spelling import spelt_numbers
from descender.errors import OptionError, RecordError, TargetError, suggest

if TYPE_CHECKING:
    import pyarrow as pa

TASKS = ("binary", "multiclass", "regression")
MOST_CLASSES = 1000
MOST_INTEGER_CLASSES = 20
LARGEST, SMALLEST = 1e150, 1e-150
"""Beyond these the squares of targets, or of their differences, are no numbers any more."""
STEPS = 2.0**20
"""Of as many numbers of float64 between the smallest and the largest target, or more, rounding does no harm."""
Label = bool | int | float | str


@dataclass(frozen=True)
class TargetCoding:
    """A task, and the classes whose indices stand for them; regression has none."""

    name: str
    task: str
    classes: tuple[Label, ...] = ()

    def encode(self, column: Any, row_numbers: NDArray[np.integer] | None = None) -> NDArray:
        """The target as numbers: float64 in {0, 1} for two classes, class indices for more, float64 in regression.

        Raises :class:`~descender.errors.TargetError` for missing or infinite values and for an unknown class.

        >>> TargetCoding("colour", "binary", ("blue", "red")).encode(["red", "blue"])
        array([1., 0.])
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        values = _cells(column, self.name, row_numbers)
        if self.task == "regression":
            try:
                return numbers(values)
            except BadCellError as bad:
                what = str(bad).split(": expected")[0]
                where = _where(self.name, bad.index, row_numbers)
                raise TargetError(f"{where} {what}: expected finite numbers for a regression") from None
        wanted = pa.array(self.classes)
        try:
            same = as_text(values) if pa.types.is_string(wanted.type) else values.cast(wanted.type)
        except pa.ArrowInvalid as error:
            raise TargetError(f"the target {self.name} has none of the classes {self._shown()}: {error}") from None
        found = pc.index_in(same, value_set=wanted)
        if found.null_count:
            index = int(np.argmax(found.is_null().to_numpy()))
            where = _where(self.name, index, row_numbers)
            raise TargetError(f'{where} is "{same[index]}": expected one of the classes {self._shown()}')
        return found.to_numpy().astype(np.float64 if self.task == "binary" else np.intp)

    def decode(self, indices: Any) -> NDArray:
        """The classes that these indices stand for.

        >>> TargetCoding("late", "binary", (False, True)).decode([1, 0]).tolist()
        [True, False]
        """
        return np.asarray(self.classes)[np.asarray(indices, dtype=np.intp)]

    def _shown(self) -> str:
        more = f" and {len(self.classes) - 10} more" if len(self.classes) > 10 else ""
        return ", ".join(map(str, self.classes[:10])) + more

    def to_json(self) -> dict[str, Any]:
        """The coding as plain values."""
        return {"name": self.name, "task": self.task, "classes": list(self.classes)}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> TargetCoding:
        """The coding that :meth:`to_json` wrote, or :class:`~descender.errors.RecordError`."""
        try:
            return cls(plain["name"], plain["task"], tuple(plain["classes"]))
        except (KeyError, TypeError) as error:
            raise RecordError(f"the model's target is damaged ({error!r}): fit it again") from None


def code_target(
    column: Any, task: str | None = None, name: str = "y", row_numbers: NDArray[np.integer] | None = None
) -> tuple[TargetCoding, NDArray]:
    """The coding of a target and the target as numbers.

    Without a `task` the values decide.  Two distinct values are "binary": the second is the positive one, True or
    the later in sorting order.  Text is "multiclass", and so are integers of at most 20 distinct values with five
    rows or more for each on average.  Other numbers are "regression".

    Raises :class:`~descender.errors.TargetError` where the values suit no task, or not the one that was named.

    >>> code_target(["cat", "dog", "cat"])
    (TargetCoding(name='y', task='binary', classes=('cat', 'dog')), array([0., 1., 0.]))
    >>> code_target([0.5, 1.5, 2.5])[0].task
    'regression'
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if task is not None and task not in TASKS:
        raise OptionError(f'task="{task}": {suggest(task, TASKS)}')
    values = _cells(column, name, row_numbers)
    if not (is_text(values.type) or is_number(values.type) or pa.types.is_boolean(values.type)):
        raise TargetError(
            f"the target {name} holds {values.type}: expected numbers, text or truth values; make a number of it, "
            f'as in "seconds = epoch({name})"'
        )
    distinct = len(pc.unique(values))
    if distinct == 1:
        whole = is_number(values.type) and abs(values[0].as_py()) > EXACT
        digits = ", as far as the 16 digits of float64 tell" if whole else ""
        raise TargetError(f'the target {name} is "{values[0]}" in every row{digits}: there is nothing to learn')
    chosen = task or _suited(values, distinct)
    if is_text(values.type) and distinct > MOST_INTEGER_CLASSES:
        _refuse_strays(values, name, row_numbers)
    if chosen == "regression":
        if pa.types.is_integer(values.type):
            _refuse_rounded(values, name)
        coding = TargetCoding(name, chosen)
        y = coding.encode(values, row_numbers)
        _refuse_out_of_range(y, name, row_numbers)
        return coding, y
    if chosen == "binary" and distinct != 2:
        raise TargetError(f'the target {name} has {distinct:,} distinct values: task="binary" expects two')
    if distinct > MOST_CLASSES or (is_text(values.type) and distinct > 2 and distinct > len(values) / 2):
        raise TargetError(
            f"the target {name} has {distinct:,} distinct values in {len(values):,} rows: too many to be classes "
            f"(at most {MOST_CLASSES:,}, and text must repeat); choose another column, or group them by an expression"
        )
    coding = TargetCoding(name, chosen, tuple(sorted(pc.unique(values).to_pylist())))
    return coding, coding.encode(values, row_numbers)


def _suited(values: pa.ChunkedArray, distinct: int) -> str:
    import pyarrow as pa

    if distinct == 2:
        return "binary"
    few = distinct <= MOST_INTEGER_CLASSES and len(values) >= 5 * distinct
    return "multiclass" if is_text(values.type) or (pa.types.is_integer(values.type) and few) else "regression"


def _refuse_rounded(values: pa.ChunkedArray, name: str) -> None:
    """Whole numbers whose differences float64 rounds away are nothing to learn from."""
    import pyarrow.compute as pc

    low, high = pc.min_max(values).as_py().values()
    if low is None or low == high:
        return
    step = np.spacing(float(max(abs(low), abs(high))))
    if step > 1 and float(high - low) < STEPS * step:
        raise TargetError(
            f"the target {name} goes from {low} to {high}, where the numbers of float64 are {step:g} apart: learn its "
            f'distance from one of them, as in "from_{name} = {name} - {low}", or make text of it if it names classes'
        )


def _refuse_out_of_range(y: NDArray[np.float64], name: str, row_numbers: NDArray[np.integer] | None) -> None:
    """Targets whose squares are no numbers are to be given in another unit."""
    far = int(np.argmax(np.abs(y)))
    if abs(y[far]) > LARGEST:
        where = _where(name, far, row_numbers)
        raise TargetError(f'{where} is {y[far]:g}: give it in a larger unit, as in "large_{name} = {name} / 1e100"')
    if y.max() - y.min() < SMALLEST:
        raise TargetError(
            f"the values of the target {name} differ by {y.max() - y.min():.3g} at most: give it in a smaller unit, as "
            f'in "small_{name} = {name} * 1e100"'
        )


def _refuse_strays(values: pa.ChunkedArray, name: str, row_numbers: NDArray[np.integer] | None) -> None:
    """A target of numbers of which some cells are none is no target of classes."""
    text = as_text(values)
    numbers = spelt_numbers(text)
    if 2 * numbers.null_count < len(text) and numbers.null_count:
        index = int(np.argmax(numbers.is_null().to_numpy()))
        raise TargetError(
            f'{_where(name, index, row_numbers)} is "{text[index].as_py()[:40]}", and most others are numbers: '
            "correct the cell or leave the row out"
        )


def _cells(column: Any, name: str, row_numbers: NDArray[np.integer] | None) -> pa.ChunkedArray:
    """The cells as a plain Arrow column without missing values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not isinstance(column, pa.ChunkedArray):
        try:
            cells = pa.array(column, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise TargetError(f"the target {name} mixes kinds of cells ({error}): expected one cell each row") from None
        column = cells if isinstance(cells, pa.ChunkedArray) else pa.chunked_array([cells])
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        _refuse_rounded(column, name)
        column = column.cast(pa.float64())
    unknown = pc.is_null(column, nan_is_null=pa.types.is_floating(column.type)).to_numpy()
    if unknown.all():
        raise TargetError(f"the target {name} has no value in any of the {len(column):,} rows")
    if unknown.any():
        where = _where(name, int(unknown.argmax()), row_numbers)
        raise TargetError(f"{where} is missing: leave such rows out, as add_target does")
    return column


def _where(name: str, index: int, row_numbers: NDArray[np.integer] | None) -> str:
    return f"the target {name} in row {index + 1 if row_numbers is None else int(row_numbers[index]):,}"
