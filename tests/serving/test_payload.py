import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from zerostart.errors import InvalidInput, UnsupportedAccept, UnsupportedContentType
from zerostart.nli.classification import Classification, ClassificationRequest, LongTextReport
from zerostart.serving.payload import JSON, JSON_LINES, decode, encode

GOOD: dict[str, Any] = {"inputs": "a text", "parameters": {"candidate_labels": ["a", "b"]}}


def dumped(document: Any) -> bytes:
    return json.dumps(document).encode()


def read(document: Any) -> ClassificationRequest:
    (request,) = decode(dumped(document), JSON, None).requests
    return request


def refusal(body: bytes, content_type: str | None = JSON) -> str:
    with pytest.raises(InvalidInput) as caught:
        decode(body, content_type, None)
    return caught.value.message


def test_both_request_forms_mean_the_same() -> None:
    hugging_face = {
        "inputs": ["one", "two"],
        "parameters": {"candidate_labels": "a, b", "multi_label": True, "hypothesis_template": "About {}."},
    }
    jumpstart = {
        "sequences": ["one", "two"],
        "candidate_labels": ["a", "b"],
        "multi_class": True,
        "hypothesis_template": "About {}.",
    }
    assert read(hugging_face) == read(jumpstart)
    assert read(jumpstart).multi_label
    assert read(jumpstart).template.text == "About {}."


def test_options_have_defaults() -> None:
    request = read(GOOD)
    assert (request.multi_label, request.long_text, request.template.text) == (False, "truncate", "This example is {}.")


def test_one_text_is_answered_by_an_object_and_a_list_by_a_list() -> None:
    result = Classification("a text", ("b", "a"), (0.75, 0.25))
    document = {"sequence": "a text", "labels": ["b", "a"], "scores": [0.75, 0.25]}
    for inputs, answer in (("a text", document), (["a text"], [document])):
        payload = decode(dumped(GOOD | {"inputs": inputs}), JSON, None)
        assert json.loads(encode(payload, [[result]])) == answer


def test_what_became_of_a_long_text_is_reported() -> None:
    result = Classification("a text", ("a",), (0.5,), LongTextReport("truncate", 1, 12))
    answer = json.loads(encode(decode(dumped(GOOD), JSON, None), [[result]]))
    assert answer["long_text"] == {"mode": "truncate", "windows": 1, "dropped_tokens": 12}


def test_text_is_answered_as_it_came() -> None:
    result = Classification("Zoë 日本 \u2028 🎉", ("a",), (0.5,))
    assert "Zoë 日本 \u2028 🎉".encode() in encode(decode(dumped(GOOD), JSON, None), [[result]])


def test_json_lines_hold_a_request_a_line_and_skip_blank_ones() -> None:
    payload = decode(dumped(GOOD) + b"\r\n\n" + dumped(GOOD | {"inputs": ["x", "y"]}) + b"\n", JSON_LINES, None)
    assert [request.texts for request in payload.requests] == [("a text",), ("x", "y")]
    one, two = Classification("a text", ("a",), (0.5,)), Classification("x", ("a",), (0.5,))
    lines = encode(payload, [[one], [two, two]]).splitlines()
    assert isinstance(json.loads(lines[0]), dict)
    assert len(json.loads(lines[1])) == 2


def test_a_wrong_line_is_named_by_its_number() -> None:
    message = refusal(dumped(GOOD) + b"\n\n" + dumped({"inputs": "x"}), JSON_LINES)
    assert message.startswith("line 3: 'candidate_labels' is missing")


@pytest.mark.parametrize("body", [b"", b"\n \n"])
def test_a_body_without_lines_is_refused(body: bytes) -> None:
    assert "has no lines" in refusal(body, JSON_LINES)


def test_too_many_lines_are_refused() -> None:
    assert "10001 lines; the limit is 10000" in refusal(b"{}\n" * 10_001, JSON_LINES)


@pytest.mark.parametrize(
    ("content_type", "accept", "expected"),
    [
        (JSON, None, JSON),
        (None, None, JSON),
        ("application/json; charset=utf-8", "*/*", JSON),
        ("Application/JSON", "application/*", JSON),
        (JSON, JSON_LINES, JSON_LINES),
        (JSON_LINES, "*/*", JSON_LINES),
        ("application/x-ndjson", None, JSON_LINES),
        (JSON_LINES, "text/html, application/json;q=0.5", JSON),
    ],
)
def test_content_type_and_accept(content_type: str | None, accept: str | None, expected: str) -> None:
    assert decode(dumped(GOOD), content_type, accept).accept == expected


def test_other_content_types_and_accepts_are_refused_with_those_there_are() -> None:
    with pytest.raises(UnsupportedContentType, match="'text/csv' is not read: send application/json"):
        decode(dumped(GOOD), "text/csv", None)
    with pytest.raises(UnsupportedAccept, match="'text/html' is not written: ask for application/json"):
        decode(dumped(GOOD), JSON, "text/html")


def parameters(**values: Any) -> dict[str, Any]:
    return GOOD | {"parameters": GOOD["parameters"] | values}


@pytest.mark.parametrize(
    ("document", "parts"),
    [
        ([], ["The request is the list []", '"inputs"']),
        ("text", ["The request is the string 'text'"]),
        (None, ["The request is null"]),
        ({}, ["neither 'inputs' nor 'sequences'"]),
        (GOOD | {"sequences": "x"}, ["Both 'inputs' and 'sequences'"]),
        ({"inputs": "x"}, ["'candidate_labels' is missing", "under 'parameters'"]),
        (GOOD | {"inputs": 3}, ["'inputs' is the number 3", "a string or a list of strings"]),
        (GOOD | {"inputs": {"a": 1}}, ["'inputs' is the object"]),
        (GOOD | {"inputs": None}, ["'inputs' is null"]),
        (GOOD | {"inputs": []}, ["'inputs' is an empty list", "at least one text"]),
        (GOOD | {"inputs": ["x", 1.5]}, ["'inputs[1]' is the number 1.5", "send a string"]),
        (GOOD | {"inputs": ""}, ["'inputs' is ''", "not blank"]),
        (GOOD | {"inputs": ["x", " \n"]}, ["'inputs[1]'", "not blank"]),
        (GOOD | {"inputs": "half \ud83d"}, ["'inputs' holds half of a surrogate pair at character 5", "valid Unicode"]),
        (GOOD | {"parameters": []}, ["'parameters' is the list []", "send an object"]),
        (GOOD | {"temperature": 1}, ["Unknown key 'temperature' with the number 1", "leave it out", "Known keys"]),
        (parameters(top_k=3), ["Unknown key 'parameters.top_k' with the number 3"]),
        (parameters(inputs="x"), ["Unknown key 'parameters.inputs'"]),
        (GOOD | {"candidate_labels": "a"}, ["'candidate_labels' and 'parameters.candidate_labels' mean the same"]),
        (parameters(multi_class=True, multi_label=True), ["'parameters.multi_class' and", "send one of them"]),
        (parameters(multi_label=1), ["'parameters.multi_label' is the number 1", "true or false"]),
        (parameters(multi_label="true"), ["'parameters.multi_label' is the string 'true'"]),
        (parameters(multi_label=None), ["'parameters.multi_label' is null"]),
        (parameters(hypothesis_template="no place"), ["'hypothesis_template' is 'no place'", "exactly once"]),
        (parameters(hypothesis_template=5), ["'parameters.hypothesis_template' is the number 5"]),
        (parameters(long_text="cut"), ["'parameters.long_text' is the string 'cut'", "'truncate', 'windows'"]),
        (parameters(long_text=["windows"]), ["'parameters.long_text' is the list"]),
        (parameters(candidate_labels=[]), ["'parameters.candidate_labels' is empty"]),
        (parameters(candidate_labels=["a", ""]), ["'parameters.candidate_labels[1]' is ''", "not blank"]),
        (parameters(candidate_labels=["a", "a"]), ["'parameters.candidate_labels' names 'a' twice"]),
        (parameters(candidate_labels=[["a"], ["b"]]), ["2 lists of labels for 1 texts"]),
        (parameters(candidate_labels=[["a"], "b"]), ["'parameters.candidate_labels[0]' is the list ['a']"]),
    ],
)
def test_a_refusal_names_the_key_the_value_and_the_remedy(document: Any, parts: list[str]) -> None:
    message = refusal(dumped(document))
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"inputs=a", "send one JSON object"),
        (b'{"inputs": "\xff"}', "not UTF-8 at byte 12"),
        (b'{"inputs": NaN}', "NaN is not JSON"),
        (b'{"inputs": -Infinity}', "-Infinity is not JSON"),
        (b'{"inputs": 1e999}', "the number 1e999 is too large"),
        (b'{"inputs": "a", "inputs": "b"}', "the key 'inputs' stands twice"),
        (b'{"parameters": {"x": 1, "x": 2}}', "the key 'x' stands twice"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"inputs": ' + b"9" * 10_000 + b"}", "not valid JSON"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        ("{}".encode("utf-16"), "not UTF-8"),
    ],
)
def test_a_body_that_is_not_json_says_why(body: bytes, part: str) -> None:
    assert part in refusal(body)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["a", "{}", "windows"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
keys = st.sampled_from(
    ["inputs", "sequences", "candidate_labels", "multi_label", "multi_class", "hypothesis_template", "long_text", "x"]
)
options = st.dictionaries(keys, values, max_size=4)
documents = values | st.builds(
    lambda top, nested: GOOD | top | ({"parameters": nested} if nested is not None else {}), options, options | values
)


@st.composite
def mutated_bodies(draw: st.DrawFn) -> bytes:
    """A request that is nearly right, with some of its bytes replaced, removed or doubled."""
    body = bytearray(json.dumps(draw(documents), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(0, len(body) - 1)))
        body[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(body)


def parses_or_refuses(body: bytes, content_type: str) -> None:
    refusal = ""
    try:
        requests = decode(body, content_type, None).requests
    except InvalidInput as error:
        requests, refusal = (), error.message
    assert len(refusal) < 1000
    refusal.encode("utf-8")
    for request in requests:
        assert len(request.texts) == len(request.labels) > 0
        assert all(request.labels)


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated_bodies(), st.sampled_from([JSON, JSON_LINES]))
@example(b'{"\\ud800": 1}', JSON)
@example(b'{"inputs": "x", "candidate_labels": "\\ud800"}', JSON)
@example(b'{"inputs": "x", "candidate_labels": {"a": 1}, "parameters": {"\\udfff": 1}}', JSON_LINES)
def test_a_mutated_body_parses_or_is_refused(body: bytes, content_type: str) -> None:
    parses_or_refuses(body, content_type)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([JSON, JSON_LINES]))
def test_any_bytes_parse_or_are_refused(body: bytes, content_type: str) -> None:
    parses_or_refuses(body, content_type)
