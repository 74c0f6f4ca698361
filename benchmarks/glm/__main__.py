"""Race descender against its peers on generalised linear models, and print who needs how long.

python -m benchmarks.glm                                  every problem, every contender
python -m benchmarks.glm --quick                          small problems only: a minute or two
python -m benchmarks.glm --set flights                    the problems whose names begin so
python -m benchmarks.glm --regime small                   those of the regimes whose names begin so
python -m benchmarks.glm --solver "sklearn lbfgs"         descender beside the contenders whose names begin so
python -m benchmarks.glm --target 1e-4                    print one target instead of three
python -m benchmarks.glm --list                           problems and contenders, and who is not installed
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path

from threadpoolctl import threadpool_limits

from .problem import Problem
from .regimes import REGIMES, TARGETS
from .results import RESULTS, Run, header, read
from .sets import PROBLEMS
from .solver import OURS, SOLVERS, load_all
from .table import lines_of
from .timing import TURNS, one_thread, race, rules


def meant(name: str, words: list[str], known: Iterable[str]) -> bool:
    """Whether words choose a name: by the whole of it, or by its beginning where no name is that."""
    return not words or name in words or name.startswith(tuple(word for word in words if word not in known))


def chosen(given: argparse.Namespace) -> list[Problem]:
    """The problems that were asked for, in the order of their regimes."""
    named = [
        problem
        for problem in PROBLEMS.values()
        if meant(problem.name, given.set, PROBLEMS)
        and meant(problem.regime, given.regime, REGIMES)
        and (problem.quick or not given.quick)
    ]
    return sorted(named, key=lambda problem: list(REGIMES).index(problem.regime))


def listing() -> None:
    """Problems and contenders."""
    for problem in chosen(argparse.Namespace(set=[], regime=[], quick=False)):
        print(f"{problem.name:28s} {problem.regime:32s} {problem.objective}")
    for name, solver in SOLVERS.items():
        print(f"{name:34s} {solver.missing() or f'{solver.package} {solver.version()}'}")


def main() -> None:
    """Run the race as asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", nargs="+", default=[], help="problems whose names begin so")
    parser.add_argument("--regime", nargs="+", default=[], help="regimes whose names begin so")
    parser.add_argument("--solver", nargs="+", default=[], help="contenders whose names begin so, beside descender")
    parser.add_argument("--target", nargs="+", type=float, default=TARGETS, choices=TARGETS, help="what is printed")
    parser.add_argument("--quick", action="store_true", help="small problems only")
    parser.add_argument("--turns", type=int, default=TURNS, help="fits whose median is taken")
    parser.add_argument("--deadline", type=float, default=10.0, help="most seconds of a contender on a problem")
    parser.add_argument("--out", type=Path, default=RESULTS / "latest.jsonl", help="where what was measured goes")
    parser.add_argument("--resume", action="store_true", help="keep the problems that --out has, and go on")
    parser.add_argument("--note", default="", help="what the page is to say about this run")
    parser.add_argument("--list", action="store_true", help="what there is")
    given = parser.parse_args()
    load_all("sets")
    load_all("solvers")
    if given.list:
        return listing()
    names = [name for name in SOLVERS if name == OURS or meant(name, given.solver, SOLVERS)]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    one_thread()
    resumed = given.resume and given.out.exists() and given.out.stat().st_size > 0
    done = {row["problem"] for row in read(given.out) if row["event"] == "problem"} if resumed else set()
    print("seconds of processor time (of the wall clock) to a relative suboptimality; x: as many times descender's\n")
    with given.out.open("a" if resumed else "w") as out, threadpool_limits(1):
        if not resumed:
            out.write(json.dumps({**header(), **rules(given.deadline, given.turns), "note": given.note}) + "\n")
        for problem in chosen(given):
            if problem.name not in done:
                rows = list(race(problem, names, given.turns, given.deadline))
                out.writelines(json.dumps(row) + "\n" for row in rows)
                out.flush()
                print("\n".join(lines_of(Run(rows, SOLVERS), problem.name, given.target)), flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s; what was measured: {given.out}")


if __name__ == "__main__":
    main()
