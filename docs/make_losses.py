"""The page of losses, from what the code says about itself.

python docs/make_losses.py
"""

import re
from pathlib import Path

from descender.costs.losses import DEFAULT, LOSSES, parameters

PAGE = Path(__file__).parent / "losses.md"
PAGE_TEXT = r"""# Losses

<!-- made by `python docs/make_losses.py` from the docstrings; change it there -->

A loss is what one row costs, from its score $z = x \cdot w + b$ and its target $y$. `fit` chooses one from the target
({defaults}); `loss=` and `--loss` name another, with its
parameter after it: `"huber 1.5"`, `"quantile 0.9"`. The cost is

$$ F(w, b) = \frac{{\sum_i s_i\, \ell(z_i, y_i)}}{{\sum_i s_i}} + \frac{{\lambda_2}}{{2}} \lVert w \rVert^2 + \lambda_1 \lVert w \rVert_1 $$

and every convex loss, with any penalty or none, ends with a certificate: a bound on how far above the minimum it is. (Of
softmax without a penalty it is the cost itself, as no loss is negative.)

| loss | targets | fits | parameter |
|---|---|---|---|
{table}

With `huber` and no delta, `fit` takes 1.345 robust standard deviations of the target, and says so.

```python
>>> import descender
>>> result = descender.fit("example:breast_cancer", loss="hinge")
>>> result.walk.success, result.certificate.kind
(True, 'duality gap')
```

## The formulas

Beside each stands its share of the dual objective, $-\ell^*(-\theta)$, which is what certificates are made of.

{losses}

## The same cost elsewhere

n is the number of rows (the sum of their weights), `alpha` and `C` are the other's. The intercept is free here; LIBLINEAR
penalises it.

| there | here |
|---|---|
| scikit-learn `Ridge(alpha)` | `squared_error`, l2 = alpha / n |
| `Lasso(alpha)` | `squared_error`, l1 = alpha |
| `LogisticRegression(C)` | `log_loss` or `softmax`, l2 = 1 / (C n) |
| `PoissonRegressor(alpha)` | `poisson`, l2 = alpha |
| `QuantileRegressor(quantile, alpha)` | `quantile`, l1 = alpha |
| `HuberRegressor(epsilon, alpha)`, its fitted `scale_` | `huber` with delta = epsilon scale\_, l2 = alpha scale\_ / n |
| `LinearSVC(C, loss="hinge")` | `hinge`, l2 = 1 / (C n) |
| `LinearSVC(C)`, `loss="squared_hinge"` | `squared_hinge`, l2 = 1 / (C n) |
| PyTorch `HuberLoss(delta)`, `PoissonNLLLoss(full=False)` | `huber` with the same delta; `poisson` less a constant |

## How they are minimised

`auto` says which method it took. Small problems take Newton steps, a squared error on dense rows goes to normal equations,
sparse text to dual coordinate ascent. Any other loss with a continuous slope goes to descent in a learnt metric, whose Hessian
counts rows on a straight part of their loss a little, so that it sees every column. `hinge` and `quantile`, whose slopes jump,
go to an interior point method, and with l2 on more columns than a Hessian allows (4,000; 2,000 of a sparse matrix) to dual
coordinate ascent; there they need l2 and no l1. `hinge` and `squared_hinge` of more than two classes are minimised class by
class, each against the rest.
"""  # noqa: E501 - rows of a table


def described(name):
    """A loss as a section: its formula, its source, its dual, and when it is the wrong choice."""
    loss = LOSSES[name]
    doc = type(loss).__doc__ if parameters(loss) else loss.__doc__
    paragraphs = [" ".join(part.split()) for part in doc.strip().split("\n\n")]
    text = "\n\n".join(re.sub(r":math:`([^`]*)`", r"$\1$", part) for part in paragraphs)
    text = text.replace("``", "`")
    dual = (
        f"\n\nDual: $ {loss.conjugate} $"
        if loss.conjugate
        else "\n\nNo dual: it is not convex, and is never certified."
    )
    return f"### `{name}`\n\n{text}{dual}"


def row(name):
    """A loss as a row of the table."""
    loss = LOSSES[name]
    fields = ", ".join(getattr(loss, "__dataclass_fields__", ()))
    parameter = f"`{fields}` ({parameters(loss)[0]:g})" if fields else ""
    return f"| `{name}` | {loss.targets} | {', '.join(loss.tasks)} | {parameter} |"


def render():
    """The page."""
    return PAGE_TEXT.format(
        defaults=", ".join(f"{task}: `{loss}`" for task, loss in DEFAULT.items()),
        table="\n".join(row(name) for name in LOSSES),
        losses="\n\n".join(described(name) for name in LOSSES),
    )


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
