"""A job as people ask for one, in CreateTransformJob's words: labels for the texts of a file."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from zerostart.errors import InvalidInput, shortened
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE

BUCKET = "zerostart-transform"  # where files of people lie for a job, and its results unless they name a place
GZIP = ".gz"
_JSON_LINES = "application/jsonlines"
_CONTENT_TYPES = {".jsonl": _JSON_LINES, ".ndjson": _JSON_LINES, ".csv": "text/csv", ".txt": "text/plain"}
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_OUTPUT = "SageMakerOutput"


@dataclass(frozen=True)
class TransformRequest:
    """What to classify, and how.

    `labels` are empty where records state their own, `text_column` None where records are requests. `keep` names the
    columns that stay beside a result: None is every one, empty is none.
    """

    name: str
    model_name: str
    input_uri: str
    content_type: str
    output_uri: str
    labels: Sequence[str] = ()
    template: str = DEFAULT_HYPOTHESIS_TEMPLATE
    multi_label: bool = False
    text_column: str | None = None
    keep: Sequence[str] | None = ()
    collect_errors: bool = True
    scorer: str = ""
    shortlist: str = ""
    profile: str = ""
    workers: int = 1
    compressed: bool = False
    manifest: bool = False

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise InvalidInput(
                f"{shortened(self.name)} cannot name a job: use letters, digits and single hyphens between them, at "
                "most 63."
            )
        if not 1 <= self.workers <= 100:
            raise InvalidInput(f"{self.workers} workers cannot share a job: ask for 1 to 100.")

    def environment(self) -> dict[str, str]:
        """What the records do not state."""
        return {
            **({"ZEROSTART_CANDIDATE_LABELS": json.dumps(list(self.labels))} if self.labels else {}),
            "ZEROSTART_HYPOTHESIS_TEMPLATE": self.template,
            "ZEROSTART_MULTI_LABEL": "true" if self.multi_label else "false",
            "ZEROSTART_ERRORS": "collect" if self.collect_errors else "strict",
            **({"ZEROSTART_SHORTLIST": self.shortlist} if self.shortlist else {}),
            **({"ZEROSTART_SCORER": self.scorer} if self.scorer else {}),
            **({"ZEROSTART_PROFILE": self.profile} if self.profile else {}),
            **({"ZEROSTART_TEXT_COLUMN": self.text_column} if self.text_column is not None else {}),
        }

    def asked(self) -> dict[str, Any]:
        """The request. Its output is a line of JSON a record."""
        kind = "ManifestFile" if self.manifest else "S3Prefix"
        source = {
            "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": self.input_uri}},
            "ContentType": self.content_type,
            "SplitType": "Line",
            **({"CompressionType": "Gzip"} if self.compressed else {}),
        }
        return {
            "TransformJobName": self.name,
            "ModelName": self.model_name,
            "Environment": self.environment(),
            "TransformInput": source,
            "TransformOutput": {"S3OutputPath": self.output_uri, "AssembleWith": "Line"},
            "TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": self.workers},
            **self._joining(),
        }

    def _joining(self) -> dict[str, Any]:
        if self.keep is None:
            return {"DataProcessing": {"JoinSource": "Input"}}
        if not self.keep:
            return {}
        names = ",".join(json.dumps(name) for name in (*self.keep, _OUTPUT))
        return {"DataProcessing": {"JoinSource": "Input", "OutputFilter": f"$[{names}]"}}


def content_type_of(key: str) -> str | None:
    """What a file holds, by the end of its name; None if that does not tell."""
    name = key.lower().removesuffix(GZIP)
    return _CONTENT_TYPES.get(PurePosixPath(name).suffix)


def job_name(file_name: str, at: datetime) -> str:
    """A name for a job over a file that no other one has."""
    stem = PurePosixPath(file_name.rstrip("/").removesuffix(GZIP)).stem
    slug = re.sub(r"[^a-zA-Z0-9]+", "-", stem)[:36].strip("-") or "job"
    return f"{slug}-{at:%Y%m%d-%H%M%S-%f}"


def model_name(model_id: str) -> str:
    """What the model resource is called that jobs of people use for a model."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", f"transform-{model_id}")[:63].strip("-")
