"""Methods raced on one cost or one table: which of them, given my data and my time?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.descent import check_start
from descender.errors import CapabilityError, OptionError, StartError
from descender.pictures.race import Gaps, describe_gaps
from descender.pictures.style import short
from descender.verbs.choosing import check_numbers, check_words
from descender.verbs.fit import suitable_loss, with_parameters
from descender.verbs.judging import leave_critical_start
from descender.verbs.minimize import minimize
from descender.verbs.racing import (
    TIGHT,
    Curve,
    Entry,
    Run,
    choose_entry,
    curve_of,
    default_entries,
    race,
    unique,
)
from descender.verbs.ranking import DEADLINES, LEVELS, amount, answer, leaders, level_text, price_line, together
from descender.verbs.reading import describe, read_cost
from descender.verbs.table import Roles, Teller, encode, hold_out, read_table
from descender.walk import Walk

EPOCHS, EVALUATIONS = 50, 2_000
"""The budget where none is given: readings of all rows, or evaluations of a cost without samples."""
COMPILED_NUMBERS, CALLED_ROWS = 6e8, 2e5
"""Numbers of a table that a method reads in some seconds, and rows of a cost that is called from Python."""


@dataclass(frozen=True)
class Racer:
    """One method of a race.

    ``gap`` is the share of the first gap :math:`(F(w) - F^*) / (F(w_0) - F^*)` that was left after ``work``: gradients
    of single samples, or evaluations of a cost without samples.  ``prices`` has the work after which the gap was first
    seen within each of ``LEVELS``, None where it never was; ``reached`` tells whether the goal was, ``seconds`` the
    time until then or to the end, measurements left out; ``trouble`` what went wrong, ``finding`` the doctor on it.
    """

    name: str
    method: str
    work: np.ndarray
    gap: np.ndarray
    reached: bool
    prices: dict[float, float | None]
    seconds: float
    trouble: str
    finding: Any
    walk: Walk

    @property
    def final_gap(self) -> float:
        """The share of the first gap that was left at the end."""
        return float(self.gap[-1])

    def left_after(self, work: float) -> float:
        """The share of the gap that was left when so much work was done; infinite where it was no number."""
        gap = self.gap[self.work <= work][-1]
        return float(gap) if np.isfinite(gap) else math.inf


@dataclass(frozen=True)
class Comparison:
    """The result of a race: a table, a picture and an answer.

    ``racers`` are in the order of the line-up; ``reference`` is the walk to the bottom that ``lowest`` comes from, with
    its certificate where there is one; ``goal`` is the cost that was raced to, ``to`` the same as a share of the first
    gap; ``unit`` is "rows" or "evaluations", ``budget`` how many of them each method had.  ``answers`` say which method
    to take, ``left_out`` which were not raced and why, ``notes`` what else is to be known.
    """

    described: str
    unit: str
    n_samples: int | None
    first: float
    lowest: float
    goal: float
    to: float
    budget: float
    reference: Walk
    racers: list[Racer]
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def answers(self) -> list[str]:
        """Which method, for how much work and how near: each sentence with the measurement behind it."""
        return answer(self)

    @property
    def summary(self) -> str:
        """The shortest answer: the best within the first deadline, and the cheapest to the goal."""
        limit = self.in_units(self.budget)
        soon = leaders(self, min(DEADLINES[self.unit][0], limit))
        early = f"within {amount(self, min(DEADLINES[self.unit][0], limit))}: {together(soon[0])}; " if soon[0] else ""
        return early + (price_line(self, self.to) or f"to {level_text(self.to)}: none within {amount(self, limit)}")

    @property
    def reached(self) -> bool:
        """Whether any method reached the goal."""
        return any(racer.reached for racer in self.racers)

    def __getitem__(self, name: str) -> Racer:
        """A racer by its specification."""
        return next(racer for racer in self.racers if racer.name == name)

    def in_units(self, work: float | None) -> float:
        """Work as it is shown: epochs where there are samples, else evaluations; NaN for None."""
        return math.nan if work is None else work / (self.n_samples or 1)

    def plot(self, ax: Any = None) -> Any:
        """Draw the gaps against the work with Matplotlib; returns the axes."""
        from descender.pictures.race import draw_gaps

        return draw_gaps(self.gaps(), ax)

    def report(self, path: str | Path, command: str = "") -> Path:
        """Write one HTML page about the race, which works offline; `command` is what makes it again."""
        from descender.report_compare import write_race_report

        return write_race_report(self, Path(path), [(level, level_text(level)) for level in LEVELS], command)

    def gaps(self) -> Gaps:
        """The gaps against the work, as plain data for a picture."""
        lines = [(racer.name, self.in_units(1.0) * racer.work, racer.gap, racer.reached) for racer in self.racers]
        unit = "work in epochs: gradients of single rows / rows" if self.n_samples else "evaluations"
        return describe_gaps(lines, unit, self.described, self.to)

    def as_json(self) -> dict[str, Any]:
        """Plain data: the schema of ``descender compare --json``."""
        found = self.reference.certificate
        return {
            "cost": self.described,
            "unit": self.unit,
            "n_samples": self.n_samples,
            "budget": self.budget,
            "first": self.first,
            "lowest": self.lowest,
            "goal": self.goal,
            "to": self.to,
            "reference": {
                "method": self.reference.method,
                "message": self.reference.message,
                "certificate": found._asdict() if found else None,
            },
            "methods": [
                {
                    "name": racer.name,
                    "method": racer.method,
                    "reached": racer.reached,
                    "work": {f"{level:g}": price for level, price in racer.prices.items()},
                    "final_gap": racer.final_gap,
                    "spent": float(racer.work[-1]),
                    "seconds": racer.seconds,
                    "trouble": racer.trouble,
                    "finding": racer.finding.as_dict() if racer.finding else None,
                    "curve": {"work": racer.work, "gap": racer.gap},
                }
                for racer in self.racers
            ],
            "summary": self.summary,
            "answers": self.answers,
            "left_out": self.left_out,
            "notes": self.notes,
        }


def compare(
    cost: Any,
    start: Any = None,
    methods: Sequence[str] | None = None,
    *,
    target: str | ArrayLike | None = None,
    to: float = 1e-6,
    to_cost: float | None = None,
    max_epochs: float | None = None,
    max_evaluations: int | None = None,
    data: Mapping[str, ArrayLike] | None = None,
    constants: Mapping[str, float] | None = None,
    gradient: Any = None,
    n_samples: int | None = None,
    args: tuple = (),
    exclude: Iterable[str] | str = (),
    sql: str | None = None,
    task: str | None = None,
    loss: str | None = None,
    l2: float | None = None,
    l1: float = 0.0,
    holdout: float = 0.2,
    seed: int = 0,
    progress: Callable[[str, str, float], Any] | None = None,
) -> Comparison:
    r"""Race methods to the bottom of one cost, or of the model of one table, and say which one to take.

    The race is counted in work: one for each gradient of a single sample - so n for a reading of n rows - and of a cost
    without samples one for each evaluation.  Seconds are shown beside and decide nothing.  How near a method is, is the
    share :math:`(F(w) - F^*) / (F(w_0) - F^*)` of the gap at the start that is left; :math:`F^*` is the lowest
    cost that ``auto`` or any of the methods reached.

    Parameters
    ----------
    cost, start, gradient, n_samples, data, constants, args
        a formula, a function or a cost, as in :func:`~descender.verbs.minimize.minimize`
    cost, target, exclude, sql, task, loss, l2, l1, holdout
        or a table and its target, as in :func:`~descender.verbs.fit.fit`: the cost that `fit` descends is raced on,
        with an l2 of one over the training rows unless it is given
    methods
        specifications such as ``"saga"`` or ``"momentum learning_rate=0.01 beta=0.95"``; by default some that suit the
        cost, each at its automatic rate
    to, to_cost
        the goal: a share of the gap at the start, or a cost
    max_epochs, max_evaluations
        the deadline: each method may do the work of so many readings of all rows (50, fewer where a reading is long),
        or so many evaluations of a cost without samples (2,000)
    seed
        of the order of samples
    progress
        called with a word, a line and seconds, as things are done

    Raises :class:`~descender.errors.OptionError` for specifications that cannot be read or do not suit the cost, and
    :class:`~descender.errors.StartError` where there is no bottom to race to.

    >>> race = compare("(1-x)**2 + 100*(y-x**2)**2", "x=-1.2 y=1", ["auto", "momentum learning_rate=0.001"])
    >>> [(racer.name, racer.reached) for racer in race.racers]
    [('auto', True), ('momentum learning_rate=0.001', True)]
    >>> race["auto"].prices[1e-6] < race.racers[1].prices[1e-6]
    True

    """
    check_numbers(to=to, max_evaluations=max_evaluations, l1=l1, l2=l2)
    _check_goal(to, to_cost, max_epochs=max_epochs, max_evaluations=max_evaluations)
    say = Teller(progress)
    formula_words = {"data": data, "constants": constants, "gradient": gradient, "n_samples": n_samples}
    if is_table(cost, target):
        given = next((name for name, value in formula_words.items() if value is not None), None)
        if given is not None or args:
            raise OptionError(f"{given or 'args'} goes with a formula or function; a table has its target")
        problem: Cost = _risk_of(cost, target, exclude, sql, task, loss, l2, l1, holdout, seed, say)
        w = read_cost(problem, start)[1]
    else:
        table_words = {"target": target, "sql": sql, "task": task, "loss": loss, "l2": l2}
        named = next((name for name, value in table_words.items() if value is not None), None)
        if named is not None:
            raise OptionError(f"{named} goes with a table and its target, not with a formula or function")
        problem, w = read_cost(cost, start, gradient, data, constants, args, n_samples)
    check_words(tol=None, callback=None, seed=seed, on_divergence=None)
    budget, told = _budget(problem, max_epochs, max_evaluations)
    specs, left_out = default_entries(problem) if methods is None else (_listed(methods), [])
    entries, refused = _fitting(problem, w, unique(specs), strict=methods is not None)
    check_start(problem, w)
    first_point, note = leave_critical_start(problem, w)
    return _run(
        problem, first_point, entries, budget, to, to_cost, seed, say,
        left_out + refused, told + ([note] if note else []),
    )  # fmt: skip


def _check_goal(to: float, to_cost: Any, **deadlines: Any) -> None:
    if not 0 < to < 1:
        raise OptionError(f"to={to:g}: expected a share of the gap at the start, above 0 and below 1")
    for name, value in {"to_cost": to_cost, **deadlines}.items():
        if value is None:
            continue
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)
        if not number or (name != "to_cost" and value <= 0):
            raise OptionError(f"{name}={value!r}: expected a {'finite' if name == 'to_cost' else 'positive'} number")


def is_table(cost: Any, target: Any) -> bool:
    """Whether what is to be raced on is a table and no formula, function or cost."""
    if target is not None:
        return True
    if isinstance(cost, str):
        return cost.startswith("example:") or Path(cost).suffix.lower() in (".csv", ".gz", ".parquet", ".jsonl", ".npy")
    return not (isinstance(cost, Cost) or callable(cost))


def _risk_of(
    data: Any, target: Any, exclude: Any, sql: Any, task: Any, loss: Any, l2: Any, l1: float, holdout: float,
    seed: int, say: Teller,
) -> Risk:  # fmt: skip
    """The cost that :func:`~descender.verbs.fit.fit` descends for the same words."""
    excluded = [exclude] if isinstance(exclude, str) else list(exclude)
    table = read_table(data, target, excluded, sql, task, Roles(), say, loss)
    design = encode(table, hold_out(table, holdout, seed), True, say)
    return Risk(
        design.X, design.y, with_parameters(suitable_loss(loss, table.coding), design.y, say),
        l2=1.0 / len(design.y) if l2 is None else l2, l1=l1, features=design.encoder.features,
        n_classes=len(table.coding.classes) or None,
    )  # fmt: skip


def _listed(methods: Any) -> list[str]:
    return [methods] if isinstance(methods, str) else list(methods)


def _fitting(cost: Cost, w: Vector, entries: list[Entry], strict: bool) -> tuple[list[Entry], list[str]]:
    """The entries that suit the cost; of a default line-up, what does not is left out and told."""
    fit, refused = [], []
    for entry in entries:
        try:
            choose_entry(cost, w, entry)
        except CapabilityError as error:
            if strict:
                raise
            refused.append(f"{entry.spec}: {error}")
            continue
        fit.append(entry)
    return fit, refused


def _budget(cost: Cost, max_epochs: float | None, max_evaluations: int | None) -> tuple[float, list[str]]:
    """The work that each method may do, and what is to be said about it."""
    n = cost.n_samples
    if n is None:
        if max_epochs is not None:
            raise OptionError(f"max_epochs={max_epochs:g}: this cost has no samples to read; give max_evaluations")
        return float(max_evaluations or EVALUATIONS), []
    if max_evaluations is not None:
        raise OptionError(f"max_evaluations={max_evaluations}: of a cost over samples give max_epochs, its readings")
    if max_epochs is not None:
        return float(max_epochs) * n, []
    affordable = COMPILED_NUMBERS / (n * cost.n_parameters) if cost.kernel() is not None else CALLED_ROWS / n
    epochs = max(3, min(EPOCHS, int(affordable)))
    long = f"{n:,} rows take long to read, so each method has {epochs} epochs; max_epochs={EPOCHS} gives more"
    return float(epochs) * n, [long] if epochs < EPOCHS else []


def _run(
    cost: Cost, w: Vector, entries: list[Entry], budget: float, to: float, to_cost: float | None, seed: int,
    say: Teller, left_out: list[str], notes: list[str],
) -> Comparison:  # fmt: skip
    """The reference, then every method."""
    convex = isinstance(cost, Risk) and cost.convex
    reference = minimize(cost, w, tol=TIGHT if convex else None, seed=seed)
    found = reference.certificate
    say("reference", f"{reference.method}: {found or reference.message}", stage="reference")
    first = cost.value(w)
    if not reference.fun < first:
        raise StartError("the start is as low as the bottom that auto finds from it: start higher, to have a race")
    if reference.status in ("unbounded", "no_minimum", "not_finite") and to_cost is None:
        raise StartError(f"there is no bottom to race to: {reference.message}; give to_cost, a cost to reach")
    aim = reference.fun + to * (first - reference.fun) if to_cost is None else float(to_cost)
    if not aim < first:
        raise OptionError(f"to_cost={aim:g} is not below the cost at the start, {first:g}: there is nothing to race to")
    runs = []
    for entry in entries:
        if entry.name == "auto":  # the same walk: it is not walked twice
            runs.append(Run(entry, reference, curve_of(reference.record, cost.n_samples or 1)))
        else:
            runs.append(race(cost, w, entry, budget, aim, seed))
        say("raced", entry.spec, stage=entry.spec)
    curves = [run.curve.until(budget, aim) for run in runs]
    seen = [float(np.nanmin(np.where(np.isfinite(curve.cost), curve.cost, np.nan))) for curve in curves]
    lowest = min([reference.fun, *seen])
    best = entries[int(np.argmin(seen))].spec
    if reference.fun - lowest > 1e-9 * max(abs(lowest), 1e-3 * (first - lowest)):
        notes = [*notes, f"{best} ended lower than auto, at {short(lowest)}: gaps are counted from there"]
    if found is not None and found.gap > 0.1 * to * (first - lowest):
        notes = [*notes, f"the lowest cost is only known to within {short(found.gap, 2)}: {found}"]
    share = to if to_cost is None else max((aim - lowest) / (first - lowest), 0.0)
    racers = [
        _racer(run, curve, first, lowest, aim, curve.cost[-1] <= aim) for run, curve in zip(runs, curves, strict=True)
    ]
    unit = "rows" if cost.n_samples else "evaluations"
    return Comparison(
        describe(cost), unit, cost.n_samples, first, lowest, aim, share, budget, reference, racers, left_out, notes
    )


def _racer(run: Run, curve: Curve, first: float, lowest: float, goal: float, reached: bool) -> Racer:
    """A run measured against the lowest cost of all."""
    gap = (curve.cost - lowest) / (first - lowest)
    prices: dict[float, float | None] = {}
    for level in LEVELS:
        k = curve.first(lowest + level * (first - lowest))
        prices[level] = None if k is None else float(curve.work[k])
    finding = run.walk.findings[0] if run.walk.findings else None
    return Racer(
        run.entry.spec, run.walk.method, curve.work, gap, bool(reached), prices, float(curve.seconds[-1]),
        _trouble(run, gap, bool(reached), finding), finding, run.walk,
    )  # fmt: skip


def _trouble(run: Run, gap: np.ndarray, reached: bool, finding: Any) -> str:
    """What went wrong, in a line; empty where nothing did, or only the budget ended."""
    walk = run.walk
    cut = sum("rate / 3" in note for note in walk.notes)
    said = f"rate cut {'once' if cut == 1 else f'{cut} times'}, after steps that went wrong" if cut else ""
    if reached:
        return said
    if walk.status == "not_finite" or not np.isfinite(gap[-1]):
        said = "diverged"
    elif gap[-1] > 1.0:
        said = "ended higher than it began"
    elif walk.status in ("stuck", "not_there", "no_minimum", "unbounded", "floor"):
        said = walk.message
    elif len(gap) > 8 and gap[len(gap) // 2 :].min() > 0.7 * gap[: len(gap) // 2].min():
        said = "stalls" + (f"; {said}" if said else "")
    return said + (f": {finding.code} {finding.title}, {finding.remedy}" if finding and said else "")
