"""Many texts to one endpoint: what comes back, what is too much, and what a spreadsheet is kept from."""

import csv
import io
import re

import pytest

from tests.server.web.conftest import Visitor
from zerostart.server.web.texts import defused, texts_of

PAGE = "/endpoints/shared/texts"
TEXTS = "The plane leaves at six\n\n  Whisk the eggs  \n"


def rows(page: str) -> list[list[str]]:
    found = re.findall(r"<tr>(<td.*?)</tr>", page, re.DOTALL)
    return [re.sub(r"<[^>]+>", "|", row).strip("|").split("|") for row in found]


def test_pasted_texts_come_back_as_a_table_without_javascript(admin: Visitor) -> None:
    admin.open(PAGE)
    assert "A table of the texts" in admin.page
    admin.send(PAGE, text=TEXTS, labels="travel, cooking", template="This text is about {}.")
    assert [(row[0], row[2]) for row in rows(admin.page)] == [
        ("The plane leaves at six", "travel"),
        ("Whisk the eggs", "cooking"),
    ]
    assert 'value="This text is about {}."' in admin.page
    assert "Download CSV" in admin.page


def test_the_download_has_every_score(admin: Visitor) -> None:
    admin.open(PAGE)
    response = admin.client.post(
        PAGE, data={"form_token": admin.form_token, "text": TEXTS, "labels": "travel\n+cooking", "format": "csv"}
    )
    assert response.headers["content-type"].startswith("text/csv")
    assert response.headers["content-disposition"] == 'attachment; filename="scores.csv"'
    table = list(csv.reader(io.StringIO(response.text)))
    assert table[0] == ["text", "label", "score", "travel", "'+cooking"]
    assert [row[:2] for row in table[1:]] == [["The plane leaves at six", "travel"], ["Whisk the eggs", "'+cooking"]]
    assert all(sum(map(float, row[3:])) == pytest.approx(1, abs=1e-5) for row in table[1:])


@pytest.mark.parametrize(
    ("text", "labels", "said"),
    [
        ("", "a", "at least one text and one label"),
        ("one", "", "at least one text and one label"),
        ("a\n" * 501, "a", "501 texts are too many for a page: give at most 500. For more, run a batch job"),
        ("a\n" * 100, ",".join(map(str, range(60))), "are 6,000 pairs, and a page takes 5,000"),
        ("a", ",".join(map(str, range(201))), "201 labels are too many"),
    ],
)
def test_limits_are_said(admin: Visitor, text: str, labels: str, said: str) -> None:
    admin.open(PAGE)
    assert said in admin.send(PAGE, text=text, labels=labels).text


def test_what_the_model_refuses_is_said_and_nothing_is_downloaded(admin: Visitor) -> None:
    admin.open(PAGE)
    asked = {"text": "one", "labels": "a", "template": "no place"}
    assert "write {} exactly once" in admin.send(PAGE, **asked).text
    assert "write {} exactly once" in admin.send(PAGE, **asked, format="csv").text
    assert admin.send("/endpoints/missing/texts", text="one", labels="a").status_code == 404
    assert admin.open("/endpoints/missing/texts").status_code == 404


def test_long_texts_and_markup_are_shown_as_they_were_and_short(admin: Visitor) -> None:
    admin.open(PAGE)
    admin.send(PAGE, text="<b>" + "word " * 200, labels="<i>one</i>,two")
    assert "&lt;b&gt;word" in admin.page
    assert "<i>one" not in admin.page
    assert len(rows(admin.page)[0][0]) < 330


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_are_defused(cell: str) -> None:
    assert defused(cell) == f"'{cell}"
    assert defused(f"a{cell}") == f"a{cell}"


def test_texts_are_lines() -> None:
    assert texts_of(TEXTS) == ["The plane leaves at six", "Whisk the eggs"]
