"""From a question to hypotheses, the statements that an NLI model judges.

The rules, measured with `python -m benchmarks decisions` (docs/decisions/0025-questions-become-statements.md):

- Of long instructions the sentence that asks counts; what sets the scene ("You are ...") is left out.
- A yes/no question is turned round: "Does the message mention a refund?" is "The message mentions a refund."; a command
  gives what is to be decided: "Check whether the log shows an error." is "The log shows an error.". A statement stays.
- Of a choice or a scale, each option is put where the answer goes: "What is the tone?" is "The tone is formal.",
  "Which team should handle this?" is "The team that should handle this is billing.". Of a question that no rule knows,
  in any language, the option follows it: "Welches Team ist zuständig? Vertrieb."; so do bare degrees, since "This is
  low." would not say of what. Without instructions it is "This is about billing.".
- A description follows the option's name: "The tone is formal: No contractions, no slang.".
- Yes and no, true and false, are the statement and its denial, or their descriptions.

A hypothesis has at most 400 bytes of UTF-8, about 90 tokens of English, so that a text fits beside it.
"""

import re

from zerostart.nli.english import PLACE, clause, sentences, with_place, yes_no
from zerostart.nli.question import Option, Question

LONGEST_HYPOTHESIS_BYTES = 400
_LONGEST_FRAME_BYTES = 200
_LONGEST_NAME_BYTES = 100
_MOST_SENTENCES = 8
_MOST_LISTED = 20
_WITHOUT_INSTRUCTIONS = f"This is about {PLACE}"
_ENDS = ("?", "!", "\u3002", "\uff01", "\uff1f")  # the last three are Chinese
_YES, _NO = frozenset({"yes", "true"}), frozenset({"no", "false"})
_DEGREES = frozenset({"none", "low", "minor", "medium", "moderate", "normal", "high", "critical", "severe", "major"})


def hypotheses(question: Question) -> tuple[str, ...]:
    """One statement for each option, in order; of a predicate one, which says that it holds.

    An option's is the same in whatever order the options stand. Options whose names differ in their first 100 bytes
    have different ones.
    """
    asked = [_cut(each, LONGEST_HYPOTHESIS_BYTES) for each in sentences(question.instructions)[:_MOST_SENTENCES]]
    if question.kind == "predicate":
        return (_affirmed(asked)[0],)
    worded = _worded(question.options, asked)
    if len(set(worded)) == len(worded):
        return tuple(worded)
    names = [option.name.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore") for option in question.options]
    return tuple(_ended(f'"{name}": {each}') for name, each in zip(names, worded, strict=True))


def _worded(options: tuple[Option, ...], asked: list[str]) -> list[str]:
    names = {_key(option) for option in options}
    frame = _frame(asked, names)
    said = {}
    if asked and names & _YES and names & _NO:
        affirmed, denied = _affirmed(asked)
        said = dict.fromkeys(_YES, affirmed) | dict.fromkeys(_NO, denied)
    return [
        _ended((option.description or "").strip() or said[_key(option)])
        if _key(option) in said
        else _filled(frame, option)
        for option in options
    ]


def _key(option: Option) -> str:
    return option.name.strip().lower()


def _affirmed(asked: list[str]) -> tuple[str, str]:
    """The statement that the instructions ask for, and its denial."""
    for sentence in asked:
        if statement := yes_no(sentence):
            return _ended(str(statement)), _ended(statement.denied)
        if found := clause(sentence):
            return _ended(found), _ended(f"It is not true: {found}")
    first = asked[0] if asked else "This is so."
    return _ended(first), _ended(f"It is not true: {first}")


def _frame(asked: list[str], names: set[str]) -> str:
    """The sentence in which each option takes the place of PLACE."""
    bare = all(name.removeprefix("very ") in _DEGREES or name.isdecimal() for name in names)
    for sentence in asked:
        if bare and re.search(r"(?i)\bhow\b", sentence):
            continue
        found = _listed(sentence, names) or with_place(sentence)
        if found and len(found.encode()) <= _LONGEST_FRAME_BYTES:
            return found
    if not asked or len(asked[0].encode()) > _LONGEST_FRAME_BYTES:
        return _WITHOUT_INSTRUCTIONS
    joint = " " if asked[0].endswith("?") else ": "
    return asked[0].rstrip(" .!:") + joint + PLACE


def _listed(sentence: str, names: set[str]) -> str | None:
    """Of a question that names its options: "the review is PLACE", of "Is the review good or bad?"."""
    statement = yes_no(sentence)
    if statement is None or len(names) > _MOST_LISTED:
        return None
    either = "|".join(re.escape(name) for name in sorted(names - {""}, key=lambda name: (-len(name), name)))
    found = list(re.finditer(rf"(?i)\b(?:{either})\b", statement.rest))
    if len({each[0].lower() for each in found}) < 2:
        return None
    rest = statement.rest[: found[0].start()] + PLACE + statement.rest[found[-1].end() :]
    return f"{statement.subject} {statement.auxiliary} {rest}"


def _filled(frame: str, option: Option) -> str:
    name = " ".join(option.name.replace("_", " ").split()) or "nothing"
    description = " ".join((option.description or "").split())
    if description and frame.endswith(PLACE):
        return _ended(frame.replace(PLACE, f"{name}: {description}"))
    return _ended(frame.replace(PLACE, name) + (f": {description}" if description else ""))


def _ended(statement: str) -> str:
    """With a capital letter and a full stop, and not too long."""
    statement = _cut(statement, LONGEST_HYPOTHESIS_BYTES - 1).rstrip(" .:;,")
    return statement[:1].upper() + statement[1:] + ("" if statement.endswith(_ENDS) else ".")


def _cut(text: str, most_bytes: int) -> str:
    """Up to a word's end, where there is one; whole characters."""
    written = text.encode()
    if len(written) <= most_bytes:
        return text
    kept = written[:most_bytes].decode(errors="ignore")
    return kept.rsplit(" ", 1)[0] if " " in kept[most_bytes // 2 :] else kept
