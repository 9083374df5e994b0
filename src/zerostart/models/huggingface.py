"""The Hugging Face hub, or a mirror of it: what a repository holds at one commit, and the bytes of its files.

Needs the extra `hub`. Its client reads HF_ENDPOINT, HF_HUB_OFFLINE and the proxies' variables. The token is HF_TOKEN
alone, not one that was stored by a login, and goes to HF_ENDPOINT only: the client drops it where a redirect leaves
that origin. Nothing is read from or written to the user's Hugging Face cache, and nothing is reported.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zerostart.errors import HubFailure, InvalidInput, MissingExtra, shortened
from zerostart.models.artefact import MODEL_ID_PATTERN

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

_COMMIT = re.compile(r"[0-9a-f]{40}")
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository: what the hub says of it. Large files have a sha256, small ones git's own checksum."""

    name: str
    size: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True)
class RemoteModel:
    """A repository at one commit, its `revision`."""

    model_id: str
    revision: str
    files: tuple[RemoteFile, ...]
    licence: str
    languages: tuple[str, ...]


class Interrupted(HubFailure):
    """The connection broke, or the hub asks to come later: the same request may succeed."""


def look_up(model_id: str, revision: str | None) -> RemoteModel:
    """The repository `model_id` at a branch, tag or commit; without one at the newest commit of its main branch.

    Raises HubFailure, saying what to do, InvalidInput for an id that none can have, and MissingExtra.
    """
    if not re.fullmatch(MODEL_ID_PATTERN, model_id):
        raise InvalidInput(f"Model id {model_id!r} is not of the form OWNER/NAME.")
    with _errors(model_id, revision):
        from huggingface_hub import HfApi
        from huggingface_hub.constants import HF_HUB_DOWNLOAD_TIMEOUT

        try:
            found = HfApi(token=_token() or False).model_info(
                model_id, revision=revision, timeout=HF_HUB_DOWNLOAD_TIMEOUT, files_metadata=True
            )
            files = tuple(_file(each) for each in found.siblings or ())
            card = found.card_data.to_dict() if found.card_data else {}  # type: ignore[no-untyped-call]
        except (ValueError, KeyError, TypeError) as error:
            raise HubFailure(
                f"{_endpoint()} gave an answer for {model_id} that cannot be read ({shortened(str(error))}): "
                "is HF_ENDPOINT a Hugging Face hub?"
            ) from error
        if not _COMMIT.fullmatch(found.sha or ""):
            raise HubFailure(f"{_endpoint()} names no commit for {model_id}: is HF_ENDPOINT a Hugging Face hub?")
        return RemoteModel(model_id, found.sha or "", files, _licence(card), _languages(card))


@contextmanager
def opened(model: RemoteModel, file: RemoteFile, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
    """The bytes of a file from `start` on, or from 0 if the hub cannot send a part: where they begin, and the bytes.

    Raises HubFailure; Interrupted if it may go on later.
    """
    with _errors(model.model_id, model.revision):
        from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status
        from huggingface_hub.constants import HF_HUB_DOWNLOAD_TIMEOUT

        # Compressed on the way, a part of a file could not be asked for.
        headers = {"User-Agent": "zerostart", "Accept-Encoding": "identity"}
        if token := _token():
            headers["Authorization"] = f"Bearer {token}"
        if start:
            headers["Range"] = f"bytes={start}-"
        url = hf_hub_url(model.model_id, file.name, revision=model.revision)
        with get_session().stream("GET", url, headers=headers, timeout=HF_HUB_DOWNLOAD_TIMEOUT) as response:
            if response.status_code == 416:
                raise Interrupted(f"{_endpoint()} has fewer bytes of {file.name} than are here.")
            hf_raise_for_status(response)
            partial = response.status_code == 206 and _begins_at(response.headers, start)
            yield start if partial else 0, response.iter_bytes()


def _begins_at(headers: Any, start: int) -> bool:
    return str(headers.get("Content-Range", "")).startswith(f"bytes {start}-")


def _token() -> str | None:
    """HF_TOKEN. It never stands in a message."""
    token = os.environ.get("HF_TOKEN", "").strip()
    if token and not _TOKEN.fullmatch(token):
        raise InvalidInput("HF_TOKEN holds a space or a letter that no token has: set it again.")
    return token or None


def _endpoint() -> str:
    from huggingface_hub.constants import ENDPOINT

    return ENDPOINT


@contextmanager
def _errors(model_id: str, revision: str | None) -> Iterator[None]:
    """The client's errors as ours."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # read when huggingface_hub is first imported
    try:
        import httpx2
        from huggingface_hub import errors
    except ModuleNotFoundError as error:
        raise MissingExtra("Fetching a model needs huggingface_hub: run pip install 'zerostart[hub]'.") from error
    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise HubFailure(
            f"HF_HUB_OFFLINE is set, so {model_id} is not fetched: unset it, or bring the model as a file from another "
            "machine (zerostart models export there, zerostart models add here)."
        ) from error
    except errors.HfHubHTTPError as error:
        raise _refused(error, model_id, revision) from error
    except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise HubFailure(
            f"HF_ENDPOINT is {_endpoint()!r}: give an address that begins with https:// or http://."
        ) from error
    except (httpx2.TransportError, httpx2.TooManyRedirects, httpx2.DecodingError) as error:
        raise Interrupted(
            f"{_endpoint()} cannot be reached or broke off ({type(error).__name__}): check the network and the proxy, "
            "set HF_ENDPOINT for a mirror, or try again: what is here already is not fetched again."
        ) from error


def _refused(error: Any, model_id: str, revision: str | None) -> HubFailure:
    from huggingface_hub import errors

    status, hub = error.response.status_code, _endpoint()
    if isinstance(error, errors.GatedRepoError):
        said = (
            f"{model_id} is open only to those who accepted its terms: accept them on {hub}/{model_id}, and set "
            f"HF_TOKEN to a token of that account{' (that of this one has no access)' if _token() else ''}."
        )
    elif isinstance(error, errors.RevisionNotFoundError):
        said = f"{model_id} has no revision {revision!r}: see {hub}/{model_id}/commits/main."
    elif isinstance(error, errors.RemoteEntryNotFoundError):
        said = f"{model_id} at {revision} lacks a file that its own list names: try again later."
    elif status in {401, 403, 404}:
        reader = "the account of HF_TOKEN" if _token() else "everybody"
        said = (
            f"{hub} has no model {model_id} that {reader} may read ({status}): check the id, or set HF_TOKEN to a "
            "token that may read it."
        )
    elif status == 429 or status >= 500:
        return Interrupted(f"{hub} answers {status} for {model_id}: try again later.")
    else:
        said = f"{hub} answers {status} for {model_id}, which is not understood here."
    return HubFailure(said)


def _file(sibling: "RepoSibling") -> RemoteFile:
    if sibling.lfs:
        return RemoteFile(sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256, None)
    if sibling.size is None or sibling.blob_id is None:
        raise HubFailure(f"{_endpoint()} gives no size and checksum of {sibling.rfilename}: use another mirror.")
    return RemoteFile(sibling.rfilename, sibling.size, None, sibling.blob_id)


def _licence(card: Mapping[str, Any]) -> str:
    licence = card.get("license")
    if licence == "other":
        licence = card.get("license_name") or licence
    return licence if isinstance(licence, str) else "unknown"


def _languages(card: Mapping[str, Any]) -> tuple[str, ...]:
    languages = card.get("language") or ()
    listed = [languages] if isinstance(languages, str) else languages
    return tuple(language for language in listed if isinstance(language, str))
