"""Visitors of the pages: one without JavaScript, a client that keeps cookies and sends forms; and a real browser."""

import functools
import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.processes import ServerProcess
from tests.server.web.browsing import ARGUMENTS, CHROMIUM, complaint_of
from zerostart.credentials import AccessKey, Role, create_access_key, revoke_access_key
from zerostart.sign_in_links import create_sign_in_token, sign_in_url

OpenPage = Callable[..., Page]


class Visitor:
    """A browser's cookies, headers and forms."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.client = httpx.Client(
            base_url=server.address, follow_redirects=True, timeout=60, headers={"Accept": "text/html,*/*;q=0.8"}
        )
        self.page = ""
        self.path = ""

    def open(self, path: str) -> httpx.Response:
        """GET."""
        return self._seen(self.client.get(path))

    def send(self, path: str, **fields: str) -> httpx.Response:
        """POST a form, with the token that stands in the page that was seen last."""
        return self._seen(self.client.post(path, data={"form_token": self.form_token, **fields}))

    def sign_in(self) -> httpx.Response:
        """By a link, as the command line makes one."""
        token = create_sign_in_token(self.server.home / "sign-in")
        return self.open(sign_in_url("", token))

    def sign_in_with(self, key: AccessKey) -> httpx.Response:
        """With an access key."""
        self.open("/sign-in")
        return self.send("/sign-in", access_key_id=key.access_key_id, secret_access_key=key.secret_access_key)

    @property
    def form_token(self) -> str:
        found = re.search(r'name="form_token" value="([^"]+)"', self.page)
        return found[1] if found else ""

    @property
    def links(self) -> list[str]:
        """Every address that the page leads to."""
        return [html.unescape(each) for each in re.findall(r'href="([^"]+)"', self.page)]

    def _seen(self, response: httpx.Response) -> httpx.Response:
        self.page, self.path = response.text, response.url.path
        return response


@pytest.fixture
def visitor(shared_server: ServerProcess) -> Iterator[Visitor]:
    """Nobody yet."""
    found = Visitor(shared_server)
    yield found
    found.client.close()


@pytest.fixture
def admin(visitor: Visitor) -> Visitor:
    """Signed in with the installation's own key."""
    visitor.sign_in()
    return visitor


@pytest.fixture
def new_key(shared_server: ServerProcess) -> Iterator[Callable[..., AccessKey]]:
    """Makes a key of a role; at the end it is revoked."""
    path: Path = shared_server.home / "access-keys.json"
    made: list[AccessKey] = []

    def make(role: Role, *endpoints: str) -> AccessKey:
        made.append(create_access_key(path, f"web-{len(made)}-{role}", role, endpoints))
        return made[-1]

    yield make
    names = {key.name for key in made}
    for name in names & set(re.findall(r'"name": "([^"]+)"', path.read_text() if path.exists() else "")):
        revoke_access_key(path, name)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens a server's landing page, signed in; whatever the console complains of fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_one(server: ServerProcess, **options: Any) -> Page:
        context = browser.new_context(base_url=server.address, **options)
        contexts.append(context)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("console", lambda message: complaints.extend(complaint_of(message)))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        token = create_sign_in_token(server.home / "sign-in")
        page.goto(sign_in_url(server.address, token))
        page.wait_for_url("/")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def new_page(open_page: OpenPage, shared_server: ServerProcess) -> Callable[..., Page]:
    """Opens the shared server's landing page, signed in."""
    return functools.partial(open_page, shared_server)
