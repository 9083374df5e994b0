"""Keys with roles: what each may do, by unmodified boto3, and what AWS says where it may not."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.processes import BUILTIN, ROLE, ServerProcess, clean_environment, wait_for
from zerostart.credentials import AccessKey, Role, create_access_key, revoke_access_key

QUESTION = json.dumps({"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("roles") / "home", ZEROSTART_ENGINE="fake") as process:
        process.deploy("open")
        process.deploy("closed")
        yield process


@pytest.fixture
def made(server: ServerProcess) -> Iterator[Callable[..., AccessKey]]:
    names: list[str] = []

    def make(role: Role, *endpoints: str) -> AccessKey:
        key = create_access_key(_path(server), f"key-{len(names)}", role, endpoints)
        names.append(key.name)
        return key

    yield make
    for name in names:
        revoke_access_key(_path(server), name)


def _path(server: ServerProcess) -> Path:
    return server.home / "access-keys.json"


def refused(call: Callable[[], object]) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


def denied(key: AccessKey, action: str, resource: str) -> str:
    return (
        f"User: arn:aws:sts::000000000000:assumed-role/zerostart/{key.access_key_id} is not authorized to perform: "
        f"{action} on resource: {resource} because no identity-based policy allows the {action} action"
    )


def test_a_deploy_key_does_all_that_the_work_needs(server: ServerProcess, made: Callable[..., AccessKey]) -> None:
    key = made(Role.DEPLOY)
    sagemaker, s3 = server.client("sagemaker", key), server.client("s3", key)
    container = {"Environment": {"HF_MODEL_ID": BUILTIN, "HF_TASK": "zero-shot-classification"}}
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    sagemaker.delete_model(ModelName="m")
    s3.create_bucket(Bucket="b-1")
    s3.put_object(Bucket="b-1", Key="k", Body=b"x")
    s3.delete_object(Bucket="b-1", Key="k")
    s3.delete_bucket(Bucket="b-1")
    assert server.client("logs", key).describe_log_groups()["logGroups"]
    assert server.client("iam", key).get_role(RoleName="any")["Role"]["RoleName"] == "any"
    answer = server.client("sagemaker-runtime", key).invoke_endpoint(EndpointName="open", Body=QUESTION)
    assert len(json.loads(answer["Body"].read())["labels"]) == 2


def test_an_invoke_key_asks_its_endpoints_and_does_nothing_else(
    server: ServerProcess, made: Callable[..., AccessKey]
) -> None:
    key = made(Role.INVOKE, "open")
    runtime, sagemaker = server.client("sagemaker-runtime", key), server.client("sagemaker", key)
    answer = runtime.invoke_endpoint(EndpointName="open", Body=QUESTION)
    assert len(json.loads(answer["Body"].read())["labels"]) == 2
    assert server.client("sts", key).get_caller_identity()["Arn"].endswith(f"/zerostart/{key.access_key_id}")

    arn = "arn:aws:sagemaker:us-east-1:000000000000"
    assert refused(lambda: runtime.invoke_endpoint(EndpointName="closed", Body=QUESTION)) == (
        *("AccessDeniedException", 403),
        denied(key, "sagemaker:InvokeEndpoint", f"{arn}:endpoint/closed"),
    )
    for name in ("nowhere", "closed/../open", "open%2F..%2Fclosed", "x:endpoint/open"):
        code, _, _ = refused(lambda name=name: runtime.invoke_endpoint(EndpointName=name, Body=QUESTION))  # type: ignore[misc]
        assert code in {"AccessDeniedException", "404"}, name
    location = "s3://b-1/k"
    code, status, _ = refused(lambda: runtime.invoke_endpoint_async(EndpointName="closed", InputLocation=location))
    assert (code, status) == ("AccessDeniedException", 403)
    assert refused(lambda: sagemaker.delete_endpoint(EndpointName="open")) == (
        *("AccessDeniedException", 400),
        denied(key, "sagemaker:DeleteEndpoint", f"{arn}:endpoint/open"),
    )
    assert refused(sagemaker.list_endpoints)[2] == denied(key, "sagemaker:ListEndpoints", "*")
    assert refused(lambda: sagemaker.add_tags(ResourceArn=f"{arn}:endpoint/open", Tags=[{"Key": "a", "Value": "b"}]))[
        2
    ] == denied(key, "sagemaker:AddTags", f"{arn}:endpoint/open")
    s3 = server.client("s3", key)
    assert refused(lambda: s3.get_object(Bucket="b-1", Key="a/k")) == (
        *("AccessDenied", 403),
        denied(key, "s3:GetObject", '"arn:aws:s3:::b-1/a/k"'),
    )
    assert refused(s3.list_buckets)[:2] == ("AccessDenied", 403)
    assert wait_for(lambda: {json.loads(line)["key"] for line in server.log if "AccessDenied" in line}) == {key.name}
    assert refused(lambda: server.client("iam", key).get_role(RoleName="any"))[:2] == ("AccessDenied", 403)
    assert refused(server.client("logs", key).describe_log_groups)[:2] == ("AccessDeniedException", 400)


def test_bearer_keys_obey_the_same_roles(server: ServerProcess, made: Callable[..., AccessKey]) -> None:
    key = made(Role.INVOKE, "open")

    def status(path: str, body: bytes | None) -> int:
        headers = {"Authorization": f"Bearer {key.secret_access_key}", "Content-Type": "application/json"}
        try:
            with urllib.request.urlopen(urllib.request.Request(server.address + path, body, headers)) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    assert status("/endpoints/open/invocations", QUESTION) == 200
    assert status("/endpoints/closed/invocations", QUESTION) == 403
    assert status("/metrics", None) == 403


def test_a_revoked_key_is_refused_by_the_next_request_and_others_go_on(server: ServerProcess) -> None:
    kept, gone = (create_access_key(_path(server), name, Role.DEPLOY) for name in ("kept", "gone"))
    for key in (kept, gone):
        assert server.client("sagemaker", key).list_models()
    revoke_access_key(_path(server), "gone")
    code, status, message = refused(server.client("sagemaker", gone).list_models)
    assert (code, status) == ("UnrecognizedClientException", 403)
    assert "does not know this access key" in message
    assert server.client("sagemaker", kept).list_models()
    url = server.client("s3", kept).generate_presigned_url("list_buckets")
    assert urllib.request.urlopen(url).status == 200
    revoke_access_key(_path(server), "kept")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url)


def test_the_command_line_makes_lists_and_revokes_keys(server: ServerProcess) -> None:
    def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "zerostart", *arguments],
            env=clean_environment(server.home, AWS_ENDPOINT_URL=server.address, **variables),
            capture_output=True,
            text=True,
            check=False,
        )

    def code(*arguments: str, **variables: str) -> tuple[int, str]:
        done = run(*arguments, **variables)
        return done.returncode, done.stderr

    made = run("keys", "create", "website", "--role", "invoke", "--endpoint", "open")
    given = dict(line.removeprefix("export ").split("=", 1) for line in made.stdout.splitlines())
    keys = {name: value.strip("'") for name, value in given.items() if name.startswith("AWS_")}
    assert keys["AWS_ENDPOINT_URL"] == server.address
    assert run("invoke", "open", "Pack the bags.", "--labels", "a,b", **_without_url(keys)).returncode == 0
    assert "is not authorized to perform: sagemaker:InvokeEndpoint" in (
        run("invoke", "closed", "Pack the bags.", "--labels", "a,b", **_without_url(keys)).stderr
    )
    shown = json.loads(run("keys", "list", "--format", "json").stdout)
    assert [(each["name"], each["role"], each["endpoints"]) for each in shown] == [
        ("installation", "admin", []),
        ("website", "invoke", ["open"]),
    ]
    assert keys["AWS_SECRET_ACCESS_KEY"] not in run("keys", "list").stdout + json.dumps(shown)
    for arguments, words in (
        (("create", "website", "--role", "admin"), "There is a key named website"),
        (("create", "other", "--role", "invoke"), "give --endpoint"),
        (("create", "other", "--role", "deploy", "--endpoint", "open"), "not bound to endpoints"),
        (("create", "no good", "--role", "deploy"), "cannot name a key"),
        (("revoke", "nobody"), "There is no key 'nobody' that could be revoked; there are: website"),
        (("revoke", "installation"), "There is no key 'installation' that could be revoked"),
    ):
        returned, message = code("keys", *arguments)
        assert returned == 1
        assert words in message
    assert code("keys", "revoke", keys["AWS_ACCESS_KEY_ID"])[0] == 0
    assert (
        "does not know this access key"
        in code("invoke", "open", "Pack the bags.", "--labels", "a,b", **_without_url(keys))[1]
    )


def _without_url(keys: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in keys.items() if name != "AWS_ENDPOINT_URL"}
