"""The shipped New Year's resolutions: enough of each category, all different, and none of the real ones."""

import csv
import gzip
import json
import re
from collections import Counter
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import pytest

REAL = Path(__file__).parents[3] / "shared" / "data" / "cls" / "new_years_resolutions.test.jsonl.gz"
SHIPPED = (files("zerostart.solutions.zero_shot_text_classification") / "resolutions.csv").read_bytes()
ROWS = [(row["Resolution_Category"], row["text"]) for row in csv.DictReader(SHIPPED.decode().splitlines())]
CATEGORIES = {
    *("Health & Fitness", "Humor", "Personal Growth", "Philanthropic", "Recreation & Leisure", "Career", "Finance"),
    *("Family/Friends/Relationships", "Education/Training", "Time Management/Organization"),
}


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def runs(text: str, length: int) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[first : first + length]) for first in range(len(found) - length + 1)}


def shared_words(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


def test_each_category_has_enough_texts_and_they_differ_in_number() -> None:
    counts = Counter(category for category, _ in ROWS)
    assert set(counts) == CATEGORIES
    assert len(ROWS) >= 240
    assert all(18 <= count <= 30 for count in counts.values())
    assert len(set(counts.values())) >= 7


def test_no_two_texts_are_alike_and_all_are_as_long_as_a_post() -> None:
    for (_, one), (_, other) in combinations(ROWS, 2):
        assert shared_words(set(words(one)), set(words(other))) < 0.5, (one, other)
        assert not runs(one, 6) & runs(other, 6), (one, other)
    lengths = sorted(len(text) for _, text in ROWS)
    assert lengths[0] < 30
    assert 100 < lengths[-1] <= 140


def test_texts_have_no_links_or_handles_and_read_alike_in_every_encoding() -> None:
    assert SHIPPED.isascii()  # notebooks read it as UTF-8 or as Latin-1
    for _, text in ROWS:
        assert not re.search(r"https?:|www\.|@\w", text), text
        assert text == " ".join(text.split())


@pytest.mark.skipif(not REAL.exists(), reason="the real resolutions are not beside the project")
def test_no_text_is_one_of_the_real_resolutions() -> None:
    with gzip.open(REAL, "rt") as file:
        real = [json.loads(line)["text"] for line in file]
    theirs = set().union(*(runs(text, 8) for text in real))
    their_words = [set(words(text)) - {"newyearsresolution"} for text in real]
    plain = {" ".join(words(text)) for text in real}
    for _, text in ROWS:
        assert " ".join(words(text)) not in plain
        assert not runs(text, 8) & theirs, text
        own = set(words(text))
        assert max(shared_words(own, each) for each in their_words) < 0.6, text
