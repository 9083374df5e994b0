"""Forms as browsers send them."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from zerostart.errors import InvalidField, InvalidInput, UnsupportedContentType, ZerostartError, shortened
from zerostart.serving.http import read_body

FORM_TOKEN = "form_token"  # noqa: S105 - the field's name
_FORM_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 5000  # a page may have a tick for each thing that exists


class ForeignForm(ZerostartError):
    """A form that did not come from this server's own page, or from one of another session."""


async def read_form(request: Request, limit_bytes: int) -> Mapping[str, str]:
    """The fields by their names. Raises BodyTooLarge, UnsupportedContentType and InvalidInput."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await read_body(request, limit_bytes)
    if kind != _FORM_TYPE and body:
        raise UnsupportedContentType(f"A form of type {shortened(kind)} is not read here: send {_FORM_TYPE}.")
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise InvalidInput(f"The form cannot be read: {error}") from error


def check_origin(request: Request) -> None:
    """Raise ForeignForm if a browser says that another site sent this."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    same = urlsplit(origin).netloc == request.headers.get("host") if origin is not None else site == "same-origin"
    if not same:
        raise ForeignForm("This form was sent by another site, so nothing was done: use the form on the page itself.")


def whole_number(form: Mapping[str, str], name: str, shown: str) -> int:
    """A field that holds a whole number. Raises InvalidField."""
    value = form.get(name, "").strip()
    if not (value.isascii() and value.lstrip("-").isdecimal() and len(value) < 10):
        raise InvalidField(name, f"{shown} is {shortened(value)}: give a whole number.")
    return int(value)
