"""DuckDB for the rest of this room: a connection, SQL taken apart before it runs, messages for readers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from descender.errors import DataError

if TYPE_CHECKING:
    import duckdb

READING_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}


def connect(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection in memory: rows keep their order, times are UTC; it fetches nothing and sees no variables.

    >>> connect().sql("SELECT 6 * 7").fetchall()
    [(42,)]
    """
    import duckdb

    config: dict[str, Any] = {"autoinstall_known_extensions": False, "python_enable_replacements": False}
    if threads is not None:
        config["threads"] = threads
    return duckdb.connect(config=config | {"TimeZone": "UTC"})


def parse(sql: str) -> dict:
    """The parsed form of one SELECT that only reads.

    Raises :class:`~descender.errors.DataError` for anything else.  A WITH clause can hide a COPY that writes a
    file, so the whole tree is looked at, not its first word.

    >>> parse("SELECT 1")["type"]
    'SELECT_NODE'
    >>> parse("WITH x AS (COPY data TO 'file.csv') FROM x")
    Traceback (most recent call last):
    descender.errors.DataError: expected one SELECT, which only reads
    """
    (answer,) = connect().execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0]
    try:
        parsed = json.loads(answer)
    except RecursionError:
        raise DataError("it is nested too deeply") from None
    if parsed["error"] and parsed["error_type"] == "parser":
        raise DataError(parsed["error_message"])
    if parsed["error"] or len(parsed["statements"]) != 1:
        raise DataError("expected one SELECT, which only reads")
    node = parsed["statements"][0]["node"]
    types = [part["type"] for part in parts(node) if isinstance(part.get("type"), str)]
    if any(name.endswith("_NODE") and name not in READING_NODES for name in types):
        raise DataError("expected one SELECT, which only reads")
    return node


def parts(node: Any) -> Iterator[dict]:
    """Every object inside a parsed query.

    >>> [part["table_name"] for part in parts(parse("SELECT a FROM data")) if "table_name" in part]
    ['data']
    """
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def reason(error: Exception) -> str:
    r"""The part of DuckDB's message that a reader needs: no options of its own, no drawing of the query.

    >>> reason(ValueError('Binder Error: No column "x"!\nCandidates: "y"\n\nLINE 1: select x'))
    'No column "x"! Candidates: "y"'
    """
    text = re.split(r"\n\n|\n?Possible ", str(error), maxsplit=1)[0]
    return re.sub(r"\s+", " ", re.sub(r"^[A-Z][\w ]* Error: ", "", text)).strip()


def quoted(text: str) -> str:
    """A string as SQL writes it.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def quoted_name(name: str) -> str:
    """A name as SQL writes it.

    >>> quoted_name("flights.2013")
    '"flights.2013"'
    """
    return '"' + name.replace('"', '""') + '"'
