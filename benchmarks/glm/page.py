"""The page docs/benchmarks.md and its picture, made of a run.

python -m benchmarks.glm.page                                 from the published run
python -m benchmarks.glm.page benchmarks/glm/results/latest.jsonl --publish
                                                              that run becomes the published one, then the page
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .regimes import REGIMES, TARGETS
from .results import RESULTS, Run, coarse, read
from .sets import PROBLEMS
from .solver import OURS, SOLVERS, load_all

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURE = DOCS / "benchmarks.md", DOCS / "pictures" / "benchmarks.png"
PUBLISHED = RESULTS / "published.jsonl"
WORDS = Path(__file__).with_name("page.md")
SHOWN = ("flights", "flights 1,000", "code text", "flights ridge", "code text l1", "mnist")
"""The problems of the picture."""


def verdict(ratio: float | None, target: float | None) -> str:
    """A ratio, in bold where it reaches what was meant, and by a word where it does not."""
    if ratio is None:
        return "no peer"
    told = f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"
    if ratio == 0:
        return "missed"
    if ratio < 1:
        return f"{told} lost"
    if target is None:
        return told
    return f"**{told}**" if ratio >= target else f"{told} short"


def count(run: Run) -> str:
    """How much of the benchmark the run has."""
    peers = {row["solver"] for row in run.rows if row["event"] == "end"} - {OURS}
    note = run.machine.get("note")
    told = f"{len(run.problems)} of the benchmark's {len(PROBLEMS)} problems, {len(peers)} peers"
    return f"{told}; {note}" if note else told


def ratios(run: Run) -> Iterator[str]:
    """The table of the regimes."""
    yield "| problem | rows x columns | 1e-2 | 1e-4 | 1e-6 | fastest peer at 1e-2, 1e-4, 1e-6 |"
    yield "|---|---|---|---|---|---|"
    for regime, goals in REGIMES.items():
        problems = [name for name, facts in run.problems.items() if facts["regime"] == regime]
        if not problems:
            continue
        meant = " | ".join(f"{goal:g}" for goal in goals) if goals else " | | "
        yield f"| *{regime}* | {'*meant*' if goals else ''} | {meant} | |"
        for name in problems:
            facts = run.problems[name]
            cells = [verdict(run.ratio(name, t), goal) for t, goal in zip(TARGETS, goals or (None,) * 3, strict=True)]
            peers = [run.fastest(name, target) for target in TARGETS]
            who = list(dict.fromkeys(peer[0] if peer else "-" for peer in peers))
            size = f"{facts['n']:,} x {facts['d']:,}"
            kind = "" if facts["real"] else " (drawn)"
            yield f"| {name}{kind} | {size} | {' | '.join(cells)} | {', '.join(who)} |"


def times(run: Run) -> Iterator[str]:
    """Seconds of processor and wall clock, for descender and the fastest peer; memory and conversion."""
    yield "| problem | descender 1e-2 | 1e-4 | 1e-6 | fastest peer 1e-2 | 1e-4 | 1e-6 | memory, MB | conversion |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in run.problems:
        ours = [pair(run, name, OURS, target) for target in TARGETS]
        peers = [run.fastest(name, target) for target in TARGETS]
        theirs = [
            pair(run, name, peer[0], target) if peer else "-" for peer, target in zip(peers, TARGETS, strict=True)
        ]
        last = next((peer[0] for peer in reversed(peers) if peer), None)
        memory = " / ".join(told(most(run, name, who, "fit", "memory")) for who in (OURS, last) if who)
        converted = told(most(run, name, last, "converted", "cpu")) + " s" if last else "-"
        yield f"| {name} | {' | '.join(ours)} | {' | '.join(theirs)} | {memory} | {converted} |"


def pair(run: Run, problem: str, solver: str, target: float) -> str:
    """Seconds of the processor, and of the wall clock in brackets."""
    cpu, wall = run.time(problem, solver, target), run.time(problem, solver, target, "wall")
    return "-" if cpu is None or wall is None else f"{cpu:.2g} ({wall:.2g})"


def most(run: Run, problem: str, solver: str, event: str, field: str) -> float:
    """The largest of what was measured."""
    return max((row[field] for row in run.of(problem, solver, event)), default=float("nan"))


def told(number: float) -> str:
    """A number with few digits."""
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"


def lost(run: Run) -> Iterator[str]:
    """The cells that a peer leads, by name."""
    any_lost = False
    for name in run.problems:
        cells = []
        for target in TARGETS:
            ratio, peer = run.ratio(name, target), run.fastest(name, target)
            if ratio is not None and peer is not None and ratio < 1:
                how = "where descender ended above it" if ratio == 0 else f"in {ratio:.2f} of descender's time"
                cells.append(f"{target:.0e} {how} ({peer[0]})")
        if cells:
            any_lost = True
            yield f"- **{name}**: {', '.join(cells)}"
    if not any_lost:
        yield "None: no peer is faster in any cell."


def present(run: Run) -> Iterator[str]:
    """Who took part, and who did not."""
    yield "| contender | package | problems | |"
    yield "|---|---|---|---|"
    for name, solver in SOLVERS.items():
        ends = [row for row in run.rows if row["event"] == "end" and row["solver"] == name]
        out = [row["why"] for row in run.rows if row["event"] == "left out" and row["solver"] == name]
        first = (solver.__doc__ or "").splitlines()[0]
        if ends:
            note = f" *Note:* {solver.note}." if solver.note else ""
            yield f"| {name} | {solver.package} {ends[0]['version']} | {len(ends)} | {first}{note} |"
        elif out:
            why = next((reason for reason in out if "installed" in reason), "solves none of the problems of this run")
            yield f"| {name} | {solver.package} | 0 | left out: {why} |"


def text(run: Run) -> str:
    """The page: the words of page.md with the tables in them."""
    versions = ", ".join(f"{name} {number}" for name, number in run.machine["versions"].items())
    machine = f"{run.machine['cpu']}, Python {run.machine['python']}, {versions}"
    limits = {name: f"{run.machine[name]:g}" for name in ("deadline", "patience", "least", "beaten", "turns")}
    tables = {"ratios": ratios, "lost": lost, "times": times, "present": present}
    parts = {**limits, "machine": machine, "count": count(run)}
    parts |= {name: "\n".join(lines(run)) for name, lines in tables.items()}
    words = WORDS.read_text(encoding="utf-8")
    for name, part in parts.items():
        words = words.replace(f"@{name}@", part)
    return words


def draw(run: Run, path: Path) -> None:
    """Suboptimality against processor time, a panel for each of a few problems."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib.figure import Figure

    wanted = [name for name in SHOWN if name in run.problems]
    shown = [*wanted, *(name for name in run.problems if name not in wanted)][: len(SHOWN)]
    figure = Figure(figsize=(11, 6.2), layout="constrained")
    panels = figure.subplots(2, 3, squeeze=False).ravel()
    for panel, name in zip(panels, shown, strict=False):
        panel_of(run, name, panel)
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    figure.savefig(path, dpi=90, pil_kwargs={"optimize": True})


def panel_of(run: Run, name: str, panel: Any) -> None:
    """One problem: descender in red, the five peers that come furthest soonest, each named at its line."""
    leaders = dict.fromkeys(peer[0] for target in TARGETS if (peer := run.fastest(name, target)))
    names = sorted(run.contenders(name), key=lambda who: run.time(name, who, 1e-4) or 1e9)
    peers = [*leaders, *(who for who in names if who != OURS and who not in leaders)][:5]
    for index, who in enumerate([OURS, *peers]):
        points: dict[int, tuple[float, float]] = {}
        for row in run.of(name, who):
            if coarse(row):
                continue
            points[row["rung"]] = min(
                points.get(row["rung"], (1e9, 0.0)), (max(row["cpu"], 1e-4), max(row["left"], 1e-9))
            )
        line = [point for _, point in sorted(points.items()) if point[1] < 3]
        colour = "crimson" if who == OURS else f"C{(0, 1, 2, 4, 5)[index - 1]}"
        panel.loglog(
            *zip(*line, strict=True), "o-" if line else "", color=colour, lw=2 if who == OURS else 1, ms=3, label=who
        )
    for target in TARGETS:
        panel.axhline(target, color="0.85", lw=0.8, zorder=0)
    panel.set_title(name, fontsize=10)
    panel.set_xlabel("seconds of processor time", fontsize=8)
    panel.set_ylabel("relative suboptimality", fontsize=8)
    panel.tick_params(labelsize=7)
    panel.xaxis.set_minor_formatter("")
    panel.legend(fontsize=6.5, frameon=False)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, default=PUBLISHED, help="the JSON lines of a run")
    parser.add_argument("--publish", action="store_true", help="keep this run as the published one")
    given = parser.parse_args()
    load_all("sets")
    load_all("solvers")
    if given.publish:
        shutil.copyfile(given.run, PUBLISHED)
    run = Run(read(given.run), SOLVERS)
    PAGE.write_text(text(run), encoding="utf-8")
    draw(run, PICTURE)


if __name__ == "__main__":
    main()
