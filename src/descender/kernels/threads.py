"""One BLAS thread inside our own blocks.

The blocks of a reading are too small to share: on small machines two threads were seen to be 70 times slower than one.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@cache
def _libraries() -> list[Any]:
    return [one for one in _controller().lib_controllers if one.user_api == "blas"]


def one_blas_thread() -> AbstractContextManager:
    """A context in which BLAS runs on one thread; none is needed where it does already."""
    if all(one.get_num_threads() == 1 for one in _libraries()):
        return nullcontext()
    return _controller().limit(limits=1, user_api="blas")
