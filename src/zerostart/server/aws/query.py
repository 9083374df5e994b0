"""AWS's query protocol, which STS and IAM speak: a form in, XML out, both by botocore's service models.

https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from botocore import xform_name
from botocore.model import Shape
from starlette.responses import Response

from zerostart.credentials import AccessKey
from zerostart.errors import InvalidInput, NotFound, ZerostartError
from zerostart.server.aws.identity import IamOperations, StsOperations
from zerostart.server.aws.service_model import check_input, service_model
from zerostart.server.aws.sigv4 import AuthenticationError
from zerostart.services.authorisation import AccessDenied, authorise

OPERATIONS = {
    "sts": ("GetCallerIdentity",),
    "iam": ("GetRole", "GetUser", "SimulatePrincipalPolicy"),
}
_NAMESPACES = {
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
}
_SCOPE = re.compile(r"Credential=[^,/\s]+/\d+/[^,/\s]+/(sts|iam)/aws4_request")
_AUTHENTICATION_CODES = {
    "UnrecognizedClientException": "InvalidClientTokenId",
    "InvalidSignatureException": "SignatureDoesNotMatch",
}
_MOST_FIELDS = 2000
_MOST_ITEMS = 1000


def queried_service(headers: Mapping[str, str]) -> str | None:
    """`sts` or `iam`, if the request is signed for one of them."""
    match = _SCOPE.search(headers.get("authorization", ""))
    return match[1] if match else None


class QueryApi:
    """Dispatches operations by name: GetRole is the method get_role of IAM's operations."""

    def __init__(self, region: str) -> None:
        self._groups = {"sts": StsOperations(), "iam": IamOperations(region)}

    def answer(self, service: str, body: bytes, caller: AccessKey, request_id: str) -> Response:
        """The answer to one operation. Raises InvalidInput and NotFound."""
        try:
            fields = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
        except ValueError as error:
            raise InvalidInput(f"The body is not a form: {error}") from error
        name = fields.pop("Action", "")
        if name not in OPERATIONS[service]:
            known = ", ".join(OPERATIONS[service])
            return _error(
                "InvalidAction", 400, f"Could not find operation {name[:100]}: Zerostart has {known}.", request_id
            )
        authorise(caller, f"{service}:{name}", "*")
        operation = service_model(service).operation_model(name)
        fields.pop("Version", None)
        asked = check_input(operation, _parsed(operation.input_shape, fields) if operation.input_shape else {})
        handler: Callable[[Mapping[str, Any], AccessKey], dict[str, Any]]
        handler = getattr(self._groups[service], xform_name(name))
        return _result(service, operation.output_shape, name, handler(asked, caller), request_id)


def query_error_response(error: Exception, request_id: str) -> Response:
    """The answer for `error` in the query protocol's XML."""
    if isinstance(error, AuthenticationError):
        code = _AUTHENTICATION_CODES.get(error.code, error.code.removesuffix("Exception"))
        return _error(code, 403, str(error), request_id)
    if isinstance(error, AccessDenied):
        return _error("AccessDenied", 403, str(error), request_id)
    if isinstance(error, NotFound):
        return _error("NoSuchEntity", 404, str(error), request_id)
    if isinstance(error, InvalidInput):
        return _error("ValidationError", 400, str(error), request_id)
    if isinstance(error, ZerostartError):
        return _error("ServiceUnavailable", 503, str(error), request_id)
    return _error("InternalFailure", 500, "Internal failure. The server's log has more under this request.", request_id)


def _parsed(shape: Any, fields: Mapping[str, str], prefix: str = "") -> dict[str, Any]:
    """A structure from `A`, `B.C` and `D.member.1` fields; what the shape does not know is kept, to be refused."""
    found: dict[str, Any] = {}
    known = set()
    for name, member in shape.members.items():
        wire = prefix + member.serialization.get("name", name)
        mine = {key for key in fields if key == wire or key.startswith(wire + ".")}
        known |= mine
        if mine:
            found[name] = _value(member, fields, wire)
    if not prefix:
        found |= {key: fields[key] for key in fields if key not in known}
    return found


def _value(shape: Any, fields: Mapping[str, str], wire: str) -> Any:
    if shape.type_name == "structure":
        return _parsed(shape, fields, wire + ".")
    if shape.type_name == "list":
        start = wire + ("." if shape.serialization.get("flattened") else ".member.")
        numbers = sorted({int(n) for key in fields if (n := key.removeprefix(start).partition(".")[0]).isdecimal()})
        return [_value(shape.member, fields, f"{start}{number}") for number in numbers[:_MOST_ITEMS]]
    text = fields.get(wire, "")
    if shape.type_name in {"integer", "long"}:
        return int(text) if re.fullmatch(r"-?\d{1,18}", text) else text
    if shape.type_name == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return text


def _result(service: str, shape: Shape | None, name: str, value: Mapping[str, Any], request_id: str) -> Response:
    root = ET.Element(f"{name}Response", {"xmlns": _NAMESPACES[service]})
    result = ET.SubElement(root, f"{name}Result")
    if shape is not None:
        _write(result, shape, value)
    metadata = ET.SubElement(root, "ResponseMetadata")
    ET.SubElement(metadata, "RequestId").text = request_id
    return _xml(root, 200, request_id)


def _write(element: ET.Element, shape: Any, value: Any) -> None:
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if value.get(name) is not None:
                _write(ET.SubElement(element, member.serialization.get("name", name)), member, value[name])
    elif shape.type_name == "list":
        for each in value:
            _write(ET.SubElement(element, shape.member.serialization.get("name", "member")), shape.member, each)
    elif isinstance(value, datetime):
        element.text = value.strftime("%Y-%m-%dT%H:%M:%SZ")
    else:
        element.text = str(value).lower() if isinstance(value, bool) else str(value)


def _error(code: str, status: int, message: str, request_id: str) -> Response:
    root = ET.Element("ErrorResponse")
    error = ET.SubElement(root, "Error")
    for name, text in (("Type", "Sender" if status < 500 else "Receiver"), ("Code", code), ("Message", message)):
        ET.SubElement(error, name).text = "".join(each if each >= " " else " " for each in text)
    ET.SubElement(root, "RequestId").text = request_id
    response = _xml(root, status, request_id)
    response.headers["x-amzn-ErrorType"] = code
    return response


def _xml(root: ET.Element, status: int, request_id: str) -> Response:
    headers = {"x-amzn-RequestId": request_id}
    return Response(ET.tostring(root, encoding="utf-8", xml_declaration=True), status, headers, media_type="text/xml")
