"""The S3 gateway: an ASGI application that authenticates a request, finds its operation and answers."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from zerostart.credentials import KeyPair
from zerostart.errors import Draining, ZerostartError
from zerostart.server.aws.edge import RequestLog, header_map, raw_path
from zerostart.server.aws.s3.address import Address, address_of, is_for_s3, resource_of
from zerostart.server.aws.s3.authentication import S3Request, authenticate
from zerostart.server.aws.s3.body import Body
from zerostart.server.aws.s3.errors import S3Error, error_response
from zerostart.server.aws.s3.operations import BUCKET_SETTINGS, Call, S3Operations
from zerostart.services.arn import ACCOUNT_ID
from zerostart.serving.http import CALLER_LEFT, Gate

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Action:
    """What a request asks for: S3's name of the permission, and the method that answers."""

    name: str
    method: str


class S3Gateway:
    """S3 on the server's one port."""

    def __init__(self, operations: S3Operations, keys: Mapping[str, KeyPair], gate: Gate) -> None:
        self._operations = operations
        self._keys = keys
        self._gate = gate

    @staticmethod
    def takes(scope: Scope) -> bool:
        """Whether a request is for S3."""
        if scope["type"] != "http":
            return False
        request = Request(scope)
        return is_for_s3(scope["query_string"].decode("latin-1"), request.headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. What fails once content is on its way breaks the connection: it cannot be told."""
        request = Request(scope, receive)
        log = RequestLog(request)
        try:
            async with self._gate.passage():
                response = await self._answer_or_error(request, log)
                await log.closed(response)(scope, receive, send)
        except Draining as error:
            await log.closed(_refused(error, request, log))(scope, receive, send)

    async def _answer_or_error(self, request: Request, log: RequestLog) -> Response:
        try:
            response = await self._answer(request, log)
        except ClientDisconnect:
            return Response(status_code=CALLER_LEFT)
        except Exception as error:
            if not isinstance(error, ZerostartError):
                logger.exception("request %s failed", log.request_id)
            return _refused(error, request, log)
        response.headers["x-amz-request-id"] = log.request_id
        return response

    async def _answer(self, request: Request, log: RequestLog) -> Response:
        headers, path = header_map(request), raw_path(request)
        query = request.scope["query_string"].decode("latin-1")
        s3_request = S3Request(request.method, path, query, headers, resource_of(path, headers))
        signer = authenticate(s3_request, self._keys)
        address = address_of(path, query, headers)
        action = action_of(request.method, address, headers)
        log.fields |= {"operation": action.name, "path": path[:200]}
        owner = headers.get("x-amz-expected-bucket-owner")
        if owner is not None and owner != ACCOUNT_ID:
            raise S3Error("AccessDenied", f"The bucket belongs to account {ACCOUNT_ID}, not to {owner[:20]}.")
        operation: Callable[[Call], Awaitable[Response]] = getattr(self._operations, action.method)
        return await operation(Call(request, address, Body(request, signer)))


def action_of(method: str, address: Address, headers: Mapping[str, str]) -> Action:
    """The action of a request. Raises S3Error for one that is not supported."""
    if not address.bucket:
        found = _SERVICE.get(method)
    elif not address.key:
        found = _bucket_action(method, address.parameters)
    else:
        found = _object_action(method, address.parameters, headers)
    if found is None:
        raise S3Error("MethodNotAllowed", f"{method} with this query is not supported by Zerostart's S3.")
    return Action(*found)


_Found = tuple[str, str]
_SERVICE: Mapping[str, _Found] = {"GET": ("s3:ListAllMyBuckets", "list_buckets")}
_BUCKET: Mapping[str, _Found] = {
    "PUT": ("s3:CreateBucket", "create_bucket"),
    "HEAD": ("s3:ListBucket", "head_bucket"),
    "DELETE": ("s3:DeleteBucket", "delete_bucket"),
    "GET": ("s3:ListBucket", "list_objects"),
}
_BUCKET_QUERIES: Mapping[tuple[str, str], _Found] = {
    ("POST", "delete"): ("s3:DeleteObject", "delete_objects"),
    ("GET", "location"): ("s3:GetBucketLocation", "get_bucket_location"),
    ("GET", "uploads"): ("s3:ListBucketMultipartUploads", "list_multipart_uploads"),
}
_BUCKET_SETTING: Mapping[str, _Found] = {
    "GET": ("s3:GetBucketSetting", "get_bucket_setting"),
    "PUT": ("s3:PutBucketSetting", "put_bucket_setting"),
    "DELETE": ("s3:PutBucketSetting", "put_bucket_setting"),
}
_OBJECT: Mapping[str, _Found] = {
    "GET": ("s3:GetObject", "get_object"),
    "HEAD": ("s3:GetObject", "head_object"),
    "PUT": ("s3:PutObject", "put_object"),
    "DELETE": ("s3:DeleteObject", "delete_object"),
}
_UPLOAD: Mapping[str, _Found] = {
    "GET": ("s3:ListMultipartUploadParts", "list_parts"),
    "PUT": ("s3:PutObject", "upload_part"),
    "POST": ("s3:PutObject", "complete_multipart_upload"),
    "DELETE": ("s3:AbortMultipartUpload", "abort_multipart_upload"),
}


def _bucket_action(method: str, parameters: Mapping[str, str]) -> _Found | None:
    for (wanted, name), found in _BUCKET_QUERIES.items():
        if method == wanted and name in parameters:
            return found
    if BUCKET_SETTINGS & parameters.keys():
        return _BUCKET_SETTING.get(method)
    if {"versions", "inventory", "analytics", "metrics"} & parameters.keys():
        return None
    if parameters.get("list-type") == "2" and method == "GET":
        return "s3:ListBucket", "list_objects_v2"
    return _BUCKET.get(method)


def _object_action(method: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> _Found | None:
    copies = "x-amz-copy-source" in headers
    if "uploadId" in parameters:
        return ("s3:PutObject", "upload_part_copy") if copies and method == "PUT" else _UPLOAD.get(method)
    if "uploads" in parameters:
        return ("s3:PutObject", "create_multipart_upload") if method == "POST" else None
    if "tagging" in parameters:
        return ("s3:GetObjectTagging", "get_object_tagging") if method == "GET" else None
    if {"acl", "attributes", "torrent", "retention", "legal-hold", "restore", "select"} & parameters.keys():
        return None
    if copies and method == "PUT":
        return "s3:PutObject", "copy_object"
    return _OBJECT.get(method)


def _refused(error: Exception, request: Request, log: RequestLog) -> Response:
    response = error_response(error, request.url.path, log.request_id)
    if request.method == "HEAD":
        response = Response(status_code=response.status_code, headers={"x-amz-request-id": log.request_id})
    response.headers["Connection"] = "close"  # what is left of a body that was not read is no next request
    return response
