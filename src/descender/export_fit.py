"""A fit as a short script of plain NumPy: its walk replayed, or the model held and its cost computed anew."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.losses import OneVsRest
from descender.costs.risk import Risk
from descender.export import agrees, clipping, loading, title, wild_lines, write_script
from descender.export_textbook import formula_text, started, textbook_steps, vector
from descender.kernels.texts import text_of
from descender.methods.auto import READINGS, textbook
from descender.methods.rules import RULES
from descender.methods.textbook import Textbook
from descender.walk import Walk

SHORT = 20
"""Parameters that stand in the script itself and are printed; more are read from the file beside it."""
LONGEST, LARGEST = 100_000, 1e10
"""Steps that a script replays at most, and products of a weight and a cell: each is taken once before it is written."""
NEARBY = 50
"""Points around the answer at which a cost whose slope jumps is looked at."""


class Script(NamedTuple):
    """The text of a script, the arrays that it loads, and whether it replays the walk, or else why not."""

    text: str
    arrays: dict[str, NDArray]
    replays: bool
    why: str


def write_fit(risk: Risk, walk: Walk, asked: Mapping[str, Any], path: str | os.PathLike) -> tuple[list[Path], str]:
    """Write the script of :func:`fit_script`, and its rows as .npz beside; the files written, and what it does."""
    script = fit_script(risk, walk, asked, archive=Path(path).with_suffix(".npz").name)
    what = "the script replays the walk" if script.replays else f"the script holds the model: {script.why}"
    return write_script(path, script.text, script.arrays), what


def fit_script(risk: Risk, walk: Walk, asked: Mapping[str, Any], archive: str = "data.npz") -> Script:
    r"""A script that reads the encoded training rows, and takes the steps of a walk on a risk to the same weights.

    `asked` are the options that the walk was asked for: ``learning_rate``, ``batch_size``, clipping, and the numbers of
    the method.  A walk that cannot be replayed in a few lines is not: then the script holds the weights, and computes
    their cost, the length of the gradient and the predictions.

    >>> from descender.verbs.minimize import minimize
    >>> risk = Risk([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], "squared_error")
    >>> walk = minimize(risk, method="gd", learning_rate=0.1, max_steps=50)
    >>> script = fit_script(risk, walk, {"learning_rate": 0.1})
    >>> print("\n".join(script.text.splitlines()[11:]))
    def loss(z, y):
        return 0.5 * (z - y) ** 2
    <BLANKLINE>
    <BLANKLINE>
    def derivative(z, y):
        return z - y
    <BLANKLINE>
    <BLANKLINE>
    def scores(w, rows=slice(None)):
        return X[rows] @ w[:-1] + w[-1]
    <BLANKLINE>
    <BLANKLINE>
    def cost(w, rows=slice(None)):
        z = scores(w, rows)
        return np.sum(loss(z, targets[rows])) / z.shape[-1]
    <BLANKLINE>
    <BLANKLINE>
    def gradient(w, rows=slice(None)):
        z = scores(w, rows)
        r = derivative(z, targets[rows]) / z.shape[-1]
        return np.append(r @ X[rows], r.sum(axis=-1))
    <BLANKLINE>
    <BLANKLINE>
    w = np.array([0.0, 0.0])
    for t in range(50):
        g = gradient(w)
        rate = 0.1
        w = w - rate * g
    <BLANKLINE>
    for name, value in zip(DATA["names"], w):
        print(name, "=", value)
    print("J =", cost(w))
    print("length of the gradient =", np.linalg.norm(gradient(w)))
    """
    arrays = {"targets": risk.y, "names": np.array(risk.names)}
    arrays |= {} if risk.sample_weight is None else {"weights": risk.sample_weight}
    if risk.sparse:
        arrays |= {"cells": risk.X.data, "columns": risk.X.indices, "ends": risk.X.indptr}
    else:
        arrays["X"] = risk.X
    said = f"{risk.loss.name} of {risk.n_samples:,} rows and {risk.n_features:,} columns"
    data = [title(walk, said), *_data_lines(risk, archive)]
    method, why = _replayable(risk, walk, asked)
    if method is not None:
        taken = risk.without_pull() if method.proximal else risk
        start = started(walk)
        more = {"start": start} if start.size > SHORT and start.any() else {}
        shrinking = [_threshold_line(risk)] if method.proximal else []
        steps = textbook_steps(walk, method, 'DATA["start"]' if more else _point(start), "len(targets)")
        text = "\n".join([*data, *_cost_lines(taken), *wild_lines(walk), *shrinking, *steps, *_end_lines(taken)])
        if agrees(text, walk, arrays | more):
            return Script(text, arrays | more, True, "")
        why = "the walk depends on its last digits, or was taken back on its way"
    more = {"w": walk.x} if walk.x.size > SHORT else {}
    held = 'w = DATA["w"]' if more else f"w = {vector(walk.x)}"
    note = "# The weights of the encoded columns, then the intercept" + ("s" if risk.loss.scores_per_class else "")
    head = [*data, *_cost_lines(risk), *wild_lines(walk)]
    return Script("\n".join([*head, note, held, *_end_lines(risk), *_bottom_lines(risk)]), arrays | more, False, why)


def _replayable(risk: Risk, walk: Walk, asked: Mapping[str, Any]) -> tuple[Textbook | None, str]:
    """The method whose steps can be written out, or why there is none."""
    if walk.method not in (*RULES, *READINGS):
        return None, f"the steps of {walk.method} do not go into a few lines"
    rule: Any = RULES[READINGS.get(walk.method, {}).get("rule", walk.method)]
    method = textbook(
        risk, walk.method, asked.get("learning_rate", "auto"), asked.get("batch_size"), clipping(**asked),
        **{name: asked[name] for name in rule._fields if name in asked},
    )  # fmt: skip
    height = risk.n_samples if method.batch_size == "full" else int(method.batch_size)
    if walk.nit > LONGEST or float(walk.nit) * (height or 1) * risk.n_parameters > LARGEST:
        return None, f"{walk.nit:,} steps on {height:,} rows each are too many for a script"
    return method, ""


def _data_lines(risk: Risk, archive: str) -> list[str]:
    lines = ["from pathlib import Path", "", "import numpy as np"]
    X = 'DATA["X"]'
    if risk.sparse:
        lines.append("from scipy.sparse import csr_array")
        X = f'csr_array((DATA["cells"], DATA["columns"], DATA["ends"]), shape={risk.X.shape})'
    lines += ["", *loading(archive), f"X = {X}", 'targets = DATA["targets"]']
    return [*lines, *([] if risk.sample_weight is None else ['weights = DATA["weights"]']), "", ""]


def _cost_lines(risk: Risk) -> list[str]:
    """The loss by its own text, and the cost and its gradient as sums over rows."""
    K = risk.n_classes if risk.loss.scores_per_class else 1
    W, b, d = f"w[:-{K}]", "w[-1]" if K == 1 else f"w[-{K}:]", risk.n_features
    score = f"X[rows] @ {W} + {b}"
    if risk.loss.scores_per_class:
        score = f"(X[rows] @ {W}.reshape({K}, {d}).T + {b}).T  # the classes first"
    weight = "" if risk.sample_weight is None else " * weights[rows]"
    share = "" if risk.reduction == "sum" else " / z.shape[-1]"
    if weight and share:
        share = " / (weights.mean() * z.shape[-1])"
    part = f"len(targets[rows]) / {len(risk.y)} * " if risk.reduction == "sum" else ""
    penalty = f" + {part}{risk.l2 / 2!r} * {W} @ {W}" if risk.l2 else ""
    penalty += f" + {part}{risk.l1!r} * np.abs({W}).sum()" if risk.l1 else ""
    pull = f" + {part}{risk.l2!r} * {W}" if risk.l2 else ""
    pull += f" + {part}{risk.pull!r} * np.sign({W})" if risk.pull else ""
    spread = "(r @ X[rows]).ravel()" if risk.loss.scores_per_class else "r @ X[rows]"
    return [
        *_loss_lines(risk.loss),
        "def scores(w, rows=slice(None)):", f"    return {score}", "", "",
        "def cost(w, rows=slice(None)):",
        "    z = scores(w, rows)",
        f"    return np.sum(loss(z, targets[rows]){weight}){share}{penalty}", "", "",
        "def gradient(w, rows=slice(None)):",
        "    z = scores(w, rows)",
        f"    r = derivative(z, targets[rows]){weight}{share}",
        f"    return np.append({spread}{pull}, r.sum(axis=-1))", "", "",
    ]  # fmt: skip


def _loss_lines(loss: Any) -> list[str]:
    """The functions ``loss`` and ``derivative`` of scores and targets."""
    if not isinstance(loss, OneVsRest):
        return [*_function(loss.value, "loss", loss), *_function(loss.slope, "derivative", loss)]
    one = {"value": "loss_of_one", "slope": "derivative_of_one"}
    lines = [line for part, name in one.items() for line in _function(getattr(loss.base, part), name, loss.base)]
    for part, name in (("value", "loss"), ("slope", "derivative")):
        lines += [line.replace(f"self.base.{part}", one[part]) for line in _function(getattr(loss, part), name, None)]
    return lines


def _function(method: Any, name: str, owner: Any) -> list[str]:
    """A formula of a loss as a function of its own."""
    text = text_of(method, name, ("self",))
    return [*(text if owner is None else formula_text(text, owner)).splitlines(), "", ""]


def _point(w: NDArray) -> str:
    return vector(w) if w.size <= SHORT else f"np.zeros({w.size})"


def _threshold_line(risk: Risk) -> str:
    K = risk.n_classes if risk.loss.scores_per_class else 1
    weights = f"np.full({K * risk.n_features}, {risk.l1!r})"
    return f"thresholds = np.append({weights}, np.zeros({K}))  # l1 comes after each step, not in the gradient"


def _end_lines(risk: Risk) -> list[str]:
    few = f"[:{SHORT}]" if risk.n_parameters > SHORT else ""
    return [
        "",
        f'for name, value in zip(DATA["names"]{few}, w):',
        '    print(name, "=", value)',
        'print("J =", cost(w))',
        *_length_lines(risk),
        "",
    ]


def _length_lines(risk: Risk) -> list[str]:
    """How far the point is from stationary; a `risk` without pull is followed by proximal steps."""
    if risk.pulls:
        return ['print("length of the gradient =", np.linalg.norm(gradient(w)))']
    return [
        "g = gradient(w)",
        'print("length of the proximal gradient =", np.linalg.norm(g + np.clip(w - g, -thresholds, thresholds)))',
    ]


def _bottom_lines(risk: Risk) -> list[str]:
    """What shows that the weights are at the bottom where the gradient alone does not, and the predictions."""
    lines = []
    if risk.l1 and risk.loss.differentiable:
        W = f"w[:-{risk.n_classes if risk.loss.scores_per_class else 1}]"
        lines += [
            "# At a weight of 0 the penalty may pull either way, by up to l1: what is left counts",
            "g = gradient(w)",
            f"rest = np.sign(g) * np.maximum(np.abs(g) - {risk.l1!r}, 0)",
            f"g = np.where(np.append({W} == 0, np.zeros(len(w) - len({W}), bool)), rest, g)",
            'print("length of the least gradient =", np.linalg.norm(g))',
        ]
    if not risk.loss.differentiable:
        lines += [
            "# The slope jumps, at the bottom above all: the cost of points around tells more",
            "random = np.random.default_rng(0)",
            f"around = [w + 0.01 * random.standard_normal(len(w)) for _ in range({NEARBY})]",
            f'print("lowest J at {NEARBY} points around =", min(map(cost, around)))',
        ]
    predict = text_of(risk.loss.predict, "predict").splitlines()
    lines += ["", *([""] if lines else []), *predict, "", "", "predictions = predict(scores(w))"]
    return [*lines, 'print("the first predictions =", predictions[..., :5].T.tolist())', ""]
