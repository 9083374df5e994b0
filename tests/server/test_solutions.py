"""zerostart solutions against a server that works: launched, launched again, killed half-way, deleted."""

import base64
import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ServerProcess, broken_artefact, children_of, clean_environment, wait_for
from tests.server.test_clean_up import files, own_api, rows
from zerostart.credentials import Role, create_access_key

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NAME = "zero-shot-text-classification"
FAKE = {"ZEROSTART_ENGINE": "fake"}
TEXTS = (
    ("Health & Fitness", "Run 5 km &amp; stretch @coach http://t.co/a"),
    ("Humor", "Lol: stop being so perfect"),
    ("Finance", "Save 50 a month"),
    ("Career", "Find a job I like"),
)
PUBLISHED = (
    "sagemaker-solutions-prod-us-east-1",
    "0.2.0/Zero-shot-text-classification/1.0.0/artifacts/data/jumpstart-soln-zero-shot-text-clf-data.csv",
)
LONG_S = 600


def command(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`zerostart solutions`."""
    return subprocess.run(
        [sys.executable, "-m", "zerostart", "solutions", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=clean_environment(server.home, COLUMNS="140"),
        timeout=LONG_S,
    )


def data_file(folder: Path, texts: tuple[tuple[str, str], ...] = TEXTS) -> Path:
    """A file as the real one is, with more columns."""
    path = folder / "mine.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["tweet_id", "Resolution_Category", "text"])
        writer.writerows([number, *row] for number, row in enumerate(texts))
    return path


def shown(server: ServerProcess, name: str = "") -> dict[str, Any]:
    status, state = own_api(server, f"solutions/{NAME}?name={name}")
    assert status == 200, state
    found: dict[str, Any] = state
    return found


def done(state: dict[str, Any]) -> list[str]:
    return [step["step"] for step in state["steps"] if step["status"] == "done"]


def text_of(server: ServerProcess, bucket: str, key: str) -> str:
    content: bytes = server.s3().get_object(Bucket=bucket, Key=key)["Body"].read()
    return content.decode()


def begin(server: ServerProcess, folder: Path, name: str = "", until: str = "endpoint") -> dict[str, Any]:
    """Launch, and come back when a step is done."""
    content = base64.b64encode(data_file(folder).read_bytes()).decode()
    status, state = own_api(server, f"solutions/{NAME}", {"name": name, "data": content})
    assert status == 200, state
    return wait_for(lambda: (now := shown(server, name)) and until in done(now) and now, LONG_S)  # type: ignore[no-any-return]


def tags(server: ServerProcess, arn: str) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in server.sagemaker().list_tags(ResourceArn=arn)["Tags"]}


def check_results(server: ServerProcess, state: dict[str, Any]) -> None:
    """That report, first call and texts are in the bucket, and that notebooks fetch these texts."""
    report = text_of(server, state["bucket"], "results/report.html")
    assert "confused" in report.lower()
    assert "Time Management/Organization" in report
    document = json.loads(text_of(server, state["bucket"], "results/report.json"))
    assert document["rows"] == 4
    assert abs(document["figures"]["accuracy"]["value"] - state["accuracy"]) < 1e-6
    call = json.loads(text_of(server, state["bucket"], "results/first-call.json"))
    assert call["text"] == "Run 5 km & stretch"
    assert len(call["answer"]["labels"]) == 10
    data = text_of(server, state["bucket"], "data/jumpstart-soln-zero-shot-text-clf-data.csv")
    assert next(csv.DictReader(io.StringIO(data))) == {
        "Resolution_Category": "Health & Fitness",
        "text": "Run 5 km & stretch",
    }
    assert text_of(server, *PUBLISHED) == data


def check_deletion(server: ServerProcess, bucket: str) -> None:
    """That what the launch made goes, once somebody says so, and nothing else."""
    client, s3 = server.sagemaker(), server.s3()
    nobody = command(server, "delete", NAME)
    assert nobody.returncode == 1
    assert "give --yes" in nobody.stderr
    for what in ("model", "endpoint-config", "endpoint", "transform-job"):
        assert f"{what:<16} {NAME}\n" in nobody.stdout
    assert f"s3://{bucket}/notes/mine.txt" in nobody.stdout
    assert server.status(NAME) == "InService"
    deleted = command(server, "delete", NAME, "--yes")
    assert deleted.returncode == 0, deleted
    assert f"Removed: endpoint {NAME}\n" in deleted.stdout
    assert f"Kept: bucket {bucket}: It stays with what you put into it (notes/mine.txt)" in deleted.stdout
    assert "none left" in deleted.stdout
    assert server.status(f"{NAME}-2") == "InService"
    assert text_of(server, "mine", "results/report.html") == "mine"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["notes/mine.txt"]
    assert [each["ModelName"] for each in client.list_models()["Models"]] == [f"{NAME}-2"]
    assert client.list_transform_jobs()["TransformJobSummaries"] == []
    assert "Resolution_Category" in text_of(server, *PUBLISHED)


def test_it_is_launched_shown_launched_again_and_deleted_and_others_keep_theirs(home: Path, tmp_path: Path) -> None:
    with ServerProcess(home, **FAKE) as server:
        client, s3 = server.sagemaker(), server.s3()
        server.deploy(f"{NAME}-2")  # the user's, of a similar name
        s3.create_bucket(Bucket="mine")
        s3.put_object(Bucket="mine", Key="results/report.html", Body=b"mine")
        assert f"Not launched: zerostart solutions launch {NAME}" in command(server, "list").stdout
        launched = command(server, "launch", NAME, "--data", str(data_file(tmp_path)))
        assert launched.returncode == 0, launched
        for title in ("Bucket with the texts", "Model", "Endpoint in service", "First real-time call", "Report"):
            assert f"✓ {title}" in launched.stderr
        state = shown(server)
        assert state["status"] == "launched"
        bucket = state["bucket"]
        assert f"s3://{bucket}/results/report.html" in launched.stdout
        assert "4 texts, accuracy" in launched.stdout
        check_results(server, state)
        data = text_of(server, *PUBLISHED)
        arn = client.describe_endpoint(EndpointName=NAME)["EndpointArn"]
        assert tags(server, arn)["zerostart:solution"] == NAME
        job = client.describe_transform_job(TransformJobName=NAME)
        assert tags(server, job["TransformJobArn"])["zerostart:solution"] == NAME

        again = command(server, "launch", NAME, "--data", str(data_file(tmp_path)))
        assert again.returncode == 0
        assert "is launched already" in again.stderr
        assert client.describe_transform_job(TransformJobName=NAME)["CreationTime"] == job["CreationTime"]
        other = command(server, "launch", NAME, "--data", str(data_file(tmp_path, TEXTS[:2])))
        assert other.returncode == 1
        assert "is launched already, with other texts: delete it first" in other.stderr
        s3.put_object(Bucket=bucket, Key="notes/mine.txt", Body=b"mine")

        check_deletion(server, bucket)
        assert text_of(server, *PUBLISHED) != data
        missing = command(server, "delete", NAME, "--yes")
        assert missing.returncode == 1
        assert "is not launched: there is nothing to delete" in missing.stderr


def test_a_launch_that_a_killed_server_left_is_shown_gone_on_with_and_deleted(home: Path, tmp_path: Path) -> None:
    with ServerProcess(home, **FAKE) as server:
        begun = begin(server, tmp_path)
        assert begun["status"] == "running"
        server.kill()
    with ServerProcess(home, **FAKE) as server:
        left = shown(server)
        assert left["status"] == "interrupted"
        assert "report" not in done(left)
        assert left["bucket"] == begun["bucket"]
        gone_on = command(server, "launch", NAME)
        assert gone_on.returncode == 0, gone_on
        assert "goes on with what is missing" in gone_on.stderr
        assert "4 texts, accuracy" in gone_on.stdout
        assert shown(server)["bucket"] == begun["bucket"]
        second = begin(server, tmp_path, "second", until="model")
        server.kill()
    with ServerProcess(home, **FAKE) as server:
        assert shown(server, "second")["status"] == "interrupted"
        assert {each["name"] for each in own_api(server, "solutions")[1]["solutions"][0]["launches"]} == {
            NAME,
            "second",
        }
        deleted = command(server, "delete", NAME, "--name", "second", "--yes")
        assert deleted.returncode == 0, deleted
        assert f"Removed: bucket {second['bucket']}" in deleted.stdout
        assert server.status(NAME) == "InService"
        everything = command(server, "delete", NAME, "--yes")
        assert everything.returncode == 0, everything
        assert rows(home) == {}
        assert files(home) == []
        assert children_of(server.pid) == []


def test_what_is_running_is_deleted_too_by_either_way(home: Path, tmp_path: Path) -> None:
    with ServerProcess(home, **FAKE) as server:
        begin(server, tmp_path, until="transform-job")
        deleted = command(server, "delete", NAME, "--yes")
        assert deleted.returncode == 0, deleted
        assert rows(home) == {}
        begin(server, tmp_path, "tweets", until="data")
        done_all = subprocess.run(
            [sys.executable, "-m", "zerostart", "delete", "--all", "--yes"],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env=clean_environment(home),
            timeout=LONG_S,
        )
        # What it made between the list and the deletion is named, and goes with the next one.
        if done_all.returncode:
            assert command(server, "delete", NAME, "--yes").returncode == 0
        assert rows(home) == {}
        assert files(home) == []


def test_a_step_that_fails_is_named_with_what_to_do_and_the_launch_goes_on_from_it(home: Path, tmp_path: Path) -> None:
    with ServerProcess(home, **FAKE) as server:
        broken_artefact(home)
        failed = command(server, "launch", NAME, "--model", "broken", "--data", str(data_file(tmp_path)))
        assert failed.returncode == 1
        assert "step “Endpoint in service”: The endpoint failed" in failed.stderr
        assert f"go on with it: zerostart solutions launch {NAME}" in failed.stderr
        assert "failed, 3 of 9 steps" in command(server, "list").stdout
        other = command(server, "launch", NAME, "--model", "zerostart-zstc-small")
        assert "is launched already, with the model broken" in other.stderr
        tokenizer = home / "models" / "broken" / "tokenizer.json"
        tokenizer.write_text(tokenizer.read_text()[:-1])  # whole again
        mended = command(server, "launch", NAME, "--json")
        assert mended.returncode == 0, mended
        assert json.loads(mended.stdout)["status"] == "launched"
        assert command(server, "delete", NAME, "--yes").returncode == 0
        assert rows(home) == {}


def test_what_cannot_be_launched_says_why_and_makes_nothing(home: Path, tmp_path: Path) -> None:
    with ServerProcess(home, **FAKE) as server:
        server.create_config(NAME)  # the user's
        taken = command(server, "launch", NAME)
        assert f"There is a model {NAME} that this solution did not make: launch under another name" in taken.stderr
        assert "'a/b' cannot name an endpoint" in command(server, "launch", NAME, "--name", "a/b").stderr
        assert "There is no solution 'other'" in command(server, "launch", "other").stderr
        unknown = command(server, "launch", NAME, "--name", "mine", "--model", "no/such")
        assert "no/such" in unknown.stderr
        wrong = data_file(tmp_path, (("Cats", "Feed them"),))
        assert "row 1: Resolution_Category is 'Cats'" in command(server, "launch", NAME, "--data", str(wrong)).stderr
        absent = command(server, "launch", NAME, "--data", str(tmp_path / "none.csv"))
        assert "none.csv cannot be read: No such file" in absent.stderr
        assert "is not launched" in command(server, "show", NAME).stderr
        assert own_api(server, f"solutions/{NAME}", {"data": "%"})[0] == 400
        assert server.s3().list_buckets()["Buckets"] == []
        assert [each["ModelName"] for each in server.sagemaker().list_models()["Models"]] == [NAME]
        invoker = create_access_key(home / "access-keys.json", "solutions-invoke", Role.INVOKE, ["x"])
        for page, asked in (("solutions", None), (f"solutions/{NAME}", {}), (f"solutions/{NAME}/delete", {})):
            assert own_api(server, page, asked, invoker.secret_access_key)[0] == 403
        assert rows(home).keys() == {"models", "endpoint_configs"}


def test_without_scikit_learn_the_report_says_what_to_install_and_is_made_later(home: Path, tmp_path: Path) -> None:
    missing = tmp_path / "without" / "sklearn"
    missing.mkdir(parents=True)
    (missing / "__init__.py").write_text("raise ImportError('not here')\n")
    path = ":".join([str(missing.parent), *sys.path])
    with ServerProcess(home, PYTHONPATH=path, **FAKE) as server:
        launched = command(server, "launch", NAME, "--data", str(data_file(tmp_path)))
        assert launched.returncode == 0, launched
        assert "not measured: it says what to install" in launched.stdout
        state = shown(server)
        assert "pip install &#x27;zerostart[evaluate]&#x27;" in text_of(server, state["bucket"], "results/report.html")
    with ServerProcess(home, **FAKE) as server:
        again = command(server, "launch", NAME)
        assert again.returncode == 0, again
        assert "4 texts, accuracy" in again.stdout
