"""A profile on every surface: an endpoint, a job, the command line and Python give the same answers by it."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pyarrow import parquet

from tests.processes import BUILTIN, ROLE, ServerProcess, clean_environment, wait_for
from zerostart import pipeline
from zerostart.nli.profile import Profile, ProfileLabel
from zerostart.nli.template import HypothesisTemplate

# Workers have a low priority, and wait long on a busy machine.
pytestmark = pytest.mark.timeout(600)

TEXTS = [f"text number {number}" for number in range(12)]
LABELS = (
    ProfileLabel("travel", "journeys", 0.4, 0.6),
    ProfileLabel("cooking", "cooking", -0.3),
    ProfileLabel("money", "money and banks"),
)
PROFILE = Profile(LABELS, HypothesisTemplate("It says {}."), temperature=1.5, unsure_below=0.45, model_id=BUILTIN)
MULTI = Profile(LABELS, HypothesisTemplate("It says {}."), multi_label=True, scorer="nli")
NAMES = [label.name for label in LABELS]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with the fake engine, whose scores depend on the pair alone, and a bucket with both profiles."""
    with ServerProcess(tmp_path_factory.mktemp("profiles") / "home", ZEROSTART_ENGINE="fake") as process:
        process.s3().create_bucket(Bucket="texts")
        for name, profile in (("single", PROFILE), ("multi", MULTI)):
            put(process, f"{name}.json", json.dumps(profile.document()).encode())
        yield process


def put(server: ServerProcess, key: str, content: bytes) -> None:
    server.s3().put_object(Bucket="texts", Key=key, Body=content)


def model(server: ServerProcess, name: str, profile: str) -> None:
    environment = {"HF_MODEL_ID": BUILTIN, "ZEROSTART_PROFILE": profile}
    server.sagemaker().create_model(
        ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Environment": environment}
    )


def job(
    server: ServerProcess,
    name: str,
    model_name: str,
    content: bytes,
    environment: dict[str, str],
    kind: str,
    accept: str,
) -> bytes:
    """What a job writes of `content`."""
    put(server, f"{name}/in/texts", content)
    client = server.sagemaker()
    source: Any = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://texts/{name}/in/"}}
    client.create_transform_job(
        TransformJobName=name,
        ModelName=model_name,
        Environment=environment,
        TransformInput={"DataSource": source, "ContentType": kind, "SplitType": "Line"},
        TransformOutput={"S3OutputPath": f"s3://texts/{name}/out", "AssembleWith": "Line", "Accept": accept},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )

    def ended() -> Any:
        shown = client.describe_transform_job(TransformJobName=name)
        return shown if shown["TransformJobStatus"] in {"Completed", "Failed"} else None

    found = wait_for(ended, 300)
    assert found["TransformJobStatus"] == "Completed", found
    written: bytes = server.s3().get_object(Bucket="texts", Key=f"{name}/out/texts.out")["Body"].read()
    return written


def command(server: ServerProcess, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "zerostart", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(server.home, ZEROSTART_ENGINE="fake", AWS_ENDPOINT_URL=server.address, COLUMNS="200"),
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def answers(server: ServerProcess) -> list[dict[str, Any]]:
    """What Python answers by the profile."""
    with pipeline(profile=PROFILE, engine="fake", home=server.home) as classify:
        return classify(TEXTS)


def test_every_surface_gives_the_same_answers(
    server: ServerProcess, answers: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert {each["unsure"] for each in answers} == {True, False}
    assert all(set(each["labels"]) == set(NAMES) for each in answers)
    path = tmp_path / "p.json"
    path.write_text(json.dumps(PROFILE.document()))
    with pipeline(profile=path, engine="fake", home=server.home) as classify:
        assert classify(TEXTS, candidate_labels=NAMES) == answers
        turned = classify(TEXTS, candidate_labels=list(reversed(NAMES)))
        assert [(each["labels"], each["unsure"]) for each in turned] == [
            (each["labels"], each["unsure"]) for each in answers
        ]
        other = classify(TEXTS[0], candidate_labels=["sport", "art"])
    printed = command(server, "classify", *TEXTS, "--profile", str(path), "--format", "json")
    assert [json.loads(line) for line in printed.splitlines()] == answers

    command(server, "deploy", BUILTIN, "--endpoint-name", "tuned", "--profile", str(path), "--wait")
    assert server.invoke("tuned", {"inputs": TEXTS}) == answers
    named = {"inputs": TEXTS, "parameters": {"candidate_labels": NAMES, "hypothesis_template": "This example is {}."}}
    assert server.invoke("tuned", named) == answers
    assert server.invoke("tuned", {"inputs": TEXTS[0], "candidate_labels": ["sport", "art"]}) == other
    assert "unsure" not in other, "the profile is not for other labels"
    assert [json.loads(each) for each in command(server, "invoke", "tuned", *TEXTS).splitlines()] == answers

    lines = b"".join(json.dumps({"inputs": text}).encode() + b"\n" for text in TEXTS)
    by_model = job(server, "by-model", "tuned", lines, {}, "application/jsonlines", "application/jsonlines")
    assert [json.loads(line) for line in by_model.splitlines()] == answers
    server.delete("tuned")


def test_a_job_takes_a_profile_of_its_own(server: ServerProcess, answers: list[dict[str, Any]], tmp_path: Path) -> None:
    path, source, output = tmp_path / "p.json", tmp_path / "in.txt", tmp_path / "out.csv"
    path.write_text(PROFILE.compact())
    source.write_text("\n".join(TEXTS))
    command(server, "transform", "create", "--input", str(source), "--profile", str(path), "--output", str(output))
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert [(row["label"], float(row["score"]), json.loads(row["unsure"])) for row in rows] == [
        (each["labels"][0], each["scores"][0], each["unsure"]) for each in answers
    ]


def test_several_labels_a_text_by_a_profile_in_a_bucket(server: ServerProcess) -> None:
    with pipeline(profile=MULTI, engine="fake", home=server.home) as classify:
        expected = classify(TEXTS, candidate_labels=NAMES)
        assert "chosen" not in classify(TEXTS[0], candidate_labels=NAMES, multi_label=False)
    assert {len(each["chosen"]) for each in expected} > {0, 1}
    model(server, "multi", "s3://texts/multi.json")
    put(server, "multi.json", b"{}")  # read once, when the model was made
    table = "\n".join(TEXTS).encode()
    kind = "application/vnd.apache.parquet"
    written = job(server, "multi", "multi", table, {}, "text/plain", kind)
    rows = parquet.read_table(io.BytesIO(written)).to_pylist()
    assert [row["chosen"] for row in rows] == [each["chosen"] for each in expected]
    server.sagemaker().delete_model(ModelName="multi")


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ("/etc/passwd", "give the profile's JSON, or s3://"),
        ("file:///etc/passwd", "give the profile's JSON, or s3://"),
        ("../p.json", "give the profile's JSON, or s3://"),
        ("s3://texts/nothing.json", "cannot be read"),
        ("s3://nowhere/p.json", "cannot be read"),
        ("s3://texts/../../credentials", "cannot be read"),
        ("s3://texts/words.txt", "is not JSON"),
        ('{"format": 1}', "'labels' must be"),
        (Profile(LABELS, model_id="acme/other").compact(), "tuned with acme/other"),
    ],
)
def test_what_is_no_profile_of_this_model_is_refused(server: ServerProcess, profile: str, words: str) -> None:
    put(server, "words.txt", b"a secret of somebody")
    with pytest.raises(ClientError) as caught:
        model(server, "refused", profile)
    message = caught.value.response["Error"]["Message"]
    assert words in message
    assert "secret" not in message
    with pytest.raises(ClientError):
        server.sagemaker().describe_model(ModelName="refused")
