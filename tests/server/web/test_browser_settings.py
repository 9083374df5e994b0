"""In a real browser: an instance that is killed, an update under load, keys, and axe on the pages of all that."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Page, expect

from tests.load import BODY, Load
from tests.processes import ServerProcess, children_of, wait_for
from tests.server.web.browsing import CHROMIUM, START_TIMEOUT_MS, wrong_here, wrong_on
from zerostart.credentials import AccessKey, read_access_keys, revoke_access_key

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed: apt-get install chromium")


@pytest.fixture
def live(shared_server: ServerProcess) -> Iterator[str]:
    """An endpoint for things to happen to."""
    shared_server.deploy("live")
    yield "live"
    client = shared_server.sagemaker()
    shared_server.delete("live")
    client.delete_endpoint_config(EndpointConfigName="live-2")


@pytest.fixture
def keys_file(shared_server: ServerProcess) -> Iterator[Path]:
    """Where made keys are; those of a test are revoked at its end."""
    path = shared_server.home / "access-keys.json"
    yield path
    for key in read_access_keys(path):
        revoke_access_key(path, key.access_key_id)


def pid_of(server: ServerProcess, instance: str) -> int:
    command_lines = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in children_of(server.pid)}
    return next(pid for pid, line in command_lines.items() if instance in line)


def test_a_killed_instance_is_replaced_and_an_update_loses_nothing_before_ones_eyes(
    new_page: Callable[..., Page], shared_server: ServerProcess, live: str
) -> None:
    page = new_page()
    page.goto(f"/endpoints/{live}")
    page.evaluate("window.kept = true")
    killed = page.locator("#details th.mono").inner_text()
    os.kill(pid_of(shared_server, killed), signal.SIGKILL)
    expect(page.locator("#details th.mono")).not_to_have_text(killed, timeout=START_TIMEOUT_MS)
    expect(page.locator("#status")).to_contain_text("1 of 1", timeout=START_TIMEOUT_MS)
    expect(page.locator(".status.inservice")).to_be_visible()
    assert page.evaluate("window.kept")  # all of it without a reload
    load = Load(shared_server, live, callers=2)
    wait_for(lambda: len(load.outcomes) > 5)
    page.get_by_role("link", name="Update").click()
    page.get_by_role("spinbutton", name="Instances").fill("2")
    page.get_by_role("button", name="Update").click()
    page.wait_for_url(f"**/endpoints/{live}")
    expect(page.locator(".status.updating")).to_be_visible()
    expect(page.locator(".status.inservice")).to_be_visible(timeout=START_TIMEOUT_MS)
    expect(page.locator("#status")).to_contain_text("2 of 2")
    expect(page.locator("#details")).to_contain_text("live-2")
    seen = len(load.outcomes)
    wait_for(lambda: len(load.outcomes) > seen + 5)
    assert {status for status, _ in load.stop()} == {200}
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("row", name="0 to 5 minutes ago")).to_be_visible(timeout=START_TIMEOUT_MS)


def test_a_key_is_made_used_and_revoked(
    new_page: Callable[..., Page], shared_server: ServerProcess, keys_file: Path
) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="Settings").click()
    expect(page.locator("#places")).not_to_contain_text("measuring", timeout=START_TIMEOUT_MS)
    page.get_by_role("textbox", name="Name").fill("website")
    page.get_by_role("textbox", name="Endpoints").fill("shared")
    page.get_by_role("button", name="Make the key").click()
    page.get_by_role("button", name="Copy: Secret access key").click()
    expect(page.locator("#key-secret + .copy")).to_have_text("Copied")
    secret = page.evaluate("navigator.clipboard.readText()")
    key = AccessKey(page.locator("#key-id").inner_text(), secret)
    runtime = shared_server.client("sagemaker-runtime", key)
    answer = runtime.invoke_endpoint(EndpointName="shared", Body=BODY)
    assert json.loads(answer["Body"].read())["labels"]
    page.get_by_role("link", name="I have it").click()
    page.get_by_role("link", name="Revoke website").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()
    expect(page.get_by_role("row", name="website")).to_have_count(0)
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        runtime.invoke_endpoint(EndpointName="shared", Body=BODY)


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_axe_finds_nothing_serious_on_the_settings_the_update_and_the_charts(
    new_page: Callable[..., Page], keys_file: Path, width: int, scheme: str
) -> None:
    page = new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto("/settings")
    page.get_by_role("textbox", name="Name").fill("x" * 63)
    page.get_by_role("button", name="Make the key").click()
    assert "name at least one" in page.locator(".problem").inner_text()
    found = {"wrong key": wrong_here(page)}
    page.get_by_role("textbox", name="Endpoints").fill("shared," + "y" * 63)
    page.get_by_role("button", name="Make the key").click()
    found["new key"] = wrong_here(page)
    key = page.locator("#key-id").inner_text()
    for path in ("/settings", f"/settings/keys/{key}/revoke", "/endpoints/shared/update"):
        found[path] = wrong_on(page, path)
    page.get_by_role("spinbutton", name="Instances").fill("99")
    page.get_by_role("button", name="Update").click()
    found["wrong update"] = wrong_here(page)
    page.goto("/endpoints/shared")
    expect(page.locator(".charts")).to_be_visible(timeout=START_TIMEOUT_MS)
    page.get_by_text("The same as a table").click()
    found["charts"] = wrong_here(page)
    assert {path: wrong for path, wrong in found.items() if wrong} == {}
