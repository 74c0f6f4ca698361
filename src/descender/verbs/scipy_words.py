"""The call of ``scipy.optimize.minimize`` in the words of this package."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from descender.costs.callables import described
from descender.errors import CapabilityError, OptionError, suggest
from descender.methods.auto import METHODS

POSITIONS = (
    "fun", "x0", "args", "method", "jac", "hess", "hessp", "bounds", "constraints", "tol", "callback", "options"
)  # fmt: skip
ALIASES = {"fun": "cost", "x0": "start", "jac": "gradient"}
TRANSLATED = (*ALIASES, "options", "hess", "hessp")
QUOTIENTS = ("2-point", "3-point", "cs")
"""SciPy's ways to measure a gradient; here the quotients are central and choose their steps themselves."""
SAME = {"bfgs": "lbfgs", "l-bfgs": "lbfgs", "l-bfgs-b": "lbfgs"}
"""SciPy's methods by our names, in lower case; where a method has the same name here, that is meant."""
OTHERS = (
    "nelder-mead", "powell", "cg", "newton-cg", "tnc", "cobyla", "cobyqa", "slsqp", "trust-constr", "dogleg",
    "trust-ncg", "trust-exact", "trust-krylov",
)  # fmt: skip
OPTIONS = {
    "maxiter": "max_steps",
    "maxfun": "max_evaluations",
    "maxfev": "max_evaluations",
    "gtol": "gradient_tol",
    "ftol": "cost_tol",
}
WITHOUT_EFFECT = (
    "disp", "iprint", "return_all", "norm", "eps", "finite_diff_rel_step", "maxcor", "maxls", "c1", "c2", "workers",
    "xrtol", "hess_inv0",
)  # fmt: skip
"""Options that tune SciPy's own methods or its printing: accepted, and noted on the walk.  So are ``hess`` and
``hessp``, without which SciPy's methods by gradients do as well."""


def speaks_scipy(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The verb, which then understands SciPy's call, too; what cannot be meant here is refused with advice."""

    @wraps(verb)
    def either(*positional: Any, **given: Any) -> Any:
        if len(positional) > 3 or (len(positional) == 3 and isinstance(positional[2], tuple | list)):
            given = named(positional, given)
            positional = ()
        elif len(positional) == 3:
            *positional, method = positional  # type: ignore[assignment]
            given = once(given, "method", method, "method")
        words, unused = in_our_words(given, len(positional))
        walk = verb(*positional, **words)
        if unused:
            walk.notes.append(f"without effect here: {', '.join(unused)}")
        return walk

    return either


def named(positional: tuple, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments in the order of SciPy's signature, by name."""
    if len(positional) > len(POSITIONS):
        raise OptionError(f"{len(positional)} arguments without a name were given; at most {len(POSITIONS)} are read")
    words = dict(given)
    for name, value in zip(POSITIONS, positional, strict=False):
        words = once(words, name, value, name)
    return words


def once(words: Mapping[str, Any], name: str, value: Any, given_as: str) -> dict[str, Any]:
    """The words with one more, which must not be among them yet."""
    if name in words:
        raise OptionError(f"{name} is given twice" + f", once as {given_as}" * (given_as != name))
    return {**words, name: value}


def in_our_words(given: Mapping[str, Any], positional: int = 0) -> tuple[dict[str, Any], list[str]]:
    """The arguments by our names, and the options that have no effect; `positional` ones came without a name.

    >>> in_our_words({"x0": [0.0], "method": "BFGS", "jac": "2-point", "options": {"maxiter": 5, "disp": False}})
    ({'method': 'lbfgs', 'start': [0.0], 'gradient': None, 'max_steps': 5}, ['options disp'])
    """
    words = {name: value for name, value in given.items() if name not in TRANSLATED}
    for name, ours in ALIASES.items():
        if name in given:
            if positional > ("cost", "start", "gradient").index(ours):
                raise OptionError(f"{ours} is given twice, once as {name}")
            words = once(words, ours, given[name], name)
    if "gradient" in words and "jac" in given:
        words["gradient"] = gradient_word(given["jac"])
    unused = [name for name in ("hess", "hessp") if given.get(name) is not None]
    constraints = words.pop("constraints", ())
    if not (constraints is None or (isinstance(constraints, tuple | list | dict) and not constraints)):
        raise CapabilityError("constraints: only bounds of the variables are kept here; use bounds=, or SciPy's SLSQP")
    if "method" in words:
        words["method"] = method_word(words["method"])
    if words.get("callback") is not None:
        words["callback"] = callback_of(words["callback"])
    for name, value in dict(given.get("options") or {}).items():
        if name in WITHOUT_EFFECT:
            unused.append(f"options {name}")
        elif name not in OPTIONS:
            raise OptionError(f"options has {name!r}; {suggest(str(name), [*OPTIONS, *WITHOUT_EFFECT])}")
        elif value is not None:
            words = once(words, OPTIONS[name], value, f"options {name}")
    return words, unused


def gradient_word(jac: Any) -> Any:
    """What ``jac=`` means as ``gradient=``."""
    if jac is False or (isinstance(jac, str) and jac in QUOTIENTS):
        return None
    return jac


def method_word(method: Any) -> Any:
    """The name of a method here, from SciPy's name for it in any case.

    >>> method_word("L-BFGS-B"), method_word(None), method_word("Adam")
    ('lbfgs', 'auto', 'adam')
    """
    if method is None:
        return "auto"
    if not isinstance(method, str):
        advice = "; a function that minimises is called by itself" if callable(method) else ""
        raise OptionError(f"method={described(method)}: expected a name{advice}; {suggest('', METHODS)}")
    name = method.lower()
    if name in METHODS:
        return name
    if name in SAME:
        return SAME[name]
    if name in OTHERS:
        raise OptionError(
            f"method={method!r} is one of SciPy's that is not here; leave method out, or use 'lbfgs', which has "
            "bounds as well, or one of the others: " + ", ".join(METHODS)
        )
    return method


def callback_of(callback: Any) -> Any:
    """The callback as one of a :class:`~descender.walk.Step`, called after each step, as SciPy does.

    As in SciPy, one whose only parameter is called ``intermediate_result`` gets an ``OptimizeResult`` by that name.
    Every other gets the Step, which is the point itself: an array, as ``callback(xk)`` expects.
    """
    if not callable(callback):
        return callback
    try:
        parameters = set(inspect.signature(callback).parameters)
    except (TypeError, ValueError):  # one of C
        parameters = set()
    as_result = parameters == {"intermediate_result"}

    def told(step: Any) -> Any:
        if not step.number:
            return None
        if not as_result:
            return callback(step)
        from scipy.optimize import OptimizeResult

        return callback(intermediate_result=OptimizeResult(x=step.x, fun=step.fun, nit=step.number))

    return told
