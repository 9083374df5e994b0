"""https with the user's own certificate."""

import json
import socket
from pathlib import Path

import boto3
import pytest
import trustme
from botocore.exceptions import SSLError

from tests.processes import ServerProcess, wait_for


def test_https_for_clients_that_trust_the_certificate(home: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    certificate, key, trusted = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    leaf.cert_chain_pems[0].write_to_path(certificate)
    leaf.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(trusted)
    with ServerProcess(home, "--tls-cert", str(certificate), "--tls-key", str(key), ZEROSTART_ENGINE="fake") as server:
        assert server.address.startswith("https://127.0.0.1:")
        session = boto3.session.Session(
            aws_access_key_id=server.keys.access_key_id,
            aws_secret_access_key=server.keys.secret_access_key,
            region_name="us-east-1",
        )
        client = session.client("sagemaker", endpoint_url=server.address, verify=str(trusted))
        assert client.list_models()["Models"] == []
        with pytest.raises(SSLError):
            session.client("sagemaker", endpoint_url=server.address).list_models()
        # What is not TLS is turned away, and harms nobody else.
        address = ("127.0.0.1", int(server.address.rsplit(":", 1)[1]))
        with socket.create_connection(address, timeout=10) as plain:
            plain.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200" not in plain.recv(1000)
        assert client.list_models()["Models"] == []
        wait_for(lambda: any(json.loads(line).get("status") == 200 for line in server.log if line.startswith("{")))


@pytest.mark.parametrize("given", ["--tls-cert", "--tls-key"])
def test_half_a_key_pair_is_refused(home: Path, tmp_path: Path, given: str) -> None:
    with pytest.raises(AssertionError, match="--tls-cert and --tls-key together"):
        ServerProcess(home, given, str(tmp_path / "file.pem"))
