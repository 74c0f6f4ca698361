"""D3xx: targets, outputs, and the loss between them."""

from __future__ import annotations

import numpy as np

from descender.doctor.loops.case import Case, Check, Remedy, Suspect
from descender.doctor.loops.rates import higher, lower

MANY = 0.2
"""The share of wrong labels among rows that should be sure at which they are a fault, and not how data are."""
WELL = 0.75
"""How much of the way validation may come without that labels are looked at for noise."""
ENOUGH = 100
"""The rows that are needed to say that nothing tells the targets."""


def constant_labels(case: Case) -> Suspect | None:
    """D303."""
    y = case.y
    if y is None or len(y) < 2 or not np.isfinite(y).all() or np.ptp(y, axis=0).any() or case.facts["restores"]:
        return None
    evidence = f"all {len(y):,} targets are {y[0, 0]:g}"
    return Suspect(
        "constant-labels", "critical", evidence, [Remedy("look", "print(torch.unique(y, return_counts=True))")]
    )


def labels_shuffled(case: Case) -> Suspect | None:
    """D301: nothing tells held-out targets, this training included."""
    best = case.base.best_validation
    if case.facts["restores"] or (np.isfinite(best) and case.closed(best) > 0.3):
        return None
    told = case.learnable
    if told is None or not told.by_chance or case.n < ENOUGH:
        return None
    rates = (lower(10), higher(10), lower(100))
    if np.isfinite(best) and any(case.closed(case.rerun(r).best_validation) > 0.3 for r in rates):
        return None  # the same training tells them at another rate
    severity = "critical" if np.isfinite(best) and case.tabular else "info" if not case.tabular else "warning"
    evidence = (
        f"neighbours, trees and a linear model tell held-out targets no better than guessing ({told.z:.1f} standard "
        "errors above it)" + ("; nor does this training" if np.isfinite(best) else "")
    )
    return Suspect(
        "labels-shuffled", severity, evidence,
        [Remedy("look", "# compare a few rows with their source: print(list(zip(X[:5], y[:5])))")],
    )  # fmt: skip


def label_noise(case: Case) -> Suspect | None:
    """D302: rows whose surroundings are sure have other labels as often as rows at the border."""
    best = case.base.best_validation
    if case.targets != "classes" or (np.isfinite(best) and case.closed(best) > WELL):
        return None
    told = case.learnable
    if told is None or told.right is None or told.sure is None or told.z < 5 or not np.ptp(told.sure) > 0:
        return None
    wrong = 1.0 - float(told.right.mean())
    sure = told.sure >= np.quantile(told.sure, 0.75)  # where classes touch in many columns half of the rows are border
    among = 1.0 - float(told.right[sure].mean())
    if wrong < 0.12 or among < 0.1 or among < 0.5 * wrong:
        return None
    rows = np.flatnonzero(~told.right & sure)[:5].tolist()
    evidence = (
        f"of rows whose surroundings are of one mind {among:.0%} have another label, of all {wrong:.0%}: at a border "
        "the first would be far less"
    )
    return Suspect(
        "label-noise", "warning" if among >= MANY else "info", evidence,
        [Remedy("smoothed labels", f"loss_fn = torch.nn.CrossEntropyLoss(label_smoothing=0.1)  # look at rows {rows}")],
        {"rows": rows},
    )  # fmt: skip


def class_collapse(case: Case) -> Suspect | None:
    """D304: one answer for every row, though the classes can be told apart."""
    outputs = case.predictions
    if (
        case.targets != "classes"
        or outputs is None
        or outputs.shape[1] < 2
        or not case.failed()
        or not case.base.finite
    ):
        return None
    told = case.learnable
    if told is None or told.z < 4 or not np.isfinite(outputs).all():
        return None
    answers, y = outputs.argmax(axis=1), case.y
    share = float(np.mean(y == np.bincount(y.ravel().astype(int)).argmax())) if y is not None else 0.0
    if len(np.unique(answers)) > 1 or share < 0.8:
        return None
    evidence = f"class {answers[0]} is answered for all {len(answers):,} rows; {share:.0%} of the targets are of it"
    code = "weight = 1 / torch.bincount(y).float()\nloss_fn = torch.nn.CrossEntropyLoss(weight=weight / weight.mean())"
    return Suspect("class-collapse", "warning", evidence, [Remedy("weighted classes", code)])


def output_mismatch(case: Case) -> Suspect | None:
    """D305."""
    y, loss = case.y, case.loss
    if y is None or not np.isfinite(y).all() or case.facts["restores"]:
        return None
    if loss.always is not None and abs(loss.always) < 1e-9:
        evidence = f"the loss is {loss.always:g} for all outputs"
        return Suspect("output-mismatch", "critical", evidence, [Remedy("outputs", "# one output for each class")])
    kinds = np.unique(y)
    scores = case.facts.get("classes a place") or (case.targets == "classes" and len(case.output) == 2)
    if scores and loss.linear and case.output[-1] > 1:
        evidence = "the loss is straight in the scores and has no lowest value: it takes logarithms of probabilities"
        code = "loss_fn = torch.nn.CrossEntropyLoss()  # or nn.LogSoftmax(dim=1) at the end of the module"
        remedy = Remedy("cross-entropy", code, ("loss", "cross-entropy"))
        return Suspect("output-mismatch", "critical", evidence, [remedy])
    if case.facts.get("logits taken") and len(kinds) == 2 and (kinds.min() < 0 or kinds.max() > 1):
        evidence = f"the targets are {kinds[0]:g} and {kinds[1]:g}, the loss is a cross-entropy that wants 0 and 1"
        code = f"y = (y == {kinds[1]:g}).float()"
        return Suspect(
            "output-mismatch", "critical", evidence, [Remedy("targets of 0 and 1", code, ("loss", "logistic"))]
        )
    coded = case.targets == "classes" and len(kinds) >= 3 and y.shape[1] == 1 and len(kinds) <= max(30, len(y) // 20)
    wide = len(case.output) == 2 and case.output[1] > int(kinds.max())
    if (
        coded
        and loss.quadratic
        and (wide or (len(case.output) < 3 and kinds.min() == 0 and len(kinds) == kinds.max() + 1))
    ):
        evidence = f"a squared error of class numbers 0 to {int(kinds.max())}, {case.output[-1]} outputs a row"
        remedy = Remedy(
            "cross-entropy", "loss_fn = torch.nn.CrossEntropyLoss()", ("loss", "cross-entropy") if wide else None
        )
        return Suspect("output-mismatch", "critical", evidence, [remedy])
    return _out_of_reach(case) or _rectified_scores(case) or _without_slope(case)


def _rectified_scores(case: Case) -> Suspect | None:
    """Scores of classes that end in a rectifier: a score at 0 has no gradient any more."""
    out = case.outputs
    if case.targets != "classes" or case.facts.get("last") not in ("ReLU", "ReLU6") or out is None or not out.size:
        return None
    cut = float(np.mean(out == 0))
    if not (out >= 0).all() or cut < 0.1:
        return None
    run = case.rerun(LINEAR_END)
    if not (case.repaired(run, 0.1) and case.better(run)):
        return None
    evidence = (
        f"the scores come from {case.facts['last']}: {cut:.0%} are exactly 0 and have no gradient; without it the "
        f"training ends at {case.outcome(run)} instead of {case.outcome(case.base)}"
    )
    return Suspect("output-mismatch", "critical", evidence, [LINEAR_END])


def _without_slope(case: Case) -> Suspect | None:
    """A loss that cuts or rounds answers: where it has no slope nothing can be learnt."""
    if case.loss.unheard is None and not case.loss.flat > MANY:
        return None
    evidence = (
        f"at {case.loss.flat:.0%} of the answers before training the loss has no slope, though it is lower elsewhere: "
        "it cuts them off, or rounds them"
    )
    if case.loss.unheard is not None:
        evidence = f"rows whose target is {case.loss.unheard:g} have the same loss whatever is answered: another coding"
    remedies = [Remedy("a loss of scores", "# a loss that has a slope everywhere, such as one of scores")]
    if case.targets == "classes":
        pair = (
            ("logistic", "BCEWithLogitsLoss")
            if case.output[1:] in ((), (1,))
            else ("cross-entropy", "CrossEntropyLoss")
        )
        remedies = [Remedy(pair[1], f"loss_fn = torch.nn.{pair[1]}()  # takes scores", ("loss", pair[0]))]
    return Suspect("output-mismatch", "critical", evidence, remedies)


LINEAR_END = Remedy("a linear output", "module = module[:-1]  # no activation at the end", ("linear end", None))


def _out_of_reach(case: Case) -> Suspect | None:
    """Targets beyond what the last activation can answer."""
    before, after, y = case.outputs, case.predictions, case.y
    if case.targets != "numbers" or before is None or after is None or y is None or before.shape != y.shape:
        return None
    if case.facts.get("last") not in RANGES or not np.isfinite(after).all():
        return None
    low, high = RANGES[case.facts["last"]]
    outside = float(np.mean((y < low - 1e-6) | (y > high + 1e-6)))
    if outside < 0.1:
        return None
    evidence = (
        f"the outputs come from {case.facts['last']}, which stays within {low:g} and {high:g}: {outside:.0%} of the "
        f"targets, from {y.min():.3g} to {y.max():.3g}, lie outside"
    )
    return Suspect("output-mismatch", "critical", evidence, [LINEAR_END])


RANGES = {
    "Sigmoid": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "ReLU": (0.0, np.inf),
    "Softplus": (0.0, np.inf),
    "Softmax": (0.0, 1.0),
}


def softmax_twice(case: Case) -> Suspect | None:
    """D306: probabilities, for a loss that makes some itself."""
    out = case.outputs
    if out is None or out.size == 0 or not np.isfinite(out).all():
        return None
    if out.shape[1] > 1 and len(case.output) == 2:
        probable = bool((out >= 0).all() and np.abs(out.sum(axis=1) - 1).max() < 1e-3)
        if probable and case.loss.shifted < 1e-4 and case.targets == "classes":
            evidence = "the module answers with probabilities, and the loss does not change when all scores of a row are raised: it takes their softmax again"  # noqa: E501
            return Suspect(
                "softmax-twice", "critical", evidence,
                [Remedy("scores", "# leave the softmax out of the module: CrossEntropyLoss takes scores",
                        ("logarithm of the answers", None))],
            )  # fmt: skip
    if case.facts.get("logits taken") and bool(((out > 0) & (out < 1)).all()) and case.facts.get("last") == "Sigmoid":
        evidence = "the module ends with a sigmoid, and the loss takes scores: it takes their sigmoid again"
        return Suspect(
            "softmax-twice", "critical", evidence,
            [Remedy("scores", "# leave the sigmoid out of the module, or use BCELoss", ("logit of the answers", None))],
        )  # fmt: skip
    return None


def unbounded(case: Case) -> Suspect | None:
    """D102: the loss has no lowest value, though the answers are right."""
    if not case.loss.endless or case.loss.linear or case.loss.outwards:
        return None
    evidence = "the loss falls without end as the scores of the right classes grow: one of its terms has the wrong sign"
    return Suspect(
        "unbounded", "critical", evidence, [Remedy("the sign of each term", "# loss = loss_fn(...) + ..., not -")]
    )


def broadcasting(case: Case) -> Suspect | None:
    """D307: the loss does not mind which target belongs to which output."""
    y = case.y
    if y is None or not np.isfinite(y).all() or not np.ptp(y) > 0 or not case.loss.permuted < 1e-5:
        return None
    out, target = case.output, case.target_shape
    if out == target or case.loss.always is not None:
        return None
    evidence = f"outputs have shape {out}, targets {target}: the loss is the same when targets change places"
    remedy = Remedy("one shape", "loss_fn(outputs.squeeze(-1), y)", ("flat answers", None))
    if len(out) < len(target):
        remedy = Remedy("one shape", "loss_fn(outputs, y.squeeze(-1))", ("answers in a column", None))
    return Suspect("broadcasting", "critical", evidence, [remedy])


CHECKS: dict[str, Check] = {
    "constant-labels": constant_labels,
    "broadcasting": broadcasting,
    "softmax-twice": softmax_twice,
    "output-mismatch": output_mismatch,
    "unbounded": unbounded,
    "labels-shuffled": labels_shuffled,
    "label-noise": label_noise,
    "class-collapse": class_collapse,
}
