"""CloudWatch Logs' reading operations, over what instances wrote."""

from collections.abc import Mapping
from typing import Any

from zerostart.errors import InvalidInput
from zerostart.server.aws.support import refuse_unsupported
from zerostart.services.arn import ACCOUNT_ID
from zerostart.services.logs import LogEvent, LogService, LogStream, Span

_MOST_EVENTS = 10_000


class LogOperations:
    """One method an operation: GetLogEvents is get_log_events."""

    def __init__(self, service: LogService, region: str) -> None:
        self._service = service
        self._region = region

    def describe_log_groups(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeLogGroups."""
        refuse_unsupported(asked, ("logGroupIdentifiers",))
        pattern = asked.get("logGroupNamePattern", "")
        found = [
            {
                "logGroupName": group.name,
                "creationTime": group.created_ms,
                "storedBytes": group.size_bytes,
                "arn": f"arn:aws:logs:{self._region}:{ACCOUNT_ID}:log-group:{group.name}:*",
            }
            for group in self._service.groups(asked.get("logGroupNamePrefix", ""))
            if pattern in group.name
        ]
        page, token = _page(found, asked)
        return {"logGroups": page, "nextToken": token}

    def describe_log_streams(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeLogStreams, by name or by the time of the last event."""
        found = self._service.streams(_group(asked), asked.get("logStreamNamePrefix", ""))
        by_time = asked.get("orderBy") == "LastEventTime"
        found.sort(key=lambda each: (each.last_ms if by_time else 0, each.name), reverse=asked.get("descending", False))
        page, token = _page([_stream(each) for each in found], asked)
        return {"logStreams": page, "nextToken": token}

    def get_log_events(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """GetLogEvents."""
        page = self._service.events(
            _group(asked),
            asked["logStreamName"],
            Span(asked.get("startTime"), asked.get("endTime")),
            limit=min(asked.get("limit", _MOST_EVENTS), _MOST_EVENTS),
            token=asked.get("nextToken"),
            from_head=asked.get("startFromHead", False),
        )
        return {
            "events": [_event(each) for each in page.events],
            "nextForwardToken": page.forward_token,
            "nextBackwardToken": page.backward_token,
        }

    def filter_log_events(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """FilterLogEvents."""
        events, token = self._service.filtered(
            _group(asked),
            Span(asked.get("startTime"), asked.get("endTime")),
            asked.get("filterPattern", ""),
            streams=asked.get("logStreamNames") or (),
            prefix=asked.get("logStreamNamePrefix", ""),
            limit=min(asked.get("limit", _MOST_EVENTS), _MOST_EVENTS),
            token=asked.get("nextToken"),
        )
        return {
            "events": [
                {**_event(each), "logStreamName": each.stream, "eventId": f"{each.at_ms}-{each.offset}"}
                for each in events
            ],
            "nextToken": token,
        }


def _group(asked: Mapping[str, Any]) -> str:
    name = asked.get("logGroupName") or asked.get("logGroupIdentifier", "").partition(":log-group:")[2].removesuffix(
        ":*"
    )
    if not name:
        raise InvalidInput("Name a log group: set logGroupName.")
    return str(name)


def _stream(stream: LogStream) -> dict[str, Any]:
    return {
        "logStreamName": stream.name,
        "creationTime": stream.first_ms,
        "firstEventTimestamp": stream.first_ms,
        "lastEventTimestamp": stream.last_ms,
        "lastIngestionTime": stream.last_ms,
        "storedBytes": stream.size_bytes,
    }


def _event(event: LogEvent) -> dict[str, Any]:
    return {"timestamp": event.at_ms, "message": event.message, "ingestionTime": event.at_ms}


def _page(found: list[dict[str, Any]], asked: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """A page of a short list; its token is a position."""
    token, limit = asked.get("nextToken", "0"), asked.get("limit", 50)
    if not token.isdecimal() or len(token) > 9:
        raise InvalidInput(f"The specified nextToken is invalid: {token[:50]!r}.")
    start = int(token)
    return found[start : start + limit], str(start + limit) if len(found) > start + limit else None
