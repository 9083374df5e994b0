"""What runs on a node of a Ray cluster: an instance or a transform worker, the same programs as on one machine.

Each is a process of its own beside the actor that watches it, so that a model has no more reach there than here. It
ends when the actor does, however that ends.
"""

import asyncio
import contextlib
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zerostart.errors import LaunchFailed
from zerostart.hosting.isolation import reason_not_to_isolate
from zerostart.hosting.launcher import InstanceReply, InstanceSpec
from zerostart.hosting.local import LocalInstance, LocalLauncher
from zerostart.hosting.shipping import ShippedArtefact, fetch
from zerostart.memory import own_memory_bytes
from zerostart.settings import instance_environment, load_settings
from zerostart.storage.base import ObjectStore

VERSION = importlib.metadata.version("zerostart")
_LOOK_S = 0.1
_MOST_LOG_BYTES = 256 * 1024
_NOT_INHERITED = ("RAY_", "ZEROSTART_")


@dataclass(frozen=True)
class NodeProgram:
    """What a node has to know to run a program of the server's.

    `environment` are the server's settings. `artefacts` are fetched from `open_store()` into a home folder of the
    node's own; where there are none to fetch because the node is the server's machine, `home` is the server's.
    """

    version: str
    environment: Mapping[str, str] = field(repr=False)
    artefacts: tuple[ShippedArtefact, ...] = ()
    open_store: "Callable[[], ObjectStore] | None" = field(default=None, repr=False)
    home: Path | None = None

    def prepared(self) -> Path:
        """The home folder to run in, with the artefacts in it. Raises LaunchFailed, NotFound, InvalidArtefact."""
        if self.version != VERSION:
            raise LaunchFailed(
                f"The server runs Zerostart {self.version}, and node {os.uname().nodename} {VERSION}: "
                "install the same version on both."
            )
        if self.home is not None:
            return self.home
        digest = hashlib.sha256(" ".join(sorted(each.digest for each in self.artefacts)).encode()).hexdigest()
        home = node_folder() / "homes" / digest[:16]
        if self.artefacts and self.open_store is not None:
            store = self.open_store()
            for each in self.artefacts:
                fetch(each, store, home / "models")
        home.mkdir(parents=True, exist_ok=True)
        return home


@dataclass(frozen=True)
class Pulse:
    """How a program is: an instance's answer to a ping, its memory, and its log from the asked place to `log_place`."""

    answer: bool | None
    memory_bytes: int
    log: bytes
    log_place: int


class NodeInstance:
    """An instance on this node. Of an actor whose methods run in one event loop."""

    def __init__(self, spec: InstanceSpec, program: NodeProgram) -> None:
        """Start it. Raises LaunchFailed, and what fetching the artefacts raises."""
        home = program.prepared()
        settings = load_settings({**program.environment, "ZEROSTART_HOME": str(home)})
        not_isolated = "the setting isolation is off" if settings.isolation == "off" else reason_not_to_isolate(home)
        if not_isolated and settings.isolation == "required":
            raise LaunchFailed(f"Instances cannot be isolated on this node, as is required: {not_isolated}.")
        own = _own_folder()
        self._launcher = LocalLauncher(own / "run", own / "logs", instance_environment(settings), not_isolated)
        self._instance: LocalInstance = self._launcher.launch(spec)

    async def ended(self) -> None:
        """Returns when the process ended."""
        while self._instance.is_alive():  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(_LOOK_S)

    async def pulse(self, log_from: int, timeout_s: float) -> Pulse:
        """Ping it. A ping of no time is none."""
        answer = await asyncio.to_thread(self._instance.ping, timeout_s) if timeout_s else None
        return Pulse(answer, self._instance.memory_bytes(), *_read_log(self._instance.log.path, log_from))

    async def invoke(self, body: bytes, headers: Mapping[str, str], timeout_s: float) -> InstanceReply:
        """Send an invocation. Raises InstanceLost, InvocationTimeout."""
        return await self._instance.invoke(body, headers, timeout_s)

    async def metrics(self, timeout_s: float) -> str:
        """Its metrics. Raises InstanceLost."""
        return await self._instance.metrics(timeout_s)

    async def stop(self) -> None:
        """Ask it to end."""
        self._instance.stop()


class NodeWorker:
    """A transform worker on this node, with what `zerostart transform-worker` is told. Of an actor, as above."""

    def __init__(self, arguments: Sequence[str], program: NodeProgram) -> None:
        """Start it. Raises as `NodeProgram.prepared`."""
        home = program.prepared()
        kept = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_INHERITED)}
        self._log = _own_folder() / "worker.log"
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "zerostart", "transform-worker", *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**kept, **program.environment, "ZEROSTART_HOME": str(home)},
                start_new_session=True,
            )

    async def ended(self) -> int:
        """Returns when the process ended: its exit code, as `subprocess` has it."""
        while (code := self._process.poll()) is None:  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(_LOOK_S)
        return code

    async def pulse(self, log_from: int) -> Pulse:
        """Its memory and log."""
        return Pulse(None, own_memory_bytes(self._process.pid), *_read_log(self._log, log_from))


def _read_log(path: Path, start: int) -> tuple[bytes, int]:
    """256 KiB of a log at most from a place on, and the place after it; from its beginning if it began anew."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(start if start <= end else 0)
            return file.read(_MOST_LOG_BYTES), file.tell()
    except OSError:
        return b"", start


def node_folder() -> Path:
    """Where this node keeps artefacts and compiled models; safe to delete while nothing runs."""
    folder = Path(tempfile.gettempdir()) / f"zerostart-node-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid():
        raise LaunchFailed(f"{folder} belongs to somebody else: remove it, or set TMPDIR to a folder of your own.")
    folder.chmod(0o700)
    return folder


def _own_folder() -> Path:
    """An empty folder of this process, without those of processes that are gone."""
    actors = node_folder() / "actors"
    actors.mkdir(exist_ok=True)
    for each in actors.iterdir():
        if not Path(f"/proc/{each.name}").exists() or each.name == str(os.getpid()):
            shutil.rmtree(each, ignore_errors=True)
    own = actors / str(os.getpid())
    own.mkdir()
    return own
