"""What CreateTransformJob is asked, read: the options of a job."""

from collections.abc import Mapping
from typing import Any

from zerostart.errors import InvalidInput, shortened
from zerostart.metadata.transform_job import TransformOptions
from zerostart.transform.tables import CSV, PARQUET, TABLES

_CONTENT_TYPES = {
    "application/json": "application/json",
    "application/jsonlines": "application/jsonlines",
    "application/jsonl": "application/jsonlines",
    "application/x-jsonlines": "application/jsonlines",
    "application/x-ndjson": "application/jsonlines",
    "text/csv": "text/csv",
    "text/plain": "text/plain",
}
_ACCEPTS = {
    "application/json": "application/json",
    "application/jsonlines": "application/jsonlines",
    "application/x-jsonlines": "application/jsonlines",
    "*/*": "*/*",
    "text/csv": CSV,
    "application/vnd.apache.parquet": PARQUET,
    "application/x-parquet": PARQUET,
}
_DEFAULT_PAYLOAD_MB = 6
_MOST_PAYLOAD_MB = 100


def options_of(asked: Mapping[str, Any]) -> TransformOptions:
    """What a job does, as far as its request alone says. Raises InvalidInput."""
    source, output = asked["TransformInput"], asked["TransformOutput"]
    s3 = source["DataSource"]["S3DataSource"]
    if s3["S3DataType"] not in {"S3Prefix", "ManifestFile"}:
        raise InvalidInput(f"S3DataType {s3['S3DataType']} is not supported: use S3Prefix or ManifestFile.")
    if source.get("SplitType", "None") not in {"None", "Line"}:
        raise InvalidInput(f"SplitType {source['SplitType']} is not supported: use Line or None.")
    content_type = _content_type(source.get("ContentType"))
    splits = source.get("SplitType", "None") == "Line" or content_type != "application/json"
    asked_accept = (output.get("Accept") or "*/*").split(";")[0].strip().lower()
    accept = _ACCEPTS.get(asked_accept)
    if accept is None:
        raise InvalidInput(f"Accept {shortened(asked_accept)} is not written: use {', '.join(_ACCEPTS)}.")
    processing = asked.get("DataProcessing") or {}
    if accept in TABLES and processing.get("OutputFilter", "$") != "$":
        raise InvalidInput(f"OutputFilter selects from JSON, and Accept is {accept}: leave one of them out.")
    return TransformOptions(
        input_uri=s3["S3Uri"],
        manifest=s3["S3DataType"] == "ManifestFile",
        compressed=source.get("CompressionType", "None") == "Gzip",
        content_type=content_type,
        split_lines=splits,
        output_uri=output["S3OutputPath"],
        assemble_lines=output.get("AssembleWith", "None") == "Line" or accept.endswith("jsonlines") or accept in TABLES,
        accept=accept,
        kms_key_id=output.get("KmsKeyId") or None,
        instance_count=asked["TransformResources"]["InstanceCount"],
        threads=1,
        precision="auto",
        max_record_bytes=_payload_mb(asked) * 1024 * 1024,
        input_filter=processing.get("InputFilter") or "$",
        output_filter=processing.get("OutputFilter") or "$",
        join_input=processing.get("JoinSource", "None") == "Input",
    )


def _content_type(stated: str | None) -> str:
    kind = _CONTENT_TYPES.get((stated or "application/json").split(";")[0].strip().lower())
    if kind is None:
        raise InvalidInput(f"ContentType {shortened(stated)} is not read: use {', '.join(_CONTENT_TYPES)}.")
    return kind


def _payload_mb(asked: Mapping[str, Any]) -> int:
    payload_mb = asked.get("MaxPayloadInMB") or _DEFAULT_PAYLOAD_MB
    at_once = asked.get("MaxConcurrentTransforms") or 1
    if payload_mb > _MOST_PAYLOAD_MB or payload_mb * at_once > _MOST_PAYLOAD_MB:
        raise InvalidInput(
            f"MaxPayloadInMB {payload_mb} x MaxConcurrentTransforms {at_once} is over {_MOST_PAYLOAD_MB}: lower one."
        )
    return int(payload_mb)
