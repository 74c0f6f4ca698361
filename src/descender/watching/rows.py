"""Which rows a training reads, what becomes of them, and which ones its validation asks about."""

from __future__ import annotations

from typing import Any

from descender.watching.loop import pair
from descender.watching.torch_ import torch

MOST = 20_000
"""Rows that are told apart."""


class Readings:
    """The rows that batches hold and that the module is asked, counted and told apart; and whether data stay."""

    def __init__(self, loop: Any):
        self.loop, self.given = loop, loop.X
        self.first = torch.as_tensor(loop.X).detach().clone()
        self.read = 0
        self.different: set[bytes] = set()
        self.asked, self.used = 0, set[bytes]()
        """How many rows the module was asked within steps, and the different ones among them."""
        self.within = False

    def forward(self, module: Any, args: Any) -> None:
        """A forward pass of the module begins."""
        rows = args[0] if args and isinstance(args[0], torch.Tensor) else None
        if self.within and rows is not None and rows.shape[1:] == self.first.shape[1:] and self.asked < MOST:
            self.asked += len(rows)
            self.used |= set(_bytes(rows))

    def batch(self, batch: Any) -> None:
        """Before a step."""
        rows = pair(batch)
        if rows is not None and self.read < MOST:
            self.read += len(rows[0])
            self.different |= set(_bytes(rows[0]))

    def changed(self) -> int:
        """How many rows of the data are not what they were; 0 where the loop has other data now."""
        if self.loop.X is not self.given:
            return 0
        now = torch.as_tensor(self.loop.X)
        same = (now == self.first) | ((now != now) & (self.first != self.first))
        return int((~same.flatten(1).all(dim=1)).sum()) if now.ndim > 1 else int((~same).sum())


def familiar(asked: Any, X: Any) -> tuple[float, float]:
    """The share of rows of X that are there twice, and of the rows that were asked about, those that are in X."""
    if asked is None or not len(asked) or asked.shape[1:] != X.shape[1:]:
        return 0.0, 0.0
    known = _bytes(X[:MOST])
    rows = _bytes(asked.to(X.dtype)[:MOST])
    there = set(known)
    return 1.0 - len(there) / len(known), sum(row in there for row in rows) / len(rows)


def dropout_of(module: Any) -> float:
    """The largest share that a layer of dropout drops."""
    return max(
        (part.p for part in module.modules() if isinstance(part, torch.nn.modules.dropout._DropoutNd)), default=0.0
    )


def _bytes(X: Any) -> list[bytes]:
    flat = X.detach().cpu()
    flat = flat.float() if flat.dtype == torch.bfloat16 else flat
    return [row.tobytes() for row in flat.reshape(len(flat), -1).numpy()]
