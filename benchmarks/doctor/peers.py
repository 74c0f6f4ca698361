"""Other tools on the same programs: what each says first, as a set of causes any of which counts as right.

They are read generously: a finding counts as every cause that its own text names.  ``pip install gradsnitch runmedic
torchmortem``; AutoTrainer's rules are in :mod:`benchmarks.doctor.autotrainer`.
"""

from __future__ import annotations

import contextlib
import io
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.doctor.autotrainer import autotrainer
from corpus import Program

UNSTABLE = ["learning-rate-too-high", "exploding-gradient"]
NOT_FINITE = [*UNSTABLE, "half-precision-overflow", "nan-input", "nan-operation"]
STUCK = [
    "learning-rate-too-low", "bad-initialisation", "dead-units", "frozen-part", "labels-shuffled", "label-noise",
    "constant-labels",
]  # fmt: skip
SNITCH = {
    "GS001": NOT_FINITE, "GS002": NOT_FINITE, "GS003": ["learning-rate-too-high", "outlier-rows"],
    "GS004": ["overfitting"], "GS005": STUCK, "GS006": [*UNSTABLE, "schedule-ends-early"],
    "GS007": ["vanishing-gradient", "dead-units", "saturation"],
    "GS008": ["learning-rate-too-high", "learning-rate-too-low"],
    "GS009": ["oscillation", "learning-rate-too-high", "momentum-too-high"], "GS010": ["schedule-ends-early"],
}  # fmt: skip
MEDIC = {
    "non_finite": NOT_FINITE, "divergence": UNSTABLE, "loss_spikes": ["learning-rate-too-high", "outlier-rows"],
    "no_learning": STUCK, "overfitting": ["overfitting"], "grad_spikes": [*UNSTABLE, "outlier-rows"],
}  # fmt: skip
MORTEM = {
    "Vanishing": ["vanishing-gradient"], "Exploding": UNSTABLE,
    "Gradient stalling": ["vanishing-gradient", "detached-part"],
    "High gradient noise": ["tiny-batches", "label-noise"], "Training divergence": UNSTABLE, "Loss plateau": STUCK,
    "Catapult": ["learning-rate-too-high"], "Edge of stability": ["learning-rate-too-high"],
    "Rank collapse": ["bad-initialisation"], "Activation saturation": ["saturation"], "Dead units": ["dead-units"],
    "Update ratio too low": ["learning-rate-too-low"], "Update ratio too high": ["learning-rate-too-high"],
    "Weight norm explosion": ["learning-rate-too-high", "penalty-sign"],
    "Stagnant weight norms": ["learning-rate-too-low", "not-in-optimizer"], "Inter-layer": ["bad-initialisation"],
}  # fmt: skip


def steps(loop: Any) -> Iterator[tuple[int, float, float | None]]:
    """The training, step by step: its loss, and at the end of an epoch the validation loss."""
    number = 0
    while number < loop.steps:
        for batch in loop.batches:
            loss = loop.step(batch)
            number += 1
            last = number % max(len(loop.batches), 1) == 0 or number == loop.steps
            yield number, loss, loop.validate() if last else None
            if number >= loop.steps:
                return


def gradsnitch(program: Program, seed: int) -> list[list[str]]:
    """Its monitor, logged after each step."""
    import gradsnitch as tool  # type: ignore[import-not-found]

    loop = program.make(seed)
    monitor = tool.watch(loop.module, loop.optimizer)
    with contextlib.redirect_stdout(io.StringIO()):
        for number, loss, validation in steps(loop):
            monitor.log(number, loss, val_loss=validation)
        found = monitor.report()
    found = sorted(found, key=lambda finding: finding.severity != "error")
    return [SNITCH.get(finding.code, [finding.code]) for finding in found]


def runmedic(program: Program, seed: int) -> list[list[str]]:
    """Its command's checks on a log with everything that it can read."""
    from runmedic.checks import run_checks  # type: ignore[import-not-found]
    from runmedic.loaders import load_file  # type: ignore[import-not-found]
    from runmedic.roles import detect  # type: ignore[import-not-found]

    loop = program.make(seed)
    lines = ["step,train_loss,val_loss,lr,grad_norm"]
    for number, loss, validation in steps(loop):
        norm = math.sqrt(sum(float(p.grad.norm()) ** 2 for p in loop.module.parameters() if p.grad is not None))
        rate = loop.optimizer.param_groups[0]["lr"]
        lines.append(f"{number},{loss},{'' if validation is None else validation},{rate},{norm}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        run = load_file(path)[0]
    found = [finding for finding in run_checks(run, detect(run)) if finding.severity != "info"]
    return [MEDIC.get(finding.check, [finding.check]) for finding in found]


def torchmortem(program: Program, seed: int) -> list[list[str]]:
    """Its autopsy, with the loss of each step."""
    from torchmortem import Autopsy  # type: ignore[import-not-found]

    loop = program.make(seed)
    autopsy = Autopsy(loop.module, loop.optimizer)
    autopsy.attach()
    for _, loss, _ in steps(loop):
        autopsy.step(loss=loss)
    autopsy.detach()
    found = [f for f in autopsy._report.findings if f.severity.name != "INFO"]
    found.sort(key=lambda finding: -finding.severity)
    return [next((c for start, c in MORTEM.items() if f.title.startswith(start)), [f.title]) for f in found]


PEERS: dict[str, Callable[[Program, int], list[list[str]]]] = {
    "gradsnitch": gradsnitch, "runmedic": runmedic, "torchmortem": torchmortem, "AutoTrainer's rules": autotrainer,
}  # fmt: skip
