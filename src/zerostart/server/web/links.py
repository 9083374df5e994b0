"""Every address of the pages, in one place."""

from urllib.parse import quote, urlencode

from zerostart.server.web.assets import Assets


class Links:
    """Where things are. Templates write no address themselves."""

    home = "/"
    hub = "/hub"
    endpoints = "/endpoints"
    clean_up = "/settings/clean-up"
    clean_up_confirm = f"{clean_up}/confirm"
    down = f"{clean_up}/down"
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
        return f"{self.hub}?{urlencode(parameters)}"

    def model(self, model_id: str) -> str:
        """A model's page."""
        return f"{self.hub}/models/{quote(model_id)}"

    def endpoint(self, name: str) -> str:
        """An endpoint's page, with its playground."""
        return f"{self.endpoints}/{quote(name, safe='')}"

    def endpoint_status(self, name: str) -> str:
        """What changes on an endpoint's page by itself."""
        return f"{self.endpoint(name)}/status"

    def playground(self, name: str) -> str:
        """Where the playground's form is sent to."""
        return f"{self.endpoint(name)}/playground"

    def delete_endpoint(self, name: str) -> str:
        """The page that asks before it deletes."""
        return f"{self.endpoint(name)}/delete"

    def sleep_endpoint(self, name: str) -> str:
        """Where the button is sent to that stops an endpoint's instances until the next call."""
        return f"{self.endpoint(name)}/sleep"

    def clean_up_result(self, clean_up_id: str) -> str:
        """How far a clean-up is, and what came of it."""
        return f"{self.clean_up}/{quote(clean_up_id, safe='')}"

    def endpoints_from(self, token: str) -> str:
        """A further page of the list of endpoints."""
        return f"{self.endpoints}?{urlencode({'from': token})}"


def local_path(path: str) -> str:
    """`path` if it leads to a page of this server, else the landing page."""
    good = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if good else "/"
