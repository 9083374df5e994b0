"""`zerostart models pull --report`: how far it is, as JSON lines, for the server that started it."""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout

from zerostart.errors import ZerostartError
from zerostart.models.fetching import Progress
from zerostart.models.huggingface import RemoteModel

Shown = Callable[[RemoteModel], AbstractContextManager[Progress]]
_EVERY_S = 0.3


def pull_and_report(pull: Callable[[Shown, Callable[[RemoteModel], None]], None]) -> None:
    """Run `pull` with what it tells on standard output; an error is told there too, and ends the process with 1."""
    _end_with_standard_input()
    os.nice(5)  # requests to the endpoints go first
    reports = _Reports()
    try:
        with redirect_stdout(sys.stderr):
            pull(reports.shown, lambda _: reports.tell(stage="converting"))
    except ZerostartError as error:
        reports.tell(message=error.message)
        sys.exit(1)


class _Reports:
    """The lines. Bytes are told a few times a second, from a thread: also when no more come."""

    def __init__(self) -> None:
        self._out = sys.stdout
        self._total = self._done = self._told = 0
        self._ended = threading.Event()
        self._lock = threading.RLock()

    def tell(self, **values: object) -> None:
        with self._lock:
            self._out.write(json.dumps(values) + "\n")
            self._out.flush()

    @contextmanager
    def shown(self, _remote: RemoteModel) -> Iterator[Progress]:
        yield self

    def begin(self, total_bytes: int, present_bytes: int) -> None:
        self._total, self._done = total_bytes, present_bytes
        self._tell_bytes()
        threading.Thread(target=self._follow, daemon=True).start()

    def advance(self, count: int) -> None:
        self._done += count

    def end(self) -> None:
        with self._lock:
            self._ended.set()
            self._tell_bytes()

    def _follow(self) -> None:
        while not self._ended.wait(_EVERY_S):
            with self._lock:
                if self._done != self._told and not self._ended.is_set():
                    self._tell_bytes()

    def _tell_bytes(self) -> None:
        self._told = self._done
        self.tell(stage="fetching", done_bytes=self._done, total_bytes=self._total)


def _end_with_standard_input() -> None:
    """Whoever started this holds the other end: when they are gone, nobody waits for the model."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
