"""The contexts of endpoints' pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from zerostart.server.web.charts import ChartPanel
from zerostart.server.web.contexts import Choice, EndpointRow, Label, Snippet
from zerostart.server.web.rendering import Page


@dataclass(frozen=True)
class EndpointsPage(Page):
    """The list of endpoints; the first page of it follows what happens."""

    template: ClassVar[str] = "endpoints.html"
    rows: Sequence[EndpointRow]
    is_first: bool
    next_token: str | None


@dataclass(frozen=True)
class Playground:
    """The playground's form, its labels as they were read, and what came of it."""

    name: str
    text: str = ""
    labels: str = ""
    hypothesis: str = ""
    multi_label: bool = False
    scorer: str = ""
    chips: Sequence[str] = ()
    scorers: Sequence[Choice] = ()
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
class ScalingActivityRow:
    """What autoscaling did to a variant, or could not do."""

    at: str
    description: str
    status: str
    cause: str
    message: str


@dataclass(frozen=True)
class ScalingRow:
    """A variant that autoscaling scales: `words` is what it does."""

    variant: str
    words: str
    suspended: str
    activities: Sequence[ScalingActivityRow]


@dataclass(frozen=True)
class EndpointDetails:
    """What those see who may describe an endpoint.

    `coming` is the config that it is updated to; `missing` are instances that it should have and has not now.
    """

    row: EndpointRow
    arn: str
    config_name: str
    failure_reason: str | None
    coming: str | None
    missing: int
    sleeps_after: str
    variants: Sequence[VariantRow]
    scaling: Sequence[ScalingRow]
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
    panel: ChartPanel


@dataclass(frozen=True)
class ChartsFragment(Page):
    """The charts, which follow by themselves."""

    template: ClassVar[str] = "charts.html"
    name: str
    panel: ChartPanel


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
    config_names: Sequence[str]
    model_names: Sequence[str] = field(default_factory=tuple)
    with_belongings: bool = False


@dataclass(frozen=True)
class VariantForm:
    """The fields of one variant; their names end in its `number`. `serverless` says what it is, if it is that."""

    number: int
    name: str
    models: Sequence[Choice]
    model: str
    instances: str
    types: Sequence[Choice]
    instance_type: str
    isolation: bool
    serverless: str


@dataclass(frozen=True)
class UpdatePage(Page):
    """The form that updates an endpoint, with what it serves now or what was typed."""

    template: ClassVar[str] = "update_endpoint.html"
    name: str
    config_name: str
    variants: Sequence[VariantForm]
    not_isolated: str | None
    cores: int
    error: str | None = None
    problems: Mapping[str, str] = field(default_factory=dict)
