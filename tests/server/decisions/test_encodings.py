"""Bodies that arrive compressed."""

import sys

import pytest

from zerostart.errors import BodyTooLarge, InvalidInput, UnsupportedContentType
from zerostart.server.decisions.encodings import decompressed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BODY = b'{"state": "' + b"a long text " * 100 + b'"}'


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_a_plain_body_is_itself(encoding: str) -> None:
    assert decompressed(BODY, encoding, 10) == BODY


def test_a_zstd_body_is_what_it_was() -> None:
    assert decompressed(zstd.compress(BODY), "ZSTD", len(BODY)) == BODY


def test_a_bomb_is_refused_without_being_unpacked() -> None:
    bomb = zstd.compress(b"0" * 100_000_000)
    assert len(bomb) < 20_000
    with pytest.raises(BodyTooLarge, match="over 1000 bytes decompressed"):
        decompressed(bomb, "zstd", 1000)


def test_broken_and_other_encodings_are_told() -> None:
    with pytest.raises(InvalidInput, match="is not zstd"):
        decompressed(BODY, "zstd", 10_000)
    with pytest.raises(InvalidInput, match="ends before its zstd frame does"):
        decompressed(zstd.compress(BODY)[:-5], "zstd", 10_000)
    with pytest.raises(UnsupportedContentType, match="'br' is not read"):
        decompressed(BODY, "br", 10_000)
