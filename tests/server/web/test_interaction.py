"""What the pages' scripts add, in a real browser: chips, many texts, files, a carousel, the hub as one types."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.processes import BUILTIN, wait_for

TEXT = "One day I will see the world"
MODEL = f"/hub/models/{BUILTIN}"


def paste(page: Page, text: str) -> None:
    """Into what has the focus."""
    page.evaluate(
        """text => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text", text);
          const pasted = new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true});
          document.activeElement.dispatchEvent(pasted);
        }""",
        text,
    )


def test_labels_are_chips_that_are_added_removed_and_pasted(new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto("/endpoints/shared")
    page.locator("[name=text]").fill(TEXT)
    typed, chips = page.get_by_role("textbox", name="Labels"), page.locator("#chips li")
    typed.press_sequentially("travel")
    expect(page.locator(".score-name")).to_have_text(["travel"])  # what is being typed counts
    typed.press("Enter")
    typed.press_sequentially("cooking,danc")
    expect(chips).to_have_text(["travel", "cooking"])
    typed.press_sequentially("ing")
    typed.press("Enter")
    expect(page.locator(".score")).to_have_count(3)
    page.get_by_role("button", name="Remove cooking").click()
    expect(page.get_by_role("button", name="Remove dancing")).to_be_focused()
    expect(page.locator(".score")).to_have_count(2)
    typed.focus()
    typed.press("Backspace")
    expect(chips).to_have_text(["travel"])
    paste(page, "food, and drink\nsport\ntravel\n")
    expect(chips).to_have_text(["travel", "food, and drink", "sport"])
    expect(page.locator(".score.top .score-name")).to_have_text("travel")
    expect(page.locator(".score")).to_have_count(3)
    page.wait_for_url(re.compile("sport"))
    page.reload()
    expect(chips).to_have_text(["travel", "food, and drink", "sport"])
    page.get_by_label("Several labels may fit").check()
    page.wait_for_url(re.compile("multi=on"))
    expect(page.get_by_role("combobox", name="Scorer")).to_have_count(1)  # the built-in model has two views
    with page.expect_request(re.compile("/playground$"), timeout=10_000):
        page.locator("[name=text]").press_sequentially("!")


def test_many_texts_are_classified_at_once_from_a_file_too_and_downloaded(
    new_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = new_page()
    page.goto("/endpoints/shared")
    page.get_by_role("link", name="Many texts").click()
    file = tmp_path / "reviews.csv"
    file.write_text(
        'id,review\n1,"The plane leaves at six, and\nwe go to Rome"\n2,=Whisk the eggs\n3,"He said ""hi"""\n'
    )
    page.get_by_label("Or a file").set_input_files(file)
    expect(page.get_by_text("3 texts from the column “review” of reviews.csv are here.")).to_be_visible()
    expect(page.get_by_label("Texts")).to_have_value(
        'The plane leaves at six, and we go to Rome\n=Whisk the eggs\nHe said "hi"'
    )
    page.get_by_role("textbox", name="Labels").press_sequentially("travel, cooking, =politics")
    page.get_by_role("button", name="Classify").click()
    expect(page.get_by_role("heading", name="3 texts")).to_be_visible()
    rows = page.locator(".texts-table tbody tr")
    expect(rows.nth(0).get_by_role("rowheader")).to_have_text("travel")
    expect(rows.nth(1).get_by_role("rowheader")).to_have_text("cooking")
    rows.nth(0).get_by_text("Show").click()
    expect(rows.nth(0)).to_contain_text("cooking ")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename == "scores.csv"
    table = list(csv.reader(io.StringIO(download.value.path().read_text("utf-8"))))
    assert table[0] == ["text", "label", "score", "travel", "cooking", "'=politics"]
    assert [row[1] for row in table[1:3]] == ["travel", "cooking"]
    assert table[2][0] == "'=Whisk the eggs"
    assert all(row[2] == max(row[3:]) for row in table[1:])

    for name, content, said in (
        ("a.jsonl", '{"text": "one"}\n"two"\n', "2 texts of a.jsonl are here."),
        ("a.txt", "\n".join(map(str, range(600))), "a.txt has 600 texts: the first 500 of them are here."),
        ("one.csv", "a single line, and no more", "1 text of one.csv is here."),
        ("objects.jsonl", '{"id": 1, "note": "one"}\n{"id": 2}', "Line 2 has no text."),
        ("empty.csv", "\n", "It has no text."),
        ("broken.jsonl", '{"text": "one"}\nno\n', "broken.jsonl cannot be read. Line 2 is not JSON"),
        ("large.txt", "x" * 1_000_001, "It is larger than 1 MB"),
    ):
        (tmp_path / name).write_text(content)
        page.get_by_label("Or a file").set_input_files(tmp_path / name)
        expect(page.get_by_text(said)).to_be_visible()


def test_the_carousel_scrolls_by_arrows_and_keys(new_page: Callable[..., Page]) -> None:
    page = new_page(viewport={"width": 1000, "height": 900}, reduced_motion="reduce")
    row = page.locator(".carousel")

    def wait_until_scrolled(condition: Callable[[float], bool]) -> None:
        wait_for(lambda: condition(row.evaluate("row => row.scrollLeft")))

    wait_until_scrolled(lambda left: left == 0)
    page.get_by_role("link", name="Last models").click()
    wait_until_scrolled(lambda left: left > 200)
    page.get_by_role("link", name="First models").click()
    wait_until_scrolled(lambda left: left == 0)
    row.focus()
    page.keyboard.press("ArrowRight")
    wait_until_scrolled(lambda left: left > 0)
    row.get_by_role("link").last.focus()
    expect(row.get_by_role("link").last).to_be_in_viewport()


def test_the_hub_follows_filters_keeps_them_in_its_address_and_says_how_many_there_are(
    new_page: Callable[..., Page],
) -> None:
    page = new_page()
    page.goto("/hub")
    status = page.locator("#found [role=status]")
    page.evaluate("window.kept = document.querySelector('#found [role=status]')")
    page.get_by_label("Language").select_option("Turkish")
    page.wait_for_url("**/hub?language=tr")
    page.get_by_label("Licence").select_option("MIT")
    page.get_by_label("Sort").select_option("Name")
    page.wait_for_url("**/hub?language=tr&licence=MIT&sort=name")
    names = page.locator(".model-card .card-title")
    shown = names.all_inner_texts()
    assert shown == sorted(shown, key=str.lower)
    expect(status).to_have_text(f"{len(shown)} models found")
    assert page.evaluate("window.kept.isConnected")  # a status that is replaced is not read out
    page.reload()
    expect(page.get_by_label("Licence")).to_have_value("MIT")
    expect(names).to_have_text(shown)
    page.get_by_label("On this machine").check()
    expect(page.get_by_text("No model is like that")).to_be_visible()
    page.get_by_role("link", name="Show all models").click()
    expect(names).to_have_count(30)
    page.get_by_role("link", name="Show more").click()
    page.wait_for_url("**/hub?shown=60")
    expect(page.get_by_role("link", name="Show more")).to_have_count(0)
    assert names.count() > 50


def test_examples_are_tried_on_the_models_page(new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto(MODEL)
    page.get_by_role("link", name=re.compile("Try.*A headline")).click()
    expect(page.locator(".try-example.shown .score.top .score-name")).to_have_text("economy")
    assert page.url.endswith(MODEL)  # in its place
    page.get_by_role("link", name="Open in the playground").click()
    expect(page.locator(".score.top .score-name")).to_have_text("economy")


def test_the_landing_page_follows_what_runs(new_page: Callable[..., Page]) -> None:
    page = new_page()
    card = page.locator(".run-card", has_text="shared")
    expect(card).to_contain_text("MB")
    other = page.context.new_page()
    other.goto(f"/endpoints/shared?text={TEXT}&labels=travel")
    expect(card).to_contain_text(re.compile("Last asked\\s*(now|[0-9]+ s ago)"), timeout=15_000)
