"""What a module answers with, and the graph behind it: parameters that nobody knows, derivatives written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

from torch.autograd.function import BackwardCFunction

from descender.watching.loop import called, evaluating, sample
from descender.watching.torch_ import torch


def tensors_of(outputs: Any) -> list[Any]:
    """The outputs of a module through which a gradient may come, in whatever they are packed."""
    if isinstance(outputs, torch.Tensor):
        return [outputs] if outputs.is_floating_point() else []
    if isinstance(outputs, Mapping):
        outputs = outputs.values()
    elif is_dataclass(outputs):
        outputs = vars(outputs).values()
    elif not isinstance(outputs, tuple | list):
        return []
    return [tensor for part in outputs for tensor in tensors_of(part)]


def _nodes(value: Any, most: int = 20000) -> Iterator[Any]:
    """The graph of a value."""
    seen: set[Any] = set()
    todo = [value.grad_fn]
    while todo and len(seen) < most:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        todo += [parent for parent, _ in node.next_functions]


def custom_nodes(value: Any) -> list[str]:
    """The functions in the graph of a value whose derivative was written by hand."""
    return [type(n).__name__.removesuffix("Backward") for n in _nodes(value) if isinstance(n, BackwardCFunction)]


ACTIVATIONS = {
    "Sigmoid": "Sigmoid", "Tanh": "Tanh", "Relu": "ReLU", "Hardtanh": "ReLU6", "Softplus": "Softplus",
    "Softmax": "Softmax", "LogSoftmax": "LogSoftmax",
}  # fmt: skip
RESHAPING = ("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Select", "Slice", "Clone", "Transpose", "T",
             "Permute", "Alias", "ToCopy")  # fmt: skip
"""What stands between an activation and the answers without changing a number."""


def last_activation(module: Any, X: Any) -> str:
    """The activation that makes the answers, whether it is a layer or a call; empty where none does."""
    try:
        with evaluating(module), torch.random.fork_rng(devices=[]), torch.enable_grad():
            node = called(module, X).grad_fn
    except Exception:
        return ""
    while node is not None and _kind_of(node) in RESHAPING:
        node = node.next_functions[0][0] if node.next_functions else None
    return "" if node is None else ACTIVATIONS.get(_kind_of(node), "")


def _kind_of(node: Any) -> str:
    return type(node).__name__.rstrip("0123456789").removesuffix("Backward")


def strays(loop: Any) -> list[Any]:
    """Weights that ``forward()`` uses and ``module.parameters()`` does not have: in a list, or plain tensors."""
    known = {id(p) for p in loop.module.parameters()}
    found: dict[int, Any] = {}
    try:
        with evaluating(loop.module), torch.random.fork_rng(devices=[]), torch.enable_grad():
            outs = tensors_of(called(loop.module, sample(loop, 8)[0]))
        for node in (node for out in outs for node in _nodes(out)):
            leaf = getattr(node, "variable", None)
            if isinstance(leaf, torch.Tensor) and id(leaf) not in known:
                found[id(leaf)] = leaf
    except Exception:
        return []
    return list(found.values())
