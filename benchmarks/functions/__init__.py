"""Four suites of test functions, and a race of methods over them: ``python -m benchmarks.functions``."""

from . import andrei, classics, cute, fits, fourth, mgh_any, mgh_fixed, models, others, third
from .problem import FOURTH, PROBLEMS, SECOND, THIRD, Problem

__all__ = [
    "FOURTH", "PROBLEMS", "SECOND", "THIRD", "Problem",
    "andrei", "classics", "cute", "fits", "fourth", "mgh_any", "mgh_fixed", "models", "others", "third",
]  # fmt: skip
