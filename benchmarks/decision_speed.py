"""How quickly an endpoint answers questions in the Decisions API's form, and whether it answers the same each time."""

import http.client
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.processes import ServerProcess

_TEXT = "I was charged twice for my order this month and nobody answers my emails. Please fix this today."
_QUESTIONS: tuple[dict[str, Any], ...] = (
    {
        "type": "choice",
        "instructions": "Which team should handle this?",
        "choices": [{"value": "billing"}, {"value": "technical support"}, {"value": "sales"}],
    },
    {"type": "predicate", "instructions": "The customer is angry."},
    {
        "type": "score",
        "instructions": "How urgent is it?",
        "levels": [{"label": "low"}, {"label": "medium"}, {"label": "high"}],
    },
)
_REQUESTS = 100
_REPEATS = 3


def decision_speed() -> dict[str, Any]:
    """p50 and questions a second of one caller, with 1 and with 20 questions of 7 pairs in three; and the bodies.

    Medians of the repeats; `bodies` is how many different ones there were among all answers to the same request.
    """
    with tempfile.TemporaryDirectory() as home, ServerProcess(Path(home) / "home") as server:
        server.deploy("bench")
        return {f"{count} questions": _asked(server, count) for count in (1, 20)}


def _asked(server: ServerProcess, count: int) -> dict[str, Any]:
    client = http.client.HTTPConnection(server.address.removeprefix("http://"))
    headers = {"Authorization": f"Bearer {server.keys.secret_access_key}", "Content-Type": "application/json"}
    questions = [_numbered(place) for place in range(count)]
    body = json.dumps({"model": "bench", "input": _TEXT, "questions": questions})
    bodies: set[bytes] = set()
    medians_s = []
    for _ in range(_REPEATS + 1):
        taken_s = []
        for _ in range(_REQUESTS):
            started_s = time.perf_counter()
            client.request("POST", "/v1/decisions", body, headers)
            answer = client.getresponse()
            bodies.add(answer.read())
            taken_s.append(time.perf_counter() - started_s)
            if answer.status != 200:
                raise SystemExit(f"The endpoint answered {answer.status}: {bodies}")
        medians_s.append(statistics.median(taken_s))
    p50_s = statistics.median(medians_s[1:])  # the first is a warm-up
    return {"p50_ms": round(1000 * p50_s, 1), "questions_per_s": round(count / p50_s, 1), "bodies": len(bodies)}


def _numbered(place: int) -> dict[str, Any]:
    """A question that no other one of the request is equal to, so that each is computed."""
    question = _QUESTIONS[place % len(_QUESTIONS)]
    return {**question, "instructions": f"{question['instructions']} {place // len(_QUESTIONS) or ''}".strip()}
