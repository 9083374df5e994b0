"""JumpStart's bucket, and which model a created model is."""

import csv
import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.processes import BUILTIN, ROLE, ServerProcess
from zerostart.models.catalogue import jumpstart_models, names_of

TABLE = Path(__file__).parents[3] / "shared" / "reference" / "zstc_models.tsv"
CACHE = "jumpstart-cache-prod-eu-west-3"


@pytest.mark.skipif(not TABLE.exists(), reason="the table of JumpStart's ids is not beside the project")
def test_the_catalogue_has_every_id_of_jumpstart() -> None:
    with TABLE.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    ours = {name.id: (name, entry) for name, entry in jumpstart_models()}
    for row in rows:
        name, entry = ours[row["jumpstart_id"]]
        assert (entry.hugging_face_id, name.version) == (row["hf_id"], row["latest_version"])
        assert name.min_sdk_version == row["min_sdk_version"]
    assert len(rows) == 39


def test_names_of_one_model() -> None:
    names = names_of("facebook/bart-large-mnli")
    assert names == ["facebook/bart-large-mnli", "huggingface-zstc-facebook-bart-large-mnli"]
    assert names_of("nobody/knows") == ["nobody/knows"]


def test_the_bucket_is_read_only_and_whole_in_every_region(server: ServerProcess) -> None:
    client = server.s3()
    listed = client.list_objects_v2(Bucket=CACHE)
    keys = [each["Key"] for each in listed["Contents"]]
    for key in keys:
        content = client.get_object(Bucket=CACHE, Key=key)["Body"].read()
        if key.endswith(".json"):
            assert json.loads(content)
        else:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                assert "zerostart-model-id" in archive.getnames()
    manifest = json.loads(client.get_object(Bucket=CACHE, Key="models_manifest.json")["Body"].read())
    assert {each["spec_key"] for each in manifest} <= set(keys)
    spec = json.loads(client.get_object(Bucket=CACHE, Key=manifest[0]["spec_key"])["Body"].read())
    assert "eu-west-3" in spec["hosting_instance_type_variants"]["regional_aliases"]
    calls: tuple[Callable[[], object], ...] = (
        lambda: client.put_object(Bucket=CACHE, Key="models_manifest.json", Body=b"[]"),
        lambda: client.delete_object(Bucket=CACHE, Key="models_manifest.json"),
        lambda: client.create_bucket(Bucket=CACHE),
    )
    for call in calls:
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "AccessDenied"


def packed(*members: tuple[str, bytes]) -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return into.getvalue()


def create(server: ServerProcess, name: str, **container: Any) -> str:
    """Create a model, and what its endpoint would serve."""
    server.sagemaker().create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)  # type: ignore[arg-type]
    return name


def test_an_artefact_names_the_model_in_jumpstarts_bucket_or_packed_again(server: ServerProcess) -> None:
    uri = f"s3://{CACHE}/zerostart/{BUILTIN}/model.tar.gz"
    create(server, "by-url", ModelDataUrl=uri)
    source = {"S3DataSource": {"S3Uri": uri, "S3DataType": "S3Object", "CompressionType": "Gzip"}}
    create(server, "by-source", ModelDataSource=source)
    client = server.s3()
    client.create_bucket(Bucket="mine")
    again = packed(("code/inference.py", b"raise SystemExit"), ("./zerostart-model-id", BUILTIN.encode() + b"\n"))
    client.put_object(Bucket="mine", Key="model.tar.gz", Body=again)
    create(server, "by-tarball", ModelDataUrl="s3://mine/model.tar.gz")
    assert len(server.sagemaker().list_models()["Models"]) == 3


def test_other_artefacts_name_no_model(server: ServerProcess) -> None:
    client = server.s3()
    client.create_bucket(Bucket="mine")
    bomb = gzip.compress(bytes(200_000_000))
    contents = {
        "weights": packed(("model.bin", b"weights")),
        "text": b"no tarball",
        "cut": packed(("zerostart-model-id", BUILTIN.encode()))[:60],
        "bomb": bomb,
        "large": bytes(2 * 1024 * 1024),
        "link": packed(("other", b"")),
    }
    for key, content in contents.items():
        client.put_object(Bucket="mine", Key=key, Body=content)
        with pytest.raises(ClientError, match="The model is not named"):
            create(server, key, ModelDataUrl=f"s3://mine/{key}")
    for uri in ("s3://mine/nothing", "s3://nobody/model", "https://example.com/model.tar.gz"):
        with pytest.raises(ClientError, match="The model is not named"):
            create(server, "no", ModelDataUrl=uri)


@pytest.mark.parametrize("name", ["facebook/bart-large-mnli", "huggingface-zstc-facebook-bart-large-mnli"])
def test_a_model_that_is_not_here_is_refused_with_the_command_that_brings_it(server: ServerProcess, name: str) -> None:
    with pytest.raises(ClientError, match=f"zerostart models add {name} PATH"):
        create(server, "no", Environment={"HF_MODEL_ID": name})
    with pytest.raises(ClientError, match="zerostart models add"):
        create(
            server, "no", ModelDataUrl=f"s3://{CACHE}/zerostart/huggingface-zstc-facebook-bart-large-mnli/model.tar.gz"
        )


def test_a_model_is_found_by_any_of_its_names(server: ServerProcess, home: Path) -> None:
    target = home / "models" / "facebook--bart-large-mnli"
    target.mkdir(parents=True)
    for each in Path("src/zerostart/models/builtin/zerostart-zstc-small").iterdir():
        (target / each.name).write_bytes(each.read_bytes())
    manifest = target / "zerostart.json"
    manifest.write_text(manifest.read_text().replace(BUILTIN, "facebook/bart-large-mnli"))
    create(server, "by-jumpstart-id", Environment={"HF_MODEL_ID": "huggingface-zstc-facebook-bart-large-mnli"})
    create(server, "by-hugging-face-id", Environment={"HF_MODEL_ID": "facebook/bart-large-mnli"})
