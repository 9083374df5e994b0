"""The contract of a launcher: it starts instances. Each is one model server that can crash or be replaced alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class InstanceSpec:
    """What to run. `threads` are the engine's; over `memory_bytes` the instance is replaced, 0 is no limit.

    `profile` is the JSON of the profile that it answers by.
    """

    endpoint: str
    variant: str
    model_id: str
    instance_type: str
    threads: int
    memory_bytes: int = 0
    isolation_required: bool = False
    profile: str | None = None


@dataclass(frozen=True)
class InstanceReply:
    """An instance's answer to an invocation, whatever its HTTP status."""

    status: int
    content_type: str
    body: bytes


class Instance(Protocol):
    """A started instance."""

    id: str
    spec: InstanceSpec

    def is_alive(self) -> bool:
        """Whether it still runs; cheap enough to ask several times a second."""
        ...

    def ping(self, timeout_s: float) -> bool | None:
        """True: takes invocations. False: says that it cannot (red). None: no answer (yet)."""
        ...

    def memory_bytes(self) -> int:
        """The memory that it holds for itself; 0 where that is not known."""
        ...

    async def invoke(self, body: bytes, headers: Mapping[str, str], timeout_s: float) -> InstanceReply:
        """Send an invocation. Raises InstanceLost when it goes away, InvocationTimeout when time is up."""
        ...

    async def metrics(self, timeout_s: float) -> str:
        """Its metrics in Prometheus' text form. Raises InstanceLost."""
        ...

    def stop(self) -> None:
        """Ask it to finish the requests in flight and end; returns at once."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...

    def log_tail(self, characters: int = 1000) -> str:
        """The end of its log."""
        ...


class Launcher(Protocol):
    """Starts instances. `not_isolated` says why they are not cut off from the network; None if they are."""

    not_isolated: str | None

    def threads(self, vcpus: int, instances: int) -> int:
        """The engine's threads of one of so many instances of an endpoint, whose type has so many vCPUs."""
        ...

    def launch(self, spec: InstanceSpec) -> Instance:
        """Start one; it is ready once `ping` says True. Raises LaunchFailed."""
        ...

    def close(self) -> None:
        """Clean up after the last instance."""
        ...
