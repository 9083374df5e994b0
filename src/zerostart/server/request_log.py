"""One structured line of log for each request of an API, without its text."""

import logging
import time
import uuid

from starlette.requests import Request
from starlette.responses import Response

logger = logging.getLogger(__name__)


class RequestLog:
    """What is told of one request; `fields` are added to while it is worked on."""

    def __init__(self, request: Request, **fields: object) -> None:
        self._started_s = time.monotonic()
        self.request_id = str(uuid.uuid4())
        self.fields: dict[str, object] = {"request_id": self.request_id, "path": request.url.path[:200], **fields}

    def closed(self, response: Response) -> Response:
        """Write the line, and pass the response on."""
        self.fields["status"] = response.status_code
        self.fields["duration_ms"] = round((time.monotonic() - self._started_s) * 1000, 2)
        if code := response.headers.get("x-amzn-ErrorType"):
            self.fields["code"] = code
        if variant := response.headers.get("x-Amzn-Invoked-Production-Variant"):
            self.fields["variant"] = variant
        logger.info("request", extra={"fields": self.fields})
        return response
