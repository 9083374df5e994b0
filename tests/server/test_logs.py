"""CloudWatch Logs over what instances wrote, through unmodified boto3."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.processes import BUILTIN, ServerProcess
from tests.server.test_identity import client

GROUP = "/aws/sagemaker/Endpoints/"


def test_an_instances_log_is_a_stream_of_its_endpoints_group(server: ServerProcess) -> None:
    server.deploy("talking", instances=2)
    logs = client(server, "logs")
    assert [each["logGroupName"] for each in logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]] == [
        GROUP + "talking"
    ]
    streams = logs.describe_log_streams(logGroupName=GROUP + "talking", orderBy="LastEventTime")["logStreams"]
    assert len(streams) == 2
    assert all(each["logStreamName"].startswith("AllTraffic/i-") for each in streams)
    events = logs.get_log_events(
        logGroupName=GROUP + "talking", logStreamName=streams[0]["logStreamName"], startFromHead=True
    )
    assert any(f"{BUILTIN} takes invocations" in event["message"] for event in events["events"])
    again = logs.get_log_events(
        logGroupName=GROUP + "talking",
        logStreamName=streams[0]["logStreamName"],
        startFromHead=True,
        nextToken=events["nextForwardToken"],
    )
    assert (again["events"], again["nextForwardToken"]) == ([], events["nextForwardToken"])
    found = logs.filter_log_events(logGroupName=GROUP + "talking", filterPattern='"takes invocations"')["events"]
    assert {event["logStreamName"] for event in found} == {each["logStreamName"] for each in streams}


@pytest.fixture
def written(server: ServerProcess, home: Path) -> Any:
    """A client, and the log of an instance with a thousand lines, a second apart."""
    log = home / "logs" / "endpoints" / "old" / "AllTraffic" / "i-1.log"
    log.parent.mkdir(parents=True)
    lines = [
        f'{{"at": "2026-01-01T00:{n // 60:02}:{n % 60:02}.000+00:00", "message": "line {n}"}}' for n in range(1000)
    ]
    log.write_text("\n".join(lines) + "\nno time of its own\nnot finished")
    return client(server, "logs")


def test_pages_lead_through_every_line_once_both_ways(written: Any) -> None:
    named = {"logGroupName": GROUP + "old", "logStreamName": "AllTraffic/i-1"}
    forward: list[str] = []
    page = written.get_log_events(**named, startFromHead=True, limit=300)
    while page["events"]:
        forward += [event["message"] for event in page["events"]]
        page = written.get_log_events(**named, nextToken=page["nextForwardToken"], limit=300)
    assert len(forward) == len(set(forward)) == 1001
    assert forward[-1] == "no time of its own"
    backward: list[str] = []
    page = written.get_log_events(**named, limit=300)
    while page["events"]:
        backward = [event["message"] for event in page["events"]] + backward
        page = written.get_log_events(**named, nextToken=page["nextBackwardToken"], limit=300)
    assert backward == forward


def test_times_and_patterns_choose_lines(written: Any) -> None:
    start_ms = 1767225600000
    found = written.filter_log_events(
        logGroupName=GROUP + "old", startTime=start_ms + 10_000, endTime=start_ms + 20_000, filterPattern="line"
    )
    assert [event["timestamp"] for event in found["events"]] == [start_ms + 1000 * n for n in range(10, 20)]
    messages: list[str] = []
    for page in written.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP + "old", PaginationConfig={"PageSize": 70}
    ):
        messages += [event["message"] for event in page["events"]]
    assert len(messages) == len(set(messages)) == 1001


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda logs: logs.describe_log_streams(logGroupName=GROUP + "nobody"), "ResourceNotFoundException"),
        (lambda logs: logs.describe_log_streams(logGroupName=GROUP + ".."), "ResourceNotFoundException"),
        (
            lambda logs: logs.get_log_events(logGroupName=GROUP + "old", logStreamName="../../../credentials"),
            "ResourceNotFoundException",
        ),
        (
            lambda logs: logs.get_log_events(
                logGroupName=GROUP + "old", logStreamName="AllTraffic/i-1", nextToken="wrong"
            ),
            "InvalidParameterException",
        ),
        (
            lambda logs: logs.filter_log_events(logGroupName=GROUP + "old", filterPattern="{ $.a = 1 }"),
            "InvalidParameterException",
        ),
        (lambda logs: logs.create_log_group(logGroupName="mine"), "UnknownOperationException"),
    ],
)
def test_refusals(written: Any, call: Any, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        call(written)
    assert caught.value.response["Error"]["Code"] == code
