"""AWS's own service models, as botocore ships them: inputs are checked against them, and outputs shaped by them."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
import regex
from botocore.model import OperationModel, ServiceModel, Shape

from zerostart.errors import InvalidInput


@cache
def service_model(service: str) -> ServiceModel:
    """The model of an AWS service, by botocore's name for it."""
    return botocore.session.Session().get_service_model(service)


def check_input(operation: OperationModel, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """`value` if it fits the operation's input; raises InvalidInput with every violation, in AWS's words."""
    shape = operation.input_shape
    violations: list[str] = []
    if shape is not None:
        _check(shape, value, "", violations)
    if violations:
        count = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected"
        raise InvalidInput(f"{count}: {'; '.join(violations)}")
    return value


def shape_output(operation: OperationModel, value: Mapping[str, Any]) -> dict[str, Any]:
    """The members of `value` that the operation's output has, times as epoch seconds; None is left out."""
    shape = operation.output_shape
    result: dict[str, Any] = _shaped(shape, value) if shape is not None else {}
    return result


def _check(shape: Shape, value: Any, path: str, violations: list[str]) -> None:
    check = _CHECKS.get(shape.type_name)
    if check is not None:
        check(shape, value, path, violations)


def _check_structure(shape: Any, value: Any, path: str, violations: list[str]) -> None:
    if not isinstance(value, dict):
        violations.append(_failed(value, path, "be an object"))
        return
    for name in shape.required_members:
        if value.get(name) is None:
            violations.append(_failed(None, _join(path, name), "not be null"))
    for name, each in value.items():
        if name not in shape.members:
            known = ", ".join(shape.members)
            violations.append(f"Unknown parameter '{_join(path, name)}'; known here: {known}")
        elif each is not None:
            _check(shape.members[name], each, _join(path, name), violations)


def _check_list(shape: Any, value: Any, path: str, violations: list[str]) -> None:
    if not isinstance(value, list):
        violations.append(_failed(value, path, "be a list"))
        return
    _check_length(shape, value, path, violations)
    for number, each in enumerate(value, start=1):
        _check(shape.member, each, f"{path}.{number}.member", violations)


def _check_map(shape: Any, value: Any, path: str, violations: list[str]) -> None:
    if not isinstance(value, dict):
        violations.append(_failed(value, path, "be an object"))
        return
    _check_length(shape, value, path, violations)
    for key, each in value.items():
        _check(shape.key, key, f"{path}.key", violations)
        _check(shape.value, each, f"{path}.{key}", violations)


def _check_string(shape: Any, value: Any, path: str, violations: list[str]) -> None:
    if not isinstance(value, str):
        violations.append(_failed(value, path, "be a string"))
        return
    _check_length(shape, value, path, violations)
    if shape.enum and value not in shape.enum and path.rpartition(".")[2] not in _OPEN_ENUMS:
        violations.append(_failed(value, path, f"satisfy enum value set: [{', '.join(shape.enum)}]"))
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        violations.append(_failed(value, path, f"satisfy regular expression pattern: {pattern}"))


def _check_number(shape: Any, value: Any, path: str, violations: list[str]) -> None:
    whole = shape.type_name in {"integer", "long"}
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        violations.append(_failed(value, path, "be an integer" if whole else "be a number"))
        return
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        violations.append(_failed(value, path, f"have value greater than or equal to {low}"))
    if high is not None and value > high:
        violations.append(_failed(value, path, f"have value less than or equal to {high}"))


def _check_boolean(_shape: Any, value: Any, path: str, violations: list[str]) -> None:
    if not isinstance(value, bool):
        violations.append(_failed(value, path, "be true or false"))


def _check_timestamp(_shape: Any, value: Any, path: str, violations: list[str]) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**33:
        violations.append(_failed(value, path, "be a time in seconds since 1970"))


def _check_length(shape: Any, value: Any, path: str, violations: list[str]) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        violations.append(_failed(value, path, f"have length greater than or equal to {low}"))
    if high is not None and len(value) > high:
        violations.append(_failed(value, path, f"have length less than or equal to {high}"))


_CHECKS = {
    "structure": _check_structure,
    "list": _check_list,
    "map": _check_map,
    "string": _check_string,
    "integer": _check_number,
    "long": _check_number,
    "float": _check_number,
    "double": _check_number,
    "boolean": _check_boolean,
    "timestamp": _check_timestamp,
}
# Any ml.* instance type is taken: it only sizes an instance here, and AWS adds types faster than clients learn them.
_OPEN_ENUMS = {"InstanceType"}
_SURROGATES = r"\uD800\uDC00-\uDBFF\uDFFF"


def _failed(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{str(value)[:200]}'"
    name = path[:1].lower() + path[1:]
    return f"Value {shown} at '{name}' failed to satisfy constraint: Member must {constraint}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@cache
def _compiled(pattern: str) -> regex.Pattern[str]:
    """AWS writes Java's expressions, with Unicode classes such as \\p{L} that the standard library does not know.

    In some, characters past U+FFFF are pairs of surrogates, as Java has them and Python has not.
    """
    return regex.compile(pattern.replace(_SURROGATES, r"\U00010000-\U0010FFFF"))


def _shaped(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure":
        return {
            name: _shaped(member, value[name]) for name, member in shape.members.items() if value.get(name) is not None
        }
    if shape.type_name == "list":
        return [_shaped(shape.member, each) for each in value]
    if shape.type_name == "map":
        return {key: _shaped(shape.value, each) for key, each in value.items()}
    if isinstance(value, datetime):
        return value.timestamp()
    return value
