"""zerostart transform: batch jobs, from a file on this machine or from a bucket."""

import json
import re
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from zerostart.cli.client import ROLE_ARN, ServerRefused, aws_errors, s3, sagemaker
from zerostart.cli.endpoints import Format
from zerostart.cli.own_api import ServerGone, own_api
from zerostart.cli.records import TextFile, check_output, writer
from zerostart.errors import InvalidInput
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.classification import Classification
from zerostart.nli.labels import parse_labels
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE

_BUCKET = "zerostart-transform"
_POLL_S = 0.3
_LARGE_BYTES = 1_000_000
_CONTENT_TYPES = {".jsonl": "application/jsonlines", ".csv": "text/csv", ".txt": "text/plain"}
_ENDED = {"Completed", "Failed", "Stopped"}


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(help="Classify files as jobs that survive a crash.", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_jobs)
    group.command("show")(show)
    group.command("wait")(wait)
    group.command("stop")(stop)
    app.add_typer(group, name="transform")


def create(
    input_path: Annotated[
        str, typer.Option("--input", help="A file (.txt, .csv, .jsonl), or s3://bucket/prefix of such objects.")
    ],
    labels: Annotated[str, typer.Option(help="Candidate labels, separated by commas.")] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="One candidate label, which may hold a comma; repeat it.")
    ] = None,
    output: Annotated[str, typer.Option(help="A file (.jsonl, .csv), or s3://bucket/prefix.")] = "",
    text_column: Annotated[str, typer.Option(help="Column (CSV) or key (JSONL) that holds the text.")] = "text",
    model: Annotated[str, typer.Option(help="Model id; 'zerostart models list' shows those here.")] = BUILTIN_MODEL_ID,
    multi_label: Annotated[bool, typer.Option("--multi-label", help="Score each label on its own.")] = False,
    template: Annotated[str, typer.Option(help="Hypothesis, with {} for the label.")] = DEFAULT_HYPOTHESIS_TEMPLATE,
    shortlist: Annotated[
        str, typer.Option(help="With many labels: score only so many, the best by an embedding; a number, or auto.")
    ] = "",
    scorer: Annotated[str, typer.Option(help="nli or hybrid; what suits the model if left out.")] = "",
    name: Annotated[str, typer.Option(help="The job's name; made from the input and the time if left out.")] = "",
    workers: Annotated[int, typer.Option(min=1, help="How many processes share the work.")] = 1,
    strict: Annotated[
        bool, typer.Option("--strict", help="A record that fails leaves its file without output.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only try the first records, and say how long the job would take.")
    ] = False,
) -> None:
    """Run a job over a file or over objects of a bucket.

    A file is uploaded, classified, and its results are downloaded to --output. Stopping this command stops no job:
    'zerostart transform wait' goes on showing it.

    Example: zerostart transform create --input tweets.csv --text-column text --labels a,b,c --output out.csv

    Example: zerostart transform create --input tweets.csv --labels a,b,c --dry-run

    Example: zerostart transform create --input s3://texts/in/ --labels a,b,c --output s3://texts/out
    """
    candidates = _labels(labels, label or [])
    environment = {
        **({"ZEROSTART_CANDIDATE_LABELS": json.dumps(candidates)} if candidates else {}),
        "ZEROSTART_HYPOTHESIS_TEMPLATE": template,
        "ZEROSTART_MULTI_LABEL": "true" if multi_label else "false",
        "ZEROSTART_ERRORS": "strict" if strict else "collect",
        **({"ZEROSTART_SHORTLIST": shortlist} if shortlist else {}),
        **({"ZEROSTART_SCORER": scorer} if scorer else {}),
    }
    stem = re.sub(r"[^a-zA-Z0-9]+", "-", Path(input_path.rstrip("/")).stem).strip("-")[:40] or "job"
    job = name or f"{stem}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    with aws_errors():
        if input_path.startswith("s3://"):
            if not output.startswith("s3://"):
                raise InvalidInput("Results of objects go to objects: give --output s3://bucket/prefix.")
            kind = _CONTENT_TYPES.get(Path(input_path).suffix.lower(), "application/jsonlines")
            if kind == "text/csv":
                environment["ZEROSTART_TEXT_COLUMN"] = text_column
            asked = _request(job, model, (input_path, kind), output, workers, environment)
            _make_model(asked["ModelName"], model)
            _estimate(asked, dry_run=dry_run)
            if not dry_run:
                _run(asked)
            return
        if not candidates:
            raise InvalidInput("Name the labels: --labels a,b,c, or --label for each.")
        place = f"s3://{_BUCKET}/{job}/in.jsonl", "application/jsonlines"
        asked = _request(job, model, place, f"s3://{_BUCKET}/{job}/out", workers, environment)
        _make_model(asked["ModelName"], model)
        _classify_file(asked, TextFile(input_path, text_column), output, candidates, dry_run=dry_run)


def _classify_file(asked: dict[str, Any], source: TextFile, output: str, labels: list[str], *, dry_run: bool) -> None:
    """Upload, run and download; a dry run ends after the estimate."""
    job, target = asked["TransformJobName"], Path(output)
    if not dry_run:
        if not output:
            raise InvalidInput("Say where the results go: --output FILE.jsonl or FILE.csv.")
        check_output(target)
    size = _upload(source, f"{job}/in.jsonl")
    if dry_run or size > _LARGE_BYTES:
        _estimate(asked, dry_run=dry_run)
    if not dry_run:
        try:
            _run(asked)
        except (KeyboardInterrupt, ServerGone) as error:
            when = " when the server runs again" if isinstance(error, ServerGone) else ""
            typer.echo(f"Job {job} goes on{when}; its results will be s3://{_BUCKET}/{job}/out/in.jsonl.out", err=True)
            raise
        _download(source, f"{job}/out/in.jsonl.out", target, labels)
    _clean_up(f"{job}/")


def _run(asked: dict[str, Any]) -> None:
    sagemaker().create_transform_job(**asked)
    _watch(asked["TransformJobName"])


def list_jobs(
    output_format: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
) -> None:
    """List the jobs, newest first.

    Example: zerostart transform list
    """
    with aws_errors():
        pages = sagemaker().get_paginator("list_transform_jobs").paginate()
        jobs = [job for page in pages for job in page["TransformJobSummaries"]]
    if output_format is Format.JSON:
        typer.echo(json.dumps(jobs, default=str, indent=2))
        return
    if not jobs:
        typer.echo("No jobs. Run one: zerostart transform create --input FILE --labels a,b,c --output FILE")
        return
    from rich.console import Console
    from rich.table import Column, Table

    names = Column("job", no_wrap=True, min_width=max(len(each["TransformJobName"]) for each in jobs))
    table = Table(names, "status", "created", "ended", "reason")
    for each in jobs:
        ended = f"{each['TransformEndTime']:%Y-%m-%d %H:%M:%S} UTC" if "TransformEndTime" in each else ""
        created = f"{each['CreationTime']:%Y-%m-%d %H:%M:%S} UTC"
        table.add_row(
            each["TransformJobName"], each["TransformJobStatus"], created, ended, each.get("FailureReason", "")
        )
    Console().print(table)


def show(name: Annotated[str, typer.Argument(help="The job.")]) -> None:
    """Show a job: what was asked, how far it is, and why it failed if it did.

    Example: zerostart transform show tweets
    """
    with aws_errors():
        shown = dict(sagemaker().describe_transform_job(TransformJobName=name))
    shown.pop("ResponseMetadata", None)
    typer.echo(json.dumps(shown | {"Progress": _progress(name)}, default=str, indent=2))


def wait(name: Annotated[str, typer.Argument(help="The job.")]) -> None:
    """Show a job's progress until it ends.

    Example: zerostart transform wait tweets
    """
    with aws_errors():
        sagemaker().describe_transform_job(TransformJobName=name)
    _watch(name)


def stop(name: Annotated[str, typer.Argument(help="The job.")]) -> None:
    """Stop a job; nothing of its output is stored.

    Example: zerostart transform stop tweets
    """
    with aws_errors():
        sagemaker().stop_transform_job(TransformJobName=name)
    typer.echo(f"Job {name} is Stopping.")


def _labels(joined: str, single: list[str]) -> list[str]:
    if joined and single:
        raise InvalidInput("Name the labels in one way: --labels a,b,c, or --label for each.")
    value: Any = joined or single
    return [each.name for each in parse_labels(value, "--labels")] if value else []


def _make_model(name: str, model: str) -> None:
    from botocore.exceptions import ClientError

    try:
        sagemaker().create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE_ARN,
            PrimaryContainer={"Environment": {"HF_MODEL_ID": model, "HF_TASK": "zero-shot-classification"}},
        )
    except ClientError as error:
        if "already existing" not in error.response["Error"].get("Message", ""):
            raise


def _request(
    job: str, model: str, source: tuple[str, str], output: str, workers: int, environment: dict[str, str]
) -> dict[str, Any]:
    """What CreateTransformJob is asked."""
    uri, content_type = source
    return {
        "TransformJobName": job,
        "ModelName": re.sub(r"[^a-zA-Z0-9]+", "-", f"transform-{model}").strip("-")[:63],
        "Environment": environment,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
            "ContentType": content_type,
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": output, "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": workers},
    }


def _estimate(asked: dict[str, Any], *, dry_run: bool) -> None:
    """Say what the job is expected to take; a dry run shows the first records too."""
    found = own_api("transform-jobs/estimate", asked)
    rate, seconds = found["records_per_s"], found["seconds"]
    minutes = f"{seconds / 60:,.0f} min" if seconds >= 120 else f"{seconds:,.0f} s"
    words = f"About {found['records']:,} records; {minutes} at {rate:,.0f} a second." if rate else "No record works."
    typer.echo(words, err=True)
    if dry_run:
        for each in found["first"]:
            typer.echo(json.dumps(each, ensure_ascii=False))


def _upload(source: TextFile, key: str) -> int:
    client = s3()
    if all(each["Name"] != _BUCKET for each in client.list_buckets()["Buckets"]):
        client.create_bucket(Bucket=_BUCKET)
    with tempfile.TemporaryFile() as file:
        for record in source.records():
            if record.text.strip():
                file.write(json.dumps({"inputs": record.text}, ensure_ascii=False).encode() + b"\n")
        if not file.tell():
            raise InvalidInput(f"{source.path} holds no text.")
        size = file.tell()
        file.seek(0)
        client.upload_fileobj(file, _BUCKET, key)
    return size


def _download(source: TextFile, key: str, output: Path, labels: list[str]) -> None:
    """The answers beside the records of the file, which are in the same order; blank texts were not sent."""
    body = s3().get_object(Bucket=_BUCKET, Key=key)["Body"]
    answers: Iterator[bytes] = body.iter_lines()
    done = blank = failed = 0
    with writer(output, source, labels) as write:
        for record in source.records():
            result = None
            if record.text.strip():
                answer = json.loads(next(answers))
                failed += "error" in answer
                if "error" not in answer:
                    result = Classification(answer["sequence"], tuple(answer["labels"]), tuple(answer["scores"]))
            else:
                blank += 1
            write(record, result)
            done += 1
    notes = [f"{blank} had no text"] * bool(blank) + [f"{failed} failed"] * bool(failed)
    typer.echo(f"{done} texts{' (' + ', '.join(notes) + ')' if notes else ''}: {output}", err=True)


def _clean_up(prefix: str) -> None:
    client = s3()
    for each in client.list_objects_v2(Bucket=_BUCKET, Prefix=prefix).get("Contents", ()):
        client.delete_object(Bucket=_BUCKET, Key=each["Key"])


def _watch(job: str) -> None:
    """A live bar until the job ended. Raises ServerRefused if it did not complete."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[words]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(job, total=None, words="waiting")
        while (state := _progress(job))["status"] not in _ENDED:
            total, done = state["records_total"], state["records"]
            bar.update(task, total=total, completed=done if total else 0, words=_words(state))
            time.sleep(_POLL_S)
        bar.update(task, total=1, completed=1, words=_words(state))
    if state["status"] != "Completed":
        raise ServerRefused(f"Job {job} is {state['status']}: {state['failure_reason'] or 'it was stopped.'}")


def _words(state: dict[str, Any]) -> str:
    total = state["records_total"]
    words = [f"{state['records']:,}{f' of {total:,}' if total else ''} records"]
    if state["failed"]:
        words.append(f"{state['failed']:,} failed")
    if state["records_per_s"]:
        rate = state["records_per_s"]
        words.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
    if state["left_s"] is not None:
        words.append(f"{state['left_s']:,.0f} s left")
    return ", ".join(words)


def _progress(job: str) -> dict[str, Any]:
    """What the server tells of a job."""
    return own_api(f"transform-jobs/{job}")
