"""What the programs that the server starts do to their own process: less memory, less reach, and no life of its own."""

import contextlib
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from zerostart.settings import Settings

# A tenth of a core that a program of ordinary priority wants whole.
_NICENESS = 10


def return_freed_memory() -> None:
    """Have glibc keep one heap and give back what is freed: 60 MB less at the peak. Elsewhere this does nothing."""
    import ctypes

    trim_threshold, arena_max = -1, -8  # M_TRIM_THRESHOLD and M_ARENA_MAX of malloc.h
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(arena_max, 1)
        libc.mallopt(trim_threshold, 1_000_000)


def isolate_for_model(settings: Settings, model: str, *writable: Path) -> None:
    """Keep this process to the files of its model, and of the one that ranks its labels, and to what it writes.

    While it has one thread yet.
    """
    isolate_for_models(settings, [model], *writable)


def isolate_for_models(settings: Settings, models: Sequence[str], *writable: Path) -> None:
    """The same for several models."""
    from zerostart.bootstrap.classifier import ranking_model
    from zerostart.errors import UnknownModel
    from zerostart.hosting.isolation import isolate
    from zerostart.models.local_artefacts import LocalArtefacts

    artefacts = LocalArtefacts(settings.models_folder)
    folders = []
    for artefact in map(artefacts.find, models):
        folders.append(artefact.folder)
        with contextlib.suppress(UnknownModel):
            folders.append(artefacts.find(ranking_model(settings, artefact)).folder)
    caches = [settings.cache_folder / folder.name for folder in folders]
    for each in (*caches, settings.tuning_folder):
        each.mkdir(parents=True, exist_ok=True)
    isolate([*folders, settings.tuning_folder], [*caches, *writable], settings.home)


def isolate_alone(settings: Settings) -> None:
    """Keep this process to its program, without a network. While it has one thread yet."""
    from zerostart.hosting.isolation import isolate

    isolate(secret=settings.home)


def give_precedence() -> None:
    """Compute at a low priority, so that endpoints keep most of their latency, and other programs theirs.

    Not at the lowest: a job has to go on, if slowly, on a machine where others compute all the time. Linux weighs
    sessions against each other before it looks into them, where that is on (`autogroup`).
    """
    import os

    os.nice(_NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICENESS))


def exit_with_parent_process() -> None:
    """End this process when its standard input does, which its parent holds open for as long as it lives."""
    import os

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os._exit(0)

    threading.Thread(target=wait, name="exit-with-parent", daemon=True).start()
