"""Transform jobs through unmodified boto3: real workers, real kills."""

import csv
import gzip
import io
import json
import os
import random
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pyarrow import parquet

from tests.postgresql import PostgreSQL
from tests.processes import BUILTIN, ROLE, ServerProcess, children_of, wait_for
from zerostart.hosting.isolation import reason_not_to_isolate

pytestmark = pytest.mark.alone

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
    wait_for(lambda: keys(server, ".zerostart/") == [])  # removed after the job ended
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


def test_errors_of_an_earlier_job_are_not_left_beside_a_good_output(server: ServerProcess) -> None:
    for name, content in (("again-1", b"{broken\n"), ("again-2", lines(records(1)))):
        put(server, "again/in/a.jsonl", content)
        create(
            server,
            name,
            S3DataSource={"S3Uri": "s3://texts/again/in/"},
            TransformOutput={"S3OutputPath": "s3://texts/again/out"},
            Environment={"ZEROSTART_ERRORS": "collect"},
        )
        assert ended(server, name)["TransformJobStatus"] == "Completed"
        found = keys(server, "again/out/")
        assert found == ["again/out/a.jsonl.err.jsonl"] * (name == "again-1") + ["again/out/a.jsonl.out"]


def test_rows_of_csv_that_cannot_be_read_are_collected(server: ServerProcess) -> None:
    put(server, "rows-bad/in/a.csv", b'id,text\n1,One day\n2,Hello, world\n3,"never closed\n4,Whisk the eggs.\n')
    environment = {"ZEROSTART_CANDIDATE_LABELS": "travel, cooking", "ZEROSTART_ERRORS": "collect"}
    create(server, "rows-bad", TransformInput={"ContentType": "text/csv"}, Environment=environment)
    assert ended(server, "rows-bad")["TransformJobStatus"] == "Completed"
    answers = [json.loads(line) for line in got(server, "rows-bad/out/a.csv.out").splitlines()]
    assert [each.get("sequence") for each in answers] == ["One day", None, None, "Whisk the eggs."]
    errors = [json.loads(line) for line in got(server, "rows-bad/out/a.csv.err.jsonl").splitlines()]
    assert [each["line"] for each in errors] == [3, 4]


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


def test_a_job_whose_workers_crash_by_themselves_is_given_up(home: Path) -> None:
    """SIGSEGV is what a worker gets that is broken; SIGKILL is somebody else's deed, and the job goes on."""
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        prepare(server)
        put(server, "crash/in/a.jsonl", lines(records(60_000)))
        create(server, "crash")
        hit: set[int] = set()

        def crash() -> bool:
            for worker in children_of(server.pid):
                if worker not in hit:
                    hit.add(worker)
                    os.kill(worker, signal.SIGSEGV)
            status: str = server.sagemaker().describe_transform_job(TransformJobName="crash")["TransformJobStatus"]
            return status != "InProgress"

        wait_for(crash)
        shown = ended(server, "crash")
        assert shown["TransformJobStatus"] == "Failed"
        assert "Workers ended 5 times in a row" in shown["FailureReason"]
        assert len(hit) == 5
        assert keys(server, "crash/out/") == []


def test_parts_that_a_killed_server_left_are_removed_at_the_next_start(home: Path) -> None:
    """As if it was killed between the end of the job and the removal of its parts."""
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        prepare(server)
        for name in ("one", "two"):
            put(server, f"{name}/in/a.jsonl", lines(records(3)))
            create(server, name)
            assert ended(server, name)["TransformJobStatus"] == "Completed"
            put(server, f".zerostart/transform/{name}/00000000-worker-0-abc", b"left")
        put(server, ".zerostart/transform/one/00000001-worker-0-def", b"left")
        put(server, ".zerostart/transform/somebodys/file", b"not a job's")
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        wait_for(lambda: keys(server, ".zerostart/") == [".zerostart/transform/somebodys/file"])
        assert keys(server, "one/out/") == ["one/out/a.jsonl.out"]


@pytest.mark.slow
def test_output_is_the_same_after_twenty_kills_of_workers_and_server(home: Path, own_database_url: str) -> None:
    """Real engine: the bytes are those of an undisturbed run, whatever was killed when."""
    content = lines(records(2500)) + b"{broken\n" + lines(records(2500, seed=2))
    chosen = random.Random(7)
    asked = {"ZEROSTART_ERRORS": "collect", "ZEROSTART_SCORER": "nli"}  # one model to load after each kill
    server = ServerProcess(home, ZEROSTART_DATABASE_URL=own_database_url)
    try:
        prepare(server)
        for name in ("calm", "stormy"):
            put(server, f"{name}/in/a.jsonl", content)
        create(server, "calm", InstanceCount=2, Environment=asked)
        assert ended(server, "calm", 120)["TransformJobStatus"] == "Completed"
        create(server, "stormy", InstanceCount=2, Environment=asked)
        kills = 0
        while kills < 20:
            time.sleep(chosen.uniform(0.2, 2.0))
            shown = server.sagemaker().describe_transform_job(TransformJobName="stormy")
            assert shown["TransformJobStatus"] == "InProgress", f"it ended after {kills} kills: give it more to do"
            if kills % 7 == 6:
                server.kill()
                server.stop()
                server = ServerProcess(home, ZEROSTART_DATABASE_URL=own_database_url)
                kills += 1
            for worker in children_of(server.pid)[: chosen.choice([1, 2])]:
                os.kill(worker, signal.SIGKILL)
                kills += 1
        assert ended(server, "stormy", 180)["TransformJobStatus"] == "Completed"
        for kind in ("out", "err.jsonl"):
            assert got(server, f"stormy/out/a.jsonl.{kind}") == got(server, f"calm/out/a.jsonl.{kind}")
        wait_for(lambda: keys(server, ".zerostart/") == [])  # removed after the job ended
    finally:
        server.stop()


def test_output_as_a_table_has_a_row_for_each_text(server: ServerProcess) -> None:
    """Read back with the libraries that its users have: csv and pyarrow."""
    labels = {"ZEROSTART_CANDIDATE_LABELS": "travel, cooking", "ZEROSTART_ERRORS": "collect"}
    put(server, "rows/in/a.csv", b'id,text,label\n1,"One day\nI will, perhaps",old\n2,Whisk the eggs.,new\n3,,none\n')
    good = records(400)
    put(
        server, "docs/in/a.jsonl", lines([*good, {"inputs": ["a b", "c d"], "candidate_labels": LABELS}]) + b"{broken\n"
    )
    for kind, accept in (("csv", "text/csv"), ("parquet", "application/vnd.apache.parquet")):
        for name in ("rows", "docs"):
            source = f"s3://texts/{name}/in/"
            create(
                server,
                f"{name}-{kind}",
                S3DataSource={"S3Uri": source},
                TransformInput={"ContentType": "text/csv" if name == "rows" else "application/jsonlines"},
                TransformOutput={"Accept": accept},
                Environment=labels,
                DataProcessing={"JoinSource": "Input"},
            )
    for name in ("rows-csv", "rows-parquet", "docs-csv", "docs-parquet"):
        assert ended(server, name)["TransformJobStatus"] == "Completed", ended(server, name)
    own = ["id", "text", "input label"]
    result = ["sequence", "label", "score", "labels", "scores", "error"]
    rows = list(csv.DictReader(io.StringIO(got(server, "rows-csv/out/a.csv.out").decode(), newline="")))
    assert list(rows[0]) == own + result
    assert [(row["id"], row["input label"]) for row in rows] == [("1", "old"), ("2", "new"), ("3", "none")]
    assert rows[0]["sequence"] == "One day\nI will, perhaps"
    assert json.loads(rows[1]["labels"])[0] == rows[1]["label"] in {"travel", "cooking"}
    assert float(rows[1]["score"]) == json.loads(rows[1]["scores"])[0]
    assert rows[2]["label"] == ""
    assert "text" in rows[2]["error"] or "empty" in rows[2]["error"]
    table = parquet.read_table(io.BytesIO(got(server, "rows-parquet/out/a.csv.out")))
    assert table.column_names == own + result
    assert table["labels"].to_pylist()[1] == json.loads(rows[1]["labels"])
    assert table["scores"].to_pylist()[1] == json.loads(rows[1]["scores"])
    assert table["error"].to_pylist()[:2] == [None, None]
    table = parquet.read_table(io.BytesIO(got(server, "docs-parquet/out/a.jsonl.out")))
    assert table["sequence"].to_pylist() == [*(each["inputs"] for each in good), "a b", "c d", None]
    assert json.loads(table["input"].to_pylist()[7]) == good[7]
    assert "not valid JSON" in table["error"].to_pylist()[-1]
    shown = list(csv.DictReader(io.StringIO(got(server, "docs-csv/out/a.jsonl.out").decode(), newline="")))
    assert [row["label"] or None for row in shown] == table["label"].to_pylist()
    head = server.s3().head_object(Bucket="texts", Key="docs-parquet/out/a.jsonl.out")
    assert head["ContentType"] == "application/vnd.apache.parquet"


def test_an_empty_object_has_an_empty_output(server: ServerProcess) -> None:
    put(server, "empty/in/a.jsonl", b"")
    put(server, "empty/in/b.jsonl", b"\n\r\n")
    create(server, "empty")
    assert ended(server, "empty")["TransformJobStatus"] == "Completed"
    assert [got(server, f"empty/out/{name}.jsonl.out") for name in "ab"] == [b"", b""]


def test_progress_is_in_the_logs(server: ServerProcess) -> None:
    """Records done and failed, of how many, the rate and the time left, where SageMaker's users look for it."""
    put(server, "logged/in/a.jsonl", lines(records(3000)) + b"{broken\n")
    create(server, "logged", Environment={"ZEROSTART_ERRORS": "collect"})
    assert ended(server, "logged")["TransformJobStatus"] == "Completed"
    logs = server.client("logs", server.keys)
    events = logs.get_log_events(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamName="logged/worker-0", startFromHead=True
    )["events"]
    told = re.findall(r"(\d+) of about (\d+) records, (\d+) failed, [\d.]+ records/s, (\d+) s left", str(events))
    assert len(told) > 1, events
    assert told[-1] == ("3001", "3001", "1", "0")


def test_counts_are_tags_of_the_job(server: ServerProcess) -> None:
    put(server, "counts/in/a.jsonl", lines(records(10)) + b"{broken\n")
    create(server, "counts", Environment={"ZEROSTART_ERRORS": "collect"}, Tags=[{"Key": "team", "Value": "b"}])
    arn = ended(server, "counts")["TransformJobArn"]
    tags = {each["Key"]: each["Value"] for each in server.sagemaker().list_tags(ResourceArn=arn)["Tags"]}
    assert tags == {"team": "b", "zerostart:failed": "1", "zerostart:records": "11"}
    progress = server.progress("counts")
    assert (progress["records"], progress["records_total"], progress["failed"]) == (11, 11, 1)


def asked_estimate(server: ServerProcess, **asked: Any) -> tuple[int, dict[str, Any]]:
    body = {
        "TransformJobName": "estimate",
        "ModelName": "m",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://texts/estimate/in/"}},
            "ContentType": "application/jsonlines",
        },
        "TransformOutput": {"S3OutputPath": "s3://texts/estimate/out"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **asked,
    }
    headers = {"Authorization": f"Bearer {server.keys.secret_access_key}"}
    url = f"{server.address}/zerostart/transform-jobs/estimate"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_an_estimate_before_the_start_tries_the_first_records(server: ServerProcess) -> None:
    status, refused = asked_estimate(server)
    assert (status, "No objects were found at s3://texts/estimate/in/" in str(refused)) == (400, True)
    put(server, "estimate/in/a.jsonl", b"{broken\n" + lines(records(8000)))
    put(server, "estimate/in/b.jsonl.gz", lines(records(100)))
    status, found = asked_estimate(server, Environment={"ZEROSTART_SCORER": "nli"})
    assert status == 200, found
    assert found["files"] == 2
    assert found["records"] == pytest.approx(8101, rel=0.05)
    assert found["records_per_s"] > 100
    assert 0 < found["seconds"] < 60
    assert "not valid JSON" in found["first"][0]["error"]
    assert [each["output"]["sequence"] for each in found["first"][1:]] == [each["inputs"] for each in records(4)]
    status, refused = asked_estimate(server, ModelName="nobody")
    assert (status, "nobody" in str(refused)) == (400, True)
    with pytest.raises(ClientError):
        server.sagemaker().describe_transform_job(TransformJobName="estimate")


def test_jobs_queue_in_order_when_the_machine_is_full(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake", ZEROSTART_MAX_TRANSFORM_WORKERS="1") as server:
        prepare(server)
        put(server, "first/in/a.jsonl", lines(records(3000)))
        for name in ("second", "third"):
            put(server, f"{name}/in/a.jsonl", lines(records(300)))
        for name in ("first", "second", "third"):
            create(server, name)
        shown = [ended(server, name) for name in ("third", "second", "first")]
        assert [each["TransformJobStatus"] for each in shown] == ["Completed"] * 3
        third, second, first = shown
        assert first["TransformEndTime"] <= second["TransformStartTime"]
        assert second["TransformEndTime"] <= third["TransformStartTime"]


@pytest.mark.parametrize("lost", ["bucket", "object", "replaced"])
def test_what_vanishes_under_a_job_is_named(home: Path, lost: str) -> None:
    """The job waits behind another one, so that its input can be taken away before it is read."""
    with ServerProcess(home, ZEROSTART_ENGINE="fake", ZEROSTART_MAX_TRANSFORM_WORKERS="1") as server:
        prepare(server)
        client = server.s3()
        client.create_bucket(Bucket="other")
        put(server, "busy/in/a.jsonl", lines(records(4000)))
        client.put_object(Bucket="other", Key="in/a.jsonl", Body=lines(records(10)))
        create(server, "busy")
        create(server, "victim", S3DataSource={"S3Uri": "s3://other/in/"})
        if lost == "replaced":
            client.put_object(Bucket="other", Key="in/a.jsonl", Body=b"{}\n")
        else:
            client.delete_object(Bucket="other", Key="in/a.jsonl")
        if lost == "bucket":
            client.delete_bucket(Bucket="other")
        shown = ended(server, "victim")
        words = {"bucket": "other", "object": "No objects were found at s3://other/in/", "replaced": "'inputs'"}[lost]
        assert shown["TransformJobStatus"] == "Failed"
        assert words in shown["FailureReason"]
        assert keys(server, "victim/out/") == []


def test_a_full_disk_fails_the_job_and_says_so(tmp_path: Path) -> None:
    """A real full disk: the home folder is a small file system of its own."""
    home = tmp_path / "home"
    home.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", home], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
            prepare(server)
            put(server, "full/in/a.jsonl", lines(records(60_000)))
            create(server, "full")
            shown = ended(server, "full", 120)
            assert shown["TransformJobStatus"] == "Failed"
            assert "No space left" in shown["FailureReason"]
            assert keys(server, "full/out/") == []
            put(server, "small/in/a.jsonl", lines(records(10)))
            create(server, "small")
            assert ended(server, "small")["TransformJobStatus"] == "Completed", "the space was given back"
    finally:
        subprocess.run(["umount", "-l", home], check=True)


def test_output_is_encrypted_with_the_named_key(server: ServerProcess) -> None:
    key = "arn:aws:kms:us-east-1:000000000000:key/results"
    put(server, "secret/in/a.jsonl", lines(records(10)))
    create(server, "secret", TransformOutput={"KmsKeyId": key})
    assert ended(server, "secret")["TransformJobStatus"] == "Completed"
    head = server.s3().head_object(Bucket="texts", Key="secret/out/a.jsonl.out")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    assert len(got(server, "secret/out/a.jsonl.out").splitlines()) == 10
    stored = b"".join(each.read_bytes() for each in (server.home / "buckets").rglob("*") if each.is_file())
    assert b'"sequence":"7 ' not in stored


def test_workers_have_no_network_and_no_privileges(home: Path) -> None:
    """As instances: their isolation is the same code, which tests/hosting attacks from inside."""
    if reason := reason_not_to_isolate(home):
        pytest.skip(f"nothing is isolated here: {reason}")
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        server.s3().create_bucket(Bucket="texts")
        container: Any = {"Environment": {"HF_MODEL_ID": BUILTIN, "HF_TASK": "zero-shot-classification"}}
        client = server.sagemaker()
        client.create_model(
            ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container, EnableNetworkIsolation=True
        )
        put(server, "isolated/in/a.jsonl", lines(records(20_000)))
        create(server, "isolated")
        wait_for(lambda: server.progress("isolated")["records"] > 0)
        [worker] = children_of(server.pid)
        state = dict(line.split(":\t", 1) for line in Path(f"/proc/{worker}/status").read_text().splitlines())
        assert (state["NoNewPrivs"], int(state["CapEff"], 16)) == ("1", 0)
        assert Path(f"/proc/{worker}/ns/net").readlink() != Path(f"/proc/{server.pid}/ns/net").readlink()
        assert ended(server, "isolated")["TransformJobStatus"] == "Completed"


def test_a_model_that_asked_for_isolation_is_refused_where_workers_have_a_network(
    home: Path, postgresql: PostgreSQL
) -> None:
    if reason := reason_not_to_isolate(home):
        pytest.skip(f"such a model cannot be made here: {reason}")
    with ServerProcess(home, ZEROSTART_ENGINE="fake", ZEROSTART_DATABASE_URL=postgresql.database()) as server:
        server.s3().create_bucket(Bucket="texts")
        container: Any = {"Environment": {"HF_MODEL_ID": BUILTIN, "HF_TASK": "zero-shot-classification"}}
        server.sagemaker().create_model(
            ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container, EnableNetworkIsolation=True
        )
        with pytest.raises(ClientError, match="workers of jobs cannot be isolated here"):
            create(server, "refused")
