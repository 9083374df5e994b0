"""What a solution is: an example that can be launched, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable


@dataclass(frozen=True)
class Solution:
    """Labelled texts, and how they are classified.

    `labels` are the categories of the texts, each with the wording that goes into the hypothesis. `sample` is the
    shipped CSV file; `data_file` is what it, or a file of a user, is called in the solution's bucket.
    """

    name: str
    title: str
    summary: str
    about: str
    minutes: int
    sample: Traversable
    data_file: str
    text_column: str
    label_column: str
    labels: Mapping[str, str]
    hypothesis_template: str
    known_as: str
