"""Every error that descender raises, in one tree.

::

    DescenderError
    ├── InputError (also ValueError)      a value that was given is wrong
    │   ├── OptionError                   an option is unknown, out of range or contradicts another
    │   ├── FormulaError                  a typed formula cannot be read
    │   ├── ShapeError                    arrays whose shapes do not fit
    │   ├── StartError                    the cost is not a finite real number at the start
    │   ├── DataError                     a file, query or table cannot be used
    │   │   ├── ColumnError               a column is absent, repeated or unusable
    │   │   └── TargetError               the target does not suit the task
    │   ├── RecordError                   a record or model file is damaged or not ours
    │   └── CapabilityError               the combination is not supported; says what is
    ├── CostError                         a user's function raised, or returned what is no number
    ├── DivergedError                     the walk left the finite numbers under on_divergence="raise"
    ├── OutputError                       a result cannot be written
    └── MissingDependencyError            an optional package is needed (also ImportError)

Every message says what was given, where, what was expected and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DescenderError(Exception):
    """Base of all errors of this package."""


class InputError(DescenderError, ValueError):
    """A value that was given is wrong."""


class OptionError(InputError):
    """An option is unknown, out of range, or contradicts another."""


class FormulaError(InputError):
    """A typed formula cannot be read."""


class ShapeError(InputError):
    """Arrays whose shapes do not fit each other."""


class StartError(InputError):
    """The cost is not a finite real number at the start."""


class DataError(InputError):
    """A file, query or table cannot be used."""


class ColumnError(DataError):
    """A column is absent, repeated, or cannot be used."""


class TargetError(DataError):
    """The target column does not suit the task."""


class RecordError(InputError):
    """A record or model file is damaged, or was not written by descender."""


class CapabilityError(InputError):
    """The combination of cost, method and options is not supported."""


class CostError(DescenderError):
    """A user's cost raised, or returned something that is not a real number."""


class DivergedError(DescenderError):
    """The walk left the finite numbers and ``on_divergence="raise"`` was asked."""


class OutputError(DescenderError):
    """A result cannot be written."""


class MissingDependencyError(DescenderError, ImportError):
    """An optional package is needed for what was asked."""


def suggest(given: str, known: Iterable[str]) -> str:
    """The part of a message that names the nearest known word, or lists them all.

    >>> suggest("arr_dely", ["arr_delay", "dep_delay", "carrier"])
    'did you mean arr_delay?'
    >>> suggest("zzz", ["a", "b"])
    'known: a, b'
    """
    known = list(known)
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    shown = ", ".join(known[:20])
    return f"known: {shown}" + (f" and {len(known) - 20} more" if len(known) > 20 else "")
