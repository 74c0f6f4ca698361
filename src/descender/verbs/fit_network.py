"""The network that :func:`descender.fit` makes of a table: on its encoding, its hold-out and its judgement."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.losses import read_loss
from descender.costs.network.build import Architecture, read_hidden
from descender.costs.network.network import Network
from descender.data.split import latest, some_groups
from descender.errors import CapabilityError, OptionError, suggest
from descender.methods.training import ALPHA
from descender.model.network import NetworkModel
from descender.pictures.bars import ColumnEffect
from descender.verbs.fitted import Fitted
from descender.verbs.table import Design, Table, Teller
from descender.verbs.train import How, Samples, set_aside, train

MODELS = ("linear", "mlp")
HIDDEN = (100,)
SHAPES = ("activation", "initialisation", "normalisation", "dropout", "residual")
CELLS = 200_000
"""Rows times columns that are shuffled to see what each column does."""


def check_model(asked: Mapping[str, Any]) -> None:
    """Refuse a model that is not known, and options of one that were given to the other."""
    model, options = asked["model"], asked["options"]
    if model not in MODELS:
        raise OptionError(f"model={model!r}; {suggest(str(model), MODELS)}")
    if model == "linear":
        own = ["hidden"] if asked["hidden"] != HIDDEN else []
        own += ["early_stopping"] if asked["early_stopping"] != "auto" else []
        own += [name for name in SHAPES if name in options]
        if own:
            raise OptionError(f"{own[0]} belongs to a network: give model='mlp' with it, or leave it out")
        return
    for name in ("preset", "start", "tol"):
        if asked[name] is not None:
            raise OptionError(f"{name} does not go with model='mlp'; leave it out")
    if asked["l1"] != 0 or asked["one_standard_error"]:
        raise CapabilityError("a network has no l1 penalty and no path of penalties: give a number as l2")
    if isinstance(asked["l2"], str) and asked["l2"] != "1/n":
        raise CapabilityError("l2='auto': the penalty of a network is not chosen; give a number, or leave it out")


def fit_network(
    table: Table, design: Design, held: NDArray, weight: NDArray | None, plan: dict[str, Any], say: Teller, moving: Any
) -> Fitted:
    """Train a network on the encoded training rows."""
    options, seed = dict(plan["options"]), plan["seed"]
    shape = {name: options.pop(name) for name in SHAPES if name in options}
    architecture = Architecture(read_hidden(plan["hidden"]), **shape)
    classes = len(table.coding.classes)
    outputs = classes if table.coding.task == "multiclass" else 1
    loss, centre, scale = _on_targets(plan["loss"], table, design)
    n = len(design.y)
    l2 = ALPHA / n if plan["l2"] is None else 1.0 / n if plan["l2"] == "1/n" else float(plan["l2"])
    make = partial(_build, architecture=architecture, outputs=outputs, loss=loss, l2=l2, seed=seed)
    how = How(
        plan["method"] or "auto", _method(plan), plan["epochs"], plan["early_stopping"], seed=seed,
        max_seconds=options.pop("max_seconds", None),
    )  # fmt: skip
    rows = Samples(design.X.astype(np.float32), (design.y - centre) / scale, weight)
    apart = _set_aside(table, held, rows.y, how, bool(classes))
    learn, watch = (rows, None) if apart is None else (rows.take(apart[0]), rows.take(apart[1]))
    say("network", architecture.text(design.X.shape[1], outputs) + _watched(apart))
    if moving is not None:
        moving("training the network")
    numbers = table.numbers(~held)
    numbers = numbers if apart is None else numbers[apart[0]]
    columns = [feature.name for feature in design.encoder.details]
    more = {"numbers": numbers, "columns": columns, **options}
    network, walk, _ = train(make, learn, watch, how, by_class=bool(classes), **more)
    network.value(walk.x)  # so that batch normalisation knows what it does at this very point
    facts = {"l2": l2, "l1": 0.0, "cost": make(*rows).value(walk.x), "trained_on": len(learn.y)}
    w, statistics = walk.x.astype(np.float32), network.statistics
    model = NetworkModel(
        design.encoder, table.coding, plan["loss"], architecture, w, centre, scale, statistics, facts=facts
    )
    return Fitted(model, walk, effects=column_effects(model, design))


def _build(
    X: Any, y: NDArray, s: NDArray | None, architecture: Architecture, outputs: int, loss: str, l2: float, seed: int
) -> Network:
    return Network(architecture.layers(X.shape[1], outputs), X, y, loss, l2=l2, sample_weight=s, seed=seed)


def network_cost(model: NetworkModel, X: Any, y: NDArray, weight: NDArray | None) -> Network:
    """The cost that a model was trained on, over encoded rows and their targets."""
    outputs = len(model.coding.classes) if model.outputs else 1
    loss = _scaled_loss(model.loss, model.scale)
    return _build(
        X.astype(np.float32), (y - model.centre) / model.scale, weight, model.architecture, outputs, loss,
        model.facts["l2"], model.facts["seed"],
    )  # fmt: skip


def _method(plan: Mapping[str, Any]) -> dict[str, Any]:
    rate = plan["learning_rate"]
    return {"batch_size": plan["batch_size"], "learning_rate": "auto" if rate is None else rate}


def _on_targets(loss: str, table: Table, design: Design) -> tuple[str, float, float]:
    """The loss on targets of mean 0 and deviation 1, and these; classes and counts are taken as they are."""
    if table.coding.task == "multiclass" and loss != "softmax":
        raise CapabilityError(f"loss={loss!r}: a network of several classes goes with softmax")
    if table.coding.classes or read_loss(loss).name.split()[0] == "poisson":
        return loss, 0.0, 1.0
    centre = float(np.average(design.y, weights=design.weight))
    scale = float(np.sqrt(np.average((design.y - centre) ** 2, weights=design.weight))) or 1.0
    return _scaled_loss(loss, scale), centre, scale


def _scaled_loss(loss: str, scale: float) -> str:
    """Huber's bound is in the units of the target."""
    name, *numbers = loss.split()
    return f"huber {float(numbers[0]) / scale!r}" if name == "huber" and numbers else loss


def _set_aside(table: Table, held: NDArray, y: NDArray, how: How, by_class: bool) -> tuple[NDArray, NDArray] | None:
    """The training rows to learn from and those that watch: later ones, or whole groups, where that was asked."""
    if not how.watches(len(y)):
        return None
    if table.times is not None:
        mask = latest(table.times[~held], how.validation_fraction)
    elif table.groups is not None:
        mask = some_groups(table.groups[~held], how.validation_fraction, how.seed + 1)
    else:
        return set_aside(y, how, by_class)
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def _watched(apart: tuple[NDArray, NDArray] | None) -> str:
    return "" if apart is None else f"; {len(apart[1]):,} of the training rows watch, {len(apart[0]):,} are learnt from"


def column_effects(model: NetworkModel, design: Design) -> list[ColumnEffect]:
    r"""How much each column moves the score, that with the largest effect first: what shuffling it does.

    :math:`\sqrt{\tfrac12 \sum_k \overline{(z_k - z_k')^2}}` over rows whose cells of that column were exchanged; of
    a linear model that is the standard deviation of what the column adds.
    """
    details = model.encoder.details
    groups: dict[str, list[int]] = {}
    for j, feature in enumerate(details):
        groups.setdefault(feature.name if feature.kind == "entry" else feature.column, []).append(j)
    X = design.X_held if len(design.y_held) else design.X
    rows = np.linspace(0, X.shape[0] - 1, min(X.shape[0], max(CELLS // len(groups), 50))).astype(np.intp)
    X = np.asarray(X[rows] if isinstance(X, np.ndarray) else X[rows].toarray())
    before, order = model.scores(X), np.random.default_rng(0).permutation(len(X))
    effects = []
    for name, members in groups.items():
        shuffled = X.copy()
        shuffled[:, members] = X[order][:, members]
        moved = np.square(model.scores(shuffled) - before).reshape(len(X), -1).sum(axis=1)
        effects.append(ColumnEffect(name, float(np.sqrt(0.5 * moved.mean())), tuple(members)))
    return sorted(effects, key=lambda effect: -effect.spread)
