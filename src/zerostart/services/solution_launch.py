"""A launch of a solution: what is kept of it, its steps, and the thread that takes them.

What is kept is the tags of what it made, on the bucket's name before the bucket is there; how far it came is looked up
in what exists. So a launch that was interrupted, at any moment and in any way, is shown, gone on with and deleted.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from zerostart.errors import Draining, ZerostartError
from zerostart.services.inventory import SOLUTION_TAG, Kind, Thing
from zerostart.solutions.solution import Solution

logger = logging.getLogger(__name__)
LAUNCH_TAG = "zerostart:launch"
MODEL_TAG = "zerostart:launch-model"
LAUNCHED_TAG = "zerostart:launched-at"
RESOURCES = (Kind.MODEL, Kind.ENDPOINT_CONFIG, Kind.ENDPOINT, Kind.TRANSFORM_JOB)
_STOP_S = 60.0


@dataclass(frozen=True)
class Launch:
    """What a launch is. Its model, endpoint config, endpoint and transform job have its name.

    `bucket` is empty if that was deleted, and the launch was not gone on with.
    """

    solution: Solution
    name: str
    bucket: str
    model_id: str
    launched_at: datetime

    @property
    def tags(self) -> Mapping[str, str]:
        """What each thing that it makes is marked with."""
        return {
            SOLUTION_TAG: self.solution.name,
            LAUNCH_TAG: self.name,
            MODEL_TAG: self.model_id,
            LAUNCHED_TAG: self.launched_at.isoformat(),
        }

    @property
    def things(self) -> tuple[Thing, ...]:
        """All that it makes, made or not."""
        bucket = (Thing(Kind.BUCKET, self.bucket),) if self.bucket else ()
        return (*(Thing(kind, self.name) for kind in RESOURCES), *bucket)

    @property
    def data_key(self) -> str:
        """The object with the texts and their categories."""
        return f"data/{self.solution.data_file}"

    @property
    def manifest_key(self) -> str:
        """The object that names the transform job's one input, so that it reads nothing else."""
        return "data/input.manifest"

    @property
    def first_call_key(self) -> str:
        """The object with the first real-time call, and its answer."""
        return "results/first-call.json"

    @property
    def output_prefix(self) -> str:
        """Where the transform job writes."""
        return "results/transform"

    @property
    def report_key(self) -> str:
        """The report for people."""
        return "results/report.html"

    @property
    def report_json_key(self) -> str:
        """The report for programs."""
        return "results/report.json"

    @property
    def own_keys(self) -> Collection[str]:
        """The objects that the launch writes; any other in its bucket is somebody's own."""
        output = f"{self.output_prefix}/{self.data_key}"
        return {
            self.data_key,
            self.manifest_key,
            self.first_call_key,
            f"{output}.out",
            f"{output}.err.jsonl",
            self.report_key,
            self.report_json_key,
        }


class Step(StrEnum):
    """What a launch does, in this order."""

    DATA = "data"
    MODEL = "model"
    ENDPOINT_CONFIG = "endpoint-config"
    ENDPOINT = "endpoint"
    IN_SERVICE = "in-service"
    FIRST_CALL = "first-call"
    JOB = "transform-job"
    JOB_DONE = "job-done"
    REPORT = "report"


@dataclass(frozen=True)
class Failure:
    """The step that could not be taken, and why."""

    step: Step
    reason: str


class Interrupted(Exception):
    """The launch is to end: it is deleted, or the server stops."""


class Course:
    """What a step may use to wait: it ends when the launch is to end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Have the step that is being taken end."""
        self._stopping.set()

    def pause(self, seconds: float) -> None:
        """Wait. Raises Interrupted."""
        if self._stopping.wait(seconds):
            raise Interrupted


# Takes a step, and returns when it is done; nothing to do is no error.
TakeStep = Callable[[Step, Launch, Course], None]


@dataclass
class _Running:
    launch: Launch
    course: Course
    step: Step = Step.DATA
    thread: threading.Thread | None = None


class SolutionLauncher:
    """Runs launches, each in a thread of its own. They end with the server, and can be gone on with."""

    def __init__(self, take: TakeStep) -> None:
        self._take = take
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: dict[str, _Running] = {}
        self._failures: dict[str, Failure] = {}

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take launches from now on; `loop` is the one that invocations are made in."""
        self._loop = loop

    def begin(self, launch: Launch) -> None:
        """Begin a launch, or go on with it; nothing if it is running. Raises Draining."""
        with self._lock:
            if self._loop is None:
                raise Draining("The server is stopping: launch the solution again when it is back.")
            if launch.name in self._running:
                return
            running = _Running(launch, Course(self._loop))
            self._running[launch.name] = running
            self._failures.pop(launch.name, None)
            running.thread = threading.Thread(
                target=self._run, args=(running,), name=f"launch-{launch.name}", daemon=True
            )
            running.thread.start()

    def step(self, name: str) -> Step | None:
        """The step that a launch takes now; None if it does not run."""
        with self._lock:
            running = self._running.get(name)
        return running.step if running is not None else None

    def failure(self, name: str) -> Failure | None:
        """Why a launch ended before its end, as far as this server knows."""
        with self._lock:
            return self._failures.get(name)

    def forget(self, name: str) -> None:
        """End a launch, and know nothing of it any more."""
        self._stop([name])
        with self._lock:
            self._failures.pop(name, None)

    def interrupt(self, things: Collection[Thing]) -> None:
        """End the launches that make one of these."""
        with self._lock:
            names = [name for name, each in self._running.items() if set(things) & set(each.launch.things)]
        self._stop(names)

    def close(self) -> None:
        """End all, and take no more."""
        with self._lock:
            self._loop = None
            names = list(self._running)
        self._stop(names)

    def _stop(self, names: Collection[str]) -> None:
        with self._lock:
            ending = [self._running[name] for name in names if name in self._running]
        for each in ending:
            each.course.stop()
        for each in ending:
            if each.thread is not None:
                each.thread.join(_STOP_S)

    def _run(self, running: _Running) -> None:
        name = running.launch.name
        try:
            for step in Step:
                running.step = step
                running.course.pause(0)
                self._take(step, running.launch, running.course)
            logger.info("solution %s was launched as %s", running.launch.solution.name, name)
        except Interrupted:
            logger.info("the launch %s was interrupted at %s", name, running.step)
        except ZerostartError as error:
            self._fail(running, str(error))
        except Exception:
            logger.exception("the launch %s failed at %s", name, running.step)
            self._fail(running, "It failed; the server's log says why.")
        finally:
            with self._lock:
                del self._running[name]

    def _fail(self, running: _Running, reason: str) -> None:
        logger.warning("the launch %s failed at %s: %s", running.launch.name, running.step, reason)
        with self._lock:
            self._failures[running.launch.name] = Failure(running.step, reason)
