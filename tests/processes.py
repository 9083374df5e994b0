"""Real processes for tests: the server, and a model server that stands alone."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config

from tests import compiled
from zerostart.credentials import AccessKey, read_credentials

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

BUILTIN = "zerostart-zstc-small"
ROLE = "arn:aws:iam::000000000000:role/test"
START_TIMEOUT_S = 60.0


def clean_environment(home: Path, **settings: str) -> dict[str, str]:
    """This environment without anything that could steer AWS clients or Zerostart, and with `settings`.

    The home has what others compiled of the models.
    """
    if settings.get("ZEROSTART_ENGINE") != "fake":
        compiled.lend(home)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "ZEROSTART_"))}
    return kept | {"ZEROSTART_HOME": str(home), **settings}


def wait_for(condition: Callable[[], Any], timeout_s: float = 30.0, every_s: float = 0.05) -> Any:
    """The first true value of `condition`; fails when time is up."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if value := condition():
            return value
        time.sleep(every_s)
    raise AssertionError(f"not true within {timeout_s} s")


def broken_artefact(home: Path) -> str:
    """The id of a model that was altered after it was registered, so that no instance of it starts."""
    broken = home / "models" / "broken"
    broken.mkdir(parents=True)
    for each in Path("src/zerostart/models/builtin/zerostart-zstc-small").iterdir():
        (broken / each.name).write_bytes(each.read_bytes())
    manifest = broken / "zerostart.json"
    manifest.write_text(manifest.read_text().replace("zerostart-zstc-small", "broken"))
    tokenizer = broken / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + " ")
    return "broken"


def children_of(pid: int) -> list[int]:
    """Process ids of a process's children."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(each) for each in listed.stdout.split()]


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


class _Process:
    """A `zerostart` command that prints its address when it is ready."""

    def __init__(self, arguments: list[str], environment: dict[str, str], marker: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "zerostart", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            start_new_session=True,
        )
        self.output: list[str] = []
        self.log: list[str] = []
        self._home = Path(environment["ZEROSTART_HOME"])
        self._readers: list[threading.Thread] = []
        for stream, lines in ((self.process.stdout, self.output), (self.process.stderr, self.log)):
            assert stream is not None
            reader = threading.Thread(target=lambda s=stream, to=lines: to.extend(s), daemon=True)
            reader.start()
            self._readers.append(reader)
        try:
            self.address = wait_for(lambda: self._address(marker), START_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self.process.pid

    def _address(self, marker: str) -> str | None:
        if self.process.poll() is not None:
            self._readers[1].join()
            raise AssertionError(f"ended with {self.process.returncode}: {''.join(self.log)}")
        found = [line for line in list(self.output) if marker in line]
        return found[0].split(marker)[1].split()[0] if found else None

    def terminate(self) -> None:
        """SIGTERM; returns at once."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 60.0) -> int:
        """SIGTERM, and wait; the exit code."""
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.process.wait(timeout_s)
        finally:
            if self.process.poll() is None:
                self.kill()
            compiled.keep(self._home)
            for stream, reader in zip((self.process.stdout, self.process.stderr), self._readers, strict=True):
                assert stream is not None
                reader.join()
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


class ModelServerProcess(_Process):
    """`zerostart model-server` on a port."""

    def __init__(self, home: Path, *arguments: str, **settings: str) -> None:
        command = ["model-server", "--port", "0", *arguments]
        super().__init__(command, clean_environment(home, **settings), "takes invocations on ")

    def post(self, body: bytes, content_type: str = "application/json", **headers: str) -> tuple[int, bytes]:
        """POST /invocations: status and body."""
        sent = {"Content-Type": content_type, **headers}
        request = urllib.request.Request(f"{self.address}/invocations", body, sent)
        return _opened(request)

    def get(self, path: str) -> tuple[int, bytes]:
        """GET: status and body."""
        return _opened(urllib.request.Request(self.address + path))


class ServerProcess(_Process):
    """`zerostart serve` on a free port."""

    def __init__(self, home: Path, *arguments: str, **settings: str) -> None:
        self.home = home
        self._clients: dict[tuple[str, int, float, str], Any] = {}
        self._making_client = threading.Lock()
        super().__init__(["serve", "--port", "0", *arguments], clean_environment(home, **settings), "running on ")
        self.keys = read_credentials(home / "credentials")

    def sagemaker(self) -> "SageMakerClient":
        """A client of the control plane; clients are safe to share between threads."""
        client: SageMakerClient = self._client("sagemaker", 5, 60)
        return client

    def runtime(self, attempts: int = 1, timeout_s: float = 70) -> "SageMakerRuntimeClient":
        """A runtime client that makes so many attempts; boto3's default is 5."""
        client: SageMakerRuntimeClient = self._client("sagemaker-runtime", attempts, timeout_s)
        return client

    def progress(self, job: str) -> dict[str, Any]:
        """What the server tells of a transform job to programs that show it."""
        headers = {"Authorization": f"Bearer {self.keys.secret_access_key}"}
        status, body = _opened(
            urllib.request.Request(f"{self.address}/zerostart/transform-jobs/{job}", headers=headers)
        )
        assert status == 200, body
        found: dict[str, Any] = json.loads(body)
        return found

    def s3(self) -> Any:
        """A client of the S3 gateway."""
        return self._client("s3", 1, 60)

    def client(self, service: str, key: AccessKey) -> Any:
        """A client with a key of the caller's own."""
        return self._client(service, 1, 60, key)

    def _client(self, service: str, attempts: int, timeout_s: float, key: AccessKey | None = None) -> Any:
        chosen = key or self.keys
        kind = (service, attempts, timeout_s, chosen.access_key_id)
        with self._making_client:
            if kind not in self._clients:
                config = Config(
                    retries={"total_max_attempts": attempts}, read_timeout=timeout_s, max_pool_connections=40
                )
                session = boto3.session.Session(
                    aws_access_key_id=chosen.access_key_id,
                    aws_secret_access_key=chosen.secret_access_key,
                    region_name="us-east-1",
                )
                client = session.client(service, endpoint_url=self.address, config=config)  # type: ignore[call-overload]
                self._clients[kind] = client
            return self._clients[kind]

    def stop(self, timeout_s: float = 60.0) -> int:
        """Stop the server, and close the clients' connections."""
        for client in self._clients.values():
            client.close()
        return super().stop(timeout_s)

    def deploy(self, name: str, instances: int = 1, model_id: str = BUILTIN) -> None:
        """Create model, config and endpoint of one name, and wait until it is in service."""
        self.create_config(name, instances=instances, model_id=model_id)
        self.sagemaker().create_endpoint(EndpointName=name, EndpointConfigName=name)
        self.wait_in_service(name)

    def create_config(
        self, name: str, variant: str = "AllTraffic", instances: int = 1, model_id: str = BUILTIN, **serverless: int
    ) -> None:
        """Create a model and a config of one name; with `serverless` members the variant is serverless."""
        client = self.sagemaker()
        client.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Environment": {"HF_MODEL_ID": model_id}}
        )
        asked: Any = {"VariantName": variant, "ModelName": name}
        if serverless:
            asked["ServerlessConfig"] = {"MemorySizeInMB": 2048, **serverless}
        else:
            asked |= {"InitialInstanceCount": instances, "InstanceType": "ml.m5.xlarge"}
        client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[asked])

    def wait_in_service(self, name: str) -> None:
        """boto3's own waiter, asking more often."""
        waiter = self.sagemaker().get_waiter("endpoint_in_service")
        waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    def delete(self, name: str) -> None:
        """Delete endpoint, config and model, and wait until the endpoint is gone."""
        client = self.sagemaker()
        client.delete_endpoint(EndpointName=name)
        client.delete_endpoint_config(EndpointConfigName=name)
        client.delete_model(ModelName=name)
        waiter = client.get_waiter("endpoint_deleted")
        waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    def queued_pairs(self) -> float:
        """Pairs that wait in the server's instances, as /metrics tells."""
        headers = {"Authorization": f"Bearer {self.keys.secret_access_key}"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.address}/metrics", headers=headers)) as reply:
            lines = reply.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("zerostart_queued_pairs{"))

    def status(self, name: str) -> str:
        return self.sagemaker().describe_endpoint(EndpointName=name)["EndpointStatus"]

    def ready_instances(self, name: str) -> int:
        described = self.sagemaker().describe_endpoint(EndpointName=name)
        return sum(variant.get("CurrentInstanceCount", 0) for variant in described.get("ProductionVariants", ()))

    def invoke(self, name: str, document: Any, **parameters: Any) -> Any:
        """The parsed answer of one invocation."""
        answer = self.runtime().invoke_endpoint(
            EndpointName=name, Body=json.dumps(document), ContentType="application/json", **parameters
        )
        return json.loads(answer["Body"].read())


def _opened(request: urllib.request.Request) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
