"""Where the workers of jobs run: the contract, and processes on this machine."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from zerostart.memory import own_memory_bytes


class WorkerProcess(Protocol):
    """A worker that was started. `where` says it to people."""

    where: str

    def poll(self) -> int | None:
        """None while it runs; then its exit code, negative for the signal that ended it, as `subprocess` has it."""
        ...

    def memory_bytes(self) -> int:
        """The memory that it holds for itself; 0 where that is not known."""
        ...

    def end(self) -> None:
        """End it now, and let go of it. It may have ended."""
        ...


class WorkerLauncher(Protocol):
    """Starts workers."""

    def threads(self, workers: int) -> int:
        """The engine's threads of each of so many workers of a job."""
        ...

    def start(self, model_id: str, threads: int, arguments: Sequence[str], log: Path) -> WorkerProcess:
        """Start `zerostart transform-worker` with these arguments. What it prints comes to the log."""
        ...


class LocalWorkerProcess:
    """A process on this machine; it ends when this one does."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.where = f"process {process.pid}"

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code."""
        return self._process.poll()

    def memory_bytes(self) -> int:
        """Its own memory."""
        return own_memory_bytes(self._process.pid)

    def end(self) -> None:
        """SIGKILL, if it runs."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


class LocalWorkers:
    """Starts workers as child processes. `environment` is all that they inherit.

    `isolated`: they cut themselves off from the network and from files that are none of a job's.
    """

    def __init__(self, environment: Mapping[str, str], cores: int, *, isolated: bool) -> None:
        self._environment = dict(environment)
        self._cores = cores
        self._isolated = isolated

    def threads(self, workers: int) -> int:
        """A share of this machine's cores."""
        return max(1, self._cores // workers)

    def start(self, model_id: str, threads: int, arguments: Sequence[str], log: Path) -> LocalWorkerProcess:
        """Start a process."""
        del threads  # the job's options say them
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*self._command(model_id), *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,
            )
        return LocalWorkerProcess(process)

    def told(self, model_id: str, arguments: Sequence[str], asked: bytes, timeout_s: float) -> tuple[bytes, str]:
        """What a worker prints on its standard output when it is asked something, and on its standard error.

        Raises TimeoutError.
        """
        try:
            told = subprocess.run(
                [*self._command(model_id), *arguments],
                input=asked,
                capture_output=True,
                env=self._environment,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(str(error)) from error
        return told.stdout, told.stderr.decode("utf-8", "replace")

    def _command(self, model_id: str) -> list[str]:
        isolation = ["--isolate-for", model_id] if self._isolated else []
        return [sys.executable, "-P", "-m", "zerostart", "transform-worker", *isolation]
