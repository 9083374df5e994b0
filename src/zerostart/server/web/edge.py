"""The pages' edge: which host, who is calling, whose form; what is told of a failure; headers, and one line of log."""

import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from zerostart.credentials import AccessKey
from zerostart.errors import InvalidSettings
from zerostart.server.web.contexts import ErrorFragment, OnwardPage
from zerostart.server.web.errors import WrongHost, error_page
from zerostart.server.web.forms import FORM_TOKEN, ForeignForm, check_origin, read_form
from zerostart.server.web.links import local_path
from zerostart.server.web.rendering import Page, Renderer, Shell
from zerostart.server.web.sessions import Session, Sessions
from zerostart.services.access_key import KeyUses
from zerostart.services.authorisation import authorise, may
from zerostart.serving.http import CALLER_LEFT, Gate

logger = logging.getLogger(__name__)
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # no-referrer would have browsers hide the origin of our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Visit:
    """A request of somebody who is signed in, and the fields of the form that it sent."""

    request: Request
    caller: AccessKey
    form: Mapping[str, str]

    def require(self, action: str, resource: str = "*") -> None:
        """Return if the caller may do this. Raises AccessDenied."""
        authorise(self.caller, action, resource)

    def may(self, action: str, resource: str = "*") -> bool:
        """Whether the caller may do this."""
        return may(self.caller, action, resource)

    @property
    def is_fragment(self) -> bool:
        """Whether a part of the page asks, and not the browser for a page."""
        return is_fragment(self.request)


Handler = Callable[[Request], Awaitable[Response]]
VisitHandler = Callable[[Visit], Awaitable[Response]]


class WebEdge:
    """Wraps the handlers of pages. `hosts` are the names under which this server is asked for its pages."""

    def __init__(
        self,
        sessions: Sessions,
        uses: KeyUses,
        renderer: Renderer,
        gate: Gate,
        hosts: Collection[str],
        cookie: str,
        max_body_bytes: int,
    ) -> None:
        self.cookie = cookie
        self.renderer = renderer
        self._sessions = sessions
        self._uses = uses
        self._gate = gate
        self._hosts = frozenset(host.lower() for host in hosts)
        self._max_body_bytes = max_body_bytes

    def guarded(self, handler: Handler) -> Handler:
        """For everybody who asks under one of our names."""

        async def answer(request: Request) -> Response:
            started_s = time.monotonic()
            try:
                async with self._gate.passage():
                    self._check_host(request)
                    response = await handler(request)
            except ClientDisconnect:
                response = Response(status_code=CALLER_LEFT)
            except Exception as error:  # noqa: BLE001 - it is told to the visitor, and logged
                response = self.failure(request, error)
            for name, value in _HEADERS.items():
                response.headers.setdefault(name, value)
            self._log(request, response, started_s)
            return response

        return answer

    def signed_in(self, handler: VisitHandler, *, reads_form: bool = True) -> Handler:
        """For those who are signed in; others are led to the sign-in page, and then back.

        A handler whose form is not read for it has files in it, and checks the form's token itself: `check_form`.
        """

        async def answer(request: Request) -> Response:
            found = self._session(request)
            if found is None:
                return self._to_sign_in(request)
            session, caller = found
            self._uses.note(caller)
            form: Mapping[str, str] = {}
            if request.method == "POST":
                check_origin(request)
                if reads_form:
                    form = await self.form(request)
                    self.check_token(form, session.form_token)
            return await handler(Visit(request, caller, form))

        return self.guarded(answer)

    async def form(self, request: Request) -> Mapping[str, str]:
        """The fields of a form. Raises what `read_form` raises."""
        return await read_form(request, self._max_body_bytes)

    def check_token(self, form: Mapping[str, str], token: str) -> None:
        """Raise ForeignForm unless the form carries the token."""
        if not hmac.compare_digest(form.get(FORM_TOKEN, "").encode(), token.encode()):
            raise ForeignForm("The form is of another session, so nothing was done: load the page again and resend it.")

    def check_form(self, request: Request, form: Mapping[str, str]) -> None:
        """Raise ForeignForm unless the form carries the token of the session of this request."""
        self.check_token(form, self.shell(request).form_token)

    def page(self, request: Request, page: Page, status: int = 200) -> Response:
        """A page as an answer."""
        return self.renderer.response(page, self.shell(request), status)

    def shell(self, request: Request) -> Shell:
        """What stands around a page for this visitor."""
        found = self._session(request)
        path = request.url.path
        if found is None:
            return Shell(None, self._sessions.visitor_token(request.cookies.get(self.visitor_cookie, "")), path)
        return Shell(found[1], found[0].form_token, path)

    @property
    def visitor_cookie(self) -> str:
        """The cookie of a visitor who is not signed in yet."""
        return f"{self.cookie}-visitor"

    def failure(self, request: Request, error: Exception) -> Response:
        """What a visitor is told of an error."""
        told = error_page(error)
        if told.status >= 500:
            logger.error("a page failed: %s", request.url.path[:200], exc_info=error)
        if is_fragment(request):
            response = self.page(request, ErrorFragment(told.message), told.status)
            response.headers.update({"HX-Retarget": "#notice", "HX-Reswap": "innerHTML", "HX-Reselect": "#error"})
            return response
        return self.page(request, told, told.status)

    def _session(self, request: Request) -> tuple[Session, AccessKey] | None:
        try:
            return self._sessions.find(request.cookies.get(self.cookie, ""))
        except InvalidSettings as error:
            logger.error("nobody is let in: %s", error)
            return None

    def _to_sign_in(self, request: Request) -> Response:
        links = self.renderer.links
        if is_fragment(request):
            back = urlsplit(request.headers.get("hx-current-url", "")).path or links.home
            return Response(status_code=401, headers={"HX-Redirect": links.sign_in_and_return(back)})
        query = f"?{request.url.query}" if request.url.query and request.method == "GET" else ""
        wanted = request.url.path + query
        if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
            # Followed from another site, so the cookie was not sent: it is when this page asks.
            return self.page(request, OnwardPage("One moment", local_path(wanted)))
        return RedirectResponse(links.sign_in_and_return(wanted), 303)

    def _check_host(self, request: Request) -> None:
        host = request.headers.get("host", "")
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            name = ""
        if name not in self._hosts:
            raise WrongHost(
                f"This server does not answer under the name {name[:100]!r}: open it under one of "
                f"{', '.join(sorted(self._hosts))}, or start it with --tls-name {name[:100] or 'NAME'}."
            )

    def _log(self, request: Request, response: Response, started_s: float) -> None:
        level = logging.DEBUG if is_fragment(request) and response.status_code < 400 else logging.INFO
        found = self._session(request)
        fields = {
            "method": request.method,
            "path": request.url.path[:200],
            "status": response.status_code,
            "duration_ms": round((time.monotonic() - started_s) * 1000, 2),
            **({"key": found[1].name} if found else {}),
        }
        logger.log(level, "page", extra={"fields": fields})


def address_of(request: Request) -> str:
    """This server as the browser calls it: the origin of its form, which was checked, says http or https best."""
    return request.headers.get("origin") or str(request.base_url).rstrip("/")


def is_fragment(request: Request) -> bool:
    """Whether htmx asks for a part of a page."""
    return request.headers.get("hx-request") == "true"
