import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from tests.evaluation.planted import LABELS, asked, fake_model, ignored, labelled, texts
from zerostart.evaluation.html import report_body, report_page, report_styles
from zerostart.evaluation.pictures import heatmap, reached
from zerostart.evaluation.report import Subject
from zerostart.evaluation.scoring import Ask, Question
from zerostart.evaluation.tuning import Wishes
from zerostart.nli.labels import parse_labels
from zerostart.nli.template import HypothesisTemplate
from zerostart.services.evaluation import evaluate

HOSTILE = "<img src=//evil.example/x onerror=alert(1)>"
NAMES = [HOSTILE, '"><script>alert(2)</script>', "{{ 7 * 7 }}", "a" * 300]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    with fake_model(tmp_path_factory.mktemp("home")) as answers:
        yield answers


@pytest.fixture(scope="module")
def document(ask: Ask) -> dict[str, Any]:
    """A tuned report on texts, labels, wordings, a file and a model of somebody who means harm."""
    labels = parse_labels(NAMES)
    own = tuple(f"{HOSTILE} {text}" for text in texts(80))
    right = asked(ask, own, labels, "{}.").best.copy()
    right[:20] = (right[:20] + 1) % 4
    subject = Subject(f"{HOSTILE}.csv", HOSTILE, "2026-01-01T00:00:00+00:00", None, HOSTILE)
    question = Question(labels, HypothesisTemplate(f"{HOSTILE} {{}}"))
    wishes = Wishes(wordings={HOSTILE: (f"{HOSTILE} again",)}, accuracy=0.7)
    return evaluate(subject, labelled(own, list(right), labels), question, ask, ignored, wishes).document


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(html)
    return parser.found


def test_hostile_texts_and_labels_stay_texts(document: dict[str, Any]) -> None:
    page = report_page(document)
    found = tags(page)
    assert not {"script", "img", "iframe", "link", "object"} & {tag for tag, _ in found}
    assert not [name for _, attributes in found for name in attributes if name.startswith("on")]
    assert "&lt;img src=//evil.example/x onerror=alert(1)&gt;" in page
    assert "{{ 7 * 7 }}" in page
    assert "49" not in re.findall(r"<th scope=\"row\">([^<]*)</th>", page)


def test_the_page_stands_alone_and_has_every_part(document: dict[str, Any]) -> None:
    page = report_page(document)
    for _, attributes in tags(page):
        assert not {"src", "href", "style"} & set(attributes)
    assert "default-src 'none'" in page
    for part in ("Result", "Tuning", "Label by label", "What is taken for what", "may be wrong", "can be believed"):
        assert part in page
    assert page.count("<svg") > 10
    assert "prefers-color-scheme: dark" in page


def test_the_inside_fits_a_page_with_a_strict_policy(document: dict[str, Any]) -> None:
    body = report_body(document)
    assert not [attributes for _, attributes in tags(body) if "style" in attributes]
    assert not {"style", "script", "html", "main"} & {tag for tag, _ in tags(body)}
    rules = re.findall(r"^([^@{}\n]+){", report_styles(), re.MULTILINE)
    assert rules
    assert [rule for rule in rules if ".zs-report" not in rule] == []


def test_a_report_on_several_labels_a_text_and_one_without_tuning(ask: Ask) -> None:
    rows = labelled(texts(30), [0] * 30)
    both = replace(rows, right=np.tile([True, False, True, False], (30, 1)), multi_label=True)
    subject = Subject("made.jsonl", "fake", "2026-01-01T00:00:00+00:00")
    for each in (rows, both):
        question = Question(LABELS, HypothesisTemplate(), each.multi_label)
        document = evaluate(subject, each, question, ask, ignored).document
        page = report_page(document)
        assert "Tuning" not in page
        assert ("AUC" in page) == each.multi_label


def test_many_labels_are_drawn_as_the_largest_and_all_others() -> None:
    per_label = [{"name": f"label {n}", "support": 100 - n, "answered": 0} for n in range(60)]
    confusion = [[n, (n + 1) % 60, 100 - n] for n in range(60)]
    drawn = heatmap({"confusion": confusion, "per_label": per_label})
    assert drawn is not None
    assert len(drawn.names) == 24
    assert drawn.names[-1] == "(all others)"
    assert sum(cell.count for cell in drawn.cells) == sum(100 - n for n in range(60))


def test_the_greatest_coverage_of_a_wanted_accuracy() -> None:
    points = [
        {"accuracy": 1.0, "coverage": 0.1},
        {"accuracy": 0.8, "coverage": 0.5},
        {"accuracy": 0.6, "coverage": 1.0},
    ]
    assert reached(points, 0.75) == points[1]
    assert reached(points[2:], 0.9) is None
