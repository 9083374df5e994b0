"""The ledger: what instances and workers cost, in seconds and memory.

It looks once a second and writes every few seconds, so that a kill of the server costs no more than those.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime

from zerostart.hosting.launcher import Instance
from zerostart.metadata.database import Database
from zerostart.metadata.usage import Usage, UsageKind, add_usage, all_usage
from zerostart.transform.supervisor import RunningWorker

logger = logging.getLogger(__name__)
_LOOK_EVERY_S = 1.0
_WRITE_EVERY_S = 3.0
_MB = 1_000_000
_Whose = tuple[UsageKind, str]


class Ledger:
    """One thread that counts. What runs within a look counts from the look before."""

    def __init__(
        self,
        database: Database,
        instances: Callable[[], Collection[Instance]],
        workers: Callable[[], Collection[RunningWorker]],
    ) -> None:
        self._database = database
        self._instances = instances
        self._workers = workers
        self._pending: dict[_Whose, Usage] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        """Begin to count."""
        self._thread.start()

    def stop(self) -> None:
        """Write what was counted, and end."""
        self._stopping.set()
        self._thread.join()

    def rows(self) -> Sequence[Usage]:
        """Everything that ever ran, what ran last first; the last few seconds may be missing."""
        with self._database.transaction() as connection:
            return all_usage(connection)

    def _run(self) -> None:
        looked_s = written_s = time.monotonic()
        while not self._stopping.wait(_LOOK_EVERY_S):
            now_s = time.monotonic()
            self._look(now_s - looked_s)
            looked_s = now_s
            if now_s - written_s >= _WRITE_EVERY_S:
                self._write()
                written_s = now_s
        self._look(time.monotonic() - looked_s)
        self._write()

    def _look(self, passed_s: float) -> None:
        counts: Counter[_Whose] = Counter()
        memory: Counter[_Whose] = Counter()
        for instance in self._instances():
            whose = UsageKind.ENDPOINT, instance.spec.endpoint
            counts[whose] += 1
            memory[whose] += instance.memory_bytes()
        for worker in self._workers():
            whose = UsageKind.TRANSFORM_JOB, worker.job
            counts[whose] += 1
            memory[whose] += worker.process.memory_bytes()
        now = datetime.now(UTC)
        for whose, count in counts.items():
            held = memory[whose]
            known = self._pending.get(whose) or Usage(*whose, 0.0, 0.0, 0, now, now)
            self._pending[whose] = Usage(
                *whose,
                known.instance_s + count * passed_s,
                known.memory_mb_s + held / _MB * passed_s,
                max(known.peak_bytes, held),
                known.first_at,
                now,
            )

    def _write(self) -> None:
        if not self._pending:
            return
        try:
            with self._database.transaction() as connection:
                add_usage(connection, list(self._pending.values()))
        except Exception:
            logger.exception("what ran could not be written; it is tried again")
        else:
            self._pending.clear()
