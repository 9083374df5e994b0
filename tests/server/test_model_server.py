"""The serving container contract on a real process: good requests, and 5,000 bad ones."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.processes import BUILTIN, ModelServerProcess, clean_environment, wait_for


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServerProcess]:
    with ModelServerProcess(
        tmp_path_factory.mktemp("fake"), "--engine", "fake", ZEROSTART_MAX_BODY_MB="0.5"
    ) as process:
        yield process


@pytest.fixture(scope="module")
def connection(fake: ModelServerProcess) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(fake.address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    yield connection
    connection.close()


def post(
    connection: http.client.HTTPConnection, body: bytes, content_type: str = "application/json"
) -> tuple[int, bytes]:
    connection.request("POST", "/invocations", body, {"Content-Type": content_type})
    reply = connection.getresponse()
    return reply.status, reply.read()


def test_it_is_a_complete_serving_container(tmp_path: Path) -> None:
    with ModelServerProcess(tmp_path) as server:
        assert server.get("/ping") == (200, b"{}")
        question = {"inputs": ["The train leaves at noon."], "parameters": {"candidate_labels": ["travel", "food"]}}
        status, answer = server.post(json.dumps(question).encode())
        assert status == 200
        (result,) = json.loads(answer)
        assert result["labels"] == ["travel", "food"]
        status, text = server.get("/metrics")
        assert status == 200
        assert b"zerostart_pairs_total 2.0" in text
        assert server.stop() == 0


GOOD: dict[str, Any] = {
    "inputs": ["a text", "another"],
    "parameters": {"candidate_labels": ["a", "b"], "multi_label": False, "hypothesis_template": "It is {}."},
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "inputs",
        "sequences",
        "parameters",
        "candidate_labels",
        "multi_label",
        "multi_class",
        "hypothesis_template",
        "long_text",
    ]
)
DOCUMENTS = st.dictionaries(KEYS | st.text(max_size=8), ANYTHING, max_size=5)


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A good body with bytes replaced, cut out or put in."""
    body = bytearray(json.dumps(GOOD).encode())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 6))] = draw(st.binary(max_size=6))
    return bytes(body)


@st.composite
def replaced(draw: st.DrawFn) -> bytes:
    """A good document in which one value is something else."""
    key = draw(KEYS)
    value = draw(ANYTHING)
    inside = draw(st.booleans())
    document = {**GOOD, "parameters": {**GOOD["parameters"], key: value}} if inside else {**GOOD, key: value}
    return json.dumps(document).encode()


BODIES = st.one_of(st.binary(max_size=200), DOCUMENTS.map(lambda d: json.dumps(d).encode()), spoilt(), replaced())
TYPES = st.sampled_from(
    ["application/json", "application/jsonlines", "text/csv", "application/json; charset=utf-8", "x", ""]
)


@pytest.mark.slow
def test_five_thousand_malformed_bodies(connection: http.client.HTTPConnection) -> None:
    """Each is answered in time with 200 or a 4xx that says something; none harms the next request."""
    statuses: dict[int, int] = {}

    @settings(max_examples=5000, deadline=5000, database=None, suppress_health_check=list(HealthCheck))
    @given(BODIES, TYPES)
    def answered(body: bytes, content_type: str) -> None:
        status, answer = post(connection, body, content_type)
        statuses[status] = statuses.get(status, 0) + 1
        assert status == 200 or 400 <= status < 500, (body, answer)
        if status != 200:
            assert len(json.loads(answer)["message"]) > 20

    answered()
    assert sum(statuses.values()) >= 5000
    assert statuses[400] > 1000
    status, answer = post(connection, json.dumps(GOOD).encode())
    assert (status, len(json.loads(answer))) == (200, 2)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "words"),
    [
        (
            b'{"inputs": "a", "candidate_labels": ["x"], "temperature": 1}',
            "application/json",
            400,
            "Unknown key 'temperature'",
        ),
        (b'{"inputs": "a"}', "application/json", 400, "'candidate_labels' is missing"),
        (b'{"inputs": "", "candidate_labels": ["x"]}', "application/json", 400, "'inputs' is ''"),
        (b'{"inputs": ["a", " "], "candidate_labels": ["x"]}', "application/json", 400, "'inputs[1]' is ' '"),
        (b'{"inputs": "a", "candidate_labels": ["x", "x"]}', "application/json", 400, "names 'x' twice"),
        (b'{"inputs": "a", "candidate_labels": [NaN]}', "application/json", 400, "NaN is not JSON"),
        (b'{"inputs": "\xff", "candidate_labels": ["x"]}', "application/json", 400, "not UTF-8 at byte 12"),
        (b'{"inputs": "\\ud800", "candidate_labels": ["x"]}', "application/json", 400, "surrogate"),
        (b"[" * 100_000, "application/json", 400, "nested too deeply"),
        (b"a,b", "text/csv", 415, "send application/json or application/jsonlines"),
        (b"x" * 600_000, "application/json", 413, "the limit is 524288"),
        (
            b'{"inputs": "a", "candidate_labels": ["x"]}\n{"inputs": 3}',
            "application/jsonlines",
            400,
            "line 2: 'inputs' is the number 3",
        ),
    ],
)
def test_a_refusal_names_the_key_the_value_and_the_remedy(
    connection: http.client.HTTPConnection, body: bytes, content_type: str, status: int, words: str
) -> None:
    answered, answer = post(connection, body, content_type)
    assert answered == status
    assert words in json.loads(answer)["message"]


def test_a_request_over_the_pair_limit_is_refused_and_one_below_is_not(connection: http.client.HTTPConnection) -> None:
    labels = [f"label {n}" for n in range(200)]
    status, answer = post(connection, json.dumps({"inputs": ["a"] * 100, "candidate_labels": labels}).encode())
    assert status == 413
    assert "20000 pairs" in json.loads(answer)["message"]
    status, answer = post(connection, json.dumps({"inputs": ["a"] * 10, "candidate_labels": labels}).encode())
    assert status == 200
    assert len(json.loads(answer)[9]["scores"]) == 200


@pytest.mark.parametrize(("scorer", "texts"), [("nli", 100), ("hybrid", 15)])
def test_what_a_caller_that_left_asked_for_is_dropped(tmp_path: Path, scorer: str, texts: int) -> None:
    """A caller asks for minutes of work and hangs up; the next caller does not wait for it."""
    with ModelServerProcess(tmp_path) as server:
        parts = urlsplit(server.address)
        text = "A long text about the sea and the mountains. " * 40
        asked = {
            "inputs": [f"{n} {text}" for n in range(texts)],  # each of its own: what repeats is computed once
            "candidate_labels": [f"label {n}" for n in range(100)],
            "scorer": scorer,
        }
        body = json.dumps(asked).encode()
        with socket.create_connection((parts.hostname, parts.port)) as caller:
            head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            caller.sendall(head.encode() + body)
            wait_for(lambda: queued(server) > 1000)
        wait_for(lambda: queued(server) == 0, timeout_s=20)
        started_s = time.monotonic()
        assert server.post(b'{"inputs": "a", "candidate_labels": ["x", "y"]}')[0] == 200
        assert time.monotonic() - started_s < 5


def queued(server: ModelServerProcess) -> float:
    lines = server.get("/metrics")[1].decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("zerostart_queued_pairs "))


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    import subprocess
    import sys

    path = tmp_path / "s.sock"
    command = [
        sys.executable,
        "-m",
        "zerostart",
        "model-server",
        *("--model", BUILTIN, "--threads", "1", "--socket", str(path), "--exit-with-parent"),
    ]
    environment = clean_environment(tmp_path, ZEROSTART_ENGINE="fake")
    process = subprocess.Popen(command, stdin=read_end, stdout=subprocess.DEVNULL, env=environment)
    os.close(read_end)
    wait_for(path.exists)
    assert path.stat().st_mode & 0o077 == 0
    os.close(write_end)
    assert process.wait(10) == 0


def test_concurrent_callers_are_all_answered(fake: ModelServerProcess) -> None:
    statuses: list[int] = []
    body = json.dumps(GOOD).encode()

    def call() -> None:
        statuses.extend(fake.post(body)[0] for _ in range(20))

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statuses == [200] * 320


def test_sigterm_ends_it_with_exit_code_0(tmp_path: Path) -> None:
    with ModelServerProcess(tmp_path, "--engine", "fake") as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
