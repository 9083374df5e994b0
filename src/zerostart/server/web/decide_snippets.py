"""Code that asks what the playground's questions ask. It runs as shown: a test pastes each of them."""

import json
import shlex
from collections.abc import Sequence

from zerostart.nli.question import Question
from zerostart.nli.typed_question import as_typed
from zerostart.server.web.contexts import Snippet
from zerostart.services.decision_body import decision_body, question_document

_ENVIRONMENT = 'eval "$(zerostart env)"    # the key of this installation'


def decide_snippets(address: str, endpoint: str, text: str, questions: Sequence[Question]) -> Sequence[Snippet]:
    """Asking an endpoint of the server at `address`."""
    typed = _command_line(endpoint, text, questions)
    return (
        Snippet("openai", "python", _openai(address, endpoint, text, questions)),
        Snippet("curl", "shell", _curl(address, endpoint, text, questions)),
        *([Snippet("Command line", "shell", typed)] if typed else []),
    )


def _openai(address: str, endpoint: str, text: str, questions: Sequence[Question]) -> str:
    asked = "".join(f"        {_written(question_document(each))},\n" for each in questions)
    return f'''# pip install openai; in a shell: eval "$(zerostart env)"
import os

from openai import OpenAI

client = OpenAI(base_url="{address}/v1", api_key=os.environ["AWS_SECRET_ACCESS_KEY"])
decisions = client.decisions.create(
    model="{endpoint}",
    input={_written(text)},
    questions=[
{asked}    ],
)
for answer in decisions.answers:
    print(answer.to_json(indent=None))'''


def _curl(address: str, endpoint: str, text: str, questions: Sequence[Question]) -> str:
    body = shlex.quote(_written(decision_body(endpoint, text, questions)))
    return f"""{_ENVIRONMENT}
curl -sS ${{AWS_CA_BUNDLE:+--cacert "$AWS_CA_BUNDLE"}} {shlex.quote(address)}/v1/decisions \\
  -H "Authorization: Bearer $AWS_SECRET_ACCESS_KEY" -H "Content-Type: application/json" \\
  -d {body}"""


def _command_line(endpoint: str, text: str, questions: Sequence[Question]) -> str | None:
    """None for what cannot be typed so."""
    options = [(each.kind, as_typed(each)) for each in questions]
    if text.startswith("-") or any(typed is None for _, typed in options):
        return None
    lines = [f"  --{kind} {shlex.quote(typed)}" for kind, typed in options if typed is not None]
    return " \\\n".join([f"zerostart decide {shlex.quote(text)} --endpoint {endpoint}", *lines])


def _written(value: object) -> str:
    """JSON that is Python too: there is neither null nor a boolean in it."""
    return json.dumps(value, ensure_ascii=False)
