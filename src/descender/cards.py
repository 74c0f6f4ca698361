"""What a notebook shows of a result: a small table, in which everything is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

STYLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"


def card(title: str, *parts: str) -> str:
    """A title and what stands below it, which is HTML already.

    >>> card("a < b")
    '<div><b>a &lt; b</b></div>'
    """
    return f"<div><b>{escape(title)}</b>{''.join(parts)}</div>"


def line(text: str) -> str:
    """A paragraph."""
    return f"<p style='margin:.3em 0;max-width:75ch'>{escape(text)}</p>"


def facts(pairs: Iterable[tuple[str, Any]]) -> str:
    """Names with values, one a row; what is empty is left out.

    >>> facts([("cost J", 0.5), ("why", "")])
    "<table style='border-collapse:collapse;font-variant-numeric:tabular-nums'><tr><th scope='row' \
style='text-align:left'>cost J</th><td style='text-align:left'>0.5</td></tr></table>"
    """
    rows = [
        f"<tr><th scope='row' style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(shown(value))}</td></tr>"
        for name, value in pairs
        if shown(value)
    ]
    return f"<table style='{STYLE}'>{''.join(rows)}</table>"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; numbers are shown in six digits."""
    head = "".join(f"<th scope='col' style='text-align:right'>{escape(str(name))}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:right'>{escape(shown(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table style='{STYLE}'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def shown(value: Any) -> str:
    """A value as text, numbers in six digits; nothing for None and what is not a number.

    >>> shown(1 / 3), shown(12), shown(float("nan")), shown(None)
    ('0.333333', '12', '', '')
    """
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)


def sparkline(values: ArrayLike, label: str) -> str:
    """A small curve of positive numbers on a logarithmic axis, of others on a plain one; none for fewer than two.

    >>> sparkline([4.0, 1.0], "cost")[:24], sparkline([1.0], "cost")
    ("<svg role='img' aria-lab", '')
    """
    y = np.asarray(values, dtype=np.float64)
    y = y[np.isfinite(y)]
    y = y[np.unique(np.linspace(0, len(y) - 1, min(len(y), 200)).astype(np.intp))] if len(y) else y
    if len(y) < 2 or not np.ptp(y) > 0:
        return ""
    height = np.log10(y) if (y > 0).all() else y
    down = 36.0 - 34.0 * (height - height.min()) / (np.ptp(height) or 1.0)
    points = " ".join(f"{2 + 236 * k / (len(y) - 1):.1f},{v:.1f}" for k, v in enumerate(down))
    return (
        f"<svg role='img' aria-label='{escape(label, quote=True)}' width='240' height='38' viewBox='0 0 240 38'>"
        f"<polyline points='{points}' fill='none' stroke='currentColor' stroke-width='1.5'/></svg>"
    )
