"""Two suites of test functions, and a race of methods over them: ``python -m benchmarks.functions``."""

from . import andrei, classics, cute, mgh_any, mgh_fixed, models, others
from .problem import PROBLEMS, SECOND, Problem

__all__ = ["PROBLEMS", "SECOND", "Problem", "andrei", "classics", "cute", "mgh_any", "mgh_fixed", "models", "others"]
