"""Time to a requested suboptimality on generalised linear models: descender beside what a user would pick instead.

Kept apart, so that a data set or a contender is one small file:

    objective.py    what is minimised, and how far from the bottom a point is
    reference.py    the bottom, to 1e-12, computed once and cached
    problem.py      a problem: data and an objective
    regimes.py      the regimes, with the ratio that each is meant to reach
    sets/           the data, and the problems that are made of it
    solver.py       what a contender is
    solvers/        the contenders
    worker.py       one contender on one problem, in a process of its own
    timing.py       who is timed, how often, until when
    page.py         the tables and pictures of docs/benchmarks.md
"""
