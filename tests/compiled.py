"""Compiled models that homes of tests share: most tests ask what a server answers, not how a machine's first load goes.

A home gets hard links to what another one compiled, as if a server had run in it before. Files are never changed in
place, only replaced.
"""

import contextlib
import os
import tempfile
from pathlib import Path

_SHARED = Path(tempfile.gettempdir()) / f"zerostart-tests-compiled-{os.getuid()}"


def lend(home: Path) -> None:
    """Give a home that has nothing compiled what others have."""
    if _SHARED.is_dir() and not (home / "cache").exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _link(_SHARED, home / "cache")


def keep(home: Path) -> None:
    """Keep what a home has of the built-in models for others, instead of what is of other weights."""
    for folder in (home / "cache").glob("zerostart-*"):
        found = {path.name.partition("-")[0] for path in folder.glob("*.blob")}
        for old in (_SHARED / folder.name).glob("*.blob"):
            if found and old.name.partition("-")[0] not in found:
                old.unlink(missing_ok=True)
        _link(folder, _SHARED / folder.name)


def _link(source: Path, target: Path) -> None:
    for blob in source.rglob("*.blob"):
        linked = target / blob.relative_to(source)
        linked.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # it is there, or replaced just now, or on another disk
            os.link(blob, linked)
