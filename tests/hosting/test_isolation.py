"""What code inside an instance can do: it runs there, in a real instance, once the model server has isolated itself."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.processes import BUILTIN, ROLE, ServerProcess, children_of, clean_environment, wait_for
from zerostart.hosting.isolation import reason_not_to_isolate

REASON = reason_not_to_isolate(Path("/nonexistent/home"))
needs_isolation = pytest.mark.skipif(REASON is not None, reason=f"this system cannot isolate instances: {REASON}")
QUESTION = json.dumps({"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}).encode()

# Runs when the instance loads its engine, which is after it has isolated itself: as a model that took it over would.
TAKE_OVER = """
import importlib.abc, json, os, pathlib, sys, threading

class TakenOver(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "zerostart.engines.fake":
            sys.meta_path.remove(self)
            threading.Thread(target=act, daemon=True).start()
        return None

def tried(call):
    try:
        return {"done": repr(call())[:100]}
    except BaseException as error:
        return {"refused": repr(error)}

def act():
    %s

if "model-server" in sys.orig_argv:
    sys.meta_path.insert(0, TakenOver())
"""
ATTACK = """
    import ctypes, signal, socket
    targets = pathlib.Path(os.environ["PYTHONPATH"], "targets.json")
    home, address, server, victim, isolated = json.loads(targets.read_text())
    def fetch(family, target):
        with socket.socket(family, socket.SOCK_STREAM) as each:
            each.settimeout(2)
            each.connect(target)
            return each.getpeername()
    def send_datagram():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
            return each.sendto(b"x", ("127.0.0.1", 9))
    def listen():
        with socket.socket() as each:
            each.bind(("127.0.0.1", 0))
            return each.getsockname()
    def read(path):
        return lambda: pathlib.Path(path).read_bytes()[:20]
    def enter_network():
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/proc/{server}/ns/net") as file:
            if libc.setns(file.fileno(), 0):
                raise OSError(ctypes.get_errno(), "setns")
    def trace():
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(16, server, None, None):
            raise OSError(ctypes.get_errno(), "ptrace")
    def become_root():
        import subprocess
        return subprocess.run(["mount", "-t", "tmpfs", "none", "/tmp"], check=True)
    model = pathlib.Path(__import__("zerostart.models.artefact", fromlist=["x"]).BUILTIN_FOLDER)
    dangerous = {
        "trace the server": tried(trace),
        "alter the program": tried(lambda: (model.parents[1] / "escaped.py").write_text("x")),
        "mount": tried(become_root),
    } if isolated else {}
    results = {
        **dangerous,
        "connect": tried(lambda: fetch(socket.AF_INET, tuple(address))),
        "connect outside": tried(lambda: fetch(socket.AF_INET, ("192.0.2.1", 80))),
        "connect ipv6": tried(lambda: fetch(socket.AF_INET6, ("::1", address[1]))),
        "datagram": tried(send_datagram),
        "resolve": tried(lambda: socket.getaddrinfo("example.com", 80)),
        "credentials": tried(read(home + "/credentials")),
        "access keys": tried(read(home + "/access-keys.json")),
        "database": tried(read(home + "/zerostart.db")),
        "bucket keys": tried(lambda: os.listdir(home + "/keys")),
        "another model": tried(read(victim)),
        "shadow": tried(read("/etc/shadow")),
        "environment of the server": tried(read(f"/proc/{server}/environ")),
        "files of the server": tried(read(f"/proc/{server}/root{home}/credentials")),
        "memory of the server": tried(lambda: os.listdir(f"/proc/{server}/fd")),
        "network of the server": tried(enter_network),
        "signal to the server": tried(lambda: os.kill(server, signal.SIGCONT)),
        "alter the model": tried(lambda: open(model / "zerostart-zstc-small" / "zerostart.json", "ab")),
        "write outside": tried(lambda: pathlib.Path(home + "-escaped").write_text("x")),
        "listen": tried(listen),
    }
    secrets = [name for name, value in os.environ.items() if "secret" in value]
    print("RESULTS " + json.dumps({"results": results, "secrets": secrets}), flush=True)
"""
GROW = """
    import time
    held = []
    while True:
        held.append(bytearray(os.urandom(1)) * 50_000_000)
        time.sleep(0.05)
"""


def taken_over(folder: Path, code: str) -> dict[str, str]:
    """The environment in which every instance does this."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(TAKE_OVER % code.strip())
    return {"PYTHONPATH": str(folder), "ZEROSTART_ENGINE": "fake"}


def logs_of(server: ServerProcess) -> str:
    return "".join(path.read_text() for path in sorted((server.home / "logs" / "endpoints").rglob("*.log")))


def attacked(server: ServerProcess, folder: Path, *, isolated: bool) -> dict[str, Any]:
    """What code in an instance of the server reports of its attempts."""
    home = server.home
    other = home / "models" / "other" / "zerostart.json"
    other.parent.mkdir(parents=True)
    other.write_text("{}")
    (home / "access-keys.json").touch(mode=0o600)
    (home / "access-keys.json").write_text("[]")
    (home / "keys").mkdir(exist_ok=True)
    host, port = server.address.removeprefix("http://").split(":")
    targets = [str(home), [host, int(port)], server.pid, str(other), isolated]
    (folder / "targets.json").write_text(json.dumps(targets))
    server.deploy("open")
    line = wait_for(lambda: [each for each in logs_of(server).splitlines() if each.startswith("RESULTS ")])[0]
    found: dict[str, Any] = json.loads(line.removeprefix("RESULTS "))
    return found


def test_without_isolation_the_same_attempts_succeed(home: Path, tmp_path: Path) -> None:
    """So that those of the next test are refused, and not merely wrong."""
    environment = taken_over(tmp_path / "code", ATTACK)
    with ServerProcess(home, ZEROSTART_ISOLATION="off", **environment) as server:
        results = attacked(server, tmp_path / "code", isolated=False)["results"]
        assert {name for name, result in results.items() if "done" in result} >= {
            *("connect", "datagram", "listen", "credentials", "access keys", "database", "bucket keys"),
            *("another model", "environment of the server", "files of the server", "memory of the server"),
            *("signal to the server", "alter the model", "write outside"),
        }, results


@needs_isolation
def test_code_in_an_instance_reaches_no_network_no_secret_and_no_other_process(home: Path, tmp_path: Path) -> None:
    environment = taken_over(tmp_path / "code", ATTACK)
    secrets = {"HF_TOKEN": "hf_secret", "DATABASE_PASSWORD": "secret", "MY_SECRET": "secret"}
    with ServerProcess(home, **environment, **secrets) as server:
        found = attacked(server, tmp_path / "code", isolated=True)
        assert {name for name, result in found["results"].items() if "done" in result} == set(), found
        assert len(found["results"]) == 22
        for name in ("credentials", "access keys", "database", "another model", "alter the model", "shadow"):
            assert "PermissionError" in found["results"][name]["refused"], name
        assert "unreachable" in found["results"]["datagram"]["refused"]
        assert found["secrets"] == []
        # And it serves, over its socket, as ever.
        answer = server.runtime().invoke_endpoint(EndpointName="open", Body=QUESTION)
        assert len(json.loads(answer["Body"].read())["labels"]) == 2
        assert "isolated: no network" in logs_of(server)
        [instance] = children_of(server.pid)
        assert Path(f"/proc/{instance}/ns/net").readlink() != Path(f"/proc/{server.pid}/ns/net").readlink()
        status = Path(f"/proc/{instance}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        assert "CapEff:\t0000000000000000" in status
        client = server.sagemaker()
        assert client.describe_model(ModelName="open")["EnableNetworkIsolation"] is True


def test_an_instance_that_outgrows_its_memory_is_replaced_and_the_next_one_serves(home: Path, tmp_path: Path) -> None:
    environment = taken_over(tmp_path / "code", GROW)
    with ServerProcess(home, **environment) as server:
        client = server.sagemaker()
        container: Any = {"Environment": {"HF_MODEL_ID": BUILTIN}}
        client.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
        variant: Any = {
            "VariantName": "v",
            "ModelName": "m",
            "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 2},
        }
        client.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
        client.create_endpoint(EndpointName="e", EndpointConfigName="c")
        client.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig={"Delay": 1})
        wait_for(lambda: any("its type allows 1,024 MiB" in line for line in server.log), 60)
        (tmp_path / "code" / "sitecustomize.py").unlink()
        wait_for(lambda: _answers(server), 60)


def _answers(server: ServerProcess) -> bool:
    try:
        server.runtime().invoke_endpoint(EndpointName="e", Body=QUESTION)
    except ClientError:
        return False
    return True


@needs_isolation
def test_a_home_inside_what_instances_read_is_no_isolation(tmp_path: Path) -> None:
    inside = Path(sys.prefix) / "zerostart-home"
    assert f"{inside} lies in" in str(reason_not_to_isolate(inside))
    try:
        with pytest.raises(AssertionError, match=r"as the setting isolation requires: .* lies in"):
            ServerProcess(inside, ZEROSTART_ISOLATION="required")
    finally:
        shutil.rmtree(inside)


@pytest.fixture
def plain(home: Path) -> Iterator[ServerProcess]:
    with ServerProcess(home, ZEROSTART_ENGINE="fake", ZEROSTART_ISOLATION="off") as server:
        yield server


def test_without_isolation_it_is_said_and_what_asks_for_it_is_refused(plain: ServerProcess) -> None:
    client = plain.sagemaker()
    container = {"Environment": {"HF_MODEL_ID": BUILTIN}}
    asked: Any = {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": container}
    with pytest.raises(ClientError, match="instances are not isolated here, since the setting isolation is off"):
        client.create_model(**asked, EnableNetworkIsolation=True)
    client.create_model(**asked)
    assert client.describe_model(ModelName="m")["EnableNetworkIsolation"] is False
    plain.deploy("open")
    assert logs_of(plain).startswith("not isolated: the setting isolation is off\n")


@needs_isolation
def test_an_endpoint_that_asked_for_isolation_never_runs_without(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        container = {"Environment": {"HF_MODEL_ID": BUILTIN}}
        asked: Any = {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": container}
        server.sagemaker().create_model(**asked, EnableNetworkIsolation=True)
    with ServerProcess(home, ZEROSTART_ENGINE="fake", ZEROSTART_ISOLATION="off") as server:
        client = server.sagemaker()
        variant: Any = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        client.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
        client.create_endpoint(EndpointName="e", EndpointConfigName="c")
        wait_for(lambda: client.describe_endpoint(EndpointName="e")["EndpointStatus"] == "Failed", 60)
        reason = client.describe_endpoint(EndpointName="e")["FailureReason"]
        assert "asks for network isolation, and there is none: the setting isolation is off" in reason


def test_the_reason_is_told_where_the_system_refuses(tmp_path: Path) -> None:
    """As nobody, in a user namespace of one's own where no further one may be made."""
    if REASON is not None:
        pytest.skip("nothing is to be refused here")
    script = (
        "echo 0 > /proc/sys/user/max_user_namespaces; echo 0 > /proc/sys/user/max_net_namespaces; "
        f"exec {sys.executable} -m zerostart serve --port 0"
    )
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-c", script],
        env=clean_environment(tmp_path / "home", ZEROSTART_ISOLATION="required"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Instances cannot be isolated" in done.stderr
    assert "does not let this process enter a network namespace" in done.stderr
