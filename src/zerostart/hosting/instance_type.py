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
# A serverless instance has a vCPU for so much of its memory, as AWS documents for Lambda.
_SERVERLESS_MB_PER_VCPU = 1769


@dataclass(frozen=True)
class Resources:
    """Threads of the engine at most, and memory at most."""

    vcpus: int
    memory_bytes: int


def resources_of(instance_type: str) -> Resources:
    """The resources of an `ml.*` type, by the letter of its family and its size."""
    match = _TYPE.fullmatch(instance_type)
    family, size = (match["family"], match["size"]) if match else ("m", "xlarge")
    times = _TIMES.fullmatch(size)
    vcpus = 4 * int(times["times"]) if times else _SMALL_VCPUS.get(size, 4)
    gib = _SMALL_GIB.get(size, vcpus * _GIB_PER_VCPU.get(family[0], _OTHER_GIB_PER_VCPU))
    return Resources(vcpus, int(gib * _GIB))


def serverless_resources(memory_mb: int) -> Resources:
    """The resources of a serverless variant."""
    return Resources(max(1, round(memory_mb / _SERVERLESS_MB_PER_VCPU)), memory_mb * 1024**2)
