"""In a real browser: a CSV becomes rows with scores, an upload tells how far it is, and axe on each of these pages."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.processes import ServerProcess
from tests.server.web.browsing import CHROMIUM, wrong_here, wrong_on

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed: apt-get install chromium")
JOB_TIMEOUT_MS = 150_000
TEXTS = {
    "One day I will see the world": "travel",
    "Whisk the eggs, then fold in the flour and bake for half an hour": "cooking",
    "": "",
    "=The central bank raised interest rates by a quarter of a point": "money",
}


@pytest.fixture
def cleared(shared_server: ServerProcess) -> Iterator[None]:
    """What a job leaves is gone at the end."""
    yield
    client, store = shared_server.sagemaker(), shared_server.s3()
    for bucket in ("zerostart-transform", "progress"):
        if bucket in str(store.list_buckets()["Buckets"]):
            for each in store.list_objects_v2(Bucket=bucket).get("Contents", ()):
                store.delete_object(Bucket=bucket, Key=each["Key"])
            store.delete_bucket(Bucket=bucket)
    for model in client.list_models(NameContains="transform-")["Models"]:
        client.delete_model(ModelName=model["ModelName"])


@pytest.mark.usefixtures("cleared")
def test_from_a_csv_to_its_rows_with_scores(new_page: Callable[..., Page], tmp_path: Path) -> None:
    source = tmp_path / "notes.csv"
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "text"), *((n, text) for n, text in enumerate(TEXTS, start=1))])
    page = new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(60_000)  # to load a model takes its time where others compute
    wide, narrow = ("light", 1440), ("dark", 390)
    page.get_by_role("link", name="Batch", exact=True).click()
    page.get_by_role("link", name="New job").first.click()
    page.get_by_label("Upload a file").set_input_files(source)
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/batch/new/columns?*")
    set_up = page.url
    expect(page.get_by_label("Column of the texts")).to_have_value("column:text")
    page.get_by_role("textbox", name="Labels").fill("travel, cooking, money")
    page.get_by_role("button", name="Try the first five").click()
    expect(page.locator(".tried > li")).to_have_count(4)
    expect(page.locator(".tried .score.top .score-name")).to_have_text(["travel", "cooking", "money"])
    expect(page.locator(".tried .notice.bad")).to_contain_text("not blank")
    assert looked_at(page, wide, narrow) == []
    page.get_by_role("button", name="Start the job").click()
    page.wait_for_url("**/batch/jobs/*")
    expect(page.get_by_role("progressbar")).to_be_visible()
    assert looked_at(page, wide, narrow) == []
    download_link = page.get_by_role("link", name="Download CSV")
    expect(download_link).to_be_visible(timeout=JOB_TIMEOUT_MS)  # without a reload
    expect(page.locator("#records")).to_have_text("4 records")
    with page.expect_download() as download:
        download_link.click()
    with Path(download.value.path()).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["text"].removeprefix("'")) for row in rows] == [
        (str(number), text) for number, text in enumerate(TEXTS, start=1)
    ]
    assert [row["label"] for row in rows] == list(TEXTS.values())
    assert rows[3]["text"].startswith("'=")
    assert ["not blank" in row["error"] for row in rows] == [False, False, True, False]
    for row in (rows[0], rows[1], rows[3]):
        assert float(row["score"]) == max(float(row[f"score: {label}"]) for label in ("travel", "cooking", "money"))
    job = page.url
    page.get_by_role("link", name="notes.csv", exact=False).first.click()
    paths = [set_up, job, page.url, "/batch", "/batch/new", "/buckets", "/buckets/zerostart-transform"]
    paths += ["/buckets/zerostart-transform/delete", page.url.replace("/object?", "/delete-object?")]
    for scheme, width in (wide, narrow):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        assert {path: found for path in paths if (found := wrong_on(page, path))} == {}


def looked_at(page: Page, *looks: tuple[str, int]) -> list[str]:
    """What axe finds on the page as it stands, in light and dark and at each width."""
    found: list[str] = []
    for scheme, width in looks:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        found += wrong_here(page)
    return found


@pytest.mark.usefixtures("cleared")
def test_an_upload_tells_how_far_it_is_and_what_went_wrong(
    new_page: Callable[..., Page], shared_server: ServerProcess, tmp_path: Path
) -> None:
    shared_server.s3().create_bucket(Bucket="progress")
    large, small = tmp_path / "large.bin", tmp_path / "small.txt"
    large.write_bytes(bytes(20_000_000))
    small.write_text("one\n")
    page = new_page()
    page.goto("/buckets/progress")
    words = (
        "(window.said = []) && new MutationObserver(() => window.said.push(document.querySelector('progress').value))"
    )
    page.evaluate(
        f"{words}.observe(document.querySelector('[data-upload-state]'), {{subtree: true, attributes: true}})"
    )
    page.evaluate("window.addEventListener('pagehide', () => sessionStorage.setItem('said', JSON.stringify(said)))")
    page.get_by_label("Files").set_input_files([large, small])
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("link", name="large.bin")).to_be_visible()
    expect(page.get_by_role("link", name="small.txt")).to_be_visible()
    said = page.evaluate("JSON.parse(sessionStorage.getItem('said'))")
    assert said[-1] == 100
    page.get_by_label("Into folder").fill("")
    page.get_by_label("Files").set_input_files(small)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("[data-upload-state]")).to_contain_text("small.txt is there already")
    expect(page.get_by_role("button", name="Upload")).to_be_enabled()
