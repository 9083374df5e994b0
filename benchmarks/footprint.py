"""Start-up time, memory and size on disk."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.processes import ModelServerProcess, clean_environment

from benchmarks.texts import LABELS, mixed_texts


def machine() -> dict[str, Any]:
    """What was measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text("ascii", "replace").split() if cpuinfo.exists() else []
    known = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    return {
        "cores": os.cpu_count(),
        "processor": [flag for flag in known if flag in flags] or platform.processor(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }


def cold_start() -> dict[str, Any]:
    """Seconds from typing `zerostart classify` to the answer; the first run has no compiled model in its cache."""
    command = [
        sys.executable,
        "-m",
        "zerostart",
        "classify",
        "One day I will see the world",
        "--labels",
        "travel,cooking",
    ]
    with tempfile.TemporaryDirectory() as home:
        taken = []
        for _ in range(6):
            started_s = time.perf_counter()
            subprocess.run(command, env=clean_environment(Path(home)), check=True, capture_output=True)
            taken.append(time.perf_counter() - started_s)
    return {"first_s": round(taken[0], 2), "median_s": round(statistics.median(taken[1:]), 2)}


def peak_memory() -> dict[str, Any]:
    """Peak resident memory of a model server after mixed texts, and after texts of the longest kind."""
    texts, _ = mixed_texts()
    peaks: dict[str, list[int]] = {"mixed texts": [], "longest texts": []}
    for _ in range(3):
        with tempfile.TemporaryDirectory() as home, ModelServerProcess(Path(home)) as server:
            for name, batch in (
                ("mixed texts", texts),
                ("longest texts", [f"{n} " + "word " * 600 for n in range(16)]),
            ):
                status, answer = server.post(json.dumps({"inputs": batch, "candidate_labels": LABELS}).encode())
                assert status == 200, answer
                peaks[name].append(peak_mb(server.pid))
    return {"peak_mb": {name: round(statistics.median(values)) for name, values in peaks.items()}}


def install_size() -> dict[str, Any]:
    """Megabytes of the base install in an environment of its own, without pip."""
    project = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "site"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), str(project)]
        subprocess.run(command, check=True)
        sizes = {each.name: _size_mb(each) for each in target.iterdir()}
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:6]
    return {"total_mb": round(sum(sizes.values())), "largest_mb": {name: round(size) for name, size in largest}}


def _size_mb(path: Path) -> float:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files if "__pycache__" not in each.parts) / 1e6


def peak_mb(pid: int) -> int:
    """Peak resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))
