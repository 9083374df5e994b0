"""A real Ray cluster of several nodes on this machine, each a raylet with a temporary folder of its own."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.processes import wait_for

_RAY = Path(sys.executable).with_name("ray")
_STARTED = "Ray runtime started"
_OBJECTS_BYTES = 100_000_000


class RayNodes:
    """A head without CPUs, and nodes by name. `environment` is what its processes have, and what joins it needs."""

    def __init__(self, folder: Path, environment: dict[str, str], **tls: str) -> None:
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.joining = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "AUTOSCALER_METRIC_PORT": "-1",
            **tls,
        }
        self._environment = {**environment, **self.joining}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        try:
            self._start("head", "--head", f"--port={self.address.rpartition(':')[2]}", "--num-cpus=0")
        except BaseException:
            self.close()
            raise

    def add(self, name: str, cpus: int = 2) -> Path:
        """Start a node; its temporary folder."""
        return self._start(name, f"--address={self.address}", f"--num-cpus={cpus}")

    def kill(self, name: str) -> None:
        """End a node as a power cut does: SIGKILL to all that runs on it."""
        process = self._processes.pop(name)
        marker = f"TMPDIR={self._folder / name}\0".encode()
        while left := [pid for pid in _processes(marker) if pid != os.getpid()]:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        process.wait()

    def close(self) -> None:
        """End every node."""
        for name in list(self._processes):
            self.kill(name)

    def _start(self, name: str, *arguments: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        log = folder / "ray-start.log"
        command = [str(_RAY), "start", *arguments, "--node-ip-address=127.0.0.1"]
        command += ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
        command += [f"--object-store-memory={_OBJECTS_BYTES}", "--block"]
        command += ["--include-dashboard=false", f"--temp-dir={self._folder}/r"] if name == "head" else []
        with log.open("wb") as output:
            self._processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**self._environment, "TMPDIR": str(folder)},
                start_new_session=True,
            )
        wait_for(lambda: self._has_started(name, log), timeout_s=60)
        return folder

    def _has_started(self, name: str, log: Path) -> bool:
        assert self._processes[name].poll() is None, log.read_text()
        return _STARTED in log.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _processes(marker: bytes) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found
