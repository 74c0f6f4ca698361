"""The pages of methods and rates, from what the code says about itself, and the picture of each method.

python docs/make_methods.py
"""

import re
from pathlib import Path

import numpy as np

from descender.costs.formula import Formula
from descender.methods.auto import READINGS
from descender.methods.conjugate_gradient import ConjugateGradient
from descender.methods.lbfgs import LBFGS
from descender.methods.rates import RATES
from descender.methods.rules import RULES
from descender.methods.variance_reduced import REDUCTIONS

HERE = Path(__file__).parent
MADE = "<!-- made by `python docs/make_methods.py` from the docstrings; change it there -->"

COSTS = {
    "a valley": ("mean(x**2/2 + 10*y**2 + u*x + v*y)", "x=-4, y=1", ((-5, 2), (-1.6, 1.6)), (0.06, 0.1)),
    "a bent valley": (
        "mean((1-x)**2 + 20*(y-x**2)**2 + u*x + v*y)", "x=-1.2, y=1", ((-2, 1.8), (-0.6, 2.4)), (0.003, 0.05)
    ),
    "two bottoms": (
        "mean(x**4/4 - x**2 + x/4 + y**2 + u*x + v*y)", "x=0.3, y=1.4", ((-2.2, 2), (-1.6, 1.8)), (0.05, 0.1)
    ),
}  # fmt: skip
"""Each cost is a mean over 40 samples, which pull it to all sides: a formula, a start, a window, and two rates."""
SCALED = ("sign", "adagrad", "rmsprop", "adam", "adamax", "amsgrad", "nadam", "adamw", "lion", "schedule-free")
"""Rules whose steps are as long as the rate: they take the second rate of a cost."""
FINDS_ITS_OWN = ("adadelta", "prodigy", "lbfgs", "cg", *REDUCTIONS)
STEPS, WIDTH = 200, 1000

OVERVIEW = """# Methods

{made}

`method="auto"` looks at the cost and says what it chose and why. Everything below can be asked for by name, in
`minimize(..., method=...)` and with `--method`, to learn it, to compare it, or to know better. Each has a page with
its formula, its source and a picture of it on the same three costs. How long a step is, is the business of the
[learning rate](rates.md).

## The rules

A rule makes a step of a gradient. Any rule takes a `batch_size` where the cost is a mean or sum over samples:
`"full"`, 1 (stochastic) or k (a mini-batch).

{rules}

Three rules, `polyak-ruppert`, `schedule-free` and `fista`, report another point than the one where they read
gradients. The record and the callback tell of the points where gradients were read, with the costs that were read
there; the result, the last row of the record, and every cost that is measured of all samples or held out belong to
what is reported. A walk that reports a mean uses up its budget: that a point is at rest says nothing about a mean.

## An l1 penalty

Of `gd`, `noise`, `nesterov`, `fista`, `sgd`, `minibatch`, `sag`, `saga` and `svrg` the gradient is that of all but the
l1 penalty of a linear model, and each step is followed by soft-thresholding,

$$ w \\leftarrow \\operatorname{{sign}}(v)\\,\\max(|v| - a\\lambda_1, 0), \\qquad v = w - a\\,g $$

for every weight and no intercept, so that weights become exactly zero. The cost that is reported is whole. A search
for the rate asks for a share of $g \\cdot (w^+ - w) + \\lambda_1 (|w^+|_1 - |w|_1)$, and `gradient_tol` is held
against the norm of the proximal gradient $w - S(w - g)$, which is zero just at a stationary point; $S$ is
soft-thresholding by $\\lambda_1$. A. Beck and M. Teboulle, *A fast iterative shrinkage-thresholding algorithm for
linear inverse problems*, 2009 (ISTA; with momentum it is `fista`, and `nesterov` where its weight is constant, whose
momentum then is that of the points: $w \\leftarrow x^+ + \\beta (x^+ - x)$); P. Tseng and S. Yun, *A coordinate
gradient descent method for nonsmooth separable minimization*, 2009.

All else takes the slope of the penalty, which is zero at zero, comes near zeros without reaching them, and says so:
rules with a velocity of gradients, a mean or a rate for each coordinate (Adam and its kin), one coordinate a step,
clipped gradients, walks within bounds, and the rates that measure gradients without a search (`polyak`,
`polyak-estimated`, `adaptive`, `dog`).

## Other ways to read the gradient

Three names are short for plain gradient descent with a `batch_size` or one coordinate at a time. Three methods take
the noise out of batches by what they remember of every sample, so that their gap falls geometrically.

{readings}

## What `auto` takes

For formulas, functions and costs with several minima:

{curved}

For the convex costs of linear models every gradient is preconditioned by curvature, and the walk ends on a
certificate, a bound on how far above the minimum it stopped; which of the methods, and why, [the design](design.md)
tells, and so does each walk. Kinks, as of hinge, go to methods of their own; see [losses](losses.md).

```{{toctree}}
:hidden:

{names}
```
"""

RATES_PAGE = """# Learning rates

{made}

`learning_rate` is a number or one of these by name with its numbers, such as `"inverse-time 0.1 0.01"`. Left out, it
is found by backtracking where costs are exact, and from the curvature of the loss where batches only estimate them.
Schedules know the number of the step alone and go with every rule. `barzilai-borwein`, `polyak`, `adaptive` and `dog`
measure a step along the gradient and go with the rules that take one: `gd`, `noise`, `polyak-ruppert` and the names
that stand for `gd`. Rates that compare costs or gradients of different steps need all samples at each.

{rates}
"""

SYMBOLS = """Throughout, $g$ is the gradient (of all samples or of a batch, clipped if that was asked), $a$ the
learning rate, $t$ the number of the step from 0, and $w$ the weights; products and roots are taken coordinate by
coordinate. Within bounds the point is brought back into its box after every step, and the gradient that ends a walk
is the projected one."""

REDUCED = """{about}

The noise of a batch keeps a constant rate from arriving; this method takes it out by what it remembers of every
sample, so that its gap falls geometrically. With $f_i$ the cost of sample $i$, $\\tilde g_i$ the gradient
remembered of it and $G$ the mean of all of these, a batch $B$ of `batch_size` samples (1) gives

$$ g = G + \\theta \\frac{{1}}{{|B|}} \\sum_{{i \\in B}} \\left( \\nabla f_i(w) - \\tilde g_i \\right) $$

with $\\theta = {theta}$. Of a linear model one slope a score is remembered, of another cost a gradient a sample, up
to 256 MiB; `svrg` remembers one point. Without a rate it takes {rate}, $L$ being the largest curvature of a
sample's cost. On a convex risk it ends on the certificate; elsewhere `gradient_tol` is held against the gradient of
all samples. An l1 penalty is taken by proximal steps, as the paper of SAGA has it: after each step every weight, but no
intercept, is brought nearer to zero by $a\\lambda_1$, and to exactly zero where it was within that.

Wrong choice where the rows fit in memory and the columns are few: `auto` needs a few readings, this needs tens.
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
    """One rate."""
    about, source, warning, formula = split(owner.__doc__)
    lines = [f"## `{name}`", about]
    lines += [f"$$ {formula} $$"] if formula else []
    return "\n\n".join([*lines, *(text for text in (source, warning) if text), f"`{name} {' '.join(numbers(owner))}`"])


def listed(rows):
    """A table of methods: name, what it is, when it is the wrong choice."""
    lines = ["| method | what it does | wrong choice |", "|---|---|---|"]
    return "\n".join(
        [*lines, *(f"| [`{name}`](methods/{name}.md) | {about} | {wrong} |" for name, about, wrong in rows)]
    )


def short(docstring):
    """The first sentence, and the warning without its beginning."""
    about, _, warning, _ = split(docstring)
    return about.rstrip("."), warning.removeprefix("Wrong choice ").rstrip(".")


def reading(name):
    """What a short name means, and when it is the wrong choice."""
    wrong = {
        "sgd": "where a precise answer is wanted at a fixed rate: the noise of single samples stays",
        "minibatch": "where a precise answer is wanted at a fixed rate: the noise of batches stays, if less",
        "coordinate": "where coordinates depend on each other: the walk goes round every corner of a bent valley",
    }
    said = {"batch_size": "`batch_size={}`", "coordinates": "one coordinate a step, in turn"}
    how = ", ".join(said[key].format(value) for key, value in READINGS[name].items() if key != "rule")
    return f"`{READINGS[name]['rule']}` with {how}", wrong[name]


def prose(docstring):
    """A docstring's paragraphs, its formulas on lines of their own."""
    text = re.sub(r"\.\. math::\s*(.*?)\n\s*\n", r"$$ \1 $$\n\n", docstring, flags=re.DOTALL)
    return "\n\n".join(plain(" ".join(part.split())) for part in re.split(r"\n\s*\n", text))


def body(name):
    """What the page of a method says."""
    if name in RULES:
        about, source, warning, formula = split(RULES[name].__doc__)
        own = options(RULES[name])
        parts = [about, f"$$ {formula} $$", source, warning, f"Its own options: {own}." if own else "", SYMBOLS]
        return "\n\n".join(part for part in parts if part)
    if name in READINGS:
        about, wrong = reading(name)
        rule = READINGS[name]["rule"]
        return f"Short for {about}: see [`{rule}`]({rule}.md).\n\nWrong choice {wrong}."
    if name in REDUCTIONS:
        kind = REDUCTIONS[name]
        rate = f"$1/({1 / kind.share:.0f} L)$" if kind.share < 1 else "$1/L$"
        theta = "|B|/n" if name == "sag" else "1"
        return REDUCED.format(about=plain(kind.about), theta=theta, rate=rate).rstrip()
    return prose({"lbfgs": LBFGS, "cg": ConjugateGradient}[name].__doc__)


def page(name):
    """The page of one method."""
    costs = "\n".join(f"- {called}: `{formula}`" for called, (formula, *_) in COSTS.items())
    return f"""# `{name}`

{MADE}

{body(name)}

![The walk of {name} on three costs.](../pictures/methods/{name}.png)

The same three costs for every method, at most {STEPS} steps{rate_said(name)}:

{costs}

with 40 samples of u and v, whose means are zero. [All methods](../methods.md)
"""


def rate_said(name):
    """Which rates the picture was drawn with."""
    if name in FINDS_ITS_OWN:
        return ", each with the rate that the method finds"
    rates = [str(spec[3][name in SCALED]) for spec in COSTS.values()]
    return f", at rates {', '.join(rates[:-1])} and {rates[-1]}"


def methods():
    """Every method that has a page, in the order of the overview."""
    return [*RULES, *READINGS, *REDUCTIONS, "lbfgs", "cg"]


def pages():
    """Every page by its path below docs."""
    remembered = [(name, kind.about.split(". ")[0], "where `auto` applies") for name, kind in REDUCTIONS.items()]
    found = {
        "methods.md": OVERVIEW.format(
            made=MADE,
            rules=listed([(name, *short(rule.__doc__)) for name, rule in RULES.items()]),
            readings=listed([*((name, *reading(name)) for name in READINGS), *remembered]),
            curved=listed(
                [(name, *short(kind.__doc__)) for name, kind in (("lbfgs", LBFGS), ("cg", ConjugateGradient))]
            ),
            names="\n".join(f"methods/{name}" for name in methods()),
        ),
        "rates.md": RATES_PAGE.format(
            made=MADE, rates="\n\n".join(section(name, rate) for name, rate in RATES.items())
        ),
    }
    return found | {f"methods/{name}.md": page(name) for name in methods()}


def samples():
    """The columns u and v."""
    columns = np.random.default_rng(0).normal(size=(2, 40))
    return dict(zip("uv", columns - columns.mean(axis=1, keepdims=True), strict=True))


def walks(name):
    """The walk of a method on each of the costs."""
    from descender.verbs.minimize import minimize

    for formula, start, _, rates in COSTS.values():
        rate = "auto" if name in FINDS_ITS_OWN else rates[name in SCALED]
        cost = Formula(formula, data=samples())
        yield cost, minimize(cost, start, name, learning_rate=rate, max_steps=STEPS)


def draw(name, path):
    """Three costs from above, with the walk of a method on each."""
    import matplotlib
    from matplotlib.figure import Figure

    from descender.pictures.paths import drawable
    from descender.pictures.style import VERMILLION, look
    from descender.pictures.surface import describe_contour

    with matplotlib.rc_context(look()):
        figure = Figure((9.0, 2.9), layout="constrained")
        for (cost, walk), ax, called in zip(walks(name), figure.subplots(1, 3), COSTS, strict=True):
            seen = describe_contour(cost, walk.record, limits=COSTS[called][2], resolution=60)
            points = np.vstack([walk.record.path, walk.x])
            ax.contourf(seen.x, seen.y, np.sqrt(seen.z - seen.z.min()), 12, cmap="Blues_r", alpha=0.75)
            ax.plot(*drawable(points, seen.box).T, color="white", lw=2.8, alpha=0.8)
            ax.plot(*drawable(points, seen.box).T, color=VERMILLION, lw=1, marker="o", ms=2.2)
            ax.plot(*points[0], "o", color="black", mfc="white", ms=6)
            ax.plot(*walk.x, "*", color="black", mfc="#F0E442", ms=11)
            ax.set(xlim=seen.x[[0, -1]], ylim=seen.y[[0, -1]], xticks=[], yticks=[])
            ax.set_title(f"{called}: {walk.nit} steps, J = {walk.fun:.2g}", fontsize=9)
        figure.savefig(path, dpi=WIDTH / 9)


def main():
    """Write every page, and the pictures that are missing or were asked for."""
    from make_pictures import shrink

    for name, text in pages().items():
        (HERE / name).parent.mkdir(exist_ok=True)
        (HERE / name).write_text(text, encoding="utf-8")
    for name in methods():
        target = HERE / "pictures" / "methods" / f"{name}.png"
        target.parent.mkdir(exist_ok=True)
        draw(name, target)
        shrink(target, target)


if __name__ == "__main__":
    main()
