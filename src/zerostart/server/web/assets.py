"""Static files of the pages: in the package, named with the hash of their content, so that browsers keep them."""

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zerostart.evaluation.html import report_styles

_FOLDER = Path(__file__).parent / "static"
_YEAR_S = 365 * 24 * 3600


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    content: bytes
    media_type: str
    version: str


class Assets:
    """Every static file, read once."""

    def __init__(self) -> None:
        contents = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir())}
        contents["report.css"] = report_styles().encode()  # of evaluations, which stand alone too
        self._assets: Mapping[str, Asset] = {name: _asset(name, content) for name, content in contents.items()}

    def url(self, name: str) -> str:
        """Where a browser gets it."""
        return f"/static/{name}?v={self._assets[name].version}"

    async def answer(self, request: Request) -> Response:
        """GET /static/NAME. For ever, if the version that is asked for is this one."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        current = request.query_params.get("v") == asset.version
        caching = f"public, max-age={_YEAR_S}, immutable" if current else "no-cache"
        return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": caching})


def _asset(name: str, content: bytes) -> Asset:
    media_type = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0] or "text/plain"
    return Asset(content, media_type, hashlib.sha256(content).hexdigest()[:12])
