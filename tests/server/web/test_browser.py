"""In a real browser: from the landing page to a live endpoint, with and without JavaScript, and axe on each page."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.processes import BUILTIN, ServerProcess, wait_for
from tests.server.web.browsing import START_TIMEOUT_MS, painted_ms, wrong_here, wrong_on

TEXT = "One day I will see the world"


@pytest.fixture
def deployed(shared_server: ServerProcess) -> Iterator[str]:
    """The name that the deploy form proposes; what was deployed under it is gone at the end."""
    yield BUILTIN
    client = shared_server.sagemaker()
    wait_for(lambda: BUILTIN not in str(client.list_endpoints()["Endpoints"]), 60)
    assert BUILTIN not in str(client.list_models()["Models"])


def test_from_the_landing_page_to_a_live_endpoint(new_page: Callable[..., Page], deployed: str) -> None:
    page = new_page()
    page.get_by_role("searchbox").fill("built-in")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/hub?*")
    page.get_by_role("searchbox").press("End")
    page.get_by_role("searchbox").press_sequentially(" english")  # found as one types
    expect(page.locator("#results")).to_contain_text("Zerostart ZSTC small")
    page.wait_for_url(re.compile("english"))
    page.get_by_role("link", name="Zerostart ZSTC small").click()
    page.get_by_role("button", name="Deploy", exact=True).click()
    page.wait_for_url(f"**/endpoints/{deployed}")
    page.get_by_label("Text").fill(TEXT)
    page.get_by_role("textbox", name="Labels").press_sequentially("travel, cooking, dancing")  # while it starts
    expect(page.locator(".status.inservice")).to_be_visible(timeout=START_TIMEOUT_MS)
    expect(page.locator(".score.top .score-name")).to_have_text("travel")
    expect(page.locator(".score")).to_have_count(3)
    page.get_by_role("textbox", name="Labels").press("Enter")
    expect(page.locator("#chips li")).to_have_text(["travel", "cooking", "dancing"])
    page.wait_for_url(re.compile("dancing"))
    page.reload()
    expect(page.locator(".score.top .score-name")).to_have_text("travel")
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/endpoints")
    gone = page.get_by_role("link", name=deployed, exact=True)
    expect(gone).to_have_count(0, timeout=START_TIMEOUT_MS)  # without a reload


def test_the_same_without_javascript(new_page: Callable[..., Page], deployed: str) -> None:
    page = new_page(java_script_enabled=False)
    page.get_by_role("searchbox").fill("built-in english")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Zerostart ZSTC small").click()
    page.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.locator(".status.inservice")).to_be_visible(timeout=START_TIMEOUT_MS)  # the page reloads itself
    page.get_by_label("Text").fill("I want to travel around the world")
    page.get_by_role("textbox", name="Labels").fill("travel\ncooking")
    page.get_by_label("Several labels may fit").check()
    page.get_by_role("button", name="Classify").click()
    expect(page.locator(".score.top .score-name").first).to_have_text("travel")
    page.get_by_role("link", name="Link to this example").click()
    expect(page.locator(".score.top .score-name").first).to_have_text("travel")
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()


def test_a_shared_link_opens_from_another_site(new_page: Callable[..., Page], shared_server: ServerProcess) -> None:
    page = new_page()
    page.goto("about:blank")
    link = f"{shared_server.address}/endpoints/shared?text={TEXT}&labels=travel,cooking"
    page.set_content(f'<a href="{link}">look</a>')
    page.get_by_role("link", name="look").click()
    expect(page.locator(".score.top .score-name")).to_have_text("travel")


def test_code_is_copied(new_page: Callable[..., Page]) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/endpoints/shared")
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert "import boto3" in page.evaluate("navigator.clipboard.readText()")


def test_the_keyboard_alone_reaches_the_content(new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_cleaning_up_follows_by_itself_and_axe_finds_nothing_serious(
    new_page: Callable[..., Page], shared_server: ServerProcess
) -> None:
    shared_server.create_config("to-clean")
    page = new_page(viewport={"width": 390, "height": 844})
    page.get_by_role("link", name="Clean up").click()
    page.get_by_label("to-clean").first.check()
    page.get_by_label("to-clean").nth(1).check()
    assert wrong_here(page) == []
    page.get_by_role("button", name="Delete what is ticked").click()
    expect(page.get_by_role("heading", name="Delete 2")).to_be_visible()
    expect(page.locator(".goes b")).to_have_text(["to-clean", "to-clean"])
    assert wrong_here(page) == []
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="All of it is gone")).to_be_visible(timeout=START_TIMEOUT_MS)
    assert wrong_here(page) == []
    assert shared_server.status("shared") == "InService"


@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_serious_and_pages_are_small_quick_and_not_wider_than_the_window(
    new_page: Callable[..., Page], width: int
) -> None:
    page = new_page(viewport={"width": width, "height": 900})
    answered = f"text={TEXT}&labels=travel,cooking"
    paths = ["/", "/hub", "/hub?words=pelmeni", f"/hub/models/{BUILTIN}?example=1"]
    paths += ["/hub/models/facebook/bart-large-mnli", "/endpoints", f"/endpoints/shared?{answered}"]
    paths += ["/endpoints/shared/delete", f"/endpoints/shared/texts?{answered}", "/settings/clean-up"]
    assert {path: found for path in paths if (found := wrong_on(page, path))} == {}
    first_paints_ms = sorted(painted_ms(page, "/") for _ in range(3))
    assert first_paints_ms[1] < 1500, first_paints_ms  # 300 ms is the aim, on a machine that has nothing else to do
    page.get_by_role("button", name="Sign out").click()
    assert wrong_on(page, "/sign-in") == []
