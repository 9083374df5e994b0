"""Who sends an S3 request: Signature Version 4 in a header or a URL, or Version 2 in a URL, as default clients presign.

The body is not read for it: its hash, stated in a signed header, is compared while the body streams in.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import HmacV1Auth, S3SigV4Auth
from botocore.awsrequest import AWSRequest, HeadersDict
from botocore.credentials import Credentials

from zerostart.credentials import AccessKey
from zerostart.server.aws.s3.errors import S3Error
from zerostart.server.aws.sigv4 import (
    ALGORITHM,
    TIME_FORM,
    AuthenticationError,
    Claim,
    check_signed_headers,
    claim_of,
    signing_time,
)
from zerostart.server.aws.sigv4 import SignedRequest as HeaderRequest

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
_LONGEST_EXPIRY = timedelta(days=7)
_CLOCK_SKEW = timedelta(minutes=15)


@dataclass(frozen=True)
class S3Request:
    """What arrived: `path` and `query` as on the wire; `resource` is the path with the bucket in it."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    resource: str


@dataclass(frozen=True)
class Signer:
    """Who signed. `payload` is the stated hash of the body, or what stands for it; the rest signs chunks of it."""

    pair: AccessKey
    payload: str
    seed_signature: str = ""
    claim: Claim | None = None
    signed_at: datetime | None = None


class _Signature(S3SigV4Auth):
    """botocore's S3 signer over exactly the signed headers, with a payload hash that is known already."""

    def __init__(self, pair: AccessKey, claim: Claim, payload: str) -> None:
        super().__init__(Credentials(pair.access_key_id, pair.secret_access_key), claim.service, claim.region)
        self._payload = payload

    def headers_to_sign(self, request: AWSRequest) -> Any:
        """The headers that were given."""
        return request.headers

    def payload(self, request: AWSRequest) -> str:
        """The stated hash."""
        del request
        return self._payload


def is_presigned(query: str) -> bool:
    """Whether a query carries a signature of its own."""
    names = _parameters(query).keys()
    return "X-Amz-Signature" in names or {"Signature", "AWSAccessKeyId"} <= names


def _parameters(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True))


def authenticate(request: S3Request, keys: Mapping[str, AccessKey], now: datetime | None = None) -> Signer:
    """Who signed the request. Raises S3Error."""
    moment = now or datetime.now(UTC)
    try:
        given = _parameters(request.query)
        if "X-Amz-Signature" in given:
            return _presigned(request, keys, moment)
        if is_presigned(request.query):
            return _presigned_v2(request, keys, moment)
        return _signed(request, keys, moment)
    except AuthenticationError as error:
        raise S3Error(_CODES.get(error.code, "AccessDenied"), str(error)) from error


_CODES = {
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "IncompleteSignatureException": "AuthorizationHeaderMalformed",
    "MissingAuthenticationTokenException": "AccessDenied",
}


def _signed(request: S3Request, keys: Mapping[str, AccessKey], now: datetime) -> Signer:
    claim = claim_of(request.headers.get("authorization"))
    pair = _pair(keys, claim.access_key_id)
    payload = request.headers.get("x-amz-content-sha256")
    if payload is None:
        raise S3Error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256.")
    try:
        signed_at = signing_time(request.headers.get("x-amz-date", ""), claim, now)
    except AuthenticationError as error:
        code = "RequestTimeTooSkewed" if "Signature expired" in str(error) or "not yet" in str(error) else None
        raise S3Error(code or "AccessDenied", str(error)) from error
    check_signed_headers(HeaderRequest(request.method, request.path, request.query, request.headers, b""), claim)
    headers = {name: request.headers[name] for name in claim.signed_headers}
    url = f"https://{request.headers['host']}{request.path}" + (f"?{request.query}" if request.query else "")
    _compare(_calculated(request.method, url, headers, pair, claim, payload, signed_at), claim.signature)
    return Signer(pair, payload, claim.signature, claim, signed_at)


def _presigned(request: S3Request, keys: Mapping[str, AccessKey], now: datetime) -> Signer:
    given = _parameters(request.query)
    scope = given.get("X-Amz-Credential", "").split("/")
    if given.get("X-Amz-Algorithm") != ALGORITHM or len(scope) != 5 or not given.get("X-Amz-Expires", "").isdecimal():
        raise S3Error(
            "AuthorizationQueryParametersError",
            "A presigned URL needs X-Amz-Algorithm, X-Amz-Credential, X-Amz-Date, X-Amz-Expires, X-Amz-SignedHeaders "
            "and X-Amz-Signature.",
        )
    signed_headers = tuple(given.get("X-Amz-SignedHeaders", "").split(";"))
    claim = Claim(scope[0], scope[1], scope[2], scope[3], signed_headers, given["X-Amz-Signature"])
    pair = _pair(keys, claim.access_key_id)
    expiry = timedelta(seconds=min(int(given["X-Amz-Expires"]), _LONGEST_EXPIRY.total_seconds() + 1))
    if expiry > _LONGEST_EXPIRY:
        raise S3Error("AuthorizationQueryParametersError", "X-Amz-Expires must be less than a week (in seconds).")
    signed_at = _moment(given.get("X-Amz-Date", ""))
    if now > signed_at + expiry or now < signed_at - _CLOCK_SKEW:
        raise S3Error(
            "AccessDenied", f"Request has expired: it was valid until {signed_at + expiry:%Y-%m-%dT%H:%M:%SZ}."
        )
    if absent := [name for name in signed_headers if name not in request.headers]:
        raise S3Error("SignatureDoesNotMatch", f"The signed header {absent[0]!r} is not in the request.")
    unsigned = [name for name in request.headers if name.startswith("x-amz-") and name not in signed_headers]
    if unsigned:
        raise S3Error("AccessDenied", f"There were headers present in the request which were not signed: {unsigned[0]}")
    query = "&".join(each for each in request.query.split("&") if not each.startswith("X-Amz-Signature="))
    headers = {name: request.headers[name] for name in signed_headers}
    payload = headers.get("x-amz-content-sha256", UNSIGNED_PAYLOAD)
    url = f"https://{request.headers['host']}{request.path}?{query}"
    _compare(_calculated(request.method, url, headers, pair, claim, payload, signed_at), claim.signature)
    return Signer(pair, payload)


def _presigned_v2(request: S3Request, keys: Mapping[str, AccessKey], now: datetime) -> Signer:
    given = _parameters(request.query)
    pair = _pair(keys, given["AWSAccessKeyId"])
    expires = given.get("Expires", "")
    if not expires.isdecimal():
        raise S3Error("AccessDenied", "Invalid date (should be seconds since epoch): " + expires[:50])
    if now.timestamp() > int(expires):
        raise S3Error("AccessDenied", "Request has expired.")
    signer = _SignatureV2(pair, expires)
    own = {name: value for name, value in given.items() if name.lower().startswith("x-amz-")}
    kept = {n: v for n, v in request.headers.items() if n in {"content-md5", "content-type"} or n.startswith("x-amz-")}
    headers = HeadersDict({**own, **kept})
    split = urlsplit(f"https://{request.headers['host']}{request.path}?{request.query}")
    expected = signer.get_signature(request.method, split, headers, auth_path=request.resource)
    _compare(expected, given["Signature"])
    return Signer(pair, UNSIGNED_PAYLOAD)


class _SignatureV2(HmacV1Auth):
    """botocore's Version 2 signer with the expiry in the place of the date, as presigned URLs have it."""

    def __init__(self, pair: AccessKey, expires: str) -> None:
        super().__init__(Credentials(pair.access_key_id, pair.secret_access_key))
        self._expires = expires

    def _get_date(self) -> str:
        return self._expires


def chunk_signature(signer: Signer, previous: str, chunk: bytes) -> str:
    """The signature of a chunk of a body that is signed in chunks."""
    words = (hashlib.sha256(b"").hexdigest(), hashlib.sha256(chunk).hexdigest())
    return _chained(signer, "AWS4-HMAC-SHA256-PAYLOAD", previous, words)


def trailer_signature(signer: Signer, previous: str, trailer: bytes) -> str:
    """The signature of the headers behind a body that is signed in chunks."""
    return _chained(signer, "AWS4-HMAC-SHA256-TRAILER", previous, (hashlib.sha256(trailer).hexdigest(),))


def _chained(signer: Signer, algorithm: str, previous: str, hashes: tuple[str, ...]) -> str:
    assert signer.claim is not None and signer.signed_at is not None  # noqa: S101, PT018 - such bodies have a header
    claim = signer.claim
    scope = f"{claim.date}/{claim.region}/{claim.service}/aws4_request"
    text = "\n".join((algorithm, signer.signed_at.strftime(TIME_FORM), scope, previous, *hashes))
    key = f"AWS4{signer.pair.secret_access_key}".encode()
    for each in (claim.date, claim.region, claim.service, "aws4_request"):
        key = hmac.digest(key, each.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _calculated(
    method: str, url: str, headers: Mapping[str, str], pair: AccessKey, claim: Claim, payload: str, signed_at: datetime
) -> str:
    request = AWSRequest(method, url, headers)
    request.context["timestamp"] = signed_at.strftime(TIME_FORM)
    signer = _Signature(pair, claim, payload)
    return str(signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request))


def _compare(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise S3Error(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and "
            "signing method.",
        )


def _pair(keys: Mapping[str, AccessKey], access_key_id: str) -> AccessKey:
    pair = keys.get(access_key_id)
    if pair is None:
        raise S3Error(
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records. "
            'Run eval "$(zerostart env)" to use the keys of this installation.',
        )
    return pair


def _moment(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, TIME_FORM).replace(tzinfo=UTC)
    except ValueError:
        raise S3Error("AuthorizationQueryParametersError", f"X-Amz-Date {stamp[:30]!r} has the wrong form.") from None
