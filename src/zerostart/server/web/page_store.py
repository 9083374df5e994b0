"""The buckets as pages reach them: with the permissions of the S3 gateway, and not at all where that is off."""

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import InvalidInput
from zerostart.server.web.edge import Visit
from zerostart.server.web.errors import StoreClosed
from zerostart.storage.base import ObjectStore


class PageStore:
    """The object store, for visitors."""

    def __init__(self, parts: ServerParts) -> None:
        self._store = parts.store
        self._generated = parts.generated
        is_local = parts.settings.storage == "local"
        self.usual_key = "the key of this installation" if is_local else "what the storage service uses"
        self.is_open = parts.settings.s3_gateway == "on"

    def of(self, visit: Visit, action: str, bucket: str = "", key: str = "") -> ObjectStore:
        """The store, for one of S3's actions. Raises AccessDenied, StoreClosed."""
        name = "/".join(filter(None, (bucket, key)))
        visit.require(f"s3:{action}", f"arn:aws:s3:::{name}" if name else "*")
        if not self.is_open:
            raise StoreClosed(
                "Buckets are not reached through this server (setting s3_gateway): use the storage service itself."
            )
        return self._store

    def check_new(self, bucket: str) -> None:
        """Raise InvalidInput for the name of a bucket that Zerostart itself makes."""
        if any(each.serves(bucket) for each in self._generated):
            raise InvalidInput(f"A bucket named {bucket} is made by Zerostart itself: choose another name.")
