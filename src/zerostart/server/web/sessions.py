"""Who is signed in: sessions in the server's memory, by the hash of what the browser's cookie holds."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from zerostart.credentials import AccessKey

SESSION_VALID_S = 12 * 3600
_MOST_SESSIONS = 10_000
_MOST_WRONG = 10
_WRONG_WINDOW_S = 300.0
_MOST_ADDRESSES = 10_000


@dataclass(frozen=True)
class Session:
    """A browser that is signed in with a key; its forms carry the token."""

    access_key_id: str
    ends_s: float
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class Sessions:
    """Sessions end after twelve hours, when they are signed out, when their key is revoked, and with the server."""

    def __init__(self, keys: Mapping[str, AccessKey], clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._secret = secrets.token_bytes(32)

    def begin(self, key: AccessKey) -> str:
        """Sign a key in; what to put into the cookie."""
        for name in [name for name, session in self._sessions.items() if session.ends_s <= self._clock()]:
            del self._sessions[name]
        while len(self._sessions) >= _MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        cookie = secrets.token_urlsafe(32)
        self._sessions[_hashed(cookie)] = Session(key.access_key_id, self._clock() + SESSION_VALID_S)
        return cookie

    def find(self, cookie: str) -> tuple[Session, AccessKey] | None:
        """The session of a cookie and the key as it is now; None if there is none, or the key is not valid any more."""
        session = self._sessions.get(_hashed(cookie))
        if session is None:
            return None
        key = self._keys.get(session.access_key_id)
        if key is None or session.ends_s <= self._clock():
            self.end(cookie)
            return None
        return session, key

    def end(self, cookie: str) -> None:
        """Sign out."""
        self._sessions.pop(_hashed(cookie), None)

    def visitor_token(self, cookie: str) -> str:
        """What the forms of a visitor who is not signed in carry."""
        return hmac.new(self._secret, cookie.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


class WrongAttempts:
    """Counts wrong sign-ins from an address, so that nobody guesses for long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong_s: dict[str, list[float]] = {}

    def wait_s(self, address: str) -> float:
        """How long the address has to wait before its next attempt; 0 if it need not."""
        recent = self._recent(address)
        return recent[-_MOST_WRONG] + _WRONG_WINDOW_S - self._clock() if len(recent) >= _MOST_WRONG else 0.0

    def count(self, address: str) -> None:
        """Note a wrong attempt."""
        recent = [*self._recent(address), self._clock()][-_MOST_WRONG:]
        self._wrong_s.pop(address, None)
        while len(self._wrong_s) >= _MOST_ADDRESSES:
            del self._wrong_s[next(iter(self._wrong_s))]
        self._wrong_s[address] = recent

    def _recent(self, address: str) -> list[float]:
        since_s = self._clock() - _WRONG_WINDOW_S
        return [each for each in self._wrong_s.get(address, ()) if each > since_s]


def _hashed(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()
