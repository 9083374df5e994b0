"""Use cases of access keys: which there are and when each was last used, making one, revoking one."""

import asyncio
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from zerostart.credentials import (
    OWN_KEY_NAME,
    AccessKey,
    Role,
    create_access_key,
    revoke_access_key,
    written_beside,
)
from zerostart.errors import InvalidInput, InvalidSettings, NotFound, shortened
from zerostart.settings import ServerAddress

logger = logging.getLogger(__name__)
_WRITTEN_EVERY_S = 60.0
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class KeyUses:
    """When each key was last used: noted in memory with every request, and written down at most once a minute."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._used_at = dict(read_key_uses(path))
        self._written = dict(self._used_at)

    def note(self, key: AccessKey) -> None:
        """The key proved itself just now."""
        self._used_at[key.access_key_id] = datetime.now(UTC).replace(microsecond=0)

    def last_used_at(self, key: AccessKey) -> datetime | None:
        """When the key was last used; None if it never was."""
        return self._used_at.get(key.access_key_id)

    async def run(self, keys: Collection[str]) -> None:
        """Write, for ever, and once more at the end; of the ids `keys` alone, which are those valid at the time."""
        try:
            while True:
                await asyncio.sleep(_WRITTEN_EVERY_S)
                await run_in_threadpool(self.write, keys)
        finally:
            self.write(keys)

    def write(self, keys: Collection[str]) -> None:
        """Keep what was noted, if there is anything new; a server that is killed loses a minute at most."""
        noted = self._used_at.copy()
        if noted == self._written:
            return
        try:
            valid = set(keys)
            content = json.dumps({key: at.isoformat() for key, at in sorted(noted.items()) if key in valid}, indent=1)
            with written_beside(self._path, content) as temporary:
                temporary.rename(self._path)
            self._written = noted
        except (OSError, InvalidSettings) as error:
            logger.warning("when keys were last used could not be written: %s", error)


def read_key_uses(path: Path) -> Mapping[str, datetime]:
    """When each key was last used, by its id, as it was written last. Nothing hangs on it: a broken file is empty."""
    try:
        document = json.loads(path.read_text("utf-8"))
        return {key: datetime.fromisoformat(at).astimezone(UTC) for key, at in document.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        logger.warning("%s does not say when keys were used, and is begun anew: %s", path, error)
        return {}


class AccessKeyService:
    """The keys of this installation. `keys` are those valid now, `path` the file of those that were made."""

    def __init__(self, keys: Mapping[str, AccessKey], path: Path) -> None:
        self._keys = keys
        self._path = path

    def list_keys(self) -> Sequence[AccessKey]:
        """Every key, the installation's own first, then in the order in which they were made."""
        return sorted(self._keys.values(), key=lambda key: key.created_at or _BEFORE_ALL)

    def describe_key(self, access_key_id: str) -> AccessKey:
        """The key of that id. Raises NotFound."""
        key = self._keys.get(access_key_id)
        if key is None:
            raise NotFound(f"There is no key {shortened(access_key_id)}: it was revoked, perhaps.")
        return key

    def create_key(self, name: str, role: Role, endpoints: Sequence[str]) -> AccessKey:
        """Make a key. Raises InvalidInput, AlreadyExists for a name that is taken."""
        return create_access_key(self._path, name, role, endpoints)

    def revoke_key(self, access_key_id: str) -> AccessKey:
        """Revoke a key and return it. Raises NotFound, InvalidInput for the installation's own."""
        key = self.describe_key(access_key_id)
        if key.name == OWN_KEY_NAME:
            raise InvalidInput(
                "The installation's own key cannot be revoked, so that there is always one that may do everything. "
                "To change it, remove the file credentials from the home folder and start the server again."
            )
        return revoke_access_key(self._path, key.access_key_id)


def client_variables(key: AccessKey, address: ServerAddress, region: str) -> dict[str, str]:
    """What lets AWS's clients use this installation with a key, as environment variables."""
    return {
        "AWS_ENDPOINT_URL": address.url,
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        **({"AWS_CA_BUNDLE": address.ca_bundle} if address.ca_bundle else {}),
    }
