"""The page of methods, from what the code says about itself.

python docs/make_methods.py
"""

import re
from pathlib import Path

from descender.methods.auto import READINGS
from descender.methods.conjugate_gradient import ConjugateGradient
from descender.methods.lbfgs import LBFGS
from descender.methods.rates import RATES
from descender.methods.rules import RULES
from descender.methods.variance_reduced import REDUCTIONS

PAGE = Path(__file__).parent / "methods.md"
PAGE_TEXT = """# Methods

<!-- made by `python docs/make_methods.py` from the docstrings; change it there -->

`method="auto"` looks at the cost and says what it chose and why. Everything below can be asked for by name, in
`minimize(..., method=...)` and with `--method`, to learn it, to compare it, or to know better.

Throughout, $g$ is the gradient (of all samples or of a batch, clipped if that was asked), $a$ the learning rate, $t$
the number of the step from 0, and $w$ the weights; products and roots are taken coordinate by coordinate. Within bounds
the point is brought back into its box after every step, and the gradient that ends a walk is the projected one.

Two rules, `polyak-ruppert` and `schedule-free`, report another point than the one where they read gradients. The record
and the callback tell of the points where gradients were read, with the costs that were read there; the result, the last
row of the record, and every cost that is measured of all samples or held out belong to what is reported. Such a walk
uses up its budget: that a point is at rest says nothing about a mean.

## The rules

{table}

{rules}

## Other ways to read the gradient

Any rule takes a `batch_size` where the cost is a mean or sum over samples: `"full"`, 1 (stochastic) or k (a
mini-batch). Three names are short for plain gradient descent with one:

{readings}

## Less noise

The noise of a batch keeps a constant rate from arriving. Three methods take it out by what they remember of every
sample, so that their gap falls geometrically. With $f_i$ the cost of sample $i$, $\\tilde g_i$ the gradient
remembered of it and $G$ the mean of all of these, a batch $B$ of `batch_size` samples (1) gives

$$ g = G + \\theta \\frac{{1}}{{|B|}} \\sum_{{i \\in B}} \\left( \\nabla f_i(w) - \\tilde g_i \\right) $$

with $\\theta = 1$, and for `sag` $\\theta = |B|/n$. Of a linear model one slope a score is remembered, of another
cost a gradient a sample, up to 256 MiB; `svrg` remembers one point. Without a rate they take the given share of
$1/L$, $L$ being the largest curvature of a sample's cost. On a convex risk they end on the certificate; elsewhere
`gradient_tol` is held against the gradient of all samples. An l1 penalty counts with its slope, which is zero at
zero: no weight becomes exactly zero, which is `auto`'s business. Wrong choice where the rows fit in memory and the
columns are few: `auto` needs a few readings, these need tens.

{reductions}

## Learning rates

`learning_rate` is a number or one of these by name with its numbers, such as `"inverse-time 0.1 0.01"`. Left out, it
is found by backtracking where costs are exact, and from the curvature of the loss where batches only estimate them.
Schedules know the number of the step alone and go with every rule. `barzilai-borwein`, `polyak`, `adaptive` and `dog`
measure a step along the gradient and go with the rules that take one: `gd`, `noise`, `polyak-ruppert` and the names
above that stand for `gd`. Rates that compare costs or gradients of different steps need all samples at each.

{rates}

## What `auto` takes

### `lbfgs`, for formulas, functions and costs with several minima

{quasi}

### `cg`, by name only

{conjugate}

### For the convex costs of linear models

There every gradient is preconditioned by curvature, and the walk ends on a certificate, a bound on how far above the
minimum it stopped: descent in a learnt metric for one score a row, Newton's method with conjugate gradients for
softmax, accelerated proximal gradient where softmax has an l1 penalty, an interior point method or dual coordinate
ascent where the slope of the [loss](losses.md) jumps.
"""


def split(docstring):
    """A docstring as its first sentence, formula, source and warning, in Markdown."""
    math = re.search(r"\.\. math::\s*(.*?)\n\s*\n(?=\S|\s*\S)", docstring + "\n\n", re.DOTALL)
    text = re.sub(r"\.\. math::.*?\n\s*\n", "\n\n", docstring + "\n\n", flags=re.DOTALL)
    parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
    warning = next((part for part in parts if part.startswith("Wrong choice")), "")
    source = "\n\n".join(part for part in parts[1:] if part != warning)
    formula = " ".join(math.group(1).replace(r"\,", " ").split()) if math else ""
    return [plain(text) for text in (parts[0], source, warning)] + [formula]


def plain(text):
    """reStructuredText's roles as Markdown."""
    return re.sub(r"``([^`]*)``", r"`\1`", re.sub(r":math:`([^`]*)`", r"$\1$", text))


def options(owner):
    """The numbers that one may set, with their defaults; a rule's or rate's own fields."""
    defaults = owner._field_defaults
    return ", ".join(f"`{name}={defaults[name]:g}`" for name in owner._fields if name in defaults)


def numbers(owner):
    """The numbers of a rate in their order; those in brackets may be left out."""
    defaults = owner._field_defaults
    words = {"then": "SCHEDULE"}
    return [f"[{name}={defaults[name]:g}]" if name in defaults else words.get(name, name) for name in owner._fields]


def section(name, owner):
    """One rule or rate."""
    about, source, warning, formula = split(owner.__doc__)
    lines = [f"### `{name}`", about]
    lines += [f"$$ {formula} $$"] if formula else []
    lines += [text for text in (source, warning) if text]
    if name in RATES and RATES[name] is owner:
        lines += [f"`{name} {' '.join(numbers(owner))}`"]
    elif options(owner):
        lines += [f"Its own options: {options(owner)}."]
    return "\n\n".join(lines)


def table():
    """The rules in a row each."""
    rows = ["| method | step | wrong choice |", "|---|---|---|"]
    for name, rule in RULES.items():
        _, _, warning, formula = split(rule.__doc__)
        rows.append(f"| [`{name}`](#{name}) | ${formula}$ | {warning.removeprefix('Wrong choice ').rstrip('.')} |")
    return "\n".join(rows)


def readings():
    """Names for plain gradient descent that reads its gradient another way."""
    said = {"batch_size": "`batch_size={}`", "coordinates": "one coordinate a step, in turn"}
    rows = ["| name | means |", "|---|---|"]
    for name, reading in READINGS.items():
        how = ", ".join(said[key].format(value) for key, value in reading.items() if key != "rule")
        rows.append(f"| `{name}` | `{reading['rule']}` with {how} |")
    return "\n".join(rows)


def reductions():
    """Methods that take the noise out of batches."""
    rows = ["| name | remembers | rate |", "|---|---|---|"]
    for name, kind in REDUCTIONS.items():
        rows.append(f"| `{name}` | {kind.about} | {f'1/({1 / kind.share:.0f} L)' if kind.share < 1 else '1/L'} |")
    return "\n".join(rows)


def prose(docstring):
    """A docstring's paragraphs, its formulas on lines of their own."""
    text = re.sub(r"\.\. math::\s*(.*?)\n\s*\n", r"$$ \1 $$\n\n", docstring, flags=re.DOTALL)
    return "\n\n".join(plain(" ".join(part.split())) for part in re.split(r"\n\s*\n", text))


def render():
    """The whole page."""
    rules = "\n\n".join(section(name, rule) for name, rule in RULES.items())
    rates = "\n\n".join(section(name, rate) for name, rate in RATES.items())
    quasi, conjugate = prose(LBFGS.__doc__), prose(ConjugateGradient.__doc__)
    return PAGE_TEXT.format(
        table=table(),
        rules=rules,
        readings=readings(),
        reductions=reductions(),
        rates=rates,
        quasi=quasi,
        conjugate=conjugate,
    )


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
