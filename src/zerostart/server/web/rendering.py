"""Pages: a typed context and a template each. What a template uses and its context has not is an error."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from zerostart.credentials import AccessKey, Role
from zerostart.server.web.links import Links

TEMPLATES = Path(__file__).parent / "templates"


class Page:
    """What every context has: the template that it is for. Its fields are the template's variables."""

    template: ClassVar[str]


@dataclass(frozen=True)
class Shell:
    """What stands around every page: who is signed in, where they are, and what their forms carry."""

    caller: AccessKey | None
    form_token: str
    path: str

    @property
    def deploys(self) -> bool:
        """Whether the hub and the endpoints' list are for this caller."""
        return self.caller is not None and self.caller.role is not Role.INVOKE

    @property
    def administers(self) -> bool:
        """Whether the settings are for this caller."""
        return self.caller is not None and self.caller.role is Role.ADMIN

    def is_under(self, address: str) -> bool:
        """Whether the page is in this part of the site."""
        return self.path == address or self.path.startswith(f"{address}/")


class Renderer:
    """Renders contexts."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.globals.update(links=links, many=many)

    def text(self, page: Page, shell: Shell) -> str:
        """The page's HTML."""
        values: dict[str, Any] = {each.name: getattr(page, each.name) for each in fields(page)}  # type: ignore[arg-type]
        return self.environment.get_template(page.template).render(**values, shell=shell)

    def response(self, page: Page, shell: Shell, status: int = 200) -> HTMLResponse:
        """The page as an answer."""
        return HTMLResponse(self.text(page, shell), status)


def many(count: int, one: str, more: str = "") -> Markup:
    """A number with its noun: "1 model", "2 models"."""
    return Markup("{}&nbsp;{}").format(f"{count:,}", one if count == 1 else more or f"{one}s")
