"""AWS's words for our errors: one table for each service."""

import json
from collections.abc import Mapping

from starlette.responses import Response

from zerostart import errors
from zerostart.server.aws.sigv4 import AuthenticationError
from zerostart.services.authorisation import AccessDenied

Code = tuple[str, int]

CONTROL_PLANE: Mapping[type[Exception], Code] = {
    AccessDenied: ("AccessDeniedException", 400),
    errors.BodyTooLarge: ("ValidationException", 413),
    errors.InvalidInput: ("ValidationException", 400),
    errors.InvalidArtefact: ("ValidationException", 400),
    errors.UnknownJob: ("ResourceNotFound", 400),
    errors.NameInUse: ("ResourceInUse", 400),
    errors.NotFound: ("ValidationException", 400),  # AWS's own code for Describe: its waiters depend on it
    errors.AlreadyExists: ("ValidationException", 400),
    errors.NotUpdatable: ("ValidationException", 400),
    errors.LimitExceeded: ("ResourceLimitExceeded", 400),
    errors.Draining: ("ServiceUnavailable", 503),
    errors.StorageFailure: ("ServiceUnavailable", 503),
}

AUTOSCALING: Mapping[type[Exception], Code] = {
    AccessDenied: ("AccessDeniedException", 400),
    errors.BodyTooLarge: ("ValidationException", 413),
    errors.InvalidNextToken: ("InvalidNextTokenException", 400),
    errors.InvalidInput: ("ValidationException", 400),
    errors.NotFound: ("ObjectNotFoundException", 400),
    errors.NotUpdatable: ("ConcurrentUpdateException", 400),
    errors.LimitExceeded: ("LimitExceededException", 400),
    errors.Draining: ("ServiceUnavailable", 503),
}

LOGS: Mapping[type[Exception], Code] = {
    AccessDenied: ("AccessDeniedException", 400),
    errors.InvalidInput: ("InvalidParameterException", 400),
    errors.NotFound: ("ResourceNotFoundException", 400),
    errors.Draining: ("ServiceUnavailableException", 503),
}

RUNTIME: Mapping[type[Exception], Code] = {
    AccessDenied: ("AccessDeniedException", 403),
    errors.BodyTooLarge: ("ValidationError", 413),
    errors.InvalidInput: ("ValidationError", 400),
    errors.NotFound: ("ValidationError", 400),
    errors.AlreadyExists: ("ValidationError", 400),
    errors.InvalidArtefact: ("ValidationError", 400),
    errors.Throttled: ("ThrottlingException", 429),
    errors.Overloaded: ("ServiceUnavailable", 503),
    errors.ModelNotReady: ("ModelNotReadyException", 429),
    errors.NoInstance: ("ServiceUnavailable", 503),
    errors.StorageFailure: ("ServiceUnavailable", 503),
    errors.InstanceLost: ("ServiceUnavailable", 503),
    errors.InvocationTimeout: ("ModelError", 424),
}


def error_response(error: Exception, table: Mapping[type[Exception], Code], request_id: str) -> Response:
    """The answer for `error`; one that is in no table is an InternalFailure that says nothing of its inside."""
    code, status, message = (
        "InternalFailure",
        500,
        f"Internal failure. The server's log has more under request {request_id}.",
    )
    if isinstance(error, AuthenticationError):
        code, status, message = error.code, 403, str(error)
    else:
        for kind in type(error).__mro__:
            if kind in table:
                code, status = table[kind]
                message = str(error)
                break
    return coded_response(code, status, {"message": message}, request_id)


def coded_response(code: str, status: int, members: Mapping[str, object], request_id: str) -> Response:
    """An error in AWS's JSON form; `members` holds at least the message."""
    headers = {"x-amzn-ErrorType": code, "x-amzn-RequestId": request_id}
    if status == 503:
        headers["Retry-After"] = "1"
    body = json.dumps({"__type": code, **members}, ensure_ascii=False)
    return Response(body, status, headers, media_type="application/x-amz-json-1.1")
