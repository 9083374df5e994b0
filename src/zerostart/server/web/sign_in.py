"""Signing in, by a link that works once or with an access key, and signing out."""

import hmac
import math
import secrets
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.credentials import OWN_KEY_NAME, AccessKey
from zerostart.server.web.contexts import OnwardPage, SignInPage
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.errors import TooManyAttempts
from zerostart.server.web.forms import check_origin
from zerostart.server.web.links import local_path
from zerostart.server.web.rendering import Shell
from zerostart.server.web.sessions import SESSION_VALID_S, Sessions, WrongAttempts
from zerostart.sign_in_links import redeem_sign_in_token

_LINK_ENDED = "This link was used already, or is older than 15 minutes. Get a fresh one as described below."
_WRONG_KEY = (
    "No key has this id and secret. Both are shown when a key is made; the installation's are in its home folder."
)


class SignIn:
    """The pages of signing in. `links_folder` holds the links that were not used yet."""

    def __init__(self, edge: WebEdge, sessions: Sessions, keys: Mapping[str, AccessKey], links_folder: Path) -> None:
        self._edge = edge
        self._sessions = sessions
        self._keys = keys
        self._links_folder = links_folder
        self._wrong = WrongAttempts()

    def routes(self) -> list[Route]:
        """Signing in and out."""
        links, edge = self._edge.renderer.links, self._edge
        return [
            Route(links.sign_in, edge.guarded(self._show), methods=["GET"]),
            Route(links.sign_in, edge.guarded(self._by_key), methods=["POST"]),
            Route(links.sign_out, edge.signed_in(self._sign_out), methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        next_path = local_path(request.query_params.get("next", ""))
        token = request.query_params.get("token")
        if self._edge.shell(request).caller is not None:
            return RedirectResponse(next_path, 303)
        if token is None or request.method != "GET":
            return self._form(request, SignInPage("", next_path))
        self._refuse_guessing(request)
        if not redeem_sign_in_token(self._links_folder, token):
            self._wrong.count(_address(request))
            return self._form(request, SignInPage("", next_path, _LINK_ENDED), 403)
        own = next(key for key in self._keys.values() if key.name == OWN_KEY_NAME)
        return self._begun(request, own, next_path)

    async def _by_key(self, request: Request) -> Response:
        check_origin(request)
        form = await self._edge.form(request)
        next_path = local_path(form.get("next", ""))
        visitor = request.cookies.get(self._edge.visitor_cookie, "")
        self._edge.check_token(form, self._sessions.visitor_token(visitor))
        self._refuse_guessing(request)
        access_key_id, secret = form.get("access_key_id", "").strip(), form.get("secret_access_key", "").strip()
        key = self._keys.get(access_key_id)
        if key is None or not hmac.compare_digest(key.secret_access_key.encode(), secret.encode()):
            self._wrong.count(_address(request))
            return self._form(request, SignInPage(access_key_id[:128], next_path, _WRONG_KEY), 403)
        return self._begun(request, key, next_path)

    async def _sign_out(self, visit: Visit) -> Response:
        self._sessions.end(visit.request.cookies.get(self._edge.cookie, ""))
        response = RedirectResponse(self._edge.renderer.links.sign_in, 303)
        response.delete_cookie(self._edge.cookie)
        return response

    def _form(self, request: Request, page: SignInPage, status: int = 200) -> Response:
        """The form; its token goes with a cookie of this visitor's."""
        visitor = request.cookies.get(self._edge.visitor_cookie) or secrets.token_urlsafe(24)
        shell = Shell(None, self._sessions.visitor_token(visitor), request.url.path)
        response = self._edge.renderer.response(page, shell, status)
        self._set_cookie(request, response, self._edge.visitor_cookie, visitor)
        return response

    def _begun(self, request: Request, key: AccessKey, next_path: str) -> Response:
        response = self._edge.page(request, OnwardPage("You are signed in", next_path))
        self._set_cookie(request, response, self._edge.cookie, self._sessions.begin(key))
        return response

    def _set_cookie(self, request: Request, response: Response, name: str, value: str) -> None:
        secure = request.url.scheme == "https"
        response.set_cookie(name, value, max_age=SESSION_VALID_S, secure=secure, httponly=True, samesite="strict")

    def _refuse_guessing(self, request: Request) -> None:
        wait_s = self._wrong.wait_s(_address(request))
        if wait_s > 0:
            raise TooManyAttempts(f"Too many wrong attempts came from your address: wait {math.ceil(wait_s)} seconds.")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
