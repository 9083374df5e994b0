"""Many labels at an endpoint and in a job, and embedding models as endpoints, through unmodified boto3."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.processes import BUILTIN, ROLE, ServerProcess, wait_for

RANKER = "zerostart-embed-base"
LABELS = [
    *("travel", "cooking", "money", "sport", "health", "politics", "music", "religion", "weather", "crime"),
    *("cars", "computers", "gardening", "fashion", "education", "law", "physics", "history", "animals", "love"),
    *("housing", "work", "family", "games", "films", "books", "art", "language", "space", "energy", "war", "trade"),
]
TEXT = "One day I will see the world, from the deserts to the sea."


@pytest.fixture(scope="module")
def embedding(shared_server: ServerProcess) -> Iterator[str]:
    shared_server.deploy("embedding", model_id=RANKER)
    yield "embedding"
    shared_server.delete("embedding")


def test_an_endpoint_scores_the_shortlist_and_ranks_the_rest(shared_server: ServerProcess) -> None:
    """The first of these loads the ranking model inside the isolated instance."""
    answer = shared_server.invoke("shared", {"inputs": TEXT, "candidate_labels": LABELS, "shortlist": 5})
    assert answer["shortlist"] == 5
    assert sorted(answer["labels"]) == sorted(LABELS)
    assert "travel" in answer["labels"][:5]
    assert answer["scores"] == sorted(answer["scores"], reverse=True)
    assert sum(answer["scores"]) == pytest.approx(1)
    again = shared_server.invoke(
        "shared", {"inputs": TEXT, "parameters": {"candidate_labels": LABELS, "shortlist": "auto"}}
    )
    assert again["shortlist"] == 10
    exhaustive = shared_server.invoke("shared", {"inputs": TEXT, "candidate_labels": LABELS})
    assert "shortlist" not in exhaustive
    by_label = dict(zip(exhaustive["labels"], exhaustive["scores"], strict=True))
    scored = again["labels"][:10]
    assert scored == sorted(scored, key=lambda label: -by_label[label]), "scored as they are without a shortlist"


def test_texts_and_multi_label_with_a_shortlist(shared_server: ServerProcess) -> None:
    body = {"inputs": [TEXT, "Whisk the eggs."], "candidate_labels": LABELS, "shortlist": 3, "multi_label": True}
    answers = shared_server.invoke("shared", body)
    assert [answer["shortlist"] for answer in answers] == [3, 3]
    assert answers[1]["labels"][0] == "cooking"
    alone = shared_server.invoke("shared", {**body, "inputs": TEXT})
    assert alone["labels"] == answers[0]["labels"]
    assert alone["scores"] == pytest.approx(answers[0]["scores"], abs=2e-2)


def test_a_wrong_shortlist_is_refused_with_what_to_send(shared_server: ServerProcess) -> None:
    with pytest.raises(ClientError, match="'shortlist' is the number 0: send how many labels"):
        shared_server.invoke("shared", {"inputs": TEXT, "candidate_labels": LABELS, "shortlist": 0})


def test_an_embedding_model_is_an_endpoint_too(shared_server: ServerProcess, embedding: str) -> None:
    body = {"inputs": "Whisk the eggs, then fold in the flour.", "candidate_labels": LABELS}
    answer = shared_server.invoke(embedding, body)
    assert answer["labels"][0] == "cooking"
    assert sum(answer["scores"]) == pytest.approx(1)
    assert shared_server.invoke(embedding, {**body, "shortlist": 5}) == answer


def test_a_job_with_a_shortlist_for_all_and_records_with_their_own(shared_server: ServerProcess) -> None:
    client, s3 = shared_server.sagemaker(), shared_server.s3()
    s3.create_bucket(Bucket="many-labels")
    records: list[dict[str, Any]] = [
        {"inputs": TEXT, "candidate_labels": LABELS},
        {"inputs": TEXT, "candidate_labels": LABELS, "shortlist": 3},
        {"inputs": TEXT, "candidate_labels": LABELS[:4]},
        {"inputs": TEXT, "candidate_labels": LABELS, "shortlist": "no"},
        {"inputs": TEXT, "candidate_labels": LABELS, "shortlist": None},
    ]
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in records)
    s3.put_object(Bucket="many-labels", Key="in/a.jsonl", Body=lines)
    container: Any = {"Environment": {"HF_MODEL_ID": BUILTIN}}
    client.create_model(ModelName="many-labels", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    client.create_transform_job(
        TransformJobName="many-labels",
        ModelName="many-labels",
        Environment={"ZEROSTART_SHORTLIST": "6", "ZEROSTART_ERRORS": "collect"},
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://many-labels/in/"}},
            "ContentType": "application/jsonlines",
        },
        TransformOutput={"S3OutputPath": "s3://many-labels/out", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )

    def status() -> str | None:
        shown = client.describe_transform_job(TransformJobName="many-labels")["TransformJobStatus"]
        return shown if shown != "InProgress" else None

    assert wait_for(status, 60) == "Completed"
    body = s3.get_object(Bucket="many-labels", Key="out/a.jsonl.out")["Body"].read()
    answers = [json.loads(line) for line in body.splitlines()]
    assert [answer.get("shortlist") for answer in answers] == [6, 3, None, None, None]
    assert "'shortlist' is the string 'no'" in answers[3]["error"]
    assert len(answers[4]["labels"]) == len(LABELS)
    with pytest.raises(ClientError, match="'ZEROSTART_SHORTLIST' is the string 'many'"):
        client.create_transform_job(
            TransformJobName="refused",
            ModelName="many-labels",
            Environment={"ZEROSTART_SHORTLIST": "many"},
            TransformInput={
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://many-labels/in/"}}
            },
            TransformOutput={"S3OutputPath": "s3://many-labels/out"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        )
    client.delete_model(ModelName="many-labels")
