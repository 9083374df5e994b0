"""Profiles that a model's or a job's Environment names: inline, or in a bucket of this server."""

from collections.abc import Mapping

from zerostart.errors import InvalidField, InvalidInput, NotFound, shortened
from zerostart.nli.profile import LARGEST_PROFILE_BYTES, Profile, parse_profile
from zerostart.storage.base import ObjectStore, parse_uri, read_bytes

PROFILE_VARIABLE = "ZEROSTART_PROFILE"


def profile_in(environment: Mapping[str, str], store: ObjectStore, model_id: str) -> Profile | None:
    """The profile of ZEROSTART_PROFILE; None where it is not set. It is read once: later changes change nothing.

    Raises InvalidField for what is neither JSON nor an s3:// URI (no file of the server is read), for an object that is
    not there, and for a profile that was tuned with another model.
    """
    value = environment.get(PROFILE_VARIABLE, "").strip()
    if not value:
        return None
    try:
        profile = _profile(value, store)
        profile.check_model(model_id)
    except InvalidInput as error:
        raise InvalidField("profile", str(error)) from error
    return profile


def _profile(value: str, store: ObjectStore) -> Profile:
    if value.startswith("{"):
        return parse_profile(value, PROFILE_VARIABLE)
    if value.startswith("s3://"):
        return parse_profile(_read(store, value), value[:200])
    raise InvalidInput(
        f"{PROFILE_VARIABLE} is {shortened(value)}: give the profile's JSON, or s3://bucket/key of it in a bucket of "
        "this server."
    )


def _read(store: ObjectStore, uri: str) -> bytes:
    bucket, key = parse_uri(uri)
    try:
        return read_bytes(store, bucket, key, LARGEST_PROFILE_BYTES)
    except NotFound as error:
        raise InvalidInput(f"{PROFILE_VARIABLE} {uri[:200]} cannot be read: {error}") from error
