"""`zerostart models pull --report`: how far it is, as JSON lines, for the server that started it."""

import json
import os
import sys
import threading
import time
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
    """The lines; the bytes of a fetch not more often than a page is looked at."""

    def __init__(self) -> None:
        self._out = sys.stdout
        self._total = self._done = 0
        self._told_at_s = 0.0

    def tell(self, **values: object) -> None:
        self._out.write(json.dumps(values) + "\n")
        self._out.flush()

    @contextmanager
    def shown(self, _remote: RemoteModel) -> Iterator[Progress]:
        yield self

    def begin(self, total_bytes: int, present_bytes: int) -> None:
        self._total, self._done = total_bytes, present_bytes
        self._tell_bytes()

    def advance(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._told_at_s > _EVERY_S:
            self._tell_bytes()

    def end(self) -> None:
        self._tell_bytes()

    def _tell_bytes(self) -> None:
        self._told_at_s = time.monotonic()
        self.tell(stage="fetching", done_bytes=self._done, total_bytes=self._total)


def _end_with_standard_input() -> None:
    """Whoever started this holds the other end: when they are gone, nobody waits for the model."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
