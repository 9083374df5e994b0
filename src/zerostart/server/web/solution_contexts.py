"""The contexts of the solutions' pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from zerostart.server.web.contexts import Choice
from zerostart.server.web.rendering import Page


@dataclass(frozen=True)
class SolutionCard:
    """A solution in the list; `state` says how its newest launch stands, and is empty if there is none."""

    name: str
    title: str
    summary: str
    minutes: int
    state: str
    is_launched: bool


@dataclass(frozen=True)
class SolutionsPage(Page):
    """What can be launched."""

    template: ClassVar[str] = "solutions.html"
    cards: Sequence[SolutionCard]


@dataclass(frozen=True)
class StepRow:
    """A step: `status` is done, running, failed or waiting."""

    title: str
    detail: str
    status: str


@dataclass(frozen=True)
class CallRow:
    """The first call, and what came of it."""

    text: str
    category: str
    label: str
    percent: str
    width: str
    latency: str


@dataclass(frozen=True)
class LaunchView:
    """A launch. `measured` is None before the report is there; links are empty where there is nothing yet."""

    name: str
    status: str
    model_id: str
    bucket: str
    launched: str
    steps: Sequence[StepRow]
    done: int
    reason: str
    call: CallRow | None
    has_report: bool
    rows: str
    accuracy: str
    macro_f1: str
    endpoint_link: str
    job_link: str
    bucket_link: str


@dataclass(frozen=True)
class LaunchLink:
    """Another launch of the solution."""

    name: str
    link: str


@dataclass(frozen=True)
class LaunchForm:
    """The form that launches, with what was typed; `problems` says of fields what is wrong, `error` of the whole."""

    name: str = ""
    model: str = ""
    error: str | None = None
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SolutionPage(Page):
    """A solution: what it is, Launch, and the launch that is shown, if there is one."""

    template: ClassVar[str] = "solution.html"
    name: str
    title: str
    about: str
    minutes: int
    texts: int
    labels: Sequence[str]
    known_as: str
    columns: Sequence[str]
    launch: LaunchView | None
    others: Sequence[LaunchLink]
    form: LaunchForm
    models: Sequence[Choice]
    most: str
    may_launch: bool
    already: bool


@dataclass(frozen=True)
class DeleteSolutionPage(Page):
    """Names all that would go; `others` are objects that the solution did not write."""

    template: ClassVar[str] = "delete_solution.html"
    name: str
    launch: str
    things: Sequence[str]
    bucket: str
    others: Sequence[str]
    more: int
