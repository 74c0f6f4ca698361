"""The pages of findings, one for each, from the list of causes and what was measured on the corpus.

python docs/make_findings.py
"""

import json
import re
from pathlib import Path

from descender.doctor.causes import BY_SLUG, CAUSES

DOCS = Path(__file__).parent
MEASURED = Path(__file__).parent.parent / "benchmarks" / "doctor" / "measured.json"
MEANS = """
Measured on the held-out programs of `benchmarks/doctor/corpus`, whole programs by which no rule was chosen; in brackets
Wilson's intervals of 95 %.
"""
MADE = "<!-- made by `python docs/make_findings.py` from src/descender/doctor/causes.py; change it there -->"
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

```{{toctree}}
:hidden:
:glob:

findings/*
```
"""


def page_of(cause, measured):
    """What one cause means, how it is recognised, and what helps."""
    lines = [f"# {cause.code}: {cause.title}", "", MADE, "", cause.meaning, ""]
    lines += ["## Known by", "", f"{_sentence(cause.signs)}", "", "## What helps", ""]
    lines += [f"- {remedy}" for remedy in cause.remedies]
    others = [BY_SLUG[name] for name in cause.above]
    roots = [other for other in CAUSES if cause.slug in other.above]
    if others or roots:
        lines += ["", "## Beside others", ""]
    if others:
        lines += [f"It is the root of, and named before: {', '.join(map(_link, others))}.", ""]
    if roots:
        lines += [f"It may be a symptom of {', '.join(map(_link, roots))}, which is then named first.", ""]
    rows = [half["causes"][cause.slug] for half in measured.values() if cause.slug in half["causes"]]
    if rows:
        first, runs, wrong, others = (sum(row[key] for row in rows) for key in ("first", "runs", "wrong", "others"))
        lines += ["", "## Measured", "", f"Named first in {first} of {runs} faulty runs that were held out; "
                  f"wrongly named in {wrong} of {others} other held-out runs."]  # fmt: skip
    words = ", ".join(f"`{name}`" for name in (cause.slug, *cause.aliases))
    lines += ["", "## Its words", "", f"{words}. A finding is ignored by its code or any of them, as in "
              f'`ignore=("{cause.code}",)`. [All findings](../findings.md).', ""]  # fmt: skip
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def _sentence(text):
    return f"{text[:1].upper()}{text[1:]}" + "." * (not text.endswith("."))


def _link(cause):
    return f"[{cause.title}]({cause.code.lower()}.md)"


def pages():
    """The text of every page, by its name in the folder of documents."""
    measured = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    made = {f"findings/{cause.code.lower()}.md": page_of(cause, measured) for cause in CAUSES}
    return {"findings.md": page(measured), **made}


def page(measured):
    """The text of the page that lists them."""
    table = "\n".join(f"| [{c.code}](findings/{c.code.lower()}.md) | `{c.slug}` | {c.title} |" for c in CAUSES)
    said = MEANS + "".join(f"\n{half['said']}\n" for half in measured.values()) if measured else ""
    return TEXT.format(table=table, measured=said)


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(text, encoding="utf-8")
