"""The object store that the settings name."""

from collections.abc import Mapping
from typing import Any

from zerostart.metadata.database import Database
from zerostart.settings import Settings, load_settings
from zerostart.storage.base import ObjectStore
from zerostart.storage.local import LocalStore
from zerostart.storage.s3 import S3Store


def build_store(settings: Settings, database: Database) -> ObjectStore:
    """The store; it is used by the server and by every worker."""
    if settings.storage == "s3":
        return S3Store(_s3_client(settings))
    return LocalStore(settings.home / "buckets", settings.home / "keys", database)


def shared_store(environment: Mapping[str, str]) -> ObjectStore:
    """The store that a server with this environment shares with other machines. Raises InvalidSettings."""
    return S3Store(_s3_client(load_settings(environment)))


def _s3_client(settings: Settings) -> Any:
    """A client of the storage service, with the credentials that boto3 finds in this process's environment and files.

    AWS_ENDPOINT_URL is not heard: it may name this very server.
    """
    import boto3
    from botocore.config import Config

    domain = "amazonaws.com.cn" if settings.region.startswith("cn-") else "amazonaws.com"
    url = settings.storage_endpoint_url or f"https://s3.{settings.region}.{domain}"
    config = Config(max_pool_connections=64, connect_timeout=5)
    return boto3.session.Session(region_name=settings.region).client("s3", endpoint_url=url, config=config)
