"""Links that sign a browser in once: a file each, which whoever can write in the home folder may leave for its server.

The file is named after the token's hash and holds the time at which it ends. Removing it is using it.
"""

import contextlib
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

LINK_VALID = timedelta(minutes=15)


def create_sign_in_token(folder: Path, now: datetime | None = None) -> str:
    """A token that `redeem_sign_in_token` takes once, for a quarter of an hour."""
    moment = now or datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_ended(folder, moment)
    token = secrets.token_urlsafe(24)
    path = folder / _name(token)
    path.touch(mode=0o600)
    path.write_text((moment + LINK_VALID).isoformat(), "ascii")
    return token


def redeem_sign_in_token(folder: Path, token: str, now: datetime | None = None) -> bool:
    """Whether the token was valid; it is not any more."""
    path = folder / _name(token)
    try:
        ends_at = path.read_text("ascii")
        path.unlink()  # of two that use it at once, one gets here
    except OSError:
        return False
    return _is_before(now or datetime.now(UTC), ends_at)


def sign_in_url(server_url: str, token: str) -> str:
    """The link to open in a browser."""
    return f"{server_url.rstrip('/')}/sign-in?token={token}"


def _name(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _remove_ended(folder: Path, now: datetime) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if not _is_before(now, path.read_text("ascii")):
                path.unlink(missing_ok=True)


def _is_before(now: datetime, ends_at: str) -> bool:
    try:
        return now < datetime.fromisoformat(ends_at)
    except (ValueError, TypeError):  # empty while it is being written: it will be valid
        return not ends_at
