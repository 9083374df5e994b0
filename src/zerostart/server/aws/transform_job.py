"""SageMaker's operations on transform jobs."""

from collections.abc import Mapping
from typing import Any

from zerostart.errors import InvalidInput, shortened
from zerostart.metadata.transform_job import TransformJob, TransformOptions
from zerostart.server.aws.listing import page_request
from zerostart.server.aws.support import refuse_unsupported, tags_of
from zerostart.services.arn import Arns
from zerostart.services.transform_job import TransformJobService
from zerostart.transform.progress import TransformJobState
from zerostart.transform.tables import CSV, PARQUET, TABLES

_UNSUPPORTED = ("DataCaptureConfig",)
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


class TransformJobOperations:
    """One method an operation: CreateTransformJob is create_transform_job."""

    def __init__(self, service: TransformJobService, arns: Arns) -> None:
        self._service = service
        self._arns = arns

    def create_transform_job(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """CreateTransformJob."""
        refuse_unsupported(asked, _UNSUPPORTED)
        shown = {key: value for key, value in asked.items() if key != "Tags"}
        environment = asked.get("Environment") or {}
        arn = self._service.create_transform_job(
            asked["TransformJobName"], asked["ModelName"], _options(asked), environment, shown, tags_of(asked)
        )
        return {"TransformJobArn": arn}

    def describe_transform_job(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeTransformJob."""
        job = self._service.describe_transform_job(asked["TransformJobName"]).job
        return {
            **job.asked,
            "TransformJobName": job.name,
            "TransformJobArn": self._arns.of("transform-job", job.name),
            "TransformJobStatus": job.status.value,
            "FailureReason": job.failure_reason,
            "CreationTime": job.created_at,
            "TransformStartTime": job.started_at,
            "TransformEndTime": job.ended_at,
        }

    def list_transform_jobs(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """ListTransformJobs."""
        page = self._service.list_transform_jobs(page_request(asked))
        return {"TransformJobSummaries": [self._summary(job) for job in page.records], "NextToken": page.next_token}

    def estimate_transform_job(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a job is expected to take; asked as CreateTransformJob is. Not one of AWS's operations."""
        return self._service.estimate_transform_job(asked["ModelName"], _options(asked), asked.get("Environment") or {})

    def stop_transform_job(self, asked: Mapping[str, Any]) -> None:
        """StopTransformJob."""
        self._service.stop_transform_job(asked["TransformJobName"])

    def _summary(self, job: TransformJob) -> dict[str, Any]:
        return {
            "TransformJobName": job.name,
            "TransformJobArn": self._arns.of("transform-job", job.name),
            "CreationTime": job.created_at,
            "TransformEndTime": job.ended_at,
            "LastModifiedTime": job.modified_at,
            "TransformJobStatus": job.status.value,
            "FailureReason": job.failure_reason,
        }


def progress_document(state: TransformJobState) -> dict[str, Any]:
    """How far a job is, for programs that show it."""
    job, progress = state.job, state.progress
    return {
        "name": job.name,
        "status": job.status.value,
        "failure_reason": job.failure_reason,
        "shards": progress.shards,
        "shards_done": progress.shards_done,
        "bytes_total": progress.bytes_total,
        "bytes_done": progress.bytes_done,
        "records": progress.records,
        "records_total": state.records_total,
        "failed": progress.failed,
        "records_per_s": state.records_per_s,
        "left_s": state.left_s,
    }


def _options(asked: Mapping[str, Any]) -> TransformOptions:
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
