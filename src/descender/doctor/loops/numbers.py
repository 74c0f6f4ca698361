"""D9xx: numbers that are none."""

from __future__ import annotations

from descender.doctor.loops.case import Case, Check, Remedy, Suspect

MODERATE = 1e6
"""An operation that fails for larger numbers is a symptom of what made these."""


def bounded(operation: str) -> str:
    """An operation on numbers that stay away from where it is not defined, as code."""
    name = operation.split()[-1]
    if name in ("div", "reciprocal"):
        text = "x / y.clamp_min(1e-6)"
    elif name in ("exp", "expm1", "cosh", "sinh"):
        text = f"torch.{name}(x.clamp(max=30.0))"
    elif name in ("acos", "asin", "atanh"):
        text = f"torch.{name}(x.clamp(-1 + 1e-6, 1 - 1e-6))"
    else:
        text = f"torch.{name}(x.clamp_min(1e-6))"
    return f"{text}  # or an equivalent that is stable"


def _place(case: Case) -> str:
    origin = case.origin
    assert origin is not None
    row = f", row {origin.where['row']}" if "row" in origin.where else ""
    feature = f", feature {origin.where['feature']}" if "feature" in origin.where else ""
    return f"at step {origin.step}, {origin.operation} in {origin.layer}{row}{feature}"


def half_precision(case: Case) -> Suspect | None:
    """D902: infinite in half precision, finite in double."""
    origin = case.origin
    if origin is None or not origin.half:
        return None
    remedy = Remedy(
        "float32", "module.float(); X = X.float()  # or torch.amp.autocast with a GradScaler", ("float32", None)
    )
    evidence = f"{_place(case)} overflows: its inputs reach {origin.largest:.4g}, float16 ends at 65,504"
    return Suspect(
        "half-precision-overflow",
        "critical",
        evidence,
        [remedy],
        {**origin.where, "step": origin.step, "layer": origin.layer},
    )


def nan_operation(case: Case) -> Suspect | None:
    """D901: not defined for what it was given, though that was moderate."""
    origin = case.origin
    if origin is None or origin.half or not origin.domain or origin.largest > MODERATE:
        return None
    evidence = f"{_place(case)} is not finite for {origin.value:.6g}; nothing was before it"
    remedy = Remedy("bounded", bounded(origin.operation), ("bounded", None))
    return Suspect(
        "nan-operation", "critical", evidence, [remedy], {**origin.where, "step": origin.step, "layer": origin.layer}
    )


CHECKS: dict[str, Check] = {
    "half-precision-overflow": half_precision,
    "nan-operation": nan_operation,
}
