"""Settings: access keys are made, shown, used and revoked; where data lies; what is in force, without its secrets."""

import html
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.processes import ServerProcess, wait_for
from tests.server.web.conftest import Visitor
from zerostart.credentials import AccessKey, Role, read_access_keys
from zerostart.server.web.installation import without_secret
from zerostart.services.access_key import KeyUses, read_key_uses
from zerostart.services.disk_use import DiskUse, Place, size_of
from zerostart.settings import Settings

KEYS = "/settings/keys"
QUESTION = {"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}


@pytest.fixture
def revoked_at_the_end(shared_server: ServerProcess) -> Iterator[None]:
    """No key that a test made stays."""
    yield
    (shared_server.home / "access-keys.json").unlink(missing_ok=True)


def shown_key(page: str) -> AccessKey:
    """The id and the secret that the page of a new key shows."""
    found = dict(re.findall(r'<pre id="key-(id|secret)"[^>]*><code>([^<]*)</code>', page))
    return AccessKey(html.unescape(found["id"]), html.unescape(found["secret"]))


def test_a_key_is_made_used_by_boto3_and_revoked(admin: Visitor, revoked_at_the_end: None) -> None:
    admin.open("/settings")
    made = admin.send(KEYS, name="website", role="invoke", endpoints="shared, other")
    assert made.status_code == 200
    key = shown_key(made.text)
    assert f"export AWS_SECRET_ACCESS_KEY=&#39;{key.secret_access_key}&#39;" in made.text
    assert f"export AWS_ENDPOINT_URL=&#39;{admin.server.address}&#39;" in made.text
    listed = admin.open("/settings").text
    assert key.secret_access_key not in listed
    assert re.search(rf"website.*{key.access_key_id}.*invoke.*shared, other.*just now.*never", listed, re.DOTALL)
    runtime = admin.server.client("sagemaker-runtime", key)
    body = '{"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}'
    assert runtime.invoke_endpoint(EndpointName="shared", Body=body)["ResponseMetadata"]["HTTPStatusCode"] == 200
    used = re.search(rf"{key.access_key_id}.*?</tr>", admin.open("/settings").text, re.DOTALL)
    assert used is not None
    assert "just now" in used[0]
    assert "never" not in used[0]
    asked = admin.open(f"{KEYS}/{key.access_key_id}/revoke").text
    assert "<h1>Revoke website?</h1>" in asked
    assert "signed in with this key" not in asked
    assert admin.send(f"{KEYS}/{key.access_key_id}/revoke").url.path == "/settings"
    assert key.access_key_id not in admin.page
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        runtime.invoke_endpoint(EndpointName="shared", Body=body)
    assert admin.open(f"{KEYS}/{key.access_key_id}/revoke").status_code == 404


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"name": "no spaces"}, "name", "cannot name a key"),
        ({"name": "installation"}, "name", "There is a key named installation"),
        ({"role": "root"}, "role", "is no role"),
        ({"endpoints": ""}, "endpoints", "name at least one"),
        ({"endpoints": "a/../b"}, "endpoints", "cannot be an endpoint&#39;s name"),
        ({"role": "deploy"}, "endpoints", "leave this empty"),
    ],
)
def test_what_is_wrong_with_a_new_key_is_said_beside_its_field(
    admin: Visitor, fields: dict[str, str], field: str, words: str
) -> None:
    admin.open("/settings")
    response = admin.send(KEYS, **{"name": "<b>kept</b>", "role": "invoke", "endpoints": "shared", **fields})
    assert response.status_code in {400, 409} or "kept" in response.text
    problem = re.search(rf'id="problem-{field}"[^>]*>([^<]*)<', response.text)
    if field != "name":
        assert 'value="&lt;b&gt;kept&lt;/b&gt;"' in response.text
    assert problem is not None
    assert words in problem[1]
    assert f'aria-describedby="problem-{field}"' in response.text or field == "role"
    assert list(read_access_keys(admin.server.home / "access-keys.json")) == []


def test_the_installations_own_key_stays(admin: Visitor) -> None:
    own = admin.server.keys.access_key_id
    assert f"{KEYS}/{own}/revoke" not in admin.open("/settings").text
    assert "cannot be revoked" in admin.open(f"{KEYS}/{own}/revoke").text
    admin.open("/settings")
    assert admin.send(f"{KEYS}/{own}/revoke").status_code == 400
    assert "cannot be revoked" in admin.page
    assert admin.open("/settings").status_code == 200


def test_revoking_the_key_of_ones_own_session_is_announced_and_signs_out(
    visitor: Visitor, new_key: Callable[..., AccessKey]
) -> None:
    key = new_key(Role.ADMIN)
    visitor.sign_in_with(key)
    assert "signed in with this key" in visitor.open(f"{KEYS}/{key.access_key_id}/revoke").text
    assert visitor.send(f"{KEYS}/{key.access_key_id}/revoke").url.path == "/sign-in"
    assert visitor.open("/hub").url.path == "/sign-in"


def test_settings_are_for_administrators_alone(visitor: Visitor, new_key: Callable[..., AccessKey]) -> None:
    own = visitor.server.keys.access_key_id
    for key in (new_key(Role.DEPLOY), new_key(Role.INVOKE, "shared")):
        visitor.sign_in_with(key)
        visitor.open("/endpoints/shared")
        assert "/settings" not in visitor.links
        assert visitor.send(KEYS, name="mine", role="admin", endpoints="").status_code == 403
        visitor.open("/endpoints/shared")
        assert visitor.send(f"{KEYS}/{key.access_key_id}/revoke").status_code == 403
        for path in ("/settings", "/settings/places", f"{KEYS}/{own}/revoke"):
            assert visitor.open(path).status_code == 403, path
            assert own not in visitor.page
        visitor.open("/endpoints/shared")
        visitor.send("/sign-out")


def test_forms_of_other_sites_make_and_revoke_nothing(admin: Visitor, new_key: Callable[..., AccessKey]) -> None:
    key = new_key(Role.DEPLOY)
    admin.open("/settings")
    wrong = {"form_token": "x"}
    headers = {"Origin": "https://evil.example"}
    for path in (KEYS, f"{KEYS}/{key.access_key_id}/revoke", "/endpoints/shared/update"):
        assert admin.client.post(path, data=wrong).status_code == 403
        own = {"form_token": admin.form_token, "name": "evil", "role": "admin", "endpoints": ""}
        assert admin.client.post(path, data=own, headers=headers).status_code == 403
    assert [each.name for each in read_access_keys(admin.server.home / "access-keys.json")] == [key.name]


def test_where_data_lies_and_what_is_in_force_is_shown(admin: Visitor) -> None:
    page = wait_for(lambda: (text := admin.open("/settings").text) and "measuring" not in text and text, 30, 0.3)
    lines = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    found = [re.search(r'<th scope="row">([^<]+)<.*data-label="Size">([^<]+)<', line, re.DOTALL) for line in lines]
    sizes = {each[1]: each[2] for each in found if each}
    assert {"Models", "Buckets", "Database", "Logs", "All of the home folder"} <= sizes.keys()
    assert int(sizes["Built-in models"].split()[0]) > 10
    assert str(admin.server.home) in page
    assert re.search(r"<dt>OpenVINO</dt><dd>\d", page)
    rows = dict(re.findall(r'<span class="mono">(\w+)</span>.*?data-label="Value">([^<]*)</td>', page))
    assert rows["max_instances"] == "20"
    assert rows.keys() == set(Settings.__dataclass_fields__)
    assert re.search(r">max_instances<.*?>environment</td>", page, re.DOTALL)
    part = admin.client.get("/settings/places", headers={"HX-Request": "true"}).text
    assert part.lstrip().startswith('<div id="places"')


@pytest.mark.parametrize("path", ["/settings", "/endpoints/shared/update"])
def test_a_new_page_is_small_and_carries_the_policy(admin: Visitor, path: str) -> None:
    response = admin.open(path)
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert " style=" not in admin.page
    assert len(response.content) < 60_000


def test_passwords_in_addresses_are_not_shown() -> None:
    shown = without_secret("postgresql://zerostart:s3cret@db.example:5432/zerostart?password=s3cret&sslmode=require")
    assert shown == "postgresql://zerostart:…@db.example:5432/zerostart?…"
    assert without_secret("postgresql://zerostart:s3?cr/et@db/x") == "postgresql://zerostart:…@db/x"
    assert without_secret("https://s3.example:9000/x") == "https://s3.example:9000/x"
    assert without_secret("sqlite:////somewhere/a.db") == "sqlite:////somewhere/a.db"
    assert without_secret("openvino") == "openvino"


def test_when_a_key_was_last_used_survives_a_restart(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        server.sagemaker().list_models()
        own = server.keys
    used = read_key_uses(home / "access-keys-used.json")
    assert abs((datetime.now(UTC) - used[own.access_key_id]).total_seconds()) < 120
    assert KeyUses(home / "access-keys-used.json").last_used_at(own) == used[own.access_key_id]


def test_uses_are_written_once_and_forget_keys_that_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "used.json"
    uses = KeyUses(path)
    uses.write(["a"])
    assert not path.exists()
    uses.note(AccessKey("a", "x"))
    uses.note(AccessKey("gone", "x"))
    uses.write(["a"])
    written = path.stat()
    assert list(read_key_uses(path)) == ["a"]
    assert written.st_mode & 0o077 == 0
    uses.write(["a"])
    assert path.stat().st_ino == written.st_ino


def test_a_broken_file_of_uses_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "used.json"
    for content in ("[", "[1]", '{"a": 1}', '{"a": "yesterday"}', "\xff"):
        path.write_text(content)
        assert read_key_uses(path) == {}
    path.write_text('{"a": "2026-01-01T00:00:00"}')
    assert read_key_uses(path)["a"].tzinfo is UTC


def test_sizes_count_what_is_there_and_follow_no_link(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "file").write_bytes(b"x" * 1000)
    (folder / "deep" / "loop").symlink_to(folder)
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    links = sum((folder / each).lstat().st_size for each in ("deep/loop", "dangling"))
    assert size_of(folder) == 1000 + links
    assert size_of(folder / "deep" / "er" / "file") == 1000
    assert size_of(tmp_path / "missing") == 0


def test_measuring_does_not_hold_up_who_asks(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}" / "below").mkdir(parents=True)
    disk = DiskUse([Place("all", [tmp_path] * 20, "")])
    started_s = time.monotonic()
    disk.sizes(0.0)
    assert time.monotonic() - started_s < 1
    assert wait_for(lambda: disk.sizes(0.5)) == {"all": 0}
