"""TypeSafe's own client of System One."""

import asyncio
import json

from typesafe_sdk import AsyncTypeSafeClient, Box, Choice, Noul, Score, TypeSafeAPIError, TypeSafeClient

TIMEOUT_S = 60  # its own is 10 s, which a long text can take where other tests compute too
TEXT = "I was charged twice for my order, and nobody answers my emails."
QUESTIONS = {
    "angry": Noul(instructions="The customer is angry."),
    "money": Noul(criteria={"true": "It is about money.", "false": "It is about something else."}),
    "team": Choice(criteria={"billing": "It is about payments.", "technical": None}),
    "urgency": Score(instructions="How urgent is it?", criteria=["low", {"level": "high"}]),
}


async def asynchronous() -> object:
    async with AsyncTypeSafeClient(model="site", timeout=TIMEOUT_S) as other:
        return await other.system_one(state=TEXT, questions=QUESTIONS)


def error(client: TypeSafeClient, **asked: object) -> dict[str, object]:
    try:
        client.system_one(**{"state": TEXT, "questions": QUESTIONS, **asked})
    except TypeSafeAPIError as error:
        return {"type": type(error).__name__, "status": error.status, "message": str(error)}
    raise AssertionError("it was answered")


with (
    TypeSafeClient(model="site", timeout=TIMEOUT_S) as client,
    TypeSafeClient(model="site", timeout=TIMEOUT_S, api_key="not-a-key") as stranger,
):
    first = client.system_one(state=TEXT, questions=QUESTIONS)
    long = {"ticket": TEXT, "history": ["The parcel arrived on time."] * 40}  # over the 1,024 bytes that are compressed
    found = {
        "answers": json.loads(first.model_dump_json())["answers"],
        "model": first.model,
        "input_tokens": first.usage.input_tokens,
        "request_id": bool(first.request_id),
        "async": asyncio.run(asynchronous()).answers == first.answers,
        "compressed": client.system_one(state=long, questions=QUESTIONS).usage.input_tokens,
        "plain": TypeSafeClient(model="site", timeout=TIMEOUT_S, compression=False)
        .system_one(state=long, questions=QUESTIONS)
        .usage.input_tokens,
        "models": [each.name for each in client.models.list().models],
        "errors": {
            "box": error(client, questions={"where": Box(instructions="The dog")}),
            "state": error(client, state=" "),
            "model": error(client, model="jev-latest"),
            "key": error(stranger),
        },
    }
print(json.dumps(found))  # noqa: T201
