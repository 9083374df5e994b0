"""What was measured of a model on this machine: which engine and precision is fastest, and what it changes.

It is kept beside the models, one file a model, and counts for the artefact and the processor that it was measured on.
"""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from zerostart.models.artefact import Artefact, sha256_of

# Share of texts whose first label a precision may not change, if it is to be used without being asked for.
LEAST_AGREEMENT = 0.99


@dataclass(frozen=True)
class Measurement:
    """One engine in one precision: pairs a second, and how its answers differ from fp32's on the same texts.

    `agreement` is the share of texts with the same first label, and the differences are of the scores of labels.
    """

    engine: str
    precision: str
    pairs_per_s: float
    agreement: float
    max_score_difference: float
    mean_score_difference: float

    @property
    def is_faithful(self) -> bool:
        """Whether it may be used without being asked for."""
        return self.agreement >= LEAST_AGREEMENT


@dataclass(frozen=True)
class Tuning:
    """The measurements of one artefact on one machine. `texts` is how many answers were compared."""

    artefact: str
    machine: str
    texts: int
    measurements: tuple[Measurement, ...]

    def best(self, engine: str = "auto", precision: str = "auto") -> Measurement | None:
        """The fastest that is faithful, among those of an engine and a precision; "auto" is any."""
        taken = [
            each
            for each in self.measurements
            if each.is_faithful and engine in ("auto", each.engine) and precision in ("auto", each.precision)
        ]
        return max(taken, key=lambda each: each.pairs_per_s, default=None)


def tuning_path(folder: Path, artefact: Artefact) -> Path:
    """The file of an artefact's measurements in `folder`."""
    return folder / f"{artefact.folder.name}.json"


def read_tuning(folder: Path, artefact: Artefact) -> Tuning | None:
    """The measurements of this artefact on this machine; None where there are none, or those of another one."""
    try:
        document = json.loads(tuning_path(folder, artefact).read_bytes())
        measurements = tuple(Measurement(**each) for each in document.pop("measurements"))
        tuning = Tuning(**document, measurements=measurements)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return tuning if (tuning.artefact, tuning.machine) == (artefact_key(artefact), machine_key()) else None


def write_tuning(folder: Path, artefact: Artefact, texts: int, measurements: Sequence[Measurement]) -> Tuning:
    """Keep measurements in place of older ones of the same engine and precision; all there are now."""
    old = read_tuning(folder, artefact)
    named = {(each.engine, each.precision): each for each in (*(old.measurements if old else ()), *measurements)}
    tuning = Tuning(artefact_key(artefact), machine_key(), texts, tuple(named.values()))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = tuning_path(folder, artefact)
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(asdict(tuning), indent=2) + "\n", "utf-8")
    temporary.replace(path)
    return tuning


def artefact_key(artefact: Artefact) -> str:
    """What is another for other weights: the checksum of the manifest, which has those of the files."""
    return sha256_of(artefact.folder / "zerostart.json")


def machine_key() -> str:
    """The processor and how many cores of it there are."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        facts = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines}
    except OSError:
        facts = {}
    flags = facts.get("flags", "").split()
    fast = " ".join(
        sorted(flag for flag in flags if flag.startswith(("amx", "avx512_bf16", "avx512_vnni", "avx_vnni")))
    )
    return f"{facts.get('model name') or platform.machine()}, {os.cpu_count()} cores, {fast}".rstrip(", ")
