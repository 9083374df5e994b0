"""Compressed bodies: typesafe-sdk sends 1 KiB or more as zstd, where its Python has that (3.14, or an extra)."""

import sys

from zerostart.errors import BodyTooLarge, InvalidInput, UnsupportedContentType, shortened

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor, ZstdError
else:
    from backports.zstd import ZstdDecompressor, ZstdError


def decompressed(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """The body as it was before a Content-Encoding; empty is none.

    Raises BodyTooLarge as soon as it is over the limit, InvalidInput for another encoding and for what is broken.
    """
    if encoding.strip().lower() in {"", "identity"}:
        return body
    if encoding.strip().lower() != "zstd":
        raise UnsupportedContentType(
            f"Content-Encoding {shortened(encoding)} is not read: send the body plain, or zstd."
        )
    reader = ZstdDecompressor()
    try:
        content = reader.decompress(body, max_length=limit_bytes + 1)
    except ZstdError as error:
        raise InvalidInput(f"The body is not zstd, as its Content-Encoding says: {error}.") from None
    if len(content) > limit_bytes:
        raise BodyTooLarge(
            f"The body has over {limit_bytes} bytes decompressed, which is the limit (setting max_body_mb): send less."
        )
    if not reader.eof:
        raise InvalidInput("The body ends before its zstd frame does: send all of it.")
    return content
