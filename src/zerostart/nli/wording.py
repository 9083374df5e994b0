"""From a question to hypotheses, the statements that an NLI model judges.

The rules, in any language, measured with `python -m benchmarks decisions`
(docs/decisions/0025-questions-become-statements.md):

- The question is the instructions. Of long ones it is the sentence that asks: the last question, or else the last
  sentence that is not about the form of the answer.
- A predicate is judged as it is written; of "Check whether the log shows an error." it is "the log shows an error".
- An option is its name and its description, with the question behind it, so that the same options answer two questions
  differently: "billing: invoices and refunds (Which team should handle this?)".
- True and false, as booleans or in writing, are "yes" and "no". Without instructions an option is "This example is
  billing.".

A hypothesis has at most 400 bytes of UTF-8, about 90 tokens of English, so that a text fits beside it.
"""

import re

from zerostart.nli.question import Option, Question
from zerostart.nli.template import HypothesisTemplate

LONGEST_HYPOTHESIS_BYTES = 400
_LONGEST_QUESTION_BYTES = 160
_ANSWERS = {"true": "yes", "false": "no"}
_FORM = re.compile(r"(?i)(?:answer|return|respond|reply|output|use|do not|don't|never|only|choose|pick|select)\b")
_WHETHER = re.compile(
    r"(?is)(?:please )?(?:(?:check|decide|determine|judge|assess|tell|tell me|verify|say) (?:whether|if)(?: or not)?|"
    r"(?:check|verify) that) (?P<statement>.+)"
)


def hypotheses(question: Question) -> tuple[str, ...]:
    """One statement for each option, in order; of a predicate one, which says that it holds.

    An option's is the same in whatever order the options stand. Options whose names differ in their first 200 bytes
    have different ones.
    """
    if question.kind == "predicate":
        return (_statement(question.instructions),)
    asked = _cut(_asked(question.instructions, _LONGEST_QUESTION_BYTES), _LONGEST_QUESTION_BYTES)
    meanings = [_meaning(option) for option in question.options]
    if len(set(meanings)) < len(meanings):  # "a_b" beside "a b", or "true" beside "yes"
        meanings = [f"{option.name!r}{' as a boolean' * option.boolean}" for option in question.options]
    return tuple(_worded(meaning, asked) for meaning in meanings)


def _statement(instructions: str) -> str:
    asked = _asked(instructions, LONGEST_HYPOTHESIS_BYTES)
    if found := _WHETHER.fullmatch(asked):
        asked = found["statement"]
    return _cut(asked, LONGEST_HYPOTHESIS_BYTES) or "This is so."


def _asked(instructions: str, most_bytes: int) -> str:
    """The instructions on one line, or the sentence of them that asks."""
    line = " ".join(instructions.split())
    if len(line.encode()) <= most_bytes:
        return line
    sentences = [each for each in re.split(r"(?<=[.!?。！？])\s*(?=\S)", line) if re.search(r"\w", each)]  # noqa: RUF001 - Chinese
    questions = [each for each in sentences if each.endswith(("?", "？"))]  # noqa: RUF001
    return (questions or [each for each in sentences if not _FORM.match(each)] or sentences or [line])[-1]


def _meaning(option: Option) -> str:
    name = " ".join(option.name.replace("_", " ").split())
    name = _ANSWERS.get(name.lower(), name) or repr(option.name)
    description = " ".join((option.description or "").split())
    return f"{name}: {description}" if description else name


def _worded(meaning: str, asked: str) -> str:
    if not asked:
        return HypothesisTemplate().fill(_cut(meaning, LONGEST_HYPOTHESIS_BYTES - 20).rstrip("."))
    return f"{_cut(meaning, LONGEST_HYPOTHESIS_BYTES - _LONGEST_QUESTION_BYTES - 3).rstrip('.')} ({asked})"


def _cut(text: str, most_bytes: int) -> str:
    """Up to a word's end, where there is one; whole characters."""
    written = text.encode()
    if len(written) <= most_bytes:
        return text
    kept = written[:most_bytes].decode(errors="ignore")
    return kept.rsplit(" ", 1)[0] if " " in kept[most_bytes // 2 :] else kept
