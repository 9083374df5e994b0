"""How far a job is: counts, rate, and the time that is left."""

from dataclasses import dataclass
from datetime import UTC, datetime

from zerostart.metadata.transform_job import TransformJob, TransformProgress


@dataclass(frozen=True)
class TransformJobState:
    """A job, how far it is, and when it will be done if it goes on so; None where that cannot be told.

    `records_total` is an estimate from the shards that are done, until all are.
    """

    job: TransformJob
    progress: TransformProgress
    records_per_s: float | None = None
    left_s: float | None = None
    records_total: int | None = None

    def __str__(self) -> str:
        """For a log: records done and failed, of how many, the rate, and the seconds left."""
        total = f" of about {self.records_total}" if self.records_total is not None else ""
        rate = f", {self.records_per_s:.1f} records/s" if self.records_per_s is not None else ""
        left = f", {self.left_s:.0f} s left" if self.left_s is not None else ""
        return f"{self.progress.records}{total} records, {self.progress.failed} failed{rate}{left}"


def job_state(job: TransformJob, progress: TransformProgress) -> TransformJobState:
    """How far a job is, and when it will be done if it goes on as it did."""
    if job.started_at is None or not progress.records:
        return TransformJobState(job, progress)
    elapsed_s = ((job.ended_at or datetime.now(UTC)) - job.started_at).total_seconds()
    rate = progress.records / max(elapsed_s, 0.001)
    if progress.shards_done == progress.shards:
        left_s = None if job.ended_at is not None else 0.0
        return TransformJobState(job, progress, rate, left_s, progress.records)
    if not progress.bytes_done:
        return TransformJobState(job, progress, rate)
    total = max(progress.records, round(progress.records_done * progress.bytes_total / progress.bytes_done))
    left_s = None if job.ended_at is not None else (total - progress.records) / rate
    return TransformJobState(job, progress, rate, left_s, total)
