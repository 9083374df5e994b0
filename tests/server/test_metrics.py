"""/metrics: what an operator's Prometheus reads, and the request log."""

import json
import urllib.request

import pytest
from botocore.exceptions import ClientError
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import ServerProcess, wait_for

QUESTION = {"inputs": "The secret is kept.", "candidate_labels": ["a", "b", "c"]}


def scraped(server: ServerProcess) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    headers = {"Authorization": f"Bearer {server.keys.secret_access_key}"}
    with urllib.request.urlopen(urllib.request.Request(server.address + "/metrics", headers=headers)) as reply:
        text = reply.read().decode()
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_metrics_count_what_happened(server: ServerProcess) -> None:
    server.deploy("counted", instances=2)
    for _ in range(4):
        server.invoke("counted", QUESTION)
    with pytest.raises(ClientError):
        server.invoke("counted", {"inputs": 1})
    with pytest.raises(ClientError):
        server.invoke("nowhere", QUESTION)
    values = scraped(server)
    own = (("endpoint", "counted"),)
    assert values["zerostart_invocations_total", own] == 5
    assert values["zerostart_invocation_4xx_errors_total", (("code", "ModelError"), *own)] == 1
    assert values["zerostart_invocation_4xx_errors_total", (("code", "ValidationError"), ("endpoint", ""))] == 1
    assert values["zerostart_invocation_model_errors_total", (*own, ("status", "400"))] == 1
    of_variant = (*own, ("variant", "AllTraffic"))
    assert values["zerostart_model_latency_seconds_count", of_variant] == 5
    assert values["zerostart_overhead_latency_seconds_count", of_variant] == 5
    pairs = [value for (name, labels), value in values.items() if name == "zerostart_pairs_total" and own[0] in labels]
    assert len(pairs) == 2, "each instance has its own"
    assert sum(pairs) == 12
    assert any(name == "zerostart_queue_wait_seconds_bucket" for name, _ in values)
    assert any(name == "zerostart_batch_pairs_bucket" for name, _ in values)


def test_each_request_is_one_log_line_without_its_text(server: ServerProcess) -> None:
    server.deploy("logged")
    server.invoke("logged", QUESTION)

    def line() -> dict[str, object] | None:
        lines = [json.loads(each) for each in list(server.log)]
        return next((each for each in lines if each.get("operation") == "InvokeEndpoint"), None)

    found = wait_for(line)
    assert found["endpoint"] == "logged"
    assert found["variant"] == "AllTraffic"
    assert found["status"] == 200
    assert found["duration_ms"] > 0
    assert "secret" not in "".join(server.log)
