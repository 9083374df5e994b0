"""The solution's CSV files: the real one's columns, the usual clean-up, and errors that say what to mend."""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest

from zerostart.errors import InvalidInput, NotFound
from zerostart.solutions.labelled_csv import LARGEST_BYTES, cleaned_text, read_labelled_csv
from zerostart.solutions.launchable import SOLUTIONS, solution_of

SOLUTION = solution_of("zero-shot-text-classification")
REAL = Path("../shared/data/cls/new_years_resolutions.test.jsonl.gz")
HEADER = "other_topic,Resolution_Category,retweet_count,text,tweet_id\n"


def read(content: str | bytes) -> list[tuple[str, str]]:
    encoded = content.encode() if isinstance(content, str) else content
    return [(row.label, row.text) for row in read_labelled_csv(encoded, SOLUTION, "mine.csv").rows]


def refused(content: str | bytes) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(content)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("RT @sam: Lose 5 kg &amp; run http://t.co/xYz1 #NewYear", "Lose 5 kg & run #NewYear"),
        ("more &amp;lt;3 from\n  @a_b   and\tme\u200b ", "more <3 from and me"),
        ("pic.twitter.com/abc see www.example.org/x?y=1 now", "see now"),
        ("mail me at sam@example.org", "mail me at sam@example.org"),
        ("ARTS more", "ARTS more"),
        ("@sam https://t.co/x", ""),
    ],
)
def test_links_handles_entities_and_white_space_go(written: str, cleaned: str) -> None:
    assert cleaned_text(written) == cleaned
    assert cleaned_text(cleaned) == cleaned


def test_the_columns_of_the_real_file_are_read_and_two_are_written_again() -> None:
    content = HEADER + ',Finance,2,"Save, and ""spend"" less http://t.co/a",1\n,health &amp; fitness ,0,Run @sam,2\n'
    found = read_labelled_csv(content.encode(), SOLUTION, "mine.csv")
    assert found.csv(SOLUTION).decode().splitlines() == [
        "Resolution_Category,text",
        'Finance,"Save, and ""spend"" less"',
        "Health & Fitness,Run",
    ]
    assert read(found.csv(SOLUTION)) == [(row.label, row.text) for row in found.rows]


def test_rows_without_text_or_category_are_left_out_and_counted() -> None:
    content = HEADER + ",Career,0,@sam http://t.co/a,1\n,,0,Read,2\n\n,Humor,0,Laugh,4\n"
    found = read_labelled_csv(content.encode(), SOLUTION, "mine.csv")
    assert [row.text for row in found.rows] == ["Laugh"]
    assert found.left_out == {"no text": 1, "no category": 1}


def test_files_of_spreadsheets_are_read() -> None:
    text = 'text,Resolution_Category\r\n"Don\N{RIGHT SINGLE QUOTATION MARK}t worry, é",Humor\r\n'
    for encoding in ("utf-8", "utf-8-sig", "cp1252"):
        assert read(text.encode(encoding)) == [("Humor", "Don\N{RIGHT SINGLE QUOTATION MARK}t worry, é")]


def test_what_is_wrong_is_named_with_its_place() -> None:
    assert "row 2: Resolution_Category is 'Cats', which is none of the categories Health & Fitness, Humor" in refused(
        HEADER + ",Humor,0,a,1\n,Cats,0,b,2\n"
    )
    assert "mine.csv has no column 'text', but 'tweet', 'Resolution_Category'" in refused(
        "tweet,Resolution_Category\na,b\n"
    )
    assert "no column 'Resolution_Category', but 'text'" in refused("text\na\n")
    assert "row 1: it has 2 columns, and the header 5" in refused(HEADER + "a,b\n")
    assert "near row 1: it is not CSV" in refused('text,Resolution_Category\n"open,Humor\n')
    assert "no column" in refused("")
    assert "no row has a text and a category" in refused("text,Resolution_Category\n")
    assert "not text: save it as CSV" in refused(b"PK\x03\x04\0\0")
    assert "at most" in refused(b"a" * (LARGEST_BYTES + 1))


def test_the_shipped_sample_is_clean_already_and_has_every_category() -> None:
    content = SOLUTION.sample.read_bytes()
    found = read_labelled_csv(content, SOLUTION, "the sample")
    assert found.csv(SOLUTION) == content
    assert len(found.rows) >= 200
    assert {row.label for row in found.rows} == set(SOLUTION.labels)


def test_the_real_tweets_are_all_read() -> None:
    if not REAL.exists():
        pytest.skip("the evaluation data is not here")
    names = {wording: name for name, wording in SOLUTION.labels.items()}
    lines = gzip.decompress(REAL.read_bytes()).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(["text", "Resolution_Category"])
    writer.writerows([row["text"], names[row["label"]]] for row in rows)
    found = read_labelled_csv(written.getvalue().encode(), SOLUTION, "tweets")
    assert len(found.rows) + sum(found.left_out.values()) == len(rows)
    assert len(found.rows) > 0.99 * len(rows)
    assert not any("http://" in row.text or "&amp;" in row.text for row in found.rows)


def test_solutions_are_known_by_name() -> None:
    assert [each.name for each in SOLUTIONS] == ["zero-shot-text-classification"]
    with pytest.raises(NotFound, match="'other': choose zero-shot-text-classification"):
        solution_of("other")
