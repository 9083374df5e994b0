"""What is read of messages, parts, tools and JSON; and what is wrong with them."""

from typing import Any

import pytest

from zerostart.server.decisions.premise import Premise, flattened, instructions_of, premise_of, text_of
from zerostart.serving.strict_json import InvalidMember, shown


def read(value: Any) -> str:
    found = premise_of(value, ("input",))
    assert not found.has_image
    return found.text


def wrong(value: Any) -> tuple[str, str]:
    """The path and the message."""
    with pytest.raises(InvalidMember) as caught:
        premise_of(value, ("input",))
    return shown(caught.value.path), str(caught.value)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_a_message_of_the_user_alone_is_read_as_a_string_is() -> None:
    assert read("It broke.") == "It broke."
    assert read([user("It broke.")]) == "It broke."
    assert read([{**user([{"type": "input_text", "text": "It broke."}]), "type": "message"}]) == "It broke."


def test_a_conversation_says_who_speaks() -> None:
    spoken = [
        {"role": "system", "content": "You help."},
        {"role": "developer", "content": [{"type": "input_text", "text": "Be short."}]},
        user("It broke."),
        {"role": "assistant", "phase": "final_answer", "content": [{"type": "output_text", "text": "Since when?"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot help."}]},
    ]
    assert read(spoken).split("\n") == [
        "System: You help.",
        "Developer: Be short.",
        "User: It broke.",
        "Assistant: Since when?",
        "Assistant: I cannot help.",
    ]


def test_json_is_read_as_lines() -> None:
    order = {"id": 12, "paid": True, "note": None, "tags": ["new", "urgent"], "items": [{"name": "Chair", "n": 2.5}]}
    part = {"type": "input_json", "data": {"order": order, "empty": {}}}
    assert read([user([{"type": "input_text", "text": "My order:"}, part])]).split("\n") == [
        "My order:",
        "order.id: 12",
        "order.paid: true",
        "order.note: none",
        "order.tags: new, urgent",
        "order.items[0].name: Chair",
        "order.items[0].n: 2.5",
        "empty: none",
    ]
    assert flattened([{"a": 1}, {"a": 2, "b": [[1, 2], 3]}]) == "a: 1\n\na: 2\nb[0]: 1, 2\nb[1]: 3"
    assert text_of(["one", "two"], ("state",)) == "one, two"


def test_outputs_of_tools_are_told_by_the_name_that_their_call_had() -> None:
    items = [
        user("Where is my order?"),
        {"type": "function_call", "call_id": "c1", "name": "find_order", "arguments": '{"id": 12, "deep": {"a": []}}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "search", "input": "order 12"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "nothing"}]},
        {"type": "function_call_output", "call_id": "c1", "status": "completed", "output": '{"state": "lost"}'},
    ]
    assert read(items).split("\n") == [
        "User: Where is my order?",
        "Call of find_order: id: 12; deep.a: none",
        "Call of search: order 12",
        "Result of search: nothing",
        "Result of find_order: state: lost",
    ]


CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "x"}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}


@pytest.mark.parametrize(
    ("value", "path", "says"),
    [
        (12, "input", "send a string, or an array of messages"),
        ("  ", "input", "not blank"),
        ([], "input", "has 0"),
        ([user("")], "input", "not blank"),
        ([user("x"), OUTPUT], "input[1].call_id", "no function_call before it has that call_id"),
        ([OUTPUT, CALL], "input[0].call_id", "no function_call before it"),
        ([CALL, {**OUTPUT, "type": "custom_tool_call_output"}], "input[1].call_id", "no custom_tool_call before it"),
        ([CALL, CALL], "input[1].call_id", "which another call has"),
        ([{"role": "robot", "content": "x"}], "input[0].role", "'user', 'developer', 'system', 'assistant'"),
        ([{"role": "user"}], "input[0].content", "is missing"),
        ([{"type": "thought"}], "input[0].type", "send one of 'message'"),
        ([{**user("x"), "name": "Ann"}], "input[0].name", "is not known here"),
        ([user([{"type": "input_text"}])], "input[0].content[0].text", "is missing"),
        ([user([{"type": "output_text", "text": "x"}])], "input[0].content[0].type", "'input_json'"),
        ([{"role": "system", "content": [IMAGE]}], "input[0].content[0].type", "send one of 'input_text'"),
        ([user([{"type": "input_json", "data": "x"}])], "input[0].content[0].data", "send an object"),
        ([user("half \ud800 pair")], "input[0].content", "surrogate"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(value: Any, path: str, says: str) -> None:
    where, message = wrong(value)
    assert where == path
    assert says in message


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"a": 1}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_json_has_openais_limits() -> None:
    def part(data: Any) -> list[Any]:
        return [user([{"type": "input_json", "data": data}])]

    assert read(part(nested(32))).endswith("a: 1")
    assert "at most 32 levels" in wrong(part(nested(33)))[1]
    assert "10000 values" in wrong(part({"a": [0] * 10_000}))[1]
    assert "the limit is 262144" in wrong(part({"a": "x" * 262_144}))[1]


def test_a_tools_json_that_is_nested_without_end_is_read_as_it_is_written() -> None:
    deep = "[" * 900 + "1" + "]" * 900
    assert "1" in read([{**CALL, "arguments": deep}])


def test_images_are_noticed_wherever_they_stand() -> None:
    assert premise_of([user([IMAGE])], ("input",)) == Premise("", has_image=True)
    assert premise_of([user("x"), user([{"type": "input_text", "text": "y"}, IMAGE])], ()).has_image
    assert premise_of([CALL, {**OUTPUT, "output": [IMAGE]}], ()).has_image
    assert instructions_of([IMAGE, {"type": "input_text", "text": "Is it this?"}], ()) == Premise("Is it this?", True)
