"""The local launcher: an instance is a process on this machine that serves on a Unix socket.

The socket lies in a folder that only this user can enter. The process ends when its standard input does, so that none
outlives the server, not even one that is killed.
"""

import asyncio
import contextlib
import hashlib
import http.client
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from zerostart.errors import InstanceLost, InvocationTimeout, LaunchFailed
from zerostart.hosting.launcher import InstanceReply, InstanceSpec
from zerostart.hosting.log_file import LogFile
from zerostart.memory import own_memory_bytes

_FIRST_TO_KILL = 500
_LONGEST_SOCKET_PATH = 100  # sun_path holds 108 bytes on Linux and 104 on macOS


class _UnixConnection(http.client.HTTPConnection):
    """http.client over a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("instance", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class LocalInstance:
    """A model server's process."""

    def __init__(
        self, instance_id: str, spec: InstanceSpec, process: "subprocess.Popen[bytes]", path: Path, log: LogFile
    ) -> None:
        self.id = instance_id
        self.spec = spec
        self._process = process
        self._socket = path
        self.log = log
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process runs."""
        if self._process.poll() is None:
            return True
        self._forget()
        return False

    def memory_bytes(self) -> int:
        """Anonymous and shared memory, in RAM and swapped out; mapped files, such as the model, are not counted."""
        return own_memory_bytes(self.pid)

    def ping(self, timeout_s: float) -> bool | None:
        """GET /ping; now and then a look at the log's size."""
        self.log.begin_anew_if_long()
        connection = _UnixConnection(self._socket, timeout_s)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    async def invoke(self, body: bytes, headers: Mapping[str, str], timeout_s: float) -> InstanceReply:
        """POST /invocations."""
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._client().post("/invocations", data=body, headers=headers, timeout=timeout) as reply:
                return InstanceReply(reply.status, reply.headers.get("Content-Type", ""), await reply.read())
        except TimeoutError as error:
            raise InvocationTimeout(f"Instance {self.id} did not answer within {timeout_s:g} s.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise InstanceLost(f"Instance {self.id} went away: {error}") from error

    async def metrics(self, timeout_s: float) -> str:
        """GET /metrics."""
        try:
            async with self._client().get("/metrics", timeout=aiohttp.ClientTimeout(total=timeout_s)) as reply:
                return await reply.text()
        except (aiohttp.ClientError, OSError) as error:
            raise InstanceLost(f"Instance {self.id} went away: {error}") from error

    def stop(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL, and wait for the end of the process."""
        self._process.kill()
        self._process.wait()

    def log_tail(self, characters: int = 1000) -> str:
        """The end of the instance's log."""
        return self.log.tail(characters)

    def _client(self) -> aiohttp.ClientSession:
        """One keep-alive session, made in the event loop that invokes."""
        if self._session is None:
            connector = aiohttp.UnixConnector(path=str(self._socket), limit=0)
            self._session = aiohttp.ClientSession("http://instance", connector=connector, auto_decompress=False)
            self._loop = asyncio.get_running_loop()
        return self._session

    def _forget(self) -> None:
        """The process ended: remove its socket and close what leads to it, connections in the loop that made them."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        shutil.rmtree(self._socket.parent, ignore_errors=True)
        session, self._session = self._session, None
        if session is not None and self._loop is not None and not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(session.close(), self._loop)


class LocalLauncher:
    """Starts model servers as child processes. `environment` is all that they inherit.

    They isolate themselves, unless `not_isolated` says why that is not to be. `folder` holds their sockets.
    """

    def __init__(
        self,
        run_folder: Path,
        log_folder: Path,
        environment: Mapping[str, str],
        not_isolated: str | None = None,
        cores: int = 0,
    ) -> None:
        self.not_isolated = not_isolated
        self._cores = cores or os.cpu_count() or 1
        self.folder = _socket_folder(run_folder)
        self._log_folder = log_folder
        self._environment = dict(environment)

    def threads(self, vcpus: int, instances: int) -> int:
        """A share of this machine's cores."""
        return min(vcpus, max(1, self._cores // instances))

    def launch(self, spec: InstanceSpec) -> LocalInstance:
        """Start a process."""
        if spec.isolation_required and self.not_isolated:
            raise LaunchFailed(f"The model asks for network isolation, and there is none: {self.not_isolated}.")
        instance_id = f"i-{secrets.token_hex(6)}"
        path = self.folder / instance_id / "s"  # in a folder of its own: the rest is closed to the instance
        command = [sys.executable, "-P", "-m", "zerostart", "model-server", "--model", spec.model_id]
        command += ["--socket", str(path), "--threads", str(spec.threads), "--exit-with-parent"]
        command += [] if self.not_isolated else ["--isolate"]
        profile = path.parent / "profile.json"
        command += ["--profile", str(profile)] if spec.profile else []
        try:
            path.parent.mkdir(mode=0o700)
            if spec.profile:
                profile.write_text(spec.profile, "utf-8")
            log = LogFile(self._log_folder / spec.endpoint / spec.variant / f"{instance_id}.log")
            log.remove_older()
            with log.path.open("ab") as output:
                if self.not_isolated:
                    output.write(f"not isolated: {self.not_isolated}\n".encode())
                    output.flush()
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    env=self._environment,
                    cwd=path.parent,
                    start_new_session=True,
                )
            _kill_first_when_memory_is_short(process.pid)
        except OSError as error:
            raise LaunchFailed(f"Could not start an instance of {spec.endpoint}/{spec.variant}: {error}") from error
        return LocalInstance(instance_id, spec, process, path, log)

    def close(self) -> None:
        """Remove the sockets' folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _kill_first_when_memory_is_short(pid: int) -> None:
    """Have the kernel choose this process before others, above all before the server, when the machine is full."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(_FIRST_TO_KILL))


def _socket_folder(wanted: Path) -> Path:
    """An empty folder for sockets, 0700; a temporary one where `wanted` is too long for a socket's path."""
    folder = wanted
    if len(os.fsencode(wanted)) + len("/i-0123456789ab/s") > _LONGEST_SOCKET_PATH:
        digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"zerostart-{os.getuid()}-{digest}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(parents=True, mode=0o700)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid():
        raise LaunchFailed(f"{folder} belongs to somebody else: remove it, or set TMPDIR to a folder of your own.")
    folder.chmod(0o700)
    for left_over in folder.iterdir():
        shutil.rmtree(left_over, ignore_errors=True)
    return folder
