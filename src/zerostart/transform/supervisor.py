"""The supervisor: starts workers for the jobs that run, and replaces those that die. It holds no state that matters."""

import logging
import signal
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from zerostart.metadata import transform_job as rows
from zerostart.metadata.database import Database
from zerostart.metadata.transform_job import TransformJob, TransformJobStatus
from zerostart.storage.base import ObjectStore
from zerostart.transform.parts import jobs_with_parts, remove_parts
from zerostart.transform.worker_process import WorkerLauncher, WorkerProcess

logger = logging.getLogger(__name__)
_TICK_S = 0.25
_STOP_S = 3.0
_MOST_EARLY_ENDS = 5
_EARLY_S = 20.0
_KILLED = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # by somebody else: the job is not to blame


@dataclass(frozen=True)
class RunningWorker:
    """A worker of a job, as others see it."""

    job: str
    name: str
    process: WorkerProcess


@dataclass(eq=False)
class _Worker:
    """A worker that was started."""

    name: str
    process: WorkerProcess
    started_s: float = field(default_factory=time.monotonic)


@dataclass(eq=False)
class _Crew:
    """The workers of one job. `early_ends` counts those in a row that ended soon, which is no accident."""

    workers: dict[int, _Worker] = field(default_factory=dict)
    stopping_s: float | None = None
    early_ends: int = 0


class Supervisor:
    """One thread that compares jobs with workers."""

    def __init__(
        self, database: Database, store: ObjectStore, workers: WorkerLauncher, log_folder: Path, most_workers: int
    ) -> None:
        self._database = database
        self._store = store
        self._workers = workers
        self._log_folder = log_folder
        self._most_workers = most_workers
        self._crews: dict[str, _Crew] = {}
        self._running: tuple[RunningWorker, ...] = ()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="transform", daemon=True)

    def start(self) -> None:
        """Take over what an earlier server left: its workers are gone, so nobody holds anything."""
        with self._database.transaction() as connection:
            for job in rows.transform_jobs_in(connection, _OPEN):
                rows.release_transform_leases(connection, job.name)
        self._thread.start()

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def running(self) -> tuple[RunningWorker, ...]:
        """The workers that run; as of the last look."""
        return self._running

    def stop(self) -> None:
        """End every worker; jobs go on with the next server."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        for crew in self._crews.values():
            for worker in crew.workers.values():
                worker.process.end()

    def _run(self) -> None:
        self._clean_up()
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._look()
            except Exception:
                logger.exception("looking after transform jobs failed; it is tried again")
            self._wake.wait(_TICK_S)

    def _clean_up(self) -> None:
        """Remove the parts of jobs that ended while an earlier server was killed."""
        try:
            with self._database.transaction() as connection:
                ended = rows.transform_jobs_in(connection, _ENDED)
            for job in jobs_with_parts(self._store, ended):
                remove_parts(self._store, job)
        except Exception:
            logger.exception("looking for parts of old jobs failed; what is left is looked for at the next start")

    def _look(self) -> None:
        with self._database.transaction() as connection:
            jobs = rows.transform_jobs_in(connection, _OPEN)
        open_jobs = {job.name for job in jobs}
        for name in [name for name in self._crews if name not in open_jobs]:
            self._dismiss(name)
        for job in jobs:
            crew = self._crews.setdefault(job.name, _Crew())
            self._reap(job, crew)
            if job.status is TransformJobStatus.STOPPING:
                self._stop_job(job, crew)
        room = self._most_workers - sum(len(crew.workers) for crew in self._crews.values())
        for job in jobs:
            if job.status is TransformJobStatus.IN_PROGRESS:
                room = self._staff(job, self._crews[job.name], room)
            if room <= 0:
                break
        self._running = tuple(
            RunningWorker(name, worker.name, worker.process)
            for name, crew in self._crews.items()
            for worker in crew.workers.values()
        )

    def _dismiss(self, name: str) -> None:
        """The job ended: its workers see it themselves, and are given a moment."""
        crew = self._crews[name]
        crew.stopping_s = crew.stopping_s or time.monotonic()
        late = time.monotonic() - crew.stopping_s > _STOP_S
        for number, worker in list(crew.workers.items()):
            if late:
                worker.process.end()
            if worker.process.poll() is not None:
                worker.process.end()
                del crew.workers[number]
        if not crew.workers:
            del self._crews[name]
            with self._database.transaction() as connection:
                job = rows.get_transform_job(connection, name)
            if job is not None:
                remove_parts(self._store, job)

    def _reap(self, job: TransformJob, crew: _Crew) -> None:
        """Give back what dead workers held."""
        for number, worker in list(crew.workers.items()):
            code = worker.process.poll()
            if code is None:
                continue
            worker.process.end()
            del crew.workers[number]
            with self._database.transaction() as connection:
                rows.release_transform_leases(connection, job.name, f"{worker.name}-")
            if code == 0:
                continue
            logger.warning("worker %s of %s ended with %d and is replaced", worker.name, job.name, code)
            early = -code not in _KILLED and time.monotonic() - worker.started_s < _EARLY_S
            crew.early_ends = crew.early_ends + 1 if early else 0
            if crew.early_ends >= _MOST_EARLY_ENDS:
                self._give_up(job, worker)

    def _give_up(self, job: TransformJob, worker: _Worker) -> None:
        try:
            tail = self._log(job, worker.name).read_text("utf-8", "replace")[-1000:].strip()
        except OSError:
            tail = ""
        reason = f"Workers ended {_MOST_EARLY_ENDS} times in a row; the last words: {tail}"
        with self._database.transaction() as connection:
            rows.end_transform_job(connection, job.name, TransformJobStatus.FAILED, datetime.now(UTC), reason=reason)

    def _stop_job(self, job: TransformJob, crew: _Crew) -> None:
        """Stopping: the workers have a moment to see it; then the job is Stopped, and nothing of it is left."""
        crew.stopping_s = crew.stopping_s or time.monotonic()
        if crew.workers and time.monotonic() - crew.stopping_s < _STOP_S:
            return
        for worker in crew.workers.values():
            worker.process.end()
        crew.workers.clear()
        with self._database.transaction() as connection:
            rows.end_transform_job(
                connection, job.name, TransformJobStatus.STOPPED, datetime.now(UTC), old=TransformJobStatus.STOPPING
            )
        remove_parts(self._store, job)

    def _staff(self, job: TransformJob, crew: _Crew, room: int) -> int:
        """Start the workers that the job lacks, as far as there is room; the room that is left."""
        if crew.early_ends >= _MOST_EARLY_ENDS:
            return room
        for number in range(job.options.instance_count):
            if number not in crew.workers and room > 0:
                crew.workers[number] = self._started(job, f"worker-{number}")
                room -= 1
        return room

    def _started(self, job: TransformJob, name: str) -> _Worker:
        arguments = ["--job", job.name, "--name", name]
        process = self._workers.start(job.model_id, job.options.threads, arguments, self._log(job, name))
        if job.started_at is None:
            now = datetime.now(UTC)
            with self._database.transaction() as connection:
                rows.change_transform_job(
                    connection, job.name, old=[TransformJobStatus.IN_PROGRESS], at=now, started_at=now
                )
        return _Worker(name, process)

    def _log(self, job: TransformJob, worker: str) -> Path:
        return self._log_folder / job.name / f"{worker}.log"


_OPEN = (TransformJobStatus.IN_PROGRESS, TransformJobStatus.STOPPING)
_ENDED = tuple(status for status in TransformJobStatus if status not in _OPEN)
