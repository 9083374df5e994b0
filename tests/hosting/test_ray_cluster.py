"""A server on a Ray cluster of several nodes, which share nothing but a bucket service and a PostgreSQL."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
import trustme

from tests.hosting.test_launchers import QUESTION, calls, ended
from tests.load import Load
from tests.postgresql import PostgreSQL
from tests.processes import BUILTIN, ROLE, ServerProcess, broken_artefact, clean_environment, is_running, wait_for
from tests.ray_nodes import RayNodes

pytestmark = [pytest.mark.slow, pytest.mark.alone]
MODEL = "shipped"


@dataclass(frozen=True)
class Cluster:
    """A server, its nodes, and their temporary folders. `served` makes another cluster for the same home."""

    server: ServerProcess
    nodes: RayNodes
    folder: Path
    served: Callable[[], AbstractContextManager[tuple[Any, ServerProcess]]]

    def programs(self, word: str, node: str | None = None) -> set[int]:
        """Process ids of what runs on a node, or on all."""
        marker = f"TMPDIR={self.folder}/{node or ''}".encode()
        found = set()
        for each in Path("/proc").glob("[0-9]*"):
            try:
                if word.encode() in (each / "cmdline").read_bytes() and marker in (each / "environ").read_bytes():
                    found.add(int(each.name))
            except OSError:
                continue
        return found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A second Zerostart, which is the bucket service."""
    with ServerProcess(tmp_path_factory.mktemp("service") / "home", ZEROSTART_ENGINE="fake") as server:
        yield server


@pytest.fixture(scope="module")
def cluster(
    service: ServerProcess, postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("cluster") / "home"
    add_model(home)
    database_url = postgresql.database()

    @contextmanager
    def served() -> Iterator[tuple[Cluster, ServerProcess]]:
        folder = Path(tempfile.mkdtemp(prefix="nodes-"))  # short: sockets lie in it
        credentials = {
            "AWS_ACCESS_KEY_ID": service.keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": service.keys.secret_access_key,
        }
        environment = {**clean_environment(folder / "nowhere"), **credentials}
        own = {**encrypted(folder), "RAY_gcs_rpc_server_reconnect_timeout_s": "8"}
        try:
            with RayNodes(folder, environment, **own) as nodes:
                for name in ("one", "two"):
                    nodes.add(name)
                settings = {
                    "ZEROSTART_LAUNCHER": "ray",
                    "ZEROSTART_RAY_ADDRESS": nodes.address,
                    "ZEROSTART_STORAGE": "s3",
                    "ZEROSTART_STORAGE_ENDPOINT_URL": service.address,
                    "ZEROSTART_DATABASE_URL": database_url,
                    "ZEROSTART_ENGINE": "fake",
                }
                with ServerProcess(home, **settings, **credentials, **nodes.joining) as server:
                    yield Cluster(server, nodes, folder, served), server
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    with served() as (found, _):
        yield found


def encrypted(folder: Path) -> dict[str, str]:
    """What has Ray encrypt all that its processes say to each other, and know each other by an authority."""
    authority = trustme.CA()
    own = authority.issue_cert("localhost", "127.0.0.1", ray.util.get_node_ip_address())
    files = {"RAY_TLS_CA_CERT": authority.cert_pem, "RAY_TLS_SERVER_KEY": own.private_key_pem}
    files["RAY_TLS_SERVER_CERT"] = own.cert_chain_pems[0]
    for name, content in files.items():
        content.write_to_path(folder / f"{name}.pem")
    return {"RAY_USE_TLS": "1", **{name: str(folder / f"{name}.pem") for name in files}}


def add_model(home: Path) -> None:
    """A model that is not built in: the built-in one under another id."""
    folder = home / "models" / MODEL
    broken_artefact(home)
    (home / "models" / "broken").rename(folder)
    manifest = json.loads((folder / "zerostart.json").read_text())
    builtin = Path("src/zerostart/models/builtin") / BUILTIN
    shutil.copyfile(builtin / "tokenizer.json", folder / "tokenizer.json")
    (folder / "zerostart.json").write_text(json.dumps(manifest | {"model_id": MODEL}))


def deploy(cluster: Cluster, instances: int) -> None:
    """An endpoint of instances with two vCPUs and a GiB."""
    client = cluster.server.sagemaker()
    container: Any = {"Environment": {"HF_MODEL_ID": MODEL}}
    client.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant: Any = {"VariantName": "AllTraffic", "ModelName": "m", "InitialInstanceCount": instances}
    variant["InstanceType"] = "ml.t3.micro"
    client.create_endpoint_config(EndpointConfigName="site", ProductionVariants=[variant])
    client.create_endpoint(EndpointName="site", EndpointConfigName="site")
    cluster.server.wait_in_service("site")


def test_models_reach_nodes_by_a_bucket_and_a_lost_node_loses_no_call(cluster: Cluster, service: ServerProcess) -> None:
    deploy(cluster, 2)
    server = cluster.server
    assert {name: len(cluster.programs("model-server", name)) for name in ("one", "two")} == {"one": 1, "two": 1}
    keys = [each["Key"] for each in service.s3().list_objects_v2(Bucket="zerostart-artefacts")["Contents"]]
    assert {key.rpartition("/")[2] for key in keys} >= {"model.onnx", "zerostart.json"}
    for name in ("one", "two"):
        kept = list((cluster.folder / name).glob(f"zerostart-node-*/homes/*/models/{MODEL}/model.onnx"))
        assert len(kept) == 1
    assert server.invoke("site", QUESTION)["labels"]

    load = Load(server, "site", callers=4)
    wait_for(lambda: len(load.outcomes) > 300)
    cluster.nodes.kill("two")
    killed_s = time.monotonic()
    wait_for(lambda: server.ready_instances("site") == 1)
    seen_s = time.monotonic() - killed_s
    wait_for(lambda: len(load.outcomes) > 1000)
    assert {status for status, _ in load.stop()} == {200}
    cluster.nodes.add("three")
    wait_for(lambda: server.ready_instances("site") == 2, timeout_s=60)
    assert len(cluster.programs("model-server", "three")) == 1
    print(f"a lost node is seen within {seen_s:.1f} s")  # noqa: T201


@pytest.mark.parametrize("missing", ["RAY_AUTH_TOKEN", "RAY_USE_TLS"])
def test_who_has_no_token_or_does_not_encrypt_is_not_let_in(cluster: Cluster, missing: str, home: Path) -> None:
    joining = {key: value for key, value in cluster.nodes.joining.items() if key != missing}
    code = f"import ray; ray.init({cluster.nodes.address!r}); print(ray.cluster_resources())"
    environment = clean_environment(home, **joining, RAY_gcs_server_request_timeout_seconds="5")
    asked = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        output, _ = asked.communicate(timeout=15)
        assert asked.returncode != 0
    except subprocess.TimeoutExpired:
        asked.kill()
        output, _ = asked.communicate()
    assert b"CPU" not in output
    assert cluster.server.invoke("site", QUESTION)["labels"]


def test_a_lost_actor_is_replaced_without_a_lost_call(cluster: Cluster) -> None:
    server = cluster.server
    before = cluster.programs("ray::NodeInstance")
    victim = min(before)
    load = Load(server, "site", callers=4)
    wait_for(lambda: len(load.outcomes) > 100)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: cluster.programs("ray::NodeInstance") - before, timeout_s=60)
    wait_for(lambda: server.ready_instances("site") == 2, timeout_s=60)
    assert not is_running(victim)
    wait_for(lambda: len(load.outcomes) > 1000)
    assert {status for status, _ in load.stop()} == {200}
    assert len(cluster.programs("model-server")) == 2


def test_a_job_outlives_a_lost_node_with_the_same_output(cluster: Cluster) -> None:
    server = cluster.server
    client = server.sagemaker()
    client.delete_endpoint(EndpointName="site")
    client.get_waiter("endpoint_deleted").wait(EndpointName="site", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    texts = [f"{number} boats and {number * 7} words" for number in range(4000)]
    body = "".join(json.dumps({"inputs": each, "candidate_labels": ["travel", "cooking"]}) + "\n" for each in texts)
    s3 = server.s3()
    s3.create_bucket(Bucket="texts")
    s3.put_object(Bucket="texts", Key="in/texts.jsonl", Body=body.encode())
    outputs = []
    for name, lost in (("whole", None), ("lost", "three")):
        source: Any = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://texts/in/"}}
        client.create_transform_job(
            TransformJobName=name,
            ModelName="m",
            TransformInput={"DataSource": source, "ContentType": "application/json", "SplitType": "Line"},
            TransformOutput={"S3OutputPath": f"s3://texts/{name}", "AssembleWith": "Line"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2},
        )
        if lost:
            wait_for(partial(cluster.programs, "transform-worker", lost), timeout_s=60)
            cluster.nodes.kill(lost)
        wait_for(partial(ended, server, name), timeout_s=150)
        described = client.describe_transform_job(TransformJobName=name)
        assert described["TransformJobStatus"] == "Completed", described.get("FailureReason")
        outputs.append(s3.get_object(Bucket="texts", Key=f"{name}/texts.jsonl.out")["Body"].read())
    assert outputs[0] == outputs[1]
    assert outputs[0].count(b"\n") == len(texts)


def test_without_the_head_endpoints_answer_on_and_come_back_with_a_new_one(cluster: Cluster, tmp_path: Path) -> None:
    server = cluster.server
    server.sagemaker().create_endpoint(EndpointName="site", EndpointConfigName="site")
    wait_for(lambda: server.ready_instances("site"), timeout_s=60)
    load = Load(server, "site", callers=2)
    cluster.nodes.kill("head")
    calls(load, 300)  # they need no head
    assert {status for status, _ in load.stop()} == {200}
    wait_for(lambda: server.process.poll() is not None, timeout_s=60)  # Ray ends a program that has lost it
    assert "GCS may have been killed" in "".join(server.log)
    cluster.nodes.close()
    with cluster.served() as (_, after):
        after.wait_in_service("site")
        assert after.invoke("site", QUESTION)["labels"]
