"""The context of each page: what its template may use, and nothing else. Endpoints' have a module of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from zerostart.server.web.rendering import Page


@dataclass(frozen=True)
class SignInPage(Page):
    """Signing in with an access key, and how to get a link."""

    template: ClassVar[str] = "sign_in.html"
    access_key_id: str
    next_path: str
    error: str | None = None


@dataclass(frozen=True)
class OnwardPage(Page):
    """Leads on by itself; as a page, so that the next one is asked for by this site and gets the session's cookie."""

    template: ClassVar[str] = "onward.html"
    heading: str
    next_path: str


@dataclass(frozen=True)
class ErrorPage(Page):
    """What happened, and what to do."""

    template: ClassVar[str] = "error.html"
    status: int
    heading: str
    message: str


@dataclass(frozen=True)
class ErrorFragment(Page):
    """The same within a page."""

    template: ClassVar[str] = "error_fragment.html"
    message: str


@dataclass(frozen=True)
class ModelCard:
    """A model in a list."""

    id: str
    name: str
    description: str
    languages: str
    size: str
    licence: str
    commercial: bool
    kind: str
    is_here: bool


@dataclass(frozen=True)
class EndpointRow:
    """An endpoint in a list."""

    name: str
    status: str
    is_ready: bool
    models: str
    instances: str
    memory: str
    requests_per_minute: str
    p50: str
    p99: str
    errors: int
    created: str
    idle: str
    is_asleep: bool


@dataclass(frozen=True)
class HomePage(Page):
    """The landing page."""

    template: ClassVar[str] = "home.html"
    featured: Sequence[ModelCard]
    model_count: int
    rows: Sequence[EndpointRow]
    more_endpoints: bool


@dataclass(frozen=True)
class InvokerHomePage(Page):
    """The landing page of a key that may invoke some endpoints, and nothing else."""

    template: ClassVar[str] = "home_invoke.html"
    names: Sequence[str]


@dataclass(frozen=True)
class Choice:
    """A value of a select, and what is shown for it."""

    value: str
    shown: str


@dataclass(frozen=True)
class HubChosen:
    """What the hub's form was sent with."""

    words: str = ""
    language: str = ""
    size: str = ""
    licence: str = ""
    kind: str = ""
    sort: str = "best"
    commercial: bool = False
    here: bool = False


@dataclass(frozen=True)
class HubPage(Page):
    """The hub: search, filters, results."""

    template: ClassVar[str] = "hub.html"
    chosen: HubChosen
    languages: Sequence[Choice]
    sizes: Sequence[Choice]
    licences: Sequence[Choice]
    kinds: Sequence[Choice]
    sorts: Sequence[Choice]
    cards: Sequence[ModelCard]


@dataclass(frozen=True)
class DeployForm:
    """The form that deploys, with what was typed; `not_isolated` says why instances cannot be cut off, if so."""

    name: str
    instances: str = "1"
    instance_type: str = "ml.m5.xlarge"
    isolation: bool = False
    tags: str = ""
    idle: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Snippet:
    """Code that does what the page does."""

    name: str
    language: str
    code: str


@dataclass(frozen=True)
class AccuracyRow:
    """A figure that a model's authors published, and where; the address is empty if that is no page."""

    dataset: str
    metric: str
    value: str
    source: str
    address: str


@dataclass(frozen=True)
class ModelPage(Page):
    """A model, with its deploy form and its authors' card if it is here."""

    template: ClassVar[str] = "model.html"
    card: ModelCard
    facts: Mapping[str, str]
    sources: Mapping[str, str]
    accuracy: Sequence[AccuracyRow]
    card_html: Markup
    form: DeployForm
    instance_types: Sequence[Choice]
    idle_times: Sequence[Choice]
    not_isolated: str | None
    snippets: Sequence[Snippet]
    pull_command: str
