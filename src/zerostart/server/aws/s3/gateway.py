"""The S3 gateway: an ASGI application that authenticates a request, finds its operation and answers."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from zerostart.credentials import AccessKey
from zerostart.errors import Draining, ZerostartError
from zerostart.server.aws.edge import header_map, raw_path
from zerostart.server.aws.s3.address import Address, address_of, is_for_s3, resource_of
from zerostart.server.aws.s3.authentication import S3Request, authenticate
from zerostart.server.aws.s3.body import Body
from zerostart.server.aws.s3.errors import S3Error, error_response
from zerostart.server.aws.s3.operations import BUCKET_SETTINGS, Call, S3Operations
from zerostart.server.request_log import RequestLog
from zerostart.services.access_key import KeyUses
from zerostart.services.arn import ACCOUNT_ID
from zerostart.services.authorisation import authorise
from zerostart.serving.http import CALLER_LEFT, Gate

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Action:
    """What a request asks for: S3's name of the permission, and the method that answers."""

    permission: str
    answered_by: str


class S3Gateway:
    """S3 on the server's one port."""

    def __init__(
        self, operations: S3Operations, keys: Mapping[str, AccessKey], uses: KeyUses, gate: Gate, *, serves_store: bool
    ) -> None:
        self._serves_store = serves_store
        self._operations = operations
        self._keys = keys
        self._uses = uses
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
        self._uses.note(signer.pair)
        address = address_of(path, query, headers)
        action = action_of(request.method, address, headers)
        log.fields |= {"operation": action.permission, "path": path[:200], "key": signer.pair.name}
        authorise(signer.pair, action.permission, _arn(address))
        if not (self._serves_store or self._operations.generates(address.bucket)):
            raise S3Error("MethodNotAllowed", "S3 is off here (setting s3_gateway): use the storage service itself.")
        owner = headers.get("x-amz-expected-bucket-owner")
        if owner is not None and owner != ACCOUNT_ID:
            raise S3Error("AccessDenied", f"The bucket belongs to account {ACCOUNT_ID}, not to {owner[:20]}.")
        operation: Callable[[Call], Awaitable[Response]] = getattr(self._operations, action.answered_by)
        return await operation(Call(request, address, Body(request, signer)))


def _arn(address: Address) -> str:
    name = "/".join(filter(None, (address.bucket, address.key)))
    return f'"arn:aws:s3:::{name}"' if name else "*"


def action_of(method: str, address: Address, headers: Mapping[str, str]) -> Action:
    """The action of a request. Raises S3Error for one that is not supported.

    S3 tells operations of one method apart by the query. A name there that is not known might mean another operation,
    as `?legal-hold` on a PUT does, so the request is refused before it could be taken for a plain PUT or DELETE.
    """
    names = {name for name in address.parameters if name not in _ANYWHERE and not name.startswith("X-Amz-")}
    for each in _OBJECT if address.key else _BUCKET if address.bucket else _SERVICE:
        if each.method == method and each.told_by <= names <= each.told_by | each.options:
            copies = each.copied is not None and "x-amz-copy-source" in headers
            return Action(each.permission, each.copied if copies and each.copied else each.answered_by)
    query = ", ".join(sorted(names)) or "no parameter"
    raise S3Error("NotImplemented", f"{method} with {query[:200]} in the query is not supported by Zerostart's S3.")


@dataclass(frozen=True)
class _Row:
    """An operation: told by its method and the parameters that only it has; it may have `options` too."""

    method: str
    told_by: frozenset[str]
    options: frozenset[str]
    permission: str
    answered_by: str
    copied: str | None = None


def _row(method: str, told_by: str, options: str, permission: str, answered_by: str, copied: str | None = None) -> _Row:
    return _Row(method, frozenset(told_by.split()), frozenset(options.split()), permission, answered_by, copied)


# Of a URL that was presigned by Version 2 (Version 4's begin with X-Amz-), and what SDKs name the operation by.
_ANYWHERE = {"AWSAccessKeyId", "Signature", "Expires", "x-amz-security-token", "x-id"}
_LISTED = "prefix delimiter encoding-type max-keys"
_LISTED_V2 = f"{_LISTED} continuation-token start-after fetch-owner"
_ANSWERED_AS = " ".join(
    f"response-{name}"
    for name in (
        *("cache-control", "content-disposition", "content-encoding"),
        *("content-language", "content-type", "expires"),
    )
)
_SERVICE = (_row("GET", "", "", "s3:ListAllMyBuckets", "list_buckets"),)
_BUCKET = (
    _row("PUT", "", "", "s3:CreateBucket", "create_bucket"),
    _row("HEAD", "", "", "s3:ListBucket", "head_bucket"),
    _row("DELETE", "", "", "s3:DeleteBucket", "delete_bucket"),
    _row("GET", "list-type", _LISTED_V2, "s3:ListBucket", "list_objects_v2"),
    _row("GET", "", f"{_LISTED} marker", "s3:ListBucket", "list_objects"),
    _row("POST", "delete", "", "s3:DeleteObject", "delete_objects"),
    _row("GET", "location", "", "s3:GetBucketLocation", "get_bucket_location"),
    _row("GET", "uploads", "prefix encoding-type", "s3:ListBucketMultipartUploads", "list_multipart_uploads"),
    *(_row("GET", name, "", "s3:GetBucketSetting", "get_bucket_setting") for name in sorted(BUCKET_SETTINGS)),
    *(_row("PUT", name, "", "s3:PutBucketSetting", "put_bucket_setting") for name in sorted(BUCKET_SETTINGS)),
    *(_row("DELETE", name, "", "s3:PutBucketSetting", "put_bucket_setting") for name in sorted(BUCKET_SETTINGS)),
)
_OBJECT = (
    _row("GET", "", _ANSWERED_AS, "s3:GetObject", "get_object"),
    _row("HEAD", "", _ANSWERED_AS, "s3:GetObject", "head_object"),
    _row("PUT", "", "", "s3:PutObject", "put_object", copied="copy_object"),
    _row("DELETE", "", "", "s3:DeleteObject", "delete_object"),
    _row("GET", "tagging", "", "s3:GetObjectTagging", "get_object_tagging"),
    _row("POST", "uploads", "", "s3:PutObject", "create_multipart_upload"),
    _row("PUT", "uploadId partNumber", "", "s3:PutObject", "upload_part", copied="upload_part_copy"),
    _row("POST", "uploadId", "", "s3:PutObject", "complete_multipart_upload"),
    _row("DELETE", "uploadId", "", "s3:AbortMultipartUpload", "abort_multipart_upload"),
    _row("GET", "uploadId", "max-parts part-number-marker", "s3:ListMultipartUploadParts", "list_parts"),
)


def _refused(error: Exception, request: Request, log: RequestLog) -> Response:
    response = error_response(error, request.url.path, log.request_id)
    if request.method == "HEAD":
        response = Response(status_code=response.status_code, headers={"x-amz-request-id": log.request_id})
    response.headers["Connection"] = "close"  # what is left of a body that was not read is no next request
    return response
