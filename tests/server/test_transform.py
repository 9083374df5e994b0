"""Transform jobs through unmodified boto3: real workers, real kills."""

import gzip
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.processes import BUILTIN, ROLE, ServerProcess, children_of, wait_for

LABELS = ["travel", "cooking", "money"]
WORDS = [
    "the",
    "a",
    "travel",
    "cook",
    "money",
    "bank",
    "sport",
    "health",
    "run",
    "quit",
    "book",
    "dog",
    "cat",
    "house",
    "car",
    "sun",
    "rain",
    "code",
    "music",
    "art",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[ServerProcess]:
    home = tmp_path_factory.mktemp("transform") / "home"
    with ServerProcess(home, ZEROSTART_ENGINE="fake", ZEROSTART_DATABASE_URL=database_url) as process:
        prepare(process)
        yield process


def prepare(server: ServerProcess) -> None:
    server.s3().create_bucket(Bucket="texts")
    container: Any = {"Environment": {"HF_MODEL_ID": BUILTIN, "HF_TASK": "zero-shot-classification"}}
    server.sagemaker().create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)


def create(server: ServerProcess, name: str, **asked: Any) -> None:
    """A job over s3://texts/NAME/in/ to s3://texts/NAME/out."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://texts/{name}/in/"} | asked.pop("S3DataSource", {})
    given = {"DataSource": {"S3DataSource": source}, "ContentType": "application/json", "SplitType": "Line"}
    output = {"S3OutputPath": f"s3://texts/{name}/out", "AssembleWith": "Line"} | asked.pop("TransformOutput", {})
    resources: Any = {"InstanceType": "ml.m5.large", "InstanceCount": asked.pop("InstanceCount", 1)}
    server.sagemaker().create_transform_job(
        TransformJobName=name,
        ModelName="m",
        TransformInput=given | asked.pop("TransformInput", {}),
        TransformOutput=output,
        TransformResources=resources,
        **asked,
    )


def ended(server: ServerProcess, name: str, timeout_s: float = 60) -> dict[str, Any]:
    client = server.sagemaker()

    def look() -> Any:
        shown = client.describe_transform_job(TransformJobName=name)
        return shown if shown["TransformJobStatus"] in {"Completed", "Failed", "Stopped"} else None

    found: dict[str, Any] = wait_for(look, timeout_s)
    return found


def put(server: ServerProcess, key: str, content: bytes) -> None:
    server.s3().put_object(Bucket="texts", Key=key, Body=content)


def got(server: ServerProcess, key: str) -> bytes:
    content: bytes = server.s3().get_object(Bucket="texts", Key=key)["Body"].read()
    return content


def keys(server: ServerProcess, prefix: str) -> list[str]:
    return [each["Key"] for each in server.s3().list_objects_v2(Bucket="texts", Prefix=prefix).get("Contents", ())]


def records(count: int, seed: int = 1) -> list[dict[str, Any]]:
    chosen = random.Random(seed)
    return [
        {"inputs": f"{number} " + " ".join(chosen.choices(WORDS, k=8)), "parameters": {"candidate_labels": LABELS}}
        for number in range(count)
    ]


def lines(documents: list[Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in documents)


def test_every_record_has_its_line_in_the_order_of_the_input(server: ServerProcess) -> None:
    asked = records(3000)
    put(server, "order/in/a.jsonl", lines(asked))
    put(server, "order/in/folder/b.jsonl", lines(asked[:10]))
    create(server, "order", InstanceCount=2, Tags=[{"Key": "a", "Value": "b"}])
    shown = ended(server, "order")
    assert shown["TransformJobStatus"] == "Completed", shown
    assert shown["TransformEndTime"] >= shown["TransformStartTime"] >= shown["CreationTime"]
    assert keys(server, "order/out/") == ["order/out/a.jsonl.out", "order/out/folder/b.jsonl.out"]
    answers = [json.loads(line) for line in got(server, "order/out/a.jsonl.out").splitlines()]
    assert [each["sequence"] for each in answers] == [each["inputs"] for each in asked]
    assert all(sorted(each["labels"]) == sorted(LABELS) for each in answers)
    assert keys(server, ".zerostart/") == []
    listed = server.sagemaker().list_transform_jobs(NameContains="order")["TransformJobSummaries"]
    assert [each["TransformJobStatus"] for each in listed] == ["Completed"]
    logs = server.client("logs", server.keys)
    streams = logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix="order/", orderBy="LogStreamName"
    )["logStreams"]
    events = logs.get_log_events(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamName=streams[0]["logStreamName"], startFromHead=True
    )["events"]
    assert any("order/in/a.jsonl" in each["message"] for each in events)


def test_a_bad_record_fails_its_file_alone_or_is_collected(server: ServerProcess) -> None:
    good = records(200)
    mixed = lines(good[:100]) + b'{"inputs": "no labels"}\n{broken\n\n' + lines(good[100:])
    for name, environment in (("strict", {}), ("collect", {"ZEROSTART_ERRORS": "collect"})):
        put(server, f"{name}/in/bad.jsonl", mixed)
        put(server, f"{name}/in/good.jsonl", lines(good))
        create(server, name, Environment=environment)
    shown = ended(server, "strict")
    assert shown["TransformJobStatus"] == "Failed"
    assert (
        "1 of 2 files failed; the first: texts/strict/in/bad.jsonl: ClientError: 400: line 101"
        in shown["FailureReason"]
    )
    assert keys(server, "strict/out/") == ["strict/out/good.jsonl.out"]
    assert ended(server, "collect")["TransformJobStatus"] == "Completed"
    answers = [json.loads(line) for line in got(server, "collect/out/bad.jsonl.out").splitlines()]
    assert len(answers) == 202
    assert ["error" in each for each in answers[99:103]] == [False, True, True, False]
    errors = [json.loads(line) for line in got(server, "collect/out/bad.jsonl.err.jsonl").splitlines()]
    assert [each["line"] for each in errors] == [101, 102]
    assert "'candidate_labels' is missing" in errors[0]["error"]
    assert "not valid JSON" in errors[1]["error"]


def test_too_many_errors_end_the_job_early(server: ServerProcess) -> None:
    put(server, "rate/in/a.jsonl", lines(records(300)) + b"{broken\n" * 300)
    create(server, "rate", Environment={"ZEROSTART_ERRORS": "collect", "ZEROSTART_MAX_ERROR_RATE": "0.1"})
    shown = ended(server, "rate")
    assert shown["TransformJobStatus"] == "Failed"
    assert "max_error_rate 0.1" in shown["FailureReason"]
    assert keys(server, "rate/out/") == []


def test_formats_of_the_input(server: ServerProcess) -> None:
    texts = ["One day I will see the world.", "Whisk the eggs."]
    labels = {"ZEROSTART_CANDIDATE_LABELS": "travel, cooking", "ZEROSTART_MULTI_LABEL": "true"}
    put(server, "plain/in/a.txt", "\r\n".join(texts).encode())
    create(server, "plain", TransformInput={"ContentType": "text/plain"}, Environment=labels)
    put(server, "csv/in/a.csv", b'id,review\n1,"One day\nI will see the world."\n2,Whisk the eggs.\n')
    create(
        server,
        "csv",
        TransformInput={"ContentType": "text/csv"},
        Environment={**labels, "ZEROSTART_TEXT_COLUMN": "review"},
        DataProcessing={"JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"},
    )
    put(server, "gzip/in/a.jsonl.gz", gzip.compress(lines(records(500))))
    create(server, "gzip", TransformInput={"CompressionType": "Gzip"})
    put(server, "whole/in/a.json", json.dumps({"sequences": texts, "candidate_labels": LABELS}).encode())
    create(server, "whole", TransformInput={"SplitType": "None"}, TransformOutput={"AssembleWith": "None"})
    put(server, "manifest/in/a.jsonl", lines(records(5)))
    put(server, "manifest/in/left-out.jsonl", lines(records(5)))
    put(server, "manifest/list", json.dumps([{"prefix": "s3://texts/manifest/in/"}, "a.jsonl"]).encode())
    create(server, "manifest", S3DataSource={"S3DataType": "ManifestFile", "S3Uri": "s3://texts/manifest/list"})
    for name in ("plain", "csv", "gzip", "whole", "manifest"):
        assert ended(server, name)["TransformJobStatus"] == "Completed", ended(server, name)
    plain = [json.loads(line) for line in got(server, "plain/out/a.txt.out").splitlines()]
    assert [each["sequence"] for each in plain] == texts
    rows = [json.loads(line) for line in got(server, "csv/out/a.csv.out").splitlines()]
    assert [each["id"] for each in rows] == ["1", "2"]
    assert rows[0]["SageMakerOutput"]["sequence"] == "One day\nI will see the world."
    assert len(got(server, "gzip/out/a.jsonl.gz.out").splitlines()) == 500
    assert [each["sequence"] for each in json.loads(got(server, "whole/out/a.json.out"))] == texts
    assert keys(server, "manifest/out/") == ["manifest/out/a.jsonl.out"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"TransformInput": {"ContentType": "text/csv"}}, "set ZEROSTART_CANDIDATE_LABELS"),
        ({"TransformInput": {"ContentType": "image/png"}}, "ContentType 'image/png' is not read"),
        ({"TransformInput": {"SplitType": "RecordIO"}}, "SplitType RecordIO is not supported"),
        ({"TransformOutput": {"S3OutputPath": "s3://nowhere/out"}}, "S3OutputPath s3://nowhere/out"),
        ({"S3DataSource": {"S3Uri": "s3://nowhere/in"}}, "S3Uri s3://nowhere/in"),
        ({"DataProcessing": {"InputFilter": "$["}}, "is not a JSONPath"),
        ({"Environment": {"ZEROSTART_ERRORS": "ignore"}}, "ZEROSTART_ERRORS is 'ignore': use strict or collect"),
        ({"Environment": {"ZEROSTART_LABELS": "a"}}, "ZEROSTART_LABELS is not known"),
        ({"MaxPayloadInMB": 60, "MaxConcurrentTransforms": 2}, "is over 100"),
    ],
)
def test_what_cannot_be_is_refused_at_once(server: ServerProcess, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError) as caught:
        create(server, "refused", **asked)
    assert words in caught.value.response["Error"]["Message"]
    with pytest.raises(ClientError) as caught:
        server.sagemaker().describe_transform_job(TransformJobName="refused")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFound"


def test_names_are_used_once_and_what_ended_cannot_be_stopped(server: ServerProcess) -> None:
    put(server, "once/in/a.jsonl", lines(records(3)))
    create(server, "once")
    with pytest.raises(ClientError) as caught:
        create(server, "once")
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    ended(server, "once")
    with pytest.raises(ClientError, match="in status Completed"):
        server.sagemaker().stop_transform_job(TransformJobName="once")


def test_no_input_and_vanished_input_are_named(server: ServerProcess) -> None:
    create(server, "nothing")
    shown = ended(server, "nothing")
    assert (shown["TransformJobStatus"], shown["FailureReason"]) == (
        "Failed",
        "No objects were found at s3://texts/nothing/in/: name a key, or a prefix of some.",
    )


def test_a_stopped_job_leaves_nothing_and_is_stopped_soon(home: Path) -> None:
    with ServerProcess(home) as server:
        prepare(server)
        put(server, "stop/in/a.jsonl", lines(records(20_000)))
        create(server, "stop", InstanceCount=2)
        wait_for(lambda: server.progress("stop")["records"] > 0)
        started_s = time.monotonic()
        server.sagemaker().stop_transform_job(TransformJobName="stop")
        assert ended(server, "stop")["TransformJobStatus"] == "Stopped"
        assert time.monotonic() - started_s < 5
        wait_for(lambda: keys(server, ".zerostart/") == [])
        assert keys(server, "stop/out/") == []


@pytest.mark.slow
def test_output_is_the_same_after_twenty_kills_of_workers_and_server(home: Path, database_url: str) -> None:
    """Real engine: the bytes are those of an undisturbed run, whatever was killed when."""
    content = lines(records(2500)) + b"{broken\n" + lines(records(2500, seed=2))
    chosen = random.Random(7)
    server = ServerProcess(home, ZEROSTART_DATABASE_URL=database_url)
    try:
        prepare(server)
        for name in ("calm", "stormy"):
            put(server, f"{name}/in/a.jsonl", content)
        create(server, "calm", InstanceCount=2, Environment={"ZEROSTART_ERRORS": "collect"})
        assert ended(server, "calm", 120)["TransformJobStatus"] == "Completed"
        create(server, "stormy", InstanceCount=2, Environment={"ZEROSTART_ERRORS": "collect"})
        kills = 0
        while kills < 20:
            time.sleep(chosen.uniform(0.2, 2.0))
            shown = server.sagemaker().describe_transform_job(TransformJobName="stormy")
            assert shown["TransformJobStatus"] == "InProgress", f"it ended after {kills} kills: give it more to do"
            if kills % 7 == 6:
                server.kill()
                server.stop()
                server = ServerProcess(home, ZEROSTART_DATABASE_URL=database_url)
                kills += 1
            for worker in children_of(server.pid)[: chosen.choice([1, 2])]:
                os.kill(worker, signal.SIGKILL)
                kills += 1
        assert ended(server, "stormy", 180)["TransformJobStatus"] == "Completed"
        for kind in ("out", "err.jsonl"):
            assert got(server, f"stormy/out/a.jsonl.{kind}") == got(server, f"calm/out/a.jsonl.{kind}")
        assert keys(server, ".zerostart/") == []
    finally:
        server.stop()
