"""What a table offers: its columns, which of them are numbers, and which models suit each as a target."""

from __future__ import annotations

from typing import Any

from descender.costs.losses import DEFAULT, LOSSES
from descender.data.columns import is_number, is_text
from descender.data.examples import EXAMPLES
from descender.data.source import Source
from descender.data.target import code_target
from descender.errors import DescenderError
from descender.lab.asked import Asked
from descender.lab.costs import open_data

SHOWN = 200
"""Columns that are offered."""


def describe_table(asked: Asked, folder: str) -> dict[str, Any]:
    """The columns of a table, with their kinds and the models that each could be the target of."""
    source = open_data(asked.data, folder)
    names = source.table.column_names[:SHOWN]
    known = EXAMPLES.get(asked.data.removeprefix("example:"))
    usual = known.target if known and known.target in names else names[-1]
    return {
        "data": asked.data, "rows": source.table.num_rows, "notes": source.notes, "usual": usual,
        "columns": [{"name": name, "number": is_number(source.table[name].type)} | _tasks(source, name)
                    for name in names],
        "more": source.table.num_columns - len(names),
    }  # fmt: skip


def _tasks(source: Source, name: str) -> dict[str, Any]:
    """What a column would be as a target: its task, and the losses that suit it, the usual one first."""
    try:
        coding, _ = code_target(source.table[name].drop_null(), None, name)
    except DescenderError as error:
        return {"task": None, "models": [], "why": str(error)}
    usual, tasks = DEFAULT[coding.task], {coding.task}
    if not is_text(source.table[name].type):
        tasks.add("regression")  # classes that are numbers can be taken for what they are
    suited = [loss for loss, known in LOSSES.items() if tasks & set(known.tasks) and loss != usual]
    return {"task": coding.task, "models": [usual, *suited]}
