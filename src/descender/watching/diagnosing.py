"""A loop that is handed over as a function is run, examined, and run again with what may help."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from descender.doctor.finding import Finding, root_first, without
from descender.doctor.loops import suspects
from descender.doctor.loops.case import Case, LossFacts, Remedy, Run, Suspect
from descender.doctor.loops.data import far_rows
from descender.doctor.trial import Trial
from descender.watching.changes import Change
from descender.watching.graph import last_activation, strays
from descender.watching.loop import SAMPLE, called, evaluating, first, made, numbers, pair, plain, sample
from descender.watching.loss import examine_loss, rows_to_ask
from descender.watching.network import (
    alike,
    back_and_forth,
    check_backward,
    examine_layers,
    is_affine,
    mixes_rows,
    modes_matter,
    overfits,
)  # fmt: skip
from descender.watching.origin import traced
from descender.watching.rows import dropout_of, familiar
from descender.watching.running import quiet_global_rng, run
from descender.watching.torch_ import torch

MOST_CLASSES = 1000
LEARNS_LESS = ("leaked-label", "eval-mode")
"""What is known too early is missed, dropout drops again: it is enough that something is learnt."""


class Diagnosis(list[Finding]):
    """The findings about a loop, the most likely cause first, and what may be tried.

    ``base`` is the run that was examined, ``error`` the exception that ended it, if one did.
    """

    def __init__(self, findings: Iterable[Finding], suspected: list[Suspect], case: Case):
        super().__init__(findings)
        self.case, self.base, self.error = case, case.base, case.base.error
        self._suspected = {suspect.cause: suspect for suspect in reversed(suspected)}

    def confirm(self, most: int = 1) -> list[Trial]:
        """Train again from the start with the remedies of the first `most` findings, and tell how each ended.

        A remedy that only a person can carry out is not among them.
        """
        trials = []
        for finding in self[:most]:
            suspect = self._suspected[finding.cause]
            for remedy in suspect.remedies:
                if remedy.change is None:
                    continue
                trial = self._tried(suspect, remedy)
                trials.append(trial)
                if trial.repaired:
                    break
        return trials

    def _tried(self, suspect: Suspect, remedy: Remedy) -> Trial:
        case = self.case
        again = case.rerun(remedy)
        before, after = case.outcome(case.base), case.outcome(again)
        if suspect.cause == "overfitting" and case.base.validation:
            before, after = (
                f"{r.validation[-1][1]:.3g}" if r.validation else f"{r.end:.3g}" for r in (case.base, again)
            )
            repaired = bool(again.validation) and again.validation[-1][1] < case.base.validation[-1][1]
        elif suspect.cause in LEARNS_LESS:
            repaired = again.finite and not case.failed(again)
        elif suspect.cause == "wrong-sign" and case.loss.outwards:  # by its own, wrong, loss it ends higher
            repaired = again.finite and again.end > case.base.start
        else:
            repaired = case.better(again)
        return Trial(suspect.cause, remedy.name, remedy.code, before, after, bool(repaired))

    def __str__(self) -> str:
        return "\n".join(map(str, self)) if self else "nothing found"


class Patient:
    """A loop that can be made as often as it is needed, and what is known of it."""

    def __init__(self, make: Callable[[int], Any], seed: int):
        self.make, self.seed = make, seed
        self.runs: dict[str, Run] = {}

    def fresh(self) -> Any:
        """A new loop; always the same."""
        with quiet_global_rng(self.seed):
            return made(self.make, self.seed)

    def examine(self) -> Case:
        """Run the loop, and find out what the checks want to know."""
        with quiet_global_rng(self.seed):
            loop = made(self.make, self.seed)
            facts, loss = self._before(loop)
        self.loss = loss
        began = [p.detach().clone() for p in strays(loop)]
        base, after = self._run(apart=True)
        with quiet_global_rng(self.seed):
            X, y = sample(loop, 1 << 30)
            predictions = _predictions(after.module, X)
            base.facts["alike"] = alike(after.module, 1e-3)
            base.facts["dropout"] = dropout_of(after.module)
            repeated, held_known = familiar(base.facts["asked at validation"], base.facts["first X"])
            base.facts |= {"repeats itself": repeated, "held-out rows known": held_known}
            layers_end = examine_layers(after.module, X[:512]) if base.finite else []
        facts["alike at the end"] = base.facts["alike"]
        facts["astray"] = [tuple(p.shape) for p, q in zip(began, strays(after), strict=False) if torch.equal(p, q)]
        case = Case(
            X=_table(X), y=_table(y), shape=tuple(X.shape), targets=facts["targets"], output=facts["output"],
            target_shape=tuple(y.shape), outputs=facts["outputs"], predictions=predictions, base=base, loss=loss,
            parts=base.facts["parts"], layers=facts["layers"], layers_end=layers_end, back=facts["back"],
            forth=facts["forth"], anatomy=base.facts["anatomy"], origin=self._origin(base), facts=facts,
            rerun=self.rerun,
        )  # fmt: skip
        facts["pull"] = self._pull(case)
        if case.failed() and case.base.error is None:
            facts["left of sixteen"] = self._sixteen()
        return case

    def _before(self, loop: Any) -> tuple[dict[str, Any], LossFacts]:
        """What is asked before training; `loop` is not trained afterwards."""
        X, y = sample(loop, 1 << 30)
        some = X[:512]
        out = _predictions(loop.module, X)
        shaped, loss = self._asked_loss(loop, loop.loss_fn)
        back, forth = back_and_forth(loop)
        batches = first(loop.batches, 40)
        both = [rows for rows in map(pair, batches) if rows is not None]
        matrices = [name for name, p in loop.module.named_parameters() if p.ndim > 1]
        facts = {
            "targets": _kind(y), "outputs": out, "whole columns": not X.is_floating_point(),
            "classes a place": _classes_a_place(y, shaped),
            "output": (len(X), *shaped.shape[1:]) if shaped is not None else (),
            "restores": y.is_floating_point() and y.shape == X.shape and torch.equal(X.to(y.dtype), y),
            "layers": examine_layers(loop.module, some), "back": back, "forth": forth,
            "modes matter": modes_matter(loop.module, some), "mixed": mixes_rows(loop.module, some),
            "affine": is_affine(loop.module, some), "alike": alike(loop.module), "matrices": matrices,
            "backward": check_backward(loop), "alike within": _alike_within(both, _kind(y)),
            "tensors": len(both) == len(batches) > 0,
            "batch size": int(np.median([len(rows[0]) for rows in both])) if both else 0,
            "last": last_activation(loop.module, some[:8]), "logits taken": _takes_logits(loop.loss_fn, y),
        }  # fmt: skip
        return facts, loss

    def _asked_loss(self, loop: Any, loss_fn: Callable[[Any, Any], Any]) -> tuple[Any, LossFacts]:
        """Answers for some rows, and the facts about a loss of them; of a sum over rows as of those of ``cost``."""
        X, y = sample(loop, rows_to_ask(torch.as_tensor(loop.y)))
        shaped = _answers(loop.module, X)
        if shaped is None:
            return None, LossFacts()
        loss = examine_loss(loss_fn, shaped, y)
        if loss.rows:
            rows = min(len(loop.X), SAMPLE)
            times = rows / loss.rows
            loss.trivial, loss.floor, loss.rows = times * loss.trivial, times * loss.floor, rows
        return shaped, loss

    def _run(self, remedy: Remedy | None = None, apart: bool = False) -> tuple[Run, Any]:
        loop = self.fresh()
        name, value = remedy.change if remedy is not None and remedy.change is not None else ("", None)
        until = value if name == "stop" else None
        change = Change(name, _loss(value, loop) if name == "loss" else value) if name and name != "stop" else None
        rows = _kept(loop, value) if name == "without rows" else None
        rows = _blank(loop, value) if name == "without column" and isinstance(value, int) else rows
        with quiet_global_rng(self.seed):
            loss = self.loss
            if name == "loss":
                shaped, known = self._asked_loss(loop, _loss(value, loop))
                loss = known if shaped is not None else loss
            way = loss.trivial - loss.floor
            reference = (lambda end: (loss.trivial - end) / way) if way > 0 else None
            told = run(loop, self.seed, change, apart, until, reference=reference, rows=rows)
        return told, loop

    def rerun(self, remedy: Remedy) -> Run:
        """The same training with a remedy; each is done once."""
        key = repr(remedy.change)
        if key not in self.runs:
            self.runs[key] = self._run(remedy)[0]
        return self.runs[key]

    def _origin(self, base: Run) -> Any:
        """Where the first number that is not finite came from: the training again, up to the step that made it."""
        if base.broken is None:
            return None
        loop = self.fresh()
        tracers: list[Any] = []

        def context(step: int, batch: Any) -> Any:
            rows = pair(batch)
            within = traced(loop.module, 0 if rows is None else len(rows[0]), step)
            return _Kept(within, tracers, batch)

        with quiet_global_rng(self.seed):
            run(loop, self.seed, until=base.broken + 1, at_last=context)
        found = tracers[0][0].found if tracers else None
        if found is not None and "row" in found.where:
            self._named(found, tracers[0][1], loop)
        return found

    def _named(self, found: Any, batch: Any, loop: Any) -> None:
        """Call a row of the batch by its number in the data."""
        rows = pair(batch)
        X = torch.as_tensor(loop.X)
        if rows is not None and rows[0].shape[1:] == X.shape[1:]:
            same = (rows[0][found.where["row"]].to(X.dtype) == X).flatten(1).all(dim=1).nonzero()
            if len(same):
                found.where["batch_row"], found.where["row"] = found.where["row"], int(same[0])

    def _pull(self, case: Case) -> dict[int, float]:
        """The gradient of a row that is far out over the median one."""
        far = far_rows(case)
        if far is None:
            return {}
        loop = self.fresh()
        X, y = sample(loop, 1 << 30)
        loop.module.eval()

        def size(i: int) -> float:
            loop.module.zero_grad()
            loop.loss_fn(called(loop.module, X[i : i + 1]), y[i : i + 1]).backward()
            return math.sqrt(
                sum(
                    float(plain(p.grad).double().square().sum()) for p in loop.module.parameters() if p.grad is not None
                )
            )

        try:
            with torch.enable_grad():
                others = [size(int(i)) for i in np.linspace(0, len(X) - 1, 25) if i not in far[4]]
                return {far[1]: size(far[1]) / max(float(np.median(others)), 1e-300)}
        except Exception:
            return {}

    def _sixteen(self) -> float:
        """The share of the loss of sixteen rows that is left when they alone are learnt."""
        loop = self.fresh()
        with quiet_global_rng(self.seed):
            left = overfits(loop)
        way = self.loss.trivial - self.loss.floor
        return (left - self.loss.floor) / way if way > 0 else math.nan


class _Kept:
    """A context whose value is kept, beside its batch."""

    def __init__(self, within: Any, into: list, batch: Any):
        self.within, self.into, self.batch = within, into, batch

    def __enter__(self) -> None:
        self.into.append((self.within.__enter__(), self.batch))

    def __exit__(self, *error: Any) -> Any:
        return self.within.__exit__(*error)


def diagnose_loop(make: Callable[[int], Any], seed: int = 0, ignore: Iterable[str] | str = ()) -> Diagnosis:
    """The findings about the loop that `make(seed)` returns; see :func:`descender.diagnose`."""
    case = Patient(make, seed).examine()
    with np.errstate(all="ignore"):
        found = suspects(case)
    findings = [Finding(s.cause, s.severity, s.evidence, s.remedies[0].code, s.where) for s in found]
    return Diagnosis(without(root_first(findings), ignore), found, case)


def _loss(value: Any, loop: Any) -> Any:
    """A loss, by its name or as it is."""
    if value == "cross-entropy":
        return lambda z, y: torch.nn.functional.cross_entropy(z.reshape(-1, z.shape[-1]), y.reshape(-1))
    if value == "standardised targets":
        y, own = torch.as_tensor(loop.y), loop.loss_fn
        mean, deviation = y.mean(), y.std()
        return lambda z, y: own(z, (y - mean) / deviation)
    if value == "logistic":
        y = torch.as_tensor(loop.y)
        middle = 0.5 * (float(y.min()) + float(y.max()))
        logistic = torch.nn.functional.binary_cross_entropy_with_logits
        return lambda z, y: logistic(z.reshape(-1), (y > middle).to(z.dtype).reshape(-1))
    return value


def _classes_a_place(y: Any, outputs: Any) -> bool:
    """Whether the targets of a row are many class numbers, and the outputs scores of each."""
    scored = isinstance(outputs, torch.Tensor) and outputs.ndim == y.ndim + 1 and outputs.shape[-1] > 1
    whole = y.ndim > 1 and not y.is_floating_point() and not y.is_complex() and y.numel() > 0
    return bool(
        scored
        and whole
        and outputs.shape[1:-1] == y.shape[1:]
        and 0 <= int(y.min()) <= int(y.max()) < outputs.shape[-1]
    )


def _table(tensor: Any) -> np.ndarray | None:
    return None if tensor.is_complex() else numbers(tensor)


def _kept(loop: Any, rows: Any) -> tuple[Any, Any]:
    """The sample without some rows, or without those that are not finite."""
    X, y = sample(loop, 1 << 30)
    keep = torch.isfinite(X).flatten(1).all(dim=1) & torch.isfinite(y.reshape(len(y), -1).float()).all(dim=1)
    if rows is not None:
        keep[rows] = False
    return X[keep], y[keep]


def _blank(loop: Any, column: int) -> tuple[Any, Any]:
    """The sample with a column at 0."""
    X, y = sample(loop)
    X = X.clone()
    X[:, column] = 0
    return X, y


def _answers(module: Any, X: Any) -> Any:
    """A module's answers in evaluation mode, with their shape; None where it has none."""
    try:
        with evaluating(module), torch.no_grad():
            return called(module, X)
    except Exception:
        return None


def _predictions(module: Any, X: Any) -> np.ndarray | None:
    out = _answers(module, X[:2048])
    return None if out is None else numbers(out)


def _kind(y: Any) -> str:
    """Whether targets are class numbers or numbers."""
    if y.ndim > 1 and y.shape[-1] != 1:
        return ""
    whole = not y.is_floating_point()
    kinds = torch.unique(y[torch.isfinite(y.float())])
    if whole:
        few = len(kinds) <= min(MOST_CLASSES, max(len(y) // 2, 2)) and (not len(kinds) or int(kinds.min()) >= 0)
        return "classes" if few else "numbers"
    return "classes" if len(kinds) == 2 and set(kinds.tolist()) == {0.0, 1.0} else "numbers"


def _takes_logits(loss_fn: Callable[[Any, Any], Any], y: Any) -> bool:
    """Whether a loss is the cross-entropy of the sigmoid of its scores."""
    z = torch.linspace(-3, 3, y.numel()).reshape(y.shape)
    own = (y > y.float().mean()).to(y.dtype)
    known = torch.nn.functional.binary_cross_entropy_with_logits(z, own.float())
    for asked, target in ((z, own.float()), (z.reshape(-1, 1), own), (z.reshape(-1, 1), own.float())):
        try:
            with torch.no_grad():
                if bool((loss_fn(asked, target) - known).abs() < 1e-5):
                    return True
        except Exception:  # it wants another shape
            continue
    return False


def _alike_within(batches: list[tuple[Any, Any]], kind: str) -> tuple[float, int]:
    """The share of the variation of targets that is between batches, beyond chance, and how many batches there are."""
    if len(batches) < 2 or not kind:
        return 0.0, len(batches)
    targets = [y.reshape(len(y)) for _, y in batches if y.numel() == len(y)]
    if len(targets) < 2:
        return 0.0, len(targets)
    if kind == "classes":
        most = int(max(float(y.max()) for y in targets)) + 1
        tables = [torch.nn.functional.one_hot(y.long(), most).double() for y in targets]
    else:
        tables = [y.double()[:, None] for y in targets]
    everything = torch.cat(tables)
    total = float((everything - everything.mean(dim=0)).square().sum())
    within = sum(float((t - t.mean(dim=0)).square().sum()) for t in tables)
    n, k = len(everything), len(tables)
    if total <= 0 or n <= k or not math.isfinite(total):
        return 0.0, k
    return max(0.0, 1.0 - (within / (n - k)) / (total / (n - 1))), k
