"""Reports as HTML: a page that stands alone, or its inside for another page; nothing of it is fetched from anywhere."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from zerostart.evaluation import pictures

_TEMPLATES = Path(__file__).parent / "templates"
_STYLES = _TEMPLATES / "report.css"
_BODIES = {"evaluation": "body.html", "comparison": "comparison.html"}
_FIGURES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro-F1",
    "micro_f1": "Micro-F1",
    "balanced_accuracy": "Balanced accuracy",
}


def report_page(document: Mapping[str, Any]) -> str:
    """The whole page, with its styles in it."""
    return (
        _environment()
        .get_template("page.html")
        .render(report=document, body=report_body(document), styles=report_styles())
    )


def report_body(document: Mapping[str, Any]) -> str:
    """What is inside `<main class="zs-report">`: no inline style and no script, for pages with a strict policy.

    Of an evaluation, or of a comparison.
    """
    return _environment().get_template(_BODIES[document["kind"]]).render(report=document)


def report_styles() -> str:
    """The styles of the body: everything in it is under `.zs-report`."""
    return _STYLES.read_text("utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, number=_number)
    environment.globals.update(pictures=pictures, figure_names=_FIGURES)
    return environment


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\u202f%"


def _number(value: float, digits: int = 3) -> str:
    return f"{value:,.{digits}f}"
