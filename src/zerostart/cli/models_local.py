"""zerostart models list --local, and remove."""

import json
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from zerostart.cli.client import ServerRefused, aws_errors, sagemaker
from zerostart.cli.endpoints import Format
from zerostart.errors import InvalidInput, ModelInUse
from zerostart.models.artefact import BUILTIN_FOLDER, Artefact
from zerostart.models.catalogue import names_of
from zerostart.models.fetching import megabytes
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.services.jumpstart import model_id_at
from zerostart.settings import Settings, load_settings, server_address

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

_CONNECT_TIMEOUT_S = 2.0
_JUMPSTART_TAG = "sagemaker-sdk:jumpstart-model-id"


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    group.command("remove")(remove_model)


def print_local(artefacts: Sequence[Artefact], output_format: Format) -> None:
    """Print what takes room on this machine, and how far each model is from its original."""
    if output_format is Format.JSON:
        typer.echo(json.dumps([_document(artefact) for artefact in artefacts], indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Column, Table

    longest = max((len(artefact.model_id) for artefact in artefacts), default=0)
    ids = Column("model id", no_wrap=True, min_width=longest)
    table = Table(ids, Column("MB", justify="right"), "revision", "difference", "where")
    for artefact in artefacts:
        manifest = artefact.manifest
        table.add_row(
            manifest.model_id,
            f"{artefact.size_bytes / 1e6:,.1f}",
            manifest.revision[:8],
            shown_difference(manifest.max_probability_difference),
            "built in" if _is_built_in(artefact) else "",
        )
    table.add_row("together", f"{sum(each.size_bytes for each in artefacts) / 1e6:,.1f}", "", "", "")
    Console().print(table)


def shown_difference(difference: float | None) -> str:
    """The largest probability difference from the original, for people."""
    return "not compared" if difference is None else f"{difference:.1g}"


def _document(artefact: Artefact) -> dict[str, Any]:
    manifest = artefact.manifest
    return {
        "model_id": manifest.model_id,
        "kind": manifest.kind,
        "architecture": manifest.architecture,
        "languages": manifest.languages,
        "licence": manifest.licence,
        "max_tokens": manifest.max_tokens,
        "revision": manifest.revision,
        "max_probability_difference": manifest.max_probability_difference,
        "size_bytes": artefact.size_bytes,
        "folder": str(artefact.folder),
        "built_in": _is_built_in(artefact),
    }


def _is_built_in(artefact: Artefact) -> bool:
    return artefact.folder.parent == BUILTIN_FOLDER


def remove_model(
    model_id: Annotated[str, typer.Argument(help="Model id; 'zerostart models list --local' shows those here.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a model from this machine, with its compiled form. Refused while an endpoint has it.

    Example: zerostart models remove cross-encoder/nli-distilroberta-base --yes
    """
    settings = load_settings()
    artefacts = LocalArtefacts(settings.models_folder)
    going = artefacts.removable(model_id, settings.cache_folder)
    if users := _users(settings, {*names_of(model_id), *names_of(going.model_id)}):
        raise ModelInUse(f"Model {going.model_id} is in use by {', '.join(users)}: delete or stop that first.")
    size = megabytes(going.size_bytes)
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidInput(f"{going.folder} ({size}) would be removed: give --yes, as nobody can be asked here.")
        typer.confirm(f"Remove {going.model_id}, {size} in {going.folder}?", abort=True, err=True)
    artefacts.remove(going)
    typer.echo(f"{going.model_id} is removed: {size} are free.")


def _users(settings: Settings, names: set[str]) -> list[str]:
    """What uses the model in the server that runs on this home; nothing if none runs."""
    if not settings.address_path.is_file() or not _answers(server_address(settings).url):
        return []
    try:
        with aws_errors():
            return list(_uses(sagemaker(), names))
    except ServerRefused as error:
        raise ModelInUse(
            f"The server does not say whether it uses the model ({error}): stop the server first."
        ) from error


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    try:
        with socket.create_connection(address, timeout=_CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False


def _uses(client: "SageMakerClient", names: set[str]) -> Iterator[str]:
    """Endpoints and running transform jobs whose model is one of `names`, or cannot be told any more."""
    pages = client.get_paginator("list_models").paginate()
    model_ids = {
        model["ModelName"]: _model_id(client, model["ModelName"]) for page in pages for model in page["Models"]
    }
    for endpoints in client.get_paginator("list_endpoints").paginate():
        for endpoint in endpoints["Endpoints"]:
            name = endpoint["EndpointName"]
            models = _endpoint_models(client, name)
            if any(model_ids.get(model) in names for model in models):
                yield f"endpoint {name}"
            elif not models or not models <= set(model_ids):
                yield f"endpoint {name} (perhaps: the model or config that it was made from is deleted)"
    for jobs in client.get_paginator("list_transform_jobs").paginate(StatusEquals="InProgress"):
        for job in jobs["TransformJobSummaries"]:
            name = job["TransformJobName"]
            if model_ids.get(client.describe_transform_job(TransformJobName=name)["ModelName"]) in names:
                yield f"transform job {name}"


def _model_id(client: "SageMakerClient", name: str) -> str | None:
    """The id that a model was created with: in its environment, JumpStart's tag or JumpStart's artefact."""
    model = client.describe_model(ModelName=name)
    container = model.get("PrimaryContainer") or (model.get("Containers") or [{}])[0]
    if model_id := container.get("Environment", {}).get("HF_MODEL_ID"):
        return model_id
    tags = {tag["Key"]: tag["Value"] for tag in client.list_tags(ResourceArn=model["ModelArn"])["Tags"]}
    uri = container.get("ModelDataUrl") or container.get("ModelDataSource", {}).get("S3DataSource", {}).get("S3Uri", "")
    return tags.get(_JUMPSTART_TAG) or model_id_at(uri, lambda *_: None)


def _endpoint_models(client: "SageMakerClient", name: str) -> set[str]:
    """The models of an endpoint's config; none if that is deleted."""
    config = client.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    try:
        variants = client.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    except client.exceptions.ClientError:
        return set()
    return {variant["ModelName"] for variant in variants if "ModelName" in variant}
