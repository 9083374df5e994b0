"""What a process holds in memory."""

import re
from pathlib import Path

_OWN = re.compile(r"^(?:RssAnon|RssShmem|VmSwap):\s+(\d+) kB$", re.MULTILINE)


def own_memory_bytes(pid: int) -> int:
    """What a process holds for itself: anonymous and shared memory, also what is swapped out; 0 if it is gone.

    Mapped files, such as a model, are not counted. Linux alone tells.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return sum(int(kib) for kib in _OWN.findall(status)) * 1024
