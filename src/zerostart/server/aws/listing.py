"""The parameters that AWS's list operations share."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from zerostart.metadata.rows import PageRequest, SortBy

_SORT_KEYS: Mapping[str, SortBy] = {"Name": "name", "CreationTime": "created_at", "Status": "status"}


def page_request(asked: Mapping[str, Any]) -> PageRequest:
    """The page that a checked request asks for, with AWS's defaults: newest first, ten at a time."""
    return PageRequest(
        name_contains=asked.get("NameContains"),
        status=asked.get("StatusEquals"),
        created_after=_time(asked.get("CreationTimeAfter")),
        created_before=_time(asked.get("CreationTimeBefore")),
        modified_after=_time(asked.get("LastModifiedTimeAfter")),
        modified_before=_time(asked.get("LastModifiedTimeBefore")),
        sort_by=_SORT_KEYS[asked.get("SortBy", "CreationTime")],
        descending=asked.get("SortOrder", "Descending") == "Descending",
        limit=asked.get("MaxResults", 10),
        next_token=asked.get("NextToken"),
    )


def _time(value: float | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value, UTC)
