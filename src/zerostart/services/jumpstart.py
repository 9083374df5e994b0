"""JumpStart's metadata, made from the catalogue: what SDKs read from the bucket `jumpstart-cache-prod-REGION`.

Artefacts there are pointers: tarballs with one small file that names the model. SDKs unpack them and upload them again.
"""

import gzip
import io
import json
import re
import tarfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from zerostart.models.catalogue import CatalogueEntry, JumpStartName, jumpstart_models
from zerostart.services.arn import ACCOUNT_ID

POINTER = "zerostart-model-id"
LARGEST_POINTER_BYTES = 1024 * 1024
_LARGEST_UNPACKED_BYTES = 16 * 1024 * 1024
_MOST_MEMBERS = 1000
_BUCKET = re.compile(r"jumpstart-(?:private-)?cache-prod-(?P<region>[a-z0-9-]+)")
_MANIFEST = "models_manifest.json"
_PROPRIETARY_MANIFEST = "proprietary-sdk-manifest.json"
_SPEC_KEY = re.compile(r"community_models/(?P<id>[^/]+)/specs_v(?P<version>[^/]+)\.json")
_ARTIFACT_KEY = re.compile(r"zerostart/(?P<id>[^/]+)/(?P<kind>model|script)\.tar\.gz")
_DEFAULT_INSTANCE_TYPE = "ml.m5.xlarge"
_FAMILIES = (
    *("m4", "m5", "m5d", "m6i", "m6g", "m7i", "m7g", "c4", "c5", "c5d", "c6i", "c6g", "c7i", "c7g", "r5", "r6i", "r7i"),
    *("t2", "t3", "g4dn", "g5", "g6", "p2", "p3", "p4d", "p5", "inf1", "inf2"),
)
_INSTANCE_TYPES = tuple(
    f"ml.{family}.{size}" for family in ("m5", "c5", "m6i", "c6i") for size in ("large", "xlarge", "2xlarge", "4xlarge")
)
_EXAMPLE = {
    "sequences": "one day I will see the world",
    "candidate_labels": ["travel", "cooking", "dancing"],
}
# Some SDKs fail on an empty list of proprietary models.
_PLACEHOLDER = {
    "model_id": "zerostart-placeholder-none",
    "version": "1.0.0",
    "min_version": "2.0.0",
    "spec_key": "proprietary-models/zerostart-placeholder-none/specs_v1.0.0.json",
    "search_keywords": [],
}


class JumpStartBucket:
    """The generated bucket of JumpStart's metadata, of every region."""

    def serves(self, bucket: str) -> bool:
        """Whether `bucket` is JumpStart's, in any region."""
        return _BUCKET.fullmatch(bucket) is not None

    def keys(self, bucket: str) -> Sequence[str]:
        """Every key, sorted."""
        del bucket
        keys = [_MANIFEST, _PROPRIETARY_MANIFEST]
        for name, _ in jumpstart_models():
            keys += [_spec_key(name), _artifact_key(name, "model"), _artifact_key(name, "script")]
        return sorted(keys)

    def read(self, bucket: str, key: str) -> bytes | None:
        """A manifest, a spec or a pointer."""
        match = _BUCKET.fullmatch(bucket)
        region = match["region"] if match else ""
        if key == _MANIFEST:
            return _json([_header(name, entry) for name, entry in jumpstart_models()])
        if key == _PROPRIETARY_MANIFEST:
            return _json([_PLACEHOLDER])
        models = {name.id: (name, entry) for name, entry in jumpstart_models()}
        if (spec := _SPEC_KEY.fullmatch(key)) and spec["id"] in models:
            name, entry = models[spec["id"]]
            return _json(_spec(name, entry, region)) if name.version == spec["version"] else None
        if (artifact := _ARTIFACT_KEY.fullmatch(key)) and artifact["id"] in models:
            return _pointer(artifact["id"], artifact["kind"])
        return None


def model_id_at(uri: str, read: Callable[[str, str, int], bytes | None]) -> str | None:
    """The model that an artefact's URI names: by its key in JumpStart's bucket, or by the pointer in a tarball.

    `read(bucket, key, limit)` gives an object's content, or None if there is none or it is larger than the limit.
    """
    parts = urlsplit(uri)
    bucket, key = parts.netloc, parts.path.removeprefix("/")
    if _BUCKET.fullmatch(bucket):
        match = _ARTIFACT_KEY.match(key)
        return match["id"] if match else None
    content = read(bucket, key, LARGEST_POINTER_BYTES) if parts.scheme == "s3" else None
    return _pointed_at(content) if content else None


def _pointed_at(content: bytes) -> str | None:
    """The model id in a tarball's pointer. Nothing is unpacked to disk, and never more than a bound is read."""
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = unpacking.decompress(content, _LARGEST_UNPACKED_BYTES)
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for number, member in enumerate(archive):
                if member.isreg() and member.name.removeprefix("./") == POINTER and member.size < 1024:
                    file = archive.extractfile(member)
                    return file.read().decode("utf-8", "replace").strip() if file else None
                if number > _MOST_MEMBERS:
                    break
    except (zlib.error, tarfile.TarError):
        return None
    return None


def _header(name: JumpStartName, entry: CatalogueEntry) -> dict[str, Any]:
    return {
        "model_id": name.id,
        "version": name.version,
        "min_version": name.min_sdk_version,
        "spec_key": _spec_key(name),
        "search_keywords": ["Text", "Zero-Shot Classification", *entry.tags],
    }


def _spec(name: JumpStartName, entry: CatalogueEntry, region: str) -> dict[str, Any]:
    image = f"{ACCOUNT_ID}.dkr.ecr.{region}.amazonaws.com/zerostart-inference:{name.version}"
    return {
        "model_id": name.id,
        "url": entry.card,
        "version": name.version,
        "min_sdk_version": name.min_sdk_version,
        "training_supported": False,
        "incremental_training_supported": False,
        "hosting_ecr_specs": {
            "framework": "huggingface",
            "framework_version": "1.13.1",
            "py_version": "py39",
            "huggingface_transformers_version": "4.26.0",
        },
        "hosting_instance_type_variants": {
            "regional_aliases": {region: {"image": image}},
            "variants": {family: {"regional_properties": {"image_uri": "$image"}} for family in _FAMILIES},
        },
        "hosting_artifact_key": _artifact_key(name, "model"),
        "hosting_prepacked_artifact_key": _artifact_key(name, "model"),
        "hosting_script_key": _artifact_key(name, "script"),
        "hosting_use_script_uri": False,
        "inference_environment_variables": [
            _variable("HF_MODEL_ID", name.id),
            _variable("HF_TASK", "zero-shot-classification"),
        ],
        "inference_vulnerable": False,
        "inference_dependencies": [],
        "inference_vulnerabilities": [],
        "training_vulnerable": False,
        "training_dependencies": [],
        "training_vulnerabilities": [],
        "deprecated": False,
        "default_inference_instance_type": _DEFAULT_INSTANCE_TYPE,
        "supported_inference_instance_types": list(_INSTANCE_TYPES),
        "predictor_specs": {
            "default_content_type": "application/json",
            "supported_content_types": ["application/json", "application/jsonlines"],
            "default_accept_type": "application/json",
            "supported_accept_types": ["application/json", "application/json;verbose", "application/jsonlines"],
        },
        "default_payloads": {
            "Travel": {"content_type": "application/json", "prompt_key": "sequences", "body": _EXAMPLE},
        },
        "resource_name_base": name.id[:40].rstrip("-"),
        "inference_enable_network_isolation": False,
        "validation_supported": False,
        "fine_tuning_supported": False,
        "hyperparameters": [],
        "metrics": [],
        "model_kwargs": {},
        "deploy_kwargs": {},
    }


def _variable(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "type": "text", "default": value, "scope": "container", "required_for_model_class": True}


def _spec_key(name: JumpStartName) -> str:
    return f"community_models/{name.id}/specs_v{name.version}.json"


def _artifact_key(name: JumpStartName, kind: str) -> str:
    return f"zerostart/{name.id}/{kind}.tar.gz"


def _json(document: Any) -> bytes:
    return json.dumps(document, indent=1).encode()


def _pointer(model_id: str, kind: str) -> bytes:
    """A tarball with the pointer; that of the script has the entry point that SDKs expect, which is never run."""
    files = {POINTER: model_id.encode() + b"\n"}
    if kind == "script":
        files["inference.py"] = (
            b'"""Zerostart serves the model itself: this file stands for the entry point and is never run."""\n'
        )
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
