"""openai-python's own client of decisions: sync and async, its types, its exceptions, its retries."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import openai

TEXT = "I was charged twice for my order, and nobody answers my emails."
QUESTIONS = [
    {
        "type": "choice",
        "name": "team",
        "instructions": "Which team should handle this?",
        "choices": [
            {"value": "billing"},
            {"value": "travel", "description": "flights and hotels"},
        ],
    },
    {"type": "choice", "instructions": "Is it a complaint?", "choices": [{"value": True}, {"value": False}]},
    {"type": "predicate", "name": "angry", "instructions": "The customer is angry."},
    {
        "type": "score",
        "name": "urgency",
        "instructions": "How urgent is it?",
        "levels": [{"label": "low"}, {"label": "medium"}, {"label": "high"}],
    },
]
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
CONVERSATION = [
    {"role": "system", "content": "You help customers."},
    {"role": "user", "content": [{"type": "input_text", "text": TEXT}, {"type": "input_json", "data": {"order": 12}}]},
    {"type": "function_call", "call_id": "c1", "name": "find_order", "arguments": '{"id": 12}'},
    {"type": "function_call_output", "call_id": "c1", "output": '{"paid": "twice"}'},
]

client = openai.OpenAI()


def ask(**changed: object) -> openai.types.Decision:
    return client.decisions.create(**{"model": "site", "input": TEXT, "questions": QUESTIONS, **changed})


def error(**changed: object) -> dict[str, object]:
    try:
        ask(**changed)
    except openai.APIStatusError as error:
        return {"type": type(error).__name__, "param": error.param, "code": error.code, "message": error.message}
    raise AssertionError("it was answered")


async def asynchronous() -> openai.types.Decision:
    async with openai.AsyncOpenAI() as other:
        return await other.decisions.create(model="site", input=TEXT, questions=QUESTIONS)


def retried(_number: int) -> int:
    """How often a call to an endpoint that takes one at a time was sent again, until it was answered."""
    patient = client.with_options(max_retries=20)
    many = [{**QUESTIONS[2], "instructions": f"The customer is angry {number}."} for number in range(40)]
    reply = patient.decisions.with_raw_response.create(model="narrow", input=TEXT, questions=many)
    assert len(reply.parse().answers) == 40
    return reply.retries_taken


first = ask()
with ThreadPoolExecutor(4) as threads:
    retries = list(threads.map(retried, range(8)))
stranger = openai.OpenAI(api_key="not-a-key")
errors = {
    "field": error(questions=[{**QUESTIONS[0], "choices": [{"value": "billing"}]}]),
    "unknown": error(extra_body={"temperature": 0}),
    "call": error(input=CONVERSATION[3:]),
    "model": error(model="gpt-6-luna"),
}
client, own = stranger, client
errors["key"] = error()
client = own
found = {
    "answers": [each.to_dict() for each in first.answers],
    "kinds": [type(each).__name__ for each in first.answers],
    "model": first.model,
    "usage": first.usage.to_dict(),
    "async": asyncio.run(asynchronous()) == first,
    "again": all(ask() == first for _ in range(5)),
    "conversation": ask(input=CONVERSATION).answers[0].choice,
    "refused": [each.to_dict() for each in ask(input=[{"role": "user", "content": [IMAGE]}]).answers],
    "models": [each.id for each in client.models.list()],
    "retrieved": client.models.retrieve("site").id,
    "retries": retries,
    "errors": errors,
}
print(json.dumps(found))  # noqa: T201
