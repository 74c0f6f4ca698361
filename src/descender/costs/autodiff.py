"""Gradients by automatic differentiation: functions written for JAX or PyTorch, which are imported only for them.

Both work in float64, whatever the libraries' own defaults are, and leave no trace in the user's settings or tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from descender.costs.callables import described
from descender.costs.cost import Vector
from descender.errors import CostError, MissingDependencyError, OptionError, suggest


class Differentiated(NamedTuple):
    """``value(w, *rows)`` is J, ``both(w, *rows)`` J and its gradient; from NumPy arrays, to what NumPy can read."""

    value: Callable[..., Any]
    both: Callable[..., tuple[Any, Any]]


def differentiate(fun: Callable[..., Any], library: str, args: tuple = ()) -> Differentiated:
    """``fun(w, *rows, *args)``, written with the functions of `library`, with its exact gradient by w.

    ``"jax"``
        compiled by ``jax.jit``, once for each shape of the rows; a function that cannot be traced, because it looks at
        numbers to decide (``if w[0] > 0``), runs uncompiled.  w is float64 whether ``jax_enable_x64`` is set or not.
    ``"torch"``
        w is a float64 tensor that requires its gradient, rows are int64 tensors.  Only w is differentiated: the
        parameters of modules that `fun` reads stay as they are, and so do their ``.grad``.

    Raises :class:`~descender.errors.MissingDependencyError` where the library is not installed, and
    :class:`~descender.errors.OptionError` for another library.
    """
    if library not in LIBRARIES:
        raise OptionError(
            f"gradient={library!r}: {suggest(library, LIBRARIES)}; or give a function, True if fun returns "
            "(value, gradient), or None for difference quotients"
        )
    return LIBRARIES[library](lambda w, *rows: fun(w, *rows, *args))


def by_jax(fun: Callable[..., Any]) -> Differentiated:
    """Reverse-mode derivatives by JAX.

    >>> import jax.numpy as jnp
    >>> value, gradient = by_jax(lambda w: jnp.sum(w**3)).both(np.array([1.0, 2.0]))
    >>> float(value), np.asarray(gradient), np.asarray(gradient).dtype
    (9.0, array([ 3., 12.]), dtype('float64'))
    """
    try:
        import jax
    except ImportError:
        raise missing("jax", "JAX") from None

    def number(w: Any, *rows: Any) -> Any:
        returned = fun(w, *rows)
        kind = "f" if isinstance(returned, int | float) else np.dtype(getattr(returned, "dtype", object)).kind
        if kind not in "fiuV" or np.size(returned) != 1:  # bfloat16 is of kind V
            raise CostError(f"the function returned {described(returned)}; expected one real number")
        return jax.numpy.reshape(jax.numpy.asarray(returned, dtype=float), ())

    def quick(traced: Callable[..., Any]) -> Callable[..., Any]:
        """`traced`, compiled; as it is from the first time on that only so it runs."""
        compiled = jax.jit(traced)

        def run(w: Vector, *rows: Any) -> Any:
            nonlocal compiled
            with jax.enable_x64(True):
                try:
                    return compiled(w, *rows)
                except Exception:
                    if compiled is traced:
                        raise
                    result = traced(jax.numpy.asarray(w), *rows)
                    compiled = traced
                    return result

        return run

    return Differentiated(quick(number), quick(jax.value_and_grad(number)))


def by_torch(fun: Callable[..., Any]) -> Differentiated:
    """Reverse-mode derivatives by PyTorch."""
    try:
        import torch
    except ImportError:
        raise missing("torch", "PyTorch") from None

    def number(w: Any, *rows: Any) -> Any:
        returned = fun(w, *(torch.from_numpy(part) for part in rows))
        if isinstance(returned, torch.Tensor) and returned.numel() == 1 and not returned.is_complex():
            return returned.reshape(())
        raise CostError(f"the function returned {described(returned)}; expected a tensor of one real number")

    def value(w: Vector, *rows: Any) -> Any:
        with torch.no_grad():
            return number(torch.from_numpy(w), *rows).cpu()

    def both(w: Vector, *rows: Any) -> tuple[Any, Any]:
        with torch.enable_grad():
            point = torch.from_numpy(w).requires_grad_()
            returned = number(point, *rows)
            slopes = torch.autograd.grad(returned, point, allow_unused=True) if returned.requires_grad else (None,)
        if slopes[0] is None:
            raise CostError(
                "the function returned a tensor through which PyTorch does not reach w: was it made by NumPy, "
                ".item(), .detach() or torch.tensor(w)?"
            )
        return returned.detach().cpu(), slopes[0].numpy()

    return Differentiated(value, both)


def missing(extra: str, name: str) -> MissingDependencyError:
    """The error for a library that is not installed."""
    return MissingDependencyError(f"gradient={extra!r} needs {name}: pip install {extra}")


LIBRARIES: dict[str, Callable[[Callable[..., Any]], Differentiated]] = {"jax": by_jax, "torch": by_torch}
