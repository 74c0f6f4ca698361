"""One step of a descent written out with its numbers: the cost, each derivative, the rate, the new value."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from descender.costs.cost import Cost, Rows, Vector
from descender.costs.formula import Formula, pretty
from descender.costs.losses import LogLoss, Loss, Poisson, SigmoidSquaredError, SquaredError
from descender.costs.risk import Risk
from descender.costs.syntax import syntax_tree
from descender.errors import CapabilityError, OptionError
from descender.methods.estimates import mini_batches, random_batches
from descender.methods.rules import RULES
from descender.methods.variance_reduced import REDUCTIONS
from descender.walk import Walk

MOST = 6
"""Variables, or columns of a row, that are written out; of more the first ones."""
LONGEST = 400
"""Characters up to which a formula is written out."""
NAME = r"(?<![\w.])[^\W\d]\w*(?![\w(])"
"""A name that is no function."""


def number(value: float, digits: int = 6) -> str:
    """A number as people write it.

    >>> number(0.30000000000000004), number(-1234567.0), number(33.0), number(1e-20)
    ('0.3', '-1.23457e+06', '33', '1e-20')
    """
    return f"{value + 0.0:.{digits}g}"  # + 0.0: no minus zero


def explain_step(
    cost: Cost,
    walk: Walk,
    data: Mapping[str, ArrayLike] | None = None,
    constants: Mapping[str, float] | None = None,
    step: int = 1,
) -> list[str]:
    """A step of a walk, the first or another, in lines of text: what was read, what followed, and where it led.

    Of a formula over `data`, which are its columns, also one row: its error, and its share of each derivative.

    >>> from descender.verbs.minimize import minimize
    >>> cost = Formula("(x - 3)**2")
    >>> print(*explain_step(cost, minimize(cost, "x=1", learning_rate=0.1, max_steps=1)), sep=chr(10))
    step 1, written out
      J = (x - 3)^2
        = (1 - 3)^2
        = 4
      dJ/dx = 2 (x - 3)
            = 2 × (1 - 3)
            = -4
      new x = old x - learning rate × dJ/dx
            = 1 - 0.1 × (-4)
            = 1.4
    """
    record = walk.record
    if record.path is None or len(record.path) < 2 or not walk.nit:
        return ["no step was taken: there is nothing to write out"]
    if not 1 <= step <= walk.nit:
        raise OptionError(f"step={step}: the walk took steps 1 to {walk.nit:,}")
    at, after = (int(np.searchsorted(record["step"], number)) for number in (step - 1, step))
    if record["step"][at] != step - 1 or record["step"][after] != step:
        return [f"the record of this long walk does not hold step {step:,}: it keeps some steps of many"]
    w, new = record.path[at], record.path[after] if step < walk.nit else walk.x
    while np.isnan(record["cost"][at]) and at + 1 < after:  # a row that tells what all samples cost, before the step's
        at += 1
    rate, rows = float(record["learning_rate"][at]), _rows_read(cost, walk, step)
    value, gradient = cost.value_and_gradient(w, rows)
    lines = [f"step {step:,}, written out"]
    if rows is not None and cost.n_samples:
        which = "row" if len(rows) == 1 else "rows"
        shown = ", ".join(f"{row + 1:,}" for row in rows[:10]) + (", ..." if len(rows) > 10 else "")
        lines.append(f"  it reads {which} {shown} of {cost.n_samples:,}")
    if isinstance(cost, Formula):
        lines += _formula_lines(cost, w, value, gradient)
    else:
        lines.append(f"  J = {number(value)}")
        lines += [f"  dJ/d{name} = {number(g)}" for name, g in zip(cost.names[:MOST], gradient, strict=False)]
    lines += _update_lines(cost.names, walk.method, w, gradient, new, rate, record["clipped"][at] == 1)
    if len(w) > MOST:
        lines.append(f"  ... and so for the other {len(w) - MOST:,} variables")
    if isinstance(cost, Formula) and data and cost.n_samples:
        lines += _row_lines(cost, w, int(rows[0]) if rows is not None else 0, data, constants or {})
        read = cost.n_samples if rows is None else len(rows)
        if cost.splits and read > 1:
            whole = "sum" if cost.text.lstrip().startswith("sum") else "mean"
            lines.append(f"  the derivatives above are the {whole} of such numbers over {read:,} rows")
    return lines


def _rows_read(cost: Cost, walk: Walk, step: int) -> Rows | None:
    """The rows that a step read, where it did not read all of them."""
    reads = np.diff(walk.record["rows_seen"])  # 0 where a row tells only what all samples cost
    size = int(reads[reads > 0][0]) if (reads > 0).any() else 0
    if not cost.n_samples or not 0 < size < cost.n_samples:
        return None
    draw = random_batches if walk.method in REDUCTIONS else mini_batches
    epochs = draw(cost.n_samples, size, np.random.default_rng(walk.record.facts.get("seed", 0)))
    epoch, within = divmod(step - 1, -(-cost.n_samples // size))
    batches = next(islice(epochs, epoch, None))
    return batches.order[batches.starts[within] : batches.stops[within]]


def _formula_lines(cost: Formula, w: Vector, value: float, gradient: Vector) -> list[str]:
    values = dict(zip(cost.names, w.tolist(), strict=True))
    lines = _equation("J", cost.text, values, value)
    for name, g in zip(cost.names[:MOST], gradient, strict=False):
        lines += _equation(f"dJ/d{name}", cost.derivatives[name], values, g)
    return lines


def _equation(left: str, text: str, values: Mapping[str, float], result: float) -> list[str]:
    """A name, its formula, the same with the numbers put in, and what comes out."""
    indent = " " * len(left)
    if len(text) > LONGEST:
        return [f"  {left} = {number(result)}"]
    put_in = with_numbers(text, values)
    middle = [] if put_in in (pretty(text), number(result)) else [f"  {indent} = {put_in}"]
    return [f"  {left} = {pretty(text)}", *middle, f"  {indent} = {number(result)}"]


def with_numbers(text: str, values: Mapping[str, float]) -> str:
    """A formula with numbers in the place of names.

    >>> with_numbers("-400*x*(y - x**2)", {"x": -1.2, "y": 1.0})
    '-400 × (-1.2) × (1 - (-1.2)^2)'
    """

    def put(match: re.Match) -> str:
        name = match[0]
        return _bracketed(values[name]) if name in values else name

    text = re.sub(NAME, put, _spaced(text))
    return text.replace("**", "^").replace("*", " × ")


def _spaced(text: str) -> str:
    """A formula with blanks around + and - only, however it was typed."""
    return re.sub(r" (\*\*|\*|/) ", r"\1", ast.unparse(syntax_tree(text)[0]))


def _bracketed(value: float) -> str:
    shown = number(value)
    return f"({shown})" if shown.startswith("-") else shown


def _update_lines(
    names: tuple[str, ...], method: str, w: Vector, g: Vector, new: Vector, rate: float, clipped: bool
) -> list[str]:
    """How the new values came about: as old - rate x derivative where that is so, else as the rule has it."""
    lines: list[str] = []
    move = new - w
    norm = float(np.linalg.norm(g))
    word = "learning rate"
    if clipped:
        before = g
        g = -move / rate
        lines.append(f"  the gradient is clipped: its norm {number(norm)} becomes {number(float(np.linalg.norm(g)))}")
        lines += [
            f"    dJ/d{name}: {number(old)} -> {number(now)}"
            for name, old, now in zip(names[:MOST], before, g, strict=False)
        ]
    elif not _same(move, -rate * g) and norm > 0 and method not in RULES:
        along = -float(move @ g) / norm**2
        if _same(move, -along * g):
            rate, word = along, "step length"
            lines.append(f"  {method} tries step lengths along the gradient and takes {number(rate)}")
    if _same(move, -rate * g):
        for name, old, slope, now in zip(names[:MOST], w, g, new, strict=False):
            left = f"new {name}"
            lines.append(f"  {left} = old {name} - {word} × dJ/d{name}")
            lines.append(f"  {' ' * len(left)} = {number(old)} - {number(rate)} × {_bracketed(slope)}")
            lines.append(f"  {' ' * len(left)} = {number(now)}")
        return lines
    if method in RULES:
        lines += [f"  {method}, with g = dJ/dw and rate = {number(rate)}:"]
        lines += [f"    {line}" for line in rule_text(method)]
    for name, old, step, now in zip(names[:MOST], w, move, new, strict=False):
        sign = "-" if step < 0 else "+"
        lines.append(f"  new {name} = {number(old)} {sign} {number(abs(step))} = {number(now)}")
    return lines


def _same(a: Vector, b: Vector) -> bool:
    return bool(np.allclose(a, b, rtol=1e-6, atol=1e-12 * float(np.max(np.abs(a), initial=0.0))))


def rule_text(name: str) -> list[str]:
    """The formula of an update rule as it runs, with what it remembers (0 at first) by name.

    >>> rule_text("momentum")
    ['v = beta * velocity + g', 'new w = w - rate * v']
    """
    rule: Any = RULES[name]
    parts, lines = [rule.formula, *([rule.settle] if hasattr(rule, "settle") else [])], []
    for part in parts:
        function = ast.parse(textwrap.dedent(inspect.getsource(part))).body[0]
        assert isinstance(function, ast.FunctionDef)
        for statement in function.body:
            if isinstance(statement, ast.Return):
                assert isinstance(statement.value, ast.Tuple)
                made = ast.unparse(statement.value.elts[0])
                point = "new w" if part is parts[-1] else "new"
                lines += [f"{point} = {made}"] if made != point else []
            elif isinstance(statement, ast.Assign):
                lines.append(ast.unparse(statement))
    lines = [re.sub(r"\bs\[(\d)\]", lambda m: rule.slots[int(m[1])], line) for line in lines]
    lines = [re.sub(r"\bm\[(\d)\]", lambda m: rule.memory[int(m[1])], line) for line in lines]
    return [re.sub(r"\b(p|np)\.", "", line) for line in lines]


def squared_difference(text: str, columns: Any) -> tuple[str, str] | None:
    """The target and the prediction of a cost that is the mean or sum of their squared difference, else None.

    >>> squared_difference("mean((y - (m*x + c))**2)", {"x", "y"})
    ('y', 'm * x + c')
    """
    match syntax_tree(text)[0]:
        case ast.Call(
            func=ast.Name(id="mean" | "sum"),
            args=[ast.BinOp(op=ast.Pow(), left=ast.BinOp(op=ast.Sub(), left=a, right=b), right=ast.Constant(value=2))],
        ):
            for target, prediction in ((a, b), (b, a)):
                if isinstance(target, ast.Name) and target.id in columns:
                    return target.id, ast.unparse(prediction)
    return None


def _row_lines(
    cost: Formula, w: Vector, row: int, data: Mapping[str, ArrayLike], constants: Mapping[str, float]
) -> list[str]:
    """One row of a cost over data: its prediction and error, and its share of every derivative."""
    used = [name for name in data if name in names_in(cost.text)]
    cells = {name: float(np.asarray(data[name])[row]) for name in used}
    values = cells | dict(zip(cost.names, w.tolist(), strict=True))
    lines = [f"  row {row + 1:,} alone: {', '.join(f'{name} = {number(value)}' for name, value in cells.items())}"]
    parts = squared_difference(cost.text, cells)
    if parts is not None:
        target, text = parts
        known = [name for name in values if name in names_in(text)]
        predicted = Formula(text, constants=constants, variables=known).value(
            np.array([values[name] for name in known])
        )
        lines += ["  " + line for line in _equation("prediction", text, values, predicted)]
        error = values[target] - predicted
        lines.append(f"    error = {target} - prediction")
        lines.append(f"          = {number(values[target])} - {_bracketed(predicted)}")
        lines.append(f"          = {number(error)}")
    if cost.splits:
        for name, slope in zip(cost.names[:MOST], cost.gradient(w, np.array([row])), strict=False):
            inner = re.fullmatch(r"(mean|sum)\((.*)\)", cost.derivatives[name])
            if inner:
                lines += ["  " + line for line in _equation(f"its dJ/d{name}", inner[2], values, slope)]
            else:
                lines.append(f"    its dJ/d{name} = {number(slope)}")
    return lines


def names_in(text: str) -> set[str]:
    """The names that stand in a formula, functions aside."""
    return set(re.findall(NAME, text))


WRITTEN = {
    SquaredError: ("prediction = score", "error"),
    LogLoss: ("prediction = 1 / (1 + exp(-score))", "error"),
    SigmoidSquaredError: ("prediction = 1 / (1 + exp(-score))", "error × prediction × (1 - prediction)"),
    Poisson: ("prediction = exp(score)", "error"),
}
"""How a prediction and the slope of its loss are written, where the slope is made of the error."""


def _slope_lines(loss: Loss, prediction: float, target: float, slope: float) -> list[str]:
    if loss not in WRITTEN:
        return [f"  slope of the {loss.name} loss at this score, target {number(target)} = {number(slope)}"]
    predicted, chain = WRITTEN[loss]
    error = f"{number(prediction)} - {_bracketed(target)} = {number(prediction - target)}"
    return [
        f"  {predicted} = {number(prediction)}",
        f"  error = prediction - target = {error}",
        f"  slope of the loss = {chain} = {number(slope)}",
    ]


def explain_row(risk: Risk, w: Vector, row: int, rate: float) -> list[str]:
    """One stochastic step of a fit on one row: score, prediction, error, slope, and the new weights.

    >>> risk = Risk([[2.0], [1.0]], [1.0, 0.0], "log_loss", features=["size"])
    >>> print(*explain_row(risk, np.array([0.5, -1.0]), 0, rate=0.1), sep=chr(10))
    row 1, one step on it alone
      score = size × its weight + intercept
            = 2 × 0.5 + (-1)
            = 0
      prediction = 1 / (1 + exp(-score)) = 0.5
      error = prediction - target = 0.5 - 1 = -0.5
      slope of the loss = error = -0.5
      new weight of size = old - learning rate × slope × size
            = 0.5 - 0.1 × (-0.5) × 2
            = 0.6
      new intercept = old - learning rate × slope
            = -1 - 0.1 × (-0.5)
            = -0.95
    """
    if risk.loss.scores_per_class:
        raise CapabilityError(
            f"a step is written out for losses of one score a row; {risk.loss.name} has one for each class"
        )
    if not 0 <= row < risk.X.shape[0]:
        raise OptionError(f"row={row}: expected 0 to {risk.X.shape[0] - 1:,}")
    x = np.asarray(risk.X[[row]].todense() if risk.sparse else risk.X[[row]], dtype=np.float64).ravel()
    weights, free = risk.split(w)
    intercept = float(free)
    names, target = risk.names[: len(x)], float(risk.y[row])
    score = float(x @ weights + intercept)
    prediction = float(risk.loss.predict(np.float64(score)))
    slope = float(risk.loss.slope(np.float64(score), np.float64(target)))
    shown = _largest(x)
    lines = [f"row {row + 1:,}, one step on it alone", *_score_lines(risk, names, x, weights, intercept, shown)]
    lines += _slope_lines(risk.loss, prediction, target, slope)
    penalised = " - learning rate × l2 × old" if risk.l2 else ""
    for j in shown:
        new = weights[j] - rate * (slope * x[j] + risk.l2 * weights[j])
        lines.append(f"  new weight of {names[j]} = old - learning rate × slope × {names[j]}{penalised}")
        shrink = f" - {number(rate)} × {number(risk.l2)} × {_bracketed(weights[j])}" if risk.l2 else ""
        product = f"{number(rate)} × {_bracketed(slope)} × {_bracketed(x[j])}"
        lines += [f"        = {number(weights[j])} - {product}{shrink}", f"        = {number(new)}"]
    if risk.intercept:
        lines.append("  new intercept = old - learning rate × slope")
        lines.append(f"        = {number(intercept)} - {number(rate)} × {_bracketed(slope)}")
        lines.append(f"        = {number(intercept - rate * slope)}")
    return lines


def _largest(x: Vector) -> list[int]:
    """The columns that are written out: all of a few, else the largest in this row."""
    if len(x) <= MOST:
        return list(range(len(x)))
    return sorted(np.argsort(-np.abs(x), kind="stable")[:MOST].tolist())


def _score_lines(
    risk: Risk, names: tuple[str, ...], x: Vector, weights: Vector, intercept: float, shown: list[int]
) -> list[str]:
    left = float(x @ weights) - float(x[shown] @ weights[shown])
    words = " + ".join(f"{names[j]} × its weight" for j in shown)
    terms = " + ".join(f"{_bracketed(x[j])} × {_bracketed(weights[j])}" for j in shown)
    if len(shown) < len(x):
        words += f" + {len(x) - len(shown):,} more columns"
        terms += f" + {_bracketed(left)}"
    if risk.intercept:
        words, terms = f"{words} + intercept", f"{terms} + {_bracketed(intercept)}"
    return [f"  score = {words}", f"        = {terms}", f"        = {number(float(x @ weights) + intercept)}"]
