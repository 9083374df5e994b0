"""SageMaker's operations on tags."""

from collections.abc import Mapping
from typing import Any

from zerostart.server.aws.support import tag_list, tags_of
from zerostart.services.tag import TagService


class TagOperations:
    """One method an operation: ListTags is list_tags."""

    def __init__(self, service: TagService) -> None:
        self._service = service

    def list_tags(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """ListTags; all at once, as a resource has 50 at most."""
        return {"Tags": tag_list(self._service.list_tags(asked["ResourceArn"]))}

    def add_tags(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """AddTags."""
        return {"Tags": tag_list(self._service.add_tags(asked["ResourceArn"], tags_of(asked)))}

    def delete_tags(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteTags."""
        self._service.delete_tags(asked["ResourceArn"], asked["TagKeys"])
        return {}
