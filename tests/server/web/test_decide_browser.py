"""The playground's questions in a real browser: on a desktop and on a phone, with and without JavaScript."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.server.web.browsing import wrong_here, wrong_on

TEXT = "I was charged twice for March. Please refund me!"
PAGE = "/endpoints/shared/decide"
PHONE = {"width": 390, "height": 844}


def test_questions_are_asked_added_and_removed_in_place(new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto("/endpoints/shared")
    page.get_by_role("navigation", name="Playground").get_by_role("link", name="Decide").click()
    run = page.get_by_role("button", name="Run")
    run.click()
    expect(page.get_by_label("Text")).to_be_focused()
    expect(page.locator(".problem")).to_have_count(3)
    assert wrong_here(page) == []

    page.get_by_label("Text").fill(TEXT)
    page.get_by_role("textbox", name="Question").fill("Which team should answer?")
    page.get_by_role("textbox", name="Options").fill("billing: invoices and refunds, technical, sales")
    page.get_by_role("button", name="Add a question").click()
    expect(page.locator("#instructions-2")).to_be_focused()
    page.keyboard.type("The customer asks for a refund.")
    page.get_by_label("Kind").nth(1).select_option("predicate")
    expect(page.get_by_role("textbox", name="Statement")).to_have_count(1)
    expect(page.locator("#options-2")).to_be_hidden()
    run.click()
    expect(page.locator(".answers .score.top .score-name")).to_have_text(["billing", "true"])
    expect(run).to_be_focused()
    expect(page.locator(".problem")).to_have_count(0)
    page.wait_for_url(re.compile("instructions-2=The"))
    expect(page.get_by_role("region", name="openai")).to_contain_text(f'input="{TEXT}"')

    page.get_by_role("button", name="Remove question 1").click()
    expect(page.get_by_role("button", name="Add a question")).to_be_focused()
    expect(page.locator("fieldset.question")).to_have_count(1)
    expect(page.get_by_role("textbox", name="Statement")).to_have_value("The customer asks for a refund.")
    expect(page.get_by_label("Text")).to_have_value(TEXT)
    page.reload()  # the address is that of what was asked last
    expect(page.locator(".answers .score.top .score-name")).to_have_text(["billing", "true"])


@pytest.mark.parametrize("scripted", [True, False])
def test_on_a_phone_an_example_is_answered_and_nothing_is_too_wide(
    new_page: Callable[..., Page], scripted: bool
) -> None:
    page = new_page(viewport=PHONE, java_script_enabled=scripted)
    page.goto(PAGE)
    page.get_by_role("link", name="Try an example").click()
    expect(page.locator(".answers .score.top .score-name").first).to_have_text("billing")
    page.get_by_role("textbox", name="Statement").fill("The customer is happy.")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".answer-question").nth(1)).to_have_text("The customer is happy.")
    if scripted:
        assert wrong_here(page) == []


def test_axe_finds_nothing_serious_and_the_page_is_small(new_page: Callable[..., Page]) -> None:
    page = new_page()
    assert wrong_on(page, PAGE) == []
    page.get_by_role("link", name="A comment to moderate").click()
    expect(page.locator(".answers")).to_be_visible()
    assert wrong_here(page) == []
