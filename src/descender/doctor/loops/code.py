"""D4xx: the loop itself: what it forgets, detaches, freezes, sums, clips, schedules."""

from __future__ import annotations

import numpy as np

from descender.doctor.loops.case import Anatomy, Case, Check, Part, Remedy, Suspect

MANY = 4
"""Optimizers one after another: a staged training makes one for each stage."""
SMALL_BATCH = 4
MISSED = 0.15
"""How much of the way a frozen part must have cost: random features are often frozen on purpose."""
SORTED = 0.9
"""The share of the variation of classes between batches at which rows are sorted by them."""
MILD = 0.1
"""By how much of itself the validation of sorted rows must fall once they are shuffled."""
OVER = 1e-2
"""The share of the highest rate at which a schedule has ended."""


def loop_raises(case: Case) -> Suspect | None:
    """D416."""
    error = case.base.error
    if error is None or _of_one_value(case):
        return None
    step = len(case.base.losses)
    evidence = f"step {step:,} of {case.base.facts['asked']:,} raised {type(error).__name__}: {error}"
    return Suspect(
        "loop-raises", "critical", evidence, [Remedy("look", "# the traceback is in findings.error")], {"step": step}
    )


def _of_one_value(case: Case) -> bool:
    """Whether batch normalisation refused a batch of one row."""
    return "more than 1 value per channel" in str(case.base.error)


def gradients_not_reset(case: Case) -> Suspect | None:
    """D401: the gradient of a step is still there when the next one comes."""
    share = case.base.facts["left_over"]
    if share < 0.5 or case.base.facts["updates"] < 3:
        return None
    evidence = f"in {share:.0%} of the steps the gradient of the step before was still there when the next was added"
    return Suspect(
        "gradients-not-reset", "critical", evidence,
        [Remedy("reset", "optimizer.zero_grad()  # before loss.backward()", ("reset", None))],
    )  # fmt: skip


def eval_mode(case: Case) -> Suspect | None:
    """D403: always in evaluation mode, and this module answers otherwise in training."""
    facts = case.base.facts
    if not facts["evaluating"] or facts["evaluating"] < 0.5 * (facts["training"] + facts["evaluating"]):
        return None
    if not case.facts["modes matter"]:
        return None
    evidence = f"{facts['evaluating']:,} of {facts['training'] + facts['evaluating']:,} training steps were in evaluation mode, and the module has layers that mind"  # noqa: E501
    return Suspect(
        "eval-mode", "warning", evidence,
        [Remedy("training mode", "module.train()  # before each step, after each validation", ("training mode", None))],
    )  # fmt: skip


def optimizer_recreated(case: Case) -> Suspect | None:
    """D404."""
    facts = case.base.facts
    count, settings = facts["optimizers"], facts["settings"]
    if count < MANY or count < 0.01 * facts["updates"] or not settings.get("remembers"):
        return None
    if settings.get("before") is not None and settings["names"] != settings["before"]:
        return None
    evidence = f"{count:,} optimizers, one after another, made {facts['updates']:,} steps: each began without a memory"
    return Suspect(
        "optimizer-recreated", "warning", evidence,
        [Remedy("one optimizer", "optimizer = ...  # once, before the loop", ("one optimizer", None))],
    )  # fmt: skip


def schedule_ends_early(case: Case) -> Suspect | None:
    """D405: hardly any rate for most of the steps, and more is learnt without the schedule."""
    rates = case.base.rates[np.isfinite(case.base.rates)]
    if len(rates) < 10 or not case.base.finite or not rates.max() > 0:
        return None
    late = rates < OVER * rates.max()
    over = len(rates) - int(np.argmin(late[::-1])) if not late.all() else 0
    if not late[-1] or len(rates) - over < 0.4 * len(rates):
        return None
    remedy = Remedy(
        "the schedule stretched", "scheduler = CosineAnnealingLR(optimizer, T_max=steps)  # one "
        "step() for each of these steps",
        ("constant rate", float(rates.max())),
    )  # fmt: skip
    run = case.rerun(remedy)
    if rates[over:].max() > 0 and not (case.repaired(run, 0.1) or run.explained > case.base.explained + 0.02):
        return None
    if not run.finite or not run.explained > case.base.explained:
        return None
    evidence = (
        f"from step {over:,} of {len(rates):,} on the rate is at most {rates[over:].max():.2g}, of "
        f"{rates.max():.2g} at its "
        f"highest; with the rate held the training ends at {case.outcome(run)} instead of {case.outcome(case.base)}"
    )
    return Suspect("schedule-ends-early", "warning", evidence, [remedy], {"step": over})


def _told(parts: list[Part]) -> str:
    names = list(dict.fromkeys(part.layer or part.name for part in parts))
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def never_stepped(case: Case) -> Suspect | None:
    """D421: gradients are made, and no step takes them."""
    made = [part for part in case.parts if part.wanted and part.got > 0.5 and part.zero < 1]
    steps, base = case.base.facts["updates"], case.base
    if not made or any(part.moved for part in case.parts) or len(base.losses) < 3 or not base.finite:
        return None
    if not steps:
        evidence = f"{len(base.losses):,} gradients were made and no optimizer stepped: no weight moved"
        remedy = Remedy("a step", "optimizer.step()  # after loss.backward()", ("stepped", None))
    elif any(part.given for part in made) and not np.nanmax(np.append(base.applied, 0.0)) > 0:
        evidence = f"the optimizer stepped {steps:,} times without a gradient, though backward() made one each time"
        code = "optimizer.zero_grad()\nloss.backward()\noptimizer.step()  # nothing between these two that zeroes"
        remedy = Remedy("zero_grad() before backward()", code, ("gradients as made", None))
    else:
        return None
    return Suspect("never-stepped", "critical", evidence, [remedy])


def detached_part(case: Case) -> Suspect | None:
    """D406: used in each step, wants a gradient, never has one."""
    if "does not require grad" in str(case.base.error):
        evidence = (
            f"step {len(case.base.losses):,} raised: {case.base.error}: no way leads back from the loss to a weight"
        )
        code = (
            "# outputs and loss in operations of torch, without argmax, round, .item(), .numpy(), detach(), no_grad()"
        )
        return Suspect("detached-part", "critical", evidence, [Remedy("torch all the way", code, ("attached", None))])
    some = any(part.got > 0 for part in case.parts)
    cut = [part for part in case.parts if part.wanted and part.got == 0 and part.called and part.layer]
    if not some or not cut:
        return None
    evidence = f"{_told(cut)}: {sum(p.size for p in cut):,} weights are used in each step and never get a gradient"
    remedy = Remedy("no detach", "# without .detach(), .data, torch.no_grad() in forward()", ("attached", None))
    reached = {part.name for part in case.rerun(remedy).facts["parts"] if part.got > 0}
    if not reached & {part.name for part in cut}:  # NumPy, say: the way back cannot be opened from outside
        code = "# forward() in operations of torch, without .numpy(), torch.tensor(...), .item()"
        remedy = Remedy("torch all the way", code)
    return Suspect("detached-part", "critical", evidence, [remedy], {"layer": cut[0].layer})


def not_in_optimizer(case: Case) -> Suspect | None:
    """D407: gets a gradient in each step, and no optimizer has it."""
    out = [
        part
        for part in case.parts
        if part.wanted and part.got > 0.5 and part.zero < 1 and not part.given and not part.moved
    ]
    astray = case.facts.get("astray")
    if astray and not out:
        shapes = " and ".join(" x ".join(map(str, shape)) for shape in astray[:4])
        evidence = f"forward() uses weights that module.parameters() does not have, of {shapes}: no step moves them"
        code = "self.layers = nn.ModuleList(layers)  # not a Python list; then the optimizer"
        return Suspect(
            "not-in-optimizer", "critical", evidence, [Remedy("layers of the module", code, ("all parameters", None))]
        )
    if not out or not case.base.facts["updates"]:
        return None
    if not any(part.given for part in case.parts):
        if any(part.moved for part in case.parts):
            return None
        evidence = (
            f"the optimizer made {case.base.facts['updates']:,} steps and has none of the module's weights: none moved"
        )
        code = "optimizer = type(optimizer)(module.parameters(), lr=lr)  # of this module, not of a copy of it"
        return Suspect(
            "not-in-optimizer", "critical", evidence, [Remedy("all parameters", code, ("all parameters", None))]
        )
    evidence = f"{_told(out)}: {sum(p.size for p in out):,} weights get a gradient and are in no group of the optimizer"
    return Suspect(
        "not-in-optimizer", "critical", evidence,
        [Remedy("all parameters", "optimizer = type(optimizer)(module.parameters(), lr=lr)", ("all parameters", None))],
        {"layer": out[0].layer},
    )  # fmt: skip


def frozen_part(case: Case) -> Suspect | None:
    """D408: wants no gradient though the optimizer has it, never thaws, and is missed."""
    frozen = [part for part in case.parts if part.given and part.got == 0 and not part.wanted and not part.moved]
    if not frozen or not case.base.finite:
        return None
    remedy = Remedy("thawed", "module.requires_grad_(True)", ("all parameters", "thaw"))
    run = case.rerun(remedy)
    if not (case.repaired(run, 0.3) and run.explained > case.base.explained + MISSED):
        return None
    evidence = (
        f"{_told(frozen)}: the optimizer has {sum(p.size for p in frozen):,} weights that want no "
        "gradient; thawed, the "
        f"training ends at {case.outcome(run)} instead of {case.outcome(case.base)}"
    )
    return Suspect("frozen-part", "warning", evidence, [remedy], {"layer": frozen[0].layer})


def tiny_batches(case: Case) -> Suspect | None:
    """D409."""
    larger = Remedy("batches of 32", "DataLoader(data, batch_size=32, shuffle=True)", ("join", 32))
    size = case.facts["batch size"]
    if _of_one_value(case):
        evidence = f"step {len(case.base.losses):,} raised {type(case.base.error).__name__}: {case.base.error}"
        remedies = [larger]
        if size > SMALL_BATCH:
            evidence += f"; batches have {size} rows, the last one of an epoch what is left"
            code = f"DataLoader(data, batch_size={size}, shuffle=True, drop_last=True)"
            remedies = [Remedy("without the rest of an epoch", code, ("join", 2))]
        return Suspect("tiny-batches", "critical", evidence, remedies)
    seen = {name: count for name, count in case.base.facts["normed"].items() if count <= SMALL_BATCH}
    if not seen:
        return None
    name = min(seen, key=lambda key: seen[key])
    evidence = f"{name} normalises over {seen[name]} values: mean and spread of so few are noise"
    root = not case.failed() or case.repaired(case.rerun(larger))
    return Suspect(
        "tiny-batches", "warning" if root else "info", evidence,
        [larger,
         Remedy("layer normalisation", "nn.LayerNorm(width) instead of nn.BatchNorm1d(width)")],
        {"layer": name},
    )  # fmt: skip


def data_order(case: Case) -> Suspect | None:
    """D410: targets far more alike within batches than between them; sorted classes whether that did harm or not."""
    share, batches = case.facts.get("alike within", (0.0, 0))
    if share < 0.5 or batches < 4 or not case.facts.get("tensors"):
        return None
    size = case.facts["batch size"]
    remedy = Remedy("shuffled", "DataLoader(data, batch_size=..., shuffle=True)", ("shuffle", size))
    run = case.rerun(remedy)
    before, after = case.base.late_validation, run.late_validation
    better = case.repaired(run, 0.05) or (np.isfinite(before) and after < before - MILD * abs(before))
    if not run.finite or not (better or (share > SORTED and case.targets == "classes" and case.better(run))):
        return None
    evidence = (
        f"{share:.0%} of the variation of the targets is between batches, by chance it were "
        f"{1 / max(size, 1):.0%}; shuffled, the training ends at {case.outcome(run)} instead of "
        f"{case.outcome(case.base)}"
    )
    if np.isfinite(before) and np.isfinite(after):
        evidence += f", on held-out rows at {after:.3g} instead of {before:.3g}"
    return Suspect("data-order", "warning", evidence, [remedy])


def clipping_too_low(case: Case) -> Suspect | None:
    """D411: every gradient is cut to the same length, a small part of itself, and it is missed."""
    raw, applied = case.base.raw, case.base.applied
    both = np.isfinite(raw) & np.isfinite(applied) & (raw > 0)
    if both.sum() < 10:
        return None
    ratio, kept = applied[both] / raw[both], applied[both]
    cut = float(np.mean(ratio < 0.1))
    even = float(np.std(kept) / max(np.mean(kept), 1e-300)) < 0.05 < float(np.std(raw[both]) / np.mean(raw[both]))
    if float(np.mean(ratio < 0.999)) < 0.95 or not even:
        return None
    usual = 2.0 * float(np.median(raw[both]))
    remedies = [
        Remedy(f"clipped at {usual:.2g}",
               f"torch.nn.utils.clip_grad_norm_(module.parameters(), {usual:.2g})", ("no clipping", None)),
    ]  # fmt: skip
    run = case.rerun(remedies[0])
    if cut < 0.9 or not (case.repaired(run, 0.1) or (run.finite and run.explained > case.base.explained + 0.1)):
        evidence = (
            f"{np.mean(ratio < 0.999):.0%} of the gradients are clipped, to {np.median(kept):.2g}; their norm is "
            f"{np.median(raw[both]):.2g} in the median: a step is {np.median(kept):.2g} times the rate long, whatever "
            "the slope"
        )
        return Suspect("clipping-too-low", "info", evidence, remedies)
    evidence = (
        f"{cut:.0%} of the gradients are cut to {np.median(ratio):.1e} of themselves, "
        f"{np.median(kept):.2g}; without, the "
        f"training ends at {case.outcome(run)} instead of {case.outcome(case.base)}"
    )
    return Suspect("clipping-too-low", "warning", evidence, remedies)


def loss_summed(case: Case) -> Suspect | None:
    """D402: a loss that grows with its batch, and a training that a mean repairs."""
    if not 1.9 < case.loss.doubled < 2.1:
        return None
    size = max(case.facts["batch size"], 1)
    remedy = Remedy("a mean", "loss_fn with reduction='mean', or loss / len(batch)", ("gradients", 1.0 / size))
    run = case.rerun(remedy)
    if not case.repaired(run):
        return None
    evidence = (
        f"a batch taken twice has {case.loss.doubled:.3g} times the loss; divided by the {size} rows "
        "of a batch, the training "
        f"ends at {case.outcome(run)} instead of {case.outcome(case.base)}"
    )
    return Suspect(
        "loss-summed",
        "critical",
        evidence,
        [remedy, Remedy("rate / batch size", "lr / batch_size", ("rate", 1.0 / size))],
    )


def wrong_sign(case: Case) -> Suspect | None:
    """D414: the loss falls as outputs leave their targets, or steps climb."""
    if case.base.facts["settings"].get("maximize") and not case.loss.outwards:
        evidence = "the optimizer has maximize=True"
        return Suspect("wrong-sign", "critical", evidence, [Remedy("descend", "maximize=False", ("maximize", False))])
    seen = [look for look in case.anatomy if look.left < 0.2 and look.share < 10]
    climbs = bool(seen) and all(look.along < 0 for look in seen)
    if climbs == case.loss.outwards:
        return None
    how = (
        "the loss becomes smaller the farther outputs are from their targets"
        if case.loss.outwards
        else f"steps go up the gradient of the loss: {seen[0].along:.2g} times it at step {seen[0].step}"
    )
    evidence = f"{how}; the training went from {case.base.start:.3g} to {case.outcome(case.base)}"
    return Suspect("wrong-sign", "critical", evidence, [Remedy("the other sign", "loss = -loss", ("gradients", -1.0))])


def _penalised(case: Case) -> list[Anatomy]:
    """The steps whose gradient is that of the loss and a multiple of the weights."""
    return [look for look in case.anatomy if look.left < 0.05 and look.along > 0 and look.share > 1e-4]


def penalty_sign(case: Case) -> Suspect | None:
    """D412: a part of the gradient points along the weights, so that they grow."""
    seen = _penalised(case)
    outward = [look for look in seen if look.weights < 0]
    if len(outward) < 2 or len(outward) < 0.8 * len(seen):
        return None
    strength = float(np.median([look.weights / look.along for look in outward]))
    spread = float(np.std([look.weights / look.along for look in outward])) / abs(strength)
    if spread > 0.2:
        return None
    look = outward[-1]
    evidence = (
        f"beyond the gradient of the loss there is {strength:.2g} times the weights, which makes them grow; at step "
        f"{look.step} it is {look.share:.2g} times as long as that of the loss"
    )
    remedies = [Remedy("the other sign", "loss + strength * sum(p.pow(2).sum() for p in module.parameters())",
                       ("less weights", 2.0 * strength)),
                Remedy("no penalty", "# leave it out", ("less weights", strength))]  # fmt: skip
    remedies.sort(key=lambda remedy: not case.better(case.rerun(remedy)))
    return Suspect("penalty-sign", "critical", evidence, remedies)


def _strength(seen: list[Anatomy], what: str) -> float:
    """The multiple of the weights, or of their signs, where it is positive and the same at all looks; else 0."""
    found = [getattr(look, what) / look.along for look in seen if getattr(look, what) > 0]
    return float(np.median(found)) if len(found) > 1 and np.std(found) < 0.2 * np.mean(found) else 0.0


def penalty_too_strong(case: Case) -> Suspect | None:
    """D413: little is learnt, and far more without the penalty, held-out rows included."""
    base, decay = case.base, case.base.facts["settings"].get("decay", 0.0)
    if not base.finite or not base.explained < 0.6:
        return None
    seen = _penalised(case)
    own, signs = _strength(seen, "weights"), _strength(seen, "signs")
    if decay <= 0 and own <= 0 and signs <= 0:
        return None
    if decay > 0 or own > 0:
        change = ("decay", 0.0) if decay > 0 else ("less weights", own)
        tenth = ("decay", 0.01) if decay > 0 else ("less weights", 0.99 * own)
        told = (
            f"a weight decay of {decay:.2g}" if decay > 0 else f"beyond the loss there is {own:.2g} times the weights"
        )
        remedies = [Remedy("a hundredth of the penalty", f"weight_decay={(decay or own) / 100:.2g}", tenth),
                    Remedy("no penalty", "weight_decay=0", change)]  # fmt: skip
    else:
        told = f"beyond the loss there is {signs:.2g} times the signs of the weights"
        code = (
            "loss = loss_fn(outputs, y)  # and no more: the penalty on absolute values left out, or a hundredth of it"
        )
        remedies = [Remedy("no penalty", code, ("loss alone", None))]
    found = case.first_repair(remedies)
    if found is None:
        return None
    remedy, run = found
    if np.isfinite(base.best_validation) and not run.best_validation < base.validation[-1][1] - 0.05 * abs(
        base.validation[-1][1]
    ):
        return None
    evidence = (
        f"{told} in the gradient; with {remedy.name} the training ends at "
        f"{case.outcome(run)} "
        f"instead of {case.outcome(base)}"
    )
    return Suspect("penalty-too-strong", "warning", evidence, [remedy, *(r for r in remedies if r is not remedy)])


CHECKS: dict[str, Check] = {
    "loop-raises": loop_raises,
    "gradients-not-reset": gradients_not_reset,
    "eval-mode": eval_mode,
    "optimizer-recreated": optimizer_recreated,
    "not-in-optimizer": not_in_optimizer,
    "never-stepped": never_stepped,
    "detached-part": detached_part,
    "frozen-part": frozen_part,
    "wrong-sign": wrong_sign,
    "penalty-sign": penalty_sign,
    "loss-summed": loss_summed,
    "schedule-ends-early": schedule_ends_early,
    "clipping-too-low": clipping_too_low,
    "penalty-too-strong": penalty_too_strong,
    "tiny-batches": tiny_batches,
    "data-order": data_order,
}
