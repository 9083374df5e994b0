"""The contexts of fetching a model."""

from dataclasses import dataclass
from typing import ClassVar

from zerostart.server.web.rendering import Page


@dataclass(frozen=True)
class FetchState:
    """How far a fetch is; `stage` is empty if nobody has begun one. `share` of 100 is None while it cannot be told."""

    model_id: str
    pull_command: str
    stage: str = ""
    is_running: bool = False
    done: str = ""
    total: str = ""
    share: int | None = None
    message: str = ""


@dataclass(frozen=True)
class FetchFragment(Page):
    """The part of a model's page that fetches it."""

    template: ClassVar[str] = "model_fetch.html"
    fetch: FetchState
