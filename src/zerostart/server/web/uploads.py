"""Files from forms, streamed into the object store: encrypted as they come, whole or not there.

They are not kept in a temporary file first: that would hold their content unencrypted, and need the room twice.
"""

from collections.abc import Callable
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from zerostart.errors import AlreadyExists, BodyTooLarge, PreconditionFailed, UnknownObject, ZerostartError
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.multipart import FileBegins, FileContent, FileEnds, FormField, form_events
from zerostart.storage.base import (
    ALWAYS,
    LARGEST_OBJECT_BYTES,
    Condition,
    ObjectAttributes,
    ObjectStore,
    ObjectWriter,
    StoredObject,
)
from zerostart.transform.request import content_type_of

_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Place:
    """Where a file goes; unless it `replaces` one, nothing may be there."""

    bucket: str
    key: str
    replaces: bool


@dataclass
class Received:
    """What a form brought: its fields, and the objects that its files are now."""

    fields: dict[str, str] = field(default_factory=dict)
    stored: list[StoredObject] = field(default_factory=list)


class Uploads:
    """Reads forms with files, of at most `limit_bytes` together."""

    def __init__(self, edge: WebEdge, limit_bytes: int = LARGEST_OBJECT_BYTES) -> None:
        self._edge = edge
        self._limit_bytes = limit_bytes

    async def received(
        self, visit: Visit, store: ObjectStore, place: Callable[[dict[str, str], FileBegins], Place]
    ) -> Received:
        """Store the files of a form where `place` says, by the fields that stand before them.

        Each is stored on its own: if one cannot be, those before it stay. Raises ForeignForm, AlreadyExists, and what
        `form_events` and the store raise.
        """
        received = Received()
        try:
            await self._read(visit.request, store, place, received)
            self._edge.check_form(visit.request, received.fields)
        except BodyTooLarge:
            if self._limit_bytes < LARGEST_OBJECT_BYTES:
                await _discard_rest(visit.request)
            raise
        except ZerostartError:
            await _discard_rest(visit.request)
            raise
        return received

    async def _read(
        self,
        request: Request,
        store: ObjectStore,
        place: Callable[[dict[str, str], FileBegins], Place],
        received: Received,
    ) -> None:
        file: _File | None = None
        with ExitStack() as unfinished:
            async with aclosing(form_events(request, self._limit_bytes)) as events:
                async for event in events:
                    if isinstance(event, FormField):
                        received.fields[event.name] = event.value
                    elif isinstance(event, FileBegins):
                        self._edge.check_form(request, received.fields)
                        file = None
                        if event.file_name:
                            where = await run_in_threadpool(place, received.fields, event)
                            file = unfinished.enter_context(await run_in_threadpool(_File, store, where))
                    elif file is not None and isinstance(event, FileContent):
                        await file.take(event.content)
                    elif file is not None and isinstance(event, FileEnds):
                        received.stored.append(await run_in_threadpool(file.commit))


class _File(ExitStack):
    """A file that is being stored, in pieces large enough that handing them to a thread costs little."""

    def __init__(self, store: ObjectStore, place: Place) -> None:
        super().__init__()
        self._place = place
        self._pending = bytearray()
        if not place.replaces and _is_there(store, place):
            raise self._taken()
        attributes = ObjectAttributes(content_type=content_type_of(place.key) or ObjectAttributes().content_type)
        self._writer: ObjectWriter = self.enter_context(store.writer(place.bucket, place.key, attributes))

    async def take(self, content: bytes) -> None:
        """Append."""
        self._pending += content
        if len(self._pending) >= _PIECE_BYTES:
            piece = bytes(self._pending)
            self._pending.clear()
            await run_in_threadpool(self._writer.write, piece)

    def commit(self) -> StoredObject:
        """Make it the object. Raises AlreadyExists if there is one by now that is not to be replaced."""
        self._writer.write(bytes(self._pending))
        try:
            return self._writer.commit(ALWAYS if self._place.replaces else Condition(if_absent=True))
        except PreconditionFailed as error:
            raise self._taken() from error

    def _taken(self) -> AlreadyExists:
        return AlreadyExists(
            f"{self._place.key} is there already: rename the file, or tick “Replace what has the same name”."
        )


def _is_there(store: ObjectStore, place: Place) -> bool:
    try:
        store.head(place.bucket, place.key)
    except UnknownObject:
        return False
    return True


async def _discard_rest(request: Request) -> None:
    """Take what is still sent: a browser that is not listened to may never read the answer."""
    left = LARGEST_OBJECT_BYTES
    with suppress(RuntimeError):  # Starlette's word for a body that was read to its end
        async for piece in request.stream():
            left -= len(piece)
            if left < 0:
                return
