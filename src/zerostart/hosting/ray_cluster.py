"""A Ray cluster: one that others started, or one on this machine that lives as long as the server.

https://docs.ray.io/en/latest/ray-core/api/doc/ray.init.html
"""

import logging
import os
import secrets
import shutil
import signal
import tempfile
import time
from typing import Any

from zerostart.errors import InvalidSettings, MissingExtra

_LOOK_S = 5.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# One machine shares its cores between instances, as it does without Ray: what is counted there must not run out.
_MANY_CPUS = 4096
_MUCH_MEMORY_BYTES = 2**46
_OBJECTS_BYTES = 256 * 1024**2  # bodies and answers over 100 kB pass through here


class RayCluster:
    """The connection of this process to a cluster; there is one in a process."""

    def __init__(self, address: str) -> None:
        """Connect, or start one if `address` is empty. Raises MissingExtra, InvalidSettings."""
        self.is_own = not address
        self._temporary = tempfile.mkdtemp(prefix="zerostart-ray-") if self.is_own else None
        if self.is_own:  # whoever reaches its ports needs the token, which its processes inherit
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
            os.environ |= {"RAY_gcs_rpc_server_reconnect_timeout_s": "30"}  # a killed server's processes end by then
            os.environ.pop("RAY_ADDRESS", None)
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "AUTOSCALER_METRIC_PORT": "-1"}
        self.ray = _ray()
        own: dict[str, Any] = {
            "num_cpus": _MANY_CPUS,
            "_memory": _MUCH_MEMORY_BYTES,
            "object_store_memory": _OBJECTS_BYTES,
            "_temp_dir": self._temporary,
        }
        handlers = {each: signal.getsignal(each) for each in _SIGNALS}
        try:
            self.ray.init(
                address="local" if self.is_own else address,
                namespace=f"zerostart-{secrets.token_hex(6)}",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(own if self.is_own else {}),
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            reason = str(error)[:500]
            if self.is_own:
                raise InvalidSettings(f"Ray could not be started on this machine: {reason}") from error
            raise InvalidSettings(
                f"The Ray cluster at {address} cannot be joined: {reason} This machine has to be one of its nodes: "
                "ray start --address=HEAD:6379 --num-cpus=0"
            ) from error
        finally:
            for each, handler in handlers.items():
                signal.signal(each, handler)  # Ray's own would end the server at once
        self._looked_s = float("-inf")
        self._nodes: list[dict[str, float]] = []

    def resources(self) -> list[dict[str, float]]:
        """What each node that is up has in all: CPU, GPU, memory in bytes. At most five seconds old."""
        if time.monotonic() - self._looked_s > _LOOK_S:
            self._nodes = [each["Resources"] for each in self.ray.nodes() if each["Alive"]]
            self._looked_s = time.monotonic()
        return self._nodes

    def cores(self) -> int:
        """Those of all nodes together, at least one; this machine's where the cluster is its own."""
        if self.is_own:
            return os.cpu_count() or 1
        return max(1, int(sum(each.get("CPU", 0) for each in self.resources())))

    def threads(self, vcpus: int) -> int:
        """How many of so many vCPUs the largest node has, or `vcpus` where no node has any yet."""
        largest = int(max((each.get("CPU", 0) for each in self.resources()), default=0))
        return min(vcpus, largest) or vcpus

    def options(self, threads: int, *, memory_bytes: int = 0, gpus: int = 0) -> dict[str, Any]:
        """What an actor reserves. GPUs only where a node has one: elsewhere instances compute on the CPU."""
        some_gpu = any(each.get("GPU", 0) for each in self.resources())
        return {
            "num_cpus": threads,
            "memory": memory_bytes or None,
            "num_gpus": gpus if some_gpu else 0,
            "max_restarts": 0,  # what ends is replaced by who watches it
            "max_concurrency": 10_000,
            "scheduling_strategy": "SPREAD",
        }

    def close(self) -> None:
        """Leave it; one of its own ends."""
        self.ray.shutdown()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


def words_of(error: BaseException) -> str:
    """Why an actor could not be started or ended: of an error of ours its message alone."""
    found = str(error).strip()[-2000:]
    _, ours, message = found.rpartition("zerostart.errors.")
    return message.partition(": ")[2] if ours else found


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("The launcher 'ray' needs Ray: pip install 'zerostart[ray]'") from error
    return ray
