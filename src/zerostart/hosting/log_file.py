"""The log of an instance: a file that begins anew when it is long, among the newest of its variant."""

import contextlib
import logging
import os
import shutil
from pathlib import Path

logger = logging.getLogger(__name__)
_KEPT_LOGS = 20
_LONGEST_LOG_BYTES = 10 * 1024 * 1024


class LogFile:
    """A file that somebody appends to: a process that has it open, or `append`."""

    def __init__(self, path: Path) -> None:
        """Make its folder. Raises OSError."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def append(self, content: bytes) -> None:
        """Write at its end. Where the disk has no room, a log is not what stops instances: the lines are lost."""
        if not content:
            return
        try:
            with self.path.open("ab") as file:
                file.write(content)
        except OSError as error:
            logger.warning("%d bytes of %s are lost: %s", len(content), self.path, error)
        self.begin_anew_if_long()

    def remove_older(self) -> None:
        """Keep the newest logs beside it."""
        logs = sorted(self.path.parent.glob("*.log"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in logs[_KEPT_LOGS:]:
            path.unlink(missing_ok=True)
            path.with_suffix(".log.1").unlink(missing_ok=True)

    def begin_anew_if_long(self) -> None:
        """Move what a long log holds to a file beside it, in the place of what was moved there before."""
        with contextlib.suppress(OSError):
            if self.path.stat().st_size > _LONGEST_LOG_BYTES:
                shutil.copyfile(self.path, self.path.with_suffix(".log.1"))
                os.truncate(self.path, 0)  # who has it open appends, so that its next line is the first

    def tail(self, characters: int) -> str:
        """Its end."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - characters))
                return file.read().decode("utf-8", "replace").strip()
        except OSError:
            return ""
