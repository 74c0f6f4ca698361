"""D2xx: layers, their gradients, and how they begin."""

from __future__ import annotations

import numpy as np

from descender.doctor.loops.case import Case, Check, Layer, Remedy, Suspect

VANISHED, EXPLODED = 1e-3, 70.0
"""The first layer's gradient over the last one's."""
DEAD, FLAT = 0.7, 0.5
"""Shares of units that are 0 for all rows, and of values that are far out."""
MOSTLY = 0.8
"""The share of values far out that is a fault whatever becomes of it."""
FEW = 4
"""Layers with fewer units are not judged."""

RELU = Remedy(
    "ReLU with He's initialisation",
    "nn.ReLU() for each activation\nfor p in module.parameters():\n    if p.ndim > 1:\n        "
    "nn.init.kaiming_normal_(p)",
    ("activation", "relu"),
)  # fmt: skip
LEAKY = Remedy("leaky ReLU", "nn.LeakyReLU(0.1) instead of nn.ReLU()", ("activation", "leaky_relu"))
DEFAULT = Remedy(
    "PyTorch's own initialisation",
    "for part in module.modules():\n    if hasattr(part, 'reset_parameters'):\n        part.reset_parameters()",
    ("initialise", "default"),
)  # fmt: skip
HE = Remedy(
    "He's initialisation",
    "for p in module.parameters():\n    if p.ndim > 1:\n        nn.init.kaiming_normal_(p)",
    ("initialise", "he"),
)  # fmt: skip


def wrong_gradient(case: Case) -> Suspect | None:
    """D210: differences in double precision disagree with a derivative that was written by hand."""
    worst = case.facts.get("backward")
    if not worst or worst["error"] < 1e-2:
        return None
    evidence = (
        f"along its own gradient the slope by {worst['name']} is {worst['slope']:.4g}, the gradient says "
        f"{worst['given']:.4g}; written by hand is the derivative of {', '.join(dict.fromkeys(worst['functions']))}"
    )
    return Suspect(
        "wrong-gradient", "critical", evidence,
        [Remedy("check it", "torch.autograd.gradcheck(function, (x.double().requires_grad_(),))")],
        {"layer": worst["name"].rpartition(".")[0], "parameter": worst["name"]},
    )  # fmt: skip


def symmetric(case: Case) -> Suspect | None:
    """D205: units that begin alike: they stay alike, or part so slowly that other weights do far better.

    Zeros are left alone if they part: a branch that begins at nothing is a known trick, a whole module is none.
    """
    last = case.facts["matrices"][-1:]
    moved = {part.name for part in case.parts if part.wanted and part.given}
    hidden = {name: value for name, value in case.facts["alike"].items() if name not in last and name in moved}
    stay = case.facts["alike at the end"]
    nothing = bool(hidden) and not any(hidden.values()) and len(hidden) == len(case.facts["matrices"]) - 1
    hidden = {name: value for name, value in hidden.items() if value != 0 or name in stay or nothing}
    if not hidden or not case.base.finite:
        return None
    run = case.rerun(DEFAULT)
    if not (run.finite and (case.repaired(run, 0.1) or run.explained > case.base.explained + 0.02)):
        return None
    name = next(iter(hidden))
    evidence = (
        f"all units of {name} begin with the same weights, {hidden[name]:.3g}"
        + (", and end alike" if name in stay else "")
        + f"; with PyTorch's own initialisation the training ends at {case.outcome(run)} instead of "
        f"{case.outcome(case.base)}"
    )
    return Suspect("bad-initialisation", "critical", evidence, [DEFAULT, HE], {"layer": name.rpartition(".")[0]})


def exploding(case: Case) -> Suspect | None:
    """D201: gradients or activations that grow through the layers, where no lower rate helps."""
    growth, how = _growth(case)
    if growth < EXPLODED or not (case.failed() or not case.base.finite):
        return None
    remedies = [DEFAULT, HE, _clip(case)]
    found = case.first_repair(remedies, 0.1)
    if found is None and not case.base.finite:  # slow, but alive
        found = next(((remedy, run) for remedy in remedies if (run := case.rerun(remedy)).finite), None)
    if found is None:
        return None
    remedy, run = found
    evidence = (
        f"{how}; with {remedy.name} the training ends at {case.outcome(run)} instead of {case.outcome(case.base)}"
    )
    return Suspect("exploding-gradient", "critical", evidence, [remedy, *(r for r in remedies if r is not remedy)])


def _clip(case: Case) -> Remedy:
    norms = case.base.raw[np.isfinite(case.base.raw)]
    most = 2.0 * float(np.median(norms)) if len(norms) > 20 else 1.0
    code = f"torch.nn.utils.clip_grad_norm_(module.parameters(), {most:.3g})"
    return Remedy(f"gradients clipped at {most:.3g}", code, ("clip", most))


def _growth(case: Case) -> tuple[float, str]:
    """By how much gradients or activations grow through the layers at the start, and in words."""
    found = [(0.0, "")]
    if case.base.broken == 0 and case.origin is not None and not case.origin.domain:
        found.append((np.inf, f"{case.origin.operation} overflows at the first step, in {case.origin.layer}"))
    if len(case.back) > 2:
        (first, a), (last, b) = case.back[0], case.back[-1]
        found.append((a / max(b, 1e-300), f"the gradient of {first} is {a / max(b, 1e-300):.3g} times that of {last}"))
    if len(case.forth) > 2:
        spreads = [spread for _, spread in case.forth]
        most = int(np.argmax(spreads))
        ratio = spreads[most] / max(spreads[0], 1e-300)
        found.append(
            (
                ratio,
                f"the outputs of {case.forth[most][0]} vary {ratio:.3g} times as much as those of {case.forth[0][0]}",
            )
        )
    if np.isfinite(case.loss.trivial) and case.loss.trivial > case.loss.floor:
        ratio = (case.base.start - case.loss.floor) / (case.loss.trivial - case.loss.floor)
        found.append(
            (ratio / 10, f"the loss begins at {case.base.start:.3g}, a constant guess has {case.loss.trivial:.3g}")
        )
    return max((pair for pair in found if not np.isnan(pair[0])), key=lambda pair: pair[0])


def vanishing(case: Case) -> Suspect | None:
    """D202: the first layer's gradient is nothing beside the last one's, and nothing is learnt."""
    if len(case.back) < 3 or not case.base.finite or not case.base.explained < 0.3:
        return None
    (first, a), (last, b) = case.back[0], case.back[-1]
    if (
        not (b > 0 and 0 < a < VANISHED * b)
        or _worst(case.layers, "dead")
        or any(v == 0 for v in case.facts["alike"].values())
    ):
        return None
    evidence = f"the gradient of {first} is {a / b:.1e} of that of {last}, {len(case.back)} layers on; the loss ended at {case.outcome(case.base)}, a constant guess has {case.loss.trivial:.3g}"  # noqa: E501
    remedies = [RELU, DEFAULT, HE]
    found = case.first_repair(remedies, 0.1)
    ordered = remedies if found is None else [found[0], *(r for r in remedies if r is not found[0])]
    return Suspect("vanishing-gradient", "critical", evidence, ordered, {"layer": first})


def no_activation(case: Case) -> Suspect | None:
    """D206: an affine module of several layers, and activations that make the training far better."""
    if not case.facts.get("affine") or not case.base.finite:
        return None
    remedy = Remedy("ReLU between the layers", "nn.ReLU() after each layer but the last", ("activations between", None))
    run = case.rerun(remedy)
    if not case.repaired(run):
        return None
    evidence = (
        "answers halfway between two rows are halfway between theirs: all layers together are one; with ReLU between "
        f"them the training ends at {case.outcome(run)} instead of {case.outcome(case.base)}"
    )
    return Suspect("no-activation", "warning", evidence, [remedy])


def dropout_too_strong(case: Case) -> Suspect | None:
    """D207: little is learnt, and far more without dropout, held-out rows included."""
    base, share = case.base, case.base.facts.get("dropout", 0.0)
    if share < 0.4 or not base.finite or not base.explained < 0.6:
        return None
    remedies = [Remedy("a quarter of the dropout", f"nn.Dropout({share / 4:.2g})", ("dropout", 0.25)),
                Remedy("no dropout", "nn.Dropout(0.0)", ("dropout", 0.0))]  # fmt: skip
    found = case.first_repair(remedies)
    if found is None or (
        np.isfinite(base.best_validation) and not found[1].best_validation < 0.95 * base.best_validation
    ):
        return None
    remedy, run = found
    evidence = (
        f"{share:.0%} of the units are dropped; with {remedy.name} the training ends at {case.outcome(run)} instead of "
        f"{case.outcome(base)}"
    )
    return Suspect("dropout-too-strong", "warning", evidence, [remedy, *(r for r in remedies if r is not remedy)])


def dead_units(case: Case) -> Suspect | None:
    """D203: units that are 0 for every row, at the start or at the end, and a training that suffers."""
    for layers, when in ((case.layers, "before the first step"), (case.layers_end, "after training")):
        layer = _worst(layers, "dead")
        if layer is None:
            continue
        remedies = [LEAKY, DEFAULT]
        found = case.first_repair(remedies, 0.1)
        if found is None and not (case.failed() and layer.dead > 0.9):
            continue
        evidence = (
            f"{layer.dead:.0%} of the {layer.units} units of {layer.name or 'a layer'} are 0 for every row, {when}"
        )
        if found is not None:
            remedies = [found[0], *(r for r in remedies if r is not found[0])]
            evidence += f"; with {found[0].name} the training ends at {case.outcome(found[1])} instead of {case.outcome(case.base)}"  # noqa: E501
        return Suspect(
            "dead-units", "warning" if found is None else "critical", evidence, remedies, {"layer": layer.name}
        )
    return None


def saturation(case: Case) -> Suspect | None:
    """D204: sigmoids and tanhs far out at the start, and a training that suffers."""
    layer = _worst(case.layers, "saturated")
    if layer is None:
        return None
    from descender.doctor.loops.data import STANDARDISE

    remedies = [STANDARDISE, DEFAULT, RELU] if case.tabular else [DEFAULT, RELU]
    found = case.first_repair(remedies, 0.1)
    if found is None and layer.saturated < MOSTLY:
        return None
    evidence = (
        f"{layer.saturated:.0%} of the inputs of {layer.name or 'an activation'} are beyond 5 before the first step"
    )
    if found is not None:
        evidence += (
            f"; with {found[0].name} the training ends at {case.outcome(found[1])} instead of {case.outcome(case.base)}"
        )
        remedies = [found[0], *(r for r in remedies if r is not found[0])]
    severity = "warning" if found is None else "critical"
    return Suspect("saturation", severity, evidence, remedies, {"layer": layer.name})


def _worst(layers: list[Layer], what: str) -> Layer | None:
    """The layer with the largest share, if that is too large."""
    most = {"dead": DEAD, "saturated": FLAT}[what]
    bad = [layer for layer in layers if getattr(layer, what) >= most and layer.units >= FEW]
    return max(bad, key=lambda layer: getattr(layer, what), default=None)


CHECKS: dict[str, Check] = {
    "wrong-gradient": wrong_gradient,
    "bad-initialisation": symmetric,
    "no-activation": no_activation,
    "dropout-too-strong": dropout_too_strong,
    "dead-units": dead_units,
    "saturation": saturation,
    "vanishing-gradient": vanishing,
    "exploding-gradient": exploding,
}
