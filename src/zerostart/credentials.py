"""Access keys: the installation's own, kept in AWS's ini form so that AWS's tools can read it, and those made from it.

The further keys stand in a file of their own, which is looked at on every request: a key that was revoked is refused
by the next one, and the program that revokes it needs no server.
"""

import configparser
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import string
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence, ValuesView
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from zerostart.errors import AlreadyExists, InvalidInput, InvalidSettings, NotFound, shortened

_ALPHABET = string.ascii_uppercase + string.digits
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ID_PREFIX = "ZS"  # no key id of AWS's begins so
OWN_KEY_NAME = "installation"


class Role(StrEnum):
    """What a key may do."""

    ADMIN = "admin"
    DEPLOY = "deploy"
    INVOKE = "invoke"


@dataclass(frozen=True)
class AccessKey:
    """An access key id and its secret, and what they allow; `endpoints` are those that role `invoke` may ask."""

    access_key_id: str
    secret_access_key: str
    role: Role = Role.ADMIN
    endpoints: tuple[str, ...] = ()
    name: str = OWN_KEY_NAME
    created_at: datetime | None = None


class AccessKeys(Mapping[str, AccessKey]):
    """Every key that is valid now, by its id: the installation's own, and those in the file `path`."""

    def __init__(self, own: AccessKey, path: Path) -> None:
        self._own = own
        self._path = path
        self._lock = threading.Lock()
        self._state: tuple[int, int, int] | None = None
        self._keys = {own.access_key_id: own}
        self._present()

    def __getitem__(self, access_key_id: str) -> AccessKey:
        return self._present()[access_key_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._present())

    def __len__(self) -> int:
        return len(self._present())

    def values(self) -> ValuesView[AccessKey]:
        """The keys of one moment: none can be revoked between being listed and being read."""
        return self._present().values()

    def _present(self) -> Mapping[str, AccessKey]:
        """The keys, read again if the file is another one than before. It is replaced, never changed in place."""
        state = _state(self._path)
        with self._lock:
            if state != self._state:
                made = {key.access_key_id: key for key in read_access_keys(self._path)}
                self._keys, self._state = made | {self._own.access_key_id: self._own}, state
            return self._keys


def read_access_keys(path: Path) -> Sequence[AccessKey]:
    """The keys in a file of `create_access_key`, oldest first. Raises InvalidSettings for an unsafe or broken file."""
    try:
        _refuse_readable(path)
        rows = json.loads(path.read_text("utf-8"))
        return [
            AccessKey(
                access_key_id=str(row["access_key_id"]),
                secret_access_key=str(row["secret_access_key"]),
                role=Role(row["role"]),
                endpoints=tuple(map(str, row["endpoints"])),
                name=str(row["name"]),
                created_at=datetime.fromisoformat(row["created_at"]),
            )
            for row in rows
        ]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidSettings(f"{path} does not hold access keys ({error!r}): restore it, or remove it.") from error


def create_access_key(path: Path, name: str, role: Role, endpoints: Sequence[str] = ()) -> AccessKey:
    """A new key, kept in the file. Raises InvalidInput, AlreadyExists for a name that is taken."""
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(f"{shortened(name)} cannot name a key: use letters, digits, '.', '_' and '-', at most 63.")
    if role is Role.INVOKE and not endpoints:
        raise InvalidInput("A key of role invoke is for named endpoints: give --endpoint, once for each.")
    if role is not Role.INVOKE and endpoints:
        raise InvalidInput(f"A key of role {role} is not bound to endpoints: leave --endpoint out, or use role invoke.")
    key = AccessKey(*_new_pair(), role, tuple(endpoints), name, datetime.now(UTC).replace(microsecond=0))
    with _changing(path) as keys:
        if name == OWN_KEY_NAME or any(each.name == name for each in keys):
            raise AlreadyExists(f"There is a key named {name}: choose another name, or revoke that one first.")
        keys.append(key)
    return key


def revoke_access_key(path: Path, name_or_id: str) -> AccessKey:
    """Remove a key from the file and return it. Raises NotFound."""
    with _changing(path) as keys:
        found = [each for each in keys if name_or_id in {each.name, each.access_key_id}]
        if not found:
            known = ", ".join(each.name for each in keys) or "none"
            raise NotFound(f"There is no key {shortened(name_or_id)} that could be revoked; there are: {known}.")
        keys.remove(found[0])
    return found[0]


def read_credentials(path: Path) -> AccessKey:
    """The key in `path`; raises NotFound before a server's first start, InvalidSettings for an unsafe file."""
    try:
        _refuse_readable(path)
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(path.read_text("utf-8"))
        section = parser["default"]
        return AccessKey(section["aws_access_key_id"], section["aws_secret_access_key"])
    except FileNotFoundError:
        raise NotFound(f"{path} is not there: start the server once (zerostart serve), which makes it.") from None
    except (configparser.Error, KeyError, UnicodeDecodeError) as error:
        raise InvalidSettings(
            f"{path} has no key pair under [default] ({error}): remove it, and the next start makes one."
        ) from error


def ensure_credentials(path: Path) -> AccessKey:
    """The key in `path`; the first time one is made, readable by this user alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    access_key_id, secret = _new_pair()
    content = f"[default]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secret}\n"
    with written_beside(path, content) as temporary, contextlib.suppress(FileExistsError):
        os.link(temporary, path)  # whole or not at all, and never over an existing file
    return read_credentials(path)


def bearer_key(header: str, keys: Mapping[str, AccessKey]) -> AccessKey | None:
    """The key whose secret an Authorization header bears, None for another; how alike they are takes no other time."""
    given = hashlib.sha256(header.removeprefix("Bearer ").strip().encode()).digest()
    found = [
        key
        for key in keys.values()
        if hmac.compare_digest(hashlib.sha256(key.secret_access_key.encode()).digest(), given)
    ]
    return found[0] if found else None


def client_key(path: Path, environment: Mapping[str, str] | None = None) -> AccessKey:
    """The key that this program's own clients use: one of Zerostart's in the environment, or the one in `path`."""
    env = os.environ if environment is None else environment
    access_key_id, secret = env.get("AWS_ACCESS_KEY_ID", ""), env.get("AWS_SECRET_ACCESS_KEY", "")
    if access_key_id.startswith(_ID_PREFIX) and secret:
        return AccessKey(access_key_id, secret)
    return read_credentials(path)


def _new_pair() -> tuple[str, str]:
    return _ID_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(18)), secrets.token_urlsafe(30)


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[list[AccessKey]]:
    """The keys to change; one program at a time does, and the file is the old or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = list(read_access_keys(path))
        yield keys
        content = json.dumps([asdict(each) for each in keys], default=datetime.isoformat, indent=1)
        with written_beside(path, content) as temporary:
            temporary.rename(path)


@contextlib.contextmanager
def written_beside(path: Path, content: str) -> Iterator[Path]:
    """A durable file with this content beside `path`, 0600 from its first byte, removed at the end if still there."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _refuse_readable(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        raise InvalidSettings(f"{path} can be read by others: run chmod 600 {path}")


def _state(path: Path) -> tuple[int, int, int] | None:
    """What tells one version of a file from the next."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
