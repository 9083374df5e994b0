"""Solutions in the browser: without JavaScript by forms, and in Chromium by clicks."""

import html
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.processes import ServerProcess, children_of, wait_for
from tests.server.web.browsing import wrong_here, wrong_on
from tests.server.web.conftest import OpenPage, Visitor
from zerostart.credentials import Role, create_access_key

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NAME = "zero-shot-text-classification"
PAGE = f"/solutions/{NAME}"
DATA = b"text,Resolution_Category\nRun @coach http://t.co/a,Health &amp; Fitness\nSave money,Finance\n"
LONG_S = 600


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose things come and go."""
    with ServerProcess(tmp_path_factory.mktemp("solutions") / "home", ZEROSTART_ENGINE="fake") as process:
        yield process


@pytest.fixture
def visitor(server: ServerProcess) -> Iterator[Visitor]:
    found = Visitor(server)
    found.sign_in()
    yield found
    found.client.close()


def text(page: str) -> str:
    """What a page says, without markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def launch(visitor: Visitor, content: bytes | None, **fields: str) -> str:
    """Send the form that launches; what the answer says."""
    visitor.open(PAGE)
    name, sent = ("", b"") if content is None else ("mine.csv", content)
    parts = {"form_token": (None, visitor.form_token), **{key: (None, value) for key, value in fields.items()}}
    answer = visitor.client.post(PAGE, files={**parts, "data": (name, sent, "text/csv")})
    visitor.page, visitor.path = answer.text, answer.url.path
    return text(answer.text)


def test_it_is_launched_looked_at_and_deleted_without_javascript(server: ServerProcess, visitor: Visitor) -> None:
    assert "/solutions" in visitor.open("/").text
    assert "Not launched" in text(visitor.open("/solutions").text)
    assert PAGE in visitor.links
    offered = text(visitor.open(PAGE).text)
    for shown in ("Launch it", "Takes about", "What it makes", "zerostart:solution", "Family/Friends/Relationships"):
        assert shown in offered
    begun = launch(visitor, DATA)
    assert "of 9 steps done" in begun
    wait_for(lambda: "9 of 9 steps done" in text(visitor.open(PAGE).text), LONG_S, every_s=0.5)
    told = text(visitor.page)
    assert "Texts 2 Accuracy" in told
    assert "“Run”" in told
    assert "People chose Health & Fitness" in told
    assert "was launched already: nothing was made anew" in launch(visitor, None)
    visitor.open(PAGE)
    for link in visitor.links:
        assert visitor.client.get(link).status_code == 200, link
    report = visitor.client.get(f"{PAGE}/report?launch={NAME}")
    assert "sandbox" in report.headers["content-security-policy"]
    assert "Macro-F1" in report.text

    bucket = wait_for(lambda: re.search(rf"{NAME}-[0-9a-f]{{8}}", visitor.page))[0]
    server.s3().put_object(Bucket=bucket, Key="mine.txt", Body=b"mine")
    asked = text(visitor.open(f"{PAGE}/delete?launch={NAME}").text)
    for shown in (f"endpoint {NAME}", f"transform job {NAME}", f"bucket {bucket}", "mine.txt", "Delete them too"):
        assert shown in asked
    assert server.status(NAME) == "InService"
    visitor.send(f"{PAGE}/delete?launch={NAME}", others="on")
    path = visitor.path
    wait_for(lambda: "All of it is gone" in visitor.open(path).text, LONG_S)
    gone = text(visitor.page)
    assert f"endpoint {NAME}" in gone
    assert "Rows: none left" in gone
    assert children_of(server.pid) == []
    assert server.s3().list_buckets()["Buckets"] == []
    assert "Not launched" in text(visitor.open("/solutions").text)


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_made(server: ServerProcess, visitor: Visitor) -> None:
    wrong = launch(visitor, b"text,Resolution_Category\nFeed the cats,Cats\n", name="kept-name")
    assert "mine.csv, row 1: Resolution_Category is 'Cats'" in wrong
    assert 'id="problem-data"' in visitor.page
    assert 'value="kept-name"' in visitor.page
    assert "cannot name an endpoint" in launch(visitor, None, name="a b")
    assert 'id="problem-name"' in visitor.page
    server.create_config("taken")
    assert "that this solution did not make" in launch(visitor, None, name="taken")
    assert visitor.open(f"{PAGE}/report").status_code == 404
    assert visitor.open(f"{PAGE}/delete").status_code == 404
    assert visitor.open("/solutions/other").status_code == 404
    assert server.s3().list_buckets()["Buckets"] == []


def test_forms_of_others_and_roles_that_do_not_reach_so_far_do_nothing(server: ServerProcess, visitor: Visitor) -> None:
    visitor.open(PAGE)
    forged = visitor.client.post(PAGE, files={"form_token": (None, "x"), "data": ("", b"")})
    assert forged.status_code == 403
    assert visitor.client.post(f"{PAGE}/delete", data={"form_token": "x"}).status_code == 403
    invoker = Visitor(server)
    invoker.sign_in_with(create_access_key(server.home / "access-keys.json", "solutions", Role.INVOKE, ["x"]))
    assert "/solutions" not in invoker.open("/").text
    for path in ("/solutions", PAGE, f"{PAGE}/report", f"{PAGE}/delete"):
        assert invoker.open(path).status_code == 403, path
    invoker.client.close()
    assert server.s3().list_buckets()["Buckets"] == []


@pytest.fixture
def page(open_page: OpenPage, server: ServerProcess) -> Page:
    return open_page(server)


def test_one_click_launches_and_the_steps_come_by_themselves(
    page: Page, server: ServerProcess, open_page: Callable[..., Page]
) -> None:
    narrow = open_page(server, viewport={"width": 390, "height": 844})
    assert wrong_on(page, "/solutions") == []
    assert wrong_on(narrow, PAGE) == []
    page.goto("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Solutions").click()
    page.get_by_role("link", name="Zero-Shot Text Classification").click()
    page.get_by_role("button", name="Launch", exact=True).click()
    expect(page.locator(".sol-step.running")).to_have_count(1)
    narrow.goto(PAGE)
    assert wrong_here(narrow) == []
    expect(page.get_by_text("9 of 9 steps done")).to_be_visible(timeout=LONG_S * 1000)
    expect(page.locator(".sol-step.done")).to_have_count(9)
    expect(page.get_by_text("Accuracy")).to_be_visible()
    assert wrong_here(page) == []
    assert wrong_on(narrow, PAGE) == []
    page.reload()
    page.get_by_role("link", name="Open the report").click()
    expect(page.get_by_role("heading", name="Result", exact=True)).to_be_visible()
    page.go_back()
    page.get_by_role("link", name=f"Playground of {NAME}").click()
    expect(page.get_by_role("heading", name="Playground")).to_be_visible()
    assert wrong_on(narrow, f"{PAGE}/delete?launch={NAME}") == []
    page.goto(f"{PAGE}/delete?launch={NAME}")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("All of it is gone")).to_be_visible(timeout=LONG_S * 1000)
    assert server.s3().list_buckets()["Buckets"] == []
