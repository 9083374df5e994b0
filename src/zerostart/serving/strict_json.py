"""JSON as the standard has it: numbers are finite, keys stand once in an object, a wrong member is told by its path."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NoReturn

from zerostart.errors import InvalidInput, shortened
from zerostart.nli.labels import describe

Path = tuple[str | int, ...]
Wrong = Literal["missing", "unknown", "invalid"]


class InvalidMember(InvalidInput):
    """A member of a document is missing, unknown, or has a value that it cannot have; `path` leads to it."""

    def __init__(self, path: Path, message: str, wrong: Wrong = "invalid", value: Any = None) -> None:
        super().__init__(message)
        self.path = path
        self.wrong = wrong
        self.value = value


class Members:
    """The members of an object, taken one by one; `close` refuses what was not taken. Raises InvalidMember."""

    def __init__(self, value: Any, path: Path = (), *, form: str = "an object") -> None:
        if not isinstance(value, Mapping):
            raise InvalidMember(path, f"{named(path)} is {describe(value)}: send {form}.", value=value)
        self.path = path
        self._left = dict(value)
        self._known: list[str] = []

    def take(self, name: str, default: Any = None) -> Any:
        """The value of a member; null is as if it was not there."""
        self._known.append(name)
        value = self._left.pop(name, None)
        return default if value is None else value

    def required(self, name: str) -> Any:
        """The value of a member that has to be there."""
        there = name in self._left
        value = self.take(name)
        if value is None and not there:
            raise InvalidMember((*self.path, name), f"{named((*self.path, name))} is missing: send it.", "missing")
        return value

    def text(self, name: str, *, blank: bool = False) -> str:
        """The string of a member that has to be there."""
        return text(self.required(name), (*self.path, name), blank=blank)

    def optional_text(self, name: str, *, blank: bool = True) -> str | None:
        """The string of a member, None where it is not there."""
        value = self.take(name)
        return None if value is None else text(value, (*self.path, name), blank=blank)

    def one_of(self, name: str, values: Sequence[str]) -> str:
        """The string of a member that has to be one of `values`."""
        value, path = self.required(name), (*self.path, name)
        if value not in values:
            shown_values = ", ".join(map(repr, values))
            raise InvalidMember(path, f"{named(path)} is {describe(value)}: send one of {shown_values}.", value=value)
        return str(value)

    def array(self, name: str, least: int, most: int) -> list[tuple[Path, Any]]:
        """The elements of a member that has to be there, each with its path, if there are `least` to `most`."""
        path = (*self.path, name)
        return elements(self.required(name), path, least, most)

    def close(self) -> None:
        """Refuse a member that nobody took."""
        for name, value in self._left.items():
            path = (*self.path, name)
            known = ", ".join(self._known)
            raise InvalidMember(
                path, f"{named(path)} is not known here: leave it out. Known: {known}.", "unknown", value
            )


def elements(value: Any, path: Path, least: int, most: int) -> list[tuple[Path, Any]]:
    """The elements of an array, each with its path, if there are `least` to `most`. Raises InvalidMember."""
    if not isinstance(value, list):
        raise InvalidMember(path, f"{named(path)} is {describe(value)}: send an array.", value=value)
    check_count(len(value), path, least, most)
    return [((*path, place), each) for place, each in enumerate(value)]


def check_count(count: int, path: Path, least: int, most: int) -> None:
    """Raise InvalidMember unless there are `least` to `most`."""
    if not least <= count <= most:
        raise InvalidMember(path, f"{named(path)} has {count}: send {least} to {most}.")


def text(value: Any, path: Path, *, blank: bool = False) -> str:
    """`value` if it is a string of valid Unicode, and not blank where it must not be. Raises InvalidMember."""
    if not isinstance(value, str):
        raise InvalidMember(path, f"{named(path)} is {describe(value)}: send a string.", value=value)
    if not blank and not value.strip():
        raise InvalidMember(path, f"{named(path)} is {shortened(value)}: send a text that is not blank.", value=value)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        message = f"{named(path)} holds half of a surrogate pair at character {error.start}: send valid Unicode."
        raise InvalidMember(path, message) from None
    return value


def shown(path: Path) -> str:
    """A path as people write it: questions[0].choices[2].value."""
    written = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return written.removeprefix(".").encode("utf-8", "replace").decode()


def named(path: Path) -> str:
    """A path in a message."""
    return f"'{shown(path)[:200]}'" if path else "The request"


def read_json(body: bytes, what: str) -> Any:
    """The document in `body`. Raises InvalidInput, of which `what` is the subject."""
    try:
        return json.loads(
            body.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_object
        )
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{what} is not UTF-8 at byte {error.start}: send JSON in UTF-8.") from None
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInput(f"{what} is not valid JSON ({reason}): send one JSON object in UTF-8.") from None


def written_json(document: Any) -> bytes:
    """The document without spaces, in UTF-8."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(members)
    if len(document) != len(members):
        names = [name for name, _ in members]
        raise ValueError(
            f"the key {shortened(next(n for n in names if names.count(n) > 1))} stands twice in one object"
        )
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"the number {text[:40]} is too large")
    return number
