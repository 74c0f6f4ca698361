"""Options that several verbs have, each written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from descender.errors import OptionError

if TYPE_CHECKING:
    from descender.costs.formula import Formula
    from descender.verbs.reading import Columns

START, METHOD, STOP, OUTPUT = "The cost and its start", "The method", "When to stop", "What is shown and written"


def whole(text: str | int) -> int:
    """A whole number as people type it.

    >>> whole("10_000"), whole("1e4"), whole("10,000")
    (10000, 10000, 10000)
    """
    try:
        number = float(str(text).replace(",", ""))
        if number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise typer.BadParameter(f"{text!r} is not a whole number, such as 1000")


def option(*names: str, help: str, panel: str, **more: Any) -> Any:
    """An option in its panel of the help."""
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


def count(*names: str, help: str, panel: str) -> Any:
    """An option that is a whole number."""
    return option(*names, help=help, panel=panel, parser=whole, metavar="N")


def real(*names: str, help: str, panel: str) -> Any:
    """An option that is a number."""
    return option(*names, help=help, panel=panel, metavar="NUMBER")


Data = Annotated[
    str | None,
    option(
        "--data", help="Columns for mean(...) or sum(...): a file, -, or example:NAME.", panel=START, metavar="DATA"
    ),
]
Sql = Annotated[str | None, option("--sql", help="A SELECT over the data.", panel=START, metavar="SELECT")]
Exclude = Annotated[
    list[str] | None,
    option("--exclude", help="Columns that must not be learnt from.", panel=START, metavar="A,B"),
]
Constants = Annotated[
    list[str] | None, option("--constant", help="Numbers that stay fixed.", panel=START, metavar="NAME=NUMBER ...")
]
Seed = Annotated[int, count("--seed", help="Of the random start and the order of rows.", panel=START)]
MethodName = Annotated[str, option("--method", help="{methods}.", panel=METHOD, metavar="NAME")]
OnTrouble = Annotated[
    str,
    option(
        "--on-trouble", panel=METHOD, metavar="WORD",
        help="tell what is wrong, or repair: try the remedies, keep what helps (tell).",
    ),
]  # fmt: skip
LearningRate = Annotated[
    str,
    option(
        "--learning-rate", "-a", "--alpha", panel=METHOD, metavar="RATE",
        help="auto, a number, or a schedule: inverse-time 0.1 0.01, cosine 0.1 1000, backtracking, dog ...",
    ),
]  # fmt: skip
BatchSize = Annotated[
    str | None, option("--batch-size", help="Rows a step reads: full, 1 or more.", panel=METHOD, metavar="N")
]
Settings = Annotated[
    list[str] | None,
    option("--set", help="Numbers of the method, such as beta=0.95.", panel=METHOD, metavar="NAME=NUMBER ..."),
]
Epochs = Annotated[int | None, count("--epochs", "-e", help="Readings of all rows, at most.", panel=STOP)]
Out = Annotated[str, option("--out", help="The folder for what is written.", panel=OUTPUT, metavar="FOLDER")]
Name = Annotated[str | None, option("--name", help="What the files are called.", panel=OUTPUT, metavar="NAME")]
NoFiles = Annotated[bool, option("--no-files", help="Write nothing but what is named.", panel=OUTPUT)]
Force = Annotated[bool, option("--force", help="Replace files that are not ours, too.", panel=OUTPUT)]
AsJson = Annotated[bool, option("--json", help="Print one JSON object and nothing else.", panel=OUTPUT)]
ExportPython = Annotated[
    str | None,
    option("--export-python", help="Write the walk as a short NumPy script.", panel=OUTPUT, metavar="FILE.py"),
]
Picture = Annotated[
    str | None, option("--picture", help="Draw into this .png, .svg or .pdf.", panel=OUTPUT, metavar="FILE")
]


def words_of(given: list[str] | None) -> list[str]:
    """Names that were given one by one or with commas between.

    >>> words_of(["a,b", "c"])
    ['a', 'b', 'c']
    """
    return [word.strip() for words in given or [] for word in words.split(",") if word.strip()]


def assignments(option: str, words: list[str] | None) -> dict[str, float]:
    """NAME=NUMBER words, also several in one word after commas or blanks.

    >>> assignments("--constant", ["a=1", "b=-2,c=3"])
    {'a': 1.0, 'b': -2.0, 'c': 3.0}
    """
    from descender.verbs.reading import read_assignments

    return read_assignments(" ".join(words or []), option, OptionError)


def read_columns(data: str | None, sql: str | None) -> tuple[Columns | None, list[str]]:
    """The columns for a formula, and what is to be said about them."""
    if data is None and sql is None:
        return None, []
    from descender.data.source import open_source
    from descender.verbs.reading import Columns

    source = open_source(data, sql=sql, least_rows=1)
    rows = source.table.num_rows
    told = f"{rows:,} row{'s' * (rows != 1)} of {source.described}: {', '.join(source.table.column_names[:12])}"
    more = source.table.num_columns - 12
    return Columns(source.table), [told + (f" and {more:,} more" if more > 0 else ""), *source.notes]


def batch_size_of(text: str | None) -> int | str | None:
    """A number of rows, or a word that the library knows or refuses."""
    return int(text) if text is not None and text.lstrip("-").isdigit() else text


def start_of(cost: Formula, words: list[str] | None, random: bool, seed: int) -> Any:
    """The start as it was typed, or at random: standard normal numbers by the seed."""
    from descender.errors import StartError
    from descender.verbs.reading import misspelt

    names = cost.names
    if random:
        import numpy as np

        if words:
            raise OptionError("--start and --random-start were both given; leave one out")
        return np.random.default_rng(seed).standard_normal(len(names))
    if not words:
        example = " ".join(f"{name}=1" for name in names[:3])
        more = " ..." if len(names) > 3 else ""
        hint = misspelt(names, cost.column_names)
        raise StartError(f"where does the walk start? Give --start {example}{more}, or --random-start{hint}")
    pieces = " ".join(words).replace(",", " ").split()
    try:
        return [float(piece) for piece in pieces]
    except ValueError:
        return assignments("--start", words)
