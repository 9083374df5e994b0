"""`zerostart evaluation-worker` in a process of its own: handed a request and a file, followed to its answer."""

import contextlib
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any

from zerostart.errors import EngineFailure, InvalidInput, Overloaded
from zerostart.services.evaluation_request import EvaluationRequest

logger = logging.getLogger(__name__)
PROGRAM = "evaluation-worker"
_LONGEST_S = 90.0
_STDERR_KEPT = 4000


class Stopped(Exception):
    """The process was ended from here."""


class EvaluationProcess:
    """One process; it ends with this one. `work` is `look`, `try` or `evaluate`."""

    def __init__(self, work: str, environment: Mapping[str, str], *, isolated: bool) -> None:
        self._command = [sys.executable, "-P", "-m", "zerostart", PROGRAM, work, *(["--isolated"] * isolated)]
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ended = False
        self._is_late = False

    def end(self) -> None:
        """Kill it, now or as soon as it is started; `answer` then raises Stopped."""
        with self._lock:
            self._is_ended = True
            if self._process is not None:
                self._process.kill()

    def answer(
        self,
        request: EvaluationRequest,
        content: bytes,
        note: Callable[[Mapping[str, Any]], None] | None = None,
        timeout_s: float | None = _LONGEST_S,
    ) -> dict[str, Any]:
        """What it found; `note` is told what it reports on the way.

        Raises InvalidInput with its own words where it refuses, EngineFailure where it dies, Overloaded where it takes
        longer than `timeout_s`, and Stopped.
        """
        with self._lock:
            if self._is_ended:
                raise Stopped
            self._process = process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
            )
        last_words: list[bytes] = []
        listener = threading.Thread(target=_listen, args=(process.stderr, last_words), daemon=True)
        listener.start()
        timer = threading.Timer(timeout_s, self._give_up) if timeout_s is not None else None
        if timer is not None:
            timer.start()
        try:
            found = _followed(process, request, content, note)
        finally:
            process.kill()
            process.wait()
            if timer is not None:
                timer.cancel()
            listener.join()
            for stream in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(BrokenPipeError):
                    assert stream is not None  # noqa: S101 - they are pipes
                    stream.close()
        if found is not None and "result" in found:
            return dict(found["result"])
        if found is not None:
            raise InvalidInput(str(found["refused"]))
        raise self._failure(process.returncode, b"".join(last_words).decode("utf-8", "replace"))

    def _give_up(self) -> None:
        self._is_late = True
        self.end()

    def _failure(self, code: int, last_words: str) -> Exception:
        if self._is_late:
            return Overloaded(
                f"It took over {_LONGEST_S:g} s: give a smaller file, or try again when less is going on."
            )
        if self._is_ended:
            return Stopped()
        logger.error("an evaluation's process ended with %d: %s", code, last_words[-_STDERR_KEPT:])
        if code == -9:
            return EngineFailure(
                "The system ended it, most likely because it needs more memory than is free: stop an endpoint, or take "
                "a smaller model or fewer rows."
            )
        lines = last_words.strip().splitlines()
        said = f" Its last words: {lines[-1][:300]}" if lines else ""
        return EngineFailure(f"What answers ended in the middle (code {code}).{said}")


def _followed(
    process: "subprocess.Popen[bytes]",
    request: EvaluationRequest,
    content: bytes,
    note: Callable[[Mapping[str, Any]], None] | None,
) -> dict[str, Any] | None:
    """Its last word; None if it ended without one."""
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    assert process.stdout is not None  # noqa: S101
    header = json.dumps({"request": request.document(), "bytes": len(content)}).encode() + b"\n"
    try:
        process.stdin.write(header)
        process.stdin.write(content)
        process.stdin.flush()
    except BrokenPipeError:
        return None
    for line in process.stdout:
        try:
            said = json.loads(line)
        except ValueError:
            continue  # what a library prints
        if not isinstance(said, dict):
            continue
        if "result" in said or "refused" in said:
            return said
        if note is not None:
            note(said)
    return None


def _listen(stream: IO[bytes] | None, to: list[bytes]) -> None:
    """Keep the end of what it writes to its log."""
    for line in stream or ():
        to.append(line)
        del to[:-40]
