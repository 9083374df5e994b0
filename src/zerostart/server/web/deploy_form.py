"""The form that deploys: what it offers, what was typed, and beside which field an error belongs."""

from collections.abc import Mapping

from zerostart.errors import AlreadyExists, InvalidField, InvalidInput, LimitExceeded, UnknownBucket, ZerostartError
from zerostart.hosting.instance_type import resources_of
from zerostart.server.web.contexts import Choice, DeployForm
from zerostart.server.web.errors import error_page
from zerostart.server.web.forms import whole_number
from zerostart.services.deployment import ROLE_ARN, Deployment
from zerostart.services.idle import parse_idle_timeout

_INSTANCE_TYPES = ("ml.t3.medium", "ml.c5.large", "ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge", "ml.r5.2xlarge")
_FIELDS = {  # of the form, by what a deployment calls it
    "name": "endpoint_name",
    "instance_count": "instances",
    "role_arn": "role",
    "output_uri": "bucket",
    "kms_key_id": "key",
}
_FIELDS_OF_ERRORS: Mapping[type[ZerostartError], str] = {
    AlreadyExists: "endpoint_name",
    LimitExceeded: "instances",
    UnknownBucket: "bucket",
}


def instance_types(chosen: str) -> list[Choice]:
    """The types to choose from, with what each means here; `chosen` is one of them, whatever it is."""
    names = [*_INSTANCE_TYPES, *([] if chosen in _INSTANCE_TYPES else [chosen])]
    return [Choice(name, f"{name}: {_resources_shown(name)}") for name in names]


def _resources_shown(instance_type: str) -> str:
    resources = resources_of(instance_type)
    return f"{resources.vcpus} vCPU, {resources.memory_bytes / 1024**3:g} GiB"


def deployment_of(model_id: str, form: Mapping[str, str]) -> Deployment:
    """What the form asks for; a field that was not sent has its default. Raises InvalidField."""
    return Deployment(
        name=form.get("endpoint_name", "").strip(),
        model_id=model_id,
        instance_count=whole_number(form, "instances", "The number of instances"),
        instance_type=form.get("instance_type", ""),
        network_isolation="isolation" in form,
        tags=_tags(form.get("tags", "")),
        role_arn=form.get("role", "").strip() or ROLE_ARN,
        kms_key_id=form.get("key", "").strip(),
        output_uri=form.get("bucket", "").strip(),
        idle_timeout_s=_idle_timeout_s(form.get("idle", "")),
        profile_uri=form.get("profile", "").strip(),
    )


def as_typed(form: Mapping[str, str], error: ZerostartError) -> DeployForm:
    """The form as it was filled in, with the error beside its field, or above the form where it is of none."""
    field, message = field_of(error), error_page(error).message
    return DeployForm(
        name=form.get("endpoint_name", ""),
        instances=form.get("instances", ""),
        instance_type=form.get("instance_type", ""),
        isolation="isolation" in form,
        role=form.get("role", ROLE_ARN),
        bucket=form.get("bucket", ""),
        key=form.get("key", ""),
        tags=form.get("tags", ""),
        idle=form.get("idle", ""),
        profile=form.get("profile", ""),
        error=message if field is None else None,
        problems={} if field is None else {field: message},
    )


def field_of(error: ZerostartError) -> str | None:
    """The field of the form that an error is about; None if it is about none of them."""
    if isinstance(error, InvalidField):
        return _FIELDS.get(error.field, error.field)
    return next((field for kind, field in _FIELDS_OF_ERRORS.items() if isinstance(error, kind)), None)


def _idle_timeout_s(text: str) -> float | None:
    try:
        return parse_idle_timeout(text, "Stop when idle for") if text else None
    except InvalidInput as error:
        raise InvalidField("idle", str(error)) from error


def _tags(text: str) -> dict[str, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if "=" not in line:
            raise InvalidField("tags", f"The tag {line[:60]!r} has no '=': write one a line, like team=search.")
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
