"""The header of a safetensors file (https://github.com/huggingface/safetensors#format), checked before it is loaded."""

import json
from math import prod
from pathlib import Path
from typing import Any

from zerostart.errors import InvalidArtefact

MAX_HEADER_BYTES = 16 * 2**20
_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8} | {
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64"), 64),
}


def check_safetensors(path: Path) -> None:
    """Return if the header of `path` is within bounds and claims exactly the bytes that follow it.

    Raises InvalidArtefact otherwise. Reads the header only.
    """
    held = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if held < 8 or length > min(MAX_HEADER_BYTES, held - 8):
            raise _broken(
                path, f"its header claims {length:,} bytes, of {held:,} in all and at most {MAX_HEADER_BYTES:,}"
            )
        header = file.read(length)
    try:
        tensors = json.loads(header)
        tensors.pop("__metadata__", None)
        claimed = sum(_claimed_bytes(name, tensor) for name, tensor in tensors.items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _broken(path, f"its header cannot be read: {str(error)[:120]}") from error
    if claimed != held - 8 - length:
        raise _broken(path, f"its tensors claim {claimed:,} bytes, and it holds {held - 8 - length:,}")


def _claimed_bytes(name: str, tensor: dict[str, Any]) -> int:
    start, end = tensor["data_offsets"]
    if not (isinstance(start, int) and isinstance(end, int) and 0 <= start <= end):
        raise ValueError(f"{name} lies at {start}:{end}")
    bits = _BITS.get(tensor["dtype"])
    if bits is not None and (end - start) * 8 != prod(tensor["shape"]) * bits:
        raise ValueError(f"{name} of shape {tensor['shape']} and type {tensor['dtype']} has {end - start} bytes")
    return end - start


def _broken(path: Path, why: str) -> InvalidArtefact:
    return InvalidArtefact(f"{path} is not a whole safetensors file: {why}. Fetch it again.")
