"""The manifests of docs/kubernetes are what Kubernetes, KubeRay, Ray and this version of Zerostart know."""

import copy
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import typer.main
import yaml

from zerostart.cli.main import app
from zerostart.settings import PREFIX, Settings

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "kubernetes"
KUBERNETES = "1.34"
RAY_CLUSTER = json.loads((Path(__file__).parent / "raycluster.schema.json").read_text("utf-8"))
# Made by the command that scaling.md gives, not by a manifest.
MADE_BY_HAND = {"zerostart-tls"}
Manifest = dict[str, Any]


def _read() -> dict[str, Manifest]:
    found: dict[str, Manifest] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text("utf-8")):
            found[f"{each['kind']}/{each['metadata']['name']}"] = each
    return found


MANIFESTS = _read()
CLUSTER = "RayCluster/zerostart-ray"
SERVER = "Deployment/zerostart-server"


def check(manifest: Manifest) -> None:
    """Raises the validator's error for a field that is unknown, of a wrong type, or missing."""
    if manifest["kind"] != "RayCluster":
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        return
    jsonschema.validate(manifest, RAY_CLUSTER)
    groups = [manifest["spec"]["headGroupSpec"], *manifest["spec"]["workerGroupSpecs"]]
    for group in groups:
        template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {}, "template": group["template"]}
        kubernetes_validate.validate(template, KUBERNETES, strict=True)


def _pods() -> Iterator[tuple[str, Manifest]]:
    """Every pod's spec, by whose it is."""
    yield SERVER, MANIFESTS[SERVER]["spec"]["template"]["spec"]
    spec = MANIFESTS[CLUSTER]["spec"]
    yield "head", spec["headGroupSpec"]["template"]["spec"]
    for group in spec["workerGroupSpecs"]:
        yield group["groupName"], group["template"]["spec"]


PODS = dict(_pods())


def test_all_parts_are_there() -> None:
    kinds = sorted(name.partition("/")[0] for name in MANIFESTS)
    assert sorted(set(kinds)) == [
        "ConfigMap",
        "Deployment",
        "Namespace",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "RayCluster",
        "Secret",
        "Service",
    ]
    assert kinds.count("NetworkPolicy") == 2


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_manifest_is_valid(name: str) -> None:
    check(MANIFESTS[name])
    if name != "Namespace/zerostart":
        assert MANIFESTS[name]["metadata"]["namespace"] == "zerostart"


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        (SERVER, ("spec", "template", "spec", "containers", 0, "imagee"), "zerostart"),
        (SERVER, ("spec", "replicas"), "one"),
        (SERVER, ("spec", "template", "spec", "containers", 0, "ports", 0, "containerPort"), "8480"),
        ("Service/zerostart", ("spec", "selectors"), {}),
        ("NetworkPolicy/zerostart-ray", ("spec", "ingress", 0, "ports", 0, "endport"), 7000),
        ("PersistentVolumeClaim/zerostart-home", ("spec", "accessModes"), "ReadWriteOnce"),
        ("Secret/zerostart-database", ("stringdata",), {}),
        (CLUSTER, ("spec", "headGroupSpec", "rayStartParams", "num-cpus"), 0),
        (CLUSTER, ("spec", "workerGroupSpecs", 0, "replica"), 2),
        (CLUSTER, ("spec", "workerGroupSpec"), []),
        (CLUSTER, ("spec", "headGroupSpec", "template", "spec", "containers", 0, "env", 0, "valeu"), "token"),
    ],
    ids=lambda each: "/".join(map(str, each)) if isinstance(each, tuple) else None,
)
def test_a_wrong_field_is_found(name: str, path: tuple[str | int, ...], value: object) -> None:
    broken = copy.deepcopy(MANIFESTS[name])
    place: Any = broken
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        check(broken)


@pytest.mark.parametrize("field", ["groupName", "maxReplicas", "template"])
def test_a_missing_field_is_found(field: str) -> None:
    broken = copy.deepcopy(MANIFESTS[CLUSTER])
    del broken["spec"]["workerGroupSpecs"][0][field]
    with pytest.raises(jsonschema.ValidationError):
        check(broken)


def _variables() -> set[str]:
    """Every environment variable of Zerostart's that a manifest or the page about scaling names."""
    text = "".join(path.read_text("utf-8") for path in [*FOLDER.glob("*.yaml"), DOCS / "scaling.md"])
    return set(re.findall(rf"\b{PREFIX}[A-Z0-9_]+", text))


def test_every_variable_is_a_setting() -> None:
    known = {f"{PREFIX}{each.name.upper()}" for each in dataclasses.fields(Settings)}
    named = _variables()
    assert len(named) > 5
    assert named - known == set()


@pytest.mark.parametrize("owner", PODS)
def test_what_a_pod_refers_to_is_there(owner: str) -> None:
    pod = PODS[owner]
    text = json.dumps(pod)
    for kind, key in (("Secret", "secretRef"), ("Secret", "secretKeyRef"), ("ConfigMap", "configMapRef")):
        for name, entry in re.findall(rf'"{key}": {{"name": "([^"]+)"(?:, "key": "([^"]+)")?', text):
            assert f"{kind}/{name}" in MANIFESTS
            assert not entry or entry in MANIFESTS[f"{kind}/{name}"]["stringData"]
    for name in re.findall(r'"secretName": "([^"]+)"', text):
        assert name in MADE_BY_HAND
        assert name in (FOLDER / "secrets.example.yaml").read_text("utf-8")
    for name in re.findall(r'"claimName": "([^"]+)"', text):
        assert f"PersistentVolumeClaim/{name}" in MANIFESTS


@pytest.mark.parametrize("owner", PODS)
def test_pods_run_as_an_ordinary_user_without_privileges(owner: str) -> None:
    pod = PODS[owner]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_the_server_is_started_as_this_version_starts() -> None:
    (command,) = PODS[SERVER]["containers"][0]["args"]
    serve = command.partition("exec zerostart serve")[2]
    given = re.findall(r"--[a-z-]+", serve)
    program: Any = typer.main.get_command(app)
    assert given
    assert set(given) <= {option for parameter in program.commands["serve"].params for option in parameter.opts}
    assert PODS[SERVER]["terminationGracePeriodSeconds"] > Settings().drain_grace_s


def test_the_cluster_is_found_by_the_name_that_kuberay_gives_its_service() -> None:
    address = MANIFESTS["ConfigMap/zerostart-settings"]["data"]["ZEROSTART_RAY_ADDRESS"]
    assert address == f"{MANIFESTS[CLUSTER]['metadata']['name']}-head-svc:6379"


def _ray_ports(parameters: dict[str, str]) -> set[int]:
    workers = range(int(parameters["min-worker-port"]), int(parameters["max-worker-port"]) + 1)
    return {int(parameters["node-manager-port"]), int(parameters["object-manager-port"]), *workers}


def _opened(rules: list[Manifest]) -> set[int]:
    ports = [port for rule in rules for port in rule["ports"] if port["protocol"] == "TCP"]
    return {number for port in ports for number in range(port["port"], port.get("endPort", port["port"]) + 1)}


def test_the_fence_opens_the_ports_of_ray_to_its_own_pods_and_the_server_alone() -> None:
    spec = MANIFESTS[CLUSTER]["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    used = {6379}.union(*(_ray_ports(group["rayStartParams"]) for group in groups))
    fence = MANIFESTS["NetworkPolicy/zerostart-ray"]["spec"]
    assert fence["policyTypes"] == ["Ingress", "Egress"]
    assert _opened(fence["ingress"]) == used
    callers = [peer["podSelector"]["matchLabels"] for rule in fence["ingress"] for peer in rule["from"]]
    server_labels = MANIFESTS[SERVER]["spec"]["template"]["metadata"]["labels"]
    assert callers == [{"ray.io/cluster": MANIFESTS[CLUSTER]["metadata"]["name"]}, server_labels]
    server = MANIFESTS["NetworkPolicy/zerostart-server"]["spec"]
    assert _opened(server["egress"]) >= used
    for rule in server["ingress"]:  # from outside of the namespace the server's own port alone
        if any("namespaceSelector" in peer for peer in rule["from"]):
            assert _opened([rule]) == {Settings().port}


def test_ray_is_started_with_options_that_it_has_and_without_a_dashboard_that_others_reach() -> None:
    scripts = pytest.importorskip("ray.scripts.scripts")
    known = {option for parameter in scripts.start.params for option in parameter.opts}
    spec = MANIFESTS[CLUSTER]["spec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        assert {f"--{name}" for name in group["rayStartParams"]} <= known
    (command,) = PODS[SERVER]["containers"][0]["args"]
    joined = command.partition("ray start")[2].partition("&&")[0]
    assert set(re.findall(r"--[a-z-]+", joined)) <= known
    assert spec["headGroupSpec"]["rayStartParams"]["include-dashboard"] == "false"
    assert spec["headGroupSpec"]["rayStartParams"]["dashboard-host"] == "127.0.0.1"
