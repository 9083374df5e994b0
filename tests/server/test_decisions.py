"""The Decisions API on a real server: which endpoint answers, who may ask, limits, back-pressure, metrics and logs."""

import json
import os
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import BUILTIN, ServerProcess, children_of, wait_for
from tests.server.test_metrics import scraped
from zerostart.credentials import Role, create_access_key
from zerostart.nli.profile import Profile, ProfileLabel
from zerostart.serving.questions import QUESTIONS

CHOICE: dict[str, Any] = {"type": "choice", "instructions": "Which?", "choices": [{"value": "a"}, {"value": "b"}]}
PREDICATE = {"type": "predicate", "name": "late", "instructions": "The secret is late."}
IMAGE = {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA"}]}
ENDLESS = " ".join(map(str, range(200_000)))
FAKE = {"ZEROSTART_ENGINE": "fake"}
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # one for all calls, of which none is encrypted: it takes time to make


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """With the fake engine, whose scores depend on the pair alone, and endpoints `open` and `closed`."""
    home = tmp_path_factory.mktemp("decisions") / "home"
    with ServerProcess(home, ZEROSTART_MAX_QUEUED_PAIRS="500", ZEROSTART_MAX_BODY_MB="2", **FAKE) as process:
        process.deploy("open")
        process.deploy("closed")
        yield process


def body(*questions: Any, **changed: Any) -> dict[str, Any]:
    return {"model": "open", "input": "The secret is out.", "questions": list(questions), **changed}


def post(server: ServerProcess, document: Any, path: str = "/v1/decisions", key: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {key or server.keys.secret_access_key}"}
    return httpx.post(server.address + path, json=document, headers=headers, timeout=60, verify=PLAIN)


def get(server: ServerProcess, path: str, key: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {key or server.keys.secret_access_key}"}
    return httpx.get(server.address + path, headers=headers, verify=PLAIN)


def error(reply: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = reply.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    return found


def invoke_key(server: ServerProcess, name: str, *endpoints: str) -> str:
    key = create_access_key(server.home / "access-keys.json", name, Role.INVOKE, endpoints)
    return key.secret_access_key


def test_the_same_request_gives_the_same_bytes(server: ServerProcess) -> None:
    asked = body(CHOICE, PREDICATE)
    replies = {post(server, asked).content for _ in range(100)}
    assert len(replies) == 1
    found = json.loads(replies.pop())
    assert [each["name"] for each in found["answers"]] == [None, "late"]
    assert found["model"] == BUILTIN


def test_a_model_is_asked_by_its_endpoints_name_or_its_own(server: ServerProcess) -> None:
    by_name, by_id = post(server, body(CHOICE)), post(server, body(CHOICE, model=BUILTIN))
    assert by_name.json() == by_id.json()
    values = scraped(server)
    assert values["zerostart_invocations_total", (("endpoint", "closed"),)] >= 1, "the first in the alphabet answers"
    names = ["closed", "open", BUILTIN]
    listed = get(server, "/v1/models").json()
    assert listed["object"] == "list"
    assert [each["id"] for each in listed["data"]] == [each["name"] for each in listed["models"]] == names
    assert {each["object"] for each in listed["data"]} == {"model"}
    assert get(server, f"/v1/models/{BUILTIN}").json() == listed["data"][2]


def test_an_unknown_model_is_told_what_there_is(server: ServerProcess) -> None:
    for reply in (post(server, body(CHOICE, model="gpt-6-luna")), get(server, "/v1/models/gpt-6-luna")):
        assert reply.status_code == 404
        assert (error(reply)["code"], error(reply)["param"]) == ("model_not_found", "model")
        assert f"There are: closed, open, {BUILTIN}. To deploy one: zerostart deploy" in error(reply)["message"]


def test_an_invoke_key_asks_its_endpoints_alone(server: ServerProcess) -> None:
    key = invoke_key(server, "asks", "open")
    assert post(server, body(CHOICE), key=key).status_code == 200
    assert post(server, body(CHOICE, model=BUILTIN), key=key).status_code == 200
    assert [each["id"] for each in get(server, "/v1/models", key).json()["data"]] == ["open", BUILTIN]
    denied = post(server, body(CHOICE, model="closed"), key=key)
    assert (denied.status_code, error(denied)["code"]) == (403, "permission_denied")
    asked = {"model": "open", "state": "x", "questions": {"a": {"type": "noul", "instructions": "It is x."}}}
    assert post(server, asked, "/v1/systemone", key).status_code == 200
    assert post(server, {**asked, "model": "closed"}, "/v1/systemone", key).json()["detail"].startswith("User: ")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic eDp5"])
def test_nobody_asks_without_a_key(server: ServerProcess, header: str) -> None:
    for path in ("decisions", "systemone"):
        reply = httpx.post(f"{server.address}/v1/{path}", json=body(CHOICE), headers={"Authorization": header})
        assert reply.status_code == 401
        assert "zerostart env" in reply.text
    for path in ("models", f"models/{BUILTIN}", "nowhere"):
        reply = httpx.get(f"{server.address}/v1/{path}", headers={"Authorization": header})
        assert (reply.status_code, error(reply)["code"]) == (401, "invalid_api_key")


def test_what_is_not_served_is_told_in_openais_form(server: ServerProcess) -> None:
    for reply in (post(server, {}, "/v1/chat/completions"), get(server, "/v1/decisions")):
        assert (reply.status_code, error(reply)["code"]) == (404, "unknown_url")
        assert "POST /v1/decisions" in error(reply)["message"]


def many(questions: int, choices: int) -> dict[str, Any]:
    options = [{"value": str(number)} for number in range(choices)]
    return body(*[{**CHOICE, "choices": options}] * questions)


def test_limits_are_told_at_once(server: ServerProcess) -> None:
    started_s = time.monotonic()
    for document, says in (
        (many(401, 2), "'questions' has 401: send 1 to 400"),
        (many(1, 256), "'questions[0].choices' has 256: send 2 to 255"),
        (many(400, 255), "make 102000 pairs of the input and an option; the limit is 500 (setting max_queued_pairs)"),
        (body(PREDICATE, input=ENDLESS), "the limit is 500"),
        (body(PREDICATE, input="a" * 2_200_000), "the limit is 2097152 (setting max_body_mb)"),
    ):
        reply = post(server, document)
        assert reply.status_code == 400
        assert says in error(reply)["message"]
    assert time.monotonic() - started_s < 20
    assert len(post(server, many(200, 2)).json()["answers"]) == 200


def test_broken_bodies_are_told(server: ServerProcess) -> None:
    headers = {"Authorization": f"Bearer {server.keys.secret_access_key}"}
    for content in (b"", b"{", b"[]", b"\xff", b'{"model": NaN}', b"[" * 100_000):
        for path in ("decisions", "systemone"):
            reply = httpx.post(f"{server.address}/v1/{path}", content=content, headers=headers)
            assert reply.status_code == {"decisions": 400, "systemone": 422}[path], content[:20]


def test_images_refuse_their_questions(server: ServerProcess) -> None:
    reply = post(server, body(CHOICE, PREDICATE, input=[IMAGE])).json()
    assert reply["answers"] == [{"type": "refusal", "name": None}, {"type": "refusal", "name": "late"}]
    assert reply["usage"]["total_tokens"] == 0


def test_requests_are_counted_and_logged_without_their_text(server: ServerProcess) -> None:
    before = scraped(server)
    post(server, body(PREDICATE))
    post(server, body())
    post(server, body(PREDICATE, input=ENDLESS))  # more windows than the instance takes
    after = scraped(server)
    own = (("endpoint", "open"),)

    def more(name: str, labels: tuple[tuple[str, str], ...]) -> float:
        return after[name, labels] - before.get((name, labels), 0)

    assert more("zerostart_invocations_total", own) == 2
    assert more("zerostart_model_latency_seconds_count", (*own, ("variant", "AllTraffic"))) == 1
    assert more("zerostart_invocation_model_errors_total", (*own, ("status", "400"))) == 1
    assert more("zerostart_invocation_4xx_errors_total", (("code", "InvalidInput"), *own)) == 1
    assert more("zerostart_invocation_4xx_errors_total", (("code", "InvalidMember"), ("endpoint", ""))) == 1
    lines = [json.loads(line) for line in list(server.log) if '"operation": "Decisions"' in line]
    answered = next(line for line in lines if line["status"] == 200)
    assert answered["endpoint"] in {"open", "closed"}
    assert answered["input_tokens"] > 0
    assert "secret" not in "".join(server.log)


def test_boto3_asks_an_instance_in_its_own_dialect(server: ServerProcess) -> None:
    asked = {"text": "x", "questions": [{"kind": "predicate", "instructions": "It is x."}]}
    answer = server.runtime().invoke_endpoint(EndpointName="open", Body=json.dumps(asked), ContentType=QUESTIONS)
    found = json.loads(answer["Body"].read())
    assert len(found["answers"][0]["probabilities"]) == 1


def test_a_profile_of_the_endpoint_answers_the_choice_of_its_labels(server: ServerProcess) -> None:
    labels = (ProfileLabel("a", "something", 0.5), ProfileLabel("b", "nothing"))
    profile = Profile(labels, temperature=3.0, model_id=BUILTIN)
    client = server.sagemaker()
    environment = {"HF_MODEL_ID": BUILTIN, "ZEROSTART_PROFILE": profile.compact()}
    client.create_model(
        ModelName="tuned",
        ExecutionRoleArn="arn:aws:iam::000000000000:role/test",
        PrimaryContainer={"Environment": environment},
    )
    variant: Any = {
        "VariantName": "one",
        "ModelName": "tuned",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    client.create_endpoint_config(EndpointConfigName="tuned", ProductionVariants=[variant])
    client.create_endpoint(EndpointName="tuned", EndpointConfigName="tuned")
    server.wait_in_service("tuned")
    asked = body(CHOICE, input="It is so.", model="tuned")
    (answer,) = post(server, asked).json()["answers"]
    scored = server.invoke("tuned", {"inputs": "It is so.", "candidate_labels": ["a", "b"]})
    expected = dict(zip(scored["labels"], scored["scores"], strict=True))
    assert {each["value"]: each["probability"] for each in answer["probabilities"]} == expected
    assert answer["choice"] == scored["labels"][0]
    assert answer["confidence"] == scored["scores"][0] - scored["scores"][1]
    (untuned,) = post(server, {**asked, "model": "open"}).json()["answers"]
    assert untuned != answer
    server.delete("tuned")


def test_more_calls_than_an_endpoint_takes_are_told_to_come_back(server: ServerProcess) -> None:
    server.create_config("narrow", MaxConcurrency=1, ProvisionedConcurrency=1)
    server.sagemaker().create_endpoint(EndpointName="narrow", EndpointConfigName="narrow")
    server.wait_in_service("narrow")
    replies: list[httpx.Response] = []

    def call() -> None:
        replies.append(post(server, {**many(100, 4), "model": "narrow"}))

    while {reply.status_code for reply in replies} != {200, 429}:
        callers = [threading.Thread(target=call) for _ in range(6)]
        for each in callers:
            each.start()
        for each in callers:
            each.join()
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert refused.headers["Retry-After"] == "1"
    assert (error(refused)["type"], error(refused)["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    server.delete("narrow")


def test_an_endpoint_that_sleeps_wakes_for_a_question(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_IDLE_TIMEOUT_S="1", **FAKE) as server:
        server.deploy("resting")
        wait_for(lambda: children_of(server.pid) == [])
        assert [each["id"] for each in get(server, "/v1/models").json()["data"]] == ["resting", BUILTIN]
        assert post(server, body(CHOICE, model=BUILTIN)).status_code == 200


def test_a_call_that_takes_too_long_is_not_sent_again(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_INVOCATION_TIMEOUT_S="0.5", **FAKE) as server:
        server.deploy("open")
        (instance,) = children_of(server.pid)
        os.kill(instance, signal.SIGSTOP)
        try:
            reply = post(server, body(CHOICE))
        finally:
            os.kill(instance, signal.SIGCONT)
        assert reply.status_code == 504
        assert reply.headers["x-should-retry"] == "false"
        assert error(reply)["type"] == "server_error"
        assert "did not answer 1 questions in the time of an invocation" in error(reply)["message"]


def test_a_server_that_stops_finishes_what_it_has_and_takes_no_more(home: Path) -> None:
    with ServerProcess(home, **FAKE) as server:
        server.deploy("open")
        (instance,) = children_of(server.pid)
        headers = {"Authorization": f"Bearer {server.keys.secret_access_key}"}
        with httpx.Client(base_url=server.address, headers=headers, timeout=30) as late:
            late.get("/ping")  # a connection that is there already
            found: list[httpx.Response] = []
            os.kill(instance, signal.SIGSTOP)
            early = threading.Thread(target=lambda: found.append(post(server, body(CHOICE))))
            early.start()
            time.sleep(0.5)  # it is there
            server.terminate()
            wait_for(lambda: late.get("/ping").status_code == 503)
            reply = late.post("/v1/decisions", json=body(CHOICE))
            os.kill(instance, signal.SIGCONT)
            early.join()
        assert reply.status_code == 503
        assert reply.headers["Retry-After"] == "1"
        assert found[0].status_code == 200
