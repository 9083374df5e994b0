"""A visitor of the pages who has no JavaScript: a client that keeps cookies and sends forms."""

import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.processes import ServerProcess
from zerostart.credentials import AccessKey, Role, create_access_key, revoke_access_key
from zerostart.sign_in_links import create_sign_in_token, sign_in_url


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
