"""The launcher on Ray: an instance is an actor on a node of the cluster, with a model server beside it.

The actors are called directly, not through Ray Serve: see docs/decisions/0027-actors-on-ray.md.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from zerostart.errors import InstanceLost, InvocationTimeout, LaunchFailed, ZerostartError
from zerostart.hosting.instance_type import resources_of
from zerostart.hosting.launcher import InstanceReply, InstanceSpec
from zerostart.hosting.log_file import LogFile
from zerostart.hosting.node import NodeInstance, NodeProgram, Pulse
from zerostart.hosting.ray_cluster import RayCluster, words_of

_GRACE_S = 2.0
_LAST_LOG_S = 2.0


class RayInstance:
    """An actor, which may be on its way yet."""

    def __init__(self, instance_id: str, spec: InstanceSpec, cluster: RayCluster, actor: "Future[Any]", log: LogFile):
        self.id = instance_id
        self.spec = spec
        self._cluster = cluster
        self._actor = actor
        self._log = log
        self._memory_bytes = 0
        self._log_place = 0
        self._answers = False
        self._ended: Future[Any] = Future()
        self._gone = False
        actor.add_done_callback(self._watch)

    def is_alive(self) -> bool:
        """Whether its process runs, or may run yet."""
        if not self._gone and self._ended.done():
            self._gone = True
            self._part()
        return not self._gone

    def memory_bytes(self) -> int:
        """As of the last ping."""
        return self._memory_bytes

    def ping(self, timeout_s: float) -> bool | None:
        """Ping it, and take what its log has meanwhile."""
        if not self._actor.done() or self._ended.done():
            return None
        pulse = self._pulse(timeout_s, timeout_s + _GRACE_S)
        return pulse.answer if pulse is not None else None

    async def invoke(self, body: bytes, headers: Mapping[str, str], timeout_s: float) -> InstanceReply:
        """Have the actor send it."""
        reply: InstanceReply = await self._call("invoke", body, dict(headers), timeout_s, timeout_s=timeout_s)
        return reply

    async def metrics(self, timeout_s: float) -> str:
        """Have the actor ask."""
        text: str = await self._call("metrics", timeout_s, timeout_s=timeout_s)
        return text

    def stop(self) -> None:
        """Ask it to end; one that is on its way is ended at once."""
        if self._answers:
            self._actor.result().stop.remote()
        else:
            self.kill()

    def kill(self) -> None:
        """End the actor; its process ends with it."""
        self._gone = True
        self._actor.add_done_callback(self._kill)

    def log_tail(self, characters: int = 1000) -> str:
        """The end of what came of its log."""
        return self._log.tail(characters)

    async def _call(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """Raises InstanceLost, InvocationTimeout, and what the method raises of ours."""
        errors = self._cluster.ray.exceptions
        call = getattr(self._actor.result(), method).remote(*arguments)
        try:
            async with asyncio.timeout(timeout_s + _GRACE_S):
                return await call
        except asyncio.CancelledError:
            self._cluster.ray.cancel(call)  # its caller left
            raise
        except TimeoutError as error:
            self._cluster.ray.cancel(call)
            raise InvocationTimeout(f"Instance {self.id} did not answer within {timeout_s:g} s.") from error
        except errors.RayTaskError as error:
            if isinstance(error.cause, ZerostartError):
                raise error.cause from None
            raise InstanceLost(f"Instance {self.id} failed: {error.cause}") from error
        except errors.RayError as error:
            raise InstanceLost(f"Instance {self.id} went away: {_first_line(error)}") from error

    def _pulse(self, ping_s: float, timeout_s: float) -> Pulse | None:
        try:
            asked = self._actor.result().pulse.remote(self._log_place, ping_s)
            pulse: Pulse = self._cluster.ray.get(asked, timeout=timeout_s)
        except (self._cluster.ray.exceptions.RayError, TimeoutError):
            return None
        self._answers, self._memory_bytes, self._log_place = True, pulse.memory_bytes, pulse.log_place
        self._log.append(pulse.log)
        return pulse

    def _watch(self, actor: "Future[Any]") -> None:
        """Learn when it ends, from the moment that it is asked for."""
        if error := actor.exception():
            self._ended.set_exception(error)
            return
        watched = actor.result().ended.remote().future()
        watched.add_done_callback(self._note_end)

    def _note_end(self, watched: "Future[Any]") -> None:
        if error := watched.exception():
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    def _part(self) -> None:
        """It ended: take the rest of its log, or why it could not be started, and give its place back."""
        if error := self._ended.exception():
            self._log.append(f"{words_of(error)}\n".encode())
        else:
            self._pulse(0, _LAST_LOG_S)
        self.kill()

    def _kill(self, actor: "Future[Any]") -> None:
        if not actor.exception():
            self._cluster.ray.kill(actor.result())


class RayLauncher:
    """Starts instances on a cluster. `program` says what a node has to know to run one of a model.

    Their logs come to `log_folder`, as those of local ones do.
    """

    def __init__(
        self,
        cluster: RayCluster,
        log_folder: Path,
        program: Callable[[str], NodeProgram],
        not_isolated: str | None = None,
    ) -> None:
        self.not_isolated = not_isolated
        self._cluster = cluster
        self._log_folder = log_folder
        self._program = program
        self._actor = cluster.ray.remote(NodeInstance)
        self._starting = ThreadPoolExecutor(4, "ship")  # an artefact that is shipped first takes its time

    def threads(self, vcpus: int, instances: int) -> int:
        """Reserved for each, so that it has them for itself; on one machine its share."""
        if self._cluster.is_own:
            return min(vcpus, max(1, self._cluster.cores() // instances))
        return self._cluster.threads(vcpus)

    def launch(self, spec: InstanceSpec) -> RayInstance:
        """Ask for an actor. Raises LaunchFailed."""
        instance_id = f"i-{secrets.token_hex(6)}"
        try:
            log = LogFile(self._log_folder / spec.endpoint / spec.variant / f"{instance_id}.log")
            log.remove_older()
        except OSError as error:
            raise LaunchFailed(f"Could not start an instance of {spec.endpoint}/{spec.variant}: {error}") from error
        room = f"{spec.threads} CPUs and {spec.memory_bytes / 2**30:g} GiB" if not self._cluster.is_own else "room"
        log.append(f"waits for a node that has {room} left\n".encode())
        actor = self._starting.submit(self._started, instance_id, spec)
        return RayInstance(instance_id, spec, self._cluster, actor, log)

    def close(self) -> None:
        """Ship nothing more. The cluster is left by who joined it."""
        self._starting.shutdown(cancel_futures=True)

    def _started(self, instance_id: str, spec: InstanceSpec) -> Any:
        program = self._program(spec.model_id)
        gpus = resources_of(spec.instance_type).gpus
        options = self._cluster.options(spec.threads, memory_bytes=spec.memory_bytes, gpus=gpus)
        name = f"{spec.endpoint}/{spec.variant}/{instance_id}"
        return self._actor.options(name=name, **options).remote(spec, program)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
