"""A suite of test functions, and a race of methods over it: ``python -m benchmarks.functions``."""

from . import classics, cute, mgh_any, mgh_fixed, models
from .problem import PROBLEMS, Problem

__all__ = ["PROBLEMS", "Problem", "classics", "cute", "mgh_any", "mgh_fixed", "models"]
