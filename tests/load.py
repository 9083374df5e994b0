"""Callers that keep an endpoint busy while something happens to it."""

import json
import threading
import time

from botocore.exceptions import ClientError

from tests.processes import ServerProcess

BODY = json.dumps({"inputs": "One day I will see the world.", "candidate_labels": ["travel", "cooking"]})


class Load:
    """Callers that invoke an endpoint in a loop, with a pause between; keeps status and duration of every call."""

    def __init__(
        self, server: ServerProcess, endpoint: str, callers: int, attempts: int = 1, pause_s: float = 0.0
    ) -> None:
        self.outcomes: list[tuple[int, float]] = []
        self.variants: set[str] = set()
        self._stop = threading.Event()
        self._pause_s = pause_s
        self._threads = [threading.Thread(target=self._run, args=(server, endpoint, attempts)) for _ in range(callers)]
        for thread in self._threads:
            thread.start()

    def _run(self, server: ServerProcess, endpoint: str, attempts: int) -> None:
        client = server.runtime(attempts)
        while not self._stop.is_set():
            started_s = time.monotonic()
            try:
                answer = client.invoke_endpoint(EndpointName=endpoint, Body=BODY)
                answer["Body"].read()
                self.variants.add(answer["InvokedProductionVariant"])
                status = answer["ResponseMetadata"]["HTTPStatusCode"]
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            self.outcomes.append((status, time.monotonic() - started_s))
            self._stop.wait(self._pause_s)

    def stop(self) -> list[tuple[int, float]]:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a caller was left hanging"
        return self.outcomes
