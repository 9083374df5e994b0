"""Use case of seeing what lies on the disk: how large each place is, measured beside everything else."""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zerostart.models.artefact import BUILTIN_FOLDER
from zerostart.settings import Settings

_VALID_S = 30.0


@dataclass(frozen=True)
class Place:
    """Files and folders that belong together, and what they are for."""

    name: str
    paths: Sequence[Path]
    purpose: str


def places(settings: Settings) -> Sequence[Place]:
    """Where this installation keeps things, except what its settings put elsewhere."""
    home = settings.home
    database = tuple(home / f"zerostart.db{end}" for end in ("", "-wal", "-shm"))
    found = [
        Place("Models", (settings.models_folder,), "Models that were fetched or added."),
        Place("Built-in models", (BUILTIN_FOLDER,), "Part of the installed package."),
        Place("Compiled models", (settings.cache_folder,), "Made again when missing: safe to delete while stopped."),
    ]
    if settings.storage == "local":
        found.append(Place("Buckets", (home / "buckets", home / "keys"), "Objects, encrypted, and their keys."))
    if not settings.database_url:
        found.append(Place("Database", database, "Models, endpoints, jobs, and which objects there are."))
    found.append(Place("Logs", (home / "logs",), "Of instances and jobs."))
    found.append(Place("All of the home folder", (home,), "With keys, certificates and what was measured of models."))
    return found


class DiskUse:
    """Measures places in a thread of its own, one at a time, and knows what it found last."""

    def __init__(self, measured: Sequence[Place]) -> None:
        self.places = measured
        self._lock = threading.Lock()
        self._sizes: Mapping[str, int] = {}
        self._measured_s = float("-inf")
        self._done: threading.Event | None = None

    def sizes(self, wait_s: float) -> Mapping[str, int] | None:
        """Bytes of each place by its name, at most half a minute old; None if that takes longer than `wait_s`."""
        with self._lock:
            if time.monotonic() - self._measured_s < _VALID_S:
                return self._sizes
            if self._done is None:
                self._done = threading.Event()
                threading.Thread(target=self._measure, name="disk-use", daemon=True).start()
            done = self._done
        return self._sizes if done.wait(wait_s) else None

    def _measure(self) -> None:
        found = {place.name: sum(map(size_of, place.paths)) for place in self.places}
        with self._lock:
            self._sizes, self._measured_s = found, time.monotonic()
            done, self._done = self._done, None
        assert done is not None  # noqa: S101 - who started this thread made it
        done.set()


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder, as far as they can be read; links are not followed."""
    if not path.is_dir():
        return _bytes_of(path)
    total, waiting = 0, [str(path)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += _bytes_of(entry)
        except OSError:
            continue  # a folder that was removed meanwhile, or is somebody else's
    return total


def _bytes_of(file: "Path | os.DirEntry[str]") -> int:
    try:
        return file.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
