"""Settings: access keys, where data lies, versions, and the settings in force. For administrators."""

import re
from collections.abc import Mapping, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.credentials import OWN_KEY_NAME, AccessKey, Role
from zerostart.errors import AlreadyExists, InvalidField, InvalidInput, ZerostartError, shortened
from zerostart.metadata.rows import PageRequest
from zerostart.server.web.contexts import Choice
from zerostart.server.web.edge import Visit, WebEdge, address_of
from zerostart.server.web.errors import error_page
from zerostart.server.web.formats import ago
from zerostart.server.web.installation import free_shown, place_rows, setting_rows, versions
from zerostart.server.web.settings_contexts import (
    KeyForm,
    KeyRow,
    NewKeyPage,
    PlacesFragment,
    RevokePage,
    SettingsPage,
)
from zerostart.services.access_key import AccessKeyService, KeyUses, client_variables
from zerostart.services.disk_use import DiskUse, places
from zerostart.settings import DEFAULT, ServerAddress, server_address

_ROLES = (
    (Role.INVOKE, "invoke: named endpoints"),
    (Role.DEPLOY, "deploy: models, endpoints, jobs"),
    (Role.ADMIN, "admin: everything"),
)
_ENDPOINT = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_NAMES_SHOWN = 20
_PATIENCE_S = 0.4
_NEVER = "never"


class SettingsPages:
    """The page, and what its forms do. What it shows is shown to nobody but administrators."""

    def __init__(self, edge: WebEdge, parts: ServerParts, keys: Mapping[str, AccessKey], uses: KeyUses) -> None:
        self._edge = edge
        self._links = edge.renderer.links
        self._parts = parts
        self._keys = AccessKeyService(keys, parts.settings.access_keys_path)
        self._uses = uses
        self._disk = DiskUse(places(parts.settings))

    def routes(self) -> list[Route]:
        """The page, its part that follows, and one key's."""
        page, links = self._edge.signed_in, self._links
        revoke = f"{links.keys}/{{key_id}}/revoke"
        return [
            Route(links.settings, page(self._show), methods=["GET"]),
            Route(links.places, page(self._places), methods=["GET"]),
            Route(links.keys, page(self._create), methods=["POST"]),
            Route(revoke, page(self._ask), methods=["GET"]),
            Route(revoke, page(self._revoke), methods=["POST"]),
        ]

    async def _show(self, visit: Visit) -> Response:
        self._require(visit)
        page = await run_in_threadpool(self._page, visit.caller, KeyForm())
        return self._edge.page(visit.request, page)

    async def _places(self, visit: Visit) -> Response:
        self._require(visit)
        page = await run_in_threadpool(self._measured, _PATIENCE_S)
        return self._edge.page(visit.request, page)

    async def _create(self, visit: Visit) -> Response:
        visit.require("iam:CreateAccessKey")
        form = KeyForm(visit.form.get("name", ""), visit.form.get("role", ""), visit.form.get("endpoints", ""))
        try:
            role, endpoints = _asked(form)
            key = await run_in_threadpool(self._keys.create_key, form.name.strip(), role, endpoints)
        except (InvalidInput, AlreadyExists) as error:
            page = await run_in_threadpool(self._page, visit.caller, _with_problem(form, error))
            return self._edge.page(visit.request, page, error_page(error).status)
        return self._edge.page(visit.request, self._made(visit, key))

    async def _ask(self, visit: Visit) -> Response:
        visit.require("iam:DeleteAccessKey")
        key = await run_in_threadpool(self._keys.describe_key, visit.request.path_params["key_id"])
        return self._edge.page(visit.request, RevokePage(self._row(key, visit.caller)))

    async def _revoke(self, visit: Visit) -> Response:
        visit.require("iam:DeleteAccessKey")
        await run_in_threadpool(self._keys.revoke_key, visit.request.path_params["key_id"])
        return RedirectResponse(self._links.settings, 303)

    @staticmethod
    def _require(visit: Visit) -> None:
        visit.require("iam:ListAccessKeys")

    def _measured(self, wait_s: float) -> PlacesFragment:
        settings = self._parts.settings
        return PlacesFragment(place_rows(self._disk, settings, wait_s), free_shown(settings))

    def _page(self, caller: AccessKey, form: KeyForm) -> SettingsPage:
        settings = self._parts.settings
        measured = self._measured(_PATIENCE_S / 2)
        rows = setting_rows(settings, self._parts.setting_sources)
        endpoints = self._parts.endpoints.list_endpoints(PageRequest(limit=_NAMES_SHOWN, next_token=None))
        return SettingsPage(
            keys=[self._row(key, caller) for key in self._keys.list_keys()],
            form=form,
            roles=[Choice(*each) for each in _ROLES],
            endpoint_names=[endpoint.name for endpoint in endpoints.records],
            places=measured.places,
            free=measured.free,
            versions=versions(),
            changed=[row for row in rows if row.source != DEFAULT],
            defaults=[row for row in rows if row.source == DEFAULT],
        )

    def _row(self, key: AccessKey, caller: AccessKey) -> KeyRow:
        used_at = self._uses.last_used_at(key)
        return KeyRow(
            id=key.access_key_id,
            name=key.name,
            role=key.role,
            endpoints=", ".join(key.endpoints),
            created=ago(key.created_at) if key.created_at else "with the installation",
            used=ago(used_at) if used_at else _NEVER,
            is_own=key.name == OWN_KEY_NAME,
            is_mine=key.access_key_id == caller.access_key_id,
        )

    def _made(self, visit: Visit, key: AccessKey) -> NewKeyPage:
        ca_bundle = server_address(self._parts.settings, {}).ca_bundle
        address = ServerAddress(address_of(visit.request), ca_bundle)
        variables = client_variables(key, address, self._parts.settings.region)
        exports = "\n".join(f"export {name}='{value}'" for name, value in variables.items())
        return NewKeyPage(self._row(key, visit.caller), key.secret_access_key, exports, ca_bundle)


def _asked(form: KeyForm) -> tuple[Role, Sequence[str]]:
    """The role, and the endpoints that it is for. Raises InvalidField."""
    if form.role not in set(Role):
        raise InvalidField("role", f"{shortened(form.role)} is no role: choose one of the list.")
    names = [name for name in re.split(r"[\s,;]+", form.endpoints) if name]
    if wrong := [name for name in names if _ENDPOINT.fullmatch(name) is None]:
        raise InvalidField(
            "endpoints", f"{shortened(wrong[0])} cannot be an endpoint's name: separate names by commas."
        )
    if form.role == Role.INVOKE and not names:
        raise InvalidField("endpoints", "A key of role invoke is for named endpoints: name at least one.")
    if form.role != Role.INVOKE and names:
        raise InvalidField("endpoints", f"A key of role {form.role} is not bound to endpoints: leave this empty.")
    return Role(form.role), list(dict.fromkeys(names))


def _with_problem(form: KeyForm, error: ZerostartError) -> KeyForm:
    field = error.field if isinstance(error, InvalidField) else "name"
    return KeyForm(form.name, form.role, form.endpoints, {field: error_page(error).message})
