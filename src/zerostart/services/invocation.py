"""Use case of invoking an endpoint: choose an instance, send the body, try once more elsewhere if it goes away."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from zerostart.errors import InstanceLost, NoInstance, NotFound, Overloaded, Throttled, Waking, ZerostartError
from zerostart.hosting.launcher import InstanceReply
from zerostart.hosting.reconciler import Reconciler
from zerostart.hosting.router import Router
from zerostart.services.arn import ACCOUNT_ID

_ATTEMPTS = 2


@dataclass(frozen=True)
class Invocation:
    """What a caller sends to an endpoint; `timeout_s` where it is not the server's."""

    endpoint: str
    body: bytes
    content_type: str
    accept: str
    target_variant: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True)
class InvocationResult:
    """An instance's answer, which may be an error of the model server; `model_latency_s` is the time it took."""

    reply: InstanceReply
    variant: str
    model_latency_s: float


class InvocationService:
    """Invocations are idempotent: one that an instance lost, or had no room for, is sent to another one once."""

    def __init__(self, router: Router, reconciler: Reconciler, timeout_s: float) -> None:
        self._router = router
        self._reconciler = reconciler
        self._timeout_s = timeout_s

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        """The answer of an instance; those of an endpoint that sleeps are started first.

        Raises NotFound, InvalidInput (target variant), NoInstance (Waking, ModelNotReady), Overloaded (Throttled),
        InstanceLost or InvocationTimeout.
        """
        with self._router.asking(invocation.endpoint):
            return await self._invoke(invocation, time.monotonic() + (invocation.timeout_s or self._timeout_s))

    async def _invoke(self, invocation: Invocation, deadline_s: float) -> InvocationResult:
        tried: list[str] = []
        failure: ZerostartError | None = None
        while len(tried) < _ATTEMPTS:
            try:
                return await self._attempt(invocation, tried, deadline_s)
            except NotFound as error:
                message = f"Endpoint {invocation.endpoint} of account {ACCOUNT_ID} not found."
                raise NotFound(message) from error
            except Waking:
                if time.monotonic() >= deadline_s:
                    raise
                self._reconciler.wake()
                if reason := await self._router.published(invocation.endpoint, deadline_s - time.monotonic()):
                    raise NoInstance(reason) from None
            except Throttled:
                raise
            except (InstanceLost, Overloaded) as error:
                failure = error
                if not self._may_ask_again(invocation, tried):
                    break
        assert failure is not None  # noqa: S101 - an instance is added to `tried` only before it fails or answers
        raise failure

    async def _attempt(self, invocation: Invocation, tried: list[str], deadline_s: float) -> InvocationResult:
        headers: Mapping[str, str] = {"Content-Type": invocation.content_type, "Accept": invocation.accept}
        with self._router.lease(invocation.endpoint, invocation.target_variant, tried) as instance:
            tried.append(instance.id)
            started_s = time.monotonic()
            try:
                reply = await instance.invoke(invocation.body, headers, deadline_s - started_s)
            except InstanceLost:
                self._reconciler.wake()
                raise
            if reply.status == 503:
                raise Overloaded(
                    f"Endpoint {invocation.endpoint} has no room for more requests: try again in a moment."
                )
            return InvocationResult(reply, instance.spec.variant, time.monotonic() - started_s)

    def _may_ask_again(self, invocation: Invocation, tried: list[str]) -> bool:
        """Whether an instance is left that was not tried, or the endpoint was deleted meanwhile, which is then said."""
        variants = self._router.variants(invocation.endpoint)
        return not variants or any(
            instance.id not in tried
            for variant in variants
            if invocation.target_variant in {None, variant.name}
            for instance in variant.instances
        )
