"""What a visitor is told of an error: what happened, and what to do."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException

from zerostart import errors
from zerostart.server.web.contexts import ErrorPage
from zerostart.server.web.forms import ForeignForm
from zerostart.services.authorisation import AccessDenied


class WrongHost(errors.ZerostartError):
    """The pages were asked for under a name that is not this server's."""


class StoreClosed(errors.ZerostartError):
    """Buckets are not reached through this server."""


class TooManyAttempts(errors.ZerostartError):
    """Somebody guesses."""


_STATUSES: Mapping[type[Exception], tuple[int, str]] = {
    AccessDenied: (403, "You may not do this"),
    StoreClosed: (403, "Not through this server"),
    ForeignForm: (403, "The form was not accepted"),
    WrongHost: (421, "Wrong address"),
    TooManyAttempts: (429, "Too many attempts"),
    errors.BodyTooLarge: (413, "That is too much at once"),
    errors.UnsupportedContentType: (415, "The form cannot be read"),
    errors.InvalidInput: (400, "That does not fit"),
    errors.NotFound: (404, "Not found"),
    errors.AlreadyExists: (409, "The name is taken"),
    errors.NotEmpty: (409, "It is not empty"),
    errors.PreconditionFailed: (409, "It changed meanwhile"),
    errors.LimitExceeded: (409, "There is no room for more"),
    errors.InvalidArtefact: (409, "The model cannot be used"),
    errors.NotUpdatable: (409, "Not now"),
    errors.ModelInUse: (409, "Not now"),
    errors.Overloaded: (503, "Not now"),
    errors.EngineFailure: (502, "The model broke"),
    errors.NoInstance: (503, "Not now"),
    errors.InstanceLost: (503, "Not now"),
    errors.InvocationTimeout: (504, "No answer in time"),
    errors.StorageFailure: (503, "Not now"),
}
_OF_THE_SERVER = {
    404: ("Page not found", "There is nothing at this address. The menu leads to everything there is."),
    405: ("This page takes no such request", "Go back to the page you came from, and use its form."),
}


def error_page(error: Exception) -> ErrorPage:
    """The page for an error; one that is in no table says nothing of its inside, which may be of the machine."""
    if isinstance(error, HTTPException):
        status = error.status_code
        heading, message = _OF_THE_SERVER.get(status, (HTTPStatus(status).phrase, "Go back, and try again."))
        return ErrorPage(status, heading, message)
    for kind in type(error).__mro__:
        if kind in _STATUSES:
            status, heading = _STATUSES[kind]
            return ErrorPage(status, heading, _message(error))
    return ErrorPage(500, "Something broke", "It is not your fault. The server's log says more; then try again.")


def _message(error: Exception) -> str:
    if isinstance(error, AccessDenied):
        return "The key that you are signed in with does not allow it. Sign in with another one, or ask for its role."
    return str(error)
