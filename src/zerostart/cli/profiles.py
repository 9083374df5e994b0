"""Profiles on the command line: whether they apply, and carried to the server."""

from zerostart.cli.client import s3
from zerostart.errors import InvalidInput
from zerostart.nli.classification import ClassificationRequest
from zerostart.nli.labels import CandidateLabels
from zerostart.nli.profile import Profile

PROFILE_HELP = "Profile that 'zerostart evaluate --save-profile' wrote; its labels need not be named."
_BUCKET = "zerostart-profiles"
_LONGEST_INLINE = 1024  # of a value in CreateModel's Environment


def check_applies(profile: Profile, labels: CandidateLabels, request: ClassificationRequest) -> None:
    """Raise InvalidInput if a profile is not for what is asked: on the command line it was meant to be."""
    if not profile.is_about(labels):
        names = ", ".join(label.name for label in profile.labels)
        raise InvalidInput(f"The profile is for the labels {names[:300]}: name these, or none.")
    if profile.asked(request) is None:
        raise InvalidInput(
            "The profile has its own template, scorer and mode, and is for all its labels: leave out --template, "
            "--scorer, --multi-label and --shortlist."
        )


def carried(profile: Profile, name: str) -> str:
    """What ZEROSTART_PROFILE is set to: the profile itself, or, where it is long, an object that holds it."""
    content = profile.compact()
    if len(content) <= _LONGEST_INLINE:
        return content
    client, key = s3(), f"{name}.json"
    if all(each["Name"] != _BUCKET for each in client.list_buckets()["Buckets"]):
        client.create_bucket(Bucket=_BUCKET)
    client.put_object(Bucket=_BUCKET, Key=key, Body=content.encode())
    return f"s3://{_BUCKET}/{key}"
