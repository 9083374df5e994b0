import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zerostart.nli.classification import ClassificationRequest, ranked
from zerostart.nli.labels import parse_labels


def request_of(counts: list[int]) -> ClassificationRequest:
    labels = tuple(parse_labels([f"label {i}" for i in range(count)]) for count in counts)
    return ClassificationRequest(tuple(f"text {i}" for i in range(len(counts))), labels, multi_label=True)


def test_pairs_count_each_text_with_its_own_labels() -> None:
    assert request_of([3, 1, 2]).pairs == 6


def test_labels_come_highest_score_first_with_ties_in_the_order_given() -> None:
    result = ranked("a text", parse_labels(["a", "b", "c"]), np.array([0.25, 0.5, 0.25]), None)
    assert result.labels == ("b", "a", "c")
    assert result.scores == (0.5, 0.25, 0.25)
    assert all(type(score) is float for score in result.scores)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 20))
def test_chunks_hold_all_texts_in_order_and_about_the_pairs_asked_for(counts: list[int], pairs: int) -> None:
    request = request_of(counts)
    chunks = list(request.chunks(pairs))
    assert tuple(text for chunk in chunks for text in chunk.texts) == request.texts
    assert tuple(labels for chunk in chunks for labels in chunk.labels) == request.labels
    assert all(chunk.pairs <= pairs or len(chunk.texts) == 1 for chunk in chunks)
    assert all(chunk.multi_label for chunk in chunks)
