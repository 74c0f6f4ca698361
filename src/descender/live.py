"""A line in a notebook that tells how far something has come; outside of notebooks there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64] | list[float]
PATIENCE = 0.5
"""Seconds before a line is shown: what is done by then needs none."""
APART = 0.25
"""Seconds between two changes of the line."""


class Line:
    """A line that is shown after a while, changed a few times a second, and gone when all is done."""

    def __init__(self, display: Any, html: Any):
        self._display, self._html = display, html
        self.began = time.monotonic()
        self.due = self.began + PATIENCE
        self.handle: Any = None

    def __call__(self, text: str) -> None:
        """Show the text, if a change is due."""
        now = time.monotonic()
        if now < self.due:
            return
        self.due = now + APART
        self._show(f"{escape(text)} <span style='opacity:.6'>{now - self.began:.0f} s</span>")

    def _show(self, html: str) -> None:
        shown = self._html(f"<p style='margin:.2em 0;font-variant-numeric:tabular-nums'>{html}</p>" if html else "")
        if self.handle is None:
            self.handle = self._display(shown, display_id=True)
        else:
            self.handle.update(shown)

    def step(self, number: int, costs: Costs) -> None:
        """Show how far a walk has come."""
        self(f"step {number:,}, cost {costs[-1]:.6g}")

    def end(self) -> None:
        """Take the line away."""
        if self.handle is not None:
            self._show("")


class Printed:
    """What a line would show of a walk, as lines on standard output, one an epoch."""

    def __init__(self, per_epoch: int):
        self.per_epoch, self.costs = per_epoch, list[float]()

    def __call__(self, text: str) -> None:
        """Nothing: only the walk is printed."""

    def step(self, number: int, costs: Costs) -> None:
        """Print the mean cost of the batches of each epoch, in scikit-learn's words."""
        self.costs.extend(costs)
        while len(self.costs) >= self.per_epoch:
            ended, self.costs = self.costs[: self.per_epoch], self.costs[self.per_epoch :]
            epoch = (number - len(self.costs)) // self.per_epoch
            print(f"Iteration {epoch}, loss = {sum(ended) / self.per_epoch:.8f}")


_open: list[Line | Printed] = []


def current() -> Line | Printed | None:
    """The line that is open, if one is."""
    return _open[0] if _open else None


def step(number: int, costs: Costs) -> None:
    """Show how far a walk has come, and the costs of its last steps, in the line that is open."""
    if _open and len(costs):
        _open[0].step(number, costs)


@contextmanager
def printed(per_epoch: int) -> Iterator[None]:
    """Walks within are printed, a line for every so many steps.

    >>> with printed(2):
    ...     step(1, [0.5])
    ...     step(2, [0.25])
    Iteration 1, loss = 0.37500000
    """
    before = _open[:]
    _open[:] = [Printed(per_epoch)]
    try:
        yield
    finally:
        _open[:] = before


@contextmanager
def line() -> Iterator[Line | Printed | None]:
    """The line of a notebook while something runs: one for all that runs within; None where there is no notebook.

    >>> with line() as told:
    ...     told is None
    True
    """
    if _open:
        yield _open[0]
        return
    display = _of_a_notebook()
    if display is None:
        yield None
        return
    told = Line(*display)
    _open.append(told)
    try:
        yield told
    finally:
        _open.clear()
        told.end()


def _of_a_notebook() -> tuple[Any, Any] | None:
    """What displays something and HTML in the notebook that this process serves, if it serves one."""
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell is not None else None
    if getattr(running, "kernel", None) is None:
        return None
    shows = import_module("IPython.display")  # which is loaded: it is no dependency
    return shows.display, shows.HTML
