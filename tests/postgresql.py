"""A real PostgreSQL for tests: Debian's package, a cluster of its own in a temporary folder, loopback alone."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy

from tests.processes import wait_for

_PACKAGES = Path("/usr/lib/postgresql")


def postgresql_folder() -> Path | None:
    """Where initdb and postgres are; Debian keeps them off the PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(_PACKAGES.glob("*/bin"), reverse=True)
    return next((each for each in folders if (each / "postgres").exists()), None)


class PostgreSQL:
    """A running cluster. It refuses root, so that root's tests run it as the package's own user."""

    def __init__(self, binaries: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self._folder, account.pw_uid, account.pw_gid)
            self._user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        data = self._folder / "data"
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True,
            capture_output=True,
            cwd="/",
            **self._user,
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        self._log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(
            [binaries / "postgres", "-D", data, *(f"--{name}={value}" for name, value in options.items())],
            stdout=self._log,
            stderr=self._log,
            cwd="/",
            **self._user,
        )
        self._made = 0
        self._engine = sqlalchemy.create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        wait_for(self._answers)

    def database(self) -> str:
        """The URL of a new, empty database, as a user would write it."""
        self._made += 1
        with self._engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE test_{self._made}")
        return f"postgresql://tester@127.0.0.1:{self.port}/test_{self._made}"

    def stop(self) -> None:
        self._engine.dispose()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:  # it waits for its clients; these are gone or will not come back
            self._process.kill()
            self._process.wait()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _url(self, name: str) -> str:
        return f"postgresql+pg8000://tester@127.0.0.1:{self.port}/{name}"

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError((self._folder / "log").read_text())
        try:
            self._engine.connect().close()
        except sqlalchemy.exc.SQLAlchemyError:
            return False
        return True
