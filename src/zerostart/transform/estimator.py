"""Has a worker tell what a job is expected to take; one at a time, since each holds a model in memory."""

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from zerostart.errors import EngineFailure, InvalidInput, Overloaded
from zerostart.metadata.transform_job import TransformOptions
from zerostart.transform.worker_process import LocalWorkers

logger = logging.getLogger(__name__)
_LONGEST_S = 60.0


class Estimator:
    """Asks workers on this machine."""

    def __init__(self, workers: LocalWorkers) -> None:
        self._workers = workers
        self._alone = threading.Lock()

    def estimate(self, model_id: str, options: TransformOptions) -> Mapping[str, Any]:
        """What a job is expected to take, see TransformEstimate. Raises what the worker says."""
        asked = json.dumps({"model_id": model_id, "options": asdict(options)}).encode()
        try:
            with self._taking_turns():
                told, errors = self._workers.told(model_id, ["--estimate"], asked, _LONGEST_S)
        except TimeoutError as error:
            raise Overloaded(f"The estimate took over {_LONGEST_S:g} s: start the job without one.") from error
        try:
            document: Mapping[str, Any] = json.loads(told)
        except ValueError as error:
            logger.error("an estimate failed: %s", errors[-2000:])
            raise EngineFailure("The estimate failed; the server's log says why.") from error
        if "refused" in document:
            raise InvalidInput(document["refused"])
        return document

    @contextmanager
    def _taking_turns(self) -> Iterator[None]:
        if not self._alone.acquire(timeout=_LONGEST_S):
            raise Overloaded("Others are having their jobs estimated: try again in a minute.")
        try:
            yield
        finally:
            self._alone.release()
