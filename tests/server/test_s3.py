"""The S3 gateway, through unmodified boto3."""

import base64
import hashlib
import io
import threading
import time
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
import trustme
import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.client import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.processes import ServerProcess, wait_for
from zerostart.credentials import AccessKey
from zerostart.server.aws.s3.address import Address
from zerostart.server.aws.s3.authentication import Signer, chunk_signature
from zerostart.server.aws.s3.errors import S3Error
from zerostart.server.aws.s3.gateway import action_of
from zerostart.server.aws.sigv4 import Claim

PART = 5 * 1024 * 1024


def code_of(call: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_bucket_that_exists_is_an_error_but_in_us_east_1_and_keeps_its_objects(
    server: ServerProcess, home: Path
) -> None:
    """As on AWS; two programs of one user may make their default bucket at once there."""
    client = server.s3()
    client.create_bucket(Bucket="mine")
    client.put_object(Bucket="mine", Key="k", Body=b"kept")
    assert client.create_bucket(Bucket="mine")["Location"] == "/mine"
    assert client.get_object(Bucket="mine", Key="k")["Body"].read() == b"kept"
    with ServerProcess(home / "elsewhere", ZEROSTART_REGION="eu-west-1") as elsewhere:
        client = elsewhere.s3()
        client.create_bucket(Bucket="mine")
        assert code_of(lambda: client.create_bucket(Bucket="mine")) == ("BucketAlreadyOwnedByYou", 409)


def test_buckets(server: ServerProcess) -> None:
    client = server.s3()
    client.create_bucket(Bucket="one")
    client.create_bucket(Bucket="two")
    assert [each["Name"] for each in client.list_buckets()["Buckets"]] == ["one", "two"]
    assert code_of(lambda: client.create_bucket(Bucket="Not_A_Bucket")) == ("InvalidBucketName", 400)
    assert client.head_bucket(Bucket="one")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert code_of(lambda: client.head_bucket(Bucket="three")) == ("404", 404)
    assert code_of(lambda: client.head_bucket(Bucket="one", ExpectedBucketOwner="111111111111")) == ("403", 403)
    assert client.get_bucket_location(Bucket="one").get("LocationConstraint") is None
    assert client.get_bucket_encryption(Bucket="one")["ServerSideEncryptionConfiguration"]["Rules"]
    assert code_of(lambda: client.get_bucket_policy(Bucket="one")) == ("NoSuchBucketPolicy", 404)
    client.put_object(Bucket="two", Key="k", Body=b"")
    assert code_of(lambda: client.delete_bucket(Bucket="two")) == ("BucketNotEmpty", 409)
    client.delete_object(Bucket="two", Key="k")
    client.delete_bucket(Bucket="two")
    assert code_of(lambda: client.list_objects_v2(Bucket="two")) == ("NoSuchBucket", 404)


def test_an_object_comes_back_with_all_that_was_said_of_it(server: ServerProcess) -> None:
    client = server.s3()
    client.create_bucket(Bucket="bucket")
    put = client.put_object(
        Bucket="bucket",
        Key="résumé +%20.txt",
        Body=b"0123456789",
        ContentType="text/plain",
        CacheControl="no-store",
        Metadata={"owner": "me"},
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId="alias/mine",
    )
    got = client.get_object(Bucket="bucket", Key="résumé +%20.txt")
    assert got["Body"].read() == b"0123456789"
    assert got["ETag"] == put["ETag"] == f'"{hashlib.md5(b"0123456789").hexdigest()}"'  # noqa: S324
    assert (got["ContentType"], got["CacheControl"], got["Metadata"]) == ("text/plain", "no-store", {"owner": "me"})
    assert (got["ServerSideEncryption"], got["SSEKMSKeyId"]) == ("aws:kms", "alias/mine")
    part = client.get_object(Bucket="bucket", Key="résumé +%20.txt", Range="bytes=-3")
    assert (part["Body"].read(), part["ContentRange"]) == (b"789", "bytes 7-9/10")
    over = {"Bucket": "bucket", "Key": "résumé +%20.txt"}
    assert code_of(lambda: client.get_object(**over, Range="bytes=10-")) == ("InvalidRange", 416)
    assert code_of(lambda: client.get_object(**over, IfNoneMatch=put["ETag"])) == ("304", 304)
    assert code_of(lambda: client.get_object(**over, IfMatch='"other"')) == ("PreconditionFailed", 412)
    assert code_of(lambda: client.get_object(Bucket="bucket", Key="nothing")) == ("NoSuchKey", 404)
    assert code_of(lambda: client.head_object(Bucket="bucket", Key="nothing")) == ("404", 404)
    copied = client.copy_object(Bucket="bucket", Key="copy", CopySource=over)
    assert copied["CopyObjectResult"]["ETag"] == put["ETag"]
    assert client.head_object(Bucket="bucket", Key="copy")["Metadata"] == {"owner": "me"}


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_every_checksum_of_the_sdks_is_compared_kept_and_shown(server: ServerProcess, algorithm: str) -> None:
    client = server.s3()
    client.create_bucket(Bucket="b-1")
    name = f"Checksum{algorithm}"
    put = client.put_object(Bucket="b-1", Key="k", Body=b"123456789", ChecksumAlgorithm=algorithm)
    head = client.head_object(Bucket="b-1", Key="k", ChecksumMode="ENABLED")
    assert head[name] == put[name]
    # "123456789" is the customary check value of the catalogue of CRCs.
    known = {"CRC32": "cbf43926", "CRC32C": "e3069283", "CRC64NVME": "ae8b14860a799888"}
    found = base64.b64decode(put[name]).hex()
    assert known.get(algorithm, found) == found
    wrong = {name: base64.b64encode(bytes(len(base64.b64decode(put[name])))).decode()}
    assert code_of(lambda: client.put_object(Bucket="b-1", Key="other", Body=b"123456789", **wrong))[0] == "BadDigest"
    assert client.list_objects_v2(Bucket="b-1")["KeyCount"] == 1


def _sendable() -> list[Any]:
    """Every operation of S3's whose method could write, by botocore's own model."""
    model = botocore.session.get_session().get_service_model("s3")
    operations = (model.operation_model(name) for name in model.operation_names)
    return [pytest.param(each.http, id=each.name) for each in operations if each.http["method"] in {"PUT", "DELETE"}]


@pytest.mark.parametrize("http", _sendable())
@pytest.mark.parametrize("more", ["", "versionId=3HL4kqtJvjVBH40N", "id=one", "brandNew"])
def test_an_operation_that_is_not_known_is_never_taken_for_a_plain_write_or_delete(
    http: dict[str, Any], more: str
) -> None:
    path, _, literal = http["requestUri"].partition("?")
    key = "k" if "{Key+}" in path else ""
    query = "&".join(filter(None, [literal, more]))
    plain = {"put_object", "delete_object", "create_bucket", "delete_bucket", "copy_object"}
    address = Address("b", key, dict(urllib.parse.parse_qsl(query, keep_blank_values=True)))
    if not query:
        assert action_of(http["method"], address, {}).answered_by in plain
        return
    try:
        assert action_of(http["method"], address, {}).answered_by not in plain
    except S3Error as error:
        refused = error
        assert (refused.code, refused.status) == ("NotImplemented", 501)


def test_what_is_not_supported_destroys_nothing(server: ServerProcess) -> None:
    client = server.s3()
    client.create_bucket(Bucket="b-1")
    etag = client.put_object(Bucket="b-1", Key="k", Body=b"content")["ETag"]
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    for call in (
        partial(client.put_object_tagging, Bucket="b-1", Key="k", Tagging=tags),
        partial(client.delete_object_tagging, Bucket="b-1", Key="k"),
        partial(client.put_object_legal_hold, Bucket="b-1", Key="k", LegalHold={"Status": "ON"}),
        partial(client.delete_object, Bucket="b-1", Key="k", VersionId="3HL4kqtJvjVBH40N"),
        partial(client.delete_bucket_inventory_configuration, Bucket="b-1", Id="one"),
        partial(client.delete_objects, Bucket="b-1", Delete={"Objects": [{"Key": "k", "VersionId": "3HL4"}]}),
    ):
        assert code_of(call) == ("NotImplemented", 501)
    assert code_of(lambda: client.delete_object(Bucket="b-1", Key="k", IfMatch="0" * 32)) == ("PreconditionFailed", 412)
    assert client.get_object(Bucket="b-1", Key="k")["Body"].read() == b"content"
    client.delete_object(Bucket="b-1", Key="k", IfMatch=etag)
    client.delete_bucket(Bucket="b-1")


def test_listings_page_through_every_key_once(server: ServerProcess) -> None:
    client = server.s3()
    client.create_bucket(Bucket="bucket")
    keys = sorted(
        [f"{a}/{b}/k{c}" for a in "xyz" for b in "12" for c in range(4)] + ["top", "x", "ü&<>"], key=str.encode
    )
    for key in keys:
        client.put_object(Bucket="bucket", Key=key, Body=b"")
    for operation in ("list_objects_v2", "list_objects"):
        pages = client.get_paginator(operation).paginate(Bucket="bucket", PaginationConfig={"PageSize": 5})
        assert [each["Key"] for page in pages for each in page["Contents"]] == keys
        pages = client.get_paginator(operation).paginate(
            Bucket="bucket", Delimiter="/", PaginationConfig={"PageSize": 2}
        )
        found = [list(page.get("Contents", [])) + list(page.get("CommonPrefixes", [])) for page in pages]
        names = [each.get("Key") or each.get("Prefix") for page in found for each in page]
        assert sorted(names) == ["top", "x", "x/", "y/", "z/", "ü&<>"]
    listed = client.list_objects_v2(Bucket="bucket", Prefix="x/", Delimiter="/", StartAfter="x/1/k3")
    assert [each["Prefix"] for each in listed["CommonPrefixes"]] == ["x/2/"]
    resource = boto3.resource(
        "s3",
        endpoint_url=server.address,
        aws_access_key_id=server.keys.access_key_id,
        aws_secret_access_key=server.keys.secret_access_key,
        region_name="us-east-1",
    )
    assert len(list(resource.Bucket("bucket").objects.filter(Prefix="y/"))) == 8
    deleted = client.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": key} for key in keys]})
    assert {each["Key"] for each in deleted["Deleted"]} == set(keys)
    assert client.list_objects_v2(Bucket="bucket")["KeyCount"] == 0


def test_a_multipart_upload(server: ServerProcess) -> None:
    client = server.s3()
    client.create_bucket(Bucket="bucket")
    content = bytes(range(256)) * 50_000
    client.upload_fileobj(io.BytesIO(content), "bucket", "big")
    into = io.BytesIO()
    client.download_fileobj("bucket", "big", into)
    assert into.getvalue() == content
    upload = client.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
    named = {"Bucket": "bucket", "Key": "parts", "UploadId": upload}
    etag = client.upload_part(**named, PartNumber=1, Body=b"a" * PART)["ETag"]
    copied = client.upload_part_copy(
        **named, PartNumber=2, CopySource={"Bucket": "bucket", "Key": "big"}, CopySourceRange="bytes=0-9"
    )["CopyPartResult"]["ETag"]
    assert [part["Size"] for part in client.list_parts(**named)["Parts"]] == [PART, 10]
    assert [each["Key"] for each in client.list_multipart_uploads(Bucket="bucket")["Uploads"]] == ["parts"]
    wrong = {"Parts": [{"PartNumber": 1, "ETag": '"0"'}]}
    assert code_of(lambda: client.complete_multipart_upload(**named, MultipartUpload=wrong)) == ("InvalidPart", 400)
    parts = [{"PartNumber": 1, "ETag": etag}, {"PartNumber": 2, "ETag": copied}]
    client.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert client.get_object(Bucket="bucket", Key="parts")["Body"].read() == b"a" * PART + content[:10]
    again = client.create_multipart_upload(Bucket="bucket", Key="gone")["UploadId"]
    client.abort_multipart_upload(Bucket="bucket", Key="gone", UploadId=again)
    gone = {"Bucket": "bucket", "Key": "gone", "UploadId": again, "PartNumber": 1}
    assert code_of(lambda: client.upload_part(**gone, Body=b"1")) == ("NoSuchUpload", 404)


def test_of_sixteen_racing_conditional_puts_one_wins(server: ServerProcess) -> None:
    client = server.s3()
    client.create_bucket(Bucket="bucket")
    outcomes: list[str] = []
    start = threading.Barrier(16)

    def put(number: int) -> None:
        start.wait()
        try:
            client.put_object(Bucket="bucket", Key="key", Body=str(number).encode(), IfNoneMatch="*")
            outcomes.append(str(number))
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=put, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("PreconditionFailed") == 15
    (winner,) = [each for each in outcomes if each.isdigit()]
    assert client.get_object(Bucket="bucket", Key="key")["Body"].read() == winner.encode()


def test_a_body_that_is_not_what_was_stated_is_not_stored(server: ServerProcess) -> None:
    client = server.s3()
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="key", Body=b"old")
    wrong = {
        "ChecksumCRC32": base64.b64encode(zlib.crc32(b"other").to_bytes(4, "big")).decode(),
        "ChecksumSHA256": base64.b64encode(hashlib.sha256(b"other").digest()).decode(),
        "ContentMD5": base64.b64encode(hashlib.md5(b"other").digest()).decode(),  # noqa: S324
    }
    for name, value in wrong.items():
        stated = {"Bucket": "bucket", "Key": "key", "Body": b"new", name: value}
        assert code_of(lambda: client.put_object(**stated)) == ("BadDigest", 400)  # noqa: B023
    assert client.get_object(Bucket="bucket", Key="key")["Body"].read() == b"old"
    altered = _presigned(client, "put_object", "key")
    assert _status(altered, b"presigned") == 200
    assert client.get_object(Bucket="bucket", Key="key")["Body"].read() == b"presigned"


def _presigned(client: Any, operation: str, key: str) -> str:
    return str(client.generate_presigned_url(operation, Params={"Bucket": "bucket", "Key": key}, ExpiresIn=60))


def _status(url: str, body: Any = None) -> int:
    """Plain HTTP as a browser or curl sends it, without a Content-Type that nobody signed."""
    with urllib3.PoolManager() as pool:
        return pool.request("GET" if body is None else "PUT", url, body=body, retries=False).status


@pytest.mark.parametrize("version", [None, "s3v4"])
def test_presigned_urls(server: ServerProcess, version: str | None) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=server.address,
        aws_access_key_id=server.keys.access_key_id,
        aws_secret_access_key=server.keys.secret_access_key,
        region_name="us-east-1",
        config=Config(signature_version=version),
    )
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="a key", Body=b"content")
    url = _presigned(client, "get_object", "a key")
    with urllib.request.urlopen(url) as reply:
        assert reply.read() == b"content"
    assert _status(url.replace("a%20key", "other")) == 403
    assert _status(url, b"a GET is no PUT") == 403
    expired = client.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "a key"}, ExpiresIn=1)
    wait_for(lambda: _status(expired) == 403, 5)
    assert _status(f"{server.address}/bucket/a%20key") == 404  # unsigned: not even S3


def test_https_with_trailing_checksums(home: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    leaf.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    with ServerProcess(home, *tls, ZEROSTART_ENGINE="fake") as server:
        client = boto3.client(
            "s3",
            endpoint_url=server.address,
            aws_access_key_id=server.keys.access_key_id,
            aws_secret_access_key=server.keys.secret_access_key,
            region_name="us-east-1",
            verify=str(tmp_path / "ca.pem"),
        )
        client.create_bucket(Bucket="bucket")
        content = b"x" * 3_000_000
        put = client.put_object(Bucket="bucket", Key="key", Body=io.BytesIO(content))
        assert put["ChecksumCRC32"] == base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()
        assert client.get_object(Bucket="bucket", Key="key")["Body"].read() == content
        client.close()


def test_a_wrong_secret_and_an_unknown_key(server: ServerProcess) -> None:
    for pair, code in (
        ((server.keys.access_key_id, "wrong"), "SignatureDoesNotMatch"),
        (("NOBODY", "wrong"), "InvalidAccessKeyId"),
    ):
        client = boto3.client(
            "s3",
            endpoint_url=server.address,
            aws_access_key_id=pair[0],
            aws_secret_access_key=pair[1],
            region_name="us-east-1",
        )
        assert code_of(client.list_buckets) == (code, 403)


def test_a_kill_leaves_every_object_old_or_new_and_no_left_over(home: Path) -> None:
    contents = [bytes([number]) * 200_000 for number in range(1, 250)]
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        server.s3().create_bucket(Bucket="bucket")
    for _ in range(3):
        with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
            client, written = server.s3(), [0]

            def write(number: int, client: Any = client, written: list[int] = written) -> None:
                try:
                    for content in contents:
                        client.put_object(Bucket="bucket", Key=f"key{number}", Body=content)
                        written[0] += 1
                except Exception:  # noqa: BLE001 - the server is killed under it
                    return

            threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            wait_for(partial(lambda counted: counted[0] > 20, written))
            server.kill()
            for thread in threads:
                thread.join()
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        for number in range(4):
            assert server.s3().get_object(Bucket="bucket", Key=f"key{number}")["Body"].read() in contents
        assert len([path for path in (home / "buckets").glob("*/*") if path.is_file()]) == 4


def test_callers_that_hang_up_halfway_hold_nothing(server: ServerProcess, home: Path) -> None:
    client = server.s3()
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="key", Body=bytes(5_000_000))
    url = _presigned(client, "get_object", "key")
    for number in range(200):
        urllib.request.urlopen(url, timeout=5).close()
        if number % 20 == 0:
            client.put_object(Bucket="bucket", Key="key", Body=bytes(5_000_000))
    client.delete_object(Bucket="bucket", Key="key")
    wait_for(lambda: not [path for path in (home / "buckets").glob("*/*") if path.is_file()])


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc, which only Linux has")
def test_objects_larger_than_memory_stream_both_ways(server: ServerProcess, tmp_path: Path) -> None:
    size = 300 * 1024 * 1024
    zeros = tmp_path / "zeros"
    with zeros.open("wb") as file:
        file.truncate(size)
    client = server.s3()
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="warm", Body=b"1")
    before = _memory_mb(server.pid)
    client.upload_file(str(zeros), "bucket", "big")
    with zeros.open("rb") as file:
        client.put_object(Bucket="bucket", Key="single", Body=file)
    for key in ("big", "single"):
        body = client.get_object(Bucket="bucket", Key=key)["Body"]
        assert sum(len(piece) for piece in body.iter_chunks(1024 * 1024)) == size
    assert _memory_mb(server.pid) - before < 150
    started_s = time.monotonic()
    assert client.get_object(Bucket="bucket", Key="single", Range=f"bytes={size - 5}-")["Body"].read() == bytes(5)
    assert time.monotonic() - started_s < 1


def _send_chunked(server: ServerProcess, spoil: Callable[[bytes], bytes]) -> int:
    """PUT /bucket/chunked with a body in two signed chunks; `spoil` alters the body after it was signed."""
    now = datetime.now(UTC)
    stamp, content = now.strftime("%Y%m%dT%H%M%SZ"), b"a" * 70_000
    host = server.address.removeprefix("http://")
    headers = {
        "host": host,
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "x-amz-date": stamp,
        "x-amz-decoded-content-length": str(len(content)),
    }
    request = AWSRequest("PUT", f"{server.address}/bucket/chunked", headers)
    request.context["timestamp"] = stamp
    pair = AccessKey(server.keys.access_key_id, server.keys.secret_access_key)
    botocore_signer = S3SigV4Auth(Credentials(pair.access_key_id, pair.secret_access_key), "s3", "us-east-1")
    text = botocore_signer.string_to_sign(request, botocore_signer.canonical_request(request))
    seed = botocore_signer.signature(text, request)
    claim = Claim(pair.access_key_id, stamp[:8], "us-east-1", "s3", tuple(sorted(headers)), seed)
    signer, body, signature = Signer(pair, "", seed, claim, now), b"", seed
    for chunk in (content[:65536], content[65536:], b""):
        signature = chunk_signature(signer, signature, chunk)
        body += f"{len(chunk):x};chunk-signature={signature}\r\n".encode() + chunk + b"\r\n"
    scope = f"{pair.access_key_id}/{stamp[:8]}/us-east-1/s3/aws4_request"
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={scope},SignedHeaders={';'.join(sorted(headers))},Signature={seed}"
    )
    with urllib3.PoolManager() as pool:
        url = f"{server.address}/bucket/chunked"
        return pool.request("PUT", url, body=spoil(body), headers=headers, retries=False, timeout=10).status


def test_bodies_in_signed_chunks_are_stored_only_as_they_were_signed(server: ServerProcess) -> None:
    client = server.s3()
    client.create_bucket(Bucket="bucket")
    assert _send_chunked(server, lambda body: body) == 200
    assert client.get_object(Bucket="bucket", Key="chunked")["Body"].read() == b"a" * 70_000
    client.delete_object(Bucket="bucket", Key="chunked")
    spoilers: dict[str, tuple[Callable[[bytes], bytes], int]] = {
        "altered content": (lambda body: body.replace(b"aaa", b"bbb", 1), 403),
        "a chunk less": (lambda body: body[: body.rindex(b"\r\n1170;")] + body[body.rindex(b"\r\n0;") :], 403),
        "no size": (lambda body: b"x" + body, 400),
        "a huge size": (lambda body: b"f" * 15 + body[5:], 400),
        "cut off": (lambda body: body[:-200], 400),
        "nothing": (lambda body: body[:0], 400),
        "longer chunk": (lambda body: body.replace(b"10000;", b"fff0;", 1), 403),
    }
    for name, (spoil, status) in spoilers.items():
        assert _send_chunked(server, spoil) == status, name
    assert code_of(lambda: client.head_object(Bucket="bucket", Key="chunked")) == ("404", 404)


_WORDS = st.sampled_from(
    [
        *(
            "list-type",
            "max-keys",
            "prefix",
            "delimiter",
            "continuation-token",
            "encoding-type",
            "start-after",
            "marker",
        ),
        *(
            "uploads",
            "uploadId",
            "partNumber",
            "part-number-marker",
            "max-parts",
            "tagging",
            "acl",
            "delete",
            "versioning",
        ),
        *("AWSAccessKeyId", "Signature", "X-Amz-Expires", "XX-Amz-Signature", "location", "policy"),
    ]
)
_VALUES = st.one_of(st.sampled_from(["", "2", "-1", "²", "url", "abc", "99999999999", "%", "/"]), st.text(max_size=5))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    st.sampled_from(
        ["/", "/fuzz", "/fuzz/", "/fuzz/key", "/fuzz/%ff", "/fuzz/..%2f..", "/fuzz//a", "/none/key", "/%00/x"]
    ),
    st.lists(st.tuples(_WORDS, _VALUES), max_size=3),
    st.dictionaries(
        st.sampled_from(["Range", "If-Match", "If-Modified-Since", "x-amz-copy-source", "Content-MD5", "x-amz-meta-a"]),
        st.sampled_from(["", "bytes=5-1", "bytes=-0", "*", "fuzz/key", "%ff", "yesterday", "a" * 3000]),
        max_size=2,
    ),
    st.sampled_from(
        [
            b"",
            b"<Delete/>",
            b"<!DOCTYPE a><Delete/>",
            b"\xff",
            b"<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
        ]
    ),
)
def test_odd_requests_are_the_callers_fault(
    shared_server: ServerProcess, method: str, path: str, query: Any, headers: dict[str, str], body: bytes
) -> None:
    url = f"{shared_server.address}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    content = body if method in {"PUT", "POST"} else b""
    stated = {"X-Amz-Content-SHA256": hashlib.sha256(content).hexdigest()}
    request = AWSRequest(method, url, {**headers, **stated}, content)
    S3SigV4Auth(
        Credentials(shared_server.keys.access_key_id, shared_server.keys.secret_access_key), "s3", "us-east-1"
    ).add_auth(request)
    with urllib3.PoolManager() as pool:
        reply = pool.request(
            method, url, body=content or None, headers=dict(request.headers.items()), retries=False, timeout=10
        )
    assert reply.status in {200, 204, 206, 304, 400, 403, 404, 405, 409, 412, 416, 501}, (reply.status, reply.data)
