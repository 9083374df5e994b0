"""SageMaker's operations on transform jobs."""

from collections.abc import Mapping
from typing import Any

from zerostart.metadata.transform_job import TransformJob
from zerostart.server.aws.listing import page_request
from zerostart.server.aws.support import refuse_unsupported, tags_of
from zerostart.services.arn import Arns
from zerostart.services.transform_job import TransformJobService
from zerostart.services.transform_options import options_of
from zerostart.transform.progress import TransformJobState

_UNSUPPORTED = ("DataCaptureConfig",)


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
            asked["TransformJobName"], asked["ModelName"], options_of(asked), environment, shown, tags_of(asked)
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
        return self._service.estimate_transform_job(
            asked["ModelName"], options_of(asked), asked.get("Environment") or {}
        )

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
