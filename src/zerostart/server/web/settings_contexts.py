"""The contexts of the settings' pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from zerostart.server.web.contexts import Choice
from zerostart.server.web.rendering import Page


@dataclass(frozen=True)
class KeyRow:
    """An access key, without its secret. `is_own` says that it is the installation's, which is not revoked."""

    id: str
    name: str
    role: str
    endpoints: str
    created: str
    used: str
    is_own: bool
    is_mine: bool


@dataclass(frozen=True)
class KeyForm:
    """The form that makes a key, with what was typed; `problems` says of fields what is wrong."""

    name: str = ""
    role: str = "invoke"
    endpoints: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PlaceRow:
    """Where something lies; `size` is None until it was measured."""

    name: str
    path: str
    purpose: str
    size: str | None


@dataclass(frozen=True)
class SettingRow:
    """A setting in force, and where its value comes from."""

    name: str
    value: str
    source: str
    description: str


@dataclass(frozen=True)
class SettingsPage(Page):
    """Keys, where data lies, versions, and the settings in force."""

    template: ClassVar[str] = "settings.html"
    keys: Sequence[KeyRow]
    form: KeyForm
    roles: Sequence[Choice]
    endpoint_names: Sequence[str]
    places: Sequence[PlaceRow]
    free: str
    versions: Mapping[str, str]
    changed: Sequence[SettingRow]
    defaults: Sequence[SettingRow]


@dataclass(frozen=True)
class PlacesFragment(Page):
    """Where data lies; asked for again until all is measured."""

    template: ClassVar[str] = "places.html"
    places: Sequence[PlaceRow]
    free: str


@dataclass(frozen=True)
class NewKeyPage(Page):
    """A key that was just made, with its secret, which is not shown again."""

    template: ClassVar[str] = "new_key.html"
    row: KeyRow
    secret: str
    exports: str
    ca_bundle: str | None


@dataclass(frozen=True)
class RevokePage(Page):
    """Asks before a key is revoked, and names it."""

    template: ClassVar[str] = "revoke_key.html"
    row: KeyRow
