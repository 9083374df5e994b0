"""Every address of the pages, in one place."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from zerostart.server.web.assets import Assets


class Links:
    """Where things are. Templates write no address themselves."""

    home = "/"
    running = "/running"
    hub = "/hub"
    endpoints = "/endpoints"
    settings = "/settings"
    keys = "/settings/keys"
    places = "/settings/places"
    sign_in = "/sign-in"
    sign_out = "/sign-out"

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    def static(self, name: str) -> str:
        """A static file."""
        return self._assets.url(name)

    def sign_in_and_return(self, path: str) -> str:
        """The sign-in page that leads back to a page."""
        return self.sign_in if path == self.home else f"{self.sign_in}?{urlencode({'next': path})}"

    def hub_search(self, **parameters: str) -> str:
        """The hub with a search done."""
        return f"{self.hub}?{urlencode(parameters)}" if parameters else self.hub

    def model(self, model_id: str) -> str:
        """A model's page."""
        return f"{self.hub}/models/{quote(model_id)}"

    def fetch(self, model_id: str) -> str:
        """How far the fetch of a model is, and where it is begun and ended."""
        return f"{self.hub}/fetches/{quote(model_id)}"

    def try_example(self, model_id: str, number: int) -> str:
        """A model's page with an example's scores."""
        return f"{self.model(model_id)}?{urlencode({'example': number})}#try"

    def endpoint(self, name: str) -> str:
        """An endpoint's page, with its playground."""
        return f"{self.endpoints}/{quote(name, safe='')}"

    def endpoint_status(self, name: str) -> str:
        """What changes on an endpoint's page by itself."""
        return f"{self.endpoint(name)}/status"

    def playground(self, name: str) -> str:
        """Where the playground's form is sent to."""
        return f"{self.endpoint(name)}/playground"

    def endpoint_charts(self, name: str) -> str:
        """The charts of an endpoint."""
        return f"{self.endpoint(name)}/charts"

    def update_endpoint(self, name: str) -> str:
        """The form that changes what an endpoint serves."""
        return f"{self.endpoint(name)}/update"

    def played(self, name: str, query: Mapping[str, str]) -> str:
        """An endpoint's page with its playground filled in."""
        return f"{self.endpoint(name)}?{urlencode(query)}"

    def texts(self, name: str) -> str:
        """The playground for many texts."""
        return f"{self.endpoint(name)}/texts"

    def delete_endpoint(self, name: str) -> str:
        """The page that asks before it deletes."""
        return f"{self.endpoint(name)}/delete"

    def revoke_key(self, access_key_id: str) -> str:
        """The page that asks before it revokes."""
        return f"{self.keys}/{quote(access_key_id, safe='')}/revoke"

    def endpoints_from(self, token: str) -> str:
        """A further page of the list of endpoints."""
        return f"{self.endpoints}?{urlencode({'from': token})}"


def local_path(path: str) -> str:
    """`path` if it leads to a page of this server, else the landing page."""
    good = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if good else "/"
