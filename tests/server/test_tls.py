"""https with the user's own certificate."""

import contextlib
import json
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
import trustme
from botocore.exceptions import SSLError
from cryptography import x509

from tests.processes import ServerProcess, clean_environment, wait_for
from zerostart.certificates import Authority, renewing_context


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


def test_https_with_the_installations_own_authority(home: Path) -> None:
    with ServerProcess(home, "--tls", "--tls-name", "zerostart.internal", ZEROSTART_ENGINE="fake") as server:
        assert server.address.startswith("https://127.0.0.1:")
        script = f"""
        set -e
        eval "$({sys.executable} -m zerostart env)"
        {sys.executable} -c 'import boto3; print(boto3.client("sagemaker").list_models()["Models"])'
        {sys.executable} -c 'import boto3; print(boto3.client("s3").list_buckets()["Buckets"])'
        """
        environment = clean_environment(home)
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=environment)
        assert done.stdout == "[]\n[]\n", done.stderr
        program = [sys.executable, "-m", "zerostart"]
        listed = subprocess.run(
            [*program, "endpoints", "list"], env=environment, capture_output=True, text=True, check=False
        )
        assert "No endpoints" in listed.stdout, listed.stderr
        call = "import boto3; print(boto3.client('sagemaker').list_models()['Models'])"
        inside = subprocess.run(
            [*program, "run", "--", sys.executable, "-c", call],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert inside.stdout == "[]\n", inside.stderr

        trusted = ssl.create_default_context(cafile=str(home / "tls" / "ca.pem"))
        port = int(server.address.rsplit(":", 1)[1])
        for name, fits in (
            ("zerostart.internal", True),
            ("localhost", True),
            ("127.0.0.1", True),
            ("a.internal", False),
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                if fits:
                    with trusted.wrap_socket(plain, server_hostname=name) as secured:
                        assert secured.version() == "TLSv1.3"
                else:
                    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
                        trusted.wrap_socket(plain, server_hostname=name)
        with pytest.raises(ssl.SSLCertVerificationError), socket.create_connection(("127.0.0.1", port)) as plain:
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
        assert b"PRIVATE KEY" not in (home / "tls" / "ca.pem").read_bytes()
    assert not (home / "server.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tls", "--tls-name", "example.com"], "may not vouch for example.com"),
        (["--tls", "--tls-name", "8.8.8.8"], "may not vouch for 8.8.8.8"),
        (["--tls-name", "a.internal"], "--tls-name goes with --tls"),
        (["--tls", "--tls-cert", "a.pem", "--tls-key", "b.pem"], "one of the two"),
        (["--tls-cert", "a.pem", "--tls-key", "b.pem"], "cannot be used for https"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(home: Path, arguments: list[str], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        ServerProcess(home, *arguments)


def test_a_certificate_is_made_anew_while_the_server_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path / "tls")
    context = renewing_context(authority, ["localhost"])
    trusted = ssl.create_default_context(cadata=authority.certificate_pem.decode())

    def serial() -> int:
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusted.wrap_bio(into, out, server_hostname="localhost")
        server = context.wrap_bio(out, into, server_side=True)
        for side in (client, server, client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        certificate = client.getpeercert(binary_form=True)
        assert certificate is not None
        return x509.load_der_x509_certificate(certificate).serial_number

    first = serial()
    assert serial() == first
    now_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_s + 86400)
    assert serial() != first
