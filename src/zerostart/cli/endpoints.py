"""The verbs that talk to a server: deploy, endpoints, invoke, env."""

import json
import re
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from zerostart.cli.autoscaling import autoscale, bounds_by_endpoint, scaling_of
from zerostart.cli.client import ROLE_ARN, ServerRefused, aws_errors, runtime, sagemaker, variables
from zerostart.cli.formats import bytes_shown, seconds_shown
from zerostart.cli.own_api import own_api
from zerostart.cli.profiles import carried
from zerostart.credentials import read_credentials
from zerostart.errors import InvalidInput
from zerostart.nli.profile import read_profile
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE
from zerostart.services.profile import PROFILE_VARIABLE
from zerostart.settings import load_settings

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.literals import ProductionVariantInstanceTypeType
    from mypy_boto3_sagemaker.type_defs import ContainerDefinitionTypeDef, ProductionVariantTypeDef

_VARIANT = "AllTraffic"
_POLL_S = 0.2


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(deploy)
    group = typer.Typer(help="List, show, scale and delete endpoints.", no_args_is_help=True)
    group.command("list")(list_endpoints)
    group.command("show")(show_endpoint)
    group.command("autoscale")(autoscale)
    group.command("delete")(delete_endpoint)
    app.add_typer(group, name="endpoints")
    app.command()(invoke)
    app.command()(env)


def deploy(
    model_id: Annotated[str, typer.Argument(help="Model id; 'zerostart models list' shows those here.")],
    endpoint_name: Annotated[str, typer.Option(help="Name of the endpoint; made from the model id if left out.")] = "",
    instances: Annotated[int, typer.Option(min=1, help="How many instances share the load.")] = 1,
    instance_type: Annotated[str, typer.Option(help="Any ml.* type.")] = "ml.m5.xlarge",
    profile: Annotated[
        Path | None, typer.Option(help="Profile that 'zerostart evaluate --save-profile' wrote: answer by it.")
    ] = None,
    idle_timeout: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds without a call after which its instances stop until the next; 0 is never."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the endpoint is in service.")] = False,
) -> None:
    """Deploy a model to a real-time endpoint.

    Example: zerostart deploy zerostart-zstc-small --endpoint-name first --wait
    """
    name = endpoint_name or re.sub(r"[^a-zA-Z0-9]+", "-", model_id).strip("-")[:63]
    environment = {"HF_MODEL_ID": model_id, "HF_TASK": "zero-shot-classification"}
    if idle_timeout is not None:
        environment["ZEROSTART_IDLE_TIMEOUT_S"] = f"{idle_timeout:.15g}"
    container: ContainerDefinitionTypeDef = {"Environment": environment}
    variant: ProductionVariantTypeDef = {
        "VariantName": _VARIANT,
        "ModelName": name,
        "InitialInstanceCount": instances,
        "InstanceType": cast("ProductionVariantInstanceTypeType", instance_type),
    }
    tuned = read_profile(profile) if profile else None
    with aws_errors():
        client = sagemaker()
        if tuned is not None:
            container["Environment"] = {**container["Environment"], PROFILE_VARIABLE: carried(tuned, name)}
        made: list[str] = []
        try:
            client.create_model(ModelName=name, ExecutionRoleArn=ROLE_ARN, PrimaryContainer=container)
            made.append("model")
            client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
            made.append("config")
            client.create_endpoint(EndpointName=name, EndpointConfigName=name)
        except Exception:
            _undo(client, name, made)
            raise
        typer.echo(f"Endpoint {name} is Creating.", err=wait)
        if wait:
            _wait_until_in_service(client, name)


def list_endpoints(
    output_format: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
) -> None:
    """List the endpoints, newest first, with the memory that each holds and how long nobody called it.

    Example: zerostart endpoints list
    """
    with aws_errors():
        pages = sagemaker().get_paginator("list_endpoints").paginate()
        endpoints: list[dict[str, Any]] = [{**endpoint} for page in pages for endpoint in page["Endpoints"]]
        bounds = bounds_by_endpoint() if endpoints else {}
    activity = {each.pop("name"): each for each in own_api("endpoints")["endpoints"]} if endpoints else {}
    for each in endpoints:
        each["Activity"] = activity.get(each["EndpointName"])  # none of one that went away between the two
        each["Scaling"] = bounds.get(each["EndpointName"])
    if output_format is Format.JSON:
        typer.echo(json.dumps(endpoints, default=str, indent=2))
        return
    if not endpoints:
        typer.echo("No endpoints. Make one: zerostart deploy zerostart-zstc-small --endpoint-name first --wait")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("endpoint", "status", "instances", "memory", "idle for", "created")
    for each in endpoints:
        created = f"{each['CreationTime']:%Y-%m-%d %H:%M:%S} UTC"
        instances, *rest = _activity(each["Activity"])
        scaled = f"{instances}\n{each['Scaling']}" if each["Scaling"] else instances
        table.add_row(each["EndpointName"], each["EndpointStatus"], scaled, *rest, created)
    Console().print(table)


def _activity(activity: dict[str, Any] | None) -> tuple[str, str, str]:
    """Instances, memory and idle time."""
    if activity is None:
        return "-", "-", "-"
    idle, timeout_s = seconds_shown(activity["idle_s"]), activity["idle_timeout_s"]
    of = "never sleeps" if timeout_s is None else f"sleeps after {seconds_shown(timeout_s)}"
    words = "asleep: wakes on the next call" if activity["asleep"] else of
    instances = f"{activity['instances']} of {activity['desired_instances']}"
    return instances, bytes_shown(activity["memory_bytes"]), f"{idle}\n{words}"


def show_endpoint(name: Annotated[str, typer.Argument(help="The endpoint.")]) -> None:
    """Show an endpoint: status, instances, how it is scaled, and why it failed if it did.

    Example: zerostart endpoints show first
    """
    with aws_errors():
        shown: dict[str, Any] = dict(sagemaker().describe_endpoint(EndpointName=name))
        if scaling := scaling_of(name):
            shown["Scaling"] = scaling
    shown.pop("ResponseMetadata", None)
    typer.echo(json.dumps(shown, default=str, indent=2))


def delete_endpoint(
    name: Annotated[str, typer.Argument(help="The endpoint.")],
    wait: Annotated[bool, typer.Option("--wait", help="Return when its instances have ended.")] = False,
) -> None:
    """Delete an endpoint, and the config and model that 'deploy' made for it under the same name.

    Example: zerostart endpoints delete first
    """
    with aws_errors():
        client = sagemaker()
        client.delete_endpoint(EndpointName=name)
        _undo(client, name, ["model", "config"])
        typer.echo(f"Endpoint {name} is Deleting.", err=wait)
        while wait and _status(client, name) is not None:
            time.sleep(_POLL_S)


def invoke(
    name: Annotated[str, typer.Argument(help="The endpoint.")],
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Texts to classify.")],
    labels: Annotated[str, typer.Option(help="Candidate labels, separated by commas.")] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="One candidate label, which may hold a comma; repeat it.")
    ] = None,
    multi_label: Annotated[bool, typer.Option("--multi-label", help="Score each label on its own.")] = False,
    template: Annotated[str, typer.Option(help="Hypothesis, with {} for the label.")] = DEFAULT_HYPOTHESIS_TEMPLATE,
    variant: Annotated[str, typer.Option(help="Production variant to ask.")] = "",
) -> None:
    """Classify texts on an endpoint; prints one JSON object a text. An endpoint with a profile knows its labels.

    Example: zerostart invoke first "One day I will see the world" --labels travel,cooking,dancing
    """
    if labels and label:
        raise InvalidInput("Name the labels in one way: --labels a,b,c, or --label for each.")
    options = {
        **({"candidate_labels": labels or label} if labels or label else {}),
        **({"multi_label": True} if multi_label else {}),
        "hypothesis_template": template,
    }
    body = json.dumps({"inputs": texts, "parameters": options})
    with aws_errors():
        target = {"TargetVariant": variant} if variant else {}
        answer = runtime().invoke_endpoint(
            EndpointName=name,
            Body=body,
            ContentType="application/json",
            **target,
        )
    for result in json.loads(answer["Body"].read()):
        typer.echo(json.dumps(result, ensure_ascii=False))


def env() -> None:
    """Print export lines that point boto3, the AWS CLI and the sagemaker SDK to this server.

    Example: eval "$(zerostart env)"
    """
    settings = load_settings()
    pair = read_credentials(settings.credentials_path)
    typer.echo("unset AWS_PROFILE AWS_SESSION_TOKEN")
    for name, value in variables(settings, pair).items():
        typer.echo(f"export {name}='{value}'")


def _wait_until_in_service(client: "SageMakerClient", name: str) -> None:
    from rich.console import Console

    console = Console(stderr=True)
    started_s = time.monotonic()
    with console.status(f"Endpoint {name} is Creating"):
        while (status := _status(client, name)) not in {"InService", "Failed", None}:
            time.sleep(_POLL_S)
    if status != "InService":
        reason = client.describe_endpoint(EndpointName=name).get("FailureReason", "") if status else "it was deleted."
        raise ServerRefused(f"Endpoint {name} did not come into service: {reason}")
    typer.echo(f"Endpoint {name} is InService after {time.monotonic() - started_s:.1f} s.")


def _status(client: "SageMakerClient", name: str) -> str | None:
    """The endpoint's status; None when it is gone."""
    from botocore.exceptions import ClientError

    try:
        return client.describe_endpoint(EndpointName=name)["EndpointStatus"]
    except ClientError as error:
        if "Could not find endpoint" in error.response["Error"].get("Message", ""):
            return None
        raise


def _undo(client: "SageMakerClient", name: str, made: list[str]) -> None:
    """Remove the config and model of that name, if they are there."""
    from botocore.exceptions import ClientError

    for kind in reversed(made):
        try:
            if kind == "config":
                client.delete_endpoint_config(EndpointConfigName=name)
            else:
                client.delete_model(ModelName=name)
        except ClientError as error:
            if "Could not find" not in error.response["Error"].get("Message", ""):
                raise
