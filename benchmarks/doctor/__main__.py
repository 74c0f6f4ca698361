"""How often the doctor is right, and how often it alarms for nothing, on training programs with known faults.

    python -m benchmarks.doctor --split design
    python -m benchmarks.doctor --split held-out --seeds 3 --healthy-seeds 6 --peers
    python -m benchmarks.doctor --half ours --split held-out --seeds 3 --healthy-seeds 8

Each run is a line of JSON in ``--out``; what is there already, for the same code of the doctor, is not run again.
The split was fixed before any threshold was chosen: rules may be chosen by the design half alone.

Half of the programs are PyTorch loops, which are handed over; half are descents of ours, whose results are read.

right     of the faulty runs: the first finding of severity warning or worse names the cause
alarm     of the healthy runs: there is a finding of severity warning or worse
repaired  of the faulty runs that were named rightly and whose recommended remedy can be tried from outside: the same
          training with it ends well; of our own walks that one of the remedies that ``confirm()`` tries does so

An interval is Wilson's, of 95 %.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # programs know each other as `corpus`

from corpus import Program  # noqa: E402

import descender  # noqa: E402
from descender.errors import CapabilityError  # noqa: E402

MEASURED = HERE / "measured.json"
WHAT = {
    "torch": "PyTorch loops, handed over. Other tools are read generously: a finding counts as every cause that its "
    "own text names.",
    "ours": "Descents, fits and networks of our own, by their results.",
}


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a share."""
    if not n:
        return 0.0, 1.0
    p, d = hits / n, 1 + z * z / n
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return float(max(0.0, (centre - half) / d)), float(min(1.0, (centre + half) / d))


def version() -> str:
    """A digest of the code that diagnoses."""
    home = Path(descender.__file__).parent
    files = sorted([*(home / "doctor").rglob("*.py"), *(home / "watching").rglob("*.py")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def programs(half: str) -> list[Program]:
    """The programs of a half of the corpus."""
    if half == "ours":
        from corpus.in_ours import PROGRAMS
    else:
        import torch
        from corpus.in_torch import PROGRAMS

        torch.set_num_threads(1)
    return PROGRAMS


def ours(program: Program, seed: int) -> dict[str, Any]:
    """What descender says of a program, and of a loop whether its remedy repairs."""
    if program.half == "ours":
        source = program.make(seed)
        found = descender.diagnose(source)
        alarms = [finding.cause for finding in found if finding.severity != "info"]
        told = {"causes": [[cause] for cause in alarms], "said": list(map(str, found))}
        if program.fault and alarms and alarms[0] in (program.fault, *program.also):
            try:
                trials = found.confirm()
            except CapabilityError:  # it cannot be walked again
                trials = []
            told |= {
                "tried": bool(trials),
                "repaired": any(t.repaired for t in trials),
                "trials": list(map(str, trials)),
            }
        return told
    found = descender.diagnose(program.make, seed=seed)
    alarms = [finding for finding in found if finding.severity != "info"]
    told = {
        "causes": [[finding.cause] for finding in alarms],
        "said": [str(finding) for finding in found],
        "explained": found.base.explained,
    }
    if program.fault is not None and alarms and alarms[0].cause in (program.fault, *program.also):
        trials = found.confirm()
        told |= {
            "tried": bool(trials),
            "repaired": bool(trials and trials[0].repaired),
            "trials": list(map(str, trials)),
        }
    return told


def peers() -> dict[str, Any]:
    """The other tools, which need PyTorch."""
    from benchmarks.doctor.peers import PEERS

    return PEERS


def measured(program: Program, seed: int, tool: str) -> dict[str, Any]:
    """One run of one tool."""
    start, begun = time.perf_counter(), time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told = ours(program, seed) if tool == "descender" else {"causes": peers()[tool](program, seed)}
    except Exception as error:
        told = {"causes": [], "failed": f"{type(error).__name__}: {error}"}
    causes = told["causes"]
    broken = tool == "descender" and "failed" in told
    right = bool(causes) and bool(set(causes[0]) & {program.fault, *program.also})
    return {
        "tool": tool, "program": program.name, "seed": seed, "fault": program.fault, "split": program.split,
        "right": right if program.fault else None, "alarm": bool(causes) or broken, **told,
        "wall": round(time.perf_counter() - start, 2), "cpu": round(time.process_time() - begun, 2),
    }  # fmt: skip


def table(rows: Iterable[dict[str, Any]]) -> str:
    """The shares by tool."""
    rows = list(rows)
    lines = [
        "| | faulty runs | right cause first | healthy runs | false alarm | remedy repairs |",
        "|---|---|---|---|---|---|",
    ]
    for tool in dict.fromkeys(row["tool"] for row in rows):
        faulty = [row for row in rows if row["tool"] == tool and row["fault"]]
        well = [row for row in rows if row["tool"] == tool and not row["fault"]]
        tried = [row for row in faulty if row.get("tried")]
        cells = [tool, str(len(faulty)), share(sum(r["right"] for r in faulty), len(faulty)), str(len(well)),
                 share(sum(r["alarm"] for r in well), len(well)),
                 share(sum(r["repaired"] for r in tried), len(tried)) if tried else "-"]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def share(hits: int, n: int) -> str:
    """A share with its interval."""
    low, high = wilson(hits, n)
    return f"{hits}/{n} = {hits / n:.0%} ({low:.0%} to {high:.0%})" if n else "-"


def by_cause(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """For each cause: how often it was named first where it was the fault, and where it was not."""
    found: dict[str, dict[str, int]] = {}
    for cause in sorted({row["fault"] for row in rows if row["fault"]}):
        mine = [row for row in rows if row["fault"] == cause]
        others = [row for row in rows if row["fault"] != cause]
        wrong = sum(bool(row["causes"]) and row["causes"][0][0] == cause and not row["right"] for row in others)
        first = sum(row["right"] for row in mine)
        found[cause] = {"runs": len(mine), "first": first, "wrong": wrong, "others": len(others)}
    return found


def main(argv: list[str] | None = None) -> int:
    """Run what is asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("design", "held-out", "heldout", "all"), default="design")
    parser.add_argument("--half", choices=("torch", "ours"), default="torch")
    parser.add_argument("--programs", default="", help="only those whose name has one of these words, comma-separated")
    parser.add_argument("--seeds", type=int, default=1, help="seeds of each faulty program")
    parser.add_argument("--healthy-seeds", type=int, default=0, help="seeds of each healthy program (default: --seeds)")
    parser.add_argument("--peers", action="store_true", help="gradsnitch, runmedic, torchmortem and AutoTrainer, too")
    parser.add_argument("--only", default="", help="only these tools, comma-separated")
    parser.add_argument("--out", type=Path, default=Path("doctor.jsonl"), help="where each run is kept as a line")
    parser.add_argument(
        "--write", action="store_true", help="keep the shares in measured.json, for the page of findings"
    )
    asked = parser.parse_args(argv)
    split = asked.split.replace("heldout", "held-out")
    words = [word for word in asked.programs.split(",") if word]
    tools = asked.only.split(",") if asked.only else ["descender", *(peers() if asked.peers else ())]
    mark = version()
    done = {}
    if asked.out.exists():
        for line in asked.out.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            done[row["tool"], row["program"], row["seed"], row["version"]] = row
    rows = []
    for program in programs(asked.half):
        if split not in ("all", program.split) or (words and not any(word in program.name for word in words)):
            continue
        for seed in range(asked.seeds if program.fault else asked.healthy_seeds or asked.seeds):
            for tool in tools:
                key = (tool, program.name, seed, mark if tool == "descender" else "")
                if key not in done:
                    row = measured(program, seed, tool) | {"version": key[3]}
                    with asked.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
                    done[key] = row
                rows.append(done[key])
                _tell(done[key])
    print(table(rows))
    if asked.write:
        kept = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
        kept[asked.half] = merged(kept.get(asked.half, {}), rows, asked)
        MEASURED.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0


def _tell(row: dict[str, Any]) -> None:
    ok = row["right"] if row["fault"] else not row["alarm"]
    named = ", ".join(causes[0] for causes in row["causes"]) or "-"
    failed = f" FAILED {row['failed']}" if "failed" in row else ""
    repaired = "" if "repaired" not in row else " repaired" if row["repaired"] else " NOT repaired" * row["tried"]
    name = f"{'ok ' if ok else 'BAD'} {row['tool']} {row['program']} [{row['seed']}] {row['fault'] or 'healthy'}"
    print(f"{name}: {named}{repaired}{failed} ({row['cpu']} s)", file=sys.stderr, flush=True)


def merged(kept: dict[str, Any], rows: list[dict[str, Any]], asked: argparse.Namespace) -> dict[str, Any]:
    """What is kept of a half, with the shares of the tools that ran; those of the others stay as they were."""
    command = f"python -m benchmarks.doctor --half {asked.half} --split {asked.split} --seeds {asked.seeds}"
    command += f" --healthy-seeds {asked.healthy_seeds or asked.seeds}"
    head = table([]).splitlines()
    tools = dict(kept.get("tools", {}))
    for tool in dict.fromkeys(row["tool"] for row in rows):
        mine = [row for row in rows if row["tool"] == tool]
        flag = "" if tool == "descender" else f' --only "{tool}"'
        tools[tool] = {"command": command + flag, "line": table(mine).splitlines()[-1]}
    commands = "\n".join(f"`{tool['command']}`  " for tool in tools.values())
    said = f"{WHAT[asked.half]}\n\n{commands}\n\n" + "\n".join([*head, *(tool["line"] for tool in tools.values())])
    ours = [row for row in rows if row["tool"] == "descender"]
    return {"said": said, "tools": tools, "causes": by_cause(ours) if ours else kept.get("causes", {})}


if __name__ == "__main__":
    sys.exit(main())
