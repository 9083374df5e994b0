"""Use case of fetching a model in the background: `zerostart models pull` in a process of its own, watched from here.

A process, because converting loads torch and takes gigabytes, which the server shall not; and because it can be ended.
What came stays where the command keeps it, so that the next attempt goes on from there.
"""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from zerostart.errors import Draining, InvalidInput, LimitExceeded, ModelInUse
from zerostart.models.catalogue import entry_of
from zerostart.models.local_artefacts import folder_name

logger = logging.getLogger(__name__)
_MOST_AT_ONCE = 2  # converting one takes gigabytes
_STOP_S = 5.0
_WATCHER_S = 10.0


class FetchStage(StrEnum):
    """Where a fetch is. One that succeeded is none any more: the model is here."""

    LOOKING_UP = "looking up"
    FETCHING = "fetching"
    CONVERTING = "converting"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self not in {FetchStage.FAILED, FetchStage.STOPPED}


@dataclass(frozen=True)
class ModelFetch:
    """A fetch as it is now; `message` says why it failed."""

    model_id: str
    stage: FetchStage = FetchStage.LOOKING_UP
    done_bytes: int = 0
    total_bytes: int = 0
    message: str = ""


@dataclass
class _Running:
    process: "subprocess.Popen[bytes]"
    watcher: threading.Thread | None = None
    is_stopped: bool = False


class ModelFetchService:
    """Fetches of this server's life, one a model at a time. They end with the server, and can be gone on with."""

    def __init__(self, environment: Mapping[str, str], log_folder: Path) -> None:
        self._environment = environment
        self._log_folder = log_folder
        self._lock = threading.Lock()
        self._fetches: dict[str, ModelFetch] = {}
        self._running: dict[str, _Running] = {}
        self._closed = False

    def start(self, model_id: str) -> None:
        """Begin, or go on with, fetching a model of the catalogue. Raises InvalidInput, ModelInUse, LimitExceeded."""
        entry = entry_of(model_id)
        if entry is None or entry.hugging_face_id is None:
            raise InvalidInput(
                f"Model {model_id!r} is nowhere to be fetched from: the catalogue names no source of it."
            )
        with self._lock:
            if entry.id in self._running:
                raise ModelInUse(f"{entry.id} is being fetched already: its page shows how far it is.")
            if self._closed:
                raise Draining("The server is stopping: start the fetch again when it is back.")
            if len(self._running) >= _MOST_AT_ONCE:
                named = " and ".join(self._running)
                raise LimitExceeded(f"{named} are being fetched: wait until one of them is here, or cancel one.")
            running = _Running(self._started(entry.id))
            self._running[entry.id] = running
            self._fetches[entry.id] = ModelFetch(entry.id)
            running.watcher = threading.Thread(target=self._watch, args=(entry.id, running), daemon=True)
            running.watcher.start()

    def stop(self, model_id: str) -> None:
        """End a fetch; nothing if there is none. What came stays, for the next attempt."""
        with self._lock:
            running = self._running.get(model_id)
            if running is None:
                self._fetches.pop(model_id, None)
                return
            running.is_stopped = True
        _end(running.process)
        if running.watcher is not None:
            running.watcher.join(_WATCHER_S)

    def find(self, model_id: str) -> ModelFetch | None:
        """How far the fetch of a model is; None if there is none, or it succeeded."""
        with self._lock:
            return self._fetches.get(model_id)

    def running(self) -> Sequence[ModelFetch]:
        """What is being fetched now."""
        with self._lock:
            return [self._fetches[model_id] for model_id in self._running]

    def close(self) -> None:
        """End all of them, and take no more."""
        with self._lock:
            self._closed = True
            names = list(self._running)
        for name in names:
            self.stop(name)

    def _started(self, model_id: str) -> "subprocess.Popen[bytes]":
        """The command; it ends when its standard input does, so not later than this server."""
        self._log_folder.mkdir(parents=True, exist_ok=True)
        with self._log(model_id).open("wb") as errors:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "zerostart", "models", "pull", model_id, "--report"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(self._environment),
                start_new_session=True,
            )

    def _watch(self, model_id: str, running: _Running) -> None:
        """Follow a command to its end."""
        process = running.process
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        assert process.stdin is not None  # noqa: S101
        with process.stdout as reports:
            for line in reports:
                self._note(model_id, line)
        code = process.wait()
        process.stdin.close()
        with self._lock:
            del self._running[model_id]
            fetch = self._fetches[model_id]
            if code == 0:
                del self._fetches[model_id]
            elif running.is_stopped:
                self._fetches[model_id] = replace(fetch, stage=FetchStage.STOPPED)
            else:
                message = fetch.message or self._last_words(model_id, code)
                self._fetches[model_id] = replace(fetch, stage=FetchStage.FAILED, message=message)
        logger.info("fetching %s ended with %d", model_id, code)

    def _note(self, model_id: str, line: bytes) -> None:
        """What the command reports."""
        try:
            report: dict[str, Any] = json.loads(line)
            if "stage" in report:
                report["stage"] = FetchStage(report["stage"])
            with self._lock:
                self._fetches[model_id] = replace(self._fetches[model_id], **report)
        except (ValueError, TypeError):
            logger.warning("a report of fetching %s is not understood: %r", model_id, line[:200])

    def _last_words(self, model_id: str, code: int) -> str:
        if code == -9:
            return (
                "The system ended it, most likely because converting the model needs more memory than is free: stop an "
                "endpoint, or fetch and export it on a larger machine."
            )
        lines = self._log(model_id).read_text("utf-8", "replace").strip().splitlines()
        return f"It ended with code {code}. Its last words: {lines[-1][:500] if lines else 'none'}"

    def _log(self, model_id: str) -> Path:
        return self._log_folder / f"{folder_name(model_id)}.log"


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
