"""This installation's key pair, kept in AWS's ini form so that AWS's own tools can read it."""

import configparser
import contextlib
import os
import secrets
import string
import tempfile
from dataclasses import dataclass
from pathlib import Path

from zerostart.errors import InvalidSettings, NotFound

_ALPHABET = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class KeyPair:
    """An access key id and its secret."""

    access_key_id: str
    secret_access_key: str


def read_credentials(path: Path) -> KeyPair:
    """The key pair in `path`; raises NotFound before a server's first start, InvalidSettings for an unsafe file."""
    try:
        if path.stat().st_mode & 0o077:
            raise InvalidSettings(f"{path} can be read by others: run chmod 600 {path}")
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(path.read_text("utf-8"))
        section = parser["default"]
        return KeyPair(section["aws_access_key_id"], section["aws_secret_access_key"])
    except FileNotFoundError:
        raise NotFound(f"{path} is not there: start the server once (zerostart serve), which makes it.") from None
    except (configparser.Error, KeyError, UnicodeDecodeError) as error:
        raise InvalidSettings(
            f"{path} has no key pair under [default] ({error}): remove it, and the next start makes one."
        ) from error


def ensure_credentials(path: Path) -> KeyPair:
    """The key pair in `path`; the first time one is made, readable by this user alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    access_key_id = "ZS" + "".join(secrets.choice(_ALPHABET) for _ in range(18))
    content = f"[default]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secrets.token_urlsafe(30)}\n"
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 from the first byte
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)  # whole or not at all, and never over an existing file
    finally:
        temporary.unlink()
    return read_credentials(path)
