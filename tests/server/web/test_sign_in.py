"""Signing in: by a link that works once, with an access key, until it ends."""

import re
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trustme

from tests.processes import ServerProcess, clean_environment, wait_for
from tests.server.web.conftest import Visitor
from zerostart.certificates import subject_names
from zerostart.credentials import AccessKey, Role, revoke_access_key
from zerostart.server.web.links import local_path
from zerostart.server.web.sessions import Sessions, WrongAttempts
from zerostart.sign_in_links import create_sign_in_token, redeem_sign_in_token, sign_in_url


def test_a_visitor_is_led_to_the_sign_in_page_that_says_how_to_get_a_link(visitor: Visitor) -> None:
    response = visitor.open("/hub?words=spanish")
    assert response.url.path == "/sign-in"
    assert response.url.params["next"] == "/hub?words=spanish"
    assert "zerostart ui --open" in visitor.page


def test_the_link_that_the_server_prints_signs_in_once(server: ServerProcess) -> None:
    link = wait_for(lambda: re.search(r"http\S+/sign-in\?token=\S+", "".join(server.output)))[0]
    first, second = Visitor(server), Visitor(server)
    assert "You are signed in" in first.open(link).text
    assert first.open("/").status_code == 200
    assert "Sort any text" in first.page
    refused = second.open(link)
    assert refused.status_code == 403
    assert "was used already" in second.page
    for each in (first, second):
        each.client.close()


def test_the_command_line_prints_another_link(shared_server: ServerProcess, visitor: Visitor) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "zerostart", "ui"],
        env=clean_environment(shared_server.home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "You are signed in" in visitor.open(made.stdout.strip()).text


def test_without_a_server_the_command_line_says_so(home: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "zerostart", "ui"],
        env=clean_environment(home, ZEROSTART_PORT="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 1
    assert "run zerostart serve" in made.stderr


def test_over_https_cookies_are_for_https_alone_and_names_of_the_certificate_are_known(home: Path) -> None:
    with ServerProcess(home, "--tls", "--tls-name", "zs.internal", ZEROSTART_ENGINE="fake") as server:
        context = ssl.create_default_context(cafile=home / "tls" / "ca.pem")
        with httpx.Client(base_url=server.address, verify=context) as client:
            link = sign_in_url("", create_sign_in_token(home / "sign-in"))
            assert "; Secure" in client.get(link).headers["set-cookie"]
            assert client.get("/sign-in", headers={"Host": "zs.internal"}).status_code == 303
            assert client.get("/sign-in", headers={"Host": "other.internal"}).status_code == 421


def test_names_of_a_given_certificate_are_read_from_it(tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("zs.example", "10.1.2.3")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    assert subject_names(tmp_path / "cert.pem") == ["zs.example", "10.1.2.3"]
    assert subject_names(tmp_path / "none.pem") == []


def test_looking_at_a_link_without_opening_it_does_not_use_it(visitor: Visitor) -> None:
    token = create_sign_in_token(visitor.server.home / "sign-in")
    visitor.client.head(f"/sign-in?token={token}")
    assert "You are signed in" in visitor.open(f"/sign-in?token={token}").text


def test_a_link_ends_after_a_quarter_of_an_hour(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    late = create_sign_in_token(tmp_path / "links", now)
    assert not redeem_sign_in_token(tmp_path / "links", late, now + timedelta(minutes=15))
    in_time = create_sign_in_token(tmp_path / "links", now)
    assert redeem_sign_in_token(tmp_path / "links", in_time, now + timedelta(minutes=14))
    assert not redeem_sign_in_token(tmp_path / "links", "../credentials")
    create_sign_in_token(tmp_path / "links", now - timedelta(hours=1))
    create_sign_in_token(tmp_path / "links", now)
    assert len(list((tmp_path / "links").iterdir())) == 1, "links that ended are removed"


def test_an_access_key_signs_in_and_leads_back(visitor: Visitor) -> None:
    visitor.open("/hub?words=spanish")
    key = visitor.server.keys
    response = visitor.send(
        "/sign-in",
        access_key_id=key.access_key_id,
        secret_access_key=key.secret_access_key,
        next="/hub?words=spanish",
    )
    assert 'content="0; url=/hub?words=spanish"' in response.text
    cookie = next(each for each in visitor.client.cookies.jar if not each.name.endswith("-visitor"))
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "strict"


def test_a_link_on_another_site_leads_through_a_page_of_this_one_that_gets_the_cookie(visitor: Visitor) -> None:
    path = "/endpoints/shared?text=a&labels=b"
    followed = visitor.client.get(path, headers={"Sec-Fetch-Site": "cross-site"})
    assert followed.url.path == "/endpoints/shared"
    assert 'content="0; url=/endpoints/shared?text=a&amp;labels=b"' in followed.text
    assert visitor.client.get(path, headers={"Sec-Fetch-Site": "same-origin"}).url.path == "/sign-in"


def test_signing_out_ends_the_session_everywhere(admin: Visitor) -> None:
    admin.open("/")
    cookies = dict(admin.client.cookies)
    assert admin.send("/sign-out").url.path == "/sign-in"
    response = httpx.get(f"{admin.server.address}/hub", cookies=cookies)
    assert response.status_code == 303


def test_a_session_ends_when_its_key_is_revoked(visitor: Visitor, new_key: Callable[..., AccessKey]) -> None:
    key = new_key(Role.DEPLOY)
    visitor.sign_in_with(key)
    assert visitor.open("/hub").url.path == "/hub"
    revoke_access_key(visitor.server.home / "access-keys.json", key.name)
    assert visitor.open("/hub").url.path == "/sign-in"


def test_who_guesses_has_to_wait(server: ServerProcess) -> None:
    visitor = Visitor(server)
    visitor.open("/sign-in")
    guessed = {"access_key_id": server.keys.access_key_id, "secret_access_key": "wrong"}
    statuses = [visitor.send("/sign-in", **guessed).status_code for _ in range(10)]
    assert statuses == [403] * 10
    assert f'value="{server.keys.access_key_id}"' in visitor.page, "the id that was typed is kept"
    assert visitor.send("/sign-in", **guessed).status_code == 429
    visitor.client.close()


def test_waiting_ends() -> None:
    now_s = 0.0
    wrong = WrongAttempts(lambda: now_s)
    for _ in range(9):
        wrong.count("a")
    assert wrong.wait_s("a") == 0
    wrong.count("a")
    assert wrong.wait_s("a") == 300
    assert wrong.wait_s("b") == 0
    now_s = 301.0
    assert wrong.wait_s("a") == 0


def test_a_session_ends_after_twelve_hours() -> None:
    now_s = 0.0
    key = AccessKey("id", "secret")
    sessions = Sessions({"id": key}, lambda: now_s)
    cookie = sessions.begin(key)
    now_s = 12 * 3600 - 1.0
    assert sessions.find(cookie) is not None
    now_s += 1
    assert sessions.find(cookie) is None
    assert sessions.find("another") is None


@pytest.mark.parametrize("path", ["https://evil.example", "//evil.example", "/\\evil.example", "/a\nb", "hub", ""])
def test_signing_in_never_leads_to_another_site(path: str) -> None:
    assert local_path(path) == "/"
    assert local_path("/hub?words=a") == "/hub?words=a"
