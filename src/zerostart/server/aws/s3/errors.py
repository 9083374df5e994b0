"""S3's errors: code, status and XML body."""

from collections.abc import Mapping
from xml.etree import ElementTree as ET

from starlette.responses import Response

from zerostart import errors
from zerostart.services.authorisation import AccessDenied

_STATUSES = {
    "AccessDenied": 403,
    "AuthorizationHeaderMalformed": 400,
    "AuthorizationQueryParametersError": 400,
    "BadDigest": 400,
    "BucketAlreadyOwnedByYou": 409,
    "BucketNotEmpty": 409,
    "EntityTooLarge": 400,
    "EntityTooSmall": 400,
    "IncompleteBody": 400,
    "InternalError": 500,
    "InvalidAccessKeyId": 403,
    "InvalidArgument": 400,
    "InvalidBucketName": 400,
    "InvalidPart": 400,
    "InvalidRange": 416,
    "InvalidRequest": 400,
    "KeyTooLongError": 400,
    "MalformedXML": 400,
    "MethodNotAllowed": 405,
    "MissingContentLength": 411,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchUpload": 404,
    "NotImplemented": 501,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "SignatureDoesNotMatch": 403,
    "ServiceUnavailable": 503,
    "SlowDown": 503,
    "XAmzContentSHA256Mismatch": 400,
}
_CODES: Mapping[type[Exception], str] = {
    AccessDenied: "AccessDenied",
    errors.AlreadyExists: "BucketAlreadyOwnedByYou",
    errors.BodyTooLarge: "EntityTooLarge",
    errors.Draining: "SlowDown",
    errors.InvalidPart: "InvalidPart",
    errors.PartTooSmall: "EntityTooSmall",
    errors.InvalidInput: "InvalidArgument",
    errors.NotEmpty: "BucketNotEmpty",
    errors.StorageFailure: "ServiceUnavailable",
    errors.UnknownBucket: "NoSuchBucket",
    errors.UnknownObject: "NoSuchKey",
    errors.UnknownUpload: "NoSuchUpload",
    errors.PreconditionFailed: "PreconditionFailed",
}


class S3Error(errors.ZerostartError):
    """An error with a code of S3's own."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or _STATUSES.get(code, 400)


def error_response(error: Exception, resource: str, request_id: str) -> Response:
    """The answer for `error`; one that is not known is an InternalError that says nothing of its inside."""
    known = _known(error)
    headers = {"x-amz-request-id": request_id, "x-amzn-ErrorType": known.code}
    if known.status == 503:
        headers["Retry-After"] = "1"
    root = ET.Element("Error")
    for name, text in (
        ("Code", known.code),
        ("Message", str(known)),
        ("Resource", resource),
        ("RequestId", request_id),
    ):
        ET.SubElement(root, name).text = printable(text)
    body = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return Response(body, known.status, headers, media_type="application/xml")


def printable(text: str) -> str:
    """`text` without characters that XML cannot hold."""
    return "".join(each if each in "\t\n\r" or ord(each) >= 0x20 else "\ufffd" for each in text)


def _known(error: Exception) -> S3Error:
    if isinstance(error, S3Error):
        return error
    for kind in type(error).__mro__:
        if kind in _CODES:
            return S3Error(_CODES[kind], str(error))
    return S3Error("InternalError", "We encountered an internal error. The server's log has more under this request.")
