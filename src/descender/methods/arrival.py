"""Where the model of a walk has nothing more to gain: what the point is, and from where to go on if no minimum."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Vector
from descender.costs.gradient_check import check_gradient
from descender.errors import CostError, DescenderError
from descender.methods.advance import COLUMNS, length
from descender.methods.bounds import Bounds
from descender.methods.critical import FLAT_MEASURED, LARGEST, Critical, classify, lanczos, leave, probe, units
from descender.methods.linesearch import Found
from descender.methods.method import Block, Outcome, one_step

NAMED = 20
"""Parameters up to which a walk that stands still since its gradient is wrong looks for the worst of them."""

SHARE, DOUBT = 10, 4
"""One in so many evaluations may be spent on curvature at the end; and where the end was not quick."""
POLISHING = 3
"""Newton steps that may follow where the model is content but true curvatures see the bottom further on."""
MISTAKEN = 30.0
"""Newton's step gained so many times what the model promised: it knew nothing of a direction."""
SHRINKS = (1.0, 0.1, 0.01)
"""Parts of a Newton step that leads far away which are tried in turn."""
SLOW, SUDDEN = 3e-2, 1e-9
"""A last promise above this share of the last decrease is no superlinear end; one below the other is suspicious."""

TAKEN = 1e-4
"""A direction along which less than this share of the steps went was not taken."""
ENOUGH = 6
"""Evaluations for which it is worth to look for an extreme curvature."""
LEVEL = 1e-9
"""A gradient that over the length of w changes J by less than this share of the walk is as good as zero."""
STRETCHES = (0.01, 0.1, 0.5, 1.0)
"""Parts of the way from the start, beyond the end of a walk: a cost that falls at each of them has no minimum there."""
WINDOW, WIDE, CONTRACTS = 3, 12, 0.5
"""Steps whose decreases are compared with those of as many before: few, and many, since the way into a degenerate
minimum zigzags; at most this share of them is a contraction."""
CRAWL = 100, 1e-12
"""Steps that together lower J by less than this share of it: a zigzag along a tail that falls too slowly to end."""
SHRUNK, STEADY = 0.1, 0.5
"""The last steps over those before: below the one a walk arrives, above the other it does not."""
WEAK = 1e-3
"""A curvature that over the length of the way would raise J by less than this share of what was gained ends no way."""
DIGITS, LONG = (1e-14, 1e-7), 0.05
"""Shares of what was gained from the one to the other of which a tail takes more than that part of the way."""
MIXED, EXACT = 0.1, 1e-4
"""Share of a flat direction's largest component below which another is rounding: of curvatures measured, and exact."""
AROUND, FAR = 4, (0.1, 1.0, 10.0, 100.0)
"""Directions at random along which both sides of a flat start are looked at, and how far, in units of w."""
PLATEAU = "a plateau: the gradient and all curvatures are zero, and J has no walls around; start elsewhere"
DOUBTED = ", as measured, but J is lower nowhere along it: is the cost noisy?"
MINIMUM = Critical("unknown", "a minimum: J curves upward along every direction of the walk", np.empty(0))
PRESUMED = Critical("unknown", "a minimum as far as the walk tells: its curvatures were not measured", np.empty(0))


class Arrival:
    """What is remembered of a walk for its end: the start, the last steps, the escapes that are left."""

    def __init__(self, w: Vector, value: float, escapes: int, memory: int, box: Bounds | None, thrifty: bool):
        self.start = w
        self.first_value = self.start_value = value
        self.escapes, self.escaped, self.box, self.thrifty = escapes, 0, box, thrifty
        self.steps: deque[Vector] = deque(maxlen=memory)
        self.evaluations, self.last = 1, np.inf
        self.decreases: deque[float] = deque(maxlen=2 * WIDE)
        self.lately: deque[float] = deque(maxlen=CRAWL[0])

    def walked(self, step: Vector, decrease: float, evaluations: int) -> None:
        """Remember a step."""
        self.steps.append(step)
        self.evaluations, self.last = self.evaluations + evaluations, decrease
        self.decreases.append(decrease)
        self.lately.append(decrease)

    def crawls(self, value: float) -> bool:
        """Whether many steps together changed only the last digits of J."""
        return len(self.lately) == CRAWL[0] and sum(self.lately) < CRAWL[1] * abs(value)

    def remaining(self) -> float:
        """What J will still fall by if its decreases go on as a geometric series; infinite if they do not contract."""
        recent, least = [*self.decreases], np.inf
        for window in (WINDOW, WIDE):
            if len(recent) >= 2 * window:
                older, newer = sum(recent[-2 * window : -window]), sum(recent[-window:])
                if older > 0 and newer < CONTRACTS * older:
                    least = min(least, newer * newer / (older - newer))
        return least

    def left(self, value: float) -> None:
        """Begin anew from another point: what was gained so far no longer counts."""
        self.escaped, self.start_value, self.last = self.escaped + 1, value, np.inf
        self.decreases.clear()
        self.lately.clear()
        self.steps.clear()

    def longest(self) -> float:
        """The longest of the last three steps as a share of the longest of the three before; 1 of fewer."""
        lengths = [length(step) for step in [*self.steps][-2 * WINDOW :]]
        before = max(lengths[:-WINDOW], default=0.0)
        return max(lengths[-WINDOW:]) / before if before > 0 else 1.0

    def steady(self) -> bool:
        """Whether the last six steps did not shrink."""
        return len(self.steps) >= 2 * WINDOW and self.longest() > STEADY

    def jumped(self) -> bool:
        """Whether the walk has come here by a leap, with hardly a step since."""
        return self.escaped > 0 and len(self.steps) < 2 * WINDOW

    def quick(self, promise: float) -> bool:
        """Whether the end was superlinear, neither slow nor sudden: the model was right about the last step."""
        return SUDDEN * self.last <= promise <= SLOW * self.last

    def gained(self, value: float) -> float:
        """The scale of the walk since its last escape: what it gained, or J itself."""
        return max(abs(value), abs(self.start_value - value))

    def untaken(self, w: Vector) -> NDArray[np.float64]:
        """The directions that the last steps left out: orthonormal in units of the parameters, one a column."""
        if not self.steps:
            return np.eye(len(w))
        steps = np.array(self.steps) / units(w)
        norms = np.linalg.norm(steps, axis=1, keepdims=True)
        _, sizes, directions = np.linalg.svd(steps / np.where(norms > 0, norms, 1.0))
        return directions[int((sizes > TAKEN).sum()) :].T


def arrive(
    cost: Cost, w: Vector, value: float, gradient: Vector, direction: Vector, story: Arrival, still: bool
) -> tuple[Block, Vector | None]:
    """What to say where the model promises nothing more, and from where to go on if this is no minimum.

    `still` tells that the model promised more, but no lower point was found.
    """
    here = Block(np.empty((0, len(COLUMNS))), w, 0, w[None, :][:0], final=(value, gradient))
    if still and not story.escaped and (wrong := _contradicted(cost, story)):
        return here._replace(outcome=wrong), None
    if cost.convex:
        return here._replace(outcome=_end(still, "converged", "the minimum of a convex cost", story, w, gradient)), None
    whole = max(story.gained(value), story.first_value - value)
    critical, spent = _look(cost, w, gradient, direction, story)
    here = here._replace(evaluations=spent)
    if story.escaped < story.escapes:
        here, point = _go_on(cost, here, critical, story, whole, -0.5 * float(gradient @ direction))
        if point is not None:
            return here, point
    assert here.final is not None
    value, gradient = here.final
    size = max(1.0, length(here.w), length(here.w - story.start))
    ahead = _newton(critical, value, gradient, direction)
    kind, text = _judged(cost, here.w, critical, ahead, 1e-12 * whole, size)
    # towards an infimum steps stay as long as they were
    faint = (
        critical.directions is not None
        and len(critical.curvatures) > 0
        and (critical.curvatures[0] <= _weak(critical, here.w - story.start, story.first_value - value))
    )
    doubtful = critical.kind != "minimum" or story.jumped()
    nearby = story.steady() or (doubtful and story.longest() > SHRUNK)
    nearby = nearby and (story.jumped() or not story.quick(-0.5 * float(gradient @ direction)))
    nearby = nearby or (faint and kind == "converged")
    level = length(gradient) * max(1.0, length(here.w)) <= LEVEL * whole  # else J should have fallen: a wrong gradient
    if cost.smooth and nearby and (level if still else kind == "converged"):
        fall, spent = _falling(cost, here, critical, story)
        here = here._replace(evaluations=here.evaluations + spent)
        if fall:
            still, kind, text = False, "no_minimum", fall
    if kind == "converged" and story.evaluations == 1 and not (gradient.any() or critical.curvatures.any()):
        here = here._replace(evaluations=here.evaluations + 2 * AROUND * len(FAR))
        if plateau(cost, here.w, value, story.box):
            kind, text = "plateau", PLATEAU
    return here._replace(outcome=_end(still, kind, text, story, here.w, gradient)), None


def _contradicted(cost: Cost, story: Arrival) -> Outcome | None:
    """The outcome of a walk that is stuck since the gradient which it was handed is not that of J, at its start."""
    if getattr(cost, "given", None) in (None, "jax", "torch") or story.box is not None:
        return None
    try:
        check = check_gradient(cost, story.start)
        if not check.ok and len(story.start) <= NAMED:
            check = check_gradient(cost, story.start, full=True)
    except DescenderError:
        return None
    return None if check.ok else Outcome("wrong_gradient", f"{check.message}, at the start")


def _falling(cost: Cost, here: Block, critical: Critical, story: Arrival) -> tuple[str, int]:
    """What to say if J falls on and on the way that the walk took, and the evaluations that it took to see.

    A curvature of nearly zero may be that of a flat minimum, beyond which J rises, or of the tail of a cost that only
    approaches its infimum.  The whole way tells, and the part of it along which no curvature was seen, or where that is
    not known the course of the last steps.  A tail whose digits are used up is level: it is told by the last steps,
    which were all as long, as towards a minimum they are not, or by how slowly J rises on the way back.
    """
    assert here.final is not None
    w, (value, _), ways, spent = here.w, here.final, [here.w - story.start], 0
    if critical.directions is not None and len(critical.curvatures) == critical.directions.shape[1]:
        V = critical.directions[:, critical.curvatures <= _weak(critical, ways[0], story.first_value - value)]
        flats = [V, *(V[:, [k]] for k in range(V.shape[1]))] if 1 < V.shape[1] <= WINDOW else [V]
        mixed = MIXED if cost.hessian(w) is None else EXACT
        for flat in (U @ (U.T @ ways[0]) for U in flats):
            ways.append(np.where(np.abs(flat) > mixed * np.abs(flat).max(initial=0.0), flat, 0.0))
    elif len(story.steps) > WINDOW:
        course = np.sum([*story.steps][-2 * WINDOW :], axis=0)
        ways.append(course * (length(ways[0]) / max(length(course), 1e-300)))
    for way in ways:
        if not length(way) > 0.0:
            continue
        lowest, falls = value, True
        for stretch in STRETCHES:
            spent += 1
            beyond = _beyond(cost, w + stretch * way, story.box)
            if not beyond <= lowest:
                break
            falls = falls and beyond < lowest - 1e-12 * abs(lowest)
            lowest = beyond
        else:
            if not (falls or story.steady()):
                tail, tried = _tail(cost, w, way, lowest, story)
                spent += tried
                if not tail:
                    continue
            where = bearing(cost, way / length(way))
            if falls:
                return f"no minimum: J keeps falling along ({where}), towards {lowest:.4g} or below", spent
            return f"no minimum: J only approaches {lowest:.4g} along ({where}), as far as its digits tell", spent
    return "", spent


def _weak(critical: Critical, way: Vector, gain: float) -> float:
    """The curvature at most which a direction is flat: rounding of the largest, or too little to end such a way."""
    measured = FLAT_MEASURED * max(critical.curvatures[-1], 0.0)
    return max(measured, WEAK * gain / max(length(way) ** 2, 1e-300))


def _tail(cost: Cost, w: Vector, way: Vector, level: float, story: Arrival) -> tuple[bool, int]:
    """Whether J comes down to its level as to an infimum, and the evaluations that it took to see.

    The last digits then take a good part of the way; a bottom that is level has an edge, at which they come at once.
    """
    gain, spent, parts = story.first_value - level, 0, []
    for digits in DIGITS:
        near, far = 0.0, 1.0
        while far - near > 0.1 * LONG:
            middle, spent = 0.5 * (near + far), spent + 1
            risen = _beyond(cost, w - middle * way, story.box) > level + digits * gain
            near, far = (near, middle) if risen else (middle, far)
        parts.append(far)
    return parts[1] - parts[0] > LONG, spent


def plateau(cost: Cost, w: Vector, value: float, box: Bounds | None = None) -> bool:
    """Whether J is nowhere higher than here, or somewhere lower: where the gradient is zero nothing tells the way.

    A minimum where all derivatives to a high order vanish, or a bottom that is level, has walls around it.
    """
    random = np.random.default_rng(0)
    ways = units(w) * np.array([v / length(v) for v in random.standard_normal((AROUND, len(w)))])
    around = [_beyond(cost, w + side * far * way, box) for far in FAR for way in ways for side in (1.0, -1.0)]
    return any(there < value for there in around) or not any(there > value for there in around)


def _beyond(cost: Cost, point: Vector, box: Bounds | None) -> float:
    """J there, within the box; NaN where it is not defined."""
    try:
        with np.errstate(all="ignore"):
            return cost.value(point if box is None else box.project(point))
    except CostError:
        return np.nan


def bearing(cost: Cost, unit: Vector) -> str:
    """A direction in words: its five largest components, and how many there are besides."""
    order = [int(j) for j in np.argsort(-np.abs(unit), kind="stable") if abs(unit[j]) > 1e-3]
    words = ", ".join(f"{unit[j]:+.3g} {cost.names[j]}" for j in sorted(order[:5]))
    return words + (f" and {len(order) - 5} more" if len(order) > 5 else "")


def _end(still: bool, kind: str, text: str, story: Arrival, w: Vector, gradient: Vector) -> Outcome:
    """The outcome, with a word about the bounds that hold the point."""
    if still:
        return Outcome("stuck", "no lower point was found downhill: is the gradient right, and the cost smooth?")
    held = 0 if story.box is None else int(story.box.held(w, gradient).sum())
    if held:
        text += f"; within the bounds, {held} of which hold{'s' * (held == 1)}: the projected gradient is zero"
    return Outcome(kind, text)


def _look(cost: Cost, w: Vector, gradient: Vector, direction: Vector, story: Arrival) -> tuple[Critical, int]:
    """The curvatures here and the evaluations that they took: as many as are worth it."""
    box, affordable = story.box, max(2, story.evaluations // SHARE)
    free = np.ones(len(w), dtype=bool) if box is None else ~box.held(w, gradient)
    H = cost.hessian(w)
    if H is None and box is not None and not story.thrifty:
        return classify(cost, w, gradient=gradient, free=free, box=box), int(free.sum())
    if H is None and not story.thrifty:
        return classify(cost, w, free=free), 2 * len(w) if len(w) <= LARGEST else 0
    if H is None:
        quick = story.quick(-0.5 * float(gradient @ direction)) and length(direction) <= 1e-3 * max(1.0, length(w))
        if not quick and free.sum() <= max(affordable, story.evaluations // DOUBT):
            return classify(cost, w, gradient=gradient, free=free, box=box), int(free.sum())
        return _probe(cost, w, gradient, affordable, story, free, quick)
    return classify(cost, w, hessian=H, free=free), 0


def _probe(
    cost: Cost, w: Vector, gradient: Vector, affordable: int, story: Arrival, free: NDArray[np.bool_], quick: bool
) -> tuple[Critical, int]:
    """Look across the walk, where that can be complete or is long enough to find an extreme curvature."""
    across = story.untaken(w) if len(w) <= LARGEST else None  # of many a matrix would not fit in memory
    if across is not None and free.all() and quick and (count := across.shape[1]) <= affordable:
        return probe(cost, w, gradient, across, story.box) if count else (MINIMUM, 0)
    if affordable >= ENOUGH:
        return lanczos(cost, w, gradient, affordable // 2, free, story.box)
    return PRESUMED, 0


def _go_on(
    cost: Cost, here: Block, critical: Critical, story: Arrival, whole: float, promised: float
) -> tuple[Block, Vector | None]:
    """The last steps by Newton's method, and a point from which to walk on where this is no minimum.

    `promised` is what the model still saw; curvature that brings much more proves it mistaken.
    """
    assert here.final is not None
    value, gradient = here.final
    w, box, scale = here.w, story.box, story.gained(value)
    for _ in range(POLISHING):
        newton, promise = critical.newton(gradient)
        size = max(1.0, length(w))
        far = length(newton) > 1e-6 * size and story.escaped < POLISHING
        if not (far or promise > max(1e-10 * abs(value), 1e-16 * scale)):
            break
        for shrink in SHRINKS if far else SHRINKS[:1]:
            point = w + shrink * newton if box is None else box.project(w + shrink * newton)
            with np.errstate(all="ignore"):
                lower, slope = cost.value_and_gradient(point)
            here = here._replace(evaluations=here.evaluations + 1)
            if lower < value and np.isfinite(slope).all():
                break
        else:
            break
        wrong = value - lower > max(MISTAKEN * promised, 1e-9 * abs(value))
        if length(newton) > 1e-3 * size or shrink < 1.0 or wrong:
            story.left(lower)
            return here, point
        w, value, gradient = point, lower, slope
        here = here._replace(w=w, final=(value, gradient))
    below = leave(cost, w, critical, 1e-12 * whole, box)
    if below is None:
        return here, None
    story.left(cost.value(below))
    return here._replace(note=f"the gradient was zero at {critical.text}; left downhill"), below


def _newton(critical: Critical, value: float, gradient: Vector, direction: Vector) -> tuple[float, float]:
    """How far the bottom still is by the curvatures or, where they are not known, by the model; and the limit.

    Where J has no digits left to tell what the step would gain, a longer one says little.
    """
    if critical.directions is None or critical.kind == "unknown":
        return length(direction), 0.1
    step, promise = critical.newton(gradient)
    return length(step), 1e-2 if promise <= np.finfo(np.float64).eps * abs(value) else 1e-3


def _judged(
    cost: Cost, w: Vector, critical: Critical, ahead: tuple[float, float], least: float, size: float
) -> tuple[str, str]:
    """The kind of outcome, and the sentence about the point; `size` is that of the point or of the way to it."""
    if not cost.smooth:
        return "converged", "a minimum as far as its neighbours tell: the cost has kinks, where curvature says nothing"
    if not critical.stable:
        if critical.faint(w, least):
            return "converged", "a minimum as far as curvature tells: it is too small here"
        return "stuck", critical.text if cost.hessian(w) is not None else f"{critical.text}{DOUBTED}"
    if ahead[0] > ahead[1] * size:
        return "no_minimum", "no minimum within reach: J still falls, ever more slowly, however far one goes"
    return "converged", critical.text


def endless(
    cost: Cost, w: Vector, direction: Vector, value: float, norm: float, found: Found, evaluations: int, rows: int
) -> Block:
    """The walk fell past every bound: is the cost unbounded, or does it only approach its infimum?"""
    t = found.trial
    assert t is not None
    unit = direction / length(direction)
    start_slope = float(cost.gradient(w) @ direction)
    where = bearing(cost, unit)
    if found.edge is not None:
        deeper = abs(t.slope) * (found.edge - t.step) > 1e-3 * (value - t.value)
        fall = f"J falls along ({where}) up to where it is not defined"
        if deeper:
            outcome = Outcome("unbounded", f"unbounded below: {fall}, and is {t.value:.4g} close by")
        else:
            outcome = Outcome("no_minimum", f"no minimum: {fall}, to about {t.value:.4g}")
    elif abs(t.slope) >= 0.5 * abs(start_slope):
        text = f"unbounded below along ({where}): J is {t.value:.4g} there and still falls as steeply"
        outcome = Outcome("unbounded", text)
    else:
        outcome = Outcome("no_minimum", f"no minimum within reach: J still falls along ({where}), ever more slowly")
    log = one_step(value, norm, t.step * length(direction), t.step, evaluations)
    return Block(log, w + t.step * direction, rows * evaluations, w[None, :], outcome=outcome)
