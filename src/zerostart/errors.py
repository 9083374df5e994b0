"""Every error that Zerostart raises on purpose. No HTTP here: each dialect's edge has one table of statuses.

A message says what was wrong, which value, and what to do.
"""


def shortened(value: object, characters: int = 60) -> str:
    """`repr(value)` for a message, cut where it is long: a caller's megabyte is not sent back."""
    shown = repr(value[: characters + 1] if isinstance(value, str) else value)
    return shown if len(shown) <= characters else shown[: characters - 3] + "..."


class ZerostartError(Exception):
    """The root of the tree: catch this to catch all that Zerostart reports."""

    @property
    def message(self) -> str:
        """What a user reads."""
        return str(self)


class InvalidInput(ZerostartError):
    """The request or its values are wrong; the caller can mend it."""


class InvalidField(InvalidInput):
    """One value of several that were given is wrong; `field` names it, so that a form can say it there."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class InvalidNextToken(InvalidInput):
    """A list is to go on from where it did not stop."""


class BodyTooLarge(InvalidInput):
    """A request body, or the work in it, is over a limit."""


class UnsupportedContentType(InvalidInput):
    """A body in a format that is not read."""


class UnsupportedAccept(InvalidInput):
    """An answer was asked for in a format that is not written."""


class NotFound(ZerostartError):
    """The named resource does not exist."""


class AlreadyExists(ZerostartError):
    """A resource of that name exists."""


class NameInUse(AlreadyExists):
    """A job of that name exists."""


class LimitExceeded(ZerostartError):
    """The machine, or a setting, allows no more of this."""


class InvalidSettings(ZerostartError):
    """A setting, in the environment or the settings file, is wrong."""


class MissingExtra(ZerostartError):
    """An optional dependency is not installed; the message names the extra."""


class InvalidArtefact(ZerostartError):
    """A model folder is incomplete, altered, or not an NLI model."""


class UnknownModel(NotFound):
    """No artefact of that model id is on this machine."""


class ModelInUse(ZerostartError):
    """A model cannot be changed or removed: something works with it now."""


class HubFailure(ZerostartError):
    """The Hugging Face hub, or the way to it, did not give what it was asked for."""


class Overloaded(ZerostartError):
    """The queue is full: the same request may succeed later."""


class Draining(Overloaded):
    """The server is stopping and takes no new work."""


class Throttled(Overloaded):
    """More invocations at once than a serverless variant may have."""


class EngineFailure(ZerostartError):
    """The engine could not compute: not the request's fault."""


class InvalidLogits(EngineFailure):
    """The model answered NaN or infinity for this request alone."""


class NoInstance(ZerostartError):
    """The endpoint has no instance that could take the invocation now."""


class Waking(NoInstance):
    """The endpoint sleeps, or its instances are being started: who waits is answered."""


class ModelNotReady(Waking):
    """The instance of a serverless variant is being started."""


class NotUpdatable(ZerostartError):
    """The resource is in a status in which it cannot be updated."""


class InstanceLost(ZerostartError):
    """An instance went away while it held the invocation."""


class InvocationTimeout(ZerostartError):
    """The instance did not answer in time."""


class LaunchFailed(ZerostartError):
    """An instance could not be started."""


class PreconditionFailed(ZerostartError):
    """A conditional write found another state than it asked for."""


class NotEmpty(ZerostartError):
    """A bucket that holds objects cannot be deleted."""


class UnknownUpload(NotFound):
    """There is no such multipart upload: it was completed or aborted."""


class InvalidPart(InvalidInput):
    """A part of a multipart upload is missing, or another one than was named."""


class PartTooSmall(InvalidInput):
    """A part that is not the last one is smaller than S3 allows."""


class StorageFailure(ZerostartError):
    """The object storage of others did not do what it was asked."""


class Corrupted(ZerostartError):
    """Content on disk is not what was written."""


class UnknownJob(NotFound):
    """There is no job of that name."""


class UnknownBucket(NotFound):
    """There is no bucket of that name."""


class UnknownObject(NotFound):
    """There is no object of that key."""
