"""A model that is not here is fetched by its page: followed, cancelled, gone on with, and told what went wrong."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.hub_server import HubServer
from tests.processes import ServerProcess, wait_for
from tests.server.web.conftest import OpenPage, Visitor
from tests.tiny_models import build_source

MODEL = "cross-encoder/nli-deberta-v3-xsmall"
UNKNOWN = "navteca/bart-large-mnli"
PAGE, FETCH = f"/hub/models/{MODEL}", f"/hub/fetches/{MODEL}"
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a model that works."""
    folder = build_source(tmp_path_factory.mktemp("source") / "bert", "bert", spread=0.1)
    found = {path.name: path.read_bytes() for path in folder.iterdir()} | {"README.md": b"# Tiny"}
    shutil.rmtree(folder)
    return found


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[HubServer]:
    with HubServer() as server:
        server.add(MODEL, files)
        yield server


@pytest.fixture
def fetching(hub: HubServer, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server whose source of models is `hub`."""
    own = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "", "HF_HUB_OFFLINE": "0", "HOME": str(tmp_path / "user")}
    with ServerProcess(tmp_path / "home", ZEROSTART_ENGINE="fake", **own) as process:
        yield process


@pytest.fixture
def nobody(fetching: ServerProcess) -> Iterator[Visitor]:
    """Signed in, without JavaScript."""
    found = Visitor(fetching)
    found.sign_in()
    yield found
    found.client.close()


def share(page: str) -> int:
    found = re.search(r'<progress aria-label="Fetched" max="100" value="(\d+)"', page)
    return int(found[1]) if found else 0


@pytest.mark.slow
def test_a_fetch_is_followed_cancelled_and_gone_on_with_until_the_model_can_be_deployed(
    nobody: Visitor, hub: HubServer, files: dict[str, bytes], open_page: OpenPage
) -> None:
    hub.stall_after[WEIGHTS] = len(files[WEIGHTS]) // 2
    nobody.open(PAGE)
    assert nobody.send(FETCH).url.path == PAGE
    assert "Fetching it" in nobody.page
    assert hub.stalled.wait(60)
    wait_for(lambda: 0 < share(nobody.open(PAGE).text) < 100)
    assert re.search(r"\d+ kB of \d+ kB", nobody.page)
    assert PAGE in nobody.links  # without JavaScript one looks again
    assert MODEL in nobody.open("/").text
    assert nobody.send(FETCH).status_code == 409
    assert "is being fetched already" in nobody.page
    nobody.open(PAGE)
    nobody.send(FETCH, cancel="")
    assert "Cancelled" in nobody.page
    assert share(nobody.page) > 0
    assert "Go on" in nobody.page

    page = open_page(nobody.server)
    page.goto(PAGE)
    hub.stalled.clear()
    hub.stall_after[WEIGHTS] = len(files[WEIGHTS]) // 4
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Fetching it")).to_be_visible()
    assert hub.stalled.wait(60)
    assert hub.asked(WEIGHTS)[-1].headers["Range"].startswith("bytes=")
    expect(page.get_by_role("progressbar", name="Fetched")).to_be_visible()
    hub.release.set()
    expect(page.get_by_role("button", name="Deploy", exact=True)).to_be_visible(timeout=120_000)  # without a reload
    assert page.url.endswith(PAGE)
    assert nobody.open(f"/hub?here=on&words={MODEL.partition('/')[2]}").text.count("On this machine") >= 1


def test_what_cannot_be_fetched_is_told_with_what_to_do(nobody: Visitor, hub: HubServer) -> None:
    unknown = f"/hub/models/{UNKNOWN}"

    def failed() -> str:
        nobody.open(unknown)
        nobody.send(f"/hub/fetches/{UNKNOWN}")
        wait_for(lambda: "could not be fetched" in nobody.open(unknown).text, 60, 0.2)
        return nobody.page

    assert "has no model navteca/bart-large-mnli that everybody may read" in failed()
    assert "Try again" in nobody.page
    assert f"zerostart models pull {UNKNOWN}" in nobody.page
    hub.__exit__()
    assert "cannot be reached or broke off" in failed()
    nobody.open("/hub/models/zerostart-zstc-small")
    assert nobody.send("/hub/fetches/zerostart-zstc-small").status_code == 400
    assert "names no source of it" in nobody.page
    assert nobody.send("/hub/fetches/nobody/nothing").status_code == 404


def test_a_fetch_ends_with_the_server(nobody: Visitor, hub: HubServer, files: dict[str, bytes]) -> None:
    hub.stall_after[WEIGHTS] = 10
    nobody.open(PAGE)
    nobody.send(FETCH)
    wait_for(hub.stalled.is_set, 60)
    folder = nobody.server.home / "models" / ".fetching"
    assert nobody.server.stop() == 0
    assert list(folder.glob(f"*/{WEIGHTS}.part"))  # to be gone on with
