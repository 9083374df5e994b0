"""What an instance gets by its type: the table of docs/instances.md."""

import re
from dataclasses import dataclass

_TYPE = re.compile(r"ml\.(?P<family>[a-z][a-z0-9-]*)\.(?P<size>[a-z0-9-]+)")
_TIMES = re.compile(r"(?P<times>\d+)xlarge")
_SMALL_VCPUS = {"nano": 2, "micro": 2, "small": 2, "medium": 2, "large": 2, "xlarge": 4, "metal": 96}
_SMALL_GIB = {"nano": 0.5, "micro": 1.0, "small": 2.0, "medium": 4.0}
_GIB_PER_VCPU = {"c": 2.0, "r": 8.0, "x": 16.0, "z": 8.0}
_OTHER_GIB_PER_VCPU = 4.0
_GIB = 1024**3
# Families with GPUs, and the sizes that have more than one.
_GPU_FAMILIES = re.compile(r"g\d|p\d")
_GPUS = {
    "p2": {"xlarge": 1, "8xlarge": 8, "16xlarge": 16},
    "p3": {"2xlarge": 1, "8xlarge": 4, "16xlarge": 8},
    "p": {"24xlarge": 8, "48xlarge": 8},
    "g": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
}
# A serverless instance has a vCPU for so much of its memory, as AWS documents for Lambda.
_SERVERLESS_MB_PER_VCPU = 1769


@dataclass(frozen=True)
class Resources:
    """Threads of the engine at most, memory at most, and GPUs, which a Ray cluster that has some reserves."""

    vcpus: int
    memory_bytes: int
    gpus: int = 0


def resources_of(instance_type: str) -> Resources:
    """The resources of an `ml.*` type, by the letter of its family and its size."""
    match = _TYPE.fullmatch(instance_type)
    family, size = (match["family"], match["size"]) if match else ("m", "xlarge")
    times = _TIMES.fullmatch(size)
    vcpus = 4 * int(times["times"]) if times else _SMALL_VCPUS.get(size, 4)
    gib = _SMALL_GIB.get(size, vcpus * _GIB_PER_VCPU.get(family[0], _OTHER_GIB_PER_VCPU))
    return Resources(vcpus, int(gib * _GIB), _gpus(family, size))


def serverless_resources(memory_mb: int) -> Resources:
    """The resources of a serverless variant."""
    return Resources(max(1, round(memory_mb / _SERVERLESS_MB_PER_VCPU)), memory_mb * 1024**2)


def _gpus(family: str, size: str) -> int:
    if not _GPU_FAMILIES.match(family):
        return 0
    return _GPUS.get(family[:2], _GPUS[family[0]]).get(size, 1)
