"""The references of `rule_steps`: every rule and every rate as a step for JAX's `lax.scan`, from optax or the papers.

A reference is a start and ``step(carry, t) -> (carry, None)``, with the point as ``carry[0]``, and what is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

START = (-1.2, 1.0)


def cost(w: Any) -> Any:
    """Rosenbrock's function."""
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


gradient, both = jax.grad(cost), jax.value_and_grad(cost)
OPTAX: dict[str, Callable[[float], Any]] = {
    "gd": optax.sgd,
    "gd, clipped": lambda a: optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(a)),
    "sign": optax.sign_sgd,
    "momentum": lambda a: optax.sgd(a, momentum=0.9),
    "nesterov": lambda a: optax.sgd(a, momentum=0.9, nesterov=True),
    "averaging": lambda a: optax.chain(optax.ema(0.9, debias=False), optax.scale(-a)),
    "schedule-free": optax.contrib.schedule_free_sgd,
    "rmsprop": lambda a: optax.rmsprop(a, decay=0.99, eps=1e-8, eps_in_sqrt=False),
    "adadelta": lambda a: optax.adadelta(a, rho=0.9, eps=1e-6),
    "adam": optax.adam,
    "adamw": lambda a: optax.adamw(a, weight_decay=0.01),
    "lion": lambda a: optax.lion(a, weight_decay=0.0),
    "prodigy": optax.contrib.prodigy,
}


def adagrad(a, w, g, t, s):
    """Duchi, Hazan and Singer, 2011."""
    v = s[0] + g * g
    return w - a * g / (jnp.sqrt(v) + 1e-10), (v,)


def adamax(a, w, g, t, s):
    """Kingma and Ba, 2015, algorithm 2, with PyTorch's epsilon."""
    m, u = 0.9 * s[0] + 0.1 * g, jnp.maximum(0.999 * s[1], jnp.abs(g) + 1e-8)
    return w - a / (1 - 0.9 ** (t + 1.0)) * m / u, (m, u)


def amsgrad(a, w, g, t, s):
    """Reddi, Kale and Kumar, 2018, as PyTorch has it."""
    m, v = 0.9 * s[0] + 0.1 * g, 0.999 * s[1] + 0.001 * g * g
    largest = jnp.maximum(s[2], v)
    size = jnp.sqrt(largest) / jnp.sqrt(1 - 0.999 ** (t + 1.0)) + 1e-8
    return w - a / (1 - 0.9 ** (t + 1.0)) * m / size, (m, v, largest)


def nadam(a, w, g, t, s):
    """Dozat, 2016, as PyTorch has it."""
    m, v = 0.9 * s[0] + 0.1 * g, 0.999 * s[1] + 0.001 * g * g
    mu, ahead = (0.9 * (1 - 0.5 * 0.96 ** ((t + k) * 0.004)) for k in (1.0, 2.0))
    product = s[2] * mu
    size = jnp.sqrt(v / (1 - 0.999 ** (t + 1.0))) + 1e-8
    w = w - a * (1 - mu) / (1 - product) * g / size - a * ahead / (1 - product * ahead) * m / size
    return w, (m, v, product)


def ruppert(a, w, g, t, s):
    """The mean of all points."""
    new = w - a * g
    return new, (s[0] + (new - s[0]) / (t + 1.0),)


def fista(a, w, g, t, s):
    """Beck and Teboulle, 2009, restarted as O'Donoghue and Candès do, 2015."""
    point, theta = s
    new = w - a * g
    uphill = (w - new) @ (new - point) > 0
    larger = jnp.where(uphill, 1.0, (1 + jnp.sqrt(1 + 4 * theta * theta)) / 2)
    return new + jnp.where(uphill, 0.0, (theta - 1) / larger) * (new - point), (new, larger)


ZERO = np.zeros(2)
PAPERS: dict[str, tuple[Callable[..., Any], tuple]] = {
    "adagrad": (adagrad, (ZERO,)),
    "adamax": (adamax, (ZERO, ZERO)),
    "amsgrad": (amsgrad, (ZERO, ZERO, ZERO)),
    "nadam": (nadam, (ZERO, ZERO, 1.0)),
    "polyak-ruppert": (ruppert, (np.array(START),)),
    "fista": (fista, (np.array(START), 1.0)),
}


def cosine(t, a=1e-3, n=10_000.0):
    """Half a wave."""
    return 0.5 * a * (1 + jnp.cos(jnp.pi * jnp.minimum(t, n) / n))


def one_cycle(t, a=1e-3, n=10_000.0):
    """PyTorch's OneCycleLR."""
    peak = 0.3 * n - 1
    up = t <= peak
    first, last = jnp.where(up, a / 25, a), jnp.where(up, a, a / 25 / 1e4)
    x = jnp.where(up, t / peak, jnp.minimum((t - peak) / (n - 1 - peak), 1.0))
    return first + 0.5 * (last - first) * (1 - jnp.cos(jnp.pi * x))


SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "inverse-time 0.001 0.001": lambda t: 1e-3 / (1 + 1e-3 * t),
    "exponential 0.001 0.9999": lambda t: 1e-3 * 0.9999**t,
    "step 0.001 2000 0.5": lambda t: 1e-3 * 0.5 ** (t // 2000),
    "cosine 0.001 10000": cosine,
    "one-cycle 0.001 10000": one_cycle,
    "warm-up 100 cosine 0.001 10000": lambda t: jnp.minimum((t + 1) / 100, 1.0) * cosine(jnp.maximum(t - 100, 0)),
}


def polyak(t, w, value, g, m):
    """Polyak, 1987: the minimum is 0."""
    square = g @ g
    return jnp.where(square > 0, value / square, 1.0), m


def estimated(t, w, value, g, m):
    """Nedić and Bertsekas, 2001."""
    best, level = m
    level = jnp.where(t == 0, jnp.abs(value), jnp.where(value <= best - 0.5 * level, 2 * level, 0.5 * level))
    best = jnp.where(t == 0, value, jnp.minimum(value, best))
    return (value - best + level) / (g @ g), (best, level)


def adaptive(t, w, value, g, m):
    """Malitsky and Mishchenko, 2020."""
    before, slope, last, ratio = m
    dw, dg = w - before, g - slope
    bent = jnp.where(dg @ dg > 0, 0.5 * jnp.sqrt(dw @ dw / (dg @ dg)), jnp.inf)
    begin = 1e-6 * (1 + jnp.sqrt(w @ w)) / jnp.sqrt(g @ g)
    found = jnp.where(t == 0, begin, jnp.minimum(last * jnp.sqrt(1 + ratio), bent))
    return found, (w, g, found, jnp.where(t == 0, jnp.inf, found / last))


def dog(t, w, value, g, m):
    """Ivgi, Hinder and Carmon, 2023."""
    distance, squares = m
    away = w - jnp.asarray(START)
    distance = jnp.maximum(distance, jnp.sqrt(away @ away))
    squares = squares + g @ g
    return distance / jnp.sqrt(squares + 1e-8), (distance, squares)


FREE: dict[str, tuple[Callable[..., Any], tuple]] = {
    "polyak 0": (polyak, ()),
    "polyak-estimated": (estimated, (0.0, 0.0)),
    "adaptive": (adaptive, (ZERO, ZERO, 1.0, 1.0)),
    "dog": (dog, (1e-6 * (1 + float(np.linalg.norm(START))), 0.0)),
}


def backtracking(carry, t):
    """Armijo's rule from twice the last rate."""
    w, value, g, last = carry
    slope = g @ g

    def shorter(trial):
        return 0.5 * trial[0], *both(w - 0.5 * trial[0] * g)

    first = 2 * last
    trial = (first, *both(w - first * g))
    rate, value, g_new = lax.while_loop(lambda r: ~(r[1] <= value - 1e-4 * r[0] * slope), shorter, trial)
    return (w - rate * g, value, g_new, rate), None


def reference(rule: str, rate: Any, noise: Any, steps: int) -> tuple[Any, Callable[..., Any], Callable[..., Any]]:
    """The start, the step and what is reported."""
    w = jnp.asarray(START)
    if rule == "noise":
        return (w,), lambda c, t: ((c[0] - rate * (gradient(c[0]) + noise[t]),), None), lambda c: c[0]
    if rule in PAPERS:
        formula, state = PAPERS[rule]

        def paper(carry, t):
            new, s = formula(rate, carry[0], gradient(carry[0]), t, carry[1])
            return (new, s), None

        start = (w, tuple(jnp.asarray(s, dtype=float) for s in state))
        return start, paper, lambda c: c[1][0] if rule in ("polyak-ruppert", "fista") else c[0]
    if rate == "backtracking":
        return (w, *both(w), jnp.asarray(0.5)), backtracking, lambda c: c[0]
    if rate in FREE:
        free, memory = FREE[rate]

        def measured(carry, t):
            value, g = both(carry[0])
            a, m = free(t, carry[0], value, g, carry[1])
            return (carry[0] - a * g, m), None

        return (w, tuple(jnp.asarray(m, dtype=float) for m in memory)), measured, lambda c: c[0]
    if rate in SCHEDULES:
        return (w,), lambda c, t: ((c[0] - SCHEDULES[rate](t) * gradient(c[0]),), None), lambda c: c[0]
    kind = OPTAX[rule](rate)

    def step(carry, t):
        change, state = kind.update(gradient(carry[0]), carry[1], carry[0])
        return (optax.apply_updates(carry[0], change), state), None

    free = rule == "schedule-free"
    return (w, kind.init(w)), step, lambda c: optax.contrib.schedule_free_eval_params(c[1], c[0]) if free else c[0]


def scan(rule: str, rate: Any, noise: Any, steps: int) -> Callable[[], tuple[float, ...]]:
    """`lax.scan`, compiled."""
    start, step, end = reference(rule, rate, jnp.asarray(noise), steps)
    compiled = jax.jit(lambda start: end(lax.scan(step, start, jnp.arange(steps))[0]))

    def run() -> tuple[float, ...]:
        return tuple(float(x) for x in np.asarray(compiled(start).block_until_ready()))

    return run
