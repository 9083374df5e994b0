"""What the pages refuse: foreign forms and names, roles that do not reach so far; and what every answer carries."""

import re
from collections.abc import Callable

import httpx
import pytest

from tests.processes import ServerProcess
from tests.server.web.conftest import Visitor
from zerostart.credentials import AccessKey, Role

PAGES = (
    "/",
    "/hub",
    "/hub/models/zerostart-zstc-small",
    "/hub/models/facebook/bart-large-mnli",
    "/endpoints",
    "/endpoints/shared",
    "/endpoints/shared/texts",
    "/endpoints/shared/decide",
    "/endpoints/shared/delete",
    "/batch",
    "/batch/new",
    "/evaluate",
    "/evaluate/new",
    "/buckets",
    "/solutions",
    "/solutions/zero-shot-text-classification",
)


@pytest.mark.parametrize("path", [*PAGES, "/nowhere", "/sign-in"])
def test_every_page_carries_a_strict_policy(admin: Visitor, path: str) -> None:
    headers = admin.open(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert " style=" not in admin.page
    assert "<script>" not in admin.page
    assert " onclick" not in admin.page


@pytest.mark.parametrize("path", [*PAGES, "/endpoints/shared/status"])
def test_no_page_is_shown_to_somebody_who_is_not_signed_in(shared_server: ServerProcess, path: str) -> None:
    response = httpx.get(shared_server.address + path)
    assert response.status_code == 303
    assert response.headers["location"].startswith("/sign-in")
    assert response.text == ""


@pytest.mark.parametrize(
    "path",
    [
        "/sign-out",
        "/hub/models/zerostart-zstc-small",
        "/hub/fetches/facebook/bart-large-mnli",
        "/endpoints/shared/delete",
    ],
)
def test_a_form_without_its_token_does_nothing(admin: Visitor, path: str) -> None:
    response = admin.client.post(path, data={"endpoint_name": "stolen", "instances": "1"})
    assert response.status_code == 403
    assert "nothing was done" in response.text
    assert admin.server.status("shared") == "InService"


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_form_of_another_site_does_nothing(admin: Visitor, headers: dict[str, str]) -> None:
    admin.open("/endpoints/shared/delete")
    response = admin.client.post("/endpoints/shared/delete", data={"form_token": admin.form_token}, headers=headers)
    assert response.status_code == 403
    assert admin.server.status("shared") == "InService"


def test_a_form_of_this_site_is_taken(admin: Visitor) -> None:
    admin.open("/endpoints/shared")
    asked = {"form_token": admin.form_token, "text": "One day I will see the world", "labels": "travel, cooking"}
    headers = {"Origin": admin.server.address, "Sec-Fetch-Site": "same-origin"}
    assert admin.client.post("/endpoints/shared/playground", data=asked, headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8480", "127.0.0.1.evil.example", "[", ""])
def test_pages_are_not_given_under_another_name(shared_server: ServerProcess, host: str) -> None:
    response = httpx.get(f"{shared_server.address}/sign-in", headers={"Host": host})
    assert response.status_code == 421
    assert "--tls-name" in response.text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9", "LOCALHOST:8480", "[::1]:8480"])
def test_pages_are_given_under_names_of_this_machine(shared_server: ServerProcess, host: str) -> None:
    assert httpx.get(f"{shared_server.address}/sign-in", headers={"Host": host}).status_code == 200


def test_a_key_for_one_endpoint_sees_its_playground_and_nothing_else(
    visitor: Visitor, new_key: Callable[..., AccessKey]
) -> None:
    visitor.sign_in_with(new_key(Role.INVOKE, "shared"))
    assert visitor.open("/").status_code == 200
    assert visitor.links.count("/endpoints/shared") == 1
    assert "/hub" not in visitor.links
    page = visitor.open("/endpoints/shared?text=One+day+I+will+see+the+world&labels=travel,cooking")
    assert page.status_code == 200
    assert 'class="scores"' in page.text
    for hidden in ("InService", "ml.m5.xlarge", "Log of", "arn:aws", "Delete"):
        assert hidden not in page.text
    refused = (
        "/hub",
        "/endpoints",
        "/endpoints/other",
        "/endpoints/shared/status",
        "/endpoints/shared/delete",
        "/running",
    )
    for path in (*refused, "/hub/models/zerostart-zstc-small"):
        assert visitor.open(path).status_code == 403, path
    assert "does not allow it" in visitor.page
    visitor.open("/")
    assert visitor.send("/endpoints/shared/delete").status_code == 403
    assert visitor.send("/hub/models/zerostart-zstc-small", endpoint_name="x", instances="1").status_code == 403
    assert visitor.send("/hub/fetches/facebook/bart-large-mnli").status_code == 403
    assert visitor.open("/hub/fetches/facebook/bart-large-mnli").status_code == 403
    assert visitor.send("/endpoints/other/texts", text="a", labels="b").status_code == 403


def test_a_deployer_may_deploy_and_delete(visitor: Visitor, new_key: Callable[..., AccessKey]) -> None:
    visitor.sign_in_with(new_key(Role.DEPLOY))
    for path in PAGES:
        assert visitor.open(path).status_code == 200, path


def test_what_is_not_there_is_said_to_people_in_words_and_to_programs_in_json(admin: Visitor) -> None:
    assert "Page not found" in admin.open("/nowhere").text
    assert admin.open("/nowhere").status_code == 404
    assert admin.open("/sign-out").status_code == 405
    assert admin.open("/endpoints/missing").status_code == 404
    assert admin.open("/hub/models/nobody/nothing").status_code == 404
    assert "neither in the catalogue nor on this machine" in admin.page
    program = httpx.get(f"{admin.server.address}/nowhere", headers={"Accept": "application/json"})
    assert program.status_code == 404
    assert "is not served" in program.json()["message"]


def test_a_broken_file_of_keys_lets_nobody_in(server: ServerProcess) -> None:
    visitor = Visitor(server)
    visitor.sign_in()
    (server.home / "access-keys.json").write_text("[")
    (server.home / "access-keys.json").chmod(0o600)
    assert visitor.open("/hub").url.path == "/sign-in"
    refused = visitor.sign_in_with(server.keys)
    assert refused.status_code == 500
    assert "access-keys" not in refused.text
    visitor.client.close()


def test_a_form_over_the_limit_is_refused(admin: Visitor) -> None:
    admin.open("/endpoints/shared")
    response = admin.send("/endpoints/shared/playground", text="x" * 7_000_000, labels="a")
    assert response.status_code == 413
    assert "too much at once" in admin.page


def test_static_files_are_kept_for_ever_under_their_version(admin: Visitor) -> None:
    admin.open("/")
    found = [link for link in admin.links if link.startswith("/static/")]
    assert len(found) == 2
    for link in found:
        assert "immutable" in admin.client.get(link).headers["cache-control"]
    assert admin.client.get("/static/zerostart.css").headers["cache-control"] == "no-cache"
    assert admin.client.get("/static/..%2Fface.py").status_code == 404
    assert admin.client.get("/static/nothing.js").status_code == 404


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_small_with_all_that_it_needs(admin: Visitor, path: str) -> None:
    page = admin.open(path)
    files = ["htmx.min.js", "zerostart.js", "playground.js", "zerostart.css", "icon.svg"]
    total = len(page.content) + sum(len(admin.client.get(f"/static/{each}").content) for each in files)
    assert total < 150_000


@pytest.mark.parametrize(("role", "least"), [(Role.ADMIN, 60), (Role.DEPLOY, 60), (Role.INVOKE, 5)])
def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(
    visitor: Visitor, new_key: Callable[..., AccessKey], role: Role, least: int
) -> None:
    visitor.sign_in_with(new_key(role, *(["shared"] if role is Role.INVOKE else [])))
    seen: set[str] = set()
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        response = visitor.open(path)
        assert response.status_code == 200, path
        if "text/html" in response.headers["content-type"]:
            assert loaded_from_elsewhere(response.text) == [], path
            waiting += {each.partition("#")[0] for each in visitor.links if each.startswith("/")} - seen - set(waiting)
    assert len(seen) > least
    assert "/endpoints/shared/texts" in seen
    assert ("/endpoints/shared/delete" in seen) == (role is not Role.INVOKE)


def loaded_from_elsewhere(page: str) -> list[str]:
    """What a browser would ask another host for by itself, and links that tell it where they come from."""
    tags = re.findall(r"<(?!a )[a-z]+ [^>]*(?:src|href|action|srcset|data|poster)=\"([^\"/#][^\"]*|//[^\"]*)\"", page)
    outside = re.findall(r'<a [^>]*href="https?://[^>]*>', page)
    return tags + [tag for tag in outside if "noopener noreferrer" not in tag]
