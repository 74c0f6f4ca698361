"""A table like that of a shop, other tables of one column to learn each, and their costs in plain NumPy."""

import numpy as np
import pyarrow as pa
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression, Ridge

from descender.data.source import add_target, open_source
from descender.data.split import holdout


def shop(n=600, seed=0):
    """Customers of a shop: numbers, categories, truth values and dates, some of each missing."""
    rng = np.random.default_rng(seed)
    age, income = rng.normal(45, 12, n), rng.lognormal(10.5, 0.6, n)
    city = rng.choice(["Bern", "Genf", "Basel", "Chur", "Thun"], n, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    member = rng.random(n) < 0.4
    joined = np.datetime64("2019-01-01") + rng.integers(0, 1500, n)
    z = 0.04 * (age - 45) + 1e-5 * (income - 4e4) + 0.8 * (city == "Bern") - 0.6 * member
    spent = 50 + 10 * z + rng.normal(0, 5, n)
    holes = {name: rng.random(n) < share for name, share in (("age", 0.1), ("city", 0.08), ("joined", 0.05))}
    return {
        "age": np.where(holes["age"], np.nan, age),
        "income": income,
        "city": [None if hole else str(name) for name, hole in zip(city, holes["city"], strict=True)],
        "member": member,
        "joined": np.where(holes["joined"], np.datetime64("NaT"), joined),
        "bought": np.where(z + rng.logistic(size=n) > 0, "yes", "no"),
        "plan": np.array(["free", "basic", "gold"])[
            np.argmax(rng.gumbel(size=(3, n)) + np.outer([0, 1, -1], z), axis=0)
        ],
        "spent": spent,
    }


CASES = {
    "iris": ("example:iris", "species", ()),
    "breast_cancer": ("example:breast_cancer", "diagnosis", ()),
    "diabetes": ("example:diabetes", "progression", ()),
    "heights": ("example:heights", "weight", ()),
    "shop, two classes": (shop(), "bought", ("plan", "spent")),
    "shop, three classes": (shop(), "plan", ("bought", "spent")),
    "shop, a number": (shop(), "spent", ("bought", "plan")),
}


def training_rows(result, data, target, seed=0):
    """The encoded training matrix and the coded targets, made again from the data."""
    source, name = add_target(open_source(data), target)
    kept = ~holdout(source.table.num_rows, 0.2, seed)
    table = source.table.filter(pa.array(kept))
    return result.model.encoder.transform(table), result.model.coding.encode(table[name]).astype(float)


def cost(task, X, y, W, b, l2=0.0, l1=0.0):
    """The cost as the documentation states it, in plain NumPy."""
    z = X @ W.T + b
    if task == "regression":
        loss = 0.5 * (z - y) ** 2
    elif task == "binary":
        loss = np.logaddexp(0.0, z) - y * z
    else:
        loss = logsumexp(z, axis=1) - z[np.arange(len(y)), y.astype(int)]
    return loss.mean() + 0.5 * l2 * np.sum(W**2) + l1 * np.abs(W).sum()


def reference(task, X, y, l2):
    """The weights and intercept that scikit-learn finds at its tightest."""
    if task == "regression":
        model = Ridge(alpha=len(y) * l2, tol=1e-12).fit(X, y)
        return model.coef_, model.intercept_
    model = LogisticRegression(C=1 / (len(y) * l2), solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(X, y)
    return (model.coef_[0], model.intercept_[0]) if task == "binary" else (model.coef_, model.intercept_)
