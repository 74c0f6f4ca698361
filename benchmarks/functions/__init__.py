"""Three suites of test functions, and a race of methods over them: ``python -m benchmarks.functions``."""

from . import andrei, classics, cute, mgh_any, mgh_fixed, models, others, third
from .problem import PROBLEMS, SECOND, THIRD, Problem

__all__ = [
    "PROBLEMS", "SECOND", "THIRD", "Problem",
    "andrei", "classics", "cute", "mgh_any", "mgh_fixed", "models", "others", "third",
]  # fmt: skip
