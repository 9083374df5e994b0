"""The playground's questions: asked without scripts, by a link, as a part of the page; what is refused, and to whom."""

import html
import re
from collections.abc import Callable

import pytest

from tests.server.test_metrics import scraped
from tests.server.web.conftest import Visitor
from zerostart.credentials import AccessKey, Role

PAGE = "/endpoints/shared/decide"
TEXT = "I was charged twice for March. Please refund me!"
TEAM = {
    "kind-1": "choice",
    "instructions-1": "Which team should answer?",
    "options-1": "billing: payments, invoices and refunds\ntechnical: errors and outages\nsales",
}
REFUND = {"kind-2": "predicate", "instructions-2": "The customer asks for a refund.", "options-2": "left, over"}
MOOD = {"kind-3": "score", "instructions-3": "How happy is the customer?", "options-3": "angry, neutral, happy"}


def answers(page: str) -> dict[str, list[tuple[str, float]]]:
    """The bars below each question."""
    found = re.findall(r'class="answer-question"[^>]*>([^<]*)<(.*?)</ol>', page, re.DOTALL)
    bars = r'score-name">([^<]*)<.*?score-value">([0-9.]+)%'
    return {
        html.unescape(question): [
            (html.unescape(name), float(value)) for name, value in re.findall(bars, rest, re.DOTALL)
        ]
        for question, rest in found
    }


def problems(page: str) -> dict[str, str]:
    """What is said beside fields that are marked."""
    said = dict(re.findall(r'class="problem" id="problem-([^"]+)"[^>]*>([^<]*)<', page))
    marked = set(re.findall(r'name="([^"]+)"[^>]* aria-invalid="true" aria-describedby="problem-\1"', page))
    assert marked == set(said)
    return {name: html.unescape(each) for name, each in said.items()}


def test_three_kinds_of_questions_are_answered_without_javascript(admin: Visitor) -> None:
    admin.open(PAGE)
    admin.send(PAGE, text=TEXT, **TEAM, **REFUND, **MOOD)
    found = answers(admin.page)
    assert list(found) == ["Which team should answer?", "The customer asks for a refund.", "How happy is the customer?"]
    team, refund, mood = found.values()
    assert team[0][0] == "billing"
    assert [value for _, value in team] == sorted((value for _, value in team), reverse=True)
    assert sum(value for _, value in team) == pytest.approx(100, abs=0.2)
    assert refund == [("true", refund[0][1])]
    assert refund[0][1] > 50
    assert [name for name, _ in mood] == ["angry", "neutral", "happy"]
    assert re.search(r"Score [0-2]\.[0-9]{2}, from 0 to 2 · Confidence 0\.[0-9]{2}", admin.page)
    assert re.search(r"Answered in <b>[^<]+</b>, [0-9]+&nbsp;tokens read", admin.page)


def test_the_link_to_an_answer_asks_the_same_again(admin: Visitor) -> None:
    admin.open(PAGE)
    admin.send(PAGE, text=TEXT, **TEAM, **MOOD)
    before = answers(admin.page)
    (link,) = re.findall(r'id="share" href="([^"]+)"', admin.page)
    admin.open(html.unescape(link))
    assert answers(admin.page) == before
    assert re.findall(r"<legend>([^<]+)<", admin.page) == ["Question 1", "Question 2"]


def test_one_click_on_an_example_fills_in_all_and_answers(admin: Visitor) -> None:
    admin.open(PAGE)
    assert answers(admin.page) == {}
    (link,) = re.findall(r'class="button" href="([^"]+)">Try an example', admin.page)
    examples = [each for each in admin.links if each.startswith(f"{PAGE}?")]
    assert html.unescape(link) in examples
    for example in set(examples):
        admin.open(example)
        assert len(answers(admin.page)) == len(re.findall("<fieldset", admin.page)) > 1
        assert problems(admin.page) == {}


def test_questions_are_added_and_removed_and_the_rest_stays(admin: Visitor) -> None:
    admin.open(PAGE)
    admin.send(PAGE, text=TEXT, **TEAM, **REFUND, add="1")
    assert answers(admin.page) == {}
    assert re.findall(r'name="(kind-[0-9]+)"', admin.page) == ["kind-1", "kind-2", "kind-3"]
    assert re.search(r'name="instructions-3"[^>]* autofocus', admin.page)
    admin.send(PAGE, text=TEXT, **TEAM, **REFUND, **MOOD, remove="2")
    assert re.findall(r'name="(kind-[0-9]+)"', admin.page) == ["kind-1", "kind-3"]
    assert re.findall(r"<legend>([^<]+)<", admin.page) == ["Question 1", "Question 2"]
    assert "angry, neutral, happy</textarea>" in admin.page
    assert f">{TEXT}</textarea>" in admin.page
    admin.send(PAGE, text=TEXT, **TEAM, remove="1")
    assert re.findall(r'name="(kind-[0-9]+)"', admin.page) == ["kind-1"]
    assert "Which team" not in admin.page.partition("Ask it from code")[0].replace('placeholder="Which team', "")


def test_what_is_wrong_is_said_beside_its_field(admin: Visitor) -> None:
    admin.open(PAGE)
    admin.send(PAGE, text=" ", **{**TEAM, "options-1": "billing"}, **{"kind-4": "predicate", "instructions-4": ""})
    assert problems(admin.page) == {
        "text": "Write the text that the questions are about.",
        "options-1": "'billing' alone is no choice: give at least two, between commas or one a line.",
        "instructions-4": "Write the statement.",
    }
    assert answers(admin.page) == {}
    admin.send(PAGE, text=TEXT, **{**TEAM, "instructions-1": "", "options-1": "a, a"})
    assert problems(admin.page) == {
        "instructions-1": "Write the question.",
        "options-1": "'a' is there twice: give each option once.",
    }


def test_limits_are_said(admin: Visitor) -> None:
    admin.open(PAGE)
    many = {f"instructions-{number}": f"Is it {number}?" for number in range(1, 21)}
    said = "21 questions are too many for a page: ask at most 20. The Decisions API takes 400."
    assert said in admin.send(PAGE, text=TEXT, **many, add="1").text
    assert said in admin.send(PAGE, text=TEXT, **many, **{"instructions-21": "Is it 21?"}).text
    options = "\n".join(map(str, range(256)))
    assert "has 256: send 1 to 255" in html.unescape(admin.send(PAGE, text=TEXT, **{**TEAM, "options-1": options}).text)


def test_a_part_of_the_page_is_answered_with_the_part_and_its_address(admin: Visitor) -> None:
    admin.open(PAGE)
    fields = {"form_token": admin.form_token, "text": TEXT, **TEAM}
    response = admin.client.post(PAGE, data=fields, headers={"HX-Request": "true"})
    assert response.text.lstrip().startswith('<div id="decide"')
    assert response.headers["hx-replace-url"].startswith(f"{PAGE}?text=I+was")
    assert "autofocus" not in response.text
    wrong = admin.client.post(PAGE, data={**fields, "text": ""}, headers={"HX-Request": "true"})
    assert re.search(r'name="text"[^>]* data-focus', wrong.text)
    assert "hx-replace-url" not in wrong.headers


def test_markup_is_shown_as_it_was_typed(admin: Visitor) -> None:
    admin.open(PAGE)
    asked = {"instructions-1": "<i>Which?", "options-1": "<b>a</b>\n'quoted' \"twice\""}
    page = admin.send(PAGE, text="</textarea><script>alert(1)</script>", **asked).text
    assert "<script>alert" not in page
    assert "<b>a" not in page
    assert "<i>Which" not in page
    assert {name for name, _ in answers(page)["<i>Which?"]} == {"<b>a</b>", "'quoted' \"twice\""}


def test_a_key_for_invoking_asks_its_own_endpoints_alone(visitor: Visitor, new_key: Callable[..., AccessKey]) -> None:
    visitor.sign_in_with(new_key(Role.INVOKE, "shared"))
    assert visitor.open(PAGE).status_code == 200
    visitor.send(PAGE, text=TEXT, **TEAM)
    assert answers(visitor.page)["Which team should answer?"][0][0] == "billing"
    visitor.client.cookies.clear()
    visitor.sign_in_with(new_key(Role.INVOKE, "other"))
    assert visitor.open(PAGE).status_code == 403


def test_what_is_not_there_and_foreign_forms(admin: Visitor) -> None:
    assert admin.open("/endpoints/missing/decide").status_code == 404
    assert admin.send("/endpoints/missing/decide", text=TEXT, **TEAM).status_code == 404
    assert admin.client.post(PAGE, data={"text": TEXT, **TEAM}).status_code == 403


def test_questions_are_counted_as_invocations(admin: Visitor) -> None:
    def counted() -> tuple[float, float]:
        values, own = scraped(admin.server), ("endpoint", "shared")
        return (
            values["zerostart_invocations_total", (own,)],
            values.get(("zerostart_invocation_model_errors_total", (own, ("status", "400"))), 0),
        )

    admin.open(PAGE)
    invocations, errors = counted()
    admin.send(PAGE, text=TEXT, **TEAM)
    admin.send(PAGE, text=TEXT, **{**TEAM, "options-1": "\n".join(map(str, range(256)))})
    assert counted() == (invocations + 2, errors + 1)
