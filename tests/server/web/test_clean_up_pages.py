"""Cleaning up in the browser, without JavaScript: list, tick, confirm, proof; and endpoints that sleep."""

import html
import re
from collections.abc import Iterator

import pytest

from tests.processes import ServerProcess, broken_artefact, children_of, wait_for
from tests.server.web.conftest import Visitor
from zerostart.credentials import Role, create_access_key

CLEAN_UP = "/settings/clean-up"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose things come and go."""
    with ServerProcess(tmp_path_factory.mktemp("clean") / "home", ZEROSTART_ENGINE="fake") as process:
        yield process


@pytest.fixture
def visitor(server: ServerProcess) -> Iterator[Visitor]:
    found = Visitor(server)
    found.sign_in()
    yield found
    found.client.close()


def text(page: str) -> str:
    """What a page says, without markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def hidden_fields(page: str) -> dict[str, str]:
    return {html.unescape(name): "on" for name in re.findall(r'type="hidden" name="([^"]+/[^"]+)"', page)}


def after_the_clean_up(visitor: Visitor) -> str:
    """The result's page, once it is done."""
    path = visitor.path
    wait_for(lambda: "Cleaning up" not in visitor.open(path).text)
    return text(visitor.page)


def test_what_is_ticked_is_named_deleted_and_shown_to_be_gone(server: ServerProcess, visitor: Visitor) -> None:
    server.deploy("site")
    server.s3().create_bucket(Bucket="kept")
    server.s3().put_object(Bucket="kept", Key="a", Body=b"12345")
    listed = text(visitor.open(CLEAN_UP).text)
    for shown in ("Endpoints 1", "Endpoint configs 1", "Models 1", "Buckets 1", "1 object", "MB"):
        assert shown in listed
    ticks = {"endpoint/site": "on", "all/model": "on", "all/endpoint-config": "on"}
    asked = text(visitor.send(f"{CLEAN_UP}/confirm", **ticks).text)
    assert "Delete 3 things?" in asked.replace("\N{NO-BREAK SPACE}", " ")
    assert asked.count("site") == 3
    assert server.status("site") == "InService"
    fields = hidden_fields(visitor.page)
    assert fields.keys() == {"endpoint/site", "model/site", "endpoint-config/site"}
    visitor.send(CLEAN_UP, **fields)
    told = after_the_clean_up(visitor)
    assert "All of it is gone" in told
    for what in ("Processes: none left", "Sockets: none left", "Rows: none left", "Bytes: none left"):
        assert what in told
    assert children_of(server.pid) == []
    assert server.sagemaker().list_models()["Models"] == []
    assert "kept" in text(visitor.open(CLEAN_UP).text)
    visitor.send(f"{CLEAN_UP}/confirm", **{"bucket/kept": "on"})
    visitor.send(CLEAN_UP, **hidden_fields(visitor.page))
    assert "Nothing else exists here" in after_the_clean_up(visitor)
    assert "Nothing exists here" in text(visitor.open(CLEAN_UP).text)
    wait_for(lambda: re.search(r"What ran .* site endpoint \d", text(visitor.open(CLEAN_UP).text)))  # written by and by


def test_what_cannot_be_deleted_says_why(server: ServerProcess, visitor: Visitor) -> None:
    broken_artefact(server.home)
    tokenizer = server.home / "models" / "broken" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text()[:-1])  # whole again
    server.deploy("user", model_id="broken")
    assert "Weights 1" in text(visitor.open(CLEAN_UP).text)
    visitor.send(f"{CLEAN_UP}/confirm", **{"weights/broken": "on"})
    visitor.send(CLEAN_UP, **hidden_fields(visitor.page))
    told = after_the_clean_up(visitor)
    assert "Some things are left" in told
    assert "weights of broken : broken is in use by endpoint user" in told
    server.delete("user")


def test_nothing_happens_by_a_get_without_ticks_or_with_another_sessions_form(
    server: ServerProcess, visitor: Visitor
) -> None:
    server.create_config("stays")
    visitor.open(CLEAN_UP)
    assert "Nothing is ticked" in visitor.send(f"{CLEAN_UP}/confirm").text
    assert "Nothing is ticked" in visitor.send(f"{CLEAN_UP}/confirm", **{"model/../x": "on", "database/x": "on"}).text
    forged = visitor.client.post(CLEAN_UP, data={"form_token": "x", "model/stays": "on"})
    assert forged.status_code == 403
    assert visitor.client.get(f"{CLEAN_UP}/confirm?model/stays=on").status_code == 404
    assert "not known any more" in visitor.open(f"{CLEAN_UP}/0123").text
    assert [each["ModelName"] for each in server.sagemaker().list_models()["Models"]] == ["stays"]


def test_roles_hold(server: ServerProcess) -> None:
    if not (server.home / "models" / "broken").exists():
        broken_artefact(server.home)
    keys = server.home / "access-keys.json"
    deployer, invoker = Visitor(server), Visitor(server)
    deployer.sign_in_with(create_access_key(keys, "clean-deploy", Role.DEPLOY))
    invoker.sign_in_with(create_access_key(keys, "clean-invoke", Role.INVOKE, ["site"]))
    assert "Weights" not in deployer.open(CLEAN_UP).text
    assert "Nothing is ticked" in deployer.send(f"{CLEAN_UP}/confirm", **{"weights/broken": "on"}).text
    assert (server.home / "models" / "broken").exists()
    assert invoker.open(CLEAN_UP).status_code == 403
    assert CLEAN_UP not in invoker.open("/").text
    for path in (CLEAN_UP, f"{CLEAN_UP}/confirm", f"{CLEAN_UP}/down", "/endpoints/site/sleep"):
        invoker.open("/")
        assert invoker.send(path, **{"model/stays": "on"}).status_code == 403, path
    for each in (deployer, invoker):
        each.client.close()


def test_an_endpoint_is_stopped_until_it_is_called_and_its_page_says_so(
    server: ServerProcess, visitor: Visitor
) -> None:
    page = visitor.open("/hub/models/zerostart-zstc-small").text
    assert "30 min (usual here)" in page
    asked = {"endpoint_name": "nap", "instances": "1", "instance_type": "ml.m5.xlarge"}
    wrong = visitor.send("/hub/models/zerostart-zstc-small", **asked, idle="soon")
    assert "Stop when idle for is" in text(wrong.text)
    visitor.send("/hub/models/zerostart-zstc-small", **asked, idle="3600")
    server.wait_in_service("nap")
    (model,) = [each for each in server.sagemaker().list_models()["Models"] if each["ModelName"] == "nap"]
    described = server.sagemaker().describe_model(ModelName=model["ModelName"])
    assert described["PrimaryContainer"]["Environment"]["ZEROSTART_IDLE_TIMEOUT_S"] == "3600"
    assert "Sleeps when idle for 1 h" in text(visitor.open("/endpoints/nap").text)
    assert "Stop until called" in visitor.page
    slept = text(visitor.send("/endpoints/nap/sleep").text)
    assert "Asleep: its instances are stopped" in slept
    wait_for(lambda: children_of(server.pid) == [])
    assert "asleep: wakes on the next call" in text(visitor.open("/endpoints").text)
    called = visitor.open("/endpoints/nap?text=Pack&labels=travel,cooking").text
    assert "score-value" in called
    assert "Asleep" not in visitor.open("/endpoints/nap").text
    visitor.open(CLEAN_UP)
    assert "asleep" in visitor.send(f"{CLEAN_UP}/down").text
    wait_for(lambda: children_of(server.pid) == [])
    server.delete("nap")
