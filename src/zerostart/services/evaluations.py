"""Evaluations that people make in the browser: files, what was asked, what came of it; kept in a bucket of their own.

Each is a folder of the bucket: the file, `evaluation.json` (what it is and how it stands), and in the end
`report.json` and `profile.json`. They are encrypted and survive the server as all objects do. One at a time is worked
on, by a process of its own (`zerostart evaluation-worker`), so that no model and no foreign file is read by the server.
"""

import contextlib
import importlib.util
import json
import logging
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from zerostart.errors import AlreadyExists, InvalidInput, LimitExceeded, NotFound, UnknownBucket, ZerostartError
from zerostart.services.evaluation_process import EvaluationProcess, Stopped
from zerostart.services.evaluation_request import EvaluationRequest
from zerostart.storage.base import ObjectAttributes, ObjectStore, read_bytes, write_bytes

logger = logging.getLogger(__name__)
BUCKET = "zerostart-evaluations"
LARGEST_FILE_BYTES = 64 * 1024 * 1024
MOST_KEPT = 200
MOST_KEPT_BYTES = 4 * 1024**3
_RECORD, _REPORT, _PROFILE = "evaluation.json", "report.json", "profile.json"
_LARGEST_DOCUMENT_BYTES = 64 * 1024 * 1024
_DRAFT_KEPT = timedelta(days=1)
_JSON = ObjectAttributes(content_type="application/json")


class EvaluationStatus(StrEnum):
    """How an evaluation stands; a draft is a file of which nothing was asked yet."""

    DRAFT = "Draft"
    WAITING = "Waiting"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"

    @property
    def goes_on(self) -> bool:
        """Whether it is not at its end."""
        return self in {EvaluationStatus.WAITING, EvaluationStatus.IN_PROGRESS}


@dataclass(frozen=True)
class EvaluationRecord:
    """An evaluation. `figures` are of a completed one, by name; `verdict` is of tuning or comparing.

    `reason` says why it failed or stopped.
    """

    id: str
    file_name: str
    size: int
    created_at: str
    status: EvaluationStatus = EvaluationStatus.DRAFT
    request: EvaluationRequest | None = None
    ended_at: str = ""
    reason: str = ""
    rows: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)
    verdict: str = ""
    has_profile: bool = False
    model_id: str = ""

    @property
    def created(self) -> datetime:
        """When its file was given."""
        return datetime.fromisoformat(self.created_at)

    @property
    def file_key(self) -> str:
        """Where its file is in the bucket."""
        return f"{self.id}/{self.file_name}"

    @property
    def profile_uri(self) -> str:
        """Where its profile is; empty if it has none."""
        return f"s3://{BUCKET}/{self.id}/{_PROFILE}" if self.has_profile else ""


@dataclass(frozen=True)
class EvaluationProgress:
    """How many texts were asked, of how many, since when; 0 of 0 while the model is loaded."""

    done: int = 0
    total: int = 0
    passed_s: float = 0.0


@dataclass(eq=False)
class _Live:
    """An evaluation that waits or runs in this server."""

    done: int = 0
    total: int = 0
    started_s: float = 0.0
    is_stopped: bool = False
    process: EvaluationProcess | None = None
    has_ended: threading.Event = field(default_factory=threading.Event)


class Evaluations:
    """Keeps them and works on them. `isolated`: the processes cut themselves off from what they do not need."""

    def __init__(self, store: ObjectStore, environment: Mapping[str, str], *, isolated: bool) -> None:
        self._store = store
        self._environment = dict(environment)
        self._isolated = isolated
        self._lock = threading.Lock()
        self._live: dict[str, _Live] = {}
        self._known: dict[str, tuple[str, EvaluationRecord]] = {}  # by id: a record as of the ETag of its object
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="evaluations")
        self._is_closed = False

    @staticmethod
    def missing() -> str:
        """What has to be installed before anything can be evaluated; empty if nothing."""
        with contextlib.suppress(ImportError, ValueError):
            if importlib.util.find_spec("sklearn") is not None:
                return ""
        return "zerostart[evaluate]"

    def new_id(self) -> str:
        """The folder of a new evaluation, in the bucket, which is made if it is not there. Raises LimitExceeded."""
        self._make_bucket()
        kept = self.all()
        for each in kept:
            if each.status is EvaluationStatus.DRAFT and datetime.now(UTC) - each.created > _DRAFT_KEPT:
                self.delete(each.id)
        if len(kept) >= MOST_KEPT or sum(each.size for each in kept) + LARGEST_FILE_BYTES > MOST_KEPT_BYTES:
            raise LimitExceeded(
                f"{len(kept)} evaluations are kept, and at most {MOST_KEPT} of {MOST_KEPT_BYTES >> 30} GiB are: delete "
                "some first."
            )
        return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"

    def add(self, evaluation_id: str, file_name: str, size: int) -> EvaluationRecord:
        """Note a file that was put into the folder."""
        record = EvaluationRecord(evaluation_id, file_name, size, _now())
        self._write(record)
        return record

    def copied(self, record: EvaluationRecord) -> EvaluationRecord:
        """A draft with the same file. Raises LimitExceeded, NotFound."""
        content = self._file(record)
        evaluation_id = self.new_id()
        write_bytes(self._store, BUCKET, f"{evaluation_id}/{record.file_name}", content)
        return self.add(evaluation_id, record.file_name, record.size)

    def all(self) -> list[EvaluationRecord]:
        """The newest first."""
        found = []
        for evaluation_id in self.ids():
            with contextlib.suppress(NotFound):
                found.append(self.get(evaluation_id))
        return sorted(found, key=lambda each: each.created_at, reverse=True)

    def ids(self) -> list[str]:
        """The folders of the bucket, and what else lies there. None where there is no bucket."""
        names: dict[str, None] = {}
        start = b""
        try:
            while page := self._store.list(BUCKET, start=start):
                names |= dict.fromkeys(each.key.partition("/")[0] for each in page)
                start = page[-1].key.encode() + b"\0"
        except UnknownBucket:
            return []
        return list(names)

    def size(self, evaluation_id: str) -> int:
        """The bytes of all that is kept of it."""
        return sum(each.size for each in self._objects(evaluation_id))

    def get(self, evaluation_id: str) -> EvaluationRecord:
        """One of them. Raises NotFound."""
        key = f"{evaluation_id}/{_RECORD}"
        etag = self._found(key).etag
        with self._lock:
            known = self._known.get(evaluation_id)
        if known is None or known[0] != etag:
            content = read_bytes(self._store, BUCKET, key, _LARGEST_DOCUMENT_BYTES)
            known = (etag, _record(content))
            with self._lock:
                self._known[evaluation_id] = known
        record = known[1]
        if record.status.goes_on and evaluation_id not in self._live:
            return replace(record, status=EvaluationStatus.STOPPED, reason="The server was stopped meanwhile.")
        return record

    def progress(self, evaluation_id: str) -> EvaluationProgress:
        """How far one is that goes on."""
        live = self._live.get(evaluation_id)
        if live is None or not live.started_s:
            return EvaluationProgress()
        return EvaluationProgress(live.done, live.total, time.monotonic() - live.started_s)

    def look(self, record: EvaluationRecord, request: EvaluationRequest) -> Mapping[str, Any]:
        """What is in the file: see LabelledLook. Raises what it raises."""
        return EvaluationProcess("look", self._environment, isolated=self._isolated).answer(
            replace(request, kind="", name=""), self._file(record)
        )

    def tried(self, record: EvaluationRecord, request: EvaluationRequest) -> Mapping[str, Any]:
        """The answers to the first rows, and how long all will take. Raises what asking raises."""
        return EvaluationProcess("try", self._environment, isolated=self._isolates(request)).answer(
            request, self._file(record)
        )

    def start(self, evaluation_id: str, request: EvaluationRequest) -> None:
        """Begin, as soon as those before it ended. Raises NotFound, and InvalidInput for one that goes on already."""
        record = self.get(evaluation_id)
        if record.status.goes_on:
            raise InvalidInput("It runs already: its page shows how far it is.")
        live = _Live()
        with self._lock:
            if self._is_closed or evaluation_id in self._live:
                raise InvalidInput("It cannot be started now: look at it again.")
            self._live[evaluation_id] = live
        begun = EvaluationRecord(
            record.id, record.file_name, record.size, record.created_at, EvaluationStatus.WAITING, request
        )
        try:
            for name in (_REPORT, _PROFILE):
                self._store.delete(BUCKET, f"{evaluation_id}/{name}")
            self._write(begun)
        except BaseException:
            del self._live[evaluation_id]
            raise
        self._executor.submit(self._run, begun, request, live)

    def stop(self, evaluation_id: str) -> None:
        """Have it end; nothing if it did. Raises NotFound."""
        record = self.get(evaluation_id)
        if self._let_go(evaluation_id):
            self._write(_stopped(record, "It was stopped."))

    def report(self, evaluation_id: str) -> dict[str, Any]:
        """What was found. Raises NotFound."""
        return dict(json.loads(self._document(evaluation_id, _REPORT)))

    def profile(self, evaluation_id: str) -> bytes:
        """The profile, as JSON. Raises NotFound."""
        return self._document(evaluation_id, _PROFILE)

    def delete(self, evaluation_id: str) -> None:
        """Remove all of it, and with the last one the bucket. Raises NotFound."""
        objects = self._objects(evaluation_id)
        live = self._live.get(evaluation_id)
        if live is not None and not self._let_go(evaluation_id):
            live.has_ended.wait()
        for each in self._objects(evaluation_id):
            self._store.delete(BUCKET, each.key)
        with self._lock:
            self._known.pop(evaluation_id, None)
        if not self.ids():
            with contextlib.suppress(ZerostartError):  # somebody makes a new one
                self._store.delete_bucket(BUCKET)
        if not objects:
            raise NotFound(f"There is no evaluation {evaluation_id[:60]!r}: it was deleted, or never made.")

    def close(self) -> None:
        """End all of them; each says so afterwards, and can be started again."""
        with self._lock:
            self._is_closed = True
            going = list(self._live)
        for evaluation_id in going:
            self._let_go(evaluation_id)
        self._executor.shutdown()

    def _let_go(self, evaluation_id: str) -> bool:
        """Stop what waits or runs; whether it waited, and so is over now."""
        with self._lock:
            live = self._live.get(evaluation_id)
            if live is None:
                return False
            live.is_stopped = True
            if live.process is None:
                del self._live[evaluation_id]
                return True
        live.process.end()
        return False

    def _run(self, record: EvaluationRecord, request: EvaluationRequest, live: _Live) -> None:
        with self._lock:
            if live.is_stopped:
                return
            process = EvaluationProcess("evaluate", self._environment, isolated=self._isolates(request))
            live.process, live.started_s = process, time.monotonic()
        try:
            self._write(self._ended(replace(record, status=EvaluationStatus.IN_PROGRESS), request, live, process))
        except Exception:
            logger.exception("an evaluation could not be kept: %s", record.id)
        finally:
            with self._lock:
                del self._live[record.id]
            live.has_ended.set()

    def _ended(
        self, record: EvaluationRecord, request: EvaluationRequest, live: _Live, process: EvaluationProcess
    ) -> EvaluationRecord:
        """The record at its end, however that came."""
        try:
            self._write(record)
            found = process.answer(request, self._file(record), lambda report: _note(live, report), timeout_s=None)
            return self._kept(record, request, found["report"], found["profile"])
        except Stopped:
            return _stopped(record, "The server was stopped meanwhile." if self._is_closed else "It was stopped.")
        except ZerostartError as error:
            return replace(record, status=EvaluationStatus.FAILED, reason=str(error), ended_at=_now())
        except Exception:
            logger.exception("an evaluation failed: %s", record.id)
            reason = "It broke; the server's log says why."
            return replace(record, status=EvaluationStatus.FAILED, reason=reason, ended_at=_now())

    def _kept(
        self, record: EvaluationRecord, request: EvaluationRequest, report: dict[str, Any], profile: Any
    ) -> EvaluationRecord:
        self._put(f"{record.id}/{_REPORT}", report)
        if profile is not None:
            self._put(f"{record.id}/{_PROFILE}", profile)
        tuning = report.get("tuning")
        figures = report["sides"][0]["figures"] if request.compares else report["figures"]
        return replace(
            record,
            status=EvaluationStatus.COMPLETED,
            ended_at=_now(),
            rows=report["rows"],
            figures={name: each["value"] for name, each in figures.items()},
            verdict=tuning["comparison"]["verdict"] if tuning else report.get("verdict", ""),
            has_profile=profile is not None,
            model_id=report.get("model_id") or "",
        )

    def _isolates(self, request: EvaluationRequest) -> bool:
        """An endpoint is asked over the network."""
        return self._isolated and not request.asks_endpoint

    def _file(self, record: EvaluationRecord) -> bytes:
        self._found(record.file_key)
        return read_bytes(self._store, BUCKET, record.file_key, LARGEST_FILE_BYTES)

    def _document(self, evaluation_id: str, name: str) -> bytes:
        self._found(f"{evaluation_id}/{name}")
        return read_bytes(self._store, BUCKET, f"{evaluation_id}/{name}", _LARGEST_DOCUMENT_BYTES)

    def _found(self, key: str) -> Any:
        try:
            return self._store.head(BUCKET, key)
        except NotFound as error:
            name = key.partition("/")[0]
            raise NotFound(
                f"There is no such evaluation, or not all of it is there any more: {name[:60]!r}."
            ) from error

    def _objects(self, evaluation_id: str) -> Sequence[Any]:
        try:
            found = self._store.list(BUCKET, evaluation_id)
        except UnknownBucket:
            return ()
        return [each for each in found if each.key.partition("/")[0] == evaluation_id]

    def _write(self, record: EvaluationRecord) -> None:
        self._put(f"{record.id}/{_RECORD}", asdict(record))

    def _put(self, key: str, document: Mapping[str, Any]) -> None:
        content = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"
        write_bytes(self._store, BUCKET, key, content, _JSON)

    def _make_bucket(self) -> None:
        try:
            self._store.bucket(BUCKET)
        except UnknownBucket:
            try:
                self._store.create_bucket(BUCKET)
            except AlreadyExists as error:
                raise InvalidInput(f"The bucket {BUCKET}, in which evaluations are kept, cannot be made.") from error


def _note(live: _Live, report: Mapping[str, Any]) -> None:
    live.total = int(report.get("total", live.total))
    live.done += int(report.get("done", 0))


def _stopped(record: EvaluationRecord, reason: str) -> EvaluationRecord:
    return replace(record, status=EvaluationStatus.STOPPED, reason=reason, ended_at=_now())


def _record(content: bytes) -> EvaluationRecord:
    document = json.loads(content)
    request = document.pop("request")
    status = EvaluationStatus(document.pop("status"))
    return EvaluationRecord(**document, status=status, request=EvaluationRequest(**request) if request else None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
