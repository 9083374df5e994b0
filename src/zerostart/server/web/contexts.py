"""The context of each page: what its template may use, and nothing else. Endpoints' have a module of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from markupsafe import Markup

from zerostart.server.web.fetch_contexts import FetchState
from zerostart.server.web.rendering import Page
from zerostart.services.deployment import ROLE_ARN


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
class RunningRow:
    """An endpoint that stands here now, and how long ago somebody asked it last."""

    endpoint: EndpointRow
    last_asked: str


@dataclass(frozen=True)
class Running:
    """What this machine is busy with: the newest endpoints, what all instances hold, and models that are fetched."""

    rows: Sequence[RunningRow]
    more_endpoints: bool
    instances: int
    memory: str
    fetches: Sequence[FetchState]


@dataclass(frozen=True)
class HomePage(Page):
    """The landing page."""

    template: ClassVar[str] = "home.html"
    featured: Sequence[ModelCard]
    model_count: int
    running: Running


@dataclass(frozen=True)
class RunningFragment(Page):
    """The part of the landing page that follows what happens."""

    template: ClassVar[str] = "home_running.html"
    running: Running


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
    count: int
    more_link: str
    is_filtered: bool


@dataclass(frozen=True)
class DeployForm:
    """The form that deploys, with what was typed; `problems` says of fields what is wrong, `error` of the whole."""

    name: str
    instances: str = "1"
    instance_type: str = "ml.m5.xlarge"
    isolation: bool = False
    role: str = ROLE_ARN
    bucket: str = ""
    key: str = ""
    tags: str = ""
    idle: str = ""
    profile: str = ""
    error: str | None = None
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snippet:
    """Code that does what the page does."""

    name: str
    language: str
    code: str


@dataclass(frozen=True)
class AccuracyRow:
    """A figure that a model's authors published, and where."""

    dataset: str
    metric: str
    value: str
    source: str
    address: str


@dataclass(frozen=True)
class Label:
    """A label's score; `width` is that of its bar, of 100."""

    name: str
    percent: str
    width: str
    is_top: bool


@dataclass(frozen=True)
class TryExample:
    """An example; its links are empty where no endpoint answers."""

    number: int
    title: str
    text: str
    labels: Sequence[str]
    link: str
    playground: str
    is_shown: bool


@dataclass(frozen=True)
class TryIt:
    """Examples for a model, the endpoint that answers them (empty: none runs), and what came of the one shown."""

    endpoint: str = ""
    examples: Sequence[TryExample] = ()
    scores: Sequence[Label] = ()
    latency: str = ""
    error: str | None = None


@dataclass(frozen=True)
class ModelPage(Page):
    """A model, with its deploy form and its authors' card if it is here.

    `not_isolated` says why instances cannot be cut off, if so; `buckets` are proposed for answers, and None
    where they are in a service of their own.
    """

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
    buckets: Sequence[str] | None
    cores: int
    snippets: Sequence[Snippet]
    fetch: FetchState
    try_it: TryIt
