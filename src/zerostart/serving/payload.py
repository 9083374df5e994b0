"""Payloads: the request forms of Hugging Face's and JumpStart's containers in, the pipeline's result form out.

`{"inputs": text|[texts], "parameters": {"candidate_labels": ..., "multi_label": ..., "hypothesis_template": ...}}` and
`{"sequences": ..., "candidate_labels": ..., "multi_class": ...}` are one form here: each key has aliases, and may stand
at the top or under "parameters".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar, cast

from zerostart.errors import InvalidInput, UnsupportedAccept, UnsupportedContentType, shortened
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.hybrid import scorer_choice
from zerostart.nli.labels import CandidateLabels, check_text, describe, labels_per_text
from zerostart.nli.profile import Profile
from zerostart.nli.shortlist import shortlist_choice
from zerostart.nli.template import HypothesisTemplate
from zerostart.nli.windows import LONG_TEXT_CHOICES, LongText
from zerostart.serving.strict_json import read_json, written_json

JSON = "application/json"
JSON_LINES = "application/jsonlines"
_ALIASES_OF_TYPES = {
    "application/json": JSON,
    "application/jsonlines": JSON_LINES,
    "application/jsonl": JSON_LINES,
    "application/x-jsonlines": JSON_LINES,
    "application/x-ndjson": JSON_LINES,
}
_TEXT_KEYS = ("inputs", "sequences")
_OPTION_KEYS = {
    "candidate_labels": "candidate_labels",
    "multi_label": "multi_label",
    "multi_class": "multi_label",
    "hypothesis_template": "hypothesis_template",
    "long_text": "long_text",
    "shortlist": "shortlist",
    "scorer": "scorer",
}
_MAX_LINES = 10_000
T = TypeVar("T")


@dataclass(frozen=True)
class Payload:
    """The requests of one body, and how to answer: `many` has one flag a request, True where texts came as a list."""

    requests: tuple[ClassificationRequest, ...]
    many: tuple[bool, ...]
    accept: str


def decode(body: bytes, content_type: str | None, accept: str | None, profile: Profile | None = None) -> Payload:
    """The payload in `body`. Raises InvalidInput and its kin; the message names the key, the value and the remedy.

    With a profile, a request that names no labels is about the profile's.
    """
    kind = _content_type(content_type)
    answer_kind = _accept(accept, kind)
    if kind == JSON:
        documents = [parse_request(read_json(body, "The body"), profile)]
    else:
        lines = [(number, line) for number, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
        if not lines:
            raise InvalidInput("The body has no lines: send one JSON object a line.")
        if len(lines) > _MAX_LINES:
            raise InvalidInput(f"The body has {len(lines)} lines; the limit is {_MAX_LINES}: send fewer at a time.")
        documents = [_line(number, line, profile) for number, line in lines]
    return Payload(tuple(request for request, _ in documents), tuple(many for _, many in documents), answer_kind)


def encode(payload: Payload, results: Sequence[Sequence[Classification]]) -> bytes:
    """The answer's body: one document, or one line, a request."""
    documents = [
        [result_document(each) for each in own] if many else result_document(own[0])
        for own, many in zip(results, payload.many, strict=True)
    ]
    if payload.accept == JSON_LINES:
        return b"".join(written_json(document) + b"\n" for document in documents)
    return written_json(documents[0] if len(documents) == 1 else documents)


def result_document(result: Classification) -> dict[str, Any]:
    """`{"sequence", "labels", "scores"}`, "long_text" where the text did not fit the model, and "shortlist" where only
    so many labels, the first ones, were scored. Where a profile was applied, "unsure" or "chosen".
    """
    document: dict[str, Any] = {
        "sequence": result.text,
        "labels": list(result.labels),
        "scores": list(result.scores),
    }
    if (report := result.long_text) is not None:
        document["long_text"] = {
            "mode": report.mode,
            "windows": report.windows,
            "dropped_tokens": report.dropped_tokens,
        }
    if result.shortlist is not None:
        document["shortlist"] = result.shortlist
    if result.unsure is not None:
        document["unsure"] = result.unsure
    if result.chosen is not None:
        document["chosen"] = list(result.chosen)
    return document


def parse_document(line: bytes) -> Any:
    """The JSON document of one record. Raises InvalidInput."""
    return read_json(line, "The record")


def parse_request(document: Any, profile: Profile | None = None) -> tuple[ClassificationRequest, bool]:
    """The request in a parsed JSON document, and whether its texts came as a list."""
    if not isinstance(document, Mapping):
        raise InvalidInput(
            f'The request is {describe(document)}: send an object like {{"inputs": "a text", '
            '"parameters": {"candidate_labels": ["travel", "cooking"]}}.'
        )
    text_key, texts_value, options = _collect(document)
    many = isinstance(texts_value, list)
    texts = _texts(texts_value, text_key)
    labels = _labels(options, len(texts), profile)
    about_profile = profile is not None and all(map(profile.is_about, set(labels)))
    request = ClassificationRequest(
        texts=texts,
        labels=labels,
        template=_option(options, "hypothesis_template", HypothesisTemplate(), _template),
        multi_label=_option(options, "multi_label", about_profile and _is_multi_label(profile), _boolean),
        long_text=_option(options, "long_text", "truncate", long_text_choice),
        shortlist=_option(options, "shortlist", None, shortlist_choice),
        scorer=_option(options, "scorer", None, scorer_choice),
    )
    return request, many


def _collect(document: Mapping[str, Any]) -> tuple[str, Any, dict[str, tuple[str, Any]]]:
    """The texts' key and value, and each option's key as the caller wrote it and value."""
    parameters = document.get("parameters")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise InvalidInput(f"'parameters' is {describe(parameters)}: send an object.")
    given = [(key, key, value) for key, value in document.items() if key != "parameters"]
    given += [(key, f"parameters.{key}", value) for key, value in (parameters or {}).items()]
    texts: list[tuple[str, Any]] = []
    options: dict[str, tuple[str, Any]] = {}
    for name, key, value in given:
        if name in _TEXT_KEYS and name == key:
            texts.append((key, value))
        elif name in _OPTION_KEYS:
            if (first := options.get(_OPTION_KEYS[name])) is not None:
                raise InvalidInput(f"'{first[0]}' and '{key}' mean the same: send one of them.")
            options[_OPTION_KEYS[name]] = (key, value)
        else:
            _refuse_unknown(key, value)
    if len(texts) != 1:
        found = "Both 'inputs' and 'sequences' are there" if texts else "There is neither 'inputs' nor 'sequences'"
        raise InvalidInput(f"{found}: send the text, or a list of texts, under one of them.")
    return texts[0][0], texts[0][1], options


def _texts(value: Any, key: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        if not isinstance(value, str):
            raise InvalidInput(f"'{key}' is {describe(value)}: send a string or a list of strings.")
        return (check_text(value, key),)
    if not value:
        raise InvalidInput(f"'{key}' is an empty list: send at least one text.")
    return tuple(check_text(text, f"{key}[{i}]") for i, text in enumerate(value))


def _labels(options: Mapping[str, tuple[str, Any]], texts: int, profile: Profile | None) -> tuple[CandidateLabels, ...]:
    if "candidate_labels" in options:
        key, value = options["candidate_labels"]
        return labels_per_text(value, texts, key)
    if profile is None:
        raise InvalidInput("'candidate_labels' is missing: send it at the top of the request or under 'parameters'.")
    return (profile.candidate_labels,) * texts


def _is_multi_label(profile: Profile | None) -> bool:
    return profile is not None and profile.multi_label


def _option(options: Mapping[str, tuple[str, Any]], name: str, default: T, parse: Callable[[Any, str], T]) -> T:
    if name not in options:
        return default
    key, value = options[name]
    return parse(value, key)


def _template(value: Any, key: str) -> HypothesisTemplate:
    return HypothesisTemplate(check_text(value, key, what="template"))


def _boolean(value: Any, key: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(f"'{key}' is {describe(value)}: send true or false.")
    return value


def long_text_choice(value: Any, key: str) -> LongText:
    """`value` if it is one of LONG_TEXT_CHOICES; raises InvalidInput naming `key`."""
    if not isinstance(value, str) or value not in LONG_TEXT_CHOICES:
        raise InvalidInput(f"'{key}' is {describe(value)}: send one of {', '.join(map(repr, LONG_TEXT_CHOICES))}.")
    return cast("LongText", value)


def _refuse_unknown(key: str, value: Any) -> NoReturn:
    known = [*_TEXT_KEYS, "parameters", *_OPTION_KEYS]
    raise InvalidInput(
        f"Unknown key {shortened(key)} with {describe(value)}: leave it out. Known keys: {', '.join(known)}."
    )


def _content_type(value: str | None) -> str:
    kind = _ALIASES_OF_TYPES.get(_media_type(value or JSON))
    if kind is None:
        raise UnsupportedContentType(f"Content type {shortened(value)} is not read: send {JSON} or {JSON_LINES}.")
    return kind


def _accept(value: str | None, content_kind: str) -> str:
    """The best of the types that the caller takes; `;q=` weights do not matter between two forms of one answer."""
    for each in (value or "*/*").split(","):
        media_type = _media_type(each)
        if media_type in {"*/*", "application/*"}:
            return content_kind
        if media_type in _ALIASES_OF_TYPES:
            return _ALIASES_OF_TYPES[media_type]
    raise UnsupportedAccept(f"Accept {shortened(value)} is not written: ask for {JSON} or {JSON_LINES}.")


def _media_type(value: str) -> str:
    return value.split(";", maxsplit=1)[0].strip().lower()


def _line(number: int, line: bytes, profile: Profile | None) -> tuple[ClassificationRequest, bool]:
    try:
        return parse_request(read_json(line, "The line"), profile)
    except InvalidInput as error:
        raise type(error)(f"line {number}: {error}") from error
