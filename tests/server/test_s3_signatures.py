"""S3's signatures against the examples that AWS publishes, and what happens when a part of them is altered.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from zerostart.credentials import AccessKey
from zerostart.server.aws.s3.authentication import S3Request, authenticate, chunk_signature
from zerostart.server.aws.s3.errors import S3Error

PAIR = AccessKey("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
KEYS = {PAIR.access_key_id: PAIR}
NOW = datetime(2013, 5, 24, tzinfo=UTC)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
WELCOME = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
SCOPE = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"


def signed(method: str, path: str, query: str, signature: str, **headers: str) -> S3Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {"host": "examplebucket.s3.amazonaws.com", "x-amz-date": "20130524T000000Z"} | named
    authorization = f"AWS4-HMAC-SHA256 Credential={SCOPE},SignedHeaders={';'.join(sorted(named))},Signature={signature}"
    return S3Request(method, path, query, named | {"authorization": authorization}, f"/examplebucket{path}")


EXAMPLES = {
    "GET object": signed(
        "GET",
        "/test.txt",
        "",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        range="bytes=0-9",
        x_amz_content_sha256=EMPTY,
    ),
    "PUT object": signed(
        "PUT",
        "/test%24file.text",
        "",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        date="Fri, 24 May 2013 00:00:00 GMT",
        x_amz_storage_class="REDUCED_REDUNDANCY",
        x_amz_content_sha256=WELCOME,
    ),
    "GET bucket lifecycle": signed(
        "GET",
        "/",
        "lifecycle",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        x_amz_content_sha256=EMPTY,
    ),
    "GET bucket (list objects)": signed(
        "GET",
        "/",
        "max-keys=2&prefix=J",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        x_amz_content_sha256=EMPTY,
    ),
}
PRESIGNED = S3Request(
    "GET",
    "/test.txt",
    f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={SCOPE.replace('/', '%2F')}&X-Amz-Date=20130524T000000Z"
    "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    {"host": "examplebucket.s3.amazonaws.com"},
    "/examplebucket/test.txt",
)


def code_of(request: S3Request, now: datetime = NOW) -> str:
    with pytest.raises(S3Error) as caught:
        authenticate(request, KEYS, now)
    return caught.value.code


@pytest.mark.parametrize("name", EXAMPLES)
def test_awss_examples_pass_and_altered_ones_do_not(name: str) -> None:
    request = EXAMPLES[name]
    assert authenticate(request, KEYS, NOW).pair == PAIR
    assert code_of(replace(request, path="/other")) == "SignatureDoesNotMatch"
    assert code_of(replace(request, method="DELETE")) == "SignatureDoesNotMatch"
    assert code_of(replace(request, query="acl")) == "SignatureDoesNotMatch"
    assert code_of(replace(request, headers={**request.headers, "host": "other"})) == "SignatureDoesNotMatch"
    other_body = {**request.headers, "x-amz-content-sha256": "0" * 64}
    assert code_of(replace(request, headers=other_body)) == "SignatureDoesNotMatch"
    assert code_of(replace(request, headers={**request.headers, "x-amz-acl": "public"})) == "SignatureDoesNotMatch"
    assert code_of(request, NOW + timedelta(minutes=16)) == "RequestTimeTooSkewed"
    assert code_of(request, NOW - timedelta(minutes=16)) == "RequestTimeTooSkewed"


def test_awss_presigned_example_passes_until_it_expires() -> None:
    assert authenticate(PRESIGNED, KEYS, NOW).pair == PAIR
    assert authenticate(PRESIGNED, KEYS, NOW + timedelta(seconds=86400)).pair == PAIR
    assert code_of(PRESIGNED, NOW + timedelta(seconds=86401)) == "AccessDenied"
    assert code_of(replace(PRESIGNED, path="/other.txt")) == "SignatureDoesNotMatch"
    assert code_of(replace(PRESIGNED, query=PRESIGNED.query + "&versionId=1")) == "SignatureDoesNotMatch"
    longer = PRESIGNED.query.replace("86400", "604800")
    assert code_of(replace(PRESIGNED, query=longer)) == "SignatureDoesNotMatch"
    too_long = PRESIGNED.query.replace("86400", "604801")
    assert code_of(replace(PRESIGNED, query=too_long)) == "AuthorizationQueryParametersError"


def test_awss_example_of_a_body_in_signed_chunks() -> None:
    request = signed(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        host="s3.amazonaws.com",
        content_encoding="aws-chunked",
        content_length="66824",
        x_amz_storage_class="REDUCED_REDUNDANCY",
        x_amz_decoded_content_length="66560",
        x_amz_content_sha256="STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    )
    signer = authenticate(request, KEYS, NOW)
    signature = signer.seed_signature
    for chunk, expected in (
        (b"a" * 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (b"a" * 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (b"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ):
        signature = chunk_signature(signer, signature, chunk)
        assert signature == expected
