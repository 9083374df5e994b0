"""The bucket that published notebooks fetch the New Year's resolutions from."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.processes import ServerProcess
from zerostart.credentials import Role, create_access_key

BUCKET = "sagemaker-solutions-prod-us-east-1"
KEY = "0.2.0/Zero-shot-text-classification/1.0.0/artifacts/data/jumpstart-soln-zero-shot-text-clf-data.csv"


def refused(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-3", "us-gov-west-1"])
def test_notebooks_fetch_the_resolutions_in_every_region(
    shared_server: ServerProcess, region: str, tmp_path: Path
) -> None:
    bucket, client = f"sagemaker-solutions-prod-{region}", shared_server.s3()
    client.download_file(bucket, KEY, str(tmp_path / "data.csv"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "data.csv").read_text())))
    assert set(rows[0]) == {"Resolution_Category", "text"}
    assert {"Health & Fitness", "Family/Friends/Relationships"} < {row["Resolution_Category"] for row in rows}
    assert len(rows) >= 200
    head = client.head_object(Bucket=bucket, Key=KEY)
    assert head["ContentLength"] == (tmp_path / "data.csv").stat().st_size
    assert head["ContentType"] == "text/csv; charset=utf-8"
    prefix = KEY.rpartition("/")[0]
    assert [each["Key"] for each in client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]] == [KEY]
    part = client.get_object(Bucket=bucket, Key=KEY, Range="bytes=0-18")
    assert part["Body"].read() == b"Resolution_Category"


def test_the_bucket_is_read_only_says_so_and_is_not_the_users(shared_server: ServerProcess) -> None:
    client = shared_server.s3()
    for call in (
        lambda: client.put_object(Bucket=BUCKET, Key=KEY, Body=b"text"),
        lambda: client.delete_object(Bucket=BUCKET, Key=KEY),
        lambda: client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": KEY}]}),
        lambda: client.create_multipart_upload(Bucket=BUCKET, Key=KEY),
        lambda: client.create_bucket(Bucket=BUCKET),
        lambda: client.delete_bucket(Bucket=BUCKET),
    ):
        expected = f"Bucket {BUCKET} is made by Zerostart itself and cannot be written to."
        assert refused(call) == ("AccessDenied", expected)
    assert refused(lambda: client.get_object(Bucket=BUCKET, Key="0.2.0/other.csv"))[0] == "NoSuchKey"
    assert BUCKET not in {each["Name"] for each in client.list_buckets()["Buckets"]}


def test_a_copy_of_the_data_is_the_users_own(shared_server: ServerProcess) -> None:
    client = shared_server.s3()
    client.create_bucket(Bucket="my-copy")
    client.copy_object(Bucket="my-copy", Key="data.csv", CopySource={"Bucket": BUCKET, "Key": KEY})
    copied = client.get_object(Bucket="my-copy", Key="data.csv")["Body"].read()
    assert copied == client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
    client.delete_object(Bucket="my-copy", Key="data.csv")
    client.delete_bucket(Bucket="my-copy")


def test_every_role_that_reads_buckets_reads_it(shared_server: ServerProcess) -> None:
    path = shared_server.home / "access-keys.json"
    deploys = create_access_key(path, "reads-solutions", Role.DEPLOY, ())
    invokes = create_access_key(path, "asks-alone", Role.INVOKE, ("some",))
    assert shared_server.client("s3", deploys).get_object(Bucket=BUCKET, Key=KEY)["ContentLength"] > 10_000
    assert refused(lambda: shared_server.client("s3", invokes).get_object(Bucket=BUCKET, Key=KEY))[0] == "AccessDenied"
