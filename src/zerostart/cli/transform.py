"""zerostart transform: batch jobs, from a file on this machine or from a bucket."""

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from zerostart.cli.client import ROLE_ARN, ServerRefused, aws_errors, s3, sagemaker
from zerostart.cli.endpoints import Format
from zerostart.cli.own_api import ServerGone, own_api
from zerostart.cli.profiles import PROFILE_HELP, carried, check_applies
from zerostart.cli.records import TextFile, check_output, classification_in, writer
from zerostart.errors import InvalidInput
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.classification import ClassificationRequest
from zerostart.nli.hybrid import scorer_choice
from zerostart.nli.labels import parse_labels
from zerostart.nli.profile import Profile, read_profile
from zerostart.nli.shortlist import written_shortlist
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE, HypothesisTemplate
from zerostart.transform.request import BUCKET, TransformRequest, content_type_of, job_name, model_name

_POLL_S = 0.3
_LARGE_BYTES = 1_000_000
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
    profile: Annotated[Path | None, typer.Option(help=PROFILE_HELP)] = None,
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
    tuned = read_profile(profile) if profile else None
    candidates = _labels(labels, label or [], tuned)
    multi_label = multi_label or (tuned is not None and tuned.multi_label)
    if tuned is not None:
        _check_profile(tuned, candidates, HypothesisTemplate(template), multi_label, shortlist, scorer)
    request = TransformRequest(
        name=name or job_name(input_path, datetime.now(UTC)),
        model_name=model_name(model),
        input_uri=input_path,
        content_type=content_type_of(input_path) or "application/jsonlines",
        output_uri=output,
        labels=candidates,
        template=template,
        multi_label=multi_label,
        collect_errors=not strict,
        scorer=scorer,
        shortlist=shortlist,
        workers=workers,
    )
    with aws_errors():
        if tuned is not None:
            request = replace(request, profile=carried(tuned, request.name))
        if input_path.startswith("s3://"):
            if not output.startswith("s3://"):
                raise InvalidInput("Results of objects go to objects: give --output s3://bucket/prefix.")
            if request.content_type == "text/csv":
                request = replace(request, text_column=text_column)
            _make_model(request.model_name, model)
            _estimate(request.asked(), dry_run=dry_run)
            if not dry_run:
                _run(request.asked())
            return
        if not candidates:
            raise InvalidInput("Name the labels: --labels a,b,c, or --label for each.")
        place = f"s3://{BUCKET}/{request.name}"
        uploaded = replace(
            request,
            input_uri=f"{place}/in.jsonl",
            content_type="application/jsonlines",
            output_uri=f"{place}/out",
        )
        _make_model(request.model_name, model)
        _classify_file(uploaded.asked(), TextFile(input_path, text_column), output, candidates, tuned, dry_run=dry_run)


def _classify_file(
    asked: dict[str, Any],
    source: TextFile,
    output: str,
    labels: list[str],
    profile: Profile | None,
    *,
    dry_run: bool,
) -> None:
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
            typer.echo(f"Job {job} goes on{when}; its results will be s3://{BUCKET}/{job}/out/in.jsonl.out", err=True)
            raise
        _download(source, f"{job}/out/in.jsonl.out", target, labels, profile)
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


def _labels(joined: str, single: list[str], profile: Profile | None) -> list[str]:
    if profile is not None and not (joined or single):
        return [label.name for label in profile.labels]
    if joined and single:
        raise InvalidInput("Name the labels in one way: --labels a,b,c, or --label for each.")
    value: Any = joined or single
    return [each.name for each in parse_labels(value, "--labels")] if value else []


def _check_profile(
    profile: Profile, names: list[str], template: HypothesisTemplate, multi_label: bool, shortlist: str, scorer: str
) -> None:
    labels = parse_labels(names, "--labels")
    options = written_shortlist(shortlist, "--shortlist"), scorer_choice(scorer or None, "--scorer")
    request = ClassificationRequest(("a text",), (labels,), template, multi_label, "truncate", *options)
    check_applies(profile, labels, request)


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
    if all(each["Name"] != BUCKET for each in client.list_buckets()["Buckets"]):
        client.create_bucket(Bucket=BUCKET)
    with tempfile.TemporaryFile() as file:
        for record in source.records():
            if record.text.strip():
                file.write(json.dumps({"inputs": record.text}, ensure_ascii=False).encode() + b"\n")
        if not file.tell():
            raise InvalidInput(f"{source.path} holds no text.")
        size = file.tell()
        file.seek(0)
        client.upload_fileobj(file, BUCKET, key)
    return size


def _download(source: TextFile, key: str, output: Path, labels: list[str], profile: Profile | None) -> None:
    """The answers beside the records of the file, which are in the same order; blank texts were not sent."""
    body = s3().get_object(Bucket=BUCKET, Key=key)["Body"]
    answers: Iterator[bytes] = body.iter_lines()
    done = blank = failed = 0
    with writer(output, source, labels, profile) as write:
        for record in source.records():
            result = None
            if record.text.strip():
                answer = json.loads(next(answers))
                failed += "error" in answer
                if "error" not in answer:
                    result = classification_in(answer)
            else:
                blank += 1
            write(record, result)
            done += 1
    notes = [f"{blank} had no text"] * bool(blank) + [f"{failed} failed"] * bool(failed)
    typer.echo(f"{done} texts{' (' + ', '.join(notes) + ')' if notes else ''}: {output}", err=True)


def _clean_up(prefix: str) -> None:
    client = s3()
    for each in client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=each["Key"])


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
