"""Show a verdict: as plain text in a terminal, as HTML in a notebook."""

import html
import re
import textwrap

from autograder.exercise import Section
from autograder.verdict import AspectResult, Verdict

WIDTH = 78


def number(value: float) -> str:
    """Points without needless zeros: 7, 7.5."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def headline(verdict: Verdict) -> str:
    """One line: the name and the points."""
    points = f"{number(verdict.score)} of {number(verdict.max_score)} points"
    return f"{verdict.exercise.name}: {points}" + (", all right." if verdict.passed else ".")


def explanation(verdict: Verdict) -> list[str]:
    """The paragraphs below the table of aspects, the most useful first."""
    paragraphs = list(verdict.remarks)
    for name in verdict.diagnosis:
        mistake = verdict.exercise.mistake(name)
        known = "In every case your results are exactly those of a known mistake"
        if verdict.exercise.profile:
            known = "Your answers have all the marks of a known mistake, and of no other"
        paragraphs.append(f"{known}: {mistake.says}")
        paragraphs.append(f"The right step: {mistake.see}.")
    paragraphs += verdict.findings
    if verdict.asked and not verdict.passed and not verdict.diagnosis:
        paragraphs.append(f"To read again: {_to_read(verdict)}.")
    return paragraphs


def _to_read(verdict: Verdict) -> Section:
    """What prepares the first aspect that is missed."""
    results = zip(verdict.exercise.aspects, verdict.aspects, strict=True)
    missed = next((aspect for aspect, result in results if not result.passed), None)
    return (missed and missed.see) or verdict.exercise.see


def message(verdict: Verdict) -> str:
    """The verdict in one string, without the table."""
    return " ".join([headline(verdict), *explanation(verdict)])


def as_text(verdict: Verdict) -> str:
    """The report for a terminal, at most 78 columns wide."""
    lines = [headline(verdict)]
    if not verdict.passed:
        width = max(len(aspect.name) for aspect in verdict.aspects)
        for aspect in verdict.aspects:
            mark = "ok" if aspect.passed else "--"
            earned = f"{number(aspect.earned)}/{number(aspect.points)}"
            waits = f"  counts once “{aspect.waits_for}” is right" if aspect.waits_for else ""
            lines.append(f"  {mark}  {aspect.name:<{width}}  {earned:>5}{waits}")
    for paragraph in explanation(verdict):
        lines.append("")
        lines += textwrap.wrap(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


# Neither colours of text nor of ground are set, so that the report reads in light and dark themes;
# the green and the red are told apart by their words too and have contrast on both.
_STYLE = (
    "border-left:.3em solid {colour};padding:.2em 0 .2em .9em;margin:.3em 0;"
    "max-width:46em;line-height:1.45"
)
_RIGHT, _WRONG = "#2a9d5c", "#d1605e"


def as_html(verdict: Verdict) -> str:
    """The report for a notebook: self-contained, readable on light and dark grounds."""
    colour = _RIGHT if verdict.passed else _WRONG
    rows = "" if verdict.passed else _table(verdict)
    body = "".join(f'<p style="margin:.5em 0">{_inline(t)}</p>' for t in explanation(verdict))
    head = f'<p style="margin:.2em 0"><strong>{_inline(headline(verdict))}</strong></p>'
    style = _STYLE.format(colour=colour)
    return f'<div class="autograder-report" style="{style}">{head}{rows}{body}</div>'


def _table(verdict: Verdict) -> str:
    cell = "padding:.05em 1.2em .05em 0;text-align:left;border:0;background:none"
    rows = "".join(
        f'<tr style="background:none"><td style="{cell};white-space:nowrap">'
        f"{'✓ right' if a.passed else '✗ not yet'}</td>"
        f'<td style="{cell}">{_inline(a.name)}</td>'
        f'<td style="{cell}"><span style="white-space:nowrap">{number(a.earned)} of '
        f"{number(a.points)}</span>{_waits(a)}</td></tr>"
        for a in verdict.aspects
    )
    return f'<table style="border:0;margin:.3em 0;color:inherit">{rows}</table>'


def _waits(aspect: AspectResult) -> str:
    return _inline(f", counts once “{aspect.waits_for}” is right") if aspect.waits_for else ""


def _inline(text: str) -> str:
    """Escape, then show what stands between backticks as code."""
    escaped = html.escape(text, quote=False)
    return re.sub(r"`([^`\n]+)`", r"<code style='color:inherit'>\1</code>", escaped)
