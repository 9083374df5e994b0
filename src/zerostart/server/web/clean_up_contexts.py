"""The contexts of the pages that clean up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from zerostart.server.web.rendering import Page
from zerostart.services.proof import Check


@dataclass(frozen=True)
class ThingRow:
    """A thing that exists; `field` names it in forms."""

    field: str
    name: str
    note: str
    memory: str
    disk: str
    idle: str


@dataclass(frozen=True)
class ThingGroup:
    """Things of one kind; `field` stands for all of them, `more` are not shown.

    Those that run have memory and are idle; some have files.
    """

    field: str
    heading: str
    rows: Sequence[ThingRow]
    runs: bool
    on_disk: bool
    more: int = 0


@dataclass(frozen=True)
class CostRow:
    """What ran, and for how long."""

    kind: str
    name: str
    instance_time: str
    memory_time: str
    peak: str
    last: str


@dataclass(frozen=True)
class CleanUpPage(Page):
    """What exists, to tick; what ran. `weights` are for administrators."""

    template: ClassVar[str] = "clean_up.html"
    groups: Sequence[ThingGroup]
    weights: ThingGroup | None
    memory: str
    disk: str
    buckets_elsewhere: bool
    instances_run: bool
    costs: Sequence[CostRow]
    error: str | None = None


@dataclass(frozen=True)
class CleanUpConfirmPage(Page):
    """Names all that would go."""

    template: ClassVar[str] = "clean_up_confirm.html"
    groups: Sequence[ThingGroup]
    count: int
    memory: str
    disk: str


@dataclass(frozen=True)
class LeftRow:
    """A thing that is still there, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class CleanUpResultPage(Page):
    """How far a clean-up is, and what came of it. `checks` are the proof, where everything was to go."""

    template: ClassVar[str] = "clean_up_result.html"
    address: str
    is_done: bool
    total: int
    deleted: Sequence[str]
    waiting: Sequence[str]
    left: Sequence[LeftRow]
    checks: Sequence[Check]
    remaining: int
