"""Use cases of asynchronous invocations: take one, and answer it later, also after a crash.

A row is removed once the answer is stored; one that is answered twice, because the program ended between the two, gets
the same answer.
"""

import asyncio
import logging
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.concurrency import run_in_threadpool

from zerostart.errors import InstanceLost, InvalidInput, NoInstance, NotFound, Overloaded, ZerostartError
from zerostart.hosting.router import Router
from zerostart.metadata.async_invocation import (
    AsyncInvocation,
    AsyncRequest,
    delete_async_invocation,
    insert_async_invocation,
    oldest_async_invocations,
)
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import Endpoint, get_endpoint
from zerostart.services.arn import ACCOUNT_ID
from zerostart.services.invocation import Invocation, InvocationResult, InvocationService
from zerostart.storage.base import ObjectAttributes, ObjectStore, parse_uri, read_bytes, write_bytes

logger = logging.getLogger(__name__)
_CONCURRENT_PER_INSTANCE = 4
_MOST_CONCURRENT = 64
_RETRY_S = 1.0
_STORE_RETRY_S = 10.0


@dataclass(frozen=True)
class AsyncSubmission:
    """What a caller asks for."""

    endpoint: str
    input_uri: str
    content_type: str
    accept: str
    timeout_s: float
    time_to_live_s: float


class AsyncInvocationService:
    """Takes invocations into the database, and answers them from there, oldest first."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        invocations: InvocationService,
        router: Router,
        max_body_bytes: int,
    ) -> None:
        self._database = database
        self._store = store
        self._invocations = invocations
        self._router = router
        self._max_body_bytes = max_body_bytes
        self._running: dict[str, asyncio.Task[None]] = {}
        self._busy: Counter[str] = Counter()
        self._wake = asyncio.Event()

    async def submit(self, submission: AsyncSubmission) -> AsyncInvocation:
        """Take an invocation; it is durable when this returns. Raises NotFound, and InvalidInput."""
        parse_uri(submission.input_uri)
        invocation = await run_in_threadpool(self._insert, submission)
        self._wake.set()
        return invocation

    async def run(self) -> None:
        """Answer invocations until cancelled; those that are not done then are begun again at the next start."""
        try:
            while True:
                self._wake.clear()
                try:
                    await self._start_waiting()
                except Exception:
                    logger.exception("asynchronous invocations could not be read; it is tried again")
                    await asyncio.sleep(_STORE_RETRY_S)
                    continue
                await self._wake.wait()
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _start_waiting(self) -> None:
        room = _MOST_CONCURRENT - len(self._running)
        full = {endpoint for endpoint, busy in self._busy.items() if busy >= self._limit(endpoint)}
        for invocation in await run_in_threadpool(self._waiting, room, list(self._running), full):
            if self._busy[invocation.endpoint] < self._limit(invocation.endpoint):
                self._busy[invocation.endpoint] += 1
                self._running[invocation.id] = asyncio.create_task(self._answer(invocation))

    def _limit(self, endpoint: str) -> int:
        instances = sum(len(variant.instances) for variant in self._router.variants(endpoint))
        return max(1, instances) * _CONCURRENT_PER_INSTANCE

    async def _answer(self, invocation: AsyncInvocation) -> None:
        try:
            await self._settle(invocation)
        except Exception as error:  # noqa: BLE001 - a full disk or a missing bucket may be mended meanwhile
            await self._put_off(invocation, error)
        finally:
            self._busy[invocation.endpoint] -= 1
            del self._running[invocation.id]
            self._wake.set()

    async def _put_off(self, invocation: AsyncInvocation, error: Exception) -> None:
        """Neither answer nor failure could be stored: try again in a while, until the invocation expires."""
        expired = datetime.now(UTC) >= invocation.expires_at
        word = "is given up" if expired else "is tried again"
        logger.error("asynchronous invocation %s %s: %s", invocation.id, word, error)
        if expired:
            await run_in_threadpool(self._delete, invocation.id)
        else:
            await asyncio.sleep(_STORE_RETRY_S)

    async def _settle(self, invocation: AsyncInvocation) -> None:
        """Store the answer, or why there is none; what an instance could not take now is tried until it expires."""
        request = invocation.request
        try:
            body = await run_in_threadpool(read_bytes, self._store, *parse_uri(request.input_uri), self._max_body_bytes)
            sent = Invocation(
                invocation.endpoint, body, request.content_type, request.accept, timeout_s=request.timeout_s
            )
            reply = (await self._invoke(sent, invocation.expires_at)).reply
            failed = reply.status >= 400
            target = request.failure_uri if failed else request.output_uri
            content, kind = reply.body, reply.content_type
        except ZerostartError as error:
            failed, target, content, kind = True, request.failure_uri, str(error).encode(), "text/plain"
        attributes = ObjectAttributes(content_type=kind, kms_key_id=request.kms_key_id)
        await run_in_threadpool(write_bytes, self._store, *parse_uri(target), content, attributes)
        await run_in_threadpool(self._delete, invocation.id)
        fields = {"endpoint": invocation.endpoint, "inference_id": invocation.id, "failed": failed}
        logger.info("asynchronous invocation", extra={"fields": fields})

    async def _invoke(self, invocation: Invocation, expires_at: datetime) -> InvocationResult:
        while True:
            try:
                return await self._invocations.invoke(invocation)
            except (NoInstance, Overloaded, InstanceLost, NotFound):
                if datetime.now(UTC) >= expires_at or not await run_in_threadpool(self._exists, invocation.endpoint):
                    raise
                await self._router.published(invocation.endpoint, _RETRY_S)

    def _exists(self, endpoint: str) -> bool:
        """Whether there is such an endpoint, even if the reconciler has not seen to it yet."""
        with self._database.transaction() as connection:
            return get_endpoint(connection, endpoint) is not None

    def _insert(self, submission: AsyncSubmission) -> AsyncInvocation:
        now = datetime.now(UTC)
        with self._database.transaction() as connection:
            endpoint = get_endpoint(connection, submission.endpoint)
            if endpoint is None:
                raise NotFound(f"Endpoint {submission.endpoint} of account {ACCOUNT_ID} not found.")
            invocation = _invocation(endpoint, submission, now)
            insert_async_invocation(connection, invocation)
        return invocation

    def _waiting(self, limit: int, running: list[str], full: set[str]) -> list[AsyncInvocation]:
        with self._database.transaction() as connection:
            return oldest_async_invocations(connection, limit, running, full)

    def _delete(self, invocation_id: str) -> None:
        with self._database.transaction() as connection:
            delete_async_invocation(connection, invocation_id)


def _invocation(endpoint: Endpoint, submission: AsyncSubmission, now: datetime) -> AsyncInvocation:
    settings = endpoint.asynchronous
    if settings is None:
        raise InvalidInput(
            f"Endpoint {endpoint.name} is not asynchronous: give it an AsyncInferenceConfig, or call InvokeEndpoint."
        )
    invocation_id = str(uuid.uuid4())
    output, failure = settings.output_uri.rstrip("/"), (settings.failure_uri or settings.output_uri).rstrip("/")
    request = AsyncRequest(
        input_uri=submission.input_uri,
        output_uri=f"{output}/{invocation_id}.out",
        failure_uri=f"{failure}/{invocation_id}-error.out",
        content_type=submission.content_type,
        accept=submission.accept,
        timeout_s=submission.timeout_s,
        kms_key_id=settings.kms_key_id,
    )
    expires_at = now + timedelta(seconds=submission.time_to_live_s)
    return AsyncInvocation(invocation_id, endpoint.name, request, now, expires_at)
