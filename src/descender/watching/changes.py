"""Changes of a loop, by which remedies are tried: each is done to a fresh loop, from outside, while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from descender.errors import OptionError
from descender.watching import at_module, at_updates
from descender.watching.at_updates import Applier
from descender.watching.loop import joined, like, pair, reshuffled
from descender.watching.torch_ import torch


class Change:
    """A change by its name in :data:`CHANGES`, or among :data:`BATCHES`, and its value."""

    def __init__(self, name: str, value: Any = None):
        if name not in CHANGES and name not in BATCHES:
            raise OptionError(f"{name!r} is no change: expected one of {', '.join((*CHANGES, *BATCHES))}")
        self.name, self.value = name, value

    @contextmanager
    def applied(self, loop: Any, ear: Any) -> Iterator[None]:
        """The loop, changed."""
        with ExitStack() as stack:
            if self.name in CHANGES:
                stack.enter_context(CHANGES[self.name](loop, ear, self.value))
            yield

    def batches(self, loop: Any, batches: Iterator[Any], seed: int) -> Iterator[Any]:
        """The batches, changed."""
        return BATCHES[self.name](loop, batches, seed, self.value) if self.name in BATCHES else batches


CHANGES: dict[str, Applier] = {
    "rate": at_updates.setting("lr", lambda old, factor: old * factor),
    "constant rate": at_updates.setting("lr", lambda old, rate: rate),
    "decay": at_updates.setting("weight_decay", lambda old, factor: old * factor),
    "maximize": at_updates.setting("maximize", lambda old, value: value),
    "momentum": at_updates.momentum,
    "gradients": at_updates.times,
    "clip": at_updates.clipped,
    "no clipping": at_updates.unclipped,
    "gradients as made": at_updates.unclipped,
    "stepped": at_updates.stepped,
    "less weights": at_updates.less_weights,
    "loss alone": at_updates.loss_alone,
    "one optimizer": at_updates.one_optimizer,
    "reset": at_updates.reset,
    "all parameters": at_updates.all_given,
    "standardise": at_module.standardised,
    "without column": at_module.without_column,
    "logarithm of the answers": at_module.answers(lambda out: out.clamp_min(1e-30).log()),
    "logit of the answers": at_module.answers(lambda out: out.clamp(1e-7, 1 - 1e-7).logit()),
    "flat answers": at_module.answers(lambda out: out.squeeze(-1)),
    "answers in a column": at_module.answers(lambda out: out.unsqueeze(-1)),
    "training mode": at_module.training_mode,
    "activation": at_module.activation,
    "initialise": at_module.initialised,
    "linear end": at_module.linear_end,
    "float32": at_module.single_precision,
    "loss": at_module.loss,
    "activations between": at_module.between,
    "dropout": at_module.dropped,
    "validation mode": at_module.validation_mode,
    "attached": at_module.attached,
    "bounded": at_module.bounded,
}


# what is done to batches


def _without_rows(loop: Any, batches: Iterator[Any], seed: int, rows: Any) -> Iterator[Any]:
    """Batches without some rows of the data, known by their values; ``None`` leaves out those that are not finite."""
    bad = [0] if rows is None else rows
    outcasts, labels = (torch.as_tensor(part)[bad].reshape(len(bad), -1) for part in (loop.X, loop.y))
    for batch in batches:
        both = pair(batch)
        if both is None:
            yield batch
            continue
        X, y = both
        flat, target = X.reshape(len(X), -1), y.reshape(len(y), -1)
        if rows is None:
            keep = torch.isfinite(flat).all(dim=1) & torch.isfinite(target.float()).all(dim=1)
        else:
            same = (flat[:, None] == outcasts[None]).all(dim=2) & (target[:, None] == labels[None]).all(dim=2)
            keep = ~same.any(dim=1)
        if bool(keep.any()):
            yield like(batch, X[keep], y[keep])


def _copies(loop: Any, batches: Iterator[Any], seed: int, value: Any) -> Iterator[Any]:
    for batch in batches:
        both = pair(batch)
        yield batch if both is None else like(batch, both[0].clone(), both[1].clone())


BATCHES: dict[str, Callable[[Any, Iterator[Any], int, Any], Iterator[Any]]] = {
    "shuffle": lambda loop, batches, seed, size: reshuffled(loop, seed, size),
    "join": lambda loop, batches, seed, least: joined(batches, least),
    "without rows": _without_rows,
    "copies": _copies,
}
