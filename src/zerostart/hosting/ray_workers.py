"""Transform workers on Ray: each is an actor on a node of the cluster, with the worker's process beside it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from zerostart.hosting.log_file import LogFile
from zerostart.hosting.node import NodeProgram, NodeWorker, Pulse
from zerostart.hosting.ray_cluster import RayCluster, words_of

_KILLED = -9
_FAILED = 1
_LAST_LOG_S = 2.0


class RayWorker:
    """An actor, which may be on its way yet. Of one thread."""

    where = "an actor on the Ray cluster"

    def __init__(self, cluster: RayCluster, actor: "Future[Any]", log: LogFile) -> None:
        self._cluster = cluster
        self._actor = actor
        self._log = log
        self._place = 0
        self._memory_bytes = 0
        self._ended: Any = None
        self._pulse: Any = None

    def poll(self) -> int | None:
        """Its exit code; -9 for one whose node or actor went away."""
        if not self._actor.done():
            return None
        not_started = self._actor.exception()
        if not_started is not None:
            return self._failed(not_started)
        actor = self._actor.result()
        if self._ended is None:
            self._ended = actor.ended.remote()
        if not self._is_there(self._ended):
            self._take_pulse(actor)
            return None
        errors = self._cluster.ray.exceptions
        try:
            code: int = self._cluster.ray.get(self._ended)
            self._take(self._cluster.ray.get(actor.pulse.remote(self._place), timeout=_LAST_LOG_S))
        except errors.RayActorError as error:
            return self._failed(error) if getattr(error, "_actor_init_failed", False) else _KILLED
        except (errors.RayError, TimeoutError):
            return _KILLED
        return code

    def memory_bytes(self) -> int:
        """As of a moment ago."""
        return self._memory_bytes

    def end(self) -> None:
        """End the actor; its process ends with it."""

        def kill(actor: "Future[Any]") -> None:
            if not actor.exception():
                self._cluster.ray.kill(actor.result())

        self._actor.add_done_callback(kill)

    def _failed(self, error: BaseException) -> int:
        self._log.append(f"{words_of(error)}\n".encode())
        return _FAILED

    def _take_pulse(self, actor: Any) -> None:
        """Ask for its memory and log, and take what was asked for before; without waiting."""
        if self._pulse is None:
            self._pulse = actor.pulse.remote(self._place)
        elif self._is_there(self._pulse):
            asked, self._pulse = self._pulse, None
            try:
                self._take(self._cluster.ray.get(asked))
            except self._cluster.ray.exceptions.RayError:
                return  # that it went away is seen by what waits for its end

    def _take(self, pulse: Pulse) -> None:
        self._memory_bytes, self._place = pulse.memory_bytes, pulse.log_place
        self._log.append(pulse.log)

    def _is_there(self, asked: Any) -> bool:
        return bool(self._cluster.ray.wait([asked], timeout=0)[0])


class RayWorkers:
    """Starts workers on a cluster. `program` says what a node has to know to run one for a model."""

    def __init__(self, cluster: RayCluster, program: Callable[[str], NodeProgram]) -> None:
        self._cluster = cluster
        self._program = program
        self._actor = cluster.ray.remote(NodeWorker)
        self._starting = ThreadPoolExecutor(2, "ship")

    def threads(self, workers: int) -> int:
        """A share of the cluster's cores, as far as one node has them."""
        share = max(1, self._cluster.cores() // workers)
        return share if self._cluster.is_own else self._cluster.threads(share)

    def start(self, model_id: str, threads: int, arguments: Sequence[str], log: Path) -> RayWorker:
        """Ask for an actor, which reserves so many CPUs."""
        file = LogFile(log)
        return RayWorker(self._cluster, self._starting.submit(self._started, model_id, threads, arguments), file)

    def _started(self, model_id: str, threads: int, arguments: Sequence[str]) -> Any:
        options = self._cluster.options(threads)
        return self._actor.options(**options).remote(tuple(arguments), self._program(model_id))
