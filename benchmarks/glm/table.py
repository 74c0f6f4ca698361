"""What was measured, as lines on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from .results import Run
from .solver import OURS


def lines_of(run: Run, problem: str, targets: Sequence[float]) -> list[str]:
    """A problem: who needs how long."""
    facts = run.problems[problem]
    form = "dense" if facts["dense"] else f"sparse, {facts['stored']:,} stored"
    head = f"{problem}: {facts['loss']}, {facts['n']:,} x {facts['d']:,} {form} ({facts['regime']})"
    lines = [head, " " * 34 + "".join(f"{target:>24.0e}" for target in targets)]
    last = max(targets[-1:], default=0.0)
    names = sorted(
        run.contenders(problem),
        key=lambda name: (
            name != OURS,
            run.time(problem, name, last) or 1e9,
            run.time(problem, name, targets[0]) or 1e9,
        ),
    )
    for name in names:
        cells = ""
        for target in targets:
            cpu, wall = run.time(problem, name, target), run.time(problem, name, target, "wall")
            ours = run.time(problem, OURS, target)
            times = "" if cpu is None or not ours else f"{cpu / ours:6.1f} x"
            cells += " " * 23 + "-" if cpu is None else f"{cpu:8.4f} ({wall:.3g})".rjust(16) + times.rjust(8)
        how = run.of(problem, name, "end")[0]["how"]
        lines.append(f"  {name:32s}{cells}" + ("" if how in ("reached", "stopped") else f"   {how}"))
    ends = [run.ratio(problem, target) for target in targets]
    told = "  ".join("-" if ratio is None else f"{ratio:.2f}" for ratio in ends)
    return [*lines, f"  fastest peer / descender: {told}\n"]
