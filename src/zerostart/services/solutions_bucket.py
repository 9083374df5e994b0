"""The bucket `sagemaker-solutions-prod-REGION`, which published notebooks fetch the New Year's resolutions from."""

import re
from collections.abc import Callable, Sequence

DATA_KEY = (
    "0.2.0/Zero-shot-text-classification/1.0.0/artifacts/data/jumpstart-soln-zero-shot-text-clf-data.csv"  # AWS's own
)
_BUCKET = re.compile(r"sagemaker-solutions-prod-[a-z0-9-]+")


class SolutionsBucket:
    """The generated bucket with the one file that notebooks fetch, of every region.

    `data` gives the file: CSV in UTF-8 with the columns `Resolution_Category` and `text`. It is asked at every read.
    """

    def __init__(self, data: Callable[[], bytes]) -> None:
        self._data = data

    def serves(self, bucket: str) -> bool:
        """Whether `bucket` is the one of AWS's solutions, in any region."""
        return _BUCKET.fullmatch(bucket) is not None

    def keys(self, bucket: str) -> Sequence[str]:
        """The one key."""
        del bucket
        return [DATA_KEY]

    def read(self, bucket: str, key: str) -> bytes | None:
        """The file, under its key."""
        del bucket
        return self._data() if key == DATA_KEY else None
