"""The data, and the problems that are made of them: each file adds its own to PROBLEMS."""

from __future__ import annotations

from ..problem import Problem

PROBLEMS: dict[str, Problem] = {}


def add(*problems: Problem) -> None:
    """Enter problems."""
    for problem in problems:
        assert problem.name not in PROBLEMS, problem.name
        PROBLEMS[problem.name] = problem
