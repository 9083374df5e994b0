"""The contexts of endpoints' pages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from zerostart.server.web.contexts import EndpointRow, Snippet
from zerostart.server.web.rendering import Page


@dataclass(frozen=True)
class EndpointsPage(Page):
    """The list of endpoints; the first page of it follows what happens."""

    template: ClassVar[str] = "endpoints.html"
    rows: Sequence[EndpointRow]
    is_first: bool
    next_token: str | None


@dataclass(frozen=True)
class Label:
    """A label's score; `width` is that of its bar, of 100."""

    name: str
    percent: str
    width: str
    is_top: bool


@dataclass(frozen=True)
class Playground:
    """The playground's form, its labels as they were read, and what came of it."""

    name: str
    text: str = ""
    labels: str = ""
    hypothesis: str = ""
    multi_label: bool = False
    chips: Sequence[str] = ()
    results: Sequence[Label] = ()
    latency: str = ""
    note: str = ""
    link: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Example:
    """A text to try, and the address of the page with it."""

    name: str
    link: str


@dataclass(frozen=True)
class LogLine:
    """A line of an instance's log."""

    at: str
    level: str
    message: str


@dataclass(frozen=True)
class VariantRow:
    """A variant of an endpoint."""

    name: str
    model_id: str
    model_name: str
    instances: str
    instance_type: str
    weight: str
    isolation: str


@dataclass(frozen=True)
class InstanceRow:
    """An instance that takes invocations now."""

    id: str
    variant: str
    memory: str
    threads: int


@dataclass(frozen=True)
class EndpointDetails:
    """What those see who may describe an endpoint."""

    row: EndpointRow
    arn: str
    config_name: str
    failure_reason: str | None
    sleeps_after: str
    variants: Sequence[VariantRow]
    instances: Sequence[InstanceRow]
    log: Sequence[LogLine]


@dataclass(frozen=True)
class EndpointPage(Page):
    """An endpoint; without `details` the playground alone."""

    template: ClassVar[str] = "endpoint.html"
    name: str
    playground: Playground
    examples: Sequence[Example]
    snippets: Sequence[Snippet]
    details: EndpointDetails | None


@dataclass(frozen=True)
class EndpointStatusFragment(Page):
    """What changes on an endpoint's page by itself."""

    template: ClassVar[str] = "endpoint_status.html"
    details: EndpointDetails


@dataclass(frozen=True)
class PlaygroundFragment(Page):
    """The playground's result."""

    template: ClassVar[str] = "playground_fragment.html"
    playground: Playground


@dataclass(frozen=True)
class DeletePage(Page):
    """Asks before an endpoint is deleted, and names what goes."""

    template: ClassVar[str] = "delete_endpoint.html"
    name: str
    instances: str
    memory: str
    config_name: str | None
    model_names: Sequence[str] = field(default_factory=tuple)
    with_belongings: bool = False
