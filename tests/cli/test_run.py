"""`zerostart run`: real child processes, which believe that they speak with AWS."""

import http.server
import json
import shutil
import signal
import socketserver
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from tests.processes import ServerProcess, clean_environment, wait_for
from zerostart.certificates import Authority, own_names

LIST_MODELS = (
    "import boto3, os; os.environ.pop('AWS_ENDPOINT_URL'); c = boto3.client('sagemaker'); "
    "print(c.meta.endpoint_url, c.list_models()['Models'])"
)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "zerostart", "run", *arguments]


def environment(server: ServerProcess, **more: str) -> dict[str, str]:
    port = server.address.rpartition(":")[2]
    return clean_environment(server.home) | {"ZEROSTART_PORT": port, "HOME": str(server.home)} | more


def run(server: ServerProcess, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments), env=environment(server, **more), capture_output=True, text=True, timeout=60, check=False
    )


def test_awss_own_addresses_are_this_installation(server: ServerProcess) -> None:
    done = run(server, "--", sys.executable, "-c", LIST_MODELS)
    assert done.stdout == "https://api.sagemaker.us-east-1.amazonaws.com []\n", done.stderr
    code = (
        "import boto3, os; os.environ.pop('AWS_ENDPOINT_URL'); s3 = boto3.client('s3'); s3.create_bucket(Bucket='b-1');"
        "s3.put_object(Bucket='b-1', Key='k', Body=b'x' * 3_000_000);"
        "print(len(s3.get_object(Bucket='b-1', Key='k')['Body'].read()), s3.meta.endpoint_url);"
        "print(boto3.client('sts', endpoint_url='https://sts.eu-west-1.amazonaws.com').get_caller_identity()['Account'])"
    )
    done = run(server, "--only-aws", "--", sys.executable, "-c", code)
    assert done.stdout == "3000000 https://s3.amazonaws.com\n000000000000\n", done.stderr
    assert server.s3().head_object(Bucket="b-1", Key="k")["ContentLength"] == 3_000_000


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode != 0,
    reason="this system lets no program have a network of its own, which the test needs",
)
def test_all_of_it_works_on_a_machine_without_any_network(tmp_path: Path) -> None:
    """Server, proxy and program in a network that has nothing but loopback: nothing of it needs to leave."""
    script = tmp_path / "all.sh"
    script.write_text(
        f"""set -eu
ip link set lo up
{sys.executable} -m zerostart serve > "$ZEROSTART_HOME.log" 2>&1 &
for _ in $(seq 100); do grep -q "is running" "$ZEROSTART_HOME.log" && break; sleep 0.1; done
{sys.executable} -m zerostart run -- {sys.executable} -c "{LIST_MODELS}"
kill $!
wait
"""
    )
    if shutil.which("ip") is None:
        pytest.skip("the command ip (package iproute2) is not there")
    variables = clean_environment(tmp_path / "home", ZEROSTART_ENGINE="fake")
    done = subprocess.run(
        ["unshare", "-rn", "sh", str(script)], env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "https://api.sagemaker.us-east-1.amazonaws.com []\n", done.stderr


def test_the_childs_exit_code_and_output_are_passed_on(server: ServerProcess) -> None:
    done = run(server, "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    done = run(server, "--", "sh", "-c", "kill -9 $$")
    assert done.returncode == 128 + 9
    done = run(server, "--", "no-such-program")
    assert done.returncode == 1
    assert "There is no program 'no-such-program'" in done.stderr


def test_signals_reach_the_child(server: ServerProcess, tmp_path: Path) -> None:
    script = f"trap 'echo told; exit 5' TERM; touch {tmp_path}/up; while :; do sleep 0.1; done"
    process = subprocess.Popen(
        command("--", "sh", "-c", script), env=environment(server), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    wait_for((tmp_path / "up").exists)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert (output, process.returncode) == (b"told\n", 5)


def test_only_the_child_is_changed_and_real_keys_are_not_used(server: ServerProcess) -> None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SESSION_TOKEN")
    code = f"import os, json; print(json.dumps([os.environ.get(n) for n in {names}]))"
    real = {"AWS_ACCESS_KEY_ID": "AKIAREAL", "AWS_PROFILE": "work", "AWS_SESSION_TOKEN": "t"}
    done = run(server, "--", sys.executable, "-c", code, **real)
    assert json.loads(done.stdout) == [server.keys.access_key_id, None, None]
    assert f"uses {server.address}; your AWS_ACCESS_KEY_ID is not used" in done.stderr
    assert (server.home / "tls").stat().st_mode & 0o777 == 0o700
    assert (server.home / "tls" / "authority.pem").stat().st_mode & 0o777 == 0o600
    assert not (server.home / ".aws").exists()


def test_without_a_server_it_says_what_to_do(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        pass
    done = run(server, "--", "true")
    assert done.returncode == 1
    assert f"No server answers on {server.address}: run zerostart serve" in done.stderr


def test_other_hosts_are_passed_on_untouched_or_refused(server: ServerProcess, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    origin = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    origin.socket = context.wrap_socket(origin.socket, server_side=True)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    code = (
        "import os, urllib.request; os.environ.pop('NO_PROXY'); os.environ.pop('no_proxy');"
        f"print(urllib.request.urlopen('https://localhost:{origin.server_port}/').status)"
    )
    try:
        through = run(server, "--", sys.executable, "-c", code, SSL_CERT_FILE=str(tmp_path / "ca.pem"))
        assert through.stdout == "200\n", through.stderr
        refused = run(server, "--only-aws", "--", sys.executable, "-c", code, SSL_CERT_FILE=str(tmp_path / "ca.pem"))
        assert "403 Only hosts of AWS" in refused.stderr
    finally:
        origin.shutdown()
        origin.server_close()


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    "pattern",
    ["*", ".amazonaws.com", "amazonaws.com", "*.amazonaws.com:443", "sagemaker.us-east-1.amazonaws.com", "com"],
)
def test_no_exception_of_the_users_proxy_leads_to_aws(server: ServerProcess, variable: str, pattern: str) -> None:
    code = f"import os; print(os.environ['NO_PROXY'], os.environ['no_proxy']); {LIST_MODELS}"
    done = run(server, "--only-aws", "--", sys.executable, "-c", code, **{variable: f"intranet.example, {pattern}"})
    kept = "intranet.example,localhost,127.0.0.1,::1"
    assert done.stdout == f"{kept} {kept}\nhttps://api.sagemaker.us-east-1.amazonaws.com []\n", done.stderr


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"x" * 100_000, b"HTTP/1.1 403 Forbidden\r\n\r\n"])
def test_a_proxy_of_the_users_that_does_not_let_through_is_told(server: ServerProcess, answer: bytes) -> None:
    class Answering(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Answering) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        code = "import urllib.request; urllib.request.urlopen('https://example.com/')"
        proxy = f"http://127.0.0.1:{upstream.server_address[1]}"
        done = run(server, "--", sys.executable, "-c", code, HTTPS_PROXY=proxy)
        upstream.shutdown()
    assert "Tunnel connection failed: 502 the proxy 127.0.0.1 answered" in done.stderr


def test_the_proxy_is_for_its_child_alone(server: ServerProcess) -> None:
    code = (
        "import os, re, urllib.request as u; p = re.sub('//.*@', '//', os.environ['HTTPS_PROXY']);"
        "o = u.build_opener(u.ProxyHandler({'https': p})); o.open('https://sts.amazonaws.com/')"
    )
    assert "407" in run(server, "--", sys.executable, "-c", code).stderr


def test_the_authority_vouches_for_aws_and_this_machine_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    certificate = x509.load_pem_x509_certificate(authority.certificate_pem)
    permitted = certificate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    assert {str(each.value) for each in permitted} == {
        *("amazonaws.com", "amazonaws.com.cn", "api.aws", "localhost", "local", "internal", "home.arpa"),
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
        *own_names(),
    }
    assert Authority(tmp_path / "tls").certificate_pem == authority.certificate_pem
    client = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    for host, trusted in (("s3.us-east-1.amazonaws.com", True), ("example.com", False)):
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        caller = client.wrap_bio(into, out, server_hostname=host)
        answerer = authority.server_context(host).wrap_bio(out, into, server_side=True)
        assert _shakes_hands(caller, answerer) is trusted


def _shakes_hands(caller: ssl.SSLObject, answerer: ssl.SSLObject) -> bool:
    for _ in range(10):
        for side in (caller, answerer):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return caller.version() is not None
