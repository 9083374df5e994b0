from hypothesis import given
from hypothesis import strategies as st

from zerostart.nli.windows import premise_windows


def test_a_premise_that_fits_is_one_window() -> None:
    assert premise_windows(10, 10) == [slice(0, 10)]


def test_windows_overlap_by_a_quarter_and_the_last_ends_with_the_text() -> None:
    assert premise_windows(20, 8) == [slice(0, 8), slice(6, 14), slice(12, 20)]


@given(st.integers(0, 500), st.integers(1, 60))
def test_windows_cover_every_token_within_the_budget(tokens: int, budget: int) -> None:
    windows = premise_windows(tokens, budget)
    assert all(0 <= window.stop - window.start <= budget for window in windows)
    assert {i for window in windows for i in range(window.start, window.stop)} == set(range(tokens))
    assert len({window.start for window in windows}) == len(windows)
    assert windows[-1].stop == tokens
