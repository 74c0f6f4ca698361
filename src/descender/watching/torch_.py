"""PyTorch, where it is needed, or what to do without it."""

from __future__ import annotations

from descender.errors import MissingDependencyError

try:
    import torch
except ImportError as error:  # pragma: no cover - PyTorch is there where this is tested
    raise MissingDependencyError("watching a PyTorch loop needs torch: pip install torch") from error

__all__ = ["torch"]
