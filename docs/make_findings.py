"""The page of findings, from the list of causes and what was measured on the corpus.

python docs/make_findings.py
"""

import json
from pathlib import Path

from descender.doctor.causes import CAUSES

PAGE = Path(__file__).parent / "findings.md"
MEASURED = Path(__file__).parent.parent / "benchmarks" / "doctor" / "measured.json"
MEANS = """
Measured on the held-out programs of `benchmarks/doctor/corpus`, whole programs by which no rule was chosen; in brackets
Wilson's intervals of 95 %.
"""
TEXT = """# Findings

<!-- made by `python docs/make_findings.py` from src/descender/doctor/causes.py; change it there -->

What the doctor may find. A code is never given to another cause, and a finding can be ignored by it, by its slug, or
by any of its other words (`ignore=("D012", "lr-too-high")`). D0xx are about data, D1xx about the rate and the descent,
D2xx about gradients and layers, D3xx about targets, D4xx about the training loop, D9xx about numbers. Where several are
found, the root is named before its symptoms.
{measured}
| code | cause | |
|---|---|---|
{table}

{sections}
"""


def section(cause, measured):
    """What one cause means, how it is recognised, and what helps."""
    lines = [f"## {cause.code}", "", f"**{cause.title}** (`{cause.slug}`). {cause.meaning}", ""]
    lines += [f"*Known by*: {cause.signs}", "", f"*What helps*: {'; '.join(cause.remedies)}."]
    if cause.above:
        lines += ["", f"*Named before*: {', '.join(f'`{name}`' for name in cause.above)}."]
    if cause.aliases:
        lines += ["", f"*Also called*: {', '.join(f'`{name}`' for name in cause.aliases)}."]
    rows = [half["causes"][cause.slug] for half in measured.values() if cause.slug in half["causes"]]
    if rows:
        first, runs, wrong, others = (sum(row[key] for row in rows) for key in ("first", "runs", "wrong", "others"))
        lines += ["", f"*Measured*: named first in {first} of {runs} faulty runs that were held out; "
                  f"wrongly named in {wrong} of {others} other held-out runs."]  # fmt: skip
    return "\n".join(lines)


def page():
    """The text of the page."""
    measured = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    table = "\n".join(f"| [{c.code}](#{c.code.lower()}) | `{c.slug}` | {c.title} |" for c in CAUSES)
    said = MEANS + "".join(f"\n{half['said']}\n" for half in measured.values()) if measured else ""
    return TEXT.format(table=table, measured=said, sections="\n\n".join(section(c, measured) for c in CAUSES))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
