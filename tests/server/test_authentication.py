"""Who may call: signatures as botocore makes them, and what happens to those that are wrong."""

import hashlib
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.processes import ServerProcess

LIST = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "SageMaker.ListModels"}
QUESTION = json.dumps({"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}).encode()


def signed(server: ServerProcess, path: str = "/", body: bytes = b"{}", **headers: str) -> AWSRequest:
    request = AWSRequest("POST", server.address + path, {**LIST, **headers}, body)
    credentials = Credentials(server.keys.access_key_id, server.keys.secret_access_key)
    SigV4Auth(credentials, "sagemaker", "eu-central-1").add_auth(request)
    return request


def send(url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def sent(
    server: ServerProcess, request: AWSRequest, path: str = "/", body: bytes = b"{}"
) -> tuple[int, dict[str, Any]]:
    return send(server.address + path, dict(request.headers.items()), body)


def test_a_good_signature_of_any_region_passes(shared_server: ServerProcess) -> None:
    assert sent(shared_server, signed(shared_server)) == (200, {"Models": shared_models(shared_server)})


def shared_models(server: ServerProcess) -> Any:
    status, answer = sent(server, signed(server))
    assert status == 200
    return answer["Models"]


def test_a_wrong_secret(shared_server: ServerProcess) -> None:
    request = AWSRequest("POST", shared_server.address + "/", dict(LIST), b"{}")
    SigV4Auth(Credentials(shared_server.keys.access_key_id, "wrong"), "sagemaker", "us-east-1").add_auth(request)
    status, answer = sent(shared_server, request)
    assert (status, answer["__type"]) == (403, "InvalidSignatureException")
    assert "signature we calculated does not match" in answer["message"]


def test_an_unknown_key(shared_server: ServerProcess) -> None:
    request = AWSRequest("POST", shared_server.address + "/", dict(LIST), b"{}")
    SigV4Auth(Credentials("AKIAIOSFODNN7EXAMPLE", "secret"), "sagemaker", "us-east-1").add_auth(request)
    status, answer = sent(shared_server, request)
    assert (status, answer["__type"]) == (403, "UnrecognizedClientException")
    assert "zerostart env" in answer["message"]


def test_an_altered_body(shared_server: ServerProcess) -> None:
    status, answer = sent(shared_server, signed(shared_server), body=b'{"MaxResults": 1}')
    assert (status, answer["__type"]) == (403, "InvalidSignatureException")


def test_an_altered_target(shared_server: ServerProcess) -> None:
    headers = {**dict(signed(shared_server).headers.items()), "X-Amz-Target": "SageMaker.DeleteModel"}
    status, answer = send(shared_server.address + "/", headers, b"{}")
    assert (status, answer["__type"]) == (403, "InvalidSignatureException")


def test_an_unsigned_target(shared_server: ServerProcess) -> None:
    request = AWSRequest("POST", shared_server.address + "/", {"Content-Type": LIST["Content-Type"]}, b"{}")
    credentials = Credentials(shared_server.keys.access_key_id, shared_server.keys.secret_access_key)
    SigV4Auth(credentials, "sagemaker", "us-east-1").add_auth(request)
    headers = {**dict(request.headers.items()), "X-Amz-Target": "SageMaker.ListModels"}
    status, answer = send(shared_server.address + "/", headers, b"{}")
    assert (status, answer["__type"]) == (403, "InvalidSignatureException")
    assert "'x-amz-target' must be a 'SignedHeader'" in answer["message"]


def test_a_stated_body_hash_must_be_the_bodys(shared_server: ServerProcess) -> None:
    request = signed(shared_server, body=b"{}", **{"X-Amz-Content-SHA256": hashlib.sha256(b"other").hexdigest()})
    status, answer = sent(shared_server, request)
    assert (status, answer["__type"]) == (403, "InvalidSignatureException")


@pytest.mark.parametrize(("shift", "words"), [(-20, "Signature expired"), (20, "Signature not yet current")])
def test_a_date_outside_the_window(shared_server: ServerProcess, shift: int, words: str) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=shift)
    request = AWSRequest("POST", shared_server.address + "/", dict(LIST), b"{}")
    credentials = Credentials(shared_server.keys.access_key_id, shared_server.keys.secret_access_key)
    signer = SigV4Auth(credentials, "sagemaker", "us-east-1")
    request.context["timestamp"] = moment.strftime("%Y%m%dT%H%M%SZ")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    names = signer.signed_headers(signer.headers_to_sign(request))
    scope = signer.scope(request)
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"
    )
    status, answer = sent(shared_server, request)
    assert (status, answer["__type"]) == (403, "InvalidSignatureException")
    assert answer["message"].startswith(words)


@pytest.mark.parametrize("path", ["/", "/endpoints/shared/invocations"])
def test_nobody_is_anonymous(shared_server: ServerProcess, path: str) -> None:
    status, answer = send(shared_server.address + path, dict(LIST), QUESTION)
    assert (status, answer["__type"]) == (403, "MissingAuthenticationTokenException")


def test_a_bearer_key_invokes_but_does_not_administer(shared_server: ServerProcess) -> None:
    headers = {"Authorization": f"Bearer {shared_server.keys.secret_access_key}", "Content-Type": "application/json"}
    status, answer = send(f"{shared_server.address}/endpoints/shared/invocations", headers, QUESTION)
    assert (status, answer["labels"][0]) == (200, "travel")
    status, answer = send(shared_server.address + "/", {**LIST, **headers}, b"{}")
    assert (status, answer["__type"]) == (403, "IncompleteSignatureException")
    headers["Authorization"] = "Bearer wrong"
    status, answer = send(f"{shared_server.address}/endpoints/shared/invocations", headers, QUESTION)
    assert (status, answer["__type"]) == (403, "UnrecognizedClientException")


def test_ping_is_open_and_metrics_are_not(shared_server: ServerProcess) -> None:
    assert send(shared_server.address + "/ping", {}, None) == (200, {"status": "ok"})
    assert send(shared_server.address + "/metrics", {}, None)[0] == 403


def test_another_address_than_loopback_needs_tls_or_a_flag(tmp_path: Any) -> None:
    with pytest.raises(AssertionError, match="give --tls, or --tls-cert and --tls-key, or --allow-plain-http"):
        ServerProcess(tmp_path / "home", "--host", "0.0.0.0")  # noqa: S104 - refused
