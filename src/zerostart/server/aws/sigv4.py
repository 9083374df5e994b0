"""Who is calling: AWS Signature Version 4, checked by signing the request again with botocore.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from zerostart.credentials import AccessKey, bearer_key

ALGORITHM = "AWS4-HMAC-SHA256"
_WINDOW = timedelta(minutes=15)
TIME_FORM = "%Y%m%dT%H%M%SZ"
_AUTHORIZATION = re.compile(
    ALGORITHM
    + r"\s+Credential=(?P<credential>[^,\s]+),\s*SignedHeaders=(?P<headers>[^,\s]+)"
    + r",\s*Signature=(?P<signature>[0-9a-f]{64})"
)


class AuthenticationError(Exception):
    """The caller did not prove who they are; `code` is AWS's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class SignedRequest:
    """What arrived, as bytes on the wire say it: `path` still percent-encoded; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Claim:
    """The parts of an Authorization header, or of a presigned URL."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


class _Signer(SigV4Auth):
    """botocore's signer over exactly the headers that the caller signed, even those that botocore itself would not."""

    def headers_to_sign(self, request: AWSRequest) -> Any:
        """The headers that `_signature` put in."""
        return request.headers


def authenticate(request: SignedRequest, keys: Mapping[str, AccessKey], now: datetime | None = None) -> AccessKey:
    """The key pair that signed `request`. Raises AuthenticationError."""
    claim = claim_of(request.headers.get("authorization"))
    pair = keys.get(claim.access_key_id)
    if pair is None:
        raise AuthenticationError(
            "UnrecognizedClientException",
            "The security token included in the request is invalid. "
            'Zerostart does not know this access key: run eval "$(zerostart env)" to use its own.',
        )
    moment = signing_time(request.headers.get("x-amz-date", ""), claim, now or datetime.now(UTC))
    check_signed_headers(request, claim)
    if not hmac.compare_digest(_signature(request, claim, pair, moment), claim.signature):
        raise AuthenticationError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
        )
    return pair


def authenticate_bearer(header: str, keys: Mapping[str, AccessKey]) -> AccessKey:
    """The key pair whose secret is the bearer key in an Authorization header. Raises AuthenticationError."""
    found = bearer_key(header, keys)
    if found is None:
        raise AuthenticationError(
            "UnrecognizedClientException",
            "The bearer key is not valid: send 'Authorization: Bearer KEY' with the secret access key that "
            "'zerostart env' prints.",
        )
    return found


def claim_of(header: str | None) -> Claim:
    """What an Authorization header claims. Raises AuthenticationError."""
    if not header:
        raise AuthenticationError(
            "MissingAuthenticationTokenException",
            "Missing Authentication Token. Sign the request with the keys that 'zerostart env' prints.",
        )
    match = _AUTHORIZATION.fullmatch(header.strip())
    scope = match["credential"].split("/") if match else []
    if match is None or len(scope) != 5 or scope[4] != "aws4_request":
        raise AuthenticationError(
            "IncompleteSignatureException",
            f"Authorization header must be '{ALGORITHM} Credential=KEY/DATE/REGION/SERVICE/aws4_request, "
            "SignedHeaders=..., Signature=...'.",
        )
    return Claim(scope[0], scope[1], scope[2], scope[3], tuple(match["headers"].split(";")), match["signature"])


def signing_time(stamp: str, claim: Claim, now: datetime, window: timedelta = _WINDOW) -> datetime:
    """The time of signing that X-Amz-Date states, if it is in the window around now. Raises AuthenticationError."""
    try:
        moment = datetime.strptime(stamp, TIME_FORM).replace(tzinfo=UTC)
    except ValueError:
        raise AuthenticationError(
            "IncompleteSignatureException", f"X-Amz-Date {stamp!r} is not of the form 20260131T235959Z."
        ) from None
    if stamp[:8] != claim.date:
        raise AuthenticationError(
            "InvalidSignatureException",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.date}' != '{stamp[:8]}'.",
        )
    if moment < now - window:
        earliest = (now - window).strftime(TIME_FORM)
        minutes = f"{window.total_seconds() / 60:g} min."
        message = f"Signature expired: {stamp} is now earlier than {earliest} ({now.strftime(TIME_FORM)} - {minutes})"
        raise AuthenticationError("InvalidSignatureException", message)
    if moment > now + _WINDOW:
        latest = (now + _WINDOW).strftime(TIME_FORM)
        message = (
            f"Signature not yet current: {stamp} is still later than {latest} ({now.strftime(TIME_FORM)} + 15 min.)"
        )
        raise AuthenticationError("InvalidSignatureException", message)
    return moment


def check_signed_headers(request: SignedRequest, claim: Claim) -> None:
    """Host and everything that steers AWS (x-amz-*) must be signed, and what is signed must be there."""
    must = {"host", *(name for name in request.headers if name.startswith("x-amz-"))}
    if missing := sorted(must - set(claim.signed_headers)):
        message = f"'{missing[0]}' must be a 'SignedHeader' in the AWS Authorization."
        raise AuthenticationError("InvalidSignatureException", message)
    if absent := sorted(set(claim.signed_headers) - set(request.headers)):
        raise AuthenticationError(
            "InvalidSignatureException", f"The signed header '{absent[0]}' is not in the request."
        )


def _signature(request: SignedRequest, claim: Claim, pair: AccessKey, moment: datetime) -> str:
    """The signature that the owner of `pair` would give this request. The body's own hash counts, not a header's."""
    headers = {name: request.headers[name] for name in claim.signed_headers}
    stated = headers.get("x-amz-content-sha256")
    if stated is not None and not hmac.compare_digest(stated, hashlib.sha256(request.body).hexdigest()):
        message = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise AuthenticationError("InvalidSignatureException", message)
    url = f"https://{request.headers['host']}{request.path}" + (f"?{request.query}" if request.query else "")
    signed = AWSRequest(request.method, url, headers, request.body)
    signed.context["timestamp"] = moment.strftime(TIME_FORM)
    signer = _Signer(Credentials(pair.access_key_id, pair.secret_access_key), claim.service, claim.region)
    return str(signer.signature(signer.string_to_sign(signed, signer.canonical_request(signed)), signed))
