"""In a real browser: a file is dropped, its columns are corrected, it is evaluated and left and found again."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.processes import ServerProcess
from tests.server.web.browsing import CHROMIUM, wrong_here, wrong_on
from tests.server.web.conftest import OpenPage

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed: apt-get install chromium")
SCRIPT = "<script>window.ran = true</script>"
SIZES = (("light", 1440), ("dark", 390))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("evaluate") / "home", ZEROSTART_ENGINE="fake") as process:
        process.deploy("first")
        yield process


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    """The column that is called label is none."""
    path = tmp_path / "tickets.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = ((f"text {n} {SCRIPT}", f"no {n}", ("travel", "cooking", SCRIPT)[n % 3]) for n in range(90))
        csv.writer(file).writerows([("text", "label", "kind"), *rows])
    return path


def looked_at(page: Page) -> list[str]:
    found = []
    for _, width in SIZES:
        page.set_viewport_size({"width": width, "height": 900})
        found += wrong_here(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    return found


def test_from_a_file_to_its_report(server: ServerProcess, open_page: OpenPage, tickets: Path) -> None:
    page = open_page(server, viewport={"width": 1440, "height": 900})
    page.set_default_timeout(60_000)
    assert wrong_on(page, "/evaluate") == []
    page.goto("/endpoints/first")
    page.get_by_role("link", name="Evaluate", exact=True).last.click()
    assert looked_at(page) == []
    page.get_by_label("File").set_input_files(tickets)
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/columns?*")
    expect(page.get_by_label("Who answers")).to_have_value("endpoint/first")
    expect(page.get_by_role("alert")).to_contain_text("90 different values in 90 rows")
    page.get_by_label("Column of the right labels").select_option("kind")
    expect(page.get_by_text("3 labels were found")).to_be_visible()  # without a reload
    page.get_by_text("3 labels were found").click()
    page.get_by_role("textbox", name="cooking").fill("food, and how it is made")
    page.get_by_label("Tune too").check()
    assert looked_at(page) == []
    page.get_by_role("button", name="Try the first five").click()
    expect(page.locator(".evl-tried tbody tr")).to_have_count(5)
    assert looked_at(page) == []
    page.get_by_role("button", name="Run").click()
    page.wait_for_url(re.compile(r"/evaluate/of/[^/]+$"))
    one = page.url
    page.goto("/evaluate")  # it is left, and found again
    page.get_by_role("link", name="tickets.csv", exact=True).click()
    assert page.url == one
    download = page.get_by_role("link", name="Download JSON")
    expect(download).to_be_visible(timeout=120_000)  # without a reload
    with page.expect_download() as kept:
        download.click()
    report = json.loads(Path(kept.value.path()).read_text())
    assert report["labels"]["cooking"] == "food, and how it is made"
    accuracy = f"{100 * report['figures']['accuracy']['value']:.1f}"
    expect(page.locator(".zs-report .big").first).to_contain_text(accuracy)
    with page.expect_download() as kept:
        page.get_by_role("link", name="Download the profile").click()
    assert kept.value.suggested_filename == "tickets.profile.json"
    assert set(json.loads(Path(kept.value.path()).read_text())["labels"]) == {"travel", "cooking", SCRIPT}
    assert looked_at(page) == []
    assert page.evaluate("window.ran") is None
    page.goto("/evaluate")
    expect(page.get_by_role("row", name="tickets.csv")).to_contain_text(accuracy)
    assert looked_at(page) == []
    page.get_by_role("link", name="Delete tickets.csv …").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("No evaluation yet")).to_be_visible()


def test_an_upload_that_is_no_good_is_told_where_it_was_chosen(
    server: ServerProcess, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(server)
    page.goto("/evaluate/new")
    empty = tmp_path / "empty.csv"
    empty.write_text("text,label\n")
    page.get_by_label("File").set_input_files(empty)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("[data-upload-state]")).to_contain_text("empty.csv has no rows")
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    page.get_by_label("File").set_input_files(large)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("[data-upload-state]")).to_contain_text("too much at once")


def test_without_javascript_it_is_reached_by_forms_alone(
    server: ServerProcess, open_page: OpenPage, tickets: Path
) -> None:
    page = open_page(server, java_script_enabled=False)
    page.set_default_timeout(60_000)
    page.goto("/evaluate/new?who=endpoint/first")
    page.get_by_label("File").set_input_files(tickets)
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Column of the right labels").select_option("kind")
    page.get_by_role("button", name="Read the columns again").click()
    expect(page.get_by_text("3 labels were found")).to_be_visible()
    page.get_by_role("button", name="Try the first five").click()
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("link", name="Download HTML")).to_be_visible(timeout=120_000)  # the page reloads itself
    page.get_by_role("link", name="Delete …").click()
    page.get_by_role("button", name="Delete it").click()
