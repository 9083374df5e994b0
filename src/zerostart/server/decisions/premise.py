"""The premise: what a model reads of an input that is more than a string. Nothing of it is left out without a word.

- A string is read as it is, and so is the content of a message of the user that stands alone.
- Of several items each begins a new line, in their order, and a message begins with who speaks: `User: `,
  `Assistant: `, `System: `, `Developer: `.
- The parts of a message follow each other, each on a line of its own. What an assistant refused is read as its words.
- JSON is read as one line a value, after the way to it: `order.items[0].name: Chair`. Plain values of an array share a
  line (`tags: new, urgent`), null and what is empty is `none`, and the objects of an outermost array are set apart by
  a blank line.
- A tool's call is `Call of NAME: ` and its arguments, the output `Result of NAME: `, where NAME is that of the call
  with the same `call_id`, which has to stand before. Arguments and outputs that are JSON are read so, on one line.
- Images are not read: a text model cannot answer for them, and every question about such an input is refused.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zerostart.nli.labels import describe
from zerostart.serving.strict_json import InvalidMember, Members, Path, elements, named, text

# OpenAI's limits of a JSON part.
_MAX_LEVELS = 32
_MAX_VALUES = 10_000
_MAX_JSON_BYTES = 256 * 1024
_MAX_ITEMS = 10_000
_TEXT_PARTS = ("input_text",)
_PARTS_OF_ROLES = {
    "user": ("input_text", "input_image", "input_json"),
    "developer": _TEXT_PARTS,
    "system": _TEXT_PARTS,
    "assistant": ("output_text", "refusal"),
}
_TOOL_PARTS = ("input_text", "input_image")
_QUESTION_PARTS = ("input_text", "input_image", "input_json")
# Of each kind of output the kind of call that it answers; of a call the member that has its arguments.
_CALLS = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}
_ARGUMENTS = {"function_call": "arguments", "custom_tool_call": "input"}


@dataclass(frozen=True)
class Premise:
    """What is read of an input, or of instructions, and whether there was an image, which is not."""

    text: str
    has_image: bool = False


def premise_of(value: Any, path: Path) -> Premise:
    """The premise of a string, or of an array of messages and tool calls. Raises InvalidMember."""
    if isinstance(value, str):
        return Premise(text(value, path))
    if not isinstance(value, list):
        message = f"{named(path)} is {describe(value)}: send a string, or an array of messages."
        raise InvalidMember(path, message, value=value)
    read = _Conversation()
    items = elements(value, path, 1, _MAX_ITEMS)
    spoken = [read.item(each, where, alone=len(items) == 1) for where, each in items]
    found = _joined(spoken)
    if not found.has_image:
        text(found.text, path)
    return found


def instructions_of(value: Any, path: Path) -> Premise:
    """What is read of a question's instructions, a string or parts. Raises InvalidMember."""
    return _content(value, path, _QUESTION_PARTS, breakpoints=False)


def text_of(value: Any, path: Path) -> str:
    """What is read of a string, or of an object or array. Raises InvalidMember."""
    if isinstance(value, str):
        return text(value, path, blank=True)
    if not isinstance(value, Mapping | list):
        message = f"{named(path)} is {describe(value)}: send a string, an object or an array."
        raise InvalidMember(path, message, value=value)
    _check_json(value, path)
    return text(flattened(value), path, blank=True)


def flattened(value: Any) -> str:
    """JSON as lines of text."""
    if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        return "\n\n".join(flattened(each) for each in value)
    return "\n".join(_lines(value, ""))


class _Conversation:
    """Reads items in order, and knows the calls that outputs belong to: their kinds and names."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[str, str]] = {}

    def item(self, value: Any, path: Path, *, alone: bool) -> Premise:
        members = Members(value, path)
        kind = members.take("type", "message")
        if kind == "message":
            found = self._message(members, alone=alone)
        elif kind in _ARGUMENTS:
            found = self._call(members, kind)
        elif kind in _CALLS:
            found = self._output(members, kind)
        else:
            known = ", ".join(map(repr, ("message", *_ARGUMENTS, *_CALLS)))
            where = (*path, "type")
            raise InvalidMember(where, f"{named(where)} is {describe(kind)}: send one of {known}.", value=kind)
        members.close()
        return found

    @staticmethod
    def _message(members: Members, *, alone: bool) -> Premise:
        role = members.one_of("role", tuple(_PARTS_OF_ROLES))
        if role == "assistant":
            members.take("phase")
        content = _content(members.required("content"), (*members.path, "content"), _PARTS_OF_ROLES[role])
        if alone and role == "user":
            return content
        return Premise(f"{role.capitalize()}: {content.text}", content.has_image)

    def _call(self, members: Members, kind: str) -> Premise:
        call_id, name = members.text("call_id"), members.text("name")
        given = members.text(_ARGUMENTS[kind], blank=True)
        for ignored in ("id", "namespace", "status"):
            members.take(ignored)
        if call_id in self._calls:
            path = (*members.path, "call_id")
            raise InvalidMember(path, f"{named(path)} is {describe(call_id)}, which another call has: send each once.")
        self._calls[call_id] = kind, name
        return Premise(f"Call of {name}: {_on_one_line(given)}")

    def _output(self, members: Members, kind: str) -> Premise:
        call_id = members.text("call_id")
        for ignored in ("id", "status"):
            members.take(ignored)
        called, name = self._calls.get(call_id, ("", ""))
        path = (*members.path, "call_id")
        if called != _CALLS[kind]:
            message = (
                f"{named(path)} is {describe(call_id)}, and no {_CALLS[kind]} before it has that call_id: send both."
            )
            raise InvalidMember(path, message, value=call_id)
        output = _content(members.required("output"), (*members.path, "output"), _TOOL_PARTS)
        return Premise(f"Result of {name}: {_on_one_line(output.text)}", output.has_image)


def _content(value: Any, path: Path, kinds: Sequence[str], *, breakpoints: bool = True) -> Premise:
    """What is read of a string, or of parts of the given kinds."""
    if isinstance(value, str):
        return Premise(text(value, path, blank=True))
    if not isinstance(value, list):
        raise InvalidMember(
            path, f"{named(path)} is {describe(value)}: send a string, or an array of parts.", value=value
        )
    parts = elements(value, path, 1, _MAX_ITEMS)
    return _joined([_part(each, where, kinds, breakpoints=breakpoints) for where, each in parts])


def _part(value: Any, path: Path, kinds: Sequence[str], *, breakpoints: bool) -> Premise:
    members = Members(value, path)
    kind = members.one_of("type", kinds)
    if breakpoints and kind in {"input_text", "input_image"}:
        members.take("prompt_cache_breakpoint")
    if kind == "input_image":
        members.text("image_url")
        members.take("detail")
        found = Premise("", has_image=True)
    elif kind == "input_json":
        found = Premise(_json_part(members.required("data"), (*path, "data")))
    else:
        found = Premise(members.text("refusal" if kind == "refusal" else "text", blank=True))
    members.close()
    return found


def _json_part(value: Any, path: Path) -> str:
    objects = value if isinstance(value, list) else [value]
    if not all(isinstance(each, Mapping) for each in objects):
        message = f"{named(path)} is {describe(value)}: send an object, or an array of objects."
        raise InvalidMember(path, message, value=value)
    _check_json(value, path)
    return text(flattened(value), path, blank=True)


def _check_json(value: Any, path: Path) -> None:
    """Raise InvalidMember for more levels, values or bytes than a JSON part may have."""
    level, count, waiting = 0, 0, [value]
    while waiting:
        level += any(isinstance(each, Mapping | list) for each in waiting)
        count += len(waiting)
        if level > _MAX_LEVELS or count > _MAX_VALUES:
            limits = f"at most {_MAX_LEVELS} levels and {_MAX_VALUES} values"
            raise InvalidMember(path, f"{named(path)} is too large: send JSON of {limits}.")
        inner = (each.values() if isinstance(each, Mapping) else each for each in waiting if _is_container(each))
        waiting = [each for values in inner for each in values]
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
    if size > _MAX_JSON_BYTES:
        raise InvalidMember(path, f"{named(path)} has {size} bytes as JSON; the limit is {_MAX_JSON_BYTES}: send less.")


def _is_container(value: Any) -> bool:
    return isinstance(value, Mapping | list)


def _lines(value: Any, way: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from _lines(each, f"{way}.{name}" if way else str(name))
    elif isinstance(value, list) and any(map(_is_container, value)):
        for place, each in enumerate(value):
            yield from _lines(each, f"{way}[{place}]")
    else:
        yield f"{way}: {_plain(value)}" if way else _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or value in ([], {}):
        return "none"
    return ", ".join(map(_plain, value)) if isinstance(value, list) else json.dumps(value)


def _on_one_line(written: str) -> str:
    """What a tool was given or gave; JSON without its braces."""
    try:
        value = json.loads(written)
        return "; ".join(_lines(value, "")) if _is_container(value) else written
    except (ValueError, RecursionError):
        return written


def _joined(premises: Sequence[Premise]) -> Premise:
    read = "\n".join(each.text for each in premises if each.text)
    return Premise(read, any(each.has_image for each in premises))
